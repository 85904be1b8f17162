# SPDX-License-Identifier: Apache-2.0
"""For which names a credential may speak, how often, and how fast one may guess."""
import pytest

import estuary
from estuary import basic, csr, fresh_address, fresh_name, new_key, parallel, wait_for

SECRET = "X-Fleet-Secret"


@pytest.fixture(scope="session")
def place(server):
    """A label that takes whatever this file makes."""
    name = fresh_name("cred")
    server.label(name, ca="issuing", profile="device", accept=["own", "anchor", "basic", "code", "secret"], secret_header=SECRET)
    return name


class Key:
    """A credential of any kind: how it is made, and how a request carries it."""

    def __init__(self, server, kind, scope, **kw):
        self.server, self.pair, self.made = server, None, {}
        if kind == "anchor":
            self.ca = estuary.OutsideCa()
            self.ca.trust(server, scope=scope, **kw)
            self.pair = self.ca.pair(server)
            self.fields = {}
            return
        extra = {"user": fresh_name("user")} if kind == "password" else {}
        self.made = server.op("credential.add", kind=kind, scope=scope, **extra, **kw)
        self.fields = {SECRET: self.made["secret"]} if kind == "secret" else basic(extra.get("user", ""), self.made["secret"])

    @property
    def state(self):
        return self.server.op("credential.show", id=self.made["id"])["state"]

    def enrol(self, place, cn, key=None, **kw):
        """From an address of its own: what other tests guessed wrong throttles theirs alone."""
        kw.setdefault("source", fresh_address())
        return self.server.enrol(csr(key or new_key(), cn), place, pair=self.pair, headers=self.fields, **kw)


def outcome(answer):
    return "ok" if answer.status == 200 else answer.reason


KINDS = ["password", "code", "secret", "anchor"]
OUT, ACTIVE = "name.out-of-scope", "name.active"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope, value, wanted, expected", [
    ("device", "{}", "{}", "ok"), ("device", "{}", "{}x", OUT), ("device", "{}x", "{}", OUT),
    ("pattern", "{}-*", "{}-7", "ok"), ("pattern", "{}-?", "{}-7", "ok"), ("pattern", "{}-?", "{}-77", OUT),
    ("pattern", "{}-*", "other-{}-7", OUT), ("new", "", "{}", "ok"), ("any", "", "{}", "ok"),
], ids=["device", "longer-than-device", "shorter-than-device", "pattern", "pattern-of-one", "pattern-of-one-for-two",
        "pattern-inside", "new", "any"])
def test_a_scope_covers_its_names_and_no_others(server, place, kind, scope, value, wanted, expected):
    stem = fresh_name()
    more = {"scope_value": value.format(stem)} if value else {}
    key = Key(server, kind, scope, **more)
    answer = key.enrol(place, wanted.format(stem))
    assert (answer.status, outcome(answer)) == (200 if expected == "ok" else 403, expected), answer
    if kind == "code":
        assert key.state == ("used" if expected == "ok" else "live")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope, active, expected", [
    ("device", False, ACTIVE), ("device", True, "ok"), ("pattern", False, ACTIVE), ("pattern", True, "ok"), ("new", False, ACTIVE),
    ("new", True, ACTIVE), ("any", False, ACTIVE), ("any", True, "ok"),
])
def test_a_living_name_is_taken_only_with_the_right_to(server, place, kind, scope, active, expected):
    victim = server.born(label="ldevid")
    more = {"device": {"scope_value": victim.cn}, "pattern": {"scope_value": victim.cn[:-1] + "?"}}.get(scope, {})
    answer = Key(server, kind, scope, active=active, **more).enrol(place, victim.cn)
    assert (answer.status, outcome(answer)) == (200 if expected == "ok" else 403, expected), answer


def test_a_name_whose_certificates_are_all_revoked_is_new_again(server, place):
    gone = server.born(label="ldevid")
    server.op("cert.revoke", serial=gone.serial)
    assert Key(server, "code", "new").enrol(place, gone.cn).status == 200


def test_an_anchor_speaks_for_the_name_in_its_certificate(server, place):
    key = Key(server, "anchor", "own-name")
    assert outcome(key.enrol(place, fresh_name())) == OUT
    assert outcome(key.enrol(place, key.pair.cn)) == "ok"


