# SPDX-License-Identifier: Apache-2.0
"""Keys of the Keys Service in other people's programs: the OpenSSL provider under openssl, curl and Python."""
import contextlib
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.x509.oid import ExtendedKeyUsageOID

import estuary
from fake_keyd import FakeKeyd, spki

MODULES = estuary.BUILD / "src/device/provider"
KINDS = ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "rsa-3072", "ed25519"]
PROVIDERS = ["-provider", "estuary", "-provider", "default"]
TLS = ["-tls1_2", "-tls1_3"]

CONF = """openssl_conf = init
[init]
providers = providers
[providers]
default = default_section
estuary = estuary_section
[default_section]
activate = 1
[estuary_section]
activate = 1
socket = {socket}
"""


class Place:
    """A scratch directory with a Keys Service, and programs that find it."""

    def __init__(self, directory, **kw):
        self.dir = pathlib.Path(directory)
        self.keyd = FakeKeyd(self.dir / "keyd.sock", **kw)
        self.ca = estuary.OutsideCa()
        self.ca_file = self.dir / "ca.pem"
        self.ca_file.write_text(self.ca.pem)
        self.conf = self.dir / "openssl.cnf"
        self.conf.write_text(CONF.format(socket=self.keyd.socket))
        self.env = {**os.environ, "OPENSSL_MODULES": str(MODULES)}
        self.env.pop("ESTUARY_KEYD_SOCKET", None)
        if "ESTUARY_SANITIZED" in os.environ:
            asan = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
            self.env.update(LD_PRELOAD=asan, ASAN_OPTIONS="detect_leaks=0")

    def key(self, kind, name=None):
        """A new key of the service; its ID."""
        name = name or estuary.fresh_name(kind)
        self.keyd.keys[name] = estuary.new_key(kind)
        return name

    def public(self, name):
        return self.keyd.keys[name].public_key()

    def cert(self, name, subject="localhost", **kw):
        """A certificate for a key of the service, as a file."""
        kw.setdefault("ekus", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        cert = estuary.mint((self.ca.cert, self.ca.key), subject, self.keyd.keys[name],
                            sans=[x509.DNSName("localhost")], **kw)
        file = self.dir / f"{name}.cer"
        file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        return str(file)

    def key_file(self, name):
        """The PEM file that names the key."""
        text = estuary.b64(f"keyd:{name}".encode(), 64, b"\n").decode()
        file = self.dir / f"{name}.pem"
        file.write_text(f"-----BEGIN ESTUARY KEYD URI-----\n{text}-----END ESTUARY KEYD URI-----\n")
        return str(file)

    def run(self, *args, ok=True, configured=False, stdin=b""):
        """A program; by its configuration, or told where the service is by the environment."""
        env = {**self.env, **({"OPENSSL_CONF": str(self.conf)} if configured else
                              {"ESTUARY_KEYD_SOCKET": self.keyd.socket})}
        p = subprocess.run([str(a) for a in args], env=env, input=stdin, capture_output=True,
                           timeout=estuary.PATIENCE * 2)
        assert (p.returncode == 0) == ok, f"{args}: {p.returncode}\n{p.stdout.decode()}\n{p.stderr.decode()}"
        return p

    def openssl(self, verb, *args, **kw):
        return self.run("openssl", verb, *([] if kw.get("configured") else PROVIDERS), *args, **kw)

    def refusal(self, verb, *args):
        return self.openssl(verb, *args, ok=False).stderr.decode()

    @contextlib.contextmanager
    def s_server(self, name, *args):
        """openssl s_server with a key of the service; yields its port and the process."""
        env = {**self.env, "ESTUARY_KEYD_SOCKET": self.keyd.socket}
        p = subprocess.Popen(["openssl", "s_server", *PROVIDERS, "-accept", "127.0.0.1:0", "-www", "-naccept", "1",
                              "-key", f"keyd:{name}", "-cert", self.cert(name), *args],
                             env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            port, seen = None, b""
            while port is None:
                line = p.stdout.readline()
                seen += line
                assert line, f"s_server: {seen.decode()} {p.stderr.read().decode()}"
                found = re.match(rb"ACCEPT 127.0.0.1:(\d+)", line)
                port = found and int(found.group(1))
            yield port, p
        finally:
            p.kill()
            p.communicate()


@pytest.fixture
def place(tmp_path):
    p = Place(tmp_path)
    yield p
    p.keyd.stop()


@pytest.fixture
def original(tmp_path):
    p = Place(tmp_path, original=True)
    yield p
    p.keyd.stop()


# --- requests, certificates, files ---

@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [PROVIDERS, PROVIDERS[2:] + PROVIDERS[:2]], ids=["first", "last"])
def test_a_request_is_signed_whichever_provider_comes_first(place, kind, order):
    name = place.key(kind)
    out = place.run("openssl", "req", *order, "-new", "-subj", "/CN=pump-7", "-key", f"keyd:{name}").stdout
    csr = x509.load_pem_x509_csr(out)
    assert csr.is_signature_valid and spki(place.keyd.keys[name]) in csr.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("kind", ["ec-p256", "rsa-2048"])
def test_an_original_keys_service_will_do(original, kind):
    name = original.key(kind)
    csr = x509.load_pem_x509_csr(original.openssl("req", "-new", "-subj", "/CN=x", "-key", f"keyd:{name}").stdout)
    assert csr.is_signature_valid
    # RFC 5480: uncompressed, although the service gives a compressed point.
    assert spki(original.keyd.keys[name]) in csr.public_bytes(serialization.Encoding.DER)


AGENT = estuary.BUILD / "src/device/agent/estuary-agent"


def unix_post(path, target, body):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        text = json.dumps(body).encode()
        s.sendall(b"POST %s HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
                  b"Content-Length: %d\r\n\r\n%s" % (target.encode(), len(text), text))
        with s.makefile("rb") as f:
            return f.read()


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "rsa-2048", "ed25519"])
def test_our_own_keys_service_will_do(place, tmp_path, kind):
    (tmp_path / "etc/aziot/keyd").mkdir(parents=True)
    (tmp_path / "var/lib/aziot").mkdir(parents=True)
    home = tmp_path / "var/lib/aziot/keyd"
    (tmp_path / "etc/aziot/keyd/config.toml").write_text(f'[aziot_keys]\nhomedir_path = "{home}"\n')
    (tmp_path / "aziot-keyd").symlink_to(AGENT)
    env = {**place.env, "ESTUARY_PREFIX": str(tmp_path)}
    keyd = subprocess.Popen([tmp_path / "aziot-keyd"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        path = tmp_path / "run/aziot/keyd.sock"
        estuary.wait_for("the Keys Service", path.exists)
        unix_post(path, "/keypair?api-version=2021-05-01", {"keyId": "device-id", "preferredAlgorithms": kind})
        out = subprocess.run(["openssl", "req", *PROVIDERS, "-new", "-subj", "/CN=x", "-key", "keyd:device-id"],
                             env=env, capture_output=True)
        assert out.returncode == 0, out.stderr.decode()
        assert x509.load_pem_x509_csr(out.stdout).is_signature_valid
    finally:
        keyd.terminate()
        assert keyd.wait(estuary.PATIENCE) == 0


def test_an_id_with_every_awkward_sign_is_percent_encoded(place):
    place.key("ec-p256", "aziot-edged/module/a b:1?x&y=%:server")
    uri = "keyd:aziot-edged%2Fmodule%2Fa%20b%3A1%3Fx%26y%3D%25%3Aserver"
    place.openssl("req", "-new", "-subj", "/CN=x", "-key", uri)


def test_a_uri_names_the_socket(place):
    name = place.key("ec-p256")
    env = {k: v for k, v in place.env.items() if k != "ESTUARY_KEYD_SOCKET"}
    subprocess.run(["openssl", "req", *PROVIDERS, "-new", "-subj", "/CN=x", "-key",
                    f"keyd:{name}?socket={place.keyd.socket}"], env=env, check=True, capture_output=True)


def test_a_handle_names_the_key(place):
    name = place.key("rsa-2048")
    handle = place.keyd.handle(name)
    escaped = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in handle)
    place.openssl("req", "-new", "-subj", "/CN=x", "-key", f"keyd:?handle={escaped}")
    assert all(first != "keypair" for _, first, _ in place.keyd.asked)


@pytest.mark.parametrize("kind", KINDS)
def test_the_public_key_is_shown_and_the_private_one_is_not(place, kind):
    name = place.key(kind)
    pem = place.openssl("pkey", "-pubout", "-in", f"keyd:{name}").stdout
    assert pem == place.public(name).public_bytes(serialization.Encoding.PEM,
                                                  serialization.PublicFormat.SubjectPublicKeyInfo)
    assert b"PRIVATE" not in place.openssl("pkey", "-in", f"keyd:{name}", ok=False).stdout


def test_a_certificate_is_issued_by_a_key_of_the_service(place):
    name = place.key("ec-p384", "local-ca")
    leaf = estuary.new_key()
    csr = place.dir / "leaf.csr"
    csr.write_bytes(x509.load_der_x509_csr(estuary.csr(leaf, "leaf")).public_bytes(serialization.Encoding.PEM))
    ca = place.cert(name, "local-ca", ca=True)
    cert = x509.load_pem_x509_certificate(
        place.openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", f"keyd:{name}", "-sha384").stdout)
    place.public(name).verify(cert.signature, cert.tbs_certificate_bytes, ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize("salt", ["digest", "max", "20"])
def test_a_certificate_is_signed_with_pss(place, salt):
    name = place.key("rsa-2048")
    cert = x509.load_pem_x509_certificate(place.openssl(
        "req", "-x509", "-subj", "/CN=x", "-key", f"keyd:{name}", "-sha256",
        "-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}").stdout)
    length = {"digest": 32, "max": 256 - 32 - 2, "20": 20}[salt]
    place.public(name).verify(cert.signature, cert.tbs_certificate_bytes,
                              padding.PSS(padding.MGF1(hashes.SHA256()), length), hashes.SHA256())
    file = place.dir / "pss.pem"
    file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    subprocess.run(["openssl", "verify", "-check_ss_sig", "-CAfile", file, file], check=True, capture_output=True)


# --- signatures ---

@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("kind", ["ec-p256", "ec-p521", "rsa-2048"])
def test_dgst_signs_and_verifies(place, kind, digest):
    name, file, sig = place.key(kind), place.dir / "data", place.dir / "sig"
    file.write_bytes(b"data" * 5000)
    place.openssl("dgst", f"-{digest}", "-sign", f"keyd:{name}", "-out", sig, file)
    algorithm = getattr(hashes, digest.upper())()
    if kind == "rsa-2048":
        place.public(name).verify(sig.read_bytes(), file.read_bytes(), padding.PKCS1v15(), algorithm)
    else:
        place.public(name).verify(sig.read_bytes(), file.read_bytes(), ec.ECDSA(algorithm))
    place.openssl("dgst", f"-{digest}", "-prverify", f"keyd:{name}", "-signature", sig, file)
    file.write_bytes(b"other")
    place.openssl("dgst", f"-{digest}", "-prverify", f"keyd:{name}", "-signature", sig, file, ok=False)


@pytest.mark.parametrize("kind", ["ec-p256", "rsa-2048", "ed25519"])
def test_pkeyutl_signs_what_is_given(place, kind):
    name, file = place.key(kind), place.dir / "data"
    file.write_bytes(b"x" * 32)
    raw = ["-rawin"] if kind == "ed25519" else []
    sig = place.openssl("pkeyutl", "-sign", *raw, "-inkey", f"keyd:{name}", "-in", file).stdout
    if kind == "ed25519":
        place.public(name).verify(sig, file.read_bytes())
    elif kind == "ec-p256":
        place.public(name).verify(sig, file.read_bytes(), ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    else:
        assert place.public(name).recover_data_from_signature(sig, padding.PKCS1v15(), None) == file.read_bytes()


def test_a_weak_digest_is_refused_in_words(place):
    name = place.key("rsa-2048")
    assert "SHA-256, SHA-384 or SHA-512 needed" in place.refusal("dgst", "-sha1", "-sign", f"keyd:{name}", "/dev/null")


@pytest.mark.parametrize("kind,options", [("ec-p256", []), ("ec-p384", ["-md", "sha384"]), ("rsa-2048", []),
                                          ("rsa-2048", ["-keyopt", "rsa_padding_mode:pss"])])
def test_cms_signs_and_others_verify(place, kind, options):
    name, file = place.key(kind), place.dir / "data"
    file.write_bytes(b"a message")
    cert = place.cert(name, ekus=())
    cms = place.openssl("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-in", file, "-signer", cert,
                        "-inkey", f"keyd:{name}", *options).stdout
    out = subprocess.run(["openssl", "cms", "-verify", "-inform", "DER", "-CAfile", place.ca_file, "-purpose", "any"],
                         input=cms, capture_output=True)
    assert out.returncode == 0 and out.stdout == b"a message", out.stderr.decode()


# --- what is not of the service works as before, with the provider in front ---

def test_other_keys_are_made_used_and_read_with_the_provider_in_front(place):
    file, data = place.dir / "own.pem", place.dir / "data"
    data.write_bytes(b"data")
    for algorithm, option in [("EC", "ec_paramgen_curve:P-256"), ("RSA", "rsa_keygen_bits:2048"), ("ED25519", None)]:
        pem = place.openssl("genpkey", "-algorithm", algorithm, *(["-pkeyopt", option] if option else [])).stdout
        key = serialization.load_pem_private_key(pem, None)
        file.write_bytes(pem)
        assert place.openssl("pkey", "-in", file, "-pubout").stdout == key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert b"valid" in place.openssl("pkey", "-in", file, "-check", "-noout").stdout
        csr = place.openssl("req", "-new", "-subj", "/CN=x", "-key", file).stdout
        assert x509.load_pem_x509_csr(csr).is_signature_valid
        place.openssl("req", "-verify", "-noout", stdin=csr)
    assert place.keyd.asked == []


def test_keys_are_agreed_and_decrypted_with_the_provider_in_front(place):
    file = place.dir / "k.pem"
    file.write_bytes(place.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256").stdout)
    public = place.dir / "p.pem"
    public.write_bytes(place.openssl("pkey", "-in", file, "-pubout").stdout)
    assert len(place.openssl("pkeyutl", "-derive", "-inkey", file, "-peerkey", public).stdout) == 32
    file.write_bytes(place.openssl("genpkey", "-algorithm", "RSA").stdout)
    secret = place.openssl("pkeyutl", "-encrypt", "-inkey", file, stdin=b"secret").stdout
    assert place.openssl("pkeyutl", "-decrypt", "-inkey", file, stdin=secret).stdout == b"secret"


# --- TLS ---

def get(port, place, *args, **kw):
    return place.run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", place.ca_file,
                     "-verify_return_error", *args, stdin=b"GET / HTTP/1.0\r\n\r\n", **kw)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", TLS)
def test_s_server_proves_the_key(place, kind, version):
    name = place.key(kind)
    with place.s_server(name, version) as (port, _):
        p = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", place.ca_file,
                            "-verify_return_error"], input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True)
    assert b"Verify return code: 0" in p.stdout, p.stderr.decode()
    assert (re.search(rb"Peer signature type: rsa.pss", p.stdout, re.I) is not None) == kind.startswith("rsa")


@pytest.mark.parametrize("group", ["P-256", "P-384", "X25519"])
def test_ephemeral_keys_of_any_group_go_through_the_provider(place, group):
    name = place.key("ec-p256")
    with place.s_server(name, "-groups", group) as (port, _):
        out = get(port, place, *PROVIDERS, "-groups", group).stdout
    assert b"Verify return code: 0" in out


class TlsServer:
    """Python's, without the provider: asks for a client certificate and tells whose it was."""

    def __init__(self, place, version):
        key = estuary.new_key()
        cert = estuary.mint((place.ca.cert, place.ca.key), "localhost", key, sans=[x509.DNSName("localhost")],
                            ekus=[ExtendedKeyUsageOID.SERVER_AUTH])
        pair = estuary.Pair(cert, key, place.dir)
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(pair.cert_file, pair.key_file)
        self.ctx.load_verify_locations(place.ca_file)
        self.ctx.verify_mode = ssl.CERT_REQUIRED
        self.ctx.minimum_version = self.ctx.maximum_version = version
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        with contextlib.suppress(OSError):
            plain, _ = self.listener.accept()
            with self.ctx.wrap_socket(plain, server_side=True) as conn:
                conn.recv(4096)
                who = dict(x[0] for x in conn.getpeercert()["subject"])["commonName"].encode()
                conn.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(who), who))
                conn.unwrap()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() is woken
        self.listener.close()
        self.thread.join()


