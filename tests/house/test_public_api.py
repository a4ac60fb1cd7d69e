"""The names and signatures that model code may rely on. A change here is a change for users: see the CHANGELOG."""

import ast
import inspect
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Coupler, CouplerView, RunContext, ScenarioContext, Tracker, errors
from consist_es.api.lbnl_names import INSTEAD
from tests.support.api import ROOT

PUBLIC: list[str] = vars(consist)["__all__"]
STEP = (
    "fn=None, name=None, *, run_id=None, model=None, description=None, config=None, adapter=None, "
    "config_plan_ingest=True, config_plan_profile_schema=False, inputs=None, input_keys=None, "
    "optional_input_keys=None, binding=None, depends_on=None, tags=None, facet=None, facet_from=None, "
    "facet_schema_version=None, facet_index=None, identity_inputs=None, year=None, iteration=None, phase=None, "
    "stage=None, parent_run_id=None, outputs=None, output_paths=None, output_sets=None, "
    "profile_file_schema=None, capture_dir=None, capture_pattern='*', cache_options=None, output_policy=None, "
    "execution_options=None, runtime_kwargs=None"
)
TRACE = (
    "name, *, run_id=None, model=None, description=None, config=None, adapter=None, config_plan_ingest=True, "
    "config_plan_profile_schema=False, inputs=None, input_keys=None, optional_input_keys=None, depends_on=None, "
    "tags=None, facet=None, facet_from=None, facet_schema_version=None, facet_index=None, identity_inputs=None, "
    "year=None, iteration=None, parent_run_id=None, outputs=None, output_paths=None, capture_dir=None, "
    "capture_pattern='*', cache_mode='reuse', cache_hydration=None, cache_version=None, cache_epoch=None, "
    "validate_cached_outputs='lazy', validate_materialized_inputs=None, code_identity=None, "
    "code_identity_extra_deps=None, output_mismatch='warn', output_missing='warn'"
)
NOTES = (
    "{}, driver=None, table_path=None, array_path=None, content_hash=None, force_hash_override=False, "
    "validate_content_hash=False, facet=None, facet_schema_version=None, facet_index=False, profile_file_schema=None, "
    "parent_artifact_id=None, enabled=True, recovery_roots=None, meta=None, **metadata"
)
LOG_ARTIFACT = NOTES.format("path, key=None, direction='output', schema=None, *")
LOG_ONE = NOTES.format("path, key=None, schema=None, *")
LOG_ARTIFACTS = (
    "outputs, direction='output', driver=None, metadata_by_key=None, facets_by_key=None, "
    "facet_schema_versions_by_key=None, facet_index=False, *, enabled=True, recovery_roots=None, meta=None, **metadata"
)
LOG_DATAFRAME = (
    "df, key, schema=None, direction='output', path=None, driver=None, meta=None, enabled=True, recovery_roots=None, "
    "**to_file_options"
)
DECLARE = "*names, required={}, warn_undefined=False, description=None"
SCENARIO = (
    "name, config=None, tags=None, model='scenario', step_tags=None, step_facet=None, step_cache_hydration=None, "
    "name_template=None, cache_epoch=None, coupler=None, require_outputs=None, dry_run=False, **kwargs"
)

