"""Actions on connected accounts: change who may use one, end one, and mark what the system no longer accepts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import BinaryField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Substr

from audit import clock, log
from audit.actions import Action
from audit.context import SYSTEM, Principal
from entitlements.catalog.models import System
from entitlements.connected_accounts import errors, offers, rules, tokens
from entitlements.connected_accounts.models import AccountConsent, ConnectedAccount
from entitlements.errors import NotFound, ReasonRequired
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.grants.models import Grant
from entitlements.people.models import Membership, Person
from entitlements.secrets import seal
from entitlements.secrets.models import Secret

AT_ONCE: Final = 100
REFUSED: Final = "The system's authorization server no longer accepts it."
PERSON_OVER: Final = "The person is disabled."
NO_GRANT: Final = "No agent has access to the system for the person any longer."
OTHER_CREDENTIAL: Final = "The system has another credential."
_State, _Revocation = ConnectedAccount.State, ConnectedAccount.Revocation


@transaction.atomic
def choose_clients(account_id: UUID, chosen: Collection[tuple[int, int]], *, by: Person) -> ConnectedAccount:
    """Let these clients of agents use an account, and no others. For the person whose account it is.

    Raises NotFound, AccountEnded, NoAgentChosen, AgentNotOffered.
    """
    account = _held(account_id)
    if account.person_id != by.pk:
        raise NotFound
    if not chosen:
        raise errors.NoAgentChosen
    before = {(each.client_id, each.agent_id): each for each in account.consents.all()}
    added = set(chosen) - before.keys()
    offered = offers.by_key(offers.for_person(by, account.system))
    if rules.missing(added, offered):
        raise errors.AgentNotOffered
    now = clock.now()
    AccountConsent.objects.bulk_create(
        AccountConsent(account=account, client_id=client, agent_id=agent, given_at=now) for client, agent in added
    )
    gone = [each.pk for key, each in before.items() if key not in set(chosen)]
    AccountConsent.objects.filter(pk__in=gone).delete()
    named = account.consents.order_by("client__client_id").values_list("client__client_id", flat=True)
    detail = {"clients": list(named)}
    log.record(Action.CONNECTED_ACCOUNT_CLIENTS_CHANGED, about=about(account), by=by.principal, detail=detail)
    changes.note(subjects.person(by.pk))
    return account


@transaction.atomic
def end(account_id: UUID, *, by: Principal, reason: str) -> ConnectedAccount:
    """End an account on every node at once; its tokens are revoked at the system by a job.

    Raises NotFound, ReasonRequired, AccountEnded.
    """
    if not reason.strip():
        raise ReasonRequired
    account = _held(account_id)
    _end(account, by=by, reason=reason)
    return account


def end_open(system: System, person: Person, *, by: Principal, reason: str) -> None:
    """End the open account of a person at a system, if there is one; the transaction holds the person's lock alone."""
    rows = ConnectedAccount.objects.select_related("system", "person")
    if (account := rows.filter(system=system, person=person, ended_at=None).first()) is not None:
        _end(account, by=by, reason=reason)


def end_refused() -> int:
    """Mark the accounts broken that an authorization server refused to refresh. Returns how many. For a job."""
    return _each(ConnectedAccount.objects.filter(ended_at=None, refused_at__isnull=False), _end_if_refused)


def end_without_right() -> int:
    """End accounts whose person, last grant or credential is gone. Returns how many. For a job.

    Until then nothing uses them: the gateway denies such a call by the same facts.
    """
    return sum(_each(rows, _end_if_over) for rows in over().values())


def _each(rows: QuerySet[ConnectedAccount], act: Callable[[UUID], bool]) -> int:
    keys = list(rows.order_by("connected_at").values_list("pk", flat=True)[:AT_ONCE])
    return sum(act(key) for key in keys)


