/* SPDX-License-Identifier: Apache-2.0 */
/* provision/test_b17.c - who is let in and who is not, case by case: names, certificates, tokens, groups, TPMs, hubs */
#include "world.h"

/* What is asked; what is left out is right, or none. */
struct row {
	const char *name;
	enum ask_op op;
	const char *id, *scope, *body, *cert;
	/* A token: whose key signs it; the rest is right unless it stands here. */
	const char *key, *sr, *skn;
	int64_t ends;                    /* from now; 0: 30 s */
	enum ask_sas header;             /* instead of a token that can be read */
	bool ek;                         /* the right endorsement key comes along */
	unsigned status;
	const char *reason;
};

static const struct row rows[] = {
	/* Names and scope. */
	{ "the right derived key", ASK_REGISTER, "dev-7", .key = "pumps", .status = 202, .reason = "ok" },
	{ "the group's secondary key", ASK_REGISTER, "dev-7", .key = "pumps2", .status = 202, .reason = "ok" },
	{ "the ID in capitals in the path", ASK_REGISTER, "DEV-7", .key = "pumps", .status = 202, .reason = "ok" },
	{ "the scope in lower case", ASK_REGISTER, "dev-7", .scope = "lower", .key = "pumps", .status = 202, .reason = "ok" },
	{ "another scope", ASK_REGISTER, "dev-7", .scope = "0ne00000000", .key = "pumps", .status = 404, .reason = "dps.scope" },
	{ "no scope", ASK_REGISTER, "dev-7", .scope = "", .key = "pumps", .status = 404, .reason = "dps.scope" },
	{ "an ID that climbs", ASK_REGISTER, "../dev-7", .key = "pumps", .status = 400, .reason = "dps.id" },
	{ "an ID of two dots", ASK_REGISTER, "..", .key = "pumps", .status = 400, .reason = "dps.id" },
	{ "an ID with a blank", ASK_REGISTER, "dev 7", .key = "pumps", .status = 400, .reason = "dps.id" },
	{ "an ID that is not ASCII", ASK_REGISTER, "d\xc3\xa9v", .key = "pumps", .status = 400, .reason = "dps.id" },
	{ "an ID that ends with a dot", ASK_REGISTER, "dev-7.", .key = "pumps", .status = 400, .reason = "dps.id" },
	{ "no ID", ASK_REGISTER, "", .key = "pumps", .status = 400, .reason = "dps.id" },
	{ "the same ID in the body", ASK_REGISTER, "dev-7", .body = "Dev-7", .key = "pumps", .status = 202, .reason = "ok" },
	{ "another ID in the body", ASK_REGISTER, "dev-7", .body = "dev-8", .key = "pumps", .status = 400, .reason = "dps.body-id" },
	{ "a longer ID in the body", ASK_REGISTER, "dev-7", .body = "dev-77", .key = "pumps", .status = 400, .reason = "dps.body-id" },
	/* Tokens. */
	{ "nothing at all", ASK_REGISTER, "dev-7", .status = 401, .reason = "dps.no-proof" },
	{ "nothing at all, for one that is enrolled", ASK_REGISTER, "solo-key", .status = 401, .reason = "dps.no-proof" },
	{ "a token that ended within the skew", ASK_REGISTER, "dev-7", .key = "pumps", .ends = -299, .status = 202, .reason = "ok" },
	{ "a token that ended before", ASK_REGISTER, "dev-7", .key = "pumps", .ends = -300, .status = 401, .reason = "dps.token-expired" },
	{ "a token of the year 1970", ASK_REGISTER, "dev-7", .key = "pumps", .ends = -NOW, .status = 401, .reason = "dps.token-expired" },
	{ "a token of a day and the skew", ASK_REGISTER, "dev-7", .key = "pumps", .ends = 86700, .status = 202, .reason = "ok" },
	{ "a token for longer", ASK_REGISTER, "dev-7", .key = "pumps", .ends = 86701, .status = 401, .reason = "dps.token-too-long" },
	{ "a token for ever", ASK_REGISTER, "dev-7", .key = "pumps", .ends = INT64_MAX - NOW, .status = 401, .reason = "dps.token-too-long" },
	{ "another's token", ASK_REGISTER, "dev-7", .key = "pumps of dev-8", .sr = "SCOPE/registrations/dev-8", .status = 401, .reason = "dps.token-resource" },
	{ "a token for a longer ID", ASK_REGISTER, "dev-7", .key = "pumps", .sr = "SCOPE/registrations/dev-77", .status = 401, .reason = "dps.token-resource" },
	{ "a token for a shorter resource", ASK_REGISTER, "dev-7", .key = "pumps", .sr = "SCOPE/registrations/", .status = 401, .reason = "dps.token-resource" },
	{ "a token for a resource below", ASK_REGISTER, "dev-7", .key = "pumps", .sr = "SCOPE/registrations/dev-7/x", .status = 401, .reason = "dps.token-resource" },
	{ "a token of another scope", ASK_REGISTER, "dev-7", .key = "pumps", .sr = "0ne00000000/registrations/dev-7", .status = 401, .reason = "dps.token-resource" },
	{ "a token for the hub", ASK_REGISTER, "dev-7", .key = "pumps", .sr = HUB_A "/devices/dev-7", .status = 401, .reason = "dps.token-resource" },
	{ "a token without a key name", ASK_REGISTER, "dev-7", .key = "pumps", .skn = "", .status = 202, .reason = "ok" },
	{ "a token of another key name", ASK_REGISTER, "dev-7", .key = "pumps", .skn = "provisioningserviceowner", .status = 401, .reason = "dps.token-key-name" },
	{ "a key that nobody has", ASK_REGISTER, "dev-7", .key = "wrong", .status = 401, .reason = "dps.token-signature" },
	{ "an empty key", ASK_REGISTER, "dev-7", .key = "empty", .status = 401, .reason = "dps.token-signature" },
	{ "the group's key itself", ASK_REGISTER, "dev-7", .key = "pumps itself", .status = 401, .reason = "dps.token-signature" },
	{ "the key derived for another", ASK_REGISTER, "dev-7", .key = "pumps of dev-8", .status = 401, .reason = "dps.token-signature" },
	{ "the key derived for the ID in capitals", ASK_REGISTER, "dev-7", .key = "pumps of DEV-7 as written", .status = 401, .reason = "dps.token-signature" },
	{ "one octet of the signature changed", ASK_REGISTER, "dev-7", .key = "pumps, one octet off", .status = 401, .reason = "dps.token-signature" },
	{ "the signature is over the decoded resource", ASK_REGISTER, "dev-7", .key = "pumps, over the decoded text", .status = 401, .reason = "dps.token-signature" },
	{ "the end was changed after signing", ASK_REGISTER, "dev-7", .key = "pumps, end changed", .status = 401, .reason = "dps.token-signature" },
	{ "a header that is malformed", ASK_REGISTER, "dev-7", .header = ASK_SAS_MALFORMED, .status = 401, .reason = "dps.token-malformed" },
	{ "two headers", ASK_REGISTER, "dev-7", .header = ASK_SAS_REPEATED, .status = 401, .reason = "dps.token-malformed" },
	{ "Basic", ASK_REGISTER, "dev-7", .header = ASK_SAS_OTHER_SCHEME, .status = 401, .reason = "dps.token-malformed" },
	{ "a disabled group's derived key", ASK_REGISTER, "dev-7", .key = "off", .status = 403, .reason = "dps.disabled" },
	/* Individual enrolments by key come before groups. */
	{ "an individual's key", ASK_REGISTER, "solo-key", .key = "solo", .status = 202, .reason = "ok" },
	{ "an individual's secondary key", ASK_REGISTER, "Solo-Key", .key = "solo2", .status = 202, .reason = "ok" },
	{ "an individual by a group's key", ASK_REGISTER, "solo-key", .key = "pumps", .status = 401, .reason = "dps.token-signature" },
	{ "a disabled individual's key", ASK_REGISTER, "solo-key-off", .key = "solo off", .status = 403, .reason = "dps.disabled" },
	{ "a disabled individual by a group's key", ASK_REGISTER, "solo-key-off", .key = "pumps", .status = 401, .reason = "dps.token-signature" },
	{ "a disabled individual, wrong key", ASK_REGISTER, "solo-key-off", .key = "wrong", .status = 401, .reason = "dps.token-signature" },
	{ "an individual by key with a certificate", ASK_REGISTER, "solo-key", .cert = "own pump-1", .status = 401, .reason = "dps.other-attestation" },
	/* Certificates under groups. */
	{ "our certificate, by our root's group", ASK_REGISTER, "pump-1", .cert = "own pump-1", .status = 202, .reason = "ok" },
	{ "a CN in capitals", ASK_REGISTER, "pump-1", .cert = "own pump-1 in capitals", .status = 202, .reason = "ok" },
	{ "our certificate for another ID", ASK_REGISTER, "pump-2", .cert = "own pump-1", .status = 401, .reason = "dps.name" },
	{ "our certificate, ended since the handshake", ASK_REGISTER, "pump-1", .cert = "own pump-1 at its end", .status = 401, .reason = "certificate.expired" },
	{ "our certificate, revoked", ASK_REGISTER, "pump-revoked", .cert = "own revoked", .status = 401, .reason = "certificate.revoked" },
	{ "our certificate, revoked and expired", ASK_REGISTER, "pump-revoked", .cert = "own revoked and expired", .status = 401, .reason = "certificate.revoked" },
	{ "our certificate, renewed long ago", ASK_REGISTER, "pump-renewed", .cert = "own renewed", .status = 401, .reason = "certificate.superseded" },
	{ "the renewal of it", ASK_REGISTER, "pump-renewed", .cert = "own renewal", .status = 202, .reason = "ok" },
	{ "our certificate of a retired device", ASK_REGISTER, "pump-retired", .cert = "own retired", .status = 401, .reason = "device.retired" },
	{ "our certificate of a forked device", ASK_REGISTER, "pump-forked", .cert = "own forked", .status = 401, .reason = "device.forked" },
	{ "a retired device by a group's key", ASK_REGISTER, "pump-retired", .key = "pumps", .status = 403, .reason = "device.retired" },
	{ "our certificate without a record", ASK_REGISTER, "pump-1", .cert = "own not recorded", .status = 401, .reason = "certificate.not-recorded" },
	{ "the factory's certificate", ASK_REGISTER, "dev-1", .cert = "factory device", .status = 202, .reason = "ok" },
	{ "one from a line of the factory", ASK_REGISTER, "dev-1", .cert = "line device", .status = 202, .reason = "ok" },
	{ "one from a cell whose group is disabled", ASK_REGISTER, "dev-1", .cert = "cell device", .status = 403, .reason = "dps.disabled" },
	{ "one of a CA that was not verified", ASK_REGISTER, "dev-1", .cert = "unproved device", .status = 401, .reason = "dps.no-group" },
	{ "one of a CA that has ended", ASK_REGISTER, "dev-1", .cert = "old device", .status = 401, .reason = "dps.no-group" },
	{ "one of an outside anchor that a group names", ASK_REGISTER, "dev-3", .cert = "elsewhere dev-3", .status = 202, .reason = "ok" },
	{ "one of another group, for a registered device", ASK_REGISTER, "dev-1", .cert = "elsewhere device", .status = 403, .reason = "dps.other-enrolment" },
	{ "another group's key, for a registered device", ASK_REGISTER, "dev-1", .key = "pumps", .status = 403, .reason = "dps.other-enrolment" },
	{ "another group's key, for its status", ASK_REGISTRATION, "dev-1", .key = "pumps", .status = 404, .reason = "dps.not-registered" },
	{ "one of a CA that was removed", ASK_REGISTER, "dev-1", .cert = "device of a CA that is gone", .status = 401, .reason = "certificate.unknown-issuer" },
	{ "another case of the factory's CN", ASK_REGISTER, "dev-1", .cert = "factory device in capitals", .status = 202, .reason = "ok" },
	{ "a CN that begins with the ID", ASK_REGISTER, "dev-1", .cert = "factory device, longer name", .status = 401, .reason = "dps.name" },
	{ "an ID that begins with the CN", ASK_REGISTER, "dev-11", .cert = "factory device", .status = 401, .reason = "dps.name" },
	{ "no CN", ASK_REGISTER, "dev-1", .cert = "factory device, no name", .status = 401, .reason = "dps.name" },
	{ "two CNs", ASK_REGISTER, "dev-1", .cert = "factory device, two names", .status = 401, .reason = "dps.name" },
	{ "an expired certificate", ASK_REGISTER, "dev-1", .cert = "factory device, expired", .status = 401, .reason = "certificate.expired" },
	{ "a forged certificate", ASK_REGISTER, "dev-1", .cert = "factory device, bad signature", .status = 401, .reason = "certificate.bad-signature" },
	{ "a malformed certificate", ASK_REGISTER, "dev-1", .cert = "factory device, malformed", .status = 401, .reason = "certificate.malformed" },
	{ "a server's certificate", ASK_REGISTER, "dev-1", .cert = "factory device, wrong purpose", .status = 401, .reason = "certificate.wrong-purpose" },
	{ "a stranger's certificate", ASK_REGISTER, "dev-1", .cert = "stranger", .status = 401, .reason = "certificate.unknown-issuer" },
	{ "a certificate and a token, both right", ASK_REGISTER, "dev-1", .cert = "factory device", .key = "pumps", .status = 401, .reason = "dps.two-proofs" },
	{ "a bad certificate beside a right token", ASK_REGISTER, "dev-1", .cert = "factory device, expired", .key = "pumps", .status = 401, .reason = "certificate.expired" },
	{ "a right certificate beside a broken header", ASK_REGISTER, "dev-1", .cert = "factory device", .header = ASK_SAS_MALFORMED, .status = 401, .reason = "dps.token-malformed" },
	/* Individual enrolments by certificate. */
	{ "an individual's certificate, whatever its issuer", ASK_REGISTER, "solo-cert", .cert = "solo primary", .status = 202, .reason = "ok" },
	{ "its secondary certificate", ASK_REGISTER, "solo-cert", .cert = "solo secondary", .status = 202, .reason = "ok" },
	{ "its certificate, expired", ASK_REGISTER, "solo-cert", .cert = "solo primary, expired", .status = 401, .reason = "certificate.expired" },
	{ "its certificate, before its time", ASK_REGISTER, "solo-cert", .cert = "solo primary, not yet", .status = 401, .reason = "certificate.not-yet-valid" },
	{ "a stranger's certificate for it", ASK_REGISTER, "solo-cert", .cert = "stranger", .status = 401, .reason = "dps.thumbprint" },
	{ "a good certificate of a group for it", ASK_REGISTER, "solo-cert", .cert = "factory device", .status = 401, .reason = "dps.thumbprint" },
	{ "a group's key for it", ASK_REGISTER, "solo-cert", .key = "pumps", .status = 401, .reason = "dps.other-attestation" },
	{ "a disabled individual's certificate", ASK_REGISTER, "solo-cert-off", .cert = "solo primary", .status = 403, .reason = "dps.disabled" },
	{ "a stranger's certificate for the disabled one", ASK_REGISTER, "solo-cert-off", .cert = "stranger", .status = 401, .reason = "dps.thumbprint" },
	/* TPMs. */
	{ "the enrolled TPM, first", ASK_REGISTER, "solo-tpm", .ek = true, .status = 401, .reason = "ok.tpm-challenge" },
	{ "no endorsement key", ASK_REGISTER, "solo-tpm", .status = 401, .reason = "dps.no-proof" },
	{ "the enrolled TPM asks for its status", ASK_REGISTRATION, "solo-tpm", .ek = true, .status = 401, .reason = "dps.no-proof" },
	{ "a token before any key was given", ASK_REGISTER, "solo-tpm", .key = "wrong", .status = 401, .reason = "dps.token-signature" },
	{ "a disabled TPM", ASK_REGISTER, "solo-tpm-off", .ek = true, .status = 401, .reason = "dps.disabled" },
	{ "a TPM where there is no enrolment", ASK_REGISTER, "dev-7", .ek = true, .status = 401, .reason = "dps.no-proof" },
	{ "a TPM with a certificate", ASK_REGISTER, "solo-tpm", .ek = true, .cert = "own pump-1", .status = 401, .reason = "dps.other-attestation" },
	/* The other questions are decided alike. */
	{ "an operation of one that did not register", ASK_OPERATION, "dev-7", .key = "pumps", .status = 404, .reason = "dps.operation" },
	{ "an operation, nothing presented", ASK_OPERATION, "dev-7", .status = 401, .reason = "dps.no-proof" },
	{ "the status of one that did not register", ASK_REGISTRATION, "dev-7", .key = "pumps", .status = 404, .reason = "dps.not-registered" },
	{ "the status of another, by its own key", ASK_REGISTRATION, "dev-7", .key = "pumps of dev-8", .sr = "SCOPE/registrations/dev-8", .status = 401, .reason = "dps.token-resource" },
	{ "the status of a disabled enrolment", ASK_REGISTRATION, "solo-key-off", .key = "solo off", .status = 403, .reason = "dps.disabled" },
	/* The hub.  dev-9 (pumps), dev-1 (factory) and solo-key are registered, dev-8's registration is disabled. */
	{ "the hub, our certificate", ASK_MODULE_LIST, "pump-1", .cert = "own pump-1", .status = 200, .reason = "ok" },
	{ "the hub, another's device", ASK_MODULE_LIST, "pump-2", .cert = "own pump-1", .status = 401, .reason = "hub.not-yours" },
	{ "the hub, the name in another case", ASK_MODULE_LIST, "Pump-1", .cert = "own pump-1", .status = 401, .reason = "hub.not-yours" },
	{ "the hub, a revoked certificate", ASK_MODULE_LIST, "pump-revoked", .cert = "own revoked", .status = 401, .reason = "hub.not-yours" },
	{ "the hub, a retired device", ASK_MODULE_LIST, "pump-retired", .cert = "own retired", .status = 401, .reason = "device.retired" },
	{ "the hub, nothing presented", ASK_MODULE_LIST, "dev-9", .status = 401, .reason = "dps.no-proof" },
	{ "the hub, a device that nobody knows", ASK_MODULE_LIST, "nobody", .status = 401, .reason = "hub.not-yours" },
	{ "the hub, a derived key", ASK_MODULE_LIST, "dev-9", .key = "pumps", .sr = HUB_A "/devices/dev-9", .skn = "", .status = 200, .reason = "ok" },
	{ "the hub, its name in capitals", ASK_MODULE_LIST, "dev-9", .key = "pumps", .sr = "HUB-A.EXAMPLE/devices/DEV-9", .skn = "device", .status = 200, .reason = "ok" },
	{ "the hub, another hub of ours", ASK_MODULE_LIST, "dev-9", .key = "pumps", .sr = HUB_B "/devices/dev-9", .status = 401, .reason = "dps.token-resource" },
	{ "the hub, a hub that is not ours", ASK_MODULE_LIST, "dev-9", .key = "pumps", .sr = "other.example/devices/dev-9", .status = 401, .reason = "dps.token-resource" },
	{ "the hub, a token for the provisioning service", ASK_MODULE_LIST, "dev-9", .key = "pumps", .sr = "SCOPE/registrations/dev-9", .status = 401, .reason = "dps.token-resource" },
	{ "the hub, another's key", ASK_MODULE_LIST, "dev-9", .key = "pumps of dev-8", .sr = HUB_A "/devices/dev-9", .status = 401, .reason = "dps.token-signature" },
	{ "the hub, another group's key", ASK_MODULE_LIST, "dev-9", .key = "off", .sr = HUB_A "/devices/dev-9", .status = 401, .reason = "dps.token-signature" },
	{ "the hub, an ended token", ASK_MODULE_LIST, "dev-9", .key = "pumps", .sr = HUB_A "/devices/dev-9", .ends = -300, .status = 401, .reason = "dps.token-expired" },
	{ "the hub, an individual's key", ASK_MODULE_LIST, "solo-key", .key = "solo2", .sr = HUB_A "/devices/solo-key", .status = 200, .reason = "ok" },
	{ "the hub, by the certificate that it registered with", ASK_MODULE_LIST, "dev-1", .cert = "factory device", .status = 200, .reason = "ok" },
	{ "the hub, by a certificate of another group", ASK_MODULE_LIST, "dev-1", .cert = "elsewhere device", .status = 401, .reason = "dps.no-group" },
	{ "the hub, by a key though it registered by certificate", ASK_MODULE_LIST, "dev-1", .key = "pumps", .sr = HUB_A "/devices/dev-1", .status = 401, .reason = "dps.token-signature" },
	{ "the hub, two proofs", ASK_MODULE_LIST, "dev-1", .cert = "factory device", .key = "pumps", .sr = HUB_A "/devices/dev-1", .status = 401, .reason = "dps.two-proofs" },
	{ "the hub, a disabled registration", ASK_MODULE_LIST, "dev-8", .key = "pumps", .sr = HUB_A "/devices/dev-8", .status = 403, .reason = "hub.disabled" },
	{ "the hub, a disabled registration, wrong key", ASK_MODULE_LIST, "dev-8", .key = "wrong", .sr = HUB_A "/devices/dev-8", .status = 401, .reason = "dps.token-signature" },
	{ "the hub, an ID that may not be", ASK_MODULE_LIST, "dev/8", .key = "pumps", .status = 400, .reason = "hub.id" },
	{ "no question", ASK_NONE, "dev-7", .key = "pumps", .status = 404, .reason = "dps.question" },
};

