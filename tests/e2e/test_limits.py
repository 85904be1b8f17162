# SPDX-License-Identifier: Apache-2.0
"""Limits with names: who holds connections keeps nobody else out (HTTP's own limits: test_http.py)."""
import re
import socket
import threading
import time

import pytest

from estuary import Raw, b64, basic, csr, fresh_name, new_key, wait_for

HELLO = bytes.fromhex("16030102000100")  # a ClientHello's first octets; 512 more are announced


def connect(port, source, octets=b""):
    s = socket.create_connection(("127.0.0.1", port), 10, (source, 0))
    if octets:
        s.sendall(octets)
    return s


def crowd(server, n, octets=b""):
    """n connections, at most 125 from one address, their handshakes not begun, or cut."""
    return [connect(server.device_port, f"127.7.{i // 125}.1", octets) for i in range(n)]


def enrol_in(server, code):
    begin = time.monotonic()
    a = server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", code))
    assert a.status == 200, a
    return time.monotonic() - begin


@pytest.mark.parametrize("octets", [b"", HELLO], ids=["silent", "cut"])
def test_a_thousand_half_open_connections_do_not_keep_a_device_out(daemon, octets):
    server = daemon()
    codes = [server.new_code() for _ in range(3)]
    held = crowd(server, 1000, octets)
    try:
        assert min(enrol_in(server, c) for c in codes) < 1
    finally:
        for s in held:
            s.close()


def test_a_thousand_idle_connections_do_not_keep_a_device_out(daemon):
    server = daemon()
    codes = [server.new_code() for _ in range(3)]
    held = [Raw(server, source=f"127.8.{i // 125}.1") for i in range(1000)]
    try:
        assert min(enrol_in(server, c) for c in codes) < 1
        held[0].send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[0].answer().status == 200
    finally:
        for c in held:
            c.close()


def limited(daemon, limits):
    """A server whose [limits] are these."""
    server = daemon(start=False)
    server.start()
    server.stop()
    with open(server.config, "a", encoding="utf-8") as f:
        f.write(f"\n[limits]\n{limits}\n")
    server.run()
    return server


def public_get(server, octets, source):
    with connect(server.public_port, source, octets) as s:
        s.settimeout(10)
        return s.recv(12)


@pytest.mark.parametrize("octets", [b"", HELLO], ids=["silent", "cut"])
def test_half_open_connections_that_fill_every_place_do_not_keep_a_device_out(daemon, octets):
    server = limited(daemon, "connections = 64")
    codes = [server.new_code() for _ in range(3)]
    held = crowd(server, 1000, octets)
    try:
        assert min(enrol_in(server, c) for c in codes) < 1
        wait_for("a word in the log", lambda: " cap.yield " in server.log_text())
    finally:
        for s in held:
            s.close()


def test_half_heads_that_fill_the_public_listener_keep_out_neither_devices_nor_others_there(daemon):
    server = limited(daemon, "connections = 64")
    codes = [server.new_code() for _ in range(3)]
    held = [connect(server.public_port, f"127.7.{i // 125}.1", b"GET / HTTP/1.1\r\nHost: a\r\n") for i in range(1000)]
    try:
        for c in codes:
            enrol_in(server, c)
        assert " cap.yield " in server.log_text()
        live = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert public_get(server, live, "127.9.0.3") == b"HTTP/1.1 200"
    finally:
        for s in held:
            s.close()


def test_strangers_lines_in_the_log_are_few_and_none_is_lost_without_being_told(daemon):
    server = daemon()
    n, fronts, begin = 1500, len(server.role_pids("front")), time.monotonic()
    for i in range(n):
        assert public_get(server, b"GET /\0\r\n\r\n", f"127.6.{i // 125}.1") == b"HTTP/1.1 400"

    def told():
        return [int(x) for x in re.findall(r" NOTE head\.syntax more=(\d+)\n", server.log_text())]

    def written():
        return server.log_text().count(" NOTE head.syntax address=")

    wait_for("all to be told of", lambda: written() + sum(told()) == n)
    assert written() <= fronts * (100 + 5 * (time.monotonic() - begin) + 1)
    assert len(told()) <= fronts * (time.monotonic() - begin + 1)


