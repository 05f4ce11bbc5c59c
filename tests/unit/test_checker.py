"""The checker finds a second change, a change for another call than approved, one without a yes, and one after an abort."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

from activities.ecs.orders import DeployRelease, ForceDeployment, MarkRelease, StopDeployment
from activities.ecs.task_sizes import RegisterSized
from activities.registry import FENCED
from activities.runtime.change_guard import MARKS
from runbook_model import calls
from runbook_model.authority.order import Authority
from runbook_model.authority.shown import GateRequest, show
from runbook_model.authority.standing import StandingOrder
from runbook_model.authority.statement import SignedStatement, Statement, Warrant
from runbook_model.catalog.policies import Approvals
from runbook_model.measured.database import SessionName
from runbook_model.messages import Approval
from runbook_model.plans import DAY, Follow, Plan
from runbook_model.releases.capacity import Capacity, TaskChange
from runbook_model.releases.release import Fence, Judgement, Mark
from runbook_model.sizes import RestoreCapacity, ScaleOut, ScaleOutRun
from tests.checker import Record, faults, made_by_nobody, record_of
from tests.checker.logs import is_call
from tests.checker.runs import ORDERS, Order, Shown, Stop, Yes
from tests.ecs_facts import a_release, deployment_arn, task_definition
from tests.observing import a_target
from tests.replay.record import HISTORIES
from tests.unit.authority.signing import SoftKey, signers

RUN, LOCK = "r1", "remediation/prod/shop"
ONE = Approvals(needed=1)
TARGET = a_target(service="shop", cluster="prod", ecs_service="shop", approvals=ONE)
FENCE = Fence(primary="ecs-svc/2", task_definition=task_definition(2), service_deployment=deployment_arn(2))
OLD, NEW = a_release(1), a_release(2)
PLAN = Plan(
    headline="Put shop back",
    calls=(calls.deploy(TARGET, OLD),),
    fence=FENCE,
    follows=(
        Follow(kind="undo", what="Put it back", calls=(calls.deploy(TARGET, NEW),), within=DAY),
        Follow(kind="mark", what="Tag it", calls=(calls.mark(OLD, Judgement.GOOD),), within=DAY),
    ),
)
NOW = datetime.now(UTC).replace(microsecond=0)
DEPLOY = DeployRelease(target=TARGET, release=OLD, fence=FENCE)
UNDO = DeployRelease(target=TARGET, release=NEW, fence=FENCE)


def opened(plan=PLAN, target=TARGET):
    asked = GateRequest(
        run_id=RUN, number=1, target="prod/shop", resolved=target, question="Put it back?", plan=plan
    )
    return show(asked, NOW)


def yes(by="bob", event=20, plan=PLAN):
    return Yes(event, Approval(by=by, plan_hash=opened(plan).plan_hash))


def order(given=DEPLOY, kind="deploy_release", activity="7", event=30):
    return Order(activity=activity, kind=kind, event=event, decided=event - 2, at=NOW, given=given)


def record(*orders, target=TARGET, plan=PLAN, yeses=None, **fields):
    """A run that showed its plan at event 10 and got bob's yes at event 20."""
    known = {
        "workflow_id": LOCK, "run_id": RUN, "kind": "Rollback", "requester": "alice", "target": target,
        "shown": [Shown(10, opened(plan, target))], "yeses": [yes(plan=plan)] if yeses is None else yeses,
    }  # fmt: skip
    return Record(**(known | fields), orders=list(orders) or [order()])


def made(sequence=1, activity="7", action="UpdateService", service="ecs", attempt="1", **fields):
    parameters = fields.pop(
        "parameters", {"cluster": "prod", "service": "shop", "taskDefinition": task_definition(1)}
    )
    known = {
        "sequence": sequence, "time": NOW.isoformat(), "system": "aws", "service": service, "action": action,
        "parameters": parameters, "error": None,
        "caller": {"run": RUN, "activity": activity, "attempt": attempt} if activity else None,
    }  # fmt: skip
    return known | fields


def test_the_checker_knows_every_change_of_the_product():
    assert ORDERS.keys() == {*FENCED, MARKS}


def rules(*records, log=(), **known):
    return [fault.rule for fault in faults(records, log, **known)]


