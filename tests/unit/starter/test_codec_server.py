"""What the codec server answers the Temporal UI, programs, and pages of others."""

import base64
import json
import logging
import socket

import httpx
import pytest
from temporalio.api.common.v1 import Payload

from starter.__main__ import run
from starter.commands.operation.codec import LIMITS, CodecServer, application, origins_of
from starter.exits import CliError
from starter.webhook.guard import Token
from tests.sealing import codec, key

UI = "http://127.0.0.1:8233"
PLAIN = {
    "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
    "data": base64.b64encode(b'"pears"').decode(),
}


class Ui:
    """A page that asks."""

    def __init__(self, *key_ids, tokens=()) -> None:
        origins = origins_of(UI)
        served = application(CodecServer(codec(*key_ids), origins, [Token(text) for text in tokens]), origins)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://codec")

    async def post(self, path, content, origin=UI, **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        sent = {"Content-Type": "application/json", "X-Namespace": "default"} | headers
        if origin:
            sent["Origin"] = origin
        return await self.client.post(path, content=content, headers=sent)


@pytest.fixture
def ui():
    return Ui("2026-02", "2026-01")


async def test_what_it_encrypts_it_decrypts_and_the_keys_of_the_product_do_too(ui):
    encrypted = (await ui.post("/encode", {"payloads": [PLAIN]})).json()
    (payload,) = encrypted["payloads"]
    assert base64.b64decode(payload["metadata"]["encryption-key-id"]) == b"2026-02"
    answer = await ui.post("/decode", encrypted)
    assert (answer.status_code, answer.json()) == (200, {"payloads": [PLAIN]})
    own = Payload(
        metadata={name: base64.b64decode(value) for name, value in payload["metadata"].items()},
        data=base64.b64decode(payload["data"]),
    )
    assert (await codec("2026-02").decode([own]))[0].data == b'"pears"'


async def test_plain_payloads_and_none_at_all_come_back_as_they_are(ui):
    for body in ({"payloads": [PLAIN]}, {"payloads": []}):
        assert (await ui.post("/decode", body)).json() == body
    assert (await ui.post("/decode", {})).json() == {"payloads": []}


async def test_what_it_has_no_key_for_hides_nothing_else_and_is_logged_by_the_name_of_the_key(ui, caplog):
    lost = (await Ui("lost").post("/encode", {"payloads": [PLAIN]})).json()["payloads"][0]
    own = (await ui.post("/encode", {"payloads": [PLAIN]})).json()["payloads"][0]
    with caplog.at_level(logging.WARNING):
        answer = await ui.post("/decode", {"payloads": [lost, own, lost]})
    assert answer.json() == {"payloads": [lost, PLAIN, lost]}
    assert len(caplog.records) == 1
    assert 'left as it is: encrypted with key "lost"' in caplog.text


@pytest.mark.parametrize("path", ["/decode", "/encode"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example.com", "http://127.0.0.1:8233.evil.example.com", "https://127.0.0.1:8233", "null"],
)
async def test_a_page_of_others_gets_nothing_by_a_persons_browser(ui, path, origin):
    answer = await ui.post(path, {"payloads": [PLAIN]}, origin)
    assert answer.status_code == 403
    assert "RUNBOOK_UI" in answer.json()["error"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    asked = await ui.client.options(path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert asked.status_code == 400


@pytest.mark.parametrize("origin", [UI, "http://localhost:8233"])
async def test_a_page_of_the_ui_may_ask_and_read(ui, origin):
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace,authorization",
    }
    asked = await ui.client.options("/decode", headers=preflight)
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert "x-namespace" in asked.headers["Access-Control-Allow-Headers"]
    answer = await ui.post("/decode", {"payloads": [PLAIN]}, origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin


async def test_a_program_has_no_origin_and_is_answered(ui):
    assert (await ui.post("/decode", {"payloads": [PLAIN]}, origin=None)).status_code == 200


class TestToken:
    @pytest.fixture
    def ui(self):
        return Ui("a", tokens=["open-sesame", "the-next-one"])

    @pytest.mark.parametrize(
        "sent", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "runbook-codec=open-sesame"}]
    )
    async def test_without_it_nothing_is_decrypted(self, ui, sent):
        answer = await ui.post("/decode", {"payloads": [PLAIN]}, **sent)
        assert answer.status_code == 401
        assert "RUNBOOK_CODEC_TOKEN" in answer.json()["error"]

    @pytest.mark.parametrize("token", ["open-sesame", "the-next-one"])
    async def test_a_program_brings_it(self, ui, token):
        sent = {"Authorization": f"Bearer {token}"}
        assert (await ui.post("/decode", {"payloads": [PLAIN]}, origin=None, **sent)).status_code == 200

    async def test_a_browser_gets_a_cookie_for_it_that_does_not_tell_it(self, ui):
        assert "password" in (await ui.client.get("/sign-in")).text
        answer = await ui.client.post("/sign-in", data={"token": "open-sesame"})
        cookie = answer.headers["Set-Cookie"]
        assert answer.status_code == 200
        assert "open-sesame" not in cookie
        assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
        assert (await ui.post("/decode", {"payloads": [PLAIN]})).status_code == 200

    @pytest.mark.parametrize("form", [{"token": "wrong"}, {}, {"token": "x" * 9000}])
    async def test_a_wrong_one_gets_none(self, ui, form):
        answer = await ui.client.post("/sign-in", data=form)
        assert answer.status_code in {401, 413}
        assert "Set-Cookie" not in answer.headers

    async def test_that_it_lives_is_said_to_everybody(self, ui):
        assert (await ui.client.get("/healthz")).status_code == 200

    async def test_where_there_is_none_no_cookie_is_given(self):
        assert (await Ui("a").client.post("/sign-in", data={"token": ""})).status_code == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"7", b"[" * 100_000, b'{"payloads": 7}', b'{"payloads": [{"data": 7}]}'],
)
async def test_a_body_that_is_none_is_one_clear_error(ui, body):
    answer = await ui.post("/decode", body)
    assert answer.status_code == 400
    assert answer.json() == {"error": 'the body must be {"payloads": [{"metadata": …, "data": …}]}'}


