"""Adapters for MATSim configs, GTFS feeds and files of arrays: what counts of them, and what is noise."""

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest

from consist_es.adapters.arrays import ContentAdapter
from consist_es.adapters.gtfs import GtfsAdapter
from consist_es.adapters.matsim import MatsimAdapter
from consist_es.adapters.prepare import prepare_adapter
from consist_es.artifacts.digest import digest_path
from consist_es.errors import ConfigFileError, InputError, UsageTypeError
from consist_es.identity.adapters import drift, explain_adapters

CONFIG = """<?xml version="1.0"?><!DOCTYPE config SYSTEM "http://www.matsim.org/files/dtd/config_v2.dtd">
<config>
 <module name="global"><param name="randomSeed" value="4711"/><param name="numberOfThreads" value="2"/></module>
 <module name="network"><param name="inputNetworkFile" value="network.xml"/></module>
 <module name="controler"><param name="outputDirectory" value="out"/></module>
 <module name="scoring"><parameterset type="mode"><param name="mode" value="car"/></parameterset>
  <parameterset type="mode"><param name="mode" value="pt"/></parameterset></module>
</config>
"""
FEED = {
    "stops.txt": "stop_id,stop_name\n1,A\n",
    "calendar.txt": "service_id,start_date,end_date\nx,20300101,20301231\n",
    "calendar_dates.txt": "service_id,date,exception_type\nx,20310105,1\nx,20290101,2\n",
}


def info(adapter: Any) -> dict[str, Any]:
    return prepare_adapter(adapter, Path.cwd(), lambda path: digest_path(path).value).info


# ---------------------------------------------------------------- MATSim


def test_parameters_and_named_files_of_matsim_count(here: Path) -> None:
    config = here / "config.xml"
    config.write_text(CONFIG)
    (here / "network.xml").write_text("<network/>")
    before = info(MatsimAdapter(config))
    config.write_text(CONFIG.replace(' <module name="global">', '<!-- a note -->\n<module name="global">'))
    assert info(MatsimAdapter(config))["digest"] == before["digest"]
    config.write_text(CONFIG.replace('value="out"', 'value="out2"'))
    moved = info(MatsimAdapter(config))
    assert moved["digest"] == before["digest"]
    assert drift(moved, before) == ["run-only: 'controler.outputDirectory': 'out' -> 'out2'"]
    counted = MatsimAdapter(
        config, run_only={"controler.outputDirectory": None, "global.randomSeed": "tried with many"}
    )
    assert info(counted)["aside"]["run-only: 'global.randomSeed'"] == "4711"
    config.write_text(CONFIG.replace("4711", "4712").replace('value="pt"', 'value="bus"'))
    assert explain_adapters(info(MatsimAdapter(config)), before) == [
        "config.xml: 'global.randomSeed': '4711' -> '4712'",
        "config.xml: 'scoring.mode 2.mode': 'pt' -> 'bus'",
    ]
    config.write_text(CONFIG)
    (here / "network.xml").write_text("<network a='1'/>")
    assert explain_adapters(info(MatsimAdapter(config)), before) == ["file network.xml: content differs"]
    given = MatsimAdapter(config, inputs=("network.inputNetworkFile",))
    assert "file network.xml" not in info(given)["files"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<config>", "line 1: not valid XML"),
        ("<plans/>", "not <config>"),
        ('<!DOCTYPE config [<!ENTITY a "b">]><config>&a;</config>', "entities"),
        (CONFIG.replace('"numberOfThreads"', '"randomSeed"'), "there twice"),
    ],
)
def test_a_bad_matsim_config_is_one_clear_error(here: Path, text: str, said: str) -> None:
    (here / "config.xml").write_text(text)
    with pytest.raises(ConfigFileError, match=said):
        info("matsim:config.xml")
    with pytest.raises(InputError):
        info(MatsimAdapter(here / "absent.xml"))


# ---------------------------------------------------------------- GTFS


def feed(path: Path, tables: dict[str, str], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, text in tables.items():
            archive.writestr(zipfile.ZipInfo(name, time.gmtime(options.get("compresslevel") or 10**9)[:6]), text)
    return path


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("entities", "name"), [('<!ENTITY x SYSTEM "secret.txt">', "x"), (f'<!ENTITY l0 "ha">{LAUGHS}', "l9")]
)
def test_entities_of_a_matsim_config_read_no_file_and_fill_no_memory(here: Path, entities: str, name: str) -> None:
    (here / "secret.txt").write_text("hush")
    text = (
        f'<!DOCTYPE config [{entities}]><config><module name="m"><param name="p" value="1"/>&{name};</module></config>'
    )
    (here / "config.xml").write_text(text)
    with pytest.raises(ConfigFileError) as refused:
        info(MatsimAdapter(here / "config.xml"))
    assert "hush" not in str(refused.value)


def test_tables_of_a_feed_count_and_the_archive_around_them_does_not(here: Path) -> None:
    path = here / "feed.zip"
    before = info(GtfsAdapter(feed(path, FEED)))
    assert before["values"]["feed.zip: 'service window'"] == "20300101 to 20310105"
    feed(path, dict(reversed(FEED.items())) | {"__MACOSX/x": "a"}, compression=zipfile.ZIP_DEFLATED)
    assert info(GtfsAdapter(path))["digest"] == before["digest"]
    feed(path, {name: "\ufeff" + text.replace("\n", "\r\n") for name, text in FEED.items()})
    assert info(GtfsAdapter(path))["digest"] == before["digest"]
    feed(path, FEED | {"stops.txt": FEED["stops.txt"] + "2,B\n", "zones.geojson": "{}"})
    told = explain_adapters(info(GtfsAdapter(path)), before)
    assert [line.split(": ")[1] for line in told] == ["members.'stops.txt'", "members.'zones.geojson'"]
    path.unlink()
    path.mkdir()
    for name, text in FEED.items():
        (path / name).write_text(text)
    assert info(GtfsAdapter(path))["digest"] == before["digest"]


