"""Why a change of a system's network is refused."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class NetworkMalformed(DomainError):
    """Give private networks as CIDR (10.20.0.0/16), and certificates of authorities as PEM."""

    code, status = "network_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


class NetworkForbidden(DomainError):
    """Only private networks are opened: never loopback, link-local, cloud metadata or public addresses.

    Private are 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 and fc00::/7.
    """

    code, status = "network_forbidden", HTTPStatus.UNPROCESSABLE_ENTITY


class ClientCertificateMalformed(DomainError):
    """Give the certificate chain and its unencrypted private key as PEM. The key must belong to the first certificate.

    The key is P-256, P-384, Ed25519 or RSA with at least 2048 bits, and the certificate is valid now.
    """

    code, status = "client_certificate_malformed", HTTPStatus.UNPROCESSABLE_ENTITY
