"""A scenario in a process that did not enter it: steps run in it; its header run and its coupler are another's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.api.coupler import Stored
from consist_es.api.header import make_header
from consist_es.api.scenario import ScenarioContext
from consist_es.artifacts.artifact import Artifact
from consist_es.errors import ClosedError, MissingKeyError, NoScenarioError, PathError, UsageError
from consist_es.execution.current import Frame, pop, push
from consist_es.execution.engine import Scope
from consist_es.execution.journal import Journal
from consist_es.identity.config import as_mapping
from consist_es.projections import coupler_state, lineage, run_table
from consist_es.steps.step import StepDefaults
from consist_es.values.plain import from_plain

if TYPE_CHECKING:
    from consist_es.api.handles import Handle
    from consist_es.api.tracker import Tracker


class AttachedScenario(ScenarioContext):
    """As the scenario of its handle. Its coupler is as it was at the call; what steps set in it here stays here."""

    def __init__(self, tracker: Tracker, handle: Handle, text: str) -> None:
        engine, own = tracker._engine, tracker._defaults
        defaults = StepDefaults(
            project_root=own.project_root,
            cache_epoch=handle.epoch,
            masker=own.masker,
            label_root=own.label_root,
            run_id_prefix=handle.prefix,
            tags=handle.tags,
            facet=handle.facet,
            name_template=handle.template,
            cache_hydration=handle.hydration,
            packages=own.packages,
        )
        super().__init__(engine, make_header(handle.name, None, None, handle.model, None, {}), defaults)
        self._text, self._is_entered = text, False
        try:
            self._run = engine.queries.run_by_key(handle.scenario)
        except MissingKeyError as error:
            raise NoScenarioError(f"The log of {tracker.db_path} has no scenario {handle.scenario!r}.") from error
        self._journal = Journal(engine.project, engine.uris, handle.scenario, handle.scenario)
        self._frame = Frame(engine.owner, None, handle.scenario)
        self._read_record(handle.scenario)

    def _read_record(self, key: str) -> None:
        """Take the config, inputs and coupler from the record."""
        engine = self._engine
        conn = engine.queries.conn
        row = run_table.by_key(conn, key)
        plain = None if row is None else row.config
        self._masked = b"$masked" in msgspec.json.encode(plain)
        config = {} if plain is None or self._masked else as_mapping(from_plain(plain))
        self._header = msgspec.structs.replace(self._header, config=config, config_plain=plain)
        self._inputs = engine.queries.artifacts(conn, lineage.inputs(conn, key))
        collected = engine.queries.collected(self._run) if self._run is not None else {}
        values: dict[str, Any] = {}
        for name, item in coupler_state.state(conn, key).items():
            if name in collected:
                values[name] = collected[name]
            elif item.value is not None:
                try:
                    values[name] = engine.uris.resolve(item.value)
                except PathError:  # of a mount that is not here
                    values[name] = item.value
        self.coupler.absorb(values)

    @property
    def config(self) -> Mapping[str, Any]:
        """As in the base class.

        Raises:
            UsageError: it holds secrets, which the record does not.
        """
        self._read("config")
        if self._masked:
            raise UsageError(
                f"The config of scenario {self.name!r} holds secrets, and those do not travel to other processes: give "
                "the step what it needs by its own config, or by an environment variable."
            )
        return MappingProxyType(self._header.config)

    @property
    def handle(self) -> str:
        """As in the base class."""
        return self._text

    def _check_entry(self) -> None:
        if self._is_entered:
            raise ClosedError(f"Scenario {self.run_id!r} is entered here already: leave its block first.")

    def _begin(self) -> ScenarioContext:
        self._is_entered = True
        if self._frame is not None:
            push(self._frame)
        return self

    def _end(self, error: BaseException | None) -> None:
        """Leave the block. Nothing is recorded: the process that entered the scenario does that."""
        self._is_entered = False
        if self._frame is not None:
            pop(self._frame)

    def _scope(self, call: str | None) -> Scope:
        return msgspec.structs.replace(super()._scope(call), sets_coupler=False)

    def add_input(self, path: Stored, key: str, **kwargs: Any) -> Artifact:
        """Refused: the scenario's inputs are added by the process that entered it."""
        raise ClosedError(
            f"add_input({key!r}): scenario {self.name!r} was entered by another process, which adds its inputs."
        )
