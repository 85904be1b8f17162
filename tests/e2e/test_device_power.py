# SPDX-License-Identifier: Apache-2.0
"""F03, F04 of the device: the power goes, and with it all that no fsync() has put on the disk; nothing acknowledged is lost."""
import fcntl
import http.client
import os
import random
import shutil
import signal
import struct
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives import serialization

import estuary
from estuary import wait_for
from sites import FULL, needs_strace, tell, visit, watch
from test_device_crash import HOME, OPERATIONS, UID, Rotation, create, is_secret, keep_secret, public

EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
CUTS = 100 if FULL else 25


class Disk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, place, image):
        self.place, self.image = place, image
        with open(image, "wb") as f:
            f.truncate(32 << 20)
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            pytest.skip("needs root and mkfs.ext4")
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        if self._mount().returncode != 0:
            pytest.skip("loop devices cannot be mounted here")

    def _mount(self):
        return subprocess.run(["mount", "-o", "loop", str(self.image), str(self.place)], capture_output=True)

    def cut(self):
        """From now on nothing reaches the disk, and what was not on it is lost."""
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def back(self):
        """The power is back: the journal is replayed."""
        self.remove()
        assert self._mount().returncode == 0

    def remove(self):
        subprocess.run(["umount", str(self.place)], check=True)


@pytest.fixture
def disk(device, tmp_path):
    """The homes of the device are on it; configuration and logs are not."""
    d = Disk(device.prefix / HOME, tmp_path / "disk")
    for name in ("keyd", "certd"):
        (device.prefix / HOME / name).mkdir(mode=0o700)
    os.sync()
    yield d
    device.stop()
    d.remove()


def power_cycle(device, disk):
    disk.cut()
    for service in (device.certd, device.keyd):
        service.stop(signal.SIGKILL)
    disk.back()


class Load:
    """Keys are made and imported, certificates stored, over and over, and what was acknowledged is written down."""

    def __init__(self, device):
        self.device, self.pairs, self.secrets, self.certs, self.n, self.over = device, {}, {}, {}, 0, False

    def acknowledged(self):
        return len(self.pairs) + len(self.secrets) + len(self.certs)

    def _make(self):
        pairs, secrets, certs, keyd, certd = self.pairs, self.secrets, self.certs, self.device.keyd, self.device.certd

        def pair(n):
            if create(keyd, f"k{n}"):
                pairs[f"k{n}"] = None

        def secret(n):  # always the same IDs: a value once acknowledged is there, or one that was asked for later
            value = os.urandom(32)
            secrets.setdefault(f"s{n % 3}", []).append([value, False])
            if keep_secret(keyd, f"s{n % 3}", value):
                secrets[f"s{n % 3}"][-1][1] = True

        def cert(n):
            pem = estuary.mint(None, f"c{n}", self.key, ca=True).public_bytes(serialization.Encoding.PEM).decode()
            if certd.request("PUT", f"/certificates/c{n}", {"pem": pem}).status == 201:
                certs[f"c{n}"] = pem

        return pair, secret, cert

    def start(self):
        self.over, self.key = False, estuary.new_key()
        self.threads = [threading.Thread(target=self._run, args=(f,)) for f in self._make()]
        for t in self.threads:
            t.start()
        return self

    def _run(self, make):
        while not self.over:
            self.n += 1
            try:
                make(self.n)
            except (OSError, EOFError, ValueError, http.client.HTTPException):
                return  # the power is gone

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()

    def lost(self):
        """What was acknowledged and is not there."""
        keyd, certd, gone = self.device.keyd, self.device.certd, []
        for k, known in self.pairs.items():
            self.pairs[k] = public(keyd, k)
            if self.pairs[k] is None or (known is not None and known != self.pairs[k]):
                gone.append(k)
        for s, values in self.secrets.items():
            last = max((i for i, (_, acked) in enumerate(values) if acked), default=None)
            if last is not None and not any(is_secret(keyd, s, v) for v, _ in values[last:]):
                gone.append(s)
        for c, pem in self.certs.items():
            got = certd.request("GET", f"/certificates/{c}")
            if got.status != 200 or got.json["pem"] != pem:
                gone.append(c)
        return gone


