"""Texts and names are plain English: words that only insiders understand stay out, and each has a plain word instead."""

import io
import re
import tokenize
from collections import defaultdict
from functools import cache

import pytest

from tests.unit.test_repository import tracked

PLAIN = {
    "anew": "again",
    "asunder": "apart",
    "astray": "wrong",
    "begun": "started",
    "beside": "next to, in addition to",
    "glance": "try to read",
    "mend": "fix",
    "mended": "fixed",
    "mending": "fixing",
    "mends": "fixes",
    "sight": "view",
    "told": "reported, notified, said, shown",
    "untold": "unknown",
}
"""Words of the old dialect, with the plain word for each."""

PHRASES = {
    "come to late": "started too late",
    "comes to late": "started too late",
    "does not let us in": "denied access",
    "in words that": "that",
    "is ill": "is unhealthy",
    "keeps its word": "does what it promises",
    "let go": "switched off, given back",
    "lets go": "switches off, gives back",
    "stand still": "wait",
    "stands still": "waits",
    "whom nobody asked": "who was not asked",
}

KEPT = {"begun", "mend", "mended", "untold"}
"""Keys of JSON documents that programs read; they may stand alone as a string, or as the field of this name."""

OWN = "tests/unit/test_plain_english.py"
RECORDED = "tests/unit/review/"
"""Reviews of recorded histories, with the texts that the histories have."""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
KEPT_IN_PROSE = re.compile(rf"``({'|'.join(sorted(KEPT))})``|\.({'|'.join(sorted(KEPT))})\b")
CODE_IN_PROSE = re.compile(r"`[^`\n]*`")


def is_text(path):
    return (
        path.endswith((".md", ".py", ".sh", ".yml", ".toml", ".j2"))
        and path != OWN
        and not path.startswith(RECORDED)
    )


def words(text):
    return (word.lower() for word in WORD.findall(text))


@cache
def places():
    """Return where each word of the tree stands, as ``path:line``; code in backticks of prose is left out."""
    found = defaultdict(set)
    for path, text in tracked().items():
        if not is_text(path):
            continue
        if path.endswith(".py"):
            for token in tokenize.generate_tokens(io.StringIO(text).readline):
                if token.string.strip("\"'") in KEPT:
                    continue
                for word in words(KEPT_IN_PROSE.sub("", token.string)):
                    found[word].add(f"{path}:{token.start[0]}")
        else:
            for number, line in enumerate(text.splitlines(), 1):
                for word in words(CODE_IN_PROSE.sub("", line)):
                    found[word].add(f"{path}:{number}")
    return found


@pytest.mark.parametrize(("word", "plain"), PLAIN.items())
def test_no_text_or_name_has_a_word_of_the_old_dialect(word, plain):
    assert sorted(places()[word]) == [], f'write instead of "{word}": {plain}'


@pytest.mark.parametrize(("phrase", "plain"), PHRASES.items())
def test_no_text_has_a_phrase_of_the_old_dialect(phrase, plain):
    written = [path for path, text in tracked().items() if is_text(path) and f" {phrase} " in text]
    assert written == [], f'write instead of "{phrase}": {plain}'


def test_no_variable_is_called_one():
    named = {
        f"{path}:{token.start[0]}"
        for path, text in tracked().items()
        if path.endswith(".py") and path != OWN and not path.startswith(RECORDED)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.NAME and token.string == "one"
    }
    assert sorted(named) == [], "name what it is: a service, a check, an item"
