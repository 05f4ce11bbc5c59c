"""What arrived in the sandbox's Slack, as a page that a browser shows and reads again by itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape, unescape
from typing import Any

_PAGE = """\
<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>Slack of the sandbox</title>
<style>body{{font:15px sans-serif;max-width:60em;margin:2em auto}}pre{{white-space:pre-wrap;font:inherit;border-left:3px solid #ccc;
padding-left:1em}}.answer{{margin-left:3em}}</style>
<h1>Slack of the sandbox</h1>
{messages}
"""


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
