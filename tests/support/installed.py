"""Distributions for tests: the folder that an installer would fill, without an installer."""

import shutil
from collections.abc import Mapping
from pathlib import Path

FOLDER = '{"url": "file:///src", "dir_info": {}}'


def install(site: Path, name: str, version: str, modules: Mapping[str, str], *, url: str | None = None) -> None:
    """Write a distribution in place of the one of this name that was there."""
    site.mkdir(parents=True, exist_ok=True)
    for old in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    meta = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "INSTALLER": "pip\n"}
    meta |= {} if url is None else {"direct_url.json": url}
    files = {**modules, **{f"{name}-{version}.dist-info/{file}": text for file, text in meta.items()}}
    record = "".join(f"{path},,{len(text)}\n" for path, text in files.items())
    for path, text in {**files, f"{name}-{version}.dist-info/RECORD": record}.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
