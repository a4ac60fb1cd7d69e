"""Maps our modules to the names that they have in cache keys: those they had when keys were first made.

A key contains the name of every function and class of this library that a step's code uses. If one of them moves to
another module, it keeps its old name here, so that no result has to be computed again.
"""

KEY_MODULES = {
    "consist_es.api.coupler": "consist_es.coupler",
    "consist_es.api.functions": "consist_es.shortcuts",
    "consist_es.api.noop": "consist_es.noop",
    "consist_es.api.queries": "consist_es.module_queries",
    "consist_es.api.references": "consist_es.references",
    "consist_es.api.scenario": "consist_es.scenarios",
    "consist_es.api.tracker": "consist_es.tracker",
    "consist_es.artifacts.drivers.loading": "consist_es.artifacts.drivers",
    "consist_es.execution.current": "consist_es.context",
    "consist_es.execution.forecast": "consist_es.forecast",
    "consist_es.execution.run_context": "consist_es.run_context",
    "consist_es.execution.summary": "consist_es.summary",
    "consist_es.runs.run": "consist_es.runs",
    "consist_es.runs.sets": "consist_es.run_sets",
    "consist_es.runs.why": "consist_es.why",
    "consist_es.steps.definition": "consist_es.definition",
    "consist_es.steps.options": "consist_es.options",
    "consist_es.steps.output_sets": "consist_es.output_sets",
    "consist_es.values.secret": "consist_es.secret",
}
"""Module -> its name in keys; all others keep their own."""
