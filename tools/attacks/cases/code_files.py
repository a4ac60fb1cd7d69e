"""Edits in the file of the step itself, between two processes."""

from attacks.case import Group

GROUP = Group("edits in the step's file")
edits = GROUP.edits

PLAIN = """
# population model
def step(config=None):
    x = 1
    ran(x)
"""
edits("body_edited", "miss", PLAIN, PLAIN.replace("x = 1", "x = 2"))
edits("constant_of_other_type_in_the_body", "miss", PLAIN, PLAIN.replace("x = 1", "x = 1.0"))
edits("operator_edited", "miss", PLAIN.replace("ran(x)", "ran(x + 1)"), PLAIN.replace("ran(x)", "ran(x - 1)"))
edits("statements_swapped", "miss", PLAIN + "    x = 2\n    x = 3\n", PLAIN + "    x = 3\n    x = 2\n")
edits("indentation_that_matters", "miss",
      "def step():\n    for i in range(2):\n        ran()\n        i += 1\n    return i\n",
      "def step():\n    for i in range(2):\n        ran()\n    i += 1\n    return i\n")  # fmt: skip
edits("text_in_the_body_edited", "miss", PLAIN.replace("x = 1", "x = 'a'"), PLAIN.replace("x = 1", "x = 'b'"))
edits("number_of_blanks_in_a_text", "miss", PLAIN.replace("x = 1", "x = 'a b'"), PLAIN.replace("x = 1", "x = 'a  b'"))
edits("written_default_edited", "miss", PLAIN.replace("config=None", "k=1"), PLAIN.replace("config=None", "k=2"))
DECORATED = """
def deco(f):
    def inner():
        return f(), 1
    return inner
@deco
def step():
    ran()
"""
edits("decorator_body_edited", "miss", DECORATED, DECORATED.replace("f(), 1", "f(), 2"))
edits("helper_in_the_same_file_edited", "miss",
      "def helper():\n    return 1\ndef step():\n    ran(helper())\n",
      "def helper():\n    return 2\ndef step():\n    ran(helper())\n")  # fmt: skip
edits("helper_of_a_helper_in_the_same_file_edited", "miss",
      "def a():\n    return 1\ndef b():\n    return a()\ndef step():\n    ran(b())\n",
      "def a():\n    return 2\ndef b():\n    return a()\ndef step():\n    ran(b())\n")  # fmt: skip
edits(
    "constant_in_the_same_file_edited", "miss", "R = 1\ndef step():\n    ran(R)\n", "R = 2\ndef step():\n    ran(R)\n"
)
edits("base_class_in_the_same_file_edited", "miss",
      "class A:\n    def f(self): return 1\nclass B(A):\n    pass\ndef step():\n    ran(B().f())\n",
      "class A:\n    def f(self): return 2\nclass B(A):\n    pass\ndef step():\n    ran(B().f())\n")  # fmt: skip
edits("name_of_a_function_looked_up_by_text", "miss",
      "def f():\n    return 1\ndef step():\n    ran(globals()['f']())\n",
      "def f():\n    return 2\ndef step():\n    ran(globals()['f']())\n")  # fmt: skip

edits("comment_edited", "hit", PLAIN, PLAIN.replace("# population model", "# model of the population"))
edits("comment_added_inside", "hit", PLAIN, PLAIN.replace("x = 1", "x = 1  # one"))
edits("blank_lines_added", "hit", PLAIN, PLAIN.replace("    ran", "\n\n    ran"))
edits("formatting_edited", "hit", PLAIN, PLAIN.replace("ran(x)", "ran(\n        x,\n    )"))
edits("quotes_edited", "hit", PLAIN.replace("x = 1", "x = 'a'"), PLAIN.replace("x = 1", 'x = "a"'))
edits("docstring_edited", "hit", PLAIN.replace("x = 1", '"""Old."""\n    x = 1'),
      PLAIN.replace("x = 1", '"""New."""\n    x = 1'))  # fmt: skip
edits("step_moved_down_in_its_file", "hit", PLAIN, "def other():\n    return 1\n" + PLAIN)
edits("another_function_of_the_file_edited", "hit",
      PLAIN + "def other():\n    return 1\n", PLAIN + "def other():\n    return 2\n")  # fmt: skip
edits("another_constant_of_the_file_edited", "hit", PLAIN + "OTHER = 1\n", PLAIN + "OTHER = 2\n")
edits("unused_import_added", "hit", PLAIN, "import json\n" + PLAIN)
edits("file_touched", "hit", PLAIN, PLAIN)
edits("line_ends_of_another_system", "hit", PLAIN, PLAIN.replace("\n", "\r\n"))
GROUP.add(
    "workflow_around_the_step_edited",
    "hit",
    change={"main.py": "from model import step\nprint('a new line of the workflow')\ncall(step)\n"},
)
GROUP.add(
    "step_in_the_script_itself_edited",
    "miss",
    "def step():\n    ran(1)\ncall(step)\n",
    change={"main.py": "def step():\n    ran(2)\ncall(step)\n"},
    needs="runtime",
)
GROUP.add(
    "workflow_in_the_script_of_the_step_edited",
    "hit",
    "def step():\n    ran(1)\ncall(step)\n",
    change={"main.py": "def step():\n    ran(1)\nprint('more')\ncall(step)\n"},
    needs="runtime",
)
