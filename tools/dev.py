"""The commands of a checkout; needs nothing but Python and the standard library.

::

    python3 tools/dev.py demo [arguments of consist-es demo]
    python3 tools/dev.py test [arguments of pytest]
    python3 tools/dev.py coverage [parts of the names of modules]
    python3 tools/dev.py docs
    python3 tools/dev.py night [names]
    python3 tools/dev.py external [names]
    python3 tools/dev.py workflows [arguments of zizmor]

All but the last install the checkout, editable, into ``.venv`` beside pyproject.toml, and skip that where the last
install saw the same pyproject.toml. ``test`` runs every gate even when one has failed, and names those that did.
``coverage`` fails unless every branch of the modules in tools/torture/tests_of.py is taken by their tests; it takes
minutes. ``docs`` builds the documentation site into build/site, and any warning is an error. ``night`` runs what takes
hours, ``external`` what needs more than this checkout; both run all their parts, or those that are named, and say which
failed. ``workflows`` looks for weak places in .github/workflows, with one version of zizmor, which it installs into
``.venv`` too.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older interpreter must get this sentence, not a traceback
    found = sys.version.split()[0]
    sys.exit(f"error: consist-es needs Python 3.11 or newer, this is {found}: try python3.12 tools/dev.py")

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "consist-es-installed.txt"
LINK = ROOT / "consist_es" / "projections"
ZIZMOR = "zizmor==1.32.0"
NIGHT: dict[str, tuple[str, ...]] = {
    "fresh": ("tools/attacks/run.py", "--fresh", "5000"),
    "torture": ("-m", "tools.torture", "--night"),
    "counts": ("-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "night"),
}
"""Name -> arguments of Python."""
EXTERNAL: dict[str, tuple[str, ...]] = {
    "report": ("-m", "tools.report"),
    "types": ("tools/typed.py",),
    "exports": ("tools/exports/check.py",),
    "datasette": ("tools/exports/datasette_live.py",),
    "sweeps": ("tools/sweeps/everywhere.py",),
    "containers": ("tools/containers/podman_live.py",),
    "adapters": ("tools/adapters/activitysim_check.py",),
    "model": ("tools/adapters/model_check.py",),
    "docs": ("tools/dev.py", "docs"),
    "moving": ("-m", "tools.moving"),
    "import": ("-m", "tools.moving.imports"),
}
"""The same, of what needs other programs or data than this checkout's."""

NO_VENV = """\
error: this Python ({python}) cannot make a virtual environment: its module {missing} is missing.
Install it (Debian, Ubuntu: apt install python{version}-venv), or install uv, and run this again."""

BAD_VENV = """\
error: {python} does not run, or is older than Python 3.11. Remove the folder {venv} and run this again."""

NO_LINK = """\
mypy: skipped. {link} is no folder: this checkout was made without symbolic links.
Set git's core.symlinks to true and check the file out again to run it here; nothing else needs the link."""


def run(*command: str | Path, cwd: Path | None = ROOT) -> int:
    """Show a command, run it, give its exit code."""
    words = [str(word) for word in command]
    print("$ " + shlex.join(words), flush=True)
    # A closed standard input would hand its number to the next file that a child opens.
    stdin = subprocess.DEVNULL if sys.stdin is None else None
    return subprocess.run(words, cwd=cwd, stdin=stdin, check=False).returncode


def missing_module() -> str | None:
    """What this interpreter lacks to make a virtual environment; Linux packages split it off."""
    return next((name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None), None)


def create_venv(uv: str | None) -> None:
    """Make `.venv` unless it is there."""
    if PYTHON.exists():
        return
    missing = missing_module()
    if missing is None:
        code = run(sys.executable, "-m", "venv", VENV)
    elif uv:
        code = run(uv, "venv", "--python", sys.executable, VENV)
    else:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(NO_VENV.format(python=sys.executable, missing=missing, version=version))
    if code:
        sys.exit(f"error: {VENV} could not be made; the lines above say why.")


def prepare_venv() -> None:
    """Have `.venv` there, and of use."""
    create_venv(shutil.which("uv"))
    check_venv()


def check_venv() -> None:
    """Refuse an environment that is there but of no use, for it may be the user's own."""
    if not succeeds("import sys; sys.exit(sys.version_info < (3, 11))"):
        sys.exit(BAD_VENV.format(python=PYTHON, venv=VENV))


