"""One event, one line: the codec of the log, and the chain that binds the lines together.

A line is a JSON object with a fixed order of keys (docs/log-format.md)::

    {"seq":…,"end":…,"id":…,"at":…,"by":…,"type":…,"v":…,"scenario":…,"run":…,"data":{…},"chain":"…"}\\n
    |<------------------------------- head ---------------------------->|       |<----- tail ----->|

The first ``,"data":`` ends the head, because quotes inside JSON strings are escaped; the tail has a fixed width. So a
line is split without parsing it.
"""

import binascii
import itertools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from blake3 import blake3

from consist_es.errors import LimitError, LogCorruptError, UsageTypeError
from consist_es.events import REGISTRY, Draft, Event, Origin, Recorded, RedactedEvent, UnknownEvent
from consist_es.text import shortened

DATA_CAP = 1 << 20
"""Largest payload in bytes on a line; a larger one goes to a blob."""
EVENT_CAP = 1 << 24
"""Largest payload in bytes of an event."""

SEPARATOR = b',"data":'
TAIL_START = b',"chain":"'
TAIL_END = b'"}\n'
CHAIN_LENGTH = 43
TAIL_LENGTH = len(TAIL_START) + CHAIN_LENGTH + len(TAIL_END)
BLOB_START = b'{"$blob":"'
REDACTED_START = b'{"$redacted":"'
ROOM = len(REDACTED_START) + 64 + len(b'"}')
"""Smallest payload in bytes on a line, so that every payload can be redacted in place."""
FILLER = b"\t"
"""Pads shorter payloads. Not blanks: one flipped bit turns a blank into the zero byte that a power cut leaves."""

LINE_TAG = b"consist-es log 1 line\n"
_GENESIS_TAG = b"consist-es log 1 genesis\n"
_HEADER_TAG = b"consist-es log 1 header\n"
URL_SAFE = bytes.maketrans(b"+/", b"-_")

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, v) -> pure function from a payload of version v to one of version v + 1."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """The envelope as it is on the line."""

    seq: int
    end: bool
    id: str
    at: str
    by: str
    type: str
    v: int
    scenario: str | None
    run: str | None
    of: Origin | None = None
    """None, and not on the line, if the event was recorded in this log."""


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """An event encoded outside the lock, before its position is known."""

    id: str
    type: str
    id_part: bytes
    type_part: bytes
    data: bytes
    by: str = ""
    """Its writer; "" for the one that appends it."""


class BadRecord(Exception):
    """Raised for bytes that are not a line of a log. Never leaves `consist_es.log`."""


# ---------------------------------------------------------------- chain


def text_of(digest: bytes) -> bytes:
    """A 32-byte digest as 43 characters of base64url without padding (RFC 4648, section 5)."""
    return binascii.b2a_base64(digest, newline=False)[:CHAIN_LENGTH].translate(URL_SAFE)


def chain_of(previous: bytes, head: bytes, data: bytes) -> bytes:
    """Chain value of a line, as on the line.

    blake3 over: domain tag, the previous chain value (43 characters), the length of the head (8 bytes, little endian),
    the head, and the blake3 digest of the data, so that the data can be redacted with the chain intact.
    """
    return text_of(blake3(covered(previous, head, data)).digest())


def covered(previous: bytes, head: bytes, data: bytes) -> bytes:
    """Input of a line's chain value. Also the line's leaf in the log's Merkle tree: a redaction that keeps the chain
    intact keeps the tree intact."""
    return LINE_TAG + previous + len(head).to_bytes(8, "little") + head + payload_digest(data)


def genesis(project: str) -> bytes:
    """The chain value before the first line of a project's log; no line of another project's log can follow it."""
    return text_of(blake3(_GENESIS_TAG + project.encode()).digest())


def header_check(header: bytes, previous: bytes) -> bytes:
    """Checksum of a segment's header line up to its ``,"check":``, together with the chain value it starts from."""
    return text_of(blake3(_HEADER_TAG + previous + header).digest())


# ---------------------------------------------------------------- redacted payloads

_REDACTED = re.compile(rb'\{"\$redacted":"([0-9a-f]{64})"\t*\}')


def payload_digest(data: bytes) -> bytes:
    """The blake3 of the original payload: computed from the data, or read from them if the payload was redacted.

    So the chain always covers the original payload: a redaction with another digest breaks it.
    """
    if data.startswith(REDACTED_START) and (match := _REDACTED.fullmatch(data)):
        return bytes.fromhex(match[1].decode())
    return blake3(data).digest()


def redacted_digest(data: bytes) -> str | None:
    """The digest of the redacted payload, in hex; None if the data are a payload."""
    match = _REDACTED.fullmatch(data) if data.startswith(REDACTED_START) else None
    return None if match is None else match[1].decode()


