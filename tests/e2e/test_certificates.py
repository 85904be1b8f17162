# SPDX-License-Identifier: Apache-2.0
"""The certificates and lists that the CA makes, read by cryptography, openssl and GnuTLS (RFC 5280)."""
import datetime
import http.client
import ipaddress
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from estuary import PATIENCE, b64, basic, csr, der_items, fresh_name, name, new_key, wait_for

KEYS = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519"]
PROFILES = {"idevid": ["clientAuth"], "device": ["clientAuth"], "edge-ca": [], "tls-server": ["serverAuth"]}
EKU = {"clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH, "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH}


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def requested(server, profile, key=None, cn=None, **kw):
    """A certificate of a profile by the operator's hand."""
    result = server.op("cert.request", csr=csr_pem(key or new_key(), cn or fresh_name()), profile=profile, **kw)
    return x509.load_pem_x509_certificate(result["pem"].encode())


def csr_pem(key, cn, sans=None):
    return x509.load_der_x509_csr(csr(key, cn, sans)).public_bytes(serialization.Encoding.PEM).decode()


def ca_cert(server, ca):
    return x509.load_pem_x509_certificate(server.op("ca.show", name=ca)["pem"].encode())


@pytest.fixture(scope="module")
def issued(server):
    """A certificate of each profile of the box, and the CAs."""
    return {**{p: requested(server, p) for p in PROFILES}, "issuing": ca_cert(server, "issuing"), "root": ca_cert(server, "root")}


EVERY = [*PROFILES, "issuing", "root"]
CAS = ["edge-ca", "issuing", "root"]


def ext(cert, kind):
    return cert.extensions.get_extension_for_class(kind)


def tbs_fields(cert):
    """The fields of a TBSCertificate, [0] first."""
    ((_, tbs, _),) = der_items(cert.tbs_certificate_bytes)
    return der_items(tbs)


# --- the structure ---

@pytest.mark.parametrize("which", EVERY)
def test_a_certificate_is_v3_with_a_good_serial(issued, which):
    """M1: RFC 5280 4.1.2.2; 128 bits of random, positive, minimal"""
    cert = issued[which]
    assert cert.version == x509.Version.v3
    tag, serial, _ = tbs_fields(cert)[1]
    assert tag == 0x02 and 12 <= len(serial) <= 20 and serial[0] < 0x80 and (serial[0] != 0 or serial[1] >= 0x80)


@pytest.mark.parametrize("which", EVERY)
def test_the_signature_algorithm_is_said_twice_alike_without_parameters(issued, which):
    """M2: RFC 5758 3.2"""
    cert = issued[which]
    ((_, whole, _),) = der_items(cert.public_bytes(serialization.Encoding.DER))
    outer = der_items(whole)[1][2]
    assert tbs_fields(cert)[2][2] == outer == bytes.fromhex("300a06082a8648ce3d040302")


@pytest.mark.parametrize("which", EVERY)
def test_extensions_are_each_there_once_none_empty_none_unknown(issued, which):
    """M10"""
    exts = list(issued[which].extensions)
    assert len({e.oid for e in exts}) == len(exts)
    assert not [e for e in exts if isinstance(e.value, x509.UnrecognizedExtension)]
    for _, whole, _ in der_items(der_items(tbs_fields(issued[which])[-1][1])[0][1]):
        parts = der_items(whole)
        assert [p[0] for p in parts] in ([0x06, 0x04], [0x06, 0x01, 0x04]), "critical FALSE is not written"
        assert der_items(parts[-1][1])[0][1] or parts[0][1].hex() == "551d13", "only basicConstraints of a leaf may be empty"


@pytest.mark.parametrize("which", EVERY)
def test_issuer_and_subject_are_names_byte_for_byte(issued, which):
    """M4: RFC 5280 4.1.2.4"""
    cert = issued[which]
    issuer = issued["root" if which in ("issuing", "root") else "issuing"]
    assert tbs_fields(cert)[3][2] == tbs_fields(issuer)[5][2] and list(cert.subject)


@pytest.mark.parametrize("which", EVERY)
def test_key_identifiers_chain_also_in_the_root(issued, which):
    """M5, D4: RFC 5280 4.2.1.1; without AKI in the root OpenSSL loses its way during a rollover"""
    cert = issued[which]
    issuer = issued["root" if which in ("issuing", "root") else "issuing"]
    ski, aki = ext(cert, x509.SubjectKeyIdentifier), ext(cert, x509.AuthorityKeyIdentifier)
    assert not ski.critical and not aki.critical
    assert ski.value == x509.SubjectKeyIdentifier.from_public_key(cert.public_key())
    assert aki.value.key_identifier == ext(issuer, x509.SubjectKeyIdentifier).value.digest and aki.value.authority_cert_issuer is None


