# SPDX-License-Identifier: Apache-2.0
"""Revocation lists that are long, that cannot be made, that were lost; and what else a CA publishes."""
import contextlib
import datetime
import os
import pathlib
import signal
import sqlite3
import urllib.error
import urllib.request

from cryptography import x509

from checker import rows
from clock import DAY, Clock
from estuary import wait_for
from test_crash import kill_role

REVOKED = 30000


def fetch(server, path):
    """A file of the public listener; None when there is none."""
    try:
        with urllib.request.urlopen(f"{server.info['public_url']}{path}", timeout=30) as r:
            return r.read()
    except urllib.error.HTTPError as e:
        assert e.code == 404
        return None


def crl(server, ca="issuing"):
    der = fetch(server, f"/crl/{ca}.crl")
    return x509.load_der_x509_crl(der) if der is not None else None


def number(a_crl):
    return a_crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def newer(server, than):
    """A list of a higher number, once it is there; a damaged file may be served until it is."""
    def there():
        with contextlib.suppress(ValueError):
            now = crl(server)
            return now is not None and number(now) > than
        return False

    wait_for("a newer list", there)  # not the list itself: an empty one is false to Python
    return crl(server)


def has(server, pair):
    return crl(server).get_revoked_certificate_by_serial_number(pair.cert.serial_number) is not None


def public(server, name):
    return pathlib.Path(server.dir, "public", name)


def failures(server):
    return [e["text"] for e in server.op("event.list", limit=1000)["items"] if e["kind"] == "crl.failed"]


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
    told = server.op("crl.publish", ca="issuing")["number"]
    now = crl(server)
    assert number(now) >= told
    assert len(now) == REVOKED
    assert server.op("server.status")["crl_ok"]


def test_a_revocation_is_in_the_list_though_the_authority_died_before_it_was_out(daemon):
    server = daemon()
    mine = server.born()
    (signer,) = server.role_pids("signer")
    before = rows(server, "SELECT crl_number FROM ca WHERE name = 'issuing'")
    os.kill(signer, signal.SIGSTOP)
    try:
        assert server.op("cert.revoke", serial=mine.serial)["state"] == "revoked"
        wait_for("the list's number", lambda: rows(server, "SELECT crl_number FROM ca WHERE name = 'issuing'") != before)
        kill_role(server, "authority")
    finally:
        os.kill(signer, signal.SIGCONT)
    wait_for("the certificate in the list", lambda: has(server, mine))


def test_a_list_that_was_lost_or_is_older_than_the_store_is_made_anew_at_the_start(daemon):
    server = daemon()
    file = public(server, "issuing.crl")
    old = file.read_bytes()
    mine = server.born()
    server.op("cert.revoke", serial=mine.serial)
    wait_for("the certificate in the list", lambda: has(server, mine))
    last = number(crl(server))
    for damage in (file.unlink, lambda: file.write_bytes(old), lambda: file.write_bytes(file.read_bytes()[:-1])):
        assert server.stop() == 0
        damage()
        server.run()
        last = number(newer(server, last))
        assert has(server, mine)
    assert server.stop() == 0
    server.run()
    server.born()
    assert number(crl(server)) == last  # what is in order is left alone


def test_a_list_of_a_clock_that_was_ahead_is_replaced_once_it_is_right_again(daemon, tmp_path):
    clock = Clock(tmp_path)
    server = daemon(env=clock.env)
    before = number(crl(server))
    clock.set(30 * DAY)
    ahead = newer(server, before)
    assert ahead.last_update > datetime.datetime.utcnow() + datetime.timedelta(days=29)
    clock.set(0)
    now = newer(server, number(ahead))
    assert now.last_update <= datetime.datetime.utcnow() + datetime.timedelta(minutes=1)


def test_one_ca_s_failing_list_is_told_once_whatever_comes_of_the_others(daemon):
    server = daemon()
    file = public(server, "issuing.crl")
    file.unlink()
    file.mkdir()
    assert not server.op("crl.publish", False, ca="issuing")["ok"]
    for _ in range(2):
        assert server.op("crl.publish", ca="root")["number"]
        status = server.op("server.status")
        assert not status["crl_ok"] and "'issuing'" in status["detail"], status
        assert not server.op("crl.publish", False, ca="issuing")["ok"]
    assert len(failures(server)) == 1
    file.rmdir()
    wait_for("the list", lambda: server.op("server.status")["crl_ok"])
    assert number(crl(server)) > 1 and len(failures(server)) == 1


def test_the_files_of_a_ca_are_found_whatever_it_is_called(daemon):
    server = daemon()
    ca = server.op("ca.create", name="a.crl", kind="subordinate", parent="root")
    assert ca["aia_url"].endswith("/aia/a.crl.cer")
    der = wait_for("its certificate", lambda: fetch(server, "/aia/a.crl.cer"))
    assert x509.load_der_x509_certificate(der) == x509.load_pem_x509_certificate(ca["pem"].encode())
    wait_for("its list", lambda: crl(server, "a.crl") is not None)
    assert crl(server, "a.crl").issuer == x509.load_der_x509_certificate(der).subject


def test_a_ca_is_made_though_its_certificate_cannot_be_published_yet(daemon):
    server = daemon()
    public(server, "late.cer").mkdir()
    assert server.op("ca.create", name="late", kind="subordinate", parent="root")["name"] == "late"
    assert "late" in [c["name"] for c in server.op("ca.list")["items"]]
    assert fetch(server, "/aia/late.cer") is None and "ca.not-published ca=late" in server.log_text()
    public(server, "late.cer").rmdir()
    assert wait_for("its certificate", lambda: fetch(server, "/aia/late.cer"))
