"""A change is sent only with a valid yes to this very call: verified again by the worker that is about to send it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
from temporalio.testing import ActivityEnvironment

from activities.authority.warrants import Standing, Warrants
from activities.ecs.orders import DeployRelease, ForceDeployment, MarkRelease
from runbook_model import calls
from runbook_model.authority.order import Authority
from runbook_model.authority.shown import GateRequest, show
from runbook_model.authority.standing import StandingFile, StandingOrder
from runbook_model.authority.statement import SignedStatement, Statement, Warrant, subject_of_order
from runbook_model.catalog.policies import Approvals
from runbook_model.errors import NotWarrantedError, SignersError
from runbook_model.fact import Fact
from runbook_model.messages import SignedStart
from runbook_model.plans import DAY, Follow, Plan
from runbook_model.releases.capacity import Capacity
from runbook_model.releases.release import Fence, Judgement, Mark
from runbook_model.sizes import ScaleOut
from tests.ecs_facts import a_release, deployment_arn, task_definition
from tests.observing import a_target
from tests.unit.authority.signing import SoftKey

LOCK, RUN = "remediation/prod/shop", "0194b7c2-0000-7000-8000-000000000001"
POLICY = Approvals(needed=1, people=("bob", "carol", "dave"), requester_may=True, signed=True)
TARGET = a_target(service="shop", cluster="prod", ecs_service="shop", approvals=POLICY)
FENCE = Fence(primary="ecs-svc/2", task_definition=task_definition(2), service_deployment=deployment_arn(2))
OLD, NEW = a_release(1), a_release(2)
PLAN = Plan(
    headline="Put shop back",
    calls=(calls.deploy(TARGET, OLD),),
    fence=FENCE,
    follows=(Follow(kind="undo", what="Put it back", calls=(calls.deploy(TARGET, NEW),), within=DAY),),
)
SOON, LATER = timedelta(minutes=10), timedelta(days=2)


class Desk:
    """People with keys, a worker's file of signers, and one run that asked."""

    def __init__(self, folder):
        self.now = datetime.now(UTC)
        self.bob, self.carol = SoftKey("ssh-ed25519"), SoftKey("sk-ssh-ed25519@openssh.com")
        self.file = folder / "signers"
        self.may_sign(self.bob.signer("bob"), self.carol.signer("carol"))
        self.made = None
        self.parents = {}
        """Run -> the one that it is a child of, by id and run id."""
        self.standing = folder / "standing"
        self.standing.mkdir()

    def may_sign(self, *lines):
        self.file.write_text("".join(lines))

    def opened(self, target=TARGET, plan=PLAN, at=None):
        asked = GateRequest(
            run_id=RUN, number=1, target=target.key, resolved=target, question="Put it back?", plan=plan
        )
        return show(asked, at or self.now)

    def signed(self, key, opened, **other):
        said = {
            "kind": "approve", "namespace": "default", "workflow_id": LOCK, "run_id": RUN, "environment": "prod",
            "service": "shop", "procedure": "rollback", "gate": 1, "subject": opened.subject, "requester": "alice",
            "signer": "bob", "issued_at": self.now, "expires_at": self.now + SOON, "decision_id": "d-1",
        }  # fmt: skip
        text = Statement(**(said | other)).text()
        return SignedStatement(statement=text, signature=key.sign(text))

    def yes(self, opened=None, statements=None, **other):
        opened = opened or self.opened()
        statements = statements if statements is not None else (self.signed(self.bob, opened),)
        known = {"workflow_id": LOCK, "run_id": RUN, "procedure": "rollback", "gate": 1, "requester": "alice"}
        warrant = Warrant(document=opened.document, statements=statements)
        return Authority(**(known | {"warrant": warrant} | other))

    async def first_made(self, *_asked):
        return self.made

    async def is_under(self, run, parent):
        return parent in {run, self.parents.get(run)}

    async def sends(self, given, target=TARGET, **info):
        """What becomes of a change that a run is about to send."""

        environment = ActivityEnvironment()
        known = {
            "workflow_id": LOCK,
            "workflow_run_id": RUN,
            "workflow_type": "Rollback",
            "namespace": "default",
        }
        environment.info = dataclasses.replace(environment.info, **(known | info))
        return await environment.run(
            Warrants(self.file, Standing(self.standing), self).authorize, given, target
        )


def deploy(*authorities, **other):
    known = {"target": TARGET, "release": OLD, "fence": FENCE, "authorities": authorities}
    return DeployRelease(**(known | other))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


async def refused(desk, given, why, target=TARGET, **info):
    with pytest.raises(NotWarrantedError, match=why):
        await desk.sends(given, target, **info)


async def test_the_very_call_that_was_shown_is_sent(desk):
    assert await desk.sends(deploy(desk.yes())) == ("d-1",)


