//! Every bound that AWS documents or that keeps Samovar safe, each with its source.

use std::time::Duration;

use crate::units::{Concurrency, Mib};

/// Largest synchronous request payload, in bytes. Source: Lambda Developer Guide, "Lambda quotas".
pub const SYNC_REQUEST_BYTES: usize = 6 * 1024 * 1024;

/// Largest synchronous response payload, in bytes: 6 MB and 100 bytes.
///
/// Source: runtime interface emulator, `MaxPayloadSize`; recorded in error texts.
pub const SYNC_RESPONSE_BYTES: usize = 6 * 1024 * 1024 + 100;

/// Bytes of a streamed response that reach the caller: 200 MiB and one byte. What the function sends beyond is read
/// and thrown away. Source: Lambda quotas; recorded.
pub const STREAM_RESPONSE_BYTES: usize = 200 * 1024 * 1024 + 1;

/// Pieces of a streamed response that wait for a slow caller, each of at most [`RUNTIME_API_READ_BYTES`]; then its
/// function waits. Ours: half a megabyte for each stream under way.
pub const STREAM_PIECES: usize = 4;

/// Largest asynchronous request payload, in bytes. Source: Lambda quotas, since October 2025.
pub const ASYNC_REQUEST_BYTES: usize = 1024 * 1024;

/// Largest payload of the old InvokeAsync, in bytes. Source: recorded refusal.
pub const OLD_ASYNC_REQUEST_BYTES: usize = 262_144;

/// Asynchronous events that run at once, beyond one of each function. Ours: half of an account's concurrency, so that
/// callers who wait find room.
pub const EVENTS_AT_ONCE: usize = 512;

/// Those of them that are of one function. Ours.
pub const FUNCTION_EVENTS_AT_ONCE: usize = 32;

/// Largest client context, in bytes of base64 text. Source: Lambda API reference, Invoke.
pub const CLIENT_CONTEXT_BYTES: usize = 3583;

/// Largest zip archive in a request, in bytes. Source: Lambda quotas; recorded error text.
pub const ZIP_BYTES: usize = 52_428_800;

/// Largest unpacked package with its layers, in bytes. Source: Lambda quotas; recorded error text.
pub const UNZIPPED_BYTES: u64 = 262_144_000;

/// Most entries in an archive. Ours: far above any real package, far below what exhausts inodes.
pub const ZIP_ENTRIES: usize = 200_000;

/// Largest body of a CreateFunction request, in bytes. Source: recorded error text.
pub const CREATE_REQUEST_BYTES: usize = 70_167_211;

/// Largest serialised environment, in bytes of compact JSON. Source: Lambda quotas; recorded error text.
pub const ENVIRONMENT_BYTES: usize = 4096;

/// Time a cold start may take before it is restarted inside the first invoke.
///
/// Source: Lambda Developer Guide, "Lambda execution environment lifecycle".
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which a restored runtime must have run its hooks and asked for work.
///
/// Source: Lambda Developer Guide, "Lambda SnapStart runtime hooks".
pub const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for which an environment that is initialised and never ran waits for its first call. Ours: its next use is as
/// likely as that of the version, and it saves a whole init.
pub const STANDBY_EXPIRY: Duration = Duration::from_secs(60 * 60);

/// Bytes of the memory image of one initialised function; a larger one makes an init in every environment. Ours: a
/// function with pandas and boto3 has some 100 MB.
pub const IMAGE_BYTES: u64 = 256 << 20;

/// The part of the machine's memory that all images may take together: an eighth. Ours.
pub const IMAGES_PART: u64 = 8;

/// Time for what an environment has written of its image to be taken in. Ours: a pipe's worth is left to read.
pub const IMAGE_PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of log that `LogType: Tail` returns. Source: Lambda API reference, Invoke.
pub const LOG_TAIL_BYTES: usize = 4096;

/// Largest single log event before it is split, in bytes. Source: CloudWatch Logs quotas, since 2025.
pub const LOG_EVENT_BYTES: usize = 1024 * 1024;

/// What a log event counts beside its message, in bytes. Source: CloudWatch Logs API reference, PutLogEvents.
pub const LOG_EVENT_OVERHEAD: usize = 26;

