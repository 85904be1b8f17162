# SPDX-License-Identifier: Apache-2.0
"""A device's certificates over time: retries, renewals, forks, revocation, and what the record says of them."""
import datetime
import os
import subprocess
import time
import urllib.request

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import estuary
from clock import DAY, Clock
from estuary import b64, basic, csr, fresh_name, new_key, wait_for


def serial(answer):
    return format(answer.cert.serial_number, "032x")


def renew(server, pair, label="ldevid", key=None, **kw):
    return server.enrol(csr(key or new_key(), pair.cn), label, reenrol=True, pair=pair, **kw)


def next_pair(server, answer, key):
    return estuary.Pair(answer.cert, key, os.path.dirname(server.dir))


def make_label(server, **kw):
    name = fresh_name("life")
    server.label(name, **{"ca": "issuing", "profile": "device", "accept": ["own", "code"], **kw})
    return name


# --- retries ---

@pytest.mark.parametrize("reenrol", [False, True], ids=["simpleenroll", "simplereenroll"])
def test_a_repeated_renewal_gets_the_same_certificate_again(server, reenrol):
    mine, key = server.born(label="ldevid"), new_key()
    answers = [server.enrol(csr(key, mine.cn), "ldevid", reenrol=reenrol, pair=mine) for _ in range(3)]
    assert {a.status for a in answers} == {200}
    assert len({a.body for a in answers}) == 1
    assert server.why(answers[2])["reason"] == "ok.retry"
    assert len(server.op("cert.list", device=mine.cn)["items"]) == 2
    assert server.op("device.show", name=mine.cn)["state"] == "active"


def test_a_repeated_first_enrolment_by_password_gets_the_same_certificate_again(server):
    label = make_label(server, accept=["basic"])
    user, cn, key = fresh_name("user"), fresh_name(), new_key()
    made = server.op("credential.add", kind="password", user=user, scope="any", active=True)
    answers = [server.enrol(csr(key, cn), label, headers=basic(user, made["secret"])) for _ in range(2)]
    assert answers[0].status == 200 and answers[0].body == answers[1].body


@pytest.mark.parametrize("kind", ["code", "password", "secret"])
def test_a_credential_that_is_used_up_and_over_still_answers_the_retry_of_its_last_use(server, kind):
    label = make_label(server, accept=["basic", "code", "secret"], secret_header="X-Secret")
    user, cn, key = fresh_name("user"), fresh_name(), new_key()
    made = server.op("credential.add", kind=kind, scope="any", active=True, uses=1, expires="2s", **({"user": user} if kind == "password" else {}))
    headers = {"X-Secret": made["secret"]} if kind == "secret" else basic(user if kind == "password" else "", made["secret"])
    first = server.enrol(csr(key, cn), label, headers=headers)
    time.sleep(3)
    again, new = server.enrol(csr(key, cn), label, headers=headers), server.enrol(csr(new_key(), fresh_name()), label, headers=headers)
    assert (first.status, again.status) == (200, 200) and first.body == again.body
    used = {"code": (401, "code.used"), "password": (401, "auth.used"), "secret": (403, "secret.used")}
    assert (new.status, new.reason) == used[kind]
    assert server.why(new)["hint"]


def test_after_the_window_a_repetition_is_a_new_request(server):
    label = make_label(server, retry_window="0s", accept=["basic"])
    user, cn, key = fresh_name("user"), fresh_name(), new_key()
    made = server.op("credential.add", kind="password", user=user, scope="any", active=True)
    answers = [server.enrol(csr(key, cn), label, headers=basic(user, made["secret"])) for _ in range(2)]
    assert [a.status for a in answers] == [200, 200]
    assert serial(answers[0]) != serial(answers[1])


def test_the_window_of_a_short_lived_certificate_is_a_small_part_of_its_life(server):
    label, profile = fresh_name("life"), fresh_name("brief")
    server.op("profile.create", name=profile, lifetime="60s", eku=["clientAuth"], ku=["digitalSignature"], subject="request",
              subject_types=["CN"], keys=["ec-p256"])
    server.label(label, ca="issuing", profile=profile, accept=["basic"], retry_window="1h")
    user, cn, key = fresh_name("user"), fresh_name(), new_key()
    made = server.op("credential.add", kind="password", user=user, scope="any", active=True)

    def ask():
        return serial(server.enrol(csr(key, cn), label, headers=basic(user, made["secret"])))

    first = ask()
    assert ask() == first
    wait_for("the window to close", lambda: ask() != first, 20)


