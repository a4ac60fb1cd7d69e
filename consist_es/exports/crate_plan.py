"""The workflow of a crate: a tool and a step for each name of a step, and the parameters that files and settings fill.

It grows with the model, not with the number of runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from consist_es.exports.naming import local, settings
from consist_es.projections.run_rows import RunRow
from consist_es.reading.walk import Walk

_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
"""Address, name and version of what the crate conforms to."""


def ref(identity: str) -> dict[str, str]:
    """A reference to an entity."""
    return {"@id": identity}


def refs(identities: Iterable[str]) -> list[dict[str, str]] | dict[str, str]:
    """References to entities, each once; a single one is no list."""
    found = [ref(identity) for identity in dict.fromkeys(identities)]
    return found[0] if len(found) == 1 else found


class Tool(msgspec.Struct):
    """Steps of one name."""

    function: str | None
    code: str | None
    """Digest of the newest code."""
    settings: dict[str, None] = {}
    inputs: dict[str, None] = {}
    outputs: dict[str, None] = {}


class Plan(msgspec.Struct):
    """Tools of a scenario by name, in the order of their first runs, and how their files are handed on."""

    main: str
    tools: dict[str, Tool]
    connections: list[tuple[str, str, str, str]]
    """Step and key that a file was made by, step and role that it was used by."""
    outside: dict[str, None]
    """Keys of files that no step made."""

    @classmethod
    def of(cls, walk: Walk, header: RunRow, main: str) -> Plan:
        """Walk through the steps of a scenario."""
        tools: dict[str, Tool] = {}
        for row in walk.steps(header):
            tool = tools.setdefault(row.name, Tool(row.function, row.code_digest))
            tool.code = row.code_digest or tool.code
            tool.settings |= {key: None for key, _ in settings(row.config)}
        for use in walk.all_uses(header):
            tool = tools[use.step]
            (tool.inputs if use.direction == "input" else tool.outputs)[use.name] = None
        outside = {row.key: None for row in walk.outside(header)}
        return cls(main, tools, list(walk.handed_on(header)), outside)

    # ------------------------------------------------------------ names

    def tool(self, step: str) -> str:
        """The function of a step."""
        return f"#tool-{local(step)}"

    def step(self, step: str) -> str:
        """The place of a step in the workflow."""
        return f"{self.main}#{local(step)}"

    def setting(self, step: str, key: str) -> str:
        """The parameter that a setting fills."""
        return f"#param-{local(step)}-config-{local(key)}"

    def file(self, step: str, direction: str, name: str) -> str:
        """The parameter that a file fills; of the workflow itself for a step ""."""
        return f"#param-{local(step)}-{direction}-{local(name)}"

    # ------------------------------------------------------------ entities

    def entities(self, header: RunRow, license: str, version: str | None) -> Iterator[dict[str, Any]]:
        """The workflow, its tools, steps, parameters and connections."""
        made = dict.fromkeys(name for tool in self.tools.values() for name in tool.outputs)
        yield {
            "@id": self.main,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": header.name,
            **({} if version is None else {"version": version}),
            "programmingLanguage": ref("https://w3id.org/workflowhub/workflow-ro-crate#python"),
            "encodingFormat": "text/x-python",
            "license": ref(license),
            "conformsTo": ref(_WORKFLOW),
            "hasPart": refs(self.tool(name) for name in self.tools),
            "step": refs(self.step(name) for name in self.tools),
            "input": refs(self.file("", "input", key) for key in self.outside),
            "output": refs(self.file("", "output", key) for key in made),
        }
        for url, name in ((_WORKFLOW, "ComputationalWorkflow"), (_PARAMETER, "FormalParameter")):
            yield {"@id": url, "@type": "CreativeWork", "name": name, "version": "1.0-RELEASE"}
        yield from (_parameter(self.file("", "input", key), key) for key in self.outside)
        yield from (_parameter(self.file("", "output", key), key) for key in made)
        for position, (name, tool) in enumerate(self.tools.items()):
            yield from self._tool(name, tool, position)
        for source, key, target, role in self.connections:
            yield {
                "@id": _connection(source, key, target, role),
                "@type": "ParameterConnection",
                "sourceParameter": ref(self.file(source, "output", key)),
                "targetParameter": ref(self.file(target, "input", role)),
            }

    def _tool(self, name: str, tool: Tool, position: int) -> Iterator[dict[str, Any]]:
        files = {direction: getattr(tool, f"{direction}s") for direction in ("input", "output")}
        named = {way: [self.file(name, way, key) for key in keys] for way, keys in files.items()}
        values = [self.setting(name, key) for key in tool.settings]
        yield {
            "@id": self.tool(name),
            "@type": "SoftwareApplication",
            "name": name,
            **({} if tool.function is None else {"description": f"Python function {tool.function}"}),
            **({} if tool.code is None else {"version": tool.code}),
            "input": refs([*named["input"], *values]),
            "output": refs(named["output"]),
        }
        into = [_connection(*item) for item in self.connections if item[2] == name]
        yield {
            "@id": self.step(name),
            "@type": "HowToStep",
            "position": str(position),
            "name": name,
            "workExample": ref(self.tool(name)),
            **({"connection": refs(into)} if into else {}),
        }
        for direction, keys in files.items():
            yield from (_parameter(self.file(name, direction, key), key) for key in keys)
        yield from (_parameter(self.setting(name, key), key, "Text") for key in tool.settings)


def _connection(source: str, key: str, target: str, role: str) -> str:
    return f"#connection-{local(source)}-{local(key)}-{local(target)}-{local(role)}"


def _parameter(identity: str, name: str, kind: str = "File") -> dict[str, Any]:
    about = {"name": name, "additionalType": kind, "conformsTo": ref(_PARAMETER)}
    return {"@id": identity, "@type": "FormalParameter", **about}
