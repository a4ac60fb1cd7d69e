"""R13 and R14: equal keys only for equal work, and no key at all for what could not be hashed."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from consist_es.artifacts.digest import digest_path
from consist_es.errors import InputError
from consist_es.identity.config import canonical, config_digest
from torture import pinned_keys
from torture.children import ended, fork
from torture.sources import code_pairs
from torture.trees import tree_pairs
from torture.trial import Trial, require

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534

# ---------------------------------------------------------------- R13

_LEAVES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 1.0, 0.0, -0.0, math.nan, math.inf, -math.inf, 10**30, "", "1", "a", "é", "e\u0301",
    "$float", "\0", b"", b"a", b"1", (), [], {}, Path("a"), frozenset(), 3.5, "None", "[]",
]  # fmt: skip


def some_value(chance: random.Random, depth: int = 3) -> Any:
    """A config value of any shape."""
    kind = chance.randrange(7) if depth else 0
    if kind < 3:
        leaf = chance.choice(_LEAVES)
        return chance.randint(-5, 5) if leaf is None and chance.random() < 0.5 else leaf
    items = [some_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    if kind == 3:
        return items
    if kind == 4:
        return tuple(items)
    keys = chance.sample(["a", "b", "c", "$a", "$float", "$tuple", "", "1"], len(items))
    return dict(zip(keys, items, strict=True))


def model(value: Any) -> Any:
    """What a step can tell apart, said in another way than the library's."""
    if isinstance(value, dict):
        return ("dict", tuple(sorted((key, model(item)) for key, item in value.items())))
    if isinstance(value, list | tuple):
        return (type(value).__name__, tuple(model(item) for item in value))
    if isinstance(value, frozenset):
        return ("set", tuple(sorted(map(model, value))))
    return (type(value).__name__, repr(value))


def _changed(value: Any, chance: random.Random) -> Any:
    """The same value in another order of keys, or with one thing changed."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        items = list(value.items())
        chance.shuffle(items)
        if chance.random() < 0.6:
            place = chance.randrange(len(items))
            items[place] = (items[place][0], _changed(items[place][1], chance))
        return dict(items)
    if isinstance(value, list | tuple) and value and chance.random() < 0.8:
        found = list(value)
        place = chance.randrange(len(found))
        found[place] = _changed(found[place], chance)
        return type(value)(found)
    return chance.choice(
        [value, value, some_value(chance, 1), [value], (value,), {"a": value}, str(value), {"$tuple": value}]
    )


def identity(trial: Trial) -> None:
    """R13: `count` pairs of configs, a fiftieth of folders, a hundredth of functions; equal keys exactly where a model
    says equal, in every process, and the keys of fixed things as they have always been."""
    chance = trial.random
    seen: dict[bytes, Any] = {}
    for _ in trial.cases():
        one = some_value(chance)
        two = _changed(one, chance)
        first, second = canonical(one), canonical(two)
        trial.tell("pairs")
        if (first == second) != (model(one) == model(two)):
            trial.fail(f"{one!r} and {two!r}: the keys are {'equal' if first == second else 'different'}")
        if seen.setdefault(second, model(two)) != model(two):
            trial.fail(f"{two!r} has the key of {seen[second]!r}")
    trial.notes["different values"] = len(seen)
    for python in trial.interpreters():
        with trial.case(python, "interpreters"):
            digests = {_digests_elsewhere(trial.seed, hash_seed, python) for hash_seed in ("0", "1", "77")}
            require(digests == {_digests(trial.seed)}, "another interpreter gives other keys")
            # Not with -m: what the script that is run sets up counts for every step.
            found = json.loads(
                _said(
                    python, "-c", "import json; from torture import pinned_keys; print(json.dumps(pinned_keys.keys()))"
                )
            )
            require(found == pinned_keys.written_down(), f"not the keys of {pinned_keys.GOLDEN.name}: {found}")
    tree_pairs(trial, trial.count // 50)
    code_pairs(trial, trial.count // 100)


def _digests(seed: int) -> str:
    chance = random.Random(seed)
    return config_digest([some_value(chance) for _ in range(500)])


def _digests_elsewhere(seed: int, hash_seed: str, python: str) -> str:
    return _said(python, "-c", f"from torture.keys import _digests; print(_digests({seed}))", hash_seed=hash_seed)


def _said(*command: str, hash_seed: str = "random") -> str:
    """What a fresh interpreter prints."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    require(done.returncode == 0, lambda: done.stderr[-500:])
    return done.stdout.strip()


