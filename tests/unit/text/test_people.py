"""Names of people, and what they can be taken for."""

import pytest

from runbook_model.names.people import LONGEST, looks_like, problem_with_name, same_person


@pytest.mark.parametrize(
    ("first", "other", "same"), [("Bob", " bob", True), ("straße", "STRASSE", True), ("bob", "rob", False)]
)
def test_neither_case_nor_spaces_make_another_person(first, other, same):
    assert same_person(first, other) is same


@pytest.mark.parametrize(
    "name",
    [
        "bob",
        "Ann O'Hara",
        "ann@example.com",
        "José",
        "\u0418\u0432\u0430\u043d",
        "\u5f20\u4f1f Wei",
        "a" * LONGEST,
    ],
)
def test_names_of_people_are_names(name):
    assert problem_with_name(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("b\u200bob", "has characters that nobody sees"),
        ("bob\u202e", "has characters that nobody sees"),
        ("bob\nby carol", "has characters that nobody sees"),
        ("a" * (LONGEST + 1), f"has more than {LONGEST} characters"),
        ("b\u043eb", "mixes letters of Cyrillic and Latin"),
        ("\u03bfliver", "mixes letters of Greek and Latin"),
    ],
)
def test_a_name_that_cannot_be_distinguished_from_another_is_none(name, problem):
    assert problem_with_name(name) == problem


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("b0b", "bob"),
        ("a1ice", "alice"),
        ("AIice", "alice"),
        ("carnila", "camila"),
        ("vvendy", "wendy"),
        ("bób", "bob"),
        ("\u0441\u0430\u0433\u043e\u04cf", "carol"),
        ("\uff42\uff4f\uff42", "bob"),
    ],
)
def test_names_that_are_read_as_another_look_like_it(name, other):
    assert looks_like(name, other)
    assert not same_person(name, other)


@pytest.mark.parametrize(
    ("name", "other"), [("bob", "rob"), ("Bob", "bob"), ("ann", "anna"), ("user2", "user3")]
)
def test_other_names_do_not(name, other):
    assert not looks_like(name, other)
