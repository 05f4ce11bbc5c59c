"""The pages for services that run by compose: the same procedures, with the commands of the machine they run on."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from activities.prometheus import promql
from runbook_model.catalog.target import Target
from starter.paper import commands as run

if TYPE_CHECKING:
    from workflows.procedures.procedure import Part


def compose(target: Target, *words: str) -> str:
    """Write a call of ``docker compose`` on the target's project."""
    return shlex.join(["docker", "compose", "-p", target.compose_project or "PROJECT", *words])


def status(target: Target) -> str:
    """Show the project's containers, those that ended too."""
    return compose(target, "ps", "--all")


def logs(target: Target) -> str:
    """Show what the service wrote lately."""
    return compose(target, "logs", "--since", "15m", "--timestamps", target.compose_service)


def error_logs(target: Target) -> str:
    """Show the errors among it."""
    return f"{logs(target)} | grep -E 'ERROR|CRITICAL|FATAL|Traceback'"


def statistics(target: Target) -> str:
    """Show what the service's containers use."""
    return f"docker stats --no-stream $({compose(target, 'ps', '--quiet', target.compose_service)})"


def restart(target: Target, service: str | None = None) -> str:
    """Restart a service, the target's own unless set."""
    return compose(target, "restart", service or target.compose_service)


def psql(target: Target, sql: str) -> str:
    """Ask the database, in its container or over its DSN."""
    database = target.database
    if database and database.compose_service:
        who = ("-U", database.user, "-d", database.name)
        return compose(target, "exec", "-T", database.compose_service, "psql", *who, "-c", sql)
    return f"psql {_dsn(target)} -c {shlex.quote(sql)}"


def is_ready(target: Target) -> str:
    """Ask the database whether it accepts connections."""
    database = target.database
    if database and database.compose_service:
        who = ("-U", database.user, "-d", database.name)
        return compose(target, "exec", "-T", database.compose_service, "pg_isready", *who)
    return f"pg_isready -d {_dsn(target)}"


def rollback(target: Target) -> list[Part]:
    """Put an earlier image back: compose keeps no history of releases."""
    return [
        ("Compose keeps no history of releases: find the earlier image in the compose file's own history.",
         (compose(target, "images"), "git log -p -- docker-compose*.yml", "git tag -l --sort=-version:refname | head -5")),
        ("Name it in the compose file, then recreate the containers, once.",
         (compose(target, "up", "-d", target.compose_service),)),
        ("Verify.", (status(target), run.health(target), run.error_rate(target), error_logs(target))),
    ]  # fmt: skip


def service_down(target: Target) -> list[Part]:
    """Bring a service back that does not answer."""
    return [
        ("Look at the containers, what they use, and the logs.",
         (status(target), statistics(target), logs(target))),
        ("A dependency is down: restart it first, once.", (restart(target, _dependency(target)),)),
        ("Restart the service, once.", (restart(target),)),
        ("Wait until it runs and is healthy.", (f'watch -n 2 "{status(target)}"',)),
        ("Verify.", (run.health(target), run.metrics(target))),
    ]  # fmt: skip


def high_error_rate(target: Target) -> list[Part]:
    """Bring a service back below its error rate."""
    window = target.verify.rate_window
    return [
        ("Which requests fail?",
         (run.query(target, promql.errors_by_type(target, None, window)), run.metrics(target), error_logs(target))),
        ("Is a dependency down? Restart that, once.", (status(target), restart(target, _dependency(target)))),
        ("Otherwise restart the service, if you think that it helps.", (restart(target),)),
        (f"Verify: the error rate is at most {target.thresholds.error_rate:.0%}.",
         (run.error_rate(target), run.health(target))),
    ]  # fmt: skip


def high_latency(target: Target) -> list[Part]:
    """Bring a service back below its response time."""
    return [
        ("What is slow?",
         (run.p95(target), run.timed_probe(target))),
        ("What runs out?", (statistics(target),)),
        ("What does the database do?", (psql(target, _ACTIVITY),)),
        ("Scaling out is not for one machine: restart, or give it more CPU and memory in the compose file.",
         (restart(target), compose(target, "up", "-d", target.compose_service))),
        (f"Verify: answers take at most {target.thresholds.p95_seconds:g} s.", (run.timed_probe(target),)),
    ]  # fmt: skip


def resource_issues(target: Target) -> list[Part]:
    """Give a service room whose CPU or memory runs out."""
    return [
        ("Which resource runs out? A leak is visible only over many readings; two are not enough.",
         (f'watch -n 10 "{statistics(target).replace("$", chr(92) + "$")}"', psql(target, _ACTIVITY))),
        ("At once: restart, which only buys time.", (restart(target),)),
        ("Soon: more CPU and memory in the compose file.", (compose(target, "up", "-d", target.compose_service),)),
        ("Later: profile the code, use less memory, add caching.", ()),
        (f"Verify: CPU below {target.thresholds.cpu:.0%}, memory below {target.thresholds.memory:.0%}.",
         (statistics(target), run.health(target))),
    ]  # fmt: skip


def database_issues(target: Target) -> list[Part]:
    """Give a service its database back."""
    return [
        ("Does it answer, and how many connections are used?",
         (is_ready(target), psql(target, "SELECT count(*) FROM pg_stat_activity"),
          psql(target, "SHOW max_connections"), psql(target, _ACTIVITY))),
        ("What does the service say?", (f"{logs(target)} | grep -iE 'database|connection|postgres'",)),
        ("It takes no connections: restart it, once. Not while it says that it starts or recovers.",
         (restart(target, _dependency(target)),)),
        ("A pool too small, or a leak, is the service's own: change its settings, then recreate it.",
         (compose(target, "up", "-d", target.compose_service),)),
        ("Verify.", (is_ready(target), psql(target, "SELECT 1"), run.health(target))),
    ]  # fmt: skip


_ACTIVITY = "SELECT state, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC"

PAGES: dict[str, Callable[[Target], list[Part]]] = {
    "rollback": rollback,
    "service-down": service_down,
    "high-error-rate": high_error_rate,
    "high-latency": high_latency,
    "resource-issues": resource_issues,
    "database-issues": database_issues,
}


def _dependency(target: Target) -> str:
    named = target.database.compose_service if target.database else None
    return named or "DEPENDENCY"


def _dsn(target: Target) -> str:
    return '"$' + ((target.database and target.database.dsn_env) or "DSN") + '"'