/// Longest message of a log event, in bytes; longer lines are split. Source: CloudWatch Logs quotas.
pub const LOG_EVENT_MESSAGE_BYTES: usize = LOG_EVENT_BYTES - LOG_EVENT_OVERHEAD;

/// Largest telemetry frame that a runtime may write; what claims to be larger is taken as raw bytes. Ours.
pub const LOG_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Least and most memory of a function. Source: Lambda quotas.
pub const FUNCTION_MEMORY: (Mib, Mib) = (Mib(128), Mib(10_240));

/// Least and most size of a function's `/tmp`. Source: Lambda quotas.
pub const FUNCTION_TMP: (Mib, Mib) = (Mib(512), Mib(10_240));

/// Longest timeout of a function. Source: Lambda quotas.
pub const FUNCTION_TIMEOUT: Duration = Duration::from_secs(900);

/// Longest name of a function, in characters; the service model lets ARNs of 140 pass. Source: recorded refusal.
pub const FUNCTION_NAME_CHARS: usize = 64;

/// Layers of a function. Source: Lambda quotas.
pub const FUNCTION_LAYERS: usize = 5;

/// Largest resource policy, in bytes of its JSON. Source: Lambda quotas; recorded refusal.
pub const POLICY_BYTES: usize = 20 * 1024;

/// Tags of a resource. Source: Lambda quotas; recorded refusal.
pub const RESOURCE_TAGS: usize = 50;

/// Memory that is one whole vCPU. Source: Lambda Developer Guide, "Configure Lambda function memory".
pub const MEMORY_PER_VCPU: Mib = Mib(1769);

/// Concurrent executions of an account in a region. Source: Lambda quotas.
pub const ACCOUNT_CONCURRENCY: Concurrency = Concurrency(1000);

/// What functions must leave of it that have some for themselves. Source: Lambda Developer Guide, "Configuring reserved
/// concurrency".
pub const UNRESERVED_CONCURRENCY: Concurrency = Concurrency(100);

/// Bytes of all archives of an account in a region: functions, again each of their versions, and layers. Source: Lambda
/// quotas of 2026; 75 GiB before.
pub const CODE_STORAGE_BYTES: u64 = 300 * 1024 * 1024 * 1024;

/// Extensions of an environment, external and internal ones together. Source: Lambda quotas; runtime interface
/// emulator.
pub const EXTENSIONS: usize = 10;

/// Largest request of an extension, in bytes. Ours: errors may come with
/// a stack trace.
pub const EXTENSION_REQUEST_BYTES: usize = 256 * 1024;

/// Longest name of an extension, and longest type of an error that it reports, in bytes. Ours: a file's name.
pub const EXTENSION_NAME_BYTES: usize = 255;

/// Least, usual and most events of a batch of telemetry. Source: Lambda Developer Guide, "Lambda Telemetry API".
pub const TELEMETRY_ITEMS: (u64, u64, u64) = (1_000, 10_000, 10_000);

/// Least, usual and most bytes of a batch of telemetry. Source: as above.
pub const TELEMETRY_BYTES: (u64, u64, u64) = (262_144, 262_144, 1_048_576);

/// Least, usual and most time that a batch of telemetry is gathered, in milliseconds. Source: as above; the least is
/// recorded.
pub const TELEMETRY_TIMEOUT: (u64, u64, u64) = (25, 1_000, 30_000);

/// Longest address of a destination of telemetry, in bytes. Ours.
pub const TELEMETRY_URI_BYTES: usize = 2_048;

/// First and longest pause before a listener that did not take a batch is tried again. Ours.
pub const TELEMETRY_RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Bytes that are read of a listener's answer. Ours: nobody looks at them.
pub const TELEMETRY_ANSWER_BYTES: usize = 64 * 1024;

/// Events of an init that are kept for whoever subscribes in it, in bytes. Ours: a batch.
pub const TELEMETRY_HELD_BYTES: usize = 256 * 1024;

/// Open files of a function's process. Source: Lambda quotas.
pub const FUNCTION_FILES: u64 = 1024;

/// Processes and threads of a function. Source: Lambda quotas (RLIMIT_NPROC reads 742 in recordings).
pub const FUNCTION_PROCESSES: u64 = 1024;

