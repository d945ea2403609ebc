"""Credentials of agents' clients are accepted by people responsible for the agent. Only adds.

Clients of agents that exist keep what they have: it is marked as older than acceptance. The trigger on clients comes
first, so that none is registered between it and the marking; from then on the release before registers none for agents.
"""

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

CLIENTS = """
CREATE FUNCTION entitlements_a_live_client_holds_what_was_accepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM entitlements_clientcredential c
         WHERE c.client_id = NEW.client_id AND c.agent_id = NEW.agent_id AND c.state = 'accepted'
           AND c.auth = NEW.auth AND c.jwks = NEW.jwks AND c.secret_sha256 = NEW.secret_sha256
           AND c.redirect_uris = NEW.redirect_uris AND c.api_scopes = NEW.api_scopes
    ) THEN
        RAISE EXCEPTION 'the credential of client % was not accepted for its agent', NEW.client_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_live_client_holds_what_was_accepted';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_live_client_holds_what_was_accepted
    BEFORE INSERT OR UPDATE OF client_id, agent_id, auth, jwks, secret_sha256, redirect_uris, api_scopes, status
    ON entitlements_client FOR EACH ROW WHEN (NEW.agent_id IS NOT NULL AND NEW.status = 'active')
    EXECUTE FUNCTION entitlements_a_live_client_holds_what_was_accepted();

INSERT INTO entitlements_clientcredential (id, agent_id, client_id, purpose, name, auth, jwks, secret_sha256,
    redirect_uris, api_scopes, state, asked_by, askers, reason, asked_at, answer_by, acceptor_id, answered_by,
    answered_at, answer_reason, precedes_acceptance)
SELECT gen_random_uuid(), agent_id, client_id, 'client', name, auth, jwks, secret_sha256, redirect_uris, api_scopes,
       'accepted', 'system:mandate', '[]', 'It worked before acceptance was required.', created, now(), NULL,
       'system:mandate', now(), '', true
  FROM entitlements_client WHERE agent_id IS NOT NULL;
"""
CREDENTIALS = """
CREATE FUNCTION entitlements_a_credential_is_accepted_by_who_is_responsible() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.state <> 'waiting' OR
        (OLD.agent_id, OLD.client_id, OLD.purpose, OLD.auth, OLD.jwks, OLD.secret_sha256, OLD.redirect_uris,
         OLD.api_scopes, OLD.asked_by, OLD.askers, OLD.asked_at, OLD.answer_by, OLD.precedes_acceptance)
        IS DISTINCT FROM
        (NEW.agent_id, NEW.client_id, NEW.purpose, NEW.auth, NEW.jwks, NEW.secret_sha256, NEW.redirect_uris,
         NEW.api_scopes, NEW.asked_by, NEW.askers, NEW.asked_at, NEW.answer_by, NEW.precedes_acceptance)) THEN
        RAISE EXCEPTION 'credential % was answered, or is not what was asked for', OLD.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_credential_is_answered_once_as_it_was_asked_for';
    END IF;
    IF NEW.precedes_acceptance THEN
        RAISE EXCEPTION 'credential % is not older than acceptance', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'no_new_credential_precedes_acceptance';
    END IF;
    IF NEW.state = 'accepted' AND NOT EXISTS (
        SELECT FROM entitlements_agent a JOIN entitlements_person p ON p.id IN (a.sponsor_id, a.owner_id, a.backup_id)
         WHERE a.id = NEW.agent_id AND p.id = NEW.acceptor_id AND p.is_active
           AND NOT EXISTS (
               SELECT FROM entitlements_person asker
                WHERE NEW.askers ? asker.login AND asker.id <> p.id AND p.email <> ''
                  AND entitlements_mailbox(asker.email) = entitlements_mailbox(p.email))
    ) THEN
        RAISE EXCEPTION 'credential % is accepted by a person who may not', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_credential_is_accepted_by_who_is_responsible';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_credential_is_accepted_by_who_is_responsible
    BEFORE INSERT OR UPDATE ON entitlements_clientcredential
    FOR EACH ROW EXECUTE FUNCTION entitlements_a_credential_is_accepted_by_who_is_responsible();
"""
BACK = """
DROP TRIGGER a_live_client_holds_what_was_accepted ON entitlements_client;
DROP FUNCTION entitlements_a_live_client_holds_what_was_accepted();
"""
CREDENTIALS_BACK = """
DROP TRIGGER a_credential_is_accepted_by_who_is_responsible ON entitlements_clientcredential;
DROP FUNCTION entitlements_a_credential_is_accepted_by_who_is_responsible();
"""


class Migration(migrations.Migration):
    """One table, marks of what works already, two triggers."""

    dependencies: ClassVar = [("entitlements", "0022_one_mailbox_is_one_human")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="ClientCredential",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("client_id", models.CharField(max_length=100)),
                (
                    "purpose",
                    models.CharField(choices=[("client", "New client"), ("secret", "New secret")], max_length=16),
                ),
                ("name", models.CharField(blank=True, max_length=255)),
                (
                    "auth",
                    models.CharField(
                        choices=[
                            ("private_key_jwt", "Signed assertion"),
                            ("client_secret_basic", "Shared secret"),
                            ("none", "Public client"),
                        ],
                        max_length=32,
                    ),
                ),
                ("jwks", models.JSONField(blank=True, default=dict)),
                ("secret_sha256", models.CharField(blank=True, max_length=64)),
                ("redirect_uris", models.TextField(blank=True)),
                ("api_scopes", models.JSONField(blank=True, default=list)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting for acceptance"),
                            ("accepted", "Accepted"),
                            ("refused", "Refused"),
                            ("replaced", "Replaced by a newer one"),
                            ("lapsed", "Not accepted in time"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("asked_by", models.CharField(max_length=200)),
                ("askers", models.JSONField(blank=True, default=list)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("asked_at", models.DateTimeField()),
                ("answer_by", models.DateTimeField()),
                ("answered_by", models.CharField(blank=True, max_length=200)),
                ("answered_at", models.DateTimeField(blank=True, null=True)),
                ("answer_reason", models.CharField(blank=True, max_length=500)),
                ("precedes_acceptance", models.BooleanField(db_default=False, default=False)),
                (
                    "acceptor",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credentials",
                        to="entitlements.agent",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["client_id", "agent"], name="credential_of_client"),
                    models.Index(condition=Q(state="waiting"), fields=["answer_by"], name="credential_due"),
                    models.Index(fields=["-asked_at", "-id"], name="credential_page"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(state="waiting"),
                        fields=("client_id",),
                        name="one_credential_of_a_client_waits_at_a_time",
                    ),
                    models.CheckConstraint(
                        condition=Q(state="accepted", precedes_acceptance=True, acceptor=None)
                        | Q(state="accepted", precedes_acceptance=False, acceptor__isnull=False)
                        | (~Q(state="accepted") & Q(acceptor=None)),
                        name="an_accepted_credential_names_its_acceptor",
                    ),
                    models.CheckConstraint(
                        condition=Q(state="waiting", answered_at=None)
                        | (~Q(state="waiting") & Q(answered_at__isnull=False)),
                        name="a_credential_is_answered_exactly_when_it_no_longer_waits",
                    ),
                    models.CheckConstraint(
                        condition=~Q(state="accepted") | Q(answered_at__lte=F("answer_by")),
                        name="a_credential_is_accepted_in_time",
                    ),
                ],
            },
        ),
        migrations.RunSQL(CLIENTS, BACK),
        migrations.RunSQL(CREDENTIALS, CREDENTIALS_BACK),
    ]
