"""Signatures of tree heads: SSH signatures (OpenSSH's PROTOCOL.sshsig), made and checked by ``ssh-keygen -Y``.

A signature covers the three lines of the head, in the namespace `consist-es`, so that a signature made for something
else never passes for a head's.
"""

import subprocess
from pathlib import Path

from consist_es.errors import SignatureError

NAMESPACE = "consist-es"

_PROGRAM = "ssh-keygen"
_SECONDS = 300
"""Seconds to enter a passphrase, or to touch a hardware key."""


def sign(text: str, key: Path) -> str:
    """Sign with an SSH key: a private one, or a public one if the SSH agent has its private half.

    Raises:
        SignatureError: ssh-keygen is missing, or cannot sign with that key.
    """
    done = _run("sign", "-f", str(key), "-n", NAMESPACE, text=text)
    if done.returncode != 0 or not done.stdout:
        raise SignatureError(
            f"Signing with {key} failed: {_said(done)}. Nothing was written. "
            "Give an SSH key that ssh-keygen can use (OpenSSH 8.2 or newer)."
        )
    return done.stdout


def check_signature(text: str, signature: Path, signers: Path) -> str:
    """The signer: the key's name in `signers`, a file in the form of ALLOWED SIGNERS in ssh-keygen(1).

    Raises:
        SignatureError: ssh-keygen is missing, or none of the signers made the signature.
    """
    if not signature.is_file():
        raise SignatureError(
            f"The signature {signature} does not exist. Put it beside its tree head, or go without --signers."
        )
    if not signers.is_file():
        raise SignatureError(f"The file of allowed signers {signers} does not exist. Correct the path.")
    files = ("-s", str(signature), "-f", str(signers))
    done = _run("find-principals", *files, text="")
    if done.returncode != 0:
        raise SignatureError(f"{signature} was not made by a signer that {signers} lists: {_said(done)}.")
    for name in done.stdout.splitlines():
        done = _run("verify", "-n", NAMESPACE, "-I", name, *files, text=text)
        if done.returncode == 0:
            return name
    raise SignatureError(f"{signature} does not match this tree head: {_said(done)}.")


def _run(action: str, *arguments: str, text: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603
            [_PROGRAM, "-Y", action, *arguments],
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise SignatureError(
            f"There is no {_PROGRAM} on this machine: install OpenSSH 8.2 or newer, or go without a signature."
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SignatureError(f"{_PROGRAM} failed: {error}. Check that it works, or go without a signature.") from error


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    """The program's last line of output."""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"
