#include <stdio.h>
#include <string.h>

#include "token.h"

static const struct {
	const char *name;
	size_t at;
} numbers[] = {
	{"slow", offsetof(struct faults, slow)}, {"no-session", offsetof(struct faults, no_session)},
	{"logged-out", offsetof(struct faults, logged_out)}, {"device-error", offsetof(struct faults, device_error)},
	{"function-failed", offsetof(struct faults, function_failed)}, {"wrong-signature", offsetof(struct faults, wrong_signature)},
	{"wrong-plaintext", offsetof(struct faults, wrong_plaintext)}, {"moved-handles", offsetof(struct faults, moved_handles)},
	{"restarted", offsetof(struct faults, restarted)}, {"session-limit", offsetof(struct faults, session_limit)},
};

static void set(struct faults *f, const char *name, unsigned value)
{
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (strcmp(name, numbers[i].name) == 0)
			memcpy((char *)f + numbers[i].at, &value, sizeof value);
}

/* A line that cannot be read is no fault: a tester may be in the middle of writing it. */
void faults_read(const char *path, struct faults *f)
{
	char line[160], name[40], word[64];
	*f = (struct faults){0};
	FILE *in = path[0] != '\0' ? fopen(path, "re") : NULL;
	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		unsigned value = 1;
		int words = sscanf(line, "%39s %63s", name, word);
		if (words == 2 && sscanf(word, "%u", &value) != 1)
			value = 1;
		if (words < 1)
			continue;
		if (strcmp(name, "removed") == 0)
			f->removed = true;
		else if (strcmp(name, "hang") == 0)
			f->hang = true;
		else if (strcmp(name, "at") == 0 && words == 2 && strlen(word) < sizeof f->at)
			strcpy(f->at, word);
		else if (strcmp(name, "slot") == 0 && words == 2)
			strcpy(f->slot, word);
		else
			set(f, name, value);
	}
	if (in != NULL)
		fclose(in);
}
