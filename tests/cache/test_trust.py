"""Trusted writers: in a project that several people write to, only what those on the list recorded answers."""

import importlib
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es import CacheOptions, RunResult, Tracker
from consist_es.errors import UsageError, UsageTypeError
from consist_es.system.storage import LocalStorage
from tests.support.api import NONE, made
from tests.support.children import NOBODY, as_nobody
from tests.support.cli import run as command

AS_ROOT = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become somebody else")


def step(n: int = 0) -> Path:
    return made("o", f"{n}\n")


def changed(n: int = 0) -> Path:
    text = f"{n}\n"
    return made("o", text)


def asked(tracker: Tracker, n: int = 1, **given: Any) -> RunResult:
    fn = given.pop("fn", step)
    return tracker.run(fn, **{"name": "step", "outputs": ["o"], "config": {"n": n}, **given})


@pytest.fixture
def by(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tracker]]:
    """A tracker of one project in the hands of a user, who trusts these."""
    opened: list[Tracker] = []

    def tracker(user: str, *trusted: str, everybody: bool = False, host: str = "here") -> Tracker:
        monkeypatch.setattr(LocalStorage, "user", lambda _self: user)
        monkeypatch.setattr(LocalStorage, "host", lambda _self: host)
        opened.append(Tracker("runs", "project.db", sync="os", trusted_writers=None if everybody else trusted))
        return opened[-1]

    yield tracker
    for one in opened:
        one.close()


Trackers = Callable[..., Tracker]


def test_without_a_list_everybody_is_trusted(by: Trackers) -> None:
    asked(by("mallory-x", everybody=True))
    assert asked(by("anna-x", everybody=True)).cache_hit


def test_a_run_of_somebody_who_is_not_on_the_list_is_a_miss_that_names_them(by: Trackers) -> None:
    asked(by("mallory-x", everybody=True))
    anna = by("anna-x", "anna-x")
    said = "run 'step' is the same work, and was recorded by mallory-x@here, who is not a trusted writer"
    foreseen = anna.forecast(step, name="step", outputs=["o"], config={"n": 1})
    assert (foreseen.verdict, foreseen.reason, foreseen.differs) == ("miss", "writer_not_trusted", [said])
    found = asked(anna)
    assert not found.cache_hit
    why = found.run.why()
    assert (why.reason, why.nearest, why.differs) == ("writer_not_trusted", "step", [said])
    assert "it was recorded by a writer who is not trusted" in str(why)
    assert "mallory-x@here" in command("why", "step", "--project", "project.db").stdout
    again = asked(anna)
    assert again.cache_hit  # what she computed herself
    assert again.run.why().nearest == "step#2"


def test_an_earlier_run_of_a_trusted_writer_answers_behind_one_that_is_not(by: Trackers) -> None:
    asked(by("anna-x", everybody=True))
    asked(by("mallory-x", everybody=True), cache_options=CacheOptions(cache_mode="overwrite"))
    assert asked(by("bert-x", everybody=True)).run.why().nearest == "step#2"
    found = asked(by("bert-x", "anna-x"))
    assert found.cache_hit
    assert found.run.why().nearest == "step"


def test_who_names_trusted_writers_has_every_output_read_unless_they_say_otherwise(by: Trackers) -> None:
    def validation(tracker: Tracker, **given: Any) -> str:
        assert asked(tracker, **given).cache_hit
        (hit,) = [event.event for event in tracker.project.log.read() if event.type == "cache_hit"][-1:]
        return str(getattr(hit, "validation", ""))

    asked(by("anna-x", everybody=True))
    assert validation(by("anna-x", everybody=True)) == "stat+digest"
    assert validation(by("anna-x", "anna-x")) == "digest"
    lazy = CacheOptions(validate_cached_outputs="lazy")
    assert validation(by("anna-x", "anna-x"), cache_options=lazy) == "stat+digest"


def test_ones_own_runs_answer_only_where_one_is_on_the_list(by: Trackers) -> None:
    anna = by("anna-x", "bert-x")
    assert not asked(anna).cache_hit
    assert not asked(anna).cache_hit
    assert not asked(by("anna-x", *())).cache_hit
    assert asked(by("carl-x", "anna-x")).cache_hit


