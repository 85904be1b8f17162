# SPDX-License-Identifier: Apache-2.0
"""identityd's worker, one task at a time: the provisioning service and the hub at their best and their worst, keys, certificates."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import socket
import struct
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import estuary
import task_worker
from estuary import fresh_name, mint, new_key, wait_for
from fake_dps import FakeDps, after, half, nothing, refusal, resource, said
from fake_keyd import FakeKeyd
from hostile import _Public, answer
from task_worker import Worker, receive, run_task, send, task_message
from users import OpenDevice, needs_root

pytestmark = pytest.mark.skipif(not task_worker.exists(), reason="the worker is not built")

OTHER = 4011  # a user that is given handles


class Identity(OpenDevice):
    """A device's keyd and certd, with a CA of its own, and a cloud to talk to."""

    def __init__(self, directory):
        super().__init__()
        self.configure("keyd", f"[[principal]]\nuid = {os.getuid()}\nkeys = [\"*\"]\ndelegate = true\n")
        self.configure("certd", f"""
[cert_issuance]
device-id = {{ method = "local_ca", expiry_days = 5 }}
module = {{ method = "local_ca", expiry_days = 5 }}
nowhere = {{ method = "est" }}
[cert_issuance.local_ca]
cert = "ca"
pk = "ca-key"
[[principal]]
uid = {os.getuid()}
certs = ["*"]
""")
        self.open(self.keyd, self.certd)
        self.pair("ca-key")
        root = estuary.OutsideCa()
        ca = mint((root.cert, root.key), "the device's own CA", _Public(self.key("ca-key").public_key()), ca=True)
        text = "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in (ca, root.cert))
        assert self.certd.request("PUT", "/certificates/ca", {"pem": text}).status == 201
        self.directory = directory

    def pair(self, key_id, algorithm="ec-p256"):
        assert self.keyd.request("POST", "/keypair", {"keyId": key_id, "preferredAlgorithms": algorithm}).status == 200
        return self.key(key_id)

    def secret(self, octets, key_id=None):
        key_id = key_id or fresh_name("symmetric")
        body = {"keyId": key_id, "usage": "sign", "keyBytes": base64.b64encode(octets).decode()}
        assert self.keyd.request("POST", "/key", body).status == 200
        return key_id

    @property
    def common(self):
        return {"keyd": str(self.keyd.socket), "certd": str(self.certd.socket), "deadline_s": 60}

    def run(self, kind, **args):
        return run_task(kind, {**self.common, **args})

    def sas(self, cloud, **more):
        """How a cloud is reached by a key that it knows."""
        if not hasattr(cloud, "key_id"):
            cloud.key_id = self.secret(cloud.key)
        return {"auth": "sas", "key": cloud.key_id, "trust": cloud.ca.pem, "trust_system": False, **more}

    def x509(self, cloud, cn=None, ca=None, **more):
        """The same by a certificate of its CA; the cloud takes no keys any more."""
        key_id, cloud.key = fresh_name("pair"), None
        public = _Public(self.pair(key_id).public_key())
        issuer = ca or cloud.ca
        leaf = mint((issuer.cert, issuer.key), cn or cloud.device, public)
        return {"auth": "x509", "key": key_id, "chain": leaf.public_bytes(serialization.Encoding.PEM).decode(),
                "trust": cloud.ca.pem, "trust_system": False, **more}

    def dps(self, cloud, **more):
        args = {**self.sas(cloud), "endpoint": cloud.endpoint, "scope": cloud.scope, "registration": cloud.registration, **more}
        return self.run("dps", **args)

    def hub(self, cloud, kind, **more):
        args = {**self.sas(cloud), "hub": cloud.hub, "device": cloud.device, **more}
        return self.run(kind, **args)


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    d = Identity(tmp_path_factory.mktemp("identity"))
    yield d
    d.close()


@pytest.fixture
def cloud(tmp_path):
    c = FakeDps(tmp_path)
    yield c
    c.stop()


# --- registration ---

def test_a_device_registers_with_its_key_and_is_told_where_it_belongs(device, cloud):
    cloud.assigning, cloud.payload = 2, {"hello": ["world", None]}
    r = device.dps(cloud, payload={"model": 7})
    assert r.outcome == "done", r
    assert r.value == {"hub": cloud.hub, "device_id": "pump-7", "status": "assigned", "substatus": "initialAssignment",
                       "payload": {"hello": ["world", None]}}
    assert cloud.steps == ["register", "poll", "poll", "poll"] and cloud.told == {"payload": {"model": 7}}
    assert r.http_status == 200 and r.error_code == 0
    # One token serves all of it, for an hour at most, and nothing of the key is anywhere.
    assert len(set(cloud.tokens)) == 1
    assert all(base64.b64encode(cloud.key) not in json.dumps(a.headers).encode() + a.body for a in cloud.asks)


def test_a_device_registers_with_a_certificate_whose_key_stays_in_keyd(device, cloud):
    r = device.run("dps", endpoint=cloud.endpoint, scope=cloud.scope, registration=cloud.registration, **device.x509(cloud))
    assert r.outcome == "done" and r.value["device_id"] == "pump-7" and r.value["payload"] is None, r
    assert all(a.client and "authorization" not in a.headers for a in cloud.asks)


def test_a_registration_without_payload_sends_none(device, cloud):
    assert device.dps(cloud, payload=None).outcome == "done" and cloud.told == {}
    assert device.dps(cloud).outcome == "done" and cloud.told == {}
    assert device.dps(cloud, payload="text").outcome == "done" and cloud.told == {"payload": "text"}


def test_ids_cannot_change_the_path(device, cloud):
    cloud.scope, cloud.registration = "0ne/x", "a/b?c=d#e:f%2F"
    assert device.dps(cloud).outcome == "done"
    assert cloud.asks[0].path == "/0ne%2Fx/registrations/a%2Fb%3Fc%3Dd%23e:f%252F/register?api-version=2021-06-01"
    sr = dict(f.partition("=")[::2] for f in cloud.tokens[0].split(" ")[1].split("&"))["sr"]
    assert sr == resource("0ne/x/registrations/a/b?c=d#e:f%2F") == "0ne/x/registrations/a/b%3Fc%3Dd%23e:f%2f"


def test_an_operation_id_cannot_change_the_path(device, cloud):
    cloud.plan["register"] = [said(202, {"operationId": "../../x?y#z", "status": "assigning"}, {"Retry-After": 0})]
    cloud.operations.append("../../x?y#z")
    assert device.dps(cloud).outcome == "done"
    assert cloud.asks[1].path.endswith("/operations/..%2F..%2Fx%3Fy%23z?api-version=2021-06-01")


