"""redun: tasks with files as arguments and results, in its SQLite backend."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

logging.disable(logging.CRITICAL)

from redun import File, Scheduler, task  # noqa: E402
from redun.config import Config  # noqa: E402

from bench.peers.timing import Step, compete, count_and_folder, make_input, plain  # noqa: E402

count, folder = count_and_folder()
raw = make_input(folder)
ran: list[int] = []


@task(namespace="bench", version="1")  # type: ignore[untyped-decorator]
def work(raw: Any, k: int) -> Any:
    """Write one small file."""
    ran.append(k)
    out = File(str(folder / "outs" / f"{k}.txt"))
    out.write(f"{k}\n")
    return out


def make() -> Step:
    """A scheduler of its own."""
    scheduler = Scheduler(config=Config({"backend": {"db_uri": f"sqlite:///{folder}/redun.db"}}))
    scheduler.load()

    def step(k: int) -> bool:
        before = len(ran)
        scheduler.run(work(File(str(raw)), k))
        return len(ran) == before

    return step


compete(plain(make), count, version("redun"))
