"""Envoy in front of several nodes, round robin: the balancer that the tests of several nodes go through.

It tries a request again only where nothing of it was sent: the connection was refused, or ended before the request.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from scripts.devservers import free_port
from tests import waits
from tests.conformance import servers

RETRIED = "connect-failure,refused-stream,reset-before-request"


@dataclass(frozen=True)
class Balancer:
    """A running Envoy."""

    base: str
    admin: str
    log: Path

    def served(self) -> dict[int, int]:
        """Return how many requests each node answered with success, by its port."""
        with urllib.request.urlopen(f"{self.admin}/clusters?format=json") as answer:  # noqa: S310 - our own address
            hosts = json.load(answer)["cluster_statuses"][0]["host_statuses"]
        found: dict[int, int] = {}
        for host in hosts:
            stats = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
            found[host["address"]["socket_address"]["port_value"]] = stats["rq_success"]
        return found

    def failed(self) -> list[dict[str, Any]]:
        """Return what the log, whole once Envoy has ended, says of the requests that it answered itself with 503.

        Of each: `flags` and the node, `UC` where the connection ended after the request was sent to that node.
        """
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["status"] == HTTPStatus.SERVICE_UNAVAILABLE]


type Headers = Mapping[str, str]


@contextlib.contextmanager
def balancing(
    folder: Path,
    *ports: int,
    port: int | None = None,
    headers: Headers | None = None,
    below: Mapping[str, Headers] | None = None,
) -> Iterator[Balancer]:
    """Run Envoy before nodes on this machine until the block ends; `folder` keeps its configuration.

    `headers` are added to each request, for programs that cannot send their own; `below` names those of single paths.
    """
    port, admin = port or free_port(), free_port()
    file = folder / "envoy.json"
    log = folder / "requests.json"
    file.write_text(json.dumps(configuration(port, admin, ports, log, {**(below or {}), "/": headers or {}})))
    command = [servers.program("envoy"), "-c", str(file), "--log-level", "warn", "--concurrency", "1"]
    command += ["--disable-hot-restart", "--drain-time-s", "1"]
    child = subprocess.Popen(command)
    try:
        balancer = Balancer(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", log)
        waits.until(lambda: servers.answers(f"{balancer.admin}/ready"), child)
        yield balancer
    finally:
        waits.stop(child)


def configuration(
    port: int, admin: int, ports: tuple[int, ...], log: Path, headers: Mapping[str, Headers]
) -> dict[str, Any]:
    """Return Envoy's bootstrap: one listener, one cluster; streams are never cut for their length.

    The first route of `headers`, by the beginning of its path, adds these to a request.
    """
    routes = [_route(prefix, added) for prefix, added in headers.items()]
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "nodes",
        "route_config": {"virtual_hosts": [{"name": "nodes", "domains": ["*"], "routes": routes}]},
        "access_log": [{"name": "file", "typed_config": _log(log)}],
        "http_filters": [{"name": "router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}}],
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [{"name": "edge", "address": _address(port), "filter_chains": [{"filters": filters}]}],
            "clusters": [_cluster(ports)],
        },
    }


def _route(prefix: str, headers: Headers) -> dict[str, Any]:
    another = {"@type": _type("retry.host.previous_hosts.v3.PreviousHostsPredicate")}
    retries = {
        "retry_on": RETRIED,
        "num_retries": 2,
        "retry_host_predicate": [{"name": "another node", "typed_config": another}],
        "host_selection_retry_max_attempts": 5,
    }
    return {
        "match": {"prefix": prefix},
        "route": {"cluster": "nodes", "timeout": "0s", "retry_policy": retries},
        "request_headers_to_add": [{"header": {"key": key, "value": value}} for key, value in headers.items()],
    }


def _log(path: Path) -> dict[str, Any]:
    logged = {"status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "node": "%UPSTREAM_HOST%"}
    return {
        "@type": _type("access_loggers.file.v3.FileAccessLog"),
        "path": str(path),
        "log_format": {"json_format": logged},
    }


def _cluster(ports: tuple[int, ...]) -> dict[str, Any]:
    nodes = [{"endpoint": {"address": _address(port)}} for port in ports]
    return {
        "name": "nodes",
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_retries": 1000}]},  # of all calls together; 3 otherwise
        "load_assignment": {"cluster_name": "nodes", "endpoints": [{"lb_endpoints": nodes}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
