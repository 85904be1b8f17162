# SPDX-License-Identifier: Apache-2.0
"""Clients that are not ours: strongSwan, curl, openssl and GnuTLS, with the command lines that people's tutorials give."""
import base64
import http.client
import pathlib
import shutil
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from estuary import PATIENCE, Server, csr, der_of, fresh_name, key_pem, new_key, wait_for


def need(tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def shell(line, cwd, check=True, **env):
    """Run a line as a person types it, pipefail on; env are its variables."""
    r = subprocess.run(["bash", "-c", "set -o pipefail; " + line], cwd=cwd, env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), **env}, capture_output=True,
                       stdin=subprocess.DEVNULL, timeout=PATIENCE)
    assert not check or r.returncode == 0, (line, r.stdout, r.stderr)
    return r


def load(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def base(server, label=None):
    return f"https://localhost:{server.device_port}/.well-known/est" + (f"/{label}" if label else "")


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- strongSwan pki: its own TLS stack; 5.9.8 has no --label and cannot read wrapped base64 ---

@pytest.fixture(scope="module")
def unwrapped(tmp_path_factory):
    """A server whose default label answers in one line."""
    need("pki")
    s = Server(tmp_path_factory.mktemp("unwrapped") / "d")
    s.label("ldevid", wrap=0)
    yield s
    s.stop()


def pki(server, *args, cwd):
    r = subprocess.run(["pki", *args, "--url", f"https://localhost:{server.device_port}", "--cacert", server.root_file], cwd=cwd, capture_output=True,
                       timeout=PATIENCE)
    if b"failed to load - openssl_plugin_create" in r.stderr:
        pytest.skip("strongSwan's openssl plugin (libstrongswan-standard-plugins) is not installed: no elliptic curves")
    assert r.returncode == 0, r.stderr.decode()
    return r


def test_strongswan_fetches_the_ca_certificates(unwrapped, tmp_path):
    """C3, D1; T"""
    pki(unwrapped, "--estca", "--caout", "ca.pem", "--outform", "pem", cwd=tmp_path)
    found = {load(f).fingerprint(hashes.SHA256()) for f in tmp_path.glob("ca*.pem")}
    assert found == {c.fingerprint(hashes.SHA256()) for c in unwrapped.get("cacerts").certs}


def test_strongswan_enrols_and_renews(unwrapped, tmp_path):
    """C3, E1, F1; T: one line of base64 without a newline, a password unasked, then the old certificate"""
    cn, user = fresh_name(), fresh_name("user")
    unwrapped.op("credential.add", kind="password", user=user, secret="open-sesame", scope="new")
    key = new_key()
    (tmp_path / "1.key").write_bytes(key_pem(key))
    (tmp_path / "1.csr").write_bytes(csr(key, cn))
    r = pki(unwrapped, "--est", "--in", "1.csr", "--userpass", f"{user}:open-sesame", "--outform", "pem", cwd=tmp_path)
    (tmp_path / "1.pem").write_bytes(r.stdout)
    first = load(tmp_path / "1.pem")
    assert spki(first.public_key()) == spki(key.public_key())
    fresh = new_key()
    (tmp_path / "2.csr").write_bytes(csr(fresh, cn))
    r = pki(unwrapped, "--est", "--in", "2.csr", "--cert", "1.pem", "--key", "1.key", "--outform", "pem", cwd=tmp_path)
    second = x509.load_pem_x509_certificate(r.stdout)
    assert second.subject == first.subject and spki(second.public_key()) == spki(fresh.public_key())


# --- curl, as the tutorials have it ---

CACERTS_LINE = ("curl -sS --cacert $ROOT $URL/cacerts | openssl base64 -d | openssl pkcs7 -inform DER -outform PEM -print_certs"
                " | openssl x509 -out root.cert.pem")
ENROL_LINE = ('curl -sS --fail-with-body --cacert $ROOT -X POST --data-binary "@IDevID.csr" -H "Content-Transfer-Encoding:base64" -H "Secret-Value: $SECRET"'
              ' -H "Content-Type:application/pkcs10" $URL/simpleenroll'
              " | openssl base64 -d | openssl pkcs7 -inform DER -outform PEM -print_certs | openssl x509 -out IDevID.cert.pem")


def test_the_cacerts_line_of_the_tutorial(server, tmp_path):
    """what arrives first in the bag is a CA certificate of ours"""
    need("curl")
    shell(CACERTS_LINE, tmp_path, ROOT=server.root_file, URL=base(server))
    assert load(tmp_path / "root.cert.pem") in server.get("cacerts").certs


def test_the_enrolment_line_of_the_tutorial(server, tmp_path):
    """A PEM request, a secret in a header of the label's choice, openssl's base64"""
    need("curl")
    label = fresh_name("secret")
    server.label(label, ca="issuing", profile="idevid", accept=["secret"], secret_header="Secret-Value")
    secret = server.op("credential.add", kind="secret", scope="new", label=label)["secret"]
    cn = fresh_name()
    shell(f"openssl req -nodes -new -subj /CN={cn} -sha256 -keyout IDevID.key.pem -out IDevID.csr", tmp_path)
    shell(ENROL_LINE, tmp_path, ROOT=server.root_file, URL=base(server, label), SECRET=secret)
    cert = load(tmp_path / "IDevID.cert.pem")
    assert cert.subject.rfc4514_string() == f"CN={cn}"
    key = serialization.load_pem_private_key((tmp_path / "IDevID.key.pem").read_bytes(), None)
    assert spki(cert.public_key()) == spki(key.public_key())
    again = shell(ENROL_LINE, tmp_path, check=False, ROOT=server.root_file, URL=base(server, label), SECRET="wrong")
    assert again.returncode != 0


def test_the_showcerts_line_of_the_tutorial(server, tmp_path):
    """The second certificate that the handshake shows is one that verifies devices and the server"""
    shell("openssl s_client -showcerts -verify 5 -connect localhost:$PORT < /dev/null | "
          """awk '/BEGIN/,/END/{ if(/BEGIN/){a++}; out="cert"a".pem"; print >out}' && cp cert2.pem cacert.crt.pem""",
          tmp_path, PORT=str(server.device_port))
    trusted = tmp_path / "cacert.crt.pem"
    assert load(trusted) in server.get("cacerts").certs
    (tmp_path / "leaf.pem").write_bytes((tmp_path / "cert1.pem").read_bytes())
    shell("openssl verify -partial_chain -CAfile cacert.crt.pem leaf.pem", tmp_path)
    shell("curl -sS --cacert cacert.crt.pem https://localhost:$PORT/health/live", tmp_path, PORT=str(server.device_port))


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
@pytest.mark.parametrize("tls", ["--tls-max 1.2", "--tlsv1.3"])
def test_curl_fetches_cacerts_by_any_version(server, tmp_path, version, tls):
    """A2, C7"""
    need("curl")
    out = shell(f"curl -sS {version} {tls} --cacert $ROOT -w '%{{http_version}}' -o b $URL/cacerts", tmp_path, ROOT=server.root_file, URL=base(server)).stdout
    assert out == (b"1" if version == "--http1.0" else b"1.1")
    assert len(pkcs7.load_der_pkcs7_certificates(der_of((tmp_path / "b").read_bytes()))) == 2


def test_curl_renews_with_its_certificate_and_a_form_that_strips_newlines(server, tmp_path):
    """C3: -d instead of --data-binary"""
    need("curl")
    pair = server.born()
    shell(f"openssl req -nodes -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN={pair.cn} -keyout k -outform DER | base64 -w64 > csr", tmp_path)
    shell("curl -sS --fail-with-body --cacert $ROOT --cert $CERT --key $KEY -H 'Content-Type: application/pkcs10' -d @csr -o b $URL/simplereenroll", tmp_path,
          ROOT=server.root_file, CERT=pair.cert_file, KEY=pair.key_file, URL=base(server, "idevid"))
    (cert,) = pkcs7.load_der_pkcs7_certificates(der_of((tmp_path / "b").read_bytes()))
    assert cert.subject == pair.cert.subject


def test_curl_waits_for_100_continue_and_is_not_kept_waiting(server, tmp_path):
    """C9"""
    need("curl")
    pair = server.born()
    (tmp_path / "csr").write_bytes(base64.b64encode(csr(new_key(), pair.cn)))
    t = shell("curl -sS --fail-with-body --cacert $ROOT --cert $CERT --key $KEY -H 'Content-Type: application/pkcs10' -H 'Expect: 100-continue' --expect100-timeout 9"
              " --data-binary @csr -o b -w '%{time_total}' $URL/simplereenroll", tmp_path, ROOT=server.root_file, CERT=pair.cert_file, KEY=pair.key_file,
              URL=base(server, "idevid")).stdout
    assert float(t) < 8


def test_curl_with_digest_is_told_that_basic_is_what_we_take(server, tmp_path):
    """A11: curl --digest first sends an empty body; there is no Digest challenge to answer"""
    need("curl")
    (tmp_path / "csr").write_bytes(base64.b64encode(csr(new_key(), fresh_name())))
    r = shell("curl -sS --cacert $ROOT --digest -u a:b -H 'Content-Type: application/pkcs10' --data-binary @csr -o b -D h -w '%{http_code}' $URL/simpleenroll",
              tmp_path, ROOT=server.root_file, URL=base(server, "idevid"))
    assert r.stdout == b"401" and 'WWW-Authenticate: Basic realm="estuary"' in (tmp_path / "h").read_text()


# --- a client that renews by its bootstrap certificate: base64 in one line, a charset, the first certificate of the bag ---

def test_the_client_of_the_hub_tutorial(server):
    pair = server.born()
    ctx = ssl.create_default_context(cafile=server.root_file)
    ctx.load_cert_chain(pair.cert_file, pair.key_file)
    key = new_key()
    http_ = http.client.HTTPSConnection("localhost", server.device_port, context=ctx, timeout=PATIENCE)
    http_.request("GET", "/health/certificate")
    seen = http_.getresponse()
    assert seen.status == 200 and x509.load_pem_x509_certificate(seen.read()) == pair.cert
    http_.request("POST", "/.well-known/est/idevid/simpleenroll", base64.b64encode(csr(key, pair.cn)).decode("ascii"),
                  {"Content-Type": "application/pkcs10; charset=utf-8"})
    answer = http_.getresponse()
    body = answer.read().decode("utf-8")
    http_.close()
    assert answer.status == 200
    fresh = pkcs7.load_der_pkcs7_certificates(base64.b64decode("".join(body.split())))[0]
    assert spki(fresh.public_key()) == spki(key.public_key()) and fresh.subject == pair.cert.subject


def test_the_client_of_the_hub_tutorial_gets_its_own_certificate_first_where_the_chain_is_sent_too(server):
    label = fresh_name("chain")
    server.label(label, ca="issuing", profile="idevid", accept=["own"], chain=True)
    for _ in range(4):  # sorted by octets, it would be first in some of them only
        pair, key = server.born(), new_key()
        a = server.enrol(csr(key, pair.cn), label, pair=pair, content_type="application/pkcs10; charset=utf-8")
        assert spki(a.certs[0].public_key()) == spki(key.public_key())


# --- GnuTLS as the second opinion ---

def certtool(*args, **kw):
    need("certtool")
    return subprocess.run(["certtool", *args], capture_output=True, check=True, timeout=PATIENCE, **kw).stdout.decode()


def test_gnutls_reads_the_bag_of_ca_certificates(server):
    """D1"""
    need("certtool")
    text = certtool("--p7-info", "--inder", input=der_of(server.get("cacerts").body))
    assert text.count("BEGIN CERTIFICATE") == 2 or "Number of certificates: 2" in text


def test_gnutls_reads_an_enrolment(server):
    need("certtool")
    pair = server.born()
    a = server.enrol(csr(new_key(), pair.cn), "idevid", pair=pair)
    text = certtool("--p7-info", "--inder", input=der_of(a.body))
    assert text.count("BEGIN CERTIFICATE") == 1 or "Number of certificates: 1" in text


def test_gnutls_verifies_a_device_certificate_to_the_root(server, tmp_path):
    need("certtool")
    pair = server.born()
    chain = tmp_path / "chain.pem"
    chain.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in [pair.cert, *server.get("cacerts").certs]))
    out = certtool("--verify", "--load-ca-certificate", server.root_file, "--infile", str(chain))
    assert "Chain verification output: Verified" in out


