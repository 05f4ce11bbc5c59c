"""Deployments that shift traffic, strategy by moment, on a clock of the test's own."""

from itertools import count

import pytest

from sandbox.ecs.strategies.plan import plan_of
from sandbox.ecs.strategies.shift import Clock, Seen, Shift

MINUTE = 4
CLOCK = Clock(minute_seconds=MINUTE, stage_seconds=1)
STARTS, ENDS = 5, 3
"""Seconds until new tasks serve, and until ended ones are gone."""
STRATEGIES = {
    "BLUE_GREEN": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5},
    "LINEAR": {
        "strategy": "LINEAR",
        "bakeTimeInMinutes": 5,
        "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 2},
    },
    "CANARY": {
        "strategy": "CANARY",
        "bakeTimeInMinutes": 5,
        "canaryConfiguration": {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 3},
    },
}
STAGES = [
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
]
SHARES = {"BLUE_GREEN": [0, 100], "LINEAR": [0, 40, 80, 100], "CANARY": [0, 5, 100]}
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:check"


class Play:
    """Plays a deployment second by second: tasks come and go a while after they are wanted or not."""

    def __init__(self, configuration, **more):
        keys = count()
        self.shift = Shift(plan_of(configuration), CLOCK, lambda: f"{next(keys):043d}", **more)
        self.now = 0
        self.answers = {}
        self.firing = set()
        self.green_starts = True
        self.stages = []
        self.shares = []
        self._since = {}

    def _for(self, name, wanted):
        """Return for how long something has been wanted, or not."""
        if self._since.get(name, (None, 0))[0] is not wanted:
            self._since[name] = (wanted, self.now)
        return self.now - self._since[name][1]

    def tick(self):
        wanted = self.shift.wanted
        green, blue = self._for("green", wanted.green), self._for("blue", wanted.blue)
        others = self._for("others", wanted.others)
        self.shift.advance(
            Seen(
                now=self.now,
                green_good=wanted.green and self.green_starts and green >= STARTS,
                blue_good=wanted.blue and blue >= STARTS,
                green_gone=not wanted.green and green >= ENDS,
                blue_gone=not wanted.blue and blue >= ENDS,
                others_gone=not wanted.others and others >= ENDS,
                answers=self.answers,
                firing=frozenset(self.firing),
            )
        )
        if self.shift.stage and self.stages[-1:] != [self.shift.stage]:
            self.stages.append(self.shift.stage)
        if self.shares[-1:] != [self.shift.wanted.production]:
            self.shares.append(self.shift.wanted.production)
        self.now += 1

    def until(self, holds):
        for _ in range(200_000):
            if holds(self.shift):
                return
            self.tick()
        raise AssertionError(f"never: {self.shift.status} at {self.shift.stage}")

    def at(self, stage):
        self.until(lambda shift: shift.stage == stage)

    def end(self):
        self.until(lambda shift: shift.ended)
        return self.shift.status


def hook(kind, *stages, **more):
    target = (
        {"hookTargetArn": LAMBDA, "roleArn": "arn:aws:iam::123456789012:role/hooks"}
        if kind == "AWS_LAMBDA"
        else {}
    )
    return {"targetType": kind, "lifecycleStages": list(stages), **target, **more}


def play(strategy, *hooks, **more):
    return Play({**STRATEGIES[strategy], "lifecycleHooks": list(hooks), **more})


every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)
every_stage = pytest.mark.parametrize("stage", STAGES)


@every_strategy
def test_a_good_release_goes_through_every_stage_and_gets_its_shares_in_order(strategy):
    done = play(strategy)
    assert done.end() == "SUCCESSFUL"
    assert (done.stages, done.shares) == (STAGES, SHARES[strategy])
    assert (done.shift.wanted.green, done.shift.wanted.blue) == (True, False)
    assert (done.shift.reason, done.shift.rollback_reason) == (None, None)


@pytest.mark.parametrize(("strategy", "minutes"), [("BLUE_GREEN", 0), ("LINEAR", 4), ("CANARY", 3)])
def test_the_steps_and_the_bake_last_as_configured(strategy, minutes):
    done = play(strategy)
    done.at("PRODUCTION_TRAFFIC_SHIFT")
    began = done.now
    done.at("BAKE_TIME")
    baking = done.now
    done.at("CLEAN_UP")
    assert minutes * MINUTE <= baking - began < minutes * MINUTE + 20
    assert 5 * MINUTE <= done.now - baking < 5 * MINUTE + 3


