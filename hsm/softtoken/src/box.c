#include <string.h>

#include <openssl/rand.h>

#include "token.h"

#define NONCE 12
#define TAG 16

/* The whole GCM transform of n octets; tag is written when sealing and checked when opening. */
static bool gcm(bool seal, const unsigned char *key, const unsigned char *nonce, const void *aad, int aad_n, const unsigned char *in, int n, unsigned char *out, unsigned char *tag)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int k = 0;
	bool ok = c != NULL && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1 &&
		(aad_n == 0 || EVP_CipherUpdate(c, NULL, &k, aad, aad_n) == 1) &&
		(n == 0 || EVP_CipherUpdate(c, out, &k, in, n) == 1) &&
		(seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1) &&
		EVP_CipherFinal_ex(c, out + n, &k) == 1 &&
		(!seal || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1);
	EVP_CIPHER_CTX_free(c);
	return ok;
}

bool box_seal(const unsigned char key[KEY_SIZE], const void *aad, size_t aad_n, const void *in, size_t n, struct buf *out)
{
	unsigned char head[NONCE + TAG] = {0};
	size_t at = out->n;
	if (n > MAX_DATA || aad_n > 4096 || RAND_bytes(head, NONCE) != 1)
		return false;
	return buf_add(out, head, NONCE) && buf_add(out, in, n) && buf_add(out, head + NONCE, TAG) &&
		gcm(true, key, head, aad, (int)aad_n, out->p + at + NONCE, (int)n, out->p + at + NONCE, out->p + at + NONCE + n);
}

bool box_open(const unsigned char key[KEY_SIZE], const void *aad, size_t aad_n, const void *in, size_t n, struct buf *out)
{
	const unsigned char *p = in;
	unsigned char tag[TAG];
	if (n < BOX_EXTRA || n > MAX_DATA || aad_n > 4096 || out->n != 0)
		return false;
	memcpy(tag, p + n - TAG, TAG);
	n -= BOX_EXTRA;
	if (!buf_add(out, p + NONCE, n) || !buf_add(out, tag, TAG))
		return false;
	out->n = n; /* the room behind is for the cipher's last step */
	if (gcm(false, key, p, aad, (int)aad_n, p + NONCE, (int)n, out->p, tag))
		return true;
	buf_free(out);
	return false;
}

bool pin_key(const void *pin, size_t n, const unsigned char salt[16], uint32_t rounds, unsigned char key[KEY_SIZE])
{
	return n <= PIN_MAX && rounds >= 1000 && rounds <= 10000000 &&
		PKCS5_PBKDF2_HMAC(pin, (int)n, salt, 16, (int)rounds, EVP_sha256(), KEY_SIZE, key) == 1;
}

bool digest(const char *name, const void *p, size_t n, unsigned char out[32])
{
	size_t got = 0;
	return EVP_Q_digest(NULL, name, NULL, n > 0 ? p : "", n, out, &got) == 1 && got == 32;
}
