# SPDX-License-Identifier: Apache-2.0
"""The device's side of the provisioning service and the hub: calls, shared access signatures, and a TPM made of a few functions."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import struct
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import estuary

VERSION = "2021-06-01"
HUB_VERSION = "2017-11-08-preview"
JSON = {"Content-Type": "application/json"}


def b64(octets):
    return base64.b64encode(octets).decode()


def derive(group_key, registration):
    """The key of one device of a group; keys are base64, as people have them."""
    return b64(hmac.new(base64.b64decode(group_key), registration.lower().encode(), hashlib.sha256).digest())


def sas(resource, key, skn=None, end=3600, se=None, sign=None):
    """A token as Azure's SDKs make it; key is base64, or the function that makes the HMAC; sign: another text that is signed."""
    se = str(int(time.time()) + end) if se is None else se
    text = (sign if sign is not None else f"{resource}\n{se}").encode()
    mac = key(text) if callable(key) else hmac.new(base64.b64decode(key), text, hashlib.sha256).digest()
    return f"SharedAccessSignature sr={resource}&sig={urllib.parse.quote(b64(mac), safe='')}&se={se}" + (f"&skn={skn}" if skn else "")


class Dps:
    """One server's provisioning service, as devices see it."""

    def __init__(self, server):
        self.server = server
        self.scope = server.op("dps.show")["id_scope"]
        self.hub = f"localhost:{server.device_port}"
        if self.hub not in [h["name"] for h in server.op("hub.list")["items"]]:
            server.op("hub.add", name=self.hub)

    def token(self, registration, key, scope=None, skn="registration", **kw):
        return sas(urllib.parse.quote(f"{scope or self.scope}/registrations/{registration}", safe="").lower(), key, skn, **kw)

    def hub_token(self, device, key, hub=None, **kw):
        return sas(urllib.parse.quote(f"{hub or self.hub}/devices/{device}", safe="").lower(), key, **kw)

    def send(self, method, path, body=None, pair=None, token=None, headers=(), version=VERSION, source=None, tls=None):
        """One request on a connection of its own; each comes from an address of its own, so that wrong tokens throttle nobody else."""
        fields = list(dict(headers).items() if isinstance(headers, dict) else headers)
        if token is not None:
            fields.append(("Authorization", token))
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None and not any(k.lower() == "content-type" for k, _ in fields):
            fields += JSON.items()
        query = f"?api-version={version}" if version else ""
        with self.server.client(pair=pair, tls=tls, source=source or estuary.fresh_address()) as c:
            return c.request(method, path + query, body, fields)

    def path(self, registration, tail="", scope=None):
        return f"/{scope or self.scope}/registrations/{registration}{tail}"

    def register(self, registration, body=None, scope=None, tail="/register", method="PUT", **kw):
        return self.send(method, self.path(registration, tail, scope), {"registrationId": registration} if body is None else body, **kw)

    def operation(self, registration, operation, **kw):
        return self.send("GET", self.path(registration, f"/operations/{operation}"), **kw)

    def status(self, registration, **kw):
        return self.send("POST", self.path(registration), {"registrationId": registration}, **kw)

    def assigned(self, registration, body=None, **kw):
        """Register and poll, as a device does; the state that it ends in."""
        a = self.register(registration, body, **kw)
        assert a.status == 202, a
        operation = answer(a)["operationId"]

        def done():
            p = self.operation(registration, operation, **kw)
            assert p.status in (200, 202), p
            state = answer(p)
            return state["status"] != "assigning" and state["registrationState"]

        return estuary.wait_for(f"{registration} to be assigned", done)

    # --- the hub ---

    def modules(self, device, module=None, method="GET", body=None, match=None, version=HUB_VERSION, **kw):
        headers = list(kw.pop("headers", ()))
        if match is not None:
            headers.append(("If-Match", match))
        return self.send(method, f"/devices/{device}/modules" + (f"/{module}" if module else ""), body, version=version, headers=headers, **kw)


def answer(a):
    return json.loads(a.body)


# --- a TPM ---

SHA256_ALG = b"\0\x0b"
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")


def sized(octets):
    return struct.pack(">H", len(octets)) + octets


def take(octets):
    """A TPM2B's contents, and what follows it."""
    n = struct.unpack(">H", octets[:2])[0]
    assert len(octets) >= 2 + n
    return octets[2:2 + n], octets[2 + n:]


