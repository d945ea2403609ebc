"""Sign-ins in the database as whoever reads the database may see them: under the digest of their name, and sealed.

A copy of the database, a backup or a log of statements then signs nobody in, and what a session holds for a moment (the
secret of a second factor that is being added) is not in it either.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from entitlements import sealing

_DIGEST_BYTES = 20
"""What the column of Django's table holds as hexadecimal; a name has 165 random bits."""


def digest(name: str) -> str:
    """Return under what the database keeps the session of a cookie."""
    return hashlib.blake2s(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()


class SessionStore(db.SessionStore):
    """Django's sessions in the database; only the cookie has the name."""

    def encode(self, session_dict: dict[str, Any]) -> str:
        """Seal what the session holds."""
        plain: bytes = self.serializer().dumps(session_dict)
        return base64.b64encode(sealing.seal(plain, self._place())).decode()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Open it; what does not open is an empty session, which is nobody's."""
        try:
            plain = sealing.unseal(base64.b64decode(session_data), self._place())
        except (ValueError, sealing.SealBroken):
            return {}
        held: dict[str, Any] = self.serializer().loads(plain)
        return held

    def exists(self, session_key: str) -> bool:
        """Whether a name is taken."""
        return super().exists(digest(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:  # noqa: ANN401 - the framework's row
        """Make the row."""
        row = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        """Delete the row of a name, by default of this session's."""
        if name := session_key or self.session_key:
            super().delete(digest(name))

    def _get_session_from_db(self) -> Session | None:
        name = self.session_key or ""
        found = Session.objects.filter(session_key=digest(name), expire_date__gt=timezone.now()).first()
        if found is None:
            self._session_key = None  # as the framework does: the name is nobody's
        return found

    def _place(self) -> str:
        return f"session:{digest(self.session_key or '')}"
