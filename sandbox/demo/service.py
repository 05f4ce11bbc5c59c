"""The demo service ``ai-processor``: one process per task, started as ``python -m sandbox.demo.service``.

Environment: ``PORT`` (required), ``SERVICE_VERSION``, ``AI_PROCESSOR_DSN`` for its database, and the ``FAULT_*`` variables of ``sandbox.demo.database``.
Only ``POST /api/v1/process`` and unknown paths count in the metrics: health checks and scrapes would water
down the error rate.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import NoReturn, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from sandbox.demo.database import Database, FaultError, Faults, faults_from
from sandbox.postgres.wire import DatabaseError

PROCESS_PATH = "/api/v1/process"
MAX_BODY_BYTES = 1024 * 1024
T = TypeVar("T")
_LOG_LOCK = threading.Lock()


def log(level: str, message: str, **facts: str | float) -> None:
    """Write one JSON line to stdout, from where the task's log stream takes it."""
    line = json.dumps({"time": round(time.time(), 3), "level": level, "message": message, **facts})
    with _LOG_LOCK:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Service:
    """What all requests share: the release, its faults and its metrics."""

    def __init__(self, version: str, faults: Faults, database: Database | None = None) -> None:
        self.version = version
        self.faults = faults
        self.database = database
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves this one out
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # its start time tells one task's counters from another's
        self.requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["method", "endpoint", "status"],
            registry=self.registry,
        )
        self.errors = Counter(
            "http_errors_total", "Requests that failed in the service.", ["type"], registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request.",
            ["endpoint"],
            registry=self.registry,
        )
        self._lock = threading.Lock()
        self._owed_errors = 0.0
        self._room = threading.Semaphore(faults.requests_at_once or sys.maxsize)

    def next_request_fails(self) -> bool:
        """Say whether the next request fails: evenly spaced, so that the error rate is exact and not a gamble."""
        with self._lock:
            self._owed_errors += self.faults.error_rate
            if self._owed_errors < 1 - 1e-9:
                return False
            self._owed_errors -= 1
            return True

    def work(self, body: bytes) -> tuple[int, dict[str, object]]:
        """Answer a request as slowly as the release does, if there is room for it; return status and answer."""
        if not self._room.acquire(blocking=False):
            self.errors.labels(type="overload").inc()
            log("ERROR", "refused: too much to do at once", path=PROCESS_PATH, status=503)
            return 503, {"error": "too much to do at once"}
        try:
            time.sleep(self.faults.latency_seconds)
            return self.process(body)
        finally:
            self._room.release()

    def process(self, body: bytes) -> tuple[int, dict[str, object]]:
        """Do the service's work on a request's body; return status and answer."""
        try:
            content = json.loads(body or b"null")
        except ValueError:
            return 400, {"error": "the body is not JSON"}
        if self.next_request_fails():
            self.errors.labels(type="processing").inc()
            log("ERROR", "processing failed: the model returned no result", path=PROCESS_PATH, status=500)
            return 500, {"error": "processing failed"}
        try:
            if self.database is not None:
                self.database.ask()
        except DatabaseError as error:
            self.errors.labels(type="database").inc()
            log("ERROR", f"database: {error}", path=PROCESS_PATH, status=500)
            return 500, {"error": "the database is not available"}
        result = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return 200, {"status": "processed", "version": self.version, "result": result}


