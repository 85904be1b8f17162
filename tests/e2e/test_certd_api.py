# SPDX-License-Identifier: Apache-2.0
"""The Certificates Service as its clients see it: every status and text, local issuance, who may do what, and where it stands."""
import datetime
import json
import os
import re
import signal
import socket
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import estuary
from device import OWN, csr_pem
from estuary import PATIENCE, fresh_name, mint, new_key, wait_for
from hostile import _Public
from users import OpenDevice, files_below, needs_root

V2020 = "2020-09-01"
ALICE, BOB = 4101, 4102
JSON = {"Content-Type": "application/json"}


def pem(*certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs).decode()


def loaded(text):
    return [x509.load_pem_x509_certificate(f"-----BEGIN{part}".encode()) for part in text.split("-----BEGIN")[1:]]


def wish(cn=None, key=None, sans=None, extensions=()):
    return csr_pem(estuary.csr(key or new_key(), cn or fresh_name(), sans, extensions))


class Issuing(OpenDevice):
    """Both services, with a CA of the device's own whose key keyd has."""

    def __init__(self):
        super().__init__()
        self.outside = estuary.OutsideCa()
        leaf = mint((self.outside.cert, self.outside.key), "preloaded", new_key())
        self.preloaded = self.file("preloaded.pem", pem(leaf))
        self.second = self.file("second.pem", pem(self.outside.cert))
        self.configure("certd", f"""
[cert_issuance]
mine = {{ method = "self_signed", expiry_days = 3 }}
leaf = {{ method = "local_ca", expiry_days = 5 }}
renamed = {{ method = "local_ca", subject = {{ O = "Example", CN = "another name" }} }}
keyless = {{ method = "self_signed" }}
nowhere = {{ method = "est" }}
"aziot-edged/module/x:1:server" = {{ method = "local_ca" }}

[cert_issuance.local_ca]
cert = "ca"
pk = "ca-key"

[preloaded_certs]
preloaded = "{self.preloaded.as_uri()}"
second = "{self.second.as_uri()}"
bundle = ["preloaded", "not-there", "second", "inner"]
inner = ["second"]
empty = ["not-there"]
circle = ["circle", "second"]
link = "{(self.prefix / 'files/no-such-file').as_uri()}"

[[principal]]
uid = {ALICE}
certs = ["alice-*", "leaf"]
[[principal]]
uid = {os.getuid()}
certs = ["*"]
""")
        self.configure("keyd", f"""
[[principal]]
uid = {ALICE}
keys = ["alice-*"]
[[principal]]
uid = {BOB}
keys = ["bob-*"]
[[principal]]
uid = {os.getuid()}
keys = ["*"]
delegate = true
""")
        self.open(self.keyd, self.certd)
        self.ca_handle = self.key_pair("ca-key")
        self.key_pair("mine")
        key = self.key("ca-key").public_key()
        self.ca = mint((self.outside.cert, self.outside.key), "the device's own CA", _Public(key), ca=True, end=86400 * 4)
        assert self.ask("PUT", "/certificates/ca", {"pem": pem(self.ca, self.outside.cert)}).status == 201

    def ask(self, method, path, body=None, version=V2020, **kw):
        return self.certd.request(method, path, body, version, **kw)

    def key_pair(self, key_id, user=None):
        body = {"keyId": key_id}
        got = user.ask(self.keyd, "POST", "/keypair", body) if user else self.keyd.request("POST", "/keypair", body)
        assert got.status == 200, got
        return got.json["keyHandle"]

    def issue(self, cert_id, csr=None, **more):
        return self.request(cert_id, csr or wish(), **more)


@pytest.fixture(scope="module")
def certd():
    d = Issuing()
    yield d
    d.close()


# --- what is malformed ---

CSR = wish("malformed")
BROKEN_CSR = CSR[:200] + ("A" if CSR[200] != "A" else "B") + CSR[201:]
A_CERT = pem(estuary.OutsideCa().cert)


def body(**kw):
    return json.dumps(kw)


V = "?api-version=2020-09-01"


def wrong(parameter, why="*"):
    return f'parameter "{parameter}" has an invalid value\ncaused by: {why}'


