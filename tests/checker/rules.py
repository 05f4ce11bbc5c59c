"""The rules: each change at most once, each with a yes to exactly that call, and none after an abort. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from activities.authority.verify import verify_warrant
from runbook_model.authority.statement import Expected
from runbook_model.calls import same_call
from runbook_model.errors import Rejected
from runbook_model.names.people import is_agent, same_person
from runbook_model.names.procedures import procedure_of
from runbook_model.plans import PlannedCall
from runbook_model.sizes import ScaledOut
from tests.checker.logs import changes_in, is_call, spends_a_decision

TAKES_BACK = frozenset({"undo", "put-back", "take-back"})
"""What may follow from a yes after an abort."""
HOWEVER_IT_ENDS = "settings"
"""What may follow from a yes after an abort that keeps what was changed, too."""
ONCE_FOR_A_YES = frozenset(
    {"UpdateService", "StopServiceDeployment", "RegisterScalableTarget", "RebootDBInstance"}
)
"""Calls that one yes counts for once; others are of several containers or sessions."""
Rule = Literal["made twice", "made by no order", "another call than ordered", "no yes", "after an abort", "after the end"]  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What is wrong with a change."""

    rule: Rule
    what: str
    """The change, and why."""

    def __str__(self):
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True)
class Agreed:
    """A call that a run may make, and what people were shown of it."""

    call: PlannedCall
    kind: str
    """``forward``, or how it follows from the yes."""
    record: object
    opened: object
    event: int


def faults(records, log=(), *, signers=None, standing=()):
    """Return everything that is wrong with what some runs changed.

    Args:
        records: of the runs, with those that they started and whose changes they take back.
        log: what the systems say was called, of whichever runs.
        signers: who may sign (``Signers``), where a target's decisions are signed.
        standing: what people agreed to beforehand (``StandingOrder``).
    """
    known = {(record.workflow_id, record.run_id): record for record in records}
    judge = _Judge(known, signers, standing)
    found = [fault for record in records for order in record.orders for fault in judge.order(record, order)]
    theirs = [
        entry for entry in log if entry["caller"] and (entry["caller"]["run"] in {run for _, run in known})
    ]
    return [*found, *judge.log(changes_in(log)), *made_twice(theirs)]


def made_twice(log):
    """Return the changes that one activity of one run made more than once."""
    made = defaultdict(list)
    for entry in changes_in(log):
        if caller := entry["caller"]:
            asked = json.dumps(entry["parameters"], sort_keys=True)
            made[caller["run"], caller["activity"], entry["action"], asked].append(entry["sequence"])
    return [
        Fault("made twice", f"{action} by activity {activity} of run {run}: {numbers}")
        for (run, activity, action, _), numbers in made.items()
        if len(numbers) > 1
    ]


