# SPDX-License-Identifier: Apache-2.0
"""The Keys Service as its clients see it: every status and text, handles octet by octet, who may do what, and where it stands."""
import base64
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

import estuary
from device import OWN
from estuary import PATIENCE, fresh_name, wait_for
from keyd_client import ALICE, BOB, HANDLE_KEY, PRINCIPALS, SERVICE, V2021, ask, b64, ok, pair, secret, sign
from keyd_client import keyd  # noqa: F401 (a fixture)
from users import OpenDevice, files_below, needs_root

# --- what is malformed ---

JSON = {"Content-Type": "application/json"}
KEYPAIR = '{"keyId":"x"}'

V = "?api-version=2020-09-01"
# method, path with query, headers, body, status, message (None: any)
MALFORMED = [
    ("GET", "/keypair/x", {}, None, 400, "api-version not specified"),
    ("GET", "/nowhere", {}, None, 400, "api-version not specified"),
    ("POST", "/sign?api-version", JSON, "{}", 400, 'invalid api-version ""'),
    ("GET", "/keypair/x?api-version=1999-01-01", {}, None, 400, 'invalid api-version "1999-01-01"'),
    ("GET", "/nowhere?api-version=2019%2D11", {}, None, 400, 'invalid api-version "2019-11"'),
    ("GET", "/keypair/x?api-version=2020-09-01&api-version=no+such", {}, None, 400, 'invalid api-version "no such"'),
    ("GET", "/nowhere?api-version=no&api-version=2020-09-01", {}, None, 404, "not found"),
    ("GET", "/" + V, {}, None, 404, "not found"),
    ("GET", "/keypair/" + V, {}, None, 404, "not found"),
    ("GET", "/keypairs?api-version=2021-05-01", {}, None, 404, "not found"),
    ("GET", "/keys?api-version=2021-05-01", {}, None, 404, "not found"),
    ("POST", "/generation/x" + V, JSON, "{}", 404, "not found"),
    ("GET", "/keypair/%ff%fe" + V, {}, None, 404, "not found"),
    ("GET", "/keypair" + V, {}, None, 400, "method not allowed"),
    ("PUT", "/keypair" + V, JSON, KEYPAIR, 400, "method not allowed"),
    ("GET", "/sign" + V, {}, None, 400, "method not allowed"),
    ("DELETE", "/keypair/x" + V, {}, None, 400, "method not allowed"),
    ("PATCH", "/key" + V, JSON, "{}", 400, "method not allowed"),
    ("POST", "/keypair" + V, {}, None, 400, "missing request body"),
    ("DELETE", "/key" + V, {}, None, 400, "missing request body"),
    ("POST", "/keypair" + V, {"Content-Type": "text/plain"}, KEYPAIR, 400, "missing request body"),
    ("POST", "/keypair" + V, {"Content-Type": "application/jsonx"}, KEYPAIR, 400, "missing request body"),
    ("POST", "/keypair" + V, JSON, "{", 422, None),
    ("POST", "/keypair" + V, {}, "not json", 422, None),
    ("POST", "/keypair" + V, JSON, "[]", 422, None),
    ("POST", "/keypair" + V, JSON, "{}", 422, "missing field `keyId`"),
    ("POST", "/keypair" + V, JSON, '{"keyId":7}', 422, None),
    ("POST", "/keypair" + V, JSON, '{"keyId":"x"} {"keyId":"y"}', 422, None),
    ("POST", "/keypair" + V, JSON, '{"keyId":"\\ud800"}', 422, None),
    ("POST", "/key" + V, JSON, '{"keyId":"x"}', 422, "missing field `usage`"),
    ("POST", "/key" + V, JSON, '{"keyId":"x","usage":"decorate"}', 422, None),
    ("POST", "/key" + V, JSON, '{"keyId":"x","usage":"sign,"}', 422, None),
    ("POST", "/key" + V, JSON, '{"keyId":"x","usage":"sign","keyBytes":"*"}', 422, None),
    ("POST", "/key" + V, JSON, '{"keyId":"x","usage":"sign","keyBytes":"YQ"}', 422, None),
    ("POST", "/sign" + V, JSON, "{}", 422, None),
    ("POST", "/encrypt" + V, JSON, '{"keyHandle":"x","algorithm":"ROT13","plaintext":""}', 422, None),
    ("POST", "/keypair" + V, JSON, '{"keyId":"x","preferredAlgorithms":"rot13:dsa"}', 400, None),
    ("POST", "/key/x" + V, JSON, '{"from":"y"}', 400, 'invalid type "key"'),
    ("POST", "/keypair/same" + V, JSON, '{"from":"same"}', 400, "source and destination for move are identical"),
    ("GET", "/keypair/nobody-made-it" + V, {}, None, 400, "a parameter has an invalid value\ncaused by: *"),
    ("GET", "/key/nobody-made-it" + V, {}, None, 400, "a parameter has an invalid value\ncaused by: *"),
    ("POST", "/keypair/to" + V, JSON, '{"from":"nobody-made-it"}', 400, "a parameter has an invalid value\ncaused by: *"),
]
BAD_HANDLE = 'parameter "handle" has an invalid value\ncaused by: invalid handle'


