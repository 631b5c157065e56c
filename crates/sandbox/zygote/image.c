// Memory images of initialised runtimes: SnapStart's snapshots, taken and restored from within.
//
// All children of one zygote begin with the same memory at the same addresses. One of them writes what its memory has
// become into a file that lives in memory (`save`); any other one reads that file in place of what it has (`load`) and
// goes on where the first one was. Both do it to themselves alone, with the rights that a function has anyway.
//
// `save` is meant to be called in a fork of the process whose image it is: libraries that keep threads end them around
// a fork, and generators of random numbers take a process with another number for a fork and seed themselves anew.
//
// An image fits only children of the zygote that bore its maker. It is checked before anything is given up, so that a
// process which an image does not fit goes on as it was; one that fails after that exits. Between the first change and
// the jump no function of any library is called, nothing global is read, and the stack is one of our own.
//
// Python finds it as the module `_samovar_image` in this library. It names no version of Python: it uses the stable
// interface alone.

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

typedef struct object object;
struct method {
    const char *name;
    object *(*function)(object *, object *);
    int flags;
    const char *doc;
};
struct module {
    struct {
        intptr_t references;
        void *type;
    } head;
    object *(*init)(void);
    intptr_t index;
    object *copy;
    const char *name, *doc;
    intptr_t size;
    struct method *methods;
    void *slots, *traverse, *clear, *free;
};

#define WEAK __attribute__((weak))
extern object *PyModule_Create2(struct module *, int) WEAK;
extern int PyArg_ParseTuple(object *, const char *, ...) WEAK;
extern int PyBytes_AsStringAndSize(object *, char **, intptr_t *) WEAK;
extern object *PyBytes_FromStringAndSize(const char *, intptr_t) WEAK;
extern object *PyUnicode_FromString(const char *) WEAK;
extern object *Py_BuildValue(const char *, ...) WEAK;

// As Python's stable interface numbers them.
#define ARGUMENTS 1
#define INTERFACE 3

// Begins with the time, so that of two zygotes the younger one's is greater.
struct identity {
    uint64_t born;
    uint64_t random;
};

static struct identity identity;

__attribute__((constructor)) static void name_zygote(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0
        || getrandom(&identity.random, sizeof identity.random, 0) != sizeof identity.random) {
        identity.born = 0;
        return;
    }
    identity.born = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static object *zygote(object *self, object *arguments) {
    (void)self, (void)arguments;
    char text[2 * sizeof identity + 1];
    const uint64_t halves[2] = {identity.born, identity.random};
    for (int digit = 0; digit < 32; digit++) {
        text[digit] = "0123456789abcdef"[halves[digit / 16] >> (60 - 4 * (digit % 16)) & 15];
    }
    text[32] = 0;
    return PyUnicode_FromString(text);
}

#if defined(__x86_64__) && defined(__GLIBC__)

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
    uint64_t size, tables, heap_end, number, mask;
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

__asm__(".text\n"
        ".hidden mark\n.type mark,@function\nmark:\n"
        " mov %rbx,0(%rdi)\n mov %rbp,8(%rdi)\n mov %r12,16(%rdi)\n mov %r13,24(%rdi)\n"
        " mov %r14,32(%rdi)\n mov %r15,40(%rdi)\n"
        " lea 8(%rsp),%rdx\n mov %rdx,48(%rdi)\n mov (%rsp),%rdx\n mov %rdx,56(%rdi)\n"
        " stmxcsr 64(%rdi)\n fnstcw 68(%rdi)\n xor %eax,%eax\n ret\n"
        ".hidden resume\n.type resume,@function\nresume:\n"
        " ldmxcsr 64(%rdi)\n fldcw 68(%rdi)\n cld\n"
        " mov 0(%rdi),%rbx\n mov 8(%rdi),%rbp\n mov 16(%rdi),%r12\n mov 24(%rdi),%r13\n"
        " mov 32(%rdi),%r14\n mov 40(%rdi),%r15\n mov 48(%rdi),%rsp\n mov %rsi,%rax\n jmp *56(%rdi)\n"
        ".hidden move_to\n.type move_to,@function\nmove_to:\n"
        " mov %rdi,%rsp\n mov %rdx,%rdi\n xor %ebp,%ebp\n call *%rsi\n hlt\n");

