"""Names of ``consist.protocols``."""

from consist_es.api.protocols import (
    ArtifactRecordLike as ArtifactRecordLike,
)
from consist_es.api.protocols import (
    RunIdentifiedResultLike as RunIdentifiedResultLike,
)
from consist_es.api.protocols import (
    ScenarioLike as ScenarioLike,
)
from consist_es.api.protocols import (
    TrackerLike as TrackerLike,
)
from consist_es.artifacts.artifact import ArtifactLike as ArtifactLike
from consist_es.runs.run import RunResultLike as RunResultLike
