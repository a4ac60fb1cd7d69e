"""All events, grouped by subject.

An event is an immutable fact in the past tense. Its payload is one of the structs below; `Recorded` is the payload
with its position and other facts from the log (the envelope). For the bytes see `log/record.py`.

Rules of evolution: a new field has a default; a changed meaning is a new ``v`` with an upcaster in
`log/record.py`; an event type is never removed. Fields typed ``Any`` or ``dict[str, Any]`` hold plain JSON
values, made by `consist_es.values.plain.to_plain` wherever a user's value enters.
"""

import re
from typing import Any, ClassVar

import msgspec

REGISTRY: dict[tuple[str, int], type["Event"]] = {}
"""(type name, version) -> struct, to decode a stored payload."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all payloads. The type name is the class name in snake_case."""

    TYPE: ClassVar[str]
    V: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.TYPE = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        REGISTRY[cls.TYPE, cls.V] = cls


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a type (or version) that this library does not know: kept, never dropped."""

    type: str
    v: int
    data: bytes
    """The payload's JSON, byte for byte as stored."""


class RedactedEvent(msgspec.Struct, frozen=True):
    """An event with a redacted payload. Its envelope remains; a `PayloadRedacted` has the user and the reason."""

    type: str
    v: int
    digest: str
    """blake3 of the payload, 64 hex digits."""


class Draft(msgspec.Struct, frozen=True):
    """An event to be recorded, which has no position yet."""

    event: Event
    scenario: str | None = None
    """Key of the scenario's header run."""
    run: str | None = None
    """Key of the run that the event is about."""
    id: str | None = None
    """The event's own id; if None, the log gives a time-ordered one."""


class Origin(msgspec.Struct, frozen=True):
    """Where an event was recorded first, if it was merged from another log."""

    log: str
    """Identity of that log's project; of a copy that was written on by itself, with the place where it forked."""
    seq: int
    """Position there."""
    at: str
    """Time there."""


class Recorded(msgspec.Struct, frozen=True):
    """An event in the log: the envelope, its payload, and the position of its line."""

    seq: int
    """Position in the project, gapless, from 1."""
    end: bool
    """True on the last event of a batch; a batch is visible whole or not at all."""
    id: str
    at: str
    """UTC, RFC 3339 with microseconds; never goes backwards within a log."""
    by: str
    """The writer; its details are in a `WriterAttached` event."""
    type: str
    v: int
    scenario: str | None
    run: str | None
    event: Event | UnknownEvent | RedactedEvent
    chain: str
    segment: int
    offset: int
    """First byte of the line in its segment."""
    size: int = 0
    """Bytes of the line, with its newline."""
    of: Origin | None = None
    """None if the event was recorded in this log."""

    @property
    def time(self) -> str:
        """When it happened. `at` is when it came into this log."""
        return self.at if self.of is None else self.of.at


class Cursor(msgspec.Struct, frozen=True):
    """A position in the log: everything up to `seq` has been read. Opaque to callers of the log."""

    seq: int = 0
    segment: int = 1
    offset: int = 0
    """First byte after the line of `seq` (0: before the segment's header line)."""
    chain: str = ""
    """Chain value of the line of `seq`, "" before the first event."""


# ---------------------------------------------------------------- parts that several events share


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An exception as text: type name, message, formatted traceback."""

    type: str
    message: str
    traceback: str | None = None


class InputLink(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a run: its role there and the artifact."""

    role: str
    """The binding name, or ``#0``, ``#1`` … for unnamed inputs."""
    artifact: str
    """Artifact id."""
    key: str
    digest: str | None = None
    """Content at the moment of binding."""
    via: str = "inputs"
    """``inputs``, ``input_keys``, ``depends_on``, ``identity`` or ``scenario``."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference of a run from an earlier one, as data."""

    kind: str
    """``config``, ``input``, ``label``, ``identity_input``, ``adapter``, ``code``, ``version`` or ``unstable``;
    ``more`` for those that were cut off."""
    key: str
    """Path in the config, role of the input, name of the label, file or part of the code."""
    before: Any = None
    """Value in the earlier run: of the config as a plain form, of an input its artifact id. None for code."""
    after: Any = None
    text: str = ""
    """The difference in words."""


