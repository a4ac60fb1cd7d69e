"""DVC: one stage per step in ``dvc.yaml``, run by ``dvc repro``.

The stage depends on all of the project's Python files but the script that makes the calls, which is more than
DVC's guides ask for, on its inputs and declared dependencies, and on ``params.yaml``, where its config lies. A step
without an output file gets one that says that it is done, since DVC keeps outputs, not results.
"""

import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

from attacks.request import NotExpressible, Request

yaml: Any = importlib.import_module("ruamel.yaml")
CAN = {"inputs", "outputs", "declared", "depends"}
STAGE = """\
import builtins, importlib, json, os, sys
from pathlib import Path
from ruamel.yaml import YAML
def ran(*values):
    with open(os.environ["ATTACK_RAN"], "a") as file:
        file.write("ran\\n")
builtins.ran, builtins.made = ran, lambda path: path
sys.path.insert(0, os.getcwd())
name, function, arguments = sys.argv[1:]
given = {key: Path(path) for key, path in json.loads(arguments).items()}
config = YAML(typ="safe").load(Path("params.yaml")).get(name)
if config is not None:
    given["config"] = config
module, _, function = function.partition(":")
getattr(importlib.import_module(module), function)(**given)
if "out" not in given:
    Path(name + ".done").touch()
"""


def version() -> str:
    """Of DVC."""
    return importlib.metadata.version("dvc")


def made(path: Any) -> Any:
    """The path itself."""
    return path


def call(request: Request) -> Path | None:
    """Write the stage and reproduce it."""
    fn = request.fn
    module = sys.modules.get(getattr(fn, "__module__", ""))
    plain = isinstance(fn, types.FunctionType) and getattr(module, fn.__name__, None) is fn
    if not plain or fn.__module__ in ("__main__", "builtins"):
        raise NotExpressible("a stage is a command: it can call functions of modules only")
    if not Path(".dvc").exists():
        command("init", "-q", "--no-scm")
        Path("stage.py").write_text(STAGE)
    params = changed_yaml("params.yaml", request.name, request.config)
    check(request.config, params.get(request.name))
    arguments = dict(request.inputs) | ({} if request.output is None else {"out": request.output})
    said = json.dumps(arguments, sort_keys=True)
    stage: dict[str, Any] = {
        "cmd": f"python -B stage.py {request.name} {fn.__module__}:{fn.__name__} '{said}'",
        "deps": [*sources(), *request.depends, *sorted(request.inputs.values())],
        "outs": [f"{request.name}.done" if request.output is None else request.output],
    }
    if request.config is not None:
        stage["params"] = [request.name]
    stages = changed_yaml("dvc.yaml", "stages", None).get("stages") or {}
    changed_yaml("dvc.yaml", "stages", {**stages, request.name: stage})
    command("repro", request.name)
    return None if request.output is None else Path(request.output)


def sources() -> list[str]:
    """The project's Python files and native modules, without the calling script and our own."""
    found = (path.relative_to(Path.cwd()).as_posix() for end in ("py", "so") for path in Path.cwd().rglob(f"*.{end}"))
    return sorted(path for path in found if path not in ("main.py", "again.py", "stage.py"))


def changed_yaml(name: str, key: str, value: Any) -> Any:
    """Set an entry of a YAML file, unless the value is None; what a reader of the file then finds."""
    file, codec = Path(name), yaml.YAML(typ="safe")
    content = codec.load(file) if file.exists() else {}
    if value is not None or not file.exists():
        try:
            with file.open("w") as stream:
                codec.dump({**content, key: value} if value is not None else content, stream)
        except Exception as error:
            raise NotExpressible(f"params.yaml cannot hold it: {error}") from error
    return codec.load(file)


def check(config: Any, read: Any) -> None:
    """What the stage will read must be what the case means."""
    if in_order(config) != in_order(read):
        raise NotExpressible(f"params.yaml cannot hold it: {config!r:.80}")


def in_order(value: Any) -> str:
    """What a value is, with its types; the order of dicts does not count, and what DVC cannot lock is nothing."""
    if type(value) is dict:
        return str(sorted((in_order(key), in_order(item)) for key, item in value.items()))
    if type(value) is list:
        return str([in_order(item) for item in value])
    return f"{type(value)} {value!r}" if not isinstance(value, bytes) else f"bytes {id(value)}"


def command(*words: str) -> None:
    """Run DVC."""
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_TEST": "1"}
    done = subprocess.run([sys.executable, "-m", "dvc", *words], env=env, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise RuntimeError(said[0] if said else "dvc failed")
