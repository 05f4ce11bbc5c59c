"""The programs that a story cannot do without, and how to get those that are not on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Final

PROMETHEUS: Final = "prometheus"
ALERTMANAGER: Final = "alertmanager"
POSTGRESQL: Final = "postgresql"
TERRAFORM: Final = "terraform"
FIXES = {
    PROMETHEUS: "apt-get install prometheus",
    ALERTMANAGER: "apt-get install prometheus-alertmanager",
    POSTGRESQL: "apt-get install postgresql",
    TERRAFORM: "install Terraform or OpenTofu, and put `terraform` or `tofu` on PATH",
}


def missing(needs: tuple[str, ...]) -> list[str]:
    """Name the programs of these that are not on this machine."""
    there = _programs() if needs else {}
    return [name for name in needs if not there.get(name)]


def fix_for(names: list[str]) -> str:
    """Say how to get programs."""
    return "; ".join(f"{name} is not on this machine: {FIXES[name]}" for name in names)


def terraform_program() -> str | None:
    """Return the program that stands for Terraform, the first on PATH."""
    return shutil.which("terraform") or shutil.which("tofu")


def _programs() -> dict[str, str | None]:
    """Ask the sandbox what it would find: it knows where to look."""
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "sandbox", "programs"], capture_output=True, check=True
    )
    found: dict[str, str | None] = json.loads(asked.stdout)
    return found | {TERRAFORM: terraform_program()}
