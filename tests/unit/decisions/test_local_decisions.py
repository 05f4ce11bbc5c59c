"""Why a service that runs by compose is unhealthy, and what is restarted: table by table."""

from __future__ import annotations

from datetime import timedelta

import pytest

from activities.docker.activities import standing
from activities.docker.reading import judge_settled, read_container, use_of
from activities.runtime.fence import Standing
from runbook_model.authority.shown import plan_hash
from runbook_model.catalog.service_policies import Database
from runbook_model.containers import AwaitedService, Container, ContainerFence, ProjectRead, ServerAnswer
from runbook_model.measured.readings import Quality, Reading, Sample
from tests.observing import NOW, a_target, seconds
from tests.symptoms import errors_read, load_read, logs_read
from workflows.decisions import database
from workflows.decisions.diagnosis import Cause, classify_errors
from workflows.decisions.local import (
    classify_local_outage,
    classify_server,
    down_dependencies,
    plan_restart_of,
    release_of,
    with_dependencies,
)

GOOD, BAD, SILENT = Quality.GOOD, Quality.BAD, Quality.NO_DATA
CRASHED = {"state": "exited", "exit_code": 1}
STOPPED = {"state": "exited", "exit_code": 143}
SICK = {"health": "unhealthy"}


def container(service="app", **more) -> Container:
    fields = {"id": f"{service}-id", "name": f"p-{service}-1", "image": f"{service}:1", "state": "running"}
    return Container(service=service, **{**fields, "started": NOW, **more})


def project(*others: Container, **own) -> ProjectRead:
    return ProjectRead(project="p", service="app", containers=(container(**own), *others), at=NOW)


def sample(health=GOOD, errors=GOOD) -> Sample:
    readings = (("health", health), ("error-rate", errors))
    return Sample(
        at=NOW,
        readings=tuple(
            Reading(kind=kind, quality=quality, detail=f"{kind} {quality}", source="test", at=NOW)
            for kind, quality in readings
        ),
    )


def a_local_target(**more):
    return a_target(
        platform="compose", compose_project="p", compose_service="app", environment="local",
        database=Database(compose_service="postgres"), **more,
    )  # fmt: skip


POSTGRES = container("postgres")
OUTAGES = [
    (project(POSTGRES, **CRASHED), sample(BAD, BAD), Cause.CRASH_LOOP, ("app",)),
    (project(POSTGRES, state="restarting", restarts=3), sample(BAD, BAD), Cause.CRASH_LOOP, ("app",)),
    (project(POSTGRES, restarts=3), sample(BAD, SILENT), Cause.CRASH_LOOP, ("app",)),
    (project(POSTGRES, **SICK), sample(BAD, BAD), Cause.UNHEALTHY_TARGETS, ("app",)),
    (project(POSTGRES), sample(BAD, SILENT), Cause.UNHEALTHY_TARGETS, ("app",)),
    (project(POSTGRES), sample(GOOD, GOOD), Cause.FINE, ()),
    (project(POSTGRES), sample(GOOD, BAD), Cause.UNKNOWN, ()),
    (project(POSTGRES), sample(SILENT, SILENT), Cause.UNKNOWN, ()),
    (project(POSTGRES, health="starting"), sample(BAD, SILENT), Cause.UNKNOWN, ()),
    (project(POSTGRES, state="paused"), sample(BAD, BAD), Cause.UNKNOWN, ()),
    (project(container("postgres", **CRASHED)), sample(BAD, BAD), Cause.DEPENDENCY, ("postgres", "app")),
    (project(container("postgres", **SICK), **CRASHED), sample(BAD), Cause.DEPENDENCY, ("postgres", "app")),
    (project(container("postgres", **CRASHED)), sample(GOOD, GOOD), Cause.UNKNOWN, ()),
    (
        project(container("postgres", **CRASHED), container("redis", **CRASHED), **CRASHED),
        sample(BAD, BAD),
        Cause.UNKNOWN,
        (),
    ),
]


