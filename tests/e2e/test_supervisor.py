# SPDX-License-Identifier: Apache-2.0
"""The supervisor: one server a directory, reload, draining, restarts, and what a role cannot do."""
import ctypes
import errno
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from checker import Load, check
from estuary import ESTUARY, ESTUARYD, Daemon, b64, basic, csr, fresh_name, new_key, wait_for
from test_crash import BACK_S, alive, kill_role, serves, wait_back

ROLES = ("front", "authority", "signer", "courier", "console")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def pids(server):
    return {p for r in ROLES for p in server.role_pids(r)}


def answers(server, verb):
    """The result of an operator's message, or nothing while nobody is there."""
    try:
        return server.op(verb, _check=False).get("result")
    except OSError:
        return None


def config(server, text):
    path = pathlib.Path(server.config)
    path.write_text(text)
    return path


def test_a_second_server_on_the_same_directory_refuses_to_start(daemon):
    server = daemon()
    r = subprocess.run([str(ESTUARYD), "-c", server.config], capture_output=True, text=True, timeout=20)
    assert r.returncode == 73
    assert f"state directory '{server.dir}': another estuaryd runs on it" in r.stderr
    assert os.path.exists(server.info["ready_file"]) and serves(server)


def test_a_broken_configuration_leaves_the_last_good_one_in_force(daemon):
    server = daemon()
    before, text = pids(server), pathlib.Path(server.config).read_text()
    path = config(server, text + "\n[limits]\nidel = 3\n")
    os.kill(server.daemon_pid, signal.SIGHUP)
    wait_for("the refusal in the log", lambda: "reload.refused" in server.log_text())
    line = [x for x in server.log_text().split("\n") if "reload.refused" in x][-1]
    at = text.count("\n") + 3
    assert f"{path}:{at}:1: key 'limits.idel': unknown key; did you mean 'limits.idle'?" in line
    assert serves(server) and pids(server) == before and os.path.exists(server.info["ready_file"])
    config(server, text)
    os.kill(server.daemon_pid, signal.SIGHUP)
    wait_for("new fronts", lambda: len(pids(server) - before) >= 2)
    wait_back(server)


def test_an_operator_is_told_why_a_reload_was_refused_and_status_remembers_it(daemon):
    server = daemon()
    text = pathlib.Path(server.config).read_text()
    path = config(server, text + "\n[limits]\nidel = 3\n")
    r = server.cli("server", "reload", check=False)
    why = f"{path}:{text.count(chr(10)) + 3}:1: key 'limits.idel': unknown key; did you mean 'limits.idle'?"
    assert r.returncode == 65 and why in r.stderr and "done" not in r.stdout
    status = server.op("server.status")
    assert status["ready"] and not status["config_ok"] and status["detail"] == why
    kill_role(server, "authority")
    wait_back(server)
    assert server.op("server.status")["detail"] == why
    config(server, text)
    assert server.cli("server", "reload").stdout == "done\n"
    status = server.op("server.status")
    assert status["config_ok"] and status["detail"] == ""
    wait_back(server)


def test_status_says_that_a_role_could_not_start_with_what_a_reload_gave_it(daemon):
    server = daemon()
    key = pathlib.Path(server.dir, "tls/server.key")
    good = key.read_bytes()
    key.write_text("junk")
    server.cli("server", "reload")
    wait_for("the outcome", lambda: not server.op("server.status")["config_ok"])
    assert "one with the new settings ended before it was ready" in server.op("server.status")["detail"] and serves(server)
    key.write_bytes(good)
    server.cli("server", "reload")
    assert server.op("server.status")["config_ok"]


def test_status_says_so_too_when_the_role_has_started_after_all(daemon):
    """The files were mended, and nobody asked for a second reload."""
    server = daemon()
    key = pathlib.Path(server.dir, "tls/server.key")
    good, before = key.read_bytes(), set(server.role_pids("front"))
    key.write_text("junk")
    server.cli("server", "reload")
    wait_for("the outcome", lambda: not server.op("server.status")["config_ok"])
    key.write_bytes(good)
    wait_for("the successors", lambda: not before & set(server.role_pids("front")))
    wait_for("the outcome", lambda: server.op("server.status")["config_ok"])
    assert server.op("server.status")["detail"] == ""


