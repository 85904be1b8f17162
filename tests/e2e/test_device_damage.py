# SPDX-License-Identifier: Apache-2.0
"""F19, F21 of the device: files that are torn, flipped, swapped, gone or no files; and two services at one home."""
import base64
import os
import shutil
import signal

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

import estuary
from device import OWN, Device, csr_pem, stem
from estuary import wait_for
from sites import FULL
from test_device import IDENTITY, ask, set_up
from test_device_crash import HOME, UID, create, generation, is_secret, keep_secret, public, read_pair, switch


def torn(octets):
    """As power cuts, disks and hands leave a file: every length, every octet flipped, zeros, another's text."""
    yield from (octets[:n] for n in range(len(octets)))
    for n in range(len(octets)):
        yield octets[:n] + bytes([octets[n] ^ 0x04]) + octets[n + 1:]
    yield bytes(len(octets))
    yield octets * 2
    yield b"\0" + octets
    yield os.urandom(len(octets))


# --- keyd: it reads a key whenever it is asked for, so that it need not be started anew ---

@pytest.fixture
def keyd(device):
    device.configure("keyd", f'[[principal]]\nuid = {UID}\nkeys = ["*"]\n')
    return device.keyd.start()


class KeyFile:
    """The file of a pair, to be damaged and mended."""

    def __init__(self, keyd, key="k", algorithm="ec-p256:*"):
        self.keyd, self.key, self.path = keyd, key, keyd.device.key_file(key)
        assert keyd.request("POST", "/keypair", {"keyId": key, "preferredAlgorithms": algorithm}).status == 200
        self.public, self.whole = public(keyd, key), self.path.read_bytes()
        self.quarantine = keyd.device.prefix / HOME / "keyd/quarantine"

    def mend(self):
        if self.path.is_dir() and not self.path.is_symlink():
            self.path.rmdir()
        self.path.unlink(missing_ok=True)
        for f in self.quarantine.iterdir():
            f.unlink() if not f.is_dir() or f.is_symlink() else f.rmdir()
        self.path.write_bytes(self.whole)

    def signs(self):
        """Does what keyd signs with it verify with the public key that it had?"""
        loaded = self.keyd.request("GET", f"/keypair/{self.key}")
        digest = os.urandom(32)
        answer = self.keyd.request("POST", "/sign", {"keyHandle": loaded.json["keyHandle"], "algorithm": "ECDSA",
                                                     "parameters": {"digest": base64.b64encode(digest).decode()}})
        try:
            serialization.load_der_public_key(self.public).verify(base64.b64decode(answer.json["signature"]), digest,
                                                                  ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        except InvalidSignature:
            return False
        return True

    def check(self, what):
        """It is the key that it was, or there is a refusal with words; and it is never made anew in silence."""
        loaded = self.keyd.request("GET", f"/keypair/{self.key}")
        made = self.keyd.request("POST", "/keypair", {"keyId": self.key, "preferredAlgorithms": "ec-p256:*"})
        if loaded.status == 200:
            assert made.status == 200 and public(self.keyd, self.key) == self.public and self.signs(), what
            return True
        assert made.status != 200, f"{what!r}: made anew"
        assert loaded.message and made.message
        return False


def test_a_torn_or_flipped_key_is_the_key_it_was_or_refused_and_never_made_anew(keyd):
    f = KeyFile(keyd)
    refused = whole = 0
    for damage in torn(f.whole):
        f.path.write_bytes(damage)
        if f.check(damage):
            whole += 1
        else:
            refused += 1
            assert list(f.quarantine.iterdir()), "what was damaged is kept"
        f.mend()
    assert f.check("mended")
    print(f"key file: {refused} damages refused, {whole} harmless")


@pytest.mark.parametrize("damage", ["gone", "dangling", "elsewhere", "itself", "directory", "fifo", "swapped", "open to all"])
def test_a_key_that_is_no_file_any_more_is_not_followed(keyd, damage):
    f = KeyFile(keyd)
    other = KeyFile(keyd, "other")
    f.path.unlink()
    if damage == "dangling":
        f.path.symlink_to(f.path.parent / "nowhere")
    elif damage == "elsewhere":
        (keyd.device.prefix / "stolen.key").write_bytes(f.whole)
        f.path.symlink_to(keyd.device.prefix / "stolen.key")
    elif damage == "itself":
        f.path.symlink_to(f.path)
    elif damage == "directory":
        f.path.mkdir()
    elif damage == "fifo":
        os.mkfifo(f.path)
    elif damage == "swapped":
        f.path.write_bytes(other.whole)
        other.path.write_bytes(f.whole)
    elif damage == "open to all":
        f.path.write_bytes(f.whole)
        f.path.chmod(0o666)
    loaded = keyd.request("GET", "/keypair/k")
    if damage == "gone":
        assert loaded.status != 200 and create(keyd, "k") and public(keyd, "k") != f.public, "deleted by hand: made at the next need"
    elif damage == "swapped":
        assert public(keyd, "k") == other.public, "which key belongs to which ID its file says"
    elif damage == "open to all":
        assert public(keyd, "k") == f.public and f.path.stat().st_mode & 0o777 == 0o600
    else:
        assert loaded.status != 200 and not create(keyd, "k")
        keyd.stop(), keyd.start()
        assert not create(keyd, "k")
        assert (keyd.device.prefix / "stolen.key").exists() == (damage == "elsewhere")


def test_a_damaged_key_falls_back_to_the_one_before_until_that_is_given_up(keyd):
    """D6, with an alarm; a rotation that was not proved yet."""
    f = KeyFile(keyd)
    assert create(keyd, "k-temp")
    new = public(keyd, "k-temp")
    assert switch(keyd, "k", "k-temp", new)
    for damage in (b"", f.whole[:100], bytes(241)):
        f.path.write_bytes(damage)
        assert public(keyd, "k") == f.public
        assert "Its previous generation is used instead." in keyd.log
        assert not generation(keyd, "k", "prove"), "the only whole key is not given up"
    assert generation(keyd, "k", "rollback") and public(keyd, "k") == f.public
    assert len(list(f.quarantine.iterdir())) == 1


def test_a_damaged_record_makes_no_key_more_powerful(keyd):
    secret = os.urandom(32)
    assert keep_secret(keyd, "s", secret, "sign")
    path = keyd.device.prefix / HOME / "keyd/records" / (stem("s") + ".json")
    whole = path.read_bytes()
    for damage in torn(whole):
        path.write_bytes(damage)
        handle = keyd.request("GET", "/key/s")
        if handle.status == 200:
            sealed = keyd.request("POST", "/encrypt", {"keyHandle": handle.json["keyHandle"], "algorithm": "AEAD", "parameters": {
                "iv": base64.b64encode(bytes(16)).decode(), "aad": ""}, "plaintext": ""})
            assert sealed.status != 200, damage
        path.write_bytes(whole)
        for f in path.parent.glob("*.damaged"):
            f.unlink()
    assert is_secret(keyd, "s", secret)


def test_a_damaged_handle_key_costs_handles_and_no_keys(keyd):
    f = KeyFile(keyd)
    path = keyd.device.key_file("handle-validation-key")
    whole = path.read_bytes()
    for damage in (b"", whole[:16], bytes(32)):
        keyd.stop()
        path.write_bytes(damage)
        keyd.start()
        assert public(keyd, "k") == f.public
    keyd.stop()
    path.unlink()
    keyd.start()
    assert public(keyd, "k") == f.public


# --- certd ---

class Home:
    """A device with a settled identity and a second certificate, as it stands on disk; each case begins there."""

    def __init__(self, device, server):
        self.device, self.homes, self.copy = device, device.prefix / HOME, device.prefix / "copy"
        self.pair = set_up(device, server)
        device.start()
        ask(device, self.pair.cn)
        wait_for("the identity to be settled", lambda: (c := device.credential(IDENTITY))["proved"] and c["state"] == "idle")
        self.key, self.serial = public(device.keyd, IDENTITY), device.cert(IDENTITY).serial_number
        device.stop()
        shutil.copytree(self.homes, self.copy)
        self.cert_file, self.state_file = device.cert_file(IDENTITY), self.homes / "certd/renewal" / (stem(IDENTITY) + ".json")
        self.other_file = device.cert_file("test-est-cert")

    def restore(self):
        self.device.stop()
        shutil.rmtree(self.homes)
        shutil.copytree(self.copy, self.homes)

    def start(self):
        self.device.start()

    def served(self):
        """The certificate that is served, or None; D3: with its key, whenever both can be had."""
        answer, of_key = read_pair(self.device)
        if answer.status != 200:
            assert answer.message
            print(f"served: {answer.status} {answer.message}")  # for whoever looks at a failure
            return None
        try:
            cert = x509.load_pem_x509_certificate(answer.json["pem"].encode())
        except ValueError:
            return None  # what it is, whoever reads it sees
        of_cert = cert.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert of_key in (None, of_cert), "a mismatched pair is served"
        return cert

    def check_recovers(self):
        """By itself, or at the next need: a usable identity with which certificates are issued."""
        def usable():
            self.served()
            c = self.device.credential(IDENTITY)
            return c["usable"] and c["state"] == "idle"

        self.served()
        wait_for("a certificate", lambda: self.device.request("test-est-cert", a_request(self)).status == 201)
        wait_for("a usable identity", usable)
        assert self.served() is not None and self.device.matches(IDENTITY)


@pytest.fixture(scope="module")
def home(server, tmp_path_factory):
    h = Home(Device(tmp_path_factory.mktemp("damage") / "device"), server)
    yield h
    h.device.stop()


def a_request(home):
    return csr_pem(estuary.csr(estuary.new_key(), home.pair.cn))


def some(octets, n):
    """All damages, or a few of each kind."""
    every = list(torn(octets))
    return every if FULL else every[:: max(1, len(every) // n)] + every[-4:]


def test_a_damaged_certificate_is_never_served_with_a_key_that_is_not_its_own_and_is_replaced(home):
    """
    What is no certificate any more is replaced.  One that still reads as one, but for its signature, is the server's to
    refuse; the next test damages those that stand behind it in the file.
    """
    mark = b"-----END CERTIFICATE-----\n"
    leaf, chain = home.copy.joinpath(home.cert_file.relative_to(home.homes)).read_bytes().split(mark, 1)
    cases, replaced = some(leaf + mark, 24), 0
    for damage in cases:
        home.restore()
        home.cert_file.write_bytes(damage + chain)
        home.start()
        if home.served() is None:
            home.check_recovers()
            replaced += 1
        else:
            answer = home.device.request("test-est-cert", a_request(home))
            assert answer.status == 201 or answer.message
    print(f"certificate file: {len(cases)} damages, {replaced} replaced")


def test_a_damaged_chain_behind_a_certificate_costs_no_pair(home):
    mark = b"-----END CERTIFICATE-----\n"
    leaf, chain = home.copy.joinpath(home.cert_file.relative_to(home.homes)).read_bytes().split(mark, 1)
    cases = some(chain, 12)
    for damage in cases:
        home.restore()
        home.cert_file.write_bytes(leaf + mark + damage)
        home.start()
        served = home.served()
        assert served is None or served.serial_number == home.serial
    print(f"chain behind it: {len(cases)} damages")


def test_a_damaged_state_of_a_renewal_costs_neither_pair_nor_renewals(home):
    cases = some(home.copy.joinpath(home.state_file.relative_to(home.homes)).read_bytes(), 12)
    for damage in cases:
        home.restore()
        home.state_file.write_bytes(damage)
        home.start()
        cert = home.served()
        assert cert is not None and cert.serial_number == home.serial, "nothing is wrong with the pair"
        home.check_recovers()  # a note that it was refused is a note too: the next need enrols anew
        assert home.device.certd.request("POST", f"/renew/{IDENTITY}", version=OWN).status == 202
        wait_for("another certificate", lambda: home.served() and home.served().serial_number != home.serial)
    print(f"state of a renewal: {len(cases)} damages")


def swap(a, b):
    """Each has the other's octets."""
    x, y = a.read_bytes(), b.read_bytes()
    a.write_bytes(y), b.write_bytes(x)


DAMAGES = {
    "certificate gone": lambda h: h.cert_file.unlink(),
    "certificates swapped": lambda h: swap(h.cert_file, h.other_file),
    "certificate a dangling link": lambda h: (h.cert_file.unlink(), h.cert_file.symlink_to("nowhere")),
    "certificate a link to itself": lambda h: (h.cert_file.unlink(), h.cert_file.symlink_to(h.cert_file)),
    "state gone": lambda h: h.state_file.unlink(),
    "state a dangling link": lambda h: (h.state_file.unlink(), h.state_file.symlink_to("nowhere")),
    "states gone, all of them": lambda h: shutil.rmtree(h.state_file.parent),
    "stale temporary files": lambda h: [h.homes.joinpath(d, f"{stem('x')}.{suffix}.{'0' * 16}.tmp").write_bytes(b"half") for d, suffix in (
        ("keyd/keys", "key"), ("keyd/previous", "key"), ("keyd/records", "json"), ("certd/certs", "cer"), ("certd/renewal", "json"))],
    "key and certificate gone": lambda h: (h.cert_file.unlink(), h.device.key_file(IDENTITY).unlink()),
    "key gone": lambda h: h.device.key_file(IDENTITY).unlink(),
    "a staged certificate of nobody": lambda h: shutil.copy(h.other_file, h.state_file.with_suffix(".new.cer")),
    "an old certificate of nobody": lambda h: shutil.copy(h.other_file, h.state_file.with_suffix(".old.cer")),
    "a key of nobody under the temporary name": lambda h: shutil.copy(h.device.key_file(IDENTITY), h.device.key_file(IDENTITY + "-temp")),
    "homes open to all": lambda h: [d.chmod(0o777) for d in h.homes.glob("*")],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_after_any_of_these_the_device_recovers_by_itself(home, damage):
    home.restore()
    DAMAGES[damage](home)
    home.start()
    home.check_recovers()
    assert not [f for f in home.homes.glob("*/*/*") if f.name.endswith(".tmp")]


@pytest.mark.parametrize("name,failures", [("cert_file", 1), ("state_file", 2)])
def test_a_directory_in_the_place_of_a_file_is_said_and_goes_on_when_it_is_gone(home, name, failures):
    home.restore()
    path = getattr(home, name)
    path.unlink()
    path.mkdir()
    home.start()
    assert (home.served() is not None) == (name == "state_file"), "the pair is whole, whatever is noted of it"
    home.device.certd.request("POST", f"/renew/{IDENTITY}", version=OWN)
    wait_for("the failure to be told", lambda: home.device.credential(IDENTITY)["tries"] == failures)
    error = home.device.credential(IDENTITY)["last_error"]
    assert error["outcome"] == "storage" and str(path) in error["text"]
    path.rmdir()
    assert home.device.certd.request("POST", f"/renew/{IDENTITY}", version=OWN).status == 202
    wait_for("another certificate", lambda: home.served() and home.served().serial_number != home.serial)
    home.check_recovers()


def test_a_damaged_key_of_a_renewal_that_came_to_nothing_does_not_end_the_renewals(device):
    device.configure("keyd", f'[[principal]]\nuid = {UID}\nkeys = ["*"]\n')
    device.configure("certd", f'[cert_issuance.web]\nmethod = "self_signed"\ncommon_name = "web"\npk = "web"\n'
                              f'[[principal]]\nuid = {UID}\ncerts = ["*"]\n')
    device.start()
    served = lambda n: wait_for(f"generation {n}", lambda: (c := device.credential("web")) and c["generation"] == n and c["proved"])
    served(1)
    device.key_file("web-temp").write_bytes(b"")
    assert device.certd.request("POST", "/renew/web", version=OWN).status == 202
    served(2)
    assert device.matches("web") and not device.key_file("web-temp").exists()


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN PRIVATE KEY-----\n", bytes(241)], ids=["empty", "cut off", "zeros"])
def test_a_damaged_identity_key_is_an_alarm_and_a_good_copy_mends_it(home, damage):
    """D6: a key is an identity; another is not made in silence."""
    home.restore()
    path = home.device.key_file(IDENTITY)
    whole = path.read_bytes()
    path.write_bytes(damage)
    home.start()
    refused = home.device.request("test-est-cert", a_request(home))
    assert refused.status == 503 and f"key {IDENTITY}: damaged" in home.device.keyd.log, refused
    assert not home.device.credential(IDENTITY)["usable"] and home.device.credential(IDENTITY)["last_error"]
    assert wait_for("the certificate", home.served).serial_number == home.serial
    kept = list((home.homes / "keyd/quarantine").iterdir()) or [path]
    assert [k.read_bytes() for k in kept] == [damage]
    path.write_bytes(whole)
    home.device.stop()
    home.start()
    home.check_recovers()
    assert home.served().serial_number == home.serial


@pytest.mark.parametrize("name", ["keyd", "certd"])
@pytest.mark.parametrize("text", ["[[principal]\n", "max_requests = \"many\"\n", "\0", "x = 1\nx = 2\n"],
                         ids=["torn", "wrong type", "NUL", "twice"])
def test_a_damaged_configuration_is_refused_with_file_and_line(device, name, text):
    device.configure(name, text)
    service = getattr(device, name).start(wait=False)
    assert service.process.wait(estuary.PATIENCE) != 0
    assert "10-test.toml" in service.log
    device.configure(name, "")
    service.start()


@pytest.mark.parametrize("name", ["keyd", "certd"])
def test_a_second_service_at_one_home_ends_with_words_and_the_first_goes_on(device, name):
    """F21."""
    first = getattr(device, name).start()
    second = type(first)(device, name)
    second.start(wait=False)
    assert second.process.wait(estuary.PATIENCE) != 0
    assert "another" in second.log
    assert first.process.poll() is None
    path = "/certificates/x" if name == "certd" else "/keypair/x"
    assert first.request("GET", path).status in (400, 404), "its socket is still its own"
    first.stop(signal.SIGKILL)
    first.start()
