"""Builds the documentation site: ``python3 tools/dev.py docs``, into ``build/site``.

Strict: every warning of Sphinx is an error, and so are a page that no table of contents has, a link that leads nowhere,
and anything that a browser would fetch from elsewhere. Nothing is fetched while it is built.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+"""
    r"""|<link\b(?![^>]*rel=["'](?:canonical|license)["'])[^>]*\bhref=["'](?:https?:)?//[^"']+"""
    r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')]+|url\(\s*["']?(?:https?:)?//[^"')]+""",
    re.IGNORECASE,
)
"""What makes a browser ask another host; links that a reader follows do not."""


def build(out: Path) -> int:
    """Build the site anew; Sphinx's exit code."""
    strict = ("--fresh-env", "--fail-on-warning", "--keep-going", "--quiet")
    command = (sys.executable, "-m", "sphinx", "-b", "html", *strict, ROOT / "docs", out)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def fetched(out: Path) -> list[str]:
    """What the pages, styles and pictures would fetch from other hosts."""
    files = [path for path in sorted(out.rglob("*")) if path.suffix in (".html", ".css", ".svg")]
    return [
        f"{path.relative_to(out)}: {match[0]}"
        for path in files
        for match in FETCHED.finditer(path.read_text(encoding="utf-8"))
    ]


def main() -> int:
    """Build and check; 0 if all is well."""
    if code := build(SITE):
        print("docs: FAILED; the lines above say where.")
        return code
    if outside := fetched(SITE):
        print("\n".join(outside))
        print("docs: FAILED: a browser would fetch the above from elsewhere.")
        return 1
    print(f"docs: built without a warning; open {SITE / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
