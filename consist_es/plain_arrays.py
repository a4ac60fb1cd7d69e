"""Plain forms of numpy, pandas and pyarrow values. None of the three is imported: a value of theirs implies it is."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from blake3 import blake3

from consist_es.errors import ConfigTypeError
from consist_es.plain import frame, module_name, type_name

INLINE = 64
"""Arrays of at most this many elements are stored whole, larger ones as a digest."""

Plain = Callable[[Any, str], Any]


def tagged(value: Any, where: str, plain: Plain) -> Any:
    """The tagged form of an array, frame, table or scalar of the three packages; None for anything else."""
    package = module_name(type(value)).partition(".")[0]
    if package == "numpy" and "numpy" in sys.modules:
        return _numpy(value, where, plain)
    if package == "pandas" and "pandas" in sys.modules:
        return _pandas(value, where, plain)
    if package == "pyarrow" and "pyarrow" in sys.modules:
        return _arrow(value)
    return None


def _digest(kind: str, parts: Iterable[bytes], shape: list[int]) -> dict[str, Any]:
    hasher = blake3(kind.encode())
    for part in parts:
        hasher.update(b"%d:" % len(part))
        hasher.update(part)
    return {"$digest": [kind, f"b3:{hasher.hexdigest()}", shape]}


# ---------------------------------------------------------------- numpy


def _numpy(value: Any, where: str, plain: Plain) -> Any:
    np = sys.modules["numpy"]
    if isinstance(value, np.generic):
        array = np.asarray(value)
        return {"$scalar": [_dtype(array), _elements(array, where, plain)]}
    if isinstance(value, np.dtype):
        return {"$dtype": value.str if value.names is None else repr(value.descr)}
    if type(value) is not np.ndarray:
        return None
    shape, name = list(value.shape), _dtype(value)
    if value.size <= INLINE:
        return {"$array": [name, shape, _elements(value, where, plain)]}
    if value.dtype.hasobject or (value.dtype.kind == "f" and value.itemsize > 8):
        parts = [frame(_elements(value, where, plain))]
    else:
        parts = [np.ascontiguousarray(value).tobytes()]
    return _digest(f"numpy.ndarray {name}", parts, shape)


def _dtype(array: Any) -> str:
    return str(array.dtype.str) if array.dtype.names is None else repr(array.dtype.descr)


def _elements(array: Any, where: str, plain: Plain) -> Any:
    """Nested lists of the elements; moments as their integer count, structures as their bytes."""
    kind = array.dtype.kind
    if kind in "Mm":
        array = array.astype("int64")
    elif kind in "fc" and array.dtype.itemsize > (8 if kind == "f" else 16):
        array = array.astype(str)  # wider than a Python float: the text has all digits, the bytes have padding
    elif kind == "V":
        if array.dtype.hasobject:
            raise ConfigTypeError(f"{where}: a structured array that holds objects is not supported; use columns.")
        return plain(array.tobytes(), where)
    return plain(array.tolist(), where)


# ---------------------------------------------------------------- pandas


def _pandas(value: Any, where: str, plain: Plain) -> Any:
    pd = sys.modules["pandas"]
    kind = type_name(type(value))
    if value is pd.NA or value is pd.NaT:
        return {"$pandas": [str(value)]}
    if isinstance(value, (pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval)):
        return {"$pandas": [type(value).__name__, *_moment(value, where, plain)]}
    if isinstance(value, pd.DataFrame):
        labels = [frame(plain(list(axis.names), where)) for axis in value.axes]
        parts = [part for axis in value.axes for part in _axis(axis, where, plain)]
        columns = [part for i in range(value.shape[1]) for part in _column(value.iloc[:, i].array, where, plain)]
        return _digest(kind, [*labels, *parts, *columns, _attrs(value, where, plain)], list(value.shape))
    if isinstance(value, pd.Series):
        parts = [frame(plain([value.name, *value.index.names], where)), *_axis(value.index, where, plain)]
        return _digest(kind, [*parts, *_column(value.array, where, plain), _attrs(value, where, plain)], [len(value)])
    if isinstance(value, pd.Index):
        return _digest(kind, [frame(plain(list(value.names), where)), *_axis(value, where, plain)], [len(value)])
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return _digest(kind, _column(value, where, plain), [len(value)])
    return None


def _attrs(value: Any, where: str, plain: Plain) -> bytes:
    return frame(plain(dict(value.attrs), f"{where}.attrs"))


def _moment(value: Any, where: str, plain: Plain) -> list[Any]:
    pd = sys.modules["pandas"]
    if isinstance(value, pd.Interval):
        return [plain(value.left, where), plain(value.right, where), value.closed]
    if isinstance(value, pd.Period):
        return [value.ordinal, value.freqstr]
    if isinstance(value, pd.Timestamp):
        return [value.isoformat(), value.unit, str(value.tz), value.fold]
    return [value.isoformat(), value.unit]


def _axis(index: Any, where: str, plain: Plain) -> list[bytes]:
    levels = [index.get_level_values(i) for i in range(index.nlevels)]
    kind = f"{index.nlevels} {getattr(index, 'freqstr', None)}".encode()
    return [kind, *(part for level in levels for part in _column(level.array, where, plain))]


def _column(array: Any, where: str, plain: Plain) -> list[bytes]:
    """Type and values of one column. Extension types go value by value, except the large common ones."""
    np, pd = sys.modules["numpy"], sys.modules["pandas"]
    dtype = array.dtype
    head = f"{type(array).__name__} {dtype!r}".encode()
    if isinstance(dtype, pd.CategoricalDtype):
        codes = np.ascontiguousarray(array.codes).astype("<i8").tobytes()
        return [b"category", str(bool(array.ordered)).encode(), codes, *_column(array.categories.array, where, plain)]
    if isinstance(dtype, np.dtype) and dtype.kind in "biufcMmUS":
        return [head, np.ascontiguousarray(np.asarray(array)).tobytes()]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return [head, np.ascontiguousarray(array.asi8).tobytes()]
    return [head, b"".join(frame(plain(item, where)) for item in array)]


# ---------------------------------------------------------------- pyarrow


def _arrow(value: Any) -> Any:
    """Arrow's own stream format: types, names, metadata and values; how the data is chunked does not count."""
    pa = sys.modules["pyarrow"]
    kind = type_name(type(value))
    if isinstance(value, pa.Scalar):
        value = pa.array([value.as_py()], value.type)
    if isinstance(value, pa.DataType):
        value = pa.field("", value)
    if isinstance(value, (pa.Field, pa.Schema)):
        table = (pa.schema([value]) if isinstance(value, pa.Field) else value).empty_table()
    elif isinstance(value, (pa.Array, pa.ChunkedArray)):
        table = pa.table({"": value})
    elif isinstance(value, pa.RecordBatch):
        table = pa.Table.from_batches([value])
    elif isinstance(value, pa.Table):
        table = value
    else:
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return _digest(kind, [bytes(sink.getvalue())], [table.num_rows, table.num_columns])
