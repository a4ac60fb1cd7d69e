"""Config adapters through the public API: what makes a run another one, what the account says, what is refused."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import consist_es as consist
from consist_es import ExecutionOptions, RunContext, RunResult, Tracker
from consist_es.adapters import AdapterResult, CanonicalizationSnapshot, FolderAdapter, Reference
from consist_es.adapters.prepare import VALUES_LIMIT, PreparedAdapter, prepare_adapter
from consist_es.artifacts.digest import digest_path
from consist_es.errors import (
    AdapterError,
    AdapterTypeError,
    ConfigFileError,
    ConfigTypeError,
    ConsistError,
    InputError,
    OptionError,
    UsageError,
    UsageTypeError,
)
from consist_es.events import CacheMissed, FingerprintInfo, StepStarted
from consist_es.identity.adapters import explain_adapters
from consist_es.values.packed import packed, unpacked
from tests.support.api import made


def step() -> Path:
    return made()


def prepare(adapter: Any, root: Path | None = None) -> PreparedAdapter:
    return prepare_adapter(adapter, root or Path.cwd(), lambda path: digest_path(path).value)


def identity(adapter: Any) -> str:
    found: str = prepare(adapter).info["digest"]
    return found


def differs(result: RunResult) -> list[str]:
    assert not result.cache_hit
    said = result.run.meta["cache_miss_explanation"]
    assert said["reason"] == "adapter_changed"
    found: list[str] = said["differs"]
    return found


@pytest.fixture
def configs(here: Path) -> Path:
    """A folder with a file of every format that needs no package."""
    folder = here / "configs"
    (folder / "sub").mkdir(parents=True)
    (folder / "settings.json").write_text('{"demand": {"growth": 1.0, "years": [2020, 2030]}, "name": "base"}')
    (folder / "sub" / "model.toml").write_text("[model]\nname = 'logit'\n")
    (folder / "run.ini").write_text("[run]\nthreads = 4\n")
    (folder / "network.conf").write_text("network { links = 76, nodes = 24 }\n")
    (folder / "zones.csv").write_text("zone,people\n1,100\n")
    return folder


# ---------------------------------------------------------------- what a user sees


def test_an_edit_of_a_value_is_a_miss_that_names_file_and_key(tracker: Tracker, configs: Path) -> None:
    adapter = FolderAdapter("configs")
    assert not tracker.run(step, outputs=["o"], adapter=adapter).cache_hit
    assert tracker.run(step, outputs=["o"], adapter=adapter).cache_hit
    settings = configs / "settings.json"
    settings.write_text(settings.read_text().replace("1.0", "1.1"))
    assert differs(tracker.run(step, outputs=["o"], adapter=adapter)) == ["settings.json: demand.growth: 1.0 -> 1.1"]
    missed = [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, CacheMissed)]
    assert missed[-1].differs == ["settings.json: demand.growth: 1.0 -> 1.1"]


EDITS = {
    "run.ini": ("[run]\nthreads = 8\n", ["run.ini: run.threads: '4' -> '8'"]),
    "sub/model.toml": ("[model]\nname = 'probit'\n", ["sub/model.toml: model.name: 'logit' -> 'probit'"]),
    "network.conf": ("network.links = 76", ["network.conf: network.nodes: 24 -> (missing)"]),
    "zones.csv": ("zone,people\n1,101\n", ["zones.csv: content differs"]),
    "new.json": ("{}", ["new.json: added"]),
    "settings.json": (
        '{"demand": {"growth": 1, "years": [2020, 2030, 2040]}, "name": "base", "extra": null}',
        [
            "settings.json: demand.growth: 1.0 -> 1",
            "settings.json: demand.years: with 2040",
            "settings.json: extra: (missing) -> None",
        ],
    ),
}


@pytest.mark.parametrize("file", EDITS)
def test_every_edit_is_named(tracker: Tracker, configs: Path, file: str) -> None:
    adapter = FolderAdapter("configs")
    tracker.run(step, outputs=["o"], adapter=adapter)
    content, said = EDITS[file]
    (configs / file).write_text(content)
    assert differs(tracker.run(step, outputs=["o"], adapter=adapter)) == said


def test_a_removed_file_is_named(tracker: Tracker, configs: Path) -> None:
    tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    (configs / "run.ini").unlink()
    assert differs(tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))) == ["run.ini: removed"]


def test_a_yaml_edit_is_named_with_file_and_key(tracker: Tracker, configs: Path) -> None:
    pytest.importorskip("yaml")
    (configs / "settings.yaml").write_text("demand:\n  growth: 1.0  # per year\n  on: yes\n")
    tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    (configs / "settings.yaml").write_text("demand: {on: yes, growth: 1.00}\n")
    assert tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs")).cache_hit
    (configs / "settings.yaml").write_text("demand: {on: no, growth: 1.1}\n")
    assert differs(tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))) == [
        "settings.yaml: demand.growth: 1.0 -> 1.1",
        "settings.yaml: demand.'(yaml bool on)': 'yes' -> 'no'",
    ]


LAYOUTS = {
    "settings.json": '{\n  "name": "base",\n  "demand": {"years": [2020,2030], "growth": 1.00}\n}\n',
    "sub/model.toml": '# which one\nmodel = { name = "logit" }\n',
    "run.ini": "; how many\n[run]\n\nthreads: 4",
    "network.conf": "// the network\nnetwork.nodes = 24\nnetwork.links = 76",
}


@pytest.mark.parametrize("file", LAYOUTS)
def test_comments_layout_and_the_order_of_keys_do_not_count(tracker: Tracker, configs: Path, file: str) -> None:
    tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    (configs / file).write_text(LAYOUTS[file])
    assert tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs")).cache_hit


def test_a_trace_counts_and_explains_its_adapter(tracker: Tracker, configs: Path) -> None:
    def traced() -> RunResult:
        with tracker.trace("t", adapter=FolderAdapter("configs"), outputs=["o"]):
            if not tracker.is_cached:
                tracker.log_output(made(), key="o")
        result = tracker.get_run_result("t")
        assert result is not None
        return result

    traced()
    assert traced().cache_hit
    (configs / "run.ini").write_text("[run]\nthreads = 8\n")
    assert differs(traced()) == ["run.ini: run.threads: '4' -> '8'"]


def test_a_scenarios_step_takes_its_adapter_from_its_definition(tracker: Tracker, configs: Path) -> None:
    @consist.define_step(adapter=FolderAdapter("configs"), outputs=["o"])
    def defined() -> Path:
        return made()

    hits = []
    for threads in (4, 4, 8):
        (configs / "run.ini").write_text(f"[run]\nthreads = {threads}\n")
        with tracker.scenario("s") as sc:
            hits.append(sc.run(defined).cache_hit)
    assert hits == [False, True, False]


def test_without_tracking_the_adapter_is_asked_all_the_same(configs: Path) -> None:
    seen: list[CanonicalizationSnapshot | None] = []

    def looks(_consist_ctx: RunContext) -> None:
        seen.append(_consist_ctx.canonicalization)

    options = ExecutionOptions(inject_context=True)
    with consist.create_tracker(enabled=False) as off:
        off.run(looks, adapter=FolderAdapter("configs"), execution_options=options)
    assert seen[0] is not None
    assert seen[0].adapter_name == "folder"


def test_an_adapter_and_identity_inputs_go_together(tracker: Tracker, configs: Path) -> None:
    arguments: dict[str, Any] = {
        "adapter": FolderAdapter("configs"),
        "identity_inputs": [("zones", "configs/zones.csv")],
    }
    tracker.run(step, outputs=["o"], **arguments)
    assert tracker.run(step, outputs=["o"], **arguments).cache_hit
    (configs / "zones.csv").write_text("zone\n")
    said = tracker.run(step, outputs=["o"], **arguments).run.meta["cache_miss_explanation"]["differs"]
    assert said == ["identity input 'zones': content differs", "zones.csv: content differs"]


def test_another_adapter_is_another_identity(tracker: Tracker, configs: Path) -> None:
    tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    assert differs(tracker.run(step, outputs=["o"])) == ["adapter: folder 1 -> (none)"]


def test_a_run_records_its_adapter_on_a_hit_too(tracker: Tracker, configs: Path) -> None:
    """Wart 61: the identity of a hit can be shown."""
    for _ in range(2):
        result = tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    assert result.cache_hit
    started = [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, StepStarted)]
    first, second = (event.fingerprint.adapter for event in started)
    assert first == second
    assert first is not None
    assert first["files"].keys() == {p.relative_to(configs).as_posix() for p in configs.rglob("*.*")}
    assert first["values"]["settings.json: demand.years"] == [2020, 2030]
    assert {reference["path"] for reference in first["references"]} == {f"configs/{file}" for file in first["files"]}
    assert result.run.meta["config_adapter"] == "folder"
    assert result.run.meta["config_adapter_version"] == "1"
    assert result.run.meta["config_bundle_hash"] == first["digest"]


def test_the_step_sees_what_its_adapter_read(tracker: Tracker, configs: Path) -> None:
    seen: list[CanonicalizationSnapshot | None] = []

    def looks(_consist_ctx: RunContext) -> None:
        seen.append(_consist_ctx.canonicalization)

    options = ExecutionOptions(inject_context=True)
    tracker.run(looks, adapter=FolderAdapter("configs", include="*.json"), execution_options=options)
    tracker.run(looks, execution_options=options)
    found, none = seen
    assert none is None
    assert found is not None
    assert (found.adapter_name, found.adapter_version) == ("folder", "1")
    assert found.identity_hash == identity(FolderAdapter("configs", include="*.json"))
    digest = digest_path(configs / "settings.json").value
    assert found.references == (Reference("configs/settings.json", "settings.json", digest),)


def test_config_files_that_change_while_the_step_runs_make_it_unfit_for_reuse(tracker: Tracker, configs: Path) -> None:
    def edits(text: str) -> None:
        (configs / "run.ini").write_text(text)

    def call(text: str) -> RunResult:
        options = ExecutionOptions(runtime_kwargs={"text": text})
        return tracker.run(edits, adapter=FolderAdapter("configs"), execution_options=options)

    call("[run]\nthreads = 8\n")
    (configs / "run.ini").write_text("[run]\nthreads = 4\n")
    again = call("[run]\n# note\nthreads = 4\n")
    assert again.run.meta["cache_miss_explanation"]["differs"] == [
        "run 'edits' is the same work, but config files changed while the step ran: configs/run.ini"
    ]
    assert call("broken").cache_hit  # a comment was all that the step before changed


def test_config_files_that_break_while_the_step_runs_do_not_fail_it(tracker: Tracker, configs: Path) -> None:
    def breaks() -> None:
        (configs / "run.ini").write_text("]")

    assert tracker.run(breaks, adapter=FolderAdapter("configs")).run.status == "completed"
    (configs / "run.ini").write_text("[run]\nthreads = 4\n")
    said = tracker.run(breaks, adapter=FolderAdapter("configs")).run.meta["cache_miss_explanation"]["differs"]
    assert "config files changed while the step ran: ConfigFileError" in said[0]


# ---------------------------------------------------------------- the adapter that ships


def test_only_what_the_patterns_say_counts(configs: Path) -> None:
    before = identity(FolderAdapter("configs", include=["*.json", "sub"], exclude="x*"))
    (configs / "run.ini").write_text("[run]\nthreads = 8\n")
    (configs / "x.json").write_text("{}")
    assert identity(FolderAdapter("configs", include=["*.json", "sub"], exclude="x*")) == before
    (configs / "sub" / "model.toml").write_text("")
    assert identity(FolderAdapter("configs", include=["*.json", "sub"], exclude="x*")) != before


def test_hidden_files_and_editors_copies_do_not_count_unless_asked_for(configs: Path) -> None:
    before, all_of = identity(FolderAdapter("configs")), identity(FolderAdapter("configs", exclude=()))
    (configs / ".git").mkdir()
    (configs / ".git" / "HEAD").write_text("x")
    (configs / "run.ini~").write_text("x")
    assert identity(FolderAdapter("configs")) == before
    assert identity(FolderAdapter("configs", exclude=())) != all_of


def test_the_place_of_the_folder_does_not_count_but_names_in_it_do(configs: Path) -> None:
    before = identity(FolderAdapter("configs"))
    configs.rename("elsewhere")
    assert identity(FolderAdapter("elsewhere")) == before
    Path("elsewhere/run.ini").rename("elsewhere/walk.ini")
    assert identity(FolderAdapter("elsewhere")) != before


def test_the_order_of_several_folders_counts(configs: Path) -> None:
    Path("over").mkdir()
    Path("over/run.ini").write_text("[run]\nthreads = 8\n")
    one, other = FolderAdapter(["configs", "over"]), FolderAdapter(["over", "configs"])
    assert identity(one) != identity(other)
    assert "configs/sub/model.toml" in prepare(one).info["files"]
    said = explain_adapters(prepare(other).info, prepare(one).info)
    assert said == ["'(order)': ['configs', 'over'] -> ['over', 'configs']"]


def test_files_can_be_listed_one_by_one(configs: Path) -> None:
    adapter = FolderAdapter(["configs/run.ini", Path("configs/settings.json")])
    assert list(prepare(adapter).info["files"]) == ["configs/run.ini", "configs/settings.json"]
    assert list(prepare(FolderAdapter("configs/run.ini")).info["files"]) == ["run.ini"]


def test_formats_say_how_a_file_is_read(configs: Path) -> None:
    (configs / "app.cfg").write_text("[a]\nb = 1\n")
    (configs / "network.conf").write_text("server { listen 80; }")
    adapter = FolderAdapter("configs", formats={"*.cfg": "ini", "network.conf": "bytes"})
    before = prepare(adapter)
    (configs / "app.cfg").write_text("# note\n[a]\nb = 1\n")
    assert identity(adapter) == before.info["digest"]
    (configs / "network.conf").write_text("server { listen 80; } ")
    assert explain_adapters(prepare(adapter).info, before.info) == ["network.conf: content differs"]


def test_links_are_read_as_what_they_lead_to(configs: Path) -> None:
    before = identity(FolderAdapter("configs"))
    (configs / "run.ini").rename("run.ini")
    (configs / "run.ini").symlink_to(Path("run.ini").absolute())
    assert identity(FolderAdapter("configs")) == before


def refused(error: type[ConsistError], said: str, **arguments: Any) -> None:
    with pytest.raises(error) as caught:
        prepare(FolderAdapter(**arguments))
    assert said in str(caught.value)


def test_what_the_folder_adapter_refuses(configs: Path) -> None:
    refused(UsageTypeError, "takes a path or a list of paths", paths=3)
    refused(UsageTypeError, "takes a path or a list of paths", paths=[3])
    refused(UsageTypeError, "include takes patterns", paths="configs", include=[3])
    refused(UsageError, "needs at least one path", paths=[])
    refused(
        OptionError, "formats['*.cfg']='xml' is not allowed: use one of 'yaml'", paths=".", formats={"*.cfg": "xml"}
    )
    refused(UsageError, "no file in configs matches include=['*.yml']", paths="configs", include="*.yml")
    refused(InputError, "FolderAdapter: nowhere.json does not exist", paths="nowhere.json")
    refused(UsageError, "two files are called 'configs/run.ini'", paths=["configs", "configs/run.ini"])
    refused(InputError, "a link to a folder that it lies in", paths=_looping(configs))
    os.mkfifo(configs / "pipe.json")
    refused(InputError, "not a regular file", paths="configs/pipe.json")
    Path("bad\nname.json").write_text("{}")
    refused(InputError, "has characters that cannot be recorded", paths="bad\nname.json")


def _looping(configs: Path) -> Path:
    folder = configs.parent / "loop"
    folder.mkdir()
    (folder / "again").symlink_to(folder)
    return folder


def test_nothing_is_recorded_of_a_step_whose_config_cannot_be_read(tracker: Tracker, configs: Path) -> None:
    (configs / "settings.json").write_text('{\n"a": 1,\n"a": 2}')
    before = tracker.project.log.head().seq
    with pytest.raises(ConfigFileError, match=r"configs/settings.json, line 3: the key 'a' is there twice"):
        tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    assert tracker.project.log.head().seq == before


# ---------------------------------------------------------------- adapters of others


@dataclasses.dataclass
class Prices:
    """A third party's adapter: one number out of a file of its own format."""

    path: Path
    name: str = "prices"
    version: str = "1"

    def canonicalize(self, root: Path) -> AdapterResult:
        price = float(self.path.read_text().split()[0])
        return AdapterResult({"price": price}, [Reference(str(self.path), "price")])


