from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_model.authority.shown import plan_hash
from runbook_model.catalog.service_policies import RollbackPolicy, Terraform
from runbook_model.releases.release import Judgement
from runbook_model.releases.shifting import Shifting
from runbook_model.reports import Ending, Outcome
from tests.ecs_facts import (
    HOUR,
    NOW,
    a_deployment,
    a_history,
    a_mark,
    a_release,
    bad,
    deployment_arn,
    digest,
    good,
    task_definition,
    with_a_sidecar,
)
from tests.observing import a_target
from workflows.decisions.rollback.plan import find_release
from workflows.decisions.rollback.releases import RollbackPlan, needs_more, plan_rollback
from workflows.decisions.scaling import plan_restart

DAY = 24 * HOUR
MINUTE = timedelta(minutes=1)
TARGET = a_target(cluster="prod", ecs_service="shop", service="shop")


def plan(history, *others, to=None, target=TARGET, tried=()) -> RollbackPlan:
    decided = plan_rollback(target, history, others, to, tried)
    assert isinstance(decided, RollbackPlan), decided
    return decided


def ending(history, *others, to=None, target=TARGET) -> Ending:
    decided = plan_rollback(target, history, others, to)
    assert isinstance(decided, Ending), decided
    return decided


def policy(**changes: object):
    return TARGET.model_copy(update={"rollback": RollbackPolicy(**changes)})


class TestLastKnownGood:
    def test_is_the_release_before_the_one_that_runs(self):
        made = plan(a_history((a_release(1), DAY), (a_release(2), HOUR)))
        assert (made.after, made.before, made.way) == (a_release(1), a_release(2), "deploy")
        assert made.needs_yes is None
        assert [call.action for call in made.calls] == ["UpdateService"]
        assert made.calls[0].parameters == {"cluster": "prod", "service": "shop", "taskDefinition": "shop:1"}

    def test_ran_as_long_as_the_catalog_wants(self):
        lives = (a_release(1), HOUR), (a_release(2), HOUR - MINUTE), (a_release(3), MINUTE)
        assert plan(a_history(*lives)).after.revision == "shop:1"
        assert plan(a_history(*lives), target=policy(soak=HOUR - MINUTE)).after.revision == "shop:2"

    def test_a_verified_release_counts_as_soaked(self):
        history = a_history((a_release(1), DAY), (good(a_release(2)), MINUTE), (a_release(3), MINUTE))
        made = plan(history)
        assert made.after.revision == "shop:2"
        assert made.because == ("shop:2 (1.2.0) was verified at 2026-03-01 03:00 UTC",)

    def test_is_not_a_release_that_is_marked_bad(self):
        history = a_history((a_release(1), DAY), (bad(a_release(2)), DAY), (a_release(3), HOUR))
        assert plan(history).after.revision == "shop:1"

    def test_is_found_behind_two_bad_releases_in_a_row(self):
        history = a_history((a_release(1), DAY), (bad(a_release(2)), DAY), (bad(a_release(3)), DAY))
        assert plan(history).after.revision == "shop:1"

    def test_is_not_what_runs_already_under_an_earlier_deployment(self):
        history = a_history((a_release(1), DAY), (a_release(2), DAY), (a_release(2), HOUR))
        assert plan(history).after.revision == "shop:1"

    def test_is_not_a_release_whose_deployment_failed(self):
        history = a_history((a_release(1), DAY), (a_release(2), DAY), (a_release(3), HOUR))
        failed = history.deployments[1].model_copy(update={"status": "ROLLBACK_FAILED"})
        deployments = (history.deployments[0], failed, history.deployments[2])
        assert plan(history.model_copy(update={"deployments": deployments})).after.revision == "shop:1"

    def test_is_not_what_this_run_has_tried(self):
        history = a_history((a_release(1), DAY), (a_release(2), DAY), (a_release(3), HOUR))
        assert plan(history, tried=(task_definition(2), task_definition(3))).after.revision == "shop:1"

    def test_going_further_back_than_a_verified_release_needs_a_yes(self):
        made = plan(a_history((a_release(1), DAY), (good(a_release(2)), HOUR)))
        assert made.after.revision == "shop:1"
        assert "shop:2 (1.2.0), was itself verified good at 2026-03-01 03:00 UTC" in (made.needs_yes or "")

    def test_an_unproven_revision_needs_a_yes(self):
        history = a_history((bad(a_release(4)), DAY), (a_release(5), HOUR))
        made = plan(history, a_release(6), bad(a_release(3)), a_release(2, seed=0))
        assert made.after.revision == "shop:2"
        assert "whether it ever ran well is unknown" in (made.needs_yes or "")

    def test_a_release_that_still_has_a_deployment_comes_before_other_revisions(self):
        history = a_history((a_release(4), MINUTE), (a_release(5), HOUR))
        old = a_deployment(1, task_definition(4), status="ACTIVE")
        history = history.model_copy(
            update={
                "service": history.service.model_copy(
                    update={"deployments": (*history.service.deployments, old)}
                )
            }
        )
        made = plan(history, a_release(3))
        assert made.after.revision == "shop:4"
        assert "still has a deployment" in (made.needs_yes or "")

    def test_without_any_the_run_is_refused_with_how_to_name_one(self):
        first_ever = ending(a_history((a_release(1), HOUR)))
        assert first_ever.outcome is Outcome.REFUSED
        assert first_ever.error is not None
        assert first_ever.error.kind == "policy"
        assert "name one with --to" in first_ever.summary


