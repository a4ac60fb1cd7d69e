"""All cases, in the order of the report."""

from attacks.case import Case
from attacks.cases import (
    callables,
    code_files,
    config_objects,
    environment,
    exact_values,
    folders,
    helpers,
    inputs,
    outputs,
    packages,
    runs,
    settings,
    values,
)

GROUPS = (
    values.GROUP,
    exact_values.GROUP,
    config_objects.GROUP,
    packages.GROUP,
    callables.GROUP,
    code_files.GROUP,
    helpers.GROUP,
    settings.GROUP,
    environment.GROUP,
    inputs.GROUP,
    folders.GROUP,
    outputs.GROUP,
    runs.GROUP,
)
CASES: tuple[Case, ...] = tuple(case for group in GROUPS for case in group.cases)
