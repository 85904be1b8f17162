# SPDX-License-Identifier: Apache-2.0
"""Every operator's verb: what it does, and what it says to bad input."""
import base64
import http.client
import json
import os
import ssl
import subprocess

import pytest

from estuary import ESTUARY, OutsideCa, basic, csr, fresh_name, new_key

# verb: an argument that it needs, or None
VERBS = {
    "server.status": None, "server.reload": None, "ca.create": "name", "ca.list": None, "ca.show": "name",
    "profile.list": None, "profile.show": "name", "profile.create": "name", "profile.set": "name",
    "label.list": None, "label.show": "name", "label.create": "name", "label.set": "name",
    "credential.add": "kind", "credential.list": None, "credential.show": "id", "credential.disable": "id",
    "trust.add": "name", "trust.list": None, "trust.show": "name", "trust.remove": "name",
    "device.list": None, "device.show": "name", "device.release": "name", "device.retire": "name",
    "cert.list": None, "cert.show": "serial", "cert.request": "csr", "cert.revoke": "serial", "crl.publish": "ca",
    "operator.add": "name", "operator.list": None, "operator.remove": "name", "audit.list": None, "audit.show": "id", "audit.why": "request_id",
    "audit.verify": None, "event.list": None,
    "dps.show": None, "hub.add": "name", "hub.set": "name", "hub.list": None, "hub.remove": "name", "hub.modules": "device",
    "group.ca_add": "name", "group.ca_verify": "name", "group.ca_list": None, "group.ca_show": "name", "group.ca_remove": "name",
    "group.create": "name", "group.set": "name", "group.list": None, "group.show": "name", "group.remove": "name", "group.enable": "name",
    "group.disable": "name", "group.derive": "name", "group.key_rotate": "name",
    **{f"enrolment.{v}": "registration" for v in ("create", "set", "show", "remove", "enable", "disable")}, "enrolment.list": None,
    **{f"registration.{v}": "registration" for v in ("show", "remove", "enable", "disable")}, "registration.list": None,
}


def refused(server, verb, code, **args):
    a = server.op(verb, False, **args)
    assert not a["ok"] and a["error"]["code"] == code, a
    return a["error"]["message"]


@pytest.mark.parametrize("verb", VERBS)
def test_an_argument_that_a_verb_does_not_take_is_named(server, verb):
    assert "frobnicate" in refused(server, verb, "usage", frobnicate=1, **({VERBS[verb]: "x"} if VERBS[verb] else {}))


@pytest.mark.parametrize("verb", [v for v in VERBS if VERBS[v]])
def test_an_argument_that_is_missing_is_named(server, verb):
    a = server.op(verb, False)
    assert not a["ok"] and a["error"]["code"] in ("usage", "format"), a
    assert "needs '" in a["error"]["message"] or VERBS[verb] in a["error"]["message"]


@pytest.mark.parametrize("verb", [v for v in VERBS if VERBS[v] and VERBS[v] != "id"])
@pytest.mark.parametrize("value", [7, True, None, [], {"a": 1}], ids=["number", "flag", "null", "list", "object"])
def test_an_argument_of_the_wrong_type_is_refused(server, verb, value):
    a = server.op(verb, False, **{VERBS[verb]: value}, **({"profile": "device"} if verb == "cert.request" else {}))
    assert not a["ok"] and a["error"]["code"] in ("usage", "format"), a
    assert VERBS[verb] in a["error"]["message"]


@pytest.mark.parametrize("verb,args", [
    ("audit.list", {"limit": "x"}), ("audit.list", {"after": []}), ("credential.list", {"kind": 1}), ("device.list", {"q": ["a"]}),
    ("credential.show", {"id": "one"}), ("credential.add", {"kind": "code", "scope": "new", "active": "yes"}),
    ("credential.add", {"kind": "code", "scope": "new", "uses": "many"}), ("ca.create", {"name": "x", "kind": "root", "crl": 1})])
def test_every_argument_has_its_type(server, verb, args):
    assert ": expected " in refused(server, verb, "usage", **args)


@pytest.mark.parametrize("verb,args", [
    ("ca.show", {"name": "none"}), ("profile.show", {"name": "none"}), ("profile.set", {"name": "none"}),
    ("label.show", {"name": "none"}), ("label.set", {"name": "none", "enabled": False}), ("credential.show", {"id": 99999999}),
    ("credential.disable", {"id": 99999999}), ("trust.show", {"name": "none"}), ("trust.remove", {"name": "none"}),
    ("device.show", {"name": "none"}), ("device.release", {"name": "none"}), ("device.retire", {"name": "none"}), ("cert.show", {"serial": "00"}),
    ("cert.revoke", {"serial": "00"}), ("crl.publish", {"ca": "none"}), ("audit.show", {"id": 99999999}),
    ("audit.why", {"request_id": "r0"}), ("no.such", {}), ("", {})])
