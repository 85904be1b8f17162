# SPDX-License-Identifier: Apache-2.0
"""F01, F02 of the device: kill -9 at every system call that changes a file, then a start on what is there."""
import base64
import hashlib
import hmac
import json
import os
import shutil

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import estuary
from device import OWN, stem
from estuary import wait_for
from sites import FULL, kill_start_at, needs_strace, tell, visit, watch, watch_start
from test_device import IDENTITY, ask, set_up

UID = os.getuid()
HOME = "var/lib/aziot"


@pytest.fixture
def keyd(device):
    """A running keyd that is followed, and asked by whoever runs the test."""
    needs_strace()
    device.configure("keyd", f'[[principal]]\nuid = {UID}\nkeys = ["*"]\n')
    return device.keyd.start()


# --- asking keyd ---

def create(keyd, key):
    return keyd.request("POST", "/keypair", {"keyId": key, "preferredAlgorithms": "ec-p256:*"}).status == 200


def keep_secret(keyd, key, secret, usage="sign"):
    return keyd.request("POST", "/key", {"keyId": key, "usage": usage, "keyBytes": base64.b64encode(secret).decode()}).status == 200


def switch(keyd, key, from_key, public):
    return keyd.request("POST", f"/generation/{key}", {"op": "switch", "from": from_key, "spki": base64.b64encode(public).decode()},
                        version=OWN).status == 200


def generation(keyd, key, op):
    return keyd.request("POST", f"/generation/{key}", {"op": op}, version=OWN).status == 200


def move(keyd, key, from_key):
    return keyd.request("POST", f"/keypair/{key}", {"from": from_key}).status == 204


def public(keyd, key):
    """SubjectPublicKeyInfo of a pair, as the API tells it; None: there is none."""
    loaded = keyd.request("GET", f"/keypair/{key}")
    if loaded.status != 200:
        assert "there is none" in loaded.message or loaded.status == 404, loaded
        return None
    told = keyd.request("POST", "/parameters/spki", {"keyHandle": loaded.json["keyHandle"]}, version=OWN)
    assert told.status == 200, told
    return base64.b64decode(told.json["value"])


def is_secret(keyd, key, secret):
    """Does the key sign as that secret would?  None: there is none."""
    loaded = keyd.request("GET", f"/key/{key}")
    if loaded.status != 200:
        return None
    signed = keyd.request("POST", "/sign", {"keyHandle": loaded.json["keyHandle"], "algorithm": "HMAC-SHA256",
                                            "parameters": {"message": base64.b64encode(b"x").decode()}})
    assert signed.status == 200, signed
    return base64.b64decode(signed.json["signature"]) == hmac.new(secret, b"x", hashlib.sha256).digest()


def leftovers(device):
    """Files that nobody owns any more: half-written ones, and keys under temporary names."""
    homes = device.prefix / HOME
    return [p for p in homes.glob("*/*/*") if p.suffix in (".tmp", ".corrupt") or p.parent.name == "quarantine"]


# --- keyd: one operation each.  begin() prepares a run, act() is killed in it (true: acknowledged), check() judges what is left. ---

class Create:
    def __init__(self, keyd):
        self.keyd, self.n, self.known = keyd, 0, {}

    def begin(self):
        self.n += 1

    def act(self):
        return create(self.keyd, f"c{self.n}")

    def check(self, acked):
        assert public(self.keyd, f"c{self.n}") is not None or not acked
        assert self.act()
        self.known[self.n] = public(self.keyd, f"c{self.n}")
        assert all(public(self.keyd, f"c{i}") == p for i, p in self.known.items())


class CreateSecret(Create):
    def act(self):
        return self.keyd.request("POST", "/key", {"keyId": f"cs{self.n}", "usage": "sign"}).status == 200

    def check(self, acked):
        assert self.keyd.request("GET", f"/key/cs{self.n}").status == 200 or not acked
        assert self.act()


class Operation:
    def __init__(self, keyd):
        self.keyd = keyd

    def public(self, key):
        return public(self.keyd, key)


class Import(Operation):
    """Over a secret that was there: the old or the new, whole."""

    def begin(self):
        self.old, self.new = os.urandom(32), os.urandom(32)
        assert keep_secret(self.keyd, "i", self.old)

    def act(self):
        return keep_secret(self.keyd, "i", self.new)

    def check(self, acked):
        assert is_secret(self.keyd, "i", self.new) or (not acked and is_secret(self.keyd, "i", self.old))
        assert self.act() and is_secret(self.keyd, "i", self.new)