# method, path with query, headers, body, status, message ("...*": begins so; None: any)
MALFORMED = [
    ("GET", "/certificates/x", {}, None, 400, "api-version not specified"),
    ("POST", "/nowhere", JSON, "{}", 400, "api-version not specified"),
    ("GET", "/certificates/x?api-version=2021-05-01", {}, None, 400, 'invalid api-version "2021-05-01"'),
    ("GET", "/nowhere" + V, {}, None, 404, "not found"),
    ("GET", "/status" + V, {}, None, 404, "not found"),
    ("POST", "/renew/x" + V, {}, None, 404, "not found"),
    ("GET", "/certificates/" + V, {}, None, 404, "not found"),
    ("GET", "/certificates" + V, {}, None, 400, "method not allowed"),
    ("PATCH", "/certificates/x" + V, JSON, "{}", 400, "method not allowed"),
    ("POST", "/certificates/x" + V, JSON, "{}", 400, "method not allowed"),
    ("POST", "/certificates" + V, {}, None, 400, "missing request body"),
    ("POST", "/certificates" + V, {"Content-Type": "text/plain"}, body(certId="leaf", csr=CSR), 400, "missing request body"),
    ("POST", "/certificates" + V, JSON, "nothing", 422, None),
    ("POST", "/certificates" + V, JSON, body(csr=CSR), 422, "missing field `certId`"),
    ("POST", "/certificates" + V, JSON, body(certId="leaf"), 422, "missing field `csr`"),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=CSR, issuer={"certId": "ca"}), 422, None),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=CSR, issuer="ca"), 422, None),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr="nothing"), 400, wrong("csr")),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=A_CERT), 400, wrong("csr")),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=BROKEN_CSR), 400, wrong("csr")),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=CSR, issuer={"certId": "none", "privateKeyHandle": "h"}), 400,
     wrong("issuer.certId", "not found")),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=CSR, issuer={"certId": "ca", "privateKeyHandle": ""}), 400,
     wrong("issuer.privateKeyHandle")),
    ("POST", "/certificates" + V, JSON, body(certId="leaf", csr=CSR, issuer={"certId": "ca", "privateKeyHandle": "a\0b"}), 422, None),
    ("POST", "/certificates" + V, JSON, body(certId="", csr=CSR), 400, wrong("certId")),
    ("POST", "/certificates" + V, JSON, body(certId="nobody-configured-it", csr=CSR), 500, "internal error"),
    ("POST", "/certificates" + V, JSON, body(certId="nowhere", csr=CSR), 500, "internal error"),
    ("POST", "/certificates" + V, JSON, body(certId="keyless", csr=CSR), 500, "internal error"),
    ("GET", "/certificates/none" + V, {}, None, 400, wrong("id", "not found")),
    ("GET", "/certificates/link" + V, {}, None, 400, wrong("id", "not found")),
    ("GET", "/certificates/empty" + V, {}, None, 400, wrong("id", "not found")),
    ("GET", "/certificates/circle" + V, {}, None, 500, "internal error"),
    ("PUT", "/certificates/x" + V, {"Content-Type": "text/plain"}, body(pem=A_CERT), 415, "request body must be application/json"),
    ("PUT", "/certificates/x" + V, {"Content-Type": "text/plain"}, None, 415, "request body must be application/json"),
    ("PUT", "/certificates/x" + V, JSON, None, 422, None),
    ("PUT", "/certificates/x" + V, JSON, "{}", 422, "missing field `pem`"),
    ("PUT", "/certificates/x" + V, JSON, body(pem="no certificate"), 400, wrong("pem")),
    ("POST", "/renew/none?api-version=2026-11-01", {}, None, 400, wrong("id", "not found")),
    ("POST", "/disable/none?api-version=2026-11-01", {}, None, 400, wrong("id", "not found")),
]


@pytest.mark.parametrize("method,path,headers,sent,status,message", MALFORMED,
                         ids=[f"{i}-{row[0]}-{row[4]}" for i, row in enumerate(MALFORMED)])
