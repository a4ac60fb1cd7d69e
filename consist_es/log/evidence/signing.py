"""Signatures of tree heads: SSH signatures (OpenSSH's PROTOCOL.sshsig), made and checked by ``ssh-keygen -Y``.

A signature is over the three lines of the head, in the namespace `consist-es`, so that a signature that was made for
something else never passes for one of a head.
"""

import subprocess
from pathlib import Path

from consist_es.errors import SignatureError

NAMESPACE = "consist-es"

_PROGRAM = "ssh-keygen"
_SECONDS = 300
"""Time that somebody has for a passphrase, or to touch a hardware key."""


def sign(text: str, key: Path) -> str:
    """Sign with an SSH key: a private one, or a public one whose private half the SSH agent has.

    Raises:
        SignatureError: there is no ssh-keygen, or it cannot sign with that key.
    """
    done = _run("sign", "-f", str(key), "-n", NAMESPACE, text=text)
    if done.returncode != 0 or not done.stdout:
        raise SignatureError(
            f"Signing with {key} failed: {_said(done)}. Nothing was written. "
            "Give an SSH key that ssh-keygen can use (OpenSSH 8.2 or newer)."
        )
    return done.stdout


def check_signature(text: str, signature: Path, signers: Path) -> str:
    """Who signed: the name that `signers`, a file in the form of ALLOWED SIGNERS in ssh-keygen(1), gives the key.

    Raises:
        SignatureError: there is no ssh-keygen, or no signature of one of the signers.
    """
    if not signature.is_file():
        raise SignatureError(f"There is no signature {signature}.")
    if not signers.is_file():
        raise SignatureError(f"There is no file of allowed signers {signers}.")
    files = ("-s", str(signature), "-f", str(signers))
    done = _run("find-principals", *files, text="")
    if done.returncode != 0:
        raise SignatureError(f"{signature} is of nobody whom {signers} lists: {_said(done)}.")
    for name in done.stdout.splitlines():
        done = _run("verify", "-n", NAMESPACE, "-I", name, *files, text=text)
        if done.returncode == 0:
            return name
    raise SignatureError(f"{signature} does not hold for this head: {_said(done)}.")


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
        raise SignatureError(f"{_PROGRAM} did not do its work: {error}.") from error


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    """The last thing that the program said."""
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1].rstrip(".") if lines else f"exit code {done.returncode}"