async def test_of_a_recorded_run_the_yes_is_found_in_its_history_and_without_that_event_there_is_none():
    kept = json.loads((HISTORIES / "rollback-recovered-approved.json").read_text())
    events = WorkflowHistory.from_json(kept["id"], kept).events
    run = await record_of(kept["id"], events)
    assert [item.kind for item in run.orders] == ["deploy_release", "mark_release", "mark_release"]
    assert ([item.approval.by for item in run.yeses], run.requester) == (["bob"], "alice")
    assert rules(run) == []
    accepted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    without = await record_of(kept["id"], [event for event in events if event.event_type != accepted])
    assert set(rules(without)) == {"no yes"}


class TestAtMostOnce:
    def test_a_change_that_was_approved_and_made_once_is_in_order(self):
        assert rules(record(), log=[made()]) == []

    def test_a_change_that_two_attempts_made_is_found(self):
        assert rules(record(), log=[made(1), made(2, attempt="2")]) == ["made twice"]

    def test_a_change_that_two_activities_made_by_one_yes_is_found(self):
        run = record(order(), order(activity="9", event=40))
        assert rules(run, log=[made(1), made(2, activity="9")]) == ["made twice"]

    def test_an_attempt_after_an_error_is_none(self):
        assert rules(record(), log=[made(1, error="ThrottlingException"), made(2, attempt="2")]) == []

    def test_reads_are_no_changes(self):
        assert rules(record(), log=[made(1, action="DescribeServices")] * 2) == []

    def test_a_call_that_names_no_run_is_found(self):
        assert made_by_nobody([made(1), made(2, activity=None)]) == [2]


