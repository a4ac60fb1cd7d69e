"""A program that answers as Docker does, for the tests of containers: the engine itself ran nowhere.

It is a real process that keeps images and containers in the folder ``ENGINE_STUB``. A container is a process of this
machine, in a session of its own, in which every path of the container is replaced by the one that is mounted there.
"""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

STATE = Path(os.environ["ENGINE_STUB"])


def fail(text: str, code: int = 1) -> int:
    """Say what is wrong, as the engine does."""
    print(text, file=sys.stderr)
    return code


def images() -> dict[str, str]:
    """Name or id -> id."""
    path = STATE / "images.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    digests = [each.name.replace("-", ":") for each in STATE.glob("sha256-*")]
    return {**known, **{digest: digest for digest in digests}}


def alive() -> dict[str, dict[str, object]]:
    """Containers whose process runs."""
    found = {}
    for path in sorted(STATE.glob("container-*.json")):
        about = json.loads(path.read_text())
        try:
            os.kill(about["pid"], 0)
        except ProcessLookupError:
            continue
        found[about["name"]] = about
    return found


def inspect_image(arguments: list[str]) -> int:
    """``image inspect --format {{.Id}} NAME``."""
    assert arguments[:2] == ["--format", "{{.Id}}"], arguments
    (name,) = arguments[2:]
    if name not in images():
        print("")
        return fail(f"Error response from daemon: No such image: {name}")
    print(images()[name])
    return 0


VALUED = ("--name", "--label", "--mount", "--env", "--workdir", "--user", "--pull", "--memory")


def run(arguments: list[str]) -> int:
    """``run … IMAGE COMMAND``."""
    given: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        name = rest.pop(0)
        given.setdefault(name, []).append(rest.pop(0) if name in VALUED else "")
    assert given["--pull"] == ["never"]
    image, *command = rest
    if image not in images():
        return fail(f"docker: Error response from daemon: No such image: {image}", 125)
    places = {"/version": str(STATE / images()[image].replace(":", "-"))}
    for text in given.get("--mount", []):
        (fields,) = csv.reader([text])
        said = dict(field.partition("=")[::2] for field in fields)
        assert said["type"] == "bind"
        if not os.path.lexists(said["source"]):
            return fail(f"docker: bind source path does not exist: {said['source']}", 125)
        places[said["target"]] = said["source"]

    pattern = re.compile("|".join(re.escape(place) for place in sorted(places, key=len, reverse=True)))

    def here(text: str) -> str:
        return pattern.sub(lambda match: places[match[0]], text)

    env = {"PATH": os.environ["PATH"]}
    for text in given.get("--env", []):
        name, has_value, value = text.partition("=")
        env[name] = here(value if has_value else os.environ[name])
    (STATE / "last.json").write_text(
        json.dumps({"given": given, "image": image, "command": command, "pid": os.getpid()})
    )
    try:
        child = subprocess.Popen([here(word) for word in command], env=env, start_new_session=True)
    except FileNotFoundError as error:
        return fail(f"docker: exec: {error.filename!r}: executable file not found in $PATH", 127)
    labels = dict(label.partition("=")[::2] for label in given.get("--label", []))
    (name,) = given["--name"]
    record = STATE / f"container-{name}.json"
    record.write_text(json.dumps({"name": name, "pid": child.pid, "labels": labels}))
    code = child.wait()
    record.unlink(missing_ok=True)
    return 128 - code if code < 0 else code


def main(arguments: list[str]) -> int:
    """Answer one command line."""
    if (STATE / "away").exists():
        return fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    match arguments:
        case ["image", "inspect", *rest]:
            return inspect_image(rest)
        case ["run", *rest]:
            return run(rest)
        case ["ps", "--quiet", "--filter", wanted]:
            name, _, value = wanted.removeprefix("label=").partition("=")
            print("\n".join(each for each, about in alive().items() if about["labels"].get(name) == value))  # type: ignore[attr-defined]
            return 0
        case ["inspect", "--format", "{{.Name}}\n{{json .Config.Labels}}", name]:
            about = alive().get(name)
            if about is None:
                return fail(f"Error: No such object: {name}")
            print(f"/{name}\n{json.dumps(about['labels'])}")
            return 0
        case ["rm", "--force", name]:
            about = alive().get(name)
            if about is None:
                return fail(f"Error response from daemon: No such container: {name}")
            os.killpg(about["pid"], signal.SIGKILL)  # type: ignore[arg-type]
            (STATE / f"container-{name}.json").unlink(missing_ok=True)
            return 0
    return fail(f"unknown command: {arguments}", 64)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
