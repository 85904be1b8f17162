/* SPDX-License-Identifier: Apache-2.0 */
/* config/print_own.c - what Estuary's own services are told beside the files that the original's read: the Edge CA */
#include <string.h>

#include "core/codec/toml_print.h"
#include "device/config/print.h"

#define CA_ID         "aziot-edged-ca"
#define CA_TEMP_ID    "aziot-edged-ca-temp"
#define CA_ALGORITHMS "rsa-2048:*" /* as edged makes its key */

static const struct issue *
find_issue(const struct plan *p)
{
	for (size_t i = 0; i < p->n_issues; i++)
		if (strcmp(p->issues[i].id, CA_ID) == 0)
			return &p->issues[i];
	return NULL;
}

bool
print_has_own(const struct plan *p)
{
	return p->edge.on && find_issue(p) != NULL;
}

/* The device as its hub will know it, as far as that can be known before. */
static const char *
device_of(const struct plan *p)
{
	const struct provisioning *pr = &p->provisioning;
	const char *cn = map_get(&pr->subject, "CN");

	if (pr->device_id != NULL)
		return pr->device_id;
	if (pr->registration_id != NULL)
		return pr->registration_id;
	return cn != NULL ? cn : p->hostname;
}

/* The name that edged would ask for: the configured one, or its own default. */
static void
put_name(struct buf *out, const struct plan *p, const struct issue *is)
{
	const struct edge *edge = &p->edge;

	if (is->common_name != NULL || is->subject.n != 0)
		return; /* it stands in the entry already */
	if (edge->common_name != NULL || edge->subject.n == 0) {
		AUTO_BUF name = { 0 };

		buf_printf(&name, "aziot-edge CA %s", device_of(p));
		toml_print_str(out, "common_name", edge->common_name != NULL ? edge->common_name : buf_str(&name));
		return;
	}
	toml_print_table(out, "cert_issuance", CA_ID, "subject", NULL);
	for (size_t i = 0; i < edge->subject.n; i++)
		toml_print_str(out, edge->subject.v[i].key, edge->subject.v[i].value);
}

void
print_own_certd(struct buf *out, const struct plan *p)
{
	const struct renewal *r = p->edge.renewal.given ? &p->edge.renewal : &renewal_default;

	toml_print_table(out, "cert_issuance", CA_ID, NULL);
	toml_print_str(out, "pk", CA_ID);
	toml_print_str(out, "algorithms", CA_ALGORITHMS);
	put_name(out, p, find_issue(p));
	toml_print_table(out, "cert_issuance", CA_ID, "auto_renew", NULL);
	toml_print_bool(out, "rotate_key", r->rotate);
	toml_print_str(out, "threshold", r->threshold);
	toml_print_str(out, "retry", r->retry);
}

void
print_own_keyd(struct buf *out, int64_t certd)
{
	static const char *const keys[] = { CA_ID, CA_TEMP_ID };

	toml_print_array_table(out, "principal", NULL);
	toml_print_int(out, "uid", certd);
	toml_print_strs(out, "keys", keys, N_OF(keys));
}
