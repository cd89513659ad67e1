#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "sdf.h"

static bool number_in(const unsigned char from[ECC_MAX], unsigned char to[SCALAR])
{
	static const unsigned char zeros[ECC_MAX - SCALAR];
	memcpy(to, from + ECC_MAX - SCALAR, SCALAR);
	return memcmp(from, zeros, sizeof zeros) == 0;
}

static void number_out(const unsigned char from[SCALAR], unsigned char to[ECC_MAX])
{
	memset(to, 0, ECC_MAX - SCALAR);
	memcpy(to + ECC_MAX - SCALAR, from, SCALAR);
}

bool sdf_point_in(const ECCrefPublicKey *p, unsigned char point[POINT])
{
	point[0] = 4;
	return p->bits == 256 && number_in(p->x, point + 1) && number_in(p->y, point + 1 + SCALAR);
}

void sdf_point_out(const unsigned char point[POINT], ECCrefPublicKey *p)
{
	p->bits = 256;
	number_out(point + 1, p->x);
	number_out(point + 1 + SCALAR, p->y);
}

SDF SDF_GetDeviceInfo(void *h, DEVICEINFO *info)
{
	struct sdf_session *s;
	struct sdf_device *d;
	struct record r;
	int rc = info == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	*info = (DEVICEINFO){.DeviceVersion = 1, .StandardVersion = 1, .AsymAlgAbility = {SGD_SM2_SIGN | SGD_SM2_ENCRYPT, 256},
		.SymAlgAbility = 0x400 | SGD_ECB | SGD_CBC | SGD_MAC, .HashAlgAbility = SGD_SM3, .BufferSize = MOST_MESSAGE};
	char issuer[sizeof info->IssuerName + 1];
	snprintf(issuer, sizeof issuer, "%s, testing only", d->manners.dialect->maker);
	memcpy(info->IssuerName, issuer, strlen(issuer));
	memcpy(info->DeviceName, "softtoken", 9);
	if (record_read(d->dir, &r) == CKR_OK)
		memcpy(info->DeviceSerial, r.serial, sizeof info->DeviceSerial);
	return sdf_leave(s, SDR_OK);
}

SDF SDF_GenerateRandom(void *h, uint32_t n, unsigned char *out)
{
	struct sdf_session *s;
	struct sdf_device *d;
	int rc = out == NULL || n > MOST_MESSAGE ? SDR_INARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	return sdf_leave(s, RAND_bytes(out, (int)n) == 1 ? SDR_OK : SDR_RANDERR);
}

int sdf_not_open(enum sdf_found f)
{
	return f == SDF_OPEN ? SDR_OK : f == SDF_NONE ? SDR_KEYNOTEXIST : f == SDF_WRONG ? SDR_PRKRERR : SDR_HARDFAIL;
}

SDF SDF_GetPrivateKeyAccessRight(void *h, uint32_t index, unsigned char *password, uint32_t n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	if (password == NULL || n > PIN_MAX || index == 0 || index > SDF_MOST_INDEX)
		return SDR_INARGERR;
	int rc = sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	struct right *r = calloc(1, sizeof *r);
	enum sdf_found f = r != NULL ? sdfkey_open(d->dir, index, password, n, &r->sign, &r->encrypt) : SDF_DAMAGED;
	if (f != SDF_OPEN) {
		free(r);
		return sdf_leave(s, sdf_not_open(f));
	}
	sdf_right_end(s, index);
	r->index = index;
	r->next = s->rights;
	s->rights = r;
	return sdf_leave(s, SDR_OK);
}

SDF SDF_ReleasePrivateKeyAccessRight(void *h, uint32_t index)
{
	struct sdf_session *s;
	struct sdf_device *d;
	int rc = index == 0 ? SDR_INARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	sdf_right_end(s, index);
	return sdf_leave(s, SDR_OK);
}

static int export_public(const char *call, void *h, uint32_t index, enum sdf_use use, ECCrefPublicKey *p)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	int rc = p == NULL ? SDR_OUTARGERR : sdf_enter(call, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	rc = sdf_not_open(sdfkey_point(d->dir, index, use, point));
	if (rc == SDR_OK)
		sdf_point_out(point, p);
	return sdf_leave(s, rc);
}

