"""The page on signing says which kind of statement has which fields."""

from pathlib import Path

import pytest

from runbook_model.authority.statement import FIELDS

PAGE = (Path(__file__).parents[3] / "docs" / "signing.md").read_text()
EVERY = {"v", "kind", "namespace", "environment", "signer", "issued_at", "expires_at", "decision_id"}


@pytest.mark.parametrize("kind", FIELDS)
def test_the_table_has_the_fields_of_each_kind(kind):
    fields = ", ".join(f"`{name}`" for name in sorted(FIELDS[kind] - EVERY))
    assert FIELDS[kind] >= EVERY
    assert f"| `{kind}` | {fields}" in PAGE
