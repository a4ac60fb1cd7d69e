"""TNTP files: what is read, what is written, and every complaint with its place."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.demo.network import generate_network
from consist_es.demo.tntp import (
    Link,
    Network,
    Trips,
    read_flows,
    read_network,
    read_nodes,
    read_trips,
    write_network,
    write_trips,
)
from consist_es.errors import AssignmentError, TntpError, UsageError

SIOUX_FALLS = Path(__file__).parents[3] / "shared" / "data" / "sioux-falls"

NETWORK = """\
<NUMBER OF ZONES> 2\t\t
<NUMBER OF NODES> 3
<FIRST THRU NODE> 3
<NUMBER OF LINKS> 2
<ORIGINAL HEADER>~ \tInit node \tTerm node ;
<END OF METADATA>\t

~\tinit_node\tterm_node\tcapacity\tlength\tfree_flow_time\tb\tpower\tspeed\ttoll\tlink_type\t;
\t1\t3\t25900.20064\t6\t6.5\t0.15\t4\t40\t1\t1\t;
\t3\t2\t1.5e3\t.5\t2.\t0\t0\t0\t0\t2\t;
"""
TRIPS = """\
<NUMBER OF ZONES> 3
<TOTAL OD FLOW> 60.5
<END OF METADATA>

Origin \t1
    1 :      0.0;     2 :    10.0;
    3 :    20.5;

~ nobody leaves zone 2
Origin 3
1 : 30;
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "file.tntp"
    path.write_bytes(text.encode("latin-1"))
    return path


def test_a_network_is_read_with_its_numbers_and_links_in_order(tmp_path: Path) -> None:
    assert read_network(write(tmp_path, NETWORK)) == Network(
        zones=2,
        nodes=3,
        first_thru_node=3,
        links=(
            Link(1, 3, 25900.20064, 6.0, 6.5, 0.15, 4.0, 40.0, 1.0, 1),
            Link(3, 2, 1500.0, 0.5, 2.0, 0.0, 0.0, 0.0, 0.0, 2),
        ),
    )


def test_trips_are_read_sorted_and_without_empty_pairs(tmp_path: Path) -> None:
    head, first, last = TRIPS.partition("Origin \t1")[0], "Origin 1\n3 : 20.5; 2 : 10; 1 : 0;\n", "Origin 3\n1 : 30;\n"
    trips = read_trips(write(tmp_path, head + last + first))
    assert trips == read_trips(write(tmp_path, TRIPS))
    assert trips == Trips(3, {(1, 2): 10.0, (1, 3): 20.5, (3, 1): 30.0})
    assert list(trips.demand) == sorted(trips.demand)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\xef\xbb\xbf" + text,
        lambda text: text.replace("\t", "   "),
        lambda text: text.replace(";\n", "\n"),
        lambda text: text.replace("<NUMBER OF ZONES>", "<Number  of zones>"),
        lambda text: text.replace("<END", "<AUTHOR> J\xf6rg\n<END").replace("\n\n", "\n~ \xa9\n \t \n"),
        lambda text: text.removesuffix("\n"),
    ],
    ids=["crlf", "byte order mark", "spaces", "no semicolon", "tag spelling", "latin-1 comment", "no last newline"],
)
def test_layout_does_not_change_what_is_read(tmp_path: Path, change: Callable[[str], str]) -> None:
    expected = read_network(write(tmp_path, NETWORK)), read_trips(write(tmp_path, TRIPS))
    assert change(NETWORK) != NETWORK
    assert (read_network(write(tmp_path, change(NETWORK))), read_trips(write(tmp_path, change(TRIPS)))) == expected


def test_a_comment_may_follow_a_row(tmp_path: Path) -> None:
    assert len(read_network(write(tmp_path, NETWORK.replace("1\t;", "1\t; ~ the bridge"))).links) == 2


