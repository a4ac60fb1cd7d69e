"""Interrupts (Ctrl-C) that strike at a chosen place."""

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from consist_es.system import with_block


@contextlib.contextmanager
def struck(name: str, file: str = with_block.__file__) -> Iterator[None]:
    """An interrupt strikes where a function begins, before it has done anything; once."""

    def strike(frame: FrameType, _event: str, _arg: object) -> Any:
        if frame.f_code.co_name == name and frame.f_code.co_filename == file:
            sys.settrace(before)
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(strike)
    try:
        yield
    finally:
        sys.settrace(before)
