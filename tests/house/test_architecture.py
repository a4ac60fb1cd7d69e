"""The rules of ARCHITECTURE.md, each one enforced on the source itself."""

import ast
import contextlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Rooms from the ground floor up. A module may import from its own room and from the floors below, and from no other.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"text", "version"}),
    frozenset({"errors"}),
    frozenset({"events", "checks", "notebook"}),
    frozenset({"system"}),
    frozenset({"values", "storage"}),
    frozenset({"log", "views", "artifacts"}),
    frozenset({"identity"}),
    frozenset({"projections"}),
    frozenset({"project", "adapters", "observe", "containers"}),
    frozenset({"runs", "imports"}),
    frozenset({"reading"}),
    frozenset({"steps", "cache", "exports", "keeping"}),
    frozenset({"execution"}),
    frozenset({"sweeps"}),
    frozenset({"api", "doctor", "report"}),
    frozenset({"lbnl", "alias"}),
    frozenset({"__init__"}),
    frozenset({"demo"}),
    frozenset({"cli", "port"}),
    frozenset({"__main__"}),
)
FLOOR = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 8
PUBLIC_SIGNATURES = frozenset(
    {"api.containers", "api.maps", "api.tracker", "api.surface", "execution.h5_calls", "execution.log_calls"}
)  # long, for users expect them so

# Exceptions to the rules: where -> why. An entry that is no longer needed fails its test too.
CIRCLES = {
    (
        "consist_es.artifacts.artifact",
        "consist_es.artifacts.drivers.loading",
    ): "as_df() hands itself to a driver, when called",
}
LONG_MODULES = {
    "consist_es/errors.py": "the one tree of errors: what each of them says is read in one place",
    "consist_es/events.py": "the catalogue of all events, which has no logic: it is read in one place",
}
LONG_FUNCTIONS: dict[str, str] = {
    "consist_es/api/surface.py:Steps.run": "every argument of a step, and each handed on by its name",
    "consist_es/api/surface.py:Steps.trace": "the same",
}
MANY_PARAMETERS = {
    "consist_es/execution/log_notes.py:notes_of": "one keyword for each of the logging calls",
    "consist_es/steps/call.py:plan_call": "one keyword for each place that an argument can come from",
}
BROAD_EXCEPTS = {
    "consist_es/adapters/prepare.py:PreparedAdapter.changes": "an adapter is the user's code",
    "consist_es/artifacts/drivers/plugins.py:_load": "importing another package's driver runs its code",
    "consist_es/execution/attempt_events.py:error_info": "the text of a user's exception is the user's code",
    "consist_es/identity/installed/finding.py:_asked": "finders of modules may be anybody's code",
    "consist_es/identity/installed/finding.py:generated_file": "loaders of modules may be anybody's code",
    "consist_es/steps/schemas.py:_said": "a default of define_step is the user's code",
    "consist_es/identity/live/states.py:_asked": "asking an installed object for its state runs its package's code",
    "consist_es/api/noop.py:create_tracker": "a user's factory that raises is a warning: the run goes on, untracked",
    "consist_es/observe/hook.py:guarded": "an exception there would be the user's open() failing",
    "consist_es/execution/step_log.py:Printed._put": "an exception there would be the user's print() failing",
    "consist_es/system/tee.py:_formatted": "the arguments of a log message are the user's objects",
    "consist_es/sweeps/parcel.py:packed": "pickling runs the code of the user's classes",
    "consist_es/sweeps/perform.py:told_of": "a row's function may raise anything, and a pool may not break by it",
    "consist_es/sweeps/perform.py:in_words": "the text of a user's exception is the user's code",
    "consist_es/sweeps/perform.py:loaded": "loading a function imports the user's modules",
    "consist_es/sweeps/lanes.py:FutureLane.send": "an executor is anybody's code, and may be broken",
    "consist_es/sweeps/lanes.py:JobLane._hand_over": "a batch system may say anything",
    "consist_es/sweeps/lanes.py:_told": "every executor has exceptions of its own for lost workers",
    "consist_es/api/sweep_task.py:_perform": "importing the function runs the user's modules",
    "consist_es/execution/hooks.py:_call": "a user's hook that raises is a warning, never a failed run",
}
FORMATTED_SQL = {
    "consist_es/views/tables.py:create_table": "names of tables and columns, quoted: they cannot be parameters",
    "consist_es/views/tables.py:create_index": "the same",
    "consist_es/views/tables.py:create_view": "the same, and a constant",
    "consist_es/artifacts/digest_cache.py:DigestCache._lookup": "question marks, as many as there are values",
}

