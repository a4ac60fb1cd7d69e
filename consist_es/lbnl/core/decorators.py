"""Names of ``consist.core.decorators``."""

from consist_es.steps.definition import (
    StepDefinition as StepDefinition,
)
from consist_es.steps.definition import (
    define_step as define_step,
)
from consist_es.steps.definition import (
    require_runtime_kwargs as require_runtime_kwargs,
)
