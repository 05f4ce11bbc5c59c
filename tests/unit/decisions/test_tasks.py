"""What people are asked to do, or are left to do: what it says, where it leads, and whether the run waits for it."""

from urllib.parse import parse_qs, urlsplit

import pytest

from runbook_model.catalog.service_policies import Database
from runbook_model.measured.readings import Quality, Reading
from runbook_model.names import ids
from runbook_model.reports import Task
from tests.observing import NOW, a_target
from tests.symptoms import a_figure
from workflows.decisions.diagnosis import Cause, Diagnosis
from workflows.decisions.diagnosis.cause import unread
from workflows.decisions.tasks import (
    bring_dependency_back,
    database_console,
    find_the_cause,
    find_the_leak,
    links_of,
    make_faster,
    make_room_in_the_cluster,
    see_more,
    use_less,
    would_ask,
)

TARGET = a_target(repository="https://git.test/shop", links={"grafana": "https://grafana.test"})
SLOW = Diagnosis(cause=Cause.CODE_PATH, because=("only /slow is slow, /quick is not",), release="shop:7")
READINGS = (
    Reading(kind="health", quality=Quality.BAD, value=503, detail="503 on /health", source="http", at=NOW),
)


@pytest.mark.parametrize("ask", [find_the_cause, bring_dependency_back, make_room_in_the_cluster])
def test_what_the_remedy_waits_for_is_immediate_and_shows_what_was_measured(ask):
    task = ask(TARGET, SLOW.citing("p95 2.10s"), READINGS)
    assert (task.kind, task.state, task.why) == ("immediate", "open", SLOW.summary)
    assert task.look_at == ("p95 2.10s", "health: 503 on /health (http)")
    assert task.links["grafana"] == "https://grafana.test"


def test_where_all_readings_are_good_a_plan_says_so_first():
    fine = Diagnosis(cause=Cause.FINE, because=("0.0 % fail",))
    task = find_the_cause(TARGET, fine, READINGS)
    assert task.what == "Check what is still wrong, and choose what to do, or skip"
    assert would_ask(task, fine.summary) == (
        "All readings are good: 0.0 % fail. A person would be asked whether something is still wrong."
    )


def test_what_could_not_be_read_is_said_once():
    blind = "logs not known: the catalog names no log group"
    found = Diagnosis(cause=Cause.UNKNOWN, because=("30.0 % fail", blind), doubts=(blind,))
    assert found.summary == f"unknown: 30.0 % fail; {blind}"


def test_a_reason_that_several_readings_have_in_common_is_given_once():
    why = "the catalog names no prometheus_url"
    blind = a_figure(None).model_copy(update={"why": why})
    away = blind.model_copy(update={"why": "no answer in time"})
    assert unread(usual_requests=blind, load=away, memory_over_time=blind, p95=a_figure(0.1)) == (
        f"usual requests, memory over time not known: {why}",
        "load not known: no answer in time",
    )


@pytest.mark.parametrize("leave", [make_faster, use_less, find_the_leak])
def test_what_takes_days_is_for_the_review_and_names_what_was_found(leave):
    task = leave(TARGET, SLOW.citing("/slow: p95 2.50s, mean 1.50s"))
    assert task.kind == "long-term"
    assert task.look_at[0] == "/slow: p95 2.50s, mean 1.50s"


@pytest.mark.parametrize("leave", [make_faster, find_the_leak])
def test_what_started_with_a_release_says_how_to_go_back(leave):
    command = "`runbook start rollback prod/ai-processor`"
    assert leave(TARGET, SLOW).look_at == (f"it started with shop:7: {command} puts an earlier release back",)
    assert leave(TARGET, SLOW.model_copy(update={"release": None})).look_at == ()


def test_what_could_not_be_read_is_left_to_those_who_watch_over_the_service():
    blind = SLOW.model_copy(update={"doubts": ("logs not known: no log group", "CPU not known: no series")})
    task = see_more(TARGET, blind)
    assert (task.kind, task.why) == ("monitoring", "logs not known: no log group; CPU not known: no series")
    assert see_more(TARGET, SLOW) is None


