"""Who answers for an agent, over REST: its sponsor and its technical owner. Nobody names themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from entitlements.api import visibility
from entitlements.api.agents import AgentShown
from entitlements.api.endpoints import Resource
from entitlements.api.fields import Shown, Strict, Text
from entitlements.api.matrix import Matrix
from entitlements.api.people import known_person
from entitlements.models import Agent
from governance import ownership

from .matrix import MATRIX


class Named(Strict):
    """Who is named, and why."""

    person = Text(max_length=64)
    reason = Text(max_length=500)


class _Appoint(Resource):
    matrix: ClassVar[Matrix] = MATRIX
    shown: ClassVar[type[Shown]] = AgentShown
    asked = Named
    lookup = "slug"
    verb: ClassVar[Callable[..., Agent]]

    def rows(self) -> QuerySet[Agent]:
        return visibility.agents(self.caller)

    def links(self, found: Any) -> list[str]:  # noqa: ANN401 - a row
        return [f"agent:{found.slug}"]

    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Name the person. What waits for answers goes to the right people in the same step."""
        found = self.found()
        self.permit(found, *self.links(found))
        asked = self.body(Named)
        type(self).verb(found, known_person(asked["person"]), by=self.principal, reason=asked["reason"])
        return self.again(found)


class Sponsor(_Appoint):
    """Let another person answer for an agent."""

    verb = staticmethod(ownership.change_sponsor)


class Owner(_Appoint):
    """Name another technical owner, who then never approves for this agent."""

    verb = staticmethod(ownership.change_owner)
