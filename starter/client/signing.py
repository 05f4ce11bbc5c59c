"""Makes the statement of a decision, has it signed by ``ssh-keygen``, and puts both into the message."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import click
from temporalio.client import Client

from runbook_model.authority.shown import Shown, read_shown
from runbook_model.authority.statement import (
    LONGEST,
    NAMESPACE,
    Kind,
    SignedStatement,
    Statement,
    kind_of_answer,
    parse_statement,
    subject_of_order,
)
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import CatalogError, Rejected
from runbook_model.messages import Signable
from runbook_model.reports import Checkpoint
from starter.caller import Caller
from starter.client.known_targets import read_catalog
from starter.client.runs import Run
from starter.exits import CliError, Exit, bad_input, refused
from starter.signing import SigningOptions

S = TypeVar("S", bound=Signable)

VALID_FOR = timedelta(minutes=10)
"""How long an order's signature is valid, where the local catalog does not say that it may be only shorter."""


async def sign_answer(
    client: Client,
    caller: Caller,
    signing: SigningOptions,
    gate: Checkpoint | None,
    option: str | None,
    answer: S,
) -> S | None:
    """Return the answer to a gate with statement and signature, where it is to be signed; None when it was only printed.

    Raises:
        CliError: what the gate shows cannot be signed, or the key cannot sign.
    """
    if signing.elsewhere:
        return _read(signing, answer)
    asker = gate.asked_by if gate else None
    if gate is None or asker is None:
        return _unsigned(signing, answer, "nothing asks for an answer that could be signed")
    if not (signing.print_statement or signing.asked or (signing.key and asker.signed)):
        return answer
    shown = shown_at(gate)
    chosen = option or shown.options[0]
    environment, _, service = shown.target.partition("/")
    fields: dict[str, Any] = {
        "kind": kind_of_answer(chosen, task=gate.task is not None),
        "workflow_id": asker.workflow_id,
        "run_id": asker.run_id,
        "environment": environment,
        "service": service,
        "procedure": asker.procedure,
        "gate": asker.gate,
        "subject": gate.subject,
        "requester": asker.requester,
    }
    if fields["kind"] != "approve":
        fields["option"] = chosen
    return await _sign(client, caller, signing, answer, fields, asker.longest)


def shown_at(gate: Checkpoint) -> Shown:
    """Read what a gate shows, every field, with its hash computed here.

    Raises:
        CliError: it is not what its hash names, or this version cannot show all of it.
    """
    if not (gate.document and gate.subject):
        raise refused("the run does not say what its gate shows: it cannot be signed")
    try:
        return read_shown(gate.document, gate.subject)
    except Rejected as error:
        raise refused(error.message, error.fix) from None


async def sign_order(  # noqa: PLR0913 - each belongs to what is signed
    client: Client,
    caller: Caller,
    signing: SigningOptions,
    message: S,
    *,
    kind: Kind,
    order: dict[str, Any],
    run: Run,
    first: bool = False,
    **fields: Any,
) -> S | None:
    """Return an order with statement and signature, where it is to be signed; None when it was only printed.

    Args:
        client: of the server, whose namespace the statement names.
        caller: who signs.
        signing: how.
        message: the order.
        kind: of the statement.
        order: the fields that it is about.
        run: the run that takes it.
        first: whether the run goes on as new ones, so that the statement names the first.
        fields: more fields of the statement, or others than the run's ``environment`` and ``service``; ``sequence`` is None
            where no worker says it.

    Raises:
        CliError: the key cannot sign, or no worker says the sequence.
    """
    if signing.elsewhere:
        return _read(signing, message)
    fields = {"environment": run.environment, "service": run.service} | fields
    if not (signing.print_statement or signs_in(caller, signing, fields["environment"])):
        return message
    if "sequence" in fields and fields["sequence"] is None:
        raise CliError(
            Exit.NOT_DONE,
            "no worker is responding, and only one knows how many such orders came before, which the signature names",
            "start a worker, and give the order again",
        )
    approvals = approvals_of(caller, fields["environment"])
    about = {
        "kind": kind,
        "workflow_id": run.id,
        "run_id": (first and run.first_run_id) or run.run_id,
        "subject": subject_of_order(kind, order),
    }
    longest = min(approvals.longest, VALID_FOR) if approvals else VALID_FOR
    return await _sign(client, caller, signing, message, about | fields, longest)


