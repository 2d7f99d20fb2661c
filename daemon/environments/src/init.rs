//! `sys/init` as its callers ask for it: how many shares, for whom, and in whose words.
//!
//! Clients of a daemon that unseals itself send `recovery_shares` and `recovery_threshold`. In Coffer the shares play that
//! part too, and unlike Vault's recovery keys they do open the store; so these numbers are taken as those of the shares.
use crate::ceremonies::{Drawn, HandedOut, holders, threshold};
use crate::{NodeFault, Registry};
use coffer_room::Fault;
use coffer_wire::{Object, Params};
use std::sync::Arc;

impl Registry {
    /// Initialises, and gives the answer of the API: shares in clear, or encrypted to their holders and in no other form.
    ///
    /// # Errors
    /// As [`Registry::init`]; where the parameters can't be.
    pub async fn init_by(self: &Arc<Self>, params: &Params) -> Result<Object, NodeFault> {
        let Numbers { shares, needed, is_recovery } = Numbers::of(params)?;
        let threshold = threshold(params, shares, needed)?;
        let holders = holders(params, threshold)?;
        // Before anything is made: afterwards nothing may fail.
        let drawn = Drawn::new(holders.as_ref(), &*self.entropy)?;
        let made = self.init(Some(threshold.shares().into()), Some(threshold.threshold().into())).await?;
        let shares = drawn.hand_out(&made.shares)?;
        let answer = shares.within(Object::new().string("root_token", &made.root_token), "keys");
        Ok(match &shares {
            HandedOut::Clear { hex, base64, .. } if is_recovery => answer
                .strings("recovery_keys", hex.iter().map(|share| share.as_str()))
                .strings("recovery_keys_base64", base64.iter().map(|share| share.as_str())),
            _ => answer,
        })
    }
}

/// How many shares are asked for.
struct Numbers {
    shares: Option<u64>,
    needed: Option<u64>,
    /// Whether they were asked for as recovery keys.
    is_recovery: bool,
}

impl Numbers {
    fn of(params: &Params) -> Result<Self, Fault> {
        let (shares, needed) = (params.number("secret_shares")?, params.number("secret_threshold")?);
        // Clients send 0 for what they leave out.
        let given = |name| Ok::<_, Fault>(params.number(name)?.filter(|&number| number > 0));
        let recovery = (given("recovery_shares")?, given("recovery_threshold")?);
        if recovery == (None, None) {
            return Ok(Self { shares, needed, is_recovery: false });
        }
        let own = (shares.filter(|&number| number > 0), needed.filter(|&number| number > 0));
        if own != (None, None) && own != recovery {
            return Err(Fault::bad(
                "'recovery_shares' and 'secret_shares' are one set here, which opens the store: give one of the two, or the same numbers",
            ));
        }
        Ok(Self { shares: recovery.0, needed: recovery.1, is_recovery: true })
    }
}
