# SPDX-License-Identifier: Apache-2.0
"""The Identity Service killed at every system call that changes a file, and what its next start makes of what is there."""
import json
import shutil

import pytest

from device import OWN
from estuary import PATIENCE, wait_for
from sites import CALLS, FULL, kill_start_at, needs_strace, read_trace, tell, visit, watch
from test_identityd import (RENEW, ask_device, by_dps, configure_certs, configure_keys, dps, home, principal, settled,  # noqa: F401
                            spec, start)
from test_identityd_outages import leftovers, reprovision, short_lived

BOTH = principal() + principal("m1", 60001, ["module"])


def halves(device):
    return list(home(device).rglob("*.tmp"))


def read_journal(device, name):
    """One of identityd's own files, {} when it is not there."""
    path = home(device, "estuary", f"{name}.json")
    return json.loads(path.read_text()) if path.exists() else {}


def watch_life(device):
    """The sites of a start until the device is known and its modules are in line; nobody asks meanwhile."""
    trace = device.prefix / "identityd.trace"
    device.identityd.wrap = ["strace", "-D", "-y", "-o", str(trace), "-e", "trace=" + ",".join(CALLS)]
    device.identityd.start()
    device.identityd.wrap = []
    wait_for("the modules", lambda: read_journal(device, "modules"))
    device.identityd.stop()
    return [s for s in read_trace(trace, device.prefix / "var") if s]


def test_a_first_start_killed_at_any_site_is_started_again(device, dps):  # noqa: F811
    needs_strace()
    configure_keys(device, dps)
    configure_certs(device, dps)
    by_dps(device, dps, principals=BOTH)
    device.start()
    sites = watch_life(device)
    for site in sites * (3 if FULL else 1):
        shutil.rmtree(home(device))
        dps.modules.clear()
        kill_start_at(device.identityd, site)
        device.identityd.start()
        settled(device)
        assert not halves(device), site
        assert spec(ask_device(device))["deviceId"] == "pump-7" and set(dps.modules) == {"m1"}
        device.identityd.stop()
    tell("identityd first start", sites)


class Move:
    """The provisioning service moves the device to and fro; its modules are another device's then."""

    def __init__(self, device, server):
        self.device, self.server = device, server
        self.before = server.device

    def begin(self):
        self.before = self.server.device
        self.server.device = "pump-8" if self.before == "pump-7" else "pump-7"
        self.server.modules.clear()

    def act(self):
        return reprovision(self.device).status == 204

    def is_done(self):
        return read_journal(self.device, "modules").get("device") == self.server.device

    def check(self, acked):
        """Whole files, an identity at every instant, and in the end the new one."""
        now = spec(ask_device(self.device))["deviceId"]
        assert now == self.server.device or (not acked and now == self.before)
        assert self.act() and spec(ask_device(self.device))["deviceId"] == self.server.device
        settled(self.device)
        assert set(self.server.modules) == {"m1"}
        assert [len(list(d.iterdir())) for d in home(self.device, "modules").iterdir()] == [1], "of the other device nothing is left"
        assert not halves(self.device)


def test_a_move_killed_at_any_site_leaves_the_old_identity_or_the_new(device, dps):  # noqa: F811
    needs_strace()
    identityd = start(device, dps, principals=BOTH)
    settled(device)
    m = Move(device, dps)
    m.begin()
    sites = watch(identityd, lambda: m.act() and wait_for("the modules", m.is_done))
    m.check(True)

    def after(acked):
        identityd.start()
        m.check(acked)

    visit(identityd, sites, m.begin, m.act, after, m.is_done)
    tell("identityd move", sites)


def test_a_module_made_or_deleted_under_a_kill_is_what_the_hub_says(device, dps):  # noqa: F811
    needs_strace()
    identityd = start(device, dps)
    settled(device)

    def make():
        return identityd.request("POST", "/identities/modules", {"type": "aziot", "moduleId": "m1"}).status == 200

    def delete():
        return identityd.request("DELETE", "/identities/modules/m1?type=aziot").status == 204

    def both():
        return make() and delete()

    def after(acked):
        identityd.start()
        got = identityd.request("GET", "/identities/modules/m1?type=aziot")
        assert got.status == (200 if "m1" in dps.modules else 404) and (not acked or got.status == 404), got
        assert not halves(device)
        dps.modules.clear()

    sites = watch(identityd, both)
    visit(identityd, sites, lambda: None, both, after)
    tell("identityd modules", sites)


class Renewal:
    """The identity certificate comes to its threshold again and again."""

    def __init__(self, device, server):
        self.device, self.server, self.old = device, server, None

    def begin(self):
        """A new pair that is due; identityd learns of it when it reads its configuration."""
        self.old = short_lived(self.device, self.server, life=6000).serial_number

    def act(self):
        self.device.identityd.reload()
        return True

    def is_done(self):
        c = self.device.cert("device-id")
        return c is not None and c.serial_number != self.old and not leftovers(self.device)

    def check_instant(self):
        """What is served belongs together; that may take keyd's switch and certd's certificate to be ended first."""
        spec(ask_device(self.device))
        assert self.device.matches("device-id")

    def check(self):
        wait_for("the renewal to end", self.is_done, 4 * PATIENCE)
        self.check_instant()
        settled(self.device)
        assert not halves(self.device)


@pytest.mark.parametrize("name", ["keyd", "certd"])
def test_a_renewal_under_which_another_service_is_killed_at_any_site_ends(device, dps, name):  # noqa: F811
    """What keyd and certd hold is one pair, though no transaction spans them: whichever of them dies."""
    needs_strace()
    dps.key = None
    start(device, dps, renew=RENEW)
    settled(device)
    service = getattr(device, name)
    r = Renewal(device, dps)
    r.begin()
    sites = watch(service, lambda: r.act() and wait_for("the renewal", r.is_done, 4 * PATIENCE))
    r.check()

    def after(_):
        service.start()
        device.identityd.reload()  # it would try again by itself, half a minute later
        r.check()

    visit(service, sites, r.begin, r.act, after, r.is_done)
    tell(f"{name} under a renewal of identityd's", sites)


def test_a_renewal_killed_at_any_site_goes_on_and_ends(device, dps):  # noqa: F811
    needs_strace()
    dps.key = None
    identityd = start(device, dps, renew=RENEW)
    settled(device)
    r = Renewal(device, dps)
    r.begin()
    sites = watch(identityd, lambda: r.act() and wait_for("the renewal", r.is_done, 4 * PATIENCE))
    r.check()

    def after(_):
        identityd.start()
        r.check_instant()
        r.check()

    visit(identityd, sites, r.begin, r.act, after, r.is_done)
    tell("identityd renewal", sites)
    assert device.identityd.request("GET", "/status", version=OWN).json["certificate"]["state"] == "idle"
