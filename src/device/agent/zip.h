/* SPDX-License-Identifier: Apache-2.0 */
/* agent/zip.h - a ZIP archive, its files stored as they are (PKWARE APPNOTE 4.3) */
#ifndef DEVICE_AGENT_ZIP_H
#define DEVICE_AGENT_ZIP_H

#include "core/base/bytes.h"

#define ZIP_FILES_MAX 64
#define ZIP_NAME_MAX  256

/* Zero-initialise, but when: UTC seconds, the time of every file. */
struct zip {
	int64_t when;
	struct buf archive;      /* whole after zip_end() */
	struct buf directory;
	uint16_t n;
};

/* A further file; E_TOOBIG above ZIP_FILES_MAX files, or when all together are too much for a buffer. */
int zip_add(struct zip *z, const char *name, struct bytes content, struct err *e) MUST_CHECK;
int zip_end(struct zip *z, struct err *e) MUST_CHECK;
void zip_clear(struct zip *z);

#endif
