# SPDX-License-Identifier: Apache-2.0
"""Other users of the machine: processes with another uid that ask the services over their sockets.  Needs root."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from device import Answer, Device

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become other users")

CLIENT = r"""
import http.client, json, socket, sys

def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(60)
    s.connect(path)
    return s

held = []
for line in sys.stdin:
    q = json.loads(line)
    if "hold" in q:
        held += [connect(q["path"]) for _ in range(q["hold"])]
        told = len(held)
    elif "drop" in q:
        while held:
            held.pop().close()
        told = 0
    else:
        h = http.client.HTTPConnection("localhost")
        h.sock = connect(q["path"])
        try:
            h.request(q["method"], q["target"], q["body"], q["headers"])
            r = h.getresponse()
            told = [r.status, r.getheaders(), r.read().decode("latin-1")]
        except (OSError, http.client.HTTPException) as e:
            told = [0, [], repr(e)]
        h.close()
    print(json.dumps(told), flush=True)
"""


class User:
    """A process with a uid of its own; ask() as Service.request()."""

    def __init__(self, uid):
        self.uid = uid
        self._process = subprocess.Popen([sys.executable, "-Sc", CLIENT], user=uid, group=uid, extra_groups=[], cwd="/", text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _tell(self, what):
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def ask(self, service, method, path, body=None, version="2020-09-01"):
        sent = json.dumps(body) if isinstance(body, (dict, list)) else body
        status, headers, text = self._tell({
            "path": str(service.socket), "method": method, "body": sent, "headers": {"Content-Type": "application/json"} if sent else {},
            "target": f"{path}{'&' if '?' in path else '?'}api-version={version}"})
        return Answer(status, dict(headers), text.encode("latin-1"))

    def hold(self, service, n):
        """Open n connections more and say nothing on them; how many there are."""
        return self._tell({"hold": n, "path": str(service.socket)})

    def drop(self):
        return self._tell({"drop": True})

    def end(self):
        self._process.stdin.close()
        self._process.wait(10)


class OpenDevice(Device):
    """A device whose sockets every user reaches, as members of the services' groups do."""

    def __init__(self):
        directory = tempfile.mkdtemp(prefix="device-")
        os.chmod(directory, 0o755)
        super().__init__(directory)
        self._users = {}

    def open(self, *services):
        for s in services:
            s.start()
            os.chmod(s.socket, 0o666)
        return self

    def user(self, uid):
        if uid not in self._users:
            self._users[uid] = User(uid)
        return self._users[uid]

    def close(self):
        for u in self._users.values():
            u.end()
        self.stop()
        shutil.rmtree(self.prefix)


def files_below(directory):
    """{path: octets} of every regular file, links not followed."""
    return {p: p.read_bytes() for p in pathlib.Path(directory).rglob("*") if p.is_file() and not p.is_symlink()}
