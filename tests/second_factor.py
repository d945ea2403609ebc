"""An authenticator app in a test's hand: codes that are still good when they arrive."""

from __future__ import annotations

import time
from typing import Final

from allauth.mfa import app_settings
from allauth.mfa.totp.internal import auth as totp

from entitlements.people.models import Person

GOOD_FOR_SECONDS: Final = 8
"""What a slow machine may need from here to where the code is checked."""


def given_to(person: Person) -> str:
    """Give somebody an app, as setting it up does; returns its secret."""
    secret: str = totp.generate_totp_secret()
    totp.TOTP.activate(person, secret)
    return secret


def code(secret: str) -> str:
    """Return the code of this moment; near the end of its time (RFC 6238, section 5.2) wait for the next one."""
    left = app_settings.TOTP_PERIOD - time.time() % app_settings.TOTP_PERIOD
    if left < GOOD_FOR_SECONDS:
        time.sleep(left)
    shown: str = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // app_settings.TOTP_PERIOD))
    return shown
