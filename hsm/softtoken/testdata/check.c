#include <dlfcn.h>
#include <unistd.h>

#include "check.h"

CK_FUNCTION_LIST *p11;
const char *pin;

static const struct codes all[] = {
	{"neutral", 0xFFFFF001, 0xFFFFF002, 0xFFFFF001, 0xFFFFF002, 0xFFFFF003, 0xFFFFF004, 0xFFFFF005, 0xFFFFF006, 0xFFFFF007, 0xFFFFF008, 0xFFFFF00B,
		0xFFFFF00D, 0xFFFFF101, 0, 1, 0},
	{"sansec", 0x80000004, 0x80000106, 0x80008001, 0x80008104, 0x80008102, 0x80008201, 0x80009001, 0x80000107, 0x80000108, 0x80000109, 0x8000A201, 0, 0, 0, 1, 1},
	{"tass", 0x80000004, 0x80000002, 0x80008001, 0x80008000, 0x80008100, 0x80008200, 0x80000005, 0x80000107, 0x80000108, 0x80000109, 0x8000010C, 0,
		0x80000007, 1, 1, 1},
	{"luna", 0x80000016, 0x80000015, 0x80000B20, 0x80000B21, 0x80000B22, 0, 0x80000B01, 0x80000B10, 0x80000B11, 0x80000B12, 0x80000B13, 0, 0x80000B02, 0, 1, 0},
	{"ep11", 0x80050002, 0x80050001, 0x8005000A, 0x8005000B, 0x8005000C, 0x8005000D, 0x8005000E, 0x80050001, 0x80050004, 0x80050002, 0x80050003, 0, 0, 0, 1, 0},
};

const struct codes *codes_of(const char *dialect)
{
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (strcmp(all[i].dialect, dialect) == 0)
			return &all[i];
	exit(2);
}

void expect(const char *file, int line, const char *what, CK_RV want, CK_RV got)
{
	if (want == got)
		return;
	fprintf(stderr, "%s:%d: %s: 0x%lx, want 0x%lx\n", file, line, what, got, want);
	exit(1);
}

void check(const char *file, int line, const char *what, int ok)
{
	if (ok)
		return;
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	exit(1);
}

CK_SESSION_HANDLE session(void)
{
	CK_SESSION_HANDLE s;
	MUST(p11->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s));
	return s;
}

CK_SESSION_HANDLE logged_in(void)
{
	CK_SESSION_HANDLE s = session();
	CK_RV rv = p11->C_Login(s, CKU_USER, (CK_BYTE *)pin, strlen(pin));
	CHECK(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
	return s;
}

void make_pair(CK_SESSION_HANDLE s, CK_ULONG mech, CK_ULONG key_type, int token, const char *label, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *prv)
{
	CK_BBOOL yes = CK_TRUE, on_token = token ? CK_TRUE : CK_FALSE;
	CK_BYTE p256[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7};
	CK_ULONG bits = 2048;
	CK_MECHANISM m = {mech, NULL, 0};
	CK_ATTRIBUTE pt[8] = {{CKA_TOKEN, &on_token, 1}, {CKA_VERIFY, &yes, 1}, {CKA_ENCRYPT, &yes, 1}, {CKA_LABEL, (void *)label, strlen(label)}, {CKA_ID, (void *)label, strlen(label)}};
	CK_ATTRIBUTE st[] = {{CKA_TOKEN, &on_token, 1}, {CKA_SIGN, &yes, 1}, {CKA_DECRYPT, &yes, 1}, {CKA_DERIVE, &yes, 1}, {CKA_LABEL, (void *)label, strlen(label)},
		{CKA_ID, (void *)label, strlen(label)}, {CKA_KEY_TYPE, &key_type, sizeof key_type}};
	CK_ULONG n = 5;
	if (mech == CKM_EC_KEY_PAIR_GEN)
		pt[n++] = (CK_ATTRIBUTE){CKA_EC_PARAMS, p256, sizeof p256};
	if (mech == CKM_RSA_PKCS_KEY_PAIR_GEN)
		pt[n++] = (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof bits};
	MUST(p11->C_GenerateKeyPair(s, &m, pt, n, st, sizeof st / sizeof st[0], pub, prv));
}

CK_OBJECT_HANDLE make_secret(CK_SESSION_HANDLE s, CK_ULONG mech, CK_ULONG size, int token, int extractable, const char *label)
{
	CK_BBOOL yes = CK_TRUE, on_token = token ? CK_TRUE : CK_FALSE, out = extractable ? CK_TRUE : CK_FALSE;
	CK_MECHANISM m = {mech, NULL, 0};
	CK_ATTRIBUTE t[] = {{CKA_TOKEN, &on_token, 1}, {CKA_ENCRYPT, &yes, 1}, {CKA_DECRYPT, &yes, 1}, {CKA_WRAP, &yes, 1}, {CKA_UNWRAP, &yes, 1}, {CKA_SIGN, &yes, 1},
		{CKA_VERIFY, &yes, 1}, {CKA_EXTRACTABLE, &out, 1}, {CKA_LABEL, (void *)label, strlen(label)}, {CKA_VALUE_LEN, &size, sizeof size}};
	CK_OBJECT_HANDLE h;
	MUST(p11->C_GenerateKey(s, &m, t, sizeof t / sizeof t[0], &h));
	return h;
}

size_t hex(const char *text, unsigned char *out)
{
	size_t n = strlen(text) / 2;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		CHECK(sscanf(text + 2 * i, "%2x", &v) == 1);
		out[i] = (unsigned char)v;
	}
	return n;
}

