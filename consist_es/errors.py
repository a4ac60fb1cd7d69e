"""The one error tree. Every message says what was wrong, where, and what to do.

::

    ConsistError
    ├── LogError                      the log on disk
    │   ├── LogCorruptError           damage before good records; nothing is written until it is repaired
    │   ├── LogWriteError             an append failed; nothing of it is visible
    │   │   └── LogFullError          … because the disk or quota is full
    │   ├── LogLockError              the lock file could not be locked
    │   ├── LogFormatError            written by a newer library, or not a log at all
    │   ├── LogMismatchError          a cursor that does not belong to this log, or a log that was swapped
    │   ├── LogReadError              the operating system could not read it
    │   │   └── LogServerError        … or the server that keeps it is away, or refuses
    │   ├── LogTamperedError          does not match an earlier tree head
    │   ├── LogEngineError            a task that this kind of log has no way to do
    │   ├── LogClosedError            a write to a log that was moved to another place
    │   └── LogReadOnlyError          a write to a log opened for reading
    │       └── LogRightError         … or by a role of the server without the right
    ├── ViewError                     the SQLite views
    │   ├── NotOurDatabaseError       the file at db_path belongs to another program
    │   ├── ViewAccessError           they cannot be written: permissions, or another program's lock
    │   ├── ViewRoomError             no room for them, or their disk fails
    │   └── ViewContentError          a row that does not come from an event
    ├── ProjectNotFoundError          the command line found no project
    ├── SignatureError                a tree head that cannot be signed, or an invalid signature
    ├── UsageError (ValueError)       an argument's value
    │   ├── OptionError               not one of the allowed values
    │   ├── KeyNameError              an invalid artifact key
    │   ├── InvalidNameError          an invalid run id, step, model or tag name
    │   ├── InputError                an input that cannot be found, read or hashed
    │   ├── ContentHashError          a content_hash that is not that of the bytes
    │   ├── ConfigValueError          a config value out of bounds
    │   ├── ConfigFileError           a configuration file that an adapter cannot read
    │   ├── AdapterError              a config adapter that breaks its contract, or does not exist
    │   ├── LimitError                something larger than the log's limits
    │   ├── PathError                 a path that leaves the place it must stay in
    │   ├── LogPlaceError             a place where no log can be kept
    │   │   └── ServerAddressError    a URL of a server that names no project, or holds a password
    │   ├── OutputSetError            an output set that is not as it was declared
    │   ├── ExportError               an export that cannot be made, or not there
    │   ├── CopyError                 a log that cannot be copied to that place
    │   ├── ImportStoreError          a record of another program that cannot be imported
    │   ├── MergeError                a log that cannot be merged into that one
    │   ├── ArchiveError              a segment of the log that cannot be archived
    │   ├── TreeHeadError             a file that is not a tree head, or not of this log
    │   ├── ProofError                something that cannot be proved with the tree head
    │   ├── RedactionError            a payload that cannot be redacted
    │   ├── BindingError              inputs that cannot be given to the function
    │   ├── AcceptanceError           a change that cannot be accepted, or a missing acceptance
    │   ├── RuntimeArgumentError      required runtime kwargs that are missing
    │   ├── TntpError                 a traffic network file (of the demo) that cannot be read
    │   └── AssignmentError           traffic (of the demo) that cannot be assigned to its network
    ├── UsageTypeError (TypeError)    an argument's type
    │   ├── CallError                 arguments that do not fit the step's function
    │   ├── AdapterTypeError          not a config adapter, or one that returns a wrong type
    │   └── ConfigTypeError           a config value without a canonical form
    ├── MissingKeyError (KeyError)    a name that does not exist; lists those that do
    ├── StateError (RuntimeError)     the right call at the wrong time
    │   ├── NoActiveRunError          a helper that needs a run, called outside one
    │   ├── NoTrackerError            neither a tracker nor a default one
    │   ├── NoScenarioError           a process that was not started for a scenario, or for another one's
    │   ├── RunActiveError            a step started inside another one
    │   ├── ClosedError               a context used after it ended
    │   ├── AccessModeError           writing with access_mode other than "standard"
    │   ├── WorkerDiffersError        a worker of a sweep that would run other code, or cannot import it
    │   └── CodeIdentityUnavailableError   code that no mode can identify
    ├── SweepError (RuntimeError)     rows of a sweep failed or were lost; has all rows


    ├── NotProvidedError (NotImplementedError)   a name of LBNL's consist that only stands for what it was
    ├── OutputError (RuntimeError)    outputs missing or mismatched under policy "error"
    │   └── RequiredOutputsError      a scenario ended without its required outputs
    ├── ProgramError                  a program that `consist_es.call` started failed, or could not be started
    ├── ContainerError                an engine of containers that is not there, or does not answer
    │   └── ImageMissingError         an image that the engine does not have
    ├── StepLogMissingError (FileNotFoundError)   what a step printed is not there any more
    ├── DryRunStop                    a dry run came to something that only a real run knows
    ├── MaterializeError (RuntimeError)   a verified copy that could not be made
    ├── ReturnTypeError (TypeError)   a step returned a value that cannot be recorded
    ├── LoadError (ValueError)        an artifact that no driver can load
    │   ├── ArtifactMissingError (FileNotFoundError)
    │   └── MissingExtraError (ImportError)
    └── ConsistWarning (UserWarning)  not an error: base of all warnings of this library
"""

