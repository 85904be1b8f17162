# SPDX-License-Identifier: Apache-2.0
"""The provisioning service over HTTP: who may register as what, in a table; and who does, from birth to hub."""
import base64
import json
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import estuary
from dps import HUB_VERSION, Dps, SoftTpm, answer, b64, derive, sas
from estuary import OutsideCa, Pair, csr, fresh_address, fresh_name, mint, new_key, wait_for

ID = "{id}"  # in a row: the registration's


def mixed(registration):
    return registration[:3].upper() + registration[3:]


class World:
    """What the rows need: enrolments of every kind, on the server that all tests share."""

    def __init__(self, server):
        self.server, self.dps = server, Dps(server)
        self.ca, self.unverified, self.stranger = OutsideCa(), OutsideCa(), OutsideCa()
        self.ca_name, self.group, self.keys = fresh_name("ca"), fresh_name("group"), fresh_name("keys")
        server.op("group.ca_add", name=self.ca_name, pem=self.ca.pem, verified=True)
        server.op("group.ca_add", name=fresh_name("ca"), pem=self.unverified.pem)
        server.op("group.create", name=self.group, attestation="x509", ca=self.ca_name, label="ldevid", hubs=[self.dps.hub])
        made = server.op("group.create", name=self.keys, attestation="symmetric", hubs=[self.dps.hub])
        self.key, self.key2 = made["key"], made["key2"]
        off = server.op("group.create", name=fresh_name("off"), attestation="symmetric", enabled=False)
        self.disabled_key = off["key"]
        self.ours = fresh_name("ours")
        server.op("group.create", name=self.ours, attestation="x509", ca=server.op("label.show", name="idevid")["ca"], label="ldevid")

    def pair(self, cn, ca=None, **kw):
        return (ca or self.ca).pair(self.server, cn, **kw)

    def token(self, registration, key=None, **kw):
        """Of a device of the group by symmetric key."""
        return self.dps.token(registration, key or derive(self.key, registration), **kw)

    def enrolled(self, attestation, registration, **kw):
        return self.server.op("enrolment.create", registration=registration, attestation=attestation, **kw)


@pytest.fixture(scope="module")
def world(server):
    return World(server)


# --- the table ---

def by_cert(w, rid, cn=ID, ca=None, **kw):
    pair = w.pair(cn.format(id=rid) if isinstance(cn, str) else cn, ca, **{k: kw.pop(k) for k in ("end", "ekus", "sans", "ca_cert") if k in kw})
    return w.dps.register(rid, pair=pair, **kw)


def by_token(w, rid, token=None, at=None, **kw):
    """token: a function of the registration ID; at: another ID in the path."""
    return w.dps.register(at or rid, token=token(rid) if token else w.token(rid), **kw)


def at_path(w, rid, segment):
    """A token is right for rid, and the path says something else."""
    return w.dps.register(segment, {"registrationId": rid}, token=w.token(rid))


def no_cn(w, rid):
    return w.dps.register(rid, pair=w.pair(estuary.name(None, (NameOID.ORGANIZATION_NAME, rid))))


def two_cns(w, rid):
    return w.dps.register(rid, pair=w.pair(estuary.name(rid, (NameOID.COMMON_NAME, "other"))))


def san_only(w, rid):
    return w.dps.register(rid, pair=w.pair(estuary.name(None, (NameOID.ORGANIZATION_NAME, "x")), sans=[x509.DNSName(rid)]))


def two_headers(w, rid):
    return w.dps.register(rid, headers=[("Authorization", w.token(rid)), ("Authorization", w.token(rid))])


def broken_sig(w, rid):
    return w.dps.register(rid, token=w.token(rid).replace("&sig=", "&sig=!"))


def cut_sig(w, rid):
    head, rest = w.token(rid).split("&sig=")
    return w.dps.register(rid, token=f"{head}&sig=AAAA&{rest.split('&', 1)[1]}")


def disabled_individual(w, rid):
    key = w.enrolled("symmetric", rid, enabled=False)["key"]
    return w.dps.register(rid, token=w.dps.token(rid, key))


def disabled_individual_below_a_group(w, rid):
    pair = w.pair(rid)
    w.enrolled("x509", rid, cert=_pem(pair), enabled=False)
    return w.dps.register(rid, pair=pair)


def disabled_registration(w, rid):
    w.dps.assigned(rid, token=w.token(rid))
    w.server.op("registration.disable", registration=rid)
    return w.dps.register(rid, token=w.token(rid))


def removed_enrolment(w, rid):
    key = w.enrolled("symmetric", rid)["key"]
    w.server.op("enrolment.remove", registration=rid)
    return w.dps.register(rid, token=w.dps.token(rid, key))


def group_key_at_individual(w, rid):
    w.enrolled("symmetric", rid)
    return w.dps.register(rid, token=w.token(rid))


def other_certificate_of_that_name(w, rid):
    w.enrolled("x509", rid, cert=_pem(w.pair(rid)))
    return w.dps.register(rid, pair=w.pair(rid))


def cert_at_symmetric(w, rid):
    w.enrolled("symmetric", rid)
    return w.dps.register(rid, pair=w.pair(rid))


def token_at_x509(w, rid):
    w.enrolled("x509", rid, cert=_pem(w.pair(rid)))
    return w.dps.register(rid, token=w.token(rid))


def revoked(w, rid):
    pair = w.server.born(rid)
    w.server.op("cert.revoke", serial=pair.serial)
    return w.dps.register(rid, pair=pair)


