/* SPDX-License-Identifier: Apache-2.0 */
/* service/place.h - where a device service finds its configuration, socket and home */
#ifndef DEVICE_SERVICE_PLACE_H
#define DEVICE_SERVICE_PLACE_H

#include "core/base/bytes.h"

#define PLACE_MAX 256 /* octets of a path, NUL included; a socket's must fit sun_path as well */

struct place {
	const char *service;           /* "keyd", "certd" */
	char prefix[PLACE_MAX];        /* "" on a real system, or a scratch directory that holds etc, var and run */
	char config_file[PLACE_MAX];   /* PREFIX/etc/aziot/SERVICE/config.toml, or $AZIOT_<SERVICE>_CONFIG */
	char config_dir[PLACE_MAX];    /* PREFIX/etc/aziot/SERVICE/config.d, or $AZIOT_<SERVICE>_CONFIG_DIR */
	char home[PLACE_MAX];          /* PREFIX/var/lib/aziot/SERVICE: the default of homedir_path */
	char socket[PLACE_MAX];        /* PREFIX/run/aziot/SERVICE.sock */
	const char *log_filter;        /* $AZIOT_LOG, borrowed, or NULL: for slog_filter() */
};

/*
 * prefix NULL: $ESTUARY_PREFIX, or none.  E_USAGE when a path is too long or the prefix not absolute.
 * The environment is read here and nowhere else in the services.
 */
int place_find(struct place *out, const char *service, const char *prefix, struct err *e) MUST_CHECK;
/* PREFIX/run/aziot/SERVICE.sock of another service. */
int place_socket(char out[PLACE_MAX], const struct place *p, const char *service, struct err *e) MUST_CHECK;
/* "file:///a/b%20c" or "file://localhost/..." -> absolute path.  E_FORMAT, the text named. */
int place_from_file_uri(char out[PLACE_MAX], const char *uri, struct err *e) MUST_CHECK;
/* "unix:///run/x.sock" -> path (for the [endpoints] table).  E_FORMAT. */
int place_from_unix_uri(char out[PLACE_MAX], const char *uri, struct err *e) MUST_CHECK;

#define PLACE_FIRST_FD 3
#define PLACE_FDS_MAX  64
/*
 * How many descriptors a service manager passed to this very process, from PLACE_FIRST_FD on; each is close-on-exec
 * after.  0: none.  The environment forgets them: nobody takes them twice, and no child believes that it has them.
 */
int place_take_passed(void);

#endif
