"""Names of ``consist.integrations.containers``."""

from consist_es.api.stand_ins import stand_in

ContainerDefinition = stand_in("consist.integrations.containers.ContainerDefinition")
run_container = stand_in("consist.integrations.containers.run_container")
