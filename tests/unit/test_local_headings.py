"""What pages do on a compose project is told under headings of the same page, in the same order."""

import re
from pathlib import Path

import pytest

from workflows.local import database_issues, remedies

ROOT = Path(__file__).parents[2]
LOCAL = ["service-down", "high-error-rate", "high-latency", "resource-issues", "database-issues"]


@pytest.mark.parametrize("procedure", LOCAL)
def test_its_headings_are_those_of_its_page_in_the_same_order(procedure):
    name = procedure.replace("-", "_")
    module = (ROOT / f"workflows/local/{name}.py").read_text()
    parts = (database_issues if procedure == "database-issues" else remedies).HEADINGS
    first = re.findall(r"page\.heading\(\"([^\"]+)\"", module)
    said = [*first, *filter(None, (parts.ask, parts.put_right, parts.steady, parts.verify))]
    page = re.findall(r"^## (.+)$", (ROOT / f"docs/runbooks/{procedure}.md").read_text(), re.MULTILINE)
    assert said
    assert list(dict.fromkeys(said)) == [heading for heading in page if heading in said]


@pytest.mark.parametrize("procedure", [*LOCAL, "rollback"])
def test_every_page_says_what_it_does_there(procedure):
    assert "\n### Local\n" in (ROOT / f"docs/runbooks/{procedure}.md").read_text()
