"""Writes a config folder, or file, in front of a model's own that changes some of its values."""

import copy
import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consist_es.adapters.activitysim import ActivitySimAdapter
from consist_es.adapters.beam import BeamAdapter
from consist_es.adapters.config_tree import Tree
from consist_es.errors import MissingKeyError, UsageError

Settings = Mapping[str, Mapping[str, Any]]


def changed_activitysim(
    adapter: ActivitySimAdapter,
    folder: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    coefficients: Settings | None = None,
) -> ActivitySimAdapter:
    """The adapter with one more config folder in front, written here.

    `settings`: file -> key -> value, with dots for keys inside of mappings; `coefficients`: file -> name -> value.

    Raises:
        MissingKeyError: the model has no such file, key or coefficient. UsageError: the folder has files of others.
        As `ActivitySimAdapter.canonicalize`.
    """
    import yaml  # an extra

    texts: dict[str, str] = {}
    for file, values in (settings or {}).items():
        effective = adapter.settings(file)
        if not effective:
            raise MissingKeyError("settings file", file, _files(adapter), "Settings of the model can be changed.")
        new: dict[Any, Any] = {"inherit_settings": True}
        for path, value in values.items():
            first, *inner = path.split(".")
            if first not in effective:
                raise MissingKeyError("setting", path, [str(key) for key in effective], f"{file} has no such key.")
            new.setdefault(first, copy.deepcopy(effective[first]))
            _set(new, [first, *inner], value, f"{file}: {path}")
        texts[file if file.lower().endswith(".yaml") else f"{file}.yaml"] = yaml.safe_dump(new, sort_keys=False)
    for file, numbers in (coefficients or {}).items():
        found = Tree(adapter.configs, Path.cwd(), adapter.exclude).names.get(file)
        if not found:
            raise MissingKeyError(
                "coefficients file", file, _files(adapter), "Coefficients of the model can be changed."
            )
        texts[file] = _with_numbers(found[0], numbers)
    place = _written(Path(folder), texts)
    return ActivitySimAdapter(
        [place, *adapter.configs],
        adapter.data,
        extensions=adapter.extensions,
        settings_file=adapter.settings_file,
        inputs=adapter.inputs,
        exclude=adapter.exclude,
        run_only=adapter.run_only,
    )


def changed_beam(adapter: BeamAdapter, folder: str | os.PathLike[str], values: Mapping[str, Any]) -> BeamAdapter:
    """The adapter with a file that includes the model's own and sets these values, by path.

    Raises:
        MissingKeyError: the model has no such value. UsageError: the folder has files of others.
        As `BeamAdapter.canonicalize`.
    """
    known = adapter.values()
    for path in values:
        if path not in known and not any(key.startswith(f"{path}.") for key in known):
            raise MissingKeyError("value", path, list(known), f"{adapter.primary} does not set it.")
    place = Path(folder)
    include = os.path.relpath(adapter.primary.absolute(), place.absolute())
    lines = [f"include {json.dumps(include)}", *(f"{path} = {json.dumps(value)}" for path, value in values.items())]
    _written(place, {adapter.primary.name: "\n".join(lines) + "\n"})
    return BeamAdapter(
        place / adapter.primary.name,
        environment=adapter.environment,
        root=adapter._root,
        run_only=adapter.changed,
        inputs=adapter.inputs,
        files=adapter.files,
    )


def _set(place: Any, keys: list[str], value: Any, shown: str) -> None:
    for key in keys[:-1]:
        place = place[_known(place, key, shown)]
    last = keys[-1]
    place[last if last == "inherit_settings" or len(keys) == 1 else _known(place, last, shown)] = value


def _known(place: Any, key: str, shown: str) -> Any:
    """The key of a mapping that has this text."""
    found = {str(known): known for known in place} if isinstance(place, dict) else {}
    if key not in found:
        raise MissingKeyError("setting", shown, list(found), f"There is no {key!r} on its way.")
    return found[key]


def _with_numbers(path: Path, numbers: Mapping[str, Any]) -> str:
    """A table of coefficients with other values in its column ``value``."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    head = next((line for line in lines if not line.startswith("#")), "")
    header = next(csv.reader([head]), [])
    if "value" not in header:
        raise UsageError(f"{path} has no column 'value', so its coefficients cannot be changed by name.")
    column, left = header.index("value"), dict(numbers)
    for index, line in enumerate(lines):
        cells = [] if line.startswith("#") else next(csv.reader([line]), [])
        if cells and cells[0] in left and len(cells) > column:
            cells[column] = str(left.pop(cells[0]))
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerow(cells)
            lines[index] = out.getvalue()
    if left:
        raise MissingKeyError("coefficient", next(iter(left)), [], f"{path} has no such row.")
    return "".join(lines)


def _files(adapter: ActivitySimAdapter) -> list[str]:
    return list(Tree(adapter.configs, Path.cwd(), adapter.exclude).names)


def _written(folder: Path, texts: Mapping[str, str]) -> Path:
    others = [path.name for path in folder.iterdir() if path.name not in texts] if folder.is_dir() else []
    if others:
        raise UsageError(
            f"{folder} has other files ({', '.join(sorted(others)[:5])}): name a folder for these changes only."
        )
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
