# SPDX-License-Identifier: Apache-2.0
"""The operator's side of provisioning: CAs and their proof, groups, enrolments, hubs, and what the command line says of them."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import subprocess
import tempfile
import tomllib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import estuary
from estuary import OutsideCa, Pair, csr, fresh_name, mint, new_key

PEM = serialization.Encoding.PEM


def pem(cert):
    return cert.public_bytes(PEM).decode()


def refused(server, verb, code, **args):
    a = server.op(verb, False, **args)
    assert not a["ok"] and a["error"]["code"] == code, a
    return a["error"]["message"]


def b64(octets):
    return base64.b64encode(octets).decode()


def upload(server, ca=None, **kw):
    """An uploaded, verified CA; its name here."""
    ca = ca or OutsideCa()
    name = fresh_name("ca")
    server.op("group.ca_add", **{"name": name, "pem": ca.pem, "verified": True, **kw})
    return name


def x509_group(server, **kw):
    name = fresh_name("group")
    return server.op("group.create", **{"name": name, "attestation": "x509", "ca": upload(server), **kw})


def symmetric_group(server, **kw):
    return server.op("group.create", **{"name": fresh_name("group"), "attestation": "symmetric", **kw})


# --- the service and its hubs ---

def test_quickstart_makes_the_scope_and_itself_a_hub(server):
    shown = server.op("dps.show")
    assert re.fullmatch("0ne[0-9A-Za-z]{8}", shown["id_scope"])
    assert (server.info["id_scope"], server.info["dps_endpoint"]) == (shown["id_scope"], shown["endpoint"])
    assert shown["endpoint"] == server.info["est_url"].removesuffix("/.well-known/est")
    assert shown["endpoint"].removeprefix("https://") in [h["name"] for h in shown["hubs"]]


def test_the_scope_is_recorded_once_and_reading_it_changes_nothing(server):
    last = server.op("audit.list", limit=1)["items"][0]["id"]
    server.op("dps.show")
    assert server.op("audit.list", limit=1)["items"][0]["id"] == last
    page, made = {}, []
    while page is not None:  # others use this server too
        got = server.op("audit.list", kind="operator", limit=1000, **page)
        made += [r for r in got["items"] if r["reason"] == "dps.show"]
        page = {"after": got["next"]} if "next" in got else None
    assert len(made) == 1 and server.info["id_scope"] in made[0]["text"]


def test_a_hub_is_added_changed_and_removed(server):
    name = fresh_name("hub") + ".example:8443"
    made = server.op("hub.add", name=name, weight=3)
    assert (made["weight"], made["latency"], made["enabled"], made["devices"]) == (3, 0, True, 0)
    refused(server, "hub.add", "exists", name=name.upper())
    changed = server.op("hub.set", name=name, latency=20, enabled=False)
    assert (changed["weight"], changed["latency"], changed["enabled"]) == (3, 20, False)
    assert changed in server.op("hub.list")["items"]
    server.op("hub.remove", name=name)
    refused(server, "hub.remove", "not-found", name=name)


@pytest.mark.parametrize("args", [
    {"name": "https://h.example"}, {"name": "h.example/path"}, {"name": "h..example"}, {"name": "h.example:0"}, {"name": "h.example:x"},
    {"name": "h e"}, {"name": "h'.example"}, {"name": "h.example", "weight": 0}, {"name": "h.example", "weight": 1001},
    {"name": "h.example", "latency": -1}, {"name": "h.example", "weight": "2"}])
def test_a_hub_that_is_none_is_refused(server, args):
    assert "expected" in refused(server, "hub.add", "usage", **args)
    assert "h.example" not in [h["name"] for h in server.op("hub.list")["items"]]


def test_a_hub_that_a_group_names_stays(server):
    hub = fresh_name("hub") + ".example"
    server.op("hub.add", name=hub)
    group = symmetric_group(server, allocation="static", hubs=[hub])
    assert group["name"] in refused(server, "hub.remove", "exists", name=hub)
    server.op("group.remove", name=group["name"])
    server.op("hub.remove", name=hub)


# --- CAs, as in the portal ---

def test_a_ca_is_verified_on_upload(server):
    ca = OutsideCa()
    name = fresh_name("ca")
    made = server.op("group.ca_add", name=name, pem=ca.pem, verified=True)
    assert made["verified"] and made["code"] == "" and made["ours"] == "" and made["groups"] == 0
    assert made["sha256"] == ca.cert.fingerprint(hashes.SHA256()).hex() and made["pem"].strip() == ca.pem.strip()
    assert server.op("group.ca_show", name=name) == made
    assert name in [c["name"] for c in server.op("group.ca_list")["items"]]


def openssl_proof(ca, code):
    """What `openssl x509 -req` makes of a request without an extension file, as the cloud's own documents do it."""
    with tempfile.TemporaryDirectory() as d:
        for file, octets in (("ca.pem", ca.pem.encode()), ("ca.key", estuary.key_pem(ca.key))):
            with open(os.path.join(d, file), "wb") as f:
                f.write(octets)
        for command in (f"req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout proof.key -subj /CN={code} -out proof.csr",
                        "x509 -req -in proof.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out proof.pem"):
            subprocess.run(["openssl", *command.split()], cwd=d, check=True, capture_output=True)
        with open(os.path.join(d, "proof.pem"), encoding="ascii") as f:
            return f.read()


