"""The paper runbook: every procedure, every command filled in, nothing asked of the outside."""

import json
import shlex

import pytest

from starter.__main__ import run as call
from workflows.ids import PROCEDURES

CATALOG = """
[environments.prod]
cluster = "shops"
region = "eu-west-1"
prometheus_url = "http://prometheus:9090"

[services.shop.prod]
ecs_service = "shop-prod"
url = "http://shop"
log_group = "/ecs/shop"
terraform = { directory = "infra/shop" }
database = { dsn_env = "SHOP_DSN" }
probe = { path = "/buy", body = '{"it": "s"}' }

[[contacts]]
name = "On-call"
channel = "#oncall"
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Call the command line with a catalog, and with an environment in which no outside system is to be found."""
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    monkeypatch.setenv("RUNBOOK_CATALOG", str(file))
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    def printed(*words):
        code = call(("print", *words))
        return code, *capsys.readouterr()

    return printed


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_every_procedure_is_on_paper_with_commands_a_shell_can_read(run, procedure):
    code, out, _ = run(procedure, "prod/shop", "--json")
    assert code == 0
    commands = [line for step in json.loads(out)["steps"] for line in step["commands"]]
    assert commands
    for line in commands:
        assert line.startswith("#") or shlex.split(line)


def test_cluster_service_region_and_queries_come_from_the_catalog(run):
    _, page, _ = run("rollback", "prod/shop")
    assert "--cluster shops --services shop-prod" in page
    assert "--region eu-west-1" in page
    assert 'service="shop", environment="prod"' in page
    assert "terraform -chdir=infra/shop plan -out=runbook.tfplan -var=image_tag=TAG" in page
    assert "On-call: #oncall" in page


def test_the_dsn_is_named_and_never_shown(run, monkeypatch):
    monkeypatch.setenv("SHOP_DSN", "postgresql://admin:secret@db/shop")
    _, page, _ = run("database-issues", "prod/shop")
    assert '"$SHOP_DSN"' in page
    assert "secret" not in page


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("dance", "prod/shop"), "no procedure 'dance'; there are: database-issues"),
        (("rollback", "prod/other"), 'no service "other" in the catalog; there are: shop'),
        (("rollback", "staging/shop"), 'has no environment "staging"; it has: prod'),
        (("rollback", "shop"), "write ENVIRONMENT/SERVICE"),
    ],
)
def test_a_wrong_name_is_one_line_and_exit_2(run, args, says):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1
