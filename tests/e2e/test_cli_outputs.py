# SPDX-License-Identifier: Apache-2.0
"""Files that `estuary est` and `cert request` write: judged before a server is asked, and nothing of anybody else's is lost."""
import json
import os
import pathlib
import re
import resource
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from estuary import ESTUARY, Pair, csr, fresh_name, key_pem, mint, new_key


def run(*args, **kw):
    return subprocess.run([str(ESTUARY), *map(str, args)], capture_output=True, text=True, timeout=60, **kw)


def enroll(fake, *args, **kw):
    return run("est", "enroll", "--url", fake.url, "--pin", fake.pin, "--code", "aaaa-bbbb", "--subject", "CN=pump", "--pop", "never", *args, **kw)


def reenroll(fake, pair, *args, **kw):
    return run("est", "reenroll", "--url", fake.url, "--pin", fake.pin, "--cert", pair.cert_file, "--key", pair.key_file, "--pop", "never", *args, **kw)


def pair_of(fake, directory):
    key = new_key()
    return Pair(mint((fake.ca.cert, fake.ca.key), fresh_name(), key), key, directory)


def full():
    """A disk on which a key has room and a chain of certificates has not."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))


def spki(pem):
    """The public key of a certificate, or of a private key, in PEM."""
    command = ["x509", "-pubkey", "-noout"] if "BEGIN CERTIFICATE" in pem else ["pkey", "-pubout"]
    return subprocess.run(["openssl", *command], input=pem, capture_output=True, text=True, check=True).stdout


def snapshot(directory):
    return {p: p.read_bytes() for p in sorted(pathlib.Path(directory).rglob("*")) if p.is_file()}


# --- before anything is asked ---

WRONG = [
    (["--out", "no/d.pem"], 74, "--out: no/d.pem: its directory: No such file or directory"),
    (["--out", "d.pem", "--key-out", "no/k"], 74, "--key-out: no/k: its directory: No such file"),
    (["--out", "d.pem", "--trust-out", "no/t"], 74, "--trust-out: no/t: its directory: No such file"),
    (["--out", "file/d.pem"], 74, "--out: file/d.pem: its directory: Not a directory"),
    (["--out", "dir"], 64, "--out: dir is a directory; name a file in it"),
    (["--out", "d.pem", "--key-out", "dir"], 64, "--key-out: dir is a directory"),
    (["--out", "d.pem", "--trust-out", "dir"], 64, "--trust-out: dir is a directory"),
    (["--out", ""], 64, "--out: a file name is needed"),
    (["--out", "d.pem", "--key-out", ""], 64, "--key-out: a file name is needed"),
    (["--out", "d.pem", "--trust-out", "./d.pem"], 64, "two things are to be written there"),
    (["--out", "d.pem", "--trust-out", "d.pem.key"], 64, "two things are to be written there"),
    (["--out", "k.new", "--key-out", "k"], 64, "two things are to be written there"),
    (["--out", "d.pem", "--key-out", "-"], 64, "a private key does not go to standard output"),
    (["--out", "-"], 64, "--key-out is missing"),
    (["--out", "-", "--key-out", "k", "--json"], 64, "--json: standard output cannot have that and certificates"),
    (["--out", "x" * 300], 74, "--out: xxx"),
]


@pytest.mark.parametrize("args,status,said", WRONG, ids=[" ".join(a)[:40] for a, _, _ in WRONG])
def test_an_output_that_cannot_be_written_is_told_before_the_server_is_asked(fake, tmp_path, args, status, said):
    f, place = fake(), tmp_path / "device"
    (place / "dir").mkdir(parents=True)
    (place / "file").write_text("x")
    before = snapshot(place)
    r = enroll(f, *args, cwd=place)
    assert r.returncode == status and said in r.stderr, r
    assert f.seen == [] and snapshot(place) == before


@pytest.mark.parametrize("args", [["--out", "./root.pem"], ["--out", "d.pem", "--key-out", "root.pem"]], ids=["certificate", "key"])
def test_what_is_trusted_is_not_written_over(fake, tmp_path, args):
    f = fake()
    (tmp_path / "root.pem").write_bytes(mint(None, "root", new_key(), ca=True).public_bytes(Encoding.PEM))
    before = snapshot(tmp_path)
    r = run("est", "enroll", "--url", f.url, "--trust", "root.pem", "--code", "aaaa-bbbb", "--subject", "CN=pump", *args, cwd=tmp_path)
    assert r.returncode == 64 and "root.pem: it is what --trust names" in r.stderr, r
    assert f.seen == [] and snapshot(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_not_ours_to_write_in_is_told_before_the_server_is_asked(fake, tmp_path):
    f = fake()
    (tmp_path / "shut").mkdir(mode=0o555)
    r = enroll(f, "--out", tmp_path / "shut/d.pem")
    assert r.returncode == 74 and "Permission denied" in r.stderr and f.seen == [], r


@pytest.mark.parametrize("args", [["--out", "no/d.pem"], ["--new-key", "ec-p256", "--key-out", "no/k"], ["--trust-out", "no/t"]], ids=" ".join)
def test_a_renewal_whose_output_cannot_be_written_asks_nobody(fake, tmp_path, args):
    f = fake()
    pair = pair_of(f, tmp_path)
    before = snapshot(tmp_path)
    r = reenroll(f, pair, *args, cwd=tmp_path)
    assert r.returncode == 74 and "No such file or directory" in r.stderr, r
    assert f.seen == [] and snapshot(tmp_path) == before


@pytest.fixture
def request_file(tmp_path):
    """A PKCS#10 request and the name in it."""
    cn = fresh_name()
    (tmp_path / "r.csr").write_bytes(csr(new_key(), cn))
    return tmp_path / "r.csr", cn


