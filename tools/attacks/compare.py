"""Run the attacks against this library and others, and print one table of scores.

::

    python tools/attacks/compare.py [names of tools]

Every tool is installed from the package index into an environment of its own below ``build/attacks``, which is
kept for the next time; remove the folder to install anew. A tool that cannot be installed is said so. Details of
every case are written to ``build/attacks/TOOL.txt``.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from attacks import bench  # noqa: E402
from attacks.cases import CASES  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "attacks"
TYPES = ("attrs", "numpy", "pandas", "pydantic")
OURS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
TOOLS = {
    "consist-es": ("ours", " ".join(OURS)),  # itself from this checkout
    "consist (LBNL)": ("lbnl_consist", "consist[git] pytz"),  # it needs pytz, and does not say so
    "joblib.Memory": ("joblib_memory", "joblib"),
    "redun": ("redun_task", "redun"),
    "diskcache memoize": ("diskcache_memoize", "diskcache"),
    "DVC": ("dvc_stage", "dvc"),
}
SHOWN = (bench.RIGHT, bench.WRONG, bench.NEEDLESS, bench.REFUSED, bench.INEXPRESSIBLE)


def environment(adapter: str, packages: str) -> Path:
    """The interpreter of the tool's own environment, made if it is not there.

    Raises:
        CalledProcessError: it cannot be installed.
    """
    folder = BUILD / "venvs" / adapter
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages.split(), *TYPES]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return python


def main(words: list[str]) -> int:
    """Install and attack each tool; exit 1 on a wrong hit of ours."""
    rows: list[tuple[str, str, Counter[str] | None]] = []
    ours = Counter[str]()
    for name, (adapter, packages) in TOOLS.items():
        if words and not any(word.lower() in name.lower() for word in words):
            continue
        try:
            python = environment(adapter, packages)
        except subprocess.CalledProcessError as error:
            print(f"{name} cannot be installed here: {error}", file=sys.stderr)
            rows.append((name, "cannot be installed here", None))
            continue
        search = str(ROOT) if adapter == "ours" else ""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            version, results = bench.attack_all(bench.Tool(adapter, python, search), CASES, Path(folder))
        said = [f"{r.score:15} {r.case.verdict:4}  {r.case.name}  {r.note}".rstrip() for r in results]
        (BUILD / f"{adapter}.txt").write_text("\n".join(said) + "\n")
        counts = bench.counted(results)
        rows.append((name, version, counts))
        ours = counts if adapter == "ours" else ours
        print(f"{name} {version}: {dict(counts)}", file=sys.stderr)
    print(table(rows))
    return 1 if ours[bench.WRONG] else 0


def table(rows: list[tuple[str, str, Counter[str] | None]]) -> str:
    """The scores as a Markdown table."""
    lines = [f"| tool | version | {' | '.join(SHOWN)} |", f"|---|---|{'---:|' * len(SHOWN)}"]
    for name, version, counts in rows:
        cells = ["" if counts is None else str(counts[score]) for score in SHOWN]
        lines.append(f"| {name} | {version} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