import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from consist_es.text import shortened, shown

_LINES = 20
"""Lines of a program's output that a message shows."""


class ConsistError(Exception):
    """Base of every error that this library raises on purpose. Its text is safe to print, whatever names are in it."""

    def __str__(self) -> str:
        return shown(super().__str__())


class ConsistWarning(UserWarning):
    """Base of every warning of this library. Its text is safe to print, whatever names are in it."""

    def __str__(self) -> str:
        return shown(super().__str__())


# ---------------------------------------------------------------- log


class LogError(ConsistError):
    """Something is wrong with the log on disk."""


class LogCorruptError(LogError):
    """The log is damaged, and not only by an unfinished last record."""

    def __init__(
        self,
        segment: object,
        offset: int,
        problem: str,
        *,
        after: int | None = None,
        beyond: int | None = None,
        remedy: str = "If there is no copy, `consist-es repair` shows what can be kept.",
    ) -> None:
        self.segment, self.offset, self.problem, self.after, self.beyond = segment, offset, problem, after, beyond
        good = "" if after is None else f" Everything up to position {after} is good"
        more = "" if beyond is None else f"; after the damage, {beyond} more can be read in that file"
        super().__init__(
            f"The log is damaged: {segment}, byte {offset}: {problem}.{good}{more}{'.' if good else ''} Nothing was "
            f"changed. Run `consist-es verify` for the whole picture, and restore the file from a copy. {remedy}"
        )


class LogWriteError(LogError):
    """An append failed; none of its events is visible."""

    def __init__(self, path: object, problem: object, *, hint: str = "Try again once the cause is gone.") -> None:
        self.path, self.problem, self.hint = path, problem, hint
        self.kept: tuple[str, ...] = ()
        """Paths of the outputs of the run that could not be recorded, if any."""
        super().__init__(self._text("Outputs already on disk are kept."))

    def _text(self, outputs: str) -> str:
        return f"Not recorded: writing {self.path} failed: {self.problem}. {outputs} {self.hint}"

    def keep(self, run: str, places: Sequence[str]) -> None:
        """Add to the message where the outputs of the affected run are, and that they are kept."""
        if not places:
            return
        self.kept = tuple(places)
        said = (
            f"Outputs of {run!r} are kept at {', '.join(places)}; called again, the step writes new ones beside them."
        )
        self.args = (self._text(said),)


class LogFullError(LogWriteError):
    """An append failed because the disk, quota or file size limit is reached."""

    def __init__(self, path: object, needed: int, problem: object) -> None:
        self.needed = needed
        super().__init__(
            path, problem, hint=f"{needed} bytes were needed: make room and call again; the log is unharmed."
        )


class LogLockError(LogError):
    """The log's lock could not be acquired."""

    def __init__(self, path: object, problem: object, remedy: str = "") -> None:
        self.path, self.problem = path, problem
        remedy = remedy or "Is the folder on a file system without flock? Put the project on a local disk."
        super().__init__(f"Cannot lock {path}: {problem}. {remedy} Nothing was recorded.")