INSIDE int is_same(const char *one, const char *other) {
    while (*one && *one == *other) {
        one++, other++;
    }
    return *one == *other;
}

INSIDE uint64_t number(const char **text, int base) {
    uint64_t value = 0;
    for (;; (*text)++) {
        char c = **text;
        int digit = c >= '0' && c <= '9' ? c - '0' : base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return value;
        }
        value = value * (uint64_t)base + (uint64_t)digit;
    }
}

// One line of /proc/self/maps. Null when it is none.
static const char *read_line(const char *line, struct region *region, const char **name, size_t *length) {
    memset(region, 0, sizeof *region);
    region->start = number(&line, 16);
    if (*line++ != '-') {
        return NULL;
    }
    region->end = number(&line, 16);
    if (*line++ != ' ') {
        return NULL;
    }
    region->protection = (line[0] == 'r' ? PROT_READ : 0) | (line[1] == 'w' ? PROT_WRITE : 0)
        | (line[2] == 'x' ? PROT_EXEC : 0);
    region->shared = line[3] == 's';
    line += 5;
    region->offset = number(&line, 16);
    line++;
    region->device = number(&line, 16) << 32;
    line++;
    region->device |= number(&line, 16);
    line++;
    region->inode = number(&line, 10);
    while (*line == ' ') {
        line++;
    }
    const char *end = line;
    while (*end && *end != '\n') {
        end++;
    }
    *name = line;
    *length = (size_t)(end - line);
    return *end ? end + 1 : end;
}

static enum kind kind_of(const struct region *region, const char *name, size_t length) {
    static const char *const kernels[] = {"[vdso]", "[vvar]", "[vvar_vclock]", "[vsyscall]"};
    if (region->inode != 0) {
        return BACKED;
    }
    for (size_t each = 0; each < sizeof kernels / sizeof *kernels; each++) {
        if (length == strlen(kernels[each]) && memcmp(name, kernels[each], length) == 0) {
            return KERNELS;
        }
    }
    return length == 7 && memcmp(name, "[stack]", 7) == 0 ? STACKED : ANONYMOUS;
}

// What this process has mapped, but for the workshop. An error's text, or null.
static const char *read_maps(struct workshop *shop, struct region *regions, char *names, uint64_t *count, uint64_t *size) {
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps < 0) {
        return "its mappings cannot be read";
    }
    size_t filled = 0;
    ssize_t part;
    while (filled < MAPS - 1 && (part = read(maps, shop->maps + filled, MAPS - 1 - filled)) > 0) {
        filled += (size_t)part;
    }
    close(maps);
    if (filled == 0 || filled == MAPS - 1) {
        return "it has too many mappings";
    }
    shop->maps[filled] = 0;
    *count = 0;
    // The first name is none.
    names[0] = 0;
    *size = 1;
    for (const char *line = shop->maps; *line;) {
        const char *name;
        size_t length;
        struct region *region = &regions[*count];
        line = read_line(line, region, &name, &length);
        if (line == NULL) {
            return "its mappings cannot be read";
        }
        uint64_t here = (uint64_t)shop;
        if (region->start < here + sizeof *shop && region->end > here) {
            // The kernel may have joined it with a neighbour; nothing is next to it where it is looked for.
            continue;
        }
        region->kind = kind_of(region, name, length);
        region->descriptor = -1;
        if (region->kind == BACKED) {
            if (*size + length + 1 > NAMES) {
                return "the names of its files are too long";
            }
            region->name = (uint32_t)*size;
            memcpy(names + *size, name, length);
            names[*size + length] = 0;
            *size += length + 1;
        }
        if (++*count == REGIONS) {
            return "it has too many mappings";
        }
    }
    return NULL;
}

