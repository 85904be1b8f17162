/* SPDX-License-Identifier: Apache-2.0 */
/* agent/ask.c - one request to a service, its errors in the service's own words */
#include "device/agent/ask.h"

#include <string.h>

#include "core/net/local.h"
#include "device/service/api.h"
#include "device/service/place.h"

#define ASK_MS 10000u

/* Is the thing that was asked for not there?  The original's API has no status of its own for that. */
static bool
is_missing(unsigned status, const char *said)
{
	return status == 404 || strstr(said, "not found") != NULL || strstr(said, "there is none") != NULL;
}

/* The service's words in one line: its causes stand in lines of their own. */
static void
put_words(struct buf *out, const char *said)
{
	static const char cause[] = "\ncaused by: ";
	const char *next;

	for (; (next = strstr(said, cause)) != NULL; said = next + sizeof(cause) - 1) {
		buf_put(out, said, (size_t)(next - said));
		buf_put_str(out, ": ");
	}
	buf_put_str(out, said);
}

static int
refuse(const struct local_answer *a, const char *service, struct err *e)
{
	AUTO_JSON v = NULL;
	AUTO_BUF words = { 0 };
	const char *said = "no reason given";
	enum err_code code = E_IO;

	if (a->json && json_parse(&v, bytes_of_buf(&a->body), NULL) == 0)
		said = json_str(v, "message", said);
	if (a->status == 401)
		code = E_AUTH;
	else if (a->status == 429 || a->status == 503)
		code = E_UNAVAIL;
	else if (is_missing(a->status, said))
		code = E_NOTFOUND;
	else if (a->status >= 400 && a->status < 500)
		code = E_USAGE;
	put_words(&words, said);
	return err_set(e, code, "%s: %s (status %u)", service, buf_str(&words), a->status);
}

int
ask(json_t **out, struct buf *text, const struct cli *c, const char *service, const char *method, const char *path,
    const json_t *body, struct err *e)
{
	__attribute__((cleanup(local_clear))) struct local_answer a = { 0 };
	AUTO_BUF target = { 0 };
	AUTO_BUF sent = { 0 };
	struct place p;
	int r;

	if ((r = place_find(&p, service, cli_text(c, "prefix"), e)) != 0)
		return r;
	buf_printf(&target, "%s?api-version=%s", path, API_VERSION_OWN);
	if (body != NULL)
		json_print(&sent, body, false);
	if ((r = local_run(&a, p.socket, method, buf_str(&target), bytes_of_buf(&sent), ASK_MS, e)) != 0)
		return err_prefix(e, r, "aziot-%s", service);
	if (a.status < 200 || a.status > 299)
		return refuse(&a, service, e);
	if (text != NULL)
		buf_put_bytes(text, bytes_of_buf(&a.body));
	else if (a.status == 204)
		*out = NULL;
	else if ((r = json_parse(out, bytes_of_buf(&a.body), e)) != 0)
		return err_prefix(e, r, "aziot-%s's answer", service);
	return 0;
}

const char *
ask_path(struct buf *out, const char *before, const char *id)
{
	buf_put_str(out, before);
	local_put_segment(out, id);
	return buf_str(out);
}

const char *
ask_hint(const struct err *e)
{
	if (e->code == E_UNAVAIL)
		return "is the service running? systemctl status aziot-certd aziot-keyd aziot-identityd, or "
		    "estuary-agent certd --prefix DIR";
	if (e->code == E_AUTH)
		return "run it as root, or as a user that a [[principal]] entry names";
	return NULL;
}
