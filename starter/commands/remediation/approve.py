"""``runbook approve``: a person's answer at a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from temporalio.client import Client

from runbook_model.authority.shown import Shown
from runbook_model.messages import Approval
from runbook_model.text.plain_text import UNSAFE
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.deciding import decide, say_decided
from starter.client.run_view import RunView, look
from starter.client.signing import shown_at, sign_answer
from starter.client.targets import ending, waiting_at
from starter.exits import Exit, refused
from starter.names import Words, short_id
from starter.printing import console, line, note, on_terminal, say
from starter.signing import SigningOptions, takes_signing
from starter.target_options import run_argument
from starter.view.page import checkpoint

if TYPE_CHECKING:
    from rich.text import Text


def shown(document: Shown, subject: str) -> Iterator[Text]:
    """Lay out all that is signed."""
    yield line(document.question, "bold yellow")
    yield line(f"  {document.headline}", "bold")
    for reason in document.reasons:
        yield line(f"    because {reason}")
    yield line(f"    target {document.target}, in the catalog as {document.target_hash or 'not said'}")
    for call in document.calls:
        yield line(f"    call {call.service} {call.action} {_json(call.parameters)}")
    if document.fence:
        yield line(f"    while {_json(document.fence.model_dump(mode='json'))}")
    if document.essence:
        yield line(f"    bound to {document.essence}")
    for loss in document.not_restored:
        yield line(f"    not restored: {loss}", "yellow")
    for following in document.follows:
        until = f"{following.until:%Y-%m-%d %H:%M} UTC"
        yield line(f"    may follow until {until}: {following.kind}: {following.what}")
        for call in following.calls:
            yield line(f"      call {call.service} {call.action} {_json(call.parameters)}")
    yield line(f"    options {', '.join(document.options)}")
    yield line(f"    plan {document.plan_hash}")
    yield line(f"    SHA-256 {subject}", "dim")
    if any(UNSAFE.search(text) for text in _texts(document.model_dump(mode="json"))):
        yield line(
            "    it holds characters that are not shown here: look at them with --json before you sign",
            "bold red",
        )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _texts(value: object) -> Iterator[str]:
    """List every text of a document, names of parameters too."""
    match value:
        case str():
            yield value
        case dict():
            for name, part in value.items():
                yield from _texts(name)
                yield from _texts(part)
        case list() | tuple():
            for part in value:
                yield from _texts(part)


@click.command(
    "approve",
    epilog=example(
        "runbook approve prod/ai-processor --as bob --comment 'seen the graphs'",
        "runbook approve prod/ai-processor --option done --comment 'ended pid 4711'",
        "runbook approve prod/ai-processor --as bob --sign ~/.ssh/id_ed25519_sk",
        "runbook approve prod/ai-processor --as bob --print-statement > decision.json",
    ),
)
@run_argument
@click.option(
    "--option", metavar="O", type=Words(100), help="The option to choose; needed if there are several."
)
@click.option("--comment", metavar="T", type=Words(), help="A comment, for the record.")
@click.option(
    "--plan-hash",
    metavar="H",
    type=Words(200),
    help="Approve only the plan with this hash. Default: the current one.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation on a terminal.")
@takes_signing()
@takes_caller("--as", "--run", "--json")
def command(
    caller: Caller,
    run: str,
    *,
    option: str | None,
    comment: str | None,
    plan_hash: str | None,
    yes: bool,
    signing: SigningOptions,
) -> Exit:
    """Approve the plan that a run waits with, choose one of its options, or answer a task.

    ID is ENVIRONMENT/SERVICE (the run that waits there) or a workflow id. On a terminal the plan is shown first. The
    approval is for exactly that plan; if the plan changes before it is carried out, the run asks again. Where decisions are
    signed, all that is signed is shown first.
    """
    approval = Approval(by=caller.name, plan_hash=plan_hash, option=option, comment=comment)
    return converse(lambda client: _approve(client, caller, run, approval, signing, yes=yes))


async def _approve(
    client: Client, caller: Caller, text: str, approval: Approval, signing: SigningOptions, *, yes: bool
) -> Exit:
    run = await waiting_at(client, text, caller.run_id)
    if not run.is_open:
        raise refused(f"{ending(run)}: nothing waits for an answer")
    view = await look(client, run)
    if approval.plan_hash is None:
        approval = approval.model_copy(update={"plan_hash": _open_plan_hash(view)})
    elif view.report.checkpoint and approval.plan_hash != view.report.checkpoint.plan_hash and signing.key:
        raise refused(
            f"the plan is {view.report.checkpoint.plan_hash} now, not {approval.plan_hash}",
            "look at it again",
        )
    if on_terminal() and not yes and not caller.as_json and not signing.print_statement:
        if not _agreed(view, approval, signing):
            say("not confirmed; nothing was sent")
            return Exit.NOT_DONE
    elif signing.print_statement:
        _print_shown(view)
    gate = view.report.checkpoint
    signed = await sign_answer(client, caller, signing, gate, approval.option, approval)
    if signed is None:
        return Exit.DONE
    decided = await decide(client, run, "decide", "approve", signed)
    say_decided(caller, run, decided, plan_hash=signed.plan_hash)
    return Exit.DONE


def _open_plan_hash(view: RunView) -> str:
    """Return the current plan's hash: an approval without one could be for anything."""
    report = view.report
    found = report.checkpoint.plan_hash if report.checkpoint else report.plan_hash
    if not found:
        raise refused(
            f"{view.run.id} has no plan to approve yet ({report.state})",
            f"`runbook watch {short_id(view.run.id)}` shows when it has",
        )
    return found


def _print_shown(view: RunView) -> None:
    """Show on stderr what is signed: stdout holds the statement."""
    gate = view.report.checkpoint
    if gate and gate.subject:
        for row in shown(shown_at(gate), gate.subject):
            note(row.plain)


def _agreed(view: RunView, approval: Approval, signing: SigningOptions) -> bool:
    gate = view.report.checkpoint
    if gate and gate.subject and (signing.asked or (gate.asked_by and gate.asked_by.signed)):
        console().print(*shown(shown_at(gate), gate.subject), sep="\n")
    elif gate:
        console().print(*checkpoint(gate, view.run.id), sep="\n")
    what = f'Answer "{approval.option}"' if approval.option else f"Approve plan {approval.plan_hash}"
    return click.confirm(f"{what} as {approval.by}?", default=False)
