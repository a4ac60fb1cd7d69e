"""Describes what the code identity of a step leaves out; shown with every hit."""

from collections.abc import Iterable

_LEFT_OUT = {
    "callable_source": "only the function's own text, defaults, captured plain values and object count; captured "
    "objects, the functions, classes, constants and modules that it names, and versions of packages, do not",
    "callable_module": "only the function and the file that it is in count; captured objects, other modules, values "
    "that names of the file got while the program ran, and versions of packages do not",
    "repo_git": "only the function, the commit, changes to tracked files and untracked *.py files count; captured "
    "objects, files that git ignores, other untracked files, code outside of the repository, values that names got "
    "while the program ran, and versions of packages do not",
}


def left_out(mode: str, parts: Iterable[str] = ()) -> str:
    """What a step's code identity does not count; "" for the default. Packages of ``model_packages`` always count.

    `parts` are the labels of the identity: they name the captured variables whose values do not count.
    """
    said = [f"code_identity={mode!r}: {_LEFT_OUT[mode]}"] if mode in _LEFT_OUT else []
    found: dict[str, list[str]] = {"captured": [], "exempt": []}
    for part in parts:
        kind, _, rest = part.partition(" ")
        if kind in found:
            found[kind].append(rest.partition(" of ")[0])
    names = {kind: ", ".join(sorted(set(held))) for kind, held in found.items()}
    if names["captured"]:
        said.append(f"the values of {names['captured']} did not count")
    if names["exempt"]:
        said.append(f"identity_exempt: the values of {names['exempt']} did not count, nor what the step does to them")
    return "; ".join(said)
