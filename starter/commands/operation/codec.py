"""``runbook codec``: decrypts for the Temporal UI, by ``POST /decode`` and ``POST /encode`` as Temporal's remote codecs have them.

Whoever may ask it has everything decrypted that they have the ciphertext of. Those who may have its token: programs send it,
and a browser gets a cookie for it at ``/sign-in``. Pages of other origins cannot ask through a person's browser.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click
from google.protobuf.json_format import MessageToDict, Parse, ParseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from activities.telemetry.log_lines import log_to_stderr
from runbook_model.errors import MissingKeyError
from starter.caller import Caller, example, takes_caller
from starter.client.connect import UI_DEFAULT, codec_of, public_keys
from starter.exits import Exit, bad_input
from starter.printing import answer, note, say
from starter.processes.listening import Address, parse_address, serve
from starter.target_options import listen_option
from starter.webhook.guard import (
    Limits,
    Refusal,
    Token,
    Tokens,
    check_content,
    load_codec_tokens,
    no_such_place,
    read_body,
    refused,
)

if TYPE_CHECKING:
    from activities.runtime.encryption import Codec

LIMITS = Limits(body_bytes=8 * 1024 * 1024)
"""What Temporal sends in one answer, four MiB, is a third longer in base64."""
FORM = Limits(body_bytes=4096)
COOKIE = "runbook-codec"
SESSION_SECONDS = 12 * 3600
SIGN_IN = """<!doctype html><title>runbook codec</title>
<form method="post"><label>Token <input name="token" type="password" autofocus></label> <button>Sign in</button></form>"""
THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
"""Names by which people open the same UI."""
USUAL_PORTS = {"http": 80, "https": 443}
_log = logging.getLogger(__name__)
LISTEN = "127.0.0.1:8234"


class CodecServer:
    """Answers the UI of some origins, and programs, which have none."""

    def __init__(self, codec: Codec, origins: Sequence[str], tokens: Sequence[Token] = ()) -> None:
        """Without tokens, everybody who reaches it may ask."""
        self._codec = codec
        self._origins = origins
        self._tokens = Tokens(tokens, named="the codec server's RUNBOOK_CODEC_TOKEN") if tokens else None
        self._sessions = [_session(token.text) for token in tokens]

    async def encode(self, request: Request) -> JSONResponse:
        """Encrypt what a person sends by the UI."""
        return await self._answer(request, self._codec.encode)

    async def decode(self, request: Request) -> JSONResponse:
        """Decrypt; what cannot be decrypted here comes back as it is, so that it hides nothing else."""
        return await self._answer(request, self._decoded)

    async def health(self, _: Request) -> JSONResponse:
        """Say that it lives."""
        return JSONResponse({"status": "ok"})

    async def sign_in(self, request: Request) -> Response:
        """Give a browser the cookie by which it may ask, for the token that a person types."""
        if request.method == "GET":
            return HTMLResponse(SIGN_IN)
        try:
            given = parse_qs((await read_body(request, FORM)).decode(errors="replace")).get("token", [""])[0]
        except Refusal as refusal:
            return refused(refusal)
        session = _session(given.strip())
        if not self._knows(session):
            return HTMLResponse(SIGN_IN, 401)
        answer = HTMLResponse("Signed in. The Temporal UI may now decrypt in this browser.")
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, session, SESSION_SECONDS, httponly=True, samesite="strict", secure=secure)
        return answer

    def _knows(self, session: str) -> bool:
        matches = [hmac.compare_digest(session.encode(), known.encode()) for known in self._sessions]
        return any(matches)

    def _check(self, request: Request) -> None:
        """Refuse who brings neither the token nor the cookie.

        Raises:
            Refusal: 401.
        """
        if self._tokens and not self._knows(request.cookies.get(COOKIE, "")):
            self._tokens.check(request.headers.get("authorization", "").encode("latin-1"))

    async def _answer(
        self, request: Request, do: Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
    ) -> JSONResponse:
        reason = None
        try:
            payloads = await self._take(request)
            done = await do(payloads)
            answer = JSONResponse({"payloads": [MessageToDict(item) for item in done]})
        except Refusal as refusal:
            reason = str(refusal)
            answer = refused(refusal)
        except ClientDisconnect:
            reason = "the caller hung up"
            answer = JSONResponse({"error": reason}, 400)
        facts = {
            "status": answer.status_code,
            "from": request.client.host if request.client else None,
            "reason": reason,
        }
        _log.log(logging.WARNING if reason else logging.INFO, request.url.path.strip("/"), extra=facts)
        return answer

    async def _take(self, request: Request) -> Sequence[Payload]:
        origin = request.headers.get("origin")
        if origin is not None and origin not in self._origins:
            raise Refusal(403, f"a page of {origin} may not ask: RUNBOOK_UI names {self._origins[0]}")
        self._check(request)
        check_content(request)
        body = await read_body(request, LIMITS)
        try:
            return Parse(body, Payloads(), ignore_unknown_fields=True).payloads
        except (ParseError, UnicodeDecodeError, RecursionError):
            raise Refusal(400, 'the body must be {"payloads": [{"metadata": …, "data": …}]}') from None

    async def _decoded(self, payloads: Sequence[Payload]) -> list[Payload]:
        decoded: list[Payload] = []
        lacking: set[str] = set()
        for payload in payloads:
            try:
                decoded += await self._codec.decode([payload])
            except MissingKeyError as error:
                decoded.append(payload)
                lacking.add(str(error))
        for why in sorted(lacking):
            _log.warning("left as it is: %s", why)
        return decoded


def _session(token: str) -> str:
    """Return the cookie that stands for a token, and does not tell it."""
    return hmac.new(token.encode(), COOKIE.encode(), "sha256").hexdigest()


def application(server: CodecServer, origins: Iterable[str]) -> Starlette:
    """Put the server at its addresses; only pages of the UI may read its answers."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["POST"],
        allow_headers=["*"],
        allow_credentials=True,  # our cookie, and those of a proxy before it, where there is one
    )
    return Starlette(
        routes=[
            Route("/encode", server.encode, methods=["POST"]),
            Route("/decode", server.decode, methods=["POST"]),
            Route("/sign-in", server.sign_in, methods=["GET", "POST"]),
            Route("/healthz", server.health, methods=["GET"]),
        ],
        middleware=[cors],
        exception_handlers=no_such_place("POST /encode, POST /decode, GET /sign-in and GET /healthz"),
    )