def succeeds(code: str) -> bool:
    """Whether the environment's interpreter runs this without an error."""
    try:
        return subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install(extra: str) -> None:
    """Install the checkout and an extra into `.venv`, unless that was done for this very pyproject.toml."""
    prepare_venv()
    facts = f"{ROOT}\n".encode() + (ROOT / "pyproject.toml").read_bytes()
    stamp = f"{hashlib.sha256(facts).hexdigest()} [{extra}]\n"
    done = STAMP.read_text(encoding="utf-8") if STAMP.exists() else ""
    if stamp in done:
        return
    target = f"{ROOT}[{extra}]" if extra else str(ROOT)
    STAMP.unlink(missing_ok=True)
    fetch("-e", target)
    same = [line for line in done.splitlines() if line.startswith(stamp.partition(" ")[0])]  # other extras stay
    now = [stamp.strip(), stamp.strip().replace(f"[{extra}]", "[]")]
    STAMP.write_text("".join(f"{line}\n" for line in sorted({*same, *now})), encoding="utf-8")


def fetch(*wanted: str) -> None:
    """Install what is wanted: by uv where that is there and finds it, else by pip, which needs no tool."""
    uv = shutil.which("uv")
    if uv and run(uv, "pip", "install", "--quiet", "--python", PYTHON, *wanted) == 0:
        return
    if not succeeds("import pip"):
        run(PYTHON, "-m", "ensurepip")
    options = ("--quiet", "--no-input", "--disable-pip-version-check")
    if run(PYTHON, "-m", "pip", "install", *options, *wanted):
        sys.exit("error: the installation failed; the lines above say why.")


def demo(arguments: list[str]) -> int:
    """Run the demo in the caller's folder."""
    install("")
    code = run(BIN / "consist-es", "demo", *arguments, cwd=None)
    print(f"demo: FAILED with exit code {code}" if code else f"demo: done; consist-es lies in {BIN}")
    return code


def test(arguments: list[str]) -> int:
    """Run every gate, then say which failed."""
    install("test")
    workers = str(min((os.cpu_count() or 1) + 1, 4))  # one more: many tests wait for the disk or for a process
    gates: dict[str, tuple[str, ...]] = {
        "ruff check": ("ruff", "check", "."),
        "ruff format": ("ruff", "format", "--check", "."),
        "mypy": ("mypy", "--strict"),
        "pytest": ("pytest", "-n", workers, "--dist", "worksteal", *arguments),
    }
    skipped = "" if LINK.is_dir() else ", but mypy was skipped"
    if skipped:
        print(NO_LINK.format(link=LINK), flush=True)
        del gates["mypy"]
    failed = [name for name, gate in gates.items() if run(PYTHON, "-m", *gate) != 0]
    print(f"test: FAILED in {', '.join(failed)}{skipped}" if failed else f"test: all passed{skipped}")
    return 1 if failed else 0


def coverage(arguments: list[str]) -> int:
    """Measure what the tests of the core reach."""
    install("test")
    code = "import sys; sys.path.insert(0, 'tools'); from torture.coverage import main; sys.exit(main(sys.argv[1:]))"
    return run(PYTHON, "-c", code, *arguments)


def docs(arguments: list[str]) -> int:
    """Build the documentation site, strictly."""
    install("docs")
    return run(PYTHON, "tools/build_docs.py", *arguments)


def night(arguments: list[str]) -> int:
    """Run the long forms."""
    return parts("night", NIGHT, arguments)


def external(arguments: list[str]) -> int:
    """Run what needs other programs or data."""
    return parts("external", EXTERNAL, arguments)


def parts(command: str, known: dict[str, tuple[str, ...]], wanted: list[str]) -> int:
    """Run the parts of a command, all without names, then say which failed."""
    if unknown := [name for name in wanted if name not in known]:
        print(f"{command}: no part is called {', '.join(unknown)}; there are: {', '.join(known) or 'none yet'}")
        return 2
    if known:
        install("test")
    failed = [name for name in wanted or known if run(PYTHON, *known[name]) != 0]
    ran = ", ".join(wanted or known) or "none yet"
    print(f"{command}: FAILED in {', '.join(failed)}" if failed else f"{command}: all passed ({ran})")
    return 1 if failed else 0


def workflows(arguments: list[str]) -> int:
    """Have zizmor look at the workflows; it asks nobody on the net."""
    prepare_venv()
    fetch(ZIZMOR)
    return run(BIN / "zizmor", "--offline", "--pedantic", *arguments, ROOT / ".github" / "workflows")


def main(arguments: list[str]) -> int:
    """Choose the command."""
    commands = {"demo": demo, "test": test, "coverage": coverage, "docs": docs, "night": night, "external": external}
    commands["workflows"] = workflows
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    return commands[arguments[0]](arguments[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