def a_ca_as_device(w, rid):
    key = new_key()
    return w.dps.register(rid, pair=Pair(mint((w.ca.cert, w.ca.key), rid, key, ca=True), key, os.path.dirname(w.server.dir)))


def both_factors(w, rid):
    return w.dps.register(rid, pair=w.pair(rid), token=w.token(rid))


def tpm_of_another(w, rid):
    w.enrolled("tpm", rid, ek=b64(SoftTpm().ek))
    return w.dps.register(rid, {"registrationId": rid, **SoftTpm().body})


def tpm_swapped_srk(w, rid):
    """The key comes wrapped for a storage key that the enrolled TPM has not: it is of no use to whoever sent it."""
    tpm, other = SoftTpm(), SoftTpm()
    w.enrolled("tpm", rid, ek=b64(tpm.ek))
    a = w.dps.register(rid, {"registrationId": rid, "tpm": {**tpm.body["tpm"], "storageRootKey": other.body["tpm"]["storageRootKey"]}})
    assert a.status == 401
    with pytest.raises((ValueError, AssertionError)):
        other.take_key(base64.b64decode(answer(a)["authenticationKey"]))
    other.key = bytes(32)
    return w.dps.register(rid, other.body, token=w.dps.token(rid, other.sign))


def tpm_without_nonce(w, rid):
    tpm = SoftTpm()
    w.enrolled("tpm", rid, ek=b64(tpm.ek))
    tpm.key = bytes(32)
    return w.dps.register(rid, tpm.body, token=w.dps.token(rid, tpm.sign))


def tpm_replay(w, rid):
    """The key of one proof is no key once the next is proved."""
    tpm = SoftTpm()
    w.enrolled("tpm", rid, ek=b64(tpm.ek))
    challenge(w.dps, tpm, rid)
    w.dps.assigned(rid, tpm.body, token=w.dps.token(rid, tpm.sign))
    old = w.dps.token(rid, tpm.sign)
    challenge(w.dps, tpm, rid)
    w.dps.assigned(rid, tpm.body, token=w.dps.token(rid, tpm.sign))
    return w.dps.register(rid, tpm.body, token=old)


def operation_of_another(w, rid):
    other = fresh_name("other")
    theirs = answer(w.dps.register(other, token=w.token(other)))["operationId"]
    w.dps.assigned(rid, token=w.token(rid))
    return w.dps.operation(rid, theirs, token=w.token(rid))


def another_ones_registration(w, rid):
    other = fresh_name("other")
    theirs = answer(w.dps.register(other, token=w.token(other)))["operationId"]
    return w.dps.operation(other, theirs, token=w.token(rid))


def status_of_another(w, rid):
    other = fresh_name("other")
    w.dps.assigned(other, token=w.token(other))
    return w.dps.status(other, token=w.token(rid))


def status_before_registering(w, rid):
    return w.dps.status(rid, token=w.token(rid))


def with_csr(w, rid, text):
    return w.dps.register(rid, {"registrationId": rid, "csr": text}, pair=w.pair(rid))


def csr_forged(w, rid):
    der = bytearray(csr(new_key(), rid))
    der[-1] ^= 1
    return with_csr(w, rid, b64(bytes(der)))


def csr_at_group_without(w, rid):
    return w.dps.register(rid, {"registrationId": rid, "csr": b64(csr(new_key(), rid))}, token=w.token(rid))


def csr_of_a_live_device(w, rid):
    """The name is a device's that came by EST: a group may not hand it to another key."""
    w.server.born(rid)
    return with_csr(w, rid, b64(csr(new_key(), rid)))


def bare(w, rid, method, tail, **kw):
    return w.dps.send(method, w.dps.path(rid, tail), token=w.token(rid), **kw)


def raw(w, rid, body, **kw):
    return w.dps.register(rid, body if isinstance(body, bytes) else body.encode(), token=w.token(rid), **kw)


def _pem(pair):
    return pair.cert.public_bytes(serialization.Encoding.PEM).decode()


def challenge(dps, tpm, rid):
    a = dps.register(rid, {"registrationId": rid, **tpm.body})
    assert a.status == 401, a
    return tpm.take_key(base64.b64decode(answer(a)["authenticationKey"]))


