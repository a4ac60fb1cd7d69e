"""What looks like a secret never reaches a file of ours, and a changed secret is a change all the same."""

import contextlib
import dataclasses
import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

import consist_es as consist
from consist_es import Secret, Tracker
from consist_es.adapters.folder import FolderAdapter
from consist_es.adapters.protocol import AdapterResult
from consist_es.errors import ConsistWarning
from consist_es.events import CacheMissed, EnvironmentRecorded, StepFailed, StepStarted
from consist_es.log.local import LocalLog
from consist_es.values.masking import Masker, key_file
from consist_es.values.plain import frame, from_plain, to_plain
from consist_es.values.secret_names import _BUILT_IN, _WHOLE, SecretNames, folded
from tests.values.test_plain import values as plain_values

HASH = "[0-9a-f]{32}"


@pytest.fixture
def masker(tmp_path: Path) -> Masker:
    return Masker(tmp_path / "p.key")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Masker:
    """For properties: one key for all examples."""
    return Masker(tmp_path_factory.mktemp("masker") / "p.key")


def hidden(masker: Masker, value: Any) -> dict[str, str]:
    """What stands for a secret value."""
    return {"$masked": masker.keyed(frame(to_plain(value)))}


# ---------------------------------------------------------------- 26 secrets, and every file that is written


@dataclasses.dataclass
class Access:
    user: str
    password: str


class Login(NamedTuple):
    name: str
    passwd: str


class Session(msgspec.Struct):
    access_key: str


PLACES = (
    "config", "nested", "list", "of_dicts", "dataclass", "namedtuple", "struct", "pydantic", "pydantic_secret",
    "ordered_dict", "pairs", "argv", "explicit", "url", "dsn", "env", "code_env", "facet", "meta", "scenario_meta",
    "scenario_config", "artifact_meta", "adapter_file", "error_text", "error_value", "description",
)  # fmt: skip
SEEDED = {place: f"s3cr3t-{blake3(place.encode()).hexdigest()[:16]}" for place in PLACES}
"""Where each secret is put -> its text, which is nowhere else."""


