"""Reads numbers exactly as files write them."""

import decimal
import math
from typing import Any

_DIGITS = 400
"""Longest number to convert; longer ones stay text, as Python refuses to convert very long ones."""


def exact(text: str, *, whole: bool = False) -> Any:
    """The int or float that equals the text exactly, else the text, marked as a number.

    So 1.10 is 1.1, and 0.1000000000000000000001 is not 0.1: a program may read decimals or wider floats.
    """
    if len(text) > _DIGITS:
        return ("number", text)
    if whole:
        return ("number", text) if text.startswith("-") and int(text) == 0 else int(text)
    value = float(text)
    try:
        same = decimal.Decimal(repr(value)) == decimal.Decimal(text)
    except decimal.InvalidOperation:  # exponent out of range for decimals
        same = False
    return value if same and math.isfinite(value) else ("number", text)
