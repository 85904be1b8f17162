# SPDX-License-Identifier: Apache-2.0
"""`estuary azure export`: the script calls az with exactly what this server has, and nothing in it gets out of its quotes."""
import json
import os
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from estuary import OutsideCa, mint, new_key

PEM = serialization.Encoding.PEM

# What is there already is what the environment's THERE lists; each call's arguments are a line of JSON.
AZ = """#!/usr/bin/python3
import json, os, sys
with open(os.environ["CALLS"], "a") as f:
    f.write(json.dumps(sys.argv[1:]) + "\\n")
a = sys.argv[1:]
if "show" in a and a[:3] not in (["iot", "dps", "show"], ["iot", "hub", "show"]):
    name = next(a[i + 1] for i, x in enumerate(a) if x in ("--certificate-name", "--name", "--enrollment-id"))
    if name not in json.loads(os.environ["THERE"]):
        sys.exit(3)
    if "etag" in a:
        print("ETAG-" + name)
if a[:3] == ["iot", "dps", "show"]:
    if os.environ.get("DPS_GONE"):
        sys.exit(3)
    if "properties.idScope" in a:
        print("0ne00AZURE")
"""


@pytest.fixture
def fleet(fresh_server):
    """A server of this test's own with one of everything."""
    server = fresh_server()
    server.op("hub.add", name="fleet.azure-devices.net")
    server.op("hub.add", name="second.azure-devices.net")
    server.outside = OutsideCa()
    server.op("group.ca_add", name="maker", pem=server.outside.pem, verified=True)
    server.op("group.ca_add", name="unproved", pem=OutsideCa().pem)
    server.op("group.create", name="edge", attestation="x509", ca="issuing", ca2="maker", edge=True, payload={"a": 1})
    server.op("group.create", name="pumps.a-b", attestation="symmetric", allocation="webhook", webhook="https://f.example/'$(id)`id`'?code=a&b",
              reprovision="never", enabled=False, hubs=["fleet.azure-devices.net", "second.azure-devices.net"])
    return server


def export(server, out, *args, **kw):
    return server.cli("azure", "export", "--out", str(out), *args, **kw)