LOGGING: tuple[Any, ...] = (consist, RunContext, Tracker)
SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (ScenarioContext.run, STEP),
    (Tracker.run, STEP),
    (ScenarioContext.trace, TRACE),
    (Tracker.trace, TRACE),
    (Tracker.scenario, SCENARIO),
    (ScenarioContext.forecast, "fn=None, name=None, **arguments"),
    (Tracker.forecast, "fn=None, name=None, **arguments"),
    (Tracker.accept, "run, as_run, reason"),
    (Tracker.revoke_acceptance, "run, reason=None"),
    (consist.Run.why, ""),
    (ScenarioContext.add_input, "path, key, **kwargs"),
    (ScenarioContext.declare_outputs, DECLARE.format(False)),
    (ScenarioContext.require_outputs, DECLARE.format(True)),
    (ScenarioContext.collect_by_keys, "artifacts, *keys, prefix=''"),
    (RunContext.output_dir, "namespace=None"),
    (RunContext.output_path, "key, ext='parquet'"),
    (RunContext.load, "key_or_artifact"),
    *((holder.log_artifact, LOG_ARTIFACT) for holder in LOGGING),
    *((holder.log_artifacts, LOG_ARTIFACTS) for holder in LOGGING),
    *((holder.log_input, LOG_ONE) for holder in LOGGING),
    *((holder.log_output, LOG_ONE) for holder in LOGGING),
    *((holder.log_dataframe, LOG_DATAFRAME) for holder in LOGGING),
    *((holder.log_meta, "**kwargs") for holder in LOGGING),
    *((holder.capture_outputs, "directory, pattern='*', recursive=False") for holder in LOGGING),
    (Coupler.set, "key, artifact"),
    (Coupler.set_from_artifact, "key, value"),
    (Coupler.update, "artifacts=None, /, **kwargs"),
    (Coupler.view, "namespace"),
    (Coupler.require, "key"),
    (Coupler.path, "key, *, required=True"),
    (Coupler.declare_outputs, DECLARE.format(False)),
    (Coupler.require_outputs, DECLARE.format(True)),
    (Coupler.missing_declared_outputs, ""),
    (Coupler.collect_by_keys, "artifacts, *keys, prefix=''"),
    (Coupler.describe_outputs, ""),
    (consist.run, "fn=None, name=None, *, tracker=None, **arguments"),
    (consist.trace, "name, *, tracker=None, **arguments"),
    (consist.start_run, "run_id, model, tracker=None, **arguments"),
    (Tracker.start_run, "run_id, model, **options"),
    (Tracker.begin_run, "run_id, model, config=None, inputs=None, **options"),
    (Tracker.end_run, "status='completed', error=None"),
    (consist.identity_exempt, "*names"),
    (consist.install_as, "name='consist'"),
    (consist.ref, "run_result, key=None"),
    (consist.output_path, "key, ext='parquet'"),
    (consist.output_dir, "namespace=None"),
    (consist.require_runtime_kwargs, "*names"),
    (consist.create_tracker, "*, enabled=True, tracker_factory=None"),
]


def signature_of(fn: Callable[..., Any]) -> str:
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(fn).parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(parameters))[1:-1]


@pytest.mark.parametrize(("fn", "signature"), SIGNATURES, ids=[fn.__qualname__ for fn, _ in SIGNATURES])
def test_a_public_call_has_the_signature_that_users_rely_on(fn: Callable[..., Any], signature: str) -> None:
    assert signature_of(fn) == signature


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (ScenarioContext, "run_id config inputs coupler run trace arun"),
        (RunContext, "run_dir inputs"),
        (Coupler, "get keys items values"),
        (CouplerView, "set set_from_artifact update get require path keys items values view qualify collect_by_keys"),
        (Tracker, "get_run find_runs find_run find_latest_run get_run_result get_artifact get_run_outputs "),
        (Tracker, "get_run_inputs get_artifact_lineage get_artifact_descendants run_set on_run_start on_run_complete"),
        (Tracker, "on_run_failed is_cached cached_output cached_artifacts log_meta load arun"),
    ],
)
def test_a_class_has_its_documented_members(kind: type, names: str) -> None:
    instance_only = {"coupler"}
    assert [name for name in names.split() if not hasattr(kind, name) and name not in instance_only] == []


def test_every_public_name_loads_and_the_list_is_sorted() -> None:
    assert sorted(PUBLIC) == PUBLIC
    for name in PUBLIC:
        assert getattr(consist, name) is not None


