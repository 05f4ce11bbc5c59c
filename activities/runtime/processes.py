"""Child processes that never outlive us, end in order when they can, and get only what is named here of our environment."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

NEEDED = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    }
)  # fmt: skip
"""What every program needs to run and to reach others; proxies in small letters too."""

OUR_AWS_FILES = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
"""Files of our home folder that say who we are to AWS, which a program with another home would not find."""


def start_child(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    dies_with_us_by: signal.Signals = signal.SIGKILL,
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own; on Linux the kernel ends it when we die.

    The kernel watches the *thread* that starts the child, so that thread must live as long as the child may: call from
    the main thread, or from one that waits for the child.

    Args:
        argv: the program and its arguments; no shell is involved.
        environment: all of its environment; ours when None.
        stdin: where it reads from; nothing by default.
        stdout: where it writes to; our own by default.
        stderr: where it complains to; our own by default.
        dies_with_us_by: the signal that it gets when we die. One that is to end in order must not write to a pipe of
            ours: its next word would end it by SIGPIPE instead.
        directory: where it runs; our own by default.
    """
    return subprocess.Popen(
        argv,
        env=environment,
        cwd=directory,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # a terminal's Ctrl-C reaches us only; we end the rest in order
        preexec_fn=_tie(dies_with_us_by),  # noqa: PLW1509 - does no more than prctl, which is safe after a fork
    )


def stop_child(process: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """Ask a child to end with SIGTERM, end its group with SIGKILL when it does not, and return its exit code."""
    send(process, signal.SIGTERM)
    try:
        return process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        return kill_child(process)


def kill_child(process: subprocess.Popen[bytes]) -> int:
    """End a child and its group with SIGKILL, as a crash would, and return its exit code."""
    send(process, signal.SIGKILL)
    return process.wait()


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a child's process group; one that is gone needs none."""
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _tie(number: signal.Signals) -> Callable[[], None]:
    us = os.getpid()

    def tie() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != us:  # we died before the kernel was asked to watch us
            os._exit(1)

    return tie


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