BUSY = {"Retry-After": 0}
HUGE = b'{"operationId":"' + b"x" * (2 * 1024 * 1024) + b'"}'
ASSIGNING = said(202, {"operationId": "o", "status": "assigning"}, BUSY)


def failed(code, words="IotHubFailure"):
    return said(200, {"operationId": "o", "status": "failed", "registrationState": {
        "registrationId": "pump-7", "status": "failed", "errorCode": code, "errorMessage": words}})


def status(word, **state):
    return said(200, {"operationId": "o", "status": word, "registrationState": {"registrationId": "pump-7", **state}}, BUSY)


def reassigned(**state):
    def say(ask):
        return ask.server.assigned(**state)
    return say


# step, answers, what the task is given, the outcome, what the result says
REGISTER = [
    ("closed", [nothing], {}, "no-server", {"http": 0}),
    ("closed-then-good", [nothing], {"attempts": 2}, "done", {"register": 2}),
    ("half", [half(said(202, {"operationId": "o", "status": "assigning"}))], {}, "no-server", {"http": 0}),
    ("slow", [after(3, ASSIGNING)], {"timeout_s": 1}, "no-server", {"http": 0}),
    ("no-http", [b"SSH-2.0-OpenSSH_9.2\r\n"], {}, ("bad-answer", "no-server"), {}),
    ("401", [said(401, refusal(401002, "Unauthorized"))], {"attempts": 3}, "refused",
     {"code": 401002, "text": ["Unauthorized", "t-4711", "ID scope"], "register": 1}),
    ("403-disabled", [said(403, refusal(403002, "Enrollment is disabled"))], {}, "disabled", {"code": 403002, "text": ["enable"]}),
    ("403", [said(403, refusal(403001, "Forbidden"))], {}, "refused", {"code": 403001}),
    ("404", [said(404, refusal(404201, "Id scope not found"))], {"attempts": 3}, "failed",
     {"code": 404201, "text": ["Id scope not found", "enrolment"], "register": 1}),
    ("400", [said(400, {"code": 400004, "errorMessage": "bad body"})], {}, "failed", {"code": 400004, "text": ["bad body"]}),
    ("409", [said(409, refusal(409203, "conflict"))], {}, "failed", {"code": 409203}),
    ("429-soon", [said(429, refusal(429001, "slow down"), BUSY)] * 2, {"attempts": 3}, "done", {"register": 3}),
    ("429-late", [said(429, refusal(429001, "slow down"), {"Retry-After": 120})], {"attempts": 3}, "busy",
     {"code": 429001, "retry": 120, "register": 1}),
    ("503-soon", [said(503, refusal(503001, "later"), BUSY)], {"attempts": 2}, "done", {"register": 2}),
    ("503-once", [said(503, refusal(503001, "later"), BUSY)], {}, "busy", {"code": 503001, "http": 503, "retry": 0}),
    ("503-late", [said(503, {}, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})], {"attempts": 2}, "busy", {"register": 1}),
    ("500-html", [answer(500, b"<html><b>nginx</b></html>", {"Content-Type": "text/html"})], {}, "busy", {"not": ["nginx", "<"]}),
    ("502-text", [answer(502, b"upstream is down\nsecret trace", {"Content-Type": "text/plain"})], {}, "busy",
     {"text": ["upstream is down"], "not": ["trace"]}),
    ("words-with-controls", [said(400, {"message": "a\x1b[31mb\u202ec", "errorCode": 1})], {}, "failed", {"not": ["\x1b", "\u202e"]}),
    ("codes-of-other-types", [said(400, {"errorCode": "x", "message": {}})], {}, "failed", {"code": 0}),
    ("assigned-at-once", [reassigned()], {}, "done", {"poll": 0}),
    ("no-operation", [said(202, {"status": "assigning"})], {}, "bad-answer", {"text": ["operationId"]}),
    ("long-operation", [said(202, {"operationId": "x" * 300, "status": "assigning"})], {}, "bad-answer", {}),
    ("operation-with-controls", [said(202, {"operationId": "a\r\nb", "status": "assigning"})], {}, "bad-answer", {}),
    ("operation-number", [said(202, {"operationId": 7, "status": "assigning"})], {}, "bad-answer", {}),
    ("garbage", [said(202, raw=b"{]")], {}, "bad-answer", {}),
    ("empty", [said(202, raw=b"")], {}, "bad-answer", {}),
    ("list", [said(202, ["operationId"])], {}, "bad-answer", {}),
    ("twice", [said(202, raw=b'{"operationId":"a","operationId":"b","status":"assigning"}')], {}, "bad-answer", {}),
    ("deep", [said(202, raw=b"[" * 5000 + b"]" * 5000)], {}, "bad-answer", {}),
    ("html", [answer(202, b"{}", {"Content-Type": "text/html"})], {}, "bad-answer", {"text": ["text/html"]}),
    ("204", [answer(204)], {}, "bad-answer", {"http": 204}),
    ("huge", [said(202, raw=HUGE)], {}, "bad-answer", {}),
    ("307", [said(307, {}, {"Location": "/elsewhere"})], {"attempts": 2}, "bad-answer", {"text": ["elsewhere"], "register": 1}),
    ("302", [said(302, {}, {"Location": "https://evil.example/"})], {}, "bad-answer", {"text": ["evil.example"], "register": 1}),
]
POLL = [
    ("not-yet", [ASSIGNING] * 3, {}, "done", {"poll": 4, "register": 1}),
    ("unassigned", [status("unassigned")], {}, "done", {"poll": 2}),
    ("failed", [failed(400209)], {}, "failed", {"code": 400209, "text": ["IotHubFailure"]}),
    ("failed-for-now", [failed(500001)], {}, "busy", {"code": 500001}),
    ("failed-too-often", [failed(429001)], {}, "busy", {"code": 429001}),
    ("disabled", [status("disabled")], {}, "disabled", {"text": ["enable"]}),
    ("blocked", [status("blocked")], {}, "disabled", {}),
    ("unknown", [status("on holiday")], {}, "bad-answer", {}),
    ("no-status", [said(200, {"registrationState": {}})], {}, "bad-answer", {}),
    ("no-state", [said(200, {"status": "assigned"})], {}, "bad-answer", {}),
    ("state-of-another-type", [said(200, {"status": "assigned", "registrationState": [1]})], {}, "bad-answer", {}),
    ("no-device", [reassigned(deviceId="")], {}, "bad-answer", {"text": ["deviceId"]}),
    ("device-with-controls", [reassigned(deviceId="a\nb")], {}, "bad-answer", {}),
    ("no-hub", [reassigned(assignedHub=None)], {}, "bad-answer", {"text": ["assignedHub"]}),
    ("hub-with-path", [reassigned(assignedHub="hub.example/evil")], {}, "bad-answer", {}),
    ("hub-with-user", [reassigned(assignedHub="hub.example@evil.example")], {}, "bad-answer", {}),
    ("somebody-elses", [reassigned(registrationId="pump-8")], {}, "bad-answer", {"text": ["another registration"]}),
    ("in-other-case", [reassigned(registrationId="PUMP-7")], {}, "done", {}),
    ("odd-substatus", [reassigned(substatus="a\x07" * 99)], {}, "done", {"substatus": ""}),
    ("closed-then-good", [nothing], {}, "done", {"register": 1, "poll": 2, "same": True}),
    ("half-then-good", [half(ASSIGNING)], {}, "done", {"register": 1, "poll": 2, "same": True}),
    ("500-then-good", [said(500, refusal(500000, "x"), BUSY)] * 2, {}, "done", {"register": 1, "poll": 3}),
    ("429-then-good", [said(429, refusal(429001, "x"), BUSY)], {}, "done", {"register": 1, "poll": 2}),
    ("forgotten-once", [said(404, refusal(404203, "Operation not found"))], {}, "done", {"register": 2}),
    ("forgotten-twice", [said(404, refusal(404203, "Operation not found"))] * 2, {}, "failed", {"code": 404203, "register": 2}),
    ("401", [said(401, refusal(401002, "Unauthorized"))], {}, "refused", {"register": 1}),
    ("garbage", [said(200, raw=b"{")], {}, "bad-answer", {}),
    ("302", [said(302, {}, {"Location": "https://evil.example/"})], {}, "bad-answer", {}),
    ("late", [said(202, {"operationId": "o", "status": "assigning"}, {"Retry-After": 3600})], {}, "busy",
     {"retry": 3600, "text": ["still being assigned"], "poll": 1}),
    ("payload", [reassigned(payload={"a": [1, {"b": None}]})], {}, "done", {"payload": {"a": [1, {"b": None}]}}),
    ("large-payload", [reassigned(payload="x" * 65000)], {}, "done", {"payload": "x" * 65000}),
    ("too-large-payload", [reassigned(payload="x" * 65536)], {}, "bad-answer", {}),
]


