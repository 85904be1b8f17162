# SPDX-License-Identifier: Apache-2.0
"""The examples: each script is run as a person would, and what it leaves is judged by openssl and the files themselves."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from cryptography import x509

from device import AGENT, stem
from estuary import BUILD, ESTUARY, PATIENCE, ROOT, Server

EXAMPLES = ROOT / "examples"
NAMES = sorted(p.name for p in EXAMPLES.glob("seed-*"))


def pids_below(directory):
    """Processes that have this directory in their words or their environment."""
    found, me = [], os.getpid()
    for p in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            said = (p / "cmdline").read_bytes() + (p / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in said and int(p.name) != me:
            found.append((int(p.name), (p / "cmdline").read_bytes()))
    return found


@pytest.fixture
def place():
    """A directory that other users reach, as a person's would be."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="seed-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def run(name, directory, *words):
    """The script's output; it ended well and left no process behind."""
    env = {**os.environ, "ESTUARY_BIN": f"{ESTUARY.parent}:{AGENT.parent}"}
    env.pop("ESTUARY_PREFIX", None)
    r = subprocess.run([str(EXAMPLES / name / "run"), "--fast", *map(str, words), str(directory)], capture_output=True, text=True,
                       env=env, timeout=10 * PATIENCE)
    assert r.returncode == 0, f"{name}: {r.returncode}\n{r.stdout[-4000:]}\n{r.stderr[-8000:]}"
    assert pids_below(directory) == []
    assert f"{name}: done" in r.stdout
    return r.stdout


def openssl(*words, cwd=None):
    r = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=PATIENCE)
    assert r.returncode == 0, r
    return r.stdout


