//! The document of this API, made from the code of its endpoints.

use serde_json::{Value, json};
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

/// As JSON, with what the macros of the endpoints leave open.
pub(super) fn bytes(document: &OpenApi) -> Vec<u8> {
    let mut document = serde_json::to_value(document).expect("strings, numbers, lists and objects only");
    complete(&mut document);
    document.to_string().into_bytes()
}

/// Says of each operation:
/// * which parameters are of the query: all that its path does not name;
/// * that these may be left out where they may have no value, since a query cannot say null;
/// * that a list is also written as CSV;
/// * an id that no other operation has, of its method and path: functions of two modules may share a name.
fn complete(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, operations) in paths {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            operation["operationId"] = operation_id(method, path).into();
            let mut has_format = false;
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default();
                if parameter["in"] == "header" || path.contains(&format!("{{{name}}}")) {
                    continue;
                }
                has_format |= name == "format";
                parameter["in"] = "query".into();
                let declared = parameter["schema"].clone();
                not_null(&mut parameter["schema"]);
                if parameter["schema"] != declared {
                    parameter["required"] = false.into();
                }
            }
            if has_format {
                operation["responses"]["200"]["content"]["text/csv"] = json!({ "schema": { "type": "string" } });
            }
        }
    }
}

/// A name that generators of clients can use: `get_dashboard_exchanges_id`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

/// Takes null from what a schema allows.
fn not_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            schema["type"] = only.clone();
        }
    }
    if let Some(Value::Array(either)) = schema.get_mut("oneOf")
        && let Some(present) = either.iter().find(|schema| schema["type"] != "null")
    {
        *schema = present.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_of_functions_with_one_name_have_ids_of_their_own() {
        let health = || json!({"get": {"operationId": "health", "responses": {"200": {}}}});
        let mut document = json!({"paths": {"/api/health": health(), "/dashboard/health": health()}});
        complete(&mut document);
        let id = |path: &str| document["paths"][path]["get"]["operationId"].clone();
        assert_eq!(
            (id("/api/health"), id("/dashboard/health")),
            (json!("get_api_health"), json!("get_dashboard_health"))
        );
    }

    #[test]
    fn what_the_path_does_not_name_is_of_the_query_and_never_null() {
        let parameter =
            |name: &str, schema: Value| json!({"name": name, "in": "path", "required": true, "schema": schema});
        let mut document = json!({"paths": {"/a/{id}": {"get": {"parameters": [
            parameter("id", json!({"type": "string"})),
            parameter("limit", json!({"type": ["integer", "null"], "minimum": 1})),
            parameter("format", json!({"oneOf": [{"type": "null"}, {"type": "string", "enum": ["csv"]}]})),
        ], "responses": {"200": {}}}}}});
        complete(&mut document);
        let get = &document["paths"]["/a/{id}"]["get"];
        let part = |part: &str| get["parameters"].as_array().map(|all| all.iter().map(|it| it[part].clone()).collect());
        assert_eq!(part("in"), Some(vec![json!("path"), json!("query"), json!("query")]));
        assert_eq!(part("required"), Some(vec![json!(true), json!(false), json!(false)]));
        let schemas = [
            json!({"type": "string"}),
            json!({"type": "integer", "minimum": 1}),
            json!({"type": "string", "enum": ["csv"]}),
        ];
        assert_eq!(part("schema"), Some(schemas.to_vec()));
        assert_eq!(get["responses"]["200"]["content"]["text/csv"]["schema"]["type"], "string");
    }
}
