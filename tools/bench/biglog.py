"""A log of any length, written fast: real segments with a real chain, made from events that are encoded once.

What the log holds is what a long project leaves: scenarios of twenty steps, of which the first half computes
(step_started, cache_missed, artifact_logged, step_completed) and the second half answers from the cache
(step_started, cache_hit, coupler_set, step_completed). Each step has the flows of the one before as its input. All
steps have one name; every run, artifact and fingerprint has one of its own, but for the repeated runs at the end: they
computed the same work again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from consist_es import __version__
from consist_es.events import (
    ArtifactLogged,
    CacheHit,
    CacheMissed,
    CouplerSet,
    Event,
    FingerprintInfo,
    InputLink,
    OutputLink,
    ScenarioExited,
    ScenarioStarted,
    SegmentSealed,
    StepCompleted,
    StepStarted,
)
from consist_es.log.record import Prepared, encode_line, genesis
from consist_es.log.segment import FORMAT, SEGMENT_SIZE, VERSION, Header, encode_header, segment_name
from consist_es.log.watermark import Watermark, write_watermark
from consist_es.system.storage import LocalStorage

STEPS = 20
"""Steps of a scenario."""
_PROJECT = "5eed" * 8
_AT = "2026-11-22T08:00:00.000000Z"
_WRITER = "bench.1.00000000"
FINGERPRINT = _DIGEST = "b3:" + "0" * 48  # the names below add the last sixteen digits
_HIT = "it is a hit; the run it came from is the one to reuse"


class Template(NamedTuple):
    """An event with gaps: ``%(scenario)s``, ``%(run)s``, ``%(source)s`` for names, ``%(number)s`` for digits."""

    type: str
    type_part: bytes
    data: bytes

    @classmethod
    def of(cls, event: Event) -> Template:
        """The event's type and payload; a gap may stand in any of its texts."""
        head = f',"type":"{event.TYPE}","v":{event.V},"scenario":"s-%(scenario)s","run":"%(run)s"'
        return cls(event.TYPE, head.encode(), msgspec.json.encode(event))

    def filled(self, names: dict[bytes, bytes]) -> Prepared:
        """The event with these names."""
        identity = b"00000000-0000-7000-8000-" + names[b"event"]
        return Prepared(
            id=identity.decode(),
            type=self.type,
            id_part=b'"%s"' % identity,
            type_part=self.type_part % names,
            data=self.data % names,
        )


def _started() -> StepStarted:
    info = FingerprintInfo(
        version=1,
        digest=_DIGEST + "%(number)s",
        code=_DIGEST + "c" * 16,
        config=_DIGEST + "%(number)s",
        inputs=_DIGEST + "a" * 16,
        labels=_DIGEST + "b" * 16,
        label_values={"model": "assign", "year": 2030},
        code_mode="imports",
        code_parts={"callable": _DIGEST, "model.py:assign": _DIGEST},
    )
    return StepStarted(
        run_id="step-%(number)s",
        name="assign",
        model="assign",
        function="model.assign",
        parent="s-%(scenario)s",
        year=2030,
        tags=["bench"],
        config={"growth": 1.1, "name": "%(number)s"},
        facet={"mode": "car", "lanes": 2},
        meta={"by": "bench"},
        inputs=[
            InputLink(
                role="demand",
                artifact="00000000-0000-4000-8000-%(before)s",
                key="flows",
                digest=_DIGEST + "0000%(before)s",
                via="inputs",
            )
        ],
        fingerprint=info,
        declared=["flows"],
        run_dir="/projects/model/runs",
        artifact_dir="./outputs/bench/%(run)s",
        environment=_DIGEST + "e" * 16,
    )


def _artifact() -> ArtifactLogged:
    return ArtifactLogged(
        artifact="00000000-0000-4000-8000-%(artifact)s",
        key="flows",
        direction="output",
        uri="./outputs/bench/%(run)s/flows.csv",
        root="/projects/model/runs",
        driver="csv",
        digest=_DIGEST + "%(number)s",
        size=4711,
        mtime_ns=1,
        producer="%(run)s",
        schema={"link": "int64", "flow": "double"},
        rows=76,
    )


_LINKS = [OutputLink(key="flows", artifact="00000000-0000-4000-8000-%(artifact)s")]
_MADE = StepCompleted(
    seconds=1.5, outputs=_LINKS, all_outputs=_LINKS, fingerprint=_DIGEST + "%(number)s", reusable=True
)
_REUSED = StepCompleted(seconds=0.001, outputs=_LINKS, all_outputs=_LINKS, fingerprint=_DIGEST, reason=_HIT)

