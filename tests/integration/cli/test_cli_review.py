"""Reviews and metrics from the command line, without any worker."""

import asyncio

from tests.patience import PATIENCE


async def ended(runbook):
    async with runbook.worker():
        await runbook.start_and_ask("--reason", "errors since noon")
        await runbook("approve", runbook.short, "--yes", user="bob")
        await runbook("watch", runbook.short, "--json")


async def test_a_review_is_printed_written_and_the_same_each_time(runbook, tmp_path):
    await ended(runbook)
    printed = await runbook("review", runbook.short)
    assert printed.code == 0
    assert printed.out.startswith(f"# Post-incident review: ai-processor in {runbook.environment}")
    assert "bob" in printed.out
    again = await runbook("review", runbook.id)
    assert again.out == printed.out
    file = tmp_path / "review.md"
    written = await runbook("review", runbook.short, "-o", str(file))
    assert (written.code, written.out) == (0, "")
    assert file.read_text() == printed.out
    document = (await runbook("review", runbook.short, "--json")).json
    assert document["reason"] == "errors since noon"
    assert {"workflow": runbook.id, "event": 1}.items() <= document["detected"]["cite"].items()


async def test_a_review_of_what_continues_is_a_draft(runbook):
    async with runbook.worker():
        await runbook.start_and_ask()
    printed = await runbook("review", runbook.short)
    assert "open: this is a draft" in printed.out
    assert "it still waits" in printed.out


async def test_a_review_of_nothing_and_one_that_cannot_be_written_are_bad_input(runbook):
    nothing = await runbook("review", runbook.short)
    assert (nothing.code, "nothing has run" in nothing.err) == (2, True)
    await runbook.start()
    unwritable = await runbook("review", runbook.short, "-o", "/dev/null/review.md")
    assert unwritable.code == 2
    assert "/dev/null/review.md: cannot be written: Not a directory" in unwritable.err


async def test_metrics_count_what_ended(runbook):
    await ended(runbook)
    async with asyncio.timeout(PATIENCE):  # lists lag behind
        while True:
            counted = (await runbook("metrics", "--environment", runbook.environment, "--json")).json
            if counted["procedures"] and counted["procedures"][0]["ended"]:
                break
    (row,) = counted["procedures"]
    assert (row["procedure"], row["ended"], row["outcomes"]) == ("rollback", 1, {"recovered": 1})
    assert row["duration_seconds"] > 0
    assert counted["incidents"]["mttr_seconds"] is None
    said = await runbook("metrics", "--environment", runbook.environment)
    assert f"rollback {runbook.environment} ai-processor: 1 ended, 1 recovered" in said.out


async def test_metrics_of_a_name_that_is_none_are_bad_input(runbook):
    refused = await runbook("metrics", "--service", 'x" OR ""="')
    assert (refused.code, "cannot be the name of a service" in refused.err) == (2, True)
