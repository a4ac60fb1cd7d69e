"""Names from anybody, printed, asked for and stored: no terminal, SQL statement, page or shell takes orders (S6-S8)."""

import ast
import asyncio
import csv
import dataclasses
import io
import itertools
import logging
import re
import sqlite3
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from consist_es import Tracker, errors
from consist_es.cli import program
from consist_es.errors import ConsistError, ConsistWarning
from consist_es.events import (
    ArtifactLogged,
    CacheMissed,
    ErrorInfo,
    Event,
    FingerprintInfo,
    MetaLogged,
    OutputLink,
    ScenarioExited,
    ScenarioStarted,
    StepCompleted,
    StepFailed,
    StepStarted,
)
from consist_es.log.claims import FileClaim
from consist_es.system.storage import LocalStorage
from consist_es.text import shown
from tests.support.api import NONE, ROOT, made
from tests.support.cli import append, in_terminals, run

NAMES = (
    "\x1b[31mred", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1b[2J\x1b[H", "\x1bc",
    "\x1bP+q\x1b\\",
    "\x9b2J", "\x9d0;x\x9c", "\x90q\x9c", "bell\x07", "back\x08\x08\x08\x08", "cr\rover", "line\nfeed", "tab\tulator",
    "form\x0cfeed", "vt\x0b", "nul\x00nul", "del\x7f", "nel\x85", "ls\u2028ps\u2029", "rlo\u202egpj.exe",
    "iso\u2066\u2069",
    "zero\u200bwidth\ufeff", "tags\U000e0041\U000e007f", "\u061c\u200f\u200e", "[bold red]x[/] [link=http://x]y[/link]",
    "=HYPERLINK(\"http://x\")", "%s %d {0} $(id) `id`",
)  # fmt: skip
"""What a terminal, a spreadsheet, a markup or a shell would obey."""
SENDABLE = [name for name in NAMES if "\0" not in name]
"""No system hands on an argument with a NUL."""
STYLE = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\x1b\[K")
"""What rich itself writes: colours, and the cursor of a progress bar."""


def unsafe(text: str) -> list[str]:
    """Characters that a terminal would obey, or that would turn the text around; tabs separate columns in a pipe."""
    obeyed = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [char for char in text if unicodedata.category(char) in obeyed and char not in "\n\t"]


def told(name: str, key: str) -> list[Event]:
    info = FingerprintInfo(version=1, digest=f"b3:{key}", code="c", code_mode=name, config="c", inputs="i", labels="l")
    error = ErrorInfo(type=name, message=name, traceback=name)
    return [
        StepStarted(run_id=name, name=name, model=name, kind="run", fingerprint=info, cache_mode="reuse", tags=[name],
                    config={name: name}, facet={name: name}, description=name, declared=[name]),
        CacheMissed(reason=name, differs=[name], details={name: name}),
        ArtifactLogged(artifact=key, key=name, direction="output", uri=f"./{name}", root="/", kind="file", driver=name,
                       digest=name, digest_method=name, producer=key, meta={name: name}),
        MetaLogged(values={name: [name]}),
        StepFailed(status="failed", seconds=1.0, error=error) if len(name) % 2 else
        StepCompleted(seconds=1.0, outputs=[OutputLink(key=name, artifact=key)],
                      all_outputs=[OutputLink(key=name, artifact=key)], fingerprint=f"b3:{key}", reason=name),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with these names everywhere, written past the API; gives its folder."""
    folder = tmp_path_factory.mktemp("evil")
    log = folder / "provenance.events"
    for number, name in enumerate(NAMES):
        header = f"header-{number:012x}"
        started = ScenarioStarted(run_id=name, name=name, description=name, config={name: name}, tags=[name])
        append(log, started, scenario=header, run=header)
        key = f"run-{number:012x}"
        for event in told(name, key):
            append(log, event, scenario=header, run=key)
        append(log, ScenarioExited(status=name, seconds=1.0, missing_outputs=[name]), scenario=header, run=header)
    return folder


def commands(name: str) -> dict[str, list[list[str]]]:
    """Command -> ways to call it, with a name wherever one is taken."""
    return {
        "accept": [[name, "--as", name, "--reason", name], [name, "--revoke"]],
        "archive": [[], ["--to", name]],
        "artifacts": [[], ["--key", name], ["--run", name], ["--format", name], ["--columns", name], ["--sort", name]],
        "audit": [[name], ["--all", name], ["--proof", name, "--against", name]],
        "checkpoint": [["--sign", name, "--out", name]],
        "completion": [[name]],
        "copy": [[name, name], ["provenance.events", name], [name, f"postgresql://h/d#{name}"]],
        "datasette-config": [["-o", f"provenance.events/lock/{name}"]],
        "db": [["init", name], ["grant", name, "read", name], ["projects", f"postgresql://h/d#{name}"], [name]],
        "demo": [["--folder", f"provenance.events/lock/{name}"]],
        "diff": [[name, name], [name, "x"], ["--all", name, name]],
        "doctor": [[], ["--deep"]],
        "evict": [[], [name], ["--keep-last", "0", "--to", name, "--yes"], ["--bytes", name]],
        "export": [["dot", name], [name], ["prov", name, "-o", f"provenance.events/lock/{name}"]],
        "forecast": [[f"./{name}"]],
        "gc": [[], ["--caches"]],
        "import": [["consist", name], ["consist", "provenance.db"], [name]],
        "lineage": [[name], ["--down", name], ["--depth", name, name]],
        "log": [[], ["--type", name], ["--after", name]],
        "pin": [[], [name, "--reason", name], [name, "--remove"]],
        "merge": [[name, "--project", name], ["provenance.events", "--project", f"postgresql://h/d#{name}"]],
        "prove": [[name], ["1", "--against", name]],
        "redact": [[name, "--reason", name], ["1", "--reason", ""]],
        "repair": [[], ["--keep-damaged"]],
        "replay": [["--check"], ["--db", "provenance.events/lock/x", "--until", name], ["--db", name, "--until", name]],
        "report": [[name, "-o", "r.html"], ["-o", f"provenance.events/lock/{name}"], ["--title", name, "-o", "r.html"]],
        "runs": [
            [],
            ["--scenario", name],
            ["--status", name],
            ["--model", name],
            ["--limit", name],
            ["--name", name],
            ["--year", name],
            ["--outcome", name],
            ["--columns", name],
            ["--columns", "all"],
            ["--sort", name],
        ],
        "scenarios": [[], ["--limit", name], ["--columns", "all"]],
        "show": [[name], [f"{name}/{name}@1"]],
        "stats": [[], [name]],
        "verify": [[], [name]],
        "why": [[name], [name, "--against", name]],
    }


def test_every_command_is_tried() -> None:
    assert set(program.commands) - set(commands("x")) == {"watch"}, "it goes on until Ctrl-C, see test_cli_watch.py"
    assert [name for name, command in program.commands.items() if hasattr(command, "commands")] == ["import", "db"]


@pytest.mark.parametrize("command", sorted(commands("x")))
def test_no_name_reaches_a_terminal_as_a_command(evil: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.chdir(evil)
    for name in SENDABLE:
        for arguments in commands(name)[command]:
            for options in ([], ["--json"]):
                result = CliRunner().invoke(program, [command, *arguments, *options], input="n\n")
                assert unsafe(result.stdout + result.stderr) == [], (name, arguments)
                assert result.exception is None or isinstance(result.exception, SystemExit), result.exception


@pytest.mark.parametrize("name", SENDABLE, ids=ascii)
def test_no_name_of_a_project_or_command_reaches_a_terminal_as_a_command(here: Path, name: str) -> None:
    for arguments in ([name], [f"--{name}"], ["runs", name], ["runs", f"--{name}"], ["runs", "--project", name]):
        result = CliRunner().invoke(program, arguments)
        assert unsafe(result.stdout + result.stderr) == [], arguments
    if "/" in name:
        return
    append(here / f"{name}.events", MetaLogged(values={}))
    for command in ("runs", "log", "verify", "replay", "doctor"):
        for options in ([], ["--project", f"{name}.events"]):
            result = CliRunner().invoke(program, [command, *options])
            assert unsafe(result.stdout + result.stderr) == [], command


def calls_of(name: str) -> Iterator[tuple[str, ...]]:
    """Every command, with the name wherever one is taken, also in the place of a command, option and project."""
    for command, ways in commands(name).items():
        yield from ((command, *arguments) for arguments in ways)
        yield command, "--help"
    yield from ((), (name,), (f"--{name}",), ("runs", f"--{name}"), ("runs", "--project", name), ("--version",))


def test_a_real_terminal_gets_colours_and_nothing_else_of_any_command_and_name(evil: Path) -> None:
    calls = list(dict.fromkeys(call for name in SENDABLE for call in calls_of(name)))
    results = in_terminals(calls, cwd=evil, columns=100)
    assert len(results) == len(calls) > 25 * len(SENDABLE)
    for call, (code, written) in zip(calls, results, strict=True):
        assert unsafe(STYLE.sub("", written.replace("\r", ""))) == [], call
        assert code in (0, 1, 2), (call, written)
        assert "Traceback (most recent call last)" not in written, call
        assert written, call


def test_a_table_keeps_its_rows_in_a_real_terminal_too(evil: Path) -> None:
    calls = [["runs", "--limit", "99"], ["scenarios", "--limit", "99"]]
    for _, written in in_terminals(calls, cwd=evil, columns=400):
        lines = written.splitlines()
        heading = next(
            number for number, line in enumerate(lines) if "seconds" in line
        )  # below notes, if there are any
        assert len(lines) - heading == 1 + len(NAMES)
        assert all("1.00 s" in line for line in lines[heading + 1 :])


def test_a_table_keeps_its_rows_whatever_the_names(evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(evil)
    assert len(run("runs").stdout.splitlines()) == 1 + len(NAMES)
    assert len(run("scenarios").stdout.splitlines()) == 1 + len(NAMES)


@pytest.mark.parametrize("form", ["--csv", "--tsv"])
def test_no_name_is_a_formula_for_a_spreadsheet(evil: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.chdir(evil)
    for command in ("runs", "scenarios", "artifacts"):
        text = run(command, "--columns", "all", form).stdout
        table = csv.reader(io.StringIO(text), delimiter="," if form == "--csv" else "\t")
        cells = [cell for row in table for cell in row]
        assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")] == []
        assert any(cell.startswith("'=HYPERLINK") for cell in cells)
        assert len(text.splitlines()) == 1 + len(NAMES)


# ---------------------------------------------------------------- the library itself


def test_the_tree_of_an_artifact_is_printed_safely(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Tracker(evil / "runs", evil / "provenance.db", access_mode="read_only") as tracker:
        for name in NAMES:
            tracker.print_lineage(name)
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2 * len(NAMES)
    assert unsafe(printed) == []


def test_who_is_waited_for_is_told_safely(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = LocalStorage()
    for name in NAMES:
        first = FileClaim(here, "b3:x", storage, who=name, step=name)
        first.take()
        second = FileClaim(here, "b3:x", storage, who="w", step=name)

        async def wait(turn: FileClaim = second) -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(turn.atake(), 0.01)

        with caplog.at_level(logging.WARNING, logger="consist_es"):
            asyncio.run(wait())
        first.end()
        second.end()
    assert len(caplog.messages) == len(NAMES)
    assert unsafe("".join(caplog.messages)) == []


def error_classes(base: type[Exception]) -> Iterator[type[Exception]]:
    for cls in base.__subclasses__():
        yield cls
        yield from error_classes(cls)


def test_no_error_has_a_text_that_a_terminal_obeys() -> None:
    tried = set()
    classes: list[type[Exception]] = [ConsistError, *error_classes(ConsistError)]
    for cls in classes:
        for name, count in itertools.product(NAMES, range(1, 5)):
            with suppress(TypeError, ValueError, AttributeError):
                error = cls(*[name] * count)
                tried.add(cls)
                assert unsafe(str(error)) == [], cls
                assert unsafe("".join(traceback.format_exception_only(error)).rstrip("\n")) == [], cls
    assert len(tried) > 0.8 * len(classes)


def test_no_warning_has_a_text_that_a_terminal_obeys() -> None:
    for name in NAMES:
        with pytest.warns(ConsistWarning) as caught:
            warnings.warn(f"{name}", ConsistWarning, stacklevel=1)
        assert unsafe(str(caught[0].message)) == []


def test_an_exception_of_the_users_is_not_changed(here: Path) -> None:
    def step() -> None:
        raise ValueError(NAMES[0])

    with Tracker("runs", "project.db") as tracker, pytest.raises(ValueError, match="red") as caught:
        tracker.run(step, name="s", execution_options=NONE)
    assert caught.value.args == (NAMES[0],)


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_what_is_shown_of_an_error_is_what_it_was_given_where_that_is_harmless(text: str) -> None:
    error = errors.UsageError(text)
    assert error.args == (text,)
    assert str(error) == shown(text)
    assert shown(str(error)) == str(error)


# ---------------------------------------------------------------- SQL

INJECTIONS = (
    "'", '"', "''", '""', "`", "]", "[x]", "--", "/* */", ";", "'; DROP TABLE runs; --", '"; DROP TABLE runs; --',
    "' OR '1'='1", "' OR 1=1 --", '" OR ""="', "x' UNION SELECT * FROM meta --", "1; ATTACH 'x.db' AS x", "%", "_",
    "%%",
    "*", "?", "?1", ":a", "@a", "$a", "$1", "\\'", "x\0' OR 1=1", "x'00'", "NULL", "rowid", "(SELECT key FROM runs)",
    "1e999", "-1", "\ud800", "\udcff", "\U0001f4a3'", "{}", '{"a":1}', "$.a", "json('[]')", "runs.key",
    "load_extension('x')",
)  # fmt: skip


def test_no_text_is_taken_for_sql(here: Path) -> None:
    with Tracker("runs", "project.db") as tracker:
        with tracker.scenario("s") as sc:
            sc.run(made, name="make", outputs=["made"], execution_options=NONE)
        dump, thing = dumped(here / "project.db"), tracker.get_artifact("made")
        assert thing is not None
        filters = ("name", "model", "status", "tags", "scenario", "parent", "facet", "year", "kind", "run_id", "cache")
        asked: list[Callable[[str], Any]] = [
            tracker.get_run, tracker.find_run, tracker.get_run_config, tracker.get_run_result, tracker.get_run_outputs,
            tracker.get_run_inputs, tracker.get_run_artifact, tracker.get_artifact, tracker.get_artifact_lineage,
            tracker.get_artifact_descendants, tracker.run_set, tracker.print_lineage,
            lambda text: tracker.get_run_artifact("make", text),
            lambda text: tracker.get_artifact(text, text),
            lambda text: tracker.get_artifact("made", run_id=text),
            lambda text: tracker.find_runs(index_by=text),
            *(lambda text, name=name: tracker.find_artifacts(**{name: text}) for name in
              ("key", "digest", "uri", "driver", "kind", "creator", "consumer")),
            lambda text: tracker.find_artifacts_with_same_content(dataclasses.replace(thing, hash=text)),
            lambda text: tracker.accept(text, text, text),
            lambda text: tracker.revoke_acceptance(text),
            lambda text: tracker.get_run_result("make", keys=[text]),
            lambda text: tracker.load_run_output("make", text), lambda text: tracker.load_run_output(text, "made"),
            lambda text: tracker.diff_runs("make", text), lambda text: tracker.diff_runs(text, "make"),
            tracker.resolve_uri, lambda text: tracker.get_latest_run_id(name=text),
            lambda text: tracker.find_latest_run(name=text), lambda text: tracker.find_latest_run(model=text),
            lambda text: tracker.find_latest_run(**{text: text}),  # type: ignore[arg-type]
            *(lambda text, name=name: tracker.find_runs(**{name: text}) for name in filters),
            lambda text: tracker.find_runs(tags=[text]),
            lambda text: tracker.find_runs(facet={text: text}),
            lambda text: tracker.find_runs(metadata={text: text}),
            lambda text: tracker.find_runs(**{text: text}),  # type: ignore[call-overload]
            lambda text: tracker.find_artifacts(**{text: text}),  # type: ignore[arg-type]
        ]  # fmt: skip
        for text in INJECTIONS:
            for ask in asked:
                with suppress(ConsistError):
                    found = ask(text)
                    if isinstance(found, list):
                        assert found == [], text
        for text in INJECTIONS:
            with suppress(ConsistError):
                tracker.run(made, name=text, model=text, run_id=text, tags=[text], config={text: text},
                            facet={text: text}, execution_options=NONE)  # fmt: skip
        assert {key: rows for key, rows in dumped(here / "project.db").items() if key in dump}.keys() == dump.keys()
    run("replay", "--check", "--project", here / "project.events")


def dumped(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as conn:
        names = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: conn.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def test_no_argument_of_a_command_is_taken_for_sql(here: Path) -> None:
    with Tracker("runs", "provenance.db") as tracker, tracker.scenario("s") as sc:
        sc.run(made, name="make", outputs=["made"], execution_options=NONE)
    before = dumped(here / "provenance.db")
    for text in (text for text in INJECTIONS if "\0" not in text and text != "\ud800"):  # no system hands these on
        for arguments in (["runs", "--scenario"], ["runs", "--model"], ["audit"], ["why"], ["log", "--type"]):
            result = CliRunner().invoke(
                program, [*arguments, "--", text] if len(arguments) == 1 else [*arguments, text]
            )
            assert isinstance(result.exception, SystemExit | None), (arguments, text, result.exception)
            assert "made" not in result.stdout
    assert dumped(here / "provenance.db") == before


# ---------------------------------------------------------------- pages, sheets, shells: nothing makes any


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for folder in (ROOT / "consist_es", ROOT / "projections"):
        for path in folder.rglob("*.py"):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


PAGES = re.compile(r"<\s*(html|head|body|script|div|span|table|tr|td|a|img|style|svg|iframe|!doctype)\b", re.IGNORECASE)
DANGEROUS = {
    "html", "jinja2", "markupsafe", "mako", "http", "webbrowser", "csv", "openpyxl", "tarfile", "zipfile", "xml",
    "lxml",
    "socket", "socketserver", "urllib.request", "requests", "telnetlib", "code", "pty", "imp", "runpy",
}  # fmt: skip
"""Modules whose use would open a door that no test here watches: who needs one writes the tests first."""
READERS = {
    ("gtfs.py", "csv"),
    ("gtfs.py", "zipfile"),
    ("csv_rows.py", "csv"),
    ("matsim.py", "xml.etree"),
    ("overrides.py", "csv"),
}
"""Adapters that read tables, archives and XML of a model, and make none that others open: see tests/adapters."""
SHELLS = {"os.system", "os.popen", "os.spawnl", "os.execv", "os.execvp", "subprocess.getoutput", "tempfile.mktemp"}


PAGE_MAKERS = {"notebook.py", "page.py"}
"""The files that make markup: all that notebooks show goes through `cell`, see test_hostile_notebooks.py, and all that
a report holds is data or escaped, see tests/report."""
SHOWN_IN_NOTEBOOKS = {"artifact.py", "compare.py", "run.py", "scenario.py", "sets.py", "why.py"}
"""Files of classes that notebooks show. They hand plain values to `consist_es.notebook.box`, and make no markup."""


def findings(path: Path, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and PAGES.search(text) and path.name not in PAGE_MAKERS:
            yield f"{where}: makes a page: write its escaping and the tests of threat S6 with it"
        shown_as = node.name if isinstance(node, ast.FunctionDef) else ""
        known = shown_as == "_repr_html_" and path.name in SHOWN_IN_NOTEBOOKS
        if shown_as.startswith("_repr_") and shown_as.endswith("_") and not known:
            yield f"{where}: makes a page for a notebook: the same"
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            if (path.name, module) not in READERS and {module, module.split(".")[0]} & DANGEROUS:
                yield f"{where}: imports {module}"
        if isinstance(node, ast.Call):
            if ast.unparse(node.func) in SHELLS:
                yield f"{where}: calls {ast.unparse(node.func)}"
            if any(keyword.arg == "shell" for keyword in node.keywords):
                yield f"{where}: goes through a shell"
            started = ast.unparse(node.func) in {"subprocess.run", "subprocess.Popen", "subprocess.check_output"}
            if started and node.args and not isinstance(node.args[0], ast.List | ast.Name):
                yield f"{where}: starts a program from a text"


READING = {
    ("engines.py", "csv"): "quotes the mounts that an engine reads as one line",
    ("forms.py", "csv"): "lists for spreadsheets: a cell that begins like a formula is told as text, see below",
    ("archives.py", "zipfile"): "the source of modules in zip files: read, never extracted",
    ("notebook.py", "html"): "escapes what a notebook shows",
    ("page.py", "html"): "escapes what a report shows without its script",
    ("packages.py", "csv"): "the list of an installed distribution's files",
    ("packages.py", "urllib.request"): "turns the file URL of an installed distribution into a path",
}
"""Modules on the list that are used for reading alone, or with tests of their own."""


def test_nothing_makes_pages_or_sheets_or_goes_through_a_shell() -> None:
    found = [line for path, tree in sources() for line in findings(path, tree)]
    found = [line for line in found if (line.partition(":")[0], line.rpartition("imports ")[2]) not in READING]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    ["x = f'<b>{name}</b><table>'", "def _repr_html_(self): ...", "import html", "from xml.dom import minidom",
     "os.system(x)", "subprocess.run(x, shell=True)", "subprocess.run(f'ls {x}')", "import tarfile"],
)  # fmt: skip
def test_the_check_sees_what_it_looks_for(line: str) -> None:
    assert list(findings(Path("x.py"), ast.parse(line)))


def test_the_check_leaves_honest_code_alone() -> None:
    honest = "subprocess.run([*words, name], cwd=folder)\nx = 'a < b and b > c'\nimport json\ny = '<name>.events'"
    assert list(findings(Path("x.py"), ast.parse(honest))) == []
