# SPDX-License-Identifier: Apache-2.0
"""The places where a process may be killed: its system calls that change files, found by one traced run and visited one by one."""
import collections
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from estuary import PATIENCE, wait_for

# What changes files.  Opening to read is no site; neither is a write to a socket or the log.
CALLS = ("openat", "write", "pwrite64", "ftruncate", "fchmod", "fsync", "fdatasync", "rename", "renameat", "renameat2",
         "unlink", "unlinkat", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat")
FULL = os.environ.get("ESTUARY_SWEEP") == "full"

# The `which`-th call of that kind on that file in a run, and its number among all calls of that kind: the latter shifts
# with what is logged meanwhile, the former does not.
Site = collections.namedtuple("Site", "call what which nth")


def needs_strace():
    """Services are not dumpable: root alone can follow them."""
    if shutil.which("strace") is None or os.geteuid() != 0:
        pytest.skip("needs strace and root")


def _plain(path):
    """A path without what differs from run to run: digests, tags of temporary names, numbers."""
    return re.sub(r"\d+", "#", re.sub(r"-[0-9a-f]{64}", "", re.sub(r"\.[0-9a-f]{16}\.tmp", ".TMP", path)))


def read_trace(path, home):
    """The calls of a trace (strace -y), in order: sites where they change something below `home`, None where not."""
    calls, names, out = collections.Counter(), collections.Counter(), []
    for line in pathlib.Path(path).read_text(errors="replace").splitlines():
        m = re.match(r"([a-z0-9]+)\((.*)", line)
        if m is None or m.group(1) not in CALLS:
            continue
        call, rest = m.groups()
        calls[call] += 1
        paths = re.findall(rf"{re.escape(str(home))}/?([^\"<>,]*)", rest)
        if not paths or (call == "openat" and "O_CREAT" not in rest) or "EEXIST" in rest:
            out.append(None)
            continue
        what = _plain(paths[-1])
        names[call, what] += 1
        out.append(Site(call, what, names[call, what], calls[call]))
    return out


class Follow:
    """strace on a running service: to note what it does, or (site) to kill it when it is about to do that."""

    def __init__(self, service, site=None):
        self.service, self.trace = service, service.device.prefix / f"{service.name}.trace"
        inject = ["-e", f"inject={site.call}:signal=KILL:when={site.nth}"] if site else []
        self.process = subprocess.Popen(
            ["strace", "-y", "-p", str(service.process.pid), "-o", str(self.trace), "-e", "trace=" + ",".join(CALLS), *inject],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert "attached" in self.process.stderr.readline()

    def end(self):
        """Let it go; True when the service was killed."""
        if self.service.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        return self.service.process.poll() is not None

    def calls(self):
        return read_trace(self.trace, self.service.device.prefix / "var")


def watch(service, act):
    """The sites of act(), which is all that the service does; it is started anew afterwards, as it is after each kill."""
    f = Follow(service)
    try:
        act()
    finally:
        assert not f.end()
    service.stop()
    service.start()
    sites = [s for s in f.calls() if s]
    assert sites, "nothing was written"
    return sites


def kill_at(service, site, act, done):
    """
    Run act(), in which the service is killed as it is about to do the call of that number, or as done() says that there
    is no such one: (what act() gave, or None when it never got an answer; the number to try next, or None when it was
    the site that was meant).
    """
    f = Follow(service, site)
    try:
        got = act()
    except (ConnectionError, EOFError, http.client.HTTPException):
        got = None
    wait_for(f"{service.name} to be killed at {site}", lambda: service.process.poll() is not None or done())
    killed = f.end()
    assert service.stop(signal.SIGKILL) == -signal.SIGKILL, service.log
    calls = f.calls()
    if killed and calls[-1] and calls[-1][:3] == site[:3]:
        return got, None
    passed = [s.nth for s in calls if s and s[:3] == site[:3]]
    return got, passed[0] if passed else site.nth + 1


def visit(service, sites, before, act, after, done=lambda: False):
    """
    Kill the service at each site of act(), between before() and after(what act() gave).  Where what it logs has moved the
    calls it is killed elsewhere, which does no harm, and once more.
    """
    for site in sites * (3 if FULL else 1):
        for _ in range(8):
            before()
            got, nth = kill_at(service, site, act, done)
            after(got)
            if nth is None:
                break
            site = site._replace(nth=nth)
        else:
            raise AssertionError(f"{site} was not visited")


def watch_start(service):
    """The sites of a start that is not disturbed."""
    trace = service.device.prefix / f"{service.name}.trace"
    service.wrap = ["strace", "-D", "-y", "-o", str(trace), "-e", "trace=" + ",".join(CALLS)]
    service.start()
    service.stop()
    service.wrap = []
    return [s for s in read_trace(trace, service.device.prefix / "var") if s]


def kill_start_at(service, site):
    """A start that is killed at that site."""
    service.wrap = ["strace", "-D", "-o", "/dev/null", "-e", "trace=" + site.call, "-e",
                    f"inject={site.call}:signal=KILL:when={site.nth}"]
    service.start(wait=False)
    service.wrap = []
    assert service.process.wait(PATIENCE) == -signal.SIGKILL, f"{site}: {service.log}"
    service.process = None


def tell(what, sites):
    """One line for whoever reads the run with -rP or -s."""
    calls = collections.Counter(s.call for s in sites)
    print(f"{what}: killed at all of {len(sites)} sites ({', '.join(f'{n} {c}' for c, n in sorted(calls.items()))})")
