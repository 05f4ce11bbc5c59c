"""Procedures that packages bring: named without being imported, loaded one by one, and checked before they are served."""

import dataclasses
import importlib
import os
import re
import subprocess
import sys

import pytest
from temporalio.common import MetricMeter
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.doctor.checkup import look_at_procedures
from activities.doctor.looking import NotSetError, WrongError
from activities.registry import ActivityRegistry, OfPackages
from activities.runtime.change_guard import GuardChanges
from activities.runtime.interceptors import EnvironmentGuard
from activities.runtime.settings import Settings
from activities.temporal.predecessor import CHANGES
from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.target import Target
from runbook_model.errors import InputError, PolicyError
from runbook_model.fact import Fact
from runbook_model.names.procedures import (
    PROCEDURES,
    KnownProcedures,
    installed,
    problem_of_name,
    procedure_of,
    workflow_type,
)
from starter.procedures import BUILT_IN
from tests.own_packages import install
from workflows.procedures import check_page
from workflows.procedures.packages import load_own

CATALOG = """
[environments.prod]
region = "eu-west-1"
cluster = "shops"
[services.shop.prod]
ecs_service = "shop-prod"
"""
ROW = '[[alerts]]\nname = "CacheFull"\nseverity = "info"\nrespond_within = "1h"\nprocedure = "{}"\n'


@pytest.fixture
def package(tmp_path, monkeypatch):
    return lambda **more: install(tmp_path, monkeypatch, **more)


class Purge(Fact):
    target: Target


def a_catalog(tmp_path, text=""):
    (tmp_path / "catalog.toml").write_text(CATALOG + text)
    return tmp_path / "catalog.toml"


class TestNames:
    @pytest.mark.parametrize("name", [*PROCEDURES, "stuck-deployment", "a", "s3-full", "p95-a1"])
    def test_the_type_of_the_workflow_is_made_of_the_name_and_leads_back_to_it(self, name):
        assert problem_of_name(name) is None
        assert procedure_of(workflow_type(name)) == name

    @pytest.mark.parametrize(
        "name", ["", "Purge", "a--b", "-a", "a-", "a_b", "disk-80", "x" * 64, "incident", "hold"]
    )
    def test_what_cannot_be_a_name_is_said_to_be_none(self, name):
        assert problem_of_name(name)

    def test_the_products_own_are_described_as_a_packages_are(self):
        assert sorted(procedure.name for procedure in BUILT_IN) == sorted(PROCEDURES)
        assert all(procedure.paper for procedure in BUILT_IN)


class TestLoading:
    def test_one_that_is_installed_is_named_without_being_imported(self, package):
        package(module="raise RuntimeError('imported')")
        assert [entry.name for entry in installed()] == ["purge-cache"]

    def test_it_is_loaded_with_its_activities_and_what_they_change(self, package):
        package()
        own = load_own()
        assert [*own.loaded] == ["purge-cache"]
        assert own.known == KnownProcedures({"purge-cache": "cache-procedures 1.2"})
        assert own.changes == {"purge_cache": "PurgeCache"}
        assert own.loaded["purge-cache"].activity_names() == {"purge_cache", "await_cache"}

    def test_a_build_of_the_worker_has_the_version_of_each_package(self, package):
        package()
        package(package="other", name="drain", version="7")
        assert load_own().build_id("2f1c") == "2f1c+cache-procedures-1.2+other-7"
        assert load_own().build_id(None) is None

    def test_two_packages_of_one_name_are_an_error_of_one_line(self, package):
        package()
        package(package="other", version="7")
        with pytest.raises(
            InputError, match=r'^the procedure "purge-cache" is registered by .+ and by .+'
        ) as raised:
            load_own()
        assert {"cache-procedures 1.2", "other 7"} == set(
            re.findall(r"[a-z-]+ [0-9.]+", raised.value.message)
        )
        assert len(str(raised.value).splitlines()) == 1

    def test_no_package_takes_the_name_of_one_of_the_products(self, package):
        package(name="rollback")
        with pytest.raises(
            InputError, match="registered by incident-runbooks itself and by cache-procedures"
        ):
            load_own()

    @pytest.mark.parametrize(
        ("module", "why"),
        [
            (
                "import no_such_module",
                "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
            ),
            ("PROCEDURE = 1", "cache_procedures:PROCEDURE is no Procedure"),
            ("raise SystemError('odd')", "cannot be imported: SystemError: odd"),
        ],
    )
    def test_one_that_cannot_be_used_is_known_with_the_reason_and_the_others_continue(
        self, package, module, why
    ):
        package(module=module)
        package(package="other", name="drain")
        own = load_own()
        assert [*own.loaded] == ["drain"]
        assert own.known.broken["purge-cache"].startswith("cache-procedures 1.2: ")
        assert why in own.known.broken["purge-cache"]
        assert own.build_id("b") == "b+cache-procedures-1.2+other-1.2"

    def test_one_whose_workflow_cannot_be_loaded_in_the_sandbox_is_broken(self, package, tmp_path):
        package()
        text = (tmp_path / "cache_procedures.py").read_text()
        guard = "import sys\nif 'cache_procedures' in sys.modules and workflow.unsafe.in_sandbox(): raise OSError('no')\n"
        (tmp_path / "cache_procedures.py").write_text(text + guard)
        assert "cannot be loaded in the sandbox of workflows" in load_own().known.broken["purge-cache"]


