"""diskcache, with the digest of the input's content in the key; the output is neither kept nor looked at."""

from __future__ import annotations

import hashlib

import diskcache

from bench.peers.timing import Step, compete, count_and_folder, make_input, plain

count, folder = count_and_folder()
raw = make_input(folder)


def make() -> Step:
    """A cache object of its own."""
    cache = diskcache.Cache(folder / "cache")

    def step(k: int) -> bool:
        key = (hashlib.sha256(raw.read_bytes()).hexdigest(), k)
        if cache.get(key) is not None:
            return True
        out = folder / "outs" / f"{k}.txt"
        out.write_text(f"{k}\n")
        cache.set(key, str(out))
        return False

    return step


compete(plain(make), count, diskcache.__version__)
