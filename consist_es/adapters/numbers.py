"""Numbers as files write them."""

import decimal
import math
from typing import Any

_DIGITS = 400
"""Longer ones stay text; Python refuses to convert very long ones."""


def exact(text: str, *, whole: bool = False) -> Any:
    """The int or float that says exactly what the text says, else the text, marked as a number.

    So 1.10 is 1.1, and 0.1000000000000000000001 is not 0.1: a program may read decimals or wider floats.
    """
    if len(text) > _DIGITS:
        return ("number", text)
    if whole:
        return ("number", text) if text.startswith("-") and int(text) == 0 else int(text)
    value = float(text)
    try:
        same = decimal.Decimal(repr(value)) == decimal.Decimal(text)
    except decimal.InvalidOperation:  # an exponent beyond what decimals have
        same = False
    return value if same and math.isfinite(value) else ("number", text)
