# SPDX-License-Identifier: Apache-2.0
"""Webhooks that choose the hub, by way of the courier; and kill -9 of every role, after which no acknowledged registration is missing."""
import base64
import http.client
import json
import os
import pathlib
import signal
import sqlite3
import ssl
import threading
import time

import pytest
from cryptography import x509

from dps import Dps, Webhook, answer, b64, derive
from estuary import csr, fresh_name, new_key, parallel, wait_for
from test_supervisor import confined  # noqa: F401

LOST = (ConnectionError, ssl.SSLError, http.client.HTTPException, OSError)


@pytest.fixture
def hook(tmp_path):
    h = Webhook(str(tmp_path))
    yield h
    h.stop()


class Hooked:
    """A server that knows the webhook's certificate, and a group whose hub the webhook chooses."""

    def __init__(self, server, hook, trust=True):
        self.server, self.dps, self.hook = server, Dps(server), hook
        if trust:
            self.set_trust(hook.pem)
        server.op("hub.add", name="elsewhere.example")
        made = server.op("group.create", name="hooked", attestation="symmetric", allocation="webhook", webhook=hook.url, hubs=[self.dps.hub])
        self.key = made["key"]
        hook.say = {"iotHubHostName": self.dps.hub}

    def set_trust(self, pem):
        """By a reload, as an operator would: a new courier takes the old one's place."""
        before = set(self.server.role_pids("courier"))
        with open(self.server.config, "a", encoding="utf-8") as f:
            f.write(f'\n[courier]\ntrust = "{pem}"\n')
        self.server.process.send_signal(signal.SIGHUP)
        wait_for("a new courier", lambda: (now := set(self.server.role_pids("courier"))) and not now & before)

    def token(self, rid):
        return self.dps.token(rid, derive(self.key, rid))

    def begin(self, rid, **body):
        a = self.dps.register(rid, {"registrationId": rid, **body}, token=self.token(rid))
        assert a.status == 202, a
        return answer(a)["operationId"]

    def poll(self, rid, operation):
        """The state, once it is no longer "assigning"; None where nobody answers for the moment."""
        try:
            a = self.dps.operation(rid, operation, token=self.token(rid))
        except LOST:
            return None
        if a.status == 503:
            return None
        assert a.status in (200, 202), a
        return answer(a)["registrationState"] if answer(a)["status"] != "assigning" else None

    def end(self, rid, operation):
        return wait_for(f"{rid} to be assigned", lambda: self.poll(rid, operation))


@pytest.fixture
def hooked(daemon, hook):
    return Hooked(daemon(), hook)


def test_a_webhook_chooses_hub_and_payload(hooked, hook):
    rid = fresh_name()
    hook.say = {"iotHubHostName": hooked.dps.hub, "payload": {"site": "north"}, "more": 1}
    state = hooked.end(rid, hooked.begin(rid, payload={"model": "p7"}))
    assert state["assignedHub"] == hooked.dps.hub and state["payload"] == {"site": "north"}
    asked = hook.asked[0]
    assert asked["deviceRuntimeContext"]["registrationId"] == rid and asked["deviceRuntimeContext"]["payload"] == {"model": "p7"}
    assert asked["linkedHubs"] == [hooked.dps.hub] and asked["enrollmentGroup"]["enrollmentGroupId"] == "hooked"
    assert len(hook.asked) == 1


def test_the_query_of_a_webhook_is_in_no_record(hooked, hook):
    """Functions in the cloud have their key there."""
    hooked.server.op("group.set", name="hooked", webhook=hook.url + "?code=canary")
    rid = fresh_name()
    hook.status = 500
    assert hooked.end(rid, hooked.begin(rid))["status"] == "failed"
    hook.status = 200
    assert hooked.end(rid, hooked.begin(rid))["status"] == "assigned"
    records = json.dumps(hooked.server.op("audit.list", limit=500))
    assert hook.url in records and "canary" not in records
    for a in hooked.server.op("audit.list", limit=500)["items"]:
        if a.get("request_id"):
            assert "canary" not in json.dumps(hooked.server.op("audit.why", request_id=a["request_id"]))
    assert "canary" not in hooked.server.log_text()


