"""Large reads through a cursor of the server, and all others without one."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError

from entitlements.people.models import Person
from governance.database import cursors
from tests import make

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_large_read_opens_its_cursor_in_a_transaction_and_is_refused_outside_of_one() -> None:
    made = sorted(make.person(f"p{number}").login for number in range(5))
    logins = Person.objects.order_by("login").values_list("login", flat=True)
    with pytest.raises(TransactionManagementError, match="needs a transaction"):
        cursors.in_parts(logins)
    with transaction.atomic(), connection.cursor() as cursor:
        rows = cursors.in_parts(logins, 2)
        assert next(rows) == made[0]
        cursor.execute("SELECT is_holdable FROM pg_cursors")
        assert cursor.fetchall() == [(False,)]
        assert list(rows) == made[1:]


def test_no_cursor_of_the_server_is_opened_outside_of_a_transaction() -> None:
    """A transaction pooler would lose it: it keeps a connection for one client until the end of a transaction."""
    make.person("alice")
    with connection.cursor() as cursor:
        rows = Person.objects.values_list("login", flat=True).iterator(chunk_size=1)
        assert next(rows) == "alice"
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert cursor.fetchone() == (0,)
