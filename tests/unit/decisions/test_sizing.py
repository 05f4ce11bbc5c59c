"""What tasks get that are too small, and what is refused: nothing is ever made smaller."""

from datetime import timedelta

import pytest

from runbook_model.authority.shown import plan_hash
from runbook_model.catalog.service_policies import Database, Pool, Scale, Terraform
from runbook_model.measured.database import DatabaseRead, HeldConnections, Instance
from runbook_model.releases.capacity import Capacity, TaskChange
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Image
from runbook_model.releases.terraform_plans import AttributeChange, ResourceChange, TerraformPlan
from runbook_model.reports import Ending, Outcome
from runbook_model.sizes import ContainerSize, TaskSize
from tests.ecs_facts import NOW, a_deployment, a_release, a_service, task_definition, with_a_sidecar
from tests.observing import a_target
from tests.symptoms import resources_read
from workflows.decisions.database import Cause, Diagnosis, classify
from workflows.decisions.database_remedies import NoReboot, RebootPlan, plan_reboot, room_for, used_up
from workflows.decisions.diagnosis import Cause as Behind
from workflows.decisions.diagnosis import Diagnosis as Why
from workflows.decisions.scaling import grows_first, saturated
from workflows.decisions.sizing import FARGATE, Reasons, SizePlan, bigger, bigger_pool, fell_short, size_plan
from workflows.decisions.terraform.sizing import TerraformSizePlan, size_by_terraform, values_for, way_back

POOL = Pool(env="DB_POOL_SIZE", size=20)
MODULE = Terraform(directory="/infra")
TARGET = a_target(service="shop", terraform=MODULE)
RELEASE = a_release(2).model_copy(update={"images": (Image(container="app", name="shop:1.2.0"),)})
HISTORY = ReleaseHistory(service=a_service(a_deployment(2, task_definition(2))), current=RELEASE)
BIGGER = TaskChange(cpu=512, memory=1024)
RAISED = TaskChange(variable="DB_POOL_SIZE", value="20", containers=("app",))


def size(cpu: int | None = 256, memory: int | None = 512, *, fargate: bool = True, **own: object) -> TaskSize:
    containers = own.pop("containers", (ContainerSize(name="app", **own),))
    return TaskSize(
        task_definition=task_definition(2), cpu=cpu, memory=memory, fargate=fargate, containers=containers
    )


def scaled(cpu: int = 512, memory: int = 1024):
    return a_target(scale=Scale(cpu=cpu, memory=memory))


@pytest.mark.parametrize(
    ("has", "wanted", "gets"),
    [
        ((256, 512), (512, 1024), (512, 1024)),
        ((512, 1024), (512, 2048), (512, 2048)),
        ((512, 1024), (1024, 2048), (1024, 2048)),
        ((1024, 2048), (512, 4096), (1024, 4096)),
    ],
)
def test_a_task_gets_what_the_catalog_says_and_never_less_than_it_has(has, wanted, gets):
    change = bigger(scaled(*wanted), size(*has))
    assert (change.cpu, change.memory) == gets


@pytest.mark.parametrize("has", [(512, 1024), (1024, 2048), (4096, 8192)])
def test_a_task_that_has_as_much_gains_nothing(has):
    ending = bigger(scaled(), size(*has))
    assert ending.outcome is Outcome.INCONCLUSIVE
    assert "nothing was changed" in ending.summary


