/* Makes calls on the files under a folder fail, and the clock go wrong: loaded before the C library (LD_PRELOAD), Linux only.
 *
 * INJECTOR_FOLDER   the folder, as the system names it
 * INJECTOR_FAULT    optional: KINDS FIRST COUNT ERRNO. Calls of these kinds are counted from 0 on; so many fail from that one on
 * INJECTOR_TOLD     a file to which the kind of each call that failed is appended
 * INJECTOR_CLOCK    optional: a file with the milliseconds that the wall clock is wrong by, read each time
 *
 *   kind   calls
 *   w      write, truncate
 *   s      sync
 *   r      read
 *   o      open
 *   n      rename, mkdir, unlink
 *   h      as w, but the first call that fails writes half of its bytes and says so */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls;

static int is_inside(const char *path) {
  const char *folder = getenv("INJECTOR_FOLDER");
  size_t length = folder ? strlen(folder) : 0;
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int is_file_inside(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long length = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return is_inside(path);
}

/* The error that this call is to fail with, or 0. `*half` says that it is to do half of what it should. */
static int fault(char kind, int *half) {
  const char *said = getenv("INJECTOR_FAULT");
  char kinds[16];
  long first, count;
  int error;
  if (!said || sscanf(said, "%15s %ld %ld %d", kinds, &first, &count, &error) != 4) return 0;
  int halves = kind == 'w' && strchr(kinds, 'h') != NULL;
  if (!strchr(kinds, kind) && !halves) return 0;
  pthread_mutex_lock(&lock);
  long call = calls++;
  int fails = call >= first && call - first < count;
  if (half) *half = halves && call == first;
  if (fails) {
    const char *told = getenv("INJECTOR_TOLD");
    int fd = told ? (int)syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
      syscall(SYS_write, fd, &kind, 1);
      syscall(SYS_close, fd);
    }
  }
  pthread_mutex_unlock(&lock);
  return fails ? error : 0;
}

static int path_fault(char kind, const char *path) { return is_inside(path) ? fault(kind, NULL) : 0; }

#define FAIL(error) return errno = (error), -1

#define OPEN(name, parameters, at)                                                                                     \
  int name parameters {                                                                                                \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                            \
    va_end(rest);                                                                                                      \
    int error = path_fault('o', path);                                                                                 \
    if (error) FAIL(error);                                                                                            \
    return (int)syscall(SYS_openat, at, path, flags, mode);                                                            \
  }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

#define WRITE(name, parameters, whole, halved)                                                                         \
  ssize_t name parameters {                                                                                            \
    int half = 0, error = is_file_inside(fd) ? fault('w', &half) : 0;                                                  \
    if (error && half) return halved;                                                                                  \
    if (error) FAIL(error);                                                                                            \
    return whole;                                                                                                      \
  }
WRITE(write, (int fd, const void *bytes, size_t length), syscall(SYS_write, fd, bytes, length),
      syscall(SYS_write, fd, bytes, length / 2))
WRITE(pwrite, (int fd, const void *bytes, size_t length, off_t at), syscall(SYS_pwrite64, fd, bytes, length, at),
      syscall(SYS_pwrite64, fd, bytes, length / 2, at))
WRITE(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), syscall(SYS_pwrite64, fd, bytes, length, at),
      syscall(SYS_pwrite64, fd, bytes, length / 2, at))
WRITE(writev, (int fd, const struct iovec *parts, int count), syscall(SYS_writev, fd, parts, count),
      syscall(SYS_write, fd, parts->iov_base, parts->iov_len / 2))
WRITE(pwritev, (int fd, const struct iovec *parts, int count, off_t at), syscall(SYS_pwritev, fd, parts, count, at, 0),
      syscall(SYS_pwrite64, fd, parts->iov_base, parts->iov_len / 2, at))
WRITE(pwritev64, (int fd, const struct iovec *parts, int count, off64_t at),
      syscall(SYS_pwritev, fd, parts, count, at, 0), syscall(SYS_pwrite64, fd, parts->iov_base, parts->iov_len / 2, at))

#define CALL(kind, result, name, parameters, call)                                                                     \
  result name parameters {                                                                                             \
    int error = is_file_inside(fd) ? fault(kind, NULL) : 0;                                                            \
    if (error) FAIL(error);                                                                                            \
    return (result)(call);                                                                                             \
  }
CALL('w', int, ftruncate, (int fd, off_t size), syscall(SYS_ftruncate, fd, size))
CALL('w', int, ftruncate64, (int fd, off64_t size), syscall(SYS_ftruncate, fd, size))
CALL('s', int, fsync, (int fd), syscall(SYS_fsync, fd))
CALL('s', int, fdatasync, (int fd), syscall(SYS_fdatasync, fd))
CALL('r', ssize_t, read, (int fd, void *bytes, size_t length), syscall(SYS_read, fd, bytes, length))
CALL('r', ssize_t, pread, (int fd, void *bytes, size_t length, off_t at), syscall(SYS_pread64, fd, bytes, length, at))
CALL('r', ssize_t, pread64, (int fd, void *bytes, size_t length, off64_t at), syscall(SYS_pread64, fd, bytes, length, at))

int rename(const char *from, const char *to) {
  int error = path_fault('n', to);
  if (error) FAIL(error);
  return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int unlink(const char *path) {
  int error = path_fault('n', path);
  if (error) FAIL(error);
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode) {
  int error = path_fault('n', path);
  if (error) FAIL(error);
  return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  const char *wrong = getenv("INJECTOR_CLOCK");
  if (result != 0 || clock != CLOCK_REALTIME || !wrong) return result;
  char text[32] = "";
  int fd = (int)syscall(SYS_openat, AT_FDCWD, wrong, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return result;
  long length = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  if (length > 0) {
    long long by = atoll(text);
    time->tv_sec += by / 1000;
    time->tv_nsec += by % 1000 * 1000000;
    if (time->tv_nsec < 0) time->tv_sec--, time->tv_nsec += 1000000000;
    if (time->tv_nsec >= 1000000000) time->tv_sec++, time->tv_nsec -= 1000000000;
  }
  return result;
}
