"""Sets of runs to compare: by field or facet, paired across scenarios, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, overload

from consist_es.errors import UsageError, UsageTypeError
from consist_es.events import LABELS
from consist_es.runs.run import Run
from consist_es.values.flat import flat as flat
from consist_es.values.plain import from_plain

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_COLUMNS = (
    "id",
    "parent_run_id",
    "name",
    "model_name",
    "status",
    *LABELS,
    "signature",
    "started_at",
    "ended_at",
    "duration_seconds",
)


_FIELDS = tuple(name for name in Run.__dataclass_fields__ if not name.startswith("_"))


_FILTERS = {"model": "model_name", "scenario": "scenario", "outcome": "outcome"}
"""Further names -> the attribute that they mean, unless a facet has the name."""


def field_of(run: Run, name: str) -> Any:
    """A run's attribute, or a value of its facet by dotted key (``facet.`` in front is optional).

    Raises:
        UsageError: neither an attribute nor a facet key.
    """
    if name in _FIELDS:
        return getattr(run, name)
    facets = flat(from_plain(run.facet))
    key = name.removeprefix("facet.")
    if key in facets:
        return facets[key]
    if name in _FILTERS:
        return getattr(run, _FILTERS[name])
    if name.startswith("facet.") or facets or "." in name:
        return None
    raise UsageError(f"Runs have no field or facet {name!r}. Fields: {', '.join((*_FIELDS, *_FILTERS))}.")


@dataclass(frozen=True)
class RunSet:
    """An ordered set of runs with a label, which polars, pandas, duckdb and pyarrow read as a table.

    Iterable, sized and indexable, but no `collections.abc.Sequence`: libraries would take it for a list of objects
    before they ask for its Arrow stream.
    """

    runs: tuple[Run, ...]
    label: str = ""

    @classmethod
    def from_runs(cls, runs: Iterable[Run], label: str = "") -> RunSet:
        """A set of these runs."""
        return cls(tuple(runs), label)

    @classmethod
    def from_query(cls, tracker: Any, label: str = "", **filters: Any) -> RunSet:
        """The runs that `Tracker.find_runs` gives, all of them."""
        return cls(tuple(tracker.find_runs(**{"limit": None, **filters})), label)

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> RunSet: ...
    def __getitem__(self, index: int | slice) -> Run | RunSet:
        return RunSet(self.runs[index], self.label) if isinstance(index, slice) else self.runs[index]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow stream of `to_table()`, by which other libraries read it."""
        return self.to_table().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        from consist_es.runs.looks import set_text

        return set_text(self)

    def _repr_html_(self) -> str:
        from consist_es.runs.looks import set_html

        return set_html(self)

    def filter(self, **fields: Any) -> RunSet:
        """The runs with these values in their fields (or facet keys)."""
        kept = (run for run in self.runs if all(field_of(run, name) == value for name, value in fields.items()))
        return RunSet(tuple(kept), self.label)

    @overload
    def split_by(self, name: str) -> dict[Any, RunSet]: ...
    @overload
    def split_by(self, name: Sequence[str]) -> dict[tuple[Any, ...], RunSet]: ...
    def split_by(self, name: str | Sequence[str]) -> dict[Any, RunSet]:
        """One set per value of a field, or per tuple of the values of a list of fields, in order of first appearance.

        Raises:
            UsageError: no such field, or an empty list. UsageTypeError: neither a str nor a list of str.
        """
        fields = _fields(name, "split_by()")
        groups: dict[tuple[Any, ...], list[Run]] = {}
        for run in self.runs:
            groups.setdefault(tuple(field_of(run, field) for field in fields), []).append(run)
        found = {}
        for values, runs in groups.items():
            pairs = " ".join(f"{field}={value}" for field, value in zip(fields, values, strict=True))
            key = values[0] if isinstance(name, str) else values
            found[key] = RunSet(tuple(runs), f"{self.label} {pairs}".strip())
        return found

    def latest(self, group_by: str | Sequence[str] | None = None) -> RunSet:
        """The newest run, or the newest per value of a field, or per combination of values of several fields.

        Raises: as `split_by`.
        """
        groups = [self] if group_by is None else list(self.split_by(group_by).values())
        newest = (max(group, key=attrgetter("started_at")) for group in groups if len(group))
        return RunSet(tuple(newest), self.label)

    def align(self, other: RunSet, on: str | Sequence[str]) -> AlignedPair:
        """Pair the runs of two sets that agree on a field, or several.

        Raises:
            UsageError: a value that several runs of a set have; use `latest` first.
        """
        names = _fields(on, "align(on=…)")
        return AlignedPair(self, other, names, _by(self, names), _by(other, names))

    def to_table(self, facets: str | Sequence[str] = ()) -> pa.Table:
        """One row per run as an Arrow table; the columns are the same for every set, also an empty one.

        `config` and `facet` are JSON text. `facets`: dotted keys of facets that become columns of their own.

        Raises:
            UsageError: no run has such a facet. UsageTypeError: neither a str nor a list of str.
        """
        from consist_es.runs.tables import table  # pyarrow is heavy

        return table(self.runs, _fields(facets, "to_table(facets=…)") if facets else ())

    def to_frame(self, facets: str | Sequence[str] = ()) -> pd.DataFrame:
        """`to_table` as a pandas DataFrame."""
        frame: pd.DataFrame = self.to_table(facets).to_pandas()
        return frame


