/* SPDX-License-Identifier: Apache-2.0 */
/* pki/ossl.h - OpenSSL's error queue in our errors, and scoped OpenSSL objects */
#ifndef CORE_PKI_OSSL_H
#define CORE_PKI_OSSL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/base/err.h"

AUTO_DEFINE_OSSL(X509, X509_free)
AUTO_DEFINE_OSSL(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE_OSSL(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
AUTO_DEFINE_OSSL(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE_OSSL(BIO, BIO_free_all)

/* "what: OpenSSL's reason" into e; empties the queue; returns code. */
int err_ossl(struct err *e, enum err_code code, const char *what);

#endif
