"""Makes the files of a program, as it is after some edits."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from attacks.fresh.grammar import filled
from attacks.fresh.programs import HOMES, MAIN, Chain, Program, Step


@dataclass(frozen=True)
class State:
    """What a program's edits have made of it."""

    values: tuple[int, ...]
    """For each chain, which of its values it has."""
    spoken: frozenset[int] = frozenset()
    """Steps with a print in their body."""
    extra: tuple[int, ...] = ()
    """Modules with one more step each, which has nothing to do with the others."""
    level: str = "INFO"
    remarks: tuple[tuple[str, int, str], ...] = ()
    """Edits of the text that are of no account: kind, seed and file, see `edits`."""
    live: int | None = None
    """Within one process: the chain that the script changes between its rounds, or -1 for none."""
    alone: bool = False
    """Within one process: the second round has no past."""


@dataclass
class Project:
    """Files, links and environment variables of a program."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    touched: str = ""
    """A file that gets a new time."""


class Module:
    """Text of a module that is being made."""

    def __init__(self) -> None:
        self.imports: list[str] = []
        self.chunks: list[str] = []

    def bring(self, *texts: str) -> None:
        """Add imports that are not there yet."""
        self.imports += [text for text in texts if text and text not in self.imports]

    def text(self) -> str:
        """The whole module."""
        return "\n".join([*self.imports, "", *self.chunks]) + "\n"


def rendered(program: Program, state: State) -> Project:
    """The program's files in this state, before its remarks."""
    return Rendering(program, state).project()