def test_what_is_not_there_is_said(server, verb, args):
    a = server.op(verb, False, **args)
    assert not a["ok"] and a["error"]["code"] == "not-found" or verb == "", a


@pytest.mark.parametrize("make", [
    lambda s: ("ca.create", {"name": "root", "kind": "root", "cn": "x"}),
    lambda s: ("label.create", {"name": "idevid", "ca": "issuing", "profile": "idevid", "accept": ["own"]}),
    lambda s: ("profile.create", {"name": "device", "lifetime": "1d"})], ids=["ca", "label", "profile"])
def test_what_is_there_already_is_not_made_again(server, make):
    verb, args = make(server)
    refused(server, verb, "exists", **args)


def test_an_operator_and_an_anchor_are_made_once(server):
    name = fresh_name("op")
    server.op("operator.add", name=name)
    refused(server, "operator.add", "exists", name=name)
    anchor = OutsideCa()
    made = server.op("trust.add", name=name, pem=anchor.pem)
    refused(server, "trust.add", "exists", name=name, pem=anchor.pem)
    assert server.op("trust.show", name=name) == made
    server.op("trust.remove", name=name)
    refused(server, "trust.show", "not-found", name=name)


def test_a_certificate_lives_from_request_to_revocation(server):
    cn = fresh_name()
    key = new_key()
    pem = "-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(csr(key, cn)).decode() + "-----END CERTIFICATE REQUEST-----\n"
    got = server.op("cert.request", csr=pem, profile="device")
    shown = server.op("cert.show", serial=got["serial"])
    assert (shown["device"], shown["state"], shown["pem"]) == (cn, "active", got["pem"])
    assert server.op("device.show", name=cn)["certificates"][0]["serial"] == got["serial"]
    assert server.op("cert.revoke", serial=got["serial"], reason="keyCompromise")["state"] == "revoked"
    assert [c["serial"] for c in server.op("cert.list", device=cn, state="revoked")["items"]] == [got["serial"]]
    why = server.op("audit.why", request_id=got["request_id"])
    assert why["outcome"] == "ok" and why["trace"] and server.op("audit.show", id=why["id"])["hash"] == why["hash"]
    refused(server, "cert.revoke", "usage", serial=got["serial"], reason="no reason")


def test_a_credential_is_shown_without_its_secret_and_can_be_disabled(server):
    made = server.op("credential.add", kind="code", scope="new", expires="1h")
    shown = server.op("credential.show", id=made["id"])
    assert "secret" not in shown and shown["state"] == "live" and made["secret"] not in json.dumps(shown)
    assert server.op("credential.disable", id=made["id"])["state"] == "disabled"
    assert server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", made["secret"])).status == 401


def test_pages_of_a_list_join_to_the_whole(server):
    for _ in range(5):
        server.new_code()
    whole = [x["id"] for x in server.op("credential.list", limit=1000)["items"]]
    joined, after = [], {}
    while True:
        page = server.op("credential.list", limit=2, **after)
        assert len(page["items"]) <= 2
        joined += [x["id"] for x in page["items"]]
        if "next" not in page:
            break
        after = {"after": page["next"]}
    assert joined[:len(whole)] == whole and len(set(joined)) == len(joined)


@pytest.mark.parametrize("cn", ["it's %s %n", 'quo"te', "back\\slash", "Bär-ø-水", "a,b=c+d;e<f>", "%00 %27 --"])
def test_names_of_any_form_come_back_as_they_were(server, cn):
    """E3"""
    cn = f"{cn} {fresh_name()}"
    pair = server.born(cn)
    listed = server.op("device.list", q=cn)["items"]
    if not listed:  # the device's name is its own writing of the subject
        listed = [d for d in server.op("device.list", limit=1000)["items"] if d["name"].endswith(cn.split()[-1])]
    (device,) = listed
    assert server.op("device.show", name=device["name"])["certificates"][0]["serial"] == pair.serial
    r = server.cli("device", "show", device["name"], "--json")
    assert json.loads(r.stdout)["name"] == device["name"]
    assert server.op("audit.list", device=device["name"])["items"]
    assert server.op("audit.verify")["ok"]


# --- who may ask ---

