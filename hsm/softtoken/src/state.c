#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "module.h"

struct module module;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;

enum { DUE_SESSION, DUE_LOGIN, DUE_DEVICE, DUE_FUNCTION };

static void pause_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

bool slot_meant(const struct slot *slot)
{
	return module.faults.slot[0] == '\0' || strcmp(module.faults.slot, slot->name) == 0;
}

bool slot_removed(const struct slot *slot)
{
	return module.faults.removed && slot_meant(slot);
}

bool fault_due(unsigned which, unsigned every)
{
	return every > 0 && ++module.counts[which] % every == 0;
}

static void slot_manners(struct slot *s)
{
	struct buf b = {0};
	const struct dialect *d = dialect_find(module.place.dialect);
	manners_of(&s->manners, d != NULL ? d : dialect_find("neutral"));
	if (file_read(s->dir, "dialect", 1024, &b) && buf_add(&b, "", 1) && !manners_read(&s->manners, (char *)b.p))
		manners_of(&s->manners, dialect_find("neutral"));
	buf_free(&b);
}

static void slot_open(struct slot *s, const char *name)
{
	*s = (struct slot){.user = NOBODY, .dir = place_open(module.place.store, name)};
	strcpy(s->name, name);
	if (s->dir < 0)
		return;
	file_sweep(s->dir);
	s->set_up = record_read(s->dir, &s->record) == CKR_OK;
	slot_manners(s);
}

static CK_RV open_locked(void)
{
	static char names[MOST_SLOTS][64];
	if (module.pid == getpid())
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	memset(&module, 0, sizeof module); /* after a fork the child starts anew; what the parent opened stays the parent's */
	if (!place_find(&module.place))
		return CKR_GENERAL_ERROR;
	faults_read(module.place.faults, &module.faults);
	module.moved = module.faults.moved_handles;
	module.restarted = module.faults.restarted;
	size_t n = place_tokens(module.place.store, names, MOST_SLOTS);
	for (size_t i = 0; i < n; i++) {
		slot_open(&module.slots[module.slots_n], names[i]);
		module.slots_n += module.slots[module.slots_n].dir >= 0;
	}
	module.next_session = module.next_object = 1;
	module.pid = getpid();
	return CKR_OK;
}

CK_RV module_open(void)
{
	pthread_mutex_lock(&lock);
	CK_RV rv = open_locked();
	pthread_mutex_unlock(&lock);
	return rv;
}

static bool someone_works(void)
{
	for (struct session *s = module.sessions; s != NULL; s = s->next)
		if (s->busy)
			return true;
	return false;
}

