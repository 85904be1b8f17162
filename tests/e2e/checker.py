# SPDX-License-Identifier: Apache-2.0
"""Load that remembers all that was acknowledged, and what must be true of the server afterwards."""
import base64
import http.client
import os
import pathlib
import random
import sqlite3
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

import estuary

HANG_S = 15  # longer than any restart takes
LOST = (ConnectionError, ssl.SSLError, http.client.HTTPException, OSError)


class Load:
    """Threads that enrol without end; each repeats a request until it is answered, as a device does."""

    def __init__(self, server, threads=8):
        self.server, self.acks, self.wrong, self.lost, self.unavailable = server, [], [], [], 0
        self._over, self._lock = threading.Event(), threading.Lock()
        secret = "the load's own password"
        server.op("credential.add", kind="password", user="load", secret=secret, scope="new")
        self._auth = estuary.basic("load", secret)
        self._pool = ThreadPoolExecutor(threads)
        self._runs = [self._pool.submit(self._new if i % 2 else self._renewals) for i in range(threads)]

    def _once(self, der, **kw):
        """200's answer, or None: try again."""
        begin = time.monotonic()
        try:
            a = self.server.enrol(der, "idevid", **kw)
        except LOST as e:
            with self._lock:
                self.lost.append(repr(e))
            if time.monotonic() - begin > HANG_S:
                self.wrong.append(f"a request hung: {e!r}")
            return None
        if a.status == 503 and int(a.headers["Retry-After"] or 0) > 0:
            with self._lock:
                self.unavailable += 1
        elif a.status != 200:
            self.wrong.append(f"answer {a} {a.headers.items()}")
        return a if a.status == 200 else None

    def _enrol(self, der, who, **kw):
        """The certificate, once it has come; None when the load is over."""
        while not self._over.is_set():
            a = self._once(der, **kw)
            if a is not None:
                with self._lock:
                    self.acks.append((who, a.id, a.cert))
                return a.cert
            self._over.wait(0.05)
        return None

    def _each(self, der, who, **kw):
        cert = self._enrol(der, who, **kw)
        if cert is not None and random.random() < 0.3:
            self._enrol(der, who, **kw)  # as if its answer had been lost on the way
        return cert

    def _new(self):
        while not self._over.is_set():
            name = estuary.fresh_name("load")
            self._each(estuary.csr(estuary.new_key(), name), (name, 0), headers=self._auth)

    def _renewals(self):
        """One device, renewed again and again by its last certificate."""
        name, n = estuary.fresh_name("load"), 0
        key = estuary.new_key()
        cert = self._each(estuary.csr(key, name), (name, 0), headers=self._auth)
        while cert is not None:
            pair = estuary.Pair(cert, key, os.path.dirname(self.server.dir))
            n, key = n + 1, estuary.new_key()
            cert = self._each(estuary.csr(key, name), (name, n), pair=pair, reenrol=True)

    def wait_more(self, n=20):
        """Until n more certificates were acknowledged: it goes on by itself."""
        goal = len(self.acks) + n

        def went_on():
            assert not self.wrong, self.wrong[:5]
            for r in self._runs:
                assert not r.done(), r.exception()
            return len(self.acks) >= goal

        estuary.wait_for("the load to go on", went_on)

    def stop(self):
        """End it; everything acknowledged as [((device, generation), request id, certificate)]."""
        self._over.set()
        for r in self._runs:
            r.result(HANG_S * 2)
        self._pool.shutdown()
        assert not self.wrong, self.wrong[:5]
        assert self.acks
        return self.acks

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()


class CrlWatch:
    """Looks at a CA's CRL on disk without pause: whole, signed, of a number that never falls."""

    def __init__(self, server, ca="issuing"):
        self.path = pathlib.Path(server.dir, "public", f"{ca}.crl")
        self.ca = x509.load_pem_x509_certificate(server.op("ca.show", name=ca)["pem"].encode())
        self.numbers, self.wrong = [], []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def look(self):
        """The number of what is there now, after it was judged."""
        crl = x509.load_der_x509_crl(self.path.read_bytes())
        assert crl.is_signature_valid(self.ca.public_key()), "the CRL's signature is wrong"
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    def _run(self):
        while not self._over.wait(0.002):
            try:
                n = self.look()
            except Exception as e:  # told by stop()
                self.wrong.append(repr(e))
                continue
            if self.numbers and n < self.numbers[-1]:
                self.wrong.append(f"number {n} after {self.numbers[-1]}")
            if not self.numbers or n != self.numbers[-1]:
                self.numbers.append(n)

    def stop(self):
        self._over.set()
        self._thread.join()
        assert not self.wrong, self.wrong[:5]
        return self.numbers


def rows(server, sql):
    db = sqlite3.connect(f"file:{server.dir}/store/estuary.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def check_store(server):
    """Certificates and audit chain, whatever was acknowledged; {sha256: (serial, request id)} of the certificates."""
    assert server.op("audit.verify")["ok"]
    certs = rows(server, "SELECT sha256, serial, request_id, der FROM cert")
    assert len({serial for _, serial, _, _ in certs}) == len(certs), "a serial stands twice"
    for sha256, serial, _, der in certs:
        cert = x509.load_der_x509_certificate(der)
        assert cert.fingerprint(hashes.SHA256()) == sha256 and format(cert.serial_number, "032x") == serial
    chain = rows(server, "SELECT id, prev, hash FROM audit ORDER BY id")
    assert [i for i, _, _ in chain] == list(range(1, len(chain) + 1)), "the audit record has a gap"
    assert all(b[1] == a[2] for a, b in zip(chain, chain[1:])), "the audit chain is broken"
    audited = rows(server, "SELECT cert_sha256, serial FROM audit WHERE cert_sha256 IS NOT NULL AND kind <> 'ca'")
    assert {(s, n) for s, n, _, _ in certs} <= set(audited), "a certificate without a record"
    assert rows(server, "SELECT name FROM device WHERE state = 'forked'") == []
    return {sha256: (serial, request) for sha256, serial, request, _ in certs}


def check(server, acks):
    """Is all that was acknowledged there, once?"""
    certs = check_store(server)
    given = {}
    for who, request, cert in acks:
        sha256 = cert.fingerprint(hashes.SHA256())
        assert sha256 in certs, f"{who}: acknowledged by {request}, not in the store"
        assert certs[sha256][0] == format(cert.serial_number, "032x")
        assert given.setdefault(who, cert) == cert, f"{who}: two certificates for one request"
    last = acks[-1][2]
    shown = server.op("cert.show", serial=format(last.serial_number, "032x"))
    assert base64.b64decode("".join(shown["pem"].split("\n")[1:-2])) == last.public_bytes(Encoding.DER)