def config_with(secrets: dict[str, str]) -> dict[str, Any]:
    pydantic = pytest.importorskip("pydantic")

    class Settings(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        api_token: str
        hidden: pydantic.SecretStr  # type: ignore[name-defined]

    return {
        "growth": 1.5,
        "password": secrets["config"],
        "database": {"host": "db", "options": {"apiKey": secrets["nested"]}},
        "credentials": ["bob", secrets["list"]],
        "servers": [{"name": "a", "db-password": secrets["of_dicts"]}],
        "access": Access("bob", secrets["dataclass"]),
        "login": Login("bob", secrets["namedtuple"]),
        "session": Session(secrets["struct"]),
        "settings": Settings(api_token=secrets["pydantic"], hidden=secrets["pydantic_secret"]),
        "ordered": OrderedDict([("private_key", secrets["ordered_dict"])]),
        "headers": [("Authorization", secrets["pairs"])],
        "command": ["fetch", "--token", secrets["argv"], "--verbose"],
        "marked": Secret(secrets["explicit"]),
        "repository": f"https://bob:{secrets['url']}@example.org/models.git",
        "source": f"host=db password={secrets['dsn']} dbname=zones",
    }


def work(marked: str, password: str) -> Path:
    """The function gets the secrets themselves, and talks about one in its error."""
    assert marked.startswith("s3cr3t-")
    os.environ.get("MODEL_TOKEN")
    consist.log_meta(note="x", auth_token=SEEDED["meta"])
    path = consist.output_path("out", "txt")
    path.write_text("no secret here\n")
    consist.log_artifact(path, key="out", direction="output", refresh_token=SEEDED["artifact_meta"])
    raise PermissionError(f"refused: {marked} is wrong; tried token={SEEDED['error_text']} and {SEEDED['error_value']}")


def written_by_us(folder: Path) -> dict[Path, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files if "settings.yaml" not in path.name}


def test_none_of_26_secrets_is_in_any_file_that_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml")
    monkeypatch.setenv("MODEL_TOKEN", SEEDED["code_env"])
    monkeypatch.setenv("DB_PASSWORD", SEEDED["env"])
    (here / "configs").mkdir()
    (here / "configs" / "settings.yaml").write_text(f"db:\n  password: {SEEDED['adapter_file']}\n  host: db\n")
    with Tracker(run_dir="runs", db_path="project.db", sync="os", record_env=["DB_PASSWORD", "HOME"]) as tracker:
        play(tracker)
        play(tracker, growth=2.0)  # a miss that is explained
        tracker.project.views.rebuild(target=here / "again.db")
        events = list(tracker.project.log.read())
    files = written_by_us(here)
    assert {path.suffix for path in files} >= {".jsonl", ".db", ".key", ".txt"}
    found = {(place, path) for place, text in SEEDED.items() for path, data in files.items() if text.encode() in data}
    assert found == set()
    assert "refused: " in repr(events), "the error is recorded"
    assert "growth: 1.5 -> 2.0" in repr(events), "the miss is explained"
    assert any(isinstance(e.event, EnvironmentRecorded) and "HOME" in e.event.variables for e in events)


def play(tracker: Tracker, growth: float = 1.5) -> None:
    with (
        contextlib.suppress(PermissionError),
        tracker.scenario(
            "base",
            config={"client_secret": SEEDED["scenario_config"]},
            bearer=SEEDED["scenario_meta"],
            description=f"uses https://{SEEDED['description']}@example.org",
        ) as sc,
    ):
        sc.run(
            fn=work,
            config={**config_with(SEEDED), "growth": growth, "password": Secret(SEEDED["error_value"])},
            facet={"login": {"passphrase": SEEDED["facet"]}},
            adapter=FolderAdapter("configs"),
            outputs=["out"],
        )
    with contextlib.suppress(ValueError), tracker.scenario("other") as sc:
        named = ("password", "database", "credentials", "servers", "access", "repository", "source")
        config = {key: value for key, value in config_with(SEEDED).items() if key in named}
        sc.run(fn=fine, config={**config, "growth": growth}, outputs=["out"])


def fine(password: str) -> Path:
    assert password == SEEDED["config"]
    path = consist.output_path("out", "txt")
    path.write_text("x\n")
    return path


def test_a_short_secret_cannot_be_found_by_trying_all_of_them(here: Path) -> None:
    """A number of four digits: every digest that is recorded must be of no help."""
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(fine_with, config={"pin_code": 4711, "passcode": 4711}, outputs=["out"])
        tracker.run(fine_with, config={"passcode": 4711}, outputs=["out"])
        (event,) = [e.event for e in tracker.project.log.read() if isinstance(e.event, StepStarted)][1:]
    from consist_es.identity.config import config_digest

    assert event.fingerprint.config != config_digest({"passcode": 4711})
    key = key_file(here / "project.events").read_bytes()
    guesses = {
        f"b3:{blake3(b'consist-es config 1' + bytes(1) + frame({'passcode': {'$masked': guess}})).hexdigest()}"
        for number in range(10_000)
        for guess in (
            blake3(frame(number)).hexdigest(16),
            blake3(frame(number), key=bytes(32)).hexdigest(16),
        )
    }
    assert event.fingerprint.config not in guesses
    real = blake3(frame(4711), key=key).hexdigest(16)
    assert event.config == {"passcode": {"$masked": real}}, "with the key it can be checked"


def fine_with(passcode: int) -> Path:
    assert passcode == 4711
    return made_output()


def made_output() -> Path:
    path = consist.output_path("out", "txt")
    path.write_text("x\n")
    return path


# ---------------------------------------------------------------- identity


def use(password: str) -> Path:
    assert isinstance(password, str)
    return made_output()


def test_an_equal_secret_is_a_hit_and_a_changed_one_a_miss_that_shows_neither(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:

        def run(password: Any) -> Any:
            return tracker.run(use, config={"password": password, "n": 1}, outputs=["out"])

        assert not run("hunter2").cache_hit
        assert run("hunter2").cache_hit
        assert run(Secret("hunter2")).cache_hit, "marking it does not change what is computed"
        assert not run("hunter3").cache_hit
        misses = [e.event for e in tracker.project.log.read() if isinstance(e.event, CacheMissed)]
    assert misses[-1].reason == "config_changed"
    assert misses[-1].differs == ["config.password: masked -> masked (changed)"]


def test_a_later_process_with_the_same_key_hits_and_one_with_another_key_does_not(here: Path) -> None:
    def again() -> bool:
        with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
            return tracker.run(use, config={"password": "hunter2"}, outputs=["out"]).cache_hit

    assert [again(), again()] == [False, True]
    (here / "project.key").unlink()
    assert [again(), again()] == [False, True]


def test_a_config_without_secrets_needs_no_key_and_has_the_digest_that_it_always_had(here: Path) -> None:
    from consist_es.identity.config import config_digest

    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(made_output, config={"growth": 1.5, "url": "https://example.org/a@b"}, outputs=["out"])
        (event,) = [e.event for e in tracker.project.log.read() if isinstance(e.event, StepStarted)]
    assert event.fingerprint.config == config_digest({"growth": 1.5, "url": "https://example.org/a@b"})
    assert not (here / "project.key").exists()


def test_a_key_whose_values_became_secret_later_is_not_shown_by_the_explanation(here: Path) -> None:
    config = {"licence_no": "L-123456"}
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(made_output, config=config, outputs=["out"])
    with Tracker(run_dir="runs", db_path="project.db", sync="os", mask_keys=["licenceNo"]) as tracker:
        before = tracker.project.log.head().seq
        assert not tracker.run(made_output, config={**config, "n": 2}, outputs=["out"]).cache_hit
        later = [e.event for e in tracker.project.log.read() if e.seq > before]
        assert tracker.run(made_output, config={**config, "n": 2}, outputs=["out"]).cache_hit
    assert "L-123456" not in repr(later)
    assert next(e for e in later if isinstance(e, CacheMissed)).differs == ["config.n: (missing) -> 2"]


def test_an_environment_variable_that_code_reads_counts_and_its_digest_tells_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consist_es.identity.text.source import digest_plain

    def run(tracker: Tracker) -> Any:
        return tracker.run(reads_environment, outputs=["out"])

    monkeypatch.setenv("SERVICE_TOKEN", "1234")
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        assert not run(tracker).cache_hit
        assert run(tracker).cache_hit
        monkeypatch.setenv("SERVICE_TOKEN", "1235")
        assert not run(tracker).cache_hit
        starts = [e.event for e in tracker.project.log.read() if isinstance(e.event, StepStarted)]
    label = "environment variable SERVICE_TOKEN"
    parts = [event.fingerprint.code_parts[label] for event in starts]
    assert parts[0] == parts[1] != parts[2]
    assert digest_plain("1234") not in repr(starts)


def reads_environment() -> Path:
    os.environ.get("SERVICE_TOKEN")
    return made_output()


def test_a_secret_in_an_adapters_file_counts_and_no_digest_is_taken_of_it(here: Path) -> None:
    path = here / "run.json"

    def run(tracker: Tracker, pin: str) -> Any:
        path.write_text(f'{{"db": {{"password": "{pin}", "port": 5432}}}}')
        return tracker.run(made_output, adapter=FolderAdapter("run.json"), outputs=["out"])

    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        assert not run(tracker, "1234").cache_hit
        assert run(tracker, "1234").cache_hit
        assert not run(tracker, "1235").cache_hit
        events = [e.event for e in tracker.project.log.read()]
    content = b'{"db": {"password": "1234", "port": 5432}}'
    assert blake3(content).hexdigest() not in repr(events)
    assert [e.differs for e in events if isinstance(e, CacheMissed)][-1] == [
        "run.json: db.password: masked -> masked (changed)"
    ]
    adapter = next(e for e in events if isinstance(e, StepStarted)).fingerprint.adapter
    assert adapter is not None
    assert adapter["values"]["run.json: db.port"] == 5432


def test_an_adapter_that_returns_objects_gives_no_secret_away(here: Path) -> None:
    class Own:
        name, version = "own", "1"

        def canonicalize(self, root: Path) -> AdapterResult:
            return AdapterResult({"access": Access("bob", "hunter2-secret"), "url": ["http://a:hunter2-secret@b"]})

    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(made_output, adapter=Own(), outputs=["out"])
        events = list(tracker.project.log.read())
    assert "hunter2-secret" not in repr(events)


# ---------------------------------------------------------------- Secret


def test_a_secret_never_shows_its_value() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {secret!s} {[secret]} {secret:>30}"
    assert secret.value == "hunter2"
    assert secret == Secret("hunter2") != Secret("hunter3")
    assert secret != "hunter2"
    assert {secret: 1}[Secret("hunter2")] == 1


def test_a_function_gets_the_value_of_a_marked_entry_and_of_a_marked_runtime_argument(here: Path) -> None:
    seen: list[Any] = []

    def take(key: str, other: str, config: dict[str, Any]) -> Path:
        seen.append((key, other, config["key"]))
        return made_output()

    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        options = consist.ExecutionOptions(runtime_kwargs={"other": Secret("b-secret")})
        tracker.run(take, config={"key": Secret("a-secret")}, outputs=["out"], execution_options=options)
        text = repr(list(tracker.project.log.read()))
    assert seen == [("a-secret", "b-secret", Secret("a-secret"))]
    assert "a-secret" not in text
    assert "b-secret" not in text


def test_a_marked_runtime_argument_is_taken_out_of_the_error_too(here: Path) -> None:
    def broken(connection: str) -> Path:
        raise ConnectionError(f"cannot reach {connection}")

    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        options = consist.ExecutionOptions(runtime_kwargs={"connection": Secret("hunter2-secret")})
        with pytest.raises(ConnectionError, match="hunter2-secret"):
            tracker.run(broken, execution_options=options)
        (failed,) = [e.event for e in tracker.project.log.read() if isinstance(e.event, StepFailed)]
    assert "hunter2-secret" not in repr(failed)
    assert failed.error.message.startswith("cannot reach $masked:")


def test_a_secret_that_nothing_masked_is_hidden_on_the_way_into_the_log(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        with tracker.trace("t", facet={"n": Secret("hunter2-secret")}):
            consist.log_meta(free=[Secret({"a": "hunter2-secret"})])
        assert "hunter2-secret" not in repr(list(tracker.project.log.read()))


# ---------------------------------------------------------------- names of keys


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_password", "db-password", "dbPassword", "DBPassword", "password2", "passwd", "pwd",
        "secret", "client_secret", "token", "api_token", "x-auth-token", "apikey", "apiKey", "API_KEY", "api.key",
        "credentials", "private_key", "privateKey", "aws_secret_access_key", "Authorization", "passphrase", "cookie",
        "auth", "tokens", "access_tokens", "pw", "PGPASSWORD", "dbpassword", "clientsecret", "authtoken", "ACCESSTOKEN",
        "secretkey", "authkey", "auth_key", "user_pass", "dbPass", "SSHPASS", "jwt", "creds",
    ],
)  # fmt: skip
def test_names_of_credentials_are_known_in_every_spelling(masker: Masker, name: str) -> None:
    assert masker.hides(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "passenger", "passengers", "tokenizer", "max_tokens", "keyboard", "key", "keys", "monkey", "secretary",
        "author", "authors", "bypass", "compass", "transit_pass",
        "overpass", "sig", "api", "access", "authorised_by", "pass_through", "growth", "año",
    ],
)  # fmt: skip
def test_names_that_only_look_alike_are_not(masker: Masker, name: str) -> None:
    assert not masker.hides(name)


