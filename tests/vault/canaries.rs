//! Nothing that is known, said or logged has a value of the vault in it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use hcp_identity::vault::{Azure, Level};
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{World, good, key_lines, of, orders, text, wanted};

/// Where everything is logged, libraries included.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

const CANARY: &str = "cAnArY~8Q.secret";

/// One that works, one with a canary in each field, and one that is nothing else.
fn values() -> Vec<String> {
    let mut values = vec![text(&good()), CANARY.to_owned()];
    for field in ["client_id", "tenant_id", "authentication_endpoint", "client_secret", "not_before", "not_after"] {
        let mut credential = good();
        credential.insert(field.to_owned(), json!(CANARY));
        values.push(text(&credential));
    }
    values
}

#[track_caller]
fn assert_clean(what: &str, output: &str) {
    assert!(!output.contains(CANARY), "{what}: {output}");
    for line in key_lines() {
        assert!(!output.contains(&line), "{what} shows a line of the key");
    }
}

#[tokio::test]
async fn no_value_is_logged_or_known() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let world = World::start().await;
    let azure = Azure::new(world.access()).unwrap();
    for value in values() {
        world.store("creds", value);
        let mut keeping = world.keep(of(&wanted("creds")), orders(Level::SignIn));
        let known = keeping.until(|known| !known.credentials.is_empty() || !known.vaults.is_empty()).await;
        assert_clean("what is known", &format!("{known:#?}"));
        keeping.end().await;
        let fetched = azure.vault("kv-test", "").unwrap().get("creds").await.unwrap();
        assert_clean("a value", &format!("{fetched:#?}"));
    }
    let logged = log.text();
    assert!(logged.contains("/secrets/creds"), "the libraries log here");
    assert_clean("the log", &logged);
    for token in ["eyJ", "client_assertion="] {
        assert!(!logged.contains(token), "the log shows a token");
    }
}
