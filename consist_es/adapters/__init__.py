"""Config adapters: a model's configuration files as part of a step's identity. See `docs/adapters.md`."""

from consist_es.adapters.folder import FolderAdapter
from consist_es.adapters.protocol import Adapter, AdapterResult, CanonicalizationSnapshot, Reference

__all__ = ["Adapter", "AdapterResult", "CanonicalizationSnapshot", "FolderAdapter", "Reference"]
