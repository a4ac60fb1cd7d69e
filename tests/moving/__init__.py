"""Code written for LBNL's consist runs as it is, or is told what to do."""
