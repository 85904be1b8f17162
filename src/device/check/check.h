/* SPDX-License-Identifier: Apache-2.0 */
/* check/check.h - looking for what is wrong with a device, changing nothing */
#ifndef DEVICE_CHECK_CHECK_H
#define DEVICE_CHECK_CHECK_H

#include <stdio.h>

#include "core/base/bytes.h"

#define CHECK_NTP_SERVER "pool.ntp.org:123"

enum check_output { CHECK_TEXT, CHECK_JSON, CHECK_JSON_STREAM };

struct check_options {
	const char *program;          /* "iotedge" has further checks; NULL or anything else: the Identity Service's */
	const char *prefix;           /* as of place_find() */
	const char *worker;           /* path of certd-worker */
	const char *dont_run;         /* IDs of checks between blanks or commas; NULL: none */
	const char *ntp_server;       /* host[:port]; NULL: CHECK_NTP_SERVER */
	const char *hub;              /* host[:port] of the IoT hub; NULL: from configuration or state */
	const char *proxy;            /* of the connections to hub and provisioning service; NULL: as configured */
	const char *expected_version; /* of this program; NULL: nobody is asked which there is */
	bool warnings_as_errors, verbose;
	enum check_output output;
	bool colour;
	FILE *out;
};

/*
 * Run every check that the program's name has, printing each as it is done.  *ok: none has found an error (nor, with
 * warnings_as_errors, a warning).  E_USAGE: an option is wrong, nothing was checked.
 */
int check_run(bool *ok, const struct check_options *o, struct err *e) MUST_CHECK;
/* The first of the IDs (between blanks or commas) that no check has, cut off to fit, or "". */
const char *check_unknown(char out[64], const char *ids);
/* The checks' IDs and descriptions by section. */
void check_list(FILE *out, const char *program, bool json);

#endif
