#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "sdf.h"

/* Session keys and what they do: encryption, MAC; and the hash. */

/* The families of ids differ: where Sansec's header says 2000 for SM4, 400 is AES. */
static enum op cipher_of(const struct sdf_device *d, uint32_t alg)
{
	bool swapped = strcmp(d->manners.dialect->name, "sansec") == 0;
	uint32_t sm4 = swapped ? 0x2000 : 0x400, aes = swapped ? 0x400 : 0x2000, mode = alg & 0xFF;
	if ((alg & ~0xFFu) == sm4)
		return mode == SGD_ECB ? OP_SM4_ECB : mode == SGD_CBC || mode == SGD_MAC ? OP_SM4_CBC : OP_NONE;
	if (swapped && (alg & ~0xFFu) == aes)
		return mode == SGD_ECB ? OP_AES_ECB : mode == SGD_CBC || mode == SGD_MAC ? OP_AES_CBC : OP_NONE;
	return OP_NONE;
}

static int keep(struct sdf_session *s, const unsigned char key[16], void **handle)
{
	struct session_key *k = calloc(1, sizeof *k);
	if (k == NULL)
		return SDR_NOBUFFER;
	memcpy(k->key, key, 16);
	k->next = s->keys;
	s->keys = k;
	*handle = k;
	return SDR_OK;
}

static struct session_key *key_of(const struct sdf_session *s, const void *handle)
{
	struct session_key *k = s->keys;
	while (k != NULL && k != handle)
		k = k->next;
	return k;
}

static bool wrap(enum op op, const unsigned char kek[16], bool encrypt, const unsigned char in[16], unsigned char out[16])
{
	struct cipher c = {.op = op, .key = kek, .key_n = 16};
	struct buf b = {0};
	bool ok = cipher_run(&c, encrypt, in, 16, &b) && b.n == 16;
	if (ok)
		memcpy(out, b.p, 16);
	buf_free(&b);
	return ok;
}

/* A fresh key, and the same under a KEK in ECB, as the standard has it. *n: in, the room; out, the size. */
SDF SDF_GenerateKeyWithKEK(void *h, uint32_t bits, uint32_t alg, uint32_t index, unsigned char *out, uint32_t *n, void **handle)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char kek[16], key[16];
	int rc = bits != 128 ? SDR_INARGERR : out == NULL || n == NULL || handle == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	enum op op = cipher_of(d, alg);
	rc = op != OP_SM4_ECB && op != OP_AES_ECB ? SDR_ALGNOTSUPPORT : sdf_not_open(sdfkey_kek(d->dir, index, kek));
	if (rc == SDR_OK && !(RAND_priv_bytes(key, sizeof key) == 1 && wrap(op, kek, true, key, out)))
		rc = SDR_SYMOPERR;
	if (rc == SDR_OK)
		rc = keep(s, key, handle);
	if (rc == SDR_OK)
		*n = 16;
	OPENSSL_cleanse(kek, sizeof kek);
	OPENSSL_cleanse(key, sizeof key);
	return sdf_leave(s, rc);
}

SDF SDF_ImportKeyWithKEK(void *h, uint32_t alg, uint32_t index, unsigned char *in, uint32_t n, void **handle)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char kek[16], key[16];
	int rc = in == NULL || n != 16 ? SDR_INARGERR : handle == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	enum op op = cipher_of(d, alg);
	rc = op != OP_SM4_ECB && op != OP_AES_ECB ? SDR_ALGNOTSUPPORT : sdf_not_open(sdfkey_kek(d->dir, index, kek));
	if (rc == SDR_OK && !wrap(op, kek, false, in, key))
		rc = SDR_SYMOPERR;
	if (rc == SDR_OK)
		rc = keep(s, key, handle);
	OPENSSL_cleanse(kek, sizeof kek);
	OPENSSL_cleanse(key, sizeof key);
	return sdf_leave(s, rc);
}

static int fresh_for(struct sdf_session *s, const unsigned char point[POINT], ECCCipher *out, void **handle)
{
	unsigned char key[16];
	int rc = RAND_priv_bytes(key, sizeof key) == 1 ? sdf_encrypt_to(point, key, sizeof key, out) : SDR_RANDERR;
	if (rc == SDR_OK)
		rc = keep(s, key, handle);
	OPENSSL_cleanse(key, sizeof key);
	return rc;
}

