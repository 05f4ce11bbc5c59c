"""What a verification looks at besides health, errors and logs: latency, CPU and memory."""

from datetime import timedelta

import httpx
import pytest

from activities.http.probes import time_probes
from activities.measuring.instruments import Instruments
from activities.measuring.sources import Sources
from runbook_model.catalog.service_policies import Thresholds
from runbook_model.measured.evidence import Figure
from runbook_model.measured.measurements import Measurement, Probes, latency_reading, use_reading
from runbook_model.measured.readings import STANDARD_LOOKS, Observed, Reading, Sample, is_decided, still_falls
from runbook_model.reports import Verdict
from tests.observing import NOW, PROBE, PROMETHEUS, URL, B, E, G, N, a_target, an_observation, at, client
from tests.unit.measuring.test_examining import Aws
from workflows.decisions.recovery import judge_recovery

BEYOND = ": beyond the histogram's highest bucket"


def p95_of(seconds, **changes):
    quality = "no-data" if seconds is None else "known"
    found = {"quality": quality, "value": seconds, "requests": 400, "window": timedelta(seconds=15)} | changes
    return Measurement(source="prometheus", query="q", at=NOW, **found)


QUICK, SLOW = p95_of(0.2), p95_of(2.0)
CUT_OFF, VERY_SLOW = p95_of(0.8, at_least=True), p95_of(10.0, at_least=True)
FEW = p95_of(0.1, requests=3).if_enough(50)

LATENCIES = {
    "quick requests": (QUICK, None, G, "p95 0.20s of 400 requests (limit 1s)"),
    "quick requests and probes": (QUICK, Probes(sent=2, slowest=0.3), G, "p95 0.20s of 400 requests; 2 probes took at most 0.30s (limit 1s)"),
    "slow requests, quick probes": (SLOW, Probes(sent=1, slowest=0.1), B, "p95 2.00s of 400 requests; 1 probe took at most 0.10s (limit 1s)"),
    "quick requests, slow probes": (QUICK, Probes(sent=1, slowest=1.2), B, "p95 0.20s of 400 requests; 1 probe took at most 1.20s (limit 1s)"),
    "a quantile beyond the highest bucket, above the limit": (VERY_SLOW, None, B, f"p95 at least 10.00s of 400 requests{BEYOND} (limit 1s)"),
    "a quantile beyond the highest bucket, below the limit": (CUT_OFF, Probes(sent=1, slowest=0.1), N, f"p95 at least 0.80s of 400 requests{BEYOND}; 1 probe took at most 0.10s (limit 1s)"),
    "too few requests, quick probes": (FEW, Probes(sent=1, slowest=0.1), G, "3 requests in 15s, 50 are needed; 1 probe took at most 0.10s (limit 1s)"),
    "too few requests and no probes": (FEW, None, N, "3 requests in 15s, 50 are needed (limit 1s)"),
    "quick probes that fail": (FEW, Probes(sent=2, slowest=0.1, failed=1), B, "3 requests in 15s, 50 are needed; 2 probes took at most 0.10s, 1 failed (limit 1s)"),
    "probes that the service does not accept": (FEW, Probes(sent=1, slowest=0.1, refused=422), N, "3 requests in 15s, 50 are needed; the probe was answered 422: correct probe in the catalog (limit 1s)"),
}  # fmt: skip


@pytest.mark.parametrize(("p95", "probes", "quality", "detail"), LATENCIES.values(), ids=LATENCIES.keys())
def test_requests_and_probes_must_both_be_quick(p95, probes, quality, detail):
    reading = latency_reading(p95, probes, a_target(), NOW)
    assert (reading.kind, reading.quality, reading.detail) == ("latency", quality, detail)


def world(posts=(200,), p95="0.2", requests="400"):
    """A Prometheus and a service that answers POSTs one after the other as asked, and continues as it ended."""
    waiting = list(posts)

    def answer(request):
        if not str(request.url).startswith(PROMETHEUS):
            assert (request.method, str(request.url)) == ("POST", f"{URL}/api/v1/process")
            status = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if status is None:
                raise httpx.ReadTimeout("too slow")
            return httpx.Response(status)
        if p95 is None:
            raise httpx.ConnectError("no route to host")
        number = requests if "increase(" in request.url.params["query"] else p95
        result = [{"metric": {}, "value": [1, number]}]
        return httpx.Response(
            200, json={"status": "success", "data": {"resultType": "vector", "result": result}}
        )

    return answer


