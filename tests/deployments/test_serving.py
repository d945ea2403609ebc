"""The web process in itself: what it does with the garbage of its answers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture import tree

pytestmark = pytest.mark.django_db(transaction=True)
ASK = """
import gc, weakref
from governance import wsgi

class Row: pass

def answered(environ, start_response):
    one, other = Row(), Row()
    one.other, other.other = other, one
    left.append(weakref.ref(one))
    return [b"said"]

left, wsgi._application = [], answered
answer = wsgi.application({}, None)
print(list(answer), left[0]() is None)
answer.close()
print(left[0]() is None, gc.get_freeze_count() > 100_000)
"""


def test_the_garbage_of_an_answer_is_collected_when_it_is_out_and_nothing_that_was_loaded_is_looked_through() -> None:
    command = [sys.executable, "-W", "ignore", "-c", ASK]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[b'said'] False", "True True"]
