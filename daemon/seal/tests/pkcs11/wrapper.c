/* A PKCS#11 module that passes everything on to SoftHSM, counts logins, and does on demand what SoftHSM never does:
 * lock a PIN, or not answer. No header is needed: a function list is a version and pointers, whose order the standard
 * fixes. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long ulong_t;
enum { GET_TOKEN_INFO = 6, LOGIN = 18, DECRYPT = 34, FUNCTIONS = 68 };
static const ulong_t PIN_LOCKED = 0xA4, USER_PIN_LOCKED = 0x40000;
static struct list {
  unsigned char version[2];
  void *functions[FUNCTIONS];
} ours, *theirs;

static int demanded(const char *what, int add_a_line) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", getenv("COFFER_HSM_FOLDER"), what);
  if (!add_a_line)
    return access(path, F_OK) == 0;
  FILE *file = fopen(path, "a");
  return fputs("once\n", file) + fclose(file);
}

static ulong_t token_info(ulong_t slot, unsigned char *info) {
  ulong_t result = ((ulong_t(*)(ulong_t, unsigned char *))theirs->functions[GET_TOKEN_INFO])(slot, info);
  if (demanded("shown-locked", 0))
    *(ulong_t *)(info + 96) |= USER_PIN_LOCKED;
  return result;
}

static ulong_t login(ulong_t session, ulong_t user, unsigned char *pin, ulong_t length) {
  demanded("logins", 1);
  if (demanded("locked", 0))
    return PIN_LOCKED;
  return ((ulong_t(*)(ulong_t, ulong_t, unsigned char *, ulong_t))theirs->functions[LOGIN])(session, user, pin, length);
}

static ulong_t decrypt(ulong_t session, void *in, ulong_t length, void *out, ulong_t *out_length) {
  while (demanded("hanging", 0))
    usleep(1000);
  return ((ulong_t(*)(ulong_t, void *, ulong_t, void *, ulong_t *))theirs->functions[DECRYPT])(session, in, length, out,
                                                                                              out_length);
}

ulong_t C_GetFunctionList(struct list **list) {
  void *module = dlopen(getenv("COFFER_SOFTHSM"), RTLD_NOW | RTLD_LOCAL);
  ulong_t (*get)(struct list **) = (ulong_t(*)(struct list **))dlsym(module, "C_GetFunctionList");
  ulong_t result = get(&theirs);
  memcpy(&ours, theirs, sizeof ours);
  ours.functions[GET_TOKEN_INFO] = (void *)token_info;
  ours.functions[LOGIN] = (void *)login;
  ours.functions[DECRYPT] = (void *)decrypt;
  *list = &ours;
  return result;
}
