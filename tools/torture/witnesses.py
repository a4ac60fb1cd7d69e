"""Which tests notice what is wrong with which module; for the coverage that is required, and for the mutation test.

Every module here has 100 % branch coverage by all the tests named here together (``tools/dev.py coverage``). A mutant
of a module is tried with the module's own tests, in this order, so the likeliest and quickest stand first.
"""

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
    "consist_es/log/local.py": _WRITING,
    "consist_es/log/head.py": ("log_append", "log_handles", "log_verify_again", "log_damage", "log_faults"),
    "consist_es/log/files.py": _WRITING,
    "consist_es/log/blobs.py": _WRITING,
    "consist_es/log/verify.py": ("log_verify_refusals", "log_verify_again", "log_handles", "log_damage", "redaction"),
    "consist_es/log/report.py": ("log_verify_refusals", "log_verify_again"),
    "consist_es/log/unended.py": ("log_unended", "log_seams", "cli_repair", "log_verify_again"),
    "consist_es/log/repair.py": ("log_seams", "log_repair", "cli_repair"),
    "consist_es/log/salvage.py": ("log_repair", "log_damage", "cli_repair"),
    "consist_es/log/redaction.py": ("log_refusals", "log_seams", "log_handles", "redaction"),
    "consist_es/log/archive.py": ("log_handles", "log_archive"),
    "consist_es/log/merkle.py": _PROOFS,
    "consist_es/log/treehead.py": _PROOFS,
    "consist_es/log/checkpoint.py": ("checkpoint", "log_refusals", "log_handles", "proofs"),
    "consist_es/log/signing.py": ("log_refusals", "log_handles", "checkpoint"),
    "consist_es/log/proof.py": ("proofs", "checkpoint"),
    "consist_es/log/survey.py": (*_PROOFS, "log_refusals", "log_handles"),
    "consist_es/projector.py": _VIEWS,
    "consist_es/folding.py": ("projector_folding", "projector_places", "projector_file", "projector_processes"),
    "consist_es/view_file.py": _VIEWS,
    "consist_es/identity/adapters.py": ("fingerprint",),
    "consist_es/identity/block.py": ("code_identity_trace",),
    "consist_es/identity/bytecode.py": _CODE,
    "consist_es/identity/code.py": _CODE,
    "consist_es/identity/config.py": ("fingerprint", "config_identity"),
    "consist_es/identity/digest.py": ("digest", "digest_cache"),
    "consist_es/identity/digest_cache.py": ("digest_cache",),
    "consist_es/identity/digest_key.py": ("digest_cache",),
    "consist_es/identity/environment.py": ("environment",),
    "consist_es/identity/exposed.py": ("exposed_names",),
    "consist_es/identity/fingerprint.py": ("fingerprint",),
    "consist_es/identity/git.py": ("environment",),
    "consist_es/identity/held.py": ("loaded_identity", "code_identity_values", "code_identity"),
    "consist_es/identity/loaded.py": ("loaded_identity", "code_identity_values", "code_identity"),
    "consist_es/identity/modules.py": _CODE,
    "consist_es/identity/objects.py": _CODE,
    "consist_es/identity/readers.py": _CODE,
    "consist_es/identity/source.py": _CODE,
    "consist_es/identity/usage.py": _CODE,
    "consist_es/identity/variables.py": _CODE,
    "consist_es/identity/visitor.py": _CODE,
    "consist_es/identity/writes.py": _CODE,
    "consist_es/lookup.py": _LOOKUP,
    "consist_es/projections/cache_index.py": _LOOKUP,
    "consist_es/artifacts/uris.py": ("path_checks", "artifacts"),
    "consist_es/artifacts/copies.py": ("path_checks", "hostile_races"),
    "consist_es/materialize.py": ("path_checks", "materialize"),
}
"""Module -> names of test files, without ``tests/test_`` and ``.py``."""
