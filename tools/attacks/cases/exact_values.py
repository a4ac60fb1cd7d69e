"""Values that look alike until a step asks one more thing: zones, kinds of index, dtypes, flags, defaults."""

from attacks.case import Group

GROUP = Group("exact values")
value = GROUP.values

# time zones
DT = "from datetime import *\nfrom zoneinfo import ZoneInfo\ndef at(zone): return datetime(2026, 1, 1, tzinfo=zone)\n"
ONE = "timezone(timedelta(hours=1), "
value("zone_of_a_moment_by_another_name", "miss", f"at({ONE}'CET'))", f"at({ONE}'BST'))", DT)
value("zone_with_a_name_or_without", "miss", "at(timezone(timedelta(hours=1)))", f"at({ONE}'CET'))", DT)
value("utc_by_its_name", "miss", "at(timezone.utc)", "at(timezone(timedelta(0), 'GMT'))", DT)
value("named_zone_again", "hit", f"at({ONE}'CET'))", f"at({ONE}'CET'))", DT)
value("time_of_day_in_a_named_zone", "miss", f"time(1, tzinfo={ONE}'A'))", f"time(1, tzinfo={ONE}'B'))", DT)
value("zone_by_itself", "miss", "ZoneInfo('Europe/Paris')", "ZoneInfo('Europe/Berlin')", DT)
value("zone_by_itself_again", "hit", "ZoneInfo('Europe/Paris')", "ZoneInfo('Europe/Paris')", DT)
value("zones_of_one_offset", "miss", "timezone.utc", "ZoneInfo('UTC')", DT)
value(
    "zone_of_ones_own_with_another_offset",
    "miss",
    "at(Mine(1))",
    "at(Mine(2))",
    DT + "class Mine(tzinfo):\n"
    "    def __init__(self, hours): self.hours = hours\n"
    "    def utcoffset(self, when): return timedelta(0)\n"
    "    def dst(self, when): return timedelta(hours=self.hours)\n"
    "    def tzname(self, when): return 'mine'\n"
    "    def __str__(self): return 'mine'\n",
)

# defaultdicts
DD = "from collections import defaultdict, Counter, OrderedDict"
value("default_of_another_type", "miss", "defaultdict(list, a=1)", "defaultdict(int, a=1)", DD)
value("default_or_none", "miss", "defaultdict(None, a=1)", "defaultdict(list, a=1)", DD)
value("defaultdict_again", "hit", "defaultdict(list, a=1)", "defaultdict(list, a=1)", DD)
value("defaultdict_of_a_class_again", "hit", "defaultdict(Counter)", "defaultdict(Counter)", DD)
value("defaultdict_deep_inside", "miss", "[{'x': defaultdict(set)}]", "[{'x': defaultdict(list)}]", DD)
DEFAULTS = """
from collections import defaultdict
from model import step
from defaults import {name}
call(step, config={{"v": defaultdict({name}, a=1)}})
"""
for kind, name, before, after in (
    ("function", "default", "def default():\n    return 1\n", "def default():\n    return 2\n"),
    ("lambda", "default", "default = lambda: 1\n", "default = lambda: 2\n"),
    ("function_that_calls_another", "default",
     "def other():\n    return 1\ndef default():\n    return other()\n",
     "def other():\n    return 2\ndef default():\n    return other()\n"),
    ("class", "Default", "class Default:\n    x = 1\n", "class Default:\n    x = 2\n"),
    ("constant_of_a_function", "default",
     "A = 1\ndef default():\n    return A\n",
     "A = 2\ndef default():\n    return A\n"),
):  # fmt: skip
    for verdict, then in (("miss", after), ("hit", f"# a note\n{before}")):
        GROUP.add(
            f"{kind}_of_a_defaultdict_{'edited' if verdict == 'miss' else 'moved'}",
            verdict,
            DEFAULTS.format(name=name),
            files={"defaults.py": before},
            change={"defaults.py": then},
        )
GROUP.add(
    "lambdas_of_defaultdicts_on_two_lines",
    "miss",
    """
    from collections import defaultdict
    from model import step
    one = lambda: 1
    two = lambda: 2
    call(step, config={"v": defaultdict(one)})
    call(step, config={"v": defaultdict(two)})
    """,
)
GROUP.edits(
    "default_of_a_global_defaultdict_edited",
    "miss",
    "from collections import defaultdict\nD = defaultdict(lambda: 1)\ndef step():\n    ran(D['x'])\n",
    "from collections import defaultdict\nD = defaultdict(lambda: 2)\ndef step():\n    ran(D['x'])\n",
)

NP = "import numpy as np"


def numpy(name: str, verdict: str, one: str, other: str) -> None:
    """A case with numpy values."""
    value(name, verdict, one, other, NP, "numpy")