class OutputLink(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a run: its key there and the artifact."""

    key: str
    artifact: str


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a run made to an object that outlives it, and that a hit replays."""

    kind: str
    """``attribute`` of an object or class, ``variable`` of a module or closure, ``content`` of a list, dict, set or
    array, ``item`` of a dict, or ``random``: the state of a generator."""
    owner: str = ""
    """Path to the object, as the step's function reaches it: ``self``, ``self.zones[0]``, ``model``."""
    name: str = ""
    """Name of the attribute or variable; for an item the repr of its key."""
    value: Any = None
    """Whole form (`consist_es.values.whole`) of the new value, with its key for an item; None if it was unbound."""
    before: str | None = None
    """Digest of the old value, if the change depends on it. A present value that is neither that nor `value` is no part
    of the step's identity (such as a log), and a hit leaves it as it is."""
    required: bool = False
    """True if it is unknown whether it was changed: a hit then requires the value as it was before."""

    @property
    def path(self) -> str:
        """Readable path of the change."""
        return f"{self.owner}[{self.name}]" if self.kind == "item" else ".".join(filter(None, (self.owner, self.name)))


class FingerprintInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a run, part by part, so that two runs can be compared and a miss explained."""

    version: int
    digest: str | None
    """None if the run has no identity that may be reused; `unstable` has the reasons."""
    code: str
    config: str
    inputs: str
    labels: str
    """Digest over model, name, year, iteration, phase, stage, cache epoch and version."""
    label_values: dict[str, Any] = {}
    """The labels in plain form, without those that are None."""
    code_mode: str
    code_parts: dict[str, str] = {}
    """File or function -> digest."""
    identity_inputs: dict[str, str] = {}
    """Label -> digest of files that count for identity alone."""
    adapter: dict[str, Any] | None = None
    """Name, version, identity hash and references of a config adapter."""
    unstable: list[str] = []
    before: str | None = None
    """The digest by version 1 of the fingerprint: it finds runs that were recorded under that version."""
    packages: dict[str, str] = {}
    """Name -> version of installed distributions that the code imports, of those the tracker names as models, and of
    Python (its minor version). Not in the digests: a lookup compares them, see
    docs/decisions/0011-installed-code.md."""
    contents: dict[str, dict[str, str]] = {}
    """Input that counts by what is in it -> item -> digest. They explain a difference; `inputs` covers them."""
    code_values: dict[str, dict[str, Any]] = {}
    """``argument`` of a partial and ``attribute`` of a method's object: name -> plain form. They explain a difference
    of the callable, whose digest covers them."""


class ObservedRead(msgspec.Struct, frozen=True, kw_only=True):
    """One undeclared read of a step, with the digest of its content then."""

    kind: str
    """``file``, ``made`` (a file that the step did not find and then made), ``folder`` (its names), ``variable``,
    ``module``, ``program``, ``random`` or ``working directory``."""
    name: str
    """A path relative to the project's folder, a portable URI, a variable, a program, or a generator."""
    digest: str | None = None
    """None: it was looked for and did not exist."""
    without: list[str] = []
    """Names in a folder that do not count, as the step made them itself."""
    after: str | None = None
    """The state that a random generator was left in."""
    arguments: list[str] = []
    """For a program from a distribution: the arguments that select it, ``-m rates_model``. Its digest is the
    distribution's name with its version or digest: ``rates_model 1.2``."""

    @property
    def text(self) -> str:
        """Readable description."""
        said = self.name if self.kind in ("file", "folder") else " ".join((self.kind, self.name, *self.arguments))
        return f"{said} ({self.digest})" if self.kind == "program" and self.digest else said


class StepLogInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file with what a step printed, as it was when the run ended."""

    uri: str
    """Portable URI of the file."""
    bytes: int
    """Its size."""
    left_out: int = 0
    """Bytes that were left out of its middle."""
    digest: str | None = None
    """blake3 of the file, 64 hex digits."""
    problem: str | None = None
    """Why it is not whole, if the disk was full or the like."""


class Resources(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step took, with the child processes it waited for. None: it could not be measured."""

    wall_s: float
    """From the call of the function to its return."""
    cpu_s: float | None = None
    """Of all threads of the process."""
    peak_memory_bytes: int | None = None
    """Most resident memory of one process: of this one while the step ran, or of its largest child."""
    read_bytes: int | None = None
    """Moved by read calls, also from the page cache, pipes and terminals."""
    written_bytes: int | None = None
    """Moved by write calls."""
    shared: bool = False
    """True if other steps ran in the process meanwhile: then only `wall_s` is known."""


# ---------------------------------------------------------------- the log itself


class WriterAttached(Event, frozen=True, kw_only=True):
    """A process wrote to this log for the first time."""

    writer: str
    host: str
    boot: str
    """Identity of the machine's boot, so that a pid can be told from a later process's."""
    pid: int
    pid_started: str
    user: str
    library: str
    """Version of consist-es."""
    python: str
    platform: str
    machine: str = ""
    """Identity of the installed system, made from its machine id; "" if it has none, or in older events."""
    pid_namespace: str = ""
    """Namespace in which its pid is this process; "" in older events."""
    lock: str = ""
    """The file that it holds locked while it lives, as ``name:inode``; "" on a file system without reliable locks."""


class LogRepaired(Event, frozen=True, kw_only=True):
    """An incomplete batch was cut off the end of a segment and kept as evidence."""

    segment: int
    offset: int
    length: int
    quarantine: str
    """File name below the log's quarantine folder."""
    reason: str


class RecordLost(Event, frozen=True, kw_only=True):
    """The record at this position was damaged beyond reading, and a user chose to go on without it.

    Its scenario and run are those of the damaged record, if readable; they are not verified.
    """

    segment: int
    """Segment of the damaged bytes, which is kept as it is."""
    offset: int | None = None
    """Offset of the damaged bytes; None if nothing is left of them."""
    size: int = 0
    said: str | None = None
    """Event type in the damaged record, not verified."""


class SegmentSealed(Event, frozen=True, kw_only=True):
    """The last event of a segment; the log continues in the next one."""

    segment: int
    size: int
    """Bytes before this event's line."""


class LogMerged(Event, frozen=True, kw_only=True):
    """Records of another log were appended, up to this place in it: they and this event are one batch."""

    log: str
    """Identity of that log, as in `Origin.log`."""
    upto: int
    """Last position there that was looked at."""
    chain: str
    """Chain value there."""
    events: int
    """Records that were appended."""
    skipped: int = 0
    """Records that say nothing here: of the files of that log, or merged before by another way."""
    forked_at: int | None = None
    """Last position that this log and the other share, if the other is a copy of this one that was written on."""


class LogClosed(Event, frozen=True, kw_only=True):
    """The log ended here: it was moved to another place, and nothing is written to it any more."""

    to: str
    """That place; never with a password."""


class PayloadRedacted(Event, frozen=True, kw_only=True):
    """The payload of an earlier event was removed from the log and replaced by its digest.

    Its scenario and run are those of the earlier event.
    """

    position: int
    event: str
    """Type of the earlier event."""
    digest: str
    """blake3 of the removed bytes, 64 hex digits: the payload, or the reference to its blob."""
    size: int
    """Number of these bytes; the line keeps its length."""
    reason: str
    user: str = ""
    status: str | None = None
    """Status of the run, if the earlier event was its end."""
    source: str | None = None
    """`SourceRecorded.digest`, if the earlier event was one: that text is not recorded again."""


class EnvironmentRecorded(Event, frozen=True, kw_only=True):
    """The software a run saw; recorded once per distinct digest."""

    digest: str
    python: str
    platform: str
    packages: dict[str, str] = {}
    git_commit: str | None = None
    git_dirty: str | None = None
    """Digest of the uncommitted change, None if the tree is clean or there is no repository."""
    variables: dict[str, str | None] = {}
    """Environment variables that the tracker is to record, None for those that were not set."""


class ValuesRecorded(Event, frozen=True, kw_only=True):
    """Large values of a run's start, recorded once for all runs that share them (`consist_es.identity.shared_values`).

    It is recorded with the first of these runs; all refer to it in ``shared`` of their start.
    """

    digest: str
    """blake3 of the values as JSON."""
    values: Any = None


# ---------------------------------------------------------------- scenarios


LABELS = ("year", "iteration", "phase", "stage")
"""Fields of `ScenarioStarted` and `StepStarted` that place a run within a simulation."""


class ScenarioStarted(Event, frozen=True, kw_only=True):
    """A scenario was entered: its header run began."""

    run_id: str
    """Readable id; which attempt it is follows from the order in the log."""
    name: str
    model: str = "scenario"
    description: str | None = None
    config: Any = None
    tags: list[str] = []
    facet: Any = None
    meta: dict[str, Any] = {}
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    parent: str | None = None
    """Key of the enclosing run."""
    run_dir: str = ""
    mounts: dict[str, str] = {}
    environment: str | None = None
    """Digest of an `EnvironmentRecorded`."""
    sweep: str | None = None
    """Key of the `SweepStarted` that it is a row of."""
    row: str | None = None
    """Id of that row."""
    shared: dict[str, str] = {}
    """``config`` -> digest of the earlier `ValuesRecorded` that has it, if it is large."""


class ScenarioExited(Event, frozen=True, kw_only=True):
    """A scenario was left."""

    status: str
    """``completed``, ``failed`` or ``interrupted``."""
    seconds: float
    """Monotonic duration."""
    error: ErrorInfo | None = None
    failed_step: str | None = None
    missing_outputs: list[str] = []


class SweepStarted(Event, frozen=True, kw_only=True):
    """A function began to be run over many rows. Its scenario is that of the rows."""

    sweep: str
    """Its key."""
    name: str
    rows: int
    ids: list[str] = []
    """The ids of the rows, in order."""
    executor: str = ""
    """Class of the executor; "" if the rows run in the process of the sweep, ``script`` if a script was written."""


class SweepEnded(Event, frozen=True, kw_only=True):
    """A sweep ended: every row has an outcome, or is left to the script that was written."""

    sweep: str
    computed: int
    hits: int
    failed: int
    lost: int
    """Rows whose workers ended without a result."""
    seconds: float
    """Monotonic duration."""
    waiting: int = 0
    """Rows that are left to a script."""


# ---------------------------------------------------------------- steps


class StepStarted(Event, frozen=True, kw_only=True):
    """A run of a step began: all facts known before its function was called."""

    run_id: str
    """Readable id; which attempt it is follows from the order in the log."""
    name: str
    model: str
    kind: str = "run"
    """``run`` or ``trace``."""
    function: str | None = None
    """Qualified name of the callable."""
    parent: str | None = None
    """Key of the enclosing run, if any."""
    description: str | None = None
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    tags: list[str] = []
    config: Any = None
    facet: Any = None
    facet_schema_version: str | None = None
    meta: dict[str, Any] = {}
    inputs: list[InputLink] = []
    fingerprint: FingerprintInfo
    declared: list[str] = []
    """Output keys that were declared."""
    cache_mode: str = "reuse"
    options: dict[str, Any] = {}
    """Cache, output and execution options that differ from their defaults."""
    run_dir: str = ""
    artifact_dir: str = ""
    """Portable URI of the run's managed folder."""
    environment: str | None = None
    sweep: str | None = None
    """Key of the `SweepStarted` that it is a row of."""
    row: str | None = None
    """Id of that row."""
    shared: dict[str, str] = {}
    """Part -> digest of the earlier `ValuesRecorded` that has it, if it is large: ``config``, ``adapter`` (the readable
    part of the fingerprint's adapter) and ``code_parts`` (of the fingerprint)."""


class StepCompleted(Event, frozen=True, kw_only=True):
    """A run completed; for a cache hit it follows `CacheHit` at once."""

    seconds: float
    """Monotonic duration."""
    outputs: list[OutputLink] = []
    """Outputs that the caller received, in order."""
    all_outputs: list[OutputLink] = []
    """Everything that was logged as an output of the run, in order."""
    missing: list[str] = []
    """Declared outputs that did not appear."""
    fingerprint: str | None = None
    reusable: bool = False
    """True if later lookups may hit this run. Never true for a hit."""
    reason: str | None = None
    """Why it is not reusable."""
    observed: dict[str, str] = {}
    """Part of its scenario that the step read besides its inputs -> digest of its value."""
    reads: str | None = None
    """Digest of the `ReadsObserved` that lists its other undeclared reads; None if there are none."""
    effects: list[Effect] = []
    """The step's changes to objects that outlive it. For a hit the changes that it replayed, without values."""
    logged_inputs: list[InputLink] | None = None
    """Inputs that the step logged itself; None for a hit, and in older events."""
    log: StepLogInfo | None = None
    """What it printed; None if nothing, if that is not kept, for a hit, and in older events."""
    resources: Resources | None = None
    """What it took; None for a hit, and in older events."""


class ReadsObserved(Event, frozen=True, kw_only=True):
    """Undeclared reads of steps: files, folders, variables and so on; recorded once per distinct list.

    It is recorded with the first run that made them; all refer to it by `StepCompleted.reads`.
    """

    digest: str
    reads: list[ObservedRead] = []


class SourceRecorded(Event, frozen=True, kw_only=True):
    """The source text behind a part of a step's code, without secrets; recorded once per digest.

    It is recorded with the first run that was computed with it, and explains later differences. It is no part of any
    identity.
    """

    digest: str
    """Of the part in `FingerprintInfo.code_parts`: over its normal form, so texts that differ in comments share it."""
    part: str
    """Label of the part in that run: ``model.py:assign``."""
    text: str


class StepFailed(Event, frozen=True, kw_only=True):
    """A run ended with an exception."""

    status: str
    """``failed`` or ``interrupted``."""
    seconds: float
    error: ErrorInfo
    log: StepLogInfo | None = None
    """As in `StepCompleted`."""
    resources: Resources | None = None
    """As in `StepCompleted`; None also if its function was never called."""


class StepAbandoned(Event, frozen=True, kw_only=True):
    """A run's process is gone without an end event; noticed and recorded by a later writer."""

    reason: str
    set_aside: str | None = None
    """Portable URI of the folder that its partial outputs were moved to."""


# ---------------------------------------------------------------- imported


class RunImported(Event, frozen=True, kw_only=True):
    """A run in another program's record was taken over, or taken over again as the record grew: the newest counts.

    Nothing of it was seen by this library. It has no fingerprint, and never answers for another run.
    """

    run_id: str
    """Its id in the other record."""
    name: str
    model: str
    kind: str = "run"
    """``run``, or ``scenario`` for the run that stands for a group."""
    status: str = "completed"
    """``completed``, ``failed``, ``interrupted``, or ``abandoned`` if its end is not known."""
    parent: str | None = None
    """Key of the enclosing run."""
    description: str | None = None
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    stage: str | None = None
    tags: list[str] = []
    config: Any = None
    facet: Any = None
    facet_schema_version: str | None = None
    meta: dict[str, Any] = {}
    inputs: list[InputLink] = []
    outputs: list[OutputLink] = []
    started_at: str
    """As in the other record, UTC."""
    ended_at: str | None = None
    seconds: float | None = None
    """None also if the other program did not compute it."""
    error: ErrorInfo | None = None
    run_dir: str = ""
    program: str
    """The other program."""
    store: str
    """URI of the record, where it was read."""
    content: str
    """Digest of all of the above, masked: an import that finds the same adds nothing."""


# ---------------------------------------------------------------- cache


class CacheHit(Event, frozen=True, kw_only=True):
    """An earlier run answers for this one; the function is not called (in `run`)."""

    source: str
    """Key of the run that computed the outputs."""
    validation: str
    """How the outputs were checked: ``stat+digest`` or ``digest``, with ``+owner`` if their owner was checked too."""
    outputs: list[OutputLink] = []
    accepted: list[str] = []
    """If the source has another fingerprint: the accepted changes that lead to it, in words, nearest first."""
    carried_over: bool = False
    """The source was recorded under an earlier version of the fingerprint, and is the same work by that version."""
    packages: list[str] = []
    """Packages that had another version in the source, which does not count: ``pandas 2.2.1 -> 2.2.2``."""
    left_out: str = ""
    """What did not count, in words, if `CacheOptions.code_identity` was not the default."""
    drift: list[str] = []
    """What the model does not read of its configuration, and is not as in the source:
    ``settings.yaml (run-only): num_processes: 1 -> 4``."""
    copies: dict[str, str] = {}
    """Key of an output whose own file is gone or changed -> URI of the recovery copy that has its bytes."""


class CacheMissed(Event, frozen=True, kw_only=True):
    """No earlier run answers; the function runs."""

    reason: str
    nearest: str | None = None
    """Key of the earlier run of this step that differs least."""
    differs: list[str] = []
    """The differences from it, in words: ``config.growth: 1.0 -> 1.1``."""
    details: dict[str, Any] = {}
    differences: list[Difference] = []
    """The same as data, one for each line of `differs`, whose words are not repeated."""


class HitDemoted(Event, frozen=True, kw_only=True):
    """The body of a trace that was a hit made an output of its own: the hit no longer counts."""

    key: str
    reason: str


class OutputsDoubted(Event, frozen=True, kw_only=True):
    """Another run wrote to an output path of this event's run at the same time: the run must not be reused."""

    by: str
    """Key of the other run."""


class KeyCarriedOver(Event, frozen=True, kw_only=True):
    """Runs with a fingerprint of an earlier version answer for this fingerprint from now on, and for no other."""

    fingerprint: str
    before: str
    """The fingerprint of the earlier version."""


class ChangeAccepted(Event, frozen=True, kw_only=True):
    """A user accepted that a change leaves results equal: a lookup of one fingerprint may hit a run with the other."""

    fingerprint: str
    """Fingerprint of this event's run."""
    as_fingerprint: str
    as_run: str
    """Key of the earlier run with that fingerprint."""
    reason: str
    user: str = ""
    differs: list[str] = []
    """The change, in words."""


class AcceptanceRevoked(Event, frozen=True, kw_only=True):
    """All acceptances for this fingerprint so far are revoked: later lookups no longer follow them."""

    fingerprint: str
    reason: str | None = None
    user: str = ""


class PackagesAccepted(Event, frozen=True, kw_only=True):
    """A user accepted that other versions of packages leave results equal: each change, alone or with others."""

    before: dict[str, str]
    """Name of a distribution, or ``python`` -> version in earlier runs."""
    after: dict[str, str]
    """The same names -> version over which their results may be reused."""
    reason: str
    user: str = ""


class PackagesRevoked(Event, frozen=True, kw_only=True):
    """All accepted changes of packages so far are revoked."""

    reason: str | None = None
    user: str = ""


# ---------------------------------------------------------------- artifacts


class ArtifactLogged(Event, frozen=True, kw_only=True):
    """A file or folder was recorded as an input or output of a run."""

    artifact: str
    """Artifact id."""
    key: str
    direction: str
    """``input`` or ``output``."""
    uri: str
    root: str = ""
    """The run directory that a ``./`` URI was made for."""
    kind: str = "file"
    """``file``, ``folder`` or ``missing``."""
    driver: str = "unknown"
    digest: str | None = None
    digest_method: str = "full"
    """``full`` (content), ``fast`` (size and mtime) or ``given`` (by the caller)."""
    size: int | None = None
    mtime_ns: int | None = None
    producer: str | None = None
    """Key of the run that made it, None for external files."""
    role: str | None = None
    """Role among the run's inputs, if it has one."""
    table_path: str | None = None
    array_path: str | None = None
    parent: str | None = None
    """Artifact id of the container or set that this one belongs to."""
    schema: Any = None
    """Field name -> type name, for tabular files."""
    rows: int | None = None
    facet: Any = None
    facet_schema_version: str | None = None
    meta: dict[str, Any] = {}
    notes: list[str] = []
    """Notes on its content for the user, such as broken links in a folder."""


class ArtifactMaterialized(Event, frozen=True, kw_only=True):
    """An artifact's bytes were copied to another place, checked by digest."""

    artifact: str
    key: str
    uri: str
    source_uri: str
    digest: str
    reason: str
    root: str = ""
    """The run directory that ``./`` URIs were made for."""


class CopyRecorded(Event, frozen=True, kw_only=True):
    """A recovery copy of an artifact: another place that has its bytes. A reader digests it before using it."""

    artifact: str
    """Artifact id."""
    key: str
    uri: str
    root: str = ""
    """The run directory that a ``./`` URI was made for."""
    recovery_root: str = ""
    """URI of the folder that the caller named; "" if the library chose the place."""
    digest: str
    """The artifact's digest, which the copy had."""
    content: str | None = None
    """Digest over the copy's content, if `digest` is only over sizes and times; None if it is not known."""
    how: str = "copied"
    """``copied``, ``linked`` or ``moved`` by `archive_artifact`; ``found`` where another program had put it;
    ``set_aside`` before another version was put in the artifact's own place; ``claimed``: nobody has looked yet."""


class CopyForgotten(Event, frozen=True, kw_only=True):
    """A recovery copy no longer counts."""

    artifact: str
    key: str
    uri: str
    reason: str


class ArtifactEvicted(Event, frozen=True, kw_only=True):
    """The bytes of an artifact are not kept any longer: from now on its file may be deleted.

    How it was made stays recorded. Whoever finds the file in its place all the same may use it.
    """

    artifact: str
    """Artifact id."""
    key: str
    uri: str
    root: str = ""
    """The run directory that a ``./`` URI was made for."""
    digest: str
    size: int = 0
    """Bytes that its file was to free; 0 for what lies in the file of another artifact."""
    eviction: str
    """The same text for all artifacts that one call evicted."""
    policy: str = ""
    """What the call was asked to keep, in words."""
    user: str = ""


class BytesPinned(Event, frozen=True, kw_only=True):
    """A user asked to keep the bytes of an artifact, or of all outputs of this event's run or scenario."""

    artifact: str | None = None
    """Artifact id; None for the run or scenario."""
    name: str = ""
    """Run id, or key of the artifact."""
    reason: str
    user: str = ""


class PinRemoved(Event, frozen=True, kw_only=True):
    """The bytes need not be kept any longer for the reasons of earlier pins."""

    artifact: str | None = None
    """As in `BytesPinned`."""
    name: str = ""
    reason: str | None = None
    user: str = ""


# ---------------------------------------------------------------- coupler and metadata


class CouplerSet(Event, frozen=True, kw_only=True):
    """A name in the scenario's coupler was set to this artifact (or plain path)."""

    key: str
    artifact: str | None = None
    value: str | None = None
    """URI of a value that is not a recorded artifact."""


class OutputsDeclared(Event, frozen=True, kw_only=True):
    """A scenario declared coupler keys that it is expected, or required, to set."""

    required: dict[str, bool]
    """Declared key -> True if it is required at exit."""
    warn_undefined: bool = False
    descriptions: dict[str, str] = {}


class MetaLogged(Event, frozen=True, kw_only=True):
    """Metadata was merged into a run; later values win key by key."""

    values: dict[str, Any]
