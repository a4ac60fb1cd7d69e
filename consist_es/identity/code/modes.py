"""Identity of a step's code.

The default mode, ``imports``, follows what a function reaches from the live objects: its own normalised source,
defaults, closure and globals (functions and classes of its file by their own source, constants by their present value),
and whole first-party modules that it imports, transitively. The workflow part of the same file therefore does not
count. Every mode counts the function itself, see docs/decisions/0004.

Code that cannot be identified raises nothing: it is listed in `unstable`, and such a run is never reused.
"""

import functools
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.bundles import digest_whole
from consist_es.errors import CodeIdentityUnavailableError, InputError, OptionError, UsageTypeError
from consist_es.identity.code.block import Entry, blocks_at, visit_blocks
from consist_es.identity.code.parts import WholeVisitor
from consist_es.identity.git import git_state
from consist_es.identity.installed.places import counting, is_first_party, package_part
from consist_es.identity.live.left_out_values import LeftOut, left_out_of
from consist_es.identity.live.modules import file_label
from consist_es.identity.live.objects import innermost
from consist_es.identity.live.written import NOTHING, Written
from consist_es.identity.text.source import digest_plain, flush_facts, load_source

MODES = ("imports", "repo_git", "callable_module", "callable_source")
_DOMAIN = "consist-es code 1"


class CodeIdentity(msgspec.Struct, frozen=True):
    """Identity of a step's code."""

    digest: str
    mode: str
    """The mode used; ``imports`` if ``repo_git`` found no repository."""
    parts: dict[str, str]
    """Function, value, file or dependency -> digest."""
    unstable: list[str]
    """Reasons why code could not be identified; the step is reused only if this is empty."""
    installed: frozenset[str] = frozenset()
    """Files of installed modules that the code imports."""
    added: frozenset[str] = frozenset()
    """The parts unknown to version 1 of the fingerprint."""
    own: str = ""
    """File of the callable."""
    files: frozenset[str] = frozenset()
    """Files of the project's other modules that the code imports."""
    objects: tuple[tuple[str, Any, str], ...] = ()
    """Objects of installed packages that count by their state: path, object, and its digest when identified."""
    said: dict[str, Any] = {}
    """The values behind it where it is no code: of a program in a container. Without secrets."""

    @property
    def before(self) -> str:
        """The digest by version 1 of the fingerprint."""
        return _digest(self.mode, {name: part for name, part in self.parts.items() if name not in self.added})

    def reaches(self, filename: str, qualname: str) -> bool:
        """True if the code may call this function."""
        if filename != self.own or qualname == "<module>":
            return filename in self.files or filename == self.own
        return any(label.endswith(f":{qualname}") for label in self.parts)


def with_parts(code: CodeIdentity, changed: Mapping[str, str]) -> CodeIdentity:
    """The same identity with other digests for some of its parts."""
    parts = {**code.parts, **changed}
    return msgspec.structs.replace(code, digest=_digest(code.mode, parts), parts=parts)


def _digest(mode: str, parts: Mapping[str, str]) -> str:
    return _digest_of(mode, tuple(parts.items()))


# cached: a step is asked about again and again, and may have a part for each of a thousand files
@functools.lru_cache(maxsize=64)
def _digest_of(mode: str, parts: tuple[tuple[str, str], ...]) -> str:
    return digest_plain([_DOMAIN, mode, dict(parts)])


def code_identity(
    fn: Callable[..., Any] | None,
    *,
    mode: str | None = None,
    extra_deps: Sequence[str] | None = None,
    project_root: Path,
    label_root: Path | None = None,
    uses: Any = None,
    ignored: Iterable[str] = (),
    unread: Written = NOTHING,
) -> CodeIdentity:
    """Identity of a callable.

    `extra_deps` are files or folders, relative to `project_root`, that count by content. Files of code are named from
    `label_root` (default: `project_root`). `uses` is passed to the function (its config): the classes of objects in it
    count as code. Installed models of one's own count like files of the project, except the distributions in `ignored`.
    `unread` are attributes of the object it is bound to that do not count.

    Raises `OptionError` for an unknown mode, `UsageTypeError` if `extra_deps` is not a list of str, `InputError` for
    one that cannot be read, and `CodeIdentityUnavailableError` if there is nothing to identify.
    """
    chosen = _mode(mode)
    deps = _dependencies(extra_deps, project_root)
    if fn is None:
        return _without_callable(chosen, deps, project_root)
    named_from = label_root or project_root
    chosen, found = _mode_parts(chosen, fn, project_root, named_from)
    own = _file(innermost(fn))
    with counting(own, ignored):
        visitor = WholeVisitor(named_from, follow=chosen == "imports", declared=bool(deps), own=own, unread=unread)
        visitor.left_out = left_out_of(fn, objects=is_code_alone(mode))
        target = visitor.reference(fn, "the step")
        visitor.classes_in(uses)
        visitor.reach.given.append(uses)
        return _visited(chosen, target, visitor, {**found, **deps, **_large(own)})


