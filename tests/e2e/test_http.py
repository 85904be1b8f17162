# SPDX-License-Identifier: Apache-2.0
"""HTTP as EST clients, and attackers, speak it: framing, methods, limits, connections (RFC 9110, 9112)."""
import re
import socket
import time

import pytest

from estuary import Raw, b64, basic, csr, fresh_address, fresh_name, new_key

CACERTS = "/.well-known/est/cacerts"
GET = b"GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n"
ENROL = "/.well-known/est/idevid/simpleenroll"


def head(method, path, *fields, version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *fields, "", ""]).encode()


def enrolment(server, *fields, body=None, path=ENROL, version="1.1", cn=None):
    """Head and body of an enrolment by a new code."""
    body = b64(csr(new_key(), cn or fresh_name())) if body is None else body
    auth = basic("", server.new_code())["Authorization"]
    return head("POST", path, "Content-Type: application/pkcs10", f"Authorization: {auth}", *fields, version=version), body


@pytest.fixture
def raw(server):
    opened = []

    def connect(**kw):
        opened.append(Raw(server, **kw))
        return opened[-1]

    yield connect
    for c in opened:
        c.close()


# --- what every answer looks like ---

def answers(server):
    """One of each kind that a device can get."""
    with server.client() as c:
        yield c.request("GET", CACERTS)
        yield c.request("GET", "/.well-known/est/none/cacerts")
        yield c.request("POST", CACERTS, b"")
        yield c.request("POST", ENROL, b"x")
        yield c.request("POST", ENROL, b64(csr(new_key(), fresh_name())), {"Content-Type": "application/pkcs10", **basic("", server.new_code())})
        yield c.request("GET", "/health/live")
        yield c.request("GET", "/a%2fb")


def test_every_answer_has_its_length_and_is_never_chunked(server):
    """C6"""
    for a in answers(server):
        assert int(a.headers["Content-Length"]) == len(a.body) and a.headers["Transfer-Encoding"] is None, a


def test_every_answer_has_a_request_id_of_its_own(server):
    ids = [a.id for a in answers(server)]
    assert all(re.fullmatch(r"r[0-9a-f]{24}", i) for i in ids) and len(set(ids)) == len(ids)


def test_request_ids_begin_with_the_time_in_order(server):
    """A record of a moment is beside those of the same moment in the index over them."""
    before = time.time_ns() // 1000000
    ms = [int(a.id[1:13], 16) for a in answers(server)]
    assert before <= ms[0] and ms == sorted(ms) and ms[-1] <= time.time_ns() // 1000000


def test_every_refusal_is_plain_text_with_reason_and_id(server):
    """C1; RFC 7030 4.2.3, RFC 8951 5"""
    refusals = [a for a in answers(server) if a.status >= 400]
    assert [a.status for a in refusals] == [404, 405, 401, 400]
    for a in refusals:
        assert a.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert re.fullmatch(rf"[a-z.-]+: [ -~]+\nrequest: {a.id}\n", a.text), a


def test_field_names_are_written_in_their_usual_case(raw):
    """C6: old clients look for Content-Type octet by octet."""
    names = re.findall(r"^([^:\r\n]+): ", raw().send(GET + b"\r\n").answer().raw.decode(), re.M)
    assert {"Content-Type", "Content-Length", "Content-Transfer-Encoding", "X-Request-Id", "ETag"} <= set(names)


def test_head_and_body_of_an_answer_leave_in_one_tls_record(raw):
    """C6: some clients read once."""
    c = raw().send(GET + b"\r\n")
    first = c.more()
    a = c.answer()
    assert first.endswith(a.body) and first.startswith(b"HTTP/1.1 200")


def test_an_issued_certificate_is_not_stored_by_caches(server):
    """C11"""
    (enrolled,) = [a for a in answers(server) if a.headers["Content-Type"].endswith("certs-only")]
    assert enrolled.headers["Cache-Control"] == "no-store"


def test_cacerts_that_have_not_changed_are_not_sent_again(server):
    """D6"""
    with server.client() as c:
        tag = c.request("GET", CACERTS).headers["ETag"]
        again = c.request("GET", CACERTS, headers={"If-None-Match": tag})
        other = c.request("GET", CACERTS, headers={"If-None-Match": '"another"'})
        any_at_all = c.request("GET", CACERTS, headers={"If-None-Match": "*"})
    assert (again.status, again.body, other.status, any_at_all.status) == (304, b"", 200, 304)


