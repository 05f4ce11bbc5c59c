"""Take secrets out of text that people, chat and history will see. Rather too much than too little.

Text is looked at in a few passes, each of which takes every character a bounded number of times: hostile text costs no
more than any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from runbook_model.text.plain_text import harmless
from runbook_model.text.secret_values import OPENING, QUOTE, value_span

LOOKED_AT = 4000
"""Characters of one line that are looked at; the rest is cut off before."""
HIDDEN = "[redacted]"
LONGEST_TURNED = 500
"""Characters of a value that stands before its name."""

_WORDS = (
    r"passw(?:or)?d|passwd|passphrase|passcode|pwd|secret|token|credential|signature|cookie|dsn"
    r"|(?:api|access|private|signing|encryption|account)[-_.]?key|session[-_.]?id|connection[-_.]?string"
    r"|(?<![a-z])(?:pass|pw|sig|otp)(?![a-z])|(?-i:(?<=[a-z0-9])Pass(?![a-z]))"
)
_STEMS = (
    "pass",
    "pw",
    "secret",
    "token",
    "credential",
    "signature",
    "cookie",
    "dsn",
    "key",
    "session",
    "connection",
    "sig",
    "otp",
)
"""One of them is in each of these words."""
_SIGNS = (
    "-u",
    "--user",
    "--proxy-user",
    "identified",
    "login",
    "requirepass",
    "sshpass",
    "redis-cli",
    "mysql",
)
# A run of name characters with such a word in it; taken whole and never given back, or hostile text would cost minutes.
_NAMED = rf"(?<![\w.-])(?=[\w.-]*(?:{_WORDS}))[\w.-]++"
_IS_SECRET = re.compile(rf"(?i){_NAMED}")
_EQUALS = r"\s*+(?:=(?:>|&gt;)|:=|={1,3}|:|%3[aAdD])[^\S\n]*+(?:\n\s*+(?=[\\&]*[\"'`]))?+"
_NAME_AND_VALUE = re.compile(
    rf"(?i)(?P<name>{_NAMED})(?:"
    rf"(?P<equals>{QUOTE}?(?:\]|\)|%5[dD])?{_EQUALS})"
    rf"|{QUOTE}?[^\S\n]*+,\s*+(?={OPENING})"  # a list of arguments
    rf"|\((?P<call>(?={OPENING}))"
    rf"|[^\S\n]++(?P<quoted>(?={OPENING}|\$\w*+\$))?)"
)
_SAID_NEXT = re.compile(r"(?i)(?:[\w.-]*[-_.])?(?:password|passwd|passphrase|pwd|pass)")
"""Names that have their value right behind them, in quotes: ``PASSWORD 'x'``."""
_IDENTIFIED = re.compile(rf"(?i)\bidentified\s++by\s++(?={OPENING})")
_OPEN, _CLOSE = r"(?:<|&lt;|\\u003c)", r"(?:>|&gt;|\\u003e)"
# {"name": "DB_PASSWORD", "value": …}, in either order; <entry key="password">…; ParameterKey=…,ParameterValue=…
_KEY = rf"(?<![\w.-])[\w.-]{{0,40}}(?:name|key){QUOTE}?\s*+[:=]\s*+{QUOTE}?"
_VALUE = rf"(?<![\w.-])[\w.-]{{0,40}}(?:value|default){QUOTE}?\s*+[:=]\s*+"
_PAIR = re.compile(
    rf"(?i){_KEY}{_NAMED}{QUOTE}?(?:(?:(?!\bname\b)[^{{}}<>]){{0,200}}?(?P<value>{_VALUE})|[^<>{{}}]{{0,100}}?{_CLOSE}(?=[^\s<]))"
)
_TURNED = re.compile(rf"(?i){_VALUE}")
_AFTER = re.compile(rf"(?i){QUOTE}?[\s,;]*+{QUOTE}?{_KEY}{_NAMED}")
_ELEMENT = re.compile(rf"(?i){_OPEN}(?=[\w.:-]*(?:{_WORDS}))[\w.:-]++(?:\s[^<>]{{0,200}}?)?{_CLOSE}")
_ELEMENT_END = re.compile(rf"(?i){_OPEN}/|$")
_ADDRESS = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,30}(?:://|:\\/\\/|%3a%2f%2f)(?P<rest>[^\s\"'<>`]++)")
_HOST = re.compile(r"[\w.*-]*+(?::\d{1,5})?(?=[/?#]|\\/|$)")
_AUTHORIZATION = re.compile(rf"(?i)\b(?:proxy-)?authorization{QUOTE}?\s*+[:=]\s*+")
_SCHEME = re.compile(
    rf"(?P<quote>{OPENING})|(?P<all>[^\s\"',;\\<]++(?:[^\S\n]++[^\s\"',;\\<]++(?:(?<==)\\*\"[^\"\\]*+\\*\")?)?)"
)
_MORE = re.compile(r"(?:,\s*+[\w-]++=(?:\\*\"[^\"\\]*+\\*\"|[^\s,\"'\\]*+))*+")
_USER = re.compile(r"(?<!\S)(?:-u|-U|--(?:proxy-)?user)(?:[ =]\s*+)?(?=[\"']?[^\s:\"'-][^\s:]*+:)")
_GIVEN_TO = re.compile(
    r"(?i)\b(?:sshpass\s+-p\s*+|(?:docker|podman)\s+login\s(?:[^\n|;]{0,80}?\s)?-p\s*+|requirepass\s++|login\s++\S++\s++password\s++|redis-cli(?:\s[^\n|;]{0,80}?)?\s-a\s++|mysql\w*+\s(?:[^\n|;]{0,80}?\s)?-p(?=[^\s\d]))"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer)\s++[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)\b(basic)\s++(?=[\w.~+/-]*(?-i:[A-Z0-9=]))[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # Web hooks are secrets as a whole.
    (re.compile(r"(?i)(https://hooks\.[\w.-]+/)\S+"), rf"\1{HIDDEN}"),
    # Keys that are known by their start: AWS, STS, GitHub, Slack, OpenAI, Stripe, Vault, Twilio, SendGrid, Google …
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"(?:FwoGZXIvYXdz|FQoGZXIvYXdz|FQoDYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/=%]*+"), HIDDEN),
    (
        re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|[srp]k[-_]|npm_|dckr_pat_|hf_|pypi-|dop_v1_)[\w-]{10,}"),
        HIDDEN,
    ),
    (re.compile(r"\b(?:hv[sbr]\.|SG\.|ya29\.)[\w.-]{10,}|\bs\.[A-Za-z0-9]{24}\b|\b(?:SK|AC)[0-9a-f]{32}\b|\bAIza[\w-]{30,}"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), HIDDEN),
    # Long runs of letters and digits that no word is: keys without a name. The digest of an image is none.
    (
        re.compile(
            r"(?<![\w+=-])(?!(?<=sha256:)[0-9a-f]{64}(?![\w+=-]))(?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{36,}(?![\w+=-])"
        ),
        HIDDEN,
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=]))(?=[A-Za-z/+]*\d)(?=[a-z0-9/+]*[A-Z])[A-Za-z0-9/+]{40}"
        ),
        HIDDEN,
    ),
)  # fmt: skip
# A key block, whole or cut off by the end of the line.
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)", re.DOTALL
)


def redact(text: str) -> str:
    """Return the text without what looks like a password, a token, a key or a DSN."""
    text = _KEY_BLOCK.sub(HIDDEN, text[:LOOKED_AT])
    small = text.casefold()
    # Most text has none of it, and these are found sooner than the passes end.
    if "//" in small or "\\/" in small or "%2f" in small:
        text = _ADDRESS.sub(_address, text)
    if "authorization" in small:
        text = _hide(text, _authorizations)
    if any(stem in small for stem in _STEMS):
        for found in (_pairs, _turned_pairs, _elements, _named):
            text = _hide(text, found)
    if any(sign in small for sign in _SIGNS):
        text = _hide(text, _given)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether what has this name is taken for a secret, such as ``DB_PASSWORD``."""
    return _IS_SECRET.search(name) is not None


