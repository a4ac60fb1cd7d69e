"""An executor whose workers import from a search path of their own, as on another machine."""

import os
import pickle
import sys
import types
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.support.children import fork, status_of


class Elsewhere:
    """Runs each task at once in a forked child, where these modules are not loaded yet and only `path` has them."""

    def __init__(self, *path: Path, without: Iterable[Path] = (), dies: bool = False, has_script: bool = True) -> None:
        """`without`: folders of the search path that are not there. `dies`: the child ends before it begins.
        `has_script`: it knows the script that started this process."""
        self._path, self._without, self._dies = [*map(str, path)], {*map(str, without)}, dies
        self._has_script = has_script
        self.submitted = 0

    def submit(self, fn: Callable[..., Any], task: Any) -> "Future[Any]":
        """Run it, and give what it gave; an exception if the child died."""
        self.submitted += 1
        sent, (reader, writer) = pickle.dumps((fn, task)), os.pipe()

        def work() -> None:
            os.close(reader)
            assert not self._dies
            for name, module in list(sys.modules.items()):
                if str(Path(getattr(module, "__file__", None) or "/").parent) in self._without:
                    del sys.modules[name]
            sys.path[:] = [*self._path, *(place for place in sys.path if place not in self._without)]
            if not self._has_script:
                sys.modules["__main__"] = types.ModuleType("__main__")
            here, given = pickle.loads(sent)
            with os.fdopen(writer, "wb") as answer:
                answer.write(pickle.dumps(tuple(here(given))))

        child = fork(work)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            told = answer.read()
        future: Future[Any] = Future()
        if status := status_of(child):
            future.set_exception(RuntimeError(f"the worker ended with code {status}"))
        else:
            future.set_result(pickle.loads(told))
        return future
