"""How doctor tries the channels: Slack by its Web API and the hosts of webhooks, and nobody is notified."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from activities.chat.channels import Channels
from activities.chat.slack import SlackClients
from activities.doctor import place
from activities.doctor.looking import check
from activities.doctor.place import try_channels
from activities.http.client import http_client
from runbook_model.catalog.catalog import load_catalog
from runbook_model.checks import row_of
from sandbox.machine.http_server import serving
from sandbox.machine.processes import free_port
from sandbox.monitoring.slack import Slack

TOKEN = "xoxb-1111-verysecret"  # made up
CATALOG = """
[environments.prod]
cluster = "prod"
[services.shop.prod]
ecs_service = "shop"
[[channels]]
name = "ops"
kind = "slack"
secret_env = "SLACK_TOKEN"
channel = "{channel}"
[[channels]]
name = "hook"
kind = "slack-webhook"
secret_env = "SLACK_HOOK"
[[channels]]
name = "pager"
kind = "webhook"
secret_env = "PAGER_HOOK"
[[channels]]
name = "file"
kind = "log"
"""


class Stage:
    """The product's channels, and the Slack that they speak to."""

    def __init__(self, slack, api, folder):
        self.slack = slack
        self.api = api
        self.channel = "#ops"
        self._catalog = folder / "catalog.toml"

    async def __call__(self, *names):
        """What doctor says of these channels together."""
        self._catalog.write_text(CATALOG.format(channel=self.channel))
        wanted = tuple(channel for channel in load_catalog(self._catalog).channels if channel.name in names)
        async with http_client() as http:
            outlets = Channels(self._catalog, SlackClients(self.api), http)
            return await check(row_of("chat"), lambda: try_channels(outlets, wanted))


@pytest.fixture(scope="module")
async def server():
    slack, port = Slack("ops"), free_port()
    async with serving(slack.application, port):
        yield slack, f"http://127.0.0.1:{port}/api/"


@pytest.fixture
def stage(server, tmp_path, monkeypatch):
    slack, api = server
    slack.__init__("ops")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)
    return Stage(slack, api, tmp_path)


@asynccontextmanager
async def host(certificate=None):
    """A host that takes connections and keeps whatever it is sent; yields its port."""
    heard = bytearray()

    async def hear(reader, writer):
        heard.extend(await reader.read())
        writer.close()

    listening = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=certificate)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
    assert bytes(heard) == b"", "something was sent"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that nobody vouches for, as a file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


class TestSlack:
    async def test_is_asked_who_the_app_is_and_where_it_is_and_nobody_is_notified(self, stage):
        text = await stage("ops")
        assert (text.ok, text.fix) == (True, None)
        assert text.detail == "channel ops: Slack knows the app as runbook, in #ops"
        assert stage.slack.calls == ["auth.test", "conversations.list"]
        assert stage.slack.messages == []

    async def test_is_asked_about_a_channel_by_its_id(self, stage):
        stage.channel = "C00000001"
        assert (await stage("ops")).ok is True
        assert stage.slack.calls == ["auth.test", "conversations.info"]

    async def test_that_does_not_know_the_token_is_red_without_the_token(self, stage, monkeypatch):
        monkeypatch.setenv("SLACK_TOKEN", "wrong-verysecret")
        text = await stage("ops")
        assert (text.ok, text.detail) == (False, "channel ops: Slack answers 200 invalid_auth")
        assert text.fix == "renew what its variable holds"

    @pytest.mark.parametrize("missing", ["", "  "])
    async def test_without_a_token_names_the_variable(self, stage, monkeypatch, missing):
        monkeypatch.setenv("SLACK_TOKEN", missing)
        text = await stage("ops")
        assert (text.ok, text.detail) == (False, "channel ops: the worker's environment has no SLACK_TOKEN")
        assert text.fix == "set SLACK_TOKEN for it, or correct secret_env in the catalog"

    @pytest.mark.parametrize("channel", ["#ops", "C00000001"])
    async def test_has_the_app_in_the_channel(self, stage, channel):
        stage.channel = channel
        stage.slack.uninvited = {"ops"}
        text = await stage("ops")
        assert (text.ok, text.detail) == (False, f"channel ops: the app is not in {channel}")
        assert text.fix == f"invite the app to {channel}"

    async def test_may_let_the_app_post_to_a_channel_that_it_is_not_in(self, stage):
        stage.slack.uninvited, stage.slack.scopes = {"ops"}, {*stage.slack.scopes, "chat:write.public"}
        text = await stage("ops")
        assert (text.ok, text.detail.endswith("it may post to #ops from outside")) == (True, True)

    @pytest.mark.parametrize(
        ("channel", "detail", "fix"),
        [
            ("#elsewhere", "the app does not see #elsewhere", "invite the app to #elsewhere, or correct"),
            ("C99999999", "Slack answers 200 channel_not_found", "correct the channel in the catalog"),
        ],
    )
    async def test_must_have_the_channel(self, stage, channel, detail, fix):
        stage.channel = channel
        text = await stage("ops")
        assert (text.ok, text.detail) == (False, f"channel ops: {detail}")
        assert text.fix.startswith(fix)

    async def test_must_let_the_app_post(self, stage):
        stage.slack.scopes = {"channels:read"}
        text = await stage("ops")
        assert (text.ok, text.detail) == (False, "channel ops: the app has no scope chat:write")
        assert text.fix == "give the app the scope chat:write"

    async def test_need_not_let_the_app_read_and_then_it_is_said_what_is_not_known(self, stage):
        stage.slack.scopes = {"chat:write"}
        text = await stage("ops")
        assert text.ok is True
        assert "whether it is in #ops is unknown: it has no scope to read channels" in text.detail

    async def test_that_is_away_is_red(self, stage, unused_tcp_port):
        stage.api = f"http://127.0.0.1:{unused_tcp_port}/api/"
        text = await stage("ops")
        assert (text.ok, text.detail) == (False, "channel ops: Slack does not answer (URLError)")
        assert text.fix == "let the worker reach its host"


