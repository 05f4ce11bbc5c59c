"""Whether a log line reports about an error, as loggers write their levels: JSON, logfmt, in brackets, in capitals. Pure."""

from __future__ import annotations

import re

_BAD = r"err|error|crit|critical|fatal|panic|dpanic|emerg|emergency|alert|severe|failure"
_FINE = r"trace|debug|verbose|info|information|informational|notice|warn|warning"
_NAME = r"(?:log[._]?)?(?:level|lvl|severity|level_?name|severity_?text)"
LOOKED_AT = 4000
"""Characters of a line: who names its level does it early."""
NUMBERS = frozenset({"50", "60"})
"""Levels ``error`` and ``fatal`` of pino and bunyan; other loggers' numbers mean other things."""

_JSON = re.compile(
    rf'"[@_]?{_NAME}"\s*:\s*(?:"(?P<word>[^"\\]{{0,40}})"|(?P<number>\d{{1,3}})\b)', re.IGNORECASE
)
_LOGFMT = re.compile(
    rf'(?:^|\s){_NAME}=(?P<quote>["\']?)(?P<word>\w{{1,40}})(?P=quote)(?=\s|$)', re.IGNORECASE
)
_WORD = re.compile(rf"(?:{_BAD})", re.IGNORECASE)
_FINE_AT_THE_BEGINNING = re.compile(
    rf"^[^A-Za-z]{{0,80}}(?:[A-Z]?\d[\w:.,+-]*[^A-Za-z]{{1,20}})?\W{{0,3}}(?:{_FINE})\b", re.IGNORECASE
)
_CAPITALS = re.compile(r"\b(?:ERROR|CRITICAL|CRIT|FATAL|PANIC|SEVERE|EMERG|ALERT)\b")
_RAISED = re.compile(r"\bTraceback\b|Exception\b|\bpanic: |\b[A-Z]\w*Error: ")
_ANY_CASE = re.compile(rf"(?:^|[\[<(|]\s*(?:\w+:)?|\s)(?:{_BAD})(?:\s*[\]>)|]|:\s|:$)", re.IGNORECASE)


def is_error(line: str) -> bool:
    """Whether the line's own level is an error or worse; without a level, whether its words say so."""
    head = line[:LOOKED_AT]
    if found := _JSON.search(head) or _LOGFMT.search(head):
        named = found.groupdict()
        if (number := named.get("number")) is not None:
            return number in NUMBERS
        return bool(_WORD.fullmatch(named["word"].strip()))
    if _CAPITALS.search(line) or _RAISED.search(line):
        return True
    return bool(_ANY_CASE.search(head)) and not _FINE_AT_THE_BEGINNING.search(head)
