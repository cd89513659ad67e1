#include <string.h>

#include "crypt.h"

/* One element of the tag with a definite length in its shortest form. */
static bool element(struct reader *r, unsigned tag, struct reader *in)
{
	uint64_t got, n, octets;
	if (!read_number(r, 1, &got) || got != tag || !read_number(r, 1, &n))
		return false;
	if (n >= 0x80) {
		octets = n - 0x80;
		if (octets < 1 || octets > 3 || !read_number(r, octets, &n) || n < 0x80 || n >> (8 * (octets - 1)) == 0)
			return false;
	}
	in->n = n;
	in->p = read_octets(r, n);
	return in->p != NULL;
}

/* A positive INTEGER of at most 32 octets, shortest form, padded to 32. */
static bool integer(struct reader *r, unsigned char out[SCALAR])
{
	struct reader v;
	if (!element(r, 2, &v) || v.n == 0 || v.p[0] >= 0x80 || (v.n > 1 && v.p[0] == 0 && v.p[1] < 0x80))
		return false;
	if (v.p[0] == 0 && v.n > 1) {
		v.p++;
		v.n--;
	}
	if (v.n > SCALAR)
		return false;
	memset(out, 0, SCALAR - v.n);
	memcpy(out + SCALAR - v.n, v.p, v.n);
	return true;
}

static bool put_head(struct buf *out, unsigned tag, size_t n)
{
	size_t octets = n < 0x80 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : 3;
	return buf_add_number(out, tag, 1) && buf_add_number(out, octets ? 0x80 + octets : n, 1) && (octets == 0 || buf_add_number(out, n, octets));
}

static bool put_integer(struct buf *out, const unsigned char v[SCALAR])
{
	size_t skip = 0;
	while (skip < SCALAR - 1 && v[skip] == 0)
		skip++;
	bool sign = v[skip] >= 0x80;
	return put_head(out, 2, SCALAR - skip + sign) && (!sign || buf_add(out, "", 1)) && buf_add(out, v + skip, SCALAR - skip);
}

static bool put_sequence(struct buf *out, const struct buf *body)
{
	return put_head(out, 0x30, body->n) && buf_add(out, body->p, body->n);
}

bool der_signature(const unsigned char raw[64], struct buf *der)
{
	struct buf body = {0};
	bool ok = put_integer(&body, raw) && put_integer(&body, raw + SCALAR) && put_sequence(der, &body);
	buf_free(&body);
	return ok;
}

bool der_signature_raw(const unsigned char *der, size_t n, unsigned char raw[64])
{
	struct reader r = {der, n}, in;
	return element(&r, 0x30, &in) && r.n == 0 && integer(&in, raw) && integer(&in, raw + SCALAR) && in.n == 0;
}

struct ciphertext {
	unsigned char x[SCALAR], y[SCALAR], c3[32];
	const unsigned char *c2;
	size_t n;
};

static bool parse_der(const unsigned char *p, size_t n, struct ciphertext *c)
{
	struct reader r = {p, n}, in, c3, c2;
	if (!element(&r, 0x30, &in) || r.n != 0 || !integer(&in, c->x) || !integer(&in, c->y) || !element(&in, 4, &c3) ||
		!element(&in, 4, &c2) || in.n != 0 || c3.n != 32)
		return false;
	memcpy(c->c3, c3.p, 32);
	c->c2 = c2.p;
	c->n = c2.n;
	return true;
}

static bool parse_plain(const unsigned char *p, size_t n, bool old, struct ciphertext *c)
{
	if (n < POINT + 32 || p[0] != 4)
		return false;
	c->n = n - POINT - 32;
	memcpy(c->x, p + 1, SCALAR);
	memcpy(c->y, p + 1 + SCALAR, SCALAR);
	memcpy(c->c3, old ? p + POINT + c->n : p + POINT, 32);
	c->c2 = old ? p + POINT : p + POINT + 32;
	return true;
}

bool der_ciphertext(const unsigned char *p, size_t n, enum form from, struct buf *der)
{
	struct ciphertext c;
	struct buf body = {0};
	if (!(from == FORM_DER ? parse_der(p, n, &c) : parse_plain(p, n, from == FORM_OLD, &c)) || c.n == 0)
		return false;
	bool ok = put_integer(&body, c.x) && put_integer(&body, c.y) && put_head(&body, 4, 32) && buf_add(&body, c.c3, 32) &&
		put_head(&body, 4, c.n) && buf_add(&body, c.c2, c.n) && put_sequence(der, &body);
	buf_free(&body);
	return ok;
}

bool der_ciphertext_as(const unsigned char *der, size_t n, enum form to, struct buf *out)
{
	struct ciphertext c;
	if (!parse_der(der, n, &c))
		return false;
	if (to == FORM_DER)
		return buf_add(out, der, n);
	return buf_add(out, "\x04", 1) && buf_add(out, c.x, SCALAR) && buf_add(out, c.y, SCALAR) &&
		(to == FORM_OLD || buf_add(out, c.c3, 32)) && buf_add(out, c.c2, c.n) && (to != FORM_OLD || buf_add(out, c.c3, 32));
}
