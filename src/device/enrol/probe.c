/* SPDX-License-Identifier: Apache-2.0 */
/* enrol/probe.c - does the server still take this credential?  Asked of /cacerts, which changes nothing */
#include "device/enrol/enrol_inside.h"
#include "device/enrol/talk.h"

void
enrol_probe(struct job_result *r, const struct job *j, int64_t now)
{
	struct fetch_answer a = { 0 };
	struct talk t = { 0 };
	struct err e = { 0 };
	int rc;

	(void)now;
	if (talk_open(&t, j, r) == 0) {
		rc = talk_cacerts(&t, &a, &e);
		(void)!talk_judge(r, &t, "cacerts", rc, &a, &e); /* it stands in r */
	}
	talk_close(&t);
	fetch_clear(&a);
}
