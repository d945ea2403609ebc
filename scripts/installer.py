"""Write what `docker compose up` needs: secrets (0600), data folders (0700) and `.env`. Nothing is ever overwritten.

    scripts/install --host mandate.example [--gateway-host gateway.mandate.example] [--acme you@example] [--folder .]
        [--http-port 8080] [--https-port 8443]

Only the standard library, and any Python 3 that a server still has. Run twice it changes nothing: a secret that exists
stays, and so does each line of `.env`; what a newer release needs besides is added. The containers run as the user who
owns the secrets; root hands them to an account number of its own, since nothing of the product runs as root.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
NOT_ROOT = 10001
HTTP, HTTPS = 80, 443
PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
MOUNTED = ("deploy/Caddyfile", "deploy/roles.sh")
DATA = ("postgres", "seal", "anchor", "packages", "caddy")
EMPTY = (
    *("oidc_client_secret", "mail_url", "transit_token", "pkcs11_pin", "otel_exporter_otlp_headers"),
    *("anchor_bucket_secret", "anchor_webhook_token"),
)
"""Secrets of what is set up later, if at all."""
ROLES = {
    "database_url": ("mandate_app", "postgres_app"),
    "migrate_database_url": ("mandate_owner", "postgres_owner"),
    "seal_database_url": ("mandate_seal", "postgres_seal"),
    "issue_database_url": ("mandate_issue", "postgres_issue"),
}
NEXT = """
Next:
  1. Copy {secrets}/key_encryption_key to a safe place that is not this machine: a backup cannot be read without it.
  2. docker compose up -d --wait
  3. docker compose exec web python manage.py check --deploy --fail-level WARNING
  4. docker compose exec web python manage.py first_admin YOUR@EMAIL
     prints a link, good for 15 minutes, to {console}
  5. Keep {data}/anchor elsewhere as well: docs/operate/backup.md
"""


class Refused(Exception):
    """It cannot be done this way; the message says why."""


def random_text() -> str:
    """Return 256 random bits that need no escaping in an address."""
    return secrets.token_urlsafe(32)


def random_key() -> str:
    """Return 32 random bytes in base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


