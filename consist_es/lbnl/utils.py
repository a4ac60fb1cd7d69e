"""Names of ``consist.utils``."""

from consist_es.steps.schemas import (
    ArtifactKeyRegistry as ArtifactKeyRegistry,
)
from consist_es.steps.schemas import (
    collect_step_schema as collect_step_schema,
)
