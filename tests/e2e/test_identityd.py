# SPDX-License-Identifier: Apache-2.0
"""The Identity Service with our own Keys and Certificates Services, against a provisioning service and a hub that a test holds."""
import base64
import hashlib
import hmac
import json
import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import estuary
from device import OWN, stem
from estuary import wait_for
from fake_dps import FakeDps

UID = os.getuid()
LOCAL_CA = """
[cert_issuance.local_ca]
cert = "device-ca"
pk = "device-ca"
"""


@pytest.fixture
def dps(tmp_path):
    d = FakeDps(tmp_path)
    yield d
    d.stop()


# --- a device's configuration ---

def configure_keys(device, dps):
    """The Keys Service: the device's symmetric key as a factory leaves it, and everything for whoever runs the test."""
    secret = device.file("device-id.key", dps.key or b"")
    ca = device.file("device-ca.key.pem", estuary.key_pem(dps.ca.key))
    device.configure("keyd", f"""
[preloaded_keys]
{f'device-key = "{secret.as_uri()}"' if dps.key else ''}
device-ca = "{ca.as_uri()}"

[[principal]]
uid = {UID}
keys = ["*"]
delegate = true
""")


def configure_certs(device, dps, more=""):
    """The Certificates Service: a CA of its own, which the provisioning service knows."""
    ca = device.file("device-ca.pem", dps.ca.pem)
    device.configure("certd", f"""
[preloaded_certs]
device-ca = "{ca.as_uri()}"
{LOCAL_CA}
[cert_issuance.device-id]
method = "local_ca"
[cert_issuance.device-id-temp]
method = "local_ca"
{more}
[[principal]]
uid = {UID}
certs = ["*"]
""")


def principal(name="boss", uid=UID, idtype=None, more=""):
    types = "" if idtype is None else f"idtype = {json.dumps(idtype)}\n"
    return f'\n[[principal]]\nuid = {uid}\nname = "{name}"\n{types}{more}'


def trust(device, dps):
    return f'trusted_certs = ["{device.file("cloud.pem", dps.ca.pem).as_uri()}"]\ntrust_system = false'


RENEW = 'identity_auto_renew = { rotate_key = true, threshold = "80%", retry = "4%" }'


def attestation(x509_too=False, renew=""):
    if x509_too:
        return f'method = "x509"\nregistration_id = "pump-7"\nidentity_cert = "device-id"\nidentity_pk = "device-id"\n{renew}'
    return 'method = "symmetric_key"\nregistration_id = "pump-7"\nsymmetric_key = "device-key"'


def by_dps(device, dps, principals=principal(), more="", scope=None, renew="", payload="", endpoint=None):
    """identityd's file, provisioned by the service: with certificates where that wants them, else with the key."""
    device.configure("identityd", f"""
hostname = "edge"
{more}
[localid]
domain = "example.org"

[provisioning]
source = "dps"
global_endpoint = "{endpoint or dps.endpoint}"
scope_id = "{scope or dps.scope}"
{trust(device, dps)}
{payload}
[provisioning.attestation]
{attestation(dps.key is None, renew)}
{principals}
""")


def by_hand(device, dps, principals=principal(), gateway=""):
    method = 'method = "sas"\ndevice_id_pk = "device-key"' if dps.key else \
        'method = "x509"\nidentity_cert = "device-id"\nidentity_pk = "device-id"'
    device.configure("identityd", f"""
hostname = "edge"
[localid]
domain = "example.org"

[provisioning]
source = "manual"
iothub_hostname = "{dps.hub}"
device_id = "pump-7"
{f'local_gateway_hostname = "{gateway}"' if gateway else ''}
{trust(device, dps)}
[provisioning.authentication]
{method}
{principals}
""")


def start(device, dps, configure=by_dps, certs="", **kw):
    configure_keys(device, dps)
    configure_certs(device, dps, certs)
    configure(device, dps, **kw)
    device.start()
    device.identityd.start()
    return device.identityd


def status(device):
    return device.identityd.request("GET", "/status", version=OWN).json


def provisioned(device, patience=estuary.PATIENCE):
    """Wait until the cloud has confirmed the device as it is configured."""
    def look():
        s = status(device)["provisioning"]
        return s if s["provisioned"] and s["current"] and not s["running"] else None

    return wait_for("the device to be provisioned", look, patience)


def settled(device, patience=estuary.PATIENCE):
    """The same, and its modules are at the hub."""
    provisioned(device, patience)
    wait_for("the modules to be in line", lambda: status(device)["modules"]["in_line"], patience)