class LogFormatError(LogError):
    """The file is not a log of this library, or of a version that it cannot read."""

    def __init__(self, message: str, *, newer: bool = False) -> None:
        self.newer = newer
        super().__init__(message)


class LogReadError(LogError):
    """The operating system could not read the log."""

    def __init__(self, path: object, problem: object) -> None:
        self.path, self.problem = path, problem
        super().__init__(
            f"Cannot read the log {path}: {problem}. Nothing was changed: check permissions and disk, and try again."
        )


class LogServerError(LogReadError):
    """The server that keeps the log is away, or refuses."""

    def __init__(self, place: object, problem: object) -> None:
        self.path, self.problem = place, problem
        LogError.__init__(
            self,
            f"Cannot read the log {place}: {problem}. Nothing was changed. Check that the server runs and can be "
            "reached from here, and that your role may connect (`psql` with the same address); then try again.",
        )


class LogMismatchError(LogError):
    """A remembered position is not in the log: events after it were lost, or it is another log."""

    def __init__(self, where: object, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(
            f"{where} is not the log that it was: {problem}. "
            "Open the project again; views made from the earlier state rebuild themselves."
        )


class LogTamperedError(LogError):
    """The log does not match an earlier tree head."""

    def __init__(self, folder: object, problem: str) -> None:
        self.folder, self.problem = folder, problem
        super().__init__(
            f"{folder} is not the log that it was: {problem}. Nothing was changed. Compare it with the tree heads that "
            "you keep elsewhere (`consist-es verify --against FILE`), and restore the log from a copy. If you went "
            "back to an older copy on purpose, move its folder `checkpoints` away."
        )


class LogReadOnlyError(LogError):
    """The log was opened for reading, or is in a folder that cannot be written to."""

    def __init__(self, path: object) -> None:
        self.path = path
        super().__init__(
            f"The log {path} is read-only here: it can be queried, but nothing can be recorded, which a step needs "
            "even if it is reused. Get write permission for the folder, or work on a copy of the project."
        )


class LogClosedError(LogError):
    """The log was moved to another place, and is not written to any more."""

    def __init__(self, path: object, to: str) -> None:
        self.path, self.to = path, to
        super().__init__(
            f"The log {path} was moved to {to}, and is closed: it can be read, but nothing can be recorded in it. "
            f"Nothing was recorded. Go on there: give {to} as Tracker(log=…), CONSIST_ES_LOG or --project."
        )


class LogRightError(LogReadOnlyError):
    """The role may not do that in the log on this server."""

    def __init__(self, place: object, problem: object) -> None:
        self.path, self.problem = place, problem
        LogError.__init__(
            self,
            f"Not recorded in the log {place}: {problem}. Nothing was changed. The owner of the database gives rights "
            "with `consist-es db grant`.",
        )


class LogEngineError(LogError):
    """The task needs a log in files, and this one is kept in another way."""

    def __init__(self, place: object, task: str) -> None:
        self.place, self.task = place, task
        super().__init__(
            f"The log {place} is not kept in files of this machine, which `{task}` works on. Nothing was changed. "
            f"Do it where it is kept, or use `{task}` on a copy of it in a folder."
        )


# ---------------------------------------------------------------- views, project


class ViewError(ConsistError):
    """Something is wrong with the SQLite views; they can always be rebuilt with `consist-es replay`."""


class NotOurDatabaseError(ViewError):
    """The file at `db_path` is not a database of this library, and has no log beside it; or it is a folder."""

    def __init__(self, path: object, log: object, what: str) -> None:
        self.path, self.log, self.what = path, log, what
        why = "" if what == "a folder" else f", and there is no log at {log}"
        super().__init__(
            f"{path} is {what}, not a consist-es database{why}. "
            "The file was left untouched: give db_path another name, or move the file away."
        )


class ViewAccessError(ViewError):
    """The view file cannot be written now: permissions, a lock held by another program, or no locks at all."""

    ACTION = "close programs that have the file open for editing, or give db_path a folder that can be written"

    def __init__(self, path: object, problem: object, action: str = ACTION) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"The views in {path} cannot be written: {problem}. The log is unharmed: {action}.")


class ViewRoomError(ViewError):
    """There is no room for the views, or their disk fails. The log may have room."""


