"""Config values that a step can tell apart, and some that only look different."""

from attacks.case import Group

GROUP = Group("config values")
value = GROUP.values

# numbers
value("int_or_float", "miss", "1", "1.0")
value("int_or_true", "miss", "1", "True")
value("zero_or_false", "miss", "0", "False")
value("number_or_its_text", "miss", "1", "'1'")
value("true_or_its_text", "miss", "True", "'True'")
value("minus_zero", "miss", "0.0", "-0.0")
value("nan_again", "hit", "float('nan')", "float('nan')")
value("nan_or_none", "miss", "float('nan')", "None")
value("nan_or_its_text", "miss", "float('nan')", "'nan'")
value("infinity_of_the_other_sign", "miss", "float('inf')", "-float('inf')")
value("neighbours_beyond_64_bits", "miss", "2**70", "2**70 + 1")
value("neighbours_beyond_53_bits", "miss", "2**53", "2**53 + 1")
value("neighbouring_floats", "miss", "0.3", "0.1 + 0.2")
value("big_integer_again", "hit", "3**200", "3**200")
value("complex_or_pair", "miss", "1 + 2j", "[1.0, 2.0]")
value("decimals_of_other_precision", "miss", "D('1.0')", "D('1.00')", "from decimal import Decimal as D")
value("decimal_or_float", "miss", "D('0.5')", "0.5", "from decimal import Decimal as D")
value("decimal_again", "hit", "D('0.10')", "D('0.10')", "from decimal import Decimal as D")
value("fraction_or_float", "miss", "F(1, 2)", "0.5", "from fractions import Fraction as F")

# text and bytes
value("composed_or_decomposed_letter", "miss", "'\\u00e9'", "'e\\u0301'")
value("letters_that_look_alike", "miss", "'a'", "'\\u0430'")
value("ligature_or_two_letters", "miss", "'\\ufb01'", "'fi'")
value("lone_surrogate_or_question_mark", "miss", "'\\ud800'", "'?'")
value("text_with_a_space_at_its_end", "miss", "'a'", "'a '")
value("long_text_with_another_end", "miss", "'x' * 100_000 + 'a'", "'x' * 100_000 + 'b'")
value("bytes_or_text", "miss", "b'a'", "'a'")
value("bytes_or_bytearray", "miss", "b'a'", "bytearray(b'a')")
value("bytes_again", "hit", "b'\\x00\\xff'", "bytes([0, 255])")
value("bytes_that_are_no_text", "miss", "b'\\xff'", "b'\\xfe'")

# none, empty, missing
value("none_or_its_text", "miss", "None", "'None'")
value("none_or_empty_text", "miss", "None", "''")
value("none_or_empty_list", "miss", "None", "[]")
value("empty_list_or_empty_dict", "miss", "[]", "{}")
value("empty_text_or_missing_entry", "miss", "{'a': ''}", "{}")
value("none_or_missing_entry", "miss", "{'a': None}", "{}")

# containers
value("tuple_or_list", "miss", "(1, 2)", "[1, 2]")
value("list_order", "miss", "[1, 2]", "[2, 1]")
value("set_order", "hit", "{0, 8}", "{8, 0}")
value("set_of_texts_order", "hit", "set('abcdefgh')", "set('hgfedcba')")
value("dict_order", "hit", "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}")
value("dict_order_deep_inside", "hit", "[{'x': {'a': 1, 'b': 2}}]", "[{'x': {'b': 2, 'a': 1}}]")
value("set_or_frozenset", "miss", "{1}", "frozenset({1})")
value("set_or_list", "miss", "{1, 2}", "[1, 2]")
value("integer_key_or_text_key", "miss", "{1: 'x'}", "{'1': 'x'}")
value("true_key_or_integer_key", "miss", "{True: 'x'}", "{1: 'x'}")
value("key_and_value_swapped", "miss", "{'a': 'b'}", "{'b': 'a'}")
value("border_between_two_texts", "miss", "['ab', 'c']", "['a', 'bc']")
value("lists_joined", "miss", "[[1], [2]]", "[[1, 2]]")
value("entry_moved_one_level_up", "miss", "{'a': {'b': 1, 'c': 2}}", "{'a': {'b': 1}, 'c': 2}")
value("pairs_or_dict", "miss", "[['a', 1]]", "{'a': 1}")
value("range_or_list", "miss", "range(3)", "[0, 1, 2]")
value("change_far_inside", "miss", "deep(1)", "deep(2)", "def deep(x):\n    for _ in range(60): x = [x]\n    return x")
value("value_that_looks_like_a_tag", "miss", "{'$tuple': [1]}", "(1,)")
value("separator_inside_a_text", "miss", "['a,b']", "['a', 'b']")

# dates, paths, patterns
DT = "from datetime import date, datetime, time, timedelta, timezone\nfrom zoneinfo import ZoneInfo"
value("date_or_midnight", "miss", "date(2026, 1, 1)", "datetime(2026, 1, 1)", DT)
value("date_or_its_text", "miss", "date(2026, 1, 1)", "'2026-01-01'", DT)
value("date_again", "hit", "date(2026, 1, 1)", "date.fromisoformat('2026-01-01')", DT)
value(
    "one_instant_in_two_zones",
    "miss",
    "datetime(2026, 1, 1, 12, tzinfo=timezone.utc)",
    "datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))",
    DT,
)
value("time_with_and_without_zone", "miss", "datetime(2026, 1, 1)", "datetime(2026, 1, 1, tzinfo=timezone.utc)", DT)
value(
    "hour_that_comes_twice",
    "miss",
    "datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo('Europe/Berlin'))",
    "datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo('Europe/Berlin'))",
    DT,
)
value("microsecond", "miss", "datetime(2026, 1, 1, 0, 0, 0, 1)", "datetime(2026, 1, 1, 0, 0, 0, 2)", DT)
PATHS = "from pathlib import Path, PurePosixPath"
value("path_or_text", "miss", "Path('a')", "'a'", PATHS)
value("path_spelled_otherwise", "hit", "Path('a/./b')", "Path('a//b')", PATHS)
value("flags_of_a_pattern", "miss", "re.compile('a')", "re.compile('a', re.I)", "import re")

# the same object, changed meanwhile
GROUP.add(
    "config_changed_in_place",
    "miss",
    """
    from model import step
    config = {"v": [1]}
    call(step, config=config)
    config["v"].append(2)
    call(step, config=config)
    """,
)
GROUP.add(
    "step_that_changes_its_config_asked_again",
    "hit",
    'from model import step\ncall(step, config={"v": [1]})\ncall(step, config={"v": [1]})\n',
    files={"model.py": "def step(config):\n    ran()\n    config['v'].append(2)\n"},
)
GROUP.add(
    "step_that_changes_its_config_then_asked_with_that",
    "miss",
    'from model import step\ncall(step, config={"v": [1]})\ncall(step, config={"v": [1, 2]})\n',
    files={"model.py": "def step(config):\n    ran()\n    config['v'].append(2)\n"},
)
GROUP.add(
    "back_to_an_earlier_config",
    "hit",
    """
    from model import step
    for v in (1, 2, 1):
        call(step, config={"v": v})
    """,
)
