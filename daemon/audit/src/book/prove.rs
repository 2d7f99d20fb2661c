//! Receipts and disclosures: what an outsider is given to check for himself.
use super::Book;
use super::open::blocking;
use crate::journal::{ReadError, demand_leaf};
use crate::{BookError, ReceiptProof, Unrecorded};
use coffer_barrier::BarrierError;
use coffer_types::Kind;
use keystore_format::disclosure::Disclosure;
use keystore_format::leaf::field_salt;
use keystore_format::openings::{Openings, key_id};

impl Book {
    /// The leaf at `index` with its proof; `None` until a checkpoint covers it.
    ///
    /// # Errors
    /// Where the log cannot be read, or is not what it was.
    pub async fn receipt(&self, index: u64) -> Result<Option<ReceiptProof>, BookError> {
        Ok(self.proved(index).await?.map(|(receipt, _)| receipt))
    }

    /// Opens one field of one leaf; `None` where there is no such field, no checkpoint yet, or its opening was erased.
    ///
    /// # Errors
    /// Where the log or the opening key cannot be read.
    pub async fn disclose(&self, index: u64, field: &str) -> Result<Option<Disclosure>, BookError> {
        let Some((ReceiptProof { leaf, proof }, (id, sealed))) = self.proved(index).await? else {
            return Ok(None);
        };
        if sealed.is_empty() {
            return Ok(None);
        }
        let pseudonym = key_id(&sealed).map_err(|_| damaged())?;
        let Some(key) = self.key_by_pseudonym(&pseudonym).await? else { return Ok(None) };
        // Under a later key of the same name, what an erased one sealed stays closed.
        let Ok(mut openings) = Openings::open(&sealed, key.expose(), self.environment, id) else {
            return Ok(None);
        };
        let Some(value) = openings.values.remove(field) else { return Ok(None) };
        let field_salt = field_salt(&openings.salt, field);
        Ok(Some(Disclosure { field: field.into(), value, field_salt, leaf, proof }))
    }

    /// The newest signed checkpoint; `None` before the first.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn checkpoint(&self) -> Result<Option<String>, BookError> {
        let log = (self.environment, self.barrier.incarnation());
        blocking(&self.journal, move |journal| journal.checkpoint(log)).await?.map_err(unreadable)
    }

    /// A signed checkpoint of everything that is recorded by now; empty where nothing ever was.
    ///
    /// # Errors
    /// Where the log cannot be written or read.
    pub async fn checkpoint_now(&self) -> Result<String, BookError> {
        self.final_round().await?;
        Ok(self.checkpoint().await?.unwrap_or_default())
    }

    /// The proof that the tree of `old` leaves is the beginning of that of `new` (RFC 6962 §2.1.2); `None` where no
    /// checkpoint covers both, or `old` is 0.
    ///
    /// # Errors
    /// Where the log cannot be read, or is not what it was.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<[u8; 32]>>, BookError> {
        let log = (self.environment, self.barrier.incarnation());
        blocking(&self.journal, move |journal| journal.prove_consistency(log, old, new))
            .await?
            .map_err(unreadable)
    }

    /// The leaf at `index` with its proof, and its id and sealed openings.
    async fn proved(&self, index: u64) -> Result<Option<(ReceiptProof, (u64, Vec<u8>))>, BookError> {
        let log = (self.environment, self.barrier.incarnation());
        let read = blocking(&self.journal, move |journal| {
            let Some(proof) = journal.prove(log, index)? else { return Ok(None) };
            let (leaf, id, openings) = journal.frame_at(log, index)?;
            demand_leaf(&leaf, &proof)?;
            Ok(Some((ReceiptProof { leaf, proof }, (id, openings))))
        });
        read.await?.map_err(unreadable)
    }
}

fn unreadable(error: ReadError) -> BookError {
    match error {
        ReadError::Io(error) => {
            tracing::error!(kind = %error.kind(), "the audit log can't be read");
            BookError::Unrecorded(Unrecorded::Failed)
        }
        ReadError::Damaged => BookError::DamagedLog,
    }
}

fn damaged() -> BookError {
    BookError::Barrier(BarrierError::Damaged(Kind::OpeningKey))
}