def home(device, *names):
    return (device.prefix / "var/lib/aziot/identityd").joinpath(*names)


def ask_device(device):
    return device.identityd.request("POST", "/identities/device", {"type": "aziot"})


def spec(answer, status=200):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    return answer.json["spec"]


def sign(device, handle, message=b"x"):
    """What the key of a handle makes of a message."""
    a = device.keyd.request("POST", "/sign", {"keyHandle": handle, "algorithm": "HMAC-SHA256",
                                              "parameters": {"message": base64.b64encode(message).decode()}})
    assert a.status == 200, a
    return base64.b64decode(a.json["signature"])


def mac(key, message=b"x"):
    return hmac.new(key, message, hashlib.sha256).digest()


# --- provisioning ---

def test_a_device_with_a_symmetric_key_comes_to_life_by_itself(device, dps):
    identityd = start(device, dps)
    provisioned(device)
    s = spec(ask_device(device))
    handle = s["auth"].pop("keyHandle")
    assert s == {"hubName": dps.hub, "gatewayHost": dps.hub, "deviceId": "pump-7", "auth": {"type": "sas"}}
    assert sign(device, handle) == mac(dps.key)
    assert spec(identityd.request("GET", "/identities/identity"))["deviceId"] == "pump-7"
    assert home(device, "device_info").read_text() == \
        f'hub_name = "{dps.hub}"\nlocal_gateway_hostname = "{dps.hub}"\ndevice_id = "pump-7"\n'
    assert identityd.stop() == 0


def test_a_device_with_a_certificate_has_it_made_and_is_known_by_it(device, dps):
    dps.key = None
    start(device, dps)
    provisioned(device)
    s = spec(ask_device(device))
    assert s["auth"]["type"] == "x509" and s["auth"]["certId"] == "device-id"
    assert device.matches("device-id")
    assert device.cert("device-id").subject.rfc4514_string() == "CN=pump-7"
    shown = {x509.load_der_x509_certificate(a.client).serial_number for a in dps.asks if "register" in a.path}
    assert shown == {device.cert("device-id").serial_number}
    assert "Generated initial device identity certificate." in device.identityd.log
    # The handle is of that certificate's key, in whoever's hands it is now.
    spki = device.keyd.request("POST", "/parameters/spki", {"keyHandle": s["auth"]["keyHandle"]}, version=OWN).json["value"]
    assert base64.b64decode(spki) == device.cert("device-id").public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_device_that_is_configured_by_hand_asks_nobody(device, dps):
    identityd = start(device, dps, by_hand, gateway="gateway.local:8443")
    s = spec(ask_device(device))
    assert (s["hubName"], s["gatewayHost"], s["deviceId"]) == (dps.hub, "gateway.local:8443", "pump-7")
    assert sign(device, s["auth"]["keyHandle"]) == mac(dps.key)
    assert dps.count("register") == 0
    assert identityd.request("GET", "/identities/provisioning", version="2021-12-01").json == {"source": "manual", "auth": "sas"}
    assert home(device, "device_info").read_text().splitlines()[1] == 'local_gateway_hostname = "gateway.local:8443"'


def test_by_hand_with_a_certificate(device, dps):
    dps.key = None
    identityd = start(device, dps, by_hand)
    wait_for("the certificate", lambda: device.matches("device-id"))
    s = spec(ask_device(device))
    assert s["auth"]["type"] == "x509" and s["deviceId"] == "pump-7"
    assert device.cert("device-id").subject.rfc4514_string() == "CN=pump-7"
    assert identityd.request("GET", "/identities/provisioning", version="2022-08-01").json == {"source": "manual", "auth": "x509"}


def test_by_hand_too_an_identity_that_could_not_be_written_is_a_failure_that_is_tried_again(device, dps):
    home(device, "device_info").mkdir()
    start(device, dps, by_hand)
    s = wait_for("the failure", lambda: status(device)["provisioning"].get("last_error") and status(device)["provisioning"])
    assert "device_info" in s["last_error"] and s["next_try"], s
    a = device.identityd.request("POST", "/identities/device/reprovision", {"type": "aziot"})
    assert a.status == 404 and "device_info" in a.message, a
    home(device, "device_info").rmdir()
    assert device.identityd.request("POST", "/identities/device/reprovision", {"type": "aziot"}).status == 204
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    assert "last_error" not in status(device)["provisioning"]


