"""The file with what one step prints: written as it comes, masked, its first and last 512 kB kept."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from blake3 import blake3

from consist_es.events import StepLogInfo
from consist_es.observe import board
from consist_es.system.storage import LocalStorage, on_fork

HEAD = TAIL = 512_000
"""Bytes kept of the beginning and of the end."""
_LONGEST, _LIMIT = 1_000_000, 64_000
"""Characters of a line without an end that are held back, as secrets are looked for in whole lines; and from how many
on it is looked whether a part of them was overwritten."""
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_MARK = b"\n[... %d bytes left out ...%s]\n"
_MARKED = re.compile(rb"\n\[\.\.\. (\d+) bytes left out \.+\]\n")
_SPOT = HEAD + 64
"""Where the mark of what is left out ends; dots fill it up."""
_BACK = 256
"""How far before `HEAD` a line's end is looked for."""
_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[78=>DEMc])")
"""What commands a terminal: colours and movements, titles and links, character sets."""
_UNUSUAL = re.compile("[\r\x1b]|PRIVATE KEY")
_KEY_BEGINS, _KEY_ENDS = "-----BEGIN ", "-----END "
_OPEN: weakref.WeakSet[Printed] = weakref.WeakSet()


class _Line:
    """The beginning of a line, of one thread: lines of several are not mixed."""

    __slots__ = ("held", "limit", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.held, self.limit = 0, _LIMIT

    def add(self, text: str) -> None:
        """Add text; what a terminal does not show any more is forgotten, as soon as there is much of it."""
        self.parts.append(text)
        self.held += len(text)
        if self.held > self.limit:
            line = _last_shown("".join(self.parts))
            if len(line) > _LONGEST:  # not in pieces, whose end may be the middle of a secret
                line = f"[{len(line)} characters of a line without an end were left out] "
            self.parts, self.held = [line], len(line)
            self.limit = max(_LIMIT, 2 * len(line))

    def taken(self) -> str:
        """The text; nothing of it is left here."""
        parts, self.parts = self.parts, []
        self.held, self.limit = 0, _LIMIT
        return "".join(parts)


class Printed:
    """Takes what a step prints. Nothing raises: a log that cannot be written is no reason for a step to fail.

    The threads of a step share it. So do forked children, each with a descriptor of its own and a lock around each
    write, because any of them may cut out the middle.
    """

    def __init__(self, path: Path, run: str, mask: Callable[[str], str]) -> None:
        self.path = path
        self.problem: str | None = None
        """Why it is not whole."""
        self._run, self._mask = run, mask
        self._mutex = threading.RLock()
        self._fd: int | None = None
        self._size = 0
        self._lines: dict[int, _Line] = {}
        """Thread -> the line that it has not ended."""
        self._later: list[str] = []
        """Lines that came where the step had left no stack to work with."""
        self._secret = False
        """True between the first and the last line of a private key."""
        self._closed = self._is_child = self._shared = False
        _OPEN.add(self)
        on_fork(self)

    def write(self, text: str) -> None:
        """Take some text; whole lines are in the file when this returns."""
        line = self._lines.get(get_ident())
        if "\n" not in text and line is not None and line.held < line.limit:  # most writes
            line.parts.append(text)
            line.held += len(text)
            return
        if line is None:
            line = self._lines[get_ident()] = _Line()
        with self._mutex:
            if self._closed or self.problem is not None:
                return
            begin = text.rfind("\n") + 1
            if not begin:
                line.add(text)
                return
            lines = f"{line.taken()}{text[:begin]}" if line.parts else text[:begin]
            if begin < len(text):
                line.add(text[begin:])
            self._put(lines)

    def _put(self, lines: str) -> None:
        if self._later:
            lines = "".join((*self._later, lines))
            self._later = []
        try:
            if self._secret or _UNUSUAL.search(lines):
                lines = self._cleaned(lines)
            data = self._mask(lines).encode("utf-8", "backslashreplace")
            if data and (self._fd is not None or self._open()):
                self._append(data)
        except RecursionError:  # a step that goes too deep and catches that prints on
            self._later = [lines]
        except Exception as problem:  # noqa: BLE001 - whatever it is, the step goes on
            self.problem = f"{getattr(problem, 'strerror', None) or problem}"

    def _cleaned(self, lines: str) -> str:
        """Lines as a terminal would show them, without colours and private keys."""
        lines = _COLOURS.sub("", "\n".join(map(_last_shown, lines.replace("\r\n", "\n").split("\n"))))
        return "".join(self._without_key(lines))

    def _without_key(self, lines: str) -> Iterator[str]:
        for line in lines.splitlines(keepends=True):
            begins = _KEY_BEGINS in line and "PRIVATE KEY" in line
            ends = _KEY_ENDS in line
            if begins and not ends:
                yield "[a private key was left out]\n"
            elif begins or not self._secret:
                yield line
            self._secret = (self._secret or begins) and not ends

    # ------------------------------------------------------------ the file

    def _append(self, data: bytes) -> None:
        fd = self._fd
        if fd is None:
            return
        if not self._shared:
            self._append_to(fd, data)
            return
        with self._alone(fd):
            if self._is_child and not os.fstat(fd).st_mode & stat.S_IWUSR:
                self._closed = True  # the run has ended
                return
            self._size = os.fstat(fd).st_size
            self._append_to(fd, data)

    def _append_to(self, fd: int, data: bytes) -> None:
        self._size += (done := os.write(fd, data))
        while done < len(data):  # a disk that is nearly full
            data = data[done:]
            self._size += (done := os.write(fd, data))
        if self._size > HEAD + 2 * TAIL:
            self._cut()

    def _open(self) -> bool:
        if self._is_child and self._run not in board.posted():
            self._closed = True
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _FLAGS, 0o666)
        self._size = os.fstat(self._fd).st_size
        return True

    @contextmanager
    def _alone(self, fd: int) -> Iterator[None]:
        """Block that no other process is in."""
        locked = False
        with contextlib.suppress(OSError):  # no locks here
            locked = LocalStorage().flock(fd, blocking=True)
        try:
            yield
        finally:
            if locked:
                with contextlib.suppress(OSError):
                    LocalStorage().unlock(fd)

    def _cut(self) -> None:
        """Leave out the middle. The end is written over it before the file is shortened: a kill loses nothing."""
        fd = os.open(self.path, os.O_RDWR | _FLAGS)
        try:
            size = os.fstat(fd).st_size
            head, before = _middle(os.pread(fd, _SPOT, 0))
            kept = head if before is None else _SPOT
            tail = os.pread(fd, TAIL, max(size - TAIL, kept))
            tail = tail[tail.find(b"\n", 0, _LIMIT) + 1 :]
            middle = _mark((before or 0) + size - len(tail) - kept, _SPOT - head) + tail
            os.pwrite(fd, middle, head)
            os.ftruncate(fd, head + len(middle))
            self._size = head + len(middle)
        finally:
            os.close(fd)

    # ------------------------------------------------------------ its end

    def close(self, uri: str) -> StepLogInfo | None:
        """End it; gives what to record of the file, None if there is none."""
        with self._mutex:
            for line in self._lines.values() if self.problem is None and not self._closed else ():
                if rest := line.taken():
                    self._put(f"{rest}\n")
            if self._later and self.problem is None and not self._closed:
                self._put("")
            self._closed = True
            fd, self._fd = self._fd, None
            try:
                return self._ended(fd, uri)
            except OSError as problem:
                return self._lost(uri, problem.strerror or str(problem))
            finally:
                if fd is not None:
                    os.close(fd)

    def _ended(self, fd: int | None, uri: str) -> StepLogInfo | None:
        if fd is None:
            try:
                fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | _FLAGS)  # a child may have made it
            except FileNotFoundError:
                return None if self.problem is None else self._lost(uri, self.problem)
            try:
                return self._ended(fd, uri)
            finally:
                os.close(fd)
        with self._alone(fd):
            if os.fstat(fd).st_size > _SPOT + TAIL:
                self._cut()
            if self._shared:
                os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & ~0o222)  # tells children that it has ended
        data = self.path.read_bytes()
        return StepLogInfo(
            uri=uri,
            bytes=len(data),
            left_out=_middle(data[:_SPOT])[1] or 0,
            digest=blake3(data).hexdigest(),
            problem=self.problem,
        )

    def _lost(self, uri: str, problem: str) -> StepLogInfo:
        self.problem = problem
        return StepLogInfo(uri=uri, bytes=self._size, problem=problem)

    def after_fork(self) -> None:
        """Reset in a child: the lock, the descriptor and what is held back are the parent's."""
        self._mutex = threading.RLock()
        self._is_child = self._shared = True
        self._lines, self._later = {}, []
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)


def _last_shown(line: str) -> str:
    """What is left of a line that carriage returns have a terminal write over, as progress bars do."""
    return line[line.rfind("\r", 0, len(line.rstrip("\r"))) + 1 :]


def _middle(begin: bytes) -> tuple[int, int | None]:
    """Where the beginning that is kept ends, and how many bytes were left out behind it; None if none were yet."""
    head = begin.rfind(b"\n[... ", HEAD - _BACK, _SPOT)
    if head >= 0 and (marked := _MARKED.fullmatch(begin, head, _SPOT)):
        return head, int(marked[1])
    return max(begin.rfind(b"\n", HEAD - _BACK, HEAD) + 1, HEAD - _BACK), None


def _mark(left_out: int, size: int) -> bytes:
    """A line of this size that says how many bytes were left out, and ends the line before it."""
    short = _MARK % (left_out, b"")
    return _MARK % (left_out, b"." * (size - len(short)))


def _before_fork() -> None:
    for log in list(_OPEN):
        log._shared = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
