# fmt: off
"""Check a proof of consist-es without its code: check_proof.py PROOF [TREE_HEAD ...]; see docs/tamper-evidence.md."""
import base64, hashlib, importlib.util, json, pathlib, sys  # noqa: E401, I001
sha256, blake3 = hashlib.sha256, __import__("blake3").blake3 if importlib.util.find_spec("blake3") else None
def must(good: object, what: str) -> object:
    return good or sys.exit(f"REFUSED: {what}")
def raw(text: str) -> bytes:
    return bytes.fromhex(text) if must(bytes.fromhex(text).hex() == text, "a digest in another spelling") else b""
def climb(index: int, last: int, node: bytes, path: list[str]) -> tuple[str, str]:  # RFC 9162, 2.1.3.2 and 2.1.4.2
    old = new = node
    for sibling in map(raw, path):
        must(last > 0, "a path is too long")
        while index == last and not index & 1:  # no right neighbour: go up to where there is a left one
            index, last = index >> 1, last >> 1
        old = sha256(b"\1" + sibling + old).digest() if index & 1 else old
        new = sha256(b"\1" + (sibling + new if index & 1 else new + sibling)).digest()
        index, last = index >> 1, last >> 1
    must(index == last == 0, "a path is too short, or starts outside the tree")
    return base64.b64encode(old).decode(), base64.b64encode(new).decode()
proof = json.loads(text := pathlib.Path(sys.argv[1]).read_bytes().decode())
must(text == json.dumps(proof, separators=(",", ":")) + "\n" and "signature" in proof, "it is not as it was written")
must(proof["format"] == "consist-es proof 1" and (proof["events"] or proof["extends"]), "it proves nothing we know")
(origin, size, root), heads, keys = proof["checkpoint"].split("\n")[:3], {proof["checkpoint"]}, {}
for event in proof["events"]:
    at, head, digest, data = event["position"], event["head"].encode(), raw(event["digest"]), event["data"]
    leaf = b"\0consist-es log 1 line\n" + event["previous"].encode() + len(head).to_bytes(8, "little") + head + digest
    must(climb(at - 1, int(size) - 1, sha256(leaf).digest(), event["path"])[1] == root, f"event {at} is not in it")
    must(not blake3 or data is None or blake3(data.encode()).digest() == digest, f"event {at} has another payload")
    keys[at] = "redacted" if data is None else data[10:74] * data.startswith('{"$blob":"')
found = {blake3(blob.encode()).hexdigest() if blake3 else key for key, blob in proof["blobs"].items()}
must(found == proof["blobs"].keys() <= {*keys.values()}, "a blob is another one, or no event names it")
if proof["extends"] and (older := proof["extends"]["checkpoint"]) not in heads:
    (name, old, old_root), path, heads = older.split("\n")[:3], proof["extends"]["path"], {older, *heads}
    shift = (int(old) & -int(old)).bit_length() - 1  # up to the largest perfect subtree that the old tree ends with
    node, path = (base64.b64decode(old_root), path) if int(old) == 1 << shift else (raw(path[0]), path[1:])
    climbed = climb(int(old) - 1 >> shift, int(size) - 1 >> shift, node, path)
    must((name, *climbed) == (origin, old_root, root), "the older tree is not the beginning of the newer one")
must(heads.issuperset(pathlib.Path(name).read_text("utf-8") for name in sys.argv[2:]), "it is of another tree head")
gone = [at for at, key in keys.items() if key and key not in found] if blake3 else "not checked: no blake3"
sys.exit(print("GOOD:", len(keys), "events; payloads missing:", gone, "- of", ascii(sorted(heads))) or 2 * (not blake3))