class ViewContentError(ViewError):
    """A row of the views does not come from an event: it was changed by SQL."""

    def __init__(self, found: object, problem: object) -> None:
        self.found, self.problem = found, problem
        super().__init__(
            f"A row of the views holds {found}, which no event put there ({problem}). The log is unharmed: "
            "`consist-es replay` rebuilds the views from it."
        )


class ProjectNotFoundError(ConsistError):
    """The command line found no project, or more than one."""


class SignatureError(ConsistError):
    """A tree head cannot be signed, or its signature is invalid."""


# ---------------------------------------------------------------- arguments


class UsageError(ConsistError, ValueError):
    """An argument has a value that cannot be used."""


class OptionError(UsageError):
    """An option has a value outside its list."""

    def __init__(self, name: str, value: object, allowed: Iterable[object]) -> None:
        self.name, self.value, self.allowed = name, value, tuple(allowed)
        listed = ", ".join(repr(item) for item in self.allowed)
        super().__init__(f"{name}={value!r} is not allowed: use one of {listed}.")


class KeyNameError(UsageError):
    """A name breaks the rules for artifact keys."""

    def __init__(self, key: str, problem: str, *, what: str = "artifact key") -> None:
        self.key, self.problem = key, problem
        shown = shortened(key, 60)
        super().__init__(
            f"{shown!r} is not a valid {what}: {problem}. Use 1 to 256 ASCII letters, digits and _ . : / -, "
            "beginning with a letter, digit or underscore, without '..' and '//'."
        )


class InvalidNameError(UsageError):
    """A run id, step, model or tag name cannot be used."""

    def __init__(self, what: str, name: str, problem: str) -> None:
        self.what, self.name, self.problem = what, name, problem
        shown = shortened(name, 60)
        super().__init__(f"{what}={shown!a} cannot be used: {problem}. Use 1 to 256 printable characters.")


class InputError(UsageError):
    """An input cannot be found, read or hashed; no key was made from it."""


class ContentHashError(UsageError):
    """A claimed `content_hash` is not that of the bytes, or could not be checked though that was asked for.

    `found` is the digest of the bytes; None if the claim could not be checked.
    """

    def __init__(self, key: str, path: str, claimed: str, found: str | None) -> None:
        self.key, self.path, self.claimed, self.found = key, path, claimed, found
        what = f"is not the digest of {path}, which is {found}. Leave it out, or write the file that it is of"
        if found is None:
            what = f"cannot be checked against {path}: give a digest of this library or a SHA-256 of an existing file"
        super().__init__(f"content_hash={claimed!r} of artifact {key!r} {what}.")


class ConfigValueError(UsageError):
    """A config value is out of bounds."""


class ConfigFileError(UsageError):
    """A configuration file is not in its format; `line` is None if no single line is at fault."""

    def __init__(self, path: object, line: int | None, problem: str, remedy: str = "") -> None:
        self.path, self.line, self.problem = path, line, problem
        where = f"{path}" if line is None else f"{path}, line {line}"
        name = PurePath(str(path)).name
        remedy = remedy or f"Correct it, or let it count by its bytes: FolderAdapter(…, formats={{{name!r}: 'bytes'}})."
        super().__init__(f"{where}: {problem}. {remedy}")


class AdapterError(UsageError):
    """A config adapter breaks its contract, or there is none of that name."""

    def __init__(self, adapter: str, problem: str, remedy: str) -> None:
        self.adapter, self.problem = adapter, problem
        super().__init__(f"Config adapter {adapter!r}: {problem}. {remedy}")


class LimitError(UsageError):
    """Something exceeds the log's limits; nothing of it was recorded."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(
            f"{what} has {size:,} bytes; the limit is {limit:,}. "
            "Write large values to a file and log it as an artifact instead."
        )


class PathError(UsageError):
    """A path leaves the folder that it must stay in."""


class ExportError(UsageError):
    """An export cannot be made, or not in the place that was named."""

    def __init__(self, what: object, problem: str, *, names: Iterable[str] = ()) -> None:
        self.what, self.problem, self.names = what, problem, tuple(names)
        """`names`: options that are missing."""
        super().__init__(f"{what} was not written: {problem}.")


class LogPlaceError(UsageError):
    """A place where no log can be kept."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        super().__init__(
            f"{scheme}://… is no place for a log. Give a path, for the folder NAME.events beside the database NAME.db, "
            "or postgresql://host/database#project."
        )


