"""Images by the names that the compose file pins, which hold this machine's programs in place of the official ones.

Each has the entry point, the user and the paths of the official image, as they are in its sources. Those that are made
from Alpine have busybox and nothing else next to their program, so that a health check by a program which the official
image does not have fails here too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.temporal import find_temporal
from tests.integration.one_host.image import (
    DEBIAN,
    DEBIAN_LINKS,
    LIBRARIES,
    SYSTEM_PATH,
    Image,
    postgres_programs,
    program,
)

if TYPE_CHECKING:
    from collections.abc import Callable

STANDING_IN = Path(__file__).parent / "standing_in"
SCHEMAS = "etc/temporal/schema/postgresql/v12"
NEWEST = {"temporal": "v1.19", "visibility": "v1.14"}
"""In the folders of the admin tools 1.31.0."""
TEMPLATES = "/usr/share/prometheus"
"""Where Debian's programs have what the official ones hold in themselves."""
PYTHON = Path(sys.executable).resolve()


def makers() -> dict[str, Callable[[], Image]]:
    """Return how the images of others are made, by their names without the version."""
    return {
        "postgres": _postgres,
        "temporalio/admin-tools": _admin_tools,
        "temporalio/server": _server,
        "temporalio/ui": _ui,
        "prom/prometheus": lambda: _prometheus("prometheus", program("prometheus")),
        "prom/alertmanager": lambda: _prometheus(
            "alertmanager", program("prometheus-alertmanager", "alertmanager")
        ),
        "otel/opentelemetry-collector": _collector,
        "grafana/grafana": _grafana,
    }


def _postgres() -> Image:
    return Image(
        [
            f"ENV PATH={postgres_programs()}:{SYSTEM_PATH}",
            "ENV PGDATA=/var/lib/postgresql/data",
            'ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]',
            'CMD ["postgres"]',
            "VOLUME /var/lib/postgresql/data",
        ],
        files={"usr/local/bin/docker-entrypoint.sh": _script("postgres-entrypoint.sh")},
        folders={"var/lib/postgresql/data": "postgres", "var/run/postgresql": "postgres"},
        links=DEBIAN_LINKS,
        sees={path: path for path in DEBIAN},
    )


def _alpine(instructions: list[str], programs: dict[str, str]) -> Image:
    """Make an image of busybox, and programs of this machine with the libraries that they are linked to."""
    busybox = program("busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"bin/{name}": "busybox" for name in applets if name not in {"busybox", "nc"}}
    return Image(
        instructions,
        files={"bin/busybox": Path(busybox).read_bytes(), "bin/nc": _script("nc")},
        links=links | {"lib": "usr/lib", "lib64": "usr/lib64"},
        sees={path: path for path in LIBRARIES} | programs,
    )


def _admin_tools() -> Image:
    image = _alpine(["USER temporal", 'CMD ["sh", "-c", "sleep infinity"]'], _clients())
    image.files["usr/local/bin/temporal-sql-tool"] = _script("temporal-sql-tool")
    image.files |= {f"{SCHEMAS}/{name}/versioned/{newest}/manifest.json": b"{}" for name, newest in NEWEST.items()}  # fmt: skip
    return image


def _server() -> Image:
    image = _alpine(
        ["USER temporal", "WORKDIR /etc/temporal", 'CMD ["/etc/temporal/entrypoint.sh"]'], _clients()
    )
    image.files["etc/temporal/entrypoint.sh"] = _script("temporal-entrypoint.sh")
    image.files["usr/local/bin/temporal-server"] = _script("temporal-server")
    return image


def _clients() -> dict[str, str]:
    return {
        "/usr/local/bin/temporal": str(find_temporal()),
        "/usr/local/bin/psql": str(postgres_programs() / "psql"),
    }


def _prometheus(name: str, path: str) -> Image:
    seen = {f"/bin/{name}": path} | ({TEMPLATES: TEMPLATES} if Path(TEMPLATES).exists() else {})
    instructions = ["USER nobody", f"WORKDIR /{name}", f'ENTRYPOINT ["/bin/{name}"]', f"VOLUME /{name}"]
    image = _alpine(instructions, seen)
    image.folders = {name: "nobody"}
    return image


def _ui() -> Image:
    return _service("ui", "home/ui-server/start-ui-server.sh", "temporal")


def _grafana() -> Image:
    image = _service("grafana", "run.sh", "grafana")
    image.folders = {"var/lib/grafana": "grafana"}
    return image


def _collector() -> Image:
    """Make an image without a shell."""
    image = _service("collector", "otelcol", "10001:10001")
    image.links = {name: target for name, target in image.links.items() if name.startswith("lib")}
    image.files = {"otelcol": image.files["otelcol"]}
    return image


def _service(role: str, entry: str, user: str) -> Image:
    """Make an image of what this machine has no program of; a Python that is not on the path runs it."""
    image = _alpine([f"USER {user}", f'ENTRYPOINT ["{PYTHON}", "/{entry}", "{role}"]'], python())
    image.files[entry] = _script("service.py")
    return image


def python() -> dict[str, str]:
    """Return what a container must see to run the Python that runs this."""
    ours = str(PYTHON) if sys.base_prefix == "/usr" else sys.base_prefix
    return {ours: ours}


def _script(name: str) -> bytes:
    return (STANDING_IN / name).read_bytes()