COMPUTED = (
    (Template.of(_started()), Template.of(CacheMissed(reason="no_similar_prior_run"))),
    (Template.of(_artifact()),),
    (Template.of(_MADE),),
)
"""The batches of a step that ran."""
ANSWERED = (
    (
        Template.of(_started()),
        Template.of(CacheHit(source="step-%(source)s", validation="stat+digest", outputs=_LINKS)),
        Template.of(CouplerSet(key="flows", artifact="00000000-0000-4000-8000-%(artifact)s")),
        Template.of(_REUSED),
    ),
)
"""The batches of a step that was a cache hit."""
ENTERED = Template.of(ScenarioStarted(run_id="scenario-%(scenario)s", name="bench", run_dir="/projects/model/runs"))
LEFT = Template.of(ScenarioExited(status="completed", seconds=30.0))


def batches(count: int, repeated: int = 0) -> Iterator[list[Prepared]]:
    """At least `count` events, batch by batch, ending with a whole scenario; then one that computes the same work
    `repeated` times."""
    made = scenario = 0
    while made < count:
        for batch in _scenario(scenario, made, _steps(scenario)):
            yield batch
            made += len(batch)
        scenario += 1
    if repeated:
        first = scenario * STEPS
        same = {b"number": REPEATED, b"before": _names(first)[b"before"]}
        yield from _scenario(scenario, made, ((_names(first + n, first + n) | same, COMPUTED) for n in range(repeated)))


REPEATED = b"%016x" % (2**64 - 1)
"""Last digits of the fingerprint of the repeated runs."""

Names = dict[bytes, bytes]
Step = tuple[Names, tuple[tuple[Template, ...], ...]]


def _source(step: int) -> int:
    """The step that computed its results."""
    return step if step % STEPS < STEPS // 2 else step - STEPS // 2


def _names(step: int, source: int | None = None) -> Names:
    """What the gaps of a step are filled with."""
    source = _source(step) if source is None else source
    before = b"%012x" % _source(step - 1) if step else b"f" * 12  # the first one's input is of elsewhere
    numbers = {b"run": b"step-%016x" % step, b"number": b"%016x" % step, b"source": b"%016x" % source}
    return numbers | {b"artifact": b"%012x" % source, b"before": before}


def _steps(scenario: int) -> Iterator[Step]:
    for step in range(scenario * STEPS, (scenario + 1) * STEPS):
        yield _names(step), COMPUTED if _source(step) == step else ANSWERED


def _scenario(number: int, made: int, steps: Iterable[Step]) -> Iterator[list[Prepared]]:
    def filled(template: Template) -> Prepared:
        nonlocal made
        made += 1
        names[b"event"] = b"%012x" % made
        return template.filled(names)

    label = b"%012x" % number
    names = {b"scenario": label, b"run": b"s-" + label}
    yield [filled(ENTERED)]
    for gaps, step in steps:
        names |= gaps
        for batch in step:
            yield [filled(template) for template in batch]
    names[b"run"] = b"s-" + label
    yield [filled(LEFT)]


class Writing:
    """Segments on their way to the disk."""

    def __init__(self, folder: Path, segment_size: int) -> None:
        self._folder, self._segment_size = folder, segment_size
        self._chain = genesis(_PROJECT)
        self._lines: list[bytes] = []
        self._segment = self.seq = 0
        self._begin()

    def _begin(self) -> None:
        self._segment += 1
        header = Header(FORMAT, VERSION, _PROJECT, self._segment, self.seq + 1, _AT, "blake3", __version__)
        line = encode_header(header, self._chain)
        self._lines, self._size = [line], len(line)

    def add(self, batch: list[Prepared]) -> None:
        """One batch; a full segment is sealed before it."""
        if self._size >= self._segment_size:
            sealed = SegmentSealed(segment=self._segment, size=self._size)
            data = msgspec.json.encode(sealed)
            head = b',"type":"segment_sealed","v":1,"scenario":null,"run":null'
            self._line(Prepared("sealed", "segment_sealed", b'"sealed-%d"' % self._segment, head, data), True)
            self._flush()
            self._begin()
        for item in batch:
            self._line(item, item is batch[-1])

    def _line(self, item: Prepared, end: bool) -> None:
        self.seq += 1
        line, self._chain = encode_line(item, self.seq, end, _AT, _WRITER, self._chain)
        self._lines.append(line)
        self._size += len(line)

    def _flush(self) -> None:
        (self._folder / segment_name(self._segment)).write_bytes(b"".join(self._lines))

    def finish(self) -> None:
        """Write the last segment and the watermark."""
        self._flush()
        mark = Watermark(self.seq, self._segment, self._size, self._chain.decode())
        write_watermark(LocalStorage(), self._folder, mark)


def write(folder: Path, count: int, *, repeated: int = 0, segment_size: int = SEGMENT_SIZE) -> int:
    """A log of at least `count` events in a new folder, and of the `repeated` runs; returns how many it has."""
    folder.mkdir(parents=True)
    writing = Writing(folder, segment_size)
    for batch in batches(count, repeated):
        writing.add(batch)
    writing.finish()
    return writing.seq
