# SPDX-License-Identifier: Apache-2.0
"""estuary-agent check: nothing to say of a healthy device, and of each fault exactly what turns."""
import http.server
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives import serialization

import estuary
from clock import DAY, HOUR, Clock
from device import AGENT
from estuary import PATIENCE, wait_for
from test_device import ask, set_up
from users import OpenDevice, files_below, needs_root

IDENTITY = "test-est-cert-identity-id"
SINCE_1900 = 2208988800


class TimeServer:
    """SNTP on a port of its own; `ahead` seconds away from this machine's time."""

    def __init__(self):
        self.ahead = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            question, peer = self.sock.recvfrom(512)
            if question == b"end":
                return
            now = int(time.time()) + self.ahead + SINCE_1900
            self.sock.sendto(struct.pack("!BBBb11I", 0x24, 2, 4, -20, 0, 0, 0, 0, 0, *struct.unpack("!II", question[40:48]),
                                         now, 0, now, 0), peer)

    @property
    def name(self):
        return "127.0.0.1:%d" % self.sock.getsockname()[1]

    def stop(self):
        self.sock.sendto(b"end", self.sock.getsockname())


@pytest.fixture(scope="module")
def clock_server():
    s = TimeServer()
    yield s
    s.stop()


class Checked:
    """What check said: exit status, {ID: result}, {ID: details in one text}, {ID: additional_info}."""

    def __init__(self, device, clock_server, *args, env=None):
        r = device.agent("check", "-o", "json", "--ntp-server", clock_server.name, *args, check=False, env=env)
        self.status, self.stderr = r.returncode, r.stderr
        self.all = json.loads(r.stdout)
        checks = self.all["checks"]
        self.result = {i: c["result"]["result"] for i, c in checks.items()}
        self.said = {i: "\n".join(c["result"].get("details", [])) for i, c in checks.items()}
        self.info = {i: c["additional_info"] for i, c in checks.items()}

    @property
    def turned(self):
        """The IDs that are neither fine nor beside the point."""
        return {i: r for i, r in self.result.items() if r not in ("ok", "ignored")}

    def __repr__(self):
        return json.dumps(self.all["checks"], indent=1)


def endpoint(server):
    return f"est-endpoint:{server.est_url}"


@pytest.fixture
def healthy(device, server):
    """Seed 000's device, its identity made and taken."""
    pair = set_up(device, server)
    device.start()
    ask(device, pair.cn)
    wait_for("the identity to be proved", lambda: (c := device.credential(IDENTITY))["proved"] and c["state"] == "idle")
    return device


def test_of_a_healthy_device_there_is_nothing_to_say(healthy, server, clock_server):
    got = Checked(healthy, clock_server, "--warnings-as-errors")
    assert got.turned == {} and got.status == 0, got
    for i in ("keyd-config-well-formed", "certd-config-well-formed", "host-local-time", "certs-preloaded", "keyd-running", "certd-running",
              "certs-read", "key-pairs-read", "certs-match-private-keys", "est-identity-and-bootstrap-certificate-expiry",
              "certificate-renewals", endpoint(server)):
        assert got.result[i] == "ok", got


def test_an_endpoint_is_shown_with_all_that_is_known_of_it(healthy, server, clock_server):
    info = Checked(healthy, clock_server).info[endpoint(server)]
    label = next(x for x in server.op("label.list")["items"] if x["default"])
    assert (info["label"], info["profile"]) == (label["name"], label["profile"])
    assert info["certificate"] == IDENTITY and "CN=" in info["anchor"] and abs(info["clock_difference"]) < 60
    assert [c["id"] for c in info["credentials"]] == [IDENTITY] and info["credentials"][0]["next_renewal"] > time.time()
    shown = healthy.agent("check", "--verbose", "--dont-run", "host-local-time").stdout
    for words in (f"shown: EST identity {IDENTITY}", f"label {label['name']}, profile {label['profile']}", f"{IDENTITY}: next renewal at "):
        assert words in shown, shown


