#include <stdlib.h>
#include <string.h>

#include "module.h"

static bool attr_matches(const struct manners *m, const struct object *o, const CK_ATTRIBUTE *t)
{
	struct buf b = {0};
	bool ok = attr_show(m, o, t->type, &b) == CKR_OK && b.n == t->ulValueLen && (b.n == 0 || (t->pValue != NULL && memcmp(b.p, t->pValue, b.n) == 0));
	buf_free(&b);
	return ok;
}

static bool matches(const struct manners *m, const struct object *o, const CK_ATTRIBUTE *t, CK_ULONG n)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (!attr_matches(m, o, &t[i]))
			return false;
	return true;
}

static CK_RV collect(struct session *s, const CK_ATTRIBUTE *t, CK_ULONG n)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	slot_scan(s->slot);
	s->found = calloc(s->slot->n + 1, sizeof *s->found);
	s->found_n = s->found_at = 0;
	for (size_t i = 0; s->found != NULL && i < s->slot->n; i++) {
		const struct entry *e = &s->slot->entries[i];
		if (e->object != NULL && matches(&s->slot->manners, e->object, t, n))
			s->found[s->found_n++] = e->handle;
	}
	s->finding = s->found != NULL;
	leave();
	return s->finding ? CKR_OK : CKR_HOST_MEMORY;
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n)
{
	struct session *s;
	CK_RV rv = (t == NULL && n > 0) || n > MOST_TEMPLATE ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = s->finding ? CKR_OPERATION_ACTIVE : collect(s, t, n);
	session_leave(s);
	return rv;
}

CK_RV C_FindObjects(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *out, CK_ULONG most, CK_ULONG *n)
{
	struct session *s;
	CK_RV rv = out == NULL || n == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	if (!s->finding)
		rv = CKR_OPERATION_NOT_INITIALIZED;
	for (*n = 0; rv == CKR_OK && *n < most && s->found_at < s->found_n;)
		out[(*n)++] = s->found[s->found_at++];
	session_leave(s);
	return rv;
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE h)
{
	struct session *s;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = s->finding ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
	free(s->found);
	s->found = NULL;
	s->finding = false;
	session_leave(s);
	return rv;
}

static CK_RV read_one(const struct manners *m, const struct object *o, CK_ATTRIBUTE *t)
{
	struct buf b = {0};
	CK_RV rv = attr_show(m, o, t->type, &b);
	CK_ULONG room = t->ulValueLen;
	t->ulValueLen = CK_UNAVAILABLE_INFORMATION;
	if (rv == CKR_OK && t->pValue != NULL && room < b.n)
		rv = CKR_BUFFER_TOO_SMALL;
	if (rv == CKR_OK)
		t->ulValueLen = b.n;
	if (rv == CKR_OK && t->pValue != NULL && b.n > 0)
		memcpy(t->pValue, b.p, b.n);
	buf_free(&b);
	return rv;
}

static CK_RV object_and_manners(struct session *s, CK_OBJECT_HANDLE h, struct object **o, struct manners *m)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	*m = s->slot->manners;
	rv = slot_object(s->slot, h, o);
	leave();
	return rv == CKR_USER_NOT_LOGGED_IN ? CKR_OBJECT_HANDLE_INVALID : rv;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *t, CK_ULONG n)
{
	struct session *s;
	struct object *o = NULL;
	struct manners m;
	CK_RV rv = t == NULL || n > MOST_TEMPLATE ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = object_and_manners(s, handle, &o, &m);
	for (CK_ULONG i = 0; o != NULL && i < n; i++) {
		CK_RV one = read_one(&m, o, &t[i]);
		rv = rv == CKR_OK ? one : rv;
	}
	object_drop(o);
	session_leave(s);
	return rv;
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE handle, CK_ULONG *n)
{
	struct session *s;
	struct object *o = NULL;
	struct manners m;
	CK_RV rv = n == NULL ? CKR_ARGUMENTS_BAD : session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = object_and_manners(s, handle, &o, &m);
	*n = 0;
	for (size_t i = 0; o != NULL && i < o->attrs.n; i++)
		*n += o->attrs.list[i].n;
	object_drop(o);
	session_leave(s);
	return rv;
}

