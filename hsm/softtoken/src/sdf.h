/* The SDF interface of GM/T 0018, as much as the soft token has of it. Names, layouts and codes are the standard's. */
#ifndef SOFTTOKEN_SDF_H
#define SOFTTOKEN_SDF_H

#include <pthread.h>
#include <stdint.h>

#include "sdfkeys.h"

#define ECC_MAX 64 /* octets of a number, which stands at their end */

typedef struct {
	uint32_t bits;
	unsigned char x[ECC_MAX], y[ECC_MAX];
} ECCrefPublicKey;
typedef struct {
	uint32_t bits;
	unsigned char K[ECC_MAX];
} ECCrefPrivateKey;
typedef struct {
	unsigned char r[ECC_MAX], s[ECC_MAX];
} ECCSignature;
typedef struct {
	unsigned char x[ECC_MAX], y[ECC_MAX], M[32];
	uint32_t L;
	unsigned char C[1]; /* L of them; the caller has room for as many as it gave */
} ECCCipher;
typedef struct {
	unsigned char IssuerName[40], DeviceName[16], DeviceSerial[16];
	uint32_t DeviceVersion, StandardVersion, AsymAlgAbility[2], SymAlgAbility, HashAlgAbility, BufferSize;
} DEVICEINFO;

enum {
	SDR_OK = 0, SDR_UNKNOWERR = 0x01000001, SDR_NOTSUPPORT = 0x01000002, SDR_COMMFAIL = 0x01000003, SDR_HARDFAIL = 0x01000004,
	SDR_OPENDEVICE = 0x01000005, SDR_OPENSESSION = 0x01000006, SDR_PARDENY = 0x01000007, SDR_KEYNOTEXIST = 0x01000008,
	SDR_ALGNOTSUPPORT = 0x01000009, SDR_SIGNERR = 0x0100000D, SDR_VERIFYERR = 0x0100000E, SDR_SYMOPERR = 0x0100000F,
	SDR_STEPERR = 0x01000010, SDR_ENCDATAERR = 0x01000016, SDR_RANDERR = 0x01000017, SDR_PRKRERR = 0x01000018,
	SDR_NOBUFFER = 0x0100001C, SDR_INARGERR = 0x0100001D, SDR_OUTARGERR = 0x0100001E,
};

#define SGD_SM2 0x00020100u
#define SGD_SM2_SIGN 0x00020200u
#define SGD_SM2_ENCRYPT 0x00020800u
#define SGD_SM3 1u
#define SGD_ECB 1u
#define SGD_CBC 2u
#define SGD_MAC 0x10u
#define MOST_MESSAGE (1u << 20)

/* The right to an index's private keys, for as long as the session has it. */
struct right {
	struct right *next;
	uint32_t index;
	EVP_PKEY *sign, *encrypt;
};

struct session_key {
	struct session_key *next;
	unsigned char key[16];
};

struct sdf_session {
	struct sdf_session *next;
	void *device;
	unsigned users;
	bool closed;
	pthread_mutex_t work;
	struct right *rights;
	struct session_key *keys;
	EVP_MD_CTX *hash;
	struct faults faults; /* as read for the call under way */
};

struct sdf_device {
	struct sdf_device *next;
	int dir;
	struct place place;
	struct manners manners;
	unsigned restarted, counts[8];
};

/* sdf_state.c */
int sdf_enter(const char *call, void *h, struct sdf_session **s, struct sdf_device **d); /* SDR_OK: ours until sdf_leave */
int sdf_leave(struct sdf_session *s, int rc);
bool sdf_due(struct sdf_device *d, unsigned which, unsigned every);
struct right *sdf_right(struct sdf_session *s, uint32_t index);
void sdf_right_end(struct sdf_session *s, uint32_t index); /* 0: of all */
enum { SDF_DUE_DEVICE, SDF_DUE_FUNCTION, SDF_DUE_SESSION, SDF_DUE_RIGHT, SDF_DUE_SIGNATURE, SDF_DUE_PLAINTEXT };

/* sdf_ecc.c */
int sdf_not_open(enum sdf_found f);
bool sdf_point_in(const ECCrefPublicKey *p, unsigned char point[POINT]);
void sdf_point_out(const unsigned char point[POINT], ECCrefPublicKey *p);
int sdf_encrypt_to(const unsigned char point[POINT], const unsigned char *in, uint32_t n, ECCCipher *out);
int sdf_decrypt_with(EVP_PKEY *k, const ECCCipher *c, struct buf *out);

#define SDF __attribute__((visibility("default"))) int

#endif
