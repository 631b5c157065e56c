// Writing an image of this process; see `image.c`.

#include "image.h"

#ifdef HAS_IMAGES

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

static int write_all(int file, const void *from, uint64_t length) {
    for (uint64_t done = 0; done < length;) {
        ssize_t part = write(file, (const char *)from + done, length - done);
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
    uint64_t regions = header->regions * sizeof(struct region), runs = header->runs * sizeof(struct run);
    uint64_t tables = sizeof *header + regions + runs + header->names;
    uint64_t at = (tables + PAGE - 1) / PAGE * PAGE, rest = at - tables;
    for (uint64_t each = 0; each < header->runs; each++) {
        shop->runs[each].at = at;
        at += shop->runs[each].length;
    }
    if (at > most) {
        return "it is too large";
    }
    header->size = at;
    header->magic = MAGIC;
    header->identity = identity;
    memset(shop->entries, 0, PAGE);
    int failed = write_all(file, header, sizeof *header) || write_all(file, shop->regions, regions)
        || write_all(file, shop->runs, runs) || write_all(file, shop->names, header->names)
        || write_all(file, shop->entries, rest);
    for (uint64_t each = 0; each < header->runs && !failed; each++) {
        failed = write_all(file, (const void *)shop->runs[each].start, shop->runs[each].length);
    }
    return failed ? "its memory cannot be written" : NULL;
}

// save(file, most): writes an image of at most so many bytes, from its beginning to its end. None when it is written,
// else why not; and where it is restored, the packet that `load` was given there.
object *save(object *self, object *arguments) {
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

#endif