def redacted_form(data: bytes) -> bytes:
    """The replacement for a redacted payload: its digest, padded to the same size."""
    return REDACTED_START + blake3(data).hexdigest().encode() + b'"' + FILLER * (len(data) - ROOM) + b"}"


# ---------------------------------------------------------------- payloads


def encode_data(event: Event) -> bytes:
    """The payload as JSON, exactly as it will be stored.

    Raises:
        UsageTypeError: a value in it has no exact JSON form, or does not fit its field's type (the message names its
            path).
        LimitError: it is larger than 16 MiB.
    """
    data, is_exact = _encoded(event)
    if not is_exact and (fault := _fault(event, 0)):
        raise _unfit(event.TYPE + fault[0], fault[1])
    if not is_exact:
        data = msgspec.json.encode(event)  # raises what kept it from being encoded
    if len(data) > EVENT_CAP:
        raise LimitError(f"An event of type {event.TYPE}", len(data), EVENT_CAP)
    if data.startswith(b'{"$'):
        raise UsageTypeError(
            f"The first field of {event.TYPE} begins with $, which is reserved for the log: rename it."
        )
    if len(data) < ROOM:
        data = data[:-1].ljust(ROOM - 1, FILLER) + b"}"
    if not is_exact:
        _require_readable(event, data)
    return data


def _encoded(event: Event) -> tuple[bytes, bool]:
    """The payload as JSON, and True if reading it back certainly gives an equal event."""
    # All of it happens in C. What JSON changes (NaN, keys that are not text, tuples, dates) is not equal afterwards;
    # only the walk of `_fault` can tell where it is, or that all is well with an event that this library cannot read.
    try:
        data = msgspec.json.encode(event)
        if len(data) > EVENT_CAP:
            return data, False
        msgspec.msgpack.encode(event)  # unlike JSON's, it refuses integers beyond 64 bits
        return data, bool(decode_event(event.TYPE, event.V, data) == event)
    except (BadRecord, TypeError, ValueError, OverflowError, RecursionError):
        return b"", False


def _require_readable(event: Event, data: bytes) -> None:
    """Refuse values that cannot be read back: a struct takes any type silently, and the log would end there."""
    try:
        decode_event(event.TYPE, event.V, data)
    except BadRecord as error:
        raise UsageTypeError(f"{error}. Nothing was recorded.") from error


MAX_DEPTH = 200
_MIN_INT, _MAX_INT = -(1 << 63), (1 << 64) - 1

Fault = tuple[str, str] | None
"""(path below the value, fault), or None. The path is built only on the way out of a fault, because this runs for every
value of every event."""


def _fault(value: Any, depth: int) -> Fault:
    """Find values that JSON would change silently (NaN becomes null, a key 1 becomes "1") or cannot hold."""
    kind = type(value)
    if value is None or kind is bool or (kind is str and value.isascii()):
        return None
    if kind is str:
        return _text_fault(value)
    if kind is int:
        return None if _MIN_INT <= value <= _MAX_INT else ("", "an integer beyond 64 bits")
    if kind is float:
        return None if math.isfinite(value) else ("", f"the float {value!r}")
    if depth > MAX_DEPTH:
        return ("", f"values nested more than {MAX_DEPTH} deep")
    if kind is list:
        return _list_fault(value, depth + 1)
    if kind is dict:
        return _dict_fault(value, depth + 1)
    if isinstance(value, msgspec.Struct):
        return _struct_fault(value, depth + 1)
    return ("", f"a value of type {kind.__module__}.{kind.__qualname__}")


def _text_fault(value: str) -> Fault:
    try:
        value.encode()
    except UnicodeEncodeError:
        return ("", "a string with a lone surrogate")
    return None


def _list_fault(value: list[Any], depth: int) -> Fault:
    for index, item in enumerate(value):
        if fault := _fault(item, depth):
            return f"[{index}]{fault[0]}", fault[1]
    return None


def _dict_fault(value: dict[Any, Any], depth: int) -> Fault:
    for key, item in value.items():
        if type(key) is not str:
            return "", f"the key {key!r} of type {type(key).__name__}"
        if fault := _fault(key, depth):
            return fault
        if fault := _fault(item, depth):
            return f"[{key!r}]{fault[0]}", fault[1]
    return None


def _struct_fault(value: msgspec.Struct, depth: int) -> Fault:
    for field in value.__struct_fields__:
        if fault := _fault(getattr(value, field), depth):
            return f".{field}{fault[0]}", fault[1]
    return None