IN_FLIGHT = {
    "consist_es/sweeps/parcel.py": "a step's function on its way between two processes that run: stored by nobody here",
    "consist_es/identity/live/left_behind.py": "writes values of this process to digest them at once; nothing is read",
}
FORBIDDEN_IMPORTS = frozenset({"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"})
FORBIDDEN_CALLS = frozenset({"eval", "exec", "yaml.load", "read_pickle", "to_pickle", "os.system"})
TEST_PACKAGES = ("pytest", "_pytest", "hypothesis", "xdist", "mypy", "ruff", "coverage", "build", "setuptools")
POSIX_ONLY = frozenset({"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "posix"})

SQL = re.compile(r"\s*(SELECT|INSERT|REPLACE|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|ATTACH|DETACH|WITH|VACUUM)\s")
SQL_METHODS = frozenset({"execute", "executemany", "executescript", "query"})
DOMAIN_WORDS = re.compile(r"activitysim|\bbeam\b|gtfs", re.IGNORECASE)

# Put together here so that this file does not hold the words that it looks for.
PRIVATE_PATHS = re.compile(
    r"(?<![\w.$}~*/-])/(?:" + "|".join(["work", "root", "opt/wheels", "opt/pypi"]) + r")(?:/|\b(?=[\s`'\"]))"
)
REGISTRY_HOSTS = re.compile("|".join([r"pypi\.org", "pythonhosted", r"anaconda\.org", r"crates\.io", r"npmjs\."]))


@dataclass(frozen=True)
class Module:
    """One parsed source file of the package."""

    name: str
    path: Path
    tree: ast.Module
    source: str

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def room(self) -> str:
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


@dataclass(frozen=True)
class Import:
    """One imported module: absolute name, line, and whether it happens as soon as the importer is imported."""

    target: str
    line: int
    eager: bool
    relative: bool = False


def module_name(path: Path) -> str:
    parts = [*path.relative_to(ROOT).with_suffix("").parts]
    if parts[0] == "projections":
        parts.insert(0, "consist_es")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def package_files() -> list[Path]:
    linked = ROOT / "consist_es" / "projections"
    own = [path for path in (ROOT / "consist_es").rglob("*.py") if linked not in path.parents]
    return sorted({*own, *(ROOT / "projections").rglob("*.py")})


def parse(path: Path) -> Module:
    source = path.read_text(encoding="utf-8")
    return Module(module_name(path), path, ast.parse(source, str(path)), source)


MODULES = [parse(path) for path in package_files()]
NAMES = {module.name for module in MODULES}


def for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def walk_imports(node: ast.AST, eager: bool = True, types: bool = False) -> Iterator[Import]:
    """Every import below a node, also those inside functions; those that only type checkers see if `types` is true."""
    for child in ast.iter_child_nodes(node):
        if for_type_checkers(child) and not types:
            continue
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from from_imports(child, eager)
        elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith("import_module"):
            yield from (Import(text, child.lineno, False) for text in texts(child.args))
        guarded = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.If | ast.Try)
        yield from walk_imports(child, eager and not guarded, types)


def texts(arguments: list[ast.expr]) -> list[str]:
    return [node.value for node in arguments if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def from_imports(node: ast.ImportFrom, eager: bool) -> Iterator[Import]:
    """`from a import b` imports the module a.b where there is one, and a otherwise."""
    base = node.module or ""
    for alias in node.names:
        full = f"{base}.{alias.name}"
        yield Import(full if full in NAMES else base, node.lineno, eager, relative=node.level > 0)


def own_imports(module: Module, types: bool = False) -> list[Import]:
    return [found for found in walk_imports(module.tree, types=types) if found.target.split(".")[0] == "consist_es"]


def room_of(target: str) -> str:
    parts = target.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def circular(graph: dict[str, set[str]]) -> set[str]:
    """The modules that are left when those that import none of the rest, or are imported by none, are taken away."""
    left = set(graph)
    while True:
        imported = {target for name in left for target in graph[name]}
        inner = {name for name in left if name in imported and graph[name] & left}
        if inner == left:
            return left
        left = inner


def functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}{child.name}", child
            name = f"{prefix}{child.name}." if isinstance(child, ast.FunctionDef | ast.ClassDef) else prefix
            yield from below(child, name)

    return below(module.tree, f"{module.where}:")


def docstring_lines(node: ast.AST) -> int:
    """Lines of all docstrings in a piece of code."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    total = 0
    for part in ast.walk(node):
        if isinstance(part, documented) and ast.get_docstring(part, clean=False) is not None:
            text = part.body[0]
            total += (text.end_lineno or text.lineno) - text.lineno + 1
    return total


def enclosing_functions(module: Module) -> dict[ast.AST, str]:
    """Node -> the innermost function that holds it."""
    return {node: name for name, function in functions(module) for node in ast.walk(function)}


def offences(check: Callable[[Module], Iterator[tuple[str, str]]], allowed: dict[str, str]) -> list[str]:
    """What a check finds outside its allow-list, and the entries of the list that nothing needs."""
    found = [offence for module in MODULES for offence in check(module)]
    stale = [
        f"{place}: allowed, but nothing there needs it any more" for place in allowed.keys() - {p for p, _ in found}
    ]
    return [f"{place}: {problem}" for place, problem in found if place not in allowed] + stale


# ---------------------------------------------------------------- imports


def test_every_module_has_its_floor() -> None:
    homeless = sorted(module.where for module in MODULES if module.room not in FLOOR)
    assert not homeless, (
        f"{homeless} lie in no room: add the room to LAYERS in tests/house/test_architecture.py, on the lowest floor "
        "from which it can reach what it imports, and to the rooms in ARCHITECTURE.md"
    )


def test_every_room_of_the_layers_exists() -> None:
    assert FLOOR.keys() - {module.room for module in MODULES} == set()


def test_imports_only_go_downwards() -> None:
    wrong = [
        f"{module.where}:{found.line}: {module.room} imports {found.target}, which does not lie below it"
        for module in MODULES
        for found in own_imports(module, types=True)
        if room_of(found.target) != module.room and FLOOR[room_of(found.target)] >= FLOOR[module.room]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_rooms_of_identity_import_only_those_before_them() -> None:
    order = ["installed", "text", "live", "code"]
    places = {module.name: module.name.split(".")[2] for module in MODULES if module.name.count(".") == 3}
    inner = {name: room for name, room in places.items() if name.startswith("consist_es.identity.")}
    assert {*inner.values()} == {*order}
    wrong = [
        f"{module.where}:{found.line}: {found.target}"
        for module in MODULES
        for found in own_imports(module, types=True)
        if module.name in inner and order.index(inner.get(found.target, order[0])) > order.index(inner[module.name])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {m.name: {found.target for found in own_imports(m)} - {m.name} for m in MODULES}
    assert [edge for edge in CIRCLES if edge[1] not in graph[edge[0]]] == [], "allowed, but no longer needed"
    for importer, imported in CIRCLES:
        graph[importer] -= {imported}
    circle = circular(graph)
    assert not circle, f"these modules import each other in a circle: {sorted(circle)}"


def test_circles_that_are_allowed_are_closed_inside_functions() -> None:
    at_once = {(m.name, i.target) for m in MODULES for i in own_imports(m) if i.eager}
    assert at_once & CIRCLES.keys() == set()


def test_no_import_is_relative() -> None:
    relative = [f"{m.where}:{i.line}" for m in MODULES for i in walk_imports(m.tree) if i.relative]
    assert relative == []


def test_imports_reach_only_the_standard_library_and_declared_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    allowed = packages(project["dependencies"]) | set(sys.stdlib_module_names) | {"consist_es"}
    extras = {
        extra: needed for extra, needed in project["optional-dependencies"].items() if extra not in ("docs", "test")
    }
    optional = {"numpy"}.union(*(packages(needed) for needed in extras.values()))  # numpy comes with pandas
    strangers = [
        f"{m.where}:{i.line}: {i.target}"
        for m in MODULES
        for i in walk_imports(m.tree)
        if (top := i.target.split(".")[0]) not in allowed and (i.eager or top not in optional)
    ]
    assert strangers == []


def packages(requirements: list[str]) -> set[str]:
    """What requirements are imported as."""
    names = {re.split(r"[^\w-]", text)[0].replace("-", "_") for text in requirements}
    return {{"PyYAML": "yaml"}.get(name, name) for name in names}


def test_nothing_that_only_posix_has_is_imported_unguarded() -> None:
    unguarded = [
        f"{m.where}:{i.line}: {i.target}"
        for m in MODULES
        for i in walk_imports(m.tree)
        if i.eager and i.target in POSIX_ONLY
    ]
    assert unguarded == []


def test_the_command_line_starts_without_the_test_packages() -> None:
    code = (
        f"import sys\nfor name in {TEST_PACKAGES!r}: sys.modules[name] = None\n"
        "from consist_es.cli import main\nmain(['--help'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


# ---------------------------------------------------------------- what code must not do


def broad_excepts(module: Module) -> Iterator[tuple[str, str]]:
    inside = enclosing_functions(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and ast.unparse(node.body[-1]) != "raise":  # cleaning up is no catching
            caught = {ast.unparse(part) for part in ast.walk(node.type)} if node.type else {"everything"}
            if broad := caught & {"everything", "Exception", "BaseException"}:
                yield inside.get(node, module.where), f"line {node.lineno} catches {broad.pop()}"


def test_only_the_users_own_code_is_caught_broadly() -> None:
    found = offences(broad_excepts, BROAD_EXCEPTS)
    assert not found, "\n".join(found)


def unsafe_calls(module: Module) -> Iterator[tuple[str, str]]:
    for found in walk_imports(module.tree):
        if found.target.split(".")[0] in FORBIDDEN_IMPORTS:
            yield module.where, f"line {found.line} imports {found.target}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS or called.rpartition(".")[2] in {"read_pickle", "to_pickle"}:
                yield module.where, f"line {node.lineno} calls {called}"
            if any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords):
                yield module.where, f"line {node.lineno} allows pickle"


def test_stored_data_is_never_executed() -> None:
    found = offences(unsafe_calls, IN_FLIGHT)
    assert not found, "\n".join(found)


def is_formatted(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join")
    if isinstance(node, ast.BinOp):
        return not (is_constant(node.left) and is_constant(node.right))
    return False


def is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or (
        isinstance(node, ast.BinOp) and is_constant(node.left) and is_constant(node.right)
    )


def leading_text(node: ast.expr) -> str:
    """The constant text that a formatted string begins with."""
    if isinstance(node, ast.JoinedStr):
        return leading_text(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp):
        return leading_text(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return leading_text(node.func.value)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def formatted_sql(module: Module) -> Iterator[tuple[str, str]]:
    inside = enclosing_functions(module)
    for node in ast.walk(module.tree):
        executed = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in SQL_METHODS
            and bool(node.args)
            and is_formatted(node.args[0])
        )
        if executed or (isinstance(node, ast.expr) and is_formatted(node) and SQL.match(leading_text(node))):
            yield inside.get(node, module.where), f"line {getattr(node, 'lineno', 0)} puts values into SQL text"


def test_sql_takes_values_as_parameters_only() -> None:
    found = offences(formatted_sql, FORMATTED_SQL)
    assert not found, "\n".join(found)


def test_the_core_knows_no_model_by_name() -> None:
    named = [
        f"{m.where}: {word.group()}"
        for m in MODULES
        if m.room not in ("adapters", "demo", "lbnl")
        and m.name != "consist_es.api.lbnl_names"
        and (word := DOMAIN_WORDS.search(m.source))
    ]
    assert named == []


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (broad_excepts, "try: f()\nexcept: pass"),
        (broad_excepts, "try: f()\nexcept (OSError, Exception): pass"),
        (broad_excepts, "try: f()\nexcept BaseException as e: raise E from e"),
        (unsafe_calls, "def f():\n    import pickle"),
        (unsafe_calls, "from marshal import loads"),
        (unsafe_calls, "eval(text)"),
        (unsafe_calls, "yaml.load(text)"),
        (unsafe_calls, "frame.to_pickle(path)"),
        (unsafe_calls, "np.load(path, allow_pickle=flag)"),
        (formatted_sql, "db.execute(f'{verb} FROM t')"),
        (formatted_sql, "db.executemany('select ' + column, rows)"),
        (formatted_sql, "db.executescript('drop table %s' % name)"),
        (formatted_sql, "db.query('select {}'.format(column))"),
        (formatted_sql, "text = f'SELECT {column} FROM t'"),
        (formatted_sql, "text = 'DELETE FROM ' + table"),
    ],
)
def test_the_checks_see_what_they_look_for(check: Callable[[Module], Iterator[tuple[str, str]]], line: str) -> None:
    assert list(check(Module("consist_es.sample", ROOT / "consist_es" / "sample.py", ast.parse(line), line)))


def test_the_checks_leave_honest_code_alone() -> None:
    source = (
        "try: f()\nexcept OSError: pass\nexcept BaseException: raise\n"
        "db.execute('SELECT a ' 'FROM t WHERE b = ?', (b,))\nraise E(f'no {x}')"
    )
    module = Module("consist_es.sample", ROOT / "consist_es" / "sample.py", ast.parse(source), source)
    assert [found for check in (broad_excepts, unsafe_calls, formatted_sql) for found in check(module)] == []


def test_a_circle_is_found_and_named_without_its_neighbours() -> None:
    assert circular({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}
    assert circular({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == set()


# ---------------------------------------------------------------- size


def long_modules(module: Module) -> Iterator[tuple[str, str]]:
    lines = len(module.source.splitlines()) - docstring_lines(module.tree)
    if lines > MODULE_LINES:
        yield module.where, f"{lines} lines without docstrings; the limit is {MODULE_LINES}: split it"


def test_modules_stay_small() -> None:
    found = offences(long_modules, LONG_MODULES)
    assert not found, "\n".join(found)


def long_functions(module: Module) -> Iterator[tuple[str, str]]:
    for name, function in functions(module):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1 - docstring_lines(function)
        if lines > FUNCTION_LINES:
            yield name, f"{lines} lines without docstrings; the limit is {FUNCTION_LINES}: split it"


def test_functions_stay_short() -> None:
    found = offences(long_functions, LONG_FUNCTIONS)
    assert not found, "\n".join(found)


def many_parameters(module: Module) -> Iterator[tuple[str, str]]:
    for name, function in functions(module):
        public = module.name.removeprefix("consist_es.") in PUBLIC_SIGNATURES and (
            function.name == "__init__" or function.name[0] != "_"
        )
        if (count := parameters(function)) > PARAMETERS and not public:
            yield name, f"{count} parameters; the limit is {PARAMETERS}: pass a struct"


def test_parameter_lists_are_long_in_public_signatures_alone() -> None:
    found = offences(many_parameters, MANY_PARAMETERS)
    assert not found, "\n".join(found)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


# ---------------------------------------------------------------- words


def text_files() -> Iterator[tuple[str, str]]:
    """Name and text of what belongs to the project; what a demo or a trial left in the checkout does not."""
    folders = [ROOT / name for name in (".ci", "consist_es", "docs", "projections", "tests", "tools", "web/src")]
    paths = [*ROOT.iterdir(), *(path for folder in folders for path in folder.rglob("*"))]
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            with contextlib.suppress(UnicodeDecodeError):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("a path of one machine", PRIVATE_PATHS), ("a registry", REGISTRY_HOSTS)],
    ids=["machine", "registry"],
)
def test_no_file_names_a_private_place(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()!r} is {what}"
        for name, text in text_files()
        for match in pattern.finditer(text)
        if name != "tests/house/test_architecture.py"
    ]
    assert not found, "\n".join(found)


# ---------------------------------------------------------------- the page


PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    paths = re.findall(r"`((?:consist_es|projections|tests|tools)/[\w./]*)`", text)
    assert paths, "the page names nothing"
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_page_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = re.findall(r"`([\w]+)(?:/|\.py)`", text[: text.index("### Why")])
    assert {room for room in FLOOR if room not in rooms} == set()


def test_every_room_says_its_sentence() -> None:
    silent = [m.where for m in MODULES if m.path.name == "__init__.py" and not ast.get_docstring(m.tree)]
    assert silent == []
