# SPDX-License-Identifier: Apache-2.0
"""`estuary hub mosquitto`: a real broker on what was written takes our devices, each for itself, and nobody else."""
import datetime
import getpass
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import estuary
from estuary import PATIENCE, OutsideCa, Pair, csr, fresh_name, new_key, wait_for

PATH = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"

pytestmark = pytest.mark.skipif(not (shutil.which("mosquitto", path=PATH) and shutil.which("mosquitto_pub") and shutil.which("curl")),
                                reason="mosquitto, mosquitto-clients and curl are needed (tools/install-deps)")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write(server, out, *args, **kw):
    return server.cli("hub", "mosquitto", "--out", str(out), "--user", getpass.getuser(), "--listen", "127.0.0.1", *args, **kw)


class Broker:
    """mosquitto as `run` runs it, and a program of the machine that hears everything."""

    def __init__(self, server, out):
        self.server, self.out, self.port = server, pathlib.Path(out), free_port()
        write(server, out, "--port", str(self.port))
        self.log = open(f"{out}.log", "ab")
        self.process = subprocess.Popen([str(self.out / "run")], stdout=self.log, stderr=subprocess.STDOUT,
                                        env={**os.environ, "REFRESH_S": "36000"}, start_new_session=True)
        self.heard = open(f"{out}.heard", "a+", encoding="utf-8")
        self.listener, self.devices = None, []
        self.listen()

    def listen(self):
        """The program that hears everything, from when it is there on."""
        wait_for("the broker", lambda: self.pid() and (self.out / "backend/mqtt.sock").exists())
        self.listener = subprocess.Popen(["mosquitto_sub", "--unix", str(self.out / "backend/mqtt.sock"), "-v", "-t", "#", "-t", "$iothub/#"],
                                         stdout=self.heard, stderr=subprocess.STDOUT)
        mark = fresh_name("mark")
        wait_for("the listener", lambda: self.tell("ready", mark) or mark in self.text())

    def tell(self, topic, message):
        subprocess.run(["mosquitto_pub", "--unix", str(self.out / "backend/mqtt.sock"), "-t", topic, "-m", message], check=False,
                       capture_output=True, timeout=PATIENCE)

    def text(self):
        self.heard.seek(0)
        return self.heard.read()

    def pid(self):
        """The broker's process, once it takes connections."""
        try:
            pid = int((self.out / "data/mosquitto.pid").read_text())
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return pid
        except (OSError, ValueError):
            return None

    def client(self, program, pair, *args, **kw):
        cert = ["--cert", pair.cert_file, "--key", pair.key_file] if pair else []
        return subprocess.run([program, "-h", "localhost", "-p", str(self.port), "-V", "mqttv5", "--cafile", self.server.root_file, *cert, *args],
                              capture_output=True, text=True, timeout=PATIENCE, **kw)

    def subscribe(self, pair, *args):
        """A device that listens; it ends with the broker at the latest."""
        self.devices.append(subprocess.Popen(["mosquitto_sub", "-h", "localhost", "-p", str(self.port), "--cafile", self.server.root_file,
                                              "--cert", pair.cert_file, "--key", pair.key_file, *args],
                                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return self.devices[-1]

    def publish(self, pair, topic, message):
        """Was it taken?  The broker answers at quality 1, and says when it is not authorised."""
        r = self.client("mosquitto_pub", pair, "-q", "1", "-t", topic, "-m", message)
        return r.returncode == 0 and "Not authorized" not in r.stderr

    def refresh(self, check=True):
        return subprocess.run([str(self.out / "refresh")], check=check, capture_output=True, text=True, timeout=PATIENCE)

    def stop(self):
        for p in (*self.devices, self.listener, self.process):
            if p is not None and p.poll() is None:
                p.terminate()
                p.wait(PATIENCE)
        self.log.close()
        self.heard.close()


@pytest.fixture
def broker(server, tmp_path):
    b = Broker(server, tmp_path / "mqtt")
    yield b
    b.stop()


def events(pair, more=""):
    return f"devices/{pair.cn}/messages/events/{more}"


def test_a_device_publishes_under_its_own_name_alone(server, broker):
    device, other = server.born(), server.born()
    assert broker.publish(device, events(device, "%24.ct=application%2Fjson"), "its-own")
    assert not broker.publish(device, events(other), "anothers")
    assert not broker.publish(device, f"devices/{other.cn}/messages/devicebound/", "to-another")
    assert not broker.publish(device, f"devices/{device.cn}/messages/devicebound/", "to-itself")
    assert not broker.publish(device, "anything", "anything")
    wait_for("the message", lambda: f"{events(device)}%24.ct=application%2Fjson its-own" in broker.text())
    assert not any(x in broker.text() for x in ("anothers", "to-another", "to-itself", "anything"))


def test_a_device_hears_what_is_for_it_alone(server, broker):
    device, other = server.born(), server.born()
    heard = {}
    for d in (device, other):
        heard[d] = broker.subscribe(d, "-t", "#", "-t", f"devices/{device.cn}/messages/devicebound/#",
                                    "-t", f"devices/{other.cn}/messages/devicebound/#", "-t", "$iothub/methods/POST/#", "-C", "1")

    def told():
        broker.tell("$iothub/methods/POST/reboot/?$rid=1", "for-nobody")
        broker.tell(f"devices/{device.cn}/messages/devicebound/", "for-the-one")
        return heard[device].poll() is not None
    wait_for("the device to hear it", told)
    broker.tell(f"devices/{other.cn}/messages/devicebound/", "for-the-other")
    assert heard[device].communicate(timeout=PATIENCE)[0] == "for-the-one\n"
    assert heard[other].communicate(timeout=PATIENCE)[0] == "for-the-other\n"


def test_twin_and_methods_go_to_the_cloud_only(server, broker):
    device = server.born()
    for topic in ("$iothub/twin/GET/?$rid=1", "$iothub/twin/PATCH/properties/reported/?$rid=2", "$iothub/methods/res/200/?$rid=3"):
        assert broker.publish(device, topic, "twin"), topic
    for topic in ("$iothub/twin/res/200/?$rid=1", "$iothub/methods/POST/reboot/?$rid=1", "$iothub/twin/PATCH/properties/desired/?$version=1"):
        assert not broker.publish(device, topic, "twin"), topic


def test_a_name_with_a_slash_reaches_below_nobody(server, broker):
    victim = server.born()
    sneaky = server.born(f"{victim.cn}/messages/events/x")
    assert not broker.publish(sneaky, events(sneaky), "sneaked")
    sneaky = server.born(f"{victim.cn}/messages/devicebound")
    assert not broker.publish(sneaky, events(sneaky), "sneaked")
    for cn in (f"+-{fresh_name()}", f"{fresh_name()}#"):
        wild = server.born(cn)
        assert not broker.publish(wild, events(victim), "sneaked")
    broker.tell("end", "of-it")
    wait_for("the end", lambda: "end of-it" in broker.text())
    assert "sneaked" not in broker.text()


def test_a_session_is_its_owners_whatever_the_client_id(server, broker):
    device, thief = server.born(), server.born()
    held = broker.subscribe(device, "-i", device.cn, "-t", f"devices/{device.cn}/messages/devicebound/#", "-C", "1")
    assert broker.client("mosquitto_pub", thief, "-i", device.cn, "-q", "1", "-t", events(thief), "-m", "here").returncode == 0

    def told():
        broker.tell(f"devices/{device.cn}/messages/devicebound/", "still-here")
        return held.poll() is not None
    wait_for("the device to be there still", told)
    assert held.communicate(timeout=PATIENCE)[0] == "still-here\n"


def test_nobody_else_comes_in(server, broker, tmp_path):
    device = server.born()
    assert not broker.publish(None, events(device), "no-certificate")
    assert not broker.publish(OutsideCa().pair(server, device.cn), events(device), "foreign")
    assert not broker.publish(Pair(estuary.mint(None, device.cn, device.key), device.key, tmp_path), events(device), "self-made")
    # The broker's own certificate is no device's.
    pem = (broker.out / "server.pem").read_bytes()
    (tmp_path / "own.pem").write_bytes(pem)
    own = type("Own", (), {"cert_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.pem"), "cn": "x"})
    assert not broker.publish(own, events(device), "the-brokers")
    # What a device's own CA issued says who it likes.
    key, leaf_key = new_key(), new_key()
    answer = server.enrol(csr(key, device.cn), "edge-ca", pair=device)
    assert answer.status == 200, answer
    victim = server.born()
    leaf = estuary.mint((answer.cert, key), victim.cn, leaf_key)
    assert not broker.publish(Pair([leaf, answer.cert], leaf_key, tmp_path), events(victim), "by-an-edge-ca")
    assert broker.publish(device, events(device), "good")
    wait_for("the good one", lambda: "good" in broker.text())
    assert not any(x in broker.text() for x in ("no-certificate", "foreign", "self-made", "the-brokers", "by-an-edge-ca"))


def test_a_revoked_device_is_refused_after_a_refresh_also_while_it_is_connected(server, broker):
    device, good = server.born(), server.born()
    assert broker.publish(device, events(device), "before")
    held = broker.subscribe(device, "-t", f"devices/{device.cn}/messages/devicebound/#")
    pid = broker.pid()
    server.op("cert.revoke", serial=device.serial, reason="keyCompromise")
    # The list follows the revocation in a moment.
    wait_for("the broker to start anew", lambda: broker.refresh() and broker.pid() not in (None, pid))
    assert not broker.publish(device, events(device), "after")
    assert broker.publish(good, events(good), "good")
    # It tries to come back, and does not: it ends, or goes on being refused.
    assert "before" in broker.text() and "after" not in broker.text()
    broker.tell(f"devices/{device.cn}/messages/devicebound/", "secret")
    held.terminate()
    assert "secret" not in held.communicate(timeout=PATIENCE)[0]


def test_a_list_that_revokes_nothing_new_does_not_disturb(server, broker):
    device, pid = server.born(), broker.pid()
    before = (broker.out / "crl.pem").read_bytes()
    broker.refresh()
    assert (broker.out / "crl.pem").read_bytes() == before
    server.op("crl.publish", ca="issuing")
    broker.refresh()
    assert (broker.out / "crl.pem").read_bytes() != before
    assert broker.publish(device, events(device), "x") and broker.pid() == pid


def test_a_list_that_is_older_or_not_signed_by_us_is_not_taken(server, broker, tmp_path):
    urls = broker.out / "crl-urls"
    lines = urls.read_text()
    old = {line.split()[0]: subprocess.run(["curl", "-sf", line.split()[1]], capture_output=True, check=True).stdout for line in lines.splitlines()}
    server.op("crl.publish", ca="issuing")
    broker.refresh()
    good = (broker.out / "crl.pem").read_bytes()
    (tmp_path / "old").write_bytes(old["issuing"])
    urls.write_text(f"issuing file://{tmp_path}/old\n")
    r = broker.refresh(check=False)
    assert r.returncode == 1 and "older" in r.stderr
    foreign = OutsideCa()
    now = datetime.datetime.utcnow()
    (tmp_path / "foreign").write_bytes(x509.CertificateRevocationListBuilder(foreign.cert.subject, now, now + datetime.timedelta(9))
                                       .add_extension(x509.CRLNumber(10**6), False)
                                       .sign(foreign.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    urls.write_text(f"issuing file://{tmp_path}/foreign\n")
    r = broker.refresh(check=False)
    assert r.returncode == 1 and "not signed" in r.stderr
    (tmp_path / "foreign").write_text("no list")
    assert broker.refresh(check=False).returncode == 1
    assert (broker.out / "crl.pem").read_bytes() == good and not list(broker.out.glob("refresh.*"))


def test_the_broker_ends_and_is_there_again(server, broker):
    pid = broker.pid()
    os.kill(pid, 9)
    wait_for("another broker", lambda: broker.pid() not in (None, pid))
    device = server.born()
    assert broker.publish(device, events(device), "again")


def test_the_certificate_of_the_broker_is_renewed_in_place(server, broker):
    def shown():
        ctx = ssl.create_default_context(cafile=server.root_file)
        device = server.born()
        ctx.load_cert_chain(device.cert_file, device.key_file)
        with socket.create_connection(("127.0.0.1", broker.port), PATIENCE) as s, ctx.wrap_socket(s, server_hostname="localhost") as t:
            return t.getpeercert()["serialNumber"]
    first, pid = shown(), broker.pid()
    write(server, broker.out, "--port", str(broker.port), "--force")
    os.kill(pid, 1)
    wait_for("the new certificate", lambda: shown() != first)
    assert broker.pid() == pid


def test_what_is_there_is_not_written_over(server, tmp_path):
    out = tmp_path / "d"
    write(server, out)
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    assert "--force" in write(server, out, check=False).stderr
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    (tmp_path / "other").mkdir()
    r = write(server, tmp_path / "other", "--force", check=False)
    assert r.returncode != 0 and not list((tmp_path / "other").iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d", "other"]


@pytest.mark.parametrize("args", [["--port", "0"], ["--port", "65536"], ["--listen", "a b"], ["--name", "a_b!"], ["--address", "1.2.3"],
                                  ["--ca", "nobody"], ["--user", "no-such-user-here"]])
def test_what_is_wrong_leaves_nothing(server, tmp_path, args):
    r = server.cli("hub", "mosquitto", "--out", str(tmp_path / "d"), *args, check=False)
    assert r.returncode != 0 and r.stderr.startswith("estuary: ") and not list(tmp_path.iterdir()), r


def test_a_name_or_address_that_the_broker_has_anyhow_is_no_error(server, tmp_path):
    write(server, tmp_path / "m", "--name", "vm.example", "--name", "localhost", "--name", "vm.example",
          "--address", "127.0.0.1", "--address", "::1")
    cert = x509.load_pem_x509_certificate((tmp_path / "m/server.pem").read_bytes())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["vm.example", "localhost"] and len(names) == 4


def test_paths_that_other_programs_would_misread_are_refused(server, tmp_path):
    for name in ("a b", "a%n", "a\nb", "a$b", "a'b"):
        assert server.cli("hub", "mosquitto", "--out", str(tmp_path / name), check=False).returncode == 64
    assert not list(tmp_path.iterdir())


def test_files_are_as_open_as_they_may_be(server, tmp_path):
    out = tmp_path / "d"
    told = json.loads(write(server, out, "--json").stdout)
    assert told["dir"] == str(out) and told["port"] == 8883 and told["not_after"] > time.time()
    assert oct((out / "server.pem").stat().st_mode)[-3:] == "600"
    for name in ("data", "backend"):
        assert oct((out / name).stat().st_mode)[-3:] == "700"
    for p in out.iterdir():
        assert not p.is_file() or p.name == "server.pem" or b"PRIVATE" not in p.read_bytes()
    assert "listener 8883 127.0.0.1\n" in (out / "mosquitto.conf").read_text()


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is needed")
def test_the_scripts_are_clean(server, tmp_path):
    write(server, tmp_path / "d")
    subprocess.run(["shellcheck", str(tmp_path / "d/refresh"), str(tmp_path / "d/run")], check=True)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is needed")
def test_systemd_reads_the_units(server, tmp_path):
    write(server, tmp_path / "d")
    for unit in (tmp_path / "d").glob("estuary-mqtt*"):
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=PATIENCE).stderr
        assert unit.name not in "\n".join(x for x in said.splitlines() if "is not executable" not in x), said
