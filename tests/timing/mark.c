/* Loaded before libc into a program that runs under Valgrind: what it reads from its standard input is secret, which
   memcheck knows as undefined; what it writes is no secret any more. So the program needs no unsafe code. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

ssize_t read(int file, void *into, size_t length) {
  static ssize_t (*real)(int, void *, size_t);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "read");
  ssize_t got = real(file, into, length);
  if (file == STDIN_FILENO && got > 0) (void)VALGRIND_MAKE_MEM_UNDEFINED(into, got);
  return got;
}

ssize_t write(int file, const void *from, size_t length) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "write");
  (void)VALGRIND_MAKE_MEM_DEFINED(from, length);
  return real(file, from, length);
}