def test_only_a_device_of_its_own_is_told_what_is_behind_a_url(server):
    def told(pair):
        return server.get("cacerts", pair=pair).headers.get("X-Estuary-Label")

    outside = estuary.OutsideCa()
    outside.trust(server, scope="new", active=True)
    assert "; profile=" in told(server.born())
    assert told(None) is None
    assert told(outside.pair(server)) is None


def test_looking_changes_nothing(healthy, clock_server):
    before = files_below(healthy.prefix / "var")
    Checked(healthy, clock_server)
    assert files_below(healthy.prefix / "var") == before


# --- one fault at a time ---

def expired(device, server):
    ca = estuary.OutsideCa()
    old = estuary.mint((ca.cert, ca.key), "old", estuary.new_key(), begin=-2 * DAY, end=-DAY)
    path = device.file("old.pem", old.public_bytes(serialization.Encoding.PEM))
    device.configure("certd", f'[preloaded_certs]\nold = "{path.as_uri()}"\n', "50-old.toml")
    device.certd.reload()
    return {"certs-preloaded": "error"}, ("certs-preloaded", "has expired")


def missing(device, server):
    device.configure("certd", '[preloaded_certs]\ngone = "file:///nonexistent/gone.pem"\n', "50-gone.toml")
    device.certd.reload()
    return {"certs-preloaded": "error", "certs-read": "error"}, ("certs-preloaded", "no such file")


def wrong_trust(device, server):
    path = device.file("other-root.pem", estuary.OutsideCa().pem)
    device.configure("certd", f'[preloaded_certs]\nest-server-ca = "{path.as_uri()}"\n', "zz-other.toml")
    return {endpoint(server): "error"}, (endpoint(server), "unknown CA")


def no_keyd(device, server):
    device.keyd.stop()
    return {"keyd-running": "error", "key-pairs-read": "skipped", "certs-match-private-keys": "skipped",
            endpoint(server): "skipped"}, ("keyd-running", "aziot-keyd does not answer")


def no_certd(device, server):
    device.certd.stop()
    return {"certd-running": "error", "certs-read": "skipped", "certificate-renewals": "skipped"}, ("certd-running", "aziot-certd")


def other_key(device, server):
    key = device.prefix / "files/bootstrap.key.pem"
    key.write_bytes(estuary.key_pem(estuary.new_key()))
    return {"certs-match-private-keys": "error"}, ("certs-match-private-keys", "does not belong to the key pair")


def weak_key(device, server):
    path = device.file("weak.key", estuary.key_pem(estuary.new_key("rsa-1024")))
    device.configure("keyd", f'[preloaded_keys]\nweak = "{path.as_uri()}"\n', "50-weak.toml")
    device.keyd.stop()
    device.keyd.start()
    return {"key-pairs-read": "error"}, ("key-pairs-read", "keyd does not give the key pair 'weak'")


def misspelt(device, server):
    device.configure("certd", '[cert_issuance.est]\nidentiy_cert = "x"\n', "50-typo.toml")
    return {"certd-config-well-formed": "warning"}, ("certd-config-well-formed", "did you mean 'identity_cert'")


def paused(device, server):
    device.agent("pause", IDENTITY)
    return {"certificate-renewals": "warning"}, ("certificate-renewals", "paused")


def nowhere(device, server):
    device.configure("certd", '[cert_issuance.lost]\nmethod = "est"\nanonymous = true\n', "50-lost.toml")
    return {"certd-config-well-formed": "warning", "est-endpoint:lost": "error"}, ("est-endpoint:lost", "EST URL is not configured")


@pytest.mark.parametrize("fault", [expired, missing, wrong_trust, no_keyd, no_certd, other_key, weak_key, misspelt, paused, nowhere],
                         ids=lambda f: f.__name__)
def test_a_fault_turns_exactly_the_check_that_is_for_it(healthy, server, clock_server, fault):
    expected, (where, words) = fault(healthy, server)
    got = Checked(healthy, clock_server)
    assert got.turned == expected, got
    assert words in got.said[where], got
    assert got.status == (1 if "error" in expected.values() else 0)
    assert Checked(healthy, clock_server, "--warnings-as-errors").status == 1


