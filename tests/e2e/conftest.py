# SPDX-License-Identifier: Apache-2.0
"""One server for the tests of a worker, and fresh ones for those that break theirs."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import device as devices  # noqa: E402
import estuary  # noqa: E402
import fake_est  # noqa: E402


def pytest_configure(config):
    # Times without a zone: Debian 12's cryptography knows no others, Debian 13's would rather not.
    config.addinivalue_line("filterwarnings", r"ignore:Properties that return a na.ve datetime")
    config.addinivalue_line("filterwarnings", r"ignore:datetime.datetime.utcnow\(\) is deprecated")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A quickstart server that tests share: make devices, credentials and labels of your own in it."""
    s = estuary.Server(tmp_path_factory.mktemp("server") / "d")
    yield s
    assert s.stop() == 0


@pytest.fixture
def fresh_server(tmp_path):
    """A function that starts a server of the test's own."""
    started = []

    def start(**kw):
        started.append(estuary.Server(tmp_path / f"d{len(started)}", **kw))
        return started[-1]

    yield start
    for s in started:
        s.stop()


@pytest.fixture
def daemon(tmp_path):
    """A function that starts estuaryd itself, without quickstart around it."""
    started = []

    def start(**kw):
        started.append(estuary.Daemon(tmp_path / f"d{len(started)}", **kw))
        return started[-1]

    yield start
    for s in started:
        s.stop()


@pytest.fixture
def device(tmp_path):
    """A device with its services not started yet; configure it first."""
    d = devices.Device(tmp_path / "device")
    yield d
    d.stop()


@pytest.fixture
def fake(tmp_path):
    """A function that starts an EST server of the test's own making."""
    made = []

    def make(answer=None):
        made.append(fake_est.Fake(tmp_path, answer))
        return made[-1]

    yield make
    for f in made:
        f.close()
