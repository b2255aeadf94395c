/* Preloaded into a test's redis-server: its wall clock stands at the microseconds since 1970 that the file named by
 * RATEGUARD_TEST_CLOCK holds, and moves when the test writes there. Timers run on the monotonic clock, which is left
 * alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shared;

static int64_t now(void) {
    if (shared == NULL) {
        int file = open(getenv("RATEGUARD_TEST_CLOCK"), O_RDONLY);
        void *at = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shared, PROT_READ, MAP_SHARED, file, 0);
        if (at == MAP_FAILED) _exit(99);
        close(file);
        shared = at;
    }
    return *shared;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    (void)zone;
    int64_t micros = now();
    tv->tv_sec = micros / 1000000;
    tv->tv_usec = micros % 1000000;
    return 0;
}

int clock_gettime(clockid_t id, struct timespec *ts) {
    if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) return (int)syscall(SYS_clock_gettime, id, ts);
    int64_t micros = now();
    ts->tv_sec = micros / 1000000;
    ts->tv_nsec = micros % 1000000 * 1000;
    return 0;
}

time_t time(time_t *out) {
    time_t seconds = now() / 1000000;
    if (out) *out = seconds;
    return seconds;
}

/* Valkey 9 reads the wall clock once a millisecond and adds the processor's ticks in between, if /proc/cpuinfo says that
 * these are steady. Without that file it reads the wall clock each time. */
static FILE *open_unless_cpuinfo(const char *name, const char *path, const char *mode) {
    if (strcmp(path, "/proc/cpuinfo") == 0) {
        errno = ENOENT;
        return NULL;
    }
    FILE *(*real)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, name);
    return real == NULL ? NULL : real(path, mode);
}

FILE *fopen(const char *restrict path, const char *restrict mode) {
    return open_unless_cpuinfo("fopen", path, mode);
}

FILE *fopen64(const char *restrict path, const char *restrict mode) {
    return open_unless_cpuinfo("fopen64", path, mode);
}
