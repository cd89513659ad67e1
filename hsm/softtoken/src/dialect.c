#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "token.h"

/* Codes that every token speaks. */
static const struct mech standard[] = {
	{CKM_RSA_PKCS_KEY_PAIR_GEN, OP_RSA_PAIR, 0, false}, {CKM_RSA_PKCS, OP_RSA_PKCS, 0, false},
	{CKM_SHA256_RSA_PKCS, OP_RSA_SHA256, 0, false}, {CKM_RSA_PKCS_PSS, OP_RSA_PSS, 0, false},
	{CKM_SHA256_RSA_PKCS_PSS, OP_RSA_PSS_SHA256, 0, false}, {CKM_EC_KEY_PAIR_GEN, OP_EC_PAIR, 0, false},
	{CKM_ECDSA, OP_ECDSA, 0, false}, {CKM_ECDSA_SHA256, OP_ECDSA_SHA256, 0, false}, {CKM_ECDH1_DERIVE, OP_ECDH, 0, false},
	{CKM_AES_KEY_GEN, OP_AES_KEY, 0, false}, {CKM_AES_ECB, OP_AES_ECB, 0, false}, {CKM_AES_CBC, OP_AES_CBC, 0, false},
	{CKM_AES_CBC_PAD, OP_AES_CBC_PAD, 0, false}, {CKM_AES_GCM, OP_AES_GCM, 0, false}, {CKM_AES_KEY_WRAP, OP_AES_WRAP, 0, false},
	{CKM_AES_KEY_WRAP_KWP, OP_AES_KWP, 0, false}, {CKM_GENERIC_SECRET_KEY_GEN, OP_GENERIC_KEY, 0, false},
	{CKM_SHA256_HMAC, OP_HMAC_SHA256, 0, false}, {CKM_SHA256, OP_SHA256, 0, false},
};
#define STANDARD (sizeof standard / sizeof standard[0])

/* The codes of XiPKI; HMAC-SM3 has none there, so FFFFF101 is our own. */
static const struct mech neutral[] = {
	{0xFFFFF001, OP_SM2_PAIR, 0, false}, {0xFFFFF002, OP_SM2_E, 0, false}, {0xFFFFF003, OP_SM2_MESSAGE, 0, true},
	{0xFFFFF004, OP_SM2_CRYPT, 0, false}, {0xFFFFF005, OP_SM3, 0, false}, {0xFFFFF006, OP_SM4_KEY, 0, false},
	{0xFFFFF007, OP_SM4_ECB, 0, false}, {0xFFFFF008, OP_SM4_CBC, 0, false}, {0xFFFFF00B, OP_SM4_CBC_PAD, 0, false},
	{0xFFFFF00D, OP_SM4_GCM, 0, false}, {0xFFFFF101, OP_HMAC_SM3, 0, false}, {0, OP_NONE, 0, false},
};

static const struct mech sansec[] = {
	{0x80008001, OP_SM2_PAIR, 0, false}, {0x80008104, OP_SM2_E, 0, false}, {0x80008105, OP_SM2_E, FORM_RAW, false},
	{0x80008100, OP_SM2_MESSAGE, 0, false}, {0x80008101, OP_SM2_MESSAGE, FORM_DER, false}, {0x80008102, OP_SM2_MESSAGE, 0, true},
	{0x80008103, OP_SM2_MESSAGE, FORM_DER, true}, {0x80008200, OP_SM2_CRYPT, 0, false}, {0x80008201, OP_SM2_CRYPT, FORM_DER, false},
	{0x80009001, OP_SM3, 0, false}, {0x80000107, OP_SM4_KEY, 0, false}, {0x80000108, OP_SM4_ECB, 0, false},
	{0x80000109, OP_SM4_CBC, 0, false}, {0x8000A201, OP_SM4_CBC_PAD, 0, false}, {0, OP_NONE, 0, false},
};

