"""Plain forms of pandas, polars and pyarrow values, by the buffers of their columns. None of these is imported here.

A value counts by everything a step can read through the public interface: types of index and columns, dtypes, names,
flags, attributes, frequencies, categories with their order, unused levels too. The layout of a frame's columns in
memory, and the chunks of Arrow data, do not count.
"""

import io
import sys
from typing import Any

from consist_es.values.arrays import Parts, Plain, cells, digest, numpy_form, parts_of, raw
from consist_es.values.encoding import frame, type_name
from consist_es.values.times import zone_form


def tagged(value: Any, where: str, plain: Plain) -> Any:
    """The tagged form of a value of numpy, pandas, polars or pyarrow; None for anything else."""
    package = type(value).__module__.partition(".")[0]
    forms = {"numpy": numpy_form, "pandas": _pandas, "polars": _polars, "pyarrow": _arrow}
    return forms[package](value, where, plain) if package in forms and package in sys.modules else None


# ---------------------------------------------------------------- pandas


def _pandas(value: Any, where: str, plain: Plain) -> Any:
    pd = sys.modules["pandas"]
    kind = type_name(type(value))
    if value is pd.NA or value is pd.NaT:
        return {"$pandas": [str(value)]}
    if isinstance(value, (pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval)):
        return {"$pandas": [type(value).__name__, *_moment(value, where, plain)]}
    if isinstance(value, pd.offsets.BaseOffset):
        return {"$pandas": ["offset", _offset(value, where, plain)]}
    if isinstance(value, pd.api.extensions.ExtensionDtype):
        return digest(kind, [repr(value).encode(), *_column(pd.array([], dtype=value), where, plain)], [])
    if isinstance(value, pd.DataFrame):
        axes = [part for axis in value.axes for part in _axis(axis, where, plain)]
        parts = [_notes(value, where, plain), *axes, *_columns(value, where, plain)]
        return digest(kind, parts, list(value.shape))
    if isinstance(value, pd.Series):
        name = frame(plain(value.name, where))
        parts = [name, _notes(value, where, plain), *_axis(value.index, where, plain)]
        return digest(kind, [*parts, *_column(value.array, where, plain)], [len(value)])
    if isinstance(value, pd.Index):
        return digest(kind, _axis(value, where, plain), [len(value)])
    if isinstance(value, pd.api.extensions.ExtensionArray):
        return digest(kind, _column(value, where, plain), [len(value)])
    return None


def _notes(value: Any, where: str, plain: Plain) -> bytes:
    """Flags and attributes of a frame or series."""
    return frame([value.flags.allows_duplicate_labels, plain(dict(value.attrs), f"{where}.attrs")])


def _moment(value: Any, where: str, plain: Plain) -> list[Any]:
    pd = sys.modules["pandas"]
    if isinstance(value, pd.Interval):
        return [plain(value.left, where), plain(value.right, where), value.closed]
    if isinstance(value, pd.Period):
        return [value.ordinal, value.freqstr]
    if isinstance(value, pd.Timestamp):
        zone = zone_form(value.tzinfo, where, plain)
        usual = not zone or zone == ["zoneinfo.ZoneInfo", str(value.tz)]
        return [value.isoformat(), value.unit, str(value.tz) if usual else zone, value.fold]
    return [value.isoformat(), value.unit]


def _offset(value: Any, where: str, plain: Plain) -> Any:
    """Form of a frequency; for a calendar, includes its holidays and working days."""
    if value is None:
        return None
    said = {
        name: [item.weekmask.tolist(), item.holidays.astype(str).tolist()] if name == "calendar" else item
        for name, item in value.kwds.items()
        if item is not None
    }
    return [type_name(type(value)), value.freqstr, value.n, value.normalize, plain(said, where)]


def _axis(index: Any, where: str, plain: Plain) -> Parts:
    """An index: its type and names, and its values, or what they are made from."""
    pd = sys.modules["pandas"]
    offset = _offset(getattr(index, "freq", None), where, plain)
    head = [type_name(type(index)), plain(list(index.names), where), offset]
    if isinstance(index, pd.RangeIndex):
        return [frame([*head, index.start, index.stop, index.step])]
    if not isinstance(index, pd.MultiIndex):
        return [frame(head), *_column(index.array, where, plain)]
    codes = [part for each in index.codes for part in (each.dtype.str.encode(), raw(each))]
    levels = [part for level in index.levels for part in _axis(level, where, plain)]
    return [frame([*head, index.nlevels, index.sortorder]), *codes, *levels]


