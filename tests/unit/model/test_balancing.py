"""What load balancers' figures in CloudWatch say, and how sources are held against each other."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from botocore.stub import ANY, Stubber

from activities.doctor.looking import look
from activities.doctor.service import ServiceLook, read_balancers
from activities.measuring.balanced import Balanced, measure_load
from activities.measuring.instruments import Instruments
from activities.measuring.requests import Measured
from activities.measuring.sources import Sources
from runbook_model.catalog.service_policies import Verify
from runbook_model.measured.balancing import Figures, GroupFigures, errors_of, p95_of
from runbook_model.measured.measurements import Measurement, cross_checked, error_reading
from runbook_model.measured.publishing import publication_delay, published
from runbook_model.measured.readings import Reading, Sample, baseline_since, is_decided, latest_end
from tests.aws_answers import HERE, Ecs, service
from tests.observing import NOW, B, E, G, N, a_target, an_observation, at, client, seconds

GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop/0123456789abcdef"
OTHER_GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/shop-2/0123456789abcdef"
RULE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/shop/1/2/3"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/front/fedcba9876543210"
MINUTES = Verify(rate_window=timedelta(minutes=5))
WINDOW = published(MINUTES, NOW)
ASKED = Measurement(quality="no-data", source="load-balancer", query="q", at=NOW, window=timedelta(minutes=5))


def points(*values, end=NOW, step=60):
    """Values of the last minutes, oldest first; None where CloudWatch has no point."""
    start = end.timestamp() - step * len(values)
    return tuple((start + step * n, float(value)) for n, value in enumerate(values) if value is not None)


def figures(requests=(100,) * 5, errors=(), refused=(), healthy=(2,) * 5, unhealthy=(0,) * 5, **more):
    group = GroupFigures(
        requests=points(*requests),
        errors=points(*errors),
        refused=points(*refused),
        healthy=points(*healthy),
        unhealthy=points(*unhealthy),
        p95=more.pop("p95", ()),
    )
    return Figures(groups=(group,), **more)


def judged(found, desired=2, least=50):
    measured = errors_of(ASKED, found, WINDOW, desired, least)
    return error_reading(measured, None, a_target(), NOW)


@pytest.mark.parametrize(
    ("found", "quality", "detail"),
    [
        (figures(), G, "0.0 % of 500 requests failed (limit 10 %)"),
        (figures(errors=(1, None, None, None, None)), G, "0.2 % of 500 requests failed (limit 10 %)"),
        (figures(errors=(20,) * 5), B, "20.0 % of 500 requests failed (limit 10 %)"),
        (figures(requests=(2,) * 5), N, "10 requests in 5m, 50 are needed"),
        (figures(requests=()), N, "0 requests in 5m, 50 are needed"),
        (
            figures(requests=(), refused=(20,) * 5),
            B,
            "100.0 % of 100 requests failed (limit 10 %), 100 connections refused",
        ),
        (
            figures(refused=(2,) * 5),
            B,
            "2.0 % of 510 requests failed (limit 10 %), 10 connections refused",
        ),
        (figures(refused=(1, None, None, None, None)), G, "0.2 % of 501 requests failed (limit 10 %)"),
        (
            figures(unhealthy=(0, 0, 0, 0, 1)),
            B,
            "0.0 % of 500 requests failed (limit 10 %), 1 target unhealthy",
        ),
        (figures(unhealthy=(1, 1, 1, 1, 0)), G, "0.0 % of 500 requests failed (limit 10 %)"),
        (
            figures(healthy=(2, 2, 2, 2, 1)),
            N,
            "0.0 % of 500 requests failed (limit 10 %), 1 of 2 targets healthy",
        ),
        (
            figures(healthy=()),
            N,
            "0.0 % of 500 requests failed (limit 10 %), CloudWatch does not say how many targets are healthy",
        ),
        (Figures(why="CloudWatch answered PartialData"), N, "CloudWatch answered PartialData"),
    ],
)
def test_good_needs_few_failures_no_refused_connections_and_the_healthy_targets_that_are_wanted(
    found, quality, detail
):
    reading = judged(found)
    assert reading.quality == quality
    assert reading.detail.startswith(detail)
    assert found.why or reading.detail.endswith(
        "from 02:55:00 to 03:00:00 UTC"
    )  # it may be older than the release


def test_errors_of_the_load_balancer_itself_are_shown_and_count_for_no_service():
    reading = judged(figures(own_errors=points(300, 300)))
    assert reading.quality is G
    assert reading.detail.endswith("the load balancer answered 600 requests with 502, 503 or 504 itself")


def test_only_what_lies_in_the_window_counts():
    early = points(50, 50, end=NOW - timedelta(minutes=5))
    found = figures()
    group = found.groups[0].model_copy(update={"errors": early})
    assert errors_of(ASKED, Figures(groups=(group,)), WINDOW, 2, 50).failed == 0


def test_groups_are_added_up_and_one_that_blue_green_left_idle_does_not_count_for_the_health():
    busy, idle = figures().groups[0], GroupFigures(healthy=points(0, 0, 0, 0, 0))
    measured = errors_of(ASKED, Figures(groups=(busy, idle)), WINDOW, 2, 50)
    assert (measured.requests, measured.unsure) == (500, "")


class TestPercentiles:
    def test_the_percentile_is_one_of_the_whole_window(self):
        p95 = ((WINDOW.begin.timestamp(), 0.7),)
        assert p95_of(ASKED, figures(p95=p95), WINDOW, None, 50).value == 0.7

    def test_a_period_that_cloudwatch_began_elsewhere_counts_if_it_had_ended(self):
        elsewhere = WINDOW.begin.timestamp() - 120
        p95 = ((elsewhere, 0.4), (elsewhere + 300, 9.0))
        assert p95_of(ASKED, figures(p95=p95), WINDOW, None, 50).value == 0.4

    def test_one_that_began_before_what_counts_says_nothing(self):
        p95 = ((WINDOW.begin.timestamp() - 120, 0.4),)
        measured = p95_of(ASKED, figures(p95=p95), WINDOW, WINDOW.begin, 50)
        assert (measured.value, measured.why) == (None, "CloudWatch has no p95 of the whole window")

    def test_of_two_groups_the_slower_one_counts(self):
        begin = WINDOW.begin.timestamp()
        quick, slow = (figures(p95=((begin, seconds),)).groups[0] for seconds in (0.1, 2.0))
        assert p95_of(ASKED, Figures(groups=(quick, slow)), WINDOW, None, 50).value == 2.0

    def test_too_few_requests_have_none(self):
        p95 = ((WINDOW.begin.timestamp(), 0.7),)
        assert p95_of(ASKED, figures(requests=(1,), p95=p95), WINDOW, None, 50).value is None


class TestWindows:
    def test_a_window_is_whole_minutes_and_three_at_least(self):
        moment = datetime(2026, 3, 1, 3, 7, 42, tzinfo=UTC)
        found = published(Verify(rate_window=timedelta(seconds=90)), moment)
        assert (found.begin, found.end) == (moment.replace(minute=4, second=0), moment.replace(second=0))

    def test_shorter_windows_than_a_minute_are_of_five_seconds(self):
        found = published(Verify(rate_window=timedelta(seconds=10)), NOW + seconds(7))
        assert (found.span, found.end, found.period) == (seconds(20), NOW + seconds(5), seconds(5))

    @pytest.mark.parametrize("window", [1, 10, 29, 31, 59, 60, 61, 300])
    def test_a_percentile_can_be_asked_for_over_every_window(self, window):
        span = published(Verify(rate_window=seconds(window)), NOW).span.total_seconds()
        assert span in {20, 30} or span % 60 == 0
        assert span >= window

    def test_before_a_change_the_last_window_that_is_published_counts(self):
        target = a_target(evidence=("load-balancer",), verify=MINUTES)
        window = published(MINUTES, NOW + seconds(59) - MINUTES.lag)
        assert baseline_since(target, NOW + seconds(59)) < window.begin

    def test_verification_waits_as_long_as_figures_may_take(self):
        target = a_target(evidence=("load-balancer",), verify=MINUTES)
        alone = a_target(evidence=("prometheus",), verify=MINUTES)
        assert latest_end(target, NOW) - latest_end(alone, NOW) == publication_delay(MINUTES)
        assert publication_delay(MINUTES) == timedelta(minutes=10)


def reading(quality, source="prometheus", **more):
    return Reading(
        kind="error-rate", quality=quality, detail=f"{source} words", source=source, at=NOW, **more
    )


class TestCrossChecks:
    @pytest.mark.parametrize(
        ("first", "others", "quality"),
        [
            (G, [G], G),
            (B, [B], B),
            (G, [B], N),
            (B, [G], N),
            (G, [N], G),
            (G, [E], G),
            (N, [B], N),
            (G, [], G),
        ],
    )
    def test_good_and_bad_need_every_source_that_has_data(self, first, others, quality):
        checked = cross_checked(reading(first), [reading(item, "load-balancer") for item in others])
        assert checked.quality is quality

    def test_both_figures_are_shown(self):
        same = cross_checked(reading(G), [reading(G, "load-balancer")])
        assert same.detail == "prometheus words; load-balancer: load-balancer words"
        contrary = cross_checked(reading(G), [reading(B, "load-balancer")])
        assert contrary.detail == (
            "sources contradict each other: prometheus: prometheus words; load-balancer: load-balancer words"
        )

    def test_a_good_reading_waits_for_a_source_that_has_nothing_yet(self):
        verify = Verify(bake=seconds(4), consecutive=3)
        waiting = cross_checked(reading(G), [], waiting=["load-balancer"])
        good = tuple(Sample(at=at(n), readings=(waiting,)) for n in (0, 2, 4))
        assert not is_decided(good, a_target(verify=verify))
        whole = (*good, Sample(at=at(6), readings=(cross_checked(reading(G), []),)))
        assert is_decided(whole, a_target(verify=verify))

    def test_a_contradiction_that_lasts_five_minutes_longer_than_the_bake_ends_the_verification(self):
        target = a_target(verify=Verify(bake=timedelta(minutes=1), rate_window=timedelta(minutes=1)))
        contrary = cross_checked(reading(G), [reading(B, "load-balancer")])
        row = tuple(Sample(at=at(15 * n), readings=(contrary,)) for n in range(25))
        assert not is_decided(row[:-1], target)
        assert is_decided(row, target)


class Aws:
    """The product's clients, whose ECS, ELB and CloudWatch give the answers of a test and refuse every other call."""

    def __init__(self, *, groups=True, pair=False, status="Complete", values=None, desired=2):
        self.ecs = Ecs()
        self.clients = self.ecs.clients
        self.elb, self.cloudwatch = Stubber(self.clients.elb(HERE)), Stubber(self.clients.cloudwatch(HERE))
        balancers = (
            [{"targetGroupArn": GROUP, "containerName": "app", "containerPort": 8080}] if groups else []
        )
        shifting = {"deploymentConfiguration": {"strategy": "BLUE_GREEN"}} if pair else {}
        if pair:
            balancers[0]["advancedConfiguration"] = {
                "alternateTargetGroupArn": OTHER_GROUP,
                "productionListenerRule": RULE,
            }
        found = service(loadBalancers=balancers, desiredCount=desired, **shifting)
        self.ecs.answers("describe_services", {"services": [found]})
        if groups:
            about = [{"TargetGroupArn": GROUP, "LoadBalancerArns": [BALANCER]}]
            self.elb.add_response(
                "describe_target_groups", {"TargetGroups": about}, {"TargetGroupArns": [GROUP]}
            )
        self.status, self.values = status, values or {}

    def figures(self, begin, end):
        results = [
            {"Id": name, "Timestamps": [begin], "Values": [value], "StatusCode": "Complete"}
            for name, value in self.values.items()
        ]
        results.append({"Id": "refused0", "Timestamps": [], "Values": [], "StatusCode": self.status})
        asked = {"MetricDataQueries": ANY, "StartTime": begin - (end - begin), "EndTime": end}
        self.cloudwatch.add_response("get_metric_data", {"MetricDataResults": results}, asked)

    async def error_rate(self, look, now):
        with self.ecs.stub, self.elb, self.cloudwatch:
            found = await Instruments(Sources(self.clients, None, None)).error_rate(look, now)
            for stub in (self.ecs.stub, self.elb, self.cloudwatch):
                stub.assert_no_pending_responses()
        return found