static int is_workshop_free(uint64_t at, const struct region *regions, uint64_t count) {
    for (uint64_t each = 0; each < count; each++) {
        if (regions[each].start < at + 2 * sizeof(struct workshop) && regions[each].end + sizeof(struct workshop) > at) {
            return 0;
        }
    }
    return 1;
}

// Memory of our own, with room around it. Null where there is none.
static struct workshop *open_workshop(uint64_t beginning) {
    for (int tried = 0; tried < WORKSHOP_TRIES; tried++) {
        void *wanted = (void *)(beginning + (uint64_t)tried * WORKSHOP_STEP);
        void *got = mmap(wanted, sizeof(struct workshop), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (got == wanted) {
            return got;
        }
        if (got != MAP_FAILED) {
            munmap(got, sizeof(struct workshop));
        }
    }
    return NULL;
}

static int is_zero(const uint64_t *page) {
    uint64_t any = 0;
    for (unsigned word = 0; word < PAGE / sizeof *page; word += 8) {
        any = page[word] | page[word + 1] | page[word + 2] | page[word + 3] | page[word + 4] | page[word + 5]
            | page[word + 6] | page[word + 7];
        if (any) {
            return 0;
        }
    }
    return 1;
}

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61)

// Notes which of a region's pages have contents of their own.
static const char *find_runs(struct workshop *shop, struct region *region, int pagemap, uint64_t from) {
    struct header *header = &shop->header;
    struct run *run = NULL;
    for (uint64_t at = from; at < region->end;) {
        uint64_t pages = (region->end - at) / PAGE;
        pages = pages < ENTRIES ? pages : ENTRIES;
        ssize_t got = pread(pagemap, shop->entries, pages * 8, (off_t)(at / PAGE * 8));
        if (got <= 0) {
            return "its pages cannot be told apart";
        }
        pages = (uint64_t)got / 8;
        for (uint64_t page = 0; page < pages; page++, at += PAGE) {
            uint64_t entry = shop->entries[page];
            int has = (entry & (PRESENT | SWAPPED)) && !(entry & PRESENT && entry & OF_FILE);
            if (!has) {
                continue;
            }
            if (!(region->protection & PROT_READ)) {
                return "it hides memory from itself";
            }
            if (region->kind == ANONYMOUS && is_zero((const uint64_t *)at)) {
                continue;
            }
            uint64_t room = region->kind == ANONYMOUS ? JOINED * PAGE : 0;
            if (run != NULL && at - (run->start + run->length) <= room) {
                run->length = at + PAGE - run->start;
                continue;
            }
            if (header->runs == RUNS) {
                return "its memory is in too many pieces";
            }
            run = &shop->runs[header->runs++];
            run->start = at;
            run->length = PAGE;
            run->protection = region->protection;
            run->kind = region->kind;
            region->has_runs = 1;
        }
    }
    return NULL;
}

static int write_all(int file, const void *from, uint64_t length, uint64_t at) {
    for (uint64_t done = 0; done < length;) {
        ssize_t part = pwrite(file, (const char *)from + done, length - done, (off_t)(at + done));
        if (part <= 0) {
            return -1;
        }
        done += (uint64_t)part;
    }
    return 0;
}

static int read_all(int file, void *into, uint64_t length, uint64_t at) {
    for (uint64_t done = 0; done < length;) {
        ssize_t part = pread(file, (char *)into + done, length - done, (off_t)(at + done));
        if (part <= 0) {
            return -1;
        }
        done += (uint64_t)part;
    }
    return 0;
}

static void look_at_file(struct region *region, const char *name) {
    struct stat found;
    if (stat(name, &found) == 0 && S_ISREG(found.st_mode)) {
        region->file_inode = found.st_ino;
        region->file_size = (uint64_t)found.st_size;
        region->file_seconds = (uint64_t)found.st_mtim.tv_sec;
        region->file_nanoseconds = (uint64_t)found.st_mtim.tv_nsec;
    }
}

