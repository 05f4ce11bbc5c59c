"""Whether calls would be allowed: IAM's policy simulator is asked, as they cannot be tried without making them.

It weighs the policies of the worker's role or user. What only a real call meets is not weighed: policies of buckets, and
conditions on what IAM is not told here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from activities.checkup.looking import POLICY, NotSetError, WrongError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_iam.type_defs import ContextEntryTypeDef, ResourceSpecificResultTypeDef

    from activities.accounts import Account
    from activities.clients import Clients

TASKS = "ecs-tasks.amazonaws.com"
Answers = dict[tuple[str, str], "ResourceSpecificResultTypeDef"]


class Change(NamedTuple):
    """An action, and the ARN of what it is done to."""

    action: str
    resource: str


class Simulator:
    """Asks IAM about the identity that calls of an account are made by."""

    def __init__(self, clients: Clients, account: Account) -> None:
        self._clients = clients
        self._account = account

    def try_all(self, changes: Iterable[Change], region: str, cluster: str = "") -> str:
        """Say that the changes would be allowed.

        Args:
            changes: what is asked about.
            region: where they would be made.
            cluster: ARN of the cluster where they would be made, if in one.

        Raises:
            WrongError: one would be denied.
            NotSetError: the identity is none that IAM could simulate, or its policies ask for more than IAM is told.
            OutsideError: IAM does not answer, or not to the worker.
        """
        wanted, who = tuple(changes), self._identity()
        answers = self._ask(who, wanted, _context(region, cluster))
        refused = [one for one in wanted if _decision(answers, one) != "allowed"]
        missing = sorted({key for one in refused or wanted for key in _missing(answers, one)})
        if denied := [one for one in refused if one in answers and not _missing(answers, one)]:
            explicit = any(_decision(answers, one) == "explicitDeny" for one in denied)
            mend = f"{POLICY}, and let no other policy deny it" if explicit else POLICY
            raise WrongError(f"{who} may not {_listed(denied, answers)}", mend)
        if refused:
            why = f"as nobody tells it {', '.join(missing)}" if missing else "and does not say why"
            raise NotSetError(f"not told: IAM's simulator cannot allow {_listed(refused, answers)}, {why}")
        beside = f"; conditions on {', '.join(missing)} are not weighed" if missing else ""
        actions = ", ".join(dict.fromkeys(one.action for one in wanted))
        return f"IAM's simulator allows {who} {actions}{beside}"

    def _identity(self) -> str:
        """Return the ARN of the role or user whose policies count."""
        if self._account.role:
            return self._account.role.role_arn
        with self._clients.naming_errors("ask AWS who the worker is"):
            arn = self._clients.sts(self._account).get_caller_identity()["Arn"]
        _, _, service, _, _, name = arn.split(":", 5)
        match service, name.split("/"):
            case "iam", ["user", *_]:
                return arn
            case "sts", ["assumed-role", role, *_]:
                # The session's ARN leaves the role's path out.
                with self._clients.naming_errors(f"look up the role {role}"):
                    return self._clients.iam(self._account).get_role(RoleName=role)["Role"]["Arn"]
        raise NotSetError(f"not told: IAM cannot simulate {arn}; give the worker a role or a user of its own")

    def _ask(self, who: str, changes: tuple[Change, ...], context: list[ContextEntryTypeDef]) -> Answers:
        """Ask about every action on every resource: IAM has no shorter way to ask about some."""
        pages = self._clients.iam(self._account).get_paginator("simulate_principal_policy")
        with self._clients.naming_errors("ask IAM's policy simulator"):
            return {
                (result["EvalActionName"], answer["EvalResourceName"]): answer
                for page in pages.paginate(
                    PolicySourceArn=who,
                    ActionNames=list(dict.fromkeys(one.action for one in changes)),
                    ResourceArns=list(dict.fromkeys(one.resource for one in changes)),
                    ContextEntries=context,
                )
                for result in page["EvaluationResults"]
                for answer in result.get("ResourceSpecificResults", [])
            }


def _context(region: str, cluster: str) -> list[ContextEntryTypeDef]:
    """Tell IAM what AWS would know of a call: policies are often narrowed by it."""
    known = {"aws:RequestedRegion": region, "iam:PassedToService": TASKS, "ecs:cluster": cluster}
    return [
        {"ContextKeyName": name, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for name, value in known.items()
        if value
    ]


def _decision(answers: Answers, change: Change) -> str | None:
    return answers[change]["EvalResourceDecision"] if change in answers else None


def _missing(answers: Answers, change: Change) -> list[str]:
    return answers[change].get("MissingContextValues", []) if change in answers else []


def _listed(changes: Iterable[Change], answers: Answers) -> str:
    """Name actions by what they are done to."""
    by_resource: dict[str, list[str]] = {}
    for one in changes:
        by_resource.setdefault(one.resource, []).append(f"{one.action}{_reason(answers.get(one))}")
    return "; ".join(f"{', '.join(actions)} on {resource}" for resource, actions in by_resource.items())


def _reason(answer: ResourceSpecificResultTypeDef | None) -> str:
    if answer and answer["EvalResourceDecision"] == "explicitDeny":
        return " (a policy denies it)"
    boundary = answer.get("PermissionsBoundaryDecisionDetail", {}) if answer else {}
    return "" if boundary.get("AllowedByPermissionsBoundary", True) else " (beyond its permissions boundary)"
