/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_job.c - messages between certd and its worker: an octet says job or result, the rest is the body */
#include <assert.h>

#include "device/enrol/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is let in comes out again octet for octet: there is one way to write a message. */
static void
check_same(struct bytes in, struct buf *out)
{
	assert(bytes_equal(in, bytes_of_buf(out)));
	buf_free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct job job;
	static struct job_result result;
	struct bytes body = bytes_slice((struct bytes){ p, n }, 1, n);
	struct buf out = { 0 };

	if (n == 0)
		return 0;
	if (p[0] == JOB_MESSAGE && job_decode(&job, body, NULL) == 0) {
		job_encode(&out, &job);
		check_same(body, &out);
		job_clear(&job);
	} else if (p[0] == JOB_RESULT_MESSAGE && job_result_decode(&result, body, NULL) == 0) {
		job_result_encode(&out, &result);
		check_same(body, &out);
		job_result_clear(&result);
	}
	return 0;
}
