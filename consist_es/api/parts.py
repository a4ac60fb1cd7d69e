"""Parts of files: the tables of an HDF5 file as artifacts, and the matrices of OMX files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import MissingKeyError, UsageTypeError

if TYPE_CHECKING:
    from consist_es.artifacts.matrices import MatrixFile, OpenMatrixMetadata
    from consist_es.runs.queries import Queries


class Parts:
    """The part of `Tracker` that looks into files; see docs/moving.md."""

    if TYPE_CHECKING:  # of the other bases of `Tracker`

        @property
        def _queries(self) -> Queries: ...

    def get_child_artifacts(self, artifact: Artifact) -> list[Artifact]:
        """The parts of an artifact in the order in which they were recorded: tables of an HDF5 file, files of a set."""
        from consist_es.projections import lineage

        queries = self._queries
        conn = queries.conn
        rows = lineage.find_artifacts(conn, parent=str(_checked(artifact).id), limit=None)
        return [queries.artifact(conn, row) for row in reversed(rows)]

    def get_parent_artifact(self, artifact: Artifact) -> Artifact | None:
        """The artifact that this one is a part of, or None."""
        from consist_es.runs.queries import artifact_row

        parent = _checked(artifact).parent_artifact_id
        if parent is None:
            return None
        queries = self._queries
        conn = queries.conn
        try:
            return queries.artifact(conn, artifact_row(conn, parent, None))
        except MissingKeyError:
            return None

    def openmatrix_metadata(self, artifact: Artifact | str) -> OpenMatrixMetadata:
        """Names, shapes, types and attributes of the matrices in an OMX file, or in all recorded under a key.

        The files are looked into now; a file that is gone is left out if a key is given.

        Raises:
            MissingExtraError: h5py is not installed. MissingKeyError: no artifact of that key.
            LoadError: the file of the given artifact cannot be read.
        """
        from consist_es.artifacts.matrices import OpenMatrixMetadata

        if isinstance(artifact, Artifact):
            return OpenMatrixMetadata([self._matrices(artifact)])
        if not isinstance(artifact, str):
            raise UsageTypeError(f"openmatrix_metadata() takes an Artifact or a key, not {type(artifact).__name__}.")
        from consist_es.projections import lineage

        queries = self._queries
        conn = queries.conn
        rows = lineage.find_artifacts(conn, key=artifact, driver="openmatrix", limit=None)
        if not rows:
            raise MissingKeyError("OMX artifact", artifact, ())
        found = (queries.artifact(conn, row) for row in reversed(rows))
        return OpenMatrixMetadata([self._matrices(item) for item in found if item.path.exists()])

    def load_matrix(self, artifact: Artifact | str | os.PathLike[str], name: str | None = None) -> Any:
        """One matrix of an OMX file as a NumPy array; see `consist_es.load_matrix`."""
        from consist_es.artifacts.matrices import load_matrix

        return load_matrix(artifact, name)

    def _matrices(self, artifact: Artifact) -> MatrixFile:
        from consist_es.artifacts.matrices import MatrixFile, matrices_of

        run = self._queries.run_by_key(artifact.producer) if artifact.producer else None
        matrices = matrices_of(artifact)
        return MatrixFile(matrices) if run is None else MatrixFile(matrices, run.id, run.year, run.iteration)


def _checked(artifact: Any) -> Artifact:
    if not isinstance(artifact, Artifact):
        raise UsageTypeError(f"An Artifact is needed here, not {type(artifact).__name__}.")
    return artifact
