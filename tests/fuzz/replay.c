/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/replay.c - run a fuzz target over every file of its corpus, each also cut and flipped */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The file whole, all its prefixes (at most 400), and one bit of each octet flipped (the same). */
static void
replay(struct bytes b)
{
	size_t step = b.n / 400 + 1;
	uint8_t *copy;

	(void)LLVMFuzzerTestOneInput(b.p, b.n);
	for (size_t i = 0; i < b.n; i += step) {
		copy = mem_dup(b.p, i); /* a copy of exactly i octets lets the sanitizer see the end */
		(void)LLVMFuzzerTestOneInput(copy, i);
		mem_free(copy);
		copy = mem_dup(b.p, b.n);
		copy[i] ^= (uint8_t)(1u << (i % 8));
		(void)LLVMFuzzerTestOneInput(copy, b.n);
		mem_free(copy);
	}
}

int
main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *f;
	int n = 0;

	if (d == NULL) {
		(void)fprintf(stderr, "usage: replay CORPUS-DIRECTORY\n");
		return 2;
	}
	while ((f = readdir(d)) != NULL) {
		AUTO_BUF b = { 0 };
		char path[4096];

		if (f->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", argv[1], f->d_name);
		if (file_read(&b, path, 1 << 20, NULL) != 0)
			return 1;
		replay(bytes_of_buf(&b));
		n++;
	}
	(void)closedir(d);
	(void)printf("%d files\n", n);
	return n != 0 ? 0 : 1;
}
