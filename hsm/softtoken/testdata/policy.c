#include "check.h"

/* What the token refuses, however nicely it is asked. */

static CK_RV generate(CK_SESSION_HANDLE s, const struct codes *c, CK_ATTRIBUTE *t, CK_ULONG n)
{
	CK_OBJECT_HANDLE pub, prv;
	CK_MECHANISM m = {c->pair, NULL, 0};
	return p11->C_GenerateKeyPair(s, &m, NULL, 0, t, n, &pub, &prv);
}

static void templates(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG wrong = CKK_RSA;
	CK_BYTE p256[] = {6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7}, d[32] = {1};
	CK_ATTRIBUTE two[] = {{CKA_SIGN, &yes, 1}, {CKA_SIGN, &no, 1}};
	EXPECT(CKR_TEMPLATE_INCONSISTENT, generate(s, c, two, 2));
	EXPECT(CKR_TEMPLATE_INCONSISTENT, generate(s, c, &(CK_ATTRIBUTE){CKA_PRIVATE, &no, 1}, 1));
	EXPECT(CKR_TEMPLATE_INCONSISTENT, generate(s, c, &(CK_ATTRIBUTE){CKA_KEY_TYPE, &wrong, sizeof wrong}, 1));
	EXPECT(CKR_TEMPLATE_INCONSISTENT, generate(s, c, &(CK_ATTRIBUTE){CKA_VALUE, d, 32}, 1));
	EXPECT(CKR_ATTRIBUTE_READ_ONLY, generate(s, c, &(CK_ATTRIBUTE){CKA_LOCAL, &yes, 1}, 1));
	EXPECT(CKR_ATTRIBUTE_READ_ONLY, generate(s, c, &(CK_ATTRIBUTE){CKA_NEVER_EXTRACTABLE, &yes, 1}, 1));
	EXPECT(CKR_ATTRIBUTE_VALUE_INVALID, generate(s, c, &(CK_ATTRIBUTE){CKA_ALWAYS_AUTHENTICATE, &yes, 1}, 1));
	EXPECT(CKR_ATTRIBUTE_VALUE_INVALID, generate(s, c, &(CK_ATTRIBUTE){CKA_SIGN, &yes, 2}, 1));
	EXPECT(CKR_ATTRIBUTE_VALUE_INVALID, generate(s, c, &(CK_ATTRIBUTE){CKA_LABEL, NULL, 4}, 1));
	EXPECT(CKR_ATTRIBUTE_TYPE_INVALID, generate(s, c, &(CK_ATTRIBUTE){0x77777777, &yes, 1}, 1));
	EXPECT(CKR_CURVE_NOT_SUPPORTED, p11->C_GenerateKeyPair(s, &(CK_MECHANISM){c->pair, NULL, 0}, &(CK_ATTRIBUTE){CKA_EC_PARAMS, p256, sizeof p256}, 1, NULL, 0,
		&(CK_OBJECT_HANDLE){0}, &(CK_OBJECT_HANDLE){0}));
}

static CK_OBJECT_HANDLE import(CK_SESSION_HANDLE s, const struct codes *c, CK_OBJECT_CLASS class, CK_ATTRIBUTE_TYPE type, CK_BYTE *v, CK_ULONG n, CK_RV want)
{
	CK_ULONG kt = c->sm2_type;
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &kt, sizeof kt}, {type, v, n}};
	EXPECT(want, p11->C_CreateObject(s, t, 3, &h));
	return h;
}

