/* SPDX-License-Identifier: Apache-2.0 */
/* certd/world_power.h - power cuts and full disks, by the linker's --wrap: what is durable ends there */
#ifndef TESTS_DEVICE_CERTD_WORLD_POWER_H
#define TESTS_DEVICE_CERTD_WORLD_POWER_H

#include <unistd.h>

#include "core/base/file.h"

/* --- power: after the cut no durable step is done any more --- */

static unsigned power_steps, power_cut_at; /* 0: never cut */
static bool power_off;

static bool
power(void)
{
	if (!power_off && power_cut_at != 0 && power_steps >= power_cut_at)
		power_off = true;
	power_steps += !power_off;
	return !power_off;
}

int __real_file_write(const char *path, struct bytes content, mode_t mode, struct err *e);
int __wrap_file_write(const char *path, struct bytes content, mode_t mode, struct err *e);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

static bool disk_full;

int
__wrap_file_write(const char *path, struct bytes content, mode_t mode, struct err *e)
{
	if (power_off || disk_full)
		return err_set(e, E_IO, "%s: no more is written", path);
	return __real_file_write(path, content, mode, e);
}

int
__wrap_unlink(const char *path)
{
	return power() ? __real_unlink(path) : -1;
}

/* Also the end of each file_write(). */
int
__wrap_rename(const char *from, const char *to)
{
	return power() ? __real_rename(from, to) : -1;
}

/* Cuts are played, so that nothing has to wait for a disk. */
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

#endif
