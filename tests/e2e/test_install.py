# SPDX-License-Identifier: Apache-2.0
"""make install: programs, units and pages below one prefix, whichever the build was set up for."""
import json
import os
import subprocess

import pytest

from estuary import BUILD, ROOT


@pytest.fixture
def install(tmp_path):
    """Run it with a build of the prefix /usr/local, and tools that only say how they were called."""
    build, tools, log = tmp_path / "build", tmp_path / "tools", tmp_path / "log"
    (build / "meson-info").mkdir(parents=True)
    (build / "build.ninja").touch()
    (build / "src").symlink_to(BUILD / "src")
    (build / "meson-info/intro-buildoptions.json").write_text(json.dumps([{"name": "prefix", "value": "/usr/local"}]))
    tools.mkdir()
    for name in ("meson", "ninja"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{log}\n')
        (tools / name).chmod(0o755)

    def run(prefix):
        subprocess.run(["make", "-s", "-C", ROOT, "install", f"BUILD={build}", f"PREFIX={prefix}", f"DESTDIR={tmp_path}/dest"], check=True,
                       env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "MAKEFLAGS": ""})
        assert (tmp_path / f"dest{prefix}/share/man/man1/estuary.1").exists()
        assert (tmp_path / f"dest{prefix}/share/man/man8/estuaryd.8").exists()
        assert (tmp_path / f"dest{prefix}/share/bash-completion/completions/estuary-agent").exists()
        return [line.replace(str(build), "BUILD").replace(str(tmp_path), "") for line in log.read_text().splitlines()]
    return run


def test_another_prefix_is_the_programs_and_the_units_too(install):
    assert install("/opt/x") == ["meson configure BUILD --prefix /opt/x", "ninja -C BUILD", "meson install -C BUILD --no-rebuild --destdir /dest"]


def test_the_prefix_that_was_built_for_needs_no_other_build(install):
    assert install("/usr/local") == ["ninja -C BUILD", "meson install -C BUILD --no-rebuild --destdir /dest"]
