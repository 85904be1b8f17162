# SPDX-License-Identifier: Apache-2.0
"""The services of a directory as a whole, by the names of the originals: system, support-bundle, the Edge CA, birth certificates."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import zipfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding

import estuary
from device import AGENT, Device, csr_pem
from estuary import PATIENCE, wait_for

NONE = '[provisioning]\nsource = "none"\n'
SERVICES = ["aziot-keyd", "aziot-certd", "aziot-identityd"]


class Machine(Device):
    """A directory whose services `system` runs; the shell that works with it has ESTUARY_PREFIX."""

    def __init__(self, directory, names):
        super().__init__(directory)
        self.names = names
        names.mkdir()
        for name in ("iotedge", "aziotctl", "estuary-agent"):
            (names / name).symlink_to(AGENT)
        self.env = {**os.environ, "ESTUARY_PREFIX": str(self.prefix)}

    def run(self, *words, status=0, env=None):
        r = subprocess.run([str(self.names / words[0]), *map(str, words[1:])], capture_output=True, text=True,
                           timeout=PATIENCE * 2, env={**(env or self.env)})
        assert status is None or r.returncode == status, f"{words}: {r.returncode}\n{r.stdout}{r.stderr}{self.logs()}"
        return r

    def logs(self):
        return "".join(f"--- {p.name}\n{p.read_text(errors='replace')}" for p in (self.prefix / "var/log/aziot").glob("*.log"))

    def config(self, text):
        path = self.prefix / "etc/aziot/config.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def states(self, status=0):
        answer = json.loads(self.run("estuary-agent", "system", "status", "--json", status=status).stdout)
        return {s["name"]: s for s in answer["services"]}

    def pid(self, service):
        return int((self.prefix / f"run/aziot/{service}.pid").read_text().split()[0])


@pytest.fixture
def machine(tmp_path):
    m = Machine(tmp_path / "device", tmp_path / "bin")
    yield m
    m.stop()
    m.run("estuary-agent", "system", "stop")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- start, stop, status ---

def test_the_services_of_a_directory_start_run_in_the_background_and_stop(machine):
    machine.config(NONE)
    r = machine.run("aziotctl", "config", "apply")
    assert "Started: keyd, certd, identityd" in r.stdout and r.stdout.rstrip().endswith("Done.")
    states = machine.states()
    assert [states[s]["state"] for s in SERVICES] == ["Running"] * 3
    before = {s: states[s]["pid"] for s in SERVICES}
    assert os.getsid(before["aziot-keyd"]) == before["aziot-keyd"], "a session of its own"
    assert machine.certd.request("GET", "/status", version="2026-11-01").status == 200
    r = machine.run("iotedge", "system", "restart")
    assert "Stopped aziot-" in r.stdout and "Started aziot-keyd, aziot-certd, aziot-identityd." in r.stdout
    after = {s: machine.states()[s]["pid"] for s in SERVICES}
    assert not set(before.values()) & set(after.values()) and not any(alive(p) for p in before.values())
    shown = machine.run("iotedge", "system", "status").stdout.splitlines()
    assert shown[0] == "System services:" and "    aziot-keyd              Running" in shown
    machine.run("iotedge", "system", "stop")
    assert not any(alive(p) for p in after.values())
    assert not list((machine.prefix / "run/aziot").glob("*.pid"))
    assert machine.states(status=3)["aziot-certd"]["state"] == "Down - stopped"
    assert "Nothing was running" in machine.run("iotedge", "system", "stop").stdout


def test_what_died_is_told_of_and_started_again(machine):
    machine.config(NONE)
    machine.run("iotedge", "config", "apply")
    keyd = machine.pid("keyd")
    os.kill(machine.pid("certd"), signal.SIGKILL)
    wait_for("certd's end", lambda: machine.states(status=None)["aziot-certd"]["state"] == "Down - died")
    r = machine.run("iotedge", "config", "apply")
    assert "Started: certd" in r.stdout and machine.pid("keyd") == keyd
    assert machine.states()["aziot-certd"]["state"] == "Running"


def test_a_service_that_somebody_else_runs_is_left_alone(machine):
    machine.config(NONE)
    machine.run("iotedge", "config", "apply", "--prefix", machine.prefix)
    machine.keyd.start()
    assert "Started aziot-certd, aziot-identityd." in machine.run("iotedge", "system", "restart").stdout
    assert "pid" not in machine.states()["aziot-keyd"] and machine.states()["aziot-keyd"]["state"] == "Running"
    machine.run("iotedge", "system", "stop")
    assert machine.keyd.process.poll() is None
    assert machine.keyd.stop() == 0


def test_a_number_of_another_process_is_not_stopped(machine):
    machine.config(NONE)
    machine.run("iotedge", "config", "apply")
    path = machine.prefix / "run/aziot/certd.pid"
    other = subprocess.Popen(["sleep", "600"])
    try:
        pid, start, boot = path.read_text().split()
        path.write_text(f"{other.pid} {start} {boot}\n")
        machine.run("iotedge", "system", "stop")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
        os.kill(int(pid), signal.SIGTERM)
    wait_for("certd's end", lambda: not alive(int(pid)))


def test_a_service_that_cannot_start_is_an_error_with_its_reason(machine):
    machine.configure("keyd", "max_requests = 'many'\n")
    r = machine.run("iotedge", "system", "restart", status=69)
    assert "aziot-keyd ended at once (status" in r.stderr and "max_requests" in r.stderr
    assert machine.states(status=3)["aziot-keyd"]["state"] == "Down - died"
    assert machine.states(status=3)["aziot-certd"]["state"] == "Down - not configured"


def test_nothing_is_started_where_nothing_is_configured(machine):
    r = machine.run("iotedge", "system", "restart", status=66)
    assert "run 'iotedge config apply' first" in r.stderr
    assert machine.states(status=3)["aziot-keyd"]["state"] == "Down - not configured"


# --- config apply ---

def test_apply_restarts_what_changed_and_starts_only_where_that_is_wished(machine):
    machine.config(NONE)
    r = machine.run("iotedge", "config", "apply", "--prefix", machine.prefix, env=os.environ)
    assert "Started" not in r.stdout and machine.states(status=3)["aziot-keyd"]["state"] == "Down - stopped"
    r = machine.run("iotedge", "config", "apply", "--prefix", machine.prefix, "--start", "yes", env=os.environ)
    assert "Started: keyd, certd, identityd" in r.stdout
    keyd, certd = machine.pid("keyd"), machine.pid("certd")
    machine.config(NONE + "\n[cert_issuance.web]\nmethod = \"self_signed\"\ncommon_name = \"web\"\n")
    r = json.loads(machine.run("iotedge", "config", "apply", "--json", "--prefix", machine.prefix, env=os.environ).stdout)
    assert r["restarted"] == ["certd"] and r["started"] == []
    assert machine.pid("keyd") == keyd and machine.pid("certd") != certd
    r = machine.run("iotedge", "config", "apply")
    assert "no service is restarted" in r.stdout and machine.pid("keyd") == keyd
    r = machine.run("iotedge", "config", "apply", "--out", machine.prefix / "image", "-c", machine.prefix / "etc/aziot/config.toml",
                    "--uid", "aziotcs=9", "--uid", "aziotid=8", "--uid", "iotedge=7", "--start", "yes", env={k: v for k, v in machine.env.items() if k != "ESTUARY_PREFIX"})
    assert not list((machine.prefix / "image").rglob("*.pid")) and not list((machine.prefix / "image").rglob("01-estuary.toml"))


# --- logs ---

def test_logs_are_one_stream_by_time_and_go_on(machine):
    machine.config(NONE)
    machine.run("iotedge", "config", "apply")
    lines = machine.run("iotedge", "system", "logs").stdout.splitlines()
    assert {line.partition(":")[0] for line in lines} == set(SERVICES)
    times = [line.split()[1] for line in lines]
    assert times == sorted(times)
    assert len(machine.run("iotedge", "system", "logs", "--", "-n", "2").stdout.splitlines()) == 2
    assert "-u: below a prefix there is no journal" in machine.run("iotedge", "system", "logs", "--", "-u", "x", status=64).stderr
    follower = subprocess.Popen([str(machine.names / "iotedge"), "system", "logs", "--", "-f"], stdout=subprocess.PIPE,
                                text=True, env=machine.env)
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(iter(follower.stdout.readline, "")))
    reader.start()
    try:
        wait_for("what was there", lambda: any("Starting server" in line for line in seen))
        machine.certd.request("GET", "/certificates/never-heard-of")
        wait_for("what came", lambda: any("never-heard-of" in line for line in seen))
    finally:
        follower.terminate()
        follower.wait()
        reader.join()
        follower.stdout.close()


def test_the_log_level_counts_from_the_next_start(machine):
    machine.config(NONE)
    machine.run("iotedge", "system", "set-log-level", "error")
    machine.run("iotedge", "config", "apply")
    assert machine.run("iotedge", "system", "logs").stdout == ""
    r = machine.run("iotedge", "system", "set-log-level", "info")
    assert "'iotedge system restart' does that now" in r.stdout
    machine.run("iotedge", "system", "restart")
    assert "Starting server..." in machine.run("iotedge", "system", "logs").stdout
    assert "'loud' is not one of" in machine.run("iotedge", "system", "set-log-level", "loud", status=64).stderr


# --- reprovision ---

class Answering:
    """Somebody at the Identity Service's socket with one answer."""

    def __init__(self, machine, status, body):
        self.socket = socket.socket(socket.AF_UNIX)
        self.path = machine.prefix / "run/aziot/identityd.sock"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.socket.bind(str(self.path))
        self.socket.listen()
        self.head, self.answer = "", f"HTTP/1.1 {status} X\r\n{body}".encode()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        c, _ = self.socket.accept()
        with c:
            while "\r\n\r\n" not in self.head:
                self.head += c.recv(4096).decode()
            c.sendall(self.answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thread.join()
        self.socket.close()
        self.path.unlink()


def test_reprovision_asks_the_identity_service_and_tells_what_it_says(machine):
    with Answering(machine, 204, "\r\n") as identityd:
        assert "provisioned anew" in machine.run("iotedge", "system", "reprovision").stdout
        assert identityd.head.startswith("POST /identities/device/reprovision?api-version=2021-12-01 HTTP/1.1\r\n")
    why = json.dumps({"message": "DPS client error\ncaused by: the registration is disabled"})
    with Answering(machine, 404, f"content-type: application/json\r\ncontent-length: {len(why)}\r\n\r\n{why}"):
        r = machine.run("aziotctl", "system", "reprovision", status=69)
        assert "not provisioned: DPS client error: caused by: the registration is disabled (status 404)" in r.stderr
    assert "is the service running?" in machine.run("iotedge", "system", "reprovision", status=69).stderr


# --- the names ---

def test_iotedge_says_that_no_container_runs_here(machine):
    r = machine.run("iotedge", "-H", "unix:///var/run/iotedge/mgmt.sock", "list", status=69)
    assert r.stdout.split() == ["NAME", "STATUS", "DESCRIPTION", "CONFIG"] and "no Edge runtime is here" in r.stderr
    for words in (["restart", "edgeAgent"], ["logs", "edgeHub", "--tail", "10", "-f"], ["--host=unix:///x", "list"]):
        assert "no Edge runtime is here" in machine.run("iotedge", *words, status=69).stderr
    assert machine.run("iotedge", "version").stdout == machine.run("iotedge", "--version").stdout
    assert machine.run("iotedge", "version").stdout.startswith("iotedge ")
    assert machine.run("aziotctl", "--version").stdout.startswith("aziotctl ")
    machine.run("aziotctl", "list", status=64)


def test_a_support_bundle_has_everything_but_secrets(machine, tmp_path):
    machine.config("""[provisioning]
source = "manual"
connection_string = "HostName=hub.example;DeviceId=pump-7;SharedAccessKey=aHVzaGh1c2g="
[cert_issuance.est.auth]
username = "u"
password = '''hush-hush'''
headers = ["Secret-Value: hush-too"]
[agent.env]
TOKEN = "hush-env"
[agent.config]
image = "registry.example/agent"
[agent.config.auth]
username = "me"
password = "hush-registry"
auth = "aHVzaGh1c2g="
""")
    machine.run("iotedge", "config", "apply", "--start", "yes")
    machine.configure("certd", """[cert_issuance.est]
passwrod = "hush-typo"
[preloaded_keys]
device-id = "aHVzaC1odXNoLWh1c2gtaHVzaC1odXNo"
""", "90-mistyped.toml")
    machine.configure("identityd", "[cert_issuance.est]\npassword = hush-unquoted\n", "90-unquoted.toml")
    machine.configure("keyd", "[aziot_keys]\npassword = 7hush\n", "90-unquoted.toml")
    for service, said in [("certd", "passwrod"), ("identityd", "was not taken"), ("keyd", "was not taken")]:
        wait_for(f"{service} to see it", lambda: said in (machine.prefix / f"var/log/aziot/{service}.log").read_text())
    bundle = tmp_path / "bundle.zip"
    r = machine.run("iotedge", "support-bundle", "-o", bundle)
    assert f"Created support bundle at {bundle}" in r.stdout and bundle.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(bundle) as z:
        assert z.testzip() is None
        content = {n: z.read(n).decode() for n in z.namelist()}
    assert "Starting server..." in content["logs/services.txt"]
    assert json.loads(content["system-status.json"])["services"][0]["state"] == "Running"
    config = json.loads(content["config/etc/aziot/config.toml.json"])
    assert config["cert_issuance"]["est"]["auth"] == {"username": "u", "password": "***", "headers": "***"}
    assert "config/etc/aziot/certd/config.d/00-super.toml.json" in content
    everything = "\n".join(content.values())
    assert "hush" not in everything and "aHVzaGh1c2g" not in everything


def test_a_configuration_that_is_elsewhere_has_its_own_name_in_a_support_bundle(machine, tmp_path):
    (tmp_path / "k").write_text("max_requests = 20\n")
    machine.run("estuary-agent", "support-bundle", "-o", tmp_path / "b.zip", env={**machine.env, "AZIOT_KEYD_CONFIG": str(tmp_path / "k")})
    with zipfile.ZipFile(tmp_path / "b.zip") as z:
        assert json.loads(z.read(f"config{tmp_path}/k.json")) == {"max_requests": 20}


# --- the Edge CA ---

def edge(server, cert_uri, key_uri, url):
    return f"""
[provisioning]
source = "none"
[cert_issuance.est]
trusted_certs = ["file://{server.root_file}"]
[cert_issuance.est.auth]
bootstrap_identity_cert = "{cert_uri}"
bootstrap_identity_pk = "{key_uri}"
[cert_issuance.est.urls]
default = "{server.est_url}"
[edge_ca]
method = "est"
url = "{url}"
subject = {{ CN = "edge-of-tests" }}
"""


def is_ca(cert):
    return cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_without_the_edge_daemon_certd_fetches_and_renews_the_edge_ca(machine, server):
    pair = server.born()
    cert_uri, key_uri = machine.keep_pair("born", pair)
    machine.config(edge(server, cert_uri, key_uri, server.est_url + "/edge-ca").replace("edge-of-tests", pair.cn))
    machine.run("iotedge", "config", "apply")
    wait_for("the Edge CA", lambda: machine.matches("aziot-edged-ca"))
    first = machine.cert("aziot-edged-ca")
    assert is_ca(first) and first.public_key().key_size == 2048
    assert pair.cn in first.subject.rfc4514_string()
    machine.run("estuary-agent", "renew", "aziot-edged-ca")
    wait_for("its successor", lambda: machine.cert("aziot-edged-ca").serial_number != first.serial_number)
    wait_for("its key", lambda: machine.matches("aziot-edged-ca"))
    second = machine.cert("aziot-edged-ca")
    assert is_ca(second) and second.public_key().public_numbers() != first.public_key().public_numbers()
    names = sorted(p.name.partition("-")[0] for p in (machine.prefix / "var/lib/aziot/certd/certs").iterdir())
    assert names == ["aziotedgedca", "estid"]


def test_the_edge_ca_has_the_name_that_the_edge_daemon_would_give_it(machine, server):
    pair = server.born()
    cert_uri, key_uri = machine.keep_pair("born", pair)
    config = edge(server, cert_uri, key_uri, server.est_url + "/edge-ca")
    config = config.replace('source = "none"', f'source = "manual"\nconnection_string = "HostName=h.example;DeviceId={pair.cn};SharedAccessKey=aHVzaA=="')
    machine.config("\n".join(line for line in config.splitlines() if not line.startswith("subject")))
    machine.run("iotedge", "config", "apply", "--start", "no")
    own = (machine.prefix / "etc/aziot/certd/config.d/01-estuary.toml").read_text()
    assert f'common_name = "aziot-edge CA {pair.cn}"' in own
    machine.keyd.start()
    machine.certd.start()
    wait_for("the Edge CA", lambda: machine.matches("aziot-edged-ca"))
    assert is_ca(machine.cert("aziot-edged-ca"))


def test_the_quickstart_edge_ca_is_made_without_anybody_asking(machine):
    machine.config(NONE)
    machine.run("iotedge", "config", "apply")
    wait_for("the Edge CA", lambda: machine.matches("aziot-edged-ca"))
    cert = machine.cert("aziot-edged-ca")
    assert is_ca(cert) and cert.issuer == cert.subject and (cert.not_valid_after - cert.not_valid_before).days == 90
    cert.public_key().verify(cert.signature, cert.tbs_certificate_bytes, padding.PKCS1v15(), cert.signature_hash_algorithm)


# --- an identity that is a file ---

def test_a_birth_certificate_opens_the_door_as_a_copy_and_stays_as_it_is(machine, server):
    """A well-known post prints three names below certs, and begins anew by deleting all of them."""
    born = server.born()
    cert_uri, key_uri = machine.keep_pair("IDevID", born)
    files = [machine.prefix / "files/IDevID.cert.pem", machine.prefix / "files/IDevID.key.pem"]
    before = [(f.read_bytes(), f.stat().st_mtime_ns) for f in files]
    machine.config(f"""
[cert_issuance.est]
trusted_certs = ["file://{server.root_file}"]
[cert_issuance.est.urls]
[cert_issuance.est.auth]
identity_cert = "{cert_uri}"
identity_pk = "{key_uri}"
[provisioning]
source = "none"
[cert_issuance.device-id]
method = "est"
common_name = "{born.cn}"
url = "{server.est_url}/ldevid"
pk = "device-id"
[edge_ca]
method = "est"
common_name = "{born.cn}"
url = "{server.est_url}/edge-ca"
""")

    def three():
        return sorted(p.name.partition("-")[0] for p in (machine.prefix / "var/lib/aziot/certd/certs").glob("*.cer"))

    for _ in range(2):
        machine.run("iotedge", "config", "apply")
        wait_for("the three certificates", lambda: three() == ["aziotedgedca", "deviceid", "estid"])
        assert machine.cert_file("est-id").read_bytes() == before[0][0]
        assert machine.certd.request("GET", "/certificates/est-id").json["pem"].encode() == before[0][0]
        assert machine.certd.request("PUT", "/certificates/est-id", {"pem": before[0][0].decode()}).status == 403
        assert machine.cert("device-id").subject == born.cert.subject and is_ca(machine.cert("aziot-edged-ca"))
        machine.run("iotedge", "system", "stop")
        assert [(f.read_bytes(), f.stat().st_mtime_ns) for f in files] == before
        for kind in ("certd/certs", "keyd/keys"):
            for f in (machine.prefix / "var/lib/aziot" / kind).iterdir():
                f.unlink()


def test_the_copy_of_a_birth_certificate_is_renewed_where_a_server_does_that(machine, server):
    born = server.born()
    cert_uri, key_uri = machine.keep_pair("born", born)
    machine.config(f"""
[provisioning]
source = "none"
[cert_issuance.est]
trusted_certs = ["file://{server.root_file}"]
[cert_issuance.est.urls]
default = "{server.est_url}"
[cert_issuance.est.auth]
identity_cert = "{cert_uri}"
identity_pk = "{key_uri}"
[cert_issuance.web]
method = "est"
""")
    machine.run("aziotctl", "config", "apply")
    wait_for("the copy", lambda: machine.cert("est-id") is not None)
    wait_for("certd to have looked", lambda: machine.credential("est-id")["usable"])
    machine.run("estuary-agent", "renew", "est-id")
    wait_for("its successor", lambda: machine.cert("est-id").serial_number != born.cert.serial_number)
    fresh = machine.cert("est-id")
    assert fresh.public_key().public_numbers() == born.cert.public_key().public_numbers() and fresh.subject == born.cert.subject
    assert (machine.prefix / "files/born.cert.pem").read_bytes() == born.cert.public_bytes(serialization.Encoding.PEM)
    answer = machine.request("web", csr_pem(estuary.csr(estuary.new_key(), born.cn)))
    assert answer.status == 201, f"{answer}: it opens the door"


# --- the configuration that the operator's command prints ---

def printed(machine, server, text, **names):
    """What a person does with it: paste it, put the device's name in, and the files where it says, here below the prefix."""
    text = text[text.index("# config.toml"):].replace("/var/aziot", str(machine.prefix / "var/aziot"))
    for word, value in names.items():
        text = text.replace(word, value)
    for directory in ("certs", "secrets"):
        (machine.prefix / "var/aziot" / directory).mkdir(parents=True)
    root = server.cli("ca", "show", "root", "--pem").stdout
    (machine.prefix / "var/aziot/certs/root.pem").write_text(root)
    machine.config(text)


def assigned(machine, server, name):
    machine.run("iotedge", "config", "apply")
    wait_for(f"{name} to be assigned", lambda: [r for r in server.op("registration.list", q=name)["items"] if r["status"] == "assigned"])
    wait_for("the device to know it", lambda: (machine.prefix / "var/lib/aziot/identityd/device_info").exists())


def test_the_configuration_that_a_group_is_shown_with_provisions_a_device(machine, fresh_server):
    server = fresh_server()  # whose issuing CA is no other group's
    born, group = server.born(), estuary.fresh_name("group")
    text = server.cli("group", "create", group, "--x509", "--ca", "issuing").stdout
    try:
        printed(machine, server, text, DEVICE=born.cn)
        for uri, file in (("certs/birth.pem", born.cert_file), ("secrets/birth.key.pem", born.key_file)):
            path = machine.prefix / "var/aziot" / uri
            path.write_bytes(pathlib.Path(file).read_bytes())
            path.chmod(0o600)
        assigned(machine, server, born.cn)
    finally:
        machine.run("estuary-agent", "system", "stop")
        server.op("registration.remove", registration=born.cn, _check=False)
        server.op("group.remove", name=group, _check=False)


def test_the_configuration_that_an_enrolment_is_shown_with_provisions_its_device(machine, server):
    name = estuary.fresh_name()
    printed(machine, server, server.cli("enrolment", "create", name, "--symmetric").stdout)
    assigned(machine, server, name)
