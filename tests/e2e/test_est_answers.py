# SPDX-License-Identifier: Apache-2.0
"""What an EST server may say, and a device must survive: whatever comes, the pair that it has stays, and the reason has a name."""
import base64
import os
import re
import ssl
import threading
import time

import pytest
from cryptography import x509

import estuary
from device import OWN, Device, csr_pem
from estuary import PATIENCE, wait_for
from hostile import BAG_TYPE, HostileEst, answer, bag, sub_ca

BASIC = "Basic " + base64.b64encode(b"pump:s3cret-of-the-pump").decode()


# --- what the server says: kind -> (answer to an enrolment, outcome, check) ---

def whole(ask):
    return estuary.b64(base64.b64decode(bag(ask.server.issue(ask)).split(b"\r\n\r\n", 1)[1]))


def half(ask):
    body = whole(ask)
    return answer(200, body[:len(body) // 2], {"Content-Type": BAG_TYPE, "Connection": "close"}, len(body))


def endless(ask):
    yield answer(200, b"", {"Content-Type": BAG_TYPE}, 10 ** 12)
    while True:
        yield b"TUlJQ" * 13000


def endless_head(ask):
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-More: of the same\r\n" * 1000


def by_weak_ca(ask):
    issuer = sub_ca(ask.server.ca, estuary.new_key("rsa-1024"))
    return bag(ask.server.issue(ask, issuer=issuer), issuer[0])


def by_stranger(ask):
    ca = estuary.OutsideCa()
    return bag(ask.server.issue(ask, issuer=(ca.cert, ca.key)), ca.cert)


def by_leaf(ask):
    """By the certificate of another device of the same CA, which is no CA itself."""
    key = estuary.new_key()
    leaf = estuary.mint((ask.server.ca.cert, ask.server.ca.key), "neighbour", key)
    return bag(ask.server.issue(ask, issuer=(leaf, key)), leaf)


def status(n, **fields):
    return lambda ask: answer(n, b"no\n", {"Content-Type": "text/plain", **{k.replace("_", "-"): v for k, v in fields.items()}})


def plain(body, content_type=BAG_TYPE):
    return lambda ask: answer(200, body, {"Content-Type": content_type})


def issued(**kw):
    return lambda ask: bag(ask.server.issue(ask, **kw))


KINDS = {
    "wrong-key": (lambda a: bag(a.server.issue(a, key=estuary.new_key().public_key())), "bad-answer", "wrong-key"),
    "weak-key": (lambda a: bag(a.server.issue(a, key=estuary.new_key("rsa-1024").public_key())), "bad-answer", "wrong-key"),
    "wrong-name": (issued(subject="somebody-else"), "bad-answer", "wrong-name"),
    "wrong-san": (issued(sans=[x509.DNSName("hub.example")]), "bad-answer", "wrong-name"),
    "expired": (issued(begin=-86400, end=-3600), "bad-answer", "expired"),
    "not-yet-valid": (issued(begin=3600, end=86400), "bad-answer", "not-yet-valid"),
    "is-a-ca": (issued(ca=True), "bad-answer", "is-a-ca"),
    "weak-ca": (by_weak_ca, "bad-answer", "untrusted"),
    "stranger": (by_stranger, "bad-answer", "untrusted"),
    "leaf-as-ca": (by_leaf, "bad-answer", "untrusted"),
    "garbage": (plain(b"\x00\xff no base64 at all \r\n\x1b[2J"), "bad-answer", "garbage"),
    "garbage-in-base64": (plain(estuary.b64(os.urandom(900))), "bad-answer", "garbage"),
    "no-certificates": (lambda a: bag(), "bad-answer", "garbage"),
    "nothing": (plain(b""), "bad-answer", "empty"),
    "half-a-body": (half, "bad-answer", "truncated"),
    "endless-body": (endless, "bad-answer", "too-big"),
    "endless-head": (endless_head, "bad-answer", "too-big"),
    "web-page": (lambda a: plain(whole(a), "text/html")(a), "bad-answer", "wrong-type"),
    "no-http": (lambda a: b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n", "bad-answer", "garbage"),
    "hangs-up": (lambda a: iter([]), "no-server", ""),
    "elsewhere": (status(307, Location="https://elsewhere.example/.well-known/est/simpleenroll"), "bad-answer", "redirect"),
    "to-http": (lambda a: status(307, Location=a.server.url(a.where, "http") + "/simpleenroll")(a), "bad-answer", "redirect"),
    "in-circles": (lambda a: status(307, Location=a.server.url(a.where) + "/simpleenroll")(a), "bad-answer", "redirect"),
    "no-content": (lambda a: answer(204), "bad-answer", "wrong-status"),
    "who-are-you": (status(401, WWW_Authenticate='Basic realm="again"'), "client-refused", ""),
    "forbidden": (status(403), "client-refused", ""),
    "bad-request": (status(400), "request-refused", ""),
    "too-many": (status(429, Retry_After="3600"), "busy", ""),
    "broken": (status(500), "busy", ""),
    "busy": (status(503, Retry_After="3600"), "busy", ""),
}
SERVERS_CHOOSE = {"wrong-name", "wrong-san"}  # when no certificate is there yet; only a renewal keeps its names
SILENT = {"no-http", "hangs-up", "endless-head"}  # no request ID can be read

# What a server shows of itself: kind -> how it becomes, for each version of TLS
POSES = {
    "ended": {"begin": -86400, "end": -60}, "another": {"name": "other.example"}, "unknown": {"issuer": estuary.OutsideCa("nobody")},
}
VERSIONS = {"tls12": ssl.TLSVersion.TLSv1_2, "tls13": ssl.TLSVersion.TLSv1_3}

TIMEOUT = max(3, round(PATIENCE / 10))  # seconds of an exchange with a server, as configured
OTHERS = ["roots", "pending", "wait", "hang", "others", "cas", "weak-cas", "drip", "away", "again"]


class World:
    """One device with an identity for each kind of answer, and the servers that give them."""

    def __init__(self, directory):
        self.directory = directory
        self.est = HostileEst(directory)
        self.posers = {f"{kind}-{v}": HostileEst(directory, self.est.ca) for kind in [*POSES, "alert"] for v in VERSIONS}
        self.device = Device(directory / "device")
        pair = estuary.Pair(self.issue("bootstrap"), self.key, directory)
        cert_uri, key_uri = self.device.keep_pair("bootstrap", pair)
        head = f"""
[cert_issuance.est]
trusted_certs = ["{self.device.file('ca.pem', self.est.ca.pem).as_uri()}"]
trust_system = false
timeout = "{TIMEOUT}s"

[preloaded_certs]
bootstrap = "{cert_uri}"

[[principal]]
uid = {os.getuid()}
certs = ["*"]
"""
        places = {n: self.est for k in [*KINDS, *OTHERS] for n in (k, f"first-{k}")}
        places.update({n: s for k, s in self.posers.items() for n in (k, f"first-{k}")})
        self.device.configure("certd", head + "".join(self.entry(n, s) for n, s in places.items()))
        self.device.configure("keyd", f"""
[preloaded_keys]
bootstrap = "{key_uri}"
[[principal]]
uid = {os.getuid()}
keys = ["*"]
""")
        self.device.start()

    def issue(self, cn):
        self.key = estuary.new_key()
        return estuary.mint((self.est.ca.cert, self.est.ca.key), cn, self.key)

    @staticmethod
    def entry(name, server):
        return f"""
[cert_issuance.{name}]
method = "est"
url = "{server.url(name)}"
username = "pump"
password = "s3cret-of-the-pump"
identity_cert = "{name}-id"
identity_pk = "{name}-id"
bootstrap_identity_cert = "bootstrap"
bootstrap_identity_pk = "bootstrap"
"""

    def ask(self, name, key=None):
        return self.device.request(name, csr_pem(estuary.csr(key or estuary.new_key(), name)))

    def have(self, name):
        """An honest server, an identity that it took, a certificate."""
        got = self.ask(name)
        assert got.status == 201, f"{got}\n{self.device.certd.log[-4000:]}"
        return self.settled(name, 1)

    def settled(self, name, generation):
        def look():
            c = self.device.credential(f"{name}-id")
            return c if c["generation"] >= generation and c["state"] == "idle" and c["proved"] and c["usable"] else None
        return wait_for(f"generation {generation} of {name}", look)

    def renew(self, name):
        assert self.device.certd.request("POST", f"/renew/{name}-id", version=OWN).status == 202

    def failure(self, name, after=None):
        """The last error of the identity, when there is another than `after`."""
        def look():
            e = self.device.credential(f"{name}-id")["last_error"]
            return e if e and e != after else None
        return wait_for(f"an error of {name}", look)

    def files(self, name):
        """What must not change: the pair and the certificate, as octets."""
        d = self.device
        return [p.read_bytes() if p.exists() else None for p in (d.cert_file(f"{name}-id"), d.key_file(f"{name}-id"), d.cert_file(name))]

    def served(self, name):
        return self.device.certd.request("GET", f"/certificates/{name}-id").json["pem"].encode()

    def told(self, name):
        """The paragraph on the identity in what people are shown."""
        r = self.device.agent("status", check=False)
        assert r.returncode == 3, r.stdout + r.stderr
        return re.search(rf"^{name}-id .*?(?=\n\n|\Z)", r.stdout, re.M | re.S).group(0)

    def pause(self, name):
        assert self.device.certd.request("POST", f"/disable/{name}-id", version=OWN).status == 204

    def stop(self):
        for s in [self.est, *self.posers.values()]:
            s.stop()
        self.device.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("answers"))
    certd = w.device.certd.process.pid
    yield w
    assert w.device.certd.process.poll() is None and w.device.certd.process.pid == certd
    w.stop()


def enrolments(fn):
    """Only requests for certificates are answered badly."""
    return lambda ask: fn(ask) if ask.operation != "cacerts" else None


def check_named(world, name, error, outcome, check, request_id=True):
    assert (error["outcome"], error["check"]) == (outcome, check), error
    assert error["text"] and error["time"] > 0, error
    assert not re.search(r"[\x00-\x1f\x7f]", error["text"])
    if request_id:
        assert error["request_id"] == "hostile-7", error
    told = world.told(name)
    assert f"{check or outcome}: " in told and error["text"][:40] in told, told
    assert not request_id or "hostile-7" in told


# --- every kind of answer, to the first and to the next request ---

@pytest.mark.parametrize("kind", KINDS)
def test_a_first_identity_is_not_taken_from_a_bad_answer_and_the_reason_has_a_name(world, kind):
    fn, outcome, check = KINDS[kind]
    name = f"first-{kind}"
    world.est.script[name] = enrolments(fn)
    got = world.ask(name)
    if kind in SERVERS_CHOOSE:
        assert got.status == 201, got
        return
    assert got.status == 503 and got.headers["Retry-After"], got
    assert world.files(name)[0] is None and world.files(name)[2] is None
    check_named(world, name, world.failure(name), outcome, check, kind not in SILENT)
    assert len(world.est.of(name, "simpleenroll")) <= 2
    # The way is open as soon as the server is itself again.
    del world.est.script[name]
    world.renew(name)
    world.settled(name, 1)
    assert world.ask(name).status == 201 and world.device.matches(f"{name}-id")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_answer_to_a_renewal_replaces_nothing(world, kind):
    fn, outcome, check = KINDS[kind]
    world.have(kind)
    before, asked = world.files(kind), len(world.est.of(kind, "simpleenroll"))
    world.est.script[kind] = enrolments(fn)
    world.renew(kind)
    check_named(world, kind, world.failure(kind), outcome, check, kind not in SILENT)
    assert world.files(kind) == before and world.served(kind) == before[0] and world.device.matches(f"{kind}-id")
    assert len(world.est.of(kind, "simpleenroll")) - asked <= 2
    del world.est.script[kind]
    world.renew(kind)
    world.settled(kind, 2)
    assert world.device.matches(f"{kind}-id") and world.files(kind)[0] != before[0]
    assert world.device.credential(f"{kind}-id")["last_error"] is None


@pytest.mark.parametrize("kind", sorted(set(KINDS) - SERVERS_CHOOSE))
def test_a_bad_answer_to_a_request_replaces_nothing(world, kind):
    fn, outcome, check = KINDS[kind]
    world.have(kind)
    before, asked = world.files(kind), len(world.est.of(kind, "simpleenroll"))
    world.est.script[kind] = enrolments(fn)
    got = world.ask(kind)
    assert got.status == {"busy": 503, "no-server": 503, "request-refused": 403}.get(outcome, 500), got
    assert world.files(kind) == before and world.served(kind) == before[0] and world.device.matches(f"{kind}-id")
    assert len(world.est.of(kind, "simpleenroll")) - asked <= 3  # a refused identity lets the bootstrap try
    said = world.device.certd.log.rsplit(f"Certificate {kind} was not issued: ", 1)[1].split("\n")[0]
    assert said.startswith(f"{outcome}, {check}: " if check else f"{outcome}: "), said
    assert kind in SILENT or said.endswith("; request hostile-7")
    if got.status != 500:
        assert got.message == said
    del world.est.script[kind]
    assert world.ask(kind).status == 201


# --- servers that are not who they should be ---

def seen(server):
    """All that a device could have told: requests, octets inside TLS, handshakes that it finished."""
    return len(server.asks), server.octets, server.handshakes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pose", POSES)
def test_a_server_that_is_not_verified_learns_nothing(world, pose, version):
    name = f"{pose}-{version}"
    server = world.posers[name]
    world.have(name)
    assert any(a.headers.get("authorization") == BASIC for a in server.asks) and any(a.client for a in server.asks)
    before, had = world.files(name), seen(server)
    server.become(tls=VERSIONS[version], **POSES[pose])
    world.renew(name)
    check_named(world, name, world.failure(name), "server-untrusted", "untrusted", False)
    assert world.ask(name).status == 500
    assert world.ask(f"first-{name}").status == 503
    check_named(world, f"first-{name}", world.failure(f"first-{name}"), "server-untrusted", "untrusted", False)
    assert server.connections >= 3 and seen(server) == had
    assert world.files(name) == before and world.served(name) == before[0] and world.device.matches(f"{name}-id")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_alert_that_refuses_the_client_is_told_from_other_failures(world, version):
    name = f"alert-{version}"
    server = world.posers[name]
    world.have(name)
    before, had = world.files(name), len(server.asks)
    server.become(tls=VERSIONS[version], clients_of=estuary.OutsideCa())
    world.renew(name)
    check_named(world, name, world.failure(name), "client-refused", "", False)
    assert world.ask(f"first-{name}").status == 503
    check_named(world, f"first-{name}", world.failure(f"first-{name}"), "client-refused", "", False)
    assert len(server.asks) == had and world.files(name) == before and world.device.matches(f"{name}-id")
    server.become(tls=VERSIONS[version])
    world.renew(name)
    world.settled(name, 2)


# --- more than one answer ---

def test_roots_that_nobody_vouches_for_are_left_out_and_never_trusted(world):
    stray = estuary.OutsideCa("stray-root")
    world.est.script["roots"] = lambda a: bag(world.est.ca.cert, stray.cert) if a.operation == "cacerts" else \
        bag(world.est.issue(a), stray.cert, world.est.ca.cert)
    world.have("roots")
    for there in ("roots", "roots-id"):
        chain = world.device.cert_file(there).read_bytes().decode()
        ders = [x509.load_pem_x509_certificate(("-----BEGIN" + p).encode()) for p in chain.split("-----BEGIN")[1:]]
        assert stray.cert not in ders and len(ders) == len(set(ders))
    assert "extra-roots" in world.device.certd.log
    before = world.files("roots")
    # Neither a certificate by it, nor a server: not even after it was shown again and again.
    world.est.script["roots"] = enrolments(lambda a: bag(world.est.issue(a, issuer=(stray.cert, stray.key)), stray.cert))
    world.renew("roots")
    assert world.failure("roots")["check"] == "untrusted"
    world.est.become(issuer=stray)
    try:
        had = seen(world.est)
        world.renew("roots")
        wait_for("the server to be refused", lambda: world.device.credential("roots-id")["last_error"]["outcome"] == "server-untrusted")
        assert seen(world.est) == had
    finally:
        world.est.become()
    assert world.files("roots") == before


def test_a_broken_list_of_ca_certificates_does_not_keep_a_good_certificate_away(world):
    world.est.script["cas"] = lambda a: plain(b"garbage")(a) if a.operation == "cacerts" else None
    world.have("cas")
    assert "went on without cacerts" in world.device.certd.log and world.device.matches("cas-id")


def test_401_without_end_is_asked_a_few_times_and_no_more(world):
    world.have("again")
    before, asked = world.files("again"), len(world.est.of("again"))
    world.est.script["again"] = status(401, WWW_Authenticate='Basic realm="again"')
    world.renew("again")
    check_named(world, "again", world.failure("again"), "client-refused", "")
    asks = world.est.of("again")[asked:]
    assert [a.operation for a in asks] == ["cacerts", "cacerts", "simpleenroll"] and world.files("again") == before
    # A password is not shown to whoever lists CA certificates before it was asked for.
    assert [a.headers.get("authorization") for a in asks] == [None, BASIC, BASIC]


def test_a_weak_ca_in_the_list_does_not_make_a_good_certificate_useless(world):
    """What a TLS library does not show to anybody must not come into the chain that it is to show."""
    weak = sub_ca(world.est.ca, estuary.new_key("rsa-1024"))[0]
    world.est.script["weak-cas"] = lambda a: bag(world.est.ca.cert, weak) if a.operation == "cacerts" else None
    world.have("weak-cas")
    world.renew("weak-cas")
    world.settled("weak-cas", 2)


def test_a_server_that_drips_is_left_when_the_time_is_over(world):
    """Neither a body nor a head that comes an octet at a time keeps a renewal, or whoever asked, for longer than configured."""
    def drip(ask):
        said = ask.server.honest(ask)
        for i in range(len(said)):
            yield said[i:i + 1]
            time.sleep(0.05)

    world.have("drip")
    before, begin = world.files("drip"), time.monotonic()
    world.est.script["drip"] = world.est.script["first-drip"] = drip
    world.renew("drip")
    first = threading.Thread(target=world.ask, args=("first-drip",))
    first.start()
    for name in ("drip", "first-drip"):
        check_named(world, name, world.failure(name), "no-server", "", False)
    first.join(PATIENCE)
    assert TIMEOUT * 0.9 <= time.monotonic() - begin <= TIMEOUT * 2 + 5
    assert world.files("drip") == before and world.device.matches("drip-id")


def test_a_request_that_found_no_server_does_not_hold_up_the_renewal_of_the_identity(world):
    world.have("away")
    world.est.script["away"] = lambda a: iter([])
    assert world.ask("away").status == 503
    del world.est.script["away"]
    world.renew("away")
    world.settled("away", 2)


def gaps(asks):
    return [b.time - a.time for a, b in zip(asks, asks[1:])]


def test_a_renewal_that_waits_for_approval_is_asked_again_no_sooner_than_told(world):
    short = {"begin": -5, "end": 95}
    world.est.script["wait"] = enrolments(issued(**short))
    world.have("wait")
    before, first = world.files("wait"), len(world.est.of("wait", "simpleenroll"))
    world.est.script["wait"] = enrolments(status(202, Retry_After="2"))
    world.renew("wait")
    polls = wait_for("three polls", lambda: len(p := world.est.of("wait", "simpleenroll")[first:]) >= 3 and p)
    assert min(gaps(polls)) >= 1.9
    assert len({p.csr.public_key().public_numbers() for p in polls}) == 1
    check_named(world, "wait", world.failure("wait"), "pending", "")
    c = world.device.credential("wait-id")
    assert c["state"] == "asked" and c["tries"] >= 2 and world.files("wait") == before and world.device.matches("wait-id")
    world.est.script["wait"] = enrolments(issued(**short))
    world.settled("wait", 2)
    assert world.device.matches("wait-id")


def test_a_request_that_waits_for_approval_is_polled_until_the_certificate_comes(world):
    world.have("pending")
    first, key = len(world.est.of("pending", "simpleenroll")), estuary.new_key()
    world.est.script["pending"] = enrolments(status(202, Retry_After="1"))
    before = world.files("pending")
    got = world.ask("pending", key)
    assert got.status == 503 and got.headers["Retry-After"] and "decide" in got.message or "pending" in got.message, got
    for _ in range(5):
        assert world.ask("pending", key).status == 503  # answered from what is known: the server is not asked for it
    polls = wait_for("four polls", lambda: len(p := world.est.of("pending", "simpleenroll")[first:]) >= 4 and p)
    assert min(gaps(polls)) >= 0.95 and world.files("pending") == before
    del world.est.script["pending"]
    wait_for("the certificate", lambda: world.files("pending")[2] != before[2])
    got = world.ask("pending", key)
    assert got.status == 201 and got.json["pem"].encode() == world.files("pending")[2]
    assert x509.load_pem_x509_certificate(got.json["pem"].encode()).public_key().public_numbers() == key.public_key().public_numbers()


def test_h9_reads_are_answered_at_once_while_a_server_hangs(world):
    world.have("hang")
    released, waiting = threading.Event(), threading.Event()

    def hang(ask):
        waiting.set()
        released.wait(PATIENCE)
        yield b""

    world.est.script["hang"] = hang
    said = []
    posting = [threading.Thread(target=lambda: said.append(world.ask("hang"))) for _ in range(3)]
    for t in posting:
        t.start()
    try:
        assert waiting.wait(PATIENCE)
        took = []
        for _ in range(100):
            begin = time.perf_counter()
            assert world.device.certd.request("GET", "/certificates/hang-id").status == 200
            took.append(time.perf_counter() - begin)
        assert not said, "the server does not hang"
        assert sorted(took)[98] < 0.05 * max(1.0, PATIENCE / 30), sorted(took)[-5:]
        # Others are served as well: another certificate of another server's.
        assert world.ask("others").status == 201
    finally:
        released.set()
        world.est.script.pop("hang")
        for t in posting:
            t.join(PATIENCE)
    assert [a.status for a in said] == [503] * 3 or 201 in [a.status for a in said], said
