# SPDX-License-Identifier: Apache-2.0
"""Who may come in: certificate x Authorization x secret header x the label's rule, each row against a running server.

The oracle below is the second writing of the table, from the words of the design and not from the server's code:
  - each thing presented counts, is passed over, or is refused outright;
  - what is refused outright ends it, the certificate first, then Authorization, then the secret header;
  - any: one accepted way must be right; all: one of each accepted class (certificate, header, secret) must be;
  - 401 is said only where an Authorization that is not there yet could help, and then with its challenge.
"""
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

import estuary
from estuary import Pair, basic, csr, fresh_address, fresh_name, mint, new_key, wait_for

SECRET = "X-Fleet-Secret"
CLASSES = {"certificate": {"own", "anchor"}, "header": {"basic", "code"}, "secret": {"secret"}}

# state: (effect, the way that it is or None, reason code when it is what the refusal is about, status of that refusal or None)
CERTS = {
    "none": ("nothing", None, "auth.missing", None),
    "own": ("counts", "own", "certificate.not-taken", None),
    "own-by-another-label": ("counts", "own", "certificate.not-taken", None),
    "anchor": ("counts", "anchor", "certificate.not-taken", None),
    "superseded": ("over", None, "certificate.superseded", None),
    "own-expired": ("over", None, "certificate.expired", None),
    "own-not-yet": ("over", None, "certificate.not-yet-valid", None),
    "anchor-elsewhere": ("over", None, "certificate.other-label", None),
    "anchor-expired": ("over", None, "certificate.expired", None),
    "anchor-not-yet": ("over", None, "certificate.not-yet-valid", None),
    "unknown-issuer": ("over", None, "certificate.unknown-issuer", None),
    "self-signed": ("over", None, "certificate.unknown-issuer", None),
    "namesake-issuer": ("over", None, "certificate.unknown-issuer", None),
    "revoked": ("refused", None, "certificate.revoked", 403),
    "not-recorded": ("refused", None, "certificate.not-recorded", 403),
    "below-a-device": ("refused", None, "certificate.not-recorded", 403),
    "own-tls-server": ("refused", None, "certificate.wrong-purpose", 403),
    "own-edge-ca": ("refused", None, "certificate.wrong-purpose", 403),
    "own-signed-ca": ("refused", None, "certificate.wrong-purpose", 403),
    "anchor-wrong-purpose": ("refused", None, "certificate.wrong-purpose", 403),
    "own-unknown-critical": ("refused", None, "certificate.chain", 403),
    "anchor-bad-signature": ("refused", None, "certificate.bad-signature", 403),
}
HEADERS = {
    "none": ("nothing", None, "auth.missing", None),
    "password": ("counts", "basic", "auth.not-taken", None),
    "code": ("counts", "code", "auth.not-taken", None),
    "code+name": ("counts", "code", "auth.not-taken", None),
    "used-code": ("counts", "code", "code.used", 401),
    "used-password": ("counts", "basic", "auth.used", 401),
    "wrong-password": ("refused", None, "auth.wrong", 401),
    "unknown-user": ("refused", None, "auth.wrong", 401),
    "empty-both": ("refused", None, "auth.wrong", 401),
    "wrong-code": ("refused", None, "auth.wrong", 401),
    "expired-code": ("refused", None, "auth.expired", 401),
    "disabled-password": ("refused", None, "auth.expired", 401),
    "disabled-code": ("refused", None, "auth.expired", 401),
    "other-label-password": ("refused", None, "auth.other-label", 401),
    "other-label-code": ("refused", None, "auth.other-label", 401),
    "digest": ("refused", None, "auth.unsupported", 401),
    "bearer": ("refused", None, "auth.unsupported", 401),
    "negotiate": ("refused", None, "auth.unsupported", 401),
    "bad-base64": ("refused", None, "auth.malformed", 400),
    "no-colon": ("refused", None, "auth.malformed", 400),
    "two-fields": ("refused", None, "auth.malformed", 400),
    "empty-field": ("refused", None, "auth.malformed", 400),
    "scheme-alone": ("refused", None, "auth.malformed", 400),
}
SECRETS = {
    "none": ("nothing", None, "auth.missing", None),
    "secret": ("counts", "secret", "secret.not-taken", None),
    "used-secret": ("counts", "secret", "secret.used", 403),
    "wrong-secret": ("refused", None, "secret.wrong", 403),
    "empty-secret": ("refused", None, "secret.empty", 403),
    "repeated-secret": ("refused", None, "secret.repeated", 400),
    "disabled-secret": ("refused", None, "secret.expired", 403),
    "other-label-secret": ("refused", None, "secret.other-label", 403),
}
RULES = [("any", ways) for ways in ("own", "anchor", "basic", "code", "secret", "own,basic", "own,code", "anchor,basic,code",
                                    "own,anchor,basic,code,secret")]
