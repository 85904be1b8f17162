/* SPDX-License-Identifier: Apache-2.0 */
/* base/address.h - which addresses count as one */
#ifndef CORE_BASE_ADDRESS_H
#define CORE_BASE_ADDRESS_H

#include <stdint.h>

#define ADDRESS_LEN      16 /* octets of an IPv6 address; IPv4 ones are ::ffff:0:0/96 */
#define ADDRESS_TEXT_MAX 64 /* NUL included */

/*
 * Who has one IPv6 address has its whole /64, so what is counted by address is counted by that: the last
 * eight octets become 0.  One that stands for an IPv4 address stays as it is.
 */
void address_neighbourhood(uint8_t a[ADDRESS_LEN]);
/* The same as text; what is no IPv6 address stays as it is, cut to fit. */
void address_neighbourhood_text(const char *address, char out[ADDRESS_TEXT_MAX]);

#endif
