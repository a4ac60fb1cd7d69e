"""Finds modules that IPython's autoreload patched: from IPython 9 on it edits them in place and reloads few."""

import sys
import tokenize
from typing import Any


def is_patched(name: str, filename: str) -> bool:
    """True if autoreload has brought a loaded module up to date with its file.

    What it leaves unchanged, such as a value computed at import, is compared with the source like everything loaded,
    see `consist_es.identity.live.loaded`.
    """
    reloader = _reloader()
    texts = getattr(getattr(reloader, "deduper_reloader", None), "source_by_modname", None)
    if not isinstance(texts, dict) or filename in (getattr(reloader, "failed", None) or {}):
        return False
    try:
        with tokenize.open(filename) as file:
            return bool(texts.get(name) == file.read())
    except (OSError, SyntaxError, ValueError):
        return False


def _reloader() -> Any:
    """The shell's reloader; None outside IPython, and if autoreload was never loaded."""
    if "IPython.extensions.autoreload" not in sys.modules:
        return None
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    registry = getattr(getattr(shell, "magics_manager", None), "registry", None) or {}
    return getattr(registry.get("AutoreloadMagics"), "_reloader", None)
