# SPDX-License-Identifier: Apache-2.0
"""Certificates of one kind by certificates of another."""
import datetime
import os

from estuary import Pair, basic, csr, new_key


def life(cert):
    return cert.not_valid_after - cert.not_valid_before


def test_an_ldevid_cannot_turn_itself_into_an_idevid_that_lives_for_years(server):
    birth = server.born()
    key = new_key()
    ldevid = Pair(server.enrol(csr(key, birth.cn), "ldevid", pair=birth).cert, key, os.path.dirname(server.dir))
    again = server.enrol(csr(new_key(), birth.cn), "idevid", pair=ldevid)
    assert again.status == 200, again
    assert life(birth.cert) > datetime.timedelta(days=3000)
    assert life(again.cert) <= life(ldevid.cert)
    assert any(step["rule"] == "lifetime" for step in server.why(again)["trace"])


def test_each_certificate_knows_the_one_that_authorised_it(server):
    birth = server.born()
    key = new_key()
    ldevid = Pair(server.enrol(csr(key, birth.cn), "ldevid", pair=birth).cert, key, os.path.dirname(server.dir))
    edge = server.enrol(csr(new_key(), birth.cn), "edge-ca", pair=ldevid).cert
    parents = {c["serial"]: c["parent"] for c in server.op("device.show", name=birth.cn)["certificates"]}
    assert parents[format(edge.serial_number, "032x")] == ldevid.serial
    assert parents[ldevid.serial] == birth.serial
    assert parents[birth.serial] == ""


def test_a_request_to_a_label_that_is_not_there_is_refused_and_recorded(server):
    answer = server.enrol(csr(new_key(), "nobody"), "no-such-label", headers=basic("", "no-such-code"))
    assert (answer.status, answer.reason) == (404, "label.unknown")
    assert server.why(answer)["reason"] == "label.unknown"


def test_the_subject_of_a_device_is_that_of_its_first_certificate(server):
    birth = server.born()
    assert server.enrol(csr(new_key(), birth.cn), "edge-ca", pair=birth).status == 200
    assert server.op("device.show", name=birth.cn)["subject"] == f"CN={birth.cn}"
