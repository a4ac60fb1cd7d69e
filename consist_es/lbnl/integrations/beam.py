"""Names of ``consist.integrations.beam``."""

from consist_es.adapters.lbnl_configs import BeamConfigAdapter as BeamConfigAdapter
from consist_es.api.stand_ins import stand_in

BeamConfigOverrides = stand_in("consist.integrations.beam.BeamConfigOverrides")
BeamReferencePolicy = stand_in("consist.integrations.beam.BeamReferencePolicy")