def test_what_is_malformed_is_refused_as_clients_know_it(certd, method, path, headers, sent, status, message):
    before = files_below(certd.prefix / "var/lib/aziot/certd/certs")
    got = certd.certd.request(method, path, sent, version=None, headers=headers)
    assert got.status == status and got.headers["Content-Type"] == "application/json", got
    assert got.json.keys() == {"message"} and got.message
    if message and message.endswith("*"):
        assert got.message.startswith(message[:-1]), got
    elif message:
        assert got.message == message
    assert files_below(certd.prefix / "var/lib/aziot/certd/certs") == before


def test_what_a_500_was_about_stands_in_the_log(certd):
    for cert_id, why in [("nobody-configured-it", "there is no [cert_issuance] entry for it"), ("nowhere", "EST "), ("keyless", "key")]:
        assert certd.issue(cert_id).json == {"message": "internal error"}
        said = certd.certd.log.rsplit("!!! ", 1)[1].split("\n")[0]
        assert why in said and cert_id in said, said


# --- certificates in and out ---

def test_certificates_come_and_go_and_deleting_nothing_is_no_error(certd):
    name, text = fresh_name("cert"), pem(estuary.OutsideCa().cert)
    assert certd.ask("DELETE", f"/certificates/{name}").status == 204
    got = certd.ask("PUT", f"/certificates/{name}", {"pem": text})
    assert (got.status, got.json) == (201, {"pem": text})
    assert certd.cert_file(name).read_text() == text and certd.cert_file(name).stat().st_mode & 0o777 == 0o644
    assert certd.ask("GET", f"/certificates/{name}").json == {"pem": text}
    got = certd.ask("DELETE", f"/certificates/{name}")
    assert got.status == 204 and got.body == b"" and "content-type" not in got.headers
    assert certd.ask("GET", f"/certificates/{name}").status == 400 and not certd.cert_file(name).exists()


def test_a_list_is_its_members_in_order(certd):
    assert certd.ask("GET", "/certificates/bundle").json == {"pem": certd.preloaded.read_text() + certd.second.read_text() * 2}


def test_h6_what_is_preloaded_is_never_written(certd):
    before = files_below(certd.prefix / "files")
    for cert_id in ("preloaded", "bundle", "link"):
        path = f"/certificates/{cert_id}"
        for got in (certd.ask("PUT", path, {"pem": A_CERT}), certd.ask("DELETE", path), certd.issue(cert_id)):
            assert got.status == 403 and "read-only" in got.message, (cert_id, got)
    assert files_below(certd.prefix / "files") == before and not (certd.prefix / "files/no-such-file").exists()


def test_private_keys_go_neither_in_nor_out(certd):
    secret = estuary.key_pem(new_key()).decode()
    assert certd.ask("PUT", "/certificates/leaky", {"pem": A_CERT + secret}).status == 400
    certd.cert_file("leaky").write_text(A_CERT + secret)
    got = certd.ask("GET", "/certificates/leaky")
    assert got.status == 500 and b"PRIVATE" not in got.body
    certd.cert_file("leaky").unlink()


def test_ids_with_slashes_work_encoded_and_not(certd):
    cert_id = "aziot-edged/module/x:1:server"
    made = certd.issue(cert_id)
    assert made.status == 201 and certd.cert_file(cert_id).read_text() == made.json["pem"]
    for path in (cert_id, cert_id.replace("/", "%2F")):
        assert certd.ask("GET", f"/certificates/{path}").json == made.json


def test_h4_no_id_leads_out_of_the_home(certd, tmp_path):
    home = certd.prefix / "var/lib/aziot/certd"

    def outside():
        logs = (certd.certd.log_file, certd.keyd.log_file)
        return {p: o for p, o in files_below(certd.prefix).items() if home not in p.parents and p not in logs}

    before = outside()
    for cert_id in ("..", "../x", "../../../x", "/etc/passwd", "a-b", "ab", "AB", "%00", "x%0a", ".cer", "~", "\u202e", "x" * 300, "*", "$(id)"):
        quoted = "".join(f"%{o:02X}" if chr(o) not in "%" else "%25" for o in cert_id.encode())
        had = set(files_below(home / "certs"))
        got = certd.ask("PUT", f"/certificates/{quoted}", {"pem": A_CERT})
        new = set(files_below(home / "certs")) - had
        assert got.status in (201, 400, 404, 413) and new == ({certd.cert_file(cert_id)} if got.status == 201 else set()), (cert_id, got, new)
    assert outside() == before
    # A link in the place of a certificate is replaced, not written through.
    victim = tmp_path / "victim"
    victim.write_text("precious")
    certd.cert_file("planted").symlink_to(victim)
    assert certd.ask("PUT", "/certificates/planted", {"pem": A_CERT}).status == 201
    assert victim.read_text() == "precious" and not certd.cert_file("planted").is_symlink()


