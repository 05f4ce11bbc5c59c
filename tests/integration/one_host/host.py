"""A host of its own with a real Docker engine, in namespaces of this machine: nothing of it is seen from outside.

Processes, mounts and the network are apart: what it publishes on loopback is on a loopback of its own, and whatever it
started ends with it. Only its folder and its control groups are this machine's, and both are removed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import psutil
import pytest

if TYPE_CHECKING:
    from docker.models.containers import Container

PACKAGES = {
    "dockerd": "docker.io",
    "containerd": "containerd",
    "busybox": "busybox",
    "tini": "tini",
    "ip": "iproute2",
}
RESOLVER = Path(__file__).parent / "standing_in/resolver.py"
CONTROL_GROUPS = Path("/sys/fs/cgroup")
# It ends with the process that runs the test, however that ends.
APART = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
]
# What the engine writes outside of its folder goes to memory. The shell stays: the first process takes care of orphans.
BOOT = """
ip link set lo up
mount -t tmpfs none /run
for name in etc opt; do
    mkdir -p /run/over/$name/upper /run/over/$name/work
    mount -t overlay -o lowerdir=/$name,upperdir=/run/over/$name/upper,workdir=/run/over/$name/work none /$name
done
rm -f /etc/resolv.conf
echo nameserver 127.0.0.1 >/etc/resolv.conf
{python} {resolver} &
dockerd --data-root={folder}/data --exec-root=/run/docker --pidfile=/run/docker.pid --host=unix://{folder}/docker.sock \
    --bridge=none --cgroup-parent=/{folder.name} --oom-score-adjust=0 --log-level=warn &
wait
"""


class Host:
    """The host while it runs."""

    def __init__(self, address: str, first_process: int, name: str) -> None:
        self.docker = docker.DockerClient(base_url=address, timeout=120)
        self._first_process = first_process
        self._name = name

    def memory_limit(self, container: Container) -> int:
        """Bytes that the kernel lets a container have."""
        group = f"{self._name}/{container.id}"
        first, second = CONTROL_GROUPS / "memory" / group, CONTROL_GROUPS / group
        file = first / "memory.limit_in_bytes" if first.exists() else second / "memory.max"
        return int(file.read_text())

    def run(self, *argv: str) -> str:
        """Run a program of this machine on the host's own network; returns what it printed."""
        entering = ["nsenter", f"--target={self._first_process}", "--net", "--"]
        done = subprocess.run([*entering, *argv], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def a_host():
    """Have a host until the end."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if missing or os.getuid() != 0:
        pytest.fail(
            f"this test needs an engine: as root, run `make set-up` or apt-get install {' '.join(missing) or 'docker.io'}"
        )
    folder = Path(tempfile.mkdtemp(prefix="host-"))  # a socket's path must be short
    address = f"unix://{folder}/docker.sock"
    boot = BOOT.format(folder=folder, python=sys.executable, resolver=RESOLVER)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*APART, "sh", "-euc", boot], stdout=log, stderr=log)
    try:
        _await_answer(process, address, folder / "log")
        yield Host(address, psutil.Process(process.pid).children()[0].pid, folder.name)
    finally:
        process.kill()
        process.wait(10)
        _remove_control_groups(folder.name)
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(process: subprocess.Popen, address: str, log: Path) -> None:
    for _ in range(600):
        try:
            docker.DockerClient(base_url=address, timeout=5).ping()
        except docker.errors.DockerException:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"dockerd does not answer: {log.read_text()[-1000:]}")


def _remove_control_groups(name: str) -> None:
    for tree in (*CONTROL_GROUPS.glob(name), *CONTROL_GROUPS.glob(f"*/{name}")):
        for group, *_ in os.walk(tree, topdown=False):
            for _ in range(50):  # a process that was killed leaves its group a moment later
                try:
                    Path(group).rmdir()
                except OSError:
                    time.sleep(0.05)
                else:
                    break
