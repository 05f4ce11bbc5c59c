"""Every fault of the demo service is read in the real world and leads to its cause."""

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from activities.aws.clients import AwsClients
from activities.docker.engine import Engine
from activities.http.client import http_client
from activities.measuring.diagnosis import DiagnosisActivities
from activities.measuring.examining import Examination
from activities.measuring.instruments import Instruments
from activities.measuring.sources import Sources
from runbook_model.catalog.catalog import load_catalog
from runbook_model.measured.readings import Observation, Quality
from runbook_model.releases.release import Release
from tests.observing import NOW
from tests.patience import PATIENCE
from tests.sandbox_under_test import running_sandbox
from workflows.decisions.diagnosis import (
    Cause,
    classify_errors,
    classify_latency,
    classify_resources,
    classify_service_down,
)

USE = ("latency", "cpu", "memory")
_minor = itertools.count(1)
pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("world-diagnosis"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def aws(world):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.addresses.env.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def world():
    """A sandbox of its own, under load since its start: a diagnosis compares with a past in which there were requests."""
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def catalog(world):
    return load_catalog(Path(world.addresses.catalog))


@pytest.fixture
async def reads():
    async with http_client() as http:
        yield DiagnosisActivities(Examination(Sources(AwsClients(), Engine(), http)))


@pytest.fixture
async def staging(world, catalog, reads):
    """A good release with a past: everything that is usual is known, and nothing fails."""
    async with quiet(world, catalog, reads, "staging") as target:
        yield target


@pytest.fixture
async def prod(world, catalog, reads):
    """The same in the other environment, so that two outages can be looked into at the same time."""
    async with quiet(world, catalog, reads, "prod") as target:
        yield target


@asynccontextmanager
async def quiet(world, catalog, reads, environment):
    target = catalog.target("ai-processor", environment)
    await eventually(lambda: as_usual(reads, target), lambda found: set(found.values()) == {True})
    yield target
    world.load(environment, 25)
    assert world.deploy(environment, f"6.{next(_minor)}.0", wait=True).status == "SUCCESSFUL"


async def as_usual(reads, target):
    errors, latency = await reads.read_errors(target), await reads.read_latency(target)
    load, resources = await reads.read_load(target), await reads.read_resources(target)
    return {
        "errors": errors.share.now.within(0),
        "latency": latency.p95.now.within(0.5),
        "load": load.growth is not None and 0.8 < load.growth < 1.2,
        "cpu": resources.cpu_course.now.within(0.5),
    }


async def eventually(ask, holds):
    """Ask until the answer is as awaited, and return it; the last answer is in the failure."""
    give_up = time.monotonic() + PATIENCE
    while not holds(answer := await ask()):
        assert time.monotonic() < give_up, f"not within {PATIENCE:.0f}s; the last answer was {answer!r}"
        await asyncio.sleep(1)
    return answer


def text(cause):
    return lambda diagnosis: diagnosis.cause is cause


def release_of(delivered):
    return delivered.task_definition.rpartition("/")[2]


async def why_errors(reads, target):
    return classify_errors(
        target,
        await reads.read_errors(target),
        await reads.read_load(target),
        await reads.read_recent_logs(target),
    )


async def why_slow(reads, target):
    return classify_latency(
        target,
        await reads.read_latency(target),
        await reads.read_load(target),
        await reads.read_resources(target),
        await reads.read_recent_logs(target),
    )


async def why_busy(reads, target):
    return classify_resources(
        target,
        await reads.read_resources(target),
        await reads.read_load(target),
        await reads.read_utilization(target),
    )


async def why_down(reads, target):
    tasks, logs = await reads.read_tasks(target), await reads.read_recent_logs(target)
    async with http_client() as http:
        look = Observation(
            target=target, release=Release(task_definition=""), since=NOW, deadline=NOW, looks=("health",)
        )
        sample = await Instruments(Sources(AwsClients(), Engine(), http)).sample(look, NOW)
    return classify_service_down(target, tasks, logs, sample)


async def test_a_service_that_is_well_is_fine_in_every_respect(reads, staging):
    await eventually(
        lambda: reads.read_utilization(staging), lambda seen: seen.cpu.newest and seen.memory.newest
    )
    found = [await why(reads, staging) for why in (why_errors, why_slow, why_busy, why_down)]
    assert [item.cause for item in found] == [Cause.FINE] * 4, found
    sample = await use_of(reads, staging)
    assert {reading.kind: reading.quality for reading in sample.readings} == dict.fromkeys(
        USE, Quality.GOOD
    ), sample


async def test_a_bad_release_slow_code_and_a_leak_are_distinguished(world, reads, staging, prod):
    failing = world.deploy("staging", "7.0.0", wait=True, FAULT_ERROR_RATE=0.4, FAULT_LATENCY_SECONDS=1.5)
    leaking = world.deploy("prod", "7.1.0", wait=True, memory=160, FAULT_LEAK_MB_PER_SECOND=2)
    errors, slow, leak = await asyncio.gather(
        eventually(lambda: why_errors(reads, staging), text(Cause.BAD_RELEASE)),
        eventually(lambda: why_slow(reads, staging), text(Cause.CODE_PATH)),
        eventually(lambda: why_busy(reads, prod), text(Cause.LEAK)),
    )
    assert (errors.release, slow.release) == (release_of(failing), release_of(failing))
    assert leak.release == release_of(leaking)
    assert "full in" in leak.because[0]
    assert list((await reads.read_errors(staging)).by_type.values) == ["processing"]
    slowest = (await reads.read_latency(staging)).slowest[0]
    assert (slowest.endpoint, slowest.mean) == ("/api/v1/process", pytest.approx(1.5, rel=0.2))
    await eventually(lambda: reads.read_utilization(prod), lambda seen: (seen.memory.newest or 0) > 0.1)
    sample = await use_of(reads, staging)
    assert sample.readings[0].quality is Quality.BAD, sample


async def test_a_burning_release_and_more_requests_than_usual_are_distinguished(world, reads, staging, prod):
    world.deploy("prod", "7.2.0", wait=True, cpu=16)  # so little that a few requests fill it
    burning = world.deploy("staging", "7.3.0", wait=True, cpu=32, FAULT_CPU=0.5)
    world.load("prod", 100)
    cpu, load = await asyncio.gather(
        eventually(lambda: why_busy(reads, staging), lambda item: item.cause is Cause.CPU and item.release),
        eventually(lambda: why_busy(reads, prod), text(Cause.LOAD)),
    )
    assert cpu.release == release_of(burning)
    assert "times the usual" in load.because[0]
    await eventually(lambda: reads.read_utilization(staging), lambda seen: (seen.cpu.newest or 0) > 0.2)
    assert (await use_of(reads, staging)).readings[1].quality is Quality.BAD


@pytest.mark.parametrize(
    ("fault", "words"),
    [({"FAULT_CRASH_AFTER_SECONDS": 2}, "exited"), ({"FAULT_UNHEALTHY": 1}, "health checks")],
    ids=["crashes", "unhealthy"],
)
async def test_a_release_whose_tasks_fail_is_a_bad_release(world, reads, staging, fault, words):
    world.deploy("staging", f"8.{next(_minor)}.0", **fault)
    found = await eventually(lambda: why_down(reads, staging), text(Cause.BAD_RELEASE))
    assert words in " ".join(found.because).lower()


async def use_of(reads, target):
    tasks = await reads.read_tasks(target)
    release = Release(task_definition=tasks.service.task_definition)
    look = Observation(target=target, release=release, since=tasks.at, deadline=tasks.at, looks=USE)
    async with http_client() as http:
        return await Instruments(Sources(AwsClients(), Engine(), http)).sample(look, tasks.at)
