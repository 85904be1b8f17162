# SPDX-License-Identifier: Apache-2.0
"""`estuary quickstart`: once, again, halfway, and only to prepare."""
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from estuary import ESTUARY, ESTUARYD, Server, basic, csr, fresh_name, new_key, wait_for
from test_crash import serves

PORTS = ("--device-port", "0", "--operator-port", "0", "--public-port", "0")


def quickstart(directory, *args):
    return subprocess.run([str(ESTUARY), "quickstart", "--dir", str(directory), *PORTS, *args], capture_output=True, text=True, timeout=60)


def test_quickstart_json_says_all_that_a_program_wants_to_know(server):
    info = server.info
    assert {"est_url", "operator_url", "public_url", "root_file", "root_pin", "code", "operator_token", "ready_file"} <= set(info)
    assert re.fullmatch(r"https://\S+:\d+/\.well-known/est", info["est_url"]) and re.fullmatch(r"sha256:[0-9a-f]{64}", info["root_pin"])
    assert os.path.exists(info["root_file"]) and os.path.exists(info["ready_file"])
    path = pathlib.Path(server.dir, "quickstart.json")
    assert path.stat().st_mode & 0o777 == 0o600 and pathlib.Path(server.dir).stat().st_mode & 0o777 == 0o700


def test_no_serve_prepares_and_ends(tmp_path):
    r = quickstart(tmp_path / "d", "--no-serve")
    assert r.returncode == 0, r
    assert not (tmp_path / "d/run/ready").exists() and (tmp_path / "d/quickstart.json").exists()


def test_a_second_run_starts_what_is_there(tmp_path):
    first = quickstart(tmp_path / "d", "--no-serve", "--name", "localhost", "--json")
    s = Server(tmp_path / "d")
    try:
        was, now = json.loads(first.stdout), s.info
        for member in ("root_pin", "code", "operator_token", "est_url"):
            assert was[member] == now[member]
        assert s.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", now["code"])).status == 200
        r = quickstart(tmp_path / "d")
        assert r.returncode == 73 and "a server runs there already" in r.stderr
    finally:
        assert s.stop() == 0