class Server(ThreadingHTTPServer):
    """Listens for the service; a thread per connection, none of which keeps the process alive."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int, service: Service) -> None:
        self.service = service
        self.refuses = False
        super().__init__(("127.0.0.1", port), Endpoints)

    def refuse(self) -> None:
        """Accept no more connections, and end those that there are."""
        self.refuses = True
        threading.Thread(target=self.shutdown, daemon=True).start()
        self.socket.shutdown(socket.SHUT_RDWR)  # which wakes the loop that shutdown() waits for


class Endpoints(BaseHTTPRequestHandler):
    """The service's HTTP endpoints."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer in two writes waits 40 ms for the client's ACK
    wbufsize = -1

    def parse_request(self) -> bool:
        """Read a request; from a server that refuses there is no answer to it."""
        return super().parse_request() and not self._hangs_up()

    def _hangs_up(self) -> bool:
        self.close_connection = self.close_connection or self.server.refuses
        return self.server.refuses

    def do_GET(self) -> None:
        """Answer health checks and scrapes."""
        service = self.server.service
        if self.path == "/health":
            healthy = not service.faults.unhealthy
            self._answer(
                200 if healthy else 503,
                {"status": "healthy" if healthy else "unhealthy", "version": service.version},
            )
        elif self.path == "/metrics":
            self._send(200, generate_latest(service.registry), "text/plain; version=0.0.4; charset=utf-8")
        else:
            self._answer_counted(time.monotonic(), "unknown", 404, {"error": "no such path"})

    def do_POST(self) -> None:
        """Answer a request for the service's work."""
        started = time.monotonic()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._answer_counted(
                started, "unknown", 413, {"error": "the body's length is missing or too large"}
            )
            return
        body = self.rfile.read(int(length))
        if self.path != PROCESS_PATH:
            self._answer_counted(started, "unknown", 404, {"error": "no such path"})
            return
        status, answer = self.server.service.work(body)
        self._answer_counted(started, PROCESS_PATH, status, answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own parameter
        """Keep http.server's own log lines out of ours, which are JSON."""

    def _answer_counted(self, started: float, endpoint: str, status: int, answer: dict[str, object]) -> None:
        service = self.server.service
        service.requests.labels(method=self.command, endpoint=endpoint, status=str(status)).inc()
        service.duration.labels(endpoint=endpoint).observe(time.monotonic() - started)
        self._answer(status, answer)

    def _answer(self, status: int, answer: dict[str, object]) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except ConnectionError:
            self.close_connection = True  # the client hung up; nobody is left to tell


def burn(share: float) -> NoReturn:
    """Keep this share of one core busy, for ever, and yield to everything that has work to do."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    block = bytes(1024 * 1024)
    while True:
        started = time.perf_counter()
        hashlib.sha256(block)  # works on a block this large without the interpreter's lock
        time.sleep((time.perf_counter() - started) * (1 - share) / share)


def leak(mb_per_second: float) -> NoReturn:
    """Take memory and never give it back; every page is written, so it really is taken."""
    kept: list[bytes] = []
    while True:
        kept.append(os.urandom(4096) * int(mb_per_second * 25.6))  # a tenth of a second's worth
        time.sleep(0.1)


def misbehave(faults: Faults, database: Database | None) -> None:
    """Start what goes wrong by itself, without any request."""
    if faults.db_connections and database is not None:
        _in_background(database.leak, faults.db_connections)
    cores = faults.cpu
    while cores > 0:
        _in_background(burn, min(cores, 1.0))
        cores -= 1
    if faults.leak_mb_per_second:
        _in_background(leak, faults.leak_mb_per_second)
    if faults.crash_after_seconds is not None:
        timer = threading.Timer(faults.crash_after_seconds, crash)
        timer.daemon = True
        timer.start()


def crash() -> None:
    """End the process as an unhandled error would, without waiting for requests under way."""
    log("ERROR", "fatal: out of file descriptors")
    os._exit(1)


def _in_background(work: Callable[[T], NoReturn], argument: T) -> None:
    threading.Thread(target=work, args=(argument,), daemon=True).start()


def end_at_once(_number: int, _frame: FrameType | None) -> None:
    """End on SIGTERM: the load balancer has removed the task before ECS sends it."""
    os._exit(0)


def main() -> int:
    """Serve until SIGTERM or a crash; 1 when the environment cannot be used."""
    signal.signal(signal.SIGTERM, end_at_once)
    try:
        faults = faults_from(os.environ)
    except FaultError as wrong:
        log("ERROR", f"fatal: {wrong}")
        return 1
    dsn = os.environ.get("AI_PROCESSOR_DSN")
    database = Database(dsn, os.environ.get("PGAPPNAME", "ai-processor")) if dsn else None
    service = Service(os.environ.get("SERVICE_VERSION", "unknown"), faults, database)
    server = Server(int(os.environ["PORT"]), service)
    misbehave(faults, database)
    log("INFO", "started", version=service.version)
    if faults.refuse_after_seconds is not None:
        timer = threading.Timer(faults.refuse_after_seconds, server.refuse)
        timer.daemon = True
        timer.start()
    server.serve_forever(poll_interval=3600)  # connections wake it; the interval only serves shutdown()
    server.socket.close()
    signal.pause()  # only a server that refuses gets here
    return 0


if __name__ == "__main__":
    sys.exit(main())