def test_a_prometheus_query_is_a_link_that_asks_it():
    asked = SLOW.citing(p95_now=a_figure(2.0).model_copy(update={"query": 'rate(x{a="b"}[5m]) / 2'}))
    address = urlsplit(make_faster(TARGET, asked).links["Prometheus: p95 now"])
    assert f"{address.scheme}://{address.netloc}" == TARGET.prometheus_url
    assert parse_qs(address.query)["g0.expr"] == ['rate(x{a="b"}[5m]) / 2']


def test_only_what_prometheus_was_asked_is_a_query_of_its():
    assert SLOW.citing(CPU=a_figure(0.9, source="cloudwatch")).queries == {}
    asked = SLOW.citing(CPU=a_figure(0.9))
    assert "Prometheus: CPU" not in links_of(a_target(prometheus_url=None), asked.queries)


def test_consoles_and_repository_are_linked_and_the_catalogs_links_go_first():
    links = links_of(TARGET.model_copy(update={"links": {"ECS console": "https://mine.test"}}))
    assert links == {
        "ECS console": "https://mine.test",
        "CloudWatch logs": (
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
            "#logsV2:log-groups/log-group/$252Fecs$252Fai-processor-prod"
        ),
        "repository": "https://git.test/shop",
    }
    assert links_of(TARGET)["ECS console"] == (
        "https://us-east-1.console.aws.amazon.com/ecs/v2/clusters/ai-processor-prod"
        "/services/ai-processor-service-prod/health?region=us-east-1"
    )


@pytest.mark.parametrize(
    ("region", "host"),
    [("cn-north-1", "console.amazonaws.cn"), ("us-gov-west-1", "console.amazonaws-us-gov.com")],
)
def test_other_partitions_have_other_consoles(region, host):
    address = links_of(a_target(region=region))["ECS console"]
    assert urlsplit(address).netloc == f"{region}.{host}"


def test_a_service_that_runs_by_compose_has_no_console():
    local = a_target(platform="compose", cluster="", ecs_service="", repository=None, prometheus_url=None)
    assert links_of(local) == {}


def test_the_database_has_a_console_where_the_catalog_names_its_instance():
    database = Database(dsn_env="SHOP_DSN", rds_instance="shop-prod")
    found = database_console(a_target(database=database))
    assert found["RDS console"].endswith("/rds/home?region=us-east-1#database:id=shop-prod")
    assert database_console(a_target(database=Database(dsn_env="SHOP_DSN"))) == {}
    assert database_console(a_target()) == {}


@pytest.mark.parametrize(
    ("answer", "wording"),
    [
        ({}, "open"),
        ({"state": "done", "by": "bob"}, "done by bob"),
        ({"state": "skipped", "by": "bob", "comment": "the DBA has it"}, "skipped by bob: the DBA has it"),
        ({"state": "done", "chosen": "restart", "by": "bob"}, "restart by bob"),
    ],
)
def test_what_became_of_a_task_is_reported_in_a_few_words(answer, wording):
    assert Task(what="Look", kind="immediate", **answer).summary == wording


@pytest.mark.parametrize(
    ("run", "answered_at"),
    [
        ("remediation/prod/shop", "remediation/prod/shop"),
        ("remediation/prod/shop/rollback", "remediation/prod/shop"),
        ("remediation/prod/shop/service-down/database-issues", "remediation/prod/shop"),
        ("remediation/prod/rollback", "remediation/prod/rollback"),
        ("plan/prod/shop/rollback/1a2b", "plan/prod/shop/rollback/1a2b"),
        ("remediation/rollback/rollback/rollback", "remediation/rollback/rollback"),
    ],
)
def test_a_childs_question_is_answered_at_the_run_that_holds_the_lock(run, answered_at):
    assert ids.answered_at(run) == answered_at
