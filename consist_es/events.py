"""Every event there is, grouped by what it is about.

An event is an immutable fact in the past tense. Its payload is one of the structs below; `Recorded` is the
payload together with its place in the log (the envelope). The log gives the bytes, see `log/record.py`.

Rules of evolution: a new field has a default; a changed meaning is a new ``v`` with an upcaster in
`log/record.py`; an event type is never removed. Fields typed ``Any`` or ``dict[str, Any]`` hold plain JSON
values, made by `consist_es.values.plain.to_plain` wherever a user's value enters.
"""

import re
from typing import Any, ClassVar

import msgspec

REGISTRY: dict[tuple[str, int], type["Event"]] = {}
"""(type name, version) -> struct: how a stored payload finds its class again."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all payloads. The type name is the class name in snake_case."""

    TYPE: ClassVar[str]
    V: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.TYPE = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        REGISTRY[cls.TYPE, cls.V] = cls


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a type (or version) that this library does not know: carried along, never dropped."""

    type: str
    v: int
    data: bytes
    """The payload's JSON, byte for byte as stored."""


class RedactedEvent(msgspec.Struct, frozen=True):
    """An event whose payload was redacted. Its envelope stands; a `PayloadRedacted` says who took it out, and why."""

    type: str
    v: int
    digest: str
    """blake3 of the payload, 64 hex digits."""


class Draft(msgspec.Struct, frozen=True):
    """An event on its way into the log: what is known before it has a position."""

    event: Event
    scenario: str | None = None
    """Key of the scenario's header run."""
    run: str | None = None
    """Key of the run that the event is about."""
    id: str | None = None
    """The event's own identity; the log gives a time-ordered one where it is None."""


class Recorded(msgspec.Struct, frozen=True):
    """An event in the log: the envelope, its payload, and where its line lies."""

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


class Cursor(msgspec.Struct, frozen=True):
    """A place in the log: everything up to `seq` has been read. Opaque to callers of the log."""

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
    """One input of a run: the role it plays there and the artifact that plays it."""

    role: str
    """The binding name, or ``#0``, ``#1`` … for unnamed inputs."""
    artifact: str
    """Artifact id."""
    key: str
    digest: str | None = None
    """Content at the moment of binding."""
    via: str = "inputs"
    """``inputs``, ``input_keys``, ``depends_on``, ``identity`` or ``scenario``."""