/// How long a deleted or replaced package stays readable: the life of a `Code.Location` URL.
///
/// Source: recorded presigned URLs, 600 s.
pub const CODE_LINK_LIFE: Duration = Duration::from_secs(600);

/// Largest skew between a request's signature date and ours. Source: Signature Version 4 documentation.
pub const SIGNATURE_SKEW: Duration = Duration::from_secs(5 * 60);

/// Idle time after which an environment is closed, unless configured otherwise. Ours.
pub const IDLE_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// Age at which an environment takes no further call.
///
/// Ours: AWS gives no figure, and was seen to replace busy environments after about two hours.
pub const ENVIRONMENT_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Request line and headers together, in bytes. Source: Lambda quotas ("1 MB together"); ours is tighter.
pub const HEADER_BYTES: usize = 64 * 1024;

/// Time a client may take to send its request head. Ours: cuts slow and silent clients.
pub const HEADER_TIME: Duration = Duration::from_secs(10);

/// Longest key of a stored document, in bytes. Ours: room for account, region and two CloudWatch names of 512 characters.
pub const STORE_KEY_BYTES: usize = 4096;

/// Largest body of a stored document or queued message, in bytes. Ours: an asynchronous event with its envelope, thrice.
pub const STORE_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Largest commit, in bytes of keys and bodies. Ours: bounds what one writer holds in memory.
pub const STORE_COMMIT_BYTES: usize = 16 * 1024 * 1024;

/// Commits that may wait for the store's writer, in bytes; more wait at the door. Ours.
pub const STORE_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Most commits that one fsync makes durable. Ours: measured latency hardly falls beyond.
pub const STORE_GROUP: usize = 256;

/// Changes that a follower may be behind before it must load everything again. Ours.
pub const STORE_HISTORY_CHANGES: u64 = 10_000;

/// Bytes of changes kept for followers. Ours.
pub const STORE_HISTORY_BYTES: u64 = 64 * 1024 * 1024;

/// Write-ahead log that the store's writer lets grow before it waits for a checkpoint, in bytes. Ours.
pub const STORE_WAL_BYTES: u64 = 32 * 1024 * 1024;

/// Largest record of a log, in bytes: a log event and its envelope. Ours.
pub const LOG_RECORD_BYTES: usize = 2 * LOG_EVENT_BYTES;

/// Largest batch of log records appended at once, in bytes. Ours: far above PutLogEvents' 1 MB.
pub const LOG_APPEND_BYTES: usize = 16 * 1024 * 1024;

/// Records that may wait to be appended, in bytes; more wait at the door. Ours.
pub const LOG_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Length at which a log starts a new segment file, in bytes. Ours.
pub const LOG_SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

/// Segment files held open for appending: one for each environment that writes when the account is full. Ours.
///
/// Those that wait for their fsync, and those in the midst of it, may be as many again each.
pub const LOG_OPEN_FILES: usize = 1024;

/// Logs whose end is remembered; the others are looked up again when used. Ours.
pub const LOG_REMEMBERED: usize = 16_384;

/// Longest time between an append in the background and its fsync. Ours: what a power cut may take.
pub const LOG_SYNC_DELAY: Duration = Duration::from_millis(500);

/// Connections that the AWS endpoint holds at once; more wait in the listener's backlog. Ours.
pub const ENDPOINT_CONNECTIONS: usize = 2048;

/// Connections that wait for a place at the AWS endpoint; the kernel may hold fewer (net.core.somaxconn). Ours.
pub const ENDPOINT_BACKLOG: u32 = 1024;

/// Connections that one function holds to its own AWS endpoint at once. Ours: descriptors are budgeted.
pub const FUNCTION_ENDPOINT_CONNECTIONS: usize = 16;

/// Those of them that it has whatever other functions hold. Ours: an SDK's pool begins with one.
pub const FUNCTION_ENDPOINT_OWN_CONNECTIONS: usize = 2;

/// Connections that all functions together hold to their AWS endpoints at once, beyond
/// [`FUNCTION_ENDPOINT_OWN_CONNECTIONS`] each. Ours: descriptors are budgeted.
pub const ALL_FUNCTION_ENDPOINTS_CONNECTIONS: usize = 1024;

