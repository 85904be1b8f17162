# SPDX-License-Identifier: Apache-2.0
"""What the help of the operator's command promises, it does; what it cannot do, it refuses with a reason."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from estuary import ESTUARY, basic, csr, fresh_name, new_key, wait_for


def told(server, *args):
    """What a verb answers, as JSON."""
    return json.loads(server.cli(*args, "--json").stdout)


def refusal(server, *args, status=64):
    r = server.cli(*args, check=False)
    assert r.returncode == status and r.stdout == "", r
    return r.stderr


def csr_pem(cn):
    return x509.load_der_x509_csr(csr(new_key(), cn)).public_bytes(Encoding.PEM).decode()


def requested(server, **kw):
    """A certificate that an operator asked for, of a device of its own."""
    return server.op("cert.request", csr=csr_pem(fresh_name()), **{"profile": "device", **kw})



# --- profiles ---

CA_PROFILE = ["--ku", "keyCertSign,cRLSign", "--eku", "", "--subject", "CN={device} CA", "--san-dns", "none"]


def test_a_profile_of_ca_certificates_is_made_and_changed(server):
    name = fresh_name("ca-profile")
    made = told(server, "profile", "create", name, "--ca", "yes", "--pathlen", "2", *CA_PROFILE)
    assert (made["ca"], made["pathlen"]) == (True, 2)
    assert told(server, "profile", "set", name, "--pathlen", "none")["pathlen"] == "none"
    changed = told(server, "profile", "set", name, "--ca", "no", "--ku", "digitalSignature", "--eku", "clientAuth")
    assert (changed["ca"], changed["pathlen"]) == (False, "none")
    assert server.op("profile.set", name=name, ca=True, pathlen=0, ku=["keyCertSign"], eku=[])["pathlen"] == 0


def test_a_profile_of_ca_certificates_issues_one(server):
    name = fresh_name("ca-profile")
    server.cli("profile", "create", name, "--ca", "yes", "--pathlen", "0", *CA_PROFILE)
    got = x509.load_pem_x509_certificate(requested(server, profile=name)["pem"].encode())
    assert got.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)


@pytest.mark.parametrize("args,said", [({"ca": "issuing"}, "profile.create: ca: expected true or false"),
                                       ({"pathlen": True}, "profile.create: pathlen: expected a number, or none"),
                                       ({"pathlen": "16"}, "0 to 15")])
def test_a_profiles_setting_of_another_type_is_refused(server, args, said):
    a = server.op("profile.create", False, name=fresh_name("profile"), **args)
    assert not a["ok"] and said in a["error"]["message"]


# --- keys of groups and enrolments ---

@pytest.mark.parametrize("noun,name_of", [("group", "name"), ("enrolment", "registration")])
def test_the_word_made_makes_a_key_anew(server, noun, name_of):
    name = fresh_name("made")
    made = told(server, noun, "create", name, "--symmetric", "--key", "made")
    first = told(server, noun, "set", name, "--key", "made")
    assert first["key"] != made["key"] and first["key2"] == made["key2"]
    second = told(server, noun, "set", name, "--secondary-key", "made")
    assert (second["key"], second["key2"] != made["key2"]) == (first["key"], True)
    shown = server.op(f"{noun}.show", **{name_of: name}, show_keys=True)
    assert (shown["key"], shown["key2"]) == (second["key"], second["key2"])
    assert "this once" in server.cli(noun, "set", name, "--key", "made").stderr
    texts = [r["text"] for r in server.op("audit.list", limit=10)["items"]]
    assert f"{noun}.set {name}: key=made" in texts and f"{noun}.set {name}: key2=made" in texts


def test_what_is_by_certificate_has_no_key_to_make(server, tmp_path):
    name, cert = fresh_name("by-cert"), tmp_path / "c.pem"
    cert.write_text(server.op("cert.request", csr=csr_pem(name), profile="device")["pem"])
    server.cli("enrolment", "create", name, "--x509", "--cert", str(cert))
    assert "key: only attestation symmetric has it, and this is x509" in refusal(server, "enrolment", "set", name, "--key", "made")


# --- what one command shows, the next one takes ---

def on_terminal(server, *args, width=80):
    """What a verb writes on a terminal of so many columns."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    p = subprocess.Popen([str(ESTUARY), *args, "--dir", server.dir], stdout=there, env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"})
    os.close(there)
    out = b""
    try:
        while chunk := os.read(here, 65536):
            out += chunk
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(here)
    assert p.wait(30) == 0
    return out.decode().replace("\r\n", "\n")