def test_a_revoked_certificate_is_not_given_again(server):
    label = make_label(server)
    code, cn, key = server.new_code(), fresh_name(), new_key()
    first = server.enrol(csr(key, cn), label, headers=basic("", code))
    server.op("cert.revoke", serial=serial(first))
    again = server.enrol(csr(key, cn), label, headers=basic("", code))
    assert (again.status, again.reason) == (401, "code.used")


def test_a_retry_of_another_asker_is_no_retry(server):
    """The key alone is no right: what one credential got, another does not get again."""
    label = make_label(server)
    cn, key = fresh_name(), new_key()
    assert server.enrol(csr(key, cn), label, headers=basic("", server.new_code())).status == 200
    other = server.enrol(csr(key, cn), label, headers=basic("", server.new_code()))
    assert (other.status, other.reason) == (403, "name.active")


@pytest.mark.parametrize("grace", ["0s", "1h"])
def test_a_retry_is_no_fork_where_certificate_and_password_are_both_needed(server, grace):
    label = make_label(server, accept=["own", "basic"], match="all", grace=grace)
    mine, user = server.born(label="ldevid"), fresh_name("user")
    made = server.op("credential.add", kind="password", user=user, scope="any", active=True)
    k1, k2 = new_key(), new_key()

    def ask(pair, key):
        return server.enrol(csr(key, mine.cn), label, pair=pair, reenrol=True, headers=basic(user, made["secret"]))

    begun = ask(mine, k1)
    assert begun.status == 200, begun
    here = next_pair(server, begun, k1)
    first, second = ask(here, k2), ask(here, k2)
    assert (first.status, second.status) == (200, 200) and first.body == second.body
    fork = ask(here, new_key())
    assert (fork.status, fork.reason) == (403, "device.forked")


# --- renewals and forks ---

def test_a_renewal_supersedes_and_descends_from_the_certificate_that_it_renews(server):
    mine = server.born(label="ldevid")
    answer = renew(server, mine)
    assert server.op("cert.show", serial=mine.serial)["state"] == "superseded"
    new = server.op("cert.show", serial=serial(answer))
    assert (new["state"], new["parent"]) == ("active", mine.serial)


def test_a_chain_of_renewals_goes_on_from_key_to_key(server):
    pair = server.born(label="ldevid")
    for _ in range(5):
        key = new_key()
        pair = next_pair(server, renew(server, pair, key=key), key)
    assert [c["state"] for c in server.op("device.show", name=pair.cn)["certificates"]].count("active") == 1


@pytest.mark.parametrize("reenrol", [False, True], ids=["simpleenroll", "simplereenroll"])
def test_b11_a_second_renewal_of_one_certificate_by_another_key_marks_the_device_forked(server, reenrol):
    mine, key = server.born(label="ldevid"), new_key()
    newest = next_pair(server, renew(server, mine, key=key), key)
    again = server.enrol(csr(new_key(), mine.cn), "ldevid", reenrol=reenrol, pair=mine)
    assert (again.status, again.reason) == (403, "device.forked")
    shown = server.op("device.show", name=mine.cn)
    assert shown["state"] == "forked" and shown["events"][0]["kind"] == "device.forked"
    assert mine.serial in server.op("event.list", device=mine.cn)["items"][0]["text"]
    blocked = renew(server, newest)
    assert (blocked.status, blocked.reason) == (403, "device.forked")
    by_code = server.enrol(csr(new_key(), mine.cn), "ldevid", headers=basic("", server.new_code(scope="any", active=True)))
    assert (by_code.status, by_code.reason) == (403, "device.forked")


def test_a_released_device_renews_again_by_its_newest_certificate(server):
    mine, key = server.born(label="ldevid"), new_key()
    newest = next_pair(server, renew(server, mine, key=key), key)
    assert renew(server, mine).reason == "device.forked"
    assert server.op("device.release", name=mine.cn)["state"] == "active"
    assert renew(server, newest).status == 200


