"""What doctor says of the worker's builds, by who asks which queue and what Temporal knows of them."""

import pytest
from temporalio.api.deployment.v1 import WorkerDeploymentOptions
from temporalio.api.taskqueue.v1 import PollerInfo

from starter.doctor.version_checks import VERSIONED, Builds, judge_versions

QUEUES = ("runbooks-prod", "runbooks-prod", "runbooks-prod-watch")
SET = "temporal worker deployment set-current-version --namespace default --deployment-name runbooks-prod"
START = "start a worker: RUNBOOK_BUILD_ID={} runbook worker --environment prod"


def poller(build):
    options = build and WorkerDeploymentOptions(
        deployment_name="runbooks-prod", build_id=build, worker_versioning_mode=VERSIONED
    )
    return PollerInfo(identity="worker", deployment_options=options or None)


def judged(*builds, watching=None, **known):
    """Workers of these builds ask for work; None is one without a build."""
    asking = [builds, builds, builds if watching is None else watching]
    asked = [(queue, [poller(item) for item in found]) for queue, found in zip(QUEUES, asking, strict=True)]
    return judge_versions("prod", "default", asked, Builds(**known))


class TestInPlace:
    @pytest.mark.parametrize(
        ("builds", "known", "detail"),
        [
            (["one"], {}, "one is current"),
            (["one", "two"], {}, "one is current; two is there, and gets no new runs"),
            (["one", "two"], {"ramping": "two"}, "one is current; some of the new runs go to two"),
            (["one", "zero"], {"draining": {"zero": 2}}, "one is current; zero still drains (2 open runs)"),
            (["one"], {"draining": {"zero": 0}}, "one is current; zero still drains (0 open runs)"),
            (["one"], {"draining": {"zero": None}}, "one is current; zero still drains"),
        ],
    )
    def test_are_a_current_build_that_asks_every_queue_and_those_that_drain(self, builds, known, detail):
        text = judged(*builds, current="one", **known)
        assert (text.check.ok, text.check.detail, text.stand_still) == (True, detail, False)

    @pytest.mark.parametrize("known", [{}, {"draining": {"zero": 0}}])
    def test_is_nothing_to_say_where_no_worker_has_a_build(self, known):
        text = judged(None, None, **known)
        assert (text.check.ok, text.check.fix, text.stand_still) == (None, None, False)

    def test_is_unknown_where_temporal_does_not_say(self):
        text = judged("one", unknown="no permission")
        assert (text.check.ok, text.check.detail) == (None, "this Temporal does not say: no permission")


class TestRed:
    @pytest.mark.parametrize("which", ["current", "ramping"])
    def test_is_a_build_that_gets_new_runs_and_has_no_worker(self, which):
        text = judged("one", **{"current": "one", which: "gone"})
        assert (text.check.ok, text.stand_still) == (False, True)
        assert (
            "new runs go to gone, and no worker of it asks runbooks-prod, runbooks-prod-watch"
            in text.check.detail
        )
        assert text.check.fix == f"{START.format('gone')}, or: {SET} --build-id one"

    def test_is_a_current_build_that_asks_only_some_of_the_queues(self):
        text = judged("one", watching=["two"], current="one")
        assert text.stand_still is True
        assert "no worker of it asks runbooks-prod-watch for work" in text.check.detail
        assert text.check.fix == START.format("one")

    def test_is_a_current_build_where_all_workers_have_none(self):
        text = judged(None, current="one")
        assert text.stand_still is True
        assert text.check.fix == f"{START.format('one')}, or: {SET} --unversioned"

    def test_is_that_nothing_is_current_and_the_newest_is_offered(self):
        text = judged("one", "two", newest_first=("two", "one"))
        assert (text.check.ok, text.stand_still) == (False, True)
        assert (
            text.check.detail == "there are workers of two, one, and none is current: new runs do not start"
        )
        assert text.check.fix == f"{SET} --build-id two"

    def test_is_a_mixture_with_workers_that_have_no_build(self):
        text = judged("one", None)
        assert (text.check.ok, text.stand_still) == (False, False)
        assert text.check.fix == f"{SET} --build-id one, then end the workers that have no RUNBOOK_BUILD_ID"

        text = judged("one", None, current="one")
        assert text.check.ok is False
        assert text.check.detail == "workers without a build poll next to one: new runs go to one"
        assert text.check.fix == "end the workers that have no RUNBOOK_BUILD_ID"

    @pytest.mark.parametrize("current", ["two", None])
    def test_is_a_former_build_that_runs_are_open_on_and_that_has_no_worker(self, current):
        text = judged(current, current=current, draining={"zero": 0, "one": 1})
        assert (text.check.ok, text.stand_still) == (False, False)
        assert text.check.detail.startswith("one still drains (1 open run), and no worker of it asks")
        assert text.check.fix == f"{START.format('one')}, until it is drained"

    def test_quotes_a_build_for_the_shell(self):
        assert judged("v 1; x").check.fix == f"{SET} --build-id 'v 1; x'"
