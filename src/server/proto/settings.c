/* SPDX-License-Identifier: Apache-2.0 */
/* proto/settings.c - the server's settings on their way to the roles */
#include "server/proto/settings.h"

#include <stdio.h>
#include <unistd.h>

#include "core/codec/wire.h"

#define DAY_S INT64_C(86400)

/* The text fields, in the order of the message. */
static const struct {
	size_t offset, size;
} texts[] = {
#define TEXT(field) { offsetof(struct settings, field), sizeof(((struct settings *)NULL)->field) }
	TEXT(dir), TEXT(user), TEXT(device_host), TEXT(operator_host), TEXT(public_host),
	TEXT(local_socket), TEXT(name), TEXT(public_url), TEXT(tls_chain), TEXT(tls_key), TEXT(ready_file),
	TEXT(courier_trust),
#undef TEXT
};

void
settings_default(struct settings *s)
{
	*s = (struct settings){
		.dir = "/var/lib/estuary",
		.device_host = "*", .device_port = 8443,
		.operator_host = "localhost", .operator_port = 9443,
		.public_host = "*", .public_port = 8080,
		.idle_s = 60, .connections = 10000, .connections_per_address = 256,
		.crl_lifetime_s = 7 * DAY_S,
	};
	if (gethostname(s->name, sizeof(s->name) - 1) != 0 || s->name[0] == 0)
		(void)snprintf(s->name, sizeof(s->name), "localhost");
}

void
settings_put(struct buf *b, const struct settings *s)
{
	for (size_t i = 0; i < N_OF(texts); i++)
		wire_put_str(b, (const char *)s + texts[i].offset);
	wire_put_u32(b, s->fronts);
	wire_put_u32(b, s->device_port);
	wire_put_u32(b, s->operator_port);
	wire_put_u32(b, s->public_port);
	wire_put_u32(b, s->idle_s);
	wire_put_u32(b, s->connections);
	wire_put_u32(b, s->connections_per_address);
	wire_put_i64(b, s->crl_lifetime_s);
}

static uint16_t
get_port(struct wire *w)
{
	uint32_t v = wire_u32(w);

	w->bad = w->bad || v > UINT16_MAX;
	return (uint16_t)v;
}

int
settings_get(struct settings *s, struct bytes body, struct err *e)
{
	struct wire w = wire_open(body);
	struct settings got = { 0 };
	int r;

	for (size_t i = 0; i < N_OF(texts); i++)
		wire_str(&w, (char *)&got + texts[i].offset, texts[i].size);
	got.fronts = wire_u32(&w);
	got.device_port = get_port(&w);
	got.operator_port = get_port(&w);
	got.public_port = get_port(&w);
	got.idle_s = wire_u32(&w);
	got.connections = wire_u32(&w);
	got.connections_per_address = wire_u32(&w);
	got.crl_lifetime_s = wire_i64(&w);
	w.bad = w.bad || got.fronts > SETTINGS_FRONTS_MAX || got.dir[0] != '/' ||
	    got.crl_lifetime_s <= 0;
	if ((r = wire_end(&w, "settings", e)) != 0)
		return r;
	*s = got;
	return 0;
}
