"""Names of ``consist.models.artifact_kv``."""

from consist_es.api.stand_ins import stand_in

ArtifactKV = stand_in("consist.models.artifact_kv.ArtifactKV")