CK_RV module_close(void)
{
	pthread_mutex_lock(&lock);
	while (module.pid == getpid() && someone_works())
		pthread_cond_wait(&idle, &lock);
	bool open = module.pid == getpid();
	if (open) {
		sessions_close(NULL);
		for (size_t i = 0; i < module.slots_n; i++) {
			slot_forget(&module.slots[i], true);
			close(module.slots[i].dir);
		}
		OPENSSL_cleanse(&module, sizeof module);
	}
	pthread_mutex_unlock(&lock);
	return open ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

/* Waits, whichever token is meant, as slow and hanging devices make one wait. A hang ends with its line in the file, or after ten minutes. */
static void suffer(const char *path, const struct faults *f)
{
	struct faults now = *f;
	if (f->slow > 0)
		pause_ms(f->slow < 600000 ? f->slow : 600000);
	for (int i = 0; now.hang && i < 30000; i++) {
		pause_ms(20);
		faults_read(path, &now);
	}
}

static void disturb(void)
{
	const struct faults *f = &module.faults;
	for (size_t i = 0; i < module.slots_n; i++) {
		struct slot *slot = &module.slots[i];
		if (!slot_meant(slot))
			continue;
		if (f->removed || f->restarted != module.restarted) {
			sessions_close(slot);
			slot_log_out(slot);
		}
		if (f->moved_handles != module.moved)
			slot_move_handles(slot);
	}
	module.restarted = f->restarted;
	module.moved = f->moved_handles;
}

/* A fault limited to one call leaves the others alone; only a removed, restarted or rearranged device concerns all. */
static void limit(struct faults *f, const char *call)
{
	if (f->at[0] == '\0' || strcmp(f->at, call) == 0)
		return;
	struct faults all = *f;
	*f = (struct faults){.removed = f->removed, .moved_handles = f->moved_handles, .restarted = f->restarted,
		.session_limit = f->session_limit, .wrong_signature = f->wrong_signature, .wrong_plaintext = f->wrong_plaintext};
	memcpy(f->slot, all.slot, sizeof f->slot);
}

CK_RV enter(const char *call)
{
	struct faults f;
	char path[PATH_MAX];
	pthread_mutex_lock(&lock);
	bool open = module.pid == getpid();
	if (open)
		strcpy(path, module.place.faults);
	pthread_mutex_unlock(&lock);
	if (!open)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	faults_read(path, &f);
	limit(&f, call);
	suffer(path, &f);
	pthread_mutex_lock(&lock);
	if (module.pid != getpid()) {
		pthread_mutex_unlock(&lock);
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	}
	module.faults = f;
	disturb();
	return CKR_OK;
}

void leave(void)
{
	pthread_mutex_unlock(&lock);
}

CK_RV slot_enter(const char *call, CK_SLOT_ID id, struct slot **s)
{
	CK_RV rv = enter(call);
	if (rv != CKR_OK)
		return rv;
	if (id >= module.slots_n)
		rv = CKR_SLOT_ID_INVALID;
	else if (slot_meant(&module.slots[id]) && fault_due(DUE_DEVICE, module.faults.device_error))
		rv = CKR_DEVICE_ERROR;
	*s = &module.slots[id < MOST_SLOTS ? id : 0];
	if (rv != CKR_OK)
		leave();
	return rv;
}

static struct session *find(CK_SESSION_HANDLE h)
{
	struct session *s = module.sessions;
	while (s != NULL && (s->handle != h || s->slot == NULL))
		s = s->next;
	return s;
}

static CK_RV strike(struct session *s)
{
	const struct faults *f = &module.faults;
	if (!slot_meant(s->slot))
		return CKR_OK;
	if (fault_due(DUE_DEVICE, f->device_error))
		return CKR_DEVICE_ERROR;
	if (fault_due(DUE_FUNCTION, f->function_failed))
		return CKR_FUNCTION_FAILED;
	if (fault_due(DUE_LOGIN, f->logged_out)) {
		slot_log_out(s->slot);
		return CKR_USER_NOT_LOGGED_IN;
	}
	if (fault_due(DUE_SESSION, f->no_session)) {
		session_close(s);
		return CKR_SESSION_HANDLE_INVALID;
	}
	return CKR_OK;
}

CK_RV session_enter(const char *call, CK_SESSION_HANDLE h, struct session **s)
{
	CK_RV rv = enter(call);
	if (rv != CKR_OK)
		return rv;
	while ((*s = find(h)) != NULL && (*s)->busy)
		pthread_cond_wait(&idle, &lock);
	if (*s == NULL)
		rv = module.faults.removed ? CKR_DEVICE_REMOVED : CKR_SESSION_HANDLE_INVALID;
	else
		rv = strike(*s);
	if (rv == CKR_OK)
		(*s)->busy = true;
	leave();
	return rv;
}

CK_RV session_lock(const struct session *s)
{
	pthread_mutex_lock(&lock);
	if (s->slot != NULL)
		return CKR_OK;
	pthread_mutex_unlock(&lock);
	return CKR_SESSION_CLOSED;
}

void session_leave(struct session *s)
{
	pthread_mutex_lock(&lock);
	s->busy = false;
	if (s->slot == NULL) /* it was closed while it worked */
		session_close(s);
	pthread_cond_broadcast(&idle);
	pthread_mutex_unlock(&lock);
}

CK_RV session_open(struct slot *slot, CK_FLAGS flags, CK_SESSION_HANDLE *h)
{
	if (sessions_count(NULL, false) >= module.place.sessions ||
		(module.faults.session_limit > 0 && sessions_count(NULL, false) >= module.faults.session_limit))
		return CKR_SESSION_COUNT;
	struct session *s = calloc(1, sizeof *s);
	if (s == NULL)
		return CKR_HOST_MEMORY;
	s->handle = module.next_session++;
	s->slot = slot;
	s->flags = flags;
	s->next = module.sessions;
	module.sessions = s;
	*h = s->handle;
	return CKR_OK;
}

static void unlink_session(struct session *s)
{
	struct session **at = &module.sessions;
	while (*at != NULL && *at != s)
		at = &(*at)->next;
	if (*at != NULL)
		*at = s->next;
}

/* The last session of a slot takes the login with it. A session that works is ended by its own call. */
void session_close(struct session *s)
{
	struct slot *slot = s->slot;
	if (slot != NULL) {
		slot_end_session(slot, s->handle);
		s->handle = CK_INVALID_HANDLE;
		s->slot = NULL;
		if (sessions_count(slot, false) == 0)
			slot_log_out(slot);
	}
	if (s->busy)
		return;
	unlink_session(s);
	for (int k = 0; k < KINDS; k++)
		op_end(&s->ops[k]);
	free(s->found);
	free(s);
}

void sessions_close(struct slot *slot)
{
	for (struct session *s = module.sessions, *next; s != NULL; s = next) {
		next = s->next;
		if (s->slot != NULL && (slot == NULL || s->slot == slot))
			session_close(s);
	}
}

size_t sessions_count(const struct slot *slot, bool writing)
{
	size_t n = 0;
	for (struct session *s = module.sessions; s != NULL; s = s->next)
		n += s->slot != NULL && (slot == NULL || s->slot == slot) && (!writing || (s->flags & CKF_RW_SESSION) != 0);
	return n;
}

void slot_log_out(struct slot *slot)
{
	slot->user = NOBODY;
	OPENSSL_cleanse(slot->key, sizeof slot->key);
	slot_forget(slot, false);
}
