"""A token of SoftHSM, a security module without hardware, where its package is installed (Debian: `softhsm2`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from entitlements.signers.options import Pkcs11Options

LABEL, PIN = "mandate", "1234"
_LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def library() -> str:
    """Return the library, empty where it is not installed."""
    found = next((path for path in _LIBRARIES if Path(path).exists()), "")
    return found if shutil.which("softhsm2-util") else ""


def token(folder: Path) -> Pkcs11Options:
    """Make a token in a folder; the module reads where it is from the environment of this process, once."""
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    make = ["softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(make, check=True, capture_output=True)
    return Pkcs11Options(library(), LABEL, lambda: PIN)
