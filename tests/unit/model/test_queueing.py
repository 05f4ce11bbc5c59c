"""Services that take their work from an SQS queue: what its figures in CloudWatch say, with and without HTTP."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from botocore.stub import Stubber

from activities.cloudwatch.queues import window_of
from activities.doctor.looking import look
from activities.doctor.service import ServiceLook, read_cloudwatch
from activities.measuring.instruments import Instruments
from activities.measuring.sources import Sources
from runbook_model.catalog.service_policies import Thresholds, Verify
from runbook_model.measured.queueing import QueueFigures, queue_reading, with_queue
from runbook_model.measured.readings import Quality, Reading, Sample, is_decided
from tests.aws_answers import HERE, Ecs, service
from tests.observing import NOW, B, E, G, N, a_target, an_observation, at, client, seconds

MINUTE = timedelta(minutes=1)
VERIFY = Verify(rate_window=timedelta(minutes=5))
WORKER = a_target(
    queue="orders",
    url=None,
    prometheus_url=None,
    release_label=None,
    verify=VERIFY,
    evidence=("prometheus", "load-balancer", "scrape", "probe"),
)


def points(*values):
    """Values of the last published minutes, oldest first; None where CloudWatch has no point."""
    first = NOW - VERIFY.lag - len(values) * MINUTE
    return tuple(
        ((first + n * MINUTE).timestamp(), float(value))
        for n, value in enumerate(values)
        if value is not None
    )


def figures(age=(0,) * 5, waiting=(0,) * 5, sent=(9,) * 5, deleted=(9,) * 5, why=""):
    return QueueFigures(
        age=points(*age), waiting=points(*waiting), sent=points(*sent), deleted=points(*deleted), why=why
    )


@pytest.mark.parametrize(
    ("found", "quality", "decides", "words"),
    [
        (figures(), G, True, "the oldest message is 0s old, 0 messages waiting (limit 5m), 45 messages done"),
        (figures(age=(30, 40, 50, 60, 70), waiting=(7,) * 5), G, True, "1m 10s old, 7 messages waiting"),
        (figures(age=(400, 460, 520, 580, 640), waiting=(99,) * 5), B, True, "10m 40s old, 99 messages waiting (limit 5m)"),
        (figures(age=(640,)), B, True, "10m 40s old"),
        (figures(age=(900, 800, 700, 600, 500)), N, True, "(limit 5m), and its age falls"),
        (figures(deleted=()), N, True, "no message was done"),
        (figures(sent=(), deleted=(), waiting=(3,), age=(60,)), N, True, "no message was done"),
        (figures(sent=(), deleted=()), N, False, "no message was done"),
        (QueueFigures(), N, True, "CloudWatch has published nothing of it for this time"),
        (figures(why="CloudWatch answered PartialData"), N, True, "CloudWatch answered PartialData"),
    ],
    ids=[
        "work is done and nothing waits",
        "work is done and a little waits",
        "it grows old",
        "one old reading is bad",
        "what has piled up is taken",
        "messages come and none is done",
        "a message waits and none is done",
        "an idle queue says nothing",
        "nothing is published yet",
        "not every figure could be read",
    ],
)  # fmt: skip
def test_a_queue_s_figures_have_their_verdict_and_their_words(found, quality, decides, words):
    reading = queue_reading(found, WORKER, "q", NOW)
    assert (reading.kind, reading.quality, reading.decides) == ("health", quality, decides), reading
    assert words in reading.detail
    assert reading.detail.startswith("queue orders: ")


def test_the_limit_is_the_catalog_s():
    strict = WORKER.model_copy(update={"thresholds": Thresholds(queue_age=timedelta(seconds=30))})
    found = queue_reading(figures(age=(10, 20, 30, 40, 50)), strict, "q", NOW)
    assert (found.quality, found.value, found.limit) == (B, 50, 30)


def health(quality, *, decides=True, detail="health 200"):
    return Reading(kind="health", quality=quality, detail=detail, source="http", decides=decides, at=NOW)


@pytest.mark.parametrize(
    ("http", "queue", "together", "decides"),
    [
        (health(G), health(G), G, True),
        (health(G), health(B), B, True),
        (health(B), health(G), B, True),
        (health(G), health(N), N, True),
        (health(G), health(N, decides=False), G, True),
        (health(N, decides=False), health(G), G, True),
        (health(N, decides=False), health(N, decides=False), N, False),
        (health(E), health(G), E, True),
    ],
)
def test_good_needs_the_address_and_the_queue_as_far_as_they_decide(http, queue, together, decides):
    found = with_queue(http, queue)
    assert (found.quality, found.decides) == (together, decides)


class Aws:
    """The product's clients, whose ECS and CloudWatch give the answers of a test and refuse every other call."""

    def __init__(self):
        self.ecs = Ecs()
        self.clients = self.ecs.clients
        self.cloudwatch = Stubber(self.clients.cloudwatch(HERE))

    def queue(self, found, begin, end, status="Complete"):
        queries = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SQS",
                        "MetricName": metric,
                        "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
                    },
                    "Period": 60,
                    "Stat": stat,
                },
            }
            for name, metric, stat in (
                ("age", "ApproximateAgeOfOldestMessage", "Maximum"),
                ("waiting", "ApproximateNumberOfMessagesVisible", "Maximum"),
                ("sent", "NumberOfMessagesSent", "Sum"),
                ("deleted", "NumberOfMessagesDeleted", "Sum"),
            )
        ]
        results = [
            {
                "Id": name,
                "Timestamps": [at(moment - NOW.timestamp()) for moment, _ in getattr(found, name)],
                "Values": [value for _, value in getattr(found, name)],
                "StatusCode": status,
            }
            for name in ("age", "waiting", "sent", "deleted")
        ]
        asked = {"MetricDataQueries": queries, "StartTime": begin, "EndTime": end}
        self.cloudwatch.add_response("get_metric_data", {"MetricDataResults": results}, asked)

    async def measure(self, kind, *, since, target=WORKER, answer=None, services=1):
        for _ in range(services):
            self.ecs.answers("describe_services", {"services": [service(loadBalancers=[])]})
        look = an_observation(target=target, since=since)
        async with client(answer or (lambda _request: httpx.Response(200))) as http:
            instruments = Instruments(Sources(self.clients, None, http))
            with self.ecs.stub, self.cloudwatch:
                found = await {"health": instruments.health, "error-rate": instruments.error_rate}[kind](
                    look, NOW
                )
                self.cloudwatch.assert_no_pending_responses()
        return found


