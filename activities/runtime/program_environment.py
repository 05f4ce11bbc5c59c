"""What other programs get of our environment: what is named here, and nothing else. Our secrets are not among it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

NEEDED = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    }
)  # fmt: skip
"""What every program needs to run and to reach others; proxies in small letters too."""
OUR_AWS_FILES = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
"""Files of our home folder that say who we are to AWS, which a program with another home would not find."""


def program_environment(
    ours: Mapping[str, str],
    home: Path,
    *,
    passed: Callable[[str], bool] = lambda _: False,
    ssh_key_file: str | None = None,
) -> dict[str, str]:
    """Make the environment of a program.

    Args:
        ours: our own.
        home: its home folder: nothing in ours is its business.
        passed: which variables it gets beyond what every program needs.
        ssh_key_file: the only key that git, where the program runs it, uses over SSH; by default what SSH finds.
    """
    kept = {name: value for name, value in ours.items() if _is_needed(name) or passed(name)}
    return {"HOME": str(home), **_git(ssh_key_file), **kept}


def our_aws_files(ours: Mapping[str, str]) -> dict[str, str]:
    """Name the files of AWS in our own home folder, where no variable does, for a program that works as we do."""
    folder = Path(ours["HOME"]) / ".aws" if ours.get("HOME") else None
    found = {name: folder / file for name, file in OUR_AWS_FILES.items() if folder and name not in ours}
    return {name: str(path) for name, path in found.items() if path.exists()}


def _is_needed(name: str) -> bool:
    return name.upper() in NEEDED or name.startswith("LC_")


def _git(key: str | None) -> dict[str, str]:
    """Let git ask nobody, and take addresses of the usual kinds only: others name programs to run."""
    only = (
        f" -oIdentitiesOnly=yes -oIdentityAgent=none -i {shlex.quote(str(Path(key).expanduser()))}"
        if key
        else ""
    )
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": f"ssh -oBatchMode=yes{only}",
    }
