"""Static user equilibrium: no traveller has a quicker route (Wardrop, 1952).

Travel times follow the volume-delay function of the Bureau of Public Roads (Traffic Assignment Manual, 1964).
The equilibrium minimises the sum of the integrals of all link travel times (Beckmann, McGuire and Winsten, Studies
in the Economics of Transportation, 1956). The minimum is found with the bi-conjugate Frank-Wolfe method
(Mitradjieva and Lindberg, The Stiff Is Moving, Transportation Science 47, 2013) and an exact line search.

Cost is travel time alone: length and toll of a link do not count, as in the published Sioux Falls solution. Times come
out in the unit of the network's free flow times, the objective in that unit times the unit of the trips. Sioux
Falls' published optimum of 42.31335287107440 is the sum in the units of its files, 4231335.287107440, times 1e-5; a
hundredth of an hour and thousands of trips, the units of older tables of that network, would give just this factor.

Results repeat to the last bit: every sum runs in a fixed order and is correctly rounded, ties are broken by number.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from consist_es.demo.tntp import Link, Network, Trips
from consist_es.errors import AssignmentError

# A conjugate direction must keep some weight on the new quickest paths, or it would repeat the last target.
_LARGEST_MEMORY_WEIGHT = 0.99
_LINE_SEARCH_ROUNDS = 100
_LINE_SEARCH_TOLERANCE = 1e-14


@dataclass(frozen=True, slots=True)
class AssignmentResult:
    """An assignment; `flows` and `costs` are in the order of the network's links.

    `costs` are travel times at these flows, infinite on a closed link. `relative_gap` is (T - S) / T, where T is
    the time that all travellers spend and S what they would spend if each took a quickest path at these times.
    T - S is never less than the distance of `objective` from its minimum (Frank and Wolfe, 1956), and the gap is 0
    only in equilibrium. `iterations` counts the steps that changed the flows.
    """

    flows: tuple[float, ...]
    costs: tuple[float, ...]
    objective: float
    relative_gap: float
    iterations: int


def assign(network: Network, trips: Trips, *, max_gap: float = 1e-4, max_iterations: int = 500) -> AssignmentResult:
    """Assign the trips to the network, until the relative gap is `max_gap` or less.

    Ends after `max_iterations` at the latest: see `relative_gap`. Trips within a zone use no link. A link of capacity 0
    with a time that depends on flow is closed. Raises `AssignmentError` for trips between zones that no path joins,
    zones outside the network and limits that make no sense.
    """
    _check(network, trips, max_gap, max_iterations)
    links = network.links
    paths = _Paths(network, trips)
    flows = paths.load([travel_time(link, 0.0) for link in links])
    memory = _Memory()
    for iteration in range(max_iterations + 1):
        times = [travel_time(link, flow) for link, flow in zip(links, flows, strict=True)]
        quickest = paths.load(times)
        gap = relative_gap(times, flows, quickest)
        if gap <= max_gap or iteration == max_iterations:
            break
        target = memory.target(links, times, flows, quickest)
        step = line_search(links, flows, target)
        flows = _between(flows, target, step)
        memory.remember(target, step)
    costs = tuple(math.inf if is_closed(link) else time for link, time in zip(links, times, strict=True))
    return AssignmentResult(tuple(flows), costs, objective(links, flows), gap, iteration)


def is_closed(link: Link) -> bool:
    """True if the link takes no traffic: it has no capacity, and its time depends on the share used."""
    return link.capacity == 0 and link.b > 0 and link.power > 0


def travel_time(link: Link, flow: float) -> float:
    """Time to traverse the link at this flow: free_flow_time * (1 + b * (flow / capacity) ** power)."""
    return link.free_flow_time * (1.0 + link.b * _raised(link, flow, link.power))


def travel_time_integral(link: Link, flow: float) -> float:
    """Integral of `travel_time` from no flow up to this one."""
    return link.free_flow_time * flow * (1.0 + link.b * _raised(link, flow, link.power) / (link.power + 1.0))


def travel_time_slope(link: Link, flow: float) -> float:
    """Derivative of `travel_time`; 0 if that is infinite (power below 1, no flow).

    It only steers the search: a wrong slope costs iterations, never the result.
    """
    if link.power == 0 or link.capacity == 0 or (flow == 0 and link.power < 1):
        return 0.0
    factor = link.free_flow_time * link.b * link.power / link.capacity
    return factor * _raised(link, flow, link.power - 1.0)


def objective(links: Sequence[Link], flows: Sequence[float]) -> float:
    """Beckmann's objective: the sum of `travel_time_integral` over all links."""
    return math.fsum(map(travel_time_integral, links, flows))


