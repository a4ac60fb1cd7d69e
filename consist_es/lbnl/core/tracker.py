"""Names of ``consist.core.tracker``."""

from consist_es.api.tracker import Tracker as Tracker
