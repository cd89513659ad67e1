#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "token.h"

#define MOST_ATTRS 64
#define MOST_VALUE 65536

static void wipe(struct attr *a)
{
	if (a->p != NULL)
		OPENSSL_cleanse(a->p, a->n);
	free(a->p);
	a->p = NULL;
	a->n = 0;
}

static struct attr *slot_of(struct attrs *a, CK_ULONG type)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].type == type)
			return &a->list[i];
	if (a->n >= MOST_ATTRS)
		return NULL;
	struct attr *grown = realloc(a->list, (a->n + 1) * sizeof *grown);
	if (grown == NULL)
		return NULL;
	a->list = grown;
	grown[a->n] = (struct attr){.type = type};
	return &grown[a->n++];
}

bool attrs_set(struct attrs *a, CK_ULONG type, const void *p, size_t n)
{
	if (n > MOST_VALUE || (p == NULL && n > 0))
		return false;
	unsigned char *copy = malloc(n + 1);
	struct attr *at = copy != NULL ? slot_of(a, type) : NULL;
	if (at == NULL) {
		free(copy);
		return false;
	}
	if (n > 0)
		memcpy(copy, p, n);
	wipe(at);
	at->p = copy;
	at->n = n;
	return true;
}

bool attrs_set_flag(struct attrs *a, CK_ULONG type, bool v)
{
	CK_BBOOL b = v ? CK_TRUE : CK_FALSE;
	return attrs_set(a, type, &b, sizeof b);
}

bool attrs_set_number(struct attrs *a, CK_ULONG type, CK_ULONG v)
{
	return attrs_set(a, type, &v, sizeof v);
}

const struct attr *attrs_get(const struct attrs *a, CK_ULONG type)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].type == type)
			return &a->list[i];
	return NULL;
}

bool attrs_flag(const struct attrs *a, CK_ULONG type)
{
	const struct attr *at = attrs_get(a, type);
	return at != NULL && at->n == 1 && at->p[0] != CK_FALSE;
}

CK_ULONG attrs_number(const struct attrs *a, CK_ULONG type)
{
	const struct attr *at = attrs_get(a, type);
	CK_ULONG v = CK_UNAVAILABLE_INFORMATION;
	if (at != NULL && at->n == sizeof v)
		memcpy(&v, at->p, sizeof v);
	return v;
}

bool attrs_copy(struct attrs *to, const struct attrs *from)
{
	for (size_t i = 0; i < from->n; i++)
		if (!attrs_set(to, from->list[i].type, from->list[i].p, from->list[i].n))
			return false;
	return true;
}

void attrs_free(struct attrs *a)
{
	for (size_t i = 0; i < a->n; i++)
		wipe(&a->list[i]);
	free(a->list);
	*a = (struct attrs){0};
}

bool attrs_encode(const struct attrs *a, struct buf *out)
{
	bool ok = buf_add_number(out, a->n, 4);
	for (size_t i = 0; ok && i < a->n; i++)
		ok = buf_add_number(out, a->list[i].type, 8) && buf_add_number(out, a->list[i].n, 4) && buf_add(out, a->list[i].p, a->list[i].n);
	return ok;
}

bool attrs_decode(struct attrs *a, const unsigned char *p, size_t n)
{
	struct reader r = {p, n};
	uint64_t count, type, size;
	if (!read_number(&r, 4, &count) || count > MOST_ATTRS)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (!read_number(&r, 8, &type) || !read_number(&r, 4, &size) || size > MOST_VALUE)
			return false;
		const unsigned char *value = read_octets(&r, size);
		if (value == NULL || attrs_get(a, type) != NULL || !attrs_set(a, type, value, size))
			return false;
	}
	return r.n == 0;
}
