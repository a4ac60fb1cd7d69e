"""What is known of a step before its inputs are: for forecasts of steps that wait for others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from consist_es.checks import check_labels, check_name
from consist_es.identity.config import config_digest
from consist_es.steps.definition import with_definition
from consist_es.steps.options import OutputArtifactSpec, StepArguments, output_names
from consist_es.steps.output_sets import output_sets_of
from consist_es.steps.outputs import output_paths_of
from consist_es.steps.step import StepDefaults, check_callable, hydration_of, name_of


class Outline(msgspec.Struct, frozen=True):
    """The facts about a step that are known before its inputs are."""

    name: str
    model: str
    unit: tuple[Any, ...]
    """Digest of the config, model, year, iteration, phase and stage; different values are different work."""
    declared: tuple[str, ...]
    output_paths: dict[str, OutputArtifactSpec]
    staging: Mapping[str, Any]
    hydration: str
    fallback: str
    """Key of a single output if none is declared."""


def outline(args: StepArguments, defaults: StepDefaults) -> Outline:
    """The outline of a step; its function's own defaults are filled in already. Raises as `prepare` does."""
    check_labels(args, ("year", "iteration"), ("phase", "stage", "description"))
    template = with_definition(args, defaults.run_dir)[1]
    name = name_of(args, template or defaults.name_template)
    check_callable(args, name, is_async=True)
    model = check_name(args.model if args.model is not None else name, "model")
    places = output_paths_of(args.output_paths)
    declared = (*places, *output_names(args.outputs), *output_sets_of(args.output_sets))
    return Outline(
        name=name,
        model=model,
        unit=(config_digest(args.config), model, args.year, args.iteration, args.phase, args.stage),
        declared=tuple(dict.fromkeys(declared)),
        output_paths=places,
        staging=args.execution_options.input_paths or {},
        hydration=hydration_of(args, defaults),
        fallback=getattr(args.fn, "__name__", name),
    )
