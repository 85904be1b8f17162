/* SPDX-License-Identifier: Apache-2.0 */
/* certd/generation.c - a credential's state as JSON, replaced as a whole at every step of a rotation */
#include "device/certd/generation.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/rnd.h"
#include "core/base/text.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"

#define FORMAT      1
#define STATE_MODE  0600
#define CERT_MODE   0644
#define DIR_MODE    0700
#define SUBJECT_MAX ((size_t)8192)

static const char *const state_names[GEN_STATE_COUNT] = {
	[GEN_IDLE] = "idle", [GEN_KEYGEN] = "keygen", [GEN_ASKED] = "asked", [GEN_STAGED] = "staged",
	[GEN_SWITCHING] = "switching", [GEN_SWITCHED] = "switched",
};
static const char *const extensions[] = {
	[GEN_STATE_FILE] = ".json", [GEN_NEW_FILE] = ".new.cer", [GEN_OLD_FILE] = ".old.cer",
};

const char *
generation_state_name(enum generation_state s)
{
	return (unsigned)s < GEN_STATE_COUNT ? state_names[s] : "?";
}

static int
directory(char out[PLACE_MAX * 2], const struct certd_settings *s, struct err *e)
{
	int n = snprintf(out, PLACE_MAX * 2, "%s/renewal", s->home);

	return n > 0 && n < PLACE_MAX * 2 ? 0 : err_set(e, E_TOOBIG, "%s: too long for a path", s->home);
}

int
generation_path(char out[PLACE_MAX * 2], const struct certd_settings *s, const char *id, enum generation_file f,
    struct err *e)
{
	char dir[PLACE_MAX * 2], stem[STEM_MAX];
	int r = directory(dir, s, e), n;

	if (r == 0)
		r = stem_name(stem, id, extensions[f], e);
	if (r != 0)
		return r;
	n = snprintf(out, PLACE_MAX * 2, "%s/%s", dir, stem);
	return n > 0 && n < PLACE_MAX * 2 ? 0 : err_set(e, E_TOOBIG, "%s: too long for a path", dir);
}

void
generation_begin(struct generation *g, const char *id, const char *key_id)
{
	*g = (struct generation){ 0 };
	(void)snprintf(g->id, sizeof(g->id), "%s", id);
	(void)snprintf(g->key_id, sizeof(g->key_id), "%s", key_id);
	rnd_bytes(&g->jitter, sizeof(g->jitter));
}

static json_t *
error_json(const struct generation_error *why)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "time", json_integer(why->time));
	json_setf(o, "outcome", "%s", why->outcome);
	json_setf(o, "check", "%s", why->check);
	json_setf(o, "text", "%s", why->text);
	json_setf(o, "request_id", "%s", why->request_id);
	(void)json_object_set_new(o, "http_status", json_integer(why->http_status));
	return o;
}

void
generation_encode(struct buf *out, const struct generation *g)
{
	static const uint8_t none[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];
	AUTO_JSON o = json_object();

	(void)json_object_set_new(o, "format", json_integer(FORMAT));
	(void)json_object_set_new(o, "id", json_string(g->id));
	(void)json_object_set_new(o, "key_id", json_string(g->key_id));
	(void)json_object_set_new(o, "state", json_string(generation_state_name(g->state)));
	(void)json_object_set_new(o, "generation", json_integer((json_int_t)g->number));
	(void)json_object_set_new(o, "jitter", json_integer(g->jitter));
	(void)json_object_set_new(o, "rotate", json_boolean(g->rotate));
	(void)json_object_set_new(o, "proved", json_boolean(g->proved));
	(void)json_object_set_new(o, "taken_once", json_boolean(g->taken_once));
	(void)json_object_set_new(o, "back", json_boolean(g->back));
	(void)json_object_set_new(o, "disabled", json_boolean(g->disabled));
	(void)json_object_set_new(o, "refused", json_integer(g->refused));
	(void)json_object_set_new(o, "tries", json_integer(g->tries));
	(void)json_object_set_new(o, "setbacks", json_integer(g->setbacks));
	(void)json_object_set_new(o, "next_try", json_integer(g->next_try));
	(void)json_object_set_new(o, "good_time", json_integer(g->good_time));
	text_hex(hex, (struct bytes){ g->sha256, SHA256_LEN });
	(void)json_object_set_new(o, "sha256", json_string(hex));
	if (memcmp(g->birth, none, SHA256_LEN) != 0) {
		text_hex(hex, (struct bytes){ g->birth, SHA256_LEN });
		(void)json_object_set_new(o, "birth", json_string(hex));
	}
	json_setf(o, "url", "%s", g->url);
	if (g->subject.n > 0) {
		AUTO_BUF der = BUF_MAX(SUBJECT_MAX);

		name_encode(&der, &g->subject);
		(void)json_object_set_new(o, "subject", json_base64(bytes_of_buf(&der)));
	}
	if (g->error.time != 0)
		(void)json_object_set_new(o, "error", error_json(&g->error));
	json_print(out, o, true);
	buf_put_str(out, "\n");
}

