"""Names of ``consist.core.maintenance``."""

from consist_es.api.stand_ins import stand_in

DatabaseMaintenance = stand_in("consist.core.maintenance.DatabaseMaintenance")
