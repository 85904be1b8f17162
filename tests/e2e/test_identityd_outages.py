# SPDX-License-Identifier: Apache-2.0
"""The Identity Service when others are away, say no, or break off: what was confirmed stays, and what is tried ends by itself."""
import base64
import concurrent.futures
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

import estuary
from device import OWN, stem
from estuary import wait_for
from fake_dps import after, half, nothing, refusal, said
from hostile import _Public
from test_identityd import (RENEW, ask_device, by_dps, configure_certs, configure_keys, dps, home, mac, principal,  # noqa: F401
                            provisioned, settled, sign, spec, start, status)


def reprovision(device, timeout=estuary.PATIENCE):
    return device.identityd.request("POST", "/identities/device/reprovision", {"type": "aziot"}, timeout=timeout)


def failed_try(device):
    return wait_for("a try to fail", lambda: status(device)["provisioning"].get("last_error"), 2 * estuary.PATIENCE)


# --- reprovisioning ---

@pytest.mark.parametrize("with_certificate", [False, True], ids=["key", "certificate"])
def test_reprovisioning_under_a_dead_service_leaves_the_device_working(device, dps, with_certificate):
    if with_certificate:
        dps.key = None
    start(device, dps, principals=principal() + principal("m1", 60001, ["module"]))
    settled(device)
    files = {p: p.read_bytes() for p in home(device).rglob("*") if p.is_file()}
    dps.plan["register"], dps.stay = [nothing], {"register"}
    a = reprovision(device)
    assert a.status == 404 and a.message.startswith("DPS client error\ncaused by: DPS at localhost:"), a
    assert {p: p.read_bytes() for p in home(device).rglob("*") if p.is_file()} == files, "no file has changed"
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    assert spec(device.identityd.request("GET", "/identities/modules/m1?type=aziot"))["moduleId"] == "m1"
    assert status(device)["provisioning"]["provisioned"] and status(device)["provisioning"]["last_outcome"] == "no-server"
    assert device.agent("status", check=False).returncode == 3
    dps.plan.clear()
    assert reprovision(device).status == 204
    assert "last_error" not in status(device)["provisioning"]


def test_reprovisioning_that_moves_the_device_is_in_force_at_once(device, dps):
    start(device, dps)
    settled(device)
    dps.plan["poll"] = [lambda _: dps.assigned(assignedHub="other.example", deviceId="pump-8", substatus="deviceDataMigrated")]
    assert reprovision(device).status == 204
    s = spec(ask_device(device))
    assert (s["hubName"], s["deviceId"]) == ("other.example", "pump-8")
    assert 'device_id = "pump-8"' in home(device, "device_info").read_text()


@pytest.mark.parametrize("told,words,outcome", [
    (lambda d: d.state(status="disabled"), "disabled", "disabled"),
    (lambda d: d.state(status="failed", errorCode=400207, errorMessage="Custom allocation failed"), "Custom allocation failed", "failed"),
], ids=["disabled", "failed"])
def test_what_the_service_decides_is_told_in_its_words_and_the_identity_stays(device, dps, told, words, outcome):
    start(device, dps)
    settled(device)
    state = told(dps)
    dps.plan["poll"] = [said(200, {"operationId": "o", "status": state["status"], "registrationState": state})]
    a = reprovision(device)
    assert a.status == 404 and words in a.message, a
    assert status(device)["provisioning"]["last_outcome"] == outcome
    assert spec(ask_device(device))["deviceId"] == "pump-7"


def test_who_asks_while_a_try_is_under_way_gets_its_answer(device, dps):
    start(device, dps)
    settled(device)
    before, go_on = dps.count("register"), threading.Event()
    dps.plan["register"] = [lambda _: go_on.wait(estuary.PATIENCE) and None]
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(reprovision, device) for _ in range(5)]
        wait_for("the questions to arrive", lambda: device.identityd.log.count("<-- POST /identities/device/reprovision") == 5)
        assert status(device)["provisioning"]["running"]
        go_on.set()
        assert [a.result().status for a in asked] == [204] * 5
    assert dps.count("register") == before + 1


def test_a_key_that_is_not_there_is_said_so(device, dps):
    start(device, dps)
    settled(device)
    device.configure("keyd", "", "10-test.toml")
    device.keyd.stop()
    device.keyd.start()
    a = reprovision(device)
    assert a.status == 404 and a.message.startswith("Key client error\ncaused by: "), a
    a = ask_device(device)
    assert a.status == 404 and a.message.startswith("Key client error\ncaused by: "), a


# --- nothing waits ---

