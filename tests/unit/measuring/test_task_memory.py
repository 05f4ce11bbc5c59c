"""Memory of each task where Prometheus has none of it: Container Insights, or the reason why nobody knows."""

from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from botocore.stub import ANY, Stubber

from activities.measuring.quantities import measure_memory
from activities.measuring.sources import Sources
from activities.prometheus.evidence import PrometheusEvidence
from runbook_model.catalog.service_policies import Verify
from tests.aws_answers import HERE, Ecs
from tests.ecs_facts import ARN, a_release, task_definition
from tests.observing import NOW, PROMETHEUS, a_target, client
from tests.symptoms import load_read, resources_read, utilization_read
from workflows.decisions.diagnosis.cause import Cause
from workflows.decisions.diagnosis.resources import classify_resources, judge_leak

MIB = 1024**2
HOUR = timedelta(hours=1)
FIVE = timedelta(minutes=5)
SEARCH = (
    'SEARCH(\'{ECS/ContainerInsights,ClusterName,ServiceName,TaskId} MetricName="%s" '
    'ClusterName="ai-processor-prod" ServiceName="ai-processor-service-prod"\', \'Average\', 60)'
)
GROWING = [100 + 4 * n for n in range(40)]
STEADY = [100.0] * 40


def series(name, task, values, status="Complete"):
    """One series of CloudWatch, newest first as it answers, in MiB."""
    moments = [NOW - timedelta(minutes=n + 3) for n in range(len(values))]
    return {
        "Id": name,
        "Label": task,
        "Timestamps": moments,
        "Values": [float(v) for v in reversed(values)],
        "StatusCode": status,
    }


def ecs_task(name, revision):
    return {
        "taskArn": f"{ARN}:task/prod/{name}",
        "taskDefinitionArn": task_definition(revision),
        "lastStatus": "RUNNING",
        "containers": [],
    }


class Aws:
    """The product's clients, whose CloudWatch and ECS answer what a test says, in order."""

    def __init__(self):
        self.ecs = Ecs()
        self.clients = self.ecs.clients
        self.cloudwatch = Stubber(self.clients.cloudwatch(HERE))

    def insights(self, *pages, since=NOW - HOUR):
        queries = [
            {"Id": name, "Expression": SEARCH % metric, "Label": "${PROP('Dim.TaskId')}"}
            for name, metric in (("used", "MemoryUtilized"), ("limit", "MemoryReserved"))
        ]
        asked = {"MetricDataQueries": queries, "StartTime": since, "EndTime": NOW}
        for number, page in enumerate(pages, 1):
            more = {"NextToken": str(number)} if number < len(pages) else {}
            self.cloudwatch.add_response("get_metric_data", {"MetricDataResults": page, **more}, asked)
            asked = {**asked, **more}

    def tasks(self, running=(), stopped=()):
        for tasks in (running, stopped):
            arns = [task["taskArn"] for task in tasks]
            self.ecs.answers("list_tasks", {"taskArns": arns})
            if arns:
                self.ecs.answers("describe_tasks", {"tasks": list(tasks)}, {"cluster": ANY, "tasks": arns})

    @contextmanager
    def asked_for_exactly_this(self):
        with self.ecs.asked_for_exactly_this(), self.cloudwatch:
            yield
            self.cloudwatch.assert_no_pending_responses()


async def measured(aws, answer=None, span=HOUR, **changes):
    target = a_target(
        verify=Verify(rate_window=FIVE), **({} if answer else {"prometheus_url": None}) | changes
    )
    async with client(answer or (lambda _request: httpx.Response(500))) as http:
        sources = Sources(aws.clients, None, http)
        ask = PrometheusEvidence(sources.stores, target, NOW)
        with aws.asked_for_exactly_this():
            return await measure_memory(sources, ask, a_release(2), span)


def prometheus(rows):
    def answer(request):
        assert str(request.url).startswith(PROMETHEUS)
        ranged = request.url.path.endswith("query_range")
        found = [
            {"metric": labels} | ({"values": [[1, "5"]]} if ranged else {"value": [1, "5"]})
            for labels in rows
        ]
        data = {"resultType": "matrix" if ranged else "vector", "result": found}
        return httpx.Response(200, json={"status": "success", "data": data})

    return answer