@pytest.mark.parametrize(
    ("has", "wanted", "why"),
    [
        ((256, 512), (512, 512), "with 512 CPU units memory is 1024 to 4096 MB in steps of 1024"),
        ((256, 512), (512, 1500), "no task of 512 CPU units and 1500 MB"),
        ((1024, 2048), (512, 9000), "no task of 1024 CPU units and 9000 MB"),
        ((256, 512), (300, 1024), "scale.cpu must be one of 256, 512"),
        ((None, None), (512, 1024), "no CPU and memory of their own"),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_fix(has, wanted, why):
    ending = bigger(scaled(*wanted), size(*has))
    assert (ending.outcome, ending.error.kind) == (Outcome.REFUSED, "policy")
    assert why in ending.summary


def test_without_fargate_any_size_can_be_had():
    change = bigger(scaled(300, 1500), size(fargate=False))
    assert (change.cpu, change.memory) == (300, 1500)


@pytest.mark.parametrize(
    ("cpu", "least", "most", "step"),
    [(512, 1024, 4096, 1024), (1024, 2048, 8192, 1024), (2048, 4096, 16384, 1024), (4096, 8192, 30720, 1024),
     (8192, 16384, 61440, 4096), (16384, 32768, 122880, 8192)],
)  # fmt: skip
def test_fargates_combinations_are_those_that_aws_documents(cpu, least, most, step):
    memory = FARGATE[cpu]
    assert (memory[0], memory[-1], memory[1] - memory[0]) == (least, most, step)


def test_limits_of_containers_that_would_hold_a_bigger_task_back_are_reported():
    both = (ContainerSize(name="app", memory=400), ContainerSize(name="proxy", memory=100))
    ending = size_plan(TARGET, HISTORY, size(containers=both), BIGGER, Reasons())
    assert "every container of shop:2 has a limit of its own (app 400 MB, proxy 100 MB)" in ending.summary
    free = (ContainerSize(name="app"), ContainerSize(name="proxy", memory=100))
    assert isinstance(size_plan(TARGET, HISTORY, size(containers=free), BIGGER, Reasons()), SizePlan)


@pytest.mark.parametrize(
    ("pool", "given", "outcome", "said"),
    [
        (POOL, size(setting="20"), Outcome.INCONCLUSIVE, "has 20 connections already"),
        (POOL, size(setting="50"), Outcome.INCONCLUSIVE, "has 50 connections already"),
        (POOL, size(setting="many"), Outcome.REFUSED, "which is not a number"),
        (POOL, size(is_secret=True), Outcome.REFUSED, "comes from a secret"),
        (
            POOL,
            size(containers=(ContainerSize(name="a"), ContainerSize(name="b"))),
            Outcome.REFUSED,
            "no container",
        ),
    ],
)
def test_a_pool_that_cannot_be_raised_is_reported(pool, given, outcome, said):
    ending = bigger_pool(pool, given)
    assert ending.outcome is outcome
    assert said in ending.summary


def test_the_containers_that_have_a_pool_get_the_bigger_one():
    both = (ContainerSize(name="app", setting="10"), ContainerSize(name="proxy"))
    assert bigger_pool(POOL, size(containers=both)).containers == ("app",)
    assert bigger_pool(POOL, size()).containers == ("app",)


@pytest.mark.parametrize(
    ("given", "change", "short"),
    [
        (size(512, 1024), BIGGER, None),
        (size(1024, 2048), BIGGER, None),
        (size(512, 512), BIGGER, "512 MB instead of 1024"),
        (size(setting="20"), RAISED, None),
        (size(setting="10"), RAISED, "pool size 10 instead of 20"),
        (size(), RAISED, "pool size unset instead of 20"),
    ],
)
def test_what_tasks_still_lack_is_reported(given, change, short):
    assert fell_short(given, change) == short


class TestTerraform:
    def plan(self, *changes: tuple[str, str | None, str | None], **more: object) -> TerraformPlan:
        attributes = tuple(AttributeChange(path=path, before=old, after=new) for path, old, new in changes)
        resource = ResourceChange(address="a.b", action="update", attributes=attributes)
        variables = {"image_tag": "1.2.0", "cpu": "512", "memory": "1024"}
        return TerraformPlan(directory="/infra", hash="h", resources=(resource,), addresses=("a.b",),
                             **({"variables": variables} | more))  # fmt: skip

    def judged(self, terraform: TerraformPlan, change: TaskChange = BIGGER) -> TerraformSizePlan | Ending:
        return size_by_terraform(TARGET, HISTORY, size(), change, terraform, Reasons())

    def test_the_module_gets_the_tag_that_runs_for_its_default_would_be_deployed_too(self):
        assert values_for(TARGET, HISTORY, BIGGER) == {"image_tag": "1.2.0", "cpu": "512", "memory": "1024"}

    def test_the_module_keeps_the_apps_tag_although_a_sidecar_has_another(self):
        history = HISTORY.model_copy(update={"current": with_a_sidecar(RELEASE, "datadog-agent:7")})
        assert values_for(TARGET, history, BIGGER)["image_tag"] == "1.2.0"

    def test_bigger_tasks_are_said_to_run_what_the_tag_points_to_then(self):
        plan = self.judged(self.plan(("cpu", "256", "512")))
        assert "New tasks run what shop:1.2.0 points to at that time." in plan.not_restored

    def test_what_cannot_be_known_to_be_the_apps_is_not_applied(self):
        unclear = RELEASE.model_copy(update={"unclear": ("app", "agent")})
        ending = values_for(TARGET, HISTORY.model_copy(update={"current": unclear}), BIGGER)
        assert (ending.outcome, ending.error.kind) == (Outcome.REFUSED, "input")

    @pytest.mark.parametrize(
        "images",
        [
            (Image(container="app", name=f"shop@sha256:{1:064x}"),),
            (Image(container="app", name="shop:1"), Image(container="b", name="b:2")),
        ],
    )
    def test_without_one_tag_that_keeps_what_runs_nothing_is_applied(self, images):
        history = HISTORY.model_copy(update={"current": RELEASE.model_copy(update={"images": images})})
        ending = values_for(TARGET, history, BIGGER)
        assert (ending.outcome, ending.error.kind) == (Outcome.REFUSED, "policy")

    def test_the_pools_variable_is_the_databases(self):
        pool = Pool(terraform_variable="db_pool_size", size=20)
        target = a_target(terraform=MODULE, database=Database(dsn_env="DSN", pool=pool))
        assert values_for(target, HISTORY, RAISED) == {"image_tag": "1.2.0", "db_pool_size": "20"}

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ((("cpu", "1024", "512"),), "reduce a.b cpu (1024 → 512)"),
            ((("cpu", '"1024"', '"512"'),), "reduce a.b cpu (1024 → 512)"),
            ((("cpu", "256", "512"), ("desired_count", "5", "2")), "a.b desired_count (5 → 2)"),
            ((("c[0].environment.DB_POOL_SIZE", '"20"', '"10"'),), "DB_POOL_SIZE (20 → 10)"),
            (
                (("cpu", "256", "512"), ("c[0].image", '"shop:1.2.0"', '"shop:1.1.0"')),
                "also bring shop:1.1.0",
            ),
        ],
    )
    def test_a_plan_that_takes_something_or_brings_another_image_is_refused(self, changes, said):
        ending = self.judged(self.plan(*changes))
        assert (ending.outcome, ending.error.kind) == (Outcome.REFUSED, "policy")
        assert said in ending.summary

    def test_a_plan_that_deletes_something_is_refused(self):
        gone = ResourceChange(address="a.gone", action="delete")
        terraform = self.plan(("cpu", "256", "512"))
        terraform = terraform.model_copy(update={"resources": (*terraform.resources, gone)})
        assert "a.gone (deleted)" in self.judged(terraform).summary

    @pytest.mark.parametrize(
        "changes",
        [
            (("cpu", "256", "512"), ("memory", "512", "1024")),
            (("cpu", '"256"', '"512"'), ("revision", "7", "(known after apply)")),
            (("c[0].image", '"shop:1.1.9"', '"shop:1.2.0"'), ("cpu", "256", "512")),
            (("token", "(sensitive)", "(sensitive)"), ("cpu", None, "512")),
        ],
    )
    def test_a_plan_that_only_gives_is_made(self, changes):
        assert isinstance(self.judged(self.plan(*changes)), TerraformSizePlan)

    def test_a_plan_too_long_to_be_looked_through_needs_a_yes(self):
        plan = self.judged(self.plan(("cpu", "256", "512"), left_out=3))
        assert "3 changes of it are not shown" in plan.needs_yes

    def test_the_way_back_has_the_sizes_that_were(self):
        plan = self.judged(self.plan(("cpu", "256", "512")))
        assert way_back(plan, TARGET) == {"image_tag": "1.2.0", "cpu": "256", "memory": "512"}

    @pytest.mark.parametrize(
        ("changes", "back"),
        [((("x", '"10"', '"20"'),), "10"), ((("x", '"10"', '"20"'), ("y", "11", "20")), None), ((("x", "1", "2"),), None)],
    )  # fmt: skip
    def test_a_pools_size_before_is_read_from_the_plan_where_that_is_one(self, changes, back):
        target = a_target(
            terraform=MODULE,
            database=Database(dsn_env="DSN", pool=Pool(terraform_variable="db_pool_size", size=20)),
        )
        variables = {"image_tag": "1.2.0", "db_pool_size": "20"}
        terraform = self.plan(*changes, variables=variables)
        plan = size_by_terraform(target, HISTORY, size(), RAISED, terraform, Reasons())
        found = way_back(plan, target)
        if back:
            assert found == variables | {"db_pool_size": back}
        else:
            assert found == "what db_pool_size was before is not known: apply the module without it"