/* Sign the token as the row says. */
static void
use_key(struct ask_token *t, const char *key, const char *id)
{
	static const struct { const char *name, *key; bool derived; const char *of; } keys[] = {
		{ "pumps", key_pumps, true, NULL }, { "pumps2", key_pumps2, true, NULL }, { "pumps of dev-8", key_pumps, true, "dev-8" },
		{ "off", key_off, true, NULL }, { "pumps itself", key_pumps, false, NULL }, { "wrong", "nobody's", false, NULL },
		{ "empty", "", false, NULL }, { "solo", key_solo, false, NULL }, { "solo2", key_solo2, false, NULL },
		{ "solo off", key_solo_off, false, NULL },
	};
	uint8_t derived[SHA256_LEN];

	for (size_t i = 0; i < N_OF(keys); i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		if (keys[i].derived)
			sign_derived(t, keys[i].key, keys[i].of != NULL ? keys[i].of : id);
		else
			sign(t, bytes_of(keys[i].key));
		return;
	}
	if (strcmp(key, "pumps, one octet off") == 0) {
		sign_derived(t, key_pumps, id);
		t->sig[31] ^= 1;
	} else if (strcmp(key, "pumps, over the decoded text") == 0) {
		char sr[ASK_SR_MAX];

		memcpy(sr, t->sr, sizeof(sr));
		memcpy(t->sr, t->resource, sizeof(t->sr));
		sign_derived(t, key_pumps, id);
		memcpy(t->sr, sr, sizeof(sr));
	} else if (strcmp(key, "pumps, end changed") == 0) {
		sign_derived(t, key_pumps, id);
		t->expires += 1000;
		(void)snprintf(t->se, sizeof(t->se), "%lld", (long long)t->expires);
	} else if (strcmp(key, "pumps of DEV-7 as written") == 0) {
		hmac_sha256(derived, bytes_of(key_pumps), bytes_of("DEV-7"));
		sign(t, (struct bytes){ derived, sizeof(derived) });
	} else {
		fail_msg("no key '%s'", key);
	}
}

