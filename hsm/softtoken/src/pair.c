#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypt.h"

static int curve(bool sm2)
{
	return sm2 ? NID_sm2 : NID_X9_62_prime256v1;
}

EVP_PKEY *pair_make_ec(bool sm2)
{
	return sm2 ? EVP_PKEY_Q_keygen(NULL, NULL, "SM2") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

EVP_PKEY *pair_make_rsa(unsigned bits)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
}

static EVP_PKEY *from_data(const char *type, int selection, OSSL_PARAM_BLD *b)
{
	EVP_PKEY *k = NULL;
	OSSL_PARAM *params = b != NULL ? OSSL_PARAM_BLD_to_param(b) : NULL;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (params == NULL || c == NULL || EVP_PKEY_fromdata_init(c) != 1 || EVP_PKEY_fromdata(c, &k, selection, params) != 1)
		k = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return k;
}

/* The point of d, where 1 ≤ d ≤ n−2. */
static bool point_of(bool sm2, const BIGNUM *d, unsigned char point[POINT])
{
	EC_GROUP *g = EC_GROUP_new_by_curve_name(curve(sm2));
	EC_POINT *q = g != NULL ? EC_POINT_new(g) : NULL;
	BIGNUM *most = g != NULL ? BN_dup(EC_GROUP_get0_order(g)) : NULL;
	bool ok = q != NULL && most != NULL && BN_sub_word(most, 2) == 1 && !BN_is_zero(d) && BN_cmp(d, most) <= 0 &&
		EC_POINT_mul(g, q, d, NULL, NULL, NULL) == 1 &&
		EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, point, POINT, NULL) == POINT;
	BN_free(most);
	EC_POINT_free(q);
	EC_GROUP_free(g);
	return ok;
}

static bool on_curve(bool sm2, const unsigned char point[POINT])
{
	EC_GROUP *g = EC_GROUP_new_by_curve_name(curve(sm2));
	EC_POINT *q = g != NULL ? EC_POINT_new(g) : NULL;
	bool ok = q != NULL && point[0] == 4 && EC_POINT_oct2point(g, q, point, POINT, NULL) == 1;
	EC_POINT_free(q);
	EC_GROUP_free(g);
	return ok;
}

EVP_PKEY *pair_of_ec(bool sm2, const unsigned char *point, const unsigned char *d)
{
	unsigned char own[POINT];
	EVP_PKEY *k = NULL;
	BIGNUM *scalar = d != NULL ? BN_secure_new() : NULL;
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	bool ok = b != NULL && (point != NULL || d != NULL);
	if (ok && d != NULL)
		ok = scalar != NULL && BN_bin2bn(d, SCALAR, scalar) != NULL && point_of(sm2, scalar, own) &&
			(point == NULL || memcmp(own, point, POINT) == 0) &&
			OSSL_PARAM_BLD_push_BN_pad(b, OSSL_PKEY_PARAM_PRIV_KEY, scalar, SCALAR) == 1;
	else if (ok)
		ok = on_curve(sm2, point);
	ok = ok && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, sm2 ? "SM2" : "P-256", 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, d != NULL ? own : point, POINT) == 1;
	if (ok)
		k = from_data(sm2 ? "SM2" : "EC", d != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, b);
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(scalar);
	return k;
}

EVP_PKEY *pair_of_rsa(const unsigned char *n, size_t n_n, const unsigned char *e, size_t e_n)
{
	EVP_PKEY *k = NULL;
	if (n_n == 0 || n_n > 512 || e_n == 0 || e_n > 8)
		return NULL;
	BIGNUM *bn = BN_bin2bn(n, (int)n_n, NULL), *be = BN_bin2bn(e, (int)e_n, NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	if (bn != NULL && be != NULL && b != NULL && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
		OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be) == 1)
		k = from_data("RSA", EVP_PKEY_PUBLIC_KEY, b);
	OSSL_PARAM_BLD_free(b);
	BN_free(bn);
	BN_free(be);
	return k;
}