def judge(r, cloud, outcome, told):
    assert r.outcome in ([outcome] if isinstance(outcome, str) else outcome), r
    for name, got in (("http", r.http_status), ("code", r.error_code), ("retry", r.retry_after_s)):
        assert told.get(name, got) == got, (name, r)
    for words in told.get("text", []):
        assert words in r.text, r
    for words in told.get("not", []):
        assert words not in r.text, r
    for step in ("register", "poll", "create", "update", "get", "delete"):
        assert told.get(step, cloud.count(step)) == cloud.count(step), cloud.steps
    for member in ("payload", "substatus"):
        assert member not in told or r.value[member] == told[member], r
    if told.get("same"):
        assert len({a.path for a in cloud.asks if "/operations/" in a.path}) == 1


@pytest.mark.parametrize("answers,args,outcome,told", [row[1:] for row in REGISTER], ids=[row[0] for row in REGISTER])
def test_whatever_is_said_to_a_registration_ends_in_its_outcome(device, cloud, answers, args, outcome, told):
    cloud.plan["register"] = list(answers)
    r = device.dps(cloud, **args)
    judge(r, cloud, outcome, told)
    assert r.outcome == "done" or cloud.hub.rsplit(":", 1)[0] in r.text


@pytest.mark.parametrize("answers,args,outcome,told", [row[1:] for row in POLL], ids=[row[0] for row in POLL])
def test_whatever_is_said_to_a_question_for_the_result_ends_in_its_outcome(device, cloud, answers, args, outcome, told):
    cloud.plan["poll"] = list(answers)
    judge(device.dps(cloud, **args), cloud, outcome, told)


def test_a_device_that_is_still_being_assigned_at_the_deadline_is_told_to_come_back(device, cloud):
    cloud.assigning = 1000
    r = device.dps(cloud, deadline_s=2)
    assert r.outcome == "busy" and "still being assigned" in r.text and r.http_status == 202
    assert cloud.count("register") == 1 and cloud.count("poll") >= 2


def test_a_link_that_stays_down_while_the_result_is_awaited_ends_as_no_server(device, cloud):
    cloud.plan["poll"], cloud.stay = [nothing], {"poll"}
    r = device.dps(cloud, deadline_s=10)
    assert r.outcome == "no-server" and r.http_status == 0 and cloud.count("poll") >= 2, (r, cloud.steps)


def test_a_slow_answer_is_not_waited_for_beyond_the_deadline(device, cloud):
    cloud.plan["register"] = [after(30, ASSIGNING)]
    r = device.dps(cloud, deadline_s=1, timeout_s=60, attempts=3)
    assert r.outcome == "no-server" and cloud.count("register") == 1


# --- who is asked, and as whom ---

@pytest.mark.parametrize("how", ["other-name", "other-ca", "expired", "not-yet"])
def test_a_server_that_is_not_who_it_should_be_is_told_nothing(device, cloud, how):
    if how == "other-name":
        cloud.become(name="elsewhere.example")
    elif how == "other-ca":
        other = estuary.OutsideCa()
        cloud.become(issuer=other)
    else:
        cloud.become(**({"begin": -7200, "end": -3600} if how == "expired" else {"begin": 3600, "end": 7200}))
    r = device.dps(cloud, attempts=3)
    assert r.outcome == "untrusted" and cloud.asks == [] and "localhost" in r.text, r
    if how == "other-ca":
        assert "trusted_certs" in r.text


def test_anchors_may_be_certificates_that_certd_has(device, cloud):
    name = fresh_name("anchor")
    assert device.certd.request("PUT", f"/certificates/{name}", {"pem": cloud.ca.pem}).status == 201
    assert device.dps(cloud, trust="", trust_ids=[name]).outcome == "done"
    assert device.dps(cloud, trust=cloud.ca.pem, trust_ids=[name]).outcome == "done"
    r = device.dps(cloud, trust=cloud.ca.pem, trust_ids=[name, "nowhere-at-all"])
    assert r.outcome == "bad-task" and "nowhere-at-all" in r.text
    r = device.dps(cloud, trust_ids=[name], certd="/nonexistent/certd.sock")
    assert r.outcome == "cert-failed" and "running" in r.text


