"""Runs the scripts of cases in the interpreter that a tool is installed in; started by `bench.Driver`.

Loads the tool's adapter once, then forks for every script: a fresh process, without the start-up. A script finds
three names beside the builtins: ``call`` runs a step through the tool, ``ran`` says that a step's body was
entered, and ``made`` stands for a file that a step wrote, as the tool wants it returned. A tool that can make a
block of code a step gives ``block`` too.

Orders and answers are lines of JSON on standard input and output.
"""

import builtins
import contextlib
import importlib
import importlib.util
import json
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # its check is too coarse for edits within a second: Python itself would run old code
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from attacks.request import NotExpressible, Request  # noqa: E402

PACKAGES = ("attrs", "duckdb", "jax", "numba", "numpy", "pandas", "pydantic", "scipy")
SECONDS = 30


def main() -> None:
    """Answer orders until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    adapter = importlib.import_module(f"attacks.adapters.{sys.argv[1]}")
    del sys.path[0]
    hello = {
        "can": sorted(adapter.CAN),
        "version": adapter.version(),
        "packages": [name for name in PACKAGES if importlib.util.find_spec(name.replace("attrs", "attr"))],
    }
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(in_child(adapter, json.loads(line))), file=answers, flush=True)


def in_child(adapter: Any, order: dict[str, str]) -> dict[str, int]:
    """Run one script in a fork; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = script(adapter, **order)
        finally:
            os._exit(code)
    end = time.monotonic() + SECONDS
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return {"code": os.waitstatus_to_exitcode(status)}
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def script(adapter: Any, folder: str, name: str, records: str, log: str) -> int:
    """In the child: be a fresh Python that was started in `folder`."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    os.environ["ATTACK_RAN"] = f"{records}.ran"
    sys.path.insert(0, folder)
    sys.argv = [str(Path(folder, name))]
    # `block` is None for those that cannot say "blocks"
    more = {"block": getattr(adapter, "block", None)}
    vars(builtins).update(ran=ran, made=adapter.made, call=caller(adapter, Path(records)), **more)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever a case does, its process says so and ends
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def ran(*_values: Any) -> None:
    """Note that a step's body was entered."""
    with Path(os.environ["ATTACK_RAN"]).open("a") as file:
        file.write("ran\n")


def times_run() -> int:
    """How often any step's body was entered so far."""
    try:
        return len(Path(os.environ["ATTACK_RAN"]).read_text().splitlines())
    except FileNotFoundError:
        return 0


def caller(adapter: Any, records: Path) -> Callable[..., Path | None]:
    """The ``call`` of a script: through the tool, with the outcome noted."""

    def call(fn: Callable[..., Any], **said: Any) -> Path | None:
        before, found = times_run(), None
        record: dict[str, Any] = {}
        try:
            request = Request(fn, **{**said, "depends": tuple(said.get("depends", ()))})
            found = adapter.call(request)
        except NotExpressible as reason:
            record["not_expressible"] = str(reason)
        except BaseException as error:  # noqa: BLE001 - of the tool (it refuses) or of the step (it fails)
            traceback.print_exc()
            record["error"] = f"{type(error).__name__}: {error}"
        record |= {"ran": times_run() - before, "value": None if found is None else content(found)}
        with records.open("a") as file:
            file.write(json.dumps(record) + "\n")
        return found

    return call


def content(path: Path) -> str:
    """What a caller finds at an output's path."""
    with contextlib.suppress(OSError):
        return "a folder" if path.is_dir() else path.read_text()
    return "nothing"


if __name__ == "__main__":
    main()