EVP_PKEY *pair_of_private(const unsigned char *der, size_t n)
{
	unsigned char d[SCALAR], point[POINT];
	bool sm2;
	const unsigned char *p = der;
	PKCS8_PRIV_KEY_INFO *info = n <= 8192 ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)n) : NULL;
	EVP_PKEY *k = info != NULL && p == der + n ? EVP_PKCS82PKEY(info) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	if (k != NULL && EVP_PKEY_get_base_id(k) != EVP_PKEY_RSA) {
		bool ok = pair_ec_parts(k, &sm2, point, d);
		EVP_PKEY_free(k);
		k = ok ? pair_of_ec(sm2, point, d) : NULL;
		OPENSSL_cleanse(d, sizeof d);
	}
	ERR_clear_error();
	return k;
}

bool pair_private(EVP_PKEY *k, struct buf *der)
{
	unsigned char *p = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k);
	int n = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &p) : -1;
	bool ok = n > 0 && buf_add(der, p, (size_t)n);
	if (n > 0)
		OPENSSL_clear_free(p, (size_t)n);
	PKCS8_PRIV_KEY_INFO_free(info);
	return ok;
}

static bool point_in(EVP_PKEY *k, unsigned char point[POINT])
{
	BIGNUM *x = NULL, *y = NULL;
	bool ok = EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 && EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
		BN_bn2binpad(x, point + 1, SCALAR) == SCALAR && BN_bn2binpad(y, point + 1 + SCALAR, SCALAR) == SCALAR;
	point[0] = 4;
	BN_free(x);
	BN_free(y);
	return ok;
}

bool pair_ec_parts(EVP_PKEY *k, bool *sm2, unsigned char point[POINT], unsigned char d[SCALAR])
{
	char group[64];
	BIGNUM *scalar = NULL;
	if (EVP_PKEY_get_group_name(k, group, sizeof group, NULL) != 1)
		return false;
	*sm2 = strcmp(group, "SM2") == 0;
	if (!*sm2 && strcmp(group, "prime256v1") != 0 && strcmp(group, "P-256") != 0)
		return false;
	bool ok = point_in(k, point) && (d == NULL || (EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
		BN_bn2binpad(scalar, d, SCALAR) == SCALAR));
	BN_clear_free(scalar);
	return ok;
}

static bool number_in(EVP_PKEY *k, const char *name, struct buf *out)
{
	BIGNUM *v = NULL;
	unsigned char p[512];
	bool ok = EVP_PKEY_get_bn_param(k, name, &v) == 1 && BN_num_bytes(v) <= (int)sizeof p;
	ok = ok && buf_add(out, p, (size_t)BN_bn2bin(v, p));
	BN_free(v);
	return ok;
}

bool pair_rsa_parts(EVP_PKEY *k, struct buf *n, struct buf *e)
{
	return number_in(k, OSSL_PKEY_PARAM_RSA_N, n) && number_in(k, OSSL_PKEY_PARAM_RSA_E, e);
}

/* By the curve's arithmetic, since libcrypto offers no ECDH for keys of type SM2. */
bool pair_agree(EVP_PKEY *k, bool sm2, const unsigned char point[POINT], unsigned char x[SCALAR])
{
	unsigned char d[SCALAR], own[POINT], product[POINT];
	bool same = false;
	if (!pair_ec_parts(k, &same, own, d))
		return false;
	EC_GROUP *g = EC_GROUP_new_by_curve_name(curve(sm2));
	EC_POINT *q = g != NULL ? EC_POINT_new(g) : NULL;
	BIGNUM *scalar = BN_secure_new();
	bool ok = same == sm2 && q != NULL && scalar != NULL && point[0] == 4 && EC_POINT_oct2point(g, q, point, POINT, NULL) == 1 &&
		BN_bin2bn(d, SCALAR, scalar) != NULL && EC_POINT_mul(g, q, NULL, q, scalar, NULL) == 1 &&
		EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, product, POINT, NULL) == POINT;
	if (ok)
		memcpy(x, product + 1, SCALAR);
	OPENSSL_cleanse(d, sizeof d);
	OPENSSL_cleanse(product, sizeof product);
	BN_clear_free(scalar);
	EC_POINT_clear_free(q);
	EC_GROUP_free(g);
	return ok;
}