@pytest.mark.parametrize("out,status", [("no/web.pem", 74), (".", 64), ("", 64)])
def test_no_certificate_is_issued_for_an_output_that_cannot_be_written(server, request_file, tmp_path, out, status):
    path, cn = request_file
    r = server.cli("cert", "request", "--csr", str(path), "--profile", "device", "--out", str(tmp_path / out) if out else "", check=False)
    assert r.returncode == status and "--out: " in r.stderr, r
    assert server.op("device.list", q=cn)["items"] == []


def test_fetched_anchors_need_a_file_that_can_be_written_too(fake, tmp_path):
    f = fake()
    for option in "--out", "--trust-out":
        r = run("est", "cacerts", "--url", f.url, "--pin", f.pin, option, tmp_path / "no/t.pem")
        assert r.returncode == 74 and f"{option}: " in r.stderr and f.seen == [], r
    for args, said in (["--out", "t", "--trust-out", "./t"], "t cannot be both"), (["--out", "-"], "standard output is for the list"):
        r = run("est", "cacerts", "--url", f.url, "--pin", f.pin, *args, cwd=tmp_path)
        assert r.returncode == 64 and said in r.stderr and f.seen == [], r


# --- when writing fails although it looked well ---

def at(server, label):
    return "--url", f"https://localhost:{server.device_port}", "--label", label, "--trust", server.root_file


def told(r):
    """The serial that a failed run names."""
    assert r.returncode == 74, r
    return re.search(r"certificate ([0-9a-f]+) was issued but not written: ", r.stderr).group(1)


def serial_of(path):
    return format(x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes()).serial_number, "032x")


def test_after_a_full_disk_the_same_command_gets_the_same_certificate(server, tmp_path):
    args = ["est", "enroll", *at(server, "idevid"), "--code", server.new_code(), "--subject", f"CN={fresh_name()}", "--out", tmp_path / "d.pem"]
    r = run(*args, preexec_fn=full, restore_signals=False)
    serial = told(r)
    assert "File too large" in r.stderr and f"its key is kept in {tmp_path}/d.pem.key.new" in r.stderr
    assert os.listdir(tmp_path) == ["d.pem.key.new"]
    r = run(*args)
    assert r.returncode == 0 and serial_of(tmp_path / "d.pem") == serial, r
    assert spki((tmp_path / "d.pem").read_text()) == spki((tmp_path / "d.pem.key").read_text())
    assert sorted(os.listdir(tmp_path)) == ["d.pem", "d.pem.key"]


def test_after_a_full_disk_the_certificate_can_go_elsewhere_as_the_message_says(server, tmp_path):
    args = ["est", "enroll", *at(server, "idevid"), "--code", server.new_code(), "--subject", f"CN={fresh_name()}"]
    r = run(*args, "--out", tmp_path / "d.pem", preexec_fn=full, restore_signals=False)
    serial, more = told(r), re.search(r"with another --out, say (--key-out) (\S+) too", r.stderr).groups()
    (tmp_path / "elsewhere").mkdir()
    r = run(*args, "--out", tmp_path / "elsewhere/d.pem", *more)
    assert r.returncode == 0 and serial_of(tmp_path / "elsewhere/d.pem") == serial, r
    assert spki((tmp_path / "elsewhere/d.pem").read_text()) == spki((tmp_path / "d.pem.key").read_text())


