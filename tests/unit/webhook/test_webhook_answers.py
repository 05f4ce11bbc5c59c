"""What the webhook answers, and what it logs; the Temporal behind it is one that keeps what it is given."""

import asyncio
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.telemetry.log_lines import JsonLines
from runbook_model.catalog.policies import RUNBOOK_MATRIX, AlertRule
from starter.exits import CliError
from starter.processes.listening import parse_address
from starter.webhook.application import CatalogFile
from starter.webhook.guard import Limits, Rate, Refusal, Token, Turns, load_tokens
from tests.webhook_calls import STAGING, TOKEN, Webhook, a_payload, an_alert, recorded

MEGABYTE = 1024 * 1024


@pytest.fixture
def webhook():
    return Webhook()


async def test_alerts_that_temporal_has_are_reported_with_their_incidents(webhook):
    answer = await webhook.post(recorded("grouped"))
    assert answer.status_code == 200
    assert answer.json() == {"alerts": 3, "incidents": {"incident/prod/ai-processor": 3}}
    assert len(webhook.temporal.alerts) == 3


async def test_what_temporal_does_not_take_is_to_be_sent_again_and_then_taken(webhook):
    webhook.temporal.away = True
    answer = await webhook.post(recorded("grouped"))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Temporal is away" in answer.json()["error"]
    webhook.temporal.away = False
    assert (await webhook.post(recorded("grouped"))).status_code == 200
    assert len(webhook.temporal.alerts) == 3


async def test_a_fault_of_our_own_loses_no_alert():
    webhook = Webhook(catalog=None)
    answer = await webhook.post(a_payload(an_alert()))
    assert answer.status_code == 503
    assert answer.json() == {"error": "a bug in the webhook"}


async def test_alerts_that_belong_nowhere_are_taken_all_the_same(webhook):
    answer = await webhook.post(a_payload(an_alert(service='x"} or vector(1)')))
    assert answer.status_code == 200
    assert answer.json()["incidents"] == {"incident/unknown/unrouted": 1}


class TestToken:
    @pytest.mark.parametrize(
        "token",
        [None, "", "wrong", TOKEN + "x", TOKEN[:-1], f"{TOKEN}, x", "ümläut"],
    )
    async def test_without_it_nothing_is_read(self, webhook, token):
        answer = await webhook.post(b"x" * 20 * MEGABYTE, token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert webhook.temporal.deliveries == []

    @pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
    async def test_it_must_come_as_a_bearer_token(self, webhook, scheme):
        answer = await webhook.post(b"{}", token=None, Authorization=f"{scheme} {TOKEN}".strip())
        assert answer.status_code == 401

    async def test_the_next_one_is_good_already(self, webhook):
        assert (await webhook.post(a_payload(), "the-next-token")).status_code == 200

    async def test_health_needs_none(self, webhook):
        answer = await webhook.client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "temporal": True})
        webhook.temporal.away = True
        answer = await webhook.client.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "temporal": False})

    def test_there_is_none_to_start_with(self):
        for nothing in ({}, {"RUNBOOK_WEBHOOK_TOKEN": "  "}):
            with pytest.raises(CliError, match="RUNBOOK_WEBHOOK_TOKEN is not set"):
                load_tokens(nothing, {"prod"})

    def test_a_file_may_hold_two_so_that_one_can_be_replaced(self, tmp_path):
        file = tmp_path / "token"
        file.write_text("old\n\n  new  \n")
        found = load_tokens({"RUNBOOK_WEBHOOK_TOKEN_FILE": str(file)}, {"prod"})
        assert found == [Token("old"), Token("new")]

    @pytest.mark.parametrize(
        ("content", "said"), [(b" \n", "is empty"), (b"\xff", "not UTF-8"), (None, "No such file")]
    )
    def test_a_file_without_one_is_reported(self, tmp_path, content, said):
        file = tmp_path / "token"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(CliError, match=said):
            load_tokens({"RUNBOOK_WEBHOOK_TOKEN_FILE": str(file)}, {"prod"})