@pytest.mark.parametrize("which", EVERY)
def test_only_a_ca_is_a_ca(issued, which):
    """M6, S3: RFC 5280 4.2.1.9; cA FALSE is a DEFAULT and not written"""
    found = [e for e in issued[which].extensions if e.oid == x509.BasicConstraints.oid]
    usage = ext(issued[which], x509.KeyUsage)
    assert usage.critical and usage.value.key_cert_sign == (which in CAS)
    if which in CAS:
        (constraints,) = found
        assert constraints.critical and constraints.value.ca
        assert constraints.value.path_length == {"edge-ca": 0, "root": None}.get(which, constraints.value.path_length)
    else:
        assert all(not e.value.ca and e.value.path_length is None for e in found)
        assert usage.value.digital_signature and not usage.value.crl_sign
        assert b"\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\x00" not in issued[which].public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("kind", KEYS)
def test_every_kind_of_key_is_certified_for_signing_alone(server, kind):
    """M7, M11: the very SPKI of the request; digitalSignature alone, trailing zero bits trimmed"""
    key = new_key(kind)
    cert = requested(server, "device", key)
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert cert.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    assert bytes.fromhex("0603551d0f0101ff040403020780") in cert.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("which", PROFILES)
def test_extended_key_usage_is_the_profiles(issued, which):
    """M8: never anyExtendedKeyUsage"""
    found = [e.value for e in issued[which].extensions if e.oid == x509.ExtendedKeyUsage.oid]
    assert [list(e) for e in found] == ([[EKU[x] for x in PROFILES[which]]] if PROFILES[which] else [])


@pytest.mark.parametrize("which", ["idevid", "device", "edge-ca", "tls-server", "issuing"])
def test_a_certificate_points_to_list_and_issuer_by_plain_http(server, issued, which):
    """M12"""
    crl = ext(issued[which], x509.CRLDistributionPoints)
    aia = ext(issued[which], x509.AuthorityInformationAccess)
    (point,), (access,) = crl.value, aia.value
    issuer = "root" if which == "issuing" else "issuing"
    assert not crl.critical and not aia.critical
    assert [n.value for n in point.full_name] == [server.op("ca.show", name=issuer)["crl_url"]]
    assert access.access_location.value == server.op("ca.show", name=issuer)["aia_url"]
    assert point.full_name[0].value.startswith("http://") and access.access_location.value.startswith("http://")


def test_a_root_points_nowhere(issued):
    assert not {x509.CRLDistributionPoints.oid, x509.AuthorityInformationAccess.oid} & {e.oid for e in issued["root"].extensions}


# --- time ---

def test_a_certificate_begins_five_minutes_ago_and_lasts_as_its_profile_says(server):
    """M3"""
    before = datetime.datetime.utcnow().replace(microsecond=0)
    cert = requested(server, "device")
    after = datetime.datetime.utcnow()
    assert before <= cert.not_valid_before + datetime.timedelta(minutes=5) <= after
    assert cert.not_valid_after - cert.not_valid_before == datetime.timedelta(days=90, minutes=5)


def days_to(year, month, day):
    return (datetime.datetime(year, month, day) - datetime.datetime.utcnow()).days


@pytest.fixture(scope="module")
def lasting(server):
    """A CA and a profile that reach beyond 2050."""
    ca, profile = fresh_name("lasting"), fresh_name("lasting")
    server.op("ca.create", name=ca, kind="root", lifetime=f"{days_to(2062, 1, 1)}d")
    server.op("profile.create", name=profile, lifetime=f"{days_to(2060, 1, 1)}d", ku=["digitalSignature"], eku=["clientAuth"], subject="request")
    return ca, profile