def remote(server, headers, verb="server.status"):
    port = int(server.info["operator_url"].rsplit(":", 1)[1].strip("/"))
    h = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=server.root_file), timeout=20)
    h.request("POST", "/operator", json.dumps({"verb": verb, "args": {}}), {"Content-Type": "application/json", **headers})
    r = h.getresponse()
    return r.status, json.loads(r.read()), r.headers


def test_a_token_opens_the_operators_listener(server):
    token = server.op("operator.add", name=fresh_name("op"))["token"]
    assert remote(server, {"Authorization": f"Bearer {token}"})[0] == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer aaaa-bbbb-cccc-dddd-eeee"}, {"Authorization": "Bearer "},
                                     {"Authorization": "Basic b3A6b3A="}], ids=["none", "wrong", "empty", "basic"])
def test_without_a_right_token_the_operators_listener_stays_shut(server, headers):
    status, body, head = remote(server, headers)
    assert status == 401 and not body["ok"] and body["error"]["code"] == "auth" and "WWW-Authenticate" in head


def test_the_token_of_an_operator_who_was_removed_opens_nothing(server):
    name = fresh_name("op")
    headers = {"Authorization": f"Bearer {server.op('operator.add', name=name)['token']}"}
    assert remote(server, headers)[0] == 200
    assert server.op("operator.remove", name=name) == {}
    status, body, _ = remote(server, headers)
    assert status == 401 and body["error"]["code"] == "auth"
    assert name not in [o["name"] for o in server.op("operator.list")["items"]]
    assert server.op("audit.list", limit=1)["items"][0]["text"] == f"operator.remove {name}"
    refused(server, "operator.remove", "not-found", name=name)
    assert server.op("operator.add", name=name)["token"] not in headers["Authorization"]


def test_the_last_operator_stays(fresh_server):
    server = fresh_server()
    server.op("operator.add", name="second")
    server.cli("operator", "remove", "second")
    assert "is the last one" in refused(server, "operator.remove", "policy", name="operator")
    token = server.info["operator_token"]
    assert remote(server, {"Authorization": f"Bearer {token}"})[0] == 200


def test_the_actor_cannot_be_named_by_the_message(server):
    token = server.op("operator.add", name=fresh_name("op"))["token"]
    h = {"Authorization": f"Bearer {token}"}
    port = int(server.info["operator_url"].rsplit(":", 1)[1].strip("/"))
    c = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=server.root_file), timeout=20)
    c.request("POST", "/operator", json.dumps({"verb": "server.status", "args": {}, "actor": "local:uid=0"}), h)
    assert c.getresponse().status == 400


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_is_refused_at_the_local_socket(server):
    """The mode of the socket is one fence; behind it the peer's uid is looked at."""
    real = os.path.join(server.dir, "run/operator.sock")
    script = ("import os,socket,sys\n"
              "s=socket.socket(socket.AF_UNIX)\n"
              "os.chdir(sys.argv[1])\n"
              "os.setgroups([]);os.setgid(65534)\n"
              "import ctypes;libc=ctypes.CDLL(None)\n"
              "libc.prctl(8,1,0,0,0)\n"  # keep the right to pass through directories, not the name
              "os.setresuid(65534,65534,65534)\n"
              "class H(ctypes.Structure): _fields_=[('v',ctypes.c_uint32),('p',ctypes.c_int)]\n"
              "D=ctypes.c_uint32*6\n"
              "libc.capset(ctypes.byref(H(0x20080522,0)),D(6,6,0,0,0,0))\n"
              "s.connect('operator.sock')\n"
              "b=b'{\"verb\":\"server.status\",\"args\":{}}'\n"
              "s.sendall(b'POST /operator HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n'%len(b)+b)\n"
              "print(s.recv(65536).decode())\n")
    r = subprocess.run(["/usr/bin/python3", "-c", script, os.path.dirname(real)], capture_output=True, text=True, timeout=20)
    assert r.stdout.startswith("HTTP/1.1 403 "), r
    assert "this socket is for root and the server's user" in r.stdout


def test_the_command_says_the_same_over_both_ways(server, tmp_path):
    token = tmp_path / "token"
    token.write_text(server.op("operator.add", name=fresh_name("op"))["token"])
    url = f"https://localhost:{server.info['operator_url'].rsplit(':', 1)[1]}"
    r = subprocess.run([str(ESTUARY), "ca", "list", "--json", "--url", url, "--token-file", str(token), "--trust", server.root_file],
                       capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r
    names = [c["name"] for c in json.loads(r.stdout)["items"]]
    assert names == [c["name"] for c in json.loads(server.cli("ca", "list", "--json").stdout)["items"]]


