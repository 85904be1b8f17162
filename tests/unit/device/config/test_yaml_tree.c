/* SPDX-License-Identifier: Apache-2.0 */
/* device/config/test_yaml_tree.c - YAML as a tree, and what of YAML is refused */
#include "device/config/yaml_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static void
mappings_sequences_and_texts_become_a_tree(void **state)
{
	static const char text[] = "# comment\na:\n  b: 'quoted'\n  c: plain\nlist:\n- x: 1\n"
	    "  y: \"2\"\n- []\nempty:\nfolded: >\n  two\n  lines\n";
	AUTO(yaml_tree) root = NULL;
	const struct yaml_tree *list;
	struct err e;

	(void)state;
	assert_int_equal(yaml_tree_parse(&root, "c.yaml", bytes_of(text), &e), 0);
	assert_string_equal(yaml_tree_get(yaml_tree_get(root, "a"), "b")->text, "quoted");
	assert_false(yaml_tree_get(yaml_tree_get(root, "a"), "b")->plain);
	assert_true(yaml_tree_get(yaml_tree_get(root, "a"), "c")->plain);
	assert_int_equal(yaml_tree_get(yaml_tree_get(root, "a"), "c")->line, 4);
	list = yaml_tree_get(root, "list");
	assert_int_equal(list->kind, YAML_LIST);
	assert_int_equal(list->n, 2);
	assert_string_equal(yaml_tree_get(list->item[0], "y")->text, "2");
	assert_int_equal(list->item[1]->kind, YAML_LIST);
	assert_string_equal(yaml_tree_get(root, "empty")->text, "");
	assert_string_equal(yaml_tree_get(root, "folded")->text, "two lines\n");
	assert_null(yaml_tree_get(root, "nothing"));
	assert_null(yaml_tree_get(list, "x"));
}

static void
nothing_at_all_is_an_empty_mapping(void **state)
{
	AUTO(yaml_tree) root = NULL;
	struct err e;

	(void)state;
	assert_int_equal(yaml_tree_parse(&root, "c.yaml", bytes_of("# nothing\n"), &e), 0);
	assert_int_equal(root->kind, YAML_MAP);
	assert_int_equal(root->n, 0);
}

static void
what_makes_two_things_of_one_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "a: &x 1\n", "c.yaml:1: anchors" }, { "a: &x {}\nb: *x\n", "c.yaml:1: anchors" },
		  { "a: !!str 1\n", "c.yaml:1: anchors" },
		{ "b: 1\na: *x\n", "c.yaml:2: " }, { "a: 1\na: 2\n",
		  "c.yaml:2: this key stands there twice" },
		{ "a: 1\n---\nb: 2\n", "c.yaml:2: a second document" }, { "- a\n",
		  "c.yaml:1: a configuration is a mapping" },
		{ "text\n", "c.yaml:1: a configuration is a mapping" }, { "{a: [}\n", "c.yaml:1: " },
		  { "a:\n\tb: 1\n", "c.yaml:2: " },
		{ "? [a]\n: b\n", "c.yaml:1: a key must be a text" }, { "a: \"\\0\"\n",
		  "c.yaml:1: a text with a zero octet" },
		{ "a: \"unended\n", "c.yaml:" },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct yaml_tree *root = NULL;

		if (yaml_tree_parse(&root, "c.yaml", bytes_of(rows[i].in), &e) != E_FORMAT || strstr(e.msg,
		    rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].in, e.msg);
		assert_null(root);
	}
}

static void
depth_and_size_have_limits(void **state)
{
	AUTO_BUF deep = { 0 };
	AUTO_BUF wide = { 0 };
	struct yaml_tree *root = NULL;
	struct err e;

	(void)state;
	buf_put_str(&deep, "a: ");
	for (int i = 0; i < 100; i++)
		buf_put_str(&deep, "[");
	for (int i = 0; i < 100; i++)
		buf_put_str(&deep, "]");
	assert_int_equal(yaml_tree_parse(&root, "c.yaml", bytes_of_buf(&deep), &e), E_TOOBIG);
	buf_put_str(&wide, "a: [");
	for (int i = 0; i < YAML_NODES + 1; i++)
		buf_put_str(&wide, "1,");
	buf_put_str(&wide, "]");
	assert_int_equal(yaml_tree_parse(&root, "c.yaml", bytes_of_buf(&wide), &e), E_TOOBIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_sequences_and_texts_become_a_tree),
		cmocka_unit_test(nothing_at_all_is_an_empty_mapping),
		cmocka_unit_test(what_makes_two_things_of_one_is_refused_with_its_line),
		cmocka_unit_test(depth_and_size_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