class ServerAddressError(LogPlaceError):
    """A URL of a server that names no project, or holds a password. The message does not repeat it."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.scheme, self.problem = "postgresql", problem
        UsageError.__init__(self, f"This address of a log on a server cannot be used: {problem}. {remedy}")


class CopyError(UsageError):
    """A log cannot be copied to that place."""

    def __init__(self, source: object, target: object, problem: str) -> None:
        self.source, self.target, self.problem = source, target, problem
        super().__init__(
            f"{source} cannot be copied to {target}: {problem}. Nothing was changed. A copy goes to a place without "
            "a log, or goes on with an older copy of the same log."
        )


class ImportStoreError(UsageError):
    """A record of another program cannot be imported."""

    def __init__(self, place: PurePath, reason: str, *, busy: bool = False) -> None:
        what = "Close the program that has it open" if busy else "Give a DuckDB file of consist, or a run directory"
        super().__init__(f"{place} cannot be imported: {reason}. {what}. Nothing was recorded.")


class MergeError(UsageError):
    """A log cannot be merged into that one."""

    def __init__(self, source: object, target: object, problem: str, remedy: str) -> None:
        self.source, self.target, self.problem = source, target, problem
        super().__init__(f"{source} cannot be merged into {target}: {problem}. Nothing of it was appended. {remedy}")


class TreeHeadError(UsageError):
    """A file is not a tree head, or not one of this log."""

    def __init__(self, where: object, problem: str, remedy: str = "") -> None:
        self.where, self.problem = where, problem
        remedy = remedy or "Give a file that `consist-es checkpoint` wrote for this project."
        super().__init__(f"{where}: {problem}. {remedy}")


class ProofError(UsageError):
    """Something cannot be proved with the tree head."""


class ArchiveError(UsageError):
    """A segment of the log cannot be archived; it stays where it was."""

    def __init__(self, segment: str, place: object, problem: str) -> None:
        self.segment, self.place, self.problem = segment, place, problem
        super().__init__(
            f"{segment} cannot be archived in {place}: {problem}. The segment stays where it was, and so do those "
            "after it. Nothing is lost: put that right and run the command again."
        )


class RedactionError(UsageError):
    """A payload cannot be redacted; nothing was changed."""

    def __init__(self, position: int, problem: str, remedy: str) -> None:
        self.position, self.problem = position, problem
        super().__init__(f"Position {position} cannot be redacted: {problem}. {remedy} Nothing was changed.")


class BindingError(UsageError):
    """Inputs cannot be given to the step's function as asked."""


class OutputSetError(UsageError):
    """An output set is not as it was declared."""


class AcceptanceError(UsageError):
    """A change cannot be accepted as harmless, or there is no acceptance to revoke; nothing was recorded."""

    def __init__(self, run: str, problem: str, remedy: str) -> None:
        self.run, self.problem = run, problem
        super().__init__(f"accept({run!r}): {problem}. {remedy}")


class RuntimeArgumentError(UsageError):
    """Runtime arguments that the step requires are missing."""


class TntpError(UsageError):
    """A file breaks the TNTP format; `line` is None if no single line is at fault."""

    def __init__(self, path: object, line: int | None, problem: str, expected: str) -> None:
        self.path, self.line, self.problem, self.expected = path, line, problem, expected
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {problem}. Expected: {expected}.")


class AssignmentError(UsageError):
    """The demo's traffic cannot be assigned to its network as asked."""


class UsageTypeError(ConsistError, TypeError):
    """An argument has a type that cannot be used."""


class CallError(UsageTypeError):
    """The step's function cannot be called with the available arguments; found before anything is recorded."""

    def __init__(self, step: str, problem: str) -> None:
        self.step, self.problem = step, problem
        super().__init__(
            f"Step {step!r} cannot be called: {problem}. Parameters are supplied by name from inputs, input_keys, "
            "config, year/iteration/phase/stage and runtime_kwargs."
        )