async def latency(answer, **changes):
    async with client(answer) as http:
        observation = an_observation(target=a_target(probe=PROBE), **changes)
        return await Instruments(Sources(None, None, http)).latency(observation, NOW)


async def test_probes_are_timed_next_to_what_prometheus_says():
    reading = await latency(world())
    assert (reading.quality, reading.limit) == (G, 1.0)
    assert reading.detail.startswith("p95 0.20s of 400 requests; 5 probes took at most ")
    assert 'release="ai-processor-prod:3"' in reading.query


async def test_a_plan_sends_no_probe():
    def refuse(request):
        assert request.method == "GET"
        return world()(request)

    assert (await latency(refuse, may_probe=False)).detail == "p95 0.20s of 400 requests (limit 1s)"


async def test_probes_settle_it_while_prometheus_is_away():
    reading = await latency(world(p95=None))
    assert (reading.quality, reading.source) == (G, "probe")
    assert "no route to host" in reading.detail


async def test_after_a_probe_without_an_answer_no_more_are_sent():
    async with client(world((200, None))) as http:
        timed = await time_probes(http, URL, PROBE, 5)
    assert (timed.sent, timed.failed, timed.refused) == (2, 1, None)


def a_share(value, source="prometheus", why="nothing"):
    if value is None:
        return Figure(quality="no-data", why=why, source=source, query="q", at=NOW)
    return Figure(quality="known", source=source, query="q", at=NOW, value=value)


@pytest.mark.parametrize(
    ("prometheus", "cloudwatch", "quality", "detail"),
    [
        (0.3, 0.4, G, "CPU 30 % by prometheus and 40 % by cloudwatch (limit 80 %)"),
        (0.9, 0.4, B, "CPU 90 % by prometheus and 40 % by cloudwatch (limit 80 %)"),
        (0.3, 0.9, B, "CPU 30 % by prometheus and 90 % by cloudwatch (limit 80 %)"),
        (0.3, None, G, "CPU 30 % by prometheus (limit 80 %)"),
        (None, 0.3, G, "CPU 30 % by cloudwatch (limit 80 %)"),
        (None, None, N, "CPU nothing; late (limit 80 %)"),
    ],
)
def test_both_sources_must_be_within_the_limit_as_far_as_they_are_known(
    prometheus, cloudwatch, quality, detail
):
    reading = use_reading("cpu", a_share(prometheus), a_share(cloudwatch, "cloudwatch", "late"), 0.8, NOW)
    assert (reading.kind, reading.quality, reading.detail) == ("cpu", quality, detail)


async def test_cloudwatch_counts_from_when_the_observation_started():
    points = [{"Timestamp": at(-60), "Average": 99.0}, {"Timestamp": at(60), "Average": 20.0}]
    async with client(world(p95=None)) as http:
        reading, early = [
            await Instruments(Sources(Aws(get_metric_statistics={"Datapoints": found}), None, http)).use(
                an_observation(), "memory", at(120)
            )
            for found in (points, points[:1])
        ]
    assert (reading.quality, reading.value, reading.limit) == (G, 0.2, 0.85)
    assert early.quality is N
    assert early.detail.endswith("CloudWatch has averaged nothing since (limit 85 %)")


LOOKS = ("latency", "cpu", "memory", "connections")


async def test_a_sample_is_what_the_observation_looks_at_and_nothing_else():
    async def connections(_observation, now):
        return Reading(kind="connections", quality=B, detail="95 of 100", source="database", at=now)

    aws = Aws(get_metric_statistics={"Datapoints": []})
    async with client(world(p95="0.2")) as http:
        instruments = Instruments(Sources(aws, None, http), others={"connections": connections})
        sample = await instruments.sample(an_observation(looks=LOOKS), NOW)
    assert [(reading.kind, reading.quality) for reading in sample.readings] == [
        (kind, G) for kind in LOOKS[:3]
    ] + [("connections", B)]
    assert sample.quality is B


