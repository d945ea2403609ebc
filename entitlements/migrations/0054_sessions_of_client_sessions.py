"""A session at an upstream for each session of a legacy client."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

_ALTER = """
ALTER TABLE entitlements_upstreamsession ADD COLUMN client_session uuid NULL;
CREATE UNIQUE INDEX one_open_session_of_a_callers_session ON entitlements_upstreamsession
    (system_id, agent_id, person_id, client_id, client_session) NULLS NOT DISTINCT WHERE ended_at IS NULL;
CREATE INDEX entitlements_upstreamsession_client_session_6ef76c07 ON entitlements_upstreamsession (client_session);
"""


class Migration(migrations.Migration):
    """Add a column that may be null, and let the constraint that one session is open hold for each value of it."""

    dependencies: ClassVar = [("entitlements", "0052_primitives")]
    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(_ALTER)],
            state_operations=[
                migrations.AddField("upstreamsession", "client_session", models.UUIDField(blank=True, db_index=True, null=True)),
                migrations.AddConstraint("upstreamsession", models.UniqueConstraint(
                    name="one_open_session_of_a_callers_session",
                    fields=["system", "agent", "person", "client", "client_session"],
                    condition=Q(ended_at=None), nulls_distinct=False,
                )),
            ],
        ),
        migrations.RemoveConstraint("upstreamsession", "one_open_session_of_a_caller_at_a_system"),
    ]