async def test_without_anything_signed_nothing_is_sent(desk):
    await refused(desk, deploy(), "nobody signed this change; no standing statement")
    await refused(desk, deploy(desk.yes(statements=())), "nobody signed")


async def test_a_change_of_a_package_that_says_no_call_is_not_sent(desk):
    class Purge(Fact):
        what: str = "all"

    await refused(desk, Purge(), "is given carries none")


@pytest.mark.parametrize(
    "other",
    [
        {"release": NEW.model_copy(update={"task_definition": task_definition(7)})},
        {"fence": FENCE.model_copy(update={"primary": "ecs-svc/9"})},
    ],
)
async def test_another_call_or_the_same_one_on_another_state_is_not_sent(desk, other):
    await refused(desk, deploy(desk.yes(), **other), "is not what people said yes to")


async def test_another_kind_of_call_is_not_sent(desk):
    await refused(
        desk,
        ForceDeployment(target=TARGET, fence=FENCE, authorities=(desk.yes(),)),
        "not what people said yes",
    )


@pytest.mark.parametrize(
    "info",
    [
        {"workflow_run_id": "0194b7c2-0000-7000-8000-000000000002"},
        {"workflow_id": "remediation/prod/shop/rollback"},
        {"workflow_type": "ServiceDown"},
    ],
)
async def test_a_yes_to_another_run_is_stolen(desk, info):
    """Another run, one after a reset, a child, another procedure."""
    await refused(desk, deploy(desk.yes()), "given to another run", **info)


async def test_a_yes_in_another_namespace_is_stolen(desk):
    await refused(desk, deploy(desk.yes()), "the statement's namespace is", namespace="other")


@pytest.mark.parametrize("change", [{"gate": 2}, {"requester": "mallory"}])
async def test_a_yes_to_another_question_of_the_run_is_stolen(desk, change):
    await refused(desk, deploy(desk.yes(**change)), "the statement's (gate|requester) is")


async def test_a_document_that_was_edited_after_the_yes_does_not_count(desk):
    yes = desk.yes()
    edited = desk.opened(plan=PLAN.model_copy(update={"headline": "Nothing to see here"})).document
    stolen = yes.model_copy(update={"warrant": yes.warrant.model_copy(update={"document": edited})})
    await refused(desk, deploy(stolen), "about something else than what is shown")


async def test_a_catalog_that_was_edited_after_the_yes_asks_again(desk):
    loose = TARGET.model_copy(update={"cluster": "other"})
    await refused(desk, deploy(desk.yes(), target=loose), "changed after the yes", loose)


async def test_a_key_that_was_revoked_between_yes_and_change_does_not_count(desk):
    yes = desk.yes()
    desk.may_sign(desk.carol.signer("carol"))
    await refused(desk, deploy(yes), "is not in .*signers")


async def test_a_yes_that_expired_does_not_count(desk):
    opened = desk.opened()
    old = desk.signed(
        desk.bob, opened, issued_at=desk.now - timedelta(hours=1), expires_at=desk.now - timedelta(minutes=50)
    )
    await refused(desk, deploy(desk.yes(opened, (old,))), "expired")


async def test_who_may_sign_cannot_be_read_and_the_change_waits(desk):
    desk.file.unlink()
    with pytest.raises(SignersError) as raised:
        await desk.sends(deploy(desk.yes()))
    assert raised.value.retryable


class TestWhatFollows:
    """An undo needs no second yes, where the first one was for it too."""

    BACK: ClassVar = {"release": NEW, "fence": FENCE.model_copy(update={"primary": "ecs-svc/3"})}

    async def test_is_sent_by_keys_that_were_valid_when_the_change_was_made(self, desk):
        yes, desk.made = desk.yes(), desk.now
        desk.may_sign(
            desk.bob.signer("bob", f'valid-before="{desk.now + timedelta(seconds=61):%Y%m%d%H%M%SZ}"')
        )
        assert await desk.sends(deploy(yes, **self.BACK))

    async def test_is_not_sent_by_a_key_that_was_revoked_before_the_change(self, desk):
        yes, desk.made = desk.yes(), desk.now
        desk.may_sign(desk.bob.signer("bob", f'valid-before="{desk.now - timedelta(hours=1):%Y%m%d%H%M%SZ}"'))
        await refused(desk, deploy(yes, **self.BACK), "not valid after")

    async def test_is_sent_long_after_the_statement_expired(self, desk):
        began = desk.now - timedelta(hours=3)
        opened = desk.opened(at=began)
        old = desk.signed(desk.bob, opened, issued_at=began, expires_at=began + SOON)
        desk.made = began + timedelta(minutes=1)
        assert await desk.sends(deploy(desk.yes(opened, (old,)), **self.BACK))

    async def test_is_not_sent_later_than_was_shown(self, desk):
        began = desk.now - LATER
        opened = desk.opened(at=began)
        old = desk.signed(desk.bob, opened, issued_at=began, expires_at=began + SOON)
        desk.made = began + timedelta(minutes=1)
        await refused(desk, deploy(desk.yes(opened, (old,)), **self.BACK), "was agreed until")

    async def test_a_document_of_somebodys_own_allows_nothing_later_than_a_plan_would(self, desk):
        forever = PLAN.model_copy(
            update={"follows": (PLAN.follows[0].model_copy(update={"within": timedelta(days=9999)}),)}
        )
        began = desk.now - LATER
        opened = desk.opened(plan=forever, at=began)
        old = desk.signed(desk.bob, opened, issued_at=began, expires_at=began + SOON)
        desk.made = began + timedelta(minutes=1)
        await refused(desk, deploy(desk.yes(opened, (old,)), **self.BACK), "was agreed until")


