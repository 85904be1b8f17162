# SPDX-License-Identifier: Apache-2.0
"""A device against a real server: the configuration files and commands of Azure's documents, with Estuary on both sides."""
import base64
import datetime
import hmac
import json
import os
import subprocess

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

import estuary
from device import csr_pem, stem
from estuary import fresh_name, wait_for

UID = os.getuid()


def cn_of(cert):
    return cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def set_up(device, server, cn=None, extra="", renew="", url=None):
    """Seed 000's two files: a bootstrap certificate in a file, an identity that certd makes, one certificate over EST."""
    pair = server.born(cn)
    cert_uri, key_uri = device.keep_pair("bootstrap", pair)
    device.configure("certd", f"""
[cert_issuance.est]
trusted_certs = ["est-server-ca"]
{renew}

[preloaded_certs]
est-server-ca = "file://{server.root_file}"
test-est-bootstrap-cert-id = "{cert_uri}"

[cert_issuance.test-est-cert]
method = "est"
url = "{url or server.est_url}"
identity_cert = "test-est-cert-identity-id"
identity_pk = "test-est-cert-identity-id"
bootstrap_identity_cert = "test-est-bootstrap-cert-id"
bootstrap_identity_pk = "test-est-bootstrap-key-id"
{extra}

[[principal]]
uid = {UID}
certs = ["test-est-cert"]
""", "test-est-cert.toml")
    device.configure("keyd", f"""
[preloaded_keys]
test-est-bootstrap-key-id = "{key_uri}"

[[principal]]
uid = {UID}
keys = ["test-est-bootstrap-key-id", "test-est-cert-identity-id"]
""", "test-est-cert.toml")
    return pair


