#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "sdfkeys.h"

/* File sdf-INDEX-sign or -encrypt: magic, rounds, salt, point, the box of d under the password's key. File sdf-INDEX-kek: magic,
 * the box of the key under the device's own key, which lies beside it in the clear: an SDF device uses such keys unasked. */
static const unsigned char magic[8] = {'H', 'U', 'F', 'U', 'S', 'D', 'F', '1'};
#define PAIR_HEAD (8 + 4 + 16 + POINT)
#define DEVICE_KEY "sdf-device-key"
#define LOCK ".sdf-lock"

static void name_of(char name[32], uint32_t index, const char *what)
{
	snprintf(name, 32, "sdf-%u-%s", index, what);
}

static const char *word(enum sdf_use use)
{
	return use == SDF_SIGN ? "sign" : use == SDF_ENCRYPT ? "encrypt" : "kek";
}

static size_t aad_of(const char *name, const unsigned char *point, unsigned char aad[128])
{
	size_t n = strlen(name);
	memcpy(aad, name, n);
	if (point != NULL)
		memcpy(aad + n, point, POINT);
	return n + (point != NULL ? POINT : 0);
}

static bool seal_pair(const char *name, const unsigned char *point, const unsigned char *d, const struct buf *password, uint32_t rounds, struct buf *out)
{
	unsigned char salt[16], key[KEY_SIZE], aad[128];
	bool ok = RAND_bytes(salt, sizeof salt) == 1 && pin_key(password->p, password->n, salt, rounds, key) && buf_add(out, magic, 8) &&
		buf_add_number(out, rounds, 4) && buf_add(out, salt, 16) && buf_add(out, point, POINT) &&
		box_seal(key, aad, aad_of(name, point, aad), d, SCALAR, out);
	OPENSSL_cleanse(key, sizeof key);
	return ok;
}

bool sdfkey_exists(int dir, uint32_t index, enum sdf_use use)
{
	char name[32];
	name_of(name, index, word(use));
	return faccessat(dir, name, F_OK, 0) == 0;
}

bool sdfkey_make_pair(int dir, uint32_t index, enum sdf_use use, const struct buf *password, uint32_t rounds)
{
	char name[32], tries[32];
	unsigned char point[POINT], d[SCALAR];
	struct buf b = {0};
	bool sm2;
	name_of(name, index, word(use));
	name_of(tries, index, "tries");
	EVP_PKEY *k = pair_make_ec(true);
	bool ok = k != NULL && pair_ec_parts(k, &sm2, point, d) && seal_pair(name, point, d, password, rounds, &b) &&
		(faccessat(dir, tries, F_OK, 0) == 0 || tries_write(dir, tries, (struct tries){0})) && file_write(dir, name, b.p, b.n);
	OPENSSL_cleanse(d, sizeof d);
	EVP_PKEY_free(k);
	buf_free(&b);
	return ok;
}

static bool device_key(int dir, bool make, unsigned char key[KEY_SIZE])
{
	struct buf b = {0};
	if (make && faccessat(dir, DEVICE_KEY, F_OK, 0) != 0 && !(RAND_priv_bytes(key, KEY_SIZE) == 1 && file_write(dir, DEVICE_KEY, key, KEY_SIZE)))
		return false;
	bool ok = file_read(dir, DEVICE_KEY, KEY_SIZE, &b) && b.n == KEY_SIZE;
	if (ok)
		memcpy(key, b.p, KEY_SIZE);
	buf_free(&b);
	return ok;
}

bool sdfkey_make_kek(int dir, uint32_t index)
{
	char name[32];
	unsigned char own[KEY_SIZE], key[16], aad[128];
	struct buf b = {0};
	int lock = file_lock(dir, LOCK, true, true);
	if (lock < 0)
		return false;
	name_of(name, index, word(SDF_KEK));
	bool ok = device_key(dir, true, own) && RAND_priv_bytes(key, sizeof key) == 1 && buf_add(&b, magic, 8) &&
		box_seal(own, aad, aad_of(name, NULL, aad), key, sizeof key, &b) && file_write(dir, name, b.p, b.n);
	OPENSSL_cleanse(own, sizeof own);
	OPENSSL_cleanse(key, sizeof key);
	buf_free(&b);
	close(lock);
	return ok;
}

static enum sdf_found read_pair(int dir, const char *name, struct buf *b)
{
	if (faccessat(dir, name, F_OK, 0) != 0)
		return SDF_NONE;
	if (!file_read(dir, name, 1024, b))
		return SDF_DAMAGED;
	if (b->n == PAIR_HEAD + SCALAR + BOX_EXTRA && memcmp(b->p, magic, 8) == 0)
		return SDF_OPEN;
	buf_free(b);
	return SDF_DAMAGED;
}

