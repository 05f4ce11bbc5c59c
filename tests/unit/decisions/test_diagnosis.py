"""Which evidence speaks for which cause, and that ambiguous evidence is left to a person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.observing import NOW, B, N, a_sample, a_target, seconds
from tests.symptoms import (
    MIB,
    NEW,
    OLD,
    STARTED,
    a_service,
    a_stopped_task,
    a_task,
    an_onset,
    errors_read,
    latency_read,
    load_read,
    logs_read,
    resources_read,
    revisions_read,
    tasks_read,
    utilization_read,
)
from workflows.decisions.database import DatabaseSigns
from workflows.decisions.diagnosis import (
    Cause,
    classify_errors,
    classify_latency,
    classify_resources,
    classify_service_down,
)

TARGET = a_target()
WELL, SICK = a_sample(0, rate=0.0), a_sample(0, B, rate=0.9, health=B)
LEAKING = [(60.0 * i, (200 + 5 * i) * MIB) for i in range(30)]
SURGE = load_read(rate=75.0)
BUSY = load_read(cpu=0.95, usual_cpu=0.3)

ERRORS = {
    "it fails since the release": (
        (errors_read(0.01, 0.4, 0.4), load_read(), logs_read()),
        Cause.BAD_RELEASE,
        f"errors started with {NEW}: 1.0 % before it, 40.0 % in its first window (limit 10 %)",
    ),
    "it fails since the release, whatever the errors are about": (
        (errors_read(0.0, 0.4, 0.4, {"database": 50}), load_read(), logs_read(40, 40)),
        Cause.BAD_RELEASE,
        f"errors started with {NEW}: 0.0 % before it, 40.0 % in its first window (limit 10 %)",
    ),
    "the release burns CPU too, which is no more load": (
        (errors_read(0.0, 0.4, 0.4), BUSY, logs_read()),
        Cause.BAD_RELEASE,
        f"errors started with {NEW}: 0.0 % before it, 40.0 % in its first window (limit 10 %)",
    ),
    "both releases answer, and only the new one fails": (
        (errors_read(None, None, 0.3, releases={OLD: 0.01, NEW: 0.6}), load_read(), logs_read()),
        Cause.BAD_RELEASE,
        f"60.0 % fail on {NEW}, 1.0 % on {OLD} at the same time",
    ),
    "both releases answer, and both fail": (
        (errors_read(0.0, 0.4, 0.4, releases={OLD: 0.4, NEW: 0.4}), load_read(), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "it failed before the release too": (
        (errors_read(0.3, 0.4, 0.4), load_read(), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "it failed before the release too, and both answer": (
        (errors_read(0.3, 0.4, 0.4, releases={OLD: 0.01, NEW: 0.6}), load_read(), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "the release was well at first": (
        (errors_read(0.0, 0.01, 0.4), load_read(), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "more requests came with the release": (
        (errors_read(0.0, 0.4, 0.4), SURGE, logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "how it was before the release is not known": (
        (errors_read(None, 0.4, 0.4), load_read(), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "there was no release before": (
        (errors_read(0.0, 0.4, 0.4, onset=an_onset(before=None, began=None)), load_read(), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "most error lines name a dependency": (
        (errors_read(0.0, 0.0, 0.4), load_read(), logs_read(40, 30)),
        Cause.DEPENDENCY,
        "30 of 40 error lines name a dependency (connection)",
    ),
    "most errors are of a dependency's type": (
        (errors_read(0.0, 0.0, 0.4, {"database_timeout": 30, "processing": 10}), load_read(), logs_read()),
        Cause.DEPENDENCY,
        "30 of 40 errors are of type database_timeout",
    ),
    "a few error lines name a dependency": (
        (errors_read(0.0, 0.0, 0.4), load_read(), logs_read(40, 10)),
        Cause.UNKNOWN,
        None,
    ),
    "two lines are chance": (
        (errors_read(0.0, 0.0, 0.4), load_read(), logs_read(2, 2)),
        Cause.UNKNOWN,
        None,
    ),
    "three times the usual requests": (
        (errors_read(0.0, 0.0, 0.4), SURGE, logs_read()),
        Cause.LOAD,
        "75.0 requests/s are 3.0 times the usual 25.0",
    ),
    "three times the usual CPU": (
        (errors_read(0.0, 0.0, 0.4), BUSY, logs_read()),
        Cause.LOAD,
        "CPU 95 % (limit 80 %) is 3.2 times the usual",
    ),
    "CPU that is always so busy": (
        (errors_read(0.0, 0.0, 0.4), load_read(cpu=0.95, usual_cpu=0.9), logs_read()),
        Cause.UNKNOWN,
        None,
    ),
    "more requests and a dependency": (
        (errors_read(0.0, 0.0, 0.4), SURGE, logs_read(40, 40)),
        Cause.UNKNOWN,
        None,
    ),
    "nothing stands out": ((errors_read(0.0, 0.0, 0.4), load_read(), logs_read()), Cause.UNKNOWN, None),
    "errors are within the limit": (
        (errors_read(0.0, 0.02, 0.02), load_read(), logs_read()),
        Cause.FINE,
        "2.0 % of requests fail (0 % before ai-processor-prod:3, 2 % in its first window)",
    ),
    "errors are not known": (
        (errors_read(0.0, 0.4, None), load_read(), logs_read()),
        Cause.UNKNOWN,
        "errors are not known: could not ask: no answer in time",
    ),
}


class TestTwoReleases:
    """While traffic is shifted, what each release did comes before what both did together."""

    def test_the_one_that_is_coming_is_named_although_all_requests_together_are_within_the_limit(self):
        errors = errors_read(0.0, 0.0, 0.01).model_copy(update={"revisions": revisions_read(0.3)})
        found = classify_errors(TARGET, errors, SURGE, logs_read(40, 40))
        assert (found.cause, found.release) == (Cause.BAD_RELEASE, NEW)
        assert found.because[0].startswith(f"{NEW} (tag), which is coming, is the bad one: ")

    def test_more_requests_explain_it_too_where_one_answered_after_the_other(self):
        after = revisions_read(0.3, together=False)
        errors = errors_read(0.0, 0.3, 0.3).model_copy(update={"revisions": after})
        assert classify_errors(TARGET, errors, load_read(), logs_read()).cause is Cause.BAD_RELEASE
        found = classify_errors(TARGET, errors, SURGE, logs_read())
        assert (found.cause, found.because[1]) == (
            Cause.UNKNOWN,
            "but 75.0 requests/s are 3.0 times the usual 25.0 too",
        )

    def test_the_old_one_is_left_to_a_person_although_errors_started_with_the_other(self):
        errors = errors_read(0.0, 0.4, 0.4).model_copy(update={"revisions": revisions_read(0.0, 0.3)})
        found = classify_errors(TARGET, errors, load_read(), logs_read())
        assert (found.cause, found.release) == (Cause.UNKNOWN, None)
        assert f"{OLD} (tag), which ran before, is the bad one" in found.summary

    def test_two_that_fail_are_not_the_doing_of_the_one_that_is_coming(self):
        errors = errors_read(0.0, 0.4, 0.4).model_copy(update={"revisions": revisions_read(0.3, 0.3)})
        assert classify_errors(TARGET, errors, load_read(), logs_read()).cause is Cause.UNKNOWN

    @pytest.mark.parametrize("revisions", [None, revisions_read(None, None)])
    def test_where_their_figures_are_not_known_the_rest_of_the_evidence_decides(self, revisions):
        errors = errors_read(0.0, 0.4, 0.4).model_copy(update={"revisions": revisions})
        assert classify_errors(TARGET, errors, load_read(), logs_read()).cause is Cause.BAD_RELEASE

    def test_slow_answers_do_not_explain_failures(self):
        slow = revisions_read(of_coming={"p95": 3.0})
        errors = errors_read(0.0, 0.0, 0.0).model_copy(update={"revisions": slow})
        assert classify_errors(TARGET, errors, load_read(), logs_read()).cause is Cause.FINE

    @pytest.mark.parametrize(
        ("slow", "cause", "release"),
        [("of_coming", Cause.BAD_RELEASE, NEW), ("of_old", Cause.UNKNOWN, None)],
    )
    def test_a_release_that_alone_is_slow_is_named_only_if_it_is_the_coming_one(self, slow, cause, release):
        revisions = revisions_read(**{slow: {"p95": 3.0}})
        latency = latency_read(0.1, 0.1, 0.9).model_copy(update={"revisions": revisions})
        found = classify_latency(TARGET, latency, SURGE, resources_read(cpu=0.95), logs_read())
        assert (found.cause, found.release) == (cause, release)
        assert "is the bad one" in found.because[0]


@pytest.mark.parametrize(("given_", "cause", "because"), ERRORS.values(), ids=ERRORS.keys())
def test_why_requests_fail(given_, cause, because):
    found = classify_errors(TARGET, *given_)
    assert found.cause is cause, found
    assert because in {None, found.because[0]}
    assert found.release == (NEW if cause is Cause.BAD_RELEASE else None)


def test_a_dependency_that_a_bad_release_names_is_a_doubt():
    found = classify_errors(TARGET, errors_read(0.0, 0.4, 0.4), load_read(), logs_read(40, 40))
    assert found.doubts == ("40 of 40 error lines name a dependency (connection)",)


def test_what_could_not_be_read_is_a_doubt():
    load = load_read(usual=None)
    found = classify_errors(TARGET, errors_read(0.0, 0.4, 0.4), load, logs_read(away=True))
    assert found.cause is Cause.BAD_RELEASE
    assert found.doubts == ("usual requests, logs not known: could not ask: no answer in time",)


LOCKED = DatabaseSigns(summary="locks: 3 sessions wait", trouble="3 sessions wait for locks")
FORGOTTEN = LOCKED.model_copy(update={"forgotten": True})
UNSEEN = DatabaseSigns(summary="the database could not be asked", known=False)
LATENCY = {
    "more requests": ((SURGE, resources_read(), logs_read()), Cause.LOAD, "75.0 requests/s are 3.0 times"),
    "more requests, which keep the CPU busy": (
        (SURGE, resources_read(cpu=0.95), logs_read()),
        Cause.LOAD,
        "75.0 requests/s are 3.0 times",
    ),
    "busy CPU at the usual load": (
        (load_read(), resources_read(cpu=0.95), logs_read()),
        Cause.RESOURCES,
        "CPU 95 % (limit 80 %)",
    ),
    "full memory at the usual load": (
        (load_read(), resources_read(memory=0.95), logs_read()),
        Cause.RESOURCES,
        "memory 95 % (limit 85 %)",
    ),
    "errors name the database": (
        (load_read(), resources_read(), logs_read(10, 10, database=8)),
        Cause.DATABASE,
        "8 of 10 error lines name the database",
    ),
    "the database is slow": (
        (load_read(), resources_read(), logs_read(), LOCKED),
        Cause.DATABASE,
        "3 sessions wait for locks",
    ),
    "the database and the CPU": (
        (load_read(), resources_read(cpu=0.95), logs_read(), LOCKED),
        Cause.UNKNOWN,
        "p95 2.00s",
    ),
    "a forgotten session that holds a lock, and more requests": (
        (SURGE, resources_read(), logs_read(), FORGOTTEN),
        Cause.DATABASE,
        "3 sessions wait for locks; 75.0 requests/s are 3.0 times",
    ),
    "nothing stands out, and no path is slower than others": (
        (load_read(), resources_read(), logs_read()),
        Cause.UNKNOWN,
        "p95 2.00s",
    ),
}


@pytest.mark.parametrize(("given_", "cause", "because"), LATENCY.values(), ids=LATENCY.keys())
def test_why_answers_are_slow(given_, cause, because):
    found = classify_latency(TARGET, latency_read(2.0, 2.0, 2.0), *given_)
    assert found.cause is cause, found
    assert found.because[0].startswith(because)
    assert found.release is None


QUIET = (load_read(), resources_read(), logs_read())
SINCE_RELEASE = latency_read(0.2, 2.0, 2.0)


def test_answers_that_are_slow_since_a_release_are_slow_code():
    found = classify_latency(TARGET, SINCE_RELEASE, *QUIET)
    assert (found.cause, found.release) == (Cause.CODE_PATH, NEW)
    assert found.because[0] == f"answers are slow since {NEW}"


def test_one_endpoint_that_is_slow_among_quick_ones_is_slow_code():
    latency = latency_read(2.0, 2.0, 2.0, endpoints={"/report": 3.0, "/process": 0.1})
    found = classify_latency(TARGET, latency, *QUIET)
    assert (found.cause, found.release) == (Cause.CODE_PATH, None)
    assert found.because[0] == "only /report is slow, /process is not"


@pytest.mark.parametrize(
    "unknown",
    [
        (load_read(usual=None), resources_read(), logs_read()),
        (load_read(), resources_read(cpu=None), logs_read()),
        (load_read(), resources_read(memory=None), logs_read()),
        (load_read(), resources_read(), logs_read(away=True)),
        (load_read(), resources_read(), logs_read(10, 10)),
        (load_read(), resources_read(), logs_read(), UNSEEN),
    ],
    ids=["load", "cpu", "memory", "logs", "a dependency", "the database"],
)
def test_code_is_only_to_blame_once_all_else_is_ruled_out(unknown):
    assert classify_latency(TARGET, SINCE_RELEASE, *unknown).cause is Cause.UNKNOWN


def test_busy_tasks_since_a_release_name_the_release():
    found = classify_latency(TARGET, SINCE_RELEASE, load_read(), resources_read(cpu=0.95), logs_read())
    assert (found.cause, found.release) == (Cause.RESOURCES, NEW)


def test_quick_answers_are_fine_and_unknown_ones_are_unknown():
    assert classify_latency(TARGET, latency_read(), *QUIET).cause is Cause.FINE
    assert classify_latency(TARGET, latency_read(now=None), *QUIET).cause is Cause.UNKNOWN


RESOURCES = {
    "all is well": ((resources_read(), load_read(), utilization_read()), Cause.FINE, "CPU 30 %"),
    "CPU at the usual load": (
        (resources_read(cpu=0.95), load_read(), utilization_read()),
        Cause.CPU,
        "CPU 95 % (limit 80 %)",
    ),
    "memory at the usual load": (
        (resources_read(memory=0.9), load_read(), utilization_read()),
        Cause.MEMORY,
        "memory 90 % (limit 85 %)",
    ),
    "CPU and more requests": (
        (resources_read(cpu=0.95), SURGE, utilization_read()),
        Cause.LOAD,
        "75.0 requests/s are 3.0 times",
    ),
    "memory that grows all the time": (
        (resources_read(series=LEAKING), load_read(), utilization_read()),
        Cause.LEAK,
        "1 task leaks memory: it grows by 5.0 MiB/min, full in 33 min",
    ),
    "memory that grew beyond the limit, and a busy CPU": (
        (resources_read(0.95, 0.9, series=LEAKING), load_read(), utilization_read()),
        Cause.LEAK,
        "1 task leaks memory",
    ),
    "memory that grows while requests do": (
        (resources_read(series=LEAKING), SURGE, utilization_read()),
        Cause.UNKNOWN,
        "1 task leaks memory",
    ),
    "memory that grows, and a busy CPU that has nothing to do with it": (
        (resources_read(0.95, 0.3, series=LEAKING), load_read(), utilization_read()),
        Cause.UNKNOWN,
        "1 task leaks memory",
    ),
    "CPU and memory": (
        (resources_read(0.95, 0.9), load_read(), utilization_read()),
        Cause.UNKNOWN,
        "CPU 95 % (limit 80 %)",
    ),
    "CPU, and nobody knows the usual load": (
        (resources_read(cpu=0.95), load_read(usual=None), utilization_read()),
        Cause.UNKNOWN,
        "CPU 95 %",
    ),
    "tasks that were killed for their memory": (
        (resources_read(killed=3), load_read(), utilization_read()),
        Cause.MEMORY,
        "3 tasks were killed for their memory",
    ),
    "one that was killed": ((resources_read(killed=1), load_read(), utilization_read()), Cause.FINE, "CPU"),
    "CPU as CloudWatch has it, while Prometheus is away": (
        (resources_read(cpu=None), load_read(), utilization_read(cpu=0.97)),
        Cause.CPU,
        "CPU 97 % by CloudWatch (limit 80 %)",
    ),
    "CPU as CloudWatch still has it, while Prometheus knows better": (
        (resources_read(cpu=0.2), load_read(), utilization_read(cpu=0.97)),
        Cause.FINE,
        "CPU 20 %",
    ),
    "CloudWatch alone, which has no single tasks": (
        (resources_read(None, None), load_read(), utilization_read(0.2, 0.3)),
        Cause.FINE,
        "CloudWatch: CPU 20 %, memory 30 %",
    ),
    "nobody knows": (
        (resources_read(None, None), load_read(), utilization_read(None, None)),
        Cause.UNKNOWN,
        "CPU and memory of each task not known",
    ),
    "half is known and well": (
        (resources_read(0.2, None), load_read(), utilization_read(0.2, None)),
        Cause.UNKNOWN,
        "CPU 20 %",
    ),
}


@pytest.mark.parametrize(("given_", "cause", "because"), RESOURCES.values(), ids=RESOURCES.keys())
def test_why_resources_run_out(given_, cause, because):
    found = classify_resources(TARGET, *given_)
    assert found.cause is cause, found
    assert found.because[0].startswith(because)


def test_a_leak_names_the_release_of_the_tasks_that_leak():
    found = classify_resources(TARGET, resources_read(series=LEAKING), load_read(), utilization_read())
    assert found.release == NEW


def test_cpu_that_is_busy_since_a_release_names_it():
    resources = resources_read(cpu=0.95, cpu_course=(0.3, 0.95, 0.95))
    assert classify_resources(TARGET, resources, load_read(), utilization_read()).release == NEW
    before = resources_read(cpu=0.95, cpu_course=(0.9, 0.95, 0.95))
    assert classify_resources(TARGET, before, load_read(), utilization_read()).release is None


YOUNG = an_onset(began=STARTED)
GROWN = an_onset(began=STARTED - seconds(86_400))
UNHEALTHY = {"stop_code": "ServiceSchedulerInitiated", "reason": "Task failed container health checks"}
NOT_PULLED = {"stop_code": "TaskFailedToStart", "reason": "CannotPullContainerError", "exit_codes": ()}
NO_ROOM = a_service(1, 2, events=("(service s) was unable to place a task because no room was left",))
CRASHES = (a_stopped_task(200), a_stopped_task(100), a_stopped_task(10))

DOWN = {
    "tasks crash since the release": (
        (tasks_read(*CRASHES, onset=YOUNG), logs_read(), SICK),
        Cause.BAD_RELEASE,
        f"tasks of {NEW} fail since 1m 40s after it started; {OLD} ran before it without that",
    ),
    "tasks crash since the release, and have for half an hour": (
        (tasks_read(*CRASHES, a_stopped_task(1790), onset=an_onset(began=NOW - seconds(1800))), logs_read(), SICK),
        Cause.BAD_RELEASE,
        f"tasks of {NEW} fail since 10s after it started",
    ),
    "tasks of the release cannot be started": (
        (tasks_read(a_stopped_task(100, **NOT_PULLED), onset=YOUNG), logs_read(), SICK),
        Cause.BAD_RELEASE,
        f"tasks of {NEW} fail",
    ),
    "tasks are unhealthy since the release": (
        (tasks_read(tasks=(a_task(health="UNHEALTHY"),), onset=YOUNG), logs_read(), SICK),
        Cause.BAD_RELEASE,
        f"tasks of {NEW} fail since 5m after it started",
    ),
    "tasks crash since the release, and those of the one before crashed as well": (
        (tasks_read(*CRASHES, a_stopped_task(400, OLD), onset=YOUNG), logs_read(), SICK),
        Cause.CRASH_LOOP,
        "3 tasks ended by themselves with exit code 1",
    ),
    "tasks of a release that ran for a day crash": (
        (tasks_read(*CRASHES, onset=GROWN), logs_read(), SICK),
        Cause.CRASH_LOOP,
        "3 tasks ended by themselves with exit code 1",
    ),
    "they crash because a dependency is gone": (
        (tasks_read(*CRASHES, onset=GROWN), logs_read(20, 20), SICK),
        Cause.DEPENDENCY,
        "20 of 20 error lines name a dependency",
    ),
    "they crashed an hour ago": (
        (tasks_read(a_stopped_task(3600), a_stopped_task(3500), onset=GROWN), logs_read(), WELL),
        Cause.FINE,
        "health 200",
    ),
    "one crash is no loop": (
        (tasks_read(a_stopped_task(20), onset=GROWN, service=a_service(1)), logs_read(), SICK),
        Cause.UNKNOWN,
        "health 503",
    ),
    "tasks that a deployment stopped have not failed": (
        (tasks_read(*(a_stopped_task(n, OLD, stop_code="ServiceSchedulerInitiated", reason="Scaling activity") for n in (9, 8)), onset=YOUNG), logs_read(), WELL),
        Cause.FINE,
        "health 200",
    ),
    "tasks fail their health checks after a day": (
        (tasks_read(a_stopped_task(30, **UNHEALTHY), onset=GROWN), logs_read(), SICK),
        Cause.UNHEALTHY_TARGETS,
        "1 task fails health checks",
    ),
    "tasks crash, and others are unhealthy": (
        (tasks_read(*CRASHES, a_stopped_task(30, **UNHEALTHY), onset=GROWN), logs_read(), SICK),
        Cause.UNKNOWN,
        "3 tasks ended by themselves",
    ),
    "there is no room for tasks": (
        (tasks_read(onset=GROWN, service=NO_ROOM), logs_read(), SICK),
        Cause.CAPACITY,
        "(service s) was unable to place a task",
    ),
    "there was no room, but all tasks run now": (
        (tasks_read(onset=GROWN, service=NO_ROOM.model_copy(update={"running": 2})), logs_read(), WELL),
        Cause.FINE,
        "health 200",
    ),
    "the deployment lasts for hours and nothing fails": (
        (tasks_read(onset=GROWN, service=a_service(1, rollout="IN_PROGRESS", age=7200)), logs_read(), SICK),
        Cause.DEPLOYMENT_STUCK,
        "the deployment is under way for 2h, 1 of 2 tasks run",
    ),
    "the deployment started a minute ago": (
        (tasks_read(onset=GROWN, service=a_service(1, rollout="IN_PROGRESS", age=60)), logs_read(), SICK),
        Cause.UNKNOWN,
        "health 503",
    ),
    "all tasks run, and users still see failures about a dependency": (
        (tasks_read(onset=GROWN), logs_read(20, 20), SICK),
        Cause.DEPENDENCY,
        "20 of 20 error lines name a dependency",
    ),
    "all tasks run, users see failures, and nobody knows why": (
        (tasks_read(onset=GROWN), logs_read(), SICK),
        Cause.UNKNOWN,
        "health 503",
    ),
    "all tasks run and users see nothing wrong": ((tasks_read(onset=GROWN), logs_read(), WELL), Cause.FINE, "health 200"),
    "all tasks run, and what users see is not known": (
        (tasks_read(onset=GROWN), logs_read(), a_sample(0, N)),
        Cause.UNKNOWN,
        "health 200",
    ),
    "nothing is meant to run": (
        (tasks_read(onset=GROWN, service=a_service(0, 0)), logs_read(), SICK),
        Cause.UNKNOWN,
        "the desired count is 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given_", "cause", "because"), DOWN.values(), ids=DOWN.keys())
def test_why_a_service_is_down(given_, cause, because):
    found = classify_service_down(TARGET, *given_)
    assert found.cause is cause, found
    assert found.because[0].startswith(because), found
    assert found.release == (NEW if cause is Cause.BAD_RELEASE else None)


def test_tasks_that_cannot_be_read_leave_it_to_a_person():
    tasks = tasks_read().model_copy(update={"service": None, "quality": "error", "why": "ECS is away"})
    found = classify_service_down(TARGET, tasks, logs_read(), SICK)
    assert (found.cause, found.because) == (Cause.UNKNOWN, ("tasks are not known: ECS is away",))


share = st.one_of(st.none(), st.floats(0, 2))
rate = st.one_of(st.none(), st.floats(0, 1e6))


@given(
    before=share,
    first=share,
    now=share,
    per_second=rate,
    usual=rate,
    count=st.integers(0, 50),
    part=st.floats(0, 1),
)
def test_whatever_is_read_of_errors_there_is_a_cause_and_a_bad_release_only_where_errors_started_with_it(
    before, first, now, per_second, usual, count, part
):
    load, logs = load_read(per_second, usual), logs_read(count, int(count * part))
    found = classify_errors(TARGET, errors_read(before, first, now), load, logs)
    assert found.because
    assert found.summary
    if found.cause is Cause.BAD_RELEASE:
        assert before <= TARGET.thresholds.error_rate < min(first, now)
    if now is None:
        assert found.cause is Cause.UNKNOWN


@given(cpu=share, memory=share, cloud_cpu=share, cloud_memory=share, per_second=rate, usual=rate)
def test_whatever_is_read_of_resources_there_is_a_cause_and_fine_only_where_both_are_known_and_well(
    cpu, memory, cloud_cpu, cloud_memory, per_second, usual
):
    found = classify_resources(
        TARGET,
        resources_read(cpu, memory),
        load_read(per_second, usual),
        utilization_read(cloud_cpu, cloud_memory),
    )
    assert found.because
    if found.cause is Cause.FINE:
        assert (cloud_cpu if cpu is None else cpu) <= TARGET.thresholds.cpu
        assert (cloud_memory if memory is None else memory) <= TARGET.thresholds.memory


def test_logs_that_could_not_be_read_are_not_said_to_name_no_dependency():
    found = classify_service_down(TARGET, tasks_read(onset=GROWN), logs_read(away=True), SICK)
    assert "no error lines" not in found.summary
    assert found.summary.count("logs not known") == 1


def test_failures_without_a_type_are_called_so_and_types_without_failures_are_not_named():
    assert errors_read(now=0.3, types={"": 20.0, "overload": 0.2}).summary.endswith("by type: no type 20")
