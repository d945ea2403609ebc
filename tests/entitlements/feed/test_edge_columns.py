"""The columns that a statement names are found, however deep it names them."""

from __future__ import annotations

import pytest

from tests.entitlements.feed import edge_columns

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("SELECT email FROM entitlements_person WHERE login = %s", {"email", "login"}),
        ("SELECT 1 FROM (SELECT p.* FROM entitlements_person p) AS q WHERE q.is_active", {"is_active"}),
        ("SELECT (SELECT p.email FROM entitlements_person p LIMIT 1) WHERE %(name)s = 'a'", {"email"}),
    ],
)
def test_each_column_that_a_statement_names_is_found(statement: str, columns: set[str]) -> None:
    found = {column for table, column in edge_columns.columns_of(statement) if table == "entitlements_person"}
    assert found >= columns
