import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.runtime.converter import data_converter
from runbook_model.catalog.policies import AlertRule
from runbook_model.incident.alert_book import AlertBook
from runbook_model.text.plain_text import UNSAFE
from runbook_model.text.redaction import HIDDEN
from starter.webhook.payload import PayloadError, parse_notification
from starter.webhook.routing import (
    ANNOTATION_LENGTH,
    ANNOTATIONS,
    LABEL_LENGTH,
    LABELS,
    MOST_BYTES,
    NAME_LENGTH,
    route,
)
from tests.webhook_calls import CATALOG, PAYLOADS, a_payload, an_alert, recorded

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
TENANT, OTHER = "5f4dcc3b-5aa7-65d6-1d83-27deb882cf99", "0f4dcc3b-5aa7-65d6-1d83-27deb882cf99"
UNROUTED = "incident/unknown/unrouted"
PROD = "incident/prod/ai-processor"


def routed(body, catalog=CATALOG):
    """Incident -> its alerts."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    deliveries = route(parse_notification(body), catalog, NOW)
    return {
        delivery.incident: [alert for batch in delivery.batches for alert in batch.alerts]
        for delivery in deliveries
    }


def only(body):
    """The one alert of a payload, with its incident."""
    ((incident, (alert,)),) = routed(body).items()
    return incident, alert


class TestRecordedPayloads:
    def test_what_is_recorded_is_all_tried_here(self):
        tried = {"grouped", "partly-resolved", "resolved", "truncated", "empty", "unicode"}
        services = {"other-services-1", "other-services-2"}
        assert {file.stem for file in PAYLOADS.glob("*.json")} == tried | services

    def test_a_group_is_one_delivery_with_all_of_its_alerts(self):
        found = routed(recorded("grouped"))
        assert list(found) == [PROD]
        wording = {(alert.name, alert.severity, alert.status, alert.problem) for alert in found[PROD]}
        assert wording == {
            ("HighErrorRate", "warning", "firing", None),
            ("HighLatencyP95", "warning", "firing", None),
            ("ServiceDown", "critical", "firing", None),
        }
        assert len({alert.fingerprint for alert in found[PROD]}) == 3

    def test_an_alert_has_its_times_words_and_link(self):
        alert = next(item for item in routed(recorded("grouped"))[PROD] if item.name == "HighErrorRate")
        assert alert.starts_at.tzinfo == UTC
        assert alert.starts_at < NOW
        assert alert.ends_at is None
        assert alert.annotations["impact"] == "Requests fail."
        assert alert.generator_url.startswith("http://prometheus.example.com:9090/graph?g0.expr=")

    def test_what_ended_and_what_continues_come_together(self):
        states = {alert.name: alert.status for alert in routed(recorded("partly-resolved"))[PROD]}
        assert states == {"HighErrorRate": "resolved", "HighLatencyP95": "firing", "ServiceDown": "firing"}

    def test_resolved_alerts_have_the_fingerprints_that_they_fired_with_and_an_end(self):
        fired = {alert.name: alert.fingerprint for alert in routed(recorded("grouped"))[PROD]}
        for alert in routed(recorded("resolved"))[PROD]:
            assert alert.status == "resolved"
            assert alert.fingerprint == fired[alert.name]
            assert alert.starts_at < alert.ends_at <= NOW

    def test_a_human_hears_of_alerts_that_alertmanager_left_out(self):
        found = routed(recorded("truncated"))
        assert len(found[PROD]) == 2
        (left_out,) = found[UNROUTED]
        assert left_out.problem.startswith("Alertmanager left out 3 alerts of a group: set max_alerts to 0")
        assert left_out.fingerprint == routed(recorded("truncated"))[UNROUTED][0].fingerprint

    def test_an_alert_without_labels_goes_to_a_human_with_the_reason(self):
        incident, alert = only(recorded("empty"))
        assert incident == UNROUTED
        assert alert.name == "Lonely"
        assert alert.problem.startswith("it has no label environment")

    def test_unicode_stays_and_what_could_mislead_a_reader_goes(self):
        incident, alert = only(recorded("unicode"))
        assert incident == PROD
        assert alert.labels["team"] == "оплата 💳"
        assert alert.labels["note"] == 'quo"te\\ and newline \N{REPLACEMENT CHARACTER}right to left'
        assert alert.annotations["summary"] == "Fehlerquote über 10 % — 誤り率が高い 🔥"
        assert alert.annotations["impact"] == "line one line two tab"

    def test_each_group_of_another_service_goes_its_own_way(self):
        both = {**routed(recorded("other-services-1")), **routed(recorded("other-services-2"))}
        assert set(both) == {"incident/prod/shop", UNROUTED}
        assert 'no service "till" in the catalog' in both[UNROUTED][0].problem


class TestNames:
    @pytest.mark.parametrize(
        ("labels", "problem"),
        [
            ({"service": None}, "it has no label service"),
            ({"environment": ""}, "it has no label environment"),
            ({"service": "unknown-one"}, 'no service "unknown-one" in the catalog; there are: ai-processor, shop'),
            ({"environment": "moon"}, 'service "ai-processor" has no environment "moon"'),
            ({"service": "shop", "environment": "staging"}, 'service "shop" has no environment "staging"'),
            ({"service": "AI-Processor"}, 'its label service is not a name: "AI-Processor"'),
            ({"service": 'x"} or vector(1) or up{a="'}, "its label service is not a name"),
            ({"service": "../../incident/prod/shop"}, "its label service is not a name"),
            ({"service": "ai-processor\n"}, "its label service is not a name"),
            ({"service": "--help"}, "its label service is not a name"),
            ({"environment": "prod/ai-processor"}, "its label environment is not a name"),
            ({"service": "a" * 64}, "its label service is not a name"),
            ({"service": "\uff41i-processor"}, "its label service is not a name"),
            ({"severity": "critical'; DROP TABLE"}, "its label severity is not a name"),
            ({"name": "NobodyKnows"}, 'no row of the alert matrix is about "NobodyKnows"'),
            ({"name": ""}, "no row of the alert matrix"),
            ({"name": 'HighErrorRate"} or up{a="'}, "no row of the alert matrix"),
        ],
    )  # fmt: skip
    def test_what_is_unknown_or_no_name_goes_to_a_human_with_the_reason(self, labels, problem):
        incident, alert = only(a_payload(an_alert(**labels)))
        assert incident == UNROUTED
        assert (alert.service, alert.environment) == ("unrouted", "unknown")
        assert problem in alert.problem
        assert len(alert.problem) < 300

    @pytest.mark.parametrize("severity", [None, "", "Critical", "P1", "page"])
    def test_a_severity_that_somebody_else_defined_changes_nothing(self, severity):
        incident, alert = only(a_payload(an_alert(severity=severity)))
        assert incident == PROD
        assert alert.severity == (severity.lower() if severity else "unknown")

    def test_one_bad_alert_does_not_take_the_good_ones_with_it(self):
        found = routed(a_payload(an_alert(), an_alert(service="x y"), an_alert(environment="staging")))
        assert {incident: len(alerts) for incident, alerts in found.items()} == {
            PROD: 1, UNROUTED: 1, "incident/staging/ai-processor": 1,
        }  # fmt: skip


class TestGrafana:
    def test_its_payload_is_taken(self):
        labels = {"alertname": "ServiceDown", "service": "ai-processor", "environment": "prod"}
        sent = {
            "status": "firing", "labels": labels, "annotations": None, "startsAt": "2026-11-23T19:59:00Z",
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": None, "values": {"B": 1}, "silenceURL": "x",
        }  # fmt: skip
        payload = {
            "receiver": "runbook", "status": "firing", "orgId": 1, "alerts": [sent], "version": "1",
            "groupKey": None, "truncatedAlerts": None, "title": "x", "state": "alerting", "message": "x",
        }  # fmt: skip
        incident, alert = only(payload)
        assert (incident, alert.name, alert.annotations, alert.generator_url) == (
            PROD,
            "ServiceDown",
            {},
            None,
        )
        again = only({**payload, "alerts": [{**sent, "status": "resolved"}]})[1]
        assert again.fingerprint == alert.fingerprint

    @pytest.mark.parametrize("left_out", ["annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"])
    def test_an_alert_may_leave_out_what_is_not_needed_to_route_it(self, left_out):
        alert = an_alert()
        alert.pop(left_out, None)
        assert only(a_payload(alert))[0] == PROD
        assert only(a_payload({**alert, left_out: None}))[0] == PROD


class TestRules:
    RULED = CATALOG.model_copy(
        update={
            "alerts": (
                AlertRule(
                    name="ServiceDown",
                    labels={"tenant": TENANT},
                    severity="critical",
                    respond_within=timedelta(0),
                    procedure="service-down",
                ),
            )
        }
    )

    def test_a_rule_is_compared_with_the_labels_as_they_were_sent(self):
        sent = a_payload(an_alert(alertname="ServiceDown", tenant=TENANT, other=OTHER))
        (alert,) = routed(sent, self.RULED)[PROD]
        assert alert.labels["tenant"] == TENANT
        assert alert.labels["other"] == HIDDEN
        book = AlertBook()
        book.take([alert], NOW, NOW)
        book.place(self.RULED.alerts)
        assert [item.procedure for item in book.firing] == ["service-down"]

    def test_labels_that_a_rule_asks_for_are_kept_before_all_others(self):
        many = {f"a{number:02}": "x" * 300 for number in range(60)}
        (alert,) = routed(a_payload(an_alert(alertname="ServiceDown", tenant=TENANT, **many)), self.RULED)[
            PROD
        ]
        assert next(iter(alert.labels)) == "tenant"


class TestBounds:
    def test_too_many_and_too_long_words_are_cut_and_the_names_are_kept(self):
        labels = {f"a{number}": "x" * 5000 for number in range(200)}
        notes = {f"n{number:03}": "word " * 5000 for number in range(200)}
        incident, alert = only(a_payload(an_alert(annotations=notes, **labels)))
        assert incident == PROD
        assert (len(alert.labels), len(alert.annotations)) == (LABELS, ANNOTATIONS)
        assert {"alertname", "service", "environment", "severity"} <= set(alert.labels)
        assert max(map(len, alert.labels.values())) == LABEL_LENGTH
        assert all(
            len(text) <= ANNOTATION_LENGTH and text.endswith("…") for text in alert.annotations.values()
        )

    def test_secrets_do_not_get_into_history(self):
        notes = {
            "summary": "psql postgres://app:hunter2@db/shop failed",
            "fix": "curl -H 'Authorization: Bearer abcdefghijkl'",
        }
        labels = {"dsn": "postgres://app:hunter2@db/shop", "db_password": "hunter2"}
        _, alert = only(a_payload(an_alert(annotations=notes, **labels)))
        assert "hunter2" not in alert.model_dump_json()
        assert "abcdefghijkl" not in alert.model_dump_json()

    @pytest.mark.parametrize(
        "url",
        ["javascript:alert(1)", "http://u:p@prometheus/", "http://[::1", "", "http://p/" + "a" * 2000, "http://p/\u202e", "file:///etc/passwd", "http://p/?token=abc"],
    )  # fmt: skip
    def test_only_a_link_that_is_safe_to_show_is_kept(self, url):
        _, alert = only(a_payload({**an_alert(), "generatorURL": url}))
        assert alert.generator_url is None

    @pytest.mark.parametrize(
        ("starts", "expected"),
        [
            ("2026-11-23T19:59:00+01:00", datetime(2026, 11, 23, 18, 59, tzinfo=UTC)),
            ("2026-11-23T20:05:00Z", NOW),
            ("9999-12-31T23:59:59-11:00", NOW),
            ("0001-01-01T00:00:00+11:00", NOW),
        ],
    )
    def test_an_alert_started_when_it_says_but_neither_later_than_now_nor_never(self, starts, expected):
        _, alert = only(a_payload({**an_alert(), "startsAt": starts}))
        assert alert.starts_at == expected

    def test_an_alert_that_ended_without_saying_when_ended_now(self):
        _, alert = only(a_payload({**an_alert(status="resolved"), "endsAt": "0001-01-01T00:00:00Z"}))
        assert alert.ends_at == NOW

    async def test_a_storm_is_split_into_signals_that_temporal_takes(self):
        alerts = [
            an_alert(fingerprint=f"{n:016x}", annotations={"summary": "long " * 150}) for n in range(1000)
        ]
        notification = parse_notification(json.dumps(a_payload(*alerts)).encode())
        (delivery,) = route(notification, CATALOG, NOW)
        assert delivery.alerts == 1000
        assert 1 < len(delivery.batches) < 20
        for batch in delivery.batches:
            (encoded,) = await data_converter.encode([batch])
            assert len(encoded.data) < 2 * MOST_BYTES

    def test_a_storm_of_ordinary_alerts_is_one_signal(self):
        alerts = [an_alert(fingerprint=f"{n:016x}") for n in range(300)]
        (delivery,) = route(parse_notification(json.dumps(a_payload(*alerts)).encode()), CATALOG, NOW)
        assert len(delivery.batches) == 1


class TestSchema:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b"", "the body is not JSON"),
            (b"{", "the body is not JSON"),
            (b"\xff\xfe", "the body is not JSON"),
            (b'{"version": "\\ud800"}', "the body is not JSON"),
            (b"[" * 100_000, "the body is not JSON"),
        ],
    )
    def test_what_is_not_json_is_reported(self, body, said):
        with pytest.raises(PayloadError, match=said) as raised:
            parse_notification(body)
        assert raised.value.status == 400

    @pytest.mark.parametrize(
        ("change", "place"),
        [
            ({"version": "3"}, "version: "),
            ({"version": 4}, "version: "),
            ({"version": None}, "version: "),
            ({"alerts": {}}, "alerts: "),
            ({"truncatedAlerts": -1}, "truncatedAlerts: "),
            ({"groupKey": 7}, "groupKey: "),
        ],
    )
    def test_what_alertmanager_would_not_send_is_reported_with_its_place(self, change, place):
        with pytest.raises(PayloadError, match=f"version 4: {re.escape(place)}") as raised:
            routed(a_payload(an_alert()) | change)
        assert raised.value.status == 422

    @pytest.mark.parametrize(
        ("bad", "place"),
        [
            (7, "the body: "),
            ({}, "status: Field required"),
            ({**an_alert(), "status": "on fire"}, "status: "),
            ({**an_alert(), "labels": {"a": 1}}, "labels.a: "),
            ({**an_alert(), "labels": None}, "labels: "),
            ({**an_alert(), "startsAt": "yesterday"}, "startsAt: "),
            ({**an_alert(), "startsAt": "2026-01-01T08:00:00"}, "startsAt: "),
        ],
    )
    def test_an_alert_that_cannot_be_read_goes_to_a_human_and_takes_no_other_with_it(self, bad, place):
        found = routed(a_payload(bad, an_alert()))
        assert {incident: len(alerts) for incident, alerts in found.items()} == {UNROUTED: 1, PROD: 1}
        assert found[UNROUTED][0].problem.startswith(f"it cannot be read: {place}")

    def test_an_alert_that_cannot_be_read_ends_under_the_name_that_it_started_with(self):
        bad = {**an_alert(), "startsAt": "yesterday"}
        ((fired,), (ended,)) = (
            routed(a_payload({**bad, "status": status}))[UNROUTED] for status in ("firing", "resolved")
        )
        assert fired.fingerprint == ended.fingerprint
        assert (fired.status, ended.status) == ("firing", "resolved")

    def test_a_problem_repeats_nothing_that_was_sent_but_names_and_stays_short(self):
        bad = {**an_alert(), "labels": {"k" * 5000: {"password": "hunter2"}}, "status": "hunter2"}
        _, alert = only(a_payload(bad))
        assert "hunter2" not in alert.model_dump_json()
        assert len(alert.problem) < 300

    def test_what_a_newer_alertmanager_adds_is_passed_over(self):
        newer = a_payload({**an_alert(), "silenced": False}, groupedBy=["service"])
        assert list(routed(newer)) == [PROD]

    def test_a_call_without_alerts_brings_nothing(self):
        assert routed(a_payload()) == {}


names = st.sampled_from(
    ["ai-processor", "shop", "prod", "staging", "HighErrorRate", "ServiceDown", "critical"]
)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
moments = st.datetimes(timezones=st.sampled_from([UTC, None]).filter(bool)).map(datetime.isoformat)
labels = st.dictionaries(
    st.sampled_from(["alertname", "service", "environment", "severity"]) | words, names | words, max_size=60
)
alerts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": labels,
        "annotations": st.dictionaries(words, words, max_size=30),
        "startsAt": moments,
        "endsAt": moments,
        "generatorURL": words | st.just("http://prometheus/graph"),
        "fingerprint": st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    }
)
payloads = st.builds(
    lambda alerts, left_out, status: a_payload(*alerts, truncatedAlerts=left_out, status=status),
    st.lists(alerts, max_size=5),
    st.integers(0, 3),
    st.sampled_from(["firing", "resolved"]),
)


@settings(max_examples=150, deadline=None)
@given(payloads)
def test_every_alert_reaches_one_incident_that_the_catalog_knows_or_a_human(payload):
    found = routed(payload)
    known = {"incident/prod/ai-processor", "incident/staging/ai-processor", "incident/prod/shop"}
    assert set(found) <= known | {UNROUTED}
    arrived = sorted(alert.fingerprint for alerts in found.values() for alert in alerts)
    sent = [alert["fingerprint"] for alert in payload["alerts"]]
    assert len(arrived) == len(sent) + bool(payload["truncatedAlerts"])
    assert set(sent) <= set(arrived)
    for incident, alerts in found.items():
        for alert in alerts:
            assert incident == f"incident/{alert.environment}/{alert.service}"
            assert (alert.problem is not None) == (incident == UNROUTED)


@settings(max_examples=150, deadline=None)
@given(alerts)
def test_no_alert_brings_more_or_stranger_words_than_it_may(sent):
    _, alert = only(a_payload(sent))
    assert len(alert.labels) <= LABELS
    assert len(alert.annotations) <= ANNOTATIONS
    for name, text in [*alert.labels.items(), *alert.annotations.items()]:
        assert len(name) <= NAME_LENGTH
        assert len(text) <= ANNOTATION_LENGTH
        assert not UNSAFE.search(name + text)
        assert "\n" not in name + text
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", alert.severity)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_:.-]{0,127}", alert.name)
    assert NOW - timedelta(days=40 * 365) < alert.starts_at <= NOW
    assert len(alert.problem or "") < 500
    assert type(alert).model_validate_json(alert.model_dump_json()) == alert
