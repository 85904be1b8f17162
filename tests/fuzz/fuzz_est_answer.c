/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_est_answer.c - an answer to /cacerts or an enrolment: nothing in it may be believed without a chain to our trust */
#include <assert.h>

#include "core/est/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_BAG bag = { 0 };
	AUTO_BUF roots = { 0 };
	AUTO_BUF chain = { 0 };
	AUTO_BUF next = { 0 };
	AUTO_BUF issued = { 0 };
	const int64_t now = 1750000000;
	uint8_t pin[SHA256_LEN] = { 0 };
	size_t n_new;
	char note[300];
	struct cert c;

	if (est_bag_parse(&bag, (struct bytes){ p, n }, NULL) != 0)
		return 0;
	assert(bag.n > 0 && bag.n <= EST_BAG_MAX);
	assert(est_bag_trust(&roots, &chain, &bag, pin, (struct bytes){ 0 }, now, NULL) != 0 &&
	    roots.n + chain.n == 0);
	if (est_bag_roots(&roots, &bag, now, NULL) != 0 ||
	    est_bag_chain(&chain, &bag, bytes_of_buf(&roots), now, NULL) != 0)
		return 0;
	(void)!est_bag_rollover(&next, &n_new, &bag, bytes_of_buf(&roots), now, NULL);
	for (size_t i = 0; i < bag.n; i++)
		if (cert_parse(&c, bag.cert[i], NULL) == 0)
			(void)!est_issued_check(&issued, &bag, c.spki, bytes_of_buf(&roots),
			    bytes_of_buf(&chain), NULL, now, note, sizeof(note), NULL);
	return 0;
}
