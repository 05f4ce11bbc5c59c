from datetime import timedelta

import pytest

from runbook_model.catalog.catalog import parse_catalog
from sandbox.catalog import catalog_text

URLS = {"staging": "http://127.0.0.1:20001", "prod": "http://127.0.0.1:20002"}


@pytest.fixture
def catalog():
    return parse_catalog(catalog_text(URLS, "http://127.0.0.1:20003"), "catalog.toml")


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_the_product_finds_each_ecs_environment_by_its_fixed_names(catalog, environment):
    target = catalog.target("ai-processor", environment)
    assert target.cluster == f"ai-processor-{environment}"
    assert target.ecs_service == f"ai-processor-service-{environment}"
    assert target.log_group == f"/ecs/ai-processor-{environment}"
    assert target.url == URLS[environment]
    assert target.prometheus_url == "http://127.0.0.1:20003"
    assert target.release_label == "release"


@pytest.mark.parametrize("environment", ["staging", "prod", "local"])
def test_rehearsals_are_quick_but_leave_people_time(catalog, environment):
    target = catalog.target("ai-processor", environment)
    assert target.rollback.soak == timedelta(0)
    assert target.verify.rate_window <= timedelta(seconds=15)
    assert target.verify.bake <= timedelta(seconds=15)
    assert target.approvals.timeout >= timedelta(minutes=15)


def test_staging_asks_nobody_and_prod_asks_anyone_but_the_requester(catalog):
    assert catalog.target("ai-processor", "staging").approvals.needed == 0
    prod = catalog.target("ai-processor", "prod").approvals
    assert (prod.needed, prod.people, prod.requester_may) == (1, (), False)


def test_local_is_a_compose_project_with_its_own_address():
    text = catalog_text(URLS, "http://127.0.0.1:20003", local_url="http://127.0.0.1:20004", databases=True)
    target = parse_catalog(text, "catalog.toml").target("ai-processor", "local")
    assert (target.platform, target.compose_project) == ("compose", "ai-processor-local")
    assert target.compose_service == "ai-processor"
    assert (target.url, target.prometheus_url) == ("http://127.0.0.1:20004", "http://127.0.0.1:20003")
    assert target.database.compose_service == "postgres"


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_the_service_whose_deployments_shift_traffic_is_in_the_catalog_on_request(environment):
    without = parse_catalog(catalog_text(URLS, None), "catalog.toml")
    assert "bluegreen" not in without.services
    urls = {"staging": "http://127.0.0.1:20005", "prod": "http://127.0.0.1:20006"}
    catalog = parse_catalog(catalog_text(URLS, None, blue_green_urls=urls), "catalog.toml")
    target = catalog.target("bluegreen", environment)
    assert target.ecs_service == "ai-processor-service-bluegreen"
    assert (target.cluster, target.url) == (f"ai-processor-{environment}", urls[environment])
    assert target.has("load-balancer")


def test_without_prometheus_the_catalog_names_none():
    catalog = parse_catalog(catalog_text(URLS, None), "catalog.toml")
    assert catalog.target("ai-processor", "prod").prometheus_url is None


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_a_database_is_named_by_its_variable_where_there_is_one(environment):
    with_databases = parse_catalog(catalog_text(URLS, None, databases=True), "catalog.toml")
    database = with_databases.target("ai-processor", environment).database
    assert database.dsn_env == f"AI_PROCESSOR_DSN_{environment.upper()}"
    assert database.leaked_after == timedelta(seconds=5)


@pytest.mark.parametrize("environment", ["staging", "prod", "local"])
def test_without_postgresql_no_database_is_named(catalog, environment):
    assert catalog.target("ai-processor", environment).database is None


def test_with_alerts_people_are_notified_in_a_slack_and_calls_reach_them_there():
    catalog = parse_catalog(catalog_text(URLS, None, alerts=True), "catalog.toml")
    (channel,) = catalog.channels
    assert (channel.kind, channel.secret_env) == ("slack", "SANDBOX_SLACK_TOKEN")
    assert {contact.channel for contact in catalog.contacts} == {channel.name}
    assert catalog.incidents.quiet <= timedelta(seconds=15)


def test_without_alerts_nobody_is_notified_but_the_log(catalog):
    assert catalog.channels == ()


def test_decisions_in_prod_are_signed_where_somebody_is_named_for_it():
    catalog = parse_catalog(catalog_text(URLS, None, signers=("alice", "bob", "carol")), "catalog.toml")
    prod, staging = (catalog.environments[name].approvals for name in ("prod", "staging"))
    assert (prod.signed, prod.people, prod.requester_may) == (True, ("alice", "bob", "carol"), False)
    assert not staging.signed