def kdfa(key, label, context, bits):
    return hmac.new(key, struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", bits), hashlib.sha256).digest()[:bits // 8]


def cfb(key, octets):
    d = Cipher(algorithms.AES(key), modes.CFB(bytes(16))).decryptor()
    return d.update(octets) + d.finalize()


class SoftTpm:
    """Endorsement key, storage root key, and what is done with them in TPM 2.0 Part 1, 23 and 24; it opens what was wrapped for it."""

    def __init__(self):
        self._ek, self._srk = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.key = None

    @staticmethod
    def _public(key, attributes, policy):
        n = key.public_key().public_numbers().n.to_bytes(256, "big")
        return (b"\0\x01" + SHA256_ALG + struct.pack(">I", attributes) + sized(policy) + b"\0\x06\0\x80\0\x43" + b"\0\x10" +
                struct.pack(">HI", 2048, 0) + sized(n))

    @property
    def ek(self):
        return sized(self._public(self._ek, 0x000300b2, EK_POLICY))

    @property
    def srk(self):
        return sized(self._public(self._srk, 0x00030472, b""))

    @property
    def body(self):
        return {"tpm": {"endorsementKey": b64(self.ek), "storageRootKey": b64(self.srk)}}

    @staticmethod
    def _open(key, secret, label):
        return key.decrypt(secret, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label + b"\0"))

    @staticmethod
    def _unwrap(seed, octets, name):
        """The outer wrapper: integrity first, then what is inside."""
        mac, inside = take(octets)
        assert hmac.compare_digest(mac, hmac.new(kdfa(seed, b"INTEGRITY", b"", 256), inside + name, hashlib.sha256).digest())
        return cfb(kdfa(seed, b"STORAGE", name, 128), inside)

    def take_key(self, blob):
        """The HMAC key in DPS's authenticationKey."""
        parts = []
        while blob:
            part, blob = take(blob)
            parts.append(part)
        credential, ek_secret, private, srk_seed, public = parts[:5]
        srk_name = SHA256_ALG + hashlib.sha256(take(self.srk)[0]).digest()
        inner, _ = take(self._unwrap(self._open(self._ek, ek_secret, b"IDENTITY"), credential, srk_name))
        name = SHA256_ALG + hashlib.sha256(public).digest()
        wrapped = cfb(inner, self._unwrap(self._open(self._srk, srk_seed, b"DUPLICATE"), private, name))
        digest, sensitive = take(wrapped)
        assert digest == hashlib.sha256(sensitive + name).digest()
        rest = take(sensitive)[0][2:]
        for _ in range(2):  # authorisation value, seed
            _, rest = take(rest)
        self.key = take(rest)[0]
        return self.key

    def sign(self, text):
        return hmac.new(self.key, text, hashlib.sha256).digest()


# --- a webhook ---

class Webhook:
    """A small https server that is asked for hubs; `say` is the JSON to answer with, or a function of what was asked."""

    def __init__(self, directory, say=None, status=200):
        self.asked, self.say, self.status, self.gate = [], say, status, threading.Event()
        self.gate.set()
        key = estuary.new_key()
        san = [estuary.x509.DNSName("localhost")]
        cert = estuary.mint(None, "localhost", key, sans=san, ekus=(estuary.ExtendedKeyUsageOID.SERVER_AUTH,))
        self.pem = os.path.join(directory, "webhook.pem")
        with open(self.pem, "wb") as f:
            f.write(cert.public_bytes(serialization.Encoding.PEM))
        with open(self.pem + ".key", "wb") as f:
            f.write(estuary.key_pem(key))
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.asked.append(asked)
                hook.gate.wait(estuary.PATIENCE)
                said = hook.say(asked) if callable(hook.say) else hook.say
                said = said if isinstance(said, bytes) else json.dumps(said).encode()
                try:
                    self.send_response(hook.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(said)))
                    self.end_headers()
                    self.wfile.write(said)
                except OSError:
                    pass  # whoever asked has gone

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(self.pem, self.pem + ".key")
        self.http.socket = ctx.wrap_socket(self.http.socket, server_side=True)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.http.server_address[1]}/allocate"

    def stop(self):
        self.gate.set()
        self.http.shutdown()
        self.http.server_close()