RULES += [("all", ways) for ways in ("own,basic", "anchor,code", "own,secret", "basic,secret", "own,anchor,basic,code,secret")]


def oracle(cert, header, secret, match, accept):
    """(status, reason) that a row must get."""
    accept = set(accept.split(","))
    seen = {"certificate": CERTS[cert], "header": HEADERS[header], "secret": SECRETS[secret]}
    takes_header = bool(accept & CLASSES["header"])

    def refusal(what):
        status = what[3] or (401 if takes_header and seen["header"][1] not in accept else 403)
        return status, what[2]

    for kind, ways in CLASSES.items():
        effect, way, reason, status = seen[kind]
        if kind == "header" and not takes_header and effect != "nothing" and status != 400:
            # What the label does not look at cannot be wrong there; what cannot be read is wrong everywhere.
            seen[kind] = ("over", None, "auth.not-taken", None)
        elif effect == "refused":
            return refusal(seen[kind])
        elif effect == "counts" and way not in accept:
            seen[kind] = ("over", way, reason, status)
    right = {kind for kind in CLASSES if seen[kind][0] == "counts"}
    wanted = [kind for kind, ways in CLASSES.items() if accept & ways]
    if match == "all":
        for kind in wanted:
            if kind not in right:
                return refusal(seen[kind])
    elif not right:
        return refusal(next((seen[k] for k in CLASSES if seen[k][0] == "over"), seen[wanted[0]]))
    # Who speaks: under any the first of own, anchor, basic, code, secret; what is used up vouches for nothing new.
    speaks = [kind for kind in CLASSES if kind in right]
    for kind in speaks if match == "all" else speaks[:1]:
        if {"header": header, "secret": secret}.get(kind, "").startswith("used-"):
            return seen[kind][3], seen[kind][2]
    return 200, "ok"


def rows():
    """The rows that are tested: each state with each rule and with what matters beside it."""
    out = {}
    for match, accept in RULES:
        ways = accept.split(",")
        proven = [s for s, w in (("password", "basic"), ("code", "code")) if w in ways][:1] or ["none"]
        first_cert = next((c for c in ("own", "anchor") if c in ways), "none")
        secret = "secret" if "secret" in ways else "none"
        picks = [(c, h, s) for c in CERTS for h in {"none", proven[0]} for s in {"none", secret}]
        picks += [(c, h, s) for c in {"none", first_cert} for h in HEADERS for s in {"none", secret}]
        picks += [(c, "wrong-password", "none") for c in CERTS]
        if secret != "none":
            picks += [(c, h, s) for c in {"none", first_cert} for h in {"none", proven[0]} for s in SECRETS]
        for c, h, s in sorted(picks):
            shown = "+".join(x for x in (c, h if h != "none" else "", s if s != "none" else "") if x)
            out[f"{shown}@{match}({accept})"] = (c, h, s, match, accept)
    return out


ROWS = rows()


def test_the_table_has_its_two_hundred_rows_and_both_outcomes():
    outcomes = [oracle(*row)[0] for row in ROWS.values()]
    assert len(ROWS) >= 200
    assert {200, 400, 401, 403} == set(outcomes)
    assert 50 < outcomes.count(200) < len(outcomes) / 2