def test_damaged_tls_files_leave_the_operators_socket_and_a_reload_takes_mended_ones(daemon):
    server = daemon()
    server.stop()
    key = pathlib.Path(server.dir, "tls/server.key")
    good = key.read_bytes()
    key.write_text("junk")
    server.launch()
    wait_for("the operator's socket", lambda: answers(server, "server.status"))
    wait_for("the reason", lambda: "could not start with the TLS files" in server.op("server.status")["detail"])
    assert not os.path.exists(server.info["ready_file"])
    key.write_bytes(good)
    server.cli("server", "reload")
    wait_back(server)
    url = wait_for("the operators' listener", lambda: server.op("server.status")["config_ok"] and server.info["operator_url"])
    token = pathlib.Path(server.dir, "token")
    token.write_text(server.info["operator_token"])
    wait_for("an operator from elsewhere", lambda: server.cli("server", "status", "--url", url, "--token-file", str(token),
                                                               "--trust", server.root_file, check=False).returncode == 0)


def test_what_needs_a_restart_is_refused_on_reload(daemon):
    server = daemon()
    config(server, pathlib.Path(server.config).read_text().replace("[server]", "[server]\nfronts = 7"))
    os.kill(server.daemon_pid, signal.SIGHUP)
    wait_for("the refusal", lambda: "key 'server.fronts': changes only with a restart of the server" in server.log_text())
    assert serves(server)


def test_a_reload_under_load_refuses_nothing_and_drops_nothing(daemon):
    server = daemon()
    with Load(server) as load:
        for _ in range(3):
            load.wait_more()
            before = set(server.role_pids("front"))
            os.kill(server.daemon_pid, signal.SIGHUP)
            wait_for("fronts to be replaced", lambda: not before & set(server.role_pids("front")))
        load.wait_more()
        acks = load.stop()
        assert (load.lost, load.unavailable) == ([], 0)
    check(server, acks)


def test_reloads_that_overtake_each_other_drop_nothing(daemon):
    """Fronts are replaced before they know what to serve."""
    server = daemon()
    with Load(server) as load:
        for n in range(1, 61):
            os.kill(server.daemon_pid, signal.SIGHUP)
            wait_for("the reload", lambda n=n: server.log_text().count("reload.begun") >= n)
        load.wait_more()
        acks = load.stop()
        assert (load.lost, load.unavailable) == ([], 0)
    check(server, acks)


def test_sigterm_lets_a_request_under_way_end(daemon):
    """The head is there, the body comes after the signal."""
    server = daemon()
    der, auth = csr(new_key(), fresh_name()), basic("", server.new_code())["Authorization"]
    body = b64(der)
    with server.client() as c:
        c.http.putrequest("POST", "/.well-known/est/idevid/simpleenroll")
        for k, v in (("Content-Type", "application/pkcs10"), ("Content-Length", str(len(body))), ("Authorization", auth)):
            c.http.putheader(k, v)
        c.http.endheaders(body[:100])
        server.process.send_signal(signal.SIGTERM)
        wait_for("draining", lambda: "server.stopping" in server.log_text())
        c.http.send(body[100:])
        r = c.http.getresponse()
        assert r.status == 200 and r.read()
    assert server.stop() == 0


def test_a_role_that_dies_again_and_again_is_started_each_time(daemon):
    server = daemon()
    for _ in range(3):
        kill_role(server, "signer")
        wait_back(server)
    assert len(re.findall(r"role.started role=signer", server.log_text())) >= 4
    times = [x for x in server.log_text().split("\n") if "role.died role=signer" in x]
    assert len(times) == 3 and all("signal=9 (Killed)" in x for x in times)


def test_nothing_outlives_a_supervisor_that_was_killed(daemon):
    server = daemon()
    roles = pids(server)
    assert len(roles) >= 4
    server.process.kill()
    server.process.wait()
    wait_for("the roles to end", lambda: not any(alive(p) for p in roles), BACK_S)


# --- confinement ---

@pytest.fixture
def confined():
    """A server whose roles are nobody's, where nobody can get."""
    top = tempfile.mkdtemp(prefix="estuary-", dir="/tmp")
    os.chmod(top, 0o755)
    server = Daemon(top + "/d", start=False)
    try:
        subprocess.run([str(ESTUARY), "quickstart", "--no-serve", "--dir", server.dir, "--device-port", "0",
                        "--operator-port", "0", "--public-port", "0"], check=True, capture_output=True, timeout=60)
        path = pathlib.Path(server.dir, "estuaryd.toml")
        path.write_text(path.read_text().replace("[server]", '[server]\nuser = "nobody"'))
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.stop()
        shutil.rmtree(top)


