"""The release before this one goes on serving while its database migrates, and this one takes over what it began."""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest

from governance.reviews.pack_check import verify
from scripts import devstack
from scripts.devservers import free_port
from tests import waits
from tests.architecture import tree
from tests.benchmarks import gateway
from tests.benchmarks.forms import BEARER, basic, leg_1
from tests.deployments import release
from tests.deployments.release import Load, Tree, ask

REVOCABLE = 40
BEGIN = """
import contextlib, io, json
from django.core.management import call_command
from django.test import Client
from entitlements.people.models import Person
from tests.benchmarks import world

call_command("migrate", database="owner", interactive=False, verbosity=0)
made = world.tokens()
world.upstream({upstream!r})
revocable = world.revocable(json.dumps(made), {revocable!r})
browser = Client()
browser.force_login(Person.objects.get(login="sam"))
review = begin()
with contextlib.redirect_stdout(io.StringIO()):
    call_command("seal", once=True)
print(json.dumps([made, revocable, browser.cookies["session"].value, review]))
"""
"""What the release before does, in one process of its own: it starts as slowly as everything else."""
FINISH = """
import io, json
from django.core.management import call_command
from tests.deployments import midcampaign

def said(*command, **options):
    call_command(*command, **options, stdout=(told := io.StringIO()))
    return told.getvalue()

done = midcampaign.finish({file!r})
reperformed = said("evidence_reperform", {file!r})
said("seal", once=True)
print(json.dumps([done, reperformed, said("verify_record"), said("invariants")]))
"""


class Company:
    """What its clients know, and what they ask, wherever the product serves at the moment."""

    def __init__(
        self, made: Mapping[str, Any], revocable: Mapping[str, Any], cookie: str, review: Mapping[str, Any]
    ) -> None:
        self.review, self.unanswered, self.answered = review, list(review["items"]), dict[str, str]()
        self.made, self.cookie = made, cookie
        self.revocable = revocable
        self.unrevoked = list(zip(revocable["grants"], revocable["tokens"], strict=True))
        self.revoked: list[str] = []
        self.token = ""
        self.web = self.node = ""

    @property
    def kinds(self) -> dict[str, Callable[[], str]]:
        """Every kind of request."""
        return {
            "a call": lambda: self.call(self.token),
            "a token": self.issue,
            "a page": self.page,
            "the API": lambda: expect(*ask(f"{self.web}/api/v1/grants", headers=self.admin()), b'"results"'),
            "a revocation": self.revoke,
            "an answer in a review": self.answer,
        }

    def admin(self) -> dict[str, str]:
        return {"content-type": "application/json", "authorization": f"Bearer {self.revocable['admin']}"}

    def call(self, token: str) -> str:
        headers = {**gateway.HEADERS, "authorization": f"Bearer {token}"}
        return expect(*ask(f"{self.node}/gw/time/mcp", gateway.body(), headers), b"It is noon.")

    def issue(self) -> str:
        headers = basic(self.made["client"], self.made["secret"])
        form = urlencode(leg_1(self.made, self.made["id_tokens"][0])).encode()
        status, body = ask(f"{self.web}/idp/token", form, headers)
        if status != 200:
            return f"leg 1: {status} {body[:300]!r}"
        form = urlencode({"grant_type": BEARER, "assertion": json.loads(body)["access_token"]}).encode()
        status, body = ask(f"{self.web}/as/time/token", form, headers)
        if status != 200:
            return f"leg 2: {status} {body[:300]!r}"
        self.token = json.loads(body)["access_token"]
        return ""

    def answer(self) -> str:
        """Answer one more item of a review: draft, then submit; what is refused was not decided, and is tried again."""
        time.sleep(0.2)
        if not self.unanswered:
            return ""
        item, number = self.unanswered[-1], len(self.unanswered)
        said = {"verb": "revoke", "reason_code": "unused"} if number % 2 else {"verb": "certify"}
        drafted = self._review(f"review-items/{item}", b'"draft"', 200)
        if isinstance(drafted, str):
            return drafted
        tag = drafted["draft"]["etag"] if drafted["draft"] else '"0"'
        kept = self._review(f"review-items/{item}/draft", b'"etag"', 200, json.dumps(said), "PUT", tag)
        if isinstance(kept, str):
            return kept
        done = self._review("campaigns/q4/submissions", item.encode(), 201, "{}", "POST", "*")
        if isinstance(done, str):
            return done
        self.answered[item] = said["verb"]
        self.unanswered.pop()
        return ""

    def _review(self, path: str, holds: bytes, wanted: int, body: str | None = None, *how: str) -> dict[str, Any] | str:
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.review['token']}"}
        method, match = how or ("GET", "*")
        status, answer = ask(
            f"{self.web}/api/v1/{path}", body.encode() if body else None, {**headers, "if-match": match}, method
        )
        return expect(status, answer, holds, wanted) or dict(json.loads(answer))

    def page(self) -> str:
        return expect(*ask(f"{self.web}/agents/", headers={"cookie": f"session={self.cookie}"}), b"assistant")

    def revoke(self) -> str:
        """Revoke one more; what it opened must be closed when the receipt is here."""
        if not self.unrevoked:
            time.sleep(0.2)
            return ""
        grant, token = self.unrevoked.pop()
        asked = json.dumps({"target": {"type": "grant", "id": grant}, "reason": "tried", "wait": True}).encode()
        wrong = expect(*ask(f"{self.web}/api/v1/revocations", asked, self.admin()), b'"acknowledged"', 201)
        if wrong:
            return wrong
        self.revoked.append(token)
        return "" if self.call(token) else "a revoked token still opens"


