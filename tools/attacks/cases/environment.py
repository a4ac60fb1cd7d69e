"""Environment variables that the code names."""

from attacks.case import Group

GROUP = Group("environment variables")


def variable(name: str, verdict: str, model: str, *, value: str = "2", set_: str = "SCALE", helper: str = "") -> None:
    """``SCALE`` is 1 in the first process; then `set_` is `value`."""
    main = "import os\nos.environ['SCALE'] = '1'\nfrom model import step\ncall(step)\n"
    again = main.replace("from", f"os.environ['{set_}'] = '{value}'\nfrom", 1)
    files = {"model.py": model, **({"helper.py": helper} if helper else {})}
    GROUP.add(name, verdict, main, files=files, change={}, again=again)


INDEX = "import os\ndef step():\n    ran(os.environ['SCALE'])\n"
variable("variable_read_in_the_step", "miss", INDEX)
variable("variable_read_in_the_step_unchanged", "hit", INDEX, value="1")
variable("another_variable_changed", "hit", INDEX, set_="COLOUR")
variable("variable_read_by_get", "miss", "import os\ndef step():\n    ran(os.environ.get('SCALE', '0'))\n")
variable("variable_read_by_getenv", "miss", "import os\ndef step():\n    ran(os.getenv('SCALE'))\n")
variable("variable_read_by_imported_names", "miss",
         "from os import environ as e\ndef step():\n    ran(e['SCALE'])\n")  # fmt: skip
variable("variable_asked_whether_it_is_set", "miss",
         "import os\ndef step():\n    ran('EXTRA' in os.environ)\n", set_="EXTRA")  # fmt: skip
variable("variable_read_by_a_constant_name", "miss",
         "import os\nNAME = 'SCALE'\ndef step():\n    ran(os.environ[NAME])\n")  # fmt: skip
variable("variable_read_at_import", "miss", "import os\nSCALE = os.environ['SCALE']\ndef step():\n    ran(SCALE)\n")
variable("variable_read_in_a_function_of_the_file", "miss",
         "import os\ndef scale():\n    return os.environ['SCALE']\ndef step():\n    ran(scale())\n")  # fmt: skip
variable("variable_read_in_a_helper", "miss", "import helper\ndef step():\n    ran(helper.scale())\n",
         helper="import os\ndef scale():\n    return os.environ['SCALE']\n")  # fmt: skip
variable("variable_read_at_import_of_a_helper", "miss", "import helper\ndef step():\n    ran(helper.SCALE)\n",
         helper="import os\nSCALE = os.environ['SCALE']\n")  # fmt: skip
variable("variable_turned_into_a_table_by_a_helper", "miss", "import helper\ndef step():\n    ran(helper.rate())\n",
         helper="import os\nRATES = {'car': float(os.environ['SCALE'])}\ndef rate():\n    return RATES['car']\n",
         )  # fmt: skip
