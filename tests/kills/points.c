/* Loaded before libc into the daemon: counts, over all threads, the calls by which it changes what lies on its disk, twice
   each (before and after), and kills the process at the one whose number stands in a file. So the daemon has no hook for it.
   The first number in that file is the point to die at (none while it is 0), the second counts; what was met is listed in
   another file. Calls that get round libc are not seen: see `Kills`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
  _Atomic uint64_t at;
  _Atomic uint64_t count;
} *control;
static int list = -1;
static const char *below;

__attribute__((constructor)) static void load(void) {
  const char *control_path = getenv("KILL_CONTROL"), *list_path = getenv("KILL_LIST");
  below = getenv("KILL_BELOW");
  if (!control_path || !list_path || !below) return;
  int file = (int)syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
  list = (int)syscall(SYS_openat, AT_FDCWD, list_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (list < 0 || page == MAP_FAILED) abort();
  control = page;
}

static void point(const char *side, const char *call, const char *path) {
  if (!control) return;
  uint64_t at = atomic_load(&control->at);
  if (!at || strncmp(path, below, strlen(below))) return;
  uint64_t number = atomic_fetch_add(&control->count, 1) + 1;
  char line[PATH_MAX + 64];
  int length = snprintf(line, sizeof line, "%llu %s %s %s\n", (unsigned long long)number, side, call, path + strlen(below));
  if (length > 0) (void)!syscall(SYS_write, list, line, (size_t)length);
  if (number == at) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
  }
}

/* The path behind an open file; nothing for what has none. */
static const char *behind(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = control && atomic_load(&control->at) ? readlink(link, path, PATH_MAX - 1) : -1;
  path[length < 0 ? 0 : length] = 0;
  return path;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

#define ON_FILE(type, name, parameters, arguments) \
  type name parameters { \
    REAL(name); \
    char path[PATH_MAX]; \
    behind(file, path); \
    point("before", #name, path); \
    type result = real arguments; \
    point("after", #name, path); \
    return result; \
  }

#define ON_PATH(name, parameters, arguments) \
  int name parameters { \
    REAL(name); \
    point("before", #name, path); \
    int result = real arguments; \
    point("after", #name, path); \
    return result; \
  }

ON_FILE(int, fsync, (int file), (file))
ON_FILE(int, fdatasync, (int file), (file))
ON_FILE(int, syncfs, (int file), (file))
ON_FILE(int, sync_file_range, (int file, off64_t from, off64_t length, unsigned flags), (file, from, length, flags))
ON_FILE(int, ftruncate, (int file, off_t length), (file, length))
ON_FILE(int, ftruncate64, (int file, off64_t length), (file, length))
ON_FILE(int, fallocate, (int file, int mode, off_t from, off_t length), (file, mode, from, length))
ON_FILE(int, fallocate64, (int file, int mode, off64_t from, off64_t length), (file, mode, from, length))
ON_FILE(int, posix_fallocate, (int file, off_t from, off_t length), (file, from, length))
ON_FILE(int, posix_fallocate64, (int file, off64_t from, off64_t length), (file, from, length))
ON_FILE(ssize_t, write, (int file, const void *from, size_t length), (file, from, length))
ON_FILE(ssize_t, writev, (int file, const struct iovec *from, int count), (file, from, count))
ON_FILE(ssize_t, pwrite, (int file, const void *from, size_t length, off_t at), (file, from, length, at))
ON_FILE(ssize_t, pwrite64, (int file, const void *from, size_t length, off64_t at), (file, from, length, at))
ON_FILE(ssize_t, pwritev, (int file, const struct iovec *from, int count, off_t at), (file, from, count, at))
ON_FILE(ssize_t, pwritev64, (int file, const struct iovec *from, int count, off64_t at), (file, from, count, at))

ON_PATH(unlink, (const char *path), (path))
ON_PATH(unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
ON_PATH(rmdir, (const char *path), (path))
ON_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
ON_PATH(truncate, (const char *path, off_t length), (path, length))
ON_PATH(truncate64, (const char *path, off64_t length), (path, length))
/* By the name that it gets. */
ON_PATH(rename, (const char *from, const char *path), (from, path))
ON_PATH(renameat, (int of, const char *from, int folder, const char *path), (of, from, folder, path))
ON_PATH(renameat2, (int of, const char *from, int folder, const char *path, unsigned flags), (of, from, folder, path, flags))
ON_PATH(link, (const char *from, const char *path), (from, path))
ON_PATH(linkat, (int of, const char *from, int folder, const char *path, int flags), (of, from, folder, path, flags))

/* Opening is a change where it may make or empty a file. */
#define OPENING(name, parameters, arguments) \
  int name parameters { \
    REAL(name); \
    mode_t mode = 0; \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
      va_list more; \
      va_start(more, flags); \
      mode = va_arg(more, mode_t); \
      va_end(more); \
    } \
    int changes = flags & (O_CREAT | O_TRUNC); \
    if (changes) point("before", #name, path); \
    int result = real arguments; \
    if (changes) point("after", #name, path); \
    return result; \
  }

OPENING(open, (const char *path, int flags, ...), (path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPENING(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
