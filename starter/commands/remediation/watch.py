"""``runbook watch``: the page of a run, live until its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text
from temporalio.client import Client

from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.run_view import RunView
from starter.client.runs import Run
from starter.client.starting import follow, wait_for_end
from starter.client.targets import page_of
from starter.exits import Exit
from starter.printing import answer, clock, console, note, on_terminal, say
from starter.target_options import run_argument
from starter.view.page import checkpoint, decided, page_lines, render

HEAD_LINES = 4
"""What stays on top of a page that is longer than the terminal."""
NO_ANSWER = "Temporal does not answer; trying again"


@click.command("watch", epilog=example("runbook watch prod/ai-processor"))
@run_argument
@takes_caller("--catalog", "--run", "--json")
def command(caller: Caller, run: str) -> Exit:
    """Follow a run until it ends; the exit code says how it ended.

    ID is ENVIRONMENT/SERVICE (the open incident, else the remediation) or a workflow id. Workers and Temporal may restart
    meanwhile. Ctrl-C ends only this command.
    """
    try:
        return converse(lambda client: _watch(client, caller, run))
    except KeyboardInterrupt:
        note(f"no longer following; the run continues: runbook watch {run}")
        raise


async def _watch(client: Client, caller: Caller, text: str) -> Exit:
    run = await page_of(client, text, caller.run_id)
    if caller.as_json:
        view = await wait_for_end(client, run, caller.catalog)  # the page is for a program
        answer(view.document(client))
    elif on_terminal():
        view = await watch_live(client, run, caller.catalog)
    else:
        view = await watch_plainly(client, run, caller.catalog)
    return view.exit_code


async def watch_live(client: Client, run: Run, catalog: Path | None) -> RunView:
    """Keep the page on a terminal up to date until the run's end."""
    view: RunView | None = None
    terminal = console()
    with Live(Text("looking …", style="dim"), console=terminal, auto_refresh=False, transient=True) as live:
        async for seen in follow(client, run, catalog):
            view = seen or view
            lines = page_lines(view) if view else []
            no_answer = [] if seen else [Text(NO_ANSWER, style="red")]
            live.update(Group(*fitting([*lines, *no_answer], terminal.height)), refresh=True)
    assert view is not None
    terminal.print(render(view))
    return view


def fitting(lines: list[Text], height: int) -> list[Text]:
    """Return what fits on a terminal, one row a line: the head, and the newest of what is below it."""
    for text in lines:
        text.no_wrap, text.overflow = True, "ellipsis"
    room = max(height - 1, HEAD_LINES + 2)
    if len(lines) <= room:
        return lines
    return [*lines[:HEAD_LINES], Text("…", style="dim"), *lines[len(lines) - (room - HEAD_LINES - 1) :]]


async def watch_plainly(client: Client, run: Run, catalog: Path | None) -> RunView:
    """Write a line for everything that is new, and the whole page at the end."""
    new_lines = NewLines()
    view: RunView | None = None
    async for seen in follow(client, run, catalog):
        new_lines.write(seen)
        view = seen or view
    assert view is not None
    say()
    console().print(render(view))
    return view


class NewLines:
    """Remembers what was said, so that each thing is said once."""

    def __init__(self) -> None:
        self._said: set[object] = set()
        self._present: bool | None = None

    def write(self, view: RunView | None) -> None:
        """Say what is new."""
        self._write_presence(view)
        if view is None:
            return
        report = view.report
        for key, text, at in sorted(_events(view), key=lambda event: event[2]):
            self._once(key, text, at)
        gate = report.checkpoint
        if gate and self._once((gate.plan_hash, gate.opened), gate.question, gate.opened):
            console().print(*list(checkpoint(gate, view.run.id))[1:], sep="\n")
        for change in report.changes:
            text = f"{change.action}: {change.before} -> {change.after} {change.undone or ''}".rstrip()
            self._once(change, text, view.run.ended)

    def _once(self, key: object, text: str, at: datetime | None) -> bool:
        """Say something with the time when it happened; where that is not known, it is new now."""
        if key in self._said:
            return False
        self._said.add(key)
        say(f"{clock(at or datetime.now(UTC))}  {text}")
        return True

    def _write_presence(self, view: RunView | None) -> None:
        """Say when workers or Temporal go and come back."""
        present = None if view is None else view.live or not view.run.is_open
        if present is self._present and self._said:
            return
        words = {
            None: NO_ANSWER,
            False: "no worker answers; the run continues once one is back",
            True: "a worker answers",
        }
        if present is not True or self._said:
            self._said.add(("presence", present))
            say(f"{clock(datetime.now(UTC))}  {words[present]}")
        self._present = present


def _events(view: RunView) -> Iterator[tuple[object, str, datetime]]:
    """List what happened and when; each with a key that tells it from all others."""
    report = view.report
    for place, step in enumerate(report.steps):
        state = "stopped" if step.state == "cancelled" else step.state
        text = f"{step.heading}: {step.step}: {state}"
        yield (place, step.step, step.state), text, step.ended or step.started
    for decision in report.decisions:
        yield (decision.kind, decision.at), decided(decision), decision.at
    for rejected in report.rejected:
        yield rejected.at, f"not used: {rejected.message}: {rejected.why}", rejected.at