class TestAYesToExactlyThatCall:
    def test_a_change_before_the_yes_is_found(self):
        assert rules(record(yeses=[yes(event=35)])) == ["no yes"]

    def test_a_change_that_nobody_agreed_to_is_found(self):
        assert rules(record(yeses=[])) == ["no yes"]

    @pytest.mark.parametrize("by", ["alice", "Alice ", "agent:helper for bob"])
    def test_a_yes_of_the_requester_or_of_an_agent_is_none(self, by):
        assert rules(record(yeses=[yes(by)])) == ["no yes"]

    def test_one_of_two_people_is_too_few_and_the_same_person_twice_counts_once(self):
        target = TARGET.model_copy(update={"approvals": Approvals(needed=2, people=("bob", "carol", "dave"))})
        assert rules(record(target=target, yeses=[yes("bob"), yes("Bob", 21)])) == ["no yes"]
        assert rules(record(target=target, yeses=[yes("bob"), yes("mallory", 21)])) == ["no yes"]
        assert rules(record(target=target, yeses=[yes("bob"), yes("carol", 21)])) == []

    def test_a_yes_to_another_plan_is_none(self):
        other = PLAN.model_copy(update={"calls": (calls.deploy(TARGET, a_release(3)),)})
        assert rules(record(yeses=[yes(plan=other)])) == ["no yes"]

    def test_an_order_of_another_call_than_was_approved_is_found(self):
        third = DeployRelease(target=TARGET, release=a_release(3), fence=FENCE)
        assert rules(record(order(third))) == ["no yes"]

    def test_an_order_on_another_state_than_was_shown_is_found(self):
        moved = DEPLOY.model_copy(update={"fence": FENCE.model_copy(update={"primary": "ecs-svc/3"})})
        assert rules(record(order(moved))) == ["no yes"]

    def test_a_call_that_differs_from_what_was_ordered_is_found(self):
        sent = {"cluster": "prod", "service": "shop", "taskDefinition": task_definition(3)}
        assert rules(record(), log=[made(parameters=sent)]) == ["another call than ordered"]
        more = {
            "cluster": "prod",
            "service": "shop",
            "taskDefinition": task_definition(1),
            "desiredCount": 0,
        }
        assert rules(record(), log=[made(parameters=more)]) == ["another call than ordered"]

    def test_a_stop_of_another_deployment_than_was_ordered_is_found_where_the_plan_names_only_the_release(
        self,
    ):
        undo = Follow(kind="undo", what="Stop it", calls=(calls.stop_own(OLD),), within=DAY)
        plan = PLAN.model_copy(update={"follows": (undo,)})
        ours = StopDeployment(target=TARGET, service_deployment=deployment_arn(3), fence=FENCE, brings=OLD)
        run = record(order(), order(ours, "stop_deployment", "9", 50), plan=plan)

        def stopped(number):
            given = {"serviceDeploymentArn": deployment_arn(number), "stopType": "ROLLBACK"}
            return made(2, "9", "StopServiceDeployment", parameters=given)

        assert rules(run, log=[made(1), stopped(3)]) == []
        assert rules(run, log=[made(1), stopped(2)]) == ["another call than ordered"]

    def test_a_change_by_an_activity_that_reads_is_found(self):
        assert rules(record(), log=[made(activity="3")]) == ["made by no order"]

    def test_an_order_that_the_worker_refused_is_no_change_unless_a_log_shows_one(self):
        run = record(dataclasses.replace(order(), refused=True), yeses=[])
        assert rules(run) == []
        assert rules(run, log=[made()]) == ["made by no order"]

    def test_where_the_policy_asks_nobody_the_call_must_still_be_the_one_of_the_plan(self):
        target = TARGET.model_copy(update={"approvals": Approvals(needed=0)})
        assert rules(record(target=target, yeses=[], automatic=True)) == []
        forced = order(ForceDeployment(target=TARGET, fence=FENCE), "force_deployment")
        assert rules(record(forced, target=target, yeses=[])) == ["no yes"]

    def test_where_a_gate_was_opened_although_the_policy_asks_nobody_its_yes_is_needed(self):
        target = TARGET.model_copy(update={"approvals": Approvals(needed=0)})
        asked = {opened().plan_hash: 1}
        assert rules(record(target=target, yeses=[], asked=asked)) == ["no yes"]
        assert rules(record(target=target, yeses=[yes("alice")], asked=asked)) == []

    def test_an_earlier_plan_is_void_once_another_is_shown(self):
        other = PLAN.model_copy(update={"calls": (calls.force(TARGET),)})
        run = record()
        run.shown.append(Shown(25, opened(other)))
        assert rules(run) == ["no yes"]

    def test_what_extra_capacity_is_put_back_to_is_what_the_other_runs_history_says(self):
        was = Capacity(desired=2, running=2)
        up = ScaleOut(target=TARGET, was=was, to=4)
        back = calls.scale(TARGET, was)
        plan = Plan(
            headline="More tasks", calls=(up.call,), essence=was.bounds,
            follows=(Follow(kind="take-back", what="Remove them", calls=(back,), within=DAY),),
        )  # fmt: skip
        run = record(order(up, "scale_out"), plan=plan)
        restore = RestoreCapacity(target=TARGET, runs=(ScaleOutRun(workflow_id=LOCK, run_id=RUN),))
        hold = Record(
            workflow_id="hold/prod/shop",
            run_id="h1",
            target=TARGET,
            orders=[order(restore, "restore_capacity")],
        )
        assert rules(run, hold) == []
        assert rules(hold) == ["no yes"]
        entry = made(
            parameters={"cluster": "prod", "service": "shop", "desiredCount": 2},
            caller={"run": "h1", "activity": "7", "attempt": "1"},
        )
        assert rules(run, hold, log=[entry]) == []
        entry["parameters"] = entry["parameters"] | {"desiredCount": 0}
        assert rules(run, hold, log=[entry]) == ["another call than ordered"]

    def test_of_a_revision_that_the_run_registers_first_every_number_is_the_one_that_was_shown(self):
        deploy, marks = (
            calls.deploy(TARGET, OLD, registered=True),
            calls.mark(OLD, Judgement.GOOD, registered=True),
        )
        tag = {
            "resourceArn": task_definition(9),
            "tags": [{"key": "runbook:verified:prod/shop", "value": "x"}],
        }
        sent = {"cluster": "prod", "service": "shop", "taskDefinition": task_definition(9)}
        assert is_call(made(parameters=sent), deploy)
        assert is_call(made(action="TagResource", parameters=tag), marks)
        other = task_definition(9).replace("/shop:", "/other:")
        assert not is_call(made(parameters=sent | {"taskDefinition": other}), deploy)
        assert not is_call(made(action="TagResource", parameters=tag | {"resourceArn": other}), marks)


