/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/cloud.c - what tasks are told: services, credentials, trust; and what their failures mean */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "device/identityd/identityd_inside.h"
#include "device/service/slog.h"

#define TRUST_MAX ((size_t)256 * 1024)
#define SLACK_S   30 /* of a task beyond what its HTTP attempts may take */
#define ATTEMPTS  20 /* more than that in a row help nobody: who asks tries again later */
#define TASK_S    3600

json_t *
cloud_local_args(const struct identityd *d)
{
	return json_pack("{s:s, s:s, s:i}", "keyd", d->settings->keyd_socket, "certd", d->settings->certd_socket, "deadline_s",
	    100);
}

static bool
is_file(const char *anchor)
{
	return strncmp(anchor, "file:", 5) == 0;
}

/* Everybody may see anchors, so a key that somebody put beside them makes the file none. */
static int
read_anchors(struct buf *pem, const char *uri, struct err *e)
{
	AUTO_BUF text = BUF_MAX(TRUST_MAX);
	char path[PLACE_MAX];
	int r;

	if ((r = place_from_file_uri(path, uri, e)) != 0 || (r = file_read(&text, path, TRUST_MAX, e)) != 0)
		return r;
	if (strstr(buf_str(&text), "PRIVATE KEY-----") != NULL)
		return err_set(e, E_POLICY, "%s: there is a private key in it", path);
	buf_put_bytes(pem, bytes_of_buf(&text));
	buf_put_str(pem, "\n");
	return 0;
}

/* What cannot be read is told, and trusts nobody. */
void
cloud_trust_files(const struct identityd *d, struct buf *pem)
{
	struct err e;

	for (size_t i = 0; i < d->settings->n_trust; i++)
		if (is_file(d->settings->trust[i]) && read_anchors(pem, d->settings->trust[i], &e) != 0)
			slog(SLOG_WARN, "trusted_certs: %s", e.msg);
}

static void
add_trust(const struct identityd *d, json_t *args)
{
	AUTO_BUF pem = BUF_MAX(TRUST_MAX);
	AUTO_JSON ids = json_array();

	for (size_t i = 0; i < d->settings->n_trust; i++)
		if (!is_file(d->settings->trust[i]))
			json_array_append_new(ids, json_string(d->settings->trust[i]));
	cloud_trust_files(d, &pem);
	json_setf(args, "trust", "%s", buf_str(&pem));
	json_object_set(args, "trust_ids", ids);
	json_object_set_new(args, "trust_system", json_boolean(d->settings->trust_system));
}

json_t *
cloud_args_with(const struct identityd *d, const char *chain, const char *key)
{
	const struct identityd_settings *s = d->settings;
	json_t *args = cloud_local_args(d);
	unsigned attempts = s->cloud_retries < ATTEMPTS ? s->cloud_retries + 1 : ATTEMPTS;
	unsigned most_s = attempts * s->cloud_timeout_s + SLACK_S;

	json_setf(args, "auth", "%s", s->auth == AUTH_IS_X509 ? "x509" : s->auth == AUTH_IS_SAS ? "sas" : "tpm");
	json_setf(args, "chain", "%s", chain);
	json_setf(args, "key", "%s", key);
	json_setf(args, "proxy", "%s", s->proxy);
	json_setf(args, "no_proxy", "%s", s->no_proxy);
	json_object_set_new(args, "attempts", json_integer(attempts));
	json_object_set_new(args, "timeout_s", json_integer(s->cloud_timeout_s));
	json_object_set_new(args, "deadline_s", json_integer(most_s < TASK_S ? most_s : TASK_S));
	add_trust(d, args);
	return args;
}

json_t *
cloud_args(const struct identityd *d)
{
	const struct identityd_settings *s = d->settings;

	if (s->auth == AUTH_IS_X509)
		return cloud_args_with(d, keeper_chain(d->keeper), s->key);
	return cloud_args_with(d, "", s->symmetric_key);
}

int
cloud_err(struct err *e, const struct task_result *r)
{
	if (r->outcome == TASK_DONE)
		return 0;
	if (r->outcome == TASK_NOT_FOUND)
		return err_set(e, E_NOTFOUND, "%s", r->text);
	if (r->outcome == TASK_REFUSED || r->outcome == TASK_DISABLED || r->outcome == TASK_UNTRUSTED)
		return err_set(e, E_AUTH, "%s", r->text);
	return err_set(e, task_outcome_retry(r->outcome) ? E_UNAVAIL : E_IO, "%s", r->text);
}