def test_nobody_forks_a_device_by_a_request_that_would_not_be_let_in(server):
    label = make_label(server, accept=["own", "basic"], match="all")
    mine, user = server.born(label="ldevid"), fresh_name("user")
    made = server.op("credential.add", kind="password", user=user, scope="any", active=True)
    k1 = new_key()
    first = server.enrol(csr(k1, mine.cn), label, pair=mine, headers=basic(user, made["secret"]))
    here = next_pair(server, first, k1)
    assert server.enrol(csr(new_key(), mine.cn), label, pair=here, headers=basic(user, made["secret"])).status == 200
    wrong = server.enrol(csr(new_key(), mine.cn), label, pair=here, source=estuary.fresh_address(), headers=basic(user, "not-the-password"))
    assert wrong.status in (401, 429)
    assert server.op("device.show", name=mine.cn)["state"] == "active"


def test_at_a_concurrent_label_one_certificate_asks_for_many_and_stays_good(server):
    """Azure's agent holds one EST identity and gets every other certificate of the device by it, each renewal included."""
    label = make_label(server, accept=["own"], concurrent=True)
    key = new_key()
    identity = next_pair(server, server.enrol(csr(key, (mine := server.born()).cn), label, pair=mine), key)
    made = [server.enrol(csr(new_key(), mine.cn), label, pair=identity) for _ in range(3)]
    assert [a.status for a in made] == [200, 200, 200]
    states = {c["serial"]: c["state"] for c in server.op("device.show", name=mine.cn)["certificates"] if c["label"] == label}
    assert len(states) == 4 and set(states.values()) == {"active"}
    assert server.op("device.show", name=mine.cn)["state"] == "active"


def test_at_a_concurrent_label_simplereenroll_renews_that_one_certificate_alone(server):
    label = make_label(server, accept=["own"], concurrent=True)
    k1, k2, k3 = new_key(), new_key(), new_key()
    mine = server.born()
    one = next_pair(server, server.enrol(csr(k1, mine.cn), label, pair=mine), k1)
    two = next_pair(server, server.enrol(csr(k2, mine.cn), label, pair=one), k2)
    newer = server.enrol(csr(k3, mine.cn), label, pair=one, reenrol=True)
    assert newer.status == 200
    states = {c["serial"]: c["state"] for c in server.op("device.show", name=mine.cn)["certificates"]}
    assert states[one.serial] == "superseded" and states[two.serial] == "active" and states[serial(newer)] == "active"


@pytest.mark.parametrize("reenrol", [False, True], ids=["simpleenroll", "simplereenroll"])
def test_b11_at_a_concurrent_label_what_was_renewed_still_forks_a_device(server, reenrol):
    label = make_label(server, accept=["own"], concurrent=True)
    k1 = new_key()
    mine = server.born()
    one = next_pair(server, server.enrol(csr(k1, mine.cn), label, pair=mine), k1)
    assert server.enrol(csr(new_key(), mine.cn), label, pair=one, reenrol=True).status == 200
    again = server.enrol(csr(new_key(), mine.cn), label, pair=one, reenrol=reenrol)
    assert (again.status, again.reason) == (403, "device.forked")
    assert server.op("device.show", name=mine.cn)["state"] == "forked"


@pytest.mark.parametrize("grace", ["0s", "1h"])
def test_a_renewal_whose_answer_was_lost_is_answered_again_however_late(server, grace):
    """Who signs with the newest certificate's key is its holder, who never got it."""
    label = make_label(server, retry_window="0s", grace=grace)
    k1, k2 = new_key(), new_key()
    mine = next_pair(server, server.enrol(csr(k1, cn := fresh_name()), label, headers=basic("", server.new_code())), k1)
    first, again = renew(server, mine, label, k2), renew(server, mine, label, k2)
    assert (first.status, again.status) == (200, 200) and first.body == again.body
    newest = next_pair(server, first, k2)
    assert renew(server, newest, label).status == 200
    late = renew(server, mine, label, k2)
    assert (late.status, late.reason) == (403, "device.forked"), "that key's certificate was renewed as well"
    assert server.op("device.show", name=cn)["state"] == "forked"


def test_a_renewal_whose_answer_was_lost_is_answered_again_to_the_same_key_by_another_credential(server):
    """A device whose clock was wrong came by its bootstrap certificate meanwhile; its own is good again."""
    label = make_label(server, accept=["own"])
    k1, k2 = new_key(), new_key()
    birth = server.born()
    mine = next_pair(server, server.enrol(csr(k1, birth.cn), label, pair=birth), k1)
    lost = server.enrol(csr(k2, birth.cn), label, pair=birth)
    again = renew(server, mine, label, k2)
    assert (lost.status, again.status) == (200, 200) and lost.body == again.body
    assert server.op("device.show", name=birth.cn)["state"] == "active"
    other = renew(server, mine, label)
    assert (other.status, other.reason) == (403, "device.forked")


