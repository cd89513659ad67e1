#include <string.h>

#include "module.h"

enum shape { FLAG, NUMBER, OCTETS, DATE, REFUSED, FIXED /* set by the token alone */ };

static const struct {
	CK_ULONG type;
	enum shape shape;
	bool rich; /* unknown to the makers whose templates leave it out */
} known[] = {
	{CKA_CLASS, NUMBER, 0}, {CKA_TOKEN, FLAG, 0}, {CKA_PRIVATE, FLAG, 0}, {CKA_LABEL, OCTETS, 0}, {CKA_APPLICATION, OCTETS, 0},
	{CKA_VALUE, OCTETS, 0}, {CKA_OBJECT_ID, OCTETS, 0}, {CKA_TRUSTED, REFUSED, 1}, {CKA_KEY_TYPE, NUMBER, 0}, {CKA_SUBJECT, OCTETS, 0},
	{CKA_ID, OCTETS, 0}, {CKA_SENSITIVE, FLAG, 0}, {CKA_ENCRYPT, FLAG, 0}, {CKA_DECRYPT, FLAG, 0}, {CKA_WRAP, FLAG, 0},
	{CKA_UNWRAP, FLAG, 0}, {CKA_SIGN, FLAG, 0}, {CKA_VERIFY, FLAG, 0}, {CKA_DERIVE, FLAG, 0}, {CKA_START_DATE, DATE, 0},
	{CKA_END_DATE, DATE, 0}, {CKA_MODULUS, OCTETS, 0}, {CKA_MODULUS_BITS, NUMBER, 0}, {CKA_PUBLIC_EXPONENT, OCTETS, 0},
	{CKA_VALUE_LEN, NUMBER, 0}, {CKA_EXTRACTABLE, FLAG, 0}, {CKA_LOCAL, FIXED, 0}, {CKA_NEVER_EXTRACTABLE, FIXED, 0},
	{CKA_ALWAYS_SENSITIVE, FIXED, 0}, {CKA_KEY_GEN_MECHANISM, FIXED, 1}, {CKA_MODIFIABLE, FLAG, 0}, {CKA_COPYABLE, FLAG, 0},
	{CKA_DESTROYABLE, FLAG, 0}, {CKA_EC_PARAMS, OCTETS, 0}, {CKA_EC_POINT, OCTETS, 0}, {CKA_ALWAYS_AUTHENTICATE, REFUSED, 0},
	{CKA_WRAP_WITH_TRUSTED, REFUSED, 1}, {CKA_ALLOWED_MECHANISMS, OCTETS, 1},
};
#define KNOWN (sizeof known / sizeof known[0])

static const unsigned char oid_sm2[] = {0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D};
static const unsigned char oid_p256[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};

bool attrs_set_curve(struct attrs *a, bool sm2)
{
	return attrs_set(a, CKA_EC_PARAMS, sm2 ? oid_sm2 : oid_p256, sizeof oid_sm2);
}

CK_RV attrs_curve(const struct attrs *a, bool *sm2)
{
	const struct attr *p = attrs_get(a, CKA_EC_PARAMS);
	if (p == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	*sm2 = p->n == sizeof oid_sm2 && memcmp(p->p, oid_sm2, p->n) == 0;
	return *sm2 || (p->n == sizeof oid_p256 && memcmp(p->p, oid_p256, p->n) == 0) ? CKR_OK : CKR_CURVE_NOT_SUPPORTED;
}

bool attrs_are_sm2(const struct attrs *a)
{
	bool sm2;
	return attrs_curve(a, &sm2) == CKR_OK && sm2;
}

static CK_RV shape_of(const struct manners *m, CK_ULONG type, enum shape *s)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (known[i].type == type && !(known[i].rich && m->dialect->fewer_attributes)) {
			*s = known[i].shape;
			return CKR_OK;
		}
	return CKR_ATTRIBUTE_TYPE_INVALID;
}

static CK_RV check_value(enum shape s, const CK_ATTRIBUTE *t)
{
	if (s == FIXED)
		return CKR_ATTRIBUTE_READ_ONLY;
	if ((t->pValue == NULL && t->ulValueLen > 0) || t->ulValueLen > 65536)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	bool fits = s == OCTETS || (s == NUMBER && t->ulValueLen == sizeof(CK_ULONG)) || (s == DATE && (t->ulValueLen == 0 || t->ulValueLen == 8)) ||
		((s == FLAG || s == REFUSED) && t->ulValueLen == 1);
	if (!fits || (s == REFUSED && *(CK_BYTE *)t->pValue != CK_FALSE))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	return CKR_OK;
}

/* Stores a value in our own form: our code of a key type, a point without its OCTET STRING. */
static bool keep(const struct manners *m, struct attrs *a, const CK_ATTRIBUTE *t)
{
	const unsigned char *p = t->pValue;
	size_t n = t->ulValueLen;
	CK_ULONG v;
	if (t->type == CKA_KEY_TYPE) {
		memcpy(&v, p, sizeof v);
		return attrs_set_number(a, t->type, key_type_stored(m, v));
	}
	if (t->type == CKA_EC_POINT && n == POINT + 2 && p[0] == 4 && p[1] == POINT)
		return attrs_set(a, t->type, p + 2, POINT);
	return attrs_set(a, t->type, p, n);
}

