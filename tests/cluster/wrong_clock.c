/* A wrong date for Python alone: what its interpreter is told of CLOCK_REALTIME is off by as many seconds as a file says.

   To be preloaded (`wrong_clock.py`). Only calls from the interpreter itself are answered so: C++ libraries wait until points in real time,
   and would never wake up. The file, named by VOXMILL_WRONG_CLOCK, is read again after half a second. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettime)(clockid_t, struct timespec *);
static time_t (*real_time)(time_t *);
static void *program;
static int is_python;

__attribute__((constructor)) static void begin(void) {
  char path[4096];
  Dl_info found;
  real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  const char *name = strrchr(path, '/');
  is_python = name && !strncmp(name + 1, "python", 6);
  if (dladdr((void *)getauxval(AT_ENTRY), &found)) program = found.dli_fbase;
}

static long seconds_off(void) {
  static long off, looked;
  struct timespec now;
  real_gettime(CLOCK_MONOTONIC, &now);
  long half = now.tv_sec * 2 + now.tv_nsec / 500000000;
  if (half != looked) {
    char text[32] = "";
    const char *file = getenv("VOXMILL_WRONG_CLOCK");
    int source = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (source >= 0) {
      if (read(source, text, sizeof text - 1) > 0) off = atol(text);
      close(source);
    }
    looked = half;
  }
  return off;
}

static int asks_for_python(void *caller) {
  Dl_info found;
  if (!is_python || !dladdr(caller, &found)) return 0;
  return found.dli_fbase == program || strstr(found.dli_fname, "libpython");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!real_gettime) real_gettime = dlsym(RTLD_NEXT, "clock_gettime"); /* called before `begin` */
  int failed = real_gettime(clock, now);
  if (!failed && clock == CLOCK_REALTIME && asks_for_python(__builtin_return_address(0))) now->tv_sec += seconds_off();
  return failed;
}

time_t time(time_t *kept) {
  if (!real_time) real_time = dlsym(RTLD_NEXT, "time");
  time_t now = real_time(NULL);
  if (asks_for_python(__builtin_return_address(0))) now += seconds_off();
  if (kept) *kept = now;
  return now;
}