def test_b11_a_second_renewal_at_another_label_forks_the_device_too(server):
    """A birth certificate that an operator's request made is of no label; it is renewed once all the same."""
    k1, k2, cn = new_key(), new_key(), fresh_name()
    made = server.op("cert.request", csr=b64(csr(k1, cn)).decode(), profile="idevid")
    birth = estuary.Pair(x509.load_pem_x509_certificate(made["pem"].encode()), k1, os.path.dirname(server.dir))
    first, retry = renew(server, birth, "idevid", k2), renew(server, birth, "idevid", k2)
    assert (first.status, retry.status) == (200, 200) and first.body == retry.body
    ldevid = [server.enrol(csr(new_key(), cn), "ldevid", pair=birth).status for _ in range(2)]
    assert ldevid == [200, 200], "to use it for another kind is no renewal"
    again = renew(server, birth, "idevid")
    assert (again.status, again.reason) == (403, "device.forked")
    assert server.op("device.show", name=cn)["state"] == "forked"


def test_b11_a_second_renewal_forks_the_device_where_a_password_lets_it_in(server):
    label, user, cn = make_label(server, accept=["basic"]), fresh_name("user"), fresh_name()
    secret = server.op("credential.add", kind="password", user=user, scope="any", active=True)["secret"]
    k1, k2 = new_key(), new_key()
    mine = next_pair(server, server.enrol(csr(k1, cn), label, headers=basic(user, secret)), k1)
    wrong = renew(server, mine, label, headers=basic(user, "wrong"), source=estuary.fresh_address())
    first, retry = (renew(server, mine, label, k2, headers=basic(user, secret)) for _ in range(2))
    assert (wrong.status, first.status, retry.status) == (401, 200, 200) and first.body == retry.body
    again = renew(server, mine, label, headers=basic(user, secret))
    assert (again.status, again.reason) == (403, "device.forked")


def test_a_renewed_certificate_may_speak_for_others_within_its_grace_where_the_label_lets_it(server):
    """A gateway that has just renewed is no fork when its old certificate enrols one more module."""
    label = make_label(server, accept=["own"], reenrol="off", grace="1h")
    k1 = new_key()
    birth = server.born()
    gateway = next_pair(server, server.enrol(csr(k1, birth.cn), label, pair=birth), k1)
    assert renew(server, gateway, label).status == 200
    assert server.enrol(csr(new_key(), fresh_name("module")), label, pair=gateway).status == 200
    assert server.op("device.show", name=birth.cn)["state"] == "active"
    again = renew(server, gateway, label)
    assert (again.status, again.reason) == (403, "device.forked")
    module = server.enrol(csr(new_key(), fresh_name("module")), label, pair=gateway)
    assert (module.status, module.reason) == (403, "device.forked"), "what is forked speaks for nobody"


def test_a_server_clock_that_was_ahead_makes_no_fork(tmp_path):
    """The device cannot come with what is not valid yet: it renews again with what it had."""
    ahead = Clock(tmp_path)
    server = estuary.Server(tmp_path / "d", env=ahead.env)
    try:
        mine = server.born(label="ldevid")
        ahead.set(30 * DAY)
        early = renew(server, mine)
        assert early.status == 200 and early.cert.not_valid_before > mine.cert.not_valid_before + datetime.timedelta(days=20)
        ahead.set(0)
        k = new_key()
        again = renew(server, mine, key=k)
        assert again.status == 200 and renew(server, next_pair(server, again, k)).status == 200
        assert server.op("device.show", name=mine.cn)["state"] == "active"
    finally:
        server.stop()


def test_a_key_that_others_have_is_never_certified_again(server):
    """M11: revoked for keyCompromise."""
    mine = server.born()
    server.op("cert.revoke", serial=mine.serial, reason="keyCompromise")
    code = server.new_code(scope="any", active=True)
    again = server.enrol(csr(mine.key, mine.cn), "idevid", headers=basic("", code))
    assert (again.status, again.reason) == (403, "key.compromised")
    assert server.enrol(csr(new_key(), mine.cn), "idevid", headers=basic("", code)).status == 200


