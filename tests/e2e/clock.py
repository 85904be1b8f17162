# SPDX-License-Identifier: Apache-2.0
"""A wall clock that a test sets for the processes it starts; the machine's own, and all monotonic ones, are left alone."""
import mmap
import os
import shutil
import struct
import subprocess

import pytest

HOUR, DAY, YEAR = 3600, 86400, 365 * 86400

# libfaketime would do, were the processes not confined: it wants to write shared memory.  This reads one number.
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift;
static unsigned char wall[4096]; /* timers of the wall clock, by descriptor */
static int (*get)(clockid_t, struct timespec *), (*make)(int, int);
static int (*set)(int, int, const struct itimerspec *, struct itimerspec *);

__attribute__((constructor)) static void
begin(void)
{
	int fd = open(getenv("TEST_CLOCK"), O_RDONLY | O_CLOEXEC);

	shift = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);
	if (shift == MAP_FAILED)
		abort();
	close(fd);
	get = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	make = (int (*)(int, int))dlsym(RTLD_NEXT, "timerfd_create");
	set = (int (*)(int, int, const struct itimerspec *, struct itimerspec *))dlsym(RTLD_NEXT, "timerfd_settime");
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int r;

	if (get == NULL)
		begin();
	r = get(id, ts);
	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += *shift;
	return r;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

int
timerfd_create(int id, int flags)
{
	int fd;

	if (make == NULL)
		begin();
	fd = make(id, flags);
	if (fd >= 0 && fd < (int)sizeof(wall))
		wall[fd] = id == CLOCK_REALTIME;
	return fd;
}

/* Nobody tells the kernel that this clock is set, so whoever wants to be told of it looks each 50 ms. */
int
timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *old)
{
	struct itimerspec soon = { .it_value = { .tv_nsec = 50 * 1000 * 1000 } };

	if ((flags & TFD_TIMER_CANCEL_ON_SET) != 0)
		return set(fd, 0, &soon, old);
	if (fd >= 0 && fd < (int)sizeof(wall) && wall[fd] && (flags & TFD_TIMER_ABSTIME) != 0) {
		soon = *at;
		soon.it_value.tv_sec -= *shift;
		at = &soon;
	}
	return set(fd, flags, at, old);
}
"""


class Clock:
    """env: what makes a process live by it."""

    def __init__(self, directory):
        if shutil.which("gcc") is None or os.environ.get("ESTUARY_SANITIZED"):
            pytest.skip("needs gcc, and a build into which something can be preloaded")
        source, lib, file = directory / "clock.c", directory / "clock.so", directory / "clock"
        source.write_text(SOURCE)
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(lib), str(source), "-ldl"], check=True)
        file.write_bytes(bytes(8))
        with open(file, "r+b") as f:
            self._map = mmap.mmap(f.fileno(), 8)
        self.env = {"LD_PRELOAD": str(lib), "TEST_CLOCK": str(file)}
        self.shift = 0

    def set(self, shift):
        """So many seconds away from the right time."""
        self.shift = shift
        self._map[:] = struct.pack("=q", shift)

    def step(self, seconds):
        self.set(self.shift + seconds)
