# SPDX-License-Identifier: Apache-2.0
"""TLS of the device listener: versions, suites, client certificates, proof-of-possession linking (RFC 7030 3.3, 3.5)."""
import base64
import datetime
import os
import re
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from estuary import PATIENCE, Client, Pair, b64, basic, csr, der_items, fresh_name, name, new_key

EXPORTER = "EXPORTER-Channel-Binding"
FIELDS = {"Content-Type": "application/pkcs10"}


def s_client(server, *args, stdin=b"", env=None, trust=True):
    """openssl s_client to the device listener; what it printed."""
    cmd = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.device_port}", "-servername", "localhost", *args]
    if trust:
        cmd += ["-CAfile", server.root_file, "-verify_return_error"]
    r = subprocess.run(cmd, input=stdin, capture_output=True, timeout=PATIENCE, env=env)
    r.text = (r.stdout + r.stderr).decode("utf-8", "replace")
    return r


# --- versions and suites ---

@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_tls_before_1_2_is_refused(server, version):
    """A2, C1: RFC 8996"""
    r = s_client(server, version, "-cipher", "ALL:@SECLEVEL=0")
    assert r.returncode != 0 and "Cipher is (NONE)" in r.text and re.search("alert|wrong version|unsupported protocol", r.text)


@pytest.mark.parametrize("version, protocol", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_tls_1_2_and_1_3_are_spoken(server, version, protocol):
    """A2"""
    r = s_client(server, version)
    assert r.returncode == 0 and f"New, {protocol}, Cipher is" in r.text and "Verify return code: 0 (ok)" in r.text


@pytest.mark.parametrize("suites", ["aNULL:eNULL", "eNULL", "EXPORT:LOW:DES:3DES:RC4", "kRSA", "AES128-SHA", "ECDHE-ECDSA-AES128-SHA256",
                                    "DHE-RSA-AES128-GCM-SHA256", "PSK", "SRP"])
def test_suites_without_secrecy_or_authentication_are_refused(server, suites):
    """A3, A13, C1: RFC 7030 3.2.3, 6; only ECDHE with AEAD is there"""
    r = s_client(server, "-tls1_2", "-cipher", suites + ":@SECLEVEL=0", trust=False)
    assert r.returncode != 0 and not re.search(r"Cipher is (?!\(NONE\))", r.text), r.text


def test_srp_is_refused(server):
    """A13: RFC 7030 3.3.3"""
    r = s_client(server, "-tls1_2", "-srpuser", "x", "-srppass", "pass:y", "-cipher", "SRP", trust=False)
    assert r.returncode != 0


def test_renegotiation_is_refused(server):
    """A10, C2: RFC 5746"""
    r = s_client(server, "-tls1_2", stdin=b"R\n")
    assert "RENEGOTIATING" in r.text and "no renegotiation" in r.text


def test_no_compression_and_no_early_data(server):
    """C1"""
    r = s_client(server, "-tls1_3")
    assert "Compression: NONE" in r.text and "Early data was not sent" in r.text


def test_sessions_are_not_resumed(server, tmp_path):
    """A9, C3: each connection shows its certificate anew, so a revoked one cannot hide in a session"""
    for version in "-tls1_2", "-tls1_3":
        s = tmp_path / f"s{version}"
        first = s_client(server, version, "-sess_out", str(s))
        assert "New, TLS" in first.text
        if s.exists():
            assert "Reused" not in s_client(server, version, "-sess_in", str(s)).text


def test_http_1_is_the_only_protocol_offered(server):
    """C7; curl --http1.0 names http/1.0 alone"""
    assert "ALPN protocol: http/1.1" in s_client(server, "-alpn", "h2,http/1.0,http/1.1").text
    assert "ALPN protocol: http/1.0" in s_client(server, "-alpn", "http/1.0").text
    assert "No ALPN negotiated" in s_client(server).text
    r = s_client(server, "-alpn", "h2")
    assert r.returncode != 0 and "no application protocol" in r.text


# --- the server's certificate ---

def server_chain(server):
    text = s_client(server, "-showcerts").stdout
    return [x509.load_pem_x509_certificate(p) for p in re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)]


