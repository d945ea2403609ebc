"""Thousands of agents with a client and a grant each, as copies of one that was made by the product's actions."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection

from entitlements.catalog.models import Entitlement
from entitlements.clients.models import Client
from tests import make

_COPIES: Final = """
CREATE TEMP TABLE crowd ON COMMIT DROP AS
SELECT n, 'crowd-' || n AS slug, nextval(pg_get_serial_sequence('entitlements_agent', 'id')) AS agent,
       nextval(pg_get_serial_sequence('entitlements_client', 'id')) AS client, gen_random_uuid() AS held
FROM generate_series(1, %(count)s) n;
INSERT INTO entitlements_agent SELECT (jsonb_populate_record(a, jsonb_build_object('id', c.agent, 'slug', c.slug))).*
FROM crowd c, entitlements_agent a WHERE a.id = %(agent)s;
INSERT INTO entitlements_clientcredential SELECT (jsonb_populate_record(o, jsonb_build_object(
    'id', gen_random_uuid(), 'agent_id', c.agent, 'client_id', c.slug))).*
FROM crowd c, entitlements_clientcredential o WHERE o.agent_id = %(agent)s;
INSERT INTO entitlements_client SELECT (jsonb_populate_record(k, jsonb_build_object(
    'id', c.client, 'agent_id', c.agent, 'identifier', c.slug))).*
FROM crowd c, entitlements_client k WHERE k.id = %(client)s;
INSERT INTO entitlements_grant SELECT (jsonb_populate_record(g, jsonb_build_object(
    'id', c.held, 'agent_id', c.agent))).*
FROM crowd c, entitlements_grant g WHERE g.id = %(grant)s;
INSERT INTO entitlements_grantline SELECT (jsonb_populate_record(l, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('entitlements_grantline', 'id')), 'grant_id', c.held))).*
FROM crowd c, entitlements_grantline l WHERE l.grant_id = %(grant)s
"""


def gather(of: Entitlement, count: int) -> dict[str, Any]:
    """Make so many agents that hold an entitlement for no person; returns what their clients know, in a transaction."""
    answers = make.person("crowd-sponsor")
    agent = make.agent("crowd-0", sponsor=answers, owner=answers)
    client, secret = make.client(agent, "crowd-0", auth=Client.Auth.CLIENT_SECRET_BASIC)
    grant = make.grant(agent, of)
    values = {"count": count, "agent": agent.pk, "client": client.pk, "grant": grant.pk}
    with connection.cursor() as cursor:
        for statement in _COPIES.split(";"):
            cursor.execute(statement, values)
    clients = [f"crowd-{number}" for number in range(1, count + 1)]
    return {"system": of.system.slug, "secret": secret, "clients": clients}
