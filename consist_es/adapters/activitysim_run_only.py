"""Settings of ActivitySim that change how it runs and not what it computes, each with the reason.

Read from the documentation of ActivitySim 1.1 to 1.6. A setting that is not listed counts. The table is part of no
identity: a key that comes or goes changes what is counted, and so the identity of those runs that have it.
"""

TABLE = "2026-11"
"""Version of the table; recorded with every run."""

_PROCESSES = "households are divided among processes, and the draws of each belong to it, not to the process"
_CHUNKS = "rows are computed in portions of another size"
_TRACE = "more files about some households or zones; the tables are the same"
_LOGS = "what is logged"
_PROFILE = "time or memory is measured"
_CACHES = "where intermediate files are kept"

SETTINGS: dict[str, str] = {
    "multiprocess": _PROCESSES,
    "num_processes": _PROCESSES,
    "multiprocess_steps": _PROCESSES,
    "fail_fast": "how soon a run ends that failed",
    "chunk_size": _CHUNKS,
    "chunk_method": _CHUNKS,
    "chunk_training_mode": _CHUNKS,
    "default_initial_rows_per_chunk": _CHUNKS,
    "min_available_chunk_ratio": _CHUNKS,
    "keep_chunk_logs": _LOGS,
    "keep_mem_logs": _LOGS,
    "trace_hh_id": _TRACE,
    "trace_od": _TRACE,
    "cleanup_trace_files_on_resume": _TRACE,
    "log_settings": _LOGS,
    "log_alt_losers": _LOGS,
    "rotate_logs": _LOGS,
    "memory_profile": _PROFILE,
    "instrument": _PROFILE,
    "benchmarking": _PROFILE,
    "expression_profile": _PROFILE,
    "expression_profile_style": _PROFILE,
    "expression_profile_cutoff": _PROFILE,
    "profile_dir": _CACHES,
    "sharrow_cache_dir": _CACHES,
    "store_skims_in_shm": "where skims lie in memory",
    "check_model_settings": "settings are checked before the run",
}
"""Key of the settings file -> reason."""

ANY_FILE: dict[str, str] = {"explicit_chunk": _CHUNKS}
"""Key of any settings file -> reason."""

OF_FILE: dict[str, dict[str, str]] = {
    "network_los.yaml": {"write_skim_cache": "skims are kept for later runs as well"},
}
"""File -> key -> reason."""

FILES: dict[str, str] = {"logging.yaml": _LOGS}
"""File -> reason, of files that are run-only as a whole."""


def reason(file: str, key: object, value: object, *, settings_file: str, sampled: bool) -> str | None:
    """Why a key of a file is run-only, or None if it counts; `sampled`: only some households are simulated."""
    if not isinstance(key, str) or (key == "trace_hh_id" and value and sampled):
        return None  # a traced household takes the place of one of the sample
    found = FILES.get(file) or OF_FILE.get(file, {}).get(key) or ANY_FILE.get(key)
    return found or (SETTINGS.get(key) if file == settings_file else None)
