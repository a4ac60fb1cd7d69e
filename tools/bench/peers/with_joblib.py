"""joblib.Memory as most use it: neither the input's content nor the output is looked at."""

from __future__ import annotations

import joblib

from bench.peers.timing import Step, compete, count_and_folder, make_input, plain

count, folder = count_and_folder()
raw = make_input(folder)
ran: list[int] = []


def make() -> Step:
    """A memory of its own."""

    def work(raw: str, k: int) -> str:
        ran.append(k)
        out = folder / "outs" / f"{k}.txt"
        out.write_text(f"{k}\n")
        return str(out)

    cached = joblib.Memory(folder / "cache", verbose=0).cache(work)

    def step(k: int) -> bool:
        before = len(ran)
        cached(str(raw), k)
        return len(ran) == before

    return step


compete(plain(make), count, joblib.__version__)