class Rendering:
    """One rendering of a program."""

    def __init__(self, program: Program, state: State) -> None:
        self.program, self.state = program, state
        self.modules = [Module() for _ in HOMES]
        self.made = Project()
        self.setup: list[str] = []
        """Statements of the script before its workflow."""
        self.bodies: dict[int, str] = {}
        """Statements of each step."""
        self.last: dict[str, tuple[str, int]] = {}
        """Number of a chain -> expression and module that it ends in."""

    def project(self) -> Project:
        """All of it."""
        for chain, value in zip(self.program.chains, self.state.values, strict=True):
            self._chain(chain, chain.values[value])
        self.bodies = {step.number: self._body(step) for step in self.program.steps}
        if self.program.model:
            self._model()
        else:
            for step in self.program.steps:
                self._step(step)
        for number, home in enumerate(self.state.extra):
            self.modules[home].bring("import consist_es as consist")
            self.modules[home].chunks.append(
                f'def extra_{number}():\n    out = consist.output_path("extra", ext="txt")\n'
                f"    out.write_text('{number}')\n    return out\n"
            )
        for name, module in zip(HOMES[:-1], self.modules[:-1], strict=True):
            self.made.files[path_of(name)] = module.text().encode()
        self.made.files |= {"model/__init__.py": b"", "model/parts/__init__.py": b""}
        self.made.files["main.py"] = self._script().encode()
        return self.made

    # ------------------------------------------------------------ chains

    def _chain(self, chain: Chain, value: str) -> None:
        source, script = chain.source, self.modules[MAIN]
        reach = "" if chain.home == MAIN else f"{HOMES[chain.home]}."

        def fill(text: str) -> str:
            return filled(text, chain.n, value, reach)

        if reach and "$M" in source.main + source.live:
            script.bring(f"import {HOMES[chain.home]}")
        script.bring(fill(source.brings))
        if source.main:
            self.setup.append(fill(source.main))
        for name, content in source.files.items():
            made = fill(content).encode() if isinstance(content, str) else content(value, chain.n)
            self.made.files[fill(name)] = made
        self.made.links |= {fill(name): fill(target) for name, target in source.links.items()}
        if source.env:
            self.made.env[fill(source.env)] = value
        home, expr = chain.home, fill(source.expr)
        self._put(home, fill(source.imports), fill(source.defs))
        for link in chain.links:
            if link.home != home:
                expr = f"{self._cross(home, link.home, link.n, expr, link.by)}()"
                home = link.home
            carried = link.carrier
            self._put(home, carried.imports, filled(carried.defs, link.n).replace("$e", expr))
            expr = filled(carried.expr, link.n).replace("$e", expr)
        self.last[chain.n] = (expr, home)

    def _put(self, home: int, imports: str, defs: str) -> None:
        self.modules[home].bring(imports)
        if defs:
            self.modules[home].chunks.append(f"{defs}\n")

    def _cross(self, home: int, to: int, n: str, expr: str, by: str) -> str:
        """A function of module `home` that gives the expression, as module `to` names it."""
        self.modules[home].chunks.append(f"def get{n}():\n    return {expr}\n")
        return self._named(home, to, f"get{n}", n, by)

    def _named(self, home: int, to: int, name: str, n: str, by: str) -> str:
        """What module `to` writes for a name of module `home`."""
        module, target = HOMES[home], self.modules[to]
        package, _, last = module.rpartition(".")
        if by == "from":
            target.bring(f"from {module} import {name}")
            return name
        if by == "module":
            target.bring(f"import {module}")
            return f"{module}.{name}"
        if by == "alias":
            target.bring(f"from {package} import {last} as m{n}" if package else f"import {module} as m{n}")
            return f"m{n}.{name}"
        if by == "star":
            target.bring(f"from {module} import *")
            return name
        if by == "text":
            target.bring("import importlib")
            return f'importlib.import_module("{module}").{name}'
        target.chunks.append(f"def late{n}():\n    import {module}\n    return {module}.{name}()\n")
        return f"late{n}"

    # ------------------------------------------------------------ steps

    def _body(self, step: Step) -> str:
        """Statements that give ``parts``, and the imports they need."""
        home, lines = self.modules[step.home], []
        for chain in self.program.uses(step):
            expr, where = self.last[chain.n]
            if where != step.home:
                n = f"{chain.n}_s{step.number}"
                expr = f"{self._cross(where, step.home, n, expr, step.by)}()"
            lines.append(f"({chain.n!r}, {expr}),")
        if step.before is not None:
            lines.append("('before', before.read_text()),")
        if step.recalls:
            lines.append("('kept', self.kept),")
        home.bring("import consist_es as consist", "from pathlib import Path")
        inner = "".join(f"    {line}\n" for line in lines)
        speech = "print('at work')\n" if step.number in self.state.spoken else ""
        return f"{speech}parts = [\n{inner}]\n" + ("self.kept = parts\n" if self.program.model else "")

    def _parameters(self, step: Step) -> list[str]:
        found = []
        for chain in self.program.uses(step):
            found += [f"c{chain.n}"] * bool(chain.source.config) + [f"i{chain.n}: Path"] * bool(chain.source.inputs)
        return found + ["before: Path"] * (step.before is not None)

    def _step(self, step: Step) -> None:
        """The function of a step, in its module."""
        if step.form == "trace":
            return
        given, n = self._parameters(step), step.number
        whole = indented(self.bodies[n] + returned(n), 1)
        text = f"def {step.name}({', '.join(given)}):\n{whole}"
        if step.form == "decorated":
            self.modules[step.home].bring("import functools")
            text = (
                f"def noted_{n}(fn):\n    @functools.wraps(fn)\n    def inner(*args, **kwargs):\n"
                f"        return fn(*args, **kwargs)\n    return inner\n\n@noted_{n}\n{text}"
            )
        elif step.form == "method":
            text = f"class Runner_{n}:\n{indented(text.replace('(', '(self, ', 1), 1)}\nrunner_{n} = Runner_{n}()\n"
        elif step.form == "closure":
            text = f"def make_{n}():\n{indented(text, 1)}    return {step.name}\n{step.name} = make_{n}()\n"
        self.modules[step.home].chunks.append(text)

    def _model(self) -> None:
        """The steps as methods of one class."""
        home = self.program.steps[0].home
        text = "class Model:\n    def __init__(self):\n        self.kept = None\n"
        for step in self.program.steps:
            given = ", ".join(["self", *self._parameters(step)])
            text += f"\n    def {step.name}({given}):\n" + indented(self.bodies[step.number] + returned(step.number), 2)
        self.modules[home].chunks.append(text)

    # ------------------------------------------------------------ the script

    def _script(self) -> str:
        """main.py."""
        script = self.modules[MAIN]
        parts = [
            "import json\nimport logging\nimport warnings\nfrom consist_es import Tracker\n",
            "\n".join(script.imports) + "\n",
            f'logging.basicConfig(level=logging.{self.state.level})\nwarnings.simplefilter("ignore")\n',
            'tracker = Tracker(run_dir="runs", db_path="provenance.db", sync="os")\n',
            TELL,
            "\n".join(script.chunks),
        ]
        names = self._functions()
        setup = "\n".join(self.setup) + "\n" if self.setup else ""
        if self.program.function:
            chance = random.Random(f"main {self.program.label}")
            inside = chance.random() < 0.5
            body = (setup if inside else "") + self._round("base", names)
            parts += ["" if inside else setup, f"def main():\n{indented(body, 1)}\n", GUARD]
        else:
            parts += [setup, self._round("base", names)]
        if self.state.live is not None:
            parts += [self._between(), self._round("again", names)]
        imports = "\n".join(script.imports) + "\n"
        parts[1] = imports  # those that the workflow needed are there now
        return "\n".join(part for part in parts if part)

    def _between(self) -> str:
        """Between two rounds of one process: the change, and for the truth a tracker without a past."""
        assert self.state.live is not None
        text = ""
        if self.state.live >= 0:
            chain = self.program.chains[self.state.live]
            reach = "" if chain.home == MAIN else f"{HOMES[chain.home]}."
            text = filled(chain.source.live, chain.n, chain.values[1], reach) + "\n"
        if self.state.alone:
            text += 'tracker = Tracker(run_dir="alone", db_path="alone.db", sync="os")\n'
        return text

    def _functions(self) -> dict[int, str]:
        """What the script writes for the functions of the steps."""
        found = {}
        for step in self.program.steps:
            name = f"runner_{step.number}" if step.form == "method" else step.name
            name = "Model" if self.program.model else name
            if step.home != MAIN:
                name = self._named(step.home, MAIN, name, f"_s{step.number}", step.by)
            found[step.number] = f"{name}.{step.name}" if step.form == "method" else name
        return found

    def _round(self, name: str, functions: dict[int, str]) -> str:
        """The calls of all steps."""
        lines, base = [], "sc" if self.program.scenario else "tracker"
        if self.program.model:
            lines.append(f"simulation = {functions[1]}()\n")
            functions = {step.number: f"simulation.{step.name}" for step in self.program.steps}
        for step in self.program.steps:
            traced = step.form == "trace"
            call = self._traced(step, base) if traced else self._called(step, base, functions[step.number])
            lines.append(
                f"try:\n{indented(call, 1)}except Exception as error:\n"
                f'    tell("{step.name}", None, f"{{type(error).__module__}}.{{type(error).__name__}}: {{error}}")\n'
            )
        for number, home in enumerate(self.state.extra):
            made = f"extra_{number}"
            if home != MAIN:
                made = self._named(home, MAIN, made, f"_x{number}", "from")
            lines.append(f'{base}.run({made}, name="extra_{number}", outputs=["extra"])\n')
        body = "".join(lines)
        return f'with tracker.scenario("{name}") as sc:\n{indented(body, 1)}' if self.program.scenario else body

    def _given(self, step: Step) -> tuple[str, str]:
        """The config and the inputs of a call."""
        config, inputs = [], []
        for chain, value in zip(self.program.chains, self.state.values, strict=True):
            if step.number in chain.users:
                source, n, v = chain.source, chain.n, chain.values[value]
                config += [f'"c{n}": {filled(source.config, n, v)}'] * bool(source.config)
                inputs += [f'"i{n}": "{filled(source.inputs, n, v)}"'] * bool(source.inputs)
        if step.before is not None:
            traced = self.program.steps[step.before - 1].form == "trace"
            name = f"r{step.before}.output.path" if traced else f'consist.ref(r{step.before}, key="out_{step.before}")'
            inputs.append(f'"before": {name}')
        return "{" + ", ".join(config) + "}", "{" + ", ".join(inputs) + "}"

    def _called(self, step: Step, base: str, function: str) -> str:
        self.modules[MAIN].bring("import consist_es as consist")
        config, inputs = self._given(step)
        n = step.number
        more = f", config={config}" * (config != "{}") + f", inputs={inputs}" * (inputs != "{}")
        return (
            f'r{n} = {base}.run({function}, name="{step.name}"{more}, outputs=["out_{n}"])\n'
            f'tell("{step.name}", r{n}.cache_hit, r{n}.output.path.read_text(), r{n}.run.meta)\n'
        )

    def _traced(self, step: Step, base: str) -> str:
        self.modules[MAIN].bring("import consist_es as consist", "from types import SimpleNamespace")
        config, inputs = self._given(step)
        n, lines = step.number, []
        for chain, value in zip(self.program.chains, self.state.values, strict=True):
            if step.number in chain.users and chain.source.config:
                lines.append(f"c{chain.n} = {filled(chain.source.config, chain.n, chain.values[value])}")
                config = config.replace(f'"c{chain.n}": {lines[-1].partition(" = ")[2]}', f'"c{chain.n}": c{chain.n}')
            if step.number in chain.users and chain.source.inputs:
                lines.append(f'i{chain.n} = Path("{filled(chain.source.inputs, chain.n)}")')
        if step.before is not None:
            lines.append(f"before = r{step.before}.output.path")
        more = f", config={config}" * (config != "{}") + f", inputs={inputs}" * (inputs != "{}")
        body = self.bodies[n] + f'out = consist.output_path("out_{n}", ext="txt")\nout.write_text(repr(parts))\n'
        body += f't{n}.log_output(out, key="out_{n}")\n'
        return "".join(f"{line}\n" for line in lines) + (
            f'with {base}.trace("{step.name}"{more}, outputs=["out_{n}"]) as t{n}:\n'
            f"    hit{n}, meta{n} = t{n}.is_cached, consist.current_run().meta\n"
            f'    made{n} = t{n}.cached_output("out_{n}") if hit{n} else None\n'
            f"    if not hit{n}:\n{indented(body, 2)}"
            f"        made{n} = SimpleNamespace(path=out)\n"
            f"r{n} = SimpleNamespace(output=made{n}, outputs={{'out_{n}': made{n}}})\n"
            f'tell("{step.name}", hit{n}, made{n}.path.read_text(), meta{n})\n'
        )


GUARD = 'if __name__ == "__main__":\n    main()\n'
TELL = """\
def tell(name, hit, text, meta=None):
    reason = ((meta or {}).get("cache_miss_explanation") or {}).get("reason", "")
    print("@@" + json.dumps([name, hit, text, reason]), flush=True)

"""


def returned(n: int) -> str:
    """The end of a step's function."""
    return f'out = consist.output_path("out_{n}", ext="txt")\nout.write_text(repr(parts))\nreturn out\n'


def indented(text: str, by: int) -> str:
    """The text, further in."""
    return "".join(f"{'    ' * by}{line}\n" if line else "\n" for line in text.splitlines())


def path_of(home: str) -> str:
    """File of a module."""
    return home.replace(".", "/") + ".py"


def initial(program: Program) -> State:
    """The program as it is written first."""
    return State(tuple(0 for _ in program.chains))


def turned(state: State, chain: int, value: int) -> State:
    """The state with another value for a chain."""
    values = [*state.values]
    values[chain] = value
    return replace(state, values=tuple(values))


def names(chains: Iterable[Chain]) -> list[str]:
    """Labels of the sources of chains."""
    return [chain.source.label for chain in chains]
