"""joblib: ``Memory(folder).cache(function)``. It keys by arguments and the function's own source."""

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

from attacks.request import NotExpressible, Request

joblib: Any = importlib.import_module("joblib")
CAN = {"runtime"}


def version() -> str:
    """Of joblib."""
    return importlib.metadata.version("joblib")


def made(_path: Any) -> None:
    """Files are no results of joblib's."""
    raise NotExpressible("it keeps values, not files")


def call(request: Request) -> Path | None:
    """Call the function through its cache."""
    joblib.Memory("joblib", verbose=0).cache(request.fn)(**request.arguments)
    return None
