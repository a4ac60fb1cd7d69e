"""What Datasette (https://docs.datasette.io) is told of a project: titles, facets, and questions as canned queries.

Version 0.65 reads one file of metadata; 1.0 has settings and queries in a file of configuration, and texts in metadata.
"""

from __future__ import annotations

from typing import Any

from consist_es.exports.datasette_queries import QUESTIONS
from consist_es.projections import BUILTIN

METADATA_0, CONFIG_1, METADATA_1 = "datasette-metadata.json", "datasette-1.0-config.json", "datasette-1.0-metadata.json"
_SETTINGS = ("facets", "sort_desc", "label_column", "hidden", "size")
"""What of a table belongs into the configuration of 1.0."""
_TEXTS = ("title", "description", "columns")
"""What of it belongs into the metadata."""

TABLES: dict[str, dict[str, Any]] = {
    "scenarios": {
        "title": "Scenarios",
        "description": "One line for each attempt of a scenario.",
        "facets": ["status", "name"],
        "units": {"seconds": "s"},
        "columns": {"hits": "steps that were reused", "failed": "steps that failed, were interrupted or abandoned"},
    },
    "steps": {
        "title": "Steps",
        "description": "One line for each step, in the order in which they began.",
        "facets": ["outcome", "step", "year", "scenario"],
        "size": 20,
        "units": {"seconds": "s", "saved_seconds": "s"},
        "columns": {
            "outcome": "hit, computed, demoted, imported, failed, interrupted, abandoned or running",
            "source": "of a hit the run that answered; of a miss the nearest earlier run",
            "saved_seconds": "time of the run that answered, less the hit's own",
        },
    },
    "files": {
        "title": "Files",
        "description": "One line for each file or table and content.",
        "facets": ["driver", "key"],
        "units": {"bytes": "B"},
        "columns": {"records": "how often it was recorded", "used_by": "number of steps that used it"},
    },
    "runs": {
        "title": "Runs",
        "description": "Every scenario, step and trace, with all that is recorded.",
        "facets": ["status", "kind", "name", "cache"],
        "sort_desc": "started_seq",
        "label_column": "id",
        "size": 20,
        "units": {"seconds": "s"},
        "columns": {"cache_source_key": "of a hit the run that answered; of a miss the nearest earlier run"},
    },
    "artifacts": {
        "title": "Artifacts",
        "description": "Every recorded file, folder and table, as it was when it was first recorded.",
        "facets": ["driver", "kind", "key"],
        "sort_desc": "created_seq",
        "label_column": "key",
        "units": {"size": "B"},
    },
    "links": {
        "title": "Links",
        "description": "Which run used or made which artifact.",
        "facets": ["direction", "via"],
        "sort_desc": "seq",
    },
    "run_inputs": {"title": "Inputs of runs", "facets": ["role"]},
    "run_outputs": {"title": "Outputs of runs", "facets": ["key"]},
    "lineage_edges": {"title": "Lineage, from run to run"},
    "coupler": {"title": "Coupler", "description": "What each name of each scenario stands for.", "sort_desc": "seq"},
    "environments": {"title": "Software", "label_column": "digest"},
    "writers": {"title": "Processes", "label_column": "writer"},
    "acceptances": {"title": "Accepted changes"},
    "redactions": {"title": "Redactions"},
    "audit_index": {
        "title": "Events",
        "description": "One row for every event of the log.",
        "facets": ["type"],
        "sort_desc": "seq",
    },
}
"""Table or view -> what people see of it. All others are hidden."""


def documents(database: str, title: str) -> dict[str, dict[str, Any]]:
    """File name -> its content, for a database of this name."""
    hidden = {name: {"hidden": True} for name in _others()}
    tables = {**TABLES, **hidden}
    queries = {
        name: {"title": asked.title, "description": asked.description, "sql": asked.sql.strip(), "hide_sql": True}
        for name, asked in QUESTIONS.items()
    }
    about = {"title": title, "description": "Views of a log of events, made by consist-es."}
    settings = {name: _only(body, _SETTINGS) for name, body in tables.items()}
    texts = {name: _only(body, _TEXTS) for name, body in TABLES.items()}
    return {
        METADATA_0: {**about, "databases": {database: {"tables": tables, "queries": queries}}},
        CONFIG_1: {"databases": {database: {"tables": settings, "queries": queries}}},
        METADATA_1: {**about, "databases": {database: {"tables": texts}}},
    }


def _others() -> list[str]:
    """Tables that only the library reads."""
    made = [table for projection in BUILTIN for table in projection.tables]
    return sorted({*made, "checkpoint", "dead_letter", "meta"} - TABLES.keys())


def _only(body: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}
