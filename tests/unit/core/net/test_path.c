/* SPDX-License-Identifier: Apache-2.0 */
/* tests: a path is decoded once, and what could be read in two ways is refused */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/net/path.h"

static const struct {
	const char *raw, *path; /* path NULL: refused */
} cases[] = {
	{ "/", "/" },
	{ "/.well-known/est/cacerts", "/.well-known/est/cacerts" },
	{ "/.well-known/est/%63acerts", "/.well-known/est/cacerts" },
	{ "/%2Ewell-known/est", "/.well-known/est" },
	{ "/a?b=%zz&c=../..", "/a" },
	{ "/a?", "/a" },
	{ "/a//b", "/a//b" },
	{ "/a/", "/a/" },
	{ "/caf%C3%A9", "/caf\xc3\xa9" },
	{ "/a%20b", "/a b" },
	{ "/...", "/..." },
	{ "/.a/..b/c..", "/.a/..b/c.." },
	{ "/a+b", "/a+b" },
	{ "/a%3Fb", "/a?b" },
	/* dot segments */
	{ "/.", NULL }, { "/..", NULL }, { "/./a", NULL }, { "/a/.", NULL }, { "/a/./b", NULL },
	{ "/../etc/passwd", NULL }, { "/a/../b", NULL }, { "/a/..", NULL }, { "/a/..?b", NULL },
	{ "/%2e", NULL }, { "/%2e%2e/a", NULL }, { "/.%2e/a", NULL }, { "/%2E./a", NULL }, { "/a/%2e%2e", NULL },
	{ "/.well-known/est/%2e%2e/%2e%2e/a", NULL },
	/* separators */
	{ "/a%2fb", NULL }, { "/a%2Fb", NULL }, { "/%2f", NULL }, { "/a\\b", NULL }, { "/a%5cb", NULL },
	{ "/..%2f..%2fetc", NULL }, { "/..%5c..%5cetc", NULL }, { "/..\\a", NULL },
	/* twice encoded */
	{ "/%252e%252e/a", NULL }, { "/a%252fb", NULL }, { "/a%2500", NULL }, { "/a%25", NULL }, { "/%25%32%65", NULL },
	/* broken escapes */
	{ "/%", NULL }, { "/%2", NULL }, { "/%zz", NULL }, { "/%2g", NULL }, { "/%%41", NULL }, { "/% 41", NULL },
	{ "/%+1", NULL }, { "/%u0041", NULL }, { "/%0x41", NULL },
	/* controls */
	{ "/%00", NULL }, { "/a%00.pem", NULL }, { "/a%0d%0aX:y", NULL }, { "/%1b[31m", NULL }, { "/%7f", NULL },
	{ "/%09", NULL }, { "/%c2%85", NULL },
	/* not UTF-8: overlong forms of '.', '/' and NUL, surrogates, too high, cut */
	{ "/%c0%ae%c0%ae/a", NULL }, { "/a%c0%afb", NULL }, { "/a%e0%80%afb", NULL }, { "/a%f0%80%80%afb", NULL },
	{ "/%c0%80", NULL }, { "/%c1%81", NULL }, { "/%ff", NULL }, { "/%80", NULL }, { "/%ed%a0%80", NULL },
	{ "/%f4%90%80%80", NULL }, { "/%c3", NULL }, { "/%fe%ff", NULL },
	{ "/%e2%80%ae", NULL }, /* right-to-left override */
	/* nothing */
	{ "", NULL }, { "a", NULL }, { "?a", NULL }, { "%2fa", NULL },
};

static void
a_path_is_decoded_once_or_refused(void **state)
{
	(void)state;
	assert_true(N_OF(cases) >= 60);
	for (size_t i = 0; i < N_OF(cases); i++) {
		AUTO_BUF out = { 0 };
		struct err e = { 0 };
		int r = path_decode(&out, bytes_of(cases[i].raw), &e);

		if (cases[i].path == NULL && r != E_FORMAT)
			fail_msg("%s: taken as %s", cases[i].raw, buf_str(&out));
		if (cases[i].path != NULL && (r != 0 || strcmp(buf_str(&out), cases[i].path) != 0))
			fail_msg("%s: %s", cases[i].raw, r != 0 ? e.msg : buf_str(&out));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_decoded_once_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