@pytest.fixture
def tls_server(place):
    started = []

    def start(version):
        started.append(TlsServer(place, version))
        return started[-1]

    yield start
    for s in started:
        s.close()


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_s_client_proves_the_key(place, tls_server, kind, version):
    name = place.key(kind)
    s = tls_server(version)
    out = get(s.port, place, *PROVIDERS, "-quiet", "-key", f"keyd:{name}", "-cert", place.cert(name, "pump-7")).stdout
    assert out.endswith(b"pump-7")


@pytest.mark.skipif("ESTUARY_SANITIZED" in os.environ, reason="curl hangs under a sanitizer that is preloaded")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_curl_proves_the_key_of_a_pem_file(place, tls_server, kind, version):
    name = place.key(kind)
    s = tls_server(version)
    out = place.run("curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", place.ca_file, "--key",
                    place.key_file(name), "--cert", place.cert(name, "pump-7"),
                    "--resolve", f"localhost:{s.port}:127.0.0.1", f"https://localhost:{s.port}/", configured=True)
    assert out.stdout == b"pump-7"


def test_a_pem_file_is_as_good_as_the_uri_and_may_come_after_a_certificate(place):
    name = place.key("ec-p256")
    both = place.dir / "both.pem"
    both.write_text(pathlib.Path(place.cert(name)).read_text() + pathlib.Path(place.key_file(name)).read_text())
    place.openssl("req", "-new", "-subj", "/CN=x", "-key", place.key_file(name))
    place.openssl("req", "-new", "-subj", "/CN=x", "-key", both)


