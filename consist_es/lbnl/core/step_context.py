"""Names of ``consist.core.step_context``."""

from consist_es.steps.definition import StepContext as StepContext
from consist_es.steps.schemas import (
    format_step_name as format_step_name,
)
from consist_es.steps.schemas import (
    resolve_metadata as resolve_metadata,
)