@pytest.mark.parametrize("method,path,headers,body,status,message", MALFORMED,
                         ids=[f"{i}-{row[0]}-{row[4]}" for i, row in enumerate(MALFORMED)])
def test_what_is_malformed_is_refused_as_clients_know_it(keyd, method, path, headers, body, status, message):
    got = keyd.keyd.request(method, path, body, version=None, headers=headers)
    assert got.status == status and got.headers["Content-Type"] == "application/json", got
    assert got.json.keys() == {"message"} and got.message
    if message and message.endswith("*"):
        assert got.message.startswith(message[:-1])
    elif message:
        assert got.message == message


def test_a_body_is_json_without_a_type_or_with_parameters(keyd):
    for headers in ({}, {"Content-Type": "application/json; charset=utf-8"}, {"Content-Type": " application/json ;x=y"}):
        body = json.dumps({"keyId": fresh_name()})
        got = keyd.keyd.request("POST", "/keypair?api-version=2020-09-01", body, version=None, headers=headers)
        assert got.status == 200, (headers, got)
    assert ask(keyd, "POST", "/keypair", {"keyId": fresh_name()}, V2021).status == 200


@pytest.mark.parametrize("operation", ["POST /sign", "POST /encrypt", "POST /decrypt", "POST /derivedkey", "POST /derivedkey/export",
                                       "POST /parameters/algorithm", "DELETE /keypair", "DELETE /key"])
def test_a_bad_handle_is_told_as_ever(keyd, operation):
    method, path = operation.split(" ")
    member = "baseKeyHandle" if path == "/derivedkey" else "keyHandle"
    whole = {"algorithm": {"/sign": "HMAC-SHA256"}.get(path, "AEAD"), "parameters": {"message": "", "iv": b64(b"i" * 12), "aad": ""},
             "plaintext": "", "ciphertext": b64(b"\2" + b"c" * 16), "derivationData": ""}
    good, _ = secret(keyd)
    sr, sig = good.split("&")
    other = b64(b'{"key_id":{"Key":"x"},"nonce":""}')
    for bad in ("", "x", sr, sig, f"{sr}&sig=", f"sr={other}&{sig}", good[:-8] + "AAAAAAA=", good + "&" + sr, "sr=&sig=",
                "sr=" + "A" * 40000 + "&" + sig):
        got = ask(keyd, method, path, {**whole, member: bad})
        assert (got.status, got.message) == (400, BAD_HANDLE), (bad[:60], got)
    assert ask(keyd, method, path, {k: v for k, v in whole.items() if k != member}).status == 422


# --- the wire ---

