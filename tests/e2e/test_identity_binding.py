# SPDX-License-Identifier: Apache-2.0
"""A certificate of ours speaks for its own names alone, on simpleenroll and on simplereenroll (threats A1, A11, B1, B5 to B8)."""
import ipaddress
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

import estuary
from estuary import basic, csr, fresh_name, new_key

CN, O, OU, C, SN = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COUNTRY_NAME,
                    NameOID.SERIAL_NUMBER)
CMC_RA = ObjectIdentifier("1.3.6.1.5.5.7.3.28")
UPN = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def dns(v):
    return x509.DNSName(v)


def ip(v):
    return x509.IPAddress(ipaddress.ip_address(v))


def uri(v):
    return x509.UniformResourceIdentifier(v)


def email(v):
    return x509.RFC822Name(v)


def subject(*attributes, printable=()):
    return x509.Name([x509.NameAttribute(t, v, _ASN1Type.PrintableString if t in printable else None, _validate=False)
                      for t, v in attributes])


def names(d):
    """What every device here is called."""
    return [(CN, d), (O, "Example Works"), (OU, "Pumps")]


def alternatives(d):
    return [dns(f"{d}.Plant.example"), ip("192.0.2.7"), uri(f"urn:dev:{d}"), email(f"{d}@Plant.example")]


def s(change):
    """A mutation of the subject: change(device) is its attributes."""
    return lambda d, _: (subject(*change(d)), alternatives(d))


def a(change):
    """A mutation of the alternative names: change(list, device) is the new list."""
    return lambda d, _: (subject(*names(d)), change(alternatives(d), d))


