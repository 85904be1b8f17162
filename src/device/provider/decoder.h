/* SPDX-License-Identifier: Apache-2.0 */
/* provider/decoder.h - the name of what stands between a PEM file and a key */
#ifndef DEVICE_PROVIDER_DECODER_H
#define DEVICE_PROVIDER_DECODER_H

/* The structure that the first step's output has and the second's input needs. */
#define DECODER_STRUCTURE "keyd-uri"

#endif