@every_strategy
@every_stage
def test_a_stop_puts_the_traffic_back_before_green_goes(strategy, stage):
    stopped = play(strategy)
    stopped.at(stage)
    stopped.shift.stop()
    assert stopped.shift.status == "ROLLBACK_REQUESTED"
    asked = stopped.now
    stopped.until(lambda shift: shift.wanted.production == 0 and shift.status == "ROLLBACK_IN_PROGRESS")
    warm = stage != "CLEAN_UP"
    assert stopped.now - asked <= (3 if warm else STARTS + 5)
    assert stopped.end() == "ROLLBACK_SUCCESSFUL"
    assert (stopped.shift.wanted.green, stopped.shift.wanted.blue, stopped.shift.wanted.test) == (
        False,
        True,
        0,
    )
    assert stopped.shift.reason == stopped.shift.rollback_reason == "Service deployment rolled back by user"


@every_strategy
@every_stage
def test_an_abort_leaves_everything_as_it_is(strategy, stage):
    aborted = play(strategy)
    aborted.at(stage)
    before = aborted.shift.wanted
    aborted.shift.stop(abort=True)
    assert aborted.shift.status == "STOP_REQUESTED"
    assert aborted.end() == "STOPPED"
    assert aborted.shift.wanted == before


@every_strategy
@every_stage
def test_a_newer_deployment_stops_the_one_under_way(strategy, stage):
    former = play(strategy)
    former.at(stage)
    former.shift.give_way()
    assert former.shift.status == "STOP_REQUESTED"
    assert former.end() == "STOPPED"
    assert former.shift.reason == "Service deployment stopped because a newer service deployment was started."


@every_strategy
def test_a_rollback_that_a_newer_deployment_replaces_has_failed(strategy):
    former = play(strategy)
    former.at("BAKE_TIME")
    former.shift.stop()
    former.tick()
    former.shift.give_way()
    assert former.shift.status == "ROLLBACK_FAILED"


@every_strategy
def test_a_stop_before_the_start_ends_at_once(strategy):
    stopped = play(strategy)
    stopped.shift.stop()
    assert stopped.end() == "ROLLBACK_SUCCESSFUL"
    assert stopped.shares == [0]


@every_strategy
def test_a_second_stop_changes_nothing(strategy):
    stopped = play(strategy)
    stopped.at("BAKE_TIME")
    stopped.shift.stop()
    stopped.shift.stop(abort=True)
    assert stopped.end() == "ROLLBACK_SUCCESSFUL"


@every_strategy
@every_stage
def test_an_alarm_rolls_back_until_the_bake_has_ended(strategy, stage):
    watched = play(strategy, alarms={"alarmNames": ["errors", "slow"], "enable": True, "rollback": True})
    watched.at(stage)
    watched.firing.add("errors")
    assert watched.end() == ("SUCCESSFUL" if stage == "CLEAN_UP" else "ROLLBACK_SUCCESSFUL")
    if stage != "CLEAN_UP":
        assert watched.shift.triggered == ["errors"]
        assert watched.shift.reason == (
            "Service deployment rolled back because CloudWatch alarm(s) were triggered: errors."
        )


@every_strategy
@pytest.mark.parametrize(
    ("alarms", "end"),
    [
        ({"alarmNames": ["errors"], "enable": True, "rollback": False}, "STOPPED"),
        ({"alarmNames": ["errors"], "enable": False, "rollback": True}, "SUCCESSFUL"),
        ({"alarmNames": ["others"], "enable": True, "rollback": True}, "SUCCESSFUL"),
    ],
    ids=["without rollback", "disabled", "another alarm"],
)
def test_an_alarm_counts_as_configured(strategy, alarms, end):
    watched = play(strategy, alarms=alarms)
    watched.at("BAKE_TIME")
    watched.firing.add("errors")
    assert watched.end() == end


@every_strategy
def test_an_alarm_that_fires_at_the_start_is_ignored_for_the_whole_deployment(strategy):
    watched = play(strategy, alarms={"alarmNames": ["errors"], "enable": True, "rollback": True})
    watched.firing.add("errors")
    watched.tick()
    watched.firing.clear()
    watched.at("BAKE_TIME")
    watched.firing.add("errors")
    assert watched.end() == "SUCCESSFUL"


@every_strategy
def test_a_release_that_never_serves_gets_no_traffic_and_goes_back_after_a_day(strategy):
    sick = play(strategy)
    sick.green_starts = False
    assert sick.end() == "ROLLBACK_SUCCESSFUL"
    assert (sick.shares, sick.shift.wanted.test) == ([0], 0)
    assert sick.shift.reason == "Service deployment rolled back because SCALE_UP took longer than 24 hours."
    assert 1440 * MINUTE < sick.now < 1440 * MINUTE + 30


