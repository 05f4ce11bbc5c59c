"""Compose environments in the catalog: what is resolved, and every mistake with its fix."""

import pytest

from runbook_model.catalog.catalog import parse_catalog
from runbook_model.errors import CatalogError

LOCAL = """
[environments.local]
platform = "compose"
compose = { project = "shops" }
[services.shop.local]
url = "http://127.0.0.1:8000"
database = { compose_service = "postgres", user = "admin", name = "shop" }
"""
ECS = """
[environments.prod]
cluster = "shops"
[services.shop.prod]
ecs_service = "shop"
"""


def problem(text: str) -> str:
    with pytest.raises(CatalogError) as raised:
        parse_catalog(text, "catalog.toml")
    [line] = raised.value.problems
    return line


def test_a_compose_target_has_its_project_and_by_default_its_own_name_as_service():
    target = parse_catalog(LOCAL, "catalog.toml").target("shop", "local")
    assert (target.platform, target.compose_project, target.compose_service) == ("compose", "shops", "shop")
    assert (target.database.compose_service, target.database.dsn_env) == ("postgres", None)


def test_the_name_in_the_compose_file_may_be_another():
    text = LOCAL.replace("url =", 'compose_service = "app"\nurl =')
    assert parse_catalog(text, "catalog.toml").target("shop", "local").compose_service == "app"


def test_a_target_on_ecs_has_neither():
    target = parse_catalog(ECS, "catalog.toml").target("shop", "prod")
    assert (target.compose_project, target.compose_service) == ("", "")


def test_without_a_project_names_still_resolve():
    text = LOCAL.replace('compose = { project = "shops" }', "")
    assert parse_catalog(text, "catalog.toml").target("shop", "local").compose_project == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            ECS.replace('cluster = "shops"', 'cluster = "shops"\ncompose = { project = "shops" }'),
            'environments.prod: compose is for platform "compose": remove it',
        ),
        (
            LOCAL.replace("[services", 'release_label = "release"\n[services'),
            "environments.local: release_label is for ECS: remove it",
        ),
        (LOCAL.replace('"shops"', '"-x y"'), "environments.local.compose.project"),
        (LOCAL.replace("user", "usr"), "unknown key (did you mean user?)"),
        (LOCAL.replace('"admin"', '"-c evil"'), "services.shop.local.database.user"),
        (LOCAL.replace('compose_service = "postgres", ', ""), 'names no way to reach it: add dsn_env = "…"'),
        (LOCAL + 'container = "app"', "services.shop.local: container is for ECS: remove it"),
        (LOCAL + 'queue = "orders"', "services.shop.local: queue is for ECS: remove it"),
        (LOCAL + 'log_group = "/ecs/shop"', "services.shop.local: log_group is for ECS: remove it"),
        (
            LOCAL + 'metrics = { release_label = "release" }',
            "services.shop.local: metrics.release_label is for ECS: remove it",
        ),
        (ECS + 'compose_service = "app"', "compose_service is for compose environments: remove it"),
        (
            ECS + 'database = { dsn_env = "A_DSN", compose_service = "postgres" }',
            "database.compose_service is for compose environments: remove it",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_fix(text, says):
    assert says in problem(text)