ALONE = {"evidence": ("load-balancer",), "url": None, "prometheus_url": None, "release_label": None}
FIGURES = {"requests0": 400.0, "errors0": 8.0, "healthy0": 2.0, "unhealthy0": 0.0}


async def look_at(aws, *, since=NOW, now=None, **changes):
    target = a_target(**{**ALONE, "verify": MINUTES, **changes})
    return await aws.error_rate(an_observation(target=target, since=since), now or NOW + timedelta(minutes=8))


async def test_a_service_without_configuration_is_measured_at_the_target_groups_that_it_has():
    aws = Aws(values=FIGURES)
    aws.figures(NOW, NOW + timedelta(minutes=5))
    found = await look_at(aws)
    assert (found.quality, found.source) == (G, "load-balancer")
    assert found.detail == "2.0 % of 400 requests failed (limit 10 %), from 03:00:00 to 03:05:00 UTC"
    assert (
        "GetMetricData AWS/ApplicationELB of targetgroup/shop/0123456789abcdef, 03:00:00 to 03:05:00"
        in found.query
    )


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
async def test_figures_that_are_not_complete_are_no_data(status):
    aws = Aws(values=FIGURES, status=status)
    aws.figures(NOW, NOW + timedelta(minutes=5))
    found = await look_at(aws)
    assert (found.quality, found.detail) == (
        N,
        f"CloudWatch answered {status}: not every figure could be read",
    )