@pytest.mark.parametrize("until, tag", [((2049, 12, 30), 0x17), ((2050, 1, 3), 0x18)])
def test_times_through_2049_are_utctime_and_later_ones_generalizedtime(server, lasting, tmp_path, until, tag):
    """M3, A14: RFC 5280 4.1.2.5"""
    ca, profile = lasting
    cert = requested(server, profile, ca=ca, lifetime=f"{days_to(*until) + 1}d")
    begin, end = der_items(tbs_fields(cert)[4][1])
    assert (begin[0], end[0]) == (0x17, tag) and len(end[1]) == (13 if tag == 0x17 else 15) and end[1].endswith(b"Z") and b"." not in end[1]
    (tmp_path / "c.pem").write_bytes(pem(cert))
    (tmp_path / "ca.pem").write_bytes(pem(ca_cert(server, ca)))
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "c.pem"], cwd=tmp_path, check=True, capture_output=True)
    if shutil.which("certtool"):
        subprocess.run(["certtool", "--verify", "--load-ca-certificate", "ca.pem", "--infile", "c.pem"], cwd=tmp_path, check=True, capture_output=True)


def test_a_ca_beyond_2050_says_so_too(server, lasting):
    """M3"""
    begin, end = der_items(tbs_fields(ca_cert(server, lasting[0]))[4][1])
    assert (begin[0], end[0]) == (0x17, 0x18) and end[1][:4] in (b"2061", b"2062")


def test_nothing_outlives_its_issuer(server):
    """M3, S4"""
    ca = fresh_name("brief")
    server.op("ca.create", name=ca, kind="subordinate", parent="root", lifetime="3d")
    for profile in PROFILES:
        assert requested(server, profile, ca=ca).not_valid_after <= ca_cert(server, ca).not_valid_after
    below = fresh_name("below")
    server.op("ca.create", name=below, kind="subordinate", parent="root", lifetime="30y")
    assert ca_cert(server, below).not_valid_after <= ca_cert(server, "root").not_valid_after


# --- serials ---

def test_serials_of_hundreds_are_distinct_and_random(server):
    """M1, A13, S5"""
    user = fresh_name("user")
    server.op("credential.add", kind="password", user=user, secret="many-devices", scope="any", active=True)
    fields, serials = {"Content-Type": "application/pkcs10", **basic(user, "many-devices")}, []
    with server.client() as c:
        for _ in range(300):
            serials.append(c.request("POST", "/.well-known/est/idevid/simpleenroll", b64(csr(new_key(), fresh_name())), fields).cert.serial_number)
    assert len(set(serials)) == 300 and all(0 < s < 1 << 127 for s in serials)
    for bit in range(126):
        ones = sum(s >> bit & 1 for s in serials)
        assert 90 < ones < 210, f"bit {bit} is set in {ones} of 300"  # seven standard deviations


# --- every kind of key ---

@pytest.fixture(scope="module")
def roots(server):
    """A root CA of a key type, made once, with a label under it."""
    made = {}

    def root(kind):
        if kind not in made:
            made[kind] = fresh_name("root")
            server.op("ca.create", name=made[kind], kind="root", key=kind)
            server.label(made[kind], ca=made[kind], profile="idevid", accept=["code", "own"])
        return made[kind]

    return root


def verify_signature(made, key):
    """Of a certificate or a CRL."""
    tbs, sig = getattr(made, "tbs_certificate_bytes", None) or made.tbs_certlist_bytes, made.signature
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(sig, tbs, padding.PKCS1v15(), made.signature_hash_algorithm)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(sig, tbs)
    else:
        key.verify(sig, tbs, ec.ECDSA(made.signature_hash_algorithm))


CA_KEYS = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "rsa-3072", "ed25519"]
PARAMETERS = {"rsa": "0500", "ec-": "", "ed2": ""}


@pytest.mark.parametrize("kind", CA_KEYS)
def test_a_ca_of_every_kind_of_key_issues(server, roots, tmp_path, kind):
    """M2: parameters absent for ECDSA and EdDSA, NULL for RSA (RFC 5758, 8410, 4055)"""
    root = ca_cert(server, roots(kind))
    pair = server.born(label=roots(kind))
    verify_signature(root, root.public_key())
    verify_signature(pair.cert, root.public_key())
    for cert in root, pair.cert:
        oid, *parameters = der_items(tbs_fields(cert)[2][1])
        assert b"".join(p[2] for p in parameters).hex() == PARAMETERS[kind[:3]]
    (tmp_path / "root.pem").write_bytes(pem(root))
    subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", tmp_path / "root.pem", pair.cert_file], check=True,
                   capture_output=True)


@pytest.mark.parametrize("kind", CA_KEYS)
def test_the_list_of_a_ca_of_every_kind_of_key_verifies(server, roots, kind):
    """N1"""
    root = ca_cert(server, roots(kind))
    crl = fetch_crl(server, roots(kind))
    verify_signature(crl, root.public_key())
    assert crl.issuer == root.subject


