"""Whole forms: JSON values that restore a value exactly, with the same type and order.

A plain form (`consist_es.values.plain`) describes a value, a large array by its digest; a whole form holds all of it.
Values without one give None: objects of classes, large values, and values that contain one list twice. Nothing here
evaluates or unpickles anything.
"""

import base64
import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.values.plain import frame, from_plain, to_plain, type_name

LARGEST = 64 * 1024
"""Bytes of a whole form, framed."""
_DEEPEST = 50
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError)
_ATOMS = frozenset({type(None), bool, int, float, str})
_FACTORIES: dict[str, Any] = {kind.__name__: kind for kind in (list, dict, set, tuple, int, float, str)}
_PATHS: dict[str, Any] = {type_name(kind): kind for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath)}
_PATHS[type_name(type(pathlib.Path()))] = pathlib.Path
_BUFFERS = "biufcmMSU"
"""Kinds of numpy data that are fully described by their bytes."""


def is_immutable(value: Any) -> bool:
    """True if two places that share the value might as well have one each."""
    kind = type(value)
    return (
        kind in _ATOMS or isinstance(value, enum.Enum) or kind in SCALARS or type_name(kind) in _PATHS
    ) and kind is not bytearray


def whole(value: Any) -> Any:
    """The whole form of a value, or None if it has none of at most `LARGEST` bytes."""
    try:
        form = [_Writer().form(value)]
        if len(frame(form)) <= LARGEST and frame([_Writer().form(restored(form))]) == frame(form):
            return form
    except (_None, ConfigTypeError, ConfigValueError, RecursionError, *_UNREADABLE):
        pass
    return None


def restored(form: Any) -> Any:
    """A new copy of the value that a whole form was made from.

    Raises:
        ValueError, TypeError, LookupError: not a whole form.
    """
    return _value(form[0])


class _None(Exception):
    """Raised for a value without a whole form."""


class _Writer:
    """One walk over a value."""

    def __init__(self) -> None:
        self._room = LARGEST
        self._seen: dict[int, Any] = {}

    def form(self, value: Any, depth: int = 0) -> Any:
        kind = type(value)
        self._room -= 1
        if depth > _DEEPEST or self._room < 0:
            raise _None
        if kind in _ATOMS or kind in SCALARS:
            return to_plain(value)
        if kind in (dt.datetime, dt.time) and value.tzinfo in (None, dt.UTC):
            return to_plain(value)
        if kind in _CONTAINERS:
            if kind not in (tuple, frozenset):
                if id(value) in self._seen:
                    raise _None  # two places that share one container would get one each
                self._seen[id(value)] = value
            return {_CONTAINERS[kind]: self._content(value, depth + 1)}
        if type_name(kind) in _PATHS:
            return {"$path": [type_name(kind), to_plain(str(value))]}
        if isinstance(value, enum.Enum):
            if _member([type_name(kind), value.name]) is not value:
                raise _None
            return {"$member": [type_name(kind), value.name]}
        return self._table(value, kind, depth + 1)

    def _content(self, value: Any, depth: int) -> Any:
        if len(value) > self._room:
            raise _None
        if isinstance(value, dict):
            items = [[self.form(key, depth), self.form(item, depth)] for key, item in value.items()]
            if type(value) is not collections.defaultdict:
                return items
            factory = value.default_factory
            name = None if factory is None else getattr(factory, "__name__", "")
            if factory is not None and _FACTORIES.get(name or "") is not factory:
                raise _None
            return [name, items]
        items = [self.form(item, depth) for item in value]
        if isinstance(value, set | frozenset):
            return sorted(items, key=frame)
        return [value.maxlen, items] if isinstance(value, collections.deque) else items

    def _table(self, value: Any, kind: type, depth: int) -> Any:
        package = kind.__module__.partition(".")[0]
        if package == "numpy" and "numpy" in sys.modules:
            return self._array(value, kind)
        if package == "pandas" and "pandas" in sys.modules:
            if id(value) in self._seen:
                raise _None
            self._seen[id(value)] = value
            return self._pandas(value, kind, depth)
        raise _None

    def _array(self, value: Any, kind: type) -> Any:
        np = sys.modules["numpy"]
        if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in _BUFFERS or value.dtype.metadata:
            raise _None
        if value.nbytes > self._room:
            raise _None
        data = base64.b64encode(value.tobytes("A")).decode("ascii")
        self._room -= len(data)
        if isinstance(value, np.generic):
            if type(np.frombuffer(value.tobytes(), value.dtype)[0]) is not kind:
                raise _None
            return {"$scalar": [value.dtype.str, data]}
        flags = value.flags
        if kind is not np.ndarray or not flags.writeable or not (flags.c_contiguous or flags.f_contiguous):
            raise _None
        return {"$array": [value.dtype.str, list(value.shape), "C" if flags.c_contiguous else "F", data]}

    def _pandas(self, value: Any, kind: type, depth: int) -> Any:
        pd = sys.modules["pandas"]
        if kind is pd.RangeIndex:
            return {"$rows": [value.start, value.stop, value.step, self.form(value.name, depth)]}
        if kind is pd.Index or (kind in (pd.DatetimeIndex, pd.TimedeltaIndex) and value.freq is None):
            return {"$index": [self._column(value, depth), self.form(value.name, depth)]}
        if kind not in (pd.DataFrame, pd.Series) or value.attrs or not value.flags.allows_duplicate_labels:
            raise _None
        if kind is pd.Series:
            parts = [self._column(value, depth), self.form(value.index, depth), self.form(value.name, depth)]
            form: Any = {"$series": parts}
        else:
            columns = [self._column(value.iloc[:, i], depth) for i in range(value.shape[1])]
            form = {"$table": [columns, self.form(value.index, depth), self.form(value.columns, depth)]}
        if frame(to_plain(_value(form))) != frame(to_plain(value)):
            raise _None
        return form

    def _column(self, column: Any, depth: int) -> Any:
        """The values of a column or index: an array, or a list of objects, texts or categories."""
        np, pd = sys.modules["numpy"], sys.modules["pandas"]
        dtype = column.dtype
        if len(column) > self._room:
            raise _None
        if isinstance(dtype, pd.StringDtype):
            items = [None if pd.isna(item) else self.form(item, depth) for item in column.tolist()]
            return {"$texts": [dtype.storage, dtype.na_value is pd.NA, items]}
        if isinstance(dtype, pd.CategoricalDtype):
            codes = self._array(np.array(column.array.codes), np.ndarray)
            return {"$categories": [codes, self.form(dtype.categories, depth), bool(dtype.ordered)]}
        if not isinstance(dtype, np.dtype):
            raise _None
        if dtype.kind == "O":
            return {"$objects": [self.form(item, depth) for item in column.tolist()]}
        return self._array(np.array(column), np.ndarray)