async def test_what_happened_before_the_observation_is_not_asked_for():
    found = await look_at(Aws(), now=NOW + timedelta(minutes=7, seconds=59))
    assert (found.quality, found.detail) == (
        N,
        "CloudWatch has not published a whole window since 03:00:00 UTC",
    )


@pytest.mark.parametrize(("later", "known"), [(3, True), (2, False)])
async def test_a_window_of_the_past_that_is_shorter_than_cloudwatch_s_is_known_once_it_is_published(
    later, known
):
    verify = Verify(rate_window=timedelta(minutes=1))
    aws, target = Aws(values=FIGURES), a_target(**ALONE, verify=verify)
    end = NOW + timedelta(minutes=2 if known else 5, seconds=40)
    if known:
        aws.figures(NOW - timedelta(minutes=1), NOW + timedelta(minutes=2))
    now = NOW + timedelta(minutes=later + 3)
    with aws.ecs.stub, aws.elb, aws.cloudwatch:
        found = await Balanced(Sources(aws.clients, None, None), target, now).errors(end)
    assert (found.value is not None) is known
    assert known or found.why == "CloudWatch has not published that window yet"


async def test_a_service_without_a_target_group_has_no_such_source():
    found = await look_at(Aws(groups=False))
    assert found.quality is N
    assert "gives no url to scrape" in found.detail


