"""Sessions: a sign-in is a row in the database, what a stranger's browser must keep for a moment is in its own cookie.

The row stands under the digest of its name, and is sealed. A copy of the database, a backup or a log of statements then
lets no one sign in, and what a session holds for a moment (the secret of a second factor that is being added) is not in
it either. Before a person has proved who they are no row is written: the challenge of a passkey and the state of a
visit to the company's sign-in lie sealed in the cookie, for a quarter of an hour, so that strangers cannot fill the
database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any, Final

from allauth.account.internal.stagekit import LOGIN_SESSION_KEY
from allauth.socialaccount.internal.statekit import STATES_SESSION_KEY, get_oldest_state
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.core.exceptions import SuspiciousOperation
from django.utils import timezone

from entitlements.secrets import seal
from entitlements.tokens import assertions

_DIGEST_BYTES = 20
"""What the column of Django's table holds as hexadecimal; a name has 165 random bits."""
_MARK_BYTES: Final = 16
_PROVED: Final = (SESSION_KEY, LOGIN_SESSION_KEY)
"""What a session holds once a person has proved who they are; the second where a second factor is still to come."""
_IN_COOKIE: Final = "~"
"""What the cookie begins with that holds a stranger's session itself; no name of a row does."""
_PLACE: Final = "session-of-a-stranger"
STRANGER_SECONDS: Final = 15 * 60
_TWO: Final = 2
LONGEST: Final = 3500
"""Characters of a cookie that every browser keeps, with its name and attributes (4096 bytes)."""


def digest(name: str) -> str:
    """Return under what the database keeps the session of a cookie."""
    return hashlib.blake2s(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def is_issued(name: str) -> bool:
    """Whether a name of a session carries our mark; a stranger is given no such name."""
    drawn, mark = name[: -2 * _MARK_BYTES], name[-2 * _MARK_BYTES :]
    return bool(drawn) and hmac.compare_digest(_mark(drawn).encode(), mark.encode())


def forget_expired(limit: int = 1000) -> int:
    """Delete rows of sign-ins whose time is over. Returns how many. For a job."""
    over = Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[:limit]
    deleted, _ = Session.objects.filter(pk__in=list(over)).delete()
    return deleted


def _mark(drawn: str) -> str:
    key = hashlib.sha256(b"session name\n" + settings.SECRET_KEY.encode()).digest()
    return hashlib.blake2s(drawn.encode(), digest_size=_MARK_BYTES, key=key).hexdigest()


class SessionStore(db.SessionStore):
    """Django's sessions in the database; only the cookie has the name. A stranger's is in the cookie itself."""

    _session_cache: dict[str, Any]

    def encode(self, session_dict: dict[str, Any]) -> str:
        """Seal what the session holds."""
        plain: bytes = self.serializer().dumps(session_dict)
        return base64.b64encode(seal.seal(plain, self._place())).decode()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Open it; what does not open is an empty session."""
        try:
            plain = seal.unseal(base64.b64decode(session_data), self._place())
        except (ValueError, seal.SealBroken):
            return {}
        held: dict[str, Any] = self.serializer().loads(plain)
        return held

    def load(self) -> dict[str, Any]:
        """Return what the session holds, from the cookie or from its row."""
        if not self._is_in_cookie():
            return super().load()
        kept = self._kept()
        if kept is None:
            self._session_key = None
            return {}
        return dict(kept["holds"])

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - the framework's signature
        """Write the row once a person has proved who they are; before that, put all of it into the cookie."""
        held: dict[str, Any] = self._get_session(no_load=must_create)  # type: ignore[attr-defined]  # the framework's
        if not any(name in held for name in _PROVED):
            self._put_into_cookie(held)
            return
        if self._is_in_cookie():
            self._use_up()
        if self.session_key is None:
            self._session_key, must_create = self._get_new_session_key(), True
        super().save(must_create)

    def create(self) -> None:
        """Begin a session without a name; it gets one when it is saved."""
        self._session_key, self._session_cache, self.modified = None, {}, True

    def cycle_key(self) -> None:
        """Give the session another name when it is saved, and end the old one at once."""
        held: dict[str, Any] = self._session  # type: ignore[attr-defined]  # the framework's
        if self._is_in_cookie():
            self._use_up()
        self.delete()
        self._session_key, self._session_cache, self.modified = None, held, True

    def _is_in_cookie(self) -> bool:
        return (self.session_key or "").startswith(_IN_COOKIE)

    def _kept(self) -> dict[str, Any] | None:
        """Return what the cookie holds, None when it does not open or is too old."""
        text = (self.session_key or "").removeprefix(_IN_COOKIE)
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            kept: dict[str, Any] = self.serializer().loads(seal.unseal(sealed, _PLACE))
        except (ValueError, seal.SealBroken):
            return None
        return kept if 0 <= time.time() - kept["at"] <= STRANGER_SECONDS else None

    def _put_into_cookie(self, held: dict[str, Any]) -> None:
        kept = self._kept() if self._is_in_cookie() else None
        self.delete()
        name = kept["id"] if kept else secrets.token_urlsafe(16)
        while len(cookie := self._cookie(name, held)) > LONGEST:
            states = held.get(STATES_SESSION_KEY, {})
            if len(states) < _TWO or (oldest := get_oldest_state(states)) is None:
                raise SuspiciousOperation("A stranger's session holds more than a cookie does.")
            del states[oldest]
        self._session_key = cookie

    def _cookie(self, name: str, held: dict[str, Any]) -> str:
        plain = self.serializer().dumps({"id": name, "at": int(time.time()), "holds": held})
        return _IN_COOKIE + base64.urlsafe_b64encode(seal.seal(plain, _PLACE)).decode().rstrip("=")

    def _use_up(self) -> None:
        """Let a session of a stranger become a sign-in once: a copy of its cookie repeats no proof."""
        kept = self._kept()
        self._session_key = None
        if kept is None:
            return
        try:
            assertions.claim(_PLACE, kept["id"], time.time() + STRANGER_SECONDS)
        except assertions.AlreadyUsed as why:
            raise SuspiciousOperation("This session was used to sign in before.") from why

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
        name = session_key or self.session_key
        if name and not name.startswith(_IN_COOKIE):
            super().delete(digest(name))

    def _get_new_session_key(self) -> str:
        drawn: str = super()._get_new_session_key()  # type: ignore[misc]  # the framework's
        return drawn + _mark(drawn)

    def _get_session_from_db(self) -> Session | None:
        name = self.session_key or ""
        session = Session.objects.filter(session_key=digest(name), expire_date__gt=timezone.now()).first()
        if session is None:
            self._session_key = None  # as the framework does: no session has this name
        return session

    def _place(self) -> str:
        return f"session:{digest(self.session_key or '')}"