def test_one_device_cannot_fill_the_store_with_certificates(server):
    label, n = fresh_name("many"), 0
    server.label(label, ca="issuing", profile="device", accept=["own"], concurrent=True)
    mine, other = server.born(), server.born()

    def ask(client, pair):
        return client.request("POST", f"/.well-known/est/{label}/simpleenroll", b64(csr(new_key(), pair.cn)), {"Content-Type": "application/pkcs10"})

    with server.client(pair=mine) as c, server.client(pair=other) as d:
        while (answer := ask(c, mine)).status == 200:
            n += 1
        assert (answer.status, answer.reason) == (429, "device.too-often") and int(answer.headers["Retry-After"]) > 0
        assert 1000 <= n < 2000
        assert ask(d, other).status == 200
    assert server.why(answer)["hint"]


def test_an_address_has_so_many_connections_and_no_more(daemon):
    limit = 8
    server = limited(daemon, f"connections_per_address = {limit}")
    fronts = len(server.role_pids("front"))
    held = [connect(server.device_port, "127.9.0.1") for _ in range(limit * fronts * 4)]
    try:
        def open_ones():
            n = 0
            for s in held:
                s.setblocking(False)
                try:
                    n += s.recv(1) != b""
                except BlockingIOError:
                    n += 1
                except ConnectionError:
                    pass
            return n
        wait_for("the rest to be closed", lambda: open_ones() <= limit * fronts)
        assert server.enrol(csr(new_key(), fresh_name()), "idevid", headers=basic("", server.new_code()), source="127.9.0.2").status == 200
    finally:
        for s in held:
            s.close()


def until_closed(sock, drip=None):
    """Seconds until the other side ends the connection; drip: octets sent one by one meanwhile."""
    begin = time.monotonic()
    sock.settimeout(0.25)
    got = b""
    while time.monotonic() - begin < 20:
        try:
            if drip:
                sock.sendall(drip[:1])
                drip = drip[1:]
            more = sock.recv(65536)
            if not more:
                break
            got += more
        except (TimeoutError, socket.timeout):
            continue
        except OSError:
            break
    return time.monotonic() - begin, got


def test_deadlines_are_absolute_and_a_drip_does_not_extend_them(server):
    """Handshake 5 s, head 10 s, body 10 s: silent ones and dripping ones, all at once."""
    head = b"POST /.well-known/est/idevid/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
    cases = {
        "handshake, silent": (lambda: connect(server.device_port, "127.10.0.1"), None, 5, b""),
        "handshake, cut": (lambda: connect(server.device_port, "127.10.0.1", HELLO), None, 5, b""),
        "handshake, drip": (lambda: connect(server.device_port, "127.10.0.1", HELLO), b"\0" * 200, 5, b""),
        "head, cut": (lambda: Raw(server).send(b"GET / HTTP/1.1\r\nHo").sock, None, 10, b"HTTP/1.1 408 "),
        "head, drip": (lambda: Raw(server).send(b"GET / HTTP/1.1\r\nX: ").sock, b"y" * 200, 10, b"HTTP/1.1 408 "),
        "body, cut": (lambda: Raw(server).send(head + b"Content-Length: 900\r\n\r\nMII").sock, None, 10, b"HTTP/1.1 408 "),
        "body, drip": (lambda: Raw(server).send(head + b"Content-Length: 900\r\n\r\nMII").sock, b"A" * 200, 10, b"HTTP/1.1 408 "),
    }
    found = {}

    def run(what, opener, drip):
        with opener() as sock:
            found[what] = until_closed(sock, drip)

    threads = [threading.Thread(target=run, args=(w, c[0], c[1])) for w, c in cases.items()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for what, (_, _, deadline, answer) in cases.items():
        took, got = found[what]
        assert deadline - 1 < took < deadline + 4, (what, took)
        assert got.startswith(answer), (what, got)