def test_an_adapter_of_a_few_lines_will_do(tracker: Tracker, here: Path) -> None:
    file = here / "prices.txt"
    file.write_text("1.0 euro")
    tracker.run(step, outputs=["o"], adapter=Prices(file))
    file.write_text("1.0 dollar")
    assert tracker.run(step, outputs=["o"], adapter=Prices(file)).cache_hit
    file.write_text("2.0 dollar")
    assert differs(tracker.run(step, outputs=["o"], adapter=Prices(file))) == ["price: (all): 1.0 -> 2.0"]
    assert differs(tracker.run(step, outputs=["o"], adapter=Prices(file, version="2"))) == [
        "adapter: prices 1 -> prices 2"
    ]


def test_name_and_version_are_part_of_an_adapters_digest(here: Path) -> None:
    digests = {given_data({"a": 1}, **members).info["digest"] for members in ({}, {"name": "y"}, {"version": "2"})}
    assert len(digests) == 3


def test_an_adapter_without_keys_for_its_files_is_explained_by_its_data(here: Path) -> None:
    one = given_data({"a": {"b": [{"c": 1}]}, "x y": 1})
    other = given_data({"a": {"b": [{"c": 2}]}, "x y": 2})
    assert explain_adapters(other.info, one.info) == ["a.b[0].c: 1 -> 2", "'x y': 1 -> 2"]


