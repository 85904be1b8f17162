# SPDX-License-Identifier: Apache-2.0
"""A running server, an EST client that is not ours, and the operator's socket: what the end-to-end tests stand on."""
import base64
import datetime
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ESTUARY_BUILD", ROOT / "build")).resolve()
ESTUARY = BUILD / "src/cli/estuary"
ESTUARYD = BUILD / "src/server/estuaryd/estuaryd"
PATIENCE = float(os.environ.get("ESTUARY_PATIENCE", "30"))

_names = itertools.count(1)
_addresses = itertools.count(2)


def fresh_name(stem="device"):
    """A device name that no other test uses."""
    return f"{stem}-{os.getpid()}-{next(_names)}"


def fresh_address():
    """A loopback address of its own, so that one test's wrong passwords do not throttle another's."""
    n = next(_addresses)
    return f"127.{os.getpid() % 100 + 1}.{n // 250 % 250}.{n % 250 + 2}"


def wait_for(what, check, patience=PATIENCE):
    """Poll check() until it is true; a clear failure otherwise."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        got = check()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError(f"waited {patience} s for {what}")


# --- keys and requests ---

def new_key(kind="ec-p256"):
    if kind == "ec-p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ec-p384":
        return ec.generate_private_key(ec.SECP384R1())
    if kind == "ec-p521":
        return ec.generate_private_key(ec.SECP521R1())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind.split("-")[1]))


def name(cn=None, *more):
    """An X.509 name: name("pump-7", (NameOID.ORGANIZATION_NAME, "x"))."""
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn is not None else []
    return x509.Name(parts + [x509.NameAttribute(t, v) for t, v in more])


def csr(key, subject, sans=None, extensions=(), challenge=None):
    """DER of a request; subject is a common name or an x509.Name."""
    b = x509.CertificateSigningRequestBuilder().subject_name(subject if isinstance(subject, x509.Name) else name(subject))
    if sans:
        b = b.add_extension(x509.SubjectAlternativeName(sans), False)
    for ext, critical in extensions:
        b = b.add_extension(ext, critical)
    if challenge is not None:
        b = b.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return b.sign(key, digest).public_bytes(serialization.Encoding.DER)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def b64(der, wrap=64, eol=b"\r\n"):
    text = base64.b64encode(der)
    if not wrap:
        return text
    return b"".join(text[i:i + wrap] + eol for i in range(0, len(text), wrap))


def der_items(der):
    """The values that stand one after another in `der`, as (tag, contents, whole); definite lengths alone."""
    out = []
    while der:
        n, at = der[1], 2
        if n & 0x80:
            at += n & 0x7f
            n = int.from_bytes(der[2:at], "big")
        assert len(der) >= at + n, "cut off"
        out.append((der[0], der[at:at + n], der[:at + n]))
        der = der[at + n:]
    return out


def der_of(body):
    """A base64 body as RFC 8951 3.1 reads it."""
    return base64.b64decode(re.sub(rb"[ \t\r\n]", b"", body), validate=True)


class Pair:
    """A certificate with its key, as PEM files."""

    def __init__(self, cert, key, directory):
        self.cert, self.key = cert, key
        stem = pathlib.Path(directory) / f"pair-{next(_names)}"
        self.cert_file, self.key_file = f"{stem}.pem", f"{stem}.key"
        certs = cert if isinstance(cert, list) else [cert]
        self.cert = certs[0]
        pathlib.Path(self.cert_file).write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs))
        pathlib.Path(self.key_file).write_bytes(key_pem(key))

    @property
    def serial(self):
        return format(self.cert.serial_number, "032x")

    @property
    def cn(self):
        return self.cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def mint(issuer, subject, key, ca=False, begin=-300, end=86400, ekus=(ExtendedKeyUsageOID.CLIENT_AUTH,), sans=None, extensions=()):
    """A certificate by any CA whose key we hold: issuer is (certificate, key), or None for self-signed; times in seconds from now."""
    now = datetime.datetime.utcnow().replace(microsecond=0)
    subject = subject if isinstance(subject, x509.Name) else name(subject)
    issuer_key = issuer[1] if issuer else key
    b = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer[0].subject if issuer else subject)
         .public_key(key.public_key()).serial_number(x509.random_serial_number())
         .not_valid_before(now + datetime.timedelta(seconds=begin)).not_valid_after(now + datetime.timedelta(seconds=end))
         .add_extension(x509.BasicConstraints(ca, None), True)
         .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
         .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False))
    if ekus and not ca:
        b = b.add_extension(x509.ExtendedKeyUsage(list(ekus)), False)
    if sans:
        b = b.add_extension(x509.SubjectAlternativeName(sans), False)
    for ext, critical in extensions:
        b = b.add_extension(ext, critical)
    return b.sign(issuer_key, hashes.SHA256())


class OutsideCa:
    """A CA that is not the server's; trust() registers it."""

    def __init__(self, cn=None):
        self.key = new_key()
        self.cert = mint(None, cn or fresh_name("outside-ca"), self.key, ca=True)

    @property
    def pem(self):
        return self.cert.public_bytes(serialization.Encoding.PEM).decode()

    def trust(self, server, **kw):
        return server.op("trust.add", **{"name": fresh_name("anchor"), "pem": self.pem, **kw})

    def pair(self, server, subject=None, key=None, **kw):
        """A certificate of this CA with its key; keywords as mint()."""
        key = key or new_key()
        return Pair(mint((self.cert, self.key), fresh_name() if subject is None else subject, key, **kw), key, os.path.dirname(server.dir))


