// Makes a Python interpreter bear its children into sandboxes.
//
// Loaded by LD_PRELOAD into a zygote alone, where it stands in front of the C library's fork(): os.fork() runs all that
// the interpreter does around a fork, and no interface of Python's is touched. It is in C because vfork() returns twice,
// which Rust cannot express.
//
// One call of fork() waits for one order of the launcher's and carries it out:
//
//   zygote --vfork--> joiner    joins the function's control groups and the sandbox's namespaces,
//                               in the zygote's own memory, so that nothing is copied
//          --vfork--> inside    the first process that is in the sandbox's process namespace
//          --fork---> runtime   the one copy of the memory, charged to the function's groups; becomes the function's
//                               user behind all walls and returns 0 into the interpreter
//
// The middle two end at once, so that the runtime's parent becomes the sandbox's init. The zygote reads nothing but what
// the launcher sends, and a runtime keeps no descriptor of the zygote's. What it does mirrors `become_function` in
// src/init/runtime.rs; src/launcher/zygotes/letters.rs has the same structures.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RULES 8
#define PATH_BYTES 16
#define INSTRUCTIONS 4096
#define DESCRIPTORS 8
#define HANDOVER 3
#define LAST_CAPABILITY 63
#define CAPABILITY_VERSION 0x20080522

// Sent once, when the zygote is asked whether it is ready; the filter's instructions follow.
struct settings {
    uint64_t files_handled;
    uint64_t scoped;
    struct {
        uint64_t access;
        char path[PATH_BYTES];
    } rules[RULES];
    uint64_t open_files, processes, locked, core, stack;
    uint32_t rules_count, uid, gid, telemetry, instructions, has_landlock;
};

struct instruction {
    uint16_t code;
    uint8_t jump_true, jump_false;
    uint32_t operand;
};

struct program {
    uint16_t length;
    struct instruction *instructions;
};

// How many orders were carried out, and how the last one ended.
struct reply {
    uint64_t done;
    uint32_t error;
    uint32_t unused;
};

struct order {
    int init, handover, log;
    int joins[DESCRIPTORS];
    int joins_count;
};

extern pid_t __fork(void);

static struct {
    struct settings settings;
    struct instruction instructions[INSTRUCTIONS];
} rules;

static int launcher = -1;
static int is_ready;
static struct reply reply;

__attribute__((constructor)) static void begin(void) {
    const char *wait = getenv("_SAMOVAR_ZYGOTE");
    if (wait != NULL) {
        launcher = HANDOVER;
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

static ssize_t receive(void *into, size_t size, int *descriptors, int *count) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * DESCRIPTORS)];
    } control;
    struct iovec piece = {into, size};
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t length;
    do {
        length = recvmsg(launcher, &message, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    *count = 0;
    if (length <= 0 || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        return -1;
    }
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            *count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
            memcpy(descriptors, CMSG_DATA(header), (size_t)*count * sizeof(int));
        }
    }
    return length;
}

// A launcher that reads nothing is told the next time: replies count.
static void answer(int error) {
    reply.error = (uint32_t)error;
    send(launcher, &reply, sizeof reply, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// The launcher has gone, or speaks another language.
static void end(void) { _exit(0); }

// Lets children have the page tables of what is mapped from a file and not written to.
//
// A fork leaves them out, and each child looks up some hundred places of program text again, sixteen pages at a time. It
// takes them along where a mapping has a page of its own, so each gets one: its last, by writing what is there already.
static int take_tables_along(struct dl_phdr_info *object, size_t size, void *page) {
    (void)size;
    const uintptr_t mask = *(const uintptr_t *)page - 1;
    // The kernel's own object has no file.
    if (strncmp(object->dlpi_name, "linux-vdso", strlen("linux-vdso")) == 0) {
        return 0;
    }
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W || !(segment->p_flags & PF_R)) {
            continue;
        }
        uintptr_t first = object->dlpi_addr + segment->p_vaddr, beyond = first + segment->p_filesz;
        void *start = (void *)(first & ~mask);
        size_t length = ((beyond + mask) & ~mask) - (first & ~mask);
        int rights = PROT_READ | (segment->p_flags & PF_X ? PROT_EXEC : 0);
        if (segment->p_filesz > 0 && mprotect(start, length, rights | PROT_WRITE) == 0) {
            volatile char *last = (volatile char *)(beyond - 1);
            *last = *last;
            if (mprotect(start, length, rights) != 0) {
                end();
            }
        }
    }
    return 0;
}

static void get_ready(void) {
    int descriptors[DESCRIPTORS], count;
    ssize_t length = receive(&rules, sizeof rules, descriptors, &count);
    size_t expected = sizeof rules.settings + rules.settings.instructions * sizeof(struct instruction);
    if (length < (ssize_t)sizeof rules.settings || (size_t)length != expected || rules.settings.rules_count > RULES) {
        end();
    }
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    dl_iterate_phdr(take_tables_along, &page);
    is_ready = 1;
    answer(0);
}

static void get_order(struct order *order) {
    char text[8];
    int descriptors[DESCRIPTORS], count;
    if (receive(text, sizeof text, descriptors, &count) < 0 || count < 3) {
        end();
    }
    order->init = descriptors[0];
    order->handover = descriptors[1];
    order->log = descriptors[2];
    order->joins_count = count - 3;
    memcpy(order->joins, descriptors + 3, (size_t)order->joins_count * sizeof(int));
}

