"""The command line as a laptop has it: its wheel and the packages of its lock, and nothing of the checkout."""

import asyncio
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.integration.cli.command_line import CommandLine, Said

ROOT = Path(__file__).parents[3]
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


def install(folder):
    """Build the wheel and install it into an environment of its own; returns its ``runbook``. Nothing is downloaded."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
    python = folder / "env" / "bin" / "python"
    (wheel,) = (folder / "dist").glob("*.whl")
    quietly = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    run(sys.executable, "-m", "pip", "--python", python, "install", *quietly, wheel)
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    for name in LOCKED.findall((ROOT / "requirements" / "runtime.lock").read_text()):
        link(name, packages)
    return python.with_name("runbook")


def link(name, packages):
    """Link a package of the test environment into another one; a lock also has some that other machines need."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(found.locate_file(top))


def run(*argv):
    subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


class Installed(CommandLine):
    """The installed command line, in a folder that has nothing of the product."""

    def __init__(self, program, folder, of):
        super().__init__(of.address, of.environment, of.client)
        self._program, self._folder = program, folder

    async def __call__(self, *words, user="alice", **environment):
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TEMPORAL", "RUNBOOK", "OTEL", "PYTHON"))
        }
        process = await asyncio.create_subprocess_exec(
            self._program,
            *words,
            cwd=self._folder,
            env=inherited | {"TEMPORAL_ADDRESS": self.address, "RUNBOOK_USER": user} | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert "Traceback" not in err.decode()
        return Said(process.returncode, out.decode(), err.decode())