class OutputLink(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a run: its key there and the artifact."""

    key: str
    artifact: str


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a run made on an object that outlives it, and that a hit makes again."""

    kind: str
    """``attribute`` of an object or class, ``variable`` of a module or closure, ``content`` of a list, dict, set or
    array, ``item`` of a dict, or ``random``: the state of a generator."""
    owner: str = ""
    """Path to the object, as the step's function reaches it: ``self``, ``self.zones[0]``, ``model``."""
    name: str = ""
    """Of an attribute or variable; of an item its key in words."""
    value: Any = None
    """Whole form (`consist_es.values.whole`) of what it was afterwards, of an item with its key; None if the name was
    unbound."""
    before: str | None = None
    """Digest of what it was before, if the change was made from that. What is neither that nor `value` now is no part
    of the step's identity, such as a log, and is left alone."""
    required: bool = False
    """Whether nobody can tell if it was changed: then it must be as it was before, or the run does not answer."""

    @property
    def path(self) -> str:
        """Where the change is, for people."""
        return f"{self.owner}[{self.name}]" if self.kind == "item" else ".".join(filter(None, (self.owner, self.name)))


class FingerprintInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a run, part by part, so that two runs can be compared and a miss explained."""

    version: int
    digest: str | None
    """None where the run has no identity that may be reused; `unstable` says why."""
    code: str
    config: str
    inputs: str
    labels: str
    """Digest over model, name, year, iteration, phase, stage, cache epoch and version."""
    label_values: dict[str, Any] = {}
    """The labels in plain form, those that are None left out."""
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
    """Name -> version of other people's distributions that the code imports, of those the tracker names as models, and
    of Python (its minor version). Not in the digests: a look-up compares them, see
    docs/decisions/0011-installed-code.md."""


class ObservedRead(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a step read by itself, and the digest of what it was then."""

    kind: str
    """``file``, ``made`` (a file that the step looked for in vain and made), ``folder`` (its names), ``variable``,
    ``module``, ``program``, ``random`` or ``working directory``."""
    name: str
    """A path relative to the project's folder, a portable URI, a variable, a program, or a generator."""
    digest: str | None = None
    """None: it was looked for and not there."""
    without: list[str] = []
    """Names in a folder that the step made itself, and which do not count."""
    after: str | None = None
    """The state that a random generator was left in."""
    arguments: list[str] = []
    """Of a program from a distribution: those that say which program it is, ``-m rates_model``. Its digest is the
    distribution's name and what stands for it: ``rates_model 1.2``."""

    @property
    def text(self) -> str:
        """What it is, for people."""
        said = self.name if self.kind in ("file", "folder") else " ".join((self.kind, self.name, *self.arguments))
        return f"{said} ({self.digest})" if self.kind == "program" and self.digest else said


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
    """Identity of the installed system, made from its id; "" where it has none or an earlier version wrote."""
    pid_namespace: str = ""
    """Where its pid means this process; "" where an earlier version wrote."""
    lock: str = ""
    """The file that it holds locked while it lives, as ``name:inode``; "" where the place has no trusted locks."""


class LogRepaired(Event, frozen=True, kw_only=True):
    """Bytes that were no whole batch were cut off the end of a segment and kept as evidence."""

    segment: int
    offset: int
    length: int
    quarantine: str
    """File name below the log's quarantine folder."""
    reason: str


class RecordLost(Event, frozen=True, kw_only=True):
    """The record that had this position was damaged beyond reading, and somebody chose to go on without it.

    Its scenario and run are what the damaged record said, where that could be read; nothing vouches for it.
    """

    segment: int
    """Where the damaged bytes lie, or lay: that segment is kept as it is."""
    offset: int | None = None
    """Of the damaged bytes; None where nothing is left of them."""
    size: int = 0
    said: str | None = None
    """Which type of event the damaged record said it was."""


class SegmentSealed(Event, frozen=True, kw_only=True):
    """The last event of a segment; the log goes on in the next one."""

    segment: int
    size: int
    """Bytes before this event's line."""


class PayloadRedacted(Event, frozen=True, kw_only=True):
    """The payload of an earlier event was taken out of the log; its digest is left in its place.

    It names the scenario and run that the earlier event was about.
    """

    position: int
    event: str
    """Type of the earlier event."""
    digest: str
    """blake3 of what was taken out, 64 hex digits: of the payload, or of the reference to its blob."""
    size: int
    """Bytes of that, which its line keeps."""
    reason: str
    user: str = ""
    status: str | None = None
    """Where the earlier event was the end of a run: how that ended."""


class EnvironmentRecorded(Event, frozen=True, kw_only=True):
    """The software a run saw; recorded once per distinct digest."""

    digest: str
    python: str
    platform: str
    packages: dict[str, str] = {}
    git_commit: str | None = None
    git_dirty: str | None = None
    """Digest of the uncommitted change, None where the tree is clean or there is no repository."""
    variables: dict[str, str | None] = {}
    """Environment variables that the tracker was told to record, None for those that were not set."""


class ValuesRecorded(Event, frozen=True, kw_only=True):
    """Large values that a run began with, once for all that have the same (`consist_es.identity.shared_values`).

    The run that it is recorded with is the first one; all of them refer to it in ``shared`` of their start.
    """

    digest: str
    """blake3 of the values as JSON."""
    values: Any = None


# ---------------------------------------------------------------- scenarios


LABELS = ("year", "iteration", "phase", "stage")
"""Fields of `ScenarioStarted` and `StepStarted` that say where in a simulation a run belongs."""


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
    shared: dict[str, str] = {}
    """``config`` -> digest of the earlier `ValuesRecorded` that it stands in, where it is large."""


class ScenarioExited(Event, frozen=True, kw_only=True):
    """A scenario was left."""

    status: str
    """``completed``, ``failed`` or ``interrupted``."""
    seconds: float
    """Monotonic duration."""
    error: ErrorInfo | None = None
    failed_step: str | None = None
    missing_outputs: list[str] = []


# ---------------------------------------------------------------- steps


class StepStarted(Event, frozen=True, kw_only=True):
    """A run of a step began: everything that was known before its function was called."""

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
    shared: dict[str, str] = {}
    """Part -> digest of the earlier `ValuesRecorded` that it stands in, where it is large: ``config``, ``adapter`` (of
    the fingerprint's adapter what is for people) and ``code_parts`` (of the fingerprint)."""


class StepCompleted(Event, frozen=True, kw_only=True):
    """A run ended well; for a cache hit it follows `CacheHit` at once."""

    seconds: float
    """Monotonic duration."""
    outputs: list[OutputLink] = []
    """What the caller received, in order."""
    all_outputs: list[OutputLink] = []
    """Everything that was logged as an output of the run, in order."""
    missing: list[str] = []
    """Declared outputs that did not appear."""
    fingerprint: str | None = None
    reusable: bool = False
    """Whether a later look-up may answer with this run. Never true for a hit."""
    reason: str | None = None
    """Why it is not reusable."""
    observed: dict[str, str] = {}
    """What the step read of its scenario by itself, beside its inputs -> digest of what that was."""
    reads: str | None = None
    """Digest of the `ReadsObserved` that lists what else it read by itself; None if it read nothing."""
    effects: list[Effect] = []
    """What the step changed on objects that outlive it. Of a hit the places only: what was put back."""
    logged_inputs: list[InputLink] | None = None
    """What the step logged as inputs itself; None where that was not noted here: by a hit, and by earlier versions."""


class ReadsObserved(Event, frozen=True, kw_only=True):
    """Steps read these files, folders, variables and so on by themselves; recorded once per distinct list.

    The run that it is recorded with is the first one that did; later ones refer to it by `StepCompleted.reads`.
    """

    digest: str
    reads: list[ObservedRead] = []


class StepFailed(Event, frozen=True, kw_only=True):
    """A run ended with an exception."""

    status: str
    """``failed`` or ``interrupted``."""
    seconds: float
    error: ErrorInfo


class StepAbandoned(Event, frozen=True, kw_only=True):
    """A run's process is gone without an end event; noticed and recorded by a later writer."""

    reason: str
    set_aside: str | None = None
    """Portable URI of the folder into which its partial outputs were renamed."""


# ---------------------------------------------------------------- cache


class CacheHit(Event, frozen=True, kw_only=True):
    """An earlier run answers for this one; the function is not called (in `run`)."""

    source: str
    """Key of the run that really computed the outputs."""
    validation: str
    """How the outputs were checked: ``stat+digest`` or ``digest``, with ``+owner`` where their owner was asked too."""
    outputs: list[OutputLink] = []
    accepted: list[str] = []
    """Where the source has another fingerprint: the accepted changes that lead to it, in words, nearest first."""
    carried_over: bool = False
    """The source was recorded under an earlier version of the fingerprint, and is the same work by that version."""
    packages: list[str] = []
    """Packages of which the source saw another version that does not count: ``pandas 2.2.1 -> 2.2.2``."""
    left_out: str = ""
    """What did not count, where `CacheOptions.code_identity` was not the default, in words."""


class CacheMissed(Event, frozen=True, kw_only=True):
    """No earlier run answers; the function runs."""

    reason: str
    nearest: str | None = None
    """Key of the earlier run of this step that differs least."""
    differs: list[str] = []
    """What differs from it, in words: ``config.growth: 1.0 -> 1.1``."""
    details: dict[str, Any] = {}


class HitDemoted(Event, frozen=True, kw_only=True):
    """Inside a trace that had hit, the body made an output of its own: the hit no longer counts."""

    key: str
    reason: str


class OutputsDoubted(Event, frozen=True, kw_only=True):
    """Another run wrote a place where the run that this is about wrote an output, and at the same time: it must not
    answer for a later one."""

    by: str
    """Key of the other run."""


class KeyCarriedOver(Event, frozen=True, kw_only=True):
    """Runs with a fingerprint of an earlier version answer for this fingerprint from now on, and for no other one."""

    fingerprint: str
    before: str
    """The fingerprint of the earlier version."""


class ChangeAccepted(Event, frozen=True, kw_only=True):
    """Somebody vouches that a change leaves results equal: who looks for one fingerprint may be given the other's."""

    fingerprint: str
    """Of the run that the event is about."""
    as_fingerprint: str
    as_run: str
    """Key of the earlier run with that fingerprint."""
    reason: str
    user: str = ""
    differs: list[str] = []
    """What the change was, in words."""


class AcceptanceRevoked(Event, frozen=True, kw_only=True):
    """Every acceptance for this fingerprint so far is taken back: later look-ups no longer follow it."""

    fingerprint: str
    reason: str | None = None
    user: str = ""


class PackagesAccepted(Event, frozen=True, kw_only=True):
    """Somebody vouches that other versions of packages leave results equal: each change, alone or with others."""

    before: dict[str, str]
    """Name of a distribution, or ``python`` -> version that earlier runs saw."""
    after: dict[str, str]
    """The same names -> version that may be reused over."""
    reason: str
    user: str = ""


class PackagesRevoked(Event, frozen=True, kw_only=True):
    """Every change of packages that was accepted so far is taken back."""

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
    """Role among the run's inputs, where it has one."""
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
    """What a user should know of its content: links in a folder that lead nowhere."""


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


# ---------------------------------------------------------------- coupler and metadata


class CouplerSet(Event, frozen=True, kw_only=True):
    """A name in the scenario's coupler now stands for this artifact (or plain path)."""

    key: str
    artifact: str | None = None
    value: str | None = None
    """URI of a value that is no recorded artifact."""


class OutputsDeclared(Event, frozen=True, kw_only=True):
    """Coupler keys that a scenario is expected, or required, to set."""

    required: dict[str, bool]
    """Declared key -> whether it is required at exit."""
    warn_undefined: bool = False
    descriptions: dict[str, str] = {}


class MetaLogged(Event, frozen=True, kw_only=True):
    """Metadata was merged into a run; later values win key by key."""

    values: dict[str, Any]