SDF SDF_ExportSignPublicKey_ECC(void *h, uint32_t index, ECCrefPublicKey *p) { return export_public(__func__, h, index, SDF_SIGN, p); }
SDF SDF_ExportEncPublicKey_ECC(void *h, uint32_t index, ECCrefPublicKey *p) { return export_public(__func__, h, index, SDF_ENCRYPT, p); }

/* The private half under an index to which the session has the right, as long as it is still in the device. */
static int private_of(struct sdf_session *s, struct sdf_device *d, uint32_t index, enum sdf_use use, EVP_PKEY **k)
{
	struct right *r = sdf_right(s, index);
	if (!sdfkey_exists(d->dir, index, use))
		return SDR_KEYNOTEXIST;
	*k = r == NULL ? NULL : use == SDF_SIGN ? r->sign : r->encrypt;
	return *k != NULL ? SDR_OK : SDR_PARDENY;
}

SDF SDF_InternalSign_ECC(void *h, uint32_t index, unsigned char *e, uint32_t n, ECCSignature *sig)
{
	struct sdf_session *s;
	struct sdf_device *d;
	EVP_PKEY *k;
	unsigned char raw[64];
	int rc = e == NULL || n != 32 ? SDR_INARGERR : sig == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	rc = private_of(s, d, index, SDF_SIGN, &k);
	if (rc == SDR_OK && !ec_sign(k, e, n, raw))
		rc = SDR_SIGNERR;
	if (rc == SDR_OK) {
		raw[63] ^= sdf_due(d, SDF_DUE_SIGNATURE, s->faults.wrong_signature);
		number_out(raw, sig->r);
		number_out(raw + SCALAR, sig->s);
	}
	return sdf_leave(s, rc);
}

static int verify(const unsigned char point[POINT], const unsigned char *e, const ECCSignature *sig)
{
	unsigned char raw[64];
	if (!number_in(sig->r, raw) || !number_in(sig->s, raw + SCALAR))
		return SDR_VERIFYERR;
	EVP_PKEY *k = pair_of_ec(true, point, NULL);
	int rc = k == NULL ? SDR_INARGERR : ec_verify(k, e, 32, raw) ? SDR_OK : SDR_VERIFYERR;
	EVP_PKEY_free(k);
	return rc;
}

SDF SDF_InternalVerify_ECC(void *h, uint32_t index, unsigned char *e, uint32_t n, ECCSignature *sig)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	int rc = e == NULL || n != 32 || sig == NULL ? SDR_INARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	rc = sdf_not_open(sdfkey_point(d->dir, index, SDF_SIGN, point));
	return sdf_leave(s, rc == SDR_OK ? verify(point, e, sig) : rc);
}

SDF SDF_ExternalVerify_ECC(void *h, uint32_t alg, ECCrefPublicKey *p, unsigned char *e, uint32_t n, ECCSignature *sig)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	if (alg != SGD_SM2_SIGN && alg != SGD_SM2)
		return SDR_ALGNOTSUPPORT;
	if (p == NULL || e == NULL || n != 32 || sig == NULL || !sdf_point_in(p, point))
		return SDR_INARGERR;
	int rc = sdf_enter(__func__, h, &s, &d);
	return rc == SDR_OK ? sdf_leave(s, verify(point, e, sig)) : rc;
}

int sdf_encrypt_to(const unsigned char point[POINT], const unsigned char *in, uint32_t n, ECCCipher *out)
{
	struct buf der = {0}, plain = {0};
	EVP_PKEY *k = pair_of_ec(true, point, NULL);
	bool ok = k != NULL && sm2_encrypt(k, in, n, &der) && der_ciphertext_as(der.p, der.n, FORM_RAW, &plain) && plain.n == POINT + 32 + (size_t)n;
	if (ok) {
		number_out(plain.p + 1, out->x);
		number_out(plain.p + 1 + SCALAR, out->y);
		memcpy(out->M, plain.p + POINT, 32);
		out->L = n;
		memcpy((unsigned char *)out + offsetof(ECCCipher, C), plain.p + POINT + 32, n);
	}
	EVP_PKEY_free(k);
	buf_free(&der);
	buf_free(&plain);
	return ok ? SDR_OK : SDR_ENCDATAERR;
}

