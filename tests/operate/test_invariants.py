"""Each invariant holds in a world made by the verbs, and names what breaks it when somebody goes round them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import transaction

from audit import clock, context, log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.clients import clients
from entitlements.decisions import guardrails
from entitlements.feed.models import GatewayNode
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.people import people
from entitlements.people.models import ApiToken
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.secrets import vault
from entitlements.tokens.models import IssuedToken, TokenGrant
from governance.approvals import approvals
from governance.operations import invariants
from governance.requests import requests
from governance.requests.models import AccessRequest
from governance.reviews.items.models import ReviewItem
from tests import databases, make
from tests.audit import make as record
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.reviews import worlds as reviews

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def company() -> Company:
    """A company in which one request was approved, one cancelled, one denied, and its grant was used and revoked."""
    found: Company = inspect.unwrap(companies.found)()  # made now: one that is put back has events that wait for long
    ended = approve(found, found.ask("now"))
    token(found, ended)
    call(found, ended)
    revocation.revoke(Target("grant", str(ended.pk)), by=SYSTEM, reason="done")
    approve(found, found.ask("now"))
    denied = found.ask("convert")
    approvals.deny(denied.pk, by=found.sofia, reason="no")
    requests.cancel(found.ask("convert").pk, by=found.otto, reason="not needed")
    vault.set_secret(found.system, kind="bearer", value="upstream-secret", by=SYSTEM)
    signing.ensure("idp")
    people.make_api_token(found.ana, "laptop", by=SYSTEM)
    return found


@pytest.fixture
def archive(tmp_path: Path) -> record.Archive:
    """A folder outside the database, with a signing key."""
    return record.Archive(tmp_path, Ed25519PrivateKey.generate())


def approve(company: Company, request: AccessRequest) -> Grant:
    while request.state == AccessRequest.State.IN_APPROVAL:
        waiting = next(iter(companies.waiting(request).values()))
        request = approvals.approve(request.pk, by=company.named(waiting[0]))
    return Grant.objects.get(request_id=request.pk)


def token(company: Company, grant: Grant, **fields: object) -> IssuedToken:
    """Write a token and its event as issuing does."""
    client = company.bot.clients.first() or make.client(company.bot)[0]
    now = clock.now()
    values = {"issued_at": now, "expires_at": min(now + timedelta(seconds=300), grant.expires_at), **fields}
    row = IssuedToken.objects.create(
        kind="access_token", system=company.system, client=client, agent=company.bot, person=company.alice, **values
    )
    TokenGrant.objects.create(token=row, grant=grant)
    with transaction.atomic():
        log.record(Action.TOKEN_ISSUED, by=company.bot.principal, about=[f"token:{row.pk}"], detail={"parent": None})
    return row


def call(company: Company, grant: Grant, **detail: object) -> Event:
    """Write the event of a call that went out."""
    tool = company.system.tools.get(name="now")
    said = {"tool": "now", "version": str(tool.approved_id), **detail}
    with transaction.atomic(), context.acting(trace=uuid4().hex):
        return log.record(Action.CALL_ALLOWED, by=company.bot.principal, about=[f"grant:{grant.pk}"], detail=said)


def broken() -> dict[str, str]:
    """Return what each broken invariant names."""
    return {each.invariant.id: "\n".join(each.violations) for each in invariants.check() if each.count}


def owner(statement: str, *, without_triggers_of: str = "") -> None:
    with psycopg.connect(databases.addresses().owner) as connection:
        if without_triggers_of:
            connection.execute(f"ALTER TABLE {without_triggers_of} DISABLE TRIGGER USER")
        connection.execute(statement)
        if without_triggers_of:
            connection.execute(f"ALTER TABLE {without_triggers_of} ENABLE TRIGGER USER")


@pytest.mark.usefixtures("company")
def test_everything_holds_where_the_verbs_did_it(archive: record.Archive) -> None:
    assert broken() == {}
    archive.seal()
    assert broken() == {}


def test_a_reason_that_holds_a_nul_is_no_obstacle(company: Company) -> None:
    grant = Grant.objects.get(state="active")
    call(company, grant, note="\x00")
    assert broken() == {}


def grant_of(company: Company) -> Grant:
    return Grant.objects.get(agent=company.bot, state="active")


def outlives(company: Company) -> None:
    grant = grant_of(company)
    token(company, grant, expires_at=grant.expires_at + timedelta(seconds=1))


def issued_to_the_disabled(company: Company) -> None:
    grant = grant_of(company)
    people.disable(company.alice, by=SYSTEM, reason="left")
    token(company, grant, issued_at=clock.now() + timedelta(seconds=2))


def issued_to_the_stopped(company: Company) -> None:
    grant = grant_of(company)
    agents.suspend(company.bot, by=SYSTEM, reason="odd")
    token(company, grant, issued_at=clock.now() + timedelta(seconds=2))


def issued_to_a_disabled_client(company: Company) -> None:
    grant = grant_of(company)
    client = company.bot.clients.get()
    clients.disable(client, by=SYSTEM, reason="leaked")
    token(company, grant, issued_at=clock.now() + timedelta(seconds=2))


def issued_on_an_ended_grant(company: Company) -> None:
    token(company, Grant.objects.get(state="revoked"), issued_at=clock.now() + timedelta(seconds=2))


def stands_on_nothing(company: Company) -> None:
    TokenGrant.objects.filter(token=token(company, grant_of(company))).delete()


def stands_on_the_grant_of_another(company: Company) -> None:
    TokenGrant.objects.create(token=token(company, grant_of(company)), grant=make.grant())


def called_after_the_end(company: Company) -> None:
    ended = Grant.objects.get(state="revoked")
    owner(
        "UPDATE entitlements_grant SET ended_at = ended_at - interval '1 minute' WHERE state = 'revoked'",
        without_triggers_of="entitlements_grant",
    )
    call(company, ended)


def called_while_stopped(company: Company) -> None:
    guardrails.stop_everything(by=SYSTEM, reason="fire")
    owner("UPDATE entitlements_guardrail SET changed_at = changed_at - interval '1 minute'")
    call(company, grant_of(company))


def ended_without_a_word(company: Company) -> None:
    del company
    owner("UPDATE entitlements_grant SET state = 'revoked', ended_at = now(), end_reason = 'x' WHERE state = 'active'")


def token_without_a_word(company: Company) -> None:
    row = token(company, grant_of(company))
    record.tamper(f"UPDATE events SET links = '{{}}' WHERE links @> ARRAY['token:{row.pk}']")  # noqa: S608 - our own


def call_that_ended_twice(company: Company) -> None:
    said = {"evaluation": str(call(company, grant_of(company)).uuid)}
    for _ in range(2):
        with transaction.atomic():
            log.record(Action.CALL_FINISHED, by=company.bot.principal, detail=said)


def an_event_removed_from_the_queue(company: Company) -> None:
    del company
    owner("DELETE FROM pending WHERE id = (SELECT max(id) FROM pending)")


def a_queue_entry_without_its_event(company: Company) -> None:
    del company
    record.tamper("DELETE FROM events WHERE uuid = (SELECT uuid FROM pending ORDER BY id DESC LIMIT 1)")


def a_word_after_the_end(company: Company) -> None:
    ended = Grant.objects.get(state="revoked")
    with transaction.atomic():
        log.record(Action.GRANT_RESTORED, by=company.ana.principal, about=[f"grant:{ended.pk}"])


def a_grant_of_a_denied_request(company: Company) -> None:
    del company
    denied = "(SELECT id FROM governance_accessrequest WHERE state = 'denied')"
    owner(f"UPDATE entitlements_grant SET request_id = {denied} WHERE state = 'active'")  # noqa: S608 - a constant


def approved_while_somebody_said_no(company: Company) -> None:
    company.ask("convert")
    owner(
        "UPDATE governance_accessrequest SET state = 'approved', decided_at = now(), grant_id = gen_random_uuid()"
        " WHERE state = 'in_approval'",
        without_triggers_of="governance_accessrequest",
    )


def answered_their_own(company: Company) -> None:
    owner(f"UPDATE governance_accessrequest SET requested_by_id = {company.sofia.pk}")  # noqa: S608 - a number


def answered_for_themselves(company: Company) -> None:
    for request in AccessRequest.objects.all():
        request.people.add(company.sofia)


def answered_as_the_owner(company: Company) -> None:
    owner(f"UPDATE entitlements_agent SET owner_id = {company.sofia.pk} WHERE id = {company.bot.pk}")  # noqa: S608 - as above


def called_what_nobody_approved(company: Company) -> None:
    call(company, grant_of(company), version="999999")


def an_old_grant(company: Company) -> None:
    del company
    owner(
        "UPDATE entitlements_grant SET starts_at = starts_at - interval '2 days',"
        " expires_at = now() - interval '2 minutes' WHERE state = 'active'"
    )


def around(table: str, statement: str) -> None:
    """Do what the triggers of a table refuse."""
    owner(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    owner(statement)
    owner(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def reviewed(company: Company) -> None:
    """A campaign in which everything was answered: one item is removed."""
    begun = reviews.campaign(company)
    reviews.answer(begun, company.sofia, [(each, reviews.REMOVE) for each in ReviewItem.objects.all()])


def an_answer_that_does_not_count(company: Company) -> None:
    reviewed(company)
    statement = "UPDATE governance_reviewitem SET state = 'in_review', current_decision_id = NULL"
    around("governance_reviewitem", statement)


def a_population_that_grew(company: Company) -> None:
    reviewed(company)
    around("governance_campaign", "UPDATE governance_campaign SET population_rows = population_rows + 1")


def closed_with_an_open_item(company: Company) -> None:
    reviews.campaign(company)
    around("governance_campaign", "UPDATE governance_campaign SET state = 'closed', closed_at = now()")


def closed_before_the_proof(company: Company) -> None:
    reviewed(company)
    around("governance_campaign", "UPDATE governance_campaign SET state = 'closed', closed_at = now()")


def a_plain_secret(company: Company) -> None:
    del company
    owner("UPDATE entitlements_secret SET sealed = 'upstream-secret-in-plain-text-long-enough'")


def a_plain_key(company: Company) -> None:
    del company
    owner('UPDATE entitlements_signingkey SET sealed_private = \'{"kty": "EC"}\'')


def a_plain_token(company: Company) -> None:
    del company
    assert ApiToken.objects.update(digest="mdt_plain") == 1


def a_private_key_of_a_client(company: Company) -> None:
    company.bot.clients.update(status="disabled", jwks={"keys": [{"kty": "EC", "d": "secret"}]})


def a_record_that_nobody_seals(company: Company) -> None:
    del company
    owner("ALTER TABLE pending DISABLE TRIGGER append_only")
    record.tamper("UPDATE events SET at = at - interval '31 seconds'")
    owner("UPDATE pending SET at = at - interval '31 seconds'")
    owner("ALTER TABLE pending ENABLE ALWAYS TRIGGER append_only")


def a_node_beyond_the_feed(company: Company) -> None:
    del company
    GatewayNode.objects.create(id="n1", started_at=clock.now(), polled_at=clock.now(), position=10**9)


def a_node_that_went_back(company: Company) -> None:
    del company
    GatewayNode.objects.create(id="n1", started_at=clock.now(), polled_at=clock.now(), position=0)
    Revocation.objects.update(acknowledged=[{"node": "n1", "after_ms": 1.0}])


@pytest.mark.parametrize(
    ("number", "spoil", "named"),
    [
        ("1", outlives, "outlives grant"),
        ("1", issued_to_the_disabled, "disabled: alice"),
        ("1", issued_to_the_stopped, "stopped: research-bot"),
        ("1", issued_to_a_disabled_client, "after client.disabled of client:"),
        ("2", issued_on_an_ended_grant, "which had ended"),
        ("2", stands_on_nothing, "stands on no grant"),
        ("2", stands_on_the_grant_of_another, "grant of another agent"),
        ("3", called_after_the_end, "went out after the end"),
        ("3", called_while_stopped, "while everything was stopped"),
        ("4", ended_without_a_word, "has 0 of grant.revoked or grant.expired"),
        ("4", token_without_a_word, "has 0 of token.issued"),
        ("4", call_that_ended_twice, "has ended 2 times"),
        ("5", an_event_removed_from_the_queue, "neither sealed nor pending"),
        ("5", a_queue_entry_without_its_event, "has no event"),
        ("6", a_word_after_the_end, "grant.restored after grant.revoked"),
        ("6", a_grant_of_a_denied_request, "is denied and a grant names it"),
        ("6", approved_while_somebody_said_no, "is approved while stage"),
        ("7", an_answer_that_does_not_count, "is in_review and has 1 effective decisions"),
        ("7", a_population_that_grew, "campaign q4 says 2 rows and has 1"),
        ("7", closed_with_an_open_item, "is closed and item .* is in_review"),
        ("7", closed_before_the_proof, "removal of item .* is not proven"),
        ("8", answered_their_own, "sofia answered request .* and asked for it"),
        ("8", answered_for_themselves, "sofia answered request .* and benefits"),
        ("8", answered_as_the_owner, "sofia answered request .* and owns the agent"),
        ("9", called_what_nobody_approved, "ran definition 999999 of now"),
        ("10", an_old_grant, "is over since"),
        ("11", a_plain_secret, "secret of system"),
        ("11", a_plain_key, "private key"),
        ("11", a_plain_token, "personal token"),
        ("11", a_private_key_of_a_client, "client client-"),
        ("12", a_record_that_nobody_seals, "wait to be sealed"),
        ("13", a_node_beyond_the_feed, "beyond the feed's end"),
        ("13", a_node_that_went_back, "had acknowledged"),
    ],
)
def test_what_breaks_an_invariant_is_named(
    company: Company, number: str, spoil: Callable[[Company], None], named: str
) -> None:
    spoil(company)

    assert re.search(named, broken().get(number, ""))


def test_a_token_of_a_sign_in_stands_on_no_grant_where_it_carries_no_scope_alone(company: Company) -> None:
    stands_on_nothing(company)
    change = IssuedToken.objects.update
    assert [change(family=uuid4(), scope=scope) and "2" in broken() for scope in ("", "clock:use")] == [False, True]


def test_the_command_prints_each_sentence_and_fails_when_one_is_broken(company: Company) -> None:
    said = StringIO()
    call_command("invariants", stdout=said)
    assert said.getvalue().count(" ok ") == len(invariants.ALL)

    a_plain_token(company)
    with pytest.raises(CommandError, match="1 invariants do not hold") as failed:
        call_command("invariants", stdout=said)
    assert failed.value.returncode == 1
    assert "BROKEN 1x" in said.getvalue()


def test_looking_at_the_last_hour_leaves_out_what_is_older(company: Company) -> None:
    outlives(company)
    owner("UPDATE entitlements_issuedtoken SET issued_at = issued_at - interval '2 hours'")

    assert [each.count for each in invariants.check() if each.invariant.id == "1"] == [1]
    hour = clock.now() - timedelta(hours=1)
    assert [each.count for each in invariants.check(hour) if each.invariant.id == "1"] == [0]
