# SPDX-License-Identifier: Apache-2.0
"""What keys of the Keys Service do, judged by other people's cryptography, and what they are for."""
import base64
import hashlib
import hmac
import os

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from estuary import fresh_name
from keyd_client import ask, b64, keyd, ok, pair, secret, sign  # noqa: F401 (keyd is a fixture)

def operate(d, path, handle, algorithm, parameters=None, **data):
    """Sign, encrypt or decrypt; the octets of the answer."""
    body = {"keyHandle": handle, "algorithm": algorithm, **{k: b64(v) for k, v in data.items()}}
    if parameters is not None:
        body["parameters"] = {k: b64(v) for k, v in parameters.items()}
    got = ask(d, "POST", path, body)
    return base64.b64decode(next(iter(ok(got).values())), validate=True)


def parameter(d, handle, name):
    return ok(ask(d, "POST", f"/parameters/{name}", {"keyHandle": handle}))["value"]


def unsigned(text):
    return int.from_bytes(base64.b64decode(text, validate=True), "big")


def test_an_ec_pair_signs_digests_and_tells_its_public_half(keyd):
    handle, key_id = pair(keyd)
    public = keyd.key(key_id).public_key()
    for digest, algorithm in [(hashlib.sha256, hashes.SHA256()), (hashlib.sha384, hashes.SHA384()), (hashlib.sha512, hashes.SHA512())]:
        octets = digest(b"message").digest()
        signature = operate(keyd, "/sign", handle, "ECDSA", {"digest": octets})
        public.verify(signature, octets, ec.ECDSA(utils.Prehashed(algorithm)))
    assert parameter(keyd, handle, "algorithm") == "ECDSA"
    assert base64.b64decode(parameter(keyd, handle, "ec-curve-oid")) == bytes.fromhex("06082a8648ce3d030107")
    compressed = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    assert base64.b64decode(parameter(keyd, handle, "ec-point")) == compressed and len(compressed) == 33
    for name in ("rsa-modulus", "rsa-exponent", "spki", "d", "x/y"):
        assert ask(keyd, "POST", f"/parameters/{name}", {"keyHandle": handle}).status == 400
    assert ask(keyd, "POST", "/decrypt", {"keyHandle": handle, "algorithm": "RSA-PKCS1", "ciphertext": ""}).status == 400


DIGEST_INFO_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


@pytest.mark.parametrize("made", ["rsa-2048", "rsa-4096", "old-pair"])
def test_an_rsa_pair_does_the_private_operation_with_padding_of_type_one_and_with_none(keyd, made):
    handle, key_id = (ok(ask(keyd, "GET", "/keypair/old-pair"))["keyHandle"], made) if made == "old-pair" else pair(keyd, made)
    public = keyd.old.public_key() if made == "old-pair" else keyd.key(key_id).public_key()
    numbers, size = public.public_numbers(), public.key_size // 8
    signature = operate(keyd, "/encrypt", handle, "RSA-PKCS1", plaintext=DIGEST_INFO_SHA256 + hashlib.sha256(b"message").digest())
    public.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    block = b"\0" + os.urandom(size - 1)
    raised = operate(keyd, "/encrypt", handle, "RSA-NO-PADDING", plaintext=block)
    assert pow(int.from_bytes(raised, "big"), numbers.e, numbers.n) == int.from_bytes(block, "big") and len(raised) == size
    for algorithm, octets in [("RSA-NO-PADDING", block[1:]), ("RSA-NO-PADDING", block + b"x"), ("RSA-NO-PADDING", b"\xff" * size),
                              ("RSA-PKCS1", b"x" * (size - 10))]:
        assert ask(keyd, "POST", "/encrypt", {"keyHandle": handle, "algorithm": algorithm, "plaintext": b64(octets)}).status == 400
    assert parameter(keyd, handle, "algorithm") == "RSA"
    assert (unsigned(parameter(keyd, handle, "rsa-modulus")), unsigned(parameter(keyd, handle, "rsa-exponent"))) == (numbers.n, numbers.e)
    for name in ("ec-point", "ec-curve-oid"):
        assert ask(keyd, "POST", f"/parameters/{name}", {"keyHandle": handle}).status == 400


