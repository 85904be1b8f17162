# SPDX-License-Identifier: Apache-2.0
"""The provisioning service under attack: what one device, group, certificate or front could get of another's, and of the machine."""
import base64
import json
import os
import pathlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import estuary
from dps import Dps, answer, b64, derive
from estuary import OutsideCa, Pair, csr, fresh_address, fresh_name, mint, new_key, wait_for


class World:
    """A group by key, one by an uploaded CA and one by a CA of ours; each gives certificates of a label of its own."""

    def __init__(self, server):
        self.server, self.dps = server, Dps(server)
        self.label, self.ca, self.keys, self.ours = (fresh_name(x) for x in ("label", "ca", "keys", "ours"))
        server.label(self.label, ca="issuing", profile="device", accept=["own", "code"])
        self.outside = OutsideCa()
        server.op("group.ca_add", name=self.ca, pem=self.outside.pem, verified=True)
        server.op("group.create", name=self.ca, attestation="x509", ca=self.ca, label=self.label, hubs=[self.dps.hub])
        self.key = server.op("group.create", name=self.keys, attestation="symmetric", label=self.label, hubs=[self.dps.hub])["key"]
        server.op("group.create", name=self.ours, attestation="x509", ca="issuing", label=self.label, hubs=[self.dps.hub])

    def token(self, rid, key=None, **kw):
        return self.dps.token(rid, derive(key or self.key, rid), **kw)

    def hub_token(self, rid, **kw):
        return self.dps.hub_token(rid, derive(self.key, rid), **kw)

    def request(self, rid, key, **kw):
        """Register with a certificate signing request."""
        return self.dps.register(rid, {"registrationId": rid, "csr": b64(csr(key, rid))}, **kw)

    def given(self, a, key):
        """The certificate of such an answer."""
        assert a.status == 202, (a, self.server.why(a))
        der = base64.b64decode(answer(a)["registrationState"]["issuedCertificateChain"][0])
        return Pair(x509.load_der_x509_certificate(der), key, os.path.dirname(self.server.dir))

    def why(self, a):
        return a.status, self.server.why(a)["reason"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    server = estuary.Server(tmp_path_factory.mktemp("dps") / "d")
    yield World(server)
    assert server.stop() == 0


# --- one name, two who want it ---

def test_a_certificate_by_est_does_not_open_the_hub_of_a_device_that_registered_by_key(world):
    """Its name was free at the EST endpoints, since it has no certificate: a code for new names was enough to take it."""
    rid = fresh_name()
    world.dps.assigned(rid, token=world.token(rid))
    assert world.dps.modules(rid, "m", "PUT", {}, token=world.hub_token(rid)).status == 200
    taken = world.server.born(rid)
    for a in (world.dps.modules(rid, pair=taken), world.dps.modules(rid, "m", "DELETE", match="*", pair=taken)):
        assert world.why(a) == (401, "dps.no-group")
    assert world.why(world.dps.register(rid, pair=taken)) == (403, "dps.other-enrolment")
    assert [m["moduleId"] for m in answer(world.dps.modules(rid, token=world.hub_token(rid)))] == ["m"]


def test_a_groups_key_does_not_give_the_modules_of_a_device_that_never_registered(world):
    rid = fresh_name()
    born = world.server.born(rid)
    assert world.dps.modules(rid, "m", "PUT", {}, pair=born).status == 200
    assert world.server.op("hub.modules", device=rid)["items"][0]["module"] == "m", "the operator sees them"
    assert world.why(world.dps.register(rid, token=world.token(rid))) == (403, "dps.device-in-use")
    assert world.why(world.dps.register(rid, pair=world.outside.pair(world.server, rid))) == (403, "dps.device-in-use")
    assert world.dps.modules(rid, token=world.hub_token(rid)).status == 401
    assert world.dps.assigned(rid, pair=born)["status"] == "assigned"
    assert answer(world.dps.modules(rid, pair=born))[0]["moduleId"] == "m"


def test_another_case_of_a_live_devices_name_is_that_name(world):
    rid = fresh_name("pump")
    world.server.born(rid)
    a = world.request(rid.upper(), new_key(), token=world.token(rid.upper()))
    assert world.why(a) == (403, "name.active")


def test_a_group_that_takes_over_gets_neither_certificates_nor_hub_by_the_old_ones(world):
    """The first group is shut; what its device was given is still out there."""
    rid, key = fresh_name(), new_key()
    first = world.server.op("group.create", name=fresh_name("first"), attestation="symmetric", label=world.label, hubs=[world.dps.hub])
    old = world.given(world.request(rid, key, token=world.token(rid, first["key"])), key)
    assert world.dps.modules(rid, "m", "PUT", {}, pair=old).status == 200
    assert world.why(world.dps.register(rid, token=world.token(rid))) == (403, "dps.other-enrolment")
    world.server.op("group.disable", name=first["name"])
    assert world.why(world.dps.modules(rid, pair=old)) == (403, "hub.disabled"), "the certificate is no way around the group"
    assert world.why(world.request(rid, new_key(), token=world.token(rid))) == (403, "name.active")
    assert world.dps.register(rid, token=world.token(rid)).status == 202
    assert world.why(world.request(rid, new_key(), token=world.token(rid))) == (403, "name.active")
    assert world.dps.modules(rid, pair=old).status == 401
    world.server.op("cert.revoke", serial=old.serial)
    key = new_key()
    new = world.given(world.request(rid, key, token=world.token(rid)), key)
    assert world.dps.modules(rid, pair=new).status == 200
    assert world.dps.modules(rid, pair=old).status == 401


def test_a_name_that_lost_its_certificate_is_whose_it_is_then(world):
    """Registered with a request, revoked, and enrolled by somebody with a code for new names: neither proof opens what the other made."""
    rid, key = fresh_name(), new_key()
    given = world.given(world.request(rid, key, token=world.token(rid)), key)
    assert world.dps.modules(rid, "m", "PUT", {}, token=world.hub_token(rid)).status == 200
    a = world.server.enrol(csr(new_key(), rid), world.label, reenrol=True, pair=given)
    assert a.status == 200
    renewed = world.request(rid, key := new_key(), token=world.token(rid))
    given = world.given(renewed, key)
    assert world.dps.modules(rid, pair=given).status == 200
    for c in world.server.op("cert.list", device=rid)["items"]:
        if c["state"] == "active":
            world.server.op("cert.revoke", serial=c["serial"])
    taken = world.server.born(rid)
    assert world.why(world.dps.modules(rid, pair=taken)) == (401, "dps.no-group")
    assert world.why(world.request(rid, new_key(), token=world.token(rid))) == (403, "name.active")
    assert [m["moduleId"] for m in answer(world.dps.modules(rid, token=world.hub_token(rid)))] == ["m"]
    world.server.op("cert.revoke", serial=taken.serial)
    key = new_key()
    given = world.given(world.request(rid, key, token=world.token(rid)), key)
    assert world.dps.modules(rid, pair=given).status == 200


def test_a_request_names_the_device_itself(world):
    rid, other = fresh_name(), fresh_name()
    world.server.born(other)
    for subject, sans in ((other, None), (rid.upper(), None), (estuary.name(rid, (x509.NameOID.SERIAL_NUMBER, other)), None),
                          (rid, [x509.DNSName(other)]), (estuary.name(None, (x509.NameOID.SERIAL_NUMBER, rid)), None)):
        body = {"csr": b64(csr(new_key(), subject, sans))}
        a = world.dps.register(rid, body, token=world.token(rid))
        assert a.status in (400, 403), (subject, a)
    assert world.server.op("registration.list", q=rid)["items"] == [], "nothing is half done"


# --- certificates that come with a registration ---

def test_a_lost_answer_is_given_again(world):
    rid, key = fresh_name(), new_key()
    first = world.given(world.request(rid, key, token=world.token(rid)), key)
    again = world.given(world.request(rid, key, token=world.token(rid)), key)
    assert again.cert == first.cert, "same device, same key: the same certificate"
    other = new_key()
    assert world.given(world.request(rid, other, token=world.token(rid)), other).serial != first.serial
    stranger = fresh_name()
    a = world.request(stranger, key, token=world.token(stranger))
    assert world.why(a) == (403, "key.other-device")


def test_a_certificate_that_was_renewed_gets_no_other_by_registering(world):
    """As at the EST endpoints: two who hold it are two who hold the identity."""
    rid = fresh_name()
    born = world.server.born(rid, world.label)
    key = new_key()
    renewed = world.given(world.request(rid, key, pair=born), key)
    assert world.given(world.request(rid, key, pair=born), key).serial == renewed.serial, "the answer was lost"
    a = world.request(rid, new_key(), pair=born)
    assert world.why(a) == (403, "device.forked")
    assert world.server.op("device.show", name=rid)["state"] == "forked"
    assert [e for e in world.server.op("event.list", device=rid)["items"] if e["kind"] == "device.forked"]
    assert world.dps.register(rid, pair=renewed).status == 401


def test_a_certificate_of_minutes_begets_none_of_years(world):
    profile, label, rid, key = fresh_name("minutes"), fresh_name("minutes"), fresh_name(), new_key()
    world.server.op("profile.create", name=profile, lifetime="30m", backdate="0s", ku=["digitalSignature"], eku=["clientAuth"], subject="request")
    world.server.label(label, ca="issuing", profile=profile, accept=["code"])
    born = world.server.born(rid, label)
    got = world.given(world.request(rid, key, pair=born), key)
    assert got.cert.not_valid_after - born.cert.not_valid_after < (born.cert.not_valid_after - born.cert.not_valid_before) * 2
    long_lived, key = fresh_name(), new_key()
    usual = world.given(world.request(long_lived, key, token=world.token(long_lived)), key)
    assert usual.cert.not_valid_after - usual.cert.not_valid_before > 10 * (born.cert.not_valid_after - born.cert.not_valid_before)


@pytest.mark.parametrize("what", ["revoked", "ca", "server", "expired", "other-name", "stranger"])
def test_a_certificate_that_is_no_proof_gets_none_by_a_request(world, what):
    rid, key = fresh_name(), new_key()
    pairs = {
        "ca": lambda: Pair(mint((world.outside.cert, world.outside.key), rid, key, ca=True), key, os.path.dirname(world.server.dir)),
        "server": lambda: world.outside.pair(world.server, rid, ekus=(x509.ExtendedKeyUsageOID.SERVER_AUTH,)),
        "expired": lambda: world.outside.pair(world.server, rid, end=-60),
        "other-name": lambda: world.outside.pair(world.server, rid + "x"),
        "stranger": lambda: OutsideCa().pair(world.server, rid),
    }
    if what == "revoked":
        pair = world.server.born(rid)
        world.server.op("cert.revoke", serial=pair.serial)
    else:
        pair = pairs[what]()
    assert world.request(rid, new_key(), pair=pair).status == 401
    assert world.server.op("registration.list", q=rid)["items"] == []


# --- a CA for provisioning is for provisioning alone ---

def test_a_certificate_under_an_uploaded_ca_is_nobody_elsewhere(world):
    rid = fresh_name()
    pair = world.outside.pair(world.server, rid)
    with world.server.client(pair=pair) as c:
        a = c.request("GET", "/.well-known/est/cacerts")
        assert a.status == 200 and "X-Estuary-Label" not in a.headers
        assert c.request("GET", "/health/certificate").status == 200, "it says what it was shown, to whoever showed it"
    for reenrol in (False, True):
        a = world.server.enrol(csr(new_key(), rid), world.label, reenrol=reenrol, pair=pair)
        assert world.why(a) == (401, "certificate.unknown-issuer")
    assert world.dps.modules(rid, pair=pair).status == 401
    assert not world.server.op("device.show", _check=False, name=rid)["ok"]


# --- who fills the store ---

def test_a_device_that_never_pauses_is_told_to(fresh_server):
    w = World(fresh_server())
    rid = fresh_name()
    fields = {"Authorization": w.token(rid), "Content-Type": "application/json"}
    statuses = []
    with w.server.client(source=fresh_address()) as c:
        for _ in range(1100):
            a = c.request("PUT", w.dps.path(rid, "/register") + "?api-version=2021-06-01", b"{}", fields)
            statuses.append(a.status)
            if a.status != 202:
                break
    assert len(statuses) > 900 and a.status == 429 and int(a.headers["Retry-After"]) > 0
    other = fresh_name()
    assert w.dps.register(other, token=w.token(other)).status == 202, "others are not in its way"
    assert w.dps.status(rid, token=w.token(rid)).status == 200, "and it may look"


def test_strangers_leave_records_of_refusals_and_nothing_else(world):
    before = world.server.op("registration.list", limit=1)["items"]
    for i in range(20):
        rid = fresh_name()
        assert world.dps.register(rid).status == 401
        assert world.dps.register(rid, token=world.dps.token(rid, b64(bytes(32)))).status == 401
    assert world.server.op("registration.list", limit=1)["items"] == before


def test_there_are_not_too_many_keys_to_try(fresh_server):
    server = fresh_server()
    for i in range(256):
        server.op("group.create", name=f"g{i}", attestation="symmetric")
    refused = server.op("group.create", _check=False, name="one-more", attestation="symmetric")
    assert not refused["ok"] and "256" in refused["error"]["message"]
    assert server.op("group.create", name="by-cert", attestation="x509", ca="issuing")


# --- what is told, and what is written ---

def test_a_stranger_hears_one_word_whatever_is_behind_a_name(world):
    """Known by key, by certificate, by TPM, disabled, registered, nobody at all: the same status, the same words."""
    names = {x: fresh_name(x) for x in ("key", "cert", "disabled", "registered", "nobody")}
    world.server.op("enrolment.create", registration=names["key"], attestation="symmetric")
    pem = world.outside.pair(world.server, names["cert"]).cert.public_bytes(serialization.Encoding.PEM).decode()
    world.server.op("enrolment.create", registration=names["cert"], attestation="x509", cert=pem)
    world.server.op("enrolment.create", registration=names["disabled"], attestation="symmetric", enabled=False)
    world.dps.assigned(names["registered"], token=world.token(names["registered"]))
    heard = set()
    for rid in names.values():
        for kw in ({}, {"token": world.dps.token(rid, b64(bytes(32)))}, {"pair": OutsideCa().pair(world.server, rid)}):
            for a in (world.dps.register(rid, **kw), world.dps.status(rid, **kw), world.dps.operation(rid, "0" * 32, **kw)):
                said = answer(a)
                heard.add((a.status, said["errorCode"], said["message"], a.headers["WWW-Authenticate"]))
    assert len(heard) == 1, heard


def test_no_key_is_in_a_record_a_log_or_the_store(fresh_server):
    w = World(fresh_server())
    rid, secret = fresh_name(), os.urandom(32)
    token, hub = w.token(rid), w.hub_token(rid)
    w.dps.assigned(rid, token=token)
    assert w.dps.modules(rid, "m", "PUT", {}, token=hub).status == 200
    keys = {"primaryKey": b64(secret), "secondaryKey": b64(secret)}
    body = {"authentication": {"type": "sas", "symmetricKey": keys}}
    assert w.dps.modules(rid, "m", "PUT", body, match="*", token=hub).status == 200
    assert w.dps.modules(rid, "m", "PUT", body, match="*", token=hub.replace("sig=", "sig=A")).status == 401
    derived = derive(w.key, rid)
    canaries = [x.encode() for x in (b64(secret), derived, w.key, token.split("sig=")[1].split("&")[0])]
    canaries += [secret, base64.b64decode(derived), base64.b64decode(w.key)]
    wait_for("the record", lambda: w.server.op("audit.list", device=rid)["items"])
    written = [p.read_bytes() for p in pathlib.Path(w.server.dir).rglob("*") if p.is_file() and not p.is_symlink()]
    written += [w.server.log_text().encode(), json.dumps(w.server.op("audit.list", limit=500)).encode()]
    for canary in canaries:
        assert not [x for x in written if canary in x]


def test_texts_of_a_device_stay_on_their_line(world):
    """What a stranger writes into scope, names and token is in the record; it must not look like a record of its own."""
    rid = fresh_name()
    forged = f"SharedAccessSignature sr=x%09y&sig={'A' * 43}%3D&se=1"
    a = world.dps.register(rid, token=forged)
    assert world.why(a) == (401, "dps.token-malformed")
    a = world.dps.register(rid, scope="0ne%1b[31m", token=world.token(rid))
    assert a.status in (400, 404) and "\x1b" not in a.text
    a = world.dps.register(rid, scope="0ne%e2%80%ae", token=world.token(rid))
    assert a.status in (400, 404) and "\u202e" not in a.text
