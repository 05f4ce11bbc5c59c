"""Carries what people decide and say to a run: with an answer when a worker is there, durably when none is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.messages import Answer, Message
from starter.caller import Caller
from starter.client.connect import RPC_TIMEOUT, converse
from starter.client.runs import Run, describe
from starter.client.targets import ending
from starter.exits import CliError, Exit, bad_input, refused
from starter.printing import answer, say
from workflows.decisions.endings import fix_of

Which = Callable[[Client, str, str | None], Awaitable[Run]]
Sign = Callable[[Client, Run], Awaitable[Message | None]]

WORKER_TIMEOUT = timedelta(seconds=3)
"""How long a worker has to answer before the decision is only recorded."""

UPDATES = {"abort": "abort_run"}
"""Updates that are called otherwise than the signals that do the same."""

LATER = "recorded; takes effect when a worker is back"


@dataclass(frozen=True)
class Decided:
    """What became of a decision."""

    confirmed: bool
    """Whether the run itself answered."""
    detail: str
    already: bool = False

    def document(self) -> dict[str, Any]:
        """Return the JSON that a program reads."""
        known = (
            {"detail": self.detail, "already": self.already} if self.confirmed else {"detail": self.detail}
        )
        return {"recorded": True, "confirmed": self.confirmed, **known}


NOT_TAKEN = (
    RPCStatusCode.RESOURCE_EXHAUSTED,  # too many updates wait for a worker already
    RPCStatusCode.FAILED_PRECONDITION,  # the run's last task failed on its worker, and is tried again
)


async def decide(client: Client, run: Run, update: str, signal: str, decision: Message) -> Decided:
    """Send a decision as an update, and as a signal under the same decision id when no worker answers.

    Temporal keeps a signal for the worker that comes back, but forgets an update that no worker took; the run
    drops the second of two decisions with one id.

    Raises:
        CliError: the run has ended, or refuses.
    """
    # What is signed has its id already.
    decision_id = getattr(decision, "decision_id", None) or str(uuid4())
    marked = decision.model_copy(update={"decision_id": decision_id})
    answer = await ask(client, run, update, marked, decision_id)
    if answer is not None:
        return Decided(confirmed=True, detail=answer.detail, already=answer.already)
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        await handle.signal(signal, marked, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        raise await _as_error(client, run, error) from error
    return Decided(confirmed=False, detail=LATER)


def say_decided(caller: Caller, run: Run, decided: Decided, **more: object) -> None:
    """Say what became of a decision; its JSON has more where more is known."""
    if caller.as_json:
        answer(decided.document() | {"id": run.id, **more})
    else:
        say(decided.detail)


async def ask(
    client: Client, run: Run, update: str, message: Message, update_id: str | None = None
) -> Answer | None:
    """Send an update and wait for its answer; None when no worker takes it in time.

    Raises:
        CliError: the run has ended, or refuses.
        MissingKeyError: we lack the run's key, and its worker may lack ours; nothing was sent.
    """
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    await _read_request(client, handle)
    sending = handle.execute_update(
        update, message, id=update_id or str(uuid4()), result_type=Answer, rpc_timeout=WORKER_TIMEOUT
    )
    try:
        async with asyncio.timeout(WORKER_TIMEOUT.total_seconds()):
            answer = await sending
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError):
        return None
    except RPCError as error:
        if error.status in NOT_TAKEN:
            return None
        raise await _as_error(client, run, error) from error
    return Answer.model_validate(answer)


async def _read_request(client: Client, handle: WorkflowHandle[Any, Any]) -> None:
    """Read what a run was started with: whoever cannot would send it what its worker cannot read either."""
    async for first in handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT):
        await client.data_converter.decode(first.workflow_execution_started_event_attributes.input.payloads)
        return


def _refusal(error: WorkflowUpdateFailedError) -> CliError:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == "InvalidMessage":
        return bad_input(cause.message, fix_of(cause))
    return (
        refused(cause.message, fix_of(cause)) if isinstance(cause, ApplicationError) else refused(str(cause))
    )


async def _as_error(client: Client, run: Run, error: RPCError) -> Exception:
    if error.status is not RPCStatusCode.NOT_FOUND:
        return error
    now = await describe(client, run.id, run.run_id)
    if now is None or now.is_open:
        return CliError(Exit.NOT_DONE, f"{run.id} does not know this: {error.message}")
    return refused(f"{ending(now)}: there is nothing left to decide")


def send_message(
    caller: Caller,
    text: str,
    what: str,
    message: Message,
    which: Which,
    sign: Sign | None = None,
    *,
    durable: bool = False,
) -> None:
    """Send it and say what came of it; to an incident also while no worker lives.

    Args:
        caller: who sends it.
        text: the ID as it was given.
        what: what a person calls it, which is the signal's name.
        message: what is sent.
        which: finds the run.
        sign: returns the message with its signature, or None where it was only printed.
        durable: whether a procedure takes it too while no worker lives.

    Raises:
        CliError: there is no such run, it has ended, or refuses.
    """

    async def send(client: Client) -> None:
        run = await which(client, text, caller.run_id)
        if not run.is_open:
            raise refused(f"{ending(run)}: there is nothing to {what}")
        signed = await sign(client, run) if sign else message
        if signed is None:
            return
        update = UPDATES.get(what, what)
        if durable or run.procedure == "incident":
            decided = await decide(client, run, update, what, signed)
        elif answered := await ask(client, run, update, signed):
            decided = Decided(confirmed=True, detail=answered.detail, already=answered.already)
        else:
            raise CliError(
                Exit.NOT_DONE, f"no worker answers for {run.id}", f"{what} it again once one is back"
            )
        say_decided(caller, run, decided)

    converse(send)