@pytest.mark.parametrize(
    ("name", "hits"), [("anna-x", True), ("anna-x@here", True), ("anna-x@there", False), ("anna", False), ("x", False)]
)
def test_a_name_may_be_bound_to_a_host(by: Trackers, name: str, hits: bool) -> None:
    asked(by("anna-x", everybody=True))
    assert asked(by("bert-x", name)).cache_hit is hits


def test_a_hit_recorded_by_somebody_else_gives_no_trust_and_takes_none(by: Trackers) -> None:
    asked(by("mallory-x", everybody=True))
    asked(by("anna-x", everybody=True))  # a hit of hers, of what mallory computed
    assert not asked(by("bert-x", "anna-x")).cache_hit
    asked(by("anna-x", "anna-x"))
    asked(by("mallory-x", everybody=True))  # a hit of mallory's, of what anna computed
    assert asked(by("bert-x", "anna-x")).cache_hit


def test_a_change_that_a_stranger_accepted_is_not_followed(by: Trackers) -> None:
    asked(by("anna-x", everybody=True))
    anna = by("anna-x", "anna-x")
    asked(anna, fn=changed, cache_options=CacheOptions(cache_mode="readonly"))
    mallory = by("mallory-x", everybody=True)
    mallory.accept("step#2", "step#1", "trust me")
    assert asked(mallory, fn=changed, cache_options=CacheOptions(cache_mode="readonly")).cache_hit
    anna = by("anna-x", "anna-x")
    found = asked(anna, fn=changed, cache_options=CacheOptions(cache_mode="readonly"))
    assert not found.cache_hit
    why = found.run.why()
    assert (why.reason, why.nearest) == ("writer_not_trusted", "step")
    assert why.differs == [
        "accepted as step: trust me; that was recorded by mallory-x@here, who is not a trusted writer"
    ]
    anna.accept("step#2", "step#1", "only a variable")
    assert asked(anna, fn=changed).cache_hit


def test_who_recorded_a_run_is_known_in_views_that_were_made_anew(by: Trackers, here: Path) -> None:
    asked(by("mallory-x", everybody=True))
    asked(by("anna-x", everybody=True), n=2)
    for file in here.glob("project.db*"):
        file.unlink()
    bert = by("bert-x", "anna-x")
    assert [asked(bert, n=n).cache_hit for n in (1, 2)] == [False, True]


@pytest.mark.parametrize("name", ["", " ", "@here", "anna@", " anna"])
def test_a_name_that_no_writer_has_is_refused(here: Path, name: str) -> None:
    with pytest.raises(UsageError, match="trusted_writers takes names of users"):
        Tracker("runs", "project.db", trusted_writers=["bert", name])
    assert not (here / "runs").exists()


def test_a_list_of_something_else_is_refused(here: Path) -> None:
    with pytest.raises(UsageTypeError, match="trusted_writers takes a list of str"):
        Tracker("runs", "project.db", trusted_writers=[7])  # type: ignore[list-item]


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_of_users_and_work_a_hit_comes_from_a_trusted_writer(by: Trackers, seed: int) -> None:
    """Against a plain list of who computed what: the newest run of a trusted writer answers, or nobody's."""
    chance = random.Random(seed)
    users = ["anna-x", "bert-x", "mallory-x"]
    computed: dict[int, list[tuple[str, str]]] = {}
    for _ in range(12):
        user, n = chance.choice(users), chance.randrange(2)
        trusted = chance.sample(users, chance.randrange(4))
        everybody = chance.random() < 0.2
        found = asked(by(user, *trusted, everybody=everybody), n)
        usable = [run for run, who in computed.get(n, []) if everybody or who in trusted]
        assert found.run.why().nearest == usable[-1] if usable else not found.cache_hit
        assert found.cache_hit is bool(usable)
        if not found.cache_hit:
            computed.setdefault(n, []).append((found.run.id, user))


# ---------------------------------------------------------------- what the system knows