async def test_what_no_instrument_measures_is_an_error_and_not_good():
    async with client(world()) as http:
        sample = await Instruments(Sources(Aws(), None, http)).sample(
            an_observation(looks=("connections",)), NOW
        )
    assert (sample.quality, sample.readings[0].detail) == (
        E,
        "this worker has nothing that measures connections",
    )


async def test_what_cannot_be_read_is_an_error_of_its_own_kind():
    async with client(world(p95=None)) as http:
        sample = await Instruments(Sources(Aws(), None, http)).sample(
            an_observation(looks=("latency", "cpu")), NOW
        )
    assert [(reading.kind, reading.quality) for reading in sample.readings] == [("latency", E), ("cpu", E)]
    assert "no route to host" in sample.readings[1].detail
    assert "not allowed" in sample.readings[1].detail


def test_an_observation_from_an_earlier_version_looks_at_what_it_did_then():
    earlier = an_observation().model_dump(mode="json")
    del earlier["looks"]
    assert type(an_observation()).model_validate(earlier).looks == STANDARD_LOOKS


def a_row(kind, values, limit):
    def reading(moment, value):
        quality = B if value > limit else G
        return Reading(
            kind=kind,
            quality=quality,
            value=value,
            limit=limit,
            detail=f"{kind} {value}",
            source="s",
            at=moment,
        )

    return tuple(
        Sample(at=at(2.5 * i), readings=(reading(at(2.5 * i), value),)) for i, value in enumerate(values)
    )


def seen(samples):
    return Observed(samples=samples, since=NOW, until=samples[-1].at)


def test_recovery_is_judged_by_whatever_decides():
    target = a_target()
    good, bad = a_row("latency", [0.2] * 5, 1.0), a_row("cpu", [0.95] * 5, 0.8)
    baseline = a_row("latency", [2.5], 1.0)[0]
    recovered = judge_recovery(seen(good), baseline, target)
    assert (recovered.verdict, recovered.why) == (
        Verdict.RECOVERED,
        "5 good samples over 10s: latency 0.2; before the change latency 2.5",
    )
    assert judge_recovery(seen(bad), baseline, target).verdict is Verdict.NOT_RECOVERED


def test_latency_that_still_falls_is_not_beyond_hope():
    falling, flat = a_row("latency", [9 - 0.5 * i for i in range(11)], 1.0), a_row("latency", [9.0] * 11, 1.0)
    assert still_falls(falling, 5)
    assert not is_decided(falling, a_target())
    assert not still_falls(flat, 5)
    assert is_decided(flat, a_target())


@pytest.mark.parametrize(
    ("p95", "limit", "quality", "said"),
    [
        (
            "10",
            10.0,
            N,
            "p95 at least 10.00s of 400 requests: beyond the histogram's highest bucket (limit 10s)",
        ),
        (
            "10",
            1.0,
            B,
            "p95 at least 10.00s of 400 requests: beyond the histogram's highest bucket (limit 1s)",
        ),
        ("9.9", 10.0, G, "p95 9.90s of 400 requests (limit 10s)"),
    ],
)
async def test_a_quantile_on_the_highest_finite_bucket_is_at_least_so_much(p95, limit, quality, said):
    def answer(request):
        query = request.url.params["query"]
        number = "400" if "increase(" in query else p95
        labels = [{"le": le} for le in ("0.5", "10.0", "+Inf")] if "group by (le)" in query else [{}]
        result = [{"metric": label, "value": [1, number]} for label in labels]
        return httpx.Response(
            200, json={"status": "success", "data": {"resultType": "vector", "result": result}}
        )

    target = a_target(thresholds=Thresholds(p95_seconds=limit))
    reading = await Instruments(Sources(None, None, client(answer))).latency(
        an_observation(target=target), NOW
    )
    assert (reading.quality, reading.detail) == (quality, said)
