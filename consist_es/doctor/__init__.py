"""Examines a whole project: what is well, what is wrong, and what to do."""

from consist_es.doctor.examine import examine as examine
from consist_es.doctor.examine import mend as mend
