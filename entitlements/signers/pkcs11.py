"""Keys in a hardware security module, by PKCS#11: made there, marked sensitive, and never taken out.

It wants the package `python-pkcs11`, which comes with `mandate[pkcs11]`, and the library of the module's maker. That
package says to the library that one thread at a time calls it (C_Initialize without arguments), so one does.
"""

from __future__ import annotations

import hashlib
import importlib
import threading
from collections.abc import Callable
from typing import Any, Final

from joserfc import jwk

from . import algorithms, handle
from .handle import Handle
from .options import Pkcs11Options
from .signer import NewKey, SignerUnreachable

_P256: Final = bytes.fromhex("06082a8648ce3d030107")
_ED25519: Final = bytes.fromhex("06032b6570")
"""The object identifiers of the curves in DER (RFC 5480, RFC 8410)."""


SECONDS: Final = 2.0
"""How long a thread waits for those before it."""


class Pkcs11Signer:
    """Speaks to one token of a module, in one session. The library is loaded by the process that signs."""

    is_remote = True

    def __init__(self, options: Pkcs11Options) -> None:
        try:
            self._pkcs11: Any = importlib.import_module("pkcs11")
        except ImportError as error:
            raise SignerUnreachable("The signer pkcs11 wants the package python-pkcs11: mandate[pkcs11].") from error
        self._options, self._lock = options, threading.Lock()
        self._session: Any = None

    def make(self, kid: str, algorithm: str) -> NewKey:
        """Make a pair of keys of the name of ours, whose private half is neither shown nor taken out."""
        return self._do(lambda session: self._made(session, kid, algorithm))

    def sign(self, kid: str, private: bytes, algorithm: str, data: bytes) -> bytes:
        """Sign there, and check it here."""
        del kid
        key = handle.read(private)
        return key.checked(algorithm, data, self._do(lambda session: self._signed(session, key.name, algorithm, data)))

    def destroy(self, kid: str, private: bytes) -> None:
        """Delete both halves there."""
        del kid
        name = handle.read(private).name

        def delete(session: Any) -> None:  # noqa: ANN401 - the package has no types
            for found in list(session.get_objects({self._pkcs11.Attribute.LABEL: name})):
                found.destroy()

        self._do(delete)

    def _do[Done](self, work: Callable[[Any], Done]) -> Done:
        """Do something in the session, alone. One that broke off is begun anew once. Raises SignerUnreachable."""
        errors = (self._pkcs11.exceptions.PKCS11Error, OSError, RuntimeError)
        if not self._lock.acquire(timeout=SECONDS):
            raise SignerUnreachable
        try:
            for is_last in (False, True):
                try:
                    self._session = self._session or self._opened()
                    return work(self._session)
                except errors as error:
                    self._session = None
                    if is_last:
                        raise SignerUnreachable from error
        finally:
            self._lock.release()
        raise SignerUnreachable

    def _opened(self) -> Any:  # noqa: ANN401 - the package has no types
        """Open a session. Signing in holds for the whole process, also for a session that is begun anew."""
        token = self._pkcs11.lib(self._options.module).get_token(token_label=self._options.token)
        try:
            return token.open(user_pin=self._options.pin(), rw=True)
        except self._pkcs11.exceptions.UserAlreadyLoggedIn:
            return token.open(rw=True)

    def _made(self, session: Any, kid: str, algorithm: str) -> NewKey:  # noqa: ANN401 - as above
        name, attribute, kinds = f"mandate-{kid}", self._pkcs11.Attribute, self._pkcs11.KeyType
        more = {
            "store": True,
            "label": name,
            "private_template": {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
        }
        if algorithm == algorithms.RS256:
            public, _ = session.generate_keypair(kinds.RSA, algorithms.RSA_BITS, **more)
            numbers = {"n": _written(public[attribute.MODULUS]), "e": _written(public[attribute.PUBLIC_EXPONENT])}
            return self._handle(name, kid, algorithm, {"kty": "RSA", **numbers})
        is_edwards = algorithm == algorithms.EDDSA
        curve = {attribute.EC_PARAMS: _ED25519 if is_edwards else _P256}
        domain = session.create_domain_parameters(kinds.EC_EDWARDS if is_edwards else kinds.EC, curve, local=True)
        if is_edwards:
            more["mechanism"] = self._pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        public, _ = domain.generate_keypair(**more)
        point = _point(public[attribute.EC_POINT])
        if is_edwards:
            return self._handle(name, kid, algorithm, {"kty": "OKP", "crv": "Ed25519", "x": _written(point)})
        pair = {"x": _written(point[1:33]), "y": _written(point[33:])}
        return self._handle(name, kid, algorithm, {"kty": "EC", "crv": "P-256", **pair})

    def _handle(self, name: str, kid: str, algorithm: str, numbers: dict[str, str]) -> NewKey:
        jwk.import_key({**numbers})  # which looks whether it is a key at all
        return Handle(name, {**numbers, **algorithms.described(kid, algorithm)}).new_key()

    def _signed(self, session: Any, name: str, algorithm: str, data: bytes) -> bytes:  # noqa: ANN401 - as above
        key = session.get_key(object_class=self._pkcs11.ObjectClass.PRIVATE_KEY, label=name)
        mechanisms = self._pkcs11.Mechanism
        if algorithm == algorithms.ES256:
            return bytes(key.sign(hashlib.sha256(data).digest(), mechanism=mechanisms.ECDSA))
        mechanism = mechanisms.EDDSA if algorithm == algorithms.EDDSA else mechanisms.SHA256_RSA_PKCS
        return bytes(key.sign(data, mechanism=mechanism))


def _written(number: bytes) -> str:
    return algorithms.base64url(number)


def _point(octets: bytes) -> bytes:
    """Take a point out of the octet string in DER around it: all of ours are shorter than 128 bytes."""
    is_wrapped = len(octets) > 2 and octets[0] == 4 and octets[1] == len(octets) - 2  # noqa: PLR2004 - a head of two
    return bytes(octets[2:] if is_wrapped else octets)
