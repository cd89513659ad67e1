#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "module.h"

CK_FLAGS op_flags(enum op op)
{
	switch (op) {
	case OP_SM2_PAIR: case OP_EC_PAIR: case OP_RSA_PAIR: return CKF_GENERATE_KEY_PAIR;
	case OP_SM4_KEY: case OP_AES_KEY: case OP_GENERIC_KEY: return CKF_GENERATE;
	case OP_SM2_E: case OP_SM2_MESSAGE: case OP_ECDSA: case OP_ECDSA_SHA256: case OP_RSA_PKCS: case OP_RSA_SHA256:
	case OP_RSA_PSS: case OP_RSA_PSS_SHA256: case OP_HMAC_SHA256: case OP_HMAC_SM3: return CKF_SIGN | CKF_VERIFY;
	case OP_SM2_CRYPT: case OP_SM4_ECB: case OP_AES_ECB: case OP_SM4_CBC: case OP_AES_CBC: return CKF_ENCRYPT | CKF_DECRYPT;
	case OP_SM4_CBC_PAD: case OP_AES_CBC_PAD: case OP_SM4_GCM: case OP_AES_GCM: return CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP;
	case OP_AES_WRAP: case OP_AES_KWP: return CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP;
	case OP_SM3: case OP_SHA256: return CKF_DIGEST;
	case OP_ECDH: return CKF_DERIVE;
	default: return 0;
	}
}

/* Class and type of the keys that an operation works with; 0 for the type: an EC key on the SM2 curve. */
static bool key_suits(const struct object *o, enum op op)
{
	CK_KEY_TYPE type = attrs_number(&o->attrs, CKA_KEY_TYPE);
	bool secret = attrs_number(&o->attrs, CKA_CLASS) == CKO_SECRET_KEY;
	switch (op) {
	case OP_SM2_E: case OP_SM2_MESSAGE: case OP_SM2_CRYPT: return !secret && attrs_are_sm2(&o->attrs);
	case OP_ECDSA: case OP_ECDSA_SHA256: return !secret && type == CKK_EC && !attrs_are_sm2(&o->attrs);
	case OP_ECDH: return !secret && (type == CKK_EC || type == KEY_SM2);
	case OP_RSA_PKCS: case OP_RSA_SHA256: case OP_RSA_PSS: case OP_RSA_PSS_SHA256: return !secret && type == CKK_RSA;
	case OP_HMAC_SHA256: case OP_HMAC_SM3: return secret && type == CKK_GENERIC_SECRET;
	case OP_SM4_ECB: case OP_SM4_CBC: case OP_SM4_CBC_PAD: case OP_SM4_GCM: return secret && type == KEY_SM4;
	default: return secret && type == CKK_AES;
	}
}

static bool listed(const struct object *o, CK_ULONG code)
{
	const struct attr *a = attrs_get(&o->attrs, CKA_ALLOWED_MECHANISMS);
	CK_ULONG c;
	for (size_t i = 0; a != NULL && i + sizeof c <= a->n; i += sizeof c) {
		memcpy(&c, a->p + i, sizeof c);
		if (c == code)
			return true;
	}
	return a == NULL;
}

CK_RV key_permits(const struct object *o, const struct mech *m, CK_ULONG use)
{
	if (!key_suits(o, m->op))
		return CKR_KEY_TYPE_INCONSISTENT;
	if (!attrs_flag(&o->attrs, use))
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	return listed(o, m->code) ? CKR_OK : CKR_MECHANISM_INVALID;
}

static bool take(struct buf *b, const void *p, CK_ULONG n)
{
	return n <= 8192 && (p != NULL || n == 0) && buf_add(b, p, n);
}

static bool gcm_params(struct work *w, const CK_MECHANISM *m)
{
	CK_GCM_PARAMS g;
	if (m->ulParameterLen != sizeof g)
		return false;
	memcpy(&g, m->pParameter, sizeof g);
	w->tag_n = g.ulTagBits / 8;
	return g.ulTagBits % 8 == 0 && g.ulTagBits >= 96 && g.ulTagBits <= 128 && g.ulIvLen >= 12 && g.ulIvLen <= 64 &&
		take(&w->iv, g.pIv, g.ulIvLen) && take(&w->aad, g.pAAD, g.ulAADLen);
}

