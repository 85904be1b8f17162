# SPDX-License-Identifier: Apache-2.0
"""Base paths of labels: EST URLs as commercial services hand them out, and that no path leads to another label (W4)."""
import subprocess

import pytest
from cryptography import x509

from estuary import Raw, b64, basic, csr, fresh_name, new_key

EST = "/.well-known/est"
FIELDS = {"Content-Type": "application/pkcs10"}


def fresh_base(form="/est/{}/westeurope"):
    return form.format(fresh_name("8c1f"))


def get(server, path, method="GET", **kw):
    with server.client() as c:
        return c.request(method, path, **kw)


def post(server, path, code=None):
    """A request of a new device, by a one-time code that every label takes."""
    fields = {**FIELDS, **basic("", code or server.new_code())}
    return get(server, path, "POST", body=b64(csr(new_key(), fresh_name())), headers=fields)


@pytest.fixture(scope="module")
def place(server):
    """A label with two base paths, at a CA that no other label has: (label, the two, its own cacerts)."""
    ca, label, bases = fresh_name("ca"), fresh_name("label"), [fresh_base(), fresh_base("/{}")]
    server.op("ca.create", name=ca, kind="root")
    server.label(label, ca=ca, profile="device", accept=["own", "code", "secret"], secret_header="Secret-Value", base_path=bases)
    return label, bases, server.get("cacerts", label).body


def label_of(server, answer):
    return server.op("cert.show", serial=format(answer.cert.serial_number, "032x"))["label"]


# --- what they are for ---

@pytest.mark.parametrize("middle", ["", EST])
def test_a_label_serves_all_its_operations_below_its_base_paths(server, place, middle):
    label, bases, cacerts = place
    for base in bases:
        assert get(server, f"{base}{middle}/cacerts").body == cacerts
        assert get(server, f"{base}{middle}/csrattrs").status in (200, 204)
        a = post(server, f"{base}{middle}/simpleenroll")
        assert a.status == 200 and label_of(server, a) == label
        ca = server.op("ca.show", name=server.op("label.show", name=label)["ca"])
        assert a.cert.issuer == x509.load_pem_x509_certificate(ca["pem"].encode()).subject


def test_a_device_renews_below_a_base_path(server, place):
    pair = server.born(label=place[0])
    with server.client(pair=pair) as c:
        a = c.request("POST", f"{place[1][0]}{EST}/simplereenroll", b64(csr(new_key(), pair.cn)), FIELDS)
    assert a.status == 200 and a.cert.subject == pair.cert.subject


def test_the_pipelines_of_a_tutorial_work_on_an_endpoint_with_a_path(server, place, tmp_path):
    """Seed 003: curl | openssl base64 -d | openssl pkcs7, with a secret of the label in its header."""
    server.op("credential.add", kind="secret", label=place[0], scope="any", secret="s3cr3t-" + place[0])
    url = f"https://localhost:{server.device_port}{place[1][1]}"
    script = f"""set -eu -o pipefail
curl() {{ command curl -sS --fail --cacert {server.root_file} "$@"; }}
curl {url}/cacerts | openssl base64 -d | openssl pkcs7 -inform DER -outform PEM -print_certs | openssl x509 -out root.cert.pem
openssl req -nodes -new -subj /CN={place[0]}-dev -sha256 -keyout IDevID.key.pem -out IDevID.csr
curl -X POST --data-binary "@IDevID.csr" -H "Content-Transfer-Encoding:base64" -H "Secret-Value: s3cr3t-{place[0]}" \
  -H "Content-Type:application/pkcs10" {url}/simpleenroll | openssl base64 -d | openssl pkcs7 -inform DER -outform PEM -print_certs | openssl x509 -out IDevID.cert.pem
openssl verify -CAfile root.cert.pem IDevID.cert.pem
"""
    r = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r


def test_the_url_that_is_shown_can_be_used(server, place, tmp_path):
    url = server.op("label.show", name=place[0])["url"]
    assert url == f"https://{server.op('server.status')['name']}:{server.device_port}{place[1][0]}{EST}"
    shown = server.cli("label", "show", place[0]).stdout
    assert url in shown and place[1][1] in shown
    with server.client() as c:
        assert c.request("GET", url.split(str(server.device_port), 1)[1] + "/cacerts").body == place[2]
    assert server.op("label.show", name="ldevid")["url"].endswith("/.well-known/est/ldevid")
    trust = tmp_path / "trust.pem"
    trust.write_text(open(server.root_file, encoding="utf-8").read() + server.op("ca.show", name=server.op("label.show", name=place[0])["ca"])["pem"])
    server.cli("est", "enroll", "--url", f"https://localhost:{server.device_port}{place[1][1]}", "--code", server.new_code(label=place[0]),
               "--trust", str(trust), "--new-key", "ec-p256", "--subject", f"/CN={fresh_name()}", "--out", str(tmp_path / "pair.pem"))
    leaf = x509.load_pem_x509_certificate((tmp_path / "pair.pem").read_bytes())
    assert server.op("cert.show", serial=format(leaf.serial_number, "032x"))["label"] == place[0]


