"""The containers' health check of the processes that listen nowhere."""

import os
import time
from pathlib import Path

from django.conf import LazySettings

from audit import alive
from governance import probe


def test_a_process_that_touched_its_file_lately_is_well(tmp_path: Path, settings: LazySettings) -> None:
    file = tmp_path / "alive"
    settings.ALIVE_FILE = str(file)
    assert probe.main(str(file)) == 1

    alive.touch()

    assert probe.main(str(file)) == 0
    old = time.time() - probe.OLD_SECONDS - 1
    os.utime(file, (old, old))
    assert probe.main(str(file)) == 1


def test_a_disk_that_is_full_or_gone_ends_no_process(tmp_path: Path, settings: LazySettings) -> None:
    settings.ALIVE_FILE = str(tmp_path / "no folder" / "alive")
    alive.touch()
