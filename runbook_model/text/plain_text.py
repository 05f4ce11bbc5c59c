"""Text from outside stays text: no line break, colour, reading direction or invisible character forges a line of ours.

Wherever text of others is printed, logged, sent or kept, it goes through one of these functions. Pure.
"""

from __future__ import annotations

import re

UNSEEN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that would move the cursor or turn the reading direction."""

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*+[ -/]*+[@-~]"  # colours, and whatever else starts with ESC [
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c|$)"  # titles, links
    r"|\x1b[ -/]*+[0-~]"
)
_BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ud800-\udfff]"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
UNSAFE = re.compile(rf"{_CONTROL.pattern}|{_INVISIBLE.pattern}|[\u2028\u2029]")
"""What none of these functions leaves as it is, but for line breaks and tabs."""
_MARKUP = re.compile(r"[\\`*\[\]<|~]|&(?=[\w#])|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"(?=[#>+=-])|(\d{1,9})(?=[.)](?:\s|$))")
_ADDRESS = re.compile(rf"https?://(?:(?!{UNSAFE.pattern})[^\s<>()\\])+")
_TICKS = re.compile("`+")


def harmless(text: str) -> str:
    """Return text of several lines: its line breaks and tabs stay, everything else that a terminal would obey goes."""
    if text.isascii() and text.isprintable():
        return text
    text = _BREAKS.sub("\n", _SEQUENCES.sub("", text))
    return _CONTROL.sub(UNSEEN, _INVISIBLE.sub("", text))


def one_line(text: str) -> str:
    """Return text as one line, with single spaces."""
    return " ".join(harmless(text).split())


def unbroken(text: str) -> str:
    """Return text without line breaks and tabs, with its spaces."""
    return harmless(text).replace("\n", " ").replace("\t", " ")


def markdown(text: str, commands: re.Pattern[str] | None = None) -> str:
    """Return text as one line that Markdown shows as it is: no markup, no link, no HTML, no block.

    Args:
        text: whatever it says.
        commands: what is shown as code, so that it can be copied.
    """
    line, parts, at = one_line(text), [], 0
    for found in commands.finditer(line) if commands else ():
        parts += [_escaped(line[at : found.start()]), code(found[0])]
        at = found.end()
    whole = "".join((*parts, _escaped(line[at:])))
    return _BLOCK.sub(r"\1\\", whole, count=1) if _BLOCK.match(whole) else whole


def _escaped(text: str) -> str:
    return _MARKUP.sub(lambda sign: "&lt;" if sign[0] == "<" else f"\\{sign[0]}", text)


def code(text: str) -> str:
    """Return text as one line of code in Markdown, whatever backticks it has."""
    line = one_line(text)
    fence = "`" * (max((len(ticks) for ticks in _TICKS.findall(line)), default=0) + 1)
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def link(name: str, address: str | None) -> str:
    """Return a link in Markdown; only its name where there is no address, or one that could leave its brackets."""
    return f"[{markdown(name)}]({address})" if address and _ADDRESS.fullmatch(address) else markdown(name)
