/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/state.c - the state files: written whole and in order, read as if anybody had written them */
#include "device/identityd/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/codec/toml_print.h"
#include "core/pki/cert.h"

#define STATE_FILE_MAX ((size_t)256 * 1024)
#define PATH_ROOM      (PLACE_MAX + 2 * STEM_MAX + 32)
#define DIR_NAME_ROOM  (4 * SHA256_LEN + 2)
#define FILE_MODE      0600
#define HALF_SUFFIX    21u
#define DIR_MODE       0700

bool
identity_device_equal(const struct identity_device *a, const struct identity_device *b)
{
	return strcmp(a->hub, b->hub) == 0 && strcmp(a->gateway, b->gateway) == 0 && strcmp(a->device, b->device) == 0;
}

int
state_open(const char *home, struct err *e)
{
	char path[PATH_ROOM];
	int r;

	if ((r = file_mkdir_all(home, 0755, DIR_MODE, e)) != 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/modules", home);
	if ((r = file_mkdir(path, DIR_MODE, e)) != 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/estuary", home);
	return file_mkdir(path, DIR_MODE, e);
}

/* file_write()'s temporary name: ".", 16 hex digits, ".tmp" at the end. */
static bool
is_half(const char *name)
{
	const char *dot;
	uint8_t tag[8];
	char hex[2 * sizeof(tag) + 1];
	size_t n = strlen(name);

	if (n <= HALF_SUFFIX)
		return false;
	dot = name + n - HALF_SUFFIX;
	(void)snprintf(hex, sizeof(hex), "%.16s", dot + 1);
	return *dot == '.' && strcmp(name + n - 4, ".tmp") == 0 && text_unhex(tag, sizeof(tag), hex);
}

static void
sweep(const char *path, unsigned depth)
{
	char below[PATH_ROOM];
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (entry->d_type == DT_REG && is_half(entry->d_name)) {
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
		} else if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && depth > 0) {
			(void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
			sweep(below, depth - 1);
		}
	}
	if (dir != NULL)
		(void)closedir(dir);
}

void
state_sweep(const char *home)
{
	sweep(home, 2); /* modules/DEVICE */
}

static int
remove_file(const char *path, struct err *e)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s: could not be removed", path);
	return 0;
}

/* --- device_info --- */

static int
member(char *out, size_t size, const struct toml *doc, const char *key, struct err *e)
{
	const char *text = NULL;
	int r = settings_str(&text, doc, key, NULL, e);

	if (r != 0)
		return r;
	if (text == NULL || *text == 0 || strlen(text) >= size)
		return err_set(e, E_FORMAT, "%s: '%s' is missing or too long", toml_file(doc), key);
	text_copy(out, size, text);
	return 0;
}

int
state_read_device(struct identity_device *out, const char *home, struct err *e)
{
	AUTO_BUF text = BUF_MAX(STATE_FILE_MAX);
	AUTO(toml) doc = NULL;
	char path[PATH_ROOM];
	int r;

	(void)snprintf(path, sizeof(path), "%s/device_info", home);
	if ((r = file_read(&text, path, STATE_FILE_MAX, e)) != 0)
		return r;
	if (strncmp(buf_str(&text), "unprovisioned", 13) == 0)
		return err_set(e, E_NOTFOUND, "%s: the device is not provisioned", path);
	if ((r = toml_parse(&doc, path, bytes_of_buf(&text), e)) != 0 ||
	    (r = member(out->hub, sizeof(out->hub), doc, "hub_name", e)) != 0 ||
	    (r = member(out->device, sizeof(out->device), doc, "device_id", e)) != 0)
		return r;
	if (toml_get(doc, "local_gateway_hostname") == NULL) {
		text_copy(out->gateway, sizeof(out->gateway), out->hub);
		return 0;
	}
	return member(out->gateway, sizeof(out->gateway), doc, "local_gateway_hostname", e);
}

int
state_write_device(const char *home, const struct identity_device *d, struct err *e)
{
	AUTO_BUF text = BUF_MAX(STATE_FILE_MAX);
	char path[PATH_ROOM];

	toml_print_str(&text, "hub_name", d->hub);
	toml_print_str(&text, "local_gateway_hostname", d->gateway);
	toml_print_str(&text, "device_id", d->device);
	(void)snprintf(path, sizeof(path), "%s/device_info", home);
	return file_write(path, bytes_of_buf(&text), FILE_MODE, e);
}

/* --- prev_state --- */

int
state_write_previous(const char *home, const struct toml *doc, struct err *e)
{
	AUTO_BUF text = BUF_MAX(TOML_MAX);
	char path[PATH_ROOM];
	int r;

	toml_print_members(&text, doc, "");
	(void)snprintf(path, sizeof(path), "%s/prev_state", home);
	if ((r = buf_check(&text, "prev_state", e)) != 0)
		return r;
	return file_write(path, bytes_of_buf(&text), FILE_MODE, e);
}

static bool
is_module(const struct toml *principal)
{
	const struct toml *types = toml_get(principal, "idtype");

	if (types == NULL || toml_kind(types) != TOML_ARRAY)
		return false;
	for (size_t i = 0; i < toml_count(types); i++)
		if (toml_kind(toml_at(types, i)) == TOML_STRING && strcmp(toml_string(toml_at(types, i)), "module") == 0)
			return true;
	return false;
}

