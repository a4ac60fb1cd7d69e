"""`evict`, `pin` and `gc` on the command line: a plan first; `show`, `why`, `audit` and `doctor` tell of it calmly."""

import json
import shutil
from pathlib import Path

import pytest

from tests.keeping.model import chain, files, hits, opened
from tests.support.cli import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recorded chain, in the folder of its log."""
    with opened(tmp_path) as tracker:
        chain(tracker)
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path


def test_the_plan_comes_first_and_yes_does_it(here: Path) -> None:
    before = files(here)
    planned = run("evict", "trips", "--keep-last", "0")
    assert planned.exit_code == 0
    assert planned.stdout.startswith("Would evict 1 output of 1 run and free 20.0 kB")
    assert planned.stderr == "Nothing was changed. Do it with --yes.\n"
    assert files(here) == before
    done = run("evict", "trips", "--keep-last", "0", "--yes")
    assert done.stdout.startswith("Evicted 1 output of 1 run: 20.0 kB are free.")
    assert len(files(here)) == 2
    assert run("evict", "trips", "--keep-last", "0").stdout.startswith("There is nothing to evict")


def test_what_is_kept_is_named_with_its_reason(here: Path) -> None:
    assert "kept: base_trips: the last result of its step" in run("evict").stdout


def test_json_has_the_plan_and_what_was_done(here: Path) -> None:
    plan = json.loads(run("evict", "--keep-last", "0", "--bytes", "1", "--json").stdout)
    assert (plan["done"], len(plan["runs"])) == (False, 1)
    done = json.loads(run("evict", "trips", "--keep-last", "0", "--yes", "--json").stdout)
    assert (done["done"], done["bytes"], done["runs"][0]["run"], done["left"]) == (True, 20040, "base_trips", [])


def test_a_copy_is_made_first_if_asked(here: Path) -> None:
    done = run("evict", "--keep-last", "0", "--to", str(here / "archive"), "--yes")
    assert done.exit_code == 0, done.stderr
    assert files(here) == {}
    with opened(here) as tracker:
        assert all(hits(chain(tracker)).values())


def test_show_says_when_and_how_it_is_made_again(here: Path) -> None:
    run("evict", "--keep-last", "0", "--yes")
    step = run("show", "base/trips").stdout
    assert "running trips again makes it" in step
    assert "config growth=1.0; inputs zones" in step
    assert "evicted      on 20" in run("show", "zones.txt").stdout
    told = json.loads(run("show", "base/trips", "--json").stdout)["evicted"]["trips"]
    assert (told["bytes"], told["made_again_by"], told["same_bytes"]) == (20040, None, None)
    with opened(here) as tracker:
        chain(tracker)
    told = json.loads(run("show", "base_trips#1", "--json").stdout)["evicted"]["trips"]
    assert (told["made_again_by"], told["same_bytes"]) == ("base_trips#2", True)
    assert "made again by base_trips#2" in run("show", "base_trips#1").stdout


def test_why_and_audit_tell_of_it(here: Path) -> None:
    run("evict", "--keep-last", "0", "--yes")
    assert "trips b3:" in run("audit", "base").stdout
    assert "evicted to make room: outputs, keeping the last 0 results of each step" in run("audit", "base").stdout
    with opened(here) as tracker:
        chain(tracker)
    assert "its outputs were evicted to make room" in run("why", "base/trips").stdout


def test_the_doctor_and_verify_raise_no_alarm(here: Path) -> None:
    run("evict", "--keep-last", "0", "--yes")
    for call in (("doctor",), ("doctor", "--deep"), ("verify", "--deep")):
        told = run(*call)
        assert told.exit_code == 0, told.stdout
        assert "is gone" not in told.stdout
    assert "evicted to make room: 3 outputs" in run("doctor").stdout
    with opened(here) as tracker:
        chain(tracker)[("trips")].outputs["trips"].path.unlink()
    assert "trips of run base_trips#2 is gone" in run("doctor", code=1).stdout, "this one was not evicted"


def test_pins_are_set_listed_and_removed(here: Path) -> None:
    assert run("pin", "base", "--reason", "figure 3").stdout == "The bytes of base are kept, whatever is evicted.\n"
    assert "figure 3" in run("pin").stdout
    assert json.loads(run("pin", "--json").stdout)["reason"] == "figure 3"
    assert "There is nothing to evict" in run("evict", "--keep-last", "0").stdout
    assert run("pin", "base", "--remove").stdout == "base is no longer pinned.\n"
    assert "Would evict 3 outputs" in run("evict", "--keep-last", "0").stdout
    assert "no longer pinned" in run("audit", "base").stdout


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["pin", "base"], "what are the bytes kept for?"),
        (["pin", "--reason", "x"], "Name what to pin"),
        (["pin", "base", "--remove"], "'base' is not pinned"),
        (["evict", "nobody"], "nobody"),
        (["evict", "--bytes", "lots"], "'lots' is no size"),
        (["evict", "--keep-last", "-1"], "keep_last is -1"),
        (["evict", "--to", "provenance.db", "--yes"], "is a file"),
    ],
)
def test_what_cannot_be_is_refused(here: Path, call: list[str], said: str) -> None:
    refused = run(*call, code=2)
    assert said in refused.stderr


def test_gc_lists_first_and_deletes_then(here: Path) -> None:
    ours = Path("provenance.db.orphaned-1")
    shutil.copy("provenance.db", ours)
    listed = run("gc")
    assert listed.stdout.startswith("Would delete 1 thing that nothing needs")
    assert ours.exists()
    done = json.loads(run("gc", "--yes", "--json").stdout)
    assert (done["done"], [item["kind"] for item in done["items"]]) == (True, ["old views"])
    assert not ours.exists()
    assert run("gc").stdout == "There is nothing that nobody needs.\n"


def test_a_project_that_was_moved_is_evicted_where_it_is_now(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here.parent)
    moved = here.parent / "moved"
    shutil.copytree(here, moved)
    monkeypatch.chdir(moved / "runs")
    assert run("evict", "--keep-last", "0", "--yes").stdout.startswith("Evicted 3 outputs")
    assert files(moved) == {}
    assert len(files(here)) == 3, "the original is another project's now"


def test_the_report_says_it_of_each_output(here: Path) -> None:
    run("evict", "trips", "--keep-last", "0", "--yes")
    run("report", "-o", "r.html")
    page = Path("r.html").read_text(encoding="utf-8")
    assert '"ev":[' in page
    with opened(here) as tracker:
        day = next(iter(tracker.project.connection().execute("SELECT substr(at, 1, 10) FROM evictions")))[0]
    assert f'"{day}"' in page