def test_without_anchors_nobody_is_asked(device, cloud):
    r = device.dps(cloud, trust="")
    assert r.outcome == "bad-task" and "trusted_certs" in r.text and cloud.handshakes == 0


def test_nobody_listening_is_no_server(device, cloud):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    r = device.dps(cloud, endpoint=f"https://localhost:{port}/")
    assert r.outcome == "no-server" and f"localhost:{port}" in r.text


@pytest.mark.parametrize("endpoint", ["http://localhost:1/", "localhost", "https://user:pw@localhost/", "https://localhost/?x", "https://"])
def test_an_endpoint_that_is_none_is_told_as_such(device, cloud, endpoint):
    r = device.dps(cloud, endpoint=endpoint)
    assert r.outcome == "bad-task" and "https://host[:port]" in r.text and cloud.handshakes == 0


def test_a_tpm_is_not_there_yet_and_that_is_said(device, cloud):
    r = device.dps(cloud, auth="tpm")
    assert r.outcome == "bad-task" and "TPM Service" in r.text and cloud.handshakes == 0


def test_a_certificate_that_the_server_does_not_take_is_refused(device, cloud):
    stranger = estuary.OutsideCa()
    cloud.become(clients_of=cloud.ca)
    args = {"endpoint": cloud.endpoint, "scope": cloud.scope, "registration": cloud.registration}
    r = device.run("dps", **args, **device.x509(cloud, ca=stranger))
    assert r.outcome == "refused" and cloud.asks == [], r
    r = device.run("dps", **args, **device.x509(cloud, cn="pump-8"))
    assert r.outcome == "refused" and r.error_code == 401002 and "pump-8" in r.text


def test_a_wrong_key_is_refused_and_a_missing_one_is_said_to_be_missing(device, cloud):
    assert device.dps(cloud, key=device.secret(b"x" * 32)).outcome == "refused"
    r = device.dps(cloud, key="no-such-key")
    assert r.outcome == "key-failed" and "no-such-key" in r.text and r.value["check"] == "key-missing"
    r = device.dps(cloud, keyd="/nonexistent/keyd.sock")
    assert r.outcome == "key-failed" and "Keys Service" in r.text


@pytest.mark.parametrize("skew", [7200, -7200])
def test_a_clock_that_is_far_off_costs_one_more_request_and_no_more(device, cloud, skew):
    cloud.skew = skew
    r = device.dps(cloud)
    assert r.outcome == "done" and cloud.count("register") == 2 and ("behind" if skew > 0 else "ahead of") in r.note, r


def test_a_wrong_key_and_a_wrong_clock_are_refused_after_one_more_request(device, cloud):
    cloud.skew = 7200
    r = device.dps(cloud, key=device.secret(b"x" * 32), attempts=5)
    assert r.outcome == "refused" and cloud.count("register") == 2


class Proxy:
    """CONNECT, and then octets both ways; or a refusal."""

    def __init__(self, refuse=False):
        self.listener, self.refuse, self.targets = socket.create_server(("127.0.0.1", 0)), refuse, []
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def url(self):
        return f"http://user:p%40ss@127.0.0.1:{self.listener.getsockname()[1]}"

    def _run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(4096)
        self.targets.append((head.split(b" ")[1].decode(), base64.b64encode(b"user:p@ss") in head))
        if self.refuse:
            s.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            s.close()
            return
        to = socket.create_connection(self.targets[-1][0].rsplit(":", 1))
        s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self._pump, args=(to, s), daemon=True).start()
        self._pump(s, to)

    @staticmethod
    def _pump(a, b):
        try:
            while octets := a.recv(65536):
                b.sendall(octets)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_proxy_is_used_where_it_is_told_and_its_password_is_in_no_text(device, cloud):
    p = Proxy()
    assert device.dps(cloud, proxy=p.url).outcome == "done"
    assert p.targets and all(t == (cloud.hub, True) for t in p.targets)
    seen = len(p.targets)
    assert device.dps(cloud, proxy=p.url, no_proxy="localhost").outcome == "done" and len(p.targets) == seen
    r = device.dps(cloud, proxy=Proxy(refuse=True).url)
    assert r.outcome == "no-server" and "p@ss" not in r.text and "p%40ss" not in r.text


# --- the hub's modules ---

def test_a_module_is_created_with_both_keys_of_its_generation_and_its_handle_signs(device, cloud):
    master = fresh_name("master")
    r = device.hub(cloud, "module-create", module="$edgeAgent", master=master, managed_by="IotEdge")
    assert r.outcome == "done", r
    module = cloud.modules["$edgeAgent"]
    assert module["managedBy"] == "IotEdge" and module["authentication"]["type"] == "sas"
    keys = module["authentication"]["symmetricKey"]
    octets = device.key_file(master).read_bytes()
    for which in ("primary", "secondary"):
        derived = hmac.new(octets, f"$edgeAgent:{module['generationId']}:{which}".encode(), hashlib.sha256).digest()
        assert base64.b64decode(keys[f"{which}Key"]) == derived
    assert r.value["module"] == {k: v for k, v in module.items() if k != "authentication"}
    assert keys["primaryKey"] not in json.dumps(r.value) and keys["secondaryKey"] not in json.dumps(r.value)
    signed = device.keyd.request("POST", "/sign", {"keyHandle": r.value["handle"], "algorithm": "HMAC-SHA256",
                                                   "parameters": {"message": base64.b64encode(b"m").decode()}}).json["signature"]
    assert base64.b64decode(signed) == hmac.new(base64.b64decode(keys["primaryKey"]), b"m", hashlib.sha256).digest()
    again = device.run("module-handle", module="$edgeAgent", generation=module["generationId"], master=master)
    assert again.outcome == "done" and device.keyd.request("POST", "/sign", {
        "keyHandle": again.value["handle"], "algorithm": "HMAC-SHA256",
        "parameters": {"message": base64.b64encode(b"m").decode()}}).json["signature"] == signed


