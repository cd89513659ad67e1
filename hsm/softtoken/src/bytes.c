#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "token.h"

bool buf_add(struct buf *b, const void *p, size_t n)
{
	if (n > MAX_DATA + 4096 || b->n > MAX_DATA + 4096 - n)
		return false;
	if (b->n + n > b->room || b->p == NULL) {
		size_t room = (b->n + n) * 2 + 64;
		unsigned char *grown = malloc(room);
		if (grown == NULL)
			return false;
		if (b->n > 0)
			memcpy(grown, b->p, b->n);
		if (b->p != NULL)
			OPENSSL_cleanse(b->p, b->room);
		free(b->p);
		b->p = grown;
		b->room = room;
	}
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return true;
}

bool buf_add_number(struct buf *b, uint64_t v, size_t octets)
{
	unsigned char be[8];
	for (size_t i = 0; i < 8; i++)
		be[7 - i] = (unsigned char)(v >> (8 * i));
	return octets <= 8 && buf_add(b, be + 8 - octets, octets);
}

void buf_free(struct buf *b)
{
	if (b->p != NULL)
		OPENSSL_cleanse(b->p, b->room);
	free(b->p);
	memset(b, 0, sizeof *b);
}

const unsigned char *read_octets(struct reader *r, size_t n)
{
	const unsigned char *p = r->p;
	if (n > r->n || p == NULL)
		return NULL;
	r->p += n;
	r->n -= n;
	return p;
}

bool read_number(struct reader *r, size_t octets, uint64_t *v)
{
	const unsigned char *p = octets <= 8 ? read_octets(r, octets) : NULL;
	if (p == NULL)
		return false;
	*v = 0;
	for (size_t i = 0; i < octets; i++)
		*v = *v << 8 | p[i];
	return true;
}
