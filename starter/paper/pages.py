"""The pages: what to look at, what to do, how to verify, each with the commands of one target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activities.prometheus import promql
from runbook_model.catalog.target import Target
from starter.paper import commands as run

if TYPE_CHECKING:
    from workflows.procedures.procedure import Part


def rollback(target: Target) -> list[Part]:
    """Put the last known good release back."""
    wanted = "FAMILY:REVISION"
    return [
        ("Find the last known good release: the newest SUCCESSFUL one before the current, not known to be bad.",
         (run.list_deployments(target), run.describe_service(target))),
        ("A deployment under way is stopped; ECS then puts back what ran before it.",
         (run.aws(target, "ecs", "stop-service-deployment", "--stop-type", "ROLLBACK", "--service-deployment-arn", "ARN"),)),
        ("Otherwise update the service to it. Never together with a forced deployment, and never twice.",
         (run.ecs(target, "update-service", "--task-definition", wanted),)),
        ("Where Terraform owns the service, let Terraform do it instead.",
         run.terraform(target, **_image(target))),
        ("Wait for our own deployment; `aws ecs wait services-stable` also succeeds after a failed one.",
         (run.wait_for_our_deployment(target),)),
        ("Verify. No data does not mean healthy.", (run.health(target), run.error_rate(target), run.error_logs(target))),
    ]  # fmt: skip


def _image(target: Target) -> dict[str, object]:
    owner = target.terraform
    return {owner.image_variable: owner.image_variable_holds.upper()} if owner else {}


def service_down(target: Target) -> list[Part]:
    """Bring a service back that does not answer."""
    return [
        ("Look at the service, its tasks and its logs.",
         (run.describe_service(target), run.stopped_tasks(target), run.logs(target))),
        ("It started with a release: roll back (see the page rollback). Otherwise start fresh tasks, once.",
         (run.ecs(target, "update-service", "--force-new-deployment"),)),
        ("Wait for our own deployment.", (run.wait_for_our_deployment(target),)),
        ("Verify.", (run.health(target), run.metrics(target), run.error_rate(target))),
    ]  # fmt: skip


def high_error_rate(target: Target) -> list[Part]:
    """Bring a service back below its error rate."""
    window = target.verify.rate_window
    return [
        ("Which requests fail, and since when?",
         (run.query(target, promql.errors_by_type(target, None, window)), run.error_logs(target),
          run.list_deployments(target))),
        ("Errors started with a release: roll back (see the page rollback).", ()),
        ("A dependency is down: see the page database-issues, and restart the dependency.", ()),
        (f"Load: scale out to {target.scale.errors} tasks, and remove them later.",
         run.scale_out(target, target.scale.errors)),
        (f"Verify: the error rate is at most {target.thresholds.error_rate:.0%}.",
         (run.error_rate(target), run.health(target))),
    ]  # fmt: skip


def high_latency(target: Target) -> list[Part]:
    """Bring a service back below its response time."""
    window = target.verify.rate_window
    return [
        ("What is slow?",
         (run.p95(target),
          run.p95_by_endpoint(target))),
        ("What runs out?",
         (run.query(target, promql.cpu_share(target, window)), run.query(target, promql.memory_share(target)))),
        (f"Load: scale out to {target.scale.latency} tasks, and remove them later.",
         run.scale_out(target, target.scale.latency)),
        ("At the maximum number of tasks, and busy: scale up; never down, and keep the image.", run.scale_up(target)),
        ("A slow code path: list the slowest endpoints for the people who own them.", ()),
        (f"Verify: p95 is at most {target.thresholds.p95_seconds:g} s.",
         (run.timed_probe(target), run.p95(target))),
    ]  # fmt: skip


def resource_issues(target: Target) -> list[Part]:
    """Give a service room whose CPU or memory runs out."""
    window = target.verify.rate_window
    return [
        ("Which resource runs out? A leak is visible only over many readings; two are not enough.",
         (run.query(target, promql.cpu_share(target, window)), run.query(target, promql.memory_share(target)),
          run.stopped_tasks(target))),
        (f"At once: scale out to {target.scale.resources} tasks, and remove them later.",
         run.scale_out(target, target.scale.resources)),
        ("Tasks killed at their memory limit, or at the maximum number of tasks: scale up; never down, and keep the image.",
         run.scale_up(target)),
        ("Later: profile the code, use less memory, add caching.", ()),
        (f"Verify: CPU below {target.thresholds.cpu:.0%}, memory below {target.thresholds.memory:.0%}.",
         (_utilization(target, "CPUUtilization"), _utilization(target, "MemoryUtilization"))),
    ]  # fmt: skip


def database_issues(target: Target) -> list[Part]:
    """Give a service its database back."""
    dsn = '"$' + ((target.database and target.database.dsn_env) or "DSN") + '"'
    counts = "SELECT state, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC"
    idle = (
        "SELECT pid, application_name, xact_start FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' ORDER BY xact_start"
    )
    return [
        ("Does it answer, and who holds its connections?",
         (f"pg_isready -d {dsn}", f'psql {dsn} -c "{counts}"', f'psql {dsn} -c "SHOW max_connections"')),
        ("What does the service say?", (run.error_logs(target),)),
        ("Sessions idle in transaction for long: end exactly those, by pid.",
         (f'psql {dsn} -c "{idle}"', f'psql {dsn} -c "SELECT pg_terminate_backend(PID)"')),
        ("It does not answer at all: restart it, once. Every connection to it ends.", run.reboot_database(target)),
        ("A pool is used up and the database has room for all tasks' pools: raise it. Otherwise max_connections is too small.",
         run.raise_pool(target)),
        ("A leak is the service's own: fix it, or roll back (see the page rollback).", ()),
        ("Verify.", (f'psql {dsn} -c "SELECT 1"', run.health(target))),
    ]  # fmt: skip


PAGES: dict[str, Callable[[Target], list[Part]]] = {
    "rollback": rollback,
    "service-down": service_down,
    "high-error-rate": high_error_rate,
    "high-latency": high_latency,
    "resource-issues": resource_issues,
    "database-issues": database_issues,
}


def _utilization(target: Target, metric: str) -> str:
    names = (f"Name=ClusterName,Value={target.cluster}", f"Name=ServiceName,Value={target.ecs_service}")
    call = run.aws(
        target, "cloudwatch", "get-metric-statistics", "--namespace", "AWS/ECS", "--metric-name", metric,
        "--dimensions", *names, "--period", "300", "--statistics", "Average",
    )  # fmt: skip
    times = "+%Y-%m-%dT%H:%M:%SZ"
    return f"{call} --start-time $(date -u -d '1 hour ago' {times}) --end-time $(date -u {times})"
