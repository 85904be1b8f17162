/* SPDX-License-Identifier: Apache-2.0 */
/* bench/device.h - a pretended device, in nothing but OpenSSL and sockets; what fails ends the program */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include <openssl/ssl.h>

struct device {
	char name[64];
	EVP_PKEY *key, *next_key;      /* next_key: asked for, not yet certified */
	X509 *cert;
	SSL *ssl;                      /* NULL: not connected */
};

/* The server that devices talk to. */
struct place {
	const char *root_file;
	int port;
	SSL_CTX *ctx;
};

#define MUST(x) do { if (!(x)) device_die(#x); } while (0)
void device_die(const char *what) __attribute__((noreturn));

void place_open(struct place *p);
void device_connect(struct device *d, const struct place *p);  /* TCP, and TLS with the certificate if there is one */
void device_hang_up(struct device *d);
/* Ask for a certificate for a new key; code: of HTTP Basic, or NULL.  keep: the present certificate stays the device's. */
void device_enrol(struct device *d, const char *label, const char *op, const char *code, int keep);

/* bare.c: what the same machine needs for the same arithmetic without a server; CPU microseconds */
double bare_accept(const char *chain_file, const char *key_file, const char *root_file, const char *issuing_file, int fd,
    int until, long *n);                                       /* fd: listening; until: hangs up when all clients have ended */
struct bare_arithmetic {
	double sign_us, verify_us, request_us; /* request: read a request and verify its signature */
};
struct bare_arithmetic bare_arithmetic(double seconds); /* in slices over that time, so that it meets what the server beside it meets */
double cpu_us(void);                                           /* of this process, so far */
double wall_s(void);

#endif