# Name of the row: what is asked, the status, and the reason in the record (None: the front refuses it by itself).
MATRIX = {
    # the certificate's name
    "cn is the registration id": (by_cert, 202, "ok"),
    "cn in capitals": (lambda w, r: by_cert(w, r, r.upper()), 202, "ok"),
    "registration id in capitals": (lambda w, r: by_cert(w, r.upper(), r), 202, "ok"),
    "cn in mixed case": (lambda w, r: by_cert(w, r, mixed(r)), 202, "ok"),
    "cn of another device": (lambda w, r: by_cert(w, r, "other-" + r), 401, "dps.name"),
    "cn begins with the id": (lambda w, r: by_cert(w, r, r + "0"), 401, "dps.name"),
    "id begins with the cn": (lambda w, r: by_cert(w, r + "0", r), 401, "dps.name"),
    "cn with a blank": (lambda w, r: by_cert(w, r, r + " "), 401, None),
    "no cn": (no_cn, 401, "dps.name"),
    "two cns": (two_cns, 401, "dps.name"),
    "id only as alternative name": (san_only, 401, "dps.name"),
    "body names another id": (lambda w, r: by_token(w, r, body={"registrationId": "other"}), 400, "dps.body-id"),
    "body names the id in capitals": (lambda w, r: by_token(w, r, body={"registrationId": r.upper()}), 202, "ok"),
    "body names no id": (lambda w, r: by_token(w, r, body={}), 202, "ok"),
    # paths
    "dots as id": (lambda w, r: at_path(w, r, ".."), 400, None),
    "dots escaped as id": (lambda w, r: at_path(w, r, "%2e%2e"), 400, None),
    "escaped slash": (lambda w, r: at_path(w, r, r + "%2f..%2fother"), 400, None),
    "twice escaped slash": (lambda w, r: at_path(w, r, r + "%252fother"), 400, None),
    "backslash": (lambda w, r: at_path(w, r, r + "%5cother"), 400, None),
    "nul": (lambda w, r: at_path(w, r, r + "%00"), 400, None),
    "line end": (lambda w, r: at_path(w, r, r + "%0a"), 400, None),
    "overlong utf-8": (lambda w, r: at_path(w, r, r + "%c0%af"), 400, None),
    "blank": (lambda w, r: at_path(w, r, r + "%20"), 400, "dps.id"),
    "quote": (lambda w, r: at_path(w, r, r + "'--"), 400, "dps.id"),
    "percent by itself": (lambda w, r: at_path(w, r, r + "%"), 400, None),
    "look-alike letter": (lambda w, r: at_path(w, r, "%d1%80" + r), 400, "dps.id"),
    "leading dot": (lambda w, r: at_path(w, r, "." + r), 400, "dps.id"),
    "trailing dot": (lambda w, r: at_path(w, r, r + "."), 400, "dps.id"),
    "129 characters": (lambda w, r: at_path(w, r, "a" * 129), 400, None),
    "2000 characters": (lambda w, r: at_path(w, r, "a" * 2000), 400, None),
    "no id": (lambda w, r: at_path(w, r, ""), 404, None),
    "escaped letters are the same id": (lambda w, r: by_token(w, r, at="%" + format(ord(r[0]), "x") + r[1:], body={"registrationId": r}), 202, "ok"),
    "a slash behind": (lambda w, r: by_token(w, r, tail="/register/"), 404, None),
    "another word": (lambda w, r: by_token(w, r, tail="/Register"), 404, None),
    "no such scope": (lambda w, r: w.dps.register(r, scope="0neFFFFFFFF", token=w.token(r, scope="0neffffffff")), 404, "dps.scope"),
    "scope in lower case": (lambda w, r: w.dps.register(r, scope=w.dps.scope.lower(), token=w.token(r)), 202, "ok"),
    "scope of another service": (lambda w, r: w.dps.register(r, scope=".well-known", token=w.token(r)), 404, None),
    "scope is the hub's word": (lambda w, r: w.dps.register(r, scope="devices", token=w.token(r)), 404, None),
    # tokens
    "right token": (by_token, 202, "ok"),
    "token without key name": (lambda w, r: by_token(w, r, lambda i: w.token(i, skn=None)), 202, "ok"),
    "token ended within the skew": (lambda w, r: by_token(w, r, lambda i: w.token(i, end=-200)), 202, "ok"),
    "token ended": (lambda w, r: by_token(w, r, lambda i: w.token(i, end=-400)), 401, "dps.token-expired"),
    "token without end": (lambda w, r: by_token(w, r, lambda i: w.token(i, se="99999999999")), 401, "dps.token-too-long"),
    "token ends in 10^30": (lambda w, r: by_token(w, r, lambda i: w.token(i, se="1" + "0" * 30)), 401, "dps.token-malformed"),
    "token ends at -1": (lambda w, r: by_token(w, r, lambda i: w.token(i, se="-1")), 401, "dps.token-malformed"),
    "token ends at 1e9": (lambda w, r: by_token(w, r, lambda i: w.token(i, se="1e9")), 401, "dps.token-malformed"),
    "token for another id": (lambda w, r: by_token(w, r, lambda i: w.token("other", derive(w.key, i))), 401, "dps.token-resource"),
    "token for another scope": (lambda w, r: by_token(w, r, lambda i: w.token(i, scope="0neother")), 401, "dps.token-resource"),
    "token for the scope": (lambda w, r: by_token(w, r, lambda i: sas(w.dps.scope, derive(w.key, i), "registration")), 401, "dps.token-resource"),
    "token for a hub": (lambda w, r: by_token(w, r, lambda i: w.dps.hub_token(i, derive(w.key, i))), 401, "dps.token-resource"),
    "token for a resource with a tail": (lambda w, r: by_token(w, r, lambda i: w.token(i + "/x", derive(w.key, i))), 401, "dps.token-resource"),
    "token of another key name": (lambda w, r: by_token(w, r, lambda i: w.token(i, skn="iothubowner")), 401, "dps.token-key-name"),
    "signature is no base64": (broken_sig, 401, "dps.token-malformed"),
    "signature is cut off": (cut_sig, 401, "dps.token-malformed"),
    "signature of other words": (lambda w, r: by_token(w, r, lambda i: w.token(i, sign="x\n1")), 401, "dps.token-signature"),
    "two headers": (two_headers, 401, "dps.token-malformed"),
    "basic": (lambda w, r: w.dps.register(r, headers=estuary.basic(r, w.key)), 401, "dps.token-malformed"),
    "the group's key itself": (lambda w, r: by_token(w, r, lambda i: w.token(i, w.key)), 401, "dps.token-signature"),
    "another device's key": (lambda w, r: by_token(w, r, lambda i: w.token(i, derive(w.key, "other"))), 401, "dps.token-signature"),
    "another group's key": (lambda w, r: by_token(w, r, lambda i: w.token(i, derive(b64(os.urandom(64)), i))), 401, "dps.token-signature"),
    "the secondary key": (lambda w, r: by_token(w, r, lambda i: w.token(i, derive(w.key2, i))), 202, "ok"),
    "no proof at all": (lambda w, r: w.dps.register(r), 401, "dps.no-proof"),
    # enrolments
    "disabled enrolment": (disabled_individual, 403, "dps.disabled"),
    "disabled enrolment, though a group would do": (disabled_individual_below_a_group, 403, "dps.disabled"),
    "disabled group": (lambda w, r: by_token(w, r, lambda i: w.token(i, derive(w.disabled_key, i))), 403, "dps.disabled"),
    "disabled registration": (disabled_registration, 403, "dps.registration-disabled"),
    "removed enrolment": (removed_enrolment, 401, "dps.token-signature"),
    "group's key at an individual enrolment": (group_key_at_individual, 401, "dps.token-signature"),
    "another certificate of that name": (other_certificate_of_that_name, 401, "dps.thumbprint"),
    "certificate, enrolled by key": (cert_at_symmetric, 401, "dps.other-attestation"),
    "token, enrolled by certificate": (token_at_x509, 401, "dps.other-attestation"),
    # CAs and certificates
    "unverified ca": (lambda w, r: by_cert(w, r, ca=w.unverified), 401, "certificate.unknown-issuer"),
    "unknown ca": (lambda w, r: by_cert(w, r, ca=w.stranger), 401, "certificate.unknown-issuer"),
    "expired certificate": (lambda w, r: by_cert(w, r, end=-60), 401, "certificate.expired"),
    "server's certificate": (lambda w, r: by_cert(w, r, ekus=(ExtendedKeyUsageOID.SERVER_AUTH,)), 401, "certificate.wrong-purpose"),
    "revoked certificate": (revoked, 401, "certificate.revoked"),
    "a ca as device": (a_ca_as_device, 401, "certificate.wrong-purpose"),
    "both factors": (both_factors, 401, "dps.two-proofs"),
    # TPM
    "another tpm": (tpm_of_another, 401, "dps.tpm-other"),
    "another storage key": (tpm_swapped_srk, 401, "dps.token-signature"),
    "tpm that was given no key": (tpm_without_nonce, 401, "dps.token-signature"),
    "a tpm's old key": (tpm_replay, 401, "dps.token-signature"),
    # operations
    "operation of another": (operation_of_another, 404, "dps.operation"),
    "registration of another": (another_ones_registration, 401, "dps.token-resource"),
    "status of another": (status_of_another, 401, "dps.token-resource"),
    "status before registering": (status_before_registering, 404, "dps.not-registered"),
    "operation before registering": (lambda w, r: w.dps.operation(r, "0" * 32, token=w.token(r)), 404, "dps.operation"),
    # certificate requests
    "csr for another name": (lambda w, r: with_csr(w, r, b64(csr(new_key(), "other"))), 400, "dps.csr-name"),
    "csr that does not prove its key": (csr_forged, 400, "request.signature"),
    "csr that is none": (lambda w, r: with_csr(w, r, "AAAA"), 400, "request.malformed"),
    "csr that is no text": (lambda w, r: with_csr(w, r, 7), 400, None),
    "csr where none is taken": (csr_at_group_without, 400, "dps.csr-not-offered"),
    "csr for a live device": (csr_of_a_live_device, 403, "name.active"),
    # JSON
    "json too deep": (lambda w, r: raw(w, r, '{"payload":' + "[" * 40 + "]" * 40 + "}"), 400, None),
    "json too deep to follow": (lambda w, r: raw(w, r, "[" * 30000), 400, None),
    "json with a member twice": (lambda w, r: raw(w, r, f'{{"registrationId":"{r}","registrationId":"{r}"}}'), 400, None),
    "json cut off": (lambda w, r: raw(w, r, '{"registrationId":'), 400, None),
    "json and more": (lambda w, r: raw(w, r, "{} {}"), 400, None),
    "json with a nul": (lambda w, r: raw(w, r, '{"registrationId":"a\\u0000b"}'), 400, None),
    "json not utf-8": (lambda w, r: raw(w, r, b'{"registrationId":"\xff"}'), 400, None),
    "json is an array": (lambda w, r: raw(w, r, "[]"), 400, None),
    "id is a number": (lambda w, r: raw(w, r, '{"registrationId":7}'), 400, None),
    "id is an object": (lambda w, r: raw(w, r, '{"registrationId":{}}'), 400, None),
    "tpm is a text": (lambda w, r: raw(w, r, '{"tpm":"x"}'), 400, None),
    "endorsement key is no base64": (lambda w, r: raw(w, r, '{"tpm":{"endorsementKey":"!"}}'), 400, None),
    "unknown members": (lambda w, r: raw(w, r, '{"clientCertificateInfo":{"x":1},"payload":null}'), 202, "ok"),
    "payload over its limit": (lambda w, r: by_token(w, r, body={"payload": "x" * 16500}), 413, None),
    "body over its limit": (lambda w, r: by_token(w, r, body={"payload": "x" * 70000}), 413, None),
    "empty body": (lambda w, r: raw(w, r, b""), 400, None),
    "another content type": (lambda w, r: raw(w, r, "{}", headers=[("Content-Type", "text/plain")]), 415, None),
    "almost the content type": (lambda w, r: raw(w, r, "{}", headers=[("Content-Type", "application/jsonp")]), 415, None),
    "content type with a charset": (lambda w, r: raw(w, r, "{}", headers=[("Content-Type", "Application/JSON; charset=UTF-8")]), 202, "ok"),
    # methods and versions
    "get of register": (lambda w, r: bare(w, r, "GET", "/register"), 405, None),
    "head of register": (lambda w, r: bare(w, r, "HEAD", "/register"), 405, None),
    "post of register": (lambda w, r: bare(w, r, "POST", "/register"), 405, None),
    "delete of a registration": (lambda w, r: bare(w, r, "DELETE", ""), 405, None),
    "put of an operation": (lambda w, r: bare(w, r, "PUT", "/operations/x", body={}), 405, None),
    "no api-version": (lambda w, r: by_token(w, r, version=None), 400, None),
    "api-version that is none": (lambda w, r: by_token(w, r, version="1"), 400, None),
    "api-version with letters": (lambda w, r: by_token(w, r, version="20xx-06-01"), 400, None),
    "api-version of an odd kind": (lambda w, r: by_token(w, r, version="2021-06-01-beta"), 400, None),
    "two api-versions": (lambda w, r: by_token(w, r, version="2021-06-01&api-version=2019-03-31"), 400, None),
    "preview": (lambda w, r: by_token(w, r, version="2025-07-01-preview"), 202, "ok"),
    "version among others": (lambda w, r: by_token(w, r, version="2021-06-01&x=y"), 202, "ok"),
}


