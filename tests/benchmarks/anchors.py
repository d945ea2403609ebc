"""The gateways that ours is measured against, each before the same upstream: nginx, FastMCP's proxy, ContextForge."""

from __future__ import annotations

import base64
import contextlib
import getpass
import hashlib
import hmac
import json
import secrets
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from scripts.devservers import free_port
from tests.benchmarks import processes
from tests.benchmarks.processes import NotStartedError, Server

_NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log stderr crit; {user}
events {{ worker_connections 1024; }}
http {{
  access_log off;
  upstream mcp {{ server 127.0.0.1:{upstream}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{ proxy_pass http://mcp; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
_CONTEXTFORGE_SECONDS = 150


@contextlib.contextmanager
def nginx(upstream: Server, folder: Path) -> Iterator[Server]:
    """Run nginx as a reverse proxy with one worker. Raises NotStartedError."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        raise NotStartedError("not installed; it is the package nginx-light of Debian")
    port, user = free_port(), "user root;" if getpass.getuser() == "root" else ""
    written = folder / "nginx.conf"
    written.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream.port, user=user))
    with processes.running([binary, "-e", "stderr", "-p", str(folder), "-c", str(written)], port) as server:
        yield server


@contextlib.contextmanager
def fastmcp(upstream: Server, _folder: Path) -> Iterator[Server]:
    """Run FastMCP's proxy on uvicorn. Raises NotStartedError."""
    port = free_port()
    command = processes.uvicorn("tests.benchmarks.anchor_fastmcp:application", port, python=_python())
    with processes.running(command, port, {"UPSTREAM": f"{upstream.origin}/mcp"}) as server:
        yield server


@contextlib.contextmanager
def contextforge(upstream: Server, folder: Path) -> Iterator[tuple[Server, str]]:
    """Run ContextForge on uvicorn with SQLite, its plugins off, and the upstream registered; yields a token too.

    Raises NotStartedError.
    """
    key, port = secrets.token_hex(32), free_port()
    environment = {
        "DATABASE_URL": f"sqlite:///{folder}/contextforge.db",
        "JWT_SECRET_KEY": key,
        "HOST": processes.HOST,
        "PORT": str(port),
        "PLATFORM_ADMIN_EMAIL": "admin@example.com",
        **{
            name: secrets.token_urlsafe(24) + "aA1-"
            for name in (
                *("AUTH_ENCRYPTION_SECRET", "BASIC_AUTH_PASSWORD"),
                *("PLATFORM_ADMIN_PASSWORD", "DEFAULT_USER_PASSWORD"),
            )
        },
        **dict.fromkeys(
            ("MCPGATEWAY_ADMIN_API_ENABLED", "SSRF_ALLOW_LOCALHOST", "SSRF_ALLOW_PRIVATE_NETWORKS"), "true"
        ),
        **dict.fromkeys(
            ("MCPGATEWAY_UI_ENABLED", "PLUGINS_ENABLED", "SECURE_COOKIES", "RATE_LIMITING_ENABLED"), "false"
        ),
        "LOG_LEVEL": "ERROR",
        "CACHE_TYPE": "memory",
    }
    command = processes.uvicorn("mcpgateway.main:app", port, python=_python())
    with processes.running(command, port, environment, within=_CONTEXTFORGE_SECONDS) as server:
        token = _admin_token(key)
        _register(server, token, upstream)
        yield server, token


def _python() -> str:
    if not processes.ANCHORS.exists():
        raise NotStartedError("not installed; see requirements/bench.in")
    return str(processes.ANCHORS)


def _admin_token(key: str) -> str:
    """Sign what ContextForge takes for its administrator."""
    now = int(time.time())
    email = "admin@example.com"
    said: dict[str, Any] = {
        "sub": email,
        "iss": "mcpgateway",
        "aud": "mcpgateway-api",
        "iat": now,
        "exp": now + 3600,
        "jti": str(uuid.uuid4()),
        "token_use": "session",
        "teams": None,
        "is_admin": True,
        "user": {"email": email, "full_name": "A", "is_admin": True, "auth_provider": "local"},
    }
    parts = [_encoded({"alg": "HS256", "typ": "JWT"}), _encoded(said)]
    mac = hmac.new(key.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _base64(mac)])


def _encoded(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _register(server: Server, token: str, upstream: Server) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"name": "bench", "url": f"{upstream.origin}/mcp", "transport": "STREAMABLEHTTP"}
    answer = requests.post(f"{server.origin}/gateways", json=body, headers=headers, timeout=60)
    if not answer.ok:
        raise NotStartedError(f"registering the upstream: {answer.status_code} {answer.text[:300]}")