def test_a_ca_counts_when_a_certificate_for_its_code_proves_the_key(server):
    ca, name = OutsideCa(), fresh_name("ca")
    code = server.op("group.ca_add", name=name, pem=ca.pem)["code"]
    assert re.fullmatch("[0-9a-f]{48}", code)
    assert "not verified" in refused(server, "group.create", "policy", name=fresh_name(), attestation="x509", ca=name)
    other = OutsideCa()
    for wrong in (mint((ca.cert, ca.key), "0" * 48, new_key()), mint((other.cert, other.key), code, new_key()), ca.cert,
                  mint((ca.cert, ca.key), code, new_key(), begin=-7200, end=-3600)):
        refused(server, "group.ca_verify", "auth", name=name, pem=pem(wrong))
    assert not server.op("group.ca_show", name=name)["verified"]
    # openssl makes version 1 without an extension file; another CA's is none all the same.
    assert "same" not in refused(server, "group.ca_verify", "auth", name=name, pem=openssl_proof(other, code))
    old = server.op("group.ca_add", name=fresh_name("ca"), pem=(third := OutsideCa()).pem)
    assert server.op("group.ca_verify", name=old["name"], pem=openssl_proof(third, old["code"]))["verified"]
    done = server.op("group.ca_verify", name=name, pem=pem(mint((ca.cert, ca.key), code, new_key())))
    assert done["verified"] and done["verified_at"] and done["code"] == ""
    refused(server, "group.ca_verify", "exists", name=name, pem=pem(mint((ca.cert, ca.key), code, new_key())))
    server.op("group.create", name=fresh_name(), attestation="x509", ca=name)


def test_codes_are_never_the_same(server):
    assert len({server.op("group.ca_add", name=fresh_name("ca"), pem=OutsideCa().pem)["code"] for _ in range(4)}) == 4


def weak_ca(kind):
    key = new_key("rsa-1024" if kind == "small" else "ec-p256")
    now = datetime.datetime.utcnow()
    b = (x509.CertificateBuilder(estuary.name("c" + fresh_name()), estuary.name(fresh_name()), key.public_key(), 7, now - datetime.timedelta(1),
                                 now + datetime.timedelta(1)))
    if kind != "no-bc":
        b = b.add_extension(x509.BasicConstraints(kind != "leaf", None), True)
    if kind == "no-sign":
        b = b.add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
    if kind == "critical":
        b = b.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    return pem(b.sign(key, hashes.SHA256()))


@pytest.mark.parametrize("kind", ["leaf", "no-bc", "no-sign", "critical", "small"])
def test_a_certificate_that_cannot_be_a_ca_is_refused(server, kind):
    name = fresh_name("ca")
    refused(server, "group.ca_add", "policy", name=name, pem=weak_ca(kind), verified=True)
    refused(server, "trust.add", "policy", name=name, pem=weak_ca(kind))
    refused(server, "group.ca_show", "not-found", name=name)


@pytest.mark.parametrize("begin,end", [(-7200, -3600), (3600, 7200)], ids=["over", "not-yet"])
def test_a_ca_out_of_its_time_is_refused(server, begin, end):
    refused(server, "group.ca_add", "policy", name=fresh_name("ca"), verified=True,
            pem=pem(mint(None, fresh_name("late-ca"), new_key(), ca=True, begin=begin, end=end)))


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(server, text):
    a = server.op("group.ca_add", False, name=fresh_name("ca"), pem=text)
    assert not a["ok"] and a["error"]["code"] in ("usage", "format"), a


def test_a_file_with_several_certificates_is_not_guessed_at(server):
    assert "more than one" in refused(server, "group.ca_add", "usage", name=fresh_name("ca"), pem=OutsideCa().pem + OutsideCa().pem)


def test_a_ca_is_there_once(server):
    ca, name = OutsideCa(), fresh_name("ca")
    server.op("group.ca_add", name=name, pem=ca.pem)
    refused(server, "group.ca_add", "exists", name=fresh_name("ca"), pem=ca.pem)
    refused(server, "group.ca_add", "exists", name=name, pem=OutsideCa().pem)


def twin(cert, key):
    """Another certificate of the same name and key."""
    return mint(None, cert.subject, key, ca=True, end=172800)


