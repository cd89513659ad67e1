/* A library with the fewest functions, no algorithm in SDF_InternalDecrypt_ECC, small integers as handles, and lengths of
   64 bits, as some headers have it. "Decryption" turns every octet of C2 over. */
#include <stdint.h>
#include <string.h>

int SDF_OpenDevice(void **h)
{
	*h = (void *)(uintptr_t)1;
	return 0;
}

int SDF_OpenSession(void *device, void **h)
{
	*h = (void *)(uintptr_t)2;
	return device == (void *)(uintptr_t)1 ? 0 : 0x01000005;
}

int SDF_InternalDecrypt_ECC(void *session, unsigned index, const unsigned char *cipher, unsigned char *out, unsigned long *n)
{
	uint32_t length;
	memcpy(&length, cipher + 64 + 64 + 32, 4);
	if (session != (void *)(uintptr_t)2 || index != 7 || *n < length)
		return 0x0100001D;
	for (uint32_t i = 0; i < length; i++)
		out[i] = (unsigned char)~cipher[64 + 64 + 32 + 4 + i];
	*n = length;
	return 0;
}