numpy("minus_nan", "miss", "float('nan')", "-float('nan')")
numpy("dtype_of_several_items", "miss", "np.dtype(('f8', (2,)))", "np.dtype(('f4', (4,)))")
numpy("dtype_of_items_in_another_shape", "miss", "np.dtype(('f4', (2, 2)))", "np.dtype(('f4', (4,)))")
numpy("dtype_of_items_again", "hit", "np.dtype(('f4', (4,)))", "np.dtype(('f4', (4,)))")
numpy(
    "dtype_with_other_metadata", "miss", "np.dtype('f8', metadata={'u': 'm'})", "np.dtype('f8', metadata={'u': 'km'})"
)
numpy("array_whose_dtype_has_metadata", "miss", "np.zeros(9)", "np.zeros(9, np.dtype('f8', metadata={'u': 'km'}))")
FIELDS = "{'names': ['a', 'b'], 'formats': ['i4', 'i4'], 'offsets': [0, %d]}"
numpy("fields_that_overlap", "miss", f"np.dtype({FIELDS % 0})", f"np.dtype({FIELDS % 4})")
numpy("aligned_fields", "miss", "np.dtype('i1,i8', align=True)", "np.dtype('i1,i8')")
numpy("titles_of_fields", "miss", "np.dtype([(('t', 'a'), 'i8')])", "np.dtype([('a', 'i8')])")
numpy("fields_of_a_large_array", "miss", "np.zeros(99, [('a', 'i8')])", "np.zeros(99, [('b', 'i8')])")
numpy("texts_of_any_length", "miss", *(f"np.array(['{c}' * 50] * 99, np.dtypes.StringDType())" for c in "ab"))
numpy("array_that_may_not_be_written", "miss", "np.zeros(3)", "np.broadcast_to(np.zeros(3), (3,))")
numpy("columns_first_in_memory", "miss", "np.eye(30)", "np.asfortranarray(np.eye(30))")
numpy("columns_first_in_memory_again", "hit", "np.asfortranarray(np.eye(30))", "np.eye(30).T.copy('K')")
numpy("nan_with_other_bits", "miss", "np.full(99, np.nan)", "np.full(99, 0x7ff80000000007a2).view('f8')")
numpy("nan_with_other_bits_in_a_small_array", "miss", "np.full(9, np.nan)", "np.full(9, 0x7ff80000000007a2).view('f8')")
numpy("number_below_a_mask", "miss", "np.ma.array([1, 2], mask=[0, 1])", "np.ma.array([1, 3], mask=[0, 1])")
numpy("mask", "miss", "np.ma.array([1, 2], mask=[0, 1])", "np.ma.array([1, 2], mask=[1, 0])")
numpy("what_fills_a_mask", "miss", "np.ma.array([1, 2], fill_value=5)", "np.ma.array([1, 2], fill_value=6)")
numpy("masked_array_of_the_config_again", "hit", "np.ma.array([1, 2], mask=[0, 1])", "np.ma.array([1, 2], mask=[0, 1])")
numpy("array_without_dimensions", "miss", "np.array(1.5)", "np.array([1.5])")

PD = "import pandas as pd\nimport numpy as np\nfrom datetime import *\n"


def pandas(name: str, verdict: str, one: str, other: str) -> None:
    """A case with pandas values."""
    value(name, verdict, one, other, PD, "pandas")


def frame(index: str) -> str:
    """A frame with this index."""
    return f"pd.DataFrame({{'a': [1, 2]}}, index={index})"


pandas("range_or_the_same_labels", "miss", frame("pd.RangeIndex(2)"), frame("[0, 1]"))
pandas("range_in_other_steps", "miss", frame("pd.RangeIndex(0, 4, 2)"), frame("pd.RangeIndex(0, 3, 2)"))
pandas("columns_in_a_range", "miss", "pd.DataFrame([[1, 2]])", "pd.DataFrame([[1, 2]], columns=[0, 1])")
pandas("range_again", "hit", frame("pd.RangeIndex(2)"), frame("None"))
DAYS = "pd.date_range('2026', periods=2)"
pandas("index_with_a_frequency", "miss", frame(DAYS), frame(f"{DAYS}.to_numpy()"))
pandas("frequency_with_holidays", "miss", "pd.offsets.CDay()", "pd.offsets.CDay(holidays=['2026-01-01'])")
pandas("duplicate_labels_allowed", "miss", frame("None"), frame("None") + ".set_flags(allows_duplicate_labels=False)")
pandas("level_that_is_not_used", "miss", *(f"pd.MultiIndex([['a', {b}], [1]], [[0], [0]])" for b in ("'b'", "'c'")))
LEVELS = "pd.MultiIndex.from_product([['a', 'b'], [1]], names=['x', 'y'])"
pandas("levels_again", "hit", LEVELS, LEVELS)
pandas("names_of_levels_again", "hit", f"{LEVELS}.names", f"{LEVELS}.names")
pandas("names_of_levels", "miss", f"{LEVELS}.names", f"{LEVELS}.set_names(['x', 'z']).names")
pandas("zone_of_a_column_by_another_name", "miss",
       *(f"pd.Series({DAYS}.tz_localize({ONE}'{name}')))" for name in ("CET", "BST")))  # fmt: skip
