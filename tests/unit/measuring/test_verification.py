import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.measuring.activities import KEPT, Progress, VerificationActivities
from runbook_model.catalog.service_policies import Verify
from runbook_model.measured.readings import Quality, Sample, last_streak, longest_gap
from tests.observing import B, G, N, a_sample, a_target, an_observation, seconds
from tests.patience import PATIENCE

QUICK = Verify(bake=seconds(0.4), rate_window=seconds(0.2), consecutive=3)
SLOW = Verify(bake=timedelta(minutes=5), rate_window=timedelta(minutes=5), consecutive=5)


def now() -> datetime:
    return datetime.now(UTC)


class Gauge:
    """Stands for the instruments: shows one quality after the other, and the last for ever."""

    def __init__(self, *qualities: Quality) -> None:
        self.qualities = list(qualities)
        self.taken: list[tuple[datetime, datetime]] = []
        self.looked = asyncio.Event()

    async def sample(self, observation, moment: datetime) -> Sample:
        self.taken.append((observation.since, moment))
        self.looked.set()
        quality = self.qualities.pop(0) if len(self.qualities) > 1 else self.qualities[0]
        readings = a_sample(0, quality, rate=0.0 if quality is G else None).readings
        return Sample(
            at=moment, readings=tuple(reading.model_copy(update={"at": moment}) for reading in readings)
        )


class NeverEnding(Gauge):
    """Instruments that hang."""

    async def sample(self, _observation, _moment) -> Sample:
        self.looked.set()
        await asyncio.Event().wait()
        raise AssertionError


