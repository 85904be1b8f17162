# SPDX-License-Identifier: Apache-2.0
"""What the server wraps for a TPM, opened by a TPM: a software one, asked as a device's services ask theirs."""
import hashlib
import hmac
import os
import pathlib
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile

import pytest

from estuary import BUILD, PATIENCE, wait_for

WRAP = BUILD / "tests/unit/server/provision/wrap-tool"
EK, SRK = "0x81010001", "0x81000001"
PARENT = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt"
PARTS = ("credential", "ek_secret", "private", "srk_seed", "public", "rest")


class Refused(Exception):
    """A tool said no."""


class Tpm:
    """A software TPM with an endorsement key and a storage root key at their usual handles."""

    def __init__(self, ek="rsa", srk="rsa2048:aes128cfb", attributes=PARENT + "|noda"):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tpm-"))  # short: a socket's path has an end
        state, self.socket = self.dir / "state", self.dir / "s"
        state.mkdir()
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=unixio,path={self.socket}",
                 "--ctrl", f"type=unixio,path={self.socket}.ctrl", "--flags", "not-need-init,startup-clear"],
                stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for("swtpm's sockets", self._listens)
            self("createek", "-c", EK, "-G", ek, "-u", "ek.pub", "-f", "tss")
            self("createprimary", "-C", "o", "-G", srk, "-a", attributes, "-c", "srk.ctx")
            self("evictcontrol", "-C", "o", "-c", "srk.ctx", SRK)
            self("flushcontext", "-t")
            self("readpublic", "-c", SRK, "-f", "tss", "-o", "srk.pub")
        except BaseException:
            self.stop()
            raise

    def _listens(self):
        assert self.process.poll() is None, (self.dir / "log").read_text()
        return self.socket.exists() and pathlib.Path(f"{self.socket}.ctrl").exists()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        shutil.rmtree(self.dir)

    def __call__(self, tool, *args):
        p = subprocess.run([f"tpm2_{tool}", *args], cwd=self.dir, capture_output=True, timeout=PATIENCE,
                           env={**os.environ, "TPM2TOOLS_TCTI": f"swtpm:path={self.socket}", "TSS2_LOG": "all+none"})
        if p.returncode != 0:
            raise Refused(f"tpm2_{tool}: {p.stderr.decode(errors='replace')}")
        return p.stdout

    def put(self, name, content):
        (self.dir / name).write_bytes(content)
        return name

    def get(self, name):
        return (self.dir / name).read_bytes()

    def activate(self, parts):
        """The inner wrapper's key, by the one policy of an endorsement key."""
        # The tools' own file format: a magic number and a version before the two structures.
        self.put("credential", struct.pack(">II", 0xBADCC0DE, 1) + parts["credential"] + parts["ek_secret"])
        self("startauthsession", "--policy-session", "-S", "session")
        try:
            self("policysecret", "-S", "session", "-c", "e")
            self("activatecredential", "-c", SRK, "-C", EK, "-i", "credential", "-o", "inner", "-P", "session:session")
        finally:
            self("flushcontext", "session")
        return self.get("inner")

    def load(self, parts, inner):
        """Import the key below the storage root key, and load it."""
        self.put("inner", inner)
        for name in ("private", "srk_seed", "public"):
            self.put(name, parts[name])
        self("import", "-C", SRK, "-k", "inner", "-s", "srk_seed", "-i", "private", "-u", "public", "-r", "imported")
        self("load", "-C", SRK, "-u", "public", "-r", "imported", "-c", "key.ctx")
        self("flushcontext", "-t")

    def sign(self, data):
        self.put("data", data)
        self("hmac", "-c", "key.ctx", "-o", "mac", "data")
        self("flushcontext", "-t")
        return self.get("mac")


def run_wrap(ek, srk, secret):
    assert WRAP.exists(), f"{WRAP} is not built"
    with tempfile.TemporaryDirectory() as d:
        files = []
        for name, content in (("ek", ek), ("srk", srk)):
            files.append(os.path.join(d, name))
            pathlib.Path(files[-1]).write_bytes(content)
        return subprocess.run([WRAP, *files, secret.hex()], capture_output=True, timeout=PATIENCE)


def wrap(ek, srk, secret):
    p = run_wrap(ek, srk, secret)
    assert p.returncode == 0, p.stderr
    return p.stdout


def split(blob):
    """Every part is two octets of length, and as many more."""
    parts, at = {}, 0
    for name in PARTS:
        (n,) = struct.unpack_from(">H", blob, at)
        parts[name] = blob[at:at + 2 + n]
        assert len(parts[name]) == 2 + n, name
        at += 2 + n
    assert at == len(blob)
    return parts


@pytest.fixture(scope="module")
def tpm():
    t = Tpm()
    yield t
    t.stop()


@pytest.fixture
def other_tpm():
    """A function that makes TPMs of other kinds."""
    made = []

    def make(**kw):
        made.append(Tpm(**kw))
        return made[-1]

    yield make
    for t in made:
        t.stop()


