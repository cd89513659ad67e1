#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "module.h"

/* A session's mechanism and templates, read under the lock: what the making of a key begins with. */
static CK_RV prepare(struct session *s, const CK_MECHANISM *m, CK_FLAGS flag, const CK_ATTRIBUTE *t, CK_ULONG n, const struct mech **mech, struct attrs *a)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	*mech = mech_find(&s->slot->manners, m->mechanism);
	if (*mech == NULL || (op_flags((*mech)->op) & flag) == 0)
		rv = CKR_MECHANISM_INVALID;
	else if (m->ulParameterLen != 0)
		rv = CKR_MECHANISM_PARAM_INVALID;
	else
		rv = template_read(&s->slot->manners, t, n, a);
	leave();
	return rv;
}

static CK_RV put(struct session *s, struct attrs *a, CK_OBJECT_HANDLE *h)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	rv = key_check_place(s, a);
	if (rv == CKR_OK)
		rv = slot_add(s, a, h);
	leave();
	return rv;
}

static CK_RV allowed(struct session *s, const struct attrs *a)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	rv = key_check_place(s, a);
	leave();
	return rv;
}

static CK_KEY_TYPE pair_type(enum op op)
{
	return op == OP_SM2_PAIR ? KEY_SM2 : op == OP_EC_PAIR ? CKK_EC : CKK_RSA;
}

