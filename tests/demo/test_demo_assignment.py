"""The user equilibrium against textbook answers, the published Sioux Falls solution and its own definition."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import consist_es
from consist_es.demo import steps
from consist_es.demo.assignment import (
    AssignmentResult,
    _Memory,
    assign,
    is_closed,
    line_search,
    objective,
    relative_gap,
    travel_time,
    travel_time_integral,
    travel_time_slope,
)
from consist_es.demo.network import generate_network
from consist_es.demo.tntp import Link, Network, Trips, read_flows, read_network, read_trips, write_network, write_trips
from consist_es.errors import AssignmentError

SIOUX_FALLS = Path(__file__).parents[3] / "shared" / "data" / "sioux-falls"
PUBLISHED_OBJECTIVE = 42.31335287107440 * 1e5

needs_sioux_falls = pytest.mark.skipif(
    not SIOUX_FALLS.is_dir(),
    reason="wanted in ../shared/data/sioux-falls: SiouxFalls_net.tntp, SiouxFalls_trips.tntp and SiouxFalls_flow.tntp "
    "from the public TransportationNetworks collection",
)


def link(start: int, end: int, time: float, *, rise: float = 0.0, power: float = 1.0, capacity: float = 1.0) -> Link:
    """A link whose time is time + rise * (flow / capacity) ** power."""
    return Link(start, end, capacity, length=1.0, free_flow_time=time, b=rise / time, power=power)


def network(*links: Link, zones: int, first_thru_node: int = 1) -> Network:
    nodes = max(max(link.from_node, link.to_node) for link in links)
    return Network(zones, nodes, first_thru_node, links)


# Two routes of 10 + 3 x and 15 + 2 x for 12 trips: equal at x = 5.8 and 6.2, where both take 27.4.
TWO_ROUTES = network(link(1, 2, 10, rise=3), link(1, 2, 15, rise=2), zones=2)
TWELVE = Trips(2, {(1, 2): 12.0})

# Braess (1968) for 6 trips from 1 to 4: the bridge 2-3 raises everyone's time from 83 to 92.
BRAESS_ROADS = (
    link(1, 2, 1e-9, rise=10),
    link(1, 3, 50, rise=1),
    link(2, 4, 50, rise=1),
    link(3, 4, 1e-9, rise=10),
)
BRIDGE = link(2, 3, 10, rise=1)
SIX = Trips(4, {(1, 4): 6.0})


# ---------------------------------------------------------------- link times

links = st.builds(
    Link,
    from_node=st.just(1),
    to_node=st.just(2),
    capacity=st.floats(1, 1e4),
    length=st.just(1.0),
    free_flow_time=st.floats(0.01, 100),
    b=st.floats(0, 10),
    power=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0, 5.5]),
)
use = st.floats(0.05, 3)


@given(link=links, used=use)
def test_the_integral_is_the_area_below_the_travel_time(link: Link, used: float) -> None:
    flow, pieces = used * link.capacity, 2000
    middles = ((piece + 0.5) * flow / pieces for piece in range(pieces))
    area = math.fsum(travel_time(link, at) for at in middles) * flow / pieces
    assert travel_time_integral(link, flow) == pytest.approx(area, rel=1e-5)


@given(link=links, used=use)
def test_the_slope_is_the_change_of_the_travel_time(link: Link, used: float) -> None:
    flow = used * link.capacity
    width = 1e-4 * flow
    change = (travel_time(link, flow + width) - travel_time(link, flow - width)) / (2 * width)
    rounding = 1e-15 * travel_time(link, flow) / width
    assert travel_time_slope(link, flow) == pytest.approx(change, rel=1e-5, abs=rounding)


def test_travel_time_is_that_of_the_bureau_of_public_roads() -> None:
    road = Link(1, 2, capacity=1000.0, length=1.0, free_flow_time=10.0, b=0.15, power=4.0)
    assert [travel_time(road, flow) for flow in (0.0, 1000.0, 2000.0)] == pytest.approx([10.0, 11.5, 34.0])


def test_a_link_of_power_zero_takes_the_same_time_at_any_flow() -> None:
    for capacity in (100.0, 0.0):
        road = Link(1, 2, capacity, length=1.0, free_flow_time=10.0, b=0.15, power=0.0)
        assert [travel_time(road, flow) for flow in (0.0, 1e6)] == pytest.approx([11.5, 11.5])
        assert travel_time_integral(road, 20.0) == pytest.approx(230.0)
        assert travel_time_slope(road, 20.0) == 0.0
        assert not is_closed(road)


def test_the_slope_without_flow_is_finite_even_where_the_curve_is_vertical() -> None:
    assert travel_time_slope(link(1, 2, 10, rise=1, power=0.5), 0.0) == 0.0
    assert travel_time_slope(link(1, 2, 10, rise=1, power=1.0), 0.0) == pytest.approx(1.0)


# ---------------------------------------------------------------- line search


def test_the_line_search_finds_the_known_step_between_two_routes() -> None:
    assert line_search(TWO_ROUTES.links, [12.0, 0.0], [0.0, 12.0]) == pytest.approx(1 - 5.8 / 12, abs=1e-12)


def test_the_line_search_goes_all_the_way_where_that_is_best() -> None:
    assert line_search(TWO_ROUTES.links, [12.0, 0.0], [6.0, 6.0]) == 1.0


@given(power=st.sampled_from([0.5, 1.0, 4.0, 12.0]), share=st.floats(0, 1), rises=st.tuples(use, use))
def test_no_other_step_has_a_lower_objective(power: float, share: float, rises: tuple[float, float]) -> None:
    roads = [link(1, 2, 1, rise=rises[0], power=power), link(1, 2, 1.2, rise=rises[1], power=power)]
    start, end = [2 * share, 2 - 2 * share], [1.0 if share < 0.5 else 0.0, 1.0 if share < 0.5 else 2.0]
    assume(math.fsum(travel_time(r, x) * (y - x) for r, x, y in zip(roads, start, end, strict=True)) < 0)

    def at(step: float) -> float:
        return objective(roads, [x + step * (y - x) for x, y in zip(start, end, strict=True)])

    best = at(line_search(roads, start, end))
    assert best <= min(at(step / 1000) for step in range(1001)) + 1e-12


# ---------------------------------------------------------------- equilibrium


def test_two_routes_share_the_trips_so_that_both_take_the_same_time() -> None:
    result = assign(TWO_ROUTES, TWELVE, max_gap=1e-12)
    assert result.flows == pytest.approx((5.8, 6.2), abs=1e-9)
    assert result.costs == pytest.approx((27.4, 27.4), abs=1e-9)
    assert result.objective == pytest.approx(10 * 5.8 + 1.5 * 5.8**2 + 15 * 6.2 + 6.2**2)


def test_a_route_that_is_too_slow_stays_empty() -> None:
    result = assign(network(link(1, 2, 10, rise=3), link(1, 2, 50), zones=2), TWELVE)
    assert result.flows == (12.0, 0.0)
    assert (result.relative_gap, result.iterations) == (0.0, 0)


def test_braess_without_and_with_the_bridge() -> None:
    without = assign(network(*BRAESS_ROADS, zones=4), SIX, max_gap=1e-12)
    assert without.flows == pytest.approx((3, 3, 3, 3), abs=1e-6)
    assert without.costs[0] + without.costs[2] == pytest.approx(83, abs=1e-5)
    result = assign(network(*BRAESS_ROADS, BRIDGE, zones=4), SIX, max_gap=1e-12)
    assert result.flows == pytest.approx((4, 2, 2, 4, 2), abs=1e-5)
    a, b, c, d, bridge = result.costs
    assert (a + c, b + d, a + bridge + d) == pytest.approx((92, 92, 92), abs=1e-4)


def nearest(network: Network, times: Mapping[Link, float], origin: int) -> dict[int, float]:
    """Quickest times from the origin, by Bellman and Ford."""
    best = {origin: 0.0}
    for _ in range(network.nodes):
        for road in network.links:
            if road.from_node in best:
                candidate = best[road.from_node] + times[road]
                best[road.to_node] = min(best.get(road.to_node, math.inf), candidate)
    return best


@pytest.mark.parametrize("origin", [1, 2, 6])
def test_with_one_origin_every_used_link_lies_on_quickest_paths(origin: int) -> None:
    town, table = generate_network(trips=40000)
    trips = Trips(12, {pair: flow for pair, flow in table.demand.items() if pair[0] == origin})
    result = assign(town, trips, max_gap=1e-9, max_iterations=5000)
    assert result.relative_gap <= 1e-9
    times = dict(zip(town.links, result.costs, strict=True))
    best = nearest(town, times, origin)
    used = [road for road, flow in zip(town.links, result.flows, strict=True) if flow > 1.0]
    assert len(used) > 12
    for road in used:
        assert best[road.from_node] + times[road] == pytest.approx(best[road.to_node], rel=1e-4)


def test_what_enters_a_node_leaves_it_again() -> None:
    town, trips = generate_network()
    result = assign(town, trips)
    for node in range(1, town.nodes + 1):
        balance = [flow for road, flow in zip(town.links, result.flows, strict=True) if road.from_node == node]
        balance += [-flow for road, flow in zip(town.links, result.flows, strict=True) if road.to_node == node]
        balance += [-flow for pair, flow in trips.demand.items() if pair[0] == node]
        balance += [flow for pair, flow in trips.demand.items() if pair[1] == node]
        assert math.fsum(balance) == pytest.approx(0, abs=1e-8)


def test_the_gap_is_the_share_of_time_that_quickest_paths_would_save() -> None:
    assert relative_gap([2.0, 3.0], [10.0, 20.0], [30.0, 0.0]) == pytest.approx(20 / 80)
    assert relative_gap([2.0, 3.0], [0.0, 0.0], [0.0, 0.0]) == 0.0


def test_the_objective_is_no_farther_from_its_minimum_than_the_gap_allows() -> None:
    town, trips = generate_network()
    best = assign(town, trips, max_gap=1e-7, max_iterations=5000)
    for gap in (1e-1, 1e-2, 1e-3):
        rough = assign(town, trips, max_gap=gap)
        total = math.fsum(flow * cost for flow, cost in zip(rough.flows, rough.costs, strict=True))
        assert rough.relative_gap <= gap
        assert 0 < rough.objective - best.objective <= rough.relative_gap * total


def test_conjugate_directions_need_few_iterations() -> None:
    assert assign(*generate_network(), max_gap=1e-5, max_iterations=2000).iterations < 300


def test_a_direction_is_conjugate_to_the_two_before_it() -> None:
    # Linear times, so that the slopes are the same everywhere and conjugacy is exact.
    roads = tuple(link(1, 2, 10, rise=rise) for rise in (2, 3, 4, 2, 2))
    slopes = [travel_time_slope(road, 1.0) for road in roads]
    flows, memory, directions = [6.0, 1.0, 1.0, 2.0, 2.0], _Memory(), []
    for quickest in ([0, 0, 0, 0, 12.0], [0, 12.0, 0, 0, 0], [0, 0, 0, 12.0, 0]):
        target = memory.target(roads, [travel_time(*pair) for pair in zip(roads, flows, strict=True)], flows, quickest)
        directions.append([end - start for start, end in zip(flows, target, strict=True)])
        step = line_search(roads, flows, target)
        assert 0 < step < 1
        flows = [flow + step * change for flow, change in zip(flows, directions[-1], strict=True)]
        memory.remember(target, step)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        product = math.fsum(a * h * b for a, h, b in zip(directions[one], slopes, directions[other], strict=True))
        assert product == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("remembered", "expected"), [([0.0, 12.0], [12.0, 0.0]), ([7.99, 4.01], [0.12 + 0.99 * 7.99, 0.99 * 4.01])]
)
def test_memory_never_stops_the_search(remembered: list[float], expected: list[float]) -> None:
    # Between two routes, the one conjugate direction is no direction at all: the quickest route must keep a share.
    roads = (link(1, 2, 1, rise=1), link(1, 2, 20, rise=1))
    memory = _Memory()
    memory.remember(remembered, 0.5)
    assert memory.target(roads, [9.0, 24.0], [8.0, 4.0], [12.0, 0.0]) == pytest.approx(expected, rel=1e-12)


def test_the_iteration_limit_ends_the_search_with_the_gap_so_far() -> None:
    town, trips = generate_network()
    results = [assign(town, trips, max_gap=1e-6, max_iterations=limit) for limit in (0, 1, 5)]
    assert [result.iterations for result in results] == [0, 1, 5]
    assert all(result.relative_gap > 1e-6 for result in results)
    assert results[0].objective > results[1].objective > results[2].objective


def test_trips_within_a_zone_and_no_trips_load_nothing() -> None:
    nothing = AssignmentResult((0.0, 0.0), (10.0, 15.0), 0.0, 0.0, 0)
    assert assign(TWO_ROUTES, Trips(2, {(1, 1): 5.0, (1, 2): 0.0})) == nothing
    assert assign(TWO_ROUTES, Trips(2, {})) == nothing


# ---------------------------------------------------------------- the network's rules

SHORT_CUT = (link(1, 2, 1), link(2, 3, 1), link(1, 4, 5), link(4, 3, 5))


@pytest.mark.parametrize(("first_thru_node", "flows"), [(1, (7, 7, 0, 0)), (4, (0, 0, 7, 7))])
def test_paths_cross_a_zone_only_from_the_first_through_node_on(first_thru_node: int, flows: tuple[float, ...]) -> None:
    town = network(*SHORT_CUT, zones=3, first_thru_node=first_thru_node)
    assert assign(town, Trips(3, {(1, 3): 7.0})).flows == flows


def test_a_zone_that_must_not_be_crossed_still_sends_and_receives() -> None:
    town = network(*SHORT_CUT, zones=3, first_thru_node=4)
    assert assign(town, Trips(3, {(1, 2): 2.0, (2, 3): 3.0})).flows == (2.0, 3.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "town",
    [
        network(link(1, 2, 1), link(3, 2, 1), zones=3),
        network(link(1, 2, 1), link(2, 3, 1), zones=3, first_thru_node=4),
        network(link(1, 2, 1), link(2, 3, 1, rise=1, capacity=0.0), zones=3),
    ],
    ids=["no link", "only through a zone", "only over a closed link"],
)
def test_zones_that_no_path_joins_are_named(town: Network) -> None:
    with pytest.raises(AssignmentError, match="4 trips from zone 1 to zone 3, but no path joins them: add a link"):
        assign(town, Trips(3, {(1, 2): 1.0, (1, 3): 4.0}))


def test_a_closed_link_stays_empty_and_takes_for_ever() -> None:
    result = assign(network(link(1, 2, 1, rise=1, capacity=0.0), link(1, 2, 9), zones=2), TWELVE)
    assert (result.flows, result.costs) == ((0.0, 12.0), (math.inf, 9.0))


def test_a_link_without_capacity_is_open_where_its_time_does_not_depend_on_flow() -> None:
    for free in (link(1, 2, 1, capacity=0.0), link(1, 2, 1, rise=1, power=0.0, capacity=0.0)):
        assert assign(network(free, link(1, 2, 9), zones=2), TWELVE).flows == (12.0, 0.0)


def test_a_vertical_travel_time_curve_is_solved_too() -> None:
    # 1 + sqrt(x) = 1 + sqrt(y) / 2 with x + y = 5: x = 1, y = 4.
    roads = (link(1, 2, 1, rise=1, power=0.5), link(1, 2, 1, rise=0.5, power=0.5))
    assert assign(network(*roads, zones=2), Trips(2, {(1, 2): 5.0}), max_gap=1e-9).flows == pytest.approx((1, 4))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_gap": -1e-4}, "max_gap=-0.0001: give a relative gap of zero or more"),
        ({"max_gap": math.nan}, "max_gap=nan: give a relative gap"),
        ({"max_iterations": -1}, "max_iterations=-1: give a whole number of zero or more"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(AssignmentError, match=message):
        assign(TWO_ROUTES, TWELVE, **limits)  # type: ignore[arg-type]


def test_trips_of_another_network_are_refused() -> None:
    with pytest.raises(AssignmentError, match="Trips from zone 1 to zone 3, but the network's zones are 1 to 2"):
        assign(TWO_ROUTES, Trips(3, {(1, 3): 1.0}))


@pytest.mark.parametrize("capacity", [1e-300, 1e-80])
def test_a_link_whose_time_cannot_be_computed_is_named(capacity: float) -> None:
    with pytest.raises(AssignmentError, match=r"Link 1-2 with capacity 1e-.*has no finite travel time at 12 trips"):
        assign(network(link(1, 2, 1, rise=1, power=4, capacity=capacity), zones=2), TWELVE)


# ---------------------------------------------------------------- the same, to the last bit


def test_the_order_of_the_trip_table_does_not_matter() -> None:
    town, trips = generate_network()
    backwards = Trips(trips.zones, dict(reversed(trips.demand.items())))
    assert list(backwards.demand) != list(trips.demand)
    assert assign(town, backwards) == assign(town, trips)


def test_the_result_is_the_same_to_the_last_bit_in_every_process() -> None:
    code = (
        "from consist_es.demo.assignment import assign; from consist_es.demo.network import generate_network\n"
        "print(repr(assign(*generate_network(), max_gap=1e-3)))"
    )
    root = str(Path(consist_es.__file__).parents[1])
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4711")
    }
    assert printed == {repr(assign(*generate_network(), max_gap=1e-3)) + "\n"}


# ---------------------------------------------------------------- Sioux Falls


@needs_sioux_falls
def test_the_published_flows_have_the_published_objective() -> None:
    town = read_network(SIOUX_FALLS / "SiouxFalls_net.tntp")
    published = read_flows(SIOUX_FALLS / "SiouxFalls_flow.tntp")
    volumes = [published[road.from_node, road.to_node][0] for road in town.links]
    assert objective(town.links, volumes) == pytest.approx(PUBLISHED_OBJECTIVE, rel=1e-14)
    for road, volume in zip(town.links, volumes, strict=True):
        assert travel_time(road, volume) == pytest.approx(published[road.from_node, road.to_node][1], rel=1e-12)


@needs_sioux_falls
def test_sioux_falls_reaches_the_published_optimum_and_flows() -> None:
    town = read_network(SIOUX_FALLS / "SiouxFalls_net.tntp")
    published = read_flows(SIOUX_FALLS / "SiouxFalls_flow.tntp")
    result = assign(town, read_trips(SIOUX_FALLS / "SiouxFalls_trips.tntp"), max_gap=5e-6, max_iterations=1000)
    assert result.relative_gap <= 5e-6
    assert 0 < result.objective / PUBLISHED_OBJECTIVE - 1 < 1e-6
    off = [
        abs(flow / published[road.from_node, road.to_node][0] - 1)
        for road, flow in zip(town.links, result.flows, strict=True)
    ]
    assert max(off) < 1e-3
    assert math.fsum(off) / len(off) < 3e-4


@needs_sioux_falls
def test_sioux_falls_at_default_limits_is_within_a_thousandth() -> None:
    town = read_network(SIOUX_FALLS / "SiouxFalls_net.tntp")
    result = assign(town, read_trips(SIOUX_FALLS / "SiouxFalls_trips.tntp"))
    assert result.relative_gap <= 1e-4
    assert result.iterations < 150
    assert 0 < result.objective / PUBLISHED_OBJECTIVE - 1 < 1e-4


# ---------------------------------------------------------------- the steps


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Send the steps' outputs to a folder below tmp_path; call it to choose the folder."""
    chosen = {"folder": tmp_path}

    def choose(name: str) -> None:
        chosen["folder"] = tmp_path / name
        chosen["folder"].mkdir()

    def output_path(key: str, ext: str = "parquet") -> Path:
        return chosen["folder"] / f"{key}.{ext}"

    monkeypatch.setattr(consist_es, "output_path", output_path, raising=False)
    return choose


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    town, trips = generate_network()
    write_network(town, tmp_path / "net.tntp")
    write_trips(trips, tmp_path / "trips.tntp")
    return tmp_path / "net.tntp", tmp_path / "trips.tntp"


