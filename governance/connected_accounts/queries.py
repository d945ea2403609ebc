"""What pages show of connected accounts: a person's own at each system, and all those at one system."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from entitlements.catalog.models import System
from entitlements.connected_accounts import accounts, offers
from entitlements.connected_accounts.models import AccountConsent, ConnectedAccount
from entitlements.connected_accounts.offers import Offer
from entitlements.people.models import Person

MOST_SHOWN, MOST_ENDED = 50, 20


@dataclass(frozen=True, slots=True)
class SystemAccount:
    """A system that is called with accounts of people, and the person's account there: the open one, else the last."""

    system: System
    account: ConnectedAccount | None

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self.account is not None and self.account.ended_at is None

    @property
    def is_broken(self) -> bool:
        """Whether the system refused it last."""
        return self.account is not None and self.account.state == ConnectedAccount.State.BROKEN

    @property
    def consents(self) -> list[AccountConsent]:
        """Who may use it."""
        return accounts.used_by(self.account) if self.account is not None and self.is_open else []


@dataclass(frozen=True, slots=True)
class OfferedClient:
    """One client of an agent on the page where a person chooses; `is_chosen` where it may use the account already."""

    offer: Offer
    is_chosen: bool


def of_person(person: Person) -> list[SystemAccount]:
    """Return the systems at which a person has, had or can connect an account, by name."""
    newest: dict[int, ConnectedAccount] = {}
    rows = (
        ConnectedAccount.objects.filter(person=person)
        .select_related("system", "foreign_token")
        .order_by("connected_at")
    )
    for account in rows:
        newest[account.system_id] = account
    known = {system.pk: system for system in offers.systems_of(person)}
    known |= {pk: each.system for pk, each in newest.items() if each.ended_at is None}
    found = [SystemAccount(system, newest.get(pk)) for pk, system in known.items()]
    return sorted(found, key=lambda each: each.system.name)


def latest(system: System, person: Person) -> SystemAccount:
    """Return the account of a person at a system: the open one, else the last there was."""
    rows = ConnectedAccount.objects.filter(system=system, person=person).select_related("system", "person")
    return SystemAccount(system, rows.order_by("connected_at").last())


def offered(system: System, person: Person, chosen: Collection[tuple[int, int]]) -> list[OfferedClient]:
    """Return the clients that a person can choose among at a system."""
    return [OfferedClient(offer, offer.key in chosen) for offer in offers.for_person(person, system)]


def open_at(rows: QuerySet[ConnectedAccount], system: System, named: str) -> QuerySet[ConnectedAccount]:
    """Return the open accounts at a system of people whose name or login holds a text, by person."""
    found = rows.filter(system=system, ended_at=None).order_by("person__name", "person__login")
    return found.filter(Q(person__name__icontains=named) | Q(person__login__icontains=named)) if named else found


def ended_at(rows: QuerySet[ConnectedAccount], system: System) -> list[ConnectedAccount]:
    """Return the accounts at a system that ended last."""
    return list(rows.filter(system=system, ended_at__isnull=False).order_by("-ended_at")[:MOST_ENDED])