SDF SDF_GenerateKeyWithIPK_ECC(void *h, uint32_t index, uint32_t bits, ECCCipher *out, void **handle)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	int rc = bits != 128 ? SDR_INARGERR : out == NULL || handle == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	rc = sdf_not_open(sdfkey_point(d->dir, index, SDF_ENCRYPT, point));
	return sdf_leave(s, rc == SDR_OK ? fresh_for(s, point, out, handle) : rc);
}

SDF SDF_GenerateKeyWithEPK_ECC(void *h, uint32_t bits, uint32_t alg, ECCrefPublicKey *p, ECCCipher *out, void **handle)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned char point[POINT];
	if (alg != SGD_SM2_ENCRYPT && alg != SGD_SM2)
		return SDR_ALGNOTSUPPORT;
	if (bits != 128 || p == NULL || out == NULL || handle == NULL || !sdf_point_in(p, point))
		return SDR_INARGERR;
	int rc = sdf_enter(__func__, h, &s, &d);
	return rc == SDR_OK ? sdf_leave(s, fresh_for(s, point, out, handle)) : rc;
}

/* The name says signing key; the standard means the internal encryption key of the index. */
SDF SDF_ImportKeyWithISK_ECC(void *h, uint32_t index, ECCCipher *c, void **handle)
{
	struct sdf_session *s;
	struct sdf_device *d;
	struct buf b = {0};
	int rc = c == NULL || handle == NULL ? SDR_INARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	struct right *r = sdf_right(s, index);
	if (!sdfkey_exists(d->dir, index, SDF_ENCRYPT))
		rc = SDR_KEYNOTEXIST;
	else
		rc = r == NULL || r->encrypt == NULL ? SDR_PARDENY : sdf_decrypt_with(r->encrypt, c, &b);
	if (rc == SDR_OK)
		rc = b.n == 16 ? keep(s, b.p, handle) : SDR_ENCDATAERR;
	buf_free(&b);
	return sdf_leave(s, rc);
}

SDF SDF_DestroyKey(void *h, void *handle)
{
	struct sdf_session *s;
	struct sdf_device *d;
	int rc = sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	struct session_key *k = key_of(s, handle), **at = &s->keys;
	if (k == NULL)
		return sdf_leave(s, SDR_KEYNOTEXIST);
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	OPENSSL_cleanse(k, sizeof *k);
	free(k);
	return sdf_leave(s, SDR_OK);
}

/* As the standard has it, a chained call leaves the last block of ciphertext in iv for the next one. */
static int run(const struct sdf_device *d, const struct session_key *k, bool encrypt, uint32_t alg, unsigned char *iv, const unsigned char *in, uint32_t n, struct buf *out)
{
	struct cipher c = {.op = cipher_of(d, alg), .key = k->key, .key_n = 16};
	if (c.op == OP_NONE || (alg & 0xFF) == SGD_MAC)
		return SDR_ALGNOTSUPPORT;
	bool chained = c.op == OP_SM4_CBC || c.op == OP_AES_CBC;
	if (n % 16 != 0 || (chained && iv == NULL))
		return SDR_INARGERR;
	if (chained) {
		c.iv = iv;
		c.iv_n = 16;
	}
	if (!cipher_run(&c, encrypt, in, n, out) || out->n != n)
		return SDR_SYMOPERR;
	if (chained)
		memcpy(iv, (encrypt ? out->p : in) + n - 16, 16);
	return SDR_OK;
}

