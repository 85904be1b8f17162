# SPDX-License-Identifier: Apache-2.0
"""`estuary quickstart --compat libest`: the test server of the tutorial, to the word of its commands."""
import datetime
import json
import pathlib
import re
import subprocess

import pytest
from cryptography import x509

from estuary import ESTUARY, Pair, Server, basic, csr, fresh_name, new_key

PORTS = ("--device-port", "0", "--operator-port", "0", "--public-port", "0")
EVERYBODY = ("estuser", "estpwd")


@pytest.fixture(scope="module")
def libest(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("libest") / "d", args=["--compat", "libest"])
    yield s
    assert s.stop() == 0


def quickstart(directory, *args):
    return subprocess.run([str(ESTUARY), "quickstart", "--dir", str(directory), "--no-serve", *args], capture_output=True, text=True, timeout=60)


def life(cert):
    return cert.not_valid_after - cert.not_valid_before


def days(n):
    """A life of n days, and the little that certificates begin before they are made."""
    return datetime.timedelta(days=n), datetime.timedelta(days=n, minutes=10)


def born(s, cn=None, label="", **kw):
    key, cn = new_key(), cn or fresh_name()
    a = s.enrol(csr(key, cn), label, headers=basic(*EVERYBODY), **kw)
    assert a.status == 200, a
    return Pair(a.cert, key, pathlib.Path(s.dir).parent)


def test_the_line_of_the_tutorial_fetches_the_ca_certificate(libest, tmp_path):
    """Seed 002, Download CA certificate: as printed, but for the port and sudo."""
    line = r"""openssl s_client -showcerts -verify 5 -connect localhost:8085 < /dev/null | sudo awk '/BEGIN/,/END/{ if(/BEGIN/){a++}; out="cert"a".pem"; print >out}' && sudo cp cert2.pem cacert.crt.pem"""
    line = line.replace("8085", str(libest.device_port)).replace("sudo ", "")
    r = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cacert.crt.pem", "cert1.pem", "cert2.pem"]
    root = x509.load_pem_x509_certificate((tmp_path / "cacert.crt.pem").read_bytes())
    assert root == x509.load_pem_x509_certificate(pathlib.Path(libest.root_file).read_bytes())
    pair = born(libest)
    for leaf, purpose in (tmp_path / "cert1.pem", "sslserver"), (pair.cert_file, "sslclient"):
        subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", tmp_path / "cacert.crt.pem", leaf], check=True,
                       capture_output=True)
    with libest.client(pair=pair, trust=str(tmp_path / "cacert.crt.pem")) as c:
        assert c.request("GET", "/health/certificate").status == 200


def test_the_certificates_live_as_long_as_the_tutorials(libest, tmp_path):
    root = x509.load_pem_x509_certificate(pathlib.Path(libest.root_file).read_bytes())
    server = x509.load_pem_x509_certificate(pathlib.Path(libest.dir, "tls/server.pem").read_bytes())
    assert root.subject == root.issuer == server.issuer == born(libest).cert.issuer
    for cert, n in (root, 7300), (server, 3650), (born(libest).cert, 1):
        least, most = days(n)
        assert least <= life(cert) <= most, (cert.subject, life(cert))
    sans = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sans.get_values_for_type(x509.DNSName) == ["localhost"] and len(sans.get_values_for_type(x509.IPAddress)) == 2


@pytest.mark.parametrize("label", ["", "ldevid"])
def test_everybody_enrols_with_the_shared_user_with_and_without_a_label(libest, label):
    cn = fresh_name()
    pairs = [born(libest, cn, label), born(libest, cn, label), born(libest, label=label)]
    assert len({p.serial for p in pairs}) == 3
    assert {libest.op("cert.show", serial=p.serial)["label"] for p in pairs} == {"ldevid"}
    assert libest.op("device.show", name=cn)["state"] == "active"


