"""The config adapter for MATSim: the parameters of a config.xml, and the files that they name."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from consist_es.adapters.folder import content_of
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.errors import ConfigFileError, UsageTypeError
from consist_es.values.digests import digest_of

TABLE = "2026-11"
"""Version of `RUN_ONLY`; recorded with every run."""

RUN_ONLY: dict[str, str] = {
    "controler.outputDirectory": "where outputs are written",
    "controler.overwriteFiles": "what happens to earlier outputs",
    "controler.createGraphs": "pictures of the results",
    "controller.outputDirectory": "where outputs are written",
    "controller.overwriteFiles": "what happens to earlier outputs",
    "controller.createGraphs": "pictures of the results",
}
"""``module.parameter`` -> why it changes how MATSim runs and not what it computes. Threads are not in it."""

_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)


class MatsimAdapter:
    """The parameters of a MATSim config, by module, in any order of modules and parameters; and the bytes of the files
    that they name, relative to the config. `run_only`: ``module.parameter`` -> why it does not count, or None for one
    that counts although the table says otherwise. `inputs`: parameters whose files the step gets as inputs."""

    name = "matsim"
    version = "1"

    def __init__(
        self,
        config: str | os.PathLike[str],
        *,
        run_only: Mapping[str, str | None] | None = None,
        inputs: tuple[str, ...] = (),
    ) -> None:
        if not isinstance(config, str | os.PathLike):
            raise UsageTypeError(f"MatsimAdapter takes the path of a config.xml, not {config!r}.")
        self.config = Path(config)
        self.changed = dict(run_only or {})
        self.run_only: dict[str, str | None] = {**RUN_ONLY, **self.changed}
        self.inputs = tuple(inputs)

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the file; see `Adapter.canonicalize`.

        Raises:
            InputError: the file is missing or cannot be read. ConfigFileError: it is no MATSim config.
        """
        content = content_of(self.config)
        counted: dict[str, Any] = {}
        beside: dict[str, Any] = {}
        files: dict[str, str | os.PathLike[str]] = {}
        for names, value in _parameters(_parsed(self.config, content)):
            path = ".".join(names)
            why = self.run_only.get(path)
            target = counted if why is None else beside
            if path in target:
                raise ConfigFileError(self.config, None, f"the parameter {path} is there twice", _REMEDY)
            target[path] = value
            if why is None and path not in self.inputs and (named := self._file(value)) is not None:
                files[f"file {value}"] = named
        said = {"table": TABLE, **{key: why or "(counts)" for key, why in self.changed.items()}}
        aside = {**({"run-only": beside} if beside else {}), "run-only settings": said}
        reference = Reference(str(self.config), self.config.name, digest_of(content))
        return AdapterResult({self.config.name: counted}, [reference], files, aside)

    def _file(self, value: str) -> Path | None:
        path = self.config.parent / value
        return path if 0 < len(value) < 1000 and "\0" not in value and path.is_file() else None


_REMEDY = "Correct it, or let it count by its bytes, as an identity input."


def _parsed(path: Path, content: bytes) -> ElementTree.Element:
    if _ENTITY.search(content):
        raise ConfigFileError(path, None, "it defines entities, which are not read", _REMEDY)
    try:
        root = ElementTree.fromstring(content)  # noqa: S314  entities are refused above
    except ElementTree.ParseError as error:
        raise ConfigFileError(path, error.position[0], f"not valid XML: {error}", _REMEDY) from error
    if root.tag != "config":
        raise ConfigFileError(path, None, f"its outermost element is <{root.tag}>, not <config>", _REMEDY)
    return root


def _parameters(element: ElementTree.Element, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every parameter with the modules and sets around it; sets of one type are numbered in their order."""
    numbers: dict[str, int] = {}
    for child in element:
        if child.tag == "param":
            yield (*names, child.get("name", "")), child.get("value", "")
        elif child.tag == "module":
            yield from _parameters(child, (*names, child.get("name", "")))
        elif child.tag == "parameterset":
            kind = child.get("type", "")
            numbers[kind] = number = numbers.get(kind, 0) + 1
            yield from _parameters(child, (*names, f"{kind} {number}"))
        else:
            yield (*names, child.tag), ElementTree.tostring(child, encoding="unicode").strip()