static const struct proto_ask *
question_of(const struct row *r)
{
	struct proto_ask *q = question(r->op, r->id);
	char resource[ASK_SR_MAX];
	int64_t end = NOW + (r->ends != 0 ? r->ends : 30);

	if (r->scope != NULL && strcmp(r->scope, "lower") != 0)
		(void)snprintf(q->scope, sizeof(q->scope), "%s", r->scope);
	for (char *p = q->scope; r->scope != NULL && *p != 0; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	if (r->body != NULL)
		(void)snprintf(q->body_registration, sizeof(q->body_registration), "%s", r->body);
	if (r->cert != NULL)
		show(q, r->cert);
	if (r->ek) {
		q->ek = bytes_of_buf(&tpm_ek);
		q->srk = bytes_of_buf(&tpm_srk);
	}
	q->token.state = r->header;
	if (r->key == NULL)
		return q;
	(void)snprintf(resource, sizeof(resource), "%s/registrations/%s", scope, r->id);
	if (r->sr != NULL)
		(void)snprintf(resource, sizeof(resource), "%s%s", strncmp(r->sr, "SCOPE", 5) == 0 ? scope : "",
		    strncmp(r->sr, "SCOPE", 5) == 0 ? r->sr + 5 : r->sr);
	fill_token(&q->token, resource, end, r->skn != NULL ? r->skn : "registration");
	use_key(&q->token, r->key, r->id);
	return q;
}

/* Those that are at the hub already. */
static void
populate(void)
{
	struct registration_row r = { 0 };
	struct proto_ask *q;
	static const char *const by_key[] = { "dev-8", "dev-9" };

	for (size_t i = 0; i < N_OF(by_key); i++) {
		q = question(ASK_REGISTER, by_key[i]);
		dps_token(q);
		sign_derived(&q->token, key_pumps, by_key[i]);
		assert_int_equal(ask_at(q, NOW, true)->status, 202);
	}
	q = question(ASK_REGISTER, "solo-key");
	dps_token(q);
	sign(&q->token, bytes_of(key_solo));
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	q = question(ASK_REGISTER, "dev-1");
	show(q, "factory device");
	assert_int_equal(ask_at(q, NOW, true)->status, 202);
	assert_int_equal(registration_row_by_name(db, "dev-8", &r, NULL), 0);
	(void)snprintf(r.status, sizeof(r.status), "disabled");
	assert_int_equal(registration_row_put(db, &r, NULL), 0);
	registration_row_clear(&r);
}

static void
each_case_is_decided_as_it_must(void **state)
{
	int wrong = 0;

	(void)state;
	populate();
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct provision *p = ask_at(question_of(&rows[i]), NOW, false);

		if (p->status == rows[i].status && strcmp(p->reason, rows[i].reason) == 0)
			continue;
		print_error("%s: %u %s (%s), expected %u %s\n", rows[i].name, p->status, p->reason, p->text, rows[i].status, rows[i].reason);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* Also the words: whether there is such a registration, enrolment or device, a stranger does not learn. */
static void
every_stranger_hears_the_same(void **state)
{
	char first[2][2048] = { "", "" };

	(void)state;
	populate();
	for (size_t i = 0; i < N_OF(rows); i++) {
		const struct proto_ask *q = question_of(&rows[i]);
		struct provision *p = ask_at(q, NOW, false);
		char *said = first[q->op >= ASK_MODULE_LIST];

		if (p->status != 401 || strcmp(p->reason, "ok.tpm-challenge") == 0)
			continue;
		assert_string_equal(p->actor, "");
		if (said[0] == 0)
			(void)snprintf(said, sizeof(first[0]), "%s", buf_str(&p->body));
		assert_string_equal(buf_str(&p->body), said);
	}
	assert_non_null(strstr(first[0], "\"errorCode\":401002"));
	assert_non_null(strstr(first[1], "\"Message\":\"Unauthorized\""));
}

static void
no_refusal_writes_more_than_its_record(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct provision *p = ask_at(question_of(&rows[i]), NOW, false);

		if (p->status < 400 || strcmp(p->reason, "ok.tpm-challenge") == 0)
			continue;
		assert_false(p->put_registration || p->silent);
		assert_int_equal(p->module_change, PROVISION_NO_MODULE);
		assert_true(p->webhook[0] == 0 && p->label[0] == 0);
		assert_true(p->trace.n != 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(each_case_is_decided_as_it_must),
		IN_WORLD(every_stranger_hears_the_same),
		IN_WORLD(no_refusal_writes_more_than_its_record),
	};

	provision_clear(&outcome);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
