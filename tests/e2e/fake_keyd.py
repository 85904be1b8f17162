# SPDX-License-Identifier: Apache-2.0
"""A Keys Service of some lines, second opinion on the wire format: what the provider is tested against besides ours."""
import base64
import http.server
import json
import pathlib
import secrets
import socketserver
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils  # noqa: E402

CLASSIC, OWN = "2021-05-01", "2026-11-01"


def b64(octets):
    return base64.b64encode(octets).decode()


def big_endian(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Refused(Exception):
    """An answer that is none."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


INVALID = 'a parameter has an invalid value'
BAD_HANDLE = 'parameter "handle" has an invalid value\ncaused by: invalid handle'


class FakeKeyd:
    """Keys by ID in memory, served on a Unix socket until stop(); original=True: without what only Estuary's has."""

    def __init__(self, socket, original=False):
        self.socket, self.original = str(socket), original
        self.keys, self.forbidden, self.asked = {}, set(), []
        self.handles = {}
        keyd = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

            def answer(self):
                text = self.rfile.read(int(self.headers.get("content-length", 0)))
                try:
                    status, value = 200, keyd.ask(self.command, self.path, json.loads(text) if text else None)
                except Refused as e:
                    status, value = e.status, {"message": e.message}
                body = b"" if value is None else json.dumps(value).encode()
                self.send_response(204 if value is None else status)
                if body:
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            do_GET = do_POST = do_DELETE = answer

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(self.socket, Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        pathlib.Path(self.socket).unlink(missing_ok=True)

    def forget_handles(self):
        """All handles that were given so far are refused from now on."""
        self.handles.clear()

    # --- what it is asked ---

    def ask(self, method, target, body):
        path, _, query = target.partition("?")
        version = urllib.parse.parse_qs(query).get("api-version", [None])[-1]
        if version not in ([CLASSIC] if self.original else [CLASSIC, OWN]):
            raise Refused(400, f'invalid api-version "{version}"')
        first, _, rest = path.lstrip("/").partition("/")
        self.asked.append((method, first, urllib.parse.unquote(rest)))
        if method == "GET" and first == "keypair":
            return {"keyHandle": self.handle(urllib.parse.unquote(rest))}
        if method == "POST" and first == "keypair":
            if body["from"] not in self.keys:
                raise Refused(400, INVALID)
            self.keys[urllib.parse.unquote(rest)] = self.keys.pop(body["from"])
            return None
        key = self.key(body["keyHandle"])
        if first == "parameters":
            return {"value": self.parameter(key, rest)}
        if first == "sign":
            return {"signature": b64(self.sign(key, body["algorithm"], body["parameters"]))}
        if first == "encrypt":
            return {"ciphertext": b64(self.encrypt(key, body["algorithm"], base64.b64decode(body["plaintext"])))}
        raise Refused(404, "not found")

    def handle(self, key_id):
        if key_id in self.forbidden:
            raise Refused(401, f"user 1000 is not authorized to access the key {key_id}")
        if key_id not in self.keys:
            raise Refused(400, INVALID)
        # As the original's look: with signs that must survive a URI.
        handle = f"sr={b64(key_id.encode())}&sig={b64(secrets.token_bytes(32))}"
        self.handles[handle] = key_id
        return handle

    def key(self, handle):
        if handle not in self.handles:
            raise Refused(400, BAD_HANDLE)
        if self.handles[handle] not in self.keys:
            raise Refused(400, INVALID)
        return self.keys[self.handles[handle]]

    def parameter(self, key, name):
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        if name == "spki" and not self.original:
            return b64(spki(key))
        if name == "algorithm":
            return "RSA" if is_rsa else "ECDSA"
        if is_rsa and name in ("rsa-modulus", "rsa-exponent"):
            numbers = key.public_key().public_numbers()
            return b64(big_endian(numbers.n if name == "rsa-modulus" else numbers.e))
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
            if name == "ec-curve-oid":
                return b64(bytes.fromhex("06082a8648ce3d030107"))
            if name == "ec-point":
                return b64(key.public_key().public_bytes(serialization.Encoding.X962,
                                                         serialization.PublicFormat.CompressedPoint))
        raise Refused(400, INVALID)

    def sign(self, key, algorithm, parameters):
        if algorithm == "ECDSA" and isinstance(key, ec.EllipticCurvePrivateKey):
            digest = base64.b64decode(parameters["digest"])
            kinds = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
            if len(digest) not in kinds:
                raise Refused(400, INVALID)
            return key.sign(digest, ec.ECDSA(utils.Prehashed(kinds[len(digest)])))
        if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(base64.b64decode(parameters["message"]))
        raise Refused(400, 'parameter "mechanism" has an invalid value')

    def encrypt(self, key, algorithm, plaintext):
        if not isinstance(key, rsa.RSAPrivateKey):
            raise Refused(400, 'parameter "mechanism" has an invalid value')
        numbers, size = key.private_numbers(), key.key_size // 8
        if algorithm == "RSA-PKCS1" and len(plaintext) <= size - 11:
            plaintext = b"\0\1" + b"\xff" * (size - 3 - len(plaintext)) + b"\0" + plaintext
        elif algorithm != "RSA-NO-PADDING" or len(plaintext) != size:
            raise Refused(400, INVALID)
        number = int.from_bytes(plaintext, "big")
        if number >= numbers.public_numbers.n:
            raise Refused(400, INVALID)
        return pow(number, numbers.d, numbers.public_numbers.n).to_bytes(size, "big")
