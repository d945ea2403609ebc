"""The commands of the compose file and of docs/operate: what needs no container engine is run as it stands.

`docker compose exec SERVICE COMMAND` is run as COMMAND with the service's own variables and secret files; `docker
compose up` starts the service's own command, or starts it again. Backup and restore: test_backup.py. scripts/install:
test_install.py. `api`, and that no example escapes these tests: test_examples.py.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import get_commands, load_command_class

from scripts import devstack
from scripts.devservers import free_port
from tests import waits
from tests.architecture import tree
from tests.benchmarks import gateway
from tests.deployments import outside
from tests.deployments.release import ask
from tests.deployments.test_compose import DEPLOY, OURS, SERVICES, Deployment

PAGES = sorted((tree.ROOT / "docs/operate").glob("*.md"))
PAGES.remove(tree.ROOT / "docs/operate/scripts.md")  # run whole, beside the main job
PAGES.remove(tree.ROOT / "docs/operate/kubernetes.md")  # no compose file: test_kubernetes_page.py
RUN_ELSEWHERE = {"pg_dump", "pg_restore", "scripts/install", "api"}
PLAIN = {"cat", "python3", ":", "git", "install"}
FLAGS = {"--no-deps", "-d", "--wait", "--force-recreate", "--rm"}
WORLD = """
import json
from audit.context import SYSTEM
from entitlements.people import people
from tests import make
from tests.nodes.gateway import world
from tests.deployments.test_backup import recorded
here = world.build("https://mcp.example.org/mcp", tool="get")
admin = people.make_api_token(make.security("sam"), "pages", by=SYSTEM)
token = recorded(here.token())
print(json.dumps({"token": token, "slug": here.system.slug, "grant": str(here.grant.pk), "admin": admin}))
"""


def commands(page: Path) -> list[str]:
    """Return the lines that a page tells to type. A script is no such line: test_failover.py runs the one there is."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks if not block.startswith("#!") for line in block.splitlines()]
    typed = [line for line in lines if line.strip() and not line.startswith("#")]
    return [part.strip() for line in typed for part in line.split(" && ")]


def in_service(command: str) -> tuple[str, list[str]] | None:
    """Return service and command of `docker compose exec|run`; no command means the service's own."""
    found = re.match(r"docker compose (?:exec(?: -T)?|run(?: --rm)?) (\w+)(?: (.*))?$", command)
    return (found[1], shlex.split(found[2] or "") or OURS[found[1]]["command"]) if found else None


def parse(words: list[str]) -> None:
    """Let a management command take its arguments, which ends the test where it does not know them."""
    assert words[:2] == ["python", "manage.py"]
    name, arguments = words[2], words[3:]
    load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize(
    ("page", "command"), [(page.name, command) for page in PAGES for command in dict.fromkeys(commands(page))], ids=str
)
def test_a_command_of_the_pages_exists_and_takes_what_it_is_given(page: str, command: str) -> None:
    del page
    words = shlex.split(command)
    if inside := in_service(command):
        assert inside[0] in SERVICES
        if inside[0] == "postgres":  # its image has a shell, whose commands the test of backups runs
            assert inside[1][:2] == ["sh", "-c"]
            assert re.search(r" pg_(dump|restore) ", inside[1][2])
            return
        parse(inside[1])
    elif words[:2] == ["docker", "compose"]:
        assert words[2] in {"up", "build"}
        assert {word for word in words[3:] if not word.startswith("-")} <= SERVICES.keys()
        assert {word for word in words[3:] if word.startswith("-")} <= FLAGS
    else:
        assert words[0] in RUN_ELSEWHERE | PLAIN
        assert "/" not in words[0] or os.access(tree.ROOT / words[0], os.X_OK)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment of its own, not ready before it is migrated, with nothing serving yet."""
    folder = tmp_path_factory.mktemp("pages")
    with devstack.stack(fast=True, given={}) as stack:
        made = Deployment(stack, folder)
        (folder / "secrets").symlink_to(folder)
        outside.collect_static(made)
        assert made.run("web", OURS["web"]["healthcheck"]["test"][1:]).returncode == 1
        migrated = made.run("migrate", OURS["migrate"]["command"], 120)
        assert migrated.returncode == 0, migrated.stderr
        yield made
        made.stop()


def started(deployment: Deployment, *names: str) -> None:
    """Let these services run, and no others."""
    for name in [name for name in deployment.children if name not in names]:
        child = deployment.children.pop(name)
        child.terminate()
        child.wait(waits.SECONDS)
    for name in names:
        if name not in deployment.children or deployment.children[name].poll() is not None:
            deployment.start(name)
    for name in names:
        assert deployment.comes_up(name), name


@pytest.mark.timeout(300)
def test_the_files_own_commands_serve_on_a_new_database(deployment: Deployment) -> None:
    started(deployment, "web", "gateway", "sealer", "worker", "beat", "slack")
    served(deployment)
    sealed(deployment)
    checked = deployment.run("web", ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"])
    assert checked.returncode == 0, checked.stderr


def served(deployment: Deployment) -> None:
    """The proxy's headers open the sign-in page; without TLS and for foreign hosts there is nothing."""
    console = {"Host": "mandate.example", "X-Forwarded-Proto": "https"}
    status, page = deployment.get("8000", "/login/", **console)
    assert (status, "</form>" in page) == (200, True)
    style = re.search(r'href="(/static/console\.[0-9a-f]{12}\.css)"', page)
    assert style, "the style sheet has no hash in its name"
    assert deployment.get("8000", style[1], **console)[0] == 200
    assert deployment.get("8000", "/login/", **{**console, "Host": "evil.example"})[0] == 400
    status, said = deployment.get("8000", "/idp/.well-known/openid-configuration", **console)
    assert status == 404 or json.loads(said)["issuer"].startswith("https://mandate.example")
    # No client has to wait for the sweep: a worker that starts makes the keys that are missing.
    waits.until(lambda: json.loads(deployment.get("8000", "/idp/jwks.json", **console)[1])["keys"])
    for port, number in {"8000": "mandate_sealing_lag_seconds", "8001": "mandate_lease_age_seconds"}.items():
        assert deployment.get(port, "/metrics")[0] == 401
        status, said = deployment.get(port, "/metrics", Authorization="Bearer a-token-for-prometheus")
        assert (status, number in said) == (200, True)


