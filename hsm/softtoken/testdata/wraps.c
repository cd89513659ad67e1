#include "check.h"

/* Keys that leave and come back wrapped, and keys that are agreed. */

static CK_OBJECT_HANDLE extractable_pair(CK_SESSION_HANDLE s, CK_ULONG mech, CK_ULONG out, CK_OBJECT_HANDLE *pub)
{
	CK_BBOOL yes = CK_TRUE, extractable = (CK_BBOOL)out;
	CK_BYTE p256[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7};
	CK_OBJECT_HANDLE prv;
	CK_MECHANISM m = {mech, NULL, 0};
	CK_ATTRIBUTE pt[] = {{CKA_VERIFY, &yes, 1}, {CKA_EC_PARAMS, p256, sizeof p256}}, st[] = {{CKA_SIGN, &yes, 1}, {CKA_EXTRACTABLE, &extractable, 1}};
	MUST(p11->C_GenerateKeyPair(s, &m, pt, mech == CKM_EC_KEY_PAIR_GEN ? 2 : 1, st, 2, pub, &prv));
	return prv;
}

static CK_RV unwrap(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE k, CK_BYTE *in, CK_ULONG n, CK_ULONG type, CK_OBJECT_HANDLE *h)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_TOKEN, &no, 1}, {CKA_SIGN, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}};
	return p11->C_UnwrapKey(s, m, k, in, n, t, 5, h);
}

static void signs_for(CK_SESSION_HANDLE s, CK_ULONG mech, CK_OBJECT_HANDLE prv, CK_OBJECT_HANDLE pub)
{
	CK_BYTE e[32] = {9}, sig[80];
	CK_ULONG n = sizeof sig;
	CK_MECHANISM m = {mech, NULL, 0};
	MUST(p11->C_SignInit(s, &m, prv));
	MUST(p11->C_Sign(s, e, 32, sig, &n));
	MUST(p11->C_VerifyInit(s, &m, pub));
	MUST(p11->C_Verify(s, e, 32, sig, n));
}

static void out_and_in(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE kek, CK_ULONG pair, CK_ULONG type, CK_ULONG sign)
{
	CK_BYTE b[512];
	CK_ULONG n;
	CK_OBJECT_HANDLE pub, back, prv = extractable_pair(s, pair, 1, &pub), kept = extractable_pair(s, pair, 0, &pub);
	prv = extractable_pair(s, pair, 1, &pub);
	EXPECT(CKR_KEY_UNEXTRACTABLE, p11->C_WrapKey(s, m, kek, kept, b, &(CK_ULONG){sizeof b}));
	MUST(p11->C_WrapKey(s, m, kek, prv, NULL, &n));
	CHECK(n < sizeof b);
	n = 8;
	EXPECT(CKR_BUFFER_TOO_SMALL, p11->C_WrapKey(s, m, kek, prv, b, &n));
	n = sizeof b;
	MUST(p11->C_WrapKey(s, m, kek, prv, b, &n));
	MUST(unwrap(s, m, kek, b, n, type, &back));
	signs_for(s, sign, back, pub);
	EXPECT(CKR_KEY_UNEXTRACTABLE, p11->C_WrapKey(s, m, kek, back, b + 256, &(CK_ULONG){256}));
	MUST(p11->C_DestroyObject(s, back));
	EXPECT(CKR_WRAPPED_KEY_INVALID, unwrap(s, m, kek, b, n, CKK_RSA, &back));
	EXPECT(CKR_WRAPPED_KEY_INVALID, unwrap(s, m, kek, b, n - 8, type, &back));
	EXPECT(CKR_WRAPPED_KEY_INVALID, unwrap(s, m, kek, b, 0, type, &back));
	for (CK_ULONG i = 0; i < n; i += 7) {
		b[i] ^= 1;
		CK_RV rv = unwrap(s, m, kek, b, n, type, &back);
		CHECK(rv == CKR_WRAPPED_KEY_INVALID || (m->mechanism == CKM_AES_CBC_PAD && rv == CKR_OK));
		b[i] ^= 1;
	}
}

