"""Every kind of channel against a server that answers as the real one does."""

import dataclasses
import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.api.failure.v1 import Failure
from temporalio.testing import ActivityEnvironment

from activities.chat.activities import ChatActivities
from activities.chat.channels import Channels
from activities.chat.slack import SlackClients
from activities.chat.slack_messages import LONGEST_BLOCK, mark_of, parts
from activities.chat.wording import Templates
from activities.http.client import http_client
from activities.runtime.converter import data_converter
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.errors import (
    AccessDeniedError,
    CatalogError,
    CredentialsError,
    NotFoundError,
    RejectedError,
    ThrottledError,
    UnreachableError,
)
from runbook_model.incident.announcements import Announcement, Delivery, Notice
from sandbox.call_log import CallLog
from sandbox.machine.http_server import serving
from sandbox.machine.processes import free_port
from sandbox.monitoring.slack import Slack

CATALOG = """
[environments.prod]
cluster = "prod"
[environments.staging]
cluster = "staging"
[services.shop.prod]
ecs_service = "shop"
[[channels]]
name = "ops"
kind = "slack"
secret_env = "SLACK_TOKEN"
channel = "#ops"
environments = ["prod"]
[[channels]]
name = "hook"
kind = "slack-webhook"
secret_env = "SLACK_HOOK"
[[channels]]
name = "machine"
kind = "webhook"
secret_env = "MACHINE_HOOK"
environments = ["prod"]
"""
TOKEN = "xoxb-1111-verysecret"  # made up
SECRET_PATH = "services/T000/B000/verysecret"


class Stage:
    """The product's channels, and the Slack that they speak to."""

    def __init__(self, slack: Slack, base: str, folder) -> None:
        self.slack = slack
        self.base = base
        self.catalog = folder / "catalog.toml"
        self.catalog.write_text(CATALOG)
        self.http = http_client()
        channels = Channels(self.catalog, SlackClients(f"{base}/api/"), self.http)
        self.chat = ChatActivities(channels, Templates())

    async def announce(self, channel="ops", *, attempt=1, thread=None, **fields):
        delivery = Delivery(announcement=announcement(**fields), channel=channel, thread=thread)
        return await self._run(self.chat.announce, delivery, attempt)

    async def tell(self, text="look", *, attempt=1, environment="prod", urgent=False):
        notice = Notice(target=f"{environment}/shop", text=text, run="remediation/prod/shop", urgent=urgent)
        return await self._run(self.chat.notify, notice, attempt)

    async def _run(self, activity, given, attempt):
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(ActivityEnvironment.default_info(), attempt=attempt)
        return await environment.run(activity, given)


def announcement(number=1, kind="started", **fields) -> Announcement:
    now = datetime.now(UTC)
    return Announcement(
        **{
            "incident": "incident/prod/shop",
            "number": number,
            "kind": kind,
            "title": "Service Down: shop in prod",
            "service": "shop",
            "environment": "prod",
            "status": "investigating",
            "at": now,
            "started": now,
            **fields,
        }
    )


@pytest.fixture(scope="module")
async def server():
    """A Slack on loopback, and its address."""
    slack, port = Slack(), free_port()
    async with serving(slack.application, port):
        yield slack, f"http://127.0.0.1:{port}"


@pytest.fixture
async def stage(server, tmp_path, monkeypatch):
    slack, base = server
    for left in (slack.messages, slack._faults):
        left.clear()
    slack.log = CallLog()
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)
    monkeypatch.setenv("SLACK_HOOK", f"{base}/{SECRET_PATH}")
    monkeypatch.setenv("MACHINE_HOOK", f"{base}/{SECRET_PATH}")
    stage = Stage(slack, base, tmp_path)
    async with stage.http:
        yield stage


def texts(message) -> str:
    return "\n".join(block["text"]["text"] for block in message["blocks"] if block["type"] == "section")


def footer(message) -> str:
    return message["blocks"][-1]["elements"][0]["text"]


