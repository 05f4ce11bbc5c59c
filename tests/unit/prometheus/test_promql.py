import re

from hypothesis import given
from hypothesis import strategies as st

from activities.prometheus import promql
from runbook_model.catalog.matchers import escape
from runbook_model.catalog.metrics import Metrics
from tests.observing import a_release, a_target, seconds

WINDOW = seconds(15)


def test_the_error_share_of_a_service_that_never_failed_is_zero_and_without_requests_it_stays_unknown():
    query = promql.error_share(a_target(release_label=None), None, WINDOW)
    labels = '{service="ai-processor", environment="prod"}'
    assert query == (
        f"(sum(rate(http_errors_total{labels}[15s])) or vector(0)) / sum(rate(http_requests_total{labels}[15s]))"
    )


def test_the_traffic_gate_has_no_zero_to_fall_back_on():
    assert "vector" not in promql.request_count(a_target(), a_release(), WINDOW)


def test_the_release_is_selected_by_the_label_that_the_catalog_names():
    target = a_target(release_label="revision")
    assert 'revision="ai-processor-prod:3"' in promql.request_count(target, a_release(), WINDOW)


def test_without_a_release_label_no_release_is_selected():
    assert "ai-processor-prod:3" not in promql.error_share(a_target(release_label=None), a_release(), WINDOW)


def test_every_query_selects_service_environment_and_release():
    target, release = a_target(), a_release()
    queries = (
        promql.error_share(target, release, WINDOW),
        promql.request_count(target, release, WINDOW),
        promql.sample_age(target, release),
        promql.p95_seconds(target, release, WINDOW),
        promql.errors_by_type(target, release, WINDOW),
    )
    for query in queries:
        selectors = re.findall(r"\{[^}]*\}", query)
        assert selectors
        assert set(selectors) == {
            '{service="ai-processor", environment="prod", release="ai-processor-prod:3"}'
        }


def test_the_latency_query_names_no_bucket():
    assert not re.search(r"le\s*=", promql.p95_seconds(a_target(), None, WINDOW))


def test_a_window_is_written_in_whole_seconds_else_in_milliseconds():
    assert promql.span(seconds(300)) == "300s"
    assert promql.span(seconds(2.5)) == "2500ms"
    assert promql.span(seconds(0)) == "1ms"


@given(st.text())
def test_no_value_leaves_its_quotes(value):
    escaped = escape(value)
    assert "\n" not in escaped
    assert re.fullmatch(r'(?:[^"\\]|\\.)*', escaped)
    assert re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], escaped) == value


def test_ignored_requests_are_left_out_of_every_query_of_requests_errors_and_latency():
    ignore = ('path=~"/health.*"', 'agent="probe"')
    target, release = a_target(metrics=Metrics(ignore=ignore)), a_release()
    queries = (
        promql.error_share(target, release, WINDOW),
        promql.error_share_by_release(target, WINDOW),
        promql.request_count(target, release, WINDOW),
        promql.requests_by_release(target, WINDOW),
        promql.request_rate(target, WINDOW),
        promql.errors_by_type(target, release, WINDOW),
        promql.p95_seconds(target, release, WINDOW),
        promql.p95_by_endpoint(target, WINDOW),
        promql.mean_by_endpoint(target, WINDOW),
    )
    for query in queries:
        selectors = re.findall(r"\{[^}]*\}", query)
        assert selectors
        assert all(selector.endswith(', path!~"/health.*", agent!="probe"}') for selector in selectors)
