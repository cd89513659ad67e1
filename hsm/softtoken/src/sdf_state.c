#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "sdf.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sdf_device *devices;
static struct sdf_session *sessions;

static void manners_of_device(struct sdf_device *d)
{
	struct buf b = {0};
	const struct dialect *named = dialect_find(d->place.dialect);
	manners_of(&d->manners, named != NULL ? named : dialect_find("neutral"));
	if (file_read(d->dir, "dialect", 1024, &b) && buf_add(&b, "", 1) && !manners_read(&d->manners, (char *)b.p))
		manners_of(&d->manners, dialect_find("neutral"));
	buf_free(&b);
}

static int open_first(struct sdf_device *d)
{
	char names[1][64];
	struct faults f;
	if (!place_find(&d->place) || place_tokens(d->place.store, names, 1) == 0)
		return SDR_OPENDEVICE;
	faults_read(d->place.faults, &f);
	if (f.removed)
		return SDR_COMMFAIL;
	d->restarted = f.restarted;
	d->dir = place_open(d->place.store, names[0]);
	if (d->dir < 0)
		return SDR_OPENDEVICE;
	file_sweep(d->dir);
	manners_of_device(d);
	return SDR_OK;
}

SDF SDF_OpenDevice(void **h)
{
	if (h == NULL)
		return SDR_OUTARGERR;
	struct sdf_device *d = calloc(1, sizeof *d);
	int rc = d != NULL ? open_first(d) : SDR_OPENDEVICE;
	if (rc != SDR_OK) {
		free(d);
		return rc;
	}
	pthread_mutex_lock(&lock);
	d->next = devices;
	devices = d;
	pthread_mutex_unlock(&lock);
	*h = d;
	return SDR_OK;
}

static struct sdf_device *device_of(const void *h)
{
	struct sdf_device *d = devices;
	while (d != NULL && d != h)
		d = d->next;
	return d;
}

struct right *sdf_right(struct sdf_session *s, uint32_t index)
{
	struct right *r = s->rights;
	while (r != NULL && r->index != index)
		r = r->next;
	return r;
}

void sdf_right_end(struct sdf_session *s, uint32_t index)
{
	for (struct right **at = &s->rights, *r; (r = *at) != NULL;) {
		if (index != 0 && r->index != index) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		EVP_PKEY_free(r->sign);
		EVP_PKEY_free(r->encrypt);
		free(r);
	}
}

/* With the lock held. A session that works is freed by who works with it. */
static void session_free(struct sdf_session *s)
{
	s->closed = true;
	if (s->users > 0)
		return;
	struct sdf_session **at = &sessions;
	while (*at != NULL && *at != s)
		at = &(*at)->next;
	if (*at != NULL)
		*at = s->next;
	sdf_right_end(s, 0);
	for (struct session_key *k = s->keys, *next; k != NULL; k = next) {
		next = k->next;
		OPENSSL_cleanse(k, sizeof *k);
		free(k);
	}
	EVP_MD_CTX_free(s->hash);
	pthread_mutex_destroy(&s->work);
	free(s);
}

static void sessions_end(const void *device)
{
	for (struct sdf_session *s = sessions, *next; s != NULL; s = next) {
		next = s->next;
		if (s->device == device && !s->closed)
			session_free(s);
	}
}

static bool in_use(const void *device)
{
	for (struct sdf_session *s = sessions; s != NULL; s = s->next)
		if (s->device == device)
			return true;
	return false;
}

/* Refused while a call works in one of its sessions. */
SDF SDF_CloseDevice(void *h)
{
	pthread_mutex_lock(&lock);
	struct sdf_device *d = device_of(h);
	if (d != NULL)
		sessions_end(d);
	if (d == NULL || in_use(d)) {
		pthread_mutex_unlock(&lock);
		return d == NULL ? SDR_OPENDEVICE : SDR_STEPERR;
	}
	struct sdf_device **at = &devices;
	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	pthread_mutex_unlock(&lock);
	close(d->dir);
	free(d);
	return SDR_OK;
}

static unsigned count(void)
{
	unsigned n = 0;
	for (struct sdf_session *s = sessions; s != NULL; s = s->next)
		n++;
	return n;
}

