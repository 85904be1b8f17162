/* SPDX-License-Identifier: Apache-2.0 */
/* certd/report.c - status and metrics */
#include "device/certd/report.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"

static const char *
method_name(const struct certd_settings *s, const char *id)
{
	static const char *const names[] = {
		[METHOD_NONE] = "", [METHOD_EST] = "est", [METHOD_LOCAL_CA] = "local_ca", [METHOD_SELF_SIGNED] = "self_signed",
	};
	const struct issuance *is = certd_issuance(s, id);

	return names[is != NULL ? is->method : METHOD_NONE];
}

/* What the first certificate of a PEM text says. */
static void
put_leaf(json_t *o, struct bytes pem)
{
	char subject[NAME_TEXT_MAX], serial[2 * CERT_SERIAL_MAX + 1];
	AUTO_BUF der = { 0 };
	struct cert c;
	struct err e;

	if (certs_leaf(&c, &der, pem, &e) != 0) {
		json_setf(o, "error", "%s", e.msg);
		return;
	}
	json_setf(o, "subject", "%s", c.subject_known ? name_text(&c.subject, subject) : "");
	json_setf(o, "serial", "%s", cert_serial_text(c.serial, serial));
	(void)json_object_set_new(o, "not_before", json_integer(c.not_before));
	(void)json_object_set_new(o, "not_after", json_integer(c.not_after));
}

static bool
listed(const json_t *list, const char *member, const char *text)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (strcmp(json_str(v, member, ""), text) == 0)
			return true;
	return false;
}

static void
add_id(json_t *list, const struct certd_settings *s, const char *id)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	char path[PLACE_MAX * 2];
	struct err e;
	json_t *o;
	int r;

	if (id == NULL || listed(list, "id", id) || (r = certs_read(&pem, s, id, &e)) == E_NOTFOUND)
		return;
	o = json_object();
	json_setf(o, "id", "%s", id);
	if (certs_path(path, s, id, NULL) == 0)
		json_setf(o, "path", "%s", path);
	json_setf(o, "method", "%s", method_name(s, id));
	(void)json_object_set_new(o, "preloaded", json_boolean(certd_preloaded(s, id) != NULL));
	if (r == 0)
		put_leaf(o, bytes_of_buf(&pem));
	else
		json_setf(o, "error", "%s", e.msg);
	(void)json_array_append_new(list, o);
}

static void
add_auth(json_t *list, const struct certd_settings *s, const struct est_auth_settings *a)
{
	add_id(list, s, a->identity_cert);
	add_id(list, s, a->bootstrap_cert);
}

static void
add_file(json_t *list, const char *path)
{
	AUTO_BUF pem = BUF_MAX(CERTS_FILE_MAX);
	json_t *o;

	if (listed(list, "path", path) || file_read(&pem, path, CERTS_FILE_MAX, NULL) != 0)
		return;
	o = json_object();
	json_setf(o, "path", "%s", path);
	json_setf(o, "method", "%s", "");
	(void)json_object_set_new(o, "preloaded", json_false());
	put_leaf(o, bytes_of_buf(&pem));
	(void)json_array_append_new(list, o);
}

/* Certificates whose IDs stand in no configuration: those of modules, and others that somebody stored. */
static void
add_files(json_t *list, const struct certd_settings *s)
{
	char path[PLACE_MAX * 2 + NAME_MAX];
	const struct dirent *d;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/certs", s->home);
	dir = opendir(path);
	while (dir != NULL && json_array_size(list) < REPORT_FILES_MAX && (d = readdir(dir)) != NULL) {
		const char *ext = strrchr(d->d_name, '.');

		if (d->d_type != DT_REG || ext == NULL || strcmp(ext, ".cer") != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/certs/%s", s->home, d->d_name);
		add_file(list, path);
	}
	if (dir != NULL)
		(void)closedir(dir);
}

void
report_certificates(json_t *list, const struct certd_settings *s)
{
	add_auth(list, s, &s->est_auth);
	for (size_t i = 0; i < s->n_issuance; i++) {
		add_id(list, s, s->issuance[i].id);
		add_auth(list, s, &s->issuance[i].auth);
	}
	for (size_t i = 0; i < s->n_preloaded; i++)
		add_id(list, s, s->preloaded[i].id);
	add_id(list, s, s->local_ca_cert);
	add_files(list, s);
}

/* A label's value: backslash, quote and line end are the three that Prometheus escapes. */
static void
put_label(struct buf *out, const char *text)
{
	for (; *text != 0; text++) {
		if (*text == '\n')
			buf_put_str(out, "\\n");
		else if (*text == '\\' || *text == '"')
			buf_printf(out, "\\%c", *text);
		else
			buf_put_u8(out, (uint8_t)*text);
	}
}

static void
put_head(struct buf *out, const char *name, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

struct metric {
	const char *name, *member, *help;
	bool skip_zero; /* 0 means "never" or "not known", and a time of 1970 would only mislead */
};

static const struct metric of_certificates[] = {
	{ "estuary_certificate_not_before_seconds", "not_before", "When the certificate becomes valid, Unix time.", true },
	{ "estuary_certificate_not_after_seconds", "not_after", "When the certificate expires, Unix time.", true },
};

static const struct metric of_credentials[] = {
	{ "estuary_renewal_next_seconds", "next_renewal", "When the next renewal is tried, Unix time.", true },
	{ "estuary_renewal_tries", "tries", "Renewals that failed in a row.", false },
	{ "estuary_renewal_last_success_seconds", "last_success", "When the server last took it, Unix time.", true },
	{ "estuary_renewal_disabled", "disabled", "1 when an operator paused the renewal.", false },
	{ "estuary_credential_generation", "generation", "How many key pairs the credential has had.", false },
	{ "estuary_credential_proved", "proved", "1 when the server has taken the current key pair.", false },
};

/* One line for each object that has the member; those without an ID go by the name of their file. */
static void
put_metric(struct buf *out, const struct metric *m, const json_t *list)
{
	const json_t *o;
	size_t i;

	put_head(out, m->name, m->help);
	json_array_foreach(list, i, o) {
		const json_t *v = json_object_get(o, m->member);
		const char *path = json_str(o, "path", "/"), *id = json_str(o, "id", NULL);
		int64_t n = json_is_boolean(v) ? json_is_true(v) : json_int(o, m->member, 0);

		if (v == NULL || (m->skip_zero && n == 0))
			continue;
		buf_printf(out, "%s{%s=\"", m->name, id != NULL ? "id" : "file");
		put_label(out, id != NULL ? id : strrchr(path, '/') + 1);
		buf_printf(out, "\"} %" PRId64 "\n", n);
	}
}

void
report_metrics(struct buf *out, const json_t *certificates, const json_t *credentials, bool configuration_ok)
{
	put_head(out, "estuary_build_info", "1, labelled with the version.");
	buf_printf(out, "estuary_build_info{version=\"%s\"} 1\n", ESTUARY_VERSION);
	put_head(out, "estuary_configuration_ok", "0 when the files could not be taken and an older configuration is in force.");
	buf_printf(out, "estuary_configuration_ok %d\n", configuration_ok ? 1 : 0);
	for (size_t i = 0; i < N_OF(of_certificates); i++)
		put_metric(out, &of_certificates[i], certificates);
	for (size_t i = 0; i < N_OF(of_credentials); i++)
		put_metric(out, &of_credentials[i], credentials);
}
