"""Fills names in a container's command and variables: ``{name}`` is a path in the container, or a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from consist_es.errors import UsageError
from consist_es.text import nearest
from consist_es.values.secret import Secret

_NAMED = re.compile(r"(?<!\$)\{\{([^\W\d][\w./-]*)\}\}|(?<!\$)(?<!\{)\{([^\W\d][\w./-]*)\}(?!\})")
"""A name in braces. ``${NAME}`` is the shell's, and so is all that holds other characters."""


class Names(msgspec.Struct, frozen=True):
    """What the names mean."""

    inputs: Mapping[str, str]
    """Input -> its path in the container."""
    outputs: Mapping[str, str]
    config: Mapping[str, Any]
    labels: Mapping[str, Any]
    """Year, iteration, phase and stage, as far as they are given."""
    hides: Any
    """Takes the name and the value of a config entry; true if it is a secret."""

    def fill(self, text: str, where: str) -> tuple[str, bool]:
        """The text with its names filled in, and whether a secret is in it now.

        Raises:
            UsageError: a name that there is not, or that means two things.
        """
        secret = False

        def value(match: re.Match[str]) -> str:
            nonlocal secret
            if match[1] is not None:
                return f"{{{match[1]}}}"
            found, hidden = self._value(match[2], where)
            secret = secret or hidden
            return found

        return _NAMED.sub(value, text), secret

    def _value(self, name: str, where: str) -> tuple[str, bool]:
        kinds = {"inputs": self.inputs, "outputs": self.outputs, "config": self.config}
        kind, _, rest = name.partition(".")
        if kind in kinds and rest in kinds[kind]:
            return self._written(kinds[kind][rest], rest, where, is_value=kind == "config")
        places = [kind for kind in ("inputs", "outputs") if name in kinds[kind]]
        if len(places) == 2:
            raise UsageError(
                f"{where}: {{{name}}} is an input and an output of this step. Write {{inputs.{name}}} or "
                f"{{outputs.{name}}}."
            )
        if places:
            return kinds[places[0]][name], False
        if name in self.config:
            return self._written(self.config[name], name, where, is_value=True)
        if self.labels.get(name) is not None:
            return str(self.labels[name]), False
        known = [*self.inputs, *self.outputs, *self.config, *(key for key, it in self.labels.items() if it is not None)]
        near = nearest(name, known)
        hint = f" Did you mean {{{near}}}?" if near is not None else ""
        raise UsageError(
            f"{where}: this step has no input, output or config value {name!r} for {{{name}}}.{hint} For the braces "
            f"themselves write {{{{{name}}}}}."
        )

    def _written(self, value: Any, name: str, where: str, *, is_value: bool) -> tuple[str, bool]:
        if not is_value:
            return value, False
        plain = value.value if isinstance(value, Secret) else value
        if not isinstance(plain, str | int | float | PurePath) and getattr(plain, "ndim", None) != 0:
            raise UsageError(
                f"{where}: the config value {name!r} is {type(plain).__name__}, which is no argument. Write it into a "
                "file, and give that as an input."
            )
        return str(plain), isinstance(value, Secret) or bool(self.hides(name, value))
