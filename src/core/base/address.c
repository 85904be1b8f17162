/* SPDX-License-Identifier: Apache-2.0 */
/* base/address.c - which addresses count as one */
#include "core/base/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

void
address_neighbourhood(uint8_t a[ADDRESS_LEN])
{
	static const uint8_t ipv4[12] = { [10] = 0xff, [11] = 0xff };

	if (memcmp(a, ipv4, sizeof(ipv4)) != 0)
		memset(a + 8, 0, 8);
}

void
address_neighbourhood_text(const char *address, char out[ADDRESS_TEXT_MAX])
{
	uint8_t a[ADDRESS_LEN];

	(void)snprintf(out, ADDRESS_TEXT_MAX, "%s", address);
	if (inet_pton(AF_INET6, address, a) != 1)
		return;
	address_neighbourhood(a);
	(void)inet_ntop(AF_INET6, a, out, ADDRESS_TEXT_MAX);
}
