"""Plain forms that stand in recorded fingerprints: their bytes stay what they are, else old runs are not found."""
# Naive datetimes are cases here, and the table has one entry a line.
# ruff: noqa: DTZ001, E501

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import re
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3

from consist_es.artifacts.digest import digest_path
from consist_es.values.plain import frame, to_plain

N = 300
"""Items in a long container, beyond any limit from which on it is taken another way."""
ZONE = zoneinfo.ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Data:
    a: Any


class Text(str):
    pass


PINNED: dict[str, tuple[Callable[[], Any], str]] = {
    "none": (lambda: None, "a74e0b1433b54b7a"),
    "true": (lambda: True, "0538661423236a5d"),
    "int": (lambda: -5, "8d86b53975d2ea49"),
    "big": (lambda: 2**70, "920c09ee148d17b3"),
    "float": (lambda: 0.5, "230e2c0c321685c0"),
    "minus zero": (lambda: -0.0, "ab555955399e91c6"),
    "nan": (lambda: float("nan"), "d8e66f41a46c42e5"),
    "infinity": (lambda: float("inf"), "8cbb4c12918b61ca"),
    "text": (lambda: "aé", "dc94a1f7c762c01a"),
    "surrogate": (lambda: "\ud800", "76950f43e8c49668"),
    "bytes": (lambda: b"a", "be595a91d14409ac"),
    "list": (lambda: [1, "a", None, True, 0.5], "2cb70262c04a8944"),
    "ints": (lambda: list(range(N)), "b51f390473115176"),
    "large ints": (lambda: [2**62] * N + [2**70], "e693d753342ad070"),
    "floats": (lambda: [n / 7 for n in range(N)], "ec652821fe6dfff7"),
    "floats with nan": (lambda: [n / 7 for n in range(N)] + [float("nan")], "09351c8d38845566"),
    "texts": (lambda: [f"zone {n}" for n in range(N)], "bbe343b4888ca7b8"),
    "texts beyond ascii": (lambda: [f"zoné {n}" for n in range(N)], "6177ac21becee145"),
    "texts with a surrogate": (lambda: [f"zone {n}" for n in range(N)] + ["\ud800"], "3996f1fe7f8593ce"),
    "booleans": (lambda: [True, False] * N, "3a1fa25b5223c1dd"),
    "nones": (lambda: [None] * N, "9cfb4e4499c994ff"),
    "mixed": (lambda: [1, 1.0, True, "1", None, b"1"] * N, "bfbcdac729460ba4"),
    "pairs": (lambda: [(n, n / 7) for n in range(N)], "c95ad000165e513c"),
    "uneven tuples": (lambda: [tuple(range(n % 4)) for n in range(N)], "9cf5d56c8b4c477a"),
    "lists": (lambda: [[n, str(n)] for n in range(N)], "017fc6448652f588"),
    "records": (lambda: [{"id": n, "name": str(n), "$x": n / 7} for n in range(N)], "e05a201180e62dcb"),
    "uneven records": (lambda: [{"id": n} if n % 2 else {"id": n, "b": None} for n in range(N)], "848936df58edf20c"),
    "tuple": (lambda: (1, "a"), "c93dc8ccae67eb72"),
    "set": (lambda: {3, 1, 2}, "e0ecc80093d5809a"),
    "texts in a set": (lambda: {f"zone {n}" for n in range(N)}, "30bcc380149f5f93"),
    "frozenset of pairs": (lambda: frozenset((n, str(n)) for n in range(N)), "1f29fbc3abecc9be"),
    "dict": (lambda: {"b": 1, "a": [1, {"c": None}]}, "4d9fb1ef55e37388"),
    "tags": (lambda: {"$tuple": [1]}, "e3a032cc4b27a025"),
    "text keys": (lambda: {f"zone {n}": n / 7 for n in range(N)}, "ef19fb2d0922539f"),
    "text keys beyond ascii": (lambda: {f"zoné {n}": n for n in range(N)}, "44406633d246bde3"),
    "int keys": (lambda: {n: n / 7 for n in range(N)}, "05a3a163743ece98"),
    "pair keys": (lambda: {(n, n + 1): n for n in range(N)}, "06e67e51c42db4ed"),
    "mixed keys": (lambda: {**dict.fromkeys(range(N), 1), **{str(n): [2] for n in range(N)}, None: 3}, "12586f8f76dc0ee8"),
    "lists by key": (lambda: {f"zone {n}": [n, n + 1] for n in range(N)}, "c81b4cc3b9c7de4e"),
    "dicts by key": (lambda: {n: {"a": n, "b": str(n)} for n in range(N)}, "40cd8dda8bd00135"),
    "enum": (lambda: Colour.RED, "b2cd01d53a07b648"),
    "path": (lambda: pathlib.Path("a/b"), "3bac385d6f3ee872"),
    "windows path": (lambda: pathlib.PureWindowsPath("a"), "95b07d10af5d0c2c"),
    "dataclass": (lambda: Data([Data(1)]), "5b3fee6ab07373da"),
    "text of a subclass": (lambda: Text("a"), "b3125be946376679"),
    "ordered dict": (lambda: collections.OrderedDict(b=1, a=2), "f1673b689de4016d"),
    "counter": (lambda: collections.Counter("aab"), "90cdc959d7a21ea4"),
    "deque": (lambda: collections.deque([1, 2], 3), "77845ec11c6aef84"),
    "default dict without a default": (lambda: collections.defaultdict(None, a=1), "e0d37716ff8c35b9"),
    "date": (lambda: dt.date(2020, 1, 2), "501b503e2b0004fb"),
    "datetime": (lambda: dt.datetime(2020, 1, 2, 3, 4, 5, 6), "88183169e8229c2a"),
    "datetime in utc": (lambda: dt.datetime(2020, 1, 2, tzinfo=dt.UTC), "cb372f12e282f383"),
    "datetime with an offset": (lambda: dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1))), "4a76e74479d7b8d7"),
    "datetime in a zone": (lambda: dt.datetime(2020, 1, 2, tzinfo=ZONE), "68255c8fb7b80507"),
    "time": (lambda: dt.time(1, 2, fold=1), "096a2c3eac0467b4"),
    "timedelta": (lambda: dt.timedelta(1, 2, 3), "edb492a315fd013d"),
    "decimal": (lambda: decimal.Decimal("1.10"), "c2d3682f7f4e2e26"),
    "fraction": (lambda: fractions.Fraction(1, 3), "1c5ae44d9c2a1a1e"),
    "complex": (lambda: 1 - 0j, "1e759402869934ef"),
    "uuid": (lambda: uuid.UUID(int=5), "25eeaaa9654111e1"),
    "range": (lambda: range(1, 9, 2), "9d0ac612e58df167"),
    "pattern": (lambda: re.compile("a", re.I), "d8b9ae624663ed08"),
    "ellipsis": (lambda: ..., "d3e664a8e86b9031"),
    "numpy int": (lambda: np.int64(1), "87a6fecd1cc9214c"),
    "numpy float": (lambda: np.float32(0.5), "02e4362bf6b24ba6"),
    "numpy text": (lambda: np.str_("a"), "3f23795c57454824"),
    "numpy moment": (lambda: np.datetime64("2020-01-01", "ns"), "9e46d941676ae59f"),
    "dtype": (lambda: np.dtype(">f4"), "b990c665be7e171d"),
    "small array": (lambda: np.array([[1, 2], [3, 4]]), "84437f18e9e9988a"),
    "small array with nan": (lambda: np.array([0.5, np.nan]), "27964e448195cb81"),
    "small array of texts": (lambda: np.array(["a", "bc"]), "22c1ff95031af0e5"),
    "small array of objects": (lambda: np.array([1, "a", None], dtype=object), "aecd055cc81f8b24"),
    "no dimensions": (lambda: np.array(1.5), "0d96a30938a9a539"),
    "array": (lambda: np.arange(1000.0).reshape(10, 100), "d72b64fee6318b54"),
    "array of ints": (lambda: np.arange(1000), "c967e3871a44ca6c"),
    "array of moments": (lambda: np.arange(1000).astype("datetime64[s]"), "ac4542cbba9c1fbd"),
    "array of texts": (lambda: np.arange(1000).astype(str), "578db0925239dc19"),
    "array of booleans": (lambda: np.arange(1000) > 5, "b9a60d6ca98b03cf"),
    "arrow array": (lambda: pa.array([1, None, 2]), "cd6afb73ad0b8767"),
    "arrow texts": (lambda: pa.array(["a", None]), "7cf770bd5014134b"),
    "arrow table": (lambda: pa.table({"a": [1, 2], "b": ["x", None]}), "ece6a41c91cca64a"),
    "arrow type": (lambda: pa.int64(), "0bf2ab199de5a8ba"),
}  # fmt: skip


@pytest.mark.parametrize("name", PINNED)
def test_recorded_forms_keep_their_bytes(name: str) -> None:
    make, pinned = PINNED[name]
    assert blake3(frame(to_plain(make()))).hexdigest(8) == pinned


def test_a_recorded_folder_keeps_its_digest(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sub" / "empty").mkdir(parents=True)
    (tmp_path / "a.csv").write_bytes(b"1")
    (tmp_path / "sub" / "b.csv").write_bytes(b"22")
    (tmp_path / "sub" / "inside").symlink_to("../a.csv")
    (tmp_path / "folder").symlink_to("sub")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "up").symlink_to("../nowhere")
    (tmp_path / "self").symlink_to(".")
    assert digest_path(tmp_path).value == "b3:9418b789dc0a3cdd463369007f1c22f674ed13ec2cea066b512252c59d2e7760"
