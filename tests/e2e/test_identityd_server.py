# SPDX-License-Identifier: Apache-2.0
"""A device and a server of ours, end to end: EST gives the certificate, DPS the hub, the hub the modules."""
import base64

import pytest

import estuary
from device import stem
from dps import Dps, derive
from estuary import fresh_name, wait_for
from test_device import UID, short  # noqa: F401
from test_identityd import RENEW, ask_device, mac, principal, provisioned, settled, sign, spec, status
from test_identityd_outages import leftovers, reprovision


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server of these tests' own: its issuing CA is that of their group."""
    s = estuary.Server(tmp_path_factory.mktemp("server") / "d")
    yield s
    assert s.stop() == 0


@pytest.fixture(scope="session")
def dps(server):
    """Its provisioning service; whoever has a certificate of the issuing CA belongs to the group."""
    d = Dps(server)
    server.op("group.create", name="fleet", attestation="x509", ca=server.op("label.show", name="ldevid")["ca"], hubs=[d.hub])
    return d


def configure(device, server, dps, registration, method, principals):
    device.configure("identityd", f"""
hostname = "edge"
[provisioning]
source = "dps"
global_endpoint = "https://localhost:{server.device_port}"
scope_id = "{dps.scope}"
trusted_certs = ["est-server-ca"]
trust_system = false
[provisioning.attestation]
registration_id = "{registration}"
{method}
{principals}
""")


def with_key(device, server, dps, principals=principal()):
    """A device of a group whose keys are derived; its registration ID, and the key."""
    group = server.op("group.create", name=fresh_name("keys"), attestation="symmetric", hubs=[dps.hub])
    registration = fresh_name("pump")
    secret = base64.b64decode(derive(group["key"], registration))
    device.configure("keyd", f"""
[preloaded_keys]
device-key = "{device.file("device.key", secret).as_uri()}"
[[principal]]
uid = {UID}
keys = ["*"]
delegate = true
""")
    device.configure("certd", f'[preloaded_certs]\nest-server-ca = "file://{server.root_file}"\n')
    configure(device, server, dps, registration, 'method = "symmetric_key"\nsymmetric_key = "device-key"', principals)
    device.start()
    device.identityd.start()
    return group["name"], registration, secret


def with_certificate(device, server, dps, url, renew=RENEW):
    """A device that gets its identity certificate over EST, with a bootstrap certificate of the factory's; its name."""
    pair = server.born()
    cert, key = device.keep_pair("bootstrap", pair)
    device.configure("keyd", f"""
[preloaded_keys]
bootstrap = "{key}"
[[principal]]
uid = {UID}
keys = ["*"]
delegate = true
""")
    device.configure("certd", f"""
[preloaded_certs]
est-server-ca = "file://{server.root_file}"
bootstrap = "{cert}"
[cert_issuance.est]
trusted_certs = ["est-server-ca"]
[cert_issuance.est.auth]
identity_cert = "est-id"
identity_pk = "est-id"
bootstrap_identity_cert = "bootstrap"
bootstrap_identity_pk = "bootstrap"
[cert_issuance.est.urls]
default = "{url}"
[cert_issuance.device-id]
method = "est"
[cert_issuance.device-id-temp]
method = "est"
[[principal]]
uid = {UID}
certs = ["device-id", "device-id-temp"]
""")
    configure(device, server, dps, pair.cn, f'method = "x509"\nidentity_cert = "device-id"\nidentity_pk = "device-id"\n{renew}',
              principal() + principal("m1", 60001, ["module"]))
    device.start()
    device.identityd.start()
    return pair.cn


def test_a_device_with_a_groups_key_gets_its_hub_and_modules(device, server, dps):
    _, registration, secret = with_key(device, server, dps, principal() + principal("m1", 60001, ["module"]))
    settled(device)
    s = spec(ask_device(device))
    assert (s["hubName"], s["deviceId"]) == (dps.hub, registration)
    assert sign(device, s["auth"]["keyHandle"]) == mac(secret)
    assert server.op("registration.show", registration=registration)["status"] == "assigned"
    assert [m["module"] for m in server.op("hub.modules", device=registration)["items"]] == ["m1"]
    identityd = device.identityd
    made = spec(identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": "m2"}))
    assert spec(identityd.request("GET", "/identities/modules/m2?type=aziot"))["genId"] == made["genId"]
    assert spec(identityd.request("PUT", "/identities/modules/m2?type=aziot", {}))["moduleId"] == "m2"
    assert {i["spec"]["moduleId"] for i in identityd.request("GET", "/identities/modules?type=aziot").json["identities"]} == {"m1", "m2"}
    assert identityd.request("DELETE", "/identities/modules/m2?type=aziot").status == 204
    assert identityd.request("GET", "/identities/modules/m2?type=aziot").status == 404


def test_a_device_gets_its_certificate_over_est_and_with_it_its_hub(device, server, dps):
    cn = with_certificate(device, server, dps, server.est_url)
    settled(device)
    s = spec(ask_device(device))
    assert (s["hubName"], s["deviceId"], s["auth"]["certId"]) == (dps.hub, cn, "device-id")
    assert device.matches("device-id") and device.cert("device-id").subject.rfc4514_string() == f"CN={cn}"
    assert [m["module"] for m in server.op("hub.modules", device=cn)["items"]] == ["m1"]


def test_its_certificate_is_renewed_over_est_and_taken_by_the_service(device, server, dps, short):  # noqa: F811
    renew = 'identity_auto_renew = { rotate_key = true, threshold = "5%", retry = "4%" }'
    cn = with_certificate(device, server, dps, short, renew)
    settled(device)
    first = device.cert("device-id")
    wait_for("the renewal", lambda: device.cert("device-id").serial_number != first.serial_number, 3 * estuary.PATIENCE)
    wait_for("the rest of it", lambda: not leftovers(device))
    assert device.matches("device-id")
    assert spec(ask_device(device))["deviceId"] == cn
    assert reprovision(device).status == 204
    assert not list((device.prefix / "var/lib/aziot/certd/certs").glob(stem("device-id-temp") + "*"))


@pytest.mark.parametrize("what", ["group", "registration", "removed"])
def test_what_an_operator_takes_away_is_refused_and_the_device_says_why(device, server, dps, what):
    group, registration, _ = with_key(device, server, dps)
    provisioned(device)
    if what == "group":
        server.op("group.disable", name=group)
    elif what == "registration":
        server.op("registration.disable", registration=registration)
    else:
        server.op("registration.remove", registration=registration)
        server.op("group.remove", name=group)
    a = reprovision(device)
    assert a.status == 404 and a.message.startswith("DPS client error\ncaused by: DPS at localhost:"), a
    assert status(device)["provisioning"]["last_outcome"] in ("refused", "disabled", "failed")
    assert spec(ask_device(device))["deviceId"] == registration
    if what == "group":
        server.op("group.enable", name=group)
        assert reprovision(device).status == 204
