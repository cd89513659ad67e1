#include <string.h>

#include <openssl/err.h>
#include <openssl/modes.h>

#include "crypt.h"

#define BLOCK 16

static bool is_sm4(enum op op)
{
	return op == OP_SM4_ECB || op == OP_SM4_CBC || op == OP_SM4_CBC_PAD || op == OP_SM4_GCM;
}

static bool is_gcm(enum op op)
{
	return op == OP_SM4_GCM || op == OP_AES_GCM;
}

static bool is_wrap(enum op op)
{
	return op == OP_AES_WRAP || op == OP_AES_KWP;
}

bool cipher_fits(const struct cipher *c)
{
	bool key = is_sm4(c->op) ? c->key_n == 16 : c->key_n == 16 || c->key_n == 32;
	if (is_gcm(c->op))
		return key && c->iv_n >= 12 && c->iv_n <= 64 && c->tag_n >= 12 && c->tag_n <= 16;
	bool chained = c->op == OP_SM4_CBC || c->op == OP_SM4_CBC_PAD || c->op == OP_AES_CBC || c->op == OP_AES_CBC_PAD;
	return key && c->iv_n == (chained ? BLOCK : 0);
}

static const EVP_CIPHER *method(const struct cipher *c)
{
	bool small = c->key_n == 16;
	switch (c->op) {
	case OP_SM4_ECB: return EVP_sm4_ecb();
	case OP_SM4_CBC: case OP_SM4_CBC_PAD: return EVP_sm4_cbc();
	case OP_AES_ECB: return small ? EVP_aes_128_ecb() : EVP_aes_256_ecb();
	case OP_AES_CBC: case OP_AES_CBC_PAD: return small ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
	case OP_AES_GCM: return small ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	case OP_AES_WRAP: return small ? EVP_aes_128_wrap() : EVP_aes_256_wrap();
	case OP_AES_KWP: return small ? EVP_aes_128_wrap_pad() : EVP_aes_256_wrap_pad();
	default: return NULL;
	}
}

static bool room_for(struct buf *out, size_t n)
{
	static const unsigned char zeros[1024];
	out->n = 0;
	for (size_t left = n; left > 0;) {
		size_t piece = left < sizeof zeros ? left : sizeof zeros;
		if (!buf_add(out, zeros, piece))
			return false;
		left -= piece;
	}
	return true;
}

static bool plain_modes(const struct cipher *c, EVP_CIPHER_CTX *x, bool encrypt, const unsigned char *in, size_t n, struct buf *out)
{
	int put = 0, rest = 0;
	bool pad = c->op == OP_SM4_CBC_PAD || c->op == OP_AES_CBC_PAD;
	if (is_wrap(c->op))
		EVP_CIPHER_CTX_set_flags(x, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	bool ok = room_for(out, n + 2 * BLOCK) && EVP_CipherInit_ex(x, method(c), NULL, c->key, c->iv, encrypt) == 1 &&
		EVP_CIPHER_CTX_set_padding(x, pad) == 1 && EVP_CipherUpdate(x, out->p, &put, in, (int)n) == 1 &&
		EVP_CipherFinal_ex(x, out->p + put, &rest) == 1 && put >= 0 && rest >= 0;
	if (ok)
		out->n = (size_t)put + (size_t)rest;
	return ok;
}

static bool aes_gcm(const struct cipher *c, EVP_CIPHER_CTX *x, bool encrypt, const unsigned char *in, size_t n, struct buf *out)
{
	int k = 0, tag_n = (int)c->tag_n;
	unsigned char tag[BLOCK] = {0};
	size_t body = encrypt ? n : n - c->tag_n;
	if (!encrypt)
		memcpy(tag, in + body, c->tag_n);
	bool ok = room_for(out, body + 2 * BLOCK) && EVP_CipherInit_ex(x, method(c), NULL, NULL, NULL, encrypt) == 1 &&
		EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_IVLEN, (int)c->iv_n, NULL) == 1 &&
		EVP_CipherInit_ex(x, NULL, NULL, c->key, c->iv, encrypt) == 1 &&
		(c->aad_n == 0 || EVP_CipherUpdate(x, NULL, &k, c->aad, (int)c->aad_n) == 1) &&
		(body == 0 || EVP_CipherUpdate(x, out->p, &k, in, (int)body) == 1) &&
		(encrypt || EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, tag_n, tag) == 1) && EVP_CipherFinal_ex(x, out->p + body, &k) == 1 &&
		(!encrypt || EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, tag_n, out->p + body) == 1);
	out->n = encrypt ? body + c->tag_n : body;
	return ok;
}

static void sm4_block(const unsigned char in[BLOCK], unsigned char out[BLOCK], const void *key)
{
	int n = 0;
	if (EVP_CipherUpdate((EVP_CIPHER_CTX *)(uintptr_t)key, out, &n, in, BLOCK) != 1)
		memset(out, 0, BLOCK);
}

/* OpenSSL 3.0 has SM4 but no SM4-GCM; its GCM takes any block cipher. */
static bool sm4_gcm(const struct cipher *c, EVP_CIPHER_CTX *x, bool encrypt, const unsigned char *in, size_t n, struct buf *out)
{
	size_t body = encrypt ? n : n - c->tag_n;
	if (!room_for(out, body + BLOCK) || EVP_EncryptInit_ex(x, EVP_sm4_ecb(), NULL, c->key, NULL) != 1 || EVP_CIPHER_CTX_set_padding(x, 0) != 1)
		return false;
	GCM128_CONTEXT *g = CRYPTO_gcm128_new(x, sm4_block);
	if (g == NULL)
		return false;
	CRYPTO_gcm128_setiv(g, c->iv, c->iv_n);
	bool ok = CRYPTO_gcm128_aad(g, c->aad, c->aad_n) == 0;
	if (encrypt) {
		ok = ok && CRYPTO_gcm128_encrypt(g, in, out->p, body) == 0;
		CRYPTO_gcm128_tag(g, out->p + body, c->tag_n);
	} else {
		ok = ok && CRYPTO_gcm128_decrypt(g, in, out->p, body) == 0 && CRYPTO_gcm128_finish(g, in + body, c->tag_n) == 0;
	}
	CRYPTO_gcm128_release(g);
	out->n = encrypt ? body + c->tag_n : body;
	return ok;
}

static bool size_fits(const struct cipher *c, bool encrypt, size_t n)
{
	if (n > MAX_DATA)
		return false;
	if (is_gcm(c->op))
		return encrypt || n >= c->tag_n;
	if (c->op == OP_AES_KWP)
		return encrypt ? n > 0 : n >= BLOCK && n % 8 == 0;
	if (c->op == OP_AES_WRAP)
		return n % 8 == 0 && n >= (encrypt ? 16 : 24);
	if (encrypt && (c->op == OP_SM4_CBC_PAD || c->op == OP_AES_CBC_PAD))
		return true;
	return n > 0 && n % BLOCK == 0;
}

bool cipher_run(const struct cipher *c, bool encrypt, const unsigned char *in, size_t n, struct buf *out)
{
	static const unsigned char none[1];
	if (!cipher_fits(c) || !size_fits(c, encrypt, n))
		return false;
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	in = in != NULL ? in : none;
	bool ok = x != NULL && (c->op == OP_SM4_GCM ? sm4_gcm(c, x, encrypt, in, n, out)
		: c->op == OP_AES_GCM ? aes_gcm(c, x, encrypt, in, n, out) : plain_modes(c, x, encrypt, in, n, out));
	EVP_CIPHER_CTX_free(x);
	ERR_clear_error();
	if (!ok)
		buf_free(out);
	return ok;
}