def test_what_is_no_feed_is_refused(here: Path) -> None:
    (here / "text.zip").write_text("text")
    for path, said in ((feed(here / "none.zip", {"a.txt": "a"}), r"no stops\.txt"), (here / "text.zip", "not a zip")):
        with pytest.raises(ConfigFileError, match=said):
            info(GtfsAdapter(path))
    with pytest.raises(InputError, match="does not exist"):
        info("gtfs:absent.zip")
    with pytest.raises(InputError, match="two feeds"):
        info(GtfsAdapter(feed(here / "feed.zip", FEED), here / "feed.zip"))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(here / "feed.zip", "a") as archive:
        archive.writestr("stops.txt", "other")
    with pytest.raises(ConfigFileError, match="there twice"):
        info(GtfsAdapter(here / "feed.zip"))
    with pytest.raises(UsageTypeError):
        GtfsAdapter()


# ---------------------------------------------------------------- arrays


def skims(path: Path, **changes: Any) -> Path:
    with h5py.File(path, "w", track_order=changes.get("order", False)) as file:
        for name in changes.get("names", ("DIST", "TIME")):
            matrix = np.full((5, 5), changes.get(name, 1.0))
            file.create_dataset(f"data/{name}", data=matrix, compression=changes.get("compression"), track_times=True)
        file["lookup/zones"] = np.arange(5)
        file["names"] = np.array(["a", "é"], dtype=h5py.string_dtype())
        file["alias"] = h5py.SoftLink(changes.get("link", "/data/DIST"))
        file["twin"] = file["lookup/zones"]
        file["refs"] = np.array([file["data"].ref], dtype=h5py.ref_dtype)
        file.attrs["history"] = changes.get("history", "")
        file.attrs["SHAPE"] = np.array(changes.get("shape", [5, 5]))
    return path


NOISE: dict[str, dict[str, Any]] = {
    "when": {}, "compression": {"compression": "gzip"}, "history": {"history": "now"},
    "order": {"names": ("TIME", "DIST")},
}  # fmt: skip
CONTENT: dict[str, dict[str, Any]] = {
    "value": {"DIST": 2.0}, "array": {"names": ("DIST",)}, "link": {"link": "/data/TIME"},
    "attribute": {"shape": [5, 6]},
}  # fmt: skip


def test_arrays_count_by_what_is_in_them(here: Path) -> None:
    path = here / "skims.omx"
    before = info(ContentAdapter(skims(path)))["digest"]
    for what, changes in NOISE.items():
        assert info(ContentAdapter(skims(path, **changes)))["digest"] == before, what
    for what, changes in CONTENT.items():
        assert info(ContentAdapter(skims(path, **changes)))["digest"] != before, what
    counted = info(ContentAdapter(skims(path), noise=set()))["digest"]
    assert info(ContentAdapter(skims(path, history="now"), noise=set()))["digest"] != counted


def test_a_changed_array_is_named(here: Path) -> None:
    before = info(ContentAdapter(skims(here / "skims.omx")))
    told = explain_adapters(info(ContentAdapter(skims(here / "skims.omx", DIST=2.0))), before)
    assert len(told) == 1
    assert told[0].startswith("skims.omx: '/data/DIST': ")


def test_a_zarr_store_counts_without_its_notes(here: Path) -> None:
    store = here / "skims.zarr"
    (store / "DIST").mkdir(parents=True)
    (store / ".zattrs").write_text('{"history": "a", "unit": "km"}')
    (store / "DIST" / ".zarray").write_text('{"shape": [1], "chunks": [1]}')
    (store / "DIST" / "0").write_bytes(b"1")
    before = info(ContentAdapter(store))["digest"]
    (store / ".zattrs").write_text(json.dumps({"unit": "km", "history": "b"}, indent=2))
    (store / ".zmetadata").write_text("{}")
    assert info(ContentAdapter(store))["digest"] == before
    (store / "DIST" / "0").write_bytes(b"2")
    assert info(ContentAdapter(store))["digest"] != before
    (store / ".zattrs").write_text("{")
    with pytest.raises(ConfigFileError, match="not valid JSON"):
        info(ContentAdapter(store))


def test_what_holds_no_arrays_is_refused(here: Path) -> None:
    (here / "text.omx").write_text("text")
    with h5py.File(here / "outside.h5", "w") as file:
        file["x"] = h5py.ExternalLink("other.h5", "/x")
    wrong: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (lambda: info(ContentAdapter("text.omx")), ConfigFileError, "not an HDF5 file"),
        (lambda: info("content:outside.h5"), ConfigFileError, "in another file"),
        (lambda: info(ContentAdapter("absent.omx")), InputError, "does not exist"),
        (lambda: info(ContentAdapter("text.omx", "text.omx")), Exception, "not an HDF5|two files"),
        (ContentAdapter, UsageTypeError, "paths of files"),
    ]
    for call, error, said in wrong:
        with pytest.raises(error, match=said):
            call()
