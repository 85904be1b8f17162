/* SPDX-License-Identifier: Apache-2.0 */
/* cli/place.h - the directory that quickstart makes: whose it is, its configuration, the server's names */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "cli/mode.h"
#include "core/cmd/cli.h"
#include "core/pki/name.h"

#define PLACE_PATH_MAX 1024
#define PLACE_PORTS    3

/*
 * When root was told --user, or the directory belongs to another user: make the directory, give it to
 * that user and start over as that user, so that nothing of the server runs as root.  Returns
 * 0 when there is nothing to change.  E_POLICY: another user's, without --user, where everybody may make directories.
 * E_USAGE, E_NOTFOUND, E_IO.
 */
int place_become(const struct cli *c, const char *dir, struct err *e) MUST_CHECK;
/*
 * Make the directory (0700) or take one that is empty or was made by quickstart; its absolute path to out.
 * E_EXISTS for a directory with other things in it, E_USAGE when its name is too long for a socket.
 */
int place_open(char out[PLACE_PATH_MAX], const char *dir, struct err *e) MUST_CHECK;
/*
 * Names and addresses into doc ("names", "addresses"): those that are there already, then those of the
 * command line; without any, the mode's, or the host's name when it leads somewhere, else localhost.  All of them, and
 * localhost, 127.0.0.1 and ::1, into sans.  E_FORMAT for what is no name or address, E_USAGE when the first
 * name is not one that estuaryd takes for its own (a wildcard).
 */
int place_names(json_t *doc, struct sans *sans, const struct cli *c, const struct mode *m, struct err *e) MUST_CHECK;
/* Ports for devices, operators and the public, in this order. */
struct place_ports {
	bool there;                 /* dir/estuaryd.toml is, */
	uint16_t was[PLACE_PORTS];  /* and has these; 0 unless an option is about it */
	uint16_t port[PLACE_PORTS]; /* what they are to be; the same where nothing changes */
};
/*
 * The ports of the options or the usual ones, free ones for 0; where dir/estuaryd.toml is there, only those that are given,
 * and 0 leaves a port that can be had as it is.  Each is tried: E_IO when one cannot be had, and then nothing was
 * written.  E_USAGE; E_FORMAT and E_NOTFOUND when the file is broken or has no such port.
 */
int place_ports(struct place_ports *p, const struct cli *c, const char *dir, const struct mode *m, struct err *e) MUST_CHECK;
/* Write dir/estuaryd.toml, or change the ports in the one that is there, and say so. */
int place_config(const struct cli *c, const char *dir, const char *name, const struct mode *m, const struct place_ports *p,
    struct err *e) MUST_CHECK;

/* One more name or address: kind "dns" or "ip"; one that is there already is no error.  E_FORMAT, E_TOOBIG. */
int place_add_san(struct sans *sans, const char *kind, const char *value, struct err *e) MUST_CHECK;

#endif