def test_a_removed_anchor_speaks_no_more_on_a_kept_alive_connection(server, place):
    ca = estuary.OutsideCa()
    anchor = ca.trust(server, scope="own-name", active=True)
    pair = ca.pair(server)
    with server.client(pair=pair) as kept:
        def ask():
            return kept.request("POST", f"/.well-known/est/{place}/simpleenroll", estuary.b64(csr(new_key(), pair.cn)),
                                {"Content-Type": "application/pkcs10"})
        assert ask().status == 200
        server.op("trust.remove", name=anchor["name"])
        assert (ask().status, ask().reason) == (401, "certificate.unknown-issuer")


@pytest.mark.parametrize("kind", ["own-name", "nobody", "everybody", ""])
def test_a_credential_has_a_scope_that_means_something(server, kind):
    answer = server.op("credential.add", _check=False, kind="code", scope=kind)
    assert answer["error"]["code"] == "usage" and "scope" in answer["error"]["message"]


@pytest.mark.parametrize("scope", ["device", "pattern"])
def test_a_scope_for_certain_names_needs_them(server, scope):
    assert server.op("credential.add", _check=False, kind="code", scope=scope)["error"]["code"] == "usage"


# --- codes ---

def test_the_user_name_beside_a_code_is_the_name_that_is_asked_for(server, place):
    cn, code = fresh_name(), Key(server, "code", "new")
    answer = server.enrol(csr(new_key(), cn), place, source=fresh_address(), headers=basic(fresh_name(), code.made["secret"]))
    assert (answer.status, answer.reason, code.state) == (403, "name.user-differs", "live")
    assert server.enrol(csr(new_key(), cn), place, source=fresh_address(), headers=basic(cn, code.made["secret"])).status == 200
    assert code.state == "used"


@pytest.mark.parametrize("arg", [{"uses": -1}, {"uses": 0}, {"scope": "pattern", "scope_value": "*" + "a" * 5000}, {"label": "x" * 500}],
                         ids=["endless", "none", "long-scope", "long-label"])
def test_what_would_be_taken_as_something_else_is_refused(server, arg):
    answer = server.op("credential.add", _check=False, kind="code", **{"scope": "any", **arg})
    assert answer["error"]["code"] in ("usage", "format") and next(iter(arg))[:5] in answer["error"]["message"]


def test_a_code_serves_its_uses_and_no_more(server, place):
    code = Key(server, "code", "new", uses=3)
    assert [code.enrol(place, fresh_name()).status for _ in range(4)] == [200, 200, 200, 401]


def test_a_code_beside_a_right_certificate_is_not_used_up(server, place):
    mine, code = server.born(label=place), Key(server, "code", "any", active=True)
    assert server.enrol(csr(new_key(), mine.cn), place, pair=mine, source=fresh_address(), headers=code.fields).status == 200
    assert code.state == "live"


@pytest.mark.parametrize("body, status", [(b"????", 400), (estuary.b64(b"\x30\x00"), 400), (b"", 400)], ids=["junk", "no-request", "empty"])
def test_a_code_is_not_used_up_by_a_request_that_is_refused(server, place, body, status):
    code = Key(server, "code", "new")
    assert server.enrol(None, place, source=fresh_address(), headers=code.fields, body=body).status == status
    assert code.state == "live"


def test_a_code_is_not_used_up_by_a_request_that_the_profile_refuses(server, place):
    code = Key(server, "code", "new")
    answer = server.enrol(csr(new_key(), fresh_name(), [estuary.x509.DNSName("hub.example")]), place, source=fresh_address(), headers=code.fields)
    assert (answer.status, answer.reason, code.state) == (403, "profile.request", "live")


def test_b14_of_fifty_uses_of_one_code_at_once_with_keys_of_their_own_one_gets_a_certificate(server, place):
    code, tag = Key(server, "code", "new"), fresh_name("race")
    requests = [csr(new_key(), f"{tag}-{i}") for i in range(50)]
    answers = parallel(50, lambda i: server.enrol(requests[i], place, headers=code.fields, source=fresh_address()))
    assert sorted(a.status for a in answers) == [200] + [401] * 49
    assert {a.reason for a in answers if a.status != 200} == {"code.used"}
    assert len([d for d in server.op("device.list", q=tag)["items"] if d["certificates"]]) == 1


def test_b14_fifty_uses_of_one_code_at_once_with_one_key_get_one_certificate(server, place):
    code, cn = Key(server, "code", "new"), fresh_name()
    request = csr(new_key(), cn)
    answers = parallel(50, lambda i: server.enrol(request, place, headers=code.fields, source=fresh_address()))
    assert {a.status for a in answers} == {200}
    assert len({a.cert.serial_number for a in answers}) == 1
    assert len(server.op("cert.list", device=cn)["items"]) == 1


