/* SPDX-License-Identifier: Apache-2.0 */
/* est/ber.c - indefinite lengths made definite (X.690 8.1.3) */
#include "core/est/ber.h"

#define CONSTRUCTED 0x20
#define INDEFINITE  0x80

struct walk {
	struct bytes rest;
	size_t items;
};

static int element(struct buf *out, struct walk *w, unsigned depth, struct err *e);

bool
ber_is_indefinite(struct bytes b)
{
	return b.n >= 2 && (b.p[0] & CONSTRUCTED) != 0 && b.p[1] == INDEFINITE;
}

static uint8_t
take_octet(struct walk *w)
{
	uint8_t v = w->rest.n != 0 ? w->rest.p[0] : 0;

	w->rest = bytes_slice(w->rest, 1, w->rest.n);
	return v;
}

static bool
at_end_of_contents(const struct walk *w)
{
	return w->rest.n >= 2 && w->rest.p[0] == 0 && w->rest.p[1] == 0;
}

/* The octets of a definite length whose first octet was `first`; false when there are not so many. */
static bool
take_length(size_t *out, struct walk *w, uint8_t first)
{
	unsigned n = first < 0x80 ? 0 : first & 0x7fu;

	*out = first < 0x80 ? first : 0;
	if (n > 4 || n > w->rest.n)
		return false;
	for (; n != 0; n--)
		*out = *out << 8 | take_octet(w);
	return *out <= w->rest.n;
}

static int
until_end_of_contents(struct buf *out, struct walk *w, unsigned depth, struct err *e)
{
	int rc = 0;

	while (rc == 0 && !at_end_of_contents(w))
		rc = element(out, w, depth, e);
	w->rest = bytes_slice(w->rest, 2, w->rest.n);
	return rc;
}

static int
element(struct buf *out, struct walk *w, unsigned depth, struct err *e)
{
	uint8_t tag = take_octet(w), first = w->rest.n != 0 ? take_octet(w) : INDEFINITE;
	bool constructed = (tag & CONSTRUCTED) != 0;
	struct walk inside = { .items = w->items + 1 };
	size_t n = 0, mark;
	int rc = 0;

	if (depth == DER_DEPTH_MAX || inside.items > DER_ITEMS_MAX)
		return err_set(e, E_FORMAT, "BER: nested too deeply, or too many elements");
	if (tag == 0 || (tag & 0x1f) == 0x1f || (first == INDEFINITE && (!constructed || w->rest.n == 0)) ||
	    (first != INDEFINITE && !take_length(&n, w, first)))
		return err_set(e, E_FORMAT, "BER: broken element");
	if (!constructed) {
		der_put(out, tag, bytes_slice(w->rest, 0, n));
		w->rest = bytes_slice(w->rest, n, w->rest.n);
		w->items = inside.items;
		return 0;
	}
	mark = der_begin(out, tag);
	inside.rest = first == INDEFINITE ? w->rest : bytes_slice(w->rest, 0, n);
	if (first == INDEFINITE)
		rc = until_end_of_contents(out, &inside, depth + 1, e);
	while (first != INDEFINITE && rc == 0 && inside.rest.n != 0)
		rc = element(out, &inside, depth + 1, e);
	der_finish(out, mark);
	w->rest = first == INDEFINITE ? inside.rest : bytes_slice(w->rest, n, w->rest.n);
	w->items = inside.items;
	return rc;
}

int
ber_to_definite(struct buf *out, struct bytes b, struct err *e)
{
	struct walk w = { .rest = b };
	int rc = element(out, &w, 0, e);

	if (rc == 0 && w.rest.n != 0)
		rc = err_set(e, E_FORMAT, "BER: %zu octets after the end", w.rest.n);
	return rc == 0 ? buf_check(out, "answer", e) : rc;
}