static void secrets(CK_SESSION_HANDLE s, CK_ULONG sm4, CK_ULONG gen, CK_OBJECT_HANDLE kek)
{
	CK_BYTE b[64], v[32];
	CK_ULONG n = sizeof b, type = sm4;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_OBJECT_HANDLE k = make_secret(s, gen, 16, 0, 1, "goes"), stays = make_secret(s, gen, 16, 0, 0, "stays"), back;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_MECHANISM m = {CKM_AES_KEY_WRAP_KWP, NULL, 0}, plain = {CKM_AES_KEY_WRAP, NULL, 0};
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_ENCRYPT, &yes, 1}, {CKA_SENSITIVE, &no, 1}, {CKA_EXTRACTABLE, &yes, 1}};
	CK_ATTRIBUTE value = {CKA_VALUE, v, sizeof v};
	EXPECT(CKR_KEY_UNEXTRACTABLE, p11->C_WrapKey(s, &m, kek, stays, b, &n));
	n = sizeof b;
	MUST(p11->C_WrapKey(s, &m, kek, k, b, &n));
	CHECK(n == 24);
	EXPECT(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(s, k, &value, 1));
	MUST(p11->C_UnwrapKey(s, &m, kek, b, n, t, 5, &back));
	value.ulValueLen = sizeof v;
	MUST(p11->C_GetAttributeValue(s, back, &value, 1));
	CHECK(value.ulValueLen == 16);
	n = sizeof b;
	MUST(p11->C_WrapKey(s, &plain, kek, k, b, &n));
	MUST(p11->C_UnwrapKey(s, &plain, kek, b, n, t, 5, &back));
	type = CKK_AES + 1000;
	EXPECT(CKR_WRAPPED_KEY_INVALID, p11->C_UnwrapKey(s, &plain, kek, b, n, t, 5, &back));
}

/* Both sides of ECDH come to the same octets; a point that is not on the curve is refused. */
static void agreement(const struct codes *c, CK_SESSION_HANDLE s, CK_ULONG pair, CK_ULONG type)
{
	CK_OBJECT_HANDLE pub[2], prv[2], k;
	CK_BYTE point[2][67], v[2][32];
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE t[] = {{CKA_SENSITIVE, &no, 1}, {CKA_EXTRACTABLE, &yes, 1}};
	for (int i = 0; i < 2; i++) {
		CK_ATTRIBUTE p = {CKA_EC_POINT, point[i], sizeof point[i]};
		make_pair(s, pair, type, 0, "agrees", &pub[i], &prv[i]);
		MUST(p11->C_GetAttributeValue(s, pub[i], &p, 1));
	}
	(void)c;
	for (int i = 0; i < 2; i++) {
		CK_ATTRIBUTE value = {CKA_VALUE, v[i], 32};
		CK_ULONG skip = point[1 - i][1] == 65 && i == 0 ? 2 : 0, n = point[1 - i][1] == 65 ? 67 : 65;
		CK_ECDH1_DERIVE_PARAMS e = {CKD_NULL, 0, NULL, n - skip, point[1 - i] + skip};
		CK_MECHANISM m = {CKM_ECDH1_DERIVE, &e, sizeof e};
		MUST(p11->C_DeriveKey(s, &m, prv[i], t, 2, &k));
		MUST(p11->C_GetAttributeValue(s, k, &value, 1));
		CHECK(value.ulValueLen == 32);
	}
	CHECK(memcmp(v[0], v[1], 32) == 0);
	point[0][40] ^= 1;
	CK_ECDH1_DERIVE_PARAMS e = {CKD_NULL, 0, NULL, point[0][1] == 65 ? 67 : 65, point[0]};
	CK_MECHANISM m = {CKM_ECDH1_DERIVE, &e, sizeof e};
	EXPECT(CKR_MECHANISM_PARAM_INVALID, p11->C_DeriveKey(s, &m, prv[1], t, 2, &k));
}

void run_wraps(const struct codes *c)
{
	CK_SESSION_HANDLE s = logged_in();
	CK_OBJECT_HANDLE aes = make_secret(s, CKM_AES_KEY_GEN, 32, 0, 0, "kek"), sm4 = make_secret(s, c->sm4_key, 16, 0, 0, "sm4 kek");
	CK_BYTE iv[16] = {3};
	CK_GCM_PARAMS g = {iv, 12, 96, (CK_BYTE *)"row 17", 6, 128};
	CK_MECHANISM kwp = {CKM_AES_KEY_WRAP_KWP, NULL, 0}, gcm = {CKM_AES_GCM, &g, sizeof g}, sm4_gcm = {c->gcm, &g, sizeof g}, pad = {CKM_AES_CBC_PAD, iv, 16};
	out_and_in(s, &kwp, aes, c->pair, c->sm2_type, c->e);
	out_and_in(s, &kwp, aes, CKM_EC_KEY_PAIR_GEN, CKK_EC, CKM_ECDSA);
	out_and_in(s, &gcm, aes, c->pair, c->sm2_type, c->e);
	out_and_in(s, &pad, aes, c->pair, c->sm2_type, c->e);
	if (c->gcm != 0)
		out_and_in(s, &sm4_gcm, sm4, c->pair, c->sm2_type, c->e);
	secrets(s, c->sm4_type, c->sm4_key, aes);
	agreement(c, s, c->pair, c->sm2_type);
	agreement(c, s, CKM_EC_KEY_PAIR_GEN, CKK_EC);
}
