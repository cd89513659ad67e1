#include "check.h"

/* What every dialect can: make, find, sign, verify, encrypt, destroy. Prints what the Go side checks by other means. */

static void sign(CK_SESSION_HANDLE s, CK_ULONG mech, CK_OBJECT_HANDLE k, const void *in, CK_ULONG n, CK_BYTE *sig, CK_ULONG *sig_n)
{
	CK_MECHANISM m = {mech, NULL, 0};
	MUST(p11->C_SignInit(s, &m, k));
	MUST(p11->C_Sign(s, (CK_BYTE *)in, n, NULL, sig_n));
	CHECK(*sig_n <= 512);
	MUST(p11->C_Sign(s, (CK_BYTE *)in, n, sig, sig_n));
}

static CK_RV verify(CK_SESSION_HANDLE s, CK_ULONG mech, CK_OBJECT_HANDLE k, const void *in, CK_ULONG n, CK_BYTE *sig, CK_ULONG sig_n)
{
	CK_MECHANISM m = {mech, NULL, 0};
	MUST(p11->C_VerifyInit(s, &m, k));
	return p11->C_Verify(s, (CK_BYTE *)in, n, sig, sig_n);
}

static void print_point(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub)
{
	CK_BYTE point[80];
	CK_ATTRIBUTE t = {CKA_EC_POINT, point, sizeof point};
	MUST(p11->C_GetAttributeValue(s, pub, &t, 1));
	CHECK(t.ulValueLen == 65 || t.ulValueLen == 67);
	print_hex("point", point + t.ulValueLen - 65, 65);
}

static void sm2_signs(const struct codes *c, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub, CK_OBJECT_HANDLE prv)
{
	CK_BYTE e[32], sig[512];
	CK_ULONG n;
	memset(e, 0x5A, sizeof e);
	sign(s, c->e, prv, e, sizeof e, sig, &n);
	CHECK(c->der ? sig[0] == 0x30 && n != 64 : n == 64);
	MUST(verify(s, c->e, pub, e, sizeof e, sig, n));
	print_hex("e-signature", sig, n);
	sig[n - 1] ^= 1;
	EXPECT(CKR_SIGNATURE_INVALID, verify(s, c->e, pub, e, sizeof e, sig, n));
	EXPECT(CKR_SIGNATURE_LEN_RANGE, verify(s, c->e, pub, e, sizeof e, sig, n - 1));
	sign(s, c->message, prv, "message digest", 14, sig, &n);
	MUST(verify(s, c->message, pub, "message digest", 14, sig, n));
	print_hex("message-signature", sig, n);
}

static void sm2_opens(const struct codes *c, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE pub, CK_OBJECT_HANDLE prv)
{
	CK_MECHANISM m = {c->encrypt, NULL, 0};
	CK_BYTE text[256], plain[256];
	CK_ULONG n = sizeof text, k = sizeof plain;
	MUST(p11->C_EncryptInit(s, &m, pub));
	MUST(p11->C_Encrypt(s, (CK_BYTE *)"sixteen octets!!", 16, text, &n));
	print_hex("ciphertext", text, n);
	MUST(p11->C_DecryptInit(s, &m, prv));
	MUST(p11->C_Decrypt(s, text, n, plain, &k));
	CHECK(k == 16 && memcmp(plain, "sixteen octets!!", 16) == 0);
	for (CK_ULONG i = 0; i < n; i++) {
		text[i] ^= 1;
		k = sizeof plain;
		MUST(p11->C_DecryptInit(s, &m, prv));
		EXPECT(CKR_ENCRYPTED_DATA_INVALID, p11->C_Decrypt(s, text, n, plain, &k));
		text[i] ^= 1;
	}
	k = sizeof plain;
	MUST(p11->C_DecryptInit(s, &m, prv));
	text[n] = 0;
	EXPECT(CKR_ENCRYPTED_DATA_INVALID, p11->C_Decrypt(s, text, n + 1, plain, &k));
}

