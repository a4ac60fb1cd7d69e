"""The type of what gives the identity of a step's code, where another step may have had the same."""

from collections.abc import Callable

from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.live.written import Written
from consist_es.steps.options import StepArguments

CodeOf = Callable[[StepArguments, Written, Callable[[], CodeIdentity]], CodeIdentity]
"""Of a step's arguments, what its method only writes, and a function that works the identity out."""
