"""The command line alone, installed from its wheel."""

import pytest

from starter import VERSION
from tests.integration.cli.installed import ROOT, Installed, install

pytestmark = pytest.mark.xdist_group("installed")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def installed(program, runbook, tmp_path):
    (tmp_path / "catalog.toml").write_text((ROOT / "deploy" / "catalog.example.toml").read_text())
    return Installed(program, tmp_path, runbook)


async def test_it_is_the_wheels_and_has_every_package_that_it_needs(installed, program):
    assert (await installed("--version")).out == f"runbook {VERSION}\n"
    helped = await installed("--help")
    assert (helped.code, helped.err) == (0, "")
    assert "Start a local sandbox." in helped.out
    (packages,) = (program.parents[1] / "lib").glob("python*/site-packages")
    assert not (packages / "starter").is_symlink()
    assert (packages / "starter" / "command_line.py").is_file()


async def test_catalog_and_paper_runbook_need_no_temporal(installed):
    away = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "RUNBOOK_CATALOG": "catalog.toml"}
    checked = await installed("catalog", "check", **away)
    hint = "catalog.toml: no [[channels]]: messages to contacts are written to the worker's log\n"
    assert (checked.code, checked.err) == (0, hint)
    printed = await installed("print", "rollback", "prod/ai-processor", **away)
    assert (printed.code, printed.err) == (0, "")
    assert "aws ecs update-service" in printed.out


async def test_a_run_is_started_listed_and_approved(installed):
    async with installed.worker():
        await installed.start_and_ask()
        listed = await installed("list", "--environment", installed.environment, "--open", "--json")
        assert [row["id"] for row in listed.json] == [installed.id]
        approved = await installed("approve", installed.short, "--json", user="bob")
    assert (approved.code, approved.json["confirmed"]) == (0, True)


@pytest.mark.parametrize("words", [("up",), ("demo",)])
async def test_what_needs_the_sandbox_says_in_one_line_how_to_install_it(installed, words):
    refused = await installed(*words)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "runbook: the sandbox needs the extra 'sandbox', which is not installed;"
        " in a clone: pip install '.[sandbox]'; with a wheel: pip install 'PATH-OF-THE-WHEEL[sandbox]'\n"
    )
