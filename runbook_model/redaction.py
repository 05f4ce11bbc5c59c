"""Take secrets out of text that people, chat and history will see. Rather too much than too little."""

from __future__ import annotations

import re

LOOKED_AT = 4000
"""Characters of one line that are looked at; the rest is cut off before."""
HIDDEN = "[redacted]"

_WORDS = r"passw(?:or)?d|passwd|pwd|secret|token|api[-_.]?key|access[-_.]?key|private[-_.]?key|credential|signature|session[-_.]?id|cookie|dsn"
# A run of name characters with such a word in it; taken whole and never given back, or hostile text would cost minutes.
_NAMED = rf"(?<![\w.-])(?=[\w.-]*(?:{_WORDS}))[\w.-]++"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A key block, whole or cut off by the end of the line.
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
        HIDDEN,
    ),
    # Authorization: Bearer …, Basic …, and the like without the header's name.
    (re.compile(r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+(?:\s+[^\s\"',;]+)?"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # scheme://user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,30}://)[^\s/@\"']*:[^\s@\"']*@"), rf"\1{HIDDEN}@"),
    # password=…, "api_key": "…", token: …
    (
        re.compile(rf"(?i)({_NAMED}\\?[\"']?\s*[:=]\s*)(\\?\"[^\"]*\"|'[^']*'|[^\s,;&\"'}}\])]+)"),
        rf"\1{HIDDEN}",
    ),
    # Web hooks are secrets as a whole.
    (re.compile(r"(?i)(https://hooks\.[\w.-]+/)\S+"), rf"\1{HIDDEN}"),
    # Keys that are known by their start: AWS, GitHub, Slack, OpenAI, Stripe, JWT.
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|[sr]k[-_])[\w-]{10,}"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), HIDDEN),
    # Long runs of letters and digits that no word is: keys without a name.
    (re.compile(r"(?<![\w+=-])(?=[\w+=-]*\d)(?=[\w+=-]*[A-Za-z])[\w+=-]{36,}(?![\w+=-])"), HIDDEN),
    (
        re.compile(
            r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=]))(?=\S*\d)(?=\S*[A-Z])[A-Za-z0-9/+]{40}"
        ),
        HIDDEN,
    ),
)


def redact(text: str) -> str:
    """Return the text without what looks like a password, a token, a key or a DSN."""
    text = text[:LOOKED_AT]
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def excerpt(line: str, longest: int) -> str:
    """Return one line, redacted first and then cut, so that a cut never leaves half a secret unseen."""
    words = " ".join(redact(line).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"
