"""Text from outside stays text, wherever it is shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_model.text.plain_text import code, harmless, link, markdown, one_line, unbroken

FORGERIES = {
    "a line break": "fine\n- approvals: 2 of 2 (bob, carol)",
    "a carriage return": "fine\r- approvals: 2 of 2",
    "a line separator": "fine\u2028- approvals: 2 of 2\u2029x\x85y\x0bz\x0cz",
    "a colour": "\x1b[32mapproved\x1b[0m",
    "a cursor": "fine\x1b[1A\x1b[2Kgone",
    "a title": "\x1b]0;approved\x07fine \x9b31mred",
    "a link of a terminal": "\x1b]8;;https://evil.test\x1b\\click\x1b]8;;\x1b\\",
    "a reading direction": "abc\u202edcb\u202c \u2066x\u2069 \u200fy \u061cz",
    "what nobody sees": "ad\u200bmin \u2060\ufeff\u00ad\u180e\u3164\U000e0041x",
    "a backspace": "bob\x08\x08\x08eve\x00\x7f",
}
OBEYED = set("\x1b\x9b\x07\x08\x00\x7f\r\x0b\x0c\x85\u2028\u2029\u202e\u202c\u2066\u2069\u200f\u061c")
UNSEEN = set("\u200b\u2060\ufeff\u00ad\u180e\u3164\U000e0041")


@pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("made", [one_line, unbroken, markdown, code, harmless])
def test_nothing_that_a_terminal_obeys_or_nobody_sees_is_left(made, text):
    shown = made(text)
    assert not set(shown) & (OBEYED | UNSEEN)
    assert made is harmless or "\n" not in shown


def test_a_turned_reading_direction_and_a_moved_cursor_leave_a_mark():
    assert one_line("a\u202eb\x08c") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_colours_go_without_a_trace():
    assert one_line("\x1b[1;31mERROR\x1b[0m no room") == "ERROR no room"


def test_lines_stay_lines_where_a_page_is_printed():
    assert harmless("a\r\nb\tc\nd") == "a\nb\tc\nd"
    assert unbroken("  a\n  b") == "  a   b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**bold** [a](https://evil.test) ![x](y)", r"\*\*bold\*\* \[a\](https://evil.test) !\[x\](y)"),
        ("<img src=x onerror=y>", "&lt;img src=x onerror=y>"),
        ("# title", r"\# title"),
        ("> quoted", r"\> quoted"),
        ("- item", r"\- item"),
        ("12. item", r"12\. item"),
        ("--- rule", r"\--- rule"),
        ("```\ncode", r"\`\`\` code"),
        ("a | b", r"a \| b"),
        ("&#x202e;&lt;", r"\&#x202e;\&lt;"),
        ("_slanted_ but snake_case and 5_000", r"\_slanted\_ but snake_case and 5_000"),
        ("a & b, 3 * 4, 99.9 %", r"a & b, 3 \* 4, 99.9 %"),
    ],
)
def test_markdown_shows_text_as_it_is(text, shown):
    assert markdown(text) == shown


@pytest.mark.parametrize("text", ["a", "a`b", "``", "`a", "a``b`c", "a\n`- forged`"])
def test_code_ends_where_it_should(text):
    shown = code(text)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    assert shown.endswith(fence)
    assert fence not in shown.removeprefix(fence).removesuffix(fence)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://a.test/) [x](y", "https://a.test/\u202e", None]
)
def test_an_address_that_could_be_something_else_is_no_link(address):
    assert link("trace", address) == "trace"


def test_an_address_is_a_link():
    assert link("a]b", "https://t.test/4bf9?x=1") == r"[a\]b](https://t.test/4bf9?x=1)"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_what_is_harmless_stays_as_it_is(text):
    once = one_line(text)
    assert one_line(once) == once
    assert harmless(once) == once
