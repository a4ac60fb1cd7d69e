"""Names of ``consist.integrations.containers``."""

from consist_es.api.containers import ContainerResult as ContainerResult
from consist_es.api.containers import run_container as run_container
from consist_es.api.stand_ins import stand_in

ContainerDefinition = stand_in("consist.integrations.containers.ContainerDefinition")
