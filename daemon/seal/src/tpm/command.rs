//! One command, one answer. What a command leaves in the TPM is written down here and flushed at the end, come what may.
use super::{
    crypto::Name,
    error::{Result, TpmError},
    transport::Channel,
    writer::Writer,
};
use coffer_types::Entropy;
use keystore_format::{error::Fault, reader::Reader};
use std::{sync::Arc, time::Duration, time::Instant};
use zeroize::Zeroizing;

/// A command by TCG's number and name (TPM 2.0 Library, Part 2, 6.5.2).
#[derive(Clone, Copy)]
pub(super) struct Code(pub(super) u32, pub(super) &'static str);

pub(super) const EVICT_CONTROL: Code = Code(0x120, "EvictControl");
pub(super) const NV_DEFINE_SPACE: Code = Code(0x12a, "NV_DefineSpace");
pub(super) const CREATE_PRIMARY: Code = Code(0x131, "CreatePrimary");
pub(super) const NV_INCREMENT: Code = Code(0x134, "NV_Increment");
pub(super) const NV_WRITE: Code = Code(0x137, "NV_Write");
pub(super) const NV_READ: Code = Code(0x14e, "NV_Read");
pub(super) const CREATE: Code = Code(0x153, "Create");
pub(super) const LOAD: Code = Code(0x157, "Load");
pub(super) const UNSEAL: Code = Code(0x15e, "Unseal");
pub(super) const FLUSH_CONTEXT: Code = Code(0x165, "FlushContext");
pub(super) const NV_READ_PUBLIC: Code = Code(0x169, "NV_ReadPublic");
pub(super) const POLICY_AUTH_VALUE: Code = Code(0x16b, "PolicyAuthValue");
pub(super) const READ_PUBLIC: Code = Code(0x173, "ReadPublic");
pub(super) const START_AUTH_SESSION: Code = Code(0x176, "StartAuthSession");
pub(super) const GET_CAPABILITY: Code = Code(0x17a, "GetCapability");
pub(super) const PCR_READ: Code = Code(0x17e, "PCR_Read");
pub(super) const POLICY_PCR: Code = Code(0x17f, "PolicyPCR");
pub(super) const POLICY_AUTHORIZE_NV: Code = Code(0x192, "PolicyAuthorizeNV");

/// The owner hierarchy.
pub(super) const OWNER: u32 = 0x4000_0001;
/// No hierarchy; also no key and no handle.
pub(super) const NULL: u32 = 0x4000_0007;
const PASSWORD_SESSION: u32 = 0x4000_0009;

const WITHOUT_SESSIONS: u16 = 0x8001;
const WITH_SESSIONS: u16 = 0x8002;

/// `TPM_RC_YIELDED`, `TPM_RC_TESTING`, `TPM_RC_RETRY`: the command was not begun; the same bytes may be sent again.
const NOT_BEGUN: [u32; 3] = [0x908, 0x90a, 0x922];
/// The first wait is 5 ms, the last 640 ms.
const TRIES: u32 = 8;
/// `TPM_RC_REFERENCE_H0` to `_S6`: what a command names is gone, as after a restart.
const GONE: std::ops::RangeInclusive<u32> = 0x910..=0x91e;

/// What a command with sessions gives back, before sessions are looked at.
pub(super) struct Answer {
    pub(super) handle: Option<u32>,
    pub(super) parameters: Zeroizing<Vec<u8>>,
    pub(super) sessions: Vec<u8>,
}

/// A connection to a TPM for one operation.
pub(super) struct Tpm {
    channel: Box<dyn Channel>,
    entropy: Arc<dyn Entropy>,
    deadline: Instant,
    /// Objects and sessions that this operation made.
    transient: Vec<u32>,
    /// Whether a PIN was shown to the TPM, so that this operation must not be repeated.
    pub(super) has_shown_pin: bool,
}

impl Tpm {
    pub(super) fn new(channel: Box<dyn Channel>, entropy: Arc<dyn Entropy>, deadline: Instant) -> Self {
        Self { channel, entropy, deadline, transient: Vec::new(), has_shown_pin: false }
    }

    pub(super) fn random<const N: usize>(&self) -> Result<[u8; N]> {
        Ok(coffer_types::random(&*self.entropy)?)
    }

    /// A command that needs no authorisation.
    pub(super) fn plain(&mut self, code: Code, body: &[u8]) -> Result<Vec<u8>> {
        self.execute(WITHOUT_SESSIONS, code, body)
    }

    /// A command whose first handle has an empty authorisation value. Its answer can be forged: what matters in it must be
    /// checked otherwise.
    pub(super) fn with_empty_password(
        &mut self,
        code: Code,
        handles: &[u32],
        parameters: &[u8],
        returns_handle: bool,
    ) -> Result<Answer> {
        let session = Writer::new().u32(PASSWORD_SESSION).sized(&[]).u8(0).sized(&[]).done();
        self.with_sessions(code, handles, &session, parameters, returns_handle)
    }

    pub(super) fn with_sessions(
        &mut self,
        code: Code,
        handles: &[u32],
        sessions: &[u8],
        parameters: &[u8],
        returns_handle: bool,
    ) -> Result<Answer> {
        let mut body = Writer::new();
        for handle in handles {
            body = body.u32(*handle);
        }
        let body = body.u32(length(sessions)).raw(sessions).raw(parameters).done();
        let answer = Zeroizing::new(self.execute(WITH_SESSIONS, code, &body)?);
        let mut reader = Reader::new(&answer);
        let handle = returns_handle.then(|| reader.u32("handle")).transpose()?;
        if let Some(handle) = handle {
            self.keep(handle);
        }
        let length = reader.u32("parameter size")?;
        let parameters = Zeroizing::new(reader.take(length.into(), "parameters")?.to_vec());
        Ok(Answer { handle, parameters, sessions: reader.rest().to_vec() })
    }

    /// Writes down what has to be flushed at the end.
    pub(super) fn keep(&mut self, handle: u32) {
        self.transient.push(handle);
    }

    /// The TPM has flushed it by itself.
    pub(super) fn forget(&mut self, handle: u32) {
        self.transient.retain(|kept| *kept != handle);
    }

    /// Flushes everything, the last first. What can't be flushed is gone with the connection, or lies in a TPM that does
    /// not answer.
    pub(super) fn finish(&mut self) {
        while let Some(handle) = self.transient.pop() {
            if matches!(
                self.plain(FLUSH_CONTEXT, &handle.to_be_bytes()),
                Err(TpmError::Silent | TpmError::Lost)
            ) {
                return;
            }
        }
    }

    fn execute(&mut self, tag: u16, code: Code, body: &[u8]) -> Result<Vec<u8>> {
        let command =
            Writer::new().u16(tag).u32(length(body).saturating_add(10)).u32(code.0).raw(body).done();
        let mut tries = 0;
        loop {
            let answer = Zeroizing::new(self.channel.exchange(&command, self.deadline)?);
            let (refusal, rest) = read_header(&answer)?;
            match refusal {
                0 => return Ok(rest.to_vec()),
                refusal if NOT_BEGUN.contains(&refusal) && tries + 1 < TRIES => {
                    self.channel.pause(Duration::from_millis(5 << tries));
                    tries += 1;
                }
                refusal if GONE.contains(&refusal) => return Err(TpmError::Lost),
                refusal => return Err(TpmError::Refused { command: code.1, code: refusal }),
            }
        }
    }
}

/// Code and what follows the header.
fn read_header(answer: &[u8]) -> Result<(u32, &[u8])> {
    let mut reader = Reader::new(answer);
    let invalid = reader.fault("tag", Fault::Invalid);
    if ![WITHOUT_SESSIONS, WITH_SESSIONS].contains(&reader.u16("tag")?) {
        return Err(invalid.into());
    }
    let invalid = reader.fault("size", Fault::Invalid);
    if reader.u32("size")? != length(answer) {
        return Err(invalid.into());
    }
    let code = reader.u32("code")?;
    Ok((code, reader.rest()))
}

/// A TPM2B.
pub(super) fn sized<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8]> {
    let length = reader.u16(field)?;
    Ok(reader.take(length.into(), field)?)
}

/// A handle with the name under which sessions authenticate it.
pub(super) struct Entity {
    pub(super) handle: u32,
    name: Vec<u8>,
}

impl Entity {
    /// A key, an object or an NV index.
    pub(super) fn named(handle: u32, name: &Name) -> Self {
        Self { handle, name: name.to_vec() }
    }

    /// A hierarchy or a session, which is its own name.
    pub(super) fn fixed(handle: u32) -> Self {
        Self { handle, name: handle.to_be_bytes().to_vec() }
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
