/* SPDX-License-Identifier: Apache-2.0 */
/* cli/mosquitto.c - estuary hub mosquitto: the configuration of a broker that takes this server's devices */
#include "cli/mosquitto.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/op.h"
#include "cli/place.h"
#include "cli/outdir.h"
#include "core/base/clock.h"
#include "core/pki/cert.h"
#include "core/pki/csr.h"

#define CN_MAX    64 /* RFC 5280: ub-common-name */
#define URL_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?@!$&()*+,;=%[]"

/* What is written: the same whatever the server; what depends on it is in files of its own. */
static const char acl_text[] =
    "# What a device may do.  %u is the common name of its certificate.\n"
    "\n"
    "# A name with a slash in it would reach below another device's: topics of devices have five parts, and no more.\n"
    "pattern deny devices/+/+/+/+/+/#\n"
    "\n"
    "# Messages to the cloud, and to the device\n"
    "pattern write devices/%u/messages/events/#\n"
    "pattern read devices/%u/messages/devicebound/#\n"
    "\n"
    "# Device twin and direct methods: requests and answers of a device.  These topics do not say whose they are, so\n"
    "# no device may read the other direction ($iothub/twin/res, $iothub/methods/POST): that is for others, too.\n"
    "# (mosquitto warns that these lines have no %u in them. That is so on purpose.)\n"
    "pattern write $iothub/twin/GET/#\n"
    "pattern write $iothub/twin/PATCH/properties/reported/#\n"
    "pattern write $iothub/methods/res/#\n";

static const char backend_acl_text[] =
    "# Programs of this machine, by the socket in backend/, which only the broker's user can reach: everything.\n"
    "topic readwrite #\n"
    "topic readwrite $iothub/#\n";

static const char refresh_text[] =
    "#!/bin/sh\n"
    "# Fetch the revocation lists.  New ones are put in place, and the broker is told: it reads them anew (SIGHUP),\n"
    "# or, when they revoke what the old ones did not, it is ended, and started again by who runs it, so that nobody\n"
    "# stays connected who is revoked now.\n"
    "set -eu\n"
    "cd \"$(dirname \"$0\")\"\n"
    "umask 022\n"
    "new=$(mktemp -d refresh.XXXXXX)\n"
    "trap 'rm -rf \"$new\"' EXIT\n"
    "\n"
    "fail() { echo \"refresh: $*\" >&2; exit 1; }\n"
    "number() { n=$(openssl crl -in \"$1\" -noout -crlnumber); n=${n#*=}; echo $((0x${n#0x})); }\n"
    "revoked() { openssl crl -in \"$1\" -noout -text | sed -n 's/^ *Serial Number: *//p' | sort; }\n"
    "\n"
    "mkdir -p crls\n"
    "changed=no restart=no\n"
    "while read -r name url; do\n"
    "\tcurl --fail --silent --show-error --max-time 30 --max-filesize 67108864 --output \"$new/der\" -- \"$url\" ||\n"
    "\t\tfail \"$url: not fetched\"\n"
    "\topenssl crl -inform DER -in \"$new/der\" -out \"$new/$name\" 2>/dev/null ||\n"
    "\t\tfail \"$url: no revocation list\"\n"
    "\t# The way there is not protected: the signature is what counts, and that it is no older list.\n"
    "\topenssl crl -in \"$new/$name\" -CAfile ca.pem -noout 2>&1 | grep -q '^verify OK' ||\n"
    "\t\tfail \"$url: not signed by a CA in ca.pem\"\n"
    "\tcat \"$new/$name\" >>\"$new/crl.pem\"\n"
    "\tcmp -s \"$new/$name\" \"crls/$name\" && continue\n"
    "\tchanged=yes\n"
    "\tif [ -f \"crls/$name\" ]; then\n"
    "\t\t[ \"$(number \"$new/$name\")\" -ge \"$(number \"crls/$name\")\" ] ||\n"
    "\t\t\tfail \"$url: older than the list that is here\"\n"
    "\t\trevoked \"crls/$name\" >\"$new/before\"\n"
    "\t\trevoked \"$new/$name\" >\"$new/after\"\n"
    "\t\t[ -z \"$(comm -13 \"$new/before\" \"$new/after\")\" ] || restart=yes\n"
    "\telse\n"
    "\t\trestart=yes\n"
    "\tfi\n"
    "done <crl-urls\n"
    "[ $changed = yes ] || exit 0\n"
    "\n"
    "sync \"$new/crl.pem\"\n"
    "mv \"$new/crl.pem\" crl.pem\n"
    "pid=$(cat data/mosquitto.pid 2>/dev/null) || pid=none\n"
    "if [ \"$(cat \"/proc/$pid/comm\" 2>/dev/null)\" = mosquitto ]; then\n"
    "\tif [ $restart = yes ]; then kill -TERM \"$pid\"; else kill -HUP \"$pid\"; fi\n"
    "fi\n"
    "# Only now: a run that ended before this one told the broker is repeated.\n"
    "while read -r name url; do\n"
    "\tmv \"$new/$name\" \"crls/$name\"\n"
    "done <crl-urls\n";