def given_data(data: Mapping[str, Any], references: Any = (), **members: Any) -> PreparedAdapter:
    def canonicalize(root: Path) -> Any:
        return SimpleNamespace(data=data, references=references)

    return prepare(SimpleNamespace(**{"name": "x", "version": "1", "canonicalize": canonicalize, **members}))


async def _asynchronous(root: Path) -> None: ...


@pytest.mark.parametrize(
    ("adapter", "error", "said"),
    [
        (42, AdapterTypeError, "adapter=42 is not a config adapter: it has no name"),
        (Prices, AdapterTypeError, "adapter=Prices is a class: pass an object"),
        (SimpleNamespace(name=" ", version="1"), AdapterTypeError, "must be a printable str"),
        (SimpleNamespace(name="x", version=1), AdapterTypeError, "must be a printable str"),
        (SimpleNamespace(name="x", version="1"), AdapterTypeError, "no method canonicalize(root)"),
        ("nobody:x", AdapterError, "Config adapter 'nobody': no installed package registers it"),
        ("nobody:x", AdapterError, "Known: activitysim, beam, content, folder"),
        ("folder:nowhere", InputError, "FolderAdapter: nowhere does not exist (looked at /"),
    ],
)
def test_what_is_no_adapter_is_refused_before_anything_is_recorded(
    tracker: Tracker, adapter: Any, error: type[ConsistError], said: str
) -> None:
    before = tracker.project.log.head().seq
    with pytest.raises(error) as caught:
        tracker.run(step, adapter=adapter)
    assert said in str(caught.value)
    assert tracker.project.log.head().seq == before


