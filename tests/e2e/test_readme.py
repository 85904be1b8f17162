# SPDX-License-Identifier: Apache-2.0
"""The README's five minutes, typed as they stand there."""
import os
import re
import subprocess

from device import AGENT, Device
from estuary import BUILD, PATIENCE, ROOT, wait_for

BLOCK = re.compile(r"^```(console|sh)\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.M)


def section(title):
    text = (ROOT / "README.md").read_text()
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(title):
    """What stands after each prompt, and each sh block as a whole."""
    for kind, body in BLOCK.findall(section(title)):
        yield from COMMAND.findall(body) if kind == "console" else [body]


class Shell:
    """Commands one after another; what one sets, the next one has."""
    def __init__(self, server, where, **env):
        self.where, self.set = where, where / "set"
        self.env = dict(os.environ, ESTUARY_DIR=str(server.dir), PATH=f"{BUILD / 'src/cli'}:{AGENT.parent}:{os.environ['PATH']}", **env)

    def type(self, command):
        r = subprocess.run(["bash", "-aeo", "pipefail", "-c", f"{command}\nenv -0 >{self.set}"], cwd=self.where,
                           env=self.env, capture_output=True, text=True, timeout=2 * PATIENCE)
        if r.returncode == 0:
            self.env = dict(line.split("=", 1) for line in self.set.read_text().split("\0") if line)
        return r


def test_one_export_finds_the_programs_from_every_directory(tmp_path):
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone/build").symlink_to(BUILD)
    exports = [c for c in COMMAND.findall((ROOT / "README.md").read_text()) if c.startswith("export PATH")]
    assert len(exports) == 1  # later ones would be typed where $PWD is no clone
    said = subprocess.check_output(["bash", "-ec", f"{exports[0]}\ncd /\ncommand -v estuary estuary-agent"], text=True, cwd=tmp_path / "clone",
                                   env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert said.split() == [f"{tmp_path}/clone/build/src/cli/estuary", f"{tmp_path}/clone/build/src/device/agent/estuary-agent"]


def test_the_tour_does_what_it_says(fresh_server, tmp_path):
    shell, refused, typed = Shell(fresh_server(), tmp_path), None, 0
    for command in commands("Five minutes"):
        if "quickstart --name" in command or command.startswith(("export", "cd ")):
            continue
        if refused is not None:  # its own request, not the one that is printed
            command = re.sub(r"\br[0-9a-f]{24}\b", refused, command)
        r = shell.type(command)
        if "stolen.pem" in command:
            assert r.returncode == 77 and "name.other-device" in r.stderr
            refused = re.search(r"request (r[0-9a-f]{24})", r.stderr)[1]
        else:
            assert r.returncode == 0, (command, r.stderr)
        typed += 1
    assert typed >= 9 and refused is not None
    assert (tmp_path / "ldevid.pem").exists() and not (tmp_path / "stolen.pem").exists()


def test_who_may_come_in_is_said_as_the_readme_says_it(fresh_server, tmp_path):
    shell = Shell(fresh_server(), tmp_path)
    made = shell.type("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout acme.key"
                      " -subj /CN=acme -days 10 -out acme-root.pem")
    assert made.returncode == 0, made.stderr
    for command in commands("Who may come in"):
        r = shell.type(command)
        assert r.returncode == 0, (command, r.stderr)


def test_the_device_of_the_readme_enrols_and_renews_by_itself(fresh_server, tmp_path):
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device")
    shell, typed = Shell(fresh_server(), tmp_path, ESTUARY_PREFIX=str(device.prefix)), 0
    try:
        for command in commands("A device that keeps itself"):
            if command.startswith(("export ESTUARY_PREFIX", "sudo")):
                continue
            if "-provider" in command and "ESTUARY_SANITIZED" in os.environ:  # openssl has no sanitizer of its own
                asan = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
                command = f"export LD_PRELOAD={asan}\n{command}"
            if command.startswith("estuary-agent keyd"):
                device.start()
                wait_for("what the device gets", lambda: all((device.credential(i) or {}).get("proved") for i in ("est-id", "pump-tls")))
            else:
                r = shell.type(command)
                assert r.returncode == 0, (command, r.stdout, r.stderr, device.certd.log)
            typed += 1
        wait_for("the renewal", lambda: device.credential("pump-tls")["generation"] == 2)
        assert device.matches("pump-tls")
    finally:
        device.stop()
    assert typed >= 9
    assert subprocess.run(["openssl", "req", "-in", tmp_path / "by-keyd.pem", "-noout", "-verify"], capture_output=True).returncode == 0
    assert "PRIVATE" not in (tmp_path / "pump-tls.pem").read_text()


def test_the_whole_device_of_the_readme_comes_to_life_from_one_file(fresh_server, tmp_path):
    prefix, typed = tmp_path / "edge", 0
    server = fresh_server()
    shell = Shell(server, tmp_path, ESTUARY_PREFIX=str(prefix))

    def certificates():
        return sorted(p.name.split("-")[0] for p in (prefix / "var/lib/aziot/certd/certs").glob("*.cer"))

    try:
        for command in commands("A whole device from one file"):
            if command.startswith("export ESTUARY_PREFIX"):
                continue
            if command.startswith("estuary registration list"):
                wait_for("the device to know its hub", lambda: (prefix / "var/lib/aziot/identityd/device_info").exists())
                wait_for("its certificates", lambda: certificates() == ["aziotedgedca", "deviceid", "estid"])
            r = shell.type(command)
            assert r.returncode == 0, (command, r.stdout, r.stderr)
            if command.startswith("estuary registration list"):
                assert re.search(r"^pump-9 +pump-9 +\S+:\d+ +assigned ", r.stdout, re.M)
            typed += 1
    finally:
        shell.type("estuary-agent system stop")
    assert typed >= 13