static int crypt(const char *call, void *h, void *handle, bool encrypt, uint32_t alg, unsigned char *iv, unsigned char *in, uint32_t n, unsigned char *out, uint32_t *out_n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	struct buf b = {0};
	if (in == NULL || n == 0 || n > MOST_MESSAGE)
		return SDR_INARGERR;
	int rc = out == NULL || out_n == NULL ? SDR_OUTARGERR : sdf_enter(call, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	struct session_key *k = key_of(s, handle);
	rc = k != NULL ? run(d, k, encrypt, alg, iv, in, n, &b) : SDR_KEYNOTEXIST;
	if (rc == SDR_OK) {
		b.p[0] ^= !encrypt && sdf_due(d, SDF_DUE_PLAINTEXT, s->faults.wrong_plaintext);
		memcpy(out, b.p, b.n);
		*out_n = n;
	}
	buf_free(&b);
	return sdf_leave(s, rc);
}

SDF SDF_Encrypt(void *h, void *key, uint32_t alg, unsigned char *iv, unsigned char *in, uint32_t n, unsigned char *out, uint32_t *out_n)
{
	return crypt(__func__, h, key, true, alg, iv, in, n, out, out_n);
}

SDF SDF_Decrypt(void *h, void *key, uint32_t alg, unsigned char *iv, unsigned char *in, uint32_t n, unsigned char *out, uint32_t *out_n)
{
	return crypt(__func__, h, key, false, alg, iv, in, n, out, out_n);
}

/* CBC-MAC: the last block of CBC over whole blocks. */
SDF SDF_CalculateMAC(void *h, void *handle, uint32_t alg, unsigned char *iv, unsigned char *in, uint32_t n, unsigned char *out, uint32_t *out_n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	struct buf b = {0};
	if (iv == NULL || in == NULL || n == 0 || n % 16 != 0 || n > MOST_MESSAGE)
		return SDR_INARGERR;
	int rc = out == NULL || out_n == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	struct session_key *k = key_of(s, handle);
	if (k == NULL)
		rc = SDR_KEYNOTEXIST;
	else
		rc = (alg & 0xFF) == SGD_MAC ? run(d, k, true, (alg & ~0xFFu) | SGD_CBC, iv, in, n, &b) : SDR_ALGNOTSUPPORT;
	if (rc == SDR_OK) {
		memcpy(out, b.p + n - 16, 16);
		*out_n = 16;
	}
	buf_free(&b);
	return sdf_leave(s, rc);
}

static int hash_begin(struct sdf_session *s, const ECCrefPublicKey *p, const unsigned char *id, uint32_t id_n)
{
	unsigned char point[POINT], z[32];
	if (p != NULL && (id == NULL || id_n == 0 || id_n >= 8192 || !sdf_point_in(p, point) || !sm2_z(point, id, id_n, z)))
		return SDR_INARGERR;
	EVP_MD_CTX_free(s->hash);
	s->hash = EVP_MD_CTX_new();
	bool ok = s->hash != NULL && EVP_DigestInit_ex(s->hash, EVP_sm3(), NULL) == 1 && (p == NULL || EVP_DigestUpdate(s->hash, z, 32) == 1);
	return ok ? SDR_OK : SDR_UNKNOWERR;
}

SDF SDF_HashInit(void *h, uint32_t alg, ECCrefPublicKey *p, unsigned char *id, uint32_t id_n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	int rc = alg != SGD_SM3 ? SDR_ALGNOTSUPPORT : sdf_enter(__func__, h, &s, &d);
	return rc == SDR_OK ? sdf_leave(s, hash_begin(s, p, id, id_n)) : rc;
}

SDF SDF_HashUpdate(void *h, unsigned char *in, uint32_t n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	int rc = in == NULL && n > 0 ? SDR_INARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	if (s->hash == NULL)
		rc = SDR_STEPERR;
	else if (n > 0 && EVP_DigestUpdate(s->hash, in, n) != 1)
		rc = SDR_UNKNOWERR;
	return sdf_leave(s, rc);
}

SDF SDF_HashFinal(void *h, unsigned char *out, uint32_t *n)
{
	struct sdf_session *s;
	struct sdf_device *d;
	unsigned got = 0;
	int rc = out == NULL || n == NULL ? SDR_OUTARGERR : sdf_enter(__func__, h, &s, &d);
	if (rc != SDR_OK)
		return rc;
	if (s->hash == NULL)
		rc = SDR_STEPERR;
	else if (EVP_DigestFinal_ex(s->hash, out, &got) != 1)
		rc = SDR_UNKNOWERR;
	EVP_MD_CTX_free(s->hash);
	s->hash = NULL;
	*n = got;
	return sdf_leave(s, rc);
}
