"""Services whose deployments shift traffic: what would keep a release or a rollback of them from going as expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from activities.doctor.looking import NotSetError, WrongError
from activities.ecs.traffic import has_weights, read_weights
from runbook_model.releases.shifting import SHIFTING
from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentConfigurationOutputTypeDef, ServiceTypeDef

    from activities.doctor.service import ServiceLook

_RESOURCE = re.compile(r'^\s*resource\s+"(\w+)"\s+"([\w-]+)"', re.MULTILINE)
_LEFT_ALONE = re.compile(r"ignore_changes\s*=\s*(all\b|\[[^\]]*\bload_balancer\b)")
_COMMENT = re.compile(r"^\s*(#|//).*$", re.MULTILINE)

Wrong = tuple[str, str]
"""What is wrong, and its fix."""


def read_traffic_shift(look: ServiceLook) -> str:
    """Look at the rules, the alarms and the module of a service whose deployments shift traffic."""
    service = _describe(look)
    configuration = service.get("deploymentConfiguration", {})
    strategy = configuration.get("strategy", "ROLLING")
    if strategy not in SHIFTING:
        raise NotSetError("its deployments shift no traffic")
    wrong = [*_wrong_weights(look, service), *_firing(look, configuration), *_overwriting(look)]
    if wrong:
        raise WrongError("; ".join(what for what, _ in wrong), "; ".join(fix for _, fix in wrong))
    return f"{strategy}; its rules, alarms and module would let a deployment go its way"


def _describe(look: ServiceLook) -> ServiceTypeDef:
    where, name = look.target, look.target.ecs_service
    with look.clients.naming_errors(f"describe the service {name}"):
        found = look.clients.ecs(where.account).describe_services(cluster=where.cluster, services=[name])
    if not found["services"]:
        raise WrongError(f"there is no service {name}")
    return found["services"][0]


def _wrong_weights(look: ServiceLook, service: ServiceTypeDef) -> Iterator[Wrong]:
    """Say where a rule sends requests to targets of no release that runs; while one is deployed, weights may be any."""
    revisions = service.get("currentServiceRevisions", [])
    if len(revisions) != 1:
        return
    with look.clients.naming_errors("describe the service revision"):
        found = look.clients.ecs(look.target.account).describe_service_revisions(
            serviceRevisionArns=[revisions[0]["arn"]]
        )["serviceRevisions"]
    for balancer in (item for revision in found for item in _balancers(revision)):
        rule, group = balancer.get("productionListenerRule", ""), balancer.get("targetGroupArn", "")
        if not has_weights(rule):
            continue
        share = read_weights(look.clients, look.target, rule).get(group, 0.0)
        if share < 100:
            yield (
                f"nothing is deployed, and the production rule sends {share:g} % to the release that runs",
                f"give {group.rpartition(':')[2]} all of the weight: aws elbv2 describe-rules --rule-arns {rule}",
            )


def _balancers(revision: object) -> list[dict[str, str]]:
    resolved = revision.get("resolvedConfiguration", {}) if isinstance(revision, dict) else {}
    found: list[dict[str, str]] = resolved.get("loadBalancers", [])
    return found


def _firing(look: ServiceLook, configuration: DeploymentConfigurationOutputTypeDef) -> Iterator[Wrong]:
    """Name alarms that fire already: ECS ignores them in a deployment that starts now."""
    alarms = configuration.get("alarms")
    if not alarms or not alarms["enable"] or not alarms["alarmNames"]:
        return
    with look.clients.naming_errors("describe the alarms of its deployments"):
        found = look.clients.cloudwatch(look.target.account).describe_alarms(
            AlarmNames=alarms["alarmNames"], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
    states = {item["AlarmName"]: item["StateValue"] for item in found["MetricAlarms"]}
    states |= {item["AlarmName"]: item["StateValue"] for item in found.get("CompositeAlarms", [])}
    for name in alarms["alarmNames"]:
        if name not in states:
            yield f"there is no alarm {excerpt(name, 100)}", "correct the alarms of its deployments"
        elif states[name] == "ALARM":
            yield (
                f"the alarm {excerpt(name, 100)} fires already: a deployment that starts now ignores it",
                "look why it fires before the next release",
            )


def _overwriting(look: ServiceLook) -> Iterator[Wrong]:
    """Name resources of the service's module that would put the first pair of target groups back at each apply."""
    owner = look.target.terraform
    if owner is None:
        return
    for path in sorted(Path(owner.directory).glob("*.tf")):
        for address in exposed_services(path.read_text(encoding="utf-8", errors="replace")):
            yield (
                f"{address} in {path.name} has no ignore_changes for load_balancer: an apply may turn traffic back",
                "add lifecycle { ignore_changes = [load_balancer] } there",
            )


def exposed_services(text: str) -> list[str]:
    """Return the addresses of ECS services with a load balancer whose module does not leave it alone."""
    text = _COMMENT.sub("", text)
    found = list(_RESOURCE.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    return [
        f"{match[1]}.{match[2]}"
        for match, end in zip(found, ends, strict=True)
        if match[1] == "aws_ecs_service"
        and "load_balancer" in (block := text[match.start() : end])
        and not _LEFT_ALONE.search(block)
    ]