static CK_RV make_rsa(const struct attrs *public, EVP_PKEY **k)
{
	static const unsigned char f4[] = {1, 0, 1};
	const struct attr *e = attrs_get(public, CKA_PUBLIC_EXPONENT);
	CK_ULONG bits = attrs_number(public, CKA_MODULUS_BITS);
	if (attrs_get(public, CKA_MODULUS_BITS) == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	if (bits != 2048 && bits != 3072 && bits != 4096)
		return CKR_KEY_SIZE_RANGE;
	if (e != NULL && (e->n != sizeof f4 || memcmp(e->p, f4, sizeof f4) != 0))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	*k = pair_make_rsa((unsigned)bits);
	return *k != NULL ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV make_ec(enum op op, struct attrs *public, EVP_PKEY **k)
{
	bool sm2 = op == OP_SM2_PAIR;
	if (op == OP_EC_PAIR || attrs_get(public, CKA_EC_PARAMS) != NULL) {
		CK_RV rv = attrs_curve(public, &sm2);
		if (rv != CKR_OK)
			return rv;
		if (op == OP_SM2_PAIR && !sm2)
			return CKR_CURVE_NOT_SUPPORTED;
	}
	*k = pair_make_ec(sm2);
	return *k != NULL ? CKR_OK : CKR_FUNCTION_FAILED;
}

static bool fill_rsa(EVP_PKEY *k, struct attrs *public, struct attrs *private)
{
	struct buf n = {0}, e = {0}, der = {0};
	bool ok = pair_rsa_parts(k, &n, &e) && pair_private(k, &der) && attrs_set(public, CKA_MODULUS, n.p, n.n) &&
		attrs_set(public, CKA_PUBLIC_EXPONENT, e.p, e.n) && attrs_set(private, CKA_MODULUS, n.p, n.n) &&
		attrs_set(private, CKA_PUBLIC_EXPONENT, e.p, e.n) && attrs_set(private, CKA_VALUE, der.p, der.n);
	buf_free(&n);
	buf_free(&e);
	buf_free(&der);
	return ok;
}

static bool fill_ec(EVP_PKEY *k, struct attrs *public, struct attrs *private)
{
	unsigned char point[POINT], d[SCALAR];
	bool sm2;
	bool ok = pair_ec_parts(k, &sm2, point, d) && attrs_set_curve(public, sm2) && attrs_set_curve(private, sm2) &&
		attrs_set(public, CKA_EC_POINT, point, POINT) && attrs_set(private, CKA_EC_POINT, point, POINT) && attrs_set(private, CKA_VALUE, d, SCALAR);
	OPENSSL_cleanse(d, sizeof d);
	return ok;
}

static CK_RV make_pair(struct session *s, enum op op, struct attrs *public, struct attrs *private)
{
	CK_KEY_TYPE type = pair_type(op);
	EVP_PKEY *k = NULL;
	CK_RV rv = template_match(public, CKO_PUBLIC_KEY, type);
	if (rv == CKR_OK)
		rv = template_match(private, CKO_PRIVATE_KEY, type);
	if (rv == CKR_OK && (attrs_get(private, CKA_VALUE) != NULL || attrs_get(public, CKA_VALUE) != NULL))
		rv = CKR_TEMPLATE_INCONSISTENT;
	if (rv == CKR_OK)
		rv = template_finish(public, CKO_PUBLIC_KEY, type, true);
	if (rv == CKR_OK)
		rv = template_finish(private, CKO_PRIVATE_KEY, type, true);
	if (rv == CKR_OK)
		rv = allowed(s, private);
	if (rv == CKR_OK)
		rv = allowed(s, public);
	if (rv == CKR_OK)
		rv = op == OP_RSA_PAIR ? make_rsa(public, &k) : make_ec(op, public, &k);
	if (rv == CKR_OK && !(op == OP_RSA_PAIR ? fill_rsa(k, public, private) : fill_ec(k, public, private)))
		rv = CKR_FUNCTION_FAILED;
	EVP_PKEY_free(k);
	return rv;
}

static void take_back(struct session *s, CK_OBJECT_HANDLE h)
{
	if (session_lock(s) != CKR_OK)
		return;
	struct entry *e = slot_entry(s->slot, h);
	if (e != NULL)
		slot_destroy(s->slot, e);
	leave();
}

/* The public half is stored first: a private key whose file is there has its public half, also after a crash. */
static CK_RV generate_pair(struct session *s, enum op op, struct attrs *public, struct attrs *private, CK_OBJECT_HANDLE *ph, CK_OBJECT_HANDLE *sh)
{
	CK_RV rv = make_pair(s, op, public, private);
	if (rv == CKR_OK)
		rv = put(s, public, ph);
	if (rv != CKR_OK)
		return rv;
	rv = put(s, private, sh);
	if (rv != CKR_OK)
		take_back(s, *ph);
	return rv;
}

CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *pt, CK_ULONG pn, CK_ATTRIBUTE *st, CK_ULONG sn, CK_OBJECT_HANDLE *ph, CK_OBJECT_HANDLE *sh)
{
	struct session *s;
	struct attrs public = {0}, private = {0};
	const struct mech *mech = NULL;
	if (m == NULL || ph == NULL || sh == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = prepare(s, m, CKF_GENERATE_KEY_PAIR, pt, pn, &mech, &public);
	if (rv == CKR_OK)
		rv = prepare(s, m, CKF_GENERATE_KEY_PAIR, st, sn, &mech, &private);
	if (rv == CKR_OK)
		rv = generate_pair(s, mech->op, &public, &private, ph, sh);
	attrs_free(&public);
	attrs_free(&private);
	session_leave(s);
	return rv;
}

static CK_RV secret_size(enum op op, const struct attrs *a, size_t *n)
{
	CK_ULONG asked = attrs_number(a, CKA_VALUE_LEN);
	bool given = attrs_get(a, CKA_VALUE_LEN) != NULL;
	*n = given ? asked : 16;
	if (!given && op != OP_SM4_KEY)
		return CKR_TEMPLATE_INCOMPLETE;
	if (op == OP_SM4_KEY)
		return *n == 16 ? CKR_OK : CKR_KEY_SIZE_RANGE;
	if (op == OP_AES_KEY)
		return *n == 16 || *n == 32 ? CKR_OK : CKR_KEY_SIZE_RANGE;
	return *n >= 16 && *n <= 64 ? CKR_OK : CKR_KEY_SIZE_RANGE;
}

static CK_RV make_secret(struct session *s, enum op op, struct attrs *a)
{
	CK_KEY_TYPE type = op == OP_SM4_KEY ? KEY_SM4 : op == OP_AES_KEY ? CKK_AES : CKK_GENERIC_SECRET;
	unsigned char v[64];
	size_t n = 0;
	CK_RV rv = template_match(a, CKO_SECRET_KEY, type);
	if (rv == CKR_OK && attrs_get(a, CKA_VALUE) != NULL)
		rv = CKR_TEMPLATE_INCONSISTENT;
	if (rv == CKR_OK)
		rv = secret_size(op, a, &n);
	if (rv == CKR_OK)
		rv = template_finish(a, CKO_SECRET_KEY, type, true);
	if (rv == CKR_OK)
		rv = allowed(s, a);
	if (rv == CKR_OK && !(RAND_priv_bytes(v, (int)n) == 1 && attrs_set(a, CKA_VALUE, v, n) && attrs_set_number(a, CKA_VALUE_LEN, n)))
		rv = CKR_FUNCTION_FAILED;
	OPENSSL_cleanse(v, sizeof v);
	return rv;
}

CK_RV C_GenerateKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *kh)
{
	struct session *s;
	struct attrs a = {0};
	const struct mech *mech = NULL;
	CK_RV rv = m == NULL || kh == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = prepare(s, m, CKF_GENERATE, t, n, &mech, &a);
	if (rv == CKR_OK)
		rv = make_secret(s, mech->op, &a);
	if (rv == CKR_OK)
		rv = put(s, &a, kh);
	attrs_free(&a);
	session_leave(s);
	return rv;
}
