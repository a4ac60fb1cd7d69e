"""Runs, results and their history as users see them."""

from consist_es.runs.run import Run as Run
from consist_es.runs.run import RunResult as RunResult