class AdapterTypeError(UsageTypeError):
    """The value of adapter= is not an adapter, or it returned a wrong type."""


class ConfigTypeError(UsageTypeError):
    """A config value has no canonical form; the message names the path to it."""


class MissingKeyError(ConsistError, KeyError):
    """A name does not exist; the message lists those that do."""

    def __init__(self, what: str, key: object, available: Iterable[Any], hint: str = "") -> None:
        self.what, self.key, self.available = what, key, sorted(map(str, available))
        listed = ", ".join(map(repr, self.available)) or "none"
        super().__init__(f"No {what} {key!r}. Available: {listed}." + (f" {hint}" if hint else ""))

    def __str__(self) -> str:  # KeyError shows the repr of its argument
        return shown(self.args[0])


# ---------------------------------------------------------------- state


class StateError(ConsistError, RuntimeError):
    """The right call at the wrong time."""


class NoActiveRunError(StateError):
    """A helper that needs an active run was called outside one, or several runs may be meant."""

    def __init__(self, call: str, several: Iterable[str] = ()) -> None:
        self.call, self.several = call, tuple(several)
        what = "needs a run. No active Consist run found: call it inside a step, or inside `with ….trace(...)`."
        if self.several:
            names = ", ".join(map(repr, self.several))
            what = f"could mean any of the runs that are executing: {names}. Pass on the step's own RunContext."
        super().__init__(f"{call} {what}" + _of_thread("the step", ", or call it before and pass on its result"))


class NoTrackerError(StateError):
    """No tracker was given, and there is no default tracker."""

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__(
            f"{call} needs a tracker: pass tracker=…, wrap the code in `with consist.use_tracker(tracker):`, "
            "or call consist.set_current_tracker(tracker)." + _of_thread("the default tracker")
        )


def _of_thread(what: str, otherwise: str = "") -> str:
    """The remedy in a thread that the user started, as it begins with an empty context (PEP 567); otherwise ""."""
    thread = threading.current_thread()
    if thread is threading.main_thread():
        return ""
    return (
        f" This is thread {thread.name!r}, which does not know {what} of the thread that started it: start its work as "
        f"contextvars.copy_context().run(function, ...), one copy per thread{otherwise}."
    )


class RunActiveError(StateError):
    """A step was started while another one is executing in the same thread or task."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"Run {run_id!r} is still executing: a step cannot start inside another step's function or trace block. "
            "Start it after that one has ended."
        )


class NoScenarioError(StateError):
    """A handle of a scenario that is missing or cannot be used."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"{problem} Start the process with CONSIST_ES_CONTEXT set to `sc.handle` of an open scenario, as in "
            "subprocess.run(…, env={**os.environ, 'CONSIST_ES_CONTEXT': sc.handle})."
        )


class ClosedError(StateError):
    """A scenario or run context was used outside its `with` block."""


class AccessModeError(StateError):
    """A read-only tracker was asked to record."""

    def __init__(self, mode: str, call: str) -> None:
        self.mode, self.call = mode, call
        super().__init__(f"{call} records, but this tracker was opened with access_mode={mode!r}: use 'standard'.")


class CodeIdentityUnavailableError(StateError):
    """The step's code cannot be identified in the requested mode."""

    def __init__(self, mode: str, reason: str, guidance: str) -> None:
        self.mode, self.reason, self.guidance = mode, reason, guidance
        super().__init__(f"Code identity {mode!r} is not available: {reason}. {guidance}")


# ---------------------------------------------------------------- outputs, loading


class WorkerDiffersError(StateError):
    """A worker of a sweep would run other code than the process that asked for it, or cannot load it."""

    def __init__(self, step: str, where: str, problem: str, remedy: str = "Install the same code there.") -> None:
        self.step, self.where, self.problem = step, where, problem
        super().__init__(f"Step {step!r} was not run on {where}: {problem}. {remedy}")


class SweepError(ConsistError, RuntimeError):
    """Rows of a sweep failed or were lost. All other rows are recorded; `result` has every row."""

    def __init__(self, name: str, result: Any, bad: Sequence[Any]) -> None:
        self.result = result
        first = bad[0]
        super().__init__(
            f"Sweep {name!r}: {len(bad)} of {len(result)} rows have no result. The first one, {first.id!r}, is "
            f"{first.status}: {first.error}. The others are recorded, and in `result` of this error: the same call "
            "again runs the missing ones alone; on_error='keep' returns what there is."
        )


