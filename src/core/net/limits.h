/* SPDX-License-Identifier: Apache-2.0 */
/* net/limits.h - fixed limits of the HTTP server; everybody who can open a connection can reach them */
#ifndef CORE_NET_LIMITS_H
#define CORE_NET_LIMITS_H

#define NET_TARGET_MAX     4096u  /* octets of a request target */
#define NET_FIELDS_MAX     64u    /* fields of a head */
#define NET_METHOD_MAX     16u    /* characters of a method's name */
#define NET_HOST_MAX       255u   /* octets of a Host value */
#define NET_BLANKS_MAX     4u     /* empty lines before a request line (RFC 9112 2.2) */
#define NET_RECORD         16384u /* octets moved at a time: one TLS record */
#define NET_ACCEPT_BURST   64     /* connections taken in one turn of the loop */
#define NET_ACCEPT_PAUSE   100u   /* ms without accepting once descriptors have run out */
#define NET_STALE_MS       5000u  /* who has been idle for as long makes room for anybody */
#define NET_YIELD_LOOK     64     /* connections looked at to find the one that makes room */
#define NET_TICK_MS        250u   /* how exact deadlines are */
#define NET_WARM_MS        1000u  /* for how long an idle connection keeps what it found out about its client */
#define NET_WARM_MAX       256u   /* idle connections that do */
#define NET_DRAIN_MS       1000u  /* for a new connection's first request, once draining has begun */
#define NET_LINGER_MS      2000u  /* for how long a closed connection's last octets are read and dropped */
#define NET_LINGER_OCTETS  262144u
#define NET_CHUNK_OVERHEAD 8u     /* octets on the wire for one octet of a chunked body, at most */
#define NET_TURNS_MAX      32     /* rounds of work before the loop sees other events */
#define NET_BUSY_PER_UID   16u    /* connections over a uid's limit that are told so, at once; the rest is closed (Unix sockets) */
#define NET_BUSY_AFTER_S   5      /* the Retry-After that they get */
#define NET_CA_NAMES_MAX   8192u  /* octets of the list of CA names in a handshake; over it: an empty list */

#endif