def _unfit(path: str, what: str) -> UsageTypeError:
    shown = shortened(path, 200)
    return UsageTypeError(
        f"{shown} holds {what}, which has no exact JSON form. Convert it with consist_es.values.plain.to_plain first. "
        "Nothing was recorded."
    )


DECODERS: dict[tuple[str, int], msgspec.json.Decoder[Any]] = {}
"""(type, v) -> decoder of payloads that need no upcaster; filled by use."""
_RAW = msgspec.json.Decoder(msgspec.Raw)
_PLAIN = msgspec.json.Decoder(dict[str, Any])


def decode_event(type: str, v: int, data: bytes) -> Event | UnknownEvent | RedactedEvent:
    """The payload as its struct; an `UnknownEvent` if this library does not know (type, v), a `RedactedEvent` if the
    payload was redacted.

    Raises:
        BadRecord: the bytes are not JSON, or do not fit the type.
    """
    if data.startswith(REDACTED_START) and (digest := redacted_digest(data)) is not None:
        return RedactedEvent(type=type, v=v, digest=digest)
    key = (type, v)
    try:
        if data.count(b"[") + data.count(b"{") > MAX_DEPTH:  # few have so many, and most of those are not deep
            _require_flat(data)
        if key in UPCASTERS:
            return _upcast(type, v, _PLAIN.decode(data))
        if key in REGISTRY:
            event: Event = (DECODERS.get(key) or _decoder(key)).decode(data)
            return event
        _RAW.decode(data)
        return UnknownEvent(type=type, v=v, data=data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRecord(f"the payload of type {type}, version {v} does not decode: {error}") from error


_json = msgspec.json.encode
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_STEPS = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}


def _require_flat(data: bytes) -> None:
    """Refuse payloads nested deeper than any that is written: reading walks them by recursion."""
    bare = _STRINGS.sub(b"", data)
    if max(itertools.accumulate(_STEPS.get(byte, 0) for byte in bare)) > MAX_DEPTH + 1:
        raise ValueError(f"values nested more than {MAX_DEPTH} deep")


def _decoder(key: tuple[str, int]) -> msgspec.json.Decoder[Any]:
    return DECODERS.setdefault(key, msgspec.json.Decoder(REGISTRY[key]))


def _upcast(type: str, v: int, plain: dict[str, Any]) -> Event:
    while (type, v) in UPCASTERS:
        plain = UPCASTERS[type, v](plain)
        v += 1
    event: Event = msgspec.convert(plain, REGISTRY[type, v])
    return event


# ---------------------------------------------------------------- lines


def prepare(draft: Draft, id: str) -> Prepared:
    """Encode a draft outside the lock.

    Raises:
        UsageTypeError, LimitError: see `encode_data`.
    """
    event = draft.event
    for name, value in (("id", id), ("scenario", draft.scenario), ("run", draft.run)):
        if value and not value.isascii() and (fault := _text_fault(value)):
            raise _unfit(f"{name} of an event of type {event.TYPE}", fault[1])
    what = f',"type":"{event.TYPE}","v":{event.V},"scenario":'.encode()
    type_part = what + _json(draft.scenario) + b',"run":' + _json(draft.run)
    size = len(id) + len(type_part)
    if size > DATA_CAP:
        raise LimitError(f"The envelope of an event of type {event.TYPE}", size, DATA_CAP)
    return Prepared(id=id, type=event.TYPE, id_part=_json(id), type_part=type_part, data=encode_data(event))


def prepare_all(drafts: Iterable[Draft], new_ids: Iterable[str]) -> list[Prepared]:
    """As `prepare`, for many drafts; a draft with an id keeps it."""
    return [prepare(draft, draft.id or new_id) for draft, new_id in zip(drafts, new_ids, strict=True)]


def merged(head: Head, data: bytes, of: Origin) -> Prepared:
    """A record of another log, to be appended to this one: all but its position, time and chain stay as they are."""
    what = f',"type":{_json(head.type).decode()},"v":{head.v},"scenario":'.encode() + _json(head.scenario)
    about = what + b',"run":' + _json(head.run) + b',"of":' + _json(of)
    return Prepared(id=head.id, type=head.type, id_part=_json(head.id), type_part=about, data=data, by=head.by)


def encode_line(item: Prepared, seq: int, end: bool, at: str, by: str, previous: bytes) -> tuple[bytes, bytes]:
    """The line and its chain value."""
    front = b'{"seq":%d,"end":%b,"id":' % (seq, b"true" if end else b"false")
    head = b"".join((front, item.id_part, b',"at":"', at.encode(), b'","by":', _json(item.by or by), item.type_part))
    chain = chain_of(previous, head, item.data)
    return join_line(head, item.data, chain), chain