def test_modules_are_listed_shown_updated_and_deleted(device, cloud):
    assert device.hub(cloud, "module-list").value == {"modules": []}
    for name in ("one", "a:b=c"):
        assert device.hub(cloud, "module-create", module=name, master="m").outcome == "done"
    r = device.hub(cloud, "module-list")
    assert [m["moduleId"] for m in r.value["modules"]] == ["one", "a:b=c"] and "authentication" not in json.dumps(r.value)
    got = device.hub(cloud, "module-get", module="a:b=c").value["module"]
    assert got["generationId"] == cloud.modules["a:b=c"]["generationId"] and "authentication" not in got
    cloud.modules["one"]["authentication"] = {"type": "none"}
    r = device.hub(cloud, "module-update", module="one", master="m")
    assert r.outcome == "done" and r.value["handle"] and cloud.modules["one"]["authentication"]["type"] == "sas"
    assert device.hub(cloud, "module-delete", module="one").outcome == "done" and list(cloud.modules) == ["a:b=c"]
    r = device.hub(cloud, "module-delete", module="one")
    assert r.outcome == "not-found" and r.http_status == 404 and "ModuleNotFound" in r.text
    assert device.hub(cloud, "module-get", module="one").outcome == "not-found"
    assert all(a.path.endswith("?api-version=2017-11-08-preview") for a in cloud.asks)


def test_a_module_that_is_there_already_keeps_its_generation_and_gets_our_keys(device, cloud):
    assert device.hub(cloud, "module-create", module="one", master="m").outcome == "done"
    before = cloud.modules["one"]["generationId"]
    cloud.modules["one"]["authentication"] = {"type": "none"}
    r = device.hub(cloud, "module-create", module="one", master="m")
    assert r.outcome == "done" and r.value["module"]["generationId"] == before
    assert cloud.modules["one"]["authentication"]["type"] == "sas"
    assert cloud.steps[-3:] == ["create", "get", "update"]


def test_a_module_whose_answer_was_lost_is_found_again(device, cloud):
    def made_but_not_said(ask):
        cloud.on_create(ask, "devices", cloud.device, "modules", "one")
        return nothing(ask)
    cloud.plan["create"] = [made_but_not_said]
    r = device.hub(cloud, "module-create", module="one", master="m", attempts=2)
    assert r.outcome == "done" and cloud.steps == ["create", "create", "get", "update"], (r, cloud.steps)


def test_a_module_whose_deletion_was_not_answered_is_gone(device, cloud):
    assert device.hub(cloud, "module-create", module="one", master="m").outcome == "done"

    def deleted_but_not_said(ask):
        cloud.modules.clear()
        return nothing(ask)
    cloud.plan["delete"] = [deleted_but_not_said]
    assert device.hub(cloud, "module-delete", module="one", attempts=2).outcome == "done" and cloud.count("delete") == 2


def test_a_gateway_is_asked_with_a_token_for_its_hub(device, cloud):
    cloud.behind = "Parent-Hub.azure-devices.net"
    r = device.hub(cloud, "module-list", hub=cloud.behind, gateway=cloud.hub)
    assert r.outcome == "done", r
    assert "sr=parent-hub.azure-devices.net/devices/pump-7&" in cloud.tokens[0] and "skn" not in cloud.tokens[0]


def test_the_hub_takes_the_certificate_of_a_device(device, cloud):
    r = device.run("module-create", hub=cloud.hub, device=cloud.device, module="one", master="m", **device.x509(cloud))
    assert r.outcome == "done", r
    assert all(a.client and "authorization" not in a.headers for a in cloud.asks)


GOOD = {"moduleId": "one", "deviceId": "pump-7", "generationId": "g1"}
HUB = [
    ("get-404", "module-get", {"get": [said(404, {"Message": "ErrorCode:DeviceNotFound;x"})]}, {}, "not-found", {"text": ["DeviceNotFound"]}),
    ("get-401", "module-get", {"get": [said(401, {"Message": "ErrorCode:IotHubUnauthorizedAccess;x"})]}, {}, "refused", {"get": 1}),
    ("get-403", "module-get", {"get": [said(403, {"Message": "ErrorCode:IotHubQuotaExceeded;x"})]}, {}, "refused", {}),
    ("get-500", "module-get", {"get": [said(500, {"errorMessage": "boom"})]}, {}, "busy", {"text": ["boom"]}),
    ("get-500-then-good", "module-get", {"get": [said(500, {}, BUSY), said(200, GOOD)]}, {"attempts": 2}, "done", {"get": 2}),
    ("get-network", "module-get", {"get": [said(400, {"errorMessage": "no uplink", "networkError": True})]}, {}, "no-server", {}),
    ("get-429", "module-get", {"get": [said(429, {}, {"Retry-After": 90})]}, {"attempts": 3}, "busy", {"retry": 90, "get": 1}),
    ("get-closed", "module-get", {"get": [nothing]}, {}, "no-server", {}),
    ("get-half", "module-get", {"get": [half(said(200, GOOD))]}, {}, "no-server", {}),
    ("get-garbage", "module-get", {"get": [said(200, raw=b"nope")]}, {}, "bad-answer", {}),
    ("get-list", "module-get", {"get": [said(200, [GOOD])]}, {}, "bad-answer", {}),
    ("get-other", "module-get", {"get": [said(200, {**GOOD, "moduleId": "two"})]}, {}, "bad-answer", {"text": ["one"]}),
    ("get-others-device", "module-get", {"get": [said(200, {**GOOD, "deviceId": "pump-8"})]}, {}, "bad-answer", {}),
    ("get-redirect", "module-get", {"get": [said(307, {}, {"Location": "/x"})]}, {}, "bad-answer", {"get": 1}),
    ("list-object", "module-list", {"list": [said(200, GOOD)]}, {}, "bad-answer", {}),
    ("list-of-numbers", "module-list", {"list": [said(200, [1])]}, {}, "bad-answer", {}),
    ("list-without-id", "module-list", {"list": [said(200, [{"deviceId": "pump-7"}])]}, {}, "bad-answer", {}),
    ("create-without-generation", "module-create", {"create": [said(200, {"moduleId": "one", "deviceId": "pump-7"})]}, {}, "bad-answer",
     {"text": ["generationId"], "update": 0}),
    ("create-400", "module-create", {"create": [said(400, {"Message": "ErrorCode:ArgumentInvalid;x"})]}, {}, "failed", {}),
    ("create-403", "module-create", {"create": [said(403, {"Message": "ErrorCode:DeviceMaximumModuleCountExceeded"})]}, {}, "refused", {}),
    ("create-409-then-404", "module-create", {"create": [said(409, {})]}, {}, "not-found", {"update": 0}),
    ("update-412", "module-create", {"update": [said(412, {"Message": "ErrorCode:PreconditionFailed;x"})]}, {}, "failed", {}),
    ("update-409", "module-create", {"update": [said(409, {"Message": "conflict"})]}, {}, "failed", {}),
    ("update-closed", "module-create", {"update": [nothing]}, {}, "no-server", {}),
    ("delete-412", "module-delete", {"delete": [said(412, {})]}, {}, "failed", {}),
    ("delete-202", "module-delete", {"delete": [said(202, {})]}, {}, "bad-answer", {}),
]


