# SPDX-License-Identifier: Apache-2.0
"""Local users of certd who want more than is theirs: its rights at the EST server, other users' keys, all of its time."""
import base64
import json
import os
import pathlib
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import estuary
from device import OWN, UnixHttp, csr_pem
from estuary import PATIENCE, wait_for
from hostile import HostileEst, answer, bag

MINE, THEIRS = 40001, 40002
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="asks as several users")


class AsUser(UnixHttp):
    """Connects as another user: from inside of the socket's directory, since those above it are root's."""

    lock = threading.Lock()

    def __init__(self, service, uid):
        super().__init__(service.socket)
        self.uid = uid

    def connect(self):
        with self.lock:
            before = os.getcwd()
            os.chmod(os.path.dirname(self.path), 0o755)
            os.chmod(self.path, 0o666)
            os.chdir(os.path.dirname(self.path))
            path, self.path = self.path, os.path.basename(self.path)
            os.seteuid(self.uid)
            try:
                super().connect()
            finally:
                os.seteuid(0)
                os.chdir(before)
                self.path = path


def ask_as(service, uid, method, path, body, version="2020-09-01"):
    import json
    h = AsUser(service, uid)
    try:
        h.request(method, f"{path}?api-version={version}", json.dumps(body), {"Content-Type": "application/json"})
        r = h.getresponse()
        return r.status, r.read()
    finally:
        h.close()


@pytest.fixture
def est(tmp_path):
    e = HostileEst(tmp_path)
    yield e
    e.stop()


def set_up(device, est, entries, principals=((os.getuid(), "*", "*"),), files=""):
    """An EST server whose CA is trusted, and a bootstrap pair; principals are (uid, certs, keys)."""
    key = estuary.new_key()
    pair = estuary.Pair(estuary.mint((est.ca.cert, est.ca.key), "bootstrap", key), key, device.prefix)
    cert_uri, key_uri = device.keep_pair("bootstrap", pair)
    certs = "".join(f'[[principal]]\nuid = {u}\ncerts = ["{c}"]\n' for u, c, _ in principals)
    keys = "".join(f'[[principal]]\nuid = {u}\nkeys = ["{k}"]\n' for u, _, k in principals)
    device.configure("certd", f"""
[cert_issuance.est]
trusted_certs = ["{device.file('ca.pem', est.ca.pem).as_uri()}"]
trust_system = false

[preloaded_certs]
bootstrap = "{cert_uri}"
{files}
{entries}
{certs}""")
    device.configure("keyd", f'[preloaded_keys]\nbootstrap = "{key_uri}"\n{keys}')
    device.start()
    return pair


def by_identity(est, name, more=""):
    return f"""
[cert_issuance.{name}]
method = "est"
url = "{est.url(name)}"
identity_cert = "est-id"
identity_pk = "est-id"
bootstrap_identity_cert = "bootstrap"
bootstrap_identity_pk = "bootstrap"
{more}
"""


def test_a_name_that_the_identity_may_not_ask_for_is_not_asked_for_by_the_bootstrap(device, est):
    """The server refuses what is somebody else's by a 403; the bootstrap pair may ask for any name, and is not the user's."""
    bootstrap = set_up(device, est, by_identity(est, "mod"))
    # The identity gets the name of the first request.
    assert device.request("mod", csr_pem(estuary.csr(estuary.new_key(), "pump-7"))).status == 201
    boot = bootstrap.cert.public_bytes(Encoding.DER)
    before, seen = device.credential("est-id"), len(est.of("mod", "simpleenroll"))

    def only_its_own(ask):
        if ask.operation != "simpleenroll" or ask.client == boot:
            return None
        return None if ask.csr.subject.rfc4514_string() == "CN=pump-7" else answer(403)

    est.script["mod"] = only_its_own
    for _ in range(4):
        got = device.request("mod", csr_pem(estuary.csr(estuary.new_key(), "pump-8")))
        assert got.status == 500, got
    asks = est.of("mod", "simpleenroll")[seen:]
    assert len([a for a in asks if "pump-8" in a.csr.subject.rfc4514_string()]) == 4
    assert not [a for a in asks if a.client == boot]
    # The identity is tried once, with its own name, and goes on.
    wait_for("the identity to be renewed", lambda: device.credential("est-id")["generation"] > before["generation"])
    assert device.request("mod", csr_pem(estuary.csr(estuary.new_key(), "pump-7"))).status == 201
    asks = est.of("mod", "simpleenroll")[seen:]
    assert len(asks) == 6 and not [a for a in asks if a.client == boot]


def test_a_ca_certificate_is_for_those_whose_entry_says_so(device, est):
    set_up(device, est, by_identity(est, "mod") + by_identity(est, "edge", "ca = true"))
    est.script["edge"] = lambda a: bag(est.issue(a, ca=True)) if a.operation == "simpleenroll" and a.client and \
        est.of("edge", "simpleenroll")[1:] else None
    wanted = csr_pem(estuary.csr(estuary.new_key(), "my-ca", extensions=[(x509.BasicConstraints(True, 0), True)]))
    got = device.request("mod", wanted)
    assert got.status == 403 and "ca = true" in got.message, got
    assert not est.asks
    assert device.request("edge", wanted).status == 201


def test_a_private_key_in_a_certificates_file_is_not_given_out(device, est, tmp_path):
    key = estuary.new_key()
    pair = estuary.Pair(estuary.mint((est.ca.cert, est.ca.key), "both", key), key, tmp_path)
    both = device.file("both.pem", pathlib.Path(pair.cert_file).read_bytes() + pathlib.Path(pair.key_file).read_bytes())
    set_up(device, est, "", files=f'both = "{both.as_uri()}"\nlist = ["both"]')
    for name in ("both", "list"):
        got = device.certd.request("GET", f"/certificates/{name}")
        assert got.status == 500 and b"PRIVATE" not in got.body, got


