"""Identity of a step's code: walks everything that a function reaches."""

from consist_es.identity.code.modes import code_identity as code_identity
from consist_es.identity.code.modes import trace_identity as trace_identity
