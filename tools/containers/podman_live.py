"""Container steps on a real Podman: ``python3 tools/dev.py external containers``.

Installs Podman, a runtime and a busybox from Debian's packages if they are not there and this is the superuser, and
runs the tests of containers; a Podman that runs no container is a failure here, not a skipped test.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("podman", "runc", "crun", "conmon", "busybox-static")


def have() -> bool:
    """True if the programs are here, or could be installed."""
    if shutil.which("podman") and shutil.which("busybox"):
        return True
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print(f"containers: install {', '.join(PACKAGES)}, and run this again")
        return False
    wanted = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    return subprocess.run(wanted, check=False).returncode == 0


def main() -> int:
    """Run the tests; gives the exit code."""
    if not have():
        return 1
    subprocess.run(["podman", "--version"], check=False)
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "tests/containers"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "CONSIST_ES_NEEDS": "podman"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
