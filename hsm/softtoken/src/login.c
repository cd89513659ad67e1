#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "module.h"

CK_RV C_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *h)
{
	struct slot *s;
	(void)application, (void)notify; /* nothing is ever told to the application */
	if (h == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((flags & CKF_SERIAL_SESSION) == 0)
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	CK_RV rv = slot_enter(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	if (slot_removed(s))
		rv = CKR_TOKEN_NOT_PRESENT;
	else if (!s->set_up)
		rv = CKR_TOKEN_NOT_RECOGNIZED;
	else if (s->user == CKU_SO && (flags & CKF_RW_SESSION) == 0)
		rv = CKR_SESSION_READ_WRITE_SO_EXISTS;
	else
		rv = session_open(s, flags & (CKF_SERIAL_SESSION | CKF_RW_SESSION), h);
	leave();
	return rv;
}

CK_RV C_CloseSession(CK_SESSION_HANDLE h)
{
	struct session *s;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = session_lock(s);
	if (rv == CKR_OK) {
		session_close(s);
		leave();
	}
	session_leave(s);
	return rv;
}

CK_RV C_CloseAllSessions(CK_SLOT_ID id)
{
	struct slot *s;
	CK_RV rv = slot_enter(__func__, id, &s);
	if (rv != CKR_OK)
		return rv;
	sessions_close(s);
	leave();
	return CKR_OK;
}

static CK_STATE state_of(const struct session *s)
{
	bool rw = (s->flags & CKF_RW_SESSION) != 0;
	if (s->slot->user == CKU_SO)
		return CKS_RW_SO;
	if (s->slot->user == CKU_USER)
		return rw ? CKS_RW_USER : CKS_RO_USER;
	return rw ? CKS_RW_PUBLIC : CKS_RO_PUBLIC;
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE h, CK_SESSION_INFO *info)
{
	struct session *s;
	CK_RV rv = info == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = session_lock(s);
	if (rv == CKR_OK) {
		*info = (CK_SESSION_INFO){.slotID = (CK_SLOT_ID)(s->slot - module.slots), .state = state_of(s), .flags = s->flags};
		leave();
	}
	session_leave(s);
	return rv;
}

static bool read_only_exists(const struct slot *slot)
{
	return sessions_count(slot, false) != sessions_count(slot, true);
}

static CK_RV login_allowed(const struct slot *slot, CK_USER_TYPE user)
{
	if (slot->user == user)
		return CKR_USER_ALREADY_LOGGED_IN;
	if (slot->user != NOBODY)
		return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	return user == CKU_SO && read_only_exists(slot) ? CKR_SESSION_READ_ONLY_EXISTS : CKR_OK;
}

static CK_RV login(struct session *s, CK_USER_TYPE user, const CK_BYTE *pin, CK_ULONG n)
{
	unsigned char key[KEY_SIZE];
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	if ((rv = login_allowed(s->slot, user)) == CKR_OK)
		rv = record_open(s->slot->dir, user, pin, n, key);
	if (rv == CKR_OK) {
		s->slot->user = user;
		memcpy(s->slot->key, key, KEY_SIZE);
		s->slot->scanned = (struct timespec){0};
	}
	OPENSSL_cleanse(key, sizeof key);
	leave();
	return rv;
}

CK_RV C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG n)
{
	struct session *s;
	if (user != CKU_SO && user != CKU_USER)
		return CKR_USER_TYPE_INVALID;
	if (pin == NULL)
		return CKR_ARGUMENTS_BAD;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = login(s, user, pin, n);
	session_leave(s);
	return rv;
}

CK_RV C_Logout(CK_SESSION_HANDLE h)
{
	struct session *s;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = session_lock(s);
	if (rv == CKR_OK) {
		rv = s->slot->user == NOBODY ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
		slot_log_out(s->slot);
		leave();
	}
	session_leave(s);
	return rv;
}

CK_RV C_InitPIN(CK_SESSION_HANDLE h, CK_BYTE *pin, CK_ULONG n)
{
	struct session *s;
	CK_RV rv = pin == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = session_lock(s);
	if (rv == CKR_OK) {
		rv = s->slot->user != CKU_SO ? CKR_USER_NOT_LOGGED_IN : record_set_pin(s->slot->dir, CKU_USER, pin, n, s->slot->key);
		s->slot->record.user_set |= rv == CKR_OK;
		leave();
	}
	session_leave(s);
	return rv;
}

static CK_RV change_pin(struct session *s, const CK_BYTE *old, CK_ULONG old_n, const CK_BYTE *new, CK_ULONG new_n)
{
	unsigned char key[KEY_SIZE];
	if ((s->flags & CKF_RW_SESSION) == 0)
		return CKR_SESSION_READ_ONLY;
	if (!pin_fits(new, new_n))
		return CKR_PIN_LEN_RANGE;
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	CK_USER_TYPE user = s->slot->user == CKU_SO ? CKU_SO : CKU_USER;
	rv = record_open(s->slot->dir, user, old, old_n, key);
	if (rv == CKR_OK)
		rv = record_set_pin(s->slot->dir, user, new, new_n, key);
	OPENSSL_cleanse(key, sizeof key);
	leave();
	return rv;
}

CK_RV C_SetPIN(CK_SESSION_HANDLE h, CK_BYTE *old, CK_ULONG old_n, CK_BYTE *new, CK_ULONG new_n)
{
	struct session *s;
	CK_RV rv = old == NULL || new == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = change_pin(s, old, old_n, new, new_n);
	session_leave(s);
	return rv;
}

CK_RV C_GenerateRandom(CK_SESSION_HANDLE h, CK_BYTE *p, CK_ULONG n)
{
	struct session *s;
	CK_RV rv = p == NULL || n > MAX_DATA ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = RAND_bytes(p, (int)n) == 1 ? CKR_OK : CKR_DEVICE_ERROR;
	session_leave(s);
	return rv;
}

CK_RV C_SeedRandom(CK_SESSION_HANDLE h, CK_BYTE *p, CK_ULONG n)
{
	struct session *s;
	(void)n;
	CK_RV rv = p == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv == CKR_OK)
		session_leave(s);
	return rv == CKR_OK ? CKR_RANDOM_SEED_NOT_SUPPORTED : rv;
}
