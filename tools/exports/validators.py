"""Holds exports against the official schemas and libraries; runs in the environment of requirements.txt.

``python validators.py FOLDER SCHEMAS``: the folder that check.py filled, and the one with OpenLineage.json and facets/.
"""

import collections
import itertools
import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

Told = list[str]


def openlineage(files: list[Path], schemas: Path) -> Told:
    """The schemas of the events and of every facet, and the order of the events of each run."""
    from jsonschema import Draft202012Validator, FormatChecker
    from referencing import Registry, Resource

    documents = [
        json.loads(path.read_text()) for path in [schemas / "OpenLineage.json", *schemas.glob("facets/*.json")]
    ]
    registry = Registry().with_resources([(item["$id"], Resource.from_contents(item)) for item in documents])
    known = {item["$id"]: item for item in documents}

    def validator(reference: str) -> Any:
        return Draft202012Validator({"$ref": reference}, registry=registry, format_checker=FormatChecker())

    event_schema = validator(f"{documents[0]['$id']}#/$defs/RunEvent")
    facet_schemas: dict[str, Any] = {}
    problems: Told = []
    events = facets = 0
    for path in files:
        runs = collections.defaultdict(list)
        for line in path.read_text(encoding="utf-8").splitlines():
            event, events = json.loads(line), events + 1
            problems += [
                f"{path}: {error.json_path} {error.message[:200]}" for error in event_schema.iter_errors(event)
            ]
            runs[event["run"]["runId"]].append(event["eventType"])
            for name, facet in all_facets(event):
                facets += 1
                url = facet["_schemaURL"]
                document = known.get(url.partition("#")[0])
                if document is None or name not in document.get("properties", {}):
                    problems.append(f"{path}: facet {name} with {url}, which is not in the specification")
                    continue
                checker = facet_schemas.setdefault(url, validator(url))
                problems += [f"{path}: facet {name}: {error.message[:200]}" for error in checker.iter_errors(facet)]
        for run, kinds in runs.items():
            if kinds[0] != "START" or kinds[1:] not in ([], ["COMPLETE"], ["FAIL"], ["ABORT"]):
                problems.append(f"{path}: run {run} has the events {kinds}")
    if not any(event_schema.iter_errors({**event, "eventTime": None})):
        problems.append("the schema of events refuses nothing")
    print(f"OpenLineage schema: {verdict(problems)}, {len(files)} files, {events} events, {facets} facets")
    return problems


def all_facets(event: dict[str, Any]) -> list[tuple[str, Any]]:
    sets = [event["run"]["facets"], event["job"]["facets"]]
    for item in event["inputs"] + event["outputs"]:
        sets += [item.get(name, {}) for name in ("facets", "inputFacets", "outputFacets")]
    return [pair for one in sets for pair in one.items()]


def openlineage_client(files: list[Path], out: Path) -> Told:
    """The official client takes every event and sends it on; its classes check UUIDs, times and URIs."""
    from importlib.metadata import version

    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.transport.file import FileConfig, FileTransport

    sent, problems = 0, []
    client = OpenLineageClient(
        transport=FileTransport(FileConfig(log_file_path=str(out / "client.jsonl"), append=True))
    )
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            try:
                inputs = [InputDataset(item["namespace"], item["name"]) for item in event["inputs"]]
                outputs = [OutputDataset(item["namespace"], item["name"]) for item in event["outputs"]]
                client.emit(
                    RunEvent(
                        eventTime=event["eventTime"],
                        eventType=RunState[event["eventType"]],
                        run=Run(event["run"]["runId"]),
                        job=Job(event["job"]["namespace"], event["job"]["name"]),
                        producer=event["producer"],
                        inputs=inputs,
                        outputs=outputs,
                    )
                )
                sent += 1
            except (ValueError, TypeError, LookupError) as error:
                problems.append(f"{path}: the client refuses an event: {error}")
    print(f"openlineage-python {version('openlineage-python')}: {verdict(problems)}, {sent} events taken")
    return problems


def prov(files: list[Path]) -> Told:
    """`prov` reads each document, and what it writes of it is the same document; PROV-N and RDF come out of it."""
    from importlib.metadata import version

    from prov.model import ProvDocument

    problems, records, triples = [], 0, 0
    for path in files:
        document = ProvDocument.deserialize(str(path), format="json")
        again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
        count = len(list(document.get_records()))
        written = json.loads(path.read_text(encoding="utf-8"))
        wanted = sum(len(part) for name, part in written.items() if name != "prefix")
        if document != again or count != wanted or not count:
            problems.append(f"{path}: {count} records of {wanted}, or not the same when read back")
        document.get_provn()
        triples += document.serialize(format="rdf", rdf_format="nt").count("\n")
        records += count
    said = f"{len(files)} documents, {records} records, {triples} triples"
    print(f"PROV-JSON by prov {version('prov')}: {verdict(problems)}, {said}")
    return problems


