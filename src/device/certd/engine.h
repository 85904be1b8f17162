/* SPDX-License-Identifier: Apache-2.0 */
/* certd/engine.h - the renewal engine: certificates that certd itself keeps fresh, each with its key as one generation */
#ifndef DEVICE_CERTD_ENGINE_H
#define DEVICE_CERTD_ENGINE_H

#include "core/codec/json.h"
#include "device/certd/certs.h"
#include "device/certd/workers.h"

/*
 * A credential is a certificate ID with its key ID: the EST identities that the auth settings name, and the issuance entries
 * that have a `pk`.  Its state stands in HOME/renewal/STEM.json, replaced atomically at every step:
 *
 *     idle -> keygen -> asked -> staged -> switching -> switched -> idle (proved)
 *
 * keygen: the key ID-temp may exist. asked: it does, a request may be on its way; a repetition uses the same key.
 * staged: HOME/renewal/STEM.new.cer holds the verified answer. switching: the one commit point; from here the way is forward
 * (keyd_switch, then the certificate by rename, the old one kept as STEM.old.cer).  switched: the new pair is served, the
 * old is kept until the new has authenticated once (proved) or was refused three times (rolled back, with an alarm).
 * A key that is configured for something else too, or whose successor's ID is another's key, is never replaced: only its
 * certificate is renewed.
 */
struct engine;

struct engine *engine_new(struct loop *l, struct workers *w);
void engine_free(struct engine *en);
/*
 * The settings in force (borrowed until the next call): credentials that stay keep state and timers; new ones begin; those that are
 * gone are forgotten (files stay).  Interrupted rotations are gone on with.
 */
void engine_configure(struct engine *en, const struct certd_settings *s);

/* Why there is no identity, or that there is one; r NULL: it is ready to be used. */
typedef void (*engine_ready)(void *ctx, const struct err *why);
/*
 * Is the identity cert_id usable (present, valid, matching)?  Else bring it about (bootstrap, at the identity's URL or
 * fallback_url, with that subject when it never had one) and call back.  Many may wait for one enrolment.  fn is called from the loop.
 * A preloaded identity that is unusable is not replaced: fn gets E_POLICY, and the caller uses the bootstrap pair itself.
 */
void engine_need(struct engine *en, const char *cert_id, const struct name *subject, const char *fallback_url,
    engine_ready fn, void *ctx);
/*
 * Call fn (perhaps before this returns) when the certificate that is served of cert_id belongs to the key that the Keys
 * Service gives.  That is so but for the moment in which both are replaced.  E_UNAVAIL: they do not belong together, or
 * the Keys Service does not say.
 */
void engine_settled(struct engine *en, const char *cert_id, engine_ready fn, void *ctx);
/*
 * What an exchange said of a credential: taken (proves it), or refused (counts towards a rollback; and unproved or not, the
 * next need enrols anew by the bootstrap).
 */
void engine_used(struct engine *en, const char *cert_id, bool taken);
/* An exchange that was told it may use a credential is over, and says nothing of it: there was no connection, say. */
void engine_returned(struct engine *en, const char *cert_id);
/* An operator's wish: renew now; pause and resume (the only way to stop a renewal; kept on disk).  E_NOTFOUND. */
int engine_renew_now(struct engine *en, const char *cert_id, struct err *e) MUST_CHECK;
int engine_set_disabled(struct engine *en, const char *cert_id, bool disabled, struct err *e) MUST_CHECK;
/* Files of a credential were deleted or replaced by somebody: look again now. */
void engine_look(struct engine *en, const char *cert_id);

/*
 * One object a credential: id, key_id, source ("est identity", "managed"), url, state, generation, serial, subject, not_before, not_after,
 * next_renewal, last_success, tries, last_error {time, outcome, check, text, request_id, http_status}, usable, proved, disabled, preloaded,
 * clock_trusted.  Times are Unix time, or null.
 */
void engine_status(const struct engine *en, json_t *list);

#endif