class _Judge:
    def __init__(self, known, signers, standing):
        self._known = known
        self._signers = signers
        self._standing = standing

    # --- what was ordered -----------------------------------------------------------------------------------------

    def order(self, record, order):
        """Say what is wrong with an order: nobody agreed to it, or it came after an abort."""
        if order.refused:
            return  # nothing came of it, as the log shows
        name = f"{order.kind} of {record.workflow_id} (activity {order.activity})"
        call = self._call(order)
        agreed, why = self._yes(record, order, call)
        if agreed is None:
            yield Fault("no yes", f"{name}: {why}")
        stop = _stopped(record, order)
        if agreed and agreed.kind == HOWEVER_IT_ENDS:
            return
        if stop and (agreed is None or agreed.kind not in TAKES_BACK or _keeps(record, stop)):
            yield Fault("after an abort", f"{name}: the abort is event {stop.event}, the order {order.event}")

    def _call(self, order):
        """Return the call that was ordered; what capacity is put back to, the histories of its runs say."""
        if order.kind != "restore_capacity":
            return order.given.call
        scaled = [
            item.given
            for run in order.given.runs
            if (record := self._known.get((run.workflow_id, run.run_id)))
            for item in record.orders
            if item.kind == "scale_out"
        ]
        return order.given.model_copy(update={"found": ScaledOut.by(scaled)}).call

    def _yes(self, record, order, call):
        """Return what people agreed to that the order is; else None, and why nothing is."""
        why = "no plan with this call was shown"
        for agreed in self._candidates(record, order, call):
            if refused := self._refuses(agreed, record, order):
                why = refused
            else:
                return agreed, ""
        if is_persons_mark(record):
            return Agreed(call, "forward", record, None, 0), ""
        return None, why

    def _candidates(self, record, order, call):
        """List what was shown that the call is: of the newest plan itself, or of what follows from any plan."""
        runs = [
            record,
            *(self._known.get((run.workflow_id, run.run_id)) for run in getattr(order.given, "runs", ())),
        ]
        for shown_by in filter(None, runs):
            before = [
                item for item in shown_by.shown
                if item.opened.shown.calls and (shown_by is not record or item.event < order.event)
            ]  # fmt: skip
            for item in reversed(before):
                shown = item.opened.shown
                newest = item.opened.plan_hash == before[-1].opened.plan_hash
                if newest and any(same_call(call, planned) for planned in shown.calls):
                    yield Agreed(call, "forward", shown_by, item.opened, item.event)
                for follow in shown.follows:
                    if any(same_call(call, planned) for planned in follow.calls):
                        yield Agreed(call, follow.kind, shown_by, item.opened, item.event)
                if order.kind == "mark_release" and not _signed(record):
                    yield Agreed(call, "mark", shown_by, item.opened, item.event)

    def _refuses(self, agreed, record, order):
        """Say why what was shown does not cover the order; None where people agreed to it."""
        shown = agreed.opened.shown
        if agreed.kind == "forward":
            if shown.fence and order.given.planned_fence not in {None, shown.fence}:
                return "it was planned on another state than was shown"
            if order.given.planned_essence not in {None, shown.essence}:
                return "it is bound to something else than was shown"
        if _signed(agreed.record):
            return self._refuses_signed(agreed, order)
        return _refuses_unsigned(agreed, order if agreed.record is record else None)

    def _refuses_signed(self, agreed, order):
        by, call = agreed.record, agreed.call
        environment, _, service = agreed.opened.shown.target.partition("/")
        if by.automatic and by.standing and not order.given.authorities:
            procedure = procedure_of(by.kind)
            said = [item.refuses(agreed.opened.shown.target, procedure, call) for item in self._standing]
            return None if None in said else f"what people agreed to beforehand does not cover it: {said}"
        why = "nobody signed it"
        for authority in order.given.authorities:
            if authority.warrant.document != agreed.opened.document:
                continue
            expected = Expected(
                kinds=("approve",), namespace="default", workflow_id=by.workflow_id, run_id=by.run_id,
                environment=environment, service=service, procedure=procedure_of(by.kind),
                gate=agreed.opened.gate, options=("approve",), requester=by.requester,
            )  # fmt: skip
            assert self._signers, "who may sign must be given, where decisions are signed"
            try:
                verify_warrant(
                    authority.warrant,
                    expected,
                    by.target.approvals,
                    self._signers,
                    self._at(agreed, order),
                )
            except Rejected as error:
                why = error.message
            else:
                return None
        return why

    def _at(self, agreed, order):
        """When keys have to be valid: now, or for what follows from a yes when its first change was made."""
        if agreed.kind == "forward":
            return order.at
        document = agreed.opened.document
        brought = [
            item.at
            for item in agreed.record.orders
            if document in {authority.warrant.document for authority in item.given.authorities}
        ]
        return min(brought, default=order.at)

    # --- what was made --------------------------------------------------------------------------------------------

    def log(self, made):
        """Say what is wrong with what was made: no order, another call than was ordered, or a run that had ended."""
        runs = {record.run_id: record for record in self._known.values()}
        by_yes = defaultdict(set)
        for entry in made:
            caller = entry["caller"]
            record = runs.get(caller["run"]) if caller else None
            if record is None:
                continue  # of another run, or of somebody else
            name = f"{entry['action']} (number {entry['sequence']}) by activity {caller['activity']} of {record.workflow_id}"
            order = next((item for item in record.orders if item.activity == caller["activity"]), None)
            if order is None or order.refused:
                yield Fault("made by no order", name)
                continue
            if not self._is_ordered(entry, order):
                yield Fault(
                    "another call than ordered", f"{name}: {entry['parameters']}, not {self._call(order)}"
                )
            if record.ended and datetime.fromisoformat(entry["time"]) > record.ended:
                yield Fault("after the end", f"{name}: it ended at {record.ended}")
            if entry["action"] in ONCE_FOR_A_YES:
                by_yes[self._once(record, order)].add(order.activity)
        for (run, plan, call), activities in by_yes.items():
            if plan and len(activities) > 1:
                yield Fault(
                    "made twice",
                    f"{call} of run {run} by activities {sorted(activities)}, by one yes to {plan}",
                )

    def _once(self, record, order):
        """Name what a yes counts for once: the plan and its call; no plan where the order follows from one."""
        call = self._call(order)
        agreed, _ = self._yes(record, order, call)
        plan = agreed.opened.plan_hash if agreed and agreed.opened and agreed.kind == "forward" else None
        return record.run_id, plan, call.model_dump_json()

    def _is_ordered(self, entry, order):
        if order.kind == "apply_terraform":
            return (
                entry["system"] == "aws"
            )  # what it calls, the hash of Terraform's plan says, which the yes is bound to
        if order.kind == "scale_out" and spends_a_decision(entry):
            return True
        if order.kind == "stop_deployment" and not _stops_what_was_named(entry, order):
            return False
        return is_call(entry, self._call(order))


def _stops_what_was_named(entry, order):
    """Whether the deployment is the one of the order; a plan of an undo names only the release that it brings."""
    return entry["parameters"].get("serviceDeploymentArn") == order.given.service_deployment


def is_persons_mark(record):
    """Whether a person wrote into the ledger of releases by this run: nobody else is asked."""
    return record.workflow_id.startswith("ledger/") and not (record.target and _signed(record))


def _signed(record):
    return bool(record.target and record.target.approvals.signed)


def _refuses_unsigned(agreed, order):
    """Say why too few people had agreed by then; the order is None where another run asked them."""
    record, plan_hash = agreed.record, agreed.opened.plan_hash
    if record.target is None:
        return "its target was never resolved"
    policy = record.target.approvals
    needed = max(policy.needed, record.asked.get(plan_hash, 0))
    people = {
        item.approval.by.casefold()
        for item in record.yeses
        if item.approval.plan_hash == plan_hash
        and (order is None or item.event < order.event)
        and not is_agent(item.approval.by)
        and (policy.requester_may or not policy.needed or not same_person(item.approval.by, record.requester))
        and (not policy.people or any(same_person(item.approval.by, person) for person in policy.people))
    }
    if len(people) < needed:
        return f"{len(people)} of {needed} people had agreed to plan {plan_hash}"
    return None


def _stopped(record, order):
    """Return the abort that the run had taken when it decided on an order, if any."""
    taken = [stop for stop in record.stops if stop.event < (order.decided if stop.by_signal else order.event)]
    keeps = [stop for stop in taken[1:] if stop.keep]  # a second one stops the undo of the first
    return next(iter((*keeps, *taken)), None)


def _keeps(record, stop):
    return bool(stop.keep) or (_signed(record) and not stop.signed)