class TestStart:
    """Where whoever asked may not approve, it has to be known who that was."""

    STRICT = TARGET.model_copy(update={"approvals": POLICY.model_copy(update={"requester_may": False})})

    def started(self, desk, by="carol", requester="carol", run_id=RUN):
        said = {
            "kind": "start", "namespace": "default", "workflow_id": LOCK, "run_id": run_id, "environment": "prod",
            "service": "shop", "procedure": "rollback", "requester": requester, "signer": by,
            "subject": subject_of_order("start", {"requested_by": requester}),
            "issued_at": desk.now, "expires_at": desk.now + SOON, "decision_id": "s-1",
        }  # fmt: skip
        text = Statement(**said).text()
        return SignedStart(
            workflow_id=LOCK,
            run_id=run_id,
            procedure="rollback",
            statement=text,
            signature=desk.carol.sign(text),
        )

    def given(self, desk, start=None, people=("bob",), requester="carol", **other):
        opened = desk.opened(self.STRICT)
        keys = {"bob": desk.bob, "carol": desk.carol}
        statements = tuple(
            desk.signed(keys[name], opened, signer=name, requester=requester, decision_id=f"d-{name}")
            for name in people
        )
        yes = desk.yes(opened, statements, requester=requester, start=start, **other)
        return deploy(yes, target=self.STRICT)

    async def test_a_signed_start_needs_the_approvals_of_the_policy(self, desk):
        assert await desk.sends(self.given(desk, self.started(desk)), self.STRICT)

    async def test_an_unsigned_start_counts_as_nobodys_and_needs_one_approval_more(self, desk):
        await refused(desk, self.given(desk), "2 different people must", self.STRICT)
        both = self.given(desk, people=("bob", "carol"), requester="mallory")
        assert await desk.sends(both, self.STRICT) == ("d-bob", "d-carol")

    async def test_the_signed_start_of_another_run_or_another_person_is_none(self, desk):
        other = self.started(desk, run_id="0194b7c2-0000-7000-8000-000000000009")
        await refused(desk, self.given(desk, other), "2 different people must", self.STRICT)
        hers = self.started(desk)
        await refused(desk, self.given(desk, hers, requester="mallory"), "2 different people", self.STRICT)

    async def test_the_start_of_the_run_above_counts_for_its_child_and_for_no_other(self, desk):
        child, elder = (f"{LOCK}/rollback", RUN), "0194b7c2-0000-7000-8000-000000000009"
        opened = desk.opened(self.STRICT)
        named = {"workflow_id": child[0], "requester": "carol"}
        signed = desk.signed(desk.bob, opened, **named)
        yes = desk.yes(opened, (signed,), **named, start=self.started(desk, run_id=elder))
        given = deploy(yes, target=self.STRICT)
        await refused(desk, given, "2 different people must", self.STRICT, workflow_id=child[0])
        desk.parents[child] = (LOCK, elder)
        assert await desk.sends(given, self.STRICT, workflow_id=child[0])

    async def test_a_run_that_an_alert_started_needs_no_signature_of_its_start(self, desk):
        assert await desk.sends(self.given(desk, automatic=True), self.STRICT)