static bool pss_params(const CK_MECHANISM *m)
{
	CK_RSA_PKCS_PSS_PARAMS p;
	if (m->ulParameterLen != sizeof p)
		return false;
	memcpy(&p, m->pParameter, sizeof p);
	return p.hashAlg == CKM_SHA256 && p.mgf == CKG_MGF1_SHA256 && p.sLen == 32;
}

CK_RV op_params(struct work *w, const CK_MECHANISM *m)
{
	bool ok;
	if (m->pParameter == NULL && m->ulParameterLen > 0)
		return CKR_ARGUMENTS_BAD;
	switch (w->mech->op) {
	case OP_SM4_GCM: case OP_AES_GCM:
		ok = gcm_params(w, m);
		break;
	case OP_SM4_CBC: case OP_SM4_CBC_PAD: case OP_AES_CBC: case OP_AES_CBC_PAD:
		ok = m->ulParameterLen == 16 && take(&w->iv, m->pParameter, 16);
		break;
	case OP_RSA_PSS: case OP_RSA_PSS_SHA256:
		ok = pss_params(m);
		break;
	case OP_SM2_MESSAGE:
		ok = m->ulParameterLen == 0 ? take(&w->id, SM2_ID, 16) : w->mech->takes_id && take(&w->id, m->pParameter, m->ulParameterLen);
		break;
	default:
		ok = m->ulParameterLen == 0;
	}
	return ok ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

void op_end(struct work *w)
{
	object_drop(w->key);
	buf_free(&w->iv);
	buf_free(&w->aad);
	buf_free(&w->id);
	buf_free(&w->data);
	*w = (struct work){0};
}

bool op_signs_der(const struct mech *mech, const struct manners *m)
{
	if (mech->op == OP_ECDSA || mech->op == OP_ECDSA_SHA256)
		return m->dialect->ecdsa_der;
	return (mech->form != FORM_OF_TOKEN ? mech->form : m->signature) == FORM_DER;
}

bool op_cipher(const struct work *w, struct cipher *c)
{
	const struct attr *v = attrs_get(&w->key->attrs, CKA_VALUE);
	if (v == NULL)
		return false;
	*c = (struct cipher){.op = w->mech->op, .key = v->p, .key_n = v->n, .iv = w->iv.p, .iv_n = w->iv.n, .aad = w->aad.p, .aad_n = w->aad.n, .tag_n = w->tag_n};
	return cipher_fits(c);
}

CK_RV give(const struct buf *b, CK_BYTE *out, CK_ULONG *out_n)
{
	CK_ULONG room = *out_n;
	*out_n = b->n;
	if (room < b->n)
		return CKR_BUFFER_TOO_SMALL;
	if (b->n > 0)
		memcpy(out, b->p, b->n);
	return CKR_OK;
}

static const CK_ULONG use_of[KINDS] = {CKA_SIGN, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT, 0};
static const CK_FLAGS flag_of[KINDS] = {CKF_SIGN, CKF_VERIFY, CKF_ENCRYPT, CKF_DECRYPT, CKF_DIGEST};

static CK_RV find_key(struct session *s, CK_OBJECT_HANDLE h, struct object **o)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	rv = slot_object(s->slot, h, o);
	leave();
	return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_KEY_HANDLE_INVALID : rv;
}

static CK_RV begin(struct session *s, enum kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE h)
{
	struct work w = {0};
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	w.mech = mech_find(&s->slot->manners, m->mechanism);
	w.der = w.mech != NULL && op_signs_der(w.mech, &s->slot->manners);
	leave();
	if (s->ops[kind].mech != NULL)
		return CKR_OPERATION_ACTIVE;
	if (w.mech == NULL || (op_flags(w.mech->op) & flag_of[kind]) == 0)
		return CKR_MECHANISM_INVALID;
	if (kind != DIGEST)
		rv = find_key(s, h, &w.key);
	if (rv == CKR_OK && kind != DIGEST)
		rv = key_permits(w.key, w.mech, use_of[kind]);
	if (rv == CKR_OK)
		rv = op_params(&w, m);
	if (rv == CKR_OK)
		s->ops[kind] = w;
	else
		op_end(&w);
	return rv;
}

