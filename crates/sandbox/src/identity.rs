//! Who is who: the numeric users of the house, far above those that systems hand out.
//!
//! None of them has a name, a home or a password on the host. `useradd` stops at 60,000, systemd's dynamic
//! users at 65,519 and its containers at 1,878,982,655 (0x6FFE_FFFF), so these collide with nobody.

/// The server's user and group on the host.
pub const SERVER_UID: u32 = 0x7000_0000;

/// Owner of all unpacked code, user and group. Inside a sandbox it is shown as root.
pub const CODE_OWNER_UID: u32 = 0x7000_0001;

/// First of the users that environments get, each its own. Every data directory has a block of
/// [`ENVIRONMENT_BLOCK`] of them; there are [`ENVIRONMENT_BLOCKS`] blocks.
pub const FIRST_ENVIRONMENT_UID: u32 = 0x7001_0000;

/// Users of one data directory's environments.
pub const ENVIRONMENT_BLOCK: u32 = 0x1000;

/// Blocks of users; data directories that share one (by chance) still share nothing but a number.
pub const ENVIRONMENT_BLOCKS: u32 = 0x1000;

/// The function's user inside. Source: recorded inside a function (Amazon Linux 2023).
pub const FUNCTION_UID: u32 = 993;

/// The function's group inside. Source: recorded inside a function (Amazon Linux 2023).
pub const FUNCTION_GID: u32 = 990;

/// The function's user name inside. Source: recorded inside a function.
pub const FUNCTION_USER: &str = "sbx_user1051";

/// Address of the Runtime API and of the function's AWS endpoint inside.
pub const INSIDE_ADDRESS: [u8; 4] = [169, 254, 100, 1];

/// Port of the Runtime API inside.
pub const RUNTIME_API_PORT: u16 = 9001;

/// Port of the function's own AWS endpoint inside.
pub const ENDPOINT_PORT: u16 = 4566;

/// Port of the name server inside, for UDP and TCP.
pub const NAMES_PORT: u16 = 53;

/// Host name inside.
pub const HOST_NAME: &str = "169-254-100-1";

/// Where the SDK directory of the set-up is seen inside.
pub const SDK_INSIDE: &str = "/var/runtime/sdk";

/// Descriptor on which runtimes write telemetry frames. Source: `_LAMBDA_TELEMETRY_LOG_FD`, recorded.
pub const TELEMETRY_FD: i32 = 62;