class NotProvidedError(ConsistError, NotImplementedError):
    """A name of LBNL's consist that can be imported was used, and has no counterpart here."""

    def __init__(self, name: str, instead: str | None) -> None:
        self.name, self.instead = name, instead
        remedy = f"Instead: {instead}." if instead else "docs/moving.md says what is provided."
        super().__init__(f"{name} is a name of LBNL's consist that consist_es does not provide. {remedy}")


class OutputError(ConsistError, RuntimeError):
    """Outputs are missing or do not match their declaration, and the policy says error."""


class RequiredOutputsError(OutputError):
    """A scenario ended without its required outputs."""

    def __init__(self, scenario: str, missing: Iterable[str]) -> None:
        self.scenario, self.missing = scenario, sorted(missing)
        super().__init__(
            f"Scenario {scenario!r} ended without its required outputs: {', '.join(self.missing)}. "
            "Let a step produce them, or set them in sc.coupler before the block ends."
        )


class DryRunStop(ConsistError):
    """A dry run came to something that only a real run knows, or that would be recorded.

    A trace block ends there, and so does the block of a scenario; outside both it ends the script.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(
            f"The dry run stops here: {what}. To get further, run the model: without dry_run=True, and without "
            "CONSIST_ES_DRY_RUN in the environment."
        )


class MaterializeError(ConsistError, RuntimeError):
    """A verified copy of an artifact could not be made; no partial copy is left at the target."""

    def __init__(self, key: str, target: object, problem: str) -> None:
        self.key, self.target, self.problem = key, target, problem
        super().__init__(f"Artifact {key!r} cannot be copied to {target}: {problem}.")


class ProgramError(ConsistError):
    """A program that `consist_es.call` started failed: its exit code is not 0, it took too long or could not start."""

    def __init__(self, command: str, problem: str, tail: str) -> None:
        self.command, self.problem, self.tail = command, problem, tail
        Exception.__init__(self, command, problem, tail)

    def __str__(self) -> str:
        lines = [f"A program {self.problem}: {self.command}."]
        printed = self.tail.rstrip().splitlines()[-_LINES:]
        if printed:
            lines += ["It printed last:", *(f"  {shortened(line, 500)}" for line in printed)]
        elif not self.problem.startswith("cannot"):
            lines[0] += " It printed nothing."
        return "\n".join(map(shown, lines))


class ContainerError(ConsistError):
    """The engine of a container is not there, does not answer, or cannot take the image."""


class ImageMissingError(ContainerError):
    """The engine does not have the image of a container. Nothing is pulled unasked."""

    def __init__(self, image: str, engine: str, remedy: str, problem: str = "is not here") -> None:
        self.image, self.engine, self.remedy = image, engine, remedy
        super().__init__(f"Image {image!r} {problem}, as {engine} says. Get it with: {remedy}")


class StepLogMissingError(ConsistError, FileNotFoundError):
    """The file with what a step printed is not there any more."""

    def __init__(self, run: str, path: object, problem: str) -> None:
        self.run, self.path, self.problem = run, path, problem
        Exception.__init__(self, run, path, problem)

    def __str__(self) -> str:
        return shown(
            f"What run {self.run!r} printed cannot be read: {self.path}: {self.problem}. If the file was deleted, put "
            "a copy there; nothing else depends on it."
        )


class ReturnTypeError(ConsistError, TypeError):
    """A step returned a value that cannot be recorded as an output."""


class LoadError(ConsistError, ValueError):
    """No driver can load this artifact."""


class ArtifactMissingError(LoadError, FileNotFoundError):
    """The artifact's bytes are not where they were recorded."""


class MissingExtraError(LoadError, ImportError):
    """Loading needs a package that is not installed."""

    def __init__(self, what: str, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{what} needs {package}: pip install 'consist-es[{extra}]'.")


def warn(text: str) -> None:
    """Issue a `ConsistWarning` attributed to the line of the user's code that called this library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "consist_es":
        frame, level = frame.f_back, level + 1
    warnings.warn(text, ConsistWarning, stacklevel=level)
