"""A small generated town on a grid, for users without a network."""

import math

from consist_es.demo.tntp import Link, Network, Trips
from consist_es.errors import AssignmentError

_BLOCK_KM = 0.5
_BLOCK_MINUTES = 1.0
_STREET_CAPACITY = 500.0  # vehicles per hour
_AVENUE_CAPACITY = 1000.0
_LINK_TYPES = {_STREET_CAPACITY: 2, _AVENUE_CAPACITY: 1}


def generate_network(rows: int = 4, columns: int = 4, *, trips: float = 15000.0) -> tuple[Network, Trips]:
    """A grid of two-way streets, and `trips` trips per hour between the nodes on its rim.

    The rim nodes are the zones and have the lowest numbers. Every street may be used by everyone, times are minutes.
    Avenues run along the middle row and the middle column. Demand between two zones falls with their distance. The
    defaults give 16 nodes, 12 zones and 48 links, some over capacity. Equal arguments give equal networks.
    """
    if rows < 2 or columns < 2:
        raise AssignmentError(f"A grid of {rows} x {columns} nodes is too small: give at least 2 rows and 2 columns.")
    if not 0 < trips < math.inf:
        raise AssignmentError(f"trips={trips!r}: give a number of trips above zero.")
    spots = [(row, column) for row in range(rows) for column in range(columns)]
    rim = [(row, column) for row, column in spots if row in (0, rows - 1) or column in (0, columns - 1)]
    numbers = {spot: number for number, spot in enumerate(rim + [spot for spot in spots if spot not in rim], 1)}
    links = [
        _link(numbers, spot, end, rows, columns) for spot in numbers for end in _neighbours(spot) if end in numbers
    ]
    links.sort(key=lambda link: (link.from_node, link.to_node))
    network = Network(zones=len(rim), nodes=len(spots), first_thru_node=1, links=tuple(links))
    return network, Trips(len(rim), _demand(rim, trips))


def _neighbours(spot: tuple[int, int]) -> list[tuple[int, int]]:
    row, column = spot
    return [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]


def _link(
    numbers: dict[tuple[int, int], int], start: tuple[int, int], end: tuple[int, int], rows: int, columns: int
) -> Link:
    avenue = start[0] == end[0] == rows // 2 or start[1] == end[1] == columns // 2
    capacity = _AVENUE_CAPACITY if avenue else _STREET_CAPACITY
    return Link(
        from_node=numbers[start],
        to_node=numbers[end],
        capacity=capacity,
        length=_BLOCK_KM,
        free_flow_time=_BLOCK_MINUTES,
        b=0.15,
        power=4.0,
        link_type=_LINK_TYPES[capacity],
    )


def _demand(zones: list[tuple[int, int]], trips: float) -> dict[tuple[int, int], float]:
    """A gravity model: the product of the zones' sizes over their distance in blocks, scaled to `trips`."""
    size = {spot: 1 + 2 * index % 5 for index, spot in enumerate(zones)}
    pull = {
        (i, j): size[start] * size[end] / (abs(start[0] - end[0]) + abs(start[1] - end[1]))
        for i, start in enumerate(zones, 1)
        for j, end in enumerate(zones, 1)
        if i != j
    }
    scale = trips / math.fsum(pull.values())
    return {pair: round(value * scale, 3) for pair, value in pull.items()}