@pytest.mark.parametrize(
    ("members", "error", "said"),
    [
        ({"data": None}, AdapterTypeError, "data a mapping with str keys"),
        ({"data": {1: 2}}, AdapterTypeError, "data a mapping with str keys"),
        ({"data": {}, "references": "configs"}, AdapterTypeError, "references must be a list"),
        ({"data": {}, "references": [3]}, AdapterTypeError, "a reference must be a Reference or a path, not 3"),
        ({"data": {}, "references": ["nowhere"]}, InputError, "nowhere"),
        ({"data": {"a": object()}}, ConfigTypeError, "data of adapter 'x'['a']"),
        ({"data": {}, "canonicalize": _asynchronous}, AdapterTypeError, "returned coroutine"),
        ({"data": {}, "canonicalize": lambda root: {"a": 1}}, AdapterTypeError, "returned dict"),
    ],
)
def test_what_an_adapter_returns_is_checked(
    here: Path, members: dict[str, Any], error: type[ConsistError], said: str
) -> None:
    with pytest.raises(error) as caught:
        given_data(**members)
    assert said in str(caught.value)


def test_what_an_adapter_raises_reaches_the_caller_unchanged(tracker: Tracker) -> None:
    class Broken(Prices):
        def canonicalize(self, root: Path) -> AdapterResult:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        tracker.run(step, adapter=Broken(Path("x")))