def _columns(table: Any, where: str, plain: Plain) -> Parts:
    """Types and values of all columns; in one block if the frame has one simple type, because it may be wide."""
    np = sys.modules["numpy"]
    types = set(table.dtypes)
    if len(types) == 1 and isinstance(dtype := types.pop(), np.dtype) and dtype.kind in "biufcMm":
        return [b"block", dtype.str.encode(), *parts_of(table.to_numpy().T, where, plain)]
    return [part for i in range(table.shape[1]) for part in _column(table.iloc[:, i].array, where, plain)]


def _column(array: Any, where: str, plain: Plain) -> Parts:
    """Type and values of one column. Values of unknown types are encoded one by one."""
    np, pd = sys.modules["numpy"], sys.modules["pandas"]
    dtype = array.dtype
    kind = type_name(type(array))
    if isinstance(dtype, pd.CategoricalDtype):
        head = frame([kind, bool(array.ordered), array.codes.dtype.str])
        return [head, raw(array.codes), *_axis(array.categories, where, plain)]
    freq = array.freq if isinstance(dtype, (np.dtype, pd.DatetimeTZDtype)) and hasattr(array, "freq") else None
    said = f"datetime64[{dtype.unit}]" if isinstance(dtype, pd.DatetimeTZDtype) else repr(dtype)
    head = frame([kind, said, _offset(freq, where, plain)])
    if isinstance(array, pd.arrays.NumpyExtensionArray):
        return [head, *parts_of(array.to_numpy(), where, plain)]
    if isinstance(dtype, np.dtype):  # moments without a zone
        return [head, raw(np.asarray(array))]
    if isinstance(dtype, pd.DatetimeTZDtype):
        return [head, frame(zone_form(dtype.tz, where, plain)), raw(array.asi8)]
    if isinstance(dtype, pd.PeriodDtype):
        return [head, raw(array.asi8)]
    if isinstance(dtype, pd.IntervalDtype):
        return [head, *_axis(array.left, where, plain), *_axis(array.right, where, plain)]
    if isinstance(dtype, pd.SparseDtype):
        places = raw(array.sp_index.to_int_index().indices)
        filled = frame([array.kind, plain(array.fill_value, where)])
        return [head, filled, places, *parts_of(np.asarray(array.sp_values), where, plain)]
    if isinstance(array, (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)):
        known = array.to_numpy(dtype=dtype.numpy_dtype, na_value=0)  # values below missing ones are not data
        return [head, raw(known), raw(array.isna())]
    if isinstance(dtype, pd.ArrowDtype) or (isinstance(dtype, pd.StringDtype) and dtype.storage == "pyarrow"):
        return [head, _stream(sys.modules["pyarrow"].table({"": array.__arrow_array__()}))]
    return [head, *cells(list(array), where, plain)]


# ---------------------------------------------------------------- polars and pyarrow


def _polars(value: Any, where: str, plain: Plain) -> Any:
    """A frame or series by its types and its Arrow stream; None for lazy ones, and for columns of Python objects."""
    pl = sys.modules["polars"]
    table = value.to_frame() if isinstance(value, pl.Series) else value
    if not isinstance(table, pl.DataFrame) or any(dtype.is_nested() or dtype == pl.Object for dtype in table.dtypes):
        return None
    sink = io.BytesIO()
    table.rechunk().write_ipc_stream(sink)
    schema = frame(plain([[name, repr(dtype)] for name, dtype in table.schema.items()], where))
    return digest(type_name(type(value)), [schema, sink.getbuffer()], list(value.shape))


def _arrow(value: Any, _where: str, _plain: Plain) -> Any:
    """Arrow's own stream format: types, names, metadata and values; chunks do not count."""
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
    return digest(kind, [_stream(table)], [table.num_rows, table.num_columns])


def _stream(table: Any) -> memoryview:
    pa = sys.modules["pyarrow"]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return memoryview(sink.getvalue())
