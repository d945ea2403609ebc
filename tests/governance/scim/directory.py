"""A directory as it speaks SCIM to us."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.test import Client

from audit import clock
from audit.context import SYSTEM
from entitlements.people.models import Person
from entitlements.people_sources import sources
from entitlements.people_sources.models import PeopleSource, SourcedPerson
from entitlements.trusted_issuers.models import TrustedIssuer

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Directory:
    """One people source, with its token in hand."""

    def __init__(self, slug: str = "okta", *, subjects_of: TrustedIssuer | None = None) -> None:
        made, self.token = sources.make(slug, name=slug.title(), subjects_of=subjects_of, by=SYSTEM)
        self.source: PeopleSource = made
        self._client = Client()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - a test's answer
        """Send a request."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._client.generic(
            method,
            f"/scim/v2/{path}",
            content,
            content_type="application/scim+json",
            headers={"Authorization": f"Bearer {self.token}", **headers},
        )

    def add(self, user_name: str, **said: object) -> dict[str, Any]:
        """Add a person."""
        answer = self.ask("POST", "Users", {"schemas": [USER], "userName": user_name, **said})
        assert answer.status_code == 201, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def patch(self, where: str, *operations: Mapping[str, object], **headers: str) -> Any:  # noqa: ANN401 - as above
        """Change something."""
        return self.ask("PATCH", where, {"schemas": [PATCH], "Operations": operations}, **headers)

    def off(self, pk: str) -> Any:  # noqa: ANN401 - as above
        """Say that a person is no longer active."""
        return self.patch(f"Users/{pk}", {"op": "replace", "path": "active", "value": False})

    def keeps(self, person: Person) -> SourcedPerson:
        """Say that a person who is here already is this directory's."""
        now = clock.now()
        return SourcedPerson.objects.create(
            source=self.source,
            person=person,
            user_name=f"{person.login}@example.org",
            said={"userName": f"{person.login}@example.org", "displayName": person.name, "active": True},
            created_at=now,
            changed_at=now,
        )