void
state_previous_modules(json_t **out, const char *home)
{
	AUTO_BUF text = BUF_MAX(TOML_MAX);
	AUTO(toml) doc = NULL;
	const struct toml *all;
	char path[PATH_ROOM];

	*out = json_array();
	(void)snprintf(path, sizeof(path), "%s/prev_state", home);
	if (file_read(&text, path, TOML_MAX, NULL) != 0 || toml_parse(&doc, path, bytes_of_buf(&text), NULL) != 0)
		return;
	all = toml_get(doc, "principal");
	for (size_t i = 0; all != NULL && toml_kind(all) == TOML_ARRAY && i < toml_count(all); i++) {
		const struct toml *v = toml_at(all, i);
		const char *name = NULL;

		if (toml_kind(v) == TOML_TABLE && is_module(v) && settings_str(&name, v, "name", NULL, NULL) == 0 && name != NULL)
			json_array_append_new(*out, json_string(name));
	}
}

/* --- modules/ --- */

static void
hash_of(char out[2 * SHA256_LEN + 1], const char *text)
{
	uint8_t digest[SHA256_LEN];

	sha256(digest, bytes_of(text));
	text_hex(out, (struct bytes){ digest, sizeof(digest) });
}

static void
device_dir(char out[DIR_NAME_ROOM], const struct identity_device *d)
{
	char hub[2 * SHA256_LEN + 1], device[2 * SHA256_LEN + 1];

	hash_of(hub, d->hub);
	hash_of(device, d->device);
	(void)snprintf(out, DIR_NAME_ROOM, "%s-%s", hub, device);
}

static int
module_path(char out[PATH_ROOM], const char *home, const struct identity_device *d, const char *module, struct err *e)
{
	char dir[DIR_NAME_ROOM], stem[STEM_MAX];
	int r;

	if ((r = stem_check_id(module, e)) != 0 || (r = stem_name(stem, module, "", e)) != 0)
		return r;
	device_dir(dir, d);
	(void)snprintf(out, PATH_ROOM, "%s/modules/%s/%s", home, dir, stem);
	return 0;
}

int
state_module_put(const char *home, const struct identity_device *d, const json_t *module, struct err *e)
{
	AUTO_JSON kept = json_copy((json_t *)(uintptr_t)module);
	AUTO_BUF text = BUF_MAX(STATE_FILE_MAX);
	char path[PATH_ROOM], *slash;
	int r;

	if ((r = module_path(path, home, d, json_str(module, "moduleId", ""), e)) != 0)
		return r;
	(void)json_object_del(kept, "authentication");
	json_print(&text, kept, false);
	if ((r = buf_check(&text, "module", e)) != 0 || (r = state_open(home, e)) != 0)
		return r;
	slash = strrchr(path, '/');
	*slash = 0;
	if ((r = file_mkdir(path, DIR_MODE, e)) != 0)
		return r;
	*slash = '/';
	return file_write(path, bytes_of_buf(&text), FILE_MODE, e);
}

int
state_module_get(json_t **out, const char *home, const struct identity_device *d, const char *module, struct err *e)
{
	AUTO_BUF text = BUF_MAX(STATE_FILE_MAX);
	AUTO_JSON v = NULL;
	char path[PATH_ROOM];
	int r;

	if ((r = module_path(path, home, d, module, e)) != 0 || (r = file_read(&text, path, STATE_FILE_MAX, e)) != 0)
		return r;
	if (json_parse(&v, bytes_of_buf(&text), NULL) != 0 || strcmp(json_str(v, "moduleId", ""), module) != 0)
		return err_set(e, E_NOTFOUND, "%s: is not what was remembered of module '%s'", path, module);
	*out = TAKE(v);
	return 0;
}

int
state_module_remove(const char *home, const struct identity_device *d, const char *module, struct err *e)
{
	char path[PATH_ROOM];
	int r = module_path(path, home, d, module, e);

	return r != 0 ? r : remove_file(path, e);
}

static void
remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_type == DT_REG)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

void
state_forget_others(const char *home, const struct identity_device *d)
{
	char path[PATH_ROOM], keep[DIR_NAME_ROOM];
	struct dirent *entry;
	DIR *dir;

	device_dir(keep, d);
	(void)snprintf(path, sizeof(path), "%s/modules", home);
	if ((dir = opendir(path)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && strcmp(entry->d_name, keep) != 0) {
			(void)snprintf(path, sizeof(path), "%s/modules/%s", home, entry->d_name);
			remove_dir(path);
		}
	(void)closedir(dir);
}

/* --- our own journals --- */

static void
journal_path(char out[PATH_ROOM], const char *home, const char *name)
{
	(void)snprintf(out, PATH_ROOM, "%s/estuary/%s.json", home, name);
}

int
state_journal_put(const char *home, const char *name, const json_t *v, struct err *e)
{
	AUTO_BUF text = BUF_MAX(STATE_FILE_MAX);
	char path[PATH_ROOM];
	int r;

	json_print(&text, v, false);
	if ((r = buf_check(&text, name, e)) != 0 || (r = state_open(home, e)) != 0)
		return r;
	journal_path(path, home, name);
	return file_write(path, bytes_of_buf(&text), FILE_MODE, e);
}

int
state_journal_get(json_t **out, const char *home, const char *name, struct err *e)
{
	AUTO_BUF text = BUF_MAX(STATE_FILE_MAX);
	AUTO_JSON v = NULL;
	char path[PATH_ROOM];
	int r;

	journal_path(path, home, name);
	if ((r = file_read(&text, path, STATE_FILE_MAX, e)) != 0 || (r = json_parse(&v, bytes_of_buf(&text), e)) != 0)
		return r;
	if (!json_is_object(v))
		return err_set(e, E_FORMAT, "%s: is no object", path);
	*out = TAKE(v);
	return 0;
}

int
state_journal_remove(const char *home, const char *name, struct err *e)
{
	char path[PATH_ROOM];

	journal_path(path, home, name);
	return remove_file(path, e);
}
