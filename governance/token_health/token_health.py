"""Token health: how long tokens live, how old credentials are, and what to fix first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Case, Count, F, IntegerField, Q, QuerySet, Value, When
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from audit import clock
from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.people.models import ApiToken
from entitlements.token_families import person_sign_ins
from entitlements.tokens.models import IssuedToken
from entitlements.unmanaged_agents.models import PathTerms
from governance.charts import plots
from governance.charts.plot import Plot
from governance.coverage_map import coverage_map
from governance.reviews.suggestions import suggestions

ISSUED_WITHIN: Final = timedelta(days=7)
LONGEST: Final = timedelta(seconds=300)
"""How long a token may live: the database issues none for longer (`access_tokens_live_at_most_300_seconds`)."""
_LIVES: Final = (
    (timedelta(seconds=30), "30 s"),
    (timedelta(minutes=1), "1 min"),
    (timedelta(minutes=2), "2 min"),
    (LONGEST, "5 min"),
    (timedelta(hours=1), "1 h"),
    (timedelta(days=1), "1 d"),
)
_SIGN_INS: Final = (
    (timedelta(hours=1), "1 h"),
    (timedelta(hours=4), "4 h"),
    (timedelta(hours=12), "12 h"),
    (timedelta(days=1), "1 d"),
    (timedelta(days=7), "7 d"),
    (timedelta(days=15), "15 d"),
)
_AGES: Final = (
    (timedelta(days=1), "1 d"),
    (timedelta(days=7), "7 d"),
    (timedelta(days=30), "30 d"),
    (timedelta(days=90), "90 d"),
    (timedelta(days=180), "180 d"),
    (suggestions.OLD_SECRET, "1 y"),
)
MOST: Final = 50
"""How many findings of one kind are named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to fix: what it is about, why, where and how it is mended, and of which kind it is.

    `agent`, `client` and `system` name what it is about by slug and identifier, where it is about one. `tokens` counts
    the recent tokens behind it.
    """

    about: str
    reason: str
    address: str
    fix: Any
    kind: str
    agent: str = ""
    client: str = ""
    system: str = ""
    tokens: int = 0


KINDS: Final = ("old_secret", "life_unknown", "outlives_a_stop", "unused")


def lifetimes(caller: Caller) -> Plot | None:
    """Draw how long the tokens of the last week were to live, in whole seconds, by kind; nothing without any."""
    since = clock.now() - ISSUED_WITHIN
    rows = visibility.tokens(caller).select_related(None).filter(issued_at__gte=since)
    rows = rows.annotate(life=F("expires_at") - F("issued_at"))
    kinds = [(_("Access tokens"), IssuedToken.Kind.ACCESS_TOKEN), (_("ID-JAGs"), IssuedToken.Kind.ID_JAG)]
    bins = _case("life__lt", [step + timedelta(seconds=1) for step, _word in _LIVES])
    counts: dict[tuple[str, int], int] = defaultdict(int)
    for kind, place, n in rows.annotate(bin=bins).order_by().values_list("kind", "bin").annotate(n=Count("pk")):
        counts[kind, place] = n
    series = [(word, [counts[kind, place] for place in range(len(_LIVES) + 1)]) for word, kind in kinds]
    return _drawn(series, _LIVES, LONGEST, _("Lives at most"))


def ages(caller: Caller) -> Plot | None:
    """Draw how old the credentials in force are, by kind; nothing without any.

    Personal tokens are those of all people for callers who see everything, else one's own.
    """
    now = clock.now()
    live = visibility.clients(caller).select_related(None).filter(status=Client.Status.ACTIVE)
    personal = ApiToken.objects.filter(revoked_at=None, expires_at__gt=now)
    personal = personal if caller.sees_everything else personal.filter(person=caller.human)
    steps = [now - step for step, _word in _AGES]
    by_making, by_creation = _case("credential_made_at__gte", steps), _case("created_at__gte", steps)
    n = len(_AGES)
    series = [
        (_("Shared secrets"), _counted(live.filter(auth=Client.Auth.CLIENT_SECRET_BASIC), by_making, n)),
        (_("Keys"), _counted(live.filter(auth=Client.Auth.PRIVATE_KEY_JWT), by_making, n)),
        (_("Personal tokens"), _counted(personal, by_creation, n)),
    ]
    return _drawn(series, _AGES, suggestions.OLD_SECRET, _("Not older than"))


def sign_ins(caller: Caller) -> Plot | None:
    """Draw how long ago the people signed in for whom agents act at this moment; nothing where there are none."""
    now = clock.now()
    steps = [now - step for step, _word in _SIGN_INS]
    bins, n = _case("auth_time__gte", steps), len(_SIGN_INS)
    sessions = person_sign_ins.open_sessions(visibility.sessions(caller).select_related(None), now)
    families = person_sign_ins.open_families(visibility.token_families(caller).select_related(None), now)
    series = [
        (_("Sessions"), _counted(sessions.filter(person__isnull=False), bins, n)),
        (_("Sign-ins that last"), _counted(families, bins, n)),
    ]
    return _drawn(series, _SIGN_INS, None, _("Signed in within"))


def _case(column: str, steps: Sequence[timedelta | datetime]) -> Case:
    """Return into which bin a row falls: the first step that it does not pass, or the one after the last."""
    whens = [When(**{column: step}, then=Value(number)) for number, step in enumerate(steps)]
    return Case(*whens, default=Value(len(steps)), output_field=IntegerField())


def _counted(rows: QuerySet[Any], bins: Case, many: int) -> list[int]:
    counts = dict(rows.annotate(bin=bins).order_by().values_list("bin").annotate(n=Count("pk")))
    return [counts.get(number, 0) for number in range(many + 1)]


def _drawn(
    series: Sequence[tuple[str, list[int]]], steps: Sequence[tuple[timedelta, str]], limit: timedelta | None, head: str
) -> Plot | None:
    if not any(sum(values) for _word, values in series):
        return None
    after = next((number for number, (step, _word) in enumerate(steps, start=1) if step == limit), None)
    return plots.columns([*(word for _step, word in steps), _("more")], series, head, limit=after)


def findings(caller: Caller) -> list[Finding]:
    """Return what to fix, the gravest first: old secrets, tokens that outlive a revocation, unused clients."""
    return [*_old_secrets(caller), *_paths(caller), *_unused(caller)]


def _old_secrets(caller: Caller) -> Iterator[Finding]:
    old = clock.now() - suggestions.OLD_SECRET
    rows = visibility.clients(caller).filter(
        status=Client.Status.ACTIVE,
        auth=Client.Auth.CLIENT_SECRET_BASIC,
        credential_made_at__lte=old,
        agent__isnull=False,
    )
    for client in rows.order_by("credential_made_at", "pk")[:MOST]:
        why = _("Its shared secret is older than a year.")
        yield Finding(client.client_id, why, _client(client), _("Rotate it"), KINDS[0], *_named(client))


def _unused(caller: Caller) -> Iterator[Finding]:
    rows = visibility.clients(caller).filter(status=Client.Status.ACTIVE, idle=Client.Idle.HIDDEN, agent__isnull=False)
    for client in rows.order_by("idle_since", "pk")[:MOST]:
        yield Finding(
            client.client_id,
            _("It is not used, and it still gets tokens."),
            reverse("stop", args=["client", client.client_id]),
            _("Revoke it"),
            KINDS[3],
            *_named(client),
        )


def _paths(caller: Caller) -> Iterator[Finding]:
    """Return the paths past the gateway whose tokens live longer than ours, and those of unknown lifetime."""
    past = coverage_map.rows(caller).exclude(Q(path=PathTerms.Path.GATEWAY)).exclude(system__kind=System.Kind.BUILTIN)
    apart = ("system__slug", "path")  # one row for each path, which rows() annotates
    listed = list(past.order_by(*apart, "pk").distinct(*apart)[:MOST])
    terms_by_path = coverage_map.terms(listed)
    for row in listed:
        lives = terms_by_path[row.system_id, row.path].token_seconds  # type: ignore[attr-defined]  # annotated by rows()
        about, address = f"{row.system.name}: {_PATHS[row.path]}", f"/coverage/{row.pk}/"  # type: ignore[attr-defined]
        if lives is None:
            yield Finding(
                about,
                _("Lifetime unknown: no one has declared how long its tokens live."),
                address,
                _("Declare the lifetime"),
                KINDS[1],
                system=row.system.slug,
            )
        elif timedelta(seconds=lives) > LONGEST:
            yield Finding(
                about,
                _("Its tokens outlive a revocation: they live for %(n)d minutes.") % {"n": lives // 60},
                address,
                _("Narrow it"),
                KINDS[2],
                system=row.system.slug,
            )


_PATHS: Final = {
    PathTerms.Path.NATIVE.value: gettext_lazy("native token"),
    PathTerms.Path.KNOWN.value: gettext_lazy("past the gateway"),
}


def _client(client: Client) -> str:
    return reverse("client-page", args=[client.agent.slug, client.client_id]) if client.agent else ""


def _named(client: Client) -> tuple[str, str]:
    return client.agent.slug if client.agent else "", client.client_id
