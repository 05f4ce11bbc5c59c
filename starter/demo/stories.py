"""The stories there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starter.demo.incident import play as incident
from starter.demo.outages import connection_exhaustion, leak, load, local_hang, slow_database
from starter.demo.releases import bad_release, bad_release_terraform, crash_loop, failing_release
from starter.demo.stage import ALERTMANAGER, ENVIRONMENT, POSTGRESQL, PROMETHEUS, TERRAFORM, Stage


@dataclass(frozen=True)
class Story:
    """One story."""

    name: str
    procedure: str
    summary: str
    play: Callable[[Stage], Awaitable[None]]
    needs: tuple[str, ...] = ()
    """Programs that it cannot do without."""
    environment: str = ENVIRONMENT
    alerts: bool = False
    """Whether its Prometheus fires, and Alertmanager calls a webhook."""


STORIES = (
    Story(
        name="bad-release",
        procedure="rollback",
        summary="30 % errors after a release; put back while the worker is killed half-way",
        play=bad_release,
    ),
    Story(
        name="incident",
        procedure="incident",
        summary="a bad release, and nobody looks: alert, incident, rollback, messages, review; webhook and worker are killed",
        play=incident,
        needs=(PROMETHEUS, ALERTMANAGER),
        alerts=True,
    ),
    Story(
        name="bad-release-terraform",
        procedure="rollback",
        summary="the same where a Terraform module owns the service: its variable is put back, by the approved plan",
        play=bad_release_terraform,
        needs=(TERRAFORM,),
    ),
    Story(
        name="crash-loop",
        procedure="service-down",
        summary="a release crashes again and again; the cause is found, and it is rolled back",
        play=crash_loop,
    ),
    Story(
        name="failing-release",
        procedure="high-error-rate",
        summary="requests fail, nobody knows why; errors started with a release, and it is rolled back",
        play=failing_release,
        needs=(PROMETHEUS,),
    ),
    Story(
        name="load",
        procedure="high-error-rate",
        summary="four times the usual requests; scaled out while it lasts, and taken back",
        play=load,
        needs=(PROMETHEUS,),
    ),
    Story(
        name="slow-database",
        procedure="high-latency",
        summary="a forgotten session locks a table and every answer waits; found, and exactly that one is ended",
        play=slow_database,
        needs=(PROMETHEUS, POSTGRESQL),
    ),
    Story(
        name="leak",
        procedure="resource-issues",
        summary="memory grows since a release; the leak is recognised early, more tasks buy time",
        play=leak,
        needs=(PROMETHEUS,),
    ),
    Story(
        name="connection-exhaustion",
        procedure="database-issues",
        summary="a release forgets its database connections until none is left; exactly those are ended",
        play=connection_exhaustion,
        needs=(POSTGRESQL,),
    ),
    Story(
        name="local-hang",
        procedure="service-down",
        summary="the containers of a compose project hang; they are restarted, and what hangs is killed",
        play=local_hang,
        environment="local",
    ),
)
