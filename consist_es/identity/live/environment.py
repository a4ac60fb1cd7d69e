"""The process's environment as an object that code holds, by whatever name."""

import os
from typing import Any


def environment_form(value: Any) -> dict[str, str] | None:
    """Plain form of `os.environ` and `os.environb`; None for other objects.

    They count by the variables that a step reads, not as a whole: terminals, schedulers and this library set some anew
    in each process.
    """
    if value is os.environ or value is getattr(os, "environb", None):
        return {"$environment": type(value).__name__}
    return None
