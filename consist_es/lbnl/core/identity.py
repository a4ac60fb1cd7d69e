"""Names of ``consist.core.identity``."""

from consist_es.api.stand_ins import stand_in
from consist_es.errors import CodeIdentityUnavailableError as CodeIdentityUnavailableError

IdentityManager = stand_in("consist.core.identity.IdentityManager")
