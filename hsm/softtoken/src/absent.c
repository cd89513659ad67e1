#include "pkcs11.h"

/* Functions of the standard that this token does not have. */
#define ABSENT(name, ...) CK_RV name(__VA_ARGS__) { return CKR_FUNCTION_NOT_SUPPORTED; }
#define B CK_BYTE *p, CK_ULONG n
#define O CK_BYTE *out, CK_ULONG *out_n
#pragma GCC diagnostic ignored "-Wunused-parameter"
ABSENT(C_GetOperationState, CK_SESSION_HANDLE h, O)
ABSENT(C_SetOperationState, CK_SESSION_HANDLE h, B, CK_OBJECT_HANDLE e, CK_OBJECT_HANDLE a)
ABSENT(C_CopyObject, CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *new)
ABSENT(C_DigestKey, CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o)
ABSENT(C_SignRecoverInit, CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
ABSENT(C_SignRecover, CK_SESSION_HANDLE h, B, O)
ABSENT(C_VerifyRecoverInit, CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE o)
ABSENT(C_VerifyRecover, CK_SESSION_HANDLE h, B, O)
ABSENT(C_DigestEncryptUpdate, CK_SESSION_HANDLE h, B, O)
ABSENT(C_DecryptDigestUpdate, CK_SESSION_HANDLE h, B, O)
ABSENT(C_SignEncryptUpdate, CK_SESSION_HANDLE h, B, O)
ABSENT(C_DecryptVerifyUpdate, CK_SESSION_HANDLE h, B, O)
ABSENT(C_WaitForSlotEvent, CK_FLAGS f, CK_SLOT_ID *id, void *reserved)

CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE h) { return CKR_FUNCTION_NOT_PARALLEL; }
CK_RV C_CancelFunction(CK_SESSION_HANDLE h) { return CKR_FUNCTION_NOT_PARALLEL; }