static CK_RV start(const char *call, CK_SESSION_HANDLE h, enum kind kind, const CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	struct session *s;
	CK_RV rv = m == NULL ? CKR_ARGUMENTS_BAD : session_enter(call, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = begin(s, kind, m, key);
	session_leave(s);
	return rv;
}

CK_RV C_SignInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key) { return start(__func__, h, SIGN, m, key); }
CK_RV C_VerifyInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key) { return start(__func__, h, VERIFY, m, key); }
CK_RV C_EncryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key) { return start(__func__, h, ENCRYPT, m, key); }
CK_RV C_DecryptInit(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key) { return start(__func__, h, DECRYPT, m, key); }
CK_RV C_DigestInit(CK_SESSION_HANDLE h, CK_MECHANISM *m) { return start(__func__, h, DIGEST, m, CK_INVALID_HANDLE); }

/* The largest result of an operation over n octets. */
static size_t most(const struct work *w, enum kind kind, size_t n)
{
	const struct attr *modulus = w->key != NULL ? attrs_get(&w->key->attrs, CKA_MODULUS) : NULL;
	if (kind == DIGEST || w->mech->op == OP_HMAC_SHA256 || w->mech->op == OP_HMAC_SM3)
		return 32;
	if (kind == SIGN)
		return modulus != NULL ? modulus->n : w->der ? 72 : 64;
	return w->mech->op == OP_SM2_CRYPT && kind == ENCRYPT ? n + 128 : n + 32;
}

CK_RV work_sign(struct session *s, const struct work *w, const unsigned char *in, size_t n, struct buf *out);
CK_RV work_verify(struct session *s, const struct work *w, const unsigned char *in, size_t n, const unsigned char *sig, size_t sig_n);
CK_RV work_cipher(struct session *s, const struct work *w, bool encrypt, const unsigned char *in, size_t n, struct buf *out);

static CK_RV work(struct session *s, enum kind kind, const unsigned char *in, size_t n, struct buf *out)
{
	const struct work *w = &s->ops[kind];
	unsigned char sum[32];
	if (kind == SIGN)
		return work_sign(s, w, in, n, out);
	if (kind != DIGEST)
		return work_cipher(s, w, kind == ENCRYPT, in, n, out);
	return digest(w->mech->op == OP_SM3 ? "SM3" : "SHA256", in, n, sum) && buf_add(out, sum, 32) ? CKR_OK : CKR_FUNCTION_FAILED;
}

/* Finishes an operation over in; asking for the size, or giving too little room, leaves it under way. */
static CK_RV finish(struct session *s, enum kind kind, const unsigned char *in, size_t n, CK_BYTE *out, CK_ULONG *out_n)
{
	struct buf b = {0};
	size_t enough = most(&s->ops[kind], kind, n);
	if (out == NULL || (kind == SIGN && *out_n < enough)) { /* no signature is made only to be thrown away */
		*out_n = enough;
		return out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	CK_RV rv = work(s, kind, in, n, &b);
	if (rv == CKR_OK)
		rv = give(&b, out, out_n);
	buf_free(&b);
	if (rv != CKR_BUFFER_TOO_SMALL)
		op_end(&s->ops[kind]);
	return rv;
}

static CK_RV whole(struct session *s, enum kind kind, const CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n)
{
	if (s->ops[kind].mech == NULL)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (s->ops[kind].parts) {
		op_end(&s->ops[kind]);
		return CKR_OPERATION_ACTIVE;
	}
	return finish(s, kind, in, n, out, out_n);
}

static CK_RV one(const char *call, CK_SESSION_HANDLE h, enum kind kind, const CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n)
{
	struct session *s;
	if (out_n == NULL || (in == NULL && n > 0) || n > MAX_DATA)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = session_enter(call, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = whole(s, kind, in, n, out, out_n);
	session_leave(s);
	return rv;
}

CK_RV C_Sign(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n) { return one(__func__, h, SIGN, in, n, out, out_n); }
CK_RV C_Encrypt(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n) { return one(__func__, h, ENCRYPT, in, n, out, out_n); }
CK_RV C_Decrypt(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n) { return one(__func__, h, DECRYPT, in, n, out, out_n); }
CK_RV C_Digest(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n) { return one(__func__, h, DIGEST, in, n, out, out_n); }

/* Parts are gathered and worked on at the end. */
static CK_RV part(const char *call, CK_SESSION_HANDLE h, enum kind kind, const CK_BYTE *in, CK_ULONG n)
{
	struct session *s;
	if ((in == NULL && n > 0) || n > MAX_DATA)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = session_enter(call, h, &s);
	if (rv != CKR_OK)
		return rv;
	struct work *w = &s->ops[kind];
	if (w->mech == NULL)
		rv = CKR_OPERATION_NOT_INITIALIZED;
	else if (!buf_add(&w->data, in, n))
		rv = CKR_DEVICE_MEMORY;
	w->parts = w->mech != NULL;
	if (rv == CKR_DEVICE_MEMORY)
		op_end(w);
	session_leave(s);
	return rv;
}

CK_RV C_SignUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n) { return part(__func__, h, SIGN, in, n); }
CK_RV C_VerifyUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n) { return part(__func__, h, VERIFY, in, n); }
CK_RV C_DigestUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n) { return part(__func__, h, DIGEST, in, n); }

