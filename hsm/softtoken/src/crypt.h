/* The algorithms, on OpenSSL 3 libcrypto. Points are 04‖x‖y, private EC keys 32 octets. */
#ifndef SOFTTOKEN_CRYPT_H
#define SOFTTOKEN_CRYPT_H

#include "token.h"

#define POINT 65
#define SCALAR 32
#define SM2_ID "1234567812345678"

/* pair.c */
EVP_PKEY *pair_make_ec(bool sm2);
EVP_PKEY *pair_make_rsa(unsigned bits);
EVP_PKEY *pair_of_ec(bool sm2, const unsigned char *point, const unsigned char *d); /* either may be NULL; both must fit together */
EVP_PKEY *pair_of_rsa(const unsigned char *n, size_t n_n, const unsigned char *e, size_t e_n);
EVP_PKEY *pair_of_private(const unsigned char *der, size_t n); /* PKCS#8: RSA, P-256, SM2 */
bool pair_private(EVP_PKEY *k, struct buf *der);                /* PKCS#8 */
bool pair_ec_parts(EVP_PKEY *k, bool *sm2, unsigned char point[POINT], unsigned char d[SCALAR]); /* d may be NULL */
bool pair_rsa_parts(EVP_PKEY *k, struct buf *n, struct buf *e);
bool pair_agree(EVP_PKEY *k, bool sm2, const unsigned char point[POINT], unsigned char x[SCALAR]); /* ECDH: x of d·point */

/* der.c: strict; what is not the one DER form is refused */
bool der_signature(const unsigned char raw[64], struct buf *der);
bool der_signature_raw(const unsigned char *der, size_t n, unsigned char raw[64]);
bool der_ciphertext(const unsigned char *p, size_t n, enum form from, struct buf *der); /* any form to ASN.1 */
bool der_ciphertext_as(const unsigned char *der, size_t n, enum form to, struct buf *out);

/* sign.c; EC signatures raw r‖s */
bool sm2_z(const unsigned char point[POINT], const unsigned char *id, size_t id_n, unsigned char z[32]);
bool sm2_e(EVP_PKEY *k, bool za, const unsigned char *id, size_t id_n, const unsigned char *m, size_t n, unsigned char e[32]);
bool ec_sign(EVP_PKEY *k, const unsigned char *e, size_t n, unsigned char raw[64]);
bool ec_verify(EVP_PKEY *k, const unsigned char *e, size_t n, const unsigned char raw[64]);
bool rsa_sign(EVP_PKEY *k, bool pss, bool bare, const unsigned char *in, size_t n, struct buf *out); /* in: digest, or with bare the DigestInfo */
bool rsa_verify(EVP_PKEY *k, bool pss, bool bare, const unsigned char *in, size_t n, const unsigned char *sig, size_t sig_n);
bool sm2_encrypt(EVP_PKEY *k, const unsigned char *in, size_t n, struct buf *der);
bool sm2_decrypt(EVP_PKEY *k, const unsigned char *der, size_t n, struct buf *out);
bool mac(const char *digest, const struct attr *key, const unsigned char *in, size_t n, unsigned char out[32]);

/* cipher.c */
struct cipher {
	enum op op;
	const unsigned char *key, *iv, *aad;
	size_t key_n, iv_n, aad_n, tag_n;
};
bool cipher_fits(const struct cipher *c); /* sizes of key, IV and tag */
bool cipher_run(const struct cipher *c, bool encrypt, const unsigned char *in, size_t n, struct buf *out);

#endif