def test_a_serial_that_a_terminal_shows_is_taken(server):
    made = requested(server)
    row = on_terminal(server, "cert", "list", "--device", made["device"]).split("\n")[1]
    shown = row.split()[0]
    assert len(shown) < len(made["serial"]) and made["serial"].startswith(shown)
    assert told(server, "cert", "show", shown)["serial"] == made["serial"]
    colons = ":".join(shown[i:i + 2] for i in range(0, len(shown), 2)).upper()
    assert told(server, "cert", "revoke", colons)["state"] == "revoked"
    assert server.op("audit.list", limit=1)["items"][0]["text"] == f"cert.revoke serial={made['serial']}"
    assert server.op("event.list", device=made["device"])["items"][0]["text"] == made["serial"]


def test_a_request_that_a_terminal_shows_is_taken(server):
    made = requested(server)
    assert made["request_id"] in on_terminal(server, "audit", "list", "--device", made["device"]).split()
    assert told(server, "audit", "why", made["request_id"])["serial"] == made["serial"]


def test_a_serial_of_too_few_digits_is_none(server):
    made = requested(server)
    assert "its first 6 digits or more" in refusal(server, "cert", "show", made["serial"][:5], status=66)


# --- devices ---

def in_state(server, state, part):
    return [d["name"] for d in told(server, "device", "list", "--state", state, "--name", part, "--all")["items"]]


def test_a_device_whose_certificates_were_all_revoked_is_listed_as_that(server):
    made = requested(server)
    assert in_state(server, "active", made["device"]) == [made["device"]]
    server.cli("cert", "revoke", made["serial"])
    assert server.op("device.show", name=made["device"])["state"] == "revoked"
    assert in_state(server, "revoked", made["device"]) == [made["device"]]
    assert in_state(server, "active", made["device"]) == in_state(server, "expired", made["device"]) == []


def test_a_retired_device_is_refused_until_it_is_released(server):
    mine = server.born(label="ldevid")
    assert told(server, "device", "retire", mine.cn)["state"] == "retired"
    assert in_state(server, "retired", mine.cn) == [mine.cn]
    assert "is retired already" in refusal(server, "device", "retire", mine.cn, status=73)
    refused = server.enrol(csr(new_key(), mine.cn), "ldevid", reenrol=True, pair=mine)
    assert (refused.status, refused.reason) == (403, "device.retired")
    by_code = server.enrol(csr(new_key(), mine.cn), "ldevid", headers=basic("", server.new_code(scope="any", active=True)))
    assert (by_code.status, by_code.reason) == (403, "device.retired")
    record = server.op("audit.list", device=mine.cn, kind="operator")["items"][0]
    assert record["text"] == f"device.retire {mine.cn}"
    assert server.op("event.list", device=mine.cn)["items"][0]["kind"] == "device.retired"
    assert told(server, "device", "release", mine.cn)["state"] == "active"
    assert server.enrol(csr(new_key(), mine.cn), "ldevid", reenrol=True, pair=mine).status == 200


# --- CAs ---

def keys_of(server):
    """The files of CAs' keys, without what is remembered of their lists."""
    return sorted(f for f in os.listdir(os.path.join(server.dir, "keys")) if f.endswith((".pem", ".limits")))


@pytest.mark.parametrize("args,status,said", [
    (["--kind", "root", "--parent", "root"], 64, "parent 'root': a root has none"),
    (["--kind", "subordinate"], 64, "a subordinate needs 'parent'"),
    (["--parent", "nowhere"], 66, "ca 'nowhere': there is none"),
    (["--subject", "CN=x,O=y", "--cn", "z"], 64, "subject and cn: each is the whole subject"),
    (["--lifetime", "0"], 64, "lifetime '0': expected 60s to 100y"),
    (["--parent", "root", "--lifetime", "1s"], 64, "lifetime '1s': expected 60s to 100y"),
    (["--lifetime", "101y"], 64, "lifetime '101y': expected 60s to 100y"),
    (["--pathlen", "300"], 64, "pathlen 300: expected 0 to 15"),
    (["--key", "rsa-512"], 64, "'rsa-512' is not one of ec-p256|"),
    (["--parent", "PARENT"], 77, "its path length 0 leaves no room for a CA below it")])
def test_a_ca_that_cannot_be_is_refused_and_leaves_no_key(server, leaf_ca, args, status, said):
    before = keys_of(server)
    args = [leaf_ca if a == "PARENT" else a for a in args]
    assert said in refusal(server, "ca", "create", fresh_name("ca"), *args, status=status)
    assert keys_of(server) == before


@pytest.fixture(scope="module")
def leaf_ca(server):
    """A CA below which no other can be."""
    name = fresh_name("leaf-ca")
    server.op("ca.create", name=name, kind="subordinate", parent="issuing", pathlen=0)
    return name


