"""Names of the catalog, made of the names that clusters and services have on ECS."""

import re

import pytest

from runbook_model.catalog.fields import NAME
from starter.discovery.names import name_environments, name_services
from starter.exits import CliError


def environments(*clusters, given=None):
    return {cluster: named.name for cluster, named in name_environments(clusters, given).items()}


def services(*names, environment="prod"):
    return [named.name for named in name_services(names, environment).values()]


class TestEnvironments:
    @pytest.mark.parametrize(
        ("cluster", "name"),
        [
            ("ai-processor-prod", "prod"),
            ("prod", "prod"),
            ("staging-shop", "staging"),
            ("ShopProduction", "production"),
            ("shop_dev", "dev"),
            ("main", "main"),
            ("Main.Cluster_1", "main-cluster-1"),
        ],
    )
    def test_have_the_name_that_the_cluster_has(self, cluster, name):
        assert environments(cluster) == {cluster: name}

    def test_of_several_clusters_with_one_word_have_the_whole_names(self):
        assert environments("a-prod", "b-prod", "b-dev") == {
            "a-prod": "a-prod",
            "b-prod": "b-prod",
            "b-dev": "dev",
        }

    def test_never_have_one_name_twice(self):
        assert len(set(environments("Main", "main", "ma_in", "ma-in").values())) == 4

    def test_are_named_by_a_person_where_one_cluster_is_read(self):
        assert environments("main", given="live") == {"main": "live"}
        with pytest.raises(CliError, match="--environment live is for one cluster, and there are 2: a, b"):
            environments("a", "b", given="live")


class TestServices:
    @pytest.mark.parametrize(
        ("service", "name"),
        [
            ("ai-processor-service-prod", "ai-processor"),
            ("prod-orders", "orders"),
            ("orders-production", "orders"),
            ("OrdersService", "orders"),
            ("orders-staging", "orders-staging"),
            ("service", "service"),
            ("prod", "prod"),
            ("Shop-OrdersService9571FDD8-abcDEF", "shop-orders-service9571-fdd8-abc-def"),
        ],
    )
    def test_are_named_without_environment_and_service(self, service, name):
        assert services(service) == [name]

    @pytest.mark.parametrize("environment", ["prod", "live", "eu-prod", "production-us-2"])
    def test_have_one_name_in_all_environments_whose_names_have_a_word_of_the_same_meaning(self, environment):
        assert services("orders-prod", environment=environment) == ["orders"]

    def test_whose_short_names_are_the_same_keep_their_whole_names(self):
        assert services("orders", "orders-service", "orders-prod") == [
            "orders",
            "orders-service",
            "orders-prod",
        ]

    def test_have_names_that_the_catalog_takes(self):
        found = services("x" * 200, "X" * 200, "--", "Ä_ö", "a b", "A-b", "1.2.3")
        assert len(set(found)) == 7
        assert all(re.fullmatch(NAME, name) for name in found)
