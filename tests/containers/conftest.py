"""The engines that the tests of containers run on."""

import os
from collections.abc import Iterator

import pytest

from tests.support.engines import Podman, Stub, TestEngine, podman_is_missing

_found: list[str | None] = []
"""Why Podman runs no container here, once it is known."""


def _skip(reason: str) -> None:
    """Skip a test of Podman, or fail where somebody asked for it."""
    if os.environ.get("CONSIST_ES_NEEDS") == "podman":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def stub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The stand-in for Docker, with one image."""
    made = Stub(tmp_path_factory.mktemp("engine") / "stub", monkeypatch)
    made.tag("localhost/model:1", "one")
    return made


@pytest.fixture(params=["stub", "podman"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestEngine]:
    """Each engine, with one image; Podman is skipped where it cannot run a container."""
    if request.param == "stub":
        yield request.getfixturevalue("stub")
        return
    if (missing := podman_is_missing()) is not None:
        _skip(f"{missing}: python3 tools/dev.py external containers")
    podman = Podman(tmp_path_factory.mktemp("engine") / "podman", monkeypatch)
    try:
        if not _found:
            _found.append(podman.problem())
        if _found[0] is not None:
            _skip(f"podman runs no container here: {_found[0]}")
        podman.tag("localhost/model:1", "one")
        yield podman
    finally:
        podman.end()