def test_a_run_that_was_killed_is_completed_by_the_next(tmp_path):
    """F07: killed ever later, until one run gets to its end."""
    place = tmp_path / "d"
    for step in range(8):
        p = subprocess.Popen([str(ESTUARY), "quickstart", "--no-serve", "--dir", str(place), *PORTS], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        for _ in range(step):
            if not p.stdout.readline():
                break
        p.kill()
        p.wait()
        p.stdout.close()
        lock = place / "run/lock"
        wait_for("the server of the killed run to end", lambda: not lock.exists() or
                 subprocess.run(["flock", "-n", str(lock), "true"]).returncode == 0)
    s = Server(place)
    try:
        assert serves(s) and s.op("audit.verify")["ok"]
        assert sorted(c["name"] for c in s.op("ca.list")["items"]) == ["issuing", "root"]
    finally:
        assert s.stop() == 0


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/thesis.txt").write_text("x")
    r = quickstart(tmp_path / "d", "--no-serve")
    assert r.returncode == 73 and "not empty, and not made by quickstart" in r.stderr
    assert os.listdir(tmp_path / "d") == ["thesis.txt"]


def again(place):
    """A further run on what an earlier one has made, once it has done all that it does."""
    s = Server(place)
    wait_for("the summary", lambda: "Estuary serves." in s.log_text())
    return s


def busy_port():
    """A socket that listens on a port, and the port."""
    s = socket.create_server(("", 0))
    return s, s.getsockname()[1]


def test_a_busy_port_is_named_before_anything_is_written_and_another_one_helps(tmp_path):
    taken, port = busy_port()
    with taken:
        r = subprocess.run([str(ESTUARY), "quickstart", "--dir", str(tmp_path / "d"), "--no-serve", "--device-port", str(port), *PORTS[2:]],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 74 and f"device listener: port {port}: Address already in use" in r.stderr
        assert "--device-port" in r.stderr.split("hint:")[1] and os.listdir(tmp_path / "d") == []
        assert quickstart(tmp_path / "d", "--no-serve").returncode == 0


def test_a_port_that_became_busy_is_named_and_changed_by_its_option(tmp_path):
    place = tmp_path / "d"
    assert quickstart(place, "--no-serve", "--name", "localhost").returncode == 0
    old = json.loads((place / "quickstart.json").read_text())
    taken, port = busy_port()
    with taken:
        config = (place / "estuaryd.toml").read_text()
        (place / "estuaryd.toml").write_text(re.sub(r"(\[device\]\nport = )\d+", rf"\g<1>{port}", config))
        r = subprocess.run([str(ESTUARY), "quickstart", "--dir", str(place), "--no-serve"], capture_output=True, text=True, timeout=60)
        assert r.returncode == 69 and f"device listener: port {port}: Address already in use" in r.stderr
        s = again(place)
    try:
        assert f"estuaryd.toml: device.port is {s.device_port} from now on, and was {port}" in s.log_text() and serves(s)
        assert s.device_port != port and s.public_port == int(old["public_url"].rsplit(":", 1)[1])
        assert [h["name"] for h in s.op("hub.list")["items"]] == [f"localhost:{s.device_port}"]
    finally:
        assert s.stop() == 0


def test_a_name_that_the_server_could_not_have_is_refused_before_anything_is_written(tmp_path):
    r = quickstart(tmp_path / "d", "--no-serve", "--name", "*.example.com")
    assert r.returncode == 64 and "--name '*.example.com'" in r.stderr
    assert os.listdir(tmp_path / "d") == []


def test_lines_to_paste_name_any_directory(tmp_path):
    place = tmp_path / "my est's $dir"
    r = quickstart(place, "--no-serve", "--json")
    assert r.returncode == 0, r
    credential = json.loads(r.stdout)["code_id"]
    s = again(place)
    try:
        s.op("credential.disable", id=credential)
    finally:
        assert s.stop() == 0
    r = quickstart(place, "--no-serve")
    assert r.returncode == 0, r
    lines = [x.split("`")[1] if "`" in x else "estuary" + x.split("estuary", 1)[1] for x in r.stdout.split("\n") if "estuary" in x and "--dir" in x]
    assert len(lines) >= 4
    for line in lines:
        assert shlex.split(line)[-1] == str(place)


def test_the_line_for_a_first_device_can_be_pasted(fresh_server, tmp_path):
    s = fresh_server(args=["--name", "localhost"])
    (line,) = wait_for("the line", lambda: [x.strip() for x in s.log_text().split("\n") if x.strip().startswith("estuary est enroll")])
    r = subprocess.run(["sh", "-c", line.replace("estuary ", str(ESTUARY) + " ", 1)], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r
    assert "BEGIN CERTIFICATE" in (tmp_path / "device-1.pem").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("linked", [False, True], ids=["directory", "link"])
def test_root_leaves_no_ca_to_whoever_made_the_name_first(tmp_path, linked):
    shared = tmp_path / "shared"
    place = (tmp_path / "home" if linked else shared) / "try"
    place.mkdir(parents=True)
    os.chown(place, 65534, 65534)
    shared.mkdir(exist_ok=True)
    if linked:
        (shared / "try").symlink_to(place)
    shared.chmod(0o1777)
    r = quickstart(f"{shared}/try/" if linked else place, "--no-serve")
    assert r.returncode == 77 and "--user" in r.stderr and list(place.iterdir()) == []


def renew(directory, *args):
    return subprocess.run([str(ESTUARY), "server", "renew", "--dir", str(directory), *args], capture_output=True, text=True, timeout=60)


def names_shown(port):
    """The DNS names of the certificate that the server shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    return x509.load_pem_x509_certificate(pem.encode()).extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def test_a_server_that_the_system_runs_renews_its_certificate_too(tmp_path):
    """As estuaryd.service and estuaryd-renew.timer have it: quickstart prepares and is gone."""
    place = tmp_path / "d"
    assert quickstart(place, "--no-serve", "--name", "localhost").returncode == 0
    r = renew(place, "--name", "new.example")
    assert r.returncode == 69 and "operator.sock" in r.stderr
    with open(tmp_path / "log", "w", encoding="utf-8") as log:
        p = subprocess.Popen([str(ESTUARYD), "-c", str(place / "estuaryd.toml")], stdout=log, stderr=log)
    try:
        wait_for("the server", lambda: (place / "run/ready").exists())
        port = int(re.search(r"^device_port=(\d+)$", (place / "run/ready").read_text(), re.M)[1])
        before = ssl.get_server_certificate(("127.0.0.1", port))
        r = renew(place)
        assert r.returncode == 0 and "not yet" in r.stdout
        assert ssl.get_server_certificate(("127.0.0.1", port)) == before
        r = renew(place, "--name", "new.example", "--json")
        assert r.returncode == 0 and json.loads(r.stdout) == {"renewed": True}
        wait_for("the new certificate", lambda: "new.example" in names_shown(port))
        assert "new.example" in json.loads((place / "quickstart.json").read_text())["names"]
    finally:
        p.terminate()
        assert p.wait(60) == 0


def tls_of(place):
    """Certificate and public key of the server's own pair of files."""
    cert = x509.load_pem_x509_certificate((place / "tls/server.pem").read_bytes())
    key = serialization.load_pem_private_key((place / "tls/server.key").read_bytes(), None)
    assert cert.public_key().public_numbers() == key.public_key().public_numbers()
    return cert.serial_number, key.public_key().public_numbers()


def test_the_servers_certificate_is_renewed_when_it_must_be_and_when_somebody_wants_it(daemon):
    s = daemon()
    place = pathlib.Path(s.dir)

    def renewed(*args):
        before = tls_of(place)
        r = renew(place, *args)
        assert r.returncode == 0, r
        after = tls_of(place)
        assert ("renewed;" in r.stdout) == (before[0] != after[0])
        if before != after:
            wait_for("the new certificate", lambda: x509.load_pem_x509_certificate(
                ssl.get_server_certificate(("127.0.0.1", s.device_port)).encode()).serial_number == after[0])
        return before[0] != after[0], before[1] != after[1]

    assert renewed() == (False, False)
    assert renewed("--force") == (True, False)
    assert renewed("--new-key") == (True, True)
    s.op("cert.revoke", serial=format(tls_of(place)[0], "032x"), reason="superseded")
    assert renewed() == (True, False)
    s.op("cert.revoke", serial=format(tls_of(place)[0], "032x"), reason="keyCompromise")
    assert renewed() == (True, True)
    assert renewed() == (False, False) and serves(s)


def test_a_certificate_that_was_made_while_the_server_refused_its_files_is_used_once_it_takes_them(daemon):
    s = daemon()
    config = pathlib.Path(s.dir, "estuaryd.toml")
    good = config.read_text()
    config.write_text(good + "\n[nothing]\n")
    r = renew(s.dir, "--force")
    assert r.returncode != 0 and "nothing" in r.stderr
    made = tls_of(pathlib.Path(s.dir))[0]
    config.write_text(good)
    assert renew(s.dir).returncode == 0
    wait_for("the new certificate", lambda: x509.load_pem_x509_certificate(
        ssl.get_server_certificate(("127.0.0.1", s.device_port)).encode()).serial_number == made)
    assert tls_of(pathlib.Path(s.dir))[0] == made


def test_what_quickstart_did_not_make_is_not_renewed(tmp_path):
    r = renew(tmp_path)
    assert r.returncode == 66 and "was not made by quickstart" in r.stderr
    assert os.listdir(tmp_path) == []


def test_a_damaged_tls_key_is_named_and_the_way_out_works(tmp_path):
    place = tmp_path / "d"
    assert quickstart(place, "--no-serve").returncode == 0
    (place / "tls/server.key").write_text("junk\n")
    r = quickstart(place, "--no-serve")
    assert r.returncode == 65 and f"{place}/tls/server.key: " in r.stderr and "remove the file" in r.stderr.split("hint:")[1]
    (place / "tls/server.key").unlink()
    s = again(place)
    try:
        assert serves(s) and tls_of(place)
    finally:
        assert s.stop() == 0


def test_a_damaged_tls_certificate_is_made_anew(tmp_path):
    place = tmp_path / "d"
    assert quickstart(place, "--no-serve").returncode == 0
    (place / "tls/server.pem").write_text("junk\n")
    s = again(place)
    try:
        assert serves(s) and tls_of(place)
    finally:
        assert s.stop() == 0


def test_an_interrupt_ends_it_well(fresh_server):
    assert fresh_server().stop(signal.SIGINT) in (0, 130)