def spki(of):
    return of.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class World:
    """A device, a credential or a certificate for each state, made once for all rows."""

    def __init__(self, server):
        self.server, self.dir = server, os.path.dirname(server.dir)
        self.tag = fresh_name("dt")
        self.home = f"{self.tag}-home"
        server.label(self.home, ca="issuing", profile="device", accept=["own", "code", "basic", "secret"], secret_header=SECRET)
        self.labels = {}
        for i, (match, accept) in enumerate(RULES):
            name = self.labels[match, accept] = f"{self.tag}-{i}"
            extra = {"secret_header": SECRET} if "secret" in accept else {}
            server.label(name, ca="issuing", profile="device", accept=accept.split(","), match=match, grace="0s", **extra)
        self.make_certs()
        self.make_credentials()

    def own_signed(self, **kw):
        """Signed by the issuing CA's very key, past the server: an attacker's dream, or a store restored from an old backup."""
        pem = self.server.op("ca.show", name="issuing")["pem"].encode()
        keys = [os.path.join(self.server.dir, "keys", f) for f in os.listdir(os.path.join(self.server.dir, "keys")) if f.endswith(".pem")]
        ca = x509.load_pem_x509_certificate(pem)
        for path in keys:
            with open(path, "rb") as f:
                key = serialization.load_pem_private_key(f.read(), None)
            if spki(key) == spki(ca):
                mine = new_key()
                return Pair(mint((ca, key), fresh_name("dt"), mine, **kw), mine, self.dir)
        raise AssertionError("the issuing CA's key is not in the keys directory")

    def requested(self, profile):
        """A certificate of another kind, made by an operator."""
        key = new_key()
        got = self.server.op("cert.request", csr=estuary.b64(csr(key, fresh_name("dt"))).decode(), profile=profile)
        return Pair(x509.load_pem_x509_certificate(got["pem"].encode()), key, self.dir)

    def below_a_device(self):
        edge, key = self.requested("edge-ca"), new_key()
        leaf = mint((edge.cert, edge.key), fresh_name("dt"), key)
        return Pair([leaf, edge.cert], key, self.dir)

    def superseded(self):
        old, key = self.server.born(label=self.home), new_key()
        assert self.server.enrol(csr(key, old.cn), self.home, pair=old).status == 200
        return old

    def revoked(self):
        pair = self.server.born(label=self.home)
        self.server.op("cert.revoke", serial=pair.serial)
        return pair

    def make_certs(self):
        s = self.server
        ca, elsewhere, stranger = estuary.OutsideCa(), estuary.OutsideCa(), estuary.OutsideCa()
        namesake = estuary.OutsideCa(ca.cert.subject.rfc4514_string()[3:])
        ca.trust(s, scope="own-name", active=True)
        elsewhere.trust(s, scope="own-name", active=True, label=self.home)
        good, alone = ca.pair(s), new_key()
        broken = good.cert.public_bytes(serialization.Encoding.DER)
        broken = x509.load_der_x509_certificate(broken[:-1] + bytes([broken[-1] ^ 1]))
        own = s.born(label=self.home)
        self.certs = {
            "none": None, "own": own, "own-by-another-label": s.born(label="idevid"), "anchor": good,
            "superseded": self.superseded(), "revoked": self.revoked(),
            "own-expired": self.own_signed(begin=-7200, end=-3600), "own-not-yet": self.own_signed(begin=3600),
            "not-recorded": self.own_signed(), "own-signed-ca": self.own_signed(ca=True),
            "own-unknown-critical": self.own_signed(extensions=[(x509.UnrecognizedExtension(
                x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), True)]),
            "own-tls-server": self.requested("tls-server"), "own-edge-ca": self.requested("edge-ca"),
            "below-a-device": self.below_a_device(),
            "anchor-elsewhere": elsewhere.pair(s), "anchor-expired": ca.pair(s, begin=-7200, end=-3600),
            "anchor-not-yet": ca.pair(s, begin=3600), "unknown-issuer": stranger.pair(s), "namesake-issuer": namesake.pair(s),
            "anchor-wrong-purpose": ca.pair(s, ekus=[ExtendedKeyUsageOID.SERVER_AUTH]),
            "anchor-bad-signature": Pair(broken, good.key, self.dir),
            "self-signed": Pair(mint(None, fresh_name("dt"), alone), alone, self.dir),
        }
        assert set(self.certs) == set(CERTS)

    def credential(self, kind, **kw):
        if kind == "password":
            kw.setdefault("user", fresh_name("user"))
        return self.server.op("credential.add", **{"kind": kind, "scope": "any", "active": True, **kw})

    def disabled(self, kind):
        made = self.credential(kind)
        self.server.op("credential.disable", id=made["id"])
        return made

    def use(self, headers):
        """Use a credential for a device that is in no row."""
        label = self.labels["any", "own,anchor,basic,code,secret"]
        answer = self.server.enrol(csr(new_key(), fresh_name("dt")), label, headers=headers)
        assert answer.status == 200, answer

    def make_credentials(self):
        used, dead = self.credential("code"), self.credential("code", expires="1s")
        assert self.server.enrol(csr(new_key(), fresh_name("dt")), self.home, headers=basic("", used["secret"])).status == 200
        show = lambda c: self.server.op("credential.show", id=c["id"])["state"]  # noqa: E731
        wait_for("the code to expire", lambda: show(dead) == "expired")
        known, once = self.credential("password"), self.credential("password", uses=1)
        far, far_code = self.credential("password", label=self.home), self.credential("code", label=self.home)
        off, off_code = self.disabled("password"), self.disabled("code")
        self.use(basic(once["user"], once["secret"]))
        self.headers = {
            "none": [], "password": [basic(known["user"], known["secret"])], "used-code": [basic("", used["secret"])], "used-password": [basic(once["user"], once["secret"])],
            "wrong-password": [basic(known["user"], known["secret"] + "x")], "unknown-user": [basic("nobody-here", known["secret"])],
            "empty-both": [basic("", "")], "wrong-code": [basic("", "aaaa-bbbb-cccc-dddd-eeee")],
            "expired-code": [basic("", dead["secret"])],
            "disabled-password": [basic(off["user"], off["secret"])], "disabled-code": [basic("", off_code["secret"])],
            "other-label-password": [basic(far["user"], far["secret"])], "other-label-code": [basic("", far_code["secret"])],
            "digest": ['Digest username="x", realm="estuary", nonce="1", uri="/", response="0"'],
            "bearer": ["Bearer " + known["secret"]], "negotiate": ["Negotiate YIIB"],
            "bad-base64": ["Basic !!!!"], "no-colon": ["Basic bm9jb2xvbg=="], "empty-field": [""], "scheme-alone": ["Basic"],
            "two-fields": [basic(known["user"], known["secret"])] * 2,
        }
        value, near = self.credential("secret")["secret"], self.credential("secret", label=self.home)["secret"]
        gone = self.credential("secret", uses=1)["secret"]
        self.use({SECRET: gone})
        self.secrets = {"none": [], "secret": [value], "used-secret": [gone], "wrong-secret": [value + "x"], "empty-secret": [""],
                        "repeated-secret": [value, value], "disabled-secret": [self.disabled("secret")["secret"]],
                        "other-label-secret": [near]}

    def fields(self, header, secret, device):
        """The request's header fields; a code is made for this row alone, its id is returned beside."""
        code = None
        if header in ("code", "code+name"):
            code = self.credential("code")
            values = [basic(device if header == "code+name" else "", code["secret"])]
        else:
            values = self.headers[header]
        pairs = [("Content-Type", "application/pkcs10")]
        pairs += [("Authorization", v["Authorization"] if isinstance(v, dict) else v) for v in values]
        return pairs + [(SECRET, v) for v in self.secrets[secret]], code


