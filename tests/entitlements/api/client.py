"""A client of the API for tests: a person with her own token, or a stranger."""

from __future__ import annotations

from typing import Any

from django.test import Client
from rest_framework.test import APIClient

from audit.context import SYSTEM
from entitlements.people import people
from entitlements.people.models import Person


def of(person: Person | None = None) -> APIClient:
    """Return a client that sends the person's token with every request."""
    client = APIClient()
    if person is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {people.make_api_token(person, 'test', by=SYSTEM)}")
    return client


def raw(person: Person) -> tuple[Client, dict[str, Any]]:
    """Return Django's own client and the headers to send with it, for bodies that are no JSON."""
    return Client(), {"HTTP_AUTHORIZATION": f"Bearer {people.make_api_token(person, 'test', by=SYSTEM)}"}


def proven(person: Person) -> APIClient:
    """Return a client with the person's token and password, as somebody without a second factor proves who they are."""
    person.set_password("correct horse battery staple")
    person.save(update_fields=["password"])
    client = APIClient()
    sent = {"HTTP_AUTHORIZATION": f"Bearer {people.make_api_token(person, 'test', by=SYSTEM)}"}
    client.credentials(**sent, HTTP_MANDATE_PROOF="correct horse battery staple")
    return client
