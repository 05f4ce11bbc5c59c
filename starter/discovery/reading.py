"""Starts the program that reads the account, and takes what it found; it is a process of its own, for it speaks with AWS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from runbook_model.catalog.fields import Url
from runbook_model.catalog.prometheus import problem_of_address
from runbook_model.discovered import Discovered, NotDiscovered
from starter.exits import CliError, Exit, bad_input

ANSWER: TypeAdapter[Discovered | NotDiscovered] = TypeAdapter(Discovered | NotDiscovered)

URL: TypeAdapter[str] = TypeAdapter(Url)


def read_account(clusters: Sequence[str], prometheus: str | None) -> Discovered:
    """Read the account of this shell's AWS credentials; how far it is stands on a terminal's stderr.

    Raises:
        CliError: nothing could be read.
    """
    words = [word for cluster in clusters for word in ("--cluster", cluster)]
    if prometheus:
        words += ["--prometheus", _address(prometheus)]
    argv = [sys.executable, "-P", "-m", "activities.discovery", *words]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    try:
        found = ANSWER.validate_json(done.stdout)
    except ValidationError:
        raise CliError(Exit.NOT_DONE, f"the reading program ended with exit code {done.returncode}") from None
    if isinstance(found, NotDiscovered):
        raise bad_input(found.error, found.fix)
    return found


def _address(written: str) -> str:
    if problem := problem_of_address(written.rstrip("/")):
        raise bad_input("--prometheus is not the address alone", problem)
    try:
        return URL.validate_python(written.rstrip("/"))
    except ValidationError:
        raise bad_input(
            "--prometheus is not an address, or has a user and a password in it",
            "write http://prometheus:9090",
        ) from None
