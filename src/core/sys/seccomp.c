/* SPDX-License-Identifier: Apache-2.0 */
/* sys/seccomp.c - the filter, by hand: it is ten instructions long */
#include "core/sys/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define HIGHEST 0x3fffffffu /* above it is the x32 twin of every call */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#define HIGHEST 0xffffffffu
#endif

#ifdef ARCH

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define SKIP_IF(op, k, yes, no) BPF_JUMP(BPF_JMP | (op) | BPF_K, (k), (yes), (no))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define DENY         RETURN(SECCOMP_RET_ERRNO | EPERM)

bool
seccomp_enter(struct buf *report)
{
	struct sock_filter code[] = {
		LOAD(arch),
		SKIP_IF(BPF_JEQ, ARCH, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		SKIP_IF(BPF_JGT, HIGHEST, 4, 0),
		SKIP_IF(BPF_JEQ, __NR_io_uring_setup, 3, 0),
		SKIP_IF(BPF_JEQ, __NR_socket, 0, 3),
		LOAD(args[0]), /* its low half: both are little-endian */
		SKIP_IF(BPF_JEQ, AF_UNIX, 1, 0),
		DENY,
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = N_OF(code), .filter = code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		buf_printf(report, "seccomp=missing(%s)", strerrorname_np(errno));
		return false;
	}
	buf_put_str(report, "seccomp=yes");
	return true;
}

#else

bool
seccomp_enter(struct buf *report)
{
	buf_put_str(report, "seccomp=missing(architecture)");
	return false;
}

#endif
