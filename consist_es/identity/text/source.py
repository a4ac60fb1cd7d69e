"""Loads Python source for identity: facts that follow from a file's text, and the node of a code object.

Comments, formatting and docstrings do not count (docstrings do if the file mentions ``__doc__``), see
`consist_es.identity.text.normal`.
"""

import ast
import gc
import linecache
import os
import types
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.util import decode_source
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from blake3 import blake3

from consist_es.artifacts.digest import OURS
from consist_es.artifacts.digest_cache import Stamp, is_of_age, now_ns, stamp_of
from consist_es.identity.installed.archives import lines_of
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.text.bytecode import code_digest, nested_codes
from consist_es.identity.text.imports import IMPORTERS, ImportRef, computed_imports, effects_of, importing, imports_of
from consist_es.identity.text.normal import Survey, normal_form
from consist_es.identity.text.source_cache import SourceCache, flush_caches, source_cache
from consist_es.values.digests import digest_of
from consist_es.values.plain import frame

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
T = TypeVar("T")
_MISSING: Any = object()
_MOST_FILES = 4096
_MOST_CODES = 10_000
_MOST_TEXT = 2 << 20
"""Characters of the files with cached trees; a tree takes some sixty times as much memory as its text."""


class Fact(Generic[T]):
    """A fact that follows from the text of a file alone. Found once for each version of it, and cached on disk.

    ``find`` must use nothing else: not the file's name, other files, or live objects. Its result must survive msgpack
    and back as `kind`. The first fact asked for finds all facts, from one tree that is then dropped. An edit to any
    module of `consist_es.identity` invalidates the disk cache, so facts need no version of their own.
    """

    def __init__(self, name: str, kind: Any, find: "Callable[[Parsed], T]") -> None:
        self.name, self.find = name, find
        self._decoder = msgspec.msgpack.Decoder(kind)
        _FACTS[name] = self

    def of(self, source: "Source") -> T:
        found = source.facts.get(self.name, _MISSING)
        if found is _MISSING:
            found = source.facts[self.name] = self._decoded(source)
        return found  # type: ignore[no-any-return]

    def _decoded(self, source: "Source") -> T:
        data = source.encoded.get(self.name)
        try:
            if data is not None:
                return self._decoder.decode(data)  # type: ignore[no-any-return]
        except msgspec.MsgspecError:
            pass  # a row of ours in another form
        source.find_facts()
        if self.name in source.facts:
            return source.facts[self.name]  # type: ignore[no-any-return]
        # decoded even if just found, so that the value is the same from either source
        return self._decoder.decode(source.encoded[self.name])  # type: ignore[no-any-return]


_FACTS: dict[str, Fact[Any]] = {}