static const char run_text[] =
    "#!/bin/bash\n"
    "# Run the broker where there is no systemd: fetch the lists, serve, start it again when it ends, and look for\n"
    "# new lists every REFRESH_S seconds (60).\n"
    "set -u\n"
    "cd \"$(dirname \"${BASH_SOURCE[0]}\")\" || exit 1\n"
    "PATH=$PATH:/usr/sbin:/usr/local/sbin\n"
    "stop() {\n"
    "\ttrap - TERM INT\n"
    "\tkill \"$broker\" \"$tick\" 2>/dev/null\n"
    "\twait\n"
    "\texit 0\n"
    "}\n"
    "\n"
    "./refresh || [ -f crl.pem ] || exit 1\n"
    "mosquitto -c mosquitto.conf &\n"
    "broker=$!\n"
    "sleep \"${REFRESH_S:-60}\" &\n"
    "tick=$!\n"
    "trap stop TERM INT\n"
    "while :; do\n"
    "\twait -n \"$broker\" \"$tick\"\n"
    "\tif ! kill -0 \"$tick\" 2>/dev/null; then\n"
    "\t\t./refresh\n"
    "\t\tsleep \"${REFRESH_S:-60}\" &\n"
    "\t\ttick=$!\n"
    "\tfi\n"
    "\tif ! kill -0 \"$broker\" 2>/dev/null; then\n"
    "\t\tsleep 0.2\n"
    "\t\tmosquitto -c mosquitto.conf &\n"
    "\t\tbroker=$!\n"
    "\tfi\n"
    "done\n";

/* One run. */
struct broker {
	struct cli *c;
	struct op_server server;
	struct outdir out;
	const char *user;
	char hint[OP_HINT_MAX];
	char name[256];              /* that devices know it by */
	uint16_t port;
	int64_t not_after;           /* of its certificate */
	struct buf cas, urls, tls;
};

static int
choose_user(struct broker *b, struct err *e)
{
	const struct passwd *p = NULL;
	const char *name = cli_text_or(b->c, "user", geteuid() == 0 ? "mosquitto" : NULL);

	p = name != NULL ? getpwnam(name) : getpwuid(geteuid());
	if (p == NULL)
		return err_set(e, E_NOTFOUND, "--user: there is no user '%s' here; install mosquitto, or name who is "
		    "to run it", name != NULL ? name : "?");
	if (geteuid() != 0 && p->pw_uid != geteuid())
		return err_set(e, E_USAGE, "--user: only root can give files to '%s'", name);
	b->user = p->pw_name;
	if (geteuid() == 0) {
		b->out.uid = p->pw_uid;
		b->out.gid = p->pw_gid;
	}
	return 0;
}

