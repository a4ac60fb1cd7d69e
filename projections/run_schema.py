"""The tables, indexes and SQL views of the run table."""

from consist_es.projections import facets, for_people, imported, run_meta, shared_values
from consist_es.projections.plumbing import columns_of
from consist_es.projections.run_rows import COLUMNS, WriterRow
from consist_es.views.tables import Database, create_index, create_table, create_view

_REFERENCES = {
    "parent_key": ("runs", "key"),
    "scenario_key": ("runs", "key"),
    "cache_source_key": ("runs", "key"),
    "environment": ("environments", "digest"),
    "writer": ("writers", "writer"),
}


def create(db: Database) -> None:
    """Make the tables."""
    not_null = {"run_id", "attempt", "id", "kind", "status"}
    create_table(db, "runs", COLUMNS, pk="key", not_null=not_null, references=_REFERENCES)
    # Numbers the attempts while folding:
    create_index(db, "runs", ["run_id", "attempt"], "runs_by_attempt", unique=True)
    of_run = {"run_key": ("runs", "key")}
    tags = {"run_key": str, "tag": str, "seq": int}
    create_table(db, "run_tags", tags, pk=("run_key", "tag"), references=of_run)
    create_table(db, "run_facets", facets.COLUMNS, pk=("run_key", "key"), references=of_run)
    create_table(db, "writers", columns_of(WriterRow), pk="writer")
    software = {"digest": str, "python": str, "platform": str, "packages": str, "git_commit": str, "git_dirty": str}
    create_table(db, "environments", {**software, "variables": str, "at": str, "seq": int}, pk="digest")
    run_meta.create(db)
    shared_values.create(db)


def index(db: Database) -> None:
    """Make the indexes that only queries need."""
    create_index(db, "runs", ["id"], "runs_by_id", unique=True)
    create_index(db, "runs", ["scenario_key", "started_seq"], "runs_by_scenario")
    create_index(db, "runs", ["parent_key", "started_seq"], "runs_by_parent")
    create_index(db, "runs", ["model", "started_seq"], "runs_by_model")
    create_index(db, "runs", ["name", "started_seq"], "runs_by_name")
    create_index(db, "runs", ["status", "started_seq"], "runs_by_status")
    create_index(db, "runs", ["kind", "started_seq"], "runs_by_kind")
    create_index(db, "runs", ["started_seq"], "runs_by_start")
    create_index(db, "run_tags", ["tag", "seq"], "run_tags_by_tag")
    for sql in (*PARTIAL_INDEXES, facets.INDEX, imported.INDEX):
        db.execute(sql)
    run_meta.index(db)
    shared_values.index(db)
    create_view(db, "steps", for_people.STEPS)
    create_view(db, "scenarios", for_people.SCENARIOS)


PARTIAL_INDEXES = (
    "CREATE INDEX runs_by_year ON runs (year, started_seq) WHERE year IS NOT NULL",
    "CREATE INDEX runs_by_iteration ON runs (iteration, started_seq) WHERE iteration IS NOT NULL",
    "CREATE INDEX runs_by_phase ON runs (phase, started_seq) WHERE phase IS NOT NULL",
    "CREATE INDEX runs_by_stage ON runs (stage, started_seq) WHERE stage IS NOT NULL",
    """CREATE INDEX runs_computed_by_model ON runs (model, started_seq)
    WHERE status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit' AND cache IS NOT 'imported'""",
    """CREATE INDEX runs_computed_by_name ON runs (name, started_seq)
    WHERE status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit' AND cache IS NOT 'imported'""",
    "CREATE INDEX runs_by_sweep ON runs (sweep, started_seq) WHERE sweep IS NOT NULL",
    """CREATE INDEX runs_by_fingerprint ON runs (fingerprint, started_seq)
    WHERE kind <> 'scenario' AND cache IS NOT 'hit'""",
)
"""Most runs have few of the labels. Hits are left out where a query does: a million may have followed the last run that
was computed. Imported runs have no parts that could be compared."""
