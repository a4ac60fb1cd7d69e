"""Names of ``consist.core.workflow``."""

from consist_es.api.scenario import ScenarioContext as ScenarioContext
from consist_es.execution.active import OutputCapture as OutputCapture
from consist_es.execution.run_context import RunContext as RunContext
