//! The document of this API, made from the code of its endpoints.

use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use super::error;

/// What every endpoint has in common.
pub(super) fn document() -> OpenApi {
    let mut schemas = Vec::new();
    error::schemas(&mut schemas);
    let components = schemas
        .into_iter()
        .fold(utoipa::openapi::Components::builder(), |components, (name, schema)| components.schema(name, schema));
    let info = InfoBuilder::new().title("inferometer").version(env!("CARGO_PKG_VERSION")).description(Some(
        "What the proxy knows of its exchanges, its backends and its machine. A value that is unknown is `null`, and \
             `unknown` has its reason by JSON pointer.",
    ));
    OpenApiBuilder::new().info(info.build()).components(Some(components.build())).build()
}

/// As JSON.
pub(super) fn bytes(document: &OpenApi) -> Vec<u8> {
    document.to_json().expect("strings, numbers, lists and objects only").into_bytes()
}
