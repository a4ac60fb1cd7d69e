"""A step in a module of its own: what it costs to look at its code depends on nothing else."""

from __future__ import annotations

from pathlib import Path

import consist_es as consist


def step(raw: Path, k: int) -> dict[str, Path]:
    """Write one small file."""
    out = consist.output_path("out", ext="txt")
    out.write_text(f"{k}\n")
    return {"out": out}
