# SPDX-License-Identifier: Apache-2.0
"""What somebody who means harm would try after reading the source: each was possible once."""
import contextlib
import datetime
import os
import sqlite3

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

import estuary
from estuary import OutsideCa, Pair, basic, csr, fresh_address, fresh_name, name, new_key, parallel, wait_for

ENROL = "/.well-known/est/{}/simpleenroll"


def make_label(server, **kw):
    label = fresh_name("sec")
    server.label(label, **{"ca": "issuing", "profile": "device", "accept": ["own", "code"], **kw})
    return label


def renewed(server, label):
    """A device that has renewed: its old certificate and its newest."""
    old = server.born(label=label)
    key = new_key()
    answer = server.enrol(csr(key, old.cn), label, reenrol=True, pair=old)
    assert answer.status == 200, answer
    return old, Pair(answer.cert, key, server.dir)


@pytest.mark.parametrize("reenrol", [False, True], ids=["simpleenroll", "simplereenroll"])
def test_a_superseded_certificate_beyond_its_grace_adds_nothing_to_a_password(server, reenrol):
    old, _ = renewed(server, make_label(server))
    elsewhere = make_label(server, accept=["basic"], grace="0s")
    user = fresh_name("user")
    password = server.op("credential.add", kind="password", user=user, scope="new")["secret"]
    answer = server.enrol(csr(new_key(), old.cn), elsewhere, pair=old, reenrol=reenrol, headers=basic(user, password))
    assert (answer.status, answer.reason) == (403, "reenrol.no-certificate" if reenrol else "name.active")


def test_an_anchor_that_is_gone_is_not_mistaken_for_the_one_that_came_after_it(server):
    label = make_label(server, accept=["anchor"])
    first, second = OutsideCa(), OutsideCa()
    anchor = first.trust(server, scope="own-name")
    pair = first.pair(server)
    with server.client(pair=pair) as c:
        assert c.request("GET", "/health/live").status == 200
        server.op("trust.remove", name=anchor["name"])
        second.trust(server, scope="any")
        answer = c.request("POST", ENROL.format(label), estuary.b64(csr(new_key(), fresh_name())), {"Content-Type": "application/pkcs10"})
    assert (answer.status, answer.reason) == (403, "certificate.unknown-issuer")


def test_a_secret_value_that_is_too_long_is_no_value(server):
    label = make_label(server, accept=["secret"], secret_header="X-Long")
    server.op("credential.add", kind="secret", secret="(too long)", label=label, scope="any")
    answer = server.enrol(csr(new_key(), fresh_name()), label, headers={"X-Long": "x" * 4000})
    assert (answer.status, answer.reason) == (403, "secret.wrong")


def test_a_forked_device_is_forked_once_however_often_the_old_certificate_comes_back(server):
    label = make_label(server)
    old, _ = renewed(server, label)
    for _ in range(3):
        answer = server.enrol(csr(new_key(), old.cn), label, reenrol=True, pair=old)
        assert (answer.status, answer.reason) == (403, "device.forked")
    events = [e for e in server.op("event.list", device=old.cn)["items"] if e["kind"] == "device.forked"]
    assert len(events) == 1


def test_the_serial_number_of_a_subject_is_not_another_devices_name(server):
    profile = fresh_name("prof")
    server.op("profile.create", name=profile, subject="request", subject_types=["CN", "serialNumber"])
    label = make_label(server, profile=profile)
    victim = fresh_name()
    answer = server.enrol(csr(new_key(), x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, victim)])), label,
                          headers=basic("", server.new_code()))
    assert answer.status == 200, answer
    answer = server.enrol(csr(new_key(), name(fresh_name(), (NameOID.SERIAL_NUMBER, victim))), label,
                          headers=basic("", server.new_code()))
    assert (answer.status, answer.reason) == (403, "name.other-device")


def test_a_request_that_names_no_device_makes_none_where_names_are_free(server):
    profile = fresh_name("prof")
    server.op("profile.create", name=profile, subject="request", subject_types=["CN", "O"])
    label = make_label(server, profile=profile, reenrol="off")
    nameless = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "nobody")])
    answer = server.enrol(csr(new_key(), nameless), label, pair=server.born())
    assert (answer.status, answer.reason) == (403, "name.missing")


def test_b12_an_unknown_user_hears_as_a_known_one_that_too_much_is_asked_at_once(server):
    label = make_label(server, accept=["basic"])
    user = fresh_name("user")
    password = server.op("credential.add", kind="password", user=user, scope="any")["secret"]
    addresses = [fresh_address() for _ in range(6)]

    def guess(i):
        with server.client(source=addresses[i]) as c:
            return [c.request("POST", ENROL.format(label), b"", basic(fresh_name("nobody"), "guess")).status for _ in range(30)]

    seen = {status for some in parallel(6, guess) for status in some}
    assert seen == {401, 429}
    wait_for("the right password to be looked at again", lambda: server.enrol(
        csr(new_key(), fresh_name()), label, headers=basic(user, password), source=fresh_address()).status == 200)


