"""Tokens, live and recent, with how wide they are against what their agent holds and against what it calls.

Each page is read by its own index, and what is beside a token by three statements for the whole page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import DurationField, ExpressionWrapper, F, FloatField, Q, QuerySet
from django.db.models.functions import Cast, Extract

from entitlements import addresses
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.strict import known_uuid
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from governance.reviews.usage import usage
from governance.token_health import rules

COVERS: Final = """
    CASE WHEN {person} IS NULL THEN NOT EXISTS (SELECT FROM entitlements_grantsubject u WHERE u.grant_id = g.id)
    ELSE EXISTS (SELECT FROM entitlements_grantsubject u
                 LEFT JOIN entitlements_membership m ON m.group_id = u.group_id AND m.person_id = {person}
                 WHERE u.grant_id = g.id AND coalesce(u.person_id, m.person_id) = {person}) END
"""
"""Whether a grant `g` is for a person, or for none: as `tokens/issue.py` finds the candidates of a token."""
_WIDTHS: Final = f"""
WITH shown AS (
    SELECT k.jti, k.agent_id, k.person_id, k.system_id, string_to_array(k.scope, ' ') AS scopes
    FROM entitlements_issuedtoken k WHERE k.jti = ANY(%(tokens)s) AND k.agent_id IS NOT NULL
), whose AS (
    SELECT d.*, y.slug = %(all)s AS is_all, y.kind = ANY(%(gateway)s) OR y.slug = %(all)s AS is_seen,
           hashtextextended('person:' || p.login, 0) AS person
    FROM (SELECT DISTINCT agent_id, person_id, system_id FROM shown) d
    JOIN entitlements_system y ON y.id = d.system_id LEFT JOIN entitlements_person p ON p.id = d.person_id
), held AS MATERIALIZED (
    SELECT w.agent_id, w.person_id, w.system_id, w.is_all, l.tool_id, array_agg(e.scope::text) AS scopes,
           CASE WHEN w.is_seen THEN EXISTS (
               SELECT FROM governance_usageday d WHERE d.agent_id = w.agent_id AND d.tool_id = l.tool_id
               AND d.day >= %(since)s AND d.calls > 0 AND (w.person IS NULL OR w.person = ANY(d.people))) END AS used
    FROM whose w JOIN entitlements_grant g ON g.agent_id = w.agent_id AND g.ended_at IS NULL AND g.state = 'active'
        AND g.starts_at <= %(now)s AND g.expires_at > %(now)s
    JOIN entitlements_entitlement e ON e.id = g.entitlement_id AND e.enabled AND (w.is_all OR e.system_id = w.system_id)
    JOIN entitlements_grantline l ON l.grant_id = g.id
    WHERE {COVERS.format(person="w.person_id")}
    GROUP BY w.agent_id, w.person_id, w.system_id, w.is_all, w.is_seen, w.person, l.tool_id
)
SELECT s.jti, count(*) FILTER (WHERE h.is_all OR h.scopes && s.scopes), count(*),
       CASE WHEN bool_and(h.used IS NOT NULL)
            THEN count(*) FILTER (WHERE h.used AND (h.is_all OR h.scopes && s.scopes)) END
FROM shown s JOIN held h ON h.agent_id = s.agent_id AND h.system_id = s.system_id
    AND h.person_id IS NOT DISTINCT FROM s.person_id
GROUP BY s.jti
"""  # noqa: S608 - made of constants
_LAST_CALLS: Final = """
SELECT k.jti, c.at FROM unnest(%s::uuid[]) AS k (jti) CROSS JOIN LATERAL (
    SELECT max(named.at) AS at FROM (
        SELECT e.at, e.action FROM events e WHERE e.links @> ARRAY['token:' || k.jti] OFFSET 0
    ) named WHERE named.action IN ('call.allowed', 'call.denied')) c
