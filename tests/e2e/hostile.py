# SPDX-License-Identifier: Apache-2.0
"""An EST server that follows a script, with a CA of its own: honest where it is told to be, and as bad as can be elsewhere."""
import base64
import ipaddress
import socket
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

import estuary
from estuary import PATIENCE, mint

BAG_TYPE = "application/pkcs7-mime; smime-type=certs-only"
# ContentInfo{signedData, SignedData{1, {}, data, [no certificates], {}}}
EMPTY_BAG = bytes.fromhex("302306092a864886f70d010702a01630140201013100300b06092a864886f70d0107013100")


class _Public:
    """The key of a request, as mint() wants a key: it needs only the public half of one that it does not sign with."""

    def __init__(self, public):
        self._public = public

    def public_key(self):
        return self._public


class Ask:
    """One request as it came."""

    def __init__(self, server, method, path, headers, body, client):
        self.server, self.method, self.headers, self.body, self.client = server, method, headers, body, client
        self.path, self.time = path, time.monotonic()
        self.where, self.operation = path.strip("/").split("/")[0], path.rsplit("/", 1)[1]

    @property
    def csr(self):
        return x509.load_der_x509_csr(base64.b64decode(self.body))


def answer(status, body=b"", headers=(), length=None):
    """The octets of an answer."""
    fields = {"Content-Length": len(body) if length is None else length, "X-Request-Id": "hostile-7", **dict(headers)}
    top = f"HTTP/1.1 {status} Whatever\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items() if v is not None)
    return top.encode() + b"\r\n" + body


def bag(*certs):
    """Certificates as EST answers them."""
    der = pkcs7.serialize_certificates(list(certs), serialization.Encoding.DER) if certs else EMPTY_BAG
    return answer(200, estuary.b64(der), {"Content-Type": BAG_TYPE, "Content-Transfer-Encoding": "base64"})


class HostileEst:
    """
    Listens on loopback with TLS.  script: {where: fn(ask)} gives what the operations below /where/ answer: octets, or an
    iterator of them; where none stands, or fn returns None, the server is honest.  Thread-safe as far as tests need.
    """

    def __init__(self, directory, ca=None):
        self.directory, self.ca = directory, ca or estuary.OutsideCa()
        self.script, self.asks, self.handshakes, self.connections, self.octets = {}, [], 0, 0, 0
        self.become()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def become(self, name="localhost", issuer=None, tls=None, clients_of=None, **validity):
        """How connections are served from now on: by whose certificate, for which name, and whose clients alone are taken."""
        key, ca = estuary.new_key(), issuer or self.ca
        names = [x509.DNSName(name)] + ([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))] if name == "localhost" else [])
        cert = mint((ca.cert, ca.key), name, key, sans=names, ekus=[ExtendedKeyUsageOID.SERVER_AUTH], **validity)
        pair = estuary.Pair(cert, key, self.directory)
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(pair.cert_file, pair.key_file)
        ctx.verify_mode = ssl.CERT_REQUIRED if clients_of else ssl.CERT_OPTIONAL
        ctx.load_verify_locations(cadata=(clients_of or self.ca).pem)
        if tls:
            ctx.minimum_version = ctx.maximum_version = tls
        self._context = ctx

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def url(self, where, scheme="https"):
        return f"{scheme}://localhost:{self.port}/{where}"

    def of(self, where, operation=None):
        """The requests below /where/ so far."""
        return [a for a in list(self.asks) if a.where == where and operation in (None, a.operation)]

    def stop(self):
        self._listener.close()
        for s in self._sockets:
            try:
                s.close()
            except OSError:
                pass

    # --- connections ---

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(PATIENCE)
        try:
            with self._context.wrap_socket(sock, server_side=True) as tls:
                self._sockets.append(tls)
                self.handshakes += 1
                while self._one(tls):
                    pass
        except OSError:
            sock.close()  # a device that leaves in the middle is what many tests are about

    def _one(self, tls):
        """A request and its answer; False: the connection is to end."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = tls.recv(65536)
            self.octets += len(more)
            if not more:
                return False
            data += more
        top, body = data.split(b"\r\n\r\n", 1)
        line, *fields = top.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (f.split(":", 1) for f in fields)}
        while len(body) < int(headers.get("content-length", 0)):
            body += tls.recv(65536)
        ask = Ask(self, *line.split(" ")[:2], headers, body, tls.getpeercert(binary_form=True))
        self.asks.append(ask)
        said = self.say(ask)
        for part in [said] if isinstance(said, bytes) else said:
            tls.sendall(part)
        return isinstance(said, bytes) and "Connection: close" not in said.decode("latin-1")

    # --- answers ---

    def say(self, ask):
        return self.script.get(ask.where, lambda a: None)(ask) or self.honest(ask)

    def issue(self, ask, subject=None, key=None, issuer=None, **kw):
        """A certificate for the request, unless something else is said; keywords as mint()."""
        csr = ask.csr
        return mint(issuer or (self.ca.cert, self.ca.key), subject or csr.subject, _Public(key or csr.public_key()), **kw)

    def honest(self, ask):
        if ask.operation == "cacerts":
            return bag(self.ca.cert)
        return bag(self.issue(ask))


def sub_ca(ca, key, **kw):
    """An intermediate of ca with that key, as an issuer for mint()."""
    return mint((ca.cert, ca.key), estuary.fresh_name("issuing"), key, ca=True, **kw), key