/// Time a connection may stay open between two requests. Ours: longer than the pools of SDKs keep theirs.
pub const CONNECTION_IDLE: Duration = Duration::from_secs(75);

/// Time a client may let pass between two pieces of a request's body. Ours.
pub const BODY_STALL: Duration = Duration::from_secs(30);

/// Bytes a second that the body of a request must come with, after [`BODY_STALL`]. Ours: half a megabit.
pub const BODY_RATE: u64 = 64 * 1024;

/// Large bodies that are read and parsed at once, in bytes; more wait at the door. Ours: fifteen of the largest.
pub const BODIES_BYTES: usize = 1024 * 1024 * 1024;

/// Those of them that one function may send from inside its environments, in bytes. Ours: holds one of the largest.
pub const FUNCTION_BODIES_BYTES: usize = 128 * 1024 * 1024;

/// Time for which a client may take nothing of its answer. Ours: as long as a slow client's own patience.
pub const ANSWER_STALL: Duration = Duration::from_secs(60);

/// Headers of one request. Ours: SDKs send about twenty.
pub const REQUEST_HEADERS: usize = 100;

/// Largest body of a request whose operation has no limit of its own, in bytes. Ours: AWS's is 6 MB for most of Lambda.
pub const REQUEST_BYTES: usize = 6 * 1024 * 1024;

/// Bytes of a refused body that are still read, so that the client sees the refusal and no reset. Ours.
pub const REFUSED_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Time that running invocations get when the server ends. Ours: with [`DOOR_DRAIN`], below the 30 s after which
/// supervisors kill.
pub const DRAIN_TIME: Duration = Duration::from_secs(22);

/// Time that connections get to end when a door closes. Ours: invocations were awaited before; what is left are answers
/// on their way.
pub const DOOR_DRAIN: Duration = Duration::from_secs(5);

/// Values in one request body. Ours: a few bytes of JSON may become many bytes of memory.
pub const JSON_VALUES: usize = 1_000_000;

/// Times that a change of a function is decided anew because another change came between. Ours.
pub const CATALOGUE_ATTEMPTS: usize = 100;

/// Events of one writer that may wait to be appended, in bytes; a function that floods its log waits. Ours.
pub const LOG_WRITER_BYTES: usize = 1024 * 1024;

/// Events of all writers that may wait to be appended, in bytes; then all writers wait. Ours.
pub const LOG_ROOM_BYTES: usize = 64 * 1024 * 1024;

/// Events that are appended to a group's log at once, in bytes, unless a single one is larger. Ours.
pub const LOG_BATCH_BYTES: usize = 256 * 1024;

/// Time that events wait for more of their group to be appended with them, unless somebody reads. Ours: far below
/// the second within which they are durable, and long enough for one append to do for many invocations.
pub const LOG_LINGER: Duration = Duration::from_millis(10);

/// Length of the stretches of a group's log of which times and streams are indexed, in bytes. Ours.
pub const LOG_BLOCK_BYTES: u64 = 128 * 1024;

/// Growth of a group's log after which its index is stored, in bytes: what is read again after a crash. Ours.
pub const LOG_CHECKPOINT_BYTES: u64 = 4 * 1024 * 1024;

/// Most events in a page. Source: CloudWatch Logs API reference, GetLogEvents and FilterLogEvents.
pub const LOG_PAGE_EVENTS: usize = 10_000;

/// Most bytes of events in a page. Source: CloudWatch Logs API reference, GetLogEvents and FilterLogEvents.
pub const LOG_PAGE_BYTES: usize = 1024 * 1024;

/// Stretches of a log that a page reads before it answers with what it found. Ours: about 64 MB.
pub const LOG_PAGE_BLOCKS: usize = 512;

/// Age beyond which an event's own time is not believed. Source: CloudWatch Logs API reference, PutLogEvents.
pub const LOG_EVENT_AGE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Directories within directories in an archive. Ours: nested `node_modules` stay below 50.
pub const ZIP_DEPTH: usize = 128;

/// Packages that are taken in or unpacked again at once; more wait. Ours: each holds its archive in memory twice.
pub const PACKAGES_AT_ONCE: usize = 4;

