"""What each page and each address of the API answers to each person: asked once a run, and judged by many tests.

The company is hostile: what others may write is an attack on its readers. Everybody asks in the same
state, since what asking changed is undone. The answers to one person lie in one file, which all workers read.
"""

from __future__ import annotations

import fcntl
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.urls import resolve

from audit import clock
from entitlements.clients.models import Client
from entitlements.people.models import ApiToken, Person, Role
from governance.console import matrix
from governance.reviews.pack.models import EvidenceSealing
from governance.reviews.spot_checks import plan
from tests import make, parts
from tests.attacks import hostile, texts, things
from tests.entitlements.api import client as api
from tests.governance.console import addresses, visits

ROLES: Final = tuple(str(role) for role in Role)
RELATED: Final = ("sofia", "otto", "sam", "alice", "bob", "mallory")
"""Who is something to the one agent, system or request of the company; mallory is nothing to any."""
WITHOUT_ROLE: Final = "nobody"
QUERIES: Final = {
    "/api/v1/campaigns/{key}/comparison": "?with=audited",
    "/api/v1/decisions/who-can": "?tool=clock/now",
    "/api/v1/revocations/effect": "?type=system&id=clock",
}
"""What has to be asked for in the query, beyond the address."""
_SECRETS: Final = "stored secrets"


@dataclass(frozen=True)
class Visit:
    """The answer of a page or of an address of the API; the first by its name, the other by its path in the schema."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """A page with each run of white space as one space, as a browser shows it; a file as it is."""
        said = self.body.decode(errors="replace")
        return " ".join(said.split()) if self.headers.get("Content-Type", "").startswith("text/html") else said


@dataclass(frozen=True)
class Corpus:
    """The answers to each of these people."""

    folder: Path
    people: tuple[str, ...]

    def of(self, person: str) -> list[Visit]:
        """Return what was answered to one of them."""
        assert person in self.people
        found: list[Visit] = _read(self.folder / person)
        return found

    def secrets(self) -> set[str]:
        """Return what the database kept of secrets, as it kept them."""
        found: set[str] = _read(self.folder / _SECRETS)
        return found

    def ask(self, build: Callable[[], Any], walk: Callable[[Any, str], Iterator[Visit]]) -> Corpus:
        """Ask what has not been asked in this run; another worker that is asking now is waited for."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self.folder / self.people[-1]).exists():
                self._ask(build, walk)
        return self

    def _ask(self, build: Callable[[], Any], walk: Callable[[Any, str], Iterator[Visit]]) -> None:
        with _undone():
            world = build()
            _write(self.folder / _SECRETS, _stored_secrets())
            for person in self.people:
                with _undone():
                    _write(self.folder / person, list(walk(world, person)))


@contextmanager
def _undone() -> Iterator[None]:
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined] # what is durable may be made within
    with around:
        yield
        transaction.set_rollback(True)


def pages(folder: Path) -> Corpus:
    """Look at each page of the console: as somebody of each role, and as those who are something to what it shows."""
    return Corpus(folder / "pages", (*ROLES, *RELATED)).ask(hostile.world, _looked)


def answers(folder: Path) -> Corpus:
    """Read each address of the API: as somebody of each role and of none, and as sam, who is to check an answer."""
    return Corpus(folder / "answers", (*ROLES, WITHOUT_ROLE, "sam")).ask(_readable, _answered)


def _looked(world: addresses.World, person: str) -> Iterator[Visit]:
    """Visit as a person: our own pages in one browser, and those of signing in, which change it, in one each."""
    visitor = _as(world, person)
    browser, own = visits.as_(visitor), addresses.own()
    browser.raise_request_exception = False
    for name, route in addresses.every().items():
        address = world.address(own.get(name, route))
        if not parts.has_turn(f"{person} {name}", parts.of_module(resolve(f"/{address.lstrip('/')}").func.__module__)):
            continue
        if (name, "GET") in matrix.PAGES:
            yield _visit(name, browser.get(address))
        elif (name, "GET") in matrix.SIGN_IN:
            yield _visit(name, visits.as_(visitor).get(address))


def _readable() -> tuple[addresses.World, dict[str, object]]:
    """Make one thing for each part of an address, a review that is being sealed, and answers that are checked."""
    made, now = hostile.world(), clock.now()
    real = things.real(made)
    told = {"asked_by": made.company.ana, "asked_at": now, "moved_at": now, "statement": "Carried out and kept."}
    EvidenceSealing.objects.create(campaign=made.campaign, **told)
    plan.switch_on(made.campaign.pk, by=made.company.ana)
    return made, real


def _answered(readable: tuple[addresses.World, dict[str, object]], person: str) -> Iterator[Visit]:
    world, real = readable
    asks = api.proven(_as(world, person))
    asks.raise_request_exception = False
    for path, item in texts.schema()["paths"].items():
        if "get" in item and path != "/api/v1/schema":  # the same for everybody, and long to make
            address = path.format(**things.keys(path, real))
            if parts.has_turn(f"{person} {path}", parts.of_module(resolve(address).func.__module__)):
                yield _visit(path, asks.get(address + QUERIES.get(path, "")))


def _as(world: addresses.World, person: str) -> Person:
    if person in RELATED:
        return world.company.named(person)
    roles = [person] if person in ROLES else []
    return make.person(f"only-{person}", roles=roles, password="correct horse battery staple")


def _visit(name: str, answer: Any) -> Visit:  # noqa: ANN401 - Django's test response
    return Visit(name, answer.status_code, dict(answer.headers), answer.getvalue())


def _stored_secrets() -> set[str]:
    kept = {str(value) for value in Person.objects.values_list("password", flat=True)}
    for model in (ApiToken, Client):
        fields = [field.name for field in model._meta.concrete_fields if re.search("secret|hash|digest", field.name)]
        for row in model._default_manager.values_list(*fields):
            kept |= {bytes(value).hex() if isinstance(value, memoryview | bytes) else str(value) for value in row}
    return {value for value in kept if len(value) > 20}


def _read(file: Path) -> Any:  # noqa: ANN401 - what was written
    return pickle.loads(file.read_bytes())  # noqa: S301 - this run wrote it


def _write(file: Path, what: object) -> None:
    file.write_bytes(pickle.dumps(what))
