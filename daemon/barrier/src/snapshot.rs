//! What a backup needs of the keys: the file's own key, derived where the root key lies.
use crate::{Barrier, BarrierError};
use coffer_secmem::Key32;
use keystore_format::error::FormatError;
use keystore_format::snapshot::{Decoder, Encoder, Header};

impl Barrier {
    /// Begins a backup of the whole store, under the root environment's root key. The seal record in it lets the shares
    /// open it elsewhere. Appends the file's first bytes to `out`.
    ///
    /// # Errors
    /// [`BarrierError::Sealed`], [`BarrierError::Entropy`], [`BarrierError::TooLarge`].
    pub fn begin_snapshot(
        &self,
        records: u64,
        seal: Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Encoder, BarrierError> {
        let context = self.context();
        let (nonce, salt) =
            (coffer_types::random(&*self.place.entropy)?, coffer_types::random(&*self.place.entropy)?);
        self.with_keys(|keys| {
            let header = Header {
                store: context.store,
                environment: context.environment,
                root_id: keystore_format::seal_record::root_id(keys.root(), &context),
                created_ms: self.now().0,
                generation: self.generation(),
                incarnation: self.incarnation(),
                records,
                nonce,
                seal,
            };
            Encoder::new(&header, keys.root(), &salt, out).map_err(|_| BarrierError::TooLarge)
        })
    }
}

/// Begins reading a backup whose header (its bytes as they came) the root key opens.
///
/// # Errors
/// As [`Decoder::new`].
pub fn read_snapshot(header: &[u8], root_key: &Key32) -> Result<Decoder, FormatError> {
    Decoder::new(header, root_key.expose())
}
