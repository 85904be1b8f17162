/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_task.c - messages between identityd and its worker, and the services' error bodies: an octet says which */
#include <assert.h>
#include <string.h>

#include "device/provision/fault.h"
#include "device/provision/task.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { TASK = 1, RESULT = 2, FAULT_JSON = 3, FAULT_TEXT = 4 };

/* JSON has many spellings: what is let in is let in again as we write it, and stays that. */
static void
check_task(struct bytes in)
{
	enum task_kind k, again;
	struct buf out = { 0 };
	AUTO_JSON args = NULL;
	AUTO_JSON copy = NULL;
	int r;

	if (task_decode(&k, &args, in, NULL) != 0)
		return;
	assert(k > TASK_NONE && k < TASK_KIND_COUNT && json_is_object(args) && task_deadline_s(args) != 0);
	task_encode(&out, k, args);
	r = task_decode(&again, &copy, bytes_of_buf(&out), NULL);
	assert(r == 0 && again == k && json_equal(args, copy));
	buf_free(&out);
}

static void
check_result(struct bytes in)
{
	struct task_result result = { 0 }, again = { 0 };
	struct buf out = { 0 };
	int r;

	if (task_result_decode(&result, in, NULL) != 0)
		return;
	assert(json_is_object(result.value) && result.outcome < TASK_OUTCOME_COUNT);
	task_result_encode(&out, &result);
	r = task_result_decode(&again, bytes_of_buf(&out), NULL);
	assert(r == 0 && again.outcome == result.outcome && strcmp(again.text, result.text) == 0);
	assert(json_equal(again.value, result.value));
	task_result_clear(&result);
	task_result_clear(&again);
	buf_free(&out);
}

static void
check_fault(const char *type, struct bytes in)
{
	struct buf out = { 0 };
	struct fault f;

	fault_of_body(&f, type, in);
	assert(strpbrk(f.words, "\r\n") == NULL && strpbrk(f.tracking, "\r\n") == NULL);
	fault_print(&out, &f);
	assert(out.n < sizeof(f.words) + sizeof(f.tracking) + 64);
	buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes body = bytes_slice((struct bytes){ p, n }, 1, n);

	if (n != 0 && p[0] == TASK)
		check_task(body);
	else if (n != 0 && p[0] == RESULT)
		check_result(body);
	else if (n != 0 && (p[0] == FAULT_JSON || p[0] == FAULT_TEXT))
		check_fault(p[0] == FAULT_JSON ? "application/json" : "text/plain", body);
	return 0;
}