OK, SUBJECT, DEVICE, SAN, BAD = "ok", "name.subject-differs", "name.other-device", "name.san-differs", "request.malformed"
OTHER = [(O, "Example Works"), (OU, "Pumps")]
MUTATIONS = {
    # the same name by RFC 5280 7.1
    "nothing": (OK, s(names)),
    "subject-in-capitals": (OK, s(lambda d: [(t, v.upper()) for t, v in names(d)])),
    "organization-in-small": (OK, s(lambda d: [(CN, d), (O, "example works"), (OU, "Pumps")])),
    "two-inner-blanks": (OK, s(lambda d: [(CN, d), (O, "Example  Works"), (OU, "Pumps")])),
    "printable-strings": (OK, lambda d, _: (subject(*names(d), printable=(CN, O, OU)), alternatives(d))),
    "one-printable-string": (OK, lambda d, _: (subject(*names(d), printable=(O,)), alternatives(d))),
    "san-absent": (OK, a(lambda san, d: None)),
    "san-in-another-order": (OK, a(lambda san, d: san[::-1])),
    "san-rotated": (OK, a(lambda san, d: san[1:] + san[:1])),
    "dns-in-capitals": (OK, a(lambda san, d: [dns(san[0].value.upper())] + san[1:])),
    "mail-domain-in-small": (OK, a(lambda san, d: san[:3] + [email(f"{d}@plant.example")])),
    # another subject of the same device
    "rdns-reversed": (SUBJECT, s(lambda d: names(d)[::-1])),
    "two-rdns-swapped": (SUBJECT, s(lambda d: [(CN, d), (OU, "Pumps"), (O, "Example Works")])),
    "organization-missing": (SUBJECT, s(lambda d: [(CN, d), (OU, "Pumps")])),
    "unit-missing": (SUBJECT, s(lambda d: [(CN, d), (O, "Example Works")])),
    "cn-alone": (SUBJECT, s(lambda d: [(CN, d)])),
    "country-added": (SUBJECT, s(lambda d: [(C, "DE")] + names(d))),
    "serial-number-added": (SUBJECT, s(lambda d: names(d) + [(SN, "42")])),
    "unit-added": (SUBJECT, s(lambda d: names(d) + [(OU, "Admins")])),
    "unit-twice": (SUBJECT, s(lambda d: names(d) + [(OU, "Pumps")])),
    "other-organization": (SUBJECT, s(lambda d: [(CN, d), (O, "Example Work"), (OU, "Pumps")])),
    "other-unit": (SUBJECT, s(lambda d: [(CN, d), (O, "Example Works"), (OU, "Admins")])),
    "blank-left-out": (SUBJECT, s(lambda d: [(CN, d), (O, "ExampleWorks"), (OU, "Pumps")])),
    "look-alike-letter": (SUBJECT, s(lambda d: [(CN, d), (O, "Ex\u0430mple Works"), (OU, "Pumps")])),
    "values-exchanged": (SUBJECT, s(lambda d: [(CN, d), (O, "Pumps"), (OU, "Example Works")])),
    "type-exchanged": (SUBJECT, s(lambda d: [(SN, d)] + OTHER)),
    "cn-as-unit-too": (SUBJECT, s(lambda d: names(d)[:2] + [(OU, d)])),
    # another device
    "other-device": (DEVICE, lambda d, other: (subject(*names(other)), alternatives(d))),
    "other-device-whole": (DEVICE, lambda d, other: (subject(*names(other)), alternatives(other))),
    "other-device-without-san": (DEVICE, lambda d, other: (subject(*names(other)), None)),
    "unknown-device": (DEVICE, s(lambda d: names(d + "0"))),
    "cn-cut": (DEVICE, s(lambda d: names(d[:-1]))),
    "cn-with-unit-text": (DEVICE, s(lambda d: [(CN, d + ",OU=Pumps"), (O, "Example Works")])),
    "cn-with-organization-text": (DEVICE, s(lambda d: [(CN, d + ",O=Example Works,OU=Pumps")])),
    "cn-with-slash": (DEVICE, s(lambda d: names(d + "/CN=x"))),
    "cn-with-dot": (DEVICE, s(lambda d: names(d + "."))),
    "cn-with-inner-blank": (DEVICE, s(lambda d: names(d[:3] + " " + d[3:]))),
    "cn-with-star": (DEVICE, s(lambda d: names(d[:-1] + "*"))),
    "cn-missing": (DEVICE, s(lambda d: OTHER)),
    "subject-empty": (DEVICE, s(lambda d: [])),
    "subject-and-san-empty": (DEVICE, lambda d, _: (subject(), None)),
    "other-device-as-serial-number": (DEVICE, lambda d, other: (subject((SN, other), *OTHER), alternatives(d))),
    # other alternative names
    "dns-removed": (SAN, a(lambda san, d: san[1:])),
    "ip-removed": (SAN, a(lambda san, d: san[:1] + san[2:])),
    "uri-removed": (SAN, a(lambda san, d: san[:2] + san[3:])),
    "mail-removed": (SAN, a(lambda san, d: san[:3])),
    "dns-alone": (SAN, a(lambda san, d: san[:1])),
    "dns-added": (SAN, a(lambda san, d: san + [dns("hub.example")])),
    "wildcard-added": (SAN, a(lambda san, d: san + [dns("*.plant.example")])),
    "other-device-as-dns": (SAN, lambda d, other: (subject(*names(d)), alternatives(d) + [dns(other)])),
    "dns-changed": (SAN, a(lambda san, d: [dns("hub.example")] + san[1:])),
    "dns-of-parent": (SAN, a(lambda san, d: [dns("plant.example")] + san[1:])),
    "ip-added": (SAN, a(lambda san, d: san + [ip("192.0.2.8")])),
    "ip6-added": (SAN, a(lambda san, d: san + [ip("2001:db8::1")])),
    "ip-changed": (SAN, a(lambda san, d: [san[0], ip("192.0.2.8")] + san[2:])),
    "ip-as-mapped-ip6": (SAN, a(lambda san, d: [san[0], ip("::ffff:192.0.2.7")] + san[2:])),
    "uri-added": (SAN, a(lambda san, d: san + [uri("urn:dev:other")])),
    "uri-changed": (SAN, a(lambda san, d: san[:2] + [uri("urn:dev:other")] + san[3:])),
    "uri-in-capitals": (SAN, a(lambda san, d: san[:2] + [uri(f"urn:dev:{d.upper()}")] + san[3:])),
    "mail-added": (SAN, a(lambda san, d: san + [email("root@plant.example")])),
    "mail-changed": (SAN, a(lambda san, d: san[:3] + [email("root@plant.example")])),
    "mail-local-part-in-capitals": (SAN, a(lambda san, d: san[:3] + [email(f"{d.upper()}@Plant.example")])),
    # what no request may say
    "other-name-added": (BAD, a(lambda san, d: san + [x509.OtherName(UPN, b"\x0c\x03a@b")])),
    "directory-name-added": (BAD, a(lambda san, d: san + [x509.DirectoryName(estuary.name("x"))])),
    "registered-id-added": (BAD, a(lambda san, d: san + [x509.RegisteredID(UPN)])),
    "dns-twice": (BAD, a(lambda san, d: san + [san[0]])),
    "dns-twice-in-capitals": (BAD, a(lambda san, d: san + [dns(san[0].value.upper())])),
    "cn-twice": (BAD, s(lambda d: names(d) + [(CN, d)])),
    "cn-twice-other-first": (BAD, s(lambda d: [(CN, "x")] + names(d))),
    "two-in-one-rdn": (BAD, lambda d, _: (x509.Name([x509.RelativeDistinguishedName(
        [x509.NameAttribute(CN, d), x509.NameAttribute(O, "Example Works")])]), alternatives(d))),
}


