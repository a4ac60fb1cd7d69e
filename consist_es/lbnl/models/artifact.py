"""Names of ``consist.models.artifact``."""

from consist_es.artifacts.artifact import Artifact as Artifact
from consist_es.artifacts.formats import DriverType as DriverType
