"""The views: one per file, with its tables, its fold and its queries.

The folder is at the top of the repository, and is imported as `consist_es.projections`
(docs/decisions/0003-projections-folder.md).
"""

from consist_es.projections import (
    audit_index,
    cache_index,
    coupler_state,
    keeping,
    lineage,
    redactions,
    run_table,
    source_texts,
    sweeps,
)
from consist_es.views.projector import Projection

BUILTIN: tuple[Projection, ...] = (
    run_table,
    lineage,
    coupler_state,
    cache_index,
    audit_index,
    redactions,
    source_texts,
    keeping,
    sweeps,
)
"""All views of a project."""
