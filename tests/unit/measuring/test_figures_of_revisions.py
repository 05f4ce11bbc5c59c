"""The figures of each of two releases between which traffic is being shifted: whose they are, and since when."""

from datetime import timedelta

import pytest
from botocore.stub import ANY, Stubber

from activities.measuring.revisions import NO_GROUP, NOT_ASKED, NOT_COUNTED, ONE_GROUP, measure_revisions
from activities.measuring.sources import Sources
from runbook_model.catalog.service_policies import Verify
from runbook_model.measured.balancing import Figures, GroupFigures, figures_of
from runbook_model.measured.evidence import citations
from runbook_model.measured.publishing import published
from runbook_model.measured.revisions import RevisionFigures, RevisionPair, RunningRevision
from tests.aws_answers import HERE, Ecs
from tests.ecs_facts import revision_arn
from tests.observing import NOW, a_target
from tests.symptoms import errors_read, revisions_read

ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
BLUE, GREEN = f"{ELB}:targetgroup/blue/b", f"{ELB}:targetgroup/green/9"
BALANCER, NETWORK = f"{ELB}:loadbalancer/app/front/1", f"{ELB}:loadbalancer/net/front/1"
MINUTE, VERIFY = timedelta(minutes=1), Verify(rate_window=timedelta(minutes=5))
TARGET = a_target(evidence=("load-balancer",), verify=VERIFY)
END = NOW - VERIFY.lag
BEGIN = END - 5 * MINUTE


def running(number):
    return RunningRevision(
        arn=revision_arn(number), release=f"shop:{number}", name=f"shop:{number} (1.{number}.0)"
    )


PAIR = RevisionPair(coming=running(3), old=running(2), wanted=2, has_traffic=True)


class Aws:
    """The product's clients, whose ECS, ELB and CloudWatch give the answers of a test and refuse every other call."""

    def __init__(self):
        self.ecs = Ecs()
        self.clients = self.ecs.clients
        self.elb, self.cloudwatch = Stubber(self.clients.elb(HERE)), Stubber(self.clients.cloudwatch(HERE))

    def resolves(self, green, blue, *, made=END - 2 * MINUTE):
        """ECS names these groups of the revision that is coming, and of the old one."""
        found = [
            {
                "serviceRevisionArn": revision_arn(number),
                "createdAt": at,
                "resolvedConfiguration": {"loadBalancers": [{"targetGroupArn": arn} for arn in groups]},
            }
            for number, groups, at in ((3, green, made), (2, blue, BEGIN - MINUTE))
        ]
        asked = {"serviceRevisionArns": [revision_arn(3), revision_arn(2)]}
        self.ecs.answers("describe_service_revisions", {"serviceRevisions": found}, asked)

    def groups(self, balancer=BALANCER):
        found = [{"TargetGroupArn": arn, "LoadBalancerArns": [balancer]} for arn in (BLUE, GREEN)]
        asked = {"TargetGroupArns": [GREEN, BLUE]}
        self.elb.add_response("describe_target_groups", {"TargetGroups": found}, asked)

    def figures(self, values, status="Complete"):
        """CloudWatch has these: of the first group, which is blue, and of the second, by minutes before the end."""
        results = [
            {
                "Id": name,
                "Timestamps": [END - before * MINUTE for before in points],
                "Values": [float(value) for value in points.values()],
                "StatusCode": status,
            }
            for name, points in values.items()
        ]
        asked = {"MetricDataQueries": ANY, "StartTime": BEGIN - 5 * MINUTE, "EndTime": END}
        self.cloudwatch.add_response("get_metric_data", {"MetricDataResults": results}, asked)

    def measured(self, target=TARGET):
        with self.ecs.stub, self.elb, self.cloudwatch:
            found = measure_revisions(Sources(self.clients, None, None), target, PAIR, NOW)
            for stub in (self.ecs.stub, self.elb, self.cloudwatch):
                stub.assert_no_pending_responses()
        return found


@pytest.fixture
def aws():
    return Aws()


WELL = {"healthy0": {1: 2}, "healthy1": {1: 2}}


def test_each_release_has_the_figures_of_the_target_group_that_ecs_says_is_its_own(aws):
    aws.resolves([GREEN], [BLUE])
    aws.groups()
    aws.figures(
        {
            "requests0": dict.fromkeys(range(1, 6), 4000),
            "errors0": {1: 20},
            "p950": {5: 0.12},
            "requests1": {2: 600, 1: 560},
            "errors1": {1: 10},
            "refused1": {1: 40},
            "p951": {5: 0.31},
            "own0x0": {1: 7},
            **WELL,
        }
    )
    found = aws.measured()
    assert found.coming.brief == (
        "4.2 % of 1,200 requests failed, 40 connections refused, 2 of 2 targets healthy, p95 0.31s"
    )
    assert found.old.brief == "0.1 % of 20,000 requests failed, 2 of 2 targets healthy, p95 0.12s"
    assert (found.coming.target_groups, found.old.target_groups) == (
        ("targetgroup/green/9",),
        ("targetgroup/blue/b",),
    )
    assert found.together
    assert found.lines[0].endswith("p95 0.31s (02:55:00 to 02:57:00 UTC)")
    assert "GetMetricData AWS/ApplicationELB of targetgroup/blue/b, targetgroup/green/9" in found.old.query


