"""What `consist-es report` writes, without a browser: its data, its policy, what it leaves out, and when it refuses."""

import json
import re
import shutil
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from gzip import decompress
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

import consist_es as consist
from consist_es.report import page as page_module
from consist_es.report.page import in_script
from consist_es.report.sharing import Sharing
from consist_es.report.tables import Texts
from tests.report.browser import data_of
from tests.report.gallery import FOLDER, HOSTILE, REDACTED, SECRET, damage, record
from tests.support.api import made
from tests.support.cli import run, run_json

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the recorded project."""
    folder = tmp_path_factory.mktemp("gallery")
    record(folder)
    yield folder
    sys.modules.pop("model_steps", None)


@pytest.fixture(autouse=True)
def there(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gallery)


@pytest.fixture(scope="module")
def page(gallery: Path) -> str:
    """A report of all of it."""
    run("report", "-o", gallery / "page.html", "--project", gallery / "p.db")
    return (gallery / "page.html").read_text(encoding="utf-8")


def test_it_says_what_was_written(page: str) -> None:
    said = run("report", "-o", "said.html")
    assert re.fullmatch(r"said\.html: 15 scenarios, \d+ steps, \d+ kB\n", said.stdout)
    assert Path("said.html").stat().st_size < 300_000
    assert not list(Path.cwd().glob(".*.tmp"))


def test_it_asks_nothing_of_any_network_and_runs_one_script_only(page: str) -> None:
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    digest = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'sha256-")
    assert "unsafe" not in policy
    found = Elements(page)
    assert [name for name, _ in found.elements if name in ("img", "iframe", "object", "embed", "form", "base")] == []
    assert [value for _, value in found.links] == ["data:,"]
    namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xhtml"}
    assert set(re.findall(r"https?://[^\s\"'`)]+", script)) <= namespaces


class Elements(HTMLParser):
    """The elements of a page, as a parser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.cells: list[str] = []
        self.feed(page)

    @property
    def links(self) -> list[tuple[str, str | None]]:
        return [pair for _, attributes in self.elements for pair in attributes if pair[0] in ("src", "href")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def test_without_scripts_there_is_a_table_of_scenarios(page: str) -> None:
    before, _, _ = page.partition('<script type="application/json"')
    cells = Elements(before).cells
    assert cells[:6] == ["base", "completed", "15", "0", "0", cells[5]]
    assert HOSTILE.replace("\u200f", "\\u200f") in [cell.strip() for cell in cells]


def test_hostile_text_ends_no_element(page: str) -> None:
    scripts = re.findall(r"<script[ >]", page)
    assert len(scripts) == 3
    assert page.count("</script>") == 3
    assert in_script("</script><!--\u2028&") == '"\\u003c/script\\u003e\\u003c!--\\u2028\\u0026"'
    assert json.loads(in_script(HOSTILE)) == HOSTILE
    assert HOSTILE.replace("\u200f", "\\u200f") in data_of(page)["texts"]


def test_control_characters_are_shown_as_escapes() -> None:
    texts = Texts()
    assert texts("a\0b\u202ec\nd") == 0
    assert texts.all == ["a\\x00b\\u202ec\nd"]


def test_secrets_and_redacted_values_are_not_in_it(page: str) -> None:
    for secret in (SECRET, REDACTED, "$masked"):
        assert secret not in page
    assert "masked" in data_of(page)["texts"]


def test_paths_and_tracebacks_can_be_left_out(gallery: Path, page: str) -> None:
    assert FOLDER in page
    assert "Traceback" in page
    run("report", "--no-paths", "--no-tracebacks", "-o", "shared.html")
    shared = Path("shared.html").read_text(encoding="utf-8")
    data = data_of(shared)
    texts = "\n".join(data["texts"])
    for private in (FOLDER, str(gallery), str(gallery.parent), "Traceback", "./outputs", "runs/outputs"):
        assert private not in texts, private
    assert data["writers"] == []
    assert len(data_of(page)["writers"]) == 1
    assert "…/zones.csv" in texts
    assert len(data["steps"]["id"]) == len(data_of(page)["steps"]["id"])


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("open '/home/Jane Doe/model/zones.csv' failed", "open '…/zones.csv' failed"),
        ("no file /srv/data/2030/trips.csv, sorry", "no file …/trips.csv, sorry"),
        ("~/model/a.csv and C:\\Users\\jane\\b.csv", "…/a.csv and …/b.csv"),
        ("file:///home/jane/x/y.omx and \\\\server\\share\\z", "…/y.omx and …/z"),
        ('  File "/usr/lib/python3/site-packages/a.py", line 3', '  File "…/a.py", line 3'),
        ("zones: …ts/of/Jane/zones.csv, x…", "zones: …/zones.csv, x…"),
        ("a… 3/4 …/zones.csv", "a… 3/4 …/zones.csv"),
        ("10 km/h, trips/day, and/or 1/2", "10 km/h, trips/day, and/or 1/2"),
        ("host.example ran it for jane", "… ran it for …"),
    ],
)
def test_what_is_shared_without_paths(text: str, shared: str) -> None:
    assert Sharing(paths=False).altered({"host.example", "jane"})(text) == shared
    assert Sharing().altered({"jane"})(text) == text


