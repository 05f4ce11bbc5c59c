from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.ecs.activities import EcsActivities, ReleaseQuery
from activities.ecs.reading import read_marks, read_release, read_service_state, write_mark
from runbook_model.errors import AccessDeniedError, InputError
from runbook_model.releases.release import Judgement, Mark
from tests.aws_answers import Ecs, definition, service, services
from tests.ecs_facts import NOW, a_mark, deployment_arn, digest, revision_arn, task_definition
from tests.observing import a_target

KEY = "prod/shop"
TARGET = a_target(service="shop", cluster="prod", ecs_service="shop")
WHEN = st.integers(0, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def tagged(mark: Mark) -> list[dict[str, str]]:
    key, value = write_mark(mark, KEY)
    return [{"key": key, "value": value}]


class TestMarks:
    @given(st.sampled_from(Judgement), WHEN, st.from_regex(r"[a-z0-9/@-]+( [a-z0-9/@-]+)*", fullmatch=True))
    def test_come_back_as_they_were_written(self, verdict, at, source):
        mark = Mark(verdict=verdict, digest=digest(1), source=source[:100].strip(), at=at)
        assert read_marks(tagged(mark), KEY) == (mark,)

    @pytest.mark.parametrize("verdict", Judgement)
    def test_fit_into_a_tag_of_aws(self, verdict):
        mark = Mark(verdict=verdict, digest=digest(1), source="s" * 500, at=NOW)
        (tag,) = tagged(mark)
        assert len(tag["value"]) == 256
        assert read_marks([tag], KEY)[0].digest == digest(1)

    def test_are_named_by_what_they_say_and_of_whom(self):
        assert write_mark(a_mark(Judgement.GOOD, 1), KEY)[0] == "runbook:verified:prod/shop"
        assert write_mark(a_mark(Judgement.BAD, 1), KEY)[0] == "runbook:bad:prod/shop"

    def test_of_another_target_do_not_count(self):
        assert read_marks(tagged(a_mark(Judgement.BAD, 1)), "staging/shop") == ()
        assert read_marks(tagged(a_mark(Judgement.BAD, 1)), "prod/shop-two") == ()

    @pytest.mark.parametrize(
        "value", ["", "yes", "sha256:1 yesterday me", "sha256:1 2026-03-01T03:00:00+00:00"]
    )
    def test_that_are_mangled_are_passed_over_and_hide_no_other(self, value):
        mangled = {"key": "runbook:verified:prod/shop", "value": value}
        kept = a_mark(Judgement.BAD, 1)
        assert read_marks([mangled, *tagged(kept)], KEY) == (kept,)

    def test_that_a_person_wrote_without_a_time_zone_are_in_utc(self):
        tag = {"key": "runbook:bad:prod/shop", "value": f"{digest(1)} 2026-03-01T03:00:00 carol"}
        assert read_marks([tag], KEY)[0].at == NOW


class TestAReleasesImages:
    def test_have_the_digests_that_ran(self):
        ran = [{"containerName": "app", "image": "shop:1.0", "imageDigest": digest(5)}]
        assert read_release(definition(1), KEY, ran).digests == (digest(5),)

    def test_have_the_digest_that_they_are_pinned_by(self):
        release = read_release(definition(1, f"shop@{digest(4)}"), KEY)
        assert (release.digests, release.images[0].tag) == ((digest(4),), None)

    def test_have_none_when_one_container_is_not_known_and_all_count(self):
        two = definition(1)
        two["taskDefinition"]["containerDefinitions"].append({"name": "sidecar", "image": "sidecar:1"})
        ran = [{"containerName": "app", "imageDigest": digest(5)}]
        assert read_release(two, KEY, ran).digests == ()
        assert read_release(two, KEY, ran, named="app").digests == (digest(5),)

    @pytest.mark.parametrize(
        ("image", "tag"),
        [
            ("shop:1.0", "1.0"),
            ("shop", None),
            ("registry.test:5000/shop", None),
            ("registry.test:5000/shop:1.0", "1.0"),
            (f"registry.test:5000/shop:1.0@{digest(4)}", "1.0"),
        ],
    )
    def test_have_the_tag_and_not_the_registrys_port(self, image, tag):
        assert read_release(definition(1, image), KEY).images[0].tag == tag

    @pytest.mark.parametrize(("status", "active"), [("ACTIVE", True), ("INACTIVE", False)])
    def test_belong_to_a_release_that_is_active_or_not(self, status, active):
        assert read_release(definition(1, status=status), KEY).active is active


class TestAService:
    def test_is_rolling_replica_and_ecs_unless_it_says_otherwise(self):
        state = read_service_state(service())
        assert (state.controller, state.strategy, state.scheduling) == ("ECS", "ROLLING", "REPLICA")
        unlike = service(
            deploymentController={"type": "CODE_DEPLOY"},
            deploymentConfiguration={"strategy": "BLUE_GREEN"},
            schedulingStrategy="DAEMON",
        )
        state = read_service_state(unlike)
        assert (state.controller, state.strategy, state.scheduling) == ("CODE_DEPLOY", "BLUE_GREEN", "DAEMON")

    def test_is_fenced_by_its_primary_its_task_definition_and_its_service_deployment(self):
        fence = read_service_state(service(3, 1)).fence
        assert (fence.primary, fence.task_definition) == ("ecs-svc/3", task_definition(1))
        assert fence.service_deployment == deployment_arn(3)

    def test_has_no_rollout_state_behind_a_classic_load_balancer(self):
        answer = service()
        del answer["deployments"][0]["rolloutState"]
        primary = read_service_state(answer).primary
        assert primary is not None
        assert primary.rollout_state is None


def brief(number: int) -> dict[str, object]:
    return {"serviceDeploymentArn": deployment_arn(number), "status": "SUCCESSFUL", "createdAt": NOW}


def made(number: int, status: str = "SUCCESSFUL", *, source: int | None = None) -> dict[str, object]:
    return {
        "serviceDeploymentArn": deployment_arn(number),
        "status": status,
        "createdAt": NOW + timedelta(hours=number),
        "targetServiceRevision": {"arn": revision_arn(number)},
        "sourceServiceRevisions": [{"arn": revision_arn(source)}] if source else [],
    }


def revision(number: int, of: int, seed: int) -> dict[str, object]:
    images = [{"containerName": "app", "imageDigest": digest(seed)}]
    return {
        "serviceRevisionArn": revision_arn(number),
        "taskDefinition": task_definition(of),
        "containerImages": images,
    }


class TestTheHistory:
    @pytest.fixture
    def ecs(self):
        return Ecs()

    def read(self, ecs):
        with ecs.asked_for_exactly_this():
            return EcsActivities(ecs.clients).read_history(TARGET)

    def test_is_newest_first_with_the_images_that_ran(self, ecs):
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.answers("list_service_deployments", {"serviceDeployments": [brief(1), brief(2)]})
        ecs.answers("describe_service_deployments", {"serviceDeployments": [made(1), made(2, source=1)]})
        ecs.answers(
            "describe_service_revisions", {"serviceRevisions": [revision(1, 1, 5), revision(2, 2, 6)]}
        )
        ecs.answers("describe_task_definition", definition(1))
        ecs.answers("describe_task_definition", definition(2))
        history = self.read(ecs)
        assert [deployment.arn for deployment in history.deployments] == [
            deployment_arn(2),
            deployment_arn(1),
        ]
        assert history.current.digests == (digest(6),)
        assert history.releases[revision_arn(1)].digests == (digest(5),)

    def test_is_read_to_the_last_page_and_has_the_newest_and_the_last_good_ones(self, ecs):
        failed = [
            {**brief(number), "createdAt": NOW + timedelta(hours=number), "status": "STOPPED"}
            for number in range(2, 25)
        ]
        good = brief(1)
        ecs.answers("describe_services", services(service(2, 2, currentServiceRevisions=[])))
        ecs.answers("list_service_deployments", {"serviceDeployments": failed[:5], "nextToken": "more"})
        ecs.answers("list_service_deployments", {"serviceDeployments": [good, *failed[5:]]})
        newest = [deployment_arn(number) for number in range(24, 4, -1)]
        ecs.answers(
            "describe_service_deployments", {"serviceDeployments": []}, {"serviceDeploymentArns": newest}
        )
        ecs.answers(
            "describe_service_deployments", {"serviceDeployments": [made(1)]},
            {"serviceDeploymentArns": [deployment_arn(1)]},
        )  # fmt: skip
        ecs.answers("describe_service_revisions", {"serviceRevisions": [revision(1, 1, 5)]})
        ecs.answers("describe_task_definition", definition(1))
        ecs.answers("describe_task_definition", definition(2))
        assert [deployment.arn for deployment in self.read(ecs).deployments] == [deployment_arn(1)]

    def test_is_read_although_an_old_task_definition_was_deleted(self, ecs):
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.answers("list_service_deployments", {"serviceDeployments": [brief(1), brief(2)]})
        ecs.answers("describe_service_deployments", {"serviceDeployments": [made(1), made(2, source=1)]})
        ecs.answers(
            "describe_service_revisions", {"serviceRevisions": [revision(1, 1, 5), revision(2, 2, 6)]}
        )
        ecs.refuses(
            "describe_task_definition", "ClientException", message="Unable to describe task definition."
        )
        ecs.answers("describe_task_definition", definition(2))
        history = self.read(ecs)
        assert [deployment.arn for deployment in history.deployments] == [deployment_arn(2)]
        assert history.current.revision == "shop:2"

    def test_does_not_take_a_missing_permission_for_a_missing_task_definition(self, ecs):
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.answers("list_service_deployments", {"serviceDeployments": [brief(2)]})
        ecs.answers("describe_service_deployments", {"serviceDeployments": [made(2)]})
        ecs.answers("describe_service_revisions", {"serviceRevisions": [revision(2, 2, 6)]})
        ecs.refuses("describe_task_definition", "AccessDeniedException")
        with pytest.raises(AccessDeniedError, match="could not describe the task definition shop:2"):
            self.read(ecs)

    def test_takes_the_images_under_way_for_what_runs_while_a_moved_tag_is_deployed(self, ecs):
        both = [{"arn": revision_arn(1)}, {"arn": revision_arn(2)}]
        ecs.answers("describe_services", services(service(2, 7, currentServiceRevisions=both)))
        ecs.answers("list_service_deployments", {"serviceDeployments": [brief(2)]})
        ecs.answers(
            "describe_service_deployments", {"serviceDeployments": [made(2, "IN_PROGRESS", source=1)]}
        )
        ecs.answers(
            "describe_service_revisions", {"serviceRevisions": [revision(1, 7, 5), revision(2, 7, 6)]}
        )
        ecs.answers("describe_task_definition", definition(7))
        assert self.read(ecs).current.digests == (digest(6),)

    def test_of_a_service_without_service_deployments_is_what_runs(self, ecs):
        ecs.answers("describe_services", services(service(2, 2, currentServiceRevisions=[])))
        ecs.answers("list_service_deployments", {"serviceDeployments": []})
        ecs.answers("describe_task_definition", definition(2))
        history = self.read(ecs)
        assert (history.current.revision, history.deployments) == ("shop:2", ())

    def test_of_a_service_that_is_not_there_names_the_catalog_as_the_fix(self, ecs):
        ecs.answers("describe_services", services())
        with pytest.raises(
            InputError, match="cluster prod has no service shop; correct cluster or ecs_service"
        ):
            self.read(ecs)


class TestANameThatIsLookedUp:
    @pytest.fixture
    def ecs(self):
        return Ecs()

    def find(self, ecs, name):
        with ecs.asked_for_exactly_this():
            return EcsActivities(ecs.clients).find_release(ReleaseQuery(target=TARGET, name=name)).releases

    def test_may_be_a_bare_number_of_the_family_that_runs(self, ecs):
        asked = {"taskDefinition": "shop:1", "include": ["TAGS"]}
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.answers("describe_task_definition", definition(1, status="INACTIVE"), asked)
        (found,) = self.find(ecs, "1")
        assert (found.revision, found.active) == ("shop:1", False)

    def test_may_name_nothing(self, ecs):
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.refuses(
            "describe_task_definition", "ClientException", message="Unable to describe task definition."
        )
        ecs.answers("list_task_definitions", {"taskDefinitionArns": [task_definition(2)]})
        ecs.answers("describe_task_definition", definition(2))
        assert self.find(ecs, "v9.9") == ()

    def test_may_be_the_tag_of_a_revision_on_the_last_page(self, ecs):
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.refuses("describe_task_definition", "ClientException", message="Unable to describe it.")
        ecs.answers(
            "list_task_definitions", {"taskDefinitionArns": [task_definition(2)], "nextToken": "more"}
        )
        ecs.answers("describe_task_definition", definition(2, "shop:2.0"))
        ecs.answers("list_task_definitions", {"taskDefinitionArns": [task_definition(1)]})
        ecs.answers("describe_task_definition", definition(1, "shop:1.0"))
        (found,) = self.find(ecs, "v1.0")
        assert found.revision == "shop:1"


def test_tasks_that_every_deployment_stops_explain_nothing():
    ecs = Ecs()
    stopped = [
        {"taskDefinitionArn": task_definition(number), "stoppedReason": reason, "stoppedAt": NOW}
        for number, reason in (
            (1, "Scaling activity initiated by (deployment ecs-svc/2)"),
            (2, "Essential container exited"),
        )
    ]
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("list_tasks", {"taskArns": ["a", "b"]})
    ecs.answers("describe_tasks", {"tasks": stopped})
    with ecs.asked_for_exactly_this():
        why = EcsActivities(ecs.clients).explain_rollout(TARGET)
    assert why.stopped == ("shop:2: Essential container exited",)