void print_hex(const char *name, const unsigned char *p, size_t n)
{
	printf("%s ", name);
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
	printf("\n");
}

static CK_ULONG count(CK_SESSION_HANDLE s, CK_OBJECT_CLASS class)
{
	CK_OBJECT_HANDLE h[64];
	CK_ULONG n, total = 0;
	CK_ATTRIBUTE t = {CKA_CLASS, &class, sizeof class};
	MUST(p11->C_FindObjectsInit(s, &t, 1));
	do {
		MUST(p11->C_FindObjects(s, h, 64, &n));
		total += n;
	} while (n > 0);
	MUST(p11->C_FindObjectsFinal(s));
	return total;
}

/* Makes n SM2 pairs, one line after each, so that the killer knows when to strike. */
static void generate(const struct codes *c, int n)
{
	CK_SESSION_HANDLE s = logged_in();
	CK_OBJECT_HANDLE pub, prv;
	for (int i = 0; i < n; i++) {
		make_pair(s, c->pair, c->sm2_type, 1, "made", &pub, &prv);
		printf("made %d\n", i);
		fflush(stdout);
	}
}

/* A second copy of the module in this process is another device: its own store, handles and login. */
static void two(const struct codes *c, const char *path)
{
	CK_FUNCTION_LIST *first = p11;
	CK_RV (*list)(CK_FUNCTION_LIST **);
	CK_OBJECT_HANDLE pub, prv;
	CK_TOKEN_INFO a, b;
	CK_SESSION_HANDLE s = logged_in(), t;
	make_pair(s, c->pair, c->sm2_type, 1, "first", &pub, &prv);
	void *lib = dlopen(path, RTLD_NOW);
	CHECK(lib != NULL);
	*(void **)&list = dlsym(lib, "C_GetFunctionList");
	MUST(list(&p11));
	EXPECT(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetInfo(&(CK_INFO){.flags = 0}));
	MUST(p11->C_Initialize(NULL));
	MUST(first->C_GetTokenInfo(0, &a));
	MUST(p11->C_GetTokenInfo(0, &b));
	CHECK(memcmp(a.serialNumber, b.serialNumber, sizeof a.serialNumber) != 0);
	t = session();
	CHECK(count(t, CKO_PUBLIC_KEY) == 0);
	MUST(p11->C_Login(t, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
	make_pair(t, c->pair, c->sm2_type, 1, "second", &pub, &prv);
	MUST(p11->C_Finalize(NULL));
	dlclose(lib);
	p11 = first;
	CHECK(count(s, CKO_PRIVATE_KEY) == 1);
}

static void login_only(const char *with)
{
	CK_SESSION_HANDLE s = session();
	printf("login %lx\n", p11->C_Login(s, CKU_USER, (CK_BYTE *)with, strlen(with)));
}

int main(int argc, char **argv)
{
	CK_RV (*list)(CK_FUNCTION_LIST **);
	if (argc != 6) /* MODULE DIALECT PIN WHAT ARGUMENT */
		return 2;
	void *lib = dlopen(argv[1], RTLD_NOW);
	if (lib == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	*(void **)&list = dlsym(lib, "C_GetFunctionList");
	CHECK(list != NULL);
	MUST(list(&p11));
	const struct codes *c = codes_of(argv[2]);
	pin = argv[3];
	const char *what = argv[4];
	MUST(p11->C_Initialize(NULL));
	if (strcmp(what, "round") == 0)
		run_round(c);
	else if (strcmp(what, "known") == 0)
		run_known(c);
	else if (strcmp(what, "wraps") == 0)
		run_wraps(c);
	else if (strcmp(what, "abuse") == 0)
		run_abuse(c);
	else if (strcmp(what, "threads") == 0)
		run_threads(c);
	else if (strcmp(what, "policy") == 0)
		run_policy(c);
	else if (strcmp(what, "open") == 0)
		run_open(c, argv[5]);
	else if (strcmp(what, "faults") == 0)
		run_faults(c, argv[5]);
	else if (strcmp(what, "generate") == 0)
		generate(c, atoi(argv[5]));
	else if (strcmp(what, "two") == 0)
		two(c, argv[5]);
	else if (strcmp(what, "login") == 0)
		login_only(argv[5]);
	else if (strcmp(what, "count") == 0) {
		CK_SESSION_HANDLE s = logged_in();
		printf("public %lu private %lu\n", count(s, CKO_PUBLIC_KEY), count(s, CKO_PRIVATE_KEY));
	} else
		return 2;
	MUST(p11->C_Finalize(NULL));
	dlclose(lib);
	printf("done\n");
	return 0;
}