def handshake(port, place):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.load_verify_locations(place.ca_file)
    with ctx.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as conn:
        return conn.version()


# A server in a program that knows nothing of providers: all by OPENSSL_CONF.
PYTHON_SERVER = """
import socket, ssl, sys
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
with ctx.wrap_socket(listener.accept()[0], server_side=True) as conn:
    conn.recv(4096)
    conn.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
"""


@contextlib.contextmanager
def python_server(place, *files):
    env = {**place.env, "OPENSSL_CONF": str(place.conf)}
    p = subprocess.Popen([sys.executable, "-c", PYTHON_SERVER, *files], env=env, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    try:
        line = p.stdout.readline()
        assert line, p.stderr.read().decode()
        yield int(line)
    finally:
        p.kill()
        p.communicate()


@pytest.mark.parametrize("kind", ["ec-p256", "rsa-2048", "ed25519"])
def test_a_python_server_has_its_key_by_configuration_alone(place, kind):
    name = place.key(kind)
    with python_server(place, place.cert(name), place.key_file(name)) as port:
        assert handshake(port, place)


def test_a_certificate_of_another_key_is_noticed(place):
    name, other = place.key("ec-p256"), place.key("ec-p256")
    env = {**place.env, "OPENSSL_CONF": str(place.conf)}
    p = subprocess.run([sys.executable, "-c", PYTHON_SERVER, place.cert(other), place.key_file(name)], env=env,
                       capture_output=True)
    assert p.returncode != 0 and b"KEY_VALUES_MISMATCH" in p.stderr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["VERS-TLS1.2", "VERS-TLS1.3"])