def published(server, path):
    h = http.client.HTTPConnection("127.0.0.1", server.public_port, timeout=PATIENCE)
    h.request("GET", path)
    r = h.getresponse()
    body = r.read()
    h.close()
    assert r.status == 200
    return r.headers["Content-Type"], body


def test_gnutls_and_openssl_read_the_revocation_list(server, tmp_path):
    """N1"""
    need("certtool")
    pair = server.born()
    server.op("cert.revoke", serial=pair.serial, reason="keyCompromise")
    server.op("crl.publish", ca="issuing")
    (tmp_path / "issuing.pem").write_text(server.op("ca.show", name="issuing")["pem"])

    def listed():
        kind, der = published(server, "/crl/issuing.crl")
        assert kind == "application/pkix-crl"
        (tmp_path / "crl").write_bytes(der)
        return pair.serial in subprocess.run(["openssl", "crl", "-inform", "DER", "-text", "-noout"], input=der, capture_output=True).stdout.decode().lower()

    wait_for("the revocation to be listed", listed)
    assert pair.serial in certtool("--crl-info", "--inder", "--infile", str(tmp_path / "crl")).lower().replace(":", "")
    r = shell("openssl crl -inform DER -in crl -CAfile issuing.pem -noout", tmp_path)
    assert b"verify OK" in r.stderr


def test_gnutls_speaks_tls_with_us(server):
    need("gnutls-cli")
    r = subprocess.run(["gnutls-cli", "--x509cafile", server.root_file, "-p", str(server.device_port), "localhost"], input=b"", capture_output=True, timeout=PATIENCE)
    assert r.returncode == 0 and b"The certificate is trusted" in r.stdout


def test_the_issuer_certificate_is_where_certificates_point(server):
    """M12"""
    kind, der = published(server, "/aia/issuing.cer")
    assert kind == "application/pkix-cert"
    assert x509.load_der_x509_certificate(der) in server.get("cacerts").certs
