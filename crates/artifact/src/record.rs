//! What is stored of each package, under keys `artifact/<digest>`.
//!
//! Packages belong to no account: those of equal bytes are one, whoever uploaded them. Each blob has a document
//! before it exists, so none is ever forgotten.

use base::id::Digest;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Key;

use crate::unzip::Bootstrap;
use crate::{Abi, NativeModule, Unpacked};

/// First part of every key that this crate owns.
pub(crate) const PREFIX: &str = "artifact/";

const VERSION: u32 = 1;

/// The stored form of a package: what was seen in it, and the directory that it is unpacked in.
#[derive(Serialize, Deserialize)]
pub(crate) struct PackageRecord {
    version: u32,
    unzipped: u64,
    entries: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    native: Vec<NativeRecord>,
    bootstrap: BootstrapRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    directory: String,
}

#[derive(Serialize, Deserialize)]
struct NativeRecord {
    abi: AbiRecord,
    path: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AbiRecord {
    Python { major: u32, minor: u32 },
    Node { abi: Option<u32> },
    Ruby { major: u32, minor: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BootstrapRecord {
    Absent,
    NotExecutable,
    Executable,
}

pub(crate) fn key_of(digest: &Digest) -> Key {
    Key::new(format!("{PREFIX}{digest}"))
}

pub(crate) fn read_key(key: &Key) -> Option<Digest> {
    key.as_str().strip_prefix(PREFIX)?.parse().ok()
}

impl PackageRecord {
    pub(crate) fn write(unpacked: &Unpacked, directory: &str) -> Bytes {
        let record = Self {
            version: VERSION,
            unzipped: unpacked.bytes,
            entries: unpacked.entries,
            native: unpacked.native.iter().map(NativeRecord::of).collect(),
            bootstrap: match unpacked.bootstrap {
                Bootstrap::Absent => BootstrapRecord::Absent,
                Bootstrap::NotExecutable => BootstrapRecord::NotExecutable,
                Bootstrap::Executable => BootstrapRecord::Executable,
            },
            unreadable: unpacked.unreadable.clone(),
            directory: directory.into(),
        };
        serde_json::to_vec(&record).expect("records have text keys and no failing members").into()
    }

    /// Contents and directory; the reason if the record cannot be read.
    pub(crate) fn read(body: &[u8]) -> Result<(Unpacked, String), String> {
        let record: Self = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if record.version != VERSION {
            return Err(format!("version {} is not known to this samovar", record.version));
        }
        let unpacked = Unpacked {
            bytes: record.unzipped,
            entries: record.entries,
            native: record.native.into_iter().map(NativeRecord::into_module).collect(),
            bootstrap: match record.bootstrap {
                BootstrapRecord::Absent => Bootstrap::Absent,
                BootstrapRecord::NotExecutable => Bootstrap::NotExecutable,
                BootstrapRecord::Executable => Bootstrap::Executable,
            },
            unreadable: record.unreadable,
        };
        Ok((unpacked, record.directory))
    }
}

impl NativeRecord {
    fn of(module: &NativeModule) -> Self {
        let abi = match module.abi {
            Abi::Python { major, minor } => AbiRecord::Python { major, minor },
            Abi::Node { abi } => AbiRecord::Node { abi },
            Abi::Ruby { major, minor } => AbiRecord::Ruby { major, minor },
        };
        Self { abi, path: module.path.clone() }
    }

    fn into_module(self) -> NativeModule {
        let abi = match self.abi {
            AbiRecord::Python { major, minor } => Abi::Python { major, minor },
            AbiRecord::Node { abi } => Abi::Node { abi },
            AbiRecord::Ruby { major, minor } => Abi::Ruby { major, minor },
        };
        NativeModule { abi, path: self.path }
    }
}
