"""The work itself, without any library: one file is written."""

from __future__ import annotations

from bench.peers.timing import Step, compete, count_and_folder, make_input, plain

count, folder = count_and_folder()
make_input(folder)


def make() -> Step:
    """Nothing is recorded and nothing reused."""

    def step(k: int) -> bool:
        (folder / "outs" / f"{k}.txt").write_text(f"{k}\n")
        return False

    return step


compete(plain(make), count, "")
