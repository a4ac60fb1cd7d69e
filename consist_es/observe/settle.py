"""Turns a run's notes into digests and reasons for doubt, at its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from consist_es.errors import InputError
from consist_es.identity.installed.started import package_now
from consist_es.identity.text.source import load_source
from consist_es.observe import variables
from consist_es.observe.imports import file_of
from consist_es.observe.notes import Notes, Stamp, ValueDigest, stamp_of
from consist_es.observe.now import listing_now, module_now, names_digest
from consist_es.observe.reads import THERE, Hasher, Limits, Listing
from consist_es.observe.scope import SIDE_FILES, is_below
from consist_es.observe.stores import gather, size_of

ABOVE = "content was not hashed, as that would take too long: {}. A copy with other file times counts as a change."


class Settling:
    """Judges the notes of one run."""

    def __init__(self, notes: Notes, *, began: int, outputs: Iterable[str], hasher: Hasher) -> None:
        self._notes, self._began, self._hasher = notes, began, hasher
        self._outputs = set(outputs)
        self.made: dict[str, str] = {}

    def read(self, declared: Iterable[str]) -> dict[str, Stamp | None]:
        """Paths that were read and have not changed, or were absent; all others are in doubt or the step's own."""
        notes = self._notes
        own = {(stamp[2], stamp[3]) for path in declared if (stamp := stamp_or_none(path))}
        found: dict[str, Stamp | None] = {}
        places: set[tuple[int, int]] = set(own)
        for path, first in notes.reads.items():
            if first is not None and first[2:] in places:  # declared, or already read by another name
                continue
            if self._is_side_file(path) or not self._is_whole(path, first):
                continue
            found[path] = first
            if first is not None:
                places.add(first[2:])
        for path in notes.replaced:
            if self._is_output(path):
                continue
            notes.doubt(f"{path} was read and rewritten by the step, in an unknown order: declare it as an output")
        return found

    def _is_side_file(self, path: str) -> bool:
        return any(path.endswith(ending) and path[: -len(ending)] in self._notes.reads for ending in SIDE_FILES)

    def _is_whole(self, path: str, first: Stamp | None) -> bool:
        """True if the path is unchanged since its first read; otherwise notes a doubt, unless the step made it."""
        notes, now = self._notes, stamp_or_none(path)
        if path in notes.grown and first is not None:
            notes.doubt(f"{path} was read, and added to by the step")
            return False
        if path in notes.made:
            if first is None:
                self._look_at_made(path)
            elif now != first:
                notes.doubt(f"{path} was read, and then rewritten by the step")
            return False
        if now == first:
            late = first is not None and first[1] >= self._began
            if path in notes.replaced:
                return False
            return not (path in notes.modified and late) or self._is_kept(path)
        if path in notes.modified:
            notes.doubt(f"{path} was read, and changed by the step")
        elif first is None:
            notes.doubt(f"{path} was looked for, was absent, and is there now, though the step did not make it")
        elif path in notes.gone:
            notes.doubt(f"{path} was read, and then removed by the step")
        else:
            notes.doubt(f"{path} changed while the step ran")
        return False

    def _is_kept(self, path: str) -> bool:
        """True if a file written to before it was read kept its content; notes a doubt if that is unknown."""
        notes = self._notes
        verdict = notes.earlier.verdict(path)
        if path in notes.modified_by_programs and not self._is_output(path) and verdict == "unknown":
            notes.doubt(
                f"{path} was there before, a program that the step started wrote to it, and the step read it: "
                "it is unknown if its earlier content was read. Remove it before the program "
                "starts, let that write to consist.output_path(...), or declare it as an output"
            )
        return verdict == "same"

    def _look_at_made(self, path: str) -> None:
        """Keep the digest of a file that was absent and that the step then made: an edit would be read next time."""
        if self._is_output(path) or path in self._notes.grown:
            return
        try:
            if os.path.isfile(path):
                self.made[path] = self._hasher(path, "full")
        except (OSError, InputError) as problem:
            self._notes.doubt(f"{path} was made by the step, and cannot be read: {problem}")

    def _is_output(self, path: str) -> bool:
        return path in self._outputs or any(is_below(path, output) for output in self._outputs)

    def looks(self, files: dict[str, str | None]) -> dict[str, str | None]:
        """Paths of which only the existence counts."""
        notes, found = self._notes, {}
        for path, value in notes.looks.items():
            if path in notes.made:
                if value is None:
                    self._look_at_made(path)
            elif path not in files and path not in notes.gone and path not in notes.grown | notes.modified:
                found[path] = value
        return found

    def listings(self) -> dict[str, Listing]:
        """Listed folders, less the names that the step made or removed in them."""
        notes, found = self._notes, {}
        if not notes.names:
            return {}
        scope = notes.scope.of_names
        own: dict[str, set[str]] = {}
        for path in [*notes.made, *notes.gone]:
            own.setdefault(os.path.dirname(path), set()).add(os.path.basename(path))
        for folder, names in notes.names.items():
            if folder in notes.made:
                continue
            left_out = own.get(folder, set())
            kept = [name for name in names if name not in left_out and scope.counts(os.path.join(folder, name))]
            digest = names_digest(kept)
            if digest != listing_now(folder, Listing(digest, list(left_out)), scope):
                notes.doubt(f"{folder} was listed, and other files came or went while the step ran")
            found[folder] = Listing(digest, sorted(left_out))
        return found


