#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "token.h"

#define DRAFT ".draft-"
#define WRITERS ".writers"

static bool read_all(int fd, size_t most, struct buf *out)
{
	unsigned char piece[4096];
	bool ok = false;
	for (;;) {
		ssize_t got = read(fd, piece, sizeof piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			ok = got == 0;
			break;
		}
		if ((size_t)got > most - out->n || !buf_add(out, piece, (size_t)got))
			break;
	}
	OPENSSL_cleanse(piece, sizeof piece);
	return ok;
}

bool file_read(int dir, const char *name, size_t most, struct buf *out)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	bool ok = read_all(fd, most, out);
	close(fd);
	if (!ok)
		buf_free(out);
	return ok;
}

static bool write_all(int fd, const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		p += put;
		n -= (size_t)put;
	}
	return true;
}

static bool write_draft(int dir, const char *draft, const void *p, size_t n)
{
	int fd = openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	bool ok = write_all(fd, p, n) && fsync(fd) == 0;
	return close(fd) == 0 && ok;
}

bool file_write(int dir, const char *name, const void *p, size_t n)
{
	unsigned char r[8];
	char draft[sizeof DRAFT + 16];
	if (RAND_bytes(r, sizeof r) != 1)
		return false;
	strcpy(draft, DRAFT);
	for (size_t i = 0; i < sizeof r; i++)
		snprintf(draft + strlen(DRAFT) + 2 * i, 3, "%02x", r[i]);
	int writers = file_lock(dir, WRITERS, false, true);
	if (writers < 0)
		return false;
	bool ok = write_draft(dir, draft, p, n) && renameat(dir, draft, dir, name) == 0 && fsync(dir) == 0;
	if (!ok)
		unlinkat(dir, draft, 0);
	close(writers);
	return ok;
}

bool file_remove(int dir, const char *name)
{
	return unlinkat(dir, name, 0) == 0 && fsync(dir) == 0;
}

int file_lock(int dir, const char *name, bool exclusive, bool wait)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	int how = (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB), rc;
	do {
		rc = flock(fd, how);
	} while (rc != 0 && errno == EINTR);
	if (rc != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

void file_sweep(int dir)
{
	int writers = file_lock(dir, WRITERS, true, false);
	if (writers < 0)
		return;
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again >= 0 ? fdopendir(again) : NULL;
	if (d == NULL && again >= 0)
		close(again);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		if (strncmp(e->d_name, DRAFT, strlen(DRAFT)) == 0)
			unlinkat(dir, e->d_name, 0);
	if (d != NULL)
		closedir(d);
	close(writers);
}
