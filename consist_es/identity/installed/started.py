"""The programs that a command starts, and the distributions that these are from.

Only metadata is read. A program may belong to another environment than this process.
"""
# Commands are texts, and paths are only part of them.
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
"""Programs that start the one that their arguments name."""
_SEPARATORS = frozenset({";", "&", "&&", "|", "||", "(", ")", "|&", ";;"})
_PYTHON = ("python", "pypy")
_NOT_THE_USERS = ("joblib.externals.loky", "loky.")
"""Begin names of modules that a pool of workers starts by itself."""
_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})
"""Options of Python that a value follows."""


class Origin(msgspec.Struct, frozen=True):
    """A program, and which version it was when it was started."""

    path: str
    """Absolute, or a name that is looked up on the path."""
    arguments: list[str] = []
    """Those that say which one it is: ``-m rates_model``, or a script of Python."""
    package: str | None = None
    """Name of the distribution that it is from and what stands for that: ``rates_model 1.2``; None if it is from none
    that is known."""


def origins(path: str, arguments: Sequence[str], folder: str = "", search: str | None = None) -> list[Origin]:
    """The programs behind a command: itself, and those that a shell or a starter starts for it that are installed.

    `arguments` begin with the program's own name. `folder` is where it runs, `search` the path that names are looked
    up on, if it is not this process's.
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
    """What `Origin.package` would be now."""
    return _package(path, arguments)


def distribution_of_program(path: str | os.PathLike[str], arguments: Iterable[str] = ()) -> Distribution | None:
    """The distribution that a program was installed by; of ``python -m module`` or of a script that Python runs, the
    one that the module or script is from.

    The program may be a name that is looked up on the path.
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
    """The commands of a shell's line, without what is set for them."""
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
    """The words of a shell's line, with the signs between commands."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return command.split()


def _place(program: str, base: str, search: str | None) -> str:
    """Where a program is: its name alone if that is found so on this process's path, or nowhere."""
    if os.path.dirname(program):
        return os.path.abspath(os.path.join(base, program))
    found = shutil.which(program, path=search) if search is not None else None
    return program if found is None or found == shutil.which(program) else os.path.abspath(found)


def _told(path: str, words: list[str], base: str) -> tuple[list[str], str | None]:
    """The arguments that say which program it is, and what that is from."""
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
    """``module`` or ``script`` and its name; ``""`` twice for anything else."""
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
    """The distribution that says that it installed a program; of a script, one with a script of this name that the
    Python in its first line finds."""
    if (found := _recorded_by(program)) is not None or (interpreter := _interpreter(program)) is None:
        return found
    folders = (*_sites_of(program.parent), *_sites_of(interpreter.parent), *_sites_of(interpreter.resolve().parent))
    return next((item for item in _all(folders) if program.stem in item.scripts), None)


def _recorded_by(program: Path) -> Distribution | None:
    return next((item for item in _all(_sites_of(program.parent)) if str(program) in item.programs), None)


def _all(folders: Iterable[Path]) -> Iterator[Distribution]:
    return (item for folder in dict.fromkeys(folders) for item in site_of(str(folder)).distributions.values())


def _interpreter(program: Path) -> Path | None:
    """The Python that a script names in its first line; None for anything else."""
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
    """The distribution of a module that one of these would run; what PYTHONPATH names comes first."""
    given = [Path(os.path.abspath(folder)) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    folders = [*given, *(folder for program in programs for folder in _sites_of(program.parent))]
    found = (site_of(str(folder)).with_module(name) for folder in dict.fromkeys(folders))
    return next((item for item in found if item is not None), None)


def _sites_of(scripts: Path) -> list[Path]:
    """Folders of packages that belong to a folder of programs."""
    prefix = scripts.parent
    unix = (path for lib in ("lib", "lib64") for path in prefix.glob(f"{lib}/python*/*-packages"))
    found = [path for path in (*unix, prefix / "Lib" / "site-packages") if path.name in FOLDERS and path.is_dir()]
    return [*found, *([prefix] if next(metadata_in(prefix), None) is not None else [])]  # ``pip install --target``
