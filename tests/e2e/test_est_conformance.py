# SPDX-License-Identifier: Apache-2.0
"""What RFC 7030, 8951 and 9908 say of an EST server's paths, bodies and answers."""
import base64
import datetime
import gzip
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from estuary import b64, basic, csr, der_items, der_of, fresh_address, fresh_name, name, new_key

EST = "/.well-known/est"
FIELDS = {"Content-Type": "application/pkcs10"}


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def status_of(server, path, method="GET", **kw):
    with server.client() as c:
        return c.request(method, path, **kw)


def enrol_body(server, body, **headers):
    """POST a body as it is, by a new code."""
    return server.enrol(b"", "idevid", body=body, headers={**basic("", server.new_code()), **headers})


# --- paths and labels ---

@pytest.mark.parametrize("path", [f"{EST}/cacerts", f"{EST}/idevid/cacerts", f"{EST}/ldevid/cacerts", f"{EST}/edge-ca/cacerts"])
def test_operations_stand_under_well_known_with_and_without_a_label(server, path):
    """B1, B2: RFC 7030 3.2.2"""
    assert status_of(server, path).status == 200


def test_without_a_label_the_default_label_answers(server):
    """B2, B6"""
    key, cn = new_key(), fresh_name()
    a = server.enrol(csr(key, cn), headers=basic("", server.new_code()))
    assert server.op("cert.show", serial=format(a.cert.serial_number, "032x"))["label"] == "ldevid"


@pytest.mark.parametrize("op", ["cacerts", "csrattrs", "simpleenroll", "simplereenroll", "fullcmc", "serverkeygen"])
def test_a_label_cannot_have_the_name_of_an_operation(server, op):
    """B2: RFC 7030 3.2.2"""
    answer = server.op("label.create", name=op, ca="issuing", profile="device", accept=["own"], _check=False)
    assert not answer["ok"] and answer["error"]["code"] in ("usage", "policy", "format")


@pytest.mark.parametrize("path", [
    "/none/cacerts", "/idevid/ldevid/cacerts", "/cacerts/", "/cacerts/x", "//cacerts", "/idevid//cacerts", "", "/", "/idevid", "/idevid/",
    "/nothing", "/CACERTS", "/Cacerts", "/IDEVID/cacerts", "/cacerts/cacerts", "/cacerts;a=b", "/cacerts%20", "/cacerts.", "/fullcmc", "/serverkeygen",
    "/" + "a" * 64 + "/cacerts", "/" + "a" * 65 + "/cacerts", "/*/cacerts", "/%2a/cacerts", "/idevid%3f/cacerts", "/caf%c3%a9/cacerts",
])
def test_any_other_path_is_unknown(server, path):
    """B3, B4, W4"""
    assert status_of(server, EST + path).status == 404


@pytest.mark.parametrize("path", ["/.well-known/EST/cacerts", "/.WELL-KNOWN/est/cacerts", "/est/cacerts", "/.well-known//est/cacerts", "/cacerts", "/"])
def test_the_prefix_is_exact(server, path):
    """B1, B4"""
    assert status_of(server, path).status == 404


@pytest.mark.parametrize("path", [
    "/idevid/../cacerts", "/../est/cacerts", "/./cacerts", "/idevid/%2e%2e/cacerts", "/%2e/cacerts", "/idevid%2fcacerts", "/%2563acerts", "/idevid%00/cacerts",
    "/idevid%5ccacerts", "/idevid\\cacerts", "/%c0%ae%c0%ae/cacerts", "/%ff/cacerts", "/idevid%0d%0aX:y/cacerts", "/%6", "/%zz/cacerts", "/%1b[31m/cacerts",
])
def test_a_path_that_could_mean_another_is_refused(server, path):
    """B4, W4, W8"""
    a = status_of(server, EST + path)
    assert a.status in (400, 404) and "X" not in a.headers


@pytest.mark.parametrize("path", ["/%63acerts", "/%69devid/cacerts", "/cacerts?x=y", "/cacerts?", "/cacerts?a=/../b"])
def test_a_path_is_compared_decoded_and_without_its_query(server, path):
    """B4: RFC 3986 6.2.2"""
    assert status_of(server, EST + path).status == 200


