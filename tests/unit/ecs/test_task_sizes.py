"""What tasks have is read without their secrets, and a bigger copy is registered once."""

import pytest

from activities.ecs.registering import CHANGE_TAG
from activities.ecs.task_sizes import RegisterSized, TaskSizes
from activities.runtime.fence import LANDS_WITHIN
from runbook_model.catalog.service_policies import Database, Pool
from runbook_model.errors import PolicyError, UnreachableError
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.release import Image
from runbook_model.sizes import SizeQuery
from tests.aws_answers import Ecs, definition, service, services
from tests.ecs_facts import a_release as a_bare_release
from tests.ecs_facts import digest, task_definition
from tests.observing import a_target
from tests.unit.runtime.test_fence import SEARCHED, Attempt, long_ago

TARGET = a_target(
    service="shop", cluster="prod", ecs_service="shop",
    database=Database(dsn_env="SHOP_DSN", pool=Pool(size=20, env="DB_POOL_SIZE")),
)  # fmt: skip
APP = {
    "name": "app",
    "image": "shop:1.0",
    "cpu": 256,
    "memory": 512,
    "environment": [{"name": "DB_POOL_SIZE", "value": "10"}, {"name": "TOKEN", "value": "hush"}],
}
SIDECAR = {
    "name": "proxy",
    "image": "proxy:1",
    "memory": 64,
    "secrets": [{"name": "KEY", "valueFrom": "arn"}],
}
RELEASE = a_bare_release(2).model_copy(
    update={
        "images": (
            Image(container="app", name="shop:1.0", digest=digest(1)),
            Image(container="proxy", name="proxy:1"),
        )
    }
)
PINNED = f"shop@{digest(1)}"
BIGGER = TaskChange(cpu=512, memory=1024)
POOL = TaskChange(variable="DB_POOL_SIZE", value="20", containers=("app",))


@pytest.fixture
def ecs():
    return Ecs()


@pytest.fixture
def sizes(ecs):
    return TaskSizes(ecs.clients)


def described(revision: int = 2, *containers: dict, cpu="256", memory="512", tags=None) -> dict:
    answer = definition(revision, tags=tags)
    answer["taskDefinition"] |= {
        "cpu": cpu,
        "memory": memory,
        "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": list(containers or (APP, SIDECAR)),
    }
    return answer


def registration(change: str | None = "run-1", **changes) -> dict:
    tags = [{"key": CHANGE_TAG, "value": change}, {"key": "runbook:from", "value": "shop:2"}]
    return {"family": "shop", "requiresCompatibilities": ["FARGATE"], "tags": tags} | changes


def order(change: TaskChange) -> RegisterSized:
    return RegisterSized(target=TARGET, release=RELEASE, change=change, run_id="run-1")


def test_only_the_variable_that_is_asked_for_is_read(ecs, sizes):
    ecs.answers("describe_task_definition", described())
    with ecs.asked_for_exactly_this():
        query = SizeQuery(target=TARGET, task_definition=task_definition(2), variable="DB_POOL_SIZE")
        size = Attempt()(sizes.read_task_size, query)
    assert (size.cpu, size.memory, size.fargate) == (256, 512, True)
    assert [container.setting for container in size.containers] == ["10", None]
    assert "hush" not in size.model_dump_json()
    assert size.summary == "a task has 256 CPU units and 512 MB, pool size 10"


def test_a_variable_that_is_no_size_but_a_secret_is_not_shown(ecs, sizes):
    address = {"name": "DATABASE_URL", "value": "postgres://shop:hush@db/shop"}
    ecs.answers("describe_task_definition", described(2, APP | {"environment": [address]}))
    with ecs.asked_for_exactly_this():
        query = SizeQuery(target=TARGET, task_definition=task_definition(2), variable="DATABASE_URL")
        size = Attempt()(sizes.read_task_size, query)
    assert "hush" not in size.model_dump_json()


def test_a_variable_from_a_secret_is_reported_as_such(ecs, sizes):
    ecs.answers("describe_task_definition", described())
    with ecs.asked_for_exactly_this():
        query = SizeQuery(target=TARGET, task_definition=task_definition(2), variable="KEY")
        size = Attempt()(sizes.read_task_size, query)
    assert [(container.setting, container.is_secret) for container in size.containers] == [
        (None, False),
        (None, True),
    ]


