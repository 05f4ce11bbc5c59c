"""A page that is longer than the terminal."""

from rich.text import Text

from starter.view.watching import HEAD_LINES, fitting


def test_a_page_that_fits_is_shown_whole():
    lines = [Text(str(number)) for number in range(10)]
    assert fitting(lines, 24) == lines


def test_of_a_longer_page_the_head_and_the_newest_are_shown():
    shown = [text.plain for text in fitting([Text(str(number)) for number in range(100)], 20)]
    assert len(shown) == 19
    assert shown[:HEAD_LINES] == ["0", "1", "2", "3"]
    assert shown[HEAD_LINES] == "…"
    assert shown[-1] == "99"
