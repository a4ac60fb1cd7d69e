"""``consist-es datasette-config``: writes settings and queries for Datasette."""

from pathlib import Path

import click
import msgspec

from consist_es.cli.common import opened, project_option, short
from consist_es.cli.output import emit, note
from consist_es.exports import target
from consist_es.exports.datasette import CONFIG_1, METADATA_0, METADATA_1, documents


@click.command("datasette-config")
@click.option(
    "-o", "--out", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), default=Path(),
    help="Folder to write the files to.  [default: the working directory]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace files of the same names.")
@project_option
def datasette_config(out: Path, force: bool, db_path: Path) -> None:
    """Write what Datasette shows a project with: titles, facets, and 18 questions as queries.

    One file of metadata for Datasette 0.65; one of configuration and one of metadata for 1.0. The commands that serve
    the project with them are printed.
    """
    with opened(db_path) as project:
        project.connection()
        name = project.db_path
        texts = documents(name.stem, f"Provenance of {name.resolve().parent.name}")
        out.mkdir(parents=True, exist_ok=True)
        for file in texts:
            target.check(out / file, force=force, folder=False, ours=(project.folder,))
        for file, body in texts.items():
            with target.file_at(out / file) as stream:
                stream.write(msgspec.json.format(msgspec.json.encode(body), indent=1) + b"\n")
    note(f"Written to {short(out)}: {', '.join(texts)}. To serve the project:")
    emit(f"datasette {short(name)} -m {short(out / METADATA_0)}")
    emit(f"datasette {short(name)} -c {short(out / CONFIG_1)} -m {short(out / METADATA_1)}")
