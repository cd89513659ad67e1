#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Drives the SDF library as an application does. The structures are written anew from the standard, not taken from the library. */
struct public_key { uint32_t bits; unsigned char x[64], y[64]; };
struct private_key { uint32_t bits; unsigned char k[64]; };
struct signature { unsigned char r[64], s[64]; };
struct ciphertext { unsigned char x[64], y[64], m[32]; uint32_t l; unsigned char c[512]; };
struct info { unsigned char issuer[40], name[16], serial[16]; uint32_t version, standard, asym[2], sym, hash, buffer; };
typedef struct { char a[sizeof(struct public_key) == 132 && sizeof(struct signature) == 128 && sizeof(struct info) == 100 ? 1 : -1]; } sizes_are_right;

#define FUNCTIONS(X) \
	X(OpenDevice, (void **)) X(CloseDevice, (void *)) X(OpenSession, (void *, void **)) X(CloseSession, (void *)) \
	X(GetDeviceInfo, (void *, struct info *)) X(GenerateRandom, (void *, uint32_t, unsigned char *)) \
	X(GetPrivateKeyAccessRight, (void *, uint32_t, unsigned char *, uint32_t)) X(ReleasePrivateKeyAccessRight, (void *, uint32_t)) \
	X(ExportSignPublicKey_ECC, (void *, uint32_t, struct public_key *)) X(ExportEncPublicKey_ECC, (void *, uint32_t, struct public_key *)) \
	X(InternalSign_ECC, (void *, uint32_t, unsigned char *, uint32_t, struct signature *)) \
	X(InternalVerify_ECC, (void *, uint32_t, unsigned char *, uint32_t, struct signature *)) \
	X(ExternalVerify_ECC, (void *, uint32_t, struct public_key *, unsigned char *, uint32_t, struct signature *)) \
	X(ExternalEncrypt_ECC, (void *, uint32_t, struct public_key *, unsigned char *, uint32_t, struct ciphertext *)) \
	X(InternalEncrypt_ECC, (void *, uint32_t, uint32_t, unsigned char *, uint32_t, struct ciphertext *)) \
	X(InternalDecrypt_ECC, (void *, uint32_t, uint32_t, struct ciphertext *, unsigned char *, uint32_t *)) \
	X(GenerateKeyPair_ECC, (void *, uint32_t, uint32_t, struct public_key *, struct private_key *)) \
	X(GenerateKeyWithIPK_ECC, (void *, uint32_t, uint32_t, struct ciphertext *, void **)) \
	X(GenerateKeyWithEPK_ECC, (void *, uint32_t, uint32_t, struct public_key *, struct ciphertext *, void **)) \
	X(ImportKeyWithISK_ECC, (void *, uint32_t, struct ciphertext *, void **)) \
	X(GenerateKeyWithKEK, (void *, uint32_t, uint32_t, uint32_t, unsigned char *, uint32_t *, void **)) \
	X(ImportKeyWithKEK, (void *, uint32_t, uint32_t, unsigned char *, uint32_t, void **)) X(DestroyKey, (void *, void *)) \
	X(Encrypt, (void *, void *, uint32_t, unsigned char *, unsigned char *, uint32_t, unsigned char *, uint32_t *)) \
	X(Decrypt, (void *, void *, uint32_t, unsigned char *, unsigned char *, uint32_t, unsigned char *, uint32_t *)) \
	X(CalculateMAC, (void *, void *, uint32_t, unsigned char *, unsigned char *, uint32_t, unsigned char *, uint32_t *)) \
	X(HashInit, (void *, uint32_t, struct public_key *, unsigned char *, uint32_t)) X(HashUpdate, (void *, unsigned char *, uint32_t)) \
	X(HashFinal, (void *, unsigned char *, uint32_t *))
#define X(name, args) static int (*name) args;
FUNCTIONS(X)
#undef X

#define EXPECT(want, call) expect(__LINE__, #call, (int)(want), call)
#define CHECK(cond) expect(__LINE__, #cond, 1, !!(cond))
enum { OK = 0, FAILED_SESSION = 0x01000006, DENIED = 0x01000007, NO_KEY = 0x01000008, NO_ALG = 0x01000009, BAD_SIGNATURE = 0x0100000E, BAD_DATA = 0x01000016,
	BAD_PASSWORD = 0x01000018, NO_ROOM = 0x0100001C, BAD_INPUT = 0x0100001D };

static void expect(int line, const char *what, int want, int got)
{
	if (want == got)
		return;
	fprintf(stderr, "sdfcheck.c:%d: %s: 0x%x, want 0x%x\n", line, what, (unsigned)got, (unsigned)want);
	exit(1);
}

