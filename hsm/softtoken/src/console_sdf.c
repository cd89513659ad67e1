#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "sdfkeys.h"

static bool range_of(const char *text, uint32_t *first, uint32_t *last)
{
	char *end;
	unsigned long a = strtoul(text, &end, 10), b = a;
	if (*end == '-')
		b = strtoul(end + 1, &end, 10);
	*first = (uint32_t)a;
	*last = (uint32_t)b;
	return *end == '\0' && a >= 1 && a <= b && b <= SDF_MOST_INDEX;
}

static bool use_of(const char *word, enum sdf_use *use)
{
	*use = strcmp(word, "sign") == 0 ? SDF_SIGN : strcmp(word, "encrypt") == 0 ? SDF_ENCRYPT : SDF_KEK;
	return *use != SDF_KEK || strcmp(word, "kek") == 0;
}

/* Makes the keys of a range of indices; one that is there already is left as it is, and said. */
static int make(int dir, uint32_t first, uint32_t last, enum sdf_use use, const struct buf *password, uint32_t rounds)
{
	for (uint32_t i = first; i <= last; i++) {
		char text[16];
		snprintf(text, sizeof text, "%u", i);
		if (sdfkey_exists(dir, i, use))
			return fail("there is such a key already; it was left as it is", text);
		if (!(use == SDF_KEK ? sdfkey_make_kek(dir, i) : sdfkey_make_pair(dir, i, use, password, rounds)))
			return fail("the key was not made", text);
	}
	return 0;
}

int console_sdf_key(const struct options *o, const char *range, const char *what)
{
	uint32_t first, last;
	enum sdf_use use;
	struct buf password = {0};
	if (!range_of(range, &first, &last))
		return fail("an index is 1 to 4096, a range FIRST-LAST", range);
	if (!use_of(what, &use))
		return fail("a key is for sign, encrypt or kek", what);
	if (use != SDF_KEK && !pin_file(o->pin_file, &password)) {
		buf_free(&password);
		return fail("a file with the index's password is needed, 4 to 255 octets", "--pin-file");
	}
	int dir = token_open(o), rc = 1;
	if (dir < 0)
		fail("there is no token here; set one up by init", o->store);
	else {
		rc = make(dir, first, last, use, &password, o->rounds);
		close(dir);
	}
	buf_free(&password);
	return rc;
}