class TestNoneAfterAnAbort:
    def test_a_change_that_was_decided_on_after_an_abort_is_found(self):
        assert rules(record(stops=[Stop(25, keep=None, by_signal=True)])) == ["after an abort"]
        assert rules(record(stops=[Stop(29, keep=None, by_signal=False)])) == ["after an abort"]

    def test_one_that_was_decided_on_before_the_run_knew_of_it_is_none(self):
        assert rules(record(stops=[Stop(29, keep=None, by_signal=True)])) == []
        assert rules(record(stops=[Stop(31, keep=None, by_signal=False)])) == []

    def test_what_the_abort_undoes_is_none_unless_it_said_to_keep(self):
        run = record(
            order(), order(UNDO, activity="9", event=50), stops=[Stop(40, keep=False, by_signal=False)]
        )
        assert rules(run) == []
        run.stops = [Stop(40, keep=True, by_signal=False)]
        assert rules(run) == ["after an abort"]

    def test_an_undo_after_a_second_abort_that_keeps_is_found(self):
        stops = [Stop(40, keep=False, by_signal=False), Stop(45, keep=True, by_signal=False)]
        run = record(order(), order(UNDO, activity="9", event=50), stops=stops)
        assert rules(run) == ["after an abort"]

    def test_a_mark_after_an_abort_is_found(self):
        mark = Mark(verdict=Judgement.GOOD, digest="sha256:1", source=LOCK, at=NOW)
        marking = order(MarkRelease(target=TARGET, release=OLD, mark=mark), "mark_release", "9", 50)
        assert rules(record(order(), marking)) == []
        stops = [Stop(40, keep=None, by_signal=False)]
        assert rules(record(order(), marking, stops=stops)) == ["after an abort"]

    def test_a_call_after_the_end_of_its_run_is_found(self):
        late = record(ended=NOW - timedelta(seconds=1))
        assert rules(late, log=[made()]) == ["after the end"]


class TestWhereDecisionsAreSigned:
    SIGNED = TARGET.model_copy(
        update={"approvals": Approvals(needed=1, people=("bob", "carol"), signed=True, requester_may=True)}
    )
    BOB = SoftKey("ssh-ed25519")
    MAY = signers(BOB.signer("bob"))

    def signed(self, given=DEPLOY, key=BOB, **other):
        shown = opened(target=self.SIGNED)
        said = {
            "kind": "approve", "namespace": "default", "workflow_id": LOCK, "run_id": RUN, "environment": "prod",
            "service": "shop", "procedure": "rollback", "gate": 1, "subject": shown.subject, "requester": "alice",
            "signer": "bob", "issued_at": NOW, "expires_at": NOW + timedelta(minutes=5), "decision_id": "d-1",
        }  # fmt: skip
        text = Statement(**(said | other)).text()
        statement = SignedStatement(statement=text, signature=key.sign(text))
        authority = Authority(
            workflow_id=LOCK, run_id=RUN, procedure="rollback", gate=1, requester="alice",
            warrant=Warrant(document=shown.document, statements=(statement,)),
        )  # fmt: skip
        return given.model_copy(update={"authorities": (authority,)})

    def test_a_signature_of_somebody_who_may_to_this_very_document_is_a_yes(self):
        assert rules(record(order(self.signed()), target=self.SIGNED), signers=self.MAY) == []

    def test_without_a_signature_an_answer_is_none(self):
        assert rules(record(target=self.SIGNED), signers=self.MAY) == ["no yes"]

    @pytest.mark.parametrize(
        "other",
        [
            {"run_id": "r0"},
            {"gate": 2},
            {"subject": "0" * 64},
            {"expires_at": NOW - timedelta(minutes=9), "issued_at": NOW - timedelta(minutes=10)},
            {"signer": "carol"},
        ],
        ids=lambda other: next(iter(other)),
    )
    def test_one_of_another_run_gate_document_time_or_person_is_none(self, other):
        given = self.signed(**other)
        assert rules(record(order(given), target=self.SIGNED), signers=self.MAY) == ["no yes"]

    def test_one_by_a_key_that_nobody_knows_is_none(self):
        given = self.signed(key=SoftKey("ssh-ed25519"))
        assert rules(record(order(given), target=self.SIGNED), signers=self.MAY) == ["no yes"]

    def test_an_unsigned_abort_lets_nothing_be_undone(self):
        undo = order(self.signed(UNDO), activity="9", event=50)
        run = record(order(self.signed()), undo, target=self.SIGNED, stops=[Stop(40, None, by_signal=False)])
        assert rules(run, signers=self.MAY) == ["after an abort"]
        run.stops = [Stop(40, keep=False, by_signal=False, signed=True)]
        assert rules(run, signers=self.MAY) == []

    def test_what_people_agreed_to_beforehand_covers_an_automatic_change_as_far_as_it_says(self):
        run = record(target=self.SIGNED, automatic=True, standing=["ours"])
        known = {"targets": ("prod/shop",), "procedures": ("rollback",), "until": NOW + DAY}
        covers = StandingOrder(actions=("UpdateService",), **known)
        assert rules(run, standing=(covers,)) == []
        assert rules(run, standing=(StandingOrder(actions=("RebootDBInstance",), **known),)) == ["no yes"]
        assert rules(dataclasses.replace(run, automatic=False), signers=self.MAY, standing=(covers,)) == [
            "no yes"
        ]