static void sm4(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_OBJECT_HANDLE k = make_secret(s, c->sm4_key, 16, 0, 0, "sm4");
	CK_ULONG mechs[] = {c->ecb, c->cbc, c->cbc_pad}, type = 0, n;
	CK_BYTE iv[16] = {7}, in[32] = "two blocks of text, 32 octets..", out[64], back[64];
	CK_ATTRIBUTE t = {CKA_KEY_TYPE, &type, sizeof type};
	MUST(p11->C_GetAttributeValue(s, k, &t, 1));
	CHECK(type == c->sm4_type);
	for (int i = 0; i < 3; i++) {
		CK_MECHANISM m = {mechs[i], i > 0 ? iv : NULL, i > 0 ? 16 : 0};
		MUST(p11->C_EncryptInit(s, &m, k));
		n = sizeof out;
		MUST(p11->C_Encrypt(s, in, 32, out, &n));
		CHECK(n == (i == 2 ? 48 : 32) && memcmp(in, out, 16) != 0);
		MUST(p11->C_DecryptInit(s, &m, k));
		CK_ULONG b = sizeof back;
		MUST(p11->C_Decrypt(s, out, n, back, &b));
		CHECK(b == 32 && memcmp(in, back, 32) == 0);
	}
}

static void private_shows(const struct codes *c, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE prv)
{
	CK_BYTE buf[80];
	CK_ULONG type = 0;
	CK_ATTRIBUTE value = {CKA_VALUE, buf, sizeof buf}, point = {CKA_EC_POINT, buf, sizeof buf}, kt = {CKA_KEY_TYPE, &type, sizeof type};
	EXPECT(CKR_ATTRIBUTE_SENSITIVE, p11->C_GetAttributeValue(s, prv, &value, 1));
	CHECK(value.ulValueLen == CK_UNAVAILABLE_INFORMATION);
	EXPECT(c->point_on_private ? CKR_OK : CKR_ATTRIBUTE_TYPE_INVALID, p11->C_GetAttributeValue(s, prv, &point, 1));
	MUST(p11->C_GetAttributeValue(s, prv, &kt, 1));
	CHECK(type == c->sm2_type);
}

static CK_ULONG found(CK_SESSION_HANDLE s, const char *label)
{
	CK_OBJECT_HANDLE h[8];
	CK_ULONG n;
	CK_ATTRIBUTE t = {CKA_LABEL, (void *)label, strlen(label)};
	MUST(p11->C_FindObjectsInit(s, &t, 1));
	MUST(p11->C_FindObjects(s, h, 8, &n));
	MUST(p11->C_FindObjectsFinal(s));
	return n;
}

static void foreign(CK_SESSION_HANDLE s)
{
	CK_OBJECT_HANDLE pub, prv;
	CK_BYTE e[32] = {1}, sig[512];
	CK_ULONG n;
	make_pair(s, CKM_EC_KEY_PAIR_GEN, CKK_EC, 0, "p256", &pub, &prv);
	sign(s, CKM_ECDSA, prv, e, 32, sig, &n);
	MUST(verify(s, CKM_ECDSA, pub, e, 32, sig, n));
	sign(s, CKM_ECDSA_SHA256, prv, "text", 4, sig, &n);
	MUST(verify(s, CKM_ECDSA_SHA256, pub, "text", 4, sig, n));
	make_pair(s, CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, 0, "rsa", &pub, &prv);
	sign(s, CKM_SHA256_RSA_PKCS, prv, "text", 4, sig, &n);
	CHECK(n == 256);
	MUST(verify(s, CKM_SHA256_RSA_PKCS, pub, "text", 4, sig, n));
}

void run_round(const struct codes *c)
{
	CK_SESSION_HANDLE s = logged_in();
	CK_OBJECT_HANDLE pub, prv;
	make_pair(s, c->pair, c->sm2_type, 1, "round", &pub, &prv);
	CHECK(found(s, "round") == 2);
	print_point(s, pub);
	sm2_signs(c, s, pub, prv);
	if (c->encrypt != 0)
		sm2_opens(c, s, pub, prv);
	private_shows(c, s, prv);
	sm4(c, s);
	foreign(s);
	MUST(p11->C_Logout(s));
	CHECK(found(s, "round") == 1);
	MUST(p11->C_Login(s, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
	CHECK(found(s, "round") == 2);
	MUST(p11->C_DestroyObject(s, prv));
	MUST(p11->C_DestroyObject(s, pub));
	EXPECT(CKR_OBJECT_HANDLE_INVALID, p11->C_DestroyObject(s, pub));
	CHECK(found(s, "round") == 0);
}
