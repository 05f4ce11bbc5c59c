"""``runbook approve``: a person's answer to what a run waits with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runbook_model.reports import Approval
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.deciding import decide
from starter.client.run_view import Sight, look
from starter.client.targets import ending, waiting_at
from starter.exits import Exit, bad_input, refused
from starter.printing import answer, console, on_terminal, say
from starter.view.page import checkpoint

if TYPE_CHECKING:
    from temporalio.client import Client


@click.command(
    "approve",
    epilog=example(
        "runbook approve prod/ai-processor --as bob --comment 'seen the graphs'",
        "runbook approve prod/ai-processor --option done --comment 'ended pid 4711'",
    ),
)
@click.argument("run", metavar="ID")
@click.option(
    "--option", metavar="O", help="Which of the checkpoint's options; needed where there are several."
)
@click.option("--comment", metavar="T", help="For the record.")
@click.option(
    "--plan-hash", metavar="H", help="Approve this plan and no other; else the one that stands now."
)
@click.option("--yes", is_flag=True, help="Do not ask again on a terminal.")
@takes_caller
def command(
    caller: Caller, run: str, *, option: str | None, comment: str | None, plan_hash: str | None, yes: bool
) -> Exit:
    """Say yes to the plan that a run waits with, choose one of its options, or answer a task.

    ID is a workflow id, or ENVIRONMENT/SERVICE: whatever waits there. On a terminal the plan is shown first. The yes
    counts for exactly that plan; when the world changes before it is carried out, the run asks again.
    """
    for what, text, longest in (
        ("--comment", comment, 2000),
        ("--option", option, 100),
        ("--plan-hash", plan_hash, 200),
    ):
        if text and len(text) > longest:
            raise bad_input(f"{what} is longer than {longest} characters")
    approval = Approval(by=caller.name, plan_hash=plan_hash, option=option, comment=comment)
    return converse(lambda client: _approve(client, caller, run, approval, yes=yes))


async def _approve(client: Client, caller: Caller, text: str, approval: Approval, *, yes: bool) -> Exit:
    run = await waiting_at(client, text, caller.run_id)
    if not run.is_open:
        raise refused(f"{ending(run)}: nothing waits for an answer")
    sight = await look(client, run)
    if approval.plan_hash is None:
        approval = approval.model_copy(update={"plan_hash": _standing(sight)})
    if on_terminal() and not yes and not caller.as_json and not _agreed(sight, approval):
        say("nothing was sent")
        return Exit.NOT_DONE
    decided = await decide(client, run, "decide", "approve", approval)
    if caller.as_json:
        answer(decided.document() | {"id": run.id, "plan_hash": approval.plan_hash})
    else:
        say(decided.detail)
    return Exit.DONE


def _standing(sight: Sight) -> str:
    """Name the plan that stands now: a yes without one could be a yes to anything."""
    report = sight.report
    found = report.checkpoint.plan_hash if report.checkpoint else report.plan_hash
    if not found:
        raise refused(
            f"{sight.run.id} has no plan to approve yet ({report.state})",
            f"`runbook watch {sight.run.id}` shows when it has",
        )
    return found


def _agreed(sight: Sight, approval: Approval) -> bool:
    gate = sight.report.checkpoint
    if gate:
        console().print(*checkpoint(gate, sight.run.id), sep="\n")
    what = f'Answer "{approval.option}"' if approval.option else f"Approve plan {approval.plan_hash}"
    return click.confirm(f"{what} as {approval.by}?", default=False)
