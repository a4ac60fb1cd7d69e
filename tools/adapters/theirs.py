"""What ActivitySim's own reader gives; runs in an environment that has ActivitySim: ``theirs.py QUESTIONS ANSWERS``.

The questions are a JSON list of ``[folders, names of settings files, names of other files]``. An answer is, for each
name, the `repr` of what is read, or ``refused``; and for each other file the place where it is found.
"""

import contextlib
import io
import json
import logging
import sys
from pathlib import Path
from typing import Any


def answer(folders: list[str], settings: list[str], others: list[str]) -> list[dict[str, str]]:
    """What ActivitySim reads and finds."""
    from activitysim.core.configuration import FileSystem

    try:
        files = FileSystem(configs_dir=tuple(folders), data_dir=tuple(folders[:1]), data_model_dir=tuple(folders[:1]))
    except ValueError:
        return [dict.fromkeys(settings, "refused"), dict.fromkeys(others, "")]
    return [
        {name: read(files, name) for name in settings},
        {name: str(files.get_config_file_path(name, mandatory=False) or "") for name in others},
    ]


def read(files: Any, name: str) -> str:
    """The settings of a name, or that they are refused."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            found = files.read_settings_file(name, mandatory=False)
        except (Exception, SystemExit):  # noqa: BLE001  whatever it is, the model does not run
            return "refused"
    sources = [str(path) for path in found.pop("source_file_paths", [])]
    return shown((found, sources))


def shown(value: Any) -> str:
    """A `repr` that does not depend on the order of sets, which differs between processes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(map(shown, value))})"
    return f"set({sorted(map(repr, value))})" if isinstance(value, set) else repr(value)


def main(questions: Path, answers: Path) -> None:
    """Answer all questions."""
    logging.disable(logging.CRITICAL)
    answers.write_text(json.dumps([answer(*question) for question in json.loads(questions.read_text())]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