def _value(form: Any) -> Any:
    if isinstance(form, list):
        return [_value(item) for item in form]
    if not isinstance(form, dict):
        return form
    ((tag, body),) = form.items()
    back = _BACK.get(tag)
    return from_plain(form) if back is None else back(body)


def _member(body: Any) -> Any:
    """A member of a loaded enum class; imports nothing."""
    path, name = body
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        for part in parts[end:] if found is not None else ():
            found = vars(found).get(part) if isinstance(found, type | types.ModuleType) else None
        if isinstance(found, type) and issubclass(found, enum.Enum):
            return found.__members__[name]
    raise LookupError(path)


def _pairs(body: Any) -> list[Any]:
    return [(_value(key), _value(item)) for key, item in body]


def _data(body: Any) -> Any:
    import numpy as np

    return np.frombuffer(base64.b64decode(body[-1]), np.dtype(body[0]))


def _objects_back(body: Any) -> Any:
    import numpy as np

    column = np.empty(len(body), dtype=object)
    for i, item in enumerate(body):
        column[i] = _value(item)
    return column


def _texts_back(body: Any) -> Any:
    import pandas as pd

    dtype: Any = pd.StringDtype(body[0], na_value=pd.NA if body[1] else float("nan"))
    return pd.array([_value(item) for item in body[2]], dtype=dtype)


def _categories_back(body: Any) -> Any:
    import pandas as pd

    return pd.Categorical.from_codes(_value(body[0]), categories=_value(body[1]), ordered=body[2])


def _index_back(body: Any) -> Any:
    import pandas as pd

    return pd.Index(_value(body[0]), name=_value(body[1]), tupleize_cols=False)


def _range_back(body: Any) -> Any:
    import pandas as pd

    return pd.RangeIndex(body[0], body[1], body[2], name=_value(body[3]))


def _series_back(body: Any) -> Any:
    import pandas as pd

    return pd.Series(_value(body[0]), index=_value(body[1]), name=_value(body[2]))


def _table_back(body: Any) -> Any:
    import pandas as pd

    columns, index, names = [_value(column) for column in body[0]], _value(body[1]), _value(body[2])
    table = pd.DataFrame(dict(enumerate(columns)), index=index)
    table.columns = names
    return table


SCALARS: frozenset[type] = frozenset(
    {bytes, complex, dt.date, dt.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID, range}
)
_CONTAINERS: dict[type, str] = {
    list: "$list",
    tuple: "$tuple",
    dict: "$dict",
    set: "$set",
    frozenset: "$frozenset",
    collections.OrderedDict: "$ordered",
    collections.defaultdict: "$default",
    collections.Counter: "$counter",
    collections.deque: "$deque",
}
_BACK: dict[str, Callable[[Any], Any]] = {
    "$list": _value,
    "$tuple": lambda body: tuple(_value(body)),
    "$dict": lambda body: dict(_pairs(body)),
    "$set": lambda body: set(_value(body)),
    "$frozenset": lambda body: frozenset(_value(body)),
    "$ordered": lambda body: collections.OrderedDict(_pairs(body)),
    "$default": lambda body: collections.defaultdict(_FACTORIES.get(body[0]), _pairs(body[1])),
    "$counter": lambda body: collections.Counter(dict(_pairs(body))),
    "$deque": lambda body: collections.deque(_value(body[1]), body[0]),
    "$member": _member,
    "$path": lambda body: _PATHS[body[0]](from_plain(body[1])),
    "$scalar": lambda body: _data(body)[0],
    "$array": lambda body: _data(body).reshape(body[1], order=body[2]).copy(order=body[2]),
    "$objects": _objects_back,
    "$texts": _texts_back,
    "$categories": _categories_back,
    "$index": _index_back,
    "$rows": _range_back,
    "$series": _series_back,
    "$table": _table_back,
}
