//! A root key under a key in a file: for tests, and for machines that have nothing better. Who copies the file and the
//! store has both.
use crate::{
    device::{Binding, Device, DeviceError, DeviceTrouble, Given, Wrapped},
    private_file,
};
use coffer_secmem::Key32;
use coffer_types::Entropy;
use keystore_format::seal_record::{self, Wrap, WrapType};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Bytes of a key file.
pub const KEY_LEN: usize = 32;

/// The key of a file, read when it is needed and forgotten after it.
pub struct KeyFile {
    path: PathBuf,
    entropy: Arc<dyn Entropy>,
}

impl KeyFile {
    /// The device of a file that is there, or will be.
    #[must_use]
    pub fn new(path: PathBuf, entropy: Arc<dyn Entropy>) -> Self {
        Self { path, entropy }
    }

    /// Makes a key file with mode 0600, in a folder that only we or root can change, and sees it on disk.
    ///
    /// # Errors
    /// [`DeviceTrouble::Configuration`] where something is there already or the folder won't do;
    /// [`DeviceTrouble::Failed`] where randomness or the disk fails.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<(), DeviceError> {
        let path = std::path::absolute(path).map_err(|_| of_disk())?;
        let folder = path.parent().unwrap_or(&path);
        private_file::check_folder(folder).map_err(refused)?;
        let key: Zeroizing<[u8; KEY_LEN]> =
            Zeroizing::new(coffer_types::random(entropy).map_err(|_| no_randomness())?);
        // Whole beside its place, and then in it: half a key, left by a crash, would keep the next attempt from making one.
        let beside = beside(&path);
        let made = make(&beside, &*key).and_then(|()| fs::hard_link(&beside, &path));
        let _ = fs::remove_file(&beside);
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => DeviceError::new(
                DeviceTrouble::Configuration,
                "a file is there already: a key file is made only where nothing is, so that no key is lost",
            ),
            _ => of_disk(),
        })?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|_| {
            // Nobody has used it yet.
            let _ = fs::remove_file(&path);
            of_disk()
        })
    }

    fn open(&self) -> Result<File, DeviceError> {
        let file = private_file::open(&self.path).map_err(refused)?;
        match file.metadata().map(|found| found.len()) {
            Ok(length) if length == KEY_LEN as u64 => Ok(file),
            Ok(_) => Err(of_length()),
            Err(_) => Err(refused(private_file::Wrong::Unreadable)),
        }
    }

    fn key(&self) -> Result<Key32, DeviceError> {
        let bytes = private_file::read(&self.open()?, KEY_LEN).map_err(refused)?;
        let bytes: &[u8; KEY_LEN] = bytes.as_slice().try_into().map_err(|_| of_length())?;
        Ok(Key32::derive(|key| key.copy_from_slice(bytes)))
    }
}

impl Device for KeyFile {
    fn wrap_type(&self) -> WrapType {
        WrapType::File
    }

    fn wrap(&mut self, root_key: &Key32, binding: &Binding) -> Result<Wrapped, DeviceError> {
        let Binding { context, wrap, root_id } = binding;
        let nonce = coffer_types::random(&*self.entropy).map_err(|_| no_randomness())?;
        let key = self.key()?;
        let blob = seal_record::wrap_root(key.expose(), context, *wrap, root_id, &nonce, root_key.expose());
        Ok(Wrapped { parameters: Vec::new(), blob })
    }

    fn enroll(
        &mut self,
        root_key: &Key32,
        binding: &Binding,
        older: Option<&Wrap>,
        given: &Given,
    ) -> Result<Wrapped, DeviceError> {
        given.refuse()?;
        // The first wrap brings its key with it, where nothing is.
        if older.is_none() && !self.path.exists() {
            Self::create(&self.path, &*self.entropy)?;
        }
        self.wrap(root_key, binding)
    }

    fn unwrap(&mut self, wrap: &Wrap, binding: &Binding) -> Result<Key32, DeviceError> {
        if wrap.wrap_type != WrapType::File || !wrap.parameters.is_empty() {
            return Err(not_authentic());
        }
        let Binding { context, wrap: id, root_id } = binding;
        seal_record::unwrap_root(self.key()?.expose(), context, *id, root_id, &wrap.blob)
            .map(|mut root_key| Key32::from_bytes(&mut root_key))
            .map_err(|_| not_authentic())
    }

    fn health(&mut self) -> Result<(), DeviceError> {
        self.open().map(drop)
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// A new private file, on disk.
fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn refused(wrong: private_file::Wrong) -> DeviceError {
    let kind = match wrong {
        // It may lie on something that is not mounted yet.
        private_file::Wrong::Missing | private_file::Wrong::Unreadable => DeviceTrouble::Unreachable,
        _ => DeviceTrouble::Configuration,
    };
    DeviceError::new(kind, format!("the key file {}: {}", wrong.what(), wrong.would_be_right()))
}

fn of_length() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Configuration,
        "the key file has another length than 32 bytes: it must be one that was made for Coffer, unaltered",
    )
}

fn not_authentic() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::NotAuthentic,
        "the wrap was altered, or is of another place or another key file: configure the file that it was made with",
    )
}

fn no_randomness() -> DeviceError {
    DeviceError::new(DeviceTrouble::Failed, "the operating system gave no randomness")
}

fn of_disk() -> DeviceError {
    DeviceError::new(
        DeviceTrouble::Failed,
        "the key file could not be written: its folder must be there, with room, and writable for this user",
    )
}
