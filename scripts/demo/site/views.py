"""The buttons of the visit. What they do is done by the product's own doors and actions, and by the real MCP client."""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Final

import httpx2
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import login, reauthentication
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from entitlements.errors import DomainError
from entitlements.people.models import Person
from governance.console import doors
from governance.sign_in import allauth_adapter
from scripts.demo.data import cast, world
from scripts.demo.story import proof
from scripts.demo.story import visit as visits
from scripts.demo.story.agent_client import AgentClient, CallOutcome
from scripts.demo.story.stage import AGENT, SYSTEM, USER, DoesNotHold

from . import lift_stops, strip

CAST: Final = frozenset(each.login for each in cast.PEOPLE)
AUDITOR: Final = "audrey"
DENIAL: Final = "mandate/denial"
_ONE_CALL = threading.Lock()


@login_not_required
@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in as one of the cast, in place of the person signed in before; only the cast have cards."""
    who = request.POST.get("person", "")
    if not become(request, who):
        return redirect("/login/")
    return redirect(back(request))


def back(request: HttpRequest) -> str:
    """Return where to go on; a button of the visit is no page, and is pressed by people alone."""
    named = doors.back(request)
    return "/" if named.startswith("/visit/") else named


def become(request: HttpRequest, who: str) -> bool:
    """Begin a new session for a person of the cast, with a fresh proof of who they are; returns whether it did."""
    person = Person.objects.filter(login=who, is_active=True).first() if who in CAST else None
    if person is None:
        return False
    logout(request)
    get_adapter().login(request, person)
    login.record_authentication(request, person, method="card", reauthenticated=True)
    allauth_adapter.record_sign_in(request, person, "/")
    return True


@require_POST
def confirm(request: HttpRequest) -> HttpResponse:
    """Let the person's card stand for the proof that a weighty change asks for, and go on with that change."""
    person = doors.person(request)
    if person.login in CAST:
        login.record_authentication(request, person, method="card", reauthenticated=True)
    return reauthentication.resume_request(request) or redirect("/")


@require_POST
def call(request: HttpRequest) -> HttpResponse:
    """Let the agent's MCP client make the call for Alice, and say what came of it."""
    try:
        with _ONE_CALL:
            seen = asyncio.run(_player().call(SYSTEM, visits.TOOL, visits.ARGUMENTS, person=USER))
    except (httpx2.HTTPError, OSError, ExceptionGroup) as outage:
        outcome = _outcome(
            "bad", "The call got no answer.", f"Gateway or console did not answer: {type(outage).__name__}."
        )
    else:
        outcome = _outcome_of_call(seen)
    request.session[strip.OUTCOME] = outcome
    return redirect(back(request))


def _player() -> AgentClient:
    return _client(visits.read(visits.folder()).began)


@functools.lru_cache(maxsize=1)
def _client(_began: str) -> AgentClient:
    """Return the client of this visit: it keeps its token from call to call, as clients do."""
    return AgentClient.of(_world(), AGENT)


def _world() -> world.World:
    return world.read(visits.folder() / "world.json")


def _outcome_of_call(seen: CallOutcome) -> dict[str, Any]:
    """Say in plain words what the client saw."""
    if seen.allowed:
        time = json.loads(seen.text)["datetime"][11:16]
        text = f"The clock answered Alice's travel helper: it is {time} in Paris. The gateway had allowed the call."
        return _outcome("good", "The call went through.", text)
    denial = dict(seen.meta.get(DENIAL, {}))
    if denial:
        why = " ".join(denial.get("reasons", [])) or seen.text
        text = f"The gateway stopped it before it reached the clock: {why}"
        return _outcome("bad", "The call was denied.", text, denial.get("code", ""), denial.get("evaluation_id", ""))
    answer = seen.data if isinstance(seen.data, dict) else {}
    text = f"The travel helper got no token to call with: {answer.get('error_description') or seen.text}"
    return _outcome("bad", "The call was denied.", text, answer.get("code", ""), answer.get("evaluation_id", ""))


def _outcome(tone: str, title: str, text: str, code: str = "", event: str = "") -> dict[str, Any]:
    return {"tone": tone, "title": title, "text": text, "code": code, "event": event}


@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Export the record as the auditor, verify it offline, and show the agent's part of it."""
    if doors.person(request).login != AUDITOR and not become(request, AUDITOR):
        return redirect("/login/")
    with tempfile.TemporaryDirectory(prefix="mandate-visit-") as folder:
        anchored = Path(shutil.copy(settings.ANCHOR_FILE, folder))  # first: it must not be newer than the export
        exported = visits.api(_world(), AUDITOR).get("audit/export")
        whole = Path(folder, "record.jsonl")
        whole.write_bytes(exported.raw)
        verdict = proof.verify(visits.folder() / "seal-key.vkey", whole, anchored)
    holds = exported.is_success and verdict.returncode == 0
    title = "The audit log verifies: no event was changed." if holds else "The audit log does not verify."
    request.session[strip.OUTCOME] = _outcome("good" if holds else "bad", title, verdict.stdout or verdict.stderr)
    return redirect(f"/audit/?about=agent:{AGENT}")


@require_POST
def reset(request: HttpRequest) -> HttpResponse:
    """Bring back the beginning of the visit. Nothing is taken out of the record."""
    try:
        lift_stops.lift()
        visits.again(_world(), visits.folder())
    except (DoesNotHold, DomainError) as problem:
        outcome = _outcome("bad", "The story could not be reset.", str(problem)[:500])
    else:
        text = "What the visit gave has ended, and Otto's request waits for Sofia again. The record keeps all of it."
        outcome = _outcome("good", "The story begins again.", text)
    request.session[strip.OUTCOME] = outcome
    return redirect("/")