def test_that_others_have_a_key_may_be_known_later(server):
    mine = server.born()
    server.op("cert.revoke", serial=mine.serial, reason="superseded")
    assert server.op("cert.revoke", serial=mine.serial, reason="keyCompromise")["revoked_reason"] == "keyCompromise"
    code = server.new_code(scope="any", active=True)
    again = server.enrol(csr(mine.key, mine.cn), "idevid", headers=basic("", code))
    assert (again.status, again.reason) == (403, "key.compromised")


def test_no_other_certificate_lets_in_who_has_a_key_that_others_have(server):
    mine = server.born()
    answer = server.enrol(csr(mine.key, mine.cn), "ldevid", pair=mine)
    other = next_pair(server, answer, mine.key)
    ca = server.op("cert.show", serial=other.serial)["ca"]
    number = server.op("ca.show", name=ca)["crl_number"]
    server.op("cert.revoke", serial=mine.serial, reason="keyCompromise")
    answer = renew(server, other)
    assert (answer.status, answer.reason) == (403, "certificate.revoked")
    assert server.op("cert.show", serial=other.serial)["revoked_reason"] == "keyCompromise"
    estuary.wait_for("the list", lambda: server.op("ca.show", name=ca)["crl_number"] > number)


def test_for_another_reason_the_other_certificates_of_a_key_stay(server):
    mine = server.born()
    other = next_pair(server, server.enrol(csr(mine.key, mine.cn), "ldevid", pair=mine), mine.key)
    server.op("cert.revoke", serial=mine.serial, reason="superseded")
    assert renew(server, other).status == 200


@pytest.mark.parametrize("grace, status", [("0s", 403), ("1h", 200)], ids=["beyond", "within"])
def test_a_superseded_certificate_serves_elsewhere_within_its_grace_alone(server, grace, status):
    elsewhere = make_label(server, accept=["own"], grace=grace)
    mine = server.born(label="ldevid")
    assert renew(server, mine).status == 200
    answer = server.enrol(csr(new_key(), mine.cn), elsewhere, pair=mine)
    assert answer.status == status, answer
    assert server.why(answer)["reason"] == ("ok" if status == 200 else "certificate.superseded")


# --- revocation ---

def test_b4_a_revoked_certificate_is_refused_within_a_second_on_new_and_kept_alive_connections(server):
    mine, body = server.born(label="ldevid"), None
    with server.client(pair=mine) as kept:
        def ask():
            return kept.request("POST", "/.well-known/est/ldevid/simplereenroll", estuary.b64(csr(new_key(), mine.cn)),
                                {"Content-Type": "application/pkcs10"})
        assert kept.request("GET", "/.well-known/est/cacerts", body).status == 200
        server.op("cert.revoke", serial=mine.serial, reason="keyCompromise")
        begin = time.monotonic()
        old, new = ask(), renew(server, mine)
        assert time.monotonic() - begin < 1
    assert [(a.status, a.reason) for a in (old, new)] == [(403, "certificate.revoked")] * 2
    row = next(x for x in server.why(new)["trace"] if x["rule"] == "certificate")
    assert row["text"] == f"revoked: serial {mine.serial}, {mine.cn}", "the record of it says whose it is"
    assert len(server.op("cert.list", device=mine.cn)["items"]) == 1


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_c3_a_resumed_session_does_not_bring_a_revoked_certificate_back(server, tls):
    mine = server.born(label="ldevid")
    with server.client(pair=mine, tls=tls) as first:
        first.request("GET", "/.well-known/est/cacerts")
        session, context = first.http.sock.session, first.http._context
    server.op("cert.revoke", serial=mine.serial)
    with server.client(pair=mine, tls=tls) as c:
        c.close()
        raw = estuary.socket.create_connection(("127.0.0.1", server.device_port))
        c.http.sock = context.wrap_socket(raw, server_hostname="localhost", session=session)
        answer = c.request("POST", "/.well-known/est/ldevid/simplereenroll", estuary.b64(csr(new_key(), mine.cn)),
                           {"Content-Type": "application/pkcs10"})
    assert (answer.status, answer.reason) == (403, "certificate.revoked")


def crl(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.public_port}/crl/issuing.crl", timeout=5) as r:
        assert r.headers["Content-Type"] == "application/pkix-crl"
        return x509.load_der_x509_crl(r.read())


