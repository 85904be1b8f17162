# SPDX-License-Identifier: Apache-2.0
"""config apply, mp and import: from the one file of Azure's documents to services that run by it, and what a crash leaves of it."""
import json
import os
import re
import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import estuary
from device import AGENT, csr_pem
from estuary import PATIENCE
from sites import CALLS, read_trace

UID = os.getuid()


@pytest.fixture
def called(tmp_path):
    """The program under another name: called("iotedge")(args...)."""

    def name(program):
        link = tmp_path / program
        if not link.exists():
            link.symlink_to(AGENT)

        def run(*args, check=True, env=None):
            r = subprocess.run([str(link), *map(str, args)], capture_output=True, text=True, timeout=PATIENCE * 2,
                               env={**os.environ, **(env or {})})
            if check:
                assert r.returncode == 0, f"{args}: {r.returncode}\n{r.stdout}{r.stderr}"
            return r

        return run

    return name


def keep_config(device, text):
    path = device.prefix / "etc/aziot/config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def super_file(device, service):
    return device.prefix / "etc/aziot" / service / "config.d/00-super.toml"


def files_of(directory):
    """Every file below a directory with its content, but the super-config itself."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*"))
            if p.is_file() and p.name not in ("config.toml", "trace")}


def dps(url, cert="", auth="", more="", cn="my-device"):
    """The shape of every document: DPS, a certificate over EST, one server for all."""
    return f"""
[provisioning]
source = "dps"
global_endpoint = "https://global.azure-devices-provisioning.net"
id_scope = "0ab1234C5D6"

[provisioning.attestation]
method = "x509"
registration_id = "{cn}"

[provisioning.attestation.identity_cert]
method = "est"
common_name = "{cn}"
{cert}

[provisioning.attestation.identity_cert.auto_renew]
rotate_key = true
threshold = "80%"
retry = "4%"

[cert_issuance.est.auth]
{auth}

[cert_issuance.est.urls]
default = "{url}"
{more}
"""


SAS = """[provisioning]
source = "manual"
connection_string = "HostName=h.example;DeviceId=%s;SharedAccessKey=aHVzaA=="
[cert_issuance.est.auth]
username = "u"
password = "hush"
"""


def both_pairs(cert_uri, key_uri):
    """As a well-known how-to has it: the same files as the identity and as the bootstrap identity."""
    return f"""identity_cert = "{cert_uri}"
identity_pk = "{key_uri}"
bootstrap_identity_cert = "{cert_uri}"
bootstrap_identity_pk = "{key_uri}"
"""


def trusting(server, config):
    return config.replace("[cert_issuance.est.auth]", f"""[cert_issuance.est]
trusted_certs = ["file://{server.root_file}"]

[cert_issuance.est.auth]""", 1)


def warnings(service):
    """What a service has against its configuration; how well the kernel confines it is another matter."""
    return [line for line in service.log.splitlines() if re.search(r"\[(WARN|ERR!)\] - (?!Confined:)", line)]


# --- the services take what was written ---

def test_both_services_start_by_the_files_without_a_warning(device, server, called):
    cert_uri, key_uri = device.keep_pair("born", server.born())
    keep_config(device, trusting(server, dps(server.est_url, auth=both_pairs(cert_uri, key_uri), more="\n[edge_ca]\nmethod = \"est\"\n")))
    r = called("iotedge")("config", "apply", "--edge-daemon", "yes", "--prefix", device.prefix)
    assert "Azure IoT Edge has been configured successfully!" in r.stdout
    assert r.stderr == ""
    device.start()
    assert warnings(device.keyd) == [] and warnings(device.certd) == []


def test_a_device_enrols_by_the_how_to_that_names_one_pair_twice(device, server, called):
    pair = server.born()
    cert_uri, key_uri = device.keep_pair("born", pair)
    keep_config(device, trusting(server, dps(server.est_url, auth=both_pairs(cert_uri, key_uri), cn=pair.cn)))
    called("aziotctl")("config", "apply", "--prefix", device.prefix)
    device.start()
    answer = device.request("device-id", csr_pem(estuary.csr(estuary.new_key(), pair.cn)))
    assert answer.status == 201, f"{answer}\n{device.certd.log}"
    assert x509.load_pem_x509_certificate(answer.json["pem"].encode()).public_bytes(serialization.Encoding.DER)
    assert device.matches("est-id"), "the identity that was fetched with the pair, which certd renews"
    assert warnings(device.certd) == []


def test_a_certificate_of_ones_own_is_fetched_by_certd_itself(device, server, called):
    pair = server.born()
    cert_uri, key_uri = device.keep_pair("born", pair)
    keep_config(device, trusting(server, f"""
