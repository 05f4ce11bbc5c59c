"""The paper runbook: every procedure, every command filled in, nothing asked of the outside."""

import json
import shlex

import pytest

from runbook_model.names.procedures import PROCEDURES
from starter.__main__ import run as call
from tests.own_packages import install

CATALOG = """
[environments.prod]
cluster = "shops"
region = "eu-west-1"
prometheus_url = "http://prometheus:9090"

[environments.local]
platform = "compose"
compose = { project = "shops" }

[services.shop.prod]
ecs_service = "shop-prod"
url = "http://shop"
log_group = "/ecs/shop"
terraform = { directory = "infra/shop" }
database = { dsn_env = "SHOP_DSN" }
probe = { path = "/buy", body = '{"it": "s"}' }

[services.shop.local]
compose_service = "app"
url = "http://127.0.0.1:8000"
database = { compose_service = "postgres", user = "admin", name = "shop" }

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


@pytest.mark.parametrize("target", ["prod/shop", "local/shop"])
@pytest.mark.parametrize("procedure", PROCEDURES)
def test_every_procedure_is_on_paper_with_commands_a_shell_can_read(run, procedure, target):
    code, out, _ = run(procedure, target, "--json")
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


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_a_compose_target_has_the_commands_of_its_machine_and_none_of_aws(run, procedure):
    _, page, _ = run(procedure, "local/shop")
    assert "docker compose -p shops" in page
    assert "aws " not in page


def test_the_database_of_a_compose_target_is_asked_in_its_container(run):
    _, page, _ = run("database-issues", "local/shop")
    assert "docker compose -p shops exec -T postgres pg_isready -U admin -d shop" in page
    assert "psql -U admin -d shop -c 'SELECT count(*) FROM pg_stat_activity'" in page
    assert "docker compose -p shops restart postgres" in page


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
        (("rollback", "staging/shop"), 'has no environment "staging"; it has: local, prod'),
        (("rolback", "prod/shop"), "did you mean rollback?"),
        (("rollback", "prod/shp"), "did you mean shop?"),
        (("rollback", "prd/shop"), "did you mean prod?"),
        (("rollback", "shop/prod"), "write the environment first: prod/shop"),
        (("rollback", "shop"), "write ENVIRONMENT/SERVICE"),
    ],
)
def test_a_wrong_name_is_one_line_and_exit_2(run, args, says):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_scaling_up_by_terraform_keeps_the_image(run):
    _, page, _ = run("resource-issues", "prod/shop")
    wanted = "-var=image_tag=TAG-THAT-RUNS -var=cpu=512 -var=memory=1024"
    assert f"terraform -chdir=infra/shop plan -out=runbook.tfplan {wanted}" in page


class TestWithoutTerraform:
    """A service whose task definition nobody else writes."""

    @pytest.fixture
    def on_paper(self, tmp_path, monkeypatch, capsys):
        file = tmp_path / "catalog.toml"
        database = 'database = { dsn_env = "SHOP_DSN", rds_instance = "shop-db", pool = { env = "POOL", size = 20 } }'
        text = CATALOG.replace('terraform = { directory = "infra/shop" }\n', "")
        file.write_text(text.replace('database = { dsn_env = "SHOP_DSN" }', database))
        monkeypatch.setenv("RUNBOOK_CATALOG", str(file))

        def commands(procedure):
            assert call(("print", procedure, "prod/shop", "--json")) == 0
            steps = json.loads(capsys.readouterr().out)["steps"]
            return [line for step in steps for line in step["commands"]]

        return commands

    @pytest.mark.parametrize(
        ("procedure", "change"),
        [
            ("high-latency", '.cpu = "512" | .memory = "1024"'),
            (
                "database-issues",
                '.containerDefinitions[0].environment |= (map(select(.name != "POOL")) + [{name: "POOL", value: "20"}])',
            ),
        ],
    )
    def test_a_copy_is_registered_with_what_changes_and_the_service_updated_to_it(
        self, on_paper, procedure, change
    ):
        commands = on_paper(procedure)
        at = next(n for n, line in enumerate(commands) if "| jq" in line)
        program = shlex.split(commands[at])[-3]
        assert program.startswith("del(.taskDefinitionArn, .revision, .status")
        assert program.endswith(f") | {change}")
        assert (
            "register-task-definition --region eu-west-1 --cli-input-json file://bigger.json"
            in commands[at + 1]
        )
        assert "--service shop-prod --task-definition FAMILY:NEW-REVISION" in commands[at + 2]

    def test_the_instance_is_rebooted_and_waited_for(self, on_paper):
        commands = on_paper("database-issues")
        at = next(n for n, line in enumerate(commands) if "reboot-db-instance" in line)
        assert commands[at].endswith("--db-instance-identifier shop-db")
        assert "wait db-instance-available" in commands[at + 1]


class TestOfOnesOwn:
    def test_it_is_printed_from_its_page_with_the_commands_of_its_code_blocks(
        self, run, tmp_path, monkeypatch
    ):
        install(tmp_path, monkeypatch)
        code, page, _ = run("purge-cache", "prod/shop")
        assert code == 0
        assert page.startswith(
            "# purge-cache: shop in prod\n\n1. Look. At the cache.\n\n   ```\n   # the size\n   cache size"
        )
        assert "\n2. Purge it. Once.\n" in page

    def test_the_worked_example_brings_commands_of_the_target(self, run, tmp_path, monkeypatch):
        module = "from stuck_deployment.procedure import PROCEDURE\n"
        install(tmp_path, monkeypatch, name="stuck-deployment", module=module)
        _, page, _ = run("stuck-deployment", "prod/shop")
        assert "aws ecs stop-service-deployment --region eu-west-1 --stop-type ROLLBACK" in page

    def test_one_whose_package_cannot_be_used_says_why(self, run, tmp_path, monkeypatch):
        install(tmp_path, monkeypatch, module="import nothing_there")
        code, out, err = run("purge-cache", "prod/shop")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "cache-procedures 1.2: cache_procedures:PROCEDURE cannot be imported" in err

    def test_one_that_only_the_catalog_names_says_what_to_install(self, run, tmp_path):
        file = tmp_path / "catalog.toml"
        file.write_text(f'procedures = ["purge-cache"]\n{file.read_text()}')
        code, _, err = run("purge-cache", "prod/shop")
        assert code == 2
        assert "the package that brings purge-cache is not installed here" in err
