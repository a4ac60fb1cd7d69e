"""The path by which scripts of others know the storage, which lies in `consist_es.system.storage`."""

from consist_es.system.storage import LocalStorage as LocalStorage
from consist_es.system.storage import Storage as Storage
