"""One partition of events a month. An insert never fails for want of one: the default partition takes it."""

from django.db import DEFAULT_DB_ALIAS, connections


def ensure_months(ahead: int = 12) -> int:
    """Create this month's partition and those of the next `ahead` months where missing; returns how many were made.

    For a job: the database function runs with its owner's rights, so that the application's role needs none.
    """
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT ensure_event_months(%s)", [ahead])
        created: int = cursor.fetchone()[0]
        return created