class Plain(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"MAA="
        self.send_response(200)
        self.send_header("Content-Type", "application/pkcs7-mime")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_an_http_server_turns_the_check_of_urls_alone(healthy, clock_server):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{plain.server_address[1]}/est"
        healthy.configure("certd", f'[cert_issuance.open]\nmethod = "est"\nanonymous = true\nurl = "{url}"\n', "50-open.toml")
        got = Checked(healthy, clock_server)
        plain.shutdown()
    assert got.turned == {"est-server-https": "warning"}, got
    assert url in got.said["est-server-https"] and got.result[f"est-endpoint:{url}"] == "ok"
    assert "label" not in got.info[f"est-endpoint:{url}"]


def test_a_clock_that_is_off_is_told_by_those_who_compare_it(healthy, server, clock_server, tmp_path):
    clock = Clock(tmp_path)
    clock.set(HOUR)
    got = Checked(healthy, clock_server, env=clock.env)
    assert got.turned == {endpoint(server): "warning", "host-local-time": "warning"}, got
    assert "ahead of the server's" in got.said[endpoint(server)] and "ahead of" in got.said["host-local-time"]
    assert got.status == 0
    clock.set(-2 * DAY)
    got = Checked(healthy, clock_server, env=clock.env)
    assert got.result[endpoint(server)] == "error" and "clock" in got.said[endpoint(server)], got
    assert got.status == 1


def test_a_check_that_is_not_known_is_told_and_hinders_nothing(healthy, clock_server):
    few = ("check", "--ntp-server", clock_server.name, "--dont-run")
    said = healthy.agent(*few, "est-endpoint est-endpoint:https://x host-local-tme")
    assert said.returncode == 0 and said.stderr == "estuary-agent: --dont-run: no check is called 'host-local-tme'; 'estuary-agent check-list' has them all\n"
    assert "host time" in said.stdout and "EST server https" not in said.stdout
    assert healthy.agent(*few, "est-endpoint,est-endpoint:https://x, container-local-time").stderr == ""


def test_a_time_server_that_is_silent_is_a_warning_and_can_be_left_out(healthy, clock_server):
    said = healthy.agent("check", "--ntp-server", "127.0.0.1:1", check=False)
    assert said.returncode == 0 and "\u203c host time is close to reference time - Warning\n    " in said.stdout
    left = healthy.agent("check", "--ntp-server", "127.0.0.1:1", "--warnings-as-errors", "--dont-run", "aziot-version host-local-time")
    assert "host time" not in left.stdout and left.stderr == ""
    clock_server.ahead = 600
    try:
        assert Checked(healthy, clock_server).turned == {"host-local-time": "warning"}
    finally:
        clock_server.ahead = 0


# --- forms ---

def test_text_json_and_the_stream_say_the_same(healthy, server, clock_server):
    expected, _ = no_certd(healthy, server)
    want = Checked(healthy, clock_server)
    r = healthy.agent("check", "-o", "json-stream", "--ntp-server", clock_server.name, check=False)
    stream = [json.loads(line) for line in r.stdout.splitlines()]
    assert [v["name"] for v in stream if v["kind"] == "section"] == ["Configuration checks", "Connectivity checks", "Estuary checks"]
    assert {v["id"]: v["result"]["result"] for v in stream if v["kind"] == "check"} == want.result
    assert stream[-1]["kind"] == "additional_info" and {"now", "os", "dmi", "system_info"} <= set(stream[-1])
    assert stream[-1]["os"]["bitness"] in (32, 64) and {"used_ram", "total_ram", "used_swap", "total_swap", "disks"} <= set(stream[-1]["system_info"])
    assert r.returncode == want.status == 1
    r = healthy.agent("check", "--ntp-server", clock_server.name, check=False)
    assert r.returncode == 1 and "\033" not in r.stdout
    assert "Configuration checks\n--------------------\n\u221a keyd configuration is well-formed - OK\n" in r.stdout
    assert "\n\u00d7 certd is running - Error\n    aziot-certd does not answer" in r.stdout
    count = list(want.result.values()).count
    assert r.stdout.endswith(f"\n{count('ok')} check(s) succeeded.\n1 check(s) raised errors. Re-run with --verbose for more details.\n"
                             "2 check(s) were skipped due to errors from other checks. Re-run with --verbose for more details.\n")
    r = healthy.agent("check", "--verbose", "--ntp-server", clock_server.name, check=False)
    assert "        caused by: " in r.stdout and "    skipping because of previous failures\n" in r.stdout


def test_as_iotedge_there_are_its_checks_and_its_words(healthy, clock_server, tmp_path):
    (tmp_path / "iotedge").symlink_to(AGENT)
    worker = {"ESTUARY_PREFIX": str(healthy.prefix)}

    def run(*args):
        return subprocess.run([str(tmp_path / "iotedge"), *args], capture_output=True, text=True, timeout=PATIENCE * 2, env={**os.environ, **worker})

    listed = json.loads(run("check-list", "-o", "json").stdout)
    assert list(listed) == ["Configuration checks (aziot-identity-service)", "Connectivity checks (aziot-identity-service)", "Estuary checks",
                            "Configuration checks", "Connectivity checks"]
    r = run("check", "-o", "json", "--ntp-server", clock_server.name, "--container-engine-config-file", "/etc/docker/daemon.json",
            "--diagnostics-image-name", "x/y:1", "--expected-aziot-edged-version", "1.5", "--dont-run", "aziot-edged-config-well-formed", "hostname")
    checks = json.loads(r.stdout)["checks"]
    assert r.returncode == 0 and "changes nothing" in r.stderr, r
    assert {c["id"] for s in listed.values() for c in s} - set(checks) == {"est-endpoint"}
    assert all(c["result"]["result"] == "ignored" for i, c in checks.items() if i.startswith("container-"))
    assert "out of this program's scope" in checks["container-engine-uri"]["additional_info"]["reason"]


def test_words_that_are_wrong_are_told_as_that(device):
    for words in (("-o", "xml"), ("--dont-ran", "x"), ("one-too-many",)):
        r = device.agent("check", *words, check=False)
        assert r.returncode == 64 and r.stdout == "" and "estuary-agent: " in r.stderr


# --- hub ---

def test_the_hub_is_verified_on_each_of_its_ports(healthy, server, clock_server):
    hub = f"localhost:{server.device_port}"
    got = Checked(healthy, clock_server, "--iothub-hostname", hub, env={"SSL_CERT_FILE": server.root_file})
    assert got.result["host-connect-iothub-https"] == "ok", got
    for protocol, port in (("amqp", 5671), ("mqtt", 8883)):
        # Whatever may listen there on this machine, it is not called localhost under the server's root.
        assert got.result[f"host-connect-iothub-{protocol}"] == "error" and str(port) in got.said[f"host-connect-iothub-{protocol}"]
    stranger = Checked(healthy, clock_server, "--iothub-hostname", hub)
    assert stranger.result["host-connect-iothub-https"] == "error" and "unknown CA" in stranger.said["host-connect-iothub-https"]


IDENTITYD = """
hostname = "{host}"
homedir = "{home}"

[provisioning]
source = "dps"
global_endpoint = "https://localhost:{port}/"
scope_id = "0ne00000001"
trusted_certs = ["est-server-ca"]

[provisioning.attestation]
method = "x509"
registration_id = "pump-7"
identity_cert = "test-est-cert"
identity_pk = "test-est-cert"
"""


def test_a_device_that_is_provisioned_is_looked_at_as_a_whole(healthy, server, clock_server):
    home = healthy.prefix / "var/lib/aziot/identityd"
    (healthy.prefix / "etc/aziot/identityd/config.d").mkdir(parents=True, exist_ok=True)
    home.mkdir(exist_ok=True)
    skip = ("--dont-run", "identityd-running certs-match-private-keys")
    healthy.configure("identityd", IDENTITYD.format(host=socket.gethostname(), home=home, port=server.device_port))
    hubs = {f"host-connect-iothub-{p}": "warning" for p in ("amqp", "https", "mqtt")}
    got = Checked(healthy, clock_server, *skip)
    assert got.turned == hubs and got.result["host-connect-dps-endpoint"] == "ok", got
    assert got.result["hostname"] == got.result["identity-certificate-expiry"] == "ok"
    assert "--iothub-hostname" in got.said["host-connect-iothub-https"]
    (home / "device_info").write_text(f'hub_name = "localhost:{server.device_port}"\ndevice_id = "pump-7"\n')
    got = Checked(healthy, clock_server, *skip)
    assert got.result["host-connect-iothub-https"] == "ok" and "CN=" in got.info["host-connect-iothub-https"]["anchor"], got
    healthy.configure("identityd", IDENTITYD.format(host="another-machine", home=home, port=server.device_port))
    got = Checked(healthy, clock_server, *skip)
    assert got.result["hostname"] == "error" and "another-machine" in got.said["hostname"]
    healthy.configure("identityd", "hostname = 7\n")
    got = Checked(healthy, clock_server, *skip)
    assert got.result["identityd-config-well-formed"] == "error" and "10-test.toml:1:" in got.said["identityd-config-well-formed"]
    assert {got.result[i] for i in (*hubs, "hostname", "host-connect-dps-endpoint", "identity-certificate-expiry")} == {"skipped"}


# --- users ---

OTHER = 64321


@pytest.fixture
def opened(server):
    d = OpenDevice()
    pair = set_up(d, server)
    d.open(d.keyd, d.certd)
    ask(d, pair.cn)
    wait_for("the identity to be proved", lambda: (c := d.credential(IDENTITY))["proved"] and c["state"] == "idle")
    for f in (d.prefix / "files").iterdir():
        os.chmod(f, 0o644)
    yield d
    d.close()


@needs_root
def test_a_key_that_its_service_cannot_read_is_named_with_what_to_do(opened, clock_server):
    os.chmod(opened.prefix / "files/bootstrap.key.pem", 0o600)
    os.chown(opened.prefix / "var/lib/aziot/keyd", OTHER, OTHER)
    got = Checked(opened, clock_server)
    assert got.turned == {"key-pairs-read": "error"}, got
    assert f"cannot be read by user {OTHER}" in got.said["key-pairs-read"] and "cert-permissions" in got.said["key-pairs-read"]


@needs_root
def test_root_asks_the_server_as_the_services_user(opened, server, clock_server):
    os.chown(opened.prefix / "var/lib/aziot/certd", OTHER, OTHER)
    shutil.copy(server.root_file, opened.prefix / "files/root.pem")
    opened.configure("certd", f'[preloaded_certs]\nest-server-ca = "file://{opened.prefix}/files/root.pem"\n', "zz-root.toml")
    got = Checked(opened, clock_server)
    assert got.turned == {endpoint(server): "error"} and "not authori" in got.said[endpoint(server)], got
    opened.configure("keyd", f'[[principal]]\nuid = {OTHER}\nkeys = ["{IDENTITY}"]\n', "50-other.toml")
    opened.keyd.reload()
    assert Checked(opened, clock_server).turned == {}


@needs_root
def test_who_may_not_read_the_configuration_is_told_at_once(opened, clock_server):
    os.chmod(opened.prefix / "etc/aziot/keyd/config.d", 0o700)
    r = subprocess.run([str(AGENT), "check", "-o", "json", "--prefix", str(opened.prefix)], capture_output=True, text=True, user=OTHER,
                       group=OTHER, extra_groups=[], timeout=PATIENCE)
    checks = json.loads(r.stdout)["checks"]
    assert r.returncode == 1 and list(checks) == ["keyd-config-well-formed"]
    assert checks["keyd-config-well-formed"]["result"]["result"] == "fatal"
    assert "run this as root" in checks["keyd-config-well-formed"]["result"]["details"][0]