MODEL = """
from pathlib import Path
import consist_es as consist
def make() -> Path:
    path = consist.output_path("made", ext="txt")
    path.write_text("x")
    return path
"""


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that two users write to; the tests are root, the other one is nobody, who cannot read these tests."""
    monkeypatch.setenv("LOGNAME", "root")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    (folder / "model_of_two.py").write_text(MODEL)
    (folder / "model_of_two.py").chmod(0o644)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "model_of_two", raising=False)
    with Tracker(folder / "warm", trusted_writers=["root"]) as tracker:  # what it imports, nobody could not
        for _ in range(2):
            tracker.run(make(), name="make", outputs=["made"], execution_options=NONE)
    before = os.umask(0)
    yield folder
    os.umask(before)
    shutil.rmtree(folder)


def make() -> Callable[[], Path]:
    """The step that both users can read."""
    function: Callable[[], Path] = importlib.import_module("model_of_two").make
    return function


def both(folder: Path, *trusted: str) -> Tracker:
    return Tracker(folder / "runs", folder / "project.db", sync="os", trusted_writers=trusted or None)


@AS_ROOT
@pytest.mark.filterwarnings("ignore:Every user of this machine can change the log")
def test_two_users_of_one_folder_reuse_each_others_runs_where_they_trust_each_other(group: Path) -> None:
    def theirs() -> None:
        with both(group) as tracker:
            assert not tracker.run(make(), name="make", outputs=["made"], execution_options=NONE).cache_hit

    assert as_nobody(theirs) == ""
    with both(group, "root") as tracker:
        found = tracker.run(make(), name="make", outputs=["made"], execution_options=NONE)
        assert (found.cache_hit, found.run.why().reason) == (False, "writer_not_trusted")
        assert "recorded by nobody@" in found.run.why().differs[0]
    with both(group, "nobody") as tracker:
        found = tracker.run(make(), name="make", outputs=["made"], execution_options=NONE)
        assert found.cache_hit
        assert found.run.why().validation == "digest+owner"

    def mine() -> None:
        with both(group, "root") as tracker:
            found = tracker.run(make(), name="make", outputs=["made"], execution_options=NONE)
            assert found.cache_hit, found.run.why()

    assert as_nobody(mine) == ""


@AS_ROOT
@pytest.mark.filterwarnings("ignore:Every user of this machine can change the log")
def test_a_record_in_the_name_of_a_trusted_user_over_files_of_another_does_not_answer(group: Path) -> None:
    """The log's folder keeps no one from writing any name into it; the system knows whose the files are."""

    def forged() -> None:
        os.environ.update(LOGNAME="daemon", USER="daemon")
        with both(group) as tracker:
            tracker.run(make(), name="make", outputs=["made"], execution_options=NONE)

    assert as_nobody(forged) == ""
    with both(group, "daemon") as tracker:
        found = tracker.run(make(), name="make", outputs=["made"], execution_options=NONE)
        assert (found.cache_hit, found.run.why().reason) == (False, "writer_not_trusted")
        assert found.run.why().differs == [
            "output 'made' belongs to nobody (user 65534), not to daemon, who recorded it"
        ]


@AS_ROOT
@pytest.mark.filterwarnings("ignore:Every user of this machine can change the log")
def test_a_file_of_another_user_within_an_output_folder_does_not_answer(group: Path) -> None:
    def table() -> Path:
        folder = made("made", ext="txt").with_name("folder")
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "a").write_text("a")
        return folder

    with both(group, "root") as tracker:
        first = tracker.run(table, name="t", outputs=["made"], execution_options=NONE)
        assert tracker.run(table, name="t", outputs=["made"], execution_options=NONE).cache_hit
        os.chown(first.outputs["made"].path / "deep" / "a", NOBODY, NOBODY)
        found = tracker.run(table, name="t", outputs=["made"], execution_options=NONE)
        assert found.run.why().reason == "writer_not_trusted"


def test_of_users_that_this_machine_does_not_know_the_owner_is_not_asked(by: Trackers) -> None:
    asked(by("anna-x", everybody=True))
    assert asked(by("bert-x", "anna-x")).run.why().validation == "digest"