async def test_who_may_not_describe_target_groups_reads_which_call_was_refused():
    denied = Aws()
    denied.elb = Stubber(denied.clients.elb(HERE))
    denied.elb.add_client_error("describe_target_groups", "AccessDenied", "not allowed", 403)
    found = await look_at(denied)
    assert found.quality is E
    assert "describe the target groups" in found.detail


class TestHealth:
    async def health(self, states, *, desired=2, target=None, answer=None):
        aws = Aws(desired=desired)
        aws.elb = Stubber(aws.clients.elb(HERE))
        described = [
            {"Target": {"Id": "10.0.0.1"}, "TargetHealth": {"State": state, "Description": f"{state} words"}}
            for state in states
        ]
        answers = {"TargetHealthDescriptions": described}
        aws.elb.add_response("describe_target_health", answers, {"TargetGroupArn": GROUP})
        look = an_observation(target=target or a_target(**ALONE))
        http = client(answer) if answer else None
        with aws.ecs.stub, aws.elb:
            return await Instruments(Sources(aws.clients, None, http)).health(look, NOW)

    @pytest.mark.parametrize(
        ("states", "quality", "detail"),
        [
            (["healthy", "healthy"], G, "2 of 2 targets healthy"),
            (["healthy", "healthy", "draining"], G, "2 of 2 targets healthy"),
            (["healthy", "unhealthy"], B, "1 of 2 targets healthy, 1 unhealthy (unhealthy words)"),
            (["healthy", "initial"], N, "1 of 2 targets healthy, 1 starting"),
            (["healthy"], B, "1 of 2 targets healthy, 0 starting"),
            ([], B, "0 of 2 targets healthy, 0 starting"),
        ],
    )
    async def test_without_a_url_the_health_of_the_targets_is_the_service_s(self, states, quality, detail):
        found = await self.health(states)
        assert (found.kind, found.quality, found.detail, found.decides) == ("health", quality, detail, True)

    async def test_where_it_may_not_be_asked_for_others_decide(self):
        aws = Aws()
        aws.elb = Stubber(aws.clients.elb(HERE))
        aws.elb.add_client_error("describe_target_health", "AccessDenied", "not allowed", 403)
        with aws.ecs.stub, aws.elb:
            found = await Instruments(Sources(aws.clients, None, None)).health(
                an_observation(target=a_target(**ALONE)), NOW
            )
        assert (found.quality, found.decides) == (N, False)
        assert "DescribeTargetHealth" in found.detail or "target health" in found.detail

    async def test_where_the_url_cannot_be_reached_from_here_the_targets_say_it_too(self):
        def unreachable(_request):
            raise httpx.ConnectTimeout("no route")

        found = await self.health(["healthy", "healthy"], target=a_target(), answer=unreachable)
        assert found.quality is G
        assert "2 of 2 targets healthy: could not reach" in found.detail