LONG_AGO = NOW - timedelta(hours=1)
PUBLISHED = (NOW - VERIFY.lag - 5 * MINUTE, NOW - VERIFY.lag)


async def test_a_worker_without_an_address_is_as_healthy_as_its_queue():
    aws = Aws()
    aws.queue(figures(), *PUBLISHED)
    found = await aws.measure("health", since=LONG_AGO)
    assert (found.quality, found.source, found.decides) == (G, "cloudwatch", True)
    assert found.query == "GetMetricData AWS/SQS of orders, 02:52:00 to 02:57:00 UTC"


async def test_what_was_before_the_observation_does_not_count():
    aws = Aws()
    since = NOW - VERIFY.lag - timedelta(seconds=90)
    aws.queue(figures(age=(900, 900, 900, 900, 10)), since, PUBLISHED[1])
    found = await aws.measure("health", since=since)
    assert (found.quality, found.value) == (G, 10)


async def test_until_a_minute_after_the_change_is_published_cloudwatch_is_not_asked():
    found = await Aws().measure("health", since=NOW - MINUTE)
    assert (found.quality, found.decides) == (N, True)


async def test_a_service_with_an_address_and_a_queue_needs_both():
    aws = Aws()
    aws.queue(figures(age=(400, 460, 520, 580, 640)), *PUBLISHED)
    target = WORKER.model_copy(update={"url": "http://service.test"})
    found = await aws.measure("health", since=LONG_AGO, target=target, services=0)
    assert found.quality is B
    assert found.detail.startswith("health 200; queue orders: the oldest message is 10m 40s old")


async def test_requests_that_a_worker_never_gets_do_not_stand_in_the_way_and_those_of_others_do():
    found = await Aws().measure("error-rate", since=LONG_AGO)
    assert (found.quality, found.decides) == (N, False)
    others = await Aws().measure(
        "error-rate", since=LONG_AGO, target=WORKER.model_copy(update={"queue": None})
    )
    assert (others.quality, others.decides) == (N, True)


async def test_a_queue_that_may_not_be_read_is_never_good():
    aws = Aws()
    aws.ecs.answers("describe_services", {"services": [service(loadBalancers=[])]})
    aws.cloudwatch.add_client_error("get_metric_data", "AccessDenied", "not allowed", 403)
    look = an_observation(target=WORKER, since=LONG_AGO, looks=("health",))
    with aws.ecs.stub, aws.cloudwatch:
        sample = await Instruments(Sources(aws.clients, None, None)).sample(look, NOW)
    assert sample.quality is Quality.ERROR
    assert "read the figures of the queue orders" in sample.readings[0].detail


def test_a_backlog_that_is_taken_is_neither_good_nor_bad_until_it_is_young_enough():
    target = WORKER.model_copy(update={"verify": Verify(bake=seconds(4), consecutive=3)})
    ages = [(900, 700), (700, 500), (500, 290), (290, 80), (80, 0)]
    row = tuple(
        Sample(at=at(2 * n), readings=(queue_reading(figures(age=age), target, "q", at(2 * n)),))
        for n, age in enumerate(ages)
    )
    assert [sample.quality for sample in row] == [N, N, G, G, G]
    assert not is_decided(row[:-1], target)
    assert is_decided(row, target)


def test_windows_are_whole_minutes_even_where_rates_are_of_seconds():
    short = WORKER.model_copy(update={"verify": Verify(rate_window=seconds(15))})
    window = window_of(short, NOW)
    assert (window.span, window.period) == (3 * MINUTE, MINUTE)


class TestDoctor:
    async def said(self, *ages):
        aws = Aws()
        moment = window_of(WORKER, datetime.now(UTC)).end - MINUTE
        age = {"Id": "age", "Timestamps": [moment for _ in ages], "Values": [*ages]}
        aws.cloudwatch.add_response("get_metric_statistics", {"Datapoints": []})
        aws.cloudwatch.add_response("get_metric_data", {"MetricDataResults": [age]})
        with aws.ecs.stub, aws.cloudwatch:
            given = ServiceLook(Sources(aws.clients, None, None), WORKER)
            (found,) = await look({"cloudwatch": read_cloudwatch}, given, WORKER)
        return found

    async def test_it_reads_the_queue(self):
        found = await self.said(12.0)
        assert found.ok
        assert "queue orders: the oldest message is 12s old" in found.detail

    async def test_a_queue_that_cloudwatch_does_not_know_is_named(self):
        assert "nothing of the queue orders" in (await self.said()).detail