static const char *save_kernel_state(struct header *header) {
    for (int signal = 0; signal < SIGNALS; signal++) {
        if (CALL4(SYS_rt_sigaction, signal + 1, 0, &header->actions[signal], 8) != 0) {
            return "its signal handlers cannot be told";
        }
    }
    int *number = NULL;
    if (CALL4(SYS_rt_sigprocmask, SIG_BLOCK, 0, &header->mask, 8) != 0
        || CALL3(SYS_sigaltstack, 0, &header->alternate, 0) != 0 || prctl(PR_GET_NAME, header->comm) != 0
        || prctl(PR_GET_TID_ADDRESS, &number) != 0) {
        return "the kernel does not tell its state";
    }
    if (number == NULL || *number != (int)CALL3(SYS_gettid, 0, 0, 0)) {
        return "its C library keeps the process's number elsewhere";
    }
    header->number = (uint64_t)number;
    header->heap_end = (uint64_t)CALL3(SYS_brk, 0, 0, 0);
    return NULL;
}

static const char *write_image(struct workshop *shop, int file, uint64_t most) {
    struct header *header = &shop->header;
    const char *error = save_kernel_state(header);
    if (error == NULL) {
        error = read_maps(shop, shop->regions, shop->names, &header->regions, &header->names);
    }
    if (error != NULL) {
        return error;
    }
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (pagemap < 0) {
        return "its pages cannot be told apart";
    }
    uint64_t looked_at = 0;
    for (uint64_t each = 0; each < header->regions && error == NULL; each++) {
        struct region *region = &shop->regions[each];
        if (region->kind == KERNELS) {
            continue;
        }
        looked_at += region->end - region->start;
        if (looked_at > LOOKED_AT) {
            error = "it has reserved too much";
        } else if (region->shared && (region->protection & PROT_WRITE || region->kind != BACKED)) {
            error = "it shares memory";
        } else if (!region->shared) {
            if (region->kind == BACKED) {
                look_at_file(region, shop->names + region->name);
            }
            uint64_t from = region->kind == STACKED ? header->registers.rsp / PAGE * PAGE - PAGE : region->start;
            error = find_runs(shop, region, pagemap, from < region->start ? region->start : from);
        } else {
            look_at_file(region, shop->names + region->name);
        }
    }
    close(pagemap);
    if (error != NULL) {
        return error;
    }
    uint64_t at = (sizeof *header + PAGE - 1) / PAGE * PAGE;
    for (uint64_t each = 0; each < header->runs; each++) {
        struct run *run = &shop->runs[each];
        run->at = at;
        at += run->length;
        if (at > most) {
            return "it is too large";
        }
    }
    header->tables = at;
    uint64_t regions = header->regions * sizeof(struct region), runs = header->runs * sizeof(struct run);
    header->size = at + regions + runs + header->names;
    header->magic = MAGIC;
    header->identity = identity;
    for (uint64_t each = 0; each < header->runs; each++) {
        struct run *run = &shop->runs[each];
        if (write_all(file, (const void *)run->start, run->length, run->at) != 0) {
            return "its memory cannot be written";
        }
    }
    if (write_all(file, shop->regions, regions, at) != 0 || write_all(file, shop->runs, runs, at + regions) != 0
        || write_all(file, shop->names, header->names, at + regions + runs) != 0
        || write_all(file, header, sizeof *header, 0) != 0) {
        return "its memory cannot be written";
    }
    return NULL;
}

