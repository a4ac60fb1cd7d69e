"""One log and its views; the only way to write."""

from consist_es.project.project import Project as Project