@root_only
def test_an_issuers_key_is_used_for_its_owner_alone(device, est):
    """H5: whoever has got hold of a handle finds that certd is no way around keyd's refusal."""
    set_up(device, est, "", [(MINE, "mine*", "edge-ca"), (THEIRS, "theirs*", "none")])
    status, body = ask_as(device.keyd, MINE, "POST", "/keypair", {"keyId": "edge-ca", "preferredAlgorithms": "ec-p256:*"})
    assert status == 200, body
    handle = json.loads(body)["keyHandle"]
    ca = estuary.mint((est.ca.cert, est.ca.key), "edge-ca", device.key("edge-ca"), ca=True)
    assert ask_as(device.certd, MINE, "PUT", "/certificates/mine-ca",
                  {"pem": ca.public_bytes(Encoding.PEM).decode()})[0] == 201
    issuer = {"certId": "mine-ca", "privateKeyHandle": handle}
    wanted = csr_pem(estuary.csr(estuary.new_key(), "hub"))

    def ask(uid, name):
        return ask_as(device.certd, uid, "POST", "/certificates", {"certId": name, "csr": wanted, "issuer": issuer})[0]

    assert ask(THEIRS, "theirs") == 500 and device.cert("theirs") is None
    assert ask(THEIRS, "mine") == 401
    assert ask(MINE, "mine") == 201 and device.cert("mine").issuer == ca.subject


@root_only
def test_one_users_requests_to_a_slow_server_leave_room_for_anothers(device, est):
    """H10: all that one user may ask at once waits at a server that says nothing; another is served meanwhile."""
    names = [f"slow-{i}" for i in range(10)]
    entries = "".join(f'[cert_issuance.{n}]\nmethod = "est"\nanonymous = true\nurl = "{est.url(n)}"\n' for n in names)
    set_up(device, est, entries + '[cert_issuance.quick]\nmethod = "est"\nanonymous = true\n' + f'url = "{est.url("quick")}"\n',
           [(MINE, "slow-*", "none"), (THEIRS, "quick", "none")])
    go = threading.Event()

    def hang(ask):
        go.wait(PATIENCE)
        return answer(503)

    est.script.update({n: hang for n in names})
    wanted = csr_pem(estuary.csr(estuary.new_key(), "pump-7"))
    flood = [threading.Thread(target=ask_as, args=(device.certd, MINE, "POST", "/certificates", {"certId": n, "csr": wanted}))
             for n in names]
    for t in flood:
        t.start()
    try:
        wait_for("the first to hang", lambda: len(est.asks) >= 3)
        got = ask_as(device.certd, THEIRS, "POST", "/certificates", {"certId": "quick", "csr": wanted})
        assert got[0] == 201 and not go.is_set(), got
        assert len([a for a in est.asks if a.where != "quick"]) == 3
        assert device.certd.request("GET", "/status", version=OWN).status == 200
    finally:
        go.set()
        for t in flood:
            t.join(PATIENCE)


def test_who_leaves_before_the_answer_and_a_new_configuration_meanwhile_harm_nobody(device, est):
    set_up(device, est, by_identity(est, "mod") + f'[cert_issuance.other]\nmethod = "est"\nanonymous = true\nurl = "{est.url("other")}"\n')
    go = threading.Event()

    def slow(ask):
        go.wait(PATIENCE)

    est.script.update({"mod": slow, "other": slow})
    wanted = csr_pem(estuary.csr(estuary.new_key(), "pump-7"))
    for name in ("mod", "other", "mod"):
        h = UnixHttp(device.certd.socket)
        h.request("POST", "/certificates?api-version=2020-09-01", json.dumps({"certId": name, "csr": wanted}),
                  {"Content-Type": "application/json"})
        wait_for("the request to come", lambda: device.certd.log.count("<-- POST") and len(est.asks) >= 1)
        h.close()
    device.certd.reload()
    go.set()
    est.script.clear()
    wait_for("both to be issued", lambda: device.cert("mod") and device.cert("other"))
    assert device.request("mod", wanted).status == 201
    assert device.certd.stop() == 0 and "ERROR: AddressSanitizer" not in device.certd.log, device.certd.log


def test_secrets_are_neither_logged_nor_told_nor_passed_as_arguments(device, est):
    password, code = "s3cret-password-of-the-pump", "0ne-time-code-of-the-pump"
    device.certd.env["AZIOT_LOG"] = "trace"
    set_up(device, est, by_identity(est, "mod", f'username = "pump"\npassword = "{password}"\nheaders = ["Secret-Value: {code}"]'))
    lines = []

    def look(ask):
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                lines.append((p / "cmdline").read_bytes())
                if b"certd" in lines[-1]:
                    lines.append((p / "environ").read_bytes())
            except OSError:
                pass

    est.script["mod"] = look
    assert device.request("mod", csr_pem(estuary.csr(estuary.new_key(), "pump-7"))).status == 201
    est.script["mod"] = lambda ask: answer(401)
    assert device.request("mod", csr_pem(estuary.csr(estuary.new_key(), "pump-7"))).status == 500
    assert any(a.headers.get("secret-value") == code for a in est.asks)
    assert any(b"certd-worker" in line for line in lines)
    told = device.certd.log + "".join(device.certd.request("GET", p, version=OWN).body.decode() for p in ("/status", "/metrics"))
    for secret in (password, code, base64.b64encode(f"pump:{password}".encode()).decode()):
        assert secret not in told and not any(secret.encode() in line for line in lines)