def test_nodes_are_read_below_their_heading(tmp_path: Path) -> None:
    path = write(tmp_path, "Node\tX\tY\t;\n1\t-96.77\t43.6\t;\n7 1e3 -2;\n")
    assert read_nodes(path) == {1: (-96.77, 43.6), 7: (1000.0, -2.0)}


def test_flows_are_read_in_both_layouts_of_the_collection(tmp_path: Path) -> None:
    plain = read_flows(write(tmp_path, "From \tTo \tVolume \tCost \n1 \t2 \t4494.5 \t6.25 \n"))
    other = read_flows(write(tmp_path, "<NUMBER OF LINKS> 1\n~ Tail Head : Volume Cost ;\n1 2 : 4494.5 6.25 ;\n"))
    assert plain == other == {(1, 2): (4494.5, 6.25)}


# ---------------------------------------------------------------- complaints

NO_END = NETWORK[: NETWORK.index("<END")]
NETWORK_ERRORS = [
    ("", None, "no <END OF METADATA>", "metadata closed by a line <END OF METADATA>"),
    (NO_END, None, "no <END OF METADATA>", "metadata closed by a line"),
    (NETWORK.replace("<END OF METADATA>\t\n", ""), 8, "'1\\t3\\t25900", "'<TAG> value' or <END OF METADATA>"),
    (NETWORK.replace("<NUMBER OF NODES> 3\n", ""), None, "no <NUMBER OF NODES> in the metadata", "<NUMBER OF NODES> n"),
    (NETWORK.replace("NODES> 3", "NODES> three"), 2, "<NUMBER OF NODES> is 'three'", "a whole number"),
    (NETWORK.replace("NODES> 3", "NODES> -3"), 2, "<NUMBER OF NODES> is '-3'", "a whole number"),
    (NETWORK.replace("<ORIGINAL HEADER>", "<NUMBER OF LINKS>"), 5, "<NUMBER OF LINKS> a second time", "every tag once"),
    (NETWORK.replace("ZONES> 2", "ZONES> 4"), 1, "4 zones, but only 3 nodes", "zones among the nodes"),
    (NETWORK.replace("THRU NODE> 3", "THRU NODE> 5"), 3, "first through node 5", "a number from 1 to 4"),
    (NETWORK.replace("THRU NODE> 3", "THRU NODE> 0"), 3, "first through node 0", "a number from 1 to 4"),
    (NETWORK.replace("LINKS> 2", "LINKS> 3"), None, "2 links", "3, as <NUMBER OF LINKS> says"),
    (NETWORK.replace("\t0\t0\t0\t0\t2\t;", "\t0\t2\t;"), 10, "7 fields in '3\\t2", "10 fields: init_node  term_node"),
    (NETWORK.replace("\t3\t2\t", "\t3\t4\t"), 10, "node 4 does not exist", "a number from 1 to 3"),
    (NETWORK.replace("\t3\t2\t", "\t0\t2\t"), 10, "node 0 does not exist", "a number from 1 to 3"),
    (NETWORK.replace("\t3\t2\t", "\t3.0\t2\t"), 10, "'3.0' is not a node number", "10 fields: init_node"),
    (NETWORK.replace("1.5e3", "nan"), 10, "capacity 'nan' is not a number", "a finite decimal number"),
    (NETWORK.replace("1.5e3", "1_500"), 10, "capacity '1_500' is not a number", "a finite decimal number"),
    (NETWORK.replace("1.5e3", "1e999"), 10, "capacity '1e999' is not a number", "a finite decimal number"),
    (NETWORK.replace("6.5", "-6.5"), 9, "free flow time -6.5 is negative", "free flow time of zero or more"),
    (NETWORK.replace("\t2\t;", "\ttwo\t;"), 10, "link type 'two' is not a whole number", "10 fields"),
    (NETWORK.replace("\t1\t;\n", "\t1\t; 3\n"), 9, "'3' after the closing ';'", "one row per line"),
]
TRIPS_ERRORS = [
    (TRIPS.replace("Origin \t1\n", ""), 5, "trips '1 :      0.0;     2 :    10.0;' before any", "'Origin n' first"),
    (TRIPS.replace("Origin \t1", "Origin one"), 5, "'one' is not a node number", "Origin n"),
    (TRIPS.replace("Origin \t1", "Origin 4"), 5, "node 4 does not exist", "a number from 1 to 3"),
    (TRIPS.replace("20.5", "2O.5"), 7, "flow '2O.5' is not a number", "a finite decimal number"),
    (TRIPS.replace("20.5", "-20.5"), 7, "flow -20.5 is negative", "flow of zero or more"),
    (TRIPS.replace("3 :    20.5;", "3   20.5;"), 7, "no ':' in '3   20.5'", "'destination : flow;'"),
    (TRIPS.replace("3 :    20.5;", "2 :    20.5;"), 7, "trips from 1 to 2 a second time", "every pair once"),
    (TRIPS.replace("3 :    20.5;", "9 :    20.5;"), 7, "node 9 does not exist", "a number from 1 to 3"),
    (
        TRIPS.replace("1 : 30;\n", ""),
        2,
        "<TOTAL OD FLOW> is 60.5, but the trips sum to 30.5",
        "a complete trip table",
    ),
    (TRIPS.replace("60.5", "many"), 2, "<TOTAL OD FLOW> 'many' is not a number", "a finite decimal number"),
    (TRIPS.replace("<NUMBER OF ZONES> 3\n", ""), None, "no <NUMBER OF ZONES>", "<NUMBER OF ZONES> n"),
]
NODE_ERRORS = [
    ("Node X Y\n1 2\n", 2, "2 fields in '1 2'", "a row: node x y ;"),
    ("Node X Y\n1 2 north\n", 2, "y 'north' is not a number", "a finite decimal number"),
    ("Node X Y\n1 2 3\n1 2 3\n", 3, "node 1 a second time", "every node once"),
    ("Node X Y\nx 2 3\n", 2, "'x' is not a node number", "a row: node x y ;"),
]
FLOW_ERRORS = [
    ("From To Volume Cost\n1 2 3\n", 2, "3 fields in '1 2 3'", "a row: from to volume cost"),
    ("From To Volume Cost\n1 2 -3 4\n", 2, "volume -3 is negative", "volume of zero or more"),
    ("From To Volume Cost\n1 2 3 4\n1 2 3 4\n", 3, "link 1-2 a second time", "every link once"),
    ("From To Volume Cost\n0 2 3 4\n", 2, "node 0 does not exist", "a number from 1"),
]


