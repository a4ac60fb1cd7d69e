"""Option groups refuse what they cannot use when they are made, and list what they can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es import CacheOptions, ExecutionOptions, OutputPolicyOptions, Tracker, errors
from tests.support.api import made

MAKERS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: CacheOptions(cache_mode="resue"), errors.OptionError, "'reuse', 'overwrite', 'readonly'"),
    (lambda: CacheOptions(cache_hydration="all"), errors.OptionError, "'outputs-all'"),
    (lambda: CacheOptions(cache_hydration_failure="eror"), errors.OptionError, "'warn', 'miss'"),
    (lambda: CacheOptions(validate_cached_outputs="lasy"), errors.OptionError, "'lazy', 'eager', 'strict'"),
    (lambda: CacheOptions(code_identity="git"), errors.OptionError, "'repo_git'"),
    (lambda: CacheOptions(cache_version="1"), errors.UsageTypeError, "cache_version takes an int"),  # type: ignore[arg-type]
    (lambda: CacheOptions(cache_epoch=True), errors.UsageTypeError, "cache_epoch takes an int, not bool"),
    (lambda: CacheOptions(code_identity_extra_deps="a.py"), errors.UsageTypeError, "list of str"),  # type: ignore[arg-type]
    (lambda: CacheOptions(code_identity_extra_deps=[3]), errors.UsageTypeError, "list of str"),  # type: ignore[list-item]
    (
        lambda: CacheOptions(cache_hydration="metadata", cache_hydration_failure="miss"),
        errors.UsageError,
        "outputs-requested",
    ),
    (
        lambda: CacheOptions(materialize_cached_outputs_source_root="old"),
        errors.UsageError,
        "Open the tracker with the moved folder as run_dir",
    ),
    (lambda: OutputPolicyOptions(output_missing="eror"), errors.OptionError, "'warn', 'error', 'ignore'"),
    (lambda: OutputPolicyOptions(output_mismatch="no"), errors.OptionError, "output_mismatch='no'"),
    (lambda: ExecutionOptions(input_binding="path"), errors.OptionError, "'paths'"),
    (lambda: ExecutionOptions(executor="docker"), errors.OptionError, "'python'"),
    (lambda: ExecutionOptions(container={"image": "x"}), errors.UsageError, "container"),
    (lambda: ExecutionOptions(load_inputs=True, input_binding="paths"), errors.UsageError, "same thing"),
    (lambda: ExecutionOptions(input_paths={"x": "y"}), errors.UsageError, "input_materialization='requested'"),
    (lambda: ExecutionOptions(runtime_kwargs=[1]), errors.UsageTypeError, "mapping, not list"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "kind", "said"), MAKERS)
def test_an_option_that_cannot_be_used_is_refused_when_it_is_given(
    make: Callable[[], object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        make()
    assert said in str(caught.value)


def test_options_are_values(tmp_path: Path) -> None:
    assert CacheOptions(cache_epoch=2) == CacheOptions(cache_epoch=2) != CacheOptions()
    with pytest.raises(AttributeError):
        CacheOptions().cache_mode = "reuse"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hashing_strategy": "fsat"}, "'full', 'fast'"),
        ({"access_mode": "bogus"}, "'standard', 'analysis', 'read_only'"),
        ({"sync": "never"}, "'commit', 'always', 'os'"),
    ],
)
def test_a_tracker_refuses_misspelt_options_and_makes_nothing(here: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(errors.OptionError) as caught:
        Tracker(run_dir="runs", **options)
    assert said in str(caught.value)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("scheme", ["", "a b", "file", "-x"])
def test_a_mount_needs_a_scheme_that_a_uri_can_begin_with(here: Path, scheme: str) -> None:
    with pytest.raises(errors.UsageError):
        Tracker(run_dir="runs", mounts={scheme: here})


def test_a_mount_may_be_made_later(here: Path) -> None:
    with Tracker(run_dir="runs", mounts={"later": "later"}) as tracker:
        assert tracker.mounts == {"later": str(here / "later")}


def test_outputs_may_be_the_keys_of_a_mapping(tracker: Tracker) -> None:
    wanted = {"b": 1, "a": 2}
    result = tracker.run(lambda: [made("x", "1"), made("y", "2")], name="s", outputs=wanted.keys())
    assert {key: path.path.read_text() for key, path in result.outputs.items()} == {"b": "1", "a": "2"}


def test_a_run_dir_that_cannot_be_is_refused_naming_it(here: Path) -> None:
    (here / "link").symlink_to("nowhere")
    with pytest.raises(errors.PathError, match=r"run_dir .*link cannot be made"):
        Tracker(run_dir="link", db_path="p.db")
    (here / "file").write_text("")
    for place in ("file", "file/runs"):
        with pytest.raises(
            errors.PathError, match=r"run_dir: .*file is a file\." if place == "file" else "which is a file"
        ):
            Tracker(run_dir=place, db_path="p.db")
    with pytest.raises(errors.UsageTypeError, match="cache_epoch takes an int, not str"):
        Tracker(run_dir="runs", cache_epoch="1")  # type: ignore[arg-type]