class TestMovedTags:
    HISTORY = a_history((a_release(7, tag="latest", seed=1), DAY), (a_release(7, tag="latest", seed=2), HOUR))

    def test_the_same_task_definition_with_other_images_is_another_release(self):
        made = plan(self.HISTORY)
        assert (made.before.digests, made.after.digests) == ((digest(2),), (digest(1),))

    def test_it_is_registered_again_pinned_by_digest(self):
        made = plan(self.HISTORY)
        assert made.way == "register"
        assert [call.action for call in made.calls] == ["RegisterTaskDefinition", "UpdateService"]
        assert made.calls[0].parameters["images"] == {"app": digest(1)}
        assert made.needs_yes is None

    def test_a_tag_that_another_revision_moved_is_pinned_too(self):
        history = a_history(
            (a_release(1, tag="latest", seed=1), DAY), (a_release(2, tag="latest", seed=2), HOUR)
        )
        assert plan(history).way == "register"

    def test_a_bad_mark_on_the_older_images_outlives_a_good_one_on_the_newer(self):
        marks = a_mark(Judgement.BAD, 1, at=NOW - DAY), a_mark(Judgement.GOOD, 2, at=NOW)
        older, newer = (a_release(7, tag="latest", seed=seed, marks=marks) for seed in (1, 2))
        assert older.is_bad
        assert newer.is_verified
        assert ending(a_history((older, DAY), (newer, HOUR))).outcome is Outcome.REFUSED


class TestMarks:
    def test_the_newest_mark_counts(self):
        marks = a_mark(Judgement.BAD, 1, at=NOW - HOUR), a_mark(Judgement.GOOD, 1, at=NOW)
        assert not a_release(1, marks=marks).is_bad
        assert a_release(1, marks=marks).is_verified

    def test_a_mark_on_other_images_is_void(self):
        assert not a_release(1, marks=(a_mark(Judgement.BAD, 9),)).is_bad

    def test_a_mark_made_when_the_digest_was_not_known_still_counts(self):
        unknown = a_mark(Judgement.BAD, 1).model_copy(update={"digest": "unknown"})
        assert a_release(1, marks=(unknown,)).is_bad

    def test_a_release_whose_digest_is_not_known_is_bad_when_any_mark_says_so(self):
        assert a_release(1, seed=0, marks=(a_mark(Judgement.BAD, 9),)).is_bad

    def test_a_moved_tag_of_the_second_container_makes_a_mark_void(self):
        app, other = (
            a_release(1).images[0],
            a_release(1).images[0].model_copy(update={"container": "sidecar"}),
        )
        both = a_release(1).model_copy(update={"images": (app, other)})
        moved = other.model_copy(update={"digest": digest(9)})
        again = bad(both).model_copy(update={"images": (app, moved)})
        assert bad(both).is_bad
        assert not again.is_bad