static int
check_options(struct broker *b, struct err *e)
{
	int64_t port = cli_number(b->c, "port", 8883);
	const char *listen = cli_text_or(b->c, "listen", "");

	if (port < 1 || port > UINT16_MAX)
		return err_set(e, E_USAGE, "--port: expected 1 to %d", UINT16_MAX);
	if (listen[strspn(listen, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.:-%")] != 0)
		return err_set(e, E_USAGE, "--listen: '%s' is no address", listen);
	b->port = (uint16_t)port;
	return 0;
}

static int
call(struct broker *b, json_t **out, const char *verb, json_t *args, struct err *e)
{
	int r = op_call(out, &b->server, verb, args, b->hint, e);

	return r != 0 ? err_prefix(e, (enum err_code)r, "%s", verb) : 0;
}

/* --- the CAs and where their lists are --- */

static int
add_ca(struct broker *b, const char *name, struct err *e)
{
	AUTO_JSON args = json_object();
	AUTO_JSON ca = NULL;
	const char *url;
	int r;

	json_setf(args, "name", "%s", name);
	if ((r = call(b, &ca, "ca.show", args, e)) != 0)
		return r;
	url = json_str(ca, "crl_url", "");
	buf_put_str(&b->cas, json_str(ca, "pem", ""));
	if (url[0] == 0)
		return 0; /* without a list the broker takes no certificate of it */
	if (strncmp(url, "http", 4) != 0 || url[strspn(url, URL_CHARS)] != 0)
		return err_set(e, E_FORMAT, "ca '%s': crl_url '%.200s': not an address that a script can be given",
		    name, url);
	buf_printf(&b->urls, "%s %s\n", name, url);
	return 0;
}

static int
read_cas(struct broker *b, struct err *e)
{
	AUTO_JSON none = json_object();
	AUTO_JSON list = NULL;
	const json_t *ca;
	size_t i;
	int r = call(b, &list, "ca.list", none, e);

	if (r != 0)
		return r;
	json_array_foreach(json_object_get(list, "items"), i, ca)
		if ((r = add_ca(b, json_str(ca, "name", ""), e)) != 0)
			return r;
	return b->urls.n != 0 ? 0 : err_set(e, E_NOTFOUND, "no CA of this server publishes a revocation list");
}

/* --- its certificate --- */

/* Names from the command line, or the server's; and this machine's own. */
static int
read_names(struct broker *b, struct sans *sans, struct err *e)
{
	AUTO_JSON none = json_object();
	AUTO_JSON status = NULL;
	int r = call(b, &status, "server.status", none, e);

	if (r != 0)
		return r;
	(void)snprintf(b->name, sizeof(b->name), "%s",
	    cli_count(b->c, "name") != 0 ? cli_at(b->c, "name", 0) : json_str(status, "name", ""));
	if (cli_count(b->c, "name") == 0)
		r = place_add_san(sans, "dns", b->name, e);
	for (size_t i = 0; r == 0 && i < cli_count(b->c, "name"); i++)
		r = place_add_san(sans, "dns", cli_at(b->c, "name", i), e);
	if (r == 0 && strcmp(b->name, "localhost") != 0)
		r = place_add_san(sans, "dns", "localhost", e);
	for (size_t i = 0; r == 0 && i < cli_count(b->c, "address"); i++)
		r = place_add_san(sans, "ip", cli_at(b->c, "address", i), e);
	if (r == 0)
		r = place_add_san(sans, "ip", "127.0.0.1", e);
	return r != 0 ? r : place_add_san(sans, "ip", "::1", e);
}

/* A request for a new key.  A name too long for a CN stands in the alternative names alone, where clients look. */
static int
make_request(struct broker *b, const struct key *k, const struct sans *sans, struct buf *pem, struct err *e)
{
	struct name subject = { 0 };
	struct csr_want want = { .subject = &subject, .sans = sans };
	AUTO_BUF der = { 0 };
	int r = 0;

	if (strlen(b->name) <= CN_MAX)
		r = name_add(&subject, OID_CN, b->name, e);
	if (r == 0 && (r = csr_build(&der, &want, k, e)) == 0)
		pem_encode(pem, bytes_of_buf(&der), "CERTIFICATE REQUEST");
	return r;
}

/* Key and chain in one file, so that no crash leaves two that do not belong together. */
static int
make_tls(struct broker *b, struct err *e)
{
	AUTO(key) k = NULL;
	AUTO_BUF request = { 0 };
	AUTO_BUF leaf = { 0 };
	AUTO_JSON args = json_object();
	AUTO_JSON issued = NULL;
	struct sans sans = { 0 };
	struct cert c;
	int r;

	if ((r = read_names(b, &sans, e)) != 0 || (r = key_generate(&k, KEY_EC_P256, e)) != 0 ||
	    (r = make_request(b, k, &sans, &request, e)) != 0)
		return r;
	json_setf(args, "csr", "%s", buf_str(&request));
	json_setf(args, "profile", "tls-server");
	if (cli_has(b->c, "ca"))
		json_setf(args, "ca", "%s", cli_text(b->c, "ca"));
	if ((r = call(b, &issued, "cert.request", args, e)) != 0 || (r = op_chain(&b->tls, issued, NULL, e)) != 0 ||
	    (r = pem_decode(&leaf, bytes_of(json_str(issued, "pem", "")), "CERTIFICATE", e)) != 0 ||
	    (r = cert_parse(&c, bytes_of_buf(&leaf), e)) != 0)
		return r;
	b->not_after = c.not_after;
	return key_to_pem(&b->tls, k, e);
}

/* --- what is written --- */

static void
put_conf(const struct broker *b, struct buf *out)
{
	const char *dir = b->out.path, *listen = cli_text_or(b->c, "listen", "");

	buf_printf(out, "# Made by `estuary hub mosquitto`; see README.\n"
	    "per_listener_settings true\nuser %s\npid_file %s/data/mosquitto.pid\n"
	    "persistence true\npersistence_location %s/data/\npersistent_client_expiration 14d\n"
	    "log_dest stderr\nlog_timestamp_format %%Y-%%m-%%dT%%H:%%M:%%S\nmessage_size_limit 262144\n\n", b->user,
	    dir, dir);
	buf_printf(out, "# Devices: TLS with a certificate of one of our CAs that is in its time and not revoked.\n"
	    "# Its common name is who they are.\n"
	    "listener %u%s%s\ncafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile %s/server.pem\n"
	    "crlfile %s/crl.pem\ntls_version tlsv1.2\n"
	    "require_certificate true\nuse_identity_as_username true\n"
	    "# Nobody can take another's session by its client ID.\nuse_username_as_clientid true\n"
	    "allow_anonymous false\nacl_file %s/acl\n\n", (unsigned)b->port, listen[0] != 0 ? " " : "", listen, dir,
	    dir, dir, dir, dir);
	buf_printf(out, "# Programs of this machine that use what devices send.\n"
	    "listener 0 %s/backend/mqtt.sock\nallow_anonymous true\nacl_file %s/backend.acl\n", dir, dir);
}

static void
put_service(const struct broker *b, struct buf *out)
{
	const char *dir = b->out.path;

	buf_printf(out, "[Unit]\nDescription=MQTT broker for the devices of an Estuary server\n"
	    "Documentation=file:%s/README\n"
	    "Wants=network-online.target\nAfter=network-online.target\nStartLimitIntervalSec=0\n\n"
	    "[Service]\nUser=%s\nExecStartPre=-%s/refresh\nExecStart=/usr/sbin/mosquitto -c %s/mosquitto.conf\n"
	    "ExecReload=/bin/sh -c 'kill -HUP $MAINPID'\n"
	    "# refresh ends it when somebody was revoked, so that everybody connects anew\n"
	    "Restart=always\nRestartSec=1\n"
	    "NoNewPrivileges=yes\nPrivateTmp=yes\nProtectSystem=strict\nReadWritePaths=%s\n\n"
	    "[Install]\nWantedBy=multi-user.target\n",
	    dir, b->user, dir, dir, dir);
}

static void
put_refresh_service(const struct broker *b, struct buf *out)
{
	buf_printf(out, "[Unit]\nDescription=Revocation lists for the MQTT broker\n\n"
	    "[Service]\nType=oneshot\nUser=%s\nExecStart=%s/refresh\n"
	    "NoNewPrivileges=yes\nProtectSystem=strict\nReadWritePaths=%s\n", b->user, b->out.path, b->out.path);
}

static const char timer_text[] =
    "[Unit]\nDescription=Revocation lists for the MQTT broker, every minute\n\n"
    "[Timer]\nOnBootSec=1min\nOnUnitActiveSec=1min\nAccuracySec=5s\n\n[Install]\nWantedBy=timers.target\n";

static void
put_readme(const struct broker *b, struct buf *out)
{
	const char *dir = b->out.path;
	char when[CLOCK_TEXT_MAX];

	buf_printf(out, "An MQTT broker for the devices of an Estuary server\n\n"
	    "Needed: mosquitto 2.0, curl, openssl. It runs as the user '%s'.\n\n"
	    "With systemd:\n"
	    "  cp %s/*.service %s/*.timer /etc/systemd/system/\n"
	    "  systemctl daemon-reload\n"
	    "  systemctl enable --now estuary-mqtt.service estuary-mqtt-refresh.timer\n"
	    "Without:\n"
	    "  %s/run\n\n", b->user, dir, dir, dir);
	buf_printf(out, "Devices connect to %s:%u with their certificate and key (their LDevID). The common name in "
	    "the certificate is who they are:\n"
	    "  publish    devices/NAME/messages/events/PROPERTIES\n"
	    "  subscribe  devices/NAME/messages/devicebound/#\n"
	    "For instance:\n"
	    "  mosquitto_pub -h %s -p %u --cafile root.pem --cert device.pem --key device.key \\\n"
	    "    -t devices/NAME/messages/events/ -m hello\n\n", b->name, (unsigned)b->port, b->name,
	    (unsigned)b->port);
	buf_printf(out, "Programs of this machine, as that user or root, use the socket and may do everything:\n"
	    "  mosquitto_sub --unix %s/backend/mqtt.sock -v -t 'devices/+/messages/events/#'\n\n", dir);
	buf_printf(out, "Revocation: `refresh` fetches the lists of %s/crl-urls, every minute by the timer or `run`. "
	    "When somebody was revoked the broker\n"
	    "starts anew, so that a device that is connected goes, too. While no list can be fetched the broker goes "
	    "on with what it has, until\n"
	    "that is over its time; then it takes nobody. A certificate of a CA that publishes no list is never "
	    "taken, nor is one that a\n"
	    "device's own CA (an Edge CA) issued.\n\n", dir);
	buf_printf(out, "The broker's own certificate ends at %s. Renew it, with the same options as at first:\n"
	    "  estuary hub mosquitto --out %s --force\n"
	    "  systemctl reload estuary-mqtt.service        (or: kill -HUP \"$(cat %s/data/mosquitto.pid)\")\n",
	    clock_text(b->not_after, when), dir, dir);
}

static int
put_text(struct broker *b, const char *name, mode_t mode, void (*fill)(const struct broker *, struct buf *),
    struct err *e)
{
	AUTO_BUF text = { 0 };

	fill(b, &text);
	return outdir_put(&b->out, name, bytes_of_buf(&text), mode, e);
}

static int
put_all(struct broker *b, struct err *e)
{
	struct outdir *o = &b->out;
	int r;

	if ((r = put_text(b, "README", 0644, put_readme, e)) != 0 || (r = outdir_dir(o, "data", 0700, e)) != 0 ||
	    (r = outdir_dir(o, "backend", 0700, e)) != 0 ||
	    (r = outdir_put(o, "ca.pem", bytes_of_buf(&b->cas), 0644, e)) != 0 ||
	    (r = outdir_put(o, "crl-urls", bytes_of_buf(&b->urls), 0644, e)) != 0 ||
	    (r = outdir_put(o, "server.pem", bytes_of_buf(&b->tls), 0600, e)) != 0 ||
	    (r = outdir_put(o, "acl", bytes_of(acl_text), 0600, e)) != 0 ||
	    (r = outdir_put(o, "backend.acl", bytes_of(backend_acl_text), 0600, e)) != 0 ||
	    (r = outdir_put(o, "refresh", bytes_of(refresh_text), 0755, e)) != 0 ||
	    (r = outdir_put(o, "run", bytes_of(run_text), 0755, e)) != 0 ||
	    (r = put_text(b, "estuary-mqtt.service", 0644, put_service, e)) != 0 ||
	    (r = put_text(b, "estuary-mqtt-refresh.service", 0644, put_refresh_service, e)) != 0 ||
	    (r = outdir_put(o, "estuary-mqtt-refresh.timer", bytes_of(timer_text), 0644, e)) != 0 ||
	    (r = put_text(b, "mosquitto.conf", 0644, put_conf, e)) != 0)
		return r;
	return outdir_finish(o, e);
}

static int
make(struct broker *b, struct err *e)
{
	struct sockaddr_un un;
	int r;

	if ((r = check_options(b, e)) != 0 ||
	    (r = outdir_begin(&b->out, cli_text(b->c, "out"), "crl-urls", cli_flag(b->c, "force"), e)) != 0)
		return r;
	if (strlen(b->out.path) + sizeof("/backend/mqtt.sock") > sizeof(un.sun_path))
		return err_set(e, E_USAGE, "--out: %.80s...: too long for the name of a socket in it; a shorter one?",
		    b->out.path);
	if ((r = choose_user(b, e)) != 0 || (r = op_server_open(&b->server, b->c, e)) != 0 ||
	    (r = read_cas(b, e)) != 0 || (r = make_tls(b, e)) != 0)
		return r;
	return put_all(b, e);
}

static void
tell(const struct broker *b)
{
	AUTO_JSON result = json_object();

	if (!b->c->json) {
		fprintf(b->c->out, "%s: written for %s:%u, to be run by '%s'\nNext: %s/README, or at once: %s/run\n",
		    b->out.path, b->name,
		    (unsigned)b->port, b->user, b->out.path, b->out.path);
		return;
	}
	json_setf(result, "dir", "%s", b->out.path);
	json_setf(result, "name", "%s", b->name);
	(void)json_object_set_new(result, "port", json_integer(b->port));
	json_setf(result, "user", "%s", b->user);
	(void)json_object_set_new(result, "not_after", json_integer(b->not_after));
	cli_print_json(b->c, result);
}

int
mosquitto_write(struct cli *c)
{
	struct broker b = { .c = c };
	struct err e = { 0 };
	int status = EXIT_SUCCESS;

	if (make(&b, &e) == 0)
		tell(&b);
	else
		status = cli_fail(c, &e, b.hint);
	outdir_end(&b.out);
	op_server_clear(&b.server);
	buf_free(&b.cas);
	buf_free(&b.urls);
	buf_free(&b.tls);
	return status;
}
