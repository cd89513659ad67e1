#include "check.h"

/* Answers that are known from elsewhere: GB/T 32905, GB/T 32907, GB/T 32918.5 A.2, RFC 8998 A.1, FIPS 180-4. */

static void digests(const struct codes *c, CK_SESSION_HANDLE s)
{
	static const char *want[] = {"66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"};
	for (int i = 0; i < 2; i++) {
		CK_BYTE sum[32], right[32];
		CK_ULONG n = sizeof sum;
		CK_MECHANISM m = {i == 0 ? c->sm3 : CKM_SHA256, NULL, 0};
		hex(want[i], right);
		MUST(p11->C_DigestInit(s, &m));
		MUST(p11->C_Digest(s, (CK_BYTE *)"abc", 3, sum, &n));
		CHECK(n == 32 && memcmp(sum, right, 32) == 0);
		MUST(p11->C_DigestInit(s, &m));
		MUST(p11->C_DigestUpdate(s, (CK_BYTE *)"a", 1));
		MUST(p11->C_DigestUpdate(s, (CK_BYTE *)"bc", 2));
		MUST(p11->C_DigestFinal(s, sum, &n));
		CHECK(n == 32 && memcmp(sum, right, 32) == 0);
	}
}

static CK_OBJECT_HANDLE import_secret(CK_SESSION_HANDLE s, CK_ULONG type, CK_BYTE *v, CK_ULONG n)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_HANDLE h;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_VALUE, v, n}, {CKA_ENCRYPT, &yes, 1}, {CKA_DECRYPT, &yes, 1}, {CKA_SIGN, &yes, 1}};
	MUST(p11->C_CreateObject(s, t, 6, &h));
	return h;
}

static void sm4_block(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BYTE key[16], right[16], out[16];
	CK_ULONG n = sizeof out;
	CK_MECHANISM m = {c->ecb, NULL, 0};
	hex("0123456789abcdeffedcba9876543210", key);
	hex("681edf34d206965e86b3e94f536e4246", right);
	MUST(p11->C_EncryptInit(s, &m, import_secret(s, c->sm4_type, key, 16)));
	MUST(p11->C_Encrypt(s, key, 16, out, &n));
	CHECK(n == 16 && memcmp(out, right, 16) == 0);
}

static void sm4_gcm(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BYTE key[16], iv[12], aad[20], in[64], right[80], out[96], back[96];
	CK_ULONG n = sizeof out, b = sizeof back;
	hex("0123456789ABCDEFFEDCBA9876543210", key);
	hex("00001234567800000000ABCD", iv);
	hex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2", aad);
	hex("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDDEEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA", in);
	hex("17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
		"83DE3541E4C2B58177E065A9BF7B62EC", right);
	CK_GCM_PARAMS g = {iv, 12, 96, aad, 20, 128};
	CK_MECHANISM m = {c->gcm, &g, sizeof g};
	CK_OBJECT_HANDLE k = import_secret(s, c->sm4_type, key, 16);
	MUST(p11->C_EncryptInit(s, &m, k));
	MUST(p11->C_Encrypt(s, in, 64, out, &n));
	CHECK(n == 80 && memcmp(out, right, 80) == 0);
	MUST(p11->C_DecryptInit(s, &m, k));
	MUST(p11->C_Decrypt(s, out, n, back, &b));
	CHECK(b == 64 && memcmp(back, in, 64) == 0);
	for (int i = 0; i < 80; i++) {
		out[i] ^= 0x40;
		b = sizeof back;
		MUST(p11->C_DecryptInit(s, &m, k));
		EXPECT(CKR_ENCRYPTED_DATA_INVALID, p11->C_Decrypt(s, out, 80, back, &b));
		out[i] ^= 0x40;
	}
}

static CK_OBJECT_HANDLE import_sm2(const struct codes *c, CK_SESSION_HANDLE s, CK_OBJECT_CLASS class, CK_BYTE *v, CK_ULONG n)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ULONG type = c->sm2_type;
	CK_OBJECT_HANDLE h;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {class == CKO_PRIVATE_KEY ? CKA_VALUE : CKA_EC_POINT, v, n},
		{class == CKO_PRIVATE_KEY ? CKA_SIGN : CKA_VERIFY, &yes, 1}};
	MUST(p11->C_CreateObject(s, t, 4, &h));
	return h;
}

/* The example's public key is that of its d, and the example's signature verifies; so does one that the token makes with d. */
static void sm2_example(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BYTE d[32], point[65], sig[64], own[64];
	CK_ULONG n = sizeof own;
	CK_MECHANISM m = {c->message, NULL, 0};
	hex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8", d);
	hex("0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13", point);
	hex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA", sig);
	CK_OBJECT_HANDLE pub = import_sm2(c, s, CKO_PUBLIC_KEY, point, sizeof point), prv = import_sm2(c, s, CKO_PRIVATE_KEY, d, sizeof d);
	MUST(p11->C_VerifyInit(s, &m, pub));
	MUST(p11->C_Verify(s, (CK_BYTE *)"message digest", 14, sig, 64));
	MUST(p11->C_VerifyInit(s, &m, pub));
	EXPECT(CKR_SIGNATURE_INVALID, p11->C_Verify(s, (CK_BYTE *)"message digesT", 14, sig, 64));
	MUST(p11->C_SignInit(s, &m, prv));
	MUST(p11->C_Sign(s, (CK_BYTE *)"message digest", 14, own, &n));
	MUST(p11->C_VerifyInit(s, &m, pub));
	MUST(p11->C_Verify(s, (CK_BYTE *)"message digest", 14, own, n));
	CHECK(memcmp(own, sig, 64) != 0);
}

static void hmacs(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BYTE key[32], out[32];
	CK_ULONG n = sizeof out;
	for (int i = 0; i < 32; i++)
		key[i] = (CK_BYTE)(i + 1);
	CK_MECHANISM m = {c->hmac, NULL, 0};
	MUST(p11->C_SignInit(s, &m, import_secret(s, CKK_GENERIC_SECRET, key, 32)));
	MUST(p11->C_Sign(s, (CK_BYTE *)"abc", 3, out, &n));
	print_hex("hmac-sm3", out, n);
}

void run_known(const struct codes *c)
{
	CK_SESSION_HANDLE s = logged_in();
	digests(c, s);
	sm4_block(c, s);
	sm2_example(c, s);
	if (c->gcm != 0)
		sm4_gcm(c, s);
	if (c->hmac != 0)
		hmacs(c, s);
}

/* Opens a ciphertext, ASN.1 in hex, that someone else made for the example's key. */
void run_open(const struct codes *c, const char *text)
{
	CK_SESSION_HANDLE s = logged_in();
	CK_BYTE d[32], in[512], out[512];
	CK_ULONG n = sizeof out, type = c->sm2_type;
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_OBJECT_HANDLE h;
	CK_BBOOL yes = CK_TRUE;
	CK_MECHANISM m = {c->encrypt, NULL, 0};
	hex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8", d);
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_VALUE, d, 32}, {CKA_DECRYPT, &yes, 1}};
	CHECK(strlen(text) / 2 <= sizeof in);
	MUST(p11->C_CreateObject(s, t, 4, &h));
	MUST(p11->C_DecryptInit(s, &m, h));
	MUST(p11->C_Decrypt(s, in, hex(text, in), out, &n));
	print_hex("plain", out, n);
}
