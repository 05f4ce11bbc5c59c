"""Where a secret starts and ends that stands behind its name: quoted in any way, bare, or a whole structure. Pure.

Every function looks at each character a bounded number of times.
"""

from __future__ import annotations

import re

QUOTE = r"(?:\\*(?:[\"'`]|&(?:quot|apos|\#34|\#39|\#x22|\#x27);|%2[27])|\\+u002[27])"
_QUOTE = re.compile(QUOTE)
OPENING = rf"[bBeEfFnNrRuU]{{0,2}}{QUOTE}"
_PREFIX = re.compile(rf"[bBeEfFnNrRuU]{{1,2}}(?={QUOTE})")
_DELIMITER = rf"{QUOTE}*+(?:[\s,;:)\]}}>&/+<|\\]|$)"
_STOP = re.compile(_DELIMITER)
_BARE = re.compile(
    r"(?:"
    r"[^\s,;&\"'`<>)\]}%\\]++"
    rf"|[,;](?!\s|$|{QUOTE}|[\w.-]++[=:])"  # `a=b, c=d` and `a=b;c=d` go on with something else
    r"|&(?!\s|$|[\w.%\[\]-]*+=|(?:amp|lt|gt|quot|apos|\#\w{1,4});)"
    rf"|\\*+[\"'`](?!{_DELIMITER})"  # what is quoted around it ends there, if anything is
    r"|\\++(?![\"'`&%]|u002[267])"
    r"|<(?!/?[A-Za-z!])"
    r"|[>)\]}](?![\s,;:.>)\]}\"'`\\]|$)"
    r"|%(?!2[0267]|3[bB]|0[aAdD])"
    r")++"
)
_BLOCK = re.compile(r"[|>][+-]?[^\S\n]*+\n(?:[^\S\n]++[^\n]*+(?:\n|$))*+")
_BRACKETS = re.compile(rf"[\[{{]|[\]}}]|{QUOTE}")
_DOLLARS = re.compile(r"\$\w*+\$")
_COOKIES = re.compile(
    r"(?:expires=[^;\"'\\]{0,40}?(?:GMT|UTC)|[^\s;,=\"'\\<]++(?:=(?:\"[^\"\n]*+\"|[^;,\s\"'\\<]*+))?)"
    r"(?:\s*[;,]\s*(?:expires=[^;\"'\\]{0,40}?(?:GMT|UTC)|[^\s;,=\"'\\<]++(?:=(?:\"[^\"\n]*+\"|[^;,\s\"'\\<]*+))?))*",
    re.IGNORECASE,
)


def value_span(text: str, at: int, *, cookies: bool = False) -> tuple[int, int]:
    """Return where the value that stands at a place starts and ends; quotes around all of it are not part of it.

    Args:
        text: what it stands in.
        at: behind the name and what separates it.
        cookies: whether several pairs with semicolons between are one value.
    """
    prefix = _PREFIX.match(text, at)
    if quote := _QUOTE.match(text, prefix.end() if prefix else at):
        end = closing(text, quote[0], quote.end())
        behind = end + len(quote[0])
        if _stops(text, behind):
            return quote.end(), end
        return at, _joined_end(text, behind)
    if cookies and (found := _COOKIES.match(text, at)):
        return at, found.end()
    if dollars := _DOLLARS.match(text, at):
        end = text.find(dollars[0], dollars.end())
        return at, len(text) if end < 0 else end + len(dollars[0])
    if block := _BLOCK.match(text, at):
        return at, at + len(block[0].rstrip())
    if text[at : at + 1] in {"[", "{"}:
        return at, _structure_end(text, at)
    return at, _bare_end(text, at)


def closing(text: str, quote: str, at: int) -> int:
    """Return where the quote ends that was opened with these characters; the end of the text where it does not.

    Within ``n`` backslashes and a quote, a quote that is meant as a character has ``2n + 1`` of them before it. JSON puts
    none before an apostrophe and doubles those that are there: with any before it, it is no end if a bare one comes.
    """
    sign = quote.lstrip("\\")
    before = len(quote) - len(sign)
    place = first = at
    perhaps = -1
    while (place := text.find(sign, place)) >= 0:
        run = place - first - len(text[first:place].rstrip("\\"))
        first = place + len(sign)
        if run % (2 * (before + 1)) == before:
            doubled = not before and place > at and text.startswith(sign, first)
            if not doubled and (run == before or sign != "'"):
                return place - before
            perhaps = place if not doubled else perhaps
            first += doubled * len(sign)
        place = first
    return len(text) if perhaps < 0 else perhaps


def _joined_end(text: str, at: int) -> int:
    """Return the end of what goes on behind a quote without a space, as a shell would take it."""
    while not _stops(text, at):
        quote = _QUOTE.match(text, at)
        behind = closing(text, quote[0], quote.end()) + len(quote[0]) if quote else _bare_end(text, at)
        if behind <= at:
            break
        at = behind
    return min(at, len(text))


def _stops(text: str, at: int) -> bool:
    return at >= len(text) or _STOP.match(text, at) is not None


def _bare_end(text: str, at: int) -> int:
    """Return the end of what has no quotes around it."""
    found = _BARE.match(text, at)
    return found.end() if found else at


def _structure_end(text: str, at: int) -> int:
    """Return the end of a list or object."""
    depth, place = 0, at
    while found := _BRACKETS.search(text, place):
        place = found.end()
        if found[0] in {"[", "{"}:
            depth += 1
        elif found[0] in {"]", "}"}:
            depth -= 1
            if depth == 0:
                return place
        else:
            place = min(closing(text, found[0], place) + len(found[0]), len(text))
    return len(text)
