"""A client's key and the proofs that it makes (RFC 9449), each member of which can be spoiled."""

# ruff: noqa: ANN401 - claims are any JSON

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwk
from joserfc.jws import JWSRegistry

from entitlements.dpop import proofs
from entitlements.keys import jws


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@dataclass(frozen=True)
class Holder:
    """Who holds a key."""

    algorithm: str = "ES256"
    key: Any = field(default_factory=lambda: jwk.ECKey.generate_key("P-256"))

    @property
    def public(self) -> dict[str, Any]:
        return {name: value for name, value in self.key.as_dict(private=False).items() if name != "kid"}

    @property
    def thumbprint(self) -> str:
        return proofs.thumbprint(self.public)

    def prove(self, method: str, address: str, **more: Any) -> str:
        """Make a proof; `token` and `body` are named in it, `header` changes its header, None leaves a claim out."""
        header = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.public, **more.pop("header", {})}
        claims = {"jti": str(uuid.uuid4()), "htm": method, "htu": address, "iat": int(time.time())}
        if (token := more.pop("token", None)) is not None:
            claims["ath"] = proofs.access_token_hash(token)
        if (body := more.pop("body", None)) is not None:
            claims["content_digest"] = proofs.content_digest(body)
        said = {name: value for name, value in (claims | more).items() if value is not None}
        return self.signed({name: value for name, value in header.items() if value is not None}, said)

    def signed(self, header: object, claims: object) -> str:
        """Sign anything at all."""
        text = f"{part(header)}.{part(claims)}"
        signature = JWSRegistry(algorithms=sorted(jws.ALGORITHMS)).get_alg(self.algorithm).sign(text.encode(), self.key)
        return f"{text}.{part(signature)}"