class TestWorker:
    def test_two_packages_of_one_name_stop_it_with_one_line(self, package, tmp_path):
        package()
        package(package="other", version="7")
        known = {"RUNBOOK_CATALOG": str(a_catalog(tmp_path)), "PYTHONPATH": str(tmp_path)}
        ended = subprocess.run(
            [sys.executable, "-m", "worker"],
            env=os.environ | known,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith('worker: the procedure "purge-cache" is registered by ')
        assert "; uninstall all of them but one, or give it another name\n" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


class TestServing:
    @pytest.fixture
    def parts(self, tmp_path):
        settings = Settings(RUNBOOK_CATALOG=tmp_path / "catalog.toml")
        return ActivityRegistry(
            None,
            settings,
            None,
            MetricMeter.noop,
            EnvironmentGuard({}),
            OfPackages(KnownProcedures(), {}, ()),
        )

    def test_its_activities_are_served_with_the_products_and_waits_only_where_nothing_changes(
        self, package, parts
    ):
        package()
        found = load_own().loaded["purge-cache"]
        parts.add(found.activities, found.changes)
        assert {"purge_cache", "await_cache", "deploy_release"} <= {
            activity.__name__ for activity in parts.short
        }
        assert {"await_cache"} == {activity.__name__ for activity in parts.long} & {
            "purge_cache",
            "await_cache",
        }
        assert parts.short[-1].__self__.clients.engine

    def test_an_activity_of_a_name_that_is_taken_is_refused(self, package, parts):
        package()
        found = load_own().loaded["purge-cache"]
        parts.add(found.activities, found.changes)
        with pytest.raises(ValueError, match="there is another activity called await_cache, purge_cache"):
            parts.add(found.activities, found.changes)


class TestGuard:
    """Whoever reaches a queue can send an activity of a package a target of another environment."""

    class Purging(ActivityInboundInterceptor):
        def __init__(self):
            pass

        async def execute_activity(self, input):  # noqa: A002, ARG002 - the SDK's signature
            return "purged"

    @pytest.mark.parametrize("given", [lambda item: item, lambda item: Purge(target=item)])
    async def test_an_activity_is_refused_a_target_of_another_environment(self, tmp_path, given):
        target = load_catalog(a_catalog(tmp_path)).target("shop", "prod")
        call = ExecuteActivityInput(fn=print, args=(given(target),), executor=None, headers={})
        for whose, refused in (("prod", False), ("staging", True)):
            asked = ActivityEnvironment()
            guard = GuardChanges(EnvironmentGuard({asked.info.task_queue: whose}), a_catalog(tmp_path), ())
            guarded = guard.intercept_activity(self.Purging()).execute_activity
            if refused:
                with pytest.raises(PolicyError, match='refuses work for the environment "prod"'):
                    await asked.run(guarded, call)
            else:
                assert await asked.run(guarded, call) == "purged"


class TestDoctor:
    def looks(self, tmp_path, known, text=""):
        return look_at_procedures(a_catalog(tmp_path, text), known)

    def test_it_lists_them_with_their_packages(self, tmp_path):
        known = KnownProcedures({"purge-cache": "cache-procedures 1.2"})
        assert self.looks(tmp_path, known, ROW.format("purge-cache")) == "purge-cache by cache-procedures 1.2"

    def test_without_any_it_is_not_set(self, tmp_path):
        with pytest.raises(NotSetError):
            self.looks(tmp_path, KnownProcedures())

    def test_a_package_that_cannot_be_used_is_red_with_the_reason(self, tmp_path):
        known = KnownProcedures(broken={"purge-cache": "cache-procedures 1.2: cannot be imported"})
        with pytest.raises(WrongError, match=r"cache-procedures .+: cannot be imported") as raised:
            self.looks(tmp_path, known)
        assert raised.value.fix.startswith("install a working version of the package")

    def test_a_row_whose_procedure_the_worker_does_not_have_is_red_with_the_nearest_name(self, tmp_path):
        with pytest.raises(
            WrongError, match=r"this worker has no procedure rolback \(did you mean rollback\?\)"
        ):
            self.looks(tmp_path, KnownProcedures(), ROW.format("rolback"))


class TestPages:
    @pytest.fixture
    def procedure(self, package):
        return importlib.import_module(package()).PROCEDURE

    @pytest.mark.parametrize("procedure", BUILT_IN, ids=lambda item: item.name)
    def test_every_page_of_the_product_is_sound(self, procedure):
        assert check_page(procedure) == []

    def test_what_is_in_a_code_block_is_no_heading(self, procedure):
        assert check_page(procedure) == []

    def test_another_order_of_headings_is_found(self, procedure, tmp_path):
        (tmp_path / "other.md").write_text("# Purge\n\n## Purge it\n\n## Look\n")
        (problem,) = check_page(dataclasses.replace(procedure, page=tmp_path / "other.md"))
        assert problem == (
            "the headings of other.md are not those of the workflow, in its order:"
            " ['Purge it', 'Look'] and ['Look', 'Purge it']"
        )

    def test_a_change_that_is_not_marked_is_found(self, procedure):
        (problem,) = check_page(dataclasses.replace(procedure, changes={}))
        assert problem.startswith("purge_cache changes something, and nothing says so")

    def test_a_mark_on_what_is_no_activity_is_found(self, procedure):
        marks = {**procedure.changes, "purge_all": "Purge"}
        assert check_page(dataclasses.replace(procedure, changes=marks)) == [
            "`changes` names purge_all, which is not an activity of purge-cache"
        ]

    def test_a_type_that_is_not_made_of_the_name_is_found(self, procedure):
        assert "the workflow of drain has the type PurgeCache: rename its class to Drain" in check_page(
            dataclasses.replace(procedure, name="drain")
        )

    def test_the_products_changes_are_marked_too(self):
        assert CHANGES["deploy_release"] == "UpdateService"