def test_type_checkers_and_editors_are_told_the_same_names() -> None:
    stub = ast.parse((ROOT / "consist_es" / "__init__.pyi").read_text("utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    told = {name.name: node.module for node in imports for name in node.names if name.name == name.asname}
    assert told.pop("__version__") == "consist_es.version"
    assert told == vars(consist)["_MODULE_OF"]


def test_no_public_name_is_hidden_by_a_submodule() -> None:
    modules = {module.name for module in pkgutil.iter_modules(consist.__path__)}
    assert modules & set(PUBLIC) == set()


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = consist.no_such_name  # type: ignore[attr-defined]


@pytest.mark.parametrize("keyword", ["config_plan", "hash_inputs"])
def test_replaced_keywords_are_refused_by_steps(tmp_path: Any, keyword: str) -> None:
    tracker = Tracker(tmp_path)
    with tracker.scenario("s") as sc:
        calls: list[Any] = [sc.run, sc.trace, tracker.run, tracker.trace]
        for call in calls:
            with pytest.raises(TypeError, match=keyword):
                call(name="x", **{keyword: []})


# ---------------------------------------------------------------- names of LBNL's consist that are not here


@pytest.mark.parametrize("name", INSTEAD)
def test_a_name_that_has_no_counterpart_says_what_to_use_instead(name: str) -> None:
    assert not hasattr(consist, name)
    with pytest.raises(AttributeError) as caught:
        getattr(consist, name)
    assert str(caught.value).startswith(
        f"module 'consist_es' has no attribute '{name}'. This name of LBNL's consist has "
    )
    assert str(caught.value).endswith(f"instead: {INSTEAD[name]}.")
    with pytest.raises(ImportError, match=re.escape(INSTEAD[name])):
        exec(f"from consist_es import {name}")


def test_a_name_that_nobody_has_is_none_of_theirs() -> None:
    with pytest.raises(AttributeError, match=r"^module 'consist_es' has no attribute 'trakcer'$"):
        consist.trakcer  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'trakcer'"):
        exec("from consist_es import trakcer")


@pytest.mark.parametrize("name", sorted(INSTEAD.keys() - {"trace"}))  # which they have
def test_a_method_that_has_no_counterpart_says_what_to_use_instead(tracker: Tracker, name: str) -> None:
    with tracker.scenario("s") as sc, consist.noop_scenario("s") as untracked:
        for held in (tracker, sc, untracked):
            assert not hasattr(held, name)
            with pytest.raises(AttributeError) as caught:
                getattr(held, name)
            assert str(caught.value) == (
                f"'{type(held).__name__}' object has no attribute '{name}'. This name of LBNL's consist has no "
                f"counterpart here; instead: {INSTEAD[name]}."
            )


def test_a_method_that_nobody_has_is_an_ordinary_error(tracker: Tracker) -> None:
    with pytest.raises(AttributeError, match=r"^'Tracker' object has no attribute 'rnu'$"):
        tracker.rnu  # type: ignore[attr-defined]  # noqa: B018


def test_the_error_of_a_property_is_not_hidden(here: Path) -> None:
    class Mine(Tracker):
        @property
        def broken(self) -> int:
            raise AttributeError("mine")

    with Mine("runs") as tracker, pytest.raises(AttributeError, match=r"^mine$"):
        tracker.broken  # type: ignore[attr-defined]  # noqa: B018


# ---------------------------------------------------------------- the tree of errors


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    classes = {
        name: cls
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, (errors.ConsistError, errors.ConsistWarning))
    }
    drawn: dict[str, set[str]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^    ((?:[│├└─ ]{4})*)(\w+(?:Error|Warning|Stop))(?: \((\w+)\))?(?: |$)", line):
            depth = len(found[1]) // 4
            above[depth:] = [found[2]]
            parents = {above[depth - 1]} if depth and found[2] != "ConsistWarning" else set()  # only listed with them
            drawn[found[2]] = parents | ({found[3]} if found[3] else set())
    assert drawn.keys() == classes.keys()
    for name, cls in classes.items():
        assert {base.__name__ for base in cls.__bases__} - {"Exception"} == drawn[name], name


def test_the_changelog_lists_the_names_without_counterpart() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == INSTEAD