static void print_hex(const char *name, const unsigned char *p, size_t n)
{
	printf("%s ", name);
	for (size_t i = 0; i < n; i++)
		printf("%02x", p[i]);
	printf("\n");
}

static void signs(void *s, unsigned char *password, uint32_t n)
{
	struct public_key pub;
	struct signature sig;
	unsigned char e[32];
	memset(e, 0x5A, sizeof e);
	EXPECT(DENIED, InternalSign_ECC(s, 1, e, 32, &sig));
	EXPECT(OK, GetPrivateKeyAccessRight(s, 1, password, n));
	EXPECT(OK, InternalSign_ECC(s, 1, e, 32, &sig));
	EXPECT(BAD_INPUT, InternalSign_ECC(s, 1, e, 31, &sig));
	EXPECT(NO_KEY, InternalSign_ECC(s, 99, e, 32, &sig));
	EXPECT(OK, ExportSignPublicKey_ECC(s, 1, &pub));
	EXPECT(NO_KEY, ExportSignPublicKey_ECC(s, 99, &pub));
	CHECK(pub.bits == 256 && pub.x[0] == 0 && pub.x[31] == 0);
	EXPECT(OK, InternalVerify_ECC(s, 1, e, 32, &sig));
	EXPECT(OK, ExternalVerify_ECC(s, 0x20200, &pub, e, 32, &sig));
	print_hex("x", pub.x + 32, 32);
	print_hex("y", pub.y + 32, 32);
	print_hex("r", sig.r + 32, 32);
	print_hex("s", sig.s + 32, 32);
	sig.r[0] = 1;
	EXPECT(BAD_SIGNATURE, ExternalVerify_ECC(s, 0x20200, &pub, e, 32, &sig));
	sig.r[0] = 0;
	sig.s[63] ^= 1;
	EXPECT(BAD_SIGNATURE, ExternalVerify_ECC(s, 0x20200, &pub, e, 32, &sig));
	pub.x[63] ^= 1;
	EXPECT(BAD_INPUT, ExternalVerify_ECC(s, 0x20200, &pub, e, 32, &sig));
	EXPECT(OK, ReleasePrivateKeyAccessRight(s, 1));
	EXPECT(DENIED, InternalSign_ECC(s, 1, e, 32, &sig));
}

static void opens(void *s, unsigned char *password, uint32_t n)
{
	struct public_key pub;
	struct ciphertext c, other;
	unsigned char out[64];
	uint32_t size = sizeof out;
	void *key, *again;
	EXPECT(OK, ExportEncPublicKey_ECC(s, 1, &pub));
	EXPECT(OK, ExternalEncrypt_ECC(s, 0x20800, &pub, (unsigned char *)"sixteen octets!!", 16, &c));
	CHECK(c.l == 16);
	EXPECT(DENIED, InternalDecrypt_ECC(s, 1, 0x20800, &c, out, &size));
	EXPECT(OK, GetPrivateKeyAccessRight(s, 1, password, n));
	size = 15;
	EXPECT(NO_ROOM, InternalDecrypt_ECC(s, 1, 0x20800, &c, out, &size));
	size = sizeof out;
	EXPECT(OK, InternalDecrypt_ECC(s, 1, 0x20800, &c, out, &size));
	CHECK(size == 16 && memcmp(out, "sixteen octets!!", 16) == 0);
	for (size_t i = 0; i < offsetof(struct ciphertext, c) + 16; i++) {
		if (i >= offsetof(struct ciphertext, l) && i < offsetof(struct ciphertext, c))
			continue;
		other = c;
		((unsigned char *)&other)[i] ^= 1;
		EXPECT(BAD_DATA, InternalDecrypt_ECC(s, 1, 0x20800, &other, out, &size));
	}
	EXPECT(OK, InternalEncrypt_ECC(s, 1, 0x20800, (unsigned char *)"x", 1, &other));
	EXPECT(OK, InternalDecrypt_ECC(s, 1, 0x20800, &other, out, &size));
	CHECK(size == 1 && out[0] == 'x');
	EXPECT(OK, GenerateKeyWithIPK_ECC(s, 1, 128, &other, &key));
	EXPECT(OK, ImportKeyWithISK_ECC(s, 1, &other, &again));
	EXPECT(OK, DestroyKey(s, key));
	EXPECT(OK, GenerateKeyWithEPK_ECC(s, 128, 0x20800, &pub, &other, &key));
	EXPECT(OK, DestroyKey(s, again));
	EXPECT(NO_KEY, DestroyKey(s, again));
}

