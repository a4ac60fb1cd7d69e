"""Loads files into memory: the documented import path of drivers."""

from typing import TYPE_CHECKING, Any

from consist_es.artifacts.drivers.driver import Driver as Driver

if TYPE_CHECKING:
    from consist_es.artifacts.drivers.loading import load as load
    from consist_es.artifacts.drivers.loading import load_df as load_df


def __getattr__(name: str) -> Any:
    if name not in ("load", "load_df"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from consist_es.artifacts.drivers import loading  # with all drivers, which few steps need

    return getattr(loading, name)
