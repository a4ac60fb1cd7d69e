"""Of R13: pairs of folders, whose digests must be equal exactly where names and content are."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from consist_es.artifacts.digest import digest_path
from consist_es.errors import InputError
from torture.trial import Trial, require

Tree = dict[str, str | None]
"""Path -> content of a file, ``-> target`` of a link, None for a folder."""
NAMES = ("a", "b", "ab", "A", "é", "e\u0301", ".x", "a.txt", " ", "a\nb", "\udcff")
CONTENTS = ("", "a", "b", "ab", "-> a", "-> b", "\0", "a\n", "a\r\n")
"""What looks like the target of a link is one."""


def some_tree(chance: random.Random) -> Tree:
    tree: Tree = {}
    folders = [""]
    for _ in range(chance.randint(0, 5)):
        path = f"{chance.choice(folders)}{chance.choice(NAMES)}"
        if path in tree:
            continue
        tree[path] = None if chance.random() < 0.3 else chance.choice(CONTENTS)
        if tree[path] is None:
            folders.append(f"{path}/")
    return tree


def _renamed(tree: Tree, chance: random.Random) -> Tree:
    """A file, or a folder with all that is in it, gets another name, or goes to another folder."""
    old = chance.choice([*tree, ""])
    new = chance.choice(["", *(f"{path}/" for path, content in tree.items() if content is None)]) + chance.choice(NAMES)
    if not old or new in tree or f"{new}/".startswith(f"{old}/"):
        return tree
    return {new + path[len(old) :] if f"{path}/".startswith(f"{old}/") else path: tree[path] for path in tree}


def _rewritten(tree: Tree, chance: random.Random) -> Tree:
    files = [path for path, content in tree.items() if content is not None]
    return {**tree, chance.choice(files): chance.choice(CONTENTS)} if files else tree


def _more(tree: Tree, chance: random.Random) -> Tree:
    """One file or empty folder more."""
    return {chance.choice(NAMES): chance.choice([None, *CONTENTS]), **tree}


def _less(tree: Tree, chance: random.Random) -> Tree:
    gone = chance.choice([*tree, ""])
    return {path: content for path, content in tree.items() if not f"{path}/".startswith(f"{gone}/")} if gone else tree


def _swapped(tree: Tree, chance: random.Random) -> Tree:
    """The contents of two files change places."""
    files = [path for path, content in tree.items() if content is not None]
    if len(files) < 2:
        return tree
    one, two = chance.sample(files, 2)
    return {**tree, one: tree[two], two: tree[one]}


CHANGES: tuple[Callable[[Tree, random.Random], Tree], ...] = (_renamed, _rewritten, _more, _less, _swapped)


def made(place: Path, tree: Tree, chance: random.Random) -> Path:
    """The tree on disk: in any order, at any time, with any permissions to write and execute."""
    place.mkdir(parents=True)
    folders = sorted(path for path, content in tree.items() if content is None)
    rest = [path for path, content in tree.items() if content is not None]
    chance.shuffle(rest)
    for path in [*folders, *rest]:
        content = tree[path]
        if content is None:
            (place / path).mkdir()
        elif content.startswith("-> "):
            (place / path).symlink_to(content[3:])
        else:
            (place / path).write_bytes(content.encode())
            (place / path).chmod(chance.choice([0o644, 0o755, 0o600]))
        if chance.random() < 0.5:
            os.utime(place / path, (1_000_000, chance.randrange(2_000_000)), follow_symlinks=False)
    return place


def _in_a_circle(tree: Tree) -> bool:
    """Whether a link leads back to itself, which has no digest. All links lead to their own folder here."""
    for path, content in tree.items():
        folder = path[: path.rfind("/") + 1]
        seen = {path}
        while content is not None and content.startswith("-> "):
            path = folder + content[3:]
            if path in seen:
                return True
            seen.add(path)
            content = tree.get(path)
    return False


def _is_refused(place: Path, tree: Tree, chance: random.Random) -> bool:
    try:
        digest_path(made(place, tree, chance))
    except InputError:
        return True
    finally:
        shutil.rmtree(place)
    return False


def tree_pairs(trial: Trial, count: int) -> None:
    """`count` pairs of folders; equal digests exactly where names, kinds and content are, wherever they lie."""
    chance, folder = trial.random, trial.room("trees")
    seen: dict[str, Tree] = {}
    for number in trial.cases(count):
        one = some_tree(chance)
        two = one if chance.random() < 0.3 else chance.choice(CHANGES)(one, chance)
        if _in_a_circle(one) or _in_a_circle(two):
            refused = [_is_refused(folder / f"{number}-{tree is one}", tree, chance) for tree in (one, two)]
            require(refused == [_in_a_circle(one), _in_a_circle(two)], f"{one!r} and {two!r}: a circle has a digest")
            trial.tell("pairs with a circle")
            continue
        places = folder / f"{number}", folder / chance.choice(["", "deeper/", "é/"]) / f"{number}-two"
        first, second = (
            digest_path(made(place, tree, chance)).value for place, tree in zip(places, (one, two), strict=True)
        )
        trial.tell("pairs of folders")
        trial.tell("of them the same", int(one == two))
        if (first == second) != (one == two):
            trial.fail(f"{one!r} and {two!r}: the digests are {'equal' if first == second else 'different'}")
        if seen.setdefault(first, one) != one:
            trial.fail(f"{one!r} has the digest of {seen[first]!r}")
        for place in places:
            shutil.rmtree(place)
    shutil.rmtree(folder)