def test_base_paths_are_set_by_the_command_and_removed(server):
    label, one, two = fresh_name("cli"), fresh_base(), fresh_base()
    server.cli("label", "create", label, "--ca", "issuing", "--profile", "device", "--accept", "own", "--base-path", f"{one},{two}")
    assert server.op("label.show", name=label)["base_path"] == [one, two]
    assert get(server, one + "/cacerts").status == get(server, two + "/cacerts").status == 200
    server.cli("label", "set", label, "--base-path", two)
    assert get(server, one + "/cacerts").status == 404 and get(server, two + "/cacerts").status == 200
    server.cli("label", "set", label, "--base-path", "")
    assert get(server, two + "/cacerts").status == 404 and server.op("label.show", name=label)["base_path"] == []


def test_base_paths_are_there_again_after_a_restart(daemon):
    s, base = daemon(), fresh_base()
    s.label("eu", ca="root", profile="device", accept=["own"], base_path=[base])
    s.stop()
    s.run()
    assert get(s, f"{base}{EST}/cacerts").body == s.get("cacerts", "eu").body != s.get("cacerts").body


# --- what may be one ---

@pytest.mark.parametrize("base", [
    "/", "//", "est", "est/eu", "/est/", "/est//eu", "/./est", "/est/..", "/../est", "/.well-known", "/.well-known/est", "/.well-known/est/x",
    "/x/.well-known/est", "/.Well-Known/x", "/x/.hidden", "/-x", "/_x", "/x%2fy", "/x%20y", "/é", "/x?y", "/x#y", "/x;y", "/x\\y",
    "/x\ny", "/x*", "/{x}", "/x:y",
    "/cacerts", "/x/simpleenroll", "/simplereenroll/x", "/x/csrattrs/y", "/fullcmc", "/x/serverkeygen",
    "/health", "/health/x", "/HEALTH", "/crl", "/aia/x", "/devices", "/devices/x/modules", "/x/devices",
    "/0ne00AB/registrations", "/0ne00AB/Registrations/x", "/registrations",
    "/" + "a" * 65, "/" + "/".join(["a" * 60] * 4),
])
def test_what_may_be_no_base_path_is_refused_by_name(server, base):
    answer = server.op("label.set", name="idevid", base_path=[base], _check=False)
    assert not answer["ok"] and answer["error"]["code"] == "usage" and "base_path" in answer["error"]["message"], answer
    assert server.op("label.show", name="idevid")["base_path"] == []


def test_a_label_has_four_at_most_and_none_twice(server):
    label, some = fresh_name("many"), [fresh_base() for _ in range(5)]
    server.label(label, ca="issuing", profile="device", accept=["own"], base_path=some[:4])
    for wrong in some, [some[0], some[0]]:
        assert server.op("label.set", name=label, base_path=wrong, _check=False)["error"]["code"] == "usage"
    assert all(get(server, b + "/cacerts").status == 200 for b in some[:4])


def test_two_labels_have_no_base_path_in_common(server, place):
    label = fresh_name("thief")
    for settings in {"base_path": place[1][:1]}, {"base_path": [fresh_base(), place[1][1]]}:
        for verb, name in ("label.create", label), ("label.set", "ldevid"):
            more = {"ca": "issuing", "profile": "device", "accept": ["own"]} if verb == "label.create" else {}
            answer = server.op(verb, name=name, **settings, **more, _check=False)
            assert not answer["ok"] and answer["error"]["code"] == "exists" and place[0] in answer["error"]["message"], answer
    assert get(server, place[1][0] + "/cacerts").body == place[2]


def test_a_base_path_that_is_free_again_goes_to_its_next_label(server):
    base, first, second = fresh_base(), fresh_name("first"), fresh_name("second")
    server.label(first, ca="issuing", profile="device", accept=["own"], base_path=[base])
    server.label(first, base_path=[])
    server.label(second, ca="root", profile="device", accept=["own"], base_path=[base])
    assert get(server, base + "/cacerts").body == server.get("cacerts", second).body


# --- no path leads to another label ---

