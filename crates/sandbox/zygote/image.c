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

#include "image.h"

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

// As Python's stable interface numbers them.
#define ARGUMENTS 1
#define INTERFACE 3

struct identity identity;

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

#ifdef HAS_IMAGES

__asm__(".text\n"
        ".globl mark\n.hidden mark\n.type mark,@function\nmark:\n"
        " mov %rbx,0(%rdi)\n mov %rbp,8(%rdi)\n mov %r12,16(%rdi)\n mov %r13,24(%rdi)\n"
        " mov %r14,32(%rdi)\n mov %r15,40(%rdi)\n"
        " lea 8(%rsp),%rdx\n mov %rdx,48(%rdi)\n mov (%rsp),%rdx\n mov %rdx,56(%rdi)\n"
        " stmxcsr 64(%rdi)\n fnstcw 68(%rdi)\n xor %eax,%eax\n ret\n"
        ".globl resume\n.hidden resume\n.type resume,@function\nresume:\n"
        " ldmxcsr 64(%rdi)\n fldcw 68(%rdi)\n cld\n"
        " mov 0(%rdi),%rbx\n mov 8(%rdi),%rbp\n mov 16(%rdi),%r12\n mov 24(%rdi),%r13\n"
        " mov 32(%rdi),%r14\n mov 40(%rdi),%r15\n mov 48(%rdi),%rsp\n mov %rsi,%rax\n jmp *56(%rdi)\n"
        ".globl move_to\n.hidden move_to\n.type move_to,@function\nmove_to:\n"
        " mov %rdi,%rsp\n mov %rdx,%rdi\n xor %ebp,%ebp\n call *%rsi\n hlt\n");

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
const char *read_maps(struct workshop *shop, struct region *regions, char *names, uint64_t *count, uint64_t *size) {
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

// Memory of our own, with room around it. Null where there is none.
struct workshop *open_workshop(uint64_t beginning) {
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

#else

object *save(object *self, object *arguments) {
    (void)self, (void)arguments;
    return PyUnicode_FromString("this kind of processor has no images");
}

object *load(object *self, object *arguments) { return save(self, arguments); }

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
