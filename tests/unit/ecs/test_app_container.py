"""Which of a task's containers is the app: its image is the release, whatever runs next to it."""

import pytest

from activities.ecs.reading import read_release, read_service_state
from runbook_model.reports import Ending, Outcome
from tests.aws_answers import definition, service
from tests.ecs_facts import HOUR, a_history, a_release, bad, digest, with_a_sidecar
from tests.observing import a_target
from workflows.decisions.rollback.plan import RollbackPlan, moved_tag
from workflows.decisions.rollback.releases import plan_rollback
from workflows.decisions.scaling import plan_restart

TARGET = a_target(service="shop")
DAY = 24 * HOUR


def read(*containers, **wording):
    """Read a task definition of these containers, by name and whether they are essential."""
    described = definition(7)
    described["taskDefinition"]["containerDefinitions"] = [
        {"name": name, "image": f"{name}:1.0", "essential": essential} for name, essential in containers
    ]
    return read_release(described, "prod/shop", **wording)


AGENT, APP = ("datadog-agent", True), ("app", True)


class TestTheAppsContainer:
    def test_is_the_only_one(self):
        assert read(APP).container == "app"

    def test_is_what_the_catalog_says(self):
        assert read(AGENT, APP, named="app", balanced=("datadog-agent",)).container == "app"

    def test_is_otherwise_the_one_behind_the_load_balancer(self):
        assert read(AGENT, APP, balanced=("app",)).container == "app"

    def test_is_otherwise_the_only_essential_one(self):
        assert read(("log_router", False), APP).container == "app"

    def test_is_the_only_essential_one_where_two_are_behind_load_balancers(self):
        assert read(("admin", False), APP, balanced=("admin", "app")).container == "app"

    @pytest.mark.parametrize("wording", [{}, {"balanced": ("gone",)}, {"named": "gone"}])
    def test_is_not_guessed(self, wording):
        release = read(AGENT, APP, **wording)
        assert (release.container, release.unclear) == (None, ("datadog-agent", "app"))

    def test_is_read_from_the_services_load_balancers(self):
        balancers = [
            {"containerName": "app", "containerPort": 80},
            {"containerName": "app", "containerPort": 81},
        ]
        assert read_service_state(service(loadBalancers=balancers)).balanced == ("app",)


class TestARollbackOfWhatCannotBeKnown:
    def refused(self, target, **wording):
        current = read(AGENT, APP, **wording)
        decided = plan_rollback(target, a_history((a_release(1), DAY), (current, HOUR)), (), None)
        assert isinstance(decided, Ending)
        assert decided.outcome is Outcome.REFUSED
        return decided.error.line

    def test_is_refused_with_the_names_and_what_to_write(self):
        assert self.refused(TARGET) == (
            "shop:7 has several containers, and which one is the app's cannot be known: datadog-agent, app; "
            'add container = "…" to [services.shop.prod]'
        )

    def test_is_refused_where_the_catalog_names_a_container_that_is_not_there(self):
        target = TARGET.model_copy(update={"container": "web"})
        assert self.refused(target, named="web") == (
            'shop:7 has no container "web", but datadog-agent, app; correct container in [services.shop.prod]'
        )


class TestASidecar:
    def test_does_not_name_the_release(self):
        release = with_a_sidecar(a_release(7, tag="6.1.0"), "datadog-agent:7")
        assert (release.name, release.tag) == ("shop:7 (6.1.0)", "6.1.0")

    def test_of_another_digest_makes_no_other_release(self):
        first, other = (with_a_sidecar(a_release(7), seed=seed) for seed in (98, 99))
        assert first.same_as(other)
        assert (first.digests, first.fingerprint) == (other.digests, digest(7))

    def test_of_another_digest_makes_no_mark_void(self):
        marked = bad(with_a_sidecar(a_release(2), seed=98))
        later = with_a_sidecar(a_release(2), seed=99).model_copy(update={"marks": marked.marks})
        assert later.is_bad
        history = a_history(
            (with_a_sidecar(a_release(1)), DAY), (later, DAY), (with_a_sidecar(a_release(3)), HOUR)
        )
        plan = plan_rollback(TARGET, history, (), None)
        assert isinstance(plan, RollbackPlan)
        assert plan.after.revision == "shop:1"

    def test_whose_floating_tag_moved_makes_no_rollback_pin_its_release(self):
        history = a_history(
            (with_a_sidecar(a_release(1), seed=98), DAY), (with_a_sidecar(a_release(2)), HOUR)
        )
        plan = plan_rollback(TARGET, history, (), None)
        assert isinstance(plan, RollbackPlan)
        assert plan.way == "deploy"

    def test_voids_no_mark_that_was_made_when_all_images_counted(self):
        both = with_a_sidecar(a_release(2))
        earlier = bad(both.model_copy(update={"container": None}))
        assert both.model_copy(update={"marks": earlier.marks}).is_bad


class TestFreshTasksOfAFloatingTag:
    @pytest.mark.parametrize("tag", ["latest", "main", None])
    def test_are_said_in_the_plan_to_run_perhaps_other_code(self, tag):
        release = a_release(2, tag=tag or "x")
        if tag is None:
            image = release.images[0].model_copy(update={"name": "shop"})
            release = release.model_copy(update={"images": (image,)})
        plan = plan_restart(TARGET, a_history((release, DAY)), ())
        name = release.images[0].name
        assert plan.not_restored[-1] == (
            f"New tasks run what {name} points to at that time, which may be other code than {digest(2)} that runs now."
        )

    def test_are_said_so_of_any_tag_that_was_moved_before(self):
        history = a_history((a_release(2, seed=8), DAY), (a_release(2), HOUR))
        plan = plan_restart(TARGET, history, ())
        assert plan.not_restored[-1].startswith("New tasks run what shop:1.2.0 points to at that time")

    def test_are_said_of_a_version_to_be_what_it_points_to_then_for_any_tag_can_be_moved(self):
        plan = plan_restart(TARGET, a_history((a_release(2, tag="1.2.0"), DAY)), ())
        assert plan.not_restored[-1] == "New tasks run what shop:1.2.0 points to at that time."

    def test_are_not_said_so_of_a_digest(self):
        plan = plan_restart(TARGET, a_history((a_release(2, tag=f"latest@{digest(2)}"), DAY)), ())
        assert not any("points to at that time" in line for line in plan.not_restored)

    def test_are_distinguished_from_those_before_them_by_the_apps_digest_alone(self):
        before = with_a_sidecar(a_release(2, tag="latest"), seed=98)
        assert moved_tag(before, with_a_sidecar(a_release(2, tag="latest"), seed=99)) is None
        assert moved_tag(before, with_a_sidecar(a_release(2, tag="latest", seed=5))) == (
            f"The tag was moved: fresh tasks of shop:latest run {digest(5)}, before it was {digest(2)}."
        )