@pytest.mark.parametrize(("seen", "measured", "cause", "restart"), OUTAGES)
def test_an_outage_has_the_cause_that_the_containers_show(seen, measured, cause, restart):
    found = classify_local_outage(a_local_target(), seen, logs_read(), measured)
    assert (found.cause, found.restart) == (cause, restart)
    assert found.because


def test_what_compose_says_that_a_service_needs_is_all_that_it_needs():
    seen = project(POSTGRES, container("mail", **CRASHED), needs=("postgres",))
    assert down_dependencies(a_local_target(), seen) == {}


@pytest.mark.parametrize(
    ("other", "down"),
    [
        (container("migrate", state="exited", exit_code=0), False),
        (container("postgres", state="exited", exit_code=0), True),
        (container("postgres", health="starting"), False),
        (container("redis", **STOPPED), True),
        (container("redis", state="created"), True),
    ],
)
def test_a_dependency_is_down_unless_it_runs_starts_or_has_done_its_work(other, down):
    assert bool(down_dependencies(a_local_target(), project(other))) is down


@pytest.mark.parametrize(
    ("others", "errors", "cause"),
    [
        ((container("postgres", **CRASHED),), errors_read(0.3, 0.3, 0.3), Cause.DEPENDENCY),
        ((container("postgres", **CRASHED),), errors_read(0.3, 0.3, None), Cause.DEPENDENCY),
        ((container("postgres", **CRASHED),), errors_read(), Cause.UNKNOWN),
        ((POSTGRES,), errors_read(), Cause.FINE),
        ((POSTGRES,), errors_read(0.3, 0.3, 0.3), Cause.UNKNOWN),
        ((POSTGRES,), errors_read(0.3, 0.3, None), Cause.UNKNOWN),
    ],
)
def test_errors_are_a_dependencys_where_one_is_down_and_the_symptoms_are_there(others, errors, cause):
    target = a_local_target()
    seen = classify_errors(target, errors, load_read(), logs_read())
    found = with_dependencies(target, project(*others), seen)
    assert found.cause is cause


def answer(**fields) -> ServerAnswer:
    return ServerAnswer(**{"accepts": True, "used": 3, "limit": 97, "at": NOW, **fields})


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (answer(), database.Cause.HEALTHY),
        (answer(used=90), database.Cause.LOAD),
        (answer(used=None, limit=None, full=True), database.Cause.LOAD),
        (answer(accepts=False), database.Cause.DOWN),
        (answer(accepts=False, starting=True), database.Cause.UNKNOWN),
        (answer(accepts=None, used=None), database.Cause.UNKNOWN),
        (answer(used=None), database.Cause.UNKNOWN),
    ],
)
def test_a_database_server_is_taken_at_its_word(said, cause):
    assert classify_server(said, Database(compose_service="postgres")).cause is cause


FENCE = container().fence


@pytest.mark.parametrize(
    ("now", "again", "stands"),
    [
        (container(), False, Standing.UNCHANGED),
        (container(), True, Standing.UNCHANGED),
        (container(started=NOW + seconds(9)), False, Standing.DRIFTED),
        (container(started=NOW + seconds(9)), True, Standing.OURS),
        (container(started=NOW + seconds(9), restarts=2), False, Standing.UNCHANGED),
        (container(started=NOW + seconds(9), restarts=2), True, Standing.OURS),
        (None, False, Standing.DRIFTED),
        (None, True, Standing.DRIFTED),
    ],
)
def test_a_container_is_restarted_once_and_never_over_somebody_elses_restart(now, again, stands):
    assert standing(FENCE, now, may_be_ours=again) is stands


def test_a_plan_names_services_in_order_containers_and_what_a_yes_is_for():
    plan = plan_restart_of(a_local_target(), project(POSTGRES, **CRASHED), ("postgres", "app"), ("why",))
    assert plan.headline == (
        "Restart postgres of compose project p in local, then app if that does not run by then"
    )
    assert [call.parameters["containers"] for call in plan.calls] == [["p-postgres-1"], ["p-app-1"]]
    assert plan.needs_yes is None


