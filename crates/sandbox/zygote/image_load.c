// Becoming the process that an image is of; see `image.c`.

#include "image.h"

#ifdef HAS_IMAGES

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

static int is_workshop_free(uint64_t at, const struct region *regions, uint64_t count) {
    for (uint64_t each = 0; each < count; each++) {
        if (regions[each].start < at + 2 * sizeof(struct workshop) && regions[each].end + sizeof(struct workshop) > at) {
            return 0;
        }
    }
    return 1;
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
            || run->length > shop->regions[region].end - run->start || run->at > header->size
            || run->length > header->size - run->at || run->kind != shop->regions[region].kind
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
    uint64_t at = sizeof *header;
    if (header->size > (uint64_t)found.st_size || read_all(file, shop->regions, regions, at) != 0
        || read_all(file, shop->runs, runs, at + regions) != 0
        || read_all(file, shop->names, header->names, at + regions + runs) != 0
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
object *load(object *self, object *arguments) {
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

#endif
