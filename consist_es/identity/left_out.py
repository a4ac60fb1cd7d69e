"""Describes what each `code_identity` mode but the default leaves out; shown with every hit."""

_LEFT_OUT = {
    "callable_source": "only the function's own text, defaults, closure and object count; the functions, classes, "
    "constants and modules that it names, and versions of packages, do not",
    "callable_module": "only the function and the file that it is in count; other modules, values that names of the "
    "file got while the program ran, and versions of packages do not",
    "repo_git": "only the function, the commit, changes to tracked files and untracked *.py files count; files that "
    "git ignores, other untracked files, code outside of the repository, values that names got while the program "
    "ran, and versions of packages do not",
}


def left_out(mode: str) -> str:
    """What a `code_identity` mode does not count; "" for the default. Packages of ``model_packages`` always count."""
    return f"code_identity={mode!r}: {_LEFT_OUT[mode]}" if mode in _LEFT_OUT else ""
