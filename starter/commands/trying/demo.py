"""``runbook demo``: play one story on a sandbox of its own."""

from __future__ import annotations

import os
from typing import Any

import click
from temporalio.client import Client

from runbook_model.text.sentences import did_you_mean
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse, ui_address
from starter.demo.stage import Stage, fix_for, missing
from starter.demo.stories import STORIES, Story
from starter.demo.story_log import StoryBrokenError, StoryLog
from starter.exits import CliError, Exit, bad_input, check_extra
from starter.printing import answer, note, say
from starter.processes.managed_process import ends_in_order
from starter.processes.world import OURS, World


def _complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [story.name for story in STORIES if story.name.startswith(incomplete)]


@click.command("demo", epilog=example("runbook demo", "runbook demo bad-release --json"))
@click.argument("scenario", default="bad-release", shell_complete=_complete)
@click.option("--list", "list_stories", is_flag=True, help="List the stories.")
@takes_caller("--json")
def command(caller: Caller, scenario: str, *, list_stories: bool) -> Exit:
    """Simulate one outage, from start to recovery, in a new sandbox. Nothing outside of it is touched.

    SCENARIO is one of `runbook demo --list`; the default is bad-release. The exit code is 0 only if the story ended as
    expected.
    """
    if list_stories:
        _list(caller)
        return Exit.DONE
    names = [each.name for each in STORIES]
    story = next((story for story in STORIES if story.name == scenario), None)
    if story is None:
        raise bad_input(
            f"there is no story {scenario!r}{did_you_mean(scenario, names)}", f"there are: {', '.join(names)}"
        )
    check_extra("sandbox", "the sandbox")
    if lacking := missing(story.needs):
        raise CliError(Exit.NOT_DONE, f"{story.name} cannot be played: {fix_for(lacking)}")
    story_log = StoryLog(aside=caller.as_json)
    with ends_in_order(World(alerts=story.alerts)) as world:
        with story_log.part(f"{story.name}: {story.summary}"):
            story_log.say("a sandbox starts: Temporal, a simulated ECS with real processes, Prometheus")
            world.start("--wait-for-prometheus", worker=True)
            if story.alerts:
                world.start_webhook()
            _turn_to(world)
            story_log.say(f"ready; watch along in the Temporal UI: {world.addresses['ui']}")
        facts = converse(lambda client: _play(client, world, story, story_log))
    _conclude(story, story_log, facts, as_json=caller.as_json)
    return Exit.DONE if story_log.ok else Exit.NOT_DONE


def _list(caller: Caller) -> None:
    rows = [{"name": each.name, "procedure": each.procedure, "summary": each.summary} for each in STORIES]
    if caller.as_json:
        answer(rows)
        return
    for row in rows:
        say(f"{row['name']:<22} {row['procedure']:<16} {row['summary']}")
    try:
        check_extra("sandbox", "the sandbox")
    except CliError as error:
        note(f"no story can be played here: {error}")
        return
    away = missing(tuple({need for story in STORIES for need in story.needs}))
    for story in STORIES:
        if lacking := [need for need in story.needs if need in away]:
            note(f"{story.name} cannot be played here: {fix_for(lacking)}")


def _turn_to(world: World) -> None:
    """Turn this process to the story's world, away from whatever its shell points at."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(world.environment)


async def _play(client: Client, world: World, story: Story, story_log: StoryLog) -> dict[str, Any]:
    stage = Stage(world, client, story_log, story.environment)
    try:
        await story.play(stage)
    except StoryBrokenError as broken:
        if story_log.ok:
            story_log.expect("the story continues", ok=False, found=broken)
    if stage.run is None:
        return {"id": None, "run_id": None, "ui": None, "outcome": None, "aws_changes": []}
    outcome = (await stage.see()).report.outcome
    return {
        "id": stage.run.id,
        "run_id": stage.run.run_id,
        "ui": ui_address(client, stage.run.id, stage.run.run_id),
        "outcome": outcome.value if outcome else None,
        "aws_changes": [call.action for call in await stage.calls() if call.changes],
    }


def _conclude(story: Story, story_log: StoryLog, facts: dict[str, Any], *, as_json: bool) -> None:
    failed = [expectation for expectation in story_log.expectations if not expectation.ok]
    verdict = (
        "everything was as expected"
        if story_log.ok
        else f"{len(failed)} of {len(story_log.expectations)} were NOT as expected"
    )
    for expectation in failed:
        story_log.say(f"✗ {expectation.what}: {expectation.found}", "red")
    story_log.say(f"{story.name}: {verdict}", "bold green" if story_log.ok else "bold red")
    if as_json:
        parts = [{"part": part, "seconds": round(seconds, 1)} for part, seconds in story_log.parts]
        expectations = [
            {"what": each.what, "ok": each.ok, "found": each.found} for each in story_log.expectations
        ]
        story_document = {"story": story.name, "procedure": story.procedure, "ok": story_log.ok}
        answer(
            story_document
            | facts
            | {"seconds": round(story_log.seconds, 1), "parts": parts, "expectations": expectations}
        )
