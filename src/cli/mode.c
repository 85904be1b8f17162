/* SPDX-License-Identifier: Apache-2.0 */
/* cli/mode.c - the modes of quickstart, as data */
#include "cli/mode.h"

#include <stddef.h>
#include <string.h>

#include "core/base/auto.h"

/* Messages whose args are words known beforehand: JSON in a table is easier to read than code. */

static const struct mode_object none[] = { { NULL, NULL } };

static const struct mode_object usual_labels[] = {
	{ "idevid", "{\"name\":\"idevid\",\"ca\":\"issuing\",\"profile\":\"idevid\",\"match\":\"any\","
	    "\"accept\":[\"own\",\"anchor\",\"basic\",\"code\",\"secret\"],\"secret_header\":\"X-Estuary-Secret\"}" },
	{ "ldevid", "{\"name\":\"ldevid\",\"ca\":\"issuing\",\"profile\":\"device\",\"match\":\"any\",\"default\":true,"
	    "\"accept\":[\"own\",\"anchor\",\"basic\",\"code\"],\"reenrol\":\"strict\",\"concurrent\":true}" },
	{ "edge-ca", "{\"name\":\"edge-ca\",\"ca\":\"issuing\",\"profile\":\"edge-ca\",\"match\":\"any\","
	    "\"accept\":[\"own\"]}" },
	{ NULL, NULL },
};

/*
 * The test server of Microsoft's tutorial (libest in a container): one CA of 20 years that signs the
 * server's certificate (10 years) and devices' (one day), and one user whom everybody knows.
 */
static const struct mode_object libest_profiles[] = {
	{ "device-1d", "{\"name\":\"device-1d\",\"lifetime\":\"1d\"}" },
	{ "tls-server-10y", "{\"name\":\"tls-server-10y\",\"lifetime\":\"10y\",\"eku\":[\"serverAuth\"],"
	    "\"san_dns\":\"any\",\"san_ip\":\"any\"}" },
	{ NULL, NULL },
};

static const struct mode_object libest_labels[] = {
	{ "ldevid", "{\"name\":\"ldevid\",\"ca\":\"root\",\"profile\":\"device-1d\",\"match\":\"any\",\"default\":true,"
	    "\"accept\":[\"own\",\"basic\"],\"reenrol\":\"strict\",\"concurrent\":true}" },
	{ "edge-ca", "{\"name\":\"edge-ca\",\"ca\":\"root\",\"profile\":\"edge-ca\",\"match\":\"any\","
	    "\"accept\":[\"own\",\"basic\"]}" },
	{ NULL, NULL },
};

static const struct mode modes[] = {
	{
		.compat = "", .device_port = 8443, .issuer = "issuing", .tls_profile = "tls-server",
		.profiles = none, .labels = usual_labels,
		.code = "{\"kind\":\"code\",\"label\":\"idevid\",\"scope\":\"new\",\"uses\":1,\"expires\":\"7d\"}",
	}, {
		.compat = "libest", .server_name = "localhost", .loopback = true, .device_port = 8085, .issuer = "root",
		.tls_profile = "tls-server-10y", .profiles = libest_profiles, .labels = libest_labels,
		.user = "estuser", .password = "estpwd",
		.warning = "FOR TESTS ONLY: whoever has read the tutorial knows user and password of this server,\n"
		    "and gets a certificate of any name with them. Trust its root on no machine that matters.",
	},
};

const struct mode *
mode_find(const char *compat)
{
	for (size_t i = 0; i < N_OF(modes); i++)
		if (strcmp(modes[i].compat, compat) == 0)
			return &modes[i];
	return NULL;
}