class TestWhen:
    @pytest.mark.parametrize(
        ("cause", "killed", "first"),
        [
            (Behind.MEMORY, 3, True),
            (Behind.MEMORY, 1, False),
            (Behind.MEMORY, 0, False),
            (Behind.LEAK, 3, False),
            (Behind.CPU, 3, False),
            (Behind.LOAD, 3, False),
        ],
    )
    def test_tasks_that_die_of_their_memory_limit_are_to_be_bigger_rather_than_more(
        self, cause, killed, first
    ):
        assert grows_first(Why(cause=cause, because=()), resources_read(killed=killed)) is first

    @pytest.mark.parametrize(
        ("resources", "said"),
        [
            (resources_read(cpu=0.9), "CPU 90 % (limit 80 %)"),
            (resources_read(memory=0.9), "memory 90 % (limit 85 %)"),
            (resources_read(killed=2), "2 tasks were killed at their memory limit"),
            (resources_read(), None),
            (resources_read(cpu=None, memory=None), None),
        ],
    )
    def test_what_single_tasks_have_used_up_is_reported(self, resources, said):
        assert saturated(TARGET, resources) == said


class TestPool:
    POLICY = Database(dsn_env="DSN", full=0.8, pool=POOL)

    def read(self, ours: int, others: int = 0, limit: int = 100, reserved: int = 3) -> DatabaseRead:
        def held(owner: str, count: int) -> HeldConnections:
            return HeldConnections(
                owner=owner, database="shop", state="idle", count=count, longest=timedelta(0)
            )

        return DatabaseRead(standing="serves", limit=limit, reserved=reserved, used=ours + others, at=NOW,
                            held=(held("shop:2", ours), held("web", others)))  # fmt: skip

    @pytest.mark.parametrize(
        ("used", "tasks", "limit", "wanted", "fits", "asks"),
        [
            ((4, 0), (2, None), 100, 40, True, None),
            ((40, 5), (2, None), 100, 45, True, None),
            ((40, 38), (2, None), 100, 78, True, "would fill the database"),
            ((40, 60), (2, None), 100, 100, False, None),
            ((4, 0), (2, 4), 100, 80, True, "would fill the database"),
            ((4, 0), (2, 5), 100, 100, False, None),
            ((40, 20), (3, None), 103, 80, True, "would fill the database"),
            ((60, 10), (3, None), 110, 70, True, "may want 130 of 107"),
        ],
    )
    def test_what_pools_may_ask_for_is_added_up(self, used, tasks, limit, wanted, fits, asks):
        capacity = Capacity(desired=tasks[0], running=tasks[0], maximum=tasks[1])
        room = room_for(TARGET, self.POLICY, POOL, self.read(*used, limit), capacity)
        assert room.wanted == wanted
        assert (room.lacks is None) is fits
        if fits:
            assert (room.needs_yes is None) if asks is None else (asks in room.needs_yes)

    @pytest.mark.parametrize(
        ("ours", "setting", "running", "cause"),
        [
            (20, "10", 2, Cause.POOL),
            (21, "10", 2, Cause.POOL),
            (19, "10", 2, Cause.HEALTHY),
            (20, None, 2, Cause.HEALTHY),
            (20, "ten", 2, Cause.HEALTHY),
            (20, "10", 0, Cause.HEALTHY),
            (85, "10", 2, Cause.LOAD),
        ],
    )
    def test_a_pool_is_the_cause_where_the_database_has_room_and_all_of_it_is_held(
        self, ours, setting, running, cause
    ):
        read, capacity = self.read(ours), Capacity(desired=2, running=running)
        found = used_up(TARGET, classify(read, self.POLICY), read, size(setting=setting), capacity)
        assert found.cause is cause

    def test_other_peoples_connections_are_not_the_pools(self):
        read = self.read(2, 40)
        found = used_up(
            TARGET, classify(read, self.POLICY), read, size(setting="10"), Capacity(desired=2, running=2)
        )
        assert isinstance(found, Diagnosis)
        assert found.cause is Cause.HEALTHY


