"""diskcache: ``Cache(folder).memoize()(function)``. It keys by the function's full name and its arguments."""

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

from attacks.request import NotExpressible, Request

diskcache: Any = importlib.import_module("diskcache")
CAN = {"runtime"}


def version() -> str:
    """Of diskcache."""
    return importlib.metadata.version("diskcache")


def made(_path: Any) -> None:
    """Files are no results of diskcache's."""
    raise NotExpressible("it keeps values, not files")


def call(request: Request) -> Path | None:
    """Call the function through its cache."""
    with diskcache.Cache("diskcache") as cache:
        cache.memoize()(request.fn)(**request.arguments)
    return None
