"""An event as one readable line, for auditors."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from consist_es.cli import keeping_words, log_words, sweep_words
from consist_es.cli.line import BAD as BAD
from consist_es.cli.line import GOOD as GOOD
from consist_es.cli.line import ODD as ODD
from consist_es.cli.line import QUIET as QUIET
from consist_es.cli.line import Line as Line
from consist_es.cli.names import Names
from consist_es.cli.phrases import after_colon, copied, cut, forgotten, listed, materialized, pairs, parts
from consist_es.cli.units import duration as duration
from consist_es.cli.units import moment as moment
from consist_es.cli.units import short_digest as short_digest
from consist_es.events import (
    LABELS,
    AcceptanceRevoked,
    ArtifactLogged,
    ArtifactMaterialized,
    CacheHit,
    CacheMissed,
    ChangeAccepted,
    CopyForgotten,
    CopyRecorded,
    CouplerSet,
    EnvironmentRecorded,
    ErrorInfo,
    HitDemoted,
    InputLink,
    KeyCarriedOver,
    LogRepaired,
    MetaLogged,
    OutputLink,
    OutputsDeclared,
    OutputsDoubted,
    PackagesAccepted,
    PackagesRevoked,
    PayloadRedacted,
    ReadsObserved,
    Recorded,
    RecordLost,
    RedactedEvent,
    ScenarioExited,
    ScenarioStarted,
    SourceRecorded,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepStarted,
    UnknownEvent,
    ValuesRecorded,
    WriterAttached,
)
from consist_es.identity.shared_values import CONFIG
from consist_es.log.segment import segment_name
from consist_es.runs.why import REUSED_OVER, UNREAD, in_words
from consist_es.text import counted


def line_of(recorded: Recorded, names: Names) -> Line:
    """The line of an event, with the name of the run that it is about."""
    line = _said(recorded, names)
    about = recorded.run or recorded.scenario
    return line if about is None else Line(f"{names.labelled(about)}: {line.text}", line.style)


def _said(recorded: Recorded, names: Names) -> Line:
    event = recorded.event
    if isinstance(event, RedactedEvent):
        return Line(f"{event.type.replace('_', ' ')}: {_gone(recorded.seq, names)}", ODD)
    if isinstance(event, UnknownEvent):
        data = cut(msgspec.json.format(event.data, indent=-1).decode("utf-8", "replace"))
        return Line(f"event of a type that this version does not know, {event.type} (v{event.v}): {data}", ODD)
    if type(event) in WORDS:
        return WORDS[type(event)](event, names)
    return Line(f"{recorded.type.replace('_', ' ')}: {pairs(msgspec.to_builtins(event))}")


def _gone(position: int, names: Names) -> str:
    """Note on a redacted payload: user, position and reason."""
    found = names.redaction(position)
    if found is None:
        return "its payload was redacted; who did, and why, is not recorded"
    return f"its payload was redacted by {found.user or 'somebody'} (position {found.seq}): {found.reason}"


def as_json(recorded: Recorded, names: Names) -> dict[str, Any]:
    """One event for programs: the envelope, the readable id of its run, the payload, and the line."""
    event = recorded.event
    if isinstance(event, RedactedEvent):
        data = {"$redacted": event.digest}
    else:
        data = json.loads(event.data) if isinstance(event, UnknownEvent) else msgspec.to_builtins(event)
    about = recorded.run or recorded.scenario
    return {
        **{name: getattr(recorded, name) for name in ("seq", "at", "id", "by", "type", "v", "scenario", "run")},
        "run_id": None if about is None else names.run(about),
        "text": line_of(recorded, names).text,
        "data": data,
    }


# ---------------------------------------------------------------- pieces


def _labels(event: ScenarioStarted | StepStarted) -> str:
    model = event.model if event.model not in (event.name, "scenario") else None
    named = [("model", model), *((name, getattr(event, name)) for name in LABELS)]
    said = ", ".join(f"{name} {value}" for name, value in named if value is not None)
    return f" ({said})" if said else ""


def _artifact(names: Names, artifact_id: str, *, key: str | None = None, digest: str | None = None) -> str:
    """Key, digest and producer of an artifact."""
    row = names.artifact(artifact_id)
    key, digest = key or (row.key if row else artifact_id), digest or (row.digest if row else None)
    made = f" from {names.run(row.producer_key)}" if row and row.producer_key else ""
    return f"{key} {short_digest(digest)}{made}"


def _input(link: InputLink, names: Names) -> str:
    what = _artifact(names, link.artifact, key=link.key, digest=link.digest)
    via = "" if link.via in ("inputs", "input_keys") else f" ({link.via})"
    return (what if link.role == link.key else f"{link.role}={what}") + via


def _keys(links: Iterable[OutputLink]) -> str:
    return ", ".join(link.key for link in links)


def _error(error: ErrorInfo | None) -> str:
    return "" if error is None else f"{error.type}: {cut(error.message.strip() or '(no message)')}"


def _config(event: ScenarioStarted | StepStarted, names: Names) -> str:
    """The config, also if it is large and in an event of its own."""
    digest = event.shared.get(CONFIG)
    config = event.config if digest is None else names.values(digest)
    if config is None:
        return "" if digest is None else "(no longer recorded)"
    return pairs(config)


# ---------------------------------------------------------------- scenarios


def _scenario_started(event: ScenarioStarted, names: Names) -> Line:
    tags = listed(tag for tag in event.tags if tag != "scenario_header")
    said = parts(
        ("description", event.description),
        ("config", _config(event, names)),
        ("tags", "" if tags == "none" else tags),
        ("facet", pairs(event.facet) if event.facet else ""),
        ("metadata", pairs(event.meta)),
    )
    return Line(f"scenario {event.name} entered{_labels(event)}{after_colon(said)}", "bold")


def _scenario_exited(event: ScenarioExited, _names: Names) -> Line:
    said = parts(
        ("in step", event.failed_step),
        ("required outputs missing:", ", ".join(event.missing_outputs)),
        ("because of", _error(event.error)),
    )
    after = f" after {duration(event.seconds)}"
    return Line(f"scenario {event.status}{after}{after_colon(said)}", GOOD if event.status == "completed" else BAD)


# ---------------------------------------------------------------- steps


def _step_started(event: StepStarted, names: Names) -> Line:
    info = event.fingerprint
    said = parts(
        ("inputs", ", ".join(_input(link, names) for link in event.inputs)),
        ("config", _config(event, names)),
        ("outputs declared:", ", ".join(event.declared)),
        ("tags", ", ".join(event.tags)),
        ("facet", pairs(event.facet) if event.facet else ""),
        (
            "files that count for identity:",
            ", ".join(f"{k} {short_digest(v)}" for k, v in info.identity_inputs.items()),
        ),
        ("options", pairs(event.options)),
        ("code", f"{short_digest(info.code)} ({info.code_mode})"),
        ("row", event.row or ""),
    )
    kind = "trace" if event.kind == "trace" else "step"
    return Line(f"{kind} {event.name} started{_labels(event)}: {said}", "bold")


def _step_completed(event: StepCompleted, _names: Names) -> Line:
    hit = event.reason is not None and "is a hit" in event.reason
    reason = "" if event.reusable or event.reason is None or hit else event.reason
    said = parts(
        ("outputs", _keys(event.outputs)),
        ("missing:", ", ".join(event.missing)),
        ("put back:" if hit else "changed", ", ".join(effect.path for effect in event.effects)),
        ("never to be reused:", reason),
    )
    text = f"completed in {duration(event.seconds)}{after_colon(said)}"
    return Line(text, ODD if event.missing or reason else GOOD)


def _step_failed(event: StepFailed, _names: Names) -> Line:
    return Line(f"{event.status} after {duration(event.seconds)}: {_error(event.error)}", BAD)


def _step_abandoned(event: StepAbandoned, _names: Names) -> Line:
    aside = f"; partial outputs set aside in {event.set_aside}" if event.set_aside else ""
    return Line(f"abandoned: {event.reason}{aside}", BAD)


# ---------------------------------------------------------------- cache


def _hit(event: CacheHit, names: Names) -> Line:
    outputs = _keys(event.outputs) or "no outputs"
    carried = ["carried over from version 1 of the fingerprint"] if event.carried_over else []
    accepted = "".join(f"; {text}" for text in (*event.accepted, *carried))
    besides = f"; {REUSED_OVER}{', '.join(event.packages)}" if event.packages else ""
    besides += f"; {event.left_out}" if event.left_out else ""
    besides += f"; {UNREAD}{'; '.join(event.drift)}" if event.drift else ""
    besides += "".join(f"; {key} from its copy at {uri}" for key, uri in event.copies.items())
    said = f"cache hit: reused {names.run(event.source)} ({outputs}; checked: {event.validation}){accepted}{besides}"
    return Line(said, ODD if accepted or besides else GOOD)


def _missed(event: CacheMissed, names: Names) -> Line:
    nearest = f"; nearest run {names.run(event.nearest)}" if event.nearest else ""
    differs = after_colon("; ".join(event.differs))
    return Line(f"cache miss: {in_words(event.reason)}{nearest}{differs}", ODD)


def _carried(event: KeyCarriedOver, _names: Names) -> Line:
    before, now = short_digest(event.before), short_digest(event.fingerprint)
    return Line(f"carried over: what answers for {before} of version 1 of the fingerprint to {now}", QUIET)


def _reads(event: ReadsObserved, _names: Names) -> Line:
    return Line(f"read without declaring it: {cut(listed([read.text for read in event.reads]))}", QUIET)


def _source(event: SourceRecorded, _names: Names) -> Line:
    size = counted(event.text.count("\n") + 1, "line")
    return Line(f"source text of {event.part} recorded: {short_digest(event.digest)}, {size}", QUIET)


def _accepted(event: ChangeAccepted, names: Names) -> Line:
    change = f" (the change: {'; '.join(event.differs)})" if event.differs else ""
    return Line(f"accepted as {names.run(event.as_run)} by {event.user or 'somebody'}: {event.reason}{change}", ODD)


def _revoked(event: AcceptanceRevoked, _names: Names) -> Line:
    return Line(f"no longer accepted, says {event.user or 'somebody'}{after_colon(event.reason or '')}", ODD)


def _packages(event: PackagesAccepted, _names: Names) -> Line:
    from consist_es.cache.packages import in_words as changes_of  # seldom, and it brings all of identity with it

    return Line(f"accepted by {event.user or 'somebody'}: {', '.join(changes_of(event))}: {event.reason}", ODD)


def _packages_revoked(event: PackagesRevoked, _names: Names) -> Line:
    said = f"no change of packages is accepted any longer, says {event.user or 'somebody'}"
    return Line(said + after_colon(event.reason or ""), ODD)


def _demoted(event: HitDemoted, _names: Names) -> Line:
    return Line(f"no longer a cache hit: the block logged output {event.key} of its own ({event.reason})", ODD)


# ---------------------------------------------------------------- artifacts


def _logged(event: ArtifactLogged, names: Names) -> Line:
    named = event.key if event.role in (None, event.key) else f"{event.role}={event.key}"
    if event.kind == "missing":
        return Line(f"{event.direction} {named} is missing: {event.uri}", BAD)
    facts = (
        event.kind if event.kind != "file" else "",
        event.driver if event.driver != "unknown" else "",
        "" if event.rows is None else counted(event.rows, "row"),
        "" if event.size is None else counted(event.size, "byte"),
        f"table {event.table_path}" if event.table_path else "",
        f"array {event.array_path}" if event.array_path else "",
        f"made by {names.run(event.producer)}" if event.direction == "input" and event.producer else "",
        "digest of size and time only" if event.digest_method == "fast" else "",
    )
    said = parts(("facet", pairs(event.facet) if event.facet else ""), ("metadata", pairs(event.meta)))
    said = "; ".join(filter(None, (said, *event.notes)))
    about = ", ".join(fact for fact in facts if fact)
    more = f"; {said}" if said else ""
    return Line(f"{event.direction} {named}: {event.uri} ({about}) {short_digest(event.digest)}{more}")


# ---------------------------------------------------------------- coupler, metadata


def _coupler_set(event: CouplerSet, names: Names) -> Line:
    what = _artifact(names, event.artifact) if event.artifact else f"{event.value} (not recorded as an artifact)"
    return Line(f"coupler: {event.key} is now {what.removeprefix(f'{event.key} ')}", QUIET)


def _declared(event: OutputsDeclared, _names: Names) -> Line:
    said = [f"{key} (required)" if required else key for key, required in event.required.items()]
    return Line(f"outputs declared: {listed(said)}", QUIET)


def _meta(event: MetaLogged, _names: Names) -> Line:
    return Line(f"metadata: {pairs(event.values)}")


# ---------------------------------------------------------------- the log itself


def _attached(event: WriterAttached, _names: Names) -> Line:
    who = f"{event.user or 'somebody'} on {event.host}, process {event.pid}"
    return Line(f"writer {event.writer}: {who}, {software(event)}, {event.platform}", QUIET)


def software(writer: Any) -> str:
    """The versions that a writer ran with."""
    return f"consist-es {writer.library}, Python {writer.python}"


def _repaired(event: LogRepaired, _names: Names) -> Line:
    cut = f"{counted(event.length, 'byte')} from byte {event.offset} of segment {event.segment}"
    kept = event.quarantine == segment_name(event.segment)
    done = "were damaged and are kept where they are" if kept else f"moved to quarantine/{event.quarantine}"
    return Line(f"log repaired: {cut} {done}: {event.reason}", ODD)


def _lost(event: RecordLost, _names: Names) -> Line:
    what = f"an event of type {event.said}" if event.said else "an event"
    where = "" if event.offset is None else f": {counted(event.size, 'byte')} from byte {event.offset}"
    return Line(f"lost: what was damaged here was {what}, in {segment_name(event.segment)}{where}", ODD)


def _redacted(event: PayloadRedacted, _names: Names) -> Line:
    what = f"payload of position {event.position} ({event.event}) redacted by {event.user or 'somebody'}"
    return Line(f"{what}: {event.reason}", ODD)


def _values(event: ValuesRecorded, _names: Names) -> Line:
    size = len(msgspec.json.encode(event.values))
    return Line(f"values recorded: {short_digest(event.digest)}, {size} bytes, for all runs that refer to them", QUIET)


def _environment(event: EnvironmentRecorded, _names: Names) -> Line:
    parts = (f"Python {event.python}", counted(len(event.packages), "package"), revision(event), event.platform)
    return Line(f"environment {short_digest(event.digest)}: {', '.join(part for part in parts if part)}", QUIET)


def revision(environment: Any) -> str:
    """The git commit of an environment, or nothing."""
    if environment.git_commit is None:
        return ""
    dirty = " with uncommitted changes" if environment.git_dirty else ""
    return f"git commit {environment.git_commit[:12]}{dirty}"


WORDS: dict[type, Callable[[Any, Names], Line]] = {
    AcceptanceRevoked: _revoked,
    ArtifactLogged: _logged,
    ArtifactMaterialized: lambda event, _names: Line(materialized(event)),
    CacheHit: _hit,
    CacheMissed: _missed,
    ChangeAccepted: _accepted,
    CopyForgotten: lambda event, _names: Line(forgotten(event), ODD),
    CopyRecorded: lambda event, _names: Line(copied(event)),
    CouplerSet: _coupler_set,
    EnvironmentRecorded: _environment,
    ValuesRecorded: _values,
    HitDemoted: _demoted,
    KeyCarriedOver: _carried,
    LogRepaired: _repaired,
    MetaLogged: _meta,
    OutputsDeclared: _declared,
    OutputsDoubted: lambda event, names: Line(f"not to be reused: {names.run(event.by)} wrote the same place", ODD),
    PackagesAccepted: _packages,
    PackagesRevoked: _packages_revoked,
    PayloadRedacted: _redacted,
    ReadsObserved: _reads,
    RecordLost: _lost,
    ScenarioExited: _scenario_exited,
    ScenarioStarted: _scenario_started,
    SourceRecorded: _source,
    StepAbandoned: _step_abandoned,
    StepCompleted: _step_completed,
    StepFailed: _step_failed,
    StepStarted: _step_started,
    WriterAttached: _attached,
    **keeping_words.WORDS,
    **log_words.WORDS,
    **sweep_words.WORDS,
}
"""Event type -> its words. Events of other types are shown field by field."""
