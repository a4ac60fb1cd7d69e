"""What people see of runs, results and their history."""

from consist_es.runs.run import Run as Run
from consist_es.runs.run import RunResult as RunResult