class Move(Operation):
    """Of a key to another's ID, as a renewal of the original's does it."""
    ids = ("m-temp", "m")

    def begin(self):
        assert create(self.keyd, self.ids[0]) and create(self.keyd, self.ids[1])
        self.new, self.old = self.public(self.ids[0]), self.public(self.ids[1])

    def act(self):
        return move(self.keyd, self.ids[1], self.ids[0])

    def check(self, acked):
        source, target = self.public(self.ids[0]), self.public(self.ids[1])
        assert (source, target) == (None, self.new) or (not acked and (source, target) == (self.new, self.old))
        assert source is None or self.act()
        assert self.public(self.ids[1]) == self.new


class Switch(Move):
    """The one commit of a rotation: D4, the key before stays until the new one is proved."""
    ids = ("s-temp", "s")

    def act(self):
        return switch(self.keyd, self.ids[1], self.ids[0], self.new)

    def check(self, acked):
        super().check(acked)
        assert self.act(), "a second try ends the work"
        assert (self.public("s-temp"), self.public("s")) == (None, self.new)
        assert generation(self.keyd, "s", "rollback") and self.public("s") == self.old


class Prove(Switch):
    ids = ("p-temp", "p")

    def begin(self):
        super().begin()
        assert Switch.act(self)

    def act(self):
        return generation(self.keyd, "p", "prove")

    def check(self, acked):
        assert self.public("p") == self.new
        assert self.act() and not generation(self.keyd, "p", "rollback") and self.public("p") == self.new


class RollBack(Prove):
    ids = ("r-temp", "r")

    def act(self):
        return generation(self.keyd, "r", "rollback")

    def check(self, acked):
        now = self.public("r")
        assert now == self.old or (not acked and now == self.new and self.act())
        assert self.public("r") == self.old


class Delete(Operation):
    def begin(self):
        assert create(self.keyd, "d")
        self.key = self.public("d")

    def act(self):
        handle = self.keyd.request("GET", "/keypair/d").json["keyHandle"]
        return self.keyd.request("DELETE", "/keypair", {"keyHandle": handle}).status == 204

    def check(self, acked):
        now = self.public("d")
        assert now is None or (not acked and now == self.key and self.act())
        assert self.public("d") is None


OPERATIONS = [Create, CreateSecret, Import, Move, Switch, Prove, RollBack, Delete]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__.lower())
def test_keyd_killed_at_any_site_keeps_what_it_acknowledged(device, keyd, operation):
    op = operation(keyd)
    op.begin()
    op.check(op.act())
    op.begin()
    sites = watch(keyd, op.act)
    op.check(True)

    def after(acked):
        keyd.start()
        assert not leftovers(device)
        op.check(acked)

    visit(keyd, sites, op.begin, op.act, after)
    tell(f"keyd {operation.__name__.lower()}", sites)


@pytest.mark.parametrize("name", ["keyd", "certd"])
def test_a_first_start_killed_at_any_site_is_started_again(device, name):
    needs_strace()
    service = getattr(device, name)
    home = device.prefix / HOME / name
    sites = watch_start(service)
    for site in sites * (3 if FULL else 1):
        shutil.rmtree(home)
        kill_start_at(service, site)
        service.start()
        assert not leftovers(device), site
        if name == "keyd":
            assert create(service, "device-id") and public(service, "device-id")
        service.stop()
    tell(f"{name} first start", sites)


# --- certd ---

def test_certd_killed_in_an_import_serves_the_old_or_the_new(device):
    needs_strace()
    certd = device.certd.start()
    pems = [estuary.mint(None, f"c{i}", estuary.new_key(), ca=True).public_bytes(serialization.Encoding.PEM).decode() for i in range(2)]

    def put(i):
        return certd.request("PUT", "/certificates/imported", {"pem": pems[i]}).status == 201

    def served():
        return certd.request("GET", "/certificates/imported").json["pem"]

    def after(acked):
        certd.start()
        assert served() in (pems if not acked else pems[1:])
        assert not leftovers(device)
        assert put(1) and served() == pems[1]

    assert put(0)
    sites = watch(certd, lambda: put(1))
    visit(certd, sites, lambda: put(0), lambda: put(1), after)
    tell("certd import", sites)


