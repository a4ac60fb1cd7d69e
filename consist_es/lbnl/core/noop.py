"""Names of ``consist.core.noop``."""

from consist_es.api.noop import NoopTracker as NoopTracker
from consist_es.artifacts.placeholder import NoopArtifact as NoopArtifact
from consist_es.runs.noop import NoopRunResult as NoopRunResult
