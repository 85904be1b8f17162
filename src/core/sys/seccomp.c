/* SPDX-License-Identifier: Apache-2.0 */
/* sys/seccomp.c - the filters, by hand: they are few instructions long */
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
#include <unistd.h>

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

/* No io_uring, which can do what is denied below; calls above HIGHEST are not looked at one by one. */
#define HEAD_OF_ALL \
	LOAD(arch), \
	SKIP_IF(BPF_JEQ, ARCH, 1, 0), \
	RETURN(SECCOMP_RET_KILL_PROCESS), \
	LOAD(nr), \
	SKIP_IF(BPF_JGT, HIGHEST, 1, 0), \
	SKIP_IF(BPF_JEQ, __NR_io_uring_setup, 0, 1), \
	DENY
#define DENIED(call) SKIP_IF(BPF_JEQ, call, 0, 1), DENY
/* Only with this value as the low half of its first argument (both architectures are little-endian), or only without. */
#define DENIED_BUT(call, value) SKIP_IF(BPF_JEQ, call, 0, 4), LOAD(args[0]), SKIP_IF(BPF_JEQ, value, 1, 0), DENY, LOAD(nr)
#define DENIED_FOR(call, value) SKIP_IF(BPF_JEQ, call, 0, 4), LOAD(args[0]), SKIP_IF(BPF_JEQ, value, 0, 1), DENY, LOAD(nr)

static bool
filter(struct sock_filter *code, size_t n, struct buf *report)
{
	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		buf_printf(report, "seccomp=missing(%s)", strerrorname_np(errno));
		return false;
	}
	buf_put_str(report, "seccomp=yes");
	return true;
}

bool
seccomp_enter(bool network, bool local, struct buf *report)
{
	struct sock_filter alone[] = {
		HEAD_OF_ALL,
		DENIED_BUT(__NR_socket, AF_UNIX),
		DENIED(__NR_connect),
		DENIED(__NR_kill),
		DENIED(__NR_tkill),
		DENIED_BUT(__NR_tgkill, (uint32_t)getpid()), /* abort() */
		DENIED(__NR_rt_sigqueueinfo),
		DENIED(__NR_rt_tgsigqueueinfo),
		DENIED(__NR_pidfd_send_signal),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_filter local_alone[] = { HEAD_OF_ALL, DENIED_BUT(__NR_socket, AF_UNIX), RETURN(SECCOMP_RET_ALLOW) };
	struct sock_filter network_alone[] = { HEAD_OF_ALL, DENIED_FOR(__NR_socket, AF_UNIX), RETURN(SECCOMP_RET_ALLOW) };

	if (network)
		return local || filter(network_alone, N_OF(network_alone), report);
	return local ? filter(local_alone, N_OF(local_alone), report) : filter(alone, N_OF(alone), report);
}

#else

bool
seccomp_enter(bool network, bool local, struct buf *report)
{
	if (network && local)
		return true;
	buf_put_str(report, "seccomp=missing(architecture)");
	return false;
}

#endif