# ---------------------------------------------------------------- R14


def _unreadable(folder: Path) -> Path:
    (folder / "x").write_text("x")
    (folder / "x").chmod(0)
    return folder / "x"


def _closed_folder(folder: Path) -> Path:
    (folder / "d").mkdir()
    (folder / "d" / "x").write_text("x")
    (folder / "d").chmod(0)
    return folder / "d"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "x")
    return folder / "x"


def _socket(folder: Path) -> Path:
    before = Path.cwd()
    os.chdir(folder)  # the path of a socket must be short
    socket.socket(socket.AF_UNIX).bind("x")
    os.chdir(before)
    return folder / "x"


def _plain(folder: Path) -> Path:
    (folder / "x").write_bytes(bytes(3_000_000))
    return folder / "x"


def _missing(folder: Path) -> Path:
    return folder / "x"


def _dangling(folder: Path) -> Path:
    (folder / "x").symlink_to("nowhere")
    return folder / "x"


def _device(folder: Path) -> Path:
    return Path("/dev/zero")


def _failing_read(path: Path) -> Any:
    return mock.patch("os.readv", side_effect=OSError(errno.EIO, "Input/output error"))


def _while_it_is_read(deed: Callable[[Path], object]) -> Callable[[Path], Any]:
    def patch(path: Path) -> Any:
        real = os.readv

        def read(descriptor: int, buffers: Any) -> int:
            deed(path)
            return real(descriptor, buffers)

        return mock.patch("os.readv", read)

    return patch


Case = tuple[Callable[[Path], Path], Callable[[Path], Any] | None]
CASES: dict[str, Case] = {
    "unreadable": (_unreadable, None),
    "a folder that cannot be entered": (_closed_folder, None),
    "missing": (_missing, None),
    "a link to nowhere": (_dangling, None),
    "a FIFO": (_fifo, None),
    "a socket": (_socket, None),
    "a device": (_device, None),
    "EIO": (_plain, _failing_read),
    "vanishing while hashed": (_plain, _while_it_is_read(lambda path: path.unlink(missing_ok=True))),
    "changing while hashed": (_plain, _while_it_is_read(lambda path: path.write_bytes(os.urandom(3_000_000)))),
    "cut while hashed": (_plain, _while_it_is_read(lambda path: os.truncate(path, 10))),
}


def unhashable(trial: Trial) -> None:
    """R14: an error that names the path; no key."""
    for number, (name, (make, patch)) in enumerate(CASES.items()):
        room = trial.room(f"k{number}")
        path = make(room)
        trial.folder.chmod(0o755)
        errors = trial.folder / f"errors{number}"
        with trial.case(name, "cases"):
            status = ended(fork(lambda path=path, patch=patch: _refused(path, patch), errors))  # type: ignore[misc]
            require(status == 0, lambda errors=errors: errors.read_text()[-500:] if errors.exists() else "killed")
        _open_again(room)
    _no_key_in_a_step(trial)


def _refused(path: Path, patch: Callable[[Path], Any] | None) -> None:
    if os.getuid() == 0 and patch is None:  # root may read everything
        os.setgroups([])
        os.setuid(NOBODY)
    try:
        if patch is None:
            digest_path(path)
        else:
            with patch(path):
                digest_path(path)
    except InputError as error:
        require(str(path) in str(error), f"the error does not name the path: {error}")
    except PermissionError as error:  # of a folder above that nobody may enter
        raise AssertionError(f"not ours: {error}") from error
    else:
        raise AssertionError("it has a digest")


def _open_again(room: Path) -> None:
    for path in room.iterdir():
        if not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(room)


def _no_key_in_a_step(trial: Trial) -> None:
    """A step whose input cannot be hashed does not run and records nothing."""
    from torture import operations

    room = trial.room("step")
    with trial.case("a step", "steps"), operations.inside(room), operations.opened(sync="os") as tracker:
        os.mkfifo("x")
        try:
            tracker.run(operations.step, inputs={"x": Path("x")})
        except InputError:
            pass
        else:
            raise AssertionError("the step ran")
        require(tracker.find_runs() == [], "something was recorded")
