"""How the product starts: safe as it stands, and refusing what must not reach production."""

import json
import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import structlog
from django.core.checks import Tags, run_checks
from django.db import connection

from entitlements.trusted_issuers.models import TrustedIssuer
from governance import logs
from governance.operations import checks
from tests import databases
from tests.architecture import tree

SAME_SECRET = "x7-Gq2mTz9LwVb4NcR8sYk1HdJf6PaE0uXiSoCyWpBtZrQnMvKg5"
PRODUCTION = {
    "PATH": os.environ["PATH"],
    "SECRET_KEY": SAME_SECRET,
    "KEY_ENCRYPTION_KEY": "h2PTQgZp1tq0uY7vXcF9kLr3JmWsBnE4aDoGiR5yV8U",
    "DATABASE_URL": "postgresql://mandate_app:y@db.example/mandate",
    "REDIS_URL": "rediss://:x@redis.example/0",
    "CONSOLE_URL": "https://mandate.example",
    "GATEWAY_URL": "https://gateway.example",
}


def _manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *arguments]
    given = {name: value for name, value in {**PRODUCTION, **environment}.items() if value}
    return subprocess.run(command, cwd=tree.ROOT, env=given, capture_output=True, text=True, check=False)


def test_the_deployment_check_is_clean_in_production() -> None:
    checked = _manage("check", "--deploy", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr


LOCAL = {"CONSOLE_URL": "http://localhost:8000", "GATEWAY_URL": "http://localhost:8001"}


@pytest.mark.parametrize(
    "spoiled",
    [
        # One start for several settings: each is named by a check of its own, which alone would fail it.
        [
            ({"DEMO": "true", **LOCAL}, "mandate.E001"),
            ({"SEAL_DATABASE_URL": "postgresql://mandate_app:y@db.example/mandate"}, "also seals the record"),
            ({"KEY_ENCRYPTION_KEY": "A" * 43}, "mandate.E009"),
        ],
        [
            ({"CONSOLE_URL": LOCAL["CONSOLE_URL"]}, "?: (mandate.E002)"),
            ({"ALLOWED_HOSTS": "*"}, "mandate.E003"),
            ({"REDIS_URL": "redis://redis.example/0"}, "mandate.E004"),
            ({"PRIVATE_NETWORKS": "10.20.0.0/16,0.0.0.0/0"}, "mandate.E008"),
            ({"TRUSTED_PROXIES": "10.0.0.2,::/0"}, "mandate.E014"),
            ({"METRICS_TOKEN": SAME_SECRET}, "METRICS_TOKEN is the same as SECRET_KEY"),
            (
                {"FEED_DATABASE_URL": "postgresql://mandate_seal:y@db.example/mandate"},
                "The role that serves (mandate_seal) also seals the record",
            ),
            (
                {"MIGRATE_DATABASE_URL": "postgresql://mandate_app:y@db.example/mandate"},
                "The role that serves (mandate_app) also owns the tables",
            ),
            ({"OIDC_ISSUER": "https://localhost:9", "OIDC_CLIENT_ID": "x"}, "mandate.E013"),
        ],
        [
            ({"GATEWAY_URL": LOCAL["GATEWAY_URL"]}, "?: (mandate.E002)"),
            ({"ALLOWED_HOSTS": ".example"}, "mandate.E003"),
            ({"PRIVATE_NETWORKS": "169.254.169.254/32"}, "mandate.E008"),
            ({"BEHIND_TLS_PROXY": "true"}, "mandate.W001"),
            (
                {"REDIS_URL": "rediss://:y@redis.example/0"},
                "the password of mandate_app is the same as the password of REDIS_URL",
            ),
            ({"SECRET_KEY": "a" * 50}, "security.W009"),
        ],
        [({"DEBUG": "true", **LOCAL}, "security.W018")],
    ],
)
def test_the_deployment_check_refuses_what_must_not_reach_production(spoiled: list[tuple[dict[str, str], str]]) -> None:
    together = {name: value for values, _ in spoiled for name, value in values.items()}
    checked = _manage("check", "--deploy", "--fail-level", "WARNING", **together)
    assert checked.returncode != 0
    assert [told for _, told in spoiled if told not in checked.stderr] == [], checked.stderr


@pytest.mark.parametrize(
    ("spoiled", "sentence"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set."),
        ({"SECRET_KEY": "short"}, "SECRET_KEY must have at least 50 characters."),
        ({"CONSOLE_URL": "http://mandate.example"}, "CONSOLE_URL must start with https://"),
        ({"DEMO": "true"}, "DEMO is for this machine alone"),
        ({"DEBUG": "true"}, "DEBUG is for this machine alone"),
        ({"KEY_ENCRYPTION_KEY": ""}, "KEY_ENCRYPTION_KEY is not set."),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL must be one of"),
        ({"PRIVATE_NETWORKS": "10.20.0.1/16"}, "PRIVATE_NETWORKS must be networks"),
        ({"TRUSTED_PROXIES": "proxy"}, "TRUSTED_PROXIES must be networks"),
        ({"MCP_REGISTRY_READERS": "10.20.0.1/16"}, "MCP_REGISTRY_READERS must be networks"),
        ({"MAIL_URL": "http://mail.example"}, "MAIL_FROM must be an e-mail address"),
    ],
)
def test_a_bad_value_stops_the_start_with_one_sentence(spoiled: dict[str, str], sentence: str) -> None:
    started = _manage("check", **spoiled)
    assert started.returncode == 1
    assert started.stderr.startswith(sentence)
    assert "Traceback" not in started.stderr


@pytest.mark.django_db
def test_the_deployment_check_asks_the_database_what_the_role_that_serves_may_do() -> None:
    addresses = databases.addresses()
    checked = _manage("check", "--deploy", "--fail-level", "WARNING", DATABASE_URL=addresses.app)
    assert checked.returncode == 0, checked.stderr
    checked = _manage("check", "--deploy", "--fail-level", "WARNING", DATABASE_URL=addresses.owner)
    assert checked.returncode != 0
    assert "owns the record's tables" in checked.stderr


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("app", ""),
        ("owner", "owns the record's tables"),
        ("superuser", "is a superuser"),
        ("sealer", "the sealer alone writes"),
    ],
)
def test_the_check_of_roles_names_what_the_role_that_serves_may_do(
    role: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses, admin = databases.addresses(), os.environ["ADMIN_DATABASE_URL"]
    address = {"app": addresses.app, "owner": addresses.owner, "superuser": admin, "sealer": addresses.seal}[role]
    parts, serving = urlsplit(address), connection.copy()
    serving.settings_dict |= {"USER": parts.username, "PASSWORD": unquote(parts.password or "")}
    monkeypatch.setattr(checks, "connection", serving)
    try:
        found = checks.roles_are_apart(None)
    finally:
        serving.close()
    assert [each.id for each in found] == ["mandate.E012"] * len(found)
    assert bool(found) is bool(told)
    assert told in " ".join(each.msg for each in found)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["https://localhost:9000", "http://sso.example.org", "https://127.0.0.1"])