def sealed(deployment: Deployment) -> None:
    """What is recorded reaches the anchor, and verifies with the sealer's own variables."""
    made = deployment.run("web", ["python", "manage.py", "signing_keys", "--rotate", "idp"])
    assert made.returncode == 0, made.stderr
    waits.until((deployment.folder / "checkpoints").exists)
    time.sleep(1.5)
    verified = deployment.run("sealer", ["python", "manage.py", "verify_record"])
    assert verified.stdout.startswith("PROVEN:"), verified.stderr


def test_the_roles_script_makes_the_four_roles(deployment: Deployment, tmp_path: Path) -> None:
    """psql may not be at hand, so its statements are run by the driver, with psql's own substitution."""
    statements = (DEPLOY / "roles.sh").read_text().partition("<<'SQL'\n")[2].partition("SQL\n")[0]
    first, second = statements.split("\\connect mandate\n")
    for name in ("owner", "app", "seal", "issue"):
        first = first.replace(f":'{name}'", f"'{name}-password'")
    renamed = {"mandate_": "tried_", "DATABASE mandate ": "DATABASE tried "}
    for was, now in renamed.items():
        first, second = first.replace(was, now), second.replace(was, now)
    admin = deployment.stack["ADMIN_DATABASE_URL"]
    with psycopg.connect(admin, autocommit=True) as connection:
        for statement in filter(str.strip, first.split(";")):
            connection.execute(statement)
    with psycopg.connect(admin.rpartition("/")[0] + "/tried", autocommit=True) as connection:
        for statement in filter(str.strip, second.split(";")):
            connection.execute(statement)
        rights = connection.execute(
            "SELECT has_schema_privilege(r, 'public', 'CREATE'), has_database_privilege(r, 'tried', 'CONNECT')"
            " FROM unnest(ARRAY['tried_owner', 'tried_app', 'tried_seal', 'tried_issue']) AS r"
        ).fetchall()
    assert rights == [(True, True), (False, True), (False, True), (False, True)]
    assert tmp_path.is_dir()


