"""A real SLURM of one node on this machine, from Debian's packages, unpacked and not installed.

``with cluster(folder) as environment``: munged, slurmctld and slurmd run until the block ends; `environment` is what
commands need to find them. Needs root, for slurmd changes users, and apt-get.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
CONF = """\
ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
PluginDir={root}/usr/lib/x86_64-linux-gnu/slurm-wlm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why there can be no cluster here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    return None if shutil.which("apt-get") and shutil.which("dpkg") else "needs apt-get and dpkg"


def unpack(folder: Path) -> Path:
    """Download the packages that are not installed here, and unpack them below `folder`."""
    root, kept = folder / "root", folder / "packages"
    if (root / "usr" / "sbin" / "slurmctld-wlm").exists():
        return root
    (kept / "partial").mkdir(parents=True, exist_ok=True)
    options = ["-y", "-qq", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache::archives={kept}"]
    subprocess.run(["apt-get", "install", *options, *PACKAGES], check=True, stdout=subprocess.DEVNULL)
    for package in sorted(kept.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    return root


@contextmanager
def cluster(folder: Path) -> Iterator[Mapping[str, str]]:
    """The cluster, until the block ends."""
    folder = folder.resolve()
    root = unpack(folder)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    host = socket.gethostname().partition(".")[0]
    ports = {"port": free_port(), "node_port": free_port()}
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, root=root, **ports))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    environment = {
        **os.environ,
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{libraries}:{libraries}/slurm-wlm",
    }
    munged = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
    munged += [f"--{what}-file={folder}/munge.{what}" for what in ("pid", "seed", "log")]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        stepd = str(root / "usr" / "sbin" / "slurmstepd-wlm")
        for command in (munged, ["slurmctld-wlm", "-D"], ["slurmd-wlm", "-D", "-N", host, "-d", stepd]):
            out = (folder / f"{command[0]}.out").open("wb")
            daemons.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            time.sleep(1)
        wait_for_node(environment)
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(10)
            daemon.kill()


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def wait_for_node(environment: Mapping[str, str], seconds: float = 60) -> None:
    """Wait until the node takes jobs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        told = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True, check=False)
        if told.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"the node does not come up: {told.stdout}{told.stderr}")
