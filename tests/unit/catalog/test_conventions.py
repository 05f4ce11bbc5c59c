"""Presets of metric names, what the catalog overrides of them, and when no failing series means no failure."""

import pytest

from activities.prometheus import promql
from activities.prometheus.failures import cannot_tell
from activities.prometheus.scrape import count, parse, question
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.catalog.matchers import parse_selector
from runbook_model.catalog.metrics import PRESETS, Metrics
from runbook_model.errors import CatalogError
from runbook_model.measured.measurements import Measurement, latency_reading
from tests.observing import NOW, G, N, a_release, a_target, at, seconds

WINDOW = seconds(15)
CATALOG = """
[environments.prod]
cluster = "shop-prod"
{environment}
[services.shop.prod]
ecs_service = "shop"
{service}
"""


def of(**keys):
    return a_target(service="shop", release_label=None, metrics=Metrics(**keys))


def loaded(environment="", service=""):
    return parse_catalog(CATALOG.format(environment=environment, service=service), "runbook.toml")


SHARES = {
    "runbook": '(sum(rate(http_errors_total{service="shop", environment="prod"}[15s])) or vector(0)) '
    '/ sum(rate(http_requests_total{service="shop", environment="prod"}[15s]))',
    "spring": '(sum(rate(http_server_requests_seconds_count{application="shop", outcome="SERVER_ERROR"}[15s])) or vector(0)) '
    '/ sum(rate(http_server_requests_seconds_count{application="shop"}[15s]))',
    "otel": '(sum(rate(http_server_request_duration_seconds_count{job="shop", http_response_status_code=~"5.."}[15s])) or vector(0)) '
    '/ sum(rate(http_server_request_duration_seconds_count{job="shop"}[15s]))',
    "promhttp": '(sum(rate(http_requests_total{job="shop", code=~"5.."}[15s])) or vector(0)) '
    '/ sum(rate(http_requests_total{job="shop"}[15s]))',
    "fastapi": '(sum(rate(http_requests_total{job="shop", status=~"5.."}[15s])) or vector(0)) '
    '/ sum(rate(http_requests_total{job="shop"}[15s]))',
    "envoy": '(sum(rate(envoy_cluster_upstream_rq_xx{envoy_cluster_name="shop", envoy_response_code_class="5"}[15s])) or vector(0)) '
    '/ sum(rate(envoy_cluster_upstream_rq_xx{envoy_cluster_name="shop"}[15s]))',
    "traefik": '(sum(rate(traefik_service_requests_total{service="shop@ecs", code=~"5.."}[15s])) or vector(0)) '
    '/ sum(rate(traefik_service_requests_total{service="shop@ecs"}[15s]))',
    "istio": '(sum(rate(istio_requests_total{destination_service_name="shop", reporter="destination", response_code=~"5.."}[15s])) or vector(0)) '
    '/ sum(rate(istio_requests_total{destination_service_name="shop", reporter="destination"}[15s]))',
}  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_has_its_own_error_share(preset):
    assert promql.error_share(of(preset=preset), None, WINDOW) == SHARES[preset]


def test_milliseconds_are_made_seconds():
    assert promql.p95_seconds(of(preset="envoy"), None, WINDOW) == (
        "(histogram_quantile(0.95, sum by (le) "
        '(rate(envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="shop"}[15s])))) / 1000'
    )


def test_breakdowns_are_by_the_labels_of_the_preset():
    assert "sum by (le, uri) (rate(http_server" in promql.p95_by_endpoint(of(preset="spring"), WINDOW)
    assert "sum by (exception) (increase(" in promql.errors_by_type(of(preset="spring"), None, WINDOW)


CLOUDWATCH = {
    "preset": "otel",
    "selector": {"@resource.service.name": "{service}"},
    "latency": '{"http.server.request.duration"}',
    "latency_kind": "native",
    "failures": '{"http.server.request.duration", "http.response.status_code"=~"5.."}',
    "endpoint_label": "http.route",
    "type_label": "error.type",
}


def test_a_native_histogram_with_quoted_names_counts_requests_too():
    target = of(**CLOUDWATCH)
    ours = '"http.server.request.duration", "@resource.service.name"="shop"'
    failed = f'{{{ours}, "http.response.status_code"=~"5.."}}'
    assert promql.error_share(target, None, WINDOW) == (
        f"(sum(histogram_count(rate({failed}[15s]))) or vector(0)) / sum(histogram_count(rate({{{ours}}}[15s])))"
    )
    assert promql.p95_seconds(target, None, WINDOW) == f"histogram_quantile(0.95, sum(rate({{{ours}}}[15s])))"
    assert 'sum by ("http.route") (rate({' in promql.mean_by_endpoint(target, WINDOW)
    assert promql.sample_age(target, None) == f"time() - max(timestamp({{{ours}}}))"
    assert 'sum by ("error.type") (' in promql.errors_by_type(target, None, WINDOW)


def test_failures_by_a_matcher_follow_an_overridden_request_counter():
    query = promql.error_share(of(preset="fastapi", requests='shop_total{kind="http"}'), None, WINDOW)
    assert 'rate(shop_total{job="shop", kind="http", status=~"5.."}[15s])' in query


