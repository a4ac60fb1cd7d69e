"""Converts paths to portable URIs, and back.

Three forms, first match wins: ``scheme://rel`` below a mount (the longest root that contains the path), ``./rel`` below
the run directory, and an absolute path. Bytes of a file name that are not UTF-8 are percent-encoded (RFC 3986), and so
is the percent sign; everything else stays readable.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from consist_es.artifacts.elsewhere import Elsewhere
from consist_es.errors import PathError, UsageTypeError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+._-]*)://(.*)$", re.DOTALL)
_NAME_MAX, _PATH_MAX = 255, 4096
"""Longest name and path in bytes on Linux (NAME_MAX and PATH_MAX of limits.h, the latter with its NUL)."""
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


class UriMap(msgspec.Struct, frozen=True):
    """The roots of URIs on this machine: the run directory and the mounts (scheme -> root), all absolute."""

    run_dir: str
    mounts: dict[str, str] = {}
    elsewhere: Elsewhere | None = None
    """The recovery copies of a project; None if it has none to offer."""

    @classmethod
    def of(cls, run_dir: Path, mounts: Mapping[str, str | os.PathLike[str]] | None) -> "UriMap":
        """Check the mounts and make their roots absolute."""
        if not isinstance(mounts or {}, Mapping):
            raise UsageTypeError(
                f"mounts takes a mapping of scheme to folder, as in {{'data': '/shared/data'}}, not "
                f"{type(mounts).__name__}: {mounts!r}."
            )
        roots = {}
        for scheme, root in (mounts or {}).items():
            if not _SCHEME.match(f"{scheme}://") or scheme == "file":
                raise PathError(f"mounts: {scheme!r} cannot be a scheme: use letters, digits, + . - _ and not 'file'.")
            roots[scheme] = str(given_folder(root, f"mounts[{scheme!r}]"))
        return cls(run_dir=str(given_folder(run_dir, "run_dir")), mounts=roots)

    @property
    def root(self) -> str:
        """The run directory as recorded: quoted like a URI, because its name need not be UTF-8 either."""
        return quote(self.run_dir)

    def uri(self, path: str | os.PathLike[str]) -> str:
        """The portable URI of a path."""
        absolute = os.path.abspath(os.fspath(path))
        return self._below_a_root(absolute) or self._below_a_root(real_path(absolute)) or quote(absolute)

    def _below_a_root(self, path: str) -> str | None:
        for scheme, root in sorted(self.mounts.items(), key=lambda item: -len(item[1])):
            if (rel := below(path, root)) is not None:
                return f"{scheme}://{quote(rel)}"
        rel = below(path, self.run_dir)
        return None if rel is None else f"./{quote(rel)}"

    def resolve_given(self, value: object) -> Path:
        """The absolute path of a user's argument: a path, relative to the working directory, or a mounted URI.

        Raises:
            UsageTypeError: neither str nor path. PathError: it leaves a mount, or is not a valid path.
        """
        if not isinstance(value, str | os.PathLike):
            raise UsageTypeError(f"A path or URI is expected, not {type(value).__name__}: {value!r}.")
        text = os.fspath(value)
        if not isinstance(text, str):
            raise UsageTypeError(f"A path or URI is expected as str, not as {type(text).__name__}: {value!r}.")
        return self.resolve(text) if "://" in text else Path(os.path.abspath(require_path(text, "a path")))

    def resolve(self, uri: str, *, run_dir: str | None = None) -> Path:
        """The path of a URI on this machine.

        `run_dir`: the recorded `root` that ``./`` pointed to when the URI was made, if not this map's own.

        Raises:
            PathError: the scheme is not mounted, the URI leaves its root, or it is of none of the three forms.
        """
        if match := _SCHEME.match(uri):
            scheme, rel = match.groups()
            if scheme == "file":
                return _absolute("/" + unquote(rel).lstrip("/"), uri)
            if scheme not in self.mounts:
                known = ", ".join(sorted(self.mounts)) or "none"
                raise PathError(f"{uri!r}: scheme {scheme!r} is not mounted. Mounted: {known}. Pass mounts=.")
            return inside(self.mounts[scheme], unquote(rel), uri)
        if uri.startswith("./"):
            root = str(_absolute(unquote(run_dir), run_dir)) if run_dir else self.run_dir
            return inside(root, unquote(uri[2:]), uri)
        return _absolute(unquote(uri), uri)


def real_path(path: str | os.PathLike[str]) -> str:
    """The absolute path without links; links stay if one appears or vanishes at this very moment."""
    try:
        return os.path.realpath(path)
    except OSError:
        return os.path.abspath(path)


def overlap(one: str, other: str) -> bool:
    """True if the paths are equal or one contains the other."""
    return below(one, other) is not None or below(other, one) is not None


def below(path: str, root: str) -> str | None:
    """`path` relative to `root` with forward slashes, or None if it does not lie below it."""
    if path == root:
        return "."
    prefix = root.rstrip(os.sep) + os.sep
    return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else None


def _absolute(path: str, shown: object) -> Path:
    """An absolute path as `UriMap.uri` writes one; anything else was not written by us."""
    if not os.path.isabs(path) or ".." in path.replace(os.sep, "/").split("/"):  # noqa: PTH117 (a text)
        raise PathError(
            f"{_cut(shown)} is not a place of an artifact: use ./…, scheme://…, or an absolute path without '..'."
        )
    return Path(require_path(path, "a place"))


def inside(root: str | os.PathLike[str], rel: str, shown: object) -> Path:
    """`root / rel`, refused if it would leave the root by ``..``, an absolute path or a NUL."""
    rel = rel.replace(os.sep, "/")
    parts = [part for part in rel.split("/") if part not in ("", ".")]
    if rel.startswith("/") or ".." in parts:
        raise PathError(f"{_cut(shown)} leaves {os.fspath(root)}: use a relative path without '..'.")
    require_path("/".join(parts), "a path")
    return Path(root, *parts)


def require_path(text: str, what: str) -> str:
    """Return `text` if it is a valid path, existing or not.

    Raises:
        PathError: it holds a NUL or a lone surrogate, or it or a name in it is too long.
    """
    try:
        data = os.fsencode(text)
    except UnicodeEncodeError:
        data = b"\0"
    longest = max(map(len, data.split(os.fsencode(os.sep))))
    if b"\0" in data:
        problem = "it contains a NUL character or a lone surrogate"
    elif longest > _NAME_MAX:
        problem = f"a name in it has {longest:,} bytes; at most {_NAME_MAX} are allowed"
    elif len(data) >= _PATH_MAX:
        problem = f"it has {len(data):,} bytes; at most {_PATH_MAX - 1:,} are allowed"
    else:
        return text
    raise PathError(f"{what}: {_cut(text)} cannot be a path here: {problem}.")


def given_path(value: object, what: str) -> Path:
    """The absolute path that a user passed as the argument `what`.

    Raises:
        UsageTypeError: neither str nor path. PathError: not a valid path.
    """
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise UsageTypeError(f"{what} takes a path, not {type(value).__name__}: {value!r}.")
    return Path(os.path.abspath(require_path(text, what)))


def given_folder(value: object, what: str) -> Path:
    """As `given_path`, for a folder, existing or not.

    Raises:
        PathError: it is a file, or lies below one.
    """
    path = given_path(value, what)
    for place in (path, *path.parents):
        if _is_file(place):
            below_it = "" if place == path else f" lies below {place}, which"
            raise PathError(f"{what}: {path}{below_it} is a file. Give a folder: it need not be there yet.")
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # out of reach: the code that uses it raises the error
        return False


def _cut(value: object) -> str:
    # dots, not …: invalid paths are shown in ASCII, which every console can print
    text = ascii(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def quote(text: str) -> str:
    """Percent-encode ``%`` and the bytes that are not UTF-8; the result is always encodable."""
    escaped = text.replace("%", "%25")
    return re.sub("[\udc80-\udcff]", lambda match: f"%{ord(match[0]) - 0xDC00:02X}", escaped)


def unquote(text: str) -> str:
    """The inverse of `quote`: an encoded byte above 127 is one that was not UTF-8."""

    def char(match: re.Match[str]) -> str:
        value = int(match[1], 16)
        return chr(0xDC00 + value if value > 127 else value)

    return _ESCAPE.sub(char, text) if "%" in text else text
