"""The Merkle tree: the published values of RFC 6962 trees, and proofs that prove nothing else."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.log.evidence.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_path,
    extends,
    inclusion_path,
    is_included,
    leaf_hash,
    peak_count,
    pieces,
)

# The leaves and roots that Certificate Transparency implementations test themselves with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
FIFTH_OF_EIGHT = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
TWO_TO_FIVE = [
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
]

sizes = st.integers(1, 70)


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition in RFC 6962, section 2.1, word for word."""
    if len(leaves) < 2:
        return sha256(b"\x00" + leaves[0]).digest() if leaves else sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def numbered(size: int) -> list[bytes]:
    return [b"leaf %d" % number for number in range(size)]


def tree_of(leaves: list[bytes], spans: list[tuple[int, int]] | None = None) -> Tree:
    tree = Tree(wanted=frozenset(node for span in spans or () for node in pieces(span)))
    for leaf in leaves:
        tree.add(leaf_hash(leaf))
    return tree


def inclusion(index: int, leaves: list[bytes]) -> list[bytes]:
    spans = inclusion_path(index, len(leaves))
    tree = tree_of(leaves, spans)
    return [tree.hash_of(span) for span in spans]


def consistency(old: int, leaves: list[bytes]) -> list[bytes]:
    spans = consistency_path(old, len(leaves))
    tree = tree_of(leaves, spans)
    return [tree.hash_of(span) for span in spans]


def flips(data: bytes) -> list[bytes]:
    return [
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]


# ---------------------------------------------------------------- roots


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one(size: int) -> None:
    assert tree_of(LEAVES[:size]).root().hex() == naive_root(LEAVES[:size]).hex() == ROOTS[size]


def test_the_root_of_nothing_is_the_digest_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == ROOTS[0]


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_root_is_what_the_definition_says(leaves: list[bytes]) -> None:
    tree = tree_of(leaves)
    assert tree.root() == naive_root(leaves)
    assert len(tree.peaks) == peak_count(len(leaves)) == peak_count(tree.size)


@given(sizes, st.data())
def test_a_tree_grows_on_from_its_size_and_peaks_alone(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    cut = data.draw(st.integers(0, size))
    first = tree_of(leaves[:cut])
    second = Tree(first.size, first.peaks)
    for leaf in leaves[cut:]:
        second.add(leaf_hash(leaf))
    assert (second.size, second.root()) == (size, naive_root(leaves))


def test_a_leaf_is_no_inner_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert tree_of([b"a", b"b"]).root() != tree_of([left + right]).root()


# ---------------------------------------------------------------- inclusion


def test_an_inclusion_proof_is_the_published_one() -> None:
    assert [part.hex() for part in inclusion(5, LEAVES)] == FIFTH_OF_EIGHT


@pytest.mark.parametrize("size", [*range(1, 20), 33])
def test_every_leaf_has_a_proof(size: int) -> None:
    leaves = numbered(size)
    root = naive_root(leaves)
    for index in range(size):
        path = inclusion(index, leaves)
        assert is_included(leaf_hash(leaves[index]), index, size, path, root)


@given(sizes, st.data())
def test_a_proof_holds_for_its_own_leaf_place_and_tree_alone(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    leaf, path, root = leaf_hash(leaves[index]), inclusion(index, leaves), naive_root(leaves)
    for other in range(-1, size + 1):
        assert is_included(leaf, other, size, path, root) == (other == index)
        if 0 <= other < size:
            assert is_included(leaf_hash(leaves[other]), index, size, path, root) == (other == index)
    assert not is_included(leaf, index, size, path, naive_root([*leaves, b"more"]))
    assert not is_included(leaf, index, size, [*path, leaf], root)
    assert not is_included(leaf, index, size, path[:-1], root) or not path


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (5, 8), (6, 7), (4, 5), (12, 13)])
def test_every_bit_of_an_inclusion_proof_counts(index: int, size: int) -> None:
    leaves = numbered(size)
    leaf, path, root = leaf_hash(leaves[index]), inclusion(index, leaves), naive_root(leaves)
    assert is_included(leaf, index, size, path, root)
    assert not any(is_included(flipped, index, size, path, root) for flipped in flips(leaf))
    assert not any(is_included(leaf, index, size, path, flipped) for flipped in flips(root))
    for place, part in enumerate(path):
        for flipped in flips(part):
            assert not is_included(leaf, index, size, [*path[:place], flipped, *path[place + 1 :]], root)


@pytest.mark.parametrize("cut", [1, 31, 33])
def test_the_bytes_of_a_path_cannot_be_cut_up_in_another_way(cut: int) -> None:
    leaves = numbered(4)
    path = inclusion(0, leaves)
    joined = b"".join(path)
    assert not is_included(leaf_hash(leaves[0]), 0, 4, [joined[:cut], joined[cut:]], naive_root(leaves))


# ---------------------------------------------------------------- consistency


def test_a_consistency_proof_is_the_published_one() -> None:
    assert [part.hex() for part in consistency(2, LEAVES[:5])] == TWO_TO_FIVE
    assert consistency(1, LEAVES[:1]) == []


@pytest.mark.parametrize("size", [*range(1, 20), 33])
def test_every_older_tree_has_a_proof(size: int) -> None:
    leaves = numbered(size)
    for old in range(1, size + 1):
        path = consistency(old, leaves)
        assert extends(old, naive_root(leaves[:old]), size, naive_root(leaves), path)


@given(sizes, st.data())
def test_no_tree_with_another_beginning_passes_for_an_extension(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    old = data.draw(st.integers(1, size))
    place = data.draw(st.integers(0, old - 1))
    changed = [*leaves[:place], b"changed", *leaves[place + 1 :]]
    root, path = naive_root(changed), consistency(old, changed)
    assert not extends(old, naive_root(leaves[:old]), size, root, path)
    assert extends(old, naive_root(changed[:old]), size, root, path)


@given(sizes, st.data())
def test_a_consistency_proof_holds_for_its_own_sizes_alone(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    old = data.draw(st.integers(1, size))
    old_root, root, path = naive_root(leaves[:old]), naive_root(leaves), consistency(old, leaves)
    for other in range(-1, size + 2):
        assert extends(other, old_root, size, root, path) == (other == old)
    assert not extends(old, old_root, size, root, [*path, root])
    assert not extends(old, old_root, size, root, path[:-1]) or not path


@pytest.mark.parametrize(("old", "size"), [(1, 2), (2, 5), (3, 7), (4, 8), (6, 8), (7, 13)])
def test_every_bit_of_a_consistency_proof_counts(old: int, size: int) -> None:
    leaves = numbered(size)
    old_root, root, path = naive_root(leaves[:old]), naive_root(leaves), consistency(old, leaves)
    assert extends(old, old_root, size, root, path)
    assert not any(extends(old, flipped, size, root, path) for flipped in flips(old_root))
    assert not any(extends(old, old_root, size, flipped, path) for flipped in flips(root))
    for place, part in enumerate(path):
        for flipped in flips(part):
            assert not extends(old, old_root, size, root, [*path[:place], flipped, *path[place + 1 :]])
