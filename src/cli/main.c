/* SPDX-License-Identifier: Apache-2.0 */
/* cli/main.c - estuary */
#include "cli/estuary.h"

int
main(int argc, char **argv)
{
	return program_main(&estuary_program, argc, argv);
}
