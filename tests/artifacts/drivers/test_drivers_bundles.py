"""Files that are one data set together: found, digested as one, and a change to any of them is noticed."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.digest import digest_path
from consist_es.artifacts.formats import bundle_members, missing_sidecars
from consist_es.errors import InputError

DIGESTER = Digester("full", None)
PARTS = {".shp": b"shapes", ".shx": b"index", ".dbf": b"table", ".prj": b"projection", ".cpg": b"UTF-8"}


def shapefile(folder: Path, stem: str = "zones", parts: dict[str, bytes] = PARTS) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for suffix, content in parts.items():
        (folder / f"{stem}{suffix}").write_bytes(content)
    return folder / f"{stem}.shp"


def names(path: Path) -> list[str]:
    return [member.name for member in bundle_members(path)]


# ---------------------------------------------------------------- members


def test_a_shapefile_has_its_sidecars_and_nothing_else(tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    for other in ("zones.txt", "zones2.dbf", "zones.shp.xml", "zones.csv", "Zones.dbf"):
        (tmp_path / other).touch()
    assert names(path) == ["zones.shp", "zones.cpg", "zones.dbf", "zones.prj", "zones.shx"]


def test_sidecars_are_found_in_capital_letters(tmp_path: Path) -> None:
    path = shapefile(tmp_path, parts={".SHP": b"", ".SHX": b"", ".dbf": b""})
    assert bundle_members(path) == [path]  # zones.shp itself is not there
    assert names(tmp_path / "zones.SHP") == ["zones.SHP", "zones.SHX", "zones.dbf"]
    assert missing_sidecars(tmp_path / "zones.SHP") == []


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "gone.shp", "gone.gpkg", "folder.shp", "t"])
def test_everything_else_stands_for_itself(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.shp").mkdir()
    (tmp_path / "t.csv").touch()
    (tmp_path / "t.csv-wal").write_bytes(b"x")
    assert bundle_members(tmp_path / name) == [tmp_path / name]
    assert missing_sidecars(tmp_path / name) == []


# ---------------------------------------------------------------- digests


@pytest.mark.parametrize("suffix", sorted(PARTS))
@pytest.mark.parametrize("method", ["full", "fast"])
def test_a_change_to_any_file_of_a_shapefile_changes_its_digest(suffix: str, method: str, tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    before = DIGESTER.digest(path, method=method)
    part = path.with_suffix(suffix)
    part.write_bytes(PARTS[suffix][::-1])
    os.utime(part, ns=(1, 1))
    after = DIGESTER.digest(path, method=method)
    assert after.value != before.value
    assert after.value.startswith({"full": "b3:", "fast": "fast:"}[method])


@pytest.mark.parametrize("suffix", [".prj", ".cpg", ".qix"])
def test_a_sidecar_that_comes_or_goes_changes_the_digest(suffix: str, tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    part = path.with_suffix(suffix)
    before = DIGESTER.digest(path).value
    part.unlink() if part.exists() else part.touch()
    assert DIGESTER.digest(path).value != before


def test_the_same_bytes_in_a_sidecar_of_another_kind_are_another_shapefile(tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    before = DIGESTER.digest(path).value
    path.with_suffix(".prj").rename(path.with_suffix(".qpj"))
    assert DIGESTER.digest(path).value != before


@given(st.dictionaries(st.sampled_from([".prj", ".cpg", ".qpj"]), st.binary(max_size=3)))
def test_the_digest_of_a_shapefile_is_that_of_its_contents_wherever_it_lies(
    tmp_path_factory: pytest.TempPathFactory, more: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("shapes")
    parts = {".shp": b"1", ".shx": b"2", ".dbf": b"3", **more}
    here = shapefile(folder, "a", parts)
    there = shapefile(folder / "b", "other", {suffix.upper(): content for suffix, content in parts.items()})
    assert DIGESTER.digest(here).value == DIGESTER.digest(there.with_suffix(".SHP")).value
    swapped = shapefile(folder / "c", "a", {**parts, ".shx": b"3", ".dbf": b"2"})
    assert DIGESTER.digest(swapped).value != DIGESTER.digest(here).value


def test_size_and_time_of_a_shapefile_are_those_of_all_its_files(tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    os.utime(path.with_suffix(".dbf"), ns=(0, 2**62))
    digest = DIGESTER.digest(path)
    assert (digest.size, digest.mtime_ns, digest.files, digest.kind) == (
        sum(map(len, PARTS.values())),
        2**62,
        5,
        "file",
    )


@pytest.mark.parametrize("suffix", [".shx", ".dbf"])
def test_an_incomplete_shapefile_has_no_digest(suffix: str, tmp_path: Path) -> None:
    path = shapefile(tmp_path)
    path.with_suffix(suffix).unlink()
    with pytest.raises(InputError, match=rf"zones\.shp is incomplete: beside it there is no \{suffix} file"):
        DIGESTER.digest(path)


def test_other_files_keep_the_digest_of_their_bytes(tmp_path: Path) -> None:
    for name in ("t.csv", "t.gpkg", "t.db"):
        (tmp_path / name).write_bytes(b"content")
        assert DIGESTER.digest(tmp_path / name) == digest_path(tmp_path / name)


DATABASES = ["t.gpkg", "t.sqlite", "t.DB", "t.mbtiles", "t.anything.at.all", "t"]


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("link", [False, True])
def test_changes_that_wait_in_a_write_ahead_log_change_the_digest(name: str, link: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    asked = tmp_path / "links" / "t.csv" if link else path
    if link:
        asked.parent.mkdir()
        asked.symlink_to(path)
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(path)) as reader:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (a)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        bytes_before, before = path.read_bytes(), DIGESTER.digest(asked).value
        assert before == digest_path(path).value  # the log beside it is empty
        reader.execute("BEGIN").execute("SELECT * FROM t").fetchall()  # holds up what would move it to the file
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        assert path.read_bytes() == bytes_before
        first = DIGESTER.digest(asked).value
        connection.execute("INSERT INTO t VALUES (2)")
        connection.commit()
        second = DIGESTER.digest(asked).value
        assert len({before, first, second}) == 3
    after = DIGESTER.digest(asked)  # closed, so all is in the file
    assert (after.files, after.value) == (1, digest_path(path).value)
    assert after.value not in {before, first, second}


@pytest.mark.parametrize("name", DATABASES)
def test_a_journal_that_is_to_be_rolled_back_changes_the_digest(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        connection.commit()
        connection.execute("PRAGMA cache_size=1")
        connection.execute("UPDATE t SET a = randomblob(100000)")
        (tmp_path / "crashed").mkdir()
        for file in tmp_path.glob("t*"):  # as a machine that went off would leave it
            shutil.copy(file, tmp_path / "crashed")
        connection.rollback()
    crashed = tmp_path / "crashed" / name
    assert names(crashed) == [name, f"{name}-journal"]
    assert DIGESTER.digest(crashed).value != digest_path(crashed).value
    folder = digest_path(tmp_path / "crashed").value
    with closing(sqlite3.connect(crashed)) as connection:  # reading rolls it back
        assert connection.execute("SELECT a FROM t").fetchone()[0] == bytes(100000)
    assert DIGESTER.digest(crashed).value == digest_path(crashed).value
    assert digest_path(tmp_path / "crashed").value != folder


def test_a_journal_that_is_kept_but_done_with_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "t.mbtiles"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=PERSIST")
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        assert (tmp_path / "t.mbtiles-journal").stat().st_size
        assert DIGESTER.digest(path) == digest_path(path)


def test_what_only_is_called_like_a_journal_does_not_count(tmp_path: Path) -> None:
    for name, content in {"empty.csv": b"", "t.csv": b"a,b", "empty.db": b""}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / f"{name}-wal").write_bytes(b"x")
        (tmp_path / f"{name}-journal").mkdir()
        assert DIGESTER.digest(tmp_path / name) == digest_path(tmp_path / name)