def refused_for_nothing(load: Load) -> list[tuple[str, str]]:
    """Return what went wrong, but for one who met the migration on the way and was told that trying again will do."""
    tried_again = [wrong for wrong in load.failures if wrong[1].startswith("503") and "nothing was changed" in wrong[1]]
    return load.failures if len(tried_again) > 2 else [wrong for wrong in load.failures if wrong not in tried_again]


def expect(status: int, body: bytes, holds: bytes, wanted: int = 200) -> str:
    return "" if status == wanted and holds in body else f"{status} {body[:300]!r}"


@pytest.fixture
def stack() -> Iterator[devstack.Stack]:
    """Servers of its own: the old release's schema is nobody else's."""
    with devstack.stack(fast=True, given={}) as running:
        yield running


@pytest.fixture
def trees(stack: devstack.Stack, tmp_path: Path) -> tuple[Tree, Tree, tuple[int, int]]:
    """The files of both releases, on one database."""
    if not release.commit():
        pytest.skip("THE UPGRADE IS NOT TESTED: this clone is too shallow to hold the release before; fetch it")
    ports = free_port(), free_port()
    environment = {
        **stack,
        "CONSOLE_URL": f"http://127.0.0.1:{ports[0]}",
        "GATEWAY_URL": f"http://127.0.0.1:{ports[1]}",
        "DEMO": "1",
        "LOG_LEVEL": "WARNING",
        "RATE_LIMIT_TOKENS": "1000000",
        "RATE_LIMIT_PERSON": "1000000",
        "RATE_LIMIT_API": "1000000",
        "SEAL_KEY_FILE": str(tmp_path / "seal.pem"),
        "ANCHOR_FILE": str(tmp_path / "anchor"),
    }
    return Tree(release.check_out(tmp_path / "before"), environment), Tree(tree.ROOT, environment), ports


def slow_report(owner: str) -> threading.Thread:
    """Read every table in one transaction for two seconds: a migration that wants one must give way."""

    def read() -> None:
        with psycopg.connect(owner) as connection:
            names = connection.execute("SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'")
            connection.execute("LOCK TABLE " + ", ".join(name for (name,) in names) + " IN ACCESS SHARE MODE")
            time.sleep(2)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    return thread


