"""Warn those responsible before a credential ends for its age: 30 days, 7 days and 1 day ahead, once each.

One notice to a person names all that came due together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.credential_policy import policy, rules
from entitlements.credential_policy.rules import Kind, Policy
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.people.models import ApiToken, Person, Role
from entitlements.people_sources.models import PeopleSource
from entitlements.secrets.models import Secret
from governance.credential_policy.models import CredentialWarning
from governance.notices import queue
from governance.notices.models import Kind as NoticeKind

_MOST_NAMED: Final = 5
_OF_AUTH: Final = {
    Client.Auth.CLIENT_SECRET_BASIC.value: Kind.CLIENT_SECRET,
    Client.Auth.PRIVATE_KEY_JWT.value: Kind.CLIENT_KEY,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """A credential whose end is near: what people call it, who hears of it, and where they act."""

    kind: Kind
    key: str
    name: str
    people: tuple[Person | None, ...]
    url: str
    made: datetime

    @property
    def credential(self) -> str:
        """Name this credential, and no other of the same holder."""
        return f"{self.kind}:{self.key[:300]}:{self.made.isoformat()}"


def warn() -> int:
    """Warn of all that came due, and return how many notices were queued. Twice at once warns once."""
    now, in_force = clock.now(), policy.current()
    with transaction.atomic():
        locks.exclusive((Lock.REQUEST, "credential-warnings"))
        due = {
            (ending.credential, days): ending
            for ending in _near(in_force, now)
            if (days := _days(in_force, ending, now)) is not None
        }
        names = {credential for credential, _days_before in due}
        known = set(CredentialWarning.objects.filter(credential__in=names).values_list("credential", "days"))
        new = {key: ending for key, ending in due.items() if key not in known}
        CredentialWarning.objects.bulk_create(
            CredentialWarning(credential=credential, days=days, warned_at=now) for credential, days in new
        )
        return sum(_tell(person, endings, in_force, now) for person, endings in _by_person(new.values()).items())


def _days(in_force: Policy, ending: Ending, now: datetime) -> int | None:
    """Return how many days ahead a warning is due now; 0 for a system's secret past its end, which still works."""
    ends = in_force.ends_at(ending.kind, ending.made)
    before = rules.warning_due(ends, now)
    if before is not None:
        return before.days
    asked_late = ending.kind == Kind.UPSTREAM_SECRET and not in_force.stops_upstream_secrets
    return 0 if now >= ends and asked_late else None


def _near(in_force: Policy, now: datetime) -> Iterator[Ending]:
    """Return the credentials in use that were made so long ago that their end may be near."""

    def since(kind: Kind) -> datetime:
        return now + rules.WARNED_BEFORE[0] - timedelta(days=in_force.limits[kind].days)

    admins = tuple(Person.objects.holding(Role.ADMIN))
    return chain(
        _clients(Client.Auth.CLIENT_SECRET_BASIC, since(Kind.CLIENT_SECRET), admins),
        _clients(Client.Auth.PRIVATE_KEY_JWT, since(Kind.CLIENT_KEY), admins),
        _personal_tokens(in_force, since(Kind.PERSONAL_TOKEN)),
        _scim_tokens(since(Kind.SCIM_TOKEN), admins),
        _upstream_secrets(since(Kind.UPSTREAM_SECRET), admins),
    )


def _clients(auth: str, since: datetime, admins: tuple[Person, ...]) -> Iterator[Ending]:
    rows = Client.objects.filter(auth=auth, status=Client.Status.ACTIVE, credential_made_at__lte=since)
    rows = rows.exclude(agent__status=Agent.Status.RETIRED).exclude(client_id__startswith="https://")
    for client in rows.select_related("agent__sponsor", "agent__owner", "agent__backup").iterator(chunk_size=500):
        agent, url, people = client.agent, reverse("token-health"), admins
        if agent is not None:
            url = reverse("client-page", args=[agent.slug, client.client_id])
            people = tuple(person for person in (agent.sponsor, agent.owner, agent.backup) if person is not None)
        yield Ending(_OF_AUTH[auth], client.client_id, client.client_id, people, url, client.credential_made_at)


def _personal_tokens(in_force: Policy, since: datetime) -> Iterator[Ending]:
    rows = ApiToken.objects.filter(revoked_at=None, expires_at__gt=clock.now(), created_at__lte=since)
    for token in rows.filter(expires_at__gt=F("created_at")).select_related("person").iterator(chunk_size=500):
        if in_force.ends_at(Kind.PERSONAL_TOKEN, token.created_at) < token.expires_at:
            yield Ending(
                Kind.PERSONAL_TOKEN, str(token.pk), token.label, (token.person,), "/settings/", token.created_at
            )


def _scim_tokens(since: datetime, admins: tuple[Person, ...]) -> Iterator[Ending]:
    for source in PeopleSource.objects.filter(enabled=True, token_made_at__lte=since):
        url = reverse("source-page", args=[source.slug])
        yield Ending(Kind.SCIM_TOKEN, source.slug, source.name, admins, url, source.token_made_at)


def _upstream_secrets(since: datetime, admins: tuple[Person, ...]) -> Iterator[Ending]:
    rows = Secret.objects.filter(withheld_at=None, changed_at__lte=since).select_related("system__owner")
    for secret in rows.iterator(chunk_size=500):
        system = secret.system
        people = (system.owner,) if system.owner is not None else admins
        yield Ending(
            Kind.UPSTREAM_SECRET,
            system.slug,
            system.name,
            people,
            reverse("system-edit", args=[system.slug]),
            secret.changed_at,
        )


def _by_person(endings: Iterable[Ending]) -> dict[Person, list[Ending]]:
    found: dict[Person, list[Ending]] = defaultdict(list)
    for ending in endings:
        for person in dict.fromkeys(person for person in ending.people if person is not None):
            found[person].append(ending)
    return found


def _tell(person: Person, endings: list[Ending], in_force: Policy, now: datetime) -> int:
    ends = sorted(in_force.ends_at(ending.kind, ending.made) for ending in endings)
    only = endings[0] if len(endings) == 1 else None
    named = ", ".join(sorted(ending.name for ending in endings)[:_MOST_NAMED])
    words = {"count": len(endings), "names": named, "day": f"{ends[0]:%Y-%m-%d}"}
    if len(endings) > _MOST_NAMED:
        words["names"] = _("%(names)s and others") % words
    text = ngettext(
        "A credential ends for its age on %(day)s: %(names)s. Rotate it before.",
        "%(count)d credentials end for their age, the first on %(day)s: %(names)s. Rotate them before.",
        len(endings),
    )
    return queue.queue(
        NoticeKind.CREDENTIAL,
        [person],
        about=f"credential:{only.credential}" if only else f"person:{person.login}",
        sentence=text % words,
        url=only.url if only else reverse("token-health"),
        dedupe=f"credentials end: {now.isoformat()}",
        urgent=min(ends) - now <= rules.WARNED_BEFORE[-1],
    )