static const struct mech tass[] = {
	{0x80008001, OP_SM2_PAIR, 0, false}, {0x80008000, OP_SM2_E, 0, false}, {0x80008100, OP_SM2_MESSAGE, 0, false},
	{0x80008101, OP_SM2_MESSAGE, 0, false}, {0x80008200, OP_SM2_CRYPT, 0, false}, {0x80000005, OP_SM3, 0, false},
	{0x80000007, OP_HMAC_SM3, 0, false}, {0x80000107, OP_SM4_KEY, 0, false}, {0x80000108, OP_SM4_ECB, 0, false},
	{0x80000109, OP_SM4_CBC, 0, false}, {0x8000010C, OP_SM4_CBC_PAD, 0, false}, {0, OP_NONE, 0, false},
};

static const struct mech luna[] = {
	{0x80000B20, OP_SM2_PAIR, 0, false}, {0x80000B21, OP_SM2_E, 0, false}, {0x80000B22, OP_SM2_MESSAGE, 0, false},
	{0x80000B01, OP_SM3, 0, false}, {0x80000B02, OP_HMAC_SM3, 0, false}, {0x80000B10, OP_SM4_KEY, 0, false},
	{0x80000B11, OP_SM4_ECB, 0, false}, {0x80000B12, OP_SM4_CBC, 0, false}, {0x80000B13, OP_SM4_CBC_PAD, 0, false}, {0, OP_NONE, 0, false},
};

static const struct mech ep11[] = {
	{0x8005000A, OP_SM2_PAIR, 0, false}, {0x8005000B, OP_SM2_E, 0, false}, {0x8005000C, OP_SM2_MESSAGE, 0, false},
	{0x8005000D, OP_SM2_CRYPT, 0, false}, {0x8005000E, OP_SM3, 0, false}, {0x80050001, OP_SM4_KEY, 0, false},
	{0x80050004, OP_SM4_ECB, 0, false}, {0x80050002, OP_SM4_CBC, 0, false}, {0x80050003, OP_SM4_CBC_PAD, 0, false}, {0, OP_NONE, 0, false},
};

static const struct dialect dialects[] = {
	{.name = "neutral", .maker = PRODUCT, .sm2 = KEY_SM2, .sm4 = KEY_SM4, .mechs = neutral, .signature = FORM_RAW,
		.ciphertext = FORM_DER, .za = true, .frame = MAX_DATA},
	{.name = "sansec", .maker = PRODUCT ", sansec", .sm2 = 0x80000004, .sm4 = 0x80000106, .mechs = sansec, .signature = FORM_RAW,
		.ciphertext = FORM_RAW, .point_on_private = true, .fewer_attributes = true, .frame = MAX_DATA},
	{.name = "tass", .maker = PRODUCT ", tass", .sm2 = 0x80000004, .sm4 = 0x80000002, .mechs = tass, .signature = FORM_DER,
		.ciphertext = FORM_DER, .ecdsa_der = true, .point_on_private = true, .za = true, .fewer_attributes = true, .frame = 8192},
	{.name = "luna", .maker = PRODUCT ", safenet", .sm2 = 0x80000016, .sm4 = 0x80000015, .mechs = luna, .signature = FORM_RAW,
		.ciphertext = FORM_DER, .za = true, .fewer_attributes = true, .frame = MAX_DATA},
	{.name = "ep11", .maker = PRODUCT ", EP11", .sm2 = 0x80050002, .sm4 = 0x80050001, .mechs = ep11, .signature = FORM_RAW,
		.ciphertext = FORM_DER, .bare_point = true, .za = true, .frame = MAX_DATA},
};

const struct dialect *dialect_find(const char *name)
{
	for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
		if (strcmp(dialects[i].name, name) == 0)
			return &dialects[i];
	return NULL;
}

void manners_of(struct manners *m, const struct dialect *d)
{
	*m = (struct manners){.dialect = d, .signature = d->signature, .ciphertext = d->ciphertext, .bare_point = d->bare_point,
		.point_on_private = d->point_on_private, .za = d->za};
}