class Beats(list):
    """Every heartbeat, as JSON: the way it comes back to the next attempt."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def note(self, *details: object) -> None:
        converter = pydantic_data_converter.payload_converter
        self.append(json.loads(converter.to_payloads(details)[0].data))
        self.came.set()

    async def until_samples(self, number: int) -> None:
        while not self or len(self[-1]["samples"]) < number:
            self.came.clear()
            await self.came.wait()


def watched(verify=QUICK, *, ends_in=20.0, **changes):
    moment = now()
    observation = an_observation(
        target=a_target(verify=verify), since=moment, deadline=moment + seconds(ends_in)
    )
    return observation.model_copy(update=changes)


@pytest.fixture
def environment():
    return ActivityEnvironment()


@pytest.fixture
def beats(environment):
    sent = Beats()
    environment.on_heartbeat = sent.note
    return sent


async def observe(environment, gauge, observation):
    return await environment.run(VerificationActivities(gauge).observe, observation)


async def test_a_good_bake_ends_as_soon_as_it_is_decided(environment):
    gauge = Gauge(G)
    observed = await observe(environment, gauge, watched())
    assert len(observed.samples) == len(gauge.taken) == 3
    assert observed.samples[-1].at - observed.samples[0].at >= QUICK.bake
    assert observed.until - observed.samples[-1].at < seconds(0.2)


async def test_one_bad_sample_makes_the_bake_start_again(environment):
    observed = await observe(environment, Gauge(G, G, B, G), watched())
    assert [sample.quality for sample in observed.samples] == [G, G, B, G, G, G]


async def test_what_stays_unknown_is_observed_until_the_deadline_and_not_longer(environment):
    observation = watched(ends_in=0.5)
    observed = await observe(environment, Gauge(N), observation)
    assert {sample.quality for sample in observed.samples} == {N}
    assert observation.deadline <= observed.until < observation.deadline + seconds(0.3)


async def test_a_deadline_that_passed_while_no_worker_ran_still_gets_one_sample(environment):
    observed = await observe(environment, Gauge(G), watched(ends_in=-60))
    assert len(observed.samples) == 1


async def test_without_a_release_label_nothing_counts_before_the_window_has_forgotten_the_old_tasks(
    environment,
):
    observation = watched(target=a_target(verify=QUICK, release_label=None))
    observed = await observe(environment, Gauge(G), observation)
    assert observed.samples[0].at >= observation.since + QUICK.rate_window


async def test_a_window_that_outlasts_the_deadline_leaves_no_samples(environment, beats):
    gauge = Gauge(G)
    observation = watched(target=a_target(verify=SLOW, release_label=None), ends_in=0.2)
    assert (await observe(environment, gauge, observation)).samples == ()
    assert gauge.taken == []


async def test_the_bake_continues_where_the_last_attempt_was(environment, beats):
    first = Gauge(G)
    verify = QUICK.model_copy(update={"bake": seconds(1.0)})
    observation = watched(verify)
    running = asyncio.create_task(observe(environment, first, observation))
    await beats.until_samples(2)
    running.cancel()
    await asyncio.wait([running])

    second = ActivityEnvironment()
    second.info = replace(second.info, attempt=2, heartbeat_details=[beats[-1]])
    gauge = Gauge(G)
    observed = await observe(second, gauge, observation)
    assert len(gauge.taken) == 1
    assert [sample.at for sample in observed.samples[:2]] == [moment for _, moment in first.taken]
    assert last_streak(observed.samples, longest_gap(observation.target)).count == 3


async def test_an_attempt_that_was_decided_before_the_kill_ends_without_another_sample(environment, beats):
    observation = watched()
    observed = await observe(environment, Gauge(G), observation)
    second = ActivityEnvironment()
    second.info = replace(second.info, attempt=2, heartbeat_details=[beats[-1]])
    gauge = Gauge(G)
    again = await observe(second, gauge, observation)
    assert gauge.taken == []
    assert [sample.at for sample in again.samples] == [sample.at for sample in observed.samples]


async def test_a_heartbeat_that_cannot_be_read_only_costs_the_bake(environment):
    environment.info = replace(environment.info, heartbeat_details=[{"samples": "of another version"}])
    assert len((await observe(environment, Gauge(G), watched())).samples) == 3


async def test_heartbeats_continue_while_an_instrument_hangs(environment):
    beaten = asyncio.Event()
    moments = []

    def beat(*details: object) -> None:
        moments.append(now())
        if len(moments) == 4:
            beaten.set()

    environment.on_heartbeat = beat
    running = asyncio.create_task(observe(environment, NeverEnding(), watched()))
    await asyncio.wait_for(beaten.wait(), PATIENCE)
    running.cancel()
    await asyncio.wait([running])
    assert all(b - a < seconds(1.5) for a, b in pairwise(moments))


@pytest.mark.parametrize("instruments", [NeverEnding, Gauge])
async def test_a_worker_that_shuts_down_hands_over_at_once_with_the_samples_in_the_heartbeat(
    environment, beats, instruments
):
    gauge = instruments(G)
    running = asyncio.create_task(observe(environment, gauge, watched(SLOW, ends_in=600)))
    await gauge.looked.wait()
    asked = now()
    environment.worker_shutdown()
    with pytest.raises(ApplicationError, match="another continues") as caught:
        await running
    assert now() - asked < seconds(0.5)
    assert caught.value.category is ApplicationErrorCategory.BENIGN
    assert not caught.value.non_retryable
    assert len(beats[-1]["samples"]) == len(gauge.taken)


@pytest.mark.parametrize("instruments", [NeverEnding, Gauge])
async def test_cancellation_ends_it_at_once(environment, instruments):
    gauge = instruments(G)
    running = asyncio.create_task(observe(environment, gauge, watched(SLOW, ends_in=600)))
    await gauge.looked.wait()
    asked = now()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert now() - asked < seconds(0.5)


async def test_instruments_that_break_break_the_observation(environment):
    class Broken(Gauge):
        async def sample(self, _observation, _moment):
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await observe(environment, Broken(G), watched())


async def test_a_baseline_is_one_sample_of_the_last_rate_window(environment):
    gauge = Gauge(B)
    sample = await environment.run(
        VerificationActivities(gauge).measure, watched(since=now() - timedelta(days=9))
    )
    assert sample.quality is B
    [(since, moment)] = gauge.taken
    assert moment - since == QUICK.rate_window


def test_heartbeats_stay_small_and_no_streak_is_lost_however_long_it_takes():
    progress = Progress()
    gap = seconds(120)
    for index in range(500):
        progress = progress.with_sample(a_sample(30 * index, G, rate=0.0), gap)
    assert len(progress.samples) == KEPT
    assert last_streak(progress.samples, gap, progress.earlier).count == 500
    assert len(progress.model_dump_json()) < 64_000


def test_only_the_newest_sample_keeps_query_and_log_lines():
    progress = Progress().with_sample(a_sample(0), seconds(30)).with_sample(a_sample(1), seconds(30))
    before, newest = progress.samples
    assert not any(reading.query or reading.excerpt for reading in before.readings)
    assert [reading.query for reading in newest.readings] == [None, "q", None]
    assert newest.readings[2].excerpt == ("ERROR x",)
