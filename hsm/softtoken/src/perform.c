#include <string.h>

#include <openssl/crypto.h>

#include "module.h"

/* The work itself: what a key makes of its input, in the form of the token's dialect. */

static CK_RV spoiled(struct session *s, unsigned which, struct buf *b, size_t at)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	unsigned every = which == DUE_SIGNATURE ? module.faults.wrong_signature : module.faults.wrong_plaintext;
	if (slot_meant(s->slot) && fault_due(which, every) && at < b->n)
		b->p[at] ^= 1;
	leave();
	return CKR_OK;
}

static CK_RV manners_now(const struct session *s, struct manners *m)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	*m = s->slot->manners;
	leave();
	return CKR_OK;
}

/* What of the input is signed: the input itself, or its digest. RSA with SHA-256 and MACs take the input. */
static CK_RV to_sign(const struct work *w, const struct manners *m, const unsigned char **in, size_t *n, unsigned char e[32])
{
	EVP_PKEY *k = object_pair(w->key);
	bool ok = true;
	if (*n > m->dialect->frame)
		return CKR_DATA_LEN_RANGE;
	switch (w->mech->op) {
	case OP_SM2_E: case OP_RSA_PSS:
		return *n == 32 ? CKR_OK : CKR_DATA_LEN_RANGE;
	case OP_ECDSA:
		return *n >= 1 && *n <= 64 ? CKR_OK : CKR_DATA_LEN_RANGE;
	case OP_RSA_PKCS:
		return *n >= 1 && *n <= 501 ? CKR_OK : CKR_DATA_LEN_RANGE;
	case OP_SM2_MESSAGE:
		ok = k != NULL && sm2_e(k, m->za || w->mech->takes_id, w->id.p, w->id.n, *in, *n, e);
		break;
	default:
		ok = digest("SHA256", *in, *n, e);
	}
	*in = e;
	*n = 32;
	return ok ? CKR_OK : CKR_FUNCTION_FAILED;
}

static bool is_rsa(enum op op)
{
	return op == OP_RSA_PKCS || op == OP_RSA_SHA256 || op == OP_RSA_PSS || op == OP_RSA_PSS_SHA256;
}

static bool is_pss(enum op op)
{
	return op == OP_RSA_PSS || op == OP_RSA_PSS_SHA256;
}

static const char *mac_digest(enum op op)
{
	return op == OP_HMAC_SM3 ? "SM3" : op == OP_HMAC_SHA256 ? "SHA256" : NULL;
}

static CK_RV sign_ec(struct session *s, const struct work *w, const unsigned char *e, size_t n, struct buf *out)
{
	unsigned char raw[64];
	struct buf plain = {0};
	EVP_PKEY *k = object_pair(w->key);
	bool ok = k != NULL && ec_sign(k, e, n, raw) && buf_add(&plain, raw, sizeof raw);
	CK_RV rv = ok ? spoiled(s, DUE_SIGNATURE, &plain, 63) : CKR_FUNCTION_FAILED;
	if (rv == CKR_OK && !(w->der ? der_signature(plain.p, out) : buf_add(out, plain.p, plain.n)))
		rv = CKR_HOST_MEMORY;
	buf_free(&plain);
	return rv;
}