CK_RV key_check_place(const struct session *s, const struct attrs *a)
{
	if (attrs_flag(a, CKA_PRIVATE) && s->slot->user != CKU_USER)
		return CKR_USER_NOT_LOGGED_IN;
	return attrs_flag(a, CKA_TOKEN) && (s->flags & CKF_RW_SESSION) == 0 ? CKR_SESSION_READ_ONLY : CKR_OK;
}

static CK_RV destroy(struct session *s, CK_OBJECT_HANDLE h)
{
	CK_RV rv = session_lock(s);
	if (rv != CKR_OK)
		return rv;
	struct entry *e = slot_entry(s->slot, h);
	if (e == NULL || e->object == NULL)
		rv = CKR_OBJECT_HANDLE_INVALID;
	else if (!attrs_flag(&e->object->attrs, CKA_DESTROYABLE))
		rv = CKR_ACTION_PROHIBITED;
	else
		rv = key_check_place(s, &e->object->attrs);
	if (rv == CKR_OK)
		rv = slot_destroy(s->slot, e);
	leave();
	return rv;
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE handle)
{
	struct session *s;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = destroy(s, handle);
	session_leave(s);
	return rv;
}

/* What may change in an object: its names, and what a key is permitted, but secrecy only upwards. */
static CK_RV may_change(const struct attrs *now, const struct attr *new)
{
	static const CK_ULONG free_ones[] = {CKA_LABEL, CKA_ID, CKA_APPLICATION, CKA_SUBJECT, CKA_START_DATE, CKA_END_DATE, CKA_ENCRYPT, CKA_DECRYPT,
		CKA_WRAP, CKA_UNWRAP, CKA_SIGN, CKA_VERIFY, CKA_DERIVE};
	bool on = new->n == 1 && new->p[0] != CK_FALSE;
	if (attrs_get(now, new->type) == NULL && new->type != CKA_APPLICATION && new->type != CKA_SUBJECT && new->type != CKA_START_DATE && new->type != CKA_END_DATE)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if ((new->type == CKA_SENSITIVE && on) || (new->type == CKA_EXTRACTABLE && !on))
		return CKR_OK;
	for (size_t i = 0; i < sizeof free_ones / sizeof free_ones[0]; i++)
		if (free_ones[i] == new->type)
			return CKR_OK;
	return CKR_ATTRIBUTE_READ_ONLY;
}

static CK_RV change(struct session *s, CK_OBJECT_HANDLE h, const CK_ATTRIBUTE *t, CK_ULONG n)
{
	struct attrs new = {0}, all = {0};
	struct entry *e = slot_entry(s->slot, h);
	if (e == NULL || e->object == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	CK_RV rv = key_check_place(s, &e->object->attrs);
	if (rv == CKR_OK && !attrs_flag(&e->object->attrs, CKA_MODIFIABLE))
		rv = CKR_ACTION_PROHIBITED;
	if (rv == CKR_OK)
		rv = template_read(&s->slot->manners, t, n, &new);
	for (size_t i = 0; rv == CKR_OK && i < new.n; i++)
		rv = may_change(&e->object->attrs, &new.list[i]);
	if (rv == CKR_OK && !(attrs_copy(&all, &e->object->attrs) && attrs_copy(&all, &new)))
		rv = CKR_HOST_MEMORY;
	if (rv == CKR_OK)
		rv = slot_change(s->slot, e, &all);
	attrs_free(&new);
	attrs_free(&all);
	return rv;
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *t, CK_ULONG n)
{
	struct session *s;
	CK_RV rv = session_enter(__func__, h, &s);
	if (rv != CKR_OK)
		return rv;
	rv = session_lock(s);
	if (rv == CKR_OK) {
		rv = change(s, handle, t, n);
		leave();
	}
	session_leave(s);
	return rv;
}
