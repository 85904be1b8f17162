/* SPDX-License-Identifier: Apache-2.0 */
/* fleet/trace.c - the rules that a decision went through */
#include "server/fleet/trace.h"

#include <stdio.h>
#include <string.h>

#include "core/base/text.h"

#define TEXT_MAX 2048

static const char *const marks[] = { [TRACE_OK] = "ok", [TRACE_NO] = "no", [TRACE_NOTE] = "note" };

static const struct { const char *reason, *hint; } hints[] = {
	{ "auth.missing", "present what the label takes: see 'estuary label show LABEL', row accept" },
	{ "auth.wrong", "check user and password; 'estuary credential list' shows what there is" },
	{ "auth.throttled", "too many wrong tries from this address: wait as long as Retry-After says" },
	{ "auth.expired", "make a new one with 'estuary credential add'" },
	{ "auth.other-label", "the credential is bound to another label: see 'estuary credential show ID'" },
	{ "auth.malformed", "send one Authorization field: Basic and base64 of user:password" },
	{ "auth.unsupported", "this server takes Basic only; use Basic or a client certificate" },
	{ "code.used", "a one-time code works once; make a new one with 'estuary credential add --kind code'" },
	{ "secret.wrong", "check the value in the header that the label names" },
	{ "certificate.expired", "enrol again with the bootstrap credential of the device" },
	{ "certificate.not-yet-valid", "check the clocks of device and server" },
	{ "certificate.unknown-issuer", "register its root with 'estuary trust add' if the device is to come in with it" },
	{ "certificate.revoked", "the certificate was revoked; see 'estuary cert show SERIAL'" },
	{ "certificate.superseded", "use the newest certificate of the device" },
	{ "certificate.not-recorded", "signed by our CA but not in the store: was an old backup restored?" },
	{ "certificate.wrong-purpose", "a client certificate needs clientAuth, or no extended key usage at all" },
	{ "device.forked", "two holders of one identity: find out which is the device, then 'estuary device release NAME'" },
	{ "device.retired", "the device was retired by an operator" },
	{ "name.other-device", "a device may ask only for its own name; the label's 'reenrol' setting tells how names are bound" },
	{ "name.subject-differs", "send the subject of the certificate that you present, or set the label's reenrol to force-subject" },
	{ "name.san-differs", "send the alternative names of the certificate that you present, or none" },
	{ "name.out-of-scope", "the credential or anchor may not speak for this name: see its scope" },
	{ "name.active", "the name has a live certificate: renew with it, or use a credential that may enrol active names" },
	{ "name.user-differs", "with a code, the user name is empty or the name that is asked for" },
	{ "name.missing", "put the device's name into the request's CN" },
	{ "reenrol.no-certificate", "simplereenroll needs the certificate that is to be renewed as TLS client certificate" },
	{ "reenrol.other-profile", "the certificate presented is of another profile: use simpleenroll at this label" },
	{ "key.other-device", "make a new key for this device: another device holds a certificate for this one" },
	{ "key.ours", "this is the key of a CA of ours" },
	{ "pop.required", "put the channel binding into challengePassword (RFC 7030 3.5, RFC 9266)" },
	{ "pop.mismatch", "challengePassword is the channel binding of this very connection, not an enrolment secret" },
	{ "pop.unavailable", "TLS 1.2 without extended master secret has no safe channel binding: use TLS 1.3" },
	{ "server.signer", "the signer is away; the same request may be sent again" },
	{ "server.store", "the store takes no writes now (disk full?); the same request may be sent again" },
};

void
trace_add(struct buf *t, enum trace_mark mark, const char *rule, const char *fmt, ...)
{
	UNSET char text[TEXT_MAX];
	va_list ap;

	text[0] = 0;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_put_str(t, rule);
	buf_put_u8(t, '\t');
	buf_put_str(t, marks[mark]);
	buf_put_u8(t, '\t');
	text_escape(t, bytes_of(text));
	buf_put_u8(t, '\n');
}

const char *
trace_hint(const char *reason)
{
	for (size_t i = 0; i < N_OF(hints); i++)
		if (strcmp(hints[i].reason, reason) == 0)
			return hints[i].hint;
	return "";
}
