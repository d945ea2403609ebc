"""The policy of a host, and the decision about a client that waits, may be for personal agents, without a shared one."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

_SERVES = """
ALTER TABLE entitlements_clienthost
    ADD COLUMN serves varchar(16) DEFAULT 'own_agent' NOT NULL,
    ALTER COLUMN agent_id DROP NOT NULL,
    ADD CONSTRAINT a_client_host_names_its_shared_agent CHECK (
        (agent_id IS NOT NULL AND serves = 'own_agent') OR (agent_id IS NULL AND serves = 'personal_agents'));
ALTER TABLE entitlements_clientdocument
    ADD COLUMN serves varchar(16) DEFAULT 'own_agent' NOT NULL,
    DROP CONSTRAINT a_decided_client_document_says_by_whom,
    ADD CONSTRAINT a_decided_client_document_says_by_whom CHECK (
        state IN ('read', 'waiting')
        OR (state = 'approved' AND decided_by_id IS NOT NULL AND decided_at IS NOT NULL
            AND ((agent_id IS NOT NULL AND serves = 'own_agent') OR (agent_id IS NULL AND serves = 'personal_agents')))
        OR (state = 'refused' AND decided_by_id IS NOT NULL AND decided_at IS NOT NULL AND reason <> ''));
"""
_NAMES_ITS_AGENT = Q(serves="own_agent", agent__isnull=False) | Q(serves="personal_agents", agent=None)


def _add_serves(model: str) -> migrations.AddField:
    choices = [("own_agent", "One agent, shared by all its people"), ("personal_agents", "A personal agent of each person")]
    field = models.CharField(choices=choices, db_default="own_agent", default="own_agent", max_length=16)
    return migrations.AddField(model, "serves", field)


class Migration(migrations.Migration):
    """Add whom the clients serve; those that are there join a shared agent, as what the release before writes."""

    dependencies: ClassVar = [("entitlements", "0012_where_a_sign_in_was_used")]

    operations: ClassVar = [
        migrations.RunSQL(
            _SERVES,
            migrations.RunSQL.noop,
            state_operations=[
                _add_serves("clienthost"),
                migrations.AlterField(
                    "clienthost",
                    "agent",
                    models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="client_hosts", to="entitlements.agent"),
                ),
                migrations.AddConstraint("clienthost", models.CheckConstraint(condition=_NAMES_ITS_AGENT, name="a_client_host_names_its_shared_agent")),
                _add_serves("clientdocument"),
                migrations.RemoveConstraint("clientdocument", "a_decided_client_document_says_by_whom"),
                migrations.AddConstraint(
                    "clientdocument",
                    models.CheckConstraint(
                        condition=Q(state__in=["read", "waiting"])
                        | (Q(state="approved", decided_by__isnull=False, decided_at__isnull=False) & _NAMES_ITS_AGENT)
                        | (Q(state="refused", decided_by__isnull=False, decided_at__isnull=False) & ~Q(reason="")),
                        name="a_decided_client_document_says_by_whom",
                    ),
                ),
            ],
        )
    ]
