"""Knows which packages' calls, items and decorators set up nothing that a step can read."""

import functools
import operator
import re
import sys
import types
from typing import Any

from consist_es.identity.live.modules import is_ours

SILENT = {
    "IPython", "_lsprof", "_pytest", "_thread", "argparse", "asyncio", "atexit", "cProfile", "click", "colorama",
    "coloredlogs", "contextlib", "coverage", "docopt", "faulthandler", "fire", "gc", "getpass", "ipykernel",
    "ipywidgets", "line_profiler", "logging", "loguru", "memory_profiler", "pdb", "pprint", "profile", "pstats",
    "psutil", "pyinstrument", "pytest", "rich", "signal", "structlog", "tabulate", "textwrap", "threading", "time",
    "timeit", "tqdm", "traceback", "tracemalloc", "typer", "typing", "unittest", "viztracer", "warnings", "yappi",
    "concurrent", "dask_jobqueue", "dask_mpi", "distributed", "executorlib", "joblib", "loky", "mpi4py",
    "multiprocessing", "parsl", "submitit",
}  # fmt: skip
"""Packages that only talk to people and the operating system, measure what code costs, or choose where it runs."""
_REGISTERING = {"addLevelName", "setLoggerClass", "setLogRecordFactory"}
"""Their calls that change answers a step may use, such as the name of a level."""
_WRITING = {"_csv", "_io", "csv", "io", "json", "pickle", "shutil", "tomllib", "yaml", "zipfile", "tarfile", "pathlib"}
"""Packages that write files; what they register (constructors of YAML) counts."""
_DRAWING = {"altair", "bokeh", "folium", "holoviews", "hvplot", "matplotlib", "mpl_toolkits", "plotly", "seaborn"}
_SYS = {
    "argv", "path", "stdout", "stderr", "stdin", "exit", "excepthook", "settrace", "setprofile", "ps1", "displayhook",
    "set_int_max_str_digits", "setswitchinterval",
}  # fmt: skip
"""Attributes of `sys` that code reads by value, if at all."""
_FILES = {
    "chmod", "copy", "copy2", "copyfile", "copytree", "dump", "link", "makedirs", "mkdir", "move", "remove",
    "removedirs", "rename", "renames", "replace", "rmdir", "rmtree", "save", "savetxt", "savez", "savez_compressed",
    "symlink", "to_csv", "to_excel", "to_feather", "to_file", "to_hdf", "to_json", "to_netcdf", "to_parquet",
    "to_pickle", "to_zarr", "touch",
    "unlink", "utime", "write", "write_bytes", "write_csv", "write_parquet", "write_table", "write_text",
    "writelines", "close", "flush", "display", "tofile", "chdir",
}  # fmt: skip
"""Calls that make, write or remove files: files are inputs, or are seen when read."""
_LIBRARY_VARIABLE = re.compile(
    r"^(ARROW|BLIS|CUDA|GDAL|GEOS|JAX|KERAS|LC|MKL|NUMBA|NUMEXPR|NUMPY|NPY|OMP|OPENBLAS|POLARS|PROJ|PYTHON|RAYON|TF|"
    r"TORCH|VECLIB|XLA)_|^(LANG|PYTHON[A-Z]*|TZ)$|_(NUM_THREADS|SEED|X64)$"
)
"""Variables that libraries read; others are read by code of the project, and their value counts there."""
_HOLDS = re.compile(
    r"option|errstate|localcontext|precision|config|seed|x64|policy|no_grad|inference_mode|patch|rc_context|locale|"
    r"override|enable|disable|default_|settings",
    re.IGNORECASE,
)
_BUILTIN_EFFECTS = {"__import__", "delattr", "eval", "exec", "setattr"}
_SETS = re.compile(
    r"seed|^set|register|option|config|^prec$|constructor|representer|policy|^seterr|^init", re.IGNORECASE
)
_DRAWING_SETS = re.compile(
    r"^(use|rc|rcdefaults|rc_file|rcParams|RcParams|style|set|set_theme|set_style|set_palette|set_context|templates|"
    r"switch_backend|options|defaults?|set_matplotlib_formats|default_renderers)$|register"
)
_DECORATING = {
    "attr", "attrs", "beartype", "cachetools", "click", "dask", "deprecated", "hypothesis", "jax", "jaxlib", "joblib",
    "msgspec", "numba", "numpy", "pandera", "pydantic", "pydantic_core", "pytest", "_pytest", "ray", "retry",
    "tenacity",
    "tensorflow", "toolz", "torch", "tqdm", "typeguard", "typer", "typing_extensions", "wrapt", "equinox", "flax",
}  # fmt: skip
"""Packages with decorators that return what they decorate, in another form, and keep nothing of it."""
_BASES = _DECORATING | {
    "django", "keras", "marshmallow", "pandas", "param", "polars", "pyarrow", "scipy", "sklearn", "traitlets", "xarray",
}  # fmt: skip
_DATA = re.compile(
    r"(builtins|collections|datetime|fractions|numpy|pathlib|uuid|pandas|polars|pyarrow|xarray|geopandas|shapely|"
    r"pandas\.(core|_libs)\..*|polars\..*|pyarrow\..*|xarray\.core\..*|geopandas\..*|shapely\..*)$"
)
"""Modules of types with objects that are plain values."""