pandas("zone_of_a_column_by_another_offset", "miss",
       *(f"pd.Series({DAYS}.tz_localize(timezone(timedelta(hours={n}), 'X')))" for n in (1, 2)))  # fmt: skip
pandas(
    "name_of_the_categories", "miss", *(f"pd.Categorical(['x'], pd.Index(['x'], name={n}))" for n in ("None", "'n'"))
)
pandas("categories_as_texts_or_objects", "miss",
       *(f"pd.Categorical(['x'], pd.Index(['x'], dtype={t}))" for t in ("object", "'string'")))  # fmt: skip
pandas("none_or_nan_among_objects", "miss", *(f"pd.Series(['x', {n}], dtype=object)" for n in ("None", "np.nan")))
pandas("nul_between_texts", "miss", *(f"pd.Series({t}, dtype=object)" for t in (["a\0b", ""], ["a", "b\0"])))
pandas("texts_cut_elsewhere", "miss", *(f"pd.Series({t}, dtype=object)" for t in (["ab", "c"], ["a", "bc"])))
pandas("text_of_numpy_among_texts", "miss", *(f"pd.Series(['a', {t}], dtype=object)" for t in ("'b'", "np.str_('b')")))
pandas("missing_integer_or_zero", "miss", *(f"pd.array([1, {n}], 'Int64')" for n in (0, None)))
pandas("missing_truth_or_false", "miss", *(f"pd.array([True, {n}], 'boolean')" for n in (False, None)))
pandas("texts_in_another_store", "miss", *(f"pd.array(['x'], 'string[{s}]')" for s in ("python", "pyarrow")))
pandas("months_or_days", "miss", *(f"pd.PeriodIndex(['2026-01'], freq='{f}')" for f in "MD"))
pandas("intervals_with_another_left_end", "miss", *(f"pd.arrays.IntervalArray.from_tuples([({n}, 5)])" for n in (1, 2)))
pandas("sparse_with_another_fill", "miss", *(f"pd.arrays.SparseArray([0, 1], fill_value={n})" for n in (0, 1)))
pandas("one_cell_of_a_wide_frame", "miss", "pd.DataFrame(np.zeros((20, 900)))", "pd.DataFrame(np.eye(20, 900, 800))")
pandas("one_text_of_a_long_frame", "miss",
       *(f"pd.DataFrame({{'t': ['x'] * 9999 + ['{c}']}}, dtype=object)" for c in "xy"))  # fmt: skip
pandas("frame_put_together_otherwise", "hit",
       "pd.DataFrame(np.arange(6).reshape(3, 2), columns=['a', 'b'])",
       "pd.DataFrame({'a': [0, 2, 4], 'b': [1, 3, 5]})")  # fmt: skip
pandas("rows_of_a_longer_frame", "hit", "pd.DataFrame({'a': [1., 2.]})", "pd.DataFrame({'a': [1., 2., 3.]}).iloc[:2]")
pandas("long_frame_again", "hit", *["pd.DataFrame({'t': ['x', None] * 5000, 'n': range(10000)})"] * 2)

# long lists and dicts are taken together
value("one_number_of_many", "miss", "list(range(9999))", "[*range(9998), 9999]")
value("number_or_float_among_many", "miss", "[1] * 999", "[1] * 998 + [1.0]")
value("minus_zero_among_many", "miss", "[0.0] * 999", "[0.0] * 998 + [-0.0]")
value(
    "two_values_of_a_long_dict_swapped",
    "miss",
    "{i: i for i in range(999)}",
    "{**{i: i for i in range(999)}, 1: 2, 2: 1}",
)
value("rows_of_pairs_cut_elsewhere", "miss", "[(1, 2)] * 99 + [(3,)]", "[(1, 2)] * 98 + [(1,), (2, 3)]")
value("tuples_or_lists_in_many_rows", "miss", "[(1, 2)] * 99", "[[1, 2]] * 99")
value("long_dict_in_another_order", "hit", "{(i, i): i for i in range(999)}", "{(i, i): i for i in range(998, -1, -1)}")
