"""The checker of the sandbox's logs finds what was made twice, and what nobody made."""

from tests.checker import made_by_nobody, made_twice


def call(sequence, activity="7", attempt="1", error=None, **parameters):
    return {
        "sequence": sequence,
        "caller": {"run": "r1", "activity": activity, "attempt": attempt} if activity else None,
        "action": "UpdateService",
        "parameters": parameters,
        "error": error,
    }


def test_a_change_that_two_attempts_made_is_found():
    twice = made_twice([call(1, desiredCount=3), call(2, attempt="2", desiredCount=3)])
    assert twice == {("r1", "7", "UpdateService", '{"desiredCount": 3}'): [1, 2]}


def test_another_attempt_after_an_error_another_activity_and_another_change_are_none():
    calls = [
        call(1, error="ThrottlingException", desiredCount=3),
        call(2, attempt="2", desiredCount=3),
        call(3, activity="9", desiredCount=3),
        call(4, attempt="2", desiredCount=4),
    ]
    assert made_twice(calls) == {}


def test_a_call_that_names_no_run_is_found():
    assert made_by_nobody([call(1), call(2, activity=None)]) == [2]