def start(device, env=None):
    device.configure("keyd", f'[[principal]]\nuid = {UID}\nkeys = ["*"]\n')
    device.configure("certd", f'[[principal]]\nuid = {UID}\ncerts = ["*"]\n')
    for service in (device.keyd, device.certd):
        service.env = env or {}
        service.start()


def test_power_cuts_at_random_lose_nothing_that_was_acknowledged(device, disk):
    start(device)
    load, dice = Load(device), random.Random(os.environ.get("ESTUARY_SEED"))
    for _ in range(CUTS):
        load.start()
        enough = load.acknowledged() + dice.randrange(1, 30)
        wait_for("work", lambda: load.acknowledged() >= enough)
        power_cycle(device, disk)
        load.stop()
        start(device)
        assert not load.lost()
    print(f"{CUTS} power cuts, {load.acknowledged()} acknowledged ({len(load.pairs)} keys made), 0 lost")


def test_the_rig_notices_when_nothing_is_put_on_the_disk(device, disk, tmp_path):
    """The same with an fsync() that does nothing: without this test the one before could be empty."""
    if shutil.which("gcc") is None or os.environ.get("ESTUARY_SANITIZED"):
        pytest.skip("needs gcc, and a build into which something can be preloaded")
    source, lib = tmp_path / "nosync.c", tmp_path / "nosync.so"
    source.write_text("int fsync(int fd) { return fd < 0; }\nint fdatasync(int fd) { return fd < 0; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(lib), str(source)], check=True)
    start(device, {"LD_PRELOAD": str(lib)})
    load = Load(device).start()
    wait_for("work", lambda: load.acknowledged() >= 20)
    power_cycle(device, disk)
    load.stop()
    start(device)
    lost = load.lost()
    assert lost
    print(f"without fsync: {len(lost)} of {load.acknowledged()} lost")


def test_a_certificate_whose_deletion_was_acknowledged_stays_deleted(device, disk):
    start(device)
    pem = estuary.mint(None, "c", estuary.new_key(), ca=True).public_bytes(serialization.Encoding.PEM).decode()
    assert device.certd.request("PUT", "/certificates/c", {"pem": pem}).status == 201
    assert device.certd.request("DELETE", "/certificates/c").status == 204
    power_cycle(device, disk)
    start(device)
    assert device.certd.request("GET", "/certificates/c").status == 400


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__.lower())
def test_a_power_cut_at_any_site_of_keyd_leaves_the_old_or_the_new(device, disk, operation):
    """F04: killed at the site, and all that is not on the disk at that moment is lost."""
    needs_strace()
    start(device)
    op = operation(device.keyd)
    op.begin()
    op.check(op.act())
    op.begin()
    sites = watch(device.keyd, op.act)
    op.check(True)

    def after(acked):
        power_cycle(device, disk)
        start(device)
        op.check(acked)

    visit(device.keyd, sites, op.begin, op.act, after)
    tell(f"power cut in keyd {operation.__name__.lower()}", sites)


@pytest.mark.parametrize("name", ["certd", "keyd"])
def test_a_power_cut_at_any_site_of_a_rotation_leaves_a_pair_and_the_rotation_ends(device, disk, server, name):
    needs_strace()
    r = Rotation(device, server)
    service = getattr(device, name)
    # What a temporary file was before it got its name matters to nobody.
    sites = [s for s in watch(service, r.rotate) if FULL or not s.what.endswith(".TMP")]
    r.check_settled()

    def after(_):
        power_cycle(device, disk)
        r.check_disk()
        device.start()
        r.check_served()
        r.check_settled(nudge=True)

    visit(service, sites, lambda: None, r.renew, after, lambda: r.is_settled(r.number + 1))
    tell(f"power cut in {name} in a rotation", sites)
