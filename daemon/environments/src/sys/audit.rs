//! `sys/audit/*`: receipts, the newest checkpoint, and opening one field of one leaf for an auditor.
use super::Desk;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_room::{Answer, Fault, Outcome};
use coffer_wire::{Object, Params};

pub(super) async fn receipt(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let index = index(desk)?;
    let found = desk.environment.book().receipt(index).await.map_err(unreadable)?;
    let proved = found.ok_or_else(uncovered)?;
    Ok(Outcome::Answer(Answer::data(
        Object::new()
            .number("index", index)
            .string("leaf", &STANDARD.encode(&proved.leaf))
            .strings("inclusion", proved.proof.hashes.iter().map(|hash| STANDARD.encode(hash)))
            .string("checkpoint", &proved.proof.checkpoint),
    )))
}

pub(super) async fn checkpoint(desk: &Desk<'_>) -> Result<Outcome, Fault> {
    let text = desk.environment.book().checkpoint().await.map_err(unreadable)?.ok_or_else(uncovered)?;
    Ok(Outcome::Answer(Answer::data(Object::new().string("checkpoint", &text))))
}

pub(super) async fn consistency(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let size = |name| -> Result<u64, Fault> {
        params.number(name)?.ok_or_else(|| Fault::bad("'old' and 'new' must be the sizes of two trees"))
    };
    let proof = desk.environment.book().consistency(size("old")?, size("new")?).await.map_err(unreadable)?;
    let hashes = proof.ok_or_else(uncovered)?;
    Ok(Outcome::Answer(Answer::data(
        Object::new().strings("consistency", hashes.iter().map(|hash| STANDARD.encode(hash))),
    )))
}

pub(super) async fn disclose(desk: &Desk<'_>, params: &Params) -> Result<Outcome, Fault> {
    let field = params.required("field")?;
    let found = desk.environment.book().disclose(index(desk)?, &field).await.map_err(unreadable)?;
    let disclosure = found.ok_or_else(|| {
        Fault::NoRoute("nothing to disclose: no such field, no checkpoint covers the leaf yet, or its opening was erased".into())
    })?;
    Ok(Outcome::Answer(Answer::data(Object::new().string("disclosure", &disclosure.to_text()))))
}

fn index(desk: &Desk<'_>) -> Result<u64, Fault> {
    desk.argument.parse().map_err(|_| Fault::bad("the leaf's index must be a whole number"))
}

fn uncovered() -> Fault {
    Fault::NoRoute("no checkpoint covers that yet: one is made within a second".into())
}

fn unreadable(_: coffer_audit::BookError) -> Fault {
    Fault::Internal("the audit log can't be read")
}
