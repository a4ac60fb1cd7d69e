"""Names of ``consist.models.run``."""

from consist_es.api.lbnl_queries import RunArtifacts as RunArtifacts
from consist_es.api.lifecycle import ConsistRecord as ConsistRecord
from consist_es.runs.run import (
    Run as Run,
)
from consist_es.runs.run import (
    RunResult as RunResult,
)