# ---------------------------------------------------------------- the same numbers as the commands


def test_its_sums_are_those_of_stats(page: str) -> None:
    data = data_of(page)
    said = [{**item, "step": data["texts"][item["step"]]} for item in data["sums"]]
    assert said == [{name: value for name, value in row.items() if name != "mean"} for row in run_json("stats")]


def test_its_sums_of_some_scenarios_are_those_of_them_alone() -> None:
    run("report", "config", "code", "-o", "some.html")
    data = data_of(Path("some.html").read_text(encoding="utf-8"))
    assert [data["texts"][number] for number in data["scenarios"]["id"]] == ["config", "code"]
    one, other = (run_json("stats", name) for name in ("config", "code"))
    counts: Counter[str] = Counter()
    for row in (*one, *other):
        counts[row["step"]] += row["computed"]
    assert {data["texts"][item["step"]]: item["computed"] for item in data["sums"]} == counts


def exact(name: str) -> str:
    """An id as selector: without a number it means the latest attempt."""
    return name if "#" in name else f"{name}#1"


def test_its_first_causes_are_those_of_why(page: str) -> None:
    data = data_of(page)
    texts, steps = data["texts"], data["steps"]
    for place, number in enumerate(data["scenarios"]["id"][:6]):
        mine = [causes for at, causes in zip(steps["s"], steps["rc"], strict=True) if at == place and causes]
        counted = Counter(texts[cause[0]] for causes in mine for cause in causes)
        (told,) = run_json("why", exact(texts[number]))
        assert counted == {item["what"]: item["steps"] for item in told["first_causes"]}


def test_its_steps_are_told_as_show_tells_them(page: str) -> None:
    data = data_of(page)
    texts, steps = data["texts"], data["steps"]
    for name in ("config_report", "code_land#2", "input_supply", "base_land#4", "shape_4_shape"):
        at = [texts[number] for number in steps["id"]].index(name)
        (told,) = run_json("show", exact(name))
        assert [texts[item[0]] for item in steps["df"][at] or []] == [item["words"] for item in told["differences"]]
        causes = [(texts[cause[0]], cause[1] - 1, texts[steps["id"][cause[2]]]) for cause in steps["rc"][at] or []]
        assert causes == [(item["what"], item["later"], item["run"]) for item in told["first_causes"]]
        files = data["files"]
        outputs = {texts[key]: texts[files["u"][file]] for key, file in steps["out"][at]}
        assert outputs == {key: item["uri"] for key, item in told["outputs"].items()}


# ---------------------------------------------------------------- damage, refusals


def test_what_a_step_took_and_the_end_of_what_it_printed_are_shown(tmp_path: Path) -> None:
    def says(fails: bool) -> Path:
        for number in range(60):
            print(f"line {number}, token=abcdefghijkl")
        if fails:
            raise ValueError("no zone 7")
        return made("o")

    with consist.Tracker(tmp_path / "runs", tmp_path / "p.db", sync="os") as tracker, tracker.scenario("s") as sc:
        sc.run(says, name="good", config={"fails": False}, outputs=["o"])
        sc.run(
            says,
            name="again",
            config={"fails": False},
            outputs=["o"],
            execution_options=consist.ExecutionOptions(capture_log=False),
        )
        with pytest.raises(ValueError, match="no zone 7"):
            sc.run(says, name="bad", config={"fails": True}, outputs=["o"])
    for more, count in (([], 2), (["--no-tracebacks"], 0)):
        run("report", "-o", tmp_path / "r.html", "--project", tmp_path / "p.db", *more)
        data = data_of((tmp_path / "r.html").read_text(encoding="utf-8"))
        steps = data["steps"]
        texts = [data["texts"][at] for at in steps.get("log", []) if at is not None]
        assert len(texts) == count
    assert "abcdefghijkl" not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("views", ["there", "gone"])