def run(inputs: tuple[Path, Path], growth: float = 1.1, **config: object) -> dict[str, Path]:
    tables = steps.read_inputs(*inputs)
    grown = steps.grow_demand(tables["demand"], growth)
    assigned = steps.assign_traffic(tables["links"], grown, **({"max_gap": 1e-3} | config))  # type: ignore[arg-type]
    return tables | assigned | {"grown_demand": grown, "summary": steps.summarise(**assigned)}


def summary(paths: Mapping[str, Path]) -> dict[str, float]:
    found = json.loads(paths["summary"].read_text())
    assert isinstance(found, dict)
    return found


def test_the_steps_give_what_the_assignment_gives(outputs: Callable[[str], None], inputs: tuple[Path, Path]) -> None:
    outputs("year=2030")
    paths = run(inputs, growth=1.25)
    assert {key: path.name for key, path in paths.items()} == {
        "links": "links.parquet",
        "demand": "demand.parquet",
        "grown_demand": "grown_demand.parquet",
        "flows": "flows.parquet",
        "convergence": "convergence.json",
        "summary": "summary.json",
    }
    town, trips = read_network(inputs[0]), read_trips(inputs[1])
    direct = assign(town, Trips(12, {pair: flow * 1.25 for pair, flow in trips.demand.items()}), max_gap=1e-3)
    found = summary(paths)
    assert found["objective"] == direct.objective
    assert found["relative_gap"] == direct.relative_gap
    assert found["iterations"] == direct.iterations
    assert found["converged"] is True
    assert found["total_travel_time"] == math.fsum(map(float.__mul__, direct.flows, direct.costs))


