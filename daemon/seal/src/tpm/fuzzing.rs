//! A TPM that answers with what the fuzzer says.
use super::{
    device::{TpmConfig, TpmDevice},
    error::{Result, TpmError},
    policy,
    transport::{Address, Channel},
};
use crate::device::{Binding, Device};
use coffer_secmem::Key32;
use coffer_types::{Entropy, EntropyError, EnvironmentId, StoreId, WrapId};
use keystore_format::{
    kdf::Context,
    reader::Reader,
    seal_record::{Wrap, WrapState, WrapType},
    tpm_wrap::{PcrBank, PcrSelection},
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// Answers that are left. Each is cut off by its length; where there is none, the connection ends.
struct Script(Arc<Mutex<Vec<u8>>>);

impl Channel for Script {
    fn exchange(&mut self, _command: &[u8], _deadline: Instant) -> Result<Vec<u8>> {
        let mut left = self.0.lock().map_err(|_| TpmError::Lost)?;
        let mut answer = piece(&mut left).filter(|answer| answer.len() >= 10).ok_or(TpmError::Lost)?;
        // The size in the header is put right, so that the fuzzer gets past it.
        let size = u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes();
        answer.iter_mut().skip(2).zip(size).for_each(|(byte, size)| *byte = size);
        Ok(answer)
    }

    fn pause(&self, _time: Duration) {}
}

struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, bytes: &mut [u8]) -> std::result::Result<(), EntropyError> {
        bytes.fill(7);
        Ok(())
    }
}

/// The input is cut into pieces, each with its length in front: parameters and blob of a wrap, then answers.
pub(super) fn fuzz(bytes: &[u8]) {
    for bank in [PcrBank::Sha256, PcrBank::Sha384, PcrBank::Sha512] {
        let _ = policy::read_values(bytes, bank, &mut Vec::new());
    }
    let mut input = bytes.to_vec();
    let (Some(parameters), Some(blob)) = (piece(&mut input), piece(&mut input)) else { return };
    let wrap =
        Wrap { id: WrapId([1; 16]), wrap_type: WrapType::Tpm2, state: WrapState::Current, parameters, blob };
    let context = Context { store: StoreId([2; 16]), environment: EnvironmentId([3; 16]) };
    let binding = Binding { context, wrap: wrap.id, root_id: [4; 32] };
    let key = || Key32::derive(|key| key.fill(5));
    let owner = Zeroizing::new(b"owner".to_vec());

    let device = || {
        let config = TpmConfig {
            address: Address::Tcp { host: String::new(), port: 0 },
            pcrs: Some(PcrSelection { bank: PcrBank::Sha256, mask: [0x80, 0x08, 0] }),
            pin: Some(Arc::new(|| Ok(Zeroizing::new(b"1234".to_vec())))),
            approval_index: super::APPROVAL_INDEX,
            srk_name: None,
            counter_index: None,
            deadline: Duration::from_secs(5),
        };
        let left = Arc::new(Mutex::new(input.clone()));
        TpmDevice::over(config, Arc::new(Sevens), Arc::new(move |_, _| Ok(Box::new(Script(left.clone())))))
    };
    // No answer can be authentic: the secret that a session rests on is new each time.
    assert!(device().unwrap(&wrap, &binding).is_err(), "opened without a TPM");
    assert!(device().wrap(&key(), &binding).is_err(), "sealed without a TPM");
    assert!(device().approve(&owner).is_err(), "approved without a TPM");
    assert!(device().raise_counter(0x0150_0001, &[0; 34], &key(), 1).is_err(), "counted without a TPM");
    let _ = device().srk_name();
    let _ = device().approval();
    let _ = device().health();
}

fn piece(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut reader = Reader::new(input);
    let length = reader.u16("length").ok()?;
    let piece = reader.take(length.into(), "piece").ok()?.to_vec();
    *input = reader.rest().to_vec();
    Some(piece)
}
