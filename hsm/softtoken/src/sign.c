#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "crypt.h"

#define CURVE "\xFF\xFF\xFF\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFC" \
	"\x28\xE9\xFA\x9E\x9D\x9F\x5E\x34\x4D\x5A\x9E\x4B\xCF\x65\x09\xA7\xF3\x97\x89\xF5\x15\xAB\x8F\x92\xDD\xBC\xBD\x41\x4D\x94\x0E\x93" \
	"\x32\xC4\xAE\x2C\x1F\x19\x81\x19\x5F\x99\x04\x46\x6A\x39\xC9\x94\x8F\xE3\x0B\xBF\xF2\x66\x0B\xE1\x71\x5A\x45\x89\x33\x4C\x74\xC7" \
	"\xBC\x37\x36\xA2\xF4\xF6\x77\x9C\x59\xBD\xCE\xE3\x6B\x69\x21\x53\xD0\xA9\x87\x7C\xC6\x2A\x47\x40\x02\xDF\x32\xE5\x21\x39\xF0\xA0"

/* Z_A = SM3(ENTL‖ID‖a‖b‖Gx‖Gy‖x‖y) (GB/T 32918.2). */
bool sm2_z(const unsigned char point[POINT], const unsigned char *id, size_t id_n, unsigned char z[32])
{
	struct buf b = {0};
	bool ok = id_n < 8192 && buf_add_number(&b, 8 * id_n, 2) && buf_add(&b, id, id_n) && buf_add(&b, CURVE, 128) &&
		buf_add(&b, point + 1, 64) && digest("SM3", b.p, b.n, z);
	buf_free(&b);
	return ok;
}

/* e = SM3(Z_A‖M); without za e = SM3(M). */
bool sm2_e(EVP_PKEY *k, bool za, const unsigned char *id, size_t id_n, const unsigned char *m, size_t n, unsigned char e[32])
{
	unsigned char point[POINT], z[32];
	struct buf b = {0};
	bool sm2 = false;
	if (!za)
		return digest("SM3", m, n, e);
	bool ok = pair_ec_parts(k, &sm2, point, NULL) && sm2 && sm2_z(point, id, id_n, z) && buf_add(&b, z, 32) && buf_add(&b, m, n) &&
		digest("SM3", b.p, b.n, e);
	buf_free(&b);
	return ok;
}

bool ec_sign(EVP_PKEY *k, const unsigned char *e, size_t n, unsigned char raw[64])
{
	unsigned char der[80];
	size_t der_n = sizeof der;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
	bool ok = c != NULL && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, der, &der_n, e, n) == 1 && der_signature_raw(der, der_n, raw);
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

bool ec_verify(EVP_PKEY *k, const unsigned char *e, size_t n, const unsigned char raw[64])
{
	struct buf der = {0};
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
	bool ok = c != NULL && der_signature(raw, &der) && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, der.p, der.n, e, n) == 1;
	EVP_PKEY_CTX_free(c);
	buf_free(&der);
	ERR_clear_error();
	return ok;
}

static bool rsa_way(EVP_PKEY_CTX *c, bool pss, bool bare)
{
	if (EVP_PKEY_CTX_set_rsa_padding(c, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1)
		return false;
	if (!bare && EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) != 1)
		return false;
	return !pss || (EVP_PKEY_CTX_set_rsa_pss_saltlen(c, 32) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1);
}

bool rsa_sign(EVP_PKEY *k, bool pss, bool bare, const unsigned char *in, size_t n, struct buf *out)
{
	unsigned char sig[512];
	size_t sig_n = sizeof sig;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
	bool ok = c != NULL && EVP_PKEY_sign_init(c) == 1 && rsa_way(c, pss, bare) && EVP_PKEY_sign(c, sig, &sig_n, in, n) == 1 && buf_add(out, sig, sig_n);
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

bool rsa_verify(EVP_PKEY *k, bool pss, bool bare, const unsigned char *in, size_t n, const unsigned char *sig, size_t sig_n)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
	bool ok = c != NULL && EVP_PKEY_verify_init(c) == 1 && rsa_way(c, pss, bare) && EVP_PKEY_verify(c, sig, sig_n, in, n) == 1;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

bool sm2_encrypt(EVP_PKEY *k, const unsigned char *in, size_t n, struct buf *der)
{
	size_t room = 0;
	struct buf b = {0};
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
	bool ok = c != NULL && n > 0 && EVP_PKEY_encrypt_init(c) == 1 && EVP_PKEY_encrypt(c, NULL, &room, in, n) == 1;
	for (size_t i = 0; ok && i < room; i++) /* small: keys and tags */
		ok = buf_add(&b, "", 1);
	ok = ok && EVP_PKEY_encrypt(c, b.p, &room, in, n) == 1 && room <= b.n && buf_add(der, b.p, room);
	EVP_PKEY_CTX_free(c);
	buf_free(&b);
	ERR_clear_error();
	return ok;
}

bool sm2_decrypt(EVP_PKEY *k, const unsigned char *der, size_t n, struct buf *out)
{
	size_t got = n;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
	bool ok = c != NULL && buf_add(out, der, n) && EVP_PKEY_decrypt_init(c) == 1 && EVP_PKEY_decrypt(c, out->p, &got, der, n) == 1 && got <= n;
	if (ok)
		out->n = got;
	else
		buf_free(out);
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

bool mac(const char *digest_name, const struct attr *key, const unsigned char *in, size_t n, unsigned char out[32])
{
	size_t got = 0;
	return EVP_Q_mac(NULL, "HMAC", NULL, digest_name, NULL, key->p, key->n, n > 0 ? in : (const unsigned char *)"", n, out, 32, &got) != NULL && got == 32;
}