class Plant:
    """Labels of each binding, with a profile that leaves the names to the request, and one device that is not to be robbed."""

    def __init__(self, server):
        self.server, self.tag = server, fresh_name("ib")
        self.profile = f"{self.tag}-any"
        server.op("profile.create", name=self.profile, lifetime="30d", eku=["clientAuth"], ku=["digitalSignature"], subject="request",
                  subject_types=["CN", "O", "OU", "C", "serialNumber"], san_dns="any", san_ip="any", san_uri="any",
                  san_email="any", keys=["ec-p256"])
        for reenrol in ("strict", "force-subject", "off"):
            server.label(self.label(reenrol), ca="issuing", profile=self.profile, accept=["own", "code", "anchor"], reenrol=reenrol)
        self.victim = self.device("strict")

    def label(self, reenrol):
        return f"{self.tag}-{reenrol}"

    def device(self, reenrol, d=None):
        d = d or fresh_name("pump")
        return self.server.born(label=self.label(reenrol), subject=subject(*names(d)), sans=alternatives(d), cn=d)


@pytest.fixture(scope="session")
def plant(server):
    return Plant(server)


def san_der(cert):
    return cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.public_bytes()


def assert_same_names(new, old):
    assert new.subject.public_bytes() == old.subject.public_bytes()
    assert san_der(new) == san_der(old)


def assert_refused(server, answer, status, reason):
    assert (answer.status, answer.reason) == (status, reason), answer
    why = server.why(answer)
    assert (why["outcome"], why["reason"], why["serial"]) == ("refused", reason, "")


def mutated(plant, reenrol_label, mutation, reenrol):
    mine = plant.device(reenrol_label)
    want, sans = MUTATIONS[mutation][1](mine.cn, plant.victim.cn)
    return mine, plant.server.enrol(csr(new_key(), want, sans), plant.label(reenrol_label), reenrol=reenrol, pair=mine)


def test_there_are_sixty_mutations():
    assert len(MUTATIONS) >= 60
    assert sum(m[0] != OK for m in MUTATIONS.values()) >= 50


@pytest.mark.parametrize("reenrol", [False, True], ids=["simpleenroll", "simplereenroll"])
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_b1_a_strict_label_renews_the_same_names_alone(plant, mutation, reenrol):
    expected = MUTATIONS[mutation][0]
    mine, answer = mutated(plant, "strict", mutation, reenrol)
    if expected == OK:
        assert answer.status == 200, answer
        assert_same_names(answer.cert, mine.cert)
    else:
        assert_refused(plant.server, answer, 400 if expected == BAD else 403, expected)
        shown = plant.server.op("device.show", name=mine.cn)
        assert len(shown["certificates"]) == 1 and shown["state"] == "active"