def test_a_bigger_copy_has_the_same_images_and_grows_what_had_all_of_its_task(ecs, sizes):
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("describe_task_definition", described())
    ecs.answers("list_task_definitions", {"taskDefinitionArns": []}, SEARCHED)
    app = APP | {"image": PINNED, "cpu": 512, "memory": 1024}
    asked = registration(cpu="512", memory="1024", containerDefinitions=[app, SIDECAR])
    ecs.answers("register_task_definition", {"taskDefinition": described(3)["taskDefinition"]}, asked)
    with ecs.asked_for_exactly_this():
        assert Attempt()(sizes.register_sized, order(BIGGER)).revision == "shop:3"


def test_a_pool_is_raised_in_its_container_and_nothing_else_is_touched(ecs, sizes):
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("describe_task_definition", described())
    ecs.answers("list_task_definitions", {"taskDefinitionArns": []}, SEARCHED)
    environment = [{"name": "TOKEN", "value": "hush"}, {"name": "DB_POOL_SIZE", "value": "20"}]
    app = APP | {"image": PINNED, "environment": environment}
    asked = registration(cpu="256", memory="512", containerDefinitions=[app, SIDECAR])
    ecs.answers("register_task_definition", {"taskDefinition": described(3)["taskDefinition"]}, asked)
    with ecs.asked_for_exactly_this():
        Attempt()(sizes.register_sized, order(POOL))


def test_after_a_lost_reply_the_copy_is_found_and_not_registered_again(ecs, sizes):
    made = described(3, APP | {"image": PINNED, "cpu": 512, "memory": 1024}, SIDECAR, cpu="512", memory="1024",
                     tags={CHANGE_TAG: "run-1"})  # fmt: skip
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("describe_task_definition", described())
    ecs.answers("list_task_definitions", {"taskDefinitionArns": [task_definition(3)]}, SEARCHED)
    ecs.answers("describe_task_definition", made)
    with ecs.asked_for_exactly_this():
        assert Attempt(2, long_ago())(sizes.register_sized, order(BIGGER)).revision == "shop:3"


def test_another_copy_of_the_same_run_is_not_taken_for_it(ecs, sizes):
    other = described(3, APP | {"image": PINNED}, SIDECAR, tags={CHANGE_TAG: "run-1"})
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("describe_task_definition", described())
    ecs.answers("list_task_definitions", {"taskDefinitionArns": [task_definition(3)]}, SEARCHED)
    ecs.answers("describe_task_definition", other)
    ecs.answers("register_task_definition", {"taskDefinition": described(4)["taskDefinition"]})
    with ecs.asked_for_exactly_this():
        assert Attempt()(sizes.register_sized, order(BIGGER)).revision == "shop:4"


def test_a_lost_reply_may_have_registered_it(ecs, sizes):
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("describe_task_definition", described())
    ecs.answers("list_task_definitions", {"taskDefinitionArns": []}, SEARCHED)
    ecs.loses("register_task_definition")
    attempt = Attempt()
    with (
        ecs.asked_for_exactly_this(),
        pytest.raises(UnreachableError, match="register a copy of shop:2") as raised,
    ):
        attempt(sizes.register_sized, order(BIGGER))
    assert not raised.value.certainly_not_made
    assert len(attempt.said) == 1
    assert LANDS_WITHIN.total_seconds() > 0


@pytest.mark.parametrize(
    "change",
    [
        TaskChange(cpu=4096, memory=1024),
        TaskChange(cpu=512, memory=128),
        TaskChange(variable="LD_PRELOAD", value="/tmp/evil.so", containers=("app",)),
        TaskChange(variable="DB_POOL_SIZE", value="2000", containers=("app",)),
    ],
)
def test_what_no_plan_asks_for_is_not_registered_whoever_asks(ecs, sizes, change):
    ecs.answers("describe_services", services(service(2, 2)))
    ecs.answers("describe_task_definition", described())
    with ecs.asked_for_exactly_this(), pytest.raises(PolicyError) as raised:
        Attempt()(sizes.register_sized, order(change))
    assert raised.value.certainly_not_made
