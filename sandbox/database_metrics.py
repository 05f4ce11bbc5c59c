"""Who is connected to each database, for Prometheus, under the names that postgres_exporter gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.responses import Response
from starlette.routing import Route

from sandbox.names import SERVICE

if TYPE_CHECKING:
    from starlette.requests import Request

PATH = "/_sandbox/databases"
CONNECT_SECONDS = 2
SESSIONS = """
    SELECT datname, coalesce(state, ''), count(*) FROM pg_stat_activity WHERE datname IS NOT NULL GROUP BY 1, 2
"""
SETTINGS = ("max_connections", "superuser_reserved_connections")
_TARGET = ("service", "environment")


class Database:
    """A connection that stays open, as an exporter's does; a broken one is created again at the next look."""

    def __init__(self, environment: str, dsn_of: Callable[[str], str]) -> None:
        self.environment = environment
        self._dsn_of = dsn_of
        self._connection: psycopg.Connection | None = None

    def read(self) -> tuple[list[tuple[str, str, int]], dict[str, int]] | None:
        """Return the sessions by database and state, and the settings; None when it cannot be asked."""
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._dsn_of(self.environment),
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="postgres_exporter",
                    options="-c log_statement=none",
                )
            sessions = self._connection.execute(SESSIONS).fetchall()
            settings = self._connection.execute(
                "SELECT name, setting::int FROM pg_settings WHERE name = ANY(%s)", [list(SETTINGS)]
            ).fetchall()
        except psycopg.Error:
            self.close()
            return None
        return sessions, dict(settings)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


class DatabaseMetrics:
    """What an exporter for each environment's database would tell."""

    def __init__(self, environments: Iterable[str], dsn_of: Callable[[str], str]) -> None:
        """Prepare it.

        Args:
            environments: those that have a database.
            dsn_of: the DSN of an environment's database, once it runs.
        """
        self._databases = [Database(environment, dsn_of) for environment in environments]
        self._lock = asyncio.Lock()

    @property
    def route(self) -> Route:
        """The route that Prometheus scrapes."""

        async def show(_: Request) -> Response:
            async with self._lock:
                text = await asyncio.to_thread(self._collect)
            return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

        return Route(PATH, show, methods=["GET"])

    def close(self) -> None:
        """Hang up everywhere."""
        for database in self._databases:
            database.close()

    def _collect(self) -> bytes:
        registry = CollectorRegistry()
        up = Gauge("pg_up", "Whether the database could be asked.", _TARGET, registry=registry)
        count = Gauge(
            "pg_stat_activity_count", "Sessions.", [*_TARGET, "datname", "state"], registry=registry
        )
        settings = {
            name: Gauge(f"pg_settings_{name}", "A setting.", _TARGET, registry=registry) for name in SETTINGS
        }
        for database in self._databases:
            found = database.read()
            up.labels(SERVICE, database.environment).set(found is not None)
            for datname, state, sessions in found[0] if found else ():
                count.labels(SERVICE, database.environment, datname, state).set(sessions)
            for name, value in found[1].items() if found else ():
                settings[name].labels(SERVICE, database.environment).set(value)
        return generate_latest(registry)
