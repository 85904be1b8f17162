/* SPDX-License-Identifier: Apache-2.0 */
/* store/test_cert_row.c - what the store knows of each certificate */
#include "fresh_db.h"

static struct cert_row
found(int64_t id)
{
	struct cert_row r = { 0 };

	assert_int_equal(cert_row_by_id(db, id, &r, NULL), 0);
	return r;
}

static void
assert_state(int64_t id, int64_t now, const char *want)
{
	struct cert_row r = found(id);

	assert_string_equal(cert_row_state(&r, now), want);
	cert_row_clear(&r);
}

static bool
live(int64_t device, const char *label, int64_t now)
{
	bool yes = false;

	assert_int_equal(cert_row_live(db, device, label, now, &yes, NULL), 0);
	return yes;
}

static void
a_serial_is_there_once(void **state)
{
	int64_t device = add_device("d");
	struct cert_row r = a_cert(device, 1), other = a_cert(device, 2);

	(void)state;
	(void)add_cert(device, 1);
	memcpy(other.serial, r.serial, sizeof(other.serial));
	assert_int_equal(cert_row_insert(db, &other, NULL), E_EXISTS);
	cert_row_clear(&r);
	cert_row_clear(&other);
}

static void
assert_known_by(const char *digits, int code, int64_t id)
{
	struct cert_row r = { 0 };

	assert_int_equal(cert_row_by_prefix(db, digits, &r, NULL), code);
	assert_int_equal(r.id, id);
	cert_row_clear(&r);
}

static void
add_serial(int64_t device, int n, const char *serial)
{
	struct cert_row r = a_cert(device, n);

	(void)snprintf(r.serial, sizeof(r.serial), "%s", serial);
	assert_int_equal(cert_row_insert(db, &r, NULL), 0);
	cert_row_clear(&r);
}

static void
a_certificate_is_known_by_the_first_digits_of_its_serial(void **state)
{
	int64_t device = add_device("d");
	struct cert_row r = { 0 };
	struct err e = { 0 };

	(void)state;
	add_serial(device, 1, "54acc76b530d00000000000000000001");
	add_serial(device, 2, "54acc76bffffffffffffffffffffffff");
	add_serial(device, 3, "54acc800000000000000000000000000");
	assert_known_by("54acc76b530d00000000000000000001", 0, 1);
	assert_known_by("54acc76b53", 0, 1);
	assert_known_by("54acc76bf", 0, 2);
	assert_known_by("54acc8", 0, 3);
	assert_known_by("54acc", E_NOTFOUND, 0);
	assert_known_by("54acc9", E_NOTFOUND, 0);
	assert_known_by("", E_NOTFOUND, 0);
	assert_known_by("%_____", E_NOTFOUND, 0);
	assert_int_equal(cert_row_by_prefix(db, "54acc7", &r, &e), E_USAGE);
	assert_string_equal(e.msg, "certificate '54acc7': 2 serial numbers begin so; give more of its digits");
}

