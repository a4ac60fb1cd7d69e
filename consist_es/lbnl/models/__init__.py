"""Names of ``consist.models``."""

from consist_es.artifacts.artifact import Artifact as Artifact
from consist_es.runs.run import Run as Run