def test_gnutls_takes_the_servers_proof(place, kind, version):
    name = place.key(kind)
    with place.s_server(name) as (port, _):
        p = subprocess.run(["gnutls-cli", "--priority", f"NORMAL:-VERS-ALL:+{version}", "--x509cafile", place.ca_file,
                            "--verify-hostname", "localhost", "-p", str(port), "127.0.0.1"],
                           input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True)
    assert b"The certificate is trusted" in p.stdout and b"Handshake was completed" in p.stdout, p.stdout + p.stderr


# --- what goes wrong is said ---

def test_an_unknown_id_is_said(place):
    text = place.refusal("req", "-new", "-subj", "/CN=x", "-key", "keyd:nobody")
    assert "keyd: no such key" in text and "no key pair 'nobody'" in text


def test_a_missing_service_is_said(place):
    place.keyd.stop()
    text = place.refusal("req", "-new", "-subj", "/CN=x", "-key", "keyd:x")
    assert "keyd: the Keys Service does not answer" in text and place.keyd.socket in text


def test_a_missing_permission_is_said(place):
    name = place.key("ec-p256")
    place.keyd.forbidden.add(name)
    text = place.refusal("req", "-new", "-subj", "/CN=x", "-key", f"keyd:{name}")
    assert "keyd: not authorised" in text and "user 1000 is not authorized" in text


