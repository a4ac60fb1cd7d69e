"""Lets code that imports this library by another name run as it is: `install_as`."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from consist_es.api.lbnl_names import MODULES
from consist_es.errors import UsageError

_OURS, _ROOM = "consist_es", "consist_es.lbnl"


def install_as(name: str = "consist") -> ModuleType:
    """Make ``import NAME`` and imports from its submodules give this library, in this process; returns the module.

    Call it before anything imports that name, for example in the package's ``__init__.py`` or in ``conftest.py``. The
    submodules are those that users of LBNL's consist import; they hold names of this library.

    Raises:
        UsageError: not a name of a module, or another module of that name is loaded.
    """
    if not isinstance(name, str) or not name.isidentifier() or name == _OURS:
        raise UsageError(f"install_as() takes the name of a module, such as 'consist', not {name!r}.")
    ours = importlib.import_module(_OURS)
    loaded = sys.modules.get(name)
    if loaded is not None and loaded is not ours:
        where = getattr(loaded, "__file__", None) or "a module without a file"
        raise UsageError(f"install_as({name!r}): {where} is loaded under that name. Call it before that is imported.")
    if not any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(name))
    sys.modules[name] = ours
    return ours


class _Finder(MetaPathFinder, Loader):
    """Finds the submodules of a name in `consist_es.lbnl`; nothing else of this library has a second name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self.name:
            return ModuleSpec(fullname, self)
        if not fullname.startswith(f"{self.name}."):
            return None
        below = fullname[len(self.name) :]
        found = importlib.util.find_spec(_ROOM + below)
        if found is None:
            known = MODULES.get(below[1:])
            remedy = f" Instead: {known}." if known else " `python -m consist_es.port PATH` lists what is provided."
            raise ModuleNotFoundError(f"consist_es provides no module {fullname!r}.{remedy}", name=fullname)
        return ModuleSpec(fullname, self, is_package=found.submodule_search_locations is not None)

    def exec_module(self, module: ModuleType) -> None:
        """Put the module of ours where the import system looks for what was loaded."""
        below = module.__name__[len(self.name) :]
        sys.modules[module.__name__] = importlib.import_module(_ROOM + below if below else _OURS)
