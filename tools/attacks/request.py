"""What a case asks of a caching tool, whichever it is. Needs nothing but the standard library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


class NotExpressible(Exception):
    """The tool has no way to say what the case says."""


@dataclass(frozen=True)
class Request:
    """One call of a step through a caching tool.

    The step is called with `config` as its parameter of that name, with a path for every role in `inputs`, and
    with the path to write to as ``out`` where `output` asks for a file.
    """

    fn: Callable[..., Any]
    name: str = "step"
    config: Any = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    depends: tuple[str, ...] = ()
    """Files that the code reads beside itself, where the tool takes such a list."""
    loaded: bool = False
    """The step receives the content of its inputs instead of their paths."""
    by_key: bool = False
    """Inputs are named in the tool's register of results, and the step asks for them by name."""
    fast: bool = False
    """Files are compared by size and time only."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The config as a keyword argument, if there is one."""
        return {} if self.config is None else {"config": self.config}
