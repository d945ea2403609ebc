"""Grants over the API: what takes away a part of one."""

from __future__ import annotations

from typing import Any, ClassVar

from entitlements.api.fields import Text
from entitlements.api.resources import EditEndpoint
from entitlements.grants.api import GrantSerializer
from entitlements.permissions.matrix import Matrix
from governance.api.matrix import MATRIX
from governance.grants import actions
from governance.requests.api.bodies import NarrowingBody, narrowing


class GrantNarrowingInputSerializer(NarrowingBody):
    """What to keep of a grant, and why. `lasts` counts from now; what is left out stays as it is."""

    reason = Text(max_length=500)


class Narrow(EditEndpoint):
    """Narrow a grant.

    To fewer tools, tighter limits or less time, from the version that If-Match names.
    """

    matrix: ClassVar[Matrix] = MATRIX
    action = actions.NARROW
    asked = GrantNarrowingInputSerializer
    shown = GrantSerializer

    def read(self) -> dict[str, Any]:
        """Read what is taken away."""
        body = super().read()
        return {"narrow": narrowing(body), "reason": body["reason"]}
