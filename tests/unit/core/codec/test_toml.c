/* SPDX-License-Identifier: Apache-2.0 */
/* codec/test_toml.c - TOML 1.1: documents that are, with their trees, and documents that are not, with where and why */
#include "core/codec/toml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The tree in one line: {key=value,...} [..] "string" integer float! true @date */
static void
dump(struct buf *out, const struct toml *v)
{
	enum toml_kind k = toml_kind(v);

	if (k == TOML_TABLE || k == TOML_ARRAY) {
		buf_put_str(out, k == TOML_TABLE ? "{" : "[");
		for (size_t i = 0; i < toml_count(v); i++) {
			if (i != 0)
				buf_put_str(out, ",");
			if (k == TOML_TABLE)
				buf_printf(out, "%s=", toml_key(toml_at(v, i)));
			dump(out, toml_at(v, i));
		}
		buf_put_str(out, k == TOML_TABLE ? "}" : "]");
	} else if (k == TOML_STRING) {
		buf_printf(out, "\"%s\"", toml_string(v));
	} else if (k == TOML_INTEGER) {
		buf_printf(out, "%" PRId64, toml_integer(v));
	} else if (k == TOML_FLOAT) {
		buf_printf(out, "%.10g!", toml_float(v));
	} else if (k == TOML_BOOLEAN) {
		buf_put_str(out, toml_boolean(v) ? "true" : "false");
	} else {
		buf_printf(out, "@%s", toml_datetime(v));
	}
}

struct good {
	const char *text, *tree;
};

static void
check_good(const struct good *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		AUTO(toml) doc = NULL;
		AUTO_BUF out = { 0 };
		struct err e = { 0 };

		if (toml_parse(&doc, "t", bytes_of(cases[i].text), &e) != 0)
			fail_msg("%s: refused: %s", cases[i].text, e.msg);
		dump(&out, doc);
		assert_string_equal(buf_str(&out), cases[i].tree);
	}
}

struct bad {
	const char *text, *where; /* the beginning of the message, after "t:" */
};

static void
check_bad(const struct bad *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct toml *doc = NULL;
		struct err e = { 0 };

		if (toml_parse(&doc, "t", bytes_of(cases[i].text), &e) != E_FORMAT)
			fail_msg("%s: not refused", cases[i].text);
		assert_null(doc);
		assert_memory_equal(e.msg, "t:", 2);
		if (strncmp(e.msg + 2, cases[i].where, strlen(cases[i].where)) != 0)
			fail_msg("%s: expected %s, got %s", cases[i].text, cases[i].where, e.msg + 2);
	}
}