@pytest.mark.parametrize("say, status, why", [
    ({"iotHubHostName": "elsewhere.example"}, 200, "names no enabled hub"),
    ({"iotHubHostName": "evil.example"}, 200, "names no enabled hub"),
    ({}, 200, "no member iotHubHostName"),
    (b"<html>", 200, "json"),
    (b"[" * 3000, 200, "json"),
    ({"iotHubHostName": 7}, 200, "no member iotHubHostName"),
    (b'"' + b"x" * 70000 + b'"', 200, "more than 65536 octets"),
    ({"iotHubHostName": "HUB"}, 500, "HTTP status 500"),
    ({"iotHubHostName": "HUB"}, 302, "HTTP status 302"),
])
def test_an_answer_that_names_no_hub_of_the_group_fails_the_registration(hooked, hook, say, status, why):
    rid = fresh_name()
    hook.say, hook.status = say, status
    state = hooked.end(rid, hooked.begin(rid))
    assert state["status"] == "failed" and "No hub could be chosen" in state["errorMessage"] and isinstance(state["errorCode"], int)
    assert why in hooked.server.op("registration.show", registration=rid)["error"], "for the operator's eyes"
    assert "assignedHub" not in state
    hook.say, hook.status = {"iotHubHostName": hooked.dps.hub}, 200
    assert hooked.end(rid, hooked.begin(rid))["status"] == "assigned", "the next try is free to succeed"


def test_a_question_that_is_too_long_fails_and_takes_the_courier_from_nobody(hooked, hook):
    """The names of all hubs go with it: they were more than the courier takes, and it was gone for every group until a reload."""
    for i in range(260):
        hooked.server.op("hub.add", name=f"{i:03}." + ".".join(["x" * 62] * 3) + "." + "y" * 59)
    key = hooked.server.op("group.create", name="wide", attestation="symmetric", allocation="webhook", webhook=hook.url)["key"]
    rid = fresh_name()
    state = hooked.dps.assigned(rid, token=hooked.dps.token(rid, derive(key, rid)))
    assert state["status"] == "failed" and hook.asked == []
    assert "too many hubs" in hooked.server.op("registration.show", registration=rid)["error"]
    rid = fresh_name()
    assert hooked.end(rid, hooked.begin(rid))["status"] == "assigned"


def test_a_webhook_whose_certificate_nobody_vouches_for_is_not_told_anything(daemon, hook):
    h = Hooked(daemon(), hook, trust=False)
    rid = fresh_name()
    state = h.end(rid, h.begin(rid))
    assert state["status"] == "failed" and "courier.trust" not in state["errorMessage"]
    assert "courier.trust" in h.server.op("registration.show", registration=rid)["error"]
    assert hook.asked == []


def test_anchors_that_cannot_be_read_stop_webhooks_and_nothing_else(daemon, hook):
    h = Hooked(daemon(), hook, trust=False)
    h.set_trust("/nowhere/ca.pem")
    rid = fresh_name()
    operation = h.begin(rid)
    wait_for("a word in the log", lambda: "courier.not-asked" in h.server.log_text() and "/nowhere/ca.pem" in h.server.log_text())
    assert h.poll(rid, operation) is None and hook.asked == []
    other = h.server.op("group.create", name="other", attestation="symmetric", hubs=[h.dps.hub])["key"]
    assert h.dps.assigned("x", token=h.dps.token("x", derive(other, "x")))["status"] == "assigned"


