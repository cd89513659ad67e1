#include <string.h>

#include <openssl/crypto.h>

#include "module.h"

/* Objects whose value comes from outside: created, unwrapped, derived. */

static CK_RV place(struct session *s, struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type, CK_OBJECT_HANDLE *h)
{
	CK_RV rv = template_finish(a, class, type, false);
	if (rv != CKR_OK)
		return rv;
	if ((rv = session_lock(s)) != CKR_OK)
		return rv;
	rv = key_check_place(s, a);
	if (rv == CKR_OK)
		rv = slot_add(s, a, h);
	leave();
	return rv;
}

static CK_RV template_of(struct session *s, const CK_ATTRIBUTE *t, CK_ULONG n, struct attrs *a)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	rv = template_read(&s->slot->manners, t, n, a);
	leave();
	return rv;
}

static CK_RV set_ec(struct attrs *a, bool sm2, const unsigned char *point, const unsigned char *d)
{
	unsigned char own[POINT];
	bool same;
	EVP_PKEY *k = pair_of_ec(sm2, point, d);
	CK_RV rv = k != NULL ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
	if (k != NULL && !(pair_ec_parts(k, &same, own, NULL) && attrs_set(a, CKA_EC_POINT, own, POINT) && attrs_set_curve(a, sm2)))
		rv = CKR_FUNCTION_FAILED;
	EVP_PKEY_free(k);
	return rv;
}

