/* SPDX-License-Identifier: Apache-2.0 */
/* check/host.c - the machine: its name, its clock, our version; and what support people ask first */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "device/check/inside.h"
#include "device/check/sntp.h"

#define NTP_MS      3000
#define NTP_SECONDS 10 /* off by less is close */
#define HOST_LABEL  63 /* RFC 1035 2.3.4 */
#define HOST_MOST   64 /* octets; the original's: a common name has room for no more */
#define SMALL_FILE  ((size_t)64 * 1024)

/* --- name --- */

static bool
is_address(const char *name)
{
	uint8_t a[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, a) == 1 || inet_pton(AF_INET6, name, a) == 1;
}

/* RFC 1035 2.3.1, as RFC 1123 2.1 lets it begin with a digit. */
static bool
is_domain_name(const char *name)
{
	for (const char *p = name;; p++) {
		size_t n = strcspn(p, ".");

		if (n == 0 || n > HOST_LABEL || *p == '-' || p[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!isalnum((unsigned char)p[i]) && p[i] != '-')
				return false;
		p += n;
		if (*p == 0)
			return true;
	}
}

void
host_hostname(struct checking *c, struct check_result *r)
{
	char machine[256] = "";
	const char *name;
	size_t n;

	if (c->identityd == NULL && !c->configured[SERVICE_IDENTITYD]) {
		check_ignore(r, "identityd is not configured");
		return;
	}
	if (c->identityd == NULL || gethostname(machine, sizeof(machine) - 1) != 0) {
		check_skip(r, "identityd's configuration could not be read");
		return;
	}
	name = c->identityd->hostname;
	n = strlen(machine);
	r->info = json_object();
	json_setf(r->info, "config_hostname", "%s", name);
	json_setf(r->info, "machine_hostname", "%s", machine);
	if (is_address(name))
		return;
	if (strncasecmp(name, machine, n) != 0 || (name[n] != 0 && name[n] != '.')) {
		check_error(r,
		    "identityd's configuration has hostname '%s', but this machine's is '%s': set hostname in "
		    "config.toml and run config apply, or rename the machine",
		    name, machine);
		return;
	}
	if (!is_domain_name(name))
		check_warn(r, "hostname '%s' is no domain name (RFC 1035): modules may not be able to connect to it",
		    name);
	if (strlen(name) > HOST_MOST)
		check_warn(r, "hostname '%s' has more than %d characters: it does not fit into certificates", name,
		    HOST_MOST);
}

/* --- version --- */

/* Are "1.5" of "1.5.3" and "1.5" of "1.5" the same? */
static bool
same_minor(const char *a, const char *b)
{
	size_t x = strcspn(a, "."), y = strcspn(b, ".");

	x += a[x] == '.' ? 1 + strcspn(a + x + 1, ".-+~") : 0;
	y += b[y] == '.' ? 1 + strcspn(b + y + 1, ".-+~") : 0;
	return x == y && strncmp(a, b, x) == 0;
}

void
host_version(struct checking *c, struct check_result *r)
{
	const char *expected = c->o->expected_version;

	if (expected == NULL) {
		check_ignore(r,
		    "no --expected-aziot-version, and this program asks nobody on the Internet which is the latest");
		return;
	}
	r->info = json_object();
	json_setf(r->info, "actual_version", "%s", ESTUARY_VERSION);
	json_setf(r->info, "expected_version", "%s", expected);
	if (!same_minor(ESTUARY_VERSION, expected))
		check_warn(r, "installed is %s, and %s is expected", ESTUARY_VERSION, expected);
}

/* --- time --- */

void
host_local_time(struct checking *c, struct check_result *r)
{
	const char *server = c->o->ntp_server != NULL ? c->o->ntp_server : CHECK_NTP_SERVER;
	int64_t ahead, off;
	struct err e;

	r->info = json_object();
	json_setf(r->info, "ntp_server", "%s", server);
	if (sntp_ask(&ahead, server, NTP_MS, &e) != 0) {
		check_warn(r,
		    "the time could not be compared: %s; name a server that this device may reach by --ntp-server",
		    e.msg);
		return;
	}
	off = ahead < 0 ? -ahead : ahead;
	(void)json_object_set_new(r->info, "offset", json_integer(ahead));
	if (off >= NTP_SECONDS)
		check_warn(r,
		    "this machine's clock is %" PRId64
		    " s %s that of %s: certificates and tokens may be refused; set it, "
		    "and keep it so (systemctl enable --now systemd-timesyncd)",
		    off, ahead > 0 ? "ahead of" : "behind", server);
}

/* --- what the machine is --- */

/* A small file's text without its line end; "" when there is none. */
static void
read_small(struct buf *out, const char *path)
{
	AUTO_BUF text = BUF_MAX(SMALL_FILE);

	buf_reset(out);
	if (file_read(&text, path, SMALL_FILE, NULL) != 0)
		return;
	while (text.n != 0 && isspace(text.p[text.n - 1]))
		text.n--;
	text_escape(out, bytes_of_buf(&text));
}

/* KEY="value" of os-release; nothing when it is not there. */
static void
put_release(json_t *o, const char *text, const char *key, const char *member)
{
	size_t n = strlen(key);

	for (const char *line = text; *line != 0; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *value = line + n + 1;
		size_t len;

		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		value += *value == '"' || *value == '\'';
		len = strcspn(value, "\"'\n");
		json_setf(o, member, "%.*s", (int)len, value);
		return;
	}
}

static json_t *
describe_os(void)
{
	AUTO_BUF text = BUF_MAX(SMALL_FILE);
	struct utsname u = { 0 };
	json_t *o = json_object();

	if (file_read(&text, "/etc/os-release", SMALL_FILE, NULL) == 0) {
		put_release(o, buf_str(&text), "ID", "id");
		put_release(o, buf_str(&text), "VERSION_ID", "version_id");
		put_release(o, buf_str(&text), "VARIANT_ID", "variant_id");
		put_release(o, buf_str(&text), "BUILD_ID", "build_id");
	}
	(void)uname(&u);
	json_setf(o, "arch", "%s", u.machine);
	(void)json_object_set_new(o, "bitness", json_integer((json_int_t)sizeof(void *) * 8));
	return o;
}

static json_t *
describe_dmi(void)
{
	AUTO_BUF text = { 0 };
	json_t *o = json_object();

	read_small(&text, "/sys/devices/virtual/dmi/id/product_name");
	json_setf(o, "product", "%s", buf_str(&text));
	read_small(&text, "/sys/devices/virtual/dmi/id/sys_vendor");
	json_setf(o, "vendor", "%s", buf_str(&text));
	return o;
}

static void
put_size(json_t *o, const char *member, uint64_t octets)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double n = (double)octets;
	size_t i = 0;

	for (; n >= 1024 && i + 1 < N_OF(units); i++)
		n /= 1024;
	json_setf(o, member, "%.2f %s", n, units[i]);
}

