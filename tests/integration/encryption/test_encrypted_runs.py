"""With encryption on everything works, and Temporal holds no word of it."""

import asyncio
import json
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer

from activities.runtime.converter import data_converter, with_codec
from activities.runtime.encryption import key_of
from runbook_model.checks import Drilled
from runbook_model.reports import Outcome
from starter.client.runs import describe
from tests.patience import PATIENCE
from tests.sealing import codec, payloads
from worker import WORKFLOWS
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("sealed")]
REASON = "the pear cache is broken"


def keys_in(history):
    """The keys of all that a history holds; None: anybody can read it."""
    return {key_of(payload) for payload in payloads(history)}


def on_disk(stage):
    """Everything that Temporal ever wrote."""
    files = Path(stage.world.addresses.folder).glob("temporal.db*")
    return b"".join(file.read_bytes() for file in files)


async def replay(history, *key_ids):
    await Replayer(
        workflows=WORKFLOWS,
        workflow_runner=sandbox_runner(),
        data_converter=with_codec(codec(*key_ids)),
        interceptors=[TrimArguments()],
    ).replay_workflow(history)


async def test_a_whole_rollback_leaves_no_word_with_temporal(stage):
    shop = stage.a_shop("gated")
    started = await shop.cli.start("--reason", REASON, "--json")
    assert started.code == 0, started.err
    handle = stage.client.get_workflow_handle(shop.id)
    gate = await shop.asked(handle)
    shown = (await shop.cli("show", shop.short, "--json")).json
    assert (shown["live"], shown["checkpoint"]["plan_hash"]) == (True, gate.plan_hash)
    assert "taskDefinition" in json.dumps(shown["checkpoint"]["plan"])
    approved = await shop.cli("approve", shop.short, "--comment", "go, pears", "--json", user="bob")
    assert approved.json["confirmed"] is True
    watched = await shop.cli("watch", shop.short, "--json")
    assert (watched.code, watched.json["outcome"]) == (0, "recovered")
    assert shop.changes() == ["UpdateService"]

    review = await shop.cli("review", shop.short)
    for words in (REASON, "bob", "UpdateService", "recovered"):
        assert words in review.out
    assert f"rollback gated {shop.name}: 1 ended, 1 recovered" in (await shop.cli("metrics")).out
    run = await describe(stage.client, shop.id)
    assert (run.recorded_outcome, run.service) == ("recovered", shop.name)  # search attributes are plain

    history = await handle.fetch_history()
    assert keys_in(history) == {"test"}
    stored = on_disk(stage)
    assert shop.id.encode() in stored
    for words in (
        REASON,
        "pears",
        gate.plan.headline,
        "UpdateService",
        "Look the target up",
        "taskDefinition",
    ):
        assert words.encode() not in stored, words
    await replay(history, "test")
    with pytest.raises(RuntimeError, match="is not among the keys here"):
        await replay(history, "another")


async def test_without_a_worker_a_run_is_reported_and_answered_all_the_same(stage):
    shop = stage.a_shop("gated")
    await shop.cli.start("--reason", REASON)
    handle = stage.client.get_workflow_handle(shop.id)
    gate = await shop.asked(handle)
    stage.kill_worker()
    try:
        shown = (await shop.cli("show", shop.short, "--json")).json
        assert (shown["live"], shown["reason"]) == (False, REASON)
        assert shown["checkpoint"]["plan_hash"] == gate.plan_hash
        assert shown["steps"][0]["step"] == "Look up the target in the catalog"
        approved = await shop.cli("approve", shop.short, "--json", user="bob")
        assert (approved.code, approved.json["confirmed"]) == (0, False)
    finally:
        stage.start_worker()
    async with asyncio.timeout(PATIENCE):
        assert (await shop.cli("watch", shop.short, "--json")).json["outcome"] == "recovered"
    assert keys_in(await handle.fetch_history()) == {"test"}


async def test_why_a_run_failed_is_reported_without_a_worker(stage):
    await stage.client.start_workflow(
        "Rollback",
        {"service": 7, "secret": "pear tart"},
        id="remediation/gated/wrong",
        task_queue="runbooks-gated",
    )
    shop = stage.a_shop("gated")
    await shop.cli("watch", "remediation/gated/wrong")
    shown = await shop.cli("show", "remediation/gated/wrong", "--json")
    assert shown.json["outcome"] == "failed"
    assert "validation error" in shown.json["error"]["message"]
    history = await stage.client.get_workflow_handle("remediation/gated/wrong").fetch_history()
    (failed,) = [
        event
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED
    ]
    assert failed.workflow_execution_failed_event_attributes.failure.message == "Encoded failure"


async def test_a_plain_run_continues_when_encryption_is_switched_on_and_when_the_key_is_replaced(stage):
    shop = stage.a_shop("gated")
    try:
        stage.kill_worker()
        stage.switch()
        stage.start_worker()
        await shop.cli.start("--reason", REASON)
        assert "awaiting-approval" in (await _shown(shop))["state"]
        stage.kill_worker()
        stage.switch("test")
        stage.start_worker()
        assert (await shop.cli("pause", shop.short, user="bob")).code == 0
        stage.kill_worker()
        stage.switch("newer", "test")
        stage.start_worker()
        assert (await shop.cli("resume", shop.short, user="bob")).code == 0
        assert (await shop.cli("approve", shop.short, user="bob")).code == 0
        watched = await shop.cli("watch", shop.short, "--json")
        assert watched.json["outcome"] == "recovered"
        assert shop.changes() == ["UpdateService"]
    finally:
        stage.kill_worker()
        stage.switch("test")
        stage.start_worker()
    history = await stage.client.get_workflow_handle(shop.id).fetch_history()
    assert keys_in(history) == {None, "test", "newer"}
    await replay(history, "newer", "test")