def test_the_server_certificate_is_one_for_tls_servers(server):
    """A4, A5: RFC 7030 3.3.1, 3.6.1"""
    cert = server_chain(server)[0]
    assert ExtendedKeyUsageOID.SERVER_AUTH in cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    sans = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in sans.get_values_for_type(x509.DNSName)


def test_the_server_certificate_passes_openssl_strictly(server, tmp_path):
    """A4"""
    files = []
    for i, cert in enumerate(server_chain(server)):
        files.append(tmp_path / f"{i}.pem")
        files[-1].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    assert len(files) == 3
    subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost",
                    "-CAfile", server.root_file, "-untrusted", files[1], files[0]], check=True, capture_output=True)


def test_another_name_does_not_verify(server):
    """A5"""
    ctx = ssl.create_default_context(cafile=server.root_file)
    with socket.create_connection(("127.0.0.1", server.device_port)) as s, pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        ctx.wrap_socket(s, server_hostname="est.example")


# --- client certificates ---

def test_the_server_asks_for_a_certificate_and_needs_none(server):
    """A6: RFC 7030 3.3.2, 4.1.2; the names of our CAs go out as a hint"""
    r = s_client(server)
    assert r.returncode == 0 and "Acceptable client certificate CA names" in r.text and "Issuing CA" in r.text
    assert server.get("cacerts").status == 200


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "ec-p521", "ed25519", "rsa-2048"])
def test_a_device_shows_a_certificate_of_any_key_type(server, tls, kind):
    """A6"""
    pair = server.born(key=new_key(kind))
    a = server.enrol(csr(new_key(), pair.cn), pair=pair, tls=tls)
    assert a.status == 200, a


def test_without_a_certificate_enrolment_is_refused(server):
    """A6, E3, F6"""
    assert server.enrol(csr(new_key(), fresh_name()), "edge-ca").status == 403
    assert server.enrol(csr(new_key(), fresh_name()), "edge-ca", reenrol=True).status == 403


def signed_by(server, tmp_path, *ext, days=(-1, 1), trusted=True):
    """A certificate under a CA of its own with these (extension, critical), from `days` on to `days`; the CA is an anchor for its name when trusted."""
    ca_key, key, cn, now = new_key(), new_key(), fresh_name(), datetime.datetime.utcnow()

    def build(subject, public, *ext, days):
        b = x509.CertificateBuilder(name(f"CA of {cn}"), name(subject), public, x509.random_serial_number(),
                                    now + datetime.timedelta(days[0]), now + datetime.timedelta(days[1]))
        for e, critical in ext:
            b = b.add_extension(e, critical)
        return b.sign(ca_key, hashes.SHA256())

    ca = build(f"CA of {cn}", ca_key.public_key(), (x509.BasicConstraints(True, None), True), (key_usage(key_cert_sign=True), True), days=(-9, 9))
    if trusted:
        server.op("trust.add", name=fresh_name("anchor"), pem=ca.public_bytes(serialization.Encoding.PEM).decode(), label="idevid", scope="own-name")
    return Pair(build(cn, key.public_key(), *ext, days=days), key, tmp_path)