class Parsed:
    """One parse of a file, to find facts in."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self.text, self.tree = text, tree
        self.survey = Survey([tree], keep_docstrings="__doc__" in text)
        """All nodes by scope and class, so that a search for a class of nodes needs no walk."""

        self._found: dict[tuple[Any, ast.AST], Any] = {}

    def once(self, find: "Callable[[Any], T]", node: ast.AST) -> T:
        """Result of `find` for a node, cached for facts that share it."""
        key = (find, node)
        if key not in self._found:
            self._found[key] = find(node)
        return self._found[key]  # type: ignore[no-any-return]

    def mentions(self, *words: str) -> bool:
        """True if the text contains one of these words anywhere."""
        return any(word in self.text for word in words)


class Source:
    """One version of a file (or notebook cell)."""

    def __init__(self, filename: str, text: str, content: str = "", encoded: dict[str, bytes] | None = None) -> None:
        self.filename, self.text, self.content = filename, text, content
        """Digest of the file's bytes, "" if the facts are not cached on disk."""
        self.keep_docstrings = "__doc__" in text
        self.facts: dict[str, Any] = {}
        """Decoded facts, by name."""
        self.encoded = encoded or {}
        self._tree: ast.Module | None = None
        self._codes: dict[tuple[int, str], list[types.CodeType]] | None = None
        self._known: dict[int, tuple[types.CodeType, bool]] = {}
        """Id -> code object (kept alive, so that no id is reused), True if the text compiles to it."""
        self._digests: dict[tuple[ast.AST, ...], str] = {}
        """Nodes -> digest: every run of a step asks for the same ones again."""
        self._effects: list[tuple[str, ast.stmt]] | None = None
        self._index: tuple[dict[tuple[int, str], list[Function]], dict[str, list[ast.ClassDef]]] | None = None

    # ------------------------------------------------------------ the tree

    @property
    def tree(self) -> ast.Module:
        """The parsed file, cached for a while so that its nodes stay the same. Raises what `ast.parse` raises."""
        if (tree := self._tree) is None:
            tree = self._tree = self.parsed()
            _keep_tree(self)
        return tree

    def parsed(self) -> ast.Module:
        with _uncollected():
            return ast.parse(self.text)

    def drop_tree(self) -> None:
        """Drop the nodes; the next use parses the file again."""
        self._tree = self._index = self._effects = self._codes = None
        self._digests = {}

    @property
    def functions(self) -> dict[tuple[int, str], list[Function]]:
        """First line, with decorators, and name -> the functions that begin there."""
        return self._indexed()[0]

    @property
    def classes(self) -> dict[str, list[ast.ClassDef]]:
        """Qualified name -> the classes of that name."""
        return self._indexed()[1]

    def _indexed(self) -> tuple[dict[tuple[int, str], list[Function]], dict[str, list[ast.ClassDef]]]:
        if (index := self._index) is None:
            index = self._index = _index_of(self.tree)
        return index

    # ------------------------------------------------------------ facts

    def find_facts(self) -> None:
        """Find all facts, and queue them for the disk cache."""
        with _uncollected():
            found = _with_room(self._find)
        try:
            self.encoded = {name: msgspec.msgpack.encode(item) for name, item in found.items()}
        except UnicodeEncodeError:  # text with half of a surrogate pair
            self.facts = found
            return
        if self.content and (cache := source_cache()) is not None:
            cache.add(self.content, self.encoded)

    def _find(self) -> dict[str, Any]:
        parsed = Parsed(self.text, self._tree or self.parsed())
        return {name: fact.find(parsed) for name, fact in list(_FACTS.items())}

    @property
    def digest(self) -> str:
        """Digest over the normal form of the whole file."""
        return _DIGEST.of(self)

    @property
    def imports(self) -> tuple[ImportRef, ...]:
        """Every module that it imports."""
        return _IMPORTS.of(self)

    @property
    def dynamic(self) -> bool:
        """True if it imports modules by computed names."""
        return _DYNAMIC.of(self)

    @property
    def effects(self) -> list[tuple[str, ast.stmt]]:
        """(name, statement) for each module-level statement that changes the object of a name."""
        if self._effects is None:
            self._effects = list(effects_of(self.tree.body))
        return self._effects

    def digest_of(self, *nodes: ast.AST) -> str:
        """Digest over the normal form of some of the source's own nodes."""
        if nodes not in self._digests:
            self._digests[nodes] = _form_digest(normal_form(nodes, keep_docstrings=self.keep_docstrings))
        return self._digests[nodes]

    def texts(self, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
        """Digest and text of the whole file and of the nodes digested so far, as far as their digests are `wanted`."""
        if self.digest in wanted:
            yield self.digest, self.text
        lines = self.text.splitlines(keepends=True)
        for nodes, digest in self._digests.items():
            if digest in wanted:
                yield digest, "".join("".join(lines[slice(*_lines_of(node))]) for node in nodes)

    # ------------------------------------------------------------ loaded code

    def find(self, code: types.CodeType) -> Function | None:
        """The node that `code` was compiled from; None if the file no longer matches the loaded code."""
        if not self.has(code):
            return None
        nodes = self.functions.get((code.co_firstlineno, code.co_name), [])
        if len(nodes) > 1:
            nodes = [node for node in nodes if isinstance(node, ast.Lambda) and _body_range(node) == _code_range(code)]
        return nodes[0] if len(nodes) == 1 else None

    def has(self, code: types.CodeType) -> bool:
        """True if this text compiles to the loaded code."""
        known = self._known.get(id(code))
        if known is None:
            digests = _CODES.of(self).get(f"{code.co_firstlineno} {code.co_name}", ())
            if len(self._known) >= _MOST_CODES:
                self._known.clear()
            known = self._known[id(code)] = (code, bool(digests) and code_digest(code) in digests)
        return known[1]

    def namesakes(self, code: types.CodeType) -> list[types.CodeType]:
        """Code objects that this text compiles to with the first line and name of loaded code."""
        if self._codes is None:
            self._codes = {}
            for item in nested_codes(compile(self.text, self.filename, "exec", dont_inherit=True)):
                self._codes.setdefault((item.co_firstlineno, item.co_name), []).append(item)
        return self._codes.get((code.co_firstlineno, code.co_name), [])


def source_of(filename: str, text: str) -> Source | None:
    """The source of a text without a file; None if it does not parse."""
    return _checked(Source(filename, text)) if text else None


def read(path: Path) -> str:
    """The text of a source file, in its declared encoding."""
    return decode_source(_read(path))


def _read(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, by a descriptor that a step in another thread can tell from its own."""
    with open(os.open(path, OURS | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        return file.read()


def digest_plain(plain: Any) -> str:
    """Digest over a plain tree."""
    return _form_digest(frame(plain))


def _form_digest(form: bytes) -> str:
    return digest_of(form, 16)


# ---------------------------------------------------------------- from files


class _Loaded(msgspec.Struct, frozen=True):
    """State of a file when it was read."""

    stamp: Stamp | str
    """For a notebook cell, its text."""
    sure: bool
    """True if an edit since would have changed the stamp, see `DigestCache`."""
    source: Any
    """None if it was not source."""


_LOADED: dict[str, _Loaded] = {}
"""File name -> its latest read. Bounded: a notebook has a new name for each cell."""
_TREES: dict[Source, None] = {}
"""Sources with cached trees, the most recently used last."""


def load_source(filename: str) -> Source | None:
    """The source of a file or notebook cell; None if there is none or it does not parse.

    Read once per version of the file (by size, times, inode and device), and parsed only if its content is not cached.
    """
    known = _LOADED.get(filename)
    try:
        stamp: Stamp | str = stamp_of(os.stat(filename))  # noqa: PTH116
    except (OSError, ValueError):
        stamp = "".join(lines_of(filename) or linecache.getlines(filename))
    if known is not None and known.stamp == stamp and known.sure:
        return known.source  # type: ignore[no-any-return]
    began = now_ns()
    source = source_of(filename, stamp) if isinstance(stamp, str) else _of_file(filename, known)
    sure = isinstance(stamp, str) or is_of_age(stamp, began)
    _LOADED.pop(filename, None)
    _LOADED[filename] = _Loaded(stamp, sure, source)
    while len(_LOADED) > _MOST_FILES:
        _LOADED.pop(next(iter(_LOADED)), None)
    return source


def _of_file(filename: str, known: _Loaded | None) -> Source | None:
    try:
        data = _read(filename)
        content = blake3(data).hexdigest()
        if known is not None and known.source is not None and known.source.content == content:
            return known.source  # type: ignore[no-any-return]
        cache: SourceCache | None = source_cache()
        encoded = {} if cache is None else cache.lookup(content)
        source = Source(filename, decode_source(data), content, encoded)
    except (OSError, SyntaxError, ValueError, LookupError):
        return None
    return source if encoded else _checked(source)  # only sources that parse are in the cache


def _checked(source: Source) -> Source | None:
    """Find facts of a new source; None if it does not parse."""
    try:
        if is_first_party(source.filename):
            source.find_facts()
        else:
            source.parsed()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return source


def _keep_tree(source: Source) -> None:
    _TREES.pop(source, None)
    _TREES[source] = None


def flush_facts() -> None:
    """Write new facts to the disk cache and drop surplus trees, at the end of one look at some code.

    Not earlier: nodes found in a tree are compared with nodes found in it before.
    """
    flush_caches()
    total = 0
    for item in reversed(list(_TREES)):
        total += len(item.text)
        if total > _MOST_TEXT:
            _TREES.pop(item, None)
            item.drop_tree()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Disable garbage collection, which a growing tree would trigger again and again for nothing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _with_room(work: Callable[[], T]) -> T:
    """Result of `work`; if our stack is too short, runs it in a thread with a full one."""
    try:
        return work()
    except RecursionError:
        from concurrent.futures import ThreadPoolExecutor  # heavy, and rarely needed

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result()


# ---------------------------------------------------------------- positions


def _lines_of(node: Any) -> tuple[int, int]:
    """Index of a node's first line, with its decorators, and of the line behind its last."""
    first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))])
    return first - 1, node.end_lineno or node.lineno


