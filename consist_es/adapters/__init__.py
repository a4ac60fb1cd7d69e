"""Config adapters: a model's configuration files as part of a step's identity. See `docs/adapters.md`."""

from typing import TYPE_CHECKING, Any

from consist_es.adapters.protocol import Adapter, AdapterResult, CanonicalizationSnapshot, Reference

if TYPE_CHECKING:
    from consist_es.adapters.folder import FolderAdapter

__all__ = ["Adapter", "AdapterResult", "CanonicalizationSnapshot", "FolderAdapter", "Reference"]


def __getattr__(name: str) -> Any:
    if name != "FolderAdapter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from consist_es.adapters.folder import FolderAdapter  # with a reader for each format, which few steps need

    return FolderAdapter
