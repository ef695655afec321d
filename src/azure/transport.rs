//! What is read of an answer of Azure.

use async_trait::async_trait;
use azure_core::{
    Error, Result,
    error::ErrorKind,
    http::{AsyncRawResponse, HttpClient, Request},
};
use futures::TryStreamExt as _;

/// More than any page of a list.
const LIMIT: usize = 16 << 20;

/// A client that reads no answer without end.
#[derive(Debug)]
pub(super) struct Bounded<C>(pub(super) C);

#[async_trait]
impl<C: HttpClient> HttpClient for Bounded<C> {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        let (status, headers, body) = self.0.execute_request(request).await?.deconstruct();
        let mut read = 0;
        let body = body.and_then(move |chunk| {
            read += chunk.len();
            let small = read <= LIMIT;
            // Of no kind that is tried again.
            let large = || Error::with_message(ErrorKind::Other, "Azure's answer is larger than 16 MiB");
            std::future::ready(small.then_some(chunk).ok_or_else(large))
        });
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azure_core::http::{
        ClientOptions, Context, Method, Pipeline, StatusCode, Transport, Url, headers::Headers, response::PinnedStream,
    };
    use futures::stream;

    use super::*;

    /// Says as many mebibytes as it is asked for by the path, and counts them.
    #[derive(Debug, Default)]
    struct Talks(std::sync::Arc<AtomicUsize>);

    #[async_trait]
    impl HttpClient for Talks {
        async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
            let mebibytes: usize = request.url().path().trim_matches('/').parse().unwrap();
            let said = std::sync::Arc::clone(&self.0);
            let chunks = (0..mebibytes).map(move |_| {
                said.fetch_add(1, Ordering::Relaxed);
                Ok(vec![b' '; 1 << 20].into())
            });
            let body: PinnedStream = Box::pin(stream::iter(chunks));
            Ok(AsyncRawResponse::new(StatusCode::Ok, Headers::new(), body))
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_a_limit_and_asked_for_once() {
        let talks = Talks::default();
        let said = std::sync::Arc::clone(&talks.0);
        let transport = Some(Transport::new(std::sync::Arc::new(Bounded(talks))));
        let options = ClientOptions { transport, ..Default::default() };
        let pipeline = Pipeline::new(None, None, options, Vec::new(), Vec::new(), None);
        let ask = async |mebibytes: usize| {
            let url = Url::parse(&format!("https://azure.test/{mebibytes}")).unwrap();
            let answer = pipeline.send(&Context::new(), &mut Request::new(url, Method::Get), None).await;
            answer.map(|answer| answer.body().len()).map_err(|error| crate::finding::chain(&error))
        };
        assert_eq!(ask(16).await, Ok(16 << 20));
        said.store(0, Ordering::Relaxed);
        let refused = ask(1000).await.unwrap_err();
        assert!(refused.contains("larger than 16 MiB"), "{refused}");
        assert_eq!(said.load(Ordering::Relaxed), 17);
    }
}