def relative_gap(times: Sequence[float], flows: Sequence[float], quickest: Sequence[float]) -> float:
    """(T - S) / T for flows and for the same trips on quickest paths, both at the same times; 0 without traffic."""
    total = _dot(times, flows)
    return max((total - _dot(times, quickest)) / total, 0.0) if total > 0 else 0.0


def line_search(links: Sequence[Link], flows: Sequence[float], target: Sequence[float]) -> float:
    """The step from `flows` (0) towards `target` (1) with the lowest objective.

    The objective is convex on the way, so its slope is brought to zero: Newton's method, with bisection if that would
    leave the interval that still holds the solution.
    """
    change = [end - start for start, end in zip(flows, target, strict=True)]

    def slope(step: float) -> float:
        return _dot(map(travel_time, links, _between(flows, target, step)), change)

    if slope(1.0) <= 0:
        return 1.0
    low, high, step = 0.0, 1.0, 0.5
    for _ in range(_LINE_SEARCH_ROUNDS):
        value = slope(step)
        low, high = (step, high) if value < 0 else (low, step)
        curvature = _curvature(links, _between(flows, target, step), change)
        newton = step - value / curvature if curvature > 0 else low
        following = newton if low < newton < high else (low + high) / 2
        if abs(following - step) <= _LINE_SEARCH_TOLERANCE:
            break
        step = following
    return step


class _Memory:
    """The last two targets, which make the next direction conjugate to the last two directions."""

    def __init__(self) -> None:
        self._targets: list[list[float]] = []
        self._step = 0.0

    def remember(self, target: list[float], step: float) -> None:
        """Store a target and the step made towards it."""
        self._targets = [target, *self._targets[:1]]
        self._step = step

    def target(
        self, links: Sequence[Link], times: list[float], flows: list[float], quickest: list[float]
    ) -> list[float]:
        """The next target: a mean of the quickest paths and remembered targets, or the quickest paths alone.

        Any mean of targets carries the same trips, so only descent has to be checked.
        """
        slopes = list(map(travel_time_slope, links, flows))
        weights = self._weights(slopes, flows, quickest)
        if weights is None:
            self._targets = []
            return quickest
        points = [quickest, *self._targets]
        target = [math.fsum(map(_times, weights, values)) for values in zip(*points, strict=True)]
        if _dot(times, target) < _dot(times, flows):
            return target
        self._targets = []
        return quickest

    def _weights(self, slopes: list[float], flows: list[float], quickest: list[float]) -> list[float] | None:
        """Weights of quickest paths, last and last but one target; None if there is no conjugate direction.

        With x the flows, y the quickest paths, s1 and s2 the targets, H the slopes and t the last step, the last
        two directions are d1 = s1 - x and d2 = t s1 + (1 - t) s2 - x, up to a factor. The weights, in the ratio
        1 : v : u, make 1 (y - x) + v (s1 - x) + u (s2 - x) orthogonal to both of them under H, given that these are
        so to one another. A negative weight would leave the feasible flows and becomes 0.
        """
        if not self._targets:
            return None
        fresh = _minus(quickest, flows)
        last = _minus(self._targets[0], flows)
        norm = _dot3(last, slopes, last)
        if norm <= 0:  # as after a full step, which leaves nothing of the last direction
            return None
        v = -_dot3(last, slopes, fresh) / norm
        if len(self._targets) == 1:
            return _normalised(max(v, 0.0))
        earlier = _minus(_between(self._targets[1], self._targets[0], self._step), flows)
        norm = _dot3(earlier, slopes, _minus(self._targets[1], self._targets[0]))
        if norm <= 0:
            return [*_normalised(max(v, 0.0)), 0.0]
        u = max(-_dot3(earlier, slopes, fresh) / norm, 0.0)
        return _normalised(max(v + u * self._step / (1.0 - self._step), 0.0), u)