[provisioning]
source = "none"

[cert_issuance.est.auth]
bootstrap_identity_cert = "{cert_uri}"
bootstrap_identity_pk = "{key_uri}"

[cert_issuance.est.urls]
default = "{server.est_url}"

[cert_issuance.web]
method = "est"
common_name = "{pair.cn}"
pk = "web-key"
"""))
    device.agent("config", "apply")
    device.start()
    estuary.wait_for("the certificate", lambda: device.matches("web", "web-key"))


# --- names, help, exit codes ---

@pytest.mark.parametrize("program, edge", [("iotedge", True), ("aziotctl", False), ("estuary-agent", False)])
def test_the_program_goes_by_the_names_of_the_originals(device, called, program, edge):
    keep_config(device, '[provisioning]\nsource = "none"\n')
    run = called(program)
    run("config", "apply", "--prefix", device.prefix)
    assert super_file(device, "edged").exists() == edge
    assert f"`{program} config apply`" in super_file(device, "keyd").read_text().splitlines()[0]
    assert f"{program} config apply" in run("config", "--help").stdout or program in run("help").stdout
    assert run("--version").stdout.startswith(program + " ")


def test_what_goes_wrong_has_an_exit_status_of_its_own(device, called, tmp_path):
    run = called("aziotctl")
    assert run("config", "apply", "--prefix", device.prefix, check=False).returncode == 66, "no such file"
    keep_config(device, "provisioning = 1\n")
    r = run("config", "apply", "--prefix", device.prefix, check=False)
    assert r.returncode not in (0, 66) and "config.toml:1:1: key 'provisioning': is an integer" in r.stderr
    keep_config(device, "[provisioning\n")
    assert run("config", "apply", "--prefix", device.prefix, check=False).returncode == r.returncode
    assert run("config", "apply", "--prefx", device.prefix, check=False).returncode == 64
    assert files_of(device.prefix / "etc") == {}


@pytest.mark.skipif(UID == 0, reason="root may")
def test_a_real_installation_is_for_root(called, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[provisioning]\nsource = "none"\n')
    r = called("aziotctl")("config", "apply", "-c", config, check=False)
    assert r.returncode != 0 and "this command must be run as root" in r.stderr


def test_a_name_that_is_not_there_is_told_before_anything_is_written(device, server, called):
    cert_uri, key_uri = device.keep_pair("born", server.born())
    other = device.keep_pair("other", server.born())[1]
    keep_config(device, dps(server.est_url, auth=both_pairs(cert_uri, other), more='\n[edge_ca]\ncert = "file:///no/ca.pem"\npk = "x"\n'))
    r = called("iotedge")("config", "apply", "--prefix", device.prefix, check=False)
    assert r.returncode != 0
    assert re.search(r"config\.toml:\d+:\d+: key 'cert_issuance\.est\.auth\.bootstrap_identity_pk': .*is not the key of the certificate", r.stderr)
    assert "key 'edge_ca.cert': /no/ca.pem: no such file; it must be there, readable by user aziotcs" in r.stderr
    assert "key 'edge_ca.pk': 'x' is not of the form file:///path" in r.stderr
    assert not super_file(device, "keyd").exists()


# --- real installations ---

# What a machine looks like to root: users, empty /etc, /var and /run.  It refuses to run in the mount namespace of the test.
USERS = """root:x:0:0::/root:/bin/sh
aziotks:x:7000:7000::/var/lib/aziot/keyd:/usr/sbin/nologin
aziotcs:x:7001:7001::/var/lib/aziot/certd:/usr/sbin/nologin
aziotid:x:7002:7002::/var/lib/aziot/identityd:/usr/sbin/nologin
aziottpm:x:7003:7003::/var/lib/aziot/tpmd:/usr/sbin/nologin
iotedge:x:7004:7004::/var/lib/aziot/edged:/usr/sbin/nologin
"""
MACHINE = r"""
from=$1 agent=$2 outside=$3
[ "$(readlink /proc/self/ns/mnt)" != "$outside" ]
for d in etc var run; do mount -t tmpfs -o mode=755 tmpfs /$d; done
cp "$from/users" /etc/passwd
sed 's/^\([^:]*\):x:\([0-9]*\):.*/\1:x:\2:/' "$from/users" > /etc/group
mkdir -p /etc/aziot /var/aziot
cp "$from/config.toml" /etc/aziot/config.toml
cp "$from/key.pem" "$from/cert.pem" /var/aziot
chown 7000 /var/aziot/key.pem
"""


def on_a_machine(tmp_path, server, config, script):
    pair = server.born()
    (tmp_path / "users").write_text(USERS)
    (tmp_path / "config.toml").write_text(config)
    (tmp_path / "cert.pem").write_bytes(pair.cert.public_bytes(serialization.Encoding.PEM))
    shutil.copy(pair.key_file, tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "machine.sh").write_text(MACHINE + script)
    shutil.copy(AGENT, tmp_path / "estuary-agent")  # the build may be below what is mounted over
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-eu", str(tmp_path / "machine.sh"),
                           str(tmp_path), str(tmp_path / "estuary-agent"), os.readlink("/proc/self/ns/mnt")],
                          capture_output=True, text=True, timeout=PATIENCE)


OWN_PAIR = """identity_cert = "file:///var/aziot/cert.pem"
identity_pk = "file:///var/aziot/key.pem"
"""
NAMESPACE = ["unshare", "--mount", "--propagation", "private", "true"]
needs_root = pytest.mark.skipif(UID != 0 or subprocess.run(NAMESPACE, capture_output=True).returncode != 0,
                                reason="only root can give files to others, and in a mount namespace of its own")


@needs_root
def test_root_gives_each_file_to_the_user_of_its_service(tmp_path, server):
    r = on_a_machine(tmp_path, server, SAS % "d" + OWN_PAIR, r"""
