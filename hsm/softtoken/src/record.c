#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "token.h"

/* File "token": magic, label, serial, rounds, user_set, the two lockboxes, SHA-256 of all that. */
#define RECORD "token"
#define TRIES "tries"
#define PIN_LOCK ".pin-lock"
static const unsigned char magic[8] = {'H', 'U', 'F', 'U', 'T', 'O', 'K', '1'};

bool pin_fits(const void *pin, size_t n)
{
	return pin != NULL && n >= PIN_MIN && n <= PIN_MAX;
}

static bool take(struct reader *r, void *to, size_t n)
{
	const unsigned char *p = read_octets(r, n);
	if (p != NULL)
		memcpy(to, p, n);
	return p != NULL;
}

static bool decode(struct record *r, const struct buf *b)
{
	unsigned char sum[32], head[8];
	uint64_t rounds, user_set;
	struct reader in = {b->p, b->n - 32};
	if (!digest("SHA256", b->p, b->n - 32, sum) || CRYPTO_memcmp(sum, b->p + b->n - 32, 32) != 0)
		return false;
	bool ok = take(&in, head, 8) && memcmp(head, magic, 8) == 0 && take(&in, r->label, 32) && take(&in, r->serial, SERIAL_SIZE) &&
		read_number(&in, 4, &rounds) && read_number(&in, 4, &user_set) && take(&in, r->so.salt, 16) &&
		take(&in, r->so.sealed, sizeof r->so.sealed) && take(&in, r->user.salt, 16) && take(&in, r->user.sealed, sizeof r->user.sealed);
	if (!ok || in.n != 0 || user_set > 1)
		return false;
	r->rounds = (uint32_t)rounds;
	r->user_set = user_set == 1;
	return true;
}

CK_RV record_read(int dir, struct record *r)
{
	struct buf b = {0};
	*r = (struct record){0};
	if (faccessat(dir, RECORD, F_OK, 0) != 0)
		return CKR_TOKEN_NOT_RECOGNIZED;
	bool ok = file_read(dir, RECORD, 4096, &b) && b.n > 32 && decode(r, &b);
	buf_free(&b);
	return ok ? CKR_OK : CKR_DEVICE_ERROR;
}

static CK_RV record_write(int dir, const struct record *r)
{
	struct buf b = {0};
	unsigned char sum[32];
	bool ok = buf_add(&b, magic, 8) && buf_add(&b, r->label, 32) && buf_add(&b, r->serial, SERIAL_SIZE) &&
		buf_add_number(&b, r->rounds, 4) && buf_add_number(&b, r->user_set, 4) && buf_add(&b, r->so.salt, 16) &&
		buf_add(&b, r->so.sealed, sizeof r->so.sealed) && buf_add(&b, r->user.salt, 16) &&
		buf_add(&b, r->user.sealed, sizeof r->user.sealed) && digest("SHA256", b.p, b.n, sum) && buf_add(&b, sum, 32) &&
		file_write(dir, RECORD, b.p, b.n);
	buf_free(&b);
	return ok ? CKR_OK : CKR_DEVICE_ERROR;
}

static bool lockbox_seal(struct lockbox *l, const char *aad, uint32_t rounds, const void *pin, size_t n, const unsigned char key[KEY_SIZE])
{
	unsigned char kek[KEY_SIZE];
	struct buf b = {0};
	bool ok = RAND_bytes(l->salt, sizeof l->salt) == 1 && pin_key(pin, n, l->salt, rounds, kek) &&
		box_seal(kek, aad, strlen(aad), key, KEY_SIZE, &b) && b.n == sizeof l->sealed;
	if (ok)
		memcpy(l->sealed, b.p, b.n);
	OPENSSL_cleanse(kek, sizeof kek);
	buf_free(&b);
	return ok;
}

static bool lockbox_open(const struct lockbox *l, const char *aad, uint32_t rounds, const void *pin, size_t n, unsigned char key[KEY_SIZE])
{
	unsigned char kek[KEY_SIZE];
	struct buf b = {0};
	bool ok = pin_key(pin, n, l->salt, rounds, kek) && box_open(kek, aad, strlen(aad), l->sealed, sizeof l->sealed, &b) && b.n == KEY_SIZE;
	if (ok)
		memcpy(key, b.p, KEY_SIZE);
	OPENSSL_cleanse(kek, sizeof kek);
	buf_free(&b);
	return ok;
}

