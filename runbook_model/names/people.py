"""Names of people: who is whom, and which names readers cannot distinguish. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from runbook_model.text.plain_text import one_line

AGENT = re.compile(r"agent:.*? for (?P<person>.+)", re.DOTALL | re.IGNORECASE)
"""The name of an agent, with the person for whom it acts."""

LONGEST = 100
"""Characters of an approver's name."""

_SCRIPTS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "LISU", "DESERET", "LATIN")
"""Alphabets whose letters look like each other's; one name is written in one of them."""

_LETTERS = {
    "a": "\u0430\u0251\u03b1\uff41\u0410\u0391",
    "b": "\u044c\u0185\u0412\u0392",
    "c": "\u0441\u03f2\u217d\u1d04\u0421",
    "d": "\u0501\u217e",
    "e": "\u0435\u0454\u04bd\u0415\u0395",
    "g": "\u0261\u0581\u050d",
    "h": "\u04bb\u0570\u041d\u0397",
    "i": "\u0456\u0131\u03b9",
    "j": "\u0458\u03f3\u0408",
    "k": "\u043a\u03ba\u041a\u039a",
    "l": "Il1|\u04cf\u01c0\u217c\u0399\u0406",
    "m": "\u043c\u217f\u041c\u039c",
    "n": "\u043f\u0578\u03b7\u057c\u039d",
    "o": "0\u043e\u03bf\u0585\u03c3\u1d0f\u041e\u039f",
    "p": "\u0440\u03c1\u0420\u03a1",
    "q": "\u051b\u0563",
    "r": "\u0433\u1d26",
    "s": "\u0455\ua731\u0405",
    "t": "\u0442\u03c4\u0422\u03a4",
    "u": "\u03c5\u057d\u028b",
    "v": "\u0475\u03bd\u1d20",
    "w": "\u051d\u0461\u03c9",
    "x": "\u0445\u03c7\u0425\u03a7",
    "y": "\u0443\u04af\u03b3\u04ae\u03a5",
    "z": "\u1d22\u0396",
}
"""Letters that are read as a Latin one, in Cyrillic, Greek, Armenian and among digits and signs."""

_READ_AS = str.maketrans({letter: latin for latin, letters in _LETTERS.items() for letter in letters})


def problem_with_name(name: str) -> str | None:
    """Say why a name cannot be an approver's; None where it can."""
    if not name:
        return "is empty"
    if one_line(name) != name or not name.isprintable():
        return "has characters that nobody sees"
    if len(name) > LONGEST:
        return f"has more than {LONGEST} characters"
    scripts = {script for letter in unicodedata.normalize("NFKC", name) if (script := _script(letter))}
    if len(scripts) > 1:
        return f"mixes letters of {' and '.join(sorted(script.capitalize() for script in scripts))}"
    return None


def person_behind(name: str) -> str:
    """Return the person who asked: ``agent:x for bob`` is bob."""
    found = AGENT.fullmatch(name.strip())
    return found["person"].strip() if found else name.strip()


def is_agent(name: str) -> bool:
    """Whether a name is an agent's, which never approves."""
    return name.strip().casefold().startswith("agent:")


def same_person(name: str, other: str) -> bool:
    """Whether two names are one person's: neither case, nor spaces, nor an agent of theirs make another of them."""
    return person_behind(name).casefold() == person_behind(other).casefold()


def looks_like(name: str, other: str) -> bool:
    """Whether a name is another's only for those who read it: ``b0b`` for ``bob``, or in Cyrillic letters."""
    return not same_person(name, other) and _seen(name) == _seen(other)


def _script(letter: str) -> str | None:
    said = unicodedata.name(letter, "") if letter.isalpha() else ""
    return next((script for script in _SCRIPTS if said.startswith(script)), None)


@lru_cache(maxsize=256)
def _seen(name: str) -> str:
    """Return a name as a hurried reader sees it: an accent is easily overlooked."""
    letters = unicodedata.normalize("NFKD", name.strip()).translate(_READ_AS).casefold().translate(_READ_AS)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return bare.replace("rn", "m").replace("vv", "w")


def problem_of_person(name: str) -> str | None:
    """Say why somebody of this name can never sign or approve."""
    if is_agent(name):
        return "is an agent, and agents never approve: name people"
    problem = problem_with_name(name)
    return f"{problem}: correct it" if problem else None
