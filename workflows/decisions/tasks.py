"""What people are asked, or left, to do about a service, with what was found and where to look. Pure.

What the remedy waits for is ``immediate``: it can be done while a run holds its target. Everything that takes days is of
another kind, and is left open for the review.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from runbook_model.catalog.target import Target
from runbook_model.measured.readings import Reading
from runbook_model.reports import Task
from runbook_model.text.sentences import sentence
from workflows.decisions.diagnosis import Cause, Diagnosis

STILL_WRONG = "Check what is still wrong, and choose what to do, or skip"
"""What people are asked where all readings are good."""


def find_the_cause(target: Target, diagnosis: Diagnosis, readings: Sequence[Reading]) -> Task:
    """Ask which way to go where the evidence does not settle it."""
    what = "Find the cause, and choose what to do or fix it yourself"
    if diagnosis.cause is Cause.FINE:
        what = STILL_WRONG
    return _now(what, target, diagnosis, readings)


def would_ask(task: Task, found: str) -> str:
    """Say what a plan comes to where a person would be asked, and what was found; good news comes first."""
    if task.what == STILL_WRONG:
        return f"{sentence(found[:1].upper() + found[1:])} A person would be asked whether something is still wrong."
    return f"A person would be asked: {sentence(task.what)} Found: {sentence(found)}"


def bring_dependency_back(target: Target, diagnosis: Diagnosis, readings: Sequence[Reading]) -> Task:
    """Ask for a dependency that is no database of the catalog's."""
    return _now(f"Restore what {target.service} depends on", target, diagnosis, readings)


def make_room_in_the_cluster(target: Target, diagnosis: Diagnosis, readings: Sequence[Reading]) -> Task:
    """Ask for capacity that tasks wait for."""
    what = f"Give cluster {target.cluster} room for the tasks that wait, or stop what takes it"
    return _now(what, target, diagnosis, readings)


def make_faster(target: Target, diagnosis: Diagnosis) -> Task:
    """Leave slow code to those who wrote it."""
    what = "Make the slow code path faster: review the slowest endpoints, find what holds them up, deploy the fix"
    return _later(what, target, diagnosis, _earlier_release(target, diagnosis))


def use_less(target: Target, diagnosis: Diagnosis) -> Task:
    """Leave it to the service's owners that it needs so much."""
    return _later("Profile the code, use less memory, or add caching", target, diagnosis)


def find_the_leak(target: Target, diagnosis: Diagnosis) -> Task:
    """Leave a leak to the service's owners."""
    what = "Find the memory leak; more tasks only buy time"
    return _later(what, target, diagnosis, _earlier_release(target, diagnosis))


def see_more(target: Target, diagnosis: Diagnosis) -> Task | None:
    """Leave it to people to make readable what could not be read; None where all could."""
    if not diagnosis.doubts:
        return None
    return Task(
        what="Make the data available that this diagnosis could not read",
        kind="monitoring",
        why="; ".join(diagnosis.doubts),
        links=links_of(target),
    )


def _now(what: str, target: Target, diagnosis: Diagnosis, readings: Sequence[Reading]) -> Task:
    measured = tuple(f"{reading.kind}: {reading.detail} ({reading.source})" for reading in readings)
    return Task(
        what=what,
        kind="immediate",
        why=diagnosis.summary,
        look_at=(*diagnosis.look_at, *measured),
        links=links_of(target, diagnosis.queries),
    )


def _later(what: str, target: Target, diagnosis: Diagnosis, *also: str) -> Task:
    return Task(
        what=what,
        kind="long-term",
        why=diagnosis.summary,
        look_at=(*diagnosis.look_at, *filter(None, also)),
        links=links_of(target, diagnosis.queries),
    )


def _earlier_release(target: Target, diagnosis: Diagnosis) -> str:
    if not diagnosis.release:
        return ""
    command = f"runbook start rollback {target.key}"
    return f"it started with {diagnosis.release}: `{command}` puts an earlier release back"


CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
"""The console's host by the start of the region's name."""


def links_of(target: Target, queries: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return addresses by name; what the catalog says goes before what is made here.

    Args:
        target: whose consoles they are.
        queries: PromQL by what it asks for.
    """
    return dict(_made(target, queries or {})) | target.links


def database_console(target: Target) -> dict[str, str]:
    """Return the console of the target's RDS instance; nothing where the catalog names none."""
    instance = target.database.rds_instance if target.database else None
    if not instance:
        return {}
    return {"RDS console": f"{_console(target)}/rds/home?region={target.region}#database:id={instance}"}


def _made(target: Target, queries: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    signed = target.prometheus is not None and target.prometheus.auth == "sigv4"
    if target.prometheus_url and not signed:  # a browser signs nothing
        for name, query in queries.items():
            graph = f"{target.prometheus_url}/graph?g0.expr={quote(query, safe='')}&g0.tab=0"
            yield f"Prometheus: {name}", graph
    if target.platform == "ecs":
        region, console = target.region, _console(target)
        service = f"clusters/{quote(target.cluster)}/services/{quote(target.ecs_service)}"
        yield "ECS console", f"{console}/ecs/v2/{service}/health?region={region}"
        if target.log_group:
            # The console wants the name's percent signs written as "$25".
            group = quote(quote(target.log_group, safe=""), safe="").replace("%", "$")
            address = f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}"
            yield "CloudWatch logs", address
    if target.repository:
        yield "repository", target.repository


def _console(target: Target) -> str:
    host = next(
        (host for begin, host in CONSOLES.items() if target.region.startswith(begin)),
        "console.aws.amazon.com",
    )
    return f"https://{target.region}.{host}"
