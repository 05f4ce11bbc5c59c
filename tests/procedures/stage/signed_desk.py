"""People with keys, and how they answer what a run asks where decisions are signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runbook_model.authority.statement import AT_GATES, Statement, kind_of_answer, subject_of_order
from tests.unit.authority.signing import SoftKey

if TYPE_CHECKING:
    from pathlib import Path

    from runbook_model.reports import Checkpoint

VALID = timedelta(minutes=10)


class Desk:
    """Bob, Carol and Dave may decide; each has a key, and the worker has the file of signers."""

    def __init__(self, folder: Path) -> None:
        self.keys = {name: SoftKey("ssh-ed25519") for name in ("alice", "bob", "carol", "dave")}
        self.file = folder / "signers"
        self.know("alice", "bob", "carol", "dave")

    def know(self, *people: str, **options: str) -> None:
        """Write the file of signers again."""
        lines = (self.keys[name].signer(name, options.get(name, "")) for name in people)
        self.file.write_text("".join(lines))

    def answer(
        self, gate: Checkpoint, /, by: str = "bob", option: str | None = None, **other: Any
    ) -> dict[str, Any]:
        """Answer a question, signed."""
        asker, said = gate.asked_by, option or gate.options[0]
        assert asker
        environment, _, service = asker.workflow_id.removeprefix("remediation/").partition("/")
        kind = kind_of_answer(said, task=gate.task is not None)
        now = datetime.now(UTC).replace(microsecond=0)
        fields: dict[str, Any] = {
            "kind": kind, "namespace": "default", "workflow_id": asker.workflow_id, "run_id": asker.run_id,
            "environment": environment, "service": service.partition("/")[0], "procedure": asker.procedure,
            "gate": asker.gate, "subject": gate.subject, "requester": asker.requester, "signer": by,
            "issued_at": now, "expires_at": now + VALID, "decision_id": f"{by}-{asker.gate}",
        }  # fmt: skip
        if kind != "approve":
            fields["option"] = said
        return self._sent(fields | other, by, plan_hash=gate.plan_hash, option=said)

    def order(
        self, kind: str, run: tuple[str, str], by: str, order: dict[str, Any], **other: Any
    ) -> dict[str, Any]:
        """Give an order that answers no gate, signed."""
        assert kind not in AT_GATES
        now = datetime.now(UTC).replace(microsecond=0)
        _, environment, service, *_ = run[0].split("/")
        fields = {
            "kind": kind, "namespace": "default", "workflow_id": run[0], "run_id": run[1], "environment": environment,
            "service": service, "subject": subject_of_order(kind, order), "signer": by, "issued_at": now,
            "expires_at": now + VALID, "decision_id": f"{by}-{kind}",
        }  # fmt: skip
        return self._sent(fields | other, by, **order)

    def start(self, run: tuple[str, str], procedure: str, by: str) -> dict[str, Any]:
        """Sign the start of a run."""
        order = {"requested_by": by}
        return self.order("start", run, by, order, procedure=procedure, requester=by)

    def _sent(self, fields: dict[str, Any], by: str, **rest: Any) -> dict[str, Any]:
        text = Statement(**fields).text()
        signature = self.keys[by].sign(text)
        known = {"by": by, "decision_id": fields["decision_id"], "statement": text, "signature": signature}
        return known | rest