def test_the_matrix_has_forty_rows_and_more():
    assert len(MATRIX) >= 40
    assert {s for _, s, _ in MATRIX.values()} >= {202, 400, 401, 403, 404, 405, 413, 415}


@pytest.mark.parametrize("row", MATRIX)
def test_the_matrix(world, row):
    """B17."""
    ask, status, reason = MATRIX[row]
    rid = fresh_name("d")
    a = ask(world, rid)
    assert a.status == status, a
    assert a.id
    if reason is not None:
        assert world.server.why(a)["reason"] == reason, world.server.why(a)
    if status >= 400 and status not in (404, 405, 413) and reason is not None:
        told = answer(a)
        assert told["errorCode"] // 1000 == status and told["trackingId"] == a.id
    if status == 401 and reason is not None and "authenticationKey" not in answer(a):
        assert answer(a)["message"] == "Unauthorized"  # a stranger does not hear which part was wrong
    if status >= 400:
        have = [x for x in world.server.op("registration.list", q=rid)["items"] if x["registration"] == rid and x["status"] == "assigned"]
        assert not have or row in ("disabled registration", "a tpm's old key", "operation of another")


def test_a_method_that_is_not_taken_is_told_which_is(world):
    a = bare(world, "x", "GET", "/register")
    assert a.headers["Allow"] == "PUT" and answer(a)["errorCode"] == 405000
    a = world.dps.modules("x", "y", "POST", {})
    assert a.headers["Allow"] == "GET, PUT, DELETE" and "Message" in answer(a)


