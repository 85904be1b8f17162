/* SPDX-License-Identifier: Apache-2.0 */
/* provision/local.c - a local identity: a pair that is made here and given away, with its certificate */
#include "core/pki/cert.h"
#include "core/pki/csr.h"
#include "device/provision/provision_inside.h"

static int
add_names(struct sans *out, struct task_result *r, const json_t *args)
{
	const json_t *list = json_object_get(args, "dns"), *item;
	struct err e = { 0 };
	size_t i;

	json_array_foreach(list, i, item) {
		AUTO_BUF text = { 0 };

		buf_printf(&text, "dns:%s", json_string_value(item));
		if (sans_add_text(out, buf_str(&text), &e) != 0)
			return task_fail(r, TASK_BAD_TASK, E_USAGE, "alternative name: %s", e.msg);
	}
	return 0;
}

/* What the original's requests say, and names beside the CN where they are given. */
static int
make(struct key **key, struct buf *pem, struct buf *csr, struct task_result *r, const json_t *args)
{
	static struct name subject;
	static struct sans sans;
	struct csr_want want = {
		.subject = &subject, .sans = &sans, .leaf = true, .client_auth = true,
		.server_auth = json_flag(args, "server", false),
		.ku = KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION | KU_KEY_ENCIPHERMENT,
	};
	struct err e = { 0 };
	int rc = certs_subject(&subject, r, args);

	sans = (struct sans){ 0 };
	if (rc == 0)
		rc = add_names(&sans, r, args);
	if (rc != 0)
		return rc;
	rc = key_generate(key, KEY_RSA_2048, &e);
	if (rc == 0)
		rc = key_to_pem(pem, *key, &e);
	if (rc == 0)
		rc = csr_build(csr, &want, *key, &e);
	return rc == 0 ? 0 : task_fail(r, TASK_BAD_TASK, (enum err_code)rc, "local identity: %s", e.msg);
}

void
local_id_run(struct task_result *r, const json_t *args)
{
	AUTO(key) key = NULL;
	AUTO_BUF csr = { 0 };
	AUTO_BUF pem = { 0 };
	int64_t not_after = 0;

	if (make(&key, &pem, &csr, r, args) != 0 ||
	    certs_issue(r, args, json_str(args, "id", ""), bytes_of_buf(&csr), key_spki(key), &not_after) != 0)
		return;
	json_setf(r->value, "key", "%s", buf_str(&pem));
	(void)json_object_set_new(r->value, "not_after", json_integer(not_after));
}
