/* SPDX-License-Identifier: Apache-2.0 */
/* identityd/report.c - how the Identity Service stands, for people and their tools */
#include "core/base/clock.h"
#include "device/identityd/identityd_inside.h"

static json_t *
configuration(const struct identityd *d)
{
	json_t *v = json_object(), *files = json_array();

	(void)json_array_append_new(files, json_string(d->daemon.place.config_file));
	(void)json_array_append_new(files, json_string(d->daemon.place.config_dir));
	(void)json_object_set_new(v, "files", files);
	(void)json_object_set_new(v, "loaded_at", json_integer(d->daemon.loaded_at));
	json_setf(v, "last_error", "%s", d->daemon.last_error.code != 0 ? d->daemon.last_error.msg : "");
	return v;
}

json_t *
report_status(const struct identityd *d)
{
	json_t *v = json_object();

	json_setf(v, "version", "%s", ESTUARY_VERSION);
	(void)json_object_set_new(v, "time", json_integer(clock_now()));
	(void)json_object_set_new(v, "provisioning", provisioner_report(d->provisioner));
	(void)json_object_set_new(v, "certificate", keeper_report(d->keeper));
	(void)json_object_set_new(v, "modules", registry_report(d->registry));
	(void)json_object_set_new(v, "configuration", configuration(d));
	return v;
}
