#include <pthread.h>

#include "check.h"

/* Many threads on one token: each signs with a shared key, makes and destroys its own, and at the end one closes all. */

#define THREADS 8
#define ROUNDS 20

static const struct codes *codes;
static CK_OBJECT_HANDLE shared, shared_public;

static void sign_once(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE prv, CK_OBJECT_HANDLE pub, CK_BYTE seed)
{
	CK_BYTE e[32], sig[80];
	CK_ULONG n = sizeof sig;
	CK_MECHANISM m = {codes->e, NULL, 0};
	memset(e, seed, sizeof e);
	MUST(p11->C_SignInit(s, &m, prv));
	MUST(p11->C_Sign(s, e, 32, sig, &n));
	MUST(p11->C_VerifyInit(s, &m, pub));
	MUST(p11->C_Verify(s, e, 32, sig, n));
}

static void *worker(void *arg)
{
	CK_SESSION_HANDLE s = session();
	for (int i = 0; i < ROUNDS; i++) {
		CK_OBJECT_HANDLE pub, prv;
		make_pair(s, codes->pair, codes->sm2_type, i % 4 == 0, "own", &pub, &prv);
		sign_once(s, shared, shared_public, (CK_BYTE)(size_t)arg);
		sign_once(s, prv, pub, (CK_BYTE)i);
		MUST(p11->C_DestroyObject(s, prv));
		MUST(p11->C_DestroyObject(s, pub));
	}
	MUST(p11->C_CloseSession(s));
	return NULL;
}

/* One session used by all threads at once, which no application should do, must not do harm either. */
static CK_SESSION_HANDLE common;
static void *unruly(void *arg)
{
	CK_BYTE e[32] = {0}, sig[80];
	CK_MECHANISM m = {codes->e, NULL, 0};
	for (int i = 0; i < 4 * ROUNDS; i++) {
		CK_ULONG n = sizeof sig;
		p11->C_SignInit(common, &m, shared);
		p11->C_Sign(common, e, 32, sig, &n);
		if (arg != NULL && i == 2 * ROUNDS)
			p11->C_CloseAllSessions(0);
	}
	return NULL;
}

static void all(void *(*f)(void *))
{
	pthread_t t[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&t[i], NULL, f, (void *)i) == 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

void run_threads(const struct codes *c)
{
	codes = c;
	common = logged_in();
	make_pair(common, c->pair, c->sm2_type, 1, "shared", &shared_public, &shared);
	all(worker);
	all(unruly);
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(common));
}