class TestTokenOfAnEnvironment:
    async def test_it_carries_alerts_of_that_one(self, webhook):
        answer = await webhook.post(a_payload(an_alert(environment="staging")), STAGING)
        assert answer.json()["incidents"] == {"incident/staging/ai-processor": 1}

    async def test_another_environments_alert_goes_to_a_person_with_the_reason(self, webhook):
        mixed = a_payload(an_alert(environment="staging"), an_alert(environment="prod"))
        answer = await webhook.post(mixed, STAGING)
        assert answer.json()["incidents"] == {
            "incident/staging/ai-processor": 1,
            "incident/unknown/unrouted": 1,
        }
        assert [alert.problem for alert in webhook.temporal.alerts if alert.problem] == [
            (
                "it is of prod, and came with a token that carries alerts of staging only:"
                " give the sender a token for it"
            )
        ]

    async def test_whoever_has_it_cannot_use_up_the_calls_of_others(self):
        webhook = Webhook(Limits(burst=1, calls_per_second=0.01))
        answers = [await webhook.post(a_payload(), STAGING) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 503, 503]
        assert (await webhook.post(a_payload())).status_code == 200

    def test_a_variable_binds_it(self):
        variables = {"RUNBOOK_WEBHOOK_TOKEN": "a", "RUNBOOK_WEBHOOK_TOKEN_PROD_EU": "b"}
        found = load_tokens(variables, {"prod-eu", "staging"})
        assert found == [Token("a"), Token("b", "prod-eu")]
        assert load_tokens({"RUNBOOK_WEBHOOK_TOKEN_STAGING": "c"}, {"staging"}) == [Token("c", "staging")]

    def test_a_line_of_the_file_binds_it_too(self, tmp_path):
        file = tmp_path / "token"
        file.write_text("prod-eu one\ntwo\n")
        found = load_tokens({"RUNBOOK_WEBHOOK_TOKEN_FILE": str(file)}, {"prod-eu"})
        assert found == [Token("one", "prod-eu"), Token("two")]

    def test_an_environment_that_the_catalog_lacks_is_reported(self):
        with pytest.raises(CliError, match='bound to "pord", which the catalog does not have'):
            load_tokens({"RUNBOOK_WEBHOOK_TOKEN_PORD": "c"}, {"prod", "staging"})


class TestBody:
    async def test_ten_megabytes_are_too_much_by_their_own_word(self, webhook):
        answer = await webhook.post(b" " * 10 * MEGABYTE)
        assert answer.status_code == 413
        assert answer.headers["Connection"] == "close"

    async def test_chunks_without_a_length_are_read_to_the_limit_and_no_further(self, webhook):
        sent = 0

        async def chunks():
            nonlocal sent
            for _ in range(160):
                sent += 65536
                yield b" " * 65536

        answer = await webhook.post(chunks())
        assert answer.status_code == 413
        assert sent <= Limits().body_bytes + 2 * 65536

    @pytest.mark.parametrize("length", ["-1", "abc", "9" * 30])
    async def test_a_length_that_is_none_is_refused(self, webhook, length):
        answer = await webhook.post(b"{}", **{"Content-Length": length})
        assert answer.status_code == 413

    async def test_a_body_that_does_not_come_is_not_waited_for(self):
        async def never():
            await asyncio.Event().wait()
            yield b""

        answer = await Webhook(Limits(body_seconds=0.01)).post(never())
        assert answer.status_code == 408

    @pytest.mark.parametrize("kind", ["", "text/plain", "Application/JSON; charset=utf-8"])
    async def test_an_alert_counts_whatever_the_type_of_its_body_is_called(self, webhook, kind):
        assert (await webhook.post(a_payload(), **{"Content-Type": kind})).status_code == 200
        assert (await webhook.post(b"{", **{"Content-Type": kind})).status_code == 400

    async def test_what_is_compressed_is_reported(self, webhook):
        answer = await webhook.post(a_payload(), **{"Content-Encoding": "gzip"})
        assert (answer.status_code, answer.json()) == (400, {"error": "the body must not be compressed"})

    @pytest.mark.parametrize(
        ("body", "status"), [(b"{", 400), (b"null", 422), (b"[]", 422), (b'{"version": "3"}', 422)]
    )
    async def test_what_cannot_be_understood_is_reported(self, webhook, body, status):
        answer = await webhook.post(body)
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}