class TestHealthWhileTwoReleasesRun:
    """The bad release's tasks stand by, unhealthy, in the bake time of the deployment that replaced it."""

    @pytest.mark.parametrize(
        ("sick", "quality", "said"),
        [
            (figures(requests=(0,) * 5, healthy=(0,) * 5, unhealthy=(2,) * 5), G, ""),
            (figures(requests=(), healthy=(0,) * 5, unhealthy=(2,) * 5), G, ""),
            (figures(requests=(1,) * 5, healthy=(0,) * 5, unhealthy=(2,) * 5), B, ", 2 targets unhealthy"),
            (
                figures(requests=(), refused=(1,), healthy=(0,), unhealthy=(2,) * 5),
                B,
                ", 2 targets unhealthy",
            ),
        ],
        ids=["no requests", "none published", "some requests", "refused connections"],
    )
    def test_figures_count_of_the_groups_that_get_requests(self, sick, quality, said):
        found = judged(Figures(groups=(*figures().groups, *sick.groups)))
        assert found.quality is quality
        assert f"requests failed (limit 10 %){said}, from" in found.detail

    async def health(self, rules):
        aws = Aws(pair=True)
        aws.elb = Stubber(aws.clients.elb(HERE))
        rules(aws.elb)
        states = {GROUP: ["unhealthy", "unhealthy"], OTHER_GROUP: ["healthy", "healthy"]}
        asked = [OTHER_GROUP] if rules is all_to_the_other else [GROUP, OTHER_GROUP]
        for arn in asked:
            health = [{"TargetHealth": {"State": state}} for state in states[arn]]
            aws.elb.add_response(
                "describe_target_health", {"TargetHealthDescriptions": health}, {"TargetGroupArn": arn}
            )
        with aws.ecs.stub, aws.elb:
            look = an_observation(target=a_target(**ALONE))
            return await Instruments(Sources(aws.clients, None, None)).health(look, NOW)

    async def test_those_count_that_users_reach(self):
        found = await self.health(all_to_the_other)
        assert (found.quality, found.detail) == (G, "2 of 2 targets healthy")

    async def test_all_count_where_the_weights_may_not_be_read(self):
        found = await self.health(refused_rules)
        assert (found.quality, found.detail) == (B, "2 of 2 targets healthy, 2 unhealthy")


