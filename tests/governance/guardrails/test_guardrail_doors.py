"""Guardrails are proposed by one person and confirmed by another, over REST and in the console; so is their end."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from audit import clock
from audit.models import Event
from entitlements.guardrails.models import GuardrailVersion
from governance.guardrails.models import GuardrailProposal
from governance.what_if import what_if
from tests import shared
from tests.entitlements.api import client
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PATH = "/api/v1/guardrails"
HERE = "/guardrails/"
NIGHT = {"name": "No deletes at night", "effect": "forbid", "mode": "enforce", "when": {"action": "delete"}}
WHY = {"reason": "It is safer."}

made_world, company = shared.world(companies.found)


def propose(by: APIClient, **changes: object) -> Any:  # noqa: ANN401 - a response
    return by.post(PATH, {**NIGHT, **changes}, format="json")


def _replay_all() -> None:
    for key in what_if.unfinished():
        while what_if.advance(key):
            pass


def test_a_guardrail_is_proposed_replayed_and_confirmed_by_another_over_rest(company: Company) -> None:
    resa, rob, ana = (client.proven(each) for each in (company.resa, company.rob, company.ana))
    assert propose(ana).status_code == 403
    made = propose(resa)
    assert (made.status_code, made.json()["state"], made.json()["when"]) == (201, "proposed", {"action": "delete"})
    one = f"{PATH}/{made.json()['id']}"
    assert propose(rob, mode="observe").json()["code"] == "guardrail_proposed_already"
    assert resa.post(f"{one}/confirm", {}, format="json").json()["code"] == "guardrail_proposed_by_own_account"
    assert (
        client.of(company.rob).post(f"{one}/confirm", {}, format="json").json()["code"] == "reauthentication_required"
    )
    assert rob.post(f"{one}/confirm", {}, format="json").json()["code"] == "guardrail_not_replayed"
    assert not GuardrailVersion.objects.exists()

    assert rob.post(f"{one}/replay", {"days": 7}, format="json").json()["replay"]["state"] == "running"
    _replay_all()
    confirmed = rob.post(f"{one}/confirm", {}, format="json").json()

    assert (confirmed["state"], confirmed["version"], confirmed["confirmed_by"]) == ("in_force", 1, "rob")
    assert confirmed["replay"] | {"state": "finished", "unknown": 0} == confirmed["replay"]
    version = GuardrailVersion.objects.get()
    assert (version.key, version.proposed_by, version.confirmed_by) == (
        "no-deletes-at-night", "person:resa", "person:rob",
    )  # fmt: skip
    recorded = Event.objects.filter(links__contains=["guardrail:no-deletes-at-night"], action__startswith="guardrail.")
    assert [event.action for event in recorded.order_by("at")] == [
        "guardrail.proposed", "guardrail.replayed", "guardrail.published",
    ]  # fmt: skip
    assert ana.get(PATH).json()["results"][0]["name"] == "No deletes at night"


def test_labels_are_refused_since_nothing_gives_a_session_any(company: Company) -> None:
    answer = propose(client.proven(company.resa), when={"labels": ["pii"]})
    assert (answer.status_code, answer.json()["code"]) == (422, "guardrail_malformed")
    assert "no labels yet" in str(answer.json())
    assert not GuardrailProposal.objects.exists()


def test_a_step_up_names_contexts_and_no_other_effect_does(company: Company) -> None:
    resa, rob = client.proven(company.resa), client.proven(company.rob)
    given = {"effect": "step_up", "acr": ["phr"], "max_age": "PT10M"}
    assert propose(resa, acr=["phr"]).json()["code"] == "guardrail_malformed"
    assert propose(resa, **{**given, "acr": ["two words"]}).json()["code"] == "guardrail_malformed"
    made = propose(resa, **given).json()
    assert made["acr"] == ["phr"]
    rob.post(f"{PATH}/{made['id']}/confirm", WHY, format="json")
    assert GuardrailVersion.objects.get().acr == ["phr"]
    page = visits.text(visits.as_(company.resa).get(f"{HERE}{made['id']}/"))
    assert "contexts (acr)" in page
    assert 'value="phr"' in visits.text(visits.as_(company.resa).get(f"{HERE}propose/?of=no-deletes-at-night"))


def test_to_observe_again_and_to_end_are_proposals_too(company: Company) -> None:
    resa, rob = (client.proven(each) for each in (company.resa, company.rob))
    first = propose(resa).json()["id"]
    rob.post(f"{PATH}/{first}/confirm", WHY, format="json")
    assert propose(resa).json()["code"] == "guardrail_unchanged"
    looser = propose(rob, mode="observe").json()["id"]
    assert GuardrailVersion.objects.latest("position").mode == "enforce"
    assert (
        rob.post(f"{PATH}/{looser}/confirm", WHY, format="json").json()["code"] == "guardrail_proposed_by_own_account"
    )
    resa.post(f"{PATH}/{looser}/confirm", {}, format="json")
    assert GuardrailVersion.objects.latest("position").mode == "observe"

    ended = resa.post(f"{PATH}/{looser}/end", WHY, format="json").json()
    assert (ended["mode"], ended["state"], ended["when"]) == ("off", "proposed", {"action": "delete"})
    assert resa.post(f"{PATH}/{ended['id']}/confirm", WHY, format="json").status_code == 403
    assert rob.post(f"{PATH}/{ended['id']}/confirm", {}, format="json").json()["version"] == 3
    states = dict(GuardrailProposal.objects.values_list("mode", "state"))
    assert states == {"enforce": "replaced", "observe": "replaced", "off": "in_force"}
    assert rob.post(f"{PATH}/{ended['id']}/end", WHY, format="json").json()["code"] == "guardrail_over"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"when": {}}, "guardrail_malformed"),
        ({"when": {"prompt": "x"}}, "guardrail_malformed"),
        ({"when": {"system": "no-such-system"}}, "guardrail_malformed"),
        ({"when": {"tool": "no-such-tool"}}, "guardrail_malformed"),
        ({"when": {"argument": {"a": {"b": 1}}}}, "guardrail_malformed"),
        ({"name": "everything"}, "guardrail_malformed"),
        ({"name": "!!"}, "guardrail_malformed"),
        ({"max_age": "PT5M"}, "guardrail_malformed"),
        ({"when": []}, "malformed"),
        ({"effect": "allow"}, "malformed"),
        ({"mode": "off"}, "malformed"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    company: Company, changes: dict[str, object], code: str
) -> None:
    answer = propose(client.proven(company.resa), **changes)

    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in (code, "invalid", "validation_failed")


def test_a_guardrail_is_proposed_and_confirmed_in_the_console(company: Company) -> None:
    resa, rob, ana = (visits.as_(each) for each in (company.resa, company.rob, company.ana))
    assert "Grants and their limits alone decide." in visits.text(ana.get(HERE))
    assert ana.get(f"{HERE}propose/").status_code == 403
    assert visits.as_(company.mallory).get(HERE).status_code == 403
    form = {"name": "Night", "effect": "hold", "mode": "enforce", "reason": "Quiet hours."}
    assert "Say which calls it is about." in visits.text(resa.post(f"{HERE}propose/", form))
    night = {"days": ["sat", "sun"], "begin": "22:00", "end": "06:00", "zone": "Europe/Paris", "action": ["delete"]}
    shown = visits.text(resa.post(f"{HERE}propose/", {**form, **night}, follow=True))
    assert "sat, sun, 22:00-06:00, Europe/Paris" in shown
    assert "denied as approval_required, with a request link" in shown
    one = f"{HERE}{GuardrailProposal.objects.get().pk}/"

    assert "Confirm" not in {button.strip() for button in shown.split("\n")}
    shown = visits.text(rob.get(one))
    assert "replay it first, or say why not" in shown
    rob.post(f"{one}decide/", {"verb": "replay", "days": "3"})
    _replay_all()
    rob.post(f"{one}decide/", {"verb": "confirm"})

    assert GuardrailProposal.objects.get().state == "in_force"
    assert GuardrailVersion.objects.get().conditions["time"]["from"] == "22:00"
    assert "Night" in visits.text(ana.get(HERE))
    assert "Propose its end" in visits.text(resa.get(one))


def test_the_database_knows_that_another_person_confirms(company: Company) -> None:
    row = GuardrailProposal(
        key="x", name="x", effect="forbid", mode="observe", conditions={"risk": "low"}, reason="x", state="in_force",
        version=1, proposed_by=company.resa, proposed_at=clock.now(),
        confirmed_by=company.resa, confirmed_at=clock.now(),
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="a_second_person_confirms_a_guardrail"), transaction.atomic():
        row.save()