CK_RV record_create(int dir, const void *so_pin, size_t n, const unsigned char label[32], uint32_t rounds)
{
	struct record r = {.rounds = rounds};
	unsigned char key[KEY_SIZE], serial[SERIAL_SIZE / 2];
	if (!pin_fits(so_pin, n))
		return CKR_PIN_LEN_RANGE;
	memcpy(r.label, label, sizeof r.label);
	if (RAND_bytes(key, sizeof key) != 1 || RAND_bytes(serial, sizeof serial) != 1)
		return CKR_DEVICE_ERROR;
	for (size_t i = 0; i < SERIAL_SIZE; i++)
		r.serial[i] = (unsigned char)"0123456789abcdef"[serial[i / 2] >> (i % 2 ? 0 : 4) & 15];
	bool ok = lockbox_seal(&r.so, "so", rounds, so_pin, n, key) && tries_write(dir, TRIES, (struct tries){0});
	OPENSSL_cleanse(key, sizeof key);
	return ok ? record_write(dir, &r) : CKR_DEVICE_ERROR;
}

/* A try is counted on the disk before it is made, so that pulling the plug saves none. */
static CK_RV open_counted(int dir, CK_ULONG user, const void *pin, size_t n, unsigned char key[KEY_SIZE])
{
	struct record r;
	struct tries t;
	CK_RV rv = record_read(dir, &r);
	if (rv != CKR_OK)
		return rv;
	if (user == CKU_USER && !r.user_set)
		return CKR_USER_PIN_NOT_INITIALIZED;
	if (!tries_read(dir, TRIES, &t))
		return CKR_DEVICE_ERROR;
	uint32_t *wrong = user == CKU_SO ? &t.so : &t.user;
	if (*wrong >= PIN_TRIES)
		return CKR_PIN_LOCKED;
	++*wrong;
	if (!tries_write(dir, TRIES, t))
		return CKR_DEVICE_ERROR;
	if (!lockbox_open(user == CKU_SO ? &r.so : &r.user, user == CKU_SO ? "so" : "user", r.rounds, pin, n, key))
		return CKR_PIN_INCORRECT;
	*wrong = 0;
	return tries_write(dir, TRIES, t) ? CKR_OK : CKR_DEVICE_ERROR;
}

CK_RV record_open(int dir, CK_ULONG user, const void *pin, size_t n, unsigned char key[KEY_SIZE])
{
	if (!pin_fits(pin, n))
		return CKR_PIN_INCORRECT;
	int lock = file_lock(dir, PIN_LOCK, true, true);
	if (lock < 0)
		return CKR_DEVICE_ERROR;
	CK_RV rv = open_counted(dir, user, pin, n, key);
	close(lock);
	return rv;
}

static CK_RV set_pin_locked(int dir, CK_ULONG user, const void *pin, size_t n, const unsigned char key[KEY_SIZE])
{
	struct record r;
	struct tries t;
	CK_RV rv = record_read(dir, &r);
	if (rv != CKR_OK)
		return rv;
	if (!tries_read(dir, TRIES, &t))
		return CKR_DEVICE_ERROR;
	*(user == CKU_SO ? &t.so : &t.user) = 0;
	if (!lockbox_seal(user == CKU_SO ? &r.so : &r.user, user == CKU_SO ? "so" : "user", r.rounds, pin, n, key))
		return CKR_DEVICE_ERROR;
	r.user_set |= user == CKU_USER;
	rv = record_write(dir, &r);
	return rv == CKR_OK && !tries_write(dir, TRIES, t) ? CKR_DEVICE_ERROR : rv;
}

CK_RV record_set_pin(int dir, CK_ULONG user, const void *pin, size_t n, const unsigned char key[KEY_SIZE])
{
	if (!pin_fits(pin, n))
		return CKR_PIN_LEN_RANGE;
	int lock = file_lock(dir, PIN_LOCK, true, true);
	if (lock < 0)
		return CKR_DEVICE_ERROR;
	CK_RV rv = set_pin_locked(dir, user, pin, n, key);
	close(lock);
	return rv;
}

bool tries_read(int dir, const char *name, struct tries *t)
{
	struct buf b = {0};
	uint64_t so = 0, user = 0;
	bool ok = file_read(dir, name, 8, &b);
	struct reader r = {b.p, b.n};
	ok = ok && read_number(&r, 4, &so) && read_number(&r, 4, &user) && r.n == 0;
	buf_free(&b);
	*t = (struct tries){(uint32_t)so, (uint32_t)user};
	return ok;
}

bool tries_write(int dir, const char *name, struct tries t)
{
	struct buf b = {0};
	bool ok = buf_add_number(&b, t.so, 4) && buf_add_number(&b, t.user, 4) && file_write(dir, name, b.p, b.n);
	buf_free(&b);
	return ok;
}