def test_a_command_makes_a_ca_under_another(server):
    ca = fresh_name("third")
    server.cli("ca", "create", ca, "--parent", "root", "--key", "ec-p384", "--lifetime", "1y", "--subject", f"CN={ca},O=Example")
    cert = ca_cert(server, ca)
    assert cert.issuer == ca_cert(server, "root").subject and cert.subject == name(ca, (NameOID.ORGANIZATION_NAME, "Example"))
    assert isinstance(cert.public_key().curve, ec.SECP384R1)
    assert requested(server, "device", ca=ca).issuer == cert.subject


# --- names ---

def test_alternative_names_are_written_by_their_types(server):
    """M9"""
    cn = fresh_name()
    sans = [x509.DNSName(f"{cn}.example"), x509.DNSName("*.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
            x509.IPAddress(ipaddress.ip_address("2001:db8::7"))]
    answer = server.op("cert.request", csr=csr_pem(new_key(), cn, sans), profile="tls-server")
    cert = x509.load_pem_x509_certificate(answer["pem"].encode())
    found = ext(cert, x509.SubjectAlternativeName)
    assert set(found.value) == set(sans) and not found.critical


@pytest.mark.parametrize("subject", [
    name("Zürich-Nord 7"), name("a" * 64), name("a+b=c,d;e<f>"), name("#hash"),
    name(None, (NameOID.SERIAL_NUMBER, "SN-1"), (NameOID.COMMON_NAME, "x")), name("x", (NameOID.COUNTRY_NAME, "CH"), (NameOID.ORGANIZATION_NAME, "Müller & Söhne")),
], ids=["utf8", "64", "special", "hash", "order", "country"])
def test_a_subject_is_written_as_it_was_asked_for(server, subject):
    """M4"""
    unique = fresh_name("n")
    subject = x509.Name([*subject, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unique)])
    a = server.op("cert.request", csr=csr_pem(new_key(), subject), profile="device")
    cert = x509.load_pem_x509_certificate(a["pem"].encode())
    assert cert.subject == subject
    for attribute in cert.subject:
        assert attribute._type.name in (("PrintableString",) if attribute.oid in (NameOID.COUNTRY_NAME, NameOID.SERIAL_NUMBER) else ("UTF8String", "PrintableString"))


# --- second and third opinions ---

@pytest.mark.parametrize("which, purpose", [("idevid", "sslclient"), ("device", "sslclient"), ("tls-server", "sslserver"), ("edge-ca", "any")])
def test_openssl_verifies_strictly(server, issued, tmp_path, which, purpose):
    """M; tests by another parser"""
    for n in which, "issuing", "root":
        (tmp_path / f"{n}.pem").write_bytes(pem(issued[n]))
    subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "root.pem", "-untrusted", "issuing.pem", f"{which}.pem"],
                   cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize("which, wrong", [("idevid", "sslserver"), ("tls-server", "sslclient")])
def test_openssl_refuses_them_for_another_purpose(issued, tmp_path, which, wrong):
    for n in which, "issuing", "root":
        (tmp_path / f"{n}.pem").write_bytes(pem(issued[n]))
    r = subprocess.run(["openssl", "verify", "-purpose", wrong, "-CAfile", "root.pem", "-untrusted", "issuing.pem", f"{which}.pem"], cwd=tmp_path, capture_output=True)
    assert r.returncode != 0


@pytest.mark.parametrize("which", EVERY)
def test_openssl_and_gnutls_read_them_without_complaint(issued, which):
    tools = [["openssl", "x509", "-noout", "-text"], ["certtool", "-i"]]
    for tool in tools:
        if shutil.which(tool[0]) is None:
            pytest.skip(f"{tool[0]} is not installed")
        text = subprocess.run(tool, input=pem(issued[which]), capture_output=True, check=True).stdout.decode()
        assert "error" not in text.lower() and "unknown" not in text.lower() and "<unsupported>" not in text.lower(), text