def test_a_disabled_label_is_not_there(server):
    """B3"""
    label = fresh_name("off")
    server.label(label, ca="issuing", profile="device", accept=["code"])
    assert server.get("cacerts", label).status == 200
    server.label(label, enabled=False)
    assert server.get("cacerts", label).status == 404
    assert server.enrol(csr(new_key(), fresh_name()), label, headers=basic("", server.new_code())).status == 404


def test_a_label_selects_ca_and_cacerts_together(server):
    """B6, D3"""
    root, label = fresh_name("root"), fresh_name("label")
    server.op("ca.create", name=root, kind="root")
    server.label(label, ca=root, profile="device", accept=["code"])
    bag = server.get("cacerts", label).certs
    a = server.enrol(csr(new_key(), fresh_name()), label, headers=basic("", server.new_code()))
    assert [c.subject for c in bag] == [a.cert.issuer] == [name(root)]


# --- answers ---

def test_the_content_types_are_exact(server):
    """C5: RFC 7030 4.1.3, 4.2.3; libest compares octets"""
    a = server.enrol(csr(new_key(), fresh_name()), headers=basic("", server.new_code()))
    assert server.get("cacerts").headers["Content-Type"] == "application/pkcs7-mime"
    assert a.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"


def is_wrapped(body, width):
    lines = body.split(b"\r\n")
    return lines[-1] == b"" and all(len(x) == width for x in lines[:-2]) and 0 < len(lines[-2]) <= width and b"\n" not in b"".join(lines)


def test_bodies_are_base64_in_lines_of_64_with_crlf(server):
    """C2, C4: RFC 8951 3"""
    a = server.enrol(csr(new_key(), fresh_name()), headers=basic("", server.new_code()))
    assert is_wrapped(server.get("cacerts").body, 64) and is_wrapped(a.body, 64)


@pytest.mark.parametrize("wrap", [0, 76])
def test_a_label_wraps_as_its_clients_need_it(server, wrap):
    """C4"""
    label = fresh_name("wrap")
    server.label(label, ca="issuing", profile="idevid", accept=["code"], wrap=wrap)
    enrolled = server.enrol(csr(new_key(), fresh_name()), label, headers=basic("", server.new_code()))
    for a in server.get("cacerts", label), enrolled:
        assert is_wrapped(a.body, wrap) if wrap else b"\r" not in a.body and b"\n" not in a.body
        assert a.certs


def test_the_transfer_encoding_field_is_sent_unless_the_label_says_no(server):
    """C2: RFC 8951 3"""
    label = fresh_name("cte")
    server.label(label, ca="issuing", profile="idevid", accept=["code"], cte=False)
    assert server.get("cacerts").headers["Content-Transfer-Encoding"] == "base64"
    assert server.get("cacerts", label).headers["Content-Transfer-Encoding"] is None
    a = server.enrol(csr(new_key(), fresh_name()), label, headers=basic("", server.new_code()))
    assert a.headers["Content-Transfer-Encoding"] is None


# --- requests: types and encodings ---

@pytest.mark.parametrize("field", ["application/pkcs10", "APPLICATION/PKCS10", "application/pkcs10; charset=utf-8", 'application/pkcs10;name="a;b"',
                                   "application/pkcs10 ", "application/x-pem-file", None])
def test_a_type_that_means_a_request_is_taken(server, field):
    """C5, E1"""
    a = server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", server.new_code()), content_type=field)
    assert a.status == 200, a


@pytest.mark.parametrize("field", ["application/pkcs10foo", "application/pkcs1", "application/pkcs7-mime", "text/plain", "application/x-www-form-urlencoded",
                                   "multipart/form-data", "application/json", "pkcs10", "application/", "application/pkcs10/x", "application /pkcs10",
                                   "text/plain; x=application/pkcs10", "application/pkcs10,text/plain", "*/*"])
def test_another_type_is_not_supported(server, field):
    """E1, W7: RFC 9110 15.5.16"""
    a = server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", server.new_code()), content_type=field)
    assert (a.status, a.reason) == (415, "request.type"), a


@pytest.mark.parametrize("value", ["binary", "8bit", "7bit", "quoted-printable", "base64", "x", ""])
def test_the_transfer_encoding_field_of_a_request_is_ignored(server, value):
    """C2: RFC 8951 3"""
    assert enrol_body(server, b64(csr(new_key(), fresh_name())), **{"Content-Transfer-Encoding": value}).status == 200


def pem(der, label="CERTIFICATE REQUEST", eol=b"\n"):
    return b"-----BEGIN %s-----" % label.encode() + eol + b64(der, 64, eol) + b"-----END %s-----" % label.encode() + eol


