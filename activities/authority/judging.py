"""Judges one decision as it came in: is it signed, by whom, and does it count here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from activities.authority.verify import verify_statement
from runbook_model.authority.expected import Presented, SignedBy
from runbook_model.authority.statement import AT_GATES, subject_of_order
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import Rejected

if TYPE_CHECKING:
    from activities.authority.signers import Signers

UNSIGNED = "decisions are signed here, and this one is not"
SIGN = "sign it: --sign KEYFILE, or RUNBOOK_SIGNING_KEY"


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