enum sdf_found sdfkey_point(int dir, uint32_t index, enum sdf_use use, unsigned char point[POINT])
{
	char name[32];
	struct buf b = {0};
	name_of(name, index, word(use));
	enum sdf_found f = read_pair(dir, name, &b);
	if (f == SDF_OPEN)
		memcpy(point, b.p + PAIR_HEAD - POINT, POINT);
	buf_free(&b);
	return f;
}

static enum sdf_found open_pair(int dir, uint32_t index, enum sdf_use use, const void *password, size_t n, EVP_PKEY **k)
{
	char name[32];
	unsigned char key[KEY_SIZE], aad[128];
	uint64_t rounds = 0;
	struct buf b = {0}, d = {0};
	name_of(name, index, word(use));
	enum sdf_found f = read_pair(dir, name, &b);
	if (f != SDF_OPEN)
		return f;
	struct reader r = {b.p + 8, 4};
	const unsigned char *point = b.p + PAIR_HEAD - POINT;
	if (!read_number(&r, 4, &rounds) || !pin_key(password, n, b.p + 12, (uint32_t)rounds, key))
		f = SDF_DAMAGED;
	else if (!box_open(key, aad, aad_of(name, point, aad), b.p + PAIR_HEAD, b.n - PAIR_HEAD, &d) || d.n != SCALAR)
		f = SDF_WRONG;
	else if ((*k = pair_of_ec(true, point, d.p)) == NULL)
		f = SDF_DAMAGED;
	OPENSSL_cleanse(key, sizeof key);
	buf_free(&d);
	buf_free(&b);
	return f;
}

static enum sdf_found open_both(int dir, uint32_t index, const void *password, size_t n, EVP_PKEY **sign, EVP_PKEY **encrypt)
{
	enum sdf_found s = open_pair(dir, index, SDF_SIGN, password, n, sign);
	if (s != SDF_OPEN && s != SDF_NONE)
		return s;
	enum sdf_found e = open_pair(dir, index, SDF_ENCRYPT, password, n, encrypt);
	return e == SDF_NONE ? s : e;
}

static enum sdf_found open_counted(int dir, uint32_t index, const void *password, size_t n, EVP_PKEY **sign, EVP_PKEY **encrypt)
{
	char name[32];
	struct tries t;
	name_of(name, index, "tries");
	if (!tries_read(dir, name, &t))
		return SDF_NONE;
	if (t.user >= PIN_TRIES)
		return SDF_WRONG;
	t.user++;
	if (!tries_write(dir, name, t))
		return SDF_DAMAGED;
	enum sdf_found f = open_both(dir, index, password, n, sign, encrypt);
	t.user = 0;
	return f == SDF_OPEN && !tries_write(dir, name, t) ? SDF_DAMAGED : f;
}

enum sdf_found sdfkey_open(int dir, uint32_t index, const void *password, size_t n, EVP_PKEY **sign, EVP_PKEY **encrypt)
{
	*sign = *encrypt = NULL;
	int lock = file_lock(dir, LOCK, true, true);
	if (lock < 0)
		return SDF_DAMAGED;
	enum sdf_found f = open_counted(dir, index, password, n, sign, encrypt);
	close(lock);
	if (f == SDF_OPEN)
		return f;
	EVP_PKEY_free(*sign);
	EVP_PKEY_free(*encrypt);
	*sign = *encrypt = NULL;
	return f;
}

enum sdf_found sdfkey_kek(int dir, uint32_t index, unsigned char key[16])
{
	char name[32];
	unsigned char own[KEY_SIZE], aad[128];
	struct buf b = {0}, v = {0};
	name_of(name, index, word(SDF_KEK));
	if (faccessat(dir, name, F_OK, 0) != 0)
		return SDF_NONE;
	bool ok = file_read(dir, name, 1024, &b) && b.n == 8 + 16 + BOX_EXTRA && memcmp(b.p, magic, 8) == 0 && device_key(dir, false, own) &&
		box_open(own, aad, aad_of(name, NULL, aad), b.p + 8, b.n - 8, &v) && v.n == 16;
	if (ok)
		memcpy(key, v.p, 16);
	OPENSSL_cleanse(own, sizeof own);
	buf_free(&b);
	buf_free(&v);
	return ok ? SDF_OPEN : SDF_DAMAGED;
}
