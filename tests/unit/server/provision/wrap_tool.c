/* SPDX-License-Identifier: Apache-2.0 */
/* wrap_tool.c - tpm_wrap() for the end-to-end test: wrap-tool EK-FILE SRK-FILE SECRET-HEX > BLOB */
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/text.h"
#include "server/provision/tpm.h"

static int
run(struct buf *out, char **argv, struct err *e)
{
	AUTO_BUF ek_file = { 0 };
	AUTO_BUF srk_file = { 0 };
	uint8_t secret[TPM_SECRET_MAX];
	struct tpm_ek ek;
	struct tpm_srk srk;
	size_t n = strlen(argv[3]) / 2;
	int r = file_read(&ek_file, argv[1], 4096, e);

	if (r == 0)
		r = file_read(&srk_file, argv[2], 4096, e);
	if (r == 0)
		r = tpm_ek_read(&ek, bytes_of_buf(&ek_file), e);
	if (r == 0)
		r = tpm_srk_read(&srk, bytes_of_buf(&srk_file), e);
	if (r != 0)
		return r;
	if (n > sizeof(secret) || !text_unhex(secret, n, argv[3]))
		return err_set(e, E_USAGE, "wrap-tool: secret: not hex of at most %d octets",
		    TPM_SECRET_MAX);
	return tpm_wrap(out, &ek, &srk, (struct bytes){ secret, n }, e);
}

int
main(int argc, char **argv)
{
	AUTO_BUF out = { 0 };
	struct err e = { 0 };

	if (argc != 4) {
		(void)fprintf(stderr, "usage: wrap-tool EK-FILE SRK-FILE SECRET-HEX\n");
		return 2;
	}
	if (run(&out, argv, &e) != 0) {
		(void)fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	return fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0 ? 0 : 1;
}
