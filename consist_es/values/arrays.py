"""Plain forms of numpy's values, by their buffers. numpy is never imported: a value of its own proves it is loaded."""

import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any

from blake3 import blake3

from consist_es.values.digests import written
from consist_es.values.encoding import INT64, frame, type_name

LISTED = 10_000
"""Elements up to which arrays in metadata are kept as lists, so that they can be read back."""
INLINE = 64
"""Elements up to which arrays are stored whole; larger ones are stored as a digest."""

Plain = Callable[[Any, str], Any]
Parts = list[bytes | memoryview]


def digest(kind: str, parts: Iterable[bytes | memoryview], shape: list[int]) -> dict[str, Any]:
    """Form of a value that is too large to be stored: a digest over parts, each with its length."""
    hasher = blake3(kind.encode())
    for part in parts:
        hasher.update(b"%d:" % (part.nbytes if isinstance(part, memoryview) else len(part)))
        hasher.update(part)
    return {"$digest": [kind, written(hasher), shape]}


def numpy_form(value: Any, where: str, plain: Plain) -> Any:
    """The tagged form of an array, scalar or dtype; None for anything else.

    The order of the axes in memory counts, because sums are rounded in that order, and so does the writeable flag. A
    writeable array in C order needs neither noted. Gaps in memory do not count.
    """
    np = sys.modules["numpy"]
    if isinstance(value, np.generic):
        array = np.asarray(value)
        return {"$scalar": [dtype_form(array.dtype, where, plain), _elements(array, where, plain)]}
    if isinstance(value, np.dtype):
        return {"$dtype": dtype_form(value, where, plain)}
    if isinstance(value, np.ma.MaskedArray):
        return _masked(value, where, plain)
    if type(value) in (np.memmap, np.matrix, np.recarray):
        more = [str(value.filename), value.mode, value.offset] if type(value) is np.memmap else []
        return {"$ndarray": [type_name(type(value)), plain(value.view(np.ndarray), where), *more]}
    return _array(value, where, plain) if type(value) is np.ndarray else None


def _array(array: Any, where: str, plain: Plain) -> Any:
    shape, name = list(array.shape), dtype_form(array.dtype, where, plain)
    layout = _layout(array)
    if array.size <= INLINE:
        return {"$array": [name, shape, _elements(array, where, plain), *layout]}
    parts = parts_of(array, where, plain)
    if isinstance(name, str) and not layout:
        return digest(f"numpy.ndarray {name}", parts, shape)
    return digest("numpy.ndarray", [frame([name, *layout]), *parts], shape)


def _layout(array: Any) -> list[Any]:
    """The unusual in an array's memory layout: order of its axes, axes that run backwards, flags; [] if nothing is."""
    flags = array.flags
    axes: list[int] = []
    if not flags.c_contiguous:
        long = [axis for axis in range(array.ndim) if array.shape[axis] > 1]
        axes = sorted(long, key=lambda axis: -abs(array.strides[axis]))
        axes = [~axis if array.strides[axis] < 0 else axis for axis in axes]
        axes = [] if axes == long else axes
    return [[axes, flags.writeable, flags.aligned]] if axes or not (flags.writeable and flags.aligned) else []


def _masked(array: Any, where: str, plain: Plain) -> Any:
    """A masked array: its values, also those below the mask, which a step can read, and its mask settings."""
    np = sys.modules["numpy"]
    if type(array) is not np.ma.MaskedArray or type(array.data) is not np.ndarray:
        return None
    inside = [array.data, np.ma.getmask(array), array.fill_value, array.hardmask]
    return {"$masked_array": [plain(part, where) for part in inside]}


def listed(value: Any) -> Any:
    """Metadata with its arrays of numbers and texts as lists, so that their values can be read back."""
    np = sys.modules.get("numpy")
    if np is None:
        return value
    if type(value) is np.ndarray and value.dtype.kind in "biufU" and value.size <= LISTED:
        return value.tolist()
    if type(value) is dict:
        return {key: listed(item) for key, item in value.items()}
    return [listed(item) for item in value] if type(value) is list else value


