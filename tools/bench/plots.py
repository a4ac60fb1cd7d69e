"""Plots of the performance pages, as SVG. Needs matplotlib: ``pip install '.[bench]'``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OURS, OTHERS = "#0969da", "#8c959f"
COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df")


def contest(results: dict[str, Any], ours: str, target: Path) -> None:
    """Bars: CPU of a computed step and of a hit, for each library."""
    pyplot = _pyplot()
    rows = results["contestants"]
    names = list(reversed(rows))
    figure, panels = pyplot.subplots(1, 2, figsize=(10, 0.42 * len(names) + 1.2), sharey=True)
    for panel, kind, title in zip(panels, ("miss", "hit"), ("a computed step", "a cache hit"), strict=True):
        values = [rows[name][kind]["mean"] for name in names]
        bars = panel.barh(names, values, color=[OURS if name.startswith(ours) else OTHERS for name in names])
        panel.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
        panel.set_xscale("log")
        panel.set_xlim(min(values) / 2, max(values) * 6)
        panel.set_title(f"{title}: µs of CPU", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    _save(figure, target)


def growth(lengths: list[int], rows: dict[str, list[float]], target: Path) -> None:
    """Lines: CPU of steps by how many runs there are already."""
    pyplot = _pyplot()
    figure, panel = pyplot.subplots(figsize=(7, 3.6))
    for (name, took), colour in zip(rows.items(), COLOURS, strict=False):
        panel.plot(lengths, took, marker="o", label=name, color=colour)
    panel.set_xscale("log")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("earlier runs in the log", fontsize=9)
    panel.set_ylabel("ms of CPU", fontsize=9)
    panel.legend(fontsize=8, frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    _save(figure, target)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("svg")
    # Texts stay texts, and the same figures make the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"})
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, target: Path) -> None:
    figure.tight_layout()
    figure.savefig(
        target, format="svg", facecolor="white", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    _pyplot().close(figure)
    lines = target.read_text(encoding="utf-8").splitlines()
    target.write_text("".join(f"{line.rstrip()}\n" for line in lines), encoding="utf-8")
