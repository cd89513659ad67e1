/* Shared by the parts of the console. */
#ifndef SOFTTOKEN_CONSOLE_H
#define SOFTTOKEN_CONSOLE_H

#include "token.h"

struct options {
	const char *store, *label, *so_pin_file, *pin_file, *name, *dialect;
	uint32_t rounds;
};
int fail(const char *what, const char *detail); /* prints, returns 1 */
bool pin_file(const char *path, struct buf *pin);
int token_open(const struct options *o); /* the folder of --name, or the first; -1 */
int console_sdf_key(const struct options *o, const char *range, const char *what);

#endif
