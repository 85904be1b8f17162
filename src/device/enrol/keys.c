/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/keys.c - jobs about a key alone */
#include "device/enrol/enrol_inside.h"
#include "device/enrol/keyring.h"

static int
spki(struct job_result *r, const struct job *j, struct err *e)
{
	return keyring_spki(&r->spki, j, j->client_key, e);
}

static int
swap(struct job_result *r, const struct job *j, struct err *e)
{
	(void)r;
	return keyring_switch(j, j->client_key, j->key_from, bytes_of_buf(&j->spki), e);
}

static int
prove(struct job_result *r, const struct job *j, struct err *e)
{
	(void)r;
	return keyring_prove(j, j->client_key, e);
}

static int
roll_back(struct job_result *r, const struct job *j, struct err *e)
{
	(void)r;
	return keyring_rollback(j, j->client_key, e);
}

static int
delete(struct job_result *r, const struct job *j, struct err *e)
{
	(void)r;
	return keyring_delete(j, j->client_key, e);
}

static int (*const deeds[JOB_KIND_COUNT])(struct job_result *r, const struct job *j, struct err *e) = {
	[JOB_MATCH] = spki, [JOB_SPKI] = spki, [JOB_SWITCH] = swap, [JOB_PROVE] = prove, [JOB_ROLLBACK] = roll_back,
	[JOB_DELETE] = delete,
};

/* Is the key that was found that of the chain's first certificate? */
static void
compare(struct job_result *r, const struct job *j)
{
	AUTO_BUF der = { 0 };
	struct err e = { 0 };
	struct cert c;
	int rc = pem_decode(&der, bytes_of_buf(&j->client_chain), "CERTIFICATE", &e);

	if (rc == 0)
		rc = cert_parse(&c, bytes_of_buf(&der), &e);
	if (rc != 0)
		(void)enrol_settle(r, JOB_BAD_JOB, NULL, &e);
	else if (!bytes_equal(c.spki, bytes_of_buf(&r->spki)))
		(void)enrol_fail(r, JOB_BAD_ANSWER, "wrong-key", E_AUTH, "key '%s': not the one of its certificate",
		    j->client_key);
}

void
enrol_keys(struct job_result *r, const struct job *j)
{
	struct err e = { 0 };

	if ((unsigned)j->kind >= JOB_KIND_COUNT || deeds[j->kind] == NULL)
		(void)enrol_fail(r, JOB_BAD_JOB, NULL, E_USAGE, "job: not about a key");
	else if (deeds[j->kind](r, j, &e) != 0)
		(void)enrol_settle_key(r, &e);
	else if (j->kind == JOB_MATCH)
		compare(r, j);
}
