"""Names of ``consist.core.output_sets``."""

from consist_es.steps.output_sets import (
    EnumCapture as EnumCapture,
)
from consist_es.steps.output_sets import (
    FilenamePattern as FilenamePattern,
)
from consist_es.steps.output_sets import (
    IntCapture as IntCapture,
)
from consist_es.steps.output_sets import (
    OutputSet as OutputSet,
)
