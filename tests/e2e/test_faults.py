# SPDX-License-Identifier: Apache-2.0
"""A full disk, a store that cannot be written, a signer that is stuck: 503, nothing half done, recovery by itself."""
import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import time

import pytest

from checker import check_store
from estuary import Daemon, basic, csr, fresh_name, new_key, wait_for
from test_crash import BACK_S, kill_role, serves, wait_back


def ready(server):
    with server.client() as c:
        a, live = c.request("GET", "/health/ready"), c.request("GET", "/health/live")
    assert live.status == 200
    if a.status != 200:
        assert a.status == 503 and int(a.headers["Retry-After"]) > 0
    return a.status == 200


def attempt(server, code, name=None):
    return server.enrol(csr(new_key(), name or fresh_name()), "idevid", headers=basic("", code))


@pytest.fixture
def small_disk(tmp_path):
    """A daemon whose directory is a file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs", str(place)], capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    server = Daemon(place / "d", start=False)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.stop()
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(server):
    """Not an octet is left."""
    path = os.path.join(server.dir, "..", "ballast")
    with open(path, "ab", buffering=0) as f:
        for size in (65536, 4096, 1):
            try:
                while True:
                    f.write(b"\0" * size)
            except OSError:
                continue
    return path


def test_a_full_disk_is_said_and_nothing_is_half_done(small_disk):
    server = small_disk
    codes = [server.new_code() for _ in range(80)]
    before = len(server.op("cert.list", limit=1000)["items"])
    path = fill(server)
    given, refused = [], None
    for code in codes[:-1]:  # what the store had in reserve is used up first
        a = attempt(server, code)
        if a.status != 200:
            refused = a
            break
        given.append(a.cert.serial_number)
    assert refused is not None and refused.status == 503 and int(refused.headers["Retry-After"]) > 0, refused
    wait_for("the truth about the store", lambda: not ready(server))
    serial = format(given[0], "032x") if given else server.op("cert.list", limit=1)["items"][0]["serial"]
    revoked = server.op("cert.revoke", False, serial=serial)
    os.unlink(path)
    wait_for("recovery", lambda: ready(server), BACK_S)
    assert attempt(server, code).status == 200, "the code of the refused request was used up"
    items = server.op("cert.list", limit=1000)["items"]
    assert len(items) == before + len(given) + 1
    state = server.op("cert.show", serial=serial)["state"]
    assert (state == "revoked") == revoked["ok"]
    check_store(server)


def test_a_store_that_somebody_else_holds_is_said(daemon):
    """As a backup that does not let go."""
    server = daemon()
    code = server.new_code()
    db = sqlite3.connect(f"{server.dir}/store/estuary.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")

    def is_said():
        a = attempt(server, code)
        assert a.status == 503 and int(a.headers["Retry-After"]) > 0, a
        return not ready(server)  # a front that has only just started says 503 before it asks

    wait_for("the store to be missed", is_said, BACK_S)
    db.execute("ROLLBACK")
    db.close()
    wait_for("recovery", lambda: ready(server), BACK_S)
    assert attempt(server, code).status == 200
    check_store(server)


def test_what_was_committed_is_told_so_though_the_store_cannot_be_read_after_it(daemon):
    """Everybody is told that the store is lost; fronts hear of the change once it can be read."""
    server = daemon()
    label = server.op("label.show", name="idevid")
    with contextlib.closing(sqlite3.connect(f"{server.dir}/store/estuary.db", isolation_level=None)) as db:
        db.execute("INSERT INTO object VALUES('label', 'broken', 'no label at all')")
        made = server.op("label.create", False, name="after", ca=label["ca"], profile=label["profile"], accept=["code"])
        assert made["ok"], made
        status = server.op("server.status")
        assert not status["store_ok"] and not status["ready"] and "cannot be read" in status["detail"], status
        wait_for("fronts to say so", lambda: not ready(server))
        assert server.op("credential.add", kind="code", scope="new")["secret"]
        assert not server.op("server.status")["store_ok"]
        db.execute("DELETE FROM object WHERE name = 'broken'")
    wait_for("recovery", lambda: ready(server), BACK_S)
    wait_for("the label", lambda: server.get("cacerts", "after").status == 200)
    check_store(server)


def test_a_stuck_signer_is_said_in_time(daemon):
    server = daemon()
    codes = [server.new_code() for _ in range(2)]
    (pid,) = server.role_pids("signer")
    os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        a = attempt(server, codes[0])
        assert time.monotonic() - begin < 15
        assert a.status == 503 and int(a.headers["Retry-After"]) > 0
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_back(server)
    assert attempt(server, codes[0]).status == 200
    check_store(server)


def test_a_dead_signer_is_said_by_health(daemon):
    server = daemon()
    for _ in range(4):  # the backoff leaves time to look
        kill_role(server, "signer")
        if not ready(server):
            break
        wait_back(server)
    else:
        raise AssertionError("ready all the time")
    wait_for("recovery", lambda: ready(server), BACK_S)
    assert serves(server)


def restart_with(server, change):
    server.stop()
    change()
    server.launch()


def test_a_store_of_a_newer_program_is_refused(daemon):
    server = daemon()

    def newer():
        db = sqlite3.connect(f"{server.dir}/store/estuary.db")
        db.execute("PRAGMA user_version = 99")
        db.close()

    restart_with(server, newer)
    wait_for("the reason", lambda: "store: its schema is version 99, this program knows up to 3: run the newer program" in server.log_text())
    assert not os.path.exists(f"{server.dir}/run/ready")
    assert server.stop() == 0
    db = sqlite3.connect(f"{server.dir}/store/estuary.db")
    assert db.execute("PRAGMA user_version").fetchone() == (99,)
    db.close()


def test_a_store_that_is_no_store_is_refused_and_left_as_it_is(daemon):
    server = daemon()
    path = pathlib.Path(server.dir, "store/estuary.db")
    restart_with(server, lambda: path.write_bytes(b"not a database at all" * 100))
    wait_for("the reason", lambda: "role.start-failed" in server.log_text())
    assert server.stop() == 0
    assert path.read_bytes() == b"not a database at all" * 100


def test_a_missing_ca_key_is_named_and_nothing_is_made_in_its_place(daemon):
    server = daemon()
    code = server.new_code()
    key = next(pathlib.Path(server.dir, "keys").glob("issuing-*.pem"))
    aside = key.with_name("aside")
    restart_with(server, lambda: key.rename(aside))
    wait_for("an answer", lambda: os.path.exists(f"{server.dir}/run/ready") or "role.start-failed" in server.log_text())
    if os.path.exists(f"{server.dir}/run/ready"):
        a = attempt(server, code)
        assert a.status in (403, 503) and a.status != 200, a
        assert key.stem in a.text + server.log_text()
    assert not key.exists()
    restart_with(server, lambda: aside.rename(key))
    wait_for("the server", server._ready)
    assert attempt(server, code).status == 200


def test_without_the_tls_key_operators_are_served_and_devices_wait(daemon):
    server = daemon()
    key = pathlib.Path(server.dir, "tls/server.key")
    aside = key.with_name("aside")
    restart_with(server, lambda: key.rename(aside))
    wait_for("the reason", lambda: "front.waiting" in server.log_text())
    wait_for("operators", lambda: os.path.exists(f"{server.dir}/run/operator.sock"))
    assert not os.path.exists(f"{server.dir}/run/ready")
    aside.rename(key)
    wait_for("the server", server._ready)
    assert serves(server)


