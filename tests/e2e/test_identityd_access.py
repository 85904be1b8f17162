# SPDX-License-Identifier: Apache-2.0
"""Who may ask the Identity Service for what: every kind of caller at every route, as other users of the machine."""
import os

import pytest

from device import OWN
from fake_dps import FakeDps
from test_identityd import LOCAL, by_dps, configure_certs, configure_keys, principal, settled, sign, spec
from users import OpenDevice, needs_root

pytestmark = needs_root

UNKNOWN, NO_TYPE, DEVICE, MODULE, LOCALS, ALL, DAEMON, DAEMON_TOO, ROOT = 62000, 62001, 62002, 62003, 62004, 62005, 62006, 62007, 0
NAMES = {NO_TYPE: "nobody", DEVICE: "dev", MODULE: "mod", LOCALS: "loc", ALL: "all", DAEMON: "boss", DAEMON_TOO: "second"}
PRINCIPALS = (principal("nobody", NO_TYPE, []) + principal("dev", DEVICE, ["device"]) + principal("mod", MODULE, ["module"]) +
              principal("loc", LOCALS, ["local"]) + principal("all", ALL, ["device", "module", "local"]) +
              principal("boss", DAEMON) + principal("second", DAEMON_TOO))
ISSUANCES = LOCAL + "".join(f'[cert_issuance.{n}]\nmethod = "local_ca"\n' for n in ("loc", "all", "other"))

MASTERS = {DAEMON, ROOT}
EVERYBODY = {UNKNOWN, NO_TYPE, DEVICE, MODULE, LOCALS, ALL, DAEMON, DAEMON_TOO, ROOT}
# What is asked, and who is let in.
MATRIX = [
    ("GET", "/identities/identity", None, "2020-09-01", {DEVICE, MODULE, LOCALS, ALL} | MASTERS),
    ("POST", "/identities/device", {"type": "aziot"}, "2020-09-01", {DEVICE, ALL} | MASTERS),
    ("POST", "/identities/device/reprovision", {"type": "aziot"}, "2020-09-01", MASTERS),
    ("GET", "/identities/modules?type=aziot", None, "2020-09-01", MASTERS),
    ("POST", "/identities/modules", {"type": "aziot", "moduleId": "made"}, "2020-09-01", MASTERS),
    ("POST", "/identities/modules", {"type": "local", "moduleId": "other"}, "2020-09-01", MASTERS),
    ("GET", "/identities/modules/mod?type=aziot", None, "2020-09-01", {MODULE} | MASTERS),
    ("GET", "/identities/modules/all?type=aziot", None, "2020-09-01", {ALL} | MASTERS),
    ("GET", "/identities/modules/loc?type=local", None, "2020-09-01", {LOCALS} | MASTERS),
    ("GET", "/identities/modules/all?type=local", None, "2020-09-01", {ALL} | MASTERS),
    ("PUT", "/identities/modules/mod?type=aziot", {}, "2020-09-01", MASTERS),
    ("DELETE", "/identities/modules/mod?type=aziot", None, "2020-09-01", MASTERS),
    ("GET", "/identities/provisioning", None, "2021-12-01", EVERYBODY - {UNKNOWN}),
    ("GET", "/trust-bundle", None, "2020-09-01", EVERYBODY),
    ("GET", "/status", None, OWN, MASTERS),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A provisioned device whose sockets all users reach."""
    dps = FakeDps(tmp_path_factory.mktemp("dps"))
    device = OpenDevice()
    configure_keys(device, dps)
    configure_certs(device, dps, ISSUANCES)
    by_dps(device, dps, PRINCIPALS)
    device.open(device.keyd, device.certd, device.identityd)
    settled(device)
    yield device, dps
    device.close()
    dps.stop()


@pytest.mark.parametrize("uid", sorted(EVERYBODY))
@pytest.mark.parametrize("method,path,body,version,allowed", MATRIX, ids=[f"{m}{p}{(b or {}).get('type', '')}" for m, p, b, *_ in MATRIX])
def test_each_caller_gets_what_the_table_says(world, method, path, body, version, allowed, uid):
    device, _ = world
    a = device.user(uid).ask(device.identityd, method, path, body, version)
    if uid in allowed:
        assert a.status in (200, 204, 404) and a.status != 401, a
    else:
        assert (a.status, a.message) == (401, "authorization error"), a


def test_a_principals_own_identity_is_what_its_types_say(world):
    device, dps = world

    def own(uid):
        return device.user(uid).ask(device.identityd, "GET", "/identities/identity")

    for uid in (DEVICE, ALL, DAEMON, ROOT):
        assert "moduleId" not in spec(own(uid)) and spec(own(uid))["deviceId"] == "pump-7"
    dps.modules.setdefault("mod", {"moduleId": "mod", "deviceId": "pump-7", "generationId": "7"})
    assert spec(own(MODULE))["moduleId"] == "mod"
    assert own(LOCALS).json["type"] == "local" and spec(own(LOCALS))["moduleId"] == "loc"


def test_a_handle_is_for_its_caller_alone(world):
    device, dps = world
    answer = device.user(DEVICE).ask(device.identityd, "POST", "/identities/device", {"type": "aziot"})
    handle = spec(answer)["auth"]["keyHandle"]

    def use(uid):
        return device.user(uid).ask(device.keyd, "POST", "/sign", {
            "keyHandle": handle, "algorithm": "HMAC-SHA256", "parameters": {"message": "eA=="}}).status

    assert use(DEVICE) == 200 and use(MODULE) == 403 and use(UNKNOWN) == 403
    assert sign(device, handle)


def test_root_that_is_listed_is_what_its_entry_says(world):
    device, dps = world
    assert os.getuid() == 0
    by_dps(device, dps, principal("mod", 0, ["module"]) + principal("boss", DAEMON))
    device.identityd.reload()
    try:
        assert device.user(0).ask(device.identityd, "POST", "/identities/device", {"type": "aziot"}).status == 401
        assert device.user(DAEMON).ask(device.identityd, "POST", "/identities/device", {"type": "aziot"}).status == 200
    finally:
        by_dps(device, dps, PRINCIPALS)
        device.identityd.reload()


def test_one_user_who_holds_all_places_keeps_nobody_else_waiting(world):
    device, _ = world
    greedy = device.user(DEVICE)
    assert greedy.hold(device.identityd, 10) == 10
    try:
        assert device.user(ALL).ask(device.identityd, "POST", "/identities/device", {"type": "aziot"}).status == 200
        a = greedy.ask(device.identityd, "POST", "/identities/device", {"type": "aziot"})
        assert a.status == 429 and a.headers["Retry-After"]
    finally:
        greedy.drop()
