"""Finds and refuses pickles in HDF5 files before anything can load them.

PyTables, with which pandas reads HDF5 tables, unpickles in two places: columns of Python objects (a VLArray of
pseudo-atom ``object``; pandas makes them from text columns in its default, "fixed" format), and every text attribute
that ends with a full stop, which is how pandas keeps lists and dicts of column names. Unpickling can run any code. The
first is refused. The second is allowed if the pickle is plain data, checked by reading its opcodes without executing
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DATA_OPCODES = frozenset(
    (  # noqa: SIM905  a list would have a line for each
        "MARK STOP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT "
        "STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE LIST EMPTY_LIST APPEND APPENDS "
        "TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_TUPLE DICT EMPTY_DICT SETITEM SETITEMS "
        "PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET MEMOIZE PROTO FRAME"
    ).split()
)
_OFFSETS = frozenset(
    f"pandas._libs.tslibs.offsets {name}" for name in ("Day", "Hour", "Minute", "Second", "Milli", "Micro", "Nano")
)
"""Frequencies of a time index; making one of these from numbers does nothing else."""
_NAMING = frozenset(b"\x82\x83\x84\x93")
"""Opcodes that name something to call and are not text: EXT1, EXT2, EXT4, STACK_GLOBAL."""
_ATOMS = ("vlstring", "vlunicode")
_FLAVORS = ("numpy", "python", "numarray", "numeric", "VLString")


def pickle_in(h5py: Any, file: Any, table_path: str) -> str | None:
    """The part of a table, of the groups above it or of anything inside it that could run code when read, or None."""
    node, name = file, ""
    found = _in_node(h5py, file, "/")
    for part in filter(None, table_path.split("/")):
        if found or not isinstance(node, h5py.Group):
            return found
        link = node.get(part, getlink=True)
        if link is None:
            return None
        name = f"{name}/{part}"
        if not isinstance(link, h5py.HardLink):
            return f"{name} is a link"
        node = node[part]
        found = _in_node(h5py, node, name)
    return found or _below(h5py, node, name)


def _below(h5py: Any, top: Any, name: str) -> str | None:
    waiting, seen = [(name, top)], {top}
    while waiting:
        name, node = waiting.pop()
        for part in node if isinstance(node, h5py.Group) else ():
            if not isinstance(node.get(part, getlink=True), h5py.HardLink):
                return f"{name}/{part} is a link"
            child = node[part]
            if found := _in_node(h5py, child, f"{name}/{part}"):
                return found
            if child not in seen:
                seen.add(child)
                waiting.append((f"{name}/{part}", child))
    return None


def _in_node(h5py: Any, node: Any, name: str) -> str | None:
    for attribute in node.attrs:
        try:
            texts = list(_texts(h5py, node.attrs[attribute]))
        except (OSError, TypeError, ValueError, RuntimeError) as error:
            return f"attribute {attribute!r} of {name} cannot be checked ({error})"
        known = {"PSEUDOATOM": _ATOMS, "FLAVOR": _FLAVORS}.get(attribute)
        if known and any(text.decode("latin-1") not in known for text in texts):
            return f"{name} holds pickled Python objects"
        if not all(is_plain(text) for text in texts):
            return f"attribute {attribute!r} of {name} holds a pickled Python object"
    return None


def _texts(h5py: Any, value: Any) -> Iterator[bytes]:
    """Every text in an attribute's value, as the bytes that a pickle would have."""
    if isinstance(value, bytes):
        yield bytes(value)
    elif isinstance(value, str):
        yield value.encode("utf-8", "surrogateescape")
    elif not isinstance(value, h5py.Empty) and getattr(value, "dtype", None) is not None and value.dtype.kind in "SUO":
        for item in value.ravel() if value.shape else ():
            yield from _texts(h5py, item)


def is_plain(text: bytes) -> bool:
    """True if unpickling `text` could at most build lists, dicts, numbers and text; also True if it is not a pickle.

    To do more, a pickle must name a callable: with one of four bytes that occur in no text, or with GLOBAL or INST,
    which take two lines. Text without these is harmless, whatever it contains. All other text must be a whole pickle of
    data opcodes. Padding at the end does not count, because readers differ in what they strip.
    """
    text = text.rstrip(b"\0 ")
    if not text.endswith(b".") or (b"\n" not in text and not _NAMING.intersection(text)):
        return True
    import pickletools  # heavy, and few files have such text

    try:
        called = [_harmless(opcode.name, argument) for opcode, argument, _ in pickletools.genops(text)]
    except (ValueError, IndexError, KeyError, OverflowError):
        return False
    return all(called)


def _harmless(opcode: str, argument: Any) -> bool:
    if opcode == "GLOBAL":
        return argument in _OFFSETS
    return opcode in _DATA_OPCODES or opcode == "REDUCE"  # REDUCE calls a GLOBAL