def test_a_certificate_is_an_anchor_once(server):
    ca = OutsideCa()
    ca.trust(server, scope="own-name")
    answer = server.op("trust.add", _check=False, name=fresh_name("anchor"), pem=ca.pem, scope="any")
    assert answer["error"]["code"] == "exists", answer


def test_b6_a_leaf_under_an_edge_ca_of_ours_is_nobody_even_beside_a_code(server):
    device = server.born()
    key, leaf_key = new_key(), new_key()
    answer = server.enrol(csr(key, device.cn), "edge-ca", pair=device)
    assert answer.status == 200, answer
    leaf = estuary.mint((answer.cert, key), device.cn, leaf_key)
    answer = server.enrol(csr(new_key(), device.cn), "ldevid", pair=Pair([leaf, answer.cert], leaf_key, server.dir),
                          headers=basic("", server.new_code(scope="any", active=True)))
    assert (answer.status, answer.reason) == (403, "certificate.not-recorded")


def test_b7_a_foreign_cas_certificate_for_our_cas_key_does_not_hide_a_revocation(server):
    label = make_label(server, accept=["own", "anchor"])
    foreign = OutsideCa()
    foreign.trust(server, scope="any", active=True)
    ours = x509.load_pem_x509_certificate(server.op("ca.show", name="issuing")["pem"].encode())
    now = datetime.datetime.utcnow()
    cross = (x509.CertificateBuilder().subject_name(ours.subject).issuer_name(foreign.cert.subject).public_key(ours.public_key())
             .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(1))
             .not_valid_after(now + datetime.timedelta(9)).add_extension(x509.BasicConstraints(True, None), True)
             .add_extension(ours.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value, False)
             .sign(foreign.key, hashes.SHA256()))
    device = server.born()
    server.op("cert.revoke", serial=device.serial)
    answer = server.enrol(csr(new_key(), fresh_name()), label, pair=Pair([device.cert, cross], device.key, server.dir))
    assert (answer.status, answer.reason) == (403, "certificate.revoked")


def test_a_revocation_list_that_cannot_be_numbered_does_not_end_the_authority(fresh_server):
    server = fresh_server()
    before = server.role_pids("authority")
    with contextlib.closing(sqlite3.connect(os.path.join(server.dir, "store/estuary.db"), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert server.op("crl.publish", _check=False, ca="issuing")["error"]["code"] == "unavailable"
    assert server.op("crl.publish", ca="issuing")["number"] > 0
    assert server.role_pids("authority") == before


@pytest.mark.parametrize("kind", [x509.DNSName, lambda host: x509.UniformResourceIdentifier(f"https://{host}:444/x")], ids=["dns", "uri"])
def test_a1_a_host_below_the_devices_name_is_not_that_of_another_device(server, kind):
    profile, device = fresh_name("prof"), fresh_name()
    server.op("profile.create", name=profile, subject="request", san_dns="device", san_uri="device")
    label = make_label(server, profile=profile)

    def ask(cn, sans=None):
        return server.enrol(csr(new_key(), cn, sans), label, headers=basic("", server.new_code()))

    assert ask(device, [kind(device + ".free")]).status == 200
    thief = fresh_name()
    victim = thief + ".b"
    assert ask(victim).status == 200
    answer = ask(thief, [kind(victim.upper())])
    assert (answer.status, answer.reason) == (403, "name.other-device")


def test_a1_a_name_ends_where_it_ends_whatever_was_asked_for_before(server):
    """The device of a request without a subject is its dNSName, and nothing of a longer one that others sent."""
    profile = fresh_name("prof")
    server.op("profile.create", name=profile, subject="request", subject_types=["CN"], san_dns="any")
    label = make_label(server, profile=profile)
    within = basic("", server.new_code(scope="pattern", scope_value="*.plant.example"))
    tail = ".plant.example"
    longest = (".".join(["a" * 49] * 5))[:253 - len(tail) - 1] + "b" + tail
    for i in range(4):
        primed = server.enrol(csr(new_key(), "nobody", [x509.DNSName(longest)]), label, headers=within)
        assert primed.reason == "name.out-of-scope"
        outside = f"hub{i}-{fresh_name()}.example"
        answer = server.enrol(csr(new_key(), x509.Name([]), [x509.DNSName(outside)]), label, headers=within)
        assert (answer.status, answer.reason) == (403, "name.out-of-scope")
        assert server.why(answer)["device"] == outside


def test_what_cannot_be_read_from_the_store_does_not_take_the_labels_away(fresh_server):
    server = fresh_server()
    device = server.born()
    with contextlib.closing(sqlite3.connect(os.path.join(server.dir, "store/estuary.db"), isolation_level=None)) as db:
        db.execute("INSERT INTO object VALUES('label', 'broken', 'no setting')")
    assert server.op("credential.add", kind="code", scope="new")["secret"], "it is committed, though what else changed cannot be read"
    status = server.op("server.status")
    assert not status["store_ok"] and "cannot be read" in status["detail"]
    assert server.enrol(csr(new_key(), device.cn), "ldevid", pair=device).status == 200