ENCODINGS = {
    "one line": lambda d: b64(d, 0),
    "lines of 1": lambda d: b64(d, 1, b"\n"),
    "lines of 64, LF": lambda d: b64(d, 64, b"\n"),
    "lines of 76, CRLF": lambda d: b64(d, 76),
    "lines of 64, CR": lambda d: b64(d, 64, b"\r"),
    "blanks around": lambda d: b" \t\r\n" + b64(d) + b"\r\n \t",
    "blanks within": lambda d: b" \t".join(b64(d, 0)[i:i + 3] for i in range(0, len(b64(d, 0)), 3)),
    "no last newline": lambda d: b64(d).rstrip(),
    "PEM": pem,
    "PEM with CRLF": lambda d: pem(d, eol=b"\r\n"),
    "PEM of older tools": lambda d: pem(d, "NEW CERTIFICATE REQUEST"),
    "DER": lambda d: d,
}


@pytest.mark.parametrize("how", ENCODINGS)
def test_a_request_is_read_however_it_is_wrapped(server, how):
    """C2, C3: RFC 8951 3.1"""
    key = new_key()
    a = enrol_body(server, ENCODINGS[how](csr(key, fresh_name())))
    assert a.status == 200 and spki(a.cert.public_key()) == spki(key.public_key()), a


def put(body, at, octets):
    return body[:at] + octets + body[at + len(octets):]


JUNK = {
    "NUL": lambda b: put(b, 70, b"\0"),
    "minus": lambda b: put(b, 70, b"-"),
    "underline": lambda b: put(b, 70, b"_"),
    "asterisk": lambda b: put(b, 70, b"*"),
    "dot": lambda b: put(b, 70, b"."),
    "not ASCII": lambda b: put(b, 70, "\u0410".encode()),
    "vertical tab": lambda b: b[:70] + b"\x0b" + b[70:],
    "form feed": lambda b: b[:70] + b"\x0c" + b[70:],
    "padding within": lambda b: put(b, 70, b"="),
    "one letter over": lambda b: b.rstrip(b"=") + b"A" * (1 + b.count(b"=")),
    "padding too much": lambda b: b + b"=",
    "data after the padding": lambda b: b.rstrip(b"=") + b"==AAAA",
    "a byte order mark": lambda b: b"\xef\xbb\xbf" + b,
    "UTF-16": lambda b: b.decode().encode("utf-16"),
    "quotes": lambda b: b'"' + b + b'"',
    "JSON": lambda b: b'{"csr":"' + b + b'"}',
    "a data URI": lambda b: b"data:application/pkcs10;base64," + b,
    "percent": lambda b: b.replace(b"+", b"%2B") + b"%3D",
    "hex": lambda b: base64.b64decode(b).hex().encode(),
    "gzip": lambda b: gzip.compress(b),
    "twice base64": lambda b: base64.b64encode(b),
    "twice the same": lambda b: b + b,
    "cut": lambda b: b[:40],
    "PEM of a certificate": lambda b: pem(base64.b64decode(b), "CERTIFICATE"),
    "PEM of a key": lambda b: pem(base64.b64decode(b), "PRIVATE KEY"),
    "PEM without an end": lambda b: pem(base64.b64decode(b))[:-30],
    "PEM with text before": lambda b: b"Certificate Request:\n" + pem(base64.b64decode(b)),
    "PEM twice": lambda b: 2 * pem(base64.b64decode(b)),
    "nothing but blanks": lambda b: b" \r\n\t",
}


@pytest.mark.parametrize("how", JUNK)
def test_what_is_not_base64_of_one_request_is_refused(server, how):
    """C3, W7"""
    cn = fresh_name("no-equals-")[:30]
    body = b64(csr(new_key(), cn), 0)
    a = enrol_body(server, JUNK[how](body))
    assert a.status == 400 and a.reason in ("request.encoding", "request.malformed"), a
    assert server.why(a)["outcome"] == "refused" and server.op("cert.list", device=cn)["items"] == []


# --- cacerts ---

def test_cacerts_needs_nobody_and_has_the_chain_up_to_the_root(server):
    """D1, D3, D5: RFC 7030 4.1.2, 4.1.3"""
    bag = server.get("cacerts").certs
    root = x509.load_pem_x509_certificate(open(server.root_file, "rb").read())
    assert root in bag and len(bag) == len(set(bag)) == 2
    issued = server.born().cert
    (issuer,) = [c for c in bag if c.subject == issued.issuer]
    assert issuer.issuer == root.subject


