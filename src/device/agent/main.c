/* SPDX-License-Identifier: Apache-2.0 */
/* agent/main.c - estuary-agent, and the services under their own names */
#include <string.h>

#include "core/base/mem.h"
#include "device/agent/agent.h"

/* "iotedge -H URL VERB": where the Edge daemon would be asked, which nobody does here.  How many words that is. */
static int
host_words(const char *name, int argc, char **argv)
{
	if (strcmp(name, "iotedge") != 0 || argc < 2)
		return 0;
	if (strncmp(argv[1], "--host=", 7) == 0)
		return 1;
	return argc > 2 && (strcmp(argv[1], "-H") == 0 || strcmp(argv[1], "--host") == 0) ? 2 : 0;
}

/* "aziot-keyd ARGS" is "estuary-agent keyd ARGS", and so is "aziotd aziot-keyd ARGS". */
int
main(int argc, char **argv)
{
	const char *service = argc > 0 ? agent_service_of(argv[0]) : NULL;
	struct program program = agent_program_as(argc > 0 ? argv[0] : "");
	int skip = host_words(program.name, argc, argv), status;
	char **words;

	argc -= skip;
	argv += skip;
	if (service == NULL && argc > 1 && agent_service_of(argv[1]) != NULL) {
		service = agent_service_of(argv[1]);
		argc--;
		argv++;
	}
	if (service == NULL)
		return program_main(&program, argc, argv);
	words = mem_zalloc_n((size_t)argc + 2, sizeof(*words));
	words[0] = argv[0];
	words[1] = mem_strdup(service);
	memcpy(words + 2, argv + 1, ((size_t)argc - 1) * sizeof(*words));
	status = program_main(&program, argc + 1, words);
	mem_free(words[1]);
	mem_free(words);
	return status;
}