def key_usage(**which):
    return x509.KeyUsage(**{k: which.get(k, False) for k in ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                                                             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")})


CLIENT = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)


@pytest.mark.parametrize("ext, how, reason", [
    ([CLIENT], {}, "ok"),
    ([(key_usage(digital_signature=True), True)], {}, "ok"),
    ([CLIENT], {"days": (-3, -1)}, "certificate.expired"),
    ([CLIENT], {"days": (1, 2)}, "certificate.not-yet-valid"),
    ([CLIENT], {"trusted": False}, "certificate.unknown-issuer"),
    ([(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)], {}, "certificate.wrong-purpose"),
    ([(key_usage(key_agreement=True), True), CLIENT], {}, "certificate.wrong-purpose"),
    ([(x509.BasicConstraints(True, None), True), (key_usage(key_cert_sign=True), True)], {}, "certificate.wrong-purpose"),
    ([(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\0"), True), CLIENT], {}, "certificate.chain"),
], ids=["good", "no-eku", "expired", "not-yet", "unknown", "server", "key-agreement", "ca", "unknown-critical"])
def test_a_client_certificate_is_judged_by_rfc_5280(server, tmp_path, ext, how, reason):
    """A7, A8: RFC 7030 3.3.2"""
    pair = signed_by(server, tmp_path, *ext, **how)
    a = server.enrol(csr(new_key(), pair.cn), "idevid", pair=pair)
    assert (a.status == 200) == (reason == "ok"), a
    assert server.why(a)["reason"] == reason


def test_an_outside_certificate_renews_nothing(server, tmp_path):
    """A8: a certificate of another CA enrols, but is not one to be renewed"""
    pair = signed_by(server, tmp_path, CLIENT)
    assert server.enrol(csr(new_key(), pair.cn), "idevid", pair=pair).status == 200
    a = server.enrol(csr(new_key(), pair.cn), "idevid", reenrol=True, pair=pair)
    assert (a.status, a.reason) == (403, "reenrol.no-certificate")


# --- proof-of-possession linking ---

@pytest.fixture(scope="module")
def required(server):
    """A label that requires the linking."""
    label = fresh_name("pop")
    server.label(label, ca="issuing", profile="idevid", accept=["code", "own"], pop="required")
    return label


def linked(server, label, value, tls="1.2", raw=None):
    """Enrol with a challengePassword: value is that, or a function of the connection."""
    with Client(server, tls=tls) as c:
        challenge = value(c) if callable(value) else value
        return c.request("POST", f"/.well-known/est/{label}/simpleenroll", b64(csr(new_key(), fresh_name(), challenge=challenge)),
                         {**FIELDS, **basic("", server.new_code())})


def test_tls_unique_links_a_request_to_its_tls_1_2_connection(server, required):
    """G1, G2"""
    a = linked(server, required, lambda c: c.tls_unique)
    assert a.status == 200, a
    assert any(t["rule"] == "pop" and t["outcome"] == "ok" for t in server.why(a)["trace"])


def test_a_request_without_the_linking_is_refused_where_it_is_required(server, required):
    """G1, G6: and the text says so"""
    a = linked(server, required, None)
    assert (a.status, a.reason) == (400, "pop.required") and "requires proof-of-possession linking" in a.text


def changed(value):
    return ("A" if value[0] != "A" else "B") + value[1:]


@pytest.mark.parametrize("spoil", [changed, lambda v: v[:-1], lambda v: v + "=", lambda v: v[:-4], lambda v: v + "AAAA", lambda v: v.swapcase(),
                                   lambda v: base64.b64decode(v).hex(), lambda v: "hello", lambda v: v + " "],
                         ids=["changed", "cut", "padded", "prefix", "longer", "case", "hex", "raw", "blank"])
@pytest.mark.parametrize("label", ["idevid", None], ids=["optional", "required"])
def test_a_wrong_linking_is_refused_also_where_none_is_required(server, required, label, spoil):
    """G1, G3: RFC 7030 3.5: verified whenever it is there, over its whole length"""
    a = linked(server, label or required, lambda c: spoil(c.tls_unique))
    assert (a.status, a.reason) == (400, "pop.mismatch"), a


def test_the_linking_of_another_connection_is_refused(server, required):
    """G1, B9"""
    with Client(server, tls="1.2") as other:
        a = linked(server, required, other.tls_unique)
    assert (a.status, a.reason) == (400, "pop.mismatch")


def test_tls_unique_is_no_linking_in_tls_1_3(server, required):
    """G3: RFC 9266 3"""
    a = linked(server, required, lambda c: c.tls_unique, tls="1.3")
    assert (a.status, a.reason) == (400, "pop.mismatch")


@pytest.mark.parametrize("type_of", ["printable", "utf8", "ia5", "t61"])
def test_the_linking_may_stand_in_any_of_the_string_types(server, required, type_of):
    """G4"""
    tag = {"utf8": 12, "printable": 19, "t61": 20, "ia5": 22}[type_of]
    with Client(server, tls="1.2") as c:
        der = with_challenge(tag, c.tls_unique)
        a = c.request("POST", f"/.well-known/est/{required}/simpleenroll", b64(der), {**FIELDS, **basic("", server.new_code())})
    assert a.status == 200, a


def with_challenge(tag, value):
    """A request whose challengePassword has this tag; the builder writes UTF8String alone, so it is put together here."""
    def tlv(t, body):
        n = len(body)
        return bytes([t]) + (bytes([n]) if n < 128 else bytes([0x82]) + n.to_bytes(2, "big") if n > 255 else bytes([0x81, n])) + body

    key = new_key()
    ((_, whole, _),) = der_items(csr(key, fresh_name(), challenge=value))
    (info, algorithm, _) = der_items(whole)
    version, subject, spki, _ = (x[2] for x in der_items(info[1]))
    attribute = tlv(0x30, bytes.fromhex("06092a864886f70d010907") + tlv(0x31, tlv(tag, value.encode())))
    info = tlv(0x30, version + subject + spki + tlv(0xa0, attribute))
    return tlv(0x30, info + algorithm[2] + tlv(3, b"\0" + key.sign(info, ec.ECDSA(hashes.SHA256()))))


def test_our_client_links_by_tls_exporter_in_tls_1_3(server, required, tmp_path):
    """G3"""
    out = tmp_path / "d.pem"
    server.cli("est", "enroll", "--url", f"https://localhost:{server.device_port}", "--label", required, "--trust", server.root_file,
               "--code", server.new_code(), "--subject", f"CN={fresh_name()}", "--pop", "always", "--out", str(out))
    cert = x509.load_pem_x509_certificate(out.read_bytes())
    record = server.op("audit.why", request_id=server.op("cert.show", serial=format(cert.serial_number, "032x"))["request_id"])
    rules = {t["rule"]: t for t in record["trace"]}
    assert rules["pop"]["outcome"] == "ok" and "TLSv1.3" in rules["connection"]["text"]


class SClient:
    """An interactive openssl s_client, to talk over a connection whose keying material it tells."""

    def __init__(self, server, *args, env=None):
        self.p = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{server.device_port}", "-servername", "localhost", "-nocommands",
                                   "-CAfile", server.root_file, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env)

    def until(self, pattern):
        got = b""
        for line in self.p.stdout:
            got += line
            m = re.search(pattern, got)
            if m:
                return m.group(1).decode()
        raise AssertionError(f"{pattern!r} never came: {got!r}")

    def enrol(self, server, label, challenge):
        auth = basic("", server.new_code())["Authorization"]
        body = b64(csr(new_key(), fresh_name(), challenge=challenge))
        self.p.stdin.write((f"POST /.well-known/est/{label}/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
                            f"Authorization: {auth}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body)
        self.p.stdin.flush()
        return self.until(rb"X-Request-Id: (\S+)\r\n(?s:.*)\r\n")

    def close(self):
        self.p.kill()
        self.p.communicate()


@pytest.fixture
def talk(server):
    opened = []

    def start(*args, env=None):
        opened.append(SClient(server, *args, env=env))
        return opened[-1]

    yield start
    for s in opened:
        s.close()


@pytest.mark.parametrize("good", [True, False], ids=["right", "wrong"])
def test_tls_exporter_as_openssl_computes_it_links_in_tls_1_3(server, required, talk, good):
    """G3: RFC 9266; without a context is the same as with an empty one in TLS 1.3 alone"""
    c = talk("-tls1_3", "-keymatexport", EXPORTER, "-keymatexportlen", "32")
    value = base64.b64encode(bytes.fromhex(c.until(rb"Keying material: ([0-9A-F]{64})"))).decode()
    request_id = c.enrol(server, required, value if good else changed(value))
    assert server.op("audit.why", request_id=request_id)["reason"] == ("ok" if good else "pop.mismatch")


def test_tls_1_2_without_extended_master_secret_has_no_linking(server, talk, tmp_path):
    """G5, B9: RFC 7627, RFC 9266"""
    conf = tmp_path / "openssl.cnf"
    conf.write_text("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nOptions = -ExtendedMasterSecret\n")
    c = talk("-tls1_2", env={**os.environ, "OPENSSL_CONF": str(conf)})
    assert c.until(rb"Extended master secret: (yes|no)") == "no"
    record = server.op("audit.why", request_id=c.enrol(server, "idevid", "AAAAAAAAAAAAAAAA"))
    assert record["reason"] == "pop.unavailable"
    assert any("without extended master secret" in t["text"] for t in record["trace"])


def test_a_label_that_requires_the_linking_asks_for_it_in_csrattrs(server, required):
    """G1, I3: RFC 7030 4.5.2"""
    a = server.get("csrattrs", required)
    assert (a.status, base64.b64decode(a.body).hex()) == (200, "300b06092a864886f70d010907")
