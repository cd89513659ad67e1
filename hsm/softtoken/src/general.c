#include <stdio.h>
#include <string.h>

#include "module.h"

static void pad(unsigned char *to, size_t n, const char *text)
{
	size_t k = strlen(text) < n ? strlen(text) : n;
	memset(to, ' ', n);
	memcpy(to, text, k);
}

CK_RV C_Initialize(void *args)
{
	const CK_C_INITIALIZE_ARGS *a = args;
	if (a != NULL && (a->pReserved != NULL || ((a->CreateMutex == NULL) != (a->LockMutex == NULL))))
		return CKR_ARGUMENTS_BAD;
	if (a != NULL && a->CreateMutex != NULL && (a->flags & 2) == 0)
		return CKR_CANT_LOCK; /* only the system's locks */
	return module_open();
}

CK_RV C_Finalize(void *reserved)
{
	return reserved != NULL ? CKR_ARGUMENTS_BAD : module_close();
}

static const char *maker(void)
{
	const struct dialect *d = dialect_find(module.place.dialect);
	if (d == NULL && module.slots_n > 0)
		d = module.slots[0].manners.dialect;
	return d != NULL ? d->maker : PRODUCT;
}

CK_RV C_GetInfo(CK_INFO *info)
{
	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter(__func__);
	if (rv != CKR_OK)
		return rv;
	*info = (CK_INFO){.cryptokiVersion = {2, 40}, .libraryVersion = {1, 0}};
	pad(info->manufacturerID, sizeof info->manufacturerID, maker());
	pad(info->libraryDescription, sizeof info->libraryDescription, PURPOSE);
	leave();
	return CKR_OK;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	static CK_FUNCTION_LIST all = {.version = {2, 40},
#define X(name, args) .name = name,
		P11_FUNCTIONS(X)
#undef X
	};
	if (list == NULL)
		return CKR_ARGUMENTS_BAD;
	*list = &all;
	return CKR_OK;
}