def test_wrong_tokens_throttle_their_address_and_no_other(fresh_server):
    w = World(fresh_server())
    here, rid = fresh_address(), fresh_name()
    wrong = w.token(rid, b64(os.urandom(32)))
    got = {w.dps.register(rid, token=wrong, source=here).status for _ in range(130)}
    assert got == {401, 429}
    a = w.dps.register(rid, token=wrong, source=here)
    if a.status == 429:  # the minute may just have turned
        assert int(a.headers["Retry-After"]) > 0 and answer(a)["errorCode"] == 429001
    assert w.dps.register(rid, token=w.token(rid)).status == 202


def test_est_and_health_are_where_they_were(world):
    with world.server.client() as c:
        assert c.request("GET", "/.well-known/est/cacerts").status == 200
        assert c.request("GET", "/health/live").status == 200
        for path in ("/health/registrations/x/register", "/.well-known/registrations/x/register", "/crl/registrations/x"):
            a = c.request("PUT", path + "?api-version=2021-06-01", b"{}", {"Content-Type": "application/json"})
            assert a.status == 404 and a.reason == "path.unknown"


# --- an uploaded CA is nobody at the EST endpoints ---

def test_a_certificate_under_an_uploaded_ca_enrols_nowhere(world):
    """Also where a label takes any outside anchor: the chain ends at one, but of a kind that no label takes."""
    name = fresh_name("label")
    world.server.label(name, ca="issuing", profile="device", accept=["own", "anchor"])
    OutsideCa().trust(world.server, scope="any")
    rid = fresh_name()
    pair = world.pair(rid)
    assert world.dps.register(rid, pair=pair).status == 202
    a = world.server.enrol(csr(new_key(), rid), name, pair=pair)
    assert a.status in (401, 403)
    assert world.server.why(a)["reason"] == "certificate.unknown-issuer"


