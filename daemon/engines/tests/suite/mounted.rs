//! A mount of one engine, and short words for requests to it.
use crate::lab::*;
use coffer_engines::Engine;
use coffer_room::{Answer, Fault, Room};
use coffer_types::{Operation, WriteMode};

pub struct Mounted {
    pub lab: Lab,
    pub engine: Engine,
    pub mount: u8,
}

impl Mounted {
    pub fn new(engine: Engine) -> Self {
        Self { lab: Lab::new(), engine, mount: 5 }
    }

    pub fn room(&self) -> Room {
        self.lab.room(self.mount)
    }

    pub async fn ask(&self, operation: Operation, target: &str, body: &str) -> Result<Answer, Fault> {
        self.ask_as(WriteMode::Any, operation, target, body).await
    }

    pub async fn ask_as(
        &self,
        mode: WriteMode,
        operation: Operation,
        target: &str,
        body: &str,
    ) -> Result<Answer, Fault> {
        let mut request = request(operation, target, body);
        request.write_mode = mode;
        self.lab.run(self.engine.handle(&self.room(), request).await).await
    }

    pub async fn get(&self, target: &str) -> Result<Answer, Fault> {
        self.ask(Operation::Read, target, "").await
    }

    pub async fn post(&self, target: &str, body: &str) -> Result<Answer, Fault> {
        self.ask(Operation::Write, target, body).await
    }

    pub async fn patch(&self, target: &str, body: &str) -> Result<Answer, Fault> {
        self.ask(Operation::Patch, target, body).await
    }

    pub async fn delete(&self, target: &str) -> Result<Answer, Fault> {
        self.ask(Operation::Delete, target, "").await
    }

    pub async fn put(&self, target: &str, body: &str) -> serde_json::Value {
        let answer = good(self.post(target, body).await);
        if text(&answer).is_empty() { serde_json::Value::Null } else { json(&answer) }
    }

    pub async fn json(&self, target: &str) -> serde_json::Value {
        json(&good(self.get(target).await))
    }

    pub async fn keys(&self, operation: Operation, target: &str) -> serde_json::Value {
        json(&good(self.ask(operation, target, "").await))["keys"].clone()
    }

    /// How many records of any kind the store holds.
    pub async fn records(&self) -> u64 {
        self.lab.barrier.record_count()
    }
}