def crates(folders: list[Path]) -> Told:
    """`roc-validator`: every required check of Provenance Run Crate 0.5, and the profiles that it builds on."""
    from importlib.metadata import version

    from crate_offline import issues

    problems: Told = []
    advised: collections.Counter[str] = collections.Counter()
    for folder in folders:
        problems += [f"{folder}: {text}" for text in issues(folder, "REQUIRED")]
        advised.update(issues(folder, "RECOMMENDED"))
    if not issues(_without_license(folders[0]), "REQUIRED"):
        problems.append("a crate without a licence is not refused")
    said = f"{len(folders)} crates; recommended and not met: {len(advised)} kinds"
    print(f"Provenance Run Crate 0.5 by roc-validator {version('roc-validator')}: {verdict(problems)}, {said}")
    for text, count in advised.most_common():
        print(f"  recommended, {count} times: {text}")
    return problems


def _without_license(crate: Path) -> Path:
    """A copy of a crate that is not valid."""
    broken = crate.with_name("broken-crate")
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(crate, broken)
    metadata = broken / "ro-crate-metadata.json"
    document = json.loads(metadata.read_text(encoding="utf-8"))
    for entity in document["@graph"]:
        entity.pop("license", None)
    metadata.write_text(json.dumps(document), encoding="utf-8")
    return broken


def parquet(folders: list[Path]) -> Told:
    """DuckDB, polars and pandas read every table, with as many rows."""
    import duckdb
    import pandas as pd
    import polars as pl

    problems, rows = [], 0
    for path in (file for folder in folders for file in sorted(folder.glob("*.parquet"))):
        by_duckdb = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()[0][0]
        by_polars, by_pandas = pl.read_parquet(path), pd.read_parquet(path)
        if len({by_duckdb, by_polars.height, len(by_pandas)}) != 1 or list(by_pandas) != by_polars.columns:
            problems.append(f"{path}: {by_duckdb}, {by_polars.height} and {len(by_pandas)} rows")
        rows += by_duckdb
    versions = f"duckdb {duckdb.__version__}, polars {pl.__version__}, pandas {pd.__version__}"
    print(f"Parquet by {versions}: {verdict(problems)}, {len(folders)} folders, {rows} rows")
    return problems


def trace(files: list[Path]) -> Told:
    """The shape that the trace format's description wants, and that arrows begin and end inside slices."""
    problems, count = [], 0
    for path in files:
        found = json.loads(path.read_text(encoding="utf-8"))
        events, slices = found["traceEvents"], collections.defaultdict(list)
        count += len(events)
        for event in events:
            wanted = {"M": ("name", "pid", "args"), "X": ("name", "pid", "tid", "ts", "dur")}
            wanted |= dict.fromkeys(("B", "s", "f"), ("name", "pid", "tid", "ts"))
            if missing := [key for key in wanted[event["ph"]] if key not in event]:
                problems.append(f"{path}: an event without {missing}: {event}")
            if event["ph"] in "XB":
                slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event.get("dur", 1 << 62)))
        for (pid, tid), times in slices.items():
            for (_, end), (begin, _) in itertools.pairwise(sorted(times)):
                if begin < end:
                    problems.append(f"{path}: slices overlap in process {pid}, lane {tid}")
        ends = collections.Counter(event["id"] for event in events if event["ph"] in "sf")
        problems += [f"{path}: an arrow of {number} ends" for number in ends.values() if number != 2]
        for event in events:
            inside = any(begin <= event.get("ts", 0) <= end for begin, end in slices[event["pid"], event["tid"]])
            if event["ph"] in "sf" and not inside:
                problems.append(f"{path}: an arrow outside any slice: {event}")
    print(f"Chrome trace, its shape: {verdict(problems)}, {len(files)} files, {count} events")
    return problems


def verdict(problems: Told) -> str:
    return "FAIL" if problems else "PASS"


def main() -> int:
    """Give 0 where nothing is refused."""
    warnings.simplefilter("ignore")
    out, schemas = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path.insert(0, str(Path(__file__).parent))

    def of(format: str) -> list[Path]:
        return sorted(out.glob(f"*/*.{format}"))

    problems: Told = []
    if (schemas / "OpenLineage.json").is_file():
        problems += openlineage(of("openlineage"), schemas)
    else:
        print(
            f"OpenLineage schema: not tried, {schemas} is not there: "
            "the folder spec of github.com/OpenLineage/OpenLineage"
        )
    problems += openlineage_client(of("openlineage"), out)
    problems += prov(of("prov")) + crates(of("ro-crate")) + parquet(of("parquet")) + trace(of("trace"))
    for text in problems[:40]:
        print("  " + text)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