class TestACallOfALogIsTheOneThatWasShown:
    """Whatever the system, with what plans show of it."""

    SESSION = SessionName(pid=4711, backend_start=NOW)

    @pytest.mark.parametrize(
        ("shown", "entry", "other"),
        [
            (
                calls.restart("shop", "app", ["shop-app-1", "shop-app-2"]),
                made(service="docker", action="ContainerRestart", parameters={"container": "shop-app-2"}),
                {"container": "shop-db-1"},
            ),
            (
                calls.terminate([SESSION]),
                made(service="postgresql", action="pg_terminate_backend",
                     parameters={"given": ["4711", NOW.strftime("%Y-%m-%d %H:%M:%S+00"), "{idle}"]}),
                {"given": ["4712", NOW.isoformat()]},
            ),
            (
                calls.reboot("db-1"),
                made(service="rds", action="RebootDBInstance", parameters={"DBInstanceIdentifier": "db-1"}),
                {"DBInstanceIdentifier": "db-1", "ForceFailover": "true"},
            ),
            (
                calls.scale(TARGET, Capacity(desired=4, running=2, minimum=4, maximum=8)),
                made(service="application-autoscaling", action="RegisterScalableTarget",
                     parameters={"ServiceNamespace": "ecs", "ResourceId": "service/prod/shop", "MinCapacity": 4,
                                 "MaxCapacity": 8}),
                {"ResourceId": "service/prod/shop", "MinCapacity": 0, "MaxCapacity": 8},
            ),
            (
                calls.mark(OLD, Judgement.BAD),
                made(action="TagResource", parameters={
                    "resourceArn": task_definition(1), "tags": [{"key": "runbook:bad:prod/shop", "value": "x"}]}),
                {"resourceArn": task_definition(1), "tags": [{"key": "runbook:verified:prod/shop", "value": "x"}]},
            ),
        ],
        ids=["docker", "postgresql", "rds", "autoscaling", "mark"],
    )  # fmt: skip
    def test_and_another_is_not(self, shown, entry, other):
        assert is_call(entry, shown)
        assert not is_call(entry | {"parameters": other}, shown)
        assert not is_call(entry | {"action": "Other"}, shown)

    def test_a_registration_is_of_the_same_images_with_the_sizes_that_were_shown(self):
        bigger = RegisterSized(
            target=TARGET, release=OLD, change=TaskChange(cpu=512, memory=1024), run_id=RUN
        ).call
        images = bigger.parameters["images"]
        sent = {
            "family": bigger.parameters["family"],
            "cpu": "512",
            "memory": "1024",
            "containerDefinitions": [
                {"name": name, "image": f"shop@{image}" if image.startswith("sha256:") else image}
                for name, image in images.items()
            ],
            "tags": [{"key": "runbook:from", "value": OLD.revision}],
        }
        entry = made(action="RegisterTaskDefinition", parameters=sent)
        assert is_call(entry, bigger)
        assert not is_call(entry | {"parameters": sent | {"cpu": "4096"}}, bigger)
        other = [item | {"image": "evil:1"} for item in sent["containerDefinitions"]]
        assert not is_call(entry | {"parameters": sent | {"containerDefinitions": other}}, bigger)