def test_no_more_than_eight_are_asked_at_once_and_none_is_forgotten(hooked, hook):
    now, most, lock = [0], [0], threading.Lock()
    gate = threading.Event()

    def say(_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait(8)
        with lock:
            now[0] -= 1
        return {"iotHubHostName": hooked.dps.hub}

    hook.say = say
    ids = {rid: hooked.begin(rid) for rid in (fresh_name() for _ in range(20))}
    wait_for("eight to be asked", lambda: now[0] == 8)
    gate.set()
    for rid, operation in ids.items():
        assert hooked.end(rid, operation)["status"] == "assigned"
    assert most[0] == 8


def test_while_a_webhook_thinks_everybody_else_is_served(hooked, hook):
    hook.gate.clear()
    rid = fresh_name()
    operation = hooked.begin(rid)
    wait_for("the webhook to be asked", lambda: hook.asked)
    begun = time.monotonic()
    with hooked.server.client() as c:
        assert c.request("GET", "/.well-known/est/cacerts").status == 200
    assert hooked.poll(rid, operation) is None
    assert time.monotonic() - begun < 5
    hook.gate.set()
    assert hooked.end(rid, operation)["status"] == "assigned"
    assert len(hook.asked) == 1, "polls meanwhile ask nobody"


@pytest.mark.parametrize("role", ["authority", "courier", "front"])
def test_a_device_that_polls_has_its_webhook_asked_again_after_a_restart(hooked, hook, role):
    rid = fresh_name()
    hook.gate.clear()
    operation = hooked.begin(rid, payload={"kept": True})
    wait_for("the webhook to be asked", lambda: hook.asked)
    kill_role(hooked.server, role)
    hook.gate.set()
    state = hooked.end(rid, operation)
    assert state["status"] == "assigned"
    assert all(x["deviceRuntimeContext"]["payload"] == {"kept": True} for x in hook.asked)
    assert len(hook.asked) == (1 if role == "front" else 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_courier_that_is_nobody_asks_all_the_same(confined, hook):  # noqa: F811
    text = pathlib.Path(confined.config).read_text()
    confined.stop()
    confined.config = os.path.join(os.path.dirname(confined.dir), "estuaryd.toml")  # root's, or it would not be read again
    pathlib.Path(confined.config).write_text(text)
    confined.run()
    h = Hooked(confined, hook)
    assert "Uid:\t65534" in pathlib.Path(f"/proc/{confined.role_pids('courier')[0]}/status").read_text()
    rid = fresh_name()
    assert h.end(rid, h.begin(rid))["status"] == "assigned"


def test_the_courier_has_no_file_of_the_server_open(hooked, hook):
    if os.geteuid() != 0:
        pytest.skip("another user's descriptors are root's to see")
    pid = hooked.server.role_pids("courier")[0]
    held = [os.readlink(f) for f in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
    assert not [f for f in held if "/store" in f or f.endswith((".key", ".db"))], held


# --- kill -9 under load ---

def kill_role(server, role):
    pids = wait_for(f"a {role}", lambda: server.role_pids(role))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(f"the {role} to die", lambda: not set(pids) & set(server.role_pids(role)))


class Devices:
    """Threads that register new devices without end, with a certificate each, and remember what was acknowledged."""

    def __init__(self, dps, key, threads=4):
        self.dps, self.key, self.acked, self.wrong = dps, key, {}, []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for t in self._threads:
            t.start()

    def _run(self):
        while not self._over.is_set():
            rid = fresh_name("load")
            body = {"registrationId": rid, "csr": b64(csr(new_key(), rid))}
            try:
                a = self.dps.register(rid, body, token=self.dps.token(rid, derive(self.key, rid)))
            except LOST:
                continue
            if a.status == 202:
                self.acked[rid] = answer(a)
            elif a.status != 503:
                self.wrong.append(a)

    def more(self, n=15):
        goal = len(self.acked) + n
        wait_for("more registrations", lambda: len(self.acked) >= goal)

    def stop(self):
        self._over.set()
        for t in self._threads:
            t.join()


@pytest.mark.parametrize("role", ["front", "authority", "signer", "console", "courier"])
def test_no_acknowledged_registration_is_lost(daemon, role):
    server = daemon()
    dps = Dps(server)
    key = server.op("group.create", name="load", attestation="symmetric", hubs=[dps.hub], label="ldevid")["key"]
    load = Devices(dps, key)
    try:
        for _ in range(3):
            load.more()
            kill_role(server, role)
        load.more()
    finally:
        load.stop()
    assert load.wrong == []
    wait_for("the server to be back", lambda: os.path.exists(server.info["ready_file"]))
    for rid, said in load.acked.items():
        a = dps.operation(rid, said["operationId"], token=dps.token(rid, derive(key, rid)))
        assert a.status == 200 and answer(a)["status"] == "assigned", (rid, a)
        leaf = x509.load_der_x509_certificate(base64.b64decode(said["registrationState"]["issuedCertificateChain"][0]))
        assert server.op("cert.show", serial=format(leaf.serial_number, "032x"))["device"] == rid
    assert server.op("audit.verify")["ok"]
    assert server.process.poll() is None


def test_without_a_signer_a_certificate_is_not_promised_and_nothing_is_half_done(daemon):
    server = daemon()
    dps = Dps(server)
    key = server.op("group.create", name="g", attestation="symmetric", hubs=[dps.hub], label="ldevid")["key"]
    rid = fresh_name()
    stopped = server.role_pids("signer")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        a = dps.register(rid, {"csr": b64(csr(new_key(), rid))}, token=dps.token(rid, derive(key, rid)))
        assert a.status == 503 and int(a.headers["Retry-After"]) > 0, a
        assert json.loads(a.body)["errorCode"] == 503001
        assert server.op("registration.list", q=rid)["items"] == []
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert dps.register(rid, {"csr": b64(csr(new_key(), rid))}, token=dps.token(rid, derive(key, rid))).status == 202


@pytest.mark.parametrize("certificate", [False, True])
def test_a_store_that_takes_no_writes_is_said_and_nothing_is_half_done(daemon, certificate):
    """Many at once, so that they share a commit that fails."""
    server = daemon()
    dps = Dps(server)
    key = server.op("group.create", name="g", attestation="symmetric", hubs=[dps.hub], label="ldevid")["key"]
    ids = [fresh_name("held") for _ in range(2 if certificate else 8)]

    def ask(rid):
        body = {"csr": b64(csr(new_key(), rid))} if certificate else {}
        return dps.register(rid, body, token=dps.token(rid, derive(key, rid)))

    db = sqlite3.connect(f"{server.dir}/store/estuary.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    for a in parallel(len(ids), lambda i: ask(ids[i])):
        assert a.status == 503 and int(a.headers["Retry-After"]) > 0, a
        assert answer(a)["trackingId"] == a.id
    db.execute("ROLLBACK")
    db.close()
    assert server.op("registration.list", q="held")["items"] == []
    assert server.op("audit.verify")["ok"]
    wait_for("recovery", lambda: ask(ids[0]).status == 202)
    for a in parallel(len(ids), lambda i: ask(ids[i])):
        assert a.status == 202, a
    assert len(server.op("registration.list", q="held")["items"]) == len(ids)
    assert server.op("audit.verify")["ok"]


def test_two_that_want_one_device_id_at_once_do_not_both_get_it(daemon):
    """They may share a commit: the second is decided when the first is written."""
    server = daemon()
    dps = Dps(server)
    ids = [fresh_name("twin") for _ in range(6)]
    keys = {rid: server.op("enrolment.create", registration=rid, attestation="symmetric", device_id="Shared")["key"] for rid in ids}
    got = parallel(len(ids), lambda i: dps.register(ids[i], {}, token=dps.token(ids[i], keys[ids[i]])))
    assert sorted(a.status for a in got) == [202] + [409] * (len(ids) - 1), got
    assert [x["device_id"] for x in server.op("registration.list")["items"]] == ["Shared"]