HOOKED = [stage for stage in STAGES if stage not in {"SCALE_UP", "BAKE_TIME", "CLEAN_UP"}]
HOOKED.insert(5, "PRE_PRODUCTION_TRAFFIC_SHIFT")


@every_strategy
@pytest.mark.parametrize("stage", HOOKED)
def test_a_function_that_answers_failed_rolls_back(strategy, stage):
    hooked = play(strategy, hook("AWS_LAMBDA", stage))
    hooked.answers[stage] = "FAILED"
    hooked.until(lambda shift: shift.going_back)
    assert hooked.shift.hooks[0].status == "FAILED"
    hooked.answers.clear()
    assert hooked.end() == "ROLLBACK_SUCCESSFUL"
    assert hooked.shift.reason == (
        f"Service deployment rolled back because {stage} lifecycle hook(s) failed. The hook answered FAILED."
    )


@every_strategy
@pytest.mark.parametrize("stage", HOOKED)
def test_a_function_that_answers_in_progress_is_asked_again_every_half_minute(strategy, stage):
    hooked = play(strategy, hook("AWS_LAMBDA", stage))
    hooked.answers[stage] = "IN_PROGRESS"
    hooked.until(lambda shift: len(shift.asked) == 1)
    first = hooked.now
    hooked.until(lambda shift: len(shift.asked) == 4)
    assert hooked.now - first == 3 * MINUTE / 2
    assert [run.status for run in hooked.shift.hooks] == ["IN_PROGRESS"]
    hooked.answers.clear()
    assert hooked.end() == "SUCCESSFUL"


@every_strategy
def test_a_function_that_never_ends_times_out(strategy):
    timeout = {"timeoutInMinutes": 10, "action": "ROLLBACK"}
    hooked = play(strategy, hook("AWS_LAMBDA", "POST_SCALE_UP", timeoutConfiguration=timeout))
    hooked.answers["POST_SCALE_UP"] = "IN_PROGRESS"
    assert hooked.end() == "ROLLBACK_SUCCESSFUL"
    assert hooked.shift.hooks[0].status == "TIMED_OUT"
    assert "POST_SCALE_UP lifecycle hook(s) failed. The hook timed out." in hooked.shift.reason


@every_strategy
def test_the_hooks_of_both_shifts_are_asked_again_on_the_way_back_with_the_weights_going_back(strategy):
    hooked = play(strategy, hook("AWS_LAMBDA", "TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"))
    hooked.at("BAKE_TIME")
    there = [(item.stage, item.test, item.production) for item in hooked.shift.asked]
    steps = [("PRODUCTION_TRAFFIC_SHIFT", 100, share) for share in SHARES[strategy][1:]]
    assert there == [("TEST_TRAFFIC_SHIFT", 100, 0), *steps]
    hooked.shift.stop()
    assert hooked.end() == "ROLLBACK_SUCCESSFUL"
    back = [(item.stage, item.test, item.production) for item in hooked.shift.asked[len(there) :]]
    assert back == [("PRODUCTION_TRAFFIC_SHIFT", 100, 0), ("TEST_TRAFFIC_SHIFT", 0, 0)]


@every_strategy
@pytest.mark.parametrize("answer", ["FAILED", "IN_PROGRESS"])
def test_a_function_holds_up_a_rollback_until_it_succeeds(strategy, answer):
    hooked = play(strategy, hook("AWS_LAMBDA", "PRODUCTION_TRAFFIC_SHIFT"))
    hooked.at("BAKE_TIME")
    hooked.answers["PRODUCTION_TRAFFIC_SHIFT"] = answer
    hooked.shift.stop()
    began = len(hooked.shift.asked)
    hooked.until(lambda shift: len(shift.asked) == began + 5)
    assert (hooked.shift.status, hooked.shift.wanted.production) == ("ROLLBACK_IN_PROGRESS", 100)
    hooked.answers.clear()
    assert hooked.end() == "ROLLBACK_SUCCESSFUL"


@every_strategy
def test_a_function_that_holds_up_a_rollback_for_a_day_fails_it(strategy):
    hooked = play(strategy, hook("AWS_LAMBDA", "PRODUCTION_TRAFFIC_SHIFT"))
    hooked.at("BAKE_TIME")
    hooked.answers["PRODUCTION_TRAFFIC_SHIFT"] = "FAILED"
    hooked.shift.stop()
    assert hooked.end() == "ROLLBACK_FAILED"
    assert hooked.shift.reason.startswith(
        "Service deployment rollback failed because PRODUCTION_TRAFFIC_SHIFT"
    )


PAUSED = [stage for stage in HOOKED if stage not in {"TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"}]


