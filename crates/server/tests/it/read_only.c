/* Preloaded into the gateway: while the file named by READ_ONLY_WHILE exists, whatever would change a file
 * whose name holds ".db" fails with EROFS, as on a file system that the kernel has made read-only because of
 * an error. The handles that are open stay open, which no change of permissions could take from them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_read_only(void) {
    const char *flag = getenv("READ_ONLY_WHILE");
    return flag != NULL && access(flag, F_OK) == 0;
}

static int refuses(int fd) {
    char link[64], path[4096];
    if (!is_read_only()) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, ".db") != NULL;
}

#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define GUARD(fd) do { if (refuses(fd)) { errno = EROFS; return -1; } } while (0)

ssize_t write(int fd, const void *bytes, size_t n) { REAL(write); GUARD(fd); return real(fd, bytes, n); }
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { REAL(pwrite); GUARD(fd); return real(fd, bytes, n, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { REAL(pwrite64); GUARD(fd); return real(fd, bytes, n, at); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); GUARD(fd); return real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); GUARD(fd); return real(fd, n); }

static int refuses_open(const char *path, int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT)) && strstr(path, ".db") != NULL && is_read_only();
}

#define OPEN(name)                                                       \
    int name(const char *path, int flags, ...) {                         \
        REAL(name);                                                      \
        va_list more;                                                    \
        va_start(more, flags);                                           \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                    \
        if (refuses_open(path, flags)) { errno = EROFS; return -1; }     \
        return real(path, flags, mode);                                  \
    }
OPEN(open)
OPEN(open64)