"$agent" config apply
find /etc/aziot/*/* /var/secrets -printf '%u %m %p\n' | sort
grep -h uid /etc/aziot/keyd/config.d/00-super.toml
""")
    assert r.returncode == 0, r.stdout + r.stderr
    for line in ["aziotks 600 /etc/aziot/keyd/config.d/00-super.toml", "aziotks 700 /etc/aziot/keyd/config.d",
                 "aziotcs 600 /etc/aziot/certd/config.d/00-super.toml", "aziotid 600 /etc/aziot/identityd/config.d/00-super.toml",
                 "aziottpm 600 /etc/aziot/tpmd/config.d/00-super.toml", "iotedge 600 /etc/aziot/edged/config.d/00-super.toml",
                 "aziotks 600 /var/secrets/aziot/keyd/device-id", "aziotks 700 /var/secrets/aziot/keyd", "root 755 /var/secrets",
                 "uid = 7002", "uid = 7001", "uid = 7004"]:
        assert line in r.stdout.splitlines(), r.stdout


@needs_root
def test_a_file_that_its_service_cannot_read_is_told(tmp_path, server):
    r = on_a_machine(tmp_path, server, SAS % "d" + OWN_PAIR, r"""
chmod 700 /var/aziot
"$agent" config apply || echo "status $?"
chmod 755 /var/aziot
chown 7002 /var/aziot/key.pem
"$agent" config apply || echo "status $?"
ls /etc/aziot
""")
    assert r.returncode == 0, r.stderr
    assert r.stdout.splitlines() == ["status 65", "status 65", "config.toml"]
    assert "user aziotcs cannot enter /var/aziot: chmod o+x /var/aziot, or chown aziotcs /var/aziot" in r.stderr
    assert "key 'cert_issuance.est.auth.identity_pk': user aziotks cannot read /var/aziot/key.pem: chown aziotks" in r.stderr


# --- difference, other machines ---


def test_a_dry_run_shows_the_difference_without_secrets_and_changes_nothing(device, called):
    run = called("aziotctl")
    keep_config(device, SAS % "one")
    run("config", "apply", "--prefix", device.prefix)
    before = files_of(device.prefix)
    keep_config(device, (SAS % "two").replace("hush", "hushed"))
    r = run("config", "apply", "--dry-run", "--prefix", device.prefix)
    assert '- device_id = "one"\n+ device_id = "two"\n' in r.stdout
    assert '- password = "***"\n+ password = "***"\n' in r.stdout
    assert "hush" not in r.stdout + r.stderr and "aHVza" not in r.stdout
    assert files_of(device.prefix) == before


def test_json_tells_which_file_changed(device, called):
    run = called("aziotctl")
    keep_config(device, SAS % "one")
    run("config", "apply", "--prefix", device.prefix)
    keep_config(device, SAS % "two")
    told = json.loads(run("config", "apply", "--json", "--prefix", device.prefix).stdout)
    assert {f["service"]: f["change"] for f in told["files"] if f["path"].endswith(".toml")} == {
        "keyd": "same", "certd": "same", "identityd": "changed", "tpmd": "same"}
    assert told["restarted"] == [] and told["dry_run"] is False


def test_an_image_for_another_machine_has_that_machines_users_and_paths(tmp_path, called):
    config = tmp_path / "c.toml"
    config.write_text(SAS % "one")
    run = called("iotedge")
    users = ["--uid", "aziotcs=7001", "--uid", "aziotid=7002", "--uid", "iotedge=7003"]
    run("config", "apply", "-c", config, "--out", tmp_path / "image", *users, "--hostname", "pump-7")
    assert sorted(files_of(tmp_path / "image")) == sorted(
        [f"etc/aziot/{s}/config.d/00-super.toml" for s in ("keyd", "certd", "identityd", "tpmd", "edged")] +
        ["var/secrets/aziot/keyd/device-id"])
    text = (tmp_path / "image/etc/aziot/keyd/config.d/00-super.toml").read_text()
    assert re.findall(r"uid = (\d+)", text) == ["7002", "7001", "7003"]
    assert 'homedir_path = "/var/lib/aziot/keyd"' in text
    assert 'hostname = "pump-7"' in (tmp_path / "image/etc/aziot/identityd/config.d/00-super.toml").read_text()
    assert (tmp_path / "image/var/secrets/aziot/keyd/device-id").stat().st_mode & 0o7777 == 0o600


def test_an_image_is_for_no_prefix_whichever_way_that_was_given(device, tmp_path, called):
    run = called("aziotctl")
    r = run("config", "apply", "--out", tmp_path / "image", "--prefix", device.prefix, check=False)
    assert r.returncode == 64 and "--out and --prefix exclude each other" in r.stderr
    r = run("config", "apply", "--out", tmp_path / "image", env={"ESTUARY_PREFIX": str(device.prefix)}, check=False)
    assert r.returncode == 64 and "--out and ESTUARY_PREFIX in the environment exclude each other" in r.stderr
    assert not (tmp_path / "image").exists()


# --- mp and import ---

def test_a_connection_string_is_all_that_a_first_try_needs(device, called):
    run = called("iotedge")
    string = "HostName=h.example;DeviceId=d;SharedAccessKey=c2VjcmV0"
    r = run("config", "mp", "-c", string, "--prefix", device.prefix)
    config = device.prefix / "etc/aziot/config.toml"
    assert f"sudo iotedge config apply -c '{config}'" in r.stdout
    assert config.stat().st_mode & 0o7777 == 0o600
    again = run("config", "mp", "-c", string, "--prefix", device.prefix, check=False)
    assert again.returncode != 0 and "--force" in again.stderr
    run("config", "mp", "-c", string, "-f", "--prefix", device.prefix)
    run("config", "apply", "--prefix", device.prefix)
    assert (device.prefix / "var/secrets/aziot/keyd/device-id").read_bytes() == b"secret"


def test_a_configuration_of_the_first_edge_is_imported_with_its_master_key(device, called):
    run = called("iotedge")
    old = device.prefix / "etc/iotedge/config.yaml"
    old.parent.mkdir(parents=True)
    old.write_text("""provisioning:
  source: "dps"
  global_endpoint: "https://global.azure-devices-provisioning.net"
  scope_id: "0ab"
  attestation:
    method: "symmetric_key"
    registration_id: "r"
    symmetric_key: "c2VjcmV0"
agent:
  name: "edgeAgent"
  type: "docker"
  env: {}
  config:
    image: "mcr.microsoft.com/azureiotedge-agent:1.1"
    auth: {}
hostname: "old-device"
homedir: "/var/lib/iotedge"
""")
    key = device.prefix / "var/lib/iotedge/hsm/enc_keys/edgelet-masterWt5mT2xpO72EPKlt2Tt0Sq4uJCrMvfl2rzzKRB3pnyo_.enc.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(b"k" * 32)
    r = run("config", "import", "--prefix", device.prefix)
    assert "azureiotedge-agent:1.6 is taken" in r.stderr
    run("config", "apply", "--prefix", device.prefix)
    assert (device.prefix / "var/secrets/aziot/keyd/device-id").read_bytes() == b"secret"
    assert (device.prefix / "var/secrets/aziot/keyd/imported-master-encryption-key").read_bytes() == b"k" * 32
    assert 'hostname = "old-device"' in super_file(device, "edged").read_text()


# --- crashes ---

def strace(tmp, *args):
    return ["strace", "-y", "-o", str(tmp / "trace"), "-e", "trace=" + ",".join(CALLS), *args]


def apply_under(device, wrap):
    return subprocess.run([*wrap, str(AGENT), "config", "apply", "--prefix", str(device.prefix)], capture_output=True, text=True,
                          timeout=PATIENCE * 2)


def test_a_crash_at_any_system_call_leaves_all_files_old_or_all_new(device, tmp_path):
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    secrets, etc = device.prefix / "var/secrets", device.prefix / "etc"

    def state():
        all_files = {**files_of(etc), **{"secrets/" + k: v for k, v in files_of(secrets).items()}}
        return {k: v for k, v in all_files.items() if not k.endswith(".apply-new")}

    def begin():
        shutil.rmtree(secrets, ignore_errors=True)
        for d in (*etc.glob("aziot/*/config.d"), ):
            shutil.rmtree(d)
        keep_config(device, (SAS % "old").replace("aHVzaA", "b2xkb2xk"))
        device.agent("config", "apply")
        keep_config(device, '[provisioning]\nsource = "none"\n' if begin.gone else (SAS % "new").replace('"u"', '"v"'))

    sites = 0
    for begin.gone in (False, True):
        begin()
        old = state()
        r = apply_under(device, strace(tmp_path))
        assert r.returncode == 0, r.stderr
        new = state()
        assert old.keys() - new.keys() == ({"secrets/aziot/keyd/device-id"} if begin.gone else set())
        assert old["aziot/identityd/config.d/00-super.toml"] != new["aziot/identityd/config.d/00-super.toml"]
        trace = [s for s in read_trace(tmp_path / "trace", device.prefix) if s]
        assert any(s.call.startswith("rename") for s in trace)
        for site in trace:
            begin()
            killed = apply_under(device, strace(tmp_path, "-e", f"inject={site.call}:signal=KILL:when={site.nth}"))
            assert killed.returncode != 0, f"{site} was not reached"
            decided = (etc / "aziot/.config-apply.journal").exists()
            keep_config(device, '[provisioning]\nsource = "wrong"\n')  # recovers, and then changes nothing
            r = device.agent("config", "apply", check=False)
            assert r.returncode != 0
            assert ("an earlier config apply that was interrupted has been completed first" in r.stderr) == decided
            after = state()
            assert after in (old, new), f"{site}: {sorted(k for k in after if after[k] not in (old.get(k), new.get(k)))}"
            assert not (etc / "aziot/.config-apply.journal").exists()
            keep_config(device, '[provisioning]\nsource = "none"\n')
            device.agent("config", "apply")
            assert not list(device.prefix.rglob("*.apply-new")), "nothing lies about after the next one"
            sites += 1
    assert sites > 20
