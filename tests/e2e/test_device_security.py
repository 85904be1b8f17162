# SPDX-License-Identifier: Apache-2.0
"""keyd against those who share the device with it: users of its socket, owners of directories, readers of its memory."""
import base64
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile

import pytest
from cryptography.hazmat.primitives import serialization

import device as devices
from device import AGENT, OWN, stem
from estuary import PATIENCE, wait_for

OWNER, STRANGER, SERVICE = 61001, 61002, 61003
root_only = pytest.mark.skipif(os.getuid() != 0, reason="acts as several users")

PRINCIPALS = f"""
[[principal]]
uid = {OWNER}
keys = ["k-*"]
[[principal]]
uid = {SERVICE}
keys = []
delegate = true
"""


@pytest.fixture
def shared():
    """A device whose directories every user may pass."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="device-security-", dir="/tmp"))
    directory.chmod(0o755)
    d = devices.Device(directory)
    d.configure("keyd", PRINCIPALS)
    yield d
    d.stop()
    shutil.rmtree(directory)


@contextlib.contextmanager
def acting_as(uid):
    """SO_PEERCRED tells the effective user, as of connect()."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def start(d):
    d.keyd.start()
    d.keyd.socket.chmod(0o666)
    return lambda uid, *args, **kw: _ask(d, uid, *args, **kw)


def _ask(d, uid, method, path, body=None, version="2021-05-01"):
    with acting_as(uid):
        return d.keyd.request(method, path, body, version=version)


def b64(octets):
    return base64.b64encode(octets).decode()


