"""What doctor asks IAM about changes that it must not try: the simulator answers by botocore's Stubber."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
from botocore.stub import Stubber

from activities.doctor import checkup
from activities.doctor.looking import check, look
from activities.doctor.permissions import Change, Simulator
from activities.doctor.place import Means, PlaceLook
from activities.doctor.service import ServiceLook
from activities.measuring.sources import Sources
from runbook_model.catalog.accounts import AssumeRole, account_of
from runbook_model.catalog.policies import Approvals, Environment
from runbook_model.catalog.service_policies import Database
from runbook_model.checks import POLICY, Place, row_of
from tests.aws_answers import HERE, Ecs, definition, service, services
from tests.ecs_facts import ARN, deployment_arn, task_definition
from tests.observing import a_target

ROLE = "arn:aws:iam::123456789012:role/teams/sre/incident-runbooks-worker"
SESSION = "arn:aws:sts::123456789012:assumed-role/incident-runbooks-worker/i-0123456789"
USER = "arn:aws:iam::123456789012:user/sre/incident-runbooks"
SERVICE, DEPLOYMENT, DEFINITION = f"{ARN}:service/prod/shop", deployment_arn(2), task_definition(2)
EXECUTION, TASK = (f"arn:aws:iam::123456789012:role/shop-{item}" for item in ("execution", "task"))
TARGET = "arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/0ec5abc"
DATABASE = "arn:aws:rds:us-east-1:123456789012:db:shop-db"
WANTED = {
    "ecs:UpdateService": [SERVICE],
    "ecs:StopServiceDeployment": [SERVICE, DEPLOYMENT],
    "ecs:RegisterTaskDefinition": [DEFINITION],
    "ecs:TagResource": [DEFINITION],
}
ROLES = {"executionRoleArn": EXECUTION, "taskRoleArn": "shop-task"}  # ECS takes a role's name as well


class Asking:
    """Asks about a service that runs; STS, IAM and the rest say what the test has them say."""

    def __init__(self):
        self.ecs = Ecs()
        self.clients = self.ecs.clients
        names = ("sts", "iam", "autoscaling")
        self.stubs = SimpleNamespace(**{name: Stubber(getattr(self.clients, name)(HERE)) for name in names})
        self.scaled = False
        self.roles = {}
        self.changes = {"cluster": "prod", "ecs_service": "shop"}

    def worker_is(self, arn):
        self.stubs.sts.add_response("get_caller_identity", {"Arn": arn})

    def role_is(self, arn):
        role = {"Path": "/", "RoleName": "x", "RoleId": "AROA0123456789ABCDEF", "Arn": arn, "CreateDate": 0}
        self.stubs.iam.add_response("get_role", {"Role": role}, {"RoleName": "incident-runbooks-worker"})

    def simulator_says(self, *pages, asked=None):
        """Answer the next question to the simulator; ``asked`` is what it must be."""
        for number, page in enumerate(pages, 1):
            more = {"IsTruncated": True, "Marker": "on"} if number < len(pages) else {"IsTruncated": False}
            text = {"EvaluationResults": page} | more
            self.stubs.iam.add_response("simulate_principal_policy", text, asked)

    def _service_is_read(self):
        found = definition(2)
        found["taskDefinition"] |= self.roles
        scaled = {
            "ServiceNamespace": "ecs", "ResourceId": "service/prod/shop", "MinCapacity": 1, "MaxCapacity": 4,
            "ScalableDimension": "ecs:service:DesiredCount", "RoleARN": EXECUTION, "CreationTime": 0,
            "ScalableTargetARN": TARGET,
        }  # fmt: skip
        self.ecs.answers("describe_services", services(service()))
        self.stubs.autoscaling.add_response(
            "describe_scalable_targets", {"ScalableTargets": [scaled] if self.scaled else []}
        )
        self.ecs.answers("describe_task_definition", found)

    async def __call__(self):
        self._service_is_read()
        target = a_target(**self.changes)
        return await self._ask(
            checkup.SERVICE, "permissions", ServiceLook(Sources(self.clients, None, None), target), target
        )

    async def about_reviews(self, shelf):
        place = Place(environment="prod", where=Environment(cluster="prod", region="us-east-1"))
        means = Means(Sources(self.clients, None, None), None, shelf, None)
        return await self._ask(checkup.PLACE, "reviews", PlaceLook(means, place, datetime.now(UTC)), place)

    async def _ask(self, questions, name, given, at):
        with ExitStack() as stack:
            for item in (self.ecs.stub, *vars(self.stubs).values()):
                stack.enter_context(item)
            (found,) = await look({name: questions[name]}, given, at)
            return found


def evaluated(action, decision="allowed", resources=(), *, at_large=None, **more):
    """What the simulator says of an action: on the whole, and on each resource."""
    each = [
        {"EvalResourceName": resource, "EvalResourceDecision": decision, **more} for resource in resources
    ]
    return {
        "EvalActionName": action,
        "EvalResourceName": "*",
        "EvalDecision": at_large or decision,
        "ResourceSpecificResults": each,
    }


def allowed(but=None):
    """All that a service needs is allowed, and nothing said of one."""
    return [evaluated(action, resources=on) for action, on in WANTED.items() if action != but]


@pytest.fixture
def asking():
    return Asking()


@pytest.fixture
def user(asking):
    """A worker with keys of a user, of whom nothing needs to be looked up."""
    asking.worker_is(USER)
    return asking


class TestIdentity:
    async def test_of_a_session_is_its_role_with_its_path(self, asking):
        asking.worker_is(SESSION)
        asking.role_is(ROLE)
        asking.simulator_says(allowed())
        text = await asking()
        assert (text.ok, text.fix) == (True, None)
        assert text.detail == f"IAM's simulator allows {ROLE} {', '.join(WANTED)}"

    async def test_of_a_session_is_not_guessed_where_its_role_may_not_be_looked_up(self, asking):
        asking.worker_is(SESSION)
        said = "User: x is not authorized to perform: iam:GetRole on resource: role incident-runbooks-worker"
        asking.stubs.iam.add_client_error("get_role", "AccessDenied", said)
        text = await asking()
        assert (text.ok, text.fix) == (None, None)
        assert text.detail.startswith("unknown: could not look up the role incident-runbooks-worker")
        assert text.detail.endswith("; allow iam:GetRole for the worker's role")

    def test_of_an_environment_is_the_role_that_the_catalog_names(self, asking):
        role = "arn:aws:iam::999999999999:role/teams/incident-runbooks-prod"
        account = account_of("prod", "us-east-1", AssumeRole(role_arn=role))
        keys = {"AccessKeyId": "ASIA0123456789ABCDEF", "SecretAccessKey": "x", "SessionToken": "x"}
        session = {"Credentials": {**keys, "Expiration": datetime.now(UTC) + timedelta(hours=1)}}
        asking.stubs.sts.add_response("assume_role", session)
        with asking.stubs.sts, Stubber(asking.clients.iam(account)) as iam:
            asked = {
                "PolicySourceArn": role,
                "ActionNames": [ANY],
                "ResourceArns": [ANY],
                "ContextEntries": ANY,
            }
            text = {"EvaluationResults": [evaluated("ecs:UpdateService", resources=[SERVICE])]}
            iam.add_response("simulate_principal_policy", text, asked)
            changes = [Change("ecs:UpdateService", SERVICE)]
            assert role in Simulator(asking.clients, account).try_all(changes, "us-east-1")

    async def test_of_a_user_is_the_user(self, user):
        user.simulator_says(allowed())
        text = await user()
        assert text.ok is True
        assert USER in text.detail

    @pytest.mark.parametrize(
        "arn",
        ["arn:aws:iam::123456789012:root", "arn:aws:sts::123456789012:federated-user/alice"],
    )
    async def test_that_iam_cannot_simulate_is_unknown(self, asking, arn):
        asking.worker_is(arn)
        text = await asking()
        assert (text.ok, text.fix) == (None, None)
        assert (
            text.detail == f"unknown: IAM cannot simulate {arn}; give the worker a role or a user of its own"
        )


class TestChanges:
    async def test_are_asked_about_with_what_they_are_made_on(self, user):
        user.scaled, user.roles = True, ROLES
        user.changes |= {"database": Database(dsn_env="X", rds_instance="shop-db")}
        wanted = WANTED | {
            "application-autoscaling:RegisterScalableTarget": [TARGET],
            "rds:RebootDBInstance": [DATABASE],
            "iam:PassRole": [EXECUTION, TASK],
        }
        context = {
            "aws:RequestedRegion": "us-east-1",
            "iam:PassedToService": "ecs-tasks.amazonaws.com",
            "ecs:cluster": f"{ARN}:cluster/prod",
            "application-autoscaling:service-namespace": "ecs",
            "application-autoscaling:scalable-dimension": "ecs:service:DesiredCount",
        }

        asked = {
            "PolicySourceArn": USER,
            "ActionNames": list(wanted),
            "ResourceArns": [SERVICE, DEPLOYMENT, DEFINITION, TARGET, DATABASE, EXECUTION, TASK],
            "ContextEntries": [
                {"ContextKeyName": name, "ContextKeyType": "string", "ContextKeyValues": [value]}
                for name, value in context.items()
            ],
        }
        user.simulator_says([evaluated(item, resources=on) for item, on in wanted.items()], asked=asked)
        text = await user()
        assert text.ok is True, text.detail
        assert text.detail.endswith(", ".join(wanted))

    async def test_of_a_service_whose_decisions_are_signed_include_the_tag_that_a_scale_out_leaves(
        self, user
    ):
        user.changes |= {"approvals": Approvals(needed=1, people=("bob", "carol"), signed=True)}
        denied = evaluated("ecs:TagResource", "implicitDeny", [SERVICE])
        user.simulator_says([*allowed(), denied])
        assert (await user()).detail == f"{USER} may not ecs:TagResource on {SERVICE}"

    async def test_that_are_denied_are_red_with_action_and_resource(self, user):
        denied = evaluated("ecs:UpdateService", "implicitDeny", [SERVICE])
        user.simulator_says([*allowed(but="ecs:UpdateService"), denied])
        text = await user()
        assert (text.ok, text.detail) == (False, f"{USER} may not ecs:UpdateService on {SERVICE}")
        assert text.fix == POLICY

    async def test_that_a_policy_denies_say_so(self, user):
        denied = evaluated("ecs:TagResource", "explicitDeny", [DEFINITION])
        user.simulator_says([*allowed(but="ecs:TagResource"), denied])
        text = await user()
        assert text.detail.endswith(f"may not ecs:TagResource (a policy denies it) on {DEFINITION}")
        assert text.fix == f"{POLICY}, and let no other policy deny it"

    async def test_that_are_beyond_a_boundary_say_so(self, user):
        beyond = {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False}}
        denied = evaluated("ecs:UpdateService", "implicitDeny", [SERVICE], **beyond)
        user.simulator_says([*allowed(but="ecs:UpdateService"), denied])
        assert "ecs:UpdateService (beyond its permissions boundary) on" in (await user()).detail

    async def test_that_the_organization_denies_say_so(self, user):
        denied = evaluated("ecs:UpdateService", "explicitDeny", [SERVICE])
        denied["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": False}
        user.simulator_says([*allowed(but="ecs:UpdateService"), denied])
        text = await user()
        assert text.ok is False
        assert "ecs:UpdateService (a policy of the organization denies it) on" in text.detail

    async def test_count_by_their_own_resource_whatever_is_said_of_others(self, user):
        update = evaluated("ecs:UpdateService", resources=[SERVICE], at_large="implicitDeny")
        update["ResourceSpecificResults"].append(
            {"EvalResourceName": DEFINITION, "EvalResourceDecision": "implicitDeny"}
        )
        user.simulator_says([*allowed(but="ecs:UpdateService"), update])
        assert (await user()).ok is True

    async def test_are_found_on_every_page_of_the_answer(self, user):
        answers = allowed()
        user.simulator_says(answers[:2], answers[2:])
        assert (await user()).ok is True

    async def test_are_unknown_where_a_condition_could_not_be_weighed(self, user):
        unsure = evaluated(
            "ecs:UpdateService", "implicitDeny", [SERVICE], MissingContextValues=["aws:RequestTag/team"]
        )
        user.simulator_says([*allowed(but="ecs:UpdateService"), unsure])
        text = await user()
        assert (text.ok, text.fix) == (None, None)
        assert f"ecs:UpdateService on {SERVICE}, because nobody gives it aws:RequestTag/team" in text.detail

    async def test_are_unknown_where_the_simulator_leaves_one_out(self, user):
        user.simulator_says(allowed(but="ecs:TagResource"))
        text = await user()
        assert text.ok is None
        assert f"ecs:TagResource on {DEFINITION}, and does not say why" in text.detail

    async def test_that_are_allowed_say_which_conditions_were_not_weighed(self, user):
        tagged = evaluated(
            "ecs:TagResource", resources=[DEFINITION], MissingContextValues=["aws:SecureTransport"]
        )
        user.simulator_says([*allowed(but="ecs:TagResource"), tagged])
        text = await user()
        assert text.ok is True
        assert text.detail.endswith("; conditions on aws:SecureTransport are not weighed")

    async def test_of_a_compose_service_are_none(self, asking):
        asking.changes |= {"platform": "compose"}
        assert (await asking()).ok is None


class TestSimulator:
    async def test_that_the_worker_may_not_ask_leaves_it_unknown_and_says_what_would_let_it(self, user):
        said = f"User: {USER} is not authorized to perform: iam:SimulatePrincipalPolicy on resource: {USER}"
        user.stubs.iam.add_client_error("simulate_principal_policy", "AccessDenied", said)
        text = await user()
        assert (text.ok, text.fix) == (None, None)
        assert text.detail.endswith("; allow iam:SimulatePrincipalPolicy for the worker's role")

    async def test_that_does_not_answer_leaves_it_unknown(self, user):
        user.stubs.iam.add_client_error("simulate_principal_policy", "ServiceFailure", http_status_code=500)
        text = await user()
        assert (text.ok, text.fix) == (None, None)
        assert text.detail.endswith("; let the worker reach IAM")

    async def test_that_is_slow_leaves_it_unknown(self):
        text = await check(row_of("permissions")._replace(seconds=0.01), asyncio.Event().wait)
        assert (text.ok, text.detail) == (None, "unknown: no answer within 0.01 s; let the worker reach IAM")


class TestReviews:
    async def test_in_a_bucket_are_asked_about_as_the_worker_itself(self, user):
        target = "arn:aws:s3:::shop-incident-reviews/ours/prod/*"
        user.simulator_says([evaluated("s3:PutObject", resources=[target])])
        text = await user.about_reviews("s3://shop-incident-reviews/ours")
        assert (text.ok, text.detail) == (True, f"IAM's simulator allows {USER} s3:PutObject")

    async def test_in_a_bucket_that_may_not_be_written_to_are_red(self, user):
        target = "arn:aws:s3:::shop-incident-reviews/prod/*"
        user.simulator_says([evaluated("s3:PutObject", "implicitDeny", [target])])
        text = await user.about_reviews("s3://shop-incident-reviews")
        assert (text.ok, text.fix) == (False, POLICY)
        assert text.detail == f"{USER} may not s3:PutObject on {target}"

    async def test_in_a_folder_that_is_still_to_be_made_are_in_place(self, asking, tmp_path):
        text = await asking.about_reviews(str(tmp_path / "reviews" / "here"))
        assert (text.ok, text.detail) == (True, f"{tmp_path} can be written to")
        assert list(tmp_path.iterdir()) == []

    async def test_below_what_is_no_folder_are_red(self, asking, tmp_path):
        (tmp_path / "file").write_text("")
        text = await asking.about_reviews(str(tmp_path / "file" / "reviews"))
        assert text.ok is False
        assert "correct RUNBOOK_REVIEWS" in text.fix

    async def test_that_go_nowhere_are_not_looked_at(self, asking):
        assert (await asking.about_reviews(None)).ok is None
