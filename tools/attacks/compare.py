"""Run the attacks against this library and others, and print the tables of scores.

::

    python tools/attacks/compare.py [names of tools]

Every tool is installed from the package index into an environment of its own below ``build/attacks``, which is
kept for the next time; remove the folder to install anew. Of a tool that cannot be installed that is said. Details
of every case are written to ``build/attacks/TOOL.txt``.
"""

import subprocess
import sys
import tempfile
import tomllib
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
    found: dict[str, list[bench.Result]] = {}
    for name, (adapter, packages) in TOOLS.items():
        if words and not any(word.lower() in name.lower() for word in words):
            continue
        try:
            python = environment(adapter, packages)
        except subprocess.CalledProcessError as error:
            print(f"{name} cannot be installed here: {error}")
            continue
        search = str(ROOT) if adapter == "ours" else ""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            version, results = bench.attack_all(bench.Tool(adapter, python, search), CASES, Path(folder))
        said = [f"{r.score:15} {r.case.verdict:4}  {r.case.name}  {r.note}".rstrip() for r in results]
        (BUILD / f"{adapter}.txt").write_text("\n".join(said) + "\n")
        found[f"{name} {version}"] = results
        print(f"{name} {version}: {dict(bench.counted(results))}", file=sys.stderr)
    print(scores(found), wrong_by_group(found), sep="\n\n")
    ours = [result for name, results in found.items() if name.startswith("consist-es") for result in results]
    return 1 if bench.counted(ours)[bench.WRONG] else 0


def scores(found: dict[str, list[bench.Result]]) -> str:
    """How often each tool got each score."""
    rows = [
        [name, *(str(bench.counted(results)[score]) for score in SHOWN)] for name, results in sorted_by_wrong(found)
    ]
    return table(["", *SHOWN], rows)


def wrong_by_group(found: dict[str, list[bench.Result]]) -> str:
    """Wrong hits among the cases of each group that a tool could be asked at all."""
    names = list(dict.fromkeys(case.group for case in CASES))
    tools = sorted_by_wrong(found)
    rows = []
    for group in names:
        of_group = [[result for result in results if result.case.group == group] for _, results in tools]
        rows.append([group, *(share(results) for results in of_group)])
    return table(["wrong hits of cases asked", *(name for name, _ in tools)], rows)


def share(results: list[bench.Result]) -> str:
    """Wrong hits, of how many cases; a dash where the tool cannot say any of them."""
    asked = [r for r in results if r.score not in (bench.INEXPRESSIBLE, bench.SKIPPED, bench.BROKEN)]
    return f"{bench.counted(asked)[bench.WRONG]} of {len(asked)}" if asked else "–"


def sorted_by_wrong(found: dict[str, list[bench.Result]]) -> list[tuple[str, list[bench.Result]]]:
    """The tools, fewest wrong hits first."""
    return sorted(found.items(), key=lambda item: bench.counted(item[1])[bench.WRONG])


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], f"|---|{'---:|' * (len(head) - 1)}", *lines[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
