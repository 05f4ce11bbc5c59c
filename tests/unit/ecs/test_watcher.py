import asyncio
from contextvars import ContextVar

import pytest

from activities.ecs.watcher import BATCH, Budget, Hurry, Watcher
from runbook_model.errors import AccessDeniedError, ThrottledError
from tests.ecs_facts import a_deployment, a_service, task_definition
from tests.virtual_time import in_virtual_time

STATE = a_service(a_deployment(2, task_definition(2)))


class Cluster:
    """Answers for any service that is not missing; notes what it was asked and when."""

    def __init__(self, *failures: Exception, missing: str = "") -> None:
        self.failures = list(failures)
        self.missing = missing
        self.calls: list[tuple[str, ...]] = []
        self.times: list[float] = []

    async def describe(self, names):
        self.calls.append(names)
        self.times.append(asyncio.get_running_loop().time())
        if self.failures:
            raise self.failures.pop(0)
        return {name: STATE for name in names if name != self.missing}


async def many(watcher: Watcher, services: int, waiters: int):
    return await asyncio.gather(*(watcher.next_state(f"s{n % services:02}") for n in range(waiters)))


@in_virtual_time
async def test_twenty_five_waiters_over_twelve_services_take_two_calls_a_pass():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(1000), interval=0.01)
    for _ in range(3):
        assert await many(watcher, services=12, waiters=25) == [STATE] * 25
    assert [len(names) for names in cluster.calls] == [BATCH, 2] * 3
    assert sorted({name for names in cluster.calls for name in names}) == [f"s{n:02}" for n in range(12)]


@in_virtual_time
async def test_calls_never_come_faster_than_the_rate():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(50), interval=0.001)
    for _ in range(2):
        await many(watcher, services=35, waiters=35)
    gaps = [later - sooner for sooner, later in zip(cluster.times, cluster.times[1:], strict=False)]
    assert len(gaps) == 7
    assert gaps == pytest.approx([0.02] * 7)


@in_virtual_time
async def test_a_service_is_read_no_more_often_than_the_interval():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(1000), interval=0.1)
    for _ in range(3):
        await watcher.next_state("shop")
    assert cluster.times[2] - cluster.times[0] == pytest.approx(0.2)


@in_virtual_time
async def test_a_reading_that_is_to_be_confirmed_comes_sooner():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(1000), interval=1.0)
    await watcher.next_state("shop")
    await watcher.next_state("shop", Hurry.CONFIRM)
    assert cluster.times[1] - cluster.times[0] == pytest.approx(0.5)


@in_virtual_time
async def test_a_reading_is_made_in_the_name_of_somebody_who_waits_for_it():
    asking, named = ContextVar("asking"), []

    async def describe(names):
        named.append((asking.get(), names))
        return dict.fromkeys(names, STATE)

    async def wait(service, times):
        asking.set(service)
        for _ in range(times):
            await watcher.next_state(service)

    watcher = Watcher(describe, Budget(1000), batch=1, interval=0.01)
    await asyncio.gather(wait("first", 2), wait("second", 4))  # one reader serves both, started by the first
    assert sorted(named) == [("first", ("first",))] * 2 + [("second", ("second",))] * 4


@in_virtual_time
async def test_clusters_of_a_region_share_one_budget():
    budget, clusters = Budget(50), [Cluster(), Cluster()]
    await asyncio.gather(
        *(
            many(Watcher(cluster.describe, budget, interval=0.001), services=25, waiters=25)
            for cluster in clusters
        )
    )
    times = sorted(clusters[0].times + clusters[1].times)
    assert len(times) == 6
    assert times[-1] - times[0] == pytest.approx(5 * 0.02)


@in_virtual_time
async def test_a_reading_that_is_to_be_confirmed_goes_before_all_others():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(50), interval=0.01)
    await many(watcher, services=50, waiters=50)
    others = asyncio.ensure_future(many(watcher, services=40, waiters=40))
    await asyncio.sleep(0.01)
    await watcher.next_state("s49", Hurry.CONFIRM)
    await others
    place = next(n for n, names in enumerate(cluster.calls[5:]) if "s49" in names)
    assert place <= 1, "at most the call that was under way came first"


