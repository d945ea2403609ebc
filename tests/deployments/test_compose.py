"""The compose file's rules, read from the file; and its services as processes without an engine: `test_pages.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

from governance import edge, variables
from scripts import devstack
from scripts.devservers import free_port, until
from tests import waits
from tests.architecture import tree

COMPOSE: dict[str, Any] = yaml.safe_load((tree.ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if str(service["image"]).startswith("${MANDATE_IMAGE")}
SERVING = [name for name in SERVICES if name != "migrate"]
DEPLOY = tree.ROOT / "deploy"
PACKAGES = "/var/lib/mandate/packages"
ALIVE = OURS["sealer"]["environment"]["ALIVE_FILE"]


def test_every_process_that_serves_is_there() -> None:
    assert set(OURS) == {"migrate", "web", "gateway", "sealer", "worker", "beat", "slack"}
    assert set(SERVICES) - set(OURS) == {"postgres", "redis", "proxy"}


def test_socket_mode_alone_is_off_by_default_and_has_what_the_worker_has() -> None:
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "slack": ["slack"]
    }
    slack, worker = OURS["slack"], OURS["worker"]
    assert slack["command"] == ["python", "manage.py", "slack"]
    for part in ("networks", "depends_on", "healthcheck"):
        assert slack[part] == worker[part], part
    feed = {"FEED_DATABASE_URL_FILE": "/run/secrets/feed_database_url"}  # the loop's, which the worker alone has
    assert slack["environment"] | feed == worker["environment"]
    assert [*slack["secrets"], "feed_database_url"] == worker["secrets"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_a_user_without_rights_on_a_file_system_it_cannot_write(name: str) -> None:
    service = SERVICES[name]
    assert service["user"].startswith("${MANDATE_UID:?")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.keys() & {"privileged", "pid", "network_mode", "devices", "env_file"}
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVING)
def test_a_service_says_whether_it_is_well_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_files_alone(name: str) -> None:
    given = SERVICES[name].get("environment", {})
    mounted = {f"/run/secrets/{secret}" for secret in SERVICES[name].get("secrets", [])}
    secret_names = {row.name for row in variables.TABLE.values() if row.is_secret}
    assert not given.keys() & secret_names
    assert not [key for key in given if re.search("PASSWORD|SECRET|TOKEN(?!S)|KEY", key) and not key.endswith("_FILE")]
    assert {value for value in given.values() if str(value).startswith("/run/secrets/")} <= mounted
    assert {Path(path).name for path in mounted} <= COMPOSE["secrets"].keys()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_product_reads(name: str) -> None:
    unknown = [
        key
        for key in OURS[name]["environment"]
        if key not in variables.TABLE and key.removesuffix("_FILE") not in variables.TABLE
    ]
    assert unknown == []


OF_ONE_ROLE = {"SIGNING_KEY_ENCRYPTION_KEY", "SIGNING_KEY_ENCRYPTION_KEY_PREVIOUS"}


@pytest.mark.parametrize("name", variables.TABLE)
def test_every_documented_variable_reaches_the_containers(name: str) -> None:
    """DEMO and DEBUG are for one machine alone; the database's other addresses have one holder each.

    A key for signing keys alone is for nodes of one role, and this edge has both.
    """
    given = {*OURS["gateway"]["environment"], *OURS["sealer"]["environment"], *OURS["migrate"]["environment"]}
    assert (name in given or f"{name}_FILE" in given) is (name not in {"DEMO", "DEBUG", *OF_ONE_ROLE})


def test_no_volume_takes_the_owner_that_the_image_gives_its_folder() -> None:
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    named = [volume for volume in volumes if not isinstance(volume, str)]
    assert {volume["source"] for volume in named} == COMPOSE["volumes"].keys()
    assert all(volume["volume"] == {"nocopy": True} for volume in named)


def test_every_image_and_the_package_index_can_come_from_elsewhere() -> None:
    assert all(str(service["image"]).startswith("${") for service in SERVICES.values())
    assert {"PYTHON_IMAGE", "PIP_INDEX_URL"} <= OURS["web"]["build"]["args"].keys()
    assert not (tree.ROOT / "Dockerfile").read_text().startswith("# syntax")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_limit_of_memory_and_processes(name: str) -> None:
    assert SERVICES[name]["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}


def test_only_migrate_holds_the_owners_key_and_only_the_sealer_its_own() -> None:
    holders = {secret: {name for name in OURS if secret in OURS[name]["secrets"]} for secret in COMPOSE["secrets"]}
    assert holders["migrate_database_url"] == {"migrate"}
    assert holders["seal_database_url"] == {"sealer"}
    assert holders["feed_database_url"] == {"gateway", "sealer", "worker"}
    assert holders["issue_database_url"] == {"gateway"}


def test_only_the_sealer_has_volumes_that_it_writes_so_that_everything_else_runs_on_any_machine() -> None:
    written = {
        name: [each["source"] for each in service.get("volumes", []) if not each.get("read_only")]
        for name, service in OURS.items()
    }
    assert {name: volumes for name, volumes in written.items() if volumes} == {"sealer": ["seal", "anchor"]}


def test_what_starts_or_pins_local_servers_reads_their_packages_in_one_place() -> None:
    read = {
        name: [(each["source"], each["target"]) for each in service.get("volumes", []) if each.get("read_only")]
        for name, service in OURS.items()
    }
    shared = [("packages", PACKAGES)]
    assert {name: volumes for name, volumes in read.items() if volumes} == dict.fromkeys(
        ("web", "gateway", "worker"), shared
    )
    assert f"`{PACKAGES}" in (tree.ROOT / "docs/operate/local-servers.md").read_text()


def test_only_the_proxy_is_reached_from_outside_and_the_database_reaches_nothing() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert [SERVICES[name]["networks"] for name in ("postgres", "redis")] == [["inside"], ["inside"]]
    assert list(SERVICES["proxy"]["networks"]) == ["outside"]


def test_what_serves_waits_for_the_migrations() -> None:
    for name in set(OURS) - {"migrate"}:
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_every_file_that_is_mounted_is_in_the_repository() -> None:
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    files = [volume.partition(":")[0] for volume in volumes if isinstance(volume, str)]
    assert files
    assert all((tree.ROOT / file).is_file() for file in files)


def test_the_proxy_hides_numbers_and_says_that_it_ended_tls() -> None:
    said = (DEPLOY / "Caddyfile").read_text()
    blocks = {name: said.partition(f"{{${name}_HOST}}:{{$HTTPS_PORT}} {{")[2] for name in ("CONSOLE", "GATEWAY")}
    for block in blocks.values():
        assert "import hidden" in block
        assert "header_up X-Forwarded-Proto https" in block
    assert "@inside path /metrics /healthz /readyz" in said
    assert "respond @inside 404" in said


def test_the_gateway_believes_no_header_about_where_a_request_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _app, **how: served.update(how))
    monkeypatch.setattr(
        sys, "argv", ["governance.edge", *(substituted(each, {}) for each in OURS["gateway"]["command"][3:])]
    )
    edge.main()
    assert OURS["gateway"]["command"][:3] == ["python", "-m", "governance.edge"]
    assert (served["proxy_headers"], served["port"], served["http"]) == (False, 8001, edge.Deadlines)
    assert not [name for service in SERVICES.values() for name in service.get("environment", {}) if "FORWARDED" in name]


def test_the_proxy_alone_says_where_a_request_comes_from_and_its_address_is_its_own() -> None:
    outside = COMPOSE["networks"]["outside"]["ipam"]["config"][0]
    subnet, others = (ip_network(substituted(outside[name], {})) for name in ("subnet", "ip_range"))
    address = substituted(SERVICES["proxy"]["networks"]["outside"]["ipv4_address"], {})
    assert {substituted(OURS[name]["environment"]["TRUSTED_PROXIES"], {}) for name in ("web", "gateway")} == {address}
    assert ip_address(address) in subnet
    assert ip_address(address) not in others, "another container could have taken it first"
    assert ip_address(address) != subnet.network_address + 1, "the engine's own"
    rules = (DEPLOY / "Caddyfile").read_text()
    assert rules.count("header_up X-Forwarded-For {remote_host}") == rules.count("reverse_proxy ") == 3
    assert rules.count("header_up -*_*") == rules.count("header_up -Forwarded") == 3


def test_the_redirect_to_https_names_its_port() -> None:
    rules = (DEPLOY / "Caddyfile").read_text()
    assert "https_port" not in rules, "Caddy leaves the port out of its redirects where this option names it"
    assert {"{$CONSOLE_HOST}:{$HTTPS_PORT} {", "{$GATEWAY_HOST}:{$HTTPS_PORT} {"} <= set(rules.splitlines())


def test_the_image_has_no_root_no_pip_and_only_pinned_wheels() -> None:
    said = (tree.ROOT / "Dockerfile").read_text()
    build, final = said.split(" AS build\n")[1].split("FROM ${PYTHON_IMAGE} AS run\n")
    assert "--require-hashes" in build
    assert "--only-binary :all:" in build
    assert "collectstatic" in build
    assert "pip uninstall" in final
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert not re.search(r"apt-get|gcc|curl", said)
    copied = re.findall(r"^COPY (?!--from)(\S+)", said, re.MULTILINE)
    ignored = (tree.ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert all(f"!{path}" in ignored and (tree.ROOT / path).exists() for path in copied)


# --------------------------------------------------------------------------------- the commands themselves, executed


MAY_BE_EMPTY = (
    "key_encryption_key_previous", "oidc_client_secret", "feed_database_url", "transit_token", "pkcs11_pin",
    "otel_exporter_otlp_headers", "anchor_bucket_secret", "anchor_webhook_token",
)  # fmt: skip


LISTENING = {"web": "8000", "gateway": "8001"}


class Deployment:
    """The compose file's services as plain processes: its commands, its variables, its secret files."""

    def __init__(self, stack: devstack.Stack, folder: Path) -> None:
        self.folder, self.stack = folder, stack
        self.ports = {"8000": str(free_port()), "8001": str(free_port())}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        hosts = {"CONSOLE": "mandate.example", "GATEWAY": "gateway.mandate.example"}
        self.dotenv = {f"{name}_HOST": host for name, host in hosts.items()}
        self.dotenv |= {f"{name}_URL": f"https://{host}" for name, host in hosts.items()} | {"WEB_WORKERS": "1"}
        self.besides: dict[str, str] = {}
        for name, value in self.secrets().items():
            (folder / name).write_text(value)

    def secrets(self) -> dict[str, str]:
        names = (
            "SECRET_KEY",
            "KEY_ENCRYPTION_KEY",
            "DATABASE_URL",
            "MIGRATE_DATABASE_URL",
            "SEAL_DATABASE_URL",
            "ISSUE_DATABASE_URL",
        )
        told = {name.lower(): self.stack[name] for name in (*names, "REDIS_URL")}
        return {**told, "metrics_token": "a-token-for-prometheus", **dict.fromkeys(MAY_BE_EMPTY, ""), "mail_url": ""}

    def environment(self, name: str) -> dict[str, str]:
        """Fill in `.env` and move the secrets and the sealer's volumes to this folder."""
        given = {key: substituted(str(value), self.dotenv) for key, value in OURS[name]["environment"].items()}
        for key, value in given.items():
            for inside in ("/run/secrets", "/var/lib/mandate/seal", "/var/lib/mandate/anchor"):
                if value.startswith(inside):
                    given[key] = value.replace(inside, str(self.folder))
        given["ALLOWED_HOSTS"] += ",localhost"
        if "ALIVE_FILE" in given:
            given["ALIVE_FILE"] = self._alive(name)
        # Nothing of this process's own environment reaches the service but the way to its programs.
        path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(self.folder), **given, **self.besides}

    def command(self, arguments: list[str]) -> list[str]:
        """Return a command of the file, on loopback and free ports."""
        told = [substituted(str(argument), {}) for argument in arguments]
        told = ["127.0.0.1" if part == "0.0.0.0" else self.ports.get(part, part) for part in told]
        for port, free in self.ports.items():
            told = [part.replace(f"localhost:{port}", f"localhost:{free}") for part in told]
        return [sys.executable if told[0] == "python" else told[0], *told[1:]]

    def run(self, name: str, arguments: list[str], seconds: float = waits.SECONDS) -> subprocess.CompletedProcess[str]:
        how = {"cwd": tree.ROOT, "env": self.environment(name), "capture_output": True, "text": True}
        return subprocess.run(self.command(arguments), timeout=seconds, check=False, **how)  # type: ignore[call-overload,no-any-return]

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.children[name] = subprocess.Popen(
                self.command(OURS[name]["command"]),
                cwd=tree.ROOT, env=self.environment(name), stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def healthy(self, name: str) -> bool:
        assert self.children[name].poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
        test = [part.replace(ALIVE, self._alive(name)) for part in OURS[name]["healthcheck"]["test"][1:]]
        return self.run(name, test).returncode == 0

    def _alive(self, name: str) -> str:
        return str(self.folder / f"{name}-alive")

    def comes_up(self, name: str, seconds: float = 2 * waits.SECONDS) -> bool:
        """Wait until its own check says that it is well. It is a process: it is asked seldom, or another way first."""
        end = time.monotonic() + seconds
        if port := LISTENING.get(name):
            until(lambda: self.children[name].poll() is not None or self._answers(port), seconds)
        while not self.healthy(name):
            if time.monotonic() > end:
                return False
            time.sleep(0.3)
        return True

    def _answers(self, port: str) -> bool:
        try:
            return self.get(port, "/readyz")[0] == 200
        except OSError:
            time.sleep(0.05)
            return False

    def stop(self) -> None:
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(waits.SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def get(self, port: str, path: str, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(f"http://localhost:{self.ports[port]}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=waits.SECONDS) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


def substituted(text: str, values: Mapping[str, str]) -> str:
    """Do what compose does with ${NAME}, ${NAME:-default} and ${NAME:?message}."""

    def put(found: re.Match[str]) -> str:
        value = values.get(found[1], "")
        return value or (found[3] if found[2] == ":-" else "")

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", put, text)