def origins_of(ui: str) -> list[str]:
    """Tell by which origins a browser knows the pages of a UI.

    Raises:
        CliError: it is not an address.
    """
    try:
        parts = urlsplit(ui)
        host, port = parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}"), parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in USUAL_PORTS:
        raise bad_input(
            f"RUNBOOK_UI = {ui} is not an address",
            "write where people open the UI, such as https://temporal.example.com",
        )
    ending = "" if port in {None, USUAL_PORTS[parts.scheme]} else f":{port}"
    names = dict.fromkeys([host.lower(), *(THIS_MACHINE if host.lower() in THIS_MACHINE else ())])
    return [f"{parts.scheme}://{name}{ending}" for name in names]


@click.command("codec", epilog=example("runbook codec", "runbook codec --listen 127.0.0.1:9000"))
@listen_option(LISTEN)
@click.option(
    "--public",
    is_flag=True,
    help="Print the keys that only encrypt, a line each, for a webhook that cannot decrypt; serves nothing.",
)
@takes_caller("--json")
def command(caller: Caller, *, listen: str, public: bool) -> Exit:
    """Decrypt histories for the Temporal UI with the keys of RUNBOOK_CODEC_KEYS, and encrypt what people send from there.

    Give its address to the UI as the codec server (TEMPORAL_CODEC_ENDPOINT, or the glasses in the UI's bar). Callers need
    the bearer token of RUNBOOK_CODEC_TOKEN; browsers get a cookie for it at /sign-in, and may call it only from pages of
    RUNBOOK_UI. Without a token it decrypts for everyone who can reach it, and listens on loopback only.
    """
    address = parse_address(listen)
    codec = codec_of(os.environ)
    if codec.encrypts_by is None:
        raise bad_input(
            "RUNBOOK_CODEC_KEYS is not set",
            "without keys nothing is encrypted, and there is nothing to decrypt",
        )
    if public:
        _print_public(as_json=caller.as_json)
        return Exit.DONE
    origins = origins_of(os.environ.get("RUNBOOK_UI") or UI_DEFAULT)
    tokens = load_codec_tokens(os.environ)
    if not tokens and not address.is_loopback:
        raise bad_input(
            f"--listen {listen} is open to others, and RUNBOOK_CODEC_TOKEN is not set",
            "make a token with `openssl rand -hex 24`, or listen on 127.0.0.1",
        )
    server = CodecServer(codec, origins, tokens)
    asyncio.run(_serve(address, server, origins, as_json=caller.as_json))
    return Exit.DONE


def _print_public(*, as_json: bool) -> None:
    lines = public_keys(os.environ)
    if as_json:
        answer({"keys": lines})
    else:
        say("\n".join(lines))


async def _serve(address: Address, server: CodecServer, origins: list[str], *, as_json: bool) -> None:
    log_to_stderr("starter")

    def ready(url: str) -> None:
        note(f"codec ready: {url}, for pages of {origins[0]}")
        if as_json:
            answer({"codec": url, "health": f"{url}/healthz"})

    await serve(address, application(server, origins), ready)
