/* Records what a program does to the files under a folder: loaded before the C library (LD_PRELOAD), Linux only.
 *
 * RECORDER_FOLDER   the folder, as the program names it
 * RECORDER_MARKS    a file; what is written to it is recorded as a mark
 * RECORDER_TRACE    where the record goes
 * RECORDER_FAIL     optional: the sync with this number, from 0, fails with EIO and does nothing
 *
 * A record of the trace, integers little-endian: operation (1 byte), handle (4), number (8), length (4), that many bytes.
 *
 *   operation   handle         number                 bytes
 *   O open      new handle     1 created, 2 cut off,  path
 *                              4 each write durable
 *   W write     handle         offset                 data
 *   T truncate  handle         size                   -
 *   S sync      handle         1 done, 0 failed       -
 *   R rename    0              length of the first    both paths
 *   U unlink    0              -                      path
 *   D mkdir     0              -                      path
 *   M mark      0              -                      data
 *
 * One lock is held around each call and its record, so that the order of the trace is the order on the disk. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define MARKS UINT32_MAX

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t handles[FILES]; /* of a descriptor; 0 for one that is not recorded */
static uint32_t next_handle = 1;
static int trace = -1;
static long syncs;

static void put(const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    long written = syscall(SYS_write, trace, at, length);
    if (written <= 0) abort();
    at += written;
    length -= (size_t)written;
  }
}

static void record(char operation, uint32_t handle, uint64_t number, const void *bytes, uint32_t length) {
  if (trace < 0) {
    trace = (int)syscall(SYS_openat, AT_FDCWD, getenv("RECORDER_TRACE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) abort();
  }
  char head[17];
  head[0] = operation;
  memcpy(head + 1, &handle, 4);
  memcpy(head + 5, &number, 8);
  memcpy(head + 13, &length, 4);
  put(head, sizeof head);
  put(bytes, length);
}

static int is_inside(const char *path) {
  const char *folder = getenv("RECORDER_FOLDER");
  size_t length = folder ? strlen(folder) : 0;
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int is_marks(const char *path) {
  const char *marks = getenv("RECORDER_MARKS");
  return marks && strcmp(path, marks) == 0;
}

static uint32_t handle_of(int fd) { return fd >= 0 && fd < FILES ? handles[fd] : 0; }

static int open_recorded(int at, const char *path, int flags, mode_t mode) {
  pthread_mutex_lock(&lock);
  int existed = syscall(SYS_faccessat, at, path, F_OK) == 0;
  int fd = (int)syscall(SYS_openat, at, path, flags, mode);
  int error = errno;
  if (fd >= 0 && fd < FILES) {
    handles[fd] = is_marks(path) ? MARKS : is_inside(path) ? next_handle++ : 0;
    if (handles[fd] != 0 && handles[fd] != MARKS) {
      uint64_t number = (existed ? 0 : 1) | (existed && (flags & O_TRUNC) ? 2 : 0) | (flags & O_DSYNC ? 4 : 0);
      record('O', handles[fd], number, path, (uint32_t)strlen(path));
    }
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define OPEN(name, parameters, at)                                                                                     \
  int name parameters {                                                                                                \
    va_list rest;                                                                                                      \
    va_start(rest, flags);                                                                                             \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                            \
    va_end(rest);                                                                                                      \
    return open_recorded(at, path, flags, mode);                                                                       \
  }
OPEN(open, (const char *path, int flags, ...), AT_FDCWD)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD)
OPEN(openat, (int at, const char *path, int flags, ...), at)
OPEN(openat64, (int at, const char *path, int flags, ...), at)

int close(int fd) {
  pthread_mutex_lock(&lock);
  if (fd >= 0 && fd < FILES) handles[fd] = 0;
  int result = (int)syscall(SYS_close, fd);
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

/* `offset` is negative where the file's own is meant, which the call has moved already. */
static void record_write(int fd, off_t offset, const struct iovec *parts, int count, ssize_t written) {
  uint32_t handle = handle_of(fd);
  if (handle == 0 || written <= 0) return;
  uint64_t at = (uint64_t)(offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR) - written);
  size_t left = (size_t)written;
  for (int i = 0; i < count && left > 0; i++) {
    size_t length = parts[i].iov_len < left ? parts[i].iov_len : left;
    record(handle == MARKS ? 'M' : 'W', handle == MARKS ? 0 : handle, at, parts[i].iov_base, (uint32_t)length);
    at += length;
    left -= length;
  }
}

#define WRITE(name, parameters, call, offset, parts, count)                                                            \
  ssize_t name parameters {                                                                                            \
    pthread_mutex_lock(&lock);                                                                                         \
    ssize_t written = call;                                                                                            \
    int error = errno;                                                                                                 \
    record_write(fd, offset, parts, count, written);                                                                   \
    pthread_mutex_unlock(&lock);                                                                                       \
    errno = error;                                                                                                     \
    return written;                                                                                                    \
  }
#define ONE (&(struct iovec){(void *)bytes, length})
WRITE(write, (int fd, const void *bytes, size_t length), syscall(SYS_write, fd, bytes, length), -1, ONE, 1)
WRITE(pwrite, (int fd, const void *bytes, size_t length, off_t at), syscall(SYS_pwrite64, fd, bytes, length, at), at, ONE, 1)
WRITE(pwrite64, (int fd, const void *bytes, size_t length, off64_t at), syscall(SYS_pwrite64, fd, bytes, length, at), at, ONE, 1)
WRITE(writev, (int fd, const struct iovec *parts, int count), syscall(SYS_writev, fd, parts, count), -1, parts, count)
WRITE(pwritev, (int fd, const struct iovec *parts, int count, off_t at), syscall(SYS_pwritev, fd, parts, count, at, 0), at, parts, count)
WRITE(pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), syscall(SYS_pwritev, fd, parts, count, at, 0), at, parts, count)

static int sync_recorded(int fd, long number) {
  pthread_mutex_lock(&lock);
  uint32_t handle = handle_of(fd);
  const char *fail = getenv("RECORDER_FAIL");
  int result, error = EIO;
  if (handle != 0 && handle != MARKS && fail && atol(fail) == syncs++) {
    result = -1;
  } else {
    result = (int)syscall(number, fd);
    error = errno;
  }
  if (handle != 0 && handle != MARKS) record('S', handle, result == 0, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int fsync(int fd) { return sync_recorded(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_recorded(fd, SYS_fdatasync); }

static int truncate_recorded(int fd, off_t size) {
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_ftruncate, fd, size);
  int error = errno;
  uint32_t handle = handle_of(fd);
  if (result == 0 && handle != 0 && handle != MARKS) record('T', handle, (uint64_t)size, "", 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int ftruncate(int fd, off_t size) { return truncate_recorded(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_recorded(fd, size); }

int rename(const char *from, const char *to) {
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  int error = errno;
  if (result == 0 && is_inside(to)) {
    size_t first = strlen(from), second = strlen(to);
    char *both = malloc(first + second);
    if (!both) abort();
    memcpy(both, from, first);
    memcpy(both + first, to, second);
    record('R', 0, first, both, (uint32_t)(first + second));
    free(both);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

static int name_recorded(char operation, const char *path, int result, int error) {
  if (result == 0 && is_inside(path)) record(operation, 0, 0, path, (uint32_t)strlen(path));
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int unlink(const char *path) {
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  return name_recorded('U', path, result, errno);
}

int mkdir(const char *path, mode_t mode) {
  pthread_mutex_lock(&lock);
  int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
  return name_recorded('D', path, result, errno);
}
