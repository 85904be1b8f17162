# SPDX-License-Identifier: Apache-2.0
"""The estuary command: help, man pages, exit statuses, and an EST client that believes nothing unseen."""
import base64
import json
import os
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from estuary import ESTUARY, ESTUARYD, OutsideCa, b64, csr, der_of, fresh_name, key_pem, name, new_key

VERBS = subprocess.run([str(ESTUARY), "--help"], capture_output=True, text=True).stdout
VERBS = [line[2:25].strip() for line in VERBS.split("\n") if line.startswith("  ") and line[2:3].strip() and len(line) > 25]


def run(*args, **kw):
    return subprocess.run([str(ESTUARY), *map(str, args)], capture_output=True, text=True, timeout=60, **kw)


def test_there_are_verbs():
    assert len(VERBS) >= 40 and "est enroll" in VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_a_clean_man_page(verb, tmp_path):
    r = run(*verb.split(), "--help")
    assert r.returncode == 0 and r.stdout.startswith(f"Usage: estuary {verb}") and r.stderr == ""
    text = r.stdout.split("\nExample:")[0]  # what is to be pasted stays in one line
    assert max(len(line) for line in text.split("\n") if " " in line.strip()) <= 100
    assert run("--man", tmp_path).returncode == 0
    page = tmp_path / f"estuary-{verb.replace(' ', '-')}.1"
    assert page.exists()
    r = subprocess.run(["groff", "-man", "-ww", "-Tutf8", str(page)], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == "" and verb.split()[-1] in r.stdout


@pytest.mark.parametrize("args,said", [
    (["ca", "lst"], "did you mean `estuary ca list`?"), (["ca", "list", "--jsn"], "did you mean --json?"), (["frob"], "frob: no such verb"),
    (["ca", "show"], "NAME is missing"), (["est", "enroll", "--url", "https://x"], "--out is missing"),
    (["est", "enroll", "--out", "x", "--url", "http://x"], "https://host[:port] needed"),
    (["est", "cacerts", "--url", "https://"], "https://host[:port] needed"), (["est", "cacerts", "--url", "https:///est"], "https://host[:port] needed")])
def test_wrong_usage_ends_with_64_and_a_hint(args, said):
    r = run(*args)
    assert r.returncode == 64 and r.stdout == "" and said in r.stderr


@pytest.mark.parametrize("command", [[ESTUARY, "ca", "show", "root", "--pem"], [ESTUARY, "--help"], [ESTUARYD, "--sample"]])
def test_output_that_cannot_be_written_is_an_error_with_words(server, command):
    env = {**os.environ, "ESTUARY_DIR": server.dir}
    line = " ".join(map(str, command))
    for where, why in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        r = subprocess.run(["sh", "-c", f"{line} {where}"], capture_output=True, text=True, env=env, timeout=60)
        assert r.returncode == 74 and f"{command[0].name}: standard output: {why}" in r.stderr, (where, r)


def test_a_reader_that_has_enough_is_no_reason_for_words(server):
    r, w = os.pipe()
    os.close(r)
    try:
        done = subprocess.run([str(ESTUARY), "ca", "show", "root", "--pem"], stdout=w, stderr=subprocess.PIPE, text=True, timeout=60,
                              env={**os.environ, "ESTUARY_DIR": server.dir})
    finally:
        os.close(w)
    assert done.returncode == 74 and done.stderr == ""


def test_exit_statuses_tell_the_kind_of_error(server, tmp_path):
    assert server.cli("ca", "show", "none", check=False).returncode == 66
    assert run("ca", "list", "--dir", tmp_path).returncode == 69
    assert server.cli("label", "create", "idevid", "--ca", "issuing", "--profile", "idevid", check=False).returncode in (64, 73)
    assert server.cli("server", "status").returncode == 0


@pytest.mark.parametrize("verb", [v for v in VERBS if v.endswith(" list") or v in ("server status", "audit verify")])
def test_json_of_every_list_can_be_read(server, verb):
    v = json.loads(server.cli(*verb.split(), "--json").stdout)
    assert isinstance(v["items"], list) if verb.endswith("list") else v


def test_a_pasted_request_gets_its_certificate(server, tmp_path):
    cn, key = fresh_name(), new_key()
    path = tmp_path / "r.csr"
    path.write_bytes(x509.load_der_x509_csr(csr(key, cn)).public_bytes(Encoding.PEM))
    v = json.loads(server.cli("cert", "request", "--csr", str(path), "--profile", "device", "--json").stdout)
    assert x509.load_pem_x509_certificate(v["pem"].encode()).subject == name(cn)
    path.write_text("no request\n")
    assert server.cli("cert", "request", "--csr", str(path), "--profile", "device", check=False).returncode == 65


# --- est: against our server ---

def enroll(server, out, *args, pin=None, url=None):
    return run("est", "enroll", "--url", url or server.est_url.replace("//" + server.est_url.split("//")[1].split(":")[0], "//localhost"),
               "--label", "idevid", "--pin", pin or server.info["root_pin"], "--out", out, *args)


def test_a_device_enrols_and_renews(server, tmp_path):
    out = tmp_path / "d.pem"
    r = enroll(server, out, "--code", server.new_code(), "--subject", f"CN={fresh_name()}", "--json", "--trust-out", tmp_path / "t.pem")
    assert r.returncode == 0 and json.loads(r.stdout)["channel_bound"] is True, r
    first = out.read_text()
    assert (tmp_path / "d.pem.key").stat().st_mode & 0o777 == 0o600 and not (tmp_path / "d.pem.key.new").exists()
    r = run("est", "reenroll", "--url", f"https://localhost:{server.device_port}", "--label", "idevid", "--trust", tmp_path / "t.pem",
            "--cert", out, "--key", tmp_path / "d.pem.key", "--new-key", "ec-p384")
    assert r.returncode == 0 and out.read_text() != first, r


def test_a_wrong_pin_writes_nothing(server, tmp_path):
    r = enroll(server, tmp_path / "d.pem", "--code", "aaaa-bbbb", "--subject", "CN=x", pin="sha256:" + "0" * 64)
    assert r.returncode == 77 and os.listdir(tmp_path) == [], r


# --- est: against a server that is not what it should be ---

def ask(fake, place, *args):
    return run("est", "enroll", "--url", fake.url, "--pin", fake.pin, "--subject", "CN=pump", "--pop", "never", "--out", place / "d.pem", *args)


@pytest.fixture
def place(tmp_path):
    """A directory in which an older pair stands."""
    p = tmp_path / "device"
    p.mkdir()
    (p / "d.pem").write_text("the old certificate\n")
    (p / "d.pem.key").write_text("the old key\n")
    return p


def test_a_good_answer_is_taken(fake, tmp_path):
    f = fake()
    r = ask(f, tmp_path)
    assert r.returncode == 0 and "BEGIN CERTIFICATE" in (tmp_path / "d.pem").read_text(), r


HOSTILE = {
    "another key": lambda f, der: f.bag(f.leaf(der, key=new_key())),
    "expired": lambda f, der: f.bag(f.leaf(der, begin=-90000, end=-3600)),
    "not yet valid": lambda f, der: f.bag(f.leaf(der, begin=86400, end=172800)),
    "of another CA": lambda f, der: f.bag(f.leaf(der, issuer=OutsideCa())),
    "with its foreign root": lambda f, der: (lambda o: f.bag(f.leaf(der, issuer=o), o.cert))(OutsideCa()),
    "a CA certificate": lambda f, der: f.bag(f.leaf(der, ca=True)),
    "the CA itself": lambda f, der: f.bag(f.ca.cert),
    "garbage": lambda f, der: b"!!! not base64 !!!",
    "base64 of garbage": lambda f, der: base64.b64encode(os.urandom(400)),
    "cut off": lambda f, der: f.bag(f.leaf(der))[:300],
    "empty": lambda f, der: b"",
    "a page": lambda f, der: b"<html>welcome</html>",
    "a signature that is wrong": lambda f, der: b64(spoilt(f, f.leaf(der))),
}


def spoilt(f, leaf):
    """The bag of a certificate; one octet of its signature is another."""
    der = der_of(f.bag(leaf))
    at = der.rindex(leaf.signature) + 8
    return der[:at] + bytes([der[at] ^ 1]) + der[at + 1:]


@pytest.mark.parametrize("what", HOSTILE)
def test_an_answer_that_is_not_ours_changes_nothing(fake, place, what):
    r = ask(fake(lambda f, der: (200, {}, HOSTILE[what](f, der))), place)
    assert r.returncode in (65, 70, 77) and r.stderr.startswith("estuary: "), r
    assert (place / "d.pem").read_text() == "the old certificate\n" and (place / "d.pem.key").read_text() == "the old key\n"
    assert not list(place.glob("*.tmp*"))


@pytest.mark.parametrize("status,exit_status", [(400, 65), (401, 77), (403, 77), (404, 66), (500, 69), (503, 69), (302, 65)])
def test_a_refusal_is_told_and_changes_nothing(fake, place, status, exit_status):
    r = ask(fake(lambda f, der: (status, {"Content-Type": "text/plain", "Location": "https://elsewhere.example/"}, b"because\n")), place)
    assert r.returncode == exit_status and str(status) in r.stderr, r
    assert (place / "d.pem").read_text() == "the old certificate\n"


def test_202_is_followed_until_the_certificate_is_there(fake, tmp_path):
    asked = []

    def later(f, der):
        asked.append(der)
        return (202, {"Retry-After": "1"}, b"") if len(asked) < 3 else (200, {}, f.bag(f.leaf(der)))

    r = ask(fake(later), tmp_path)
    assert r.returncode == 0 and "waiting for approval" in r.stderr, r
    assert len(asked) == 3 and len(set(asked)) == 1, "the same request each time"


def test_202_for_too_long_ends_with_75_and_the_next_run_goes_on_with_the_key(fake, tmp_path):
    asked = []

    def later(f, der):
        asked.append(der)
        return (202, {"Retry-After": "60"}, b"") if len(asked) < 2 else (200, {}, f.bag(f.leaf(der)))

    f = fake(later)
    r = ask(f, tmp_path, "--wait", "1")
    assert r.returncode == 75 and (tmp_path / "d.pem.key.new").exists() and not (tmp_path / "d.pem").exists(), r
    assert "the server wants to be asked again in 60 s, which --wait does not reach" in r.stderr
    assert ask(f, tmp_path).returncode == 0
    assert len({x509.load_der_x509_csr(d).public_key().public_numbers() for d in asked}) == 1


def test_a_server_of_another_ca_sees_no_credential(fake, place):
    f = fake()
    secret = place / "password"
    secret.write_text("hunter2-hunter2\n")
    r = run("est", "enroll", "--url", f.url, "--pin", "sha256:" + "1" * 64, "--user", "u", "--password-file", secret, "--header",
            "X-Secret: hunter3", "--subject", "CN=pump", "--out", place / "d.pem")
    assert r.returncode == 77 and (place / "d.pem").read_text() == "the old certificate\n", r
    assert [p for p, _ in f.seen] == ["/.well-known/est/cacerts"]
    assert not any("hunter" in str(h) or "Authorization" in h for _, h in f.seen)


def test_a_server_that_the_trust_does_not_vouch_for_sees_nothing(fake, place):
    f = fake()
    (place / "trust.pem").write_text(OutsideCa().pem)
    r = run("est", "enroll", "--url", f.url, "--trust", place / "trust.pem", "--code", "aaaa-bbbb", "--subject", "CN=pump", "--out", place / "d.pem")
    assert r.returncode != 0 and f.seen == [], r


def test_a_serial_is_known_however_it_is_written(server, tmp_path):
    (tmp_path / "r.der").write_bytes(csr(new_key(), fresh_name()))
    pem = server.cli("cert", "request", "--csr", str(tmp_path / "r.der"), "--profile", "device").stdout
    serial = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, text=True,
                            check=True).stdout.strip().split("=")[1]
    for form in (serial, serial.lower(), ":".join(serial[i:i + 2] for i in range(0, len(serial), 2))):
        assert server.op("cert.show", serial=form)["serial"] == serial.lower()
    assert server.op("cert.revoke", serial=serial)["state"] == "revoked"