def test_a_thousand_questions_are_answered_while_the_service_hangs(device, dps):
    start(device, dps, more="max_requests = 100")
    settled(device)
    go_on = threading.Event()
    dps.plan["register"] = [lambda _: go_on.wait(4 * estuary.PATIENCE) and None]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        hanging = pool.submit(reprovision, device, 5 * estuary.PATIENCE)
        wait_for("the try to hang", lambda: dps.count("register") == 2)
        slowest = 0

        def ask(i):
            begin = time.monotonic()
            a = device.identityd.request("GET", "/identities/provisioning", version="2021-12-01") if i % 10 else ask_device(device)
            assert a.status == 200, a
            return time.monotonic() - begin

        slowest = max(pool.map(ask, range(1000)))
        assert not hanging.done() and status(device)["provisioning"]["running"]
        assert slowest < 5, f"one waited for {slowest:.1f} s"
        go_on.set()
        assert hanging.result().status == 204


def test_questions_to_a_hub_that_hangs_keep_no_other_waiting(device, dps):
    start(device, dps, more="max_requests = 100")
    settled(device)
    go_on = threading.Event()
    dps.plan["get"], dps.stay = [lambda _: go_on.wait(4 * estuary.PATIENCE) and None], {"get"}
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        hanging = [pool.submit(device.identityd.request, "GET", f"/identities/modules/m{i}?type=aziot", timeout=5 * estuary.PATIENCE)
                   for i in range(20)]
        wait_for("some to hang", lambda: dps.count("get") >= 4)
        assert spec(ask_device(device))["deviceId"] == "pump-7"
        assert device.identityd.request("GET", "/trust-bundle").status == 200
        go_on.set()
        assert {h.result().status for h in hanging} == {404}


def test_the_service_ends_cleanly_while_a_try_hangs(device, dps):
    configure_keys(device, dps)
    configure_certs(device, dps)
    by_dps(device, dps)
    dps.plan["register"] = [after(60, b"")]
    device.start()
    device.identityd.start()
    wait_for("the try to hang", lambda: dps.count("register") == 1)
    begin = time.monotonic()
    assert device.identityd.stop() == 0 and time.monotonic() - begin < 5
    assert "Stopped server." in device.identityd.log


# --- the link is cut at every step ---

class Cut:
    """From the n-th request on (counted over a whole run) the server closes every connection, or breaks off its answers."""

    def __init__(self, server, n, how):
        self.server, self.left, self.how, self.honest = server, n, how, server.say
        server.say = self.say

    def say(self, ask):
        self.left -= 1
        if self.left >= 0:
            return self.honest(ask)
        told = self.honest(ask) if self.how == "after" else b""  # after: what was asked for is done, and nobody is told
        return half(told)(ask) if self.how == "after" and isinstance(told, bytes) else nothing(ask)

    def mend(self):
        self.server.say = self.honest


STEPS = 6  # register, two polls, list, create, update: of a device with one module


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("n", range(STEPS))
def test_the_link_cut_at_any_step_delays_life_and_nothing_else(device, dps, n, how):
    """identityd is restarted rather than waited for: a start tries at once."""
    dps.assigning = 1
    cut = Cut(dps, n, how)
    identityd = start(device, dps, principals=principal() + principal("m1", 60001, ["module"]))
    wait_for("the cut to be felt", lambda: cut.left < 0)
    a = ask_device(device)
    assert a.status == (400 if n < 3 else 200), a
    assert identityd.stop() == 0
    cut.mend()
    dps.assigning = 0
    identityd.start()
    settled(device)
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    assert set(dps.modules) == {"m1"}
    handle = spec(identityd.request("GET", "/identities/modules/m1?type=aziot"))["auth"]["keyHandle"]
    assert sign(device, handle) == hub_mac(dps, "m1")


def hub_mac(server, module):
    return mac(base64.b64decode(server.modules[module]["authentication"]["symmetricKey"]["primaryKey"]))


@pytest.mark.parametrize("step", ["register", "poll", "list", "create", "update"])
def test_the_link_cut_for_a_moment_at_any_step_is_no_failure_at_all(device, dps, step):
    dps.plan[step] = [nothing]
    start(device, dps, principals=principal() + principal("m1", 60001, ["module"]))
    settled(device)
    assert "failed" not in device.identityd.log and "could not be" not in device.identityd.log
    assert set(dps.modules) == {"m1"} and dps.count(step) >= 2


def test_without_a_restart_the_next_try_comes_by_itself(device, dps):
    dps.plan["register"] = [nothing] * 2  # an attempt, and the one more of cloud_retries
    start(device, dps)
    failed_try(device)
    provisioned(device, 2 * estuary.PATIENCE)
    assert spec(ask_device(device))["deviceId"] == "pump-7"


