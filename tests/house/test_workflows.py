"""The workflows of the CI give nobody a way in: pinned actions, no rights to spare, no cache in a release (S12)."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.api import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.y*ml"))}
RIGHTS = {("release.yml", "publish"): {"id-token": "write", "attestations": "write"}}
"""Jobs that may do more than read the repository."""
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)+")


def steps_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = job.get("steps", [])
    return steps


def findings(name: str, text: str) -> Iterator[str]:
    """What is weak in a workflow."""
    for line in text.splitlines():
        _, used, what = line.partition("uses:")
        if used and not PINNED.fullmatch(what.strip()):
            yield f"{what.strip()}: pin it by its full hash, with the version in a comment"
    if "https://" in text or "http://" in text:
        yield "names a host: the defaults of the tools are meant to be used"
    flow = yaml.safe_load(text)
    if flow.get("permissions") != {}:
        yield "permissions are not empty at the top"
    for job_name, job in flow["jobs"].items():
        yield from (f"{job_name}: {found}" for found in findings_in_job(name, job_name, job))


def findings_in_job(name: str, job_name: str, job: dict[str, Any]) -> Iterator[str]:
    rights = job.get("permissions")
    if rights != RIGHTS.get((name, job_name), {"contents": "read"}):
        yield f"has the rights {rights}"
    if "id-token" in (rights or {}) and "environment" not in job:
        yield "may say who we are outside an environment, which somebody has to open"
    if "timeout-minutes" not in job:
        yield "has no time limit"
    for step in steps_of(job):
        given, used = step.get("with", {}), step.get("uses", "")
        if used.startswith("actions/checkout@") and given.get("persist-credentials") is not False:
            yield "leaves the token in the checkout"
        if "${{" in step.get("run", ""):
            yield f"puts a text of somebody's into a script: {step['run']}"
        cached = "cache" in used or any("cache" in key and value for key, value in given.items())
        if name == "release.yml" and cached:
            yield "a release takes something from a cache"
        if "id-token" in (rights or {}) and ("run" in step or "checkout" in used):
            yield "runs code of the repository where it may say who we are"


def test_there_is_a_workflow_for_every_push_every_week_and_every_release() -> None:
    assert set(WORKFLOWS) == {"tests.yml", "weekly.yml", "release.yml"}
    flows = {name: yaml.safe_load(text) for name, text in WORKFLOWS.items()}
    when = {name: set(flow[True]) for name, flow in flows.items()}  # YAML 1.1 takes the key `on` for true
    assert when == {
        "tests.yml": {"push", "pull_request"},
        "weekly.yml": {"schedule", "workflow_dispatch"},
        "release.yml": {"push"},
    }
    assert flows["release.yml"][True]["push"] == {"tags": ["v*"]}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_no_weak_place(name: str) -> None:
    assert list(findings(name, WORKFLOWS[name])) == []


def test_every_push_runs_what_a_developer_runs() -> None:
    jobs = yaml.safe_load(WORKFLOWS["tests.yml"])["jobs"]
    assert [step["run"] for job in jobs.values() for step in steps_of(job) if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_week_the_oldest_and_the_newest_packages_are_tried() -> None:
    job = yaml.safe_load(WORKFLOWS["weekly.yml"])["jobs"]["versions"]
    assert {one["which"] for one in job["strategy"]["matrix"]["include"]} == {"oldest", "newest"}
    assert any("tools/hostile/versions.py" in step.get("run", "") for step in steps_of(job))


def test_a_release_is_tested_built_attested_and_published_in_this_order() -> None:
    jobs = yaml.safe_load(WORKFLOWS["release.yml"])["jobs"]
    assert [(name, job.get("needs")) for name, job in jobs.items()] == [
        ("tests", None), ("build", "tests"), ("publish", "build"),
    ]  # fmt: skip
    used = [step["uses"].partition("@")[0] for step in steps_of(jobs["publish"])]
    assert used[1:] == ["actions/attest-build-provenance", "pypa/gh-action-pypi-publish"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0", "actions/setup-python@v5"),
        ("@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2", "@11bd71901bbe5b1630ceea73d27597364c9af683"),
        ("permissions: {}", "permissions: read-all"),
        ("permissions: {}", ""),
        ("contents: read", "contents: write"),
        ("    permissions:\n      contents: read # the checkout\n", ""),
        ("attestations: write", "packages: write"),
        ("    environment: release # somebody has to agree\n", ""),
        ("persist-credentials: false", "persist-credentials: true"),
        ("          persist-credentials: false\n", "          fetch-depth: 1\n"),
        ('python-version: "3.11"', 'python-version: "3.11"\n          cache: pip'),
        ("actions/setup-python@", "actions/cache@"),
        ("run: .ci/run", "run: echo ${{ github.ref_name }}"),
        ("attestations: true", "repository-url: https://example.org/"),
        ("        uses: actions/attest-build-provenance@", "        run: pip install .\n        uses: actions/attest@"),
        ("    timeout-minutes: 60\n", ""),
    ],
    ids=lambda given: given.strip()[:40],
)
def test_the_check_sees_what_it_looks_for(old: str, new: str) -> None:
    assert old in WORKFLOWS["release.yml"]
    assert list(findings("release.yml", WORKFLOWS["release.yml"].replace(old, new, 1)))


def test_zizmor_finds_nothing() -> None:
    """The tool of the field, where it is installed: python3 tools/dev.py workflows."""
    program = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or shutil.which("zizmor")
    if program is None:
        pytest.skip("zizmor is not installed; python3 tools/dev.py workflows installs and runs it")
    done = subprocess.run([program, "--offline", "--pedantic", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
