#include "check.h"

/* Nonsense: every function with no pointers, wild handles, sizes that lie. Nothing may crash; the sanitizers watch. */

static void nothing(void)
{
	EXPECT(CKR_CRYPTOKI_ALREADY_INITIALIZED, p11->C_Initialize(NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_Finalize((void *)1));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GetInfo(NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GetSlotList(0, NULL, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GetTokenInfo(0, NULL));
	EXPECT(CKR_SLOT_ID_INVALID, p11->C_GetTokenInfo(~0UL, &(CK_TOKEN_INFO){.flags = 0}));
	EXPECT(CKR_SLOT_ID_INVALID, p11->C_OpenSession(77, CKF_SERIAL_SESSION, NULL, NULL, &(CK_SESSION_HANDLE){0}));
	EXPECT(CKR_SESSION_PARALLEL_NOT_SUPPORTED, p11->C_OpenSession(0, 0, NULL, NULL, &(CK_SESSION_HANDLE){0}));
	EXPECT(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(0, 0x55555555, &(CK_MECHANISM_INFO){.flags = 0}));
	CK_ULONG n = 1;
	CK_MECHANISM_TYPE one;
	EXPECT(CKR_BUFFER_TOO_SMALL, p11->C_GetMechanismList(0, &one, &n));
	CHECK(n > 20);
	EXPECT(CKR_FUNCTION_NOT_SUPPORTED, p11->C_WaitForSlotEvent(1, NULL, NULL));
	EXPECT(CKR_FUNCTION_NOT_SUPPORTED, p11->C_GetOperationState(1, NULL, NULL));
	EXPECT(CKR_FUNCTION_NOT_PARALLEL, p11->C_GetFunctionStatus(1));
}

static void handles(CK_SESSION_HANDLE bad)
{
	CK_BYTE b[64] = {0};
	CK_ULONG n = sizeof b;
	CK_MECHANISM m = {CKM_SHA256, NULL, 0};
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(bad));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(bad, &(CK_SESSION_INFO){.flags = 0}));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_Login(bad, CKU_USER, b, 8));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_Logout(bad));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_FindObjectsInit(bad, NULL, 0));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_DigestInit(bad, &m));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_Digest(bad, b, 1, b, &n));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_Sign(bad, b, 1, b, &n));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_GenerateRandom(bad, b, 1));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_DestroyObject(bad, 1));
}

static void no_pointers(CK_SESSION_HANDLE s)
{
	CK_MECHANISM m = {CKM_SHA256, NULL, 0};
	CK_ULONG n = 0;
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_Login(s, CKU_USER, NULL, 8));
	EXPECT(CKR_USER_TYPE_INVALID, p11->C_Login(s, 99, (CK_BYTE *)"x", 1));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_SignInit(s, NULL, 1));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_Sign(s, NULL, 5, NULL, &n));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_Sign(s, NULL, 0, NULL, NULL));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, p11->C_Sign(s, NULL, 0, NULL, &n));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(s, NULL, &n));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, p11->C_Verify(s, NULL, 0, (CK_BYTE *)"x", 1));
	EXPECT(CKR_OPERATION_NOT_INITIALIZED, p11->C_FindObjects(s, &(CK_OBJECT_HANDLE){0}, 1, &n));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(s, NULL, 3));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(s, &(CK_ATTRIBUTE){CKA_CLASS, NULL, 0}, 1UL << 40));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(s, 1, NULL, 1));
	EXPECT(CKR_OBJECT_HANDLE_INVALID, p11->C_GetAttributeValue(s, 12345, &(CK_ATTRIBUTE){CKA_CLASS, NULL, 0}, 1));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(s, NULL, NULL, 0, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GenerateKeyPair(s, &m, NULL, 0, NULL, 0, NULL, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_WrapKey(s, &m, 1, 1, NULL, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_UnwrapKey(s, &m, 1, NULL, 0, NULL, 0, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_DeriveKey(s, &m, 1, NULL, 0, NULL));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GenerateRandom(s, NULL, 1));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_GenerateRandom(s, (CK_BYTE *)&n, 1UL << 60));
	EXPECT(CKR_ARGUMENTS_BAD, p11->C_Encrypt(s, (CK_BYTE *)&n, 1UL << 60, NULL, &n));
	EXPECT(CKR_TEMPLATE_INCOMPLETE, p11->C_CreateObject(s, NULL, 0, &(CK_OBJECT_HANDLE){0}));
}

