# SPDX-License-Identifier: Apache-2.0
"""The device's command: what people and scripts learn and steer with it."""
import json
import subprocess

import pytest

from device import AGENT
from estuary import wait_for
from test_device import UID, ask, set_up

IDENTITY = "test-est-cert-identity-id"


def settled(device, generation):
    """Wait until the identity's generation is that one, and no other is kept."""
    wait_for(f"generation {generation}", lambda: (c := device.credential(IDENTITY))["generation"] == generation and c["state"] == "idle")


@pytest.fixture
def running(device, server):
    pair = set_up(device, server)
    device.start()
    ask(device, pair.cn)
    settled(device, 1)
    return device


def test_without_a_service_it_says_so_and_what_to_do(device):
    r = device.agent("status", check=False)
    assert r.returncode == 69 and "aziot-certd" in r.stderr and "hint: " in r.stderr
    assert device.agent("key", "list", check=False).returncode == 69


def test_an_identity_that_nobody_needs_yet_is_nothing_to_worry_about(device, server):
    set_up(device, server)
    device.start()
    r = device.agent("status")
    assert f"{IDENTITY}  waiting" in r.stdout


def test_a_paused_credential_needs_attention_until_it_is_resumed(running):
    assert f"{IDENTITY}  fresh" in running.agent("status").stdout
    running.agent("pause", IDENTITY)
    r = running.agent("status", check=False)
    assert r.returncode == 3 and f"{IDENTITY}  paused" in r.stdout
    assert json.loads(running.agent("status", "--json", check=False).stdout)["healthy"] is False
    running.agent("resume", IDENTITY)
    assert running.agent("status").returncode == 0


def test_a_renewal_shows_as_the_next_generation_with_another_key(running):
    before = running.agent("key", "show", IDENTITY).stdout
    running.agent("renew", IDENTITY)
    settled(running, 2)
    assert "generation       2, taken by the server" in running.agent("status").stdout
    after = running.agent("key", "show", IDENTITY).stdout
    assert "BEGIN PUBLIC KEY" in after and after != before


def test_a_configuration_that_was_not_taken_needs_attention(running):
    running.configure("certd", "[cert_issuance\n", "99-broken.toml")
    running.certd.process.send_signal(1)
    wait_for("the configuration to be refused", lambda: running.status()["configuration"]["last_error"])
    r = running.agent("status", check=False)
    assert r.returncode == 3 and "99-broken.toml" in r.stdout


def test_metrics_go_to_a_file_that_is_whole_at_every_instant(running, tmp_path):
    out = tmp_path / "estuary.prom"
    running.agent("metrics", "--out", str(out))
    assert f'estuary_credential_generation{{id="{IDENTITY}"}} 1\n' in out.read_text()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("estuary.prom")] == ["estuary.prom"]


def test_json_is_one_value_on_standard_output_whatever_is_done(running, tmp_path):
    def said(*words):
        return json.loads(running.agent(*words, "--json").stdout)

    assert said("pause", IDENTITY) == said("resume", IDENTITY) == {"id": IDENTITY}
    assert said("key", "show", IDENTITY) == {"pem": running.agent("key", "show", IDENTITY).stdout}
    out = tmp_path / "key.pem"
    assert said("key", "file", IDENTITY, "--out", out) == {"file": str(out)} and "KEYD URI" in out.read_text()
    assert said("system", "set-log-level", "debug") == {"level": "debug"}
    made = tmp_path / "config.toml"
    connection = "HostName=hub.example;DeviceId=x;SharedAccessKey=c2VjcmV0"
    assert said("config", "mp", "--connection-string", connection, "--out-config-file", made) == {"file": str(made)}
    bundle = tmp_path / "bundle.zip"
    assert said("support-bundle", "--output", bundle) == {"file": str(bundle)} and bundle.stat().st_size > 0
    for words in (["metrics"], ["system", "logs"], ["support-bundle", "-o", "-"]):
        assert running.agent(*words, "--json", check=False).returncode == 64  # these have a form of their own


def test_an_unknown_id_is_told_as_that(running):
    for verb in (("renew",), ("pause",), ("key", "show")):
        assert running.agent(*verb, "no-such-id", check=False).returncode == (66 if UID == 0 else 77)


def test_the_services_answer_to_their_names_in_existing_installations(device, tmp_path):
    for name in ("aziot-keyd", "aziot-certd"):
        (tmp_path / name).symlink_to(AGENT)
        for words in ([tmp_path / name, "--help"], [AGENT, name, "--help"]):
            said = subprocess.run(words, capture_output=True, text=True)
            assert said.returncode == 0 and f"estuary-agent {name.removeprefix('aziot-')}" in said.stdout


def test_an_idle_service_is_not_linked_with_a_network_client():
    said = subprocess.run(["readelf", "-d", AGENT], check=True, capture_output=True, text=True).stdout
    assert "NEEDED" in said and "libcurl" not in said