@pytest.mark.parametrize(("name", "variable"), [("hook", "SLACK_HOOK"), ("pager", "PAGER_HOOK")])
class TestWebhooks:
    async def test_are_connected_to_and_sent_nothing(self, stage, monkeypatch, name, variable):
        async with host() as port:
            monkeypatch.setenv(variable, f"http://127.0.0.1:{port}/correct-horse")
            text = await stage(name)
        assert (text.ok, text.fix) == (True, None)
        assert text.detail == f"channel {name}: its host takes a connection, not tried"

    async def test_must_have_a_certificate_that_is_vouched_for(
        self, stage, monkeypatch, certificate, name, variable
    ):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        async with host(context) as port:
            monkeypatch.setenv(variable, f"https://127.0.0.1:{port}/correct-horse")
            text = await stage(name)
            assert (text.ok, text.detail) == (
                False,
                f"channel {name}: no TLS with its host (CERTIFICATE_VERIFY_FAILED)",
            )
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            assert (await stage(name)).ok is True

    @pytest.mark.parametrize(
        ("address", "detail"),
        [
            (
                "http://127.0.0.1:{port}/correct-horse",
                "its host takes no connection (ConnectionRefusedError)",
            ),
            ("https://correct-horse.invalid/", "its host has no address in the worker's network"),
            (f"https://{'correct-horse' * 9}.invalid/", "its host has no address in the worker's network"),
            ("https://127.0.0.1:correct-horse/", "{variable} holds no address"),
            ("https:///correct-horse", "{variable} holds no address"),
            ("correct-horse", "{variable} holds no http(s) address"),
        ],
    )
    async def test_that_cannot_be_reached_are_red_and_nothing_of_their_address_is_shown(
        self, stage, monkeypatch, unused_tcp_port, name, variable, address, detail
    ):
        monkeypatch.setenv(variable, address.format(port=unused_tcp_port))
        text = await stage(name)
        assert (text.ok, text.detail) == (False, f"channel {name}: {detail.format(variable=variable)}")
        assert text.fix
        shown = text.detail + text.fix
        assert all(secret not in shown for secret in ("correct-horse", "127.0.0.1", str(unused_tcp_port)))

    async def test_behind_a_proxy_are_left_to_it(self, stage, monkeypatch, name, variable):
        monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
        monkeypatch.setenv(variable, "https://correct-horse.invalid/")
        text = await stage(name)
        assert (text.ok, text.detail) == (
            True,
            f"channel {name}: goes by the proxy of the worker's environment, not tried",
        )


class TestTogether:
    async def test_one_that_is_red_is_named_and_the_others_are_not(self, stage, monkeypatch):
        monkeypatch.delenv("PAGER_HOOK", raising=False)
        text = await stage("ops", "pager", "file")
        assert (text.ok, text.detail) == (False, "channel pager: the worker's environment has no PAGER_HOOK")

    async def test_all_are_reported_where_all_are_in_place(self, stage):
        text = await stage("ops", "file")
        assert (
            text.detail
            == "channel ops: Slack knows the app as runbook, in #ops; channel file: the worker's log"
        )

    async def test_each_has_a_time_of_its_own(self, stage, monkeypatch):
        monkeypatch.setattr(place, "SECONDS", 0.5)
        async with host() as silent, host() as port:
            stage.api = f"http://127.0.0.1:{silent}/api/"
            monkeypatch.setenv("PAGER_HOOK", f"http://127.0.0.1:{port}/")
            text = await stage("ops", "pager")
        assert (text.ok, text.detail) == (False, "channel ops: no answer within 0.5 s")

    async def test_without_any_there_is_nothing_to_try(self, stage):
        assert (await stage()).ok is None