def _body_range(node: ast.Lambda) -> tuple[int, int, int, int]:
    body = node.body
    return body.lineno, body.col_offset, body.end_lineno or 0, body.end_col_offset or 0


def _code_range(code: types.CodeType) -> tuple[int, int, int, int] | None:
    """Range from the first to the last character that a lambda's instructions came from."""
    spots = [spot for spot in code.co_positions() if None not in spot and spot[2:] != (0, 0)]
    if not spots:
        return None
    first = min((spot[0], spot[2]) for spot in spots)
    last = max((spot[1], spot[3]) for spot in spots)
    return first[0], first[1], last[0], last[1]  # type: ignore[return-value]


def _index_of(tree: ast.AST) -> tuple[dict[tuple[int, str], list[Function]], dict[str, list[ast.ClassDef]]]:
    functions: dict[tuple[int, str], list[Function]] = {}
    classes: dict[str, list[ast.ClassDef]] = {}
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, prefix = waiting.pop()
        if isinstance(node, Function):
            name = getattr(node, "name", "<lambda>")
            lines = [node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))]
            functions.setdefault((min(lines), name), []).append(node)
            prefix = f"{prefix}{name}.<locals>."
        elif isinstance(node, ast.ClassDef):
            classes.setdefault(prefix + node.name, []).append(node)
            prefix = f"{prefix}{node.name}."
        waiting += [(child, prefix) for child in reversed(list(ast.iter_child_nodes(node)))]
    return functions, classes