@pytest.mark.parametrize("reenrol", [False, True], ids=["simpleenroll", "simplereenroll"])
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_b1_a_forcing_label_renews_the_old_names_whatever_is_asked(plant, mutation, reenrol):
    mine, answer = mutated(plant, "force-subject", mutation, reenrol)
    if MUTATIONS[mutation][0] == BAD:
        assert_refused(plant.server, answer, 400, BAD)
    else:
        assert answer.status == 200, answer
        assert_same_names(answer.cert, mine.cert)


@pytest.mark.parametrize("mutation", ["nothing", "other-unit", "unknown-device", "other-device", "dns-added", "subject-empty"])
def test_b1_a_label_that_does_not_bind_still_renews_the_same_names_alone(plant, mutation):
    expected = MUTATIONS[mutation][0]
    mine, answer = mutated(plant, "off", mutation, True)
    if expected == OK:
        assert_same_names(answer.cert, mine.cert)
    else:
        assert_refused(plant.server, answer, 403, expected)


def test_a_label_that_does_not_bind_lets_a_certificate_enrol_a_new_name(plant):
    mine, child = plant.device("off"), fresh_name("module")
    answer = plant.server.enrol(csr(new_key(), child), plant.label("off"), pair=mine)
    assert answer.status == 200, answer
    assert plant.server.op("device.show", name=child)["certificates"][0]["parent"] == mine.serial


def test_a_label_that_does_not_bind_never_lets_one_take_a_live_name_of_another(plant):
    mine = plant.device("off")
    answer = plant.server.enrol(csr(new_key(), plant.victim.cn), plant.label("off"), pair=mine)
    assert_refused(plant.server, answer, 403, "name.active")


# --- from one kind of certificate to another ---

def test_an_idevid_gets_an_ldevid_of_its_own_name(server):
    idevid = server.born()
    answer = server.enrol(csr(new_key(), idevid.cn), "ldevid", pair=idevid)
    assert answer.status == 200, answer
    assert server.op("cert.show", serial=format(answer.cert.serial_number, "032x"))["parent"] == idevid.serial


@pytest.mark.parametrize("change", [str.upper, lambda d: d + "0", lambda d: d[:-1], lambda d: d + ",O=x", lambda d: ""],
                         ids=["in-capitals", "longer", "shorter", "with-text", "none"])
def test_b1_an_idevid_gets_no_ldevid_of_another_name(server, change):
    idevid = server.born()
    wanted = change(idevid.cn)
    answer = server.enrol(csr(new_key(), wanted if wanted else x509.Name([])), "ldevid", pair=idevid)
    assert_refused(server, answer, 403, "name.other-device")


def test_b1_an_idevid_gets_no_ldevid_of_a_living_device(server):
    idevid, victim = server.born(), server.born(label="ldevid")
    assert_refused(server, server.enrol(csr(new_key(), victim.cn), "ldevid", pair=idevid), 403, "name.other-device")


def test_b1_an_edge_ca_is_named_after_the_device_that_asks(server):
    idevid = server.born()
    answer = server.enrol(csr(new_key(), "Root of the World"), "edge-ca", pair=idevid)
    assert answer.status == 200, answer
    assert answer.cert.subject.rfc4514_string() == f"CN={idevid.cn} Edge CA"


def test_b1_an_edge_ca_is_not_asked_for_by_another_devices_name(server):
    idevid, victim = server.born(), server.born()
    assert_refused(server, server.enrol(csr(new_key(), victim.cn), "edge-ca", pair=idevid), 403, "name.other-device")