def test_a_certificate_alone_enrols_and_renews(libest):
    pair = born(libest)
    for reenrol, key in (False, new_key()), (True, new_key()):
        a = libest.enrol(csr(key, pair.cn), pair=pair, reenrol=reenrol)
        assert a.status == 200, a


def test_a_certificate_is_renewed_with_its_old_key(libest):
    """The tutorial's rotate_key = false."""
    key, cn = new_key(), fresh_name()
    a = libest.enrol(csr(key, cn), headers=basic(*EVERYBODY))
    pair = Pair(a.cert, key, pathlib.Path(libest.dir).parent)
    again = libest.enrol(csr(key, cn), pair=pair, reenrol=True, headers=basic(*EVERYBODY))
    assert again.status == 200 and again.cert.public_key().public_numbers() == pair.cert.public_key().public_numbers(), again


@pytest.mark.parametrize("user,password", [("estuser", "estpwd1"), ("estuser", ""), ("", "estpwd"), ("root", "estpwd")])
def test_nobody_else_gets_in(libest, user, password):
    a = libest.enrol(csr(new_key(), fresh_name()), headers=basic(user, password))
    assert a.status == 401 and "Basic" in a.headers["WWW-Authenticate"]
    assert libest.enrol(csr(new_key(), fresh_name())).status == 401


def test_everybody_hears_that_it_is_for_tests_only(libest):
    said = libest.log_text()
    assert "FOR TESTS ONLY" in said and "estpwd" in said
    assert {"user": "estuser", "password": "estpwd", "compat": "libest"}.items() <= libest.info.items() and "code" not in libest.info


def test_the_line_for_a_first_device_can_be_pasted(libest, tmp_path):
    lines = re.search(r"\n  (printf .*)\n  (estuary est enroll .*)\n", libest.log_text()).groups()
    r = subprocess.run(["sh", "-c", "\n".join(lines).replace("estuary ", f"{ESTUARY} ", 1)], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r
    assert "BEGIN CERTIFICATE" in (tmp_path / "device-1.pem").read_text()


def test_it_is_there_for_this_machine_alone_unless_a_name_is_given(tmp_path):
    for d, args, hosts in ("a", [], ["127.0.0.1"] * 2), ("b", ["--name", "localhost"], []), ("c", ["--address", "127.0.0.1"], []):
        assert quickstart(tmp_path / d, "--compat", "libest", *args, *PORTS).returncode == 0
        text = (tmp_path / d / "estuaryd.toml").read_text()
        assert re.findall(r'host = "(.*)"', text) == hosts


def test_a_second_run_goes_on_as_what_the_directory_was_made_as(tmp_path):
    first = quickstart(tmp_path / "d", "--compat", "libest", "--json", *PORTS)
    assert first.returncode == 0
    for args in (), ("--compat", "libest"):
        again = quickstart(tmp_path / "d", "--json", *args)
        assert again.returncode == 0 and "FOR TESTS ONLY" in again.stderr and "making" not in again.stderr + again.stdout
        assert json.loads(again.stdout)["root_pin"] == json.loads(first.stdout)["root_pin"]


def test_a_directory_does_not_change_its_kind(tmp_path):
    assert quickstart(tmp_path / "d", *PORTS).returncode == 0
    r = quickstart(tmp_path / "d", "--compat", "libest", *PORTS)
    assert r.returncode == 73 and "made without --compat" in r.stderr
    assert quickstart(tmp_path / "e", "--compat", "estserver", *PORTS).returncode == 64
    assert not (tmp_path / "e").exists()


def test_the_usual_server_has_neither_the_user_nor_its_profiles(server):
    assert "estuser" not in {c["user"] for c in server.op("credential.list", kind="password")["items"]}
    assert not {"device-1d", "tls-server-10y"} & {p["name"] for p in server.op("profile.list")["items"]}
    assert server.enrol(csr(new_key(), fresh_name()), headers=basic(*EVERYBODY)).status == 401
