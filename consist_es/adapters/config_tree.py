"""Ordered config folders: which file of a name comes first, and names of paths for records."""

from collections.abc import Sequence
from pathlib import Path

from consist_es.adapters.folder import clean, content_of, fits_any, label_of, walk


class Tree:
    """The files of ordered folders. `exclude`: patterns, as of `FolderAdapter`."""

    def __init__(self, folders: Sequence[Path], root: Path, exclude: Sequence[str] = ()) -> None:
        self.names: dict[str, list[Path]] = {}
        """Name below its folder -> the files of that name, nearest first."""
        self._labels: dict[Path, str] = {}
        self._contents: dict[Path, bytes] = {}
        taken = set[str]()
        for folder in folders:
            shown = label_of(folder, root)
            while shown in taken:
                shown += "'"
            taken.add(shown)
            for name in sorted(walk(folder)):
                if not fits_any(name, exclude):
                    path = folder / name
                    self.names.setdefault(clean(name), []).append(path)
                    self._labels[path] = f"{shown}/{name}"

    def label(self, path: Path) -> str:
        """Name of a file in records."""
        return self._labels.get(path, path.name)

    def content(self, path: Path) -> bytes:
        """The bytes of a file, read once.

        Raises:
            InputError: it cannot be read.
        """
        if path not in self._contents:
            self._contents[path] = content_of(path)
        return self._contents[path]
