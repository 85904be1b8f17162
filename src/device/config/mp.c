/* SPDX-License-Identifier: Apache-2.0 */
/* config/mp.c - manual provisioning */
#include "device/config/mp.h"

#include <unistd.h>

#include "core/base/file.h"
#include "core/codec/toml_print.h"
#include "device/config/connection.h"

int
mp_text(struct buf *out, const char *connection_string, struct err *e)
{
	static const char *const empty[] = { "aziot_keys", "preloaded_keys", "cert_issuance",
		"preloaded_certs", "tpm" };
	struct connection c;
	int r = connection_parse(&c, connection_string, e);

	if (r != 0)
		return r;
	connection_clear(&c);
	toml_print_table(out, "provisioning", NULL);
	toml_print_str(out, "source", "manual");
	toml_print_str(out, "connection_string", connection_string);
	for (size_t i = 0; i < N_OF(empty); i++)
		toml_print_table(out, empty[i], NULL);
	return 0;
}

int
mp_write(const char *path, struct bytes text, bool force, struct err *e)
{
	if (!force && access(path, F_OK) == 0)
		return err_set(e, E_EXISTS,
		    "%s: is there already; --force replaces it, config apply puts it into effect", path);
	return file_write(path, text, 0600, e);
}
