"""Looks up a step in the cache. If the views contradict their log, rebuilds them and looks up again."""

from __future__ import annotations

import sqlite3

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap
from consist_es.cache.lookup import Hit, Miss, Question, look_up
from consist_es.cache.vouch import NOT_VOUCHED, Disagreement
from consist_es.errors import LogError, ViewContentError
from consist_es.project.project import Project


def ask(project: Project, conn: sqlite3.Connection, question: Question, uris: UriMap, digester: Digester) -> Hit | Miss:
    """The verdict of the views at `conn`, or of rebuilt views if those contradict the log."""
    try:
        return look_up(conn, question, uris, digester)
    except (Disagreement, ViewContentError) as found:
        problem = str(found)
    try:
        return look_up(project.views.distrust(problem), question, uris, digester)
    except (Disagreement, ViewContentError, LogError) as error:
        said = f"the views did not say what the log says ({problem}) and could not be rebuilt: {error}"
        return Miss(NOT_VOUCHED, differs=[said])