class TestSlacksWebApi:
    async def test_the_first_message_starts_a_thread_that_the_others_are_in(self, stage):
        first = await stage.announce()
        second = await stage.announce(number=2, kind="update", thread=first.thread)
        root, reply = stage.slack.messages
        assert first.thread == f"{root['channel']}/{root['ts']}"
        assert reply["thread_ts"] == root["ts"]
        assert second.thread == first.thread
        assert "*INCIDENT: Service Down: shop in prod*" in texts(root)

    @pytest.mark.parametrize(("kind", "seen"), [("update", False), ("resolved", True), ("escalation", True)])
    async def test_the_end_and_escalations_are_also_shown_outside_the_thread(self, stage, kind, seen):
        first = await stage.announce()
        await stage.announce(number=2, kind=kind, thread=first.thread)
        assert stage.slack.messages[-1]["reply_broadcast"] is seen

    async def test_each_message_carries_its_mark_for_people_and_for_machines(self, stage):
        await stage.announce(number=7)
        message = stage.slack.messages[0]
        assert footer(message) == "incident/prod/shop#7"
        assert mark_of(message) == "incident/prod/shop#7"
        assert message["client_msg_id"]

    @pytest.mark.parametrize("in_thread", [False, True])
    async def test_a_message_whose_reply_was_lost_is_found_and_not_doubled(self, stage, in_thread):
        thread = (await stage.announce()).thread if in_thread else None
        message = {"number": 2, "kind": "update", "at": datetime.now(UTC), "thread": thread}
        stage.slack.fail(lose_reply=True)
        with pytest.raises(UnreachableError):
            await stage.announce(**message)
        posted = list(stage.slack.messages)
        delivered = await stage.announce(**message, attempt=2)
        assert stage.slack.messages == posted
        assert "it was there already" in delivered.summary
        assert True

    async def test_a_message_that_never_arrived_is_posted_by_the_next_attempt(self, stage):
        stage.slack.fail(status=503)
        with pytest.raises(UnreachableError, match="503"):
            await stage.announce()
        await stage.announce(attempt=2)
        assert len(stage.slack.messages) == 1

    async def test_an_app_that_may_not_look_posts_again_and_says_so(self, stage):
        await stage.announce()
        stage.slack.fail(error="missing_scope")
        await stage.announce(attempt=2)
        assert [footer(message) for message in stage.slack.messages] == [
            "incident/prod/shop#1",
            "incident/prod/shop#1 · maybe a repeat",
        ]

    async def test_a_thread_that_somebody_deleted_starts_again(self, stage):
        first = await stage.announce()
        stage.slack.messages.clear()
        again = await stage.announce(number=2, kind="update", thread=first.thread)
        assert again.thread != first.thread
        assert "thread_ts" not in stage.slack.messages[0]

    async def test_a_busy_slack_says_when_to_come_back(self, stage):
        stage.slack.fail(status=429, retry_after=17)
        with pytest.raises(ThrottledError, match="429 ratelimited") as raised:
            await stage.announce()
        assert raised.value.to_application_error().next_retry_delay == timedelta(seconds=17)

    @pytest.mark.parametrize(
        ("code", "error", "fix"),
        [
            ("token_revoked", CredentialsError, "renew"),
            ("invalid_auth", CredentialsError, "renew"),
            ("not_in_channel", AccessDeniedError, "invite the app"),
            ("channel_not_found", NotFoundError, "correct the channel"),
            ("is_archived", RejectedError, "is_archived"),
            ("internal_error", UnreachableError, "internal_error"),
        ],
    )
    async def test_a_refusal_has_its_kind_and_its_fix(self, stage, code, error, fix):
        stage.slack.fail(error=code)
        with pytest.raises(error, match=fix) as raised:
            await stage.announce()
        assert type(raised.value) is error
        assert raised.value.retryable is (error is UnreachableError)

    async def test_what_another_channel_refused_says_so(self, stage):
        await stage.announce(instead_of="channel pager: Slack answers 200 is_archived")
        said = "(said here because channel pager: Slack answers 200 is_archived)"
        assert said in stage.slack.messages[0]["blocks"][0]["text"]["text"]

    async def test_nothing_is_longer_than_slack_allows(self, stage):
        text = "<&>" * 1000
        await stage.announce(
            observations=(text,) * 30, next_steps=(text,) * 30, impact=text, title=text, ask=text
        )
        sections = [block for block in stage.slack.messages[0]["blocks"] if block["type"] == "section"]
        assert len(sections) > 1
        assert max(len(block["text"]["text"]) for block in sections) <= LONGEST_BLOCK


class TestSlacksIncomingWebhook:
    async def test_it_takes_the_message_with_its_mark(self, stage):
        delivered = await stage.announce("hook")
        message = stage.slack.messages[0]
        assert footer(message) == mark_of(message) == "incident/prod/shop#1"
        assert delivered.thread is None

    async def test_a_repeat_says_that_it_may_be_one(self, stage):
        await stage.announce("hook", attempt=2)
        assert footer(stage.slack.messages[0]) == "incident/prod/shop#1 · maybe a repeat"

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            ({"status": 429, "retry_after": 3}, ThrottledError),
            ({"status": 500}, UnreachableError),
            ({"lose_reply": True}, UnreachableError),
            ({"status": 400, "error": "x"}, RejectedError),
        ],
    )
    async def test_a_failure_has_its_kind(self, stage, fault, error):
        stage.slack.fail(**fault)
        with pytest.raises(error) as raised:
            await stage.announce("hook")
        assert type(raised.value) is error