def test_a_used_code_gives_another_key_nothing_and_its_own_key_the_same_again(server, place):
    code, cn, key = Key(server, "code", "new"), fresh_name(), new_key()
    first = code.enrol(place, cn, key)
    assert code.enrol(place, cn, key).body == first.body
    again = code.enrol(place, cn)
    assert (again.status, again.reason, again.headers["WWW-Authenticate"]) == (401, "code.used", 'Basic realm="estuary"')


# --- guessing ---

@pytest.mark.parametrize("kind", ["code", "secret"])
def test_guessing_from_one_address_is_slowed_down_and_other_addresses_are_not(server, place, kind):
    here, right = fresh_address(), Key(server, kind, "any", active=True, uses=1000)

    def wrong():
        fields = {SECRET: fresh_name("guess")} if kind == "secret" else basic("", fresh_name("guess"))
        with server.client(source=here) as c:
            return [c.request("POST", f"/.well-known/est/{place}/simpleenroll", estuary.b64(csr(new_key(), "x")),
                              {"Content-Type": "application/pkcs10", **fields}) for _ in range(80)]

    def slowed():
        """Wrong tries fill the measure of this minute; then the right value is not even looked at."""
        wrong()
        answer = right.enrol(place, fresh_name(), source=here)
        return answer if answer.status != 200 else None

    answer = estuary.wait_for("the address to be slowed down", slowed)
    if kind == "code":
        assert (answer.status, answer.reason) == (429, "auth.throttled") and int(answer.headers["Retry-After"]) > 0
    else:
        assert (answer.status, answer.reason) == (403, "secret.wrong")
    assert right.enrol(place, fresh_name(), source=fresh_address()).status == 200
    # The guesses took this second's ration of password hashes too: leave the next test its own.
    estuary.wait_for("the ration", lambda: server.enrol(csr(new_key(), "x"), place, headers=basic("", "x"), source=fresh_address()).status != 429)


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer(server, place):
    key = Key(server, "password", "any")
    user = server.op("credential.show", id=key.made["id"])["user"]

    def ask(u):
        """How many passwords are hashed a second is rationed, which is not what is tested here."""
        answer = server.enrol(csr(new_key(), "x"), place, headers=basic(u, "not-it-at-all"), source=fresh_address())
        return answer if answer.status != 429 else None

    answers = [estuary.wait_for("an answer about the password", lambda u=u: ask(u)) for u in (user, fresh_name("nobody"))]
    assert [a.status for a in answers] == [401, 401]
    assert len({a.text.replace(a.id, "") for a in answers}) == 1


# --- one connection, many requests ---

def hashed(ask):
    """The answer, once the server hashes one more password: of what it hashes in a second the tests before may have had all."""
    return wait_for("the ration of password hashes", lambda: (a := ask()).status != 429 and a)


def test_w5_a_credential_counts_for_its_own_request_alone(server, place):
    key = Key(server, "password", "any", active=True)

    def ask(c, fields):
        return c.request("POST", f"/.well-known/est/{place}/simpleenroll", estuary.b64(csr(new_key(), fresh_name())),
                         {"Content-Type": "application/pkcs10", **fields})

    with server.client(source=fresh_address()) as c:
        assert hashed(lambda: ask(c, key.fields)).status == 200
        bare = ask(c, {})
        assert (bare.status, bare.reason) == (401, "auth.missing")
        assert ask(c, key.fields).status == 200


def test_w5_the_password_of_the_request_before_is_not_the_identity_of_the_next(server, place):
    mine, key, path = server.born(label=place), Key(server, "password", "any", active=True), f"/.well-known/est/{place}/simpleenroll"
    with server.client(pair=mine, source=fresh_address()) as c:
        plain = {"Content-Type": "application/pkcs10"}
        first = hashed(lambda: c.request("POST", path, estuary.b64(csr(new_key(), mine.cn)), {**plain, **key.fields}))
        other = c.request("POST", path, estuary.b64(csr(new_key(), fresh_name())), plain)
    assert first.status == 200
    assert other.status == 403 and other.reason in ("name.other-device", "device.forked")
    assert server.why(other)["actor"] in ("", f"certificate {mine.serial}")


def test_every_accepted_class_is_named_where_all_are_needed(server):
    label = fresh_name("both")
    server.label(label, ca="issuing", profile="device", accept=["own", "basic"], match="all")
    mine, key = server.born(label="ldevid"), Key(server, "password", "any", active=True)
    answer = server.enrol(csr(new_key(), mine.cn), label, pair=mine, source=fresh_address(), headers=key.fields)
    assert answer.status == 200, answer
    assert server.why(answer)["actor"] == f"certificate {mine.serial} + password {key.made['user']}"
