import contextvars
import dataclasses
import time
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import boto3
import pytest
from temporalio.testing import ActivityEnvironment

from activities.ecs.changes import EcsChanges
from activities.ecs.orders import DeployRelease, ForceDeployment, MarkRelease, RegisterRelease, StopDeployment
from activities.ecs.reading import standing
from activities.ecs.registering import CHANGE_TAG, NOT_REGISTERED
from activities.runtime.fence import CONNECT_TIMEOUT, LANDS_WITHIN, READ_TIMEOUT, Standing, attempt_begins
from runbook_model.errors import (
    AccessDeniedError,
    DriftedError,
    PolicyError,
    RejectedError,
    ThrottledError,
    TooLateError,
    UnknownReplyError,
    UnreachableError,
)
from runbook_model.releases.release import Fence, Image, Judgement
from tests.aws_answers import HERE, Ecs, definition, service, services
from tests.ecs_facts import (
    ARN,
    NOW,
    a_deployment,
    a_mark,
    a_release,
    a_service,
    deployment_arn,
    digest,
    task_definition,
)
from tests.observing import a_target
from workflows.page.options import CHANGE

TARGET = a_target(service="shop", cluster="prod", ecs_service="shop")
FENCE = Fence(primary="ecs-svc/2", task_definition=task_definition(2), service_deployment=deployment_arn(2))
DEPLOY = DeployRelease(target=TARGET, release=a_release(1), fence=FENCE)
FORCE = ForceDeployment(target=TARGET, fence=FENCE)
STOP = StopDeployment(target=TARGET, service_deployment=deployment_arn(2), fence=FENCE)
AS_PLANNED, OURS, THEIRS = service(2, 2), service(3, 1), service(3, 5)
UPDATE = {"cluster": "prod", "service": "shop", "taskDefinition": task_definition(1)}
SEARCHED = {"familyPrefix": "shop", "sort": "DESC", "maxResults": 10}


@pytest.fixture
def ecs():
    return Ecs()


@pytest.fixture
def changes(ecs):
    return EcsChanges(ecs.clients)


class Attempt:
    """Runs an activity as Temporal would at a given attempt, with the word that the one before it left."""

    def __init__(self, number: int = 1, *left: object) -> None:
        self.environment = ActivityEnvironment()
        self.environment.info = dataclasses.replace(
            self.environment.info, attempt=number, heartbeat_details=list(left)
        )
        self.said: list[object] = []
        self.environment.on_heartbeat = lambda *details: self.said.extend(details)

    def __call__(self, do, change):
        return self.environment.run(do, change)

    def held_up(self, do, change, *, may_take: timedelta):
        """Run it after it was with this worker for a moment: waiting for a thread, or the machine slept."""
        self.environment.info = dataclasses.replace(self.environment.info, start_to_close_timeout=may_take)

        def run():
            attempt_begins()
            time.sleep(0.05)
            return self(do, change)

        return contextvars.copy_context().run(run)


def long_ago() -> str:
    return (datetime.now(UTC) - timedelta(minutes=1)).isoformat()


def fails(attempt: Attempt, do, change, error: type[Exception]):
    with pytest.raises(error) as raised:
        attempt(do, change)
    return raised.value


@pytest.mark.parametrize(
    ("primary", "runs", "may_be_ours", "stands"),
    [
        ("ecs-svc/2", 2, False, Standing.UNCHANGED),
        ("ecs-svc/2", 2, True, Standing.UNCHANGED),
        ("ecs-svc/3", 1, True, Standing.OURS),
        ("ecs-svc/3", 1, False, Standing.DRIFTED),
        ("ecs-svc/3", 5, True, Standing.DRIFTED),
        ("ecs-svc/3", 5, False, Standing.DRIFTED),
        ("ecs-svc/3", 2, True, Standing.DRIFTED),
        ("ecs-svc/2", 1, True, Standing.DRIFTED),
    ],
)
def test_how_the_live_state_stands_to_a_plan(primary, runs, may_be_ours, stands):
    now = a_service(a_deployment(0, task_definition(runs), id=primary))
    assert standing(FENCE, now, task_definition(1), may_be_ours=may_be_ours) is stands