def all_to_the_other(elb):
    weights = [{"TargetGroupArn": GROUP, "Weight": 0}, {"TargetGroupArn": OTHER_GROUP, "Weight": 100}]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
    elb.add_response("describe_rules", {"Rules": [{"Actions": actions}]}, {"RuleArns": [RULE]})


def refused_rules(elb):
    elb.add_client_error("describe_rules", "AccessDenied", "not allowed", 403)


class TestDoctor:
    async def check(self, aws, **changes):
        target = a_target(**changes)
        with aws.ecs.stub, aws.elb, aws.cloudwatch:
            given = ServiceLook(Sources(aws.clients, None, None), target)
            (found,) = await look({"load-balancer": read_balancers}, given, target)
        return found

    async def test_it_reads_the_figures_and_the_health_of_the_targets(self):
        aws = Aws()
        results = [{"Id": "requests0", "Timestamps": [], "Values": [], "StatusCode": "Complete"}]
        aws.cloudwatch.add_response("get_metric_data", {"MetricDataResults": results})
        healthy = [{"TargetHealth": {"State": "healthy"}}] * 2
        aws.elb.add_response("describe_target_health", {"TargetHealthDescriptions": healthy})
        found = await self.check(aws, **ALONE)
        assert (found.ok, found.detail) == (True, "1 target group, 2 healthy targets; figures can be read")

    async def test_a_service_without_a_load_balancer_has_nothing_to_check(self):
        found = await self.check(Aws(groups=False), **ALONE)
        assert (found.ok, found.detail) == (
            None,
            "no application load balancer is in front of the service, nor Service Connect",
        )

    async def test_what_the_catalog_leaves_out_is_not_asked(self):
        assert (await self.check(Aws(), evidence=("prometheus",))).ok is None

    async def test_a_permission_that_is_missing_is_named(self):
        aws = Aws()
        aws.cloudwatch.add_client_error("get_metric_data", "AccessDenied", "not allowed", 403)
        found = await self.check(aws, **ALONE)
        assert (found.ok, "figures" in found.detail) == (False, True)


class TestDiagnosis:
    async def test_load_is_held_against_the_usual_by_cloudwatch_alone(self):
        aws = Aws()
        window = published(MINUTES, NOW - MINUTES.lag)
        counts = {window.begin - n * window.span: 3000 if n < 2 else 600 for n in range(14)}
        results = [
            {
                "Id": "requests0",
                "Timestamps": [*counts],
                "Values": [*counts.values()],
                "StatusCode": "Complete",
            }
        ]
        asked = {
            "MetricDataQueries": ANY,
            "StartTime": window.end - 14 * window.span,
            "EndTime": window.end,
        }
        aws.cloudwatch.add_response("get_metric_data", {"MetricDataResults": results}, asked)
        cpu = [
            {"Timestamp": NOW - n * timedelta(minutes=5), "Average": 90.0 if n < 2 else 30.0}
            for n in range(9)
        ]
        aws.cloudwatch.add_response("get_metric_statistics", {"Datapoints": cpu})
        with aws.ecs.stub, aws.elb, aws.cloudwatch:
            target = a_target(**ALONE, verify=MINUTES)
            load = await measure_load(Sources(aws.clients, None, None), target, NOW)
        assert (load.rate.value, load.usual_rate.value, load.growth) == (10.0, 2.0, 5.0)
        assert (load.cpu.value, load.usual_cpu.value) == (0.9, 0.3)

    @pytest.mark.parametrize(
        ("first", "later", "measures"),
        [
            (0.0, 0.3, "load-balancer"),
            (0.3, 0.0, "prometheus"),
            (0.0, 0.0, "prometheus"),
            (0.2, 0.3, "prometheus"),
        ],
    )
    def test_a_problem_needs_one_source_that_has_it(self, first, later, measures):
        earlier, other = (
            Measurement(quality="known", source=source, query="q", at=NOW, value=value, requests=500)
            for source, value in (("prometheus", first), ("load-balancer", later))
        )
        found = Measured(earlier, (other,)).worst(0.1)
        assert found.first.source == measures
        assert [item.source for item in found.others] == [
            item.source for item in (earlier, other) if item.source != measures
        ]