class TestDeregisteredReleases:
    def test_are_registered_again_without_an_extra_yes(self):
        made = plan(a_history((a_release(1, active=False), DAY), (a_release(2), HOUR)))
        assert (made.way, made.needs_yes) == ("register", None)

    def test_need_a_yes_when_their_digest_is_not_known(self):
        made = plan(a_history((a_release(1, seed=0, active=False), DAY), (a_release(2), HOUR)))
        assert "its image digest is not known" in (made.needs_yes or "")


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS"])
class TestADeploymentUnderWay:
    def test_is_stopped(self, status):
        made = plan(a_history((a_release(1), MINUTE), (a_release(2), MINUTE), latest=status))
        assert (made.way, made.stops, made.after.revision) == ("stop", deployment_arn(2), "shop:1")
        assert made.calls[0].parameters == {"serviceDeploymentArn": deployment_arn(2), "stopType": "ROLLBACK"}

    def test_is_not_stopped_when_it_would_land_on_a_bad_release(self, status):
        lives = (a_release(1), DAY), (bad(a_release(2)), DAY), (a_release(3), MINUTE)
        made = plan(a_history(*lives, latest=status))
        assert (made.way, made.after.revision) == ("deploy", "shop:1")

    def test_is_not_stopped_when_where_it_lands_is_unknown(self, status):
        history = a_history((a_release(1), DAY), (a_release(2), MINUTE), latest=status)
        unsure = history.deployments[0].model_copy(update={"sources": ("one", "another")})
        made = plan(history.model_copy(update={"deployments": (unsure, *history.deployments[1:])}))
        assert (made.way, made.after.revision) == ("deploy", "shop:1")

    def test_is_stopped_when_the_release_before_it_is_named(self, status):
        history = a_history((a_release(1), DAY), (a_release(2), MINUTE), latest=status)
        assert plan(history, to="1.1.0").way == "stop"

    def test_is_gone_around_when_an_older_release_is_named(self, status):
        history = a_history((a_release(1), DAY), (a_release(2), DAY), (a_release(3), MINUTE), latest=status)
        assert (plan(history, to="1").way, plan(history, to="1").after.revision) == ("deploy", "shop:1")

    def test_of_the_very_same_release_makes_naming_it_not_needed(self, status):
        history = a_history((a_release(2), DAY), (a_release(2), MINUTE), latest=status)
        assert ending(history, to="2").outcome is Outcome.NOT_NEEDED

    def test_cannot_be_stopped_when_it_is_the_first_ever(self, status):
        assert ending(a_history((a_release(1), MINUTE), latest=status)).outcome is Outcome.REFUSED


class TestADeploymentThatEcsRolledBackByItself:
    def test_leaves_nothing_to_do(self):
        history = a_history((a_release(1), DAY), (a_release(2), MINUTE), latest="ROLLBACK_SUCCESSFUL")
        assert ending(history).outcome is Outcome.NOT_NEEDED
        assert (
            ending(history).summary
            == "ECS rolled shop:2 (1.2.0) back by itself; shop:1 (1.1.0) runs already."
        )
        assert not needs_more(TARGET, history, None)

    def test_is_not_enough_when_it_landed_on_a_bad_release(self):
        lives = (a_release(1), DAY), (bad(a_release(2)), DAY), (a_release(3), MINUTE)
        assert plan(a_history(*lives, latest="ROLLBACK_SUCCESSFUL")).after.revision == "shop:1"

    def test_makes_other_revisions_be_read_when_it_landed_on_a_bad_release_and_nothing_else_ran(self):
        lives = (bad(a_release(2)), DAY), (bad(a_release(3)), MINUTE)
        assert needs_more(TARGET, a_history(*lives, latest="ROLLBACK_SUCCESSFUL"), None)