def test_b6_simplereenroll_renews_no_certificate_of_another_kind(server):
    idevid = server.born()
    answer = server.enrol(csr(new_key(), idevid.cn), "ldevid", reenrol=True, pair=idevid)
    assert_refused(server, answer, 403, "reenrol.other-profile")


def test_b6_a_certificate_of_our_tls_server_kind_is_no_client(server):
    victim, key = server.born(label="ldevid"), new_key()
    got = server.op("cert.request", csr=estuary.b64(csr(key, fresh_name("web"))).decode(), profile="tls-server")
    pair = estuary.Pair(x509.load_pem_x509_certificate(got["pem"].encode()), key, os.path.dirname(server.dir))
    for reenrol in (False, True):
        answer = server.enrol(csr(new_key(), victim.cn), "ldevid", reenrol=reenrol, pair=pair)
        assert_refused(server, answer, 403, "certificate.wrong-purpose")


# --- new identities ---

@pytest.mark.parametrize("foreign", [dns("hub.example"), dns("*.example"), ip("192.0.2.1"), ip("2001:db8::1"), uri("https://hub.example/"),
                                     uri("urn:x"), email("root@hub.example")], ids=str)
def test_a1_a_new_device_smuggles_no_alternative_name(server, foreign):
    cn = fresh_name()
    answer = server.enrol(csr(new_key(), cn, [dns(cn), foreign]), "ldevid", headers=basic("", server.new_code()))
    assert_refused(server, answer, 403, "profile.request")


@pytest.mark.parametrize("change", [str, str.upper], ids=["as-it-is", "in-capitals"])
def test_a1_a_new_device_takes_no_other_devices_name_as_alternative_name(plant, change):
    answer = plant.server.enrol(csr(new_key(), fresh_name(), [dns(change(plant.victim.cn))]), plant.label("strict"),
                                headers=basic("", plant.server.new_code()))
    assert_refused(plant.server, answer, 403, "name.other-device")


@pytest.mark.parametrize("change", [str.upper, lambda d: d.replace(" ", "  "), lambda d: f" {d} "], ids=["case", "inner-blanks", "outer-blanks"])
def test_a1_a_name_that_is_equal_by_rfc_5280_is_the_same_device(server, change):
    victim = server.born(fresh_name("pump of"), label="ldevid")
    answer = server.enrol(csr(new_key(), change(victim.cn)), "ldevid", headers=basic("", server.new_code()))
    assert_refused(server, answer, 403, "name.active")


def test_a11_the_key_of_another_device_is_refused(server):
    first, cn = server.born(), fresh_name()
    answer = server.enrol(csr(first.key, cn), "idevid", headers=basic("", server.new_code()))
    assert_refused(server, answer, 403, "key.other-device")


def test_a11_the_key_of_our_ca_is_refused(server):
    """Whoever could prove possession of it has worse to do; the check stands all the same."""
    for f in os.listdir(os.path.join(server.dir, "keys")):
        if not f.endswith(".pem"):
            continue
        with open(os.path.join(server.dir, "keys", f), "rb") as pem:
            key = serialization.load_pem_private_key(pem.read(), None)
        answer = server.enrol(csr(key, fresh_name()), "idevid", headers=basic("", server.new_code()))
        assert_refused(server, answer, 403, "key.ours")


# --- outside anchors ---

def test_b7_an_anchor_of_another_label_speaks_for_nobody(plant, server):
    mine, theirs = estuary.OutsideCa(), estuary.OutsideCa()
    mine.trust(server, scope="own-name", active=True, label=plant.label("strict"))
    theirs.trust(server, scope="own-name", active=True, label="idevid")
    pair = theirs.pair(server, plant.victim.cn)
    answer = server.enrol(csr(new_key(), pair.cn), plant.label("strict"), pair=pair)
    assert (answer.status, answer.reason) == (401, "certificate.other-label")