def test_without_a_source_there_is_no_identity_and_no_error(device, dps):
    device.configure("identityd", f'hostname = "edge"\n[provisioning]\nsource = "none"\n{principal()}')
    device.keyd.start()
    device.identityd.start()
    a = ask_device(device)
    assert (a.status, a.message) == (400, "device identity not found")
    assert device.identityd.request("GET", "/identities/provisioning", version="2021-12-01").json == {"source": "none"}
    assert device.identityd.request("POST", "/identities/device/reprovision", {"type": "aziot"}).status == 204
    a = device.identityd.request("GET", "/identities/modules?type=aziot")
    assert (a.status, a.message) == (400, "device identity not found")


def test_how_the_device_is_provisioned_is_told_with_what_the_service_said(device, dps):
    dps.payload = {"site": "north"}
    payload = device.file("payload.json", '{"model": "m1"}')
    identityd = start(device, dps, payload=f'payload = {{ uri = "{payload.as_uri()}" }}')
    provisioned(device)
    assert identityd.request("GET", "/identities/provisioning", version="2021-12-01").json == {
        "source": "dps", "auth": "symmetric_key", "endpoint": dps.endpoint, "scope_id": dps.scope,
        "registration_id": "pump-7", "payload": {"site": "north"}}
    assert dps.told == {"payload": {"model": "m1"}}
    identityd.stop()
    identityd.start()
    assert identityd.request("GET", "/identities/provisioning", version="2021-12-01").json["payload"] == {"site": "north"}


def test_a_device_that_is_known_starts_without_the_service(device, dps):
    identityd = start(device, dps)
    settled(device)
    identityd.stop()
    before = home(device, "device_info").read_bytes()
    dps.stop()
    identityd.start()
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    assert "Provisioned with backup for pump-7." in identityd.log
    assert home(device, "device_info").read_bytes() == before
    assert identityd.stop() == 0


# --- the API's rules ---

def test_versions_have_their_routes(device, dps):
    identityd = start(device, dps, by_hand)
    for version in ("2020-09-01", "2021-12-01", "2022-08-01", OWN):
        assert identityd.request("GET", "/trust-bundle", version=version).status == 200
        assert identityd.request("GET", "/identities/provisioning", version=version).status == (404 if version == "2020-09-01" else 200)
        assert identityd.request("GET", "/status", version=version).status == (200 if version == OWN else 404)
    a = identityd.request("GET", "/trust-bundle", version="2019-01-01")
    assert (a.status, a.message) == (400, 'invalid api-version "2019-01-01"')
    assert identityd.request("GET", "/nowhere", version=None).message == "api-version not specified"


@pytest.mark.parametrize("method,path,body,status,message", [
    ("GET", "/identities/modules", None, 400, 'parameter "type" has an invalid value\ncaused by: it is missing'),
    ("GET", "/identities/modules?type=x", None, 400, 'parameter "type" has an invalid value\ncaused by: \'x\': "aziot" or "local" is needed'),
    ("GET", "/identities/modules?type=local", None, 400, 'parameter "type" has an invalid value'),
    ("GET", "/identities/modules/m?type=", None, 400, 'parameter "type" has an invalid value'),
    ("PUT", "/identities/modules/m?type=local", {}, 400, 'parameter "type" has an invalid value'),
    ("DELETE", "/identities/modules/m?type=local", None, 400, 'parameter "type" has an invalid value'),
    ("GET", "/identities/modules/%20?type=aziot", None, 400, 'parameter "moduleId" has an invalid value\ncaused by: it is empty'),
    ("GET", "/identities/modules/?type=aziot", None, 404, "not found"),
    ("GET", "/identities/modules/a%00b?type=aziot", None, 404, "not found"),
    ("GET", "/identities/modules/m?type=local", None, 400, 'parameter "moduleId" has an invalid value'),
    ("POST", "/identities/modules", {"type": "aziot", "moduleId": "  "}, 400, 'parameter "moduleId" has an invalid value'),
    ("POST", "/identities/modules", {"type": "aziot", "moduleId": "a\u0001"}, 400, 'parameter "moduleId" has an invalid value'),
    ("POST", "/identities/modules", {"type": "x", "moduleId": "m"}, 400, 'parameter "type" has an invalid value'),
    ("POST", "/identities/modules", {"moduleId": "m"}, 422, "missing field `type`"),
    ("POST", "/identities/modules", {"type": "aziot"}, 422, "missing field `moduleId`"),
    ("POST", "/identities/modules", {"type": "local", "moduleId": "m", "localIdOpts": {"type": "x"}}, 422, "localIdOpts"),
    ("POST", "/identities/modules", {"type": "local", "moduleId": "m", "localIdOpts": 7}, 422, "localIdOpts"),
    ("POST", "/identities/modules", None, 400, "missing request body"),
    ("POST", "/identities/device", {}, 422, "missing field `type`"),
    ("POST", "/identities/device", None, 400, "missing request body"),
    ("GET", "/identities/device", None, 400, "method not allowed"),
    ("POST", "/trust-bundle", {}, 400, "method not allowed"),
])
def test_what_is_malformed_is_refused_in_the_originals_words(device, dps, method, path, body, status, message):
    identityd = start(device, dps, by_hand)
    a = identityd.request(method, path, body)
    assert a.status == status and a.message.startswith(message), a
    assert spec(ask_device(device))["deviceId"] == "pump-7"