@pytest.mark.parametrize("kind,plan,args,outcome,told", [row[1:] for row in HUB], ids=[row[0] for row in HUB])
def test_whatever_the_hub_says_ends_in_its_outcome(device, cloud, kind, plan, args, outcome, told):
    cloud.plan.update({step: list(answers) for step, answers in plan.items()})
    more = {} if kind == "module-list" else {"module": "one"}
    if kind == "module-create":
        more["master"] = "m"
    r = device.hub(cloud, kind, **more, **args)
    judge(r, cloud, outcome, told)
    assert r.outcome == "done" or "handle" not in r.value


@pytest.mark.parametrize("hub", ["hub/evil", "user@hub", "", "hub:0", "hub\r\nX: y"])
def test_a_hub_that_is_no_host_is_a_bad_task(device, cloud, hub):
    assert device.hub(cloud, "module-list", hub=hub).outcome == "bad-task"
    if hub:
        assert device.hub(cloud, "module-list", gateway=hub).outcome == "bad-task"


# --- keys ---

def test_handles_are_of_the_key_that_was_asked_for(device):
    key = device.pair("a pair")
    handle = device.run("key-handle", key="a pair", pair=True).value["handle"]
    digest = hashlib.sha256(b"m").digest()
    got = device.keyd.request("POST", "/sign", {"keyHandle": handle, "algorithm": "ECDSA",
                                                "parameters": {"digest": base64.b64encode(digest).decode()}})
    assert got.status == 200 and key
    symmetric = device.secret(b"s" * 32)
    assert device.run("key-handle", key=symmetric).value["handle"]
    for args in ({"key": "not-there"}, {"key": "not-there", "pair": True}):
        r = device.run("key-handle", **args)
        assert r.outcome == "not-found" and r.value == {"check": "key-missing"} and "not-there" in r.text
    assert device.run("key-handle", key="x", keyd="/nonexistent").outcome == "key-failed"


@needs_root
def test_a_handle_for_another_user_works_for_that_user_alone(device):
    symmetric = device.secret(b"s" * 32)
    body = {"algorithm": "HMAC-SHA256", "parameters": {"message": base64.b64encode(b"m").decode()}}
    theirs = device.run("key-handle", key=symmetric, uid=OTHER).value["handle"]
    module = device.run("module-handle", module="m", generation="g", master="master", uid=OTHER).value["handle"]
    for handle in (theirs, module):
        assert device.user(OTHER).ask(device.keyd, "POST", "/sign", {**body, "keyHandle": handle}).status == 200
        assert device.user(OTHER + 1).ask(device.keyd, "POST", "/sign", {**body, "keyHandle": handle}).status in (401, 403)


def test_an_original_keys_service_has_no_handles_for_one_user_and_moves_instead_of_switching(device, tmp_path):
    keyd = FakeKeyd(tmp_path / "keyd.sock", original=True)
    keyd.keys.update({"id": new_key(), "id-temp": new_key()})
    new = keyd.keys["id-temp"]
    try:
        r = run_task("key-handle", {"keyd": keyd.socket, "key": "id", "pair": True, "uid": OTHER})
        assert r.outcome == "done" and r.value["handle"] in keyd.handles and "one user" in r.note
        spki = base64.b64encode(new.public_key().public_bytes(serialization.Encoding.DER,
                                                              serialization.PublicFormat.SubjectPublicKeyInfo)).decode()
        args = {"keyd": keyd.socket, "key": "id", "from": "id-temp", "spki": spki}
        assert run_task("key-switch", args).outcome == "done" and keyd.keys == {"id": new}
        r = run_task("key-switch", {**args, "spki": base64.b64encode(b"0" * 91).decode()})
        assert r.outcome == "key-failed" and keyd.keys == {"id": new}
        assert run_task("key-prove", {"keyd": keyd.socket, "key": "id"}).outcome == "done"
        assert run_task("key-delete", {"keyd": keyd.socket, "key": "gone"}).outcome == "done"
    finally:
        keyd.stop()


def test_a_pair_is_switched_once_and_again_without_harm_then_proved_and_deleted(device):
    device.pair("sw"), device.pair("sw-temp")
    new = device.key("sw-temp").public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    args = {"key": "sw", "from": "sw-temp", "spki": base64.b64encode(new).decode()}
    for _ in range(2):
        assert device.run("key-switch", **args).outcome == "done"
        assert device.key("sw").public_key().public_numbers() and device.key("sw-temp") is None
    previous = list((device.prefix / "var/lib/aziot/keyd/previous").iterdir())
    assert previous
    for _ in range(2):
        assert device.run("key-prove", key="sw").outcome == "done"
    assert not [p for p in previous if p.exists() and p.name.startswith("sw-")]
    for _ in range(2):
        assert device.run("key-delete", key="sw").outcome == "done" and device.key("sw") is None
    assert device.run("key-switch", key="sw", **{"from": "sw-temp", "spki": "!"}).outcome == "bad-task"


# --- certificates ---

def test_a_certificate_is_issued_for_a_pair_of_keyd(device):
    subject = [["CN", "pump-7"], ["O", "Example"]]
    r = device.run("cert-issue", id="device-id", key="device-key", algorithms="rsa-2048:*", subject=subject, client_auth=True)
    assert r.outcome == "done", r
    leaf = x509.load_pem_x509_certificate(r.value["pem"].encode())
    assert leaf.subject.rfc4514_string() in ("CN=pump-7,O=Example", "O=Example,CN=pump-7")
    assert isinstance(leaf.public_key(), rsa.RSAPublicKey) and device.matches("device-id", "device-key")
    der = leaf.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(r.value["spki"]) == der
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_encipherment
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    # The same key again, unless a fresh one is wanted.
    again = device.run("cert-issue", id="device-id", key="device-key", subject=subject)
    assert again.value["spki"] == r.value["spki"]
    fresh = device.run("cert-issue", id="device-id", key="device-key", subject=subject, fresh=True)
    assert fresh.value["spki"] != r.value["spki"] and device.matches("device-id", "device-key")


def test_a_successors_key_that_is_damaged_is_made_anew(device):
    """A disk's or a power cut's work on what a renewal left must not end all renewals."""
    of = {"id": "device-id", "key": "device-key-temp", "subject": [["CN", "pump-7"]], "fresh": True}
    assert device.run("cert-issue", **of).outcome == "done"
    device.key_file("device-key-temp").write_bytes(b"")
    r = device.run("cert-issue", **of)
    assert r.outcome == "done" and device.matches("device-id", "device-key-temp"), r


