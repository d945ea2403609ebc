"""The four images that the compose file builds on.

Where the registries of `docker-compose.yml` are out of reach, stand-ins are made of Debian packages with mmdebstrap:
the same programs, with the folders, owners and capabilities that the public images give them.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

PUBLIC: Final = {
    "PYTHON_IMAGE": "python:3.13-slim",
    "POSTGRES_IMAGE": "postgres:17",
    "VALKEY_IMAGE": "valkey/valkey:8",
    "CADDY_IMAGE": "caddy:2",
}
SUITE: Final = "trixie"
PACKAGES: Final = {
    "PYTHON_IMAGE": "python3,python3-venv,ca-certificates",
    "POSTGRES_IMAGE": "postgresql-17,libnss-wrapper",
    "VALKEY_IMAGE": "valkey-server,valkey-tools",
    "CADDY_IMAGE": "caddy,wget,libcap2-bin",
}
NO_CLUSTER: Final = (
    '--essential-hook=mkdir -p "$1/etc/postgresql-common"',
    '--essential-hook=echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"',
)
"""Debian's package of PostgreSQL would make and start a cluster of its own."""
DOCKERFILES: Final = {
    "PYTHON_IMAGE": """
RUN ln -s /usr/bin/python3 /usr/local/bin/python && python3 -m venv /usr/local/with-pip \\
 && ln -s /usr/local/with-pip/bin/pip /usr/local/bin/pip
""",
    # The public image's folder belongs to its own user, whatever user the container has.
    "POSTGRES_IMAGE": """
ENV PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data && mkdir /docker-entrypoint-initdb.d
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
CMD ["postgres"]
""",
    "VALKEY_IMAGE": """
RUN install -d -o valkey -g valkey /data
VOLUME /data
WORKDIR /data
CMD ["valkey-server"]
""",
    # The public image gives the program a file capability: it starts only where it may have it.
    "CADDY_IMAGE": """
RUN setcap cap_net_bind_service=+ep /usr/bin/caddy && mkdir -p /data/caddy /config/caddy
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
WORKDIR /srv
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
""",
}


def provide() -> dict[str, str]:
    """Return the name of an image for each variable of the compose file; pull it, or make a stand-in once."""
    return {variable: _provide(variable, name) for variable, name in PUBLIC.items()}


def _provide(variable: str, name: str) -> str:
    stand_in = f"mandate-engine/{variable.partition('_')[0].lower()}"
    for known in (name, stand_in):
        if _succeeds("docker", "image", "inspect", known):
            return known
    if _succeeds("timeout", "20", "docker", "pull", "--quiet", name):
        return name
    _make(variable, stand_in)
    return stand_in


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _make(variable: str, tag: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, context = Path(folder, "root.tar"), Path(folder, "context")
        context.mkdir()
        sources = sorted(Path("/etc/apt/sources.list.d").glob("debian.*")) or [Path("/etc/apt/sources.list")]
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                *NO_CLUSTER,
                f"--include={PACKAGES[variable]}",
                SUITE,
                root,
                *sources,
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
        )
        subprocess.run(["docker", "import", root, f"{tag}:root"], check=True, stdout=subprocess.DEVNULL)
        (context / "Dockerfile").write_text(f"FROM {tag}:root\n{DOCKERFILES[variable]}")
        (context / "postgres.sh").write_bytes((Path(__file__).parent / "postgres.sh").read_bytes())
        (context / "postgres.sh").chmod(0o755)
        subprocess.run(["docker", "build", "--quiet", "--tag", tag, context], check=True, stdout=subprocess.DEVNULL)
