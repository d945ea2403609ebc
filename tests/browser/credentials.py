"""Credentials that wait for acceptance, for the pages that show them."""

from uuid import UUID

from joserfc.jwk import ECKey

from entitlements import clients
from entitlements.models import Agent, Person


def waiting() -> list[UUID]:
    """Let ana ask for a client with keys and a new secret for an agent of sofia's, and return both as they wait."""
    agent = Agent.objects.filter(sponsor__login="sofia", status="active").order_by("slug")[0]
    by = Person.objects.get(login="ana").principal
    key = ECKey.generate_key("P-256", parameters={"kid": "desk-2026"}, private=True).as_dict(private=False)
    keys = clients.register("desk", agent=agent, auth="private_key_jwt", jwks={"keys": [key]}, by=by).waiting
    desk = clients.register("desk-2", agent=agent, auth="client_secret_basic", by=agent.sponsor.principal).client
    assert keys is not None
    assert desk is not None
    secret = clients.rotate_secret(desk, by=by, reason="It was in a log.").waiting
    assert secret is not None
    return [keys.pk, secret.pk]
