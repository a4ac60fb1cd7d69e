"""Shared by all commands: how they find their project, exit, and report errors."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
from click.shell_completion import CompletionItem

from consist_es.cli.output import note, shown
from consist_es.errors import ConsistError, ConsistWarning

if TYPE_CHECKING:
    from consist_es.log.engine import EventLog
    from consist_es.project.project import Project


NEGATIVE = 1
"""Exit code of a negative answer."""
WRONG = 2
"""Exit code for usage errors and for a project that cannot be used (click's 2)."""
INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit code that a shell reports for a program that wrote to a closed pipe."""

_NO_ROOM = "Make room, and run it again."
_NO_RIGHT = "Run it again with the permission to do that, or on a copy of the project."
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _NO_ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _NO_RIGHT),
}
"""Error number -> remedy, for errors of the operating system that reach the command line."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Commands(MutableMapping[str, click.Command]):
    """Commands by name, each imported when it is asked for: a process needs one of them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._loaded: dict[str, click.Command | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> click.Command:
        if (command := self._loaded[name]) is None:
            module = import_module(f"consist_es.cli.{_PLACES.get(name, name)}")
            attribute = f"{name}_" if iskeyword(name) else name.replace("-", "_")
            command = self._loaded[name] = getattr(module, attribute)
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


_PLACES = {"scenarios": "runs", "artifacts": "runs", "datasette-config": "datasette", "import": "imports"}
"""Command -> its module, if that has another name."""


class Program(click.Group):
    """The group of all commands; reports the library's errors without a traceback."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """As in every group, but with click's own messages escaped for the terminal."""
        with _printable():
            return super().make_context(*args, **kwargs)

    _groups: Mapping[str, Mapping[str, str]] = {}

    @property
    def groups(self) -> Mapping[str, Mapping[str, str]]:
        """Heading -> command -> what it does in a few words, in the order of the help text."""
        return self._groups

    @groups.setter
    def groups(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        self._groups = groups
        self.commands = Commands(name for names in groups.values() for name in names)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in their groups."""
        for heading, names in self.groups.items():
            with formatter.section(heading):
                formatter.write_dl(list(names.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names of commands, and options, that begin so."""
        told = {name: text for names in self.groups.values() for name, text in names.items()}
        found = [CompletionItem(name, help=told[name]) for name in sorted(told) if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; warnings, log records and errors are printed as notes."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", ConsistWarning)
            warnings.showwarning = _show_warning
            try:
                with _printable(), _noted():
                    value = super().invoke(ctx)
                sys.stdout.flush()
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)
            except BrokenPipeError:
                _close_quietly()
                sys.exit(BROKEN_PIPE)
            except (ConsistError, OSError) as error:
                raise _Refused(error) from error
            return value


@contextmanager
def _printable() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        said = error.format_message()
        if (safe := "\n".join(map(shown, said.split("\n")))) == said:
            raise
        raise click.UsageError(safe, error.ctx) from error


class _Refused(click.ClickException):
    """An error of the library or the operating system, formatted for the command line."""

    exit_code = WRONG

    def __init__(self, error: ConsistError | OSError) -> None:
        super().__init__(_of_system(error) if isinstance(error, OSError) else str(error))

    def show(self, file: Any = None) -> None:
        note(f"Error: {self.message}", "red")


def _of_system(error: OSError) -> str:
    """Text of an operating system's error without its number, with a remedy."""
    if error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f" ({os.fsdecode(error.filename)})"
    return f"{error.strerror}{where}. {_REMEDIES.get(error.errno or 0, 'Run it again once the cause is gone.')}"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    note(f"{'Note' if issubclass(category, ConsistWarning) else category.__name__}: {message}", "yellow")


class _Notes(logging.Handler):
    """Prints the library's log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"Note: {record.getMessage()}", "yellow")


@contextmanager
def _noted() -> Iterator[None]:
    logger, handler = logging.getLogger("consist_es"), _Notes()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _close_quietly() -> None:
    """Redirect stdout to nowhere once its reader is gone, so that the flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# ---------------------------------------------------------------- options, projects


def project_option(command: _Command) -> _Command:
    """``--project PATH``, passed on as the database path of the project; ``--db-path`` is what LBNL's consist says."""
    option = click.option(
        "--project",
        "--db-path",
        "db_path",
        metavar="PATH",
        envvar="CONSIST_ES_PROJECT",
        show_envvar=True,
        callback=lambda _ctx, _param, given: _found(given),
        help="Log folder or database of the project.  [default: the only *.events folder here]",
    )
    return option(command)


def _found(given: str | None) -> Path:
    from consist_es.project.find import find_project  # not for help

    return find_project(given, Path.cwd())


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object to a line.")


def json_forms(command: _Command) -> _Command:
    """``--json`` and ``--nl``; `form` is the one given, or None."""
    for name, text in (("nl", "Print JSON, one object to a line."), ("json", "Print one JSON document.")):
        command = click.option(f"--{name}", "form", flag_value=name, help=text)(command)
    return command


json_document = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@contextmanager
def opened(db_path: Path, *, read_only: bool = True) -> Iterator[Project]:
    """The project; with `read_only` nothing is ever added to its log."""
    from consist_es.project.project import Project  # not for help and completion

    project = Project(db_path, read_only=read_only)
    project.show_bars()
    try:
        yield project
    finally:
        project.close()


def place_of(log: EventLog) -> str:
    """Where a log is, short."""
    return shown(log.place) if log.folder is None else short(log.folder)


def short(path: Path) -> str:
    """A path relative to the working directory if it lies below it."""
    with contextlib.suppress(ValueError):
        return shown(path.relative_to(Path.cwd()))
    return shown(path)