def test_a_service_without_a_primary_has_drifted():
    now = a_service(a_deployment(2, task_definition(2), status="ACTIVE"))
    assert standing(FENCE, now, task_definition(1), may_be_ours=True) is Standing.DRIFTED


def test_a_request_lands_within_what_the_clients_wait_and_an_attempt_outlives_it():
    assert LANDS_WITHIN == CONNECT_TIMEOUT + READ_TIMEOUT
    assert CHANGE["start_to_close_timeout"] > LANDS_WITHIN


def test_botocore_itself_never_sends_twice(ecs):
    retries = ecs.clients.ecs(HERE).meta.config.retries
    assert retries["total_max_attempts"] == 1


class TestDeploying:
    def test_updates_the_service_once_when_it_is_as_planned(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": OURS}, UPDATE)
        first = Attempt()
        with ecs.asked_for_exactly_this():
            deployed = first(changes.deploy_release, DEPLOY)
        assert (deployed.deployment, deployed.task_definition) == ("ecs-svc/3", task_definition(1))
        assert (deployed.service_deployment, deployed.adopted) == (deployment_arn(3), False)
        assert datetime.fromisoformat(first.said[0]) <= datetime.now(UTC)

    def test_takes_no_service_deployment_for_ours_that_was_there_before(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": service(3, 1, made=2)})
        with ecs.asked_for_exactly_this():
            assert Attempt()(changes.deploy_release, DEPLOY).service_deployment is None

    def test_an_attempt_that_was_held_up_sends_nothing_that_could_land_next_to_its_successors(
        self, ecs, changes
    ):
        ecs.answers("describe_services", services(AS_PLANNED))
        late = Attempt()
        with ecs.asked_for_exactly_this(), pytest.raises(TooLateError, match="nothing was sent") as raised:
            late.held_up(changes.deploy_release, DEPLOY, may_take=LANDS_WITHIN + timedelta(seconds=0.04))
        assert (raised.value.certainly_not_made, raised.value.retryable, late.said) == (True, True, [])

    def test_an_attempt_with_time_left_sends(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": OURS}, UPDATE)
        with ecs.asked_for_exactly_this():
            Attempt().held_up(changes.deploy_release, DEPLOY, may_take=CHANGE["start_to_close_timeout"])

    @pytest.mark.parametrize("theirs", [THEIRS, OURS])
    def test_leaves_anothers_deployment_alone_even_one_of_the_same_release(self, ecs, changes, theirs):
        ecs.answers("describe_services", services(theirs))
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(), changes.deploy_release, DEPLOY, DriftedError)
        assert error.certainly_not_made
        assert "its deployment was ecs-svc/2 when the plan was made, now ecs-svc/3 brings shop:" in str(error)

    def test_a_lost_reply_is_adopted_by_the_next_attempt(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.loses("update_service")
        ecs.answers("describe_services", services(OURS))
        first = Attempt()
        with ecs.asked_for_exactly_this():
            error = fails(first, changes.deploy_release, DEPLOY, UnreachableError)
            assert not error.certainly_not_made
            sent_at = datetime.fromisoformat(first.said[-1]) - LANDS_WITHIN
            adopted = Attempt(2, sent_at.isoformat())(changes.deploy_release, DEPLOY)
        assert (adopted.deployment, adopted.adopted) == ("ecs-svc/3", True)

    def test_a_lost_request_is_sent_once_more(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": OURS}, UPDATE)
        with ecs.asked_for_exactly_this():
            assert not Attempt(2, long_ago())(changes.deploy_release, DEPLOY).adopted

    def test_a_definite_refusal_takes_its_word_back_and_the_next_attempt_sends_at_once(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.refuses("update_service", "ThrottlingException")
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": OURS}, UPDATE)
        first = Attempt()
        with ecs.asked_for_exactly_this():
            assert fails(first, changes.deploy_release, DEPLOY, ThrottledError).certainly_not_made
            assert first.said[-1] is None
            began = datetime.now(UTC)
            Attempt(2, None)(changes.deploy_release, DEPLOY)
        assert datetime.now(UTC) - began < LANDS_WITHIN / 2

    def test_the_next_attempt_waits_until_the_request_before_it_has_landed_or_died(self, ecs, changes):
        ecs.answers("describe_services", services(OURS))
        rest = timedelta(seconds=0.3)
        began = datetime.now(UTC)
        with ecs.asked_for_exactly_this():
            Attempt(2, (began - LANDS_WITHIN + rest).isoformat())(changes.deploy_release, DEPLOY)
        assert rest <= datetime.now(UTC) - began < LANDS_WITHIN

    def test_a_permission_that_is_missing_means_certainly_not_made(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.refuses("update_service", "AccessDeniedException")
        with ecs.asked_for_exactly_this():
            assert fails(Attempt(), changes.deploy_release, DEPLOY, AccessDeniedError).certainly_not_made

    def test_nothing_is_certain_once_an_attempt_before_may_have_sent(self, ecs, changes):
        ecs.answers("describe_services", services(THEIRS))
        ecs.answers("describe_services", services(THEIRS))
        with ecs.asked_for_exactly_this():
            for left in ([long_ago()], []):
                error = fails(Attempt(2, *left), changes.deploy_release, DEPLOY, DriftedError)
                assert not error.certainly_not_made

    def test_an_update_that_makes_no_new_deployment_is_never_taken_for_ours(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": AS_PLANNED})
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(), changes.deploy_release, DEPLOY, RejectedError)
        assert "made no new deployment of shop: it runs that already" in str(error)


FORCED = {"cluster": "prod", "service": "shop", "forceNewDeployment": True}


class TestForcing:
    def test_is_done_without_naming_a_task_definition(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": service(3, 2)}, FORCED)
        with ecs.asked_for_exactly_this():
            assert Attempt()(changes.force_deployment, FORCE).deployment == "ecs-svc/3"

    def test_is_never_sent_twice_after_an_unknown_reply(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(2, long_ago()), changes.force_deployment, FORCE, UnknownReplyError)
        assert not error.certainly_not_made
        assert not error.retryable

    def test_a_newer_deployment_is_adopted_after_an_unknown_reply(self, ecs, changes):
        ecs.answers("describe_services", services(service(3, 2)))
        with ecs.asked_for_exactly_this():
            assert Attempt(2, long_ago())(changes.force_deployment, FORCE).adopted

    def test_is_sent_again_after_a_definite_refusal(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("update_service", {"service": service(3, 2)}, FORCED)
        with ecs.asked_for_exactly_this():
            assert not Attempt(2, None)(changes.force_deployment, FORCE).adopted

    @pytest.mark.parametrize("attempt", [Attempt(), Attempt(2, long_ago())])
    def test_is_not_done_to_anothers_release(self, ecs, changes, attempt):
        ecs.answers("describe_services", services(THEIRS))
        with ecs.asked_for_exactly_this():
            fails(attempt, changes.force_deployment, FORCE, DriftedError)


def made(status: str) -> dict[str, object]:
    brief = {"serviceDeploymentArn": deployment_arn(2), "status": status, "createdAt": NOW}
    return {"serviceDeployments": [brief]}


class TestStopping:
    @pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS"])
    def test_asks_ecs_to_roll_back(self, ecs, changes, status):
        ecs.answers("describe_service_deployments", made(status))
        ecs.answers("describe_services", services(AS_PLANNED))
        asked = {"serviceDeploymentArn": deployment_arn(2), "stopType": "ROLLBACK"}
        ecs.answers("stop_service_deployment", {"serviceDeploymentArn": deployment_arn(2)}, asked)
        with ecs.asked_for_exactly_this():
            deployed = Attempt()(changes.stop_deployment, STOP)
        assert (deployed.service_deployment, deployed.adopted) == (deployment_arn(2), False)

    @pytest.mark.parametrize(
        "status", ["STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    )
    def test_asked_twice_simply_continues(self, ecs, changes, status):
        ecs.answers("describe_service_deployments", made(status))
        ecs.answers("describe_services", services(AS_PLANNED))
        with ecs.asked_for_exactly_this():
            assert Attempt(2, long_ago())(changes.stop_deployment, STOP).adopted

    @pytest.mark.parametrize("status", ["SUCCESSFUL", "STOPPED", "ROLLBACK_FAILED"])
    def test_what_has_ended_is_left_alone_and_said_so(self, ecs, changes, status):
        ecs.answers("describe_service_deployments", made(status))
        ecs.answers("describe_services", services(AS_PLANNED))
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(), changes.stop_deployment, STOP, DriftedError)
        assert str(error) == f"the deployment ended before it could be stopped: it is {status}"

    def test_is_not_done_when_a_newer_deployment_started(self, ecs, changes):
        ecs.answers("describe_service_deployments", made("IN_PROGRESS"))
        ecs.answers("describe_services", services(THEIRS))
        with ecs.asked_for_exactly_this():
            fails(Attempt(), changes.stop_deployment, STOP, DriftedError)


TAGS = {CHANGE_TAG: "run-1", "runbook:from": "shop:1"}


class TestRegisteringAgain:
    RELEASE = a_release(1, active=False)
    REGISTER = RegisterRelease(target=TARGET, release=RELEASE, run_id="run-1")
    OLD = definition(1, "shop:1.1.0", status="INACTIVE")
    NEW = definition(9, f"shop@{digest(1)}", tags=TAGS)

    def test_pins_the_images_and_says_whose_it_is(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", self.OLD)
        asked = {
            "family": "shop",
            "containerDefinitions": [{"name": "app", "image": f"shop@{digest(1)}"}],
            "tags": [{"key": key, "value": value} for key, value in TAGS.items()],
        }
        ecs.answers("list_task_definitions", {"taskDefinitionArns": []}, SEARCHED)
        ecs.answers("register_task_definition", self.NEW, asked)
        with ecs.asked_for_exactly_this():
            release = Attempt()(changes.register_release, self.REGISTER)
        assert (release.revision, release.active, release.digests) == ("shop:9", True, (digest(1),))

    @pytest.mark.parametrize(
        ("image", "pinned"),
        [
            ("shop", "shop@"),
            ("registry.test:5000/shop", "registry.test:5000/shop@"),
            ("registry.test:5000/shop:1.0", "registry.test:5000/shop@"),
        ],
    )
    def test_pins_any_name_of_an_image(self, ecs, changes, image, pinned):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", definition(1, image, status="INACTIVE"))
        wanted = {"name": "app", "image": f"{pinned}{digest(1)}"}
        asked = {
            "family": "shop",
            "containerDefinitions": [wanted],
            "tags": [{"key": key, "value": value} for key, value in TAGS.items()],
        }
        ecs.answers("list_task_definitions", {"taskDefinitionArns": []}, SEARCHED)
        ecs.answers("register_task_definition", self.NEW, asked)
        with ecs.asked_for_exactly_this():
            Attempt()(changes.register_release, self.REGISTER)

    def test_keeps_the_tags_that_people_put_on_it(self, ecs, changes):
        old = definition(
            1, "shop:1.1.0", status="INACTIVE", tags={"team": "shops", "runbook:bad:prod/shop": "x"}
        )
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", old)
        asked = {
            "family": "shop",
            "containerDefinitions": [{"name": "app", "image": f"shop@{digest(1)}"}],
            "tags": [{"key": key, "value": value} for key, value in {"team": "shops", **TAGS}.items()],
        }
        ecs.answers("list_task_definitions", {"taskDefinitionArns": []}, SEARCHED)
        ecs.answers("register_task_definition", self.NEW, asked)
        with ecs.asked_for_exactly_this():
            Attempt()(changes.register_release, self.REGISTER)

    def test_finds_its_own_after_a_lost_reply(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", self.OLD)
        ecs.answers(
            "list_task_definitions",
            {"taskDefinitionArns": [task_definition(10), task_definition(9)]},
            SEARCHED,
        )
        ecs.answers("describe_task_definition", definition(10))
        ecs.answers("describe_task_definition", self.NEW)
        with ecs.asked_for_exactly_this():
            assert Attempt(2, long_ago())(changes.register_release, self.REGISTER).revision == "shop:9"

    def test_does_not_take_what_this_run_registered_for_another_release(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", self.OLD)
        ecs.answers("list_task_definitions", {"taskDefinitionArns": [task_definition(8)]}, SEARCHED)
        ecs.answers("describe_task_definition", definition(8, f"shop@{digest(4)}", tags=TAGS))
        ecs.answers("register_task_definition", self.NEW)
        with ecs.asked_for_exactly_this():
            assert Attempt(2, long_ago())(changes.register_release, self.REGISTER).revision == "shop:9"

    def test_hands_over_everything_that_a_registration_takes_and_nothing_else(self):
        model = boto3.client("ecs", region_name=HERE.region).meta.service_model
        described = set(model.shape_for("TaskDefinition").members)
        taken = set(model.shape_for("RegisterTaskDefinitionRequest").members)
        assert described - NOT_REGISTERED == taken - {"tags"}


class TestBelonging:
    """Whoever reaches Temporal may send any release: only what is the service's own is put on it."""

    EVIL = a_release(1).model_copy(update={"task_definition": f"{ARN}:task-definition/evil:1"})

    @pytest.fixture(autouse=True)
    def ran_only_its_own_releases(self, ecs):
        ecs.answers("describe_services", services(AS_PLANNED))

    def never_ran_anything_else(self, ecs):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("list_service_deployments", {"serviceDeployments": []})
        ecs.answers("describe_service_revisions", {"serviceRevisions": []})
        ecs.answers("describe_task_definition", definition(2))

    @pytest.mark.parametrize("name", ["deploy_release", "register_release", "mark_release"])
    def test_a_release_of_another_family_that_never_ran_there_is_refused(self, ecs, changes, name):
        self.never_ran_anything_else(ecs)
        given = {
            "deploy_release": DEPLOY.model_copy(update={"release": self.EVIL}),
            "register_release": RegisterRelease(target=TARGET, release=self.EVIL, run_id="run-1"),
            "mark_release": MarkRelease(target=TARGET, release=self.EVIL, mark=a_mark(Judgement.BAD, 1)),
        }[name]
        with (
            ecs.asked_for_exactly_this(),
            pytest.raises(PolicyError, match="evil:1 is no release of prod/shop"),
        ):
            Attempt()(getattr(changes, name), given)

    def test_an_image_of_another_repository_is_not_registered(self, ecs, changes):
        ecs.answers("describe_task_definition", definition(1, "shop:1.1.0", status="INACTIVE"))
        image = Image(container="app", name="evil/shop:1.1.0")
        release = a_release(1, active=False).model_copy(update={"images": (image,)})
        change = RegisterRelease(target=TARGET, release=release, run_id="run-1")
        with ecs.asked_for_exactly_this(), pytest.raises(PolicyError, match="another repository than shop"):
            Attempt()(changes.register_release, change)


class TestMarking:
    TAG: ClassVar = {
        "key": "runbook:bad:prod/shop",
        "value": f"{digest(1)} 2026-03-01T03:00:00+00:00 incident/prod/shop",
    }
    CHANGE = MarkRelease(target=TARGET, release=a_release(1), mark=a_mark(Judgement.BAD, 1))

    def test_tags_the_task_definition_that_was_judged(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("tag_resource", {}, {"resourceArn": task_definition(1), "tags": [self.TAG]})
        with ecs.asked_for_exactly_this():
            Attempt()(changes.mark_release, self.CHANGE)

    def test_again_after_a_crash_tags_nothing_that_is_tagged(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", definition(1) | {"tags": [self.TAG]})
        with ecs.asked_for_exactly_this():
            Attempt(2)(changes.mark_release, self.CHANGE)

    def test_again_after_a_crash_tags_what_is_not(self, ecs, changes):
        ecs.answers("describe_services", services(AS_PLANNED))
        ecs.answers("describe_task_definition", definition(1))
        ecs.answers("tag_resource", {}, {"resourceArn": task_definition(1), "tags": [self.TAG]})
        with ecs.asked_for_exactly_this():
            Attempt(2)(changes.mark_release, self.CHANGE)
