//! Query parameters: those that an endpoint documents, each at most once, and no others.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::error::{ApiError, Code};

/// Of an endpoint that takes none.
#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct NoParameters {}

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned + IntoParams, S: Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn parse<T: DeserializeOwned + IntoParams>(query: &str) -> Result<T, ApiError> {
    let known = T::into_params(|| Some(ParameterIn::Query));
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    for (at, (name, _)) in pairs.iter().enumerate() {
        if !known.iter().any(|parameter| parameter.name == **name) {
            let names: Vec<_> = known.iter().map(|parameter| parameter.name.as_str()).collect();
            return Err(invalid(name, "there is no such parameter", &json!(names)));
        }
        if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(invalid(name, "it is given more than once", &Value::Null));
        }
    }
    let is_given = |parameter: &&Parameter| pairs.iter().any(|(name, _)| parameter.name == **name);
    let needed = |parameter: &&Parameter| matches!(parameter.required, Required::True);
    if let Some(missing) = known.iter().filter(needed).find(|parameter| !is_given(parameter)) {
        return Err(invalid(&missing.name, "it is missing", &allowed(missing)));
    }
    for (name, value) in &pairs {
        let parameter = known.iter().find(|parameter| parameter.name == **name);
        if let Some(allowed) = parameter.map(allowed).filter(|allowed| !is_within(value, allowed)) {
            return Err(invalid(name, "it is out of range", &allowed));
        }
    }
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().to_string();
        let parameter = known.iter().find(|parameter| parameter.name == name);
        invalid(&name, &error.inner().to_string(), &parameter.map_or(Value::Null, allowed))
    })
}

/// A parameter that is unknown, or has a value that is not allowed.
pub(super) fn invalid(name: &str, why: &str, allowed: &Value) -> ApiError {
    let message = format!("parameter {name}: {why}");
    ApiError::new(Code::InvalidParameter, message).with(json!({ "parameter": name, "allowed": allowed }))
}

/// Whether an integer is within the bounds of its schema. Others, and what is no integer, are left to the type.
fn is_within(value: &str, schema: &Value) -> bool {
    // What may be absent may be null; whether the schema says so depends on how the parameter is declared.
    let is_integer = schema["type"] == "integer" || schema["type"] == json!(["integer", "null"]);
    let Some(number) = value.parse::<i128>().ok().filter(|_| is_integer) else {
        return true;
    };
    let bound = |name: &str| schema[name].as_f64();
    let most = if schema["format"] == "int32" { i128::from(i32::MAX) } else { i128::from(i64::MAX) };
    number <= most
        && bound("minimum").is_none_or(|least| number as f64 >= least)
        && bound("maximum").is_none_or(|most| number as f64 <= most)
}

/// The values that its schema allows: all of them, or their bounds and pattern.
fn allowed(parameter: &Parameter) -> Value {
    let mut schema = serde_json::to_value(&parameter.schema).unwrap_or_default();
    // Of what may also be absent, null is one of two.
    if let Some(Value::Array(either)) = schema.get_mut("oneOf") {
        let present = either.iter_mut().find(|schema| schema["type"] != "null");
        schema = present.map_or(Value::Null, Value::take);
    }
    match schema.get_mut("enum") {
        Some(values) => values.take(),
        None => schema,
    }
}

#[cfg(test)]
mod tests {
    use utoipa::ToSchema;

    use super::*;

    #[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, Deserialize, IntoParams)]
    struct Query {
        #[param(inline)]
        colour: Option<Colour>,
        #[param(minimum = 1)]
        limit: Option<u8>,
        ms: Option<u64>,
    }

    #[derive(Debug, Deserialize, IntoParams)]
    #[into_params(parameter_in = Query)]
    struct Placed {
        #[param(minimum = 0, maximum = 100)]
        ms: Option<u64>,
    }

    #[test]
    fn bounds_hold_wherever_a_struct_says_that_its_parameters_are() {
        assert!(parse::<Placed>("ms=100").is_ok_and(|query| query.ms == Some(100)));
        for beyond in ["ms=101", "ms=-1", "ms=9223372036854775808", "ms=18446744073709551616"] {
            assert_eq!(parse::<Placed>(beyond).expect_err(beyond).details["allowed"]["maximum"], 100, "{beyond}");
        }
    }

    #[test]
    fn what_is_documented_is_read_and_nothing_else() {
        let query: Query = parse("limit=3&colour=blue").expect("both are documented");
        assert_eq!((query.limit, query.colour), (Some(3), Some(Colour::Blue)));
        assert!(parse::<Query>("").is_ok_and(|query| query.limit.is_none() && query.colour.is_none()));
        let refusal = |query: &str| parse::<Query>(query).expect_err("it is refused");
        assert_eq!(refusal("color=red").details, json!({"parameter": "color", "allowed": ["colour", "limit", "ms"]}));
        assert_eq!(refusal("colour=green").details, json!({"parameter": "colour", "allowed": ["red", "blue"]}));
        assert_eq!(refusal("limit=x").details["parameter"], "limit");
        assert_eq!(refusal("limit=x").details["allowed"]["minimum"], 1);
        assert_eq!(refusal("limit=1&limit=2").details["parameter"], "limit");
        assert_eq!(refusal("limit=0").details["allowed"]["minimum"], 1);
        assert_eq!(refusal("ms=9223372036854775808").details["parameter"], "ms");
        assert!(parse::<Query>("ms=9223372036854775807").is_ok_and(|query| query.ms == Some(i64::MAX.unsigned_abs())));
    }
}