def test_a_ca_cannot_stand_in_for_one_of_ours(server):
    ours = x509.load_pem_x509_certificate(server.op("ca.show", name="issuing")["pem"].encode())
    key = new_key()
    same_name = mint(None, ours.subject, key, ca=True)
    now = datetime.datetime.utcnow()
    same_key = (x509.CertificateBuilder(estuary.name(fresh_name()), estuary.name(fresh_name()), ours.public_key(), 9, now - datetime.timedelta(1),
                                        now + datetime.timedelta(1))
                .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    for cert in (same_name, same_key):
        for verb in ("group.ca_add", "trust.add"):
            assert "issuing" in refused(server, verb, "policy", name=fresh_name("ca"), pem=pem(cert))
    device = server.born()
    assert server.enrol(csr(new_key(), device.cn), "ldevid", pair=device).status == 200


def test_a_name_that_differs_in_case_and_blanks_is_the_same_name(server):
    """As path validation has it: fronts would leave such a CA out, and its devices never get in."""
    ours = x509.load_pem_x509_certificate(server.op("ca.show", name="issuing")["pem"].encode())
    cn = ours.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    for verb in ("group.ca_add", "trust.add"):
        assert "issuing" in refused(server, verb, "policy", name=fresh_name("ca"), pem=OutsideCa(cn.upper().replace(" ", "  ")).pem)
    trusted, uploaded = OutsideCa(fresh_name("Outside Maker")), OutsideCa(fresh_name("Uploaded Maker"))
    trusted.trust(server)
    name = upload(server, uploaded)
    for ca, verb in ((trusted, "group.ca_add"), (uploaded, "trust.add")):
        cn = ca.cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        assert "same name and another key" in refused(server, verb, "policy", name=fresh_name("ca"), pem=OutsideCa(cn.lower()).pem)
        assert "same subject" in refused(server, "ca.create", "policy", name=fresh_name("ca"), kind="root", cn=cn.lower())
    # Two of provisioning alone stand beside each other, as their devices' signatures tell them apart.
    upload(server, OutsideCa(uploaded.cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value))
    assert server.op("group.ca_show", name=name)["verified"]


def test_two_certificates_of_one_ca_are_not_there_at_once(server):
    ca = OutsideCa()
    upload(server, ca)
    assert "same name and key" in refused(server, "group.ca_add", "policy", name=fresh_name("ca"), pem=pem(twin(ca.cert, ca.key)))
    assert "same name and key" in refused(server, "trust.add", "policy", name=fresh_name("ca"), pem=pem(twin(ca.cert, ca.key)))
    trusted = OutsideCa()
    trusted.trust(server)
    assert "same name and key" in refused(server, "group.ca_add", "policy", name=fresh_name("ca"), pem=pem(twin(trusted.cert, trusted.key)))


def test_the_next_certificate_of_a_ca_takes_the_place_of_the_one_before(fresh_server):
    """A group names the CA, and devices registered by the group: neither can be removed to make room."""
    server, ca = fresh_server(), OutsideCa()
    name = upload(server, ca)
    x509_group(server, ca=name)
    assert register(server, ca.pair(server, "pump-1")) == 202
    following = twin(ca.cert, ca.key)
    assert "takes its place" in refused(server, "group.ca_add", "policy", name=fresh_name("ca"), pem=pem(following), verified=True)
    renewed = server.op("group.ca_add", name=name, pem=pem(following))
    assert (renewed["verified"], renewed["groups"], renewed["pem"]) == (True, 1, pem(following))
    assert renewed["not_after"] > ca.cert.not_valid_after.replace(tzinfo=datetime.timezone.utc).timestamp()
    for cn in ("pump-1", "pump-2"):
        assert register(server, ca.pair(server, cn)) == 202
    unproved = OutsideCa()
    server.op("group.ca_add", name="unproved", pem=unproved.pem)
    assert "remove that one first" in refused(server, "group.ca_add", "policy", name="unproved", pem=pem(twin(unproved.cert, unproved.key)),
                                              verified=True)


def test_an_uploaded_ca_lets_nobody_in_at_est_and_takes_nobody_away(server):
    maker = OutsideCa()
    below_key = new_key()
    below = mint((maker.cert, maker.key), fresh_name("below-ca"), below_key, ca=True)
    maker.trust(server, scope="own-name")
    cn, key = fresh_name(), new_key()
    device = Pair([mint((below, below_key), cn, key), below], key, server.dir)
    assert server.enrol(csr(new_key(), cn), "idevid", pair=device).status == 200
    # Uploaded, the CA between would hide the one above it.
    assert "trust add" in refused(server, "group.ca_add", "policy", name=fresh_name("ca"), pem=pem(below), verified=True)
    server.op("trust.add", name=fresh_name("anchor"), pem=pem(below), scope="own-name", active=True)
    server.op("group.ca_add", name=fresh_name("ca"), pem=pem(below), verified=True)
    cn, key = fresh_name(), new_key()
    device = Pair([mint((below, below_key), cn, key), below], key, server.dir)
    assert server.enrol(csr(new_key(), cn), "idevid", pair=device).status == 200
    stranger = OutsideCa()
    upload(server, stranger)
    answer = server.enrol(csr(new_key(), fresh_name()), "idevid", pair=stranger.pair(server))
    assert answer.status in (401, 403), answer


def test_an_anchor_above_an_uploaded_ca_is_refused_until_that_is_one_too(server):
    root = OutsideCa()
    below_key = new_key()
    below = mint((root.cert, root.key), fresh_name("below-ca"), below_key, ca=True)
    server.op("group.ca_add", name=fresh_name("ca"), pem=pem(below), verified=True)
    refused(server, "trust.add", "policy", name=fresh_name("anchor"), pem=root.pem)
    server.op("trust.add", name=fresh_name("anchor"), pem=pem(below))
    root.trust(server)


@pytest.mark.parametrize("root_first", [True, False])
def test_an_intermediate_knows_its_root_whichever_came_first(server, root_first):
    root, key = OutsideCa(), new_key()
    below = mint((root.cert, root.key), fresh_name("below-ca"), key, ca=True)
    names = {}
    for what in ("root", "below") if root_first else ("below", "root"):
        names[what] = fresh_name("ca")
        server.op("group.ca_add", name=names[what], pem=root.pem if what == "root" else pem(below), verified=True)
    assert server.op("group.ca_show", name=names["below"])["parent"] == names["root"]
    assert server.op("group.ca_show", name=names["root"])["parent"] == ""
    server.op("group.ca_remove", name=names["root"])
    assert server.op("group.ca_show", name=names["below"])["parent"] == ""


def test_a_ca_of_ours_is_taken_by_name_and_needs_no_proof(fresh_server):
    server = fresh_server()
    made = server.op("group.ca_add", name="mine", ca="issuing")
    assert (made["verified"], made["ours"]) == (True, "issuing")
    # As in the tutorials, where the root's certificate is a file that was downloaded.
    with open(server.root_file, encoding="ascii") as f:
        root = server.op("group.ca_add", name="downloaded", pem=f.read())
    assert (root["verified"], root["ours"]) == (True, "root")
    assert server.op("group.ca_show", name="mine")["parent"] == "downloaded"
    refused(server, "group.ca_add", "not-found", name="x", ca="nobody")
    refused(server, "group.ca_add", "usage", name="x")
    refused(server, "group.ca_add", "usage", name="x", ca="issuing", pem=OutsideCa().pem)
    # Under whichever name it is there, it is the same.
    group = server.op("group.create", name="edge", attestation="x509", ca="issuing", edge=True)
    assert (group["ca"], group["edge"]) == ("mine", True)


def test_one_command_is_enough_for_devices_of_our_own_ca(fresh_server):
    server = fresh_server()
    group = server.op("group.create", name="edge", attestation="x509", ca="issuing")
    assert (group["ca"], group["id_scope"]) == ("issuing", server.info["id_scope"])
    assert server.op("group.ca_show", name="issuing")["verified"]


def test_a_ca_that_a_group_names_stays(server):
    group = x509_group(server)
    message = refused(server, "group.ca_remove", "exists", name=group["ca"])
    assert "group set" in message and server.op("group.ca_show", name=group["ca"])["groups"] == 1
    server.op("group.remove", name=group["name"])
    server.op("group.ca_remove", name=group["ca"])
    refused(server, "group.ca_show", "not-found", name=group["ca"])


# --- groups ---

def test_a_group_has_what_it_was_given_and_its_defaults(server):
    hub, ca2 = fresh_name("hub") + ".example", upload(server)
    server.op("hub.add", name=hub)
    made = x509_group(server, ca2=ca2, allocation="static", hubs=[hub], reprovision="never", payload={"a": [1, {"b": None}]}, edge=True,
                      label="ldevid", enabled=False)
    for k, v in {"ca2": ca2, "allocation": "static", "hubs": [hub], "reprovision": "never", "payload": {"a": [1, {"b": None}]}, "edge": True,
                 "label": "ldevid", "enabled": False, "registrations": 0, "webhook": ""}.items():
        assert made[k] == v, k
    assert server.op("group.show", name=made["name"]) == made
    plain = symmetric_group(server)
    assert (plain["allocation"], plain["hubs"], plain["reprovision"], plain["payload"], plain["edge"], plain["label"], plain["enabled"]) == \
        ("hashed", [], "migrate", None, False, "", True)


def test_two_groups_never_have_the_same_ca(server):
    a, b = x509_group(server), x509_group(server)
    for args in ({"ca": a["ca"]}, {"ca": upload(server), "ca2": a["ca"]}):
        assert a["name"] in refused(server, "group.create", "exists", name=fresh_name("group"), attestation="x509", **args)
    assert a["name"] in refused(server, "group.set", "exists", name=b["name"], ca2=a["ca"])
    assert "same CA" in refused(server, "group.set", "usage", name=b["name"], ca2=b["ca"])
    server.op("group.remove", name=a["name"])
    assert server.op("group.set", name=b["name"], ca2=a["ca"])["ca2"] == a["ca"]
    assert server.op("group.set", name=b["name"], ca=a["ca"], ca2="")["ca"] == a["ca"]


@pytest.mark.parametrize("args,code", [
    ({"attestation": "tpm"}, "usage"), ({"attestation": ""}, "usage"), ({"attestation": "X509"}, "usage"),
    ({"attestation": "x509"}, "usage"), ({"attestation": "x509", "ca": "nobody"}, "not-found"), ({"attestation": "x509", "ca": 7}, "usage"),
    ({"attestation": "x509", "key": b64(bytes(32))}, "usage"), ({"attestation": "symmetric", "ca": "issuing"}, "usage"),
    ({"attestation": "symmetric", "key": b64(bytes(31))}, "usage"), ({"attestation": "symmetric", "key": b64(bytes(65))}, "usage"),
    ({"attestation": "symmetric", "key": "!" * 44}, "usage"), ({"attestation": "symmetric", "key2": ""}, "usage"),
    ({"attestation": "symmetric", "allocation": "nearest"}, "usage"), ({"attestation": "symmetric", "allocation": "static"}, "usage"),
    ({"attestation": "symmetric", "hubs": ["no.such.example"]}, "not-found"), ({"attestation": "symmetric", "hubs": "h"}, "usage"),
    ({"attestation": "symmetric", "hubs": [7]}, "usage"), ({"attestation": "symmetric", "allocation": "webhook"}, "usage"),
    ({"attestation": "symmetric", "webhook": "https://h.example/x"}, "usage"),
    ({"attestation": "symmetric", "allocation": "webhook", "webhook": "http://h.example/x"}, "usage"),
    ({"attestation": "symmetric", "allocation": "webhook", "webhook": "https://"}, "usage"),
    ({"attestation": "symmetric", "allocation": "webhook", "webhook": "https://u:p@h.example/"}, "usage"),
    ({"attestation": "symmetric", "allocation": "webhook", "webhook": "https://h.example/ x"}, "usage"),
    ({"attestation": "symmetric", "allocation": "webhook", "webhook": "https://h.example/" + "x" * 1024}, "usage"),
    ({"attestation": "symmetric", "payload": [1]}, "usage"), ({"attestation": "symmetric", "payload": "{"}, "format"),
    ({"attestation": "symmetric", "payload": {"a": "x" * 16384}}, "too-big"), ({"attestation": "symmetric", "label": "nobody"}, "not-found"),
    ({"attestation": "symmetric", "reprovision": "always"}, "usage"), ({"attestation": "symmetric", "edge": "yes"}, "usage"),
    ({"attestation": "symmetric", "enabled": "yes"}, "usage"), ({"attestation": "symmetric", "device_id": "x"}, "usage"),
    ({"attestation": "symmetric", "name": "a b"}, "usage"), ({"attestation": "symmetric", "name": "-a"}, "usage"),
    ({"attestation": "symmetric", "name": "a" * 129}, "usage"), ({"attestation": "symmetric", "name": "a\n"}, "usage")])
def test_a_group_that_is_not_whole_is_refused_and_leaves_nothing(server, args, code):
    before = server.op("group.list", limit=1000)["items"], server.op("group.ca_list")["items"]
    last = server.op("audit.list", limit=1)["items"][0]["id"]
    refused(server, "group.create", code, **{"name": fresh_name("group"), **args})
    assert (server.op("group.list", limit=1000)["items"], server.op("group.ca_list")["items"]) == before
    assert server.op("audit.list", limit=1)["items"][0]["id"] == last


def test_a_refused_group_does_not_leave_our_ca_behind(fresh_server):
    server = fresh_server()
    assert "payload" in refused(server, "group.create", "usage", name="edge", attestation="x509", ca="issuing", payload=[1])
    refused(server, "group.create", "usage", name="edge", attestation="x509", ca="issuing", ca2="issuing")
    assert server.op("group.ca_list")["items"] == []


def test_a_group_is_changed_in_part_and_never_in_its_attestation(server):
    group = symmetric_group(server, payload={"a": 1}, edge=True)
    changed = server.op("group.set", name=group["name"], payload='{"b": 2}', label="ldevid")
    assert (changed["payload"], changed["edge"], changed["label"]) == ({"b": 2}, True, "ldevid")
    changed = server.op("group.set", name=group["name"], payload="", label="", edge=False)
    assert (changed["payload"], changed["edge"], changed["label"]) == (None, False, "")
    assert "cannot change" in refused(server, "group.set", "usage", name=group["name"], attestation="x509")
    assert server.op("group.disable", name=group["name"])["enabled"] is False
    assert server.op("group.enable", name=group["name"])["enabled"] is True
    refused(server, "group.set", "not-found", name=fresh_name("none"), edge=True)


def test_a_name_is_used_once(server):
    group = symmetric_group(server)
    refused(server, "group.create", "exists", name=group["name"], attestation="symmetric")
    server.op("group.remove", name=group["name"])
    refused(server, "group.show", "not-found", name=group["name"])


def test_pages_of_groups_join_to_the_whole(server):
    for _ in range(3):
        symmetric_group(server)
    whole = server.op("group.list", limit=1000)["items"]
    got, after = [], None
    while True:
        page = server.op("group.list", limit=2, **({"after": after} if after else {}))
        got += page["items"]
        after = page.get("next")
        if after is None:
            break
    assert got == whole and "key" not in json.dumps(whole).replace("keys", "")


# --- keys ---

def test_keys_are_made_shown_once_and_differ(server):
    group = symmetric_group(server)
    key, key2 = (base64.b64decode(group[k], validate=True) for k in ("key", "key2"))
    assert len(key) == len(key2) == 64 and key != key2
    assert "key" not in server.op("group.show", name=group["name"])
    assert "key" not in server.op("group.set", name=group["name"], edge=True)


def test_looking_at_keys_is_recorded_and_no_record_has_one(server):
    group = symmetric_group(server, key=b64(b"k" * 40))
    shown = server.op("group.show", name=group["name"], show_keys=True)
    assert (shown["key"], shown["key2"]) == (b64(b"k" * 40), group["key2"])
    derived = server.op("group.derive", name=group["name"], registration="pump-7")["key"]
    records = server.op("audit.list", limit=20)["items"]
    assert [r["text"] for r in records[:3]] == [f"group.derive {group['name']}: registration=pump-7", f"group.show {group['name']}: keys shown",
                                                f"group.create {group['name']}: attestation=symmetric"]
    assert not any(secret in json.dumps(records) for secret in (group["key"], group["key2"], derived))


def test_keys_do_not_stand_in_the_store(fresh_server):
    server = fresh_server()
    symmetric_group(server, key=b64(b"THE-GROUP'S-OWN-KEY-".ljust(48, b"!")))
    server.stop()
    for f in ("store.db", "store.db-wal"):
        try:
            with open(f"{server.dir}/{f}", "rb") as store:
                octets = store.read()
        except FileNotFoundError:
            continue
        assert b"THE-GROUP'S-OWN-KEY" not in octets and b64(b"THE-GROUP'S-OWN-KEY").encode()[:20] not in octets


def test_a_devices_key_is_the_hmac_of_its_name(server):
    group = symmetric_group(server)
    want = b64(hmac.new(base64.b64decode(group["key"]), b"pump-7:a", hashlib.sha256).digest())
    got = server.op("group.derive", name=group["name"], registration="Pump-7:A")
    assert (got["key"], got["id_scope"]) == (want, server.info["id_scope"])
    refused(server, "group.derive", "usage", name=group["name"], registration="a/b")
    refused(server, "group.derive", "usage", name=x509_group(server)["name"], registration="a")


def test_keys_are_rotated_one_at_a_time(server):
    group = symmetric_group(server)
    turned = server.op("group.key_rotate", name=group["name"], which="secondary")
    assert turned["key"] == group["key"] and turned["key2"] != group["key2"]
    turned2 = server.op("group.key_rotate", name=group["name"], which="primary")
    assert turned2["key"] != group["key"] and turned2["key2"] == turned["key2"]
    assert server.op("group.show", name=group["name"], show_keys=True)["key"] == turned2["key"]
    refused(server, "group.key_rotate", "usage", name=group["name"], which="both")


# --- individual enrolments ---

def test_an_enrolment_by_key_is_kept_under_its_name_in_lower_case(server):
    name = fresh_name("Pump")
    made = server.op("enrolment.create", registration=name, attestation="symmetric", device_id="Pump(7)", payload={"x": 1})
    assert (made["registration"], made["device_id"], made["payload"]) == (name.lower(), "Pump(7)", {"x": 1})
    assert len(base64.b64decode(made["key"])) == 64 and server.op("enrolment.show", registration=name.upper())["device_id"] == "Pump(7)"
    refused(server, "enrolment.create", "exists", registration=name.upper(), attestation="symmetric")
    assert server.op("enrolment.set", registration=name, device_id="")["device_id"] == name.lower()
    assert server.op("enrolment.disable", registration=name)["enabled"] is False
    assert name.lower() in [e["registration"] for e in server.op("enrolment.list", limit=1000)["items"]]
    server.op("enrolment.remove", registration=name)
    refused(server, "enrolment.show", "not-found", registration=name)


def test_an_enrolment_by_certificate_keeps_its_digest(server):
    name, key = fresh_name("dev"), new_key()
    cert, second = mint(None, name.upper(), key), mint(None, name, new_key())
    made = server.op("enrolment.create", registration=name, attestation="x509", cert=pem(cert))
    assert (made["cert_sha256"], made["cert2_sha256"]) == (cert.fingerprint(hashes.SHA256()).hex(), "")
    changed = server.op("enrolment.set", registration=name, cert2=pem(second))
    assert changed["cert2_sha256"] == second.fingerprint(hashes.SHA256()).hex()
    assert server.op("enrolment.set", registration=name, cert2="")["cert2_sha256"] == ""
    assert "registration ID" in refused(server, "enrolment.set", "policy", registration=name, cert=pem(mint(None, "other", key)))
    refused(server, "enrolment.set", "policy", registration=name, cert=pem(mint(None, name, key, ca=True)))
    refused(server, "enrolment.set", "usage", registration=name, cert="")
    refused(server, "enrolment.create", "usage", registration=fresh_name(), attestation="x509")


@pytest.mark.parametrize("args,code", [
    ({"attestation": "tpm"}, "usage"), ({"attestation": "tpm", "ek": b64(b"no key")}, "format"), ({"attestation": "tpm", "ek": "?"}, "format"),
    ({"attestation": "symmetric", "registration": "a/b"}, "usage"), ({"attestation": "symmetric", "registration": "a."}, "usage"),
    ({"attestation": "symmetric", "registration": "a" * 129}, "usage"), ({"attestation": "symmetric", "device_id": "a/b"}, "usage"),
    ({"attestation": "symmetric", "device_id": "d" * 129}, "usage"), ({"attestation": "symmetric", "ek": b64(b"x")}, "usage"),
    ({"attestation": "x509", "cert": "x"}, "format")])
def test_an_enrolment_that_is_not_whole_is_refused(server, args, code):
    refused(server, "enrolment.create", code, **{"registration": fresh_name(), **args})


# --- registrations ---

def test_registrations_that_are_not_there_are_said(server):
    for verb in ("show", "remove", "enable", "disable"):
        assert "nobody-7" in refused(server, f"registration.{verb}", "not-found", registration="Nobody-7")
    assert server.op("registration.list", q="nobody-7")["items"] == []
    refused(server, "registration.list", "usage", status="lost")
    for status in ("unassigned", "assigning", "assigned", "failed", "disabled"):
        server.cli("registration", "list", "--status", status)
    refused(server, "registration.list", "not-found", group="nobody")
    refused(server, "hub.modules", "not-found", device="nobody")


def register(server, pair):
    with server.client(pair=pair) as c:
        return c.request("PUT", f"/{server.info['id_scope']}/registrations/{pair.cn}/register?api-version=2021-06-01",
                         json.dumps({"registrationId": pair.cn}).encode(), {"Content-Type": "application/json"}).status


def test_a_registered_device_holds_its_group_and_hub_until_it_is_removed(fresh_server):
    server = fresh_server()
    server.op("group.create", name="edge", attestation="x509", ca="issuing")
    hub = server.op("hub.list")["items"][0]["name"]
    device = server.born()
    assert register(server, device) == 202
    shown = server.op("registration.show", registration=device.cn.upper())
    assert (shown["status"], shown["hub"], shown["enrolment"], shown["individual"], shown["modules"]) == ("assigned", hub, "edge", False, 0)
    assert shown["cert_sha256"] == device.cert.fingerprint(hashes.SHA256()).hex()
    listed = server.op("registration.list", group="edge", status="assigned", q=device.cn[:-1])["items"]
    assert [r["registration"] for r in listed] == [device.cn] and listed[0].items() <= shown.items()
    assert server.op("registration.list", q=device.cn.upper())["items"] == listed
    assert server.op("group.show", name="edge")["registrations"] == 1 and server.op("hub.list")["items"][0]["devices"] == 1
    assert server.op("hub.modules", device=device.cn)["items"] == []
    assert "disable edge" in refused(server, "group.remove", "exists", name="edge")
    assert "--enabled no" in refused(server, "hub.remove", "exists", name=hub)
    row = server.cli("registration", "list").stdout.splitlines()
    assert re.split(" {2,}", row[0])[:6] == ["REGISTRATION ID", "DEVICE ID", "ASSIGNED HUB", "STATUS", "SUBSTATUS", "ENROLMENT"]
    assert re.split(" {2,}", row[1])[:6] == [device.cn, device.cn, hub, "assigned", "initialAssignment", "edge"]
    server.op("registration.remove", registration=device.cn)
    server.op("group.remove", name="edge")
    server.op("hub.remove", name=hub)


def test_a_registration_is_disabled_and_enabled_and_that_is_recorded(fresh_server):
    server = fresh_server()
    server.op("group.create", name="edge", attestation="x509", ca="issuing")
    device = server.born()
    assert register(server, device) == 202
    assert server.op("registration.disable", registration=device.cn)["status"] == "disabled"
    refused(server, "registration.disable", "exists", registration=device.cn)
    assert register(server, device) in (401, 403)
    assert server.op("registration.enable", registration=device.cn)["status"] == "assigned"
    refused(server, "registration.enable", "exists", registration=device.cn)
    assert register(server, device) == 202
    assert [e["kind"] for e in server.op("event.list", device=device.cn)["items"]][:2] == ["registration.enabled", "registration.disabled"]
    acts = [r["reason"] for r in server.op("audit.list", device=device.cn)["items"]]
    assert "registration.disable" in acts and "registration.enable" in acts


def test_a_registered_device_keeps_its_device_id_and_nobody_is_told_otherwise(fresh_server):
    server = fresh_server()
    server.op("group.create", name="edge", attestation="x509", ca="issuing")
    device = server.born("Pump-9")
    assert register(server, device) == 202
    assert "registered as 'Pump-9'" in refused(server, "enrolment.create", "exists", registration="pump-9", attestation="symmetric",
                                               device_id="pump-9")
    server.op("enrolment.create", registration="pump-9", attestation="symmetric", device_id="Pump-9")
    assert "registration remove pump-9" in refused(server, "enrolment.set", "exists", registration="pump-9", device_id="other")
    assert server.op("enrolment.set", registration="pump-9", device_id="", edge=True)["edge"]
    server.op("registration.remove", registration="pump-9")
    assert server.op("enrolment.set", registration="pump-9", device_id="other")["device_id"] == "other"


def test_what_a_group_is_now_holds_for_the_next_device(fresh_server):
    server = fresh_server()
    server.op("group.create", name="edge", attestation="x509", ca="issuing", enabled=False)
    assert register(server, server.born()) in (401, 403)
    server.op("group.enable", name="edge")
    assert register(server, server.born()) == 202
    outside = OutsideCa()
    device = outside.pair(server)
    assert register(server, device) in (401, 403)
    code = server.op("group.ca_add", name="outside", pem=outside.pem)["code"]
    assert register(server, device) in (401, 403)
    server.op("group.ca_verify", name="outside", pem=pem(mint((outside.cert, outside.key), code, new_key())))
    assert register(server, device) in (401, 403)
    server.op("group.set", name="edge", ca2="outside")
    assert register(server, device) == 202


# --- the command line ---

def sections(text):
    """The config.toml part of what the command prints."""
    return tomllib.loads(text[text.index("[provisioning]"):])


def test_the_portals_way_by_the_command_line(server, tmp_path):
    ca, name, group = OutsideCa(), fresh_name("ca"), fresh_name("group")
    der = tmp_path / "ca.cer"
    der.write_bytes(ca.cert.public_bytes(serialization.Encoding.DER))
    said = server.cli("group", "ca-add", name, "--cert", str(der))
    code = re.search(r"^code +([0-9a-f]{48})$", said.stdout, re.M).group(1)
    assert f"/CN={code}" in said.stderr and f"estuary group ca-verify {name} --cert proof.pem" in said.stderr
    proof = tmp_path / "proof.pem"
    proof.write_text(pem(mint((ca.cert, ca.key), code, new_key())))
    said = server.cli("group", "ca-verify", name, "--cert", str(proof))
    assert f"estuary group create NAME --x509 --ca {name}" in said.stderr
    said = server.cli("group", "create", group, "--x509", "--ca", name, "--edge")
    config = sections(said.stdout)["provisioning"]
    assert (config["source"], config["id_scope"], config["global_endpoint"]) == ("dps", server.info["id_scope"], server.info["dps_endpoint"])
    assert config["attestation"]["method"] == "x509" and config["attestation"]["identity_cert"]["method"] == "est"
    assert re.search(rf"^{group} .*yes", server.cli("group", "list", "--all").stdout, re.M)
    assert server.cli("group", "ca-show", name, "--pem").stdout.strip() == ca.pem.strip()
    assert sections(server.cli("group", "show", group).stdout)["provisioning"] == config


def test_the_openssl_lines_that_are_printed_prove_the_key(server, tmp_path):
    ca, name = OutsideCa(), fresh_name("ca")
    (tmp_path / "ca.pem").write_text(ca.pem)
    (tmp_path / "ca.key").write_bytes(estuary.key_pem(ca.key))
    said = server.cli("group", "ca-add", name, "--cert", str(tmp_path / "ca.pem")).stderr
    subprocess.run("set -e\n" + "\n".join(re.findall(r"^  (.*)$", said, re.M)), shell=True, cwd=tmp_path, check=True, capture_output=True)
    server.cli("group", "ca-verify", name, "--cert", str(tmp_path / "proof.pem"))
    assert server.op("group.ca_show", name=name)["verified"]


def test_an_enrolment_prints_what_to_paste_on_the_device(server, tmp_path):
    name = fresh_name("pump")
    key = tmp_path / "key"
    key.write_text(b64(b"k" * 32) + "\n")
    said = server.cli("enrolment", "create", name, "--symmetric", "--key", str(key))
    at = sections(said.stdout)["provisioning"]["attestation"]
    assert at == {"method": "symmetric_key", "registration_id": name, "symmetric_key": {"value": b64(b"k" * 32)}}
    assert "this once" in said.stderr
    assert "KEY" in server.cli("enrolment", "show", name).stdout
    assert sections(server.cli("enrolment", "show", name, "--keys").stdout)["provisioning"]["attestation"] == at
    assert json.loads(server.cli("enrolment", "show", name, "--json").stdout)["registration"] == name


def test_the_key_of_a_groups_device_is_one_line(server):
    group = fresh_name("group")
    made = json.loads(server.cli("group", "create", group, "--symmetric", "--key", "made", "--json").stdout)
    got = server.cli("group", "derive", group, "Pump-7").stdout
    assert got == b64(hmac.new(base64.b64decode(made["key"]), b"pump-7", hashlib.sha256).digest()) + "\n"


def test_the_command_line_wants_one_way_to_prove_oneself(server):
    for args in ([], ["--x509", "--symmetric"]):
        r = server.cli("group", "create", fresh_name(), *args, check=False)
        assert r.returncode == 64 and "prove" in r.stderr, r
    assert server.cli("group", "ca-add", "x", check=False).returncode == 64


def test_the_scope_and_hubs_are_shown(server):
    said = server.cli("group", "scope").stdout
    assert server.info["id_scope"] in said and server.info["dps_endpoint"] in said and "HUB" in said
    assert json.loads(server.cli("hub", "list", "--json").stdout)["items"]
    assert "REGISTRATION ID" in server.cli("registration", "list").stdout or "none" in server.cli("registration", "list").stderr