NAMES = ["2", "shop:2", task_definition(2), "1.2.0", "v1.2.0", digest(2), digest(2).removeprefix("sha256:")]


class TestANamedRelease:
    HISTORY = a_history((a_release(2), MINUTE), (a_release(3), MINUTE), (a_release(4), HOUR))

    @pytest.mark.parametrize("name", NAMES)
    def test_is_found_by_every_name_that_people_use(self, name):
        made = plan(self.HISTORY, to=name)
        assert (made.after.revision, made.needs_yes) == ("shop:2", None)
        # A bare number may be a tag too, of a release that is not in the history.
        assert needs_more(TARGET, self.HISTORY, name) is (name == "2")

    def test_is_found_although_its_tag_has_a_v_that_the_name_lacks(self):
        assert find_release([a_release(2, tag="v1.2.0")], "1.2.0") == a_release(2, tag="v1.2.0")

    def test_is_found_by_the_start_of_its_digest_from_seven_characters_on(self):
        release = a_release(0x1234567 << 228)
        assert find_release([release], "1234567") == release
        assert find_release([release], "123456") is None

    def test_is_refused_where_its_number_is_a_revision_and_another_ones_tag(self):
        refusal = ending(self.HISTORY, a_release(9, tag="2"), to="2")
        assert refusal.error is not None
        assert refusal.error.kind == "input"
        assert refusal.error.message == '"2" can mean shop:2 (1.2.0) or shop:9 (2)'
        assert refusal.error.fix == "say shop:2 or shop:9"

    def test_may_have_its_own_revision_as_its_tag(self):
        assert find_release([a_release(2, tag="2"), a_release(3, tag="2")], "2") == a_release(2, tag="2")

    def test_is_not_a_sidecars_tag(self):
        known = [with_a_sidecar(a_release(9), "datadog-agent:2"), a_release(2)]
        assert find_release(known, "2") == a_release(2)

    @pytest.mark.parametrize("name", ["1.0.0", "shop:1.0.0"])
    def test_is_found_by_its_tag_although_a_digest_follows_it(self, name):
        pinned = a_release(2, tag=f"1.0.0@{digest(2)}")
        assert find_release([pinned, a_release(3)], name) == pinned

    def test_is_the_newest_revision_with_that_tag(self):
        assert find_release([a_release(2, tag="x"), a_release(3, tag="x")], "x") == a_release(3, tag="x")

    def test_that_runs_is_not_needed(self):
        assert ending(self.HISTORY, to="4").summary == "shop:4 (1.4.0) runs already."
        assert ending(self.HISTORY, to="4").outcome is Outcome.NOT_NEEDED

    def test_that_runs_is_not_needed_although_its_tag_meant_other_images_before(self):
        assert ending(TestMovedTags.HISTORY, to="shop:7").outcome is Outcome.NOT_NEEDED

    def test_whose_tag_was_moved_is_found_by_digest(self):
        made = plan(TestMovedTags.HISTORY, to=digest(1))
        assert (made.way, made.after.digests) == ("register", (digest(1),))

    def test_that_is_bad_is_refused_with_who_said_so_and_the_fix(self):
        refusal = ending(a_history((bad(a_release(1)), DAY), (a_release(2), HOUR)), to="1")
        assert refusal.error is not None
        assert refusal.error.kind == "policy"
        assert "marked bad by incident/prod/shop" in refusal.summary
        assert "runbook release mark prod/shop shop:1 good" in refusal.summary

    def test_that_nobody_knows_is_refused_with_those_that_there_are(self):
        refusal = ending(self.HISTORY, to="1.9.9")
        assert refusal.error is not None
        assert refusal.error.kind == "input"
        assert refusal.error.line == (
            'no release "1.9.9" of prod/shop; there are: shop:4 (1.4.0), shop:3 (1.3.0), shop:2 (1.2.0)'
        )
        assert needs_more(TARGET, self.HISTORY, "1.9.9")

    def test_of_another_family_is_refused_before_anybody_approves_it_unless_it_ran_there(self):
        foreign = a_release(9).model_copy(
            update={"task_definition": task_definition(9).replace("shop:", "blog:")}
        )
        assert ending(self.HISTORY, foreign, to="blog:9").error.line == (
            "blog:9 is no release of prod/shop: it is of another family, and never ran there; "
            "there are: shop:4 (1.4.0), shop:3 (1.3.0), shop:2 (1.2.0)"
        )
        moved = a_history((foreign, DAY), (a_release(2), HOUR))
        assert plan(moved, to="blog:9").after == foreign

    def test_that_never_ran_needs_a_yes(self):
        made = plan(self.HISTORY, a_release(1, seed=0), to="1")
        assert made.needs_yes == "shop:1 (1.1.0) never completed a deployment of this service"

    def test_is_deployed_although_ecs_rolled_another_back(self):
        lives = (a_release(1), DAY), (a_release(2), DAY), (a_release(3), MINUTE)
        assert plan(a_history(*lives, latest="ROLLBACK_SUCCESSFUL"), to="1").after.revision == "shop:1"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"controller": "CODE_DEPLOY"}, "its controller is CODE_DEPLOY: only ECS is supported"),
        ({"controller": "EXTERNAL"}, "its controller is EXTERNAL"),
        ({"strategy": "SPIRAL"}, "its strategy is SPIRAL: only ROLLING is supported"),
        ({"scheduling": "DAEMON"}, "its scheduling is DAEMON: only REPLICA is supported"),
        ({"desired": 0}, "its desired count is 0"),
        ({"status": "DRAINING"}, "the service is DRAINING"),
        ({"status": "INACTIVE"}, "the service is INACTIVE"),
    ],
)
@pytest.mark.parametrize("to", [None, "1"])
def test_a_service_that_cannot_be_rolled_back_is_refused_by_policy(changes, why, to):
    refusal = ending(a_history((a_release(1), DAY), (a_release(2), HOUR), **changes), to=to)
    assert refusal.outcome is Outcome.REFUSED
    assert refusal.error is not None
    assert refusal.error.kind == "policy"
    assert why in refusal.error.message


