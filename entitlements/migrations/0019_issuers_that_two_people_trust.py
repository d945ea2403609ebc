"""How the tokens of a trusted issuer are read, who proposed and confirmed it, and its keys as a worker saw them."""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

_RULES = """
ALTER TABLE entitlements_trustedissuer
    ADD COLUMN issues_id_jags boolean DEFAULT false NOT NULL,
    ADD COLUMN clients jsonb DEFAULT '{}' NOT NULL,
    ADD COLUMN other_audiences jsonb DEFAULT '[]' NOT NULL,
    ADD COLUMN subject_claim varchar(64) DEFAULT 'sub' NOT NULL,
    ADD COLUMN tenant_claim varchar(64) DEFAULT '' NOT NULL,
    ADD COLUMN tenants jsonb DEFAULT '[]' NOT NULL,
    ADD COLUMN contexts jsonb DEFAULT '{}' NOT NULL;
"""
_KNOWN = """
INSERT INTO entitlements_issuerproposal
    (id, issuer, terms, reason, state, proposed_at, confirmed_at, end_reason)
SELECT gen_random_uuid(), t.issuer,
       jsonb_build_object(
           'purpose', t.purpose, 'issues_id_jags', false, 'jwks_uri', t.jwks_uri, 'jwks', t.jwks,
           'algorithms', t.algorithms, 'strict_single_use', t.strict_single_use, 'clients', '{}'::jsonb,
           'other_audiences', '[]'::jsonb, 'subject_claim', 'sub', 'tenant_claim', '', 'tenants', '[]'::jsonb,
           'contexts', '{}'::jsonb),
       'Trusted before proposals were kept.', 'in_force', t.created_at, t.created_at, ''
FROM entitlements_trustedissuer t WHERE t.enabled
"""
"""What is trusted already is shown, changed and ended like all else."""
_BOTH = Q(proposed_by__isnull=False, confirmed_by__isnull=False) & ~Q(confirmed_by=F("proposed_by"))
_NEITHER = Q(proposed_by=None, confirmed_by=None)
_STATES = [("proposed", "Proposed"), ("in_force", "In force"), ("replaced", "Replaced"), ("withdrawn", "Withdrawn"), ("ended", "Ended")]


def _person() -> models.ForeignKey:
    return models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL)


def _add(name: str, field: models.Field) -> migrations.AddField:
    return migrations.AddField("trustedissuer", name, field)


class Migration(migrations.Migration):
    """Add columns whose defaults read tokens as before, and two tables."""

    dependencies: ClassVar = [("entitlements", "0018_signing_algorithms")]

    operations: ClassVar = [
        migrations.RunSQL(
            _RULES,
            migrations.RunSQL.noop,
            state_operations=[
                _add("issues_id_jags", models.BooleanField(db_default=False, default=False)),
                _add("clients", models.JSONField(blank=True, db_default={}, default=dict)),
                _add("other_audiences", models.JSONField(blank=True, db_default=[], default=list)),
                _add("subject_claim", models.CharField(db_default="sub", default="sub", max_length=64)),
                _add("tenant_claim", models.CharField(blank=True, db_default="", default="", max_length=64)),
                _add("tenants", models.JSONField(blank=True, db_default=[], default=list)),
                _add("contexts", models.JSONField(blank=True, db_default={}, default=dict)),
            ],
        ),
        migrations.CreateModel(
            name="IssuerProposal",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("issuer", models.CharField(max_length=300)),
                ("terms", models.JSONField()),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("state", models.CharField(choices=_STATES, default="proposed", max_length=16)),
                ("proposed_by", _person()),
                ("proposed_at", models.DateTimeField()),
                ("confirmed_by", _person()),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "indexes": [models.Index(fields=["-proposed_at", "-id"], name="issuer_proposal_page")],
                "constraints": [
                    models.UniqueConstraint(condition=Q(state__in=["proposed", "in_force"]), fields=["issuer", "state"], name="an_issuer_is_proposed_once_and_in_force_once"),
                    models.CheckConstraint(
                        condition=Q(state__in=["proposed", "withdrawn"], proposed_by__isnull=False, confirmed_by=None)
                        | (Q(state__in=["in_force", "replaced", "ended"], confirmed_at__isnull=False) & (_BOTH | _NEITHER)),
                        name="a_second_person_confirms_an_issuer",
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=["proposed", "in_force"], ended_at=None)
                        | (Q(state__in=["replaced", "withdrawn", "ended"], ended_at__isnull=False) & ~Q(end_reason="")),
                        name="an_issuer_proposal_that_is_over_says_when_and_why",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IssuerKeys",
            fields=[
                (
                    "issuer",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name="keys_seen", serialize=False, to="entitlements.trustedissuer"),
                ),
                ("keys", models.JSONField(default=list)),
                ("fetched_at", models.DateTimeField(blank=True, null=True)),
                ("tried_at", models.DateTimeField()),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("problem", models.CharField(blank=True, max_length=300)),
                ("reported_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RunSQL(_KNOWN, migrations.RunSQL.noop),
    ]
