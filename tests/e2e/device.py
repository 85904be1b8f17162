# SPDX-License-Identifier: Apache-2.0
"""A device in a scratch directory: the services with their configuration, and ways to ask them."""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from estuary import BUILD, PATIENCE, wait_for

AGENT = BUILD / "src/device/agent/estuary-agent"
OWN = "2026-11-01"


def stem(identifier):
    """The file name that the original service gives an ID."""
    return re.sub("[^A-Za-z0-9]", "", identifier) + "-" + hashlib.sha256(identifier.encode()).hexdigest()


class UnixHttp(http.client.HTTPConnection):
    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json["message"]

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Service:
    """One running service."""

    def __init__(self, device, name, env=None, wrap=()):
        self.device, self.name, self.env, self.wrap, self.process = device, name, env or {}, list(wrap), None

    @property
    def socket(self):
        return self.device.prefix / "run/aziot" / f"{self.name}.sock"

    @property
    def log_file(self):
        return self.device.prefix / f"{self.name}.log"

    @property
    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self, wait=True):
        before = self.log.count("Starting server...")
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([*self.wrap, str(AGENT), self.name, "--prefix", str(self.device.prefix)],
                                            stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **self.env})
        if wait:
            wait_for(f"{self.name} to start", lambda: self._started(before))
        return self

    def _started(self, before):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log}")
        return self.log.count("Starting server...") > before

    def reload(self):
        before = self.log.count("Config update finished.")
        self.process.send_signal(signal.SIGHUP)
        wait_for("the configuration to be read again", lambda: self.log.count("Config update finished.") > before)

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(PATIENCE)
        self.process = None
        return status

    def request(self, method, path, body=None, version="2020-09-01", headers=None, timeout=PATIENCE):
        h = UnixHttp(self.socket, timeout)
        try:
            sent = json.dumps(body) if isinstance(body, (dict, list)) else body
            fields = {"Content-Type": "application/json"} if isinstance(body, (dict, list)) else {}
            query = f"{'&' if '?' in path else '?'}api-version={version}" if version else ""
            h.request(method, path + query, sent, {**fields, **(headers or {})})
            r = h.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            h.close()


class Device:
    """keyd, certd and, for those who start it, identityd below one prefix."""

    def __init__(self, directory=None):
        self.prefix = pathlib.Path(directory or tempfile.mkdtemp(prefix="device-"))
        for name in ("keyd", "certd", "identityd"):
            (self.prefix / f"etc/aziot/{name}/config.d").mkdir(parents=True, exist_ok=True)
            (self.prefix / f"var/lib/aziot/{name}").mkdir(parents=True, exist_ok=True)
            setattr(self, name, Service(self, name))
        (self.prefix / "run/aziot").mkdir(parents=True, exist_ok=True)

    def configure(self, service, text, name="10-test.toml"):
        (self.prefix / "etc/aziot" / service / "config.d" / name).write_text(text)

    def start(self):
        self.keyd.start()
        self.certd.start()
        return self

    def stop(self):
        self.identityd.stop()
        self.certd.stop()
        self.keyd.stop()

    def file(self, name, content):
        """A file of the device's, e.g. a bootstrap certificate; its path."""
        path = self.prefix / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def keep_pair(self, name, pair):
        """A certificate and its key as files, as a factory leaves them; their file: URIs."""
        cert = self.file(f"{name}.cert.pem", pair.cert.public_bytes(serialization.Encoding.PEM))
        key = self.file(f"{name}.key.pem", pathlib.Path(pair.key_file).read_bytes())
        return cert.as_uri(), key.as_uri()

    def cert_file(self, identifier):
        return self.prefix / "var/lib/aziot/certd/certs" / (stem(identifier) + ".cer")

    def key_file(self, identifier):
        return self.prefix / "var/lib/aziot/keyd/keys" / (stem(identifier) + ".key")

    def cert(self, identifier):
        """The leaf on disk, or None."""
        path = self.cert_file(identifier)
        return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None

    def key(self, identifier):
        path = self.key_file(identifier)
        return serialization.load_pem_private_key(path.read_bytes(), None) if path.exists() else None

    def matches(self, certificate, key=None):
        """Are the certificate and the key on disk one pair?"""
        c, k = self.cert(certificate), self.key(key or certificate)
        return c is not None and k is not None and _spki(c.public_key()) == _spki(k.public_key())

    def agent(self, *args, check=True, env=None):
        r = subprocess.run([str(AGENT), *args, "--prefix", str(self.prefix)], capture_output=True, text=True,
                           timeout=PATIENCE * 2, env={**os.environ, **(env or {})})
        if check:
            assert r.returncode == 0, f"{args}: {r.returncode}\n{r.stdout}{r.stderr}"
        return r

    def status(self):
        return self.certd.request("GET", "/status", version=OWN).json

    def credential(self, identifier):
        """The status of one credential of certd's own."""
        return next((c for c in self.status()["credentials"] if c["id"] == identifier), None)

    def request(self, identifier, csr_pem, **more):
        return self.certd.request("POST", "/certificates", {"certId": identifier, "csr": csr_pem, **more})


def _spki(public):
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def csr_pem(der):
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = "\n".join(text[i:i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"