class TestStrategies:
    HISTORY = a_history((a_release(1), DAY), (a_release(2), HOUR))

    def test_forcing_new_tasks_changes_no_task_definition_and_marks_nothing(self):
        made = plan(self.HISTORY, target=policy(strategy="force-new-deployment"))
        assert made.way == "force"
        assert made.calls[0].parameters == {"cluster": "prod", "service": "shop", "forceNewDeployment": True}
        assert made.afterwards == ()

    def test_a_named_release_is_put_back_where_forcing_is_the_strategy(self):
        assert plan(self.HISTORY, to="1", target=policy(strategy="force-new-deployment")).way == "deploy"

    def test_a_deployment_under_way_is_not_stopped_where_terraform_would_bring_it_back(self):
        history = a_history((a_release(1), DAY), (a_release(2), HOUR), latest="IN_PROGRESS")
        assert plan(history).way == "stop"
        made = plan(history, target=policy(strategy="terraform"))
        assert (made.way, made.after.revision) == ("deploy", "shop:1")

    def test_what_terraform_still_wants_is_said(self):
        target = TARGET.model_copy(update={"terraform": Terraform(directory="infra/shop")})
        assert any(
            "infra/shop still names the release" in line
            for line in plan(self.HISTORY, target=target).not_restored
        )