static CK_RV make_mac(const struct work *w, const unsigned char *in, size_t n, unsigned char out[32])
{
	const struct attr *v = attrs_get(&w->key->attrs, CKA_VALUE);
	return v != NULL && mac(mac_digest(w->mech->op), v, in, n, out) ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV work_sign(struct session *s, const struct work *w, const unsigned char *in, size_t n, struct buf *out)
{
	unsigned char e[32];
	struct manners m;
	CK_RV rv = manners_now(s, &m);
	if (rv == CKR_OK && mac_digest(w->mech->op) != NULL) {
		rv = n > m.dialect->frame ? CKR_DATA_LEN_RANGE : make_mac(w, in, n, e);
		return rv == CKR_OK && !buf_add(out, e, 32) ? CKR_HOST_MEMORY : rv;
	}
	if (rv == CKR_OK)
		rv = to_sign(w, &m, &in, &n, e);
	if (rv != CKR_OK)
		return rv;
	if (!is_rsa(w->mech->op))
		return sign_ec(s, w, in, n, out);
	EVP_PKEY *k = object_pair(w->key);
	if (k == NULL || !rsa_sign(k, is_pss(w->mech->op), w->mech->op == OP_RSA_PKCS, in, n, out))
		return CKR_DATA_LEN_RANGE;
	return spoiled(s, DUE_SIGNATURE, out, out->n - 1);
}

static CK_RV verify_ec(const struct work *w, const unsigned char *e, size_t n, const unsigned char *sig, size_t sig_n)
{
	unsigned char raw[64];
	EVP_PKEY *k = object_pair(w->key);
	bool formed = w->der ? der_signature_raw(sig, sig_n, raw) : sig_n == sizeof raw;
	if (!formed)
		return CKR_SIGNATURE_LEN_RANGE;
	if (!w->der)
		memcpy(raw, sig, sizeof raw);
	return k != NULL && ec_verify(k, e, n, raw) ? CKR_OK : CKR_SIGNATURE_INVALID;
}

CK_RV work_verify(struct session *s, const struct work *w, const unsigned char *in, size_t n, const unsigned char *sig, size_t sig_n)
{
	unsigned char e[32];
	struct manners m;
	CK_RV rv = manners_now(s, &m);
	if (rv == CKR_OK && mac_digest(w->mech->op) != NULL) {
		rv = make_mac(w, in, n, e);
		if (rv == CKR_OK && sig_n != 32)
			return CKR_SIGNATURE_LEN_RANGE;
		return rv == CKR_OK && CRYPTO_memcmp(e, sig, 32) != 0 ? CKR_SIGNATURE_INVALID : rv;
	}
	if (rv == CKR_OK)
		rv = to_sign(w, &m, &in, &n, e);
	if (rv != CKR_OK)
		return rv;
	if (!is_rsa(w->mech->op))
		return verify_ec(w, in, n, sig, sig_n);
	EVP_PKEY *k = object_pair(w->key);
	return k != NULL && rsa_verify(k, is_pss(w->mech->op), w->mech->op == OP_RSA_PKCS, in, n, sig, sig_n) ? CKR_OK : CKR_SIGNATURE_INVALID;
}

static CK_RV sm2_crypt(const struct work *w, const struct manners *m, bool encrypt, const unsigned char *in, size_t n, struct buf *out)
{
	struct buf der = {0};
	enum form form = w->mech->form != FORM_OF_TOKEN ? w->mech->form : m->ciphertext;
	EVP_PKEY *k = object_pair(w->key);
	bool ok = k != NULL && (encrypt ? sm2_encrypt(k, in, n, &der) && der_ciphertext_as(der.p, der.n, form, out)
		: der_ciphertext(in, n, form, &der) && sm2_decrypt(k, der.p, der.n, out));
	buf_free(&der);
	if (ok)
		return CKR_OK;
	return encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_INVALID;
}

CK_RV work_cipher(struct session *s, const struct work *w, bool encrypt, const unsigned char *in, size_t n, struct buf *out)
{
	struct cipher c;
	struct manners m;
	CK_RV rv = manners_now(s, &m);
	if (rv != CKR_OK)
		return rv;
	if (n > m.dialect->frame)
		return encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
	if (w->mech->op == OP_SM2_CRYPT)
		rv = sm2_crypt(w, &m, encrypt, in, n, out);
	else if (!op_cipher(w, &c))
		rv = CKR_MECHANISM_PARAM_INVALID;
	else if (!cipher_run(&c, encrypt, in, n, out))
		rv = encrypt ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_INVALID;
	return rv == CKR_OK && !encrypt ? spoiled(s, DUE_PLAINTEXT, out, 0) : rv;
}
