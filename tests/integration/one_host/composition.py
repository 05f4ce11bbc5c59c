"""Reads a compose file as ``docker compose`` does, into what the engine is asked for.

Only what the product's own file says is understood: a key that is not known here is an error, so nothing of the file is
passed over in silence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<operator>[-+])(?P<word>[^}]*))?\}|(?P<wrong>.?))"
)
DURATION = re.compile(r"(?P<number>\d+)(?P<unit>s|m)")
SECOND = 10**9
"""In the nanoseconds that the engine counts in."""
MEMORY = {"m": 1024**2, "g": 1024**3}
BUILT = {"build"}
"""Keys that say how an image is made; here it is made before."""


@dataclass(frozen=True)
class Wait:
    """What must be so of another service before one may start."""

    service: str
    condition: str


@dataclass(frozen=True)
class Service:
    """A service, and what the engine is asked for to have it."""

    name: str
    image: str
    replicas: int
    waits: tuple[Wait, ...]
    more_networks: tuple[str, ...]
    """Those that it is on next to the first."""
    configuration: dict[str, Any]

    @property
    def is_checked(self) -> bool:
        """Whether it says how healthy it is."""
        return "Healthcheck" in self.configuration


class Composition:
    """A compose file with its variables filled in."""

    def __init__(self, file: Path, variables: dict[str, str]) -> None:
        self.folder = file.parent
        self._variables = variables
        written = self._filled(yaml.safe_load(file.read_text()))
        self.name = _take(written, "name")
        self.volumes = [f"{self.name}_{volume}" for volume in _take(written, "volumes")]
        self.networks = {
            name: _is_internal(name, network) for name, network in _take(written, "networks").items()
        }
        """Each network, and whether it leads nowhere else."""
        self._secrets = _take(written, "secrets")
        # No profile is asked for.
        services = {name: item for name, item in _take(written, "services").items() if "profiles" not in item}
        _nothing_left({key: value for key, value in written.items() if not key.startswith("x-")}, "the file")
        self.services = {name: self._service(name, dict(service)) for name, service in services.items()}

    def network(self, name: str) -> str:
        """What the engine calls a network of the file."""
        assert name in self.networks
        return f"{self.name}_{name}"

    def _filled(self, node: Any) -> Any:
        """Fill in variables, as they are written in values."""
        if isinstance(node, dict):
            return {key: self._filled(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self._filled(value) for value in node]
        return VARIABLE.sub(self._value, node) if isinstance(node, str) else node

    def _value(self, found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if not found["name"]:
            raise ValueError(f"no variable starts like this: {found.string}")
        value = self._variables.get(found["name"], "")
        if found["operator"] == "+":
            return found["word"] if value else ""
        return value or found["word"] or ""

    def _service(self, name: str, written: dict[str, Any]) -> Service:
        deploy = dict(written.pop("deploy"))
        networks = tuple(self.network(network) for network in _take(written, "networks"))
        host = {
            **_limits(deploy.pop("resources")),
            **self._mounts(written),
            **_privileges(written),
            **_restart(_take(written, "restart")),
            "PortBindings": _ports(written.pop("ports", ())),
            "NetworkMode": networks[0],
        }
        replicas = deploy.pop("replicas", 1)
        _nothing_left(deploy, f"{name}.deploy")
        waits = written.pop("depends_on", {})
        configuration = {
            "Image": (image := _take(written, "image")),
            "Env": self._environment(written),
            "Labels": {"com.docker.compose.project": self.name, "com.docker.compose.service": name},
            "ExposedPorts": {port: {} for port in host["PortBindings"]},
            "HostConfig": host,
            "NetworkingConfig": {"EndpointsConfig": {networks[0]: {"Aliases": [name]}}},
            **({"User": written.pop("user")} if "user" in written else {}),
            **_commands(written),
        }
        if check := written.pop("healthcheck", None):
            configuration["Healthcheck"] = _health(dict(check))
        if grace := written.pop("stop_grace_period", None):
            configuration["StopTimeout"] = _duration(grace) // SECOND
        _nothing_left({key: value for key, value in written.items() if key not in BUILT}, name)
        needs = tuple(Wait(other, wait["condition"]) for other, wait in waits.items())
        return Service(name, image, replicas, needs, networks[1:], configuration)

    def _environment(self, written: dict[str, Any]) -> list[str]:
        """Take what files say, and over it what the service says; what has no value is handed on where it has one."""
        values: dict[str, str | None] = {}
        for file in written.pop("env_file", ()):
            path = self.folder / file["path"]
            if path.exists() or file["required"]:
                values |= read_variables(path)
        values |= written.pop("environment", {})
        values |= {name: self._variables.get(name) for name, value in values.items() if value is None}
        return [f"{name}={value}" for name, value in values.items() if value is not None]

    def _mounts(self, written: dict[str, Any]) -> dict[str, Any]:
        binds = []
        for volume in written.pop("volumes", ()):
            source, _, rest = volume.partition(":")
            outside = (self.folder / source).resolve() if source[0] in "./" else None
            if outside and not outside.exists():
                raise ValueError(f"{outside} is to be mounted, but is not there")
            binds.append(f"{outside or f'{self.name}_{source}'}:{rest}")
        for secret in written.pop("secrets", ()):
            file = (self.folder / self._secrets[secret]["file"]).resolve(strict=True)
            binds.append(f"{file}:/run/secrets/{secret}:ro")
        return {"Binds": binds, "Tmpfs": dict(_mounted(item) for item in written.pop("tmpfs", ()))}


def read_variables(file: Path) -> dict[str, str]:
    """Read the lines of an .env file that set something."""
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


def _mounted(tmpfs: str) -> tuple[str, str]:
    path, _, options = tmpfs.partition(":")
    return path, options


def _is_internal(name: str, network: dict[str, Any] | None) -> bool:
    said = dict(network or {})
    internal = said.pop("internal", False)
    _nothing_left(said, f"networks.{name}")
    return internal


def _take(written: dict[str, Any], key: str) -> Any:
    return written.pop(key)


def _nothing_left(left: dict[str, Any], where: str) -> None:
    if left:
        raise ValueError(f"{where} says {', '.join(left)}, which this reader does not know")


def _commands(written: dict[str, Any]) -> dict[str, Any]:
    """An entry point of the service's own leaves nothing of the image's command."""
    commands = {"Cmd": written.pop("command", None), "Entrypoint": written.pop("entrypoint", None)}
    return {key: value for key, value in commands.items() if value is not None}


def _limits(resources: dict[str, Any]) -> dict[str, int]:
    (limits,) = resources.values()
    memory = limits["memory"]
    return {
        "NanoCpus": int(float(limits["cpus"]) * SECOND),
        "Memory": int(memory[:-1]) * MEMORY[memory[-1]],
    }


def _privileges(written: dict[str, Any]) -> dict[str, Any]:
    return {
        "ReadonlyRootfs": written.pop("read_only", False),
        "CapDrop": written.pop("cap_drop", []),
        "SecurityOpt": written.pop("security_opt", []),
    }


def _restart(policy: str) -> dict[str, Any]:
    name, _, times = policy.partition(":")
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": int(times or 0)}}


def _ports(ports: Any) -> dict[str, list[dict[str, str]]]:
    published = {}
    for port in ports:
        address, outside, inside = port.rsplit(":", 2)
        published[f"{inside}/tcp"] = [{"HostIp": address, "HostPort": outside}]
    return published


def _health(check: dict[str, Any]) -> dict[str, Any]:
    health = {
        "Test": check.pop("test"),
        "Retries": check.pop("retries"),
        "Interval": _duration(check.pop("interval")),
        "Timeout": _duration(check.pop("timeout")),
        "StartPeriod": _duration(check.pop("start_period")),
    }
    _nothing_left(check, "a health check")
    return health


def _duration(text: str) -> int:
    parts = DURATION.fullmatch(text)
    if not parts:
        raise ValueError(f"not a duration: {text}")
    return int(parts["number"]) * {"s": 1, "m": 60}[parts["unit"]] * SECOND