def trace_identity(
    frame: Entry,
    *,
    mode: str | None = None,
    extra_deps: Sequence[str] | None = None,
    project_root: Path,
    label_root: Path | None = None,
    ignored: Iterable[str] = (),
) -> CodeIdentity:
    """Identity of the ``with`` block that `frame` is entering.

    Counts the block's statements, what they reach, and the present values of local variables they read; in a context
    manager of the user, also the block around it. If the source cannot be found, the whole code around the block
    counts. Raises as `code_identity` does.
    """
    chosen = _mode(mode)
    deps = _dependencies(extra_deps, project_root)
    named_from = label_root or project_root
    blocks = blocks_at(frame, named_from)
    outermost = blocks[-1].frame
    chosen, found = _mode_parts(chosen, outermost, project_root, named_from)
    own = outermost.f_code.co_filename
    with counting(own, ignored):
        visitor = WholeVisitor(named_from, follow=chosen == "imports", declared=bool(deps), own=own)
        visitor.left_out = LeftOut(objects=is_code_alone(mode))
        target = visit_blocks(visitor, blocks)
        return _visited(chosen, target, visitor, {**found, **deps})


def _large(filename: str) -> dict[str, str]:
    """The step's distribution as one part, if it is too large to be followed."""
    return {} if is_first_party(filename) else package_part(filename)


def changed_objects(code: CodeIdentity, root: Path) -> list[str]:
    """Paths of installed packages' objects that have changed since the code was identified."""
    return [where for where, value, digest in code.objects if _state_digest(value, root) != digest]


def _state_digest(value: Any, root: Path) -> str:
    return digest_plain(WholeVisitor(root, follow=False, declared=True, own="").reference(value, "object"))


def _visited(mode: str, target: Any, visitor: WholeVisitor, besides: Mapping[str, str]) -> CodeIdentity:
    parts = {**visitor.finish(), **besides}
    found = _identity(mode, target, parts, visitor.unstable, visitor.added)
    objects = [] if found.unstable else visitor.objects
    states = tuple((where, value, _state_digest(value, visitor.root)) for where, value in objects)
    modules = visitor.modules
    return msgspec.structs.replace(
        found, installed=frozenset(modules.installed), objects=states, own=visitor.own, files=modules.files
    )


def _identity(
    mode: str, target: Any, parts: dict[str, str], unstable: Sequence[str], added: Mapping[str, str] | None = None
) -> CodeIdentity:
    flush_facts()
    since = added or {}
    ordered = {"callable": digest_plain(target), **dict(sorted({**parts, **since}.items()))}
    return CodeIdentity(_digest(mode, ordered), mode, ordered, sorted(set(unstable)), added=frozenset(since))


def is_code_alone(mode: str | None) -> bool:
    """True for a mode that was asked for and counts code, not the values of captured objects."""
    return mode is not None and mode != MODES[0]


def _mode(mode: str | None) -> str:
    if mode is None:
        return MODES[0]
    if mode not in MODES:
        raise OptionError("code_identity", mode, MODES)
    return mode


def _without_callable(mode: str, deps: dict[str, str], root: Path) -> CodeIdentity:
    found = _git_part(root) if mode == "repo_git" else None
    if found is None:
        raise CodeIdentityUnavailableError(
            mode, "there is no function", "Pass fn, or use repo_git inside a repository."
        )
    return _identity(mode, None, {**found, **deps}, [])


def _mode_parts(mode: str, fn: Any, root: Path, named_from: Path) -> tuple[str, dict[str, str]]:
    """The mode in effect, and the parts that it adds to the callable itself."""
    if mode == "repo_git":
        found = _git_part(root)
        return (mode, found) if found is not None else (MODES[0], {})
    if mode == "callable_module":
        return mode, _module_part(fn, named_from)
    return mode, {}


def _git_part(root: Path) -> dict[str, str] | None:
    state = git_state(root)
    return None if state is None else {"git commit": state.commit, "git changes": state.dirty or "none"}


def _module_part(fn: Any, root: Path) -> dict[str, str]:
    filename = fn.f_code.co_filename if isinstance(fn, types.FrameType) else _file(innermost(fn))
    source = load_source(filename) if filename else None
    if source is None:
        raise CodeIdentityUnavailableError(
            "callable_module", "the callable has no source file", "Define it in a file, or use code_identity='imports'."
        )
    return {f"file {file_label(source.filename, root)}": source.digest}


def _file(fn: Any) -> str:
    code = getattr(fn, "__code__", None)
    if code is None and isinstance(fn, type):
        import sys

        return str(getattr(sys.modules.get(fn.__module__), "__file__", None) or "")
    return code.co_filename if isinstance(code, types.CodeType) else ""


def _dependencies(extra_deps: Sequence[str] | None, root: Path) -> dict[str, str]:
    """Digest of every dependency, "missing" for one that does not exist."""
    if extra_deps is None:
        return {}
    if isinstance(extra_deps, (str, bytes)) or not isinstance(extra_deps, (list, tuple)):
        raise UsageTypeError(f"code_identity_extra_deps takes a list of str, not {type(extra_deps).__name__}.")
    found = {}
    for name in extra_deps:
        if not isinstance(name, str):
            raise UsageTypeError(f"code_identity_extra_deps must hold str only, not {type(name).__name__} ({name!r}).")
        path = root / name
        try:
            found[f"dependency {name}"] = digest_whole(path).value if path.exists() else "missing"
        except InputError as problem:
            raise InputError(f"code_identity_extra_deps: {problem}") from problem
    return found