static int session_new(struct sdf_device *d, void **h)
{
	struct faults f;
	if (d == NULL)
		return SDR_OPENDEVICE;
	faults_read(d->place.faults, &f);
	if (f.removed)
		return SDR_COMMFAIL;
	if (count() >= d->place.sessions || (f.session_limit > 0 && count() >= f.session_limit))
		return SDR_OPENSESSION;
	struct sdf_session *s = calloc(1, sizeof *s);
	if (s == NULL)
		return SDR_OPENSESSION;
	pthread_mutex_init(&s->work, NULL);
	s->device = d;
	s->next = sessions;
	sessions = s;
	*h = s;
	return SDR_OK;
}

SDF SDF_OpenSession(void *device, void **h)
{
	if (h == NULL)
		return SDR_OUTARGERR;
	pthread_mutex_lock(&lock);
	int rc = session_new(device_of(device), h);
	pthread_mutex_unlock(&lock);
	return rc;
}

static struct sdf_session *session_of(const void *h)
{
	struct sdf_session *s = sessions;
	while (s != NULL && (s != h || s->closed))
		s = s->next;
	return s;
}

SDF SDF_CloseSession(void *h)
{
	pthread_mutex_lock(&lock);
	struct sdf_session *s = session_of(h);
	if (s != NULL)
		session_free(s);
	pthread_mutex_unlock(&lock);
	return s != NULL ? SDR_OK : SDR_OPENSESSION;
}

bool sdf_due(struct sdf_device *d, unsigned which, unsigned every)
{
	return every > 0 && __atomic_add_fetch(&d->counts[which], 1, __ATOMIC_RELAXED) % every == 0;
}

static void pause_ms(unsigned ms)
{
	struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static void suffer(const struct sdf_device *d, struct faults now)
{
	if (now.slow > 0)
		pause_ms(now.slow < 600000 ? now.slow : 600000);
	for (int i = 0; now.hang && i < 30000; i++) {
		pause_ms(20);
		faults_read(d->place.faults, &now);
	}
}

/* The faults of this call; a removed or restarted device has lost its sessions. */
static int strike(struct sdf_device *d, struct sdf_session *s, const char *call)
{
	struct faults *f = &s->faults;
	faults_read(d->place.faults, f);
	bool here = f->at[0] == '\0' || strcmp(f->at, call) == 0;
	if (here)
		suffer(d, *f);
	pthread_mutex_lock(&lock);
	bool again = f->restarted != d->restarted;
	d->restarted = f->restarted;
	if (f->removed || again || (here && sdf_due(d, SDF_DUE_SESSION, f->no_session)))
		s->closed = true;
	if (f->removed || again)
		sessions_end(d);
	bool closed = s->closed;
	pthread_mutex_unlock(&lock);
	if (f->removed)
		return SDR_COMMFAIL;
	if (closed)
		return SDR_OPENSESSION;
	if (here && sdf_due(d, SDF_DUE_DEVICE, f->device_error))
		return SDR_HARDFAIL;
	if (here && sdf_due(d, SDF_DUE_FUNCTION, f->function_failed))
		return SDR_UNKNOWERR;
	if (here && sdf_due(d, SDF_DUE_RIGHT, f->logged_out)) {
		sdf_right_end(s, 0);
		return SDR_PARDENY;
	}
	return SDR_OK;
}

int sdf_enter(const char *call, void *h, struct sdf_session **s, struct sdf_device **d)
{
	pthread_mutex_lock(&lock);
	*s = session_of(h);
	if (*s != NULL)
		(*s)->users++;
	pthread_mutex_unlock(&lock);
	if (*s == NULL)
		return SDR_OPENSESSION;
	*d = (*s)->device;
	pthread_mutex_lock(&(*s)->work);
	int rc = strike(*d, *s, call);
	return rc == SDR_OK ? SDR_OK : sdf_leave(*s, rc);
}

int sdf_leave(struct sdf_session *s, int rc)
{
	pthread_mutex_unlock(&s->work);
	pthread_mutex_lock(&lock);
	s->users--;
	if (s->closed)
		session_free(s);
	pthread_mutex_unlock(&lock);
	return rc;
}