def _fields(given: str | Sequence[str], what: str) -> tuple[str, ...]:
    """One field or several, as a tuple."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise UsageTypeError(f"{what} takes the name of a field or a list of names, not {given!r}.")
    if not given:
        raise UsageError(f"{what} takes at least one field, and this list is empty.")
    return tuple(given)


def _by(runs: RunSet, names: Sequence[str]) -> dict[Any, Run]:
    found: dict[Any, Run] = {}
    for run in runs:
        value = tuple(field_of(run, name) for name in names)
        key = value[0] if len(value) == 1 else value
        if key in found:
            raise UsageError(
                f"align(on={', '.join(names)}): {key!r} stands for both {found[key].id!r} and {run.id!r}. "
                f"Take the newest of each first: runs.latest(group_by={names[0] if len(names) == 1 else [*names]!r})."
            )
        found[key] = run
    return found


@dataclass(frozen=True)
class AlignedPair:
    """Two sets of runs, paired by the value of a field."""

    left: RunSet
    right: RunSet
    on: tuple[str, ...]
    _left: dict[Any, Run] = field(repr=False)
    _right: dict[Any, Run] = field(repr=False)

    def pairs(self) -> list[tuple[Any, Run, Run]]:
        """(value, left run, right run) for values that both sets have, in the left order."""
        return [(key, run, self._right[key]) for key, run in self._left.items() if key in self._right]

    def __len__(self) -> int:
        return len(self.pairs())

    def apply(self, fn: Callable[[Run, Run, Any], Any]) -> Any:
        """``fn(left, right, key)`` for each pair; DataFrames are concatenated, other results come as a list."""
        results = [fn(left, right, key) for key, left, right in self.pairs()]
        if results and type(results[0]).__name__ == "DataFrame":
            import pandas as pd

            return pd.concat(results, ignore_index=True)
        return results

    def config_diffs(self, namespace: str | None = None) -> dict[Any, dict[str, tuple[Any, Any]]]:
        """Per pair, the config values that differ: dotted key -> (left, right); None for a side that lacks it.

        `namespace`: only of this key and those below it.
        """
        below = "" if namespace is None else f"{namespace}."
        return {
            key: {name: sides for name, sides in config_diff(left, right).items() if f"{name}.".startswith(below)}
            for key, left, right in self.pairs()
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per pair: the value, the two runs' ids, and ``left.…``/``right.…`` fields."""
        import pandas as pd

        rows = []
        for key, left, right in self.pairs():
            sides = (("left", left), ("right", right))
            cells = {f"{side}.{name}": getattr(run, name) for side, run in sides for name in _COLUMNS}
            rows.append({"on": str(key), **cells})
        return pd.DataFrame(rows)


def config_diff(left: Run, right: Run) -> dict[str, tuple[Any, Any]]:
    """Config values of two runs that differ: dotted key -> (left, right)."""
    before, after = flat(left.config), flat(right.config)
    keys = dict.fromkeys((*before, *after))
    return {
        key: (before.get(key), after.get(key))
        for key in keys
        if (key in before) != (key in after) or before.get(key) != after.get(key)
    }
