#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "module.h"

/* An object's file: magic, 1 if sealed, then its attributes and their SHA-256, or the box of its attributes under the
 * token's key with magic and file name as associated data: no file can stand in for another. */
static const unsigned char magic[8] = {'H', 'U', 'F', 'U', 'O', 'B', 'J', '1'};
#define MOST_FILE (1UL << 20)

struct object *object_new(struct attrs *a)
{
	struct object *o = calloc(1, sizeof *o);
	if (o == NULL) {
		attrs_free(a);
		return NULL;
	}
	o->refs = 1;
	o->attrs = *a;
	*a = (struct attrs){0};
	return o;
}

void object_drop(struct object *o)
{
	if (o == NULL || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	attrs_free(&o->attrs);
	EVP_PKEY_free(o->pair);
	free(o);
}

static EVP_PKEY *pair_from(const struct attrs *a)
{
	const struct attr *v = attrs_get(a, CKA_VALUE), *p = attrs_get(a, CKA_EC_POINT), *n = attrs_get(a, CKA_MODULUS), *e = attrs_get(a, CKA_PUBLIC_EXPONENT);
	bool private = attrs_number(a, CKA_CLASS) == CKO_PRIVATE_KEY, sm2;
	if (attrs_number(a, CKA_KEY_TYPE) == CKK_RSA && private)
		return v != NULL ? pair_of_private(v->p, v->n) : NULL;
	if (attrs_number(a, CKA_KEY_TYPE) == CKK_RSA)
		return n != NULL && e != NULL ? pair_of_rsa(n->p, n->n, e->p, e->n) : NULL;
	if (attrs_curve(a, &sm2) != CKR_OK || p == NULL || p->n != POINT || (private && (v == NULL || v->n != SCALAR)))
		return NULL;
	return pair_of_ec(sm2, p->p, private ? v->p : NULL);
}

EVP_PKEY *object_pair(struct object *o)
{
	static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&making);
	if (o->pair == NULL)
		o->pair = pair_from(&o->attrs);
	EVP_PKEY *k = o->pair;
	pthread_mutex_unlock(&making);
	return k;
}

static void entry_free(struct entry *e)
{
	object_drop(e->object);
	e->object = NULL;
}

static void entry_remove(struct slot *slot, size_t i)
{
	entry_free(&slot->entries[i]);
	memmove(&slot->entries[i], &slot->entries[i + 1], (slot->n - i - 1) * sizeof slot->entries[0]);
	slot->n--;
}

static struct entry *entry_add(struct slot *slot, const char *name)
{
	struct entry *grown = realloc(slot->entries, (slot->n + 1) * sizeof *grown);
	if (grown == NULL)
		return NULL;
	slot->entries = grown;
	struct entry *e = &grown[slot->n++];
	*e = (struct entry){.handle = module.next_object++};
	snprintf(e->name, sizeof e->name, "%s", name);
	return e;
}

static size_t aad_of(const char *name, unsigned char aad[40])
{
	memcpy(aad, magic, 8);
	memcpy(aad + 8, name, strlen(name));
	return 8 + strlen(name);
}

static bool read_plain(const struct buf *b, struct attrs *a)
{
	unsigned char sum[32];
	return b->n > 41 && digest("SHA256", b->p, b->n - 32, sum) && CRYPTO_memcmp(sum, b->p + b->n - 32, 32) == 0 &&
		attrs_decode(a, b->p + 9, b->n - 41) && !attrs_flag(a, CKA_PRIVATE);
}

static bool read_sealed(const struct slot *slot, const char *name, const struct buf *b, struct attrs *a)
{
	unsigned char aad[40];
	struct buf plain = {0};
	bool ok = box_open(slot->key, aad, aad_of(name, aad), b->p + 9, b->n - 9, &plain) && attrs_decode(a, plain.p, plain.n);
	buf_free(&plain);
	return ok;
}