# --- another configuration ---

def test_another_scope_is_in_force_only_when_it_is_confirmed(device, dps):
    identityd = start(device, dps)
    settled(device)
    by_dps(device, dps, scope="0neOTHER")
    identityd.reload()
    text = failed_try(device)
    assert "Id scope not found" in text
    s = status(device)["provisioning"]
    assert s["provisioned"] and not s["current"]
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    identityd.stop()
    identityd.start()
    assert spec(ask_device(device))["deviceId"] == "pump-7", "a restart does not change that"
    failed_try(device)  # who asks while a try is under way hears how that one ends
    dps.scope, dps.device = "0neOTHER", "pump-9"
    assert reprovision(device).status == 204
    assert spec(ask_device(device))["deviceId"] == "pump-9" and status(device)["provisioning"]["current"]


def test_a_changed_configuration_ends_the_try_that_is_under_way(device, dps):
    configure_keys(device, dps)
    configure_certs(device, dps)
    by_dps(device, dps, scope="0neOLD")
    dps.plan["register"] = [after(60, b"")]
    device.start()
    device.identityd.start()
    wait_for("the try to hang", lambda: dps.count("register") == 1)
    by_dps(device, dps)
    device.identityd.reload()
    provisioned(device)
    assert spec(ask_device(device))["deviceId"] == "pump-7"


def test_a_device_that_was_provisioned_by_the_original_is_confirmed_and_works_meanwhile(device, dps):
    configure_keys(device, dps)
    configure_certs(device, dps)
    by_dps(device, dps)
    home(device, "device_info").write_text(f'hub_name = "{dps.hub}"\nlocal_gateway_hostname = "{dps.hub}"\ndevice_id = "pump-7"\n')
    dps.plan["register"] = [nothing]
    device.start()
    device.identityd.start()
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    assert status(device)["provisioning"]["provisioned"]
    provisioned(device, 2 * estuary.PATIENCE)


@pytest.mark.parametrize("content", ["unprovisioned", "", "hub_name = 7\n", "\0\0\0\0", 'hub_name = "x"\n', "[["])
def test_a_state_file_that_says_nothing_is_as_good_as_none(device, dps, content):
    configure_keys(device, dps)
    configure_certs(device, dps)
    by_dps(device, dps)
    home(device, "device_info").write_text(content)
    home(device, "estuary").mkdir()
    home(device, "estuary", "provisioning.json").write_text(content)
    home(device, "prev_state").write_text(content)
    device.start()
    device.identityd.start()
    settled(device)
    assert spec(ask_device(device))["deviceId"] == "pump-7"


# --- what is deleted heals ---

@pytest.mark.parametrize("gone", ["certificate", "key", "both", "device_info", "all state"])
def test_files_that_were_deleted_come_back(device, dps, gone):
    dps.key = None
    identityd = start(device, dps, renew=RENEW, principals=principal() + principal("m1", 60001, ["module"]))
    settled(device)
    first = device.cert("device-id")
    if gone in ("certificate", "both"):
        device.cert_file("device-id").unlink()
    if gone in ("key", "both"):
        device.key_file("device-id").unlink()
    if gone == "device_info":
        home(device, "device_info").unlink()
    if gone == "all state":
        for p in home(device).rglob("*"):
            if p.is_file():
                p.unlink()
    s = spec(ask_device(device))
    assert s["deviceId"] == "pump-7" and device.matches("device-id")
    assert (device.cert("device-id").serial_number == first.serial_number) == (gone not in ("certificate", "key", "both"))
    assert reprovision(device).status == 204
    identityd.stop()
    identityd.start()
    settled(device)
    assert spec(ask_device(device))["auth"]["certId"] == "device-id"
    assert home(device, "device_info").exists() and set(dps.modules) == {"m1"}


# --- renewal ---

def short_lived(device, server, life=100, over=0.85):
    """The pair device-id with a certificate that is at its threshold already."""
    handle = device.keyd.request("POST", "/keypair", {"keyId": "device-id", "preferredAlgorithms": "ec-p256:*"}).json["keyHandle"]
    spki = device.keyd.request("POST", "/parameters/spki", {"keyHandle": handle}, version=OWN).json["value"]
    key = _Public(load_der_public_key(base64.b64decode(spki)))
    cert = estuary.mint((server.ca.cert, server.ca.key), "pump-7", key, begin=-int(life * over), end=int(life * (1 - over)))
    pem = cert.public_bytes(Encoding.PEM).decode()
    assert device.certd.request("PUT", "/certificates/device-id", {"pem": pem}).status == 201
    return cert


