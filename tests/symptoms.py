"""What a diagnosis reads, built for tests; every default is a service that is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.measured.evidence import (
    AcrossRelease,
    Breakdown,
    Figure,
    ReleaseStart,
    Restarts,
    Statistics,
    TaskSeen,
)
from runbook_model.measured.revisions import RevisionFigures, RevisionsRead, RunningRevision
from runbook_model.measured.symptoms import (
    EndpointTime,
    ErrorsRead,
    LatencyRead,
    LoadRead,
    LogsRead,
    MemorySeries,
    ResourcesRead,
    TasksRead,
    UtilizationRead,
)
from runbook_model.releases.release import Deployment, ServiceState
from tests.observing import NOW, seconds

if TYPE_CHECKING:
    from datetime import datetime

OLD, NEW = "ai-processor-prod:2", "ai-processor-prod:3"
AWAY = "could not ask: no answer in time"
MIB = 1024**2
STARTED = NOW - seconds(300)
ASKED = {"quality": "known", "query": "q", "at": NOW}


def a_figure(value: float | None, source: str = "prometheus") -> Figure:
    """A number, or with None a source that is away."""
    if value is None:
        return Figure(quality="error", why=AWAY, source=source, query="q", at=NOW)
    return Figure(**ASKED, source=source, value=value)


def a_breakdown(values: dict[str, float] | None) -> Breakdown:
    if values is None:
        return Breakdown(quality="error", why=AWAY, source="prometheus", query="q", at=NOW)
    return Breakdown(**ASKED, source="prometheus", values=values)


def an_onset(before: str | None = OLD, began: datetime | None = STARTED) -> ReleaseStart:
    return ReleaseStart(**ASKED, source="ecs", release=NEW, began=began, settled=began, before=before)


def across(before: float | None, first: float | None, now: float | None) -> AcrossRelease:
    return AcrossRelease(before=a_figure(before), first=a_figure(first), now=a_figure(now))


def errors_read(before=0.0, first=0.0, now=0.0, types=None, releases=None, onset=None) -> ErrorsRead:
    return ErrorsRead(
        onset=onset or an_onset(),
        share=across(before, first, now),
        requests=a_figure(400),
        by_type=a_breakdown(types or {}),
        by_release=a_breakdown(releases or {}),
    )


def revision_figures(release: str, share: float | None = 0.0, **more: object) -> RevisionFigures:
    """What one of two releases did, of a thousand requests; with None for the share nothing is known."""
    given = {"requests": 1000.0, "healthy": 2, "wanted": 2, "p95": 0.1, "begin": STARTED, "end": NOW} | more
    asked = ASKED if share is not None else {**ASKED, "quality": "no-data", "why": "3 requests in 5m"}
    revision = RunningRevision(arn=f"arn:{release}", release=release, name=f"{release} (tag)")
    return RevisionFigures(**(asked | given), source="load-balancer", revision=revision, share=share)


def revisions_read(
    coming: float | None = 0.0,
    old: float | None = 0.0,
    *,
    names: tuple[str, str] = (NEW, OLD),
    has_traffic: bool = True,
    together: bool = True,
    of_coming: dict[str, object] | None = None,
    of_old: dict[str, object] | None = None,
) -> RevisionsRead:
    """What both releases did, while traffic is shifted from the old one to the one that is coming."""
    return RevisionsRead(
        coming=revision_figures(names[0], coming, **(of_coming or {})),
        old=revision_figures(names[1], old, **(of_old or {})),
        has_traffic=has_traffic,
        together=together,
    )


def load_read(rate=25.0, usual=25.0, cpu=0.3, usual_cpu=0.3) -> LoadRead:
    return LoadRead(
        rate=a_figure(rate), usual_rate=a_figure(usual), cpu=a_figure(cpu), usual_cpu=a_figure(usual_cpu)
    )


def logs_read(count=0, about=0, *, away=False, **words: int) -> LogsRead:
    if away:
        return LogsRead(quality="error", why=AWAY, source="logs", query="q", at=NOW)
    words = words or ({"connection": about} if about else {})
    return LogsRead(**ASKED, source="logs", count=count, about_dependencies=about, dependencies=words)


def latency_read(before=0.1, first=0.1, now=0.1, endpoints=None, onset=None) -> LatencyRead:
    slowest = tuple(EndpointTime(endpoint=name, p95=p95) for name, p95 in (endpoints or {}).items())
    return LatencyRead(
        onset=onset or an_onset(), p95=across(before, first, now), slowest=slowest, endpoints=a_breakdown({})
    )


def resources_read(
    cpu=0.3, memory=0.3, *, series=None, limit=512 * MIB, killed=0, cpu_course=(0.3, 0.3, 0.3)
) -> ResourcesRead:
    return ResourcesRead(
        onset=an_onset(),
        cpu=a_breakdown(None if cpu is None else {"a": cpu, "b": cpu}),
        cpu_course=across(*cpu_course),
        memory=a_breakdown(None if memory is None else {"a": memory, "b": memory / 2}),
        releases={"a": NEW, "b": NEW},
        series=MemorySeries(
            **ASKED, source="prometheus", tasks={"a": tuple(series or ())}, limits={"a": limit, "b": limit}
        ),
        restarts=Restarts(**ASKED, source="ecs", count=killed, out_of_memory=killed),
    )


def utilization_read(cpu=0.3, memory=0.3) -> UtilizationRead:
    def statistics(value):
        if value is None:
            return Statistics(quality="no-data", why="no samples", source="cloudwatch", query="q", at=NOW)
        return Statistics(**ASKED, source="cloudwatch", points=((NOW.timestamp(), value),))

    return UtilizationRead(cpu=statistics(cpu), memory=statistics(memory))


def a_task(name="t1", release=NEW, **changes) -> TaskSeen:
    return TaskSeen(task=name, release=release, status="RUNNING", health="HEALTHY").model_copy(update=changes)


def a_stopped_task(ago: float, release=NEW, **changes) -> TaskSeen:
    """A task that crashed so many seconds ago."""
    crashed = {
        "status": "STOPPED",
        "health": "UNKNOWN",
        "stopped": NOW - seconds(ago),
        "stop_code": "EssentialContainerExited",
        "reason": "Essential container in task exited",
        "exit_codes": (1,),
    }
    return a_task(f"stopped-{ago:g}", release, **(crashed | changes))


def a_service(running=2, desired=2, rollout="COMPLETED", events=(), age=300.0) -> ServiceState:
    arn = f"arn:aws:ecs:us-east-1:123456789012:task-definition/{NEW}"
    primary = Deployment(
        id="ecs-svc/1", status="PRIMARY", task_definition=arn, desired=desired, running=running,
        pending=desired - running, rollout_state=rollout, created_at=NOW - seconds(age),
    )  # fmt: skip
    return ServiceState(
        arn="arn:aws:ecs:us-east-1:123456789012:service/c/s", status="ACTIVE", desired=desired,
        running=running, pending=desired - running, task_definition=arn, deployments=(primary,),
        events=tuple(events), read_at=NOW,
    )  # fmt: skip


def tasks_read(*stopped: TaskSeen, tasks=None, service=None, onset=None) -> TasksRead:
    newest_first = sorted(stopped, key=lambda item: item.stopped, reverse=True)
    return TasksRead(
        **ASKED,
        source="ecs",
        onset=onset or an_onset(),
        service=service or a_service(),
        tasks=(a_task("t1"), a_task("t2")) if tasks is None else tasks,
        stopped=tuple(newest_first),
    )