class TestLimits:
    def test_calls_come_at_the_rate_after_a_burst(self):
        now = [0.0]
        rate = Rate(per_second=2, burst=3, clock=lambda: now[0])
        for _ in range(3):
            rate.take()
        with pytest.raises(Refusal, match="too many calls") as raised:
            rate.take()
        assert (raised.value.status, raised.value.retry_after) == (503, 0.5)
        now[0] = 0.5
        rate.take()
        with pytest.raises(Refusal, match="too many calls"):
            rate.take()
        now[0] = 1000.0
        for _ in range(3):
            rate.take()
        with pytest.raises(Refusal, match="too many calls"):
            rate.take()

    async def test_whoever_calls_too_often_learns_when_to_come_again(self):
        webhook = Webhook(Limits(burst=2, calls_per_second=0.01))
        answers = [await webhook.post(a_payload()) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 503]
        assert int(answers[2].headers["Retry-After"]) > 60

    async def test_one_incident_gets_no_more_than_its_history_bears_and_others_get_theirs(self):
        webhook = Webhook(Limits(incident_bytes_burst=1000, incident_bytes_per_second=1))
        answers = [await webhook.post(a_payload(an_alert())) for _ in range(9)]
        assert (answers[0].status_code, answers[-1].status_code) == (200, 503)
        assert answers[-1].json()["error"] == "too many alerts for incident/prod/ai-processor"
        assert int(answers[-1].headers["Retry-After"]) > 1
        other = await webhook.post(a_payload(an_alert(environment="staging")))
        assert other.status_code == 200

    async def test_nor_does_it_get_more_calls_than_leave_it_time(self):
        webhook = Webhook(Limits(incident_calls_burst=2, incident_calls_per_second=0.01))
        answers = [await webhook.post(a_payload(an_alert())) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 503]
        assert answers[2].json()["error"] == "too many calls for incident/prod/ai-processor"

    async def test_calls_without_the_token_use_up_nothing(self):
        webhook = Webhook(Limits(burst=1, calls_per_second=0.01))
        for _ in range(5):
            await webhook.post(a_payload(), token="wrong")
        assert (await webhook.post(a_payload())).status_code == 200

    async def test_no_more_than_so_many_calls_are_worked_on_at_once(self):
        turns = Turns(at_once=1, wait_seconds=0.01)
        async with turns.turn():
            with pytest.raises(Refusal, match="too many calls at once"):
                async with turns.turn():
                    pass
        async with turns.turn():
            pass


class TestLog:
    @pytest.fixture
    def lines(self):
        """Every line that the webhook logs meanwhile, as it is written."""
        written = []

        class Keep(logging.Handler):
            def emit(self, record):
                written.append(JsonLines().format(record))

        root, keep = logging.getLogger(), Keep(level=logging.DEBUG)
        level = root.level
        root.addHandler(keep)
        root.setLevel(logging.DEBUG)
        yield written
        root.setLevel(level)
        root.removeHandler(keep)

    async def test_each_call_is_one_line_of_json(self, webhook, lines):
        await webhook.post(recorded("truncated"))
        (line,) = [json.loads(line) for line in lines if '"alerts"' in line]
        assert line["status"] == 200
        assert line["alerts"] == 3
        assert line["incidents"] == {"incident/prod/ai-processor": 2, "incident/unknown/unrouted": 1}
        assert (line["level"], line["reason"]) == ("info", None)

    async def test_a_refusal_is_logged_with_its_reason(self, webhook, lines):
        await webhook.post(b"{")
        (line,) = [json.loads(line) for line in lines if '"alerts"' in line]
        assert (line["status"], line["level"]) == (400, "warning")
        assert "the body is not JSON" in line["reason"]

    async def test_no_token_is_ever_logged_or_answered(self, webhook, lines):
        answers = [
            await webhook.post(a_payload(an_alert())),
            await webhook.post(a_payload(an_alert()), token=f"{TOKEN}-guessed"),
            await webhook.post(b"{"),
            await webhook.client.get(f"/alerts?token={TOKEN}", headers={"Authorization": f"Bearer {TOKEN}"}),
            await webhook.client.post(f"/{TOKEN}", headers={"Authorization": f"Bearer {TOKEN}"}),
        ]
        webhook.temporal.report = None  # a fault, whose traceback is logged
        answers.append(await webhook.post(a_payload(an_alert())))
        assert [answer.status_code for answer in answers] == [200, 401, 400, 405, 404, 503]
        assert any("Traceback" in line for line in lines)
        ours = [line for line in lines if "HTTP Request" not in line]  # the test's own client logs its calls
        assert TOKEN not in "".join(ours) + "".join(answer.text for answer in answers)


