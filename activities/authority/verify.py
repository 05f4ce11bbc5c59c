"""Verifies decisions, statements and warrants: who agreed, by which keys, or the reason why it does not count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from activities.authority.sshsig import verify_signature
from runbook_model.authority.canonical import hash_of
from runbook_model.authority.statement import (
    AT_GATES,
    FIELDS,
    SKEW,
    Expected,
    Presented,
    SignedBy,
    SignedStatement,
    Statement,
    Verified,
    Warrant,
    parse_statement,
    subject_of_order,
)
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import Rejected
from runbook_model.names.people import is_agent, same_person
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of

if TYPE_CHECKING:
    from activities.authority.signers import Signers
    from activities.authority.sshsig import PublicKey

COMPARED: Final = (
    "namespace",
    "workflow_id",
    "run_id",
    "sequence",
    "environment",
    "service",
    "procedure",
    "gate",
)

BY_REQUESTER: Final = frozenset({"start"})
"""Kinds that only whoever asked for the run signs."""

UNSIGNED: Final = "decisions are signed here, and this one is not"
SIGN: Final = "sign it: --sign KEYFILE, or RUNBOOK_SIGNING_KEY"
LASTING: Final = frozenset({"standing"})
"""Kinds that may be valid longer than the policy's ``longest``: their own bounds say how long."""


def verify_statement(
    signed: SignedStatement, expected: Expected, policy: Approvals, signers: Signers, at: datetime
) -> SignedBy:
    """Return who signed a statement, and what it says.

    Args:
        signed: the exact text, and its signature.
        expected: what it must be about.
        policy: who may sign here, how, and for how long; ``people`` empty means everybody in the file.
        signers: the file, as it is now.
        at: when keys and statement must be valid: now, or for a derived change when the forward one was made.

    Raises:
        Rejected: why it does not count.
    """
    try:
        message = signed.statement.encode()
    except UnicodeEncodeError:
        raise Rejected("the statement is not text that can be written as UTF-8") from None
    key = verify_signature(message, signed.signature)
    statement = parse_statement(signed.statement)
    _check_subject(statement, expected)
    _check_time(statement, policy, at)
    _check_person(statement, expected, policy)
    _check_key(statement, key, policy)
    signers.of(statement.signer, key, at)
    return SignedBy(
        person=statement.signer,
        key=key.fingerprint,
        in_hardware=key.in_hardware,
        kind=statement.kind,
        option=statement.option or "approve",
        decision_id=statement.decision_id,
        issued_at=statement.issued_at,
        expires_at=statement.expires_at,
    )


def verify_all(
    statements: Sequence[SignedStatement],
    expected: Expected,
    policy: Approvals,
    signers: Signers,
    at: datetime,
    *,
    needed: int | None = None,
) -> Verified:
    """Return everybody who agreed; each statement must count, and enough people and keys must agree on one option.

    Args:
        statements: what was signed.
        expected: what it must be about.
        policy: as of ``verify_statement``.
        signers: the file, as it is now.
        at: when keys and statements must be valid.
        needed: how many people, where it is not what the policy says.

    Raises:
        Rejected: the first statement that does not count, or too few people or keys.
    """
    found = tuple(verify_statement(signed, expected, policy, signers, at) for signed in statements)
    wanted = policy.needed if needed is None else needed
    if not found:
        raise Rejected(f"nobody signed, and {count_of(wanted, 'person', 'people')} must")
    if len({item.option for item in found}) > 1:
        raise Rejected("who signed chose different options")
    people = {item.person.casefold() for item in found}
    if min(len(people), len({item.key for item in found})) < wanted:
        have = f"{count_of(len(people), 'person', 'people')} signed by {count_of(len({item.key for item in found}), 'key')}"
        raise Rejected(f"{have}, and {wanted} different people must, each by a key of their own")
    return Verified(people=found, option=found[0].option)


def verify_warrant(
    warrant: Warrant,
    expected: Expected,
    policy: Approvals,
    signers: Signers,
    at: datetime,
    *,
    needed: int | None = None,
) -> Verified:
    """Return everybody who agreed to the document that a warrant brings; its hash is computed here.

    Raises:
        Rejected: as ``verify_all`` does.
    """
    about = expected.model_copy(update={"subject": hash_of(warrant.document)})
    return verify_all(warrant.statements, about, policy, signers, at, needed=needed)