def stamp_or_none(path: str) -> Stamp | None:
    """The stamp of a regular file, None for anything else."""
    try:
        return stamp_of(path)
    except IsADirectoryError:
        return None


def digest_reads(
    read: dict[str, Stamp | None],
    notes: Notes,
    *,
    listed: Iterable[str],
    limits: Limits,
    seconds: float,
    hasher: Hasher,
) -> dict[str, str | None]:
    """Digest of each file, and of each store as one; smallest first, and above the limits by size and time only."""
    sizes = {path: stamp[0] for path, stamp in read.items() if stamp is not None}
    folders, left = gather(set(sizes), set(listed), notes.scope.roots)
    given = {path for path, stamp in notes.arguments.items() if stamp is None and os.path.isdir(path)}
    sizes = {path: sizes[path] for path in left} | {path: size_of(path) for path in folders | given}
    files: dict[str, str | None] = {
        path: None
        for path, stamp in read.items()
        if stamp is None and not any(is_below(path, folder) for folder in folders)
    }
    room = min(limits.size, max(limits.free, int(limits.share * seconds * limits.speed)))
    above: dict[str, None] = {}
    for count, (path, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        room -= size
        full = room >= 0 and count < limits.files
        if not full:
            above[path if path in folders | given else os.path.dirname(path)] = None
        try:
            files[path] = hasher(path, "full" if full else "fast")
        except (OSError, InputError) as problem:
            notes.doubt(f"{path} was read and cannot be hashed: {problem}")
    if above:
        notes.unseen[ABOVE.format(", ".join(above))] = None
    return files


def not_in_stores(listings: dict[str, Listing], files: dict[str, str | None]) -> dict[str, Listing]:
    """Listings of folders that are not hashed as a whole."""
    hashed = [path for path, value in files.items() if value and not value.startswith(THERE)] if listings else []
    whole = [path for path in hashed if os.path.isdir(path)]
    return {folder: one for folder, one in listings.items() if not any(is_below(folder, each) for each in whole)}


# ---------------------------------------------------------------- programs, modules and variables


def look_at_programs(notes: Notes) -> None:
    """Doubt a run if a program was replaced during it: parts of both may have run."""
    origins = {repr(origin): origin for program in notes.programs for origin in program.origins}
    for origin in origins.values():
        if origin.package is not None and package_now(origin.path, origin.arguments) != origin.package:
            notes.doubt(f"{origin.package}, of which the step started a program, was replaced while the step ran")


def module_digests(files: Iterable[str], notes: Notes) -> dict[str, str]:
    """File -> digest of its normalised source."""
    found = {}
    for file in files:
        digest = module_now(file)
        if digest is not None:
            found[file] = digest
        elif os.path.exists(file):
            notes.doubt(f"{file} was imported and cannot be read")
    return found


def settle_copies(notes: Notes, digest: ValueDigest) -> None:
    """Note the variables of a copied environment that the project's sources name."""
    for for_fields, values in notes.copies.items():
        names, begins = variables.named_in(first_party_texts(notes), values, fields=for_fields)
        for name in names - notes.own_variables:
            notes.variables.setdefault(name, digest(name, values.get(name)))
        for begin in begins:
            label = f"{begin}*"
            notes.variables.setdefault(label, digest(label, variables.beginning_with(begin, values)))


def first_party_texts(notes: Notes) -> Sequence[str]:
    """Sources of the project's loaded modules; for a console or notebook, the constants of its functions."""
    texts = []
    for module in list(sys.modules.values()):
        file = file_of(module)
        if file is not None and file.endswith(".py") and notes.is_first_party(file):
            source = load_source(file)
            if source is not None:
                texts.append(source.text)
    texts += _constants(sys.modules.get("__main__"))
    return texts


def _constants(module: object) -> list[str]:
    """Texts in the code of a module's own functions, as source would write them."""
    waiting = [code for value in vars(module).values() if (code := getattr(value, "__code__", None))] if module else []
    for value in list(vars(module).values()) if module else []:
        if isinstance(value, type) and value.__module__ == "__main__":
            waiting += [code for item in vars(value).values() if (code := getattr(item, "__code__", None))]
    found = []
    while waiting:
        for constant in waiting.pop().co_consts:
            if isinstance(constant, str):
                found.append(repr(constant))
            elif hasattr(constant, "co_consts"):
                waiting.append(constant)
    return found
