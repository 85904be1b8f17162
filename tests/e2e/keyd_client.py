# SPDX-License-Identifier: Apache-2.0
"""A Keys Service that users of several kinds reach, and its requests in short."""
import base64
import os

import pytest
from cryptography.hazmat.primitives import serialization

import estuary
from estuary import fresh_name
from users import OpenDevice

V2020, V2021 = "2020-09-01", "2021-05-01"
HANDLE_KEY = "handle-validation-key"
ALICE, BOB, SERVICE = 4001, 4002, 4003
PRINCIPALS = f"""
[[principal]]
uid = {ALICE}
keys = ["alice-*", "a/b?", "shared"]
[[principal]]
uid = {BOB}
keys = ["*"]
[[principal]]
uid = {SERVICE}
delegate = true
[[principal]]
uid = {os.getuid()}
keys = ["*"]
"""


def b64(octets):
    return base64.b64encode(octets).decode()


@pytest.fixture(scope="module")
def keyd():
    """The service with some keys from elsewhere: a pair of the traditional form, and an AES key."""
    d = OpenDevice()
    pair = estuary.new_key("rsa-2048")
    old = pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    d.configure("keyd", f"""[preloaded_keys]
old-pair = "{d.file('old.pem', old).as_uri()}"
raw = "{d.file('raw.key', bytes(range(32))).as_uri()}"
hsm = "pkcs11:token=t;object=o?pin-value=1234"
""" + PRINCIPALS)
    d.open(d.keyd)
    d.old = pair
    yield d
    d.close()


def ask(d, method, path, body=None, version=V2020, **kw):
    return d.keyd.request(method, path, body, version, **kw)


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def pair(d, algorithm="ec-p256", key_id=None):
    """A new pair: its handle and its ID."""
    key_id = key_id or fresh_name("pair")
    return ok(ask(d, "POST", "/keypair", {"keyId": key_id, "preferredAlgorithms": algorithm}))["keyHandle"], key_id


def secret(d, usage="derive,sign,encrypt", octets=None, key_id=None):
    key_id = key_id or fresh_name("key")
    more = {"keyBytes": b64(octets)} if octets is not None else {}
    return ok(ask(d, "POST", "/key", {"keyId": key_id, "usage": usage, **more}))["keyHandle"], key_id


def sign(d, handle, message=b"m", **kw):
    return ask(d, "POST", "/sign", {"keyHandle": handle, "algorithm": "HMAC-SHA256", "parameters": {"message": b64(message)}}, **kw)