def run(out, tmp_path, there=(), check=True, **env):
    """Run setup.sh with a stand-in for az; its result and the calls."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir(exist_ok=True)
    (bin_dir / "az").write_text(AZ)
    (bin_dir / "az").chmod(0o755)
    calls = tmp_path / "calls"
    calls.write_text("")
    r = subprocess.run([str(out / "setup.sh")], capture_output=True, text=True, timeout=60, cwd="/",
                       env={"PATH": f"{bin_dir}:{os.environ['PATH']}", "CALLS": str(calls), "THERE": json.dumps(list(there)), **env})
    if check:
        assert r.returncode == 0, r
    return r, [json.loads(line) for line in calls.read_text().splitlines()]


def changes(calls):
    return [c for c in calls if "show" not in c]


AT = ["--dps-name", "my-dps", "--resource-group", "my rg"]
QUIET = ["--output", "none"]
TARGET = ["--dps", "my-dps", "--resource-group", "my rg", "--hub", "my-hub"]
KEYS = {"GROUP_PUMPS_A_B_KEY": "k1", "GROUP_PUMPS_A_B_KEY2": "k2"}
PUMPS = ["--provisioning-status", "disabled", "--edge-enabled", "false", "--allocation-policy", "custom",
         "--webhook-url", "https://f.example/'$(id)`id`'?code=a&b", "--api-version", "2021-10-01", "--reprovision-policy", "never",
         "--iot-hubs", "fleet.azure-devices.net second.azure-devices.net"]
EDGE = ["--ca-name", "issuing", "--secondary-ca-name", "maker", "--provisioning-status", "enabled", "--edge-enabled", "true",
        "--allocation-policy", "hashed", "--reprovision-policy", "reprovisionandmigratedata", "--iot-hubs", "my-hub.azure-devices.net"]


def test_everything_is_made_where_nothing_is(fleet, tmp_path):
    out = tmp_path / "azure"
    said = export(fleet, out, *TARGET)
    assert "unproved" in said.stdout + said.stderr
    r, calls = run(out, tmp_path, **KEYS)
    assert r.stdout == "0ne00AZURE\n"
    cas = []
    for name in ("maker", "issuing", "root"):
        cas += [["iot", "dps", "certificate", "create", *AT, "--certificate-name", name, "--path", f"{name}.pem", "--verified", "true", *QUIET],
                ["iot", "hub", "certificate", "create", "--hub-name", "my-hub", "--name", name, "--path", f"{name}.pem", "--verified", "true", *QUIET]]
    assert changes(calls) == cas + [
        ["iot", "dps", "enrollment-group", "create", *AT, "--enrollment-id", "edge", *EDGE, *QUIET],
        ["iot", "dps", "enrollment-group", "create", *AT, "--enrollment-id", "pumps.a-b", "--primary-key", "k1", "--secondary-key", "k2", *PUMPS, *QUIET]]
    assert (out / "maker.pem").read_text().strip() == fleet.outside.pem.strip()
    for name in ("issuing", "root"):
        assert (out / f"{name}.pem").read_text() == fleet.op("ca.show", name=name)["pem"]


def test_what_is_there_is_updated(fleet, tmp_path):
    out = tmp_path / "azure"
    export(fleet, out, *TARGET)
    _, calls = run(out, tmp_path, there=["maker", "issuing", "root", "edge", "pumps.a-b"], **KEYS)
    got = changes(calls)
    assert got[0] == ["iot", "dps", "certificate", "update", *AT, "--certificate-name", "maker", "--path", "maker.pem", "--verified", "true",
                      "--etag", "ETAG-maker", *QUIET]
    assert got[1] == ["iot", "hub", "certificate", "update", "--hub-name", "my-hub", "--name", "maker", "--path", "maker.pem", "--verified", "true",
                      "--etag", "ETAG-maker", *QUIET]
    assert got[-2:] == [["iot", "dps", "enrollment-group", "update", *AT, "--enrollment-id", "edge", *EDGE, *QUIET],
                        ["iot", "dps", "enrollment-group", "update", *AT, "--enrollment-id", "pumps.a-b", "--primary-key", "k1",
                         "--secondary-key", "k2", *PUMPS, *QUIET]]
    assert not any("create" in c for c in got)


def test_names_come_from_the_environment_when_they_were_not_given(fleet, tmp_path):
    out = tmp_path / "azure"
    export(fleet, out)
    r, calls = run(out, tmp_path, check=False, **KEYS)
    assert r.returncode != 0 and "DPS" in r.stderr and calls == []
    r, calls = run(out, tmp_path, check=False, DPS="d", **KEYS)
    assert r.returncode != 0 and "RESOURCE_GROUP" in r.stderr and calls == []
    _, calls = run(out, tmp_path, DPS="d'e", RESOURCE_GROUP="r", **KEYS)
    edge = next(c for c in changes(calls) if "edge" in c)
    assert edge[4:8] == ["--dps-name", "d'e", "--resource-group", "r"] and "--iot-hubs" not in edge
    assert not any(c[1] == "hub" for c in calls)
    _, calls = run(out, tmp_path, DPS="d", RESOURCE_GROUP="r", HUB="h.azure-devices.cn", **KEYS)
    assert "h.azure-devices.cn" in next(c for c in changes(calls) if "edge" in c)
    assert ["--hub-name", "h"] == next(c for c in changes(calls) if c[1] == "hub")[4:6]


def test_a_service_that_is_not_there_is_no_empty_one(fleet, tmp_path):
    out = tmp_path / "azure"
    export(fleet, out, *TARGET)
    r, calls = run(out, tmp_path, check=False, DPS_GONE="1", **KEYS)
    assert r.returncode != 0 and changes(calls) == []


def test_keys_are_asked_for_and_in_no_file(fleet, tmp_path):
    out = tmp_path / "azure"
    key = fleet.op("group.show", name="pumps.a-b", show_keys=True)["key"]
    export(fleet, out, *TARGET)
    r, calls = run(out, tmp_path, check=False)
    assert r.returncode != 0 and "GROUP_PUMPS_A_B_KEY" in r.stderr and "estuary group show pumps.a-b --keys" in r.stderr and calls == []
    files = {p.name: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert not any(b"PRIVATE KEY" in x or key.encode() in x for x in files.values())
    assert set(files) == {"README", "setup.sh", "maker.pem", "issuing.pem", "root.pem"}


def test_with_keys_they_are_in_a_file_of_their_own(fleet, tmp_path):
    out = tmp_path / "azure"
    group = fleet.op("group.show", name="pumps.a-b", show_keys=True)
    last = fleet.op("audit.list", limit=1)["items"][0]["id"]
    export(fleet, out, *TARGET, "--with-keys")
    assert [r["text"] for r in fleet.op("audit.list", limit=10)["items"] if r["id"] > last] == ["group.show pumps.a-b: keys shown"]
    assert oct((out / "keys.env").stat().st_mode)[-3:] == "600"
    assert oct((out / "setup.sh").stat().st_mode)[-3:] == "700", "a webhook's address has its key in it"
    assert group["key"] not in (out / "setup.sh").read_text()
    assert not any(b"PRIVATE KEY" in p.read_bytes() for p in out.iterdir())
    _, calls = run(out, tmp_path)
    pumps = next(c for c in changes(calls) if "pumps.a-b" in c)
    assert pumps[pumps.index("--primary-key") + 1] == group["key"] and pumps[pumps.index("--secondary-key") + 1] == group["key2"]


def test_keys_of_an_earlier_run_do_not_stay(fleet, tmp_path):
    out = tmp_path / "azure"
    export(fleet, out, *TARGET, "--with-keys")
    assert (out / "keys.env").exists()
    export(fleet, out, *TARGET, "--force")
    assert not (out / "keys.env").exists() and "--with-keys" in (out / "README").read_text()


def test_each_key_has_a_variable_of_its_own(fresh_server, tmp_path):
    server = fresh_server()
    for name in ("a-b", "a.b", "a_b"):
        server.op("group.create", name=name, attestation="symmetric")
    out = tmp_path / "azure"
    export(server, out, "--dps", "d", "--resource-group", "r", "--with-keys")
    _, calls = run(out, tmp_path)
    for c in changes(calls):
        if "enrollment-group" in c:
            name = c[c.index("--enrollment-id") + 1]
            assert c[c.index("--primary-key") + 1] == server.op("group.show", name=name, show_keys=True)["key"]


def test_individual_enrolments_go_with_what_proves_them(fresh_server, tmp_path):
    server = fresh_server()
    key = new_key()
    cert, second = mint(None, "pump-8", key), mint(None, "pump-8", new_key())
    server.op("enrolment.create", registration="pump-7", attestation="symmetric", device_id="-it's $(touch x)`id`".replace(" ", "").replace("`", ""))
    server.op("enrolment.create", registration="pump-8", attestation="x509", cert=cert.public_bytes(PEM).decode(), cert2=second.public_bytes(PEM).decode())
    out = tmp_path / "azure"
    export(server, out, "--dps", "my-dps", "--resource-group", "my rg", "--with-keys")
    shown = server.op("enrolment.show", registration="pump-7", show_keys=True)
    settings = ["--provisioning-status", "enabled", "--edge-enabled", "false", "--allocation-policy", "hashed", "--reprovision-policy",
                "reprovisionandmigratedata"]
    seven = ["iot", "dps", "enrollment", "create", *AT, "--enrollment-id", "pump-7", "--attestation-type", "symmetricKey", "--primary-key", shown["key"],
             "--secondary-key", shown["key2"], "--device-id=-it's$(touchx)id", *settings, *QUIET]
    # The certificates of devices are not kept here: without them that enrolment is left out, and said.
    r, calls = run(out, tmp_path, check=False)
    assert r.returncode == 1 and "devices/pump-8.pem" in r.stderr and "1 enrolments are left out" in r.stderr
    assert [c for c in changes(calls) if "enrollment" in c] == [seven]
    (out / "devices/pump-8.pem").write_bytes(second.public_bytes(PEM))
    (out / "devices/pump-8-2.pem").write_bytes(second.public_bytes(PEM))
    assert "is not the certificate" in run(out, tmp_path, check=False)[0].stderr
    (out / "devices/pump-8.pem").write_bytes(cert.public_bytes(PEM))
    _, calls = run(out, tmp_path)
    assert [c for c in changes(calls) if "enrollment" in c] == [seven, [
        "iot", "dps", "enrollment", "create", *AT, "--enrollment-id", "pump-8", "--attestation-type", "x509", "--certificate-path", "devices/pump-8.pem",
        "--secondary-certificate-path", "devices/pump-8-2.pem", "--device-id=pump-8", *settings, *QUIET]]
    _, calls = run(out, tmp_path, there=["pump-7", "pump-8"])
    for c in changes(calls):
        if "enrollment" in c:
            assert c[3] == "update" and "--attestation-type" not in c


def test_static_allocation_to_our_own_hub_needs_one_of_azures(fresh_server, tmp_path):
    server = fresh_server()
    own = server.op("hub.list")["items"][0]["name"]
    server.op("group.create", name="g", attestation="x509", ca="issuing", allocation="static", hubs=[own])
    out = tmp_path / "azure"
    export(server, out, "--dps", "d", "--resource-group", "r")
    r, calls = run(out, tmp_path, check=False)
    assert r.returncode != 0 and "HUB" in r.stderr and calls == []
    _, calls = run(out, tmp_path, HUB="h")
    group = next(c for c in changes(calls) if "enrollment-group" in c)
    assert group[group.index("--allocation-policy") + 1] == "static" and group[group.index("--iot-hubs") + 1] == "h.azure-devices.net"
    assert own not in (out / "setup.sh").read_text()


def test_a_ca_of_the_same_name_does_not_take_ours_away(fresh_server, tmp_path):
    server = fresh_server()
    other = OutsideCa()
    server.op("group.ca_add", name="root", pem=other.pem, verified=True)
    third = OutsideCa()
    server.op("group.ca_add", name="estuary-root", pem=third.pem, verified=True)
    out = tmp_path / "azure"
    export(server, out)
    assert (out / "root.pem").read_text().strip() == other.pem.strip()
    assert (out / "estuary-root.pem").read_text().strip() == third.pem.strip()
    assert (out / "estuary-root-2.pem").read_text() == server.op("ca.show", name="root")["pem"]


def test_a_directory_is_written_once_or_by_force(fleet, tmp_path):
    out = tmp_path / "azure"
    told = json.loads(export(fleet, out, "--json").stdout)
    assert told == {"dir": str(out), "cas": 3, "groups": 2, "enrolments": 0}
    assert "--force" in export(fleet, out, check=False).stderr
    fleet.op("group.remove", name="pumps.a-b")
    export(fleet, out, "--force")
    assert "pumps" not in (out / "setup.sh").read_text()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/setup").write_text("x")
    assert export(fleet, tmp_path / "mine", "--force", check=False).returncode != 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["azure", "mine", *[p.name for p in tmp_path.iterdir() if p.name.startswith("d0")]])


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is needed")
def test_the_script_is_clean(fleet, tmp_path):
    fleet.op("enrolment.create", registration="pump-8", attestation="x509", cert=mint(None, "pump-8", new_key()).public_bytes(PEM).decode())
    export(fleet, tmp_path / "azure", *TARGET)
    subprocess.run(["shellcheck", str(tmp_path / "azure/setup.sh")], check=True)


@pytest.mark.parametrize("dps", ["a'b", "a\"b$(id)", "a}b", "a\\b", "a b"])
def test_names_of_azure_are_only_names(fresh_server, tmp_path, dps):
    server = fresh_server()
    export(server, tmp_path / "azure", "--dps", dps, "--resource-group", "r")
    _, calls = run(tmp_path / "azure", tmp_path)
    assert calls[0] == ["iot", "dps", "show", "--name", dps, "--resource-group", "r", "--output", "none"]