/* A note for people: what does not fit is cut. */
static void
take_note(char *out, size_t size, const json_t *o, const char *key)
{
	(void)snprintf(out, size, "%s", json_str(o, key, ""));
}

/* A text member that must fit; an absent one is "". */
static int
take_text(char *out, size_t size, const json_t *o, const char *key, struct err *e)
{
	const char *text = json_str(o, key, "");

	if (strlen(text) >= size)
		return err_set(e, E_FORMAT, "%s: too long", key);
	(void)snprintf(out, size, "%s", text);
	return 0;
}

static int
take_number(int64_t *out, const json_t *o, const char *key, int64_t most, struct err *e)
{
	*out = json_int(o, key, -1);
	if (*out < 0 || *out > most)
		return err_set(e, E_FORMAT, "%s: not a number from 0 to %lld", key, (long long)most);
	return 0;
}

static int
take_error(struct generation_error *out, const json_t *o, struct err *e)
{
	int64_t status = 0;

	if (o == NULL)
		return 0;
	if (take_number(&out->time, o, "time", INT64_MAX, e) != 0 ||
	    take_number(&status, o, "http_status", 999, e) != 0)
		return E_FORMAT;
	take_note(out->outcome, sizeof(out->outcome), o, "outcome");
	take_note(out->check, sizeof(out->check), o, "check");
	take_note(out->text, sizeof(out->text), o, "text"); /* escaped when it was cut within a letter */
	take_note(out->request_id, sizeof(out->request_id), o, "request_id");
	out->http_status = (unsigned)status;
	return 0;
}

static int
take_state(enum generation_state *out, const json_t *o, struct err *e)
{
	const char *name = json_str(o, "state", "");

	for (size_t i = 0; i < GEN_STATE_COUNT; i++) {
		if (strcmp(name, state_names[i]) != 0)
			continue;
		*out = (enum generation_state)i;
		return 0;
	}
	return err_set(e, E_FORMAT, "state: '%.20s' is none", name);
}

static int
take_subject(struct name *out, const json_t *o, struct err *e)
{
	const char *text = json_str(o, "subject", "");
	AUTO_BUF der = BUF_MAX(SUBJECT_MAX);

	if (text[0] == 0)
		return 0;
	if (base64_decode(&der, bytes_of(text), e) != 0 || name_parse(out, bytes_of_buf(&der), e) != 0)
		return err_prefix(e, E_FORMAT, "subject");
	return 0;
}

int
generation_decode(struct generation *out, struct bytes text, struct err *e)
{
	AUTO_JSON o = NULL;
	struct generation g = { 0 };
	int64_t format, number, jitter, refused, tries, setbacks;

	if (json_parse(&o, text, e) != 0)
		return E_FORMAT;
	if (take_number(&format, o, "format", FORMAT, e) != 0 ||
	    take_text(g.id, sizeof(g.id), o, "id", e) != 0 ||
	    take_text(g.key_id, sizeof(g.key_id), o, "key_id", e) != 0 ||
	    take_state(&g.state, o, e) != 0 ||
	    take_number(&number, o, "generation", INT64_MAX, e) != 0 ||
	    take_number(&jitter, o, "jitter", UINT32_MAX, e) != 0 ||
	    take_number(&refused, o, "refused", UINT32_MAX, e) != 0 ||
	    take_number(&tries, o, "tries", UINT32_MAX, e) != 0 ||
	    take_number(&setbacks, o, "setbacks", UINT32_MAX, e) != 0 ||
	    take_number(&g.next_try, o, "next_try", INT64_MAX, e) != 0 ||
	    take_number(&g.good_time, o, "good_time", INT64_MAX, e) != 0 ||
	    take_text(g.url, sizeof(g.url), o, "url", e) != 0 ||
	    take_subject(&g.subject, o, e) != 0 ||
	    take_error(&g.error, json_object_get(o, "error"), e) != 0)
		return E_FORMAT;
	if (!text_unhex(g.sha256, SHA256_LEN, json_str(o, "sha256", "")))
		return err_set(e, E_FORMAT, "sha256: 64 hex digits are needed");
	if (json_object_get(o, "birth") != NULL && !text_unhex(g.birth, SHA256_LEN, json_str(o, "birth", "")))
		return err_set(e, E_FORMAT, "birth: 64 hex digits are needed");
	if (stem_check_id(g.id, e) != 0 || stem_check_id(g.key_id, e) != 0)
		return E_FORMAT;
	g.number = (uint64_t)number;
	g.jitter = (uint32_t)jitter;
	g.refused = (unsigned)refused;
	g.tries = (unsigned)tries;
	g.setbacks = (unsigned)setbacks;
	g.rotate = json_flag(o, "rotate", false);
	g.proved = json_flag(o, "proved", false);
	g.taken_once = json_flag(o, "taken_once", false);
	g.back = json_flag(o, "back", false);
	g.disabled = json_flag(o, "disabled", false);
	*out = g;
	return 0;
}