def test_the_commands_of_the_how_to_give_a_certificate_as_written(device, server, tmp_path):
    pair = set_up(device, server)
    device.start()
    done = subprocess.run(["bash", "-euc", f"""
openssl genrsa -out key.pem
openssl req -new -key key.pem -subj "/CN={pair.cn}" -out req.pem
curl -sS --unix-socket {device.certd.socket} http://localhost/certificates?api-version=2020-09-01 \
    -H "content-type: application/json" \
    --data "$(jq -cn --arg 'certId' 'test-est-cert' --arg 'csr' "$(cat req.pem)" '{{"certId": $certId, "csr": $csr}}')" > answer.json
jq -r .pem answer.json > cert.pem
openssl verify -CAfile {server.root_file} -untrusted cert.pem cert.pem
test "$(openssl x509 -in cert.pem -noout -pubkey)" = "$(openssl pkey -in key.pem -pubout)"
"""], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + device.certd.log
    assert (tmp_path / "cert.pem").read_text().strip() == device.cert_file("test-est-cert").read_text().strip()
    assert device.matches("test-est-cert-identity-id")
    assert cn_of(device.cert("test-est-cert-identity-id")) == pair.cn


def ask(device, cn, key=None, identifier="test-est-cert"):
    key = key or estuary.new_key()
    answer = device.request(identifier, csr_pem(estuary.csr(key, cn)))
    assert answer.status == 201, f"{answer}\n{device.certd.log}"
    return x509.load_pem_x509_certificate(answer.json["pem"].encode())


def test_the_identity_is_made_once_and_then_used(device, server):
    pair = set_up(device, server)
    device.start()
    ask(device, pair.cn)
    before = device.cert("test-est-cert-identity-id").serial_number
    ask(device, pair.cn)
    assert device.cert("test-est-cert-identity-id").serial_number == before


@pytest.fixture(scope="session")
def short(server):
    """The EST URL of a label whose certificates live for two minutes, as Azure's agent needs it: concurrent."""
    have = server.op("profile.show", name="device")
    server.op("profile.create", name="two-minutes", lifetime="2m", backdate="0s", ku=have["ku"], eku=have["eku"], san_dns="device")
    server.label("two-minutes", ca="issuing", profile="two-minutes", accept=["own", "basic", "code"], concurrent=True)
    return server.est_url.rstrip("/") + "/two-minutes"


IDENTITY = "test-est-cert-identity-id"


def renewal(threshold, rotate=True):
    return f"""[cert_issuance.est.identity_auto_renew]
rotate_key = {str(rotate).lower()}
threshold = "{threshold}"
retry = "4%"
"""


def generation(device, at_least, identifier=IDENTITY):
    def look():
        c = device.credential(identifier)
        return c if c and c["generation"] >= at_least and c["state"] == "idle" and c["proved"] else None

    return wait_for(f"generation {at_least} of {identifier}", look)


@pytest.mark.parametrize("rotate", [True, False], ids=["rotated", "same-key"])
def test_an_identity_is_renewed_when_its_threshold_comes(device, server, short, rotate):
    pair = set_up(device, server, url=short, renew=renewal("5%", rotate))
    device.start()
    ask(device, pair.cn)
    first, key = device.cert(IDENTITY), device.key(IDENTITY)
    generation(device, 2)
    second = device.cert(IDENTITY)
    assert second.serial_number != first.serial_number and second.not_valid_after > first.not_valid_after
    assert (device.key(IDENTITY).private_numbers() != key.private_numbers()) == rotate
    assert device.matches(IDENTITY)
    assert "Attempting to renew certificate test-est-cert-identity-id." in device.certd.log
    assert "Certificate test-est-cert-identity-id was renewed. Next renewal at " in device.certd.log
    shown = server.op("device.show", name=pair.cn)
    assert shown["state"] == "active", shown


def test_at_eighty_percent_of_two_minutes_an_identity_is_renewed(device, server, short):
    pair = set_up(device, server, url=short)
    device.start()
    ask(device, pair.cn)
    first = device.cert(IDENTITY)
    wait_for("the identity to be settled", lambda: device.credential(IDENTITY)["state"] == "idle")
    due = device.credential(IDENTITY)["next_renewal"]
    begin, life = first.not_valid_before, (first.not_valid_after - first.not_valid_before).total_seconds()
    assert life == 120
    share = (datetime.datetime.utcfromtimestamp(due) - begin).total_seconds() / life
    assert 0.78 <= share <= 0.82
    wait_for("the renewal", lambda: device.cert(IDENTITY).serial_number != first.serial_number, 120)
    assert datetime.datetime.utcnow() - begin >= datetime.timedelta(seconds=life * 0.78)
    assert device.matches(IDENTITY)


def test_an_identity_that_expired_comes_back_by_the_bootstrap(device, server):
    server.op("profile.create", name=(p := fresh_name("seconds")), lifetime="1m", backdate="0s", ku=["digitalSignature"], eku=["clientAuth"])
    server.label(p, ca="issuing", profile=p, accept=["own"], concurrent=True)
    pair = set_up(device, server, url=f"{server.est_url.rstrip('/')}/{p}")
    device.start()
    ask(device, pair.cn)
    first = device.cert(IDENTITY)
    device.certd.stop()
    wait_for("the identity to expire", lambda: datetime.datetime.utcnow() > first.not_valid_after, 90)
    device.certd.start()
    wait_for("a new identity", lambda: device.cert(IDENTITY).serial_number != first.serial_number)
    assert device.matches(IDENTITY)
    ask(device, pair.cn)


def test_files_that_were_deleted_are_made_again(device, server):
    """The last section of Microsoft's tutorial: certificates and keys removed by hand."""
    pair = set_up(device, server)
    device.start()
    ask(device, pair.cn)
    first = device.cert(IDENTITY).serial_number
    device.certd.stop(), device.keyd.stop()
    for f in (device.cert_file(IDENTITY), device.key_file(IDENTITY), device.cert_file("test-est-cert")):
        f.unlink()
    device.start()
    ask(device, pair.cn)
    assert device.cert(IDENTITY).serial_number != first and device.matches(IDENTITY)


def test_an_original_service_finds_its_files_as_it_left_them(device, server):
    """What other programs read, and nothing else, stands in keys and certs."""
    pair = set_up(device, server)
    device.start()
    ask(device, pair.cn)
    generation(device, 1)
    device.stop()
    certs = {f.name for f in (device.prefix / "var/lib/aziot/certd/certs").iterdir()}
    keys = {f.name for f in (device.prefix / "var/lib/aziot/keyd/keys").iterdir()}
    assert certs == {stem("test-est-cert") + ".cer", stem(IDENTITY) + ".cer"}
    assert keys == {stem(IDENTITY) + ".key", stem("handle-validation-key") + ".key"}


def test_seed_003_an_idevid_file_opens_the_ldevid_and_edge_ca_endpoints(device, server):
    """The files that `config apply` writes for GlobalSign's article: the IDevID is the EST identity itself."""
    pair = server.born()
    cert_uri, key_uri = device.keep_pair("IDevID", pair)
    base = server.est_url.rstrip("/")
    device.configure("certd", f"""
[cert_issuance.est]
trusted_certs = ["est-server-ca-1"]
identity_cert = "est-id"
identity_pk = "est-id"

[cert_issuance.est.urls]

[cert_issuance.device-id]
method = "est"
common_name = "{pair.cn}"
url = "{base}/ldevid"

[cert_issuance.aziot-edged-ca]
method = "est"
common_name = "{pair.cn} Edge CA"
url = "{base}/edge-ca"

[preloaded_certs]
est-server-ca-1 = "file://{server.root_file}"
est-id = "{cert_uri}"

[[principal]]
uid = {UID}
certs = ["device-id", "aziot-edged-ca"]
""")
    device.configure("keyd", f"""
[preloaded_keys]
est-id = "{key_uri}"
[[principal]]
uid = {UID}
keys = ["*"]
""")
    device.start()
    before = open(cert_uri.removeprefix("file://"), "rb").read()
    issued = ask(device, pair.cn, identifier="device-id")
    assert cn_of(issued) == pair.cn
    ca = ask(device, f"{pair.cn} Edge CA", identifier="aziot-edged-ca")
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert open(cert_uri.removeprefix("file://"), "rb").read() == before


def test_a_certificate_with_a_key_of_its_own_is_requested_and_renewed_without_anybody_asking(device, server, short):
    pair = set_up(device, server, url=short, extra="", renew=renewal("50%"))
    device.configure("certd", f"""
[cert_issuance.device-id]
method = "est"
common_name = "{pair.cn}"
url = "{short}"
pk = "device-id"
identity_cert = "{IDENTITY}"
identity_pk = "{IDENTITY}"
bootstrap_identity_cert = "test-est-bootstrap-cert-id"
bootstrap_identity_pk = "test-est-bootstrap-key-id"
auto_renew = {{ threshold = "5%", retry = "4%", rotate_key = true }}
""", "20-managed.toml")
    device.configure("keyd", f'[[principal]]\nuid = {UID}\nkeys = ["device-id", "device-id-temp"]\n', "20-managed.toml")
    device.start()
    generation(device, 2, "device-id")
    assert device.matches("device-id") and cn_of(device.cert("device-id")) == pair.cn


def test_basic_alone_is_enough_for_the_tutorials_user(device, server):
    user = fresh_name("estuser")
    made = server.op("credential.add", kind="password", user=user, scope="any", active=True)
    device.configure("certd", f"""
[cert_issuance.est]
trusted_certs = ["file://{server.root_file}"]
username = "{user}"
password = "{made['secret']}"
[cert_issuance.est.urls]
default = "{server.est_url}"
[cert_issuance.device-id]
method = "est"
[[principal]]
uid = {UID}
certs = ["*"]
""")
    device.start()
    cn = fresh_name()
    assert cn_of(ask(device, cn, identifier="device-id")) == cn


def test_status_says_what_is_well_and_what_is_not_also_by_its_exit_status(device, server):
    pair = set_up(device, server)
    device.start()
    ask(device, pair.cn)
    generation(device, 1)
    shown = device.agent("status")
    assert IDENTITY in shown.stdout and "fresh" in shown.stdout and "next renewal" in shown.stdout
    device.agent("pause", IDENTITY)
    paused = device.agent("status", check=False)
    assert paused.returncode == 3 and "paused by an operator" in paused.stdout
    device.agent("resume", IDENTITY)
    device.agent("renew", IDENTITY)
    generation(device, 2)
    assert device.agent("status").returncode == 0
    assert f'estuary_credential_generation{{id="{IDENTITY}"}} 2' in device.agent("metrics").stdout


def test_the_edge_daemon_gets_module_certificates_by_its_own_ca(device, server):
    """An explicit issuer: a certificate that certd holds and a key handle that the caller has."""
    pair = set_up(device, server)
    device.configure("certd", f"""
[cert_issuance.aziot-edged-ca]
method = "est"
common_name = "{pair.cn} Edge CA"
url = "{server.est_url.rstrip('/')}/edge-ca"
identity_cert = "{IDENTITY}"
identity_pk = "{IDENTITY}"
bootstrap_identity_cert = "test-est-bootstrap-cert-id"
bootstrap_identity_pk = "test-est-bootstrap-key-id"
[[principal]]
uid = {UID}
certs = ["aziot-edged-ca", "aziot-edged/module/*"]
""", "30-edge.toml")
    device.configure("keyd", f'[[principal]]\nuid = {UID}\nkeys = ["aziot-edged-ca"]\n', "30-edge.toml")
    device.start()
    handle = device.keyd.request("POST", "/keypair", {"keyId": "aziot-edged-ca", "preferredAlgorithms": "rsa-2048:*"}).json["keyHandle"]
    ca_key = device.key("aziot-edged-ca")
    ca = ask(device, f"{pair.cn} Edge CA", ca_key, "aziot-edged-ca")
    key = estuary.new_key()
    sans = [x509.DNSName("edgehub"), x509.DNSName("gateway.example")]
    usage = [(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)]
    answer = device.request("aziot-edged/module/edgeHub:1:server", csr_pem(estuary.csr(key, "edgehub", sans, usage)),
                            issuer={"certId": "aziot-edged-ca", "privateKeyHandle": handle})
    assert answer.status == 201, f"{answer}{device.certd.log}"
    leaf = x509.load_pem_x509_certificate(answer.json["pem"].encode())
    assert leaf.issuer == ca.subject and leaf.serial_number > 2 ** 64
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == ["edgehub", "gateway.example"]
    sub_ca = [(x509.BasicConstraints(True, None), True)]
    answer = device.request("aziot-edged/module/x:1:server", csr_pem(estuary.csr(key, "x", None, sub_ca)),
                            issuer={"certId": "aziot-edged-ca", "privateKeyHandle": handle})
    assert answer.status != 201 or not x509.load_pem_x509_certificate(answer.json["pem"].encode()).extensions.get_extension_for_class(
        x509.BasicConstraints).value.ca


def test_a_home_that_another_service_used_keeps_its_handles_alive_until_an_operator_binds_them(device):
    device.configure("keyd", f"[[principal]]\nuid = {UID}\nkeys = [\"*\"]\n")
    keys = device.prefix / "var/lib/aziot/keyd/keys"
    keys.mkdir()
    secret = os.urandom(32)
    (keys / (stem("handle-validation-key") + ".key")).write_bytes(secret)
    (keys / (stem("device-id") + ".key")).write_bytes(estuary.key_pem(estuary.new_key()))
    said = json.dumps({"key_id": {"KeyPair": "device-id"}, "nonce": base64.b64encode(os.urandom(64)).decode()}, separators=(",", ":")).encode()
    mac = hmac.new(secret, said, "sha256").digest()
    handle = f"sr={base64.b64encode(said).decode()}&sig={base64.b64encode(mac).decode()}"
    ask_it = lambda: device.keyd.request("POST", "/parameters/algorithm", {"keyHandle": handle}, version="2021-05-01")
    device.keyd.start()
    assert ask_it().json == {"value": "ECDSA"}
    device.keyd.stop()
    device.keyd.start()
    assert ask_it().status == 200
    device.configure("keyd", "[handles]\nbind = true\n", "20-bind.toml")
    device.keyd.reload()
    assert ask_it().status == 400 and "handles" in ask_it().message


def test_a_new_home_binds_its_handles(device):
    device.configure("keyd", f"[[principal]]\nuid = {UID}\nkeys = [\"*\"]\n")
    device.keyd.start()
    handle = device.keyd.request("POST", "/keypair", {"keyId": "k"}).json["keyHandle"]
    said = json.loads(base64.b64decode(handle.removeprefix("sr=").split("&")[0]))
    assert said["uid"] == UID and said["gen"] == 1 and said["exp"] > 0


def test_requests_of_its_own_are_bound_to_the_connection_where_the_label_wants_it(device, server):
    """RFC 7030 3.5 and RFC 9266, and renewal by simplereenroll."""
    label = fresh_name("bound")
    server.label(label, ca="issuing", profile="device", accept=["own"], pop="required", concurrent=True)
    pair = set_up(device, server, url=f"{server.est_url.rstrip('/')}/{label}")
    device.start()
    assert device.request("test-est-cert", csr_pem(estuary.csr(estuary.new_key(), pair.cn))).status != 201
    device.configure("certd", "[cert_issuance.est]\nchannel_binding = true\nreenroll = true\n", "40-bound.toml")
    device.certd.reload()
    device.agent("renew", IDENTITY)
    first = generation(device, 1)
    device.agent("renew", IDENTITY)
    assert generation(device, 2)["serial"] != first["serial"]
    kinds = {a["kind"] for a in server.op("audit.list", device=pair.cn)["items"] if a["outcome"] == "ok" and a["label"] == label}
    assert kinds == {"enrol", "reenrol"}



def test_certificates_that_renew_by_simplereenroll_renew_each_itself_alone(device, server):
    """RFC 7030 4.2.2: what is shown is what is renewed, so nobody shows the identity to renew something else."""
    label = fresh_name("itself")
    server.label(label, ca="issuing", profile="device", accept=["own"], concurrent=True)
    url = f"{server.est_url.rstrip('/')}/{label}"
    pair = server.born()
    cert_uri, key_uri = device.keep_pair("bootstrap", pair)
    device.configure("keyd", f'[preloaded_keys]\nbootstrap = "{key_uri}"\n[[principal]]\nuid = {UID}\nkeys = ["*"]\n')
    device.configure("certd", f"""
[cert_issuance.est]
trusted_certs = ["file://{server.root_file}"]
reenroll = true
[cert_issuance.est.urls]
default = "{url}"
[cert_issuance.est.auth]
identity_cert = "est-id"
identity_pk = "est-id"
bootstrap_identity_cert = "{cert_uri}"
bootstrap_identity_pk = "bootstrap"
[cert_issuance.web]
method = "est"
common_name = "{pair.cn}"
pk = "web"
reenroll = true
[[principal]]
uid = {UID}
certs = ["*"]
""")
    device.start()
    generation(device, 1, "web")
    for n in (2, 3):
        for identifier in ("web", "est-id"):
            before = device.cert(identifier).serial_number
            device.agent("renew", identifier)
            generation(device, n, identifier)
            parent = server.op("cert.show", serial=format(device.cert(identifier).serial_number, "032x"))["parent"]
            assert parent == format(before, "032x")
    assert server.op("device.show", name=pair.cn)["state"] == "active"