def leftovers(device):
    """Files under IDs with -temp, previous keys, and the journal of a renewal."""
    files = [device.cert_file("device-id-temp"), device.key_file("device-id-temp"), home(device, "estuary", "identity-cert.json"),
             device.prefix / "var/lib/aziot/keyd/previous" / (stem("device-id") + ".key")]
    return [f.name for f in files if f.exists()]


def start_short_lived(device, server, renew=RENEW, **kw):
    server.key = None
    configure_keys(device, server)
    configure_certs(device, server)
    by_dps(device, server, renew=renew)
    device.start()
    cert = short_lived(device, server, **kw)
    device.identityd.start()
    return cert


def shown_to(server, step="register"):
    """Serial numbers of the certificates with which that step was asked for, in order."""
    return [x509.load_der_x509_certificate(a.client).serial_number for a in server.asks if step in a.path]


@pytest.mark.parametrize("rotate", [True, False], ids=["rotated", "same-key"])
def test_at_the_threshold_the_service_confirms_the_new_pair_before_it_replaces_the_old(device, dps, rotate):
    seen = []

    def look(_):
        seen.append((device.cert("device-id").serial_number, device.matches("device-id")))

    dps.plan["register"], dps.stay = [look], {"register"}
    old = start_short_lived(device, dps, RENEW if rotate else RENEW.replace("true", "false"), life=1000)
    key = device.key("device-id").private_numbers()
    wait_for("the renewal", lambda: device.cert("device-id").serial_number != old.serial_number, 3 * estuary.PATIENCE)
    wait_for("the rest of it", lambda: not leftovers(device))
    new = device.cert("device-id")
    assert device.matches("device-id") and (device.key("device-id").private_numbers() != key) == rotate
    assert new.subject == old.subject
    assert shown_to(dps)[-1] == new.serial_number and all(s == (old.serial_number, True) for s in seen)
    s = status(device)["certificate"]
    assert s["state"] == "idle" and s["tries"] == 0 and "last_error" not in s
    assert spec(ask_device(device))["auth"]["certId"] == "device-id"
    assert "Certificate device-id was renewed. Next renewal at " in device.identityd.log


def test_a_renewal_under_a_dead_service_keeps_the_old_pair_until_it_is_back(device, dps):
    old = start_short_lived(device, dps, life=3000)
    dps.plan["register"] = [lambda _: None] + [nothing]
    dps.stay = {"register"}
    wait_for("a try", lambda: status(device)["certificate"].get("last_error"), 3 * estuary.PATIENCE)
    assert device.cert("device-id").serial_number == old.serial_number and device.matches("device-id")
    assert spec(ask_device(device))["auth"]["certId"] == "device-id"
    assert "The old certificate stays in use." in device.identityd.log
    device.identityd.stop()
    assert device.cert("device-id").serial_number == old.serial_number
    device.identityd.start()
    assert spec(ask_device(device))["auth"]["certId"] == "device-id"
    dps.plan.clear()
    wait_for("the renewal", lambda: device.cert("device-id").serial_number != old.serial_number, 3 * estuary.PATIENCE)
    wait_for("the rest of it", lambda: not leftovers(device))
    assert device.matches("device-id")


def test_a_renewed_certificate_that_the_service_refuses_is_given_up_for_another(device, dps):
    old = start_short_lived(device, dps, life=400)
    refused = set()

    def refuse_the_new(ask):
        serial = x509.load_der_x509_certificate(ask.client).serial_number
        if serial == old.serial_number or len(refused - {serial}) >= 1:
            return None
        refused.add(serial)
        return said(401, refusal(401002, "Unauthorized"))

    dps.plan["register"], dps.stay = [refuse_the_new], {"register"}
    wait_for("another to be taken", lambda: device.cert("device-id").serial_number != old.serial_number, 6 * estuary.PATIENCE)
    assert len(refused) == 1 and device.cert("device-id").serial_number not in refused and device.matches("device-id")


def test_a_renewal_that_moves_the_device_is_in_force_with_its_certificate(device, dps):
    old = start_short_lived(device, dps, life=1000)
    provisioned_as = []

    def move(ask):
        serial = x509.load_der_x509_certificate(ask.client).serial_number
        provisioned_as.append(serial)
        return None if serial == old.serial_number else dps.assigned(deviceId="pump-8")

    dps.plan["poll"], dps.stay = [move], {"poll"}
    wait_for("the move", lambda: ask_device(device).json.get("spec", {}).get("deviceId") == "pump-8", 3 * estuary.PATIENCE)
    assert device.cert("device-id").serial_number == provisioned_as[-1] != old.serial_number
