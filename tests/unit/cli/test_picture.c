/* SPDX-License-Identifier: Apache-2.0 */
/* cli/test_picture.c - what a device and a decision look like */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cli/estuary.h"
#include "cli/picture.h"
#include "tests/unit/core/cmd/capture.h"

static void
drawn_device(const char *text, int64_t now, const char *wanted)
{
	struct capture x;
	AUTO_JSON v = NULL;
	struct err e;

	assert_int_equal(json_parse(&v, bytes_of(text), &e), 0);
	capture_open(&x, &estuary_program);
	picture_device(&x.c, v, now);
	assert_string_equal(capture_out(&x), wanted);
	capture_close(&x);
}

static void
each_certificate_stands_under_its_parent(void **state)
{
	(void)state;
	drawn_device("{\"name\":\"pump-7\",\"state\":\"active\",\"subject\":\"CN=pump-7\",\"created_at\":0,\"certificates\":["
	    "{\"serial\":\"0a\",\"profile\":\"idevid\",\"label\":\"idevid\",\"state\":\"active\",\"not_before\":0,"
	    "\"not_after\":1000000000,\"authorised_by\":\"code c1\",\"request_id\":\"r1\"},"
	    "{\"serial\":\"0b\",\"profile\":\"device\",\"label\":\"ldevid\",\"state\":\"superseded\",\"not_before\":0,"
	    "\"not_after\":1000000000,\"parent\":\"0a\"},"
	    "{\"serial\":\"0c\",\"profile\":\"device\",\"label\":\"ldevid\",\"state\":\"active\",\"not_before\":0,"
	    "\"not_after\":1000000000,\"parent\":\"0b\"},"
	    "{\"serial\":\"0d\",\"profile\":\"edge-ca\",\"label\":\"edge-ca\",\"state\":\"revoked\",\"not_before\":0,"
	    "\"not_after\":1000000000,\"parent\":\"0a\"}]}", 250000000,
	    "pump-7  active\n"
	    "subject          CN=pump-7\n"
	    "certificates\n"
	    "└─ 0a  idevid at idevid  active  until 2001-09-09T01:46:40Z  [█████░░░░░░░░░░░░░░░] 25%\n"
	    "   by code c1, request r1\n"
	    "   ├─ 0b  device at ldevid  superseded  until 2001-09-09T01:46:40Z\n"
	    "   │  └─ 0c  device at ldevid  active  until 2001-09-09T01:46:40Z  [█████░░░░░░░░░░░░░░░] 25%\n"
	    "   └─ 0d  edge-ca at edge-ca  revoked  until 2001-09-09T01:46:40Z\n");
}

static void
certificates_in_a_ring_or_without_dates_do_not_hang_the_picture(void **state)
{
	(void)state;
	drawn_device("{\"name\":\"x\",\"state\":\"forked\",\"certificates\":["
	    "{\"serial\":\"0a\",\"state\":\"active\",\"parent\":\"0b\"},{\"serial\":\"0b\",\"parent\":\"0a\"},"
	    "{\"serial\":\"\",\"state\":\"active\"}]}", 1,
	    "x  forked\ncertificates\n└─ -  - at -  active  until -\n");
}

static void
a_decision_shows_each_rule_with_its_mark(void **state)
{
	struct capture x;
	AUTO_JSON v = NULL;
	struct err e;

	(void)state;
	assert_int_equal(json_parse(&v, bytes_of("{\"id\":12,\"time\":1000000000,\"kind\":\"simplereenroll\",\"outcome\":\"refused\","
	    "\"reason\":\"name.other-device\",\"actor\":\"pump-7\",\"device\":\"pump-7\",\"label\":\"ldevid\",\"request_id\":\"r1\","
	    "\"text\":\"CN 'pump-8' is another device's\",\"hint\":\"ask for CN pump-7\",\"trace\":["
	    "{\"rule\":\"label\",\"outcome\":\"ok\",\"text\":\"'ldevid' is served\"},"
	    "{\"rule\":\"code\",\"outcome\":\"skip\",\"text\":\"none was sent\"},"
	    "{\"rule\":\"name\",\"outcome\":\"refused\",\"text\":\"differs from the certificate's\"}]}"), &e), 0);
	capture_open(&x, &estuary_program);
	picture_decision(&x.c, v);
	assert_string_equal(capture_out(&x),
	    "refused  name.other-device\n"
	    "request          r1\n"
	    "time             2001-09-09T01:46:40Z\n"
	    "act              simplereenroll\n"
	    "label            ldevid\n"
	    "who              pump-7\n"
	    "device           pump-7\n"
	    "record           12\n"
	    "rules\n"
	    "  ✓ label  ok       'ldevid' is served\n"
	    "  · code   skip     none was sent\n"
	    "  ✗ name   refused  differs from the certificate's\n"
	    "outcome          CN 'pump-8' is another device's\n"
	    "hint             ask for CN pump-7\n");
	capture_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_certificate_stands_under_its_parent),
		cmocka_unit_test(certificates_in_a_ring_or_without_dates_do_not_hang_the_picture),
		cmocka_unit_test(a_decision_shows_each_rule_with_its_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
