"""All cases, in the order of the report."""

from attacks.case import Case
from attacks.cases import (
    callables,
    code_files,
    config_objects,
    environment,
    folders,
    helpers,
    inputs,
    live_objects,
    outputs,
    packages,
    runs,
    settings,
    statements,
    values,
)

GROUPS = (
    values.GROUP,
    config_objects.GROUP,
    packages.GROUP,
    callables.GROUP,
    code_files.GROUP,
    helpers.GROUP,
    live_objects.GROUP,
    settings.GROUP,
    statements.GROUP,
    environment.GROUP,
    inputs.GROUP,
    folders.GROUP,
    outputs.GROUP,
    runs.GROUP,
)
CASES: tuple[Case, ...] = tuple(case for group in GROUPS for case in group.cases)
