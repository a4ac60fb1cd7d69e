"""Names of ``consist.models.artifact_schema``."""

from consist_es.api.stand_ins import stand_in

ArtifactSchema = stand_in("consist.models.artifact_schema.ArtifactSchema")
ArtifactSchemaField = stand_in("consist.models.artifact_schema.ArtifactSchemaField")
ArtifactSchemaObservation = stand_in("consist.models.artifact_schema.ArtifactSchemaObservation")