def read_pair(device):
    """What certd and keyd say of the identity, without a switch between the two answers: (the former's answer, public key)."""
    while True:
        before = device.certd.request("GET", f"/certificates/{IDENTITY}")
        key = public(device.keyd, IDENTITY) if device.keyd.request("GET", f"/keypair/{IDENTITY}").status == 200 else None
        after = device.certd.request("GET", f"/certificates/{IDENTITY}")
        if (before.status, before.body) == (after.status, after.body):
            return after, key


class Rotation:
    """A device with an EST identity of long life, whose key and certificate are replaced again and again."""

    def __init__(self, device, server):
        self.device, self.pair = device, set_up(device, server)
        device.start()
        ask(device, self.pair.cn)
        self.number = 0
        self.settle(1)

    def renew(self):
        return self.device.certd.request("POST", f"/renew/{IDENTITY}", version=OWN).status == 202

    def state(self):
        """As it is on disk: to ask certd would make it read files."""
        return json.loads((self.device.prefix / HOME / "certd/renewal" / (stem(IDENTITY) + ".json")).read_text())

    def is_settled(self, at_least):
        s = self.state()
        return s["state"] == "idle" and s["proved"] and s["generation"] >= at_least

    def settle(self, at_least, nudge=False):
        """Wait; nudge: the Keys Service is back, but a try that failed is made again after half a minute only."""
        tried = 0

        def look():
            nonlocal tried
            if nudge and self.state()["tries"] > tried:
                tried = self.state()["tries"]
                self.renew()
            return self.is_settled(at_least)

        wait_for(f"generation {at_least} of {IDENTITY} to be settled", look, 3 * estuary.PATIENCE)
        self.number = self.state()["generation"]

    def rotate(self):
        assert self.renew()
        self.settle(self.number + 1)

    # What must hold.

    def check_disk(self):
        """D1, D4: nobody runs; a whole pair that is valid is there, and the key before unless its successor was proved."""
        certs, keys = self._certs(), self._keys()
        assert any(c in keys for c in certs), "no pair is left"
        assert self.proved in keys or self.state()["proved"], "the key that was proved last is gone"

    def check_served(self):
        """D3: what certd serves belongs to the key that keyd loads."""
        served, key = read_pair(self.device)
        assert served.status == 200, served
        assert _public(x509.load_pem_x509_certificate(served.json["pem"].encode())) == key

    def check_settled(self, nudge=False):
        """D5, D7: the rotation goes on by itself; of all that it needed nothing stays."""
        before = self.number
        self.settle(before, nudge)
        if self.number == before:
            self.rotate()  # it was killed before it had noted anything
        self.check_served()
        identity, home = stem(IDENTITY), self.device.prefix / HOME
        left = {"keyd/keys": {identity + ".key", stem("handle-validation-key") + ".key"}, "keyd/previous": set(), "keyd/quarantine": set(),
                "certd/certs": {identity + ".cer", stem("test-est-cert") + ".cer"}, "certd/renewal": {identity + ".json"}}
        wait_for("nothing else to be left", lambda: {d: _names(home / d) for d in left} == left)
        self.proved = public(self.device.keyd, IDENTITY)

    def _keys(self):
        home = self.device.prefix / HOME / "keyd"
        files = [home / d / (stem(i) + ".key") for d in ("keys", "previous") for i in (IDENTITY, IDENTITY + "-temp")]
        return [_public(serialization.load_pem_private_key(f.read_bytes(), None)) for f in files if f.exists()]

    def _certs(self):
        home, s = self.device.prefix / HOME / "certd", stem(IDENTITY)
        files = [home / "certs" / f"{s}.cer", home / "renewal" / f"{s}.new.cer", home / "renewal" / f"{s}.old.cer"]
        return [_public(x509.load_pem_x509_certificate(f.read_bytes())) for f in files if f.exists()]


def _names(directory):
    return {p.name for p in directory.iterdir()}


def _public(of):
    key = of.public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("name", ["certd", "keyd"])
def test_a_rotation_killed_at_any_site_ends_by_itself_with_a_pair_at_every_instant(device, server, name):
    needs_strace()
    r = Rotation(device, server)
    service = getattr(device, name)
    sites = watch(service, r.rotate)
    r.check_settled()

    def after(_):
        r.check_disk()
        service.start()
        if name == "certd":
            r.check_served()
        r.check_settled(nudge=name == "keyd" and not FULL)

    visit(service, sites, lambda: None, r.renew, after, lambda: r.is_settled(r.number + 1))
    tell(f"{name} rotation", sites)
