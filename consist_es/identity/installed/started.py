"""Finds the programs that a command starts, and the distributions they are from.

Reads metadata only. A program may belong to another environment than this process.
"""
# Commands are strings, and paths are only part of them.
# ruff: noqa: PTH118, PTH119, PTH120

import itertools
import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from consist_es.identity.installed.packages import (
    FOLDERS,
    Distribution,
    distribution_of_file,
    metadata_in,
    refresh,
    site_of,
)

SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "cmd.exe"})
_STARTERS = frozenset(
    {"env", "nice", "time", "timeout", "nohup", "stdbuf", "sudo", "xargs", "taskset", "numactl", "ionice", "exec"}
    | {"mpirun", "mpiexec", "srun", "uv", "uvx", "pipx", "poetry", "pipenv", "pdm", "hatch", "conda", "mamba"}
    | {"micromamba", "xvfb-run", "coverage", "parallel"}
)
"""Programs that start the one named by their arguments."""
_SEPARATORS = frozenset({";", "&", "&&", "|", "||", "(", ")", "|&", ";;"})
_PYTHON = ("python", "pypy")
_NOT_THE_USERS = ("joblib.externals.loky", "loky.")
"""Prefixes of modules that a pool of workers starts by itself."""
_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
"""Options of Python with a value after them."""


class Origin(msgspec.Struct, frozen=True):
    """A program and its version when it was started."""

    path: str
    """Absolute, or a name to look up on the path."""
    arguments: list[str] = []
    """The arguments that identify it: ``-m rates_model``, or a script of Python."""
    package: str | None = None
    """Name and state of its distribution: ``rates_model 1.2``; None if none is known."""


def origins(path: str, arguments: Sequence[str], folder: str = "", search: str | None = None) -> list[Origin]:
    """The programs behind a command: itself, and the installed ones that a shell or a starter starts for it.

    `arguments` begin with the program's own name. `folder` is its working folder, `search` the path to look names up
    on, if it is not this process's.
    """
    base = folder or os.curdir
    found: dict[str, Origin] = {}
    for number, (program, words) in enumerate(_commands(path, list(arguments[1:]))):
        place = _place(program, base, search)
        origin = Origin(place, *_told(place, words, base))
        if number == 0 or origin.package is not None:
            found.setdefault(repr(origin), origin)
    return list(found.values())


def package_now(path: str, arguments: Sequence[str]) -> str | None:
    """The present value of `Origin.package`."""
    return _package(path, arguments)


def distribution_of_program(path: str | os.PathLike[str], arguments: Iterable[str] = ()) -> Distribution | None:
    """The distribution that installed a program; for ``python -m module`` or a script run by Python, the one of the
    module or script.

    The program may be a name to look up on the path.
    """
    refresh()
    asked = Path(os.path.abspath(shutil.which(path) or path))
    given = list(map(str, arguments))
    candidates = list(dict.fromkeys((asked, asked.resolve())))
    if asked.name.startswith(_PYTHON):
        kind, name = _run_by_python(given)
        if kind == "module":
            return _with_module(name, candidates)
        if kind == "script":
            script = Path(os.path.abspath(name))
            return distribution_of_file(str(script)) or _recorded_by(script)
        return None
    return next((item for program in candidates if (item := _installed_by(program)) is not None), None)


# ---------------------------------------------------------------- commands


