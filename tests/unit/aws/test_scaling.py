"""Scaling out and taking it back: once, and never over what somebody else set meanwhile."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from botocore.stub import Stubber
from temporalio.testing import ActivityEnvironment

from activities.autoscaling.activities import ScalingActivities
from runbook_model.catalog.service_policies import Scale
from runbook_model.errors import DriftedError, PolicyError
from runbook_model.releases.capacity import Capacity
from runbook_model.reports import Outcome
from runbook_model.sizes import RestoreCapacity, ScaledOut, ScaleOut
from tests.aws_answers import HERE, Ecs, service, services
from tests.observing import a_target
from workflows.decisions.scaling import plan_scale_out

if TYPE_CHECKING:
    from runbook_model.catalog.target import Target

TARGET = a_target(service="shop", cluster="prod", ecs_service="shop")
AT_LEAST_TWO = TARGET.model_copy(update={"scale": Scale(min=2)})
TWO = Capacity(desired=2, running=2)
BOUNDED = Capacity(desired=2, running=2, minimum=2, maximum=4)
SET = {"cluster": "prod", "service": "shop"}


class Aws(Ecs):
    """A service with so many tasks, and autoscaling's bounds where it has any; every change must be expected."""

    def __init__(self) -> None:
        super().__init__()
        self.autoscaling = Stubber(self.clients.autoscaling(HERE))

    def has(self, desired: int, bounds: tuple[int, int] | None = None) -> None:
        """The next look sees this."""
        self.answers("describe_services", services(service(desiredCount=desired, runningCount=desired)))
        target = {
            "ServiceNamespace": "ecs", "ResourceId": "service/prod/shop", "RoleARN": "arn:aws:iam::1:role/scaler",
            "ScalableDimension": "ecs:service:DesiredCount", "CreationTime": 0,
        }  # fmt: skip
        found = [target | {"MinCapacity": bounds[0], "MaxCapacity": bounds[1]}] if bounds else []
        self.autoscaling.add_response("describe_scalable_targets", {"ScalableTargets": found})

    def gets_count(self, desired: int) -> None:
        self.answers("update_service", {"service": service()}, SET | {"desiredCount": desired})

    def gets_bounds(self, low: int, high: int) -> None:
        expected = {
            "ServiceNamespace": "ecs", "ResourceId": "service/prod/shop",
            "ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": low, "MaxCapacity": high,
        }  # fmt: skip
        self.autoscaling.add_response("register_scalable_target", {}, expected)

    @contextmanager
    def asked_for_exactly_this(self):
        with super().asked_for_exactly_this(), self.autoscaling:
            yield
            self.autoscaling.assert_no_pending_responses()


@pytest.fixture
def aws():
    return Aws()


