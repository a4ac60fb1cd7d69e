"""Digests that callers claim for a file, compared with its bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from consist_es.errors import ContentHashError, UsageTypeError
from consist_es.values.digests import method_of

LARGEST = 64 << 20
"""Largest file, in bytes, that is read again to check a SHA-256 that nobody asked to have checked."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Claim(msgspec.Struct, frozen=True):
    """A digest that a caller says a file has. The bytes decide: it is never used in place of their own digest."""

    digest: str
    forced: bool
    """True: a claim that is not that of the bytes is recorded instead of refused."""
    checked: bool
    """True: a claim that cannot be checked is refused."""

    @classmethod
    def of(cls, digest: Any, *, forced: bool, checked: bool) -> Claim | None:
        """The claim of a logging call; None if it makes none.

        Raises:
            UsageTypeError: not a str, or nothing to check.
        """
        if digest is None:
            if forced or checked:
                which = "force_hash_override" if forced else "validate_content_hash"
                raise UsageTypeError(f"{which}=True needs content_hash=, the digest that it is about.")
            return None
        if not isinstance(digest, str) or not digest:
            raise UsageTypeError(f"content_hash takes a digest as str, not {digest!r}.")
        return cls(digest, bool(forced), bool(checked))

    def compared(self, key: str, path: Path, found: str | None) -> dict[str, Any]:
        """Metadata: the claim, and whether the bytes have it; None if it was not checked.

        `found` is the digest of what lies at `path`, None if nothing does.

        Raises:
            ContentHashError: it is not that of the bytes, or cannot be checked although that was asked for.
        """
        verdict = self._verdict(path, found)
        if verdict is False and not self.forced:
            raise ContentHashError(key, str(path), self.digest, found)
        if verdict is None and self.checked:
            raise ContentHashError(key, str(path), self.digest, None)
        return {"content_hash": self.digest, "content_hash_verified": verdict}

    def _verdict(self, path: Path, found: str | None) -> bool | None:
        if found is None:
            return None
        if self.digest == found:
            return True
        if ":" in self.digest:
            return False if method_of(self.digest) == method_of(found) else None
        if not _SHA256.fullmatch(self.digest) or not path.is_file():
            return None
        if path.stat().st_size > LARGEST and not self.checked:
            return None
        import hashlib  # loads OpenSSL

        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.digest.lower()