def encode_lines(items: Sequence[Prepared], seq: int, at: str, by: str, previous: bytes) -> tuple[bytes, bytes]:
    """The lines of a batch that follows position `seq`, and the last chain value."""
    chain, lines = previous, []
    for count, item in enumerate(items, 1):
        line, chain = encode_line(item, seq + count, count == len(items), at, by, chain)
        lines.append(line)
    return b"".join(lines), chain


def join_line(head: bytes, data: bytes, chain: bytes) -> bytes:
    """Join a line from its parts; the inverse of `split_line`."""
    return b"".join((head, SEPARATOR, data, TAIL_START, chain, TAIL_END))


def line_of(covered: bytes, data: bytes, chain: bytes) -> bytes:
    """The line with this input of its chain value, see `covered`."""
    return join_line(covered[len(LINE_TAG) + CHAIN_LENGTH + 8 : -32], data, chain)


def split_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, data and chain of a line with its newline, found by position alone.

    Raises:
        BadRecord: it is not laid out like a line.
    """
    stop = len(line) - TAIL_LENGTH
    cut = line.find(SEPARATOR, 0, max(stop, 0))
    if cut < 0 or line[stop : stop + len(TAIL_START)] != TAIL_START or line[-len(TAIL_END) :] != TAIL_END:
        raise BadRecord("not laid out like a record")
    return line[:cut], line[cut + len(SEPARATOR) : stop], line[stop + len(TAIL_START) : -len(TAIL_END)]


_HEAD = msgspec.json.Decoder(Head)


def decode_head(head: bytes) -> Head:
    """The envelope.

    Raises:
        BadRecord: it does not decode.
    """
    try:
        return _HEAD.decode(head + b"}")
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRecord(f"the envelope does not decode: {error}") from error


def chain_before(tail: bytes) -> bytes:
    """The chain value at the end of the bytes before a line: that of the line or segment header before it.

    Raises:
        BadRecord: no line ends there.
    """
    if len(tail) < TAIL_LENGTH or tail[-TAIL_LENGTH : -TAIL_LENGTH + len(TAIL_START)] != TAIL_START:
        raise BadRecord("no record ends before it")
    if tail[-len(TAIL_END) :] != TAIL_END:
        raise BadRecord("no record ends before it")
    return tail[-len(TAIL_END) - CHAIN_LENGTH : -len(TAIL_END)]


def follows(line: bytes, previous: bytes) -> tuple[Head, bytes, bytes, bytes]:
    """Envelope, data, chain value and its input of a line that follows the chain value `previous`.

    Raises:
        BadRecord: it is not a line, or follows another one.
    """
    head_bytes, data, chain = split_line(line)
    what = covered(previous, head_bytes, data)
    if chain != text_of(blake3(what).digest()):
        raise BadRecord("the chain value does not match the record and the one before it")
    return decode_head(head_bytes), data, chain, what


def last_end(data: bytes) -> tuple[int, bytes, int] | None:
    """Position, chain value and end offset of the last whole batch in `data`, the end of a segment; None if `data` does
    not show it."""
    stop = data.rfind(b"\n") + 1
    while (start := data.rfind(b"\n", 0, max(stop - 1, 0)) + 1) >= TAIL_LENGTH:
        try:
            head, _, chain, _ = follows(data[start:stop], chain_before(data[start - TAIL_LENGTH : start]))
            if head.end:
                return head.seq, chain, stop
        except BadRecord:
            pass
        stop = start
    return None


def recorded(head: Head, data: bytes, chain: bytes, segment: int, offset: int, size: int) -> Recorded:
    """Build an event from the parts of its line; `data` with any blob already resolved.

    Raises:
        BadRecord: the payload does not decode.
    """
    return Recorded(
        seq=head.seq,
        end=head.end,
        id=head.id,
        at=head.at,
        by=head.by,
        type=head.type,
        v=head.v,
        scenario=head.scenario,
        run=head.run,
        event=decode_event(head.type, head.v, data),
        chain=chain.decode("ascii", "replace"),
        segment=segment,
        offset=offset,
        size=size,
        of=head.of,
    )


def decode_line(line: bytes, segment: int, offset: int) -> Recorded:
    """Decode one line, with its newline, that holds its payload itself. The chain value is not checked.

    Raises:
        LogCorruptError: the bytes are not such a line.
    """
    try:
        head, data, chain = split_line(line)
        if data.startswith(BLOB_START):
            raise BadRecord("its payload lies in a blob: read it through the log")
        return recorded(decode_head(head), data, chain, segment, offset, len(line))
    except BadRecord as error:
        raise LogCorruptError(segment, offset, str(error)) from error
