"""Our reader of ActivitySim's settings against ActivitySim's own: ``python3 tools/dev.py external adapters``.

Every pair of config folders of every example in ActivitySim's wheel, and trees made by chance (500; ``--trees N``, and
``--seed``): each settings file must have the same values of the same types in the same order, from the same files, or
be refused by both; every other file must be found in the same folder.

``--keep DIR``: keep the environment with ActivitySim there, for the next time. ``--python PATH``: one that is there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tools" / "exports")]

from check import environment, folder  # noqa: E402

from adapters import hocon_check  # noqa: E402
from adapters.theirs import shown  # noqa: E402
from adapters.trees import make  # noqa: E402
from consist_es.adapters.activitysim_settings import read_settings, text_of  # noqa: E402
from consist_es.adapters.config_tree import Tree  # noqa: E402
from consist_es.errors import ConsistError  # noqa: E402

RECORDED = ROOT / "tests" / "golden" / "activitysim_reader.json"
Question = tuple[list[str], list[str], list[str]]


def examples(python: Path) -> Iterator[list[Path]]:
    """Config folders of the examples: each alone, and each two of an example in both orders."""
    code = "import activitysim, os; print(os.path.dirname(activitysim.__file__))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    place = Path(found.stdout.strip()) / "examples"
    for example in sorted(path for path in place.iterdir() if path.is_dir()):
        folders = sorted({path.parent for path in example.rglob("*.yaml") if "config" in path.parent.name})
        yield from ([folder] for folder in folders)
        yield from (list(pair) for pair in permutations(folders, 2))


def question(folders: list[Path]) -> Question:
    """Names to ask for: of everything in the folders, and of a file that is not there."""
    names = list(Tree(folders, folders[0].parent).names)
    settings = [name for name in names if name.lower().endswith(".yaml")]
    return [str(path) for path in folders], [*settings, "absent.yaml"], [name for name in names if name not in settings]


def ours(asked: Question) -> tuple[dict[str, str], dict[str, str]]:
    """The same answers by our reader."""
    folders = [Path(path) for path in asked[0]]
    tree = Tree(folders, folders[0].parent)
    return {name: _read(name, folders) for name in asked[1]}, {name: str(tree.names[name][0]) for name in asked[2]}


def _read(name: str, folders: list[Path]) -> str:
    try:
        found = read_settings(name, folders, lambda path: text_of(path, path.read_bytes()))
    except ConsistError:
        return "refused"
    return shown((found.values, [str(source.path) for source in found.sources]))


def compare(python: Path, asked: list[Question], work: Path) -> tuple[int, int, int]:
    """Differences, shown; names compared; those that both refuse."""
    (work / "questions.json").write_text(json.dumps(asked))
    command = [python, HERE / "theirs.py", work / "questions.json", work / "answers.json"]
    subprocess.run(command, check=True)
    differences = names = refused = 0
    for one, theirs in zip(asked, json.loads((work / "answers.json").read_text()), strict=True):
        for mine, answers in zip(ours(one), theirs, strict=True):
            for name, said in mine.items():
                names += 1
                refused += said == answers[name] == "refused"
                if said != answers[name]:
                    differences += 1
                    print(f"DIFFERENT: {name} in {one[0]}\n  ours:   {said[:600]}\n  theirs: {answers[name][:600]}")
    return differences, names, refused


def record(python: Path, count: int, trees: Path) -> None:
    """Write what ActivitySim reads from the first generated trees, with paths below them."""
    asked = [question(make(trees / str(number), number)) for number in range(count)]
    (trees / "questions.json").write_text(json.dumps(asked))
    subprocess.run([python, HERE / "theirs.py", trees / "questions.json", trees / "answers.json"], check=True)
    answers = json.loads((trees / "answers.json").read_text())
    said = {
        number: {name: text.replace(f"{trees / str(number)}/", "") for name, text in settings.items()}
        for number, (settings, _) in enumerate(answers)
    }
    RECORDED.write_text(json.dumps(said, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    """Compare; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=int, help="record the answers to so many generated trees for the tests")
    given = parser.parse_args(arguments)
    with folder(given.keep) as work, tempfile.TemporaryDirectory() as trees:
        python = given.python or environment(work / "activitysim", "-r", HERE / "requirements.txt")
        if given.record:
            record(python, given.record, Path(trees))
            return 0
        total = 0
        made = [make(Path(trees) / str(number), given.seed + number) for number in range(given.trees)]
        for what, lists in (("example", list(examples(python))), ("generated", made)):
            differences, names, refused = compare(python, [question(folders) for folders in lists], work)
            print(f"{len(lists)} {what} trees, {names} files, {refused} refused by both: {differences} differences")
            total += differences
        total += hocon_check.compare(python, 200, given.seed)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