def cert(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def same_key(certificate, key):
    return openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl("pkey", "-in", key, "-pubout")


def reachable():
    """Can other users run what was built?"""
    if os.geteuid() != 0:
        return True
    return subprocess.run(["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "test", "-x", str(AGENT)]).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_what_every_example_has(name):
    readme = (EXAMPLES / name / "README.md").read_text()
    assert f"[{name}]({name})" in (EXAMPLES / "README.md").read_text()
    assert "./run" in readme and os.access(EXAMPLES / name / "run", os.X_OK)
    subprocess.run(["bash", "-n", str(EXAMPLES / name / "run")], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_explains_itself_and_touches_no_full_directory(name, tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    env = {**os.environ, "ESTUARY_BIN": f"{ESTUARY.parent}:{AGENT.parent}"}
    r = subprocess.run([str(EXAMPLES / name / "run"), str(tmp_path)], capture_output=True, text=True, env=env, timeout=PATIENCE)
    assert r.returncode == 73 and "is not empty" in r.stderr and os.listdir(tmp_path) == ["thesis.txt"]
    r = subprocess.run([str(EXAMPLES / name / "run"), "--no-such"], capture_output=True, text=True, env=env, timeout=PATIENCE)
    assert r.returncode == 64 and "Usage:" in r.stderr


# --- seed 000 ---

@pytest.mark.skipif(not reachable(), reason="the build is where other users cannot go")
def test_seed_000_issues_an_arbitrary_certificate(place):
    d = place / "d"
    said = run("seed-000", d)
    root = d / "files/est-server-ca.pem"
    openssl("verify", "-purpose", "sslclient", "-CAfile", root, "-untrusted", d / "server/tls/server.pem", d / "cert.pem")
    assert same_key(d / "cert.pem", d / "key.pem")
    assert json.loads((d / "answer.json").read_text())["pem"].strip() == (d / "cert.pem").read_text().strip()
    assert openssl("x509", "-in", d / "cert.pem", "-noout", "-subject", "-nameopt", "RFC2253").strip() == "subject=CN=test-est-cert"
    # What certd made for itself by the bootstrap pair, under the printed IDs.
    identity = d / "device/var/lib/aziot/certd/certs" / (stem("test-est-cert-identity-id") + ".cer")
    assert same_key(identity, d / "device/var/lib/aziot/keyd/keys" / (stem("test-est-cert-identity-id") + ".key"))
    assert cert(identity) != cert(d / "cert.pem") != cert(d / "files/bootstrap.pem")
    people = {"997", "1000", "1001"} if os.geteuid() == 0 else {str(os.getuid())}
    assert set(re.findall(r"user (\d+) is not authorized", said)) == people
    assert re.search(r"^user \d+ is not authorized to modify the cert another-cert$", said, re.M)
    assert re.search(r"user \d+ is not authorized to access the key test-est-cert-identity-id", said)
    printed = (d / "device/etc/aziot/keyd/config.d/test-est-cert.toml").read_text()
    assert 'keys = ["test-est-bootstrap-key-id", "test-est-cert-identity-id"]\n' in printed


# --- seed 002 ---

def test_seed_002_provisions_a_device_and_renews_its_certificate(place):
    d = place / "d"
    said = run("seed-002", d)
    certs, lib = d / "device/var/aziot/certs", d / "device/var/lib/aziot"
    openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", certs / "cacert.crt.pem", certs / "cert1.pem")
    assert cert(certs / "cacert.crt.pem") == cert(d / "server/root.pem")
    assert (certs / "cacert.crt.pem").stat().st_mode & 0o777 == 0o644
    # The printed file, but for what the README says.
    printed = (EXAMPLES / "seed-002/config.toml").read_text().splitlines()
    used = (d / "device/etc/aziot/config.toml").read_text().splitlines()
    assert {line.split("=")[0].strip() for line in set(printed) ^ set(used)} == {
        "id_scope", "global_endpoint", "trusted_certs", "threshold", "default", f'"file://{certs}/cacert.crt.pem",',
        '"file:///var/aziot/certs/cacert.crt.pem",'}
    # The device's pair as it was left, and that it was another each time.
    device, key = lib / "certd/certs" / (stem("device-id") + ".cer"), lib / "keyd/keys" / (stem("device-id") + ".key")
    openssl("verify", "-no_check_time", "-purpose", "sslclient", "-CAfile", certs / "cacert.crt.pem", device)
    assert same_key(device, key) and openssl("x509", "-in", device, "-noout", "-subject", "-nameopt", "RFC2253").strip() == "subject=CN=myiotedgedevice"
    serials = re.findall(r"^serial=([0-9A-F]+)$", said, re.M)
    assert len(serials) == len(set(serials)) == 4 and f"serial={serials[-1]}" == openssl("x509", "-in", device, "-noout", "-serial").strip()
    # Whom DPS took it for.
    assert 'device_id = "myiotedgedevice"\n' in (lib / "identityd/device_info").read_text()
    assert re.search(r"^status +assigned$", said, re.M)
    assert re.search(r"^\d+ check\(s\) succeeded\.$", said, re.M) and "check(s) raised errors" not in said


def test_seed_002s_dockerfile_makes_a_server_that_can_be_published(tmp_path):
    """No engine is needed to see that its lines are right: the packages, and the commands on free ports."""
    text = (EXAMPLES / "seed-002/Dockerfile").read_text()
    wanted = re.search(r"^build=\((.*?)\)", (ROOT / "tools/install-deps").read_text(), re.M | re.S)[1].split()
    assert set(wanted) <= set(text.split("FROM")[1].split())
    made = re.search(r"^RUN estuary (quickstart .*) --dir est (.*)$", text, re.M)
    ports = ["--device-port", "0", "--operator-port", "0", "--public-port", "0"]
    r = subprocess.run([str(ESTUARY), *made[1].split(), "--dir", "est", *made[2].split(), *ports], cwd=tmp_path, capture_output=True, text=True,
                       timeout=PATIENCE * 2)
    assert r.returncode == 0, r
    assert "host =" not in (tmp_path / "est/estuaryd.toml").read_text()
    assert re.search(r'^CMD \["estuary", "quickstart", "--dir", "est"\]$', text, re.M)
    s = Server(tmp_path / "est")
    try:
        with s.client() as c:
            assert c.request("GET", "/.well-known/est/cacerts").status == 200
    finally:
        assert s.stop() == 0


# --- seed 004 ---

def test_seed_004_renews_with_the_latest_certificate(place):
    d = place / "d"
    said = run("seed-004", d)
    files = [d / "birth.pem", *(d / f"device-{i}.pem" for i in (1, 2, 3))]
    for f in files:
        openssl("verify", "-purpose", "sslclient", "-CAfile", d / "root.pem", "-untrusted", d / "server/tls/server.pem", f)
        assert same_key(f, f.with_suffix(".key"))
        assert openssl("x509", "-in", f, "-noout", "-subject", "-nameopt", "RFC2253").strip() == "subject=CN=my-device"
    assert len({cert(f).serial_number for f in files}) == len(files)
    # Each of them opened the door to the next, and showed itself before.
    for f in files[:-1]:
        assert openssl("x509", "-in", f) in said
    assert not (d / "stranger-got.pem").exists() and "certificate.unknown-issuer" in said
    if shutil.which("mosquitto_pub") and shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"):
        assert (d / "events.txt").read_text().splitlines()[-1].startswith("devices/my-device/messages/events/ ")
        assert 'messages/events/ {"temperature": 22}' in said and "Connection refused" not in said
        serial = openssl("x509", "-in", d / "device-3.pem", "-noout", "-serial").strip().split("=")[1]
        assert serial in openssl("crl", "-in", d / "hub/crls/issuing", "-noout", "-text")
