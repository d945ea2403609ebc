"""What each signer outside needs to be reached: read from the environment by `governance/env.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TransitOptions:
    """A transit engine of OpenBao or Vault. `token` reads the token anew: an agent beside us may have renewed it."""

    url: str
    mount: str
    namespace: str
    ca_file: str
    token: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pkcs11Options:
    """A token of a hardware security module: the library that speaks to it, the token's label, and the PIN."""

    module: str
    token: str
    pin: Callable[[], str] = field(repr=False)
