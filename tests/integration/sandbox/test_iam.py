"""Who the caller is and what he may: IAM's simulator of the sandbox, by boto3 over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from botocore.exceptions import ClientError
from ecs_world import CLUSTER, SERVICE

if TYPE_CHECKING:
    from ecs_world import World

ROLE = "arn:aws:iam::123456789012:role/runbook"
HERE = "arn:aws:ecs:us-east-1:123456789012"
UPDATE = {
    "PolicySourceArn": ROLE,
    "ActionNames": ["ecs:UpdateService", "iam:PassRole"],
    "ResourceArns": [f"{HERE}:service/{CLUSTER}/{SERVICE}", f"{ROLE}-execution"],
    "ContextEntries": [
        {
            "ContextKeyName": "iam:PassedToService",
            "ContextKeyType": "string",
            "ContextKeyValues": ["ecs-tasks.amazonaws.com"],
        }
    ],
}


def decisions(world: World) -> dict[str, str]:
    found = world.client("iam").simulate_principal_policy(**UPDATE)["EvaluationResults"]
    for item in found:
        each = item["ResourceSpecificResults"]
        assert [entry["EvalResourceName"] for entry in each] == UPDATE["ResourceArns"]
        assert {entry["EvalResourceDecision"] for entry in each} == {item["EvalDecision"]}
    return {item["EvalActionName"]: item["EvalDecision"] for item in found}


def test_the_caller_is_a_session_of_a_role_that_is_there(world: World) -> None:
    who = world.client("sts").get_caller_identity()
    assert who["Arn"] == "arn:aws:sts::123456789012:assumed-role/runbook/session"
    assert who["Account"] == "123456789012"
    role = world.client("iam").get_role(RoleName="runbook")["Role"]
    assert role["Arn"] == ROLE
    assert who["UserId"].partition(":")[0] == role["RoleId"]
    assert world.checked_answers == 2


def test_everything_is_allowed_on_every_resource(world: World) -> None:
    assert decisions(world) == {"ecs:UpdateService": "allowed", "iam:PassRole": "allowed"}


def test_what_a_fault_denies_the_simulator_denies_and_asking_does_not_use_it_up(world: World) -> None:
    world.fault(action="ecs:UpdateService", error="AccessDeniedException")
    for _ in range(2):
        assert decisions(world) == {"ecs:UpdateService": "implicitDeny", "iam:PassRole": "allowed"}
    with pytest.raises(ClientError, match="not authorized to perform: ecs:UpdateService"):
        world.ecs.update_service(cluster=CLUSTER, service=SERVICE)
    assert set(decisions(world).values()) == {"allowed"}


def test_what_a_fault_denies_of_load_balancers_the_simulator_denies_under_the_prefix_of_iam(
    world: World,
) -> None:
    permission = "elasticloadbalancing:DescribeTargetGroups"
    for named in (permission, "elbv2:DescribeTargetGroups"):
        world.fault(action=named, error="AccessDenied")
        (found,) = world.client("iam").simulate_principal_policy(
            PolicySourceArn=ROLE, ActionNames=[permission]
        )["EvaluationResults"]
        assert found["EvalDecision"] == "implicitDeny"
        httpx.delete(f"{world.url}/_sandbox/faults")


def test_faults_that_are_no_denials_and_those_of_others_deny_nothing(world: World) -> None:
    world.fault(action="UpdateService", error="ThrottlingException")
    world.fault(action="ecs:PassRole", error="AccessDenied")
    assert set(decisions(world).values()) == {"allowed"}


def test_the_simulator_itself_may_be_denied(world: World) -> None:
    world.fault(action="SimulatePrincipalPolicy", error="AccessDenied")
    with pytest.raises(ClientError, match="not authorized to perform: iam:SimulatePrincipalPolicy"):
        decisions(world)


def test_what_was_asked_is_logged(world: World) -> None:
    decisions(world)
    (call,) = world.calls()
    assert (call["service"], call["action"], call["error"]) == ("iam", "SimulatePrincipalPolicy", None)
    assert call["parameters"]["ActionNames.member.2"] == "iam:PassRole"


def test_a_question_that_does_not_fit_the_model_is_refused(world: World) -> None:
    asking = world.client("iam", parameter_validation=False)
    with pytest.raises(ClientError, match="ValidationError"):
        asking.simulate_principal_policy(PolicySourceArn=ROLE)
