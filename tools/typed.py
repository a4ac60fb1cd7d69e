"""What type checkers see of the installed wheel: ``python3 tools/dev.py external types``.

Builds the wheel, installs it into an environment of its own beside mypy and pyright, and has both read
tests/house/typed_user.py in their strict forms. What they must refuse is marked there, and a mark on a line that they
accept is an error too.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER = ROOT / "tests" / "house" / "typed_user.py"
PYRIGHT = "pyright[nodejs]==1.1.414"
STRICT = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": "error"}


def run(*command: str | Path, cwd: Path) -> int:
    """Run a command away from the checkout; its exit code."""
    print("$ " + " ".join(map(str, command)), flush=True)
    return subprocess.run(command, cwd=cwd, check=False).returncode


def main() -> int:
    """Give 0 where both agree with the script."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        shutil.copytree(ROOT, folder / "copy", symlinks=True, ignore=shutil.ignore_patterns(".*", "build", "dist"))
        if run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, folder / "copy", cwd=folder):
            return 1
        run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        (wheel,) = folder.glob("*.whl")
        if run(python, "-m", "pip", "install", "--quiet", wheel, "mypy", PYRIGHT, cwd=folder):
            return 1
        shutil.copy(USER, folder / "model.py")
        (folder / "pyrightconfig.json").write_text(json.dumps({**STRICT, "include": ["model.py"]}))
        failed = [
            checker
            for checker, options in (("mypy", ("--strict",)), ("pyright", ("--pythonpath", python)))
            if run(python, "-m", checker, *options, *(("model.py",) if checker == "mypy" else ()), cwd=folder)
        ]
    print(f"types: refused by {', '.join(failed)}" if failed else "types: mypy and pyright agree with the script")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
