//! Small places in the TPM's own memory that outlive restarts. A place is known by its name, which is the hash of how it
//! was defined: what is defined otherwise is another place.
use super::{
    command::{Code, Entity, NV_DEFINE_SPACE, NV_READ, NV_READ_PUBLIC, OWNER, Tpm, sized},
    crypto::{Name, name_of},
    error::{Result, TpmError},
    session::{Call, HIDE_ANSWER, HIDE_COMMAND, Session},
    srk::wrong_owner,
    writer::Writer,
};
use keystore_format::{error::Fault, reader::Reader};
use zeroize::Zeroizing;

/// Set by the TPM with the first write.
const WRITTEN: u32 = 1 << 29;
/// `TPM_RC_HANDLE`: nothing is defined there.
const NO_SUCH_HANDLE: u32 = 0x08b;

/// How a place is defined; the rest follows from it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) index: u32,
    pub(super) attributes: u32,
    pub(super) size: u16,
}

/// What is found at an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Something that was defined otherwise.
    Foreign,
    /// The place, not written yet.
    Empty,
    /// The place.
    Written,
}

impl Place {
    fn public_area(&self, is_written: bool) -> Zeroizing<Vec<u8>> {
        let attributes = self.attributes | if is_written { WRITTEN } else { 0 };
        Writer::new().u32(self.index).u16(0x000b).u32(attributes).sized(&[]).u16(self.size).done()
    }

    pub(super) fn name(&self, is_written: bool) -> Name {
        name_of(&self.public_area(is_written))
    }

    pub(super) fn entity(&self, is_written: bool) -> Entity {
        Entity::named(self.index, &self.name(is_written))
    }

    /// Looks what is there. The answer can be forged; sessions then fail, because they hold the name.
    pub(super) fn look(&self, tpm: &mut Tpm) -> Result<Found> {
        let answer = match tpm.plain(NV_READ_PUBLIC, &self.index.to_be_bytes()) {
            Err(error) if error.code() == Some(NO_SUCH_HANDLE) => return Ok(Found::Nothing),
            answer => answer?,
        };
        let mut reader = Reader::new(&answer);
        let public = sized(&mut reader, "NV public area")?;
        Ok(if public == self.public_area(true).as_slice() {
            Found::Written
        } else if public == self.public_area(false).as_slice() {
            Found::Empty
        } else {
            Found::Foreign
        })
    }

    /// Defines it, by the owner.
    pub(super) fn define(
        &self,
        tpm: &mut Tpm,
        session: &mut Session,
        owner: &[u8],
        auth: &[u8],
    ) -> Result<()> {
        let call = Call {
            code: NV_DEFINE_SPACE,
            entities: &[Entity::fixed(OWNER)],
            auth: owner,
            attributes: HIDE_COMMAND,
            parameters: Writer::new().sized(auth).sized(&self.public_area(false)).done(),
            returns_handle: false,
        };
        session.run(tpm, call).map(|_| ()).map_err(wrong_owner)
    }

    /// Reads all of it, authenticated, by whoever knows its authorisation value.
    pub(super) fn read(
        &self,
        tpm: &mut Tpm,
        session: &mut Session,
        auth: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        let call = Call {
            code: NV_READ,
            entities: &[self.entity(true), self.entity(true)],
            auth,
            attributes: HIDE_ANSWER,
            parameters: Writer::new().u16(self.size).u16(0).done(),
            returns_handle: false,
        };
        let answer = session.run(tpm, call)?;
        let mut reader = Reader::new(&answer.parameters);
        let fault = reader.fault("NV data", Fault::Invalid);
        let data = sized(&mut reader, "NV data")?;
        if data.len() == usize::from(self.size) {
            Ok(Zeroizing::new(data.to_vec()))
        } else {
            Err(TpmError::Malformed(fault))
        }
    }

    /// A command on the place in a session that shows `auth`, the value of `by`.
    pub(super) fn change(
        &self,
        tpm: &mut Tpm,
        session: &mut Session,
        code: Code,
        by: (Entity, &[u8]),
        is_written: bool,
        parameters: Zeroizing<Vec<u8>>,
    ) -> Result<()> {
        let (by, auth) = by;
        let attributes = if parameters.is_empty() { 0 } else { HIDE_COMMAND };
        let entities = &[by, self.entity(is_written)];
        let call = Call { code, entities, auth, attributes, parameters, returns_handle: false };
        session.run(tpm, call).map(|_| ())
    }
}