@pytest.mark.parametrize("args", [[], ["--new-key", "ec-p256"]], ids=["same key", "new key"])
def test_a_renewal_on_a_full_disk_does_not_fork_the_device(server, tmp_path, args):
    pair = server.born()
    cert, key = tmp_path / "d.pem", tmp_path / "d.pem.key"
    cert.write_bytes(pathlib.Path(pair.cert_file).read_bytes())
    key.write_bytes(pathlib.Path(pair.key_file).read_bytes())
    args = ["est", "reenroll", *at(server, "idevid"), "--cert", cert, "--key", key, *args]
    serial = told(run(*args, preexec_fn=full, restore_signals=False))
    assert serial_of(cert) == pair.serial
    r = run(*args)
    assert r.returncode == 0 and serial_of(cert) == serial and spki(cert.read_text()) == spki(key.read_text()), r
    assert server.op("device.show", name=pair.cn)["state"] == "active"


def test_a_requested_certificate_that_was_not_written_can_be_printed(server, request_file, tmp_path):
    r = server.cli("cert", "request", "--csr", str(request_file[0]), "--profile", "device", "--out", str(tmp_path / "web.pem"), check=False,
                   preexec_fn=full, restore_signals=False)
    serial = told(r)
    (command,) = re.findall(r"`estuary (.*)` prints it", r.stderr)
    pem = server.cli(*command.split()).stdout
    assert format(x509.load_pem_x509_certificate(pem.encode()).serial_number, "032x") == serial


# --- what is no regular file ---

