# SPDX-License-Identifier: Apache-2.0
"""`estuaryd --check`: file, line, column, key, and what was expected."""
import os
import subprocess

import pytest

from estuary import ESTUARYD


def check(path, text=None):
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
    return subprocess.run([str(ESTUARYD), "-c", str(path), "--check"], capture_output=True, text=True, timeout=20)


BAD = [
    ("[device]\nport = 70000\n", "2:1: key 'device.port': expected an integer 0..65535, found 70000"),
    ("[device]\nport = -1\n", "2:1: key 'device.port': expected an integer 0..65535, found -1"),
    ('[device]\nport = "8443"\n', "2:1: key 'device.port': expected an integer 0..65535, found a string"),
    ("[device]\nport = 8443.0\n", "2:"),
    ("[device]\nport = true\n", "2:1: key 'device.port': expected an integer 0..65535, found a boolean"),
    ("[device]\nprot = 8443\n", "2:1: key 'device.prot': unknown key; did you mean 'device.port'?"),
    ("[server]\nport = 8443\n", "2:1: key 'server.port': unknown key; did you mean 'device.port'?"),
    ("[server]\nzzzzzzzzzz = 1\n", "2:1: key 'server.zzzzzzzzzz': unknown key"),
    ("[devise]\nport = 1\n", "1:2: key 'devise': unknown table; did you mean 'device'?"),
    ("port = 1\n", "1:1: key 'port': unknown key; did you mean 'device.port'?"),
    ("server = 1\n", "1:1: key 'server': expected a table, found an integer"),
    ("[limits]\nidle = \"soon\"\n", '2:1: key \'limits.idle\': expected a duration 1s..1d as in "90s", or seconds, found "soon"'),
    ("[limits]\nidle = 0\n", '2:1: key \'limits.idle\': expected a duration 1s..1d as in "90s", or seconds, found 0'),
    ("[crl]\nlifetime = \"10s\"\n", "2:1: key 'crl.lifetime': expected a duration"),
    ("[server]\nfronts = 65\n", "2:1: key 'server.fronts': expected an integer 0..64, found 65"),
    ("[server]\ndir = 7\n", "2:1: key 'server.dir': expected a path of at most 1023 octets, found an integer"),
    ("[server]\nname = \"a b\"\n", '2:1: key \'server.name\': expected a host name or an address, found "a b"'),
    ("[public]\nurl = \"ftp://x\"\n", '2:1: key \'public.url\': expected a URL that begins with http:// or https:// and a host, found "ftp://x"'),
    ("[device]\nport = 1\nport = 2\n", "3:"),
    ("[device]\nport = 1\n[device]\n", "3:"),
    ("[device\nport = 1\n", "1:"),
    ("[device]\nport = \n", "2:"),
    ("[server]\nname = \"x\n", "2:"),
    (b"[server]\nname = \"\xff\"\n", "2:"),
    ("[server]\nname = \"a\\u0000b\"\n", "2:"),
]


@pytest.mark.parametrize("text,said", BAD, ids=range(len(BAD)))
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, said):
    path = tmp_path / "c.toml"
    r = check(path, text)
    assert r.returncode == 65 and r.stdout == ""
    assert r.stderr.startswith(f"estuaryd: {path}:{said}"), r.stderr
    assert r.stderr.count("\n") == 1


def test_the_sample_is_good_and_says_nothing(tmp_path):
    sample = subprocess.run([str(ESTUARYD), "--sample"], capture_output=True, timeout=20).stdout
    path = tmp_path / "c.toml"
    r = check(path, sample)
    assert (r.returncode, r.stdout, r.stderr) == (0, f"{path}: good\n", "")
    uncommented = b"\n".join(line[1:] if line.startswith(b"#") and b" = " in line and not line.startswith(b"# ") else line
                             for line in sample.split(b"\n"))
    assert uncommented != sample and check(path, uncommented).returncode == 0


def test_a_file_that_others_may_write_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("")
    path.chmod(0o606)
    r = check(path)
    assert (r.returncode, r.stderr) == (77, f"estuaryd: {path}: others may write it: chmod o-w {path}\n")


def test_a_file_in_a_directory_that_others_may_write_is_refused(tmp_path):
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    r = check(place / "c.toml", "")
    assert (r.returncode, r.stderr) == (77, f"estuaryd: {place}: others may write it: chmod o-w {place}\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("")
    os.chown(path, 65534, 65534)
    r = check(path)
    assert r.returncode == 77 and "belongs to uid 65534: must belong to root or to uid 0" in r.stderr


def test_a_missing_file_is_said(tmp_path):
    r = check(tmp_path / "none.toml")
    assert r.returncode == 66 and r.stderr.startswith(f"estuaryd: {tmp_path}/none.toml: ")


def test_a_file_without_end_is_refused(tmp_path):
    r = check(tmp_path / "c.toml", "# " + "x" * (4 << 20))
    assert r.returncode == 65 and "c.toml" in r.stderr


def test_arguments_that_are_not_taken_are_said():
    r = subprocess.run([str(ESTUARYD), "--check", "x"], capture_output=True, text=True, timeout=20)
    assert r.returncode == 64 and "'x': no arguments are taken" in r.stderr
