/* SPDX-License-Identifier: Apache-2.0 */
/* check/report.h - results as text for people, or as JSON in the form that existing programs read */
#ifndef DEVICE_CHECK_REPORT_H
#define DEVICE_CHECK_REPORT_H

#include "device/check/inside.h"

struct reporter {
	const struct check_options *o;
	json_t *checks;      /* CHECK_JSON: by ID */
	size_t n[CHECK_TOLD];
};

void report_begin(struct reporter *p, const struct check_options *o);
void report_section(struct reporter *p, const char *name);
void report_section_end(struct reporter *p);
/* A warning counts as an error where the options say so. */
void report_check(struct reporter *p, const char *id, const char *description, const struct check_result *r);
/* The summary, or what ends the JSON; info is borrowed. */
void report_end(struct reporter *p, json_t *info);
bool report_ok(const struct reporter *p);

#endif