def test_an_uploaded_ca_with_a_name_of_ours_changes_nothing_for_our_own(fresh_server):
    """Refused where it is brought; and were it there all the same (an older store), fronts leave it out."""
    import sqlite3
    server = fresh_server()
    dps = Dps(server)
    born = server.born("pump-1")
    ours = next(c for c in server.op("ca.list")["items"] if c["name"] == "issuing")
    cn = ours["subject"].split("CN=")[1].split(",")[0]
    key = new_key()
    subject = x509.load_pem_x509_certificate(server.op("ca.show", name="issuing")["pem"].encode()).subject
    twin = mint(None, subject, key, ca=True)
    assert cn
    pem = twin.public_bytes(serialization.Encoding.PEM).decode()
    assert not server.op("group.ca_add", _check=False, name="twin", pem=pem, verified=True)["ok"]
    other = OutsideCa()
    server.op("group.ca_add", name="other", pem=other.pem, verified=True)
    der = twin.public_bytes(serialization.Encoding.DER)
    import hashlib
    with sqlite3.connect(os.path.join(server.dir, "store/estuary.db"), timeout=30) as db:
        db.execute("UPDATE dps_ca SET der = ?, sha256 = ? WHERE name = 'other'", (der, hashlib.sha256(der).digest()))
    server.op("hub.add", name="another.example")  # a new snapshot
    a = server.enrol(csr(new_key(), "pump-1"), "idevid", reenrol=True, pair=born)
    assert a.status == 200, server.why(a)
    assert "has its name" in server.log_text()
    del dps


# --- happy paths ---

def test_by_certificate_of_a_group(world):
    rid = fresh_name("Pump")
    pair = world.pair(rid)
    a = world.dps.register(rid, pair=pair)
    assert a.status == 202 and answer(a)["status"] == "assigning" and int(a.headers["Retry-After"]) > 0
    assert a.headers["Content-Type"].startswith("application/json")
    state = world.dps.assigned(rid, pair=pair)
    assert state["assignedHub"] == world.dps.hub and state["deviceId"] == rid and state["substatus"]
    assert state["registrationId"] == rid.lower()
    status = world.dps.status(rid, pair=pair)
    assert status.status == 200 and answer(status)["assignedHub"] == world.dps.hub


@pytest.mark.parametrize("kind", ["group", "individual"])
def test_by_symmetric_key(world, kind):
    rid = fresh_name()
    key = derive(world.key, rid) if kind == "group" else world.enrolled("symmetric", rid, device_id="Device." + rid, payload={"a": [1]})["key"]
    state = world.dps.assigned(rid, token=world.dps.token(rid, key))
    assert state["status"] == "assigned"
    assert state["deviceId"] == (rid if kind == "group" else "Device." + rid)
    assert state.get("payload") == (None if kind == "group" else {"a": [1]})
    assert world.server.op("group.derive", name=world.keys, registration=rid)["key"] == derive(world.key, rid)


def test_by_a_certificate_of_its_own(world):
    """Also self-signed: the enrolment names it."""
    rid, key = fresh_name(), new_key()
    pair = Pair(mint(None, rid, key), key, os.path.dirname(world.server.dir))
    world.enrolled("x509", rid, cert=_pem(pair))
    assert world.dps.assigned(rid, pair=pair)["status"] == "assigned"


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_by_tpm(world, tls):
    rid, tpm = fresh_name(), SoftTpm()
    world.enrolled("tpm", rid, ek=b64(tpm.ek))
    challenge(world.dps, tpm, rid)
    state = world.dps.assigned(rid, tpm.body, token=world.dps.token(rid, tpm.sign), tls=tls)
    assert state["status"] == "assigned"
    assert world.dps.assigned(rid, tpm.body, token=world.dps.token(rid, tpm.sign))["status"] == "assigned", "its key goes on"


def test_a_tpm_has_ten_minutes(fresh_server, tmp_path):
    from clock import Clock
    (tmp_path / "clock").mkdir()
    clock = Clock(tmp_path / "clock")
    w = World(fresh_server(env=clock.env))
    rid, tpm = fresh_name(), SoftTpm()
    w.enrolled("tpm", rid, ek=b64(tpm.ek))
    challenge(w.dps, tpm, rid)
    clock.step(700)
    a = w.dps.register(rid, tpm.body, token=w.dps.token(rid, tpm.sign, end=3600))
    assert a.status == 401 and w.server.why(a)["reason"] == "dps.tpm-late"
    challenge(w.dps, tpm, rid)
    assert w.dps.register(rid, tpm.body, token=w.dps.token(rid, tpm.sign, end=3600)).status == 202


def test_hubs_are_shared_out_and_kept(world):
    hubs = [f"{fresh_name('hub')}.example" for _ in range(3)]
    for i, h in enumerate(hubs):
        world.server.op("hub.add", name=h, weight=1, latency=10 * (3 - i))
    got = {}
    for how in ("static", "hashed", "latency"):
        made = world.server.op("group.create", name=fresh_name(how), attestation="symmetric", allocation=how, hubs=hubs[:1] if how == "static" else hubs)
        ids = [fresh_name("share") for _ in range(12)]
        got[how] = {i: world.dps.assigned(i, token=world.dps.token(i, derive(made["key"], i)))["assignedHub"] for i in ids}
        again = world.dps.assigned(ids[0], token=world.dps.token(ids[0], derive(made["key"], ids[0])))
        assert again["assignedHub"] == got[how][ids[0]]
    assert set(got["static"].values()) == {hubs[0]}
    assert set(got["latency"].values()) == {hubs[2]}
    assert set(got["hashed"].values()) <= set(hubs) and len(set(got["hashed"].values())) > 1