class TestCatalogFile:
    TEXT = """
[environments.prod]
cluster = "c"
[services.shop.prod]
ecs_service = "shop"
"""

    def test_an_edit_counts_and_a_mistake_does_not(self, tmp_path):
        file = tmp_path / "catalog.toml"
        file.write_text(self.TEXT)
        catalog = CatalogFile(file)
        assert set(catalog.current().services) == {"shop"}
        file.write_text(self.TEXT + '[services.till.prod]\necs_service = "till"\n')
        assert set(catalog.current().services) == {"shop", "till"}
        file.write_text("[[[")
        assert set(catalog.current().services) == {"shop", "till"}
        file.unlink()
        assert set(catalog.current().services) == {"shop", "till"}
        file.write_text(self.TEXT)
        assert set(catalog.current().services) == {"shop"}

    def test_rows_of_packages_count_where_the_catalog_has_none(self, tmp_path):
        file = tmp_path / "catalog.toml"
        file.write_text(self.TEXT)
        row = AlertRule(name="CacheFull", severity="info", respond_within="1h", procedure="purge-cache")
        catalog = CatalogFile(file, (row,))
        assert catalog.current().alerts == (*RUNBOOK_MATRIX, row)
        file.write_text(
            f'{self.TEXT}[[alerts]]\nname = "Mine"\nseverity = "info"\nrespond_within = "1h"\nprocedure = "rollback"\n'
        )
        assert [rule.name for rule in catalog.current().alerts] == ["Mine"]


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, "http://127.0.0.1:8080"),
        (":9000", "0.0.0.0", 9000, "http://0.0.0.0:9000"),
        ("[::1]:0", "::1", 0, "http://[::1]:0"),
        ("webhook.example.com:80", "webhook.example.com", 80, "http://webhook.example.com:80"),
    ],
)
def test_where_to_listen_is_read(text, host, port, url):
    address = parse_address(text)
    assert (address.host, address.port, address.url) == (host, port, url)


@pytest.mark.parametrize("text", ["", "8080", "a:b", "::1:80", "host:99999", "host:80:90", "ho st:80"])
def test_what_is_no_address_is_reported(text):
    with pytest.raises(CliError, match="write HOST:PORT"):
        parse_address(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)
fields = ["version", "groupKey", "status", "truncatedAlerts", "alerts"]
parts = ["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]
changed = st.builds(
    lambda top, inner: a_payload(an_alert() | inner) | top,
    st.dictionaries(st.sampled_from(fields), anything, max_size=2),
    st.dictionaries(st.sampled_from(parts), anything, max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(changed | anything)
def test_no_json_makes_it_fail(value):
    answer = asyncio.run(Webhook().post(json.dumps(value).encode()))
    assert answer.status_code in {200, 422}


@settings(max_examples=75, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_make_it_fail(body):
    answer = asyncio.run(Webhook().post(body))
    assert answer.status_code in {200, 400, 422}