def dtype_form(dtype: Any, where: str, plain: Plain) -> Any:
    """numpy's short text if it describes the type fully; else everything that a step can ask of the type."""
    if dtype.metadata is None and _is_told_by_text(dtype):
        return dtype.str
    form = {
        "type": [type_name(type(dtype)), type_name(dtype.type), dtype.str, dtype.itemsize],
        "align": [dtype.alignment, dtype.isalignedstruct],
        "metadata": _metadata(dtype.metadata or {}, where, plain),
    }
    if dtype.names is not None:
        fields = [(name, *dtype.fields[name]) for name in dtype.names]
        form["fields"] = [
            [name, offset, plain(title[0] if title else None, where), dtype_form(inner, where, plain)]
            for name, inner, offset, *title in fields
        ]
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        form["items"] = [list(shape), dtype_form(base, where, plain)]
    if dtype.kind == "T":
        form["text"] = [dtype.coerce, *([plain(dtype.na_object, where)] if hasattr(dtype, "na_object") else [])]
    return form


def _is_told_by_text(dtype: Any) -> bool:
    np = sys.modules["numpy"]
    try:
        same = np.dtype(dtype.str)
    except TypeError:  # a type of another package, or texts of any length
        return False
    return type(same) is type(dtype) and bool(same == dtype)


def _metadata(metadata: Any, where: str, plain: Plain) -> Any:
    """Metadata that a package put on a dtype; h5py puts builtin types there."""
    known = {
        key: {"$class": type_name(item)} if isinstance(item, type) and item.__module__ == "builtins" else item
        for key, item in metadata.items()
    }
    return plain(known, f"{where}.dtype.metadata")


def parts_of(array: Any, where: str, plain: Plain) -> Parts:
    """The values of an array in C order, as buffers; structures by field, without the padding between."""
    dtype = array.dtype
    if dtype.names is not None:
        return [part for name in dtype.names for part in parts_of(array[name], where, plain)]
    if dtype.kind == "T":
        return cells(array.astype(object).ravel().tolist(), where, plain)
    if dtype.kind == "O":
        return cells(array.ravel().tolist(), where, plain)
    if dtype.kind in "fc" and dtype.itemsize > (8 if dtype.kind == "f" else 16):
        return [frame(_elements(array, where, plain))]
    return [raw(array)]


def raw(array: Any) -> bytes | memoryview:
    """The bytes of an array in C order, uncopied if it is contiguous."""
    np = sys.modules["numpy"]
    flat = np.ascontiguousarray(array).reshape(-1)
    return memoryview(flat.view(np.uint8)) if flat.nbytes else b""


def cells(items: list[Any], where: str, plain: Plain) -> Parts:
    """Python objects: texts, numbers, None and missing values together by type, anything else one by one."""
    np, pd = sys.modules["numpy"], sys.modules.get("pandas")
    tags: dict[type, int] = {str: 1, float: 2, int: 3, bool: 4, type(None): 5}
    if pd is not None:
        tags |= {type(pd.NA): 6, type(pd.NaT): 7}
    kinds = list(map(type, items))
    distinct = set(kinds)
    if not distinct <= tags.keys():
        return [b"objects", frame(plain(items, where))]
    order = bytes(map(tags.__getitem__, kinds if len(distinct) > 1 else distinct))

    def of(kind: type) -> list[Any]:
        if kind not in distinct or len(distinct) == 1:
            return items if kind in distinct else []
        chosen = order.translate(bytes(tag == tags[kind] for tag in range(256)))
        return list(itertools.compress(items, chosen))

    whole = of(int)
    if whole and not (min(whole) in INT64 and max(whole) in INT64):
        return [b"objects", frame(plain(items, where))]
    return [
        b"cells %d" % len(items),
        order,
        *_texts(of(str)),
        raw(np.array(of(float), "<f8")),
        raw(np.array(whole, "<i8")),
        bytes(of(bool)),
    ]


def _texts(texts: list[str]) -> Parts:
    """Texts joined by NUL, which is quick; with their lengths if one of them contains a NUL."""
    np = sys.modules["numpy"]
    joined = "\0".join(texts)
    alone = not texts or joined.count("\0") == len(texts) - 1
    lengths = b"" if alone else raw(np.fromiter(map(len, texts), "<i8", len(texts)))
    return [lengths, joined.encode("utf-8", "surrogatepass")]


def _elements(array: Any, where: str, plain: Plain) -> Any:
    """Nested lists of the elements; times as their integer count, structures by field, unknown types as bytes."""
    dtype, kind = array.dtype, array.dtype.kind
    if dtype.names is not None:
        return [_elements(array[name], where, plain) for name in dtype.names]
    if kind in "Mm":
        array = array.astype("int64")
    elif kind in "fc" and dtype.itemsize > (8 if kind == "f" else 16):
        array = array.astype(str)  # wider than a Python float: the text has all digits, the bytes have padding
    elif kind == "V":
        return plain(array.tobytes(), where)
    elif kind == "T":
        array = array.astype(object)
    return plain(array.tolist(), where)
