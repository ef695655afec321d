//! Who asks: kube-apiserver as it speaks to a Service, in HTTP/1.1 over TLS, on connections that stay.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Result;

pub struct Server {
    port: u16,
    tls: TlsConnector,
}

pub struct Connection(SendRequest<Full<Bytes>>);

impl Server {
    pub fn new(port: u16, folder: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(Path::new(folder).join("ca.pem"))?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { port, tls: TlsConnector::from(Arc::new(config)) })
    }

    pub async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.set_nodelay(true)?;
        let stream = self.tls.connect(ServerName::try_from("localhost")?, stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection(sender))
    }
}

impl Connection {
    pub async fn ask(&mut self, question: Bytes) -> Result<Bytes> {
        self.0.ready().await?;
        let request = Request::post("/wire-pods?timeout=2s")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, */*");
        let response = self.0.send_request(request.body(Full::new(question))?).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status == StatusCode::OK { Ok(answer) } else { Err(format!("{status}: {answer:?}").into()) }
    }
}
