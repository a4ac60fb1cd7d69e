"""Old import path, for users' scripts, of the storage in `consist_es.system.storage`."""

from consist_es.system.storage import LocalStorage as LocalStorage
from consist_es.system.storage import Storage as Storage
