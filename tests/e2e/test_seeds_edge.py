# SPDX-License-Identifier: Apache-2.0
"""The examples with an Edge CA: seeds 001 and 003, judged by openssl and the files that they leave."""
import re

from device import stem
from test_seeds import EXAMPLES, cert, openssl, place, run, same_key  # noqa: F401 (place is a fixture)


def differences(name, d):
    """Keys of the lines in which the configuration that was applied is not the printed one."""
    printed = (EXAMPLES / name / "config.toml").read_text().splitlines()
    used = (d / "device/etc/aziot/config.toml").read_text().splitlines()
    return {line.split("=")[0].strip() for line in set(printed) ^ set(used)}


def pair(d, name):
    lib = d / "device/var/lib/aziot"
    certificate, key = lib / "certd/certs" / (stem(name) + ".cer"), lib / "keyd/keys" / (stem(name) + ".key")
    assert same_key(certificate, key)
    return certificate


def issued(certificate, name):
    """It is for that name, and its chain behind it leads to the root."""
    openssl("verify", "-no_check_time", "-purpose", "sslclient", "-CAfile", certificate.parents[6] / "server/root.pem",
            "-untrusted", certificate, certificate)
    return openssl("x509", "-in", certificate, "-noout", "-subject", "-nameopt", "RFC2253").strip() == f"subject=CN={name}"


def edge_ca(d):
    text = openssl("x509", "-in", pair(d, "aziot-edged-ca"), "-noout", "-text")
    assert re.search(r"Basic Constraints: critical\n +CA:TRUE, pathlen:0", text)
    return text


def test_seed_001_keeps_a_device_fresh_under_an_intermediate_ca(place):  # noqa: F811
    d, device = place / "d", "my-iot-device1"
    said = run("seed-001", d)
    url = re.search(r"https://localhost:\d+/est/[0-9a-f-]{36}/[0-9a-f-]{36}/westeurope/\.well-known/est", said)[0]
    assert url in (d / "device/etc/aziot/config.toml").read_text()
    # Placeholders, hosts and the prefix; everything else is as printed.
    assert differences("seed-001", d) == {
        "id_scope", "global_endpoint", "registration_id", "common_name", "trusted_certs", "default", "identity_cert", "identity_pk",
        "bootstrap_identity_cert", "bootstrap_identity_pk", '"file:///var/aziot/certs/ca.pem",',
        f'"file://{d}/device/var/aziot/certs/ca.pem",'}
    # Both were renewed with new keys, by which the script knew them; and the chain is root, intermediate, device.
    for name in ("device-id", "est-id"):
        assert issued(pair(d, name), device)
        issuer = openssl("x509", "-in", pair(d, name), "-noout", "-issuer", "-nameopt", "RFC2253").strip()
        assert issuer == "issuer=C=US,O=Example,CN=IoT Edge CA"
    assert cert(pair(d, "device-id")) != cert(pair(d, "est-id"))
    # The bootstrap pair is as the portal gave it.
    auth = d / "device/var/aziot/authcerts"
    assert (auth / "certificate.pem").read_bytes() == (d / "birth.pem").read_bytes()
    assert (auth / "certificate.key").read_bytes() == (d / "birth.key").read_bytes()
    assert re.search(rf"^{device} +{device} +localhost:\d+ +assigned +initialAssignment +iot-edge ", said, re.M)
    assert f'device_id = "{device}"\n' in (d / "device/var/lib/aziot/identityd/device_info").read_text()
    # Its tree: birth, the EST identity by it, the rest by that.
    tree = said[said.index(f"$ estuary device show {device}"):]
    assert re.search(r"└─ ([0-9a-f]{32})  idevid .*\n.*\n   └─ ([0-9a-f]{32})  iot-edge-device .*\n      by certificate \1", tree)
    edge_ca(d)


def test_seed_003_lives_by_three_endpoints(place):  # noqa: F811
    d = place / "d"
    said = run("seed-003", d)
    assert differences("seed-003", d) == {"id_scope", "global_endpoint", "trusted_certs", "url", "identity_cert", "identity_pk"}
    certs, secrets = d / "device/var/aziot/certs", d / "device/var/aziot/secrets"
    root = certs / "globalsign-root.cert.pem"
    assert cert(root) == cert(d / "server/root.pem")
    # The birth certificate by both printed pipelines, and as it was at the end.
    openssl("verify", "-purpose", "sslclient", "-CAfile", root, certs / "IDevID.cert.pem")
    assert same_key(certs / "IDevID.cert.pem", secrets / "IDevID.key.pem")
    assert (certs / "IDevID.cert.pem").read_bytes() == (d / "IDevID.cert.pem").read_bytes()
    assert (secrets / "IDevID.key.pem").read_bytes() == (d / "IDevID.key.pem").read_bytes()
    assert secrets.stat().st_mode & 0o777 == 0o700 and (secrets / "IDevID.key.pem").stat().st_mode & 0o777 == 0o600
    # Three certificates in the printed place, before and after the restart.
    listed = re.findall(r"^(aziotedgedca|deviceid|estid)-[0-9a-f]{64}\.cer$", said, re.M)
    assert sorted(listed) == ["aziotedgedca", "deviceid", "estid"]
    assert issued(pair(d, "device-id"), "my-device-id")
    assert cert(d / "device/var/lib/aziot/certd/certs" / (stem("est-id") + ".cer")) == cert(certs / "IDevID.cert.pem")
    assert "my-device-id" in edge_ca(d)
    # The secret stays in the factory.
    secret = (d / "secret-value").read_text().strip()
    assert len(secret) > 15 and not any(secret in p.read_text(errors="replace") for p in (d / "device").rglob("*") if p.is_file())
    assert re.search(r"^my-device-id +my-device-id +localhost:\d+ +assigned +initialAssignment +edge-devices ", said, re.M)
    # It was renewed by itself: a second certificate of the LDevID label, by the IDevID.
    assert len(re.findall(r"ldevid-\d+s at gs-ldevid", said[said.index("$ estuary device show my-device-id"):])) == 2
