//! The stand-in as its clients reach it.

use azure_standin::Standin;

/// As any client has it.
pub fn http(standin: &Standin) -> reqwest::Client {
    let about = standin.about();
    let authority = reqwest::Certificate::from_pem(about.ca_pem.as_bytes()).expect("a certificate");
    let proxy = reqwest::Proxy::all(format!("http://{}", about.proxy)).expect("a proxy");
    reqwest::Client::builder().proxy(proxy).tls_certs_only([authority]).build().expect("a client")
}

/// As Azure's SDK has it.
#[cfg(feature = "mounted")]
pub fn client_options(standin: &Standin) -> azure_core::http::ClientOptions {
    azure_core::http::ClientOptions {
        transport: Some(azure_core::http::Transport::new(std::sync::Arc::new(http(standin)))),
        retry: azure_core::http::RetryOptions::none(),
        ..azure_core::http::ClientOptions::default()
    }
}
