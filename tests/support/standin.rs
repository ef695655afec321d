//! The stand-in as a client of Azure's SDK reaches it.

use std::sync::Arc;

use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_standin::Standin;

pub fn client_options(standin: &Standin) -> ClientOptions {
    let about = standin.about();
    let authority = reqwest::Certificate::from_pem(about.ca_pem.as_bytes()).expect("a certificate");
    let proxy = reqwest::Proxy::all(format!("http://{}", about.proxy)).expect("a proxy");
    let http = reqwest::Client::builder().proxy(proxy).tls_certs_only([authority]).build().expect("a client");
    ClientOptions {
        transport: Some(Transport::new(Arc::new(http))),
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}