def test_a_pipe_is_written_and_stays_a_pipe(fake, server, request_file, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # what is written has room in it
    try:
        r = enroll(fake(), "--out", tmp_path / "pipe", "--key-out", tmp_path / "k")
        assert r.returncode == 0 and b"BEGIN CERTIFICATE" in os.read(reader, 65536), r
        server.cli("cert", "request", "--csr", str(request_file[0]), "--profile", "device", "--out", str(tmp_path / "pipe"))
        assert b"BEGIN CERTIFICATE" in os.read(reader, 65536)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_device_is_written_and_stays_a_device(fake, tmp_path):
    try:  # one of our own: a program that fails this test would break /dev/null
        os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        with open(tmp_path / "null", "w", encoding="ascii"):
            pass
    except PermissionError:
        pytest.skip("no devices can be made here")
    r = enroll(fake(), "--out", tmp_path / "null", "--key-out", tmp_path / "k", "--trust-out", tmp_path / "null")
    assert r.returncode == 0 and stat.S_ISCHR((tmp_path / "null").stat().st_mode), r


def test_a_private_key_goes_into_a_regular_file_alone(fake, tmp_path):
    f = fake()
    os.mkfifo(tmp_path / "pipe")
    for args in (["--out", tmp_path / "d.pem", "--key-out", tmp_path / "pipe"], ["--out", tmp_path / "pipe", "--key-out", tmp_path / "pipe"]):
        r = enroll(f, *args)
        assert r.returncode == 64 and "is no regular file, and a private key goes into nothing else" in r.stderr, r
    assert f.seen == []


def test_a_symbolic_link_is_followed_and_stays(fake, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/old.pem").write_text("old\n")
    (tmp_path / "d.pem").symlink_to("real/link.pem")
    (tmp_path / "real/link.pem").symlink_to("old.pem")
    (tmp_path / "k").symlink_to(tmp_path / "real/not-there-yet")
    r = enroll(fake(), "--out", tmp_path / "d.pem", "--key-out", tmp_path / "k")
    assert r.returncode == 0 and "BEGIN CERTIFICATE" in (tmp_path / "real/old.pem").read_text(), r
    assert spki((tmp_path / "real/old.pem").read_text()) == spki((tmp_path / "real/not-there-yet").read_text())
    assert all((tmp_path / p).is_symlink() for p in ("d.pem", "real/link.pem", "k"))
    assert (tmp_path / "real/not-there-yet").stat().st_mode & 0o777 == 0o600


def test_a_link_that_leads_nowhere_else_than_to_itself_is_told(fake, tmp_path):
    f = fake()
    (tmp_path / "d.pem").symlink_to("d.pem")
    r = enroll(f, "--out", tmp_path / "d.pem")
    assert r.returncode == 64 and "symbolic links" in r.stderr and f.seen == [], r


@pytest.mark.parametrize("out", ["-", "/proc/self/fd/1"])
def test_standard_output_gets_certificates_and_nothing_else(fake, server, request_file, tmp_path, out):
    r = enroll(fake(), "--out", out, "--key-out", tmp_path / "k")
    assert r.returncode == 0 and r.stdout.startswith("-----BEGIN") and "serial " in r.stderr, r
    assert re.sub(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n", "", r.stdout) == ""
    assert spki(r.stdout) == spki((tmp_path / "k").read_text())
    r = server.cli("cert", "request", "--csr", str(request_file[0]), "--profile", "device", "--out", out)
    assert r.stdout.startswith("-----BEGIN") and r.stdout.endswith("-----END CERTIFICATE-----\n")


# --- what belongs to somebody else ---

def der_key(key):
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("form", [key_pem, der_key])
def test_another_private_key_is_replaced_only_by_force(fake, tmp_path, form):
    f, place = fake(), tmp_path / "device"
    place.mkdir()
    (place / "s1.pem").write_text("another device's certificate\n")
    (place / "s1.pem.key").write_bytes(form(new_key()))
    before = snapshot(place)
    r = enroll(f, "--out", place / "s1.pem")
    assert r.returncode == 73 and "s1.pem.key: is there already and holds a private key; --force replaces it" in r.stderr, r
    assert f.seen == [] and snapshot(place) == before
    r = enroll(f, "--out", place / "s1.pem", "--force")
    assert r.returncode == 0 and spki((place / "s1.pem").read_text()) == spki((place / "s1.pem.key").read_text()), r


def test_a_pair_in_one_file_is_replaced_only_by_force(fake, tmp_path):
    f, both = fake(), tmp_path / "both.pem"
    args = "--out", both, "--key-out", both
    assert enroll(f, *args).returncode == 0
    before, seen = both.read_text(), len(f.seen)
    r = enroll(f, *args)
    assert r.returncode == 73 and "--force" in r.stderr and both.read_text() == before and len(f.seen) == seen, r
    assert enroll(f, *args, "--force").returncode == 0 and both.read_text() != before
    before = both.read_text()
    r = run("est", "reenroll", "--url", f.url, "--pin", f.pin, "--cert", both, "--pop", "never", "--new-key", "ec-p256")
    assert r.returncode == 0 and both.read_text() != before and spki(both.read_text()), r


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("args", [["--out", "KEY", "--key-out", "k"], ["--out", "d.pem", "--trust-out", "KEY"]], ids=lambda a: a[-2])
def test_a_certificate_is_never_written_over_a_private_key(fake, tmp_path, args, force):
    f, place = fake(), tmp_path / "device"
    place.mkdir()
    (place / "KEY").write_bytes(key_pem(new_key()))
    before = snapshot(place)
    r = enroll(f, *args, *force, cwd=place)
    assert r.returncode == 73 and "a certificate is never written over a key" in r.stderr, r
    assert f.seen == [] and snapshot(place) == before


def test_a_requested_certificate_is_never_written_over_a_private_key(server, request_file, tmp_path):
    path, cn = request_file
    pem = key_pem(new_key())
    (tmp_path / "web.key").write_bytes(pem)
    r = server.cli("cert", "request", "--csr", str(path), "--profile", "device", "--out", str(tmp_path / "web.key"), check=False)
    assert r.returncode == 73 and (tmp_path / "web.key").read_bytes() == pem, r
    assert server.op("device.list", q=cn)["items"] == []


def test_a_renewal_replaces_its_own_pair_and_no_other_key(fake, tmp_path):
    f = fake()
    pair = pair_of(f, tmp_path)
    (tmp_path / "s1.pem.key").write_bytes(key_pem(new_key()))
    before = snapshot(tmp_path)
    r = reenroll(f, pair, "--new-key", "ec-p256", "--out", tmp_path / "s1.pem")
    assert r.returncode == 73 and f.seen == [] and snapshot(tmp_path) == before, r
    r = reenroll(f, pair, "--new-key", "ec-p256")
    assert r.returncode == 0, r
    assert spki(pathlib.Path(pair.cert_file).read_text()) == spki(pathlib.Path(pair.key_file).read_text())
    assert pathlib.Path(pair.key_file).read_bytes() != before[pathlib.Path(pair.key_file)]


def test_a_request_that_waits_goes_on_with_its_key_and_needs_no_force(fake, tmp_path):
    asked = []

    def later(f, der):
        asked.append(der)
        return (202, {"Retry-After": "60"}, b"") if len(asked) < 2 else (200, {}, f.bag(f.leaf(der)))

    f = fake(later)
    r = enroll(f, "--out", tmp_path / "d.pem", "--wait", "1")
    assert r.returncode == 75, r
    # A run that ended between the key's last two steps leaves it in both of its places.
    (tmp_path / "d.pem.key").write_bytes((tmp_path / "d.pem.key.new").read_bytes())
    r = enroll(f, "--out", tmp_path / "d.pem", "--json")
    assert r.returncode == 0 and json.loads(r.stdout)["key"].endswith("d.pem.key"), r
