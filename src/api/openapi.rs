//! The document of this API, made from the code of its endpoints.

use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder};

use super::error;

/// What every endpoint has in common.
pub(super) fn document() -> OpenApi {
    let mut schemas = Vec::new();
    error::schemas(&mut schemas);
    let components =
        schemas.into_iter().fold(Components::builder(), |components, (name, schema)| components.schema(name, schema));
    let info = InfoBuilder::new().title("inferometer").version(env!("CARGO_PKG_VERSION")).description(Some(
        "What the proxy knows of its exchanges, its backends and its machine. A value that is unknown is `null`, and \
             `unknown` has its reason by JSON pointer.",
    ));
    let mut components = components.build();
    let schemes = schemes();
    schemes.iter().for_each(|(name, scheme)| components.add_security_scheme(*name, scheme.clone()));
    // Each alone is enough; none is needed where no credentials are configured.
    let either = schemes.iter().map(|(name, _)| SecurityRequirement::new::<_, [&str; 0], &str>(*name, []));
    let security = std::iter::once(SecurityRequirement::default()).chain(either);
    OpenApiBuilder::new().info(info.build()).components(Some(components)).security(Some(security)).build()
}

/// How a request says who asks.
fn schemes() -> [(&'static str, SecurityScheme); 4] {
    let http = |scheme, text: &str| HttpBuilder::new().scheme(scheme).description(Some(text)).build();
    let named = |name: &str, text: &str| ApiKeyValue::with_description(name, text);
    [
        ("password", SecurityScheme::Http(http(HttpAuthScheme::Basic, "A user of the web configuration file."))),
        ("token", SecurityScheme::Http(http(HttpAuthScheme::Bearer, "An API key, or a JSON Web Token."))),
        (
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(named(
                "__Host-inferometer-session",
                "Of POST /dashboard/session; without TLS on loopback its name is inferometer-session.",
            ))),
        ),
        (
            "ticket",
            SecurityScheme::ApiKey(ApiKey::Query(named("ticket", "Of POST /dashboard/ws-ticket, for one WebSocket."))),
        ),
    ]
}

/// As JSON.
pub(super) fn bytes(document: &OpenApi) -> Vec<u8> {
    document.to_json().expect("strings, numbers, lists and objects only").into_bytes()
}
