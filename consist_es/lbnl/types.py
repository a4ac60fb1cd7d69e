"""Names of ``consist.types``."""

from consist_es.api.protocols import (
    HasConsistFacet as HasConsistFacet,
)
from consist_es.api.protocols import (
    HasFacetSchemaVersion as HasFacetSchemaVersion,
)
from consist_es.artifacts.formats import DriverType as DriverType
from consist_es.steps.h5 import H5ChildSpec as H5ChildSpec
from consist_es.steps.options import (
    ArtifactSpec as ArtifactSpec,
)
from consist_es.steps.options import (
    BindingResult as BindingResult,
)
from consist_es.steps.options import (
    CacheOptions as CacheOptions,
)
from consist_es.steps.options import (
    ExecutionOptions as ExecutionOptions,
)
from consist_es.steps.options import (
    OutputArtifactSpec as OutputArtifactSpec,
)
from consist_es.steps.options import (
    OutputPolicyOptions as OutputPolicyOptions,
)
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