def test_the_summary_ranks_links_by_flow_per_capacity(
    outputs: Callable[[str], None], inputs: tuple[Path, Path]
) -> None:
    paths = run(inputs)
    ranked = json.loads(paths["summary"].read_text())["most_loaded_links"]
    assert len(ranked) == 5
    assert [row["load"] for row in ranked] == sorted((row["load"] for row in ranked), reverse=True)
    assert all(row["load"] == row["flow"] / row["capacity"] > 1 for row in ranked)
    assert summary(paths)["links"] == 48


def test_equal_inputs_give_equal_bytes(outputs: Callable[[str], None], inputs: tuple[Path, Path]) -> None:
    outputs("first")
    first = {key: path.read_bytes() for key, path in run(inputs).items()}
    outputs("second")
    assert {key: path.read_bytes() for key, path in run(inputs).items()} == first


def test_widening_a_link_changes_the_assignment_alone(
    outputs: Callable[[str], None], inputs: tuple[Path, Path]
) -> None:
    outputs("base")
    base = run(inputs, max_gap=1e-5)
    widest = json.loads(base["summary"].read_text())["most_loaded_links"][0]
    start, end = map(int, widest["link"].split("-"))
    outputs("wide")
    wide = run(inputs, max_gap=1e-5, widen={"from": start, "to": end, "factor": 2.0})
    same = {key for key in base if base[key].read_bytes() == wide[key].read_bytes()}
    assert same == {"links", "demand", "grown_demand"}
    assert summary(wide)["objective"] < summary(base)["objective"]
    town = read_network(inputs[0])
    changed = [
        replace(road, capacity=2 * road.capacity) if (road.from_node, road.to_node) == (start, end) else road
        for road in town.links
    ]
    grown = {pair: flow * 1.1 for pair, flow in read_trips(inputs[1]).demand.items()}
    direct = assign(replace(town, links=tuple(changed)), Trips(12, grown), max_gap=1e-5, max_iterations=2000)
    assert summary(wide)["objective"] == direct.objective