def type_in(deployment: Deployment, command: str) -> str:
    """Do what a command of the pages does; returns what it printed."""
    if inside := in_service(command):
        done = deployment.run(inside[0], inside[1], 120)
    elif command.startswith("docker compose up"):
        deployment.stop()
        for name in deployment.children:
            deployment.start(name)
        for name in deployment.children:
            assert deployment.comes_up(name), name
        return ""
    else:
        words = command.replace("python3", shlex.quote(sys.executable), 1)
        done = subprocess.run(
            ["/bin/sh", "-c", words], cwd=deployment.folder, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.timeout(300)
def test_the_keys_are_looked_at_rotated_withdrawn_and_replaced_as_the_page_says(deployment: Deployment) -> None:
    started(deployment, "web", "gateway")
    type_in(deployment, "docker compose exec web python manage.py signing_keys --rotate idp --now")
    before = (deployment.folder / "key_encryption_key").read_text()
    said: list[str] = []
    for command in commands(tree.ROOT / "docs/operate/keys.md"):
        kid = re.findall(r"^idp\s+(\S+)\s.*\sactive", said[0], re.MULTILINE)[0] if said else ""
        said.append(type_in(deployment, command.replace("KID", kid)))
    assert re.search(r"^idp .* next ", said[1], re.MULTILINE)
    assert re.search(r"^idp .* withdrawn ", said[2], re.MULTILINE)
    assert re.search(r"^idp .* active ", said[2], re.MULTILINE), "another key signs from then on"
    resealed = [each for each in said if "sealed anew" in each]
    assert re.search(r"[1-9]\d* signing keys sealed anew", resealed[0])
    assert set(re.findall(r"\d+", resealed[1])) == {"0"}
    assert (deployment.folder / "key_encryption_key").read_text() != before
    assert (deployment.folder / "key_encryption_key_previous").read_text() == ""
    assert deployment.get("8000", "/readyz")[0] == 200
    keys = json.loads(
        deployment.get("8000", "/idp/jwks.json", Host="mandate.example", **{"X-Forwarded-Proto": "https"})[1]
    )
    assert keys["keys"]


@pytest.mark.parametrize("page", ["install.md", "monitoring.md", "upgrade.md"])
def test_what_the_pages_type_inside_a_service_works(deployment: Deployment, page: str) -> None:
    sealed = deployment.run("sealer", ["python", "manage.py", "seal", "--once"])  # as the sealer does all the time
    assert sealed.returncode == 0, sealed.stderr
    for command in commands(tree.ROOT / "docs/operate" / page):
        if in_service(command):
            type_in(deployment, command)


def copies(deployment: Deployment) -> dict[str, list[Deployment]]:
    """Start as many of each as the page on scaling says, each on ports of its own."""
    page = (tree.ROOT / "docs/operate/scaling.md").read_text()
    running: dict[str, list[Deployment]] = {}
    for name, count in re.findall(r"\b([A-Z]+)_REPLICAS=(\d)", page):
        for _ in range(int(count)):
            one = copy.copy(deployment)
            one.ports, one.children = {port: str(free_port()) for port in deployment.ports}, {}
            one.start(name.lower())
            running.setdefault(name.lower(), []).append(one)
    return running


@pytest.mark.timeout(300)
def test_two_of_each_serve_together_on_one_database(deployment: Deployment) -> None:
    deployment.stop()
    started = copies(deployment)
    everyone = [(name, one) for name, some in started.items() for one in some]
    try:
        assert {name: len(some) for name, some in started.items()} == {"web": 2, "gateway": 2, "worker": 2}
        for name, one in everyone:
            if name != "worker":
                assert one.comes_up(name), name
        made = deployment.run("web", ["python", "manage.py", "shell", "--no-imports", "-c", WORLD])
        assert made.returncode == 0, made.stderr[-2000:]
        serve_together(started, json.loads(made.stdout))
    finally:
        for _, one in everyone:
            one.stop()


def serve_together(started: dict[str, list[Deployment]], made: dict[str, Any]) -> None:
    """What one web process revokes is closed at both nodes, and the other web process shows it."""
    headers = {**gateway.HEADERS, "authorization": f"Bearer {made['token']}"}
    nodes = [f"http://localhost:{one.ports['8001']}/gw/{made['slug']}/mcp" for one in started["gateway"]]
    webs = [f"http://localhost:{one.ports['8000']}" for one in started["web"]]
    console = {"host": "mandate.example", "x-forwarded-proto": "https", "authorization": f"Bearer {made['admin']}"}

    def denied() -> list[bool]:
        said = [ask(node, gateway.body(), headers) for node in nodes]
        assert all(body for _, body in said), said
        return [any(code in body for code in (b"no_grant", b"token_revoked")) for _, body in said]

    assert denied() == [False, False]
    body = json.dumps({"target": {"type": "grant", "id": made["grant"]}, "reason": "tried", "wait": True}).encode()
    status, said = ask(f"{webs[0]}/api/v1/revocations", body, {**console, "content-type": "application/json"})
    receipt = json.loads(said)
    assert (status, len(receipt["acknowledged"]), receipt["missing"]) == (201, 2, []), said
    assert denied() == [True, True]
    for one in started["gateway"]:
        said = one.get("8001", "/metrics", Authorization="Bearer a-token-for-prometheus")[1].encode()
        assert b"mandate_lease_age_seconds" in said
        assert re.search(rb'mandate_decisions_total{code="(no_grant|token_revoked)",effect="\w+"} [1-9]', said), said
    status, said = ask(f"{webs[1]}/api/v1/grants/{made['grant']}", headers=console)
    assert (status, json.loads(said)["state"]) == (200, "revoked")
