"""Who the caller is and what he may: everything, but for what a fault denies. The rest of IAM and STS is moto's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sandbox.aws_calls import Call, Request
from sandbox.ecs.errors import ApiError
from sandbox.ecs.names import Fields, Names, last_part
from sandbox.ecs.protocol import MalformedRequestError, checked
from sandbox.query_form import members

_SESSION = "x-amz-security-token"
"""Who signs with a session took on a role, which moto remembers."""


class SimulatedIam:
    """Every role that is asked for is there, without a path; ``denies`` says of a permission whether it is wanting."""

    def __init__(self, names: Names, denies: Callable[[str], bool]) -> None:
        self._names = names
        self._denies = denies

    def knows(self, request: Request, call: Call) -> bool:
        """Say whether a call is one that is answered here."""
        match call.service, call.action:
            case "iam", "GetRole" | "SimulatePrincipalPolicy":
                return True
            case "sts", "GetCallerIdentity":
                return _SESSION not in request.headers
        return False

    def call(self, call: Call) -> Fields:
        """Do one action.

        Raises:
            ApiError: what AWS would refuse it with.
        """
        try:
            given = checked(call.service, call.action, members(call.parameters))
        except MalformedRequestError as error:
            raise ApiError("ValidationError", str(error)) from error
        match call.action:
            case "GetRole":
                return {"Role": self._role(given["RoleName"])}
            case "SimulatePrincipalPolicy":
                return self._simulate(given)
        arn = self._names.root()
        return {
            "Arn": arn,
            "UserId": f"{_role_id(arn.split('/')[1])}:{last_part(arn)}",
            "Account": self._names.account,
        }

    def _role(self, name: str) -> Fields:
        return {
            "Path": "/",
            "RoleName": name,
            "RoleId": _role_id(name),
            "Arn": f"arn:aws:iam::{self._names.account}:role/{name}",
            "CreateDate": "2026-01-01T00:00:00Z",
        }

    def _simulate(self, given: Fields) -> Fields:
        resources = given.get("ResourceArns", ["*"])
        return {
            "EvaluationResults": [self._decide(action, resources) for action in given["ActionNames"]],
            "IsTruncated": False,
        }

    def _decide(self, action: str, resources: list[str]) -> Fields:
        """Decide on one action; AWS answers so too: once, with the decision on each resource inside."""
        decision = "implicitDeny" if self._denies(action) else "allowed"
        each = [{"EvalResourceName": resource, "EvalResourceDecision": decision} for resource in resources]
        return {
            "EvalActionName": action,
            "EvalResourceName": "*",
            "EvalDecision": decision,
            "ResourceSpecificResults": [item for item in each if item["EvalResourceName"] != "*"],
        }


def _role_id(name: str) -> str:
    return f"AROA{hashlib.sha256(name.encode()).hexdigest()[:17].upper()}"