async def test_memory_of_each_task_is_found_without_prometheus_in_bytes_and_oldest_first():
    aws = Aws()
    aws.insights([series("used", "a", GROWING), series("limit", "a", [512] * 40)])
    aws.tasks(running=[ecs_task("a", 2)])
    found = await measured(aws)
    assert (found.series.known, found.series.source) == (True, "cloudwatch")
    assert found.series.query == "GetMetricData " + SEARCH % "MemoryUtilized"
    assert [value for _, value in found.series.tasks["a"]] == [value * MIB for value in GROWING]
    assert found.series.limits == {"a": 512 * MIB}
    assert found.releases == {"a": "shop:2"}
    assert judge_leak(found.series.tasks["a"], found.series.limits["a"]).verdict == "leaks"


async def test_prometheus_is_asked_first_and_container_insights_only_where_it_has_no_such_series():
    found = await measured(Aws(), prometheus([{"task": "a"}]))
    assert (found.series.source, list(found.series.tasks)) == ("prometheus", ["a"])

    aws = Aws()
    aws.insights([series("used", "a", STEADY)])
    aws.tasks(running=[ecs_task("a", 2)])
    found = await measured(aws, prometheus([]))
    assert (found.series.source, found.series.limits) == ("cloudwatch", {})


async def test_a_prometheus_that_is_away_is_not_replaced():
    found = await measured(Aws(), lambda _request: httpx.Response(500))
    assert (found.series.quality, found.series.source) == ("error", "prometheus")


async def test_what_tasks_of_earlier_releases_did_says_nothing_but_a_task_that_was_killed_does():
    aws = Aws()
    aws.insights([series("used", name, GROWING) for name in ("new", "killed", "old", "unknown")])
    aws.tasks(running=[ecs_task("new", 2), ecs_task("old", 1)], stopped=[ecs_task("killed", 2)])
    found = await measured(aws)
    assert set(found.series.tasks) == {"new", "killed"}


async def test_pages_of_figures_are_put_together():
    aws = Aws()
    aws.insights([series("used", "a", STEADY)], [series("used", "b", STEADY)])
    aws.tasks(running=[ecs_task("a", 2), ecs_task("b", 2)])
    assert set((await measured(aws)).series.tasks) == {"a", "b"}


async def test_short_windows_are_looked_at_for_half_an_hour():
    aws = Aws()
    aws.insights([], since=NOW - timedelta(minutes=30))
    await measured(aws, span=timedelta(minutes=3))


async def test_where_enhanced_observability_is_not_enabled_that_is_said_next_to_what_prometheus_has():
    aws = Aws()
    aws.insights([])
    found = await measured(aws)
    assert (found.series.quality, found.series.source, found.releases) == ("no-data", "prometheus", {})
    assert found.series.why == (
        "the catalog names no prometheus_url; "
        "Container Insights has no memory of its tasks: enhanced observability is not enabled"
    )


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
async def test_figures_that_are_not_complete_are_no_data(status):
    aws = Aws()
    aws.insights([series("used", "a", GROWING, status)])
    found = await measured(aws)
    assert not found.series.known
    assert f"CloudWatch answered {status}" in found.series.why


async def test_tasks_that_are_too_new_for_container_insights_are_no_data():
    aws = Aws()
    aws.insights([series("used", "old", GROWING)])
    aws.tasks(running=[ecs_task("new", 2)])
    found = await measured(aws)
    assert (found.series.quality, found.series.source) == ("no-data", "cloudwatch")
    assert "nothing of the tasks of the release that runs yet" in found.series.why


async def test_who_may_not_read_cloudwatch_reads_which_call_was_refused():
    aws = Aws()
    aws.cloudwatch.add_client_error("get_metric_data", "AccessDenied", "not allowed", http_status_code=403)
    found = await measured(aws)
    assert found.series.quality == "no-data"
    assert "read the memory of tasks from CloudWatch" in found.series.why


async def test_containers_of_compose_are_not_asked_for_in_cloudwatch():
    found = await measured(Aws(), platform="compose")
    assert found.series.why == "the catalog names no prometheus_url"


async def test_a_leak_is_named_with_its_release_by_cloudwatch_alone():
    aws = Aws()
    aws.insights([series("used", "a", GROWING), series("limit", "a", [512] * 40)])
    aws.tasks(running=[ecs_task("a", 2)])
    found = await measured(aws)
    resources = resources_read(cpu=None, memory=None).model_copy(
        update={"series": found.series, "releases": found.releases}
    )
    diagnosis = classify_resources(a_target(), resources, load_read(), utilization_read(memory=0.5))
    assert (diagnosis.cause, diagnosis.release) == (Cause.LEAK, "shop:2")
    assert "1 task leaks memory: it grows by 4.0 MiB/min" in diagnosis.because[0]
