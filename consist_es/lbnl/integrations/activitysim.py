"""Names of ``consist.integrations.activitysim``."""

from consist_es.adapters.lbnl_configs import ActivitySimConfigAdapter as ActivitySimConfigAdapter
from consist_es.adapters.lbnl_configs import ConfigOverrides as ConfigOverrides
