"""Loads files into memory: the documented import path of drivers."""

from consist_es.artifacts.drivers.driver import Driver as Driver
from consist_es.artifacts.drivers.loading import load as load
from consist_es.artifacts.drivers.loading import load_df as load_df
