"""`make engine`: the compose file in a real container engine, as root and as an ordinary user; then the chart's pods.

Builds the image, brings everything up, walks the first fifteen minutes in a browser, kills each container, takes all
down and up, backs up and restores, doubles what can be doubled, and upgrades under load. Then starts every workload of
the Helm chart from the same image (`chart.py`; alone with ARGS=--chart). Prints each step with its
time; exits 1 at the first that fails. Wants root, Docker 25 or later with Compose, Chromium, and
mmdebstrap where the public images are out of reach.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import company_idp
from tests.browser.opening import BROWSERS
from tests.deployments import outside
from tests.deployments.test_first_fifteen import Installation, walk
from tests.engine import bases, chart, last_run, local_servers
from tests.engine.deployment import (
    COMPANY,
    COMPANY_ADDRESS,
    CONSOLE,
    GATEWAY,
    HTTP_PORT,
    HTTPS_PORT,
    Deployment,
    Failed,
    check,
    engine,
    names,
)

ORDINARY = 1500
HEALTHY_WITHIN = 60.0
A_SECOND = 20
ADDRESSES = (
    f"https://{CONSOLE}:{HTTPS_PORT}/login/",
    f"https://{CONSOLE}:{HTTPS_PORT}/.well-known/oauth-authorization-server/idp",
    f"https://{GATEWAY}:{HTTPS_PORT}/.well-known/oauth-protected-resource/gw/clock/mcp",
)


def step(what: str, do: Callable[[], object]) -> None:
    """Do one step and print how long it took, with what it returns."""
    began = time.monotonic()
    result = do()
    print(f"  {what:58} {time.monotonic() - began:6.1f} s  {'' if result is None else result}", flush=True)


def main() -> int:
    """Run for each user that was asked for."""
    parser = argparse.ArgumentParser(prog="make engine", description=__doc__)
    parser.add_argument("--uid", type=int, action="append", help="only as this user (default: 0 and 1500)")
    parser.add_argument("--chart", action="store_true", help="the workloads of the chart alone")
    options = parser.parse_args()
    of = last_run.digest()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mandate-engine-", dir="/var/tmp")))
        folder.chmod(0o755)
        stack.enter_context(engine(folder))
        stack.enter_context(names())
        version = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, check=True
        )
        print(f"Docker {version.stdout.strip()}", flush=True)
        images = bases.provide()
        print(f"on {', '.join(images.values())}", flush=True)
        try:
            for uid in () if options.chart else options.uid or (0, ORDINARY):
                _run(folder, uid, images)
            _run_chart(folder, images)
        except (Failed, AssertionError) as problem:
            print(f"FAILED: {problem}", file=sys.stderr)
            return 1
    if not (options.chart or options.uid):
        last_run.record(of)
    print("All of it works.")
    return 0


def _run(folder: Path, uid: int, images: dict[str, str]) -> None:
    print(f"As user {uid}:", flush=True)
    home = folder / str(uid)
    home.mkdir()
    shutil.chown(home, uid, uid)
    with ExitStack() as stack:
        certificates = outside.certify(home, COMPANY)
        tls = certificates.for_uvicorn()
        company = stack.enter_context(company_idp.running(COMPANY, **tls))
        mail, letters = stack.enter_context(outside.mailbox(certificates))
        system = stack.enter_context(outside.system(certificates))
        authorities = {"company": certificates.authority, "machine": Path("/etc/ssl/certs/ca-certificates.crt")}
        settings = {
            "OIDC_ISSUER": company.issuer, "OIDC_CLIENT_ID": company_idp.CLIENT, "OIDC_NAME": "Example",
            "MAIL_FROM": "mandate@example.org", "PRIVATE_NETWORKS": f"{COMPANY_ADDRESS}/32",
        }  # fmt: skip
        made = Deployment(home, uid, images, authorities, settings)
        step("clone and install", made.install)
        (made.root / "secrets/oidc_client_secret").write_text(company_idp.SECRET)
        (made.root / "secrets/mail_url").write_text(f"smtps://{COMPANY}:{mail}")
        step("docker compose build", lambda: made.compose("build --quiet"))
        stack.callback(made.compose, "down --volumes --timeout 5")
        step("docker compose up --wait", lambda: _up(made))
        step("check --deploy", lambda: _checked(made))
        step("plain http leads to https, at its port", _redirected)
        step("the first fifteen minutes in a browser", lambda: _walked(made, home, letters, system, certificates))
        step("local servers: a limit for each attack", lambda: local_servers.attacked(made))
        for service in ("postgres", "redis", "web", "gateway", "sealer", "worker", "beat", "proxy"):
            step(f"kill {service}, all healthy again", lambda service=service: _killed(made, service))  # type: ignore[misc]
        step("down and up", lambda: _restarted(made))
        step("back up and restore", lambda: _restored(made))
        step("two replicas of web, gateway and worker", lambda: _doubled(made))
        step(f"upgrade under {A_SECOND} requests a second", lambda: _upgraded(made, home))


def _run_chart(folder: Path, images: dict[str, str]) -> None:
    print("The workloads of the chart:", flush=True)
    home = folder / "chart"
    home.mkdir()
    machine = {"machine": Path("/etc/ssl/certs/ca-certificates.crt")}
    made = Deployment(home, 0, images, machine)
    step("clone and install", made.install)
    step("docker compose build", lambda: made.compose("build --quiet web"))
    with chart.pods(made) as found:
        for what, do in chart.run(found):
            step(what, do)


def _up(made: Deployment) -> str:
    began = time.monotonic()
    try:
        made.compose("up --detach --wait")
    except Failed as problem:
        raise Failed(f"{problem}\n{made.compose('logs --no-color --tail 30')}") from problem
    check(made.is_healthy(), "not all are healthy")
    took = time.monotonic() - began
    check(took < HEALTHY_WITHIN, f"it took {took:.0f} s until all were healthy")
    return f"healthy after {took:.0f} s"


def _checked(made: Deployment) -> None:
    done = made.run("web", ["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"])
    check(done.returncode == 0, done.stderr)


def _redirected() -> None:
    connection = http.client.HTTPConnection(CONSOLE, HTTP_PORT, timeout=10)
    connection.request("GET", "/login/")
    answer = connection.getresponse()
    found = answer.status, answer.getheader("location")
    check(found == (308, f"https://{CONSOLE}:{HTTPS_PORT}/login/"), found)


def _walked(made: Deployment, home: Path, letters: list[str], system: str, certificates: outside.Certificates) -> None:
    bundle = home / "authorities.pem"
    bundle.write_bytes(certificates.authority.read_bytes() + made.root_certificate())
    console, gateway = (f"https://{host}:{HTTPS_PORT}" for host in (CONSOLE, GATEWAY))
    installation = Installation(made, console, gateway, letters, system, bundle)
    with sync_playwright() as playwright:
        program = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        walk(installation, browser)
        browser.close()


def _restarted(made: Deployment) -> str:
    made.compose("down")
    return _up(made)


def _killed(made: Deployment, service: str) -> str:
    made.kill(service)
    time.sleep(1)
    return f"after {made.wait_healthy():.0f} s"


def _restored(made: Deployment) -> None:
    """Run the commands of docs/operate/backup.md: back up, lose the database, restore."""
    for command in outside.commands("backup.md", "Back up"):
        made._as_user(command)
    made.compose("down")
    shutil.rmtree(made.root / "data/postgres")
    made._as_user("scripts/install --host " + f"{CONSOLE} --gateway-host {GATEWAY}")
    for command in outside.commands("backup.md", "Restore"):
        made._as_user(command)
    made.compose("up --detach --wait")
    made.wait_healthy()


def _doubled(made: Deployment) -> None:
    with (made.root / ".env").open("a") as dotenv:
        dotenv.writelines(f"{name}_REPLICAS=2\n" for name in ("WEB", "GATEWAY", "WORKER"))
    made.compose("up --detach --wait")
    made.wait_healthy()
    check(len(made.compose("ps --quiet web gateway worker").split()) == 6, "there are not two of each")


def _upgraded(made: Deployment, home: Path) -> str:
    """Run the commands of docs/operate/upgrade.md on a newer release, and ask all the while."""
    with (made.root / "governance/__init__.py").open("a") as file:
        file.write("# A newer release.\n")
    documented = outside.commands("upgrade.md", "# Upgrade")
    before = set(made.compose("ps --quiet web gateway sealer worker beat").split())
    with _load(home) as answers:
        time.sleep(2)
        for command in documented:
            if not command.startswith(("git", "scripts/install")):
                made._as_user(command)
        made.wait_healthy()
        time.sleep(2)
    check(set(answers) == {"200"}, dict(answers))
    left = before & set(made.compose("ps --quiet web gateway sealer worker beat").split())
    check(not left, f"not replaced: {left}")
    return f"{answers.total()} requests, all answered"


@contextmanager
def _load(home: Path) -> Iterator[Counter[str]]:
    """Ask the addresses in turn, so many times a second, and count the answers."""
    answers: Counter[str] = Counter()
    stop, context = threading.Event(), ssl.create_default_context(cafile=str(home / "authorities.pem"))

    def ask(address: str) -> None:
        try:
            with urllib.request.urlopen(address, timeout=40, context=context) as answer:  # noqa: S310 - our own
                answers[str(answer.status)] += 1
        except urllib.error.HTTPError as refused:
            answers[f"{address}: {refused.code}"] += 1
        except OSError as problem:
            answers[f"{address}: {problem!r}"] += 1

    def go_on() -> None:
        threads, number = [], 0
        while not stop.wait(1 / A_SECOND):
            threads.append(threading.Thread(target=ask, args=[ADDRESSES[number % len(ADDRESSES)]]))
            threads[-1].start()
            number += 1
        for thread in threads:
            thread.join()

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        yield answers
    finally:
        stop.set()
        asking.join()


if __name__ == "__main__":
    sys.exit(main())