def self_signed(directory, *args):
    """cert.pem and key.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", "key.pem", "-subj", "/CN=x",
                    "-out", "cert.pem", *args], cwd=directory, check=True, capture_output=True)


@pytest.mark.parametrize("options,said", [
    (["--cert", "cert.pem"], "cert.pem: no private key in PEM in it; --key FILE says where it is"),
    (["--cert", "cert.pem", "--key", "cert.pem"], "cert.pem: no private key in PEM in it"),
    (["--cert", "key.pem", "--key", "key.pem"], "key.pem: PEM: no block of CERTIFICATE"),
    (["--trust", "key.pem"], "key.pem: PEM: no block of CERTIFICATE")])
def test_a_wrong_file_is_named_before_a_key_is_made(tmp_path, options, said):
    self_signed(tmp_path, "-nodes")
    r = run("est", "enroll", "--url", "https://localhost:1", *options, "--subject", "CN=x", "--out", "new.pem", cwd=tmp_path)
    assert r.returncode == 65 and said in r.stderr
    assert sorted(os.listdir(tmp_path)) == ["cert.pem", "key.pem"]


def test_a_key_of_another_certificate_is_told_before_a_key_is_made(fake, tmp_path):
    f = fake()
    (tmp_path / "new").mkdir()
    self_signed(tmp_path, "-nodes")
    (tmp_path / "other.key").write_bytes(key_pem(new_key()))
    r = run("est", "enroll", "--url", f.url, "--pin", f.pin, "--cert", "cert.pem", "--key", "other.key", "--subject", "CN=x", "--out", "new/d.pem", cwd=tmp_path)
    assert r.returncode == 65 and "other.key: not the key of cert.pem" in r.stderr, r
    assert f.seen == [] and os.listdir(tmp_path / "new") == []


@pytest.mark.parametrize("traditional", [False, True])
def test_an_encrypted_key_is_told_and_how_to_make_a_plain_one(fake, tmp_path, traditional):
    f = fake()
    self_signed(tmp_path, "-passout", "pass:secret")
    if traditional:
        subprocess.run(["openssl", "ec", "-in", "key.pem", "-passin", "pass:secret", "-aes128", "-passout", "pass:secret", "-out", "key.pem"], cwd=tmp_path,
                       check=True, capture_output=True)
    r = run("est", "enroll", "--url", f.url, "--pin", f.pin, "--cert", "cert.pem", "--key", "key.pem", "--subject", "CN=x", "--out", "d.pem", cwd=tmp_path)
    assert r.returncode == 65 and "key.pem: the private key in it is encrypted" in r.stderr and f.seen == [], r
    (command,) = re.findall("`(.*) -out FILE`", r.stderr)
    subprocess.run([*command.split(), "-passin", "pass:secret", "-out", "plain.pem"], cwd=tmp_path, check=True, capture_output=True)
    r = run("est", "enroll", "--url", f.url, "--pin", f.pin, "--cert", "cert.pem", "--key", "plain.pem", "--subject", "CN=x", "--out", "d.pem", cwd=tmp_path)
    assert r.returncode == 0, r


@pytest.mark.parametrize("args,said", [
    (["--header", "foo"], "--header: 'foo' is not 'NAME: VALUE'"), (["--header", ": foo"], "--header: ': foo' is not"),
    (["--wait", "99999999999"], "wait: '99999999999' is more than 2147483647"), (["--wait", "soon"], "wait: 'soon' is not a number")])
def test_a_wrong_value_is_told_before_the_server_is_asked(fake, tmp_path, args, said):
    f = fake()
    r = ask(f, tmp_path, *args)
    assert r.returncode == 64 and said in r.stderr and f.seen == [], r


def test_the_help_says_what_a_renewal_needs_and_what_a_request_changes():
    assert run("est", "reenroll", "--url", "https://localhost:1").stderr.startswith("estuary: --cert is missing\n")
    synopsis = " ".join(run("est", "reenroll", "--help").stdout.split("\n\n")[0].split())
    assert "--cert" in synopsis and "[--cert" not in synopsis
    assert "always (default; with --csr never)" in " ".join(run("est", "enroll", "--help").stdout.split())


def test_names_and_refusals_are_shown_as_they_are_and_harm_no_terminal(fake, tmp_path):
    f = fake()
    r = run("est", "enroll", "--url", f.url, "--pin", f.pin, "--pop", "never", "--subject", "CN=a\\, b", "--out", tmp_path / "d.pem")
    assert r.returncode == 0 and "subject          CN=a\\, b\n" in r.stdout, r
    r = run("est", "enroll", "--url", f.url, "--pin", f.pin, "--subject", "CN=a+O=b", "--out", tmp_path / "e.pem")
    assert r.returncode == 65 and "('+' in a value is written '\\+')" in r.stderr, r
    f = fake(lambda f, der: (403, {"Content-Type": "text/plain"}, b"not 'CN=a\\, b' \x1b[2J\x9b\xe2\x80\xae\x07\n"))
    (tmp_path / "new").mkdir()
    r = ask(f, tmp_path / "new")
    assert "refused with 403: not 'CN=a\\, b' \\x1b[2J\\x9b\\xe2\\x80\\xae\\x07\n" in r.stderr, r


def test_the_record_shows_names_as_they_are(server, tmp_path):
    cn = f"{fresh_name()}, first"
    r = enroll(server, tmp_path / "d.pem", "--code", server.new_code(), "--subject", "CN=" + cn.replace(",", "\\,"), "--json")
    v = json.loads(r.stdout)
    assert v["subject"] == "CN=" + cn.replace(",", "\\,"), r
    said = server.cli("audit", "why", v["request"]).stdout
    assert f"subject 'CN={cn.replace(',', chr(92) + ',')}'" in said and "x5c" not in said, said