@pytest.mark.parametrize("preferred,kind", [(None, 256), ("*", 256), ("ec-p256:rsa-4096:*", 256), ("rsa-2048:*", 2048), ("rsa-4096", 4096),
                                            ("rot13:rsa-2048:ec-p256", 2048), ("rot13:*", 256)])
def test_the_first_algorithm_that_is_known_is_made(keyd, preferred, kind):
    key_id = fresh_name("preferred")
    body = {"keyId": key_id, **({"preferredAlgorithms": preferred} if preferred else {})}
    ok(ask(keyd, "POST", "/keypair", body))
    made = keyd.key(key_id)
    assert made.key_size == kind and (kind == 256 or made.public_key().public_numbers().e == 65537)
    ok(ask(keyd, "POST", "/keypair", {"keyId": key_id, "preferredAlgorithms": "rsa-2048" if kind == 256 else "ec-p256"}))  # it exists already
    assert keyd.key(key_id).key_size == kind


def test_aead_is_aes_256_gcm_behind_a_version_and_the_old_edge_format_is_read(keyd):
    handle, key_id = secret(keyd)
    cipher = AESGCM(keyd.key_file(key_id).read_bytes())
    assert len(keyd.key_file(key_id).read_bytes()) == 32
    with_iv = {"iv": os.urandom(12), "aad": b"about it"}
    sealed = operate(keyd, "/encrypt", handle, "AEAD", with_iv, plaintext=b"plain text")
    assert sealed[:1] == b"\2" and cipher.decrypt(with_iv["iv"], sealed[1:], with_iv["aad"]) == b"plain text"
    made = cipher.encrypt(with_iv["iv"], b"older", with_iv["aad"])
    for octets, plain in [(sealed, b"plain text"), (b"\2" + made, b"older"), (b"\1" + made[-16:] + made[:-16], b"older")]:
        assert operate(keyd, "/decrypt", handle, "AEAD", with_iv, ciphertext=octets) == plain
    long_iv = {"iv": os.urandom(32), "aad": b""}
    empty = operate(keyd, "/encrypt", handle, "AEAD", long_iv, plaintext=b"")
    assert len(empty) == 17 and operate(keyd, "/decrypt", handle, "AEAD", long_iv, ciphertext=empty) == b""
    for octets in (b"", b"\2", b"\0" + made, b"\3" + made, b"\2" + made[:-1], b"\1" + made, sealed[:-1] + bytes([sealed[-1] ^ 1]), made):
        got = ask(keyd, "POST", "/decrypt", {"keyHandle": handle, "algorithm": "AEAD", "ciphertext": b64(octets),
                                             "parameters": {k: b64(v) for k, v in with_iv.items()}})
        assert got.status == 400 and "plaintext" not in got.json, (octets, got)


def test_a_derived_key_is_an_hmac_and_does_all_that_a_key_does_but_derive(keyd):
    octets = os.urandom(48)
    base, _ = secret(keyd, octets=octets)
    handle = ok(ask(keyd, "POST", "/derivedkey", {"baseKeyHandle": base, "derivationData": b64(b"module:1:primary")}))["keyHandle"]
    want = hmac.new(octets, b"module:1:primary", hashlib.sha256).digest()
    assert base64.b64decode(ok(ask(keyd, "POST", "/derivedkey/export", {"keyHandle": handle}))["key"]) == want
    assert base64.b64decode(ok(sign(keyd, handle, b"text"))["signature"]) == hmac.new(want, b"text", hashlib.sha256).digest()
    iv = {"iv": b"i" * 12, "aad": b""}
    assert AESGCM(want).decrypt(b"i" * 12, operate(keyd, "/encrypt", handle, "AEAD", iv, plaintext=b"p")[1:], b"") == b"p"
    for path, body in [("/derivedkey", {"baseKeyHandle": handle, "derivationData": ""}), ("/derivedkey/export", {"keyHandle": base})]:
        got = ask(keyd, "POST", path, body)
        assert got.status == 400 and got.message.startswith('parameter "handle" has an invalid value'), got
    for method, path in [("DELETE", "/key"), ("DELETE", "/keypair"), ("POST", "/parameters/algorithm")]:
        assert ask(keyd, method, path, {"keyHandle": handle}).status == 400


