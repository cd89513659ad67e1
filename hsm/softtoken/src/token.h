/* What the parts of the soft token share: octets, attributes, sealed files, the token's record, dialects, faults. */
#ifndef SOFTTOKEN_TOKEN_H
#define SOFTTOKEN_TOKEN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <openssl/evp.h>

#include "pkcs11.h"

#define PRODUCT "Hufu soft token"
#define PURPOSE "for trying and testing only"
#define MAX_DATA (16UL << 20) /* largest input of one operation, octets */
#define KEY_SIZE 32
#define PIN_TRIES 10
#define PIN_MIN 4
#define PIN_MAX 255
#define SERIAL_SIZE 16

/* Codes under which SM keys are stored; a dialect shows its own. They are the neutral ones. */
#define KEY_SM2 0xFFFFF001UL
#define KEY_SM4 0xFFFFF002UL

/* bytes.c: a growing array that is wiped when freed. */
struct buf {
	unsigned char *p;
	size_t n, room;
};
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_add_number(struct buf *b, uint64_t v, size_t octets); /* big endian */
void buf_free(struct buf *b);

struct reader {
	const unsigned char *p;
	size_t n;
};
const unsigned char *read_octets(struct reader *r, size_t n); /* NULL: too short */
bool read_number(struct reader *r, size_t octets, uint64_t *v);

/* attrs.c: the attributes of an object, in the order in which they were set. */
struct attr {
	CK_ULONG type;
	size_t n;
	unsigned char *p;
};
struct attrs {
	struct attr *list;
	size_t n;
};
bool attrs_set(struct attrs *a, CK_ULONG type, const void *p, size_t n);
bool attrs_set_flag(struct attrs *a, CK_ULONG type, bool v);
bool attrs_set_number(struct attrs *a, CK_ULONG type, CK_ULONG v);
const struct attr *attrs_get(const struct attrs *a, CK_ULONG type);
bool attrs_flag(const struct attrs *a, CK_ULONG type);
CK_ULONG attrs_number(const struct attrs *a, CK_ULONG type); /* CK_UNAVAILABLE_INFORMATION: none */
bool attrs_copy(struct attrs *to, const struct attrs *from);
void attrs_free(struct attrs *a);
bool attrs_encode(const struct attrs *a, struct buf *out);
bool attrs_decode(struct attrs *a, const unsigned char *p, size_t n);

/* file.c: files of a folder; a written file is whole or absent, also after a crash. */
bool file_read(int dir, const char *name, size_t most, struct buf *out);
bool file_write(int dir, const char *name, const void *p, size_t n);
bool file_remove(int dir, const char *name);
int file_lock(int dir, const char *name, bool exclusive, bool wait); /* a descriptor to close, or -1 */
void file_sweep(int dir); /* removes what a killed writer left, unless someone writes now */

/* box.c: AES-256-GCM boxes, keys of PINs, digests. */
#define BOX_EXTRA 28 /* nonce and tag */
bool box_seal(const unsigned char key[KEY_SIZE], const void *aad, size_t aad_n, const void *in, size_t n, struct buf *out);
bool box_open(const unsigned char key[KEY_SIZE], const void *aad, size_t aad_n, const void *in, size_t n, struct buf *out);
bool pin_key(const void *pin, size_t n, const unsigned char salt[16], uint32_t rounds, unsigned char key[KEY_SIZE]);
bool digest(const char *name, const void *p, size_t n, unsigned char out[32]); /* "SM3", "SHA256" */

/* record.c: what a token is: label, serial number, and the key of its objects sealed under each PIN. */
struct lockbox {
	unsigned char salt[16];
	unsigned char sealed[KEY_SIZE + BOX_EXTRA];
};
struct record {
	unsigned char label[32], serial[SERIAL_SIZE];
	uint32_t rounds;
	bool user_set;
	struct lockbox so, user;
};
struct tries {
	uint32_t so, user; /* wrong ones in a row */
};
CK_RV record_read(int dir, struct record *r); /* CKR_TOKEN_NOT_RECOGNIZED: not set up */
CK_RV record_create(int dir, const void *so_pin, size_t n, const unsigned char label[32], uint32_t rounds);
CK_RV record_open(int dir, CK_ULONG user, const void *pin, size_t n, unsigned char key[KEY_SIZE]);
CK_RV record_set_pin(int dir, CK_ULONG user, const void *pin, size_t n, const unsigned char key[KEY_SIZE]);
bool tries_read(int dir, const char *name, struct tries *t);
bool tries_write(int dir, const char *name, struct tries t);
bool pin_fits(const void *pin, size_t n);

/* dialect.c: codes and habits of makers. */
enum op {
	OP_NONE, OP_SM2_PAIR, OP_EC_PAIR, OP_RSA_PAIR, OP_SM4_KEY, OP_AES_KEY, OP_GENERIC_KEY,
	OP_SM2_E, OP_SM2_MESSAGE, OP_SM2_CRYPT, OP_ECDSA, OP_ECDSA_SHA256, OP_RSA_PKCS, OP_RSA_SHA256, OP_RSA_PSS, OP_RSA_PSS_SHA256,
	OP_HMAC_SHA256, OP_HMAC_SM3, OP_SM4_ECB, OP_SM4_CBC, OP_SM4_CBC_PAD, OP_SM4_GCM,
	OP_AES_ECB, OP_AES_CBC, OP_AES_CBC_PAD, OP_AES_GCM, OP_AES_WRAP, OP_AES_KWP, OP_SM3, OP_SHA256, OP_ECDH,
};
enum form { FORM_OF_TOKEN, FORM_RAW, FORM_DER, FORM_OLD /* C1C2C3 */ };
struct mech {
	CK_ULONG code;
	enum op op;
	enum form form;
	bool takes_id; /* the parameter is the signer's identifier, and Z_A is always applied */
};
struct dialect {
	const char *name, *maker;
	CK_ULONG sm2, sm4;
	const struct mech *mechs;
	enum form signature, ciphertext;
	bool ecdsa_der, bare_point, point_on_private, za, fewer_attributes;
	CK_ULONG frame; /* largest input, octets */
};
struct manners { /* a dialect as a token speaks it: its file "dialect" may differ in details */
	const struct dialect *dialect;
	enum form signature, ciphertext;
	bool bare_point, point_on_private, za;
	CK_ULONG hidden[8];
	size_t hidden_n;
};
const struct dialect *dialect_find(const char *name);
void manners_of(struct manners *m, const struct dialect *d);
bool manners_read(struct manners *m, const char *text); /* lines of NAME VALUE; see README.md */
const struct mech *mech_find(const struct manners *m, CK_ULONG code);
size_t mech_list(const struct manners *m, CK_ULONG *codes, size_t room);
CK_ULONG key_type_shown(const struct manners *m, CK_ULONG stored);
CK_ULONG key_type_stored(const struct manners *m, CK_ULONG shown);

/* faults.c: disturbances, read again on each call from a file that the tester writes. */
struct faults {
	bool removed, hang;
	unsigned slow, no_session, logged_out, device_error, function_failed, wrong_signature, wrong_plaintext, moved_handles, restarted, session_limit;
	char at[40];   /* only calls of this name; "" = all */
	char slot[64]; /* only the token in this folder; "" = all */
};
void faults_read(const char *path, struct faults *f);

/* place.c: where the store is and how it is spoken to. */
struct place {
	char store[PATH_MAX], faults[PATH_MAX], dialect[32];
	unsigned sessions;
};
bool place_find(struct place *p);
size_t place_tokens(const char *store, char names[][64], size_t room); /* sub-folders in order */
int place_open(const char *store, const char *name);

#endif
