"""The image of deploy/Dockerfile, made without a registry: its last stage, on this machine's programs.

What the Dockerfile installs on its base is this machine's; what it copies, sets and runs is read from it, and Python's
packages are those of the lock that it installs, and no others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.one_host.image import DEBIAN, DEBIAN_LINKS, SYSTEM_PATH, Image
from tests.integration.one_host.images import python

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TAKEN = ("ENV ", "WORKDIR ", "USER ", "ENTRYPOINT ", "CMD ")
OWN = ("var/lib/runbooks", "var/lib/runbooks/plans", "var/lib/runbooks/reviews")
"""Folders that the Dockerfile makes for the product's user."""


def product(packages: Path) -> Image:
    """Make the image, with the packages that are in a folder."""
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    lines = text[text.rindex("\nFROM ") :].splitlines()
    image = Image(
        [line.replace("$PATH", SYSTEM_PATH) for line in lines if line.startswith(TAKEN)],
        folders=dict.fromkeys(OWN, "runbooks"),
        links=DEBIAN_LINKS,
        sees={path: path for path in DEBIAN} | python() | {"/opt/runbooks": str(packages)},
    )
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            *sources, to = [word for word in line.split()[1:] if not word.startswith("--")]
            copied = {path: content for source in sources for path, content in _copied(ROOT / source, to)}
            image.files |= copied
            image.plain |= set() if "--chmod=755" in line else copied.keys()
    if terraform := shutil.which("terraform"):
        image.sees["/usr/local/bin/terraform"] = terraform
    return image


def _copied(source: Path, to: str) -> Iterator[tuple[str, bytes]]:
    within = f"{to}{source.name}" if to.endswith("/") else to
    target = os.path.normpath(f"/app/{within}" if not within.startswith("/") else within).removeprefix("/")
    if source.is_file():
        yield target, source.read_bytes()
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"{target}/{path.relative_to(source)}", path.read_bytes()


def install_packages(folder: Path) -> None:
    """Install what the lock of the image names."""
    lock = str(ROOT / "requirements/runtime.lock")
    for words in (
        ("venv", "--quiet", "--python", sys.executable, str(folder)),
        ("pip", "sync", "--quiet", "--python", str(folder / "bin/python"), "--require-hashes", lock),
    ):
        uv = Path(sys.executable).with_name("uv")
        done = subprocess.run([uv, "--system-certs", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"uv cannot install the packages of the image: {done.stderr[-500:]}")