/* 1 ≤ d ≤ n−2, and points on the curve. */
static void numbers(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BYTE d[32], point[65] = {4};
	memset(d, 0, sizeof d);
	import(s, c, CKO_PRIVATE_KEY, CKA_VALUE, d, 32, CKR_ATTRIBUTE_VALUE_INVALID);
	hex("FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54122", d);
	import(s, c, CKO_PRIVATE_KEY, CKA_VALUE, d, 32, CKR_ATTRIBUTE_VALUE_INVALID);
	d[31]--;
	import(s, c, CKO_PRIVATE_KEY, CKA_VALUE, d, 32, CKR_OK);
	import(s, c, CKO_PRIVATE_KEY, CKA_VALUE, d, 31, CKR_ATTRIBUTE_VALUE_INVALID);
	import(s, c, CKO_PUBLIC_KEY, CKA_EC_POINT, point, 65, CKR_ATTRIBUTE_VALUE_INVALID);
	import(s, c, CKO_PUBLIC_KEY, CKA_EC_POINT, point, 1, CKR_ATTRIBUTE_VALUE_INVALID);
}

/* A key does what it was made for, in its own mechanisms, and shows nothing. */
static void uses(const struct codes *c, CK_SESSION_HANDLE s)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_HANDLE pub, prv, p256, p256_pub;
	CK_MECHANISM sign = {c->e, NULL, 0}, ecdsa = {CKM_ECDSA, NULL, 0}, gen = {c->pair, NULL, 0}, crypt = {c->encrypt, NULL, 0};
	CK_ULONG only = c->message;
	MUST(p11->C_GenerateKeyPair(s, &gen, NULL, 0, &(CK_ATTRIBUTE){CKA_DECRYPT, &yes, 1}, 1, &pub, &prv));
	EXPECT(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_SignInit(s, &sign, prv));
	EXPECT(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignInit(s, &ecdsa, prv));
	make_pair(s, CKM_EC_KEY_PAIR_GEN, CKK_EC, 0, "p256", &p256_pub, &p256);
	EXPECT(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignInit(s, &sign, p256));
	EXPECT(CKR_MECHANISM_INVALID, p11->C_SignInit(s, &gen, p256));
	EXPECT(CKR_MECHANISM_INVALID, p11->C_SignInit(s, &(CK_MECHANISM){0x1234567, NULL, 0}, p256));
	if (c->encrypt != 0)
		EXPECT(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_EncryptInit(s, &crypt, pub));
	EXPECT(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(s, prv, &(CK_ATTRIBUTE){CKA_SENSITIVE, &no, 1}, 1));
	EXPECT(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(s, prv, &(CK_ATTRIBUTE){CKA_EXTRACTABLE, &yes, 1}, 1));
	EXPECT(CKR_ATTRIBUTE_READ_ONLY, p11->C_SetAttributeValue(s, prv, &(CK_ATTRIBUTE){CKA_TOKEN, &yes, 1}, 1));
	MUST(p11->C_SetAttributeValue(s, prv, &(CK_ATTRIBUTE){CKA_LABEL, (void *)"renamed", 7}, 1));
	if (strcmp(c->dialect, "neutral") == 0 || strcmp(c->dialect, "ep11") == 0) {
		CK_ATTRIBUTE t[] = {{CKA_SIGN, &yes, 1}, {CKA_ALLOWED_MECHANISMS, &only, sizeof only}};
		MUST(p11->C_GenerateKeyPair(s, &gen, NULL, 0, t, 2, &pub, &prv));
		EXPECT(CKR_MECHANISM_INVALID, p11->C_SignInit(s, &sign, prv));
	} else {
		EXPECT(CKR_ATTRIBUTE_TYPE_INVALID, generate(s, c, &(CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, &only, sizeof only}, 1));
		EXPECT(CKR_ATTRIBUTE_TYPE_INVALID, generate(s, c, &(CK_ATTRIBUTE){CKA_WRAP_WITH_TRUSTED, &no, 1}, 1));
	}
}

