# SPDX-License-Identifier: Apache-2.0
"""The Identity Service and the verbs around it against those who mean harm: the services it asks, its callers, owners of directories."""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import estuary
from clock import DAY, Clock
from estuary import mint, new_key, wait_for
from fake_dps import refusal, said
from test_identityd import (ask_device, by_dps, configure_certs, configure_keys, dps, home, principal, provisioned,  # noqa: F401
                            settled, spec, start, status)
from test_identityd_outages import reprovision
from users import needs_root

MODULE = principal("m1", 60001, ["module"])


def files(device):
    return {p: p.read_bytes() for p in home(device).rglob("*") if p.is_file()}


# --- a provisioning service that lies ---

def test_a_service_that_lies_about_the_time_gets_no_token_for_years(device, dps):  # noqa: F811
    start(device, dps)
    settled(device)
    dps.skew = 400 * DAY
    dps.plan["register"] = [lambda _: said(401, refusal(401003, "late"), {"Date": dps.date()})]
    dps.stay = {"register"}
    a = reprovision(device)
    assert a.status == 404 and "answered 401" in a.message, a
    ends = [int(re.search(r"&se=(\d+)", a.headers["authorization"]).group(1)) for a in dps.asks if "authorization" in a.headers]
    assert ends and max(ends) <= time.time() + DAY + 3660
    assert re.search(r"WARN\] - dps: the clock here is 345[56]\d{4,} seconds behind that of localhost", device.identityd.log)


def nested(levels, item):
    for _ in range(levels):
        item = [item]
    return item


def test_a_payload_that_is_too_large_to_keep_is_no_answer_and_changes_nothing(device, dps):  # noqa: F811
    start(device, dps)
    settled(device)
    before = files(device)
    dps.device, dps.payload = "pump-8", "x" * 300_000
    a = reprovision(device)
    assert a.status == 404 and "payload of more than 64 KiB" in a.message, a
    assert files(device) == before and spec(ask_device(device))["deviceId"] == "pump-7"
    # What would be large only for people's eyes is taken as it is.
    dps.device, dps.payload = "pump-7", nested(24, [1] * 20_000)
    assert reprovision(device).status == 204 and status(device)["provisioning"]["current"]


def test_when_the_device_becomes_another_its_log_says_what_it_was(device, dps):  # noqa: F811
    start(device, dps)
    settled(device)
    assert "Until now" not in device.identityd.log
    dps.device = "pump-8"
    assert reprovision(device).status == 204
    assert f"WARN] - Until now it was 'pump-7' at {dps.hub}." in device.identityd.log


def test_lines_in_what_the_service_says_are_none_of_the_log(device, dps):  # noqa: F811
    start(device, dps)
    settled(device)
    forged = "no\n<3>2026-01-01T00:00:00Z [ERR!] - forged\r\x1b[2J"
    dps.plan["register"] = [said(403, {"message": forged, "trackingId": forged, "errorCode": 403001}),
                            lambda _: dps.assigned(deviceId="pump\n<3>forged")]
    assert reprovision(device).status == 404 and reprovision(device).status == 404
    assert not [line for line in device.identityd.log.splitlines() if line.startswith("<3>") and "forged" in line]
    assert "\x1b" not in device.identityd.log
    assert spec(ask_device(device))["deviceId"] == "pump-7"


def test_a_hub_with_too_many_modules_breaks_nothing(device, dps):  # noqa: F811
    identityd = start(device, dps, principals=principal() + MODULE)
    settled(device)
    dps.modules = {str(i): {"moduleId": str(i)} for i in range(40_000)}
    listed = identityd.request("GET", "/identities/modules?type=aziot")
    assert listed.status == 200 and len(listed.json["identities"]) == 40_000
    dps.modules = {str(i): {"moduleId": str(i)} for i in range(100_000)}
    a = identityd.request("GET", "/identities/modules?type=aziot")
    assert a.status == 404 and a.message.startswith("Hub client error"), a
    assert spec(ask_device(device))["deviceId"] == "pump-7"


# --- what is kept ---

def test_a_journal_that_cannot_be_written_keeps_no_module_from_the_new_device(device, dps):  # noqa: F811
    start(device, dps, principals=principal() + MODULE)
    settled(device)
    journal = home(device, "estuary", "provisioning.json")
    journal.unlink()
    (journal / "in the way").mkdir(parents=True)
    dps.device, dps.modules = "pump-8", {}
    assert reprovision(device).status == 404  # it would not be known after a restart that this was confirmed
    assert spec(ask_device(device))["deviceId"] == "pump-8"
    wait_for("the modules of the new device", lambda: set(dps.modules) == {"m1"})
    shutil.rmtree(journal)
    assert reprovision(device).status == 204


def test_a_pause_that_a_wrong_clock_made_ends_when_the_clock_is_right(device, dps, tmp_path):  # noqa: F811
    clock = Clock(tmp_path)
    device.identityd.env = clock.env
    configure_keys(device, dps)
    configure_certs(device, dps)
    by_dps(device, dps)
    clock.set(400 * DAY)
    device.identityd.start()
    wait_for("a try to fail", lambda: status(device)["provisioning"].get("last_error"))
    clock.set(0)
    device.start()
    provisioned(device, 3 * estuary.PATIENCE)


