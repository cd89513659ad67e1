#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "token.h"

static void put(char *to, size_t room, const char *from)
{
	if (from != NULL && from[0] != '\0' && strlen(from) < room)
		strcpy(to, from);
}

/* The file beside the library, its name with ".conf" added: lines of NAME VALUE. It lets one process use several stores,
 * each by its own copy of the library. */
static void read_conf(struct place *p)
{
	char path[PATH_MAX + 8], line[PATH_MAX + 64];
	Dl_info self;
	if (dladdr((void *)(uintptr_t)&place_find, &self) == 0 || self.dli_fname == NULL || strlen(self.dli_fname) >= PATH_MAX)
		return;
	snprintf(path, sizeof path, "%s.conf", self.dli_fname);
	FILE *in = fopen(path, "re");
	while (in != NULL && fgets(line, sizeof line, in) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char *value = strchr(line, ' ');
		if (value == NULL)
			continue;
		*value++ = '\0';
		if (strcmp(line, "store") == 0)
			put(p->store, sizeof p->store, value);
		else if (strcmp(line, "faults") == 0)
			put(p->faults, sizeof p->faults, value);
		else if (strcmp(line, "dialect") == 0)
			put(p->dialect, sizeof p->dialect, value);
		else if (strcmp(line, "sessions") == 0)
			p->sessions = (unsigned)strtoul(value, NULL, 10);
	}
	if (in != NULL)
		fclose(in);
}

bool place_find(struct place *p)
{
	*p = (struct place){.sessions = 256};
	put(p->store, sizeof p->store, getenv("HUFU_SOFTTOKEN_STORE"));
	put(p->faults, sizeof p->faults, getenv("HUFU_SOFTTOKEN_FAULTS"));
	put(p->dialect, sizeof p->dialect, getenv("HUFU_SOFTTOKEN_DIALECT"));
	read_conf(p);
	if (p->faults[0] == '\0' && p->store[0] != '\0' && strlen(p->store) + sizeof "/faults" <= sizeof p->faults)
		snprintf(p->faults, sizeof p->faults, "%.*s/faults", (int)(sizeof p->faults - sizeof "/faults"), p->store);
	if (p->sessions < 1 || p->sessions > 65536)
		p->sessions = 256;
	return p->store[0] != '\0';
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

size_t place_tokens(const char *store, char names[][64], size_t room)
{
	size_t n = 0;
	struct stat st;
	DIR *d = opendir(store);
	for (struct dirent *e; d != NULL && n < room && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= 64)
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
			strcpy(names[n++], e->d_name);
	}
	if (d != NULL)
		closedir(d);
	qsort(names, n, sizeof names[0], by_name);
	return n;
}

int place_open(const char *store, const char *name)
{
	int top = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = top >= 0 ? openat(top, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (top >= 0)
		close(top);
	return fd;
}
