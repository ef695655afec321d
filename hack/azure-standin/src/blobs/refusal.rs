//! What the blob service says when it refuses: XML, and the code in a header as well.

use http::{HeaderName, StatusCode, header};
use jiff::Timestamp;

use crate::{
    arm::{NOT_PUBLIC, dated},
    cloud::Cloud,
    exchange::{Answer, text, with_header, with_refusal},
    random::uuid,
};

/// An answer that is a refusal.
#[derive(Debug)]
pub(super) struct Refused(Box<Answer>);

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        *refused.0
    }
}

fn refused(status: StatusCode, code: &str, message: &str, detail: Option<&str>) -> Refused {
    let detail = detail.map(|detail| format!("<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>"));
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message>{}</Error>",
        detail.unwrap_or_default()
    );
    let answer = with_refusal(text(status, "application/xml", body), code);
    Refused(Box::new(with_header(answer, HeaderName::from_static("x-ms-error-code"), code)))
}

pub(super) fn not_found(now: Timestamp) -> Refused {
    let message = dated("The specified resource does not exist.", now);
    refused(StatusCode::NOT_FOUND, "ResourceNotFound", &message, None)
}

pub(super) fn not_public(now: Timestamp) -> Refused {
    refused(StatusCode::CONFLICT, "PublicAccessNotPermitted", &dated(NOT_PUBLIC, now), None)
}

pub(super) fn no_keys(now: Timestamp) -> Refused {
    let message = dated("Key based authentication is not permitted on this storage account.", now);
    refused(StatusCode::FORBIDDEN, "KeyBasedAuthenticationNotPermitted", &message, None)
}

pub(super) fn no_authentication(now: Timestamp) -> Refused {
    let message = dated(
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        now,
    );
    refused(StatusCode::UNAUTHORIZED, "NoAuthenticationInformation", &message, None)
}

pub(super) fn no_permission(now: Timestamp) -> Refused {
    let message = dated("This request is not authorized to perform this operation using this permission.", now);
    refused(StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch", &message, None)
}

pub(super) fn invalid_token(cloud: Cloud, tenant: &str, detail: &str, now: Timestamp) -> Refused {
    let message = dated(
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        now,
    );
    let challenge = format!(
        "Bearer authorization_uri=https://{}/{tenant}/oauth2/authorize resource_id=https://storage.azure.com",
        cloud.login()
    );
    let Refused(answer) = refused(StatusCode::UNAUTHORIZED, "InvalidAuthenticationInfo", &message, Some(detail));
    Refused(Box::new(with_header(*answer, header::WWW_AUTHENTICATE, &challenge)))
}

pub(super) fn no_website(code: &str, message: &str, now: Timestamp) -> Refused {
    let body = format!(
        "<!DOCTYPE html><html><head><title>{code}</title></head><body><h1>{message}</h1><p><ul><li>HttpStatusCode: \
         404</li><li>ErrorCode: {code}</li><li>RequestId : {}</li><li>TimeStamp : {now}</li></ul></p></body></html>",
        uuid()
    );
    let answer = with_refusal(text(StatusCode::NOT_FOUND, "text/html", body), code);
    Refused(Box::new(with_header(answer, HeaderName::from_static("x-ms-error-code"), code)))
}

/// Not Azure's: the stand-in was started without one, or it does not answer.
pub(super) fn no_store() -> Refused {
    refused(StatusCode::SERVICE_UNAVAILABLE, "ServerBusy", "The stand-in has no blob store that answers.", None)
}

/// What the blob service says that cannot.
pub(crate) fn failure(status: StatusCode) -> Answer {
    let (code, message) = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            ("ServerBusy", "The server is currently unable to receive requests. Please retry your request.")
        }
        StatusCode::CONFLICT => {
            ("ContainerBeingDeleted", "The specified container is being deleted. Try operation later.")
        }
        _ => ("InternalError", "Server encountered an internal error. Please try again after some time."),
    };
    refused(status, code, message, None).into()
}
