"""One log and its views; the only write."""

from consist_es.project.project import Project as Project
