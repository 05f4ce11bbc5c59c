"""Stands in for what this machine has no program of: only that it is there, on its port, given what the file gives it."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TRACES = "/v1/traces"
taken = {TRACES: 0}


class Answering(BaseHTTPRequestHandler):
    """Answers the paths of one port by GET, and takes traces where it is a collector's."""

    paths: tuple[str, ...]

    def do_GET(self) -> None:
        """Answer; with figures where Prometheus asks."""
        if self.path not in self.paths:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f"otelcol_receiver_requests_total {taken[TRACES]}\n".encode())

    def do_POST(self) -> None:
        """Take what is sent."""
        if self.path not in self.paths:
            self.send_error(404)
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        taken[self.path] += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve(*listening: tuple[int, tuple[str, ...]]) -> None:
    """Answer on some ports until the end."""
    for port, paths in listening:
        answering = type("Paths", (Answering,), {"paths": paths})
        server = ThreadingHTTPServer(
            ("", port), answering
        )  # whoever is not on this host's network cannot reach it
        threading.Thread(target=server.serve_forever).start()


def ui() -> None:
    """Answer whoever asks how the UI is, once Temporal is there to be shown."""
    host, _, port = os.environ["TEMPORAL_ADDRESS"].partition(":")
    socket.create_connection((host, int(port)), timeout=5).close()
    assert os.environ["TEMPORAL_DEFAULT_NAMESPACE"]
    serve((8080, ("/healthz",)))


def grafana() -> None:
    """Answer whoever asks how Grafana is, once what it is given can be read."""
    assert Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text().strip()
    assert Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).read_text()
    assert list(Path("/etc/grafana/provisioning/datasources").glob("*.yml"))
    serve((3000, ("/api/health",)))


def collector() -> None:
    """Take traces, and count them; end where the configuration names a variable that is not there."""
    (option,) = sys.argv[2:]
    configuration = Path(option.removeprefix("--config=")).read_text()
    named = re.findall(r"\$\{env:(\w+)\}", configuration)
    assert named
    assert [name for name in named if name not in os.environ] == []
    serve((4318, (TRACES,)), (8888, ("/metrics",)))


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container has to say so itself
{"ui": ui, "grafana": grafana, "collector": collector}[sys.argv[1]]()
