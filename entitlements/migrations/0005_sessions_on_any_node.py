"""Any node serves any client session, and every node uses the same session at an upstream.

One operation, since Django takes seconds between its own, all of which keep the nodes from reading the change feed. The
release before writes no row of an upstream session; its column `upstream_id` stays until the next migration that may
take something away.
"""

from typing import ClassVar

from django.db import migrations, models

ADD = """
ALTER TABLE entitlements_change
    ADD COLUMN client_session_id uuid,
    DROP CONSTRAINT a_change_names_a_subject_or_concerns_all,
    ADD CONSTRAINT a_change_names_a_subject_or_concerns_all CHECK (
        concerns_all OR num_nonnulls(agent_id, person_id, group_id, client_id, system_id, tool_id, grant_id,
            trusted_issuer_id, identity_link_id, signing_key_id, session_id, token_id, client_session_id) > 0);
ALTER TABLE entitlements_upstreamsession
    ADD COLUMN sealed bytea DEFAULT '' NOT NULL,
    ADD COLUMN used_at timestamptz,
    ALTER COLUMN upstream_id SET DEFAULT '';
CREATE UNIQUE INDEX one_open_session_of_a_caller_at_a_system
    ON entitlements_upstreamsession (system_id, agent_id, person_id, client_id) NULLS NOT DISTINCT
    WHERE ended_at IS NULL;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0004_session_of_sign_in")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="EndedClientSession",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("ended_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD)],
            state_operations=[
                migrations.AddField(model_name="change", name="client_session_id", field=models.UUIDField(blank=True, null=True)),
                migrations.RemoveConstraint(model_name="change", name="a_change_names_a_subject_or_concerns_all"),
                migrations.AddConstraint(
                    model_name="change",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            ("concerns_all", True),
                            ("agent_id__isnull", False),
                            ("person_id__isnull", False),
                            ("group_id__isnull", False),
                            ("client_id__isnull", False),
                            ("system_id__isnull", False),
                            ("tool_id__isnull", False),
                            ("grant_id__isnull", False),
                            ("trusted_issuer_id__isnull", False),
                            ("identity_link_id__isnull", False),
                            ("signing_key_id__isnull", False),
                            ("session_id__isnull", False),
                            ("token_id__isnull", False),
                            ("client_session_id__isnull", False),
                            _connector="OR",
                        ),
                        name="a_change_names_a_subject_or_concerns_all",
                    ),
                ),
                migrations.RemoveField(model_name="upstreamsession", name="upstream_id"),
                migrations.AddField(model_name="upstreamsession", name="sealed", field=models.BinaryField(default=b"")),
                migrations.AddField(model_name="upstreamsession", name="used_at", field=models.DateTimeField(blank=True, null=True)),
                migrations.AddConstraint(
                    model_name="upstreamsession",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("system", "agent", "person", "client"),
                        name="one_open_session_of_a_caller_at_a_system",
                        nulls_distinct=False,
                    ),
                ),
            ],
        ),
    ]
