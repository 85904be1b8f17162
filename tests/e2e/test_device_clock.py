# SPDX-License-Identifier: Apache-2.0
"""F15, F16 of the device: clocks that are wrong for a while, and servers that are away for a year; D5 is that renewals go on."""
import socket
import threading
import time

import pytest

import estuary
from clock import DAY, HOUR, YEAR, Clock
from device import csr_pem
from estuary import PATIENCE, Server, fresh_name, wait_for
from test_device import IDENTITY, ask, set_up

MINUTE = 60
RENEWED_S = max(60, PATIENCE)  # the engine looks each minute, and at once when the clock is set


@pytest.fixture
def clock(device, tmp_path):
    """certd and its workers live by it; keyd and the server have the right time."""
    c = Clock(tmp_path)
    device.certd.env = c.env
    return c


def label_of(server, life="2h"):
    """The EST URL of a label whose certificates live so long."""
    name, have = fresh_name("life"), server.op("profile.show", name="device")
    server.op("profile.create", name=name, lifetime=life, backdate="0s", ku=have["ku"], eku=have["eku"], san_dns="device")
    server.label(name, ca="issuing", profile=name, accept=["own"], concurrent=True)
    return server.est_url.rstrip("/") + "/" + name


def credential(device):
    return device.credential(IDENTITY)


def generation(device, at_least, patience=PATIENCE):
    def look():
        c = credential(device)
        return c if c["state"] == "idle" and c["proved"] and c["generation"] >= at_least else None

    return wait_for(f"generation {at_least}", look, patience)


def check_served(device):
    """D1, D3: whatever the time is, the pair is there."""
    assert device.certd.request("GET", f"/certificates/{IDENTITY}").json["pem"] == device.cert_file(IDENTITY).read_text()
    assert device.matches(IDENTITY)


def live(device, server):
    """A device with an identity of two hours, due for renewal after 96 minutes."""
    pair = set_up(device, server, url=label_of(server))
    device.start()
    ask(device, pair.cn)
    generation(device, 1)
    return pair


@pytest.mark.parametrize("wrong", [-50 * YEAR, -2 * DAY, -HOUR, HOUR, 10 * YEAR], ids=["-50y", "-2d", "-1h", "+1h", "+10y"])
def test_a_clock_that_was_wrong_while_it_ran_delays_no_renewal_when_it_is_right(device, server, clock, wrong):
    pair = live(device, server)
    first = device.cert(IDENTITY).serial_number
    clock.set(wrong)
    assert credential(device)["clock_trusted"] == (wrong > -DAY)
    if wrong > 2 * HOUR:
        wait_for("a try, which must fail: the server's certificate has expired as well", lambda: credential(device)["tries"] > 0)
    elif wrong < 0:
        assert credential(device)["usable"], "a certificate that begins in the future may be a clock that is late"
    check_served(device)
    clock.set(100 * MINUTE)
    generation(device, 2, RENEWED_S)
    check_served(device)
    assert device.cert(IDENTITY).serial_number != first
    ask(device, pair.cn)


def test_a_clock_that_jumps_about_never_costs_the_pair(device, server, clock):
    pair = live(device, server)
    for shift in (-50 * YEAR, 10 * YEAR, 0, 3 * HOUR, -DAY, 400 * DAY, -30 * YEAR, -MINUTE):
        clock.set(shift)
        assert device.agent("renew", IDENTITY, check=False).returncode in (0, 1)
        check_served(device)
    clock.set(0)
    wait_for("a usable identity", lambda: credential(device)["usable"] and credential(device)["state"] == "idle", RENEWED_S)
    check_served(device)
    ask(device, pair.cn)


def test_a_first_start_in_1970_enrols_once_the_clock_is_right(device, server, clock):
    clock.set(-int(time.time()))
    pair = set_up(device, server)
    device.start()
    answer = device.request("test-est-cert", csr_pem(estuary.csr(estuary.new_key(), pair.cn)))
    assert answer.status == 503, answer
    assert not credential(device)["clock_trusted"] and "The clock says 1970-01-01T" in device.certd.log
    clock.set(0)
    ask(device, pair.cn)
    assert credential(device)["clock_trusted"] and device.matches(IDENTITY)


def test_a_start_in_1970_serves_what_there_is_and_renews_once_the_clock_is_right(device, server, clock):
    live(device, server)
    device.certd.stop()
    clock.set(-int(time.time()))
    device.certd.start()
    wait_for("a usable identity", lambda: credential(device)["usable"])
    check_served(device)
    clock.set(100 * MINUTE)
    generation(device, 2, RENEWED_S)
    check_served(device)


# --- a year without a server ---

class Nobody:
    """On a server's port: takes connections, says nothing, and counts."""

    def __init__(self, port):
        self.tries, self.sock = 0, socket.create_server(("", port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                self.sock.accept()[0].close()
            except OSError:
                return
            self.tries += 1

    def end(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def test_after_400_days_without_a_server_an_identity_comes_back_by_the_bootstrap(device, clock, tmp_path):
    """Server and device have one clock here; it is set on by five days at a time."""
    server = Server(tmp_path / "server", env=clock.env)
    try:
        pair = set_up(device, server)
        device.start()
        ask(device, pair.cn)
        generation(device, 1)
        due = credential(device)["next_renewal"]
        port, steps = server.device_port, 80
        server.stop()
        nobody = Nobody(port)
        for _ in range(steps):
            before = credential(device)["tries"]
            clock.step(5 * DAY)
            if time.time() + clock.shift > due:
                wait_for("another try", lambda: credential(device)["tries"] > before)
        assert credential(device)["tries"] > 50 and not credential(device)["usable"]
        assert nobody.tries <= 3 * steps
        assert device.matches(IDENTITY), "what has expired is kept until there is better"
        nobody.end()
        print(f"{clock.shift // DAY} days: {nobody.tries} tries")
        server.start()
        config = device.prefix / "etc/aziot/certd/config.d/test-est-cert.toml"
        device.configure("certd", config.read_text().replace(f":{port}/", f":{server.device_port}/"), config.name)
        device.certd.reload()
        for _ in range(5):  # a try may be under way that knows the old port alone: the longest pause is an hour
            before = credential(device)["tries"]
            clock.step(2 * HOUR)
            wait_for("a try", lambda: credential(device)["tries"] != before)
            if credential(device)["tries"] == 0:
                break
        generation(device, 2, RENEWED_S)
        check_served(device)
        ask(device, pair.cn)
    finally:
        server.stop()