class TestStanding:
    """What people agreed to beforehand is changed without a gate, within its bounds."""

    OUT: ClassVar = {"target": TARGET, "was": Capacity(desired=2, running=2)}

    def stands(self, desk, *, key=None, **changes):
        said = {
            "targets": ("prod/shop",), "procedures": ("high-latency",), "actions": ("UpdateService",), "most_tasks": 5,
            "until": desk.now + LATER,
        }  # fmt: skip
        order = StandingOrder(**(said | changes))
        statement = Statement(
            kind="standing", namespace="default", environment="prod", signer="bob", subject=order.subject,
            issued_at=desk.now, expires_at=desk.now + LATER, decision_id="st-1",
        )  # fmt: skip
        signed = SignedStatement(
            statement=statement.text(), signature=(key or desk.bob).sign(statement.text())
        )
        file = StandingFile(order=order, statements=(signed,))
        (desk.standing / "peaks.json").write_text(file.model_dump_json())

    async def test_a_change_within_the_bounds_needs_no_yes_of_the_moment(self, desk):
        self.stands(desk)
        assert await desk.sends(ScaleOut(**self.OUT, to=5), workflow_type="HighLatency") == ()

    @pytest.mark.parametrize(
        ("to", "procedure", "changes", "why"),
        [
            (6, "HighLatency", {}, "allows 5 tasks at most"),
            (5, "HighErrorRate", {}, "not for high-error-rate"),
            (5, "HighLatency", {"targets": ("prod/other",)}, "not for prod/shop"),
            (5, "HighLatency", {"actions": ("RebootDBInstance",)}, "not for UpdateService"),
            (5, "HighLatency", {"until": datetime(2026, 1, 1, tzinfo=UTC)}, "it ended at"),
        ],
    )
    async def test_a_change_beyond_them_is_not_sent(self, desk, to, procedure, changes, why):
        self.stands(desk, **changes)
        await refused(desk, ScaleOut(**self.OUT, to=to), why, workflow_type=procedure)

    async def test_one_that_a_stranger_signed_or_that_was_edited_covers_nothing(self, desk):
        self.stands(desk, key=SoftKey("ssh-ed25519"))
        await refused(desk, ScaleOut(**self.OUT, to=5), "is not in", workflow_type="HighLatency")
        self.stands(desk)
        file = desk.standing / "peaks.json"
        file.write_text(file.read_text().replace('"most_tasks":5', '"most_tasks":500'))
        await refused(desk, ScaleOut(**self.OUT, to=50), "about something else", workflow_type="HighLatency")


class TestMark:
    LEDGER = "ledger/prod/shop/1a2b3c4d"

    def mark(self, desk, *, key=None, order=None, **other):
        """Bob's word on a release, as a look into the ledger is about to write it down."""
        given = MarkRelease(
            target=TARGET,
            release=OLD,
            mark=Mark(verdict=Judgement.BAD, digest="sha256:1", source="bob", at=desk.now),
        )
        said = {
            "kind": "release-mark", "namespace": "default", "workflow_id": self.LEDGER, "run_id": RUN,
            "environment": "prod", "service": "shop", "signer": "bob", "issued_at": desk.now, "expires_at": desk.now + SOON,
            "subject": subject_of_order("release-mark", order or given.call.parameters), "decision_id": "d-9",
        }  # fmt: skip
        text = Statement(**(said | other)).text()
        signed = SignedStatement(statement=text, signature=(key or desk.bob).sign(text))
        warrant = Warrant(document="", statements=(signed,))
        authority = Authority(
            workflow_id=self.LEDGER, run_id=RUN, procedure="ledger", gate=0, requester="bob", warrant=warrant
        )
        return given.model_copy(update={"authorities": (authority,)})

    async def test_is_made_as_a_person_signed_it_for_this_very_run(self, desk):
        assert await desk.sends(self.mark(desk), workflow_id=self.LEDGER) == ("d-9",)

    async def test_of_another_release_run_or_person_is_not_made(self, desk):
        other = {"revision": OLD.revision, "judgement": "good"}
        await refused(desk, self.mark(desk, order=other), "something else", workflow_id=self.LEDGER)
        await refused(desk, self.mark(desk, run_id="r2"), "run_id is", workflow_id=self.LEDGER)
        await refused(desk, self.mark(desk, key=desk.carol), "is not bob's", workflow_id=self.LEDGER)
        unsigned = self.mark(desk).model_copy(update={"authorities": ()})
        await refused(desk, unsigned, "nobody signed this change", workflow_id=self.LEDGER)

    async def test_needs_as_many_people_as_a_yes_does(self, desk):
        strict = TARGET.model_copy(update={"approvals": POLICY.model_copy(update={"needed": 2})})
        hers = self.mark(desk, key=desk.carol, signer="carol", decision_id="d-8").authorities[0]
        his = self.mark(desk)
        await refused(desk, his, "2 different people must", strict, workflow_id=self.LEDGER)
        statements = (*his.authorities[0].warrant.statements, *hers.warrant.statements)
        warrant = Warrant(document="", statements=statements)
        both = his.model_copy(
            update={"authorities": (his.authorities[0].model_copy(update={"warrant": warrant}),)}
        )
        assert await desk.sends(both, strict, workflow_id=self.LEDGER) == ("d-8", "d-9")
