"""How the documentation site is built: `python3 tools/dev.py docs`. Nothing is fetched while it is built or read."""

import re
import sys
from pathlib import Path
from typing import Any

import consist_es

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))

import docstrings  # noqa: E402

ROOT = DOCS.parent

project = "consist-es"
author = "The consist-es maintainers"
version = release = consist_es.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["pictures/**"]
nitpicky = False  # names in docstrings that are parameters lead nowhere

html_theme = "furo"
html_title = "consist-es"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = False
html_use_index = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

default_role = "py:obj"  # single backticks in docstrings: a link if it names something public, else code
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
# Unions of many types keep the names that the code has for them; docs/api.md says what they are.
ALIASES = ("IdentityInputs", "Input", "Inputs", "Loggable", "OutputPaths", "Place", "Stored")
autodoc_type_aliases = {name: name for name in ALIASES}

TOP = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "ARCHITECTURE.md": "architecture.md"}
TOP["CONTRIBUTING.md"] = "contributing.md"
STUBS = {Path(page).stem: name for name, page in TOP.items() if name != "README.md"}
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<file>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")

MADE_BY_US = {
    "AlignedPair", "Artifact", "ArtifactLike", "CodeIdentityUnavailableError", "Coupler", "CouplerView", "DriverType",
    "DryRun", "DryStep", "FacetIndex", "Forecast", "Run", "RunContext", "RunFieldIndex", "RunResult", "RunResultLike",
    "ScenarioContext", "StepContext", "Why",
}  # fmt: skip
"""Classes that users are given and do not make: how they are made is not shown."""


def relative(path: Path, folder: Path) -> str:
    """The path as seen from the folder; Python 3.11 cannot walk up itself."""
    common = next(above for above in [folder, *folder.parents] if path.is_relative_to(above))
    ups = len(folder.relative_to(common).parts)
    return "/".join([*[".."] * ups, *path.relative_to(common).parts])


def read_page(app: Any, name: str, content: list[str]) -> None:
    """Give the stubs the text of the top folder's pages, and make links lead to where things are on the site."""
    page = origin = DOCS / f"{name}.md"
    if name in STUBS:
        origin = ROOT / STUBS[name]
        content[0] = origin.read_text(encoding="utf-8")

    def moved(link: re.Match[str]) -> str:
        target = (origin.parent / link["file"]).resolve()
        if target.parent == ROOT and target.name in TOP:
            target = DOCS / TOP[target.name]
        elif target == DOCS / "decisions":
            target = DOCS / "decisions.md"
        elif not target.is_relative_to(DOCS):
            return link["text"]  # a file of the checkout: the site does not have it
        return f"[{link['text']}]({relative(target, page.parent)}{link['anchor'] or ''})"

    content[0] = LINK.sub(moved, content[0])


def shown_signature(
    app: Any, kind: str, name: str, thing: Any, options: Any, given: str | None, back: str | None
) -> Any:
    """Leave out how a class is made that users only get, and the names that aliases have inside Sphinx."""
    if kind in ("class", "exception") and name.rpartition(".")[2] in MADE_BY_US:
        return "", None
    if given is None:
        return None
    return re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", given).replace("_Places", "Tracker").replace(
        "=<factory>", " = {}"
    ), back


def public_name(app: Any, env: Any, node: Any, text: Any) -> Any:
    """Lead types of signatures, which name the module that a class is written in, to its public name."""
    name = str(node.get("reftarget", "")).rpartition(".")[2]
    if node.get("refdomain") != "py" or name not in consist_es.__all__:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node.get("refdoc"), app.builder, "obj", f"consist_es.{name}", node, text)


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("source-read", read_page)
    app.connect("autodoc-process-signature", shown_signature)
    app.connect("missing-reference", public_name)