/// Longest body that is hashed and parsed without leaving the reactor's thread, in bytes. Ours: about a millisecond.
pub const INLINE_BYTES: usize = 256 * 1024;

/// Connections that one environment may hold to its Runtime API. Ours: runtimes use one or two, extensions one each.
pub const RUNTIME_API_CONNECTIONS: usize = 32;

/// Those of them that an environment need not share with others: nobody can keep a runtime from being heard. Ours.
pub const RUNTIME_API_OWN_CONNECTIONS: usize = 2;

/// Connections to all Runtime APIs together, beyond each environment's own. Ours: a function of many environments
/// must not use up the descriptors of the others.
pub const ALL_RUNTIME_API_CONNECTIONS: usize = 512;

/// Bytes of one request's head at the Runtime API, and of what is read ahead of a body. Ours: holds the X-Ray cause
/// header, which may have 64 KiB.
pub const RUNTIME_API_READ_BYTES: usize = 128 * 1024;

/// Bytes of an oversize response that are read and thrown away, so that the runtime, which reads our answer only
/// after it has written all, learns why. Ours; a longer one loses its connection.
pub const RESPONSE_DISCARD_BYTES: usize = 256 * 1024 * 1024;

/// Time before a listener that could not accept a connection tries again. Ours: out of descriptors, it would fail
/// again at once.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Bytes of a function's output that may wait for its log before its pipe is left alone. Ours.
pub const OUTPUT_QUEUE_BYTES: usize = 256 * 1024;

/// Bytes of output read in one turn of an environment, so that a flood does not keep its runtime waiting. Ours.
pub const OUTPUT_TURN_BYTES: usize = 64 * 1024;

/// Time between a posted init error and the reset: lets the runtime end by itself and finish its log. Ours.
pub const INIT_ERROR_GRACE: Duration = Duration::from_secs(1);

/// Time of a shutdown phase with external extensions. Source: Lambda Developer Guide, "Lambda execution environment
/// lifecycle".
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(2);

/// Time of a shutdown phase with internal extensions alone. Source: as above.
pub const SHUTDOWN_TIME_INTERNAL: Duration = Duration::from_millis(500);

/// The runtime's part of a shutdown phase, in percent. Source: runtime interface emulator, `runtimeDeadlineShare`.
pub const SHUTDOWN_RUNTIME_PERCENT: u32 = 30;

/// Time a reset may take before the sandbox is given up. Ours.
pub const RESET_TIME: Duration = Duration::from_secs(5);

/// How long an invocation waits for an environment that has just answered, before it gets a new one.
///
/// Ours: a caller that sends its next request at once is faster than the runtime's next call for work, and must
/// not cause a cold start by that.
pub const LEASE_PATIENCE: Duration = Duration::from_millis(10);

/// How long an invocation waits for a place on the machine, or for an environment whose start failed under load,
/// before it is throttled. Ours: clients of AWS's SDKs wait a minute.
pub const PLACE_PATIENCE: Duration = Duration::from_secs(10);

/// Environments of one version that are warmed for provisioned concurrency at once. Ours: invocations need the
/// processors meanwhile.
pub const WARMING_AT_ONCE: usize = 8;

/// Pause before an environment of provisioned concurrency is made again whose init failed, doubled each time. Ours.
pub const WARM_RETRY: Duration = Duration::from_secs(1);

/// Most of that pause. Ours.
pub const WARM_RETRY_MOST: Duration = Duration::from_secs(60);

/// Time that an init may take before any invocation, for provisioned concurrency and SnapStart; a longer timeout of the function
/// counts instead. Source: Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle".
pub const PROVISIONED_INIT: Duration = Duration::from_secs(130);

/// Most of that time. Source: the same.
pub const PROVISIONED_INIT_MOST: Duration = Duration::from_secs(900);

/// Time between two looks at the machine's memory. Ours: a look costs some tens of microseconds.
pub const MEMORY_LOOK: Duration = Duration::from_millis(200);

/// What an environment is expected to hold whose version has not told yet, in bytes. Ours: twice what a small function
/// of an interpreted language holds.
pub const ENVIRONMENT_MEMORY: u64 = 16 * 1024 * 1024;

