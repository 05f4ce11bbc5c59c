"""Foreign text becomes part of one clear sentence: short, on one line, with one full stop."""

import pytest

from runbook_model.text.sentences import count_of, quote, sentence, with_fix

TRACEBACK = """Error running command: exit status 1. Output: Traceback (most recent call last):
  File "/srv/provision.py", line 3, in <module>
    main()
  File "/srv/provision.py", line 2, in main
    raise KeyError("subnet")
KeyError: 'subnet'
"""


class TestQuotedText:
    @pytest.mark.parametrize(
        ("text", "quoted"),
        [
            ("The service is busy.", "The service is busy"),
            ("no org id\n", "no org id"),
            ("first\n  second\n", "first second"),
            ("", ""),
        ],
    )
    def test_is_one_line_without_its_full_stop(self, text, quoted):
        assert quote(text) == quoted

    def test_is_bounded(self):
        assert len(quote("x " * 1000, 40)) == 40

    def test_shows_no_secret(self):
        assert "hunter2" not in quote("could not log in: password=hunter2")

    def test_has_only_the_last_line_of_a_traceback(self):
        assert quote(TRACEBACK) == "Error running command: exit status 1. Output: KeyError: 'subnet'"

    def test_of_a_traceback_that_is_cut_off_is_what_stands_before_it(self):
        cut = TRACEBACK[: TRACEBACK.index("    raise")]
        assert quote(cut) == "Error running command: exit status 1. Output"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("it broke", "it broke."),
        ("it broke.", "it broke."),
        ("it broke..", "it broke."),
        ("did it break?", "did it break?"),
        ("and so on…", "and so on…"),
        ("", ""),
    ],
)
def test_a_sentence_ends_once(text, said):
    assert sentence(text) == said


def test_an_error_and_its_fix_are_one_line():
    assert with_fix("there is no service x.", "add it") == "there is no service x; add it"
    assert with_fix("there is no service x", None) == "there is no service x"


@pytest.mark.parametrize(("number", "said"), [(0, "0 sessions"), (1, "1 session"), (2, "2 sessions")])
def test_what_is_counted_is_singular_only_for_one(number, said):
    assert count_of(number, "session") == said
