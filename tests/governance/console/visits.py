"""A browser's side of the console in tests: signed in as somebody, forms sent as a page would."""

from __future__ import annotations

import time
from typing import Any

from django.test import Client

from audit.actions import Action
from audit.models import Event
from entitlements.people.models import Person


def as_(person: Person, *, fresh: bool = True) -> Client:
    """Return a browser in which this person is signed in, by default a moment ago."""
    client = Client()
    client.force_login(person)
    if fresh:
        session = client.session
        session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
        session["account_authentication_methods_user"] = str(person.pk)
        session.save()
    return client


def text(response: Any) -> str:  # noqa: ANN401 - Django's test response
    """Return the page as text."""
    body: str = response.getvalue().decode()
    return body


def refusals() -> list[tuple[str, str]]:
    """Return the refusals in the record: who, and by which code."""
    events = Event.objects.filter(action=Action.REFUSED).order_by("at", "sequence")
    return [(event.actor, event.code) for event in events]