def test_a_service_overrides_its_environment_key_by_key():
    catalog = loaded(
        'metrics = { preset = "spring", type_label = "status", ignore = [\'uri=~"/actuator.*"\'] }',
        'metrics = { selector = { app = "{service}-{environment}" }, release_label = "version" }',
    )
    target = catalog.target("shop", "prod")
    assert promql.errors_by_type(target, a_release(), WINDOW) == (
        'sum by (status) (increase(http_server_requests_seconds_count{app="shop-prod", '
        'version="ai-processor-prod:3", uri!~"/actuator.*", outcome="SERVER_ERROR"}[15s]))'
    )


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ('preset = "sprint"', 'metrics.preset = "sprint": no such preset (did you mean spring?); there are: runbook,'),
        ('requests = "sum(rate(x[5m]))"', 'metrics.requests = "sum(rate(x[5m]))": is not a PromQL selector of one metric: write NAME'),
        ("failures = 'x{outcome=SERVER_ERROR}'", "is not a PromQL matcher: write LABEL="),
        ("failures = 'x{code=~\"5(\"}'", "its pattern is not a regular expression"),
        ("requests = '{job=\"x\"}'", "is not a PromQL selector of one metric"),
        ("requests = 'a{\"b\"}'", "names more than one metric: leave one"),
        ('latency = "http_request_seconds_bucket"', "is one series of a histogram: name it without _bucket"),
        ('selector = { job = "{name}" }', "job: {name} is not filled in: use {service} or {environment}"),
        ("selector = {}", "finds every service: name at least one label"),
        ('latency_kind = "natve"', "'classic', 'native' or 'none'"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_metric_is_refused_with_its_fix(metrics, says):
    with pytest.raises(CatalogError) as refused:
        loaded(f"metrics = {{ {metrics} }}")
    assert says in refused.value.problems[0]


def test_every_problem_of_the_metrics_is_shown_at_once():
    with pytest.raises(CatalogError) as refused:
        loaded('metrics = { preset = "x", requests = "(", latency = "" }')
    assert [line.split(" = ")[0].rpartition(".")[2] for line in refused.value.problems] == [
        "preset", "requests", "latency",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["x", 'x{a="1"}', 'x{a="1", b!~"2|3",}', '{"x.y", "a.b"="1"}', '{__name__="x"}']
)
def test_selectors_are_read_and_written(text):
    selector = parse_selector(text)
    assert parse_selector(selector.text) == selector


@pytest.mark.parametrize(
    ("failing", "series"),
    [
        ('code=~"5.."', [{"code": "200"}, {"code": "404"}]),
        ('status=~"5.."', [{"status": "2xx"}]),
        ('outcome="SERVER_ERROR"', [{"outcome": "SUCCESS"}]),
        ('class="5"', [{"class": "2"}]),
        ('response_code=~"5.."', [{"response_code": "200"}, {"response_code": "0"}]),
        ('outcome=~"error|timeout"', [{"outcome": "success"}]),
    ],
)
def test_no_failing_series_is_no_failure_where_live_series_are_written_as_the_matcher_expects(
    failing, series
):
    assert cannot_tell([parse_selector(f"x{{{failing}}}").matchers[0]], series, "x") == ""


@pytest.mark.parametrize(
    ("failing", "series", "says"),
    [
        ('code=~"5.."', [{"status": "200"}], "x has no label code"),
        ('code=~"5.."', [{"code": "200"}, {}], "1 of 2 series of x have no label code"),
        ('code="500 Error"', [{"code": "200"}], 'x has code "200", and code="500 Error" selects nothing'),
        ('outcome="SERVER_ERROR"', [{"outcome": "success"}], 'has outcome "success"'),
        ('status=~"5.."', [{"status": "OK"}], 'has status "OK"'),
        ('response_code=~"5.."', [{"response_code": "0"}], 'has response_code "0"'),
    ],
)
def test_no_failing_series_says_nothing_where_live_series_could_never_match(failing, series, says):
    assert says in cannot_tell([parse_selector(f"x{{{failing}}}").matchers[0]], series, "x")


SPRING = """\
process_start_time_seconds 7
# TYPE http_server_requests_seconds summary
http_server_requests_seconds_count{{application="shop",outcome="SUCCESS",uri="/"}} {good}
http_server_requests_seconds_count{{application="shop",exception="Boom",outcome="SERVER_ERROR",uri="/"}} {bad}
http_server_requests_seconds_count{{application="shop",outcome="SUCCESS",uri="/actuator/health"}} {good}
http_server_requests_seconds_count{{application="other",outcome="SUCCESS",uri="/"}} {good}
"""


def scraped(texts, **keys):
    target = of(**keys)
    scrapes = [parse(text, at(moment), target.convention) for moment, text in enumerate(texts)]
    return count(question(target, NOW), scrapes, convention=target.convention)


def test_a_services_own_metrics_are_read_by_the_preset_too():
    texts = [SPRING.format(good=10, bad=0), SPRING.format(good=50, bad=10)]
    seen = scraped(texts, preset="spring", ignore=('uri=~"/actuator.*"',))
    assert (seen.requests, seen.failed, seen.by_type) == (50, 10, {"Boom": 10})


def test_scraped_requests_whose_label_could_never_say_failure_are_no_data():
    texts = [f'process_start_time_seconds 7\nhttp_requests_total{{code="ok"}} {n}' for n in (1, 90)]
    seen = scraped(texts, preset="promhttp")
    assert (seen.value, seen.uncounted) == (None, True)
    assert 'http_requests_total has code "ok"' in seen.why


def test_a_service_that_answered_nothing_yet_has_no_share():
    seen = scraped(["process_start_time_seconds 7"] * 2, preset="promhttp")
    assert (seen.value, seen.requests) == (None, 0)


def test_latency_that_the_catalog_calls_unknown_does_not_stand_in_the_way():
    silence = Measurement(quality="no-data", why="not measured", source="prometheus", query="", at=NOW)
    reading = latency_reading(silence, None, of(latency_kind="none"), NOW)
    assert (reading.quality, reading.decides) == (N, False)
    assert latency_reading(silence, None, of(), NOW).decides
    quick = silence.model_copy(update={"quality": "known", "value": 0.1, "requests": 90})
    assert (latency_reading(quick, None, of(), NOW).quality, quick.value) == (G, 0.1)
