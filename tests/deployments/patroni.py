"""Two PostgreSQL servers under Debian's Patroni and one etcd, with the configuration of docs/operate/database.md."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import yaml
from psycopg import sql

from scripts import devprograms, devservers
from scripts.devprograms import Account
from scripts.devservers import free_port
from tests import databases, snapshots, waits
from tests.architecture import tree
from tests.deployments.pgbouncer import INI, PID_FILE

PATRONI, ETCD = shutil.which("patroni"), shutil.which("etcd")
SPEAKS_TO_ETCD = Path("/usr/lib/python3/dist-packages/etcd").is_dir()
"""Whether Debian's Patroni finds `python3-etcd`, which it only recommends."""
PROGRAMS = ("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_controldata", "pg_isready", "pg_rewind")
QUICK = {"fsync": "off", "unix_socket_directories": ""}
"""What this machine's tests do without: it is processes that die here, and no machine."""


def documented() -> dict[str, Any]:
    """Return the configuration that the documentation shows."""
    page = (tree.ROOT / "docs/operate/database.md").read_text(encoding="utf-8")
    shown: dict[str, Any] = yaml.safe_load(
        page.partition("## Patroni")[2].partition("```yaml\n")[2].partition("```")[0]
    )
    return shown


class Server:
    """One machine of the cluster: Patroni and its PostgreSQL."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name, self.cluster = name, cluster
        self.port, self.rest = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = cluster.folder / name
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self) -> Path:
        """Write the documented configuration with this server's name and addresses."""
        config = documented()
        here, asked = self.address, f"127.0.0.1:{self.rest}"
        config |= {"name": self.name, "restapi": {"listen": asked, "connect_address": asked}}
        config["bootstrap"]["initdb"].append("no-sync")
        config["etcd3"]["hosts"] = [f"127.0.0.1:{self.cluster.etcd_port}"]
        rows = config["postgresql"]
        rows |= {"listen": here, "connect_address": here, "data_dir": str(self.folder / "data")}
        rows |= {"bin_dir": str(self.cluster.binaries), "pgpass": str(self.folder / "pgpass"), "parameters": QUICK}
        rows["basebackup"] = [{"checkpoint": "fast"}]  # else a standby waits for the next checkpoint
        for role in rows["authentication"].values():
            role["password"] = self.cluster.password
        rows["callbacks"] = {"on_role_change": str(self.folder / "callback")}
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / "patroni.yml"
        path.write_text(yaml.safe_dump(config))
        for each in (self.folder, path):
            os.chown(each, self.cluster.account.uid, self.cluster.account.gid)
        return path

    def start(self) -> None:
        """Let the machine come up."""
        with (self.folder / "log").open("ab") as log:
            command = [str(PATRONI), str(self.folder / "patroni.yml")]
            env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
            self.process = self.cluster.account.popen(command, stdout=log, stderr=log, env=env)

    def status(self) -> dict[str, Any]:
        """Return what Patroni says of itself; nothing while it does not answer."""
        try:
            said: dict[str, Any] = httpx2.get(f"http://127.0.0.1:{self.rest}/patroni", timeout=waits.A_TRY).json()
        except httpx2.HTTPError:
            return {}
        return said

    @property
    def is_running(self) -> bool:
        """Whether Patroni runs here."""
        return self.process is not None and self.process.poll() is None

    def processes(self) -> dict[int, str]:
        """Return PostgreSQL's processes and what each calls itself, the first of them first."""
        postmaster = (self.folder / "data/postmaster.pid").read_text().split()[0]
        found = dict[int, str]()
        for pid in (postmaster, *Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()):
            with contextlib.suppress(OSError):
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_text()
        return found

    def send_no_more(self) -> None:
        """Let the standby get nothing from now on, as when the network fails a moment before the machine."""
        for pid, name in self.processes().items():
            if "walsender" in name:
                os.kill(pid, signal.SIGSTOP)

    def kill(self) -> None:
        """End all of the machine's processes at one moment, the way a power cut does."""
        assert self.process is not None
        everything = (self.process.pid, *self.processes())
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in everything:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.process.wait()

    def stop(self) -> None:
        """End what still runs, in any state."""
        if self.process is not None and self.is_running:
            self.process.terminate()
            try:
                self.process.wait(waits.SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


class Cluster:
    """Two servers, one etcd."""

    def __init__(self, folder: Path) -> None:
        self.account, self.folder = Account(), folder
        os.chown(folder, self.account.uid, self.account.gid)
        self.tools = next(each for each in devprograms.postgres_folders() if (each / "pg_basebackup").exists())
        self.binaries = self.tools
        if not self.account.can_run(self.tools / "postgres"):
            self.binaries = devprograms.copy_postgres(self.tools, folder / "install", PROGRAMS)
        self.password = secrets.token_urlsafe(16)
        self.passwords = {role: secrets.token_urlsafe(16) for role in devservers.ROLES}
        self.etcd_port = free_port(2)
        self.etcd: subprocess.Popen[bytes] | None = None
        self.servers = [Server("one", self), Server("two", self)]

    @property
    def hosts(self) -> str:
        """Both servers, as an address names them."""
        return ",".join(server.address for server in self.servers)

    def url(self, role: str, hosts: str = "") -> str:
        """Return the address for one role of the product: of both servers, or of one."""
        return f"postgresql://{role}:{self.passwords[role]}@{hosts or self.hosts}/{devservers.DATABASE}"

    def start(self) -> None:
        """Bring both up, the second as a synchronous standby, with the product's roles and an empty database."""
        client, peer = (f"http://127.0.0.1:{self.etcd_port + n}" for n in (0, 1))
        listen = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
        joined = ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        with (self.folder / "etcd.log").open("wb") as log:
            command = [str(ETCD), "--data-dir", str(self.folder / "etcd"), *listen, *joined]
            self.etcd = self.account.popen(command, stdout=log, stderr=log)
        for server in self.servers:
            server.configure()
            server.start()
        self.wait(lambda: self.primary is not None)
        self.create()
        self.wait(lambda: self.is_synchronous)

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to become true; the servers' logs say why it did not."""
        try:
            waits.until(is_so)
        except AssertionError as why:
            logs = [(server.folder / "log").read_text()[-3000:] for server in self.servers]
            logs += [(self.folder / "etcd.log").read_text()[-1000:]]
            pytest.fail("\n\n".join([str(why), *logs]))

    @property
    def primary(self) -> Server | None:
        """The server that takes writes, as it says itself."""
        found = [each for each in self.servers if each.status().get("role") == "primary"]
        return next((each for each in found if each.status().get("state") == "running"), None)

    @property
    def is_synchronous(self) -> bool:
        """Whether each commit waits for the standby, and Patroni would promote it."""
        return any(each.status().get("sync_standby") for each in self.servers)

    @property
    def admin(self) -> str:
        """The superuser's address at the primary."""
        assert self.primary is not None
        return f"postgresql://postgres:{self.password}@{self.primary.address}/postgres"

    def create(self) -> None:
        """Make the roles of the product, and its database from a dump of this test process's."""
        assert self.primary is not None
        here = self.primary.address
        with psycopg.connect(self.admin, autocommit=True) as admin:
            for role, password in self.passwords.items():
                admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), password))
            admin.execute(
                f"CREATE DATABASE {devservers.DATABASE} OWNER mandate_owner TEMPLATE template0 ENCODING 'UTF8'"
            )
        of_tests = [f"--exclude-schema={schema}" for schema in (databases.SEED, snapshots.SCHEMA)]
        dump = [str(self.tools / "pg_dump"), *of_tests, databases.addresses().owner]
        restore = [str(self.tools / "psql"), "--quiet", "--set", "ON_ERROR_STOP=1", self.url("mandate_owner", here)]
        with subprocess.Popen(dump, stdout=subprocess.PIPE) as dumped:
            subprocess.run(restore, stdin=dumped.stdout, stdout=subprocess.DEVNULL, check=True)
        assert dumped.returncode == 0

    def point(self, pgbouncer: Path) -> None:
        """Let whichever server takes over name itself to PgBouncer, by the documented script."""
        page = (tree.ROOT / "docs/operate/database.md").read_text(encoding="utf-8")
        script = page.partition("```sh\n#!")[2].partition("```")[0]
        for server in self.servers:
            told = script.replace("host=one.example port=5432", f"host=127.0.0.1 port={server.port}")
            told = told.replace("/etc/pgbouncer/pgbouncer.ini", str(pgbouncer / INI))
            path = server.folder / "callback"
            path.write_text("#!" + told.replace("/run/pgbouncer/pgbouncer.pid", str(pgbouncer / PID_FILE)))
            path.chmod(0o755)

    def configure(self, **changed: object) -> None:
        """Change what both servers are told by etcd."""
        assert self.primary is not None
        httpx2.patch(
            f"http://127.0.0.1:{self.primary.rest}/config", json=changed, timeout=waits.SECONDS
        ).raise_for_status()

    def end_lease(self) -> None:
        """Let the lost primary's lease in etcd end now; by itself it does `ttl` seconds after its last renewal."""
        key = base64.b64encode(b"/service/mandate/leader").decode()
        address = f"http://127.0.0.1:{self.etcd_port}/v3/kv/deleterange"
        httpx2.post(address, json={"key": key}, timeout=waits.SECONDS).raise_for_status()

    def stop(self) -> None:
        """End everything."""
        for server in self.servers:
            server.stop()
        if self.etcd is not None:
            self.etcd.kill()
            self.etcd.wait()


@contextlib.contextmanager
def patroni() -> Iterator[Cluster]:
    """Run the cluster until the block ends."""
    with tempfile.TemporaryDirectory(prefix="mandate-patroni-") as made:
        cluster = Cluster(Path(made))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
