/* SPDX-License-Identifier: Apache-2.0 */
/* base/auto.h - scope-bound ownership for locals (gcc and clang) */
#ifndef CORE_BASE_AUTO_H
#define CORE_BASE_AUTO_H

#define AUTO(T)      __attribute__((cleanup(T##_autofree))) struct T *
#define AUTO_OSSL(T) __attribute__((cleanup(T##_autofree))) T *
#define AUTO_DEFINE(T, fn)                                                     \
	static inline void T##_autofree(struct T **p) { fn(*p); }
#define AUTO_DEFINE_OSSL(T, fn)                                                \
	static inline void T##_autofree(T **p) { fn(*p); }

/* A struct buf, or a file descriptor, that its scope gives back. */
#define AUTO_BUF __attribute__((cleanup(buf_free))) struct buf
#define AUTO_FD  __attribute__((cleanup(fd_autoclose))) int

/* Yield the pointer and forget it: how a local hands its object to the caller. */
#define TAKE(p) __extension__({ __typeof__(p) take_ = (p); (p) = NULL; take_; })
/* The same for a file descriptor. */
#define TAKE_FD(fd) __extension__({ int take_ = (fd); (fd) = -1; take_; })

/*
 * A large local of which everything is set before it is read.  The compiler would fill it with zeroes first
 * (-ftrivial-auto-var-init), which for some kilobytes costs more than the work that they are for.
 */
#define UNSET __attribute__((uninitialized))

#define MUST_CHECK    __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define N_OF(a)       (sizeof(a) / sizeof((a)[0]))

#endif