static void sign_and_verify(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE k, CK_BYTE *in, CK_ULONG n)
{
	CK_BYTE out[1024];
	CK_ULONG room = n;
	if (p11->C_SignInit(s, m, k) == CKR_OK && p11->C_Sign(s, in, n, out, &room) == CKR_BUFFER_TOO_SMALL) {
		CHECK(room > n && room <= sizeof out);
		CK_RV rv = p11->C_Sign(s, in, n, out, &room);
		CHECK(rv == CKR_OK || rv == CKR_DATA_LEN_RANGE);
	}
	if (p11->C_VerifyInit(s, m, k) == CKR_OK)
		CHECK(p11->C_Verify(s, in, n, in, 255 - n) != CKR_OK);
}

static void cipher(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE k, CK_BYTE *in, CK_ULONG n)
{
	CK_BYTE out[1024];
	CK_ULONG room = sizeof out;
	if (p11->C_EncryptInit(s, m, k) == CKR_OK && p11->C_Encrypt(s, in, n, out, &room) == CKR_OK)
		CHECK(room <= sizeof out);
	room = sizeof out;
	if (p11->C_DecryptInit(s, m, k) == CKR_OK && p11->C_Decrypt(s, in, n, out, &room) == CKR_OK)
		CHECK(room <= n);
}

static void carry(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE k, CK_OBJECT_HANDLE other, CK_BYTE *in, CK_ULONG n)
{
	CK_BYTE out[1024];
	CK_ULONG room = sizeof out;
	CK_OBJECT_HANDLE h;
	if (p11->C_WrapKey(s, m, k, other, out, &room) == CKR_OK)
		CHECK(room >= 16);
	CHECK(p11->C_UnwrapKey(s, m, k, in, n, NULL, 0, &h) != CKR_OK);
	CHECK(p11->C_DeriveKey(s, m, k, NULL, 0, &h) != CKR_OK);
}

static void one_mechanism(CK_SESSION_HANDLE s, CK_ULONG code, CK_OBJECT_HANDLE k, CK_OBJECT_HANDLE other)
{
	static const CK_ULONG sizes[] = {0, 1, 15, 16, 17, 31, 32, 33, 64, 255}, params[] = {0, 16, 48};
	CK_BYTE in[256] = {1}, param[64] = {0};
	for (size_t i = 0; i < 30; i++) {
		CK_MECHANISM m = {code, param, params[i % 3]};
		CK_ULONG n = sizes[i / 3];
		sign_and_verify(s, &m, k, in, n);
		cipher(s, &m, k, in, n);
		carry(s, &m, k, other, in, n);
	}
}

/* Every mechanism with every size of parameter and input, on keys of every kind. */
static void mechanisms(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_MECHANISM_TYPE all[128];
	CK_OBJECT_HANDLE k[8];
	CK_ULONG n = 128;
	make_pair(s, c->pair, c->sm2_type, 0, "a", &k[0], &k[1]);
	make_pair(s, CKM_EC_KEY_PAIR_GEN, CKK_EC, 0, "b", &k[2], &k[3]);
	make_pair(s, CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, 0, "c", &k[4], &k[5]);
	k[6] = make_secret(s, CKM_AES_KEY_GEN, 32, 0, 1, "d");
	k[7] = make_secret(s, c->sm4_key, 16, 0, 1, "e");
	MUST(p11->C_GetMechanismList(0, all, &n));
	for (CK_ULONG i = 0; i < n; i++)
		for (int key = 0; key < 8; key++)
			one_mechanism(s, all[i], k[key], k[7]);
}

void run_abuse(const struct codes *c)
{
	nothing();
	handles(0);
	handles(4711);
	handles(~0UL);
	CK_SESSION_HANDLE s = logged_in();
	no_pointers(s);
	mechanisms(c, s);
	MUST(p11->C_Finalize(NULL));
	EXPECT(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_CloseSession(s));
	EXPECT(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetSlotList(0, NULL, &(CK_ULONG){0}));
	EXPECT(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
	MUST(p11->C_Initialize(NULL));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(s));
}