async def _shown(shop):
    """The page, once it waits for a person."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = (await shop.cli("show", shop.short, "--json")).json
            if shown["checkpoint"]:
                return shown


async def test_who_lacks_the_key_learns_it_and_sends_nothing(stage):
    shop = stage.a_shop("gated")
    await shop.cli.start("--reason", REASON)
    handle = stage.client.get_workflow_handle(shop.id)
    await shop.asked(handle)
    before = len((await handle.fetch_history()).events)
    said = 'encrypted with key "test", which is not among the keys here; add its line to RUNBOOK_CODEC_KEYS'
    stage.switch("another")
    try:
        for verb in (["show"], ["approve"], ["abort", "--reason", "x"], ["watch"], ["review"]):
            text = await shop.cli(verb[0], shop.short, *verb[1:], user="bob")
            assert (text.code, text.out) == (2, "")
            assert said in text.err
            assert len(text.err.splitlines()) == 1
        listed = await shop.cli("list", "--open", "--json")
        assert shop.id in [item["id"] for item in listed.json]
        assert (await shop.cli("metrics")).code == 0
    finally:
        stage.switch("test")
    assert len((await handle.fetch_history()).events) == before
    assert (await shop.cli("abort", shop.short, "--reason", "enough", user="bob")).code == 0
    assert (await handle.result())["outcome"] == Outcome.ABORTED


async def test_what_people_send_plain_by_the_ui_is_heard(stage):
    shop = stage.a_shop("gated")
    handle = await shop.start()
    gate = await shop.asked(handle)
    config = stage.client.config() | {"data_converter": data_converter}
    plain = type(stage.client)(**config).get_workflow_handle(shop.id)
    await plain.signal("approve", {"by": "bob", "plan_hash": gate.plan_hash})
    async with asyncio.timeout(PATIENCE):
        assert (await handle.result()).outcome is Outcome.RECOVERED


async def test_incidents_brakes_and_reviews_know_nothing_of_it(stage):
    shop = stage.a_shop("gated")
    incident = f"incident/{shop.short}"
    assert (await shop.cli("open", *_target(shop), "--impact", REASON)).code == 0
    assert (await shop.cli("note", shop.short, "--observation", "pears")).code == 0
    assert REASON in (await shop.cli("show", incident)).out
    assert (await shop.cli("close", shop.short, "--root-cause", "a pear tree")).code == 0
    assert "a pear tree" in (await shop.cli("review", incident)).out
    metrics = await shop.cli("metrics", "--json", "--service", shop.name)
    assert metrics.json["incidents"]["outcomes"] == {"inconclusive": 1}
    assert (await shop.cli("brake", "on", "gated", "--reason", "pear season")).code == 0
    assert "pear season" in (await shop.cli("brake")).out
    assert (await shop.cli("brake", "off", "gated", "--reason", "over")).code == 0
    assert b"pear season" not in on_disk(stage)
    assert b"a pear tree" not in on_disk(stage)


async def test_doctor_and_drills_also_scheduled_ones_work(stage):
    shop = stage.open_shop("tight", "1.0.0", "1.1.0")  # no other test has left a service there
    look = await shop.cli("doctor", "--environment", "tight", "--json")
    checks = {check["name"]: check["ok"] for check in look.json["checks"]}
    assert [checks[name] for name in ("worker", "encryption", "worker-catalog", "service")] == [True] * 4
    drilled = await shop.cli("drill", "--environment", "tight", "--json")
    assert drilled.json["drills"][0]["environment"] == "tight"
    scheduled = await shop.cli("drill", "--environment", "tight", "--schedule", "0 6 * * *")
    assert scheduled.code == 0, scheduled.err
    schedule = stage.client.get_schedule_handle("drill/tight")
    await schedule.trigger()
    async with asyncio.timeout(PATIENCE):
        while not (actions := (await schedule.describe()).info.recent_actions):
            await asyncio.sleep(0.1)
    started = actions[-1].action
    run = stage.client.get_workflow_handle(
        started.workflow_id, run_id=started.first_execution_run_id, result_type=Drilled
    )
    assert (await run.result()).services == (shop.name,)


@pytest.mark.parametrize(
    ("keys", "detail"),
    [
        (
            ["another"],
            'the worker cannot read what is sent from here: encrypted with key "another", which is',
        ),
        ([], 'the worker\'s answer cannot be read here: encrypted with key "test", which is not among'),
    ],
)
async def test_doctor_says_that_keys_are_not_the_same(stage, keys, detail):
    shop = stage.a_shop("gated")
    stage.switch(*keys)
    try:
        look = await shop.cli("doctor", "--environment", "gated", "--service", shop.name, "--json")
    finally:
        stage.switch("test")
    red = [check for check in look.json["checks"] if check["ok"] is False]
    assert [item["name"] for item in red] == ["encryption"]
    assert red[0]["detail"].startswith(detail)
    assert "the workers first" in red[0]["fix"]


def _target(shop):
    return "--service", shop.name, "--environment", shop.environment