async def test_a_body_that_is_too_large_or_no_json_is_refused(ui):
    answer = await ui.post("/decode", b" " * (LIMITS.body_bytes + 1))
    assert (answer.status_code, "more than" in answer.json()["error"]) == (413, True)
    answer = await ui.post("/decode", b"x", **{"Content-Type": "text/plain"})
    assert answer.status_code == 400


async def test_it_says_that_it_lives_and_what_there_is(ui):
    assert (await ui.client.get("/healthz")).json() == {"status": "ok"}
    answer = await ui.client.get("/")
    assert (answer.status_code, "POST /decode" in answer.json()["error"]) == (404, True)
    assert (await ui.client.get("/decode")).status_code == 405


@pytest.mark.parametrize(
    ("address", "origins"),
    [
        ("https://temporal.example.com", ["https://temporal.example.com"]),
        ("https://Temporal.example.com:443/ui/", ["https://temporal.example.com"]),
        ("http://ui:80", ["http://ui"]),
        ("https://ui.example.com:8443/a", ["https://ui.example.com:8443"]),
        ("http://[::1]:8233", [f"http://{name}:8233" for name in ("[::1]", "localhost", "127.0.0.1")]),
    ],
)
def test_the_origin_of_a_ui_is_what_a_browser_sends(address, origins):
    assert origins_of(address) == origins


@pytest.mark.parametrize("address", ["", "ui", "ftp://ui", "http://", "http://ui:x", "http://[::1", "*"])
def test_an_address_that_is_none_is_reported(address):
    with pytest.raises(CliError, match="write where people open the UI"):
        origins_of(address)


class TestCommand:
    @pytest.fixture
    def say(self, capsys, monkeypatch):
        for name in ("RUNBOOK_CODEC_KEYS", "RUNBOOK_CODEC_KEYS_FILE", "RUNBOOK_CODEC_TOKEN", "RUNBOOK_UI"):
            monkeypatch.delenv(name, raising=False)

        def call(*words, **environment):
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            return run(["codec", *words]), capsys.readouterr().err

        return call

    def test_it_does_not_start_without_keys_or_with_bad_ones(self, say):
        code, err = say()
        assert (code, "RUNBOOK_CODEC_KEYS is not set" in err) == (2, True)
        code, err = say(RUNBOOK_CODEC_KEYS="x")
        assert (code, "RUNBOOK_CODEC_KEYS, line 1 holds no key; write" in err) == (2, True)
        assert len(err.splitlines()) == 1

    def test_it_does_not_start_for_a_ui_that_is_nowhere(self, say):
        code, err = say(RUNBOOK_CODEC_KEYS=key("a"), RUNBOOK_UI="nowhere")
        assert (code, "RUNBOOK_UI = nowhere" in err) == (2, True)

    def test_it_is_not_open_to_others_without_a_token(self, say):
        code, err = say("--listen", "0.0.0.0:0", RUNBOOK_CODEC_KEYS=key("a"))
        assert (code, "open to others, and RUNBOOK_CODEC_TOKEN is not set" in err) == (2, True)

    def test_an_address_that_is_taken_is_reported(self, say):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            code, err = say("--listen", f"127.0.0.1:{port}", RUNBOOK_CODEC_KEYS=key("a"))
        assert (code, len(err.splitlines())) == (2, 1)