def raw(d, octets, n=512):
    """What the service says first, as one read of n octets has it, and the rest."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(str(d.keyd.socket))
        s.sendall(octets)
        first = s.recv(n)
        rest = b""
        while (more := s.recv(65536)) != b"":
            rest += more
        return first, rest


@pytest.mark.parametrize("body,status", [(b'{"keyId":"wire"}', 200), (b"{", 422), (b'{"keyId":"handle-validation-key"}', 401)])
def test_a_head_comes_whole_in_the_first_512_octets_to_clients_that_name_no_host(keyd, body, status):
    first, rest = raw(keyd, b"POST /keypair?api-version=2020-09-01 HTTP/1.1\r\ncontent-length: %d\r\ncontent-type: application/json\r\n"
                      b"connection: close\r\n\r\n%s" % (len(body), body))
    head, begun = first.split(b"\r\n\r\n", 1)
    line, *fields = head.decode().split("\r\n")
    fields = {k.lower(): v for k, v in (f.split(": ", 1) for f in fields)}
    assert line.startswith(f"HTTP/1.1 {status} ") and fields["content-type"] == "application/json" and len(fields) <= 16
    assert int(fields["content-length"]) == len(begun + rest) and json.loads(begun + rest)
    assert fields.keys() <= {"content-type", "content-length", "date", "connection"}


def test_an_answer_without_content_has_neither_type_nor_length(keyd):
    handle, _ = pair(keyd)
    body = json.dumps({"keyHandle": handle}).encode()
    first, rest = raw(keyd, b"DELETE /keypair?api-version=2020-09-01 HTTP/1.1\r\nContent-Length: %d\r\n"
                      b"Connection: close\r\n\r\n%s" % (len(body), body))
    assert first.startswith(b"HTTP/1.1 204 ") and first.endswith(b"\r\n\r\n") and rest == b""
    assert b"content-type" not in first.lower() and (b"content-length" not in first.lower() or b"content-length: 0" in first.lower())


def test_bodies_end_at_one_mebibyte(keyd):
    size = 1024 * 1024
    filler = json.dumps({"keyId": "x" * 10})
    assert ask(keyd, "POST", "/keypair", filler + " " * (size - len(filler))).status == 200
    assert ask(keyd, "POST", "/keypair", filler + " " * (size + 1 - len(filler))).status == 413
    assert ask(keyd, "POST", "/keypair", {"keyId": "x"}).status == 200


def test_a_body_that_does_not_come_is_not_waited_for_longer_than_five_seconds(keyd):
    begin = time.monotonic()
    first, rest = raw(keyd, b"POST /keypair?api-version=2020-09-01 HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
    assert first.startswith(b"HTTP/1.1 408 ") and json.loads((first + rest).split(b"\r\n\r\n", 1)[1])["message"]
    assert 4 <= time.monotonic() - begin <= 5 + PATIENCE / 3


def test_a_connection_carries_many_requests_and_curl_is_a_client(keyd):
    name = fresh_name("curl")
    to = ["-sS", "--fail", "--unix-socket", str(keyd.keyd.socket)]
    done = subprocess.run(["curl", *to, "-H", "content-type: application/json", "--data", json.dumps({"keyId": name}), "http://keyd.sock/keypair" + V,
                           "--next", *to, "-w", "\n%{num_connects} %{content_type}", f"http://keyd.sock/keypair/{name}{V}"],
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count('"keyHandle"') == 2 and done.stdout.endswith("\n0 application/json"), done


# --- IDs ---

def test_ids_with_slashes_work_encoded_and_not_in_bodies_and_paths(keyd):
    for key_id, path in [("aziot-edged/module/x:1:server", "aziot-edged/module/x:1:server"), ("a/b1", "a%2Fb1"), ("50% of it", "50%%20of%20it"),
                         ("Pumpe \u00e4", "Pumpe%20%C3%A4"), ("/", "%2F"), ("-temp", "-temp")]:
        handle, _ = pair(keyd, key_id=key_id)
        assert keyd.key_file(key_id).exists()
        assert _about(handle)["key_id"] == {"KeyPair": key_id}
        assert _about(ok(ask(keyd, "GET", f"/keypair/{path}"))["keyHandle"])["key_id"] == {"KeyPair": key_id}


def test_h4_no_id_leads_out_of_the_home(device, tmp_path):
    device.configure("keyd", PRINCIPALS)
    device.keyd.start()
    home = device.prefix / "var/lib/aziot/keyd"
    outside = {p: o for p, o in files_below(device.prefix).items() if home not in p.parents and p != device.keyd.log_file}
    ids = ["..", "../x", "../../x", "../../../../../../tmp/x", "/etc/passwd", "/", "//", ".", "./.", "a/../../b", "..%2f..%2fx", "%2e%2e", "~",
           "~root", "x\n", "x\r", "\x1b[2J", "a-b", "ab", "a_b", "a b", "AB", "aB", "\u00e9", "e\u0301", "\u202e", "\ufeff", "\u212a", "k", "con",
           "nul.key", ".key", "x.key", "$(id)", "`id`", ";", "|", "*", "?", "[", "{}", "-rf", "--", "'", '"', "\\", "\\\\x", "\U0001f600",
           "x" * 200, "x" * 2000, "x" * 5000, ""]
    files = set()
    for key_id in ids:
        before = set(files_below(home / "keys"))
        got = ask(device, "POST", "/keypair", {"keyId": key_id})
        new = set(files_below(home / "keys")) - before
        assert got.status in (200, 400), (key_id, got)
        assert len(new) == (got.status == 200), key_id
        if got.status == 200:
            assert new == {device.key_file(key_id)} and not new & files
        files |= new
    assert len(files) >= 40
    assert ask(device, "POST", "/keypair", '{"keyId":"a\\u0000b"}', headers=JSON).status in (400, 422)
    # A link in the place of a key is neither followed nor written through.
    target = tmp_path / "target"
    target.write_bytes(estuary.key_pem(estuary.new_key()))
    os.symlink(target, device.key_file("planted"))
    octets = target.read_bytes()
    for got in (ask(device, "POST", "/keypair", {"keyId": "planted"}), ask(device, "GET", "/keypair/planted"),
                ask(device, "POST", "/key", {"keyId": "planted", "usage": "sign", "keyBytes": b64(b"k" * 32)})):
        assert got.status != 200, got
    assert target.read_bytes() == octets
    device.key_file("planted").unlink()
    assert {p: o for p, o in files_below(device.prefix).items() if home not in p.parents and p != device.keyd.log_file} == outside


# --- handles ---

def _about(handle):
    """What a handle says."""
    sr, sig = handle.split("&")
    assert sr.startswith("sr=") and sig.startswith("sig=")
    return json.loads(base64.b64decode(sr[3:], validate=True))


def _secret(d):
    return d.key_file(HANDLE_KEY).read_bytes()


def _mint(key, about):
    octets = json.dumps(about, separators=(",", ":")).encode()
    return f"sr={b64(octets)}&sig={b64(hmac.new(key, octets, hashlib.sha256).digest())}"


def test_handles_have_the_form_of_the_original(keyd):
    for handle, key_id in [(*pair(keyd),), (*secret(keyd),)]:
        sr, sig = (base64.b64decode(part.split("=", 1)[1], validate=True) for part in handle.split("&"))
        assert hmac.compare_digest(sig, hmac.new(_secret(keyd), sr, hashlib.sha256).digest())
        about = json.loads(sr)
        assert list(about)[:2] == ["key_id", "nonce"] and list(about["key_id"].values()) == [key_id]
        assert len(base64.b64decode(about["nonce"], validate=True)) == 64
        assert about["uid"] == os.getuid() and about["gen"] >= 1 and about["exp"] > 0
    base, _ = secret(keyd)
    derived = _about(ok(ask(keyd, "POST", "/derivedkey", {"baseKeyHandle": base, "derivationData": b64(b"\0ab")}))["keyHandle"])
    inner, data = derived["key_id"]["Derived"]
    assert data == [0, 97, 98] and list(_about(inner)["key_id"]) == ["Key"]
    assert sign(keyd, inner).message == BAD_HANDLE  # it is no handle of the base key for whoever holds the derived one
    first, second = (ok(ask(keyd, "GET", "/key/raw"))["keyHandle"] for _ in range(2))
    assert first != second and sign(keyd, first).json == sign(keyd, second).json


def test_handles_of_the_original_are_refused_with_the_switch_that_allows_them(keyd):
    _, key_id = secret(keyd)
    classic = _mint(_secret(keyd), {"key_id": {"Key": key_id}, "nonce": b64(os.urandom(64))})
    got = sign(keyd, classic)
    assert got.status == 400 and got.message.startswith('parameter "handle" has an invalid value\ncaused by: ') and "bind" in got.message
    keyd.configure("keyd", "[handles]\nbind = false\n", "50-handles.toml")
    keyd.keyd.reload()
    try:
        assert sign(keyd, classic).status == 200 and set(_about(secret(keyd)[0])) == {"key_id", "nonce"}
        backwards = "&".join(reversed(classic.split("&")))
        assert sign(keyd, backwards + "&more=x").status == 200
        nested = _mint(_secret(keyd), {"key_id": {"Derived": [classic, [1, 2]]}, "nonce": b64(os.urandom(64))})
        key = keyd.key_file(key_id).read_bytes()
        want = hmac.new(hmac.new(key, b"\1\2", hashlib.sha256).digest(), b"m", hashlib.sha256).digest()
        assert base64.b64decode(ok(sign(keyd, nested))["signature"]) == want
    finally:
        keyd.configure("keyd", "", "50-handles.toml")
        keyd.keyd.reload()


def test_h2_a_handle_ends_when_its_time_is_over(keyd):
    keyd.configure("keyd", '[handles]\nlifetime = "1s"\n', "50-handles.toml")
    keyd.keyd.reload()
    try:
        handle, _ = secret(keyd)
        got = wait_for("the handle to end", lambda: (a := sign(keyd, handle)).status != 200 and a)
        assert got.status == 400 and got.message.startswith('parameter "handle" has an invalid value\ncaused by: ')
        assert "load the key again" in got.message
    finally:
        keyd.configure("keyd", "", "50-handles.toml")
        keyd.keyd.reload()


def test_h2_a_handle_ends_with_the_generation_of_its_key(keyd):
    old, key_id = pair(keyd)
    temp, temp_id = pair(keyd, key_id=f"{key_id}-temp")
    spki = ok(ask(keyd, "POST", "/parameters/spki", {"keyHandle": temp}, OWN))["value"]
    before = keyd.key(key_id).public_key()
    switched = ask(keyd, "POST", f"/generation/{key_id}", {"op": "switch", "from": temp_id, "spki": spki}, OWN)
    assert ok(switched) == {"generation": 2, "previous": True}
    digest = hashlib.sha256(b"m").digest()

    def by(handle):
        return ask(keyd, "POST", "/sign", {"keyHandle": handle, "algorithm": "ECDSA", "parameters": {"digest": b64(digest)}})

    # As long as both pairs are kept each handle means its own; then the old one means nothing any more.
    before.verify(base64.b64decode(ok(by(old))["signature"]), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    new = ok(ask(keyd, "GET", f"/keypair/{key_id}"))["keyHandle"]
    with pytest.raises(InvalidSignature):
        before.verify(base64.b64decode(ok(by(new))["signature"]), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    ok(ask(keyd, "POST", f"/generation/{key_id}", {"op": "prove"}, OWN))
    assert by(old).status == 400 and by(new).status == 200
    ended, deleted = secret(keyd)
    assert ask(keyd, "DELETE", "/key", {"keyHandle": ended}).status == 204
    secret(keyd, key_id=deleted)
    assert sign(keyd, ended).status == 400


@needs_root
def test_h2_a_stolen_handle_is_of_no_use_to_another_user(keyd):
    alice, bob, service = keyd.user(ALICE), keyd.user(BOB), keyd.user(SERVICE)
    handle = ok(alice.ask(keyd.keyd, "POST", "/key", {"keyId": "alice-secret", "usage": "sign,derive"}))["keyHandle"]
    job = {"keyHandle": handle, "algorithm": "HMAC-SHA256", "parameters": {"message": "bQ=="}}
    assert alice.ask(keyd.keyd, "POST", "/sign", job).status == 200 and sign(keyd, handle).status == 200  # root may
    for user in (bob, service):
        for method, path, body in [("POST", "/sign", job), ("DELETE", "/key", job),
                                   ("POST", "/derivedkey", {"baseKeyHandle": handle, "derivationData": ""})]:
            got = user.ask(keyd.keyd, method, path, body)
            assert got.status == 403 and got.message == f"user {user.uid} is not authorized to access the key alice-secret", got
    # A service gets one of its own, for the caller that it knows to hold this one, and for no other.
    to = {"keyHandle": handle, "uid": SERVICE}
    own = ok(service.ask(keyd.keyd, "POST", "/handle", {**to, "holder": ALICE}, OWN))["keyHandle"]
    assert service.ask(keyd.keyd, "POST", "/sign", {**job, "keyHandle": own}).status == 200
    assert service.ask(keyd.keyd, "POST", "/handle", {**to, "holder": BOB}, OWN).status == 403
    assert bob.ask(keyd.keyd, "POST", "/handle", {"keyHandle": handle, "uid": BOB}, OWN).status == 403
    # Rights that are taken away end the handles that stand on them.
    keyd.configure("keyd", PRINCIPALS.replace('"alice-*", ', ""), "20-less.toml")
    (keyd.prefix / "etc/aziot/keyd/config.d/10-test.toml").rename(keyd.prefix / "kept")
    try:
        keyd.keyd.reload()
        for user, h in ((alice, handle), (service, own)):
            got = user.ask(keyd.keyd, "POST", "/sign", {**job, "keyHandle": h})
            assert got.status == 401 and got.message == f"user {ALICE} is not authorized to access the key alice-secret", got
    finally:
        (keyd.prefix / "kept").rename(keyd.prefix / "etc/aziot/keyd/config.d/10-test.toml")
        keyd.configure("keyd", "", "20-less.toml")
        keyd.keyd.reload()
    assert alice.ask(keyd.keyd, "POST", "/sign", job).status == 200


@pytest.mark.parametrize("who", [os.getuid(), pytest.param(BOB, marks=needs_root)])
def test_h1_the_key_behind_the_handles_is_nobodys(keyd, who):
    def as_who(method, path, body=None, version=OWN):
        return ask(keyd, method, path, body, version) if who == os.getuid() else keyd.user(who).ask(keyd.keyd, method, path, body, version)

    name, octets = HANDLE_KEY, _secret(keyd)
    refused = [("POST", "/key", {"keyId": name, "usage": "sign"}),
               ("POST", "/key", {"keyId": name, "usage": "sign", "keyBytes": b64(b"k" * 32)}),
               ("GET", f"/key/{name}", None), ("POST", "/keypair", {"keyId": name}), ("GET", f"/keypair/{name}", None),
               ("GET", f"/key/{name.replace('-', '%2D')}", None), ("POST", f"/keypair/{name}", {"from": "x"}),
               ("POST", "/keypair/x", {"from": name}),
               ("GET", f"/generation/{name}", None), ("POST", f"/generation/{name}", {"op": "rollback"}),
               ("POST", "/generation/x", {"op": "switch", "from": name, "spki": "AAAA"}), ("DELETE", f"/quarantine/{name}", None)]
    for method, path, body in refused:
        got = as_who(method, path, body)
        assert got.status == 401 and got.message == f"user {who} is not authorized to access the key {name}", (method, path, got)
    assert name not in [k.get("id") for k in ok(as_who("GET", "/keys"))["keys"]]
    # Not even a handle that is genuine in every respect leads to it.
    for kind in ("Key", "KeyPair"):
        forged = _mint(octets, {"key_id": {kind: name}, "nonce": "", "uid": who, "gen": 1})
        for method, path, body in [("POST", "/sign", {"algorithm": "HMAC-SHA256", "parameters": {"message": ""}}), ("DELETE", "/key", {}),
                                   ("DELETE", "/keypair", {}), ("POST", "/derivedkey", {"baseKeyHandle": forged, "derivationData": ""}),
                                   ("POST", "/encrypt", {"algorithm": "AEAD", "plaintext": "", "parameters": {"iv": "aWlpaWlpaWlpaWlp", "aad": ""}})]:
            assert as_who(method, path, {"keyHandle": forged, **body}).status in (400, 401), (method, path)
    assert _secret(keyd) == octets


# --- users ---

@needs_root
def test_users_reach_the_keys_of_their_patterns_and_no_others(keyd):
    alice, bob, stranger = keyd.user(ALICE), keyd.user(BOB), keyd.user(4999)
    ids = {"alice-", "alice-1", "a/b1", "shared", "a/b", "a/b12", "Shared", "shared ", "not-alice-1", "anything"}
    for key_id in ids:
        pair(keyd, key_id=key_id)
    for user, own in ((alice, {"alice-", "alice-1", "a/b1", "shared"}), (bob, ids), (stranger, set())):
        refusal = f"user {user.uid} is not authorized to access the key "
        for key_id in ids:
            quoted = key_id.replace("/", "%2F").replace(" ", "%20")
            asked = [("POST", "/keypair", {"keyId": key_id}), ("GET", f"/keypair/{quoted}", None), ("GET", f"/generation/{quoted}", None)]
            if key_id not in own:  # by either of two IDs
                asked += [("POST", f"/keypair/{quoted}", {"from": "shared"}), ("POST", "/keypair/shared", {"from": key_id}),
                          ("POST", "/key", {"keyId": key_id, "usage": "sign", "keyBytes": b64(b"k" * 32)})]
            for method, path, body in asked:
                got = user.ask(keyd.keyd, method, path, body, OWN)
                assert got.status == (200 if key_id in own else 401), (user.uid, method, path, got)
                assert key_id in own or got.message in (f"{refusal}{k}" for k in (key_id, "shared")), got
        listed = {k["id"] for k in ok(user.ask(keyd.keyd, "GET", "/keys", version=OWN))["keys"]}
        assert own <= listed and (own == ids or not listed & (ids - own))


@needs_root
def test_h8_a_connection_is_of_who_made_it_not_of_who_holds_it(keyd):
    secret(keyd, key_id="roots-secret")
    question = b"GET /key/roots-secret?api-version=2020-09-01 HTTP/1.1\r\nConnection: close\r\n\r\n"
    ours, theirs = socket.socketpair()
    script = ("import socket, sys; fd = socket.socket(fileno=int(sys.argv[1])); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2]);"
              "socket.send_fds(fd, [b'x'], [s.fileno()])")
    with ours, theirs:
        subprocess.run([sys.executable, "-Sc", script, str(theirs.fileno()), str(keyd.keyd.socket)], user=ALICE, group=ALICE, extra_groups=[],
                       cwd="/", pass_fds=[theirs.fileno()], check=True, timeout=PATIENCE)
        _, (fd,), _, _ = socket.recv_fds(ours, 1, 1)
    with socket.socket(fileno=fd) as s:
        s.settimeout(PATIENCE)
        s.sendall(question)
        assert s.recv(512).startswith(b"HTTP/1.1 401 ")


def full(answer):
    """Over the limit: told so, or the connection just ends."""
    return answer.status == 429 or (answer.status == 0 and answer.body != b"")


@needs_root
@pytest.mark.parametrize("close", [False, True])
def test_h10_connections_are_limited_by_user_and_nobody_is_kept_out_by_others(close):
    d = OpenDevice()
    try:
        d.configure("keyd", f"max_requests = 3\nclose_when_full = {str(close).lower()}\n" + PRINCIPALS)
        d.open(d.keyd)
        for uid in range(5001, 5006):
            assert d.user(uid).hold(d.keyd, 3) == 3
            got = wait_for(f"user {uid} to be at the limit", lambda: full(a := d.user(uid).ask(d.keyd, "GET", "/key/x")) and a)
            if close:
                assert got.status == 0
            else:
                assert got.status == 429 and int(got.headers["Retry-After"]) > 0 and got.message
            assert f"Max simultaneous connections reached for user {uid}\n" in d.keyd.log
        assert d.user(ALICE).ask(d.keyd, "POST", "/keypair", {"keyId": "alice-1"}).status == 200 and pair(d)
        d.user(5001).drop()
        wait_for("room again", lambda: d.user(5001).ask(d.keyd, "GET", "/key/x").status == 401)
    finally:
        d.close()


# --- the place ---

def test_h7_the_socket_replaces_nothing_but_a_socket(device, tmp_path):
    device.configure("keyd", PRINCIPALS)
    device.keyd.start()
    mode = device.keyd.socket.stat().st_mode
    assert mode & 0o7777 == 0o660
    device.keyd.stop()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for plant in (lambda p: p.mkdir(), lambda p: p.symlink_to(victim), lambda p: p.write_text("file")):
        device.keyd.socket.unlink(missing_ok=True)
        plant(device.keyd.socket)
        device.keyd.start(wait=False)
        assert device.keyd.process.wait(PATIENCE) == 1 and str(device.keyd.socket) in device.keyd.log.split("Starting service")[-1]
        assert victim.read_text() == "precious" and not device.keyd.socket.is_socket()
        device.keyd.socket.rmdir() if device.keyd.socket.is_dir() else device.keyd.socket.unlink()
    os.chmod(device.keyd.socket.parent, 0o777)
    device.keyd.start(wait=False)
    assert device.keyd.process.wait(PATIENCE) == 1 and "everybody may write it" in device.keyd.log
    os.chmod(device.keyd.socket.parent, 0o755)
    device.keyd.start()
    assert pair(device)


def test_h11_keys_are_for_the_service_alone_and_stand_in_no_log_or_argument(device):
    canary = os.urandom(32)
    device.configure("keyd", PRINCIPALS)
    os.umask(old := os.umask(0))
    try:
        os.umask(0)
        device.keyd.start()
    finally:
        os.umask(old)
    handle, key_id = secret(device, octets=canary)
    pair(device)
    assert sign(device, handle).status == 200
    home = device.prefix / "var/lib/aziot/keyd"
    for p in home.rglob("*"):
        assert p.stat().st_mode & 0o777 == (0o700 if p.is_dir() else 0o600), p
    assert len(files_below(home / "keys")) == 3 and device.key_file(key_id).read_bytes() == canary
    proc = f"/proc/{device.keyd.process.pid}"
    with open(f"{proc}/cmdline", "rb") as f:
        assert canary not in (octets := f.read()) and b64(canary).encode() not in octets
    if os.getuid() == 0:
        with open(f"{proc}/environ", "rb") as f:
            assert canary not in (octets := f.read()) and b64(canary).encode() not in octets
    else:
        with pytest.raises(PermissionError):  # not dumpable: its files are root's, and nobody attaches
            open(f"{proc}/environ", "rb")
    with open(f"{proc}/limits", encoding="ascii") as f:
        assert re.search(r"Max core file size +0 +0 ", f.read())
    with open(f"{proc}/status", encoding="ascii") as f:
        assert re.search(r"NoNewPrivs:\s+1\n", f.read())
    for form in (canary, b64(canary).encode(), canary.hex().encode()):
        assert form not in device.keyd.log_file.read_bytes()


def in_memory(pid, needles):
    """Which of the octet strings are in the memory of a process."""
    found = set()
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for begin, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps.read(), re.M):
            mem.seek(int(begin, 16))
            octets = mem.read(int(end, 16) - int(begin, 16))
            found |= {name for name, needle in needles.items() if needle in octets}
    return found


@needs_root
@pytest.mark.skipif("ESTUARY_SANITIZED" in os.environ, reason="the sanitizers' memory is too large to be read")
def test_h11_secrets_are_in_memory_only_while_they_are_used(device):
    device.configure("keyd", PRINCIPALS)
    device.keyd.start()
    canary = os.urandom(32)
    base, _ = secret(device, octets=canary)
    derived = ok(ask(device, "POST", "/derivedkey", {"baseKeyHandle": base, "derivationData": "AAAA"}))["keyHandle"]
    exported = ok(ask(device, "POST", "/derivedkey/export", {"keyHandle": derived}))["key"]
    assert sign(device, base).status == sign(device, derived).status == 200
    handle, key_id = pair(device)
    assert ask(device, "POST", "/sign", {"keyHandle": handle, "algorithm": "ECDSA", "parameters": {"digest": b64(b"d" * 32)}}).status == 200
    private = device.key(key_id).private_numbers().private_value.to_bytes(32, "big")
    needles = {"imported": canary, "imported, as sent": b64(canary)[:40].encode(), "derived": base64.b64decode(exported),
               "derived, as answered": exported[:40].encode(), "private": private, "private, backwards": private[::-1],
               "private, as it stands in its file": device.key_file(key_id).read_bytes()[60:120]}
    assert in_memory(device.keyd.process.pid, {"handles": device.key_file(HANDLE_KEY).read_bytes(), **needles}) == {"handles"}


@pytest.mark.parametrize("harm", ["everybody-writes-file", "everybody-writes-directory", "not-toml", "huge"])
def test_h12_a_configuration_that_others_could_write_is_not_read(device, harm):
    device.configure("keyd", PRINCIPALS)
    directory = device.prefix / "etc/aziot/keyd/config.d"
    evil = directory / "99-evil.toml"

    def spoil():
        evil.write_text("[[principal]]\nuid = 4999\nkeys = ['*']\n" if harm != "not-toml" else "[[principal")
        if harm == "huge":
            evil.write_text("# " + "x" * (64 << 20))
        os.chmod(evil if harm == "everybody-writes-file" else directory, 0o777 if harm.startswith("everybody") else 0o755)

    device.keyd.start()
    _, key_id = pair(device)
    spoil()
    device.keyd.process.send_signal(signal.SIGHUP)
    wait_for("the refusal", lambda: "The configuration was not taken" in device.keyd.log)
    assert ask(device, "GET", f"/keypair/{key_id}").status == 200 and "Config update finished." not in device.keyd.log
    device.keyd.stop()
    device.keyd.start(wait=False)
    assert device.keyd.process.wait(PATIENCE) == 1
    evil.unlink()
    os.chmod(directory, 0o755)
    device.keyd.start()
    assert ask(device, "GET", f"/keypair/{key_id}").status == 200