def test_a_certificate_and_a_key_that_do_not_belong_together_are_given_to_nobody(device, dps):  # noqa: F811
    dps.key = None
    start(device, dps)
    settled(device)
    own = device.cert_file("device-id").read_text()
    other = mint((dps.ca.cert, dps.ca.key), "pump-7", new_key()).public_bytes(Encoding.PEM).decode()
    assert device.certd.request("PUT", "/certificates/device-id", {"pem": other}).status == 201
    a = ask_device(device)
    assert a.status == 404 and "'device-id' is not for key 'device-id'" in a.message, a
    assert device.certd.request("PUT", "/certificates/device-id", {"pem": own}).status == 201
    assert spec(ask_device(device))["auth"]["certId"] == "device-id"


# --- callers ---

@pytest.mark.parametrize("module", ["device-id", "device-id-temp"])
def test_a_local_identity_cannot_take_the_place_of_the_devices_certificate(device, dps, module):  # noqa: F811
    dps.key = None
    identityd = start(device, dps)
    settled(device)
    before = device.cert("device-id")
    a = identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": module})
    assert a.status == 400 and "device's own certificate" in a.message, a
    assert device.cert("device-id") == before and device.cert("device-id-temp") is None
    assert identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": "device-i"}).status == 404  # certd does not issue it


def test_callers_who_ask_and_go_leave_nothing_behind(device, dps):  # noqa: F811
    identityd = start(device, dps, more="max_requests = 20")
    settled(device)
    asked = [b"POST /identities/device?api-version=2020-09-01 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
             b'{"type":"aziot"}', b"GET /identities/modules?type=aziot&api-version=2020-09-01 HTTP/1.1\r\n\r\n",
             b"GET /trust-bundle?api-version=2020-09-01 HTTP/1.1\r\n\r\n"]
    for i in range(300):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(identityd.socket))
            with contextlib.suppress(BrokenPipeError):  # there was no room
                s.sendall(asked[i % len(asked)])

    # Each of them held its place until its answer was made, so there was never more than was allowed at once.
    def is_answered():
        try:
            return ask_device(device).status == 200
        except (ConnectionResetError, BrokenPipeError):
            return False

    wait_for("room again", is_answered)
    assert identityd.stop() == 0
    device.identityd.start()


def test_a_body_without_end_or_of_any_depth_is_refused(device, dps):  # noqa: F811
    identityd = start(device, dps)
    for body in ("[" * 100_000, '{"type":' * 5000, '{"type":"' + "x" * 1_100_000 + '"}', '{"type":"aziot","type":"local"}', "\0"):
        assert 400 <= identityd.request("POST", "/identities/device", body, headers={"Content-Type": "application/json"}).status < 500
    settled(device)


# --- directories of others ---

def test_a_lock_that_is_a_link_makes_no_file_elsewhere(device, tmp_path):
    (device.prefix / "run/aziot/system.lock").symlink_to(tmp_path / "nologin")
    assert device.agent("system", "stop", check=False).returncode != 0
    assert not (tmp_path / "nologin").exists()


def test_a_log_that_is_a_link_or_no_file_is_not_shown(device, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    logs = device.prefix / "var/log/aziot"
    logs.mkdir(parents=True)
    log = logs / "keyd.log"
    log.symlink_to(secret)
    for verb in (["system", "logs"], ["support-bundle", "-o", "-"]):
        r = subprocess.run([str(estuary.BUILD / "src/device/agent/estuary-agent"), *verb, "--prefix", str(device.prefix)],
                           capture_output=True, timeout=estuary.PATIENCE)
        assert r.returncode != 0 and b"hush" not in r.stdout + r.stderr and b"keyd.log" in r.stderr
    log.unlink()
    os.mkfifo(log)
    assert "not a file" in device.agent("system", "logs", check=False).stderr


def test_a_number_that_somebody_wrote_ends_nobody(device):
    """Right in all it says: and yet not a service of this directory."""
    with subprocess.Popen(["sleep", "600"]) as other:
        begun = pathlib.Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
        (device.prefix / "run/aziot/keyd.pid").write_text(f"{other.pid} {begun} {boot}")
        try:
            assert "Nothing was running" in device.agent("system", "stop").stdout
            assert other.poll() is None
        finally:
            other.kill()


def test_a_proxys_password_is_not_shown_whatever_is_in_it(device, dps):  # noqa: F811
    start(device, dps)
    r = device.agent("check", "-o", "json", "--dont-run", "host-local-time", "--proxy-uri", "http://user:hu@sh@127.0.0.1:9", check=False)
    assert '"127.0.0.1:9"' in r.stdout and "sh@127" not in r.stdout + r.stderr and "hu@" not in r.stdout + r.stderr


class Caller:
    """Listens, and notes which user each connection is of."""

    def __init__(self):
        self.listener, self.uids = socket.create_server(("127.0.0.1", 0)), []
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                s, (_, port) = self.listener.accept()
            except OSError:
                return
            rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
            self.uids += [int(r[7]) for r in rows if r[1].endswith(f":{port:04X}") and r[2].endswith(f":{self.port:04X}")]
            s.close()


@needs_root
def test_root_meets_a_hub_as_the_services_user(device):
    os.chown(device.prefix / "var/lib/aziot/identityd", 64321, 64321)
    hub = Caller()
    r = device.agent("check", "-o", "json", "--dont-run", "host-local-time", "--iothub-hostname", f"127.0.0.1:{hub.port}", check=False)
    assert '"host-connect-iothub-https"' in r.stdout and set(hub.uids) == {64321}
    hub.listener.close()