static void let_go(const struct order *order) {
    close(order->init);
    close(order->handover);
    close(order->log);
    for (int join = 0; join < order->joins_count; join++) {
        close(order->joins[join]);
    }
}

// The function's groups and the sandbox's namespaces. Its control group is a namespace's root, as an executed runtime's.
static int enter(const struct order *order) {
    for (int join = 0; join < order->joins_count; join++) {
        if (write(order->joins[join], "0", 1) != 1) {
            return -1;
        }
    }
    if (unshare(CLONE_NEWCGROUP) != 0) {
        return -1;
    }
    const int all = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWUSER;
    return setns(order->init, all);
}

static int obey_rules_about_files(void) {
    const struct settings *settings = &rules.settings;
    if (!settings->has_landlock) {
        return 0;
    }
    struct {
        uint64_t files, network, scoped;
    } attributes = {settings->files_handled, 0, settings->scoped};
    long ruleset = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset < 0) {
        return -1;
    }
    for (uint32_t index = 0; index < settings->rules_count; index++) {
        struct {
            uint64_t access;
            int32_t parent;
        } __attribute__((packed)) rule;
        rule.access = settings->rules[index].access;
        rule.parent = open(settings->rules[index].path, O_PATH | O_CLOEXEC);
        if (rule.parent < 0 || syscall(SYS_landlock_add_rule, ruleset, 1, &rule, 0) != 0) {
            return -1;
        }
        close(rule.parent);
    }
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

// Input from nowhere; output, errors and telemetry frames into the log; the handover; nothing else.
static int place_descriptors(const struct order *order) {
    int telemetry = (int)rules.settings.telemetry;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(order->handover, HANDOVER) < 0) {
        return -1;
    }
    const int outputs[] = {1, 2, telemetry};
    for (int output = 0; output < 3; output++) {
        if (dup2(order->log, outputs[output]) < 0) {
            return -1;
        }
    }
    if (syscall(SYS_close_range, HANDOVER + 1, telemetry - 1, 0) != 0) {
        return -1;
    }
    return (int)syscall(SYS_close_range, telemetry + 1, ~0U, 0);
}

static int set_limit(int resource, uint64_t value) {
    struct rlimit limit = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &limit);
}

static int set_limits(void) {
    const struct settings *settings = &rules.settings;
    struct rlimit core, stack;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || getrlimit(RLIMIT_STACK, &stack) != 0) {
        return -1;
    }
    stack.rlim_cur = settings->stack < stack.rlim_max ? settings->stack : stack.rlim_max;
    return set_limit(RLIMIT_NOFILE, settings->open_files) || set_limit(RLIMIT_NPROC, settings->processes)
        || set_limit(RLIMIT_MEMLOCK, settings->locked)
        || set_limit(RLIMIT_CORE, settings->core < core.rlim_max ? settings->core : core.rlim_max)
        || setrlimit(RLIMIT_STACK, &stack);
}

// The raw calls: the C library's would look for threads that are to follow.
static int become_user(void) {
    const struct settings *settings = &rules.settings;
    for (unsigned long capability = 0; capability <= LAST_CAPABILITY; capability++) {
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
            if (errno == EINVAL) {
                break;
            }
            return -1;
        }
    }
    uint32_t uid = settings->uid, gid = settings->gid;
    if (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, gid, gid, gid) != 0
        || syscall(SYS_setresuid, uid, uid, uid) != 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
        return -1;
    }
    struct {
        uint32_t version;
        int pid;
    } header = {CAPABILITY_VERSION, 0};
    uint32_t none[6] = {0};
    return (int)syscall(SYS_capset, &header, none);
}

static int become_function(const struct order *order) {
    if (setsid() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || obey_rules_about_files() != 0
        || place_descriptors(order) != 0 || set_limits() != 0 || become_user() != 0) {
        return -1;
    }
    // As after executing a program: its own /proc files are its user's. Nothing of the zygote's memory is a secret.
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || chdir("/") != 0) {
        return -1;
    }
    struct program program = {(uint16_t)rules.settings.instructions, rules.instructions};
    return (int)syscall(SYS_seccomp, 1, 0, &program);
}

static int await(pid_t child) {
    int status;
    pid_t ended;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

// In the zygote every call bears one runtime and tells so by a number that is no process's; elsewhere it forks.
__attribute__((visibility("default"))) pid_t fork(void) {
    if (launcher < 0) {
        return __fork();
    }
    if (!is_ready) {
        get_ready();
    }
    struct order order;
    get_order(&order);
    pid_t joiner = vfork();
    if (joiner == 0) {
        if (enter(&order) != 0) {
            _exit(errno);
        }
        pid_t inside = vfork();
        if (inside == 0) {
            pid_t runtime = __fork();
            if (runtime == 0) {
                launcher = -1;
                if (become_function(&order) != 0) {
                    _exit(1);
                }
                return 0;
            }
            _exit(runtime < 0 ? errno : 0);
        }
        _exit(inside < 0 ? errno : await(inside));
    }
    int error = joiner < 0 ? errno : await(joiner);
    let_go(&order);
    reply.done++;
    answer(error);
    return 1;
}
