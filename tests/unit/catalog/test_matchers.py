"""Label matchers of PromQL, as the catalog's ``ignore`` holds them."""

import pytest

from runbook_model.catalog.matchers import parse_matcher


@pytest.mark.parametrize(
    ("written", "negated"),
    [
        ('path=~"/health.*"', 'path!~"/health.*"'),
        ('path="/ready"', 'path!="/ready"'),
        ('path!="/ready"', 'path="/ready"'),
        ('path !~ "/api/.*"', 'path=~"/api/.*"'),
        ('"http.route"="/health"', '"http.route"!="/health"'),
    ],
)
def test_each_operator_has_its_opposite(written, negated):
    assert parse_matcher(written).negated == negated


@pytest.mark.parametrize(
    ("written", "labels", "matches"),
    [
        ('path=~"/health.*"', {"path": "/healthz"}, True),
        ('path=~"/health"', {"path": "/healthz"}, False),
        ('path=~"/health.*"', {}, False),
        ('path="/ready"', {"path": "/ready"}, True),
        ('path!="/ready"', {}, True),
        ('path!~"/api/.*"', {"path": "/api/x"}, False),
        (r'path=~"/health\\.json"', {"path": "/health.json"}, True),
        ('"http.route"="/health"', {"http.route": "/health"}, True),
    ],
)
def test_a_pattern_is_the_whole_value_and_a_label_that_is_not_there_is_empty(written, labels, matches):
    assert parse_matcher(written).matches(labels) is matches


@pytest.mark.parametrize(
    "text", ["", "path", "path=/health", 'path=~"("', 'a="b", c="d"', 'a="b"} or vector(1)']
)
def test_what_is_no_matcher_is_refused(text):
    with pytest.raises(ValueError, match=r"is not a PromQL matcher|is not a regular expression"):
        parse_matcher(text)
