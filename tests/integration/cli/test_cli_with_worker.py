"""The command line while a worker answers."""

import asyncio

from runbook_model.authority.shown import plan_hash
from tests.integration.cli.page_workflow import PLAN


async def test_start_returns_the_id_and_says_where_to_look(runbook):
    async with runbook.worker():
        started = await runbook.start("--json")
    assert started.code == 0
    document = started.json
    assert set(document) == {"id", "run_id", "procedure", "service", "environment", "ui"}
    assert document["id"] == runbook.id
    assert document["ui"].endswith(
        f"/workflows/remediation%2F{runbook.environment}%2Fai-processor/{document['run_id']}/history"
    )


async def test_start_shows_a_person_how_to_continue(runbook):
    async with runbook.worker():
        started = await runbook.start()
    for word in (runbook.id, "runbook watch", "runbook approve", "runbook abort", "http://localhost:8233/"):
        assert word in started.out


async def test_a_second_start_is_refused_and_names_the_first(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        second = await runbook(
            "start", "rollback", "--service", "ai-processor", "--environment", runbook.environment, user="bob"
        )
    assert second.code == 5
    assert second.out == ""
    assert runbook.id in second.err
    assert "started by alice" in second.err
    assert len(second.err.splitlines()) == 1


async def test_show_gives_the_page_with_its_checkpoint(runbook):
    async with runbook.worker():
        started = await runbook.start_and_ask("--reason", "errors since 1.1.0")
        shown = (await runbook("show", runbook.short, "--json")).json
    assert shown.items() >= started.items()
    assert (shown["state"], shown["outcome"], shown["live"]) == ("awaiting-approval", None, True)
    assert shown["checkpoint"]["plan_hash"] == plan_hash(PLAN)
    assert shown["checkpoint"]["question"] == "Put it back?"
    assert shown["steps"][0]["step"] == "Read the service"
    for key in ("summary", "changes", "readings", "verdict", "rejected", "error", "trace_id"):
        assert key in shown


async def test_show_prints_the_plan_and_how_to_answer_for_a_person(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        shown = await runbook("show", runbook.short)
    assert PLAN.headline in shown.out
    assert "ecs UpdateService taskDefinition=ai-processor-prod:1" in shown.out
    assert f"runbook approve {runbook.short}" in shown.out
    assert "\x1b" not in shown.out


async def test_approve_sends_the_hash_of_the_plan_that_stands(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        approved = await runbook("approve", runbook.short, "--json", user="bob")
        assert approved.code == 0
        assert (
            approved.json.items()
            >= {"recorded": True, "confirmed": True, "detail": "approved, 1 of 1", "already": False}.items()
        )
        watched = await runbook("watch", runbook.short, "--json")
    assert watched.code == 0
    assert watched.json["outcome"] == "recovered"


async def test_who_asked_is_refused_as_approver(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        approved = await runbook("approve", runbook.short, user="alice")
    assert approved.code == 5
    assert "alice asked for it and may not approve it" in approved.err


async def test_an_approval_of_another_plan_is_refused(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        approved = await runbook("approve", runbook.short, "--plan-hash", "0000", user="bob")
    assert approved.code == 5
    assert "the plan has changed" in approved.err


async def test_a_message_that_does_not_fit_is_bad_input(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        approved = await runbook("approve", runbook.short, "--option", "nonsense", user="bob")
    assert approved.code == 2


async def test_wait_ends_with_the_outcome(runbook):
    async with runbook.worker():
        waiting = asyncio.create_task(runbook.start("--wait", "--json", "--reason", "will not recover"))
        while (await runbook("approve", runbook.short, user="bob")).code != 0:
            await asyncio.sleep(0.1)
        ended = await waiting
    assert ended.code == 1
    assert ended.json["outcome"] == "not-recovered"
    assert ended.json["changes"] == [
        {
            "action": "UpdateService",
            "before": "2",
            "after": "1",
            "undone": None,
            "undo_failed": False,
            "certain": True,
            "kept": False,
        }
    ]


async def test_wait_for_an_aborted_run_exits_3(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        watching = asyncio.create_task(runbook("watch", runbook.short))
        aborted = await runbook("abort", runbook.short, "--reason", "wrong one")
        assert aborted.code == 0
        assert "stopping safely" in aborted.out
        watched = await watching
    assert watched.code == 3
    assert "aborted" in watched.out


async def test_what_has_ended_cannot_be_aborted_or_approved(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        await runbook("abort", runbook.short, "--reason", "wrong one")
        await runbook("watch", runbook.short)
        for verb in (
            ("abort", runbook.short, "--reason", "again"),
            ("approve", runbook.short),
            ("pause", runbook.short),
        ):
            late = await runbook(*verb, user="bob")
            assert late.code == 5
            assert " ended at " in late.err
            assert len(late.err.splitlines()) == 1


async def test_replace_aborts_the_first_and_starts(runbook):
    async with runbook.worker():
        first = await runbook.start_and_ask()
        second = await runbook.start("--replace", "--json")
        assert second.code == 0, second.err
        assert second.json["run_id"] != first["run_id"]
        old = await runbook("show", runbook.id, "--run", first["run_id"], "--json")
    assert old.json["outcome"] == "aborted"


async def test_plan_prints_the_plan_and_takes_no_lock(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        planned = await runbook.start("--plan", "--json")
        wording = await runbook.start("--plan")
    assert planned.code == 0
    document = planned.json
    assert document["plan_hash"] == plan_hash(PLAN)
    assert document["release"] == {"from": "ai-processor-prod:2", "to": "ai-processor-prod:1"}
    assert document["calls"][0]["action"] == "UpdateService"
    assert PLAN.headline in wording.out


async def test_a_refused_plan_distinguishes_input_from_policy(runbook):
    async with runbook.worker():
        for release, code in (("no-such-release", 2), ("forbidden", 5)):
            planned = await runbook.start("--plan", "--to", release)
            waited = await runbook.start("--wait", "--to", release)
            assert (planned.code, waited.code) == (code, code)


async def test_a_start_that_its_run_refuses_at_once_is_an_error_and_nothing_is_said_to_be_started(runbook):
    async with runbook.worker():
        wording = await runbook.start("--to", "forbidden")
        read = await runbook.start("--json", "--to", "forbidden")
        wrong = await runbook.start("--to", "no-such-release")
    for refused in (wording, read):
        assert (refused.code, refused.out) == (5, "")
        assert refused.err == "runbook: the release is marked bad; name another\n"
    assert wrong.code == 2


async def test_waiting_for_a_run_that_is_refused_says_why_in_one_line_on_stderr(runbook):
    async with runbook.worker():
        wording = await runbook.start("--wait", "--to", "forbidden")
        read = await runbook.start("--wait", "--json", "--to", "forbidden")
    for refused in (wording, read):
        assert refused.code == 5
        assert refused.err.splitlines()[-1] == "runbook: the release is marked bad; name another"
    assert read.json["error"] == {
        "kind": "policy",
        "message": "the release is marked bad",
        "fix": "name another",
    }


async def test_pause_and_resume_answer(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        paused = await runbook("pause", runbook.short)
        resumed = await runbook("resume", runbook.short, "--json")
    assert "paused by alice" in paused.out
    assert resumed.json["detail"] == "continuing, says alice"


async def test_list_finds_by_what_waits_and_where(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        rows = []
        while not rows:
            rows = (await runbook("list", "--awaiting", "--environment", runbook.environment, "--json")).json
        row = rows[0]
        text = await runbook(
            "list", "--open", "--service", "ai-processor", "--environment", runbook.environment
        )
    assert set(row) == {
        "id",
        "run_id",
        "parent",
        "procedure",
        "service",
        "environment",
        "state",
        "outcome",
        "started",
        "ended",
    }
    assert (
        row.items()
        >= {
            "id": runbook.id,
            "parent": None,
            "procedure": "rollback",
            "state": "awaiting-approval",
            "ended": None,
        }.items()
    )
    assert runbook.id in text.out


async def test_a_reader_that_goes_away_is_no_crash(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
        process = await runbook.begin("show", runbook.short)
        process.stdout._transport.close()
        err = (await process.stderr.read()).decode()
        code = await process.wait()
    assert (code, err) == (141, "")
