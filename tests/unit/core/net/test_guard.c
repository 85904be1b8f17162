/* SPDX-License-Identifier: Apache-2.0 */
/* tests: heads that have one meaning pass, all others are refused for the right reason */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/net/guard.h"

struct vector {
	const char *name;
	const char *head;
	size_t n;            /* octets of head */
	unsigned status;     /* 0: passes */
	const char *event;
};

#define V(name, head, status, event) { name, head, sizeof(head) - 1, status, event }
#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /x HTTP/1.1\r\nHost: a\r\n"
#define END  "\r\n"

static const struct vector passing[] = {
	V("plain GET", GET END, 0, ""),
	V("empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, ""),
	V("1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0, ""),
	V("1.0 with one Host", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", 0, ""),
	V("HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("PUT", "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("DELETE", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("PATCH", "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("OPTIONS of a path", "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("IPv6 Host", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n\r\n", 0, ""),
	V("absolute form", "GET http://a.example:8443/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("absolute form, https, upper case", "GET HTTPS://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("absolute form in 1.0", "GET http://a/b HTTP/1.0\r\nHost: a\r\n\r\n", 0, ""),
	V("absolute form without path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("query", "GET /a?b=c&d=%20 HTTP/1.1\r\nHost: a\r\n\r\n", 0, ""),
	V("length", POST "Content-Length: 5\r\n" END, 0, ""),
	V("length in lower case", POST "content-length: 5\r\n" END, 0, ""),
	V("length of zero", POST "Content-Length: 0\r\n" END, 0, ""),
	V("largest length", POST "Content-Length: 9223372036854775807\r\n" END, 0, ""),
	V("tabs and blanks around a value", POST "Content-Length: \t 5 \t\r\n" END, 0, ""),
	V("chunked", POST "Transfer-Encoding: chunked\r\n" END, 0, ""),
	V("chunked in capitals", POST "Transfer-Encoding: CHUNKED\r\n" END, 0, ""),
	V("100-continue", POST "Content-Length: 5\r\nExpect: 100-continue\r\n" END, 0, ""),
	V("100-Continue", POST "Content-Length: 5\r\nExpect: 100-Continue\r\n" END, 0, ""),
	V("an expectation in 1.0 is ignored", "GET / HTTP/1.0\r\nExpect: more\r\n\r\n", 0, ""),
	V("empty value", GET "X-Empty:\r\n" END, 0, ""),
	V("octets above 127 in a value", GET "X-Name: caf\xc3\xa9\r\n" END, 0, ""),
	V("colons in a value", GET "X-Time: 12:30:00\r\n" END, 0, ""),
	V("every token character in a name", GET "!#$%&'*+-.^_`|~09azAZ: x\r\n" END, 0, ""),
};

static const struct vector refused[] = {
	/* smuggling: where the body ends */
	V("length and chunked", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, 400, "head.length"),
	V("chunked and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, 400, "head.length"),
	V("two differing lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n" END, 400, "head.length"),
	V("two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n" END, 400, "head.length"),
	V("two lengths, names in two cases", POST "Content-Length: 5\r\ncONTENT-lENGTH: 5\r\n" END, 400, "head.length"),
	V("list of lengths", POST "Content-Length: 5, 5\r\n" END, 400, "head.length"),
	V("length +5", POST "Content-Length: +5\r\n" END, 400, "head.length"),
	V("length -5", POST "Content-Length: -5\r\n" END, 400, "head.length"),
	V("length -0", POST "Content-Length: -0\r\n" END, 400, "head.length"),
	V("length 0x5", POST "Content-Length: 0x5\r\n" END, 400, "head.length"),
	V("length 5.0", POST "Content-Length: 5.0\r\n" END, 400, "head.length"),
	V("length 5e0", POST "Content-Length: 5e0\r\n" END, 400, "head.length"),
	V("length 5_0", POST "Content-Length: 5_0\r\n" END, 400, "head.length"),
	V("length '5 5'", POST "Content-Length: 5 5\r\n" END, 400, "head.length"),
	V("length in quotes", POST "Content-Length: \"5\"\r\n" END, 400, "head.length"),
	V("empty length", POST "Content-Length:\r\n" END, 400, "head.length"),
	V("blank length", POST "Content-Length:  \r\n" END, 400, "head.length"),
	V("length of 2^63", POST "Content-Length: 9223372036854775808\r\n" END, 400, "head.length"),
	V("length of 2^64", POST "Content-Length: 18446744073709551616\r\n" END, 400, "head.length"),
	V("length of 2^64 + 5", POST "Content-Length: 18446744073709551621\r\n" END, 400, "head.length"),
	V("length of 40 digits", POST "Content-Length: 1000000000000000000000000000000000000005\r\n" END, 400,
	    "head.length"),
	V("length in Arabic digits", POST "Content-Length: \xd9\xa5\r\n" END, 400, "head.length"),
	V("length after a vertical tab", POST "Content-Length: \x0b" "5\r\n" END, 400, "head.field"),
	V("length after a NUL", POST "Content-Length: 5\0" "0\r\n" END, 400, "head.field"),
	V("blank before the length's colon", POST "Content-Length : 5\r\n" END, 400, "head.field"),
	V("tab before the length's colon", POST "Content-Length\t: 5\r\n" END, 400, "head.field"),
	V("folded length", POST "Content-Length:\r\n 5\r\n" END, 400, "head.field"),
	V("NUL in the length's name", POST "Content\0-Length: 5\r\n" END, 400, "head.field"),
	V("gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n" END, 501, "head.encoding"),
	V("chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n" END, 501, "head.encoding"),
	V("chunked, identity", POST "Transfer-Encoding: chunked, identity\r\n" END, 501, "head.encoding"),
	V("identity", POST "Transfer-Encoding: identity\r\n" END, 501, "head.encoding"),
	V("xchunked", POST "Transfer-Encoding: xchunked\r\n" END, 501, "head.encoding"),
	V("chunked;a=b", POST "Transfer-Encoding: chunked;a=b\r\n" END, 501, "head.encoding"),
	V("chunked in quotes", POST "Transfer-Encoding: \"chunked\"\r\n" END, 501, "head.encoding"),
	V(", chunked", POST "Transfer-Encoding: , chunked\r\n" END, 501, "head.encoding"),
	V("empty encoding", POST "Transfer-Encoding:\r\n" END, 501, "head.encoding"),
	V("chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, 400,
	    "head.encoding"),
	V("identity and chunked", POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n" END, 400,
	    "head.encoding"),
	V("chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "head.encoding"),
	V("blank before the encoding's colon", POST "Transfer-Encoding : chunked\r\n" END, 400, "head.field"),
	V("vertical tab before chunked", POST "Transfer-Encoding: \x0b" "chunked\r\n" END, 400, "head.field"),
	V("form feed after chunked", POST "Transfer-Encoding: chunked\x0c\r\n" END, 400, "head.field"),
	V("folded encoding", POST "Transfer-Encoding:\r\n chunked\r\n" END, 400, "head.field"),
	V("folded by a tab", POST "X: a\r\n\tb\r\n" END, 400, "head.field"),
	V("fold before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "head.field"),
	V("encoding hidden by a bare CR", POST "X: a\rTransfer-Encoding: chunked\r\n" END, 400, "head.field"),
	V("encoding hidden by a bare LF", POST "X: a\nTransfer-Encoding: chunked\r\n" END, 400, "head.syntax"),
	/* lines */
	V("bare LFs", "GET / HTTP/1.1\nHost: a\n\n", 400, "head.syntax"),
	V("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("bare LF at the end", GET "\n", 400, "head.syntax"),
	V("CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("bare CR in a value", GET "X: a\rb\r\n" END, 400, "head.field"),
	V("no end", GET, 400, "head.syntax"),
	V("something after the end", GET END "X", 400, "head.syntax"),
	V("nothing", "", 400, "head.syntax"),
	V("one empty line", "\r\n", 400, "head.syntax"),
	/* fields */
	V("no colon", GET "Nothing\r\n" END, 400, "head.field"),
	V("no name", GET ": x\r\n" END, 400, "head.field"),
	V("blank in a name", GET "X Y: x\r\n" END, 400, "head.field"),
	V("slash in a name", GET "X/Y: x\r\n" END, 400, "head.field"),
	V("bracket in a name", GET "X[]: x\r\n" END, 400, "head.field"),
	V("quote in a name", GET "\"X\": x\r\n" END, 400, "head.field"),
	V("octet above 127 in a name", GET "X\xe9: x\r\n" END, 400, "head.field"),
	V("DEL in a name", GET "X\x7f: x\r\n" END, 400, "head.field"),
	V("DEL in a value", GET "X: a\x7f\r\n" END, 400, "head.field"),
	V("NUL in a value", GET "X: a\0b\r\n" END, 400, "head.field"),
	V("escape in a value", GET "X: \x1b[31m\r\n" END, 400, "head.field"),
	V("backspace in a value", GET "X: a\x08\r\n" END, 400, "head.field"),
	/* Host */
	V("no Host", "GET / HTTP/1.1\r\n\r\n", 400, "head.host"),
	V("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "head.host"),
	V("two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400, "head.host"),
	V("two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "head.host"),
	V("list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "head.host"),
	V("Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "head.host"),
	V("Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "head.host"),
	V("Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "head.host"),
	V("Host beyond ASCII", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", 400, "head.host"),
	V("blank before the Host's colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "head.field"),
	/* the request line */
	V("two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("two blanks before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("blank at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("blank at the start", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("tabs", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("HTTP/0.9", "GET /\r\n\r\n", 400, "head.syntax"),
	V("method alone", "GET\r\n\r\n", 400, "head.syntax"),
	V("blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "head.version"),
	V("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "head.version"),
	V("HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("HTTP/01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", 400, "head.syntax"),
	V("HTTP 2 preface", "PRI * HTTP/2.0\r\n\r\n", 505, "head.version"),
	V("TLS ClientHello", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "head.syntax"),
	V("get", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "head.method"),
	V("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "head.method"),
	V("CONNECT", "CONNECT /a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "head.method"),
	V("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.method"),
	V("long method", "AAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.method"),
	V("method with a colon", "GE:T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.method"),
	V("method with a NUL", "GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.method"),
	/* targets */
	V("asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("authority", "GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("no leading slash", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("backslash first", "GET \\a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("another scheme", "GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("absolute form without host", "GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("absolute form with a user", "GET http://u@a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("absolute form, query without path", "GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("%00 in the path", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("%00 in the query", "GET /a?b=%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("control in the target", "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("DEL in the target", "GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	V("UTF-8 in the target", "GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "head.target"),
	/* expectations */
	V("unknown expectation", POST "Expect: 200-ok\r\n" END, 417, "head.expect"),
	V("two expectations", POST "Expect: 100-continue\r\nExpect: 100-continue\r\n" END, 417, "head.expect"),
};

/* A copy of exactly the octets, so that a sanitizer sees a read beyond. */
static bool
judge(struct guard *g, const char *head, size_t n, struct guard_no *no)
{
	uint8_t *copy = mem_dup(head, n);
	bool ok = guard_check(g, (struct bytes){ copy, n }, 0, no);

	mem_free(copy);
	return ok;
}

static void
heads_with_one_meaning_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(passing); i++) {
		struct guard g;
		struct guard_no no = { 0 };

		if (!judge(&g, passing[i].head, passing[i].n, &no))
			fail_msg("%s: %u %s: %s", passing[i].name, no.status, no.event, no.text);
	}
}

static void
all_other_heads_are_refused_with_their_reason(void **state)
{
	(void)state;
	assert_true(N_OF(refused) >= 80);
	for (size_t i = 0; i < N_OF(refused); i++) {
		const struct vector *v = &refused[i];
		struct guard g;
		struct guard_no no = { 0 };

		if (judge(&g, v->head, v->n, &no))
			fail_msg("%s: passed", v->name);
		if (no.status != v->status || strcmp(no.event, v->event) != 0)
			fail_msg("%s: %u %s (%s), not %u %s", v->name, no.status, no.event, no.text, v->status,
			    v->event);
	}
}

static void
no_refused_line_end_is_waited_on(void **state)
{
	static const struct { const char *in; size_t n; int want; } cases[] = {
		{ "GET / HTTP/1.1\nHost", 19, -1 }, { "\n", 1, -1 }, { "GET /\0", 6, -1 },
		{ "GET / HTTP/1.1\rHost", 19, -1 }, { "GET / HTTP/1.1\r", 15, 0 },
		{ "GET / HTTP/1.1\r\nHost: a\r\n\r", 26, 0 }, { "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 1 },
		{ "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		size_t from = 0, end = 0;

		assert_int_equal(guard_end((struct bytes){ (const uint8_t *)cases[i].in, cases[i].n }, &from, &end),
		    cases[i].want);
	}
}

static void
the_end_is_found_however_the_head_is_cut(void **state)
{
	static const char head[] = GET "X: y\r\n" END "body";
	size_t whole = sizeof(head) - 1 - 4;

	(void)state;
	for (size_t cut = 0; cut < sizeof(head); cut++) {
		size_t from = 0, end = 0;
		int r = guard_end((struct bytes){ (const uint8_t *)head, cut }, &from, &end);

		assert_int_equal(r, cut >= whole);
		assert_int_equal(guard_end((struct bytes){ (const uint8_t *)head, sizeof(head) - 1 }, &from, &end), 1);
		assert_int_equal(end, whole);
	}
}

static void
a_few_empty_lines_come_before_a_request(void **state)
{
	(void)state;
	assert_int_equal(guard_blanks(bytes_of("GET")), 0);
	assert_int_equal(guard_blanks(bytes_of("\r\nGET")), 2);
	assert_int_equal(guard_blanks(bytes_of("\r\n\r\nGET")), 4);
	assert_int_equal(guard_blanks(bytes_of("\r")), 0);
	assert_int_equal(guard_blanks(bytes_of("\r\n\r\n\r\n\r\n\r\n\r\nGET")), 2 * NET_BLANKS_MAX);
}

static void
what_passed_is_understood(void **state)
{
	static const char head[] = "POST http://a.example:1/b?c HTTP/1.1\r\nHost: a\r\nContent-Length:  42 \r\n"
	                           "Expect: 100-continue\r\nConnection: x, CLOSE\r\nX: 1\r\nx: 2\r\n\r\n";
	struct guard g;
	struct guard_no no = { 0 };

	(void)state;
	assert_true(guard_check(&g, bytes_of(head), 0, &no));
	assert_int_equal(g.method, GUARD_POST);
	assert_true(bytes_equal_str(g.target, "/b?c"));
	assert_true(g.has_length && g.length == 42 && !g.chunked);
	assert_true(g.expect && g.close && !g.v10);
	assert_int_equal(g.n, 6);
	assert_int_equal(guard_count(&g, "x"), 2);
	assert_true(bytes_equal_str(guard_find(&g, "X")->value, "1"));
	assert_true(bytes_equal_str(guard_find(&g, "CONTENT-LENGTH")->value, "42"));
	assert_null(guard_find(&g, "Cookie"));
}

static void
a_connection_is_kept_only_where_that_is_safe(void **state)
{
	static const struct { const char *head; bool close; } cases[] = {
		{ GET END, false }, { GET "Connection: keep-alive\r\n" END, false },
		{ GET "Connection: close\r\n" END, true }, { GET "Connection: closed\r\n" END, false },
		{ GET "Connection: a,close ,b\r\n" END, true }, { GET "Connection: a\r\nConnection: close\r\n" END, true },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true },
		{ POST "Transfer-Encoding: chunked\r\n" END, true },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct guard g;
		struct guard_no no = { 0 };

		assert_true(guard_check(&g, bytes_of(cases[i].head), 0, &no));
		assert_int_equal(g.close, cases[i].close);
	}
}

static void
a_lax_judge_takes_what_it_is_told_to_and_no_more(void **state)
{
	static const struct { const char *head; unsigned lax, status; } cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 0, 400 }, { "GET / HTTP/1.1\r\n\r\n", GUARD_NO_HOST, 0 },
		{ "GET / HTTP/1.1\r\n\r\n", GUARD_RAW_NUL, 400 },
		{ "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", GUARD_NO_HOST, 400 },
		{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", GUARD_NO_HOST, 400 },
		{ "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", GUARD_NO_HOST, 400 },
		{ "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", GUARD_RAW_NUL, 0 },
		{ "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", GUARD_RAW_NUL, 400 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct guard g;
		struct guard_no no = { 0 };

		assert_int_equal(guard_check(&g, bytes_of(cases[i].head), cases[i].lax, &no), cases[i].status == 0);
		assert_int_equal(no.status, cases[i].status);
	}
}

static void
a_reduced_head_says_how_long_the_body_is_and_nothing_else(void **state)
{
	static const struct { const char *head, *reduced; } cases[] = {
		{ "PUT http://a/b%00?c HTTP/1.1\r\nContent-Length: 007\r\nX: y\r\nExpect: 100-continue\r\n\r\n",
		  "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n" },
		{ "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" },
		{ "GET /x HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF b = { 0 };
		struct guard g;
		struct guard_no no = { 0 };

		assert_true(guard_check(&g, bytes_of(cases[i].head), GUARD_NO_HOST | GUARD_RAW_NUL, &no));
		guard_reduced(&b, &g);
		assert_string_equal(buf_str(&b), cases[i].reduced);
		assert_true(guard_check(&g, bytes_of_buf(&b), 0, &no));
	}
}

/* A head with a target of this length and this many fields besides Host. */
static unsigned
judge_size(size_t target, size_t fields)
{
	AUTO_BUF b = { 0 };
	struct guard g;
	struct guard_no no = { 0 };

	buf_put_str(&b, "GET /");
	for (size_t i = 1; i < target; i++)
		buf_put_u8(&b, 'a');
	buf_put_str(&b, " HTTP/1.1\r\nHost: a\r\n");
	for (size_t i = 0; i < fields; i++)
		buf_put_str(&b, "X: y\r\n");
	buf_put_str(&b, "\r\n");
	return guard_check(&g, bytes_of_buf(&b), 0, &no) ? 0 : no.status;
}

static void
sizes_have_limits(void **state)
{
	(void)state;
	assert_int_equal(judge_size(NET_TARGET_MAX, 0), 0);
	assert_int_equal(judge_size(NET_TARGET_MAX + 1, 0), 414);
	assert_int_equal(judge_size(1, NET_FIELDS_MAX - 1), 0);
	assert_int_equal(judge_size(1, NET_FIELDS_MAX), 431);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_with_one_meaning_pass),
		cmocka_unit_test(all_other_heads_are_refused_with_their_reason),
		cmocka_unit_test(no_refused_line_end_is_waited_on),
		cmocka_unit_test(the_end_is_found_however_the_head_is_cut),
		cmocka_unit_test(a_few_empty_lines_come_before_a_request),
		cmocka_unit_test(what_passed_is_understood),
		cmocka_unit_test(a_connection_is_kept_only_where_that_is_safe),
		cmocka_unit_test(a_lax_judge_takes_what_it_is_told_to_and_no_more),
		cmocka_unit_test(a_reduced_head_says_how_long_the_body_is_and_nothing_else),
		cmocka_unit_test(sizes_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
