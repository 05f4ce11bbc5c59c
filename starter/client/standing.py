"""Files of standing statements: read, signed by one person more, and written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from runbook_model.authority.standing import StandingFile, StandingOrder, parse_standing
from runbook_model.authority.statement import SignedStatement, Statement, parse_statement
from runbook_model.errors import Rejected
from starter.client.signing import read_signed, ssh_sign
from starter.exits import bad_input, refused
from starter.signing import SigningOptions

STANDING = "RUNBOOK_STANDING"
LARGEST = 200_000
"""Characters of a file."""


def read_file(path: Path) -> StandingFile:
    """Read a file as workers do.

    Raises:
        CliError: it cannot be read, or is none.
    """
    try:
        return parse_standing(path.read_bytes()[: LARGEST + 1].decode(errors="replace"))
    except OSError as error:
        raise bad_input(f"{path}: cannot be read: {error.strerror}") from None
    except Rejected as error:
        raise bad_input(f"{path}: {error.message}", "sign a new one, or remove it") from None


def signed_by(file: StandingFile) -> tuple[str, ...]:
    """Name who signed, as the statements say; workers verify it."""
    names = []
    for signed in file.statements:
        try:
            names.append(parse_statement(signed.statement).signer)
        except Rejected:
            names.append("?")
    return tuple(names)


def statement_of(order: StandingOrder, signer: str, namespace: str) -> Statement:
    """Make what a person signs: the order's hash, for one environment, until the order ends."""
    return Statement(
        kind="standing",
        namespace=namespace,
        environment=environment_of(order),
        subject=order.subject,
        signer=signer,
        issued_at=datetime.now(UTC).replace(microsecond=0),
        expires_at=order.until,
        decision_id=str(uuid4()),
    )


def environment_of(order: StandingOrder) -> str:
    """Return the environment whose targets it names."""
    return order.targets[0].partition("/")[0]


async def sign_here(statement: Statement, key: str) -> SignedStatement:
    """Have ``ssh-keygen`` sign it.

    Raises:
        CliError: the key cannot sign.
    """
    text = statement.text()
    return SignedStatement(statement=text, signature=await asyncio.to_thread(ssh_sign, text, key))


def signed_elsewhere(signing: SigningOptions, order: StandingOrder) -> SignedStatement:
    """Read what was signed on another machine.

    Raises:
        CliError: it is not about this order.
    """
    statement, signed = read_signed(signing)
    if (statement.kind, statement.subject) != ("standing", order.subject):
        raise refused(
            f"{signing.statement} is about something else", "print the statement of this file again"
        )
    return signed


def add(path: Path, file: StandingFile, signed: SignedStatement) -> StandingFile:
    """Write the file with one signature more.

    Raises:
        CliError: that person has signed it already, or it cannot be written.
    """
    signer = parse_statement(signed.statement).signer
    if signer in signed_by(file):
        raise refused(f"{signer} has signed {path} already")
    more = file.model_copy(update={"statements": (*file.statements, signed)})
    try:
        new = path.with_name(f".{path.name}.new")
        new.write_text(more.model_dump_json(indent=2) + "\n", encoding="utf-8")
        new.replace(path)  # a worker that reads it meanwhile has the whole one
    except OSError as error:
        raise bad_input(f"{path}: cannot be written: {error.strerror}") from None
    return more