def signs_in(caller: Caller, signing: SigningOptions, environment: str) -> bool:
    """Whether an order is signed here: by a key that the command names, or where the local catalog does not say otherwise."""
    approvals = approvals_of(caller, environment)
    return signing.asked or bool(signing.key and (approvals is None or approvals.signed))


async def _sign(
    client: Client,
    caller: Caller,
    signing: SigningOptions,
    message: S,
    fields: dict[str, Any],
    valid_for: timedelta,
) -> S | None:
    now = datetime.now(UTC).replace(microsecond=0)
    statement = Statement(
        **{name: value for name, value in fields.items() if value is not None},
        namespace=client.namespace,
        signer=caller.name,
        issued_at=now,
        expires_at=now + valid_for,
        decision_id=message.decision_id or str(uuid4()),
    )
    text = statement.text()
    parse_statement(text)
    if signing.print_statement:
        click.echo(text)
        return None
    assert signing.key
    signature = await asyncio.to_thread(ssh_sign, text, signing.key)
    update = {"statement": text, "signature": signature, "decision_id": statement.decision_id}
    return message.model_copy(update=update)


def ssh_sign(text: str, key: str) -> str:
    """Have ``ssh-keygen`` sign a text; it asks for passphrase and touch on the terminal itself.

    Raises:
        CliError: it is not there, or did not sign.
    """
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key]
    try:
        made = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=False)
    except FileNotFoundError:
        raise CliError(
            Exit.NOT_DONE, "ssh-keygen is not on this machine", "install OpenSSH's client"
        ) from None
    if made.returncode != 0 or not made.stdout:
        raise CliError(Exit.NOT_DONE, f"ssh-keygen did not sign with {key}", "see what it says above")
    return made.stdout.decode()


def read_signed(signing: SigningOptions) -> tuple[Statement, SignedStatement]:
    """Read what was signed elsewhere: the exact text and its signature.

    Raises:
        CliError: a file cannot be read, or it is no statement.
    """
    assert signing.statement
    assert signing.signature
    text, signature = (_text(path) for path in (signing.statement, signing.signature))
    try:
        return parse_statement(text), SignedStatement(statement=text, signature=signature)
    except Rejected as error:
        raise bad_input(f"{signing.statement}: {error.message}", error.fix) from None


def _read(signing: SigningOptions, message: S) -> S:
    """Put what was signed elsewhere into a message: the exact text, and who signed it."""
    statement, signed = read_signed(signing)
    update = {"statement": signed.statement, "signature": signed.signature}
    update |= {"decision_id": statement.decision_id, "by": statement.signer}
    return message.model_copy(update=update)


def _text(path: Path) -> str:
    try:
        text = path.read_bytes()[: LONGEST + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise bad_input(f"{path}: cannot be read as text: {error}") from None
    if len(text) > LONGEST:
        raise bad_input(f"{path} is longer than {LONGEST} characters")
    return text


def approvals_of(caller: Caller, environment: str) -> Approvals | None:
    """Return what the local catalog says of an environment's approvals; None where there is none to ask."""
    if caller.catalog is None:
        return None
    try:
        found = read_catalog(caller.catalog).environments.get(environment)
    except (CatalogError, CliError):
        return None
    return found.approvals if found else None


def _unsigned(signing: SigningOptions, message: S, why: str) -> S:
    if signing.print_statement or signing.asked:
        raise refused(why)
    return message