# ---------------------------------------------------------------- the facts that every file has


def _code_digests(parsed: Parsed) -> dict[str, list[bytes]]:
    """First line and name -> digests of the code objects that the text compiles to there."""
    found: dict[str, list[bytes]] = {}
    try:
        whole = compile(parsed.tree, "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # for instance a `return` outside of functions: nothing was loaded from it
        return {}
    digests: list[tuple[types.CodeType, bytes]] = []
    code_digest(whole, digests)
    for code, digest in digests:
        found.setdefault(f"{code.co_firstlineno} {code.co_name}", []).append(digest)
    return found


_DIGEST: Fact[str] = Fact("digest", str, lambda parsed: _form_digest(parsed.survey.form))
_CODES: Fact[dict[str, list[bytes]]] = Fact("codes", dict[str, list[bytes]], _code_digests)
_IMPORTS: Fact[tuple[ImportRef, ...]] = Fact(
    "imports",
    tuple[ImportRef, ...],
    lambda parsed: tuple(
        imports_of(parsed.tree, within=None if parsed.mentions(*IMPORTERS) else importing(parsed.survey.outside))
    ),
)
_DYNAMIC: Fact[bool] = Fact(
    "dynamic", bool, lambda parsed: parsed.mentions(*IMPORTERS) and bool(computed_imports(parsed.tree))
)