/* By the kernel's word on the disk, or on the one that a partition is of. */
static const char *
disk_type(dev_t dev)
{
	static const char *const places[] = { "queue", "../queue" };
	AUTO_BUF text = { 0 };
	char path[96];

	for (size_t i = 0; i < N_OF(places) && text.n == 0; i++) {
		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/rotational", major(dev), minor(dev),
		    places[i]);
		read_small(&text, path);
	}
	return text.n == 0 ? "Unknown" : *buf_str(&text) == '0' ? "SSD" : "HDD";
}

static json_t *
describe_disk(const struct mntent *m)
{
	struct statvfs s;
	struct stat st;
	json_t *o;

	if (strncmp(m->mnt_fsname, "/dev/", 5) != 0 || statvfs(m->mnt_dir, &s) != 0 || s.f_blocks == 0 ||
	    stat(m->mnt_dir, &st) != 0)
		return NULL;
	o = json_object();
	json_setf(o, "name", "%s", m->mnt_fsname);
	json_setf(o, "percent_free", "%.1f%%", (double)s.f_bavail * 100 / (double)s.f_blocks);
	put_size(o, "available_space", (uint64_t)s.f_bavail * s.f_frsize);
	put_size(o, "total_space", (uint64_t)s.f_blocks * s.f_frsize);
	json_setf(o, "file_system", "%s", m->mnt_type);
	json_setf(o, "file_type", "%s", disk_type(st.st_dev));
	return o;
}

static json_t *
describe_disks(void)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	json_t *list = json_array(), *o;
	const struct mntent *m;

	while (f != NULL && (m = getmntent(f)) != NULL)
		if ((o = describe_disk(m)) != NULL)
			(void)json_array_append_new(list, o);
	if (f != NULL)
		(void)endmntent(f);
	return list;
}

static json_t *
describe_system(void)
{
	struct sysinfo s = { 0 };
	json_t *o = json_object();

	(void)sysinfo(&s);
	put_size(o, "used_ram", (uint64_t)(s.totalram - s.freeram) * s.mem_unit);
	put_size(o, "total_ram", (uint64_t)s.totalram * s.mem_unit);
	put_size(o, "used_swap", (uint64_t)(s.totalswap - s.freeswap) * s.mem_unit);
	put_size(o, "total_swap", (uint64_t)s.totalswap * s.mem_unit);
	(void)json_object_set_new(o, "disks", describe_disks());
	return o;
}

json_t *
host_describe(const struct checking *c)
{
	const struct identityd_settings *s = c->identityd;
	char now[CLOCK_TEXT_MAX];
	json_t *o = json_object();

	json_setf(o, "now", "%s", clock_text(clock_now(), now));
	(void)json_object_set_new(o, "os", describe_os());
	(void)json_object_set_new(o, "dmi", describe_dmi());
	(void)json_object_set_new(o, "system_info", describe_system());
	/* What iotedge's own checks go on with. */
	if (s != NULL && s->source == SOURCE_IS_MANUAL)
		json_setf(o, "iothub_hostname", "%s", s->hub);
	if (s != NULL && s->gateway[0] != 0)
		json_setf(o, "local_gateway_hostname", "%s", s->gateway);
	return o;
}