# --- a certificate that comes with the registration ---

def test_a_request_in_the_register_call_gives_a_certificate_that_the_hub_takes(world):
    rid, key = fresh_name(), new_key()
    pair = world.pair(rid)
    a = world.dps.register(rid, {"registrationId": rid, "csr": b64(csr(key, rid))}, pair=pair)
    assert a.status == 202, a
    chain = [x509.load_der_x509_certificate(base64.b64decode(c)) for c in answer(a)["registrationState"]["issuedCertificateChain"]]
    assert [c.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for c in chain][0] == rid
    told = answer(a)["registrationState"]["issuedCertificateChain"]
    assert world.dps.assigned(rid, pair=pair)["issuedCertificateChain"] == told, "where clients look for it, also after a lost answer"
    assert chain[0].public_key().public_numbers() == key.public_key().public_numbers()
    for child, parent in zip(chain, chain[1:]):
        assert child.issuer == parent.subject
    issued = Pair(chain[0], key, os.path.dirname(world.server.dir))
    assert world.dps.assigned(rid, pair=pair)["deviceId"] == rid
    assert world.dps.modules(rid, pair=issued).status == 200
    record = world.server.op("cert.show", serial=issued.serial)
    assert record["label"] == "ldevid" and record["device"] == rid
    a = world.server.enrol(csr(new_key(), rid), "ldevid", reenrol=True, pair=issued)
    assert a.status == 200, "and it renews as any other of that label"


def test_a_certificate_is_given_again_to_who_registered_with_one_before(world):
    rid = fresh_name()
    pair = world.pair(rid)
    for _ in range(2):
        a = world.dps.register(rid, {"registrationId": rid, "csr": b64(csr(new_key(), rid))}, pair=pair)
        assert a.status == 202 and answer(a)["registrationState"]["issuedCertificateChain"]


def test_a_live_device_gets_a_certificate_when_it_shows_its_own(world):
    rid = fresh_name()
    pair = world.server.born(rid)
    a = world.dps.register(rid, {"registrationId": rid, "csr": b64(csr(new_key(), rid))}, pair=pair)
    assert a.status == 202, world.server.why(a)["trace"]


def test_a_disabled_label_gives_none_and_nothing_is_half_done(world):
    label, group, ca, rid = fresh_name("label"), fresh_name("group"), OutsideCa(), fresh_name()
    world.server.label(label, ca="issuing", profile="device", accept=["own"])
    world.server.op("group.ca_add", name=group, pem=ca.pem, verified=True)
    world.server.op("group.create", name=group, attestation="x509", ca=group, label=label)
    world.server.label(label, enabled=False)
    a = world.dps.register(rid, {"registrationId": rid, "csr": b64(csr(new_key(), rid))}, pair=world.pair(rid, ca))
    assert a.status == 503 and world.server.why(a)["reason"] == "dps.label"
    assert world.server.op("registration.list", q=rid)["items"] == []


# --- the hub ---

@pytest.fixture
def at_hub(world):
    """A device that has a hub, and its token."""
    rid = fresh_name("Dev")
    world.dps.assigned(rid, token=world.token(rid))
    return rid, world.dps.hub_token(rid, derive(world.key, rid))


def test_modules_from_birth_to_death(world, at_hub):
    rid, token = at_hub
    d = world.dps
    assert answer(d.modules(rid, token=token)) == []
    a = d.modules(rid, "mod-1", "PUT", {"moduleId": "mod-1", "deviceId": rid}, token=token)
    assert a.status == 200, a
    made = answer(a)
    assert made["moduleId"] == "mod-1" and made["deviceId"] == rid and made["generationId"]
    keys = {"primaryKey": b64(os.urandom(32)), "secondaryKey": b64(os.urandom(32))}
    body = {"moduleId": "mod-1", "deviceId": rid, "managedBy": "iotEdge", "generationId": made["generationId"],
            "authentication": {"type": "sas", "symmetricKey": keys}}
    a = d.modules(rid, "mod-1", "PUT", body, match="*", token=token)
    assert a.status == 200 and answer(a)["managedBy"] == "iotEdge" and answer(a)["generationId"] == made["generationId"]
    assert keys["primaryKey"] not in a.text, "keys do not come out again"
    assert [m["moduleId"] for m in answer(d.modules(rid, token=token))] == ["mod-1"]
    assert answer(d.modules(rid, "mod-1", token=token))["moduleId"] == "mod-1"
    a = d.modules(rid, "mod-1", "DELETE", match="*", token=token)
    assert a.status == 204 and a.body == b""
    assert d.modules(rid, "mod-1", token=token).status == 404
    again = answer(d.modules(rid, "mod-1", "PUT", {}, token=token))
    assert again["generationId"] != made["generationId"]