class Folder:
    """The installation's folder and who shall own what is made in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.secrets, self.data, self.env = root / "secrets", root / "data", root / ".env"
        self.is_root = os.geteuid() == 0
        self.uid = NOT_ROOT if self.is_root else os.geteuid()
        self.gid = NOT_ROOT if self.is_root else os.getegid()
        self.created: list[str] = []

    def make_folder(self, path: Path) -> None:
        """Make a private folder unless it is there."""
        if not path.is_dir():
            path.mkdir(mode=PRIVATE_FOLDER)
            path.chmod(PRIVATE_FOLDER)
            self._hand_over(path)

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """Return a secret; make it for its owner alone, unless it is there. Raises Refused when others may read it."""
        path = self.secrets / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                raise Refused(f"{path} can be read by others; chmod 600 it.") from None
            return path.read_text(encoding="utf-8").strip()
        value = make()
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value + "\n" if value else "")
            os.fchmod(descriptor, PRIVATE)
        self._hand_over(path)
        self.created.append(name)
        return value

    def settings(self, wanted: Mapping[str, str]) -> None:
        """Add to `.env` each line that is not there yet."""
        there = self.env.read_text(encoding="utf-8") if self.env.exists() else ""
        names = {line.partition("=")[0].strip() for line in there.splitlines()}
        added = [f"{name}={value}" for name, value in wanted.items() if name not in names]
        if added:
            with self.env.open("a", encoding="utf-8") as file:
                file.write("" if there.endswith("\n") or not there else "\n")
                file.write("\n".join(added) + "\n")
            self.env.chmod(PRIVATE)
            self.created.append(f".env ({len(added)} lines)")

    def setting(self, name: str) -> str:
        """Return a line of `.env`."""
        lines = self.env.read_text(encoding="utf-8").splitlines() if self.env.exists() else []
        return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), "")

    def _hand_over(self, path: Path) -> None:
        if self.is_root:
            os.chown(path, self.uid, self.gid)


def install(folder: Folder, host: str, gateway: str, acme: str, ports: tuple[int, int] = (HTTP, HTTPS)) -> None:
    """Write what is missing. Raises Refused when the host is not the one that was installed."""
    for name, value in {"CONSOLE_HOST": host, "GATEWAY_HOST": gateway}.items():
        if (there := folder.setting(name)) and there != value:
            raise Refused(f"{folder.env} says {name}={there}. Edit it there to move to {value}; tokens name it.")
    folder.make_folder(folder.secrets)
    folder.make_folder(folder.data)
    for name in DATA:
        folder.make_folder(folder.data / name)
    for name in MOUNTED:  # a clone under umask 077 would keep them from the containers' account
        if (mounted := folder.root / name).exists():
            mounted.chmod(mounted.stat().st_mode | 0o044)
    folder.secret("secret_key", lambda: secrets.token_urlsafe(48))
    folder.secret("key_encryption_key", random_key)
    folder.secret("key_encryption_key_previous", lambda: "")
    folder.secret("postgres_superuser", random_text)
    for name, (role, password_of) in ROLES.items():
        password = folder.secret(password_of, random_text)
        address = f"postgresql://{role}:{password}@postgres/mandate"
        folder.secret(name, partial(str, address))
    folder.secret("feed_database_url", lambda: "")
    redis = folder.secret("redis_password", random_text)
    folder.secret("redis_conf", lambda: f'bind * -::*\nrequirepass {redis}\nsave ""\nappendonly no\ndir /data')
    folder.secret("redis_url", lambda: f"redis://:{redis}@redis:6379/0")
    folder.secret("metrics_token", random_text)
    for name in EMPTY:
        folder.secret(name, lambda: "")
    http, https = (
        int(folder.setting(f"{name}_PORT") or port) for name, port in zip(("HTTP", "HTTPS"), ports, strict=True)
    )
    suffix = "" if https == HTTPS else f":{https}"
    folder.settings(
        {
            "CONSOLE_HOST": host,
            "GATEWAY_HOST": gateway,
            "CONSOLE_URL": f"https://{host}{suffix}",
            "GATEWAY_URL": f"https://{gateway}{suffix}",
            "HTTP_PORT": str(http),
            "HTTPS_PORT": str(https),
            "TLS_BY": acme or "internal",
            "MANDATE_UID": str(folder.uid),
            "MANDATE_GID": str(folder.gid),
            "SECRETS": str(folder.secrets),
            "DATA": str(folder.data),
        }
    )


def main(arguments: list[str]) -> int:
    """Read the command line, install, and say what comes next."""
    parser = argparse.ArgumentParser(prog="scripts/install", description="Prepare this folder for docker compose.")
    parser.add_argument("--host", required=True, help="name of the console, the API and the issuers")
    parser.add_argument("--gateway-host", default="", help="name of the gateway (default: gateway.HOST)")
    parser.add_argument("--acme", default="", metavar="EMAIL", help="public certificates; else the proxy makes its own")
    parser.add_argument("--http-port", type=int, default=HTTP, help="where the proxy redirects from (default: 80)")
    parser.add_argument("--https-port", type=int, default=HTTPS, help="where the proxy serves (default: 443)")
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1])
    options = parser.parse_args(arguments)
    gateway = options.gateway_host or f"gateway.{options.host}"
    for name in (options.host, gateway):
        if not HOST.fullmatch(name):
            parser.error(f"{name!r} is not a host name")
    folder = Folder(options.folder.resolve())
    try:
        install(folder, options.host, gateway, options.acme, (options.http_port, options.https_port))
    except (Refused, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"Made: {', '.join(folder.created)}" if folder.created else "Everything was there already.")
    print(NEXT.format(secrets=folder.secrets, data=folder.data, console=folder.setting("CONSOLE_URL")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
