"""What the command line signs: by OpenSSH's own program, and verified as a worker does."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from activities.authority.verify import verify_statement
from runbook_model.authority.canonical import hash_of
from runbook_model.authority.shown import GateRequest, show
from runbook_model.authority.statement import NAMESPACE, Expected, SignedStatement
from runbook_model.messages import Approval
from runbook_model.reports import Asker, Checkpoint
from starter.caller import Caller
from starter.client.signing import shown_at, sign_answer
from starter.exits import CliError
from starter.signing import SigningOptions
from tests.unit.authority.signing import POLICY, keygen, new_key, signers

if TYPE_CHECKING:
    from pathlib import Path

CLIENT = SimpleNamespace(namespace="default")
BOB = Caller(named="bob")
NOW = datetime.now(UTC)
ASKER = Asker(
    workflow_id="remediation/prod/shop",
    run_id="r1",
    procedure="rollback",
    requester="alice",
    gate=3,
    signed=True,
)
YES = Approval(by="bob", plan_hash="h")


def a_gate(*options: str) -> Checkpoint:
    asked = GateRequest(run_id="r1", number=3, target="prod/shop", question="Put it back?", options=options)
    opened = show(asked, NOW)
    return Checkpoint(
        question="Put it back?",
        plan_hash=opened.plan_hash,
        document=opened.document,
        subject=opened.subject,
        asked_by=ASKER,
        options=options,
        opened=NOW,
        closes=NOW,
    )


def verified(answer: Approval, gate: Checkpoint, key: Path, **more: object):
    expected = Expected(
        namespace="default",
        workflow_id=ASKER.workflow_id,
        run_id="r1",
        environment="prod",
        service="shop",
        procedure="rollback",
        gate=3,
        subject=gate.subject,
        requester="alice",
        options=gate.options,
        **more,
    )
    public = " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])
    signed = SignedStatement(statement=answer.statement, signature=answer.signature)
    return verify_statement(signed, expected, POLICY, signers(f"bob {public}\n"), datetime.now(UTC))


async def test_a_yes_is_signed_by_a_key_file(tmp_path):
    key, gate = new_key(tmp_path), a_gate("approve")
    answer = await sign_answer(CLIENT, BOB, SigningOptions(key=str(key)), gate, None, YES)
    found = verified(answer, gate, key, kinds=("approve",))
    assert (found.person, found.decision_id) == ("bob", answer.decision_id)


async def test_a_choice_names_its_option(tmp_path):
    key, gate = new_key(tmp_path, "ecdsa"), a_gate("restart", "wait")
    answer = await sign_answer(CLIENT, BOB, SigningOptions(key=str(key)), gate, "wait", YES)
    assert verified(answer, gate, key, kinds=("choose",)).option == "wait"


async def test_what_is_signed_on_another_machine_is_sent_as_it_is(tmp_path, capsys):
    key, gate = new_key(tmp_path), a_gate("approve")
    printed = SigningOptions(print_statement=True)
    assert await sign_answer(CLIENT, BOB, printed, gate, None, YES) is None
    file = tmp_path / "decision.json"
    file.write_text(capsys.readouterr().out)
    assert keygen("-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)).returncode == 0
    sent = SigningOptions(statement=file, signature=tmp_path / "decision.json.sig")
    answer = await sign_answer(CLIENT, Caller(named="carol"), sent, gate, None, YES)
    assert (answer.by, answer.statement) == ("bob", file.read_text())
    assert verified(answer, gate, key, kinds=("approve",)).person == "bob"


async def test_where_nothing_is_signed_a_configured_key_signs_nothing(tmp_path):
    gate = a_gate("approve").model_copy(update={"asked_by": ASKER.model_copy(update={"signed": False})})
    assert await sign_answer(CLIENT, BOB, SigningOptions(key="none"), gate, None, YES) == YES


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (lambda text: text.replace("Put it back?", "Do nothing?"), "does not have the hash"),
        (lambda text: text, None),
    ],
)
def test_a_document_that_is_not_what_its_hash_names_is_not_signed(changed, why):
    gate = a_gate("approve")
    gate = gate.model_copy(update={"document": changed(gate.document)})
    if why is None:
        assert shown_at(gate).question == "Put it back?"
        return
    with pytest.raises(CliError, match=why):
        shown_at(gate)


def test_a_document_with_a_field_that_this_version_cannot_show_is_not_signed():
    gate = a_gate("approve")
    document = gate.document.replace('{"calls"', '{"also":"delete it","calls"')
    opened = gate.model_copy(update={"document": document, "subject": hash_of(document)})
    with pytest.raises(CliError, match="cannot show all that the gate shows: also"):
        shown_at(opened)


async def test_a_key_that_is_not_there_is_an_error_in_one_line(tmp_path):
    gate = a_gate("approve")
    with pytest.raises(CliError, match="ssh-keygen did not sign with"):
        await sign_answer(CLIENT, BOB, SigningOptions(key=str(tmp_path / "none")), gate, None, YES)