/// The part of the machine's memory that is kept free unless configured otherwise: one in so many. Ours.
pub const MEMORY_RESERVE_PART: u64 = 16;

/// Least of that part, in bytes. Ours.
pub const MEMORY_RESERVE_LEAST: u64 = 128 * 1024 * 1024;

/// Most of that part, in bytes. Ours.
pub const MEMORY_RESERVE_MOST: u64 = 1024 * 1024 * 1024;

/// Pause before an environment is started again that could not be started just now. Ours.
pub const START_RETRY: Duration = Duration::from_millis(50);

/// Time that environments get to be torn down once they must. Ours.
pub const TEARDOWN_TIME: Duration = Duration::from_secs(5);

/// Environments that may stand at once, where descriptors allow. Ours.
///
/// Each costs the server nine descriptors before its first connection, so this many leave a tenth of a hard limit of
/// 20,000 for connections.
pub const ENVIRONMENTS: usize = 2_000;

/// Descriptors that an environment costs the server: control, log, meter with its mark, freezer, two listeners and the
/// two sockets of its name server, and four for connections into it and questions on their way. Ours.
pub const ENVIRONMENT_DESCRIPTORS: u64 = 13;

/// Longest trace header that is read, in bytes. Ours; AWS's own have about 150.
pub const TRACE_HEADER_BYTES: usize = 1024;

/// How far in the future an event of PutLogEvents may be. Source: CloudWatch Logs API reference, PutLogEvents.
pub const LOG_EVENT_AHEAD: Duration = Duration::from_secs(2 * 60 * 60);

/// Events that may wait for one who follows, in bytes; then it loses events and is told how many. Ours.
pub const LOG_FOLLOW_BYTES: usize = 4 * 1024 * 1024;

/// Events of one group that may wait to be appended, in bytes: a function that floods its log, however many
/// environments it has, leaves most of `LOG_ROOM_BYTES` to others. Ours.
pub const LOG_GROUP_ROOM_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of all logs on disk, unless told otherwise; the oldest events go first. Ours.
pub const LOG_SPACE_BYTES: u64 = 10 * 1024 * 1024 * 1024;

/// On a disk of less than so many times `LOG_SPACE_BYTES` logs take this part of it. Ours.
pub const LOG_SPACE_SHARE: u64 = 4;

/// Bytes of a disk that logs leave free. Ours.
pub const LOG_FREE_BYTES: u64 = 1024 * 1024 * 1024;

/// On a disk of less than so many times `LOG_FREE_BYTES` logs leave this part of it free. Ours.
pub const LOG_FREE_SHARE: u64 = 20;

/// Bytes that they leave free on a smaller disk still, up to half of it: what the database needs to go on. Ours.
pub const LOG_FREE_LEAST: u64 = 64 * 1024 * 1024;

/// Growth of all logs after which their limits are looked at, in bytes. Ours.
pub const LOG_KEEP_BYTES: u64 = 64 * 1024 * 1024;

/// How often the limits of logs are looked at when little is written. Ours.
pub const LOG_KEEP_EVERY: Duration = Duration::from_secs(30);

/// Time after which the index of a group that nobody used leaves the memory. Ours.
pub const LOG_INDEX_IDLE: Duration = Duration::from_secs(600);

/// Groups whose indexes stay in memory although nobody is using them. Ours.
pub const LOG_LOADED_GROUPS: usize = 256;

/// Least time between two warnings of one kind about the room for logs. Ours.
pub const LOG_WARN_EVERY: Duration = Duration::from_secs(600);

/// Stretches of a log that are read at once while a search goes on, in bytes. Ours.
pub const LOG_READ_BYTES: u64 = 1024 * 1024;

/// Events that a query gets at once, in bytes. Ours.
pub const LOG_SCAN_BYTES: usize = 4 * 1024 * 1024;

/// Events that a query gets at once. Ours.
pub const LOG_SCAN_EVENTS: usize = 50_000;

/// Least that may be set for all logs, in bytes: the keeper looks only so often. Ours.
pub const LOG_SPACE_LEAST: u64 = 64 * 1024 * 1024;

/// Days that a group may keep its events. Source: CloudWatch Logs API reference, PutRetentionPolicy.
pub const LOG_RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