ATTACKS = [  # {b}: the base path, {p}: the same without its first octet
    "{b}", "{b}/", "{b}//cacerts", "/{b}/cacerts", "{b}/cacerts/", "{b}/CACERTS", "{b}/Cacerts", "{b}/x/cacerts", "/x{b}/cacerts",
    "{b}x/cacerts", "{b}cacerts", "{b}/./cacerts", "{b}/../cacerts", "{b}/%2e/cacerts", "{b}/%2e%2e/cacerts", "{b}/x/../cacerts", "{b}/x/%2e%2e/cacerts",
    "{b}%2fcacerts", "%2f{p}/cacerts", "{b}%2Fcacerts", "{b}/%2fcacerts", "{b}%252fcacerts", "{b}/%2563acerts",
    "{b}%00/cacerts", "{b}/cacerts%00", "{b}%0a/cacerts",
    "{b}\\cacerts", "{b}%5ccacerts", "{b}/%c0%ae%c0%ae/cacerts", "{b}%c0%afcacerts",
    "{b}/%e0%80%afcacerts", "{b};x/cacerts", "{b}/cacerts;x", "{b}/cacerts%3f", "{b}/cacerts%23",
    "{b}%20/cacerts", "{b}/cacerts%20", "{b}+/cacerts", "{b}./cacerts", "{b}/cacerts.", "{b}*/cacerts", "{b}?/cacerts", "{b}#/cacerts", "{b}/?/cacerts",
    "{b}/.well-known/cacerts", "{b}/.well-known/est", "{b}/.well-known/est/", "{b}/.well-known/est//cacerts", "{b}/.well-known//est/cacerts",
    "{b}/.Well-Known/est/cacerts", "{b}/.well-known/EST/cacerts", "{b}/%2ewell-known%2fest/cacerts", "{b}/.well-known/est/cacerts/cacerts",
    "{b}/.well-known/est/ldevid/cacerts", "{b}/.well-known/est/{label}/cacerts", "{b}/.well-known/est/.well-known/est/cacerts",
    "/.well-known/est{b}/cacerts", "/.well-known{b}/cacerts", "/.well-known/est/..{b}/cacerts", "{b}{b}/cacerts", "{B}/cacerts",
    "{b}/fullcmc", "{b}/serverkeygen", "{b}/cacerts/simpleenroll", "{b}/simpleenroll/cacerts", "/{label}/cacerts", "/est/cacerts", "/cacerts",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_path_beside_a_base_path_is_none(server, place, attack):
    """W4: decoded once, then compared whole; everything that is not in the table is 404, what could mean two things 400."""
    label, bases, cacerts = place
    path = attack.format(b=bases[0], p=bases[0][1:], label=label, B=bases[0].upper())
    with Raw(server) as c:
        a = c.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).answer()
    assert a.status in (400, 404), (path, a)
    assert a.body != cacerts
    with Raw(server) as c:
        fields = f"Host: localhost\r\nContent-Type: application/pkcs10\r\nAuthorization: {basic('', server.new_code())['Authorization']}\r\n"
        body = b64(csr(new_key(), fresh_name()))
        path = path.replace("cacerts", "simpleenroll")
        a = c.send(f"POST {path} HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body).answer()
    assert a.status in (400, 404, 405), (path, a)


@pytest.mark.parametrize("form", ["{}/%63acerts", "{}/.well-known/es%74/cacerts", "{}/cacerts?x=/../y", "%2F..{}/cacerts"])
def test_a_path_is_compared_decoded_and_without_its_query(server, place, form):
    """RFC 3986 6.2.2"""
    a = get(server, form.format(place[1][0]))
    assert a.status == (400 if form.startswith("%") else 200)


def test_a_credential_of_one_label_opens_no_other_by_a_base_path(server, place):
    code = server.new_code(label="idevid")
    a = post(server, place[1][0] + "/simpleenroll", code)
    assert a.status == 401 and a.reason == "auth.other-label"
    assert server.why(a)["label"] == place[0]


def test_a_disabled_label_is_gone_from_its_base_paths(server):
    label, base = fresh_name("off"), fresh_base()
    server.label(label, ca="issuing", profile="device", accept=["code"], base_path=[base])
    assert get(server, base + "/cacerts").status == 200
    server.label(label, enabled=False)
    assert get(server, base + "/cacerts").status == get(server, f"{base}{EST}/cacerts").status == 404
    a = post(server, base + "/simpleenroll")
    assert a.status == 404 and server.why(a)["label"] == label


def test_the_default_label_is_not_behind_paths_that_nobody_has(server):
    """What fits the form of a base path but is in no table must not fall back on the label that needs no name."""
    for path in "/x", "/est/eu", "/a/b/c":
        for middle in "", EST:
            a = post(server, f"{path}{middle}/simpleenroll")
            assert a.status == 404 and a.reason == "path.unknown"


def test_other_methods_below_a_base_path_are_refused(server, place):
    for method, op in ("POST", "cacerts"), ("GET", "simpleenroll"), ("PUT", "simpleenroll"):
        assert get(server, f"{place[1][0]}/{op}", method, body=b"" if method != "GET" else None).status in (405, 501)


def test_public_files_have_no_base_paths(server, place):
    with Raw(server, port=server.public_port, plain=True) as c:
        assert c.send(f"GET {place[1][0]}/cacerts HTTP/1.1\r\nHost: x\r\n\r\n".encode()).answer().status == 404
