"""Domains and hosts: one strict reader of names, mail addresses and http(s) URLs.

A URL that parsers are known to read in two ways points nowhere: user names, backslashes, spaces, an `@` before the
first slash (RFC 3986 section 3.2 and the WHATWG URL standard disagree with older parsers there), ports with zeros in
front, IPv4 in any other form than four decimals (WHATWG section 3.5), names that IDNA 2003 and 2008 encode differently.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna

from entitlements.constraints.values import LONGEST_TEXT, Malformed, text, texts

type Host = tuple[str, str, int]

_LONGEST_DOMAIN: Final = 253
_LONGEST_ADDRESS: Final = 320
_HIGHEST_PORT: Final = 65535
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LOCAL: Final = re.compile(r"[A-Za-z0-9_+'=~-]+(?:\.[A-Za-z0-9_+'=~-]+)*")
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A name whose last label is a number, which a URL parser reads as IPv4."""
_PORT: Final = r"(?::([1-9][0-9]{0,4}|0))?"
_URL: Final = re.compile(
    rf"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-\u0080-\U0010FFFF]+){_PORT}"
    r"(/[\x21\x22\x24-\x3E\x40-\x5B\x5D-\x7E]*)?(?:[?#][\x21-\x5B\x5D-\x7E]*)?"
)
_ENTRY: Final = re.compile(rf"(\[[^\]]*\]|[^:\[\]]+){_PORT}")
_PORTS: Final = {"http": 80, "https": 443}


def _domain(written: str, *, wild: bool) -> str | None:
    name = written[2:] if wild and written.startswith("*.") else written
    lowered = name.lower()
    if not written.isascii() or len(name) > _LONGEST_DOMAIN or not _DOMAIN.fullmatch(lowered):
        return None
    return written.lower()


def matches(name: str, pattern: str) -> bool:
    """Whether a name, or a narrower pattern, falls under a pattern; `*.` means at least one label more."""
    if name == pattern:
        return True
    return pattern.startswith("*.") and name.removeprefix("*.").endswith(pattern[1:])


def read_domains(written: object) -> tuple[str, ...]:
    """Read the names of a `domain_in`. Raises Malformed."""
    names = [_domain(name, wild=True) for name in texts("domain_in", written)]
    if None in names:
        raise Malformed("domain_in wants ASCII domain names; '*.example.com' stands for every subdomain")
    return tuple(name for name in names if name is not None)


def domain(value: object) -> str | None:
    """Read a domain name, or that of a mail address, in lower case. None for anything else."""
    content = text(value)
    if content is None or len(content) > _LONGEST_ADDRESS:
        return None
    local, at, rest = content.rpartition("@")
    return None if at and not _LOCAL.fullmatch(local) else _domain(rest, wild=False)


def in_domains(patterns: tuple[str, ...], value: object, _now: float | None) -> bool:
    """Whether a name or mail address belongs to one of the domains."""
    name = domain(value)
    return name is not None and any(matches(name, pattern) for pattern in patterns)


def url_host(value: object) -> Host | None:
    """Read where an http(s) URL points: (scheme, host, port). None for user names, spaces, backslashes and the like."""
    match = _url(value)
    return _host(match[1], match[2], match[3], wild=False) if match else None


def url_path(value: str) -> str | None:
    """Return the path of an http(s) URL as it is written, "/" for none; None where it does not say where it points."""
    match = _url(value)
    return (match[4] or "/") if match and _host(match[1], match[2], match[3], wild=False) else None


def read_hosts(written: object) -> tuple[Host, ...]:
    """Read the hosts of a `host_in`: https where no scheme is given, the port of the scheme where none is.

    Raises Malformed.
    """
    hosts = []
    for entry in texts("host_in", written):
        scheme, sep, rest = entry.partition("://")
        scheme, rest = (scheme, rest) if sep else ("https", entry)
        match = _ENTRY.fullmatch(rest)
        host = _host(scheme, match[1], match[2], wild=True) if match and scheme in _PORTS else None
        if host is None:
            raise Malformed("host_in wants hosts such as api.example.com, *.example.com or http://localhost:8080")
        hosts.append(host)
    return tuple(hosts)


def in_hosts(allowed: tuple[Host, ...], value: object, _now: float | None) -> bool:
    """Whether a URL points to one of the hosts."""
    parsed = url_host(value)
    return parsed is not None and any(host_within(parsed, host) for host in allowed)


def host_within(inner: Host, outer: Host) -> bool:
    """Whether a host, or a narrower pattern, is one that another allows: by scheme, port and name."""
    return inner[0] == outer[0] and inner[2] == outer[2] and matches(inner[1], outer[1])


def say_host(host: Host) -> str:
    """Write a host as a person reads it."""
    port = "" if host[2] == _PORTS[host[0]] else f":{host[2]}"
    return f"{host[0]}://{host[1]}{port}"


def _url(value: object) -> re.Match[str] | None:
    content = text(value)
    match = _URL.fullmatch(content) if content is not None and len(content) <= LONGEST_TEXT else None
    if match is None or (match[4] is None and "@" in match.string[match.end(2) :].partition("/")[0]):
        return None
    return match


def _host(scheme: str, name: str, port: str | None, *, wild: bool) -> Host | None:
    canonical = _literal(name) if name.startswith("[") else _name(name, wild=wild)
    number_of_port = int(port) if port else _PORTS[scheme]
    return (scheme, canonical, number_of_port) if canonical and 0 < number_of_port <= _HIGHEST_PORT else None


def _literal(name: str) -> str | None:
    """Read an IPv6 address in brackets, without a zone."""
    try:
        return f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]" if "%" not in name else None
    except ValueError:
        return None


def _name(written: str, *, wild: bool) -> str | None:
    """Read a name in the form in which names are compared, or an IPv4 address."""
    name = written if written.isascii() else _a_labels(written, wild=wild)
    canonical = _domain(name, wild=wild) if name else None
    if canonical is None or not _NUMERIC.fullmatch(canonical):
        return canonical
    try:
        return str(ipaddress.IPv4Address(canonical))
    except ValueError:
        return None


def _a_labels(written: str, *, wild: bool) -> str | None:
    """Encode a name in other letters, where the old and the new rules of IDNA agree on it and each dot is a dot."""
    star = "*." if wild and written.startswith("*.") else ""
    name = written[len(star) :]
    if len(name) > _LONGEST_DOMAIN:
        return None
    try:
        encoded = idna.encode(name, strict=True)
        is_agreed = encoded == name.encode("idna")
    except (idna.IDNAError, UnicodeError):
        return None
    return star + encoded.decode() if is_agreed else None
