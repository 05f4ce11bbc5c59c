"""Services of which two revisions run while traffic is shifted: how many tasks there are, and what keeps the service down."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.ecs.waits import AwaitedTasks, Waits
from runbook_model.releases.arriving import count_serving
from runbook_model.releases.capacity import Capacity
from runbook_model.releases.shifting import Shifting
from tests.aws_answers import Ecs, service, services
from tests.ecs_facts import NOW, a_deployment, a_service, revision_arn, task_definition
from tests.observing import a_target
from tests.symptoms import NEW, OLD, a_stopped_task, a_task, an_onset, logs_read, tasks_read
from tests.unit.decisions.test_diagnosis import SICK, STARTED, WELL
from tests.unit.ecs.test_shifting import CANARY, TARGET, read, under_way
from workflows.decisions.diagnosis import Cause, classify_service_down
from workflows.decisions.scaling import plan_scale_out

MORE = "both revisions get more tasks, and autoscaling removes none before its end"
LINEAR = Shifting(strategy="LINEAR", percent=10.0, step_minutes=6)


def both(new=(2, 2), old=(2, 2), *, age=timedelta(minutes=5), **more):
    """A service of two tasks with a new revision and an old one: how many run, and are wanted, of each."""
    arn = task_definition(1).partition(":task-definition/")[0]
    names = [f"{arn}:task-definition/{name}" for name in (NEW, OLD)]
    began = NOW - age
    primary = a_deployment(
        3, names[0], running=new[0], desired=new[1], rollout_state="IN_PROGRESS", created_at=began
    )
    former = a_deployment(2, names[1], status="ACTIVE", running=old[0], desired=old[1])
    counts = {"desired": 2, "running": new[0] + old[0], "shifting": LINEAR, "strategy": "LINEAR"}
    return a_service(primary, former, **counts | more)


class TestCounts:
    def test_are_given_for_each_revision_and_never_added_up(self):
        assert both((1, 2)).counts == f"1 of 2 new tasks ({NEW}) and 2 of 2 old tasks ({OLD}) run"
        assert tasks_read(service=both()).summary.startswith(
            f"2 of 2 new tasks ({NEW}) and 2 of 2 old tasks ({OLD}) run, 0 pending"
        )

    def test_of_old_tasks_that_end_are_what_is_left(self):
        assert both(old=(1, 0)).counts.endswith(f"and 1 old task ({OLD}) run")

    def test_are_the_services_own_where_one_revision_runs_and_while_a_rolling_deployment_goes_on(self):
        assert a_service(a_deployment(2, task_definition(2))).counts == "2 of 2 tasks run"
        assert both(shifting=None).counts == "4 of 2 tasks run"

    @pytest.mark.parametrize(
        ("new", "old", "complete"),
        [((1, 2), (2, 2), True), ((2, 2), (0, 2), True), ((1, 2), (1, 2), False), ((0, 2), (1, 2), False)],
    )
    def test_are_complete_where_one_revision_has_as_many_as_are_wanted(self, new, old, complete):
        assert both(new, old).complete is complete


class TestServing:
    @pytest.mark.parametrize(
        ("share", "new", "old", "count"),
        [
            (0.0, 0, 4, 4),
            (0.0, 4, 2, 2),
            (100.0, 4, 2, 4),
            (100.0, 2, 4, 2),
            (10.0, 4, 2, 2),
            (10.0, 3, 4, 3),
        ],
    )
    def test_tasks_are_those_of_the_revision_that_has_fewest_of_those_with_traffic(
        self, share, new, old, count
    ):
        target = {"arn": revision_arn(3), "runningTaskCount": new, "requestedProductionTrafficWeight": share}
        source = {
            "arn": revision_arn(2),
            "runningTaskCount": old,
            "requestedProductionTrafficWeight": 100.0 - share,
        }
        own = read(targetServiceRevision=target, sourceServiceRevisions=[source])
        assert count_serving(both(), own) == count

    def test_tasks_of_a_service_whose_traffic_ecs_does_not_shift_are_those_of_its_fuller_revision(self):
        shares = [{"arn": revision_arn(number), "runningTaskCount": number} for number in (2, 3)]
        own = read(targetServiceRevision=shares[1], sourceServiceRevisions=shares[:1])
        assert count_serving(both(), own) == 3

    def test_tasks_are_all_where_one_revision_runs(self):
        assert count_serving(a_service(a_deployment(2, task_definition(2))), read()) is None

    async def test_a_scale_out_waits_for_tasks_with_traffic_and_not_for_their_sum(self):
        ecs = Ecs()
        for running in (2, 4):
            counts = {"desiredCount": 4, "pendingCount": 0, "createdAt": NOW, "rolloutState": "IN_PROGRESS"}
            deployments = [
                {
                    **counts,
                    "id": f"ecs-svc/{number}",
                    "status": status,
                    "taskDefinition": task_definition(number),
                    "runningCount": running,
                }
                for number, status in ((3, "PRIMARY"), (2, "ACTIVE"))
            ]
            more = {"deploymentConfiguration": CANARY, "deployments": deployments}
            ecs.answers(
                "describe_services", services(service(3, 3, runningCount=2 * running, desiredCount=4, **more))
            )
            shares = [
                {
                    "arn": revision_arn(number),
                    "runningTaskCount": running,
                    "requestedProductionTrafficWeight": weight,
                }
                for number, weight in ((3, 10.0), (2, 90.0))
            ]
            own = under_way("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 10.0)
            own |= {"targetServiceRevision": shares[0], "sourceServiceRevisions": shares[1:]}
            ecs.answers("describe_service_deployments", {"serviceDeployments": [own]})
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, heartbeat_timeout=timedelta(seconds=0.3))
        awaited = AwaitedTasks(target=TARGET, count=4, deadline=datetime.now(UTC) + timedelta(hours=1))
        with ecs.asked_for_exactly_this():
            state = await environment.run(Waits(ecs.clients).await_tasks, awaited)
        assert (state.running, state.serving) == (8, 4)


class TestScalingOut:
    def test_says_in_its_plan_that_a_deployment_is_under_way(self):
        now = Capacity(desired=2, running=4, deploying=both().counts)
        plan = plan_scale_out(a_target(), now, 4, ("the load grew",))
        assert plan.because == (
            "the load grew",
            f"A deployment is under way, and goes on: {both().counts}; {MORE}.",
        )
        assert now.summary == both().counts

    def test_is_bound_to_the_same_yes_once_the_deployment_has_ended(self):
        under, after = (
            plan_scale_out(a_target(), Capacity(desired=2, running=2, deploying=deploying), 4, ())
            for deploying in (both().counts, None)
        )
        assert (under.calls, under.not_restored, under.essence) == (
            after.calls,
            after.not_restored,
            after.essence,
        )


class TestOutage:
    GROWN = an_onset(began=STARTED - timedelta(days=1))

    def test_old_tasks_that_crash_are_seen_while_new_ones_are_deployed(self):
        crashes = (a_stopped_task(200, OLD), a_stopped_task(100, OLD))
        found = classify_service_down(
            TARGET, tasks_read(*crashes, onset=an_onset(began=STARTED), service=both()), logs_read(), SICK
        )
        assert (found.cause, found.release) == (Cause.CRASH_LOOP, None)

    def test_new_tasks_that_crash_are_the_bad_release(self):
        crashes = (a_stopped_task(200), a_stopped_task(100))
        found = classify_service_down(
            TARGET, tasks_read(*crashes, onset=an_onset(began=STARTED), service=both()), logs_read(), SICK
        )
        assert (found.cause, found.release) == (Cause.BAD_RELEASE, NEW)

    def test_a_linear_deployment_is_not_stuck_as_long_as_its_steps_take(self):
        def found(age, new=(2, 2)):
            state = both(new, age=age)
            return classify_service_down(
                TARGET, tasks_read(onset=self.GROWN, service=state), logs_read(), SICK
            )

        assert found(timedelta(minutes=80)).cause is Cause.UNKNOWN
        stuck = found(timedelta(minutes=90))
        assert stuck.cause is Cause.DEPLOYMENT_STUCK
        assert (
            stuck.because[0]
            == f"the deployment is under way for 1h 30m, 2 of 2 new tasks ({NEW}) and 2 of 2 old tasks ({OLD}) run"
        )

    def test_new_tasks_that_find_no_room_are_seen_although_all_old_ones_run(self):
        events = ("(service s) was unable to place a task because no room was left",)
        found = classify_service_down(
            TARGET,
            tasks_read(onset=self.GROWN, service=both((0, 2), events=events)),
            logs_read(),
            SICK,
        )
        assert found.cause is Cause.CAPACITY

    def test_all_old_tasks_that_run_and_users_who_see_nothing_wrong_are_fine(self):
        tasks = (a_task("t1", OLD), a_task("t2", OLD))
        found = classify_service_down(
            TARGET,
            tasks_read(tasks=tasks, onset=self.GROWN, service=both((1, 2))),
            logs_read(),
            WELL,
        )
        assert found.cause is Cause.FINE