// save(file, most): writes an image of at most so many bytes. None when it is written, else why not; and where it is
// restored, the packet that `load` was given there.
static object *save(object *self, object *arguments) {
    (void)self;
    int file;
    unsigned long long most;
    if (!PyArg_ParseTuple(arguments, "iK", &file, &most)) {
        return NULL;
    }
    struct workshop *shop = open_workshop(WORKSHOP);
    if (shop == NULL || identity.born == 0) {
        return PyUnicode_FromString("there is no room to work in");
    }
    struct workshop *restored = mark(&shop->header.registers);
    if (restored != NULL) {
        object *packet = PyBytes_FromStringAndSize(restored->packet, (intptr_t)restored->packet_size);
        munmap(restored, sizeof *restored);
        return packet;
    }
    const char *error = write_image(shop, file, most);
    munmap(shop, sizeof *shop);
    return error == NULL ? Py_BuildValue("") : PyUnicode_FromString(error);
}

// The part of a region that one of our own mappings is already, or 0.
static int is_covered(const struct workshop *shop, const struct region *region, uint32_t *protection) {
    for (uint64_t each = 0; each < shop->own_count; each++) {
        const struct region *own = &shop->own[each];
        if (own->start <= region->start && own->end >= region->end) {
            *protection = own->protection;
            return own->kind == region->kind && own->shared == region->shared
                && (own->kind != BACKED
                    || (own->inode == region->inode && own->device == region->device
                        && own->offset + (region->start - own->start) == region->offset));
        }
    }
    return 0;
}

static int is_aligned(uint64_t number) { return number % PAGE == 0; }

// Whether the tables make sense. Who made them may do to itself what it likes; this finds what was damaged.
static int are_tables_sound(const struct workshop *shop) {
    const struct header *header = &shop->header;
    uint64_t end = 0, region = 0, stacks = 0;
    for (uint64_t each = 0; each < header->regions; each++) {
        const struct region *one = &shop->regions[each];
        int outside = one->kind == KERNELS;
        if (one->start < end || one->end <= one->start || !is_aligned(one->start) || !is_aligned(one->end)
            || (!outside && one->end > USER_END) || one->kind > KERNELS || one->name >= header->names) {
            return 0;
        }
        end = one->end;
        stacks += one->kind == STACKED;
    }
    end = 0;
    for (uint64_t each = 0; each < header->runs; each++) {
        const struct run *run = &shop->runs[each];
        while (region < header->regions && shop->regions[region].end <= run->start) {
            region++;
        }
        if (region == header->regions || run->start < end || run->length == 0 || !is_aligned(run->start)
            || !is_aligned(run->length) || !is_aligned(run->at) || run->start < shop->regions[region].start
            || run->length > shop->regions[region].end - run->start || run->at > header->tables
            || run->length > header->tables - run->at || run->kind != shop->regions[region].kind
            || run->kind == KERNELS) {
            return 0;
        }
        end = run->start + run->length;
    }
    return stacks == 1 && header->names > 0 && shop->names[header->names - 1] == 0;
}

static const char *read_image(struct workshop *shop, int file) {
    struct header *header = &shop->header;
    struct stat found;
    if (fstat(file, &found) != 0 || read_all(file, header, sizeof *header, 0) != 0 || header->magic != MAGIC) {
        return "it is no image";
    }
    if (memcmp(&header->identity, &identity, sizeof identity) != 0 || identity.born == 0) {
        return "it is of another zygote";
    }
    if (header->regions == 0 || header->regions >= REGIONS || header->runs > RUNS || header->names > NAMES) {
        return "it is damaged";
    }
    uint64_t regions = header->regions * sizeof(struct region), runs = header->runs * sizeof(struct run);
    if (header->tables > (uint64_t)found.st_size || header->size != header->tables + regions + runs + header->names
        || header->size > (uint64_t)found.st_size || read_all(file, shop->regions, regions, header->tables) != 0
        || read_all(file, shop->runs, runs, header->tables + regions) != 0
        || read_all(file, shop->names, header->names, header->tables + regions + runs) != 0
        || !are_tables_sound(shop)) {
        return "it is damaged";
    }
    return NULL;
}