def _commands(path: str, words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each program that a command may start, with its arguments."""
    yield path, words
    name = os.path.basename(path)
    if name in SHELLS:
        texts = [after for word, after in itertools.pairwise(words) if word in ("-c", "-lc", "/c")]
        for text in texts[:1]:
            for command in _simple(split(text)):
                yield from _commands(command[0], command[1:])
    elif name in _STARTERS:
        for number, word in enumerate(words):
            if word == "-m":
                yield "python", words[number:]
            elif word and not word.startswith("-") and "=" not in word and name != word:
                yield from _commands(word, words[number + 1 :]) if word in SHELLS else [(word, words[number + 1 :])]


def _simple(words: Iterable[str]) -> Iterator[list[str]]:
    """The commands in a shell line, without variable assignments before them."""
    command: list[str] = []
    for word in (*words, ";"):
        if word in _SEPARATORS:
            if command:
                yield command
            command = []
        elif command or not _sets_variable(word):
            command.append(word)


def _sets_variable(word: str) -> bool:
    return "=" in word and word.partition("=")[0].isidentifier()


def split(command: str) -> list[str]:
    """The words of a shell line, including the separators between commands."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return command.split()


def _place(program: str, base: str, search: str | None) -> str:
    """Path of a program; its bare name if this process's path leads to the same one, or if it is not found."""
    if os.path.dirname(program):
        return os.path.abspath(os.path.join(base, program))
    found = shutil.which(program, path=search) if search is not None else None
    return program if found is None or found == shutil.which(program) else os.path.abspath(found)


def _told(path: str, words: list[str], base: str) -> tuple[list[str], str | None]:
    """The identifying arguments of a program, and its package."""
    if not os.path.basename(path).startswith(_PYTHON):
        return [], _package(path, [])
    kind, name = _run_by_python(words)
    told = {"module": ["-m", name], "script": [os.path.abspath(os.path.join(base, name))]}.get(kind, [])
    package = _package(path, told) if told else None
    return (told, package) if package is not None else ([], None)


def _package(path: str, arguments: Iterable[str]) -> str | None:
    found = distribution_of_program(path, arguments)
    return None if found is None else f"{found.name} {found.state}"


def _run_by_python(words: Sequence[str]) -> tuple[str, str]:
    """(``module`` or ``script``, its name); two ``""`` for anything else."""
    waiting = iter(words)
    for word in waiting:
        if word.startswith("-m"):
            name = word[2:] or next(waiting, "")
            return ("module", name) if name and not name.startswith(_NOT_THE_USERS) else ("", "")
        if not word.startswith("-"):
            return "script", word
        if word in ("-", "-c") or word.startswith("-c"):
            break
        if word in _WITH_VALUE:
            next(waiting, "")
    return "", ""


# ---------------------------------------------------------------- where programs are from


def _installed_by(program: Path) -> Distribution | None:
    """The distribution that recorded a program; else, for a script, one that declares it in the environment of the
    Python in its first line."""
    if (found := _recorded_by(program)) is not None or (interpreter := _interpreter(program)) is None:
        return found
    folders = (*_sites_of(program.parent), *_sites_of(interpreter.parent), *_sites_of(interpreter.resolve().parent))
    return next((item for item in _all(folders) if program.stem in item.scripts), None)


def _recorded_by(program: Path) -> Distribution | None:
    return next((item for item in _all(_sites_of(program.parent)) if str(program) in item.programs), None)


def _all(folders: Iterable[Path]) -> Iterator[Distribution]:
    return (item for folder in dict.fromkeys(folders) for item in site_of(str(folder)).distributions.values())


def _interpreter(program: Path) -> Path | None:
    """The Python in a script's first line; None for anything else."""
    try:
        with program.open("rb") as file:
            first = file.readline(500)
    except OSError:
        return None
    words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
    named = [word for word in words if os.path.basename(word).startswith(_PYTHON)]
    found = shutil.which(named[0]) if named else None
    return None if found is None else Path(os.path.abspath(found))


def _with_module(name: str, programs: Iterable[Path]) -> Distribution | None:
    """The distribution of a module that one of these programs would run; folders of PYTHONPATH come first."""
    given = [Path(os.path.abspath(folder)) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    folders = [*given, *(folder for program in programs for folder in _sites_of(program.parent))]
    found = (site_of(str(folder)).with_module(name) for folder in dict.fromkeys(folders))
    return next((item for item in found if item is not None), None)


def _sites_of(scripts: Path) -> list[Path]:
    """The folders of packages that belong to a folder of programs."""
    prefix = scripts.parent
    unix = (path for lib in ("lib", "lib64") for path in prefix.glob(f"{lib}/python*/*-packages"))
    found = [path for path in (*unix, prefix / "Lib" / "site-packages") if path.name in FOLDERS and path.is_dir()]
    return [*found, *([prefix] if next(metadata_in(prefix), None) is not None else [])]  # ``pip install --target``