def test_an_assignment_that_did_not_converge_says_so(
    outputs: Callable[[str], None], inputs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_MAX_ITERATIONS", 3)
    found = summary(run(inputs, max_gap=1e-9))
    assert found["converged"] is False
    assert (found["iterations"], found["max_gap"]) == (3, 1e-9)


def test_a_network_with_zones_to_go_round_and_a_closed_link_goes_through_the_steps(
    outputs: Callable[[str], None], tmp_path: Path
) -> None:
    closed = link(1, 3, 1, rise=1, capacity=0.0)
    write_network(network(*SHORT_CUT, closed, zones=3, first_thru_node=4), tmp_path / "net.tntp")
    write_trips(Trips(3, {(1, 3): 7.0}), tmp_path / "trips.tntp")
    found = summary(run((tmp_path / "net.tntp", tmp_path / "trips.tntp"), growth=1.0))
    assert (found["total_travel_time"], found["links"]) == (70.0, 5)


def test_demand_may_shrink_to_nothing(outputs: Callable[[str], None], inputs: tuple[Path, Path]) -> None:
    assert summary(run(inputs, growth=0.0))["total_travel_time"] == 0.0


def test_an_empty_trip_table_is_a_table(outputs: Callable[[str], None], inputs: tuple[Path, Path]) -> None:
    write_trips(Trips(12, {}), inputs[1])
    assert summary(run(inputs))["total_travel_time"] == 0.0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"growth": -0.1}, "growth=-0.1: give a factor of zero or more"),
        ({"growth": math.inf}, "growth=inf: give a factor of zero or more"),
        ({"widen": {"from": 1, "to": 2}}, "give 'from', 'to' and 'factor'"),
        ({"widen": {"from": 1, "to": 2, "factor": 2.0, "lanes": 1}}, "give 'from', 'to' and 'factor'"),
        ({"widen": {"from": 1, "to": 2, "factor": 0}}, "give a factor above zero"),
        ({"widen": {"from": 1, "to": 9, "factor": 2.0}}, "no link leads from node 1 to node 9"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(
    outputs: Callable[[str], None], inputs: tuple[Path, Path], config: dict[str, object], message: str
) -> None:
    with pytest.raises(AssignmentError, match=message):
        run(inputs, **config)  # type: ignore[arg-type]