// Opens what is to be mapped besides, and sees that all of it is what it was.
static const char *open_files(struct workshop *shop) {
    for (uint64_t each = 0; each < shop->header.regions; each++) {
        struct region *region = &shop->regions[each];
        uint32_t protection;
        region->descriptor = -1;
        if (region->kind == KERNELS) {
            if (!is_covered(shop, region, &protection)) {
                return "the kernel's own memory lies elsewhere";
            }
        } else if (region->kind == BACKED && !is_covered(shop, region, &protection)) {
            const char *name = shop->names + region->name;
            struct stat found;
            region->descriptor = open(name, O_RDONLY | O_CLOEXEC);
            if (region->descriptor < 0 || fstat(region->descriptor, &found) != 0 || region->file_inode == 0
                || found.st_ino != region->file_inode || (uint64_t)found.st_size != region->file_size
                || (uint64_t)found.st_mtim.tv_sec != region->file_seconds
                || (uint64_t)found.st_mtim.tv_nsec != region->file_nanoseconds) {
                return "a file that it needs is another one";
            }
        }
    }
    return NULL;
}

static void close_files(struct workshop *shop) {
    for (uint64_t each = 0; each < shop->header.regions; each++) {
        if (shop->regions[each].descriptor >= 0) {
            close(shop->regions[each].descriptor);
        }
    }
}

INSIDE void check(long result) {
    if (result < 0 && result > -4096) {
        CALL3(SYS_exit_group, BROKEN, 0, 0);
    }
}

// Gives up what the image does not have.
INSIDE void unmap_others(const struct workshop *shop) {
    uint64_t region = 0;
    for (uint64_t each = 0; each < shop->own_count; each++) {
        const struct region *own = &shop->own[each];
        if (own->kind == KERNELS || own->kind == STACKED) {
            continue;
        }
        uint64_t at = own->start;
        while (region < shop->header.regions && shop->regions[region].end <= at) {
            region++;
        }
        for (uint64_t next = region; at < own->end; next++) {
            uint64_t until = own->end, after = own->end;
            if (next < shop->header.regions && shop->regions[next].start < own->end) {
                until = shop->regions[next].start;
                after = shop->regions[next].end;
            }
            if (until > at) {
                check(CALL3(SYS_munmap, at, until - at, 0));
            }
            at = after > at ? after : at;
        }
    }
}

INSIDE void map_region(const struct workshop *shop, const struct region *region) {
    uint64_t length = region->end - region->start;
    int flags = MAP_FIXED | MAP_NORESERVE | (region->shared ? MAP_SHARED : MAP_PRIVATE);
    if (region->kind == ANONYMOUS) {
        check(CALL6(SYS_mmap, region->start, length, region->protection, flags | MAP_ANONYMOUS, -1, 0));
    } else if (region->kind == BACKED && region->descriptor >= 0) {
        check(CALL6(SYS_mmap, region->start, length, region->protection, flags, region->descriptor, region->offset));
        CALL3(SYS_close, region->descriptor, 0, 0);
    } else if (region->kind == BACKED) {
        uint32_t protection = 0;
        for (uint64_t each = 0; each < shop->own_count; each++) {
            if (shop->own[each].start <= region->start && shop->own[each].end >= region->end) {
                protection = shop->own[each].protection;
                break;
            }
        }
        if (protection & PROT_WRITE || region->has_runs) {
            // What this process has changed becomes the file's again.
            check(CALL3(SYS_madvise, region->start, length, MADV_DONTNEED));
        }
        if (protection != region->protection) {
            check(CALL3(SYS_mprotect, region->start, length, region->protection));
        }
    }
}

INSIDE void fill(const struct workshop *shop, const struct run *run) {
    if (run->kind != STACKED) {
        check(CALL6(SYS_mmap, run->start, run->length, run->protection, MAP_PRIVATE | MAP_FIXED, shop->image, run->at));
        return;
    }
    // The stack stays the kernel's, and grows as it is touched.
    *(volatile char *)run->start = 0;
    for (uint64_t done = 0; done < run->length;) {
        long part = CALL4(SYS_pread64, shop->image, run->start + done, run->length - done, run->at + done);
        check(part == 0 ? -EIO : part);
        done += (uint64_t)part;
    }
}