def test_certificates_are_read_written_and_deleted(device):
    text = estuary.OutsideCa().pem
    assert device.run("cert-put", id="a/b c", pem=text).outcome == "done"
    assert device.run("cert-get", id="a/b c").value == {"pem": text}
    for _ in range(2):
        assert device.run("cert-delete", id="a/b c").outcome == "done"
    r = device.run("cert-get", id="a/b c")
    assert r.outcome == "not-found" and r.value == {"check": "cert-missing"} and "a/b c" in r.text


@pytest.mark.parametrize("args,outcome,words", [
    ({"id": "no-entry", "subject": [["CN", "x"]]}, "cert-failed", "no-entry"),
    ({"id": "device-id", "subject": [["CN", "x" * 65]]}, "bad-task", "room for 64"),
    ({"id": "device-id", "subject": [["CN", "ü" * 33]]}, "bad-task", "66 octets"),
    ({"id": "device-id", "subject": [["XX", "x"]]}, "bad-task", "XX"),
    ({"id": "device-id", "subject": [["C", "Germany"]]}, "bad-task", "subject"),
    ({"id": "device-id", "subject": [["CN", "x"]], "keyd": "/nonexistent"}, "key-failed", "Keys Service"),
    ({"id": "device-id", "subject": [["CN", "x"]], "certd": "/nonexistent"}, "cert-failed", "Certificates Service"),
    ({"id": "device-id", "subject": [["CN", "x"]], "algorithms": "none-such"}, "key-failed", "refused-key"),
], ids=["no-entry", "long", "long-in-octets", "unknown-attribute", "bad-country", "no-keyd", "no-certd", "bad-algorithm"])
def test_what_cannot_be_issued_says_why(device, args, outcome, words):
    r = device.run("cert-issue", **{"key": fresh_name("refused-key"), **args})
    assert r.outcome == outcome and words in r.text, r


class FakeCertd:
    """One answer to everything, on a Unix socket."""

    def __init__(self, path, octets):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.path, self.octets = str(path), octets
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            with s:
                s.recv(65536)
                s.sendall(self.octets)


@pytest.mark.parametrize("octets,outcome", [
    (said(201, {"pem": estuary.OutsideCa().pem}), "bad-answer"),  # somebody else's key
    (said(201, {"pem": "nonsense"}), "bad-answer"),
    (said(201, {}), "bad-answer"),
    (said(201, raw=b"{"), "cert-failed"),
    (said(500, {"message": "internal error"}), "cert-failed"),
    (said(401, {"message": "user 7 is not authorized to modify the cert x"}), "cert-failed"),
    (b"", "cert-failed"),
], ids=["other-key", "no-pem", "nothing", "garbage", "500", "401", "closed"])
def test_what_certd_says_is_checked(device, tmp_path, octets, outcome):
    certd = FakeCertd(tmp_path / "certd.sock", octets)
    for kind, args in (("cert-issue", {"key": "checked"}), ("local-id", {})):
        r = device.run(kind, id="device-id", subject=[["CN", "x"]], certd=certd.path, **args)
        assert r.outcome == outcome and "pem" not in r.value and "key" not in r.value, r
    certd.socket.close()


@pytest.mark.parametrize("server", [False, True])
def test_a_local_identity_is_a_pair_of_its_own_with_its_certificate(device, server):
    r = device.run("local-id", id="module", subject=[["CN", "m.host.example"]], server=server, dns=["m.host.example", "m"])
    assert r.outcome == "done", r
    leaf = x509.load_pem_x509_certificate(r.value["pem"].encode())
    assert r.value["key"].startswith("-----BEGIN PRIVATE KEY-----")
    key = serialization.load_pem_private_key(r.value["key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048
    assert key.public_key().public_numbers() == leaf.public_key().public_numbers()
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "m.host.example"
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == ["m.host.example", "m"]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and usage.value.content_commitment and usage.value.key_encipherment
    expected = {ExtendedKeyUsageOID.CLIENT_AUTH} | ({ExtendedKeyUsageOID.SERVER_AUTH} if server else set())
    assert set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == expected
    assert r.value["not_after"] == leaf.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
    # keyd never had it.
    assert r.value["key"].encode() not in b"".join(p.read_bytes() for p in (device.prefix / "var/lib/aziot/keyd/keys").iterdir())


def test_the_request_of_a_local_identity_says_what_the_original_s_does(device, tmp_path):
    seen = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "certd.sock"))
    server.listen()

    def serve():
        s, _ = server.accept()
        with s:
            octets = b""
            while b"}" not in octets:
                octets += s.recv(65536)
            seen.append(json.loads(octets.split(b"\r\n\r\n", 1)[1]))
            s.sendall(said(500, {"message": "enough"}))
    threading.Thread(target=serve, daemon=True).start()
    device.run("local-id", id="module", subject=[["CN", "m.host.example"]], server=True, certd=str(tmp_path / "certd.sock"))
    server.close()
    csr = x509.load_pem_x509_csr(seen[0]["csr"].encode())
    assert seen[0]["certId"] == "module" and csr.is_signature_valid
    got = {e.oid._name: (e.critical, e.value) for e in csr.extensions}
    assert got["basicConstraints"] == (True, x509.BasicConstraints(False, None))
    assert got["keyUsage"] == (True, x509.KeyUsage(True, True, True, False, False, False, False, False, False))
    assert got["extendedKeyUsage"] == (True, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]))


@pytest.mark.parametrize("cn,taken", [("x" * 64, True), ("x" * 65, False), ("ü" * 32, True), ("é" * 33, False)])
def test_a_name_that_is_too_long_is_refused_and_never_cut(device, cn, taken):
    r = device.run("local-id", id="module", subject=[["CN", cn]])
    assert (r.outcome == "done") == taken
    if not taken:
        assert r.outcome == "bad-task" and "room for 64" in r.text


# --- the process ---

@pytest.mark.parametrize("message", [
    b"", b"\0", b"\0" * 8, os.urandom(64), task_message(0, {}), task_message(9999, {}), task_message("cert-get", b"{"),
    task_message("cert-get", {"id": "x"}), task_message("cert-get", {"keyd": "/k", "certd": "/c", "id": "x", "more": 1}),
    task_message("cert-get", b"[" * 100000), struct.pack(">II", 1, 0xffffffff),
], ids=["empty", "octet", "zeros", "noise", "kind-0", "kind-9999", "cut", "less", "more", "deep", "length"])
def test_a_message_that_is_no_task_is_answered_as_a_bad_one(message):
    w = Worker()
    send(w.sock, message)
    octets = receive(w.sock)
    assert octets is None or task_worker.Result(octets).outcome == "bad-task"
    w.end()


