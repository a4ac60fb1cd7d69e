"""Which tests notice what is wrong with which module; for the coverage that is required, and for the mutation test.

Every module here has 100 % branch coverage by all the tests named here together (``tools/dev.py coverage``). A mutant
of a module is tried with the module's own tests, in this order, so the likeliest and quickest stand first.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

_LINES = ("record", "log_golden", "log_append", "log_refusals", "log_seams", "log_handles", "log_damage")
_WRITING = (
    "log_append",
    "log_refusals",
    "log_seams",
    "log_handles",
    "log_golden",
    "log_faults",
    "log_damage",
    "log_repair",
    "redaction",
)
_PROOFS = ("merkle", "checkpoint", "proofs")
_VIEWS = ("projector_places", "projector_file", "projector_folding", "projector_processes")
_CODE = ("code_identity_values", "loaded_identity", "code_identity", "code_identity_trace")
_LOOKUP = ("lookup", "accept", "trust")

WITNESSES: dict[str, tuple[str, ...]] = {
    "consist_es/log/record.py": (
        "record",
        "log_golden",
        "log_append",
        "log_refusals",
        "log_seams",
        "log_damage",
        "redaction",
    ),
    "consist_es/log/segment.py": (*_LINES, "log_faults"),
    "consist_es/log/reader.py": (
        "log_append",
        "log_refusals",
        "log_seams",
        "log_handles",
        "log_golden",
        "log_damage",
        "log_faults",
    ),
    "consist_es/log/tail.py": (
        "log_append",
        "log_refusals",
        "log_seams",
        "log_handles",
        "log_damage",
        "log_faults",
        "log_repair",
    ),
    "consist_es/log/writer.py": _WRITING,
    "consist_es/log/lookback.py": _WRITING,
    "consist_es/log/local.py": _WRITING,
    "consist_es/log/engine.py": ("engine_conformance", "cli_engines"),
    "consist_es/log/claims.py": ("compute_once", "engine_conformance"),
    "consist_es/log/watermark.py": ("log_append", "log_handles", "log_verify_again", "log_damage", "log_faults"),
    "consist_es/log/files.py": _WRITING,
    "consist_es/log/places.py": ("views_changed", "lookup"),
    "consist_es/log/presence.py": ("log_unended", "live_or_dead"),
    "consist_es/log/blobs.py": _WRITING,
    "consist_es/log/verify.py": (
        "log_verify_refusals",
        "log_verify_again",
        "log_handles",
        "log_damage",
        "redaction",
        "log_repair",
    ),
    "consist_es/log/looking.py": ("log_verify_refusals", "log_verify_again", "log_handles", "log_damage"),
    "consist_es/log/quick.py": ("log_quick", "log_damage", "log_faults"),
    "consist_es/log/parts.py": ("log_parts",),
    "consist_es/system/child.py": ("log_parts", "rebuild_ahead"),
    "consist_es/log/report.py": ("log_verify_refusals", "log_verify_again"),
    "consist_es/log/unended.py": ("log_unended", "log_seams", "cli_repair", "log_verify_again"),
    "consist_es/log/repair.py": ("log_seams", "log_repair", "cli_repair"),
    "consist_es/log/salvage.py": ("log_repair", "log_damage", "cli_repair"),
    "consist_es/log/redaction.py": ("log_refusals", "log_seams", "log_handles", "redaction"),
    "consist_es/log/archive.py": ("log_handles", "log_archive"),
    "consist_es/log/evidence/merkle.py": _PROOFS,
    "consist_es/log/evidence/tree_head.py": _PROOFS,
    "consist_es/log/evidence/tree_heads.py": ("checkpoint", "log_refusals", "log_handles", "proofs"),
    "consist_es/log/evidence/signing.py": ("log_refusals", "log_handles", "checkpoint"),
    "consist_es/log/evidence/proof.py": ("proofs", "checkpoint"),
    "consist_es/log/evidence/survey.py": (*_PROOFS, "log_refusals", "log_handles"),
    "consist_es/system/with_block.py": ("with_block",),
    "consist_es/views/projector.py": _VIEWS,
    "consist_es/views/folding.py": ("projector_folding", "projector_places", "projector_file", "projector_processes"),
    "consist_es/views/file.py": _VIEWS,
    "consist_es/views/notices.py": _VIEWS,
    "consist_es/views/tables.py": _VIEWS,
    "consist_es/views/compare.py": _VIEWS,
    "consist_es/identity/adapters.py": ("fingerprint",),
    "consist_es/identity/code/block.py": ("code_identity_trace",),
    "consist_es/identity/text/bytecode.py": _CODE,
    "consist_es/identity/code/modes.py": _CODE,
    "consist_es/identity/config.py": ("fingerprint", "config_identity"),
    "consist_es/artifacts/ahead.py": ("digest_folders",),
    "consist_es/artifacts/digest.py": ("digest", "digest_cache", "digest_folders"),
    "consist_es/artifacts/digest_cache.py": ("digest_cache", "digest_folders"),
    "consist_es/log/copying.py": ("postgres", "merging"),
    "consist_es/log/merging.py": ("merging",),
    "consist_es/log/postgres/address.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/checking.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/claims.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/copying.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/database.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/log.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/project.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/reading.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/redacting.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/server.py": ("postgres", "engine_conformance"),
    "consist_es/log/postgres/writing.py": ("postgres", "engine_conformance"),
    "consist_es/system/keyfile.py": ("digest_cache",),
    "consist_es/project/environment.py": ("environment",),
    "consist_es/identity/text/exposed.py": ("exposed_names",),
    "consist_es/identity/fingerprint.py": ("fingerprint",),
    "consist_es/identity/git.py": ("environment",),
    "consist_es/identity/live/settings.py": ("loaded_identity", "code_identity_values", "code_identity"),
    "consist_es/identity/live/loaded.py": ("loaded_identity", "code_identity_values", "code_identity"),
    "consist_es/identity/live/modules.py": _CODE,
    "consist_es/identity/live/objects.py": _CODE,
    "consist_es/identity/text/readers.py": _CODE,
    "consist_es/identity/text/source.py": _CODE,
    "consist_es/identity/text/usage.py": _CODE,
    "consist_es/identity/text/variables.py": _CODE,
    "consist_es/identity/code/visitor.py": _CODE,
    "consist_es/identity/text/writes.py": _CODE,
    "consist_es/cache/lookup.py": _LOOKUP,
    "consist_es/projections/cache_index.py": _LOOKUP,
    "consist_es/projections/run_fold.py": ("projector_folding", "projections_runs"),
    "consist_es/projections/lineage_fold.py": ("projector_folding", "projections_lineage"),
    "consist_es/projections/ahead.py": ("rebuild_ahead",),
    "consist_es/artifacts/uris.py": ("path_checks", "artifacts"),
    "consist_es/artifacts/copies.py": ("path_checks", "hostile_races"),
    "consist_es/artifacts/materialize.py": ("path_checks", "materialize"),
}
"""Module -> names of test files, without ``tests/test_`` and ``.py``."""


def test_file(name: str) -> str:
    """Path of a test module, from the checkout's root."""
    return next((ROOT / "tests").rglob(f"test_{name}.py")).relative_to(ROOT).as_posix()
