"""A sandbox with its worker and its webhook, as child processes that end with us."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from activities.runtime.encryption import KEYS as KEYS_OF_CODEC
from activities.runtime.processes import start_child, stop_child
from starter.exits import CliError, Exit
from starter.processes.managed_process import ManagedProcess, make_keys, ours
from starter.webhook.guard import TOKEN

OURS = ("TEMPORAL_", "AWS_", "RUNBOOK_", "DOCKER_")
"""What a person's shell may point at the real world with; none of it reaches a sandbox."""
KEYS = ("temporal", "ui", "aws", "service", "prometheus", "catalog", "env")
ALERTS = ("alertmanager", "slack")
SANDBOX_GRACE_SECONDS = 15.0
SIGNERS = ("alice", "bob", "carol")
"""Who signs decisions in prod, where they are signed."""
PORTS = range(20_000, 32_000)
"""Below the range from which Linux takes the ports of outgoing connections."""


class World:
    """A sandbox of our own. Call from the main thread, whose end the children do not survive."""

    def __init__(
        self,
        *,
        alerts: bool = False,
        encrypted: bool = False,
        signed: bool = False,
        strategies: bool = False,
    ) -> None:
        """Prepare it.

        Args:
            alerts: whether its Prometheus is to fire the product's rules, and its Alertmanager to call our webhook.
            encrypted: whether histories are to be encrypted, by a key of this world's own, and decrypted for its UI.
            signed: whether decisions in prod are to be signed, by keys of this world's own.
            strategies: whether there is to be a service whose deployments shift traffic.
        """
        self._strategies = strategies
        self._signed = signed
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._processes: dict[str, ManagedProcess] = {}
        self._all: dict[str, Any] = {}
        self._kept = _keep_port() if alerts else None
        self._listen = _address(self._kept) if self._kept else None
        self._kept_for_codec = _keep_port() if encrypted else None
        self._token = secrets.token_urlsafe(24) if alerts else None

    @property
    def addresses(self) -> dict[str, Any]:
        """What the contract says that ``up --json`` prints; with alerts also Alertmanager, the webhook and Slack.

        Where histories are encrypted also the codec server, and with strategies the services that are there for them.
        """
        found = {key: self._all[key] for key in KEYS}
        if self._strategies:
            found |= {"services": self._all["services"]}
        if self.codec:
            found |= {"codec": self.codec}
        if self.webhook:
            found |= {**{key: self._all[key] for key in ALERTS}, "webhook": self.webhook}
        return found

    @property
    def codec(self) -> str | None:
        """Where our codec server answers, without trailing slash; None in a world whose histories are plain."""
        return f"http://{_address(self._kept_for_codec)}" if self._kept_for_codec else None

    @property
    def webhook(self) -> str | None:
        """Where our webhook answers, without trailing slash; None in a world without alerts."""
        return f"http://{self._listen}" if self._listen else None

    @property
    def keys(self) -> Path | None:
        """The folder of the keys that people sign with, each by the name of its person; None where nobody signs."""
        return Path(self._all["folder"]) / "keys" if self._signed else None

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything that talks to this world."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        return {**inherited, **self._all["env"], **self._secrets}

    @property
    def worker_log(self) -> Path:
        """Where the worker writes."""
        return self._log("worker")

    def start(self, *options: str, worker: bool = False) -> None:
        """Start the sandbox and wait until it is ready.

        Args:
            options: more options of it.
            worker: whether to start a worker too, as soon as Temporal answers.

        Raises:
            CliError: it ended instead; it said why on stderr.
        """
        wishes = ["--announce", *options]
        if self.webhook:
            wishes += ["--alertmanager-webhook", f"{self.webhook}/alerts"]
        if self._strategies:
            wishes += ["--strategies"]
        if self.codec:
            wishes += ["--ui-codec", self.codec]
        if self._signed:
            wishes += ["--signed", ",".join(SIGNERS)]
        self._sandbox = start_child(
            [sys.executable, "-P", "-m", "sandbox", "up", "--json", "--until-stdin-closes", *wishes],
            environment=os.environ | self._secrets,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            dies_with_us_by=signal.SIGTERM,  # it has children of its own to end
        )
        self._all = json.loads(self._next_line(self._sandbox))
        self._all["env"].setdefault("RUNBOOK_UI", self._all["ui"])
        if self.codec:
            self._all["env"][KEYS_OF_CODEC] = f"sandbox {b64encode(secrets.token_bytes(32)).decode()}"
            self._start("codec", "starter", "codec", "--listen", self.codec.removeprefix("http://"))
        if self.keys:
            self._all["env"]["RUNBOOK_SIGNERS"] = str(make_keys(self.keys, SIGNERS))
        if worker:
            self.start_worker()
        self._next_line(self._sandbox)

    def start_worker(self) -> None:
        """Start a worker and wait until it is ready.

        Raises:
            CliError: it ended instead, or is not ready in time.
        """
        self._start("worker", "worker")

    def kill_worker(self) -> None:
        """End the worker with SIGKILL, as a crash would."""
        self._processes["worker"].kill()

    def start_webhook(self) -> None:
        """Start the webhook that Alertmanager calls, and wait until it is ready.

        Raises:
            CliError: it ended instead, or is not ready in time.
        """
        assert self._listen is not None, "a sandbox without alerts has no webhook"
        self._start("webhook", "starter", "webhook", "--listen", self._listen)

    def kill_webhook(self) -> None:
        """End the webhook with SIGKILL, as a crash would."""
        self._processes["webhook"].kill()

    def check(self) -> None:
        """Raise when a part has ended by itself.

        Raises:
            CliError: with its exit code, and its last words where it has a log.
        """
        for why in self.lost():
            raise CliError(Exit.NOT_DONE, why)

    def lost(self) -> list[str]:
        """Say of what runs next to the sandbox that it has ended by itself, once each.

        Raises:
            CliError: the sandbox itself has ended.
        """
        if self._sandbox is not None and (code := self._sandbox.poll()) is not None:
            raise CliError(Exit.NOT_DONE, f"the sandbox ended unexpectedly (exit code {code})")
        return list(filter(None, (program.lost() for program in self._processes.values())))

    def end(self) -> None:
        """End what runs next to the sandbox, then the sandbox, each in order."""
        for program in reversed(self._processes.values()):
            program.stop()
        if self._sandbox is not None:
            assert self._sandbox.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it is gone already
                self._sandbox.stdin.close()
            stop_child(self._sandbox, SANDBOX_GRACE_SECONDS)
        for kept in (self._kept, self._kept_for_codec):
            if kept is not None:
                kept.close()

    def _next_line(self, sandbox: subprocess.Popen[bytes]) -> bytes:
        assert sandbox.stdout is not None
        line: bytes = sandbox.stdout.readline()
        if not line:
            code = sandbox.wait()
            raise CliError(Exit.NOT_DONE, f"the sandbox ended before it was ready (exit code {code})")
        return line

    def _start(self, name: str, *words: str) -> None:
        program = self._processes.setdefault(name, ManagedProcess(name, ours(*words), self._log(name)))
        program.start(self.environment)

    def _log(self, name: str) -> Path:
        return Path(self._all["folder"]) / f"{name}.log"

    @property
    def _secrets(self) -> dict[str, str]:
        return {TOKEN: self._token} if self._token else {}


def _address(kept: socket.socket) -> str:
    return f"127.0.0.1:{kept.getsockname()[1]}"


def _keep_port() -> socket.socket:
    """Take a loopback port that nobody has, for a child that listens there and may be away at times."""
    kept = socket.socket()
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError):
            kept.bind(("127.0.0.1", port))
            # Set only now: nobody else's port is shared, and ours only with who asks to share it, as servers do.
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return kept
    raise CliError(
        Exit.NOT_DONE, f"no free port between {PORTS[0]} and {PORTS[-1]}", "end what listens there"
    )