def test_a_worker_without_a_task_ends_with_its_pipe():
    w = Worker()
    assert w.end() == 1


def test_a_large_task_comes_whole(device, cloud):
    payload = {"x": "y" * 300000}
    assert device.dps(cloud, payload=payload).outcome == "done" and cloud.told == {"payload": payload}


def test_only_what_talks_to_the_cloud_may_open_a_network_socket(device, tmp_path):
    """A worker that waits for an answer is looked at from outside."""
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "silent.sock"))
    silent.listen()
    for kind, more, filters in (("cert-get", {"id": "x"}, True),
                                ("module-list", {"auth": "sas", "key": "k", "hub": "localhost", "device": "d"}, False)):
        w = Worker()
        args = {**device.common, "certd": str(tmp_path / "silent.sock"), "keyd": str(tmp_path / "silent.sock"), **more}
        send(w.sock, task_message(kind, args))
        s, _ = silent.accept()  # it is confined by now
        status = open(f"/proc/{w.process.pid}/status").read()
        assert re.search(r"NoNewPrivs:\s*1", status)
        if filters:
            assert re.search(r"Seccomp:\s*2", status)
        s.close()
        assert receive(w.sock) is not None
        w.end()
    silent.close()


def test_a_worker_ends_when_nobody_waits_for_it(device, cloud):
    cloud.plan["register"] = [after(20, ASSIGNING)]
    w = Worker()
    send(w.sock, task_message("dps", {**device.common, **device.sas(cloud), "endpoint": cloud.endpoint, "scope": cloud.scope,
                                      "registration": cloud.registration}))
    wait_for("the request", lambda: cloud.count("register") == 1)
    w.process.kill()
    assert w.end() == -9


# --- against our own server ---

class OwnCloud:
    """Estuary's provisioning service and hub, as the tasks above see the fake ones."""

    def __init__(self, server):
        self.server, self.hub, self.endpoint = server, f"localhost:{server.device_port}", f"https://localhost:{server.device_port}/"
        self.scope = server.op("dps.show")["id_scope"]
        # The quickstart's own hub goes by the machine's name, which not every machine can resolve.
        if self.hub not in [h["name"] for h in server.op("dps.show")["hubs"]]:
            server.op("hub.add", name=self.hub)

    @property
    def reached(self):
        return {"trust": open(self.server.root_file).read(), "trust_system": False}

    def dps(self, registration):
        return {**self.reached, "endpoint": self.endpoint, "scope": self.scope, "registration": registration}

    def modules(self, device_id):
        return {**self.reached, "hub": self.hub, "device": device_id}


@pytest.fixture(scope="module")
def own(server):
    return OwnCloud(server)


def by_group(device, own, **more):
    """A symmetric group and how one of its devices attests: (group, registration, args)."""
    group, registration = fresh_name("group"), fresh_name("pump")
    own.server.op("group.create", name=group, attestation="symmetric", hubs=[own.hub], **more)
    key = own.server.op("group.derive", name=group, registration=registration)["key"]
    return group, registration, {"auth": "sas", "key": device.secret(base64.b64decode(key))}


def by_ca(device, own):
    """The same by an enrolment group of a CA that is not the server's."""
    group, registration, ca, key_id = fresh_name("group"), fresh_name("pump"), estuary.OutsideCa(), fresh_name("pair")
    own.server.op("group.ca_add", name=group + "-ca", pem=ca.pem, verified=True)
    own.server.op("group.create", name=group, attestation="x509", ca=group + "-ca", hubs=[own.hub])
    leaf = mint((ca.cert, ca.key), registration, _Public(device.pair(key_id).public_key()))
    return group, registration, {"auth": "x509", "key": key_id, "chain": leaf.public_bytes(serialization.Encoding.PEM).decode()}


@pytest.mark.parametrize("attested", [by_group, by_ca])
def test_a_device_registers_with_our_own_service_and_has_modules_at_our_own_hub(device, own, attested):
    group, registration, auth = attested(device, own)
    for _ in range(2):
        r = device.run("dps", **own.dps(registration), **auth)
        assert r.outcome == "done" and r.value["hub"] == own.hub and r.value["device_id"] == registration, r
    shown = own.server.op("registration.show", registration=registration)
    assert shown["status"] == "assigned" and group in json.dumps(shown)
    hub = {**own.modules(registration), **auth}
    assert device.run("module-list", **hub).value == {"modules": []}
    r = device.run("module-create", module="$edgeAgent", master="own-master", **hub)
    assert r.outcome == "done" and r.value["handle"], r
    again = device.run("module-create", module="$edgeAgent", master="own-master", **hub)
    assert again.outcome == "done" and again.value["module"]["generationId"] == r.value["module"]["generationId"]
    assert [m["moduleId"] for m in device.run("module-list", **hub).value["modules"]] == ["$edgeAgent"]
    assert device.run("module-update", module="$edgeAgent", master="own-master", **hub).outcome == "done"
    assert device.run("module-delete", module="$edgeAgent", **hub).outcome == "done"
    for kind in ("module-get", "module-delete"):
        assert device.run(kind, module="$edgeAgent", **hub).outcome == "not-found"


def test_our_own_service_gives_a_group_s_payload_and_takes_a_device_s(device, own):
    _, registration, auth = by_group(device, own, payload={"interval": 5})
    r = device.run("dps", payload={"model": "x"}, **own.dps(registration), **auth)
    assert r.outcome == "done" and r.value["payload"] == {"interval": 5}, r


def test_our_own_service_refuses_who_is_not_who_he_says_and_says_who_is_disabled(device, own):
    group, registration, auth = by_group(device, own)
    r = device.run("dps", **own.dps(registration), auth="sas", key=device.secret(b"x" * 32))
    assert r.outcome == "refused" and r.error_code != 0, r
    r = device.run("dps", **own.dps(fresh_name("nobody")), **auth)
    assert r.outcome in ("refused", "failed") and r.error_code != 0, r
    r = device.run("dps", **{**own.dps(registration), "scope": "0neNOWHERE"}, **auth)
    assert r.outcome in ("refused", "failed") and r.error_code != 0, r
    assert device.run("module-list", **own.modules(registration), **auth).outcome in ("refused", "not-found")
    own.server.op("group.disable", name=group)
    r = device.run("dps", **own.dps(registration), **auth)
    assert r.outcome == "disabled", r