class _Paths:
    """Quickest paths of all trips: the network as an adjacency list, the trips by origin."""

    def __init__(self, network: Network, trips: Trips) -> None:
        self._network = network
        self._leaving: list[list[tuple[int, int]]] = [[] for _ in range(network.nodes + 1)]
        for index, link in enumerate(network.links):
            if not is_closed(link):
                self._leaving[link.from_node].append((link.to_node, index))
        self._demand: dict[int, list[tuple[int, float]]] = {}
        for (origin, destination), flow in sorted(trips.demand.items()):
            if flow > 0:
                self._demand.setdefault(origin, []).append((destination, flow))

    def load(self, times: list[float]) -> list[float]:
        """Link flows with all trips on quickest paths at these times ("all or nothing")."""
        flows = [0.0] * len(times)
        for origin, demand in self._demand.items():
            order, arriving = self._tree(origin, times)
            at_node = dict.fromkeys(order, 0.0)
            for destination, flow in demand:
                if destination not in at_node:
                    raise AssignmentError(
                        f"{flow:g} trips from zone {origin} to zone {destination}, but no path joins them: "
                        "add a link, or take these trips out."
                    )
                at_node[destination] += flow
            for node in reversed(order[1:]):
                index = arriving[node]
                flows[index] += at_node[node]
                at_node[self._network.links[index].from_node] += at_node[node]
        return flows

    def _tree(self, origin: int, times: list[float]) -> tuple[list[int], list[int]]:
        """Dijkstra's tree: the reachable nodes, nearest first, and by node the link that leads there.

        A node below the first through node is an end: paths leave it only at their origin.
        """
        best = [math.inf] * len(self._leaving)
        arriving = [-1] * len(self._leaving)
        best[origin] = 0.0
        order: list[int] = []
        done = [False] * len(self._leaving)
        heap = [(0.0, origin)]
        while heap:
            time, node = heappop(heap)
            if done[node]:
                continue
            done[node] = True
            order.append(node)
            if node < self._network.first_thru_node and node != origin:
                continue
            for following, index in self._leaving[node]:
                candidate = time + times[index]
                if candidate < best[following]:
                    best[following], arriving[following] = candidate, index
                    heappush(heap, (candidate, following))
        return order, arriving


def _check(network: Network, trips: Trips, max_gap: float, max_iterations: int) -> None:
    if not 0 <= max_gap < math.inf:
        raise AssignmentError(f"max_gap={max_gap!r}: give a relative gap of zero or more, such as 1e-4.")
    if max_iterations < 0:
        raise AssignmentError(f"max_iterations={max_iterations!r}: give a whole number of zero or more.")
    for pair in trips.demand:
        outside = [zone for zone in pair if not 1 <= zone <= network.zones]
        if outside:
            raise AssignmentError(
                f"Trips from zone {pair[0]} to zone {pair[1]}, but the network's zones are 1 to {network.zones}: "
                "take the trip table that belongs to this network."
            )
    everything = math.fsum(trips.demand.values())
    for link in network.links:
        if not _computable(link, everything):
            raise AssignmentError(
                f"Link {link.from_node}-{link.to_node} with capacity {link.capacity!r}, b {link.b!r} and power "
                f"{link.power!r} has no finite travel time at {everything:g} trips: correct the link."
            )


def _computable(link: Link, flow: float) -> bool:
    try:
        return math.isfinite(travel_time_integral(link, flow))
    except OverflowError:
        return False


def _raised(link: Link, flow: float, power: float) -> float:
    """(flow / capacity) ** power. A link without capacity is closed or has constant time: it counts as empty."""
    used = flow / link.capacity if link.capacity else 0.0
    raised: float = used**power
    return raised


def _curvature(links: Sequence[Link], flows: Sequence[float], change: Sequence[float]) -> float:
    return _dot3(change, list(map(travel_time_slope, links, flows)), change)


def _normalised(*memory: float) -> list[float]:
    """Weights 1 : memory, scaled to a sum of 1; the memory gets no more than its largest share."""
    remembered = math.fsum(memory)
    if remembered == 0:
        return [1.0, *memory]
    share = min(remembered / (1.0 + remembered), _LARGEST_MEMORY_WEIGHT)
    return [1.0 - share, *(weight / remembered * share for weight in memory)]


def _between(start: Sequence[float], end: Sequence[float], step: float) -> list[float]:
    # Two products, not start + step * (end - start), which rounding could take below zero.
    rest = 1.0 - step
    return [rest * a + step * b for a, b in zip(start, end, strict=True)]


def _times(a: float, b: float) -> float:
    return a * b


def _minus(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [x - y for x, y in zip(a, b, strict=True)]


def _dot(a: Iterable[float], b: Iterable[float]) -> float:
    # fsum: the built-in sum rounds differently from Python 3.12 on.
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def _dot3(a: Iterable[float], b: Iterable[float], c: Iterable[float]) -> float:
    return math.fsum(x * y * z for x, y, z in zip(a, b, c, strict=True))
