"""Engines for the tests of containers: a stand-in for Docker that is a real process, and Podman where it runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

STUB = Path(__file__).with_name("engine_stub.py")
_TOOLS = ("sh", "cat", "cp", "echo", "ls", "id", "env", "sleep", "kill", "true", "false", "mkdir", "touch", "sed", "wc")


class TestEngine:
    """An engine with images that the tests make. Each has a file ``/version``."""

    __test__ = False

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    def tag(self, image: str, version: str) -> str:
        """Let a name mean an image with this version; gives its digest."""
        raise NotImplementedError

    def remove(self, image: str) -> None:
        """Take the image of this name away."""
        raise NotImplementedError

    def running(self) -> list[str]:
        """Names of the containers that run."""
        raise NotImplementedError


class Stub(TestEngine):
    """The stand-in."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__("docker", folder)
        folder.mkdir()
        program = folder / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{STUB}" "$@"\n')
        program.chmod(0o755)
        patch.setenv("ENGINE_STUB", str(folder))
        patch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def _images(self) -> dict[str, str]:
        path = self.folder / "images.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def tag(self, image: str, version: str) -> str:
        digest = f"sha256:{hashlib.sha256(version.encode()).hexdigest()}"
        (self.folder / digest.replace(":", "-")).write_text(version)
        (self.folder / "images.json").write_text(json.dumps({**self._images(), image: digest}))
        return digest

    def remove(self, image: str) -> None:
        images = self._images()
        del images[image]
        (self.folder / "images.json").write_text(json.dumps(images))

    def running(self) -> list[str]:
        return [path.stem.removeprefix("container-") for path in self.folder.glob("container-*.json")]

    def last(self) -> dict[str, object]:
        """What the last container was started with."""
        return dict(json.loads((self.folder / "last.json").read_text()))


class Podman(TestEngine):
    """Podman with a storage of its own, and images made of a busybox."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__("podman", folder)
        folder.mkdir()
        conf = folder / "conf"
        conf.mkdir()
        (conf / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        )
        runtime = next((name for name in ("runc", "crun") if shutil.which(name)), "crun")
        (conf / "containers.conf").write_text(
            '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\nnetns = "none"\n'
            f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        )
        patch.setenv("CONTAINERS_STORAGE_CONF", str(conf / "storage.conf"))
        patch.setenv("CONTAINERS_CONF", str(conf / "containers.conf"))

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Ask Podman something."""
        return subprocess.run(["podman", *words], capture_output=True, text=True, check=False, timeout=120)

    def tag(self, image: str, version: str) -> str:
        root = self.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        (root / "bin").mkdir(parents=True)
        (root / "tmp").mkdir()
        shutil.copy(shutil.which("busybox") or "", root / "bin" / "busybox")
        for tool in _TOOLS:
            (root / "bin" / tool).symlink_to("busybox")
        (root / "version").write_text(version)
        with tarfile.open(self.folder / "root.tar", "w") as tar:
            tar.add(root, ".")
        done = self.ask("import", str(self.folder / "root.tar"), image)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return self.ask("image", "inspect", "--format", "sha256:{{.Id}}", image).stdout.strip()

    def remove(self, image: str) -> None:
        done = self.ask("image", "untag", image)
        assert not done.returncode, done.stderr

    def running(self) -> list[str]:
        return self.ask("ps", "--format", "{{.Names}}").stdout.split()

    def end(self) -> None:
        """Remove all that was made."""
        self.ask("rm", "--all", "--force")
        self.ask("image", "prune", "--all", "--force")

    def problem(self) -> str | None:
        """Why no container can be run here, or None."""
        try:
            self.tag("localhost/probe:1", "probe")
        except RuntimeError as error:
            return str(error)
        done = self.ask("run", "--rm", "localhost/probe:1", "true")
        return done.stderr.strip() or "it failed" if done.returncode else None


def podman_is_missing() -> str | None:
    """Why there is no Podman to try, or None."""
    if shutil.which("podman") is None:
        return "podman is not installed"
    return "there is no busybox to make an image of" if shutil.which("busybox") is None else None
