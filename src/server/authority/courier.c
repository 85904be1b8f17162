/* SPDX-License-Identifier: Apache-2.0 */
/* authority/courier.c - webhooks that are to be asked, by way of the courier; what it does not answer is forgotten */
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/sys/log.h"
#include "server/authority/authority.h"
#include "server/store/provision_row.h"

/* One webhook that is being asked about one registration. */
struct courier_call {
	struct courier_call *next;
	uint64_t id;
	char registration[PROVISION_ID_MAX], operation[65];
};

static struct courier_call *
unlink_call(struct authority *a, uint64_t id)
{
	for (struct courier_call **at = &a->errands; *at != NULL; at = &(*at)->next)
		if ((*at)->id == id) {
			struct courier_call *c = *at;

			*at = c->next;
			return c;
		}
	return NULL;
}

static void
forget_all(struct authority *a)
{
	while (a->errands != NULL)
		mem_free(unlink_call(a, a->errands->id));
}

static void
on_fetched(void *ctx, struct pipe *p, struct pipe_msg *m)
{
	struct authority *a = ctx;
	struct courier_call *c = unlink_call(a, m->id);
	struct wire w = wire_open(m->body);
	bool tried = wire_u8(&w) == 1;
	uint32_t status = wire_u32(&w);
	char why[PROTO_TEXT_MAX];
	struct bytes body;

	(void)p;
	wire_str(&w, why, sizeof(why));
	body = wire_bytes(&w, PROTO_FETCH_MAX);
	if (c == NULL)
		return;
	if (wire_end(&w, "courier's answer", NULL) != 0 || !tried)
		log_event(L_WARN, "courier.not-asked", "registration=%s why=%s", c->registration, why);
	else
		ask_allocated(a, c->registration, c->operation, status == 200 ? body : (struct bytes){ 0 }, why);
	mem_free(c);
}

static const struct pipe_permit permits[] = {
	{ PROTO_FETCHED, "fetched", on_fetched },
	{ 0, NULL, NULL },
};

static void
on_closed(void *ctx, struct pipe *p, const char *why)
{
	struct authority *a = ctx;

	log_event(L_WARN, "courier.lost", "why=%s", why);
	pipe_free(p);
	a->courier = NULL;
	forget_all(a);
}

void
courier_attach(struct authority *a, int fd)
{
	if (a->courier != NULL) {
		pipe_free(TAKE(a->courier));
		forget_all(a);
	}
	a->courier = pipe_new(a->loop, fd, permits, on_closed, a);
}

void
courier_free(struct authority *a)
{
	pipe_free(TAKE(a->courier));
	forget_all(a);
}

void
courier_ask(struct authority *a, const char *url, struct bytes body, const char *registration, const char *operation)
{
	AUTO_BUF b = BUF_MAX(PIPE_MAX);
	struct courier_call *c;
	char why[PROTO_TEXT_MAX];
	struct err e = { 0 };

	for (c = a->errands; c != NULL; c = c->next)
		if (strcmp(c->registration, registration) == 0 && strcmp(c->operation, operation) == 0)
			return; /* it is being asked already: the device polls meanwhile */
	if (body.n > PROTO_FETCH_MAX) { /* as often as the device polls: it is to hear that it failed */
		(void)snprintf(why, sizeof(why), "what it is to be asked has more than %zu octets; the enrolment names too many hubs",
		    PROTO_FETCH_MAX);
		ask_allocated(a, registration, operation, (struct bytes){ 0 }, why);
		return;
	}
	wire_put_str(&b, url);
	wire_put_bytes(&b, body);
	if (a->courier == NULL || pipe_send(a->courier, PROTO_FETCH, ++a->next_errand, bytes_of_buf(&b), -1, &e) != 0) {
		log_event(L_WARN, "courier.not-asked", "registration=%s why=%s", registration,
		    a->courier == NULL ? "the courier is away" : e.msg);
		return;
	}
	c = mem_zalloc(sizeof(*c));
	c->id = a->next_errand;
	c->next = a->errands;
	a->errands = c;
	text_copy(c->registration, sizeof(c->registration), registration);
	text_copy(c->operation, sizeof(c->operation), operation);
}