static void
what_is_presented_is_ours_by_serial_and_digest(void **state)
{
	int64_t device = add_device("d"), id = add_cert(device, 1);
	struct cert_row r = a_cert(device, 1), other = a_cert(device, 2), got = { 0 };

	(void)state;
	(void)add_cert(device, 2);
	assert_int_equal(cert_row_presented(db, r.serial, r.sha256, &got, NULL), 0);
	assert_int_equal(got.id, id);
	cert_row_clear(&got);
	assert_int_equal(cert_row_presented(db, r.serial, other.sha256, &got, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_presented(db, other.serial, r.sha256, &got, NULL), E_NOTFOUND);
	cert_row_clear(&r);
	cert_row_clear(&other);
}

static void
a_certificate_goes_through_its_states(void **state)
{
	int64_t device = add_device("d"), old = add_cert(device, 1), next;

	(void)state;
	assert_state(old, NOW, "active");
	next = add_cert(device, 2);
	assert_state(old, NOW, "superseded");
	assert_state(next, NOW, "active");
	assert_state(old, NOW + 1001, "expired");
	assert_int_equal(cert_row_revoke(db, old, NOW, 4, NULL), 0);
	assert_state(old, NOW + 1001, "revoked");
	assert_int_equal(cert_row_revoke(db, old, NOW, 0, NULL), E_EXISTS);
}

static void
that_others_have_the_key_may_be_known_later(void **state)
{
	int64_t id = add_cert(add_device("d"), 1);
	struct cert_row r = { 0 };

	(void)state;
	assert_int_equal(cert_row_revoke(db, id, NOW, 4, NULL), 0);
	assert_int_equal(cert_row_revoke(db, id, NOW + 5, 1, NULL), 0);
	assert_int_equal(cert_row_by_id(db, id, &r, NULL), 0);
	assert_int_equal(r.revoked_at, NOW);
	assert_int_equal(r.revoked_reason, 1);
	assert_int_equal(cert_row_revoke(db, id, NOW + 6, 1, NULL), E_EXISTS);
	assert_int_equal(cert_row_revoke(db, id, NOW + 6, 4, NULL), E_EXISTS);
	cert_row_clear(&r);
}

static void
a_certificate_is_superseded_by_the_next_of_its_device_at_its_label(void **state)
{
	int64_t device = add_device("d"), old = add_cert(device, 1), next;
	struct cert_row later = a_cert(device, 3), elsewhere = a_cert(device, 4), r;

	(void)state;
	(void)snprintf(elsewhere.label, sizeof(elsewhere.label), "other");
	assert_int_equal(cert_row_insert(db, &elsewhere, NULL), 0);
	(void)add_cert(add_device("e"), 5);
	assert_state(old, NOW, "active");
	assert_state(elsewhere.id, NOW, "active");
	later.issued_at = NOW + 7;
	assert_int_equal(cert_row_insert(db, &later, NULL), 0);
	next = add_cert(device, 6);
	r = found(old);
	assert_int_equal(r.superseded_by, later.id);
	assert_int_equal(r.superseded_at, NOW + 7);
	cert_row_clear(&r);
	r = found(next);
	assert_int_equal(r.superseded_by, 0);
	assert_int_equal(r.superseded_at, 0);
	cert_row_clear(&r);
	cert_row_clear(&later);
	cert_row_clear(&elsewhere);
}

static void
certificates_of_different_lines_do_not_supersede_each_other(void **state)
{
	int64_t device = add_device("d");
	struct cert_row one = a_cert(device, 1), two = a_cert(device, 2), next = a_cert(device, 3), r;

	(void)state;
	one.line = two.line = CERT_LINE_NEW;
	assert_int_equal(cert_row_insert(db, &one, NULL), 0);
	assert_int_equal(cert_row_insert(db, &two, NULL), 0);
	assert_state(one.id, NOW, "active");
	r = found(one.id);
	next.line = r.line;
	assert_int_not_equal(r.line, 0);
	cert_row_clear(&r);
	assert_int_equal(cert_row_insert(db, &next, NULL), 0);
	assert_state(one.id, NOW, "superseded");
	assert_state(two.id, NOW, "active");
	cert_row_clear(&one);
	cert_row_clear(&two);
	cert_row_clear(&next);
}

static void
a_superseded_certificate_keeps_no_device_live(void **state)
{
	int64_t device = add_device("d"), next;
	bool yes;

	(void)state;
	(void)add_cert(device, 1);
	next = add_cert(device, 2);
	assert_true(live(device, "l", NOW));
	assert_int_equal(cert_row_revoke(db, next, NOW, 0, NULL), 0);
	assert_false(live(device, "l", NOW));
	assert_int_equal(cert_row_descends(db, device, 0, NOW, &yes, NULL), 0);
	assert_true(yes);
}

static void
a_device_is_live_by_what_is_neither_revoked_nor_expired_nor_superseded(void **state)
{
	int64_t device = add_device("d"), id;

	(void)state;
	assert_false(live(device, NULL, NOW));
	id = add_cert(device, 1);
	assert_true(live(device, NULL, NOW));
	assert_true(live(device, "l", NOW));
	assert_false(live(device, "other", NOW));
	assert_false(live(device, NULL, NOW + 1000));
	assert_int_equal(cert_row_revoke(db, id, NOW, 0, NULL), 0);
	assert_false(live(device, NULL, NOW));
}

static void
a_retry_is_the_same_asker_key_label_and_device_within_the_window(void **state)
{
	int64_t id = add_cert(add_device("d"), 1);
	struct cert_row r = { 0 };
	uint8_t key[ROW_HASH_LEN], other[ROW_HASH_LEN] = { 9 };

	(void)state;
	memset(key, 1, sizeof(key));
	assert_int_equal(cert_row_retry(db, "d", "l", key, "code 1", NOW, &r, NULL), 0);
	assert_int_equal(r.id, id);
	cert_row_clear(&r);
	assert_int_equal(cert_row_retry(db, "e", "l", key, "code 1", NOW, &r, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_retry(db, "d", "m", key, "code 1", NOW, &r, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_retry(db, "d", "l", other, "code 1", NOW, &r, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_retry(db, "d", "l", key, "code 2", NOW, &r, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_retry(db, "d", "l", key, "", NOW, &r, NULL), 0);
	assert_int_equal(r.id, id);
	cert_row_clear(&r);
	assert_int_equal(cert_row_retry(db, "d", "l", other, "", NOW, &r, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_retry(db, "d", "l", key, "code 1", NOW + 1, &r, NULL), E_NOTFOUND);
	assert_int_equal(cert_row_revoke(db, id, NOW, 0, NULL), 0);
	assert_int_equal(cert_row_retry(db, "d", "l", key, "code 1", NOW, &r, NULL), E_NOTFOUND);
}

static void
a_key_belongs_to_the_device_that_had_it_first(void **state)
{
	uint8_t key[ROW_HASH_LEN];
	char owner[257];
	bool known;

	(void)state;
	(void)add_cert(add_device("pump"), 1);
	memset(key, 1, sizeof(key));
	assert_int_equal(cert_row_key_owner(db, key, "valve", owner, sizeof(owner), NULL), 0);
	assert_string_equal(owner, "pump");
	assert_int_equal(cert_row_key_owner(db, key, "PUMP", owner, sizeof(owner), NULL), 0);
	assert_string_equal(owner, "");
	assert_int_equal(cert_row_key_known(db, key, &known, NULL), 0);
	assert_true(known);
	memset(key, 2, sizeof(key));
	assert_int_equal(cert_row_key_known(db, key, &known, NULL), 0);
	assert_false(known);
}

static void
a_device_descends_from_the_one_whose_certificate_authorised_it(void **state)
{
	int64_t parent = add_device("parent"), child = add_device("child"), root = add_cert(parent, 1);
	struct cert_row r = a_cert(child, 2);
	bool yes;

	(void)state;
	r.parent = root;
	assert_int_equal(cert_row_insert(db, &r, NULL), 0);
	assert_int_equal(cert_row_descends(db, child, parent, r.not_after - 1, &yes, NULL), 0);
	assert_true(yes);
	assert_int_equal(cert_row_descends(db, parent, child, r.not_after - 1, &yes, NULL), 0);
	assert_false(yes);
	cert_row_clear(&r);
}

static bool
goes_back(int64_t device, int64_t id, const char *asker, int64_t now)
{
	bool yes;

	assert_int_equal(cert_row_goes_back(db, device, id, asker, now, &yes, NULL), 0);
	return yes;
}

static void
a_certificate_goes_back_over_what_was_shown_for_it(void **state)
{
	int64_t device = add_device("d"), other = add_device("o");
	struct cert_row first = a_cert(device, 1), next = a_cert(device, 2), foreign = a_cert(device, 3), child = a_cert(other, 4);

	(void)state;
	(void)snprintf(first.authorised_by, sizeof(first.authorised_by), "registration d");
	(void)snprintf(foreign.label, sizeof(foreign.label), "other");
	assert_int_equal(cert_row_insert(db, &first, NULL), 0);
	next.parent = child.parent = first.id;
	assert_int_equal(cert_row_insert(db, &next, NULL), 0);
	assert_int_equal(cert_row_insert(db, &foreign, NULL), 0);
	assert_int_equal(cert_row_insert(db, &child, NULL), 0);
	assert_true(goes_back(device, first.id, "registration d", NOW) && goes_back(device, next.id, "registration d", NOW));
	assert_false(goes_back(device, foreign.id, "registration d", NOW) || goes_back(device, next.id, "registration", NOW));
	assert_false(goes_back(other, child.id, "registration d", NOW)); /* which is of another device */
	assert_true(goes_back(device, 0, "registration d", NOW));
	assert_false(goes_back(device, 0, "registration d", next.not_after));
	assert_int_equal(cert_row_revoke(db, next.id, NOW, 0, NULL), 0);
	assert_false(goes_back(device, 0, "registration d", NOW)); /* what lives is the foreign one */
	cert_row_clear(&first);
	cert_row_clear(&next);
	cert_row_clear(&foreign);
	cert_row_clear(&child);
}

static int
count(void *ctx, const char *serial, int64_t revoked_at, int reason)
{
	(void)serial;
	assert_int_equal(revoked_at, NOW);
	assert_int_equal(reason, 1);
	++*(int *)ctx;
	return 0;
}

static void
a_list_holds_the_revoked_until_a_day_after_their_end(void **state)
{
	int64_t device = add_device("d"), id = add_cert(device, 1);
	int n = 0;

	(void)state;
	(void)add_cert(device, 2);
	assert_int_equal(cert_row_revoke(db, id, NOW, 1, NULL), 0);
	assert_int_equal(cert_row_revoked(db, add_ca(), NOW, count, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(cert_row_revoked(db, add_ca(), NOW + 1000 + 86399, count, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(cert_row_revoked(db, add_ca(), NOW + 1000 + 86401, count, &n, NULL), 0);
	assert_int_equal(n, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DB(a_serial_is_there_once),
		WITH_DB(a_certificate_is_known_by_the_first_digits_of_its_serial),
		WITH_DB(what_is_presented_is_ours_by_serial_and_digest),
		WITH_DB(a_certificate_goes_through_its_states),
		WITH_DB(that_others_have_the_key_may_be_known_later),
		WITH_DB(a_certificate_is_superseded_by_the_next_of_its_device_at_its_label),
		WITH_DB(certificates_of_different_lines_do_not_supersede_each_other),
		WITH_DB(a_superseded_certificate_keeps_no_device_live),
		WITH_DB(a_device_is_live_by_what_is_neither_revoked_nor_expired_nor_superseded),
		WITH_DB(a_retry_is_the_same_asker_key_label_and_device_within_the_window),
		WITH_DB(a_key_belongs_to_the_device_that_had_it_first),
		WITH_DB(a_device_descends_from_the_one_whose_certificate_authorised_it),
		WITH_DB(a_certificate_goes_back_over_what_was_shown_for_it),
		WITH_DB(a_list_holds_the_revoked_until_a_day_after_their_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