static void
keys_are_bare_quoted_or_dotted(void **state)
{
	static const struct good good[] = {
		{ "", "{}" }, { "\n \t\n# only\n", "{}" }, { "# no line end", "{}" },
		{ "a=1", "{a=1}" }, { " a = 1 # c\n", "{a=1}" }, { "a=1\r\nb=2\r\n", "{a=1,b=2}" },
		{ "A-z_0 = 1\n1234 = 2\n-=3\n_=4", "{A-z_0=1,1234=2,-=3,_=4}" },
		{ "\"a b\"=1\n'c\\d'=2\n\"\"=3", "{a b=1,c\\d=2,=3}" },
		{ "\"a\\u00fc\"=1", "{a\xc3\xbc=1}" },
		{ "a.b.c=1\na.b.d=2\na.e=3", "{a={b={c=1,d=2},e=3}}" },
		{ "a . \"b.c\" . 'd' = 1", "{a={b.c={d=1}}}" },
		{ "3.14=1", "{3={14=1}}" }, { "true=1\ninf=2", "{true=1,inf=2}" },
		{ "apple.type=1\norange.type=2\napple.skin=3", "{apple={type=1,skin=3},orange={type=2}}" },
	};
	static const struct bad bad[] = {
		{ "a", "1:2: found the end of the file, expected = or ." },
		{ "a\n=1", "1:2: found the end of the line, expected = or ." },
		{ "a = ", "1:5: found the end of the file, expected a value" },
		{ "= 1", "1:1: found '=', expected a key" }, { "a b = 1", "1:3: found 'b', expected = or ." },
		{ ".a = 1", "1:1: found '.'" }, { "a. = 1", "1:4: found '='" }, { "a..b = 1", "1:3: found '.'" },
		{ "a = 1 b = 2", "1:7: found 'b', expected the end of the line" },
		{ "a = 1\n\nb = 2 c", "3:7: found 'c'" },
		{ "\xc3\xbc = 1", "1:1: found '\xc3\xbc', expected a key" },
		{ "\"\xc3\xbc\xe2\x82\xac\" x", "1:6: found 'x'" },
		{ "\"\"\"a\"\"\" = 1", "1:1: found a multi-line string, expected a key" },
		{ "'''a''' = 1", "1:1: found a multi-line string" }, { "\"a\nb\" = 1", "1:3: found the end of the line" },
		{ "a = 1\na = 2", "2:1: key 'a' is an integer already, at line 1" },
		{ "a = 1\n\"a\" = 1", "2:1: key 'a'" }, { "a = 1\na.b = 2", "2:1: key 'a' is an integer already" },
		{ "a.b = 1\na = 2", "2:1: key 'a' is a table already" }, { "a.b=1\na.b.c=2", "2:3: key 'b' is an integer" },
		{ "a = b", "1:5: found a word, expected a value (text stands in quotes)" },
		{ "a = TRUE", "1:5: found a word" }, { "a = # c", "1:5: found '#'" }, { "a == 1", "1:4: found '='" },
		{ "a = \"x\" \"y\"", "1:9: found '\"'" }, { "[a] b = 1", "1:5: found 'b'" }, { "]", "1:1: found ']'" },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
strings_are_of_four_kinds(void **state)
{
	static const struct good good[] = {
		{ "a=\"\"\nb=''", "{a=\"\",b=\"\"}" },
		{ "a=\"\\b\\t\\n\\f\\r\\\"\\\\\"", "{a=\"\b\t\n\f\r\"\\\"}" },
		{ "a=\"\\u0041\\u00FC\\u20ac\\U0001F511\\uFFFF\"", "{a=\"A\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x91\xef\xbf\xbf\"}" },
		{ "a='C:\\x\\n \"q\"'", "{a=\"C:\\x\\n \"q\"\"}" }, { "a=\"tab\there # no comment\"", "{a=\"tab\there # no comment\"}" },
		{ "a=\"\"\"\nx\ny\"\"\"", "{a=\"x\ny\"}" }, { "a=\"\"\"x\r\ny\"\"\"", "{a=\"x\ny\"}" },
		{ "a=\"\"\"\n\nx\"\"\"", "{a=\"\nx\"}" },
		{ "a=\"\"\"x\\\n  \n\t y\"\"\"", "{a=\"xy\"}" }, { "a=\"\"\"x \\  \n  y\\\n  \"\"\"", "{a=\"x y\"}" },
		{ "a=\"\"\"q\"\"\"\"\"", "{a=\"q\"\"\"}" }, { "a=\"\"\"\"q\"\"\"\"", "{a=\"\"q\"\"}" },
		{ "a=\"\"\"\"\"q\"\"x\"\"\"", "{a=\"\"\"q\"\"x\"}" }, { "a=\"\"\"x\\\"\"\"\"", "{a=\"x\"\"}" },
		{ "a=\"\"\"\"\"\"\nb='''''' ", "{a=\"\",b=\"\"}" },
		{ "a='''\nx\\y''z'''", "{a=\"x\\y''z\"}" }, { "a='''x'''''", "{a=\"x''\"}" },
		{ "a='''\r\nx\r\n'''", "{a=\"x\n\"}" },
	};
	static const struct bad bad[] = {
		{ "a=\"x", "1:5: found the end of the file, expected \" to end the string" },
		{ "a='x\n'", "1:5: found the end of the line, expected ' to end the string" },
		{ "a=\"x\\", "1:5: unknown escape" }, { "a=\"\\q\"", "1:4: unknown escape after '\\'" },
		{ "a=\"\\x4\"", "1:4: \\x needs exactly 2 hex digits" }, { "a=\"\\x00\"", "1:4: U+0000" },
		{ "a=\"\\ \"", "1:4: unknown" }, { "a=\"x\\\ny\"", "1:5: unknown" },
		{ "a=\"\"\"x\\ y\"\"\"", "1:7: unknown" },
		{ "a=\"\\u004\"", "1:4: \\u needs exactly 4 hex digits" }, { "a=\"\\U0041\"", "1:4: \\U needs exactly 8" },
		{ "a=\"\\u00", "1:4: \\u needs" }, { "a=\"\\ud800\"", "1:4: \\ud800 is no Unicode character" },
		{ "a=\"\\U00110000\"", "1:4: \\U00110000 is no" }, { "a=\"\\u0000\"", "1:4: U+0000 is not taken" },
		{ "a=\"\"\"x\n\ny\"\"", "1:3: the multi-line string that begins here has no end" },
		{ "a='''x''", "1:3: the multi-line string that begins here has no end" },
		{ "a=\"\"\"x\"\"\"\"\"\"", "1:12: found '\"'" }, { "a='''x''''''", "1:12: found '''" },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
integers_have_64_bits_in_four_bases(void **state)
{
	static const struct good good[] = {
		{ "a=0\nb=+0\nc=-0\nd=+99\ne=-17", "{a=0,b=0,c=0,d=99,e=-17}" },
		{ "a=1_000\nb=5_3_4", "{a=1000,b=534}" },
		{ "a=9223372036854775807\nb=-9223372036854775808", "{a=9223372036854775807,b=-9223372036854775808}" },
		{ "a=0xDEAD_beef\nb=0o0755\nc=0b1101_0\nd=0x00", "{a=3735928559,b=493,c=26,d=0}" },
		{ "a=0x7fffffffffffffff", "{a=9223372036854775807}" },
	};
	static const struct bad bad[] = {
		{ "a=01", "1:3: expected an integer: a leading zero" }, { "a=-01", "1:3: expected a" },
		{ "a=0_1", "1:3: expected a" }, { "a=1__0", "1:3: expected an integer: no digit where one is needed" },
		{ "a=_1", "1:3: found a word" }, { "a=1_", "1:3: expected a" }, { "a=+", "1:3: found a word" }, { "a=--1", "1:3: " },
		{ "a=+-1", "1:3: " }, { "a=1a", "1:3: expected an integer: a character that is no digit" },
		{ "a=9223372036854775808", "1:3: expected an integer: more than 64 bits hold" },
		{ "a=-9223372036854775809", "1:3: " }, { "a=0x8000000000000000", "1:3: " },
		{ "a=99999999999999999999999999999999", "1:3: " },
		{ "a=0x", "1:3: " }, { "a=0x_1", "1:3: " }, { "a=0x1_", "1:3: " }, { "a=0xg", "1:3: " }, { "a=0o8", "1:3: " },
		{ "a=0b2", "1:3: " }, { "a=+0x1", "1:3: " }, { "a=-0b1", "1:3: " }, { "a=0X1", "1:3: " }, { "a=0B1", "1:3: " },
		{ "a=1,000", "1:4: found ','" }, { "a=1 000", "1:5: found '0'" },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
floats_have_a_fraction_or_an_exponent(void **state)
{
	static const struct good good[] = {
		{ "a=+1.0\nb=3.1415\nc=-0.01\nd=5e+22\ne=1e06\nf=-2E-2\ng=6.626e-34",
		  "{a=1!,b=3.1415!,c=-0.01!,d=5e+22!,e=1000000!,f=-0.02!,g=6.626e-34!}" },
		{ "a=224_617.445_991_228\nb=1_0e1_0\nc=0.0\nd=0e0\ne=-0.0", "{a=224617.446!,b=1e+11!,c=0!,d=0!,e=-0!}" },
		{ "a=inf\nb=+inf\nc=-inf", "{a=inf!,b=inf!,c=-inf!}" },
	};
	static const struct bad bad[] = {
		{ "a=.7", "1:3: found a word" }, { "a=7.", "1:3: expected a float: no digit where one is needed" },
		{ "a=3.e+20", "1:3: " }, { "a=1.2.3", "1:3: " }, { "a=1e", "1:3: " }, { "a=1e2.5", "1:3: " }, { "a=1e+", "1:3: " },
		{ "a=1_.5", "1:3: " }, { "a=1._5", "1:3: " }, { "a=1.5_", "1:3: " }, { "a=1e_5", "1:3: " }, { "a=1.5_e5", "1:3: " },
		{ "a=01.5", "1:3: expected a float: a leading zero" }, { "a=-00.5", "1:3: " }, { "a=00e1", "1:3: " },
		{ "a=Inf", "1:3: " }, { "a=infinity", "1:3: " }, { "a=NaN", "1:3: " }, { "a=++inf", "1:3: " }, { "a=1e5e5", "1:3: " },
		{ "a=0x1.8p1", "1:3: " },
	};
	AUTO(toml) doc = NULL;

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
	assert_int_equal(toml_parse(&doc, "t", bytes_of("a=nan\nb=-nan\nc=1.7976931348623157e308"), NULL), 0);
	assert_true(isnan(toml_float(toml_get(doc, "a"))));
	assert_true(signbit(toml_float(toml_get(doc, "b"))));
	assert_true(toml_float(toml_get(doc, "c")) >= DBL_MAX);
}

static void
dates_and_times_are_checked_and_kept_as_text(void **state)
{
	static const struct good good[] = {
		{ "a=1979-05-27T07:32:00Z", "{a=@1979-05-27T07:32:00Z}" },
		{ "a=1979-05-27t00:32:00.999999-07:00", "{a=@1979-05-27t00:32:00.999999-07:00}" },
		{ "a=1979-05-27 07:32:00z # c", "{a=@1979-05-27 07:32:00z}" }, { "a=1979-05-27T07:32:00", "{a=@1979-05-27T07:32:00}" },
		{ "a=1979-05-27 # c", "{a=@1979-05-27}" },
		{ "a=1979-05-27T07:32", "{a=@1979-05-27T07:32}" }, { "a=1979-05-27 07:32Z", "{a=@1979-05-27 07:32Z}" }, { "a=07:32", "{a=@07:32}" }, { "a=[1979-05-27 ,07:32:00]", "{a=[@1979-05-27,@07:32:00]}" },
		{ "a=23:59:59.5", "{a=@23:59:59.5}" }, { "a=2000-02-29\nb=2024-02-29", "{a=@2000-02-29,b=@2024-02-29}" },
	};
	static const struct bad bad[] = {
		{ "a=1979-02-29", "1:3: expected a date or time: no such date or time" },
		{ "a=1900-02-29", "1:3: " }, { "a=1979-13-01", "1:3: " }, { "a=1979-00-01", "1:3: " }, { "a=1979-04-31", "1:3: " },
		{ "a=1979-04-00", "1:3: " }, { "a=1979-5-27", "1:3: " }, { "a=79-05-27", "1:3: " }, { "a=19790527T073200Z", "1:3: " },
		{ "a=1979-05-27T", "1:3: " }, { "a=1979-05-27T07:", "1:3: " }, { "a=1979-05-27T07:32:", "1:3: " },
		{ "a=1979-05-27T24:00:00Z", "1:3: " }, { "a=1979-05-27T23:60:00Z", "1:3: " }, { "a=1979-05-27T23:59:60Z", "1:3: " },
		{ "a=1979-05-27T07:32:00.Z", "1:3: " }, { "a=1979-05-27T07:32:00+24:00", "1:3: " },
		{ "a=1979-05-27T07:32:00+01", "1:3: " }, { "a=1979-05-27T07:32:00ZZ", "1:3: " }, { "a=1979-05-27Z", "1:3: " },
		{ "a=07:32.5", "1:3: " }, { "a=7:32:00", "1:3: " }, { "a=07:32:00Z", "1:3: " }, { "a=07:32:00.", "1:3: " },
		{ "a=1979-05-27  07:32:00", "1:15: found '0'" }, { "a=1979-05-27 07:32x", "1:3: " },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
arrays_span_lines_and_mix_kinds(void **state)
{
	static const struct good good[] = {
		{ "a=[]", "{a=[]}" }, { "a=[ ]", "{a=[]}" }, { "a=[1,2,]", "{a=[1,2]}" }, { "a=[1,\"x\",[true],{b=1}]", "{a=[1,\"x\",[true],{b=1}]}" },
		{ "a=[ # c\n1 # d\n, # e\n2\n# f\n]", "{a=[1,2]}" }, { "a=[\n\n]\nb=1", "{a=[],b=1}" }, { "a=[[[]]]", "{a=[[[]]]}" },
		{ "a=['x','''y\nz''']", "{a=[\"x\",\"y\nz\"]}" },
	};
	static const struct bad bad[] = {
		{ "a=[", "1:4: found the end of the file, expected a value" }, { "a=[1", "1:5: found the end of the file, expected , or ]" },
		{ "a=[,]", "1:4: found ',', expected a value or ]" }, { "a=[1,,2]", "1:6: found ','" }, { "a=[1 2]", "1:6: found '2', expected , or ]" },
		{ "a=[1]]", "1:6: found ']'" }, { "a=[\n1\n\n2]", "4:1: found '2'" }, { "a=[1}", "1:5: found '}'" }, { "a=[b=1]", "1:4: " },
		{ "a=[1]\na=[2]", "2:1: key 'a' is an array already" }, { "a=[1]\n[a.b]", "2:2: key 'a' is an array already, at line 1, and closed" },
		{ "a=[{b=1}]\n[[a]]", "2:3: key 'a' is an array already, at line 1, and no [[array]] of tables" },
		{ "a=[]\n[[a]]", "2:3: key 'a'" }, { "a=[{}]\n[a.b]", "2:2: " }, { "a=[]\na.b=1", "2:1: " },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
inline_tables_span_lines_and_are_closed(void **state)
{
	static const struct good good[] = {
		{ "a={}", "{a={}}" }, { "a={ b = 1, c.d = 2, c.e = 3 }", "{a={b=1,c={d=2,e=3}}}" }, { "a={b={c={}}}", "{a={b={c={}}}}" },
		{ "a={b=[1,\n2]}", "{a={b=[1,2]}}" }, { "a.b={c=1}\na.d=2", "{a={b={c=1},d=2}}" },
		{ "a={b=1,}", "{a={b=1}}" }, { "a={ # c\n b=1, # d\n\n c=2,\n}", "{a={b=1,c=2}}" }, { "a={b=1\n,c=2\n}", "{a={b=1,c=2}}" },
		{ "a={\n}", "{a={}}" },
		{ "[t]\na={b.c=1}\nx.y={z.w=2}\nx.v=3", "{t={a={b={c=1}},x={y={z={w=2}},v=3}}}" },
	};
	static const struct bad bad[] = {
		{ "a={", "1:4: found the end of the file, expected a key" }, { "a={b=1", "1:7: found the end of the file, expected , or }" },
		{ "a={b=1,,}", "1:8: found ',', expected a key" }, { "a={b=1\nc=2}", "2:1: found 'c', expected , or }" },
		{ "a={b\n=1}", "1:5: found the end of the line" }, { "a={b=\n1}", "1:6: found the end of the line" }, { "a={b=1 c=2}", "1:8: found 'c'" }, { "a={,}", "1:4: found ','" },
		{ "a={b=1,b=2}", "1:8: key 'b' is an integer already" }, { "a={b=1,b.c=2}", "1:8: " }, { "a={b.c=1,b=2}", "1:10: " },
		{ "a={b={c=1},b.d=2}", "1:12: key 'b' is a table already" }, { "a={b=1}\na.c=2", "2:1: key 'a' is a table already, at line 1: dotted keys cannot add to it" },
		{ "a={}\n[a]", "2:2: key 'a' is a table already" }, { "a={}\n[a.b]", "2:2: key 'a' is a table already, at line 1, and closed" },
		{ "a={}\n[[a]]", "2:3: " }, { "a={b.c=1}\na.b.d=2", "2:1: " }, { "a={b={}}\n[a.b.c]", "2:2: " }, { "a={b=1 # c }", "1:13: found the end of the file" },
		{ "a=[{b={}}]\na.b=1", "2:1: " }, { "a={b.c=1}\n[a.b.d]", "2:2: " }, { "a.b={}\na.b.c=1", "2:3: " },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
tables_are_defined_once(void **state)
{
	static const struct good good[] = {
		{ "[a]\n[b]\nc=1", "{a={},b={c=1}}" }, { "[a.b.c]\nx=1\n[a]\ny=2", "{a={b={c={x=1}},y=2}}" },
		{ "[ a . \"b.c\" ]\nx=1", "{a={b.c={x=1}}}" }, { "[a.b]\n[a.c]\n[a]", "{a={b={},c={}}}" },
		{ "x=1\n[a] # c\nx=2", "{x=1,a={x=2}}" }, { "[a]\nb.c=1\nb.d=2\n[a.e]", "{a={b={c=1,d=2},e={}}}" },
		{ "[fruit]\napple.color=1\n[fruit.apple.texture]\nsmooth=true", "{fruit={apple={color=1,texture={smooth=true}}}}" },
		{ "[\"\"]\nx=1", "{={x=1}}" }, { "[a.b.c]\n[a]\nb.d=2", "{a={b={c={},d=2}}}" },
		{ "[a]\r\nx=1\r\n", "{a={x=1}}" },
	};
	static const struct bad bad[] = {
		{ "[a]\n[a]", "2:2: key 'a' is a table already, at line 1" }, { "[a.b]\n[a]\n[a.b]", "3:4: key 'b' is a table already, at line 1" },
		{ "[a]\nb=1\n[a.b]", "3:4: key 'b' is an integer already, at line 2" }, { "a=1\n[a]", "2:2: " }, { "a=1\n[a.b]", "2:2: key 'a' is an integer already, at line 1" },
		{ "a.b=1\n[a]", "2:2: key 'a' is a table already" }, { "[a]\nb.c=1\n[a.b]", "3:4: key 'b' is a table already" },
		{ "[a.b]\nx=1\n[a]\nb.y=2", "4:1: key 'b' is a table already, at line 1: dotted keys cannot add to it" },
		{ "[a.b.c]\nz=9\n[a]\nb.c.t=1", "4:3: key 'c'" }, { "[a.b.c.d]\nz=9\n[a]\nb.c.d.k.t=1", "4:5: key 'd'" },
		{ "[a]\nb.c=1\n[a.b.d]\n[a.x]\n[a.b]", "5:4: " },
		{ "[]", "1:2: found ']', expected a key" }, { "[a", "1:3: found the end of the file, expected ] or ." }, { "[a.]", "1:4: found ']'" },
		{ "[.a]", "1:2: " }, { "[a..b]", "1:4: " }, { "[a b]", "1:4: found 'b', expected ] or ." }, { "[a]]", "1:4: found ']'" }, { "[a\n]", "1:3: " },
		{ "[[a]", "1:4: found ']', expected ]] or ." }, { "[ [a]]", "1:3: found '['" }, { "[[a] ]", "1:4: " }, { "[=]", "1:2: " }, { "[a=1]", "1:3: " },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
arrays_of_tables_grow_at_their_end(void **state)
{
	static const struct good good[] = {
		{ "[[a]]\nx=1\n[[a]]\n[[a]]\nx=3", "{a=[{x=1},{},{x=3}]}" },
		{ "[[f]]\nn=1\n[f.p]\nc=1\n[[f.v]]\nn=2\n[[f.v]]\nn=3\n[[f]]\nn=4\n[[f.v]]\nn=5", "{f=[{n=1,p={c=1},v=[{n=2},{n=3}]},{n=4,v=[{n=5}]}]}" },
		{ "[[a.b]]\nx=1\n[a]\ny=2", "{a={b=[{x=1}],y=2}}" }, { "[[a]]\n[a.b]\n[[a]]\n[a.b]", "{a=[{b={}},{b={}}]}" },
		{ "[[a]]\nb.c=1\n[[a]]\nb.c=2", "{a=[{b={c=1}},{b={c=2}}]}" }, { "[a]\n[[a.b]]\n[[a.b]]", "{a={b=[{},{}]}}" },
	};
	static const struct bad bad[] = {
		{ "[a]\n[[a]]", "2:3: key 'a' is a table already, at line 1, and no [[array]] of tables" }, { "[[a]]\n[a]", "2:2: key 'a' is an array already, at line 1" },
		{ "[a.b]\n[[a]]", "2:3: " }, { "[[a.b]]\n[a]\nb.y=2", "3:1: key 'b' is an array already" }, { "[[a]]\n[[a.b]]\n[a.b]", "3:4: " },
		{ "[[a]]\n[a.b]\n[[a.b]]", "3:5: " }, { "[[a]]\nb=[]\n[[a.b]]", "3:5: " }, { "a.b=1\n[[a]]", "2:3: " }, { "[[]]", "1:3: " },
		{ "[[a]]\n[a.b]\n[a.b]", "3:4: " },
	};

	(void)state;
	check_good(good, N_OF(good));
	check_bad(bad, N_OF(bad));
}

static void
only_clean_utf8_is_text(void **state)
{
	static const struct bad bad[] = {
		{ "a=\"\xff\"", "1:4: found octet 0xff, which is not UTF-8" }, { "# \xc3(", "1:3: found octet 0xc3" }, { "a='\xed\xa0\x80'", "1:4: found octet 0xed" },
		{ "a='\xc0\x80'", "1:4: " }, { "a='\xe0\x80\x80'", "1:4: " }, { "a='\xf4\x90\x80\x80'", "1:4: " }, { "a='\xf0\x9f\x94'", "1:4: " }, { "a=1\n# \xf0\x9f", "2:3: " },
		{ "a=\"\x01\"", "1:4: found control character U+0001 (in a string write it as an escape)" }, { "# \x1f", "1:3: found control" }, { "a='\x7f'", "1:4: " },
		{ "a='''\x0b'''", "1:6: " }, { "a=1\rb=2", "1:4: found a CR without LF" }, { "# x\r", "1:4: found a CR" }, { "a='''x\ry'''", "1:7: found a CR" },
		{ "\xef\xbb\xbf" "a=1", "1:1: found a byte-order mark" }, { "a=1\n\xef\xbb\xbf", "2:1: " },
		{ "\xc2\xa0" "a=1", "1:1: " }, { "a=1\f", "1:4: " },
	};
	struct err e = { 0 };
	struct toml *doc = NULL;

	(void)state;
	check_bad(bad, N_OF(bad));
	assert_int_equal(toml_parse(&doc, "t", (struct bytes){ (const uint8_t *)"a=1\0", 4 }, &e), E_FORMAT);
	assert_memory_equal(e.msg, "t:1:4: found control character U+0000", 37);
}

/* n times before, x, n times after. */
static int
parse_nested(const char *head, const char *before, const char *x, const char *after, size_t n, struct err *e)
{
	AUTO_BUF b = { 0 };
	AUTO(toml) doc = NULL;

	buf_put_str(&b, head);
	for (size_t i = 0; i < n; i++)
		buf_put_str(&b, before);
	buf_put_str(&b, x);
	for (size_t i = 0; i < n; i++)
		buf_put_str(&b, after);
	return toml_parse(&doc, "t", bytes_of_buf(&b), e);
}

static void
nesting_and_size_have_limits(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse_nested("a=", "[", "", "]", TOML_DEPTH, NULL), 0);
	assert_int_equal(parse_nested("a=", "[", "", "]", TOML_DEPTH + 1, &e), E_TOOBIG);
	assert_string_equal(e.msg, "t:1:35: nested deeper than 32");
	assert_int_equal(parse_nested("a=", "[", "", "]", 100000, NULL), E_TOOBIG);
	assert_int_equal(parse_nested("a=", "{b=", "1", "}", TOML_DEPTH - 1, NULL), 0);
	assert_int_equal(parse_nested("a=", "{b=", "1", "}", 100000, NULL), E_TOOBIG);
	assert_int_equal(parse_nested("[", "a.", "b]", "", TOML_DEPTH - 1, NULL), 0);
	assert_int_equal(parse_nested("[", "a.", "b]", "", TOML_DEPTH, NULL), E_TOOBIG);
	assert_int_equal(parse_nested("", "a.", "b=1", "", TOML_DEPTH, NULL), E_TOOBIG);
	assert_int_equal(parse_nested("#", "x", "", "", TOML_MAX - 1, NULL), 0);
	assert_int_equal(parse_nested("#", "x", "", "", TOML_MAX, &e), E_TOOBIG);
	assert_string_equal(e.msg, "t: more than 1048576 octets");
}

static void
too_many_keys_in_one_table_are_refused(void **state)
{
	AUTO_BUF b = { 0 };
	AUTO(toml) doc = NULL;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "k%d=1\n", i);
	assert_int_equal(toml_parse(&doc, "t", bytes_of_buf(&b), &e), 0);
	buf_put_str(&b, "one_more=1");
	toml_free(TAKE(doc));
	assert_int_equal(toml_parse(&doc, "t", bytes_of_buf(&b), &e), E_TOOBIG);
	assert_string_equal(e.msg, "t:1001:1: more than 1000 keys in one table");
}

static void
every_value_knows_its_place_and_path(void **state)
{
	AUTO(toml) doc = NULL;
	struct err e = { 0 };
	const struct toml *v;

	(void)state;
	assert_int_equal(toml_parse(&doc, "est.toml", bytes_of("x = 1\n[a.b]\n  \xc2\xa0 = 1"), &e), E_FORMAT);
	assert_string_equal(e.msg, "est.toml:3:3: found '\\xc2\\xa0', expected a key (letters, digits, _ and -, or in quotes)");
	assert_int_equal(toml_parse(&doc, "est.toml", bytes_of(
	    "[a.b]\n  c . d = 1\n[[l]]\n[[l]]\n \"k\\n\" = [\n 'x', [2]]\n[a]\n"), NULL), 0);
	v = toml_get(toml_get(toml_get(toml_get(doc, "a"), "b"), "c"), "d");
	assert_int_equal(toml_line(v), 2);
	assert_int_equal(toml_column(v), 7);
	assert_int_equal(toml_err(&e, v, "must be %s", "a string"), E_FORMAT);
	assert_string_equal(e.msg, "est.toml:2:7: key 'a.b.c.d': must be a string");
	v = toml_at(toml_at(toml_get(toml_at(toml_get(doc, "l"), 1), "k\n"), 1), 0);
	assert_int_equal(toml_line(v), 6);
	assert_int_equal(toml_column(v), 8);
	(void)toml_err(&e, v, "no");
	assert_string_equal(e.msg, "est.toml:6:8: key 'l[1].k\\x0a[1][0]': no");
	assert_int_equal(toml_line(toml_get(doc, "a")), 7); /* its own header, not the first that went through it */
	(void)toml_err(&e, doc, "key 'z' is missing");
	assert_string_equal(e.msg, "est.toml:1:1: key 'z' is missing");
	assert_string_equal(toml_file(v), "est.toml");
	assert_string_equal(toml_key(doc), "");
	assert_string_equal(toml_key(v), "");
}

static void
asking_what_is_not_there_gives_nothing(void **state)
{
	AUTO(toml) doc = NULL;

	(void)state;
	assert_int_equal(toml_parse(&doc, "t", bytes_of("a=1"), NULL), 0);
	assert_null(toml_get(doc, "b"));
	assert_null(toml_get(toml_get(doc, "a"), "b"));
	assert_int_equal(toml_count(toml_get(doc, "a")), 0);
	assert_string_equal(toml_kind_name(toml_kind(toml_get(doc, "a"))), "an integer");
	toml_free(NULL);
}

/* base + patch, or the text of the error. */
static void
check_merge(const char *base, const char *patch, const char *tree)
{
	AUTO(toml) doc = NULL;
	struct toml *more = NULL;
	AUTO_BUF out = { 0 };
	struct err e = { 0 };

	assert_int_equal(toml_parse(&doc, "base", bytes_of(base), &e), 0);
	assert_int_equal(toml_parse(&more, "patch", bytes_of(patch), &e), 0);
	assert_int_equal(toml_merge(doc, more, &e), 0);
	dump(&out, doc);
	assert_string_equal(buf_str(&out), tree);
}

static void
documents_merge_by_key_and_arrays_are_joined(void **state)
{
	(void)state;
	check_merge("", "a=1", "{a=1}");
	check_merge("a=1", "", "{a=1}");
	check_merge("a=1\nb=2", "b=3\nc=4", "{a=1,b=3,c=4}");
	check_merge("[t]\na=1\n[t.u]\nb=2", "t.u.c=3\nt.a=4", "{t={a=4,u={b=2,c=3}}}");
	check_merge("a={b=1}", "[a]\nc=2", "{a={b=1,c=2}}"); /* how a table was written does not matter */
	check_merge("a=[1,2]", "a=[2,3]", "{a=[1,2,2,3]}");
	check_merge("[t]\ntrusted=['x']", "[t]\ntrusted=['y']", "{t={trusted=[\"x\",\"y\"]}}");
	check_merge("[[p]]\nuid=1", "[[p]]\nuid=2\n[[p]]\nuid=3", "{p=[{uid=1},{uid=2},{uid=3}]}");
	check_merge("a=[]", "a=[]", "{a=[]}");
}

static void
anything_else_is_replaced_by_the_later_document(void **state)
{
	(void)state;
	check_merge("a='x'", "a='y'", "{a=\"y\"}");
	check_merge("a=1", "a='y'", "{a=\"y\"}");
	check_merge("[a]\nb=1", "a=2", "{a=2}");
	check_merge("a=2", "[a]\nb=1", "{a={b=1}}");
	check_merge("a=[1]", "[a]\nb=1", "{a={b=1}}");
	check_merge("[[a]]\nb=1", "a='f'", "{a=\"f\"}");
	check_merge("[a.b.c]\nd=1", "a.b=[7]", "{a={b=[7]}}");
}

static void
merged_values_know_their_own_file_and_line(void **state)
{
	AUTO(toml) doc = NULL;
	struct toml *second = NULL, *third = NULL;
	const struct toml *p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(toml_parse(&doc, "one.toml", bytes_of("[t]\na=1\n[[p]]\nuid=1"), &e), 0);
	assert_int_equal(toml_parse(&second, "two.toml", bytes_of("\n\n[t]\n  b=2"), &e), 0);
	assert_int_equal(toml_parse(&third, "three.toml", bytes_of("[[p]]\nuid='x'"), &e), 0);
	assert_int_equal(toml_merge(second, third, &e), 0); /* names are handed on twice */
	assert_int_equal(toml_merge(doc, second, &e), 0);
	assert_string_equal(toml_file(toml_get(toml_get(doc, "t"), "a")), "one.toml");
	assert_string_equal(toml_file(toml_get(toml_get(doc, "t"), "b")), "two.toml");
	assert_int_equal(toml_line(toml_get(toml_get(doc, "t"), "b")), 4);
	assert_int_equal(toml_column(toml_get(toml_get(doc, "t"), "b")), 3);
	p = toml_get(toml_at(toml_get(doc, "p"), 1), "uid");
	assert_int_equal(toml_err(&e, p, "no number"), E_FORMAT);
	assert_string_equal(e.msg, "three.toml:2:1: key 'p[1].uid': no number");
}

static void
a_merged_table_is_not_larger_than_a_parsed_one(void **state)
{
	AUTO_BUF a = { 0 };
	AUTO_BUF b = { 0 };
	AUTO(toml) doc = NULL;
	struct toml *more = NULL;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 600; i++) {
		buf_printf(&a, "a%d=1\n", i);
		buf_printf(&b, "b%d=1\n", i);
	}
	assert_int_equal(toml_parse(&doc, "a", bytes_of_buf(&a), &e), 0);
	assert_int_equal(toml_parse(&more, "b", bytes_of_buf(&b), &e), 0);
	assert_int_equal(toml_merge(doc, more, &e), E_TOOBIG);
	assert_string_equal(e.msg, "b:401:1: key 'b400': more than 1000 keys in one table");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_bare_quoted_or_dotted),
		cmocka_unit_test(strings_are_of_four_kinds),
		cmocka_unit_test(integers_have_64_bits_in_four_bases),
		cmocka_unit_test(floats_have_a_fraction_or_an_exponent),
		cmocka_unit_test(dates_and_times_are_checked_and_kept_as_text),
		cmocka_unit_test(arrays_span_lines_and_mix_kinds),
		cmocka_unit_test(documents_merge_by_key_and_arrays_are_joined),
		cmocka_unit_test(anything_else_is_replaced_by_the_later_document),
		cmocka_unit_test(merged_values_know_their_own_file_and_line),
		cmocka_unit_test(a_merged_table_is_not_larger_than_a_parsed_one),
		cmocka_unit_test(inline_tables_span_lines_and_are_closed),
		cmocka_unit_test(tables_are_defined_once),
		cmocka_unit_test(arrays_of_tables_grow_at_their_end),
		cmocka_unit_test(only_clean_utf8_is_text),
		cmocka_unit_test(nesting_and_size_have_limits),
		cmocka_unit_test(too_many_keys_in_one_table_are_refused),
		cmocka_unit_test(every_value_knows_its_place_and_path),
		cmocka_unit_test(asking_what_is_not_there_gives_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
