# SPDX-License-Identifier: Apache-2.0
"""identityd's worker by itself: one task into its control pipe, its result out of it."""
import json
import os
import pathlib
import re
import socket
import struct
import subprocess

from estuary import BUILD, PATIENCE, ROOT

WORKER = BUILD / "src/device/provision/identityd-worker"
TASK, RESULT, BIG, INLINE = 1, 2, 0x80000000, 64 * 1024


def _members(what):
    """The names of an enum of the protocol, in its order, as the protocol says them: TASK_KEY_HANDLE is "key-handle"."""
    text = (ROOT / "src/device/provision/task.h").read_text()
    body = re.sub(r"/\*.*?\*/", "", re.search(rf"enum {what} {{(.*?)}};", text, re.S).group(1), flags=re.S)
    return [n.strip()[len("TASK_"):].lower().replace("_", "-") for n in body.split(",") if n.strip()]


KINDS, OUTCOMES = _members("task_kind"), _members("task_outcome")


def text_field(octets):
    return struct.pack(">I", len(octets)) + octets


def task_message(kind, args):
    """A task's octets; kind by name, or any number."""
    number = KINDS.index(kind) if isinstance(kind, str) else kind
    return struct.pack(">I", number) + text_field(args if isinstance(args, bytes) else json.dumps(args).encode())


class Result:
    def __init__(self, octets):
        outcome, n = struct.unpack_from(">II", octets)
        self.outcome = OUTCOMES[outcome]
        self.text = octets[8:8 + n].decode()
        self.http_status, self.error_code, self.retry_after_s, self.server_date, m = struct.unpack_from(">IqqqI", octets, 8 + n)
        self.value = json.loads(octets[8 + n + 32:8 + n + 32 + m])
        assert len(octets) == 8 + n + 32 + m
        # What people read, and logs: one line without control characters.
        assert all(0x20 <= ord(c) != 0x7f for c in self.text), self.text

    @property
    def note(self):
        return self.value.get("note", "")

    def __repr__(self):
        return f"<{self.outcome} {self.http_status} {self.text!r} {self.value}>"


def receive(sock):
    """The body of the one message that comes; None when the worker goes without one."""
    octets, fds, _, _ = socket.recv_fds(sock, INLINE + 4096, 1)
    if not octets:
        return None
    kind, _, n = struct.unpack_from(">IQI", octets)
    if not kind & BIG:
        return octets[16:16 + n]
    with os.fdopen(fds[0], "rb") as f:
        f.seek(0)
        return f.read()


def send(sock, octets, kind=TASK):
    if len(octets) <= INLINE:
        sock.send(struct.pack(">IQI", kind, 1, len(octets)) + octets)
        return
    fd = os.memfd_create("body", os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, octets)
        # F_ADD_SEALS: F_SEAL_SEAL, SHRINK, GROW, WRITE
        import fcntl
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 0xf)
        socket.send_fds(sock, [struct.pack(">IQI", kind | BIG, 1, 4) + struct.pack(">I", len(octets))], [fd])
    finally:
        os.close(fd)


class Worker:
    """A worker process with our end of its pipe."""

    def __init__(self, env=None):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(PATIENCE * 2)
        # Its place is descriptor 3, wherever ours is.
        self.process = subprocess.Popen(["/bin/bash", "-c", f'exec "$0" 3<&{theirs.fileno()}', str(WORKER)], pass_fds=[theirs.fileno()],
                                        env={**os.environ, **(env or {})}, stderr=subprocess.PIPE)
        theirs.close()

    def end(self):
        """Its exit status; nothing may have been said on standard error, by sanitizers least of all."""
        self.sock.close()
        said = self.process.communicate(timeout=PATIENCE)[1]
        assert said == b"", said.decode()
        return self.process.returncode


def run_task(kind, args, env=None):
    """Do a task; args as the protocol has them."""
    w = Worker(env)
    try:
        send(w.sock, task_message(kind, args))
        octets = receive(w.sock)
    finally:
        status = w.end()
    assert octets is not None and status == 0, status
    return Result(octets)


def exists():
    return pathlib.Path(WORKER).exists()
