/* What an SDF device does by itself: SDF_InternalSign_ECC, again and again, in one session.
 *   sdf LIBRARY PIN-FILE INDEX MILLISECONDS
 * prints signatures per CPU-second of this process. Only what the loop takes counts. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *library;

static void *find(const char *name)
{
	void *f = dlsym(library, name);
	if (f == NULL) {
		fprintf(stderr, "the library has no %s\n", name);
		exit(1);
	}
	return f;
}

static void must(const char *what, int rv)
{
	if (rv != 0) {
		fprintf(stderr, "%s: %08x\n", what, (unsigned)rv);
		exit(1);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	char pin[256] = {0};
	if (argc != 5)
		return 2;
	FILE *in = fopen(argv[2], "r");
	if (in == NULL || fgets(pin, sizeof pin, in) == NULL || (library = dlopen(argv[1], RTLD_NOW)) == NULL) {
		fprintf(stderr, "PIN file or library: %s\n", dlerror());
		return 1;
	}
	pin[strcspn(pin, "\r\n")] = '\0';
	int (*open_device)(void **) = find("SDF_OpenDevice");
	int (*open_session)(void *, void **) = find("SDF_OpenSession");
	int (*right)(void *, unsigned, char *, unsigned) = find("SDF_GetPrivateKeyAccessRight");
	int (*sign)(void *, unsigned, unsigned char *, unsigned, void *) = find("SDF_InternalSign_ECC");
	void *device, *session;
	unsigned index = (unsigned)atoi(argv[3]);
	must("SDF_OpenDevice", open_device(&device));
	must("SDF_OpenSession", open_session(device, &session));
	must("SDF_GetPrivateKeyAccessRight", right(session, index, pin, (unsigned)strlen(pin)));
	unsigned char e[32] = {7}, out[512];
	double until = seconds(CLOCK_MONOTONIC) + atof(argv[4]) / 1e3, before = seconds(CLOCK_PROCESS_CPUTIME_ID);
	long n = 0;
	while (seconds(CLOCK_MONOTONIC) < until)
		for (int i = 0; i < 8; i++, n++)
			must("SDF_InternalSign_ECC", sign(session, index, e, sizeof e, out));
	printf("%f\n", n / (seconds(CLOCK_PROCESS_CPUTIME_ID) - before));
	return 0;
}