class TestAnyWebhook:
    async def test_it_posts_the_fields_with_their_text_and_mark(self, stage):
        await stage.announce("machine", attempt=2, impact="checkout fails")
        message = stage.slack.messages[0]
        assert message["mark"] == "incident/prod/shop#1"
        assert message["impact"] == "checkout fails"
        assert message["text"].startswith("🔴 INCIDENT: Service Down: shop in prod")
        assert message["repeat"] is True

    @pytest.mark.parametrize(
        ("status", "error"),
        [(429, ThrottledError), (503, UnreachableError), (403, AccessDeniedError), (404, RejectedError)],
    )
    async def test_a_failure_has_its_kind(self, stage, status, error):
        stage.slack.fail(status=status)
        with pytest.raises(error, match=f"channel machine: HTTP {status}"):
            await stage.announce("machine")


CONTACT = '[[contacts]]\nname = "On-call SRE"\nchannel = "{}"\n'


class TestTheCatalog:
    @pytest.mark.parametrize(
        ("more", "line"),
        [
            (
                '[[channels]]\nname = "ops"\nkind = "log"',
                'channels.3.name = "ops": another channel has this name; choose one',
            ),
            (
                '[[channels]]\nname = "new"\nkind = "webhook"',
                'channels.3: kind "webhook" needs secret_env = "…", the variable that holds its address or token',
            ),
            (
                '[[channels]]\nname = "new"\nkind = "slack"\nsecret_env = "X"',
                'channels.3: kind "slack" needs channel = "#…"',
            ),
            (
                '[[channels]]\nname = "new"\nkind = "log"\nenvironments = ["prd"]',
                "channels.3.environments: no [environments.prd]: add it, or correct the name",
            ),
            (
                CONTACT.format("pager"),
                'contacts.0.channel = "pager": no such channel; there are: ops, hook, machine',
            ),
        ],
    )
    def test_a_mistake_is_reported_with_its_fix(self, more, line):
        with pytest.raises(CatalogError) as raised:
            parse_catalog(CATALOG + more, "c")
        assert raised.value.problems == (f"c: {line}",)

    @pytest.mark.parametrize("secret", ["https://hooks.slack.com/services/T0/B0/verysecret", TOKEN])
    def test_a_secret_in_place_of_its_variable_is_refused_without_being_reported(self, secret):
        with pytest.raises(CatalogError) as raised:
            parse_catalog(
                f'{CATALOG}[[channels]]\nname = "x"\nkind = "webhook"\nsecret_env = "{secret}"', "c"
            )
        assert "verysecret" not in str(raised.value)

    @pytest.mark.parametrize(
        ("environment", "names"), [("prod", ("ops", "hook", "machine")), ("staging", ("hook",))]
    )
    def test_an_environment_has_the_channels_that_name_it_and_those_that_name_none(self, environment, names):
        assert parse_catalog(CATALOG, "c").channels_of(environment) == names

    def test_without_channels_everything_is_reported_in_the_log_whatever_contacts_name(self):
        without = CATALOG.partition("[[channels]]")[0] + CONTACT.format("pager")
        assert parse_catalog(without, "c").target("shop", "prod").channels == ("log",)


class TestNames:
    async def test_a_channel_that_the_catalog_does_not_have_is_the_log_which_says_so(self, stage, caplog):
        caplog.set_level(logging.INFO)
        delivered = await stage.announce("pager")
        assert delivered.summary == 'the worker\'s log (the catalog has no channel "pager")'
        assert "INCIDENT: Service Down: shop in prod" in caplog.text

    async def test_a_catalog_that_is_being_edited_is_read_again_later(self, stage):
        stage.catalog.write_text("[environments")
        with pytest.raises(CatalogError) as raised:
            await stage.announce()
        assert raised.value.to_application_error().non_retryable is False

    async def test_a_secret_that_is_not_set_holds_no_message_up(self, stage, monkeypatch):
        monkeypatch.delenv("SLACK_TOKEN")
        with pytest.raises(CredentialsError, match="has no SLACK_TOKEN; set SLACK_TOKEN for it") as raised:
            await stage.announce()
        assert raised.value.to_application_error().non_retryable