/* An EC or SM2 key whose octets are in the template; the point of a private one is computed. */
static CK_RV check_ec(struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
	const struct attr *p = attrs_get(a, CKA_EC_POINT), *d = attrs_get(a, CKA_VALUE);
	bool sm2 = type == KEY_SM2, private = class == CKO_PRIVATE_KEY;
	if (!sm2 || attrs_get(a, CKA_EC_PARAMS) != NULL) {
		CK_RV rv = attrs_curve(a, &sm2);
		if (rv != CKR_OK || (type == KEY_SM2 && !sm2))
			return rv != CKR_OK ? rv : CKR_CURVE_NOT_SUPPORTED;
	}
	if (private ? d == NULL : p == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	if ((p != NULL && p->n != POINT) || (private && d->n != SCALAR) || (!private && d != NULL))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	return set_ec(a, sm2, p != NULL ? p->p : NULL, private ? d->p : NULL);
}

static CK_RV check_rsa(const struct attrs *a, CK_OBJECT_CLASS class)
{
	const struct attr *n = attrs_get(a, CKA_MODULUS), *e = attrs_get(a, CKA_PUBLIC_EXPONENT);
	if (class == CKO_PRIVATE_KEY) /* private RSA keys come in by unwrapping */
		return CKR_TEMPLATE_INCONSISTENT;
	if (n == NULL || e == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	EVP_PKEY *k = n->n >= 256 ? pair_of_rsa(n->p, n->n, e->p, e->n) : NULL;
	EVP_PKEY_free(k);
	return k != NULL ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV check_secret(struct attrs *a, CK_KEY_TYPE type)
{
	const struct attr *v = attrs_get(a, CKA_VALUE);
	if (v == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	bool fits = type == KEY_SM4 ? v->n == 16 : type == CKK_AES ? v->n == 16 || v->n == 32 : type == CKK_GENERIC_SECRET && v->n >= 1 && v->n <= 64;
	if (!fits || (attrs_get(a, CKA_VALUE_LEN) != NULL && attrs_number(a, CKA_VALUE_LEN) != v->n))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	return attrs_set_number(a, CKA_VALUE_LEN, v->n) ? CKR_OK : CKR_DEVICE_MEMORY;
}

static CK_RV check_value(struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
	if (class == CKO_DATA)
		return CKR_OK;
	if (class == CKO_SECRET_KEY)
		return check_secret(a, type);
	if (class != CKO_PUBLIC_KEY && class != CKO_PRIVATE_KEY)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	if (type == CKK_RSA)
		return check_rsa(a, class);
	return type == CKK_EC || type == KEY_SM2 ? check_ec(a, class, type) : CKR_ATTRIBUTE_VALUE_INVALID;
}

CK_RV C_CreateObject(CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *oh)
{
	struct session *s;
	struct attrs a = {0};
	CK_RV rv = oh == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = template_of(s, t, n, &a);
	CK_OBJECT_CLASS class = attrs_number(&a, CKA_CLASS);
	CK_KEY_TYPE type = attrs_number(&a, CKA_KEY_TYPE);
	if (rv == CKR_OK && (attrs_get(&a, CKA_CLASS) == NULL || (class != CKO_DATA && attrs_get(&a, CKA_KEY_TYPE) == NULL)))
		rv = CKR_TEMPLATE_INCOMPLETE;
	if (rv == CKR_OK)
		rv = check_value(&a, class, type);
	if (rv == CKR_OK)
		rv = place(s, &a, class, type, oh);
	attrs_free(&a);
	session_leave(s);
	return rv;
}

/* The wrapping or unwrapping key, or base key, with its mechanism and parameters. */
static CK_RV wrapping(struct session *s, const CK_MECHANISM *m, CK_FLAGS flag, CK_ULONG use, CK_OBJECT_HANDLE key, struct work *w)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	w->mech = mech_find(&s->slot->manners, m->mechanism);
	if (w->mech == NULL || (op_flags(w->mech->op) & flag) == 0)
		rv = CKR_MECHANISM_INVALID;
	else
		rv = slot_object(s->slot, key, &w->key);
	leave();
	if (rv == CKR_OK)
		rv = key_permits(w->key, w->mech, use);
	return rv == CKR_OK && flag != CKF_DERIVE ? op_params(w, m) : rv;
}

/* What is wrapped of a key: its octets, or PKCS#8. */
static CK_RV plain_of(struct object *o, struct buf *out)
{
	const struct attr *v = attrs_get(&o->attrs, CKA_VALUE);
	CK_OBJECT_CLASS class = attrs_number(&o->attrs, CKA_CLASS);
	if (class != CKO_SECRET_KEY && class != CKO_PRIVATE_KEY)
		return CKR_KEY_NOT_WRAPPABLE;
	if (!attrs_flag(&o->attrs, CKA_EXTRACTABLE))
		return CKR_KEY_UNEXTRACTABLE;
	EVP_PKEY *k = class == CKO_PRIVATE_KEY ? object_pair(o) : NULL;
	bool ok = class == CKO_SECRET_KEY ? v != NULL && buf_add(out, v->p, v->n) : k != NULL && pair_private(k, out);
	return ok ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV wrap(struct session *s, const struct work *w, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_n)
{
	struct object *o = NULL;
	struct cipher c;
	struct buf plain = {0}, b = {0};
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	rv = slot_object(s->slot, key, &o);
	leave();
	if (rv == CKR_OK)
		rv = plain_of(o, &plain);
	if (rv == CKR_OK && !(op_cipher(w, &c) && cipher_run(&c, true, plain.p, plain.n, &b)))
		rv = CKR_KEY_NOT_WRAPPABLE;
	if (rv == CKR_OK && out == NULL)
		*out_n = b.n;
	else if (rv == CKR_OK)
		rv = give(&b, out, out_n);
	buf_free(&plain);
	buf_free(&b);
	object_drop(o);
	return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_KEY_HANDLE_INVALID : rv;
}

CK_RV C_WrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE wrapper, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *out_n)
{
	struct session *s;
	struct work w = {0};
	CK_RV rv = m == NULL || out_n == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = wrapping(s, m, CKF_WRAP, CKA_WRAP, wrapper, &w);
	if (rv == CKR_OBJECT_HANDLE_INVALID || rv == CKR_KEY_TYPE_INCONSISTENT)
		rv = rv == CKR_OBJECT_HANDLE_INVALID ? CKR_WRAPPING_KEY_HANDLE_INVALID : CKR_WRAPPING_KEY_TYPE_INCONSISTENT;
	if (rv == CKR_OK)
		rv = wrap(s, &w, key, out, out_n);
	op_end(&w);
	session_leave(s);
	return rv;
}

static CK_RV fill_private(struct attrs *a, CK_KEY_TYPE type, const struct buf *plain)
{
	struct buf n = {0}, e = {0};
	unsigned char d[SCALAR], point[POINT];
	bool sm2 = false, ok;
	EVP_PKEY *k = pair_of_private(plain->p, plain->n);
	if (k == NULL)
		return CKR_WRAPPED_KEY_INVALID;
	if (type == CKK_RSA) {
		ok = EVP_PKEY_get_base_id(k) == EVP_PKEY_RSA && pair_rsa_parts(k, &n, &e) && attrs_set(a, CKA_MODULUS, n.p, n.n) &&
			attrs_set(a, CKA_PUBLIC_EXPONENT, e.p, e.n) && attrs_set(a, CKA_VALUE, plain->p, plain->n);
	} else {
		ok = pair_ec_parts(k, &sm2, point, d) && (type == CKK_EC || (type == KEY_SM2 && sm2)) && attrs_set_curve(a, sm2) &&
			attrs_set(a, CKA_EC_POINT, point, POINT) && attrs_set(a, CKA_VALUE, d, SCALAR);
	}
	OPENSSL_cleanse(d, sizeof d);
	buf_free(&n);
	buf_free(&e);
	EVP_PKEY_free(k);
	return ok ? CKR_OK : CKR_WRAPPED_KEY_INVALID;
}

static CK_RV unwrap(struct session *s, const struct work *w, const CK_BYTE *in, CK_ULONG n, struct attrs *a, CK_OBJECT_HANDLE *h)
{
	struct cipher c;
	struct buf plain = {0};
	CK_OBJECT_CLASS class = attrs_number(a, CKA_CLASS);
	CK_KEY_TYPE type = attrs_number(a, CKA_KEY_TYPE);
	CK_RV rv = CKR_OK;
	if (class != CKO_SECRET_KEY && class != CKO_PRIVATE_KEY)
		return CKR_TEMPLATE_INCONSISTENT;
	if (attrs_get(a, CKA_VALUE) != NULL)
		return CKR_TEMPLATE_INCONSISTENT;
	if (!op_cipher(w, &c) || !cipher_run(&c, false, in, n, &plain))
		return CKR_WRAPPED_KEY_INVALID;
	if (class == CKO_PRIVATE_KEY)
		rv = fill_private(a, type, &plain);
	else if (!attrs_set(a, CKA_VALUE, plain.p, plain.n) || check_secret(a, type) != CKR_OK)
		rv = CKR_WRAPPED_KEY_INVALID;
	buf_free(&plain);
	return rv == CKR_OK ? place(s, a, class, type, h) : rv;
}

CK_RV C_UnwrapKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE unwrapper, CK_BYTE *in, CK_ULONG n, CK_ATTRIBUTE *t, CK_ULONG tn, CK_OBJECT_HANDLE *oh)
{
	struct session *s;
	struct work w = {0};
	struct attrs a = {0};
	CK_RV rv = m == NULL || in == NULL || oh == NULL || n > MAX_DATA ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = wrapping(s, m, CKF_UNWRAP, CKA_UNWRAP, unwrapper, &w);
	if (rv == CKR_OBJECT_HANDLE_INVALID || rv == CKR_KEY_TYPE_INCONSISTENT)
		rv = rv == CKR_OBJECT_HANDLE_INVALID ? CKR_UNWRAPPING_KEY_HANDLE_INVALID : CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT;
	if (rv == CKR_OK)
		rv = template_of(s, t, tn, &a);
	if (rv == CKR_OK)
		rv = unwrap(s, &w, in, n, &a, oh);
	op_end(&w);
	attrs_free(&a);
	session_leave(s);
	return rv;
}

/* The other's point, bare or in an OCTET STRING. */
static const unsigned char *point_in(const CK_ECDH1_DERIVE_PARAMS *p)
{
	if (p->pPublicData != NULL && p->ulPublicDataLen == POINT)
		return p->pPublicData;
	if (p->pPublicData != NULL && p->ulPublicDataLen == POINT + 2 && p->pPublicData[0] == 4 && p->pPublicData[1] == POINT)
		return p->pPublicData + 2;
	return NULL;
}

static CK_RV derive(struct session *s, const struct work *w, const CK_MECHANISM *m, struct attrs *a, CK_OBJECT_HANDLE *h)
{
	CK_ECDH1_DERIVE_PARAMS p;
	unsigned char x[SCALAR];
	CK_KEY_TYPE type = attrs_get(a, CKA_KEY_TYPE) != NULL ? attrs_number(a, CKA_KEY_TYPE) : CKK_GENERIC_SECRET;
	CK_ULONG n = attrs_get(a, CKA_VALUE_LEN) != NULL ? attrs_number(a, CKA_VALUE_LEN) : SCALAR;
	if (m->ulParameterLen != sizeof p || m->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&p, m->pParameter, sizeof p);
	const unsigned char *point = point_in(&p);
	if (p.kdf != CKD_NULL || p.ulSharedDataLen != 0 || point == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	if (n == 0 || n > SCALAR || attrs_get(a, CKA_VALUE) != NULL || template_match(a, CKO_SECRET_KEY, type) != CKR_OK)
		return CKR_TEMPLATE_INCONSISTENT;
	EVP_PKEY *k = object_pair(w->key);
	CK_RV rv = k != NULL && pair_agree(k, attrs_are_sm2(&w->key->attrs), point, x) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
	if (rv == CKR_OK && !(attrs_set(a, CKA_VALUE, x + SCALAR - n, n) && check_secret(a, type) == CKR_OK))
		rv = CKR_TEMPLATE_INCONSISTENT;
	OPENSSL_cleanse(x, sizeof x);
	return rv == CKR_OK ? place(s, a, CKO_SECRET_KEY, type, h) : rv;
}

CK_RV C_DeriveKey(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *oh)
{
	struct session *s;
	struct work w = {0};
	struct attrs a = {0};
	CK_RV rv = m == NULL || oh == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = wrapping(s, m, CKF_DERIVE, CKA_DERIVE, base, &w);
	if (rv == CKR_OK)
		rv = template_of(s, t, n, &a);
	if (rv == CKR_OK)
		rv = derive(s, &w, m, &a, oh);
	op_end(&w);
	attrs_free(&a);
	session_leave(s);
	return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_KEY_HANDLE_INVALID : rv;
}
