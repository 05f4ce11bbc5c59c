"""A Slack for rehearsals: takes what incoming webhooks and the Web API take, keeps it, and answers as Slack does.

``POST /services/…`` is an incoming webhook, ``/api/<method>`` the Web API. ``GET /`` shows what arrived to people, and
``GET /_sandbox/messages`` to programs; ``POST /_sandbox/faults`` ``{"times": 1, "status": 429, "retry_after": 1}`` or ``{"times": 1, "lose_reply": true}``
makes the next calls go wrong. ``python -m sandbox.monitoring.slack --port 9100`` serves it alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from html import escape, unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.call_log import CallLog, Entry, caller_of
from sandbox.machine.http_server import serving

if TYPE_CHECKING:
    from starlette.requests import Request

LONGEST_BLOCK, MOST_BLOCKS, LONGEST_TEXT = 3000, 50, 40_000
SCOPES = {
    "chat.postMessage": "chat:write",
    "conversations.list": "channels:read",
    "conversations.info": "channels:read",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
}
"""Web API method -> scope that it needs."""
Message = dict[str, Any]
WHO: Message = {
    "url": "https://sandbox.slack.com/",
    "team": "sandbox",
    "user": "runbook",
    "team_id": "T00000001",
    "user_id": "U00000001",
    "bot_id": "B00000001",
}
_PAGE = """\
<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Slack of the sandbox</title>
<style>body{{font:15px sans-serif;max-width:60em;margin:2em auto}}pre{{white-space:pre-wrap;font:inherit;border-left:3px solid #ccc;
padding-left:1em}}.answer{{margin-left:3em}}</style>
<h1>Slack of the sandbox</h1>
{messages}
"""


class RefusedError(Exception):
    """Slack's word for what it does not take."""


class Slack:
    """One workspace, with an app in all of its channels; more channels come to be when they are first posted to."""

    def __init__(self, *channels: str, log: CallLog | None = None) -> None:
        self.log = log or CallLog()
        """All that was asked, refused calls too, with who asked."""
        self.messages: list[Message] = []
        """What arrived, oldest first; ``channel`` is None for an incoming webhook."""
        self.scopes = set(SCOPES.values())
        """What the app may do."""
        self.uninvited: set[str] = set()
        """Channels that the app is not in, by name."""
        self._channels = {name: f"C{number:08}" for number, name in enumerate(channels, 1)}
        self._faults: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)

    @property
    def calls(self) -> list[str]:
        """Web API methods and ``webhook``, as they were asked, refused ones too."""
        return [entry["action"] for entry in self.log.entries("slack")]

    def fail(self, *, times: int = 1, status: int = 200, **more: Any) -> None:
        """Let the next calls go wrong: by a status, with ``retry_after``, with ``error``, or with ``lose_reply``."""
        self._faults += [{"status": status, **more}] * times

    @property
    def application(self) -> Starlette:
        """Return what serves it."""
        return Starlette(
            routes=[
                Route("/", self._show, methods=["GET"]),
                Route("/services/{path:path}", self._webhook, methods=["POST"]),
                Route("/api/{method}", self._api, methods=["GET", "POST"]),
                Route("/_sandbox/messages", self._list, methods=["GET"]),
                Route("/_sandbox/faults", self._plan_fault, methods=["POST"]),
            ]
        )

    async def _show(self, _: Request) -> Response:
        return HTMLResponse(page(self.messages))

    async def _list(self, _: Request) -> Response:
        return JSONResponse(self.messages)

    async def _plan_fault(self, request: Request) -> Response:
        self.fail(**await request.json())
        return JSONResponse({"ok": True})

    async def _webhook(self, request: Request) -> Response:
        fault = self._faults.pop(0) if self._faults else {}
        if refused := self._refused(request, "webhook", fault):
            return refused
        message: Message = {}
        try:
            message = await request.json()
            _check(message)
        except ValueError:
            self._note(request, "webhook", {}, "invalid_payload")
            return PlainTextResponse("invalid_payload", 400)
        except RefusedError as refusal:
            self._note(request, "webhook", message, str(refusal))
            return PlainTextResponse(str(refusal), 400)
        self._keep(message, None)
        self._note(request, "webhook", message)
        return _lost() if fault else PlainTextResponse("ok")

    async def _api(self, request: Request) -> Response:
        method = request.path_params["method"]
        fault = self._faults.pop(0) if self._faults else {}
        if refused := self._refused(request, method, fault):
            return refused
        given: Message = {}
        try:
            given = await _arguments(request)
            _check_token(request)
            answer = {"ok": True, **self._do(method, given)}
        except RefusedError as refusal:
            answer = {"ok": False, "error": str(refusal)}
        self._note(request, method, given, answer.get("error"))
        headers = {"X-OAuth-Scopes": ",".join(sorted(self.scopes))}
        return _lost() if fault else JSONResponse(answer, headers=headers)

    def _refused(self, request: Request, action: str, fault: dict[str, Any]) -> Response | None:
        """Answer with a fault; None where there is none, or the call is carried out and only its reply is lost."""
        if not fault or fault.get("lose_reply"):
            return None
        error = fault.get("error") or ("ratelimited" if fault["status"] == 429 else "fatal_error")
        self._note(request, action, {}, error)
        headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
        return JSONResponse({"ok": False, "error": error}, fault["status"], headers)

    def _note(self, request: Request, action: str, given: Message, error: str | None = None) -> None:
        """Log a call: to which channel, and which message of the product's it is."""
        payload = _object(_object(given.get("metadata")).get("event_payload"))
        asked = {"channel": given.get("channel"), "mark": payload.get("mark")}
        caller = caller_of(request.headers.get("user-agent", ""))
        kept = {name: value for name, value in asked.items() if value}
        self.log.add(Entry("slack", "slack", action, kept, caller, error))

    def _do(self, method: str, given: Message) -> Message:
        if method in SCOPES and SCOPES[method] not in self.scopes:
            raise RefusedError("missing_scope")
        match method:
            case "auth.test":
                return WHO
            case "chat.postMessage":
                return self._post(given)
            case "conversations.list":
                return {"channels": [self._described(name) for name in self._channels]}
            case "conversations.info":
                known = (name for name, id_ in self._channels.items() if id_ == given.get("channel"))
                if (name := next(known, None)) is None:
                    raise RefusedError("channel_not_found")
                return {"channel": self._described(name)}
            case "conversations.history":
                return self._said(
                    given, lambda item: "thread_ts" not in item or item["thread_ts"] == item["ts"]
                )
            case "conversations.replies":
                root = str(given.get("ts"))
                return self._said(given, lambda item: root in {item["ts"], item.get("thread_ts")})
        raise RefusedError("unknown_method")

    def _post(self, given: Message) -> Message:
        if not given.get("channel"):
            raise RefusedError("channel_not_found")
        _check(given)
        channel = self._id(str(given["channel"]))
        if any(self._channels.get(name) == channel for name in self.uninvited):
            raise RefusedError("not_in_channel")
        thread = given.get("thread_ts")
        if thread and thread not in {item["ts"] for item in self.messages if item["channel"] == channel}:
            raise RefusedError("thread_not_found")
        message = self._keep(given, channel)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def _keep(self, given: Message, channel: str | None) -> Message:
        message = {**given, "channel": channel, "ts": f"{time.time():.0f}.{next(self._numbers):06}"}
        self.messages.append(message)
        return message

    def _described(self, name: str) -> Message:
        member = name not in self.uninvited
        return {"id": self._channels[name], "name": name, "is_member": member, "is_archived": False}

    def _id(self, channel: str) -> str:
        if channel in self._channels.values():
            return channel
        name = channel.removeprefix("#")
        return self._channels.setdefault(name, f"C{len(self._channels) + 1:08}")

    def _said(self, given: Message, wanted: Any) -> Message:
        if given.get("channel") not in self._channels.values():
            raise RefusedError("channel_not_found")
        oldest = float(given.get("oldest") or 0)
        said = [
            message for message in self.messages if message["channel"] == given["channel"] and wanted(message)
        ]
        seen = [item for item in said if float(item["ts"]) > oldest]
        if not given.get("include_all_metadata"):
            seen = [{name: value for name, value in item.items() if name != "metadata"} for item in seen]
        return {"messages": seen, "has_more": False}