def test_further_names_of_foreign_letters_fit(tmp_path: Path) -> None:
    masker = Masker(tmp_path / "k", ["schlüssel", "\N{KELVIN SIGN}ennwort"])
    assert [masker.hides(name) for name in ("SCHLÜSSEL", "mein_schlüssel", "kennwort", "schluessel")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_further_names_fit_as_whole_words_too(tmp_path: Path) -> None:
    masker = Masker(tmp_path / "k", ["licence_no", "Kennwort", ""])
    assert [masker.hides(name) for name in ("licenceNo", "my-licence-no", "licence", "kennwort", "x")] == [
        True, True, False, True, False,
    ]  # fmt: skip
    assert "L-1" not in masker.text("licence_no=L-1")


@given(
    st.sampled_from([*_BUILT_IN, *((word,) for word in _WHOLE)]),
    st.text("_- .\u00e9", max_size=1),
    st.text("aK\u212a \u00fc", max_size=3),
    st.booleans(),
)
def test_what_the_pattern_finds_the_quick_look_finds_too(
    words: tuple[str, ...], between: str, around: str, upper: bool
) -> None:
    names = SecretNames()
    word = between.join(words)
    text = f"{around}{word.upper() if upper else word}{around}"
    variants = [text, text.replace("s", "\u017f").replace("S", "\u017f"), text.replace("k", "\u212a"),
                text.replace("i", "\u0131").replace("I", "\u0130")]  # fmt: skip
    for variant in variants:
        assert names.may_be_in(folded(variant)) or not names.stem.search(variant)


@pytest.mark.parametrize("value", [None, True, False, "", [], {}])
def test_where_there_is_nothing_nothing_is_hidden(masker: Masker, value: Any) -> None:
    assert masker.plain({"password": value}) == {"password": value}


@pytest.mark.parametrize("value", ["x", 0, 12, 1.5, ["a"], {"a": 1}, "$masked", ("a", 1), b"x", {"$masked": "x"}])
def test_a_value_of_any_kind_is_hidden_whole(masker: Masker, value: Any) -> None:
    assert masker.plain(to_plain({"password": value})) == {"password": hidden(masker, value)}


def test_everything_around_a_secret_stays(masker: Masker) -> None:
    plain = to_plain({"a": [1, {"password": "x", "host": "db"}], 3: {"token": "y"}, "t": ("a", 2)})
    assert from_plain(masker.plain(plain)) == {
        "a": [1, {"password": hidden(masker, "x"), "host": "db"}],
        3: {"token": hidden(masker, "y")},
        "t": ("a", 2),
    }


def test_a_class_that_is_called_like_a_credential_hides_nothing(masker: Masker) -> None:
    @dataclasses.dataclass
    class Token:
        text: str

    plain = to_plain(Token("noun"))
    assert masker.plain(plain) == plain


@given(plain_values)
@settings(max_examples=100)
def test_masking_twice_is_masking_once_and_reads_like_a_plain_form(shared: Masker, value: Any) -> None:
    plain = to_plain(value)
    once = shared.plain(plain)
    assert frame(shared.plain(once)) == frame(once)
    from_plain(once)


@given(plain_values, plain_values, st.sampled_from(["password", "n"]))
@settings(max_examples=100)
def test_different_values_stay_different(shared: Masker, one: Any, other: Any, key: str) -> None:
    a, b = to_plain({key: one}), to_plain({key: other})
    assert (frame(shared.plain(a)) == frame(shared.plain(b))) == (frame(a) == frame(b))


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://bob:HIDE@db:5432/x", "postgres://M@db:5432/x"),
        ("postgres://bob:HI/DE@db/x", "postgres://M@db/x"),
        ("postgres://bob:HI@DE@db/x", "postgres://M@db/x"),
        ("https://HIDE@github.com/x.git", "https://M@github.com/x.git"),
        ("see http://a:HIDE@b and http://c:HIDE@d.", "see http://M@b and http://M@d."),
        ("token=HIDE", "token=M"),
        ("PGPASSWORD=HIDE psql", "PGPASSWORD=M psql"),
        ("clientsecret: HIDE", "clientsecret: M"),
        ("password=ab,HIDE;x'HIDE y", "password=M y"),
        ("(password=HIDE), and", "(password=M), and"),
        ("<user>bob</user><db.password>HIDE</db.password>", "<user>bob</user><db.password>M</db.password>"),
        ("curl -s -u bob:HIDE https://example.org", "curl -s -u M https://example.org"),
        ("curl --user bob:HIDE https://example.org", "curl --user M https://example.org"),
        ("mysqldump -h db -pHIDE zones", "mysqldump -h db -pM zones"),
        ("get https://x.org/a.parquet?sv=1&sig=HIDE&se=2", "get https://x.org/a.parquet?sv=1&sig=M&se=2"),
        ("GET /x?api_key=HIDE&n=1", "GET /x?api_key=M&n=1"),
        ("password: HIDE, user=bob", "password: M, user=bob"),
        ("passengers: token=HIDE", "passengers: token=M"),
        ("connect(password='HI DE', user='bob')", "connect(password='M', user='bob')"),
        ("connect(password=b'HIDE')", "connect(password=b'M')"),
        ("def f(password: str = 'HIDE', n: int = 1):", "def f(password: str = 'M', n: int = 1):"),
        ("{'password': 'HIDE', 'a': 1}", "{'password': 'M', 'a': 1}"),
        ('{"client_secret":"HIDE"}', '{"client_secret":"M"}'),
        ("[('token', 'HIDE')]", "[('token', 'M')]"),
        ("Authorization: Bearer HIDE", "Authorization: Bearer M"),
        ("Authorization: Basic HIDE==", "Authorization: Basic M"),
        ("Command '['get', '--password', 'HIDE']' failed", "Command '['get', '--password', 'M']' failed"),
        ("get --api-key HIDE --n 1", "get --api-key M --n 1"),
        ("get --token=HIDE --n 1", "get --token=M --n 1"),
        ("os.environ['API_TOKEN'] = 'HIDE'", "os.environ['API_TOKEN'] = 'M'"),
        ("password = 'HIDE", "password = 'M"),
        (
            "-----BEGIN PRIVATE KEY-----\nHIDE\n-----END PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----M-----END PRIVATE KEY-----",
        ),
    ],
)
def test_credentials_in_a_text_are_masked_and_nothing_else(masker: Masker, text: str, left: str) -> None:
    import re

    masked = masker.text(text)
    assert re.sub(rf"\$masked:{HASH}", "M", masked) == left
    assert masker.text(masked) == masked
    assert masker.text(text.replace("HI", "XX")) != masked, "another secret is another text"