def assert_tpm_signs_with(t, secret, parts):
    t.load(parts, t.activate(parts))
    for data in (b"", b"scope/registrations/pump-7\n1767225600", bytes(range(256)) * 3):
        assert t.sign(data) == hmac.new(secret, data, hashlib.sha256).digest()


@pytest.mark.parametrize("n", [16, 32, 64])
def test_a_tpm_opens_what_was_wrapped_for_it_and_signs_with_the_secret(tpm, n):
    secret = secrets.token_bytes(n)
    assert_tpm_signs_with(tpm, secret, split(wrap(tpm.get("ek.pub"), tpm.get("srk.pub"), secret)))


@pytest.mark.parametrize("ek, srk", [("ecc", "ecc256:aes128cfb"), ("rsa", "ecc256:aes128cfb"), ("ecc", "rsa2048:aes128cfb")])
def test_a_tpm_with_keys_on_p256_opens_it_too(other_tpm, ek, srk):
    t, secret = other_tpm(ek=ek, srk=srk, attributes=PARENT), secrets.token_bytes(32)
    assert_tpm_signs_with(t, secret, split(wrap(t.get("ek.pub"), t.get("srk.pub"), secret)))


def test_the_key_is_one_that_signs_and_does_nothing_else(tpm):
    parts = split(wrap(tpm.get("ek.pub"), tpm.get("srk.pub"), bytes(32)))
    tpm.load(parts, tpm.activate(parts))
    said = tpm("readpublic", "-c", "key.ctx").decode()
    tpm("flushcontext", "-t")
    assert "value: keyedhash" in said and "value: hmac" in said and "value: userwithauth|noda|sign\n" in said
    assert parts["rest"] == b"\0\0"


def test_another_tpm_cannot_open_it(tpm, other_tpm):
    other = other_tpm()
    for_this = split(wrap(tpm.get("ek.pub"), tpm.get("srk.pub"), bytes(32)))
    with pytest.raises(Refused, match="activatecredential"):
        other.activate(for_this)
    # Nor one whose EK it is, when the storage root key is not its own.
    with pytest.raises(Refused, match="activatecredential"):
        tpm.activate(split(wrap(tpm.get("ek.pub"), other.get("srk.pub"), bytes(32))))
    # And who activates but holds another storage root key cannot import.
    inner = tpm.activate(for_this)
    with pytest.raises(Refused, match="import"):
        other.load(for_this, inner)


def test_the_tpm_refuses_each_part_of_one_answer_in_another(tpm):
    keys = tpm.get("ek.pub"), tpm.get("srk.pub")
    one, two = split(wrap(*keys, bytes(32))), split(wrap(*keys, bytes(32)))
    for name in PARTS[:-1]:
        assert one[name] != two[name]
        mixed = {**one, name: two[name]}
        with pytest.raises(Refused, match="activatecredential|import"):
            tpm.load(mixed, tpm.activate(mixed))


def test_the_tpm_notices_one_flipped_bit_anywhere_in_the_wrapped_key(tpm):
    parts = split(wrap(tpm.get("ek.pub"), tpm.get("srk.pub"), bytes(32)))
    inner = tpm.activate(parts)
    for name, at in [("private", 5), ("private", 40), ("private", len(parts["private"]) - 1), ("public", 9), ("public", 49)]:
        damaged = bytearray(parts[name])
        damaged[at] ^= 4
        with pytest.raises(Refused, match="import"):
            tpm.load({**parts, name: bytes(damaged)}, inner)
    with pytest.raises(Refused, match="import"):
        tpm.load(parts, bytes(len(inner)))


@pytest.mark.parametrize("role, attributes, why", [
    ("srk", PARENT.replace("fixedtpm|fixedparent|", ""), "attributes"),
    ("srk", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt", "attributes"),
    ("srk", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign", "attributes"),
    ("ek", PARENT + "|noda", "attributes"),
])
def test_a_key_of_a_tpm_that_promises_less_is_refused(tpm, role, attributes, why):
    algorithm = "rsa2048:aes128cfb" if "restricted" in attributes else "rsa2048"
    tpm("createprimary", "-C", "o", "-G", algorithm, "-a", attributes, "-c", "other.ctx")
    tpm("readpublic", "-c", "other.ctx", "-f", "tss", "-o", "other.pub")
    tpm("flushcontext", "-t")
    keys = {"ek": tpm.get("ek.pub"), "srk": tpm.get("srk.pub"), role: tpm.get("other.pub")}
    p = run_wrap(keys["ek"], keys["srk"], bytes(32))
    assert p.returncode == 1 and why in p.stderr.decode(), p.stderr


def test_the_two_keys_are_not_taken_for_one_another(tpm):
    ek, srk = tpm.get("ek.pub"), tpm.get("srk.pub")
    for pair in ((srk, srk), (ek, ek)):
        p = run_wrap(*pair, bytes(32))
        assert p.returncode == 1 and b"attributes" in p.stderr