/* Reads the file of an entry. A damaged one stays without object: it cannot be found or used, and is not removed either. */
static void entry_load(struct slot *slot, struct entry *e, const struct stat *st)
{
	struct buf b = {0};
	struct attrs a = {0};
	entry_free(e);
	e->changed = st->st_mtim;
	e->inode = st->st_ino;
	e->hidden = false;
	if (!file_read(slot->dir, e->name, MOST_FILE, &b))
		return;
	bool ok = b.n > 9 && memcmp(b.p, magic, 8) == 0 && b.p[8] <= 1;
	e->hidden = ok && b.p[8] == 1 && slot->user != CKU_USER;
	if (ok && !e->hidden && (b.p[8] == 1 ? read_sealed(slot, e->name, &b, &a) : read_plain(&b, &a)))
		e->object = object_new(&a);
	attrs_free(&a);
	buf_free(&b);
}

static bool is_current(const struct entry *e, const struct stat *st)
{
	return e->inode == st->st_ino && e->changed.tv_sec == st->st_mtim.tv_sec && e->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static struct entry *entry_named(struct slot *slot, const char *name)
{
	for (size_t i = 0; i < slot->n; i++)
		if (strcmp(slot->entries[i].name, name) == 0)
			return &slot->entries[i];
	return NULL;
}

static void scan_one(struct slot *slot, const char *name)
{
	struct stat st;
	if (strncmp(name, OBJECT_PREFIX, strlen(OBJECT_PREFIX)) != 0 || strlen(name) >= sizeof slot->entries->name ||
		fstatat(slot->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	struct entry *e = entry_named(slot, name);
	if (e == NULL && (e = entry_add(slot, name)) != NULL)
		entry_load(slot, e, &st);
	else if (e != NULL && (!is_current(e, &st) || e->hidden))
		entry_load(slot, e, &st);
	if (e != NULL)
		e->seen = true;
}

/* A folder whose time of change is older than a tick when read, and the same now, has changed in nothing. */
static bool unchanged(const struct slot *slot, const struct stat *st)
{
	return slot->scanned.tv_sec != 0 && slot->scanned.tv_sec == st->st_mtim.tv_sec && slot->scanned.tv_nsec == st->st_mtim.tv_nsec;
}

static bool settled(const struct stat *st)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st->st_mtim.tv_sec) * 1000 + (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000 > 100;
}

void slot_scan(struct slot *slot)
{
	struct stat st;
	if (fstat(slot->dir, &st) != 0 || unchanged(slot, &st))
		return;
	int again = openat(slot->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again >= 0 ? fdopendir(again) : NULL;
	if (d == NULL) {
		if (again >= 0)
			close(again);
		return;
	}
	for (size_t i = 0; i < slot->n; i++)
		slot->entries[i].seen = slot->entries[i].owner != CK_INVALID_HANDLE;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		scan_one(slot, e->d_name);
	closedir(d);
	for (size_t i = slot->n; i-- > 0;)
		if (!slot->entries[i].seen)
			entry_remove(slot, i);
	slot->scanned = settled(&st) ? st.st_mtim : (struct timespec){0};
}

void slot_forget(struct slot *slot, bool all)
{
	for (size_t i = slot->n; i-- > 0;) {
		struct entry *e = &slot->entries[i];
		bool private = e->object != NULL && attrs_flag(&e->object->attrs, CKA_PRIVATE);
		if (all || (private && e->owner != CK_INVALID_HANDLE)) {
			entry_remove(slot, i);
		} else if (private) {
			entry_free(e);
			e->hidden = true;
		}
	}
	if (all) {
		free(slot->entries);
		slot->entries = NULL;
	}
	slot->scanned = (struct timespec){0};
}

struct entry *slot_entry(struct slot *slot, CK_OBJECT_HANDLE h)
{
	struct stat st;
	for (size_t i = 0; i < slot->n; i++) {
		struct entry *e = &slot->entries[i];
		if (e->handle != h)
			continue;
		if (e->owner != CK_INVALID_HANDLE)
			return e;
		if (fstatat(slot->dir, e->name, &st, AT_SYMLINK_NOFOLLOW) != 0) { /* another process destroyed it */
			entry_remove(slot, i);
			return NULL;
		}
		if (!is_current(e, &st) || (e->hidden && slot->user == CKU_USER))
			entry_load(slot, e, &st);
		return e;
	}
	return NULL;
}

CK_RV slot_object(struct slot *slot, CK_OBJECT_HANDLE h, struct object **o)
{
	struct entry *e = slot_entry(slot, h);
	if (e == NULL || e->object == NULL)
		return e != NULL && e->hidden ? CKR_USER_NOT_LOGGED_IN : CKR_OBJECT_HANDLE_INVALID;
	*o = e->object;
	__atomic_add_fetch(&(*o)->refs, 1, __ATOMIC_RELAXED);
	return CKR_OK;
}

static bool encode_file(const struct slot *slot, const char *name, const struct attrs *a, struct buf *out)
{
	unsigned char aad[40], sum[32];
	struct buf plain = {0};
	bool sealed = attrs_flag(a, CKA_PRIVATE);
	bool ok = attrs_encode(a, &plain) && buf_add(out, magic, 8) && buf_add_number(out, sealed, 1);
	if (ok && sealed)
		ok = box_seal(slot->key, aad, aad_of(name, aad), plain.p, plain.n, out);
	else if (ok)
		ok = buf_add(out, plain.p, plain.n) && digest("SHA256", out->p, out->n, sum) && buf_add(out, sum, 32);
	buf_free(&plain);
	return ok && out->n <= MOST_FILE;
}

static CK_RV entry_write(struct slot *slot, struct entry *e, const struct attrs *a)
{
	struct buf b = {0};
	struct stat st;
	bool ok = encode_file(slot, e->name, a, &b) && file_write(slot->dir, e->name, b.p, b.n) && fstatat(slot->dir, e->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	buf_free(&b);
	if (!ok)
		return CKR_DEVICE_ERROR;
	e->changed = st.st_mtim;
	e->inode = st.st_ino;
	return CKR_OK;
}

CK_RV slot_add(struct session *s, struct attrs *a, CK_OBJECT_HANDLE *h)
{
	unsigned char r[8];
	char name[24] = "";
	bool token = attrs_flag(a, CKA_TOKEN);
	if (RAND_bytes(r, sizeof r) != 1)
		return CKR_DEVICE_ERROR;
	if (token)
		snprintf(name, sizeof name, OBJECT_PREFIX "%02x%02x%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
	struct entry *e = entry_add(s->slot, name);
	if (e == NULL)
		return CKR_HOST_MEMORY;
	e->owner = token ? CK_INVALID_HANDLE : s->handle;
	CK_RV rv = token ? entry_write(s->slot, e, a) : CKR_OK;
	if (rv == CKR_OK && (e->object = object_new(a)) == NULL)
		rv = CKR_HOST_MEMORY;
	if (rv == CKR_OK)
		*h = e->handle;
	else
		entry_remove(s->slot, s->slot->n - 1);
	return rv;
}

CK_RV slot_change(struct slot *slot, struct entry *e, struct attrs *a)
{
	CK_RV rv = e->owner == CK_INVALID_HANDLE ? entry_write(slot, e, a) : CKR_OK;
	struct object *o = rv == CKR_OK ? object_new(a) : NULL;
	if (o == NULL)
		return rv == CKR_OK ? CKR_HOST_MEMORY : rv;
	object_drop(e->object);
	e->object = o;
	return CKR_OK;
}

CK_RV slot_destroy(struct slot *slot, struct entry *e)
{
	if (e->owner == CK_INVALID_HANDLE && !file_remove(slot->dir, e->name))
		return CKR_DEVICE_ERROR;
	entry_remove(slot, (size_t)(e - slot->entries));
	return CKR_OK;
}

void slot_end_session(struct slot *slot, CK_SESSION_HANDLE owner)
{
	for (size_t i = slot->n; i-- > 0;)
		if (slot->entries[i].owner == owner)
			entry_remove(slot, i);
}

/* The fault of handles that mean another key after a restart: each object takes the handle of the next of its class. */
void slot_move_handles(struct slot *slot)
{
	slot_scan(slot);
	for (CK_OBJECT_CLASS class = CKO_PUBLIC_KEY; class <= CKO_SECRET_KEY; class++) {
		struct entry *last = NULL;
		for (size_t i = 0; i < slot->n; i++) {
			struct entry *e = &slot->entries[i];
			if (e->object == NULL || e->owner != CK_INVALID_HANDLE || attrs_number(&e->object->attrs, CKA_CLASS) != class)
				continue;
			if (last != NULL) {
				CK_OBJECT_HANDLE h = last->handle;
				last->handle = e->handle;
				e->handle = h;
			}
			last = e;
		}
	}
}
