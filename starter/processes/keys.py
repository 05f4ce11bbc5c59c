"""Makes keys on the spot, for a sandbox in which decisions are signed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from starter.exits import CliError, Exit


def make_keys(folder: Path, people: Iterable[str]) -> Path:
    """Make a key for each person, without passphrase, and return the file that says whose they are.

    Keys that are there already stay as they are.

    Raises:
        CliError: there is no ssh-keygen, or it failed.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = []
    for person in people:
        key = folder / person
        if not key.exists():
            _make(key, person)
        kind, public, *_ = key.with_name(f"{person}.pub").read_text().split()
        lines.append(f"{person} {kind} {public}\n")
    signers = folder / "allowed_signers"
    signers.write_text("".join(lines))
    return signers


def _make(key: Path, person: str) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(key)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CliError(
            Exit.NOT_DONE, "ssh-keygen is not on this machine", "install OpenSSH's client"
        ) from None
    if made.returncode != 0:
        raise CliError(Exit.NOT_DONE, f"ssh-keygen made no key: {made.stderr.strip()}")