def migrates_under_load(company: Company, now: Tree, owner: str) -> None:
    """Nobody is refused for a migration, whatever else reads the tables meanwhile."""
    load = Load(company.kinds)
    with load.going():
        waits.until(lambda: all(load.counts[kind] for kind in company.kinds))
        report = slow_report(owner)
        now.run("manage.py", "migrate", "--database", "owner", "--no-input", "--verbosity", "0")
        report.join()
        time.sleep(1)
    assert refused_for_nothing(load) == []
    assert min(load.counts.values()) > 5, load.counts
    assert max(load.longest.values()) < 5, load.longest


def takes_over(company: Company, now: Tree, old: ExitStack) -> None:
    """What the release before began goes on at this one, and what it ended stays ended."""
    of_before, ports = company.token, (free_port(), free_port())
    with now.gateway(ports[1], "new") as node, now.web(ports[0], RELAY_URL=node) as web:
        company.web = web
        load = Load(company.kinds)
        with load.going():
            time.sleep(1)
            company.node = node
            assert company.call(of_before) == "", "a token of the release before opens at this one"
            time.sleep(0.5)
            old.close()
            time.sleep(1)
        assert refused_for_nothing(load) == []
        assert company.revoked
        assert all(company.call(token) for token in company.revoked), "what was revoked before stays revoked"
        assert company.call(of_before) == ""


def finishes_the_review(company: Company, now: Tree, pack: Path) -> None:
    """No answer is lost, and no cut is made twice: what the release before decided stands, and the rest follows."""
    said = now.run("manage.py", "shell", "--no-imports", "-c", FINISH.format(file=str(pack)))
    done, reperformed, verified, invariants = json.loads(said)
    told, begun = company.review, done["begun"]
    assert {item: begun.get(item) for item in told["decided"]} == told["decided"]
    assert done["drafts"] == {"drafted-2": "revoke", "drafted-high": "certify"} | {
        name: verb for name, verb in done["drafts"].items() if name.startswith("asked-")
    }
    kept = {item: answers[0].split()[1] for item, answers in begun.items() if item in company.answered}
    assert (kept, bool(kept)) == (company.answered, True)
    assert {item: done["decided"][item] for item in begun} == begun
    assert {len(answers) for answers in done["decided"].values()} == {1, 2}
    assert done["revoked"] == dict.fromkeys(done["cut"], 1), "each cut is made exactly once"
    assert (done["unproven"], done["kept"]) == ([], [True, False])
    with zipfile.ZipFile(pack) as opened:
        assert list(verify.faults(opened)) == []
    assert "is what the record says" in reperformed
    assert verified.startswith("PROVEN:")
    assert "BROKEN" not in invariants


@pytest.mark.timeout(400)
def test_the_release_before_serves_while_its_database_migrates_and_this_one_takes_over(
    stack: devstack.Stack, trees: tuple[Tree, Tree, tuple[int, int]], tmp_path: Path
) -> None:
    before, now, ports = trees
    port = free_port()
    upstream = ["-m", "uvicorn", "tests.benchmarks.upstream:application", "--port", str(port), "--log-level", "warning"]
    with now.serving(upstream, port) as where, ExitStack() as old:
        begin = BEGIN.format(upstream=f"{where}/mcp", revocable=str(REVOCABLE))
        begin = f"from tests.deployments.midcampaign import begin\n{begin}"
        began = before.run("manage.py", "shell", "--no-imports", "-c", begin)
        made, revocable, cookie, review = json.loads(began)
        company = Company(made, revocable, cookie, review)
        company.web = old.enter_context(before.web(ports[0]))
        company.node = old.enter_context(before.gateway(ports[1], "old"))
        waits.until(lambda: not company.issue())
        migrates_under_load(company, now, stack["MIGRATE_DATABASE_URL"])
        takes_over(company, now, old)
    finishes_the_review(company, now, tmp_path / "pack.zip")
