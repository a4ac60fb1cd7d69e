"""What every test needs: nothing but calm property tests. Fixtures live beside the tests that use them."""

import os

from hypothesis import settings

# No deadline: a slow machine is no failure. On CI the same examples every time, so that a red run can be repeated.
settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
settings.load_profile("house")