class TestReboot:
    @pytest.mark.parametrize(
        "status", ["stopped", "storage-full", "failed", "incompatible-parameters", "deleting"]
    )
    def test_an_instance_that_a_reboot_does_not_fix_is_a_persons(self, status):
        plan = plan_reboot(TARGET, Instance(name="db", status=status), ())
        assert plan == NoReboot(why=f"db is {status}, which a reboot does not fix")

    @pytest.mark.parametrize("status", ["rebooting", "starting", "modifying", "backing-up"])
    def test_an_instance_in_a_state_that_passes_is_only_waited_for(self, status):
        assert plan_reboot(TARGET, Instance(name="db", status=status), ()).passes

    def test_another_restart_makes_another_plan(self):
        was = plan_reboot(TARGET, Instance(name="db", status="available"), ())
        now = plan_reboot(TARGET, Instance(name="db", status="available", restarted=NOW), ())
        assert isinstance(was, RebootPlan)
        assert plan_hash(was) != plan_hash(now)

    def test_that_others_lose_their_connections_and_no_failover_happens_is_reported(self):
        plan = plan_reboot(TARGET, Instance(name="db", status="available", multi_az=True), ("down",))
        assert plan.because == ("down", "db is available")
        assert any("also those of other services" in item for item in plan.not_restored)
        assert any("does not fail over" in item for item in plan.not_restored)
