# SPDX-License-Identifier: Apache-2.0
"""An EST server that answers what a test likes."""
import http.server
import pathlib
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from estuary import OutsideCa, b64, der_of, key_pem, mint, new_key


class Fake:
    """An EST server with a CA of its own; what it answers to an enrolment is the test's."""

    def __init__(self, directory, answer=None):
        self.ca, self.seen, self.answer = OutsideCa(), [], answer or (lambda fake, der: (200, {}, fake.bag(fake.leaf(der))))
        key = new_key()
        leaf = mint((self.ca.cert, self.ca.key), "localhost", key, ekus=(x509.oid.ExtendedKeyUsageOID.SERVER_AUTH,), sans=[x509.DNSName("localhost")])
        pair = pathlib.Path(directory, "fake.pem")
        pair.write_bytes(key_pem(key) + leaf.public_bytes(Encoding.PEM) + self.ca.pem.encode())
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def say(self, status, headers, body):
                self.send_response(status)
                for k, v in {"Content-Type": "application/pkcs7-mime", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                fake.seen.append((self.path, dict(self.headers)))
                if self.path.endswith("cacerts"):
                    self.say(200, {}, fake.bag(fake.ca.cert))
                else:
                    self.say(204, {}, b"")

            def do_POST(self):
                fake.seen.append((self.path, dict(self.headers)))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.say(*fake.answer(fake, der_of(body)))

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(pair)
        self.http.socket = ctx.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"https://localhost:{self.http.server_port}"
        self.pin = "sha256:" + self.ca.cert.fingerprint(hashes.SHA256()).hex()

    def leaf(self, der, issuer=None, key=None, **kw):
        req = x509.load_der_x509_csr(der)
        ca = issuer or self.ca

        class Public:  # mint() asks a key for its public half alone
            def public_key(self):
                return key.public_key() if key else req.public_key()
        return mint((ca.cert, ca.key), req.subject, Public(), **kw)

    @staticmethod
    def bag(*certs):
        return b64(pkcs7.serialize_certificates(list(certs), Encoding.DER))

    def close(self):
        self.http.shutdown()
        self.http.server_close()