@pytest.mark.parametrize(
    ("read", "text", "line", "problem", "expected"),
    [
        (read, *case)
        for read, cases in (
            (read_network, NETWORK_ERRORS),
            (read_trips, TRIPS_ERRORS),
            (read_nodes, NODE_ERRORS),
            (read_flows, FLOW_ERRORS),
        )
        for case in cases
    ],
)
def test_a_broken_file_is_named_with_line_problem_and_what_was_expected(
    tmp_path: Path, read: Callable[[Path], object], text: str, line: int | None, problem: str, expected: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TntpError) as raised:
        read(path)
    error = raised.value
    assert (error.path, error.line) == (path, line)
    assert problem in error.problem
    assert expected in error.expected
    place = f"{path}: " if line is None else f"{path}, line {line}: "
    assert str(error) == f"{place}{error.problem}. Expected: {error.expected}."


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.tntp: cannot be read: No such file or directory\. Expected: a"):
        read_network(tmp_path / "missing.tntp")


# ---------------------------------------------------------------- round trips

amounts = st.floats(min_value=0, max_value=1e300, allow_nan=False)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    nodes = draw(st.integers(1, 20))
    node = st.integers(1, nodes)
    links = st.builds(
        Link, node, node, amounts, amounts, amounts, amounts, amounts, amounts, amounts, st.integers(0, 10**9)
    )
    return Network(
        zones=draw(node),
        nodes=nodes,
        first_thru_node=draw(st.integers(1, nodes + 1)),
        links=tuple(draw(st.lists(links, max_size=8))),
    )