async def _arguments(request: Request) -> Message:
    if request.method == "GET":
        return dict(request.query_params)
    if "json" in request.headers.get("content-type", ""):
        given = json.loads(await request.body() or b"{}")
        return given if isinstance(given, dict) else {}
    return dict(parse_qsl((await request.body()).decode()))


def _check_token(request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise RefusedError("not_authed")
    if not token.startswith("xoxb-"):
        raise RefusedError("invalid_auth")


def _check(message: Message) -> None:
    """Refuse what Slack refuses."""
    if not message.get("text") and not message.get("blocks"):
        raise RefusedError("no_text")
    if len(message.get("text") or "") > LONGEST_TEXT:
        raise RefusedError("msg_too_long")
    blocks = message.get("blocks") or []
    texts = [block["text"]["text"] for block in blocks if block.get("type") == "section"]
    if len(blocks) > MOST_BLOCKS or any(not 0 < len(text) <= LONGEST_BLOCK for text in texts):
        raise RefusedError("invalid_blocks")


def _object(value: object) -> Message:
    """Read an object, which in a form is written as text."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    return value if isinstance(value, dict) else {}


def _lost() -> Response:
    """Answer nothing that a client can read: the body is shorter than it says."""
    return Response("", headers={"content-length": "100", "connection": "close"})


async def _serve(port: int) -> None:
    async with serving(Slack().application, port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))


def page(messages: Iterable[dict[str, Any]]) -> str:
    """Lay out messages by thread, threads in the order of their beginnings."""
    threads: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        threads.setdefault(message.get("thread_ts") or message["ts"], []).append(message)
    shown = [_message(message) for thread in threads.values() for message in thread]
    return _PAGE.format(messages="\n".join(shown) or "<p>Nothing yet.</p>")


def _message(message: dict[str, Any]) -> str:
    kind = ' class="answer"' if message.get("thread_ts") else ""
    blocks = message.get("blocks") or [{"text": {"text": message.get("text", "")}}]
    text = "\n\n".join(part["text"] for block in blocks for part in block.get("elements") or [block["text"]])
    return f"<pre{kind}>{escape(unescape(text))}</pre>"