def test_b7_a_certificate_under_an_anchor_speaks_for_its_own_name_alone(plant, server):
    ca = estuary.OutsideCa()
    ca.trust(server, scope="own-name", label=plant.label("strict"))
    pair = ca.pair(server)
    assert_refused(server, server.enrol(csr(new_key(), fresh_name()), plant.label("strict"), pair=pair), 403, "name.out-of-scope")
    assert server.enrol(csr(new_key(), pair.cn), plant.label("strict"), pair=pair).status == 200


@pytest.mark.parametrize("shown, asked", [("{}  1 ", "{}  1 "), ("{}  1", "{} 1"), ("{}-A", "{}-a")], ids=["blanks", "fewer-blanks", "case"])
def test_b7_the_name_of_an_outside_certificate_is_read_as_that_of_a_request(plant, server, shown, asked):
    ca, n = estuary.OutsideCa(), fresh_name()
    ca.trust(server, scope="own-name", active=True, label=plant.label("strict"))
    answer = server.enrol(csr(new_key(), asked.format(n)), plant.label("strict"), pair=ca.pair(server, shown.format(n)))
    assert answer.status == 200, answer


def test_b7_an_outside_certificate_without_a_subject_speaks_for_its_dns_name(server):
    ca, profile, label, n = estuary.OutsideCa(), fresh_name("prof"), fresh_name("san"), f"{fresh_name()}.example"
    server.op("profile.create", name=profile, subject="request", subject_types=["CN"], san_dns="any")
    server.label(label, ca="issuing", profile=profile, accept=["anchor"])
    ca.trust(server, scope="own-name", active=True, label=label)
    pair = ca.pair(server, x509.Name([]), sans=[x509.DNSName(n)])
    assert server.enrol(csr(new_key(), x509.Name([]), [x509.DNSName(n)]), label, pair=pair).status == 200
    other = server.enrol(csr(new_key(), x509.Name([]), [x509.DNSName("other." + n)]), label, pair=pair)
    assert_refused(server, other, 403, "name.out-of-scope")


def test_b7_an_anchor_without_that_right_takes_no_living_devices_name(plant, server):
    ca = estuary.OutsideCa()
    ca.trust(server, scope="own-name", label=plant.label("strict"))
    pair = ca.pair(server, plant.victim.cn)
    assert_refused(server, server.enrol(csr(new_key(), pair.cn), plant.label("strict"), pair=pair), 403, "name.active")


def test_b8_cmc_ra_in_an_outside_certificate_makes_no_registration_authority(plant, server):
    ca = estuary.OutsideCa()
    ca.trust(server, scope="own-name", active=True, label=plant.label("strict"))
    pair = ca.pair(server, ekus=[ExtendedKeyUsageOID.CLIENT_AUTH, CMC_RA])
    answer = server.enrol(csr(new_key(), plant.victim.cn), plant.label("strict"), pair=pair)
    assert_refused(server, answer, 403, "name.out-of-scope")


def test_simplereenroll_needs_a_certificate_of_ours(plant, server):
    ca = estuary.OutsideCa()
    ca.trust(server, scope="own-name", active=True, label=plant.label("strict"))
    pair = ca.pair(server)
    answer = server.enrol(csr(new_key(), pair.cn), plant.label("strict"), reenrol=True, pair=pair)
    assert_refused(server, answer, 403, "reenrol.no-certificate")


def test_b5_an_outside_certificate_that_expires_on_a_kept_alive_connection_speaks_no_more(plant, server):
    ca = estuary.OutsideCa()
    ca.trust(server, scope="own-name", active=True, label=plant.label("strict"))
    pair = ca.pair(server, end=2)
    path = f"/.well-known/est/{plant.label('strict')}/simpleenroll"

    def ask(client):
        return client.request("POST", path, estuary.b64(csr(new_key(), pair.cn)), {"Content-Type": "application/pkcs10"})

    with server.client(pair=pair) as kept:
        assert ask(kept).status == 200
        gone = estuary.wait_for("the refusal of an expired certificate", lambda: (lambda x: x if x.status != 200 else None)(ask(kept)), 10)
    assert (gone.status, gone.reason) == (401, "certificate.expired")