static CK_RV silent_part(const char *call, CK_SESSION_HANDLE h, enum kind kind, const CK_BYTE *in, CK_ULONG n, const CK_BYTE *out, CK_ULONG *out_n)
{
	if (out_n == NULL)
		return CKR_ARGUMENTS_BAD;
	*out_n = 0;
	return out == NULL ? CKR_OK : part(call, h, kind, in, n);
}

CK_RV C_EncryptUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n) { return silent_part(__func__, h, ENCRYPT, in, n, out, out_n); }
CK_RV C_DecryptUpdate(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n) { return silent_part(__func__, h, DECRYPT, in, n, out, out_n); }

static CK_RV final(const char *call, CK_SESSION_HANDLE h, enum kind kind, CK_BYTE *out, CK_ULONG *out_n)
{
	struct session *s;
	CK_RV rv = out_n == NULL ? CKR_ARGUMENTS_BAD : session_enter(call, h, &s);
	if (rv != CKR_OK)
		return rv;
	const struct work *w = &s->ops[kind];
	rv = w->mech == NULL ? CKR_OPERATION_NOT_INITIALIZED : finish(s, kind, w->data.p, w->data.n, out, out_n);
	session_leave(s);
	return rv;
}

CK_RV C_SignFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_n) { return final(__func__, h, SIGN, out, out_n); }
CK_RV C_EncryptFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_n) { return final(__func__, h, ENCRYPT, out, out_n); }
CK_RV C_DecryptFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_n) { return final(__func__, h, DECRYPT, out, out_n); }
CK_RV C_DigestFinal(CK_SESSION_HANDLE h, CK_BYTE *out, CK_ULONG *out_n) { return final(__func__, h, DIGEST, out, out_n); }

static CK_RV verify(const char *call, CK_SESSION_HANDLE h, bool parts, const CK_BYTE *in, CK_ULONG n, const CK_BYTE *sig, CK_ULONG sig_n)
{
	struct session *s;
	if (sig == NULL || (in == NULL && n > 0) || n > MAX_DATA || sig_n > 4096)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = session_enter(call, h, &s);
	if (rv != CKR_OK)
		return rv;
	struct work *w = &s->ops[VERIFY];
	if (w->mech == NULL)
		rv = CKR_OPERATION_NOT_INITIALIZED;
	else
		rv = parts ? work_verify(s, w, w->data.p, w->data.n, sig, sig_n) : work_verify(s, w, in, n, sig, sig_n);
	op_end(w);
	session_leave(s);
	return rv;
}

CK_RV C_Verify(CK_SESSION_HANDLE h, CK_BYTE *in, CK_ULONG n, CK_BYTE *sig, CK_ULONG sig_n) { return verify(__func__, h, false, in, n, sig, sig_n); }
CK_RV C_VerifyFinal(CK_SESSION_HANDLE h, CK_BYTE *sig, CK_ULONG sig_n) { return verify(__func__, h, true, NULL, 0, sig, sig_n); }