def test_requests_that_another_release_had_in_the_same_group_are_not_counted(aws):
    aws.resolves([GREEN], [BLUE])
    aws.groups()
    before = {5: 900, 4: 900}  # of the release before the last, which had the group too
    aws.figures(
        {
            "requests0": {1: 4000},
            "requests1": {**before, 2: 60, 1: 60},
            "errors1": before,
            "p951": {5: 9.0},
            **WELL,
        }
    )
    found = aws.measured()
    assert (found.coming.requests, found.coming.share, found.coming.p95) == (120, 0.0, None)


def test_where_all_traffic_is_shifted_at_once_one_answers_after_the_other(aws):
    aws.resolves([GREEN], [BLUE])
    aws.groups()
    aws.figures({"requests0": {5: 400, 4: 400, 3: 400, 2: 90}, "requests1": {2: 10, 1: 400}, **WELL})
    found = aws.measured()
    assert (found.coming.requests, found.old.requests, found.together) == (410, 1290, False)


def test_too_few_requests_say_nothing(aws):
    aws.resolves([GREEN], [BLUE])
    aws.groups()
    aws.figures({"requests0": {1: 4000}, "requests1": {1: 3}, "errors1": {1: 3}, **WELL})
    found = aws.measured()
    assert (found.old.known, found.coming.known) == (True, False)
    assert found.coming.why == "3 requests in 2m, 50 are needed, from 02:55:00 to 02:57:00 UTC"


def test_what_is_younger_than_the_newest_figures_is_not_known(aws):
    aws.resolves([GREEN], [BLUE], made=END + MINUTE)
    aws.groups()
    aws.figures({"requests0": {1: 4000}, **WELL})
    assert aws.measured().coming.why == "CloudWatch has published nothing since 02:58:00 UTC yet"


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_figures_that_are_not_complete_are_not_known(aws, status):
    aws.resolves([GREEN], [BLUE])
    aws.groups()
    aws.figures({"requests0": {1: 4000}, "requests1": {1: 4000}}, status)
    found = aws.measured()
    why = f"CloudWatch answered {status}: not every figure could be read"
    assert (found.coming.why, found.old.why) == (why, why)
    assert found.lines == (f"the figures of each release are not known: {why}",)


@pytest.mark.parametrize(
    ("green", "blue", "why"),
    [([], [], NO_GROUP), ([GREEN], [], NO_GROUP), ([GREEN], [GREEN], ONE_GROUP)],
)
def test_without_a_group_of_its_own_nothing_is_known_of_a_release(aws, green, blue, why):
    aws.resolves(green, blue)
    found = aws.measured()
    assert (found.coming.why, found.old.why) == (why, why)


def test_a_network_load_balancer_counts_no_requests(aws):
    aws.resolves([GREEN], [BLUE])
    aws.groups(NETWORK)
    assert aws.measured().lines == (f"the figures of each release are not known: {NOT_COUNTED}",)


def test_a_catalog_without_load_balancers_as_evidence_asks_for_nothing(aws):
    assert aws.measured(a_target(evidence=("prometheus",))).old.why == NOT_ASKED


def test_a_missing_permission_is_said(aws):
    aws.resolves([GREEN], [BLUE])
    aws.groups()
    aws.cloudwatch.add_client_error("get_metric_data", "AccessDenied", "not allowed", 403)
    found = aws.measured()
    assert (found.coming.quality, found.old.quality) == ("error", "error")
    assert "read the figures of requests from CloudWatch" in found.lines[0]


def test_a_part_of_a_minute_that_another_release_may_have_had_does_not_count():
    window = published(VERIFY, END)
    asked = RevisionFigures(
        quality="no-data", source="load-balancer", query="q", at=END, revision=running(3), wanted=2
    )
    group = GroupFigures(requests=points(70, 80))
    found = figures_of(asked, Figures(groups=(group,)), window, END - MINUTE - timedelta(seconds=1), 50)
    assert (found.requests, found.begin) == (80, END - MINUTE)


def points(*values):
    return tuple(
        ((END - (len(values) - place) * MINUTE).timestamp(), float(value))
        for place, value in enumerate(values)
    )


def test_a_report_cites_the_figures_of_each_release():
    errors = errors_read().model_copy(update={"revisions": revisions_read(0.3)})
    cited = {item.what: item.said for item in citations(errors)}
    assert cited["revisions coming"].startswith("30.0 % of 1,000 requests failed")
    assert cited["revisions old"].startswith("0.0 % of 1,000 requests failed")
