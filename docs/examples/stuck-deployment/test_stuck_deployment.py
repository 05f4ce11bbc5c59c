"""The page of this package is checked as the product's own pages are."""

from stuck_deployment.procedure import PROCEDURE

from workflows.procedures import check_page


def test_the_page_says_what_the_workflow_does() -> None:
    """Headings, sandbox, marks of changes: each problem would be a line."""
    assert check_page(PROCEDURE) == []