def test_an_issuer_on_this_machine_or_without_tls_is_named(address: str, settings: Any) -> None:  # noqa: ANN401
    settings.DEMO = False
    TrustedIssuer.objects.create(issuer=address, purpose="identity", jwks={"keys": []}, algorithms=["ES256"])
    assert [found.id for found in checks.issuers_are_elsewhere(None)] == ["mandate.E013"]
    TrustedIssuer.objects.update(enabled=False)
    assert checks.issuers_are_elsewhere(None) == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT"])
def test_django_refuses_cookies_and_pages_without_tls(name: str, settings: Any) -> None:  # noqa: ANN401
    settings.IS_HTTPS, settings.SECURE_HSTS_SECONDS = True, 63072000
    codes = {"SESSION_COOKIE_SECURE": "W012", "CSRF_COOKIE_SECURE": "W016", "SECURE_SSL_REDIRECT": "W008"}
    for each in codes:
        setattr(settings, each, each != name)
    found = run_checks(tags=[Tags.security], include_deployment_checks=True, app_configs=[])
    assert f"security.{codes[name]}" in {message.id for message in found}


@pytest.mark.parametrize(
    ("spoiled", "told"),
    [
        ({"CELERY_ACCEPT_CONTENT": ["json", "pickle"]}, "mandate.E005"),
        ({"CELERY_RESULT_BACKEND": "redis://"}, "mandate.E005"),
        ({"SESSION_SERIALIZER": "django.contrib.sessions.serializers.PickleSerializer"}, "mandate.E006"),
        ({"CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}}, "mandate.E007"),
    ],
)
def test_what_unpickles_is_refused(spoiled: dict[str, Any], told: str, settings: Any) -> None:  # noqa: ANN401
    assert checks.nothing_is_pickled(None) == []
    for name, value in spoiled.items():
        setattr(settings, name, value)
    assert [found.id for found in checks.nothing_is_pickled(None)] == [told]


def test_the_serving_processes_need_no_key_of_the_owner_and_cookies_over_https_belong_to_the_host_alone() -> None:
    ask = "from django.conf import settings as s; print(*s.DATABASES, s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME)"
    shown = _manage("shell", "--no-imports", "-c", ask)
    assert shown.stdout.split() == ["default", "__Host-session", "__Host-csrf"]


@pytest.mark.django_db
def test_pages_carry_the_headers_that_harden_them(client: Any, settings: Any) -> None:  # noqa: ANN401
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_HSTS_SECONDS = 63072000
    response = client.get("/login/", secure=True, headers={"host": "localhost"})
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_log_line_hides_the_values_of_telling_keys_at_any_depth() -> None:
    event = {
        "event": "x",
        "access_token": "a",
        "outer": {"Authorization": "b", "list": [{"password": "c"}]},
        "agent": "d",
    }
    hidden = json.dumps(logs.hide_secrets(structlog.get_logger(), "info", event))
    assert json.loads(hidden) == {
        "event": "x",
        "access_token": "***",
        "outer": {"Authorization": "***", "list": [{"password": "***"}]},
        "agent": "d",
    }


def test_the_network_that_a_container_shares_with_its_database_is_not_reached_as_private(
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    routes, interfaces = tmp_path / "routes", tmp_path / "interfaces"
    routes.write_text("  |-- 172.18.0.0\n     /16 link UNICAST\n  |-- 172.18.0.5\n     /32 host LOCAL\n")
    interfaces.write_text("fd000000000000000000000000000005 02 40 00 80 eth0\n")
    monkeypatch.setattr(checks, "_LISTED", (routes, interfaces))
    for network, is_refused in {"172.18.0.0/16": True, "fd00::/64": True, "10.20.0.0/16": False}.items():
        settings.PRIVATE_NETWORKS = (ip_network(network),)
        assert ("mandate.E008" in {each.id for each in checks.production_is_not_a_demo(None)}) is is_refused