# --- local issuance ---

def extension(cert, kind):
    return cert.extensions.get_extension_for_class(kind).value


def test_a_certificate_of_the_devices_own_ca_has_all_that_a_certificate_needs(certd):
    key, sans = new_key(), [x509.DNSName("edgehub"), x509.DNSName("gateway.example")]
    usage = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)]
    chain = loaded(certd.issue("leaf", wish("edgehub", key, sans, usage)).json["pem"])
    leaf = chain[0]
    assert chain[1:] == [certd.ca, certd.outside.cert] and loaded(certd.cert_file("leaf").read_text()) == chain
    certd.ca.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))
    assert leaf.public_key().public_numbers() == key.public_key().public_numbers()
    assert leaf.subject == estuary.name("edgehub") and leaf.issuer == certd.ca.subject and leaf.serial_number.bit_length() > 64
    assert extension(leaf, x509.SubjectAlternativeName).get_values_for_type(x509.DNSName) == ["edgehub", "gateway.example"]
    assert list(extension(leaf, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert extension(leaf, x509.AuthorityKeyIdentifier).key_identifier == extension(certd.ca, x509.SubjectKeyIdentifier).digest
    assert extension(leaf, x509.SubjectKeyIdentifier) == x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    assert leaf.not_valid_after == certd.ca.not_valid_after  # five days were configured, and four is what the CA has left
    assert leaf.not_valid_before <= datetime.datetime.utcnow()
    assert loaded(certd.issue("leaf").json["pem"])[0].serial_number != leaf.serial_number


def test_a_subject_that_is_configured_counts_and_a_self_signed_one_is_by_its_own_key(certd):
    leaf = loaded(certd.issue("renamed").json["pem"])[0]
    assert leaf.subject == estuary.name("another name", (NameOID.ORGANIZATION_NAME, "Example"))
    own = loaded(certd.issue("mine", wish("mine", certd.key("mine"))).json["pem"])
    assert len(own) == 1 and own[0].subject == own[0].issuer
    own[0].public_key().verify(own[0].signature, own[0].tbs_certificate_bytes, ec.ECDSA(own[0].signature_hash_algorithm))
    assert own[0].not_valid_after - own[0].not_valid_before <= datetime.timedelta(days=3, minutes=10)


@pytest.mark.parametrize("wanted", [(x509.BasicConstraints(True, None), True),
                                    (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True),
                                    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False),
                                    (x509.NameConstraints([x509.DNSName("example")], None), True)],
                         ids=["ca", "cert-sign", "ocsp", "constraints"])
def test_a_request_for_more_than_a_leaf_gets_a_leaf_or_nothing(certd, wanted):
    got = certd.issue("leaf", wish("greedy", extensions=[wanted]))
    if got.status != 201:
        return
    leaf = loaded(got.json["pem"])[0]
    try:
        assert extension(leaf, type(wanted[0])) != wanted[0]
    except x509.ExtensionNotFound:
        pass
    assert not extension(leaf, x509.BasicConstraints).ca


def test_an_explicit_issuer_counts_before_what_is_configured(certd):
    got = certd.issue("nobody-configured-it", issuer={"certId": "ca", "privateKeyHandle": certd.ca_handle})
    assert got.status == 201 and loaded(got.json["pem"])[1] == certd.ca
    assert certd.ask("DELETE", "/certificates/nobody-configured-it").status == 204
    other = certd.key_pair("not-the-ca-key")
    assert certd.issue("leaf", issuer={"certId": "ca", "privateKeyHandle": other}).status == 500
    assert certd.issue("leaf", issuer={"certId": "ca", "privateKeyHandle": "sr=AAAA&sig=AAAA"}).status == 500


# --- users ---

@needs_root
def test_users_change_the_certificates_of_their_patterns_and_read_all(certd):
    alice, stranger = certd.user(ALICE), certd.user(4999)
    certd.ask("PUT", "/certificates/roots", {"pem": A_CERT})
    for user, cert_id, may in [(alice, "alice-1", True), (alice, "leaf", True), (alice, "roots", False), (alice, "Alice-1", False),
                               (stranger, "leaf", False)]:
        for method, path, sent in [("PUT", f"/certificates/{cert_id}", {"pem": A_CERT}), ("DELETE", f"/certificates/{cert_id}", None),
                                   ("POST", "/certificates", {"certId": cert_id, "csr": CSR}), ("POST", f"/renew/{cert_id}", None),
                                   ("POST", f"/disable/{cert_id}", None), ("POST", f"/enable/{cert_id}", None)]:
            got = user.ask(certd.certd, method, path, sent, OWN)
            if may:
                assert got.status != 401, (path, got)
            else:
                assert got.status == 401 and got.message == f"user {user.uid} is not authorized to modify the cert {cert_id}", (path, got)
    assert certd.cert_file("roots").read_text() == A_CERT
    for path, version in [("/certificates/roots", V2020), ("/status", OWN), ("/metrics", OWN)]:
        assert stranger.ask(certd.certd, "GET", path, version=version).status == 200


@needs_root
def test_h5_nobody_issues_by_a_handle_that_is_not_his(certd):
    alice, bob = certd.user(ALICE), certd.user(BOB)
    key_handle = certd.key_pair("bob-ca", bob)
    ca = mint((certd.outside.cert, certd.outside.key), "bob's CA", _Public(certd.key("bob-ca").public_key()), ca=True)
    certd.ask("PUT", "/certificates/bob-ca", {"pem": pem(ca)})
    stolen = {"certId": "bob-ca", "privateKeyHandle": key_handle}
    for handle in (key_handle, certd.ca_handle):
        job = {"csr": CSR, "issuer": {**stolen, "certId": "bob-ca" if handle is key_handle else "ca", "privateKeyHandle": handle}}
        got = bob.ask(certd.certd, "POST", "/certificates", {"certId": "alice-1", **job})
        assert got.status == 401, got  # the key is his, the certificate's ID is not
        before = certd.cert_file("alice-1").exists() and certd.cert_file("alice-1").read_bytes()
        got = alice.ask(certd.certd, "POST", "/certificates", {"certId": "alice-1", **job})
        assert got.status in (403, 500) and "pem" not in got.json, got  # the ID is hers, the handle is not
        assert before == (certd.cert_file("alice-1").exists() and certd.cert_file("alice-1").read_bytes())
    mine = certd.key_pair("alice-ca", alice)
    ca = mint((certd.outside.cert, certd.outside.key), "alice's CA", _Public(certd.key("alice-ca").public_key()), ca=True)
    certd.ask("PUT", "/certificates/alice-ca", {"pem": pem(ca)})
    job = {"certId": "alice-1", "csr": CSR, "issuer": {"certId": "alice-ca", "privateKeyHandle": mine}}
    got = alice.ask(certd.certd, "POST", "/certificates", job)
    assert got.status == 201 and loaded(got.json["pem"])[1] == ca, f"{got}\n{certd.certd.log[-2000:]}"


@needs_root
@pytest.mark.parametrize("close", [False, True])
def test_h10_connections_are_limited_by_user_and_others_are_served(close):
    d = OpenDevice()
    try:
        d.configure("certd", f"max_requests = 2\nclose_when_full = {str(close).lower()}\n")
        d.open(d.certd)
        for uid in range(5101, 5106):
            assert d.user(uid).hold(d.certd, 2) == 2
            got = wait_for("the limit", lambda: (a := d.user(uid).ask(d.certd, "GET", "/certificates/x")).status in (0, 429) and a)
            assert got.status == (0 if close else 429)
            assert close or got.headers["Retry-After"] and got.message
        assert d.user(5106).ask(d.certd, "GET", "/certificates/x").status == 400
    finally:
        d.close()


# --- the wire and the place ---

def test_a_head_comes_whole_in_the_first_512_octets_to_clients_that_name_no_host(certd):
    chain = certd.ask("GET", "/certificates/ca").json["pem"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(str(certd.certd.socket))
        for _ in range(3):  # on one connection
            s.sendall(b"GET /certificates/ca?api-version=2020-09-01 HTTP/1.1\r\n\r\n")
            said = s.recv(512)
            head, begun = said.split(b"\r\n\r\n", 1)
            n = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
            assert head.startswith(b"HTTP/1.1 200 ") and b"application/json\r\n" in head + b"\r\n" and head.count(b"\r\n") <= 16
            while len(begun) < n:
                begun += s.recv(n - len(begun))
            assert json.loads(begun)["pem"] == chain


def test_bodies_end_at_one_mebibyte(certd):
    size = 1024 * 1024
    sent = body(pem=A_CERT)
    assert certd.ask("PUT", "/certificates/big", sent + " " * (size - len(sent)), headers=JSON).status == 201
    assert certd.ask("PUT", "/certificates/big", sent + " " * (size + 1 - len(sent)), headers=JSON).status == 413
    huge = A_CERT * (size // len(A_CERT) - 60)
    assert certd.ask("PUT", "/certificates/big", {"pem": huge}).status in (400, 413) and certd.cert_file("big").read_text() == A_CERT


def test_curl_with_jq_is_a_client(certd, tmp_path):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", f"""
openssl ecparam -name prime256v1 -genkey -noout -out key.pem
openssl req -new -key key.pem -subj /CN=curl -out req.pem
curl -sS --fail --unix-socket {certd.certd.socket} 'http://certd.sock/certificates?api-version=2020-09-01' -H 'content-type: application/json' \
    --data "$(jq -cn --arg certId leaf --arg csr "$(cat req.pem)" '{{$certId, $csr}}')" | jq -r .pem > cert.pem
curl -sS --fail --unix-socket {certd.certd.socket} 'http://certd.sock/certificates/leaf?api-version=2020-09-01' | jq -r .pem | cmp - cert.pem
openssl verify -CAfile {certd.second} -untrusted cert.pem cert.pem
"""], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_h7_the_socket_replaces_nothing_but_a_socket(device, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for plant in (lambda p: p.mkdir(), lambda p: p.symlink_to(victim)):
        plant(device.certd.socket)
        device.certd.start(wait=False)
        assert device.certd.process.wait(PATIENCE) == 1 and victim.read_text() == "precious"
        device.certd.socket.rmdir() if device.certd.socket.is_dir() else device.certd.socket.unlink()
    device.certd.start()
    assert device.certd.socket.stat().st_mode & 0o7777 == 0o660


@pytest.mark.parametrize("harm", ["everybody-writes-file", "everybody-writes-directory", "not-toml", "wrong-type"])
def test_h12_a_bad_configuration_changes_nothing_and_is_told(device, harm):
    device.configure("certd", f'[cert_issuance]\nkept = {{ method = "self_signed", pk = "kept-key", common_name = "kept" }}\n'
                     f'[[principal]]\nuid = {os.getuid()}\ncerts = ["*"]\n')
    device.configure("keyd", f'[[principal]]\nuid = {os.getuid()}\nkeys = ["*"]\n')
    device.start()
    wait_for("a certificate", lambda: device.matches("kept", "kept-key"))
    assert device.agent("status").returncode == 0
    directory = device.prefix / "etc/aziot/certd/config.d"
    evil = directory / "99-evil.toml"
    bad = {"not-toml": "[[principal", "wrong-type": "[cert_issuance]\nkept = 7\n"}
    evil.write_text(bad.get(harm, "[[principal]]\nuid = 4999\ncerts = ['*']\n"))
    os.chmod(evil if harm == "everybody-writes-file" else directory, 0o777 if harm.startswith("everybody") else 0o755)
    device.certd.process.send_signal(signal.SIGHUP)
    trouble = wait_for("the refusal", lambda: device.status()["configuration"]["last_error"])
    assert "config.d" in trouble
    told = device.agent("status", check=False)
    assert told.returncode == 3 and trouble[:60] in told.stdout
    # The certificates go on being renewed.
    first = device.cert("kept").serial_number
    device.agent("renew", "kept")
    wait_for("another certificate", lambda: device.cert("kept").serial_number != first and device.matches("kept", "kept-key"))
    device.certd.stop()
    device.certd.start(wait=False)
    assert device.certd.process.wait(PATIENCE) == 1
