/* SPDX-License-Identifier: Apache-2.0 */
/* agent/system_status.c - which services there are, here or below a prefix, and how each is */
#include <stdio.h>
#include <string.h>

#include "core/sys/spawn.h"
#include "device/agent/system.h"
#include "device/config/restart.h"

/* --- which services --- */

int
system_find(struct system *out, const struct cli *c, struct err *e)
{
	static const char *const known[] = { "keyd", "certd", "identityd" };
	char dir[SYSTEM_PROGRAM_MAX / 2];
	size_t n = 0;
	int r;

	*out = (struct system){ 0 };
	if ((r = place_find(&out->place, "keyd", cli_text(c, "prefix"), e)) != 0 ||
	    (r = spawn_self_dir(dir, sizeof(dir), e)) != 0)
		return r;
	(void)snprintf(out->program, sizeof(out->program), "%s/estuary-agent", dir);
	out->processes = (struct detached){ .prefix = out->place.prefix, .program = out->program };
	for (size_t i = 0; i < N_OF(known); i++)
		if (verb_find(c->program, NULL, known[i]) != NULL)
			out->processes.services[n++] = known[i];
	return 0;
}

bool
system_is_prefix(const struct system *s)
{
	return s->place.prefix[0] != 0;
}

int
system_need_systemd(struct err *e)
{
	if (restart_possible())
		return 0;
	return err_set(e, E_UNAVAIL, "systemd does not run this machine: start the services by other means "
	    "(aziot-keyd, aziot-certd, aziot-identityd), or give --prefix DIR for services of a directory");
}

const char *const *
system_services(const struct cli *c)
{
	bool edge = strcmp(c->program->name, "aziotctl") != 0;

	return edge ? restart_order : restart_order + 1; /* edged is the first */
}

/* --- status --- */

static json_t *
entry(const char *service, const char *state, bool well)
{
	json_t *o = json_object();

	json_setf(o, "name", "aziot-%s", service);
	json_setf(o, "state", "%s", state);
	(void)json_object_set_new(o, "well", json_boolean(well));
	return o;
}

static int
status_of_process(json_t **out, const struct system *s, const char *service, struct err *e)
{
	static const char *const words[] = {
		[DETACHED_DOWN] = "Down - stopped", [DETACHED_DIED] = "Down - died",
		[DETACHED_SILENT] = "Down - not answering", [DETACHED_RUNNING] = "Running", [DETACHED_FOREIGN] = "Running",
	};
	enum detached_state state;
	struct place p;
	pid_t pid;
	int r;
	bool bare;

	if ((r = place_find(&p, service, s->place.prefix, e)) != 0 || (r = detached_look(&state, &pid, &p, e)) != 0)
		return r;
	bare = state == DETACHED_DOWN && !detached_is_configured(&p);
	*out = entry(service, bare ? "Down - not configured" : words[state],
	    state == DETACHED_RUNNING || state == DETACHED_FOREIGN);
	if (pid != 0)
		(void)json_object_set_new(*out, "pid", json_integer(pid));
	return 0;
}

static int
status_of_prefix(json_t *list, const struct system *s, struct err *e)
{
	for (size_t i = 0; s->processes.services[i] != NULL; i++) {
		json_t *o = NULL;
		int r = status_of_process(&o, s, s->processes.services[i], e);

		if (r != 0)
			return r;
		(void)json_array_append_new(list, o);
	}
	return 0;
}

static int
status_of_units(json_t *list, const struct cli *c, struct err *e)
{
	int r = system_need_systemd(e);

	for (const char *const *at = system_services(c); r == 0 && *at != NULL; at++) {
		AUTO_BUF state = { 0 };
		bool well;

		if (!restart_has_unit(*at, restart_systemctl, NULL))
			continue;
		well = restart_state(&state, *at, restart_systemctl, NULL);
		(void)json_array_append_new(list, entry(*at, buf_str(&state), well));
	}
	return r;
}

int
system_status(json_t **out, bool *well, const struct cli *c, struct err *e)
{
	AUTO_JSON o = json_object();
	json_t *list = json_array();
	struct system s;
	int r = system_find(&s, c, e);

	(void)json_object_set_new(o, "services", list);
	if (r == 0)
		r = system_is_prefix(&s) ? status_of_prefix(list, &s, e) : status_of_units(list, c, e);
	if (r == 0 && json_array_size(list) == 0)
		r = err_set(e, E_NOTFOUND, "none of the services is installed as a unit");
	if (r != 0)
		return r;
	*well = true;
	for (size_t i = 0; i < json_array_size(list); i++)
		*well = *well && json_flag(json_array_get(list, i), "well", false);
	*out = TAKE(o);
	return 0;
}
