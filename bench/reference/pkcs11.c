/* What a PKCS#11 token does by itself: C_SignInit and C_Sign, again and again, in eight sessions at once, as our row has clients.
 *   raw MODULE TOKEN-LABEL PIN-FILE KEY-LABEL MECHANISM(hex) MILLISECONDS
 * prints signatures per CPU-second of this process, and per second. Only what the loop takes counts. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long ulong;
struct attribute { ulong type; void *value; ulong size; };
struct mechanism { ulong type; void *parameter; ulong size; };

enum { CLIENTS = 8 };

static void *module;
static ulong key;
static struct mechanism how;
static double until;

static void *find(const char *name)
{
	void *f = dlsym(module, name);
	if (f == NULL) {
		fprintf(stderr, "the module has no %s\n", name);
		exit(1);
	}
	return f;
}

static void must(const char *what, ulong rv)
{
	if (rv != 0) {
		fprintf(stderr, "%s: %08lx\n", what, rv);
		exit(1);
	}
}

static ulong find_slot(const char *label)
{
	ulong (*list)(unsigned char, ulong *, ulong *) = find("C_GetSlotList");
	ulong (*info)(ulong, void *) = find("C_GetTokenInfo");
	ulong slots[64], n = 64;
	must("C_GetSlotList", list(1, slots, &n));
	for (ulong i = 0; i < n; i++) {
		char token[1024] = {0}; /* CK_TOKEN_INFO begins with the label, 32 characters, blanks at the end */
		if (info(slots[i], token) == 0 && strncmp(token, label, strlen(label)) == 0 && token[strlen(label)] == ' ')
			return slots[i];
	}
	fprintf(stderr, "no token %s\n", label);
	exit(1);
}

static ulong open_session(ulong slot)
{
	ulong (*open)(ulong, ulong, void *, void *, ulong *) = find("C_OpenSession");
	ulong session;
	must("C_OpenSession", open(slot, 4, NULL, NULL, &session));
	return session;
}

static void log_in(ulong session, const char *pin_file)
{
	ulong (*login)(ulong, ulong, char *, ulong) = find("C_Login");
	char pin[256] = {0};
	FILE *in = fopen(pin_file, "r");
	if (in == NULL || fgets(pin, sizeof pin, in) == NULL) {
		fprintf(stderr, "no PIN in %s\n", pin_file);
		exit(1);
	}
	fclose(in);
	pin[strcspn(pin, "\r\n")] = '\0';
	must("C_Login", login(session, 1, pin, strlen(pin)));
}

static ulong find_key(ulong session, char *label)
{
	ulong (*init)(ulong, struct attribute *, ulong) = find("C_FindObjectsInit");
	ulong (*next)(ulong, ulong *, ulong, ulong *) = find("C_FindObjects");
	ulong (*final)(ulong) = find("C_FindObjectsFinal");
	ulong private = 3, found, n;
	struct attribute wanted[] = {{0, &private, sizeof private}, {3, label, strlen(label)}};
	must("C_FindObjectsInit", init(session, wanted, 2));
	must("C_FindObjects", next(session, &found, 1, &n));
	must("C_FindObjectsFinal", final(session));
	if (n == 0) {
		fprintf(stderr, "no key %s\n", label);
		exit(1);
	}
	return found;
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* One client: signs in its session until the time is over, and leaves there how often. */
static void *client(void *at)
{
	ulong (*sign_init)(ulong, struct mechanism *, ulong) = find("C_SignInit");
	ulong (*sign)(ulong, unsigned char *, ulong, unsigned char *, ulong *) = find("C_Sign");
	ulong *session = at, n = 0;
	unsigned char e[32] = {7}, out[512];
	while (seconds(CLOCK_MONOTONIC) < until)
		for (int i = 0; i < 8; i++, n++) {
			ulong size = sizeof out;
			must("C_SignInit", sign_init(*session, &how, key));
			must("C_Sign", sign(*session, e, sizeof e, out, &size));
		}
	*session = n;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 7)
		return 2;
	module = dlopen(argv[1], RTLD_NOW);
	if (module == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	ulong (*initialize)(void *) = find("C_Initialize");
	struct { void *locks[4]; ulong flags; void *reserved; } args = {.flags = 2}; /* CKF_OS_LOCKING_OK */
	ulong sessions[CLIENTS], n = 0;
	pthread_t threads[CLIENTS];
	must("C_Initialize", initialize(&args));
	ulong slot = find_slot(argv[2]);
	for (int i = 0; i < CLIENTS; i++)
		sessions[i] = open_session(slot);
	log_in(sessions[0], argv[3]);
	key = find_key(sessions[0], argv[4]);
	how.type = strtoul(argv[5], NULL, 16);
	double before = seconds(CLOCK_PROCESS_CPUTIME_ID), began = seconds(CLOCK_MONOTONIC);
	until = began + atof(argv[6]) / 1e3;
	for (int i = 0; i < CLIENTS; i++)
		if (pthread_create(&threads[i], NULL, client, &sessions[i]) != 0)
			return 1;
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		n += sessions[i];
	}
	printf("%f %f\n", n / (seconds(CLOCK_PROCESS_CPUTIME_ID) - before), n / (seconds(CLOCK_MONOTONIC) - began));
	return 0;
}
