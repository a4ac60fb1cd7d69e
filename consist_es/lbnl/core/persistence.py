"""Names of ``consist.core.persistence``."""

from consist_es.api.stand_ins import stand_in

DatabaseManager = stand_in("consist.core.persistence.DatabaseManager")
ProvenanceWriter = stand_in("consist.core.persistence.ProvenanceWriter")
