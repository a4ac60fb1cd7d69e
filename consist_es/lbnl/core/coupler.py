"""Names of ``consist.core.coupler``."""

from consist_es.api.coupler import (
    Coupler as Coupler,
)
from consist_es.api.coupler import (
    CouplerView as CouplerView,
)
from consist_es.api.coupler import (
    DeclaredOutput as DeclaredOutput,
)