def memory_of(pid):
    """All that a process has written anywhere and could still be read."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            first, last, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            size = int(last, 16) - int(first, 16)
            if not rights.startswith("rw") or "[v" in line or size > 1 << 30:
                continue
            with contextlib.suppress(OSError):
                mem.seek(int(first, 16))
                yield mem.read(size)


@root_only
def test_no_secret_stays_in_memory_after_its_use(shared):
    ask = start(shared)
    secret, plain = os.urandom(32), os.urandom(48)
    handle = ask(OWNER, "POST", "/key", {"keyId": "k-1", "keyBytes": b64(secret), "usage": "encrypt,derive"}).json["keyHandle"]
    how = {"keyHandle": handle, "algorithm": "AEAD", "parameters": {"iv": b64(os.urandom(12)), "aad": ""}}
    cipher = ask(OWNER, "POST", "/encrypt", {**how, "plaintext": b64(plain)}).json["ciphertext"]
    assert ask(OWNER, "POST", "/decrypt", {**how, "ciphertext": cipher}).json["plaintext"] == b64(plain)
    derived = ask(OWNER, "POST", "/derivedkey", {"baseKeyHandle": handle, "derivationData": "AAAA"}).json["keyHandle"]
    exported = base64.b64decode(ask(OWNER, "POST", "/derivedkey/export", {"keyHandle": derived}).json["key"])
    pair = ask(OWNER, "POST", "/keypair", {"keyId": "k-2"}).json["keyHandle"]
    signed = {"keyHandle": pair, "algorithm": "ECDSA", "parameters": {"digest": b64(os.urandom(32))}}
    assert ask(OWNER, "POST", "/sign", signed).status == 200
    private = serialization.load_pem_private_key(shared.key_file("k-2").read_bytes(), None).private_numbers().private_value.to_bytes(32, "big")
    assert ask(OWNER, "GET", "/keypair/k-3").status == 400
    wanted = {"secret": secret, "plain text": plain, "exported": exported, "private": private, "reversed private": private[::-1]}
    wanted |= {f"{name} in base64": b64(octets).encode() for name, octets in wanted.items()}
    wanted["PEM"] = shared.key_file("k-2").read_bytes().splitlines()[1]
    found = {name for piece in memory_of(shared.keyd.process.pid) for name, octets in wanted.items() if octets in piece}
    assert not found


@root_only
def test_a_handle_that_was_given_ends_with_the_right_to_give(shared):
    ask = start(shared)
    both = f"[[principal]]\nuid = {OWNER}\nkeys = []\ndelegate = true\n"
    shared.configure("keyd", both, "20-give.toml")
    shared.keyd.reload()
    own = ask(OWNER, "POST", "/keypair", {"keyId": "k-1"}).json["keyHandle"]
    given = ask(OWNER, "POST", "/handle", {"keyHandle": own, "uid": STRANGER}, version=OWN).json["keyHandle"]
    held = ask(SERVICE, "POST", "/handle", {"keyHandle": own, "uid": SERVICE, "holder": OWNER}, version=OWN).json["keyHandle"]
    use = lambda uid, handle: ask(uid, "POST", "/parameters/algorithm", {"keyHandle": handle}).status
    assert [use(STRANGER, given), use(SERVICE, held)] == [200, 200]
    shared.configure("keyd", "", "20-give.toml")
    shared.keyd.reload()
    assert [use(OWNER, own), use(STRANGER, given), use(SERVICE, held)] == [200, 401, 200]
    shared.configure("keyd", PRINCIPALS.replace("delegate = true", ""))
    shared.keyd.reload()
    assert [use(OWNER, own), use(SERVICE, held)] == [200, 401]


@root_only
@pytest.mark.parametrize("where", ["var/lib/aziot/keyd", "run/aziot"])
def test_directories_of_another_user_are_refused(shared, where):
    os.chown(shared.prefix / where, STRANGER, STRANGER)
    r = subprocess.run([str(AGENT), "keyd", "--prefix", str(shared.prefix)], capture_output=True, text=True, timeout=PATIENCE)
    assert r.returncode == 1 and f"belongs to user {STRANGER}" in r.stderr


@root_only
def test_a_home_that_is_only_configured_does_not_unbind_the_handles_of_the_one_in_use(shared):
    ask = start(shared)
    handle = ask(OWNER, "POST", "/keypair", {"keyId": "k-1"}).json["keyHandle"]
    other = shared.prefix / "other"
    (other / "keys").mkdir(parents=True)
    (other / "keys" / (stem("handle-validation-key") + ".key")).write_bytes(os.urandom(32))
    shared.configure("keyd", f"[aziot_keys]\nhomedir_path = \"{other}\"\n", "20-home.toml")
    shared.keyd.reload()
    assert ask(STRANGER, "POST", "/parameters/algorithm", {"keyHandle": handle}).status == 403
    said = ask(OWNER, "POST", "/keypair", {"keyId": "k-1"}).json["keyHandle"]
    assert json.loads(base64.b64decode(said.removeprefix("sr=").split("&")[0]))["uid"] == OWNER
    assert not (other / "handles").exists()


@root_only
def test_many_users_that_hold_all_their_connections_keep_nobody_else_out(shared):
    ask = start(shared)
    held = []
    try:
        for uid in range(62000, 62040):
            for i in range(12):
                with acting_as(uid), contextlib.suppress(OSError):
                    s = socket.socket(socket.AF_UNIX)
                    held.append(s)
                    s.settimeout(PATIENCE)
                    s.connect(str(shared.keyd.socket))
                    s.send((b"POST /sign?api-version=2021-05-01 HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"GET / HT", b"")[i % 3])
        assert ask(OWNER, "POST", "/keypair", {"keyId": "k-1"}).status == 200
        assert shared.keyd.request("GET", "/keypair/k-1").status == 200
    finally:
        for s in held:
            s.close()


@root_only
def test_a_lower_limit_of_connections_holds_from_the_reload_on(shared):
    ask = start(shared)
    shared.configure("keyd", "max_requests = 2\n", "00-limit.toml")
    shared.keyd.reload()
    held = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    try:
        for s in held:
            with acting_as(OWNER):
                s.connect(str(shared.keyd.socket))
        assert ask(OWNER, "GET", "/keypair/k-1").status == 429
        assert ask(STRANGER, "GET", "/keypair/k-1").status == 401
    finally:
        for s in held:
            s.close()


@root_only
def test_numbers_and_shapes_that_json_allows_are_refused_and_nothing_breaks(shared):
    ask = start(shared)
    handle = json.dumps(ask(OWNER, "POST", "/keypair", {"keyId": "k-1"}).json["keyHandle"])
    numbers = ["-1", "4294967295", "4294967296", "18446744073709551616", "1" * 400, "1.0", "1e3", "1e999", "true", '"0"', "[0]", "{}", "null"]
    for n in numbers:
        for body in (f'{{"keyHandle":{handle},"uid":{n}}}', f'{{"keyHandle":{handle},"uid":{SERVICE},"holder":{n}}}'):
            if n == "null" and "holder" in body:
                continue  # as good as none
            assert ask(SERVICE, "POST", "/handle", body, version=OWN).status in (400, 422), body
    for body in ("[" * 200000, '{"a":' * 100000, '{"keyHandle":"\\u0000"}', '{"keyHandle":"\\ud800"}', '{"keyHandle":"a","keyHandle":"b"}', "0", "null", '"x"', "\xff"):
        assert ask(OWNER, "POST", "/sign", body.encode("latin-1")).status in (400, 422), body[:40]
    assert ask(OWNER, "POST", "/keypair", '{"keyId":"k-4","preferredAlgorithms":["rsa-2048"]}').status == 422
    assert ask(OWNER, "GET", "/keypair/k-1").status == 200


@root_only
def test_the_private_rsa_operation_takes_numbers_below_the_modulus_alone(shared):
    ask = start(shared)
    handle = ask(OWNER, "POST", "/keypair", {"keyId": "k-1", "preferredAlgorithms": "rsa-2048"}).json["keyHandle"]
    n = shared.key("k-1").public_key().public_numbers().n
    raw = lambda x, size=256: ask(OWNER, "POST", "/encrypt", {"keyHandle": handle, "algorithm": "RSA-NO-PADDING", "plaintext": b64(x.to_bytes(size, "big"))})
    padded = lambda octets: ask(OWNER, "POST", "/encrypt", {"keyHandle": handle, "algorithm": "RSA-PKCS1", "plaintext": b64(octets)})
    assert [raw(x).status for x in (n, n + 1, (1 << 2048) - 1)] == [400] * 3
    assert [raw(1, size).status for size in (1, 255, 257, 512)] == [400] * 4
    assert raw(n - 1).status == 200 and padded(b"x" * 245).status == 200
    assert [padded(b"x" * size).status for size in (246, 256, 4096)] == [400] * 3
    decrypt = {"keyHandle": handle, "algorithm": "RSA-PKCS1", "ciphertext": b64(bytes(256)), "parameters": {}}
    assert ask(OWNER, "POST", "/decrypt", decrypt).status == 400  # no padding oracle: it does not decrypt


@root_only
def test_what_does_not_open_says_no_more_than_that(shared):
    ask = start(shared)
    handle = ask(OWNER, "POST", "/key", {"keyId": "k-1", "usage": "encrypt"}).json["keyHandle"]

    def decrypt(cipher, iv=b"i" * 12, aad=b""):
        return ask(OWNER, "POST", "/decrypt", {"keyHandle": handle, "algorithm": "AEAD", "ciphertext": b64(cipher),
                                               "parameters": {"iv": b64(iv), "aad": b64(aad)}})

    cipher = base64.b64decode(ask(OWNER, "POST", "/encrypt", {
        "keyHandle": handle, "algorithm": "AEAD", "plaintext": b64(b"hello"), "parameters": {"iv": b64(b"i" * 12), "aad": ""}}).json["ciphertext"])
    assert base64.b64decode(decrypt(cipher).json["plaintext"]) == b"hello"
    said = {decrypt(cipher[:i] + bytes([cipher[i] ^ 1]) + cipher[i + 1:]).message for i in range(1, len(cipher))}
    said |= {decrypt(cipher, iv=b"j" * 12).message, decrypt(cipher, aad=b"x").message, decrypt(cipher[:-1]).message}
    assert len(said) == 1
    assert [decrypt(c).status for c in (b"", b"\2", b"\2" + bytes(15), b"\3" + cipher[1:])] == [400] * 4
    assert [decrypt(cipher, iv=iv).status for iv in (b"", b"i" * 129)] == [400] * 2


@root_only
def test_links_planted_in_place_of_keys_are_neither_followed_nor_harmed(shared):
    ask = start(shared)
    target = shared.file("target", b"0123456789abcdef0123456789abcdef")
    for n, plant in enumerate((lambda p: p.symlink_to(target), lambda p: p.mkdir(), lambda p: os.mkfifo(p))):
        plant(shared.key_file(f"k-{n}"))
        assert ask(OWNER, "GET", f"/key/k-{n}").status == 500
        assert ask(OWNER, "POST", "/key", {"keyId": f"k-{n}", "usage": "sign"}).status == 500
    assert target.read_bytes() == b"0123456789abcdef0123456789abcdef"
    assert ask(OWNER, "POST", "/keypair", {"keyId": "k-9"}).status == 200


def test_what_links_lead_to_is_read_by_a_confined_service_too(device):
    elsewhere = device.prefix / "vault"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(os.urandom(32))
    (elsewhere / "keyd.toml").write_text("max_requests = 20\n")
    link = device.file("secret", b"")
    link.unlink()
    link.symlink_to(elsewhere / "secret")
    (device.prefix / "etc/aziot/keyd/config.toml").symlink_to(elsewhere / "keyd.toml")
    device.configure("keyd", f'[preloaded_keys]\nlinked = "{link.as_uri()}"\n[[principal]]\nuid = {os.getuid()}\nkeys = ["*"]\n')
    device.keyd.start()
    assert device.keyd.request("GET", "/key/linked").status == 200
    (elsewhere / "keyd.toml").write_text("max_requests = 21\n")
    device.keyd.reload()


RESOLVER = r"""
import os, socket, sys
parent, s = os.getpid(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.9", 53))
s.settimeout(0.2)
if os.fork() != 0:
    os.execv(sys.argv[1], sys.argv[1:])
while os.getppid() == parent:
    try:
        q, who = s.recvfrom(512)
    except TimeoutError:
        continue
    end = q.index(b"\0", 12) + 5
    found = q[end - 4:end - 2] == b"\0\1"  # an address of IPv4
    s.sendto(q[:2] + b"\x81\x80\0\1" + (b"\0\1" if found else b"\0\0") + bytes(4) + q[12:end] +
             (b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1" if found else b""), who)
"""
ELSEWHERE = r"""
cp -a /etc "$0/etc"
rm -f "$0/etc/resolv.conf"
ln -s "$0/resolv.conf" "$0/etc/resolv.conf"
mount --bind "$0/etc" /etc
ip link set lo up
exec python3 "$0/resolver.py" "$@"
"""
ALONE = ["unshare", "--mount", "--net", "--propagation", "private"]


@pytest.mark.skipif(subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode != 0,
                    reason="needs namespaces of its own")
def test_names_are_resolved_where_resolv_conf_is_a_link_to_anywhere(device, tmp_path):
    """Small systems have it below /tmp, connman and NetworkManager below /run."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.9\n")
    (tmp_path / "resolver.py").write_text(RESOLVER)
    device.configure("keyd", f'[[principal]]\nuid = {os.getuid()}\nkeys = ["*"]\n')
    device.configure("certd", '[cert_issuance.web]\nmethod = "est"\nurl = "https://est.test:4443"\nanonymous = true\n'
                              'common_name = "web"\npk = "web"\n')
    device.certd.wrap = [*ALONE, "sh", "-euc", ELSEWHERE, str(tmp_path)]
    device.start()
    said = wait_for("a try", lambda: (device.credential("web") or {}).get("last_error"))
    assert said["text"] == "server est.test:4443: no connection: Connection refused", said