def certs_only(der, n):
    """Check ContentInfo { id-signedData, SignedData { 1, {}, { id-data }, [0] n certificates, {} } } and give the certificates' DER."""
    ((tag, info, _),) = der_items(der)
    oid, explicit = der_items(info)
    ((_, signed, _),) = der_items(explicit[1])
    fields = der_items(signed)
    assert (tag, oid[2].hex(), explicit[0]) == (0x30, "06092a864886f70d010702", 0xa0)
    assert [f[0] for f in fields] == [0x02, 0x31, 0x30, 0xa0, 0x31], "no crls, nothing more"
    assert [f[1].hex() for f in fields[:3]] == ["01", "", "06092a864886f70d010701"], "version 1, no digests, no eContent"
    assert fields[4][1] == b"", "no signer"
    certs = [c[2] for c in der_items(fields[3][1])]
    assert len(certs) == n and certs == sorted(certs), "DER: a SET OF in ascending order"
    return certs


def test_cacerts_is_certs_only_in_strict_der(server):
    """D2: RFC 5272 4.1, RFC 5652 5.1"""
    certs_only(der_of(server.get("cacerts").body), 2)


def test_an_enrolment_answers_the_one_certificate_in_strict_der(server):
    """E4, D2: RFC 7030 4.2.3"""
    a = server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", server.new_code()))
    (cert,) = certs_only(der_of(a.body), 1)
    assert x509.load_der_x509_certificate(cert) == a.cert


def test_a_label_can_add_the_chain_for_older_clients(server):
    """E4, by the label's choice: leaf first for clients that take the first"""
    label = fresh_name("chain")
    server.label(label, ca="issuing", profile="idevid", accept=["code"], chain=True)
    key = new_key()
    certs = server.enrol(csr(key, fresh_name()), label, headers=basic("", server.new_code())).certs
    assert len(certs) >= 2 and spki(certs[0].public_key()) == spki(key.public_key()) and certs[1].subject == certs[0].issuer


def test_openssl_reads_cacerts(server, tmp_path):
    """D1"""
    r = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], input=der_of(server.get("cacerts").body), capture_output=True, check=True)
    assert r.stdout.count(b"BEGIN CERTIFICATE") == 2


# --- enrolment ---

def test_the_certificate_is_for_the_key_of_the_request(server):
    """E5"""
    for kind in "ec-p256", "ec-p384", "ec-p521", "ed25519":
        key = new_key(kind)
        assert spki(server.born(key=key).cert.public_key()) == spki(key.public_key())


def test_a_stranger_is_challenged_before_the_request_is_judged(server):
    """A11, E3: RFC 7030 3.2.3; curl --digest first sends an empty body"""
    for body in b"", b"junk", b64(csr(new_key(), fresh_name())):
        a = server.enrol(b"", "idevid", body=body)
        assert (a.status, a.reason) == (401, "auth.missing") and a.headers["WWW-Authenticate"] == 'Basic realm="estuary"'


def test_a_wrong_password_is_challenged_again(server):
    """A11"""
    a = server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("nobody", "wrong"), source=fresh_address())
    assert a.status == 401 and a.headers["WWW-Authenticate"].startswith("Basic ")


def test_where_only_certificates_are_taken_no_challenge_is_sent(server):
    """A11: 403, for no header could help"""
    a = server.enrol(csr(new_key(), fresh_name()), "edge-ca")
    assert a.status == 403 and a.headers["WWW-Authenticate"] is None


def test_an_empty_user_name_is_taken(server):
    """A11: RFC 7030 3.2.3"""
    assert enrol_body(server, b64(csr(new_key(), fresh_name()))).status == 200


def flipped(der):
    return der[:-1] + bytes([der[-1] ^ 1])


def other_key(der):
    """The same request around another key, the signature kept."""
    other = csr(new_key(), "x")
    ((_, request, _),) = der_items(der)
    ((_, info, _), _, _) = der_items(request)
    mine = der_items(info)[2][2]
    ((_, request, _),) = der_items(other)
    ((_, info, _), _, _) = der_items(request)
    return der.replace(mine, der_items(info)[2][2])