CK_RV C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *n)
{
	if (n == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = enter(__func__);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG count = 0;
	for (size_t i = 0; i < module.slots_n; i++) {
		if (present && slot_removed(&module.slots[i]))
			continue;
		if (slots != NULL && count < *n)
			slots[count] = i;
		count++;
	}
	if (slots != NULL && *n < count)
		rv = CKR_BUFFER_TOO_SMALL;
	*n = count;
	leave();
	return rv;
}

CK_RV C_GetSlotInfo(CK_SLOT_ID id, CK_SLOT_INFO *info)
{
	struct slot *s;
	CK_RV rv = info == NULL ? CKR_ARGUMENTS_BAD : slot_enter(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	*info = (CK_SLOT_INFO){.flags = CKF_REMOVABLE_DEVICE | (slot_removed(s) ? 0 : CKF_TOKEN_PRESENT), .firmwareVersion = {1, 0}};
	char text[128];
	snprintf(text, sizeof text, "%s: %.*s", PURPOSE, (int)sizeof s->name, s->name);
	pad(info->slotDescription, sizeof info->slotDescription, text);
	pad(info->manufacturerID, sizeof info->manufacturerID, s->manners.dialect->maker);
	leave();
	return CKR_OK;
}

static CK_FLAGS pin_flags(const struct slot *s)
{
	struct tries t;
	CK_FLAGS f = s->record.user_set ? CKF_USER_PIN_INITIALIZED : 0;
	if (!s->set_up || !tries_read(s->dir, "tries", &t))
		return f;
	f |= t.user > 0 ? CKF_USER_PIN_COUNT_LOW : 0;
	f |= t.user == PIN_TRIES - 1 ? CKF_USER_PIN_FINAL_TRY : 0;
	f |= t.user >= PIN_TRIES ? CKF_USER_PIN_LOCKED : 0;
	return f | (t.so >= PIN_TRIES ? CKF_SO_PIN_LOCKED : 0);
}

static CK_RV present(const char *call, CK_SLOT_ID id, struct slot **s)
{
	CK_RV rv = slot_enter(call, id, s);
	if (rv == CKR_OK && slot_removed(*s)) {
		leave();
		rv = CKR_TOKEN_NOT_PRESENT;
	}
	return rv;
}

CK_RV C_GetTokenInfo(CK_SLOT_ID id, CK_TOKEN_INFO *info)
{
	struct slot *s;
	CK_RV rv = info == NULL ? CKR_ARGUMENTS_BAD : present(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	if (record_read(s->dir, &s->record) == CKR_OK)
		s->set_up = true;
	*info = (CK_TOKEN_INFO){.ulMaxSessionCount = module.place.sessions, .ulMaxRwSessionCount = module.place.sessions,
		.ulMaxPinLen = PIN_MAX, .ulMinPinLen = PIN_MIN, .firmwareVersion = {1, 0}};
	info->ulTotalPublicMemory = info->ulFreePublicMemory = info->ulTotalPrivateMemory = info->ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION;
	info->ulSessionCount = sessions_count(s, false);
	info->ulRwSessionCount = sessions_count(s, true);
	info->flags = CKF_RNG | CKF_LOGIN_REQUIRED | (s->set_up ? CKF_TOKEN_INITIALIZED : 0) | pin_flags(s);
	pad(info->label, sizeof info->label, "");
	pad(info->serialNumber, sizeof info->serialNumber, "");
	if (s->set_up) {
		memcpy(info->label, s->record.label, sizeof info->label);
		memcpy(info->serialNumber, s->record.serial, sizeof info->serialNumber);
	}
	pad(info->manufacturerID, sizeof info->manufacturerID, s->manners.dialect->maker);
	pad(info->model, sizeof info->model, "softtoken");
	pad(info->utcTime, sizeof info->utcTime, "");
	leave();
	return CKR_OK;
}

CK_RV C_GetMechanismList(CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG *n)
{
	struct slot *s;
	CK_ULONG codes[128];
	CK_RV rv = n == NULL ? CKR_ARGUMENTS_BAD : present(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	size_t count = mech_list(&s->manners, codes, 128);
	if (list != NULL && *n < count)
		rv = CKR_BUFFER_TOO_SMALL;
	else if (list != NULL)
		memcpy(list, codes, count * sizeof codes[0]);
	*n = count;
	leave();
	return rv;
}

static void key_sizes(enum op op, CK_MECHANISM_INFO *info)
{
	switch (op) {
	case OP_RSA_PAIR: case OP_RSA_PKCS: case OP_RSA_SHA256: case OP_RSA_PSS: case OP_RSA_PSS_SHA256:
		info->ulMinKeySize = 2048, info->ulMaxKeySize = 4096;
		break;
	case OP_SM2_PAIR: case OP_SM2_E: case OP_SM2_MESSAGE: case OP_SM2_CRYPT: case OP_EC_PAIR: case OP_ECDSA: case OP_ECDSA_SHA256: case OP_ECDH:
		info->ulMinKeySize = info->ulMaxKeySize = 256;
		break;
	case OP_SM3: case OP_SHA256:
		break;
	case OP_GENERIC_KEY: case OP_HMAC_SHA256: case OP_HMAC_SM3:
		info->ulMinKeySize = 16, info->ulMaxKeySize = 64;
		break;
	default:
		info->ulMinKeySize = 16, info->ulMaxKeySize = 32;
	}
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	struct slot *s;
	CK_RV rv = info == NULL ? CKR_ARGUMENTS_BAD : present(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	const struct mech *m = mech_find(&s->manners, type);
	if (m != NULL) {
		*info = (CK_MECHANISM_INFO){.flags = op_flags(m->op)};
		key_sizes(m->op, info);
	}
	leave();
	return m != NULL ? CKR_OK : CKR_MECHANISM_INVALID;
}

/* Sets a folder up as a token. One that is a token already stays as it is: its keys are not for erasing by this call. */
CK_RV C_InitToken(CK_SLOT_ID id, CK_BYTE *pin, CK_ULONG pin_n, CK_BYTE *label)
{
	struct slot *s;
	CK_RV rv = pin == NULL || label == NULL ? CKR_ARGUMENTS_BAD : present(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	if (sessions_count(s, false) > 0)
		rv = CKR_SESSION_EXISTS;
	else if (record_read(s->dir, &s->record) != CKR_TOKEN_NOT_RECOGNIZED)
		rv = CKR_ACTION_PROHIBITED;
	else
		rv = record_create(s->dir, pin, pin_n, label, 10000);
	if (rv == CKR_OK)
		s->set_up = record_read(s->dir, &s->record) == CKR_OK;
	leave();
	return rv;
}