/* Out of the way, not away: somebody may want to see what happened. */
static void
quarantine(const char *path)
{
	char aside[PLACE_MAX * 2 + 16];

	(void)snprintf(aside, sizeof(aside), "%s.corrupt", path);
	(void)rename(path, aside);
}

int
generation_load(struct generation *g, const struct certd_settings *s, const char *id, struct err *e)
{
	AUTO_BUF text = BUF_MAX(GENERATION_FILE_MAX);
	char path[PLACE_MAX * 2];
	struct generation got;
	int r = generation_path(path, s, id, GEN_STATE_FILE, e);

	if (r != 0)
		return r;
	r = file_read(&text, path, GENERATION_FILE_MAX, e);
	if (r != 0 && r != E_TOOBIG)
		return r;
	if (r == 0)
		r = generation_decode(&got, bytes_of_buf(&text), e);
	if (r == 0 && strcmp(got.id, id) != 0)
		r = err_set(e, E_FORMAT, "it is the state of '%s'", got.id);
	if (r == 0) {
		*g = got;
		return 0;
	}
	quarantine(path);
	(void)err_prefix(e, E_FORMAT, "%s (kept as .corrupt)", path);
	return E_FORMAT;
}

static int
replace(const struct certd_settings *s, const char *id, enum generation_file f, struct bytes content, mode_t mode,
    struct err *e)
{
	char dir[PLACE_MAX * 2], path[PLACE_MAX * 2];
	int r = directory(dir, s, e);

	if (r == 0)
		r = generation_path(path, s, id, f, e);
	if (r == 0)
		r = file_mkdir(dir, DIR_MODE, e);
	if (r == 0)
		r = file_write(path, content, mode, e);
	return r;
}

int
generation_save(const struct generation *g, const struct certd_settings *s, struct err *e)
{
	AUTO_BUF text = BUF_MAX(GENERATION_FILE_MAX);

	generation_encode(&text, g);
	if (buf_check(&text, "state of a renewal", e) != 0)
		return E_TOOBIG;
	return replace(s, g->id, GEN_STATE_FILE, bytes_of_buf(&text), STATE_MODE, e);
}

int
generation_read_cert(struct buf *out, const struct certd_settings *s, const char *id, enum generation_file f,
    struct err *e)
{
	char path[PLACE_MAX * 2];
	int r = generation_path(path, s, id, f, e);

	return r != 0 ? r : file_read(out, path, CERTS_FILE_MAX, e);
}

int
generation_write_cert(const struct certd_settings *s, const char *id, enum generation_file f, struct bytes pem,
    struct err *e)
{
	return replace(s, id, f, pem, CERT_MODE, e);
}

void
generation_drop_cert(const struct certd_settings *s, const char *id, enum generation_file f)
{
	char path[PLACE_MAX * 2];
	struct err why;

	if (generation_path(path, s, id, f, &why) == 0)
		(void)unlink(path);
}

static void
sweep(const char *dir, const char *suffix)
{
	DIR *open = opendir(dir);
	const struct dirent *d;

	if (open == NULL)
		return;
	while ((d = readdir(open)) != NULL) {
		size_t n = strlen(d->d_name);

		if (n > 4 && strcmp(d->d_name + n - 4, ".tmp") == 0 && strstr(d->d_name, suffix) != NULL)
			(void)unlinkat(dirfd(open), d->d_name, 0);
	}
	(void)closedir(open);
}

void
generation_sweep(const struct certd_settings *s)
{
	char dir[PLACE_MAX * 2];

	if (directory(dir, s, NULL) == 0)
		sweep(dir, ".");
	if (snprintf(dir, sizeof(dir), "%s/certs", s->home) < (int)sizeof(dir))
		sweep(dir, ".cer.");
}