static bool form_of(const char *word, enum form *f)
{
	if (strcmp(word, "raw") == 0)
		*f = FORM_RAW;
	else if (strcmp(word, "der") == 0)
		*f = FORM_DER;
	else if (strcmp(word, "c1c2c3") == 0)
		*f = FORM_OLD;
	else
		return false;
	return true;
}

static bool flag_of(const char *word, const char *yes, const char *no, bool *v)
{
	*v = strcmp(word, yes) == 0;
	return *v || strcmp(word, no) == 0;
}

static bool hide(struct manners *m, const char *word)
{
	char *end;
	CK_ULONG code = strtoul(word, &end, 16);
	if (*end != '\0' || m->hidden_n == sizeof m->hidden / sizeof m->hidden[0])
		return false;
	m->hidden[m->hidden_n++] = code;
	return true;
}

static bool manner(struct manners *m, const char *name, const char *value)
{
	const struct dialect *d;
	if (strcmp(name, "dialect") == 0) {
		if ((d = dialect_find(value)) != NULL)
			manners_of(m, d);
		return d != NULL;
	}
	if (strcmp(name, "signature") == 0)
		return form_of(value, &m->signature) && m->signature != FORM_OLD;
	if (strcmp(name, "ciphertext") == 0)
		return form_of(value, &m->ciphertext);
	if (strcmp(name, "point") == 0)
		return flag_of(value, "bare", "octets", &m->bare_point);
	if (strcmp(name, "point-on-private") == 0)
		return flag_of(value, "yes", "no", &m->point_on_private);
	if (strcmp(name, "za") == 0)
		return flag_of(value, "yes", "no", &m->za);
	return strcmp(name, "without") == 0 && hide(m, value);
}

bool manners_read(struct manners *m, const char *text)
{
	while (*text != '\0') {
		char line[128], name[32], value[64];
		size_t n = strcspn(text, "\n");
		if (n >= sizeof line)
			return false;
		memcpy(line, text, n);
		line[n] = '\0';
		text += n + (text[n] == '\n');
		int words = sscanf(line, "%31s %63s", name, value);
		if (words == 1 && !(dialect_find(name) != NULL && manner(m, "dialect", name)))
			return false;
		if (words == 2 && !manner(m, name, value))
			return false;
	}
	return true;
}

static bool shown(const struct manners *m, const struct mech *k)
{
	for (size_t i = 0; i < m->hidden_n; i++)
		if (m->hidden[i] == k->code)
			return false;
	return true;
}

const struct mech *mech_find(const struct manners *m, CK_ULONG code)
{
	for (const struct mech *k = m->dialect->mechs; k->op != OP_NONE; k++)
		if (k->code == code)
			return shown(m, k) ? k : NULL;
	for (size_t i = 0; i < STANDARD; i++)
		if (standard[i].code == code)
			return shown(m, &standard[i]) ? &standard[i] : NULL;
	return NULL;
}

size_t mech_list(const struct manners *m, CK_ULONG *codes, size_t room)
{
	size_t n = 0;
	for (size_t i = 0; i < STANDARD && n < room; i++)
		if (shown(m, &standard[i]))
			codes[n++] = standard[i].code;
	for (const struct mech *k = m->dialect->mechs; k->op != OP_NONE && n < room; k++)
		if (shown(m, k))
			codes[n++] = k->code;
	return n;
}

CK_ULONG key_type_shown(const struct manners *m, CK_ULONG stored)
{
	return stored == KEY_SM2 ? m->dialect->sm2 : stored == KEY_SM4 ? m->dialect->sm4 : stored;
}

CK_ULONG key_type_stored(const struct manners *m, CK_ULONG shown)
{
	return shown == m->dialect->sm2 ? KEY_SM2 : shown == m->dialect->sm4 ? KEY_SM4 : shown;
}