class TestThePlansHash:
    HISTORY = a_history((a_release(1), DAY), (a_release(2), HOUR))
    PLAN = plan(HISTORY)

    def test_is_the_same_when_everything_is_read_again_later(self):
        later = self.HISTORY.service.model_copy(
            update={"read_at": NOW + MINUTE, "events": ("more",), "running": 1}
        )
        assert plan_hash(plan(self.HISTORY.model_copy(update={"service": later}))) == plan_hash(self.PLAN)

    def test_survives_a_round_trip_through_json(self):
        assert plan_hash(RollbackPlan.model_validate_json(self.PLAN.model_dump_json())) == plan_hash(
            self.PLAN
        )

    @pytest.mark.parametrize(
        "changes",
        [
            {"deployments": (a_deployment(9, task_definition(2)),)},
            {"service_deployment": deployment_arn(9)},
        ],
    )
    def test_differs_when_the_service_was_deployed_meanwhile(self, changes):
        service = self.HISTORY.service.model_copy(update=changes)
        assert plan_hash(plan(self.HISTORY.model_copy(update={"service": service}))) != plan_hash(self.PLAN)

    def test_differs_for_another_release(self):
        history = a_history((a_release(1), DAY), (a_release(2), DAY), (a_release(3), HOUR))
        assert plan_hash(plan(history, to="1")) != plan_hash(plan(history, to="2"))

    def test_differs_when_only_the_images_differ(self):
        other = plan(a_history((a_release(1, seed=9), DAY), (a_release(2), HOUR)))
        assert other.calls == self.PLAN.calls
        assert plan_hash(other) != plan_hash(self.PLAN)

    @given(st.permutations(["cluster", "service", "taskDefinition"]))
    def test_does_not_hang_on_the_order_of_keys(self, order):
        call = self.PLAN.calls[0]
        turned = call.model_copy(update={"parameters": {key: call.parameters[key] for key in order}})
        assert plan_hash(self.PLAN.model_copy(update={"calls": (turned,)})) == plan_hash(self.PLAN)

    @given(st.sampled_from(["cluster", "service", "taskDefinition"]), st.text(min_size=1))
    def test_differs_for_any_other_value_in_a_call(self, key, value):
        call = self.PLAN.calls[0]
        other = call.model_copy(
            update={"parameters": call.parameters | {key: f"{call.parameters[key]}{value}"}}
        )
        assert plan_hash(self.PLAN.model_copy(update={"calls": (other,)})) != plan_hash(self.PLAN)


def test_a_service_that_shifts_traffic_is_rolled_back_and_restarted_by_whole_deployments():
    shifting = Shifting(strategy="CANARY", percent=10, step_minutes=5, bake_minutes=15)
    lives = (a_release(1), DAY), (a_release(2), HOUR)
    history = a_history(*lives, strategy="CANARY", shifting=shifting)
    made = plan(history)
    assert (made.after, made.way, made.shifting) == (a_release(1), "deploy", shifting)
    assert made.essence.startswith("CANARY: 10 % of the traffic, 5 min later all of it")
    assert [(follow.kind, call.action) for follow in made.follows for call in follow.calls] == [
        ("undo", "UpdateService"),
        ("mark", "TagResource"),
        ("mark", "TagResource"),
        ("undo", "StopServiceDeployment"),
    ]
    slower = history.service.model_copy(update={"shifting": shifting.model_copy(update={"step_minutes": 60})})
    assert plan_hash(plan(history.model_copy(update={"service": slower}))) != plan_hash(made)
    fresh = plan_restart(TARGET, history, ())
    assert not isinstance(fresh, Ending)
    assert (fresh.after, fresh.way, fresh.essence) == (a_release(2), "force", made.essence)
    assert fresh.because[0] == "A restart is a whole deployment of this service."
    assert set(shifting.sentences()) <= set(fresh.because)
    assert [call.action for follow in fresh.follows for call in follow.calls] == ["StopServiceDeployment"]
