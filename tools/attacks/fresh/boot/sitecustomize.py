"""Gives a process of a generated program its own folder of installed packages."""

import os
import site

site.addsitedir(os.environ["FRESH_INSTALLED"])