@pytest.mark.parametrize(
    "text",
    [
        "", "mail bob@example.org", "https://example.org/a@b?c=d", "inputs://zones@v2.csv"[:9] + "/zones@v2.csv",
        "the password is missing", "password=None", "token: ''", "max_tokens=5", "passengers: 12", "a/b:c", "x = 1",
        "12:30:45", "C:\\token\\x", "keyboard: qwerty",
    ],
)  # fmt: skip
def test_texts_without_credentials_stay_as_they_are(masker: Masker, text: str) -> None:
    assert masker.text(text) == text


@given(st.text(st.sampled_from("ab:/@=\"'\\ \n-{}[](),.tokenpasswd"), max_size=80))
@settings(max_examples=300)
def test_masking_a_text_twice_is_masking_it_once(shared: Masker, text: str) -> None:
    once = shared.text(text)
    assert shared.text(once) == once


@pytest.mark.parametrize(
    "part",
    [
        "token",
        "password=",
        "passengers=",
        "://",
        ":/a:",
        "token='",
        "--token ",
        "token: ",
        "'",
        "x.y-",
        "token:str=",
        "-",
    ],
)
def test_no_text_takes_for_ever(masker: Masker, part: str) -> None:
    began = time.process_time()
    masker.text(part * (200_000 // len(part)) + " @")
    assert time.process_time() - began < 30


# ---------------------------------------------------------------- environment variables


def recorded(tracker: Tracker) -> list[EnvironmentRecorded]:
    return [e.event for e in tracker.project.log.read() if isinstance(e.event, EnvironmentRecorded)]


def test_environment_variables_are_recorded_by_name_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("NOT_ASKED_FOR", "a-value-of-its-own")
    monkeypatch.setenv("MODEL_URL", "https://bob:hunter2@example.org")
    monkeypatch.delenv("NOT_SET", raising=False)
    names = ["OMP_NUM_THREADS", "NOT_SET", "MODEL_URL"]
    with Tracker(run_dir="runs", db_path="project.db", sync="os", record_env=names) as tracker:
        tracker.run(made_output, outputs=["out"])
        monkeypatch.setenv("OMP_NUM_THREADS", "8")
        assert tracker.run(made_output, outputs=["out"]).cache_hit, "recorded for the reader, no part of the identity"
        first, second = recorded(tracker)
        assert "a-value-of-its-own" not in repr(list(tracker.project.log.read()))
    assert first.variables["OMP_NUM_THREADS"] == "4"
    assert first.variables["NOT_SET"] is None
    assert "hunter2" not in str(first.variables["MODEL_URL"])
    assert second.variables["OMP_NUM_THREADS"] == "8"
    assert first.digest != second.digest


def test_without_names_no_variable_is_recorded(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(made_output, outputs=["out"])
        (event,) = recorded(tracker)
    assert event.variables == {}


def test_a_variable_that_is_no_text_is_recorded_all_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODD", "a\udcffb")
    with Tracker(run_dir="runs", db_path="project.db", sync="os", record_env="ODD") as tracker:
        tracker.run(made_output, outputs=["out"])
        assert recorded(tracker)[0].variables == {"ODD": "a\\udcffb"}


# ---------------------------------------------------------------- the key


def test_the_key_is_readable_by_its_owner_alone_and_lies_outside_the_log(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        masker = Masker(key_file(tmp_path / "p.events"))
        masker.keyed(b"x")
    finally:
        os.umask(before)
    path = tmp_path / "p.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert [found.name for found in tmp_path.iterdir()] == ["p.key"]


def test_two_keys_give_two_hashes_and_one_key_one(tmp_path: Path) -> None:
    assert (
        Masker(tmp_path / "a").keyed(b"x") == Masker(tmp_path / "a").keyed(b"x") != Masker(tmp_path / "b").keyed(b"x")
    )


def test_of_two_processes_that_make_the_key_at_once_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "k"
    real = os.link

    def late(source: Any, target: Any) -> None:
        if not path.exists():
            path.write_bytes(b"k" * 32)  # the other one
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    assert Masker(path).keyed(b"x") == blake3(b"x", key=b"k" * 32).hexdigest(16)
    assert [found.name for found in tmp_path.iterdir()] == ["k"]


def test_where_the_file_system_has_no_links_the_key_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert Masker(tmp_path / "k").keyed(b"x") == Masker(tmp_path / "k").keyed(b"x")


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_key_that_cannot_be_used_is_warned_of_and_nothing_is_given_away(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    with pytest.warns(ConsistWarning, match="recorded, but not reused"):
        one = Masker(path).keyed(b"x")
    with pytest.warns(ConsistWarning):
        assert Masker(path).keyed(b"x") != one
    assert path.read_bytes() == content


def test_old_logs_without_masking_are_read_as_before(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(made_output, config={"n": 1}, outputs=["out"])
        folder = tracker.project.folder
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [event.type for event in LocalLog(folder).read()][-1] == "step_completed"


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    """No key is made beside the one that is wanted."""
    yield
    assert not list(tmp_path.rglob("*.key.*"))


def test_a_hook_sees_the_run_as_it_is_recorded(here: Path) -> None:
    seen: list[Any] = []
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        keep: Callable[[Any], Any] = lambda run: seen.append(run.config)  # noqa: E731
        tracker.on_run_start(keep)
        tracker.run(use, config={"password": "hunter2"}, outputs=["out"])
    assert list(seen[0]["password"]) == ["$masked"]