# ---------------------------------------------------------------- by name


def test_the_folder_adapter_has_a_name(tracker: Tracker, configs: Path) -> None:
    tracker.run(step, outputs=["o"], adapter=FolderAdapter("configs"))
    assert tracker.run(step, outputs=["o"], adapter="folder:configs").cache_hit


@pytest.fixture
def installed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that offers adapters."""
    site = here / "site"
    site.mkdir()
    (site / "their_prices.py").write_text(
        "from consist_es.adapters import AdapterResult\n"
        "class Prices:\n"
        "    name, version = 'theirs', '1'\n"
        "    def __init__(self, path='default'): self.path = path\n"
        "    def canonicalize(self, root): return AdapterResult({'path': self.path})\n"
        "constant = 3\n"
    )
    entries = ["prices = their_prices:Prices", "gone = their_prices:Gone", "none = their_prices:constant"]
    _distribution(site, "their-prices", [*entries, "twice = their_prices:Prices", "same = their_prices:Prices"])
    _distribution(site, "others", ["twice = their_prices:constant", "same = their_prices:Prices"])
    monkeypatch.syspath_prepend(site)
    return site


def _distribution(site: Path, name: str, entries: list[str]) -> None:
    folder = site / f"{name.replace('-', '_')}-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("\n".join(["[consist_es.adapters]", *entries]))


@pytest.mark.parametrize(
    ("text", "path"), [("prices:a:b", "a:b"), ("prices:", ""), ("prices", "default"), ("same", "default")]
)
def test_an_installed_adapter_is_found_by_its_name(installed: Path, text: str, path: str) -> None:
    assert prepare(text).info["values"] == {"path": path}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gone:x", "'their_prices:Gone' cannot be imported: module 'their_prices' has no attribute 'Gone'"),
        ("gone:x", "Reinstall or repair their-prices."),
        ("none:x", "its entry point is 3. It must name a class or function"),
        ("twice:x", "several packages register it: their_prices:Prices, their_prices:constant"),
        ("other", "Known: activitysim, beam, content, folder, gone, gtfs, matsim, none, prices, same, twice"),
    ],
)
def test_an_installed_adapter_that_cannot_be_had_is_refused(installed: Path, text: str, said: str) -> None:
    with pytest.raises(AdapterError) as caught:
        prepare(text)
    assert said in str(caught.value)


# ---------------------------------------------------------------- adapters written for the relative


class Found(SimpleNamespace):
    """What `discover` of such an adapter returns; opaque here."""


class Theirs:
    """An adapter with the relative's protocol, and without options."""

    model_name = "asim"
    adapter_version = "0.3"

    def __init__(self, **places: Any) -> None:
        self.__dict__.update(places)

    def discover(self, root_dirs: list[Path], *, identity: Any, strict: bool = False) -> Found:
        files = [path for root in root_dirs for path in sorted(root.glob("*.txt"))]
        digests = {path.name: identity.digest_path(path, hashing_strategy_override="full") for path in files}
        return Found(files=files, content_hash=identity.canonical_json_sha256({"files": digests}))

    def canonicalize(
        self, config: Found, *, run: Any = None, tracker: Any = None, strict: bool = False, plan_only: bool = False
    ) -> SimpleNamespace:
        assert plan_only
        identity = SimpleNamespace(
            adapter_name=self.model_name,
            adapter_version=self.adapter_version,
            identity_hash=config.content_hash,
            scalars={"households": config.files[0].read_text()},
            references=(SimpleNamespace(config_key="land_use", canonical_value="a.txt", hash="1"),),
        )
        specs = [
            SimpleNamespace(path=path, key=f"config/{path.name}", direction="input", meta={}) for path in config.files
        ]
        return SimpleNamespace(artifacts=specs, ingestables=[], identity=identity, canonicalization=None)