// Becomes what the image is of. Runs in the workshop alone.
static void become(struct workshop *shop) {
    const struct header *header = &shop->header;
    uint64_t none = ~UINT64_C(0);
    check(CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8));
    if ((uint64_t)CALL3(SYS_brk, header->heap_end, 0, 0) != header->heap_end) {
        check(-ENOMEM);
    }
    unmap_others(shop);
    for (uint64_t each = 0; each < header->regions; each++) {
        map_region(shop, &shop->regions[each]);
    }
    for (uint64_t each = 0; each < header->runs; each++) {
        fill(shop, &shop->runs[each]);
    }
    CALL3(SYS_close, shop->image, 0, 0);
    *(int *)header->number = (int)CALL3(SYS_gettid, 0, 0, 0);
    for (int signal = 0; signal < SIGNALS; signal++) {
        // Those that nobody may handle are refused.
        CALL4(SYS_rt_sigaction, signal + 1, &header->actions[signal], 0, 8);
    }
    check(CALL3(SYS_sigaltstack, &header->alternate, 0, 0));
    CALL3(SYS_prctl, PR_SET_NAME, header->comm, 0);
    check(CALL4(SYS_rt_sigprocmask, SIG_SETMASK, &header->mask, 0, 8));
    resume(&header->registers, shop);
}

// load(file, packet): becomes what an image is of, where `save` returns the packet. Returns only why it could not, and
// nothing has changed then.
static object *load(object *self, object *arguments) {
    (void)self;
    int file;
    object *bytes;
    char *packet;
    intptr_t length;
    if (!PyArg_ParseTuple(arguments, "iO", &file, &bytes) || PyBytes_AsStringAndSize(bytes, &packet, &length) != 0) {
        return NULL;
    }
    if (length > PACKET) {
        return PyUnicode_FromString("its packet is too long");
    }
    const char *error = "there is no room to work in";
    struct workshop *shop = NULL;
    for (int tried = 0; tried < WORKSHOP_TRIES && error != NULL; tried++) {
        shop = open_workshop(WORKSHOP + (uint64_t)tried * WORKSHOP_STEP);
        if (shop == NULL) {
            break;
        }
        const char *trouble = read_image(shop, file);
        if (trouble == NULL && !is_workshop_free((uint64_t)shop, shop->regions, shop->header.regions)) {
            munmap(shop, sizeof *shop);
            continue;
        }
        error = trouble;
        break;
    }
    if (error == NULL) {
        error = read_maps(shop, shop->own, shop->own_names, &shop->own_count, &shop->own_names_size);
    }
    if (error == NULL) {
        error = open_files(shop);
        if (error != NULL) {
            close_files(shop);
        }
    }
    if (error != NULL) {
        if (shop != NULL) {
            munmap(shop, sizeof *shop);
        }
        return PyUnicode_FromString(error);
    }
    shop->image = file;
    shop->packet_size = (uint64_t)length;
    memcpy(shop->packet, packet, (size_t)length);
    move_to(shop->stack + STACK, become, shop);
}

#else

static object *save(object *self, object *arguments) {
    (void)self, (void)arguments;
    return PyUnicode_FromString("this kind of processor has no images");
}

static object *load(object *self, object *arguments) { return save(self, arguments); }

#endif

static struct method methods[] = {
    {"zygote", zygote, ARGUMENTS, "The zygote's own name, in hexadecimal digits; a younger one's is greater."},
    {"save", save, ARGUMENTS, "save(file, most): writes an image of this process."},
    {"load", load, ARGUMENTS, "load(file, packet): becomes the process that an image is of."},
    {NULL, NULL, 0, NULL},
};

static struct module module = {
    .head = {1, NULL},
    .name = "_samovar_image",
    .size = -1,
    .methods = methods,
};

__attribute__((visibility("default"))) object *PyInit__samovar_image(void) {
    return PyModule_Create2(&module, INTERFACE);
}
