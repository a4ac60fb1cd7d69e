"""Names of ``consist.models.beam``."""

from consist_es.api.stand_ins import stand_in

BeamConfigCache = stand_in("consist.models.beam.BeamConfigCache")
BeamConfigIngestRunLink = stand_in("consist.models.beam.BeamConfigIngestRunLink")
