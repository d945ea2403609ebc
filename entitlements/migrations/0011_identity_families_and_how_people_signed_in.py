"""Sign-ins at the identity side last too, and codes and families say how the person signed in.

One operation, since Django takes seconds between its own, all of which keep the nodes from reading the change feed.
"""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

ADD = """
ALTER TABLE entitlements_tokenfamily
    ALTER COLUMN agent_id DROP NOT NULL,
    ALTER COLUMN system_id DROP NOT NULL,
    ALTER COLUMN session_id DROP NOT NULL,
    ADD COLUMN acr varchar(255) DEFAULT '' NOT NULL,
    ADD COLUMN amr text DEFAULT '' NOT NULL,
    ADD CONSTRAINT token_family_of_a_system_has_its_agent_session_and_resource CHECK (
        system_id IS NULL OR (agent_id IS NOT NULL AND session_id IS NOT NULL AND NOT resource = ''));
ALTER TABLE entitlements_authorizationcode
    ADD COLUMN acr varchar(255) DEFAULT '' NOT NULL,
    ADD COLUMN amr text DEFAULT '' NOT NULL;
ALTER TABLE entitlements_oauthaccesstoken ADD COLUMN family uuid;
CREATE INDEX access_token_of_family ON entitlements_oauthaccesstoken (family) WHERE family IS NOT NULL;
"""


def _may_lack(name: str, to: str, related: str) -> migrations.AlterField:
    field = models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name=related, to=to)
    return migrations.AlterField(model_name="tokenfamily", name=name, field=field)


def _said(model: str) -> list[migrations.AddField]:
    return [
        migrations.AddField(model, "acr", models.CharField(blank=True, db_default="", max_length=255)),
        migrations.AddField(model, "amr", models.TextField(blank=True, db_default="")),
    ]


class Migration(migrations.Migration):
    """Let a family be without a system, and add the columns."""

    dependencies: ClassVar = [("entitlements", "0009_reserved_slugs")]
    operations: ClassVar = [
        migrations.RunSQL(
            ADD,
            state_operations=[
                _may_lack("agent", "entitlements.agent", "token_families"),
                _may_lack("system", "entitlements.system", "+"),
                _may_lack("session", "entitlements.session", "+"),
                migrations.AlterField("tokenfamily", "resource", models.CharField(blank=True, max_length=500)),
                *_said("tokenfamily"),
                *_said("authorizationcode"),
                migrations.AddField("oauthaccesstoken", "family", models.UUIDField(blank=True, null=True)),
                migrations.AddIndex("oauthaccesstoken", models.Index(condition=Q(family__isnull=False), fields=["family"], name="access_token_of_family")),
                migrations.AddConstraint(
                    "tokenfamily",
                    models.CheckConstraint(
                        condition=Q(system=None) | Q(agent__isnull=False, session__isnull=False) & ~Q(resource=""),
                        name="token_family_of_a_system_has_its_agent_session_and_resource",
                    ),
                ),
            ],
        )
    ]
