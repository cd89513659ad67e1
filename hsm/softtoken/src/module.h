/* The PKCS#11 face: slots, sessions, objects with handles, operations under way. */
#ifndef SOFTTOKEN_MODULE_H
#define SOFTTOKEN_MODULE_H

#include <pthread.h>
#include <sys/types.h>

#include "crypt.h"
#include "token.h"

#define MOST_SLOTS 64
#define MOST_TEMPLATE 64
#define NOBODY CK_UNAVAILABLE_INFORMATION
#define OBJECT_PREFIX "obj-"

/* An object as it was read: never changed, counted, shared by those who work with it. */
struct object {
	unsigned refs;
	struct attrs attrs;
	EVP_PKEY *pair; /* made at first use */
};

/* A handle and what it stands for: a file of the token's folder, or an object of a session. */
struct entry {
	CK_OBJECT_HANDLE handle;
	CK_SESSION_HANDLE owner; /* CK_INVALID_HANDLE: token object */
	char name[24];
	struct timespec changed;
	ino_t inode;
	bool hidden, seen; /* hidden: private, and nobody was logged in when it was read */
	struct object *object;
};

struct slot {
	char name[64];
	int dir;
	bool set_up;
	struct record record;
	struct manners manners;
	CK_ULONG user; /* NOBODY, CKU_USER, CKU_SO */
	unsigned char key[KEY_SIZE];
	struct entry *entries;
	size_t n;
	struct timespec scanned; /* the folder's time of change when it was last read; 0: read again */
};

enum kind { SIGN, VERIFY, ENCRYPT, DECRYPT, DIGEST, KINDS };
struct work {
	const struct mech *mech; /* NULL: none under way */
	struct object *key;
	struct buf iv, aad, id, data;
	size_t tag_n;
	bool parts, der; /* der: an EC signature is DER, not r‖s */
};

struct session {
	struct session *next;
	CK_SESSION_HANDLE handle;
	struct slot *slot;
	CK_FLAGS flags;
	bool busy, finding;
	struct work ops[KINDS];
	CK_OBJECT_HANDLE *found;
	size_t found_n, found_at;
};

struct module {
	pid_t pid; /* 0: not initialised */
	struct place place;
	struct slot slots[MOST_SLOTS];
	size_t slots_n;
	struct session *sessions;
	CK_ULONG next_session, next_object;
	struct faults faults;
	unsigned counts[8];
	unsigned moved, restarted; /* as last seen in the file of faults */
};
extern struct module module;

/* state.c */
CK_RV module_open(void);
CK_RV module_close(void);
CK_RV enter(const char *call); /* CKR_OK: the lock is held until leave */
void leave(void);
CK_RV slot_enter(const char *call, CK_SLOT_ID id, struct slot **s);
CK_RV session_enter(const char *call, CK_SESSION_HANDLE h, struct session **s); /* CKR_OK: the session is ours, the lock is free */
CK_RV session_lock(const struct session *s); /* CKR_OK: the lock is held until leave, and the session has its slot */
void session_leave(struct session *s);
CK_RV session_open(struct slot *slot, CK_FLAGS flags, CK_SESSION_HANDLE *h); /* lock held */
void session_close(struct session *s);                                       /* lock held, not busy */
void sessions_close(struct slot *slot);                                      /* lock held; NULL: of all slots */
size_t sessions_count(const struct slot *slot, bool writing);
void slot_log_out(struct slot *slot);
bool slot_meant(const struct slot *slot);   /* do the faults concern it? */
bool slot_removed(const struct slot *slot);
bool fault_due(unsigned which, unsigned every);
enum { DUE_SIGNATURE = 4, DUE_PLAINTEXT };

/* objects.c; with the lock held but for object_new, object_pair */
struct object *object_new(struct attrs *a); /* takes the attributes */
void object_drop(struct object *o);
EVP_PKEY *object_pair(struct object *o);
void slot_scan(struct slot *slot);
void slot_forget(struct slot *slot, bool all); /* private objects, or all of the token */
CK_RV slot_object(struct slot *slot, CK_OBJECT_HANDLE h, struct object **o); /* counted: to be dropped */
struct entry *slot_entry(struct slot *slot, CK_OBJECT_HANDLE h);
CK_RV slot_add(struct session *s, struct attrs *a, CK_OBJECT_HANDLE *h);     /* takes the attributes */
CK_RV slot_change(struct slot *slot, struct entry *e, struct attrs *a);
CK_RV slot_destroy(struct slot *slot, struct entry *e);
void slot_end_session(struct slot *slot, CK_SESSION_HANDLE owner);
void slot_move_handles(struct slot *slot);

/* template.c */
CK_RV template_read(const struct manners *m, const CK_ATTRIBUTE *t, CK_ULONG n, struct attrs *a);
CK_RV template_finish(struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type, bool local);
CK_RV template_match(const struct attrs *a, CK_OBJECT_CLASS class, CK_KEY_TYPE type);
CK_RV attr_show(const struct manners *m, const struct object *o, CK_ULONG type, struct buf *out);
bool attrs_are_sm2(const struct attrs *a);
bool attrs_set_curve(struct attrs *a, bool sm2);
CK_RV attrs_curve(const struct attrs *a, bool *sm2); /* CKR_CURVE_NOT_SUPPORTED */

/* key.c */
CK_RV key_check_place(const struct session *s, const struct attrs *a); /* may this session make such an object? */

/* work.c */
CK_FLAGS op_flags(enum op op);
CK_RV op_params(struct work *w, const CK_MECHANISM *m);
void op_end(struct work *w);
bool op_signs_der(const struct mech *mech, const struct manners *m);
bool op_cipher(const struct work *w, struct cipher *c);
CK_RV give(const struct buf *b, CK_BYTE *out, CK_ULONG *out_n);
CK_RV key_permits(const struct object *o, const struct mech *m, CK_ULONG use);

#endif
