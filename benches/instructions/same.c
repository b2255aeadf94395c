// Preloaded, so that every run executes the same instructions. In place of the C library's functions:
//   * Random numbers, which hash tables and schedulers take, are always the same.
//   * Time stands still from the first `thread::yield_now` on, so that no timer fires.
//   * The allocator has a list of free blocks for each power of two and thread. What the C library's does depends on all that was
//     allocated and freed before, so that it would change with anything.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

long getrandom(void *to, size_t length, unsigned flags) {
  for (size_t at = 0; at < length; at++) ((char *)to)[at] = (char)(17 * at);
  return (long)length;
}

static int stands_still;
int sched_yield(void) { return stands_still = 1, 0; }
int clock_gettime(clockid_t clock, struct timespec *now) {
  if (!stands_still) return (int)syscall(SYS_clock_gettime, clock, now);
  return *now = (struct timespec){.tv_sec = 4000000000}, 0;
}

static char *heap;
static size_t used;
static __thread void *free_blocks[64];

// Before each block stands the power of two that is its size.
static size_t *power(void *block) { return (size_t *)block - 1; }

static void *fresh(size_t alignment, size_t log) {
  static const size_t ROOM = (size_t)1 << 33;
  if (!heap) heap = mmap(0, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  size_t size = ((size_t)1 << log) + 2 * alignment, at = __atomic_fetch_add(&used, size, __ATOMIC_SEQ_CST);
  if (heap == MAP_FAILED || at + size > ROOM) return 0;
  char *block = (char *)(((size_t)heap + at + 2 * alignment - 1) & ~(alignment - 1));
  return *power(block) = log, block;
}

static size_t log_of(size_t size) { return size <= 16 ? 4 : 64 - (size_t)__builtin_clzl(size - 1); }

void *malloc(size_t size) {
  size_t log = log_of(size);
  void **block = free_blocks[log];
  if (!block) return fresh(16, log);
  free_blocks[log] = *block;
  return block;
}

void free(void *block) {
  if (!block) return;
  *(void **)block = free_blocks[*power(block)];
  free_blocks[*power(block)] = block;
}

void *calloc(size_t count, size_t size) {
  void *block = malloc(count * size);
  return block ? memset(block, 0, count * size) : 0;
}

void *realloc(void *block, size_t size) {
  if (!block) return malloc(size);
  size_t had = (size_t)1 << *power(block);
  if (size <= had) return block;
  void *larger = malloc(size);
  if (larger) memcpy(larger, block, had), free(block);
  return larger;
}

int posix_memalign(void **block, size_t alignment, size_t size) {
  *block = fresh(alignment < 16 ? 16 : alignment, log_of(size));
  return *block ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size) {
  void *block;
  return posix_memalign(&block, alignment, size) ? 0 : block;
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
