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
	{ "auth.not-taken", "present what the label takes: see 'estuary label show LABEL', row accept" },
	{ "auth.used", "make another with 'estuary credential add', or one with more uses" },
	{ "auth.unknown", "please report this: the server met a state that its table does not have" },
	{ "auth.unsupported", "this server takes Basic only; use Basic or a client certificate" },
	{ "code.used", "a one-time code works once; make a new one with 'estuary credential add --kind code'" },
	{ "secret.wrong", "check the value in the header that the label names" },
	{ "secret.empty", "put the secret value into the header that the label names" },
	{ "secret.repeated", "send the secret header once" },
	{ "secret.expired", "make a new one with 'estuary credential add --kind secret'" },
	{ "secret.used", "make another with 'estuary credential add --kind secret', or one with more uses" },
	{ "secret.not-taken", "present what the label takes: see 'estuary label show LABEL', row accept" },
	{ "secret.other-label", "the value is bound to another label: see 'estuary credential show ID'" },
	{ "certificate.expired", "enrol again with the bootstrap credential of the device" },
	{ "certificate.not-taken", "present what the label takes: see 'estuary label show LABEL', row accept" },
	{ "certificate.other-label", "its anchor is bound to another label: see 'estuary trust list'" },
	{ "certificate.bad-signature", "the certificate was damaged or forged: install the one that was issued" },
	{ "certificate.chain", "row certificate of the trace tells which constraint of the path is broken" },
	{ "certificate.malformed", "row certificate of the trace tells what cannot be read; renew with another certificate" },
	{ "certificate.not-yet-valid", "check the clocks of device and server" },
	{ "certificate.unknown-issuer", "register its root with 'estuary trust add' if the device is to come in with it" },
	{ "certificate.revoked", "the certificate was revoked; see 'estuary cert show SERIAL'" },
	{ "certificate.superseded", "use the newest certificate of the device" },
	{ "certificate.not-recorded", "signed by our CA but not in the store: was an old backup restored?" },
	{ "certificate.wrong-purpose", "a client certificate needs clientAuth, or no extended key usage at all" },
	{ "device.forked", "two holders of one identity: find out which is the device, then 'estuary device release NAME'" },
	{ "label.unknown", "'estuary label list' shows the labels; the label is the part of the path before /simpleenroll" },
	{ "label.incomplete", "its CA or profile is missing or disabled: see 'estuary label show LABEL'" },
	{ "label.takes-nobody", "say who may come in with 'estuary label set LABEL --accept'" },
	{ "device.too-often", "see what asks in 'estuary audit list --device NAME'; 'estuary device retire NAME' keeps it out" },
	{ "device.retired", "an operator retired the device; 'estuary device release NAME' takes it back" },
	{ "name.other-device", "a device may ask only for its own name; the label's 'reenrol' setting tells how names are bound" },
	{ "name.subject-differs", "send the subject of the certificate that you present, or set the label's reenrol to force-subject" },
	{ "name.san-differs", "send the alternative names of the certificate that you present, or none" },
	{ "name.out-of-scope", "the credential or anchor may not speak for this name: see its scope" },
	{ "name.active", "the name has a live certificate: renew with it, use a credential that may enrol active names, or revoke it" },
	{ "name.user-differs", "with a code, the user name is empty or the name that is asked for" },
	{ "name.refused", "row names of the trace tells which name the profile does not take" },
	{ "name.missing", "put the device's name into the request's CN" },
	{ "reenrol.no-certificate", "simplereenroll needs the certificate that is to be renewed as TLS client certificate" },
	{ "reenrol.other-profile", "the certificate presented is of another profile: use simpleenroll at this label" },
	{ "key.other-device", "make a new key for this device: another device holds a certificate for this one" },
	{ "key.compromised", "make a new key: certificates for this one were revoked for keyCompromise" },
	{ "key.ours", "this is the key of a CA of ours" },
	{ "request.type", "send the request as application/pkcs10" },
	{ "request.encoding", "send the PKCS#10 as base64 of its DER (RFC 8951 3.1), or as PEM" },
	{ "request.malformed", "the text tells what is wrong in the PKCS#10; 'openssl req -in FILE -text -verify' shows it" },
	{ "request.signature", "the request is signed by the private key of its own public key" },
	{ "request.key", "see 'estuary profile show PROFILE', row keys, and make a key of one of those types" },
	{ "request.change-subject", "leave the ChangeSubjectName attribute out: a renewal keeps its names" },
	{ "request.not-read", "a request is read when somebody vouches for it: see the refusal before this one" },
	{ "profile.request", "see 'estuary profile show PROFILE' for what a request may ask for" },
	{ "profile.issue", "the profile and its CA do not fit each other: see 'estuary profile show PROFILE' and 'estuary ca show CA'" },
	{ "pop.required", "put the channel binding into challengePassword (RFC 7030 3.5, RFC 9266)" },
	{ "pop.mismatch", "challengePassword is the channel binding of this very connection, not an enrolment secret" },
	{ "pop.unavailable", "TLS 1.2 without extended master secret has no safe channel binding: use TLS 1.3" },
	{ "dps.scope", "see 'estuary group scope' for the ID scope, and set it in the device's configuration" },
	{ "dps.id", "registration IDs have 1 to 128 of a-z 0-9 - . _ : and begin and end with a letter or digit" },
	{ "dps.body-id", "the registration ID in the path and the one in the body are the same" },
	{ "dps.no-proof", "present the certificate, or the token, that the enrolment is by" },
	{ "dps.two-proofs", "present a certificate or a token, not both" },
	{ "dps.other-attestation", "see 'estuary enrolment show ID' for how this device proves itself; an individual enrolment comes before every group" },
	{ "dps.token-malformed", "send one Authorization: SharedAccessSignature sr=...&sig=...&se=... with skn=registration or none" },
	{ "dps.token-expired", "check the device's clock; a token may have ended 5 minutes ago at most" },
	{ "dps.token-too-long", "check the device's clock, or make tokens for a day at most" },
	{ "dps.token-resource", "sr is SCOPE/registrations/ID for the provisioning service, HUB/devices/ID for the hub" },
	{ "dps.token-key-name", "skn is 'registration', or is left out" },
	{ "dps.token-signature", "check the key: of a group, a device has the key derived for it ('estuary group derive'), not the group's own" },
	{ "dps.key-unreadable", "the store's key file is not the one that this was sealed with: was a backup restored without it?" },
	{ "dps.name", "the CN of the certificate is the registration ID" },
	{ "dps.no-group", "name the CA in a group: 'estuary group ca-list' shows what is uploaded and verified, 'estuary group list' who names it" },
	{ "dps.thumbprint", "give the enrolment the device's present certificate with 'estuary enrolment set'" },
	{ "dps.disabled", "'estuary group enable NAME', or 'estuary enrolment enable ID', lets it in again" },
	{ "dps.registration-disabled", "'estuary registration enable ID' lets the device in again" },
	{ "dps.other-enrolment", "if the device is to change groups, remove its registration first: 'estuary registration remove ID'" },
	{ "dps.device-taken", "two registrations cannot be one device: give the enrolment another device ID, or remove the other registration" },
	{ "dps.no-hub", "make one with 'estuary hub add', or enable one that the enrolment names" },
	{ "dps.webhook", "see the webhook's own log; the device registers again" },
	{ "dps.tpm-other", "the TPM is not the one of the enrolment: compare with 'estuary enrolment show ID'" },
	{ "dps.tpm-key", "the TPM's keys are not of the usual templates: see the text of the record" },
	{ "dps.tpm-late", "the device took longer than 10 minutes; it registers again" },
	{ "dps.csr-not-offered", "give the enrolment a label that issues: 'estuary group set NAME --label LABEL'" },
	{ "dps.csr-name", "the request's CN is the device ID, as the registration has it" },
	{ "dps.label", "see 'estuary label show LABEL'" },
	{ "dps.refused", "see 'estuary enrolment show ID', or 'estuary group show NAME', for how a device proves itself" },
	{ "dps.certificate", "the client certificate is expired, not valid yet, or no one for TLS clients: see row certificate of the trace" },
	{ "dps.question", "the service answers register, operation status and module calls of API version 2019-03-31 and later" },
	{ "dps.not-registered", "the device registers first; a registration belongs to one enrolment" },
	{ "dps.operation", "an operation ends with the next registration of the device" },
	{ "dps.device-in-use", "a device that comes by its certificate is at the hub under this name: present that certificate, "
	    "or make an individual enrolment for the name" },
	{ "dps.too-often", "each change is recorded, and one device may not fill the store: it registers, or changes its modules, "
	    "without a pause" },
	{ "dps.throttled", "too many wrong tokens from this address: wait as long as Retry-After says" },
	{ "hub.id", "device and module IDs have 1 to 128 of the hub's characters" },
	{ "hub.not-yours", "a device asks for its own modules alone, with its certificate or its token" },
	{ "hub.disabled", "'estuary registration enable ID', or of its group or enrolment, lets the device in again" },
	{ "hub.no-module", "see 'estuary hub modules DEVICE'" },
	{ "hub.module-exists", "read it, or update it with If-Match: *" },
	{ "hub.modules-max", "remove modules that are no more used" },
	{ "hub.keys", "send primaryKey and secondaryKey, base64 of 1 to 64 octets" },
	{ "ca.expired", "the CA has ended or is about to: make its successor with 'estuary ca create', and name it in the label" },
	{ "signer.limit", "the signer's limits for the CA's key do not allow this certificate: lifetime, path length or kind" },
	{ "server.conflict", "another request took what this one needs; the same request may be sent again" },
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
	text_show(t, bytes_of(text));
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