@pytest.fixture
def asim(here: Path) -> Path:
    folder = here / "asim"
    folder.mkdir()
    (folder / "a.txt").write_text("100")
    return folder


@pytest.mark.parametrize("places", [{"root_dirs": ["asim"]}, {"config_dirs": "asim"}, {"primary_config": "asim/a.txt"}])
def test_an_adapter_of_the_relative_works_by_its_identity(tracker: Tracker, asim: Path, places: dict[str, Any]) -> None:
    adapter = Theirs(**places)
    tracker.run(step, outputs=["o"], adapter=adapter)
    again = tracker.run(step, outputs=["o"], adapter=adapter)
    assert again.cache_hit
    assert again.run.meta["config_adapter"] == "asim"
    assert again.run.meta["config_adapter_version"] == "0.3"
    (asim / "a.txt").write_text("200")
    assert differs(tracker.run(step, outputs=["o"], adapter=adapter)) == ["households: '100' -> '200'"]
    (asim / "b.txt").write_text("x")
    assert differs(tracker.run(step, outputs=["o"], adapter=adapter)) == ["asim/b.txt: added"]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({}, AdapterError, "it does not say where its files are"),
        ({"root_dirs": 3}, AdapterTypeError, "root_dirs must be a path or a list of paths, not 3"),
        ({"config_dirs": "asim", "model_name": None}, AdapterTypeError, "it has no model_name"),
        ({"config_dirs": "asim", "identity": {"adapter_name": "beam"}}, AdapterError, "its identity is that of 'beam'"),
        ({"config_dirs": "asim", "identity": {"identity_hash": ""}}, AdapterError, "no identity with an identity_hash"),
    ],
)
def test_what_breaks_the_relatives_protocol_is_refused(
    asim: Path, change: dict[str, Any], error: type[ConsistError], said: str
) -> None:
    class Changed(Theirs):
        def canonicalize(self, *args: Any, **keywords: Any) -> SimpleNamespace:
            found = super().canonicalize(*args, **keywords)
            found.identity.__dict__.update(change.get("identity", {}))
            return found

    with pytest.raises(error) as caught:
        prepare(Changed(**{key: value for key, value in change.items() if key != "identity"}))
    assert said in str(caught.value)


