"""What a diagnosis reads: complete where sources answer, and still an answer where none of them does."""

import dataclasses
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from urllib.parse import urlparse

import httpx
import pytest
from botocore.exceptions import ClientError
from temporalio.testing import ActivityEnvironment

from activities.aws.errors import aws_errors
from activities.cloudwatch.utilization import read_utilization
from activities.ecs.tasks import read_task
from activities.measuring.examining import Examination
from activities.measuring.instruments import Instruments
from activities.measuring.logs import measure_error_lines
from activities.measuring.sources import Sources
from activities.runtime.fence import TRIES
from runbook_model.errors import InputError, NotServingError, ThrottledError
from runbook_model.measured.evidence import onset_of
from runbook_model.releases.history import ReleaseHistory, ServiceDeployment
from runbook_model.releases.release import Release, ServiceState
from tests.observing import NOW, PROMETHEUS, a_target, an_observation, at, client, seconds

DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not allowed"}}, "Some")
EVERY_READ = ("errors", "load", "latency", "resources", "utilization", "tasks", "logs")


class Aws:
    """Clients of AWS whose calls answer what a test says, by the call's name; others are refused."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def _client(self, _account):
        return self

    ecs = logs = cloudwatch = _client

    def naming_errors(self, doing):
        return aws_errors(doing)

    def get_paginator(self, call):
        return SimpleNamespace(paginate=lambda **request: [getattr(self, call)(**request)])

    def client(self, _doing):
        raise NotServingError("no Docker engine answers")

    def __getattr__(self, call):
        def answer(**request):
            self.calls.append((call, request))
            found = self.answers.get(call, DENIED)
            if isinstance(found, Exception):
                raise found
            return found(request) if callable(found) else found

        return answer


def sources(aws=None, http=None):
    aws = aws or Aws()
    return Sources(aws, aws, http)


def away(_request):
    raise httpx.ConnectError("no route to host")


async def examined(read, aws=None, answer=away, target=None):
    async with client(answer) as http:
        return await getattr(Examination(sources(aws, http), lambda: NOW), read)(target or a_target())


@pytest.mark.parametrize("read", EVERY_READ)
async def test_sources_that_are_away_are_in_the_answer_and_in_words(read):
    found = await examined(read)
    assert "not known" in found.summary
    assert "no route to host" in found.summary or "not allowed" in found.summary or read == "load"


@pytest.mark.parametrize("read", EVERY_READ)
async def test_a_target_that_names_no_sources_is_answered_too(read):
    target = a_target(prometheus_url=None, log_group=None, platform="compose", release_label=None)
    assert "not known" in (await examined(read, target=target)).summary


@pytest.mark.parametrize("read", ["errors", "latency", "resources", "tasks"])
async def test_a_service_that_does_not_exist_is_wrong_input(read):
    with pytest.raises(
        InputError, match="has no service ai-processor-service-prod; correct cluster or ecs_service"
    ):
        await examined(read, Aws(describe_services={"services": []}))


def prometheus(numbers, moments=None):
    """Answer queries by the first fragment that they hold."""

    def answer(request):
        assert str(request.url).startswith(PROMETHEUS)
        query = request.url.params["query"]
        if query.startswith("count(http_errors_total{"):
            found = {"metric": {}, "value": [1, "1"]}
            return httpx.Response(
                200, json={"status": "success", "data": {"resultType": "vector", "result": [found]}}
            )
        if moments is not None:
            moments.append((query, request.url.params.get("time")))
        ranged = urlparse(str(request.url)).path.endswith("query_range")
        found = next((number for fragment, number in numbers.items() if fragment in query), [])
        rows = found if isinstance(found, list) else [({}, found)]
        result = [
            {"metric": labels, "values": [[1, str(value)], [2, str(value)]]}
            if ranged
            else {"metric": labels, "value": [1, str(value)]}
            for labels, value in rows
        ]
        kind = "matrix" if ranged else "vector"
        return httpx.Response(200, json={"status": "success", "data": {"resultType": kind, "result": result}})

    return answer


async def test_load_that_nothing_measures_is_not_known():
    load = await examined("load", answer=prometheus({}))
    assert load.summary == "requests not known, CPU not known"


async def test_load_is_held_against_the_usual():
    numbers = {
        "quantile_over_time(0.5, (sum": 20,
        "quantile_over_time": 0.2,
        "sum(rate(http": 50,
        "avg(": 0.9,
    }
    load = await examined("load", answer=prometheus(numbers))
    assert (load.growth, load.cpu_growth) == (2.5, pytest.approx(4.5))
    assert load.summary == "50.0 requests/s (usual 20.0), CPU 90 % of its limit (usual 20 %)"
    assert load.rate.query.startswith("sum(rate(http_requests_total{")
    assert load.rate.at == NOW


async def test_a_usual_of_nothing_is_no_ratio():
    load = await examined("load", answer=prometheus({"quantile": 0, "sum(rate": 50}))
    assert load.growth is None


async def test_the_slowest_endpoints_come_first_and_those_without_a_name_not_at_all():
    p95 = [({"endpoint": "/a"}, 0.1), ({"endpoint": "/b"}, 2.0), ({}, 9.0), ({"endpoint": "/c"}, "NaN")]
    means = [({"endpoint": "/a"}, 0.05), ({"endpoint": "/c"}, 3.0)]
    latency = await examined("latency", answer=prometheus({"le, endpoint": p95, "_sum": means}))
    assert [(item.endpoint, item.p95, item.mean) for item in latency.slowest] == [
        ("/c", None, 3.0),
        ("/b", 2.0, None),
        ("/a", 0.1, 0.05),
    ]


async def test_each_task_is_held_against_its_own_limit():
    tasks = [({"task": name, "release": "r:1"}, number) for name, number in (("a", 0.9), ("b", 0.2))]
    resources = await examined(
        "resources",
        Aws(describe_services=DENIED, list_tasks={"taskArns": []}),
        prometheus({"container_cpu": tasks, "container_memory_usage": tasks, "container_spec_memory": tasks}),
    )
    assert resources.cpu.values == {"a": 0.9, "b": 0.2}
    assert resources.memory.most == 0.9
    assert resources.releases == {"a": "r:1", "b": "r:1"}
    assert resources.series.tasks["a"] == ((1, 0.9), (2, 0.9))
    assert resources.summary == "CPU 55 %, memory 90 % of the limit, 0 restarts"


async def test_processes_that_are_no_more_stand_in_where_ecs_does_not_report_tasks():
    resources = await examined("resources", answer=prometheus({"last_over_time": 3}))
    assert (resources.restarts.known, resources.restarts.source, resources.restarts.count) == (
        True,
        "prometheus",
        3,
    )


async def test_no_number_of_tasks_makes_the_answer_large():
    tasks = [({"task": f"{i:064}", "release": "r:1"}, i) for i in range(2000)]
    found = await examined("resources", answer=prometheus(dict.fromkeys(("container",), tasks)))
    assert len(found.cpu.values) == 50
    assert "1999" in max(found.memory.values)
    assert len(found.model_dump_json()) < 100_000


ARN = "arn:aws:ecs:us-east-1:1:task-definition/app:"


def two_releases(began, settled):
    """The calls that report about app:2, deployed over app:1."""
    deployments = [
        {"serviceDeploymentArn": f"sd/{n}", "status": status, "createdAt": start, "targetServiceRevision": {"arn": f"rev/{n}"}}
        | ({"finishedAt": end} if end else {})
        for n, status, start, end in (
            (1, "SUCCESSFUL", at(-9000), at(-8000)),
            (2, "SUCCESSFUL" if settled else "IN_PROGRESS", began, settled),
        )
    ]  # fmt: skip
    return Aws(
        describe_services={"services": [SERVICE]},
        list_service_deployments={"serviceDeployments": deployments},
        describe_service_deployments={"serviceDeployments": deployments},
        describe_service_revisions={
            "serviceRevisions": [
                {"serviceRevisionArn": f"rev/{n}", "taskDefinition": f"{ARN}{n}"} for n in (1, 2)
            ]
        },
        describe_task_definition=lambda asked: {
            "taskDefinition": {
                "taskDefinitionArn": asked["taskDefinition"],
                "containerDefinitions": [],
                "status": "ACTIVE",
            }
        },
    )


SHARES = {"or vector(0)": 0.4, "increase(http_requests": 300}


async def test_each_window_around_the_release_is_asked_at_its_own_time():
    moments = []
    aws = two_releases(at(-600), at(-500))
    found = await examined("errors", aws, prometheus(SHARES, moments))
    assert (found.onset.release, found.onset.before) == ("app:2", "app:1")
    assert found.share.before.at == at(-600)
    assert found.share.first.at == at(-470), "two windows of 15 s after it had settled"
    assert found.share.now.at == NOW
    assert '"app:2"' in found.share.first.query
    assert "[30s]" in found.share.first.query
    assert '"app:2"' not in found.share.before.query
    asked = {moment for query, moment in moments if query == found.share.before.query}
    assert f"{at(-600).timestamp():.3f}" in asked


async def test_the_first_window_of_a_release_that_is_just_coming_ends_now():
    found = await examined("errors", two_releases(at(-20), None), prometheus(SHARES))
    assert (found.share.first.at, found.share.first.value) == (NOW, 0.4)


@pytest.mark.parametrize("settled", [None, at(-5)])
async def test_without_a_label_the_first_window_has_to_be_over(settled):
    target = a_target(release_label=None)
    found = await examined("errors", two_releases(at(-20), settled), prometheus(SHARES), target)
    assert (found.share.first.quality, found.share.first.why) == (
        "no-data",
        "no label distinguishes releases, and the first window is not over",
    )
    assert found.by_release.why == "the catalog names no release_label"


async def test_too_few_requests_say_nothing():
    found = await examined(
        "errors", two_releases(at(-600), at(-500)), prometheus(SHARES | {"increase(http_requests": 12})
    )
    assert found.share.before.value is None
    assert found.summary == "errors are not known: 12 requests in 15s, 50 are needed"


def metrics_of(requests, failed):
    return f'http_requests_total {requests}\nhttp_errors_total{{type="timeout"}} {failed}\nprocess_start_time_seconds 5\n'


async def test_while_prometheus_is_away_the_services_own_metrics_say_which_requests_fail_now():
    scraped = count()

    def answer(request):
        if str(request.url).startswith(PROMETHEUS):
            raise httpx.ConnectError("no route to host")
        number = next(scraped)
        return httpx.Response(200, text=metrics_of(100 * number, 25 * number))

    target = a_target(verify=a_target().verify.model_copy(update={"rate_window": seconds(0.1)}))
    found = await examined("errors", two_releases(at(-600), at(-500)), answer, target)
    assert (found.share.now.value, found.share.now.source) == (0.25, "scrape")
    assert found.by_type.values["timeout"] == found.requests.value / 4
    assert "no route to host" in found.share.before.why
    assert found.by_release.why == "a scrape sees the present only"


async def test_verification_and_diagnosis_show_the_same_measurement():
    numbers = SHARES | {"timestamp(": 1, "histogram_quantile": 2.0, "increase(http_requests": 300}
    numbers |= {"group by (le)": [({"le": "2.0"}, 1)], "avg(": 0.7, "max(": 0.6}
    aws = two_releases(at(-600), at(-500))
    async with client(prometheus(numbers)) as http:
        of_diagnosis = Examination(sources(aws, http), lambda: NOW)
        errors, latency, load = [
            await read(a_target()) for read in (of_diagnosis.errors, of_diagnosis.latency, of_diagnosis.load)
        ]
        look = an_observation(looks=("error-rate", "latency", "cpu"))
        sample = await Instruments(sources(aws, http)).sample(look, NOW)
    shown = (errors.share.now, latency.p95.now, load.cpu)
    assert [reading.value for reading in sample.readings] == [item.value for item in shown] == [0.4, 2.0, 0.7]
    assert (latency.p95.now.at_least, "at least 2.00s" in sample.readings[1].detail) == (True, True)


async def test_a_release_with_too_few_requests_is_left_out_of_the_comparison():
    numbers = {
        "0 * sum": [({"release": "app:1"}, 0.0), ({"release": "app:2"}, 1.0)],
        "sum by (release) (increase": [({"release": "app:1"}, 300), ({"release": "app:2"}, 3)],
    }
    found = await examined("errors", two_releases(at(-600), at(-500)), prometheus(numbers | SHARES))
    assert found.by_release.values == {"app:1": 0.0}


async def test_the_memory_of_tasks_of_earlier_releases_is_not_looked_at():
    found = await examined("resources", two_releases(at(-600), at(-500)), prometheus({}))
    assert 'release="app:2"' in found.series.query


def a_deployment(number, release, status="SUCCESSFUL", rollback=None):
    return ServiceDeployment(
        arn=f"sd/{number}",
        status=status,
        created_at=at(100 * number),
        finished_at=None if status == "IN_PROGRESS" else at(100 * number + 30),
        revision=f"rev/{release.revision}",
        release=release,
        rollback=rollback,
    )


def release(number):
    return Release(task_definition=f"arn:aws:ecs:us-east-1:1:task-definition/app:{number}")


def history(current, *deployments):
    service = ServiceState(
        arn="s", status="ACTIVE", desired=2, running=2, pending=0, task_definition=current.task_definition,
        deployments=(), read_at=NOW,
    )  # fmt: skip
    found = {deployment.revision: deployment.release for deployment in deployments}
    newest_first = tuple(sorted(deployments, key=lambda deployment: deployment.created_at, reverse=True))
    return ReleaseHistory(service=service, current=current, deployments=newest_first, releases=found)


def test_a_release_started_with_its_deployment_and_settled_with_its_end():
    onset = onset_of(history(release(2), a_deployment(1, release(1)), a_deployment(2, release(2))), NOW)
    assert (onset.release, onset.before) == ("app:2", "app:1")
    assert (onset.began, onset.settled) == (at(200), at(230))


def test_a_forced_deployment_of_the_same_release_is_not_its_start():
    deployments = (a_deployment(1, release(1)), a_deployment(2, release(2)), a_deployment(3, release(2)))
    assert onset_of(history(release(2), *deployments), NOW).began == at(200)


def test_a_deployment_that_is_under_way_has_started_and_not_settled():
    deployments = (a_deployment(1, release(1)), a_deployment(2, release(2), "IN_PROGRESS"))
    onset = onset_of(history(release(2), *deployments), NOW)
    assert (onset.before, onset.began, onset.settled) == ("app:1", at(200), None)


def test_a_deployment_that_landed_nowhere_is_passed_over():
    deployments = (
        a_deployment(1, release(1)),
        a_deployment(2, release(3), "ROLLBACK_FAILED"),
        a_deployment(3, release(2)),
    )
    assert onset_of(history(release(2), *deployments), NOW).before == "app:1"


def test_the_first_release_of_all_has_no_start_to_compare_with():
    onset = onset_of(history(release(1), a_deployment(1, release(1))), NOW)
    assert (onset.before, onset.began) == (None, None)
    assert onset_of(history(release(1)), NOW).began is None


def a_task(app=None, **changes):
    task = {
        "taskArn": "arn:aws:ecs:us-east-1:1:task/c/abc",
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/app:2",
        "lastStatus": "STOPPED",
        "healthStatus": "UNKNOWN",
        "startedAt": at(0),
        "stoppedAt": at(20),
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "containers": [{"exitCode": 137, "reason": "OutOfMemoryError: killed, password=hunter2"}],
    }
    return read_task(task | changes, app)


def test_a_task_says_why_it_stopped_without_what_is_secret():
    task = a_task()
    assert task.reason == "Essential container in task exited: OutOfMemoryError: killed, password=[redacted]"
    assert (task.task, task.release, task.exit_codes, task.lived) == ("abc", "app:2", (137,), seconds(20))


@pytest.mark.parametrize(
    ("changes", "failed", "out_of_memory"),
    [
        ({}, True, True),
        ({"containers": [{"exitCode": 1}]}, True, False),
        ({"stopCode": "TaskFailedToStart", "containers": [{}]}, True, False),
        ({"stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Task failed ELB health checks", "containers": []}, True, False),
        ({"stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Scaling activity", "containers": [{"exitCode": 137}]}, False, False),
        ({"stopCode": "UserInitiated", "stoppedReason": "restarted", "containers": [{"exitCode": 143}]}, False, False),
        ({"lastStatus": "RUNNING", "stoppedAt": None, "stopCode": None, "containers": []}, False, False),
    ],
)  # fmt: skip
def test_what_ended_by_itself_is_distinguished_from_what_was_stopped(changes, failed, out_of_memory):
    task = a_task(**changes)
    assert (task.failed, task.out_of_memory) == (failed, out_of_memory)


@pytest.mark.parametrize(
    ("app", "sidecar", "out_of_memory"),
    [
        # Once one container has ended, ECS ends the others of its task: 143, or 137 where they do not go.
        ({"exitCode": 1}, {"exitCode": 137}, False),
        ({"exitCode": 0}, {"exitCode": 137}, False),
        ({"exitCode": 137}, {"exitCode": 143}, True),
        ({"exitCode": 137}, {"exitCode": 1}, False),
        ({"exitCode": 143}, {"exitCode": 137, "reason": "OutOfMemoryError: killed"}, True),
    ],
)
def test_a_task_is_judged_by_the_container_that_ended_it(app, sidecar, out_of_memory):
    task = a_task("app", containers=[{"name": "agent", **sidecar}, {"name": "app", **app}])
    assert task.out_of_memory is out_of_memory


def test_a_task_that_a_sidecar_ended_says_so():
    task = a_task("app", containers=[{"name": "agent", "exitCode": 2}, {"name": "app", "exitCode": 143}])
    assert task.reason == "Essential container in task exited: container agent ended it"
    assert task.exit_codes == (2,)


SERVICE = {
    "serviceArn": "s", "status": "ACTIVE", "desiredCount": 2, "runningCount": 1, "pendingCount": 1,
    "taskDefinition": "arn:aws:ecs:us-east-1:1:task-definition/app:2", "deployments": [], "events": [],
}  # fmt: skip


async def test_tasks_that_run_and_tasks_that_stopped_are_read_apart_newest_first():
    def listed(request):
        names = {"RUNNING": ["r1"], "STOPPED": ["old", "new"]}[request["desiredStatus"]]
        return {"taskArns": [f"arn:aws:ecs:us-east-1:1:task/c/{name}" for name in names]}

    def described(request):
        ago = {"r1": None, "old": 10, "new": 90}
        return {
            "tasks": [
                {
                    "taskArn": arn,
                    "taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/app:2",
                    "lastStatus": "RUNNING",
                    "stoppedReason": "gone",
                }
                | ({"stoppedAt": at(ago[name])} if ago[name := arn.rpartition("/")[2]] else {})
                for arn in request["tasks"]
            ]
        }

    aws = Aws(describe_services={"services": [SERVICE]}, list_tasks=listed, describe_tasks=described)
    found = await examined("tasks", aws)
    assert [task.task for task in found.tasks] == ["r1"]
    assert [item.task for item in found.stopped] == ["new", "old"]
    assert (
        found.summary == "1 of 2 tasks run, 1 pending, 0 unhealthy, 2 stopped lately; the last to stop: gone"
    )
    assert found.onset.quality == "error", "the history could not be read; the tasks could"


async def test_of_many_stopped_tasks_the_newest_are_kept_and_those_that_it_started_with():
    arns = [f"arn:aws:ecs:us-east-1:1:task/c/{age}" for age in range(100)]

    def listed(request):
        return {"taskArns": arns if request["desiredStatus"] == "STOPPED" else []}

    def described(request):
        definition = "arn:aws:ecs:us-east-1:1:task-definition/app:2"
        tasks = [(arn, NOW - seconds(int(arn.rpartition("/")[2]))) for arn in request["tasks"]]
        return {
            "tasks": [
                {
                    "taskArn": arn,
                    "taskDefinitionArn": definition,
                    "lastStatus": "STOPPED",
                    "stoppedAt": stopped,
                }
                for arn, stopped in tasks
            ]
        }

    aws = Aws(describe_services={"services": [SERVICE]}, list_tasks=listed, describe_tasks=described)
    found = await examined("tasks", aws)
    assert [int(item.task) for item in found.stopped] == [*range(20), *range(90, 100)]


async def test_the_newest_stopped_task_is_found_though_ecs_lists_it_last():
    ages = [str(age) for age in range(216, 0, -1)]

    def listed(request):
        if request["desiredStatus"] != "STOPPED":
            return {"taskArns": []}
        start = int(request.get("nextToken", 0))
        more = {"nextToken": str(start + 100)} if start + 100 < len(ages) else {}
        return {"taskArns": ages[start : start + 100], **more}

    def described(request):
        definition = "arn:aws:ecs:us-east-1:1:task-definition/app:2"
        return {
            "tasks": [
                {"taskArn": f"arn:aws:ecs:us-east-1:1:task/c/{age}", "taskDefinitionArn": definition,
                 "lastStatus": "STOPPED", "stoppedAt": NOW - seconds(int(age))}
                for age in request["tasks"]
            ]
        }  # fmt: skip

    aws = Aws(describe_services={"services": [SERVICE]}, list_tasks=listed, describe_tasks=described)
    found = await examined("tasks", aws)
    assert [int(item.task) for item in found.stopped] == [*range(1, 21), *range(207, 217)]


THROTTLED = ClientError(
    {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "DescribeServices"
)


async def attempt(number, read):
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=number)
    aws = Aws(describe_services=THROTTLED, get_metric_statistics=THROTTLED, filter_log_events=THROTTLED)
    return await environment.run(examined, read, aws)


@pytest.mark.parametrize("read", ["tasks", "errors", "utilization", "logs"])
async def test_a_refusal_that_passes_is_no_answer_before_the_read_was_tried_again(read):
    with pytest.raises(ThrottledError):
        await attempt(1, read)
    assert "Rate exceeded" in str((await attempt(TRIES, read)).model_dump())


LINES = (
    "ERROR could not connect to postgres://app:secret@db/x: connection refused",
    "ERROR query timed out after 30 s",
    "ERROR processing failed: no result",
    "INFO connection opened",
)


async def test_error_lines_are_counted_by_the_dependencies_that_they_name_and_redacted():
    events = [{"timestamp": i, "message": line} for i, line in enumerate(LINES)]
    found = await measure_error_lines(
        sources(Aws(filter_log_events={"events": events})), a_target(), seconds(60), NOW
    )
    assert (found.count, found.about_dependencies) == (3, 2)
    assert found.dependencies == {"database": 1, "connection": 1, "timeout": 1}
    assert "secret" not in str(found)
    assert found.summary == "3 error lines in 1m; they name connection 1, database 1, timeout 1"


async def test_ten_thousand_error_lines_are_bounded():
    events = [{"timestamp": i, "message": f"ERROR {'x ' * 2000}{i}"} for i in range(1000)]
    found = await measure_error_lines(
        sources(Aws(filter_log_events={"events": events, "nextToken": "more"})), a_target(), seconds(60), NOW
    )
    assert (found.count, found.complete, len(found.newest)) == (5000, False, 10)
    assert found.summary.startswith("at least 5000 error lines")
    assert len(found.model_dump_json()) < 10_000


async def test_cloudwatch_is_asked_as_the_page_does_and_gives_shares():
    points = [{"Timestamp": at(60), "Average": 90.0}, {"Timestamp": at(0), "Average": 50.0}]
    aws = Aws(get_metric_statistics={"Datapoints": points})
    verify = a_target().verify.model_copy(update={"rate_window": timedelta(minutes=5)})
    found = await read_utilization(aws, a_target(verify=verify), NOW)
    assert found.cpu.points == ((at(0).timestamp(), 0.5), (at(60).timestamp(), 0.9))
    assert found.summary == "CloudWatch: CPU 90 %, memory 90 %"
    (_, asked), _ = aws.calls
    assert (asked["Namespace"], asked["Period"], asked["Statistics"]) == ("AWS/ECS", 300, ["Average"])
    assert asked["EndTime"] - asked["StartTime"] == timedelta(hours=1)


async def test_a_short_window_is_asked_by_the_minute_and_an_empty_answer_is_no_data():
    aws = Aws(get_metric_statistics={"Datapoints": []})
    found = await read_utilization(aws, a_target(), NOW)
    assert aws.calls[0][1]["Period"] == 60
    assert (found.cpu.quality, found.cpu.newest) == ("no-data", None)
