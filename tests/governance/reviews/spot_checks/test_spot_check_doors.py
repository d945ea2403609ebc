"""Spot checks at the doors: nobody reads the answer she checks, the evidence draws again, page and REST do the same."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import clock
from governance.reviews.campaigns import sweeps
from governance.reviews.pack_check import verify
from governance.reviews.spot_checks import spot_checks
from governance.reviews.spot_checks.models import SpotCheck, SpotCheckPlan
from tests.audit.make import Archive
from tests.entitlements.api import client as api
from tests.governance.console import visits
from tests.governance.reviews import worlds
from tests.governance.reviews.spotted import Checked, end, under_way

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


@pytest.fixture
def checked() -> Checked:
    """All ten answers are checked; two of them removed something."""
    return end(under_way(share=100), removed=2)


def test_who_checks_reads_the_answer_nowhere_before_she_gave_hers(checked: Checked) -> None:
    sam, (check, *_) = checked.company.sam, checked.checks
    item = check.item
    (held,) = item.population.all()

    def told() -> str:
        pages = [f"/grants/{held.grant_id}/", f"/audit/?about=grant:{held.grant_id}", "/", "/inbox/"]
        doors = [f"/api/v1/audit-events?about=grant:{held.grant_id}", "/api/v1/review-items"]
        said = [visits.text(visits.as_(sam).get(path, secure=True)) for path in pages]
        said = [re.sub(r"<select.*?</select>", "", page) for page in said]  # a filter names each kind of event
        return "".join(said + [api.of(sam).get(path, secure=True).content.decode() for path in doors])

    assert ("review decided" in told(), "review.decided" in told()) == (False, False)
    for path in (f"/reviews/q4/items/{item.pk}/", "/reviews/q4/", "/reviews/q4/evidence/"):
        assert visits.as_(sam).get(path, secure=True).status_code in (403, 404), path
    assert api.of(sam).get(f"/api/v1/review-items/{item.pk}", secure=True).status_code == 404
    page = visits.text(visits.as_(sam).get(f"/spot-checks/{check.pk}/", secure=True))
    listed = api.of(sam).get("/api/v1/spot-checks", secure=True)
    assert item.agent_slug in page
    assert item.agent_slug in [each["item"]["agent"] for each in listed.json()["results"]]
    for shown in (page, listed.content.decode()):
        for leak in (worlds.KEEP.comment, "Sofia", "sofia", worlds.REMOVE.comment):
            assert leak not in shown, leak
    mona = checked.company.mona
    assert visits.as_(mona).get(f"/spot-checks/{check.pk}/", secure=True).status_code == 404
    assert api.of(mona).get(f"/api/v1/spot-checks/{check.pk}", secure=True).status_code == 404
    spot_checks.answer(check.pk, by=sam, verb="certify")
    assert "review.decided" in told()


@pytest.mark.django_db(transaction=True)
def test_the_evidence_has_every_check_and_adds_up_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(tmp_path, Ed25519PrivateKey.generate())
    checked = end(under_way(share=60), removed=2)
    first, second, *_ = checked.checks
    assert len(checked.checks) == 7, "of eight kept five, and of two removed two"
    spot_checks.answer(first.pk, by=checked.company.sam, verb="revoke", reason_code="risk", comment="=1+1")
    spot_checks.answer(second.pk, by=checked.company.sam, verb="abstain", reason_code="need_info")
    late = clock.now() + WEEK
    monkeypatch.setattr(clock, "now", lambda: late)
    sweeps.prove_due()
    archive.seal()
    pack = worlds.sealed(checked.campaign, checked.company.ana)
    with zipfile.ZipFile(io.BytesIO(b"".join(pack.archive()))) as opened:
        opened.extractall(tmp_path / "pack")
    folder = tmp_path / "pack"
    scope = json.loads((folder / "02_scope_and_parameters.json").read_bytes())
    told = scope["spot_checks"]
    sums = {name: told[name] for name in ("sampled", "answered", "unanswered", "nobody", "could_not_judge")}
    assert sums == {"sampled": 7, "answered": 2, "unanswered": 5, "nobody": 0, "could_not_judge": 1}
    rows = list(verify.read(folder, "09_spot_checks"))
    assert [(row["state"], row["verb"]) for row in rows[:2]] == [("answered", "revoke"), ("answered", "abstain")]
    assert "'=1+1" in (folder / "09_spot_checks.csv").read_text()
    assert "7 drawn, 2 answered, 5 not" in (folder / "01_control.md").read_text()
    assert not any(verify.tie_out(folder, scope).values())
    other = next(number for number in range(1, 11) if number not in {row["item"] for row in rows})
    spoiled: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
        (rows[1:], told, "spot_checks_do_not_add_up"),
        ([{**rows[0], "state": "unanswered"}, *rows[1:]], told, "spot_checks_do_not_add_up"),
        ([{**rows[0], "item": other}, *rows[1:]], told, "spot_checks_not_as_drawn"),
        (rows, {**told, "seed": "0" * 64}, "spot_check_seed_differs"),
    ]
    for wrong, plan, equation in spoiled:
        (folder / "09_spot_checks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in wrong))
        assert verify.tie_out(folder, {**scope, "spot_checks": plan})[equation], equation


def test_the_same_by_page_and_rest(checked: Checked) -> None:
    company, (first, second, third, *_rest) = checked.company, checked.checks
    browser, machine = visits.as_(company.sam), api.of(company.sam)
    assert "10 decisions to check" in visits.text(browser.get("/", secure=True))
    said = {"verb": "revoke", "why": "", "comment": "Why?"}
    refused = browser.post(f"/spot-checks/{third.pk}/", said, secure=True)
    assert (refused.status_code, "reason_required" in visits.text(refused)) == (422, True)
    assert browser.post(f"/spot-checks/{third.pk}/", {**said, "why": "unused"}, secure=True).status_code == 302
    sent = {"verb": "revoke", "reason_code": "unused"}
    answered = machine.post(f"/api/v1/spot-checks/{second.pk}/answer", sent, format="json", secure=True)
    assert (answered.status_code, answered.json()["verb"]) == (200, "revoke")
    again = machine.post(f"/api/v1/spot-checks/{second.pk}/answer", sent, format="json", secure=True)
    assert (again.status_code, again.json()["code"]) == (409, "spot_check_answered")
    left = machine.get("/api/v1/spot-checks?answered=false", secure=True).json()["results"]
    assert len(left) == 8
    assert str(first.pk) in {each["id"] for each in left}

    ana, owner = visits.as_(company.ana), api.of(company.ana)
    found = owner.get("/api/v1/campaigns/q4/spot-checks", secure=True).json()
    assert (found["sampled"], found["answered"], found["open"], len(found["checks"])) == (10, 2, 8, 10)
    differ = spot_checks.to_follow_up(checked.campaign)
    assert f"{len(differ)} of 10 spot checks would keep less" in visits.text(ana.get("/", secure=True))
    page = visits.text(ana.get("/reviews/q4/", secure=True))
    assert "Review again" in page
    assert "Spot checks have to be decided" in visits.text(ana.get("/reviews/q4/evidence/", secure=True))
    assert "Review again" not in visits.text(visits.as_(company.sofia).get("/reviews/q4/", secure=True))
    last, *_ = differ
    follow = f"/api/v1/spot-checks/{last.pk}/follow-up"
    ana.post(f"/reviews/q4/spot-checks/{last.pk}/follow-up/", {"how": "asked_again", "reason": "Ask."}, secure=True)
    assert SpotCheck.objects.get(pk=last.pk).followed == "asked_again"
    told = owner.post(follow, {"how": "left", "reason": "Or not."}, format="json", secure=True)
    assert (told.status_code, told.json()["code"]) == (409, "nothing_to_follow_up")


def test_spot_checks_are_switched_on_by_page_and_rest_and_the_seed_stays_until_they_are_drawn() -> None:
    company, _ = worlds.found()
    worlds.campaign(company, start=False)
    worlds.campaign(company, start=False, slug="other")
    asked = {"share": 5, "days": 3}
    assert visits.as_(company.sofia).post("/reviews/q4/spot-checks/", asked, secure=True).status_code == 403
    visits.as_(company.ana).post("/reviews/q4/spot-checks/", asked, secure=True)
    assert SpotCheckPlan.objects.values_list("campaign__slug", "share", "days").get() == ("q4", 5, 3)
    machine = api.of(company.ana)
    assert machine.get("/api/v1/campaigns/other/spot-checks", secure=True).status_code == 404
    made = machine.post("/api/v1/campaigns/other/spot-checks", {}, format="json", secure=True)
    assert (made.status_code, made.json()["share"], made.json()["seed"]) == (201, 10, "")
    seeds = SpotCheckPlan.objects.values_list("seed", flat=True)
    page = visits.text(visits.as_(company.ana).get("/reviews/q4/", secure=True))
    assert "5 % spot-checked" in page
    assert not any(seed in page for seed in seeds)
    assert "You have no open spot checks" in visits.text(visits.as_(company.mona).get("/spot-checks/", secure=True))