def excerpt(line: str, longest: int) -> str:
    """Return text of others on one line: made harmless, redacted, and only then cut, so that no half of a secret is seen."""
    words = " ".join(redact(harmless(line[: 2 * LOOKED_AT])).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def _hide(text: str, find: Callable[[str], Iterator[tuple[int, int]]]) -> str:
    """Return the text without the places that were found, each behind the one before."""
    parts, done = [], 0
    for start, end in find(text):
        if start >= done and end > start and text[start:end] != HIDDEN:
            parts += [text[done:start], HIDDEN]
            done = end
    return "".join((*parts, text[done:])) if parts else text


def _each(
    pattern: re.Pattern[str], text: str, span: Callable[[re.Match[str]], tuple[int, int] | None]
) -> Iterator[tuple[int, int]]:
    """Find places one after the other; what is within a place that was found is not looked at again."""
    at = 0
    while found := pattern.search(text, at):
        place = span(found)
        if place:
            yield place
        at = max(found.end(), place[1] if place else 0, at + 1)


def _address(found: re.Match[str]) -> str:
    """Hide the user and password, or the token, before an address's host."""
    rest = found["rest"]
    if _HOST.match(rest):
        return found[0]
    user, colon, _ = rest.partition(":")
    whole = rest if colon and not set("/?#@") & set(user) else re.split(r"[/?#]|\\/", rest, maxsplit=1)[0]
    secret = whole.rpartition("@")[0]
    return found[0] if not secret else f"{found[0][: -len(rest)]}{HIDDEN}{rest[len(secret) :]}"


def _authorizations(text: str) -> Iterator[tuple[int, int]]:
    def span(found: re.Match[str]) -> tuple[int, int] | None:
        scheme = _SCHEME.match(text, found.end())
        if scheme is None:
            return None
        if scheme["quote"]:
            return value_span(text, found.end())
        if scheme["all"].startswith(HIDDEN):
            return None
        more = _MORE.match(text, scheme.end())
        return found.end(), more.end() if more else scheme.end()

    return _each(_AUTHORIZATION, text, span)


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    def span(found: re.Match[str]) -> tuple[int, int] | None:
        return value_span(text, found.end()) if found["value"] else _inner(text, found.end())

    return _each(_PAIR, text, span)


def _turned_pairs(text: str) -> Iterator[tuple[int, int]]:
    def span(found: re.Match[str]) -> tuple[int, int] | None:
        start, end = value_span(text[: found.end() + LONGEST_TURNED], found.end())
        return (start, end) if _AFTER.match(text, end) else None

    return _each(_TURNED, text, span)


def _elements(text: str) -> Iterator[tuple[int, int]]:
    return _each(_ELEMENT, text, lambda found: _inner(text, found.end()))


def _inner(text: str, at: int) -> tuple[int, int] | None:
    """Return what an XML element holds."""
    end = _ELEMENT_END.search(text, at)
    return (at, end.start()) if end else None


def _named(text: str) -> Iterator[tuple[int, int]]:
    """Find what stands behind a name: assigned, as an option's value, or in quotes behind PASSWORD."""

    def span(found: re.Match[str]) -> tuple[int, int] | None:
        name = found["name"]
        next_to_it = found["quoted"] is not None and _SAID_NEXT.fullmatch(name)
        if found["equals"] is None and found["call"] is None and not name.startswith("-") and not next_to_it:
            return None
        if found["equals"] is None and text.startswith("-", found.end()):
            return None
        return value_span(text, found.end(), cookies="cookie" in name.lower())

    return _each(_NAME_AND_VALUE, text, span)


def _given(text: str) -> Iterator[tuple[int, int]]:
    """Find what programs are given as a user and password: ``curl -u``, ``IDENTIFIED BY``, ``sshpass -p``."""
    for pattern in (_USER, _GIVEN_TO, _IDENTIFIED):
        yield from _each(pattern, text, lambda found: value_span(text, found.end()))
