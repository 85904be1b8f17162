# SPDX-License-Identifier: Apache-2.0
"""Revocation lists that are long, and lists that cannot be made."""
import contextlib
import os
import sqlite3
import urllib.request

from cryptography import x509

REVOKED = 30000


def revoke_many(server, n):
    """Rows of n revoked certificates, written into the store of a stopped server."""
    with contextlib.closing(sqlite3.connect(os.path.join(server.dir, "store/estuary.db"), isolation_level=None)) as db:
        db.execute("BEGIN")
        row = list(db.execute("SELECT * FROM cert WHERE label = 'idevid' LIMIT 1").fetchone())
        names = [c[1] for c in db.execute("PRAGMA table_info(cert)")]
        at = {name: names.index(name) for name in names}
        row[at["id"]] = None
        for i in range(n):
            row[at["serial"]] = format(0x5A << 120 | i, "032x")
            row[at["sha256"]] = os.urandom(32)
            row[at["revoked_at"]], row[at["revoked_reason"]] = row[at["issued_at"]], 1
            db.execute(f"INSERT INTO cert VALUES({','.join('?' * len(row))})", row)
        db.execute("COMMIT")


def test_a_list_of_thirty_thousand_is_made_and_served_whole(fresh_server):
    server = fresh_server()
    server.born()
    assert server.stop() == 0
    revoke_many(server, REVOKED)
    server.start()
    number = server.op("crl.publish", ca="issuing")["number"]
    with urllib.request.urlopen(f"{server.info['public_url']}/crl/issuing.crl", timeout=30) as r:
        crl = x509.load_der_x509_crl(r.read())
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number >= number
    assert len(crl) == REVOKED
    assert server.op("server.status")["crl_ok"]