# ---------------------------------------------------------------- how much is kept


def big(count: int, length: int, changed: str = "") -> PreparedAdapter:
    """Data of texts that do not compress well; another text for one key with `changed`."""
    texts = {number: hashlib.shake_128(str(number).encode()).hexdigest(length) for number in range(count)}
    data = {f"key {number}": text for number, text in texts.items()} | {"key 5": changed + texts[5]}
    return given_data({"big.json": data}, [Reference(os.devnull, "big.json", "b3:1")])


def test_many_values_are_kept_in_little_room_and_told_in_full(here: Path) -> None:
    one, other = big(1000, 75), big(1000, 75, "w")
    assert len(json.dumps(one.info["values"])) < 130_000 < 1000 * 150
    old = str(unpacked(one.info["values"])["big.json: 'key 5'"])
    assert explain_adapters(other.info, one.info) == [f"big.json: 'key 5': '{old[:58]}… -> 'w{old[:57]}…"]


def test_packed_values_that_cannot_be_read_name_the_file(here: Path) -> None:
    one, other = big(1000, 75), big(1000, 75, "w")
    for broken in ("", "~~~", "A" * 40, packed({}, lambda _: b"[1]")["(packed)"]):
        info = {**one.info, "values": {"(packed)": broken}}
        assert explain_adapters(other.info, info) == ["big.json: content differs"]


