"""Enums, records and objects of the user's own classes in a config."""

from attacks.case import Group

GROUP = Group("config objects")
value = GROUP.values

ENUMS = """
import enum
class Mode(enum.Enum):
    CAR = 1
    BUS = 2
class Other(enum.Enum):
    CAR = 1
class Number(enum.IntEnum):
    ONE = 1
"""
value("enum_member_again", "hit", "Mode.CAR", "Mode(1)", ENUMS)
value("enum_members", "miss", "Mode.CAR", "Mode.BUS", ENUMS)
value("enum_member_or_its_value", "miss", "Mode.CAR", "1", ENUMS)
value("integer_enum_or_integer", "miss", "Number.ONE", "1", ENUMS)
value("members_alike_of_two_enums", "miss", "Mode.CAR", "Other.CAR", ENUMS)

RECORDS = """
import dataclasses, typing
@dataclasses.dataclass
class A:
    x: object = 1
@dataclasses.dataclass
class B:
    x: object = 1
@dataclasses.dataclass
class Odd:
    x: int
    hidden: int = dataclasses.field(compare=False, repr=False)
class Pair(typing.NamedTuple):
    x: int
    y: int
"""
value("dataclass_again", "hit", "A(1)", "A(1)", RECORDS)
value("dataclass_field", "miss", "A(1)", "A(2)", RECORDS)
value("dataclass_field_of_other_type", "miss", "A(1)", "A(1.0)", RECORDS)
value("dataclasses_alike", "miss", "A(1)", "B(1)", RECORDS)
value("dataclass_or_dict", "miss", "A(1)", "{'x': 1}", RECORDS)
value("dataclass_field_left_out_of_comparison", "miss", "Odd(1, 1)", "Odd(1, 2)", RECORDS)
value("named_tuple_or_tuple", "miss", "Pair(1, 2)", "(1, 2)", RECORDS)

LIARS = """
class Liar:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return True
    def __hash__(self): return 1
    def __repr__(self): return "Liar"
class Text(str):
    pass
class Slots:
    __slots__ = ("x",)
    def __init__(self, x): self.x = x
class Shy:
    def __init__(self, x): self.x = x
    def __getstate__(self): return {}
    def __setstate__(self, state): pass
"""
value("object_that_says_it_equals_all", "miss", "Liar(1)", "Liar(2)", LIARS)
value("object_with_slots", "miss", "Slots(1)", "Slots(2)", LIARS)
value("object_that_hides_its_state", "miss", "Shy(1)", "Shy(2)", LIARS)
value("text_or_subclass_of_text", "miss", "'a'", "Text('a')", LIARS)
value("function_as_a_value", "miss", "lambda: 1", "lambda: 2")
value("generator_as_a_value", "miss", "(i for i in [1])", "(i for i in [2])")
value("class_as_a_value", "miss", "type('A', (), {'x': 1})", "type('A', (), {'x': 2})")
value("random_generator_moved_on", "miss", "r", "(r.random(), r)[1]", "import random\nr = random.Random(1)")

SETTINGS = """
from dataclasses import dataclass
@dataclass
class Settings:
    growth: float
    def rate(self):
        return self.growth * {factor}
"""
WITH_SETTINGS = "from model import step\nfrom settings import Settings\ncall(step, config={'v': Settings(1.5)})\n"
USES = "def step(config):\n    ran(config['v'].rate())\n"
GROUP.add(
    "method_of_a_config_object_edited",
    "miss",
    WITH_SETTINGS,
    files={"model.py": USES, "settings.py": SETTINGS.replace("{factor}", "2")},
    change={"settings.py": SETTINGS.replace("{factor}", "3")},
)
GROUP.add(
    "comment_in_the_class_of_a_config_object",
    "hit",
    WITH_SETTINGS,
    files={"model.py": USES, "settings.py": SETTINGS.replace("{factor}", "2")},
    change={"settings.py": "# growth\n" + SETTINGS.replace("{factor}", "2  # twice")},
)
GROUP.add(
    "method_that_a_config_object_calls_edited",
    "miss",
    WITH_SETTINGS,
    files={
        "model.py": USES,
        "settings.py": "from rules import twice\n" + SETTINGS.replace("{factor}", "twice()"),
        "rules.py": "def twice():\n    return 2\n",
    },
    change={"rules.py": "def twice():\n    return 3\n"},
)
GROUP.add(
    "class_attribute_of_a_config_object_changed",
    "miss",
    """
    from model import step
    from settings import Settings
    call(step, config={"v": Settings(1.5)})
    Settings.factor = 3
    call(step, config={"v": Settings(1.5)})
    """,
    files={
        "model.py": USES,
        "settings.py": """
        from dataclasses import dataclass
        @dataclass
        class Settings:
            growth: float
            factor = 2
            def rate(self): return self.growth * self.factor
        """,
    },
    needs="runtime",
)
GROUP.add(
    "enum_value_edited",
    "miss",
    "from model import step\nfrom settings import Mode\ncall(step, config={'v': Mode.CAR})\n",
    files={
        "model.py": "def step(config):\n    ran(config['v'].value)\n",
        "settings.py": "import enum\nclass Mode(enum.Enum):\n    CAR = 1\n",
    },
    change={"settings.py": "import enum\nclass Mode(enum.Enum):\n    CAR = 2\n"},
)