def test_any_type_of_device_identity_is_the_device(device, dps):
    identityd = start(device, dps, by_hand)
    assert spec(identityd.request("POST", "/identities/device", {"type": "anything"}))["deviceId"] == "pump-7"


# --- modules ---

def test_modules_live_their_whole_life(device, dps):
    identityd = start(device, dps)
    settled(device)
    assert identityd.request("GET", "/identities/modules?type=aziot").json == {"identities": []}

    made = spec(identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": "m1"}))
    handle = made["auth"].pop("keyHandle")
    generation = dps.modules["m1"]["generationId"]
    assert made == {"hubName": dps.hub, "gatewayHost": dps.hub, "deviceId": "pump-7", "moduleId": "m1", "genId": generation,
                    "auth": {"type": "sas"}}
    keys = dps.modules["m1"]["authentication"]["symmetricKey"]
    assert sign(device, handle) == mac(base64.b64decode(keys["primaryKey"]))
    assert keys["primaryKey"] != keys["secondaryKey"]

    got = spec(identityd.request("GET", "/identities/modules/m1?type=aziot"))
    assert sign(device, got["auth"].pop("keyHandle")) == mac(base64.b64decode(keys["primaryKey"])) and got == made
    assert identityd.request("GET", "/identities/modules?type=aziot").json == {"identities": [
        {"type": "aziot", "spec": {"hubName": dps.hub, "gatewayHost": dps.hub, "deviceId": "pump-7", "moduleId": "m1", "genId": generation}}]}
    remembered = json.loads(home(device, "modules", f"{digest(dps.hub)}-{digest('pump-7')}", stem("m1")).read_text())
    assert remembered["moduleId"] == "m1" and remembered["generationId"] == generation and "authentication" not in remembered

    dps.modules["m1"]["authentication"] = {"type": "none"}
    again = spec(identityd.request("PUT", "/identities/modules/m1?type=aziot", {"ignored": True}))
    assert again["genId"] == generation and dps.modules["m1"]["authentication"]["symmetricKey"] == keys

    assert identityd.request("DELETE", "/identities/modules/m1?type=aziot").status == 204
    assert dps.modules == {} and not list(home(device, "modules").rglob(stem("m1")))
    a = identityd.request("GET", "/identities/modules/m1?type=aziot")
    assert a.status == 404 and a.message.startswith("Hub client error\ncaused by: "), a
    assert identityd.request("DELETE", "/identities/modules/m1?type=aziot").status == 404


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_id_of_any_characters_stays_one_module(device, dps):
    identityd = start(device, dps)
    settled(device)
    for name in ("$edgeAgent", "a/b", "ä?#%41", "../m"):
        assert spec(identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": name}))["moduleId"] == name
    assert set(dps.modules) == {"$edgeAgent", "a/b", "ä?#%41", "../m"}
    assert len(list(home(device, "modules").glob("*/*"))) == 4
    assert spec(identityd.request("GET", "/identities/modules/a%2Fb?type=aziot"))["moduleId"] == "a/b"


def test_principals_modules_are_brought_to_the_hub_and_taken_from_it(device, dps):
    dps.modules["of-others"] = {"moduleId": "of-others", "deviceId": "pump-7", "generationId": "7"}
    identityd = start(device, dps, principals=principal() + principal("m1", 60001, ["module"]) + principal("m2", 60002, ["device", "module"]))
    settled(device)
    assert set(dps.modules) == {"of-others", "m1", "m2"}
    kept = dps.modules["m1"]["generationId"]
    previous = home(device, "prev_state").read_text()
    assert 'name = "m1"' in previous and f'scope_id = "{dps.scope}"' in previous

    by_dps(device, dps, principals=principal() + principal("m1", 60001, ["module"]) + principal("m3", 60003, ["module"]))
    identityd.reload()
    settled(device)
    assert set(dps.modules) == {"of-others", "m1", "m3"} and dps.modules["m1"]["generationId"] == kept
    assert dps.count("register") == 1, "who the device is has not changed"

    # One that somebody else has made there gets keys of ours, and so another generation.
    dps.modules["m4"] = {"moduleId": "m4", "deviceId": "pump-7", "generationId": "old"}
    by_dps(device, dps, principals=principal() + principal("m4", 60004, ["module"]))
    identityd.reload()
    settled(device)
    assert set(dps.modules) == {"of-others", "m4"} and dps.modules["m4"]["generationId"] != "old"


def test_a_hub_that_is_away_is_asked_again_and_modules_are_remembered(device, dps):
    identityd = start(device, dps)
    settled(device)
    made = spec(identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": "m1"}))
    dps.plan["get"], dps.stay = [lambda _: iter(())], {"get"}
    remembered = spec(identityd.request("GET", "/identities/modules/m1?type=aziot"))
    assert remembered["genId"] == made["genId"] and sign(device, remembered["auth"]["keyHandle"]) == sign(device, made["auth"]["keyHandle"])
    a = identityd.request("GET", "/identities/modules/m2?type=aziot")
    assert a.status == 404 and a.message.startswith("Hub client error\ncaused by: IoT hub at "), a


def test_what_the_hub_has_forgotten_is_not_told_any_more(device, dps):
    identityd = start(device, dps)
    settled(device)
    spec(identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": "m1"}))
    del dps.modules["m1"]
    assert identityd.request("GET", "/identities/modules/m1?type=aziot").status == 404
    dps.stop()
    assert identityd.request("GET", "/identities/modules/m1?type=aziot").status == 404


def test_with_the_cache_preferred_a_known_module_is_told_without_the_hub(device, dps):
    identityd = start(device, dps, more="prefer_module_identity_cache = true")
    settled(device)
    spec(identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": "m1"}))
    before = len(dps.steps)
    assert spec(identityd.request("GET", "/identities/modules/m1?type=aziot"))["moduleId"] == "m1"
    assert len(dps.steps) == before
    assert identityd.request("GET", "/identities/modules/m2?type=aziot").status == 404
    assert dps.steps[before:] == ["get"]


# --- local identities, trust ---

LOCAL = """
[cert_issuance.m1]
method = "local_ca"
expiry_days = 3
[cert_issuance.m2]
method = "local_ca"
"""


@pytest.mark.parametrize("server", [False, True], ids=["client", "server"])
def test_a_local_identity_is_a_new_key_with_a_certificate_of_its_own(device, dps, server):
    options = 'localid = { type = "x509", attributes = "server" }\n' if server else ""
    identityd = start(device, dps, by_hand, LOCAL, principals=principal() + principal("m1", 60001, ["local"], options))
    a = identityd.request("GET", "/identities/modules/m1?type=local")
    assert a.status == 200 and a.json["type"] == "local", a
    auth = a.json["spec"].pop("auth")
    assert a.json["spec"]["moduleId"] == "m1"
    cert = x509.load_pem_x509_certificate(auth["certificate"].encode())
    key = serialization.load_pem_private_key(auth["privateKey"].encode(), None)
    assert auth["privateKey"].startswith("-----BEGIN PRIVATE KEY-----") and key.key_size == 2048
    assert key.public_key().public_numbers() == cert.public_key().public_numbers()
    assert cert.subject.rfc4514_string() == "CN=m1.edge.example.org"
    assert auth["expiration"] == cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    usage = {u.dotted_string for u in cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value}
    assert usage == {"1.3.6.1.5.5.7.3.2"} | ({"1.3.6.1.5.5.7.3.1"} if server else set())
    names = [e for e in cert.extensions if isinstance(e.value, x509.SubjectAlternativeName)]
    assert [n.value.get_values_for_type(x509.DNSName) for n in names] == ([["m1.edge.example.org"]] if server else [])
    second = identityd.request("GET", "/identities/modules/m1?type=local").json["spec"]["auth"]
    assert second["privateKey"] != auth["privateKey"]


def test_local_identities_are_made_for_those_who_are_no_principals(device, dps):
    identityd = start(device, dps, by_hand, LOCAL, principals=principal() + principal("m1", 60001, ["local"]))
    a = identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": "m2",
                                                          "localIdOpts": {"type": "x509", "attributes": "server"}})
    cert = x509.load_pem_x509_certificate(a.json["spec"]["auth"]["certificate"].encode())
    assert a.status == 200 and cert.subject.rfc4514_string() == "CN=m2.edge.example.org"
    a = identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": "m1"})
    assert a.status == 400 and a.message.startswith('parameter "moduleId"'), a
    a = identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": "unknown"})
    assert a.status == 404 and a.message.startswith("Certificate client error\ncaused by: "), a


def test_a_name_that_is_no_cn_is_refused_and_not_cut(device, dps):
    identityd = start(device, dps, by_hand)
    fits = "m" * (64 - len(".edge.example.org"))
    a = identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": fits + "m"})
    assert a.status == 400 and "at most 64 octets" in a.message, a
    assert identityd.request("POST", "/identities/modules", {"type": "local", "moduleId": fits}).status == 404, "there is no issuance for it"


def test_the_trust_bundle_is_certds_or_else_what_the_device_trusts(device, dps):
    identityd = start(device, dps, by_hand)
    assert identityd.request("GET", "/trust-bundle").json == {"certificate": dps.ca.pem + "\n"}
    other = estuary.OutsideCa()
    assert device.certd.request("PUT", "/certificates/aziot-edged-trust-bundle", {"pem": other.pem}).status == 201
    assert identityd.request("GET", "/trust-bundle").json == {"certificate": other.pem}
    device.certd.stop()
    a = identityd.request("GET", "/trust-bundle")
    assert a.status == 404 and a.message.startswith("Certificate client error\ncaused by: "), a


def test_a_private_key_beside_an_anchor_is_told_to_nobody(device, dps):
    identityd = start(device, dps, by_hand)
    device.file("cloud.pem", dps.ca.pem + estuary.key_pem(estuary.new_key()).decode())
    assert identityd.request("GET", "/trust-bundle").json == {"certificate": ""}
    assert "there is a private key in it" in identityd.log


# --- how it stands ---

def test_status_says_how_the_device_stands_and_the_command_shows_it(device, dps):
    dps.key = None
    start(device, dps, renew=RENEW, principals=principal() + principal("m1", 60001, ["module"]))
    settled(device)
    s = status(device)
    assert set(s) == {"version", "time", "provisioning", "certificate", "modules", "configuration"}
    assert {k: s["provisioning"][k] for k in ("source", "provisioned", "current", "hub", "device")} == {
        "source": "dps", "provisioned": True, "current": True, "hub": dps.hub, "device": "pump-7"}
    assert abs(s["provisioning"]["confirmed_at"] - time.time()) < 60
    assert s["certificate"]["id"] == "device-id" and s["certificate"]["state"] == "idle"
    assert s["certificate"]["renew_at"] < s["certificate"]["not_after"]
    assert s["modules"]["wanted"] == ["m1"] and s["configuration"]["last_error"] == ""
    shown = device.agent("status")
    assert shown.stdout.startswith("pump-7  fresh\n") and dps.hub in shown.stdout and "m1" in shown.stdout
    assert json.loads(device.agent("status", "--json").stdout)["identity"]["health"] == "fresh"


def test_a_configuration_that_cannot_be_read_leaves_the_one_before_in_force(device, dps):
    identityd = start(device, dps, by_hand)
    file = device.prefix / "etc/aziot/identityd/config.d/10-test.toml"
    good = file.read_text()
    file.write_text(good.replace('source = "manual"', 'source = "manuel"'))
    wait_for("the refusal", lambda: "The configuration was not taken" in identityd.log)
    assert "10-test.toml:7:1" in status(device)["configuration"]["last_error"]
    assert spec(ask_device(device))["deviceId"] == "pump-7"
    file.write_text(good.replace("[localid]", 'homedir = "/elsewhere"\n[localid]'))
    identityd.reload()
    assert "homedir has changed: that takes a restart" in identityd.log
    assert status(device)["configuration"]["last_error"] == ""


def test_two_services_do_not_share_a_home(device, dps):
    start(device, dps, by_hand)
    socket = device.identityd.socket
    socket.rename(socket.with_suffix(".old"))
    r = device.agent("identityd", check=False)
    assert r.returncode == 1 and "another Identity Service runs there" in r.stderr