def number(a_crl):
    return a_crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_a_revoked_certificate_is_in_the_list_within_a_minute(server, tmp_path):
    mine, other = server.born(label="ldevid"), server.born(label="ldevid")
    server.op("cert.revoke", serial=mine.serial, reason="keyCompromise")
    found = wait_for("the certificate in the list", lambda: crl(server).get_revoked_certificate_by_serial_number(mine.cert.serial_number), 60)
    assert found.extensions.get_extension_for_class(x509.CRLReason).value.reason == x509.ReasonFlags.key_compromise
    now = crl(server)
    assert now.get_revoked_certificate_by_serial_number(other.cert.serial_number) is None
    (tmp_path / "list.pem").write_bytes(now.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "issuing.pem").write_text(server.op("ca.show", name="issuing")["pem"])

    def verify(pair):
        return subprocess.run(["openssl", "verify", "-crl_check", "-CAfile", server.root_file, "-untrusted", tmp_path / "issuing.pem",
                               "-CRLfile", tmp_path / "list.pem", pair.cert_file], capture_output=True, text=True)

    assert verify(other).returncode == 0
    refused = verify(mine)
    assert refused.returncode != 0 and "certificate revoked" in refused.stderr


def test_the_numbers_of_revocation_lists_rise(server):
    seen = [number(crl(server))]
    for _ in range(3):
        server.op("cert.revoke", serial=server.born(label="ldevid").serial)
        seen.append(wait_for("a newer list", lambda: (lambda n: n if n > seen[-1] else None)(number(crl(server))), 60))
    assert server.op("crl.publish", ca="issuing")["number"] > seen[-1]


def test_a_certificate_is_revoked_once(server):
    mine = server.born(label="ldevid")
    assert server.op("cert.revoke", serial=mine.serial)["state"] == "revoked"
    assert server.op("cert.revoke", _check=False, serial=mine.serial)["error"]["code"] == "exists"


# --- the record ---

def test_the_record_of_a_success_tells_each_rule_on_its_way(server):
    mine = server.born(label="ldevid")
    answer = renew(server, mine)
    why = server.why(answer)
    assert (why["kind"], why["outcome"], why["reason"], why["device"], why["label"]) == ("reenrol", "ok", "ok", mine.cn, "ldevid")
    assert (why["serial"], why["actor"]) == (serial(answer), f"certificate {mine.serial}")
    rules = {step["rule"]: step for step in why["trace"]}
    assert ["connection", "label", "certificate", "authenticated", "request", "names", "key", "issued"] == list(rules)
    assert "TLSv1.3" in rules["connection"]["text"] and mine.serial in rules["certificate"]["text"]
    assert mine.cn in rules["request"]["text"] and serial(answer) in rules["issued"]["text"]
    assert {step["outcome"] for step in why["trace"]} <= {"ok", "note"}


def test_the_record_of_a_refusal_tells_the_rule_that_refused_and_a_hint(server):
    mine = server.born(label="ldevid")
    answer = server.enrol(csr(new_key(), "not-" + mine.cn), "ldevid", reenrol=True, pair=mine)
    why = server.why(answer)
    assert answer.id in answer.text and answer.reason == "name.other-device"
    assert (why["outcome"], why["reason"]) == ("refused", "name.other-device")
    assert [s["rule"] for s in why["trace"] if s["outcome"] == "no"] == ["name.other-device"]
    assert "not-" + mine.cn in why["trace"][-1]["text"] and why["hint"]


def test_a_name_cannot_forge_a_line_of_the_record(server):
    mine = server.born(label="ldevid")
    answer = server.enrol(csr(new_key(), "x\\nissued\\tok"), "ldevid", pair=mine)
    assert [s["rule"] for s in server.why(answer)["trace"]].count("issued") == 0


def test_the_chain_of_records_holds(server):
    renew(server, server.born(label="ldevid"))
    checked = server.op("audit.verify")
    assert checked["ok"] and checked["first_bad"] == 0 and checked["records"] > 2


def test_each_record_continues_the_one_before_it(server):
    newest = server.op("audit.list", limit=5)["items"]
    shown = [server.op("audit.show", id=r["id"]) for r in newest]
    assert [r["prev"] for r in shown[:-1]] == [r["hash"] for r in shown[1:]]