def test_a_plan_for_what_somebody_stopped_needs_a_yes_and_one_without_containers_is_none():
    plan = plan_restart_of(a_local_target(), project(**STOPPED), ("app",), ())
    assert "exit code 143" in plan.needs_yes
    assert plan_restart_of(a_local_target(), project(), ("gone",), ()) is None


def test_a_yes_holds_for_one_start_but_for_every_round_of_a_crash_loop():
    def hash_of(**own):
        return plan_hash(plan_restart_of(a_local_target(), project(**own), ("app",), ()))

    assert hash_of(started=NOW) != hash_of(started=NOW + seconds(1))
    assert hash_of(restarts=3, started=NOW) == hash_of(restarts=9, started=NOW + seconds(60))
    assert hash_of(id="other") != hash_of()


@pytest.mark.parametrize(
    ("now", "after", "ok"),
    [
        ((container(),), 1, True),
        ((container(health="healthy"),), 1, True),
        ((container(health="starting"),), 1, None),
        ((container(health="starting"),), 99, False),
        ((container(health="unhealthy"),), 1, False),
        ((container(**CRASHED),), 1, False),
        ((container(state="restarting", restarts=1),), 1, None),
        ((container(restarts=2),), 1, False),
        ((), 1, False),
        (None, 1, None),
        (None, 99, False),
    ],
)
def test_what_was_restarted_has_come_up_will_not_or_may_still(now, after, ok):
    awaited = AwaitedService(
        target=a_local_target(), service="app", containers=(FENCE,), deadline=NOW + timedelta(seconds=60)
    )
    judged = judge_settled(awaited, now, "text", NOW + seconds(after))
    assert (judged.ok if judged else None) is ok


def test_the_release_of_a_compose_service_is_its_image():
    release = release_of(project(digest="sha256:1"))
    assert (release.revision, release.images[0].name, release.digests) == ("app", "app:1", ("sha256:1",))


def statistics(total: float, at: str, **memory):
    return {
        "read": f"2026-01-01T00:00:{at}Z",
        "cpu_stats": {"cpu_usage": {"total_usage": int(total * 1e9)}, "online_cpus": 4},
        "memory_stats": memory,
    }


@pytest.mark.parametrize(
    ("limits", "cores", "share"),
    [
        ({"NanoCpus": 500_000_000}, 0.5, 0.5),
        ({"CpuQuota": 200_000, "CpuPeriod": 100_000}, 2, 0.125),
        ({}, 4, 0.0625),
    ],
)
def test_cpu_is_a_share_of_the_containers_limit_else_of_the_machines_cores(limits, cores, share):
    use = use_of("app", statistics(1.0, "00"), statistics(1.5, "02", usage=1, limit=2), limits)
    assert (use.cores_limit, use.cpu_share) == (cores, share)


def test_a_counter_that_started_again_says_nothing_and_cache_is_not_memory():
    memory = {"usage": 100, "limit": 400, "stats": {"inactive_file": 60}}
    use = use_of("app", statistics(9.0, "00"), statistics(0.1, "01", **memory), {})
    assert (use.cores, use.memory_share) == (None, 0.1)


def test_a_container_is_read_as_docker_reports_it():
    attrs = {
        "Id": "x", "Name": "/p-app-1", "Image": "sha256:1", "RestartCount": 2,
        "Config": {
            "Image": "app:1",
            "Labels": {
                "com.docker.compose.service": "app",
                "com.docker.compose.depends_on": "postgres:service_healthy:false,redis:service_started:false",
            },
        },
        "State": {
            "Status": "exited", "ExitCode": 137, "OOMKilled": True, "StartedAt": "2026-01-01T00:00:00.123456789Z",
            "FinishedAt": "0001-01-01T00:00:00Z", "Health": {"Status": "none"},
        },
    }  # fmt: skip
    read = read_container(attrs)
    assert (read.name, read.needs, read.health, read.finished) == ("p-app-1", ("postgres", "redis"), "", None)
    assert (read.failed, read.was_stopped) == (True, False)
    assert read.fence == ContainerFence(id="x", started=read.started, restarts=2)