@pytest.mark.parametrize("uri", ["keyd:", "keyd:%zz", "keyd:x?colour=red", "keyd:x?socket=relative", "keyd:x?handle=y"])
def test_a_malformed_uri_is_said(place, uri):
    assert "keyd: URI" in place.refusal("req", "-new", "-subj", "/CN=x", "-key", uri)


def test_a_program_that_has_json_of_its_own_keeps_its_allocator(place):
    text = """
import ctypes, sys
json = ctypes.CDLL("libjansson.so.4")
def functions():
    two = ctypes.c_void_p(), ctypes.c_void_p()
    json.json_get_alloc_funcs(ctypes.byref(two[0]), ctypes.byref(two[1]))
    return [f.value for f in two]
before = functions()
ctypes.CDLL(sys.argv[1])
assert functions() == before
"""
    subprocess.run([sys.executable, "-c", text, str(MODULES / "estuary.so")], env=place.env, check=True)


def test_a_handle_that_ended_is_asked_for_again(place):
    name = place.key("ec-p256")
    with python_server(place, place.cert(name), place.key_file(name)) as port:
        place.keyd.forget_handles()
        assert handshake(port, place)
    assert place.keyd.asked.count(("GET", "keypair", name)) >= 2


@pytest.mark.parametrize("kind,what", [("ec-p256", "deleted"), ("rsa-2048", "deleted"), ("ec-p256", "replaced")])
def test_a_key_that_is_gone_meanwhile_ends_the_handshake_in_words(place, kind, what):
    name = place.key(kind)
    with place.s_server(name) as (port, server):
        if what == "deleted":
            del place.keyd.keys[name]
        else:
            place.keyd.keys[name] = estuary.new_key(kind)
            place.keyd.forget_handles()
        with pytest.raises(OSError):
            handshake(port, place)
        _, err = server.communicate(b"Q\n", timeout=estuary.PATIENCE)
    assert (f"no key pair '{name}'" if what == "deleted" else "was replaced since it was loaded") in err.decode()
