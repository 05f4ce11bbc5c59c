"""One ECS service has one name in the catalog: two names would be two locks for one thing."""

import pytest

from runbook_model.catalog.catalog import parse_catalog
from runbook_model.errors import CatalogError

ROLE = 'assume_role = { role_arn = "arn:aws:iam::222233334444:role/runbooks" }'
ARN = "arn:aws:ecs:us-east-1:111122223333:service/main"


def catalog(first='"shop"', second='"shop"', *, name="store", environment="prod", more=""):
    return f"""
[environments.prod]
platform = "ecs"
region = "us-east-1"
cluster = "main"
[environments.staging]
platform = "ecs"
region = "us-east-1"
cluster = "main"
{more}
[services.shop.prod]
ecs_service = {first}
[services.{name}.{environment}]
ecs_service = {second}
"""


@pytest.mark.parametrize(
    ("name", "environment"), [("store", "prod"), ("store", "staging"), ("shop", "staging")]
)
def test_two_targets_that_are_one_ecs_service_are_refused_across_environments_too(name, environment):
    with pytest.raises(CatalogError) as raised:
        parse_catalog(catalog(name=name, environment=environment), "c.toml")
    (problem,) = raised.value.problems
    assert (
        f'services.{name}.{environment}.ecs_service = "shop": is the same ECS service as services.shop.prod'
        in problem
    )


def test_an_arn_is_the_same_as_its_name():
    both = catalog(f'"{ARN}/shop"', f'"{ARN}/shop"')
    with pytest.raises(CatalogError, match="is the same ECS service"):
        parse_catalog(both, "c.toml")
    with pytest.raises(CatalogError, match="is the same ECS service"):
        parse_catalog(catalog(second=f'"{ARN}/shop"'), "c.toml")


@pytest.mark.parametrize(
    "text",
    [
        catalog(second='"other"'),
        catalog(environment="staging", more=ROLE),
        catalog(environment="staging").replace('"main"', '"staging"', 2).replace('"staging"', '"main"', 1),
    ],
    ids=["another service", "another account", "another cluster"],
)
def test_what_is_elsewhere_is_another_service(text):
    assert parse_catalog(text, "c.toml")
