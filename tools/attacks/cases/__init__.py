"""All cases, in the order of the report."""

from attacks.case import Case
from attacks.cases import (
    callables,
    code_files,
    config_objects,
    effects,
    environment,
    exact_values,
    folders,
    helpers,
    inputs,
    installed,
    live_objects,
    outputs,
    packages,
    programs,
    runs,
    settings,
    statements,
    values,
    ways,
)

GROUPS = (
    values.GROUP,
    exact_values.GROUP,
    config_objects.GROUP,
    packages.GROUP,
    callables.GROUP,
    effects.GROUP,
    code_files.GROUP,
    helpers.GROUP,
    live_objects.GROUP,
    settings.GROUP,
    statements.GROUP,
    ways.GROUP,
    installed.GROUP,
    programs.GROUP,
    environment.GROUP,
    inputs.GROUP,
    folders.GROUP,
    outputs.GROUP,
    runs.GROUP,
)
CASES: tuple[Case, ...] = tuple(case for group in GROUPS for case in group.cases)