@pytest.fixture(scope="session")
def world(server):
    return World(server)


def ask(world, label, pair, fields, device):
    """One request; hashing passwords is rationed for the whole server, which is not what is tested here."""
    body = estuary.b64(csr(new_key(), device))

    def once():
        with world.server.client(pair=pair, source=fresh_address()) as c:
            answer = c.request("POST", f"/.well-known/est/{label}/simpleenroll", body, fields)
        return answer if answer.status != 429 else None

    return wait_for("an answer that is not about the ration of password hashes", once)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_row(world, row):
    cert, header, secret, match, accept = row
    status, reason = oracle(*row)
    pair = world.certs[cert]
    bound = CERTS[cert][0] == "counts" and (cert != "anchor" or "anchor" in accept)
    device = pair.cn if bound else fresh_name("dt")
    fields, code = world.fields(header, secret, device)
    answer = ask(world, world.labels[match, accept], pair, fields, device)

    assert (answer.status, answer.reason if status != 200 else "ok") == (status, reason), answer
    assert answer.headers.get("WWW-Authenticate") == ('Basic realm="estuary"' if status == 401 else None)
    why = world.server.why(answer)
    assert (why["outcome"], why["reason"]) == ("ok" if status == 200 else "refused", reason)
    mine = [c["serial"] for c in world.server.op("cert.list", device=device)["items"] if c["request_id"] == answer.id]
    assert mine == ([format(answer.cert.serial_number, "032x")] if status == 200 else [])
    if code is not None:
        speaks = status == 200 and "code" in accept and (match == "all" or CERTS[cert][1] not in accept.split(","))
        assert world.server.op("credential.show", id=code["id"])["state"] == ("used" if speaks else "live")
