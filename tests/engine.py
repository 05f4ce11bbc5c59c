"""A real container engine on a socket of its own: Podman, which speaks the Docker Engine API.

No image is pulled: containers see this machine's programs, read-only, and have everything else to themselves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.types import Ulimit

IMAGE = "localhost/machine:1"
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
FOLDERS = ("usr", "etc", "tmp", "proc", "sys", "dev", "var", "run", "data")
# Where the machine does not let root raise its limits, Podman's own would be refused.
CONFIGURATION = """
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
events_logger = "file"
"""
LIMITS = [Ulimit(name="nofile", soft=1024, hard=1024), Ulimit(name="nproc", soft=1024, hard=1024)]


class Project:
    """A compose project on the engine: containers with the labels that compose gives them."""

    def __init__(self, client: docker.DockerClient, name: str, folder: Path) -> None:
        self.client = client
        self.name = name
        self.folder = folder

    def up(self, service: str, argv: list[str], *, needs: str = "", sees=(), environment=None, **more):
        """Start a container of a service, as ``docker compose up -d`` does; it sees some more folders as they are here."""
        labels = {
            "com.docker.compose.project": self.name,
            "com.docker.compose.service": service,
            "com.docker.compose.depends_on": needs,
            "com.docker.compose.oneoff": "False",
        }
        volumes = {"/usr": {"bind": "/usr", "mode": "ro"}, "/etc": {"bind": "/etc", "mode": "ro"}}
        volumes |= {str(path): {"bind": str(path), "mode": "ro"} for path in sees}
        volumes |= {str(self.folder): {"bind": "/data", "mode": "rw"}}
        return self.client.containers.run(
            IMAGE, argv, detach=True, name=f"{self.name}-{service}-1", labels={**labels, **more.pop("labels", {})},
            network_mode="host", ulimits=LIMITS, volumes=volumes, environment=environment, **more,
        )  # fmt: skip

    def down(self) -> None:
        """Remove all of its containers."""
        for item in self.client.containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self.name}"}
        ):
            item.remove(force=True)


@contextmanager
def an_engine():
    """Run an engine until the end; yields its address."""
    missing = [name for name in ("podman", "runc") if shutil.which(name) is None]
    if missing or os.getuid() != 0:
        pytest.fail(
            f"these tests need a container engine: as root, apt-get install {' '.join(missing) or 'podman runc'}"
        )
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # a socket's path must be short
    (folder / "containers.conf").write_text(CONFIGURATION)
    environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    podman = [
        "podman", "--root", str(folder / "root"), "--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp"),
        "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc",
    ]  # fmt: skip
    _import_image(podman, folder, environment)
    address = f"unix://{folder}/engine.sock"
    with (folder / "log").open("w") as log:
        service = subprocess.Popen(
            [*podman, "system", "service", "--time", "0", address], env=environment, stdout=log, stderr=log
        )
    try:
        _await_answer(service, address, folder)
        yield address
    finally:
        subprocess.run(
            [*podman, "rm", "--all", "--force", "--time", "0"],
            check=False,
            env=environment,
            capture_output=True,
        )
        service.terminate()
        service.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _import_image(podman: list[str], folder: Path, environment: dict[str, str]) -> None:
    root = folder / "image"
    root.mkdir()
    for name in FOLDERS:
        (root / name).mkdir()
    for name, to in LINKS.items():
        (root / name).symlink_to(to)
    subprocess.run(["tar", "-C", root, "-cf", folder / "image.tar", "."], check=True)
    subprocess.run(
        [*podman, "import", folder / "image.tar", IMAGE], check=True, env=environment, capture_output=True
    )


def _await_answer(service: subprocess.Popen, address: str, folder: Path) -> None:
    for _ in range(500):
        try:
            docker.DockerClient(base_url=address, timeout=5).ping()
        except docker.errors.DockerException:
            if service.poll() is not None:
                break
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"podman does not answer: {(folder / 'log').read_text()[-500:]}")


def postgres_command(port: int) -> tuple[list[str], str]:
    """Write what a container runs to be a PostgreSQL server of its own, and the PATH of its tools."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not binaries:
        pytest.fail("these tests need PostgreSQL: apt-get install postgresql")
    here = binaries[-1].parent
    script = (
        f"[ -s /data/pg/PG_VERSION ] || {here}/initdb -D /data/pg -U admin -A trust -N >/dev/null && "
        f"{{ {here}/postgres -D /data/pg -p {port} -k /data -c fsync=off -c max_connections=12 & }} && "
        "server=$! && trap 'kill -INT $server' TERM && wait $server; wait $server; exit 1"
    )
    return ["/bin/sh", "-c", script], f"{here}:/usr/bin:/bin"