def test_h3_a_key_does_only_what_it_is_for(keyd):
    iv = {"iv": b64(b"i" * 12), "aad": ""}
    seal = ("/encrypt", {"algorithm": "AEAD", "parameters": iv, "plaintext": ""})
    mac = ("/sign", {"algorithm": "HMAC-SHA256", "parameters": {"message": ""}})
    derive = ("/derivedkey", {"derivationData": ""})
    for usage, may, may_not in [("encrypt", [seal], [mac, derive]), ("sign", [mac, derive], [seal]), ("derive", [mac, derive], [seal]),
                                ("encrypt,derive", [seal, mac, derive], [])]:
        handle, key_id = secret(keyd, usage, os.urandom(32))
        for again in range(2):
            for rows, status in ((may, 200), (may_not, 400)):
                for path, body in rows:
                    got = ask(keyd, "POST", path, {"keyHandle": handle, "baseKeyHandle": handle, **body})
                    assert got.status == status, (usage, path, got)
                    assert status == 200 or got.message.startswith('parameter "mechanism" has an invalid value'), got
            handle = ok(ask(keyd, "GET", f"/key/{key_id}"))["keyHandle"]
    got = ask(keyd, "POST", "/sign", {"keyHandle": handle, "algorithm": "ECDSA", "parameters": {"digest": b64(b"d" * 32)}})
    assert got.status == 400 and got.message.startswith('parameter "mechanism" has an invalid value'), got
    handle, _ = pair(keyd)
    assert sign(keyd, handle).message.startswith('parameter "mechanism" has an invalid value')


def test_imports_replace_and_preloaded_keys_are_as_they_were_written(keyd):
    handle, key_id = secret(keyd, "sign", b"first" * 7)
    secret(keyd, "sign", b"second" * 6, key_id)
    assert keyd.key_file(key_id).read_bytes() == b"second" * 6 and sign(keyd, handle).status == 400
    raw_handle = ok(ask(keyd, "GET", "/key/raw"))["keyHandle"]
    assert base64.b64decode(ok(sign(keyd, raw_handle))["signature"]) == hmac.new(bytes(range(32)), b"m", hashlib.sha256).digest()
    file = keyd.prefix / "files/raw.key"
    for got in (ask(keyd, "DELETE", "/key", {"keyHandle": raw_handle}),
                ask(keyd, "POST", "/key", {"keyId": "raw", "usage": "sign", "keyBytes": b64(b"x" * 32)})):
        assert got.status == 400 and "read-only" in got.message, got
    assert file.read_bytes() == bytes(range(32))
    got = ask(keyd, "GET", "/keypair/hsm")
    assert got.status == 400 and "pkcs11" in got.message and "1234" not in got.message + keyd.keyd.log


def test_a_move_overwrites_and_leaves_nothing_behind(keyd):
    (old, to), (handle, source) = pair(keyd), pair(keyd, "rsa-2048")
    octets = keyd.key_file(source).read_bytes()
    got = ask(keyd, "POST", f"/keypair/{to}", {"from": source})
    assert got.status == 204 and got.body == b""
    assert keyd.key_file(to).read_bytes() == octets and not keyd.key_file(source).exists()
    assert ask(keyd, "GET", f"/keypair/{source}").message.startswith("a parameter has an invalid value")
    assert parameter(keyd, ok(ask(keyd, "GET", f"/keypair/{to}"))["keyHandle"], "algorithm") == "RSA"
    for gone in (old, handle):
        assert ask(keyd, "POST", "/parameters/algorithm", {"keyHandle": gone}).status == 400
    _, symmetric = secret(keyd)
    assert ask(keyd, "POST", f"/keypair/{to}", {"from": symmetric}).status == 400 and keyd.key_file(to).read_bytes() == octets
    assert ask(keyd, "POST", f"/keypair/{symmetric}", {"from": to}).status == 400 and keyd.key_file(to).read_bytes() == octets
    assert ask(keyd, "POST", "/keypair/old-pair", {"from": to}).status == 400 and keyd.key_file(to).read_bytes() == octets