WHERE c.at IS NOT NULL
"""
"""The last call of each token. OFFSET keeps the planner from looking for the latest event of all, backwards in time."""


@dataclass(frozen=True, slots=True)
class Width:
    """How many tools a token opens now, how many its agent holds at the system, how many of the opened were called.

    All of them for the person of the token. `used` is None where calls do not pass our gateway.
    """

    opened: int = 0
    held: int = 0
    used: int | None = None


@dataclass(frozen=True, slots=True)
class TokenHealth:
    """A token with what is beside it. `family` is the sign-in that it came of, where that lasts."""

    token: IssuedToken
    width: Width
    last_call_at: datetime | None
    family: TokenFamily | None
    now: datetime

    @property
    def lifetime(self) -> timedelta:
        """How long it lives, from when it was issued."""
        return self.token.expires_at - self.token.issued_at

    @property
    def lifetime_seconds(self) -> int:
        """The same in whole seconds."""
        return round(self.lifetime.total_seconds())

    @property
    def state(self) -> str:
        """`live` while it has neither expired nor been revoked, else `ended`."""
        return "live" if self.token.revoked_at is None and self.token.expires_at > self.now else "ended"

    @property
    def binding(self) -> str:
        """`dpop` for a token of a key (RFC 9449), else `bearer`."""
        return "dpop" if self.token.jkt else "bearer"

    @property
    def auth_time(self) -> datetime | None:
        """When its person signed in; None where no one did, or the issuer does not say."""
        if self.family is not None:
            return self.family.auth_time
        return self.token.session.auth_time if self.token.session else None

    @property
    def auth_age(self) -> timedelta | None:
        """How old the sign-in was when the token was issued."""
        return self.token.issued_at - self.auth_time if self.auth_time else None

    @property
    def family_age(self) -> timedelta | None:
        """How long the sign-in has lasted."""
        return self.now - self.family.started_at if self.family else None


def rows(caller: Caller, now: datetime) -> QuerySet[IssuedToken]:
    """Return the tokens that a caller sees and that live, or were issued not long ago, with their `life` in seconds.

    What a token names is read for a page, and not joined: a list that has no index of its order is sorted narrow.
    """
    life = ExpressionWrapper(F("expires_at") - F("issued_at"), output_field=DurationField())
    recent = visibility.tokens(caller).filter(issued_at__gte=now - rules.RECENT)
    narrow = recent.select_related(None).prefetch_related("agent", "person", "client", "system", "session")
    return narrow.annotate(life=Cast(Extract(life, "epoch"), FloatField()))


def named(tokens: QuerySet[IssuedToken], text: str) -> QuerySet[IssuedToken]:
    """Return the tokens whose agent, client or person a text names, or the one whose identifier it is."""
    if (jti := known_uuid(text)) is not None:
        return tokens.filter(jti=jti)
    in_name = Q(agent__slug__icontains=text) | Q(agent__name__icontains=text)
    return tokens.filter(in_name | Q(client__client_id__icontains=text) | Q(person__login__icontains=text))


def is_live(now: datetime) -> Q:
    """Return the condition that a token has neither expired nor been revoked."""
    return Q(revoked_at=None, expires_at__gt=now)


def described(tokens: Sequence[IssuedToken], now: datetime) -> list[TokenHealth]:
    """Return some tokens with what is beside them, in their order."""
    if not tokens:
        return []
    jtis = [token.jti for token in tokens]
    widths, calls = _widths(jtis, now), _last_calls(jtis)
    families = TokenFamily.objects.in_bulk({token.family for token in tokens if token.family})
    return [
        TokenHealth(
            token,
            widths.get(token.jti, Width()),
            calls.get(token.jti),
            families.get(token.family) if token.family else None,
            now,
        )
        for token in tokens
    ]


def _widths(jtis: Iterable[UUID], now: datetime) -> dict[UUID, Width]:
    values: Mapping[str, Any] = {
        "tokens": list(jtis),
        "now": now,
        "since": (now - usage.WINDOW).date(),
        "all": addresses.ALL,
        "gateway": usage.GATEWAY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_WIDTHS, values)
        return {jti: Width(opened, held, used) for jti, opened, held, used in cursor.fetchall()}


def _last_calls(jtis: Sequence[UUID]) -> dict[UUID, datetime]:
    with connection.cursor() as cursor:
        cursor.execute(_LAST_CALLS, [list(jtis)])
        return dict(cursor.fetchall())