/* Before login nothing private is there; a session's objects end with it; the last session takes the login along. */
static void sessions(const struct codes *c)
{
	CK_SESSION_HANDLE ro, s = session(), other = session();
	CK_OBJECT_HANDLE pub, prv, own, own_pub;
	CK_BBOOL yes = CK_TRUE;
	CK_MECHANISM sign = {c->e, NULL, 0};
	CK_SESSION_INFO info;
	EXPECT(CKR_USER_NOT_LOGGED_IN, generate(s, c, NULL, 0));
	MUST(p11->C_Login(s, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
	EXPECT(CKR_USER_ALREADY_LOGGED_IN, p11->C_Login(other, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
	EXPECT(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, p11->C_Login(other, CKU_SO, (CK_BYTE *)pin, strlen(pin)));
	make_pair(s, c->pair, c->sm2_type, 1, "stays", &pub, &prv);
	make_pair(other, c->pair, c->sm2_type, 0, "goes", &own_pub, &own);
	MUST(p11->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &ro));
	MUST(p11->C_GetSessionInfo(ro, &info));
	CHECK(info.state == CKS_RO_USER);
	EXPECT(CKR_SESSION_READ_ONLY, generate(ro, c, &(CK_ATTRIBUTE){CKA_TOKEN, &yes, 1}, 1));
	EXPECT(CKR_SESSION_READ_ONLY, p11->C_DestroyObject(ro, prv));
	MUST(p11->C_SignInit(s, &sign, own));
	MUST(p11->C_CloseSession(other));
	EXPECT(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(other));
	EXPECT(CKR_KEY_HANDLE_INVALID, p11->C_SignInit(ro, &sign, own));
	EXPECT(CKR_OPERATION_ACTIVE, p11->C_SignInit(s, &sign, prv));
	MUST(p11->C_Logout(s));
	EXPECT(CKR_USER_NOT_LOGGED_IN, p11->C_SignInit(ro, &sign, prv));
	MUST(p11->C_Login(s, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
	MUST(p11->C_SignInit(ro, &sign, prv));
	MUST(p11->C_CloseAllSessions(0));
	s = session();
	MUST(p11->C_GetSessionInfo(s, &info));
	CHECK(info.state == CKS_RW_PUBLIC);
	MUST(p11->C_CloseSession(s));
}

/* The PIN can be changed by who knows it; the officer sets it anew but sees no key. */
static void pins(const struct codes *c)
{
	CK_SESSION_HANDLE s = session();
	CK_OBJECT_HANDLE pub, prv;
	CK_BYTE *new = (CK_BYTE *)"another PIN", *old = (CK_BYTE *)pin;
	EXPECT(CKR_PIN_INCORRECT, p11->C_SetPIN(s, new, 11, new, 11));
	EXPECT(CKR_PIN_LEN_RANGE, p11->C_SetPIN(s, old, strlen(pin), new, 3));
	MUST(p11->C_SetPIN(s, old, strlen(pin), new, 11));
	EXPECT(CKR_PIN_INCORRECT, p11->C_Login(s, CKU_USER, old, strlen(pin)));
	MUST(p11->C_Login(s, CKU_USER, new, 11));
	make_pair(s, c->pair, c->sm2_type, 1, "outlives", &pub, &prv);
	EXPECT(CKR_USER_NOT_LOGGED_IN, p11->C_InitPIN(s, new, 11));
	MUST(p11->C_Logout(s));
	MUST(p11->C_Login(s, CKU_SO, (CK_BYTE *)"87654321", 8));
	EXPECT(CKR_USER_NOT_LOGGED_IN, p11->C_SignInit(s, &(CK_MECHANISM){c->e, NULL, 0}, prv));
	MUST(p11->C_InitPIN(s, old, strlen(pin)));
	MUST(p11->C_Logout(s));
	MUST(p11->C_Login(s, CKU_USER, old, strlen(pin)));
	MUST(p11->C_SignInit(s, &(CK_MECHANISM){c->e, NULL, 0}, prv));
	MUST(p11->C_CloseSession(s));
	EXPECT(CKR_ACTION_PROHIBITED, p11->C_InitToken(0, (CK_BYTE *)"87654321", 8, (CK_BYTE *)"a new label of 32 octets        "));
}

void run_policy(const struct codes *c)
{
	CK_SESSION_HANDLE s = logged_in();
	templates(c, s);
	numbers(c, s);
	uses(c, s);
	MUST(p11->C_CloseAllSessions(0));
	sessions(c);
	pins(c);
}
