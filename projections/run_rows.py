"""Row structs of the run table's queries; `RunRow` has all its columns."""

from typing import Any, NamedTuple

import msgspec

from consist_es.events import Difference, FingerprintInfo, InputLink, Resources, StepLogInfo
from consist_es.projections.plumbing import ANYTHING, Columns, columns_of, decode_columns

_LISTS = ("tags", "cache_differs", "declared", "missing", "missing_outputs")
_DIFFERENCES = msgspec.json.Decoder(list[Difference])
_DICTS = ("meta", "cache_details", "options", "mounts")
_JSON: Columns = {
    **dict.fromkeys(_LISTS, (ANYTHING, list)),
    **dict.fromkeys(_DICTS, (ANYTHING, dict)),
    **dict.fromkeys(("config", "facet"), (ANYTHING, lambda: None)),
    "cache_differences": (_DIFFERENCES, list),
    "fingerprint_info": (msgspec.json.Decoder(FingerprintInfo), lambda: None),
    "log": (msgspec.json.Decoder(StepLogInfo), type(None)),
    "inputs": (msgspec.json.Decoder(list[InputLink]), None),
}


class RunRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `runs`. JSON columns are decoded and hold plain JSON; see docs/views.md for every column."""

    key: str
    run_id: str
    attempt: int
    id: str
    kind: str
    name: str
    model: str
    function: str | None
    parent_key: str | None
    scenario_key: str | None
    status: str
    description: str | None
    year: int | None
    iteration: int | None
    phase: str | None
    stage: str | None
    tags: list[str]
    config: Any
    facet: Any
    facet_schema_version: str | None
    meta: dict[str, Any]
    fingerprint: str | None
    code_digest: str | None
    config_digest: str | None
    inputs_digest: str | None
    labels_digest: str | None
    fingerprint_info: FingerprintInfo | None
    inputs: list[InputLink]
    cache_mode: str | None
    cache: str | None
    cache_source_key: str | None
    cache_reason: str | None
    cache_differs: list[str]
    cache_differences: list[Difference]
    cache_details: dict[str, Any]
    declared: list[str]
    missing: list[str]
    reusable: bool
    not_reusable_reason: str | None
    options: dict[str, Any]
    mounts: dict[str, str]
    run_dir: str
    artifact_dir: str
    environment: str | None
    writer: str
    started_at: str
    ended_at: str | None
    seconds: float | None
    error_type: str | None
    error_message: str | None
    error_traceback: str | None
    failed_step: str | None
    missing_outputs: list[str]
    log: StepLogInfo | None
    wall_s: float | None
    cpu_s: float | None
    peak_memory_bytes: int | None
    read_bytes: int | None
    written_bytes: int | None
    shared: int | None
    sweep: str | None
    sweep_row: str | None
    started_seq: int
    ended_seq: int | None

    @property
    def resources(self) -> Resources | None:
        """What the step took; None if that is not recorded."""
        if self.wall_s is None:
            return None
        return Resources(
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            peak_memory_bytes=self.peak_memory_bytes,
            read_bytes=self.read_bytes,
            written_bytes=self.written_bytes,
            shared=bool(self.shared),
        )


COLUMNS = columns_of(RunRow)


class ScenarioRow(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario's header run, and counts over its steps."""

    header: RunRow
    steps: int
    hits: int
    failed: int
    """Failed, interrupted or abandoned."""
    running: int
    seconds: float
    """Sum over its steps."""


class StepSummary(NamedTuple):
    """How a step went, in short."""

    id: str
    name: str
    model: str
    status: str
    cache: str | None
    description: str | None
    started_at: str
    ended_at: str | None
    seconds: float | None


class StepCounts(NamedTuple):
    """Counts over the steps of a scenario, see `ScenarioRow`."""

    steps: int
    hits: int
    failed: int
    running: int
    seconds: float


class WriterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A process that wrote to the log."""

    writer: str
    host: str
    boot: str
    pid: int
    pid_started: str
    user: str
    library: str
    python: str
    platform: str
    at: str
    seq: int
    machine: str
    pid_namespace: str
    lock: str


def run_row(values: tuple[Any, ...]) -> RunRow:
    """A `RunRow` from the values of all columns of `runs`, in their order."""
    row = dict(zip(COLUMNS, values, strict=True))
    row["fingerprint_info"] = row["fingerprint_info"] or None
    decode_columns(row, _JSON)
    row["reusable"] = bool(row["reusable"])
    return RunRow(**row)


def in_words(writer: WriterRow) -> str:
    """The writer's user, host and process, as text."""
    return f"{writer.user or 'somebody'} on {writer.host}, process {writer.pid}"