class TestNotices:
    async def test_a_notice_goes_to_every_channel_of_its_environment(self, stage):
        await stage.tell("Remind: no decision for 5m")
        assert stage.slack.calls == ["chat.postMessage", "webhook", "webhook"]

    async def test_and_to_no_channel_of_another_one(self, stage):
        await stage.tell(environment="staging")
        assert stage.slack.calls == ["webhook"]

    async def test_a_channel_that_is_down_does_not_keep_it_from_the_others(self, stage, caplog):
        stage.slack.fail(status=500)
        await stage.tell()
        assert len(stage.slack.messages) == 2
        assert "not delivered: channel ops: Slack answers 500" in caplog.text

    async def test_where_every_channel_refuses_it_for_good_the_log_has_it(self, stage, caplog):
        caplog.set_level(logging.INFO)
        stage.slack.fail(status=410, times=3)
        await stage.tell("Remind: no decision for 5m")
        assert "not delivered: channel machine: HTTP 410" in caplog.text
        assert "Remind: no decision for 5m" in caplog.text

    async def test_it_is_tried_again_where_nobody_was_notified(self, stage):
        stage.slack.fail(status=500, times=3)
        with pytest.raises(UnreachableError):
            await stage.tell()


class TestSecrets:
    @pytest.mark.parametrize("channel", ["ops", "hook", "machine"])
    @pytest.mark.parametrize("fault", [{"status": 500}, {"status": 404}, {"lose_reply": True}, None])
    async def test_neither_errors_nor_logs_hold_them(self, stage, channel, fault, caplog, monkeypatch):
        caplog.set_level(logging.DEBUG)
        if fault:
            stage.slack.fail(**fault)
        else:
            nobody = f"http://127.0.0.1:{free_port()}"
            monkeypatch.setenv("SLACK_HOOK", f"{nobody}/{SECRET_PATH}")
            monkeypatch.setenv("MACHINE_HOOK", f"{nobody}/{SECRET_PATH}")
            monkeypatch.setattr(stage.chat._channels._slack, "_api", f"{nobody}/api/")
        with pytest.raises((UnreachableError, NotFoundError, RejectedError)) as raised:
            await stage.announce(channel)
        written = Failure()
        await data_converter.encode_failure(raised.value.to_application_error(), written)
        await data_converter.encode_failure(raised.value, in_history := Failure())
        assert "verysecret" not in f"{written}{in_history}{caplog.text}"

    async def test_traces_do_not_hold_them(self, stage, monkeypatch):
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
        seen, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(seen))
        HTTPXClientInstrumentor.instrument_client(stage.http, tracer_provider=provider)
        await stage.http.get(f"{stage.base}/_sandbox/messages")
        await stage.announce("machine")
        spans = [span.to_json() for span in seen.get_finished_spans()]
        assert ["/_sandbox/messages" in span for span in spans] == [True]

    async def test_an_address_that_is_none_is_not_shown(self, stage, monkeypatch):
        monkeypatch.setenv("SLACK_HOOK", "verysecret")
        with pytest.raises(CredentialsError, match=r"SLACK_HOOK holds no http\(s\) address") as raised:
            await stage.announce("hook")
        assert "verysecret" not in str(raised.value)


class TestTheFakeSlack:
    async def test_it_can_be_asked_what_arrived_and_asked_to_fail(self, stage):
        async with httpx.AsyncClient(base_url=stage.base) as http:
            await http.post("/_sandbox/faults", json={"times": 1, "status": 503})
            assert (await http.post("/services/x", json={"text": "a"})).status_code == 503
            assert (await http.post("/services/x", json={"text": "b"})).text == "ok"
            assert [item["text"] for item in (await http.get("/_sandbox/messages")).json()] == ["b"]

    @pytest.mark.parametrize(
        ("body", "refusal"),
        [
            ({}, "no_text"),
            ({"text": "x" * 40_001}, "msg_too_long"),
            ({"blocks": [{"type": "section", "text": {"text": "x" * 3001}}]}, "invalid_blocks"),
        ],
    )
    async def test_it_refuses_what_slack_refuses(self, stage, body, refusal):
        async with httpx.AsyncClient(base_url=stage.base) as http:
            answer = await http.post("/services/x", json=body)
        assert (answer.status_code, answer.text) == (400, refusal)


class TestParts:
    def test_a_text_is_cut_at_the_ends_of_lines(self):
        assert parts("a" * 2000 + "\n" + "b" * 2000) == ["a" * 2000, "b" * 2000]

    def test_a_long_line_is_never_cut_through_an_escaped_character(self):
        cut = parts("a" * (LONGEST_BLOCK - 2) + "&lt;" + "b" * LONGEST_BLOCK)
        assert "".join(cut) == "a" * (LONGEST_BLOCK - 2) + "&lt;" + "b" * LONGEST_BLOCK
        assert cut[0] == "a" * (LONGEST_BLOCK - 2)
        assert all(len(part) <= LONGEST_BLOCK for part in cut)
