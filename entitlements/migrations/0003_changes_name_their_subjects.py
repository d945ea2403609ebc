"""Changes name their subjects in typed columns.

One statement, since Django takes seconds between its own, all of which keep the nodes from reading the change feed.
What there is, and what the release before writes, concerns all.
"""

from typing import ClassVar

from django.db import migrations, models

ADD = """
ALTER TABLE entitlements_change
    ADD COLUMN person_id bigint,
    ADD COLUMN group_id bigint,
    ADD COLUMN client_id bigint,
    ADD COLUMN system_id bigint,
    ADD COLUMN tool_id bigint,
    ADD COLUMN grant_id uuid,
    ADD COLUMN trusted_issuer_id bigint,
    ADD COLUMN identity_link_id bigint,
    ADD COLUMN signing_key_id varchar(64),
    ADD COLUMN session_id uuid,
    ADD COLUMN token_id uuid,
    ADD COLUMN concerns_all boolean DEFAULT true NOT NULL,
    ADD CONSTRAINT a_change_names_a_subject_or_concerns_all CHECK (
        concerns_all OR num_nonnulls(agent_id, person_id, group_id, client_id, system_id, tool_id, grant_id,
            trusted_issuer_id, identity_link_id, signing_key_id, session_id, token_id) > 0)
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("entitlements", "0002_models_by_the_vocabulary")]
    operations: ClassVar = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(ADD)],
            state_operations=[
                migrations.AddField(model_name="change", name="client_id", field=models.BigIntegerField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="concerns_all", field=models.BooleanField(db_default=True, default=False)),
                migrations.AddField(model_name="change", name="grant_id", field=models.UUIDField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="group_id", field=models.BigIntegerField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="identity_link_id", field=models.BigIntegerField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="person_id", field=models.BigIntegerField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="session_id", field=models.UUIDField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="signing_key_id", field=models.CharField(blank=True, max_length=64, null=True)),
                migrations.AddField(model_name="change", name="system_id", field=models.BigIntegerField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="token_id", field=models.UUIDField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="tool_id", field=models.BigIntegerField(blank=True, null=True)),
                migrations.AddField(model_name="change", name="trusted_issuer_id", field=models.BigIntegerField(blank=True, null=True)),
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
                            _connector="OR",
                        ),
                        name="a_change_names_a_subject_or_concerns_all",
                    ),
                ),
            ],
        )
    ]
