/* SPDX-License-Identifier: Apache-2.0 */
/* certd/engine_status.c - what people and monitors are told of each credential */
#include "device/certd/engine_inside.h"

/* Unix time, as everywhere in answers; null: never. */
static void
put_time(json_t *o, const char *key, int64_t t)
{
	(void)json_object_set_new(o, key, t > 0 && t < INT64_MAX ? json_integer(t) : json_null());
}

/* When something is done next: never, by state and policy, or when the pause after a failure is over. */
static int64_t
next_renewal(const struct credential *c, int64_t now)
{
	int64_t at = rotation_renew_at(c);

	if (c->preloaded || c->gen.disabled)
		return INT64_MAX;
	if (c->gen.state == GEN_IDLE && c->pair == PAIR_MATCH && now < at)
		return c->auto_renew ? at : INT64_MAX;
	if (c->source == SOURCE_IDENTITY && c->gen.number == 0)
		return INT64_MAX;
	return c->gen.next_try > now ? c->gen.next_try : now;
}

static json_t *
error_of(const struct generation_error *why)
{
	json_t *o;

	if (why->time == 0)
		return json_null();
	o = json_object();
	put_time(o, "time", why->time);
	json_setf(o, "outcome", "%s", why->outcome);
	json_setf(o, "check", "%s", why->check);
	json_setf(o, "text", "%s", why->text);
	json_setf(o, "request_id", "%s", why->request_id);
	(void)json_object_set_new(o, "http_status", json_integer(why->http_status));
	return o;
}

static json_t *
status_of(const struct credential *c, int64_t now, bool clock_right)
{
	const char *url = rotation_url(c);
	json_t *o = json_object();

	json_setf(o, "id", "%s", c->gen.id);
	json_setf(o, "key_id", "%s", c->gen.key_id);
	json_setf(o, "source", "%s", c->source == SOURCE_IDENTITY ? "est identity" : "managed");
	if (url != NULL)
		json_setf(o, "url", "%s", url);
	else
		(void)json_object_set_new(o, "url", json_null());
	json_setf(o, "state", "%s", generation_state_name(c->gen.state));
	(void)json_object_set_new(o, "generation", json_integer((json_int_t)c->gen.number));
	json_setf(o, "serial", "%s", c->serial);
	json_setf(o, "subject", "%s", c->subject);
	put_time(o, "not_before", c->life.not_before);
	put_time(o, "not_after", c->life.not_after);
	put_time(o, "next_renewal", next_renewal(c, now));
	put_time(o, "last_success", c->gen.good_time);
	(void)json_object_set_new(o, "tries", json_integer(c->gen.tries));
	(void)json_object_set_new(o, "last_error", error_of(&c->gen.error));
	(void)json_object_set_new(o, "usable", json_boolean(rotation_usable(c, now)));
	(void)json_object_set_new(o, "proved", json_boolean(c->gen.proved));
	(void)json_object_set_new(o, "disabled", json_boolean(c->gen.disabled));
	(void)json_object_set_new(o, "preloaded", json_boolean(c->preloaded));
	(void)json_object_set_new(o, "clock_trusted", json_boolean(clock_right));
	return o;
}

void
engine_status(const struct engine *en, json_t *list)
{
	int64_t now = en->now();
	bool clock_right = engine_clock_right(en, now);

	for (const struct credential *c = en->all; c != NULL; c = c->next)
		(void)json_array_append_new(list, status_of(c, now, clock_right));
}
