//! The key that signs the node's own log, in a file of its own.
use super::disk::{self, replace, sync_folder};
use crate::JournalError;
use coffer_secmem::Key32;
use coffer_types::Entropy;
use keystore_format::kdf;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use zeroize::Zeroizing;

/// The node's own key, made on first start. Whoever reads it can sign node logs: mode 0600, as all here.
pub(super) fn node_key(path: &Path, entropy: &dyn Entropy) -> Result<Key32, JournalError> {
    match fs::read(path) {
        Ok(bytes) => {
            disk::demand_private(path)?;
            read_node_key(&Zeroizing::new(bytes))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut seed = Zeroizing::new([0; 32]);
            entropy.fill(&mut *seed).map_err(|_| JournalError::Entropy)?;
            replace(&path.with_extension("new"), path, &*seed, true)?;
            sync_folder(path.parent().unwrap_or(Path::new(".")))?;
            Ok(Key32::from_bytes(&mut seed))
        }
        Err(error) => Err(error.into()),
    }
}

fn read_node_key(bytes: &[u8]) -> Result<Key32, JournalError> {
    let mut seed = Zeroizing::new(<[u8; 32]>::try_from(bytes).map_err(|_| JournalError::BadNodeKey)?);
    Ok(Key32::from_bytes(&mut seed))
}

/// `KDF(node key, "node-log", incarnation, 32)`.
pub(super) fn node_seed(key: &Key32, incarnation: &[u8; 16]) -> Key32 {
    Key32::from_bytes(&mut kdf::derive(key.expose(), "node-log", &[incarnation]))
}

/// Reads `bytes` as the key's file: the whole of it is the key, or it is none.
pub(super) fn fuzz(bytes: &[u8]) {
    match read_node_key(bytes) {
        Ok(key) => assert!(key.expose()[..] == *bytes, "another key than the file's"),
        Err(_) => assert_ne!(bytes.len(), 32),
    }
}
