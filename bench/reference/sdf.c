/* What an SDF device does by itself: SDF_InternalSign_ECC, again and again, in eight sessions at once, as
 * our row has clients.
 *   sdf LIBRARY PIN-FILE INDEX MILLISECONDS
 * prints signatures per CPU-second of this process, and per second. Only what the loop takes counts. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS = 8 };

struct client { void *session; long n; };

static void *library;
static unsigned key;
static double until;

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

/* One client: signs in its session until the time is over. */
static void *run(void *at)
{
	int (*sign)(void *, unsigned, unsigned char *, unsigned, void *) = find("SDF_InternalSign_ECC");
	struct client *c = at;
	unsigned char e[32] = {7}, out[512];
	while (seconds(CLOCK_MONOTONIC) < until)
		for (int i = 0; i < 8; i++, c->n++)
			must("SDF_InternalSign_ECC", sign(c->session, key, e, sizeof e, out));
	return NULL;
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
	struct client clients[CLIENTS] = {0};
	pthread_t threads[CLIENTS];
	void *device;
	long n = 0;
	key = (unsigned)atoi(argv[3]);
	must("SDF_OpenDevice", open_device(&device));
	for (int i = 0; i < CLIENTS; i++) {
		must("SDF_OpenSession", open_session(device, &clients[i].session));
		must("SDF_GetPrivateKeyAccessRight", right(clients[i].session, key, pin, (unsigned)strlen(pin)));
	}
	double before = seconds(CLOCK_PROCESS_CPUTIME_ID), began = seconds(CLOCK_MONOTONIC);
	until = began + atof(argv[4]) / 1e3;
	for (int i = 0; i < CLIENTS; i++)
		if (pthread_create(&threads[i], NULL, run, &clients[i]) != 0)
			return 1;
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		n += clients[i].n;
	}
	printf("%f %f\n", n / (seconds(CLOCK_PROCESS_CPUTIME_ID) - before), n / (seconds(CLOCK_MONOTONIC) - began));
	return 0;
}