static void session_keys(void *s, uint32_t sm4)
{
	unsigned char wrapped[16], iv[16] = {1}, iv2[16] = {1}, in[32] = "two blocks of text, 32 octets..", a[32], b[32], mac[16];
	uint32_t n = sizeof wrapped;
	void *key, *again;
	EXPECT(NO_KEY, GenerateKeyWithKEK(s, 128, sm4 | 1, 99, wrapped, &n, &key));
	EXPECT(NO_ALG, GenerateKeyWithKEK(s, 128, 0x9900 | 1, 1, wrapped, &n, &key));
	EXPECT(OK, GenerateKeyWithKEK(s, 128, sm4 | 1, 1, wrapped, &n, &key));
	EXPECT(OK, ImportKeyWithKEK(s, sm4 | 1, 1, wrapped, n, &again));
	EXPECT(OK, Encrypt(s, key, sm4 | 2, iv, in, 32, a, &n));
	CHECK(n == 32 && memcmp(iv, a + 16, 16) == 0);
	EXPECT(OK, Decrypt(s, again, sm4 | 2, iv2, a, 32, b, &n));
	CHECK(n == 32 && memcmp(in, b, 32) == 0);
	memset(iv, 0, 16);
	iv[0] = 1;
	EXPECT(OK, CalculateMAC(s, again, sm4 | 0x10, iv, in, 32, mac, &n));
	CHECK(n == 16 && memcmp(mac, a + 16, 16) == 0);
	EXPECT(BAD_INPUT, Encrypt(s, key, sm4 | 1, NULL, in, 31, a, &n));
	EXPECT(OK, Encrypt(s, key, sm4 | 1, NULL, in, 16, a, &n));
	EXPECT(OK, DestroyKey(s, key));
	EXPECT(NO_KEY, Encrypt(s, key, sm4 | 1, NULL, in, 16, a, &n));
}

static void hashes(void *s)
{
	unsigned char sum[32];
	uint32_t n = sizeof sum;
	EXPECT(OK, HashInit(s, 1, NULL, NULL, 0));
	EXPECT(OK, HashUpdate(s, (unsigned char *)"abc", 3));
	EXPECT(OK, HashFinal(s, sum, &n));
	print_hex("sm3", sum, n);
	struct public_key pub;
	EXPECT(OK, ExportSignPublicKey_ECC(s, 1, &pub));
	EXPECT(OK, HashInit(s, 1, &pub, (unsigned char *)"1234567812345678", 16));
	EXPECT(OK, HashUpdate(s, (unsigned char *)"message digest", 14));
	EXPECT(OK, HashFinal(s, sum, &n));
	print_hex("e", sum, n);
	EXPECT(0x01000010, HashFinal(s, sum, &n));
}

static void all(void *s, unsigned char *password, uint32_t n, uint32_t sm4)
{
	struct info info;
	struct public_key pub;
	struct private_key priv;
	unsigned char r[16];
	EXPECT(OK, GetDeviceInfo(s, &info));
	printf("maker %.40s\n", info.issuer);
	EXPECT(OK, GenerateRandom(s, sizeof r, r));
	EXPECT(OK, GenerateKeyPair_ECC(s, 0x20200, 256, &pub, &priv));
	signs(s, password, n);
	opens(s, password, n);
	session_keys(s, sm4);
	hashes(s);
}

/* sdfcheck LIBRARY PASSWORD all SM4 | wrong TIMES */
int main(int argc, char **argv)
{
	void *device, *s, *again, *lib = argc == 5 ? dlopen(argv[1], RTLD_NOW) : NULL;
	if (lib == NULL)
		return 2;
#define X(name, args) *(void **)&name = dlsym(lib, "SDF_" #name); CHECK(name != NULL);
	FUNCTIONS(X)
#undef X
	unsigned char *password = (unsigned char *)argv[2];
	uint32_t n = (uint32_t)strlen(argv[2]);
	EXPECT(OK, OpenDevice(&device));
	EXPECT(OK, OpenSession(device, &s));
	if (strcmp(argv[3], "all") == 0)
		all(s, password, n, (uint32_t)strtoul(argv[4], NULL, 16));
	for (int i = strcmp(argv[3], "wrong") == 0 ? atoi(argv[4]) : 0; i > 0; i--)
		EXPECT(BAD_PASSWORD, GetPrivateKeyAccessRight(s, 1, (unsigned char *)"wrong password", 14));
	if (strcmp(argv[3], "wrong") == 0)
		printf("right %x\n", GetPrivateKeyAccessRight(s, 1, password, n));
	EXPECT(OK, OpenSession(device, &again));
	EXPECT(OK, CloseSession(s));
	EXPECT(FAILED_SESSION, CloseSession(s));
	EXPECT(OK, CloseDevice(device));
	EXPECT(FAILED_SESSION, CloseSession(again));
	EXPECT(0x01000005, CloseDevice(device));
	dlclose(lib);
	printf("done\n");
	return 0;
}