def awaiting(shift):
    return next((run for run in shift.hooks if run.status == "AWAITING_ACTION"), None)


@every_strategy
@pytest.mark.parametrize("stage", PAUSED)
def test_a_pause_holds_until_it_is_continued(strategy, stage):
    paused = play(strategy, hook("PAUSE", stage))
    paused.until(awaiting)
    shown, before = paused.shift.stage, paused.shift.wanted
    for _ in range(60 * MINUTE):
        paused.tick()
    assert (paused.shift.stage, paused.shift.wanted, paused.shift.status) == (shown, before, "IN_PROGRESS")
    while not paused.shift.ended:
        if run := awaiting(paused.shift):
            assert paused.shift.answer(run.id, "CONTINUE")
        paused.tick()
    times = len(SHARES[strategy]) - 1 if stage == "PRE_PRODUCTION_TRAFFIC_SHIFT" else 1
    ids = [run.id for run in paused.shift.hooks]
    assert (paused.shift.status, len(set(ids)), len(ids)) == ("SUCCESSFUL", times, times)


@every_strategy
@pytest.mark.parametrize("stage", PAUSED)
@pytest.mark.parametrize("way", ["ContinueServiceDeployment", "StopServiceDeployment"])
def test_a_pause_can_be_answered_with_a_rollback_or_a_stop(strategy, stage, way):
    paused = play(strategy, hook("PAUSE", stage))
    paused.until(awaiting)
    run = awaiting(paused.shift)
    if way == "StopServiceDeployment":
        paused.shift.stop()
    else:
        assert paused.shift.answer(run.id, "ROLLBACK")
    assert paused.end() == "ROLLBACK_SUCCESSFUL"
    assert run.status == "FAILED"
    assert not paused.shift.answer(run.id, "CONTINUE")


@every_strategy
@pytest.mark.parametrize(("action", "end"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("CONTINUE", "SUCCESSFUL")])
def test_a_pause_that_nobody_answers_does_what_its_timeout_says(strategy, action, end):
    timeout = {"timeoutInMinutes": 30, "action": action}
    paused = play(strategy, hook("PAUSE", "POST_TEST_TRAFFIC_SHIFT", timeoutConfiguration=timeout))
    paused.until(awaiting)
    began = paused.now
    paused.until(lambda shift: awaiting(shift) is None)
    assert paused.now - began == 30 * MINUTE
    assert paused.end() == end
    assert paused.shift.hooks[0].status == "TIMED_OUT"
    timed_out = "Service deployment rolled back because POST_TEST_TRAFFIC_SHIFT pause hook timed out."
    assert paused.shift.reason == (timed_out if action == "ROLLBACK" else None)


@every_strategy
def test_of_several_pauses_at_one_stage_each_has_to_be_continued(strategy):
    paused = play(strategy, hook("PAUSE", "POST_SCALE_UP"), hook("PAUSE", "POST_SCALE_UP"))
    paused.until(awaiting)
    assert paused.shift.answer(paused.shift.hooks[0].id, "CONTINUE")
    for _ in range(60):
        paused.tick()
    assert paused.shift.stage == "POST_SCALE_UP"
    assert paused.shift.answer(paused.shift.hooks[1].id, "CONTINUE")
    assert paused.end() == "SUCCESSFUL"


@every_strategy
def test_what_a_stopped_deployment_left_is_put_in_order_first(strategy):
    second = Play(STRATEGIES[strategy], others=True)
    assert second.end() == "SUCCESSFUL"
    assert second.stages == ["RECONCILE_SERVICE", *STAGES]


@every_strategy
def test_the_first_release_of_a_service_gets_all_traffic_at_once_and_cannot_go_back(strategy):
    first = Play(STRATEGIES[strategy], has_blue=False)
    assert (first.end(), first.shares) == ("SUCCESSFUL", [0, 100])
    stopped = Play(STRATEGIES[strategy], has_blue=False)
    stopped.at("SCALE_UP")
    stopped.shift.stop()
    assert stopped.end() == "ROLLBACK_FAILED"
    assert stopped.shift.reason.endswith("no completed service deployment to roll back to.")


@pytest.mark.parametrize(
    ("step", "shares"),
    [
        (10.0, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        (30.0, [30, 60, 90, 100]),
        (12.5, [12.5, 25, 37.5, 50, 62.5, 75, 87.5, 100]),
        (33.3, [33.3, 66.6, 99.9, 100]),
        (100.0, [100]),
    ],
)
def test_linear_steps_add_up_to_all_traffic(step, shares):
    plan = plan_of({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": step}})
    assert (list(plan.shares), plan.step_minutes) == (shares, 6)