class Answer:
    """What the server said."""

    def __init__(self, status, headers, body, version=11):
        self.status, self.headers, self.body, self.version = status, headers, body, version

    @property
    def id(self):
        return self.headers.get("X-Request-Id", "")

    @property
    def reason(self):
        """The reason code of a refusal."""
        return self.body.decode("utf-8", "replace").split(":", 1)[0]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def certs(self):
        der = base64.b64decode(re.sub(rb"[ \t\r\n]", b"", self.body), validate=True)
        return pkcs7.load_der_pkcs7_certificates(der)

    @property
    def cert(self):
        return self.certs[0]

    def __repr__(self):
        return f"<{self.status} {self.text[:200]!r}>"


def _client_context(trust, pair=None, tls=None):
    ctx = ssl.create_default_context(cafile=trust)
    if tls == "1.2":
        ctx.maximum_version = ssl.TLSVersion.TLSv1_2
    elif tls == "1.3":
        ctx.minimum_version = ssl.TLSVersion.TLSv1_3
    if pair is not None:
        ctx.load_cert_chain(pair.cert_file, pair.key_file)
    return ctx


class Client:
    """A kept-alive TLS connection to the device listener, by Python's own TLS and HTTP."""

    def __init__(self, server, pair=None, tls=None, source=None, trust=None, timeout=PATIENCE):
        ctx = _client_context(trust or server.root_file, pair, tls)
        self.http = http.client.HTTPSConnection("localhost", server.device_port, context=ctx, timeout=timeout,
                                                source_address=(source, 0) if source else None)
        self.http.host = "127.0.0.1"
        self._connect()

    def _connect(self):
        h = self.http
        sock = socket.create_connection((h.host, h.port), h.timeout, h.source_address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        h.sock = h._context.wrap_socket(sock, server_hostname="localhost")
        h.auto_open = 0

    @property
    def tls_unique(self):
        return base64.b64encode(self.http.sock.get_channel_binding("tls-unique")).decode()

    def request(self, method, path, body=None, headers=None):
        """headers: a dict, or pairs where a field is sent twice."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers or [])
        if isinstance(body, bytes) or body is None:
            self.http.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if not any(k.lower() == "host" for k, _ in pairs):
                self.http.putheader("Host", "localhost")
            if body is not None and not any(k.lower() == "content-length" for k, _ in pairs):
                self.http.putheader("Content-Length", str(len(body)))
            for k, v in pairs:
                self.http.putheader(k, v)
            self.http.endheaders(body)
        else:
            self.http.request(method, path, body, {"Host": "localhost", **dict(pairs)})
        r = self.http.getresponse()
        return Answer(r.status, r.headers, r.read(), r.version)

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Raw:
    """A TLS connection on which a test writes whatever octets it likes; answers are read strictly."""

    def __init__(self, server, pair=None, tls=None, source=None, port=None, plain=False):
        self.sock = socket.create_connection(("127.0.0.1", port or server.device_port), PATIENCE, (source, 0) if source else None)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""
        if not plain:
            self.sock = _client_context(server.root_file, pair, tls).wrap_socket(self.sock, server_hostname="localhost")

    def send(self, octets):
        self.sock.sendall(octets)
        return self

    def more(self):
        """One more read: what one TLS record holds; b"" at the end."""
        try:
            got = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            got = b""
        self.left += got
        return got

    def answer(self, head=False):
        """The next answer (head: to a HEAD), its octets in .raw; None when the connection ends before one begins."""
        while b"\r\n\r\n" not in self.left:
            if not self.more():
                assert self.left == b"", f"cut off: {self.left[:200]!r}"
                return None
        top, self.left = self.left.split(b"\r\n\r\n", 1)
        line, *fields = top.decode("ascii").split("\r\n")
        version, status = re.fullmatch(r"HTTP/1\.([01]) (\d{3}) [ -~]*", line).groups()
        headers = http.client.HTTPMessage()
        for f in fields:
            headers.add_header(*re.fullmatch(r"([A-Za-z0-9-]+): ([ -~]*)", f).groups())
        bodiless = head or int(status) < 200 or int(status) in (204, 304)
        n = 0 if bodiless else int(headers["Content-Length"])
        while len(self.left) < n:
            assert self.more(), "the body was cut off"
        body, self.left = self.left[:n], self.left[n:]
        a = Answer(int(status), headers, body, 10 + int(version))
        a.raw = top
        return a

    def ended(self):
        """Has the server closed, and sent nothing more before?"""
        while self.more():
            pass
        return self.left == b""

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Server:
    """`estuary quickstart` in a directory of its own, on free ports."""

    def __init__(self, directory=None, args=(), env=None, start=True):
        self.dir = str(directory or tempfile.mkdtemp(prefix="estuary-"))
        self.args, self.env, self.process, self.log = list(args), env or {}, None, []
        if start:
            self.start()

    def start(self):
        self.log_file = open(os.path.join(os.path.dirname(self.dir), os.path.basename(self.dir) + ".log"), "ab")
        self.process = subprocess.Popen(
            [str(ESTUARY), "quickstart", "--dir", self.dir, "--device-port", "0", "--operator-port", "0", "--public-port", "0",
             *self.args], stdout=self.log_file, stderr=subprocess.STDOUT, env={**os.environ, **self.env})
        wait_for("the server to be ready", self._ready)
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"quickstart ended with {self.process.returncode}:\n{self.log_text()}")
        path = os.path.join(self.dir, "quickstart.json")
        if not os.path.exists(path):
            return False
        with open(path, encoding="utf-8") as f:
            self.info = json.load(f)
        return os.path.exists(self.info.get("ready_file", ""))

    def log_text(self):
        """What quickstart said, and then what the server said."""
        said = pathlib.Path(self.log_file.name).read_text(errors="replace")
        log = pathlib.Path(self.dir, "estuaryd.log")
        return said + (log.read_text(errors="replace") if log.exists() else "")

    @property
    def est_url(self):
        return self.info["est_url"]

    @property
    def root_file(self):
        return self.info["root_file"]

    @property
    def code(self):
        return self.info["code"]

    @property
    def device_port(self):
        return int(re.search(r":(\d+)/", self.info["est_url"]).group(1))

    @property
    def public_port(self):
        return int(self.info["public_url"].rsplit(":", 1)[1].strip("/"))

    @property
    def daemon_pid(self):
        return int(re.search(r"pid=(\d+)", pathlib.Path(self.info["ready_file"]).read_text()).group(1))

    def role_pids(self, role):
        """Process ids of a role ("front", "authority", "signer", "console") of this server."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                status = (p / "status").read_text()
                exe = (p / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if re.search(rf"^PPid:\t{self.daemon_pid}$", status, re.M) and os.path.basename(exe) == role:
                found.append(int(p.name))
        return found

    def op(self, verb, _check=True, **args):
        """An operator's message over the local socket; the result, or with _check=False the whole answer."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        sock.connect(os.path.join(self.dir, "run/operator.sock"))
        h = http.client.HTTPConnection("localhost")
        h.sock = sock
        try:
            h.request("POST", "/operator", json.dumps({"verb": verb, "args": args}), {"Content-Type": "application/json"})
            answer = json.loads(h.getresponse().read())
        finally:
            h.close()
        if not _check:
            return answer
        assert answer["ok"], f"{verb}: {answer}"
        return answer["result"]

    def why(self, answer):
        """The audit record of the request that an Answer is to."""
        return self.op("audit.why", request_id=answer.id)

    def label(self, label_name, **settings):
        """Make a label, or change it."""
        have = [x["name"] for x in self.op("label.list")["items"]]
        return self.op("label.set" if label_name in have else "label.create", name=label_name, **settings)

    def client(self, **kw):
        return Client(self, **kw)

    def enrol(self, der, label="", reenrol=False, pair=None, headers=None, tls=None, source=None, body=None,
              content_type="application/pkcs10"):
        """POST a request on a connection of its own."""
        path = "/.well-known/est/" + (label + "/" if label else "") + ("simplereenroll" if reenrol else "simpleenroll")
        with self.client(pair=pair, tls=tls, source=source) as c:
            return c.request("POST", path, b64(der) if body is None else body,
                             {**({"Content-Type": content_type} if content_type else {}), **(headers or {})})

    def get(self, op, label="", **kw):
        with self.client(**kw) as c:
            return c.request("GET", "/.well-known/est/" + (label + "/" if label else "") + op)

    def new_code(self, **kw):
        return self.op("credential.add", kind="code", **{"scope": "new", **kw})["secret"]

    def born(self, cn=None, label="idevid", key=None, sans=None, subject=None):
        """A device with a certificate by a one-time code."""
        key = key or new_key()
        cn = cn or fresh_name()
        answer = self.enrol(csr(key, subject or cn, sans), label, headers=basic("", self.new_code()))
        assert answer.status == 200, answer
        return Pair(answer.cert, key, os.path.dirname(self.dir))

    def cli(self, *args, check=True, **kw):
        """The estuary command against this server."""
        r = subprocess.run([str(ESTUARY), *args], capture_output=True, text=True, timeout=120,
                           env={**os.environ, "ESTUARY_DIR": self.dir, **self.env}, **kw)
        if check:
            assert r.returncode == 0, f"estuary {' '.join(args)}: {r.returncode}\n{r.stdout}{r.stderr}"
        return r

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.process = None
        self.log_file.close()
        return code


class Daemon(Server):
    """The service form: `estuaryd -c FILE` itself, on a directory that quickstart has prepared."""

    def start(self):
        self.config = os.path.join(self.dir, "estuaryd.toml")
        if not os.path.exists(self.config):
            subprocess.run([str(ESTUARY), "quickstart", "--no-serve", "--dir", self.dir, "--device-port", "0", "--operator-port", "0",
                            "--public-port", "0", *self.args], check=True, capture_output=True, timeout=60)
        return self.run()

    def run(self):
        """Start it on what is there."""
        self.launch()
        wait_for("the server to be ready", self._ready)
        return self

    def launch(self, prefix=()):
        """As run(), but without waiting; prefix: a command that runs it."""
        self.log_file = open(os.path.join(self.dir, "estuaryd.log"), "ab")
        self.process = subprocess.Popen([*prefix, str(ESTUARYD), "-c", self.config], stdout=self.log_file, stderr=subprocess.STDOUT,
                                        env={**os.environ, **self.env})

    def _ready(self):
        """The file of this very process, not what one that was killed has left."""
        try:
            return super()._ready() and f"pid={self.process.pid}\n" in pathlib.Path(self.info["ready_file"]).read_text()
        except FileNotFoundError:
            return False

    @property
    def daemon_pid(self):
        return self.process.pid

    def log_text(self):
        return pathlib.Path(self.dir, "estuaryd.log").read_text(errors="replace")


def parallel(n, fn):
    """Run fn(i) in n threads at once; their results in order, the first exception raised."""
    out, gate = [None] * n, threading.Barrier(n)

    def run(i):
        gate.wait()
        try:
            out[i] = fn(i)
        except Exception as e:  # told below
            out[i] = e

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for x in out:
        if isinstance(x, Exception):
            raise x
    return out
