#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "console.h"

/* The console: what one does at a device's own keyboard. PINs are read from files, never from arguments. */

static const char usage[] =
	"usage: softtoken-console STORE init --label L --so-pin-file F --pin-file F [--name FOLDER] [--dialect D] [--rounds N]\n"
	"       softtoken-console STORE list\n"
	"       softtoken-console STORE sdf-key INDEX[-INDEX] sign|encrypt|kek [--pin-file F] [--name FOLDER] [--rounds N]\n"
	"       softtoken-console STORE fault [NAME [VALUE]]     a line of STORE/faults; none = no faults any more\n"
	PRODUCT ", " PURPOSE ".\n";

int fail(const char *what, const char *detail)
{
	fprintf(stderr, "softtoken-console: %s%s%s\n", what, detail[0] != '\0' ? ": " : "", detail);
	return 1;
}

bool pin_file(const char *path, struct buf *pin)
{
	if (path == NULL || !file_read(AT_FDCWD, path, PIN_MAX + 2, pin))
		return false;
	while (pin->n > 0 && (pin->p[pin->n - 1] == '\n' || pin->p[pin->n - 1] == '\r'))
		pin->n--;
	return pin_fits(pin->p, pin->n);
}

static bool safe_name(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strlen(name) < 64 && strchr(name, '/') == NULL;
}

int token_open(const struct options *o)
{
	char names[2][64];
	if (o->name != NULL)
		return safe_name(o->name) ? place_open(o->store, o->name) : -1;
	return place_tokens(o->store, names, 2) >= 1 ? place_open(o->store, names[0]) : -1;
}

static CK_RV set_up(int dir, const struct options *o, const struct buf *so, const struct buf *user)
{
	unsigned char label[32], key[KEY_SIZE];
	struct record r;
	if (record_read(dir, &r) != CKR_TOKEN_NOT_RECOGNIZED)
		return CKR_ACTION_PROHIBITED;
	if (o->dialect != NULL && !file_write(dir, "dialect", o->dialect, strlen(o->dialect)))
		return CKR_DEVICE_ERROR;
	memset(label, ' ', sizeof label);
	memcpy(label, o->label, strlen(o->label));
	CK_RV rv = record_create(dir, so->p, so->n, label, o->rounds);
	if (rv == CKR_OK)
		rv = record_open(dir, CKU_SO, so->p, so->n, key);
	if (rv == CKR_OK)
		rv = record_set_pin(dir, CKU_USER, user->p, user->n, key);
	OPENSSL_cleanse(key, sizeof key);
	return rv;
}

static int init(struct options *o)
{
	struct buf so = {0}, user = {0};
	struct manners m;
	manners_of(&m, dialect_find("neutral"));
	if (o->label == NULL || strlen(o->label) > 32)
		return fail("a label of 1 to 32 octets is needed", "--label");
	if (o->dialect != NULL && !manners_read(&m, o->dialect))
		return fail("unknown dialect", o->dialect);
	if (o->name == NULL)
		o->name = o->label;
	if (!safe_name(o->name))
		return fail("not a folder's name", o->name);
	bool pins = pin_file(o->so_pin_file, &so) && pin_file(o->pin_file, &user);
	int top = -1, dir = -1, rc = 1;
	if (!pins)
		fail("PIN files are needed, of 4 to 255 octets each", "--so-pin-file, --pin-file");
	else if ((mkdir(o->store, 0700) != 0 && errno != EEXIST) || (top = open(o->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
		(mkdirat(top, o->name, 0700) != 0 && errno != EEXIST) || fsync(top) != 0 || (dir = place_open(o->store, o->name)) < 0)
		fail("cannot make the folder", strerror(errno));
	else {
		CK_RV rv = set_up(dir, o, &so, &user);
		rc = rv == CKR_OK ? 0 : fail(rv == CKR_ACTION_PROHIBITED ? "this is a token already; it was left as it is" : "the token was not set up", o->name);
	}
	if (top >= 0)
		close(top);
	if (dir >= 0)
		close(dir);
	buf_free(&so);
	buf_free(&user);
	return rc;
}

static int list(const struct options *o)
{
	char names[64][64];
	size_t n = place_tokens(o->store, names, 64);
	for (size_t i = 0; i < n; i++) {
		struct record r;
		struct tries t = {0};
		int dir = place_open(o->store, names[i]);
		if (dir < 0)
			continue;
		CK_RV rv = record_read(dir, &r);
		if (rv == CKR_OK && tries_read(dir, "tries", &t))
			printf("%s: label %.32s serial %.16s wrong PINs %u, of the security officer %u\n", names[i], r.label, r.serial, t.user, t.so);
		else
			printf("%s: %s\n", names[i], rv == CKR_TOKEN_NOT_RECOGNIZED ? "not set up" : "damaged");
		close(dir);
	}
	return 0;
}

/* Writes the whole file anew, so that a reader sees the old faults or the new ones. */
static int fault(const struct options *o, char **words, int n)
{
	char line[128] = "";
	struct buf b = {0};
	int top = open(o->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = top >= 0 && n <= 2 && (n == 0 || snprintf(line, sizeof line, "%s %s\n", words[0], n > 1 ? words[1] : "1") < (int)sizeof line);
	if (ok && n > 0)
		(void)(file_read(top, "faults", 4096, &b));
	ok = ok && buf_add(&b, line, strlen(line)) && file_write(top, "faults", b.p, b.n);
	if (top >= 0)
		close(top);
	buf_free(&b);
	return ok ? 0 : fail("the fault was not written", o->store);
}

static bool option(struct options *o, const char *name, const char *value)
{
	const struct {
		const char *name, **to;
	} texts[] = {{"--label", &o->label}, {"--so-pin-file", &o->so_pin_file}, {"--pin-file", &o->pin_file}, {"--name", &o->name}, {"--dialect", &o->dialect}};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strcmp(name, texts[i].name) == 0) {
			*texts[i].to = value;
			return true;
		}
	char *end;
	unsigned long rounds = strtoul(value, &end, 10);
	o->rounds = (uint32_t)rounds;
	return strcmp(name, "--rounds") == 0 && *end == '\0' && rounds >= 1000 && rounds <= 10000000;
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = 10000};
	char *words[8];
	int n = 0;
	for (int i = 1; i < argc; i++) {
		bool is_option = strncmp(argv[i], "--", 2) == 0;
		if (is_option ? i + 1 >= argc || !option(&o, argv[i], argv[i + 1]) : n == 8) {
			fputs(usage, stderr);
			return 2;
		}
		if (is_option)
			i++;
		else
			words[n++] = argv[i];
	}
	o.store = n > 0 ? words[0] : NULL;
	if (n == 2 && strcmp(words[1], "init") == 0)
		return init(&o);
	if (n == 2 && strcmp(words[1], "list") == 0)
		return list(&o);
	if (n >= 2 && strcmp(words[1], "fault") == 0)
		return fault(&o, words + 2, n - 2);
	if (n == 4 && strcmp(words[1], "sdf-key") == 0)
		return console_sdf_key(&o, words[2], words[3]);
	fputs(usage, stderr);
	return 2;
}
