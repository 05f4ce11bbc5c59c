"""Whatever a service, Prometheus or the container engine answers, the worker stays small and goes on."""

import re
import tracemalloc
from contextlib import contextmanager
from datetime import timedelta

import pytest

from activities.chat.channels import Webhook
from activities.chat.wording import Words
from activities.docker import engine as docker_engine
from activities.docker.activities import ping
from activities.docker.engine import Engine
from activities.docker.postgres import PostgresContainer
from activities.http import probes
from activities.http.client import http_client
from activities.prometheus import client as prometheus_client
from activities.prometheus import scrape
from activities.prometheus.scrape import MOST_LINES, Scraper, parse
from runbook_model.catalog.policies import Channel
from runbook_model.catalog.service_policies import Probe
from runbook_model.errors import OutsideError, RejectedError, UnreachableError
from runbook_model.measured.readings import Quality
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import QUOTED
from tests.hostile_service import (
    BOMB_MIB,
    bomb,
    dripping,
    dripping_head,
    endless,
    endless_program,
    hostile,
    huge_head,
    informing,
)
from tests.observing import NOW, a_prometheus, a_target

SMALL = 40 * 1024 * 1024
"""Bytes: far less than the bomb becomes."""
PACKED = "its answer is compressed, though that was not asked for"
LONG = "its answer is longer than 8,192 KiB"
BODIES = [bomb, endless, dripping]
HEADS = [dripping_head, huge_head, informing]


@pytest.fixture(autouse=True)
def patience(request, monkeypatch):
    """Give up soon on what drips or never ends its head, and not at all on what comes at full speed."""
    answer = request.node.callspec.params["answer"] if hasattr(request.node, "callspec") else None
    soon = timedelta(seconds=0.4 if answer in {dripping, dripping_head, informing} else 60)
    for module, name in [
        (probes, "TIMEOUT"),
        (probes, "HEALTH_TIMEOUT"),
        (scrape, "TIMEOUT"),
        (prometheus_client, "TIMEOUT"),
    ]:
        monkeypatch.setattr(module, name, soon)
    monkeypatch.setattr(scrape, "SCRAPES", 2)
    monkeypatch.setattr(docker_engine, "ENGINE_TIMEOUT", max(soon, timedelta(seconds=1)))


@contextmanager
def small():
    """Fail where what is done inside needs more memory than any honest answer does."""
    assert SMALL < BOMB_MIB * 1024 * 1024
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("answer", BODIES)
async def test_the_body_of_a_health_check_is_not_read(answer):
    with hostile(answer) as where, small():
        async with http_client() as http:
            reading = await probes.read_health(http, a_target(url=f"http://{where}"), NOW)
    assert (reading.quality, reading.detail) == (Quality.GOOD, "health 200")


@pytest.mark.parametrize("answer", HEADS)
async def test_a_head_that_does_not_end_is_no_health(answer):
    with hostile(answer) as where, small():
        async with http_client() as http:
            reading = await probes.read_health(http, a_target(url=f"http://{where}"), NOW)
    within = format_duration(probes.HEALTH_TIMEOUT)
    assert (reading.quality, reading.detail) == (
        Quality.BAD,
        f"health gave no answer within {within} or broke off",
    )


@pytest.mark.parametrize(("answer", "failed"), [(bomb, 0), (endless, 0), (dripping, 2), (dripping_head, 2)])
async def test_a_probe_that_is_answered_too_long_counts_by_its_status_and_one_that_takes_too_long_has_failed(
    answer, failed
):
    with hostile(answer) as where, small():
        async with http_client() as http:
            sent = await probes.send_probes(http, f"http://{where}", Probe(path="/", body="{}"), 2)
    assert (sent.sent, sent.failed) == (2, failed)


@pytest.mark.parametrize(
    ("answer", "why"),
    [(bomb, PACKED), (endless, LONG), (dripping, "no answer in time"), (dripping_head, "no answer in time")],
)
async def test_metrics_are_read_up_to_a_bound_and_the_refusal_names_it(answer, why):
    with hostile(answer) as where, small():
        async with http_client() as http:
            with pytest.raises(
                OutsideError, match=re.escape(f"could not scrape the service's /metrics: {why}")
            ):
                await Scraper(http).scrapes(a_target(url=f"http://{where}"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (bomb, PACKED),
        (endless, "its answer is longer than 2,048 KiB"),
        (dripping, "no answer in time"),
        (dripping_head, "no answer in time"),
        (informing, "no answer in time"),
    ],
)
async def test_an_answer_of_prometheus_is_read_up_to_a_bound_and_the_refusal_names_it(answer, why):
    with hostile(answer) as where, small():
        async with http_client() as http:
            with pytest.raises(OutsideError, match=re.escape(f"could not ask Prometheus: {why}")):
                await a_prometheus(http, f"http://{where}").value("up")


@pytest.mark.parametrize("answer", [bomb, endless])
async def test_of_what_a_chat_answers_to_a_message_only_the_status_counts(answer, monkeypatch):
    with hostile(answer) as where, small():
        monkeypatch.setenv("HOSTILE_CHAT", f"http://{where}")
        async with http_client() as http:
            outlet = Webhook(Channel(name="ops", kind="webhook", secret_env="HOSTILE_CHAT"), http)
            sent = await outlet.send(Words(text="down", mark="1", at=NOW, content={}), None, again=False)
    assert sent.detail == "channel ops: HTTP 200"


@pytest.mark.parametrize(
    ("answer", "why"), [(bomb, PACKED), (endless, LONG), (dripping, "no answer in time")]
)
def test_an_answer_of_the_container_engine_is_read_up_to_a_bound_and_the_refusal_names_it(
    answer, why, monkeypatch
):
    with hostile(answer) as where, small():
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{where}")
        with pytest.raises(OutsideError) as refused:
            ping(Engine())
    assert f"the Docker engine at tcp://{where}: {why}" in str(refused.value)


def test_a_head_without_an_end_is_refused_by_the_container_engines_client(monkeypatch):
    with hostile(huge_head) as where, small():
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{where}")
        with pytest.raises(UnreachableError, match="got more than 100 headers"):
            ping(Engine())


def test_a_program_in_a_container_that_writes_without_an_end_is_cut_off(monkeypatch):
    with hostile(endless_program) as where, small():
        monkeypatch.setenv("DOCKER_HOST", f"tcp://{where}")
        ended, said = PostgresContainer(Engine())._run("postgres", ["pg_isready"])
    assert (ended, len(said)) == (-1, QUOTED)


def test_more_series_than_any_service_has_are_not_parsed():
    text = "http_requests_total 1\n" * (MOST_LINES + 1)
    with pytest.raises(RejectedError, match=r"has 20,001 lines of http_requests_total .* 20,000 are read"):
        parse(text, NOW)