@pytest.mark.parametrize("spoil", [flipped, other_key, lambda d: d + b"\0", lambda d: d[:-1]], ids=["signature", "key", "longer", "shorter"])
@pytest.mark.parametrize("op", ["simpleenroll", "simplereenroll"])
def test_a_request_without_proof_of_its_key_is_refused(server, op, spoil):
    """E2: RFC 7030 4.2.1"""
    pair = server.born()
    a = server.enrol(spoil(csr(new_key(), pair.cn)), "idevid", pair=pair, reenrol=op == "simplereenroll")
    assert a.status == 400 and a.reason in ("request.signature", "request.malformed", "request.encoding"), a
    assert len(server.op("cert.list", device=pair.cn)["items"]) == 1


def test_what_a_request_asks_beyond_its_names_is_never_copied(server):
    """E6, A2, A3: RFC 5272 3.1"""
    wanted = [(x509.BasicConstraints(True, 3), True),
              (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True),
              (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
                                      x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")]), False),
              (x509.NameConstraints([x509.DNSName("example")], None), True)]
    for ext in wanted:
        a = server.enrol(csr(new_key(), fresh_name(), extensions=[ext]), "idevid", headers=basic("", server.new_code()))
        if a.status != 200:
            assert a.status in (400, 403) and server.why(a)["outcome"] == "refused"
            continue
        ours = {e.oid: e.value for e in a.cert.extensions}
        assert ours.get(x509.BasicConstraints.oid) in (None, x509.BasicConstraints(False, None))
        assert list(ours[x509.ExtendedKeyUsage.oid]) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert not ours[x509.KeyUsage.oid].key_cert_sign and x509.NameConstraints.oid not in ours


def test_a_request_without_any_name_is_refused(server):
    """E9"""
    a = server.enrol(csr(new_key(), x509.Name([])), "idevid", headers=basic("", server.new_code()))
    assert (a.status, a.reason) == (403, "name.missing")


def test_a_code_in_the_challenge_password_is_no_credential(server):
    """E10: RFC 7030 3.5: it is the channel binding, and a wrong one"""
    code = server.new_code()
    assert server.enrol(csr(new_key(), fresh_name(), challenge=code), "idevid").status == 401
    a = server.enrol(csr(new_key(), fresh_name(), challenge=code), "idevid", headers=basic("", server.new_code()))
    assert (a.status, a.reason) == (400, "pop.mismatch")


def test_the_same_request_again_gets_the_same_certificate(server):
    """E8"""
    der, code = csr(new_key(), fresh_name()), basic("", server.new_code())
    first, second = (server.enrol(der, "idevid", headers=code) for _ in range(2))
    assert first.cert == second.cert


# --- re-enrolment ---

def test_renewal_keeps_names_with_the_same_key_or_another(server):
    """F1, F2: RFC 7030 4.2.2"""
    for again in True, False:
        pair = server.born()
        key = pair.key if again else new_key()
        a = server.enrol(csr(key, pair.cn), "idevid", reenrol=True, pair=pair)
        assert a.status == 200 and a.cert.subject == pair.cert.subject and spki(a.cert.public_key()) == spki(key.public_key())
        assert a.cert.subject.public_bytes() == pair.cert.subject.public_bytes()


@pytest.mark.parametrize("op", ["simpleenroll", "simplereenroll"])
@pytest.mark.parametrize("change", [
    lambda cn: (name(cn + "x"), None),
    lambda cn: (name(cn[:-1]), None),
    lambda cn: (name(cn, (NameOID.ORGANIZATION_NAME, "o")), None),
    lambda cn: (name(cn + ",OU=x"), None),
    lambda cn: (name(None, (NameOID.ORGANIZATION_NAME, cn)), None),
    lambda cn: (x509.Name([]), None),
    lambda cn: (name(cn), [x509.DNSName("other.example")]),
    lambda cn: (name(cn), [x509.UniformResourceIdentifier("urn:x:y")]),
    lambda cn: (name(cn), [x509.RFC822Name("a@b.example")]),
], ids=["longer", "shorter", "more", "printed-alike", "type", "none", "dns", "uri", "email"])
def test_renewal_with_other_names_is_refused(server, op, change):
    """F1, F3"""
    pair = server.born()
    subject, sans = change(pair.cn)
    a = server.enrol(csr(new_key(), subject, sans), "idevid", reenrol=op == "simplereenroll", pair=pair)
    assert a.status == 403 and a.reason in ("name.other-device", "name.subject-differs", "name.san-differs"), a


def test_renewal_without_a_certificate_is_refused_even_with_a_code(server):
    """F6: RFC 7030 4.2.2"""
    der = csr(new_key(), fresh_name())
    assert server.enrol(der, "idevid", reenrol=True).status == 401
    a = server.enrol(der, "idevid", reenrol=True, headers=basic("", server.new_code()))
    assert (a.status, a.reason) == (403, "reenrol.no-certificate")


def test_a_revoked_certificate_renews_nothing_on_a_live_connection_either(server):
    """F5, N5"""
    pair = server.born()
    with server.client(pair=pair) as c:
        assert c.request("GET", "/health/certificate").status == 200
        server.op("cert.revoke", serial=pair.serial)
        a = c.request("POST", f"{EST}/idevid/simplereenroll", b64(csr(new_key(), pair.cn)), FIELDS)
    assert (a.status, a.reason) == (403, "certificate.revoked")


def test_an_issued_certificate_ends_no_later_than_its_issuer(server):
    """F7, M3, S4"""
    ca, label = fresh_name("short"), fresh_name("short")
    server.op("ca.create", name=ca, kind="subordinate", parent="root", lifetime="2d")
    server.label(label, ca=ca, profile="idevid", accept=["code", "own"])
    pair = server.born(label=label)
    assert int(pair.cert.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()) == server.op("ca.show", name=ca)["not_after"]


# --- csrattrs ---

def test_a_label_without_wishes_has_no_csrattrs(server):
    """I1: RFC 7030 4.5.2"""
    a = server.get("csrattrs")
    assert (a.status, a.body, a.headers["Content-Type"]) == (204, b"", None)
    with server.client() as c:
        assert [c.request("GET", f"{EST}/csrattrs").status for _ in range(3)] == [204] * 3


@pytest.fixture(scope="module")
def wishful(server):
    """Labels with something to say in csrattrs."""
    labels = [fresh_name("wish") for _ in range(2)]
    profile = fresh_name("p384")
    server.op("profile.create", name=profile, keys=["ec-p384"], lifetime="1d", eku=["clientAuth"], ku=["digitalSignature"], subject="request")
    server.label(labels[0], ca="issuing", profile="idevid", accept=["code"], pop="required")
    server.label(labels[1], ca="issuing", profile=profile, accept=["code"], pop="required")
    return labels


def test_csrattrs_are_der_of_the_types_that_rfc_9908_wants(server, wishful):
    """I1 to I6: RFC 8951 4, RFC 9908 3.2"""
    for label in wishful:
        a = server.get("csrattrs", label)
        assert (a.status, a.headers["Content-Type"]) == (200, "application/csrattrs") and is_wrapped(a.body, 64)
        ((tag, elements, _),) = der_items(der_of(a.body))
        assert tag == 0x30
        types = []
        for tag, contents, whole in der_items(elements):
            assert tag in (0x06, 0x30)
            if tag == 0x30:  # Attribute: an OID, and a SET that is not empty
                oid, values = der_items(contents)
                assert (oid[0], values[0]) == (0x06, 0x31) and der_items(values[1])
                types.append(oid[2].hex())
                if types[-1] == "06092a864886f70d01090e":  # extensionRequest: exactly one Extensions
                    ((t, extensions, _),) = der_items(values[1])
                    assert t == 0x30 and all(e[0] == 0x30 for e in der_items(extensions))
            else:
                types.append(whole.hex())
        assert len(types) == len(set(types)) and "06092a864886f70d010907" in types


def test_csrattrs_tell_the_key_type_when_there_is_only_one(server, wishful):
    """I3, I5"""
    assert bytes.fromhex("301206072a8648ce3d0201310706052b81040022").hex() in der_of(server.get("csrattrs", wishful[1]).body).hex()


def test_an_optional_operation_that_is_not_offered_is_not_found(server):
    """B3: RFC 7030 4.3.2, 4.4; H, J"""
    for op in "fullcmc", "serverkeygen":
        assert status_of(server, f"{EST}/{op}", "POST", body=b64(csr(new_key(), "x")), headers=FIELDS).status == 404


def test_health_certificate_shows_what_the_server_saw(server):
    pair = server.born()
    with server.client(pair=pair) as c:
        a = c.request("GET", "/health/certificate")
    assert a.status == 200 and x509.load_pem_x509_certificate(a.body) == pair.cert