def test_a_ca_of_its_parents_name_is_refused_and_leaves_no_key(server):
    parent = fresh_name("ca")
    server.op("ca.create", name=parent, kind="root")
    before = keys_of(server)
    said = refusal(server, "ca", "create", fresh_name("ca"), "--parent", parent, "--cn", parent, status=77)
    assert "it is the issuer's own name" in said and keys_of(server) == before


def test_what_a_parent_does_not_leave_is_said(server):
    made = told(server, "ca", "create", fresh_name("ca"), "--parent", "issuing", "--pathlen", "5", "--lifetime", "100y")
    got = x509.load_pem_x509_certificate(made["pem"].encode())
    assert got.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert made["not_after"] == server.op("ca.show", name="issuing")["not_after"]
    assert made["limited"] == ["lifetime: it ends with its parent 'issuing'", "pathlen: 0 is what its parent 'issuing' leaves"]
    assert "limited" not in told(server, "ca", "create", fresh_name("ca"), "--parent", "issuing", "--pathlen", "0", "--lifetime", "1y")


def test_the_key_of_a_ca_that_its_parent_does_not_sign_is_dropped(fresh_server):
    server = fresh_server()
    limits = next(f for f in keys_of(server) if f.startswith("root-") and f.endswith(".limits"))
    with open(os.path.join(server.dir, "keys", limits), "a", encoding="utf-8") as f:
        f.write("broken\n")
    before = keys_of(server)
    os.kill(server.role_pids("signer")[0], signal.SIGKILL)
    wait_for("another signer", lambda: "signer.key-unusable" in server.log_text())
    wait_for("the authority to have it", lambda: server.op("server.status")["signer_ok"])
    a = server.op("ca.create", False, name="below", kind="subordinate", parent="root")
    assert not a["ok"] and "key is unusable" in a["error"]["message"]
    assert keys_of(server) == before
    assert server.op("ca.create", name="below", kind="root")["name"] == "below"


# --- values that mean nothing are refused, and contradictions ---

@pytest.mark.parametrize("args,said", [
    (["credential", "add", "code", "--scope", "new", "--expires", "0"], "expires '0': it would be over before it is told"),
    (["credential", "add", "code", "--scope", "new", "--label", "edge-ca"], "label 'edge-ca' takes no codes: its accept has no code"),
    (["credential", "add", "password", "--user", "u", "--scope", "new", "--label", "edge-ca"], "takes no passwords: its accept has no basic"),
    (["device", "list", "--after", "abc"], "after: expected the next of the last answer"),
    (["device", "list", "--limit", "0"], "limit: expected a number from 1 to 1000"),
    (["device", "list", "--limit", "1001"], "limit: expected a number from 1 to 1000"),
    (["device", "list", "--all", "--limit", "3"], "--all and --limit: either all items, or so many"),
    (["audit", "list", "--kind", "enroll"], "'enroll' is not one of enrol|"),
    (["profile", "create", "p", "--keys", "rsa-512"], "'rsa-512' is not one of ec-p256|")])
def test_a_value_that_means_nothing_is_refused(server, args, said):
    assert said in refusal(server, *args)


@pytest.mark.parametrize("lifetime", ["0", "59s"])
def test_a_certificate_of_no_life_is_refused(server, tmp_path, lifetime):
    path = tmp_path / "r.csr"
    path.write_text(csr_pem(fresh_name()))
    assert f"lifetime '{lifetime}': expected 60s or more" in refusal(
        server, "cert", "request", "--csr", str(path), "--profile", "device", "--lifetime", lifetime)


def test_the_reason_of_a_revocation_is_shown_by_the_word_that_it_was_given_by(server):
    made = requested(server)
    assert server.op("cert.show", serial=made["serial"])["revoked_reason"] == ""
    assert told(server, "cert", "revoke", made["serial"], "--reason", "keyCompromise")["revoked_reason"] == "keyCompromise"
    assert "keyCompromise" in server.cli("cert", "show", made["serial"]).stdout


@pytest.mark.parametrize("option,n,more", [("--ku", 7, ["--ca", "yes"]), ("--eku", 3, ["--ku", "digitalSignature"]), ("--subject-types", 16, [])])
def test_the_words_that_help_names_are_taken(server, option, n, more):
    text = " ".join(server.cli("profile", "create", "--help").stdout.split())
    words = re.search(f"{option} [A-Z]+ [A-Za-z ]+: ([A-Za-z, ]+)", text).group(1).split(" may be")[0].split(", ")
    assert len(words) == n, words
    for word in words:
        base = CA_PROFILE if option == "--ku" else []
        ku = ["--ku", ",".join({"keyCertSign", word})] if option == "--ku" else []
        server.cli("profile", "create", fresh_name("words"), *base, *more, *(ku or [option, word]))