@in_virtual_time
async def test_what_nothing_hurries_for_takes_half_of_the_budget():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(100), interval=0.01)

    async def idle(name):
        for _ in range(3):
            await watcher.next_state(name, Hurry.IDLE)

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(idle(f"s{n:03}") for n in range(200)))
    assert len(cluster.calls) == 3 * 20
    assert asyncio.get_running_loop().time() - began >= 2 * 0.35, (
        "two more passes of twenty calls, at fifty a second"
    )


@in_virtual_time
async def test_a_call_that_aws_is_slow_to_answer_holds_up_no_other():
    answered = asyncio.Event()

    async def describe(names):
        if "s00" in names:
            await answered.wait()
        return dict.fromkeys(names, STATE)

    watcher = Watcher(describe, Budget(1000), interval=0.01)
    slow = asyncio.ensure_future(watcher.next_state("s00"))
    await asyncio.sleep(0.01)
    assert await watcher.next_state("s99") == STATE
    assert not slow.done()
    answered.set()
    assert await slow == STATE


@in_virtual_time
async def test_throttling_spaces_the_calls_of_many_services_too():
    cluster = Cluster(*(ThrottledError("slow down") for _ in range(3)))
    watcher = Watcher(cluster.describe, Budget(100), interval=0.001)
    waiting = [asyncio.ensure_future(watcher.next_state(f"s{n:02}")) for n in range(40)]
    await asyncio.gather(*waiting, return_exceptions=True)
    gaps = [later - sooner for sooner, later in zip(cluster.times, cluster.times[1:], strict=False)]
    assert gaps == pytest.approx([0.01, 0.02, 0.04])


@in_virtual_time
async def test_a_service_that_is_missing_is_reported_and_the_others_are_answered():
    watcher = Watcher(Cluster(missing="gone").describe, Budget(1000))
    assert await asyncio.gather(watcher.next_state("gone"), watcher.next_state("shop")) == [None, STATE]


@in_virtual_time
async def test_throttling_slows_the_readings_down_and_good_answers_speed_them_up_again():
    throttled = [ThrottledError("slow down") for _ in range(3)]
    cluster = Cluster(*throttled)
    watcher = Watcher(cluster.describe, Budget(1000), interval=0.05)
    for _ in throttled:
        with pytest.raises(ThrottledError):
            await watcher.next_state("shop")
    for _ in range(5):
        assert await watcher.next_state("shop") == STATE
    gaps = [later - sooner for sooner, later in zip(cluster.times, cluster.times[1:], strict=False)]
    assert gaps == pytest.approx([0.1, 0.2, 0.4, 0.2, 0.1, 0.05, 0.05])


@in_virtual_time
async def test_an_error_reaches_whoever_waited_for_that_batch_and_nobody_else():
    watcher = Watcher(Cluster(AccessDeniedError("no")).describe, Budget(1000))
    waiting = [asyncio.ensure_future(watcher.next_state(f"s{n:02}")) for n in range(12)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results[:10]] == [AccessDeniedError] * 10
    assert results[10:] == [STATE, STATE]


@in_virtual_time
async def test_an_error_that_nobody_thought_of_reaches_the_waiters_too_and_the_readings_continue():
    watcher = Watcher(Cluster(KeyError("taskDefinition")).describe, Budget(1000), interval=0.01)
    with pytest.raises(KeyError, match="taskDefinition"):
        await watcher.next_state("shop")
    assert await watcher.next_state("shop") == STATE


@in_virtual_time
async def test_readings_end_with_the_last_waiter_and_start_again_with_the_next():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(1000), interval=0.01)
    await watcher.next_state("shop")
    assert watcher._loop is not None
    await watcher._loop
    assert len(cluster.calls) == 1
    assert await watcher.next_state("shop") == STATE
    assert len(cluster.calls) == 2


@in_virtual_time
async def test_who_no_longer_waits_costs_no_call():
    cluster = Cluster()
    watcher = Watcher(cluster.describe, Budget(1000), interval=0.01)
    left = asyncio.ensure_future(watcher.next_state("left"))
    stays = asyncio.ensure_future(watcher.next_state("stays"))
    await asyncio.sleep(0)
    left.cancel()
    await stays
    assert cluster.calls in ([("left", "stays")], [("stays",)])
    assert watcher._loop is not None
    await watcher._loop
    assert len(cluster.calls) == 1
