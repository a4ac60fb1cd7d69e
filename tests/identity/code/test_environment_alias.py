"""`os.environ` by another name counts by the variables that a step reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("reads", ["{}['RATE']", "{}.get('RATE')", "dict({})['RATE']"])
def test_the_environment_by_another_name_counts_by_the_variables_that_are_read(reads: str, tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("import os\nsettings = os.environ\n")
    (tmp_path / "main.py").write_text(
        "import config\nfrom config import settings\nfrom consist_es import Tracker, output_path\n"
        "def made(text):\n    out = output_path('o', ext='txt')\n    out.write_text(text)\n    return out\n"
        f"def step():\n    return made({reads.format('settings')})\n"
        f"def other():\n    return made({reads.format('config.settings')})\n"
        "with Tracker(run_dir='runs', db_path='p.db', sync='os') as t:\n"
        "    print(*[t.run(f, outputs=['o']).cache_hit for f in (step, other)])\n"
    )

    def hits(**variables: str) -> str:
        environ = {**os.environ, **variables}
        done = subprocess.run([sys.executable, "main.py"], cwd=tmp_path, env=environ, capture_output=True, text=True)
        return done.stdout.strip() or done.stderr

    assert hits(RATE="1") == "False False"
    assert hits(RATE="1", OTHER_TERMINAL="2") == "True True"
    assert hits(RATE="3") == "False False"