@transaction.atomic
def _end_if_refused(account_id: UUID) -> bool:
    account = _seen(account_id)
    locks.exclusive((Lock.PERSON, account.person_id))
    account.refresh_from_db()
    if account.ended_at is not None or account.refused_at is None:
        return False
    _end(account, by=SYSTEM, reason=REFUSED, state=_State.BROKEN, action=Action.CONNECTED_ACCOUNT_BROKEN)
    return True


@transaction.atomic
def _end_if_over(account_id: UUID) -> bool:
    account = _seen(account_id)
    locks.exclusive((Lock.PERSON, account.person_id))
    account.refresh_from_db()
    reason = next((reason for reason, rows in over().items() if rows.filter(pk=account_id).exists()), None)
    if reason is None:
        return False
    _end(account, by=SYSTEM, reason=reason)
    return True


def over() -> dict[str, QuerySet[ConnectedAccount]]:
    """Return the open accounts that nothing stands behind any longer, by the reason."""
    rows = ConnectedAccount.objects.filter(ended_at=None)
    groups = Membership.objects.filter(person=OuterRef(OuterRef("person"))).values("group")
    named = Q(subjects__person=OuterRef("person")) | Q(subjects__group__in=groups)
    grants = Grant.objects.filter(
        named, ended_at=None, expires_at__gt=clock.now(), entitlement__system=OuterRef("system")
    )
    known = Secret.objects.annotate(
        its_issuer=KeyTextTransform("issuer", "settings"), its_client_id=KeyTextTransform("client_id", "settings")
    ).filter(
        system=OuterRef("system"),
        kind=Secret.Kind.OAUTH_USER,
        its_issuer=OuterRef("issuer"),
        its_client_id=OuterRef("upstream_client"),
    )
    return {
        PERSON_OVER: rows.filter(person__is_active=False),
        NO_GRANT: rows.filter(~Exists(grants)),
        OTHER_CREDENTIAL: rows.filter(~Exists(known)),
    }


def _end(
    account: ConnectedAccount,
    *,
    by: Principal,
    reason: str,
    state: str = _State.ENDED,
    action: Action = Action.CONNECTED_ACCOUNT_ENDED,
) -> None:
    now = clock.now()
    account.state, account.ended_at, account.end_reason = state, now, reason
    account.revocation, account.revocation_due_at = _Revocation.PENDING, now
    account.save(update_fields=["state", "ended_at", "end_reason", "revocation", "revocation_due_at"])
    log.record(action, about=about(account), by=by, reason=reason)
    changes.note(subjects.person(account.person_id))


def about(account: ConnectedAccount) -> list[str]:
    """Return how the events of an account are found again."""
    return [f"connected_account:{account.pk}", f"person:{account.person.login}", f"system:{account.system.slug}"]


def _seen(account_id: UUID) -> ConnectedAccount:
    account = ConnectedAccount.objects.select_related("system", "person").filter(pk=account_id).first()
    if account is None:
        raise NotFound
    return account


def _held(account_id: UUID) -> ConnectedAccount:
    """Hold the person of an account alone, and return it. Raises NotFound, AccountEnded."""
    locks.exclusive((Lock.PERSON, _seen(account_id).person_id))
    account = _seen(account_id)
    if account.ended_at is not None:
        raise errors.AccountEnded
    return account


def used_by(account: ConnectedAccount) -> list[AccountConsent]:
    """Return the consents of an account, by agent."""
    return list(account.consents.select_related("client", "agent").order_by("agent__name", F("client__client_id")))


@transaction.atomic
def reseal(most: int) -> int:
    """Seal up to `most` accounts again that lie under another key-encryption key; says how many. Raises SealBroken.

    The tokens themselves stay, so no node need hear of it.
    """
    begins = Substr("sealed", 1, seal.BEGINNING, output_field=BinaryField())
    rows = ConnectedAccount.objects.annotate(begins=begins).filter(sealed__isnull=False)
    found = rows.exclude(begins=seal.beginning()).order_by("pk").select_for_update(of=("self",))[:most]
    for row in found:
        row.sealed = seal.reseal(bytes(row.sealed or b""), tokens.place(row.pk))
        row.save(update_fields=["sealed"])
    return len(found)