@root_only
def test_no_role_keeps_root_or_a_way_back_to_it(confined):
    assert serves(confined)
    for role in ROLES:
        for pid in confined.role_pids(role):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            said = dict(line.split(":\t", 1) for line in status.strip().split("\n") if ":\t" in line)
            assert said["Uid"] == "65534\t65534\t65534\t65534", (role, said["Uid"])
            assert said["Gid"].split()[0] != "0" and said["Groups"].strip() == "", role
            for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(said[caps], 16) == 0, (role, caps)
            assert said["NoNewPrivs"] == "1", role
            assert said["Seccomp"] == ("0" if role in ("console", "courier") and said["Seccomp"] == "0" else "2"), role


@root_only
def test_confinement_is_reported_and_complete(confined):
    log = confined.log_text().rsplit("server.stopped", 1)[1]  # of quickstart, which ran as root
    ready = re.findall(r"role\.ready role=(\w+) instance=\d+ pid=\d+ confined=(\w+)", log)
    assert {r for r, _ in ready} == set(ROLES)
    if any(how != "yes" for _, how in ready):
        pytest.skip("this kernel cannot confine: " + "; ".join(re.findall(r"role\.not-confined .*", log)[:2]))


@root_only
def test_roles_hold_no_descriptor_that_is_not_theirs(confined):
    assert serves(confined)
    store = re.compile(re.escape(confined.dir) + r"/store/(estuary\.db(-wal|-shm)?|lock)$")
    public = re.compile(re.escape(confined.dir) + r"/public/\S+\.(crl|cer)$")
    keys = re.compile(re.escape(confined.dir) + r"/keys/\.lock$")
    common = re.compile(r"(socket|anon_inode|pipe):|/dev/(null|urandom)$|/memfd:|" + re.escape(confined.dir) + r"/estuaryd\.log$")
    allowed = {"front": [common, public], "authority": [common, store, public], "signer": [common, keys], "console": [common], "courier": [common]}
    for role in ROLES:
        for pid in confined.role_pids(role):
            for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                try:
                    target = os.readlink(fd)
                except FileNotFoundError:
                    continue
                assert any(p.match(target) for p in allowed[role]), (role, target)


@root_only
def test_no_secret_stands_in_environment_or_command_line(confined):
    secrets = [confined.info["operator_token"].encode(), confined.info["code"].encode()]
    for pid in [confined.daemon_pid, *pids(confined)]:
        for what in ("environ", "cmdline"):
            said = pathlib.Path(f"/proc/{pid}/{what}").read_bytes()
            assert not any(s in said for s in secrets)
    log = confined.log_text().encode()
    assert not any(s in log for s in secrets)


# --- pipes between roles that live ---

def cut_pipes(pid):
    """Shut the process's pipes to other roles, all but that to its supervisor; how many they were."""
    libc, n = ctypes.CDLL(None, use_errno=True), 0
    handle = os.pidfd_open(pid)
    try:
        for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
            if fd <= 3 or not os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
                continue
            got = libc.syscall(438, handle, fd, 0)  # pidfd_getfd
            if got < 0 and ctypes.get_errno() == errno.EPERM:
                pytest.skip("the descriptors of roles are not ours to take")
            if got < 0:
                continue
            with socket.socket(fileno=got) as s:
                if s.family == socket.AF_UNIX and s.type == socket.SOCK_SEQPACKET:
                    s.shutdown(socket.SHUT_RDWR)
                    n += 1
        return n
    finally:
        os.close(handle)


@pytest.mark.parametrize("role", ["front", "console", "signer", "courier"])
def test_a_pipe_that_breaks_between_roles_that_live_is_made_again(daemon, role):
    server = daemon()
    pids = {r: server.role_pids(r) for r in ("front", "console", "authority", "signer", "courier")}
    for pid in pids[role]:
        assert cut_pipes(pid) == 1
    wait_for("new pipes", lambda: server.log_text().count("role.linked-again") >= len(pids[role]))
    wait_back(server)
    assert serves(server)
    assert {r: server.role_pids(r) for r in pids} == pids, "nobody had to end for it"
