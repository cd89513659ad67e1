#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* Each fault does what README.md says, and ends with its line. */

static const char *file;
static const struct codes *codes;

static void faults(const char *text)
{
	char draft[4096];
	CHECK(snprintf(draft, sizeof draft, "%s.draft", file) < (int)sizeof draft);
	FILE *f = fopen(draft, "w");
	CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0 && rename(draft, file) == 0);
}

static CK_RV sign(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE k, CK_BYTE *sig, CK_ULONG *n)
{
	CK_BYTE e[32] = {1};
	CK_MECHANISM m = {codes->e, NULL, 0};
	CK_RV rv = p11->C_SignInit(s, &m, k);
	*n = 80;
	return rv == CKR_OK ? p11->C_Sign(s, e, 32, sig, n) : rv;
}

static CK_RV sign_verified(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE prv, CK_OBJECT_HANDLE pub)
{
	CK_BYTE e[32] = {1}, sig[80];
	CK_ULONG n;
	CK_MECHANISM m = {codes->e, NULL, 0};
	CK_RV rv = sign(s, prv, sig, &n);
	if (rv != CKR_OK)
		return rv;
	MUST(p11->C_VerifyInit(s, &m, pub));
	return p11->C_Verify(s, e, 32, sig, n);
}

static void every_third(const char *text, CK_RV want, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE prv, CK_OBJECT_HANDLE pub)
{
	int hit = 0;
	faults(text);
	for (int i = 0; i < 9; i++) {
		CK_RV rv = sign_verified(s, prv, pub);
		CHECK(rv == CKR_OK || rv == want);
		hit += rv == want;
	}
	faults("");
	CHECK(hit == 3);
	MUST(sign_verified(s, prv, pub));
}

static void removed(CK_SESSION_HANDLE s)
{
	CK_ULONG n = 9;
	faults("removed\n");
	EXPECT(CKR_DEVICE_REMOVED, p11->C_GetSessionInfo(s, &(CK_SESSION_INFO){.flags = 0}));
	MUST(p11->C_GetSlotList(CK_TRUE, NULL, &n));
	CHECK(n == 0);
	MUST(p11->C_GetSlotList(CK_FALSE, NULL, &n));
	CHECK(n == 2);
	EXPECT(CKR_TOKEN_NOT_PRESENT, p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s));
	EXPECT(CKR_TOKEN_NOT_PRESENT, p11->C_GetTokenInfo(0, &(CK_TOKEN_INFO){.flags = 0}));
	faults("");
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(s, &(CK_SESSION_INFO){.flags = 0}));
}

/* With the second token gone, which lies in folder zz, the first goes on. */
static void one_removed(CK_OBJECT_HANDLE prv)
{
	CK_BYTE sig[80];
	CK_ULONG n = 9;
	CK_SLOT_ID ids[9];
	CK_SESSION_HANDLE other, s = logged_in();
	MUST(p11->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &other));
	faults("removed\nslot zz\n");
	EXPECT(CKR_DEVICE_REMOVED, p11->C_GetSessionInfo(other, &(CK_SESSION_INFO){.flags = 0}));
	EXPECT(CKR_TOKEN_NOT_PRESENT, p11->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &other));
	MUST(p11->C_GetSlotList(CK_TRUE, ids, &n));
	CHECK(n == 1 && ids[0] == 0);
	MUST(sign(s, prv, sig, &n));
	faults("");
	MUST(p11->C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &other));
	MUST(p11->C_CloseAllSessions(0));
}

static void lost(CK_OBJECT_HANDLE prv)
{
	CK_BYTE sig[80];
	CK_ULONG n;
	CK_SESSION_HANDLE keeper = logged_in(), s = session();
	faults("no-session 1\nat C_SignInit\n");
	EXPECT(CKR_SESSION_HANDLE_INVALID, sign(s, prv, sig, &n));
	faults("");
	EXPECT(CKR_SESSION_HANDLE_INVALID, sign(s, prv, sig, &n));
	MUST(sign(keeper, prv, sig, &n));
	faults("logged-out 1\nat C_SignInit\n");
	EXPECT(CKR_USER_NOT_LOGGED_IN, sign(keeper, prv, sig, &n));
	faults("");
	EXPECT(CKR_USER_NOT_LOGGED_IN, sign(keeper, prv, sig, &n));
	MUST(p11->C_Login(keeper, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
	MUST(sign(keeper, prv, sig, &n));
	faults("restarted 1\n");
	EXPECT(CKR_SESSION_HANDLE_INVALID, sign(keeper, prv, sig, &n));
	keeper = logged_in();
	MUST(sign(keeper, prv, sig, &n));
	faults("restarted 1\nsession-limit 1\n");
	EXPECT(CKR_SESSION_COUNT, p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s));
	faults("restarted 1\n");
	MUST(p11->C_CloseAllSessions(0));
}

/* After the move the handle of one key means another: what it signs no longer verifies with the first one's public half. */
static void moved(CK_OBJECT_HANDLE pub, CK_OBJECT_HANDLE prv)
{
	CK_SESSION_HANDLE s = logged_in();
	CK_OBJECT_HANDLE pub2, prv2;
	CK_BYTE before[80], after[80];
	CK_ATTRIBUTE a = {CKA_EC_POINT, before, sizeof before}, b = {CKA_EC_POINT, after, sizeof after};
	make_pair(s, codes->pair, codes->sm2_type, 1, "second", &pub2, &prv2);
	MUST(p11->C_GetAttributeValue(s, pub, &a, 1));
	faults("restarted 1\nmoved-handles 1\n");
	MUST(p11->C_GetAttributeValue(s, pub, &b, 1));
	CHECK(memcmp(before, after, a.ulValueLen) != 0);
	MUST(p11->C_DestroyObject(s, prv));
	MUST(sign_verified(s, prv2, pub2));
}

static long elapsed_ms(struct timespec from)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
}

static void *release(void *unused)
{
	(void)unused;
	usleep(300000);
	faults("restarted 1\nmoved-handles 1\n");
	return NULL;
}

static void slow(CK_SESSION_HANDLE s)
{
	struct timespec from;
	pthread_t t;
	CK_BYTE r[4];
	faults("restarted 1\nmoved-handles 1\nslow 100\nat C_GenerateRandom\n");
	clock_gettime(CLOCK_MONOTONIC, &from);
	MUST(p11->C_GenerateRandom(s, r, sizeof r));
	CHECK(elapsed_ms(from) >= 100);
	faults("restarted 1\nmoved-handles 1\nhang\n");
	CHECK(pthread_create(&t, NULL, release, NULL) == 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	MUST(p11->C_GenerateRandom(s, r, sizeof r));
	CHECK(elapsed_ms(from) >= 250);
	pthread_join(t, NULL);
}

void run_faults(const struct codes *c, const char *path)
{
	CK_OBJECT_HANDLE pub, prv;
	file = path;
	codes = c;
	faults("");
	CK_SESSION_HANDLE s = logged_in();
	make_pair(s, c->pair, c->sm2_type, 1, "first", &pub, &prv);
	every_third("wrong-signature 3\n", CKR_SIGNATURE_INVALID, s, prv, pub);
	every_third("device-error 3\nat C_SignInit\n", CKR_DEVICE_ERROR, s, prv, pub);
	every_third("function-failed 3\nat C_SignInit\n", CKR_FUNCTION_FAILED, s, prv, pub);
	faults("no such fault\n\xff\n");
	MUST(sign_verified(s, prv, pub));
	removed(s);
	one_removed(prv);
	lost(prv);
	moved(pub, prv);
	slow(logged_in());
}