def test_a_certificate_of_an_edge_ca_cannot_make_another_ca(server, tmp_path):
    """M6: pathLenConstraint 0"""
    key, cn = new_key(), fresh_name()
    edge = requested(server, "edge-ca", key, cn)

    def under(cert, signer, subject, public, ca):
        now = datetime.datetime.utcnow()
        b = x509.CertificateBuilder(cert.subject, name(subject), public, x509.random_serial_number(), now, now + datetime.timedelta(days=1))
        b = b.add_extension(x509.BasicConstraints(ca, None), True).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        return b.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False).sign(signer, hashes.SHA256())

    k2, k3 = new_key(), new_key()
    module, second = under(edge, key, "module", k2.public_key(), False), under(edge, key, "second", k2.public_key(), True)
    third = under(second, k2, "third", k3.public_key(), False)
    (tmp_path / "root.pem").write_bytes(pem(ca_cert(server, "root")))
    (tmp_path / "mid.pem").write_bytes(b"".join(map(pem, (ca_cert(server, "issuing"), edge, second))))
    for n, cert, good in ("module", module, True), ("third", third, False):
        (tmp_path / f"{n}.pem").write_bytes(pem(cert))
        r = subprocess.run(["openssl", "verify", "-CAfile", "root.pem", "-untrusted", "mid.pem", f"{n}.pem"], cwd=tmp_path, capture_output=True)
        assert (r.returncode == 0) == good, r.stderr


# --- revocation lists ---

def fetch_crl(server, ca):
    h = http.client.HTTPConnection("127.0.0.1", server.public_port, timeout=PATIENCE)
    h.request("GET", "/crl/" + server.op("ca.show", name=ca)["crl_url"].rsplit("/", 1)[1])
    r = h.getresponse()
    der = r.read()
    h.close()
    assert r.status == 200
    return x509.load_der_x509_crl(der)


def test_a_list_is_v2_with_number_and_key_identifier(server):
    """N1: RFC 5280 5.1, 5.2"""
    crl = fetch_crl(server, "root")
    kinds = {e.oid: e for e in crl.extensions}
    assert set(kinds) == {x509.CRLNumber.oid, x509.AuthorityKeyIdentifier.oid} and not any(e.critical for e in kinds.values())
    assert crl.next_update > datetime.datetime.utcnow() > crl.last_update
    assert kinds[x509.AuthorityKeyIdentifier.oid].value.key_identifier == ext(ca_cert(server, "root"), x509.SubjectKeyIdentifier).value.digest


def test_an_empty_list_has_no_list_of_the_revoked(server):
    """N1: RFC 5280 5.1.2.6"""
    ca = fresh_name("quiet")
    server.op("ca.create", name=ca, kind="root")
    crl = fetch_crl(server, ca)
    ((_, tbs, _),) = der_items(crl.tbs_certlist_bytes)
    assert [f[0] for f in der_items(tbs)] == [0x02, 0x30, 0x30, 0x17, 0x17, 0xa0] and len(crl) == 0


@pytest.mark.parametrize("reason, flag", [("unspecified", None), ("keyCompromise", x509.ReasonFlags.key_compromise), ("superseded", x509.ReasonFlags.superseded)])
def test_a_revoked_certificate_is_listed_with_its_reason(server, reason, flag):
    """N1: reason 0 is not written (RFC 5280 5.3.1)"""
    ca = fresh_name("busy")
    server.op("ca.create", name=ca, kind="root")
    cert = requested(server, "device", ca=ca)
    number = ext(fetch_crl(server, ca), x509.CRLNumber).value.crl_number
    server.op("cert.revoke", serial=format(cert.serial_number, "032x"), reason=reason)
    crl = wait_for("the list to have it", lambda: (lambda c: c if len(c) else None)(fetch_crl(server, ca)))
    entry = crl.get_revoked_certificate_by_serial_number(cert.serial_number)
    assert [e.value.reason for e in entry.extensions] == ([flag] if flag else [])
    assert ext(crl, x509.CRLNumber).value.crl_number > number


def test_openssl_finds_a_revoked_certificate_in_the_list(server, tmp_path):
    """N1"""
    ca = fresh_name("checked")
    server.op("ca.create", name=ca, kind="root")
    good, bad = requested(server, "device", ca=ca), requested(server, "device", ca=ca)
    server.op("cert.revoke", serial=format(bad.serial_number, "032x"))
    crl = wait_for("the list to have it", lambda: (lambda c: c if len(c) else None)(fetch_crl(server, ca)))
    (tmp_path / "ca.pem").write_bytes(pem(ca_cert(server, ca)))
    (tmp_path / "crl.pem").write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    for cert, status in (good, 0), (bad, 2):
        (tmp_path / "c.pem").write_bytes(pem(cert))
        r = subprocess.run(["openssl", "verify", "-x509_strict", "-crl_check_all", "-CAfile", "ca.pem", "-CRLfile", "crl.pem", "c.pem"], cwd=tmp_path, capture_output=True)
        assert r.returncode == status, r.stderr
