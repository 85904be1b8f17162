/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_proto.c - bodies of messages between roles: an octet says which, the rest is the body */
#include <assert.h>

#include "server/proto/ask.h"
#include "server/proto/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is let in comes out again octet for octet: there is one way to write a message. */
static void
check_same(struct bytes in, struct buf *out)
{
	assert(bytes_equal(in, bytes_of_buf(out)));
	buf_free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct proto_enrol enrol;
	static struct proto_ask ask;
	static struct settings settings;
	struct bytes body = bytes_slice((struct bytes){ p, n }, 1, n);
	struct buf out = { 0 };
	struct proto_enrolled enrolled;
	struct proto_label label;
	struct proto_keygen keygen;
	struct proto_asked asked;

	if (n == 0)
		return 0;
	if (p[0] == PROTO_ENROL && proto_get_enrol(&enrol, body, NULL) == 0) {
		proto_put_enrol(&out, &enrol);
		check_same(body, &out);
	} else if (p[0] == PROTO_ENROLLED && proto_get_enrolled(&enrolled, body, NULL) == 0) {
		proto_put_enrolled(&out, &enrolled);
		check_same(body, &out);
	} else if (p[0] == PROTO_SNAP_LABEL && proto_get_label(&label, body, NULL) == 0) {
		proto_put_label(&out, &label);
		check_same(body, &out);
	} else if (p[0] == PROTO_KEYGEN && proto_get_keygen(&keygen, body, NULL) == 0) {
		proto_put_keygen(&out, &keygen);
		check_same(body, &out);
	} else if (p[0] == PROTO_ASK && proto_get_ask(&ask, body, NULL) == 0) {
		proto_put_ask(&out, &ask);
		check_same(body, &out);
	} else if (p[0] == PROTO_ASKED && proto_get_asked(&asked, body, NULL) == 0) {
		proto_put_asked(&out, &asked);
		check_same(body, &out);
	} else if (p[0] == PROTO_SETTINGS && settings_get(&settings, body, NULL) == 0) {
		settings_put(&out, &settings);
		check_same(body, &out);
	}
	return 0;
}
