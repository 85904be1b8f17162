# SPDX-License-Identifier: Apache-2.0
"""`make demo`: it works in any directory, and what it leaves is what it says."""
import os
import subprocess
import tempfile

import pytest

from estuary import BUILD, PATIENCE, ROOT, wait_for
from test_seeds import pids_below


@pytest.fixture
def where():
    """A directory with a blank in its name, short enough for the sockets below it."""
    with tempfile.TemporaryDirectory(prefix="my demo ") as directory:
        yield directory


def demo(where, **env):
    r = subprocess.run([str(ROOT / "tools/demo")], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10 * PATIENCE,
                       env={**os.environ, "TMPDIR": where, "BUILD": str(BUILD), **env})
    assert r.returncode == 0 and "\nIt works.\n" in r.stdout, r.stdout[-3000:] + r.stderr[-3000:]
    return r.stdout.split("\nIt works.\n")[1]


@pytest.mark.skipif("ESTUARY_SANITIZED" in os.environ, reason="openssl has no sanitizer of its own")
def test_the_demo_ends_all_that_it_started_and_says_so(where):
    said = demo(where)
    assert "stopped" in said and "https://" not in said
    assert pids_below(where) == [] and os.listdir(where) == []


@pytest.mark.skipif("ESTUARY_SANITIZED" in os.environ, reason="openssl has no sanitizer of its own")
def test_what_the_demo_keeps_is_ended_by_the_line_that_it_prints(where):
    said = demo(where, KEEP="1")
    (line,) = [x for x in said.split("\n") if "kill" in x]
    assert "https://" in said and pids_below(where) != []
    subprocess.run(["sh", "-c", line], check=True, capture_output=True, timeout=PATIENCE)
    wait_for("all of it to end", lambda: pids_below(where) == [])