CK_RV template_read(const struct manners *m, const CK_ATTRIBUTE *t, CK_ULONG n, struct attrs *a)
{
	enum shape s;
	if (n > MOST_TEMPLATE || (t == NULL && n > 0))
		return CKR_ARGUMENTS_BAD;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_RV rv = shape_of(m, t[i].type, &s);
		if (rv == CKR_OK)
			rv = check_value(s, &t[i]);
		if (rv != CKR_OK)
			return rv;
		if (attrs_get(a, t[i].type) != NULL)
			return CKR_TEMPLATE_INCONSISTENT;
		if (!keep(m, a, &t[i]))
			return CKR_DEVICE_MEMORY;
	}
	return CKR_OK;
}

/* A class or key type in a template must be the one that the mechanism makes. */
CK_RV template_match(const struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type)
{
	if (attrs_get(a, CKA_CLASS) != NULL && attrs_number(a, CKA_CLASS) != class)
		return CKR_TEMPLATE_INCONSISTENT;
	if (attrs_get(a, CKA_KEY_TYPE) == NULL || attrs_number(a, CKA_KEY_TYPE) == type)
		return CKR_OK;
	return CKR_TEMPLATE_INCONSISTENT;
}

static bool set_default(struct attrs *a, CK_ULONG type, bool v)
{
	return attrs_get(a, type) != NULL || attrs_set_flag(a, type, v);
}

static bool fill_uses(struct attrs *a, CK_OBJECT_CLASS class)
{
	static const CK_ULONG public[] = {CKA_ENCRYPT, CKA_VERIFY, CKA_WRAP, CKA_DERIVE}, private[] = {CKA_DECRYPT, CKA_SIGN, CKA_UNWRAP, CKA_DERIVE},
		secret[] = {CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE};
	const CK_ULONG *uses = class == CKO_PUBLIC_KEY ? public : class == CKO_PRIVATE_KEY ? private : secret;
	size_t n = class == CKO_SECRET_KEY ? 7 : 4;
	bool ok = true;
	for (size_t i = 0; ok && i < n; i++)
		ok = set_default(a, uses[i], false);
	return ok;
}

static bool fill_secrecy(struct attrs *a, bool local)
{
	bool ok = set_default(a, CKA_SENSITIVE, true) && set_default(a, CKA_EXTRACTABLE, false);
	if (attrs_number(a, CKA_CLASS) == CKO_PRIVATE_KEY)
		ok = ok && attrs_set_flag(a, CKA_ALWAYS_AUTHENTICATE, false);
	return ok && attrs_set_flag(a, CKA_ALWAYS_SENSITIVE, local && attrs_flag(a, CKA_SENSITIVE)) &&
		attrs_set_flag(a, CKA_NEVER_EXTRACTABLE, local && !attrs_flag(a, CKA_EXTRACTABLE));
}

/* Gives an object what its template left out. What a key may do must be said: nothing is permitted by default. */
CK_RV template_finish(struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type, bool local)
{
	bool key = class != CKO_DATA, secret = class == CKO_PRIVATE_KEY || class == CKO_SECRET_KEY;
	bool ok = attrs_set_number(a, CKA_CLASS, class) && set_default(a, CKA_TOKEN, false) && set_default(a, CKA_PRIVATE, secret) &&
		set_default(a, CKA_MODIFIABLE, true) && set_default(a, CKA_DESTROYABLE, true) &&
		(attrs_get(a, CKA_LABEL) != NULL || attrs_set(a, CKA_LABEL, "", 0));
	if (ok && key)
		ok = attrs_set_number(a, CKA_KEY_TYPE, type) && (attrs_get(a, CKA_ID) != NULL || attrs_set(a, CKA_ID, "", 0)) &&
			attrs_set_flag(a, CKA_LOCAL, local) && fill_uses(a, class) && (!secret || fill_secrecy(a, local));
	if (!ok)
		return CKR_DEVICE_MEMORY;
	return secret && !attrs_flag(a, CKA_PRIVATE) ? CKR_TEMPLATE_INCONSISTENT : CKR_OK;
}

static CK_RV show_point(const struct manners *m, CK_OBJECT_CLASS class, const struct attr *at, struct buf *out)
{
	if (class == CKO_PRIVATE_KEY && !m->point_on_private)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	bool ok = (m->bare_point || (buf_add_number(out, 4, 1) && buf_add_number(out, at->n, 1))) && buf_add(out, at->p, at->n);
	return ok ? CKR_OK : CKR_HOST_MEMORY;
}

/* What the outside sees of an attribute. A private key's value is shown to nobody, a secret key's if it was made to be shown. */
CK_RV attr_show(const struct manners *m, const struct object *o, CK_ULONG type, struct buf *out)
{
	const struct attr *at = attrs_get(&o->attrs, type);
	CK_OBJECT_CLASS class = attrs_number(&o->attrs, CKA_CLASS);
	if (at == NULL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if (type == CKA_VALUE && (class == CKO_PRIVATE_KEY ||
		(class == CKO_SECRET_KEY && (attrs_flag(&o->attrs, CKA_SENSITIVE) || !attrs_flag(&o->attrs, CKA_EXTRACTABLE)))))
		return CKR_ATTRIBUTE_SENSITIVE;
	if (type == CKA_EC_POINT)
		return show_point(m, class, at, out);
	CK_ULONG v = type == CKA_KEY_TYPE ? key_type_shown(m, attrs_number(&o->attrs, type)) : 0;
	bool ok = type == CKA_KEY_TYPE ? buf_add(out, &v, sizeof v) : buf_add(out, at->p, at->n);
	return ok ? CKR_OK : CKR_HOST_MEMORY;
}
