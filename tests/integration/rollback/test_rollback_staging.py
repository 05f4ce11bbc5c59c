"""Rollback where nobody need be asked: which release is chosen, and what is learnt from it."""

import re

from tests.sandbox_under_test import until


async def test_a_bad_release_is_put_back_and_seen_to_be_good_by_prometheus(stage):
    service = stage.the_processor("staging")
    good = service.runs()
    bad = service.deploy("1.5.0", FAULT_ERROR_RATE=0.3)
    assert service.until_ended() == "SUCCESSFUL"
    errors = f'sum(rate(http_errors_total{{release="{bad}"}}[4s])) > 0'
    until(lambda: stage.world.query(errors))

    ended = await service.cli.start("--wait", "--json", "--reason", "errors since 1.5.0")

    assert ended.code == 0, ended.err
    page = ended.json
    assert (page["outcome"], page["verdict"]) == ("recovered", "recovered")
    assert service.runs() == good
    assert service.changes() == ["UpdateService"]
    assert service.marks() == {good: {"good"}, bad: {"bad"}}
    rates = [reading for reading in page["readings"] if reading["kind"] == "error-rate"]
    assert (rates[0]["quality"], rates[-1]["quality"]) == ("bad", "good")
    assert {rate["source"] for rate in rates} == {"prometheus"}
    assert re.search(r"before the change \d\d\.\d % failed$", page["summary"])


async def test_two_bad_releases_in_a_row_go_back_to_the_older_good_one(stage):
    shop = stage.a_shop()
    first = await shop.roll_back()
    again = shop.deploy("1.2.0")
    shop.until_ended()
    second = await shop.roll_back()
    assert (first.outcome, second.outcome) == ("recovered", "recovered")
    assert (second.plan.before.revision, second.plan.after.revision) == (again, f"{shop.name}:1")
    assert shop.changes() == ["UpdateService", "UpdateService"]
    assert shop.marks() == {f"{shop.name}:1": {"good"}, f"{shop.name}:2": {"bad"}, again: {"bad"}}


async def test_a_release_that_is_marked_bad_is_not_chosen_even_if_it_ran_last(stage):
    shop = stage.open_shop("open", "1.0.0", "1.1.0", "1.2.0")
    shop.mark(f"{shop.name}:2", "bad")
    planned = await shop.cli.start("--plan", "--json")
    assert planned.json["release"] == {"from": f"{shop.name}:3", "to": f"{shop.name}:1"}


async def test_a_wrong_mark_is_corrected_from_the_command_line(stage):
    shop = stage.a_shop()
    shop.mark(f"{shop.name}:1", "bad")
    refused = await shop.cli.start("--wait", "--json", "--to", "1.0.0")
    assert refused.code == 5
    assert "runbook release mark" in refused.json["error"]["fix"]

    marked = await shop.cli(
        "release",
        "mark",
        shop.short,
        "1.0.0",
        "good",
        "--reason",
        "the database was slow",
        user="carol jones",
    )
    assert marked.code == 0, marked.err
    newest, oldest = (line.split("\t") for line in marked.out.splitlines())
    assert (newest[0], newest[2]) == (f"{shop.name}:2", "running")
    assert oldest[2].startswith("good by carol-jones at ")

    listed = (await shop.cli("release", "list", shop.short, "--json")).json
    assert [(item["revision"], item["running"], item["judgement"], item["by"]) for item in listed] == [
        (f"{shop.name}:2", True, None, None),
        (f"{shop.name}:1", False, "good", "carol-jones"),
    ]
    ended = await shop.roll_back()
    assert (ended.outcome, ended.plan.after.revision) == ("recovered", f"{shop.name}:1")


async def test_a_mark_on_what_does_not_exist_is_one_line_and_exit_2(stage):
    shop = stage.open_shop("open", "1.0.0")
    said = await shop.cli("release", "mark", shop.short, "9.9.9", "bad", "--reason", "x")
    assert (said.code, said.out) == (2, "")
    assert f'no release "9.9.9" of {shop.short}; there are: {shop.name}:1 (1.0.0)' in said.err
    assert len(said.err.splitlines()) == 1


async def test_the_ledger_needs_a_worker_and_says_so_at_once(stage):
    shop = stage.the_processor("staging")
    shop.cli.environment = "nobody-serves-this"
    said = await shop.cli("release", "list", "nobody-serves-this/ai-processor", RUNBOOK_CATALOG="")
    assert (said.code, said.out) == (1, "")
    assert "no worker serves nobody-serves-this now" in said.err
    assert len(said.err.splitlines()) == 1