int sdf_decrypt_with(EVP_PKEY *k, const ECCCipher *c, struct buf *out)
{
	struct buf plain = {0}, der = {0};
	unsigned char point[POINT] = {4};
	bool ok = c->L > 0 && c->L <= MOST_MESSAGE && number_in(c->x, point + 1) && number_in(c->y, point + 1 + SCALAR) &&
		buf_add(&plain, point, POINT) && buf_add(&plain, c->M, 32) && buf_add(&plain, (const unsigned char *)c + offsetof(ECCCipher, C), c->L) &&
		der_ciphertext(plain.p, plain.n, FORM_RAW, &der) && sm2_decrypt(k, der.p, der.n, out);
	buf_free(&plain);
	buf_free(&der);
	return ok ? SDR_OK : SDR_ENCDATAERR;
}

static bool encrypts(uint32_t alg)
{
	return alg == SGD_SM2_ENCRYPT || alg == SGD_SM2;
}

SDF SDF_ExternalEncrypt_ECC(void *h, uint32_t alg, ECCrefPublicKey *p, unsigned char *in, uint32_t n, ECCCipher *out)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	if (!encrypts(alg))
		return SDR_ALGNOTSUPPORT;
	if (p == NULL || in == NULL || n == 0 || n > MOST_MESSAGE || out == NULL || !sdf_point_in(p, point))
		return SDR_INARGERR;
	int rc = sdf_enter(__func__, h, &s, &d);
	return rc == SDR_OK ? sdf_leave(s, sdf_encrypt_to(point, in, n, out)) : rc;
}

SDF SDF_InternalEncrypt_ECC(void *h, uint32_t index, uint32_t alg, unsigned char *in, uint32_t n, ECCCipher *out)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	if (!encrypts(alg))
		return SDR_ALGNOTSUPPORT;
	int rc = in == NULL || n == 0 || n > MOST_MESSAGE || out == NULL ? SDR_INARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	rc = sdf_not_open(sdfkey_point(d->dir, index, SDF_ENCRYPT, point));
	return sdf_leave(s, rc == SDR_OK ? sdf_encrypt_to(point, in, n, out) : rc);
}

/* out has room for *out_n octets. */
SDF SDF_InternalDecrypt_ECC(void *h, uint32_t index, uint32_t alg, ECCCipher *c, unsigned char *out, uint32_t *out_n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	struct buf b = {0};
	EVP_PKEY *k;
	if (!encrypts(alg))
		return SDR_ALGNOTSUPPORT;
	int rc = c == NULL ? SDR_INARGERR : out == NULL || out_n == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	rc = private_of(s, d, index, SDF_ENCRYPT, &k);
	if (rc == SDR_OK)
		rc = sdf_decrypt_with(k, c, &b);
	if (rc == SDR_OK && b.n > *out_n)
		rc = SDR_NOBUFFER;
	if (rc == SDR_OK) {
		b.p[0] ^= sdf_due(d, SDF_DUE_PLAINTEXT, s->faults.wrong_plaintext);
		memcpy(out, b.p, b.n);
		*out_n = (uint32_t)b.n;
	}
	buf_free(&b);
	return sdf_leave(s, rc);
}

SDF SDF_GenerateKeyPair_ECC(void *h, uint32_t alg, uint32_t bits, ECCrefPublicKey *p, ECCrefPrivateKey *v)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT], scalar[SCALAR];
	bool sm2;
	if (alg != SGD_SM2 && alg != SGD_SM2_SIGN && alg != SGD_SM2_ENCRYPT)
		return SDR_ALGNOTSUPPORT;
	int rc = bits != 256 ? SDR_INARGERR : p == NULL || v == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	EVP_PKEY *k = pair_make_ec(true);
	rc = k != NULL && pair_ec_parts(k, &sm2, point, scalar) ? SDR_OK : SDR_UNKNOWERR;
	if (rc == SDR_OK) {
		sdf_point_out(point, p);
		v->bits = 256;
		number_out(scalar, v->K);
	}
	OPENSSL_cleanse(scalar, sizeof scalar);
	EVP_PKEY_free(k);
	return sdf_leave(s, rc);
}
