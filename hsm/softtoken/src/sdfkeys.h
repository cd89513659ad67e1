/* The keys of an SDF device: pairs under an index and its password, key-encryption keys under an index alone. */
#ifndef SOFTTOKEN_SDFKEYS_H
#define SOFTTOKEN_SDFKEYS_H

#include "crypt.h"

#define SDF_MOST_INDEX 4096
enum sdf_use { SDF_SIGN, SDF_ENCRYPT, SDF_KEK };

enum sdf_found { SDF_OPEN, SDF_NONE, SDF_WRONG, SDF_DAMAGED };
bool sdfkey_make_pair(int dir, uint32_t index, enum sdf_use use, const struct buf *password, uint32_t rounds);
bool sdfkey_make_kek(int dir, uint32_t index);
bool sdfkey_exists(int dir, uint32_t index, enum sdf_use use);
enum sdf_found sdfkey_point(int dir, uint32_t index, enum sdf_use use, unsigned char point[POINT]);
/* Opens the pairs of an index; a wrong password is counted on the disk first, and after PIN_TRIES none is tried any more. */
enum sdf_found sdfkey_open(int dir, uint32_t index, const void *password, size_t n, EVP_PKEY **sign, EVP_PKEY **encrypt);
enum sdf_found sdfkey_kek(int dir, uint32_t index, unsigned char key[16]);

#endif