def _check_subject(statement: Statement, expected: Expected) -> None:
    if statement.kind not in expected.kinds:
        raise Rejected(
            f"the statement is of kind {statement.kind}, and {' or '.join(expected.kinds)} is asked for"
        )
    for name in COMPARED:
        if name == "sequence" and expected.sequence is None:
            continue
        if name in FIELDS[statement.kind] or name == "service":
            _compare(name, getattr(statement, name), getattr(expected, name))
    if statement.subject != expected.subject:
        raise Rejected(
            "the statement is about something else than what is shown", fix="look at it again, and sign that"
        )
    if statement.kind in AT_GATES and (statement.option or "approve") not in expected.options:
        why = f'there is no option "{statement.option or "approve"}"'
        raise Rejected(why, fix=f"choose one of {', '.join(expected.options)}")
    if "requester" in FIELDS[statement.kind]:
        _compare("requester", statement.requester, expected.requester)


def _compare(name: str, said: object, wanted: object) -> None:
    if said != wanted:
        raise Rejected(
            f"the statement's {name} is {_quoted(said)}, and this is {_quoted(wanted)}",
            fix="sign what is asked here",
        )


def _check_time(statement: Statement, policy: Approvals, at: datetime) -> None:
    valid_for = statement.expires_at - statement.issued_at
    if valid_for.total_seconds() <= 0:
        raise Rejected("the statement expires before it was issued")
    if valid_for > policy.longest and statement.kind not in LASTING:
        longest = format_duration(policy.longest)
        raise Rejected(f"the statement is valid for {format_duration(valid_for)}, longer than {longest}")
    if statement.issued_at > at + SKEW:
        raise Rejected(
            f"the statement is issued in the future: {statement.issued_at:%H:%M:%S} UTC", fix="set the clock"
        )
    if at > statement.expires_at + SKEW:
        raise Rejected(
            f"the statement expired at {statement.expires_at:%Y-%m-%d %H:%M:%S} UTC", fix="sign again"
        )


def _check_person(statement: Statement, expected: Expected, policy: Approvals) -> None:
    signer, requester = statement.signer, expected.requester
    if statement.on_behalf_of is not None:
        raise Rejected("nobody signs on behalf of somebody else here", fix="sign with your own key")
    if is_agent(signer):
        raise Rejected(f"{signer[:100]} is an agent, and never decides")
    if statement.kind in BY_REQUESTER:
        if requester is None or not same_person(signer, requester):
            raise Rejected(f"{signer} did not ask for this run", fix="whoever asks signs the start")
        return
    if (
        statement.kind in AT_GATES
        and requester
        and same_person(signer, requester)
        and not policy.requester_may
    ):
        raise Rejected(f"{signer} asked for this and may not approve it", fix="somebody else must")
    if policy.people and signer not in policy.people:
        raise Rejected(f"{signer} may not decide here", fix=f"{', '.join(policy.people)} may")


def _check_key(statement: Statement, key: PublicKey, policy: Approvals) -> None:
    if "ssh" not in policy.signed_by:
        raise Rejected("signatures by ssh keys are not taken here")
    if policy.hardware and not key.in_hardware:
        raise Rejected(f"{statement.signer}'s key {key.fingerprint} is not in hardware", fix="use an sk- key")


def _quoted(value: object) -> str:
    return "none" if value is None else f'"{str(value)[:200]}"' if isinstance(value, str) else str(value)


def judge(presented: Presented, approvals: Approvals, signers: Signers, now: datetime) -> SignedBy:
    """Return who signed a decision.

    Raises:
        Rejected: it is not signed, or the signature does not count.
    """
    if presented.signed is None:
        raise Rejected(UNSIGNED, fix=SIGN)
    expected = presented.expected
    if presented.order is not None:
        [kind] = (kind for kind in expected.kinds if kind not in AT_GATES)
        expected = expected.model_copy(update={"subject": subject_of_order(kind, presented.order)})
    policy = at_gate(approvals, anybody=presented.anybody)
    found = verify_statement(presented.signed, expected, policy, signers, now)
    if found.person != presented.by:
        raise Rejected(f"{presented.by} sent what {found.person} signed", fix=f"send it as {found.person}")
    if found.decision_id != presented.decision_id:
        raise Rejected(
            "the decision's id is not the one that was signed", fix="send the statement's decision_id"
        )
    return found


def at_gate(approvals: Approvals, *, anybody: bool = False) -> Approvals:
    """Return the policy as it holds at a gate.

    A task is for everybody, as its answer changes nothing; a gate of a policy that asks nobody is also for whoever asked.
    """
    if anybody:
        return approvals.model_copy(update={"needed": 1, "people": (), "requester_may": True})
    if approvals.needed == 0:
        return approvals.model_copy(update={"needed": 1, "requester_may": True})
    return approvals