def test_a_damaged_log_is_told_in_red_and_by_the_exit_code(
    gallery: Path, page: str, tmp_path: Path, views: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(gallery, copy, ignore=shutil.ignore_patterns("*.html", "runs"))
    damage(copy)
    if views == "gone":
        for path in copy.glob("p.db*"):
            path.unlink()
    said = run("report", "-o", tmp_path / "bad.html", "--project", copy / "p.db", code=1)
    assert "The record is not whole" in said.stderr
    data = data_of((tmp_path / "bad.html").read_text(encoding="utf-8"))
    assert data["integrity"]["ok"] is False
    assert data["integrity"]["problems"]
    whole = data_of((gallery / "page.html").read_text(encoding="utf-8"))
    assert 0 < data["integrity"]["position"] <= whole["integrity"]["position"]
    assert (data["integrity"]["position"] < whole["integrity"]["position"]) is (views == "gone")
    assert 0 < len(data["steps"]["id"]) <= len(whole["steps"]["id"])


def test_a_log_that_lost_its_end_is_told_too(gallery: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(gallery, copy, ignore=shutil.ignore_patterns("*.html", "runs"))
    (segment,) = (copy / "p.events").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes()[:-40])
    run("report", "-o", tmp_path / "bad.html", "--project", copy / "p.db", code=1)
    state = data_of((tmp_path / "bad.html").read_text(encoding="utf-8"))["integrity"]
    assert any("incomplete last record" in problem for problem in state["problems"])


def test_a_file_that_is_no_report_is_not_overwritten() -> None:
    Path("precious.csv").write_text("1,2\n")
    said = run("report", "-o", "precious.csv", code=2)
    assert "that is no report" in said.stderr
    assert Path("precious.csv").read_text() == "1,2\n"
    assert "folder nowhere does not exist" in run("report", "-o", "nowhere/r.html", code=2).stderr
    assert "that is a folder" in run("report", "-o", "runs", code=2).stderr


def test_a_scenario_that_is_not_there_is_refused_with_what_is_near() -> None:
    assert "Did you mean 'config'" in run("report", "cofnig", "-o", "x.html", code=2).stderr
    assert not Path("x.html").exists()


def test_large_data_are_packed(gallery: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "PACKED", 1000)
    run("report", "-o", "packed.html")
    packed = Path("packed.html").read_text(encoding="utf-8")
    (blob,) = re.findall(r'<script type="application/gzip" id="data">(.*?)</script>', packed, re.DOTALL)
    assert json.loads(decompress(b64decode(blob)))["steps"] == data_of(page)["steps"]
    assert len(packed) < len(page)


def test_an_empty_project_has_a_report(tmp_path: Path) -> None:
    with consist.Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "p.db") as tracker, tracker.scenario("empty"):
        pass
    run("report", "-o", tmp_path / "empty.html", "--project", tmp_path / "p.db")
    assert data_of((tmp_path / "empty.html").read_text(encoding="utf-8"))["steps"] == {}


# ---------------------------------------------------------------- while it runs


def test_watching_ends_with_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    said = run("report", "--watch", "-o", "watched.html", code=130)
    assert said.stdout.startswith("watched.html: 15 scenarios, ")


def test_it_is_written_again_as_the_scenario_runs(tmp_path: Path) -> None:
    target, gate, begun = tmp_path / "live.html", threading.Event(), threading.Event()

    def first() -> Path:
        return made("o", "1\n")

    def second() -> Path:
        begun.set()
        assert gate.wait(60)
        return made("o", "2\n")

    def play() -> None:
        with (
            consist.Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "p.db") as tracker,
            tracker.scenario("live") as sc,
        ):
            sc.run(first, outputs=["o"])
            sc.run(second, outputs=["o"])

    def outcomes() -> list[str]:
        data = data_of(target.read_text(encoding="utf-8"))
        return [data["outcomes"][number] for number in data["steps"]["o"]]

    def look() -> None:
        while not target.exists():
            threading.Event().wait(0.02)
        seen.extend(outcomes())
        gate.set()

    seen: list[str] = []
    threads = [threading.Thread(target=play), threading.Thread(target=look)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    said = run("report", "live", "--watch", "--every", "0.1", "-o", target, "--project", tmp_path / "p.db")
    for thread in threads:
        thread.join()
    assert seen == ["computed", "running"]
    assert outcomes() == ["computed", "computed"]
    assert len(said.stdout.splitlines()) >= 2
    assert data_of(target.read_text(encoding="utf-8"))["every"] == 0.1