@st.composite
def tables(draw: st.DrawFn) -> Trips:
    zones = draw(st.integers(1, 20))
    pairs = st.tuples(st.integers(1, zones), st.integers(1, zones))
    flows = st.floats(min_value=0, max_value=1e300, exclude_min=True)
    return Trips(zones, draw(st.dictionaries(pairs, flows, max_size=12)))


@given(network=networks())
def test_a_network_survives_writing_and_reading(tmp_path_factory: pytest.TempPathFactory, network: Network) -> None:
    path = tmp_path_factory.getbasetemp() / "round_net.tntp"
    write_network(network, path)
    assert read_network(path) == network


@given(trips=tables())
def test_a_trip_table_survives_writing_and_reading(tmp_path_factory: pytest.TempPathFactory, trips: Trips) -> None:
    path = tmp_path_factory.getbasetemp() / "round_trips.tntp"
    write_trips(trips, path)
    assert read_trips(path) == trips


# ---------------------------------------------------------------- networks to start from


def test_the_generated_network_is_a_grid_with_its_rim_as_zones() -> None:
    network, trips = generate_network()
    assert (network.nodes, network.zones, network.first_thru_node, len(network.links)) == (16, 12, 1, 48)
    ends = {(link.from_node, link.to_node) for link in network.links}
    assert len(ends) == 48
    assert all((there, here) in ends for here, there in ends)
    assert sum(trips.demand.values()) == pytest.approx(15000, rel=1e-5)
    assert set(trips.demand) == {(i, j) for i in range(1, 13) for j in range(1, 13) if i != j}


def test_equal_arguments_generate_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        network, trips = generate_network(3, 5, trips=1000)
        write_network(network, tmp_path / f"{name}_net.tntp")
        write_trips(trips, tmp_path / f"{name}_trips.tntp")
    assert (tmp_path / "a_net.tntp").read_bytes() == (tmp_path / "b_net.tntp").read_bytes()
    assert (tmp_path / "a_trips.tntp").read_bytes() == (tmp_path / "b_trips.tntp").read_bytes()
    assert read_network(tmp_path / "a_net.tntp").nodes == 15


def test_a_grid_without_streets_or_trips_is_refused() -> None:
    with pytest.raises(AssignmentError, match="A grid of 1 x 4 nodes is too small: give at least 2 rows"):
        generate_network(1, 4)
    with pytest.raises(AssignmentError, match="trips=0: give a number of trips above zero"):
        generate_network(trips=0)


@pytest.mark.skipif(
    not SIOUX_FALLS.is_dir(),
    reason=f"wanted in {SIOUX_FALLS.name}: SiouxFalls_net.tntp, SiouxFalls_trips.tntp, SiouxFalls_node.tntp and "
    "SiouxFalls_flow.tntp from the public TransportationNetworks collection",
)
def test_the_published_sioux_falls_files_are_read_whole() -> None:
    network = read_network(SIOUX_FALLS / "SiouxFalls_net.tntp")
    trips = read_trips(SIOUX_FALLS / "SiouxFalls_trips.tntp")
    assert (network.zones, network.nodes, network.first_thru_node, len(network.links)) == (24, 24, 1, 76)
    assert (len(trips.demand), sum(trips.demand.values())) == (528, 360600.0)
    assert len(read_nodes(SIOUX_FALLS / "SiouxFalls_node.tntp")) == 24
    assert set(read_flows(SIOUX_FALLS / "SiouxFalls_flow.tntp")) == {
        (link.from_node, link.to_node) for link in network.links
    }
