"""Check a proof of consist-es without its code: ``check_proof.py PROOF [TREE_HEAD ...]``.

Exit code 0: all that the proof says holds; 1: it does not, and why; 2: it holds as far as could be checked without the
package blake3. What is checked, and how, is described in docs/tamper-evidence.md.
"""

import base64
import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

BLAKE3: Any = __import__("blake3").blake3 if importlib.util.find_spec("blake3") else None


def require(good: object, problem: str) -> None:
    """End here if something does not hold."""
    if not good:
        sys.exit(f"REFUSED: {problem}")


def raw(digest: str) -> bytes:
    """Bytes of a digest in lower-case hexadecimal, the one spelling that counts."""
    found = bytes.fromhex(digest)
    require(found.hex() == digest, "a digest in another spelling")
    return found


def climb(index: int, last: int, node: bytes, path: list[str]) -> tuple[str, str]:
    """The root of the older and of the newer tree above a node (RFC 9162, sections 2.1.3.2 and 2.1.4.2).

    `index`: the node's place on its level; `last`: the place of the last node there; `path`: its siblings, upwards.
    """
    old = new = node
    for sibling in map(raw, path):
        require(last > 0, "a path is too long")
        while index == last and index % 2 == 0:  # no right neighbour: go up to where there is a left one
            index, last = index // 2, last // 2
        if index % 2 == 1:
            old = hashlib.sha256(b"\1" + sibling + old).digest()
            new = hashlib.sha256(b"\1" + sibling + new).digest()
        else:
            new = hashlib.sha256(b"\1" + new + sibling).digest()
        index, last = index // 2, last // 2
    require(index == last == 0, "a path is too short, or starts outside the tree")
    return base64.b64encode(old).decode(), base64.b64encode(new).decode()


def check_event(event: dict[str, Any], size: int, root: str) -> str:
    """Check that an event is in the tree; the key of the blob that holds its payload, "" for none."""
    require(type(event["position"]) is int, "a position is no whole number")
    position, head, digest, data = event["position"], event["head"].encode(), raw(event["digest"]), event["data"]
    leaf = b"\0consist-es log 1 line\n" + event["previous"].encode() + len(head).to_bytes(8, "little") + head + digest
    _, found = climb(position - 1, size - 1, hashlib.sha256(leaf).digest(), event["path"])
    require(found == root, f"event {position} is not in it")
    if data is None:
        return "redacted"
    require(not BLAKE3 or BLAKE3(data.encode()).digest() == digest, f"event {position} has another payload")
    return data[10:74] if data.startswith('{"$blob":"') else ""


def check_blobs(blobs: dict[str, str], named: set[str]) -> None:
    """Check that every blob is the one that an event names."""
    for key, blob in blobs.items():
        require(not BLAKE3 or BLAKE3(blob.encode()).hexdigest() == key, "a blob is another one")
        require(key in named, "no event names a blob")


def check_extension(older: str, path: list[str], size: int, origin: str, root: str) -> None:
    """Check that the tree of an older head is the beginning of this one (RFC 9162, section 2.1.4.2)."""
    name, old_size, old_root = older.split("\n")[:3]
    count = int(old_size)
    level = (count & -count).bit_length() - 1  # of the largest perfect subtree that the old tree ends with
    if count == 1 << level:  # it is the whole old tree
        node = base64.b64decode(old_root)
    else:
        node, path = raw(path[0]), path[1:]
    roots = climb((count - 1) >> level, (size - 1) >> level, node, path)
    require((name, *roots) == (origin, old_root, root), "the older tree is not the beginning of the newer one")


def main(proof_file: str, *head_files: str) -> int:
    """Check the proof, and that it is of the tree heads in these files."""
    text = Path(proof_file).read_bytes().decode()
    proof = json.loads(text)
    as_written = json.dumps(proof, separators=(",", ":")) + "\n"
    require(text == as_written and "signature" in proof, "it is not as it was written")
    require(proof["format"] == "consist-es proof 1", "it is of a format that we do not know")
    require(proof["events"] or proof["extends"], "it proves nothing")

    newest = proof["checkpoint"]
    origin, size, root = newest.split("\n")[:3]
    keys = {event["position"]: check_event(event, int(size), root) for event in proof["events"]}
    check_blobs(proof["blobs"], set(keys.values()))
    heads = {newest}
    if proof["extends"] and (older := proof["extends"]["checkpoint"]) != newest:
        check_extension(older, proof["extends"]["path"], int(size), origin, root)
        heads.add(older)
    for file in head_files:
        require(Path(file).read_text("utf-8") in heads, "it is of another tree head")

    missing = [position for position, key in keys.items() if key and key not in proof["blobs"]]
    gone = missing if BLAKE3 else "not checked: no blake3"
    print("GOOD:", len(keys), "events; payloads missing:", gone, "- of", ascii(sorted(heads)))
    return 0 if BLAKE3 else 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