HUB_ROWS = {
    "no proof": (lambda w, r, t: w.dps.modules(r), 401),
    "another device's token": (lambda w, r, t: w.dps.modules(r, token=w.dps.hub_token("other", derive(w.key, "other"))), 401),
    "token for the provisioning service": (lambda w, r, t: w.dps.modules(r, token=w.token(r)), 401),
    "token for another hub": (lambda w, r, t: w.dps.modules(r, token=w.dps.hub_token(r, derive(w.key, r), hub="evil.example")), 401),
    "token that ended": (lambda w, r, t: w.dps.modules(r, token=w.dps.hub_token(r, derive(w.key, r), end=-400)), 401),
    "another device": (lambda w, r, t: w.dps.modules(r + "x", token=t), 401),
    "device in another case": (lambda w, r, t: w.dps.modules(r.upper(), token=t), 401),
    "certificate of another device": (lambda w, r, t: w.dps.modules(r, pair=w.server.born()), 401),
    "module with a slash": (lambda w, r, t: w.dps.modules(r, "a%2fb", token=t), 400),
    "module with a blank": (lambda w, r, t: w.dps.modules(r, "a%20b", token=t), 400),
    "module of 129 characters": (lambda w, r, t: w.dps.modules(r, "m" * 129, token=t), 400),
    "body of another module": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {"moduleId": "b"}, token=t), 400),
    "body of another device": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {"deviceId": "b"}, token=t), 400),
    "key that is no base64": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {"authentication": {"symmetricKey": {"primaryKey": "!"}}}, match="*", token=t), 400),
    "key of 65 octets": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {"authentication": {"symmetricKey": {"primaryKey": b64(bytes(65))}}}, match="*", token=t), 400),
    "another authentication": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {"authentication": {"type": "selfSigned"}}, match="*", token=t), 400),
    "update of a version": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {}, match='"1"', token=t), 412),
    "update of none": (lambda w, r, t: w.dps.modules(r, "none", "PUT", {}, match="*", token=t), 404),
    "delete without match": (lambda w, r, t: w.dps.modules(r, "a", "DELETE", token=t), 412),
    "delete of none": (lambda w, r, t: w.dps.modules(r, "none", "DELETE", match="*", token=t), 404),
    "body with a delete": (lambda w, r, t: w.dps.modules(r, "a", "DELETE", {}, match="*", token=t), 400),
    "no api-version": (lambda w, r, t: w.dps.modules(r, token=t, version=None), 400),
    "two matches": (lambda w, r, t: w.dps.modules(r, "a", "PUT", {}, token=t, headers=[("If-Match", "*"), ("If-Match", "*")]), 412),
    "sql": (lambda w, r, t: w.dps.modules(r, "'%20OR%201=1--", token=t), 400),
}


@pytest.mark.parametrize("row", HUB_ROWS)
def test_the_hub_refuses(world, at_hub, row):
    ask, status = HUB_ROWS[row]
    a = ask(world, *at_hub)
    assert a.status == status, a
    if a.headers["Content-Type"].startswith("application/json"):
        assert answer(a)["Message"] and answer(a)["trackingId"] == a.id
    assert answer(world.dps.modules(at_hub[0], token=at_hub[1])) == []


def test_a_module_that_is_there_is_not_made_again_and_there_is_a_limit(world, at_hub):
    rid, token = at_hub
    for i in range(100):
        assert world.dps.modules(rid, f"m{i}", "PUT", {}, token=token).status == 200
    assert world.dps.modules(rid, "m0", "PUT", {}, token=token).status == 409
    assert world.dps.modules(rid, "m100", "PUT", {}, token=token).status == 403
    assert len(answer(world.dps.modules(rid, token=token))) == 100


def test_a_batch_that_is_shut_out_has_no_hub_any_more(world):
    """By a disabled group for its intermediate: the group of the root, by which it registered, stays."""
    root, key, rid, mine = OutsideCa(), new_key(), fresh_name(), new_key()
    inter = mint((root.cert, root.key), fresh_name("inter"), key, ca=True)
    pair = Pair(mint((inter, key), rid, mine), mine, os.path.dirname(world.server.dir))
    names = [fresh_name("root"), fresh_name("inter")]
    for name, pem in zip(names, (root.pem, inter.public_bytes(serialization.Encoding.PEM).decode())):
        world.server.op("group.ca_add", name=name, pem=pem, verified=True)
    world.server.op("group.create", name=names[0], attestation="x509", ca=names[0], hubs=[world.dps.hub])
    assert world.dps.assigned(rid, pair=pair)["status"] == "assigned"
    world.server.op("group.create", name=names[1], attestation="x509", ca=names[1], hubs=[world.dps.hub])
    assert world.dps.modules(rid, pair=pair).status == 200, "a nearer group that is enabled takes nothing away"
    world.server.op("group.disable", name=names[1])
    assert world.dps.register(rid, pair=pair).status == 403
    a = world.dps.modules(rid, pair=pair)
    assert (a.status, world.server.why(a)["reason"]) == (403, "hub.disabled")


def test_a_disabled_registration_has_no_hub_any_more(world, at_hub):
    rid, token = at_hub
    assert world.dps.modules(rid, token=token).status == 200
    world.server.op("registration.disable", registration=rid)
    assert world.dps.modules(rid, token=token).status == 403
    world.server.op("registration.enable", registration=rid)
    assert json.loads(world.dps.modules(rid, token=token, version=HUB_VERSION).body) == []


def test_what_was_done_is_in_the_record(world, at_hub):
    rid, token = at_hub
    a = world.dps.modules(rid, "m", "PUT", {}, token=token)
    why = world.server.why(a)
    assert why["kind"] == "hub" and why["outcome"] == "ok" and why["device"] == rid
    quiet = world.dps.modules(rid, token=token)
    assert not world.server.op("audit.why", _check=False, request_id=quiet.id)["ok"], "plain reads are not recorded"
    assert world.server.op("audit.verify")["ok"]
    wait_for("the record", lambda: world.server.op("registration.show", registration=rid)["device_id"] == rid)
