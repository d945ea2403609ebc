"""What the gallery shows of emergencies, and of a request that somebody asked back about."""

from __future__ import annotations

from datetime import timedelta

from allauth.mfa.models import Authenticator

from entitlements.agents.models import Agent
from entitlements.catalog.models import Entitlement
from entitlements.grants import grants
from entitlements.people.models import Person
from governance.approvals import questions
from governance.break_glass import break_glass
from governance.break_glass.models import BreakGlassGrant
from governance.eligibility import eligibility
from governance.requests.models import AccessRequest
from tests import make


def emergency_given() -> BreakGlassGrant:
    """Let rob give access in an emergency, and let it be over and wait for its review."""
    rob, bob = Person.objects.get(login="rob"), Person.objects.get(login="bob")
    Authenticator.objects.create(user=rob, type=Authenticator.Type.TOTP, data={})
    ask = eligibility.RequestTerms(timedelta(minutes=30), "The wiki tells everybody the wrong number to call.", (bob,))
    agent, use = Agent.objects.get(slug="onboarding"), Entitlement.objects.get(system__slug="wiki")
    given = break_glass.give(agent, use, ask, by=rob)
    grants.revoke(given.grant_id, by=rob.principal, reason="Corrected.")
    break_glass.open_reviews()
    return given


def asked_by_ana() -> AccessRequest:
    """Let ana ask, and sofia ask her back."""
    ana, sofia, bob = (Person.objects.get(login=login) for login in ("ana", "sofia", "bob"))
    agent = Agent.objects.filter(slug="onboarding").get()
    asked = make.request(Entitlement.objects.get(system__slug="wiki"), agent, by=ana, people=[ana, bob])
    waits = asked.approvals.filter(waiting_for__isnull=False).first()
    by = waits.waiting_for.first() if waits else None
    questions.ask(asked.pk, by=by or sofia, text="Is the old wiki not enough?")
    return asked