# --- versions and connections ---

def test_a_1_0_client_gets_a_1_0_answer_and_a_closed_connection(raw):
    """C7"""
    c = raw().send(b"GET /.well-known/est/cacerts HTTP/1.0\r\n\r\n")
    a = c.answer()
    assert (a.status, a.version) == (200, 10) and int(a.headers["Content-Length"]) == len(a.body)
    assert c.ended()


def test_a_1_0_client_can_enrol(server, raw):
    """C7"""
    h, body = enrolment(server, "Content-Length: %d", version="1.0")
    c = raw().send(h.replace(b"%d", b"%d" % len(body)) + body)
    a = c.answer()
    assert (a.status, a.version) == (200, 10) and c.ended()


def test_a_1_0_client_that_asks_for_keep_alive_is_closed_all_the_same(raw):
    """C7: RFC 9112 9.3"""
    c = raw().send(b"GET /.well-known/est/cacerts HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert c.answer().status == 200 and c.ended()


@pytest.mark.parametrize("request_line", [b"POST %s HTTP/1.0\r\nContent-Length: 999999", b"BREW %s HTTP/1.0", b"GET /../x HTTP/1.0"],
                         ids=["body-size", "method", "path"])
def test_a_1_0_client_is_refused_in_1_0(raw, request_line):
    """C7"""
    a = raw().send(request_line.replace(b"%s", CACERTS.encode()) + b"\r\n\r\n").answer()
    assert a.status >= 400 and a.version == 10


@pytest.mark.parametrize("rest", [b"HEAD / HTTP/1.1\r\n\r\n", b"HEAD /../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                  b"HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n"], ids=["host", "path", "body-size"])
def test_a_refusal_of_head_has_no_body(raw, rest):
    """RFC 9110 9.3.2"""
    c = raw().send(rest)
    assert c.answer(head=True).status >= 400 and c.ended()


def test_a_refusal_after_a_head_request_has_its_body(raw):
    c = raw().send(GET.replace(b"GET", b"HEAD") + b"\r\n")
    assert c.answer(head=True).status == 200
    assert "request: r" in c.send(b"GET / HTTP/1.1\r\nbad\x00\r\n\r\n").answer().text


def test_a_connection_serves_many_requests(server):
    with server.client() as c:
        assert [c.request("GET", CACERTS).status for _ in range(30)] == [200] * 30


def test_connection_close_is_honoured(raw):
    c = raw().send(GET + b"Connection: close\r\n\r\n")
    a = c.answer()
    assert a.status == 200 and a.headers["Connection"].lower() == "close" and c.ended()


def test_pipelined_requests_are_answered_in_their_order(raw):
    c = raw()
    c.send(b"".join(head("GET", p) for p in (CACERTS, "/health/live", "/nothing", CACERTS, "/health/live")))
    assert [c.answer().status for _ in range(5)] == [200, 200, 404, 200, 200]


def test_pipelined_enrolments_get_each_their_own_certificate(server, raw):
    names, octets = [fresh_name() for _ in range(3)], b""
    for n in names:
        h, body = enrolment(server, "Content-Length: %d", cn=n)
        octets += h.replace(b"%d", b"%d" % len(body)) + body
    c = raw().send(octets)
    assert [c.answer().cert.subject.rfc4514_string() for _ in names] == [f"CN={n}" for n in names]


def test_empty_lines_before_a_request_line_are_passed_over(raw):
    """C8: RFC 9112 2.2; libest sends one after each GET."""
    c = raw().send(b"\r\n" + GET + b"\r\n")
    assert c.answer().status == 200
    assert c.send(b"\r\n" + GET + b"\r\n\r\n").answer().status == 200
    assert c.send(GET + b"\r\n").answer().status == 200


def test_a_request_may_arrive_octet_by_octet(raw):
    c = raw()
    for octet in GET + b"\r\n":
        c.send(bytes([octet]))
    assert c.answer().status == 200


def test_head_answers_what_get_answers_without_the_body(raw):
    """C11"""
    c = raw()
    got = c.send(GET + b"\r\n").answer()
    a = c.send(head("HEAD", CACERTS)).answer(head=True)
    assert a.status == 200 and a.headers["Content-Length"] == got.headers["Content-Length"] and a.body == b""
    assert c.send(GET + b"\r\n").answer().body == got.body


def test_expect_100_continue_is_answered_before_the_body(server, raw):
    """C9: RFC 9110 10.1.1"""
    h, body = enrolment(server, "Content-Length: %d", "Expect: 100-continue")
    c = raw().send(h.replace(b"%d", b"%d" % len(body)))
    assert c.answer().status == 100
    a = c.send(body).answer()
    assert a.status == 200 and len(a.certs) == 1


def test_another_expectation_is_refused(raw):
    """C9"""
    assert raw().send(GET + b"Expect: miracles\r\n\r\n").answer().status == 417


def test_an_identity_is_not_carried_from_one_request_to_the_next(server):
    """W5"""
    user = fresh_name("user")
    server.op("credential.add", kind="password", user=user, secret="right-horse", label="idevid", scope="new")
    fields = {"Content-Type": "application/pkcs10"}
    with server.client(source=fresh_address()) as c:
        first = c.request("POST", ENROL, b64(csr(new_key(), fresh_name())), {**fields, **basic(user, "right-horse")})
        second = c.request("POST", ENROL, b64(csr(new_key(), fresh_name())), fields)
    assert (first.status, second.status) == (200, 401)


@pytest.mark.parametrize("field", ["X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-ARR-ClientCert"])
def test_a_certificate_in_a_header_field_is_none(server, field):
    """W6"""
    pem = open(server.born().cert_file, encoding="ascii").read().replace("\n", "%0A")
    a = server.enrol(csr(new_key(), fresh_name()), headers={field: pem, "X-SSL-Client-Verify": "SUCCESS", "X-Forwarded-For": "127.0.0.1"})
    assert (a.status, a.reason) == (401, "auth.missing")


# --- bodies ---

@pytest.mark.parametrize("how", ["length", "chunked"])
def test_a_body_that_tls_has_read_ahead_is_not_waited_for(server, raw, how):
    """Head and body are two TLS records in one segment: the second makes no event of its own."""
    h, body = enrolment(server, "Content-Length: %d" if how == "length" else "Transfer-Encoding: chunked")
    h = h.replace(b"%d", b"%d" % len(body))
    pieces = [h, body] if how == "length" else [h, *(chunked(body, 100).partition(b"\r\n"))]
    c = raw()
    c.sock.settimeout(5)
    for again in range(2 if how == "length" else 1):
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for piece in pieces:
            c.send(piece)
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        assert c.answer().status == 200


def chunked(body, *sizes, ext=b""):
    out, at = b"", 0
    for n in [*sizes, len(body) - sum(sizes)]:
        out += b"%x%s\r\n%s\r\n" % (n, ext, body[at:at + n])
        at += n
    return out + b"0\r\n\r\n"


def test_a_chunked_request_is_read(server, raw):
    """C10"""
    h, body = enrolment(server, "Transfer-Encoding: chunked")
    a = raw().send(h + chunked(body, 1, 63, 100)).answer()
    assert a.status == 200 and len(a.certs) == 1


def test_a_body_over_64_kib_is_refused_by_its_announced_length(server, raw):
    """S3"""
    h, _ = enrolment(server, "Content-Length: 65537")
    c = raw().send(h)
    assert c.answer().status == 413 and c.ended()


def test_a_chunked_body_over_64_kib_is_refused(server, raw):
    """S3"""
    h, _ = enrolment(server, "Transfer-Encoding: chunked")
    c = raw().send(h)
    try:
        for _ in range(5):
            c.send(b"4000\r\n" + b"A" * 0x4000 + b"\r\n")
    except OSError:
        pass  # refused before we were done
    assert c.answer().status == 413


def test_a_body_of_64_kib_is_read_and_judged(server, raw):
    """S3: 413 or 400, but for what it says."""
    h, _ = enrolment(server, "Content-Length: 65536")
    c = raw().send(h + b"A" * 65536)
    a = c.answer()
    assert a.status in (400, 413) and a.reason == "request.encoding", a
    assert c.send(GET + b"\r\n").answer().status == 200


@pytest.mark.parametrize("fields", [["Content-Length: 0"], []], ids=["empty", "none"])
def test_an_enrolment_without_a_body_is_a_bad_request(server, raw, fields):
    h, _ = enrolment(server, *fields)
    a = raw().send(h).answer()
    assert (a.status, a.reason) == (400, "request.encoding")


# --- methods, targets, limits of the head ---

@pytest.mark.parametrize("op, allow, others", [
    ("cacerts", "GET, HEAD", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    ("csrattrs", "GET, HEAD", ["POST", "PUT", "DELETE"]),
    ("simpleenroll", "POST", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    ("simplereenroll", "POST", ["GET", "HEAD", "PUT"]),
])
def test_another_method_is_told_the_right_one(server, op, allow, others):
    """E1: RFC 9110 15.5.6"""
    with server.client() as c:
        for method in others:
            a = c.request(method, f"/.well-known/est/{op}")
            assert (a.status, a.headers["Allow"]) == (405, allow), method


@pytest.mark.parametrize("method", ["get", "BREW", "PROPFIND", "CONNECT", "TRACE", "G", "X" * 17, "GE\tT"])
def test_a_method_that_we_do_not_know_gets_nothing(raw, method):
    """B3: RFC 9110 9.1"""
    c = raw().send(f"{method} {CACERTS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert c.answer().status in (400, 405, 501) and c.ended()


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1", "http/1.1", "HTTP/1.1 ", "HTTP/11.1", ""])
def test_a_version_that_we_do_not_speak_is_refused(raw, version):
    c = raw().send(f"GET {CACERTS} {version}\r\nHost: localhost\r\n\r\n".encode())
    assert c.answer().status in (400, 505) and c.ended()


def test_an_absolute_target_is_read(raw):
    """B5: RFC 9112 3.2.2"""
    for version in (b"1.0", b"1.1"):
        assert raw().send(b"GET https://localhost/.well-known/est/cacerts HTTP/" + version + b"\r\nHost: localhost\r\n\r\n").answer().status == 200


def test_the_name_of_the_transfer_encoding_is_read_in_any_case(server, raw):
    """RFC 9112 7"""
    h, body = enrolment(server, "Transfer-Encoding: Chunked")
    assert raw().send(h + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)).answer().status == 200


@pytest.mark.parametrize("hosts", [[], ["a", "b"], ["a", "a"], ["a,b"], ["a/b"], ["a b"], ["@"], ["x" * 256]],
                         ids=["none", "two", "twice", "comma", "slash", "blank", "at", "long"])
def test_a_request_needs_one_good_host(raw, hosts):
    """B5: RFC 9112 3.2"""
    fields = "".join(f"Host: {h}\r\n" for h in hosts)
    assert raw().send(f"GET {CACERTS} HTTP/1.1\r\n{fields}\r\n".encode()).answer().status == 400


@pytest.mark.parametrize("octets, status", [
    (GET + b"X-Long: " + b"a" * 8192 + b"\r\n\r\n", 431),
    (GET + b"".join(b"X-%d: a\r\n" % n for n in range(64)) + b"\r\n", 431),
    (b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    (b"GET /" + b"a" * 9000, 431),
], ids=["field", "fields", "target", "line"])
def test_a_head_over_its_limits_is_refused_and_closed(raw, octets, status):
    """W3"""
    c = raw().send(octets)
    a = c.answer()
    assert a.status in (status, 414 if b"/aaa" in octets else status) and c.ended()


# --- one meaning: what could be read in two ways is refused, and the connection with it (W1, C10) ---

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(*fields, body=b""):
    return b"POST /.well-known/est/simpleenroll HTTP/1.1\r\n" + b"".join(f + b"\r\n" for f in (b"Host: localhost", *fields)) + b"\r\n" + body


TE, CL = b"Transfer-Encoding: chunked", b"Content-Length: 5"
AMBIGUOUS = {
    "length and chunked": post(CL, TE, body=b"0\r\n\r\n"),
    "chunked and length": post(TE, CL, body=b"0\r\n\r\n"),
    "two lengths that differ": post(CL, b"Content-Length: 0", body=b"hello"),
    "two lengths that agree": post(CL, CL, body=b"hello"),
    "a list of lengths": post(b"Content-Length: 5, 5", body=b"hello"),
    "length with plus": post(b"Content-Length: +5", body=b"hello"),
    "length with minus": post(b"Content-Length: -5", body=b"hello"),
    "length in hex": post(b"Content-Length: 0x5", body=b"hello"),
    "length with a blank": post(b"Content-Length: 5 5", body=b"hello"),
    "length with a fraction": post(b"Content-Length: 5.0", body=b"hello"),
    "length in other digits": post("Content-Length: \u0665".encode(), body=b"hello"),
    "length empty": post(b"Content-Length:", body=b"hello"),
    "length over 2^64": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "length over 2^63": post(b"Content-Length: 9223372036854775808", body=b"hello"),
    "another encoding": post(b"Transfer-Encoding: gzip", body=b"hello"),
    "an encoding before chunked": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked in two fields": post(TE, TE, body=b"0\r\n\r\n"),
    "chunked with a parameter": post(b"Transfer-Encoding: chunked;a=b", body=b"0\r\n\r\n"),
    "chunked in quotes": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "identity": post(b"Transfer-Encoding: identity", CL, body=b"hello"),
    "encoding with vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "encoding folded": post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "length folded": post(b"Content-Length: 5\r\n 0", body=b"hello"),
    "blank before the colon": post(b"Content-Length : 5", body=b"hello"),
    "tab before the colon": post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"),
    "blank before the first field": b"POST / HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "a field without a colon": post(b"Content-Length 5", body=b"hello"),
    "a field without a name": post(b": 5", body=b"hello"),
    "a name with a NUL": post(b"Content-Length\0: 5", body=b"hello"),
    "a value with a NUL": post(b"Content-Length: 5\0", body=b"hello"),
    "a bare LF in the head": b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\nContent-Length: 5\r\n\r\nhello",
    "a bare CR in the head": post(b"X: a\rContent-Length: 5", body=b"hello"),
    "LF alone throughout": b"POST /.well-known/est/simpleenroll HTTP/1.1\nHost: localhost\n\n",
    "two blanks in the request line": b"GET  /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tab in the request line": b"GET\t/.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size in other letters": post(TE, body=b"g\r\n\r\n0\r\n\r\n"),
    "chunk size with minus": post(TE, body=b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": post(TE, body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size over 2^64": post(TE, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than it says": post(TE, body=b"4\r\nhello\r\n0\r\n\r\n"),
    "chunk size empty": post(TE, body=b"\r\nhello\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_a_request_with_two_meanings_ends_the_connection(raw, case):
    """W1, C10"""
    c = raw().send(AMBIGUOUS[case])
    try:
        c.send(SMUGGLED)
    except OSError:
        pass  # closed already
    a = c.answer()
    assert a.status in (400, 413, 501) and a.headers["Connection"].lower() == "close", (case, a)
    assert c.ended(), "the second request was answered"


def test_what_follows_a_chunked_body_is_not_a_second_request(server, raw):
    """W1: a chunked request is the last of its connection."""
    h, body = enrolment(server, "Transfer-Encoding: chunked")
    c = raw().send(h + chunked(body) + SMUGGLED)
    assert c.answer().status == 200 and c.ended()


def test_a_get_with_a_body_does_not_leave_it_for_the_next_request(raw):
    """W1"""
    c = raw().send(GET + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED + GET + b"\r\n")
    assert [c.answer().status, c.answer().status] == [200, 200]


@pytest.mark.parametrize("field", [b"X-A: a\r\nSet-Cookie: b", b"User-Agent: a\r\n\tb", b"User-Agent: \x1b[31m", b"User-Agent: a\x7f"])
def test_a_hostile_field_is_never_reflected(raw, field):
    """W8"""
    a = raw().send(GET + field + b"\r\n\r\n").answer()
    assert "Set-Cookie" not in a.headers and b"\x1b" not in a.body and a.status in (200, 400)


# --- the other listener, and no TLS ---

def test_the_device_port_answers_nothing_without_tls(raw):
    """A1: RFC 7030 3.3"""
    c = raw(plain=True)
    try:
        c.send(GET + b"\r\n")
        while c.more():
            pass
    except OSError:
        pass
    assert b"200 OK" not in c.left and b"MII" not in c.left


@pytest.mark.parametrize("op", ["cacerts", "csrattrs", "simpleenroll"])
def test_the_plain_port_serves_no_est(server, op):
    """A1"""
    with Raw(server, port=server.public_port, plain=True) as c:
        assert c.send(head("POST" if op == "simpleenroll" else "GET", f"/.well-known/est/{op}")).answer().status in (404, 405)


def test_a_client_that_goes_away_in_mid_request_harms_nobody(server):
    for octets in (b"", b"GET", GET, head("POST", ENROL, "Content-Length: 100") + b"MII"):
        with Raw(server) as c:
            c.send(octets)
            c.sock.shutdown(socket.SHUT_RDWR)
    assert server.get("cacerts").status == 200
