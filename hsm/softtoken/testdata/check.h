/* A program that drives the module as an application does, for the tests of package softtoken. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/pkcs11.h"

extern CK_FUNCTION_LIST *p11;
extern const char *pin;

/* The codes of a dialect, copied from the reference and not from the token's table. */
struct codes {
	const char *dialect;
	CK_ULONG sm2_type, sm4_type, pair, e, message, encrypt, sm3, sm4_key, ecb, cbc, cbc_pad, gcm, hmac;
	int der, za, point_on_private;
};
const struct codes *codes_of(const char *dialect);

#define EXPECT(want, call) expect(__FILE__, __LINE__, #call, want, call)
#define MUST(call) EXPECT(CKR_OK, call)
#define CHECK(cond) check(__FILE__, __LINE__, #cond, cond)
void expect(const char *file, int line, const char *what, CK_RV want, CK_RV got);
void check(const char *file, int line, const char *what, int ok);

CK_SESSION_HANDLE session(void);  /* read-write */
CK_SESSION_HANDLE logged_in(void);
void make_pair(CK_SESSION_HANDLE s, CK_ULONG mech, CK_ULONG key_type, int token, const char *label, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *prv);
CK_OBJECT_HANDLE make_secret(CK_SESSION_HANDLE s, CK_ULONG mech, CK_ULONG size, int token, int extractable, const char *label);
size_t hex(const char *text, unsigned char *out);
void print_hex(const char *name, const unsigned char *p, size_t n);

void run_round(const struct codes *c);
void run_known(const struct codes *c);
void run_wraps(const struct codes *c);
void run_abuse(const struct codes *c);
void run_threads(const struct codes *c);
void run_policy(const struct codes *c);
void run_open(const struct codes *c, const char *ciphertext);
void run_faults(const struct codes *c, const char *file);

#endif