def test_a_large_config_keeps_digests_and_still_names_the_key(here: Path) -> None:
    one, other = big(4000, 75), big(4000, 75, "w")
    assert len(json.dumps(one.info["values"])) < VALUES_LIMIT < 4000 * 75
    assert explain_adapters(other.info, one.info) == ["big.json: 'key 5': changed"]


def test_a_config_that_grows_over_the_limit_is_compared_with_what_was_kept(here: Path) -> None:
    small, large = big(1000, 75), big(4000, 75)
    said = explain_adapters(large.info, small.info)
    assert len(said) == 3000
    assert said[0] == "big.json: 'key 1000': (missing) -> (a value)"


def test_a_huge_config_names_the_file(here: Path) -> None:
    one, other = big(20_000, 20), big(20_000, 20, changed="w")
    assert one.info["values"] == {}
    assert explain_adapters(other.info, one.info) == ["big.json: content differs"]


def test_a_long_text_is_kept_short_and_its_change_is_still_seen(here: Path) -> None:
    one, other = given_data({"a": "x" * 5000}), given_data({"a": "x" * 4999 + "y"})
    assert len(one.info["values"]["a"]) < 200
    assert len(explain_adapters(other.info, one.info)) == 1


# ---------------------------------------------------------------- properties

NAMES = st.sampled_from(["a.json", "b.json", "c.json"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab.:", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.: ", max_size=3), inner, max_size=3),
    max_leaves=5,
)
FOLDERS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=3)


def prepared(files: Mapping[str, Any]) -> PreparedAdapter:
    return given_data(dict(files), [Reference(os.devnull, name, "b3:1") for name in files])


@given(FOLDERS, FOLDERS)
def test_identities_are_equal_only_where_every_file_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    first, second = prepared(one), prepared(other)
    assert (first.info["digest"] == second.info["digest"]) == same
    assert (explain_adapters(first.info, second.info) == []) == same


@given(FOLDERS)
def test_what_is_kept_of_an_adapter_survives_the_log(files: dict[str, Any]) -> None:
    import msgspec

    info = prepared(files).info
    assert msgspec.json.decode(msgspec.json.encode(info)) == info


def test_what_only_explains_an_adapter_does_not_count() -> None:
    from consist_es.identity.code.modes import CodeIdentity
    from consist_es.identity.fingerprint import fingerprint

    def of(adapter: dict[str, Any]) -> FingerprintInfo:
        code = CodeIdentity("b3:c", "imports", {}, [])
        return fingerprint(code=code, config=None, inputs=[], labels={}, adapter=adapter)

    bare = {"name": "x", "version": "1", "digest": "b3:1"}
    assert of(bare).digest == of({**bare, "files": {"a": "1"}, "values": {"a": 1}, "references": []}).digest
    assert of(bare).digest != of({**bare, "digest": "b3:2"}).digest
