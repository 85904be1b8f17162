# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load: what was acknowledged is there, once, and the server comes back by itself."""
import http.client
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from checker import CrlWatch, Load, check, check_store, rows
from estuary import b64, basic, csr, fresh_name, new_key, wait_for

BACK_S = 8  # a restart with its backoff, on a busy machine


def serves(server):
    """Does a new device get its certificate?"""
    try:
        return server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", server.new_code())).status == 200
    except (OSError, AssertionError, ValueError, EOFError):
        return False


def kill_role(server, role):
    """kill -9 of all processes of a role; they are gone when this returns."""
    pids = wait_for(f"a {role}", lambda: server.role_pids(role))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(f"the {role} to die", lambda: not set(pids) & set(server.role_pids(role)))


def kill_all(server):
    """kill -9 of the supervisor; the roles go with it."""
    roles = [p for r in ("front", "authority", "signer", "courier", "console") for p in server.role_pids(r)]
    server.process.kill()
    server.process.wait()
    wait_for("the roles to end", lambda: not any(alive(p) for p in roles), BACK_S)


def wait_back(server):
    wait_for("the server to be back", lambda: os.path.exists(server.info["ready_file"]) and serves(server), BACK_S)


@pytest.mark.parametrize("role", ["front", "authority", "signer", "courier", "console"])
def test_what_was_acknowledged_survives_the_death_of_a_role(daemon, role):
    """F01: three times each; the CRL on disk is whole all along."""
    server = daemon()
    watch = CrlWatch(server)
    try:
        with Load(server) as load:
            for _ in range(3):
                load.wait_more()
                kill_role(server, role)
                wait_back(server)
            load.wait_more()
            acks = load.stop()
    finally:
        watch.stop()
    check(server, acks)
    assert server.process.poll() is None


def test_what_was_acknowledged_survives_the_death_of_everything(daemon):
    """F01: the supervisor dies by kill -9; the roles go with it, and a new start goes on where it was."""
    server = daemon()
    acks = []
    for _ in range(3):
        load = Load(server) if not acks else LoadAgain(server)
        with load:
            load.wait_more(40)
            kill_all(server)
            server.run()
            load.wait_more()
            acks += load.stop()
        check(server, acks)


class LoadAgain(Load):
    """The same load on a store that knows its password already."""

    def __init__(self, server):
        class Known:
            def __getattr__(self, name):
                return getattr(server, name)

            def op(self, verb, **kw):
                return None if verb == "credential.add" else server.op(verb, **kw)
        super().__init__(Known())


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("role", ["authority", "signer"])
def test_without_a_role_devices_are_told_when_to_come_again(daemon, role):
    """503 with Retry-After at once, on a connection that stays open; not ready, but live."""
    server = daemon()
    code = server.new_code()
    der = csr(new_key(), fresh_name())
    with server.client() as c:
        assert c.request("GET", "/health/ready").status == 200
        for pid in server.role_pids(role):
            os.kill(pid, signal.SIGSTOP)  # its successor cannot come before it is dead
        (pid,) = server.role_pids(role)
        begin = time.monotonic()
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        a = c.request("POST", "/.well-known/est/idevid/simpleenroll", b64(der), {"Content-Type": "application/pkcs10", **basic("", code)})
        assert time.monotonic() - begin < BACK_S
        if a.status != 200:  # the successor may have been quick enough
            assert a.status == 503 and int(a.headers["Retry-After"]) > 0, a
        assert c.request("GET", "/health/live").status == 200
        wait_back(server)
        a = c.request("POST", "/.well-known/est/idevid/simpleenroll", b64(der), {"Content-Type": "application/pkcs10", **basic("", code)})
        assert a.status == 200, a


# --- the moments between two system calls ---

def traced(pid, call, n):
    """The n-th such system call of a process, and of its threads, is its last: whether that moment came, by wait()."""
    return subprocess.Popen(["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={call}",
                             "-e", f"inject={call}:signal=KILL:when={n}"], stderr=subprocess.PIPE, text=True)


@pytest.fixture
def strace():
    try:
        r = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("no strace here")
    if r.returncode != 0 or os.geteuid() != 0:
        pytest.skip("tracing is not permitted here")


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_the_authority_may_die_at_each_write_of_a_commit(daemon, strace, call):
    """F02: killed at the n-th write or sync of the store."""
    server = daemon()
    with Load(server, 4) as load:
        for n in (1, 2, 3, 5):
            load.wait_more(4)
            (pid,) = wait_for("the authority", lambda: server.role_pids("authority"))
            tracer = traced(pid, call, n)
            wait_for("the authority to be killed in its write", lambda: not alive(pid))
            tracer.communicate(timeout=20)
            kill_all(server)  # a tracer between them keeps the supervisor from learning of the death
            server.run()
        acks = load.stop()
    check(server, acks)


def test_crl_numbers_rise_and_lists_are_whole_whenever_the_server_dies(daemon):
    """O5: all of it killed some twenty times while it publishes."""
    server = daemon()
    watch = CrlWatch(server)
    before = watch.look()
    told = []
    try:
        for i in range(20):
            killer = threading.Timer(0.0007 * i, os.kill, (server.daemon_pid, signal.SIGKILL))
            killer.start()
            while server.process.poll() is None:
                try:
                    told.append(server.op("crl.publish", ca="issuing")["number"])
                except (AssertionError, OSError, ValueError, http.client.HTTPException):
                    break  # it is dying
            kill_all(server)
            server.run()
        last = server.op("crl.publish", ca="issuing")["number"]
        wait_for("the last list", lambda: watch.numbers[-1:] == [last])
    finally:
        numbers = watch.stop()
    assert told == sorted(set(told)) and last > max([before, *told])
    assert numbers == sorted(set(numbers)) and numbers[-1] == last
    assert rows(server, "SELECT crl_number FROM ca WHERE name = 'issuing'") == [(last,)]
    check_store(server)
