"""A browser's side of the console in tests: signed in as somebody, forms sent as a page would."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.test import Client

from audit.actions import Action
from audit.models import Event
from entitlements.people.models import Person
from governance.sign_in.sessions import SessionStore

(BACKEND,) = settings.AUTHENTICATION_BACKENDS


def as_(person: Person, *, fresh: bool = True) -> Client:
    """Return a browser in which this person is signed in, by default a moment ago."""
    session = SessionStore()
    session[SESSION_KEY] = person._meta.pk.value_to_string(person)
    session[BACKEND_SESSION_KEY], session[HASH_SESSION_KEY] = BACKEND, person.get_session_auth_hash()
    if fresh:
        session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
        session["account_authentication_methods_user"] = str(person.pk)
    session.save()  # at once: Client.force_login and a change of its session take three times as many statements
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return client


def text(response: Any) -> str:  # noqa: ANN401 - Django's test response
    """Return the page as text, with each run of white space as one space, as a browser shows it; a file as it is."""
    body: str = response.getvalue().decode()
    return " ".join(body.split()) if response["Content-Type"].startswith("text/html") else body


def refusals() -> list[tuple[str, str]]:
    """Return the refusals in the record: who, and by which code."""
    events = Event.objects.filter(action=Action.REFUSED).order_by("at", "sequence")
    return [(event.actor, event.code) for event in events]