# cached: it is asked about the same calls at each step
@functools.lru_cache(maxsize=65536)
def sets_something(package: str, names: tuple[str, ...], *, meant: bool = True) -> bool:
    """True if a call or an assignment may change what other code does.

    `names` lead to it, the called one last. If it is not `meant` for that (its result is used, or it is passed
    results), its name must suggest it.
    """
    last = names[-1] if names else ""
    if package == "builtins":
        return last in _BUILTIN_EFFECTS
    if package == "sys" and set(names) & _SYS:
        return False
    if package in SILENT:
        return last in _REGISTERING
    if package in _DRAWING:
        return any(map(_DRAWING_SETS.search, names))
    if package in _WRITING or not meant:
        return bool(_SETS.search(last))
    return last not in _FILES


def holds_option(names: tuple[str, ...]) -> bool:
    """True if a context manager is named after an option that it sets."""
    return any(map(_HOLDS.search, names[1:] or names))


def sets_library_variable(keys: tuple[str, ...]) -> bool:
    """True if libraries read one of these environment variables, or if none is known."""
    return not keys or any(map(_LIBRARY_VARIABLE.search, keys))


def is_harmless_decorator(package: str, names: tuple[str, ...]) -> bool:
    """True if the decorator registers its function nowhere."""
    if "register" in names[-1].lower() or "extending" in names:
        return False
    return package in _DECORATING or package in sys.stdlib_module_names or package in SILENT


def registers_subclasses(cls: type, own: Any) -> bool:
    """True if an installed package learns of each subclass: by a metaclass, or by `__init_subclass__`."""
    tellers = [base for base in cls.__mro__[1:] if "__init_subclass__" in vars(base)]
    packages = {package_of_value(kind) for kind in (type(cls), *tellers)}
    return any(not own(name) and name not in _BASES and name not in sys.stdlib_module_names for name in packages)


def package_of_value(value: Any) -> str:
    """The top-level package of a value."""
    if isinstance(value, types.ModuleType):
        return value.__name__.partition(".")[0]
    named = getattr(value, "__module__", None) if callable(value) else None
    if not isinstance(named, str):
        owner = getattr(value, "__self__", None)
        named = (
            type(value).__module__ if owner is None or isinstance(owner, types.ModuleType) else type(owner).__module__
        )
    return named.partition(".")[0]


def is_data(value: Any) -> bool:
    """True for a plain value: a change of it is seen by the code that reads it."""
    return (
        _DATA.match(type(value).__module__) is not None
        and not callable(value)
        and not isinstance(value, types.ModuleType)
    )


def is_getter(value: Any) -> bool:
    """True for a callable that only reads an item or attribute of what it is given."""
    return type(value) in (operator.itemgetter, operator.attrgetter)


def is_of_ours(value: Any) -> bool:
    """True for a module, function, class or object of this library."""
    if isinstance(value, types.ModuleType):
        return is_ours(value.__name__)
    named = getattr(value, "__module__", None) if callable(value) else None
    return is_ours(type(value).__module__) or (isinstance(named, str) and is_ours(named))
