"""What doctor says of services whose deployments shift traffic."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from botocore.stub import Stubber

from activities.doctor.looking import look
from activities.doctor.service import ServiceLook
from activities.doctor.shifting import exposed_services, read_traffic_shift
from activities.measuring.sources import Sources
from runbook_model.catalog.service_policies import Terraform
from tests.aws_answers import HERE, Ecs, service
from tests.observing import a_target

ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
BLUE, GREEN = f"{ELB}:targetgroup/blue/0123456789abcdef", f"{ELB}:targetgroup/green/0123456789abcdef"
RULE = f"{ELB}:listener-rule/app/shop/0123456789abcdef/0123456789abcdef/0123456789abcdef"
REVISION = "arn:aws:ecs:us-east-1:123456789012:service-revision/prod/shop/2"
RUNS = {"arn": REVISION, "requestedTaskCount": 2, "runningTaskCount": 2, "pendingTaskCount": 0}
MODULE = """
resource "aws_ecs_service" "app" {
  name = "shop"
  load_balancer {
    target_group_arn = "blue"
  }
%s
}
resource "aws_lb_target_group" "blue" {}
"""


class Outside:
    """A service with such a strategy, and what AWS says of its rule and its alarms."""

    def __init__(self, strategy="BLUE_GREEN", *, alarms=(), revisions=(RUNS,)) -> None:
        self.ecs = Ecs()
        self.elb = Stubber(self.ecs.clients.elb(HERE))
        self.cloudwatch = Stubber(self.ecs.clients.cloudwatch(HERE))
        configuration = {"strategy": strategy}
        if alarms:
            configuration["alarms"] = {"alarmNames": list(alarms), "enable": True, "rollback": True}
        found = service(deploymentConfiguration=configuration, currentServiceRevisions=list(revisions))
        self.ecs.answers("describe_services", {"services": [found], "failures": []})
        self.terraform = None

    def serving(self, **weights):
        resolved = {"loadBalancers": [{"targetGroupArn": GREEN, "productionListenerRule": RULE}]}
        revision = {"serviceRevisionArn": REVISION, "resolvedConfiguration": resolved}
        self.ecs.answers("describe_service_revisions", {"serviceRevisions": [revision], "failures": []})
        names = {"blue": BLUE, "green": GREEN}
        groups = [{"TargetGroupArn": names[name], "Weight": weight} for name, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
        self.elb.add_response("describe_rules", {"Rules": [{"RuleArn": RULE, "Actions": [action]}]})
        return self

    def alarm(self, **states):
        found = [{"AlarmName": name, "StateValue": state} for name, state in states.items()]
        self.cloudwatch.add_response("describe_alarms", {"MetricAlarms": found, "CompositeAlarms": []})
        return self

    async def said(self):
        target = a_target(terraform=self.terraform)
        with self.ecs.stub, self.elb, self.cloudwatch:
            given = ServiceLook(Sources(self.ecs.clients, None, None), target)
            (found,) = await look({"traffic-shift": read_traffic_shift}, given, target)
        return SimpleNamespace(ok=found.ok, detail=found.detail, fix=found.fix or "")


async def test_a_service_whose_rules_and_alarms_are_in_order_is_green():
    found = await Outside(alarms=["errors"]).serving(blue=0, green=100).alarm(errors="OK").said()
    assert (found.ok, found.detail.split(";")[0]) == (True, "BLUE_GREEN")


async def test_of_a_rolling_service_nothing_is_asked():
    found = await Outside("ROLLING").said()
    assert (found.ok, found.detail) == (None, "its deployments shift no traffic")


async def test_a_rule_that_sends_requests_to_what_does_not_run_is_red():
    found = await Outside("CANARY").serving(blue=90, green=10).said()
    assert (found.ok, found.detail) == (
        False,
        "nothing is deployed, and the production rule sends 10 % to the release that runs",
    )
    assert "give targetgroup/green/0123456789abcdef all of the weight" in found.fix


async def test_weights_may_be_any_while_a_release_is_under_way():
    both = (RUNS, RUNS | {"arn": f"{REVISION}1"})
    assert (await Outside("LINEAR", revisions=both).said()).ok


async def test_rules_that_may_not_be_read_name_the_permissions():
    outside = Outside().serving(green=100)
    outside.elb = Stubber(outside.ecs.clients.elb(HERE))
    outside.elb.add_client_error("describe_rules", "AccessDenied", "not authorized: DescribeRules")
    found = await outside.said()
    assert (found.ok, "describe the listener rule of" in found.detail) == (False, True)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"errors": "ALARM"}, "the alarm errors fires already: a deployment that starts now ignores it"),
        ({}, "there is no alarm errors"),
    ],
)
async def test_an_alarm_that_would_not_guard_a_deployment_is_red(states, words):
    found = await Outside(alarms=["errors"]).serving(green=1).alarm(**states).said()
    assert (found.ok, found.detail) == (False, words)


@pytest.mark.parametrize(
    ("lifecycle", "exposed"),
    [
        ("", ["aws_ecs_service.app"]),
        ("  lifecycle { ignore_changes = [desired_count] }", ["aws_ecs_service.app"]),
        ("  # ignore_changes = [load_balancer]", ["aws_ecs_service.app"]),
        ("  lifecycle { ignore_changes = [load_balancer, desired_count] }", []),
        ("  lifecycle {\n    ignore_changes = [\n      desired_count,\n      load_balancer,\n    ]\n  }", []),
        ("  lifecycle { ignore_changes = all }", []),
    ],
)
def test_a_module_must_leave_load_balancers_alone(lifecycle, exposed):
    assert exposed_services(MODULE % lifecycle) == exposed


async def test_a_module_that_would_put_the_first_pair_back_is_red(tmp_path):
    (tmp_path / "main.tf").write_text(MODULE % "")
    outside = Outside().serving(green=100)
    outside.terraform = Terraform(directory=str(tmp_path))
    found = await outside.said()
    assert (found.ok, found.detail) == (
        False,
        "aws_ecs_service.app in main.tf has no ignore_changes for load_balancer: an apply may turn traffic back",
    )