def out(aws: Aws, was: Capacity, to: int, *, attempt: int = 1) -> Capacity:
    """Scale out as Temporal would at this attempt."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt, heartbeat_details=[None])
    change = ScaleOut(target=TARGET, was=was, to=to)
    return environment.run(ScalingActivities(aws.clients).scale_out, change)


def back(aws: Aws, was: Capacity, ours: Capacity, target: Target = TARGET):
    change = RestoreCapacity(target=target, runs=(), found=ScaledOut(was=was, ours=ours))
    return ActivityEnvironment().run(ScalingActivities(aws.clients).restore_capacity, change)


class TestScalingOut:
    def test_sets_the_count_where_nothing_scales_by_itself(self, aws):
        aws.has(2)
        aws.gets_count(5)
        with aws.asked_for_exactly_this():
            assert out(aws, TWO, 5).desired == 5

    def test_raises_the_bounds_of_autoscaling_whatever_the_count_is_by_now(self, aws):
        aws.has(3, (2, 4))
        aws.gets_bounds(5, 5)
        with aws.asked_for_exactly_this():
            ours = out(aws, BOUNDED, 5)
        assert (ours.desired, ours.minimum, ours.maximum) == (5, 5, 5)

    @pytest.mark.parametrize("theirs", [0, 1, 3, 5, 8])
    def test_a_count_that_somebody_else_set_meanwhile_is_left_alone(self, aws, theirs):
        aws.has(theirs)
        with (
            aws.asked_for_exactly_this(),
            pytest.raises(DriftedError, match="leaves it as it is") as raised,
        ):
            out(aws, TWO, 5)
        assert raised.value.certainly_not_made

    @pytest.mark.parametrize("theirs", [(3, 4), (5, 5), (6, 12), (0, 0)])
    def test_bounds_that_somebody_else_set_meanwhile_are_left_alone(self, aws, theirs):
        aws.has(2, theirs)
        with aws.asked_for_exactly_this(), pytest.raises(DriftedError, match="leaves it as it is"):
            out(aws, BOUNDED, 5)

    @pytest.mark.parametrize(("was", "bounds"), [(TWO, (2, 4)), (BOUNDED, None)])
    def test_autoscaling_that_came_or_went_meanwhile_is_left_alone(self, aws, was, bounds):
        aws.has(2, bounds)
        with aws.asked_for_exactly_this(), pytest.raises(DriftedError, match="leaves it as it is"):
            out(aws, was, 5)

    @pytest.mark.parametrize(("was", "bounds"), [(TWO, None), (BOUNDED, (5, 5))])
    def test_what_an_earlier_attempt_set_is_not_set_again(self, aws, was, bounds):
        aws.has(5, bounds)
        with aws.asked_for_exactly_this():
            assert out(aws, was, 5, attempt=2).desired == 5

    def test_an_attempt_after_one_that_changed_nothing_sets_it(self, aws):
        aws.has(2)
        aws.gets_count(5)
        with aws.asked_for_exactly_this():
            assert out(aws, TWO, 5, attempt=2).desired == 5

    @pytest.mark.parametrize("to", [0, 1, 2, 11, 1000])
    def test_no_count_is_set_that_is_not_more_than_there_is_and_within_the_catalogs_maximum(self, aws, to):
        aws.has(2)
        with aws.asked_for_exactly_this(), pytest.raises(PolicyError, match="10 at most") as raised:
            out(aws, TWO, to)
        assert raised.value.certainly_not_made


class TestTakingBack:
    def test_puts_the_count_back_that_was_before(self, aws):
        aws.has(5)
        aws.gets_count(2)
        with aws.asked_for_exactly_this():
            assert back(aws, TWO, TWO.raised_to(5)).done

    def test_puts_the_bounds_back_that_were_before(self, aws):
        aws.has(5, (5, 5))
        aws.gets_bounds(2, 4)
        with aws.asked_for_exactly_this():
            assert back(aws, BOUNDED, BOUNDED.raised_to(5)).done

    @pytest.mark.parametrize(("was", "desired", "bounds"), [(TWO, 7, None), (BOUNDED, 7, (7, 9))])
    def test_leaves_alone_what_somebody_else_set_since(self, aws, was, desired, bounds):
        aws.has(desired, bounds)
        with aws.asked_for_exactly_this():
            taken = back(aws, was, was.raised_to(5))
        assert (taken.done, taken.summary[:11]) == (False, "not changed")

    @pytest.mark.parametrize(("was", "becomes"), [(0, 2), (1, 2), (2, 2), (3, 3)])
    def test_never_goes_below_the_catalogs_minimum_and_never_to_zero(self, aws, was, becomes):
        before = Capacity(desired=was, running=was)
        aws.has(5)
        aws.gets_count(becomes)
        with aws.asked_for_exactly_this():
            assert back(aws, before, before.raised_to(5), AT_LEAST_TWO).done

    def test_changes_nothing_where_no_history_says_what_was_before(self, aws):
        change = RestoreCapacity(target=TARGET, runs=())
        with aws.asked_for_exactly_this():
            taken = ActivityEnvironment().run(ScalingActivities(aws.clients).restore_capacity, change)
        assert (taken.done, "set it by hand" in taken.summary) == (False, True)


def test_a_service_that_somebody_stopped_is_not_scaled_out():
    ending = plan_scale_out(TARGET, Capacity(desired=0, running=0), 5, ())
    assert ending.outcome is Outcome.REFUSED
    assert "its desired count is 0: somebody stopped it" in ending.summary
