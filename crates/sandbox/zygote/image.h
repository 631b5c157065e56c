// What `image.c`, `image_save.c` and `image_load.c` share; see the first.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// Of Python's stable interface. What no interpreter has is null.
typedef struct object object;
#define WEAK __attribute__((weak, visibility("default")))
extern object *PyModule_Create2(void *, int) WEAK;
extern int PyArg_ParseTuple(object *, const char *, ...) WEAK;
extern int PyBytes_AsStringAndSize(object *, char **, intptr_t *) WEAK;
extern object *PyBytes_FromStringAndSize(const char *, intptr_t) WEAK;
extern object *PyUnicode_FromString(const char *) WEAK;
extern object *Py_BuildValue(const char *, ...) WEAK;

// Begins with the time, so that of two zygotes the younger one's is greater.
struct identity {
    uint64_t born;
    uint64_t random;
};

extern struct identity identity;

object *save(object *, object *);
object *load(object *, object *);

#if defined(__x86_64__) && defined(__GLIBC__)
#define HAS_IMAGES

#define PAGE 4096u
#define MAGIC 0x31306567616d4973u
#define REGIONS 4096u
#define RUNS 16384u
#define NAMES (256u * 1024)
#define MAPS (512u * 1024)
#define ENTRIES 8192u
#define STACK (256u * 1024)
#define PACKET (128u * 1024)
#define SIGNALS 64
// Zero pages between pages with contents that are rather written than left out: each run is a mapping of its own.
#define JOINED 16u
// Addresses that are looked through for contents, and what an image may hold. What is larger has no image.
#define LOOKED_AT (UINT64_C(64) << 30)
// Where the memory that `load` works in is looked for: far from all that a process of Linux has of itself.
#define WORKSHOP UINT64_C(0x100000000000)
#define WORKSHOP_STEP UINT64_C(0x4000000000)
#define WORKSHOP_TRIES 64
#define USER_END UINT64_C(0x7ffffffff000)
// What a process exits with that broke off half restored.
#define BROKEN 96

enum kind { ANONYMOUS, BACKED, STACKED, KERNELS };

// What is mapped. A file is told by device and number where it was mapped before the fork, else by name and looks.
struct region {
    uint64_t start, end, offset, device, inode;
    uint32_t protection, kind, shared, name;
    uint64_t file_inode, file_size, file_seconds, file_nanoseconds;
    int32_t descriptor, has_runs;
};

// Memory with contents, and where the image has them.
struct run {
    uint64_t start, length, at;
    uint32_t protection, kind;
};

struct registers {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
    uint32_t mxcsr, control;
};

struct action {
    uint64_t handler, flags, restorer, mask;
};

struct header {
    uint64_t magic;
    struct identity identity;
    uint64_t size, heap_end, number, mask;
    uint64_t regions, runs, names;
    struct registers registers;
    struct {
        uint64_t at;
        uint32_t flags, unused;
        uint64_t size;
    } alternate;
    struct action actions[SIGNALS];
    char comm[16];
};

// All that is worked with. It lies outside of what is saved or replaced.
struct workshop {
    struct header header;
    struct region regions[REGIONS];
    struct run runs[RUNS];
    char names[NAMES];
    struct region own[REGIONS];
    char own_names[NAMES];
    char maps[MAPS];
    uint64_t entries[ENTRIES];
    uint64_t own_count, own_names_size;
    int image;
    uint64_t packet_size;
    char packet[PACKET];
    char stack[STACK] __attribute__((aligned(16)));
};

#define INSIDE static inline __attribute__((always_inline))

INSIDE long call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define CALL3(number, a, b, c) call(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(number, a, b, c, d) call(number, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL6(number, a, b, c, d, e, f) \
    call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

// Returns null; and again, with what `resume` is given.
void *mark(struct registers *) __attribute__((returns_twice, visibility("hidden")));
void resume(const struct registers *, void *) __attribute__((noreturn, visibility("hidden")));
void move_to(void *stack, void (*function)(struct workshop *), struct workshop *)
    __attribute__((noreturn, visibility("hidden")));


struct workshop *open_workshop(uint64_t beginning);
const char *read_maps(struct workshop *, struct region *, char *names, uint64_t *count, uint64_t *size);

#endif
